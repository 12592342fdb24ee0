"""The status of saved bugs: open, fixed or wontfix, with a ticket and a note; kept in a file beside the bundles.

    ["board_matches-6f075236.pd"]
    status = "fixed"
    ticket = "SHOP-12"
    note = "mended in 2.3"

A bundle that the file does not name is open.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from replaykit.errors import MissingFileError, StatusError

FILE = "status.toml"
MOST = 4 * 1024 * 1024  # bytes of the file

Word: TypeAlias = Literal["open", "fixed", "wontfix"]
WORDS: tuple[Word, ...] = get_args(Word)
_KEYS = ("status", "ticket", "note")


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of one bug."""

    word: Word = "open"
    ticket: str | None = None
    note: str | None = None


def statuses(folder: Path) -> dict[str, Status]:
    """Read the status of the bundles in a folder, by their file names; nothing where nobody has written one.

    Raises StatusError where the file is not well made, MissingFileError where it can't be read.
    """
    file = folder / FILE
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise MissingFileError(f"{file} can't be read: {error.strerror}.", "Check its permissions.") from None
    if len(content) > MOST:
        raise StatusError(f"{file} is too large: it has more than {MOST} bytes.", "Mend the file.")
    try:
        found = tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise StatusError(f"{file} can't be read: {error}.", "Mend the file.") from None
    return {name: _status(file, name, value) for name, value in found.items()}


def _status(file: Path, name: str, value: Any) -> Status:
    todo = f'Write a table ["NAME.pd"], its status ({", ".join(WORDS)}), its ticket and its note, all as texts.'
    if not isinstance(value, Mapping):
        raise StatusError(f"{file}: {name!r} is no table.", todo)
    unknown = sorted(set(value) - set(_KEYS))
    if unknown:
        raise StatusError(f"{file}: {name!r} has an unknown key {unknown[0]!r}.", f"Known keys: {', '.join(_KEYS)}.")
    word = value.get("status", "open")
    if word not in WORDS:
        raise StatusError(f"{file}: {name!r} has the status {word!r}.", todo)
    for key in ("ticket", "note"):
        if not isinstance(value.get(key, ""), str):
            raise StatusError(f"{file}: {name!r} has a {key} that is no text.", todo)
    return Status(word, value.get("ticket"), value.get("note"))
