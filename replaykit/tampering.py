"""Tampering: HTTP faults that are done between a tap and the network; a door to httpx.

What is tampered with says so, in the extension `tampered` of its answer, or in the attribute of that name of the
error that came instead; the tap keeps it with the interaction.
"""

import contextlib
import json
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal, TypeAlias, get_args

import httpx

from replaykit.errors import UsageError
from replaykit.interaction import SAFE
from replaykit.network import Network

Tampered: TypeAlias = Literal["status", "truncated", "corrupted", "duplicated"]

HEADER = "X-Replaykit-Fault"  # of an answer that the service did not give
STATUSES = range(400, 600)  # RFC 9110, sections 15.5 and 15.6: errors of the client and of the server
HELD = 1024 * 1024  # bytes of a body that are waited for before something is done to it
PATIENCE = 5.0  # seconds that they are waited for
SPAN = 64  # bytes of a body for each that is corrupted
MOST_CORRUPTED = 16  # bytes of it
TRIES = 8  # at a corrupted JSON body that says what it said before
_PRINTABLE = bytes(range(0x21, 0x7F))


@dataclass(frozen=True, kw_only=True)
class Tampering:
    """What is done to requests and answers. Raises UsageError where that can't be."""

    kind: Tampered
    status: int = 503  # of kind "status"
    reached: bool = True  # is a request whose answer is replaced sent all the same?
    keep: float = 0.5  # of a truncated body, from 0 to 1; at least the last byte is lost
    share: float = 1.0  # of the requests, from 0 to 1
    seed: int = 0  # of what is drawn; it begins anew with each `Client.tamper`
    repeatable: bool = False  # may any request be sent twice, or only those whose method says so?

    def __post_init__(self) -> None:
        if self.kind not in get_args(Tampered):
            raise UsageError(f"There is no tampering {self.kind!r}.", f"Choose one of {', '.join(get_args(Tampered))}.")
        if self.status not in STATUSES:
            raise UsageError(f"{self.status} is not the status of an error.", "Choose one from 400 to 599.")
        for name, value in (("keep", self.keep), ("share", self.share)):
            if not 0 <= value <= 1:
                raise UsageError(f"The {name} of a tampering is {value}.", "Choose one from 0 to 1.")


class Tamperer(httpx.BaseTransport):
    """The transport that does what a tampering says to what passes; it may be used from several threads."""

    def __init__(self, network: Network, tampering: Tampering) -> None:
        self._network, self._tampering = network, tampering
        self._number = 0  # of requests
        self._lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            self._number += 1
            lots = random.Random(f"{self._tampering.seed}/{self._number}")
        if lots.random() >= self._tampering.share:
            return self._network.handle_request(request)
        match self._tampering.kind:
            case "status":
                return self._replaced(request)
            case "truncated":
                return self._truncated(request)
            case "corrupted":
                return self._corrupted(request, lots)
            case "duplicated":
                return self._duplicated(request)

    def close(self) -> None:
        self._network.close()

    def _replaced(self, request: httpx.Request) -> httpx.Response:
        if self._tampering.reached:
            _drain(self._network.handle_request(request))
        else:
            request.read()  # what would have been sent is what the adapter said
        return _marked(_error(request, self._tampering.status), "status")

    def _truncated(self, request: httpx.Request) -> httpx.Response:
        answer = self._network.handle_request(request)
        body = _Body(answer)
        if body.held:
            left = min(int(len(body.held) * self._tampering.keep), len(body.held) - 1)
            body.break_off(left)
            _marked(answer, "truncated")
        return answer

    def _corrupted(self, request: httpx.Request, lots: random.Random) -> httpx.Response:
        answer = self._network.handle_request(request)
        body = _Body(answer)
        if not body.held:
            return answer
        plain = _decoded(answer, body.held) if body.is_whole else None
        if plain:  # corrupted as it is, it could not be decoded, and nobody would read what is in it
            answer.headers = _of_plain(answer.headers, len(plain))
            body.held = plain
        body.held = corrupted(body.held, lots)
        return _marked(answer, "corrupted")

    def _duplicated(self, request: httpx.Request) -> httpx.Response:
        if not (self._tampering.repeatable or request.method.upper() in SAFE):
            return self._network.handle_request(request)
        request.read()
        twin = _Twin(self._network, request)
        try:
            answer = self._network.beside(request, twin.start)
        except httpx.TransportError as error:
            if twin.finish():
                error.tampered = "duplicated"  # type: ignore[attr-defined]
            raise
        try:
            return _marked(answer, "duplicated") if twin.finish() else answer
        except BaseException:
            answer.close()
            raise


def tampered_of(one: httpx.Response | httpx.TransportError) -> str:
    """Say what was done to an answer, or to a request to which there is none; "" where nothing was."""
    said = one.extensions.get("tampered", "") if isinstance(one, httpx.Response) else getattr(one, "tampered", "")
    return said if said in get_args(Tampered) else ""


def _marked(answer: httpx.Response, kind: Tampered) -> httpx.Response:
    answer.extensions["tampered"] = kind
    return answer


class _Twin:
    """A request that is sent a second time, beside the first one, and whose answer nobody sees."""

    def __init__(self, network: Network, request: httpx.Request) -> None:
        self._network = network
        self._request = httpx.Request(
            request.method, request.url, headers=request.headers, stream=request.stream, extensions=request.extensions
        )
        self._was_sent = False
        self._thread = threading.Thread(target=self._send, daemon=True)

    def start(self) -> None:
        """Send it."""
        self._thread.start()

    def finish(self) -> bool:
        """Wait until it is answered; say whether it was sent."""
        if self._thread.ident is not None:
            self._thread.join()
        return self._was_sent

    def _send(self) -> None:
        with contextlib.suppress(httpx.TransportError):
            _drain(self._network.beside(self._request, self._sent))

    def _sent(self) -> None:
        self._was_sent = True


class _Body(httpx.SyncByteStream):
    """The body of an answer, of which the beginning is held until something was done to it."""

    def __init__(self, answer: httpx.Response) -> None:
        assert isinstance(answer.stream, httpx.SyncByteStream)  # noqa: S101  a sync transport gives no other
        self._stream = answer.stream
        self._rest = iter(self._stream)
        self._error: httpx.TransportError | None = None
        self.is_whole = False  # is all of it held?
        self.held = self._hold()
        answer.stream = self

    def _hold(self) -> bytes:
        pieces, size, deadline = [], 0, time.monotonic() + PATIENCE
        try:
            for piece in self._rest:
                pieces.append(piece)
                size += len(piece)
                if size >= HELD or time.monotonic() > deadline:
                    break
            else:
                self.is_whole = True
        except httpx.TransportError as error:  # told to who reads it
            self._error = error
        except BaseException:
            self._stream.close()
            raise
        return b"".join(pieces)

    def break_off(self, left: int) -> None:
        """Let the connection break after so many bytes."""
        said = f"received {left} bytes, expected {len(self.held)}" if self.is_whole else "incomplete"
        self._error = httpx.RemoteProtocolError(
            f"peer closed connection without sending complete message body ({said})"
        )
        self.held = self.held[:left]

    def __iter__(self) -> Iterator[bytes]:
        if self.held:
            yield self.held
        if self._error is not None:
            raise self._error
        yield from self._rest

    def close(self) -> None:
        self._stream.close()


def _drain(answer: httpx.Response) -> None:
    """Read an answer that nobody wants, as far as that can be waited for; hanging up would be told in many a log."""
    try:
        _Body(answer)
    finally:
        answer.close()


def _error(request: httpx.Request, status: int) -> httpx.Response:
    """Make an answer that says that it was put in, in JSON unless something else is asked for."""
    said = f"replaykit put in this answer, with the status {status}"
    accepted = request.headers.get("accept", "*/*").lower()
    is_json = any(each in accepted for each in ("json", "*/*", "application/*"))
    body = json.dumps({"error": {"code": "fault", "message": said}}).encode() if is_json else f"{said}\n".encode()
    headers = [
        (b"Content-Type", b"application/json" if is_json else b"text/plain; charset=utf-8"),
        (b"Content-Length", str(len(body)).encode()),
        (HEADER.encode(), b"status"),
    ]
    known = {each.value: each.phrase for each in HTTPStatus}
    return httpx.Response(
        status,
        headers=headers,
        stream=httpx.ByteStream(b"" if request.method.upper() == "HEAD" else body),
        extensions={"http_version": b"HTTP/1.1", "reason_phrase": known.get(status, "").encode()},
    )


def _decoded(answer: httpx.Response, held: bytes) -> bytes | None:
    """Return what a compressed body holds; None where it is none, or is broken already."""
    if "content-encoding" not in answer.headers:
        return None
    try:
        plain = httpx.Response(answer.status_code, headers=answer.headers, content=held).content
    except httpx.DecodingError:
        return None
    return None if plain == held else plain


def _of_plain(headers: httpx.Headers, size: int) -> httpx.Headers:
    """Return the headers of an answer whose body is no longer compressed."""
    raw = []
    for name, value in headers.raw:
        key = name.lower()
        if key != b"content-encoding":
            raw.append((name, str(size).encode() if key == b"content-length" else value))
    return httpx.Headers(raw)


def corrupted(body: bytes, lots: random.Random) -> bytes:
    """Change some bytes of a body; what is JSON then says something else, or nothing."""
    count = min(MOST_CORRUPTED, 1 + len(body) // SPAN)
    for _ in range(TRIES):
        changed = bytearray(body)
        for _ in range(count):
            place = int(lots.random() * len(body))
            others = _PRINTABLE.replace(body[place : place + 1], b"")
            changed[place] = others[int(lots.random() * len(others))]
        if _said(bytes(changed)) != _said(body):
            return bytes(changed)
    return b"~" + body[1:] if body[:1] != b"~" else b"}" + body[1:]


def _said(body: bytes) -> object:
    """Return what a body says in JSON; itself where it is none. JSON tells true from 1, and so does its repr."""
    try:
        return repr(json.loads(body))
    except (ValueError, RecursionError):
        return body
