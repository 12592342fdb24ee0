"""Onlookers: who is told how a bisect goes on, while it does."""

from replaykit.axis import Point
from replaykit.blame import Blame, Tested


class Onlooker:
    """Who is told how a bisect goes on; this one does not care. All of it stands in the blame too, in the end.

    A lane is one of the places in which points are tried side by side, from 0; it does one thing at a time. What is
    told of different lanes may come from different threads.
    """

    def planned(self, points: int, steps: float) -> None:
        """Hear that the range is known: so many points, and about so many to be tried, as long as none is skipped."""

    def began(self, stage: str, point: Point, lane: int) -> None:
        """Hear that a lane turns to a point; `stage` says what for: to look at an end, to search, to confirm."""

    def doing(self, lane: int, what: str) -> None:
        """Hear what a lane does with its point: `checkout`, `build`, `start`, `attempt 3 of 7`."""

    def tried(self, stage: str, tested: Tested, left: int, steps: float) -> None:
        """Hear what became of a point, which no lane has any more: so many points are left, and about so many tries."""

    def noted(self, text: str) -> None:
        """Hear a sentence that the user should know."""

    def ended(self, blame: Blame) -> None:
        """Hear that it is over, also after Ctrl-C."""
