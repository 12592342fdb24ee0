"""Markdown: a report for people, in a ticket, a merge request, the summary of a job.

What a service says is hostile until it is written down: in a fence longer than any inside of it, in a code span, or
with a backslash before all that means something.
"""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from replaykit.account import Account, Bug, Crossings, RunStep, SentRequest
from replaykit.coverage import Crossed
from replaykit.report import faults, mermaid, outline
from replaykit.report.steps import count
from replaykit.value import JsonData
from replaykit.visible import visible

MOST = 10_000_000  # characters
MOST_ENDPOINTS = 200  # rows of a table
MOST_VALUE = 4_000  # characters of a value that are shown
_MEANT = re.compile(r"([\\`*_\[\]<#|~&$]|:(?=//))")
_ALIVE = re.compile(r"@(?=\w)|\bwww(?=\\?\.)", re.IGNORECASE)  # what is made a link or a mention of: a gap ends that
_TICKS = re.compile(r"`+")


def render(account: Account, *, most: int = MOST) -> str:
    """Write a campaign as Markdown, in `most` characters: of many bugs, the later ones are only counted."""
    before, after = "\n".join(_head(account)), "\n".join(_tail(account))
    parts, room = [before], most - len(before.encode()) - len(after.encode()) - 200
    if account.failures:
        parts.append("\n## Failures\n")
    for number, bug in enumerate(account.failures, 1):
        part = "\n".join([f"### Failure {number}: {text(_title(bug))}", "", *_bug(bug), ""])
        room -= len(part.encode("utf-8", "replace")) + 1
        if room < 0:
            left = len(account.failures) - number + 1
            parts.append(f"And {count(left, 'more failure')}, left out here: the report is too long.\n")
            break
        parts.append(part)
    return "\n".join([*parts, after]).rstrip("\n") + "\n"


def _head(account: Account) -> Iterator[str]:
    yield "# Integration Test Report\n"
    rows = {
        "Date": datetime.fromisoformat(account.started).strftime("%Y-%m-%d %H:%M:%S UTC"),
        "Model": text(account.model),
        "Adapter": text(account.adapter),
        "Service": text(account.url or "none"),
        "Runs": account.total_runs,
        "Seed": account.seed,
        "Verdict": text(f"{account.word}, {account.verdict}"),
    }
    yield "  \n".join(f"**{name}**: {value}" for name, value in rows.items())
    yield "\n## Summary\n"
    counted = {"Passed": account.passed, "Failed": account.failed}
    if account.not_judged:
        counted["Not judged"] = account.not_judged
    more = {
        "Duration": f"{account.duration:.1f}s",
        "Distinct failures": len(account.failures),
        "Steps": account.steps,
        "Requests": account.requests,
    }
    yield from table(("Metric", "Value"), [(name, str(value)) for name, value in {**counted, **more}.items()])
    if account.stopped:
        yield f"\nStopped early: {text(account.stopped)}"


def _tail(account: Account) -> Iterator[str]:
    if len(account.failures) > 1:
        yield "## Discovery\n"
        yield "The distinct failures, in the order in which they were found.\n"
        yield from table(
            ("Found", "Run", "After", "Failure", "Seen in"),
            [
                (
                    str(number),
                    str(bug.first_seen_run),
                    f"{bug.found_after:.1f}s",
                    f"{text(bug.title)} ({bug.fingerprint})",
                    count(bug.occurrences, "run"),
                )
                for number, bug in enumerate(account.failures[:200], 1)
            ],
        )
        yield ""
    if account.known:
        yield "## Known bugs\n"
        yield "Their bundles were there before; they were seen again, and not shrunk again.\n"
        yield from table(
            ("Bug", "Seen", "Bundle"),
            [
                (f"{text(bug.title)} ({bug.fingerprint})", outline.seen(bug), text(bug.bundle or "-"))
                for bug in account.known[:200]
            ],
        )
        yield ""
    if account.died:
        yield "## The service is not there any more\n"
        yield from fenced(f"{account.died}\n{account.log}".rstrip())
    for fault in account.faults:
        yield f"## Fault of the test code: {text(fault.title)}\n"
        yield from fenced(f"{fault.message}\n{fault.traceback or ''}".rstrip())
    if account.trouble and not account.faults and not account.died:
        yield "## Not judged\n"
        yield from fenced(account.trouble)
    yield "## Checks\n"
    yield from table(
        ("Check", "Judged", "Broken by"),
        [
            (text(f"{each.kind} {each.name}"), count(each.judged, "time"), ", ".join(each.bugs) or "-")
            for each in account.checks
        ],
    )
    if account.faults_by_endpoint is not None:
        yield from _crossings(account.faults_by_endpoint)
    if account.unrecovered:
        yield "\n## Ended early\n"
        yield "An answer was lost to a fault, and nobody found out what became of the command.\n"
        rows = [(code(each.command), count(each.runs, "run"), text(each.advice)) for each in account.unrecovered]
        yield from table(("Command", "Ended so", "What to do"), rows)
    if account.never_exercised:
        yield f"\n**Never exercised**: {text(', '.join(account.never_exercised))}"


def _crossings(matrix: Crossings) -> Iterator[str]:
    """Write the matrix of faults and endpoints: requests sent, answers lost, runs with a finding."""
    yield f"\n## Faults x endpoints: {matrix.tried} of {matrix.total} tried\n"
    yield "Requests sent while the fault was on; the answers that it cost; **the runs that failed there**.\n"
    found = {(each.fault, each.method, each.path): each for each in matrix.crossings}
    rows = [
        (
            code(f"{each.method} {each.path}").replace("|", "\\|"),
            *(_cell(found.get((kind, each.method, each.path))) for kind in matrix.kinds),
        )
        for each in matrix.endpoints[:MOST_ENDPOINTS]
    ]
    yield from table(("Endpoint", *(text(faults.short(kind)) for kind in matrix.kinds)), rows)
    more = len(matrix.endpoints) - MOST_ENDPOINTS
    if more > 0:
        yield f"\nAnd {count(more, 'more endpoint')}."


def _cell(crossed: Crossed | None) -> str:
    if crossed is None:
        return "-"
    lost = f", {crossed.lost} lost" if crossed.lost else ""
    return f"{crossed.tried}{lost}{f', **{crossed.failed} failed**' if crossed.failed else ''}"


def _title(bug: Bug) -> str:
    return bug.failure_reason.partition("\n")[0][:200] or bug.title


def _bug(bug: Bug) -> Iterator[str]:
    rows = {
        "Seed": bug.seed,
        "Commands": len(bug.steps),
        "Check": f"{text(bug.title)}{f' after {text(bug.command)}' if bug.command else ''}",
        "Fingerprint": bug.fingerprint,
        "Seen": outline.seen(bug),
    }
    if bug.shrinking is not None:
        rows["Shrunk"] = f"from {count(bug.shrinking.commands_before, 'command')}, {bug.confirmation}"
        if bug.shrinking.stopped:
            rows["Shrinking ended early"] = text(bug.shrinking.stopped)
    if bug.gone_after:
        rows["Gone"] = f"not seen in the last {count(bug.gone_after, 'run')}; the service changed while it was tested"
    if bug.bundle is not None:
        rows["Bundle"] = code(bug.bundle)
    yield "  \n".join(f"**{name}**: {value}" for name, value in rows.items())
    if "\n" in bug.failure_reason or len(bug.failure_reason) > len(_title(bug)):
        yield ""
        yield from fenced(bug.failure_reason)
    for word, value in (("Expected", bug.expected), ("Seen", bug.actual)):
        if value is not None:
            yield f"\n{word}:\n"
            yield from fenced(_laid_out(value), "json")
    yield "\nThe simplest sequence that shows it:\n"
    lines = [line for step in bug.steps for line in _step(step)]
    yield from fenced("\n".join([*lines, *(["x at the end"] if bug.step is None else [])]))
    yield "\n<details><summary>Requests and answers</summary>\n"
    yield from fenced("\n".join(_dialogue(bug)))
    yield "\n</details>\n"
    yield from fenced(mermaid.render(bug), "mermaid")
    if bug.replay is not None:
        yield "\nReplay it:\n"
        yield from fenced(bug.replay, "sh")


def _step(step: RunStep) -> Iterator[str]:
    yield outline.step_line(step)
    yield from (f"       {each}" for each in outline.request_lines(step))


def _dialogue(bug: Bug) -> Iterator[str]:
    yield from _requests("reset", bug.resetting)
    for step in bug.steps:
        yield from _requests(f"[{step.label}] {step.call}{outline.under(step)}", step.requests, step)
    yield from _requests("at the end", bug.closing)
    if bug.requests_left_out:
        yield f"and {count(bug.requests_left_out, 'more request')}"


def _requests(title: str, requests: tuple[SentRequest, ...], step: RunStep | None = None) -> Iterator[str]:
    if requests:
        yield title
    for each, many in outline.folded(step, requests):
        yield f"  > {each.method} {outline.path_of(each.url)}".replace("\n", "\\n")
        yield from (f"  > {line}" for line in (each.body or "").splitlines())
        took = f"({each.seconds * 1000:.1f} ms){outline.times(many)}"
        yield f"  < {outline.answer_of(each)}  {took}".replace("\n", "\\n")
        yield from (f"  < {line}" for line in (each.answer or "").splitlines())


def _laid_out(value: JsonData) -> str:
    text_ = json.dumps(value, indent=2, ensure_ascii=False)
    return text_ if len(text_) <= MOST_VALUE else f"{text_[:MOST_VALUE]}... ({len(text_)} characters)"


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Write a table, whose cells are written already."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join('-' * (len(each) + 2) for each in head)}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def text(said: str) -> str:
    """Write a text in one line so that it means itself, in a table too."""
    return _ALIVE.sub(r"\g<0>&#8203;", _MEANT.sub(r"\\\1", " ".join(visible(said).split())))


def code(said: str) -> str:
    """Write a text as a code span, in one line."""
    shown = " ".join(visible(said).split())
    ticks = "`" * (max((len(each) for each in _TICKS.findall(shown)), default=0) + 1)
    return f"{ticks} {shown} {ticks}" if "`" in shown else f"`{shown or ' '}`"


def fenced(said: str, language: str = "text") -> Iterator[str]:
    """Write a text as a block of code that nothing in it can end."""
    shown = visible(said)
    fence = "`" * max(3, max((len(each) for each in _TICKS.findall(shown)), default=0) + 1)
    yield f"{fence}{language}"
    yield shown
    yield fence
