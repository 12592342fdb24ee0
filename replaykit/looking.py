"""Looking: a replay that somebody follows closely: what was judged in it, and where it is to stop."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from replaykit.caller import Over
from replaykit.command import Command, Event, Refs
from replaykit.errors import UsageError
from replaykit.model import Model, Prediction
from replaykit.run import Calls
from replaykit.sequence import Call, Sequence
from replaykit.trace import Step, Trace
from replaykit.value import copied
from replaykit.verdict import Failure, Judgment, Kind

RAISING = ("invariant", "check", "idempotency", "adapter", "model")  # kinds of failure that an exception may be behind


Judgments: TypeAlias = dict[int | None, list[Judgment]]  # by the label of the step; None at the end


class Stop(NamedTuple):
    """Where a run waits for somebody: before these calls, in this state."""

    calls: Sequence  # more than one where they are sent at the same time; none at the end
    state: Model

    @property
    def place(self) -> str:
        """What it is before."""
        if not self.calls:
            return "the checks at the end"
        labels = ", ".join(str(call.label) for call in self.calls)
        return f"step {labels}" if len(self.calls) == 1 else f"steps {labels}"


class Case(NamedTuple):
    """An expectation that was not met: the state before the event, what was asked, what came, what was to come."""

    state: Model
    command: Command
    event: Event
    expected: Prediction


class Broken(NamedTuple):
    """What a failing run leaves to look at."""

    failure: Failure
    error: BaseException | None  # what the user's code raised, with its frames
    case: Case | None


@dataclass(slots=True)
class Look:
    """How a replay is followed: it hears of what is judged in each run, and stops the first one where it is asked to.

    `before` is asked before each step of the first run, and ends it by saying no; `after` hears of the step. `failed`
    hears of the first run that fails, when it is over.
    """

    until: int | None = None  # label of the step after which a run ends
    before: Callable[[Stop], bool] | None = None
    after: Callable[[Step, list[Judgment]], None] | None = None
    failed: Callable[[Broken], None] | None = None
    _rest: Callable[[], None] = field(default=lambda: None, repr=False)
    _judgments: Judgments = field(default_factory=dict, repr=False)
    _runs: dict[object, tuple[tuple[Step, ...], Judgments]] = field(default_factory=dict, repr=False)
    _error: BaseException | None = field(default=None, repr=False)
    _case: Case | None = field(default=None, repr=False)

    @property
    def stops(self) -> bool:
        """Whether a run may end before its end, so that there is no sense in another one."""
        return self.until is not None or self.before is not None

    def require(self, sequence: Sequence) -> None:
        """Raise UsageError where there is no step to stop after."""
        if self.until is None:
            return
        labels = [call.label for call in sequence if not call.branch]
        if self.until in labels:
            return
        at_once = any(call.label == self.until for call in sequence)
        said = f"Step {self.until} is sent at the same time as others, so there is no stopping after it."
        raise UsageError(
            said if at_once else f"There is no step {self.until} to stop after.",
            f"Those to stop after, as `replaykit show` prints them: {', '.join(map(str, labels)) or 'none'}.",
        )

    def calls(self, calls: Calls, rest: Callable[[], None]) -> "Held":
        """Give the calls of a run, which may be held back; `rest` is done before a pause, which may be long."""
        self._rest = rest
        before, self.before = self.before, None
        return Held(calls, self.until, before, rest)

    def judged_in(self, trace: Trace) -> Judgments:
        """Return what was judged in a run, by its trace; nothing where it is none that was kept."""
        return next((found for steps, found in self._runs.values() if steps is trace.steps), {})

    # --- as a witness

    def predicted(self, command: Command, prediction: Prediction, event: Event, state: Model, *, step: int) -> None:
        """Take down what was expected."""
        holds = prediction.admits(event)
        self._judgments.setdefault(step, []).append(Judgment("expectation", prediction.name, holds, str(prediction)))
        if not holds and self.failed is not None:
            self._case = Case(copied(state), command, event, prediction)

    def judged(self, kind: Kind, name: str, failure: Failure | None, *, step: int | None) -> None:
        """Take down what was judged."""
        said = "" if failure is None else failure.message
        self._judgments.setdefault(step, []).append(Judgment(kind, name, failure is None, said))
        if failure is None:
            self._error = None  # it was looked at again, and holds now

    def raised(self, error: BaseException) -> None:
        """Keep what was raised, as long as somebody wants to look at it."""
        if self.failed is not None:
            self._error = error

    def taken(self, step: Step) -> None:
        """Tell of a step that is over."""
        if self.after is not None:
            self.after(step, self._judgments.get(step.call.label, []))

    def over(self, trace: Trace) -> None:
        """Keep what was judged, of runs that ended alike, the first; tell of the first one that failed."""
        failure = trace.failure
        key = (trace.ending, failure and (failure.fingerprint, failure.step))
        self._runs.setdefault(key, (trace.steps, self._judgments))
        error, case = self._error, self._case
        self._judgments, self._error, self._case, self.after = {}, None, None, None
        if failure is not None and self.failed is not None:
            tell, self.failed = self.failed, None
            self._rest()
            raising = failure.kind in RAISING
            tell(Broken(failure, error if raising else None, case if failure.kind == "expectation" else None))


def look_at(sequence: Sequence, until: int | None, look: Look | None) -> Look | None:
    """Say how a sequence is followed. Raises UsageError where there is no step to stop after."""
    look = Look(until) if look is None and until is not None else look
    if look is not None:
        look.require(sequence)
    return look


class Held:
    """A source of calls that may be held back, or end early."""

    def __init__(
        self,
        calls: Calls,
        until: int | None,
        before: Callable[[Stop], bool] | None,
        rest: Callable[[], None],
    ) -> None:
        self._calls = calls
        self._until = until
        self._before = before
        self._rest = rest
        self._last: int | None = None

    def next(self, state: Model, refs: Refs) -> Call | None:
        """Return the next call; None at the end."""
        if self._until is not None and self._last == self._until:
            raise Over("undecided", f"stopped after step {self._until}, as asked; nothing failed until there")
        call = self._calls.next(state, refs)
        if call is not None:
            self._last = call.label
            self._hold((call,), state)
        return call

    def branches(self, state: Model, refs: Refs) -> tuple[Sequence, ...]:
        """Return what is to be run at the same time, after the last call."""
        branches = self._calls.branches(state, refs)
        self._hold([call for branch in branches for call in branch], state)
        return branches

    def _hold(self, calls: Collection[Call], state: Model) -> None:
        if self._before is None:
            return
        self._rest()
        stop = Stop(tuple(calls), state)
        if not self._before(stop):
            raise Over("undecided", f"stopped before {stop.place}, as asked; nothing failed until there")
