"""replaykit replay."""

import contextlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from replaykit.cli import candidates
from replaykit.cli.console import conclude, diverted, say
from replaykit.cli.drift import drift_option, require_live, say_drift
from replaykit.cli.html import Page, page_of
from replaykit.cli.looking import look_of, look_options, require_alone, say_trace
from replaykit.cli.options import loaded_for, order_option, service_options, settle, staged, times_option
from replaykit.cli.page import command
from replaykit.errors import StaleError, UnreachableError, UsageError

if TYPE_CHECKING:
    from replaykit.attempts import Replayed
    from replaykit.bundle import Bundle
    from replaykit.looking import Look
    from replaykit.model import Model
    from replaykit.ruling import Ruling
    from replaykit.verdict import Expect


@command("replay")
@candidates.several("bundles", "BUNDLE...")
@service_options
@click.option("--offline", is_flag=True, help="Replay against the bundle's own cassette, without a service.")
@order_option
@times_option
@click.option(
    "--pace",
    type=click.Choice(["fast", "recorded"]),
    default="fast",
    show_default=True,
    help="As fast as possible; or also with the pauses that it was recorded with.",
)
@click.option(
    "--expect",
    type=click.Choice(["fixed", "reproduces"]),
    default="fixed",
    show_default=True,
    help="What exits with 0: reproduces swaps the exit codes 0 and 1, for a bug that is still open.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead, and the rest to stderr.")
@click.option("--html", metavar="PATH", help="Write a page for people: what was recorded against what came of it now.")
@drift_option
@look_options
@click.pass_context
def replay(context: click.Context, /, bundles: tuple[Path, ...], **options: Any) -> int:
    """Run the sequence of a saved bug again, live or offline, and say whether the bug is still there.

    Model and adapter are those that the bundle names, if they lie inside this project; --model and --adapter
    name others. Without --url and --start, the service is that of the first profile that has this model and this
    adapter; else the recorded URL is used, if it is on this machine or the project allows its host.
    """
    settle(context, options)
    require_alone(options, len(bundles))
    page = page_of(options["html"], bundles)
    if options["order"] != "strict" and not options["offline"]:
        raise UsageError("--order says how a cassette is played.", "Add --offline, or leave it out.")
    write = diverted() if options["as_json"] else None
    require_live(context, options)
    from replaykit.bundle import require_whole
    from replaykit.pace import require_times
    from replaykit.reader import read
    from replaykit.ruling import Rulings, render
    from replaykit.verdict import worst

    loaded = [
        (path, read(path) if page is None else page.read(path)) for path in bundles
    ]  # a bad bundle is the same at every commit: told first
    for path, bundle in loaded:
        require_whole(bundle, str(path))
        if options["pace"] == "recorded":
            require_times(bundle.trace, str(path))
    outcomes = [_replay(context, path, bundle, options, page) for path, bundle in loaded]
    code = worst([each.exit_code for each in outcomes])
    if len(outcomes) > 1:
        words = Counter(each.verdict for each in outcomes)
        conclude("of all", ", ".join(f"{count} {word}" for word, count in words.items()), code)
    if write is not None:
        with contextlib.suppress(OSError):  # a reader that is gone: the exit code still says the verdict
            write(render(Rulings(expect=options["expect"], exit_code=code, replays=tuple(outcomes))))
    if page is not None:
        page.raise_trouble()
    return code


def _replay(
    context: click.Context, path: Path, bundle: "Bundle", options: dict[str, Any], page: Page | None
) -> "Ruling":
    """Replay one bundle, and say what it came to."""
    from replaykit import replaying as journey
    from replaykit import ruling
    from replaykit.adapter import read_settings
    from replaykit.blockade import blockaded
    from replaykit.looking import Look
    from replaykit.project import policy_here
    from replaykit.redact import Redactor
    from replaykit.verdict import Verdict

    provenance, redactor = bundle.provenance, Redactor(policy_here())
    with blockaded() if options["offline"] else contextlib.nullcontext():
        model, adapter = loaded_for(context, provenance)
    stage = staged(context, provenance, options)
    read_settings(adapter, stage.settings)  # wrong ones are told before anything is started
    look = look_of(options, bundle)
    if look is None and page is not None:
        look = Look()  # which changes nothing but that it is known what was judged
    announce(path, bundle, model)
    try:
        with contextlib.nullcontext() if options["offline"] else stage.opened(provenance) as running:
            replayed = journey.replay(
                bundle,
                model=model,
                adapter=adapter,
                url=None if running is None else running.url,
                offline=options["offline"],
                order=options["order"],
                health_check=stage.health,
                settings=stage.settings,
                times=options["times"],
                pace=options["pace"],
                fail_on_drift=options["fail_on_drift"],
                latency=stage.latency,
                transport=stage.transport,
                running=running,
                look=look,
            )
            log = "" if running is None else running.log()
    except UnreachableError as error:
        say("\n".join(f"  {line}" for line in str(error).splitlines()))
        ruled = ruling.unjudged(str(path), bundle, Verdict.UNREACHABLE, error.happened, redactor, log=error.log)
        if page is not None:
            page.write(bundle, ruled)
        conclude(ruled.verdict, error.happened, ruled.exit_code)
        return ruled
    except StaleError as error:
        ruled = ruling.unjudged(str(path), bundle, Verdict.STALE, str(error), redactor)
        if page is not None:
            page.write(bundle, ruled)
        conclude(ruled.verdict, str(error), ruled.exit_code)
        return ruled
    log = say_replay(bundle, replayed, log, look, options)
    ruled = ruling.ruling(str(path), replayed, redactor, expect=options["expect"], log=log)
    if page is not None:
        page.write(bundle, ruled, replayed, None if look is None else look.judged_in(replayed.trace))
    return conclude_replay(replayed, ruled, options["expect"])


def announce(path: Path, bundle: "Bundle", model: "type[Model]") -> None:
    """Say what is replayed."""
    from replaykit.model import digest_of
    from replaykit.report import steps

    failure, length = bundle.judged, steps.count(len(bundle.trace.steps), "command")
    what = "a run that passed" if failure is None else steps.one_line(failure.title)
    say(f"{path}: {what}, {length}, seed {bundle.provenance.seed}")
    if digest_of(model) != bundle.provenance.model_digest:
        say("  The model draws differently today: the seed no longer means this sequence, the bundle still does.")


def say_replay(
    bundle: "Bundle",
    replayed: "Replayed",
    log: str,
    look: "Look | None" = None,
    options: dict[str, Any] | None = None,
) -> str:
    """Show what was recorded and what is seen now; return what the service printed, as far as that says something."""
    from replaykit.report import verdict
    from replaykit.verdict import Verdict

    say_trace(replayed, look, options or {"verbose": False, "step": False, "until": None})
    seen = replayed.trace.failure
    if seen is not None and seen.traceback:
        say(f"  {seen.title} raised; this is a fault of the test code, not of the service:")
        say("\n".join(f"  {line}" for line in seen.traceback.rstrip().splitlines()))
    log = log if replayed.verdict is Verdict.UNREACHABLE else ""
    if log:
        say("  the last lines of the service:")
        say(log)
    if options is not None:
        say_drift(bundle, replayed, options)
    say()
    say(verdict.render(replayed, bundle.trace))
    return log


def conclude_replay(replayed: "Replayed", ruled: "Ruling", expect: "Expect" = "fixed") -> "Ruling":
    """Print the verdict."""
    from replaykit.report import verdict

    conclude(ruled.verdict, f"{verdict.conclusion(replayed)}{_as_expected(ruled, expect)}", ruled.exit_code)
    return ruled


def _as_expected(ruled: "Ruling", expect: str) -> str:
    """Say whether a verdict is the one that was expected, where it was not expected to be fixed."""
    if expect == "fixed" or ruled.verdict not in {"fixed", "reproduced"}:
        return ""
    return "; as expected" if ruled.verdict == "reproduced" else "; it was expected to reproduce"
