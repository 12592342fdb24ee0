"""The group of commands, and the way from what they raise to what is printed and to the exit code."""

import signal
from typing import TYPE_CHECKING

import click

from replaykit.cli.bisect import bisect
from replaykit.cli.bundles import migrate, repair, verify
from replaykit.cli.config import config
from replaykit.cli.console import complain, conclude
from replaykit.cli.demo import demo
from replaykit.cli.diff import diff
from replaykit.cli.exporting import export
from replaykit.cli.git_setup import git_setup
from replaykit.cli.importing import import_
from replaykit.cli.init import init
from replaykit.cli.integration import integration
from replaykit.cli.listing import list_
from replaykit.cli.noise import noise
from replaykit.cli.probe import probe
from replaykit.cli.proxy import proxy
from replaykit.cli.recheck import recheck
from replaykit.cli.replay import replay
from replaykit.cli.reshrink import reshrink
from replaykit.cli.scan import scan
from replaykit.cli.show import show
from replaykit.cli.status import close, reopen
from replaykit.cli.suite import brief_of, suite
from replaykit.cli.variables import attach, given, to_blame
from replaykit.errors import ReplaykitError, UsageError
from replaykit.version import BUNDLE_FORMAT, __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from replaykit.docket import Entry
    from replaykit.sitting import Brief

EXIT_CODES = """\b
Exit codes, the same for all commands:
  0    nothing found; the saved bug is fixed
  1    a bug was found; the saved bug is still there
  125  could not be judged here: service not healthy, another failure, stale
  128  bad bundle, model that can't be imported, a mistake in replaykit
  129  wrong option, missing file, wrong configuration
  130  Ctrl-C (143: TERM)

Each option has a variable in the environment too: REPLAYKIT_RUNS=500 for --runs.
`replaykit config` shows what counts, and where it comes from.
"""


@click.group(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message=f"replaykit {__version__} (bundle format {BUNDLE_FORMAT})")
def commands() -> None:
    """Find bugs in a live HTTP service, save each as one file, and replay it for ever."""


for command in (
    integration, replay, probe, bisect, recheck, suite, close, reopen, reshrink, show, list_, diff, noise, verify,
    repair, migrate, git_setup, scan, export, import_, init, demo, config,
    proxy,
):  # fmt: skip
    commands.add_command(command)
attach(commands)


def asked(arguments: list[str]) -> "tuple[Brief, Callable[[Entry], str]]":
    """Read what a suite is asked: by a command line, the environment and the project; see `brief_of`.

    Raises UsageError.
    """
    try:
        with suite.make_context("suite", arguments) as context:
            return brief_of(context)
    except click.ClickException as error:
        blamed = to_blame(error) if isinstance(error, click.UsageError) else ""
        raise UsageError(error.format_message(), blamed) from None


def run(arguments: list[str]) -> int:
    """Run a command line; return its exit code."""
    try:
        code = commands.main(arguments, prog_name="replaykit", standalone_mode=False, obj=run)
    except click.exceptions.Abort as abort:  # click's word for any KeyboardInterrupt, TERM's included
        interrupt = abort.__cause__ or abort.__context__
        code = 128 + getattr(interrupt, "signal_number", signal.SIGINT)
        conclude("interrupted", "stopped on request", code)
        return code
    except click.exceptions.NoArgsIsHelpError as error:
        complain("usage", error.format_message())
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
