"""Documents that other programs read: in JSON that nobody obeys, and written to a file, whole or not at all."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from replaykit.errors import UnwritableError


def json_text(data: Any, *, indent: int | None = 2) -> str:
    """Write data as JSON, in ASCII, without what runners obey wherever it stands in a line: `##[...`, `##vso[...`."""
    return json.dumps(data, indent=indent).replace("##", "#\\u0023")


class Document:
    """A file that will be written; nothing where no file is named, or `-`, which is left to be printed."""

    def __init__(self, name: str | None) -> None:
        """Make the folder; raise UnwritableError where that can't be, or the name is that of a folder."""
        self.name = name
        self.trouble: UnwritableError | None = None  # why it could not be written
        self.made: Path | None = None  # the folder that was not there
        self._path = None if name is None or name == "-" else Path(name)
        if self._path is None:
            return
        try:
            self.made = None if self._path.parent.exists() else self._path.parent
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            above = next(each for each in self._path.parents if os.access(each, os.F_OK))
            why = error if above.is_dir() else NotADirectoryError(None, f"{above} is a file, and no folder")
            raise self._unwritable(why) from None
        if self._path.is_dir():
            raise self._unwritable(IsADirectoryError(None, "it is a folder"))
        existing = self._path if self._path.exists() and not self._path.is_file() else self._path.parent
        if not os.access(existing, os.W_OK):
            raise self._unwritable(PermissionError(None, "no permission"))

    def write(self, content: str | bytes) -> None:
        """Write it, in place of what was there. Trouble is kept: there may be more important things to tell first."""
        path = self._path
        if path is None:
            return
        written = content.encode("utf-8") if isinstance(content, str) else content
        try:
            if path.exists() and not path.is_file():  # a pipe, a terminal
                path.write_bytes(written)
                return
            path = path.resolve()
            beside = path.with_name(f".{path.name}.{os.getpid()}.partial")
            try:
                beside.write_bytes(written)
                beside.replace(path)
            finally:
                beside.unlink(missing_ok=True)
        except OSError as error:
            self.fail(error)

    def fail(self, error: OSError) -> None:
        """Keep the trouble that its file made."""
        self.trouble = self._unwritable(error)

    def _unwritable(self, error: OSError) -> UnwritableError:
        return UnwritableError(f"{self.name} can't be written: {error.strerror}.", "Make room, or choose another file.")


def append(name: str | None, write: Callable[[int], str]) -> UnwritableError | None:
    """Add what `write` makes of a file's size to it; return the trouble that it made, if it made any."""
    if not name:
        return None
    try:
        with Path(name).open("ab") as file:
            file.write(write(file.tell()).encode("utf-8", "replace"))
    except OSError as error:
        return UnwritableError(f"{name} can't be written: {error.strerror}.", "Make room.")
    return None
