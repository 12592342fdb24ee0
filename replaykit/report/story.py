"""Story: what a bundle holds, in the order in which a person wants to know it, as plain records for a page.

Nothing is decided in a template: what is left out, and what is said instead, stands here. What is a secret was
covered before.
"""

from collections.abc import Iterable

from replaykit.bundle import Bundle, Origin, Provenance
from replaykit.report.bodies import Pack
from replaykit.report.steps import NO_END, confirmation, count
from replaykit.report.teller import MOST_STATE, Sent, StoryStep, Teller, Tone, clipped
from replaykit.report.timeline import Timeline, timeline
from replaykit.report.versus import Rerun
from replaykit.report.why import Why, where, why
from replaykit.trace import Trace
from replaykit.value import Record


class Fact(Record):
    """Something to know about a bundle."""

    name: str
    said: str


class Command(Record):
    """A command to be copied."""

    purpose: str
    text: str


class Enclosed(Record):
    """The bundle itself, inside of the page."""

    name: str
    kind: str  # media type
    content: str  # in base64
    size: str


class Story(Record):
    """What a page tells of a bundle."""

    title: str
    word: str
    tone: Tone
    headline: str
    place: str  # where it failed; empty where nothing did
    summary: tuple[str, ...]
    warnings: tuple[str, ...]
    why: Why | None
    reason: str  # why the run ended, where no failure says it
    resetting: tuple[Sent, ...]
    sequence: str  # what the steps are
    steps: tuple[StoryStep, ...]
    at_the_end: StoryStep | None  # what was read and judged at the end
    recorded: tuple[Sent, ...]  # of a recording without a model
    timeline: Timeline | None
    shrunk: tuple[str, ...]
    rerun: Rerun | None
    purpose: str  # of the commands
    commands: tuple[Command, ...]
    facts: tuple[Fact, ...]
    packs: tuple[Pack, ...]
    held: int  # how many pieces the packs hold
    enclosed: Enclosed | None
    not_enclosed: str  # why the bundle is not inside; empty where it is


def story(
    bundle: Bundle,
    *,
    commands: Iterable[Command] = (),
    facts: Iterable[Fact] = (),
    rerun: Rerun | None = None,
    enclosed: Enclosed | str = "",
) -> Story:
    """Tell what a bundle holds; `rerun` is what came of replaying it.

    `enclosed` is the bundle itself, or why it is not inside of the page.
    """
    trace, failure = bundle.trace, bundle.trace.failure
    teller = Teller(trace, rerun, whole=bundle.whole)
    steps = teller.steps()
    word, tone, headline = _verdict(bundle, rerun)
    end = teller.end()
    others = teller.exchanges(trace.resetting, "reset"), teller.exchanges(trace.recorded, "r")
    held = teller.bodies.held
    return Story(
        title=f"{word}: {clipped(headline)}",
        word=word,
        tone=tone,
        headline=clipped(headline),
        place="" if failure is None else clipped(where(failure, trace)),
        summary=tuple(clipped(each, 80) for each in _summary(bundle)),
        warnings=(*_warnings(bundle), *_left_out(len(trace.steps) - len(steps), teller.left_out)),
        why=None if failure is None else why(failure),
        reason=clipped(trace.reason, MOST_STATE) if failure is None else "",
        resetting=others[0],
        sequence=_sequence(bundle),
        steps=steps,
        at_the_end=end,
        recorded=others[1],
        timeline=timeline(trace, whole=bundle.whole),
        shrunk=tuple(_shrunk(bundle)),
        rerun=rerun,
        purpose=_purpose(bundle),
        commands=tuple(commands),
        facts=tuple(each.replace(said=clipped(each.said)) for each in (*facts, *_facts(bundle.origin))),
        packs=tuple(teller.bodies.packs),
        held=held,
        enclosed=enclosed if isinstance(enclosed, Enclosed) else None,
        not_enclosed=enclosed if isinstance(enclosed, str) else "",
    )


# --- what stands above ---------------------------------------------------------------------------


def _verdict(bundle: Bundle, rerun: Rerun | None) -> tuple[str, Tone, str]:
    """Return the word in which it ends, its tone, and the first sentence."""
    trace, failure = bundle.trace, bundle.trace.failure
    said = _ended(trace)
    if failure is not None:
        about = "" if failure.is_finding else "fault of the test code: "
        said = f"{about}{failure.title.replace(failure.kind, failure.kind.replace('_', ' '), 1)}"
    if rerun is not None:
        tones: dict[str, Tone] = {"fixed": "good", "passed": "good", "reproduced": "bad", "failed": "bad"}
        return rerun.verdict.upper(), tones.get(rerun.verdict, "warn"), said
    if failure is not None:
        return "FAILED", "bad", said
    if not bundle.whole:
        return "TRUNCATED", "warn", said
    return trace.ending.upper(), "good" if trace.ending in {"passed", "recorded"} else "warn", said


def _ended(trace: Trace) -> str:
    if trace.ending == "recorded":
        return f"{count(len(trace.recorded), 'request')} without a model"
    held = {"passed": ", and all that was judged held"}.get(trace.ending, "")
    return f"a run of {count(len(trace.steps), 'command')}{held}"


def _sequence(bundle: Bundle) -> str:
    """Say what the steps are."""
    origin, trace = bundle.origin, bundle.trace
    is_shrunk = isinstance(origin, Provenance) and origin.shrinking is not None
    if is_shrunk and trace.failure is not None:
        return f"The minimal sequence: {count(len(trace.steps), 'step')}"
    return f"The run: {count(len(trace.steps), 'step')}"


def _purpose(bundle: Bundle) -> str:
    """Say what the commands are good for."""
    if not can_be_replayed(bundle):
        return "Look at it"
    return "How to reproduce it" if bundle.trace.failure is not None else "Run it again"


def can_be_replayed(bundle: Bundle) -> bool:
    """Whether a replay would take it: a failure, or a run that passed, and all of it."""
    trace = bundle.trace
    return bundle.whole and bool(trace.steps) and (trace.failure is not None or trace.ending == "passed")


def _summary(bundle: Bundle) -> Iterable[str]:
    origin, trace = bundle.origin, bundle.trace
    if trace.steps:
        shrinking = origin.shrinking if isinstance(origin, Provenance) else None
        before = f", shrunk from {shrinking.calls_before}" if shrinking is not None else ""
        yield f"{count(len(trace.steps), 'step')}{before}"
    yield count(trace.requests, "request")
    if isinstance(origin, Provenance):
        yield origin.model.rpartition(":")[2]
        yield f"seed {origin.seed}"
    if origin.revision is not None:
        yield f"revision {origin.revision[:12]}{' with changes' if origin.dirty else ''}"
    if origin.recorded is not None:
        yield origin.recorded
    if trace.failure is not None:
        yield f"fingerprint {trace.failure.fingerprint}"


def _warnings(bundle: Bundle) -> Iterable[str]:
    if not bundle.whole:
        yield NO_END
    if bundle.trace.failure is not None and not bundle.trace.failure.is_finding:
        yield "This is a fault of the test code, not of the service."


def _left_out(steps: int, requests: int) -> Iterable[str]:
    """Say what there was no room for."""
    said = [count(number, noun) for number, noun in ((steps, "step"), (requests, "request")) if number]
    if said:
        yield f"This page has no room for {' and '.join(said)} that are far from the failure; the bundle has them."


def _shrunk(bundle: Bundle) -> Iterable[str]:
    origin, trace = bundle.origin, bundle.trace
    if not isinstance(origin, Provenance) or origin.shrinking is None:
        return
    shrinking, now = origin.shrinking, len(trace.steps)
    removed = shrinking.calls_before - now
    if removed > 0:
        yield (
            f"{removed} of {shrinking.calls_before} commands were not needed for it to fail, and are gone. "
            "The others keep the numbers that they had."
        )
    else:
        yield f"None of the {count(now, 'command')} could be left out."
    took = f", {shrinking.seconds:.1f} seconds" if shrinking.seconds else ""
    yield f"It took {count(shrinking.executions, 'execution')}, {count(shrinking.requests, 'request')}{took}."
    said = confirmation(shrinking.runs, shrinking.failed)
    if shrinking.runs is None and shrinking.confirmed:
        said = "confirmed"
    elif said == "confirmed":
        said = f"confirmed: it failed in each of {count(shrinking.runs or 0, 'more run')}"
    yield f"The result is {said}."
    if shrinking.stopped:
        yield f"It was ended early: {shrinking.stopped}."


def _facts(origin: Origin) -> Iterable[Fact]:
    if isinstance(origin, Provenance):
        yield Fact(name="model", said=f"{origin.model} (digest {origin.model_digest})")
        yield Fact(name="adapter", said=origin.adapter)
        of = f"run {origin.run + 1} of the campaign with seed {origin.campaign_seed}"
        yield Fact(name="seed", said=f"{origin.seed} ({of})")
    if origin.url is not None:
        port = ", a free port, which is not kept" if origin.canonical and origin.url.endswith(":65535") else ""
        yield Fact(name="service", said=f"{origin.url}{port}")
    if origin.revision is not None:
        yield Fact(name="revision", said=f"{origin.revision}{', with changes' if origin.dirty else ''}")
    if origin.culprit is not None:
        yield Fact(name="culprit", said=origin.culprit)
    yield Fact(name="recorded", said=origin.recording)
