"""replaykit recheck."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from replaykit.cli import candidates
from replaykit.cli.console import conclude, diverted, hush, printable, say
from replaykit.cli.options import loaded_for, read_profile
from replaykit.cli.page import command
from replaykit.cli.variables import warn
from replaykit.errors import StaleError

if TYPE_CHECKING:
    from replaykit.bundle import Bundle
    from replaykit.rechecking import Rechecked


@command("recheck")
@candidates.several("bundles", "BUNDLE...")
@click.option(
    "--profile",
    metavar="NAME",
    is_eager=True,
    expose_value=False,
    callback=read_profile,
    shell_complete=candidates.profiles,
    help="Take options from [tool.replaykit.profiles.NAME] in pyproject.toml.",
)
@click.option(
    "--model",
    metavar="MODULE:CLASS",
    shell_complete=candidates.classes,
    help="The model: package.module:Class, or file.py:Class.",
)
@click.option(
    "--adapter",
    metavar="MODULE:CLASS",
    shell_complete=candidates.classes,
    help="The adapter, whose annotations say which events there are.",
)
@click.option("--verbose", "-v", is_flag=True, help="Show bodies, and how the state changed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead.")
@click.pass_context
def recheck(context: click.Context, /, bundles: tuple[Path, ...], **options: Any) -> int:  # fmt: skip
    """Judge the recorded events and observations of bundles with today's model.

    No service is asked, no cassette is played, and nothing of the adapter runs. So an invariant that was repaired, or
    is new, is tried on old evidence: on saved bugs, and on runs that passed (integration --record).
    """
    hush()
    warn()
    from replaykit.bundle import require_whole
    from replaykit.reader import read
    from replaykit.verdict import worst

    write = diverted() if options["as_json"] else None
    loaded = [(path, read(path)) for path in bundles]
    for path, bundle in loaded:
        require_whole(bundle, str(path))
    outcomes = [(path, bundle, _rechecked(context, bundle)) for path, bundle in loaded]
    from replaykit.report.recheck import render, row

    rows = [row(str(path), rechecked) for path, _, rechecked in outcomes]
    code = worst(each.exit_code for each in rows)
    if write is not None:
        write(printable(render(rows, code)))
        return code
    for (path, bundle, rechecked), each in zip(outcomes, rows, strict=True):
        _show(path, bundle, rechecked, verbose=options["verbose"])
        conclude(each.verdict, each.reason, each.exit_code)
    if len(rows) > 1:
        words = Counter(each.verdict for each in rows)
        conclude("of all", ", ".join(f"{count} {word}" for word, count in words.items()), code)
    return code


def _rechecked(context: click.Context, bundle: "Bundle") -> "Rechecked":
    from replaykit import rechecking as journey
    from replaykit.blockade import blockaded
    from replaykit.verdict import Verdict

    with blockaded():
        model, adapter = loaded_for(context, bundle.provenance)
    recorded = bundle.judged
    try:
        return journey.recheck(bundle, model=model, adapter=adapter, latency=context.meta.get("latency", {}))
    except StaleError as error:
        return journey.Rechecked(
            verdict=Verdict.STALE, reason=str(error), recorded=recorded, still=False, trace=bundle.trace
        )


def _show(path: Path, bundle: "Bundle", rechecked: "Rechecked", *, verbose: bool) -> None:
    from replaykit.rechecking import MOST_STATES
    from replaykit.report import steps

    failure = rechecked.recorded
    what = "a run that passed" if failure is None else steps.one_line(failure.title)
    say(f"{path}: {what}, {steps.count(len(bundle.trace.steps), 'command')}, rechecked")
    say(steps.render(rechecked.trace, verbose=verbose))
    seen = rechecked.trace.failure
    if seen is not None and seen.traceback:
        say(f"  {seen.title} raised; this is a fault of the test code, not of the service:")
        say("\n".join(f"  {line}" for line in seen.traceback.rstrip().splitlines()))
    for each in rechecked.found:
        where = "at the end" if each.step is None else f"at step {each.step}"
        say(f"  not recorded: {steps.one_line(each.title)} {where}: {steps.one_line(each.message)}")
    for moved in rechecked.moved[:1]:
        count = len(rechecked.moved)
        say(f"  the projection differs after {steps.count(count, 'step')}, first after step {moved.step}:")
        for change in moved.changes[:MOST_STATES]:
            say(f"    {steps.one_line(change)}")
    for name, places in rechecked.unseen.items():
        say(f"  not judged: {name}, since what it looks at was not recorded ({', '.join(places[:MOST_STATES])})")
