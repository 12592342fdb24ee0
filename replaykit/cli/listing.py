"""replaykit list."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from replaykit.cli import candidates
from replaykit.cli.console import say
from replaykit.cli.options import status_option
from replaykit.cli.page import command

if TYPE_CHECKING:
    from replaykit.status import Word


@command("list")
@click.argument(
    "paths", metavar="[FOLDER|BUNDLE]...", nargs=-1, type=click.Path(path_type=Path), shell_complete=candidates.bundles
)
@status_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, with more of each.")
def list_(paths: tuple[Path, ...], *, only: "tuple[Word, ...]", as_json: bool) -> int:
    """List bundles, by default those of the project's failures/: one line for each. Nothing is run or imported.

    A line has the status of the bug with its ticket and note, as in status.toml beside the bundle; what failed, in how
    many steps, and in how many runs it showed when it was saved; the revision, and the size of the file.
    """
    from replaykit import inventory, project

    told = inventory.inventory(paths or (Path(os.path.relpath(project.root() / "failures")),), only)
    if as_json:
        say(inventory.render(told))
        return told.exit_code
    for line in inventory.table(told):
        say(line)
    return told.exit_code
