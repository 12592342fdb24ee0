"""Teller: each step of a run and each request, as plain records for a page.

What is left out, and what is said instead, is decided here for what stands in the middle of the page.
"""

from collections.abc import Iterable
from itertools import groupby
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from replaykit.export import curl
from replaykit.interaction import FIRST_SERVER_ERROR, Headers, Interaction
from replaykit.report import faults
from replaykit.report.bodies import Bodies, Body, laid_out
from replaykit.report.steps import (
    asked_and_answered,
    call_text,
    event_text,
    fault_text,
    said_text,
    under_text,
    when_text,
)
from replaykit.report.timeline import UNFINISHED
from replaykit.report.versus import Rerun, Told, Versus
from replaykit.report.why import Place, places_of
from replaykit.trace import Said, Step, Trace
from replaykit.value import JsonData, Record, loads

FIRST_CLIENT_ERROR = 400  # of the statuses that say that the client is at fault (RFC 9110, section 15.5)
MOST_CHANGES, FEW_CHANGES = 30, 8  # places of a state that are told, of one step; of one that is far from the failure
MOST_STEPS = 3_000  # that are told; of a longer run, those that are nearest to the step that failed
MOST_REQUESTS = 8_000  # that are told
LINE = 400  # characters of what stands in a line
MOST_STATE = 20_000  # characters of a state
MOST_CLOSELY = 200  # steps of a run that is told closely; of a longer one, what is near to the step that failed
_NEAR = 50  # steps
_CURL = 8_000  # characters of a command
_HEADERS = 4_000  # characters of the headers of a message

Mark: TypeAlias = Literal["failed", "held", "lost", "fault"]
Tone: TypeAlias = Literal["bad", "good", "warn"]


def clipped(text: str, most: int = LINE) -> str:
    """Leave out the end of a text that is longer than anybody reads in a line."""
    return text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)"


class Sent(Record):
    """A request, and what came of it."""

    anchor: str
    method: str
    path: str
    url: str
    answer: str  # 200, or why there is none
    tone: str  # bad where it is 500 and above, or none at all; warn where it is 400 and above; else empty
    took: str  # 3.1 ms; empty where it is not known
    times: int  # how often it was sent in a row, with the same answer
    tampered: str  # what a fault did to it
    asked: str  # the headers of the request, in lines
    request: Body | None
    answered: str  # the status line and the headers of the answer; empty where there is none
    response: Body | None
    curl: str  # the command that sends it; empty where there is none
    curl_left_out: bool  # is there one, and no room for it?


class StoryStep(Record):
    """A step of the run."""

    label: int
    anchor: str
    call: str
    mark: Mark
    failure: str  # what its badge says; empty where it did not fail
    tone: Tone  # of its mark and its badge, where it failed
    came: str  # what came of it: the event
    under: str  # under which faults it was sent
    when: str  # in a branch: from when to when
    branch: int
    changes: tuple[Place, ...]  # of the state
    changes_left_out: int
    has_state: bool
    state: str  # all of it, where somebody wants to see it: at the first step, and at the one that failed
    sent: tuple[Sent, ...]
    read: tuple[Sent, ...]  # in order to check something
    observed: tuple[str, ...]
    judged: tuple[Told, ...]
    over: tuple[str, ...]  # faults that are over after it
    versus: Versus | None  # what came of it when it was replayed


class Teller:
    """Tells of the steps of a run, and of its requests."""

    def __init__(self, trace: Trace, rerun: Rerun | None, *, whole: bool = True) -> None:
        self.bodies = Bodies()
        self.left_out = 0  # requests
        self._room = MOST_REQUESTS
        self._trace, self._rerun, self._whole = trace, rerun, whole
        self._tone: Tone = "warn" if rerun is not None and rerun.verdict in {"fixed", "passed"} else "bad"
        self._names = faults.names_in(trace)
        self._order = sorted(trace.steps, key=lambda step: step.call.branch)
        self._ends = faults.ends((step.call.label, step.faults) for step in self._order)
        self._failing = -1 if trace.failure is None or trace.failure.step is None else trace.failure.step

    def steps(self) -> tuple[StoryStep, ...]:
        """Tell of all steps; the one that failed is told first, so that there is room for all of it."""
        listed = self._order
        states: list[JsonData] = [None]  # before the first step, and after each
        for step in listed:
            states.append(states[-1] if step.state is None else loads(step.state))
        first = next((place for place, step in enumerate(listed) if step.call.label == self._failing), len(listed) - 1)
        told: dict[int, StoryStep] = {}
        for place in sorted(range(len(listed)), key=lambda each: abs(first - each))[:MOST_STEPS]:
            around = states[place], states[place + 1]
            told[place] = self._step(listed[place], *around, is_first=place == 0, near=abs(first - place))
        return tuple(step for _, step in sorted(told.items()))

    def _step(self, step: Step, before: JsonData, after: JsonData, *, is_first: bool, near: int) -> StoryStep:
        call, label = step.call, step.call.label
        is_fault, fails = faults.is_fault(step), label == self._failing
        closely = near <= _NEAR or len(self._order) <= MOST_CLOSELY
        most = MOST_CHANGES if closely else FEW_CHANGES
        changes, left = ([], 0) if is_first or step.state is None else places_of(before, after, most)
        wants_state = step.state is not None and (is_first or fails)
        mark: Mark = "failed" if fails else "fault" if is_fault else "lost" if step.event is None else "held"
        nothing = "no event" if self._whole else UNFINISHED
        anchor = f"s{label}"
        return StoryStep(
            label=label,
            anchor=anchor,
            call=clipped(f"fault {fault_text(call)}" if is_fault else call_text(call)),
            mark=mark,
            failure=self._badge(fails=fails),
            tone=self._tone,
            came="" if is_fault else clipped(event_text(step, nothing)),
            under=clipped(under_text(step, self._names)),
            when=when_text(step),
            branch=call.branch,
            changes=tuple(changes),
            changes_left_out=left,
            has_state=step.state is not None,
            state=_state(step) if wants_state else "",
            sent=self.exchanges(step.interactions, anchor, closely=closely),
            read=self.exchanges(step.observing, f"{anchor}r", closely=closely),
            observed=_observed(step.observations),
            judged=self._judgments(label),
            over=tuple(clipped(faults.over(each, self._names.get(each))) for each in self._ends.get(label, ())),
            versus=None if self._rerun is None else self._rerun.steps.get(label),
        )

    def end(self) -> StoryStep | None:
        """Tell of what was read and judged when all steps were over; None where nothing was."""
        trace, failure = self._trace, self._trace.failure
        fails = failure is not None and failure.step is None
        if not (trace.closing or fails):
            return None
        return StoryStep(
            label=-1,
            anchor="end",
            call="at the end",
            mark="failed" if fails else "held",
            failure=self._badge(fails=fails),
            tone=self._tone,
            came="",
            under="",
            when="",
            branch=0,
            changes=(),
            changes_left_out=0,
            has_state=False,
            state="",
            sent=(),
            read=self.exchanges(trace.closing, "end"),
            observed=_observed(trace.closing_observations),
            judged=self._judgments(None),
            over=(),
            versus=None if self._rerun is None else self._rerun.end,
        )

    def _badge(self, *, fails: bool) -> str:
        return "" if not fails else "FAILED" if self._rerun is None else "failed when recorded"

    def _judgments(self, label: int | None) -> tuple[Told, ...]:
        failure = self._trace.failure
        if failure is not None and failure.step == label and (label is not None or self._trace.steps):
            return (Told(kind=failure.kind, name=clipped(failure.name), holds=False, said=""),)
        return ()

    def exchanges(self, interactions: Iterable[Interaction], anchor: str, *, closely: bool = True) -> tuple[Sent, ...]:
        """Tell of requests; equal ones in a row, as of who waits for something, are told once."""
        told = []
        for number, (_, alike) in enumerate(groupby(interactions, asked_and_answered)):
            looks = list(alike)
            if self._room <= 0:
                self.left_out += len(looks)
                continue
            self._room -= 1
            elapsed = sum(each.elapsed for each in looks)
            told.append(self._sent(looks[-1], f"{anchor}-{number}", len(looks), elapsed, closely=closely))
        return tuple(told)

    def _sent(self, interaction: Interaction, anchor: str, times: int, elapsed: float, *, closely: bool) -> Sent:
        request, response, trouble = interaction.request, interaction.response, interaction.trouble
        answer = f"{trouble.error}: {trouble.message}" if trouble is not None else "no answer"
        lines, got = "", None
        if response is not None:
            answer = f"{response.status}{'' if response.complete else ' (cut short)'}"
            answer = f"{answer}, {trouble.error}" if trouble is not None else answer
            status = f"{response.version} {response.status} {response.reason}".rstrip()
            lines = _headers(status, response.headers)
            got = self.bodies.shown(
                response.headers, response.body, f"{anchor}b", complete=response.complete, cut=response.cut
            )
        said = (curl.command(request) or "") if closely and len(request.body) <= _CURL else ""
        left_out = closely and (len(request.body) > _CURL or not self.bodies.takes(said, _CURL))
        return Sent(
            anchor=anchor,
            method=clipped(request.method, 40),
            path=clipped(_path_of(request.url)),
            url=clipped(request.url, _HEADERS),
            answer=clipped(answer),
            tone=_tone(interaction),
            took=f"{elapsed * 1000:.1f} ms{' in all' if times > 1 else ''}" if elapsed else "",
            times=times,
            tampered=clipped(faults.tampered(interaction)),
            asked=_headers("", request.headers),
            request=self.bodies.shown(request.headers, request.body, f"{anchor}a", cut=request.cut),
            answered=lines,
            response=got,
            curl="" if left_out else said,
            curl_left_out=left_out,
        )


def _tone(interaction: Interaction) -> str:
    response = interaction.response
    if response is None or interaction.trouble is not None or response.status >= FIRST_SERVER_ERROR:
        return "bad"
    return "warn" if response.status >= FIRST_CLIENT_ERROR else ""


def _path_of(url: str) -> str:
    """Return the path of a URL with its query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"


def _headers(first: str, headers: Headers) -> str:
    text = "\n".join([*([first] if first else []), *(f"{name}: {value}" for name, value in headers)])
    return clipped(text, _HEADERS)


def _observed(said: Iterable[Said]) -> tuple[str, ...]:
    """Tell what was read; of what was read again and again, the last."""
    return tuple(clipped(said_text(each)) for each in {each.tag: each for each in said}.values())


def _state(step: Step) -> str:
    text = (step.state or b"").decode("utf-8", "replace")
    return laid_out(text) if len(text) <= MOST_STATE else clipped(text, MOST_STATE)
