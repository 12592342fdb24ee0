"""The ledger: a file of JSON lines that says what was done, so that it can go on after whatever stopped it.

A line is written at once, and seen onto the disk, before anybody goes on; so whatever kills the process loses at most
the line in progress. Each line ends in a sum over itself and the sum of the line before, so that a line that was
changed is noticed. The last line may be broken: then whoever wrote it was stopped, and it counts as not written. One
process at a time has the folder (flock(2)).
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replaykit.errors import JournalError, UnwritableError, UsageError
from replaykit.value import JsonData

MAX_LINE = 1 << 20  # bytes
MAX_LINES = 20_000_000

_SUMMED = re.compile(rb'(\{.*),"sum":"([0-9a-f]{8})"\}', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do about a ledger that can't be used."""

    broken: str  # about a line that is broken
    unread: str
    unwritten: str


class Ledger:
    """The lines of a file: read first, then written on, or begun anew."""

    def __init__(self, path: Path, advice: Advice, mode: int = 0o666) -> None:
        self.path = path
        self._advice = advice
        self._mode = mode
        self._sum, self._good, self._file = "", 0, -1

    def close(self) -> None:
        """Write no more."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def broken(self, number: int, why: str) -> JournalError:
        """Return the error for a line."""
        return JournalError(f"{self.path}, line {number}: {why[:500]}.", self._advice.broken)

    def read(self) -> Iterator[tuple[int, str, dict[str, Any]]]:
        """Give the number, from 1, the kind and the data of each line that is whole.

        What comes after the last of them is cut off by `go_on`. Raises JournalError with the number of a line that
        is broken and not the last, UsageError.
        """
        self._sum, self._good = "", 0
        number = 0
        try:
            if not self.path.is_file():
                raise self.broken(1, "it is no regular file")
            with self.path.open("rb") as file:
                while line := file.readline(MAX_LINE + 1):
                    number += 1
                    if number > MAX_LINES:
                        raise self.broken(number, f"there are more than {MAX_LINES} lines")
                    data, summed = _opened(line, self._sum)
                    if data is None:
                        if file.read(1):
                            raise self.broken(number, "it was changed, or broken")
                        return
                    self._sum, self._good = summed, self._good + len(line)
                    kind = data.pop("k", None)
                    if not isinstance(kind, str):
                        raise self.broken(number, f"there is no line of kind {kind!r}")
                    yield number, kind, data
        except OSError as error:
            raise UsageError(f"{self.path} can't be read: {error.strerror}.", self._advice.unread) from None

    def begin(self) -> None:
        """Begin a new file; there is none yet. Raises UnwritableError."""
        with self._writing():
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, self._mode)
            self._sum, self._good = "", 0
            see_onto_disk(self.path.parent)

    def go_on(self) -> None:
        """Go on after the last line that `read` has given. Raises UnwritableError."""
        with self._writing():
            self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND)
            os.ftruncate(self._file, self._good)

    def write(self, kind: str, data: Mapping[str, JsonData]) -> None:
        """Write a line, and see it onto the disk. Raises UnwritableError; then there is no part of it."""
        body = json.dumps(whole({"k": kind, **data}), ensure_ascii=True, separators=(",", ":")).encode()
        summed_up = summed(self._sum, body)
        rest = line = b'%s,"sum":"%s"}\n' % (body[:-1], summed_up.encode())
        with self._writing():
            try:
                while rest:
                    rest = rest[os.write(self._file, rest) :]
                os.fsync(self._file)
                self._sum, self._good = summed_up, self._good + len(line)
            except BaseException:  # Ctrl-C too: what is written afterwards has to fit
                with contextlib.suppress(OSError):
                    os.ftruncate(self._file, self._good)
                raise

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UnwritableError(f"{self.path} can't be written: {error.strerror}.", self._advice.unwritten) from None


def whole(data: JsonData) -> JsonData:
    """Return JSON data with a question mark for each half of a character: no reader of ours would take one."""
    text = json.dumps(data, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.loads(text.encode("utf-8", "replace"))
    return data


def summed(before: str, body: bytes) -> str:
    """Return the sum of a line, without its own, after one with the sum `before`."""
    return hashlib.sha256(before.encode() + body).hexdigest()[:8]


def locked(folder: Path, busy: str, todo: str) -> int:
    """Take a folder for this process; whoever has it, has it until it closes what this returns.

    Raises UsageError with `busy` and `todo` where another one has it.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise UsageError(f"{folder} can't be opened: {error.strerror}.", "Choose another folder.") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UsageError(busy, todo) from None
    except OSError:  # a file system that knows no locks
        pass
    return descriptor


def see_onto_disk(folder: Path) -> None:
    """See onto the disk which files a folder has."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def last_in(path: Path) -> bytes:
    """Return the last line of a file that has its end, as it stands there; nothing where it has none.

    Nothing is checked.
    """
    last = b""
    with contextlib.suppress(OSError), path.open("rb") as file:
        while line := file.readline(MAX_LINE + 1):
            last = line if line.endswith(b"\n") else last
    return last


def _opened(line: bytes, before: str) -> tuple[dict[str, JsonData] | None, str]:
    """Return what a line says, and its sum; None for one that is broken."""
    found = _SUMMED.fullmatch(line[:-1]) if line.endswith(b"\n") else None
    if found is None:
        return None, ""
    body, said = found[1] + b"}", found[2].decode()
    if summed(before, body) != said:
        return None, ""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None, ""
    return (data, said) if isinstance(data, dict) else (None, "")
