"""A bundle as one HTML page, and what came of replaying it: for people, with nothing to be run or fetched.

The bundle itself is inside: as a link that holds it, so that it can be saved without a script, and only where nothing
in it looks like a secret. Where the page would become large by it, the page says so instead.
"""

import base64
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from replaykit.attempts import Replayed
from replaykit.bundle import Bundle, name_of
from replaykit.errors import SecretFoundError
from replaykit.looking import Judgments
from replaykit.parcel import gzipped
from replaykit.redact import Redactor
from replaykit.report import faults, page, verdict
from replaykit.report.bodies import Body, Pack
from replaykit.report.steps import LIVE
from replaykit.report.story import Command, Enclosed, Fact, can_be_replayed, story
from replaykit.report.teller import clipped
from replaykit.report.versus import Rerun, versus
from replaykit.ruling import Ruling
from replaykit.scan import require_clean
from replaykit.secret import Policy
from replaykit.trace import Trace, covered
from replaykit.value import Record, text_of_data
from replaykit.verdict import Failure

PLAIN = 200_000  # bytes of a bundle that is enclosed as it is; a larger one is packed in gzip
LARGEST = 32_000_000  # bytes of a bundle that is packed, to see whether there is room for it
MOST_ENCLOSED = 2_500_000  # bytes of what is enclosed
MOST_LINES = 60  # of what a replay says of two failures
_COVERED = Fact(
    name="secrets",
    said="covered, as REDACTED; arguments of commands are test data, and covered only where they look like a secret "
    "or stand elsewhere as one",
)
_OURS = {"anchor", "kind", "mark", "tone", "target"}  # what a template or a link goes by
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\.pd")


def render(
    bundle: Bundle,
    content: bytes,
    name: str,
    policy: Policy,
    *,
    facts: Iterable[Fact] = (),
    replayed: Replayed | None = None,
    ruled: Ruling | None = None,
    judged: Judgments | None = None,
) -> str:
    """Write the page of a bundle with these bytes, which stood in a file of this name.

    Of a replay, it tells what it came to, `ruled`, and where it was run at all, what was seen in it, `replayed`, and
    what was `judged` there. What the policy knows as secrets is covered.
    """
    redactor = Redactor(policy)
    _learn(redactor, [bundle.trace, *([replayed.trace] if replayed is not None else [])])
    shown = _covered(bundle, redactor)
    rerun = None
    if ruled is not None:
        rerun = _rerun(bundle, shown.trace, ruled, replayed, judged or {}, redactor)
    file = _file(name, bundle.trace.failure, redactor)
    told = story(
        shown,
        commands=_commands(bundle.trace, _place(name, file), is_run=can_be_replayed(bundle)),
        facts=[*(each.replace(said=redactor.message(each.said)) for each in facts), _COVERED],
        rerun=rerun,
        enclosed=_enclosed(content, file, policy),
    )
    return page.render("bundle.html", {"story": _each_text(told, redactor.shown)})


def _learn(redactor: Redactor, traces: Sequence[Trace]) -> None:
    """Find what is secret, in requests and in what was made of them, before the arguments are looked at.

    In a bundle, what stands in an argument is no secret elsewhere. On a page nothing is replayed, and what is covered
    at one place of it must not stand at another.
    """
    steps = [step for trace in traces for step in trace.steps]
    for step in steps:
        redactor.reserve(text_of_data(step.call.args).decode("latin-1"))
    redactor.look_at([each for trace in traces for each in trace.interactions()])
    for trace in traces:
        bare = [step.replace(call=step.call.replace(args={}), interactions=(), observing=()) for step in trace.steps]
        covered(redactor, trace.replace(resetting=(), steps=tuple(bare), closing=(), recorded=()))
        _failure(trace.failure, redactor)


def _each_text(told: Any, cover: Callable[[str], str]) -> Any:
    """Cover what is known in each text of a page: names and tags may hold it too. Bodies were looked at, as bodies."""
    if isinstance(told, str):
        return cover(told)
    if isinstance(told, Record) and not isinstance(told, Body | Pack | Enclosed):
        return told.replace(**{name: _each_text(value, cover) for name, value in told if name not in _OURS})
    if isinstance(told, tuple):
        parts = [_each_text(each, cover) for each in told]
        return type(told)(*parts) if hasattr(told, "_fields") else tuple(parts)
    if isinstance(told, Mapping):
        return {key: _each_text(value, cover) for key, value in told.items()}
    return told


def _covered(bundle: Bundle, redactor: Redactor) -> Bundle:
    trace, origin = _trace(bundle.trace, redactor), bundle.origin
    url = None if origin.url is None else redactor.url(origin.url)
    culprit = None if origin.culprit is None else redactor.message(origin.culprit)
    trace = trace.replace(failure=_failure(trace.failure, redactor), reason=redactor.message(trace.reason))
    return bundle.replace(trace=trace, origin=origin.replace(url=url, culprit=culprit))


def _trace(trace: Trace, redactor: Redactor) -> Trace:
    """Cover what stands in a run of which the redactor has learned; not its requests, where it found nothing there.

    Of a long run, these take longest.
    """
    if redactor.found:
        return covered(redactor, trace)
    steps = tuple(step.replace(interactions=(), observing=()) for step in trace.steps)
    bare = covered(redactor, trace.replace(resetting=(), steps=steps, closing=(), recorded=()))
    if redactor.found:
        return covered(redactor, trace)
    told = [
        step.replace(interactions=each.interactions, observing=each.observing)
        for step, each in zip(bare.steps, trace.steps, strict=True)
    ]
    return bare.replace(steps=tuple(told), resetting=trace.resetting, closing=trace.closing, recorded=trace.recorded)


def _failure(failure: Failure | None, redactor: Redactor) -> Failure | None:
    if failure is None:
        return None
    return failure.replace(
        message=redactor.message(failure.message),
        expected=redactor.data(failure.expected),
        actual=redactor.data(failure.actual),
        traceback=None if failure.traceback is None else redactor.message(failure.traceback),
    )


def _rerun(
    bundle: Bundle,
    shown: Trace,
    ruled: Ruling,
    replayed: Replayed | None,
    judged: Judgments,
    redactor: Redactor,
) -> Rerun:
    notes = tuple(redactor.message(each) for each in ruled.notes)
    if replayed is None:
        reason = redactor.message(ruled.reason)
        return Rerun(verdict=ruled.verdict, reason=reason, exit_code=ruled.exit_code, notes=notes)
    said = {
        label: [each._replace(said=redactor.message(each.said)) for each in listed] for label, listed in judged.items()
    }
    seen = _trace(replayed.trace, redactor)
    lines = redactor.message(verdict.render(replayed, bundle.trace)).splitlines()[:MOST_LINES]
    steps, end = versus(bundle.trace, replayed.trace, (shown, seen), said, redactor.message)
    return Rerun(
        verdict=ruled.verdict,
        reason=redactor.message(verdict.conclusion(replayed)),
        exit_code=ruled.exit_code,
        lines=tuple(clipped(each) for each in lines),
        notes=notes,
        steps=steps,
        end=end,
        other=sum(each.differs for each in steps.values()),
    )


# --- the bundle itself ---------------------------------------------------------------------------


def _file(name: str, failure: Failure | None, redactor: Redactor) -> str:
    """Return the name that the bundle has when it is saved."""
    last = Path(name).name
    for ending in (".gz", ".zip"):
        last = last.removesuffix(ending)
    named = last if _NAME.fullmatch(last) else "bundle.pd" if failure is None else name_of(failure)
    return named if redactor.shown(named) == named else "bundle.pd"


def _place(name: str, file: str) -> str:
    """Return the path of a bundle as it was named, below the folder where it was; elsewhere, its name must do."""
    path = Path(name)
    return (
        name if path.name == file and not path.is_absolute() and name.isprintable() and ".." not in path.parts else file
    )


def _enclosed(content: bytes, file: str, policy: Policy) -> Enclosed | str:
    """Return the bundle as it is enclosed, or why it is not."""
    size = f"{len(content):,} bytes"
    large = f"The bundle has {len(content):,} bytes, which is too much for a page: it is sent beside it."
    if len(content) > LARGEST:
        return large
    is_plain = len(content) <= PLAIN
    packed = content if is_plain else gzipped(content)
    if len(packed) > MOST_ENCLOSED:
        return large
    try:
        require_clean(content, file, policy)
    except SecretFoundError as error:
        return f"The bundle is not in this page: {error.happened}"
    kind, ending = ("text/plain", "") if is_plain else ("application/gzip", ".gz")
    coded = base64.b64encode(packed).decode("ascii")
    return Enclosed(name=f"{file}{ending}", kind=kind, content=coded, size=size)


def _commands(trace: Trace, file: str, *, is_run: bool) -> Iterable[Command]:
    """Write the commands that replay a bundle, and those that look at it."""
    name = shlex.quote(file)
    if is_run:
        yield Command(purpose="From the recording alone, without a service", text=f"replaykit replay {name} --offline")
        start = f'replaykit replay {name} --start "COMMAND with {{port}}"'
        yield Command(purpose=f"Against a service that is started for it. {LIVE}", text=start)
        if not faults.needs_start(trace):
            yield Command(purpose="Against a service that runs", text=f"replaykit replay {name} --url URL")
    else:
        yield Command(purpose="All that is in it, as text", text=f"replaykit show {name} --verbose")
