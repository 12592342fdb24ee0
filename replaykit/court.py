"""The court: a suite judged, in this process or in several, and the docket of what came of it.

    docket = court.run(["failures"], offline=True)
    for entry in docket.entries:
        print(entry.outcome, entry.bundle)

One bundle is judged by a sitting; who judges how many of them, and where, is decided here.
"""

import gc
import time
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from replaykit import project
from replaykit.docket import Docket, Entry, concluded
from replaykit.errors import ReplaykitError, UsageError
from replaykit.profile import KEYS
from replaykit.reader import read
from replaykit.redact import Redactor
from replaykit.sitting import MORE, Brief, Group, Sitting, placed
from replaykit.stage import Stage
from replaykit.status import WORDS, Word
from replaykit.suite import OUTCOMES, Found, Saved, found
from replaykit.verdict import exit_code

FOLDER = "failures"  # of the project, with the bundles of a suite
MOST = 64  # jobs


class Watcher(Protocol):
    """Who is told how a suite goes on."""

    def began(self, bundles: int) -> None:
        """Hear how many bundles there are."""

    def judged(self, entry: Entry) -> None:
        """Hear of a bundle; in the order of the docket."""


def run(
    paths: str | Path | Iterable[str | Path] | None = None,
    *,
    offline: bool = False,
    lenient: bool = False,
    times: int | None = None,
    jobs: int = 1,
    only: Collection[Word] = (),
    text: str = "",
    fail_fast: bool = False,
    profile: str | None = None,
    said: Mapping[str, Any] | None = None,
    otherwise: Mapping[str, str] | None = None,
    watcher: Watcher | None = None,
    command: Callable[[Entry], str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> Docket:
    """Judge the bundles in folders, by default in the project's failures/, each against its status.

    `said` has what counts for all bundles, with the keys of a profile: `{"start": "python -m shop {port}"}`; else
    each is judged on the stage of its profile (`stage.stage_for`), `profile` going before the others. `jobs` processes
    judge at the same time; live, each has a service of its own. `only` bundles of these statuses are judged, and those
    with `text` in their path or their ticket. `more` has keywords for `replay`: order, pace, fail_on_drift. With
    `fail_fast`, it ends with the first that is not as expected. Ctrl-C ends it, and the docket says so.
    Raises MissingFileError, StatusError, ProfileError, RedactionError, UsageError.
    """
    began, started = time.monotonic(), datetime.now(UTC)
    if not 1 <= jobs <= MOST:
        raise UsageError(f"A suite can't have {jobs} jobs.", f"Use a number from 1 to {MOST}.")
    if times is not None and times < 1:
        raise UsageError(f"A bundle can't be replayed {times} times.", "Use 1 or more, or leave it out.")
    _require_words("only", only, WORDS)
    _require_words("said", said or (), KEYS)
    _require_words("otherwise", otherwise or (), ("model", "adapter"))
    _require_words("more", more or (), MORE)
    brief = Brief(offline, lenient, times, dict(said or {}), dict(otherwise or {}), profile, 0, dict(more or {}))
    if paths is None:
        paths = [usual()]
    there = found(map(Path, [paths] if isinstance(paths, str | Path) else paths))
    groups = _groups(brief, _chosen(there, only, text), jobs)
    bundles = sum(len(group.saved) for group in groups)
    entries: list[Entry] = []
    interrupted = None
    shown = Redactor(project.policy_here()).shown
    if watcher is not None:
        watcher.began(bundles)
    try:
        with closing(_alone(brief, groups) if jobs == 1 else _several(brief, groups, jobs)) as judging:
            for judged in judging:
                entry = judged.replace(replay=None if command is None else shown(command(judged)))
                entries.append(entry)
                if watcher is not None:
                    watcher.judged(entry)
                if fail_fast and entry.exit_code:
                    break
    except KeyboardInterrupt as interrupt:
        interrupted = exit_code(interrupt)
    code, outcome, conclusion = concluded(entries, bundles, interrupted, len(there.saved))
    return Docket(
        offline=offline,
        lenient=lenient,
        started=started.isoformat(timespec="milliseconds"),
        seconds=round(time.monotonic() - began, 6),
        exit_code=code,
        outcome=outcome,
        conclusion=conclusion,
        bundles=bundles,
        counts={each: sum(entry.outcome == each for entry in entries) for each in OUTCOMES},
        lacking=tuple(there.lacking),
        entries=tuple(entries),
    )


def _require_words(name: str, given: Iterable[str], known: Collection[str]) -> None:
    """Raise UsageError where something is asked for in a word that means nothing: it would be passed over."""
    for each in given:
        if each not in known:
            raise UsageError(f"{name} has {each!r}, which means nothing.", f"Choose from {', '.join(known)}.")


def usual() -> Path:
    """Return the folder of the project's suite, as it is reached from here. Raises MissingFileError."""
    folder = project.root() / FOLDER
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder


def _chosen(there: Found, only: Collection[Word], text: str) -> list[Saved]:
    """Leave out what is not asked for."""
    return [
        each
        for each in there.saved
        if (not only or each.status.word in only)
        and text.lower() in f"{each.path.as_posix()} {each.status.ticket or ''}".lower()
    ]


def _groups(brief: Brief, saved: list[Saved], jobs: int) -> list[Group]:
    """Put bundles of one stage together, in the order of the first of each. Raises UsageError."""
    if brief.offline:
        return [Group(saved, jobs)]
    given = brief.said.get("url")
    urls = 0 if given is None else 1 if isinstance(given, str) else len(given)
    if urls and not brief.said.get("start") and urls != jobs:
        raise UsageError(
            f"{jobs} job{'s' * (jobs != 1)} can't share {urls} service{'s' * (urls != 1)}: bundles at one service "
            "would disturb each other.",
            "Give each job a service of its own: with --start, or with as many --url as there are jobs.",
        )
    grouped: list[tuple[tuple[Stage, str | None] | None, list[Saved]]] = []
    for each in saved:
        place = _place(brief, each)
        group = next((group for known, group in grouped if known == place), None)
        if group is None:
            grouped.append((place, group := []))
        group.append(each)
    return [Group(group, min(jobs, _services(place))) for place, group in grouped]


def _place(brief: Brief, saved: Saved) -> tuple[Stage, str | None] | None:
    """Say where a bundle is to be judged; None where that can't be said, which whoever judges it will tell."""
    try:
        recorded = read(saved.path).provenance
        stage = placed(brief, recorded)
    except ReplaykitError:
        return None
    return stage, None if stage.url or stage.start else recorded.url


def _services(place: tuple[Stage, str | None] | None) -> int:
    """Say how many services of a stage there can be at a time."""
    if place is None:
        return 1
    stage, _ = place
    return MOST if stage.start is not None and stage.url is None else 1 + len(stage.more)


def _alone(brief: Brief, groups: Sequence[Group]) -> Generator[Entry, None, None]:
    """Judge in this process."""
    is_ours = not gc.get_freeze_count()
    if is_ours:
        gc.freeze()  # what is there now will stay; the garbage collector need not look through it again and again
    try:
        with closing(Sitting(brief)) as sitting:
            for group in groups:
                for saved in group.saved:
                    yield sitting.judge(saved)
    finally:
        if is_ours:
            gc.unfreeze()


def _several(brief: Brief, groups: Sequence[Group], jobs: int) -> Generator[Entry, None, None]:
    """Judge in several processes."""
    from replaykit import panel  # what it takes to have processes is imported where there are some

    yield from panel.judged(brief, groups, jobs)
