"""Tickers: what is done every now and then, while the work goes on and nobody says anything."""

import contextlib
import threading
from collections.abc import Callable


class Ticker:
    """Does one thing every so many seconds, on a thread of its own, until it is stopped."""

    def __init__(self, seconds: float, tick: Callable[[], None]) -> None:
        self._seconds = seconds
        self._tick = tick
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go, name="replaykit-ticker", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; afterwards nothing is done any more."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _go(self) -> None:
        while not self._over.wait(self._seconds):
            with contextlib.suppress(OSError, ValueError):  # a terminal that is gone
                self._tick()
