"""replaykit init."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from replaykit.cli.console import answer, diverted, json_option, note, program, say
from replaykit.cli.page import command
from replaykit.errors import UsageError

if TYPE_CHECKING:
    from replaykit.answer import Answer
    from replaykit.openapi.scaffold import Scaffold
    from replaykit.value import JsonData

MOST_NOTES = 20


@command("init")
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
@json_option
def init(
    openapi: Path | None,
    har: tuple[Path, ...],
    cassette: tuple[Path, ...],
    host: str | None,
    output: Path | None,
    name: str | None,
    url: str | None,
    force: bool,
    as_json: bool,
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
    from replaykit.openapi.scaffold import DESCRIPTION, scaffold

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
    writing = diverted() if as_json else None
    chosen = name if name is not None or output is None else output.resolve().name.replace("-", "_")
    told: tuple[str, ...] = ()
    if openapi is not None:
        document = read(openapi)
        made = scaffold(document, name=chosen, url=url, origin=openapi.name)
        folder = _folder(made, output)
        if (folder / DESCRIPTION).exists() and (folder / DESCRIPTION).samefile(openapi):
            made = scaffold(document, name=chosen, url=url, origin=openapi.name, seals=False)
        else:
            _require_own(folder, force=force)
    else:
        described, told = _described(recorded, host, url)
        origin = ", ".join(sorted({each.name for each in recorded}))
        made = scaffold(described, name=chosen, url=url, origin=origin)
        folder = _folder(made, output)
        _require_own(folder, force=force)
    differences = write(made, folder, force=force, reset=_reset_of(described if openapi is None else document))
    answer(writing, lambda: _answer(made, folder, differences, told))
    return 0


def _folder(made: "Scaffold", output: Path | None) -> Path:
    return output if output is not None else Path(made.name)


def _answer(made: "Scaffold", folder: Path, differences: tuple[str, ...], told: tuple[str, ...]) -> "Answer":
    from replaykit.answer import Init

    model = f"{_module(folder)}.model:{made.model}"
    return Init(
        folder=str(folder),
        model=model,
        adapter=f"{model}Api",
        commands=made.commands,
        differences=differences,
        notes=(*told, *made.notes),
        settings=made.settings,
        url=made.url,
        health=made.health,
    )


def _described(
    recorded: list[Path], host: str | None, url: str | None
) -> tuple[dict[str, "JsonData"], tuple[str, ...]]:
    """Describe recorded traffic, say what it holds, and return the notes too.

    Raises what can't be read, and UsageError.
    """
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
    return found.document, tuple(found.notes)


def _title(recorded: list[Path]) -> str:
    """Name a service after its first recording, whatever order they are given in."""
    return min(each.name for each in recorded).partition(".")[0]


def _require_own(folder: Path, *, force: bool) -> None:
    """Raise UsageError where a description that was mended by hand would be lost."""
    from replaykit.openapi.description import is_mended
    from replaykit.openapi.scaffold import DESCRIPTION

    path = folder / DESCRIPTION
    if not force and path.is_file() and is_mended(path.read_text(encoding="utf-8", errors="replace")):
        raise UsageError(
            f"{path} was changed by hand, or was not made by replaykit init, and would be lost.",
            f"Make the model of it, --openapi {path}; or give --force.",
        )


def _reset_of(document: "JsonData") -> str:
    """Say where recorded traffic asked for a clean state with POST, as --reset-url takes it; "" where it did not."""
    from replaykit.traffic.document import RESET

    said = document.get(RESET) if isinstance(document, dict) else None
    return said.removeprefix("POST ") if isinstance(said, str) and said.startswith("POST /") else ""


def write(made: "Scaffold", folder: Path, *, force: bool, reset: str = "") -> tuple[str, ...]:
    """Write a scaffold, say what it is, what it lacks, and what to do next; return what differs. Raises UsageError."""
    from replaykit.openapi.scaffold import GENERATED, OWN, put

    module = _module(folder)
    _require_free(module.partition(".")[0])
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
    if Path.cwd().resolve() not in folder.resolve().parents:
        note(f"Note: the package is found in {folder.resolve().parent}, or with that on PYTHONPATH")
    model = shlex.quote(f"{module}.model:{made.model}")
    adapter = shlex.quote(f"{module}.model:{made.model}Api")
    where = f"--url {shlex.quote(made.url or 'http://127.0.0.1:8000')} --health {shlex.quote(made.health)}"
    if reset:
        where += f" --reset-url {shlex.quote(reset)}"
    say("Next:")
    say(f"  {program()} lint {model} --adapter {adapter}")
    say(f"  {program()} integration --model {model} --adapter {adapter} {where}")
    return differences


def _module(folder: Path) -> str:
    """Return the name by which a package is imported from here. Raises UsageError where it has none."""
    try:
        parts = folder.resolve().relative_to(Path.cwd().resolve()).parts
    except ValueError:
        parts = (folder.resolve().name,)
    if not parts:
        raise UsageError(
            "The folder that you are in can't be imported from here, and so it can be no package.",
            "Give --output the name of a folder in it.",
        )
    if any("." in each or ":" in each or not each for each in parts):
        raise UsageError(
            f"{'/'.join(parts)} can't be imported: there is a dot or a colon in its name.", "Choose another --output."
        )
    return ".".join(parts)


def _require_free(name: str) -> None:
    """Raise UsageError where another package of this name would be imported, or could no longer be."""
    import sys
    from importlib.machinery import PathFinder

    here = Path.cwd().resolve()
    others = [each for each in sys.path if Path(each).resolve() != here]
    found = PathFinder.find_spec(name, others)
    if name in {*sys.stdlib_module_names, "test"} or (found is not None and found.origin is not None):
        raise UsageError(
            f"There is a package {name} already, which is imported instead of the one that is to be written.",
            "Choose another --name, or --output.",
        )


def _variable(model: str, setting: str) -> str:
    from replaykit.openapi.word import snake

    return f"{snake(model)}_{setting}".upper()
