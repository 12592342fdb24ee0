"""The status of saved bugs: open, fixed or wontfix, with a ticket and a note; kept in a file beside the bundles.

    ["board_matches-6f075236.pd"]
    status = "fixed"
    ticket = "SHOP-12"
    note = "mended in 2.3"

A bundle that the file does not name is open. Changes keep what people have written beside them: the door to tomlkit.
"""

import fcntl
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from replaykit.errors import MissingFileError, StatusError, UnwritableError

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
    text = _text(file)
    if text is None:
        return {}
    try:
        found = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise StatusError(f"{file} can't be read: {error}.", "Mend the file.") from None
    return {name: _status(file, name, value) for name, value in found.items()}


def change(
    folder: Path, names: Iterable[str], word: Word, *, ticket: str | None = None, note: str | None = None
) -> dict[str, Status]:
    """Write the status of some bundles of a folder; return that of each.

    Ticket and note stay where None is given, and are taken out by an empty text; all else in the file stays to the
    byte. It is replaced whole, or not at all, and two that change it at once wait for each other.
    Raises as `statuses`, and UnwritableError.
    """
    file = folder / FILE
    with _held(folder):
        before, text = statuses(folder), _text(file) or ""
        wanted = dict(before)
        for name in names:
            known = before.get(name, Status())
            wanted[name] = Status(
                word,
                known.ticket if ticket is None else ticket or None,
                known.note if note is None else note or None,
            )
        after = _changed(text, {name: each for name, each in wanted.items() if before.get(name) != each})
        if after != text:
            _put(file, after, wanted)
    return {name: wanted[name] for name in names}


def _changed(text: str, wanted: Mapping[str, Status]) -> str:
    """Write statuses into the text of the file, and leave the rest of it as it is."""
    import tomlkit

    document = tomlkit.parse(text)
    for name, status in wanted.items():
        if name not in document:
            if document.body:
                document.add(tomlkit.nl())
            document.add(name, tomlkit.table())
        table: Any = document[name]
        for key, value in (("status", status.word), ("ticket", status.ticket), ("note", status.note)):
            if value is not None:
                if table.get(key) != value:
                    table[key] = value
            elif key in table:
                del table[key]
    return tomlkit.dumps(document)


def _put(file: Path, text: str, wanted: Mapping[str, Status]) -> None:
    """Replace the file, if what is written there says what is wanted."""
    said = {name: _status(file, name, value) for name, value in tomllib.loads(text).items()}
    if said != wanted:
        raise StatusError(f"{file} can't be changed without loss.", "It is laid out in an odd way: change it by hand.")
    beside = file.with_name(f".{FILE}.{os.getpid()}.partial")
    try:
        try:
            beside.write_bytes(text.encode("utf-8"))
            if file.exists():
                beside.chmod(file.stat().st_mode & 0o777)
            beside.replace(file.resolve())
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise UnwritableError(f"{file} can't be written: {error.strerror}.", "Check the folder.") from None


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keep others out of the file as long as it is changed; nothing is left behind."""
    try:
        place = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise MissingFileError(f"{folder} can't be read: {error.strerror}.", "Check the path.") from None
    try:
        fcntl.flock(place, fcntl.LOCK_EX)
        yield
    finally:
        os.close(place)


def _text(file: Path) -> str | None:
    """Return what stands in the file; None where there is none."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MissingFileError(f"{file} can't be read: {error.strerror}.", "Check its permissions.") from None
    if len(content) > MOST:
        raise StatusError(f"{file} is too large: it has more than {MOST} bytes.", "Mend the file.")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise StatusError(f"{file} can't be read: {error}.", "Mend the file.") from None


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
