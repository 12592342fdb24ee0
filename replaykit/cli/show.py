"""replaykit show."""

import shlex
from pathlib import Path

import click

from replaykit.cli.console import program, say


@click.command(short_help="Show what a bundle holds.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--verbose", "-v", is_flag=True, help="Show bodies, and how the state changed.")
def show(bundle: Path, *, verbose: bool) -> int:
    """Show what a bundle holds: the failure, each step, where it comes from. Nothing is run or imported."""
    from replaykit.bundle import read
    from replaykit.report import steps

    read_bundle = read(bundle)
    provenance, trace = read_bundle.provenance, read_bundle.trace
    failure = trace.failure
    if failure is not None:
        say(f"{failure.kind} {failure.name}  (fingerprint {failure.fingerprint})")
        say(f"  {failure.message}")
    else:
        say(f"the run ended as {trace.ending}{': ' + trace.reason if trace.reason else ''}")
    say(steps.render(trace, verbose=verbose))
    if trace.steps and trace.steps[-1].state is not None:
        say(f"  state afterwards: {trace.steps[-1].state.decode('utf-8', 'replace')[:400]}")
    say()
    shrinking = provenance.shrinking
    if shrinking is not None:
        confirmed = "confirmed" if shrinking.confirmed else steps.confirmation(shrinking.runs, shrinking.failed)
        say(
            f"shrunk    from {shrinking.calls_before} to {len(trace.steps)} commands, "
            f"{shrinking.executions} executions, {shrinking.requests} requests, {confirmed}"
        )
    say(f"model     {provenance.model}  (digest {provenance.model_digest})")
    say(f"adapter   {provenance.adapter}")
    say(f"seed      {provenance.seed}  (run {provenance.run + 1} of campaign {provenance.campaign_seed})")
    if provenance.revision is not None:
        say(f"revision  {provenance.revision}{' with changes' if provenance.dirty else ''}")
    versions = [f"Python {provenance.python}", f"httpx {provenance.httpx}"] if provenance.python else []
    say(f"recorded  {provenance.recorded or 'at an unknown time'} by {', '.join([provenance.tool, *versions])}")
    if not read_bundle.whole:
        say("The file has no end: whoever wrote it was stopped. It can be looked at, not judged.")
    elif failure is not None:
        again = f"{program()} replay {shlex.quote(str(bundle))}"
        say(f'Replay it: {again} --offline, or live: {again} --start "COMMAND with {{port}}", or --url URL')
    return 0
