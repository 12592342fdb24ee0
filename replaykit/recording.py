"""Recording: `record` and `play` without a model, for ordinary tests and scripts; a door to httpx.

    with replaykit.record("shop.pd", base_url="http://127.0.0.1:8000") as client:
        client.get("/items")

    with replaykit.play("shop.pd") as client:
        client.get("/items")

With `async with`, the client is an `httpx.AsyncClient`. What happens in between is the business of the tape;
here are the clients that go past it. Nothing is patched: what does not go through these clients, or through
the transports that `Recording.transport` gives, is neither recorded nor played.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import httpx

from replaykit.cassette import Order
from replaykit.client import Cookies, without_credentials
from replaykit.drift import Comparison
from replaykit.errors import UsageError
from replaykit.likeness import HEADERS
from replaykit.network import Network
from replaykit.tape import Playback, Recorder
from replaykit.transport import AsyncTap, Tap, Tape

# What httpx makes a transport of: with a tap in its place, we have to hand it on.
_OF_TRANSPORT = ("verify", "cert", "http1", "http2", "limits", "proxy")


class Reel(Tape, Protocol):
    """A tape for one block, which says at its end whether all was well."""

    url: str | None  # what relative URLs are read by, where nobody says otherwise

    def check(self) -> None:
        """Raise what is wrong so far, also what the block swallowed."""

    def drop(self) -> None:
        """Leave nothing behind of a block that did not begin."""

    def finish(self, error: BaseException | None, path: Path | None = None) -> None:
        """Take leave of a block, and of what it raised."""


def record(path: str | os.PathLike[str], *, transport: Any = None, **options: Any) -> "Recording":
    """Record all that a client sends and gets into a new bundle at `path`; use it in `with` or `async with`.

    Each interaction is written as soon as it is over, into a hidden file beside `path` that ends in
    `.partial`. At the end of the block it gets its final name, in one step, also where the block raises.
    `transport` is the httpx transport to send through; all else is for the client: `base_url`, `headers`,
    `follow_redirects`, ... Raises UnwritableError and UsageError.
    """
    given = str(options.get("base_url", ""))
    url = without_credentials(given).rstrip("/") if given else None
    return Recording(lambda: Recorder(Path(path), url), transport, options)


def play(path: str | os.PathLike[str], *, order: Order = "strict", **options: Any) -> "Recording":
    """Answer what a client sends from the bundle at `path`, never from the network; in `with` or `async with`.

    `order`: in `strict`, requests come as they were recorded; in `fifo`, in any order, each recorded answer
    once; both have to be used up. In `any`, any part of it may be asked for, and asked for again.
    A request without an answer raises MissError, which is raised again at the end of the block if somebody
    swallowed it. Other options are for the client; relative URLs are those of the recording.
    """
    return Recording(lambda: Playback(Path(path), order), None, options)


def verify(
    path: str | os.PathLike[str],
    *,
    ignore: Sequence[str] = (),
    headers_compared: Sequence[str] = HEADERS,
    transport: Any = None,
    **options: Any,
) -> "Recording":
    """Send to the service, and raise DriftError at the end of the block if it answers otherwise than recorded.

    `ignore` names places in JSON answers whose values do not count (`$.id`, `$.rows[*].created`). A value
    that is ignored is followed: where the recorded one was sent again, the new one may be.
    """
    return Recording(lambda: Comparison(Path(path), ignore, headers_compared), transport, options)


class Recording:
    """A block of code whose clients go past one tape; its value in `with` is a client."""

    def __init__(self, load: Callable[[], Reel], transport: Any, options: Mapping[str, Any]) -> None:
        self._load = load
        self._options = dict(options)
        self._network = {key: self._options.pop(key) for key in _OF_TRANSPORT if key in self._options}
        if transport is not None and self._network:
            raise UsageError(
                f"Both a transport is given and {', '.join(self._network)}.", "Give these options to the transport."
            )
        self._inner = transport
        self._reel: Reel | None = None
        self._taps: list[Tap] = []
        self._async_taps: list[AsyncTap] = []
        self._client: httpx.Client | None = None
        self._async_client: httpx.AsyncClient | None = None

    def __enter__(self) -> httpx.Client:
        self.start()
        try:
            return self.client
        except BaseException:
            self._drop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish(error)

    async def __aenter__(self) -> httpx.AsyncClient:
        self.start()
        try:
            return self.async_client
        except BaseException:
            self._drop()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.rest()
        finally:
            self.finish(error)

    def start(self) -> None:
        """Begin, as `with` does. Raises the errors of reading the bundle, or of writing one."""
        if self._reel is not None:
            raise UsageError("This recording is at work already.", "Make another one for another block.")
        self._reel = self._load()
        if self._reel.url is not None:
            self._options.setdefault("base_url", self._reel.url)

    async def rest(self) -> None:
        """Close the connections of async clients, which can be used again; an event loop has to, before it ends."""
        for tap in self._async_taps:
            await tap.aclose()

    def check(self) -> None:
        """Raise what is wrong so far, also what the block swallowed: MissError, DriftError, UnwritableError."""
        for tap in (*self._taps, *self._async_taps):
            tap.settle()
        self._at_work().check()

    def finish(self, error: BaseException | None = None, path: Path | None = None) -> None:
        """End, as `with` does: save the bundle (at `path`, if given), or say what went wrong in playing."""
        reel = self._at_work()
        try:
            for tap in self._taps:
                tap.close()
            for async_tap in self._async_taps:
                async_tap.settle()
        finally:
            self._forget()
            reel.finish(error, path)

    def _drop(self) -> None:
        self._at_work().drop()
        self._forget()

    def _forget(self) -> None:
        self._reel = None
        self._taps, self._async_taps = [], []
        self._client = self._async_client = None

    @property
    def client(self) -> httpx.Client:
        """The client of the block, the same each time."""
        if self._client is None:
            self._client = httpx.Client(transport=self.transport(), **self._with_mounts(self.transport))
            self._client._cookies = Cookies(self._client.cookies)  # noqa: SLF001  the property would copy it
        return self._client

    @property
    def async_client(self) -> httpx.AsyncClient:
        """The async client of the block, the same each time."""
        if self._async_client is None:
            self._async_client = httpx.AsyncClient(
                transport=self.async_transport(), **self._with_mounts(self.async_transport)
            )
            self._async_client._cookies = Cookies(self._async_client.cookies)  # noqa: SLF001
        return self._async_client

    def transport(self, inner: Any = None) -> httpx.BaseTransport:
        """Return a transport for a client of your own, which goes past the same tape; around another, if given."""
        reel, inner = self._at_work(), inner or self._inner
        if inner is not None and not hasattr(inner, "handle_request"):
            raise UsageError(f"{type(inner).__name__} is no transport of a sync client.", "Use `async with`.")
        if reel.plays:
            inner = _Nowhere()
        elif inner is None:
            inner = httpx.HTTPTransport(**self._network) if self._network else Network()
        tap = Tap(inner, reel)
        self._taps.append(tap)
        return tap

    def async_transport(self, inner: Any = None) -> httpx.AsyncBaseTransport:
        """Return a transport for an async client of your own, which goes past the same tape."""
        reel, inner = self._at_work(), inner or self._inner
        if inner is not None and not hasattr(inner, "handle_async_request"):
            raise UsageError(f"{type(inner).__name__} is no transport of an async client.", "Use `with`.")
        if reel.plays:
            inner = _Nowhere()
        elif inner is None:
            inner = httpx.AsyncHTTPTransport(**self._network) if self._network else _AsyncNetwork()
        tap = AsyncTap(inner, reel)
        self._async_taps.append(tap)
        return tap

    def _at_work(self) -> Reel:
        if self._reel is None:
            raise UsageError("This recording is not at work.", "Use it inside of its `with` block.")
        return self._reel

    def _with_mounts(self, tapped: Callable[[Any], Any]) -> dict[str, Any]:
        """Return the client's options, with a tap around each transport that is mounted."""
        options = dict(self._options)
        mounts = options.pop("mounts", None)
        if mounts:
            options["mounts"] = {key: None if each is None else tapped(each) for key, each in mounts.items()}
        return options


class _Nowhere(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """The transport below a tape that answers everything."""


class _AsyncNetwork(httpx.AsyncBaseTransport):
    """httpx's async transport, made when it is needed; certificates are loaded only for who needs them."""

    def __init__(self) -> None:
        self._made: dict[bool, httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        plain = request.url.scheme == "http"
        if plain not in self._made:
            self._made[plain] = httpx.AsyncHTTPTransport(verify=not plain)
        return await self._made[plain].handle_async_request(request)

    async def aclose(self) -> None:
        made, self._made = self._made, {}
        for transport in made.values():
            await transport.aclose()
