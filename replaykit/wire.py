"""The wire: plain HTTP/1.1 over kept connections, with as little as possible between; the door to httptools and h11.

httpx's own transport spends half of the client's time in layers that a test against one service does not need: pools,
proxies, HTTP/2, tracing. This one writes a request in one call and reads the head of the answer with httptools'
parser (llhttp, the one of Node.js).

Theory of operation. It has to behave as httpx's transport does, odd services included, and the two parsers differ in
what they take. So httptools is given only heads that arrive in one piece and are plain beyond doubt (`_PLAIN_ANSWER`).
Everything else, be it a line that ends in LF alone, a folded header, two lengths, or a chunk with an extension, is
read by h11, which httpx's transport reads with as well: then the answer, or the error, is the same because it is made
by the same code. A request that is not plain is not taken at all (`head_of`), and goes through httpx's transport.

It raises WireError with the name of the httpx exception that httpx's transport raises for the same thing. Some things
are different on purpose: a connection is not used again after a 5xx, nor where something followed the answer; and no
more is read of an answer than MAX_ANSWER.
"""

import contextlib
import re
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import h11
import httptools

from replaykit.interaction import FIRST_SERVER_ERROR, Trouble

CHUNK = 65536  # bytes read at once
MAX_CONNECTIONS = 100  # in use at the same time, as with httpx; the next request waits, at most its pool time-out
MAX_KEPT = 20  # connections kept for later, as with httpx
KEPT_FOR = 5.0  # seconds, as with httpx
MAX_ANSWER = 128 * 1024 * 1024  # bytes of a body; one that goes on and on would take all memory
MAX_HEAD = 100 * 1024  # bytes of a head or of a chunk's size that h11 waits for, as httpx's transport says it

RawHeaders = Sequence[tuple[bytes, bytes]]

_QUICK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux

# RFC 9110, section 5.6.2 (token) and 5.5 (field-value), in the reading of h11.
_TOKEN = rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+"
_VALUE = rb"(?:[^\x00-\x20\x7f](?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?)?"
_PLAIN_REQUEST = re.compile(rb"(?!CONNECT )%b [\x21-\x7e]+ HTTP/1\.1\r\n(?:%b: %b\r\n)*\r\n" % (_TOKEN, _TOKEN, _VALUE))
_PLAIN_ANSWER = re.compile(
    rb"HTTP/1\.[01] [1-9][0-9][0-9] [^\x00-\x08\x0a-\x1f\x7f]*\r\n(?:%b:[ \t]*%b\r\n)*\r\n" % (_TOKEN, _VALUE)
)
_PLAIN_LENGTH = re.compile(rb"[0-9]{1,18}")
_PLAIN_CHUNK = re.compile(rb"\r\n([0-9A-Fa-f]{1,15})\r\n")

_PART_OF_CHUNK = re.compile(rb"(?:\r(?:\n[0-9A-Fa-f]{0,15}\r?)?)?")

_FRAMING = {b"host", b"content-length", b"transfer-encoding", b"upgrade"}  # what a request may have once, or not at all


class WireError(Exception):
    """The network did something else than answer."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(f"{error}: {message}")
        self.trouble = Trouble(error=error, message=message)


def head_of(method: bytes, target: bytes, headers: RawHeaders, size: int | None) -> bytes | None:
    """Write the head of a request; None where it is not plain. The size of the body is None where nobody knows it."""
    said = _said_of(tuple(headers), size)
    if said is None:
        return None
    head = b"%b %b HTTP/1.1\r\n%b" % (method, target, said)
    is_in_its_lines = head.count(b"\n") == len(headers) + 2  # nothing has broken out of its header
    return head if is_in_its_lines and _PLAIN_REQUEST.fullmatch(head) else None


@lru_cache(maxsize=1024)
def _said_of(headers: RawHeaders, size: int | None) -> bytes | None:
    """Write headers, and the empty line; None where they are not plain. Many requests have the same ones."""
    first, lines, framing = b"", [], {}
    for name, value in headers:
        key = name.lower()
        if key in _FRAMING:
            if key in framing:
                return None
            framing[key] = value
            if key == b"host":  # h11 writes it first (RFC 9112, section 3.2)
                first = b"%b: %b\r\n" % (name, value)
                continue
        lines.append(b"%b: %b\r\n" % (name, value))
    if not first or b"upgrade" in framing or not _is_framed(framing, size):
        return None
    return b"%b%b\r\n" % (first, b"".join(lines))


def _is_framed(framing: Mapping[bytes, bytes], size: int | None) -> bool:
    """Say whether the headers tell plainly, and rightly, how long the body is."""
    length, coding = framing.get(b"content-length"), framing.get(b"transfer-encoding")
    if coding is not None:
        return coding == b"chunked" and length is None and size is None
    if length is None:
        return size == 0
    return _PLAIN_LENGTH.fullmatch(length) is not None and size in {None, int(length)}


class Connection:
    """A connection to a place, and whether something has come where nothing should."""

    __slots__ = ("_poller", "kept_at", "socket")

    def __init__(self, place: tuple[str, int], timeout: float | None) -> None:
        try:
            self.socket = socket.create_connection(place, timeout)
        except TimeoutError:
            raise WireError("ConnectTimeout", "timed out") from None
        except (OSError, UnicodeError, OverflowError) as error:  # the latter two: a host or port that can't be
            raise WireError("ConnectError", str(error)) from None
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._poller = select.poll()
        self._poller.register(self.socket, select.POLLIN | select.POLLHUP | select.POLLERR)
        self.kept_at = 0.0  # when it was last used, on the monotonic clock

    @property
    def is_readable(self) -> bool:
        """Whether there is something to read; between two requests it means that the other side has hung up."""
        return bool(self._poller.poll(0))

    def push(self, data: bytes) -> bool:
        """Write; return false where the other side takes no more. Raises WireError where it takes too long."""
        try:
            done = self.socket.send(data)
            if done < len(data):
                left = memoryview(data)[done:]
                while left:
                    left = left[self.socket.send(left) :]
        except TimeoutError:
            raise WireError("WriteTimeout", "timed out") from None
        except OSError:
            return False
        return True


class Detour:
    """Another address that connections are made to; its kept connections serve nothing else, and go when it is left."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.is_left = False


_Goal: TypeAlias = tuple[str, int] | Detour  # what a kept connection may serve: a place, or a detour


class Connections:
    """Kept connections; safe to be used from several threads."""

    def __init__(self, most: int = MAX_CONNECTIONS) -> None:
        self._kept: list[tuple[_Goal, Connection]] = []  # the one used last comes last
        self.hung_up = 0  # kept connections that the other side has closed: it may have been restarted
        self._used: set[Connection] = set()
        self._is_cut = False
        self._lock = threading.Lock()
        self._room = threading.Semaphore(most)

    def send(
        self,
        place: tuple[str, int],
        method: bytes,
        head: bytes,
        body: bytes | Iterable[bytes],
        timeouts: Mapping[str, float | None],
        meanwhile: Callable[[], bool] | None = None,
        *,
        sent: Callable[[], None] | None = None,
        detour: Detour | None = None,
    ) -> "Answer":
        """Send a request, and read the answer up to the end of its headers. Raises WireError.

        A body that is not bytes is sent as it comes. `timeouts` holds the seconds for `pool`, `connect`, `read` and
        `write`; None waits for ever. `meanwhile` does a small piece of work while there is no answer yet, and says
        whether there was one to do. `sent` is called once, when all is written. A detour takes the place of the place.
        """
        if not self._room.acquire(timeout=timeouts.get("pool")):
            raise WireError("PoolTimeout", "")
        connection = None
        try:
            goal = place if detour is None else detour
            connection = self._take(goal)
            if connection is None:
                connection = Connection(place if detour is None else detour.address, timeouts.get("connect"))
            self._used.add(connection)
            self.require_whole()
            connection.socket.settimeout(timeouts.get("write"))
            # Where the other side takes no more, its answer may be there all the same.
            whole = connection.push(head + body) if isinstance(body, bytes) else _push_framed(connection, head, body)
            if sent is not None:
                sent()
            connection.socket.settimeout(timeouts.get("read"))
            answer = Answer(self, goal, connection, method, reusable=whole and not _CLOSES.search(head))
            while meanwhile is not None and not connection.is_readable and meanwhile():
                pass
            answer.read_head()
        except BaseException:
            self.drop(connection)
            raise
        return answer

    def _take(self, goal: _Goal) -> Connection | None:
        """Return a kept connection that the other side has not closed meanwhile."""
        while True:
            with self._lock:
                number = next((i for i in reversed(range(len(self._kept))) if self._kept[i][0] == goal), None)
                if number is None:
                    return None
                _, connection = self._kept.pop(number)
            if connection.is_readable:
                self.hung_up += not isinstance(goal, Detour)  # what stands there closes for reasons of its own
            elif time.monotonic() < connection.kept_at + KEPT_FOR:
                return connection
            connection.socket.close()

    def give_back(self, goal: _Goal, connection: Connection) -> None:
        """Keep a connection whose answer was read to its end; the oldest makes room for it."""
        connection.kept_at = now = time.monotonic()
        self._used.discard(connection)
        over = []
        with self._lock:
            if isinstance(goal, Detour) and goal.is_left:
                over.append(connection)
            else:
                self._kept.append((goal, connection))
            while self._kept and (len(self._kept) > MAX_KEPT or self._kept[0][1].kept_at + KEPT_FOR < now):
                over.append(self._kept.pop(0)[1])
        for each in over:
            each.socket.close()
        self._room.release()

    def drop(self, connection: Connection | None) -> None:
        """Close a connection that is of no use any more."""
        if connection is not None:
            self._used.discard(connection)
            connection.socket.close()
        self._room.release()

    def leave(self, detour: Detour) -> None:
        """Close the kept connections of a detour, and keep none of it any more."""
        with self._lock:
            detour.is_left = True
            over = [connection for goal, connection in self._kept if goal is detour]
            self._kept = [each for each in self._kept if each[0] is not detour]
        for connection in over:
            connection.socket.close()

    def cut(self) -> None:
        """End what is sent and read in other threads, and let nothing be sent any more."""
        self._is_cut = True
        for connection in list(self._used):
            with contextlib.suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)

    def require_whole(self) -> None:
        """Raise WireError where nothing is to be sent and read any more."""
        if self._is_cut:
            raise WireError("ReadError", "the connection was cut")

    def close(self) -> None:
        """Close all kept connections."""
        with self._lock:
            connections, self._kept = self._kept, []
        for _, connection in connections:
            connection.socket.close()


_CLOSES = re.compile(rb"(?i)\r\nConnection: [^\r]*close")
_CHUNKED = re.compile(rb"(?i)\r\nTransfer-Encoding: ")
_LENGTH = re.compile(rb"(?i)\r\nContent-Length: ([0-9]+)")


def _push_framed(connection: Connection, head: bytes, body: Iterable[bytes]) -> bool:
    """Write a head, and a body as it comes, in chunks or in the length that the head says."""
    if not connection.push(head):
        return False
    if _CHUNKED.search(head):
        for chunk in body:
            if chunk and not connection.push(b"%x\r\n%b\r\n" % (len(chunk), chunk)):
                return False
        return connection.push(b"0\r\n\r\n")
    said = _LENGTH.search(head)
    left = int(said[1]) if said else 0
    for chunk in body:
        left -= len(chunk)
        if left < 0:
            raise h11.LocalProtocolError("Too much data for declared Content-Length")
        if chunk and not connection.push(chunk):
            return False
    if left:
        raise h11.LocalProtocolError("Too little data for declared Content-Length")
    return True


class Answer:
    """An answer whose head was read; iterate over it for its body, once, and close it."""

    def __init__(
        self, connections: Connections, goal: _Goal, connection: Connection, method: bytes, *, reusable: bool
    ) -> None:
        self._connections, self._goal, self._connection = connections, goal, connection
        self._method = method
        self._reusable = reusable
        self._begun = self._ended = False
        self._open = True
        self._body: Iterator[bytes] = iter(())
        self._length: int | None = None  # of the body; None where the end of the stream is its end
        self._coded = False  # is the body in chunks?
        self.status = 0
        self.reason = b""
        self.version = b""
        self.headers: list[tuple[bytes, bytes]] = []

    # --- called by the parser of plain heads

    def on_status(self, reason: bytes) -> None:
        self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    # --- called by the reader

    def read_head(self) -> None:
        """Read until the headers are complete. Raises WireError."""
        data = b""
        while True:
            data = data or self._receive()
            if not data:
                raise WireError("RemoteProtocolError", _DISCONNECTED)
            end = data.find(b"\r\n\r\n") + len(b"\r\n\r\n")
            if end < len(b"\r\n\r\n") or not self._read_plain_head(data[:end]):
                self._read_odd_head(data)
                return
            data = data[end:]
            if self.status >= 200:  # noqa: PLR2004  what stands before it is an interim answer
                break
        if self._coded:
            self._body = self._chunks(data)
        elif self._length is None:
            self._body = self._until_close(data)
        else:
            self._body = self._counted(self._length, data)

    def __iter__(self) -> Iterator[bytes]:
        """Give the body, piece by piece. Raises WireError."""
        left = MAX_ANSWER
        for piece in self._body:
            left -= len(piece)
            if left < 0:
                raise WireError("ReadError", f"the answer is longer than {MAX_ANSWER} bytes")
            yield piece

    def close(self) -> None:
        """Keep the connection if the answer was read to its end; close it otherwise.

        Some servers close it after an error of theirs, without saying so before, and the next request would be lost.
        """
        if not self._open:
            return
        self._open = False
        if self._ended and self._reusable and self.status < FIRST_SERVER_ERROR:
            self._connections.give_back(self._goal, self._connection)
        else:
            self._connections.drop(self._connection)

    def _receive(self) -> bytes:
        """Read once; nothing at the end of the stream. Raises WireError."""
        connection = self._connection.socket
        try:
            # A service that sends head and body in two packets waits for our acknowledgement of the first,
            # 40 ms, unless it is asked for at once (tcp(7); the wish does not last, so it is said each time).
            if self._begun and _QUICK is not None:
                connection.setsockopt(socket.IPPROTO_TCP, _QUICK, 1)
            self._begun = True
            data = connection.recv(CHUNK)
        except TimeoutError:
            raise WireError("ReadTimeout", "timed out") from None
        except OSError as error:
            raise WireError("ReadError", str(error)) from None
        if not data:
            self._connections.require_whole()
        return data

    def _end(self, *, reusable: bool) -> None:
        self._ended = True
        self._reusable = self._reusable and reusable

    # --- plain answers

    def _read_plain_head(self, head: bytes) -> bool:
        """Read a head; return false where it, or what it says of the body, is not plain (RFC 9112, section 6.3)."""
        if not _PLAIN_ANSWER.fullmatch(head):
            return False
        self.reason, self.headers = b"", []
        parser: Any = httptools.HttpResponseParser(self)
        try:
            parser.feed_data(head)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            return False
        self.status = parser.get_status_code()
        self.version = head[:8]
        self._length, self._coded = None, False
        reusable = self.version == b"HTTP/1.1"
        for name, value in self.headers:
            key = name.lower()
            if key == b"content-length":
                if self._length is not None or not _PLAIN_LENGTH.fullmatch(value):
                    return False
                self._length = int(value)
            elif key == b"transfer-encoding":
                if self._coded or value.lower() != b"chunked":
                    return False
                self._coded = True
            elif key == b"connection" and b"close" in value.lower():
                reusable = False
        self._reusable = self._reusable and reusable
        if self._method == b"HEAD" or self.status in {204, 304}:
            self._length, self._coded = 0, False
        return self.status != 101  # noqa: PLR2004  nobody has asked for another protocol

    def _counted(self, length: int, data: bytes) -> Iterator[bytes]:
        left = length
        while left:
            if not data and not (data := self._receive()):
                said = f"(received {length - left} bytes, expected {length})"
                raise WireError("RemoteProtocolError", f"{_CUT_SHORT} {said}")
            piece, data = data[:left], data[left:]
            left -= len(piece)
            yield piece
        self._end(reusable=not data)

    def _until_close(self, data: bytes) -> Iterator[bytes]:
        while data or (data := self._receive()):
            yield data
            data = b""
        self._end(reusable=False)

    def _chunks(self, data: bytes) -> Iterator[bytes]:
        data, place = b"\r\n" + data, 0
        while True:
            found = _PLAIN_CHUNK.match(data, place)
            if found is None:
                data, place = data[place:], 0
                more = self._receive() if _PART_OF_CHUNK.fullmatch(data) else b""
                if not more:
                    yield from self._odd_chunks(data)
                    return
                data += more
                continue
            if not (size := int(found[1], 16)):
                break
            place = found.end()
            while size:
                if place == len(data):
                    data, place = self._receive(), 0
                    if not data:
                        raise WireError("RemoteProtocolError", f"{_CUT_SHORT} (incomplete chunked read)")
                piece = data[place : place + size]
                place, size = place + len(piece), size - len(piece)
                yield piece
        end = found.end() + len(b"\r\n")
        if data[found.end() : end] == b"\r\n":
            self._end(reusable=len(data) == end)
        else:
            yield from self._odd_chunks(data[found.start() :])

    # --- all others

    def _read_odd_head(self, data: bytes) -> None:
        machine = _machine(self._method, data)
        event = self._next(machine)
        while isinstance(event, h11.InformationalResponse):
            event = self._next(machine)
        self.status, self.reason = event.status_code, bytes(event.reason)
        self.version = b"HTTP/" + event.http_version
        self.headers = list(event.headers.raw_items())
        self._body = self._pieces(machine)

    def _odd_chunks(self, data: bytes) -> Iterator[bytes]:
        """Read on from the end of a chunk."""
        machine = _machine(b"GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n." + data)
        self._next(machine)
        pieces = self._pieces(machine)
        next(pieces)
        return pieces

    def _pieces(self, machine: h11.Connection) -> Iterator[bytes]:
        while isinstance(event := self._next(machine), h11.Data):
            yield bytes(event.data)
        self._end(reusable=machine.their_state is h11.DONE and not machine.trailing_data[0])

    def _next(self, machine: h11.Connection) -> Any:
        """Return what comes next. Raises WireError."""
        while True:
            try:
                event = machine.next_event()
            except h11.RemoteProtocolError as error:
                raise WireError("RemoteProtocolError", str(error)) from None
            if event is not h11.NEED_DATA:
                return event
            data = self._receive()
            if not data and machine.their_state is h11.SEND_RESPONSE:
                raise WireError("RemoteProtocolError", _DISCONNECTED)
            machine.receive_data(data)


def _machine(method: bytes, data: bytes) -> h11.Connection:
    """Return what reads the answer to a request, of which the first bytes have arrived."""
    machine = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
    machine.send(h11.Request(method=method, target=b"/", headers=[(b"Host", b"x")]))
    machine.send(h11.EndOfMessage())
    machine.receive_data(data)
    return machine


_DISCONNECTED = "Server disconnected without sending a response."
_CUT_SHORT = "peer closed connection without sending complete message body"
