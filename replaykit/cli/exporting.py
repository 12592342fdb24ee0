"""replaykit export."""

import sys
from pathlib import Path

import click

from replaykit.cli.console import note, say
from replaykit.document import Document
from replaykit.errors import UnwritableError, UsageError
from replaykit.export import FORMATS


@click.command("export", short_help="Write a bundle in the words of another tool.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(list(FORMATS)), required=True, help="What to write.")
@click.option("--output", metavar="PATH", help="Write it to this file.  [default: standard output]")
def export(bundle: Path, form: str, output: str | None) -> int:
    """Write what a bundle holds in the words of another tool. Nothing is run or imported.

    \b
    vcr     a cassette of vcrpy (YAML), without what vcrpy has no room for
    har     a HAR 1.2 archive (JSON), for developer tools and proxies
    curl    a shell script that sends the requests with curl
    python  a script in Python that needs httpx, and nothing of replaykit
    pytest  a test file that needs pytest and httpx

    The last three exit as a replay does: 1 if the bug is still there, 0 if it is gone, 125 if it can't be judged.
    """  # noqa: D301  click wants a real \b
    from replaykit.export import left_out, render
    from replaykit.reader import read

    read_bundle = read(bundle)
    if output is not None and output != "-" and Path(output).exists() and bundle.samefile(output):
        raise UsageError(f"{output} is the bundle that is read.", "Write to another file.")
    document = Document(output)
    text = render(read_bundle, form)
    if output is None or output == "-":
        _print(text)
    document.write(text)
    if document.trouble is not None:
        raise document.trouble
    if not read_bundle.whole:
        note(f"{bundle} has no end: whoever wrote it was stopped. What is there was exported.")
    if lost := left_out(read_bundle, form):
        note(lost)
    return 0


def _print(text: str) -> None:
    """Print a document to the byte; where a person looks at it, without what a terminal would obey."""
    if sys.stdout.isatty():
        say(text.removesuffix("\n"))
        return
    try:
        sys.stdout.buffer.write(text.encode("utf-8"))
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # a reader that has seen enough
        pass
    except OSError as error:
        raise UnwritableError(f"Standard output can't be written: {error.strerror}.", "Make room.") from None
