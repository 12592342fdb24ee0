"""The oracle: what shrinking asks, whether a shorter sequence has the same bug, and what it may know without asking."""

from collections.abc import Callable

from replaykit.adapter import Adapters, Mock, unpredicted
from replaykit.aftermath import BREATH, SHORT_BREATH, is_doubtful, log_of, revived, trouble
from replaykit.command import generators_of
from replaykit.errors import UnreachableError
from replaykit.finding import Finding
from replaykit.generator import Generator
from replaykit.latency import CANDIDATE, Budgets, Decided, decide
from replaykit.model import Model
from replaykit.run import execute
from replaykit.sequence import Call, Fixed, Sequence, identity, one_by_one, said_once, until
from replaykit.shrink import Attempt
from replaykit.trace import Trace
from replaykit.verdict import Failure, is_same
from replaykit.watcher import Watcher


class Oracle:
    """Runs a candidate against the service, and says whether it is the same bug."""

    def __init__(
        self,
        adapters: Adapters,
        finding: Finding,
        budgets: Budgets,
        watcher: Watcher,
        meet: Callable[[Trace], None],
    ) -> None:
        self.adapters = adapters
        self.finding = finding
        self.budgets = budgets
        self.watcher = watcher
        self.meet = meet
        self.harmless: set[str] = set()  # what passed one after the other
        self.length = len(finding.trace.steps)  # of the last sequence that failed so
        self.executions = 0

    def __call__(self, candidate: Sequence) -> Attempt:
        decided = again(self.adapters, self.budgets, self.finding.failure, candidate)
        trace = decided.trace
        self.executions += decided.executions
        failure = trace.failure
        same = failure is not None and is_same(self.finding.failure, failure)
        if self._is_gone(trace):
            return Attempt(False, trace.sequence, decided.requests, trace, decided.executions, died=True)
        if same and (shorter := up_to_failure(trace)) != trace.sequence:
            found = self(shorter)
            executions, requests = found.executions + decided.executions, found.requests + decided.requests
            return found._replace(executions=executions, requests=requests)
        if same and (plain := said_once(trace.in_turn)) != trace.sequence and identity(plain) not in self.harmless:
            # what fails one after the other too, and once, is no race and no retry, and may be something else
            alone = execute(self.adapters.model, self.adapters.new(), Fixed(plain))
            self.executions += 1
            decided = decided._replace(executions=decided.executions + 1, requests=decided.requests + alone.requests)
            if self._is_gone(alone):
                return Attempt(False, trace.sequence, decided.requests, trace, decided.executions, died=True)
            if alone.failure is not None and alone.failure.is_finding:
                trace, failure, same = alone, alone.failure, is_same(self.finding.failure, alone.failure)
            else:
                self.harmless.add(identity(plain))
        if same:
            self.length = len(trace.steps)
        elif failure is not None and failure.is_finding and failure.fingerprint != self.finding.fingerprint:
            self.meet(trace)
        self.watcher.tried(self.finding, self.executions, self.length)
        return Attempt(same, trace.sequence, decided.requests, trace, decided.executions)

    def _is_gone(self, trace: Trace) -> bool:
        """Say whether the service did not outlive a candidate, which then is not the same bug, and was started again.

        Raises UnreachableError where it is gone for good.
        """
        if self.adapters.running is not None:
            found = trace.failure is not None and trace.failure.is_finding
            odd = trace.ending in {"unreachable", "unknown"} or (found and is_doubtful(trace))
            breath = SHORT_BREATH if found else BREATH if odd else 0.0
            said = trouble(self.adapters, trace, urgent=odd, breath=breath)
            if said is not None:
                log = log_of(self.adapters)
                if not revived(self.adapters):
                    raise UnreachableError(said, log, log)
                return True
        if trace.ending == "unreachable":
            raise UnreachableError(trace.reason)
        return False


def again(adapters: Adapters, budgets: Budgets, failure: Failure, sequence: Sequence) -> Decided:
    """Run a sequence, to see whether it has a bug: once, or as often as it takes to know that it is slow."""

    def slow(trace: Trace) -> list[Failure]:
        return [each for each in budgets.slow(trace) if is_same(failure, each)]

    most = CANDIDATE if failure.kind == "latency" else 1
    return decide(slow, lambda: execute(adapters.model, adapters.new(), Fixed(sequence)), most)


def up_to_failure(trace: Trace) -> Sequence:
    """Return the calls of a run up to the one that was slow, which does not end it."""
    failure = trace.failure
    if failure is None or failure.kind != "latency" or failure.step is None:
        return trace.sequence
    return until(trace.sequence, failure.step)


def faults_of(model: type[Model]) -> frozenset[str]:
    """List the tags of a model's commands that begin a fault."""
    return frozenset(tag for tag, command in model.rules.by_tag.items() if command in model.rules.faults)


def generators_for(model: type[Model], call: Call) -> dict[str, Generator]:
    """Return the generators of a call's arguments, as far as its values may be theirs.

    An old bundle may have a command that is not known any more, or an argument that comes from another function now.
    """
    kind = model.rules.by_tag.get(call.tag)
    if kind is None or kind.version != call.version:
        return {}
    return {
        name: generator
        for name, generator in generators_of(kind).items()
        if name in call.args
        and (name not in call.raw if generator.plain else name in call.raw and generator.accepts(call.raw[name]))
    }


def simulation(model: type[Model], sequence: Sequence) -> Callable[[Sequence], bool]:
    """Say without the service whether a candidate fits the preconditions, where the model can tell.

    It can where it has preconditions, expects something of every command, and follows the failing sequence
    itself: then a run of the model against itself finds what does not fit, for nothing.
    """

    def fits(candidate: Sequence) -> bool:
        return execute(model, Mock(model), Fixed(one_by_one(candidate))).ending != "stale"

    if not model.rules.requires or unpredicted(model):
        return lambda _: True
    return fits if fits(sequence) else lambda _: True
