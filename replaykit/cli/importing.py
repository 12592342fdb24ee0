"""replaykit import."""

import shlex
from pathlib import Path

import click

from replaykit.cli.console import program, say
from replaykit.errors import UnwritableError, UsageError


@click.command("import", short_help="Read what another tool has recorded, as a bundle.")
@click.argument("recording", type=click.Path(path_type=Path))
@click.option("--output", metavar="PATH", required=True, type=click.Path(path_type=Path), help="The bundle to write.")
def import_(recording: Path, output: Path) -> int:
    """Read what another tool has recorded, and write it as a bundle. Nothing is run, imported or fetched.

    Which format it is is found out: a cassette of vcrpy, of VCR for Ruby or of betamax, in YAML or JSON; a HAR
    archive.
    """
    from replaykit.importing import read
    from replaykit.writer import save

    bundle = read(recording)
    if output.exists() and recording.samefile(output):
        raise UsageError(f"{output} is the file that is read.", "Write the bundle to another one.")
    if str(output) == "-" or output.is_dir():
        raise UnwritableError(f"{output} is no file to write a bundle to.", "Name one: --output bug.pd.")
    save(output, bundle.origin, bundle.trace)
    count = bundle.trace.requests
    requests = "1 request" if count == 1 else f"{count} requests"
    say(f"{requests} written to {output}")
    say(f"Look at it: {program()} show {shlex.quote(str(output))}")
    return 0
