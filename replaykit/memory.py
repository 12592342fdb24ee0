"""The memory: what a bisect has found out, line by line on the disk, so that it can go on after whatever stopped it.

Theory of operation. Each bisect has a folder of its own, outside of the repository: a copy of the bundle, logs, and a
ledger, journal.jsonl, with a line for what was asked, and one for each time that a point was tried. A bisect that goes
on begins again; but whatever it would try, it asks the memory first, and what was found out then is given in the same
order. So it comes to the same place, and goes on from there.

Points with the same code come to the same, where the bug shows each time: then what was found out of one is known of
the others, and so is what earlier bisects of the same bundle found out, as long as nothing that a verdict depends on is
another.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from replaykit import project
from replaykit.axis import Point, Tried
from replaykit.blame import Outcome
from replaykit.culprit import sum_of
from replaykit.errors import JournalError, MissingFileError, ReplaykitError, UnwritableError, UsageError
from replaykit.ledger import MAX_LINE, Ledger, last_in, locked, see_onto_disk, whole
from replaykit.minutes import ADVICE, KINDS, Asked, End, Line, Stage, TriedLine, Void, agreed, read, require_same, valid
from replaykit.redact import Redactor
from replaykit.value import JsonData, jsonable

NAME = "journal.jsonl"
BUNDLE = "bundle.pd"
MAX_TEXT = 2000  # characters of a reason
MAX_OPTIONS = MAX_LINE // 2  # bytes of all options
MOST_OTHERS = 200  # earlier bisects whose verdicts are looked at, the newest ones
KEPT_FOR = 90 * 24 * 3600.0  # seconds, of a bisect that came to its end

_GOES_ON: set[Outcome] = {"interrupted", "trouble", "undecided"}  # ends after which a bisect can go on
_FOLDER = re.compile(r"\d{8}-\d{6}-\d{6}-[0-9a-f]{8}")


class Recalled(Tried):
    """What is known of a point: what its attempts came to then."""

    coming: float = 0.0  # seconds that it took to come there; 0 where it is known from elsewhere
    cached: bool = False  # is it known from another point with the same code, or from an earlier bisect?
    log: str | None = None


class Memory:
    """What a bisect has found out; this one is gone with the process. Several threads may use it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._lines: list[Line] = []
        self.rewind()

    def rewind(self) -> None:
        """Begin anew: all that is known can be recalled again."""
        with self._lock:
            self._waiting: dict[tuple[Stage, str], deque[TriedLine]] = {}
            for line in valid(self._lines):
                self._waiting.setdefault((line.stage, line.point), deque()).append(line)

    def recall(self, stage: Stage, point: Point, *, steady: bool = False) -> Recalled | None:
        """Return what was found out of a point at a stage and was not recalled yet, the earliest first.

        None where nothing is left: then it has to be tried. With `steady`, which says that the bug shows each time,
        the stage `search` also knows what is known of other points with the same code, once for each point.
        """
        with self._lock:
            waiting = self._waiting.get((stage, point.id))
            if waiting:
                return _recalled(waiting.popleft())
            if not steady or stage != "search" or not point.code or self._has(stage, point):
                return None
            line = agreed([line for line in self._known() if line.code == point.code])
            if line is None:
                return None
            line = line.replace(
                stage=stage, point=point.id, name=point.name, cached=True, steady=True, seconds=0.0, at=_now()
            )
            self._keep(line)
            return _recalled(line)

    def learn(
        self,
        stage: Stage,
        point: Point,
        tried: Tried,
        seconds: float = 0.0,
        *,
        steady: bool = False,
        log: str | None = None,
    ) -> None:
        """Hear what a point came to; `seconds` is what it took to come there. Raises UnwritableError."""
        plain = Tried(**{name: getattr(tried, name) for name in Tried.model_fields})
        line = TriedLine(
            stage=stage,
            point=point.id,
            name=point.name,
            code=point.code,
            tried=plain,
            seconds=round(seconds, 3),
            steady=steady,
            at=_now(),
            log=log,
        )
        with self._lock:
            self._keep(line)

    def void(self, points: Iterable[Point]) -> None:
        """Hear that the machine was in trouble when these were tried: that they were skipped says nothing of them."""
        with self._lock:
            line = Void(points=[point.id for point in points])
            self._keep(line)
            for (_, point), waiting in self._waiting.items():
                if point in line.points:
                    _drop_skips(waiting)

    def end(self, outcome: Outcome) -> None:
        """Hear what the bisect came to."""
        with self._lock:
            self._keep(End(outcome=outcome))

    @property
    def lines(self) -> list[TriedLine]:
        """All that was found out and counts, in order."""
        with self._lock:
            return valid(self._lines)

    def _has(self, stage: Stage, point: Point) -> bool:
        """Say whether something was found out of a point itself at a stage."""
        return any((line.stage, line.point) == (stage, point.id) for line in valid(self._lines))

    def _known(self) -> list[TriedLine]:
        """List what may be known of the code of a point: what was found out here, at whatever stage."""
        return [line for line in valid(self._lines) if not line.cached]

    def _keep(self, line: Line) -> None:
        self._lines.append(line)


class Kept(Memory):
    """The memory in a folder. Use it as a context manager; it has the folder for itself as long as that."""

    def __init__(self, folder: Path, asked: Asked, ledger: Ledger, lock: int, lines: list[Line]) -> None:
        """Take over what `begin` and `resume` have opened."""
        self.folder = folder
        self.asked = asked
        self._ledger = ledger
        self._folder_lock = lock
        self._redactor = Redactor(project.policy_here())
        self._others: dict[str, list[TriedLine]] | None = None  # by code
        super().__init__()
        self._lines = lines
        self.rewind()

    @classmethod
    def begin(cls, repository: str, asked: Asked, content: bytes) -> Self:
        """Begin a bisect of a repository, or of a package, with a bundle of these bytes.

        Secrets in the options are covered before anything is written. Folders of old bisects are removed. Raises
        UsageError, UnwritableError.
        """
        forget_old()
        options, covered = _covered(asked.options)
        names = {"where": whole(asked.where), "bundle": whole(asked.bundle)}
        asked = asked.replace(**names, options=options, covered=covered, bundle_sha256=sum_of(content))
        now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
        folder = place(repository) / f"{now}-{os.urandom(4).hex()}"
        _make(folder)
        lock = _taken(folder)
        ledger = Ledger(folder / NAME, ADVICE, mode=0o600)
        try:
            _write(folder / BUNDLE, content)
            for name in ("logs", "trees"):
                _make(folder / name)
            see_onto_disk(folder.parent)
            ledger.begin()
            ledger.write("asked", asked.model_dump(mode="json"))
            return cls(folder, asked, ledger, lock, [])
        except BaseException as error:
            ledger.close()
            os.close(lock)
            if isinstance(error, OSError):
                raise _unwritable(folder, error) from None
            raise

    @classmethod
    def resume(cls, folder: Path, asked: Asked | None = None, content: bytes | None = None) -> Self:
        """Go on with the bisect in a folder.

        `asked` is what is asked now, and `content` the bytes of the bundle that is named now; both have to be what
        they were then. Raises UsageError where they are not, or the bisect is going on; JournalError where what it
        has written is broken, or of another format.
        """
        lock = _taken(folder)
        ledger = Ledger(folder / NAME, ADVICE)
        try:
            then, lines = read(ledger)
            _require_unchanged(folder, then)
            require_same(folder, then, asked, content)
            ledger.go_on()
            return cls(folder, then, ledger, lock, lines)
        except BaseException:
            ledger.close()
            os.close(lock)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the folder to others."""
        with self._lock:
            if self._folder_lock >= 0:
                self._ledger.close()
                os.close(self._folder_lock)
                self._folder_lock = -1

    @property
    def bundle(self) -> Path:
        """The copy of the bundle."""
        return self.folder / BUNDLE

    @property
    def logs(self) -> Path:
        """The folder for what building and the services print."""
        return self.folder / "logs"

    @property
    def trees(self) -> Path:
        """The folder for checkouts."""
        return self.folder / "trees"

    def _known(self) -> list[TriedLine]:
        if self._others is None:
            self._others = {}
            for line in _found_by_others(self.folder, self.asked):
                self._others.setdefault(line.code, []).append(line)
        own = super()._known()
        return [*own, *[line for lines in self._others.values() for line in lines]]

    def _keep(self, line: Line) -> None:
        if isinstance(line, TriedLine):
            reason = self._redactor.shown(line.tried.reason)[:MAX_TEXT]
            line = line.replace(tried=line.tried.replace(reason=reason))
        kind = next(kind for kind, record in KINDS.items() if isinstance(line, record))
        self._ledger.write(kind, line.model_dump(mode="json", exclude_defaults=True))
        super()._keep(line)


# --- folders ------------------------------------------------------------------------------------


def home() -> Path:
    """Return the folder that bisects are kept in: $XDG_STATE_HOME/replaykit/bisect. Raises UsageError."""
    said = Path(os.environ.get("XDG_STATE_HOME") or "")
    if not said.is_absolute():  # the specification says that others are to be ignored
        try:
            said = Path.home() / ".local" / "state"
        except RuntimeError:
            raise UsageError("There is no home directory to keep a bisect in.", "Set XDG_STATE_HOME.") from None
    return said / "replaykit" / "bisect"


def place(repository: str) -> Path:
    """Return the folder that the bisects of a repository, or of a package, are kept in."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", repository).lstrip(".")[:100]
    if name != repository or not name:
        name = f"{name}-{hashlib.sha256(repository.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"
    return home() / name


def unfinished(folder: Path) -> Path | None:
    """Return the newest bisect in the folder of a repository that can go on; None where there is none.

    One that goes on now is the last choice. Nothing is checked; `Kept.resume` does that.
    """
    running = None
    for each in sorted(_bisects_in(folder), reverse=True):
        if not _goes_on(each / NAME):
            continue
        if not _is_taken(each):
            return each
        running = running or each
    return running


def asked_in(folder: Path) -> Asked:
    """Return what the bisect in a folder was asked. Raises JournalError, UsageError."""
    return read(Ledger(folder / NAME, ADVICE))[0]


def forget_old(now: float | None = None) -> None:
    """Remove the folders of bisects that came to their end long ago; those with checkouts in them stay."""
    before = (time.time() if now is None else now) - KEPT_FOR
    with contextlib.suppress(OSError):
        for repository in home().iterdir():
            for each in _bisects_in(repository):
                _forget(each, before)
            with contextlib.suppress(OSError):
                repository.rmdir()  # if there is nothing left in it


def _forget(folder: Path, before: float) -> None:
    journal, trees = folder / NAME, folder / "trees"
    with contextlib.suppress(OSError, UsageError):
        written = (journal if journal.exists() else folder).stat().st_mtime
        if written >= before or _goes_on(journal) or (trees.is_dir() and any(trees.iterdir())):
            return
        lock = _taken(folder)
        try:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


def _bisects_in(folder: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        if not folder.is_symlink():
            return [each for each in folder.iterdir() if _FOLDER.fullmatch(each.name) and not each.is_symlink()]
    return []


def _goes_on(journal: Path) -> bool:
    """Say whether a bisect was asked for, and has not come to an end that is one for ever."""
    last = last_in(journal)
    if not last.startswith(b'{"k":"end"'):
        return bool(last)
    try:
        return json.loads(last).get("outcome") in _GOES_ON
    except ValueError:
        return True


def _taken(folder: Path) -> int:
    return locked(folder, f"Another bisect is going on in {folder}.", "Wait for its end, or begin another one.")


def _is_taken(folder: Path) -> bool:
    try:
        os.close(_taken(folder))
    except UsageError:
        return True
    return False


def _make(folder: Path) -> None:
    """Make a folder of ours, which nobody else may look into: logs may tell of secrets."""
    try:
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        for each in reversed(missing):
            each.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from None


def _unwritable(folder: Path, error: OSError) -> UnwritableError:
    return UnwritableError(f"{folder} can't be written to: {error.strerror}.", ADVICE.unwritten)


def _write(path: Path, content: bytes) -> None:
    with open(path, "wb", opener=lambda name, flags: os.open(name, flags | os.O_EXCL, 0o600)) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


# --- what is known elsewhere, and what is written -------------------------------------------------


def _require_unchanged(folder: Path, then: Asked) -> None:
    """Raise where the copy of the bundle is not what it was."""
    try:
        content = (folder / BUNDLE).read_bytes()
    except OSError as error:
        raise MissingFileError(f"{folder / BUNDLE} can't be read: {error.strerror}.", ADVICE.unread) from None
    if sum_of(content) != then.bundle_sha256:
        raise JournalError(f"{folder / BUNDLE} was changed since the bisect began.", ADVICE.broken)


def _found_by_others(own: Path, asked: Asked) -> Iterator[TriedLine]:
    """Give what earlier bisects found out of a bug that shows each time, in the same configuration."""
    if not asked.configuration:
        return
    for folder in sorted(_bisects_in(own.parent), reverse=True)[:MOST_OTHERS]:
        if folder == own:
            continue
        try:
            then, lines = read(Ledger(folder / NAME, ADVICE))
        except ReplaykitError:
            continue
        if all(getattr(then, name) == getattr(asked, name) for name in ("axis", "bundle_sha256", "configuration")):
            yield from (line for line in valid(lines) if line.steady and not line.cached and line.code)


def _drop_skips(waiting: deque[TriedLine]) -> None:
    kept = [line for line in waiting if line.tried.state != "skipped"]
    waiting.clear()
    waiting.extend(kept)


def _recalled(line: TriedLine) -> Recalled:
    return Recalled(**dict(line.tried), coming=line.seconds, cached=line.cached, log=line.log)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _covered(options: Mapping[str, Any]) -> tuple[dict[str, JsonData], list[str]]:
    """Cover the secrets of options, and name those that had one."""
    redactor = Redactor(project.policy_here())
    said: dict[str, JsonData] = {name: jsonable(value) for name, value in options.items()}
    kept = {name: redactor.data({name: value})[name] for name, value in whole(said).items()}
    kept = {name: redactor.data({name: value})[name] for name, value in kept.items()}  # known by now, from another one
    if len(json.dumps(kept)) > MAX_OPTIONS:
        raise UsageError("The options are too long to be written down.", "Put them into a profile or a script.")
    return kept, [name for name in said if kept[name] != said[name]]
