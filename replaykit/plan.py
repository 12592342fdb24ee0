"""The plan: which points a bisect searches, and how."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from replaykit.axis import Point, State
from replaykit.rate import Odds

MOST_SKIPS = 8  # points among the suspects that can't be tried, after which it is told who is left


@dataclass(frozen=True, slots=True)
class Range:
    """The points that are searched, from old to new."""

    points: Sequence[Point]  # the last one is the near end; the first one the far end, where that is known
    parents: Sequence[Sequence[int]] | None = None  # places of those right before each; None for a line
    far: bool = True  # is the first one the far end?
    outside: Mapping[int, Sequence[Point]] = field(default_factory=dict)  # points right before one that are not listed


@dataclass(frozen=True, slots=True)
class Plan:
    """How a bisect is made."""

    fix: bool = False  # search for the point that mended the bug
    steady: bool = True  # did the bug show each time when it was recorded?
    odds: Odds | None = None  # how often it did
    confidence: float = 0.99  # a part of 1
    most_attempts: int = 2000
    most_seconds: float | None = None
    most_skips: int = MOST_SKIPS

    @property
    def before(self) -> State:
        """What points are that do not have the culprit behind them."""
        return "bad" if self.fix else "good"

    @property
    def after(self) -> State:
        """What points are that have."""
        return "good" if self.fix else "bad"
