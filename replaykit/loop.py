"""A loop: what waits for sockets and for time, in one thread.

It is what asyncio's loop does, as far as a proxy needs it. The proxy is started with each campaign, and importing
asyncio takes twice as long as all that the proxy does until it listens; and with nothing between the system's call and
the proxy's, a request costs less.
"""

import contextlib
import heapq
import itertools
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import Protocol

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
LONGEST = 3600.0  # seconds that are waited for anything at once
GRAIN = 0.001  # seconds that something may be called early: the system rounds waits up, by that and a little more
REST = 0.1  # seconds without new connections where the machine has no more files for them
AT_ONCE = 64  # connections that are accepted before anything else is done


class Watched(Protocol):
    """What can be waited for."""

    def fileno(self) -> int:
        """Return its number."""


class Timer:
    """Something that is called later, unless it is cancelled."""

    __slots__ = ("call", "failed")

    def __init__(self, call: Callable[[], None], failed: Callable[[], None] | None) -> None:
        self.call: Callable[[], None] | None = call
        self.failed = failed

    def cancel(self) -> None:
        """Do not call it."""
        self.call = None


class Loop:
    """Calls back when a socket can be read or written, and when a time has come.

    Where such a call raises something, what it was for is given up by calling `failed`.
    """

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._is_over = False

    def watch(
        self,
        what: Watched | int,
        events: int,
        call: Callable[[int], object],
        failed: Callable[[], None] | None = None,
    ) -> None:
        """Call back whenever one of the events is there, until `forget`; none of them is the same as that."""
        if not events:
            self.forget(what)
        elif what in self._selector.get_map():
            self._selector.modify(what, events, (call, failed))
        else:
            self._selector.register(what, events, (call, failed))

    def forget(self, what: Watched | int) -> None:
        """Wait for nothing of it any more."""
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(what)

    def later(self, seconds: float, call: Callable[[], None], failed: Callable[[], None] | None = None) -> Timer:
        """Call back after some seconds; never after infinitely many."""
        timer = Timer(call, failed)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), timer))
        return timer

    def stop(self) -> None:
        """End `run`."""
        self._is_over = True

    def run(self) -> None:
        """Wait and call back until `stop`; what goes wrong in one call is told, and ends none of the others."""
        select = self._selector.select
        while not self._is_over:
            for key, events in select(self._patience()):
                call, failed = key.data
                _call(call, failed, events)
            now = time.monotonic() + GRAIN
            while self._timers and self._timers[0][0] <= now:
                timer = heapq.heappop(self._timers)[2]
                if timer.call is not None:
                    _call(timer.call, timer.failed)

    def _patience(self) -> float:
        while self._timers and self._timers[0][2].call is None:
            heapq.heappop(self._timers)
        if not self._timers:
            return LONGEST
        return max(0.0, min(LONGEST, self._timers[0][0] - GRAIN - time.monotonic()))


class Gate:
    """Accepts the connections that come to a socket."""

    def __init__(self, loop: Loop, sock: socket.socket, call: Callable[[socket.socket], None]) -> None:
        self._loop, self._sock, self._call = loop, sock, call
        self._is_closed = False
        self._open()

    def _open(self) -> None:
        if not self._is_closed:
            self._loop.watch(self._sock, READ, self._accept)

    def _accept(self, _: int) -> None:
        for _count in range(AT_ONCE):
            if self._is_closed:
                return
            try:
                sock, _address = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                self._loop.forget(self._sock)
                self._loop.later(REST, self._open)
                return
            sock.setblocking(False)
            self._call(sock)

    def close(self) -> None:
        """Accept nothing more, and close the socket."""
        self._is_closed = True
        self._loop.forget(self._sock)
        self._sock.close()


@contextlib.contextmanager
def heard(loop: Loop) -> Iterator[None]:
    """Let signals wake the loop: one that comes just before it waits would not be heard until something else does."""
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    try:
        before = signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    except ValueError:  # this is not the main thread, which hears signals
        before = None
    loop.watch(woken, READ, lambda _: os.read(woken, 4096))
    try:
        yield
    finally:
        if before is not None:
            signal.set_wakeup_fd(before)
        loop.forget(woken)
        os.close(woken)
        os.close(wakes)


def _call(call: Callable[..., object], failed: Callable[[], None] | None, *arguments: int) -> None:
    try:
        call(*arguments)
    except Exception:  # noqa: BLE001  one connection is no reason to end the others
        import traceback

        with contextlib.suppress(OSError, ValueError):
            traceback.print_exc(file=sys.stderr)
        if failed is not None:
            _call(failed, None)
