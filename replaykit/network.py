"""The network: plain HTTP/1.1 over our own wire, all else through httpx's transport; a door to httpx.

A detour leads to a service by way of another address, where something stands that disturbs what passes. Only where
connections are made to differs: URL, Host header and the name that TLS asks for are the service's own.
"""

import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import httpx

from replaykit.interaction import Trouble
from replaykit.wire import KEPT_FOR, MAX_CONNECTIONS, MAX_KEPT, Answer, Connections, Detour, WireError, head_of

Place: TypeAlias = tuple[str, int]  # host and port


class Network(httpx.BaseTransport):
    """The way to the network, straight or over a detour."""

    def __init__(self, *, lean: bool = True, connections: int = MAX_CONNECTIONS) -> None:
        self.lean = Connections(connections)
        self.meanwhile: Callable[[], bool] | None = None  # a small piece of work while an answer is waited for
        self._is_lean = lean
        self._limits = httpx.Limits(
            max_connections=connections, max_keepalive_connections=MAX_KEPT, keepalive_expiry=KEPT_FOR
        )
        self._httpx: httpx.HTTPTransport | None = None  # made when it is needed
        self._verify: ssl.SSLContext | None = None  # as well: it loads certificates
        self._service: Place | None = None  # what the detour leads to
        self._detour: _HttpxDetour | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self.send(request, self._detour_of(request), self.meanwhile)

    def straight(self, request: httpx.Request) -> httpx.Response:
        """Send a request over no detour."""
        return self.send(request, None, self.meanwhile)

    def beside(self, request: httpx.Request, sent: Callable[[], None]) -> httpx.Response:
        """Send a request while another thread does, and waits for its own answer; `sent` is called when it has gone."""
        return self.send(request, self._detour_of(request), None, sent)

    def send(
        self,
        request: httpx.Request,
        detour: "_HttpxDetour | None",
        meanwhile: Callable[[], bool] | None,
        sent: Callable[[], None] | None = None,
    ) -> httpx.Response:
        """Send a request, and read the head of its answer."""
        body: Any = request.read() if isinstance(request.stream, httpx.ByteStream) else request.stream
        head = self._lean_head(request, len(body) if isinstance(body, bytes) else None)
        if head is None:
            return self._send_by_httpx(request, detour, sent)
        place = (request.url.raw_host.decode("ascii"), request.url.port or 80)
        timeouts = request.extensions["timeout"]
        try:
            answer = self.lean.send(
                place, request.method.encode("ascii"), head, body, timeouts, meanwhile, sent=sent, detour=detour
            )
        except WireError as error:
            raise error_of(error.trouble, request) from None
        return Answered(
            answer.status,
            headers=answer.headers,
            stream=_Wired(answer, request),
            extensions={"http_version": answer.version, "reason_phrase": answer.reason},
        )

    def _lean_head(self, request: httpx.Request, size: int | None) -> bytes | None:
        """Write the head of a request for our own wire; None where it is nothing for it."""
        url = request.url
        if not self._is_lean or url.scheme != "http" or request.extensions.keys() != {"timeout"}:
            return None
        return head_of(request.method.encode("ascii"), url.raw_path, request.headers.raw, size)

    def _send_by_httpx(
        self, request: httpx.Request, detour: "_HttpxDetour | None", sent: Callable[[], None] | None
    ) -> httpx.Response:
        if sent is not None:
            request = _with(request, trace=_told_when_sent(sent, request.extensions.get("trace")))
        if detour is not None:
            return detour.send(request, self._direct)
        if self._httpx is None:
            self._httpx = self._direct()
        return self._httpx.handle_request(request)

    def _direct(self) -> httpx.HTTPTransport:
        if self._verify is None:
            self._verify = httpx.create_ssl_context()
        return _Direct(limits=self._limits, verify=self._verify)

    # --- detours

    def detour(self, service: Place, address: Place | None) -> None:
        """From now on, make connections for a host and port to an address instead; None makes them there again."""
        if (None if self._detour is None else self._detour.address) != address or self._service != service:
            self._service = service
            self._take(None if address is None else _HttpxDetour(address))

    def fresh(self) -> None:
        """Use no kept connection of the detour any more."""
        if self._detour is not None:
            self._take(_HttpxDetour(self._detour.address))

    def _take(self, detour: "_HttpxDetour | None") -> None:
        before, self._detour = self._detour, detour
        if before is not None:
            self.lean.leave(before)
            before.leave()

    def _detour_of(self, request: httpx.Request) -> "_HttpxDetour | None":
        if self._detour is None or self._service != place_of(request.url):
            return None
        return self._detour

    # --- ends

    def let_go(self) -> None:
        """Close all kept connections."""
        self.lean.close()
        self.fresh()
        if self._httpx is not None:
            self._httpx.close()
            self._httpx = None

    def cut(self) -> None:
        """End what goes over our own wire in other threads, for good; what httpx's transport does is let be."""
        self.lean.cut()

    def close(self) -> None:
        self.lean.close()
        self.fresh()
        if self._httpx is not None:
            self._httpx.close()


def place_of(url: httpx.URL) -> Place:
    """Return the host and the port that a URL points to."""
    return url.host, url.port or (443 if url.scheme == "https" else 80)


class _Direct(httpx.HTTPTransport):
    """httpx's transport, with its own method: vcrpy, which stands below other clients, puts one in its place."""

    handle_request = httpx.HTTPTransport.handle_request


class _HttpxDetour(Detour):
    """A detour that httpx's transport can take as well; it is closed when it was left, and nothing is read any more."""

    def __init__(self, address: Place) -> None:
        super().__init__(address)
        self._transport: httpx.HTTPTransport | None = None
        self._underway = 0  # answers that are still read
        self._lock = threading.Lock()

    def send(self, request: httpx.Request, made: Callable[[], httpx.HTTPTransport]) -> httpx.Response:
        """Send a request to the address of the detour, in all else as it is."""
        host, port = self.address
        extensions = {"sni_hostname": request.url.raw_host.decode("ascii"), **request.extensions}
        passing = _with(request, request.url.copy_with(host=host, port=port), **extensions)
        with self._lock:
            self._transport = transport = self._transport or made()
            self._underway += 1
        try:
            response = transport.handle_request(passing)
        except BaseException:
            self.done()
            raise
        assert isinstance(response.stream, httpx.SyncByteStream)  # noqa: S101  a sync transport gives no other
        response.stream = _Passing(response.stream, self)
        return response

    def done(self) -> None:
        """Know that an answer is read no more."""
        with self._lock:
            self._underway -= 1
        self._close_if_over()

    def leave(self) -> None:
        """Close what is kept, now or after the last answer."""
        self.is_left = True
        self._close_if_over()

    def _close_if_over(self) -> None:
        with self._lock:
            transport = None
            if self.is_left and not self._underway:
                transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()


class _Passing(httpx.SyncByteStream):
    """The body of an answer that comes over a detour."""

    def __init__(self, stream: httpx.SyncByteStream, detour: _HttpxDetour) -> None:
        self._stream = stream
        self._detour: _HttpxDetour | None = detour

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        detour, self._detour = self._detour, None
        try:
            self._stream.close()
        finally:
            if detour is not None:
                detour.done()


def _with(request: httpx.Request, url: httpx.URL | None = None, **extensions: Any) -> httpx.Request:
    """Return the same request for httpx's transport, which looks at nothing else of it."""
    return httpx.Request(
        request.method,
        request.url if url is None else url,
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, **extensions},
    )


def _told_when_sent(sent: Callable[[], None], also: Callable[..., None] | None) -> Callable[..., None]:
    """Return what httpx's transport tells its steps to; the name of one ends with what it did."""

    def told(name: str, info: dict[str, Any]) -> None:
        if also is not None:
            also(name, info)
        if name.endswith(".send_request_body.complete"):
            sent()

    return told


class Answered(httpx.Response):
    """An answer that is read in one go where nothing is to be decoded; httpx's way there has five generators."""

    def read(self) -> bytes:
        fresh = not (hasattr(self, "_content") or self.is_stream_consumed or self.is_closed)
        if fresh and isinstance(self.stream, httpx.SyncByteStream) and "content-encoding" not in self.headers:
            self.is_stream_consumed = True
            self._content = b"".join(self.stream)
            self._num_bytes_downloaded = len(self._content)
            self.close()
        return super().read()


class _Wired(httpx.SyncByteStream):
    """The body of an answer from our own wire, its errors in httpx's words."""

    def __init__(self, answer: Answer, request: httpx.Request) -> None:
        self._answer = answer
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._answer
        except WireError as error:
            raise error_of(error.trouble, self._request) from None

    def close(self) -> None:
        self._answer.close()


def trouble_of(error: httpx.TransportError) -> Trouble:
    """Say an httpx network error in our words."""
    return Trouble(error=type(error).__name__, message=str(error))


def error_of(trouble: Trouble, request: httpx.Request) -> httpx.TransportError:
    """Make the httpx network error that was recorded."""
    kind = getattr(httpx, trouble.error, None)
    if not (isinstance(kind, type) and issubclass(kind, httpx.TransportError)):
        kind = httpx.TransportError
    return kind(trouble.message, request=request)
