"""Reports on the command line: which are asked for, and where the text for people goes beside them."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from replaykit.cli.console import diverted, note, on_github, say
from replaykit.errors import UnwritableError, UsageError

if TYPE_CHECKING:
    from replaykit.reporting import Reports

C = TypeVar("C", bound=Callable[..., Any])


def report_options(command: C) -> C:
    """Add what says which reports are written."""
    options = [
        click.option("--report", metavar="FORMAT[=PATH]", multiple=True,
                     help="Write a report: terminal, markdown, junit, json, ndjson, ctrf, html or github; - is "
                     "standard output; may be given several times."),
        click.option("--report-path", metavar="PATH", help="Where the report goes that has no path of its own.  "
                     "[default: reports/integration_TIME.ENDING]"),
        click.option("--json", "as_json", is_flag=True,
                     help="Print the JSON report, and nothing else, to standard output."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@contextmanager
def reported(options: dict[str, Any], command: Callable[[str], str]) -> Iterator["Reports"]:
    """Give who writes the reports that are asked for; `command` writes how a bundle is replayed.

    Where a report goes to standard output, all else goes to standard error. On GitHub, what a service says is no
    command for the runner. Raises UsageError, UnwritableError.
    """
    from replaykit.journal import NAME
    from replaykit.reporting import Report, Reports, asked_for

    taken = [Path(options["coverage"])] if options["coverage"] not in {None, "-"} else []
    if options["save_failures"]:
        taken.append(Path(options["save_failures"], NAME))
    if len({os.path.realpath(each) for each in taken}) < len(taken):
        raise UsageError(f"{taken[0]} is the journal of the hunt.", "Give the coverage a path of its own.")
    reports = asked_for(
        [*(options["report"] or ()), *(["json=-"] if options["as_json"] else [])], options["report_path"], taken
    )
    is_printed = any(each.path == "-" for each in reports)
    if is_printed and options["coverage"] == "-":
        raise UsageError("Standard output can't hold a report and the coverage.", "Write one of them to a file.")
    if on_github() and not options["quiet"]:
        reports.append(Report("github"))
    watcher = Reports(
        [each for each in dict.fromkeys(reports) if each != Report("terminal")],  # that is printed anyway
        command=lambda path: command(str(path)),
        write=diverted() if is_printed else None,
        guarded=on_github(),
    )
    try:
        yield watcher
    finally:
        watcher.finish()


def tell(reports: "Reports") -> None:
    """Say which reports were written, and of those that could not be, why; then print annotations."""
    for path in reports.written:
        say(f"report written: {path}")
    reports.finish()


def raise_first(troubles: list[UnwritableError]) -> None:
    """Tell of all reports that could not be written; raise the trouble of the last one."""
    for trouble in troubles[:-1]:
        note(f"error[{trouble.slug}]: {trouble.happened}")
    if troubles:
        raise troubles[-1]
