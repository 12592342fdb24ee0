"""The screen: a few lines at the bottom of the terminal that are drawn again and again; the door to rich.

Rich knows how wide a character is, which colours a terminal has, and how to let what others print appear above.
"""

import contextlib
import sys
from collections import deque
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.text import Text

from replaykit.cli.console import has_colours
from replaykit.cli.ticker import Ticker

FRAME = 0.1  # seconds between two drawings

Line = tuple[str, str]  # its text, in which nothing is left that a terminal obeys, and its style
Draw = Callable[[int, int], list[Line]]  # the lines for a terminal of so many columns and rows


class Screen:
    """Lines on standard error, which `draw` gives anew ten times a second; nothing is left of them afterwards."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._console = Console(
            file=sys.stderr,
            force_terminal=True,
            force_interactive=True,
            no_color=not has_colours(sys.stderr),
            highlight=False,
            markup=False,
            emoji=False,
        )
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
            vertical_overflow="crop",
            get_renderable=self._rendered,
        )
        self._above: deque[Line] = deque()  # what is still to be printed
        self._ticker = Ticker(FRAME, self._frame)

    def start(self) -> None:
        """Show the lines."""
        with contextlib.suppress(OSError, ValueError):
            self._live.start(refresh=True)
            self._ticker.start()

    def stop(self) -> None:
        """Take the lines away."""
        self._ticker.stop()
        with contextlib.suppress(OSError, ValueError):
            self._print()
            self._live.stop()

    def above(self, line: Line) -> None:
        """Print a line above the others, to stay there; with the next drawing, from whatever thread it comes."""
        self._above.append(line)

    def _frame(self) -> None:
        self._print()
        self._live.refresh()

    def _print(self) -> None:
        while self._above:
            text, style = self._above.popleft()
            self._console.print(Text(text, style, no_wrap=True, overflow="ellipsis"), soft_wrap=False)

    def _rendered(self) -> Text:
        size = self._console.size
        lines = [Text(text, style) for text, style in self._draw(size.width, size.height)]
        for line in lines:
            line.truncate(size.width - 1, overflow="ellipsis")  # the last column would wrap in some terminals
        return Text("\n", no_wrap=True, end="").join(lines)
