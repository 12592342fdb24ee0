"""Cassettes: the recorded interactions of a trace, played instead of the network.

Playing is strict: the requests come in the order in which they were recorded, and all are used. What
counts of a request is its method, its path and query, and its body; JSON bodies are compared as JSON.
The host is a binding, and headers are noise: neither counts. What was redacted fits any value, the same
placeholder the same one.
"""

import json
from collections.abc import Sequence
from urllib.parse import urlsplit

from replaykit.difference import brief, differences
from replaykit.disguise import coding_of, decoded
from replaykit.interaction import Interaction, Request, header
from replaykit.placeholder import Bound, is_covered
from replaykit.trace import Moments
from replaykit.value import JsonData


class Player:
    """A cassette being played: strict, from the first interaction to the last."""

    def __init__(self, interactions: Sequence[Interaction], moments: Moments | None = None) -> None:
        self._interactions = interactions
        self.moments: Moments = moments or {}  # when the calls of branches were sent and answered
        self._position = 0
        self._bound = Bound()  # what its placeholders stand for
        self.missed: str | None = None  # why the last request could not be answered

    def answer(self, request: Request) -> Interaction:
        """Return the next recorded interaction. Raises CassetteMissError if it is not one for this request."""
        if self._position == len(self._interactions):
            self._miss(f"the cassette is at its end, and {target(request)} was asked")
        recorded = self._interactions[self._position]
        why = mismatch(recorded.request, request, self._bound)
        if why is not None:
            place = self._position + 1
            self._miss(f"the cassette has no such request: number {place} is {target(recorded.request)}; {why}")
        self._position += 1
        return recorded

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


def mismatch(recorded: Request, asked: Request, bound: Bound | None = None) -> str | None:
    """Say why a request is not the recorded one; None if it is. Placeholders fit what they stand for."""
    bound = bound or Bound()
    there, here = target(recorded), target(asked)
    if there != here and not ((is_covered(there) or is_covered(here)) and bound.fits_pairs(there, here)):
        return f"asked was {here}"
    if recorded.body == asked.body or _covers(recorded, asked, bound):
        return None
    before, after = _json_of(recorded), _json_of(asked)
    if before is None or after is None:
        return f"the body was {brief(recorded.body)} and is {brief(asked.body)}"
    if json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True):  # unlike ==, tells true from 1
        return None
    found = "; ".join(f"{each.path}: {each.shown}" for each in differences(before, after)[:3])
    return f"the body differs at {found or 'a number that is written in another way'}"


def _covers(recorded: Request, asked: Request, bound: Bound) -> bool:
    """Say whether two bodies are alike but for what is covered in one of them."""
    texts = []
    for each in (recorded, asked):
        try:
            texts.append(decoded(coding_of(each.headers, each.body), each.body).decode("latin-1"))
        except ValueError:
            return False
    if not any(map(is_covered, texts)):
        return False
    before, after = _json_of(recorded), _json_of(asked)
    if before is not None and after is not None:
        return bound.fits_data(before, after)
    return bound.fits_pairs(*texts)


def _json_of(request: Request) -> JsonData:
    if "json" not in (header(request.headers, "content-type") or "json"):
        return None
    try:
        return json.loads(request.body)
    except ValueError:
        return None
