"""Replay: a bundle's sequence again, live or against its own cassette, and a verdict on it.

    replayed = replay(load_failure("failures/bug.pd"), base_url="http://127.0.0.1:4600")

A replay never generates: it uses the concrete sequence that the bundle holds.
"""

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from replaykit import client, project
from replaykit.adapter import Adapter, Adapters
from replaykit.attempts import HELD, Replayed, attempted, is_steady, times_for
from replaykit.binding import bound
from replaykit.blockade import blockaded
from replaykit.bundle import Bundle, require_whole
from replaykit.cassette import Order, finder
from replaykit.change import Tier
from replaykit.errors import UsageError
from replaykit.gate import held, reason, tiers_of
from replaykit.judging import Trial
from replaykit.latency import budgets_of
from replaykit.looking import Look, look_at
from replaykit.model import Model
from replaykit.pace import PACES, WORTH, Pace, require_times
from replaykit.rate import MOST_TIMES
from replaykit.reader import read
from replaykit.run import Listener
from replaykit.service import Running
from replaykit.trace import Trace
from replaykit.transport import Way
from replaykit.verdict import Verdict


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
    if pace == "recorded":
        _require_pauses(bundle, offline=offline)
    recorded_url = bundle.provenance.url or "http://127.0.0.1"
    if url is None:
        url = recorded_url
        if not offline:
            client.require_loopback(url, project.allowed_hosts())
            bundle.provenance.require_port()
    watched = running is not None or health_check is not None
    if running is None and not offline:
        running = Running(url, health_check)
    with readied(
        bundle, model, adapter, url, None if offline else running, settings=settings, latency=latency,
        transport=transport, offline=offline, order=order, look=look, watched=watched,
    ) as trial:  # fmt: skip
        return tried(trial, times, pace=pace, tiers=tiers, listener=listener)


@contextlib.contextmanager
def readied(
    bundle: Bundle,
    model: type[Model],
    adapter: type[Adapter[Any]],
    url: str,
    running: Running | None,
    *,
    settings: Mapping[str, str] | None = None,
    latency: Mapping[str, float] | None = None,
    transport: Way = "lean",
    offline: bool = False,
    order: Order = "strict",
    look: Look | None = None,
    watched: bool = True,
) -> Iterator[Trial]:
    """Give a bundle that is ready to be tried, again and again, with a client of its own, as `replay` does once.

    Raises StaleError for a placeholder without a value, UsageError, DefinitionError.
    """
    if not offline:
        bundle = bundle.replace(trace=bound(bundle.trace, project.policy_here(), os.environ))
    budgets = budgets_of(model, adapter, latency or {})
    with blockaded() if offline else contextlib.nullcontext():  # its constructor is the user's
        adapters = Adapters(model, adapter, url, settings or {}, transport, running)
    try:
        yield Trial(bundle, adapters, budgets, offline, order, look=look, watched=watched)
    finally:
        adapters.close()


def tried(
    trial: Trial,
    times: int | None = None,
    *,
    pace: Pace = "fast",
    tiers: Collection[Tier] = (),
    listener: Listener | None = None,
) -> Replayed:
    """Run what is ready so many times, or as often as it takes to call it fixed; see `replay`."""
    bundle, stops = trial.bundle, trial.look is not None and trial.look.stops
    wanted = 1 if trial.offline or stops else times_for(bundle) if times is None else times
    patient = True if times is not None else False if is_steady(bundle) else None
    passing: list[Trace] | None = [] if tiers else None
    replayed = attempted(trial, wanted, pace, patient=patient, passing=passing, listener=listener)
    if trial.offline or stops:
        return replayed
    if passing:
        replayed = _gated(bundle, replayed, passing, tiers)
    return replayed if pace == "recorded" else _with_haste(bundle, replayed)


def _gated(bundle: Bundle, replayed: Replayed, passing: list[Trace], tiers: Collection[Tier]) -> Replayed:
    """Say of what would pass that it drifted, if answers of an attempt differ from the recorded ones in some tiers."""
    if replayed.verdict not in HELD:
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
    if lag < WORTH or replayed.verdict not in {*HELD, Verdict.UNDECIDED}:
        return replayed
    said = f"when it was recorded, its commands took {lag:.1f} seconds longer: it may show with --pace recorded"
    return replace(replayed, notes=(*replayed.notes, said))


def _require_pauses(bundle: Bundle, *, offline: bool) -> None:
    """Raise UsageError where there are no pauses to keep."""
    if offline:
        raise UsageError("A cassette answers at once: offline, no pauses are kept.", "Leave out --pace, or --offline.")
    require_times(bundle.trace, "The bundle")
