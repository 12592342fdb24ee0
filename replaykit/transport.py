"""Transports: between an httpx client and the network stands a tap, which asks a tape and tells it all; door to httpx.

A tape may answer a request from a cassette, or let it go to the network, and it gets every interaction to keep. The
tap hands bodies on as they come, in both directions, and keeps what passes. `Tap` is for sync clients, `AsyncTap` for
async ones; both stand around any httpx transport, and what they record and play is decided in one place, `_Capture`.
"""

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import lru_cache
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import httpx

from replaykit.errors import is_cancelled
from replaykit.interaction import Headers, Interaction, Request, Response, Trouble
from replaykit.network import Answered, Network, error_of, trouble_of
from replaykit.tampering import tampered_of
from replaykit.turn import Turn


class Tape(Protocol):
    """What a tap asks about each request. It may be asked by several threads at once."""

    @property
    def plays(self) -> bool:
        """Whether it may answer; then a body that is streamed is read to its end before it is asked."""

    def answer(self, request: Request) -> Interaction | None:
        """Say what the cassette says to this request; None lets it go to the network."""

    def keep(self, interaction: Interaction) -> None:
        """Take an interaction that is over."""


@runtime_checkable
class Bounded(Protocol):
    """A tape that wants to hear where more was read of an answer than was recorded."""

    def run_out(self, request: Request, size: int) -> None:
        """Hear that all the bytes were read that were recorded of an answer, and that more were asked for."""


@runtime_checkable
class Busy(Protocol):
    """A tape that has something to do while an answer is waited for."""

    def meanwhile(self) -> bool:
        """Do a small piece of it, and say whether there was one to do."""


class Live:
    """The tape that keeps nothing and lets everything through."""

    plays = False

    def answer(self, request: Request) -> None:
        """Let the request go to the network."""

    def keep(self, interaction: Interaction) -> None:
        """Forget the interaction."""


Way: TypeAlias = Literal["lean", "httpx"]  # over our own wire where that can be, or always through httpx's transport


class _Tapping:
    """What both taps are: a tape, and the requests whose answers are still being read."""

    def __init__(self, tape: Tape | None) -> None:
        self.tape: Tape = Live() if tape is None else tape
        self.open: dict[int, _Capture] = {}  # by the order of sending

    def settle(self, tape: Tape | None = None) -> None:
        """Keep what is still being read, as far as it was read, as incomplete; of one tape, or of all."""
        for capture in list(self.open.values()):
            if tape is None or capture.tape is tape:
                capture.keep()


class Tap(_Tapping, httpx.BaseTransport):
    """The transport of a sync client: asks the tape, tells the tape, and leaves the network to another transport."""

    def __init__(self, inner: httpx.BaseTransport | None = None, tape: Tape | None = None) -> None:
        super().__init__(tape)
        self.inner = Network() if inner is None else inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if not isinstance(request.stream, httpx.ByteStream) and self.tape.plays:
            request.read()
        capture = _Capture(self, request)
        played = capture.ask()
        if played is not None:
            return played
        try:
            response = self.inner.handle_request(capture.passing)
        except httpx.TransportError as error:
            capture.fail(error)
            raise
        except BaseException:
            capture.forget()
            raise
        return capture.begin(response)

    def close(self) -> None:
        for capture in list(self.open.values()):
            if capture.incoming is not None:
                capture.incoming.close()
        self.settle()
        self.inner.close()


class AsyncTap(_Tapping, httpx.AsyncBaseTransport):
    """The transport of an async client: asks the tape, tells the tape, and leaves the network to another transport."""

    def __init__(self, inner: httpx.AsyncBaseTransport | None = None, tape: Tape | None = None) -> None:
        super().__init__(tape)
        self.inner = httpx.AsyncHTTPTransport() if inner is None else inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not isinstance(request.stream, httpx.ByteStream) and self.tape.plays:
            await request.aread()
        capture = _Capture(self, request)
        played = capture.ask()
        if played is not None:
            return played
        try:
            response = await self.inner.handle_async_request(capture.passing)
        except httpx.TransportError as error:
            capture.fail(error)
            raise
        except BaseException as error:
            if is_cancelled(error):
                capture.cancel()
            capture.forget()
            raise
        return capture.begin(response)

    async def aclose(self) -> None:
        for capture in list(self.open.values()):
            if capture.incoming is not None:
                await capture.incoming.aclose()
        self.settle()
        await self.inner.aclose()


class _Capture:
    """One request on its way past a tape: what was sent, what comes back, and the one interaction made of it."""

    def __init__(self, tap: _Tapping, request: httpx.Request) -> None:
        self.tape = tap.tape
        self.passing = request  # what goes to the network
        self._request = request
        url = request.url.copy_with(userinfo=b"") if request.url.userinfo else request.url
        self._url = str(url)
        self._headers = _pairs_of(tuple(request.headers.raw))
        self._sent: list[bytes] = []
        self._record: Request | None = None  # of the request, where all of it is known
        if not isinstance(request.stream, httpx.ByteStream):
            self.passing = httpx.Request(
                request.method,
                request.url,
                headers=request.headers,
                stream=_Outgoing(request.stream, self._sent),
                extensions=request.extensions,
            )
        self._response: httpx.Response | None = None
        self.incoming: _Incoming | None = None
        self._received: list[bytes] = []
        self._complete = False
        self._trouble: Trouble | None = None
        self._tampered = ""
        self._tap = tap
        self._turn = Turn(self.tape)
        tap.open[self._turn.number] = self
        self._began = time.perf_counter()

    def ask(self) -> httpx.Response | None:
        """Let the tape answer; None where it does not. Raises the recorded error, if that was the answer."""
        sent = self._request_record()
        try:
            played = self.tape.answer(sent)
        except BaseException:
            self.forget()
            raise
        if played is None:
            return None
        self.forget()
        self.tape.keep(played.replace(request=sent, before=0))
        answer, trouble = played.response, played.trouble
        error = None if trouble is None else error_of(trouble, self._request)
        if answer is None:
            raise error or httpx.TransportError("nothing is known of the answer", request=self._request)
        return Answered(
            status_code=answer.status,
            headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers],
            stream=_Played(self, answer, error),
            extensions={
                "http_version": answer.version.encode("latin-1"),
                "reason_phrase": answer.reason.encode("latin-1"),
            },
        )

    def run_out(self, size: int) -> Exception:
        """Return the error for a reader who wants more of an answer than was recorded."""
        if isinstance(self.tape, Bounded):
            self.tape.run_out(self._request_record(), size)
        return httpx.RemoteProtocolError(f"no more than {size} bytes of the answer were recorded")

    def begin(self, response: httpx.Response) -> httpx.Response:
        """Stand between the answer's body and its reader."""
        self._response, self._tampered = response, tampered_of(response)
        self.incoming = _Incoming(response.stream, self)
        if hasattr(response, "_content"):  # as the answers of a function, whose stream nobody would read
            code, headers, extensions = response.status_code, response.headers, response.extensions
            return httpx.Response(code, headers=headers, stream=self.incoming, extensions=extensions)
        response.stream = self.incoming
        return response

    def take(self, chunk: bytes) -> None:
        """Keep a piece of the answer's body."""
        self._received.append(chunk)

    def complete(self) -> None:
        """Know that the body has come to its end."""
        self._complete = True

    def fail(self, error: httpx.TransportError) -> None:
        """Keep the error that came instead of the answer, or of the rest of it."""
        self._trouble, self._tampered = trouble_of(error), self._tampered or tampered_of(error)
        self.keep()

    def cancel(self) -> None:
        """Keep that nobody waited for the answer, or for the rest of it."""
        self._trouble = Trouble(error="ReadTimeout", message="cancelled")
        self.keep()

    def forget(self) -> None:
        """Keep nothing of it."""
        self._tap.open.pop(self._turn.number, None)
        self._turn.leave()

    def keep(self) -> None:
        """Give the interaction to the tape, once."""
        if self._tap.open.pop(self._turn.number, None) is None:
            return
        self.tape.keep(
            Interaction(
                request=self._request_record(),
                response=None if self._response is None else self._response_record(self._response),
                trouble=self._trouble,
                elapsed=time.perf_counter() - self._began,
                before=self._turn.end(),
                tampered=self._tampered,
            )
        )

    def _request_record(self) -> Request:
        if self._record is not None:
            return self._record
        is_known = self.passing is self._request
        body = self._request.read() if is_known else b"".join(self._sent)
        record = Request(method=self._request.method, url=self._url, headers=self._headers, body=body)
        if is_known:
            self._record = record
        return record

    def _response_record(self, response: httpx.Response) -> Response:
        extensions = response.extensions
        reason = extensions.get("reason_phrase")
        return Response(
            status=response.status_code,
            reason=response.reason_phrase if reason is None else reason.decode("latin-1"),
            version=extensions.get("http_version", b"HTTP/1.1").decode("latin-1"),
            headers=_pairs(response.headers.raw),
            body=b"".join(self._received),
            complete=self._complete,
        )


_Stream: TypeAlias = httpx.SyncByteStream | httpx.AsyncByteStream


class _Outgoing(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A request's body on its way to the network, kept as it passes."""

    def __init__(self, stream: _Stream, sent: list[bytes]) -> None:
        self._stream = stream
        self._sent = sent

    def __iter__(self) -> Iterator[bytes]:
        assert isinstance(self._stream, httpx.SyncByteStream)  # noqa: S101  httpx's client has seen to it
        for chunk in self._stream:
            self._sent.append(chunk)
            yield chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        assert isinstance(self._stream, httpx.AsyncByteStream)  # noqa: S101  httpx's client has seen to it
        async for chunk in self._stream:
            self._sent.append(chunk)
            yield chunk


class _Incoming(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A response's body on its way to the reader, kept as it passes."""

    def __init__(self, stream: _Stream, capture: _Capture) -> None:
        self._stream = stream
        self._capture = capture

    def __iter__(self) -> Iterator[bytes]:
        assert isinstance(self._stream, httpx.SyncByteStream)  # noqa: S101  a sync transport gives no other
        take = self._capture.take
        try:
            for chunk in self._stream:
                take(chunk)
                yield chunk
        except httpx.TransportError as error:
            self._capture.fail(error)
            raise
        self._capture.complete()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        assert isinstance(self._stream, httpx.AsyncByteStream)  # noqa: S101  an async transport gives no other
        take = self._capture.take
        try:
            async for chunk in self._stream:
                take(chunk)
                yield chunk
        except httpx.TransportError as error:
            self._capture.fail(error)
            raise
        except BaseException as error:
            if is_cancelled(error):
                self._capture.cancel()
            raise
        self._capture.complete()

    def close(self) -> None:
        assert isinstance(self._stream, httpx.SyncByteStream)  # noqa: S101
        try:
            self._stream.close()
        finally:
            self._capture.keep()

    async def aclose(self) -> None:
        assert isinstance(self._stream, httpx.AsyncByteStream)  # noqa: S101
        try:
            await self._stream.aclose()
        finally:
            self._capture.keep()


class _Played(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A recorded body, with the error that broke it off, if any, or another one where it was not read to its end."""

    def __init__(self, capture: _Capture, played: Response, error: Exception | None) -> None:
        self._capture = capture
        self._played = played
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        if self._played.body:
            yield self._played.body
        if self._error is not None:
            raise self._error
        if not self._played.complete:
            raise self._capture.run_out(len(self._played.body))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk


def _pairs(raw: Sequence[tuple[bytes, bytes]]) -> Headers:
    return tuple([(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw])


@lru_cache(maxsize=1024)
def _pairs_of(raw: tuple[tuple[bytes, bytes], ...]) -> Headers:
    """Return the pairs of a request's headers, which most requests have in common with others."""
    return _pairs(raw)
