"""Options of `replaykit replay` that look closely, and what they print."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from replaykit.cli.console import say
from replaykit.errors import UsageError

if TYPE_CHECKING:
    from replaykit.attempts import Replayed
    from replaykit.bundle import Bundle
    from replaykit.looking import Look

C = TypeVar("C", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--verbose",
        "-v",
        is_flag=True,
        help="Show headers and bodies, what was expected and judged, and how the state changed.",
    ),
    click.option("--until", metavar="N", type=click.IntRange(0), help="Stop after the step that is printed as [N]."),
    click.option("--step", is_flag=True, help="Stop before each step, and ask what to do."),
    click.option("--pdb", is_flag=True, help="Open pdb where the first failing attempt failed: in the check's frame."),
)


def look_options(command: C) -> C:
    """Add the options that look closely."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def require_alone(options: dict[str, Any], bundles: int) -> None:
    """Raise UsageError where somebody is to be asked who is not there, or what is asked for makes no sense."""
    talking = [f"--{name}" for name in ("step", "pdb") if options[name]]
    stopping = ["--until"] * (options["until"] is not None) + ["--step"] * options["step"]
    if stopping and bundles > 1:
        raise UsageError(f"{stopping[0]} is for one bundle, and there are {bundles}.", "Name one of them.")
    if stopping and options["times"] not in {None, 1}:
        raise UsageError(f"{stopping[0]} is for one attempt, and --times asks for more.", "Leave one of them out.")
    if stopping and options["pace"] == "recorded":
        raise UsageError(f"{stopping[0]} takes its own time, and --pace asks for the recorded one.", "Leave one out.")
    if talking and options["as_json"]:
        raise UsageError(f"{talking[0]} asks a person, and --json is for programs.", "Leave one of them out.")
    if talking and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            f"{talking[0]} needs a terminal to ask on.", "Use it by hand; --verbose and --until need none."
        )
    if options["offline"] and options["pace"] == "recorded":
        raise UsageError("A cassette answers at once: offline, no pauses are kept.", "Leave out --pace, or --offline.")


def look_of(options: dict[str, Any], bundle: "Bundle") -> "Look | None":
    """Say how a replay is followed; None where it is not. Raises UsageError where there is no step to stop after."""
    if not (options["verbose"] or options["step"] or options["pdb"]) and options["until"] is None:
        return None
    from replaykit.looking import Look

    look = Look(options["until"])
    look.require(bundle.trace.sequence)
    if options["step"]:
        from replaykit.cli.stepping import Stepper
        from replaykit.cover import Cover

        stepper = Stepper(bundle.trace, Cover())
        look.before, look.after = stepper.before, stepper.after
    if options["pdb"]:
        from replaykit.cli.postmortem import examine

        look.failed = examine
    return look


def say_trace(replayed: "Replayed", look: "Look | None", options: dict[str, Any]) -> None:
    """Show what happened in the attempt that the verdict speaks of; where it was stopped, the state there."""
    from replaykit.cover import Cover
    from replaykit.report import plain, steps
    from replaykit.value import loads
    from replaykit.verdict import Verdict

    trace, cover, closely = replayed.trace, Cover(), options["verbose"]
    shown = cover.trace(trace) if closely else trace  # it learns there what is secret in judgments too
    judged = {} if look is None or not closely else look.judged_in(trace)
    judged = {label: cover.judged(each) for label, each in judged.items()}
    if options["step"] and not trace.moments:  # they were shown one by one
        shown = shown.replace(steps=(), failure=None)
    if text := steps.render(shown, verbose=closely, judged=judged):
        say(text)
    if look is None or options["until"] is None or replayed.verdict is not Verdict.UNDECIDED:
        return
    say(f"  state after step {options['until']}:")
    for line in plain.laid_out(loads(cover.text(trace.steps[-1].state or b"null")), 4):
        say(line)
    if options["start"] and not options["offline"]:
        say("  The service is stopped now. To look into one in this state, start it yourself, and name it with --url.")
