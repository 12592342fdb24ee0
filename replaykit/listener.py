"""A listener: a small HTTP/1.1 server for the proxy's API, which keeps to its limits whatever is sent to it."""

import contextlib
import json
import socket
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NamedTuple

from replaykit.loop import READ, WRITE, Gate, Loop, Timer
from replaykit.toxic import RefusedError

MOST_HEAD = 32 * 1024  # bytes
MOST_BODY = 1024 * 1024  # bytes
MOST_CHUNKS = 1024
MOST_VISITORS = 256  # that are served at the same time
PATIENCE = 15.0  # seconds that a request may take to arrive, and an answer to be taken
IDLE = 60.0  # seconds between two requests

Answer = tuple[int, Any]  # a status, and what is sent as JSON; a text is sent as it is, and nothing for None


class Request(NamedTuple):
    """One request."""

    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    keeps: bool  # whether the connection is kept


class Listener:
    """Accepts connections, and answers what is asked there."""

    def __init__(self, loop: Loop, sock: socket.socket, answer: Callable[[Request], Answer]) -> None:
        self._loop, self._answer = loop, answer
        self._visitors: set[Visitor] = set()
        Gate(loop, sock, self._let_in)

    def _let_in(self, sock: socket.socket) -> None:
        if len(self._visitors) >= MOST_VISITORS:
            sock.close()
            return
        self._visitors.add(Visitor(self._loop, sock, self._answer, self._visitors.discard))


class Visitor:
    """One connection to the API."""

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        answer: Callable[[Request], Answer],
        left: Callable[["Visitor"], None],
    ) -> None:
        self._loop, self._sock, self._answer, self._left = loop, sock, answer, left
        self._heard, self._unsent = bytearray(), b""
        self._is_asked_on = self._keeps = True
        self._timer: Timer | None = None
        self._wait(IDLE)
        loop.watch(sock, READ, self._ready, self._close)

    def _wait(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.later(seconds, self._close)

    def _ready(self, events: int) -> None:
        try:
            if events & WRITE:
                self._send(b"")
                self._serve()
            else:
                self._hear()
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._close()

    def _hear(self) -> None:
        data = self._sock.recv(64 * 1024)
        if not data:
            self._close()
            return
        if not self._heard:
            self._wait(PATIENCE)
        self._heard += data
        self._serve()

    def _serve(self) -> None:
        """Answer what was heard, as far as the answers are taken."""
        while self._heard and self._keeps and not self._unsent:
            try:
                found = parsed(self._heard)
            except RefusedError as error:
                self._keeps = False
                self._send(rendered(error.status, refusal(error), keeps=False))
                return
            if found is None:
                self._ask_on()
                return
            request, used = found
            del self._heard[:used]
            self._is_asked_on, self._keeps = True, request.keeps
            status, said = answered(self._answer, request)
            self._send(rendered(status, said, keeps=request.keeps))

    def _ask_on(self) -> None:
        """Say that the body is wanted, to who waits for that (RFC 9110, section 10.1.1)."""
        if self._is_asked_on and b"\r\n\r\n" in self._heard:
            self._is_asked_on = False
            if b"100-continue" in bytes(self._heard).lower():
                self._sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _send(self, data: bytes) -> None:
        self._unsent += data
        with contextlib.suppress(BlockingIOError, InterruptedError):
            self._unsent = self._unsent[self._sock.send(self._unsent) :]
        if self._unsent:
            self._loop.watch(self._sock, WRITE, self._ready, self._close)
            self._wait(PATIENCE)
        elif not self._keeps:
            self._close()
        else:
            self._loop.watch(self._sock, READ, self._ready, self._close)
            self._wait(PATIENCE if self._heard else IDLE)

    def _close(self) -> None:
        self._keeps = False
        if self._timer is not None:
            self._timer.cancel()
        self._loop.forget(self._sock)
        self._sock.close()
        self._left(self)


def answered(answer: Callable[[Request], Answer], request: Request) -> Answer:
    """Return the answer to a request; what goes wrong with it is one too."""
    try:
        return answer(request)
    except RefusedError as error:
        return error.status, refusal(error)
    except Exception as error:  # noqa: BLE001  one request is no reason to end the proxy
        return 500, {"error": f"{type(error).__name__}: {error}", "status": 500}


def refusal(error: RefusedError) -> dict[str, Any]:
    """Return an error as Toxiproxy's API says it."""
    return {"error": error.happened, "status": error.status}


def read_json(body: bytes) -> Any:
    """Read the JSON of a request; what follows it is ignored, as Go does. Raises RefusedError."""
    try:
        return json.JSONDecoder(parse_constant=_refuse_constant).raw_decode(body.decode("utf-8").lstrip())[0]
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"bad request body: {str(error) or 'EOF'}") from None


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


# --- the wire -----------------------------------------------------------------------------------


def parsed(heard: bytes | bytearray) -> tuple[Request, int] | None:
    """Read one request, and say how many bytes it has; None where there has to be more. Raises RefusedError."""
    end = heard.find(b"\r\n\r\n")
    if end > MOST_HEAD or (end < 0 and len(heard) > MOST_HEAD):
        raise RefusedError("the headers are too long", status=431)
    if end < 0:
        return None
    lines = bytes(heard[:end]).decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or words[2] not in {"HTTP/1.1", "HTTP/1.0"} or not words[1].startswith("/"):  # noqa: PLR2004
        raise RefusedError("this is no HTTP/1.1")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise RefusedError("a header is malformed")
        headers[name.lower()] = value.strip()
    body_at = end + 4
    if "transfer-encoding" in headers:
        if headers["transfer-encoding"].lower() != "chunked" or "content-length" in headers:
            raise RefusedError("the transfer encoding is not known", status=501)
        found = _unchunked(heard, body_at)
    else:
        found = _counted(heard, body_at, headers.get("content-length", "0"))
    if found is None:
        return None
    body, used = found
    wish = headers.get("connection", "").lower()
    keeps = wish != "close" and (words[2] == "HTTP/1.1" or wish == "keep-alive")
    return Request(words[0], words[1].partition("?")[0], headers, body, keeps), used


def _counted(heard: bytes | bytearray, start: int, length: str) -> tuple[bytes, int] | None:
    if not (length.isascii() and length.isdigit()):
        raise RefusedError("the content length is no number")
    if len(length) > len(str(MOST_BODY)) or int(length) > MOST_BODY:
        raise RefusedError("the body is too long", status=413)
    end = start + int(length)
    return (bytes(heard[start:end]), end) if len(heard) >= end else None


def _unchunked(heard: bytes | bytearray, start: int) -> tuple[bytes, int] | None:
    body = bytearray()
    for _ in range(MOST_CHUNKS):
        line = heard.find(b"\r\n", start)
        if len(body) > MOST_BODY or len(heard) - start > MOST_BODY * 2:
            raise RefusedError("the body is too long", status=413)
        if line < 0:
            return None
        size = bytes(heard[start:line]).partition(b";")[0].strip()
        if not size or len(size) > 6 or not all(sign in b"0123456789abcdefABCDEF" for sign in size):  # noqa: PLR2004
            raise RefusedError("a chunk has no size")
        length = int(size, 16)
        end = line + 2 + length
        if length == 0:  # there are no trailers among Toxiproxy's clients
            return (bytes(body), end + 2) if len(heard) >= end + 2 else None
        if len(heard) < end + 2:
            if length > MOST_BODY:
                break
            return None
        body += heard[line + 2 : end]
        start = end + 2
    raise RefusedError("the body is too long", status=413)


def rendered(status: int, said: Any, *, keeps: bool) -> bytes:
    """Return an answer as it is sent."""
    kind = "application/json"
    if isinstance(said, str):
        kind, body = "text/plain; charset=utf-8", said.encode()
    else:
        body = b"" if said is None else json.dumps(said).encode()
    body += b"\n" if body else b""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    if status != HTTPStatus.NO_CONTENT:
        lines += [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    lines += [] if keeps else ["Connection: close"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
