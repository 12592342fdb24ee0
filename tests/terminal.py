"""A terminal to run the program on: a real pty, and what a person would see on its screen."""

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pyte
from conftest import ROOT, environment

CTRL_C = b"\x03"


class Terminal:
    """The program on a terminal of so many columns and rows; in `with`."""

    def __init__(self, *words: object, columns: int = 80, rows: int = 24, cwd: Path = ROOT, **more: str) -> None:
        variables = environment(**{"CI": "", "NO_COLOR": "", "TERM": "xterm-256color", "PYTHONUTF8": "1", **more})
        variables.pop("COLUMNS", None)
        variables.pop("LINES", None)
        self._master, terminal = pty.openpty()
        self.screen = pyte.HistoryScreen(columns, rows, history=1000)
        self._stream = pyte.ByteStream(self.screen)
        self.written = b""
        self.resize(columns, rows)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "replaykit", *map(str, words)],
            cwd=cwd, env=variables, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  so that Ctrl-C is a signal
        )  # fmt: skip
        os.close(terminal)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._master)

    def resize(self, columns: int, rows: int) -> None:
        """Change the size, as a person does who drags the window's corner."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.resize(rows, columns)

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._master, keys)

    @property
    def lines(self) -> list[str]:
        """What stands on the screen, without empty lines."""
        return [line.rstrip() for line in self.screen.display if line.strip()]

    @property
    def text(self) -> str:
        """All that stands on the screen, and has scrolled off it."""
        above = ["".join(line[x].data for x in range(self.screen.columns)) for line in self.screen.history.top]
        return "\n".join(line.rstrip() for line in [*above, *self.screen.display]).rstrip()

    def see(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        """Look at the screen until a condition holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.text
            assert self._read(), self.text

    def end(self, seconds: float = 60) -> int:
        """Look on until the program has ended; return its exit code."""
        deadline = time.monotonic() + seconds
        while self._read():
            assert time.monotonic() < deadline, self.text
        return self._process.wait(timeout=10)

    def _read(self) -> bool:
        """Take what was written in a tenth of a second; say whether there may be more."""
        if not select.select([self._master], [], [], 0.1)[0]:
            return True
        with contextlib.suppress(OSError):  # the other end is closed
            written = os.read(self._master, 65536)
            self.written += written
            self._stream.feed(written)
            return bool(written)
        return False

    @property
    def is_running(self) -> bool:
        """Whether the program has not ended yet."""
        return self._process.poll() is None

    def kill(self, number: signal.Signals) -> None:
        """Send a signal to the program, and only to it."""
        self._process.send_signal(number)
