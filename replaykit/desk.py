"""The desk: answers from a bundle whoever asks, says why not, and knows where in the recorded run that is.

It plays the bundle's cassette, as an offline replay does, for clients that know nothing of steps: so what is left of a
request is given whatever the step, and a round begins anew when it is asked to, or when a client sends what began the
recorded run, its reset. Clients of other languages write the same URL with other escapes; which ones is not compared.
"""

import re
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TypeAlias
from urllib.parse import SplitResult, unquote, unquote_plus, urlsplit

from replaykit.bundle import Bundle
from replaykit.cassette import CassetteMissError, Order, Player, finder, mismatch
from replaykit.gist import target
from replaykit.interaction import Interaction, Request, header
from replaykit.report.steps import call_text
from replaykit.surface import schema_for
from replaykit.tape import hushed
from replaykit.trace import RESET, Step, Trace, place_of
from replaykit.value import JsonData, Record, loads

VERSION = 1
MOST_MISSES = 100  # that are told
MOST_TOLD = 64 * 1024  # bytes of a body in which is looked for secrets, so that what differs in it can be told

_OF_BODY = re.compile(r"the body (?:differs at|was) .*", re.DOTALL)

Wording: TypeAlias = tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]


class Recorded(Record):
    """A recorded request."""

    number: int  # from 1, in the order of sending
    place: str | None  # reset, step 3, the end; null where there was no model
    request: str  # POST /players
    call: str | None  # of its step: create_player(name='a')


class Missed(Record):
    """A request that nothing was recorded for."""

    request: str
    why: str


class UnansweredError(Exception):
    """Nothing was recorded for a request; what is secret in it is covered in what is told of that."""

    def __init__(self, missed: Missed) -> None:
        super().__init__(missed.why)
        self.missed = missed


class Stand(Record):
    """How far a bundle is played."""

    version: int = VERSION
    bundle: str  # its path, as it was named
    order: Order
    url: str | None = None  # where it is served; null where it is not
    round: int  # from 1; a reset begins the next one
    recorded: int  # requests, those of the reset included
    played: int  # of them, in this round
    unused: int  # that were asked for in no round, those of the reset left out
    next: Recorded | None  # in strict order what has to be asked now; else the first one that is left; null at the end
    last: Recorded | None  # what was answered last in this round
    state: JsonData = None  # the projection after the step that was answered last; null where none is known
    nonce: str | None  # what makes minted values unique; null where nothing was minted
    missed: int  # requests that were not answered, in all rounds
    misses: tuple[Missed, ...]  # the last ones of them


class Desk:
    """A bundle that is played, round after round; it may be asked by several threads."""

    def __init__(self, bundle: Bundle, name: str, order: Order = "strict", *, checks: bool = True) -> None:
        trace = bundle.trace
        placed = [each for each in trace.placed() if checks or id(each[0]) not in _of_checks(trace)]
        self._interactions = [each for each, _ in placed]
        self._places = [place for _, place in placed] if trace.steps or trace.resetting else []
        self._numbers = {id(each): number for number, each in enumerate(self._interactions)}
        self._resets = next((n for n, place in enumerate(self._places) if place != RESET), len(self._places))
        self._steps: Mapping[str, Step] = {place_of(step.call.label): step for step in trace.steps}
        self._written: dict[Wording, set[tuple[str, str]]] = {}  # paths and queries
        for each in self._interactions:
            parts = urlsplit(each.request.url)
            self._written.setdefault(_wording(parts), set()).add((parts.path or "/", parts.query))
        self._name, self._order, self._nonce = name, order, trace.nonce or None
        self._kind = finder(order)
        self._lock = threading.Lock()
        self._ever: set[int] = set()  # what was asked for, in any round
        self._missed, self._misses = 0, deque[Missed](maxlen=MOST_MISSES)
        self._round = 0
        self._begin()

    def _begin(self) -> None:
        turns = dict.fromkeys(self._places, 0)  # nobody says which step it is
        self._finder = self._kind(self._interactions, places=self._places, turns=turns)
        self._used: set[int] = set()
        self._last: int | None = None
        self._round += 1

    def reset(self) -> None:
        """Begin the next round: all is there again."""
        with self._lock:
            self._begin()

    def answer(self, request: Request) -> Interaction:
        """Return what was recorded for a request. Raises UnansweredError, which says why nothing was."""
        request = self._as_written(request)
        with self._lock:
            try:
                found = self._find(request)
            except CassetteMissError as miss:
                missed = _told(request, str(miss))
                self._count(missed)
                raise UnansweredError(missed) from None
            number = self._numbers[id(found)]
            self._used.add(number)
            self._ever.add(number)
            self._last = number
            return found

    def miss(self, missed: Missed) -> None:
        """Count a request that was not answered for another reason than that nothing was recorded for it."""
        with self._lock:
            self._count(missed)

    def _count(self, missed: Missed) -> None:
        self._missed += 1
        self._misses.append(missed)

    def knows(self, request: Request) -> bool:
        """Say whether a request of this method was recorded for this path and query at any place."""
        asked = _wording(urlsplit(request.url))
        methods = (each.request.method for each in self._interactions if _wording(urlsplit(each.request.url)) == asked)
        return request.method in methods

    @property
    def speaks_json(self) -> bool:
        """Whether an answer of the recorded service is JSON."""
        answers = (each.response for each in self._interactions if each.response is not None)
        return any("json" in (header(each.headers, "content-type") or "").lower() for each in answers)

    def _as_written(self, request: Request) -> Request:
        """Return a request with the escapes that a recorded one has, where it is the same without them."""
        asked = urlsplit(request.url)
        known = self._written.get(_wording(asked), ())
        if not known or (asked.path, asked.query) in known:
            return request
        path, query = min(known)
        return request.replace(url=asked._replace(path=path, query=query).geturl())

    def _find(self, request: Request) -> Interaction:
        begins = bool(self._used) and self._resets > 0 and mismatch(self._interactions[0].request, request) is None
        if begins and 0 in self._used and self._order == "any":
            self._begin()  # else the reset would be answered, and nothing would be reset
        try:
            return self._finder.answer(request)
        except CassetteMissError as miss:
            why = miss
        if isinstance(self._finder, Player) and self._finder.played < self._resets:
            before, self._finder.played = self._finder.played, self._resets  # a client need not reset what is new
            try:
                return self._finder.answer(request)
            except CassetteMissError as miss:
                why, self._finder.played = miss, before
        if not begins:
            raise why
        self._begin()
        return self._finder.answer(request)

    def numbered(self, interaction: Interaction) -> Recorded:
        """Say which one of the recorded requests an answer belongs to."""
        return self._recorded(self._numbers[id(interaction)])

    def _recorded(self, number: int) -> Recorded:
        place = self._places[number] if self._places else None
        step = self._steps.get(place or "")
        return Recorded(
            number=number + 1,
            place=place,
            request=target(self._interactions[number].request),
            call=None if step is None else call_text(step.call),
        )

    @property
    def is_over(self) -> bool:
        """Whether all was asked for; not where nothing can be."""
        return bool(self._interactions) and not self._left()

    def _left(self) -> list[int]:
        return [number for number in range(self._resets, len(self._interactions)) if number not in self._ever]

    def stand(self, url: str | None = None) -> Stand:
        """Tell how far it is played."""
        with self._lock:
            here = range(len(self._interactions))
            left = [number for number in here if number not in self._used]
            if isinstance(self._finder, Player):
                left = list(here[self._finder.played :])
            step = None if self._last is None else self._steps.get(self._places[self._last] if self._places else "")
            return Stand(
                bundle=self._name,
                order=self._order,
                url=url,
                round=self._round,
                recorded=len(self._interactions),
                played=len(self._used),
                unused=len(self._left()),
                next=self._recorded(left[0]) if left else None,
                last=None if self._last is None else self._recorded(self._last),
                state=None if step is None or step.state is None else loads(step.state),
                nonce=self._nonce,
                missed=self._missed,
                misses=tuple(self._misses),
            )

    def unused(self) -> str | None:
        """Say what was asked for in no round; None if all was."""
        left = self._left()
        if not left:
            return None
        first = self._recorded(left[0])
        number = f"number {first.number}{f' ({first.place})' if first.place else ''}"
        return (
            f"{len(left)} of {len(self._interactions)} recorded requests were never asked for, "
            f"the first of them {number}, {first.request}"
        )


def _told(request: Request, why: str) -> Missed:
    """Tell of a request without the secrets in it; of a large body not what is in it, which would take seconds."""
    if len(request.body) > MOST_TOLD:
        why = _OF_BODY.sub("the body is another one", why)
        request = request.replace(body=b"")
    shown, _, why = hushed(f"{target(request)}\n{why}", Interaction(request=request)).partition("\n")
    return Missed(request=shown, why=why)


def _of_checks(trace: Trace) -> set[int]:
    """Collect what was sent only to read observations."""
    read: Sequence[Interaction] = [*(each for step in trace.steps for each in step.observing), *trace.closing]
    return set(map(id, read))


def _wording(parts: SplitResult) -> Wording:
    """Return what two URLs have in common that differ in their escapes alone (RFC 3986, section 6.2.2)."""
    path = tuple(map(unquote, (parts.path or "/").split("/")))
    query = tuple(tuple(map(unquote_plus, pair.split("=", 1))) for pair in parts.query.split("&"))
    return path, query


def schema() -> str:
    """Return the JSON Schema of a stand, as it is published."""
    return schema_for(Stand, f"What replaykit serve --json prints, version {VERSION}")
