"""The blockade: while a bundle is played, nothing that plays it reaches the network.

    with blockaded(cassette):
        ...

Theory of operation. Python says what it is about to do to audit hooks (`sys.addaudithook`), and one that raises keeps
it from being done. So no client is patched, and every one and every raw socket is met, whoever made it. A hook can't
be taken away again; ours asks nothing but who is inside, and lets all others through.

A blockade is there for those who are inside: the thread in `with`, the tasks and contexts that it makes (contextvars),
and the threads that it starts. Python says from 3.12 on that a thread is started; before, `threading` is made to say
so. Other threads are let through.

What was started inside stays inside when the blockade is lifted: a timer that is left over, a task. But what works for
others, a pool's thread or an event loop, may have been kept in order to work for somebody who is outside; it is let
through while no blockade is up.

What is not met: a connection that was there before, threads that were started by `_thread` alone, and what does not go
through Python's sockets (another process, a library in C that connects by itself).
"""

import contextlib
import contextvars
import ipaddress
import os
import sys
import sysconfig
import threading
from collections.abc import Collection, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from replaykit.errors import OfflineError

_RESOLVING = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"}
_SENDING = {"socket.connect", "socket.sendto", "socket.sendmsg"}  # each with the socket and the address
_STARTING = {"_thread.start_new_thread", "_thread.start_joinable_thread"}
_WATCHED = _RESOLVING | _SENDING | _STARTING


class Missing(Protocol):
    """What is told of an attempt; a cassette is."""

    missed: str | None  # why the first request that could not be answered was not


class _Blockade:
    """One block of code that reaches nothing."""

    def __init__(self, told: Missing | None) -> None:
        self._told = told
        self.thread = threading.get_ident()

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
            _watch()
            _is_watching = True
        _up.append(blockade)
    token = _here.set(blockade)
    try:
        yield
    finally:
        _here.reset(token)
        with _lock:
            _up.remove(blockade)


def _watch() -> None:
    """Hear, from here on, of what Python is about to do."""
    sys.addaudithook(_hook)
    if sys.version_info < (3, 12):
        start = threading._start_new_thread  # type: ignore[attr-defined]  # noqa: SLF001

        def told(*arguments: Any) -> Any:
            _hook("_thread.start_new_thread", arguments)
            return start(*arguments)

        threading._start_new_thread = told  # type: ignore[attr-defined]  # noqa: SLF001


def _hook(event: str, arguments: tuple[Any, ...], _watched: Collection[str] = _WATCHED) -> None:
    if event not in _watched or _up is None:  # the latter while Python ends
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
    is_up = blockade in _up
    place = _place(sys._getframe(1)) or _place(sys._current_frames().get(blockade.thread) if is_up else None)  # noqa: SLF001
    why = f"{wanted} was to be reached{f' ({place})' if place else ''}, and nothing but the cassette is there offline"
    blockade.tell(why)
    if event == "socket.connect":
        arguments[0].close()  # which clients do for errors of the system alone
    who = "While a bundle was played" if is_up else "By what was left over from a bundle that was played"
    raise OfflineError(f"{who}, {why}.", "Send it through self.http, or make the adapter with other_clients=True.")


def _around() -> _Blockade | None:
    """Return the blockade that this thread is in."""
    up, here = _up[::-1], _here.get()
    if here in up:
        return here
    around = next((each for each in up if each.thread == threading.get_ident()), None)  # whatever context it runs in
    if around is not None or not (up or here or _started):
        return around
    began = here or _started.get(threading.current_thread())
    if began is None or began in up:
        return began
    if up:
        return up[0]
    return began if here is not None or not _works_for_others() else None


_POOLS = {("thread.py", "_worker"), ("pool.py", "worker")}  # of concurrent.futures, of multiprocessing


def _works_for_others() -> bool:
    """Say whether this thread does what others hand to it."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None:  # noqa: SLF001  the other way is to catch an error
        return True
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001
    while frame is not None:
        code = frame.f_code
        if (Path(code.co_filename).name, code.co_name) in _POOLS and code.co_filename.startswith(_OTHERS):
            return True
        frame = frame.f_back
    return False


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
