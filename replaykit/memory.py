"""The memory: what a bisect has found out, line by line on the disk, so that it can go on after whatever stopped it.

Theory of operation. Each bisect has a folder of its own, outside of the repository: a copy of the bundle, logs, and a
ledger, journal.jsonl, with a line for what was asked, and one for each time that a point was tried. A bisect that goes
on begins again; but whatever it would try, it asks the memory first, and what was found out then is given in the same
order. So it comes to the same place, and goes on from there.

Points with the same code come to the same, where the bug shows each time: then what was found out of one is known of
the others, and so is what earlier bisects of the same bundle found out, as long as nothing that a verdict depends on is
another.
"""

import json
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from replaykit import project, shelf
from replaykit.axis import Point, Tried
from replaykit.blame import Outcome
from replaykit.culprit import sum_of
from replaykit.errors import JournalError, MissingFileError, ReplaykitError, UnwritableError, UsageError
from replaykit.ledger import MAX_LINE, Ledger, see_onto_disk, whole
from replaykit.minutes import ADVICE, KINDS, Asked, End, Line, Stage, TriedLine, Void, agreed, read, require_same, valid
from replaykit.redact import Redactor
from replaykit.value import JsonData, jsonable

BUNDLE = "bundle.pd"
MAX_TEXT = 2000  # characters of a reason
MAX_OPTIONS = MAX_LINE // 2  # bytes of all options
MOST_OTHERS = 200  # earlier bisects whose verdicts are looked at, the newest ones


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

    def __init__(
        self, folder: Path, asked: Asked, ledger: Ledger, lock: int, lines: list[Line], redactor: Redactor
    ) -> None:
        """Take over what `begin` and `resume` have opened."""
        self.folder = folder
        self.asked = asked
        self._ledger = ledger
        self._folder_lock = lock
        self._redactor = redactor
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
        shelf.forget_old()
        redactor = Redactor(project.policy_here())
        options, covered = _covered(redactor, asked.options)
        names = {"where": whole(asked.where), "bundle": whole(asked.bundle)}
        asked = asked.replace(**names, options=options, covered=covered, bundle_sha256=sum_of(content))
        now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
        folder = shelf.place(repository) / f"{now}-{os.urandom(4).hex()}"
        _make(folder)
        lock = shelf.taken(folder)
        ledger = Ledger(folder / shelf.NAME, ADVICE, mode=0o600)
        try:
            _write(folder / BUNDLE, content)
            for name in ("logs", "trees"):
                _make(folder / name)
            see_onto_disk(folder.parent)
            ledger.begin()
            ledger.write("asked", asked.model_dump(mode="json"))
            return cls(folder, asked, ledger, lock, [], redactor)
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
        lock = shelf.taken(folder)
        ledger = Ledger(folder / shelf.NAME, ADVICE)
        try:
            then, lines = read(ledger)
            _require_unchanged(folder, then)
            require_same(folder, then, asked, content)
            redactor = Redactor(project.policy_here())
            if asked is not None:
                _covered(redactor, asked.options)  # they may hold secrets that were not kept
            ledger.go_on()
            return cls(folder, then, ledger, lock, lines, redactor)
        except BaseException:
            ledger.close()
            os.close(lock)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is not None and not self.lines:  # a wrong question is not one to go on with
            shelf.remove(self.folder)
        self.close()

    def close(self) -> None:
        """Leave the folder to others."""
        with self._lock:
            if self._folder_lock >= 0:
                self._ledger.close()
                os.close(self._folder_lock)
                self._folder_lock = -1

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

    def put(self, name: str, text: str) -> None:
        """Write a file beside the journal, which only its user may read. Raises UnwritableError."""
        path = self.folder / name
        try:
            path.unlink(missing_ok=True)
            _write(path, text.encode("utf-8"))
        except OSError as error:
            raise UnwritableError(f"{path} can't be written: {error.strerror}.", ADVICE.unwritten) from None

    def _keep(self, line: Line) -> None:
        if isinstance(line, TriedLine):
            reason = self._redactor.shown(line.tried.reason)[:MAX_TEXT]
            line = line.replace(tried=line.tried.replace(reason=reason))
        kind = next(kind for kind, record in KINDS.items() if isinstance(line, record))
        self._ledger.write(kind, line.model_dump(mode="json", exclude_defaults=True))
        super()._keep(line)


# --- what is written ------------------------------------------------------------------------------


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
    for folder in sorted(shelf.bisects_in(own.parent), reverse=True)[:MOST_OTHERS]:
        if folder == own:
            continue
        try:
            then, lines = read(Ledger(folder / shelf.NAME, ADVICE))
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


def _covered(redactor: Redactor, options: Mapping[str, Any]) -> tuple[dict[str, JsonData], list[str]]:
    """Cover the secrets of options, and name those that had one."""
    said: dict[str, JsonData] = {name: jsonable(value) for name, value in options.items()}
    kept = {name: redactor.data({name: _command(redactor, value)})[name] for name, value in whole(said).items()}
    kept = {name: redactor.data({name: value})[name] for name, value in kept.items()}  # known by now, from another one
    if len(json.dumps(kept)) > MAX_OPTIONS:
        raise UsageError("The options are too long to be written down.", "Put them into a profile or a script.")
    return kept, [name for name in said if kept[name] != said[name]]


def _command(redactor: Redactor, value: JsonData) -> JsonData:
    """Cover what is secret in the commands among the values of an option."""
    if isinstance(value, list):
        return [_command(redactor, each) for each in value]
    return redactor.command(value) if isinstance(value, str) else value
