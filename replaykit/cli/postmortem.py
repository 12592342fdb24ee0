"""Post mortem: pdb where the user's check, expectation or other code found that something is wrong."""

import pdb  # noqa: T100  it is what --pdb asks for
import signal
import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import replaykit
from replaykit.cli.console import say
from replaykit.report.steps import one_line

if TYPE_CHECKING:
    from replaykit.command import Command, Event
    from replaykit.looking import Broken, Case
    from replaykit.model import Model, Prediction

_OURS = str(Path(replaykit.__file__).parent)


class NotAsExpected(Exception):  # noqa: N818  it is what is looked at, and nothing that went wrong
    """The event is none that the model predicts."""


def examine(broken: "Broken") -> None:
    """Let somebody look around where a run failed. What is done there does not change the verdict."""
    failure = broken.failure
    where = "at the end" if failure.step is None else f"at step {failure.step}"
    say(f"  {one_line(failure.title)} {where}: {one_line(failure.message)}")
    frames = None
    if broken.case is not None:
        frames = _frames_of(broken.case)
        say("  There is no frame of the model's, so the names here are: state, command, event, expected.")
    elif broken.error is not None:
        frames = users_frames(broken.error.__traceback__)
    if frames is None:
        say("  No code of the model's raised, so there is no frame to look at (--pdb).")
        return
    say("  pdb: what is done here changes no verdict; q or c goes on to it.")
    sys.stdout.flush()
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)  # Ctrl-C is pdb's
    try:
        pdb.post_mortem(frames)
    finally:
        signal.signal(signal.SIGINT, heard)


def users_frames(raised: TracebackType | None) -> TracebackType | None:
    """Cut a traceback to the frames from the user's first to the user's last; None where there is none."""
    links: list[TracebackType] = []
    while raised is not None:
        links.append(raised)
        raised = raised.tb_next
    own = [place for place, each in enumerate(links) if _is_users(each)]
    frames: TracebackType | None = None
    for each in reversed(links[own[0] : own[-1] + 1] if own else []):
        frames = TracebackType(frames, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return frames


def _is_users(link: TracebackType) -> bool:
    return not link.tb_frame.f_code.co_filename.startswith(_OURS)


def _frames_of(case: "Case") -> TracebackType | None:
    try:
        _compare(*case)
    except NotAsExpected as error:
        found = error.__traceback__
        return found.tb_next if found is not None else None
    return None


def _compare(state: "Model", command: "Command", event: "Event", expected: "Prediction") -> Any:
    """Stand for the comparison, for want of a frame of the user's: its names are what there is to look at."""
    raise NotAsExpected(f"{command!r} in {state!r}: expected {expected}, got {event!r}")
