"""replaykit noise."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from replaykit.cli import candidates
from replaykit.cli.console import answer, conclude, diverted, json_option, note, printable, say
from replaykit.cli.options import loaded_for, service_options, settle, staged
from replaykit.cli.page import command
from replaykit.errors import UnwritableError, UsageError

if TYPE_CHECKING:
    from replaykit.answer import Noise
    from replaykit.proposal import Proposed


@command("noise")
@click.argument("bundle", type=click.Path(path_type=Path), shell_complete=candidates.bundles)
@service_options
@click.option(
    "--repeat",
    metavar="N",
    type=click.IntRange(2, 100),
    default=2,
    show_default=True,
    help="How often to run the sequence.",
)
@click.option(
    "--output", metavar="PATH", type=click.Path(path_type=Path, dir_okay=False), help="Write the rules into a new file."
)
@json_option
@click.pass_context
def noise(context: click.Context, /, bundle: Path, output: Path | None, **options: Any) -> int:
    """Run a bundle's sequence several times against one build, and propose rules for what differs between the runs.

    The rules are printed as TOML, for [[tool.replaykit.noise]] in pyproject.toml; none is applied by itself. What may
    not be noise is refused, and said in comments.
    """
    settle(context, options)
    if output is not None and output.exists():
        raise UsageError(f"{output} is there already.", "Name a file that is not; rules are put together by hand.")
    import time

    write = diverted() if options["as_json"] else None
    from replaykit import project, proposal
    from replaykit.adapter import Adapters, read_settings
    from replaykit.binding import bound
    from replaykit.bundle import require_whole
    from replaykit.gate import rules_here
    from replaykit.reader import read
    from replaykit.redact import Redactor
    from replaykit.report.steps import count
    from replaykit.verdict import FOUND, OK

    known, found = rules_here(), read(bundle)
    require_whole(found, str(bundle))
    model, adapter = loaded_for(context, found.provenance)
    stage = staged(context, found.provenance, options)
    read_settings(adapter, stage.settings)
    found = found.replace(trace=bound(found.trace, project.policy_here(), os.environ))
    with stage.opened(found.provenance) as running:
        adapters = Adapters(model, adapter, running.url, stage.settings, stage.transport, running)
        try:
            traces = proposal.runs_of(found, adapters, options["repeat"])
        finally:
            adapters.close()
    proposed = proposal.propose(traces, known, now=time.time())
    redactor = Redactor(project.policy_here())  # what was seen was never covered
    for trace in traces:
        redactor.look_at(trace.interactions())
    text = redactor.message(proposal.render(proposed))
    if text and output is None:
        say(text)
    if text and output is not None:
        _write(output, printable(text))
        note(f"{output} holds the rules. They count once they stand in pyproject.toml.")
    code = FOUND if proposed.refused else OK
    said = f"{count(len(proposed.rules), 'rule')} proposed, {count(len(proposed.refused), 'place')} refused"
    conclude("noise" if text else "no noise", f"{said}, from {len(traces)} runs that ended alike", code)
    answer(write, lambda: _proposed(bundle, len(traces), proposed, text, code))
    return code


def _proposed(bundle: Path, runs: int, proposed: "Proposed", text: str, code: int) -> "Noise":
    """Say the same as the text does, which is covered: the rules are read out of it."""
    import tomllib

    from replaykit.answer import Noise, Refused

    rules = tomllib.loads(text).get("tool", {}).get("replaykit", {}).get("noise", [])
    refused = tuple(Refused(place=each.place, why=each.why) for each in proposed.refused)
    return Noise(exit_code=code, bundle=str(bundle), runs=runs, rules=tuple(rules), refused=refused, toml=text)


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(f"{text}\n")
    except OSError as error:
        raise UnwritableError(f"{path} can't be written: {error.strerror}.", "Name another file.") from None
