"""Charts: small pictures of a campaign as geometry, which a template draws.

A picture is attributes of SVG elements and nothing else: a page whose policy allows no style attribute shows it, and
so does one whose styles are blocked. What it shows stands beside it as a table, so it needs no words of its own but a
title. Lengths are units of its own coordinates, times are seconds.
"""

from collections.abc import Sequence
from typing import NamedTuple

from replaykit.rate import rate_at_least

WIDTH, HEIGHT = 640, 150  # of a curve
LEFT, RIGHT, TOP, BOTTOM = 34, 14, 10, 24  # of its frame
MOST_TICKS = 6
LEAST = 3.0  # width of a part that is there, so that it is seen


class Tick(NamedTuple):
    """A mark on an axis."""

    at: float
    label: str


class Dot(NamedTuple):
    """A point of a curve."""

    x: float
    y: float
    label: str


class Curve(NamedTuple):
    """A curve that goes up by one at each point."""

    line: str  # x,y x,y: what `points` of a polyline is
    dots: tuple[Dot, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]


class Part(NamedTuple):
    """A part of a bar."""

    x: float
    width: float
    label: str


class Interval(NamedTuple):
    """How often something showed, and where that rate may lie in nine of ten cases on either side: parts of 1."""

    rate: float
    low: float
    high: float


def rising(points: Sequence[tuple[int, str]], end: int) -> Curve:
    """Draw how many there were after each of `end` runs: a point is the run in which one came, and what it is."""
    last = max(end, 1, *(run for run, _ in points)) if points else max(end, 1)
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    many = max(len(points), 1)

    def x(run: float) -> float:
        return round(LEFT + wide * run / last, 1)

    def y(number: float) -> float:
        return round(TOP + high * (1 - number / many), 1)

    corners = [(x(0), y(0))]
    dots = []
    for number, (run, label) in enumerate(sorted(points), start=1):
        corners += [(x(run), y(number - 1)), (x(run), y(number))]
        dots.append(Dot(x(run), y(number), label))
    corners.append((x(last), y(len(points))))
    return Curve(
        line=" ".join(f"{across:g},{up:g}" for across, up in corners),
        dots=tuple(dots),
        across=tuple(Tick(x(each), f"{each:,}") for each in ticks(last)),
        up=tuple(Tick(y(each), f"{each:,}") for each in ticks(many)),
    )


def ticks(last: int, most: int = MOST_TICKS) -> list[int]:
    """Choose round numbers from 0 to `last`, that one included where the one before leaves room for it."""
    step = 1
    while last / step > most - 1:
        step = step * 5 // 2 if str(step)[0] == "2" else step * 2  # 1 2 5 10 20 50
    found = list(range(0, last + 1, step))
    if found[-1] != last:
        if last - found[-1] < step / 2 and len(found) > 1:
            found.pop()
        found.append(last)
    return found


def bar(parts: Sequence[tuple[str, int]]) -> list[Part]:
    """Lay parts side by side, as wide as their shares, one that is there never too thin to be seen."""
    whole = sum(number for _, number in parts)
    if not whole:
        return []
    thin = sum(LEAST for _, number in parts if 0 < WIDTH * number / whole < LEAST)
    rest = sum(number for _, number in parts if WIDTH * number / whole >= LEAST)
    found, at = [], 0.0
    for label, number in parts:
        if number:
            share = WIDTH * number / whole
            wide = LEAST if share < LEAST else (WIDTH - thin) * number / rest
            found.append(Part(round(at, 1), round(wide, 1), label))
            at += wide
    return found


def interval(failed: int, runs: int) -> Interval:
    """Say how often something showed, and the bounds of Wilson's interval ("Probable inference", 1927)."""
    return Interval(failed / runs, rate_at_least(failed, runs), 1 - rate_at_least(runs - failed, runs))
