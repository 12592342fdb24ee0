"""A bug in plain lines: what was asked, what came of it, and how it is replayed."""

import json
from collections.abc import Iterable, Iterator

from replaykit.account import Bug, RunStep, SentRequest
from replaykit.report import faults
from replaykit.report.steps import count, one_line
from replaykit.value import JsonData

MOST = 2_000  # characters of a value that are shown


def render(bug: Bug) -> str:
    """Show a bug: the reason, expected and seen, the sequence with its requests, the bundle and the command."""
    lines = [bug.failure_reason]
    for word, value in (("expected", bug.expected), ("seen", bug.actual)):
        if value is not None:
            lines.append(f"{word}: {value_text(value)}")
    lines.append("")
    for step in bug.steps:
        lines += [step_line(step), *(f"     {each}" for each in request_lines(step))]
    if bug.step is None and bug.steps:
        lines.append("x at the end")
    lines += ["", *facts(bug)]
    return "\n".join(lines)


def facts(bug: Bug) -> Iterator[str]:
    """Say how often it was seen, what shrinking came to, where it is saved, and how it is replayed."""
    yield f"fingerprint {bug.fingerprint}, seed {bug.seed}, {seen(bug)}"
    shrunk = bug.shrinking
    if shrunk is not None:
        yield (
            f"shrunk from {shrunk.commands_before} to {count(shrunk.commands_after, 'command')} in "
            f"{count(shrunk.executions, 'execution')}, {bug.confirmation}"
        )
        if shrunk.stopped:
            yield f"shrinking was ended early: {one_line(shrunk.stopped)}"
    if bug.gone_after:
        yield f"gone: not seen in the last {count(bug.gone_after, 'run')}; the service changed while it was tested"
    if bug.bundle is not None:
        yield f"saved as {one_line(bug.bundle)}"
    if bug.replay is not None:
        yield f"replay it: {one_line(bug.replay)}"


def seen(bug: Bug) -> str:
    """Say in which runs it was seen."""
    if not bug.occurrences:
        return f"met while another failure of run {bug.first_seen_run} was shrunk"
    return f"first in run {bug.first_seen_run}, seen in {count(bug.occurrences, 'run')}"


def step_line(step: RunStep) -> str:
    """Show a step in one line; a fault as one, and what is sent while it lasts with its name."""
    if step.fault is not None:
        return f"{'x' if step.fails else faults.ASCII_SIGN} [{step.label}] {step.fault}"
    branch = f" in branch {step.branch}" if step.branch else ""
    return (
        f"{'x' if step.fails else ' '} [{step.label}] {step.call}{branch}  ->  {step.event or 'no event'}{under(step)}"
    )


def under(step: RunStep) -> str:
    """Say which faults were on while a step was sent; nothing where none was."""
    said = ", ".join(f"[{each.label}]{f' {each.name}' if each.name else ''}" for each in step.under)
    return f"  (under {said})" if said else ""


def request_lines(step: RunStep) -> list[str]:
    """Show the requests of a step, a line each; equal ones in one."""
    return [f"{request_line(each)}{times(many)}" for each, many in folded(step, step.requests)]


def folded(step: RunStep | None, requests: Iterable[SentRequest]) -> Iterator[tuple[SentRequest, int]]:
    """Give the requests of a step; of equal ones in a row under a fault, as of who finds out what was lost, the first.

    How many there are stands beside each, and their times are added up.
    """
    is_under = step is not None and bool(step.under)
    kept: SentRequest | None = None
    many = 0
    for each in requests:
        if is_under and kept is not None and each.replace(seconds=0.0) == kept.replace(seconds=0.0):
            kept, many = kept.replace(seconds=kept.seconds + each.seconds), many + 1
            continue
        if kept is not None:
            yield kept, many
        kept, many = each, 1
    if kept is not None:
        yield kept, many


def times(many: int) -> str:
    """Say that a request was sent so many times."""
    return f"  x {many}" if many > 1 else ""


def request_line(request: SentRequest) -> str:
    """Show a request in one line: method, path, and what came of it."""
    return one_line(f"{request.method} {path_of(request.url)}  {answer_of(request)}")


def path_of(url: str) -> str:
    """Return what stands behind the host in a URL."""
    return "/" + url.partition("://")[2].partition("/")[2]


def answer_of(request: SentRequest) -> str:
    """Say what came of a request: the status, the error, or nothing."""
    said = [str(request.status)] if request.status is not None else []
    answer = ", ".join([*said, *([request.error] if request.error else [])]) or "no answer"
    return f"{answer} ({faults.tampering(request.tampered)})" if request.tampered else answer


def value_text(value: JsonData) -> str:
    """Show a JSON value in one line of limited length."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MOST else f"{text[:MOST]}... ({len(text)} characters)"
