"""A trace as text, step by step."""

import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import TypeAlias
from urllib.parse import urlsplit

from replaykit.coding import unpacked
from replaykit.difference import brief, differences
from replaykit.interaction import Headers, Interaction
from replaykit.report import faults
from replaykit.sequence import Call
from replaykit.trace import Said, Step, Trace
from replaykit.value import JsonData, JsonText, loads
from replaykit.verdict import Judgment, titled

LIVE = "Say --health, --reset-url and --set as the campaign did, where no profile says them."  # of a live replay
NO_END = "The file has no end: whoever wrote it was stopped. It can be looked at, not judged."
FEW = 5  # more runs in which what failed is confirmed, and no more is to be said


# What clients and servers say of themselves and of their connection, or what the body shows.
_SILENT = {
    "accept", "accept-encoding", "connection", "content-length", "date", "host", "keep-alive", "server",
    "transfer-encoding", "user-agent",
}  # fmt: skip
_PLAIN = re.compile(r"application/json(; *charset=utf-8)?", re.IGNORECASE)

Judged: TypeAlias = Mapping[int | None, Iterable[Judgment]]  # by the label of the step; None at the end


def render(trace: Trace, *, verbose: bool = False, judged: Judged | None = None) -> str:
    """Show each step: the call, the event, the requests.

    `verbose` adds headers, bodies and how the state changed. `judged` says what was judged, where that is known.
    """
    lines: list[str] = []
    judged = judged or {}
    failing = trace.failure.step if trace.failure is not None else None
    before: JsonText | None = None
    names = faults.names_in(trace)
    steps = sorted(trace.steps, key=lambda step: step.call.branch)
    ends = faults.ends((step.call.label, step.faults) for step in steps)
    for index, step in enumerate(steps):
        fails = trace.failure is not None and (step.call.label == failing)
        branch = step.call.branch
        if branch and (index == 0 or steps[index - 1].call.branch != branch):
            lines.append(f"  branch {branch}, sent at the same time as the others:")
        if verbose:
            lines += closely(step, before, judged.get(step.call.label, ()), fails=fails, first=index == 0, names=names)
        else:
            lines.append(_head(step, names, fails=fails))
            shown = [*step.interactions]
            if fails and trace.failure is not None and trace.failure.kind == "latency":
                shown += step.observing
            lines += _folded(shown) if step.faults else [_line(each) for each in shown]
        if verbose:
            said = [faults.over(label, names.get(label)) for label in ends.get(step.call.label, ())]
            lines += [f"  {faults.SIGN} {one_line(each)}" for each in said]
        before = before if step.state is None else step.state
    failed = trace.failure is not None and failing is None and trace.steps
    if failed or (verbose and (trace.closing or judged.get(None))):
        lines.append(f"  {'✗' if failed else '✓'} at the end")
    if verbose:
        lines += _observing(trace.closing)
        lines += _judged(trace.closing_observations, judged.get(None, ()))
    for interaction in trace.recorded:
        lines += _interaction(interaction, verbose=verbose)
    return "\n".join(lines)


def closely(
    step: Step,
    before: JsonText | None,
    judged: Iterable[Judgment],
    *,
    fails: bool,
    first: bool = False,
    names: Mapping[int, str] | None = None,
) -> list[str]:
    """Show a step closely: whole requests, what was expected, how the state changed, what was read and judged.

    `names` are those of the run's faults, by their labels.
    """
    judged = list(judged)
    lines = [_head(step, names or {}, fails=fails)]
    if step.faults:
        lines += _observing(step.interactions)
    else:
        lines += [line for each in step.interactions for line in _interaction(each, verbose=True)]
    lines += [_judgment(each) for each in judged if each.kind == "expectation"]
    lines += [f"         {line}" for line in _changes(before, step, first=first)]
    lines += _observing(step.observing)
    lines += _judged(step.observations, [each for each in judged if each.kind != "expectation"])
    return lines


def _head(step: Step, names: Mapping[int, str], *, fails: bool) -> str:
    if faults.is_fault(step):
        return f"  {'✗' if fails else faults.SIGN} [{step.call.label:>2}] {fault_text(step.call)}"
    mark = "✗" if fails else "?" if step.event is None else "✓"
    when = f"  ({said})" if (said := when_text(step)) else ""
    under = f"  {under_text(step, names)}" if step.faults else ""
    return f"  {mark} [{step.call.label:>2}] {call_text(step.call)}  ->  {event_text(step)}{when}{under}"


def _judged(read: Iterable[Said], judged: Iterable[Judgment]) -> list[str]:
    """Show what was judged, below what it was held against; where that is not known, nothing."""
    lines = [_judgment(each) for each in judged]
    if not lines:
        return []
    last = {each.tag: each for each in read}  # of what was read again and again, the last
    return [*(f"         read {said_text(each)}" for each in last.values()), *lines]


def _judgment(judgment: Judgment) -> str:
    said = f": {one_line(_cut(judgment.said, 300))}" if judgment.said else ""
    if judgment.kind == "expectation":
        said = f" {one_line(judgment.name)}: {one_line(_cut(judgment.said, 300))}"
        return f"         {'✓ expected by' if judgment.holds else '✗ not as expected by'}{said}"
    return f"         {'✓' if judgment.holds else '✗'} {one_line(titled(judgment.kind, judgment.name))}{said}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[:width]}... ({len(text)} characters)"


def one_line(text: str) -> str:
    """Show line ends instead of breaking the line: what a bundle says must not look like a line of ours."""
    return text.replace("\r", "\\r").replace("\n", "\\n")


def word(code: int, *, died: bool) -> str:
    """Return the word of a campaign's verdict: what its exit code means, and of 125 why."""
    words = {0: "passed", 1: "failed", 125: "unreachable" if died else "not judged"}
    return words.get(code, "interrupted")


def count(number: int, noun: str) -> str:
    """Say how many: 1 command, 2 commands."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def confirmation(runs: int | None, failed: int | None) -> str:
    """Say how often a failure came when the result of shrinking was run again."""
    if not runs or failed is None:
        return "not confirmed"
    if not failed:
        return f"not confirmed: it did not fail in {count(runs, 'more run')}"
    if failed == runs:
        return "confirmed" if runs <= FEW else f"confirmed: it failed in {count(runs, 'more run')}"
    return f"flaky: it failed in {failed} of {count(runs, 'more run')}"


def evidence(covered: Iterable[str]) -> list[str]:
    """Say that what a failure compares is covered in its bundle, where it is."""
    names = ", ".join(covered)
    return [f"  what it says is covered in part, since it may be secret: {names}"] if names else []


def times(why: str | None) -> list[str]:
    """Say that a bundle was saved with its times, where it was to have none."""
    return [] if why is None else [f"  with its times and ids: {why}"]


def call_text(call: Call) -> str:
    """Show a call: create_player(name='a'). A fault is shown as one: `fault timeout for 1 step: downstream, 10 ms`."""
    if call.tag.startswith(faults.PREFIX) and call.repeats is None:
        return f"fault {fault_text(call)}"
    if call.repeats is not None:
        return f"{one_line(call.tag)} again, as [{call.repeats}]"
    said = f"{one_line(call.tag)}({_fields(call.args)})"
    return f"{said} twice at the same time" if call.twice else said


def fault_text(call: Call) -> str:
    """Say what a fault does: `timeout for 1 step: downstream, all connections, 10 ms`."""
    return one_line(faults.told(call))


def under_text(step: Step, names: Mapping[int, str]) -> str:
    """Say which faults were on while a step was sent: `(under [35] timeout)`; nothing where none was."""
    said = one_line(faults.under(step, names))
    return f"({said})" if said else ""


def said_text(said: Said, step: Step | None = None) -> str:
    """Show an event or an observation; where an answer was lost to a fault, say what became of a step's command."""
    lost = faults.lost(said, looked=step is not None and faults.has_looked(step))
    if lost is not None:
        return lost
    data = loads(said.data)
    return f"{one_line(said.tag)}({_fields(data)})"


def _fields(data: JsonData) -> str:
    return ", ".join([f"{one_line(name)}={brief(value, 60)}" for name, value in data.items()])


def when_text(step: Step) -> str:
    """Say when a call of a branch was sent and answered; nothing of any other."""
    if step.called is None:
        return ""
    returned = "never" if step.returned is None else f"{step.returned * 1000:.1f}"
    return f"{step.called * 1000:.1f} to {returned} ms"


def event_text(step: Step, nothing: str = "no event") -> str:
    """Show what came of a call: one event, or two where it was sent twice; `nothing` where there is none."""
    if step.event is None:
        return nothing
    return said_text(step.event, step) + (f" and {said_text(step.again)}" if step.again is not None else "")


def _folded(interactions: Iterable[Interaction]) -> list[str]:
    """Show requests in a line each; who finds out what became of a command asks the same again and again."""
    lines = []
    for _, alike in groupby(interactions, asked_and_answered):
        looks = list(alike)
        seconds = sum(each.elapsed for each in looks)
        lines.append(_line(looks[0].replace(elapsed=seconds), len(looks)))
    return lines


def _line(interaction: Interaction, times: int = 1) -> str:
    """Show a request, and what came of it, in a line."""
    request, response, trouble = interaction.request, interaction.response, interaction.trouble
    parts = urlsplit(request.url)
    answer = one_line(f"{trouble.error}: {trouble.message}") if trouble else "no answer"
    if response is not None:
        answer = f"{response.status}{'' if response.complete else ' (cut short)'}"
    query = f"?{parts.query}" if parts.query else ""
    took = f"  {interaction.elapsed * 1000:.1f} ms" if interaction.elapsed else ""  # 0: the times were left out
    took += f"{' in all' if took else ''}  x {times}" if times > 1 else ""
    done = one_line(faults.tampered(interaction))
    said = f"{answer}{f' ({done})' if done else ''}{took}"
    return f"         {one_line(request.method)} {parts.path or '/'}{query}  {said}"


def _interaction(interaction: Interaction, *, verbose: bool) -> list[str]:
    request, response = interaction.request, interaction.response
    lines = [_line(interaction)]
    if verbose:
        lines += _headers(">", request.headers)
        if request.body:
            lines.append(f"           > {_body(unpacked(request.headers, request.body))}")
        if response is not None:
            lines += _headers("<", response.headers)
            if response.body:
                lines.append(f"           < {_body(unpacked(response.headers, response.body))}")
    return lines


def _headers(way: str, headers: Headers) -> list[str]:
    """Show the headers that matter: those that say more than that it is JSON over HTTP."""
    return [
        f"           {way} {one_line(name)}: {one_line(_cut(value, 200))}"
        for name, value in headers
        if name.lower() not in _SILENT and not (name.lower() == "content-type" and _PLAIN.fullmatch(value))
    ]


def _observing(interactions: Iterable[Interaction]) -> list[str]:
    """Show what was read; of looks that all saw the same, the last."""
    lines: list[str] = []
    for _, alike in groupby(interactions, asked_and_answered):
        looks = list(alike)
        if len(looks) > 1:
            lines.append(f"         {len(looks)} times with the same answer:")
        lines += _interaction(looks[-1], verbose=True)
    return lines


def asked_and_answered(interaction: Interaction) -> tuple[object, ...]:
    """Return what makes two requests the same, with what came of them."""
    request, response = interaction.request, interaction.response
    answered = None if response is None else (response.status, response.body, response.complete)
    return request.method, request.url, request.body, answered, interaction.trouble, interaction.tampered


def _body(body: bytes, width: int = 200) -> str:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return f"({len(body)} bytes, not text)"
    text = one_line(text)
    return text if len(text) <= width else f"{text[:width]}... ({len(body)} bytes)"


def _changes(before: JsonText | None, step: Step, *, first: bool) -> list[str]:
    if step.state is None:
        return []
    after = loads(step.state)
    if first:
        return [f"state {brief(after)}"]
    return [f"state {each.path}: {each.shown}" for each in differences(before and loads(before), after)]
