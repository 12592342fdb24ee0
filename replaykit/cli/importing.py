"""replaykit import."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from replaykit.cli.console import answer, diverted, json_option, program, say, warn_of_size
from replaykit.cli.page import command
from replaykit.errors import MissingFileError, UnwritableError, UsageError

if TYPE_CHECKING:
    from replaykit.answer import Import


@command("import")
@click.argument("recording", type=click.Path(path_type=Path))
@click.option("--output", metavar="PATH", required=True, type=click.Path(path_type=Path), help="The bundle to write.")
@click.option("--force", is_flag=True, help="Replace a file that is there already, and is another one.")
@json_option
def import_(recording: Path, output: Path, *, force: bool, as_json: bool) -> int:
    """Read what another tool has recorded, and write it as a bundle; or get a bundle out of a ticket, a gzip or a zip.

    Nothing is run, imported or fetched. With - as RECORDING, standard input is read.

    Which format it is is found out: a cassette of vcrpy, of VCR for Ruby or of betamax, in YAML or JSON; a HAR
    archive; a text with a bundle in it, quoted, indented, or with other line ends. A bundle is written as it was, to
    the byte, or not at all: its digest tells.

    A file that is there already, and is another one, is replaced only with --force.
    """
    from replaykit.importing import contained, parsed, taken
    from replaykit.writer import put, save

    write = diverted() if as_json else None
    is_piped = str(recording) == "-"
    content, name = (_piped(), "Standard input") if is_piped else (taken(recording), str(recording))
    found = contained(content, name)
    bundle = parsed(content, name) if found is None else None
    if not is_piped and output.exists() and recording.samefile(output):
        raise UsageError(f"{output} is the file that is read.", "Write the bundle to another one.")
    if str(output) == "-" or output.is_dir():
        raise UnwritableError(f"{output} is no file to write a bundle to.", "Name one: --output bug.pd.")
    if found is not None:
        _free(output, found, force=force)
        put(output.resolve(), found, recording)
        say(f"the bundle in {name.lower() if is_piped else name} written to {output}: {len(found)} bytes, whole")
        warn_of_size(output)
    elif bundle is not None:
        save(output, bundle.origin, bundle.trace, lambda content: _free(output, content, force=force))
        count = bundle.trace.requests
        requests = "1 request" if count == 1 else f"{count} requests"
        say(f"{requests} written to {output}")
    say(f"Look at it: {program()} show {shlex.quote(str(output))}")
    answer(write, lambda: _imported(recording, output, contained=found is not None))
    return 0


def _imported(recording: Path, output: Path, *, contained: bool) -> "Import":
    from replaykit.answer import Import
    from replaykit.reader import read

    requests, size = read(output).trace.requests, output.stat().st_size
    return Import(recording=str(recording), output=str(output), contained=contained, requests=requests, size=size)


def _free(output: Path, content: bytes, *, force: bool) -> bytes:
    """Return what is to be written. Raises UsageError where a file would be lost for it."""
    if not force and output.is_file() and output.read_bytes() != content:
        raise UsageError(
            f"{output} is there already, and is another one.", "Write to another file, or replace it with --force."
        )
    return content


def _piped() -> bytes:
    """Return what stands on standard input. Raises MissingFileError, ForeignFileError."""
    from replaykit.bundle import MAX_FILE
    from replaykit.importing import too_large

    try:
        content = sys.stdin.buffer.read(MAX_FILE + 1)
    except OSError as error:
        raise MissingFileError(f"Standard input can't be read: {error.strerror}.", "Name a file.") from None
    if len(content) > MAX_FILE:
        raise too_large("Standard input")
    return content
