"""Pace: a recorded sequence, sent with the pauses that it was recorded with.

Some bugs need time: a session that ends, a cache that is refreshed, a job that runs now and then. A replay sends one
call after the other as fast as it can, and may be too fast, or too slow only when it waits. Each call is sent no
sooner than it was recorded, counted from the first one; calls in branches are sent as fast as possible, once it is
time for the first of them. A pause is short enough to be waited for, whatever a bundle from a stranger says.
"""

import time
from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

from replaykit.command import Refs
from replaykit.errors import UsageError
from replaykit.model import Model
from replaykit.sequence import Call, Fixed, Sequence
from replaykit.trace import Trace

LONGEST = 60.0  # seconds between two calls, at most
MOST = 600.0  # seconds from the first call to the last one, at most
WORTH = 1.0  # seconds that a replay was faster, from which on it may be too fast: services count time in seconds

Pace: TypeAlias = Literal["fast", "recorded"]
PACES: tuple[Pace, ...] = get_args(Pace)


class Paced:
    """A recorded sequence as a source of calls for a run, each of which is sent when it is time for it."""

    def __init__(self, recorded: Trace) -> None:
        self._calls = Fixed(recorded.sequence)
        self._moments = moments(recorded)
        self._began = 0.0  # on the clock of time.monotonic

    def next(self, state: Model, refs: Refs) -> Call | None:
        """Return the next call when it is time for it; None at the end."""
        call = self._calls.next(state, refs)
        if call is not None:
            self._wait(self._moments.get(call.label, 0.0))
        return call

    def branches(self, state: Model, refs: Refs) -> tuple[Sequence, ...]:
        """Return what is to be run at the same time, when it is time for the first of it."""
        found = self._calls.branches(state, refs)
        if found:
            self._wait(min(self._moments.get(call.label, 0.0) for branch in found for call in branch))
        return found

    def _wait(self, moment: float) -> None:
        self._began = self._began or time.monotonic()
        while (left := self._began + moment - time.monotonic()) > 0:
            time.sleep(left)


def moments(recorded: Trace) -> Mapping[int, float]:
    """Say when each call is to be sent, by label: seconds from the first one, with no pause that is too long."""
    found: dict[int, float] = {}
    before = moment = 0.0
    said = [(step.at, step.call.label) for step in recorded.steps if step.at is not None]
    for at, label in sorted(said):
        moment = min(moment + min(at - before, LONGEST), MOST)
        before, found[label] = at, moment
    return found


def is_cut(recorded: Trace) -> bool:
    """Say whether a pause was recorded that is longer than anybody waits."""
    return max(moments(recorded).values(), default=0.0) < recorded.span


def require_times(recorded: Trace, name: str) -> None:
    """Raise UsageError where it was not recorded when each call was sent."""
    if any(step.at is None for step in recorded.steps):
        raise UsageError(
            f"{name} does not say when its commands were sent, so there are no pauses to keep.",
            "Bundles are saved without times, unless integration is called with --with-times. Leave out --pace.",
        )
