"""Histories of which nothing exists: what comes of an attempt at a point is drawn by chance."""

import contextlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from random import Random

from replaykit.axis import Point, Tried
from replaykit.bisecting import Bisect
from replaykit.blame import Blame
from replaykit.errors import UnbuildableError
from replaykit.memory import Memory
from replaykit.plan import Plan, Range


def points(size: int) -> list[Point]:
    """Return so many points."""
    return [Point(id=f"{place:040x}", name=f"{place:d}") for place in range(size)]


@dataclass
class Drawn:
    """A bench on which a bug shows at some points with a rate, and at the others with a small one."""

    bad: Collection[str]  # names of points
    rate: float = 1.0
    false: float = 0.0
    broken: Collection[str] = ()
    other: Collection[str] = ()  # where another bug hides this one
    other_rate: float = 0.0  # how often another bug hides this one anywhere
    chance: Random = field(default_factory=lambda: Random(1))
    coming: float = 1.0
    trying: float = 0.05
    visits: list[str] = field(default_factory=list)
    machine_dies: int | None = None  # after so many visits
    moods: float | None = None  # how probable it is that a start of the service shows the bug, always; else never
    starts: int = 0

    @contextlib.contextmanager
    def visit(self, point: Point) -> Iterator["Draw"]:
        """Come to a point."""
        self.visits.append(point.name)
        if self.machine_dies is not None and len(self.visits) > self.machine_dies:
            raise UnbuildableError("the registry does not answer")
        if point.name in self.broken:
            raise UnbuildableError("its build fails")
        yield Draw(self, point)

    def give_up(self) -> None:
        """Do nothing: nothing takes long here."""

    def log_of(self, point: Point) -> None:
        """Keep nothing of what is printed."""


class Draw:
    """A visit to a point."""

    def __init__(self, bench: Drawn, point: Point) -> None:
        self.seconds = bench.coming
        self._bench, self._point = bench, point
        self._start()

    def _start(self) -> None:
        bench = self._bench
        bench.starts += 1
        self._mood = None if bench.moods is None else float(bench.chance.random() < bench.moods)

    def attempt(self, times: int | None = None, *, anew: bool = False) -> Tried:
        """Draw what comes of so many attempts."""
        bench, wanted = self._bench, 4 if times is None else times
        if anew:
            self._start()
        if self._point.name in bench.other:
            return Tried(word="different", reason="it fails in another way", attempts=1, seconds=bench.trying)
        shown = held = 0
        there = bench.rate if self._mood is None else self._mood
        rate = there if self._point.name in bench.bad else bench.false
        while shown + held < wanted:
            if bench.chance.random() < bench.other_rate:
                tries = shown + held + 1
                return Tried(word="different", reason="it fails in another way", held=held, attempts=tries, seconds=0.1)
            seen = bench.chance.random() < rate
            shown, held = shown + seen, held + (not seen)
            if seen and times is None:
                break
        word = "reproduced" if shown else "fixed" if wanted >= 4 else "undecided"
        tries = shown + held
        return Tried(word=word, reason=word, shown=shown, held=held, attempts=tries, seconds=tries * bench.trying)


def bisected(bench: Drawn, size: int, **more: object) -> Blame:
    """Bisect a line of points."""
    plan = Plan(**more)  # type: ignore[arg-type]
    return Bisect(Range(points(size)), [bench], plan, Memory()).run()
