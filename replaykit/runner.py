"""The runner: makes the runs of a campaign against one service, and shrinks what fails.

A run is a function of the campaign's plan and the run's number, so it does not matter who makes it, and when. What
a runner returns says all that the campaign has to know of it.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from replaykit import aftermath
from replaykit.adapter import Adapters
from replaykit.aftermath import BREATH, is_doubtful
from replaykit.backlog import Backlog
from replaykit.binding import is_bound
from replaykit.coverage import Coverage
from replaykit.errors import UnreachableError
from replaykit.finding import Finding
from replaykit.generate import Generated, Parallel
from replaykit.latency import RUNS, Budgets, decide
from replaykit.oracle import Oracle, again, faults_of, generators_for, simulation, up_to_failure
from replaykit.rate import rate_at_least, tries
from replaykit.run import Listener, execute
from replaykit.sequence import Fixed, Sequence, branches_of, interleaved, said_once
from replaykit.shrink import Budget, Shrunk, shrink
from replaykit.source import Source, derive
from replaykit.trace import Trace
from replaykit.verdict import Failure
from replaykit.watcher import Watcher

ORDERS = 6  # in which the calls of a race are sent one after the other
GONE = 0.001  # how often a bug that is still there may be called gone
MOST_LOOKS = 40  # for it, at the end of a campaign
LOOK_SECONDS = 10.0  # for each of them


@dataclass(frozen=True, slots=True)
class Plan:
    """What all runs of a campaign have in common."""

    seed: int  # of the campaign
    max_commands: int
    budgets: Budgets  # what answers may take
    budget: Budget  # how long one failure may be shrunk
    parallel: Parallel | None = None
    repeat: int = 1  # executions of a sequence that ends in branches
    stutter: float = 0.0
    swarm: bool = False


@dataclass(slots=True)
class Ran:
    """What one run came to."""

    index: int  # from 0
    seed: int
    coverage: Coverage
    trace: Trace = field(default_factory=lambda: Trace(steps=(), ending="unknown"))
    steps: int = 0
    requests: int = 0
    forgiven: int = 0  # slow answers
    seconds: float = 0.0
    written: bool = False  # is the trace what the listener heard last?
    died: str = ""  # what is wrong with the service after it, where nothing more can be run against it
    log: str = ""  # the last lines of the service, where it died
    restarts: int = 0  # how often it was started again
    slow: frozenset[str] = frozenset()  # fingerprints of what was slow in it, and not known to be

    def count(self, trace: Trace) -> None:
        """Count an execution."""
        self.steps += len(trace.steps)
        self.requests += trace.requests


Listeners = Callable[[int, int], Listener]  # who hears of an execution of run `index` with `seed`


class Runner:
    """Makes runs, on one client."""

    def __init__(self, plan: Plan, adapters: Adapters, coverage: Coverage, listeners: Listeners | None = None) -> None:
        self.plan = plan
        self.adapters = adapters
        self.model = adapters.model
        self._coverage = coverage
        self._listeners = listeners

    def run(self, index: int, known: Collection[str] = ()) -> Ran:
        """Draw a sequence and run it; where it ends in branches, again and again, since races show now and then.

        `known` has the fingerprints that were found before: what was found to be slow is not measured again. Where the
        service does not outlive the run, what it said in it is no finding, and the run ends as unreachable.
        """
        plan, seed = self.plan, derive(self.plan.seed, index)
        calls = Generated(self.model, seed, plan.max_commands, plan.parallel, plan.stutter, swarm=plan.swarm)
        ran, tally, began = Ran(index, seed, self._coverage.blank()), Counter[tuple[str, str]](), time.monotonic()
        with self._outlived(ran, known):
            self._run(calls, ran, tally, known)
        ran.coverage.add(tally)
        ran.seconds = time.monotonic() - began
        return ran

    def _run(self, calls: Generated, ran: Ran, tally: Counter[tuple[str, str]], known: Collection[str]) -> None:
        plan = self.plan
        trace = self._execute(calls, ran, tally)
        sequence = tuple(calls.drawn)
        for _ in range(plan.repeat - 1 if branches_of(sequence) else 0):
            if trace.ending not in {"passed", "undecided"}:
                break
            repeated = self._execute(Fixed(sequence), ran, tally)
            if repeated.ending not in {"passed", "stale"}:  # with answers left to chance, a repetition may not fit
                trace = repeated
        ran.trace = self._timed(trace, ran, tally, known)
        ran.written = ran.trace is trace
        failure, plain = ran.trace.failure, said_once(ran.trace.in_turn)
        if failure is not None and failure.is_finding and failure.kind != "latency" and plain != ran.trace.sequence:
            alone = self._alone(plain, ran)
            if alone is not None:
                ran.trace, ran.written = alone, False

    @contextmanager
    def _outlived(self, ran: Ran, known: Collection[str]) -> Iterator[None]:
        """See after a run what became of the service; where it is gone, start it again if that was asked for."""
        try:
            yield
            trace = ran.trace
            failure = trace.failure if trace.failure is not None and trace.failure.is_finding else None
            is_new = failure is not None and failure.fingerprint not in known
            urgent = is_new or (trace.ending not in {"passed", "undecided"} and failure is None)
            said = aftermath.trouble(
                self.adapters, trace, urgent=urgent or is_doubtful(trace), breath=BREATH if urgent else 0.0
            )
            if said is None:
                return
            if trace.ending != "passed":
                seen = trace.reason if trace.failure is None else trace.failure.title
                reason = f"{said}; the run ended with: {seen or trace.ending}"
                ran.trace, ran.written = trace.replace(ending="unreachable", failure=None, reason=reason), False
            ran.log = aftermath.log_of(self.adapters)
            if aftermath.revived(self.adapters):
                ran.restarts += 1
            else:
                ran.died = said
        except UnreachableError as error:  # it could not be reset, or not be started again
            reason = str(error) if not error.log else error.happened
            if ran.trace.ending != "passed" or not ran.trace.steps:
                ran.trace = ran.trace.replace(ending="unreachable", failure=None, reason=error.happened)
                ran.written = False
            ran.died, ran.log = reason, error.log or aftermath.log_of(self.adapters)

    def examine(self, ran: Ran) -> Ran:
        """Send the calls of a race in several orders, one after the other: what fails so too is no race.

        In which order, if any, a bug shows that needs no race is not known.
        """
        if branches_of(ran.trace.sequence):
            source = Source(derive(ran.seed, ORDERS))
            with self._outlived(ran, ()):
                for _ in range(ORDERS):
                    alone = self._alone(interleaved(said_once(ran.trace.sequence), source), ran)
                    if alone is not None:
                        ran.trace, ran.written = alone, False
                        break
        return ran

    def shrink(self, finding: Finding, watcher: Watcher, meet: Callable[[Trace], None]) -> Shrunk:
        """Shrink a finding, from the last run that showed it; `meet` hears of other failures on the way."""
        seen = finding.other or finding.trace
        sequence, before = up_to_failure(seen), self._restarts
        shrunk = shrink(
            sequence,
            Oracle(self.adapters, finding, self.plan.budgets, watcher, meet),
            lambda call: generators_for(self.model, call),
            budget=self.plan.budget,
            fits=simulation(self.model, sequence),
            at_end=finding.failure.step is None,
            faults=faults_of(self.model),
        )
        is_last_word = isinstance(shrunk.error, UnreachableError) and not shrunk.failed
        if is_last_word and shrunk.trace is not None and is_doubtful(shrunk.trace):  # perhaps it died while it said so
            shrunk = replace(shrunk, sequence=sequence, trace=None)
        return replace(shrunk, restarts=self._restarts - before)

    @property
    def _restarts(self) -> int:
        return 0 if self.adapters.running is None else self.adapters.running.restarts

    def look_again(self, finding: Finding) -> int:
        """Run a finding again when the campaign is over; return in how many runs it was gone, 0 if it was not.

        A flaky bug shows now and then, all the time; what showed and does not any more says that the service changed.
        """
        shrunk = finding.shrunk
        if shrunk is None or not shrunk.failed or not is_bound(finding.trace):
            return 0
        looks, began = tries(rate_at_least(shrunk.failed, shrunk.runs), GONE, MOST_LOOKS), time.monotonic()
        for _ in range(looks):
            try:
                trace = again(self.adapters, self.plan.budgets, finding.failure, shrunk.sequence).trace
            except UnreachableError:
                return 0
            if trace.ending != "passed" or time.monotonic() - began > LOOK_SECONDS:
                return 0  # it is there, or nobody knows
        return looks

    def _alone(self, sequence: Sequence, ran: Ran) -> Trace | None:
        """Run calls one after the other; return what happened if it is a finding."""
        alone = execute(self.model, self.adapters.new(), Fixed(sequence))
        ran.count(alone)
        return alone if alone.failure is not None and alone.failure.is_finding else None

    def _execute(self, calls: Generated | Fixed, ran: Ran, tally: Counter[tuple[str, str]]) -> Trace:
        listener = None if self._listeners is None else Backlog(self._listeners(ran.index, ran.seed))
        adapter = self.adapters.new()
        trace = execute(self.model, adapter, calls, listener=listener, tally=tally)
        ran.coverage.fold(trace, adapter.refs)
        ran.count(trace)
        return trace

    def _timed(self, first: Trace, ran: Ran, tally: Counter[tuple[str, str]], known: Collection[str]) -> Trace:
        """Run again what was slow; return what the run comes to, which fails if it is slow most of the time.

        What was found to be slow before is counted, and not looked at again: what is behind it would not be seen.
        """
        budgets = self.plan.budgets
        for measured in budgets.measure(first):
            tally["latency", measured.budget.name] += 1
        slow = budgets.slow(first) if first.ending == "passed" else []
        met = [failure for failure in slow if failure.fingerprint in known]
        if len(slow) > len(met):
            ran.slow = frozenset(each.fingerprint for each in slow if each not in met)

            def unknown(trace: Trace) -> list[Failure]:
                return [each for each in budgets.slow(trace) if each.fingerprint not in known]

            def repeated() -> Trace:
                trace = execute(self.model, self.adapters.new(), Fixed(first.sequence))
                ran.count(trace)
                return trace

            decided = decide(unknown, repeated, RUNS, first=first)
            if decided.trace.ending not in {"passed", "stale"}:
                return decided.trace
            ran.forgiven += decided.slow
        return first.replace(ending="failed", failure=met[0]) if met else first


def plainer(ran: Ran, known: Collection[str]) -> bool:
    """Say whether a run has to be examined: it ends in branches, and with a failure that is not known."""
    failure = ran.trace.failure
    if failure is None or not failure.is_finding or failure.kind == "latency":
        return False
    return failure.fingerprint not in known and bool(branches_of(ran.trace.sequence))


def slow_again(ran: Ran, learnt: Collection[str]) -> bool:
    """Say whether a run has to be made again: it measured, or forgave, what others found to be slow meanwhile."""
    return not ran.died and not ran.slow.isdisjoint(learnt)
