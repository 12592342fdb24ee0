"""Mermaid: a run as a sequence diagram of the client and the service.

A label goes to the end of its line; `;` and `#` end it, and other characters mean something in some places. So all but
the plainest are written as Mermaid's entity codes, `#59;` for a semicolon.
"""

import re
from collections.abc import Iterator

from replaykit.account import Bug, RunStep, SentRequest
from replaykit.report import faults
from replaykit.report.outline import answer_of, folded, path_of, times
from replaykit.visible import visible

MOST = 60  # requests that are drawn
WIDTH = 80  # characters of a label
SHADE = "rect rgb(255, 236, 204)"  # behind the steps that are sent while a fault is on
_ODD = re.compile(r"[^A-Za-z0-9 /?=.,'()_\[\]-]")


def render(bug: Bug) -> str:
    """Draw the simplest run that shows a bug."""
    lines = list(_lines(bug))
    more = len(lines) - MOST * 2
    if more > 0:
        lines = lines[: MOST * 2]
        is_open = sum(each == SHADE for each in lines) > lines.count("end")
        lines += ["Note over C,S: and more, left out here", *(["end"] if is_open else [])]
    head = ["sequenceDiagram", "    participant C as client", "    participant S as service"]
    return "\n".join([*head, *(f"    {line}" for line in lines)])


def _lines(bug: Bug) -> Iterator[str]:
    yield from _requests(bug.resetting)
    before: tuple[int, ...] = ()  # the labels of the faults that were on
    ends = faults.ends((step.label, [each.label for each in step.under]) for step in bug.steps)
    over: list[str] = []  # what is to be said where the shade ends
    for step in bug.steps:
        on = tuple(each.label for each in step.under)
        if on != before:
            yield from (["end"] if before else [])
            yield from over
            yield from ([SHADE] if on else [])
            over = []
        before = on
        branch = f" in branch {step.branch}" if step.branch else ""
        yield f"Note over C,S: {label(f'[{step.label}] {step.call}{branch}{_under(step)}')}"
        yield from _requests(step.requests, step)
        if step.fails:
            yield f"Note over C,S: {label(f'FAILURE {bug.title}')}"
        gone = [each for each in step.under if each.label in ends.get(step.label, ())]
        over += [f"Note over C,S: {label(faults.over(each.label, each.name))}" for each in gone]
    yield from (["end"] if before else [])
    yield from over
    yield from _requests(bug.closing)
    if bug.step is None:
        yield f"Note over C,S: {label(f'FAILURE at the end, {bug.title}')}"


def _under(step: RunStep) -> str:
    """Say which faults the shade behind a step stands for."""
    return f" under {', '.join(f'[{each.label}]' for each in step.under)}" if step.under else ""


def _requests(requests: tuple[SentRequest, ...], step: RunStep | None = None) -> Iterator[str]:
    for each, many in folded(step, requests):
        yield f"C->>S: {label(f'{each.method} {path_of(each.url)}{times(many)}')}"
        arrow = "S-->>C" if each.status is not None else "S--xC"
        yield f"{arrow}: {label(answer_of(each))}"


def label(text: str) -> str:
    """Write a text as a label that says it, whatever is in it."""
    shown = visible(text).replace("\n", " ").replace("\t", " ").strip()
    if len(shown) > WIDTH:
        shown = f"{shown[: WIDTH - 3]}..."
    return _ODD.sub(lambda found: f"#{ord(found[0])};", shown) or "-"
