"""Cassettes: the recorded interactions of a trace, played instead of the network.

A run is played strictly (Player): the requests come in the order in which they were recorded, and all are
used. What was recorded without a model may also be played first in, first out for each request (Queues), or
with repetitions (Repeats); both find an answer by a key, however many there are. What
counts of a request is its method, its path and query, and its body; JSON bodies are compared as JSON.
The host is a binding, and headers are noise: neither counts. What was redacted fits any value, the same
placeholder the same one.
"""

import hashlib
import itertools
import json
from collections import deque
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import TypeAlias
from urllib.parse import urlsplit

from replaykit.coding import coding_of, decoded
from replaykit.difference import brief, differences
from replaykit.interaction import Cut, Interaction, Request, header
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


def mismatch(recorded: Request, asked: Request, bound: Bound | None = None) -> str | None:
    """Say why a request is not the recorded one; None if it is. Placeholders fit what they stand for."""
    bound = bound or Bound()
    there, here = target(recorded), target(asked)
    if there != here and not ((is_covered(there) or is_covered(here)) and bound.fits_pairs(there, here)):
        return f"asked was {here}"
    if recorded.cut is not None:
        return None if _is_whole_of(recorded.cut, asked.body) else f"the body is not that of {recorded.cut.size} bytes"
    if recorded.body == asked.body or _covers(recorded, asked, bound):
        return None
    before, after = _json_of(recorded), _json_of(asked)
    if before is None or after is None:
        return f"the body was {brief(recorded.body)} and is {brief(asked.body)}"
    if json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True):  # unlike ==, tells true from 1
        return None
    found = "; ".join(f"{each.path}: {each.shown}" for each in differences(before, after)[:3])
    return f"the body differs at {found or 'a number that is written in another way'}"


def _is_whole_of(cut: Cut, body: bytes) -> bool:
    """Say whether a body is the one of which only the beginning was kept; without a digest, its size has to do."""
    return len(body) == cut.size and cut.sha256 in {"", hashlib.sha256(body).hexdigest()}


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


class Queues:
    """A cassette being played in any order: each request gets what was recorded for it, first in, first out.

    Which host was asked counts where several were recorded, and the one that is asked is among them.
    """

    repeats = False  # may the last answer to a request be given again?

    def __init__(self, interactions: Sequence[Interaction]) -> None:
        self._interactions = interactions
        self._used = [False] * len(interactions)
        self._hosts = hosts(interactions)
        self._same: dict[_Key, deque[int]] = {}  # places, by all that counts
        self._near: dict[tuple[str, str], list[int]] = {}  # places, by method and path
        for place, each in enumerate(interactions):
            request = each.request
            for key in {_key(request, ""), _key(request, self._host(request))}:
                self._same.setdefault(key, deque()).append(place)
            self._near.setdefault((request.method, _path(request)), []).append(place)
        self.missed: str | None = None  # why the first request that could not be answered was not

    def answer(self, request: Request) -> Interaction:
        """Return what was recorded for a request. Raises CassetteMissError where nothing was, or nothing is left."""
        place = self.find(request)
        if place is None:
            why = self._why(request)
            self.missed = self.missed or why
            raise CassetteMissError(why)
        return self.take(place)

    def take(self, place: int) -> Interaction:
        """Return the interaction at a place, which is used from now on."""
        self._used[place] = True
        return self._interactions[place]

    def find(self, request: Request) -> int | None:
        """Return the place of the first interaction that is left for a request; None if there is none."""
        queue = self._same.get(_key(request, self._host(request)), deque())
        while queue and self._used[queue[0]]:
            if self.repeats and len(queue) == 1:
                return queue[0]
            queue.popleft()
        return queue[0] if queue else self._look(request)

    def left(self) -> list[int]:
        """List the places of what was recorded and never asked for."""
        return [place for place, used in enumerate(self._used) if not used]

    def unused(self) -> str | None:
        """Say what was recorded and never asked for; None if all was."""
        left = self.left()
        if not left or self.repeats:
            return None
        first = self._interactions[left[0]].request
        return f"{len(left)} recorded requests were never asked for, the first of them {target(first)}"

    def _host(self, request: Request) -> str:
        host = _host(request)
        return host if len(self._hosts) > 1 and host in self._hosts else ""

    def _look(self, request: Request) -> int | None:
        """Look through what may fit though it is written in another way; by method and path first."""
        near = self._near.get((request.method, _path(request)), [])
        for places in (near, range(len(self._interactions))):
            fitting = [place for place in places if self._fits(place, request)]
            unused = next((place for place in fitting if not self._used[place]), None)
            if unused is not None:
                return unused
            if fitting and self.repeats:
                return fitting[-1]
        return None

    def _fits(self, place: int, request: Request) -> bool:
        recorded = self._interactions[place].request
        return (
            recorded.method == request.method
            and self._host(request) in {"", _host(recorded)}
            and mismatch(recorded, request) is None
        )

    def _why(self, request: Request) -> str:
        fitting = sum(self._fits(place, request) for place in range(len(self._interactions)))
        if fitting:
            return f"{target(request)} was recorded {times(fitting)}, and is asked once more"
        place = self.nearest(request)
        if place is None:
            return f"the cassette is empty, and {target(request)} was asked"
        recorded = self._interactions[place].request
        why = mismatch(recorded, request) or f"asked was {_host(request)}, recorded {_host(recorded)}"
        number = place + 1
        return f"the cassette has no such {request.method}: the nearest is number {number}, {target(recorded)}; {why}"

    def nearest(self, request: Request) -> int | None:
        """Return the place of the recorded request that is most like another one; None if nothing was recorded."""
        places = self._near.get((request.method, _path(request))) or range(len(self._interactions))
        wanted = f"{target(request)}\n{brief(request.body, 1000)}"
        matcher = SequenceMatcher(b=wanted, autojunk=False)

        def likeness(place: int) -> tuple[bool, float]:
            recorded = self._interactions[place].request
            matcher.set_seq1(f"{target(recorded)}\n{brief(recorded.body, 1000)}")
            return not self._used[place], matcher.ratio()

        return max(itertools.islice(places, _MOST_COMPARED), key=likeness, default=None)


class Repeats(Queues):
    """A cassette of which any part may be asked for, in any order, and the last answer again and again."""

    repeats = True


def times(number: int) -> str:
    """Say how often."""
    return "once" if number == 1 else f"{number} times"


def hosts(interactions: Sequence[Interaction]) -> set[str]:
    """Collect the hosts, with scheme and port, that were asked."""
    return {_host(each.request) for each in interactions}


def is_elsewhere(recorded: Request, asked: Request, known: set[str]) -> bool:
    """Say whether a request went to another one of several recorded hosts."""
    return len(known) > 1 and _host(asked) in known and _host(asked) != _host(recorded)


_MOST_COMPARED = 200  # requests that are looked at for the nearest one

_Key: TypeAlias = tuple[str, str, str, str | bytes]


def _key(request: Request, host: str) -> _Key:
    """Return all that counts of a request: two with the same key are the same."""
    data = _json_of(request)
    return host, request.method, target(request), request.body if data is None else json.dumps(data, sort_keys=True)


def _host(request: Request) -> str:
    parts = urlsplit(request.url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"


def _path(request: Request) -> str:
    return urlsplit(request.url).path or "/"
