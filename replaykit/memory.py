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
import platform
import re
import shutil
import sys
import sysconfig
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Self, TypeAlias

from replaykit import project
from replaykit.axis import Point, Tried
from replaykit.blame import Outcome
from replaykit.culprit import sum_of
from replaykit.errors import JournalError, MissingFileError, ReplaykitError, UnwritableError, UsageError
from replaykit.ledger import MAX_LINE, Advice, Ledger, last_in, locked, see_onto_disk
from replaykit.redact import Redactor
from replaykit.value import InvalidValueError, JsonData, Record, jsonable, parse
from replaykit.version import __version__

NAME = "journal.jsonl"
BUNDLE = "bundle.pd"
FORMAT = 1
MAX_TEXT = 2000  # characters of a reason
MAX_OPTIONS = MAX_LINE // 2  # bytes of all options
MOST_OTHERS = 200  # earlier bisects whose verdicts are looked at, the newest ones
KEPT_FOR = 90 * 24 * 3600.0  # seconds, of a bisect that came to its end

Stage: TypeAlias = Literal["end", "search", "confirm", "check"]

_GOES_ON: set[Outcome] = {"interrupted", "trouble", "undecided"}  # ends after which a bisect can go on
_FOLDER = re.compile(r"\d{8}-\d{6}-\d{6}-[0-9a-f]{8}")
_ADVICE = Advice(
    broken="Begin anew, without --resume; the folder can be removed.",
    unread="Begin anew, without --resume.",
    unwritten="Make room, or name another folder with XDG_STATE_HOME.",
)


class Asked(Record):
    """The first line: what is searched for, and how."""

    format: int = FORMAT
    tool: str = f"replaykit {__version__}"
    axis: Literal["commits", "versions"]
    where: str  # path of the repository; name of the package
    bundle: str  # its path, as the user says it
    bundle_sha256: str = ""  # of what the bundle holds, whatever culprit it names; `Kept` writes it
    near: str  # id of a point
    far: str | None = None  # None: it is looked for
    fix: bool = False
    configuration: str = ""  # digest of all else that a verdict depends on
    options: dict[str, JsonData] = {}  # noqa: RUF012  of the command line, secrets covered
    covered: list[str] = []  # noqa: RUF012  names of options with a secret, which have to be given again


class TriedLine(Record):
    """A point that was tried; or one of which that is known, since another one has the same code."""

    stage: Stage
    point: str
    name: str
    code: str = ""
    tried: Tried
    seconds: float = 0.0  # that it took to come there
    steady: bool = False  # was the bug known to show each time?
    cached: bool = False  # is it known from elsewhere?
    at: str = ""  # ISO 8601, UTC
    log: str | None = None


class Void(Record):
    """Points whose skips do not count, since the machine was in trouble."""

    points: list[str]


class End(Record):
    """The bisect has come to an end, for now or for ever."""

    outcome: Outcome


Line: TypeAlias = TriedLine | Void | End
_KINDS: dict[str, type[TriedLine] | type[Void] | type[End]] = {"tried": TriedLine, "void": Void, "end": End}


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
            for line in _valid(self._lines):
                self._waiting.setdefault((line.stage, line.point), deque()).append(line)

    def recall(self, stage: Stage, point: Point, *, steady: bool = False) -> Recalled | None:
        """Return what was found out of a point at a stage and was not recalled yet, the earliest first.

        None where nothing is left: then it has to be tried. With `steady`, which says that the bug shows each time,
        the stage `search` also knows what is known of other points with the same code.
        """
        with self._lock:
            waiting = self._waiting.get((stage, point.id))
            if waiting:
                return _recalled(waiting.popleft())
            if not steady or stage != "search" or not point.code:
                return None
            line = _agreed([line for line in self._known() if line.code == point.code])
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
            return _valid(self._lines)

    def _known(self) -> list[TriedLine]:
        """List what may be known of the code of a point: what was found out here, at whatever stage."""
        return [line for line in _valid(self._lines) if not line.cached]

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
        asked = asked.replace(options=options, covered=covered, bundle_sha256=sum_of(content))
        now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
        folder = place(repository) / f"{now}-{os.urandom(4).hex()}"
        _make(folder)
        lock = _taken(folder)
        ledger = Ledger(folder / NAME, _ADVICE, mode=0o600)
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
        ledger = Ledger(folder / NAME, _ADVICE)
        try:
            then, lines = _read(ledger)
            _require_unchanged(folder, then)
            _require_same(folder, then, asked, content)
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
        kind = next(kind for kind, record in _KINDS.items() if isinstance(line, record))
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
    return _read(Ledger(folder / NAME, _ADVICE))[0]


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
    return UnwritableError(f"{folder} can't be written to: {error.strerror}.", _ADVICE.unwritten)


def _write(path: Path, content: bytes) -> None:
    with open(path, "wb", opener=lambda name, flags: os.open(name, flags | os.O_EXCL, 0o600)) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


# --- reading ------------------------------------------------------------------------------------


def _read(ledger: Ledger) -> tuple[Asked, list[Line]]:
    """Return what was asked, and what was found out. Raises JournalError, UsageError."""
    asked: Asked | None = None
    lines: list[Line] = []
    for number, kind, data in ledger.read():
        try:
            if asked is None:
                asked = _asked(ledger, number, kind, data)
                continue
            record = _KINDS.get(kind)
            if record is None:
                raise ledger.broken(number, f"there is no line of kind {kind!r}")
            line = parse(record, data)
        except InvalidValueError as error:
            raise ledger.broken(number, str(error)) from None
        if isinstance(line, TriedLine) and not _can_be(line):
            raise ledger.broken(number, f"{line.tried.shown} and {line.tried.held} of {line.tried.attempts} can't be")
        lines.append(line)
    if asked is None:
        raise JournalError(f"{ledger.path} says nothing: the bisect was stopped when it began.", _ADVICE.broken)
    return asked, lines


def _asked(ledger: Ledger, number: int, kind: str, data: dict[str, Any]) -> Asked:
    if kind != "asked":
        raise ledger.broken(number, "this is no journal of a bisect")
    if data.get("format") != FORMAT:
        raise ledger.broken(number, f"its format is {data.get('format')!r}, and this version knows {FORMAT}")
    return parse(Asked, data)


def _can_be(line: TriedLine) -> bool:
    tried = line.tried
    counts = min(tried.shown, tried.held) >= 0 and tried.shown + tried.held <= tried.attempts
    return counts and 0 <= tried.seconds < float("inf") and 0 <= line.seconds < float("inf")


def _require_unchanged(folder: Path, then: Asked) -> None:
    """Raise where the copy of the bundle is not what it was."""
    try:
        content = (folder / BUNDLE).read_bytes()
    except OSError as error:
        raise MissingFileError(f"{folder / BUNDLE} can't be read: {error.strerror}.", _ADVICE.unread) from None
    if sum_of(content) != then.bundle_sha256:
        raise JournalError(f"{folder / BUNDLE} was changed since the bisect began.", _ADVICE.broken)


def _require_same(folder: Path, then: Asked, now: Asked | None, content: bytes | None) -> None:
    """Raise UsageError where a bisect was asked something else than it is to go on with."""
    differing = []
    if content is not None and sum_of(content) != then.bundle_sha256:
        differing.append("the bundle holds something else by now")
    if now is not None:
        for name in ("axis", "where", "near", "far", "fix"):
            before, after = getattr(then, name), getattr(now, name)
            if before != after:
                differing.append(f"{name} {before!r}, now {after!r}")
        if then.configuration != now.configuration:
            differing.append("commands, settings, versions, or the code of model and adapter")
    if differing:
        raise UsageError(
            f"The bisect in {folder} was asked something else: {'; '.join(differing)}.",
            "Say the same as then, or begin anew, without --resume.",
        )


def _found_by_others(own: Path, asked: Asked) -> Iterator[TriedLine]:
    """Give what earlier bisects found out of a bug that shows each time, in the same configuration."""
    if not asked.configuration:
        return
    for folder in sorted(_bisects_in(own.parent), reverse=True)[:MOST_OTHERS]:
        if folder == own:
            continue
        try:
            then, lines = _read(Ledger(folder / NAME, _ADVICE))
        except ReplaykitError:
            continue
        if all(getattr(then, name) == getattr(asked, name) for name in ("axis", "bundle_sha256", "configuration")):
            yield from (line for line in _valid(lines) if line.steady and not line.cached and line.code)


def _valid(lines: Iterable[Line]) -> list[TriedLine]:
    """Return what was found out, without the skips that do not count."""
    valid: list[TriedLine] = []
    for line in lines:
        if isinstance(line, TriedLine):
            valid.append(line)
        elif isinstance(line, Void):
            voided = set(line.points)
            valid = [each for each in valid if each.point not in voided or each.tried.state != "skipped"]
    return valid


def _drop_skips(waiting: deque[TriedLine]) -> None:
    kept = [line for line in waiting if line.tried.state != "skipped"]
    waiting.clear()
    waiting.extend(kept)


def _agreed(lines: Iterable[TriedLine]) -> TriedLine | None:
    """Return what all that was good or bad says of the same code; None where it is not one thing, or nothing."""
    judged = [line for line in lines if line.tried.state != "skipped"]
    shows = {line.tried.state for line in judged} | {
        "good" for line in judged if line.tried.held and line.tried.state == "bad"
    }
    return judged[0] if len(shows) == 1 else None


def _recalled(line: TriedLine) -> Recalled:
    return Recalled(**dict(line.tried), coming=line.seconds, cached=line.cached, log=line.log)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


# --- what a verdict depends on ------------------------------------------------------------------


def _covered(options: Mapping[str, Any]) -> tuple[dict[str, JsonData], list[str]]:
    """Cover the secrets of options, and name those that had one."""
    redactor = Redactor(project.policy_here())
    said: dict[str, JsonData] = {name: jsonable(value) for name, value in options.items()}
    kept = {name: redactor.data({name: value})[name] for name, value in said.items()}
    kept = {name: redactor.data({name: value})[name] for name, value in kept.items()}  # known by now, from another one
    if len(json.dumps(kept)) > MAX_OPTIONS:
        raise UsageError("The options are too long to be written down.", "Put them into a profile or a script.")
    return kept, [name for name in said if kept[name] != said[name]]


def digest_of(parts: Mapping[str, Any], modules: Iterable[ModuleType] = ()) -> str:
    """Digest all that a verdict depends on, beside the code of the point and the bundle.

    `parts` are commands, settings and limits; `modules` are those of the model and the adapter, whose files count, as
    do those of all modules of the project that are loaded. The versions of Python and replaykit count too.
    """
    own = {module.__name__: module for module in [*_project_modules(), *modules]}
    files = {name: _sum_of_file(module) for name, module in sorted(own.items())}
    versions = [__version__, platform.python_implementation(), platform.python_version()]
    said = {"parts": jsonable(dict(parts)), "modules": files, "versions": versions}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _project_modules() -> list[ModuleType]:
    """List the loaded modules whose files lie in the project, and not in an environment in it."""
    folders = {project.root().resolve(), Path.cwd().resolve()}
    installed = {Path(each).resolve() for name, each in sysconfig.get_paths().items() if name != "data"}
    if sys.prefix != sys.base_prefix:
        installed.add(Path(sys.prefix).resolve())
    found = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or name.partition(".")[0] in {"replaykit", "__main__", "__mp_main__"}:
            continue
        path = Path(file).resolve()
        is_own = any(path.is_relative_to(folder) for folder in folders)
        if is_own and not any(path.is_relative_to(each) for each in installed) and not _PACKAGES & set(path.parts):
            found.append(module)
    return found


_PACKAGES = {"site-packages", "dist-packages"}


def _sum_of_file(module: ModuleType) -> str:
    try:
        return hashlib.sha256(Path(str(module.__file__)).read_bytes()).hexdigest()
    except (OSError, ValueError):
        return ""
