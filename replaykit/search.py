"""The search: for the culprit among the points of one range.

Theory of operation. What is known is weighed by `suspects`, which names the point to try next; how a point is tried
follows from the `gauge`. A bug that shows each time is judged as a replay is, one that does not is tried as long as
that says more than to go elsewhere. What can't be judged at a point says nothing about it: it is left out, and never
taken for a good or a bad one. If many in a row can't be tried, one that could be is tried again: it may be the machine.

At last the culprit and those right before it are tried once more, by a service that is started anew. What contradicts
them is evidence as well: the bug is flaky then, and the search goes on.
"""

import contextlib
import math
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from replaykit.axis import Point, State, Tried
from replaykit.blame import Outcome
from replaykit.errors import MachineError
from replaykit.memory import Recalled
from replaykit.minutes import Stage
from replaykit.plan import Plan, Range
from replaykit.rate import MISSED
from replaykit.survey import Stay, Survey
from replaykit.suspects import Order, Suspects, chance

STARTS = 3  # of the service, in each of which a bug has to show at its end before it is taken for a steady one
CONFIRMED = 4  # starts in which it has to stay away from the point before the culprit
LOOKS = 12  # attempts at the end where a flaky bug is, at least
SHOWS = 5  # how often it has to show there, so that its rate is known
ANEW = {1, 2, 5, 8, 11}  # attempts there for which the service is started anew
MOST_LOOKS = 200  # attempts at a point, at most
MASKING = 1 / 4  # of the attempts in which it would show may fail otherwise, before a point is left out
INVALID = 3  # attempts at a point that say nothing, none that does being among them
VISITS = 3  # to a point that has to be judged
CHECKED = 4  # points in a row that can't be tried, after which one is tried that could be
AGAIN = 3  # points that could not be judged that are tried once more, if that would tell more
MOST_CONFIRMED = 5  # times that who it is may be contradicted
LEAVE = 0.1  # a point is left when an attempt there says less than this part of what a visit elsewhere does
_FOR_GOOD = {"stale", "unbuildable"}  # words of what is the same the next time, as long as nobody has seen it better
_MACHINE = {"unbuildable", "unreachable", "machine"}  # words of what the machine may be to blame for


class EndedError(Exception):
    """The bisect is over."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome: Outcome = outcome
        self.reason = reason


@dataclass(slots=True)
class Search:
    """Searches one range."""

    range: Range
    plan: Plan
    survey: Survey
    notes: list[str]
    first: float = 0.0  # where its first point stands on the line that is told
    width: float = 1.0  # of that line, from one point to the next
    culprit: int | None = field(init=False, default=None)
    states: dict[int, State] = field(init=False, default_factory=dict)  # by place
    suspects: Suspects = field(init=False)
    _order: Order = field(init=False)
    _places: dict[str, int] = field(init=False)  # by id
    _words: dict[int, str] = field(init=False, default_factory=dict)  # of points that can't be tried, by place
    _troubled: list[int] = field(init=False, default_factory=list)  # those in a row that may be the machine's fault
    _opened: set[int] = field(init=False, default_factory=set)  # places that were tried once more
    _is_at_ends: bool = field(init=False, default=False)  # are the ends being tried?
    _is_ungauged: bool = field(init=False, default=False)  # is it to be found out how often it shows?
    _lock: threading.RLock = field(init=False, default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self._order = Order(len(self.range.points), self.range.parents)
        self._places = {point.id: place for place, point in enumerate(self.range.points)}
        self.suspects = self._weighed_anew(set())

    def _weighed_anew(self, untried: set[int]) -> Suspects:
        """Weigh all that was seen of these points."""
        gauge = self.survey.gauge
        suspects = Suspects(self._order, self.plan.fix, gauge.steady, self.range.far, untried)
        for place, point in enumerate(self.range.points):
            if any(seen := gauge.seen(point)):
                suspects.learn(place, *seen)
        return suspects

    # --- ends

    def try_ends(self) -> None:
        """Try the ends: where the bug is it has to show, at the other one not. Raises EndedError."""
        self._is_at_ends = True
        near, far = self.range.points[-1], self.range.points[0] if self.range.far else None
        present, absent = (far, near) if self.plan.fix else (near, far)
        if present is not None:
            self._try_present(present)
        if absent is not None:
            state, tried = self._settled("end", absent)
            if state == "bad":
                still = "still" if self.plan.fix else "already"
                raise EndedError("not good", f"the bug shows at {absent.name} {still}: {tried.reason}")
            if state == "skipped":
                self._require_machine(tried)
                raise EndedError("not judged", f"{absent.name} can't be judged ({tried.word}): {tried.reason}")
        self._is_at_ends = False

    def _try_present(self, point: Point) -> None:
        """See that the bug shows at an end, and how often."""
        gauge = self.survey.gauge
        for visit in range(VISITS):
            with self._stay("end", point) as stay:
                last = self._measured(stay)
            shown, held = gauge.seen(point)
            if shown or held or visit == VISITS - 1 or last.word in _FOR_GOOD:
                break
            self.survey.void([point])
        self._tell("end", point, "bad" if shown else "good" if held else "skipped", last)
        if not shown and not held:
            self._require_machine(last)
            raise EndedError("not judged", f"{point.name} can't be judged ({last.word}): {last.reason}")
        if not shown:
            raise EndedError("not bad", f"the bug does not show at {point.name}: {last.reason}")
        gauge.present = point
        if held or not self.plan.steady:
            self._doubt(f"The bug shows in {shown} of {shown + held} attempts at {point.name}, so evidence is weighed.")
            self._settle_gauge()

    def _require_machine(self, tried: Tried) -> None:
        """Raise MachineError where it was the machine."""
        if tried.word == "machine":
            raise MachineError(tried.reason)

    def _measured(self, stay: Stay) -> Tried:
        """Try a point where the bug is to be until it is known how often it shows there."""
        gauge, odds = self.survey.gauge, self.plan.odds
        wanted = max(LOOKS, MOST_LOOKS if odds is None else odds.wanted)
        shown = held = others = 0
        last: Tried | None = None
        for done in range(MOST_LOOKS):
            is_first = gauge.steady and not done
            tried = stay.attempt(None if is_first else 1, anew=done > 0 and (done in ANEW or not shown))
            if tried.shown + tried.held:
                self._learn(stay.point, tried)
                shown, held = shown + tried.shown, held + tried.held
                last = tried if tried.shown or last is None else last
            else:
                others += 1
                if not tried.attempts or others >= INVALID + shown + held:
                    return last or tried
            is_rated = shown + held >= LOOKS and (shown >= SHOWS or (not shown and done + 1 >= wanted))
            if (done + 1 >= STARTS and gauge.steady and (not shown or not held)) or is_rated:
                break
        return last or tried

    def _gauge_again(self) -> None:
        """Find out how often a bug shows that was thought to do so each time."""
        present = self.survey.gauge.present
        if present is not None:
            with self._stay("check", present) as stay:
                self._measured(stay)
        self._settle_gauge()

    def _settle_gauge(self) -> None:
        """Say whether only the first attempt of each start counts, and weigh all that was seen like that."""
        gauge = self.survey.gauge
        gauge.anew = not gauge.is_mixed
        self._is_ungauged = False
        if gauge.anew and not gauge.steady:
            self._note("Each start of the service may decide whether it shows, so it is started anew for each attempt.")
        self.suspects = self._weighed_anew(self.suspects.untried)

    def _judged(self, stay: Stay, starts: int = 1) -> tuple[State, Tried]:
        """Try a point until it is known whether the bug is there, whatever is known of others.

        It is tried with so many starts of the service at least.
        """
        gauge, enough = self.survey.gauge, 1 if self.plan.odds is None else self.plan.odds.wanted
        shown = held = others = 0
        last = mask = None
        for attempt in range(MOST_LOOKS):
            is_first = gauge.steady and not attempt
            tried = stay.attempt(None if is_first else 1, anew=0 < attempt < starts)
            if tried.shown + tried.held:
                one, other = self._learn(stay.point, tried)
                shown, held = shown + one, held + other
                last = tried if last is None or tried.shown else last
            if tried.word == "different" or not tried.shown + tried.held:
                others, mask = others + 1, tried
                if not tried.attempts or others >= INVALID + shown + held:
                    return self._left_out(stay.point, tried)
            is_clear = shown > 0 or held >= enough or tried.state == "good"
            if not gauge.steady:
                is_clear = not MISSED < chance(shown, held, gauge.known) < 1 - MISSED
            if attempt >= starts - 1 and is_clear:
                break
        assert last is not None  # noqa: S101  one attempt at least was judged
        is_bad = shown > 0 if gauge.steady else chance(shown, held, gauge.known) > 1 / 2
        if not is_bad and mask is not None and self._is_masked(others, shown + held):
            return self._left_out(stay.point, mask)
        return "bad" if is_bad else "good", last

    def _is_masked(self, others: int, judged: int) -> bool:
        """Say whether so many attempts that say nothing may hide a bug: those in which it would have shown."""
        shown, held = self.survey.gauge.known
        rate = 1.0 if self.survey.gauge.steady else (shown + 1) / (shown + held + 2)
        return others > 1 and others > MASKING * rate * (others + judged)

    def _left_out(self, point: Point, tried: Tried) -> tuple[State, Tried]:
        """Forget what was seen at a point that can't be judged."""
        with self._lock:
            self.survey.gauge.forget(point)
            self.suspects = self._weighed_anew(self.suspects.untried)
        return "skipped", tried

    def _settled(self, stage: Stage, point: Point, starts: int = 1) -> tuple[State, Tried]:
        """Try a point that has to be judged, again and again where it can't be."""
        for visit in range(VISITS):
            with self._stay(stage, point) as stay:
                state, tried = self._judged(stay, starts)
            if state != "skipped" or visit == VISITS - 1 or (stage == "end" and tried.word in _FOR_GOOD):
                break
            self.survey.void([point])  # nobody is to take it for the answer after a stop
        if state == "skipped":
            self.survey.void([point])
        self._tell(stage, point, state, tried)
        return state, tried

    # --- evidence

    def _learn(self, point: Point, tried: Tried) -> tuple[int, int]:
        """Take attempts into account; return in how many that count the bug showed, and in how many it did not.

        A bug that turns out to be flaky is searched for in another way from now on.
        """
        with self._lock:
            gauge = self.survey.gauge
            counted = gauge.note(point, tried, cached=isinstance(tried, Recalled) and tried.cached)
            place = self._places.get(point.id)
            if place is not None:
                self.suspects.learn(place, *counted)
            is_open = not self._is_at_ends or all(gauge.seen(point))  # else the range is wrong
            if gauge.steady and is_open and self.suspects.is_contradicted:
                self._contradicted(point)
            return counted

    def _contradicted(self, point: Point) -> None:
        """Believe what is known from elsewhere no more; where there was none of that, the bug is flaky."""
        gauge = self.survey.gauge
        self.survey.trusts = False
        if gauge.forget_cached():
            self.states = {
                place: state for place, state in self.states.items() if any(gauge.seen(self.range.points[place]))
            }
            self.suspects = self._weighed_anew(self.suspects.untried)
        if self.suspects.is_contradicted:
            self._doubt(f"What is seen at {point.name} contradicts what was seen before: the bug is flaky.")

    def _doubt(self, why: str) -> None:
        """Take the bug for one that shows only now and then."""
        if self.survey.gauge.steady:
            self._note(why)
        self.survey.gauge.doubt()
        self.suspects = self._weighed_anew(self.suspects.untried)
        self._is_ungauged = True

    def _note(self, said: str) -> None:
        self.notes.append(said)
        self.survey.onlooker.noted(said)

    # --- search

    def run(self) -> None:
        """Search until the culprit is confirmed, or nothing more can be found out. Raises EndedError, MachineError."""
        for _ in range(MOST_CONFIRMED):
            self._narrow()
            while not self._is_one() and self._open_again():
                self._narrow()
            if not self._is_one():
                if any(self._words[place] == "machine" for place in self.suspects.among(self._words)):
                    raise MachineError("Some points could not be tried, and would tell more.")
                return
            group = self.suspects.likeliest()
            if self._is_confirmed(group[0]):
                self.culprit = group[0]
                return
        raise EndedError("undecided", "what is seen contradicts itself again and again")

    def _is_one(self) -> bool:
        """Say whether it is known well enough who it is, and it is one point alone."""
        return self._is_known() and len(self.suspects.likeliest()) == 1

    def _narrow(self) -> None:
        """Try points until it is known well enough who it is, or no point says more."""
        free = list(range(len(self.survey.benches)))
        if len(free) > 1:
            self._narrow_at_once(free)
            return
        while not self._is_known():
            if self._is_ungauged:
                self._gauge_again()
                continue
            place = self._next(())
            if place is None:
                return
            self._try(place, 0)

    def _narrow_at_once(self, free: list[int]) -> None:
        """Do it with several points at a time."""
        pending: dict[Future[None], tuple[int, int]] = {}
        with ThreadPoolExecutor(len(free)) as pool:
            try:
                while True:
                    if self._is_ungauged and not pending:
                        self._gauge_again()
                    while free and not self._is_ungauged and not self._is_known():
                        place = self._next([place for place, _ in pending.values()])
                        if place is None:
                            break
                        lane = free.pop()
                        pending[pool.submit(self._try, place, lane)] = place, lane
                    if not pending and not self._is_ungauged:
                        return
                    for done in wait(pending, return_when=FIRST_COMPLETED).done if pending else ():
                        free.append(pending.pop(done)[1])
                        done.result()
            except BaseException:
                self.survey.is_stopped = True
                for bench in self.survey.benches:
                    bench.give_up()
                raise

    def _is_known(self) -> bool:
        with self._lock:
            group = sum(1 << place for place in self.suspects.likeliest())
            is_sure = self.suspects.probability(group) >= self.plan.confidence
            return is_sure and self.is_anchored and not self._is_ungauged

    @property
    def is_anchored(self) -> bool:
        """Whether there is a point that does not have the culprit behind it."""
        return self.range.far or self.plan.before in self.states.values()

    def _next(self, pending: Sequence[int]) -> int | None:
        """Choose the point to try next; None where none says anything."""
        with self._lock:
            if self.suspects.in_the_way >= self.plan.most_skips:
                return None
            if not self.is_anchored:
                further = self._further(pending)
                if further is not None or 0 not in self.suspects.untried:
                    return further
            return self.suspects.next(pending)

    def _further(self, pending: Sequence[int]) -> int | None:
        """Go back from the near end, twice as far each time."""
        near, step = len(self.range.points) - 1, 1
        while True:
            place = max(0, near - step)
            if place not in self.states and place not in pending:
                return place
            if place == 0:
                return None
            step *= 2

    def _try(self, place: int, lane: int) -> None:
        """Try a point as long as that says more than to go elsewhere."""
        point, gauge = self.range.points[place], self.survey.gauge
        with self._stay("search", point, lane) as stay:
            is_judged = gauge.steady or not self.is_anchored
            state, tried = self._judged(stay) if is_judged else self._weighed(stay, place)
        with self._lock:
            self._tell("search", point, state, tried)
            if state != "skipped":
                self._troubled.clear()
                if state == "bad" and gauge.present is None:
                    gauge.present = point
                return
            self.suspects.untried.add(place)
            self._words[place] = tried.word
            if tried.word in _MACHINE:
                self._troubled.append(place)
            troubled = len(self._troubled)
        if troubled >= CHECKED and troubled & (troubled - 1) == 0:
            self._check(lane)

    def _weighed(self, stay: Stay, place: int) -> tuple[State, Tried]:
        """Try a point at which a bug may be that shows only now and then."""
        others, leave = 0, 0.0
        while True:
            tried = stay.attempt(1)
            if not tried.shown + tried.held:
                others, mask = others + 1, tried
                if not tried.attempts or others >= INVALID + sum(self.suspects.seen(place)):
                    return self._left_out(stay.point, tried)
                continue
            with self._lock:
                leave = leave or LEAVE * self.suspects.pace(place, self.survey.coming, self.survey.trying)
                self._learn(stay.point, tried)
                shown, held = self.suspects.seen(place)
                if shown + held >= MOST_LOOKS or self.suspects.gain(place) / self.survey.trying < leave:
                    break
        if chance(shown, held, self.survey.gauge.known) > 1 / 2:
            return "bad", tried
        return self._left_out(stay.point, mask) if self._is_masked(others, shown + held) else ("good", tried)

    def _check(self, lane: int) -> None:
        """Try a point again that could be tried. Raises MachineError where that can't be now."""
        judged = [place for place, state in self.states.items() if state != "skipped"]
        point = self.range.points[judged[-1]]
        with self._stay("check", point, lane) as stay:
            tried = stay.attempt(1)
        if tried.word in _MACHINE:
            self.survey.void([point, *(self.range.points[place] for place in self._troubled)])
            raise MachineError(f"{point.name} could be tried before, and can't be now: {tried.reason}")

    def _open_again(self) -> bool:
        """Let some points be tried once more that did not come up or failed otherwise, if they are in the way."""
        ways = {"unreachable", "different"}
        found = [place for place in self.suspects.among(self._words) if self._words[place] in ways]
        places = [place for place in found if place not in self._opened][: AGAIN - len(self._opened)]
        for place in places:
            self._opened.add(place)
            self.suspects.untried.discard(place)
            self.states.pop(place, None)
        return bool(places)

    # --- confirm

    def _is_confirmed(self, culprit: int) -> bool:
        """Try a point and those right before it once more; say whether it is still the culprit."""
        is_confirmed, itself, trusted = True, self.range.points[culprit], self.survey.trusts
        for point in (itself, *self.before(culprit)):
            wanted = self.plan.after if point.id == itself.id else self.plan.before
            place = self._places.get(point.id)
            was_judged = place is not None and self.states.get(place, "skipped") != "skipped"
            state, tried = self._settled("confirm", point, CONFIRMED if wanted == "good" else 1)
            if state == "skipped" and was_judged:
                self._give_up(point, tried)
            elif state == "skipped":  # what comes from it is as wanted, so it should be
                self._note(f"{point.name}, right before it, can't be judged itself ({tried.word}).")
            elif state != wanted and place is None:
                raise OlderError(point)
            is_confirmed = is_confirmed and state in {wanted, "skipped"}
        if not is_confirmed and self.survey.gauge.steady and trusted == self.survey.trusts:
            self._doubt("What is seen changes from one start of the service to the next.")
        return is_confirmed and self._is_known() and self.suspects.likeliest() == (culprit,)

    def _give_up(self, point: Point, tried: Tried) -> None:
        """Say that a point can't be judged any more that could be."""
        said = f"{point.name} could be judged before, and can't be now ({tried.word}): {tried.reason}"
        if tried.word in _MACHINE:
            raise MachineError(said)
        raise EndedError("undecided", said)

    def before(self, culprit: int) -> list[Point]:
        """Return the points right before one, those that are not listed too."""
        outside = self.range.outside.get(culprit, ())
        places = self._order.before(culprit)
        if outside and self.range.far:  # which stands for them in the order
            places = tuple(place for place in places if place)
        return [*outside, *(self.range.points[place] for place in places)]

    # --- telling

    @contextlib.contextmanager
    def _stay(self, stage: Stage, point: Point, lane: int = 0) -> Iterator[Stay]:
        with self.survey.stay(stage, point, self._stands(point), lane) as stay:
            yield stay

    def _stands(self, point: Point) -> float:
        """Say where a point stands on the line that is told."""
        return self.first + self.width * self._places.get(point.id, 0)

    def _tell(self, stage: Stage, point: Point, state: State, tried: Tried) -> None:
        place = self._places.get(point.id)
        if place is not None and (state != "skipped" or place not in self.states):
            self.states[place] = state
        self.survey.settle(point, state, tried)
        self.survey.onlooker.tried(stage, self.survey.tested(point), self.suspects.left, self.steps)

    @property
    def steps(self) -> float:
        """How many points are still to be tried, as long as all can be."""
        return math.log2(max(1, self.suspects.left)) * (1 if self.survey.gauge.steady else 1.3)


class OlderError(Exception):
    """The bug is at a point before the range already."""

    def __init__(self, point: Point) -> None:
        super().__init__(point.name)
        self.point = point
