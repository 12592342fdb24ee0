"""Workers: the processes on this machine that hands are in, one executor of one process for each of them.

A process that dies breaks its own executor and no other one, so it is known which piece of work it had.
"""

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Protocol

from replaykit import hand


class Worker(Protocol):
    """Who does the pieces of work of one hand, one after the other."""

    name: str

    def submit(self, what: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Ask for a piece of work. Raises what `is_lost` knows, where the process has died meanwhile."""

    def is_lost(self, error: BaseException) -> bool:
        """Say whether a piece of work is to be done again, because its process has died."""

    def is_final(self, error: BaseException) -> bool:
        """Say whether it was done again already, and its process has died each time."""

    def renew(self) -> None:
        """Begin a new process in the place of one that has died."""

    def hurry(self) -> bool:
        """Have a search end with the best that it has found; say whether the process can hear that."""

    def leave(self) -> None:
        """Let the process end: at once, whatever it does, but with its service."""

    def close(self) -> None:
        """Wait until it has ended."""


class Process:
    """One process on this machine. It ends when this one does, however that ends."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._begin()

    def _begin(self) -> None:
        context = get_context("spawn")
        theirs, self._lifeline = context.Pipe(duplex=False)
        self._executor = ProcessPoolExecutor(1, context, initializer=_settle_in, initargs=(theirs,))

    def submit(self, what: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Ask for a piece of work; the first one starts the process."""
        with _deaf_children():
            return self._executor.submit(what, *arguments)

    def is_lost(self, error: BaseException) -> bool:
        """Say whether the process has died."""
        return isinstance(error, BrokenProcessPool)

    def is_final(self, error: BaseException) -> bool:
        """Say no: nobody has done it again yet."""
        del error
        return False

    def renew(self) -> None:
        """Begin a new process."""
        self.leave()
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._begin()

    def hurry(self) -> bool:
        """Say so over the lifeline."""
        with suppress(OSError):  # it has just died
            self._lifeline.send_bytes(b"hurry")
        return True

    def leave(self) -> None:
        """Let go of the lifeline."""
        self._lifeline.close()

    def close(self) -> None:
        """Wait until the process has ended."""
        self.leave()
        self._executor.shutdown(cancel_futures=True)


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Let processes that are started now hear of no Ctrl-C before they have settled in."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _settle_in(lifeline: Connection) -> None:
    """Leave Ctrl-C to the parent, and watch whether it is there; runs in the new process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_leave_with, args=(lifeline,)).start()  # the process does not end before this thread
    gc.freeze()  # what is there now will stay


def _leave_with(lifeline: Connection) -> None:
    """Wait until the parent lets go of the other end, or is gone; then end the services, and this process."""
    with suppress(EOFError, OSError):
        while lifeline.recv_bytes():
            hand.in_a_hurry.set()
    try:
        hand.dismiss()
        sys.stdout.flush()
    finally:
        os._exit(0)
