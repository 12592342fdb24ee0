"""Portrait: what a bundle holds, as plain records that can be written down.

What `replaykit show --json` says is a surface that other programs read: a key that stands here stays, and means the
same, until VERSION changes.
"""

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeAlias

from replaykit.bundle import MAX_FILE, Bundle, Provenance, Shrinking
from replaykit.coding import unpacked
from replaykit.document import json_text
from replaykit.interaction import Headers, Interaction
from replaykit.report import faults
from replaykit.report.steps import call_text, fault_text, said_text
from replaykit.surface import schema_for
from replaykit.trace import Said, Step
from replaykit.value import JsonData, Record, loads
from replaykit.verdict import Failure

VERSION = 1

Pair: TypeAlias = tuple[str, str]  # a header: its name and its value


class Body(Record):
    """A body, unpacked where it was sent packed; of a bundle with very much in it, only the first ones are."""

    encoding: Literal["utf-8", "base64"]
    text: str
    whole: bool  # is it all that was sent?


class Asked(Record):
    """A request."""

    method: str
    url: str
    headers: tuple[Pair, ...]
    body: Body | None


class Answered(Record):
    """An answer."""

    status: int
    reason: str
    http: str
    headers: tuple[Pair, ...]
    body: Body | None


class Exchange(Record):
    """A request and what came of it: an answer, an error, or both where a body broke off."""

    request: Asked
    response: Answered | None
    error: str | None  # ReadTimeout: timed out
    seconds: float | None  # null where the times were left out
    tampered: str | None  # what a fault did to it in the client: status, truncated, corrupted, duplicated


class Message(Record):
    """An event or an observation."""

    tag: str
    version: int
    data: JsonData
    shown: str  # player_created(name='a')


class ShownStep(Record):
    """A step of the run."""

    label: int
    call: str  # create_player(name='a')
    command: str
    version: int
    arguments: dict[str, JsonData]
    repeats: int | None  # the label of the call that is sent again
    twice: bool  # sent twice at the same time
    branch: int  # of those that were run at the same time; 0 before them
    fault: str | None  # what it does, where it is no command but a fault: timeout for 1 step: 10 ms
    under: tuple[int, ...]  # the labels of the steps whose faults were on
    fails: bool
    requests: tuple[Exchange, ...]
    event: Message | None  # null where no answer could be read
    again: Message | None  # the second answer, where it was sent twice
    state: JsonData = None  # the projection after the step; null in a branch
    reading: tuple[Exchange, ...]  # what was sent to read the observations
    observations: tuple[Message, ...]
    called: float | None  # in a branch: seconds from the start of the branches
    returned: float | None


class Broken(Record):
    """Why the run failed."""

    fingerprint: str
    kind: str
    name: str
    step: int | None  # null at the end of the run
    command: str | None
    message: str
    expected: JsonData = None
    actual: JsonData = None
    traceback: str | None


class Ran(Record):
    """The run that it was recorded in, and what was done to it."""

    model: str
    adapter: str
    model_digest: str
    campaign_seed: int
    run: int  # from 0
    seed: int
    shrinking: Shrinking | None


class Portrait(Record):
    """What a bundle holds."""

    version: int = VERSION
    bundle: str  # its path, as it was named
    whole: bool  # false: the end of the file is missing
    ending: str  # passed, failed, unreachable, unknown, stale, undecided, recorded
    reason: str
    failure: Broken | None
    ran: Ran | None  # null where it was recorded without a model
    tool: str
    url: str | None
    revision: str | None
    dirty: bool | None
    recorded: str | None  # ISO 8601, UTC; null where the times were left out
    canonical: bool  # were times, dates and request ids left out?
    culprit: str | None  # the commit, or the version, that brought the bug; null where that is not known
    python: str | None
    httpx: str | None
    resetting: tuple[Exchange, ...]
    steps: tuple[ShownStep, ...]
    closing: tuple[Exchange, ...]  # what was sent to read the observations at the end
    closing_observations: tuple[Message, ...]
    requests: tuple[Exchange, ...]  # those that were recorded without a model


def portrait(bundle: Bundle, path: Path) -> Portrait:
    """Tell what a bundle holds."""
    origin, trace, teller = bundle.origin, bundle.trace, _Teller()
    failing = trace.failure.step if trace.failure is not None else None
    return Portrait(
        bundle=str(path),
        whole=bundle.whole,
        ending=trace.ending,
        reason=trace.reason,
        failure=None if trace.failure is None else _broken(trace.failure),
        ran=_ran(origin) if isinstance(origin, Provenance) else None,
        tool=origin.tool,
        url=origin.url,
        revision=origin.revision,
        dirty=origin.dirty,
        recorded=origin.recorded,
        canonical=bool(origin.canonical),
        culprit=origin.culprit,
        python=origin.python,
        httpx=origin.httpx,
        resetting=teller.exchanges(trace.resetting),
        steps=tuple(teller.step(each, fails=each.call.label == failing) for each in trace.steps),
        closing=teller.exchanges(trace.closing),
        closing_observations=_messages(trace.closing_observations),
        requests=teller.exchanges(trace.recorded),
    )


def render(shown: Portrait) -> str:
    """Write a portrait as JSON, in ASCII."""
    return json_text(shown.model_dump())


def schema() -> str:
    """Return the JSON Schema of the document, as it is published."""
    return schema_for(Portrait, f"What replaykit show --json prints, version {VERSION}")


def _broken(failure: Failure) -> Broken:
    return Broken(
        fingerprint=failure.fingerprint,
        kind=failure.kind,
        name=failure.name,
        step=failure.step,
        command=failure.command,
        message=failure.message,
        expected=failure.expected,
        actual=failure.actual,
        traceback=failure.traceback,
    )


def _ran(provenance: Provenance) -> Ran:
    return Ran(
        model=provenance.model,
        adapter=provenance.adapter,
        model_digest=provenance.model_digest,
        campaign_seed=provenance.campaign_seed,
        run=provenance.run,
        seed=provenance.seed,
        shrinking=provenance.shrinking,
    )


def _message(said: Said, step: Step | None = None) -> Message:
    return Message(tag=said.tag, version=said.version, data=loads(said.data), shown=said_text(said, step))


def _messages(said: Iterable[Said]) -> tuple[Message, ...]:
    return tuple(map(_message, said))


class _Teller:
    """Tells of steps and requests; bodies are unpacked as long as they are no more than a bundle may be."""

    def __init__(self) -> None:
        self._left = MAX_FILE  # bytes

    def step(self, step: Step, *, fails: bool) -> ShownStep:
        call = step.call
        fault = fault_text(call) if faults.is_fault(step) else None
        return ShownStep(
            label=call.label,
            call=call_text(call) if fault is None else f"fault {fault}",
            command=call.tag,
            version=call.version,
            arguments=call.args,
            repeats=call.repeats,
            twice=call.twice,
            branch=call.branch,
            fault=fault,
            under=step.faults,
            fails=fails,
            requests=self.exchanges(step.interactions),
            event=None if step.event is None else _message(step.event, step),
            again=None if step.again is None else _message(step.again),
            state=None if step.state is None else loads(step.state),
            reading=self.exchanges(step.observing),
            observations=_messages(step.observations),
            called=step.called,
            returned=step.returned,
        )

    def exchanges(self, interactions: Iterable[Interaction]) -> tuple[Exchange, ...]:
        return tuple(map(self._exchange, interactions))

    def _exchange(self, interaction: Interaction) -> Exchange:
        request, response, trouble = interaction.request, interaction.response, interaction.trouble
        answered = None
        if response is not None:
            body = self._body(response.headers, response.body, whole=response.complete and response.cut is None)
            answered = Answered(
                status=response.status,
                reason=response.reason,
                http=response.version,
                headers=response.headers,
                body=body,
            )
        return Exchange(
            request=Asked(
                method=request.method,
                url=request.url,
                headers=request.headers,
                body=self._body(request.headers, request.body, whole=request.cut is None),
            ),
            response=answered,
            error=None if trouble is None else f"{trouble.error}: {trouble.message}",
            seconds=interaction.elapsed or None,
            tampered=interaction.tampered or None,
        )

    def _body(self, headers: Headers, body: bytes, *, whole: bool) -> Body | None:
        if not body:
            return None
        content = unpacked(headers, body) if self._left > 0 else body
        self._left -= len(content)
        try:
            return Body(encoding="utf-8", text=content.decode("utf-8"), whole=whole)
        except UnicodeDecodeError:
            return Body(encoding="base64", text=base64.b64encode(content).decode("ascii"), whole=whole)
