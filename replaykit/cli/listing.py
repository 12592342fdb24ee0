"""replaykit list."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from replaykit.cli.console import say
from replaykit.cli.options import status_option

if TYPE_CHECKING:
    from replaykit.status import Word


@click.command("list", short_help="List saved bugs, with what is known of them.")
@click.argument("paths", metavar="[FOLDER|BUNDLE]...", nargs=-1, type=click.Path(path_type=Path))
@status_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, with more of each.")
def list_(paths: tuple[Path, ...], *, only: "tuple[Word, ...]", as_json: bool) -> int:
    """List bundles, by default those of the project's failures/: one line for each. Nothing is run or imported.

    A line has the status of the bug with its ticket and note, as in status.toml beside the bundle; what failed, in how
    many steps, and in how many runs it showed when it was saved; the revision, and the size of the file.

    Exits with 0; with 128 or 129 if a bundle, or what is known of it, can't be read.
    """
    from replaykit import inventory, project

    told = inventory.inventory(paths or (Path(os.path.relpath(project.root() / "failures")),), only)
    if as_json:
        say(inventory.render(told))
        return told.exit_code
    for line in inventory.table(told):
        say(line)
    return told.exit_code
