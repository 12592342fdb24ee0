"""Tracking: how a bisect goes on, a line for each point that was tried, and live lines for what is done now."""

import contextlib
import os
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self, TextIO

from replaykit.axis import Point
from replaykit.blame import Blame, Tested
from replaykit.cli.console import can_say, draw, is_live, printable
from replaykit.cli.ticker import Ticker
from replaykit.onlooker import Onlooker
from replaykit.report.grounds import inner, lasting, many, showed, took, why
from replaykit.report.sheet import NARROWEST, SIGNS, Sheet, columns

if TYPE_CHECKING:
    from replaykit.cli.screen import Line, Screen

HEARTBEAT = 15.0  # seconds between two lines where there is no terminal
WIDE = 120  # columns of a line where there is no terminal
NARROW = 80  # of a report there
_STAGES = {"end": "the ends:", "confirm": "once more:", "check": "is the machine well?"}
_COLOURS = {"bad": "red", "good": "green", "skipped": "yellow"}
_STATES = {"bad": "bad", "good": "good", "skipped": "skip"}


@dataclass
class _Lane:
    """What one of several lanes does now."""

    name: str
    subject: str
    what: str = ""
    began: float = field(default_factory=time.monotonic)  # with what it does now


class Tracking(Onlooker):
    """Watches a bisect, and tells of it on standard error; in `with`, so that no live lines stay behind."""

    def __init__(self, *, quiet: bool, noun: str = "commit") -> None:
        """Tell of a bisect whose points are called so."""
        self._quiet, self._noun = quiet, noun
        self._live = is_live() and not quiet
        self._lock = threading.RLock()  # nothing is printed under it
        self._lanes: dict[int, _Lane] = {}
        self._stage = ""
        self._began: float | None = None
        self._looks = 0  # at points, several at one being so many
        self._tested: dict[str, Tested] = {}  # the points that were tried, by their ids
        self._wide = 0  # columns of the longest name so far
        self._left: tuple[int, float] | None = None  # points, and about so many tries
        self._screen: Screen | None = None
        self._ticker: Ticker | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def planned(self, points: int, steps: float) -> None:
        """Tell the plan; how long it takes too, where a point was tried before."""
        with self._lock:
            self._left = points, steps
            said = self._plan(points, steps)
        self._tell(said)

    def began(self, stage: str, point: Point, lane: int) -> None:
        """Take note of what a lane does now."""
        with self._lock:
            self._start()
            is_new, self._stage = stage != self._stage, stage
            self._lanes[lane] = _Lane(point.name, point.subject)
        if is_new and stage:
            self._tell(_STAGES.get(stage, f"{stage}:"))

    def doing(self, lane: int, what: str) -> None:
        """Take note of what a lane does now, and since when."""
        with self._lock:
            found = self._lanes.get(lane)
            if found is not None:
                is_install = what == "checkout" and self._noun == "version"
                found.what, found.began = "install" if is_install else what, time.monotonic()

    def tried(self, stage: str, tested: Tested, left: int, steps: float) -> None:
        """Tell what became of a point."""
        del stage
        with self._lock:
            self._lanes = {lane: each for lane, each in self._lanes.items() if each.name != tested.point.name}
            self._looks += not tested.cached
            self._tested[tested.point.id] = tested
            self._left = left, steps
            said = self._line(tested, left, steps)
        self._tell(said, tested.state)

    def noted(self, text: str) -> None:
        """Tell a sentence."""
        sheet = sheet_for(sys.stderr, WIDE)
        for line in sheet.wrapped(sheet.said(text), sheet.width):
            self._tell(line)

    def ended(self, blame: Blame) -> None:
        """Take the live lines away; the report says the rest."""
        del blame
        self.stop()

    def stop(self) -> None:
        """Tell no more, and take the live lines away."""
        with self._lock:
            screen, ticker, self._screen, self._ticker = self._screen, self._ticker, None, None
            self._lanes = {}
        if screen is not None:  # not under the lock: who draws takes it too
            screen.stop()
        if ticker is not None:
            ticker.stop()

    def lines(self, width: int, height: int) -> "list[Line]":
        """Draw the live lines for a terminal of so many columns and rows: one for each lane, and what is left."""
        with self._lock:
            now, sheet = time.monotonic(), Sheet(max(NARROWEST, width - 1))
            lanes = [self._lanes[each] for each in sorted(self._lanes)]
            shown = lanes[: max(1, height - 3)]
            drawn: list[Line] = []
            for each in shown:
                took = lasting(now - each.began)
                said = f"  {sheet.padded(each.what or 'begins', 16)} {each.name}  {took:>6}  {sheet.said(each.subject)}"
                drawn.append((sheet.clipped(printable(said)), "yellow"))
            if len(lanes) > len(shown):
                drawn.append((f"  and {len(lanes) - len(shown)} more", "dim"))
            drawn.append((sheet.clipped(self._so_far(now)), "dim"))
            return drawn[: max(1, height - 1)]

    def _start(self) -> None:
        if self._began is None:
            self._began = time.monotonic()
        if self._quiet or self._screen is not None or self._ticker is not None:
            return
        if self._live:
            from replaykit.cli.screen import Screen

            self._screen = Screen(self.lines)
            self._screen.start()
        else:
            self._ticker = Ticker(HEARTBEAT, self._beat)
            self._ticker.start()

    def _tell(self, text: str, style: str = "") -> None:
        if self._quiet:
            return
        screen = self._screen
        if screen is not None:
            screen.above((printable(text), _COLOURS.get(style, "")))
        else:
            draw([(text, style)], err=True)

    def _plan(self, points: int, steps: float) -> str:
        said = f"{many(points, self._noun)}, {_about(steps)}"
        each = self._each()
        if each is None or not steps:
            return said
        return f"{said}, some {lasting(each * steps)} if each takes as long as {self._so_long}"

    @property
    def _so_long(self) -> str:
        return "the first" if self._looks == 1 else f"the first {self._looks}"

    def _each(self) -> float | None:
        """Say how many seconds a point took so far; None where none was tried. Lanes side by side make it less."""
        if self._began is None or not self._looks:
            return None
        return (time.monotonic() - self._began) / self._looks

    def _line(self, tested: Tested, left: int, steps: float) -> str:
        sheet = sheet_for(sys.stderr, WIDE)
        name, lasted = sheet.said(tested.point.name), took(tested)
        self._wide = max(self._wide, columns(name))
        head = f"  {_STATES[tested.state]:<4}  {sheet.padded(name, self._wide)}  {showed(tested):<8}  {lasted:>6}  "
        tail = f"  ({self._to_go(left, steps)})"
        said = " ".join(filter(None, [f"[{why(tested)}]" if tested.state == "skipped" else "", tested.point.subject]))
        room = max(0, sheet.width - columns(head) - columns(tail))
        return sheet.clipped(f"{head}{sheet.clipped(sheet.said(said), room)}{tail}")

    def _to_go(self, left: int, steps: float) -> str:
        each = self._each()
        parts = [f"{left:,} left"]
        if steps > 0:
            parts += [_about(steps), "" if each is None else lasting(each * steps)]
        return ", ".join(filter(None, parts))

    def _so_far(self, now: float) -> str:
        inside = len(inner(sorted(self._tested.values(), key=lambda each: each.place)))
        known = sum(each.cached for each in self._tested.values())
        parts = [f"{many(len(self._tested) - inside, self._noun)} tried"]
        parts += [f"{inside} inside of a merge"] if inside else []
        parts += [f"{known} of them known before"] if known else []
        if self._left is not None:
            parts.append(self._to_go(*self._left))
        so_long = lasting(now - self._began) if self._began is not None else ""
        return f"  {', '.join(parts)}{f'  after {so_long}' if so_long else ''}"

    def _beat(self) -> None:
        """Say that it still goes on, where there is no terminal."""
        with self._lock:
            now = time.monotonic()
            doing = [
                f"{each.what or 'begins'} {each.name} for {lasting(now - each.began)}"
                for _, each in sorted(self._lanes.items())
            ]
            sheet = sheet_for(sys.stderr, WIDE)
            so_far = self._so_far(now).strip()
            said = "; ".join(filter(None, [sheet.clipped("; ".join(doing), sheet.width - columns(so_far) - 2), so_far]))
        self._tell(said)


def _about(steps: float) -> str:
    whole = round(steps)
    return f"about {many(whole, 'step')}" if whole else "no step" if steps == 0 else "about 1 step"


def sheet_for(stream: TextIO | None, otherwise: int = NARROW) -> Sheet:
    """Return the sheet that fits a stream: as wide as its terminal, or so many columns where it is none."""
    width = otherwise
    if stream is not None and stream.isatty():
        with contextlib.suppress(OSError, ValueError):
            width = os.get_terminal_size(stream.fileno()).columns or otherwise
    return Sheet(max(NARROWEST, width), is_ascii=not can_say(stream, SIGNS))
