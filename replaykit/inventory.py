"""Inventory: the bundles of a folder, each with what is known of its bug, as plain records that can be written down.

What `replaykit list --json` says is a surface that other programs read: a key that stands here stays, and means the
same, until VERSION changes. Nothing is run or imported for it.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from itertools import groupby
from pathlib import Path

from replaykit.bundle import Bundle, Provenance
from replaykit.document import json_text
from replaykit.errors import ReplaykitError
from replaykit.reader import read
from replaykit.report.steps import count, one_line
from replaykit.status import Status, Word
from replaykit.suite import found
from replaykit.surface import schema_for
from replaykit.value import Record
from replaykit.verdict import OK, exit_code, titled, worst

VERSION = 1
KILO = 1024  # bytes
MOST = 60  # characters of a column


class Unread(Record):
    """Why a bundle can't be read."""

    error: str  # its slug: bundle-corrupt
    message: str
    exit_code: int


class Listed(Record):
    """A bundle, and what is known of its bug."""

    bundle: str  # its path, as it was named or found
    status: Word
    ticket: str | None
    note: str | None
    size: int | None  # bytes of the file
    unread: Unread | None  # null where it can be read; else what follows is null
    whole: bool | None = None  # false: the end of the file is missing
    ending: str | None = None  # failed, passed, recorded, ...
    kind: str | None = None  # of the failure; null where it holds none
    check: str | None = None  # or what else failed, by its name
    command: str | None = None
    step: int | None = None
    fingerprint: str | None = None
    message: str | None = None
    steps: int | None = None
    requests: int | None = None
    runs: int | None = None  # in which the bug was confirmed when it was saved; null where it was not
    showed: int | None = None  # in how many of these it showed
    model: str | None = None
    adapter: str | None = None
    revision: str | None = None
    recorded: str | None = None  # ISO 8601, UTC; null where the times were left out


class Inventory(Record):
    """The bundles that were found, in the order of their names."""

    version: int = VERSION
    exit_code: int
    bundles: tuple[Listed, ...]
    lacking: tuple[str, ...]  # what status files name that is not there


def inventory(paths: Collection[Path], only: Collection[Word] = ()) -> Inventory:
    """List the bundles in folders, or those that are named. Raises MissingFileError, StatusError."""
    there = found(paths)
    listed = [_listed(path, status) for path, status in there.saved if not only or status.word in only]
    code = worst(OK if each.unread is None else each.unread.exit_code for each in listed)
    return Inventory(exit_code=code, bundles=tuple(listed), lacking=tuple(there.lacking))


def render(told: Inventory) -> str:
    """Write an inventory as JSON, in ASCII."""
    return json_text(told.model_dump())


def schema() -> str:
    """Return the JSON Schema of the document, as it is published."""
    return schema_for(Inventory, f"What replaykit list --json prints, version {VERSION}")


def table(told: Inventory) -> list[str]:
    """Write an inventory in lines: one for each bundle, below its folder where there are several, and one for all."""
    folders = {each: list(bundles) for each, bundles in groupby(told.bundles, lambda each: Path(each.bundle).parent)}
    rows = {each.bundle: _row(each) for each in told.bundles if each.unread is None}
    widths = [max(map(len, column)) for column in zip(_TITLES, *rows.values(), strict=True)]
    lines = [_laid_out(_TITLES, widths)] if rows else []
    for folder, bundles in folders.items():
        if len(folders) > 1:
            lines.append(f"{one_line(str(folder))}{_models(bundles)}")
        lines += [_laid_out(rows[each.bundle], widths) if each.unread is None else _unread(each) for each in bundles]
    words = Counter(_counted_as(each) for each in told.bundles)
    said = ", ".join(f"{number} {word}" for word, number in words.items())
    model = _models(told.bundles) if len(folders) == 1 else ""
    lines.append(f"{count(len(told.bundles), 'bundle')}: {said}{model}" if told.bundles else "There is no bundle.")
    return [*lines, *(f"{one_line(each)}: there is no such bundle." for each in told.lacking)]


_TITLES = ("STATUS", "BUNDLE", "FAILURE", "STEPS", "SHOWED", "REVISION", "SIZE", "")
_RIGHT = {3, 4, 6}  # columns of numbers


def _models(bundles: Iterable[Listed]) -> str:
    models = sorted({each.model for each in bundles if each.model is not None})
    return f"; {'model' if len(models) == 1 else 'models'} {one_line(', '.join(models))}" if models else ""


def _laid_out(row: Iterable[str], widths: list[int]) -> str:
    cells = [
        f"{cell:>{width}}" if place in _RIGHT else f"{cell:<{width}}"
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _unread(each: Listed) -> str:
    if each.unread is None:
        return ""
    why = one_line(each.unread.message.removeprefix(each.bundle).lstrip(", "))
    name, code = one_line(Path(each.bundle).name), f"{each.unread.error}, exit {each.unread.exit_code}"
    return f"{_known_as(each)}  {name}  can't be read ({code}): {why}"


def _known_as(each: Listed) -> str:
    """Say the status of a bug; where none is known to be there, that somebody has written."""
    return "-" if each.status == "open" and each.kind is None else each.status


def _counted_as(each: Listed) -> str:
    if each.unread is not None:
        return "that can't be read"
    return str(each.ending) if _known_as(each) == "-" else each.status


def _row(each: Listed) -> tuple[str, ...]:
    name = Path(each.bundle).name
    failure = str(each.ending) if each.kind is None or each.check is None else titled(each.kind, each.check)
    cells = (
        _known_as(each),
        name,
        _cut(failure if each.whole else f"{failure}, no end"),
        str(each.steps),
        "-" if each.runs is None else f"{each.showed}/{each.runs}",
        (each.revision or "-")[:7],
        _size(each.size),
        ", ".join(filter(None, (each.ticket, each.note))),
    )
    return tuple(map(one_line, cells))


def _cut(text: str) -> str:
    return text if len(text) <= MOST else f"{text[: MOST - 3]}..."


def _size(size: int | None) -> str:
    if size is None:
        return "-"
    return f"{size} B" if size < KILO else f"{size / KILO:.0f} KB" if size < KILO**2 else f"{size / KILO**2:.0f} MB"


def _listed(path: Path, status: Status) -> Listed:
    try:
        size: int | None = path.stat().st_size
    except OSError:
        size = None
    known = Listed(
        bundle=str(path),
        status=status.word,
        ticket=status.ticket,
        note=status.note,
        size=size,
        unread=None,
    )
    try:
        return known.replace(**_held(read(path)))
    except ReplaykitError as error:
        code = exit_code(error)
        return known.replace(unread=Unread(error=error.slug, message=error.happened, exit_code=code))


def _held(bundle: Bundle) -> dict[str, object]:
    """Say what is to be known of what a bundle holds."""
    origin, trace, failure = bundle.origin, bundle.trace, bundle.trace.failure
    held: dict[str, object] = {
        "whole": bundle.whole,
        "ending": trace.ending,
        "steps": len(trace.steps),
        "requests": trace.requests,
        "revision": origin.revision,
        "recorded": origin.recorded,
    }
    if failure is not None:
        held |= {
            "kind": failure.kind,
            "check": failure.name,
            "command": failure.command,
            "step": failure.step,
            "fingerprint": failure.fingerprint,
            "message": failure.message,
        }
    if isinstance(origin, Provenance):
        held |= {"model": origin.model, "adapter": origin.adapter}
        if origin.shrinking is not None and origin.shrinking.runs:
            held |= {"runs": origin.shrinking.runs, "showed": origin.shrinking.failed}
    return held
