"""Reshrinking: a saved bug is shrunk again, from its file alone, and the file never gets worse.

    reshrunk = reshrink(read(path), path, model=Shop, adapter=ShopApi, url="http://127.0.0.1:4600")

The search starts from the sequence that the bundle holds; the generators are the model's. The file is replaced
only where the result is simpler, and was seen to fail in the same way in as many runs of as many as what it
replaces. Where each run of the result failed, no better can be seen; else both are run in turns, and counted.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from replaykit import client, project
from replaykit.adapter import Adapter, Adapters
from replaykit.binding import bound
from replaykit.bundle import Bundle, Provenance, Shrinking, name_of, require_whole
from replaykit.errors import StaleError, UnreachableError, UnwritableError
from replaykit.finding import Finding
from replaykit.judging import judge
from replaykit.keeper import facts_of, made
from replaykit.latency import Budgets, budgets_of
from replaykit.model import Model
from replaykit.oracle import Oracle, faults_of, generators_for, simulation
from replaykit.reader import read
from replaykit.run import execute
from replaykit.sequence import Fixed, identity
from replaykit.service import Running
from replaykit.settling import Settling
from replaykit.shrink import CONFIRMING, MEASURING, MOST_TRIES, Budget, Shrunk, shrink
from replaykit.trace import Trace
from replaykit.transport import Way
from replaykit.verdict import NOT_JUDGED, OK, Verdict, exit_code
from replaykit.version import __version__
from replaykit.watcher import Watcher
from replaykit.writer import save

LARGE = Budget(executions=2000, seconds=300.0)
MOST_RUNS = 40  # of what was, and of what came of it, to see which of them fails more often

Outcome: TypeAlias = Literal[
    "simpler",  # saved
    "unchanged",  # nothing simpler was found
    "less reliable",  # what is simpler fails less often
    "not reproduced",  # the bug does not show any more
    "interrupted",  # before there was anything that could be kept
]


@dataclass(slots=True)
class Rate:
    """How often something failed."""

    failed: int = 0
    runs: int = 0

    def __str__(self) -> str:
        """Say it: 7 of 10 runs."""
        return f"{self.failed} of {self.runs} runs"


@dataclass(slots=True)
class Reshrunk:
    """What came of it."""

    outcome: Outcome
    reason: str
    finding: Finding  # with the simplest run that was found
    before: Rate  # how often the bundle's sequence failed, as far as that was asked
    after: Rate  # how often the simplest one did
    path: Path | None = None  # what was written
    others: list[Finding] = field(default_factory=list)  # other failures, met on the way
    interrupted: KeyboardInterrupt | None = None

    @property
    def exit_code(self) -> int:
        """The exit code: 0 done, 125 the bug does not show any more, 130 and 143 interrupted."""
        if self.interrupted is not None:
            return exit_code(self.interrupted)
        return NOT_JUDGED if self.outcome == "not reproduced" else OK


def reshrink(
    bundle: Bundle,
    path: Path,
    *,
    model: type[Model],
    adapter: type[Adapter[Any]],
    url: str,
    output: Path | None = None,
    save_failures: Path | None = None,
    settings: Mapping[str, str] | None = None,
    latency: Mapping[str, float] | None = None,
    transport: Way = "lean",
    budget: Budget | None = None,
    watcher: Watcher | None = None,
    with_times: bool = False,
    free_port: bool = False,
    running: Running | None = None,
) -> Reshrunk:
    """Shrink a bundle's sequence again, and replace its file, or write `output`, where the result is better.

    `latency` says what endpoints may take, in seconds. `transport="httpx"` sends plain HTTP through httpx's transport
    too. `save_failures` names a folder for other failures that are
    met on the way. Ctrl-C ends the search: what was found until then is still run again, and kept if it is better; a
    second one ends that as well. What is saved has the canonical form, unless `with_times`, or the bug does not show
    offline in it; `free_port` says that the port of `url` differs from one saving to the next. `running` is the service
    at `url`, where it is reset before each execution, or watched.
    Raises BundleError, StaleError, UnreachableError, UsageError, DefinitionError.
    """
    require_whole(bundle, str(path))
    target = (output or path).resolve()  # a link to a file stays one
    if not target.parent.is_dir() or not os.access(target.parent, os.W_OK):  # told before the search, not after it
        raise UnwritableError(f"{target.parent} is no folder that can be written to.", "Choose another one.")
    saved = bundle
    bundle = bundle.replace(trace=bound(bundle.trace, project.policy_here(), os.environ))
    adapters = Adapters(model, adapter, url, settings or {}, transport, running)
    try:
        budgets = budgets_of(model, adapter, latency or {})
        if bundle.failure.kind == "latency":
            budgets = budgets.recorded(bundle.failure)
        folder = made(save_failures) if save_failures else None
        settling = Settling(
            model,
            adapter,
            settings=settings,
            latency=latency,
            transport=transport,
            services=[url] if free_port else [],
            with_times=with_times,
        )
        again = _Again(bundle, adapters, budgets, url, folder, watcher or Watcher(), settling)
        reshrunk = again.go(budget or LARGE)
    finally:
        adapters.close()
    if reshrunk.outcome == "simpler":
        if target == path.resolve() and read(path) != saved:
            raise UnwritableError(
                f"{path} was changed meanwhile, and is left as it is.", "Try again, or write elsewhere with --output."
            )
        save(target, again.provenance(), reshrunk.finding.trace, settling)
        reshrunk.path = output or path
        reshrunk.finding.timed = settling.kept
        settling.raise_late()
    return reshrunk


class _Again:
    """The search and what is asked after it."""

    def __init__(
        self,
        bundle: Bundle,
        adapters: Adapters,
        budgets: Budgets,
        url: str,
        folder: Path | None,
        watcher: Watcher,
        settling: Settling,
    ) -> None:
        self.bundle = bundle
        self.adapters = adapters
        self.url = url
        self.folder = folder
        self.watcher = watcher
        self.settling = settling
        self.before, self.after = Rate(), Rate()
        self.others: dict[str, Finding] = {}
        origin = bundle.provenance
        self.finding = Finding(bundle.failure, bundle.trace, origin.seed, first_seen_run=origin.run + 1)
        self.finding.calls_before = len(bundle.trace.steps)
        self.oracle = Oracle(adapters, self.finding, budgets, watcher, self._meet)

    def go(self, budget: Budget) -> Reshrunk:
        """Search, and say what came of it."""
        sequence, finding = self.bundle.trace.sequence, self.finding
        if not sequence:
            return self._end("unchanged", "it failed before its first command, so there is nothing to remove")
        verdict, reason = self._look()
        if verdict is Verdict.STALE:
            raise StaleError(reason, "Shrinking needs a sequence that fits; replaykit replay says more.")
        model = self.adapters.model
        finding.shrunk = shrunk = shrink(
            sequence,
            self.oracle,
            lambda call: generators_for(model, call),
            budget=budget,
            fits=simulation(model, sequence),
            looks=MOST_TRIES,
            at_end=finding.failure.step is None,
            faults=faults_of(model),
        )
        if isinstance(shrunk.error, UnreachableError):
            raise shrunk.error
        interrupted = shrunk.error if isinstance(shrunk.error, KeyboardInterrupt) else None
        if shrunk.trace is None and not shrunk.failed:
            return self._not_seen(shrunk.executions + 1, verdict, reason, interrupted)
        if identity(shrunk.sequence) == identity(sequence):
            self.after = Rate(shrunk.failed, shrunk.runs)
            if interrupted is not None:
                return self._end("interrupted", "nothing simpler was found until then", interrupted)
            return self._end("unchanged", "nothing simpler was found")
        finding.trace = shrunk.trace or finding.trace
        finding.failure = finding.trace.failure or finding.failure
        try:
            better = self._fails_as_often(shrunk)
        except KeyboardInterrupt as late:
            return self._end("interrupted", "what was found was not run often enough to be kept", late)
        if better:
            return self._end("simpler", "", interrupted)
        reason = f"what is simpler failed in {self.after}, and what it would replace in {self.before}"
        return self._end("less reliable", reason, interrupted)

    def _not_seen(self, runs: int, verdict: Verdict, reason: str, interrupted: KeyboardInterrupt | None) -> Reshrunk:
        """Say what it means that the search never saw the failure."""
        if interrupted is not None:
            return self._end("interrupted", "nothing was found until then", interrupted)
        if verdict is Verdict.REPRODUCED:
            return self._end("unchanged", f"it failed only in the first of {runs} runs, too seldom to be shrunk")
        return self._end("not reproduced", f"it failed as recorded in none of {runs} runs; in the first, {reason}")

    def _look(self) -> tuple[Verdict, str]:
        """Run the bundle's sequence once, and judge it as a replay does."""
        trace = execute(self.adapters.model, self.adapters.new(), Fixed(self.bundle.trace.sequence))
        return judge(self.bundle.failure, trace)

    def _fails_as_often(self, shrunk: Shrunk) -> bool:
        """Say whether the result failed in as many runs as the bundle's sequence, of as many."""
        before, after = self.before, self.after
        after.failed, after.runs = shrunk.failed, shrunk.runs
        self._run(after, shrunk, until=CONFIRMING)
        if after.failed == after.runs:
            return True
        while True:
            self._run(before, None, until=after.runs)
            if 0 < after.failed >= before.failed:
                return True
            if after.runs >= MOST_RUNS or not after.failed:
                return False
            self._run(after, shrunk, until=min(MOST_RUNS, after.runs + MEASURING))

    def _run(self, rate: Rate, shrunk: Shrunk | None, *, until: int) -> None:
        """Run a result, or the bundle's sequence, and count."""
        sequence = self.bundle.trace.sequence if shrunk is None else shrunk.sequence
        while rate.runs < until:
            rate.failed += self.oracle(sequence).same
            rate.runs += 1

    def _meet(self, trace: Trace) -> None:
        """Take another failure; it is saved where there is a folder for it, unless there is one of its name already."""
        failure = trace.failure
        assert failure is not None  # noqa: S101  a finding has one
        if failure.fingerprint in self.others:
            return
        origin = self.bundle.provenance
        other = Finding(failure, trace, origin.seed, origin.run + 1, occurrences=0, calls_before=len(trace.steps))
        if self.folder is not None:
            other.path = self.folder / name_of(failure)
            other.replaced = other.path.exists()
            if not other.replaced:
                facts = {"revision": None, "dirty": None, "culprit": None, **facts_of(self.adapters.model)}
                now = datetime.now(UTC).isoformat(timespec="seconds")
                url = client.without_credentials(self.url)
                save(
                    other.path,
                    origin.replace(recorded=now, url=url, shrinking=None, canonical=None, **facts),
                    trace,
                    self.settling,
                )
                other.timed = self.settling.kept
        self.others[failure.fingerprint] = other
        self.watcher.found(other)
        self.settling.raise_late()

    def provenance(self) -> Provenance:
        """Return the bundle's provenance with what the search did: its cost is added to that of earlier ones."""
        origin, shrunk = self.bundle.provenance, self.finding.shrunk
        assert shrunk is not None  # noqa: S101  there is something to save
        earlier = origin.shrinking
        shrinking = Shrinking(
            calls_before=self.finding.calls_before if earlier is None else earlier.calls_before,
            executions=shrunk.executions + (0 if earlier is None else earlier.executions),
            requests=shrunk.requests + (0 if earlier is None else earlier.requests),
            seconds=round(shrunk.seconds + (0 if earlier is None else earlier.seconds), 3),
            confirmed=self.after.failed == self.after.runs,
            runs=self.after.runs,
            failed=self.after.failed,
            stopped=shrunk.stopped,
        )
        return origin.replace(tool=f"replaykit {__version__}", shrinking=shrinking, canonical=None)

    def _end(self, outcome: Outcome, reason: str, interrupted: KeyboardInterrupt | None = None) -> Reshrunk:
        return Reshrunk(
            outcome, reason, self.finding, self.before, self.after, None, list(self.others.values()), interrupted
        )
