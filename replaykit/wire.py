"""The wire: plain HTTP/1.1 over kept connections, with as little as possible between; the door to httptools.

httpx's own transport spends half of the client's time in layers that a test against one service does not
need: pools, proxies, HTTP/2, tracing. This one writes a request in one call, and reads the answer with
httptools' parser (llhttp, the one of Node.js). What it does not speak, TLS above all, goes through httpx's
transport. It raises WireError with the name of the httpx exception that httpx's transport raises for the same
thing; tests/test_wire.py holds the two side by side.
"""

import contextlib
import select
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httptools

from replaykit.interaction import FIRST_SERVER_ERROR, Trouble

CHUNK = 65536  # bytes read at once
MAX_HEAD_READS = 4096  # an answer whose headers go on after so many reads is none

RawHeaders = Sequence[tuple[bytes, bytes]]

_QUICK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux

_FORBIDDEN = (b"\r", b"\n", b"\0")


class WireError(Exception):
    """The network did something else than answer."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(f"{error}: {message}")
        self.trouble = Trouble(error=error, message=message)


class Connections:
    """Kept connections to one place; safe to be used from several threads."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, int], list[socket.socket]] = {}
        self.hung_up = 0  # kept connections that the other side has closed: it may have been restarted
        self._lock = threading.Lock()

    def send(
        self,
        place: tuple[str, int],
        method: bytes,
        target: bytes,
        headers: RawHeaders,
        body: bytes,
        timeouts: Mapping[str, float | None],
    ) -> "Answer":
        """Send a request, and read the answer up to the end of its headers. Raises WireError.

        `timeouts` holds the seconds for `connect`, `read` and `write`; None waits for ever.
        """
        message = _message(method, target, headers, body)
        connection = self._take(place) or _connect(place, timeouts.get("connect"))
        try:
            connection.settimeout(timeouts.get("write"))
            with contextlib.suppress(BrokenPipeError):  # the answer may be there all the same
                connection.sendall(message)
            connection.settimeout(timeouts.get("read"))
            reusable = not any(name.lower() == b"connection" and b"close" in value.lower() for name, value in headers)
            answer = Answer(self, place, connection, head_only=method == b"HEAD", reusable=reusable)
            answer.read_head()
        except TimeoutError:
            connection.close()
            raise WireError("WriteTimeout", "timed out") from None
        except OSError as error:
            connection.close()
            raise WireError("WriteError", str(error)) from None
        except BaseException:
            connection.close()
            raise
        return answer

    def _take(self, place: tuple[str, int]) -> socket.socket | None:
        """Return a kept connection that the other side has not closed meanwhile."""
        while True:
            with self._lock:
                kept = self._idle.get(place)
                if not kept:
                    return None
                connection = kept.pop()
            if not _is_readable(connection):
                return connection
            self.hung_up += 1
            connection.close()

    def give_back(self, place: tuple[str, int], connection: socket.socket) -> None:
        """Keep a connection whose answer was read to its end."""
        with self._lock:
            self._idle.setdefault(place, []).append(connection)

    def close(self) -> None:
        """Close all kept connections."""
        with self._lock:
            connections = [each for kept in self._idle.values() for each in kept]
            self._idle.clear()
        for connection in connections:
            connection.close()


class Answer:
    """An answer whose head was read; iterate over it for its body, and close it."""

    def __init__(
        self,
        connections: Connections,
        place: tuple[str, int],
        connection: socket.socket,
        *,
        head_only: bool,
        reusable: bool,
    ) -> None:
        self._connections, self._place, self._connection = connections, place, connection
        self._head_only, self._reusable = head_only, reusable
        self._parser: Any = httptools.HttpResponseParser(self)
        self._chunks: list[bytes] = []
        self._headed = self._ended = self._begun = False
        self._received = 0
        self._open = True
        self.status = 0
        self.reason = b""
        self.version = b"HTTP/1.1"
        self.headers: list[tuple[bytes, bytes]] = []

    # --- called by the parser

    def on_message_begin(self) -> None:
        if not self._ended:  # else what comes is no part of this answer, and the connection is spoilt
            self.reason, self.headers = b"", []
        else:
            self._reusable = False

    def on_status(self, reason: bytes) -> None:
        if not self._ended:
            self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._headed and not self._ended:  # else it is a trailer, which httpx drops as well
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._ended:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:  # noqa: PLR2004  an interim answer: the one meant follows
            return
        self.status = status
        self.version = b"HTTP/" + self._parser.get_http_version().encode("ascii")
        self._headed = True
        if self._head_only:
            self._ended, self._reusable = True, False  # the parser would wait for a body that never comes

    def on_body(self, chunk: bytes) -> None:
        if self._headed and not self._ended:
            self._received += len(chunk)
            self._chunks.append(chunk)

    def on_message_complete(self) -> None:
        if self._headed and not self._ended:
            self._ended = True
            self._reusable = self._reusable and self._parser.should_keep_alive()  # it can be asked only here

    # --- called by the reader

    def read_head(self) -> None:
        """Read until the headers are complete. Raises WireError."""
        taken = 0
        while not self._headed:
            taken += 1
            if taken > MAX_HEAD_READS:
                raise WireError("RemoteProtocolError", "the head of the answer does not end")
            if not self._feed():
                if self._begun:
                    raise WireError("RemoteProtocolError", "peer closed connection without sending complete headers")
                raise WireError("RemoteProtocolError", "Server disconnected without sending a response.")

    def __iter__(self) -> Iterator[bytes]:
        while True:
            while self._chunks:
                yield self._chunks.pop(0)
            if self._ended:
                return
            if not self._feed():
                self._end_of_stream()

    def close(self) -> None:
        """Keep the connection if the answer was read to its end; close it otherwise.

        Some servers close it after an error of theirs, without saying so before, and the next request would be lost.
        """
        if not self._open:
            return
        self._open = False
        if self._ended and self._reusable and self.status < FIRST_SERVER_ERROR:
            self._connections.give_back(self._place, self._connection)
        else:
            self._connection.close()

    def _feed(self) -> bool:
        """Read once; return false at the end of the stream. Raises WireError."""
        try:
            # A service that sends head and body in two packets waits for our acknowledgement of the first,
            # 40 ms, unless it is asked for at once (tcp(7); the wish does not last, so it is said each time).
            if self._begun and _QUICK is not None:
                self._connection.setsockopt(socket.IPPROTO_TCP, _QUICK, 1)
            data = self._connection.recv(CHUNK)
        except TimeoutError:
            raise WireError("ReadTimeout", "timed out") from None
        except OSError as error:
            raise WireError("ReadError", str(error)) from None
        if not data:
            return False
        self._begun = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._headed = self._ended = True
            self._reusable = False
        except httptools.HttpParserError as error:
            if self._ended:  # what comes after the answer is not part of it, but spoils the connection
                self._reusable = False
            else:
                raise WireError("RemoteProtocolError", str(error)) from None
        return True

    def _end_of_stream(self) -> None:
        """Judge the end of the stream before the end of the message (RFC 9112, section 6.3)."""
        self._reusable = False
        length = next((value for name, value in self.headers if name.lower() == b"content-length"), None)
        if length is not None:
            raise WireError(
                "RemoteProtocolError",
                "peer closed connection without sending complete message body "
                f"(received {self._received} bytes, expected {length.decode('latin-1')})",
            )
        if any(name.lower() == b"transfer-encoding" and b"chunked" in value.lower() for name, value in self.headers):
            raise WireError(
                "RemoteProtocolError",
                "peer closed connection without sending complete message body (incomplete chunked read)",
            )
        self._ended = True


def _message(method: bytes, target: bytes, headers: RawHeaders, body: bytes) -> bytes:
    """Write a request as bytes. Raises WireError for what would break out of its place."""
    lines = [b"%s %s HTTP/1.1\r\n" % (method, target)]
    chunked = False
    for name, value in headers:
        if any(each in name or each in value for each in _FORBIDDEN) or not name:
            raise WireError("LocalProtocolError", f"Illegal header {name!r}: {value!r}")
        lines.append(b"%s: %s\r\n" % (name, value))
        chunked = chunked or (name.lower() == b"transfer-encoding" and b"chunked" in value.lower())
    if chunked:
        body = (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    return b"".join([*lines, b"\r\n", body])


def _connect(place: tuple[str, int], timeout: float | None) -> socket.socket:
    try:
        connection = socket.create_connection(place, timeout)
    except TimeoutError:
        raise WireError("ConnectTimeout", "timed out") from None
    except (OSError, UnicodeError, OverflowError) as error:  # the latter two: a host or port that can't be
        raise WireError("ConnectError", str(error)) from None
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _is_readable(connection: socket.socket) -> bool:
    """Say whether there is something to read where nothing should be: then the other side has hung up."""
    poller = select.poll()
    poller.register(connection, select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(poller.poll(0))
