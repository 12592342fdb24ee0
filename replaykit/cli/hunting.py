"""The options of a hunt: what ends it, what it knows, and that it goes on."""

import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from replaykit.cli.console import program, say, without_users
from replaykit.cli.options import read_time
from replaykit.errors import UsageError

if TYPE_CHECKING:
    from replaykit.result import Result

C = TypeVar("C", bound=Callable[..., Any])

ENDS = ("hunt", "time", "plateau")  # what ends a campaign, beside its number of runs


def hunt_options(command: C) -> C:
    """Add what makes a campaign a hunt."""
    options = [
        click.option("--hunt", type=click.IntRange(min=1), metavar="N",
                     help="Hunt: go on until N distinct new bugs are found."),
        click.option("--time", metavar="TIME", callback=read_time,
                     help="Begin no further run after this time: 90, 90s, 10m, 1h30m."),
        click.option("--plateau", type=click.IntRange(min=1), metavar="RUNS",
                     help="Stop when so many runs in a row found nothing new.  [default: 1,000 with --hunt]"),
        click.option("--resume", is_flag=True,
                     help="Go on with the hunt in the folder of --save-failures, where it was stopped."),
        click.option("--known", metavar="DIR", multiple=True, type=click.Path(file_okay=False, path_type=Path),
                     help="A folder with bundles of bugs that are known; may be given several times."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def limits(context: click.Context, options: dict[str, Any]) -> dict[str, Any]:
    """Return what ends a campaign, as the journey takes it: a hunt has no number of runs, unless it is said."""
    usual = usual_ends(context, options)
    runs, plateau = (usual.get(name, options[name]) for name in ("runs", "plateau"))
    ends = any(options[name] is not None for name in ENDS)
    if options["resume"] and not (ends and options["save_failures"]):
        raise UsageError(
            "--resume goes on with a hunt, and it is not said which, or what ends it.",
            "Name its folder with --save-failures, and say --hunt N, --time or --plateau.",
        )
    return {
        "max_runs": runs,
        "stop_after": options["hunt"],
        "max_time": options["time"],
        "plateau": plateau,
        "resume": options["resume"],
        "known": options["known"] or (),
    }


def tell_how_to_go_on(result: "Result", folder: str | None) -> None:
    """Say how a hunt goes on that was stopped before its end."""
    if folder is not None and result.terms.is_hunt and (result.interrupted is not None or result.died):
        command = without_users(resuming(sys.argv[1:]))
        say(f"go on: {program()} {command}")
        if "=..." in command:
            say("  (... stands for a value that is not shown; put it in)")


def resuming(words: Sequence[str]) -> str:
    """Write the command line that goes on with a hunt; the values of settings may be secrets, and are left out."""
    shown, is_setting = [], False
    for word in words:
        if is_setting:
            shown.append(f"{word.partition('=')[0]}=...")
        else:
            shown.append(re.sub(r"(?s)(--set=[^=]*=).*", r"\1...", word))
        is_setting = word == "--set" and not is_setting
    return shlex.join([*shown, *([] if "--resume" in words else ["--resume"])])


def usual_ends(context: click.Context, options: dict[str, Any]) -> dict[str, int | None]:
    """Return the defaults that are others in a hunt: runs without a limit, and a plateau."""
    from replaykit.terms import PLATEAU

    usual: dict[str, int | None] = {}
    if any(options.get(name) is not None for name in ENDS):
        if context.get_parameter_source("runs") is ParameterSource.DEFAULT:
            usual["runs"] = None
        if options["hunt"] is not None and options["plateau"] is None:
            usual["plateau"] = PLATEAU
    return usual
