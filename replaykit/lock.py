"""A lock: a file that tells processes and threads who has something, for as long as it lives.

The system lets go of it when who holds it is gone, killed or not. The file may be removed by who holds it alone; a
file that was removed while somebody waited for it locks nothing any more, and is made anew.
"""

import contextlib
import fcntl
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

PAUSE = 0.05  # seconds between two tries, at most


class Lock:
    """A file that one holder has alone, or that several share."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1

    def take(self, *, shared: bool = False) -> bool:
        """Take it, and say whether it was to be had; nobody is waited for. Raises OSError."""
        how = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB
        while True:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(file, how)
                is_there = os.path.samestat(os.fstat(file), self.path.stat())
            except BlockingIOError:
                os.close(file)
                return False
            except FileNotFoundError:
                is_there = False
            except BaseException:
                os.close(file)
                raise
            if is_there:
                self._file = file
                return True
            os.close(file)

    def wait(self, *, shared: bool = False) -> None:
        """Take it as soon as it is to be had. Raises OSError."""
        pause = 0.001
        while not self.take(shared=shared):
            time.sleep(pause * random.uniform(0.5, 1))
            pause = min(pause * 1.5, PAUSE)

    def release(self, *, removed: bool = False) -> None:
        """Let go of it; with `removed`, nothing of it stays."""
        if self._file < 0:
            return
        if removed:
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()
        os.close(self._file)
        self._file = -1


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Have something alone meanwhile, after whoever has it now. Raises OSError."""
    lock = Lock(path)
    lock.wait()
    try:
        yield
    finally:
        lock.release()
