"""Limit: how long the user's code may take, so that a method that loops for ever is named, and lint ends.

It is told by SIGALRM (setitimer(2)), which Python hears between two instructions of its own: what never comes back
from one call into C is not stopped.
"""

import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from replaykit.errors import DefinitionError

AGAIN = 1.0  # seconds after which it is told once more, should the user's code have caught it

_OURS = str(Path(__file__).parents[1])


class _Overdue(BaseException):
    """The time is over; it is no Exception, so that nobody takes it for a fault of what is looked at."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Let what is done here take so many seconds; in the main thread only.

    Raises DefinitionError where it takes longer, with the method of the user's that was being asked.
    """
    before = signal.signal(signal.SIGALRM, _tell)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
        yield
    except _Overdue as overdue:
        raise DefinitionError(
            f"It took more than {seconds:g} seconds{_where(overdue)}.",
            "See that it comes to an end; if it only takes its time, give more with --limit, or fewer --runs.",
        ) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _tell(_: int, __: FrameType | None) -> None:
    raise _Overdue


def _where(overdue: _Overdue) -> str:
    """Say which method of the user's was at work, if one was: the one that it was asked by its name."""
    for frame in traceback.extract_tb(overdue.__traceback__):
        if not frame.filename.startswith((_OURS, "<")):
            return f", and {frame.name} ({frame.filename}, line {frame.lineno}) had not come to an end"
    return ""
