"""The group of commands, and the way from what they raise to what is printed and to the exit code."""

import os
import re
import signal
from typing import TYPE_CHECKING

import click

from replaykit.cli import variables
from replaykit.cli.console import complain, conclude, note, refuse
from replaykit.cli.page import SETTINGS
from replaykit.cli.roster import Program, Roster
from replaykit.cli.variables import given, to_blame
from replaykit.errors import ReplaykitError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from replaykit.docket import Entry
    from replaykit.sitting import Brief

commands = Program(
    "replaykit",
    commands=Roster(),
    help="Find bugs in a live HTTP service, save each as one file, and replay it for ever.",
    context_settings=SETTINGS,
)
variables.count(commands.commands)


def asked(arguments: list[str]) -> "tuple[Brief, Callable[[Entry], str]]":
    """Read what a suite is asked: by a command line, the environment and the project; see `brief_of`.

    Raises UsageError.
    """
    from replaykit.cli.suite import brief_of

    suite = commands.commands["suite"]
    try:
        with suite.make_context("suite", arguments) as context:
            return brief_of(context)
    except click.ClickException as error:
        blamed = to_blame(error) if isinstance(error, click.UsageError) else ""
        raise UsageError(error.format_message(), blamed) from None


def run(arguments: list[str]) -> int:
    """Run a command line; return its exit code."""
    if not arguments and (question := os.environ.get("_REPLAYKIT_COMPLETE")):
        from replaykit.cli.completion import answer

        return answer(commands, question)
    as_json = _asks_for_json(arguments)
    try:
        code = commands.main(arguments, prog_name="replaykit", standalone_mode=False, obj=run)
    except click.exceptions.Abort as abort:  # click's word for any KeyboardInterrupt, TERM's included
        interrupt = abort.__cause__ or abort.__context__
        code = 128 + getattr(interrupt, "signal_number", signal.SIGINT)
        if as_json:
            refuse("interrupted", "Stopped on request.", "", code)
        conclude("interrupted", "stopped on request", code)
        return code
    except click.exceptions.NoArgsIsHelpError as error:
        note(error.format_message())
        return _told("usage", "No command is named.", "`replaykit COMMAND --help` says more of one.", 129)
    except click.UsageError as error:
        if isinstance(error, click.NoSuchOption) and error.possibilities:
            error.possibilities[:] = [each for each in error.possibilities if each not in {"--help", "--version"}]
        named = f"replaykit {_command(arguments) or ''}".rstrip()
        seek = f"Try '{named if error.ctx is None else error.ctx.command_path} --help'."
        todo = "\n".join(filter(None, (to_blame(error), seek)))
        return _told("usage", _in_one_line(error.format_message()), todo, 129, as_json=as_json)
    except click.ClickException as error:
        return _told("usage", error.format_message(), "", 129, as_json=as_json)
    except ReplaykitError as error:
        from replaykit.verdict import exit_code

        variables = given() if isinstance(error, UsageError) else []
        said = f"Set in the environment: {', '.join(variables)}." if variables else ""
        todo = "\n".join(filter(None, (error.todo, said)))
        return _told(error.slug, error.happened, todo, exit_code(error), as_json=as_json)
    return code if isinstance(code, int) else 0


def _in_one_line(said: str) -> str:
    """Join what click lays out as a list, one choice in each line."""
    return re.sub(r":\s*\n\s*", ": ", re.sub(r",\n\s*", ", ", said))


def _told(slug: str, happened: str, todo: str, code: int, *, as_json: bool = False) -> int:
    """Tell of an error, to people and to programs; return its exit code."""
    if as_json:
        refuse(slug, happened, todo, code)  # first: what follows goes to standard error then
    complain(slug, happened, todo, code)
    return code


def _asks_for_json(arguments: list[str]) -> bool:
    """Say whether a command line asks for JSON, which has to be known also where it can't be read."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    said = os.environ.get("REPLAYKIT_JSON", "").lower() in {"1", "true", "t", "yes", "y", "on"}
    if "--json" in options or not said:
        return "--json" in options
    name = _command(arguments)
    known = [] if name is None else commands.commands[name].params
    return bool(arguments) and (name is None or any("--json" in each.opts for each in known))


def _command(arguments: list[str]) -> str | None:
    """Return the command that a command line begins with; None where there is none of that name."""
    name = next((each for each in arguments if not each.startswith("-")), None)
    return name if name in commands.commands else None
