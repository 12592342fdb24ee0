"""Cassettes: the recorded interactions of a trace, played instead of the network.

Playing is strict: the requests come in the order in which they were recorded, and all are used. What
counts of a request is its method, its path and query, and its body; JSON bodies are compared as JSON.
The host is a binding, and headers are noise: neither counts.
"""

import hashlib
import json
from collections.abc import Sequence
from urllib.parse import urlsplit

from replaykit.difference import brief, differences
from replaykit.interaction import Cut, Interaction, Request, header
from replaykit.trace import Moments
from replaykit.value import JsonData


class Player:
    """A cassette being played: strict, from the first interaction to the last."""

    def __init__(self, interactions: Sequence[Interaction], moments: Moments | None = None) -> None:
        self._interactions = interactions
        self.moments: Moments = moments or {}  # when the calls of branches were sent and answered
        self._position = 0
        self.missed: str | None = None  # why the last request could not be answered

    def answer(self, request: Request) -> Interaction:
        """Return the next recorded interaction. Raises CassetteMissError if it is not one for this request."""
        if self._position == len(self._interactions):
            self._miss(f"the cassette is at its end, and {target(request)} was asked")
        recorded = self._interactions[self._position]
        why = mismatch(recorded.request, request)
        if why is not None:
            place = self._position + 1
            self._miss(f"the cassette has no such request: number {place} is {target(recorded.request)}; {why}")
        cut = recorded.response.cut if recorded.response is not None else None
        if cut is not None:
            kept = len(recorded.response.body) if recorded.response is not None else 0
            self._miss(
                f"the answer to {target(recorded.request)} had {cut.size} bytes, of which the bundle keeps the first "
                f"{kept}, so that it can't be played"
            )
        self._position += 1
        return recorded

    def run_out(self, request: Request, size: int) -> None:
        """Know that more was read of an answer than was recorded. Raises CassetteMissError."""
        self._miss(f"the cassette holds the first {size} bytes of the answer to {target(request)}, and more was read")

    def unused(self) -> str | None:
        """Say what was recorded and never asked for; None if all was."""
        left = len(self._interactions) - self._position
        if not left:
            return None
        first = self._interactions[self._position].request
        return f"{left} recorded requests were never asked for, the first of them {target(first)}"

    def _miss(self, why: str) -> None:
        self.missed = self.missed or why
        raise CassetteMissError(why)


class CassetteMissError(Exception):
    """The cassette has no answer; the run ends as stale, whatever the adapter does with this."""


def target(request: Request) -> str:
    """Show a request as `POST /players`."""
    parts = urlsplit(request.url)
    return f"{request.method} {parts.path or '/'}{'?' + parts.query if parts.query else ''}"


def mismatch(recorded: Request, asked: Request) -> str | None:
    """Say why a request is not the recorded one; None if it is."""
    if target(recorded) != target(asked):
        return f"asked was {target(asked)}"
    if recorded.cut is not None:
        return None if _is_whole_of(recorded.cut, asked.body) else f"the body is not that of {recorded.cut.size} bytes"
    if recorded.body == asked.body:
        return None
    before, after = _json_of(recorded), _json_of(asked)
    if before is None or after is None:
        return f"the body was {brief(recorded.body)} and is {brief(asked.body)}"
    if json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True):  # unlike ==, tells true from 1
        return None
    found = "; ".join(f"{each.path}: {each.shown}" for each in differences(before, after)[:3])
    return f"the body differs at {found or 'a number that is written in another way'}"


def _is_whole_of(cut: Cut, body: bytes) -> bool:
    """Say whether a body is the one of which only the beginning was kept."""
    return len(body) == cut.size and hashlib.sha256(body).hexdigest() == cut.sha256


def _json_of(request: Request) -> JsonData:
    if "json" not in (header(request.headers, "content-type") or "json"):
        return None
    try:
        return json.loads(request.body)
    except ValueError:
        return None
