"""The campaign: runs in their order, each failure saved first and shrunk then, until there is a reason to stop.

Theory of operation. Runs may be made by several hands, and come back in any order; the campaign commits them one
after the other, by their number. Committing a run counts it, saves a failure that is new, and has it shrunk, before
the next one is committed. So what is found, and what is said of it, follows from the seed, and not from who was faster.
"""

import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from replaykit.corpus import finding_in
from replaykit.crew import Crew
from replaykit.errors import ReplaykitError, UnreachableError
from replaykit.finding import Finding
from replaykit.journal import Journal
from replaykit.keeper import Keeper
from replaykit.result import Result
from replaykit.runner import Ran, plainer, slow_again
from replaykit.service import Running
from replaykit.trace import Trace
from replaykit.verdict import Failure
from replaykit.watcher import Watcher
from replaykit.writer import Writer

SIGHTINGS = 5  # of one failure, that are shrunk until one shows it often enough
GIVE_UP = 5  # runs in a row that could not be judged, though the service is healthy
MOST_RESTARTS = 3  # in a row, of a service that dies in each run


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
    recorder: Keeper | None = None  # keeps the runs that pass
    url: str | None = None  # of the service, or of the first one
    findings: dict[str, Finding] = field(default_factory=dict)  # by fingerprint
    waiting: deque[Finding] = field(default_factory=deque)  # to be shrunk
    lost: int = 0  # runs in a row that could not be judged
    deaths: int = 0  # runs in a row in which the service died, and was started again
    began: float = 0.0  # on the monotonic clock
    elapsed: float = 0.0  # seconds that it had gone on before it was resumed
    journal: Journal = field(default_factory=Journal)
    corpus: Mapping[str, Path] = field(default_factory=dict)  # bundles of bugs that are known, by fingerprint

    def go(self) -> Generator[Finding, None, None]:
        """Commit run after run, and give each finding when it is saved and shrunk.

        Whatever ends it, the result says how long it took, and the watcher hears of its end. Ctrl-C is raised.
        """
        self.began = time.monotonic() - self.elapsed
        try:
            self.watcher.began(self.result, self.url)
            self.journal.begin(self.result)
            yield from self._take_up()
            yield from self._all_runs()
            if not self.result.died:
                self.journal.end(self.result)
        except KeyboardInterrupt as interrupt:
            self.result.interrupted = interrupt
            raise
        finally:
            self.result.duration = self._seconds
            self.watcher.ended(self.result)

    @property
    def _seconds(self) -> float:
        """How long it has gone on."""
        return time.monotonic() - self.began

    def _take_up(self) -> Iterator[Finding]:
        """Shrink what was found and not shrunk before the campaign was stopped, and give all that was found."""
        while self.waiting and not self.result.died:
            finding = self.waiting.popleft()
            self._shrink(finding, Ran(finding.first_seen_run - 1, finding.seed, self.result.coverage.blank()))
        yield from list(self.result.failures)

    def _all_runs(self) -> Iterator[Finding]:
        ahead: deque[tuple[Future[Ran], frozenset[str]]] = deque()
        numbers = count(self.result.total_runs)
        while not self._is_over():
            known = frozenset(self.findings)
            while len(ahead) < min(self.crew.ahead, self._runs_left()):
                ahead.append((self.crew.run(next(numbers), known), known))
            asked, known_then = ahead.popleft()
            ran = asked.result()
            if slow_again(ran, known - known_then):
                before, ran = ran, self.crew.run(ran.index, known).result()
                ran.restarts += before.restarts
            yield from self._commit(ran)
        if not self.result.died and self.lost < GIVE_UP and not (self.stop_on_fail and self.result.failures):
            for finding in self.result.failures:
                if finding.first_seen_run != self.result.total_runs:
                    finding.gone_after = self.crew.look_again(finding)

    def _runs_left(self) -> int:
        most, done = self.result.max_runs, self.result.total_runs
        return self.crew.ahead if most is None else most - done

    def _is_over(self) -> bool:
        """Say whether there is no further run, and in the result why, where there might have been one."""
        result = self.result
        if self._runs_left() <= 0:
            return True
        if result.died:
            result.stopped = "the service is not there any more"
        elif self.lost == GIVE_UP:
            result.stopped = f"{GIVE_UP} runs in a row could not be judged"
        elif self.stop_on_fail and result.failures:
            result.stopped = "the first failure is found"
        else:
            newest = max((each.first_seen_run for each in result.failures), default=0)
            result.stopped = result.terms.met(len(result.failures), result.total_runs - newest, self._seconds)
        return bool(result.stopped)

    def _commit(self, ran: Ran) -> Iterator[Finding]:
        if plainer(ran, self.findings):
            ran = self.crew.examine(ran)
        result, trace = self.result, ran.trace
        self._count_restarts(ran)
        result.died, result.log = ran.died, ran.log
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
            if self.recorder is not None:
                self.recorder.record(trace, ran.index, ran.seed)
        else:
            self._not_judged(ran)
        if not result.died:  # else it is run again when the hunt goes on
            self.journal.ran(ran, result, self._seconds)
        self.watcher.ran(ran.index + 1, trace, ran.seconds)
        while self.waiting and not result.died:  # else they are shrunk when the hunt goes on
            self._shrink(self.waiting.popleft(), ran)
        yield from result.failures[new:]

    def _count_restarts(self, ran: Ran) -> None:
        """Count how often the service was started again, and give it up where it dies in one run after the other."""
        self.deaths = self.deaths + 1 if ran.restarts else 0
        if self.deaths > MOST_RESTARTS:
            ran.died = f"The service died after each of {MOST_RESTARTS} restarts in a row."
        else:
            self.result.restarts += ran.restarts

    def _not_judged(self, ran: Ran) -> None:
        result, trace, failure = self.result, ran.trace, ran.trace.failure
        result.not_judged += 1
        said = trace.reason if failure is None else f"{failure.title}: {failure.message}"
        result.trouble = result.trouble or said
        if failure is not None:
            result.faults.setdefault(failure.fingerprint, failure)
            return
        result.unjudged = result.unjudged or trace

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
        path = self.corpus.get(failure.fingerprint)
        if path is not None and self._meet_again(path, failure, ran, counted=counted):
            return
        finding = Finding(failure, trace, ran.seed, first_seen_run=ran.index + 1, calls_before=len(trace.steps))
        finding.occurrences = int(counted)
        finding.found_after, finding.run_seconds = self._seconds, ran.seconds
        if self.keeper is not None:
            self.keeper.keep(finding, ran.index, ran.seed, self.writer if counted and ran.written else None)
        self.journal.found(finding)
        self.findings[finding.fingerprint] = finding
        self.result.failures.append(finding)
        self.waiting.append(finding)
        self.watcher.found(finding)
        if self.keeper is not None:
            self.keeper.settling.raise_late()

    def _meet_again(self, path: Path, seen: Failure, ran: Ran, *, counted: bool) -> bool:
        """Take a bug whose bundle was there before: it is counted, and told with what was seen now, and no more.

        Without the bundle, it is a new one.
        """
        try:
            finding = finding_in(path, ran.seed, ran.index + 1)
        except ReplaykitError:
            return False
        finding.failure = finding.failure.replace(message=seen.message, expected=seen.expected, actual=seen.actual)
        finding.occurrences, finding.found_after, finding.run_seconds = int(counted), self._seconds, ran.seconds
        self.journal.known(finding)
        self.findings[finding.fingerprint] = finding
        self.result.known.append(finding)
        self.watcher.known(finding)
        return True

    def _shrink(self, finding: Finding, ran: Ran) -> None:
        if not finding.trace.steps or not self.shrinks:  # it failed in the reset, or nobody wants it
            return
        shrunk = self.crew.shrink(finding, self.watcher, lambda trace: self._meet(trace, ran))
        self.result.restarts += shrunk.restarts
        seen, finding.other = finding.other or finding.trace, None
        if finding.shrunk is None or shrunk.failed > finding.shrunk.failed:
            finding.shrunk, finding.calls_before = shrunk, len(seen.steps)
            finding.trace = shrunk.trace or seen
            finding.failure = finding.trace.failure or finding.failure
            if self.keeper is not None:
                self.keeper.improve(finding, ran.index, ran.seed)
        if shrunk.error is None:
            self.journal.shrunk(finding, self._seconds, shrunk.restarts)
        self.watcher.shrunk(finding)
        if isinstance(shrunk.error, UnreachableError):
            self.result.died, self.result.log = shrunk.error.happened, shrunk.error.log
        elif shrunk.error is not None:
            raise shrunk.error
