"""The status of saved bugs: open, fixed or wontfix, with a ticket and a note; kept in a file beside the bundles.

    ["board_matches-6f075236.pd"]
    status = "fixed"
    ticket = "SHOP-12"
    note = "mended in 2.3"

A bundle that the file does not name is open. Changes keep what people have written beside them: the door to tomlkit.
"""

import fcntl
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from replaykit.errors import MissingFileError, ReplaykitError, StatusError, UnwritableError, UsageError

FILE = "status.toml"
MOST = 4 * 1024 * 1024  # bytes of the file

Word: TypeAlias = Literal["open", "fixed", "wontfix"]
WORDS: tuple[Word, ...] = get_args(Word)
_KEYS = ("status", "ticket", "note")
_LINE_FEED = re.compile(r"(?<!\r)\n")


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
    Raises as `statuses`, UnwritableError, and UsageError for what can't stand there, since it is not UTF-8.
    """
    file, names = folder / FILE, [*names]
    for said in (*names, ticket or "", note or ""):
        require_text(said)
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
        after = _changed(text, before, {name: each for name, each in wanted.items() if before.get(name) != each})
        if after != text:
            _put(file, after, wanted)
    return {name: wanted[name] for name in names}


def require_text(said: str) -> None:
    """Raise UsageError where something can't be written into the file."""
    try:
        said.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError(
            f"{said!r} is not UTF-8, and so can't be written into {FILE}.", "Choose another text, or rename the bundle."
        ) from None


def _changed(text: str, before: Mapping[str, Status], wanted: Mapping[str, Status]) -> str:
    """Write statuses into the text of the file, and leave the rest of it as it is."""
    import tomlkit

    document = tomlkit.parse(text)
    added = []
    for name, status in wanted.items():
        known, is_there = before.get(name), name in document
        table: Any = document[name] if is_there else {}
        for key, attribute in (("status", "word"), ("ticket", "ticket"), ("note", "note")):
            value = getattr(status, attribute)
            if known is not None and value == getattr(known, attribute):
                continue
            if value is not None:
                table[key] = value
            elif key in table:
                del table[key]
        if not is_there:
            added.append(tomlkit.dumps({name: table}))
    after = tomlkit.dumps(document)
    for each in added:
        after += _gap(after) + each
    has_crlf = "\r\n" in text and not _LINE_FEED.search(text)
    return _LINE_FEED.sub("\r\n", after) if has_crlf else after


def _gap(text: str) -> str:
    """Return what is to follow a text so that there is a blank line between it and what comes next."""
    if not text.strip() or text.endswith(("\n\n", "\n\r\n")):
        return ""
    return "\n" if text.endswith("\n") else "\n\n"


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


def known_of(path: Path, *, is_bug: bool) -> str:
    """Say what is known of a bundle, as its folder's status file has it; of a bug of which it says nothing: open."""
    try:
        known = statuses(path.parent).get(path.name, Status() if is_bug else None)
    except ReplaykitError as error:
        return error.happened
    return "" if known is None else ", ".join(filter(None, (known.word, known.ticket, known.note)))


def _text(file: Path) -> str | None:
    """Return what stands in the file; None where there is none."""
    try:
        if file.exists() and not file.is_file() and not file.is_dir():  # who opens a pipe waits for its writer
            raise StatusError(f"{file} is no regular file.", "Replace it by one, or remove it.")
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
