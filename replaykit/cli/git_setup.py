"""replaykit git-setup."""

import shlex
import sys

import click

from replaykit.cli.console import answer, diverted, json_option, program, say
from replaykit.cli.page import command
from replaykit.errors import UsageError


@command("git-setup")
@click.option("--check", is_flag=True, help="Change nothing; exit with 129 if something is missing.")
@json_option
def git_setup(*, check: bool, as_json: bool) -> int:
    """Set up the git repository around the current folder for bundles.

    In its .gitattributes, bundles keep their line ends and are compared as `replaykit show --plain` shows them; the
    command for that is written into the repository's own configuration, which each clone has for itself. What is
    there already stays; doing it again changes nothing.
    """
    from pathlib import Path

    from replaykit import repository
    from replaykit.answer import GitSetup
    from replaykit.verdict import OK, USAGE

    write = diverted() if as_json else None
    missing = repository.set_up(Path.cwd(), f"{_lasting()} show --plain", write=not check)
    if not missing:
        say("Everything is set up.")
    elif check and write is None:
        raise UsageError(f"Missing: {'; '.join(missing)}.", "Do it with: replaykit git-setup")
    for each in missing:
        say(f"{'Missing' if check else 'Written'}: {each}.")
    code = USAGE if missing and check else OK
    answer(write, lambda: GitSetup(exit_code=code, missing=tuple(missing), written=bool(missing) and not check))
    return code


def _lasting() -> str:
    """Say how this program is called from anywhere: git stops at a diff whose command is not on its PATH."""
    from pathlib import Path

    called = Path(sys.argv[0])
    return shlex.quote(str(called.absolute())) if called.name == "replaykit" and called.exists() else program()
