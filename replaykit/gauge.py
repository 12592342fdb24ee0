"""The gauge: how often a bug shows where it is, and whether each start of the service decides that.

Attempts that one process of a service answers are not independent of each other: a bug may depend on how it started,
on the seed of its hashes for example, and then show in all of them or in none. To count each as evidence of its own
would accuse the wrong commit. So a bug that does not show each time is tried with a new start each time, until one
start was seen that shows it in some of its attempts and not in others.
"""

from dataclasses import dataclass, field

from replaykit.axis import Point, Tried
from replaykit.rate import Odds


@dataclass(slots=True)
class Start:
    """What the attempts came to that one start of the service answered."""

    shown: int = 0  # attempts in which the bug showed
    held: int = 0
    cached: bool = False  # is it known from elsewhere?


@dataclass(slots=True)
class Gauge:
    """What was seen of a bug, by point and by start of the service."""

    steady: bool = True  # does it show each time where it is?
    odds: Odds | None = None  # how often it showed when it was recorded
    anew: bool = False  # does only the first attempt of a start count?
    present: Point | None = None  # where it is known to be
    _starts: dict[str, list[Start]] = field(default_factory=dict)  # by the id of the point

    def note(self, point: Point, tried: Tried, *, cached: bool = False) -> tuple[int, int]:
        """Note attempts; return in how many that count it showed, and in how many it did not."""
        starts = self._starts.setdefault(point.id, [])
        if tried.anew or not starts:
            starts.append(Start(cached=cached))
        before = self._counted(starts[-1])
        starts[-1].shown += tried.shown
        starts[-1].held += tried.held
        after = self._counted(starts[-1])
        return after[0] - before[0], after[1] - before[1]

    def seen(self, point: Point) -> tuple[int, int]:
        """Return in how many attempts that count the bug showed at a point, and in how many it did not."""
        counted = [self._counted(start) for start in self._starts.get(point.id, [])]
        return sum(shown for shown, _ in counted), sum(held for _, held in counted)

    def starts_of(self, point: Point) -> tuple[int, int]:
        """Return in how many starts of the service the bug showed at a point, and in how many it did not."""
        starts = self._starts.get(point.id, [])
        shown = sum(start.shown > 0 for start in starts)
        return shown, sum(start.held > 0 for start in starts if not start.shown)

    def _counted(self, start: Start) -> tuple[int, int]:
        if not self.anew:
            return start.shown, start.held
        return min(1, start.shown), 0 if start.shown else min(1, start.held)

    @property
    def known(self) -> tuple[int, int]:
        """In how many attempts the bug showed where it is, and in how many it did not; as recorded, if not seen yet."""
        if self.present is not None:
            return self.seen(self.present)
        return (0, 0) if self.odds is None else (self.odds.failed, self.odds.runs - self.odds.failed)

    @property
    def is_mixed(self) -> bool:
        """Whether one start of the service has shown the bug where it is in some of its attempts alone."""
        starts = [] if self.present is None else self._starts.get(self.present.id, [])
        return any(start.shown and start.held for start in starts)

    def doubt(self) -> None:
        """Take the bug for one that shows only now and then, and each start for what decides that."""
        self.steady, self.anew = False, True

    def forget(self, point: Point) -> None:
        """Forget what was seen at a point."""
        self._starts.pop(point.id, None)

    def forget_cached(self) -> bool:
        """Forget what is known from elsewhere; say whether there was any of it."""
        kept = {point: [start for start in starts if not start.cached] for point, starts in self._starts.items()}
        is_less = any(len(kept[point]) < len(starts) for point, starts in self._starts.items())
        self._starts = kept
        return is_less
