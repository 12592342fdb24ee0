"""The sitting: the bundles of a suite judged one after the other, each against the service of its stage.

Theory of operation. Live, the service of a stage stays for all its bundles, and is reset before each execution. So
what one bundle does to it could be taken for an answer to the next. Three things stand against that. Before each
bundle the service is asked whether it is well, and started again where it is not, if it was started here. What is
not as expected is judged again by a service that has just been started, and counts only if it comes to the same. And
a service that can't be had any more is not waited for again: what is left of its bundles is not judged.
"""

import time
from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from replaykit import project
from replaykit.adapter import Adapter
from replaykit.attempts import Replayed
from replaykit.blockade import blockaded
from replaykit.bundle import Bundle, Provenance, require_whole
from replaykit.docket import Entry
from replaykit.errors import ReplaykitError, StaleError, UnreachableError
from replaykit.model import Model
from replaykit.reader import read
from replaykit.redact import Redactor
from replaykit.replaying import replay
from replaykit.report import steps
from replaykit.service import Running
from replaykit.stage import Stage, stage_for
from replaykit.suite import Outcome, Saved, expected
from replaykit.trace import Trace, covered, learn
from replaykit.verdict import INTERNAL, Failure, Verdict, exit_code

MORE = ("order", "pace", "fail_on_drift")  # keywords of `replay` that a suite takes
MOST_TEXT = 20_000  # characters of a reason, of a log
_BLAMED = {Verdict.REPRODUCED, Verdict.FAILED}
_JUDGED = {Verdict.FIXED, Verdict.PASSED, *_BLAMED}
_AGAIN = {*_JUDGED, Verdict.DIFFERENT, Verdict.UNREACHABLE}  # what the service may have come to by what was before


@dataclass(frozen=True, slots=True)
class Brief:
    """What is asked of a suite."""

    offline: bool = False
    lenient: bool = False
    times: int | None = None  # attempts; None: as many as the recorded rate asks for
    said: Mapping[str, Any] = field(default_factory=dict)  # for all bundles, with the keys of a profile
    otherwise: Mapping[str, str] = field(default_factory=dict)  # model and adapter of bundles from elsewhere
    profile: str | None = None  # that goes before the others
    number: int = 0  # of this sitting, of several: which one of several URLs is its own
    more: Mapping[str, Any] = field(default_factory=dict)  # keywords of `replay`: of MORE
    verbose: bool = False  # are steps told with bodies, and how the state changed?


class Group(NamedTuple):
    """Bundles with the same stage, and how many can be judged at a time."""

    saved: list[Saved]
    lanes: int


@dataclass(frozen=True, slots=True)
class _Cast:
    """Who plays a bundle, and where."""

    stage: Stage
    model: type[Model]
    adapter: type[Adapter[Any]]


_Place = tuple[Stage, str | None]  # a stage; where it is the recorded one, its URL


class Sitting:
    """Judges bundles, and keeps the service of the last one for the next."""

    def __init__(self, brief: Brief) -> None:
        """Open it; raise ProfileError or RedactionError."""
        self._brief = brief
        self._redactor = Redactor(project.policy_here())
        self._casts: dict[tuple[str, str], _Cast | ReplaykitError] = {}
        self._kept = ExitStack()
        self._running: Running | None = None
        self._place: _Place | None = None
        self._gone: list[tuple[_Place, UnreachableError]] = []

    def judge(self, saved: Saved) -> Entry:
        """Replay a bundle, and hold it against its status. What goes wrong is told by the entry."""
        began = time.monotonic()
        bundle: Bundle | None = None
        profile: str | None = None
        self._redactor.restart()
        try:
            bundle = read(saved.path)
            require_whole(bundle, str(saved.path))
            bundle.judged  # noqa: B018  what has none is told here
            cast = self._cast(bundle.provenance)
            profile = cast.stage.profile
            replayed, log = self._replayed(saved, bundle, cast)
        except (UnreachableError, StaleError) as error:
            verdict = Verdict.UNREACHABLE if isinstance(error, UnreachableError) else Verdict.STALE
            replayed, log = _unjudged(verdict, error), getattr(error, "log", "")
        except ReplaykitError as error:
            return self._entry(saved, bundle, began, profile, _said(error), exit_code(error))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  one bundle must not hide what the others say
            whose = "a mistake in replaykit" if isinstance(error, Exception) else "the model or the adapter gave up"
            said = f"{whose}: {type(error).__name__}: {error}"
            return self._entry(saved, bundle, began, profile, said, INTERNAL)
        return self._entry(saved, bundle, began, profile, replayed, log=log)

    def close(self) -> None:
        """Stop the service, where it was started here."""
        self._running = self._place = None
        self._kept.close()

    # --- what is played, and where

    def _cast(self, recorded: Provenance) -> _Cast:
        """Import model and adapter, once for all bundles that have them. Raises as `project.load`, `stage_for`."""
        key = (recorded.model, recorded.adapter)
        known = self._casts.get(key)
        if known is None:
            try:
                stage = placed(self._brief, recorded)
                with blockaded() if self._brief.offline else nullcontext():
                    known = _Cast(stage, *stage.loaded(recorded))
            except ReplaykitError as error:
                known = error
            self._casts[key] = known
        if isinstance(known, ReplaykitError):
            raise known
        return known

    def _replayed(self, saved: Saved, bundle: Bundle, cast: _Cast) -> tuple[Replayed, str]:
        """Replay a bundle; return what came of it, and the last lines of the service, where it is in trouble."""
        if self._brief.offline:
            return self._replay(bundle, cast, None), ""
        running, is_fresh = self._service(cast.stage, bundle.provenance)
        replayed = self._replay(bundle, cast, running)
        outcome = expected(saved.status.word, replayed.verdict, lenient=self._brief.lenient).outcome
        may_be_others = running.started is not None and not is_fresh
        if outcome != "expected" and may_be_others and replayed.verdict in _AGAIN:
            self.close()
            running, _ = self._service(cast.stage, bundle.provenance)
            replayed = _second(replayed, self._replay(bundle, cast, running))
        log = ""
        if replayed.verdict is Verdict.UNREACHABLE:
            log = running.log()
            self.close()
        return replayed, log

    def _replay(self, bundle: Bundle, cast: _Cast, running: Running | None) -> Replayed:
        stage = cast.stage
        try:
            replayed = replay(
                bundle,
                model=cast.model,
                adapter=cast.adapter,
                url=None if running is None else running.url,
                offline=self._brief.offline,
                health_check=stage.health,
                settings=stage.settings,
                latency=stage.latency,
                transport=stage.transport,
                times=self._brief.times,
                running=running,
                **self._brief.more,
            )
        except UnreachableError as error:
            return _unjudged(Verdict.UNREACHABLE, error)
        learn(self._redactor, replayed.trace)
        return replayed

    def _service(self, stage: Stage, recorded: Provenance) -> tuple[Running, bool]:
        """Give the service of a stage, and say whether nothing was asked of it before. Raises as `Stage.opened`."""
        place = stage, None if stage.url or stage.start else recorded.url
        running = self._running
        if running is not None and place == self._place and running.lives() and running.is_healthy():
            return running, running.resets.restart
        self.close()
        for known, error in self._gone:
            if known == place:
                raise error
        try:
            running = self._kept.enter_context(stage.opened(recorded))
        except UnreachableError as error:
            self._gone.append((place, error))
            raise
        self._running, self._place = running, place
        return running, True

    # --- what is told

    def _entry(
        self,
        saved: Saved,
        bundle: Bundle | None,
        began: float,
        profile: str | None,
        came: Replayed | str,
        code: int = INTERNAL,
        log: str = "",
    ) -> Entry:
        """Tell of a bundle what it came to: to a verdict, or to an error with its exit code."""
        brief, shown, message = self._brief, self._redactor.shown, self._redactor.message
        entry = entry_of(saved, "broken", code).replace(
            seconds=round(time.monotonic() - began, 6), profile=profile, log=shown(log)[-MOST_TEXT:]
        )
        failure = None if bundle is None else bundle.trace.failure
        if bundle is not None and failure is not None:
            shrinking = bundle.origin.shrinking if isinstance(bundle.origin, Provenance) else None
            entry = entry.replace(
                check=shown(title_of(failure)),
                fingerprint=failure.fingerprint,
                runs=None if shrinking is None else shrinking.runs,
                showed=None if shrinking is None else shrinking.failed,
            )
        if isinstance(came, str):
            return entry.replace(reason=message(came)[:MOST_TEXT])
        outcome, code = expected(saved.status.word, came.verdict, offline=brief.offline, lenient=brief.lenient)
        happened: tuple[str, ...] = ()
        if outcome != "expected" and came.trace.steps:
            trace = covered(self._redactor, came.trace)
            happened = tuple(message(steps.render(trace, verbose=brief.verbose)).split("\n"))
        return entry.replace(
            outcome=outcome,
            exit_code=code,
            reason=message(came.reason)[:MOST_TEXT],
            verdict=came.verdict.value,
            notes=tuple(map(message, came.notes)),
            attempts=came.attempts,
            failed=came.failed,
            steps=happened,
        )


def entry_of(saved: Saved, outcome: Outcome, code: int, reason: str = "") -> Entry:
    """Tell of a bundle what is known before it is replayed."""
    return Entry(
        bundle=str(saved.path),
        status=saved.status.word,
        ticket=saved.status.ticket,
        note=saved.status.note,
        outcome=outcome,
        exit_code=code,
        reason=reason,
    )


def placed(brief: Brief, recorded: Provenance) -> Stage:
    """Return the stage of a bundle, as a brief wants it. Raises as `stage_for`."""
    said = dict(brief.said)
    for key in ("model", "adapter"):
        if key in brief.otherwise and key not in said and not project.is_inside(getattr(recorded, key)):
            said[key] = brief.otherwise[key]
    stage = stage_for(recorded, said, brief.profile)
    urls = () if stage.url is None else (stage.url, *stage.more)
    return replace(stage, url=urls[brief.number], more=()) if brief.number < len(urls) else stage


def title_of(failure: Failure) -> str:
    """Return what a bug is called for ever: its kind, what was broken, and by which command."""
    after = f"after {failure.command}" if failure.command else "at the end"
    return steps.one_line(f"{failure.title} {after}")


def lost(saved: Saved) -> Entry:
    """Tell of a bundle that the process has ended in which it was judged."""
    reason = "the process in which it was judged has ended, which is the model's doing or the adapter's"
    return entry_of(saved, "broken", INTERNAL, reason)


def _second(first: Replayed, again: Replayed) -> Replayed:
    """Say what a bundle comes to that was judged a second time, by a service that had just been started."""
    if again.verdict is first.verdict:
        return again
    before = f"beside other bundles it was {first.verdict.value}: {first.reason}"
    if first.verdict in _BLAMED and again.verdict in _JUDGED:
        reason = (
            f"with the service started anew it is {again.verdict.value}, and {before}; either it is rarer than it was "
            "when it was recorded, or what other bundles leave behind is not reset (--reset-restart)"
        )
        return replace(again, verdict=Verdict.UNDECIDED, reason=reason)
    return replace(again, notes=(*again.notes, f"judged again with the service started anew, since {before}"))


def _unjudged(verdict: Verdict, error: ReplaykitError) -> Replayed:
    return Replayed(verdict, _said(error, with_slug=False), None, Trace(ending="unreachable"))


def _said(error: ReplaykitError, *, with_slug: bool = True) -> str:
    return f"{f'{error.slug}: ' if with_slug else ''}{error}"
