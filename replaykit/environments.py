"""Environments: folders that are made once for each key, and used again by all who ask for it.

An environment of Python can't be moved, so it is made where it stays. A mark beside it says that it was made to its
end: one without it is made anew. One in which others may write is lent: to one borrower at a time, and only as long as
it is as it was made.
"""

import contextlib
import errno
import hashlib
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from replaykit.claim import erase
from replaykit.errors import MachineError, UsageError
from replaykit.lock import Lock, locked

KEPT = 30 * 24 * 3600.0  # seconds that one stays that nobody uses
_MADE, _MAKING, _USED = ".made", ".making", ".used"  # what stands beside a folder


def home() -> Path:
    """Say where environments are kept: in the folder of caches, XDG_CACHE_HOME. Raises UsageError."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or "")
    if not caches.is_absolute():
        try:
            caches = Path.home() / ".cache"
        except RuntimeError:
            raise UsageError("There is no home directory to keep environments in.", "Set XDG_CACHE_HOME.") from None
    return caches / "replaykit" / "environments"


class Environments:
    """Folders by their keys. What was asked for stays until all who asked for it are closed. Use it in `with`."""

    def __init__(self, home: Path | None = None) -> None:
        """Keep them in a folder; in the one of `home` by default, which only who wants an environment needs."""
        self._home = home
        self._used: dict[str, Lock] = {}
        self._guard = threading.Lock()

    @property
    def home(self) -> Path:
        """The folder that they are kept in. Raises UsageError."""
        return home() if self._home is None else self._home

    def made(self, key: str, make: Callable[[Path], None]) -> Path:
        """Give the folder of a key; where it is not there yet, `make` makes it, at the path that it is given.

        Whoever asks for the same one meanwhile waits, other processes too. Where `make` raises, nothing stays.
        Raises MachineError where nothing can be written.
        """
        name = _name(key)
        folder, mark = self.home / name, self.home / f"{name}{_MADE}"
        with contextlib.ExitStack() as stack:
            try:
                self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
                stack.enter_context(locked(self.home / f"{name}{_MAKING}"))
                self._use(name)
                is_made = mark.is_file() and folder.is_dir()
                if not is_made:
                    mark.unlink(missing_ok=True)
                    _clear(folder)
            except OSError as error:
                raise _unwritable(self.home, error) from None
            if not is_made:
                try:
                    make(folder)
                except BaseException:
                    erase(folder)
                    raise
            try:
                folder.mkdir(exist_ok=True)
                mark.touch()  # its time is that of the last use
            except OSError as error:
                raise _unwritable(self.home, error) from None
        return folder

    @contextlib.contextmanager
    def lent(self, key: str, make: Callable[[Path], None]) -> Iterator[Path]:
        """Give the folder of a key to who may write into it, and to nobody else meanwhile.

        Where it was changed, or nobody came to look whether it was, it is removed, and made anew for who comes next.
        So there are as many of a key as were ever lent at once. Raises MachineError.
        """
        name, lock = self._free(_name(key))
        folder, mark, state = self.home / name, self.home / f"{name}{_MADE}", None
        try:
            try:
                if mark.is_file() and folder.is_dir():
                    state = mark.read_text(encoding="ascii")
                mark.unlink(missing_ok=True)  # until it is seen that nothing was changed
                if state is None:
                    _clear(folder)
                    make(folder)
                    folder.mkdir(exist_ok=True)
                    state = _state_of(folder)
            except OSError as error:
                raise _unwritable(self.home, error) from None
            yield folder
        finally:
            with contextlib.suppress(OSError):
                if state is not None and state == _state_of(folder):
                    mark.write_text(state, encoding="ascii")
            if not mark.exists():
                erase(folder)
            lock.release()

    def _free(self, name: str) -> tuple[str, Lock]:
        """Take the first one of a key that nobody has borrowed. Raises MachineError."""
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            for number in itertools.count():
                lock = Lock(self.home / f"{name}-{number}{_USED}")
                if lock.take():
                    break
        except OSError as error:
            raise _unwritable(self.home, error) from None
        return f"{name}-{number}", lock

    def _use(self, name: str) -> None:
        with self._guard:
            if name not in self._used:
                lock = Lock(self.home / f"{name}{_USED}")
                lock.wait(shared=True)
                self._used[name] = lock

    def sweep(self, kept: float = KEPT) -> int:
        """Remove those that nobody has used for so many seconds, or that were not finished; say how many.

        One in use stays, and one that can't be removed.
        """
        removed = 0
        try:
            names = {path.name.partition(".")[0] for path in self.home.iterdir()}
        except (OSError, UsageError):
            return 0
        for name in sorted(names):
            with contextlib.suppress(OSError):
                removed += self._swept(name, kept)
        return removed

    def _swept(self, name: str, kept: float) -> bool:
        making, used = (Lock(self.home / f"{name}{end}") for end in (_MAKING, _USED))
        folder, mark, is_old, is_there = self.home / name, self.home / f"{name}{_MADE}", False, False
        if not making.take():
            return False
        try:
            if used.take():
                is_there = folder.exists()
                is_old = not mark.is_file() or mark.stat().st_mtime < time.time() - kept
                if is_old:
                    mark.unlink(missing_ok=True)
                    _clear(folder)
        finally:
            used.release(removed=is_old)
            making.release(removed=is_old)
        return is_old and is_there

    def close(self) -> None:
        """Say that none of those that were asked for is used here any more."""
        with self._guard:
            for lock in self._used.values():
                lock.release()
            self._used.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _unwritable(home: Path, error: OSError) -> MachineError:
    return MachineError(
        f"No environment can be kept in {home}: {error.strerror}.",
        "Make room there, or name another folder for caches in XDG_CACHE_HOME.",
    )


def _clear(folder: Path) -> None:
    """Remove what is in the way. Raises OSError where something stays."""
    if not erase(folder):
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))


def _name(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def _state_of(folder: Path) -> str:
    """Say in short what lies in a folder, by names, sizes and times; Python's byte code aside, which follows from it.

    Raises OSError.
    """
    state = hashlib.sha256()
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(set(folders) - {"__pycache__"})
        state.update(os.fsencode(f"{place}\0"))
        for name in sorted([*files, *folders]):
            found = os.lstat(os.path.join(place, name))  # noqa: PTH118  there may be many
            said = (found.st_mode, found.st_ino, *((found.st_size, found.st_mtime_ns) if name in files else ()))
            state.update(os.fsencode(f"{name}\0{said}\0"))
    return state.hexdigest()
