"""replaykit export."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from replaykit.cli import candidates
from replaykit.cli.console import answer, diverted, json_option, note, say
from replaykit.cli.page import command
from replaykit.document import Document
from replaykit.errors import UnwritableError, UsageError
from replaykit.export import FORMATS, SENT

if TYPE_CHECKING:
    from replaykit.answer import Export
    from replaykit.bundle import Bundle


@command("export")
@click.argument("bundle", type=click.Path(path_type=Path), shell_complete=candidates.bundles)
@click.option("--format", "form", type=click.Choice([*FORMATS, *SENT]), required=True, help="What to write.")
@click.option("--output", metavar="PATH", help="Write it to this file.  [default: standard output]")
@json_option
def export(bundle: Path, form: str, output: str | None, *, as_json: bool) -> int:
    """Write what a bundle holds in the words of another tool, or the bundle itself so that it can be sent.

    Nothing is run or imported.

    \b
    vcr     a cassette of vcrpy (YAML), without what vcrpy has no room for
    har     a HAR 1.2 archive (JSON), for developer tools and proxies
    curl    a shell script that sends the requests with curl
    python  a script in Python that needs httpx, and nothing of replaykit
    pytest  a test file that needs pytest and httpx

    The scripts exit as a replay does: 1 if the bug is still there, 0 if it is gone, 125 if it can't be judged.

    \b
    ticket  the text of an issue (Markdown), with the bundle in it
    gz      the bundle in gzip, for forges that refuse .pd
    zip     the bundle in a zip, the same

    Out of these three, `replaykit import` gets the bundle back, to the byte. None is written where something in it
    looks like a secret.
    """  # noqa: D301  click wants a real \b
    from replaykit.archive import unpacked
    from replaykit.export import left_out
    from replaykit.reader import content_of, is_bundle, read_bytes

    if as_json and output in {None, "-"}:
        raise UsageError("Standard output can't hold both what is exported and JSON.", "Name a file with --output.")
    write = diverted() if as_json else None
    content = unpacked(content_of(bundle), str(bundle))
    read_bundle = read_bytes(content, str(bundle))
    if output is not None and output != "-" and Path(output).exists() and bundle.samefile(output):
        raise UsageError(f"{output} is the bundle that is read.", "Write to another file.")
    if output is not None and output != "-" and is_bundle(Path(output)):
        raise UsageError(f"{output} is a bundle, and would be lost.", "Write to another file.")
    written = _written(read_bundle, content, form, bundle)
    document = Document(output)
    if output is None or output == "-":
        _print(written, form)
    document.write(written)
    if document.trouble is not None:
        raise document.trouble
    if not read_bundle.whole:
        note(f"{bundle} has no end: whoever wrote it was stopped. What is there was exported.")
    lost = left_out(read_bundle, form) if form in FORMATS else None
    if lost:
        note(lost)
    answer(write, lambda: _exported(bundle, form, str(output), len(written), lost or None, whole=read_bundle.whole))
    return 0


def _exported(bundle: Path, form: str, output: str, size: int, lost: str | None, *, whole: bool) -> "Export":
    from replaykit.answer import Export

    return Export(bundle=str(bundle), whole=whole, format=form, output=output, size=size, left_out=lost)


def _written(bundle: "Bundle", content: bytes, form: str, path: Path) -> bytes:
    """Return what is to be written. Raises SecretFoundError where the bundle itself is not to be sent to others."""
    from replaykit import project
    from replaykit.export import render, sent
    from replaykit.scan import require_clean

    if form in FORMATS:
        return render(bundle, form).encode("utf-8")
    require_clean(content, str(path), project.policy_here())
    return sent(bundle, content, form, path)


def _print(written: bytes, form: str) -> None:
    """Print a document to the byte; where a person looks at it, without what a terminal would obey."""
    if sys.stdout.isatty():
        if form in {"gz", "zip"}:
            raise UsageError("A terminal can't show what is packed.", f"Name a file: --output bug.pd.{form}.")
        say(written.decode("utf-8").removesuffix("\n"))
        return
    try:
        sys.stdout.buffer.write(written)
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # a reader that has seen enough
        pass
    except OSError as error:
        raise UnwritableError(f"Standard output can't be written: {error.strerror}.", "Make room.") from None
