"""The sheet: lines of so many columns, in characters that whoever reads them can show."""

import unicodedata
from dataclasses import dataclass
from typing import TypeAlias

from replaykit.axis import State
from replaykit.report.steps import one_line
from replaykit.visible import visible

Line: TypeAlias = tuple[str, str]  # its text, and its style: bold, dim, bad, good, skipped, or nothing
NARROWEST = 40  # columns
SIGNS = "█░…┆│▶✗✓○"  # that a reader has to be able to show, or is given ASCII

_SIGNS: dict[State, tuple[str, str]] = {"bad": ("✗", "x"), "good": ("✓", "+"), "skipped": ("○", "o")}


@dataclass(frozen=True, slots=True)
class Sheet:
    """How wide lines may be, and whether they are of ASCII alone."""

    width: int = 80  # columns
    is_ascii: bool = False

    def sign(self, state: State) -> str:
        """Return the sign of a state: one column."""
        return _SIGNS[state][self.is_ascii]

    @property
    def arrow(self) -> str:
        """The sign of what is looked for."""
        return ">" if self.is_ascii else "▶"

    @property
    def gap(self) -> str:
        """The sign of what was left out."""
        return ":" if self.is_ascii else "┆"

    @property
    def rail(self) -> str:
        """The sign of what goes on beside."""
        return "|" if self.is_ascii else "│"

    def bar(self, share: float, room: int) -> str:
        """Draw a part of 1 in so many columns; only 0 looks like none, and only 1 like all."""
        full = round(share * room)
        full = min(max(full, 1 if share > 0 else 0), room - 1 if share < 1 else room)
        return ("#" if self.is_ascii else "█") * full + ("." if self.is_ascii else "░") * (room - full)

    def said(self, text: str) -> str:
        """Write what somebody else said in one line, so that nothing in it is hidden or obeyed."""
        shown = visible(one_line(text)).replace("\t", " ")
        return shown.encode("ascii", "backslashreplace").decode("ascii") if self.is_ascii else shown

    def clipped(self, text: str, room: int | None = None) -> str:
        """Leave out the end of a text that is wider than the room for it, by default the sheet."""
        room = self.width if room is None else room
        if _fitting(text, room) == len(text):
            return text
        more = "..." if self.is_ascii else "…"
        return (text[: _fitting(text, room - len(more))].rstrip() + more)[: max(0, room)]

    def wrapped(self, text: str, room: int) -> list[str]:
        """Break a text into lines that are no wider than the room for them; a word only where it is wider itself.

        A path is never broken: nobody could copy it.
        """
        lines, line = [], ""
        for word in text.split(" "):
            joined = f"{line} {word}" if line else word
            if columns(joined) <= room:
                line = joined
                continue
            lines += [line] if line else []
            line = word
            while columns(line) > room and not word.startswith("/"):
                cut = max(1, _fitting(line, room))
                lines.append(line[:cut])
                line = line[cut:]
        return [*lines, line]

    def padded(self, text: str, room: int) -> str:
        """Fill a text up to so many columns, or leave out its end."""
        clipped = self.clipped(text, room)
        return clipped + " " * (room - columns(clipped))


def columns(text: str) -> int:
    """Say how many columns a text takes (Unicode Standard Annex 11): an ideograph two, an accent of its own none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in {"W", "F"} else 1
        for each in text
    )


def _fitting(text: str, room: int) -> int:
    """Say how many characters of a text have room in so many columns."""
    if text.isascii():
        return min(len(text), max(0, room))
    left = room
    for place, each in enumerate(text):
        left -= columns(each)
        if left < 0:
            return place
    return len(text)
