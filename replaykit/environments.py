"""Environments: folders that are made once for each key, and used again by all who ask for it.

An environment of Python can't be moved, so it is made where it stays. A mark beside it says that it was made to its
end: one without it is made anew.
"""

import contextlib
import hashlib
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from replaykit.errors import MachineError
from replaykit.lock import Lock, locked

KEPT = 30 * 24 * 3600.0  # seconds that one stays that nobody uses
_MADE, _MAKING, _USED = ".made", ".making", ".used"  # what stands beside a folder


def home() -> Path:
    """Say where environments are kept: in the folder of caches, XDG_CACHE_HOME."""
    said = os.environ.get("XDG_CACHE_HOME", "")
    caches = Path(said) if Path(said).is_absolute() else Path.home() / ".cache"
    return caches / "replaykit" / "environments"


class Environments:
    """Folders by their keys. What was asked for stays until all who asked for it are closed. Use it in `with`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._used: dict[str, Lock] = {}
        self._guard = threading.Lock()

    def made(self, key: str, make: Callable[[Path], None]) -> Path:
        """Give the folder of a key; where it is not there yet, `make` makes it, at the path that it is given.

        Whoever asks for the same one meanwhile waits, other processes too. Where `make` raises, nothing stays.
        Raises MachineError where nothing can be written.
        """
        name = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:24]
        folder, mark = self.home / name, self.home / f"{name}{_MADE}"
        with contextlib.ExitStack() as stack:
            try:
                self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
                stack.enter_context(locked(self.home / f"{name}{_MAKING}"))
                self._use(name)
                is_made = mark.is_file() and folder.is_dir()
                if not is_made:
                    mark.unlink(missing_ok=True)
                    _remove(folder)
            except OSError as error:
                raise _unwritable(self.home, error) from None
            if not is_made:
                try:
                    make(folder)
                except BaseException:
                    with contextlib.suppress(OSError):
                        _remove(folder)
                    raise
            try:
                folder.mkdir(exist_ok=True)
                mark.touch()  # its time is that of the last use
            except OSError as error:
                raise _unwritable(self.home, error) from None
        return folder

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
        except OSError:
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
                    _remove(folder)
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


def _remove(folder: Path) -> None:
    """Remove a folder with all that is in it, also what its maker has write-protected. Raises OSError."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
        return
    with contextlib.suppress(OSError):
        shutil.rmtree(folder)
    if folder.exists():
        for path, _, _ in os.walk(folder):
            os.chmod(path, 0o700)  # noqa: PTH101
        shutil.rmtree(folder)
