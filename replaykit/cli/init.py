"""replaykit init."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from replaykit.cli.console import note, program, say
from replaykit.errors import UsageError

if TYPE_CHECKING:
    from replaykit.openapi.scaffold import Scaffold
    from replaykit.value import JsonData

MOST_NOTES = 20


@click.command(short_help="Write a first model, from an OpenAPI file.")
@click.option("--openapi", metavar="FILE", type=click.Path(path_type=Path), help="OpenAPI 3.0 or 3.1, JSON or YAML.")
@click.option(
    "--har",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Recorded traffic instead: a HAR archive of a browser, a proxy or an API client. May be given several times.",
)
@click.option(
    "--cassette",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Recorded traffic instead: a cassette of vcrpy, or a bundle. May be given several times.",
)
@click.option("--host", metavar="HOST", help="The API in recorded traffic. Default: the host that most is asked of.")
@click.option("--output", metavar="FOLDER", type=click.Path(path_type=Path), help="Default: named like the package.")
@click.option("--name", metavar="NAME", help="Of the package. Default: from the title of the file.")
@click.option(
    "--url",
    metavar="URL",
    help="Where the service is, for what is printed. Default: the first server of the file that is on this machine.",
)
@click.option("--force", is_flag=True, help="Overwrite a generated file that was changed by hand.")
def init(
    openapi: Path | None,
    har: tuple[Path, ...],
    cassette: tuple[Path, ...],
    host: str | None,
    output: Path | None,
    name: str | None,
    url: str | None,
    force: bool,
) -> int:
    """Write a model and an adapter that run at once, as a package.

    generated.py has a command for each operation, with what the description promises of its answers. It is written
    anew each time, beside the description itself. model.py is yours: it is written once, and never touched again.

    From recorded traffic, the description is made first: paths, parameters, schemas, and which answers gave what later
    requests asked with. What was not seen there is told when it comes, and is no failure. Mend the description, and
    name it with --openapi the next time.

    Run it again when the API has changed: it says what is new, changed and gone. Nothing is sent anywhere.
    """
    from replaykit.openapi.description import read
    from replaykit.openapi.scaffold import scaffold

    recorded = [*har, *cassette]
    if openapi is None and not recorded:
        raise UsageError(
            "There is nothing to make a model of.",
            "Name an OpenAPI file, --openapi openapi.yaml, or recorded traffic, --har session.har, --cassette bug.pd.",
        )
    if openapi is not None and (recorded or host is not None):
        raise UsageError(
            "A description is no recorded traffic.", "Give --openapi, or --har and --cassette with --host."
        )
    chosen = name if name is not None or output is None else output.resolve().name.replace("-", "_")
    if openapi is not None:
        made = scaffold(read(openapi), name=chosen, url=url, origin=openapi.name)
    else:
        document = _described(recorded, host, url)
        made = scaffold(document, name=chosen, url=url, origin=", ".join(sorted({each.name for each in recorded})))
        _require_own(made, output, force=force)
    write(made, output, force=force)
    return 0


def _described(recorded: list[Path], host: str | None, url: str | None) -> dict[str, "JsonData"]:
    """Describe recorded traffic, and say what it holds. Raises what can't be read, and UsageError."""
    from replaykit.project import policy_here
    from replaykit.traffic import describe, sessions
    from replaykit.traffic.sample import origin_of

    listed = sessions(recorded)
    known = {origin_of(each.request.url) for session in listed for each in session}
    if host is None and url is not None and origin_of(url) in known:
        host = url
    found = describe(listed, host=host, title=_title(recorded), policy=policy_here())
    note(f"{found.origin}: {found.uses} use{'' if found.uses == 1 else 's'} of an API")
    if found.left_out:
        note(f"Left out: {', '.join(f'{count} {reason}' for reason, count in found.left_out.items())}")
    if found.others:
        note(f"Another host may have an API too (--host): {', '.join(found.others[:5])}")
    for line in found.notes[:MOST_NOTES]:
        note(f"Note: {line}")
    if len(found.notes) > MOST_NOTES:
        note(f"Note: and {len(found.notes) - MOST_NOTES} more of this kind")
    return found.document


def _title(recorded: list[Path]) -> str:
    """Name a service after its first recording, whatever order they are given in."""
    return min(each.name for each in recorded).partition(".")[0]


def _require_own(made: "Scaffold", output: Path | None, *, force: bool) -> None:
    """Raise UsageError where a description that was mended by hand would be lost."""
    from replaykit.openapi.scaffold import DESCRIPTION
    from replaykit.traffic.document import is_mended

    path = (output if output is not None else Path(made.name)) / DESCRIPTION
    if not force and path.is_file() and is_mended(path.read_text(encoding="utf-8", errors="replace")):
        raise UsageError(
            f"{path} was changed by hand, or is no description of traffic, and would be lost.",
            f"Make the model of it, --openapi {path}; or give --force.",
        )


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
    say(f"  {program()} lint {model}")
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
