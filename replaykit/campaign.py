"""The campaign: runs in their order, each failure saved first and shrunk then, until there is a reason to stop.

Theory of operation. Runs may be made by several hands, and come back in any order; the campaign commits them one
after the other, by their number. Committing a run counts it, saves a failure that is new, and has it shrunk, before
the next one is committed. So what is found, and what is said of it, follows from the seed, and not from who was faster.
"""

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count

from replaykit.crew import Crew
from replaykit.errors import UnreachableError
from replaykit.finding import Finding
from replaykit.keeper import Keeper
from replaykit.result import Result
from replaykit.runner import Ran, plainer, slow_again
from replaykit.service import Running
from replaykit.trace import Trace
from replaykit.watcher import Watcher
from replaykit.writer import Writer

SIGHTINGS = 5  # of one failure, that are shrunk until one shows it often enough
GIVE_UP = 5  # runs in a row that could not be judged, though the service is healthy


@dataclass(slots=True)
class Campaign:
    """A campaign while it goes on."""

    result: Result
    crew: Crew
    watcher: Watcher
    keeper: Keeper | None = None
    writer: Writer | None = None  # what has written the last run down, where there is one
    running: Running | None = None  # the service; None where the model runs against itself
    stop_on_fail: bool = False
    shrinks: bool = True
    url: str | None = None  # of the service, or of the first one
    findings: dict[str, Finding] = field(default_factory=dict)  # by fingerprint
    waiting: deque[Finding] = field(default_factory=deque)  # to be shrunk
    lost: int = 0  # runs in a row that could not be judged
    began: float = 0.0  # on the monotonic clock

    def go(self) -> Iterator[Finding]:
        """Commit run after run, and give each finding when it is saved and shrunk.

        Whatever ends it, the result says how long it took, and the watcher hears of its end. Ctrl-C is raised.
        """
        self.began = time.monotonic()
        try:
            self.watcher.began(self.result, self.url)
            yield from self._all_runs()
        except KeyboardInterrupt as interrupt:
            self.result.interrupted = interrupt
            raise
        finally:
            self.result.duration = time.monotonic() - self.began
            self.watcher.ended(self.result)

    def _all_runs(self) -> Iterator[Finding]:
        ahead: deque[tuple[Future[Ran], frozenset[str]]] = deque()
        numbers = count()
        while not self._is_over():
            known = frozenset(self.findings)
            while len(ahead) < min(self.crew.ahead, self.result.max_runs - self.result.total_runs):
                ahead.append((self.crew.run(next(numbers), known), known))
            asked, known_then = ahead.popleft()
            ran = asked.result()
            if slow_again(ran, known - known_then):
                ran = self.crew.run(ran.index, known).result()
            yield from self._commit(ran)
        if not self.result.died and self.lost < GIVE_UP and not (self.stop_on_fail and self.result.failures):
            for finding in self.result.failures:
                if finding.first_seen_run != self.result.total_runs:
                    finding.gone_after = self.crew.look_again(finding)

    def _is_over(self) -> bool:
        result = self.result
        return bool(
            result.total_runs >= result.max_runs
            or result.died
            or self.lost == GIVE_UP
            or (self.stop_on_fail and result.failures)
        )

    def _commit(self, ran: Ran) -> Iterator[Finding]:
        if plainer(ran, self.findings):
            ran = self.crew.examine(ran)
        result, trace = self.result, ran.trace
        result.total_runs += 1
        result.steps += ran.steps
        result.requests += ran.requests
        result.forgiven += ran.forgiven
        result.coverage.merge(ran.coverage)
        new = len(result.failures)
        self.lost += 1
        if trace.failure is not None and trace.failure.is_finding:
            self.lost = 0
            result.failed += 1
            self._meet(trace, ran, counted=True)
        elif trace.ending == "passed":
            self.lost = 0
            result.passed += 1
        else:
            self._not_judged(ran)
        self.watcher.ran(ran.index + 1, trace, ran.seconds)
        while self.waiting:
            self._shrink(self.waiting.popleft(), ran)
        yield from result.failures[new:]

    def _not_judged(self, ran: Ran) -> None:
        result, trace, failure = self.result, ran.trace, ran.trace.failure
        result.not_judged += 1
        said = trace.reason if failure is None else f"{failure.kind} {failure.name}: {failure.message}"
        result.trouble = result.trouble or said
        if failure is not None:
            result.faults.setdefault(failure.fingerprint, failure)
            return
        result.unjudged = result.unjudged or trace
        if ran.died:
            result.died, result.log = ran.died, ran.log
        elif self.running is not None and not self.running.is_healthy():
            result.died = trace.reason

    def _meet(self, trace: Trace, ran: Ran, *, counted: bool = False) -> None:
        """Take a finding, of a run that is counted or of a shrink candidate; a new one is saved before all else."""
        failure = trace.failure
        assert failure is not None  # noqa: S101  a finding has one
        known = self.findings.get(failure.fingerprint)
        if known is not None:
            known.occurrences += counted
            if known.shrunk is not None and known.shrunk.is_rare and known.sightings < SIGHTINGS:
                known.sightings += 1
                known.other = trace
                self.waiting.append(known)
            return
        finding = Finding(failure, trace, ran.seed, first_seen_run=ran.index + 1, calls_before=len(trace.steps))
        finding.occurrences = int(counted)
        finding.found_after, finding.run_seconds = time.monotonic() - self.began, ran.seconds
        if self.keeper is not None:
            self.keeper.keep(finding, ran.index, ran.seed, self.writer if counted and ran.written else None)
        self.findings[finding.fingerprint] = finding
        self.result.failures.append(finding)
        self.waiting.append(finding)
        self.watcher.found(finding)
        if self.keeper is not None:
            self.keeper.settling.raise_late()

    def _shrink(self, finding: Finding, ran: Ran) -> None:
        if not finding.trace.steps or not self.shrinks:  # it failed in the reset, or nobody wants it
            return
        shrunk = self.crew.shrink(finding, self.watcher, lambda trace: self._meet(trace, ran))
        seen, finding.other = finding.other or finding.trace, None
        if finding.shrunk is None or shrunk.failed > finding.shrunk.failed:
            finding.shrunk, finding.calls_before = shrunk, len(seen.steps)
            finding.trace = shrunk.trace or seen
            finding.failure = finding.trace.failure or finding.failure
            if self.keeper is not None:
                self.keeper.improve(finding, ran.index, ran.seed)
        self.watcher.shrunk(finding)
        if isinstance(shrunk.error, UnreachableError):
            self.result.died, self.result.log = str(shrunk.error), self.crew.log
        elif shrunk.error is not None:
            raise shrunk.error
