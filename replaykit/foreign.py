"""Foreign clients on the run's tape: requests, urllib3, botocore, aiohttp, all that vcrpy knows; the door to vcrpy.

Theory of operation. vcrpy knows where each of these clients can be stopped on its way to the network, and puts
classes of its own there, which ask a cassette about each request and tell it each answer. Here they ask the deck
(module deck): it looks like a cassette to them, and passes everything on to the tape of the run that is under way.
vcrpy itself has no part in what is recorded where.

What vcrpy puts in place is there for the whole process. So it is put there once, for as long as a campaign needs it,
and which run a request belongs to is found out by the context in which it is sent (contextvars): that of the thread
of the run, of a thread of one of its branches, of a task of asyncio that one of them has started. A thread without a
context, made by the adapter itself, belongs to the run that is under way, if there is only one.

vcrpy takes its classes away for a moment wherever it needs the real ones (`force_reset`), which another thread
would notice. So the real ones are found in another way here (`_genuine`), and nothing is ever taken away.

It does not record errors. They are met where they pass, outside of vcrpy's part, and told in the words that httpx has
for them; played, they are raised in the words of the client.
"""

import asyncio
import contextlib
import http.client
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from replaykit.deck import DECK, Broken, given, pending, under_way
from replaykit.errors import DefinitionError
from replaykit.interaction import Trouble
from replaykit.transport import Tape
from replaykit.trouble import of_aiohttp, of_http_client, of_httpx, of_urllib3

OLDEST = (8, 2, 1)  # earlier ones run code from a cassette

_lock = threading.RLock()
_users = 0
_patches: contextlib.ExitStack | None = None


@contextlib.contextmanager
def captured() -> Iterator[None]:
    """Have foreign clients ask about each request; outside of a run they go to the network unseen."""
    global _users, _patches  # noqa: PLW0603  what is patched is there once in a process, too
    with _lock:
        if _users == 0:
            _patches = _installed()
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0 and _patches is not None:
                patches, _patches = _patches, None
                patches.close()


@contextlib.contextmanager
def through(tape: Tape) -> Iterator[None]:
    """Send what foreign clients send inside past a tape."""
    with captured(), under_way(tape):
        yield


# --- putting it in place ------------------------------------------------------------------------


class _Thread(threading.local):
    inside = 0  # how deep this thread is in what wants the real classes


_thread = _Thread()


@contextlib.contextmanager
def _genuine() -> Iterator[None]:
    """Let this thread make real connections, and no other one."""
    _thread.inside += 1
    try:
        yield
    finally:
        _thread.inside -= 1


class _Watched:
    """Stands before a connection of vcrpy, and sees the errors that pass."""

    _vcr_request: Any
    real_connection: Any

    def getresponse(self, *arguments: Any, **options: Any) -> Any:
        self._vcr_request.is_shuffled = True
        try:
            return super().getresponse(*arguments, **options)  # type: ignore[misc]
        except Broken as broken:
            raise self._error_of(broken.trouble) from None
        except Exception as error:
            DECK.lost(error, self._vcr_request, connected=self.real_connection.sock is not None)
            raise

    def _error_of(self, trouble: Trouble) -> Exception:
        is_urllib3 = any(kind.__module__.startswith("urllib3.") for kind in type(self).__mro__)
        return of_urllib3(self, trouble) if is_urllib3 else of_http_client(trouble)


def _installed() -> contextlib.ExitStack:
    """Put vcrpy's classes in place, with the deck for a cassette. Raises DefinitionError."""
    _require_vcrpy()
    from vcr import patch

    class Builder(patch.CassettePatcherBuilder):  # type: ignore[misc]
        def _build_cassette_subclass(self, base_class: Any) -> type:
            name = base_class._baseclass.__name__  # noqa: SLF001  which stands in messages of errors
            return type(name, (_Watched, base_class), {"cassette": DECK})

    builder = Builder(DECK)
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(patch, "force_reset", _genuine))
        for group in ("urllib3", "boto3", "tornado", "aiohttp", "httpx", "httpx2"):  # requests goes through urllib3
            for patcher in getattr(builder, f"_{group}", tuple)():
                stack.enter_context(patcher)
        for place, name, make in _outer():
            stack.enter_context(mock.patch.object(place, name, make(getattr(place, name))))
        stack.callback(_let_through)
        _stop(_stubs(builder))
        return stack.pop_all()


def _require_vcrpy() -> None:
    try:
        import vcr
    except ImportError as error:
        raise DefinitionError(
            f"The adapter uses other clients, and vcrpy can't be imported: {error}.", "Install vcrpy 8.2.1 or newer."
        ) from None
    version = tuple(int(part) for part in vcr.__version__.split(".")[:3] if part.isdigit())
    if version < OLDEST:
        raise DefinitionError(
            f"The adapter uses other clients, and vcrpy {vcr.__version__} is too old.", "Install vcrpy 8.2.1 or newer."
        )


def _outer() -> Iterator[tuple[Any, str, Callable[[Any], Any]]]:
    """List the methods of clients that do not go through a connection of http.client, each with what wraps it."""
    if "aiohttp" in sys.modules:
        yield sys.modules["aiohttp"].ClientSession, "_request", _watched_aiohttp
    for library in ("httpx", "httpx2"):
        for kind in ("HTTPTransport", "WSGITransport", "MockTransport"):
            if hasattr(sys.modules.get(library), kind):
                yield getattr(sys.modules[library], kind), "handle_request", _watched_httpx
        for kind in ("AsyncHTTPTransport", "ASGITransport", "MockTransport"):
            if hasattr(sys.modules.get(library), kind):
                yield getattr(sys.modules[library], kind), "handle_async_request", _watched_async_httpx


def _watched_aiohttp(patched: Any) -> Any:
    async def _request(session: Any, method: str, url: Any, **options: Any) -> Any:
        token = given.set(options)
        pending.set(None)
        try:
            return await patched(session, method, url, **options)
        except Broken as broken:
            asked = pending.get()
            assert asked is not None  # noqa: S101  what is broken was asked for
            raise of_aiohttp(broken.trouble, asked.sent) from None
        except (Exception, asyncio.CancelledError) as error:
            DECK.lost(error)
            raise
        finally:
            given.reset(token)

    return _request


def _watched_httpx(patched: Any) -> Any:
    def handle_request(transport: Any, request: Any) -> Any:
        pending.set(None)
        try:
            return patched(transport, request)
        except Broken as broken:
            raise of_httpx(broken.trouble, request) from None
        except Exception as error:
            DECK.lost(error)
            raise

    return handle_request


def _watched_async_httpx(patched: Any) -> Any:
    async def handle_async_request(transport: Any, request: Any) -> Any:
        pending.set(None)
        try:
            return await patched(transport, request)
        except Broken as broken:
            raise of_httpx(broken.trouble, request) from None
        except (Exception, asyncio.CancelledError) as error:
            DECK.lost(error)
            raise

    return handle_async_request


# --- http.client --------------------------------------------------------------------------------
# The names of its classes stand in its own code, and in that of classes below them, so they can't be given to others.
# What can be changed is how an instance is made. A __new__ that was set can't be removed so that all is as before
# (object.__new__ takes no arguments then), so what is left behind in the end is one that makes an instance as ever.


def _stubs(builder: Any) -> dict[type, type]:
    """List which class of vcrpy stands for which of http.client and of httplib2."""
    from vcr import stubs

    found = {
        http.client.HTTPConnection: builder._get_cassette_subclass(stubs.VCRHTTPConnection),  # noqa: SLF001
        http.client.HTTPSConnection: builder._get_cassette_subclass(stubs.VCRHTTPSConnection),  # noqa: SLF001
    }
    if "httplib2" in sys.modules:
        from vcr.stubs import httplib2_stubs

        library = sys.modules["httplib2"]
        for name in ("HTTPConnectionWithTimeout", "HTTPSConnectionWithTimeout"):
            stub = getattr(httplib2_stubs, f"VCR{name}")
            found[getattr(library, name)] = builder._get_cassette_subclass(stub)  # noqa: SLF001
    return found


def _stop(stubs: dict[type, type]) -> None:
    def make(kind: type, *arguments: Any, **options: Any) -> Any:
        stub = None if _thread.inside else stubs.get(kind)
        if stub is None:
            return object.__new__(kind)
        return object.__new__(stub) if issubclass(stub, kind) else stub(*arguments, **options)

    http.client.HTTPConnection.__new__ = make  # type: ignore[method-assign, assignment]


def _let_through() -> None:
    def make(kind: type, *_: Any, **__: Any) -> Any:
        return object.__new__(kind)

    http.client.HTTPConnection.__new__ = make  # type: ignore[method-assign, assignment]
