"""replaykit suite."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click

from replaykit.cli import candidates
from replaykit.cli.console import conclude, diverted, is_live, note, on_github, printable, program, say, show
from replaykit.cli.integration import replay_command
from replaykit.cli.options import (
    let_several_urls,
    order_option,
    said_here,
    service_options,
    settle,
    status_option,
    times_option,
)
from replaykit.cli.page import command
from replaykit.cli.reports import raise_first
from replaykit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from replaykit.cli.screen import Line, Screen
    from replaykit.cli.ticker import Ticker
    from replaykit.docket import Entry
    from replaykit.publishing import Publishing
    from replaykit.sitting import Brief

HEARTBEAT = 15.0  # seconds between two lines where there is no terminal


@command("suite")
@click.argument(
    "paths", metavar="[FOLDER|BUNDLE...]", nargs=-1, type=click.Path(path_type=Path), shell_complete=candidates.bundles
)
@service_options
@click.option("--offline", is_flag=True, help="Replay against the bundles' own cassettes, without a service.")
@click.option("--lenient", is_flag=True, help="An open bug that does not show any more is told, and is no failure.")
@times_option
@order_option
@click.option(
    "--jobs", type=click.IntRange(1, 64), metavar="N", help="Processes, each with its own service.  [default: 1]"
)
@status_option
@click.option(
    "-k",
    "--select",
    "text",
    metavar="TEXT",
    default="",
    shell_complete=candidates.texts,
    help="Only those with this in their path or ticket.",
)
@click.option("-x", "--fail-fast", is_flag=True, help="End with the first that is not as expected.")
@click.option(
    "--report",
    "reports",
    metavar="FORMAT[=PATH]",
    multiple=True,
    help="Write a report: terminal, junit, json, markdown or github; - is standard output; may be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the JSON report, and nothing else, to standard output.")
@click.option("--quiet", is_flag=True, help="Only what is not as expected, and no progress.")
@click.option("--verbose", "-v", is_flag=True, help="Say of each why, and show the steps of what is not as expected.")
@click.pass_context
def suite(context: click.Context, /, paths: tuple[Path, ...], **options: Any) -> int:
    """Replay the bundles of a folder, by default of the project's failures/, and hold each against its status.

    What is known of a bug (open, fixed or wontfix, a ticket, a note) stands in status.toml beside its bundle; see
    `replaykit close`. Each bundle is replayed at the service that the command line names, or else with the profile
    that has its model and its adapter.
    """
    settle(context, options)
    if options["order"] != "strict" and not options["offline"]:
        raise UsageError("--order says how a cassette is played.", "Add --offline, or leave it out.")
    from replaykit import court
    from replaykit.publishing import Publishing

    publishing = Publishing(
        [*options["reports"], *(["json=-"] if options["as_json"] else [])], github=on_github() and not options["quiet"]
    )
    write = diverted() if publishing.is_printed else _print
    publishing.begin(_print)
    said, otherwise = _said(context, options)
    docket = None
    try:
        with _Progress(quiet=options["quiet"], verbose=options["verbose"]) as progress:
            docket = court.run(
                list(paths) or None,
                offline=options["offline"],
                lenient=options["lenient"],
                times=options["times"],
                more={"order": options["order"]},
                jobs=options["jobs"] or max(1, len(said["url"]) if isinstance(said.get("url"), tuple) else 1),
                only=options["only"],
                text=options["text"],
                fail_fast=options["fail_fast"],
                profile=context.meta.get("profile"),
                said=said,
                otherwise=otherwise,
                watcher=progress,
                command=lambda entry: _command(context, entry, offline=options["offline"]),
            )
        publishing.publish(docket, write)
        _tell(publishing, docket.lacking)
    finally:
        publishing.finish(docket, _print)
    conclude(docket.outcome, docket.conclusion, docket.exit_code)
    raise_first(publishing.troubles)
    return docket.exit_code


let_several_urls(suite)


def brief_of(context: click.Context) -> "tuple[Brief, Callable[[Entry], str]]":
    """Return what a command line asks of a sitting, and what writes the command that replays a bundle of it."""
    options = context.params
    settle(context, options)
    from replaykit.sitting import Brief

    said, otherwise = _said(context, options)
    profile, offline = context.meta.get("profile"), options["offline"]
    more = {"order": options["order"]}
    brief = Brief(offline, options["lenient"], options["times"], said, otherwise, profile, more=more)
    return brief, lambda entry: _command(context, entry, offline=offline).removeprefix(program()).strip()


def _said(context: click.Context, options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what counts for all bundles, and which model and adapter count for those from elsewhere."""
    said = said_here(context, options)
    given = {name: options[name] for name in ("model", "adapter") if options[name]}
    on_line = click.core.ParameterSource.COMMANDLINE
    said |= {name: each for name, each in given.items() if context.get_parameter_source(name) is on_line}
    return said, given


def _command(context: click.Context, entry: "Entry", *, offline: bool) -> str:
    """Write the command that replays a bundle as it was replayed here."""
    words = replay_command(entry.bundle, context)
    if entry.profile is not None and " --profile " not in words:
        words += f" --profile {entry.profile}"
    return f"{words} --offline" if offline else words


def _tell(publishing: "Publishing", lacking: tuple[str, ...]) -> None:
    """Say which reports were written, and which statuses are of no bundle."""
    from replaykit.report import roll

    for path in publishing.written:
        say(f"report written: {path}")
    for line in roll.warnings(lacking):
        show(line)


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


class _Progress:
    """Prints a line for each bundle when it is judged; on standard error, how far it is. In `with`."""

    def __init__(self, *, quiet: bool, verbose: bool) -> None:
        self._quiet, self._verbose = quiet, verbose
        self._bundles, self._judged, self._bad = 0, 0, 0
        self._began = time.monotonic()
        self._screen: Screen | None = None
        self._ticker: Ticker | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._screen, self._ticker):
            if each is not None:
                each.stop()

    def began(self, bundles: int) -> None:
        """Begin to tell."""
        self._bundles = bundles
        if self._quiet:
            return
        if is_live():
            from replaykit.cli.screen import Screen

            self._screen = Screen(self._lines)
            self._screen.start()
            return
        from replaykit.cli.ticker import Ticker

        self._ticker = Ticker(HEARTBEAT, lambda: note(self._text()))
        self._ticker.start()

    def judged(self, entry: "Entry") -> None:
        """Tell of a bundle."""
        from replaykit.report import roll

        self._judged += 1
        self._bad += entry.exit_code != 0
        if entry.exit_code or not self._quiet:
            show("\n".join(roll.lines(entry, verbose=self._verbose)))

    def _text(self) -> str:
        bad = f", {self._bad} not as expected" if self._bad else ""
        return f"judged {self._judged} of {self._bundles}{bad}, {time.monotonic() - self._began:.0f} s"

    def _lines(self, width: int, height: int) -> "list[Line]":
        del width, height
        return [(printable(self._text()), "dim")]
