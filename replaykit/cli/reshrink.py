"""replaykit reshrink."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from replaykit.cli import candidates
from replaykit.cli.console import answer, conclude, diverted, json_option, note, say, warn_of_size
from replaykit.cli.options import loaded_for, service_options, settle, staged
from replaykit.cli.page import command

if TYPE_CHECKING:
    from replaykit.answer import Reshrink as Answered
    from replaykit.reshrinking import Reshrunk


@command("reshrink")
@click.argument("bundle", type=click.Path(path_type=Path), shell_complete=candidates.bundles)
@service_options
@click.option(
    "--output", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Write here, and leave BUNDLE."
)
@click.option(
    "--save-failures",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Save other failures that are met on the way in this folder.",
)
@click.option(
    "--shrink-executions",
    "executions",
    type=click.IntRange(min=1),
    metavar="N",
    default=2000,
    show_default=True,
    help="Runs in which it may be shrunk.",
)
@click.option(
    "--shrink-time",
    "seconds",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    default=300,
    show_default=True,
    help="How long it may be shrunk.",
)
@click.option("--with-times", is_flag=True, help="Save with times, dates, request ids and the port.")
@click.option("--quiet", is_flag=True, help="No progress.")
@json_option
@click.pass_context
def reshrink(context: click.Context, /, bundle: Path, **options: Any) -> int:
    """Search for a simpler sequence that fails as a saved bug does, from its file alone.

    The file is replaced only if what was found is simpler, and fails at least as often. Otherwise it stays as it
    is, to the byte. Ctrl-C ends the search, and keeps the best so far.
    """
    settle(context, options)
    write = diverted() if options["as_json"] else None
    from replaykit import reshrinking as journey
    from replaykit.adapter import read_settings
    from replaykit.bundle import require_whole
    from replaykit.cli.progress import ShrinkProgress
    from replaykit.reader import read
    from replaykit.report.steps import count
    from replaykit.shrink import Budget

    saved = read(bundle)
    require_whole(saved, str(bundle))
    provenance, failure = saved.provenance, saved.failure
    model, adapter = loaded_for(context, provenance)
    stage = staged(context, provenance, options)
    read_settings(adapter, stage.settings)  # wrong ones are told before anything is started
    if not options["quiet"]:
        note(f"{bundle}: {failure.title}, {count(len(saved.trace.steps), 'command')}")
    progress = ShrinkProgress(f"{bundle}: {failure.title}", quiet=options["quiet"])
    with stage.opened(provenance) as running, progress:
        reshrunk = journey.reshrink(
            saved,
            bundle,
            model=model,
            adapter=adapter,
            url=running.url,
            output=options["output"],
            save_failures=options["save_failures"],
            settings=stage.settings,
            latency=stage.latency,
            transport=stage.transport,
            budget=Budget(options["executions"], options["seconds"]),
            watcher=progress,
            with_times=options["with_times"],
            free_port=stage.has_free_port,
            running=running,
        )
    lines = _lines(reshrunk)
    if lines:
        say("\n".join(lines))
    if reshrunk.path is not None:
        warn_of_size(reshrunk.path)
    word, reason = _conclusion(reshrunk, bundle)
    conclude(word, reason, reshrunk.exit_code)
    answer(write, lambda: _answered(reshrunk, bundle))
    return reshrunk.exit_code


def _answered(reshrunk: "Reshrunk", bundle: Path) -> "Answered":
    from replaykit.answer import Met
    from replaykit.answer import Reshrink as Answered

    finding, shrunk = reshrunk.finding, reshrunk.finding.shrunk
    return Answered(
        exit_code=reshrunk.exit_code,
        bundle=str(bundle),
        outcome=reshrunk.outcome,
        reason=_conclusion(reshrunk, bundle)[1],
        output=None if reshrunk.path is None else str(reshrunk.path),
        commands_before=finding.calls_before,
        commands=len(finding.trace.steps),
        executions=None if shrunk is None else shrunk.executions,
        requests=None if shrunk is None else shrunk.requests,
        runs=reshrunk.after.runs,
        failed=reshrunk.after.failed,
        others=tuple(
            Met(
                fingerprint=each.fingerprint,
                kind=each.failure.kind,
                name=each.failure.name,
                message=each.failure.message,
                bundle=None if each.path is None else str(each.path),
            )
            for each in reshrunk.others
        ),
    )


def _lines(reshrunk: "Reshrunk") -> list[str]:
    """Show what was found, and what else was met."""
    from replaykit.report import steps

    finding, shrunk, lines = reshrunk.finding, reshrunk.finding.shrunk, []
    if reshrunk.outcome in {"simpler", "less reliable"}:
        lines.append(steps.render(finding.trace))
    if shrunk is not None and reshrunk.outcome != "not reproduced":
        length = steps.count(len(finding.trace.steps), "command")
        rate = f", {steps.confirmation(reshrunk.after.runs, reshrunk.after.failed)}"
        lines.append(
            f"  from {finding.calls_before} to {length} in {shrunk.executions} executions "
            f"({shrunk.requests} requests, {shrunk.seconds:.1f} s){rate if reshrunk.after.runs else ''}"
        )
        if shrunk.stopped:
            lines.append(f"  shrinking was ended early: {shrunk.stopped}")
    for other in reshrunk.others:
        failure = other.failure
        lines.append(f"  met on the way: {failure.title}  (fingerprint {other.fingerprint})")
        lines.append(f"    {failure.message}")
        if other.path is not None:
            lines.append(f"    {'there is already' if other.replaced else 'saved as'} {other.path}")
            lines += steps.times(other.timed)
    if reshrunk.path is not None:
        lines += [f"  saved as {reshrunk.path}", *steps.times(finding.timed)]
    return lines


def _conclusion(reshrunk: "Reshrunk", bundle: Path) -> tuple[str, str]:
    """Say what it came to, in a word and in a sentence."""
    from replaykit.report.steps import count

    if reshrunk.outcome == "not reproduced":
        return "not reproduced", reshrunk.reason
    word = "interrupted" if reshrunk.interrupted is not None else reshrunk.outcome
    if reshrunk.outcome != "simpler":
        return word, f"{reshrunk.reason}; {bundle} is left as it is"
    before, after = reshrunk.finding.calls_before, len(reshrunk.finding.trace.steps)
    return word, f"{count(before, 'command')} became {after}" if after < before else "the values are simpler"
