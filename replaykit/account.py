"""Account: all that a campaign came to, as plain records that can be written down, with the secrets covered.

Reports are made of it, and see nothing else. What it says in JSON is a surface that other programs read: a key that
stands here stays, and means the same, until FORMAT changes.
"""

import shlex
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeAlias

from replaykit.coding import unpacked
from replaykit.coverage import KINDS, Coverage, Crossed
from replaykit.finding import Finding
from replaykit.interaction import Headers, Interaction
from replaykit.redact import Redactor
from replaykit.report import faults, steps, terminal
from replaykit.result import Result
from replaykit.sequence import Call
from replaykit.trace import Said, Step, Trace, learn
from replaykit.value import JsonData, Record
from replaykit.verdict import Failure, titled
from replaykit.version import __version__

FORMAT = 1
MAX_BODY = 4_000  # characters of a body that are kept; the bundle has all of it
MAX_REQUESTS = 500  # of one bug
MAX_TEXT = 20_000  # characters of a message, a traceback, a log

Part: TypeAlias = Literal["reset", "command", "observe", "end"]
Commands: TypeAlias = Callable[[Path], str]  # writes the command that replays a bundle


class SentRequest(Record):
    """A request with its answer, or with what came instead."""

    part: Part  # what it was sent for
    method: str
    url: str
    body: str | None = None
    status: int | None = None
    answer: str | None = None  # the body of the answer
    error: str | None = None  # of the network
    seconds: float = 0.0
    tampered: str | None = None  # what a fault did to it in the client: status, truncated, corrupted, duplicated


class UnderFault(Record):
    """A fault that was on while a step was sent."""

    label: int  # of the step that began it
    name: str | None  # timeout; null where that step is not in the run


class RunStep(Record):
    """A step of the simplest run that shows a bug."""

    label: int
    branch: int = 0  # of those that were run at the same time; 0 before them
    call: str  # create_player(name='a')
    command: str
    arguments: dict[str, JsonData]
    event: str | None  # player_created(name='a'); null where no answer could be read
    fault: str | None = None  # what it does, where it is no command but a fault: timeout for 1 step: 10 ms
    under: tuple[UnderFault, ...] = ()  # the faults that were on
    fails: bool
    requests: tuple[SentRequest, ...] = ()


class Shrinking(Record):
    """How a failing run was made simple."""

    commands_before: int
    commands_after: int
    executions: int
    requests: int
    seconds: float
    runs: int  # of the result, to confirm it
    failed: int  # of those
    confirmed: bool | None = None
    stopped: str | None = None  # why it was ended early


class Bug(Record):
    """A bug: all failures of a campaign with the same fingerprint."""

    fingerprint: str
    kind: str
    name: str  # of what was broken
    command: str | None
    step: int | None  # label of the step that failed; null at the end of the run
    failure_reason: str
    expected: JsonData = None
    actual: JsonData = None
    seed: int  # of the run that it was first seen in
    first_seen_run: int
    occurrences: int  # runs in which it was seen
    found_after: float  # seconds since the campaign began
    run_seconds: float  # what the run took that it was first seen in
    shrunk_sequence: str  # a call in each line
    steps: tuple[RunStep, ...] = ()
    resetting: tuple[SentRequest, ...] = ()
    closing: tuple[SentRequest, ...] = ()
    requests_left_out: int = 0
    shrinking: Shrinking | None = None
    confirmation: str | None = None
    gone_after: int = 0  # runs at the end in which it did not show any more
    bundle: str | None = None
    replay: str | None = None  # the command that replays the bundle

    @property
    def title(self) -> str:
        """Its kind and its name, which is said once where both are the same."""
        return titled(self.kind, self.name)

    @property
    def seconds(self) -> float:
        """What it took to find and to shrink it."""
        return self.run_seconds + (0.0 if self.shrinking is None else self.shrinking.seconds)


class Judged(Record):
    """What was looked at: an expectation, an invariant, a check or a latency budget."""

    kind: str
    name: str
    judged: int  # times
    bugs: tuple[str, ...] = ()  # fingerprints of those that break it


class Fault(Record):
    """A fault of the test code."""

    fingerprint: str
    kind: str
    name: str
    message: str
    traceback: str | None = None

    @property
    def title(self) -> str:
        """Its kind and its name, which is said once where both are the same."""
        return titled(self.kind, self.name)


class Exercised(Record):
    """How much of one kind was exercised."""

    covered: int
    total: int
    required: float | None = None  # percent


class Endpoint(Record):
    """A kind of request."""

    method: str
    path: str  # with placeholders for ids


class Crossings(Record):
    """The matrix of faults and the endpoints of commands."""

    kinds: tuple[str, ...]  # of faults, by tag
    endpoints: tuple[Endpoint, ...]
    tried: int  # how many of all pairs were
    total: int
    crossings: tuple[Crossed, ...]  # that were tried
    left_out: int  # counts that are not in the table, because it is full


class Unrecovered(Record):
    """A command whose answer was lost to a fault, and nobody could find out what became of it."""

    command: str
    runs: int  # that ended so, and were not judged
    advice: str  # what to write


class Account(Record):
    """What a campaign came to."""

    format: int = FORMAT
    tool: str = f"replaykit {__version__}"
    success: bool
    exit_code: int
    verdict: str
    model: str
    adapter: str
    url: str | None = None
    seed: int  # of the campaign
    total_runs: int
    max_runs: int | None
    passed: int
    failed: int
    not_judged: int
    steps: int
    requests: int
    duration: float  # seconds; of all parts of a hunt that goes on
    started: str  # ISO 8601, UTC
    ended: str
    resumed_after: int = 0  # runs that were there already, where it is a hunt that goes on
    resumed_bugs: int = 0  # of `failures`, that were there already
    workers: int = 1
    restarts: int = 0
    interrupted: bool = False
    stopped: str = ""  # why it ended before its last run
    died: str = ""  # why the service was not there any more
    log: str = ""  # the last lines of the service, where it died
    trouble: str = ""  # why the first run that was not judged was not
    failures: tuple[Bug, ...] = ()
    known: tuple[Bug, ...] = ()  # bugs seen again whose bundles were there before
    faults: tuple[Fault, ...] = ()
    checks: tuple[Judged, ...] = ()
    never_exercised: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()  # of the coverage that was asked for
    coverage: dict[str, Exercised] = {}  # noqa: RUF012  pydantic copies it
    faults_by_endpoint: Crossings | None = None  # null where the model has no faults
    unrecovered: tuple[Unrecovered, ...] = ()

    @property
    def word(self) -> str:
        """The word of the verdict."""
        return steps.word(self.exit_code, died=bool(self.died))


def account(result: Result, redactor: Redactor, *, url: str | None = None, command: Commands | None = None) -> Account:
    """Tell what a campaign came to; `command` writes how a bundle is replayed."""
    shown = redactor.shown
    bugs, known = (
        tuple(_bug(finding, redactor, command) for finding in findings) for findings in (result.failures, result.known)
    )
    redactor.restart()
    exit_code = result.exit_code
    if result.interrupted is not None:
        exit_code = 128 + getattr(result.interrupted, "signal_number", 2)
    coverage = result.coverage
    return Account(
        success=result.success and result.interrupted is None,
        exit_code=exit_code,
        verdict=cut(shown(terminal.verdict(result))),
        model=shown(result.names[0]),
        adapter=shown(result.names[1]),
        url=None if url is None else shown(url),
        seed=result.seed,
        total_runs=result.total_runs,
        max_runs=result.max_runs,
        passed=result.passed,
        failed=result.failed,
        not_judged=result.not_judged,
        steps=result.steps,
        requests=result.requests,
        duration=round(result.duration, 3),
        started=result.started.isoformat(timespec="seconds"),
        ended=_ended(result).isoformat(timespec="seconds"),
        resumed_after=result.resumed_after,
        resumed_bugs=result.resumed_bugs,
        workers=result.workers,
        restarts=result.restarts,
        interrupted=result.interrupted is not None,
        stopped=shown(result.stopped),
        died=cut(shown(result.died)),
        log=_end_of(shown(result.log)),
        trouble=cut(shown(result.trouble)),
        failures=bugs,
        known=known,
        faults=tuple(_fault(each, shown) for each in result.faults.values()),
        checks=_checks(result, (*bugs, *known)),
        never_exercised=tuple(map(shown, result.never_exercised())) if result.total_runs else (),
        lacking=tuple(coverage.lacking(result.required)),
        coverage={
            kind: Exercised(
                covered=coverage.covered(kind), total=coverage.total(kind), required=result.required.get(kind)
            )
            for kind in KINDS
        },
        faults_by_endpoint=_crossings(coverage, shown),
        unrecovered=tuple(
            Unrecovered(command=each.command, runs=each.runs, advice=each.advice) for each in result.unrecovered()
        ),
    )


def _crossings(coverage: Coverage, shown: Callable[[str], str]) -> Crossings | None:
    if not coverage.faults:
        return None
    found, endpoints = coverage.crossed(), coverage.crossed_endpoints
    return Crossings(
        kinds=tuple(coverage.faults),
        endpoints=tuple(Endpoint(method=shown(method), path=shown(path)) for method, path in endpoints),
        tried=len(found),
        total=len(coverage.faults) * len(endpoints),
        crossings=tuple(each.replace(method=shown(each.method), path=shown(each.path)) for each in found),
        left_out=coverage.crossings_left_out,
    )


def _ended(result: Result) -> datetime:
    return result.started + timedelta(seconds=max(0.0, result.duration - result.resumed_seconds))


def _bug(finding: Finding, redactor: Redactor, command: Commands | None) -> Bug:
    """Tell of one bug; where that goes wrong, of what is sure, so that the others are told."""
    try:
        return bug(finding, redactor, command)
    except Exception as error:  # noqa: BLE001  whatever it is, what was found is worth more
        reason = f"This bug can't be told, by a mistake in replaykit: {type(error).__name__}."
        return Bug(**_outline(finding, redactor, command), failure_reason=reason, shrunk_sequence="")


def _outline(finding: Finding, redactor: Redactor, command: Commands | None) -> dict[str, Any]:
    """Tell of one bug what needs no look at its run."""
    failure, path = finding.failure, finding.path
    return {
        "fingerprint": finding.fingerprint,
        "kind": failure.kind,
        "name": redactor.shown(failure.name),
        "command": failure.command,
        "step": failure.step,
        "seed": finding.seed,
        "first_seen_run": finding.first_seen_run,
        "occurrences": finding.occurrences,
        "found_after": round(finding.found_after, 3),
        "run_seconds": round(finding.run_seconds, 3),
        "bundle": None if path is None else redactor.shown(str(path)),
        "replay": None if path is None else redactor.shown((command or usual_command)(path)),
    }


def bug(finding: Finding, redactor: Redactor, command: Commands | None = None) -> Bug:
    """Tell of one bug: the simplest run that shows it, as it stands in its bundle."""
    redactor.restart()
    failure, trace, shrunk = finding.failure, finding.trace, finding.shrunk
    learn(redactor, trace)
    told = Told(redactor, trace)
    return Bug(
        **_outline(finding, redactor, command),
        failure_reason=cut(redactor.message(failure.message)),
        expected=redactor.data(failure.expected),
        actual=redactor.data(failure.actual),
        shrunk_sequence="\n".join(each.call for each in told.steps),
        steps=told.steps,
        resetting=told.resetting,
        closing=told.closing,
        requests_left_out=max(0, -told.room),
        confirmation=None if shrunk is None else steps.confirmation(shrunk.runs, shrunk.failed),
        shrinking=None
        if shrunk is None
        else Shrinking(
            commands_before=finding.calls_before,
            commands_after=len(trace.steps),
            executions=shrunk.executions,
            requests=shrunk.requests,
            seconds=round(shrunk.seconds, 3),
            runs=shrunk.runs,
            failed=shrunk.failed,
            confirmed=shrunk.confirmed,
            stopped=shrunk.stopped or None,
        ),
        gone_after=finding.gone_after,
    )


def usual_command(path: Path) -> str:
    """Write the command that replays a bundle where nothing more is known."""
    return f"replaykit replay {shlex.quote(str(path))}"


class Told:
    """The steps of a trace and its requests, as far as there is room for them, with the secrets covered."""

    def __init__(self, redactor: Redactor, trace: Trace) -> None:
        self._redactor = redactor
        self.room = MAX_REQUESTS
        failing = trace.failure.step if trace.failure is not None else None
        self.resetting = self._requests("reset", trace.resetting)
        self._names = faults.names_in(trace)
        in_branches = sorted(trace.steps, key=lambda step: step.call.branch)
        self.steps = tuple(self._step(step, fails=step.call.label == failing) for step in in_branches)
        self.closing = self._requests("end", trace.closing)

    def _step(self, step: Step, *, fails: bool) -> RunStep:
        call: Call = step.call.replace(args=self._redactor.arguments(step.call.args))
        said = [self._said(each, step) for each in (step.event, step.again) if each is not None]
        fault = steps.fault_text(call) if faults.is_fault(step) else None
        return RunStep(
            label=call.label,
            branch=call.branch,
            call=steps.call_text(call) if fault is None else f"fault {fault}",
            command=call.tag,
            arguments=call.args,
            event=" and ".join(said) or None,
            fault=fault,
            under=tuple(UnderFault(label=label, name=self._name(label)) for label in step.faults),
            fails=fails,
            requests=(*self._requests("command", step.interactions), *self._requests("observe", step.observing)),
        )

    def _name(self, label: int) -> str | None:
        return steps.one_line(self._names[label]) if label in self._names else None

    def _said(self, said: Said, step: Step) -> str:
        return steps.said_text(said.replace(data=self._redactor.text(said.data)), step)

    def _requests(self, part: Part, interactions: Iterable[Interaction]) -> tuple[SentRequest, ...]:
        told = []
        for each in interactions:
            self.room -= 1
            if self.room >= 0:
                told.append(_request(part, self._redactor.interaction(each)))
        return tuple(told)


def _request(part: Part, interaction: Interaction) -> SentRequest:
    request, response, trouble = interaction.request, interaction.response, interaction.trouble
    return SentRequest(
        part=part,
        method=request.method,
        url=request.url,
        body=_body(request.headers, request.body),
        status=None if response is None else response.status,
        answer=None if response is None else _body(response.headers, response.body),
        error=None if trouble is None else cut(f"{trouble.error}: {trouble.message}"),
        seconds=round(interaction.elapsed, 6),
        tampered=interaction.tampered or None,
    )


def _body(headers: Headers, body: bytes) -> str | None:
    if not body:
        return None
    try:
        text = unpacked(headers, body).decode("utf-8")
    except UnicodeDecodeError:
        return f"({len(body)} bytes, not text)"
    return text if len(text) <= MAX_BODY else f"{text[:MAX_BODY]}... ({len(body)} bytes)"


def _checks(result: Result, bugs: Iterable[Bug]) -> tuple[Judged, ...]:
    broken: dict[tuple[str, str], list[str]] = {}
    for each in bugs:
        broken.setdefault((each.kind, each.name), []).append(each.fingerprint)
    counted: Counter[tuple[str, str]] = result.coverage.checks
    return tuple(
        Judged(kind=kind, name=name, judged=counted[kind, name], bugs=tuple(broken.get((kind, name), ())))
        for kind, name in dict.fromkeys((*result.coverage.known_checks, *counted))
    )


def _fault(failure: Failure, shown: Callable[[str], str]) -> Fault:
    return Fault(
        fingerprint=failure.fingerprint,
        kind=failure.kind,
        name=failure.name,
        message=cut(shown(failure.message)),
        traceback=None if failure.traceback is None else _end_of(shown(failure.traceback)),
    )


def cut(text: str) -> str:
    """Leave out what is too long to be kept."""
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}... ({len(text)} characters)"


def _end_of(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"({len(text)} characters) ...{text[-MAX_TEXT:]}"
