"""Bisect: along an axis, to the point that brought a bug, or that mended it.

Theory of operation. First the ends are tried: the bug has to show at the one and to stay away from the other, else
there is nothing to search for. How often it shows where it is decides how the search goes on: halving where that is
each time, weighing evidence where it is not (see `suspects`). What can't be judged at a point, because it can't be
built or started, or fails in another way, says nothing about it: the point is left out, and never taken for a good
or a bad one. If many in a row can't be tried, one that could be is tried again, since it may be the machine.

At last the culprit and the point before it are tried once more, by a service that is started anew. Only what is seen
again is told. What contradicts it is evidence as well: the bug is flaky then, and the search goes on.

After a stop it begins again from its beginning, and recalls what was found out instead of finding it out; so it comes
to the same place, and goes on from there.
"""

import contextlib
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from replaykit.axis import Bench, Point, State, Tried
from replaykit.blame import Blame, Outcome, Suspect
from replaykit.errors import MachineError
from replaykit.memory import Memory
from replaykit.minutes import Stage
from replaykit.onlooker import Onlooker
from replaykit.rate import MISSED, Odds
from replaykit.survey import BudgetError, Stay, Survey
from replaykit.suspects import Order, Suspects, chance

STARTS = 3  # of the service, in each of which a bug has to show at its end before it is taken for a steady one
CONFIRMED = 4  # starts in which it has to stay away from the point before the culprit
ANEW = {1, 2, 5, 8, 11}  # attempts at the end where the bug is for which the service is started anew
MOST_MEASURED = 3  # times that it is measured anew how often a bug shows
LOOKS = 12  # attempts at the end where a flaky bug is, at least
SHOWS = 5  # how often it has to show there, so that its rate is known
MOST_LOOKS = 200  # attempts at a point, at most
INVALID = 5  # attempts at a point that say nothing, none that does being among them
CHECKED = 4  # points in a row that can't be tried, after which one is tried that could be
MOST_SKIPS = 8  # points among the suspects that can't be tried, after which it is told who is left
MOST_CONFIRMED = 5  # times that who it is may be contradicted
MOST_TOLD = 1000  # suspects
LEAVE = 0.1  # a point is left when an attempt there says less than this part of what a visit elsewhere does
_MACHINE = {"unbuildable", "unreachable", "machine"}  # words of what the machine may be to blame for


@dataclass(frozen=True, slots=True)
class Range:
    """The points that are searched, from old to new."""

    points: Sequence[Point]  # the last one is the near end; the first one the far end, where that is known
    parents: Sequence[Sequence[int]] | None = None  # places of those right before each; None for a line
    far: bool = True  # is the first one the far end?


@dataclass(frozen=True, slots=True)
class Plan:
    """How a bisect is made."""

    fix: bool = False  # search for the point that mended the bug
    steady: bool = True  # did the bug show each time when it was recorded?
    odds: Odds | None = None  # how often it did
    confidence: float = 0.99  # a part of 1
    most_attempts: int = 2000
    most_seconds: float | None = None
    most_skips: int = MOST_SKIPS


class _EndedError(Exception):
    """The bisect is over."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome: Outcome = outcome
        self.reason = reason


@dataclass(slots=True)
class Bisect:
    """One bisect; `run` makes it."""

    range: Range
    benches: Sequence[Bench]
    plan: Plan
    memory: Memory
    onlooker: Onlooker = field(default_factory=Onlooker)
    inside: Callable[[Point], Range | None] = lambda _: None  # the points that came with a merge, itself the last
    survey: Survey = field(init=False)
    suspects: Suspects = field(init=False)
    notes: list[str] = field(init=False, default_factory=list)
    _base: Range | None = field(init=False, default=None)  # of the first search, where this is one inside of a merge
    _merge: int = field(init=False, default=0)  # the merge's place there
    _states: dict[int, State] = field(init=False, default_factory=dict)  # by place
    _troubled: list[int] = field(
        init=False, default_factory=list
    )  # of them, those for which the machine may be to blame
    _lock: threading.RLock = field(init=False, default_factory=threading.RLock)
    _known: tuple[int, int] = field(init=False, default=(0, 0))  # how often it shows where it is: yes, no
    _is_at_ends: bool = field(init=False, default=True)  # are the ends being tried?
    _present: int | None = field(init=False, default=None)  # the end where it is
    _starts: list[list[int]] = field(init=False, default_factory=list)  # of the service: place, attempts shown, held
    _latest: dict[int, list[int]] = field(init=False, default_factory=dict)  # the latest start by place
    _is_unmeasured: bool = field(init=False, default=False)  # is it to be found out how often it shows?
    _measured_again: int = field(init=False, default=0)
    _culprit: int | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        plan = self.plan
        self.survey = Survey(
            self.benches, self.memory, self.onlooker, plan.most_attempts, plan.most_seconds, plan.steady
        )
        self.suspects = self._suspects()
        if plan.odds is not None:
            self._known = (plan.odds.failed, plan.odds.runs - plan.odds.failed)

    def run(self) -> Blame:
        """Search. What goes wrong on the way is told by the blame; Ctrl-C too."""
        signal = None
        try:
            self._run()
            outcome, reason = self._told()
        except _EndedError as end:
            outcome, reason = end.outcome, end.reason
        except BudgetError as error:
            outcome, reason = "undecided", f"the budget is spent: {error}"
        except MachineError as error:
            outcome, reason = "trouble", f"the machine is in trouble: {error.happened}"
        except KeyboardInterrupt as interrupt:
            outcome, reason = "interrupted", "it was stopped on request"
            signal = getattr(interrupt, "signal_number", 2)
        blame = self._blame(outcome, reason, signal)
        self.onlooker.ended(blame)
        return blame

    # --- the way

    def _run(self) -> None:
        size = len(self.range.points) - self.range.far
        self.onlooker.planned(size, self._steps())
        self._try_ends()
        self._is_at_ends = False
        self._search()
        self._confirm_all()
        merge = self._culprit
        if merge is None or len(self._order.before(merge)) > 1:  # the graph was searched, not a line
            return
        inside = self.inside(self.range.points[merge])
        if inside is not None:
            self._enter(inside, merge)
            self._search()
            self._confirm_all()

    def _enter(self, inside: Range, merge: int) -> None:
        """Go on inside of a merge, with what is known of it and of the point before it."""
        before, itself = self.suspects.seen(merge - 1), self.suspects.seen(merge)
        self._base, self._merge, self.range = self.range, merge, inside
        self.suspects = self._suspects()
        self._culprit, self._states = None, {0: "bad" if self.plan.fix else "good"}
        self._present, self._starts = None, [[0, *before], [len(inside.points) - 1, *itself]]
        self._latest = {}
        self.suspects.learn(0, *before)
        self.suspects.learn(len(inside.points) - 1, *itself)
        self.onlooker.noted(
            f"It came with a merge of {len(inside.points) - 2} commits; the search goes on inside of it."
        )

    def _suspects(self) -> Suspects:
        order = Order(len(self.range.points), self.range.parents)
        return Suspects(order, self.plan.fix, self.survey.steady, self.range.far)

    @property
    def _order(self) -> Order:
        return self.suspects.order

    # --- ends

    def _try_ends(self) -> None:
        """Try the ends: the one where the bug is has to show it, the other one not."""
        near = len(self.range.points) - 1
        if self.plan.fix:
            if self.range.far:
                self._try_present(0)
            self._try_absent(near)
        else:
            self._try_present(near)
            if self.range.far:
                self._try_absent(0)

    def _try_present(self, place: int) -> None:
        """See that the bug shows at an end, and how often."""
        with self._stay("end", place) as stay:
            shown, held, last = self._measured(stay, place)
        name = self.range.points[place].name
        self._tell("end", place, "bad" if shown else "good" if held else "skipped")
        if not shown and not held:
            raise _EndedError("not judged", f"{name} can't be judged ({last.word}): {last.reason}")
        if not shown:
            raise _EndedError("not bad", f"the bug does not show at {name}: {last.reason}")
        self._present = place
        self._known = (shown, held)
        if held or not self.plan.steady:
            self._doubt(f"The bug shows in {shown} of {shown + held} attempts at {name}, so evidence is weighed.")
            self._is_unmeasured = False
            if held:
                self._look_for_moods()

    def _measured(self, stay: Stay, place: int) -> tuple[int, int, Tried]:
        """Try an end where the bug is to show until its rate is known."""
        wanted = max(LOOKS, MOST_LOOKS if self.plan.odds is None else self.plan.odds.wanted)
        shown = held = others = done = 0
        last: Tried | None = None
        while done < MOST_LOOKS:
            first = self.survey.steady and last is None
            tried = stay.attempt(None if first else 1, anew=done in ANEW)
            done += 1
            if not tried.shown + tried.held:
                others += 1
                if not tried.attempts or others >= INVALID + shown + held:
                    return shown, held, tried
                continue
            self._learn(place, tried)
            shown, held = shown + tried.shown, held + tried.held
            last = tried if last is None or tried.shown or not shown else last
            if self.survey.steady and done >= STARTS:
                break
            if shown + held >= LOOKS and (shown >= SHOWS or (not shown and held >= wanted)):
                break
        assert last is not None  # noqa: S101  one attempt at least was judged
        return shown, held, last

    def _try_absent(self, place: int) -> None:
        """See that the bug stays away from an end."""
        name = self.range.points[place].name
        with self._stay("end", place) as stay:
            state, tried = self._judged(stay, place)
        self._tell("end", place, state)
        if state == "bad":
            raise _EndedError(
                "not good", f"the bug shows at {name} {'still' if self.plan.fix else 'already'}: {tried.reason}"
            )
        if state == "skipped":
            raise _EndedError("not judged", f"{name} can't be judged ({tried.word}): {tried.reason}")

    def _judged(self, stay: Stay, place: int, starts: int = 1) -> tuple[State, Tried]:
        """Try a point until it is known whether the bug is there, whatever is known of others.

        It is tried with so many starts of the service at least.
        """
        shown = held = others = 0
        last: Tried | None = None
        for attempt in range(MOST_LOOKS):
            is_first = self.survey.steady and last is None
            tried = stay.attempt(None if is_first else 1, anew=0 < attempt < starts)
            if not tried.attempts or (is_first and tried.state == "skipped"):
                return "skipped", tried
            if tried.shown + tried.held:
                self._learn(place, tried)
                shown, held = shown + tried.shown, held + tried.held
                last = tried if last is None or tried.shown else last
            else:
                others += 1
                if others >= INVALID + shown + held:
                    return "skipped", tried
            is_clear = self.survey.steady or not MISSED < chance(shown, held, self._known) < 1 - MISSED
            if attempt >= starts - 1 and is_clear:
                break
        assert last is not None  # noqa: S101  one attempt at least was judged
        is_bad = shown > 0 if self.survey.steady else chance(shown, held, self._known) > 1 / 2
        return "bad" if is_bad else "good", last

    def _learn(self, place: int, tried: Tried) -> None:
        """Take attempts into account; a bug that turns out to be flaky is searched for in another way from now on."""
        with self._lock:
            start = self._latest.get(place)
            if start is None or tried.anew:
                start = self._latest[place] = [place, 0, 0]
                self._starts.append(start)
            start[1], start[2] = start[1] + tried.shown, start[2] + tried.held
            if self.survey.anew:
                self.suspects.learn(place, min(1, tried.shown), 0 if tried.shown else 1)
            else:
                self.suspects.learn(place, tried.shown, tried.held)
            is_open = not self._is_at_ends or all(self.suspects.seen(place))  # else the range is wrong
            is_doubtful = self.survey.steady or (not self._known[1] and not self.survey.anew)
            if is_open and is_doubtful and self.suspects.is_contradicted:
                name = self.range.points[place].name
                self._doubt(f"What is seen at {name} contradicts what was seen before: the bug is flaky.")

    def _doubt(self, why: str) -> None:
        """Take the bug for one that shows only now and then."""
        if self.survey.steady:
            self.notes.append(why)
            self.onlooker.noted(why)
            self.survey.steady = False
            self.suspects.doubt()
        self._is_unmeasured = True

    def _measure_again(self) -> None:
        """Find out how often a bug shows that was thought to do so each time."""
        self._is_unmeasured = False
        if self._present is None or self._measured_again >= MOST_MEASURED or self.survey.anew:
            return
        self._measured_again += 1
        with self._stay("check", self._present) as stay:
            shown, held, _ = self._measured(stay, self._present)
        self._known = (self._known[0] + shown, self._known[1] + held)
        self._look_for_moods()

    def _look_for_moods(self) -> None:
        """See whether each start of the service may decide whether the bug shows: then only starts count.

        That is so unless one start has shown it in some of its attempts alone. To start the service anew for each
        attempt takes longer; to count the attempts of one start as if each said something new accuses the wrong one.
        """
        if any(shown and held for place, shown, held in self._starts if place == self._present):
            return
        why = "Each start of the service shows it always or never, so it is started anew for each attempt."
        self.notes.append(why)
        self.onlooker.noted(why)
        self.survey.anew = True
        untried, self.suspects = self.suspects.untried, self._suspects()
        self.suspects.untried = untried
        for place, shown, held in self._starts:
            if not (shown and held):
                self.suspects.learn(place, min(1, shown), min(1, held))
        if self._present is not None:
            self._known = self.suspects.seen(self._present)

    # --- search

    def _search(self) -> None:
        """Try points until it is known well enough who it is, or until nothing can be found out any more."""
        if len(self.benches) > 1:
            self._search_at_once()
            return
        while not self._is_known():
            if self._is_unmeasured:
                self._measure_again()
                continue
            place = self._next(())
            if place is None:
                return
            self._try(place, 0)

    def _search_at_once(self) -> None:
        """Do it with several points at a time."""
        free = list(range(len(self.benches)))
        pending: dict[Future[None], tuple[int, int]] = {}
        with ThreadPoolExecutor(len(self.benches)) as pool:
            try:
                while True:
                    if self._is_unmeasured and not pending:
                        self._measure_again()
                    while free and not self._is_known() and not self._is_unmeasured:
                        place = self._next([place for place, _ in pending.values()])
                        if place is None:
                            break
                        lane = free.pop()
                        pending[pool.submit(self._try, place, lane)] = place, lane
                    if not pending:
                        return
                    for done in wait(pending, return_when=FIRST_COMPLETED).done:
                        free.append(pending.pop(done)[1])
                        done.result()
            except BaseException:
                self.survey.is_stopped = True
                for bench in self.benches:
                    bench.give_up()
                raise

    def _is_known(self) -> bool:
        with self._lock:
            group = sum(1 << place for place in self.suspects.likeliest())
            is_sure = self.suspects.probability(group) >= self.plan.confidence
            return is_sure and self._is_anchored() and not self._is_unmeasured

    def _is_anchored(self) -> bool:
        """Say whether there is a point at which the bug is not; of a fix, one at which it is."""
        return self.range.far or ("bad" if self.plan.fix else "good") in self._states.values()

    def _next(self, pending: Sequence[int]) -> int | None:
        """Choose the point to try next; None where none says anything."""
        with self._lock:
            if self.suspects.in_the_way >= self.plan.most_skips:
                return None
            if not self._is_anchored():
                further = self._further(pending)
                if further is not None or 0 not in self.suspects.untried:
                    return further
            return self.suspects.next(pending)

    def _further(self, pending: Sequence[int]) -> int | None:
        """Go back from the near end, twice as far each time."""
        near, step = len(self.range.points) - 1, 1
        while True:
            place = max(0, near - step)
            if place not in self._states and place not in pending:
                return place
            if place == 0:
                return None
            step *= 2

    def _try(self, place: int, lane: int) -> None:
        """Try a point as long as that says more than to go elsewhere."""
        with self._stay("search", place, lane) as stay:
            if self.survey.steady or not self._is_anchored():
                state, tried = self._judged(stay, place)
            else:
                state, tried = self._weighed(stay, place)
        if state != "skipped":
            self._troubled.clear()
            self._tell("search", place, state)
            return
        with self._lock:
            self.suspects.untried.add(place)
            if tried.word in _MACHINE:
                self._troubled.append(place)
        self._tell("search", place, state)
        troubled = len(self._troubled)
        if troubled >= CHECKED and troubled & (troubled - 1) == 0:
            self._check(lane)

    def _weighed(self, stay: Stay, place: int) -> tuple[State, Tried]:
        """Try a point at which a bug may be that shows only now and then."""
        others, leave = 0, 0.0
        while True:
            tried = stay.attempt(1)
            if not tried.shown + tried.held:
                others += 1
                if not tried.attempts or others >= INVALID + sum(self.suspects.seen(place)):
                    return "skipped", tried
                continue
            with self._lock:
                leave = leave or LEAVE * self.suspects.pace(place, self.survey.coming, self.survey.trying)
                self._learn(place, tried)
                shown, held = self.suspects.seen(place)
                if shown + held >= MOST_LOOKS or self.suspects.gain(place) / self.survey.trying < leave:
                    return "bad" if chance(shown, held, self._known) > 1 / 2 else "good", tried

    def _check(self, lane: int) -> None:
        """Try a point again that could be tried. Raises MachineError where that can't be now."""
        judged = [place for place, state in self._states.items() if state != "skipped"]
        point = self.range.points[judged[-1]]
        with self.survey.stay("check", point, self._place(judged[-1]), lane) as stay:
            tried = stay.attempt(1)
        if tried.word in _MACHINE:
            self.memory.void([self.range.points[place] for place in self._troubled])
            raise MachineError(f"{point.name} could be tried before, and can't be now: {tried.reason}")

    # --- confirm

    def _confirm_all(self) -> None:
        """Try who it is once more, with who stands before it; where that contradicts it, the search goes on."""
        for _ in range(MOST_CONFIRMED):
            group = self.suspects.likeliest()
            if len(group) > 1 or not self._is_known():
                return
            if self._confirm(group[0]):
                self._culprit = group[0]
                return
            self._search()
        raise _EndedError("undecided", "what is seen contradicts itself again and again")

    def _confirm(self, culprit: int) -> bool:
        """Try a point and those right before it once more; say whether it is still the culprit."""
        before: State = "bad" if self.plan.fix else "good"
        after: State = "good" if self.plan.fix else "bad"
        is_confirmed = True
        for place, wanted in ((culprit, after), *((each, before) for each in self._order.before(culprit))):
            with self._stay("confirm", place) as stay:
                state, tried = self._judged(stay, place, CONFIRMED if wanted == "good" else 1)
            self._tell("confirm", place, state)
            if state == "skipped":
                name = self.range.points[place].name
                raise MachineError(f"{name} could be judged before, and can't be now ({tried.word}): {tried.reason}")
            is_confirmed = is_confirmed and state == wanted
        if not is_confirmed and self.survey.steady:
            self._doubt("What is seen changes from one start of the service to the next.")
        return is_confirmed and self._is_known() and self.suspects.likeliest() == (culprit,)

    # --- telling

    @contextlib.contextmanager
    def _stay(self, stage: Stage, place: int, lane: int = 0) -> Iterator[Stay]:
        with self.survey.stay(stage, self.range.points[place], self._place(place), lane) as stay:
            yield stay

    def _place(self, place: int) -> float:
        """Say where a point stands on the line that was searched first."""
        return place if self._base is None else self._merge - 1 + place / len(self.range.points)

    def _tell(self, stage: Stage, place: int, state: State) -> None:
        point = self.range.points[place]
        with self._lock:
            if stage != "confirm" or place not in self._states:
                self._states[place] = state
            self.survey.rate(point, state)
            self.onlooker.tried(stage, self.survey.tested(point), self.suspects.left, self._steps())

    def _steps(self) -> float:
        """Say how many points are still to be tried, as long as all can be."""
        return math.log2(max(1, self.suspects.left)) * (1 if self.survey.steady else 1.3)

    def _told(self) -> tuple[Outcome, str]:
        """Say what the search came to."""
        points = self.range.points
        word = "mended" if self.plan.fix else "brought"
        if self._culprit is not None:
            return "found", f"{points[self._culprit].name} {word} the bug"
        if self._base is not None:
            self.notes.append("Who it is inside of the merge could not be found out.")
            return "found", f"the merge {self._base.points[self._merge].name} {word} the bug"
        if not self._is_anchored() and 0 in self._states and 0 not in self.suspects.untried:
            if self.plan.fix:
                return "not bad", "the bug does not show at any point that was tried"
            return "not good", f"the bug is as old as the history: it shows at {points[0].name} already"
        group = self.suspects.likeliest()
        said = f"{len(group)} of them can't be told apart" if len(group) > 1 else "nothing more can be found out"
        if self.suspects.in_the_way >= self.plan.most_skips:
            said = f"{self.suspects.in_the_way} of those that were tried can't be judged"
        return "candidates", f"{self.suspects.left} may have {word} the bug: {said}"

    def _blame(self, outcome: Outcome, reason: str, signal: int | None) -> Blame:
        base = self._base or self.range
        culprit = parent = None
        confidence: float | None = None
        suspects: list[Suspect] = []
        if outcome == "found":
            inside = self._culprit is not None
            place = self._culprit if self._culprit is not None else self._merge
            points = self.range.points if inside else base.points
            culprit = points[place]
            before = self._order.before(place) if inside else (place - 1,)
            parent = points[before[0]] if before else None
            confidence = self._confidence(place, before) if inside else self.plan.confidence
        if outcome != "found" or self._culprit is None:
            least = 0.0 if self.survey.steady else 0.01
            ranked = (
                self.suspects.ranked(least)[:MOST_TOLD] if outcome not in {"not bad", "not good", "not judged"} else []
            )
            suspects = [Suspect(point=self.range.points[place], probability=round(each, 4)) for place, each in ranked]
        return Blame(
            outcome=outcome,
            reason=reason,
            signal=signal,
            fix=self.plan.fix,
            near=base.points[-1],
            far=base.points[0] if base.far else None,
            points=len(base.points) - base.far,
            steady=self.survey.steady,
            rate=(self._known[0], sum(self._known)) if any(self._known) else None,
            culprit=culprit,
            parent=parent,
            merge=None if self._base is None else base.points[self._merge],
            confidence=confidence,
            confirmed=outcome == "found" and self._culprit is not None,
            suspects=suspects,
            tested=self.survey.all_tested(),
            spent=self.survey.total(),
            notes=self.notes,
        )

    def _confidence(self, culprit: int, before: Sequence[int]) -> float:
        """Say how sure it is that a point is the culprit: that the bug is there, and not right before."""
        if not self.survey.steady:
            return self.suspects.probability(1 << culprit)
        there = chance(*self.suspects.seen(culprit), self._known)
        others = [chance(*self.suspects.seen(place), self._known) for place in before]
        if self.plan.fix:
            there, others = 1 - there, [1 - each for each in others]
        return math.prod([there, *(1 - each for each in others)])
