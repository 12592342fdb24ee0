"""Replay: a bundle's sequence again, live or against its own cassette, and a verdict on it.

    replayed = replay(load_failure("failures/bug.pd"), base_url="http://127.0.0.1:4600")

A replay never generates: it uses the concrete sequence that the bundle holds.
"""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from replaykit import client, project
from replaykit.adapter import Adapter, Adapters
from replaykit.aftermath import BREATH, is_doubtful, trouble
from replaykit.binding import bound
from replaykit.bundle import Bundle, Shrinking, require_whole
from replaykit.change import Tier
from replaykit.errors import UsageError
from replaykit.gate import gated
from replaykit.judging import Trial
from replaykit.latency import budgets_of
from replaykit.model import Model
from replaykit.rate import rate_at_least, tries
from replaykit.reader import read
from replaykit.run import Listener
from replaykit.sequence import branches_of
from replaykit.service import Running
from replaykit.trace import Trace
from replaykit.transport import Way
from replaykit.verdict import Failure, Verdict

UNKNOWN_TIMES = 4  # of a bundle that does not say how often the bug shows
RACE_TIMES = 10  # of a bundle whose calls are sent at the same time
MOST_TIMES = 100
DOUBTED = 0.05  # how often it may be missed, where it is so rare that that takes more attempts than there are
NEVER = 1_000_000  # attempts
MISSED = 0.01  # how often a bug that is there may be called fixed


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay came to: the verdict, why, and all that happened in the attempt that says so."""

    verdict: Verdict
    reason: str
    recorded: Failure | None  # None where the bundle's run passed
    trace: Trace
    attempts: int = 1
    failed: int = 0  # attempts that reproduced it; of a run that passed, those that failed


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
    health_check: str | None = None,
    settings: Mapping[str, str] | None = None,
    latency: Mapping[str, float] | None = None,
    transport: Way = "lean",
    listener: Listener | None = None,
    times: int | None = None,
    fail_on_drift: Collection[Tier] = (),
    running: Running | None = None,
) -> Replayed:
    """Run a bundle's sequence again, against the service at `base_url` or, `offline`, against its cassette.

    The bundle is one that was read, or the path of its file. Without `model` and `adapter`, those that it names are
    imported, if they lie inside the project; a file from a stranger imports nothing else. `url` is another word for
    `base_url`.

    It is *reproduced* if one of the attempts fails as recorded, and *fixed* if all of them pass. A bug that showed
    each time is looked for in some four attempts, or until it shows, a flaky one in as many as its rate asks for, a
    race in ten at least; `times` says how many instead. A run that passed when it was recorded ends as *passed* or as
    *failed*; one attempt is enough where it has no branches. Offline, there is but one. `listener` hears of the first.
    What was too slow is executed several times in one attempt, and the majority decides. `latency` says what
    endpoints may take, in seconds. `transport="httpx"` sends plain HTTP through httpx's transport too. `running` is the
    service at `url`, where it is reset before each execution, or watched (`service.opened`). With `fail_on_drift`, what
    would be *fixed* or *passed* is *drifted* where answers differ from the recorded ones in one of these tiers.

    Without a URL, the recorded one is used, if it is on this machine or the project allows it. Placeholders of
    secrets in arguments are bound from the environment. Raises BundleError for a bundle that can't be judged,
    StaleError for a placeholder without a value, UnreachableError for a reset that fails, UsageError, NoiseError,
    DefinitionError, LoadError, ForeignHostError.
    """
    if not isinstance(bundle, Bundle):
        bundle = load_failure(bundle)
    if base_url is not None and url is not None:
        raise UsageError("The service is named twice.", "Give base_url or url, not both.")
    url = base_url if url is None else url
    require_whole(bundle, "The bundle")
    model = model or project.load(bundle.provenance.model, Model, trusted=False)
    adapter = adapter or project.load(bundle.provenance.adapter, Adapter, trusted=False)
    if not offline:
        bundle = bundle.replace(trace=bound(bundle.trace, project.policy_here(), os.environ))
    budgets = budgets_of(model, adapter, latency or {})
    recorded_url = bundle.provenance.url or "http://127.0.0.1"
    if url is None:
        url = recorded_url
        if not offline:
            client.require_loopback(url, project.allowed_hosts())
            bundle.provenance.require_port()
    if running is None and not offline:
        running = Running(url, health_check)
    adapters = Adapters(model, adapter, url, settings or {}, transport, None if offline else running)
    trial = Trial(bundle, adapters, budgets, offline)
    wanted = 1 if offline else times or times_for(bundle)
    patient = times is not None or not _is_steady(bundle)  # is it to be seen how often it fails?
    try:
        replayed = _attempts(trial, wanted, patient=patient, listener=listener)
        if replayed.verdict in _JUDGED and adapters.hung_up:
            # The service closed a connection that was to be kept. If it was started anew in the middle, what was
            # seen says nothing; so the verdict counts only if another run comes to the same without it.
            before = adapters.hung_up
            again = _attempts(trial, wanted, patient=patient, listener=None)
            if again.verdict is not replayed.verdict or adapters.hung_up > before:
                reason = (
                    f"the service hung up in between, as one does that is started anew, and a second run did not "
                    f"confirm what was seen ({again.verdict.value}: {again.reason}); if it closes idle connections, "
                    "let the adapter send the header Connection: close"
                )
                again = replace(again, verdict=Verdict.UNREACHABLE, reason=reason)
            replayed = again
        if replayed.verdict in {Verdict.REPRODUCED, Verdict.FAILED} and is_doubtful(replayed.trace):
            said = trouble(adapters, replayed.trace, breath=BREATH)
            if said is not None:
                reason = f"it failed as recorded, but the service is not healthy ({said}): {replayed.reason}"
                replayed = replace(replayed, verdict=Verdict.UNREACHABLE, reason=reason)
    finally:
        adapters.close()
    if replayed.verdict is Verdict.FIXED and not offline and times is None:
        replayed = _sure_enough(bundle, replayed)
    return replayed if offline else _gated(bundle, replayed, fail_on_drift)


def _gated(bundle: Bundle, replayed: Replayed, tiers: Collection[Tier]) -> Replayed:
    """Say of what would pass that it drifted, if its answers differ from the recorded ones in some tiers."""
    if replayed.verdict not in {Verdict.FIXED, Verdict.PASSED}:
        return replayed
    said = gated(bundle.trace, replayed.trace, tiers)
    if said is None:
        return replayed
    return replace(replayed, verdict=Verdict.DRIFTED, reason=f"{replayed.verdict.value}, but {said}")


def _sure_enough(bundle: Bundle, replayed: Replayed) -> Replayed:
    """Call a bug fixed only if it would have been seen, were it there."""
    shrinking = bundle.provenance.shrinking
    if shrinking is None or not shrinking.runs or (bundle.judged and bundle.judged.kind == "latency"):
        return replayed
    needed = tries(_rate_of(shrinking), DOUBTED, NEVER)
    if needed <= replayed.attempts:
        return replayed
    reason = (
        f"it did not show, but it showed in {shrinking.failed} of {shrinking.runs} runs when it was recorded, which is "
        f"too seldom to say more in {replayed.attempts} attempts; with --times {needed}, it would hardly be missed"
    )
    return replace(replayed, verdict=Verdict.UNDECIDED, reason=reason)


def _rate_of(shrinking: Shrinking) -> float:
    return rate_at_least(max(shrinking.failed or 0, 1), shrinking.runs or 1)  # what never failed again did so once


def times_for(bundle: Bundle) -> int:
    """Say in how many attempts a bug is to be looked for, so that one that is there is hardly ever called fixed.

    One that failed in five of five runs may still be flaky, and be meant to show in three of four.
    """
    least = RACE_TIMES if branches_of(bundle.trace.sequence) else 1
    if bundle.judged is None:
        return least
    if bundle.judged.kind == "latency":
        return 1  # which takes several executions
    shrinking = bundle.provenance.shrinking
    if shrinking is None or not shrinking.runs or shrinking.failed is None:
        return max(least, UNKNOWN_TIMES)
    return max(least, tries(_rate_of(shrinking), MISSED, MOST_TIMES))


def _is_steady(bundle: Bundle) -> bool:
    """Say whether a bug showed each time, so that how often it does is nothing to find out."""
    shrinking = bundle.provenance.shrinking
    return not branches_of(bundle.trace.sequence) and (shrinking is None or shrinking.failed == shrinking.runs)


def _attempts(trial: Trial, wanted: int, *, patient: bool, listener: Listener | None) -> Replayed:
    """Run a bundle's sequence so often: reproduced goes before what is no verdict, and that before fixed."""
    chosen: Replayed | None = None
    failed = attempts = 0
    for _ in range(wanted):
        trace, verdict, reason = trial.judged(listener)
        listener = None
        attempts += 1
        failed += verdict in {Verdict.REPRODUCED, Verdict.FAILED}
        if chosen is None or _RANK[verdict] > _RANK[chosen.verdict]:
            chosen = Replayed(verdict, reason, trial.bundle.judged, trace)
        if verdict is Verdict.UNREACHABLE:  # it will be the same again
            break
        if verdict not in {Verdict.FIXED, Verdict.PASSED} and not patient:
            break
    assert chosen is not None  # noqa: S101  there is at least one attempt
    return replace(chosen, attempts=attempts, failed=failed)


_JUDGED = {Verdict.FIXED, Verdict.REPRODUCED, Verdict.PASSED, Verdict.FAILED}
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
