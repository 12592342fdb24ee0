"""Terms: when a campaign has found, run or waited enough, and so ends before its last run."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from replaykit.errors import UsageError

PLATEAU = 1000  # runs in a row in which a hunt may find nothing new, unless it is said otherwise

_TIME = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)|(?=.)(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9}(?:\.\d{1,6})?)s)?")


@dataclass(frozen=True, slots=True)
class Terms:
    """What ends a campaign early, and what it knows and goes on with."""

    stop_after: int | None = None  # distinct new bugs
    max_time: float | None = None  # seconds
    plateau: int | None = None  # runs in a row that find nothing new
    resume: bool = False  # go on with the hunt whose journal lies in the folder
    known: tuple[Path, ...] = ()  # folders with bundles of bugs that are known
    hunts: bool = False  # is it a hunt, whatever ends it?

    def __post_init__(self) -> None:
        """Raise UsageError for what can't be meant."""
        for value, word in ((self.stop_after, "bugs"), (self.plateau, "runs of a plateau")):
            if value is not None and value < 1:
                raise UsageError(f"The number of {word} is {value}.", "It is at least 1.")
        if self.max_time is not None and not 0 < self.max_time < float("inf"):
            raise UsageError(f"A time of {self.max_time:g} seconds is none.", "It is more than 0.")

    @property
    def is_hunt(self) -> bool:
        """Whether it is a hunt: something else than the number of runs ends it, or it was said to be one."""
        ends = (self.stop_after, self.max_time, self.plateau)
        return self.hunts or self.resume or any(each is not None for each in ends)

    def met(self, bugs: int, quiet: int, seconds: float) -> str:
        """Say in words which of them is met, after `quiet` runs without anything new; nothing where none is."""
        if self.stop_after is not None and bugs >= self.stop_after:
            return f"{bugs} of {self.stop_after} bugs are found" if bugs > 1 else "the bug is found"
        if self.plateau is not None and quiet >= self.plateau:
            return f"nothing new in the last {quiet:,} runs"
        if self.max_time is not None and seconds >= self.max_time:
            return f"the time of {spelled(self.max_time)} is over"
        return ""


def seconds_in(text: str) -> float:
    """Read a time: 90, 90s, 10m, 1h30m. Raises UsageError."""
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{text!r} is no time.", "Write seconds, or 90s, 10m, 1h30m.")
    alone, hours, minutes, seconds = found.groups()
    return float(alone) if alone else int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds or 0)


def spelled(seconds: float) -> str:
    """Write a time as `seconds_in` reads it."""
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    parts = ((f"{hours:g}h", hours), (f"{minutes:g}m", minutes), (f"{rest:g}s", rest))
    return "".join(text for text, value in parts if value) or "0s"


def folders(paths: Iterable[str | Path]) -> tuple[Path, ...]:
    """Return folders that were named; raise UsageError where one is none."""
    found = tuple(Path(each) for each in paths)
    for each in found:
        if not each.is_dir():
            raise UsageError(f"{each} is no folder.", "Name one with bundles of bugs that are known.")
    return found
