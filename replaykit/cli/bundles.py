"""replaykit verify, repair and migrate: keeping the files of bundles."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from replaykit.cli import candidates
from replaykit.cli.console import answer, complain, conclude, diverted, json_option, say, unread_for, warn_of_size
from replaykit.cli.page import command
from replaykit.errors import ReplaykitError, UsageError

if TYPE_CHECKING:
    from replaykit.answer import Migrate, Repair, Unread, Verify
    from replaykit.condition import Condition, Word

FILES = candidates.several("files", "FILE...")
OUTPUT = click.option(
    "--output", metavar="PATH", type=click.Path(path_type=Path, dir_okay=False), help="Write here, and leave FILE."
)


@command("verify")
@FILES
@click.option("--quiet", is_flag=True, help="Say nothing of those that are whole.")
@json_option
def verify(files: tuple[Path, ...], *, quiet: bool, as_json: bool) -> int:
    """Say of each file whether it is whole, truncated, edited, rewritten by another tool, newer, or no bundle.

    Nothing is run, imported or changed. Files may be packed (gzip, zip), or texts with a bundle in them.
    """
    from replaykit.verdict import INTERNAL, OK, exit_code, worst

    write = diverted() if as_json else None
    codes: list[int] = []
    told: list[tuple[Path, Word | None, str | None, Unread | None]] = []
    words: dict[str, int] = {}
    for path in files:
        try:
            found = _condition(path)
        except ReplaykitError as error:
            codes.append(exit_code(error))
            complain(error.slug, error.happened, error.todo, codes[-1])
            words["not read"] = words.get("not read", 0) + 1
            told.append((path, None, None, unread_for(error, codes[-1])))
            continue
        told.append((path, found.word, found.reason, None))
        words[found.word] = words.get(found.word, 0) + 1
        codes.append(OK if found.is_whole else INTERNAL)
        if not (quiet and found.is_whole):
            say(f"{path}: {found.word}: {found.reason}")
    code = worst(codes)
    conclude(
        "whole" if code == OK else "not whole", ", ".join(f"{count} {word}" for word, count in words.items()), code
    )
    answer(write, lambda: _verified(told, code))
    return code


def _verified(told: "list[tuple[Path, Word | None, str | None, Unread | None]]", code: int) -> "Verify":
    from replaykit.answer import Verified, Verify

    files = [Verified(file=str(path), word=word, reason=why, unread=unread) for path, word, why, unread in told]
    return Verify(exit_code=code, files=tuple(files))


def _condition(path: Path) -> "Condition":
    from replaykit.archive import unpacked
    from replaykit.condition import Condition, condition_of
    from replaykit.errors import BundleError
    from replaykit.reader import content_of

    content = content_of(path)
    try:
        return condition_of(unpacked(content, str(path)), str(path))
    except BundleError as error:  # it can't be unpacked
        return Condition("no bundle", error.happened)


@command("repair")
@click.argument("file", type=click.Path(path_type=Path), shell_complete=candidates.bundles)
@OUTPUT
@json_option
def repair(file: Path, *, output: Path | None, as_json: bool) -> int:
    """Give a truncated bundle an end, so that it can be kept and shown: every complete line stays as it is.

    It says that it ended as unknown. A file that was edited is refused.
    """
    from replaykit.condition import repaired
    from replaykit.reader import read_bytes
    from replaykit.writer import put

    write = diverted() if as_json else None
    content = _present(file, output)
    made = repaired(content, str(file))
    kept = len(read_bytes(made, str(file)).trace.interactions())
    lost = 0 if made.startswith(content) else len(content) - (content.rfind(b"\n") + 1)
    count = made.count(b"\n")
    put_there = None if made == content and output is None else output or file
    if put_there is not None:
        put(put_there.resolve(), made, file)
    if made != content:
        torn = f", {lost} bytes of a line without its end were left out" if lost else ""
        say(f"{put_there} has an end now: {count} lines, {kept} requests{torn}.")
        warn_of_size(output or file)
    else:
        what = ", and stays as it is" if output is None else f"; {output} is a copy of it"
        say(f"{file} is whole{what}.")
    answer(write, lambda: _repaired(file, put_there, count, kept, lost))
    return 0


def _repaired(file: Path, output: Path | None, lines: int, requests: int, lost: int) -> "Repair":
    from replaykit.answer import Repair

    there = None if output is None else str(output)
    return Repair(file=str(file), output=there, lines=lines, requests=requests, lost=lost)


@command("migrate")
@FILES
@OUTPUT
@click.option("--canonical", is_flag=True, help="Leave out times, dates, request ids and free ports too.")
@json_option
def migrate(files: tuple[Path, ...], *, output: Path | None, canonical: bool, as_json: bool) -> int:
    """Write bundles of older formats in the present one, in their place, or to --output.

    Records and keys that this version does not know stay as they are. A file is replaced whole or not at all; one
    that needs no change is not touched.
    """
    from replaykit.condition import migrated

    if output is not None and len(files) > 1:
        raise UsageError("--output names one file, and there are several to migrate.", "Migrate one at a time.")
    write = diverted() if as_json else None
    made = [(path, content, migrated(content, str(path), settled=canonical)) for path in files
            for content in [_present(path, output)]]  # fmt: skip
    before = [_migrate(path, content, new, output) for path, content, new in made]
    answer(write, lambda: _migrated(made, before, output))
    return 0


def _migrated(made: list[tuple[Path, bytes, bytes]], before: list[int], output: Path | None) -> "Migrate":
    from replaykit.answer import Migrate, Migrated
    from replaykit.version import BUNDLE_FORMAT

    return Migrate(
        files=tuple(
            Migrated(
                file=str(path),
                output=None if new == content and output is None else str(output or path),
                before=number,
                after=BUNDLE_FORMAT,
                size_before=len(content),
                size=len(new),
            )
            for (path, content, new), number in zip(made, before, strict=True)
        )
    )


def _migrate(path: Path, content: bytes, new: bytes, output: Path | None) -> int:
    """Write a bundle that was migrated; return the format that it had."""
    from replaykit.lines import Lines
    from replaykit.version import BUNDLE_FORMAT
    from replaykit.writer import put

    lines = Lines(content, str(path))
    next(iter(lines))
    if new == content and output is None:
        say(f"{path}: nothing to change.")
        return lines.format
    put((output or path).resolve(), new, path)
    where = f"{path} -> {output}" if output is not None else str(path)
    before = f"from format {lines.format} to {BUNDLE_FORMAT}" if lines.format != BUNDLE_FORMAT else "the same format"
    say(f"{where}: {before}, {len(content)} bytes became {len(new)}.")
    warn_of_size(output or path)
    return lines.format


def _present(path: Path, output: Path | None) -> bytes:
    """Return the bytes of the bundle that a file holds; a packed one can't be changed in its place."""
    from replaykit.archive import unpacked
    from replaykit.reader import content_of

    content = content_of(path)
    found = unpacked(content, str(path))
    if found != content and output is None:
        raise UsageError(f"{path} is packed, or a text with a bundle in it.", "Name a file for it with --output.")
    return found
