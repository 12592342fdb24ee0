"""replaykit show."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from replaykit.cli import candidates
from replaykit.cli.console import program, say
from replaykit.cli.page import command
from replaykit.errors import UsageError

if TYPE_CHECKING:
    from replaykit.bundle import Provenance
    from replaykit.trace import Trace


@command("show")
@click.argument("bundle", type=click.Path(path_type=Path), shell_complete=candidates.bundles)
@click.option("--verbose", "-v", is_flag=True, help="Show headers and bodies, and how the state changed.")
@click.option("--plain", is_flag=True, help="Show all but the times, always in the same way: for git's textconv.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document with all of it.")
@click.option(
    "--html", metavar="PATH", help="Write a page for people to this file, with all of it, and print nothing else."
)
def show(bundle: Path, *, verbose: bool, plain: bool, as_json: bool, html: str | None) -> int:
    """Show what a bundle holds: the failure, each step, where it comes from. Nothing is run or imported.

    With --plain, a file that is no bundle is shown as it is, below the reason: else git could not show the
    difference.
    """
    if html is not None:
        if as_json or plain or verbose:
            raise UsageError("--html says all there is.", "Leave --plain, --verbose and --json out.")
        return _write_page(bundle, html)
    if as_json and (plain or verbose):
        raise UsageError("--json says all there is.", "Leave --plain and --verbose out.")
    if plain:
        return _show_plain(bundle)
    return _show_json(bundle) if as_json else _show(bundle, verbose=verbose)


def _show(bundle: Path, *, verbose: bool) -> int:
    from replaykit.bundle import Provenance
    from replaykit.placeholder import covered_in
    from replaykit.reader import read
    from replaykit.report import faults, steps

    read_bundle = read(bundle)
    origin, trace = read_bundle.origin, read_bundle.trace
    failure = trace.failure
    if failure is not None:
        say(f"{steps.one_line(failure.title)}  (fingerprint {failure.fingerprint})")
        say("\n".join(f"  {line}" for line in failure.message.splitlines()))
        for line in steps.evidence(covered_in(failure.message, failure.expected, failure.actual, failure.traceback)):
            say(line)
    else:
        say(f"the run ended as {trace.ending}{': ' + steps.one_line(trace.reason) if trace.reason else ''}")
    say(steps.render(trace, verbose=verbose))
    if trace.steps and trace.steps[-1].state is not None:
        say(f"  state afterwards: {trace.steps[-1].state.decode('utf-8', 'replace')[:400]}")
    say()
    _say_status(bundle, is_bug=failure is not None)
    if isinstance(origin, Provenance):
        _say_run(origin, trace)
    if origin.revision is not None:
        say(f"revision  {steps.one_line(origin.revision)}{' with changes' if origin.dirty else ''}")
    if origin.culprit is not None:
        say(f"culprit   {steps.one_line(origin.culprit)}")
    say(f"recorded  {steps.one_line(origin.recording)}")
    if not read_bundle.whole:
        say(steps.NO_END)
    elif failure is not None:
        again = f"{program()} replay {shlex.quote(str(bundle))}"
        place = "" if faults.needs_start(trace) else ", or --url URL"
        say(f'Replay it: {again} --offline, or live: {again} --start "COMMAND with {{port}}"{place}')
        say(steps.LIVE)
    return 0


def _show_plain(path: Path) -> int:
    from replaykit.errors import BundleError
    from replaykit.reader import content_of, read
    from replaykit.report import plain

    try:
        say(plain.render(read(path)))
    except BundleError as error:
        say(f"no bundle: {error.happened.replace(str(path), 'the file')}")
        for line in content_of(path).decode("utf-8", "replace").splitlines():
            say(f"  {line}")
    return 0


def _show_json(path: Path) -> int:
    from replaykit.portrait import portrait, render
    from replaykit.reader import read

    say(render(portrait(read(path), path)))
    return 0


def _write_page(path: Path, html: str) -> int:
    from replaykit.cli.html import Page

    page = Page(html, path)
    page.write(page.read(path))
    page.raise_trouble()
    return 0


def _say_status(path: Path, *, is_bug: bool) -> None:
    """Say what is known of a bug, as its folder's status file has it."""
    from replaykit.report import steps
    from replaykit.status import known_of

    said = known_of(path, is_bug=is_bug)
    if said:
        say(f"status    {steps.one_line(said)}")


def _say_run(provenance: "Provenance", trace: "Trace") -> None:
    """Say which model and adapter ran with which seed, and what shrinking did."""
    from replaykit.report import steps

    shrinking = provenance.shrinking
    if shrinking is not None:
        confirmed = "confirmed" if shrinking.confirmed else steps.confirmation(shrinking.runs, shrinking.failed)
        say(
            f"shrunk    from {shrinking.calls_before} to {len(trace.steps)} commands, "
            f"{shrinking.executions} executions, {shrinking.requests} requests, {confirmed}"
        )
    say(f"model     {steps.one_line(provenance.model)}  (digest {steps.one_line(provenance.model_digest)})")
    say(f"adapter   {steps.one_line(provenance.adapter)}")
    say(f"seed      {provenance.seed}  (run {provenance.run + 1} of the campaign with seed {provenance.campaign_seed})")
