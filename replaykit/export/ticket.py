"""A ticket: the text of an issue about one bug, with the bundle itself in it.

The text is read by people, drawn by a forge, and read back by `archive`, from whatever it was pasted into. So all that
a bundle says stands in code: a forge makes links and mentions of what looks like one in prose, with a backslash before
it too (github/cmark-gfm issue 181), and never in code. The bundle stands there as it is where a text leaves it alone
and there is room for it, else packed. Whether it comes back to the byte is tried before anybody gets the ticket.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from urllib.parse import urlsplit

from replaykit.archive import unpacked
from replaykit.bundle import Bundle, Provenance, name_of, require_whole
from replaykit.coding import unpacked as decompressed
from replaykit.errors import BundleError, UnexportableError
from replaykit.interaction import Headers, Interaction
from replaykit.parcel import lined
from replaykit.report import faults
from replaykit.report.markdown import code, fenced
from replaykit.report.steps import LIVE, asked_and_answered, call_text, count, fault_text, said_text, under_text
from replaykit.trace import Step, Trace
from replaykit.value import JsonData
from replaykit.verdict import Failure
from replaykit.version import __version__
from replaykit.visible import visible

MOST = 60_000  # characters of a ticket; GitHub takes 65,536 characters, of which line ends may become two
FILE = "ISSUE.md"  # what the ticket is called in its own text
_TITLE, _VALUE, _BODY = 200, 3_000, 160  # characters that are shown
_LINE = 100  # characters of a value that is not broken into lines
_STEPS = 12_000  # characters of all steps
_READS = 3  # requests of a step that are shown
_PLAIN = re.compile(rb"(?:[!-~](?:[ -~]*[!-~])?\n)+")  # lines that no forge, editor or mail changes
_ODD = re.compile(r"(?m)^([ \t>|]*)(?=version: 1|-----BEGIN REPLAYKIT)")  # what `archive` would take for a bundle


def render(bundle: Bundle, content: bytes) -> str:
    """Return the ticket of a bundle with these bytes.

    Raises UnexportableError where it tells of no failure or there is no room for it, TruncatedBundleError.
    """
    require_whole(bundle, "The bundle")
    failure = bundle.trace.failure
    if failure is None:
        raise UnexportableError(
            f"The bundle holds a run that ended as {bundle.trace.ending}, and no failure: there is no ticket to write.",
            "Send the file itself; as gz or zip, every forge takes it.",
        )
    prose = "\n".join(_prose(bundle, failure))
    asis = [content.decode("ascii")] if _PLAIN.fullmatch(content) else []
    for inside in (*asis, lined(content) + "\n"):
        ticket = f"{prose}\n{_folded(inside, failure, len(content))}"
        if len(ticket) < MOST and _comes_back(ticket, content):
            return ticket
    packed = len(lined(content))
    raise UnexportableError(
        f"A ticket has room for {MOST} characters, and the bundle has {packed}, packed already.",
        "Attach it to the ticket (replaykit export --format zip), or make it smaller (replaykit reshrink).",
    )


def _comes_back(ticket: str, content: bytes) -> bool:
    """Say whether the bundle is found in its ticket as it was, also where that was quoted and its line ends changed."""
    quoted = "".join(f"> {line}\r\n" for line in ticket.split("\n"))
    try:
        return all(unpacked(each.encode(), FILE) == content for each in (ticket, quoted))
    except BundleError:
        return False


def _folded(inside: str, failure: Failure, size: int) -> str:
    """Fold the bundle away; the empty lines around its fence are what makes it one."""
    [first, *_, last] = fenced(inside, "text")
    return (
        f"<details><summary>The bundle: {name_of(failure)}, {size} bytes</summary>\n\n"
        f"{first}\n{inside}{last}\n\n</details>\n"
    )


# --- what people read ---------------------------------------------------------------------------


def _prose(bundle: Bundle, failure: Failure) -> Iterator[str]:
    first = failure.message.partition("\n")[0]
    command = f" after {_code(failure.command, 80)}" if failure.command is not None else ""
    title = _title(failure)
    fails = "" if failure.title == failure.kind else " fails"
    yield f"# {title[0].upper()}{title[1:]}{fails}{command}: {_code(first, _TITLE)}\n"
    if visible(first) != visible(failure.message) or len(visible(first)) > _TITLE:
        yield from _block(failure.message)
    for word, value in (("Expected", failure.expected), ("Seen", failure.actual)):
        if value is not None:
            yield f"## {word}\n"
            yield from _block(value)
    yield "## Steps\n"
    yield from _steps(bundle.trace, failure)
    yield from _replay(bundle.trace, failure)
    yield "## Where it was seen\n"
    yield from (f"- {fact}" for fact in _facts(bundle))
    yield ""


def _title(failure: Failure) -> str:
    kind = failure.kind.replace("_", " ")
    return kind if failure.title == failure.kind else f"{kind} {_code(failure.name, 80)}"


def _code(said: str, most: int) -> str:
    """Write a text as a code span of limited length."""
    return code(_cut(visible(said), most))


def _cut(shown: str, most: int) -> str:
    return shown if len(shown) <= most else f"{shown[:most]}... ({len(shown)} characters)"


def _block(value: JsonData) -> Iterator[str]:
    """Write a value as a block of code, in which nothing can be taken for a bundle."""
    said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if not isinstance(value, str) and len(said) > _LINE:
        said = json.dumps(value, indent=2, ensure_ascii=False)
    yield from fenced(_ODD.sub(r"\1. ", _cut(visible(said), _VALUE)), "text" if isinstance(value, str) else "json")
    yield ""


def _steps(trace: Trace, failure: Failure) -> Iterator[str]:
    steps = sorted(trace.steps, key=lambda step: step.call.branch)
    names = faults.names_in(trace)
    items = ["\n".join(_step(number, step, failure, names)) for number, step in enumerate(steps, 1)]
    if _size(items) > _STEPS:
        items = [each.partition("\n")[0] for each in items]
    before, after = len(items), 0
    while _size([*items[:before], *items[len(items) - after :]]) > _STEPS:
        before, after = (before // 2, before // 2)
    if trace.resetting:
        yield "After a reset:\n"
    yield from items[:before]
    if before + after < len(items):
        yield f"\nand {count(len(items) - before - after, 'more step')}, which the bundle has\n"
        yield from items[len(items) - after :]
    if failure.step is None:
        yield f"\nAt the end, {_title(failure)} **fails**."
        yield from _requests("- ", ((each, 1) for each in trace.closing[-_READS:]))
    yield ""


def _size(items: list[str]) -> int:
    return sum(len(each) + 1 for each in items)


def _step(number: int, step: Step, failure: Failure, names: Mapping[int, str]) -> Iterator[str]:
    said = "no event" if step.event is None else said_text(step.event, step)
    again = "" if step.again is None else f" and {_code(said_text(step.again), _TITLE)}"
    branch = f", in branch {step.call.branch}, at the same time as the others" if step.call.branch else ""
    fails = step.call.label == failure.step
    marked = ": **it fails**" if fails else ""
    lead = f"{number}. "
    bullet = " " * len(lead) + "- "
    if faults.is_fault(step):
        yield f"{lead}fault {_code(f'[{step.call.label}] {fault_text(step.call)}', _TITLE)}{marked}"
    else:
        call = _code(f"[{step.call.label}] {call_text(step.call)}", _TITLE)
        under = f" {_code(under_text(step, names), _TITLE)}" if step.faults else ""
        yield f"{lead}{call} gives {_code(said, _TITLE)}{again}{branch}{under}{marked}"
    yield from _requests(bullet, _told(step))
    if fails:
        yield from _requests(f"{bullet}read: ", ((each, 1) for each in step.observing[-_READS:]))


def _told(step: Step) -> list[tuple[Interaction, int]]:
    """List the first requests of a step, and how often each was sent in a row; under a fault, one is often repeated."""
    if not step.faults:
        return [(each, 1) for each in step.interactions[:_READS]]
    alike = [list(each) for _, each in groupby(step.interactions, asked_and_answered)]
    return [(each[0], len(each)) for each in alike[:_READS]]


def _requests(bullet: str, interactions: Iterable[tuple[Interaction, int]]) -> Iterator[str]:
    for each, times in interactions:
        request, response, trouble = each.request, each.response, each.trouble
        parts = urlsplit(request.url)
        query = f"?{parts.query}" if parts.query else ""
        sent = f"{request.method} {parts.path or '/'}{query} {_body(request.headers, request.body)}"
        if response is not None:
            got = f"{response.status} {_body(response.headers, response.body)}"
        else:
            got = f"{trouble.error}: {trouble.message}" if trouble else "no answer"
        done = faults.tampered(each)
        many = f" x {times}" if times > 1 else ""
        yield (
            f"{bullet}{_code(sent.rstrip(), _TITLE)} gives {_code(got.rstrip(), _TITLE)}"
            f"{f' ({_code(done, 80)})' if done else ''}{many}"
        )


def _body(headers: Headers, body: bytes) -> str:
    try:
        return _cut(visible(decompressed(headers, body).decode("utf-8")), _BODY)
    except UnicodeDecodeError:
        return f"({len(body)} bytes, not text)"


def _replay(trace: Trace, failure: Failure) -> Iterator[str]:
    live, where = "--url URL", "URL is that of the service:"
    if faults.needs_start(trace):
        live = '--start "COMMAND with {port}"'
        where = "Its faults are done to the service's process, so name the command that starts it:"
    yield "## Replay\n"
    yield f"The bundle is in this text. Save it as `{FILE}` in the project's folder. {where}\n"
    yield from ("```sh", f"replaykit replay {FILE} --offline", f"replaykit replay {FILE} {live}", "```", "")
    yield f"{LIVE}\n"
    yield "1 means that the bug is there, 0 that it is gone, 125 that it can't be judged. The bundle alone:\n"
    yield from ("```sh", f"replaykit import {FILE} --output {name_of(failure)}", "```", "")


def _facts(bundle: Bundle) -> Iterator[str]:
    origin = bundle.origin
    if isinstance(origin, Provenance):
        shrinking = origin.shrinking
        if shrinking is not None and shrinking.runs and shrinking.failed is not None:
            yield f"rate: it failed in {shrinking.failed} of {count(shrinking.runs, 'run')}"
        elif shrinking is not None and shrinking.confirmed:
            yield "rate: it failed each time that it was run again"
        yield f"model {_code(origin.model, 80)}, adapter {_code(origin.adapter, 80)}, seed {origin.seed}"
    if origin.revision is not None:
        yield f"revision of the service: {_code(origin.revision, 80)}{', with changes' if origin.dirty else ''}"
    if origin.culprit is not None:
        yield f"culprit: {_code(origin.culprit, _TITLE)}"
    versions = [origin.tool, *([f"Python {origin.python}"] if origin.python else [])]
    if origin.httpx:
        versions.append(f"httpx {origin.httpx}")
    yield f"found with {_code(', '.join(versions), _TITLE)}, written by `replaykit {__version__}`"
    if origin.recorded:
        yield f"recorded {_code(origin.recorded, 40)}"
    yield f"fingerprint `{bundle.failure.fingerprint}`"
