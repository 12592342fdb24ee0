"""The blockade: while a bundle is played, nothing that plays it reaches the network.

    with blockaded(cassette):
        ...

Theory of operation. Python says what it is about to do to audit hooks (`sys.addaudithook`), and one that raises keeps
it from being done. So nothing is patched, and every client and every raw socket is met, whoever made it. A hook can't
be taken away again; ours asks nothing but whether a blockade is up, and lets all through where none is.

A blockade is there for those who are inside: the thread in `with`, the tasks and contexts that it makes (contextvars),
and the threads that it starts. From Python 3.12 on they are seen being started; before, any thread counts that was
not there when the blockade was raised. Other threads are let through. What was started inside one blockade, as a pool
that is kept, is kept from the network by every later one too.

What is not met: a connection that was there before, and what does not go through Python's sockets (another process, a
library in C that connects by itself).
"""

import contextlib
import contextvars
import ipaddress
import os
import sys
import sysconfig
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Protocol
from weakref import WeakKeyDictionary, WeakSet

from replaykit.errors import OfflineError

_RESOLVING = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"}
_SENDING = {"socket.connect", "socket.sendto", "socket.sendmsg"}  # each with the socket and the address
_STARTING = {"_thread.start_new_thread", "_thread.start_joinable_thread"}
_WATCHED = _RESOLVING | _SENDING | _STARTING
_SEES_STARTS: bool = sys.version_info >= (3, 12)


class Missing(Protocol):
    """What is told of an attempt; a cassette is."""

    missed: str | None  # why the first request that could not be answered was not


class _Blockade:
    """One block of code that reaches nothing."""

    def __init__(self, told: Missing | None) -> None:
        self._told = told
        self.thread = threading.get_ident()
        self.before = WeakSet[threading.Thread]() if _SEES_STARTS else WeakSet(threading.enumerate())

    def tell(self, why: str) -> None:
        if self._told is not None:
            self._told.missed = self._told.missed or why


_here: contextvars.ContextVar[_Blockade | None] = contextvars.ContextVar("blockade", default=None)
_started: WeakKeyDictionary[threading.Thread, _Blockade] = WeakKeyDictionary()
_up: list[_Blockade] = []
_lock = threading.Lock()
_is_watching = False


@contextlib.contextmanager
def blockaded(told: Missing | None = None) -> Iterator[None]:
    """Keep what happens inside from the network: an attempt raises OfflineError, and `told` is told of the first one.

    So it is known even where the error is swallowed.
    """
    global _is_watching  # noqa: PLW0603  a hook is there once in a process, too
    blockade = _Blockade(told)
    with _lock:
        if not _is_watching:
            sys.addaudithook(_hook)
            _is_watching = True
        _up.append(blockade)
    token = _here.set(blockade)
    try:
        yield
    finally:
        _here.reset(token)
        with _lock:
            _up.remove(blockade)
            if not _SEES_STARTS:
                for thread in threading.enumerate():
                    if thread not in blockade.before:
                        _started.setdefault(thread, blockade)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _up or event not in _WATCHED:
        return
    blockade = _around()
    if blockade is None:
        return
    if event in _STARTING:
        thread = getattr(arguments[0], "__self__", None)
        if isinstance(thread, threading.Thread):
            _started[thread] = blockade
        return
    wanted = _resolved(event, arguments) if event in _RESOLVING else _addressed(arguments[1])
    if wanted is None:
        return
    place = _place(sys._getframe(1)) or _place(sys._current_frames().get(blockade.thread))  # noqa: SLF001
    why = f"{wanted} was to be reached{f' ({place})' if place else ''}, and nothing but the cassette is there offline"
    blockade.tell(why)
    if event == "socket.connect":
        arguments[0].close()  # which clients do for errors of the system alone
    raise OfflineError(
        f"While a bundle was played, {why}.", "Send it through self.http, or make the adapter with other_clients=True."
    )


def _around() -> _Blockade | None:
    """Return the blockade that this thread is in."""
    blockade = _here.get()
    if blockade is not None and blockade in _up:
        return blockade
    thread = threading.current_thread()
    blockade = _started.get(thread)
    if blockade is not None:
        return blockade if blockade in _up else next(iter(_up[-1:]), None)
    if _SEES_STARTS:
        return None
    return next((each for each in reversed(_up.copy()) if thread not in each.before), None)


def _resolved(event: str, arguments: tuple[Any, ...]) -> str | None:
    """Say which name is to be looked up; None where nobody has to be asked for it."""
    host = arguments[0][0] if event == "socket.getnameinfo" else arguments[0]
    if isinstance(host, bytes | bytearray):
        host = bytes(host).decode("ascii", "backslashreplace")
    if not host:
        return None
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(str(host).partition("%")[0])
        if event == "socket.getaddrinfo" or address.is_loopback or address.is_unspecified:
            return None
    port = arguments[1] if event == "socket.getaddrinfo" else None
    return str(host) if port is None else f"{host}:{port}"


def _addressed(address: Any) -> str | None:
    """Show an address; None where there is none, since the socket is connected."""
    if address is None:
        return None
    if isinstance(address, tuple) and len(address) > 1:
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    return os.fsdecode(address) if isinstance(address, bytes | str) else str(address)


_FOLDERS = [str(Path(__file__).parent), *map(sysconfig.get_path, ("stdlib", "purelib", "platlib"))]
_OTHERS = tuple(f"{folder}{os.sep}" for folder in _FOLDERS)  # in which no code of the user's is


def _place(frame: FrameType | None) -> str:
    """Say where in the user's code a frame is; empty where nothing of it is on the stack."""
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith((*_OTHERS, "<")):
            return f"{Path(name).name}, line {frame.f_lineno}, in {frame.f_code.co_name}"
        frame = frame.f_back
    return ""
