"""The survey: points that are tried, each remembered, and all that it took."""

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from replaykit.axis import Bench, Point, State, Tried, Visit
from replaykit.blame import Stages, Tested
from replaykit.errors import MachineError, UnbuildableError, UnreachableError, UnwritableError
from replaykit.gauge import Gauge
from replaykit.memory import Memory
from replaykit.minutes import Stage
from replaykit.onlooker import Onlooker

MOST_TROUBLE = 3  # points in a row at which the machine is in trouble


class BudgetError(Exception):
    """The budget is spent."""


@dataclass(slots=True)
class _Account:
    """All that the attempts at a point came to."""

    point: Point
    place: float
    word: str = ""
    reason: str = ""
    shown: int = 0
    held: int = 0
    attempts: int = 0
    visits: int = 0
    seconds: float = 0.0
    cached: bool = True
    state: State = "skipped"
    log: str | None = None


@dataclass(slots=True)
class Survey:
    """Tries points of an axis."""

    benches: Sequence[Bench]  # one for each lane
    memory: Memory
    onlooker: Onlooker
    gauge: Gauge
    most_attempts: int
    most_seconds: float | None
    trusts: bool = True  # does it count what is known from other bisects, and of other points with the same code?
    spent: Stages = field(default_factory=Stages)
    is_stopped: bool = False
    _accounts: dict[str, _Account] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)
    _coming: list[float] = field(default_factory=lambda: [0.0, 0])  # seconds, and visits
    _trying: list[float] = field(default_factory=lambda: [0.0, 0])
    _troubles: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @contextlib.contextmanager
    def stay(self, stage: Stage, point: Point, place: float, lane: int = 0) -> "Iterator[Stay]":
        """Give a stay at a point. Where all is remembered that is asked of it, nothing is built or started."""
        self.require_budget()
        self.onlooker.began(stage, point, lane)
        with ExitStack() as stack:
            yield Stay(self, stage, point, place, lane, stack)

    def require_budget(self) -> None:
        """Raise BudgetError where it is spent."""
        if self.spent.attempts >= self.most_attempts:
            raise BudgetError(f"{self.spent.attempts} attempts were made")
        if self.most_seconds is not None and time.monotonic() - self._began >= self.most_seconds:
            raise BudgetError(f"{self.most_seconds:g} seconds are over")

    @property
    def coming(self) -> float:
        """How many seconds it takes to come to a point."""
        return self._coming[0] / self._coming[1] if self._coming[1] else 1.0

    @property
    def trying(self) -> float:
        """How many seconds an attempt takes."""
        return max(1e-4, self._trying[0] / self._trying[1] if self._trying[1] else 0.1)

    def tested(self, point: Point) -> Tested:
        """Return all that is known of a point that was tried."""
        each = self._accounts[point.id]
        return Tested(
            point=each.point,
            place=int(each.place),
            state=each.state,
            word=each.word,
            reason=each.reason,
            shown=each.shown,
            held=each.held,
            attempts=each.attempts,
            visits=each.visits,
            seconds=round(each.seconds, 3),
            cached=each.cached,
            log=each.log,
        )

    def all_tested(self) -> list[Tested]:
        """List what is known of all points that were tried, from old to new."""
        ordered = sorted(self._accounts.values(), key=lambda each: each.place)
        return [self.tested(each.point) for each in ordered]

    def total(self) -> Stages:
        """Say what it took so far."""
        return self.spent.replace(tests=len(self._accounts), seconds=round(time.monotonic() - self._began, 3))

    def settle(self, point: Point, state: State, tried: Tried) -> None:
        """Say what became of a point; where it can't be judged, `tried` says why."""
        each = self._accounts[point.id]
        each.state = state
        if state == "skipped":
            each.word, each.reason = tried.word, tried.reason

    def void(self, points: Sequence[Point]) -> None:
        """Write down that it says nothing that these could not be tried. Raises MachineError."""
        try:
            self.memory.void(points)
        except UnwritableError as error:
            raise MachineError(error.happened, error.todo) from None

    def count(
        self, stay: "Stay", tried: Tried, *, visited: bool, seconds: float, cached: bool = False, log: str | None = None
    ) -> None:
        """Add what was tried to the account of a point."""
        with self._lock:
            each = self._accounts.setdefault(stay.point.id, _Account(stay.point, stay.place))
            state: State = "bad" if tried.shown else "good" if tried.held else "skipped"
            if not each.word or state == "bad" or each.state == "skipped":
                each.word, each.reason, each.state = tried.word, tried.reason, state
                if state == "good" and tried.word == "undecided":  # one attempt alone says *fixed* of nothing
                    each.word, each.reason = "held", "all steps ran, and all checks hold"
            each.shown, each.held = each.shown + tried.shown, each.held + tried.held
            each.attempts += tried.attempts
            each.visits += visited
            each.seconds += seconds + tried.seconds
            each.cached = each.cached and cached
            each.log = log or each.log
            self.spent = self.spent.replace(
                attempts=self.spent.attempts + (0 if cached else tried.attempts),
                visits=self.spent.visits + visited,
            )
            if visited and seconds:
                self._coming = [self._coming[0] + seconds, self._coming[1] + 1]
            if tried.attempts:
                self._trying = [self._trying[0] + tried.seconds, self._trying[1] + tried.attempts]

    def troubled(self, error: MachineError | None) -> None:
        """Take note of whether the machine is in trouble. Raises MachineError where it is, again and again."""
        with self._lock:
            self._troubles = 0 if error is None else self._troubles + 1
            if error is not None and self._troubles >= MOST_TROUBLE:
                raise error


class Stay:
    """A point that is tried: its service is started once something is to be found out that is not known."""

    def __init__(self, survey: Survey, stage: Stage, point: Point, place: float, lane: int, stack: ExitStack) -> None:
        self.point, self.place = point, place
        self._survey, self._stage, self._lane, self._stack = survey, stage, lane, stack
        self._visit: Visit | None = None
        self._is_used = False  # was the service that runs tried?

    def attempt(self, times: int | None = None, *, anew: bool = False) -> Tried:
        """Try the bug, or recall what came of it; see `axis.Visit.attempt`. Raises MachineError, BudgetError."""
        survey = self._survey
        if survey.is_stopped:
            raise BudgetError("it was stopped")
        steady = survey.gauge.steady
        known = survey.memory.recall(self._stage, self.point, steady=steady and survey.trusts)
        if known is not None:
            survey.count(
                self, known, visited=known.coming > 0, seconds=known.coming, cached=known.cached, log=known.log
            )
            return known
        survey.require_budget()
        began, visited, bench = time.monotonic(), self._visit is None, survey.benches[self._lane]
        try:
            if self._visit is None:
                self._visit = self._stack.enter_context(bench.visit(self.point))
                began = time.monotonic() - self._visit.seconds
            seconds = self._visit.seconds if visited else 0.0
            anew = (anew or survey.gauge.anew) and self._is_used
            tried = self._visit.attempt(times, anew=anew).replace(anew=anew or not self._is_used)
            self._is_used = True
            survey.troubled(None)
        except (UnbuildableError, UnreachableError) as error:
            if survey.is_stopped:  # it was given up
                raise BudgetError("it was stopped") from None
            survey.troubled(None)
            seconds = time.monotonic() - began
            tried = Tried(word="unbuildable" if isinstance(error, UnbuildableError) else "unreachable",
                          reason=error.happened)  # fmt: skip
        except MachineError as error:
            survey.troubled(error)
            tried = Tried(word="machine", reason=error.happened)
            survey.count(self, tried, visited=visited, seconds=time.monotonic() - began)
            return tried
        log = bench.log_of(self.point)
        said = None if log is None else str(log)
        survey.count(self, tried, visited=visited, seconds=seconds, log=said)
        try:
            survey.memory.learn(self._stage, self.point, tried, seconds, steady=steady, log=said)
        except UnwritableError as error:
            raise MachineError(error.happened, error.todo) from None
        return tried
