"""The group of commands, and the way from what they raise to what is printed and to the exit code."""

import os
import signal
from typing import TYPE_CHECKING

import click

from replaykit.cli import variables
from replaykit.cli.console import complain, conclude, note
from replaykit.cli.roster import Program, Roster
from replaykit.cli.variables import given, to_blame
from replaykit.errors import ReplaykitError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from replaykit.docket import Entry
    from replaykit.sitting import Brief

WIDTH = 100  # columns that a help text takes at most

commands = Program(
    "replaykit",
    commands=Roster(),
    help="Find bugs in a live HTTP service, save each as one file, and replay it for ever.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDTH},
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
    try:
        code = commands.main(arguments, prog_name="replaykit", standalone_mode=False, obj=run)
    except click.exceptions.Abort as abort:  # click's word for any KeyboardInterrupt, TERM's included
        interrupt = abort.__cause__ or abort.__context__
        code = 128 + getattr(interrupt, "signal_number", signal.SIGINT)
        conclude("interrupted", "stopped on request", code)
        return code
    except click.exceptions.NoArgsIsHelpError as error:
        note(error.format_message())
        complain("usage", "No command is named.", "`replaykit COMMAND --help` says more of one.", 129)
        return 129
    except click.UsageError as error:
        context = error.ctx
        hint = f"Try '{context.command_path} --help'." if context is not None else ""
        complain("usage", error.format_message(), "\n".join(filter(None, (to_blame(error), hint))), 129)
        return 129
    except click.ClickException as error:
        complain("usage", error.format_message(), "", 129)
        return 129
    except ReplaykitError as error:
        from replaykit.verdict import exit_code

        code = exit_code(error)
        variables = given() if isinstance(error, UsageError) else []
        said = f"Set in the environment: {', '.join(variables)}." if variables else ""
        complain(error.slug, error.happened, "\n".join(filter(None, (error.todo, said))), code)
        return code
    return code if isinstance(code, int) else 0
