"""Replay: a bundle's sequence again, live or against its own cassette, and a verdict on it.

    replayed = replay(load_failure("failures/bug.pd"), base_url="http://127.0.0.1:4600")

A replay never generates: it uses the concrete sequence that the bundle holds.
"""

import contextlib
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from replaykit import client, project
from replaykit.adapter import Adapter, Adapters
from replaykit.aftermath import BREATH, death, is_doubtful, trouble
from replaykit.binding import bound
from replaykit.blockade import blockaded
from replaykit.bundle import Bundle, require_whole
from replaykit.cassette import Order, finder
from replaykit.change import Tier
from replaykit.errors import UnreachableError, UsageError
from replaykit.gate import Held, held, reason, tiers_of
from replaykit.judging import Judged, Trial
from replaykit.latency import budgets_of
from replaykit.looking import Look, look_at
from replaykit.model import Model
from replaykit.pace import LONGEST, MOST, PACES, WORTH, Pace, is_cut, require_times
from replaykit.rate import DOUBTED, MOST_TIMES, Odds, percent
from replaykit.reader import read
from replaykit.run import Listener
from replaykit.sequence import branches_of
from replaykit.service import Running
from replaykit.trace import Trace
from replaykit.transport import Way
from replaykit.verdict import Failure, Verdict

RACE_TIMES = 10  # of a bundle whose calls are sent at the same time
FLAKY_TIMES = 7  # of one that is known to be flaky: if it shows in half of the attempts, it shows in seven of them
LOOKS = 10  # attempts after which it is known well enough how often a flaky bug shows, once it did


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay came to: the verdict, why, and all that happened in the attempt that says so."""

    verdict: Verdict
    reason: str
    recorded: Failure | None  # None where the bundle's run passed
    trace: Trace
    attempts: int = 1
    failed: int = 0  # attempts that reproduced it; of a run that passed, those that failed
    notes: tuple[str, ...] = ()  # sentences that are said beside the verdict
    odds: Odds | None = None  # how often it showed when it was recorded; None where that does not count
    confidence: float | None = None  # of what is fixed: how surely it would have been seen, a part of 1
    held: Held | None = None  # its answers against the recorded ones; None where that was not asked for, or it fails


def load_failure(path: str | Path) -> Bundle:
    """Read the bundle of a failure. Raises MissingFileError, or BundleError where it holds none, or has no end."""
    bundle = read(Path(path))
    require_whole(bundle, str(path))
    bundle.failure, bundle.provenance  # noqa: B018  what has none is told here
    return bundle


def replay(
    bundle: Bundle | str | Path,
    *,
    model: type[Model] | None = None,
    adapter: type[Adapter[Any]] | None = None,
    base_url: str | None = None,
    url: str | None = None,
    offline: bool = False,
    order: Order = "strict",
    health_check: str | None = None,
    settings: Mapping[str, str] | None = None,
    latency: Mapping[str, float] | None = None,
    transport: Way = "lean",
    listener: Listener | None = None,
    times: int | None = None,
    pace: Pace = "fast",
    fail_on_drift: Collection[Tier] = (),
    running: Running | None = None,
    until: int | None = None,
    look: Look | None = None,
) -> Replayed:
    """Run a bundle's sequence again, against the service at `base_url` or, `offline`, against its cassette.

    The bundle is one that was read, or the path of its file. Without `model` and `adapter`, those that it names are
    imported, if they lie inside the project; a file from a stranger imports nothing else. `url` is another word for
    `base_url`.

    It is *reproduced* if one of the attempts fails as recorded, and *fixed* if all of them pass and are so many that
    it would have been seen; else it is *undecided*. A bug that showed each time is looked for in some four attempts, or
    until it shows, a flaky one in as many as its rate asks for, a race in ten at least; `times` says how many instead.
    A run that passed when it was recorded ends as *passed* or as *failed*; one attempt is enough where it has no
    branches. Offline, there is but one, and `order` is that in which the cassette is played, as in `play`: strict,
    fifo, or any. `listener` hears of the first. With `pace="recorded"`, there are as many attempts again in which each
    command is sent when it was sent then, counted from the first one. What was too slow is executed several times in
    one attempt, and the majority decides. `latency` says what endpoints may take, in seconds. `transport="httpx"` sends
    plain HTTP through httpx's transport too. `running` is the service at `url`, where it is reset before each
    execution, or watched (`service.opened`). `until` is the label of the step after which it stops, in one attempt:
    *undecided*, unless it failed before. `look` follows it closely. With `fail_on_drift`, what would be *fixed* or
    *passed* is *drifted* where answers of an attempt differ from the recorded ones in one of these tiers, and
    *undecided* where no step could be compared.

    Without a URL, the recorded one is used, if it is on this machine or the project allows it. Placeholders of
    secrets in arguments are bound from the environment. What was seen counts only if the service is healthy then,
    where its health check is known: named as `health_check`, or by who has opened `running`. Raises BundleError for a
    bundle that can't be judged, StaleError for a placeholder without a value, UnreachableError for a reset that fails,
    UsageError, NoiseError, DefinitionError, LoadError, ForeignHostError.
    """
    if not isinstance(bundle, Bundle):
        bundle = load_failure(bundle)
    if base_url is not None and url is not None:
        raise UsageError("The service is named twice.", "Give base_url or url, not both.")
    url = base_url if url is None else url
    _check_order(order, offline=offline)
    _check_pace(pace, times)
    tiers = _tiers(fail_on_drift, offline=offline)
    require_whole(bundle, "The bundle")
    look = look_at(bundle.trace.sequence, until, look)
    with blockaded() if offline else contextlib.nullcontext():  # a module may do anything while it is imported
        model = model or project.load(bundle.provenance.model, Model, trusted=False)
        adapter = adapter or project.load(bundle.provenance.adapter, Adapter, trusted=False)
    if not offline:
        bundle = bundle.replace(trace=bound(bundle.trace, project.policy_here(), os.environ))
    if pace == "recorded":
        _require_pauses(bundle, offline=offline)
    budgets = budgets_of(model, adapter, latency or {})
    recorded_url = bundle.provenance.url or "http://127.0.0.1"
    if url is None:
        url = recorded_url
        if not offline:
            client.require_loopback(url, project.allowed_hosts())
            bundle.provenance.require_port()
    watched = running is not None or health_check is not None
    if running is None and not offline:
        running = Running(url, health_check)
    with blockaded() if offline else contextlib.nullcontext():  # its constructor is the user's
        adapters = Adapters(model, adapter, url, settings or {}, transport, None if offline else running)
    trial = Trial(bundle, adapters, budgets, offline, order, look=look, watched=watched)
    stops = look is not None and look.stops
    wanted = 1 if offline or stops else times_for(bundle) if times is None else times
    patient = True if times is not None else False if _is_steady(bundle) else None
    odds = None if offline else odds_of(bundle)
    passing: list[Trace] | None = [] if tiers else None
    try:
        attempt = partial(_attempts_at, trial, wanted, pace, patient=patient, odds=odds, passing=passing)
        replayed = _confirmed(attempt, adapters, listener)
        if replayed.verdict in _HELD:
            judged = _healthy(trial, Judged(replayed.trace, replayed.verdict, replayed.reason))
            replayed = replace(replayed, verdict=judged.verdict, reason=judged.reason)
    finally:
        adapters.close()
    if replayed.verdict is Verdict.FIXED and odds is not None:
        replayed = _sure_enough(replayed, odds, each=min(wanted, replayed.attempts))
    if offline or stops:
        return replayed
    if passing:
        replayed = _gated(bundle, replayed, passing, tiers)
    return replayed if pace == "recorded" else _with_haste(bundle, replayed)


def _confirmed(attempt: Callable[..., Replayed], adapters: Adapters, listener: Listener | None) -> Replayed:
    """Run attempts; once more, if the service closed a connection meanwhile that was to be kept.

    If it was started anew in the middle, what was seen says nothing; so the verdict counts only if another run comes
    to the same without it.
    """
    replayed = attempt(listener=listener)
    if replayed.verdict not in _JUDGED or not adapters.hung_up:
        return replayed
    before = adapters.hung_up
    again = attempt(listener=None)
    if again.verdict is replayed.verdict and adapters.hung_up == before:
        return again
    reason = (
        f"the service hung up in between, as one does that is started anew, and a second run did not "
        f"confirm what was seen ({again.verdict.value}: {again.reason}); if it closes idle connections, "
        "let the adapter send the header Connection: close"
    )
    return replace(again, verdict=Verdict.UNREACHABLE, reason=reason)


def _gated(bundle: Bundle, replayed: Replayed, passing: list[Trace], tiers: Collection[Tier]) -> Replayed:
    """Say of what would pass that it drifted, if answers of an attempt differ from the recorded ones in some tiers."""
    if replayed.verdict not in _HELD:
        return replayed
    came = held(bundle.trace, passing, tiers)
    replayed = replace(replayed, held=came, notes=(*replayed.notes, *([came.note] if came.note else [])))
    if came.seen:
        said = f"{replayed.verdict.value}, but {reason([each.told() for each in came.seen])}"
        return replace(replayed, verdict=Verdict.DRIFTED, reason=said)
    if not came.compared:  # what was not looked at is not without drift
        said = (
            f"{replayed.verdict.value}, but no step could be held against the recorded ones, to see whether it drifted"
        )
        return replace(replayed, verdict=Verdict.UNDECIDED, reason=said)
    return replayed


def _check_order(order: str, *, offline: bool) -> None:
    """Raise UsageError where there is no such order, or nothing is played in it."""
    finder(order)
    if order != "strict" and not offline:
        raise UsageError(f"The order {order} is one of playing a cassette.", "Replay it offline, or leave it out.")


def _check_pace(pace: str, times: int | None) -> None:
    """Raise UsageError where there is no such pace, or nobody can make so many attempts."""
    if pace not in PACES:
        raise UsageError(f"There is no pace {pace!r}.", f"Use {' or '.join(PACES)}.")
    if times is not None and not 1 <= times <= MOST_TIMES:
        raise UsageError(f"Nobody makes {times} attempts.", f"Use a number from 1 to {MOST_TIMES}, or none.")


def _tiers(said: str | Collection[str], *, offline: bool) -> tuple[Tier, ...]:
    """Read the tiers of drift that are asked for. Raises UsageError, also where there is none to find."""
    tiers = tiers_of(said) if said else ()
    if tiers and offline:
        raise UsageError(
            "Offline, the answers are the recorded ones, and there is no drift to find.",
            "Leave out offline or fail_on_drift.",
        )
    return tiers


def _with_haste(bundle: Bundle, replayed: Replayed) -> Replayed:
    """Say of what did not show that it may, with the recorded pauses, where the replay was much faster."""
    lag = bundle.trace.span - replayed.trace.span
    if lag < WORTH or replayed.verdict not in {*_HELD, Verdict.UNDECIDED}:
        return replayed
    said = f"when it was recorded, its commands took {lag:.1f} seconds longer: it may show with --pace recorded"
    return replace(replayed, notes=(*replayed.notes, said))


def _require_pauses(bundle: Bundle, *, offline: bool) -> None:
    """Raise UsageError where there are no pauses to keep."""
    if offline:
        raise UsageError("A cassette answers at once: offline, no pauses are kept.", "Leave out --pace, or --offline.")
    require_times(bundle.trace, "The bundle")


def _attempts_at(
    trial: Trial,
    wanted: int,
    pace: Pace,
    *,
    patient: bool | None,
    odds: Odds | None,
    passing: list[Trace] | None,
    listener: Listener | None,
) -> Replayed:
    """Run a bundle's sequence as often as wanted: as fast as possible, and with the recorded pauses if asked for."""
    fast = _attempts(trial, wanted, patient=patient, passing=passing, listener=listener)
    if pace == "fast" or fast.verdict is Verdict.UNREACHABLE:
        return fast
    paced = _attempts(replace(trial, paced=True), wanted, patient=patient, passing=passing, listener=None)
    notes = (_CUT,) if is_cut(trial.bundle.trace) else ()
    said = _difference(fast, paced, odds)
    chosen = paced if _RANK[paced.verdict] > _RANK[fast.verdict] else fast
    return replace(
        chosen,
        attempts=fast.attempts + paced.attempts,
        failed=fast.failed + paced.failed,
        notes=(*notes, said) if said else notes,
    )


_CUT = f"pauses were recorded that are longer than anybody waits: {LONGEST:g} seconds each, {MOST:g} in all"


def _difference(fast: Replayed, paced: Replayed, odds: Odds | None) -> str | None:
    """Say that a bug depends on time, where it shows at one pace alone; None where it does not."""
    if paced.verdict is fast.verdict or not {fast.verdict, paced.verdict} & _SHOWN:
        return None
    seen = (
        f"it failed in {paced.failed} of {_count(paced.attempts)} with the recorded pauses, and in {fast.failed} of "
        f"{_count(fast.attempts)} as fast as possible"
    )
    gone = fast if paced.verdict in _SHOWN else paced
    if gone.verdict not in _JUDGED:
        return f"{seen}, which ended as {gone.verdict.value}: {gone.reason}"
    if odds is not None and gone.attempts < odds.needed:
        return f"{seen}; that may be chance"
    return f"the bug depends on time: {seen}"


def _count(attempts: int) -> str:
    """Say how many attempts: 1 attempt, 2 attempts."""
    return f"{attempts} attempt{'' if attempts == 1 else 's'}"


def _sure_enough(replayed: Replayed, odds: Odds, *, each: int) -> Replayed:
    """Call a bug fixed only if it would have been seen in so many attempts, were it there."""
    confidence = odds.confidence(each)
    replayed = replace(replayed, odds=odds, confidence=confidence)
    if odds.needed <= each:
        return replayed
    reason = (
        f"it did not show, but it showed in {odds.failed} of {odds.runs} run{'' if odds.runs == 1 else 's'} when it "
        f"was recorded, and in {_count(each)} it would have been seen with {percent(confidence)} confidence only; "
    )
    wanted = percent(1 - DOUBTED)
    enough = f"--times {odds.needed} makes it {wanted}"
    reason += enough if odds.needed <= MOST_TIMES else f"not even --times {MOST_TIMES} makes it {wanted}"
    return replace(replayed, verdict=Verdict.UNDECIDED, reason=reason)


def odds_of(bundle: Bundle) -> Odds | None:
    """Say how often a bug showed when it was recorded; None of a run that passed, and of one that was too slow.

    What was not run again showed in one of one run, and what did not show again, in that one of all.
    """
    if bundle.judged is None or bundle.judged.kind == "latency":  # that is several executions in one attempt
        return None
    shrinking = bundle.provenance.shrinking
    if shrinking is None or not shrinking.runs:
        return Odds(2, 2) if shrinking is not None and shrinking.confirmed else Odds(1, 1)
    return Odds(shrinking.failed, shrinking.runs) if shrinking.failed else Odds(1, shrinking.runs + 1)


def times_for(bundle: Bundle) -> int:
    """Say in how many attempts a bug is to be looked for, so that one that is there is hardly ever called fixed.

    One that failed in five of five runs may still be flaky, and be meant to show in three of four.
    """
    odds = odds_of(bundle)
    if odds is None and bundle.judged is not None:
        return 1
    races = branches_of(bundle.trace.sequence)
    least = RACE_TIMES if races else 1 if odds is None or odds.failed == odds.runs else FLAKY_TIMES
    return least if odds is None else max(least, odds.wanted)


def _is_steady(bundle: Bundle) -> bool:
    """Say whether a bug showed each time, so that how often it does is nothing to find out."""
    odds = odds_of(bundle)
    return not branches_of(bundle.trace.sequence) and (odds is None or odds.failed == odds.runs)


def _attempts(
    trial: Trial,
    wanted: int,
    *,
    patient: bool | None,
    passing: list[Trace] | None,
    listener: Listener | None,
) -> Replayed:
    """Run a bundle's sequence so often: reproduced goes before what is no verdict, and that before fixed.

    What happened in those that pass is put into `passing`.

    Who is `patient` (True) wants to see in how many of all attempts it fails; who is not (False) stops at the first.
    With None, it is as many as say roughly how often it does.
    """
    chosen: Replayed | None = None
    failed = attempts = 0
    has_passed = False
    while attempts < wanted:
        try:
            judged = trial.judged(listener)
            if judged.verdict in _SHOWN and not failed:
                judged = _healthy(trial, judged)
        except UnreachableError as error:  # it can't be reset, or not be started again
            if chosen is None:
                raise
            judged = Judged(chosen.trace, Verdict.UNREACHABLE, error.happened)
        trace, verdict, reason = judged
        died = death(trial.adapters) if verdict is Verdict.UNREACHABLE else None
        reason = reason if died is None or died in reason else f"{reason}; {died}"
        listener = None
        attempts += 1
        failed += verdict in _SHOWN
        has_passed = has_passed or verdict in _HELD
        if passing is not None and verdict in _HELD:
            passing.append(trace)
        if chosen is None or _RANK[verdict] > _RANK[chosen.verdict]:
            chosen = Replayed(verdict, reason, trial.bundle.judged, trace)
        if verdict is Verdict.UNREACHABLE:  # it will be the same again
            break
        if (patient is False and verdict not in _HELD) or (
            patient is None and _is_enough(attempts, failed, held=has_passed)
        ):
            break
    assert chosen is not None  # noqa: S101  there is at least one attempt
    return replace(chosen, attempts=attempts, failed=failed)


def _is_enough(attempts: int, failed: int, *, held: bool) -> bool:
    """Say whether more attempts say nothing more: it failed in some, or each ended in another way than recorded."""
    return attempts >= LOOKS and (failed > 0 or not held)


def _healthy(trial: Trial, judged: Judged) -> Judged:
    """Believe what was seen only of a service that is healthy: what one says that dies is neither good nor bad."""
    if not trial.watched and (judged.verdict in _HELD or not is_doubtful(judged.trace)):
        return judged
    said = trouble(trial.adapters, judged.trace, breath=BREATH)
    if said is None:
        return judged
    what = "nothing failed" if judged.verdict in _HELD else "it failed as recorded"
    if judged.verdict is Verdict.FAILED:
        what = "it failed"
    return judged._replace(
        verdict=Verdict.UNREACHABLE, reason=f"{what}, but the service is not healthy ({said}): {judged.reason}"
    )


_HELD = {Verdict.FIXED, Verdict.PASSED}
_SHOWN = {Verdict.REPRODUCED, Verdict.FAILED}
_JUDGED = _HELD | _SHOWN
_RANK = {
    Verdict.FIXED: 0,
    Verdict.PASSED: 0,
    Verdict.UNDECIDED: 1,
    Verdict.DIFFERENT: 2,
    Verdict.UNREACHABLE: 3,
    Verdict.STALE: 4,
    Verdict.REPRODUCED: 5,
    Verdict.FAILED: 5,
}
