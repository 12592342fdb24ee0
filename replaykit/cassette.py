"""Cassettes: the recorded interactions of a trace, played instead of the network.

Played strictly (Player), the requests come in the order in which they were recorded, and all are used. A cassette may
also be played first in, first out for each request (Queues), or with repetitions (Repeats); both find an answer by a
key, however many there are. What counts of a request is its method, its path and query, and its body; JSON bodies are
compared as JSON. The host is a binding, and headers are noise: neither counts. What was redacted fits any value, as far
as the placeholders of one cassette say (Bound).

In no order is a request answered with what was recorded at a later step: what was seen after other commands says
nothing of now. In any order, what was recorded at the same step answers first, then what is left of those before it. A
check that may take its time to hold looks again and again; then only what was recorded at the same step answers.
"""

import contextlib
import hashlib
import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, Literal, NoReturn, TypeAlias
from urllib.parse import urlsplit

from replaykit.difference import brief, differences
from replaykit.errors import UsageError
from replaykit.gist import Gist, Key, Mask, target
from replaykit.interaction import Interaction, Request
from replaykit.placeholder import Bound, is_covered
from replaykit.trace import Moments, Trace, place_of

Order: TypeAlias = Literal["strict", "fifo", "any"]


class _Reel:
    """What all cassettes are: interactions, where each was recorded, and why one was not there."""

    def __init__(
        self,
        interactions: Sequence[Interaction],
        *,
        moments: Moments | None = None,
        places: Sequence[str] = (),
        turns: Mapping[str, int] | None = None,
        asked: Mapping[str, int] | None = None,
    ) -> None:
        self._interactions = interactions
        self._places = places  # "step 3", for each of them
        self._turns = turns or {place: turn for turn, place in enumerate(dict.fromkeys(places))}  # their order
        self.moments: Moments = moments or {}  # when the calls of branches were sent and answered
        self.asked: Mapping[str, int] = asked or {}  # how many requests were sent for the command at a place
        self.missed: str | None = None  # why the first request that could not be answered was not

    def run_out(self, request: Request, size: int) -> None:
        """Know that more was read of an answer than was recorded. Raises CassetteMissError."""
        self._miss(f"the cassette holds the first {size} bytes of the answer to {target(request)}, and more was read")

    def _miss(self, why: str) -> NoReturn:
        self.missed = self.missed or why
        raise CassetteMissError(why)

    def _number(self, place: int) -> str:
        """Name a recorded request by its number, from 1, and by where it was recorded."""
        return f"number {place + 1}{f' ({self._places[place]})' if self._places else ''}"

    def _left_over(self, left: Sequence[int]) -> str:
        first = self._interactions[left[0]].request
        where = f" ({self._places[left[0]]})" if self._places else ""
        return f"{len(left)} recorded requests were never asked for, the first of them {target(first)}{where}"


class Player(_Reel):
    """A cassette being played: strict, from the first interaction to the last."""

    def __init__(self, interactions: Sequence[Interaction], **more: Any) -> None:
        super().__init__(interactions, **more)
        self.played = 0  # how many of them
        self._bound = Bound()  # what its placeholders stand for

    def answer(self, request: Request, at: str = "") -> Interaction:  # noqa: ARG002
        """Return the next recorded interaction. Raises CassetteMissError if it is not one for this request."""
        if self.played == len(self._interactions):
            self._miss(f"the cassette is at its end, and {target(request)} was asked{self._elsewhere(request)[1]}")
        recorded = self._interactions[self.played]
        why = mismatch(recorded.request, request, self._bound)
        if why is not None:
            here = f"{self._number(self.played)} is {target(recorded.request)}; {why}"
            is_known, elsewhere = self._elsewhere(request)
            self._miss(f"the cassette has {'another' if is_known else 'no such'} request: {here}{elsewhere}")
        self.played += 1
        return recorded

    def _elsewhere(self, request: Request) -> tuple[bool, str]:
        """Say whether a request was recorded at another place; and where, or which is nearer than the one here."""
        asked = Gist(request)
        near = sorted(range(len(self._interactions)), key=lambda place: (abs(place - self.played), place))
        near = near[:_MOST_LOOKED_AT]
        gists = {place: Gist(self._interactions[place].request) for place in near}
        place = next((each for each in near if gists[each].fits(asked, self._bound.trial())), None)
        if place is not None:
            return True, f"; what was asked is {self._number(place)}"
        place = nearest(asked, gists, near)
        if place is None or place == self.played:
            return False, ""
        why = mismatch(gists[place].request, request, self._bound.trial())
        return False, f"; the nearest is {self._number(place)}, {gists[place].target}: {why}"

    def unused(self) -> str | None:
        """Say what was recorded and never asked for; None if all was."""
        left = range(self.played, len(self._interactions))
        return self._left_over(left) if left else None

    def spent(self, place: str) -> bool:  # noqa: ARG002
        """Say whether looking again can bring nothing: all was played."""
        return self.played == len(self._interactions)

    @contextlib.contextmanager
    def again(self, place: str) -> Iterator[None]:  # noqa: ARG002
        """Look again: what comes next was recorded without a command in between, or is no answer."""
        yield


class CassetteMissError(Exception):
    """The cassette has no answer; the run ends as stale, whatever the adapter does with this."""


def mismatch(recorded: Request, asked: Request, bound: Bound | None = None) -> str | None:
    """Say why a request is not the recorded one; None if it is. Placeholders fit what they stand for."""
    there, here = Gist(recorded), Gist(asked)
    if recorded.cut is None and there.target == here.target and recorded.body == asked.body:
        return None
    bound = bound or Bound()
    trial = bound.trial()
    if there.fits(here, trial):
        bound.take(trial)
        return None
    if there.is_covered and there.fits(here, Bound()):
        return "what is covered in it is another value than before"
    return _difference(there, here)


def _difference(recorded: Gist, asked: Gist) -> str:
    if recorded.target != asked.target and not Bound().fits_all(recorded.target.split("&"), asked.target.split("&")):
        return f"asked was {asked.target}"
    if recorded.request.cut is not None:
        return f"the body is not that of {recorded.request.cut.size} bytes"
    size = max(len(recorded.body), len(asked.body))
    if size > _MOST_TOLD or max(recorded.body.count(b","), asked.body.count(b",")) > _MOST_VALUES:
        return f"the body was {_sized(recorded.body)} and is {_sized(asked.body)}"
    if recorded.data is None or asked.data is None:
        return f"the body was {brief(recorded.body)} and is {brief(asked.body)}"
    listed = differences(recorded.data, asked.data, aligned=size <= _MOST_ALIGNED)
    found = "; ".join(f"{each.path}: {each.shown}" for each in listed[:3])
    return f"the body differs at {found or 'a number that is written in another way'}"


def _sized(body: bytes) -> str:
    return f"one of {len(body)} bytes (SHA-256 {hashlib.sha256(body).hexdigest()[:16]})"


class Queues(_Reel):
    """A cassette being played in any order: each request gets what was recorded for it, first in, first out.

    Which host was asked counts where several were recorded, and the one that is asked is among them.
    """

    repeats = False  # may the last answer to a request be given again?

    def __init__(
        self,
        interactions: Sequence[Interaction],
        bound: Bound | None = None,
        **more: Any,
    ) -> None:
        super().__init__(interactions, **more)
        self.played = 0  # how many of them, each counted once
        self._turn = 0  # of the place that asks now
        self._only: str | None = None  # the place of what may answer now; None: those before it too
        self._bound = Bound() if bound is None else bound
        self._used = [False] * len(interactions)
        self._hosts = hosts(interactions)
        self._same: dict[tuple[str, Key], dict[int, deque[int]]] = {}  # places, by all that counts, and by their turn
        self._near: dict[tuple[str, str], list[int]] = {}  # places, by method and path
        self._cuts = {each.request.cut.size for each in interactions if each.request.cut is not None}
        self._gists = [Gist(each.request) for each in interactions]
        for place, gist in enumerate(self._gists):
            request, turn = gist.request, self._turn_of(place)
            for key in gist.ways():
                for host in {"", self._host(request)}:
                    self._same.setdefault((host, key), {}).setdefault(turn, deque()).append(place)
            self._near.setdefault((request.method, _path(request)), []).append(place)

    def answer(self, request: Request, at: str = "") -> Interaction:
        """Return what was recorded for a request that is sent at a place of the run.

        Raises CassetteMissError where nothing was until there, or nothing is left.
        """
        self._turn = self._turns.get(at, 0)
        fitting = self._fitting(Gist(request))
        if not fitting:
            self._miss(self._why(request))
        place, trial = fitting[0]
        for other, another in fitting[1:]:
            if trial.learned and another.learned != trial.learned:
                self._miss(
                    f"{target(request)} may be number {place + 1} or number {other + 1}, which differ in what is "
                    "covered; which of them it is can be told in strict order"
                )
        self._bound.take(trial)
        return self.take(place)

    def take(self, place: int) -> Interaction:
        """Return the interaction at a place, which is used from now on."""
        self.played += not self._used[place]
        self._used[place] = True
        return self._interactions[place]

    def find(self, request: Request) -> int | None:
        """Return the place of the first interaction that is left for a request; None if there is none."""
        fitting = self._fitting(Gist(request))
        return min(place for place, _ in fitting) if fitting else None

    def _fitting(self, asked: Gist) -> list[tuple[int, Bound]]:
        """List the places that fit, and what their placeholders then stand for; first where that is nothing new."""
        host = self._host(asked.request)
        keys = asked.ways()
        if len(asked.request.body) in self._cuts:
            keys += asked.ways_of_whole()
        place = self._first((host, key) for key in keys)
        if place is not None:
            return [(place, self._bound.trial())]
        fitting = self._look(asked, host, self._masked(asked))
        if not fitting:
            variants = self._variants if asked.is_covered else [key for key in self._variants if key in self._covered]
            fitting = self._look(asked, host, variants)
        return sorted(fitting, key=lambda each: (bool(each[1].learned), each[0]))

    def _first(self, keys: Iterable[tuple[str, Key]]) -> int | None:
        """Return the first place of some keys that may answer now: of this turn, else of those before it."""
        listed = [self._same[key] for key in keys if key in self._same]
        here = [each[self._turn] for each in listed if self._turn in each]
        place = self._next(here)
        if place is not None or self._only is not None:
            return place
        before = [queue for each in listed for turn, queue in each.items() if turn < self._turn]
        if self.repeats:
            return max((queue[-1] for queue in before), default=None)
        return self._next(before)

    def _next(self, queues: Sequence[deque[int]]) -> int | None:
        """Return the first place that is left in some queues; where answers are repeated, else the last of all."""
        for queue in queues:
            while queue and self._used[queue[0]] and not (self.repeats and len(queue) == 1):
                queue.popleft()
        heads = [queue[0] for queue in queues if queue]
        left = [place for place in heads if not self._used[place]]
        return min(left, default=None) if left or self._only is not None else max(heads, default=None)

    def _turn_of(self, place: int) -> int:
        return self._turns[self._places[place]] if self._places else 0

    def _look(self, asked: Gist, host: str, variants: Iterable[Key]) -> list[tuple[int, Bound]]:
        fitting = []
        for key in variants:
            place = self._first([(host, key)])
            trial = self._bound.trial()
            if place is not None and self._gists[place].fits(asked, trial):
                fitting.append((place, trial))
        return fitting

    def _masked(self, asked: Gist) -> list[Key]:
        """List the recorded requests that are like another one but for what is covered in them."""
        leaves = asked.leaves() if self._covered else {}
        return [
            key
            for mask, found in self._masks.items()
            if mask <= leaves.keys()
            for key in found.get(_without(leaves, mask), ())
        ]

    @cached_property
    def _variants(self) -> dict[Key, Gist]:
        """The recorded requests that differ from each other."""
        found: dict[Key, Gist] = {}
        for each in self._gists:
            found.setdefault(each.ways()[0], each)
        return found

    @cached_property
    def _covered(self) -> set[Key]:
        """Those in which something is covered."""
        return {key for key, each in self._variants.items() if each.is_covered}

    @cached_property
    def _masks(self) -> dict[Mask, dict[frozenset[tuple[str, str]], list[Key]]]:
        """Those, by where it is, and by all else that counts of them."""
        masks: dict[Mask, dict[frozenset[tuple[str, str]], list[Key]]] = {}
        for key in self._covered:
            leaves = self._variants[key].leaves()
            mask = frozenset(place for place, leaf in leaves.items() if is_covered(leaf))
            masks.setdefault(mask, {}).setdefault(_without(leaves, mask), []).append(key)
        return masks

    def gist(self, place: int) -> Gist:
        """Return what counts of the request at a place."""
        return self._gists[place]

    def left(self) -> list[int]:
        """List the places of what was recorded and never asked for."""
        return [place for place, used in enumerate(self._used) if not used]

    def unused(self) -> str | None:
        """Say what was recorded and never asked for; None if all was."""
        left = self.left()
        return self._left_over(left) if left and not self.repeats else None

    def spent(self, place: str) -> bool:
        """Say whether looking again can bring nothing: of what was recorded at a place, or later, nothing is left."""
        first = self._places.index(place) if place in self._places else 0
        return all(self._used[first:])

    @contextlib.contextmanager
    def again(self, place: str) -> Iterator[None]:
        """Look again: only what was recorded at the same place answers, each once."""
        self._only = place
        try:
            yield
        finally:
            self._only = None

    def _host(self, request: Request) -> str:
        host = _host(request)
        return host if len(self._hosts) > 1 and host in self._hosts else ""

    def _why(self, request: Request) -> str:
        gist, host = Gist(request), self._host(request)
        if self._only is not None:
            return f"at {self._only}, {target(request)} is asked once more than it was recorded there"
        fitting = [
            place
            for place, each in enumerate(self._gists)
            if host in {"", _host(each.request)} and each.fits(gist, self._bound.trial())
        ]
        later = next((place for place in fitting if not self._used[place]), None)
        if later is not None and self._turn_of(later) > self._turn:
            return f"{target(request)} is asked before {self._number(later)}, and what came later says nothing of now"
        if fitting:
            return f"{target(request)} was recorded {times(len(fitting))}, and is asked once more"
        near = self._near.get((request.method, _path(request))) or range(len(self._interactions))
        place = nearest(gist, self._gists, sorted(near, key=self._used.__getitem__))
        if place is None:
            return f"the cassette is empty, and {target(request)} was asked"
        recorded = self._interactions[place].request
        why = mismatch(recorded, request, self._bound.trial())
        why = why or f"asked was {_host(request)}, recorded {_host(recorded)}"
        nearby = f"{self._number(place)}, {target(recorded)}"
        return f"the cassette has no such {request.method}: the nearest is {nearby}; {why}"


class Repeats(Queues):
    """A cassette of which any part may be asked for, in any order, and the last answer again and again."""

    repeats = True


ORDERS: dict[Order, Callable[..., Player | Queues]] = {"strict": Player, "fifo": Queues, "any": Repeats}


def finder(order: str) -> Callable[..., Player | Queues]:
    """Return what plays interactions in an order. Raises UsageError where there is no such order."""
    found = next((kind for name, kind in ORDERS.items() if name == order), None)
    if found is None:
        raise UsageError(f"There is no order {order!r}.", f"Choose one of {', '.join(ORDERS)}.")
    return found


def played(trace: Trace, order: Order = "strict") -> Player | Queues:
    """Return the cassette of a run. Raises UsageError where there is no such order."""
    placed = trace.placed()
    interactions, places = [each for each, _ in placed], [place for _, place in placed]
    asked = {place_of(step.call.label): len(step.interactions) for step in trace.steps if step.faults}
    return finder(order)(interactions, moments=trace.moments, places=places, turns=trace.turns, asked=asked)


def nearest(asked: Gist, gists: Sequence[Gist] | Mapping[int, Gist], places: Sequence[int]) -> int | None:
    """Return the place of the recorded request that is most like another one; of several, the first of `places`.

    Those of the same method and path are nearer than all others.
    """
    here = asked.request.method, _path(asked.request)
    there = [place for place in places if (gists[place].request.method, _path(gists[place].request)) == here]
    wanted = _pieces(asked)

    def likeness(place: int) -> float:
        pieces = _pieces(gists[place])
        return (wanted & pieces).total() / (wanted.total() + pieces.total())

    return max(islice(there or places, _MOST_COMPARED), key=likeness, default=None)


def _pieces(gist: Gist) -> Counter[str]:
    """Count the pieces of three characters in a request: two that share many are alike (Dice, 1945).

    What they share is found in one pass; the longest parts that they have in common would take minutes for some.
    """
    text = f"\n\n{_wording(gist)}\n\n"
    return Counter(map("".join, zip(text, text[1:], text[2:], strict=False)))


def _wording(gist: Gist) -> str:
    """Say all that counts of a request, JSON in one way."""
    body = repr(gist.body[:1000]) if gist.data is None else json.dumps(gist.data, sort_keys=True)
    return f"{gist.target[:1000]}\n{body[:1000]}"


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
_MOST_TOLD = 64 * 1024  # bytes of a body in which is looked for what differs
_MOST_VALUES = 6_000  # commas in it: to compare so many values takes a second
_MOST_ALIGNED = 2 * 1024  # bytes of a body in which a value that was put into a list is told as one difference
_MOST_LOOKED_AT = 1000  # before and after the one that is next, for the one that was asked


def _without(leaves: dict[str, str], mask: Mask) -> frozenset[tuple[str, str]]:
    return frozenset(each for each in leaves.items() if each[0] not in mask)


def _host(request: Request) -> str:
    parts = urlsplit(request.url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"


def _path(request: Request) -> str:
    return urlsplit(request.url).path or "/"
