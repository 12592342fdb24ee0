"""Documents that other programs read: written to a file whole or not at all, or printed."""

import errno
import os
from pathlib import Path

from replaykit.errors import UnwritableError


def prepare(path: Path) -> None:
    """Make the folder of a document that will be written. Raises UnwritableError where that can't be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from None
    if path.is_dir():
        raise _unwritable(path, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
    if not os.access(path.parent if path.is_file() or not path.exists() else path, os.W_OK):
        raise _unwritable(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def write(path: Path, text: str) -> None:
    """Write a document at its name, in place of the one that was there. Raises UnwritableError."""
    if path.exists() and not path.is_file():  # a pipe, a terminal
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise _unwritable(path, error) from None
        return
    path = path.resolve()
    beside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        beside.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> UnwritableError:
    return UnwritableError(f"{path} can't be written: {error.strerror}.", "Make room, or choose another file.")
