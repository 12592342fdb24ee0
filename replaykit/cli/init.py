"""replaykit init."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from replaykit.cli.console import note, program, say
from replaykit.errors import UsageError

if TYPE_CHECKING:
    from replaykit.openapi.scaffold import Scaffold

MOST_NOTES = 20


@click.command(short_help="Write a first model, from an OpenAPI file.")
@click.option("--openapi", metavar="FILE", type=click.Path(path_type=Path), help="OpenAPI 3.0 or 3.1, JSON or YAML.")
@click.option("--output", metavar="FOLDER", type=click.Path(path_type=Path), help="Default: named like the package.")
@click.option("--name", metavar="NAME", help="Of the package. Default: from the title of the file.")
@click.option("--url", metavar="URL", help="Where the service is. Default: the first server that the file names.")
@click.option("--force", is_flag=True, help="Overwrite a generated file that was changed by hand.")
def init(openapi: Path | None, output: Path | None, name: str | None, url: str | None, force: bool) -> int:
    """Write a model and an adapter that run at once, as a package.

    generated.py has a command for each operation, with what the description promises of its answers. It is written
    anew each time, beside the description itself. model.py is yours: it is written once, and never touched again.

    Run it again when the API has changed: it says what is new, changed and gone. Nothing is sent anywhere.
    """
    from replaykit.openapi.description import read
    from replaykit.openapi.scaffold import scaffold

    if openapi is None:
        raise UsageError("There is nothing to make a model of.", "Name an OpenAPI file: --openapi openapi.yaml")
    chosen = name if name is not None or output is None else output.resolve().name.replace("-", "_")
    write(scaffold(read(openapi), name=chosen, url=url, origin=openapi.name), output, force=force)
    return 0


def write(made: "Scaffold", output: Path | None, *, force: bool) -> None:
    """Write a scaffold, and say what it is, what it lacks, and what to do next. Raises UsageError."""
    from replaykit.openapi.scaffold import GENERATED, OWN, put

    folder = output if output is not None else Path(made.name)
    is_first = not (folder / GENERATED).exists()
    differences = put(made, folder, force=force)
    count = len(made.commands)
    say(f"{count} command{'' if count == 1 else 's'} written to {folder / GENERATED}; {folder / OWN} is yours")
    for line in differences:
        say(f"  {line}")
    if not is_first and not differences:
        say("  nothing is new, changed or gone")
    for line in made.notes[:MOST_NOTES]:
        note(f"Note: {line}")
    if len(made.notes) > MOST_NOTES:
        note(f"Note: and {len(made.notes) - MOST_NOTES} more of this kind")
    for setting in made.settings:
        note(f"Note: say who you are with --set {setting}=..., or the variable {_variable(made.model, setting)}")
    model = f"{_module(folder)}.model:{made.model}"
    where = f"--url {shlex.quote(made.url)}" if made.url is not None else "--url http://127.0.0.1:8000"
    say("Next:")
    say(f"  {program()} integration --model {model} --mock")
    say(f"  {program()} integration --model {model} --adapter {model}Api {where}")


def _module(folder: Path) -> str:
    """Return the name by which a package is imported from here."""
    try:
        parts = folder.resolve().relative_to(Path.cwd().resolve()).parts
    except ValueError:
        parts = (folder.resolve().name,)
    return ".".join(parts)


def _variable(model: str, setting: str) -> str:
    from replaykit.openapi.word import snake

    return f"{snake(model)}_{setting}".upper()
