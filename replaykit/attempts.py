"""Attempts: a bundle's sequence executed as often as it takes, and what they come to together."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from replaykit.adapter import Adapters
from replaykit.aftermath import BREATH, death, is_doubtful, trouble
from replaykit.bundle import Bundle
from replaykit.errors import UnreachableError
from replaykit.gate import Held
from replaykit.judging import Judged, Trial
from replaykit.pace import LONGEST, MOST, Pace, is_cut
from replaykit.rate import DOUBTED, MOST_TIMES, Odds, percent
from replaykit.run import Listener
from replaykit.sequence import branches_of
from replaykit.trace import Trace
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
    passed: int = 0  # attempts that ran to their end, and in which all held
    held: Held | None = None  # its answers against the recorded ones; None where that was not asked for, or it fails


def attempted(
    trial: Trial,
    wanted: int,
    pace: Pace,
    *,
    patient: bool | None,
    passing: list[Trace] | None,
    listener: Listener | None,
) -> Replayed:
    """Run a bundle's sequence as often as wanted, and say what the attempts come to.

    Who is `patient` (True) wants to see in how many of all attempts it fails; who is not (False) stops at the first.
    With None, it is as many as say roughly how often it does. What happened in those that pass is put into `passing`.
    """
    odds = None if trial.offline else odds_of(trial.bundle)
    attempt = partial(_attempts_at, trial, wanted, pace, patient=patient, odds=odds, passing=passing)
    replayed = _confirmed(attempt, trial.adapters, listener)
    if replayed.verdict in HELD:
        judged = _healthy(trial, Judged(replayed.trace, replayed.verdict, replayed.reason))
        passed = replayed.passed if judged.verdict in HELD else 0
        replayed = replace(replayed, verdict=judged.verdict, reason=judged.reason, passed=passed)
    if replayed.verdict is Verdict.FIXED and odds is not None:
        replayed = _sure_enough(replayed, odds, each=min(wanted, replayed.attempts))
    return replayed


def _confirmed(attempt: Callable[..., Replayed], adapters: Adapters, listener: Listener | None) -> Replayed:
    """Run attempts; once more, if the service closed a connection meanwhile that was to be kept.

    If it was started anew in the middle, what was seen says nothing; so the verdict counts only if another run comes
    to the same without it.
    """
    before = adapters.hung_up
    replayed = attempt(listener=listener)
    if replayed.verdict not in _JUDGED or adapters.hung_up == before:
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
    return replace(again, verdict=Verdict.UNREACHABLE, reason=reason, passed=0)


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
        passed=fast.passed + paced.passed,
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


def is_steady(bundle: Bundle) -> bool:
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

    For `patient` and `passing`, see `attempted`.
    """
    chosen: Replayed | None = None
    failed = passed = attempts = 0
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
        passed += verdict in HELD
        if passing is not None and verdict in HELD:
            passing.append(trace)
        if chosen is None or _RANK[verdict] > _RANK[chosen.verdict]:
            chosen = Replayed(verdict, reason, trial.bundle.judged, trace)
        if verdict is Verdict.UNREACHABLE:  # it will be the same again
            break
        if (patient is False and verdict not in HELD) or (
            patient is None and _is_enough(attempts, failed, held=passed > 0)
        ):
            break
    assert chosen is not None  # noqa: S101  there is at least one attempt
    return replace(chosen, attempts=attempts, failed=failed, passed=passed)


def _is_enough(attempts: int, failed: int, *, held: bool) -> bool:
    """Say whether more attempts say nothing more: it failed in some, or each ended in another way than recorded."""
    return attempts >= LOOKS and (failed > 0 or not held)


def _healthy(trial: Trial, judged: Judged) -> Judged:
    """Believe what was seen only of a service that is healthy: what one says that dies is neither good nor bad."""
    if not trial.watched and (judged.verdict in HELD or not is_doubtful(judged.trace)):
        return judged
    said = trouble(trial.adapters, judged.trace, breath=BREATH)
    if said is None:
        return judged
    what = "nothing failed" if judged.verdict in HELD else "it failed as recorded"
    if judged.verdict is Verdict.FAILED:
        what = "it failed"
    return judged._replace(
        verdict=Verdict.UNREACHABLE, reason=f"{what}, but the service is not healthy ({said}): {judged.reason}"
    )


HELD = {Verdict.FIXED, Verdict.PASSED}
_SHOWN = {Verdict.REPRODUCED, Verdict.FAILED}
_JUDGED = HELD | _SHOWN
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
