"""Integration: a campaign of runs against a live service; every failure is saved first, and shrunk then.

    result = integration.run(model=Leaderboard, adapter=LeaderboardApi, base_url="http://127.0.0.1:4600")

The whole campaign follows from one seed: run i has the seed that `source.derive(seed, i)` gives.
"""

import contextlib
import gc
import os
import platform
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from replaykit import client, repository, service
from replaykit.adapter import Adapter, Adapters, Mock, unpredicted
from replaykit.backlog import Backlog
from replaykit.bundle import Provenance, Shrinking, name_of
from replaykit.command import generators_of
from replaykit.coverage import Coverage, checked
from replaykit.errors import DefinitionError, UnreachableError, UnwritableError, UsageError
from replaykit.generate import Generated, Parallel
from replaykit.generator import Generator
from replaykit.latency import CANDIDATE, RUNS, Budgets, Decided, budgets_of, decide
from replaykit.model import Model, digest_of
from replaykit.run import execute
from replaykit.sequence import Call, Fixed, Sequence, branches_of, interleaved, one_by_one, said_once, until
from replaykit.settling import Settling
from replaykit.shrink import Attempt, Budget, Shrunk, identity, rate_at_least, shrink, tries
from replaykit.source import Source, derive
from replaykit.trace import Trace
from replaykit.transport import Way
from replaykit.verdict import FOUND, NOT_JUDGED, OK, Failure, is_same
from replaykit.writer import Writer, save

MAX_SEED = 1 << 32
GONE = 0.001  # how often a bug that is still there may be called gone
MOST_LOOKS = 40  # for it, at the end of a campaign
LOOK_SECONDS = 10.0  # for each of them
SIGHTINGS = 5  # of one failure, that are shrunk until one shows it often enough
ORDERS = 6  # in which the calls of a race are sent one after the other
REPEAT = 10  # runs of one sequence that ends in branches
GIVE_UP = 5  # runs in a row that could not be judged, though the service is healthy


class Watcher(Protocol):
    """Who is told how a campaign goes on."""

    def ran(self, number: int, trace: Trace) -> None:
        """Hear that run `number` (from 1) is over."""

    def found(self, finding: "Finding") -> None:
        """Hear of a new failure, before it is shrunk."""

    def tried(self, finding: "Finding", executions: int, length: int) -> None:
        """Hear how shrinking goes on: executions so far, and the length of the best sequence."""

    def shrunk(self, finding: "Finding") -> None:
        """Hear that shrinking is over, and the bundle is saved."""


class Silent:
    """The watcher that does not care."""

    def ran(self, number: int, trace: Trace) -> None:
        """Do nothing."""

    def found(self, finding: "Finding") -> None:
        """Do nothing."""

    def tried(self, finding: "Finding", executions: int, length: int) -> None:
        """Do nothing."""

    def shrunk(self, finding: "Finding") -> None:
        """Do nothing."""


@dataclass(slots=True)
class Finding:
    """One bug: all failures of a campaign with the same fingerprint."""

    failure: Failure
    trace: Trace  # the simplest run that shows it, as far as it is known
    seed: int  # of the run that it was first seen in
    first_seen_run: int  # from 1
    occurrences: int = 1  # runs of the campaign in which it was seen
    replaced: bool = False  # was there a bundle of its name before?
    calls_before: int = 0  # shrinking
    path: Path | None = None  # of its bundle
    covered: tuple[str, ...] = ()  # placeholders in what its bundle says of the failure
    timed: str | None = None  # why its bundle has its times, where it was to have none
    shrunk: Shrunk | None = None
    sightings: int = 1  # of those that were shrunk
    other: Trace | None = None  # another run that shows it, where the first does so too seldom
    gone_after: int = 0  # runs at the end of the campaign in which it did not show any more; 0 where it did

    @property
    def fingerprint(self) -> str:
        """The fingerprint of its failure."""
        return self.failure.fingerprint


@dataclass(slots=True)
class Result:
    """What a campaign came to."""

    model: type[Model]
    adapter: type[Adapter[Any]]
    seed: int
    max_runs: int
    total_runs: int = 0
    passed: int = 0
    failed: int = 0  # runs with a finding
    not_judged: int = 0  # runs that say nothing of the service: lost answers, faults of the test code
    steps: int = 0
    requests: int = 0
    duration: float = 0.0  # seconds
    failures: list[Finding] = field(default_factory=list)
    faults: dict[str, Failure] = field(default_factory=dict)  # of the test code, by fingerprint
    trouble: str = ""  # why the first run that was not judged was not
    unjudged: Trace | None = None  # that run
    forgiven: int = 0  # slow answers in sequences that were not slow in the majority of their executions
    budgets: tuple[str, ...] = ()  # handlers and endpoints that have one, by name
    died: str = ""  # why the campaign was ended, where the service was not there any more
    coverage: Coverage = field(init=False)
    required: dict[str, float] = field(default_factory=dict)  # percent that must be covered, by kind
    interrupted: KeyboardInterrupt | None = None

    def __post_init__(self) -> None:
        self.coverage = Coverage.of(self.model, self.adapter, self.budgets)

    @property
    def success(self) -> bool:
        """Whether every run was judged, and nothing was found."""
        return self.exit_code == OK

    @property
    def exit_code(self) -> int:
        """The exit code of the campaign: 1 something was found, 125 something could not be judged, else 0."""
        if self.failures:
            return FOUND
        unjudged = self.not_judged or self.died or not self.total_runs or self.coverage.lacking(self.required)
        return NOT_JUDGED if unjudged else OK

    def never_exercised(self) -> list[str]:
        """List the commands, checks and outcomes that no run exercised: what they hold was not looked at."""
        return self.coverage.never()


def run(
    *,
    model: type[Model],
    adapter: type[Adapter[Any]],
    base_url: str | None = None,
    max_runs: int = 100,
    max_commands: int = 50,
    seed: int | None = None,
    health_check: str | None = None,
    save_failures: str | Path | None = None,
    stop_on_fail: bool = False,
    swarm: bool = False,
    settings: Mapping[str, str] | None = None,
    latency: Mapping[str, float] | None = None,
    transport: Way = "lean",
    budget: Budget | None = None,
    watcher: Watcher | None = None,
    names: tuple[str, str] | None = None,
    parallel: Parallel | None = None,
    repeat: int = REPEAT,
    stutter: float = 0.0,
    require_coverage: Mapping[str, float] | None = None,
    with_times: bool = False,
    free_port: bool = False,
) -> Result:
    """Run up to `max_runs` sequences of up to `max_commands` commands, and return what was found.

    `adapter=Mock` runs the model against itself, without a service. `health_check` is a path, a URL with
    `{url}` in it, or "none". `save_failures` names a folder for bundles. `names` says how bundles name
    model and adapter, where the class names alone would not find them. `swarm` leaves a random part of the
    model's commands out of each run. `latency` says what endpoints may take, in seconds: {"GET /players": 0.2}.
    `transport="httpx"` sends plain HTTP through httpx's transport too.
    `require_coverage` says how many percent must be covered for a success:
    {"commands": 100, "checks": 100, "outcomes": 90, "transitions": 50}.
    Raises UsageError, DefinitionError, UnreachableError. Ctrl-C ends the campaign: the result says
    `interrupted`. `budget` says how long shrinking of each failure may go on; with 0 executions nothing is shrunk.
    `parallel` lets each sequence end in branches that are sent at the same time; it is run up to `repeat` times then.
    `stutter` is how often an idempotent command is sent again. Bundles are saved in the canonical form, without what
    differs from one saving to the next, unless `with_times`, or a bug does not show offline without it; `free_port`
    says that the port of `base_url` differs.
    """
    if max_runs < 1 or max_commands < 1:
        raise UsageError("A campaign has at least one run of at least one command.", "Use larger numbers.")
    if seed is not None and not 0 <= seed < 1 << 64:
        raise UsageError(f"The seed {seed} is out of range.", "A seed is a number from 0 to 2**64 - 1.")
    if not model.commands:
        raise DefinitionError(f"{model.__name__} has no commands.", "Name them: commands: ClassVar = (...).")
    if not (model.rules.expects or model.rules.invariants or model.rules.checks or model.server_errors):
        raise DefinitionError(
            f"{model.__name__} judges nothing: no run could ever fail.",
            "Write an @expects, an @invariant or a @check method, or set server_errors = True.",
        )
    if parallel is not None:
        _check_parallel(model, adapter, parallel, repeat)
    if not 0 <= stutter <= 1:
        raise UsageError(f"The probability of stutter is {stutter:g}.", "Give a number from 0 to 1.")
    if stutter and not any(command.idempotent for command in model.commands):
        raise DefinitionError(
            f"{model.__name__} has no command that may be sent again.",
            "Say so of those that may: class Credit(Command, idempotent=True).",
        )
    if adapter is Mock and save_failures is not None:
        raise UsageError("A run without a service has no bugs of a service to save.", "Leave out the folder.")
    budgets = budgets_of(model, adapter, latency or {})
    campaign = _Campaign(
        result=Result(
            model=model,
            adapter=adapter,
            budgets=tuple(budgets.names),
            seed=random.SystemRandom().randrange(MAX_SEED) if seed is None else seed,
            max_runs=max_runs,
            required=checked(require_coverage or {}),
        ),
        url=base_url,
        health=health_check,
        max_commands=max_commands,
        settings=dict(settings or {}),
        transport=transport,
        budgets=budgets,
        budget=budget or (Budget.for_races() if parallel else Budget()),
        watcher=watcher or Silent(),
        names=names or (_name_of(model), _name_of(adapter)),
        stop_on_fail=stop_on_fail,
        parallel=parallel,
        repeat=repeat,
        stutter=stutter,
        swarm=swarm,
        settling=Settling(
            model,
            adapter,
            settings=settings,
            latency=latency,
            transport=transport,
            services=[base_url] if free_port and base_url else [],
            with_times=with_times,
        ),
    )
    began = time.monotonic()
    try:
        campaign.go(Path(save_failures) if save_failures is not None else None)
    except KeyboardInterrupt as interrupt:
        campaign.result.interrupted = interrupt
    finally:
        campaign.result.duration = time.monotonic() - began
    return campaign.result


def _check_parallel(model: type[Model], adapter: type[Adapter[Any]], parallel: Parallel, repeat: int) -> None:
    if adapter is Mock:
        raise UsageError("A run without a service sends nothing at the same time.", "Leave out parallel, or mock.")
    if parallel.trouble is not None or repeat < 1:
        raise UsageError(f"{parallel.trouble or f'{repeat} repetitions are none'}.", "Use other numbers.")
    if not (model.rules.expects or model.rules.checks):
        raise DefinitionError(
            f"{model.__name__} can't judge what is sent at the same time: it expects and checks nothing.",
            "Write an @expects or a @check method.",
        )


def _name_of(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


@dataclass(slots=True)
class _Campaign:
    """A campaign while it runs."""

    result: Result
    url: str | None
    health: str | None
    max_commands: int
    settings: dict[str, str]
    transport: Way
    budgets: Budgets
    budget: Budget
    watcher: Watcher
    names: tuple[str, str]
    stop_on_fail: bool
    parallel: Parallel | None
    repeat: int
    stutter: float
    swarm: bool
    settling: Settling
    findings: dict[str, Finding] = field(default_factory=dict)
    waiting: list[Finding] = field(default_factory=list)  # to be shrunk
    folder: Path | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def go(self, folder: Path | None) -> None:
        """Do all runs."""
        adapters = Adapters(self.result.model, self.result.adapter, self.url, self.settings, self.transport)
        with contextlib.closing(adapters), _old_left_alone():
            if folder is None:
                self._all_runs(adapters, None)
                return
            self.folder = made(folder)
            self.facts = facts_of(self.result.model)
            with Writer(folder / f".run-{os.getpid()}-{os.urandom(4).hex()}.partial") as writer:
                self._all_runs(adapters, writer)

    def _all_runs(self, adapters: Adapters, writer: Writer | None) -> None:
        result, lost = self.result, 0
        for index in range(result.max_runs):
            seed = derive(result.seed, index)
            tally: Counter[tuple[str, str]] = Counter()
            try:
                trace, written = self._one_run(adapters, index, seed, writer, tally)
            finally:
                result.coverage.add(tally)
            if trace.failure is not None and trace.failure.is_finding:
                lost = 0
                result.failed += 1
                self._meet(trace, index, seed, writer if written else None, counted=True)
            elif trace.ending == "passed":
                lost = 0
                result.passed += 1
            else:
                lost += 1
                self._not_judged(trace)
            self.watcher.ran(index + 1, trace)
            self._shrink_waiting(adapters, index, seed)
            if result.died or lost == GIVE_UP or (self.stop_on_fail and result.failures):
                return
        self._look_again(adapters)

    def _look_again(self, adapters: Adapters) -> None:
        """Run each finding once more when the campaign is over: one that does not show any more was not flaky.

        A flaky bug shows now and then, all the time; what showed and does not any more says that the service changed.
        """
        for finding in self.result.failures:
            shrunk = finding.shrunk
            if shrunk is None or not shrunk.failed or finding.first_seen_run == self.result.total_runs:
                continue
            looks, seconds = tries(rate_at_least(shrunk.failed, shrunk.runs), GONE, MOST_LOOKS), time.monotonic()
            for _ in range(looks):
                trace = _again(adapters, self.budgets, finding.failure, shrunk.sequence).trace
                if trace.ending != "passed" or time.monotonic() - seconds > LOOK_SECONDS:
                    break  # it is there, or nobody knows
            else:
                finding.gone_after = looks

    def _one_run(
        self, adapters: Adapters, index: int, seed: int, writer: Writer | None, tally: Counter[tuple[str, str]]
    ) -> tuple[Trace, bool]:
        """Draw a sequence and run it; where it ends in branches, again and again, since races show now and then.

        Say too whether the trace is on its way to the disk.
        """
        calls = Generated(self.result.model, seed, self.max_commands, self.parallel, self.stutter, swarm=self.swarm)
        self.result.total_runs += 1
        trace = self._execute(adapters, calls, index, seed, writer, tally)
        sequence = tuple(calls.drawn)
        for _ in range(self.repeat - 1 if branches_of(sequence) else 0):
            if trace.ending not in {"passed", "undecided"}:
                break
            again = self._execute(adapters, Fixed(sequence), index, seed, writer, tally)
            if again.ending not in {"passed", "stale"}:  # where answers are left to chance, a repetition may not fit
                trace = again
        ran, trace = trace, self._timed(trace, adapters, tally)
        failure = trace.failure
        if failure is None or not failure.is_finding or failure.kind == "latency":
            return trace, trace is ran
        for plain in self._plainer(trace, seed):
            alone = execute(self.result.model, adapters.new(), Fixed(plain))
            self._count(alone)
            if alone.failure is not None and alone.failure.is_finding:
                return alone, False
        return trace, trace is ran

    def _plainer(self, trace: Trace, seed: int) -> Iterator[Sequence]:
        """List the calls of a failure one after the other, each once: what fails so too is no race, and no retry.

        In which order, if any, a bug shows that needs no race is not known, so several are tried for a new failure.
        """
        sequence, source = trace.sequence, Source(derive(seed, ORDERS))
        plain = said_once(trace.in_turn)
        if plain != sequence:
            yield plain
        if branches_of(sequence) and trace.failure is not None and trace.failure.fingerprint not in self.findings:
            for _ in range(ORDERS):
                yield interleaved(said_once(sequence), source)

    def _execute(
        self,
        adapters: Adapters,
        calls: Generated | Fixed,
        index: int,
        seed: int,
        writer: Writer | None,
        tally: Counter[tuple[str, str]],
    ) -> Trace:
        if writer is not None:
            writer.rewind()
            writer.begin(self._provenance(index, seed))
        adapter = adapters.new()
        listener = None if writer is None else Backlog(writer)
        trace = execute(self.result.model, adapter, calls, listener=listener, tally=tally)
        self.result.coverage.fold(trace, adapter.refs)
        self._count(trace)
        return trace

    def _count(self, trace: Trace) -> None:
        self.result.steps += len(trace.steps)
        self.result.requests += trace.requests

    def _timed(self, ran: Trace, adapters: Adapters, tally: Counter[tuple[str, str]]) -> Trace:
        """Run again what was slow; return what the run comes to, which fails if it is slow most of the time.

        What was found to be slow before is counted, and not looked at again: what is behind it would not be seen.
        """
        for measured in self.budgets.measure(ran):
            tally["latency", measured.budget.name] += 1
        slow = self.budgets.slow(ran) if ran.ending == "passed" else []
        known = [failure for failure in slow if failure.fingerprint in self.findings]
        if len(slow) > len(known):

            def unknown(trace: Trace) -> list[Failure]:
                return [each for each in self.budgets.slow(trace) if each.fingerprint not in self.findings]

            def again() -> Trace:
                trace = execute(self.result.model, adapters.new(), Fixed(ran.sequence))
                self._count(trace)
                return trace

            decided = decide(unknown, again, RUNS, first=ran)
            if decided.trace.ending not in {"passed", "stale"}:
                return decided.trace
            self.result.forgiven += decided.slow
        return ran.replace(ending="failed", failure=known[0]) if known else ran

    def _not_judged(self, trace: Trace) -> None:
        self.result.not_judged += 1
        failure = trace.failure
        said = trace.reason if failure is None else f"{failure.kind} {failure.name}: {failure.message}"
        self.result.trouble = self.result.trouble or said
        if failure is not None:
            self.result.faults.setdefault(failure.fingerprint, failure)
            return
        self.result.unjudged = self.result.unjudged or trace
        if self.url is not None and not service.is_healthy(self.url, self.health):
            self.result.died = trace.reason

    def _meet(
        self, trace: Trace, index: int, seed: int, writer: Writer | None = None, *, counted: bool = False
    ) -> None:
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
        finding = Finding(failure, trace, seed, first_seen_run=index + 1, calls_before=len(trace.steps))
        finding.occurrences = int(counted)
        if self.folder is not None:
            finding.path = self.folder / name_of(failure)
            finding.replaced = finding.path.exists()
            if writer is not None and not writer.is_late:
                finding.covered = writer.covered
                writer.save(finding.path, self.settling)
            else:
                finding.covered = save(finding.path, self._provenance(index, seed), trace, self.settling)
            finding.timed = self.settling.kept
        self.findings[finding.fingerprint] = finding
        self.result.failures.append(finding)
        self.waiting.append(finding)
        self.watcher.found(finding)
        self.settling.raise_late()

    def _shrink_waiting(self, adapters: Adapters, index: int, seed: int) -> None:
        while self.waiting:
            finding = self.waiting.pop(0)
            if not finding.trace.steps or not self.budget.executions:  # it failed in the reset, or nobody wants it
                continue
            oracle = Oracle(adapters, finding, self.budgets, self.watcher, lambda other: self._meet(other, index, seed))
            seen, finding.other = finding.other or finding.trace, None
            sequence = _up_to_failure(seen)
            shrunk = shrink(
                sequence,
                oracle,
                lambda call: generators_for(self.result.model, call),
                budget=self.budget,
                fits=simulation(self.result.model, sequence),
                at_end=finding.failure.step is None,
            )
            if finding.shrunk is None or shrunk.failed > finding.shrunk.failed:
                finding.shrunk, finding.calls_before = shrunk, len(seen.steps)
                finding.trace = shrunk.trace or seen
                finding.failure = finding.trace.failure or finding.failure
                if finding.path is not None:
                    provenance = self._provenance(index, seed, finding)
                    finding.covered = save(finding.path, provenance, finding.trace, self.settling)
                    finding.timed = self.settling.kept
                    self.settling.raise_late()
            self.watcher.shrunk(finding)
            if isinstance(shrunk.error, UnreachableError):
                self.result.died = str(shrunk.error)
            elif shrunk.error is not None:
                raise shrunk.error

    def _provenance(self, index: int, seed: int, finding: Finding | None = None) -> Provenance:
        result = self.result
        shrinking = None
        if finding is not None and finding.shrunk is not None:
            shrunk = finding.shrunk
            shrinking = Shrinking(
                calls_before=finding.calls_before,
                executions=shrunk.executions,
                requests=shrunk.requests,
                seconds=round(shrunk.seconds, 3),
                confirmed=shrunk.confirmed,
                runs=shrunk.runs,
                failed=shrunk.failed,
                stopped=shrunk.stopped,
            )
        return Provenance(
            model=self.names[0],
            adapter=self.names[1],
            campaign_seed=result.seed,
            run=index,
            seed=seed,
            commands=self.max_commands,
            url=None if self.url is None else client.without_credentials(self.url),
            recorded=datetime.now(UTC).isoformat(timespec="seconds"),
            shrinking=shrinking,
            **self.facts,
        )


@contextlib.contextmanager
def _old_left_alone() -> Iterator[None]:
    """Keep the garbage collector from what was there before: it would look through all of it again and again."""
    if gc.get_freeze_count():
        yield  # somebody else has seen to it
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def made(folder: Path) -> Path:
    """Make a folder for bundles, where there is none. Raises UnwritableError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnwritableError(f"{folder} can't be made: {error.strerror}.", "Choose another folder.") from None
    return folder


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
        decided = _again(self.adapters, self.budgets, self.finding.failure, candidate)
        trace = decided.trace
        self.executions += decided.executions
        if trace.ending == "unreachable":
            raise UnreachableError(trace.reason)
        failure = trace.failure
        same = failure is not None and is_same(self.finding.failure, failure)
        if same and (shorter := _up_to_failure(trace)) != trace.sequence:
            found = self(shorter)
            executions, requests = found.executions + decided.executions, found.requests + decided.requests
            return found._replace(executions=executions, requests=requests)
        if same and (plain := said_once(trace.in_turn)) != trace.sequence and identity(plain) not in self.harmless:
            # what fails one after the other too, and once, is no race and no retry, and may be something else
            alone = execute(self.adapters.model, self.adapters.new(), Fixed(plain))
            self.executions += 1
            decided = decided._replace(executions=decided.executions + 1, requests=decided.requests + alone.requests)
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


def _again(adapters: Adapters, budgets: Budgets, failure: Failure, sequence: Sequence) -> Decided:
    """Run a sequence, to see whether it has a bug: once, or as often as it takes to know that it is slow."""

    def slow(trace: Trace) -> list[Failure]:
        return [each for each in budgets.slow(trace) if is_same(failure, each)]

    most = CANDIDATE if failure.kind == "latency" else 1
    return decide(slow, lambda: execute(adapters.model, adapters.new(), Fixed(sequence)), most)


def _up_to_failure(trace: Trace) -> Sequence:
    """Return the calls of a run up to the one that was slow, which does not end it."""
    failure = trace.failure
    if failure is None or failure.kind != "latency" or failure.step is None:
        return trace.sequence
    return until(trace.sequence, failure.step)


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


def facts_of(model: type[Model]) -> dict[str, Any]:
    """Say what is the same for all runs of a campaign: what it is run with, and from which revision."""
    facts: dict[str, Any] = {"python": platform.python_version(), "httpx": client.HTTPX_VERSION}
    facts["model_digest"] = digest_of(model)
    revision = repository.revision(Path.cwd())
    if revision is not None:
        facts["revision"], facts["dirty"] = revision.commit, revision.dirty
    return facts
