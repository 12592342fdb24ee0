"""Rulings: what replays came to, as plain records that can be written down, with the secrets covered.

What they say in JSON is a surface that other programs read: a key that stands here stays, and means the same, until
VERSION changes.
"""

from typing import Literal, TypeAlias

from replaykit.account import RunStep, SentRequest, Told, cut
from replaykit.attempts import Replayed
from replaykit.bundle import Bundle
from replaykit.change import Tier
from replaykit.contrast import Drift
from replaykit.document import json_text
from replaykit.gate import Held
from replaykit.rate import Odds
from replaykit.redact import Redactor
from replaykit.surface import schema_for
from replaykit.trace import learn
from replaykit.value import JsonData, Record
from replaykit.verdict import Expect, Failure, Verdict, exit_code
from replaykit.version import __version__

VERSION = 1
MAX_PLACES = 200  # that differ from the recorded ones

Word: TypeAlias = Literal[
    "fixed", "reproduced", "passed", "failed", "drifted", "different", "stale", "unreachable", "undecided"
]  # fmt: skip


class Broken(Record):
    """A failure, as it was recorded or as it was seen."""

    fingerprint: str
    kind: str
    name: str  # of what was broken
    command: str | None
    step: int | None  # label; null at the end of the run
    message: str
    expected: JsonData = None
    actual: JsonData = None
    traceback: str | None = None  # of a fault of the test code


class Rate(Record):
    """How often a bug showed when it was recorded."""

    failed: int  # of the runs
    runs: int
    at_least: float  # lower bound: a part of 1


class Changed(Drift):
    """A place in which answers differ from the recorded ones."""

    attempts: int  # in which they do


class Noisy(Record):
    """What a noise rule came to."""

    rule: str
    matched: int  # recorded values
    differed: int  # values that are other ones now, in all attempts
    covered: int  # those of them that it covers


class Drifting(Record):
    """Answers held against the recorded ones."""

    tiers: tuple[Tier, ...]  # that count
    compared: int  # steps
    places: tuple[Changed, ...]
    places_left_out: int = 0
    noise: tuple[Noisy, ...]


class Ruling(Record):
    """What the replay of one bundle came to."""

    bundle: str  # path
    verdict: Word
    exit_code: int
    reason: str
    notes: tuple[str, ...] = ()
    attempts: int = 0
    failed: int = 0  # attempts that reproduced it; of a run that passed, those that failed
    rate: Rate | None = None  # null where nothing was to be said about it
    confidence: float | None = None  # with which a bug that shows as seldom as at_least would have been seen
    drift: Drifting | None = None  # null where it was not looked for: nobody asked, or the bug goes before it
    recorded: Broken | None = None  # null: the run passed when it was recorded
    seen: Broken | None = None  # null: nothing failed
    steps: tuple[RunStep, ...] = ()  # of the attempt that says so
    resetting: tuple[SentRequest, ...] = ()
    closing: tuple[SentRequest, ...] = ()
    requests_left_out: int = 0
    log: str = ""  # the last lines of the service, where it was not reached


class Rulings(Record):
    """What a call of `replaykit replay` came to."""

    version: int = VERSION
    tool: str = f"replaykit {__version__}"
    expect: Expect
    exit_code: int
    replays: tuple[Ruling, ...]


def ruling(path: str, replayed: Replayed, redactor: Redactor, *, expect: Expect, log: str = "") -> Ruling:
    """Tell what a replay came to."""
    redactor.restart()
    trace = replayed.trace
    learn(redactor, trace)
    told = Told(redactor, trace)
    return Ruling(
        bundle=redactor.shown(path),
        verdict=replayed.verdict.value,
        exit_code=exit_code(replayed.verdict, expect),
        reason=cut(redactor.message(replayed.reason)),
        notes=tuple(cut(redactor.message(each)) for each in replayed.notes),
        attempts=replayed.attempts,
        failed=replayed.failed,
        rate=None if replayed.odds is None else _rate(replayed.odds),
        confidence=None if replayed.confidence is None else round(replayed.confidence, 6),
        drift=None if replayed.held is None else _drift(replayed.held, redactor),
        recorded=_broken(replayed.recorded, redactor),
        seen=_broken(trace.failure, redactor),
        steps=told.steps,
        resetting=told.resetting,
        closing=told.closing,
        requests_left_out=max(0, -told.room),
        log=cut(redactor.shown(log)),
    )


def unjudged(path: str, bundle: Bundle, verdict: Verdict, reason: str, redactor: Redactor, *, log: str = "") -> Ruling:
    """Tell that a bundle could not be replayed at all."""
    redactor.restart()
    return Ruling(
        bundle=redactor.shown(path),
        verdict=verdict.value,
        exit_code=exit_code(verdict),
        reason=cut(redactor.message(reason)),
        recorded=_broken(bundle.judged, redactor),
        log=cut(redactor.shown(log)),
    )


def render(rulings: Rulings) -> str:
    """Write rulings as JSON, in ASCII."""
    return json_text(rulings.model_dump()) + "\n"


def schema() -> str:
    """Return the JSON Schema of the document, as it is published."""
    return schema_for(Rulings, f"What replaykit replay --json prints, version {VERSION}")


def _rate(odds: Odds) -> Rate:
    return Rate(failed=odds.failed, runs=odds.runs, at_least=round(odds.at_least, 6))


def _drift(held: Held, redactor: Redactor) -> Drifting:
    for trace in held.traces:
        redactor.look_at(trace.interactions())
    seen, came = held.seen, held.ruled()
    return Drifting(
        tiers=held.tiers,
        compared=held.compared,
        places=tuple(
            Changed(**each.told(redactor.message).model_dump(), attempts=each.attempts) for each in seen[:MAX_PLACES]
        ),
        places_left_out=max(0, len(seen) - MAX_PLACES),
        noise=tuple(
            Noisy(
                rule=str(rule),
                matched=came.matched[number],
                differed=came.differed[number],
                covered=came.covered[number],
            )
            for number, rule in enumerate(held.rules)
        ),
    )


def _broken(failure: Failure | None, redactor: Redactor) -> Broken | None:
    if failure is None:
        return None
    return Broken(
        fingerprint=failure.fingerprint,
        kind=failure.kind,
        name=redactor.shown(failure.name),
        command=failure.command,
        step=failure.step,
        message=cut(redactor.message(failure.message)),
        expected=redactor.data(failure.expected),
        actual=redactor.data(failure.actual),
        traceback=None if failure.traceback is None else cut(redactor.message(failure.traceback)),
    )
