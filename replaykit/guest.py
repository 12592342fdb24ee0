"""A guest: one connection of a client to the stub server, over which one request is answered after the other; to h11.

Guests wait for each other in nothing but the finding of an answer: whoever is slow in sending or reading, or has to
wait for a delayed answer, is waited for by the loop.
"""

import contextlib
import socket
import struct
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import h11

from replaykit.interaction import Headers, Request
from replaykit.loop import READ, WRITE, Gate, Loop, Timer
from replaykit.rendition import Rendition

NOWHERE = "http://stub.invalid"  # which no bundle was recorded with (RFC 6761, section 6.4)
MOST_HEAD = 64 * 1024  # bytes
MOST_BODY = 32 * 1024 * 1024  # bytes
MOST_HELD = 256 * 1024 * 1024  # bytes of the bodies of all guests
MOST_HEARD = 64 * 1024  # bytes of the next request that are read while this one is answered
MOST_GUESTS = 512  # that are there at the same time
PATIENCE = 30.0  # seconds in which something has to be heard of a request, or read of an answer
DEADLINE = 120.0  # seconds in which a request has to be whole
IDLE = 300.0  # seconds between two requests
SILENCE = 3600.0  # seconds that a client may wait for what never comes

Answer = Callable[[Request, bool], Rendition]  # to a request, of HTTP/1.0 or of HTTP/1.1
Refuse = Callable[[int, str], Rendition]  # what is sent to who breaks the rules: a status, and why


class Door:
    """Lets clients in, and out when all is over."""

    def __init__(self, loop: Loop, sock: socket.socket, answer: Answer, refuse: Refuse) -> None:
        self._loop, self._answer, self._refuse = loop, answer, refuse
        self._guests: set[Guest] = set()
        self._gate = Gate(loop, sock, self._let_in)

    def _let_in(self, sock: socket.socket) -> None:
        if len(self._guests) >= MOST_GUESTS:
            sock.close()
            return
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._guests.add(Guest(self._loop, sock, self._answer, self._refuse, self._guests))

    @property
    def is_busy(self) -> bool:
        """Whether somebody is still being answered."""
        return any(guest.is_answered for guest in self._guests)

    def close(self) -> None:
        """Let nobody in any more, and end all connections."""
        self._gate.close()
        for guest in list(self._guests):
            guest.close()


class Guest:
    """One connection."""

    def __init__(self, loop: Loop, sock: socket.socket, answer: Answer, refuse: Refuse, guests: set["Guest"]) -> None:
        self._loop, self._sock, self._answer, self._refuse, self._guests = loop, sock, answer, refuse, guests
        self._next = b""  # what was heard of the next request
        self._unsent = memoryview(b"")
        self._sending: Rendition | None = None  # what is being answered
        self._timer: Timer | None = None
        self._is_closed = False
        self._begin()
        self._watch(READ)
        self._wait(IDLE)

    @property
    def is_answered(self) -> bool:
        """Whether an answer is on its way."""
        return self._sending is not None and not self._sending.is_silent

    @property
    def held(self) -> int:
        """How many bytes of a body it has sent that is not answered yet."""
        return len(self._body)

    def _begin(self) -> None:
        """Expect a request."""
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_HEAD)
        self._asked: h11.Request | None = None
        self._body = bytearray()
        self._late: float | None = None  # when the request has to be whole, once it has begun

    def _wait(self, seconds: float, call: Callable[[], None] | None = None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.later(seconds, call or self.close, self.close)

    def _watch(self, events: int) -> None:
        self._loop.watch(self._sock, events, self._ready, self.close)

    def _ready(self, events: int) -> None:
        try:
            if events & WRITE:
                self._send()
            else:
                self._hear()
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.close()

    def _hear(self) -> None:
        data = self._sock.recv(64 * 1024)
        if not data and self._sending is not None and not self._sending.is_silent:
            self._loop.forget(self._sock)  # who has no more to say may still listen
        elif not data:
            self.close()
        elif self._sending is not None:
            self._next += data
            if len(self._next) > MOST_HEARD:
                self._loop.forget(self._sock)
        else:
            now = time.monotonic()
            self._late = self._late or now + DEADLINE
            self._wait(min(PATIENCE, self._late - now))
            self._take(data)

    def _take(self, data: bytes) -> None:
        """Read on in a request, and answer it where this is its end."""
        try:
            if data:
                self._http.receive_data(data)
            while True:
                event = self._http.next_event()
                if isinstance(event, h11.Request):
                    self._asked = event
                elif isinstance(event, h11.Data):
                    self._body += event.data
                    if len(self._body) > MOST_BODY:
                        self._serve(self._refuse(413, f"the body has more than {MOST_BODY} bytes"))
                        return
                elif isinstance(event, h11.EndOfMessage):
                    self._end()
                    return
                else:
                    break
        except h11.RemoteProtocolError as error:
            self._serve(self._refuse(error.error_status_hint, f"what was sent is no HTTP/1.1: {error}"))
            return
        if sum(guest.held for guest in self._guests) > MOST_HELD:
            self._serve(self._refuse(413, "there is no room for the body beside those of other requests"))
            return
        if self._http.they_are_waiting_for_100_continue:
            self._http.send(h11.InformationalResponse(status_code=100, headers=[]))
            self._sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _end(self) -> None:
        """Answer a request that is whole."""
        asked = self._asked
        assert asked is not None  # noqa: S101  h11 gives it before the end
        self._next = self._http.trailing_data[0]
        headers: Headers = tuple((_text(name), _text(value)) for name, value in asked.headers.raw_items())
        try:
            url = NOWHERE + _target(_text(asked.target))
        except ValueError as error:
            self._serve(self._refuse(400, f"the target of the request is none: {error}"))
            return
        request = Request(method=_text(asked.method), url=url, headers=headers, body=bytes(self._body))
        is_old = asked.http_version != b"1.1"
        keeps = self._http.their_state is h11.DONE and not is_old
        try:
            said = self._answer(request, is_old)
        except Exception as error:  # noqa: BLE001  whatever it is, who asks is to know, and it counts as not answered
            self._serve(self._refuse(500, f"the stub server failed: {type(error).__name__}"))
            return
        self._serve(said._replace(keeps=said.keeps and keeps))

    def _serve(self, said: Rendition) -> None:
        self._sending, self._unsent, self._body = said, memoryview(said.data), bytearray()
        if said.after > 0:
            self._wait(said.after, self._send)
        else:
            self._send()

    def _send(self) -> None:
        with contextlib.suppress(BlockingIOError, InterruptedError):
            try:
                while self._unsent:
                    self._unsent = self._unsent[self._sock.send(self._unsent) :]
            except ConnectionError:
                self.close()
                return
        if self._unsent:
            self._watch(WRITE)
            self._wait(PATIENCE)
            return
        said = self._sending
        assert said is not None  # noqa: S101  nothing else is sent
        if said.is_silent:
            self._watch(READ)
            self._wait(SILENCE)
        elif not said.keeps:
            self._leave(resets=said.resets)
        else:
            self._sending = None
            self._begin()
            self._watch(READ)
            self._wait(PATIENCE if self._next else IDLE)
            data, self._next = self._next, b""
            if data:
                self._loop.later(0.0, lambda: self._go_on(data), self.close)

    def _go_on(self, data: bytes) -> None:
        """Read a request that was sent before the last one was answered."""
        if not self._is_closed:
            self._take(data)

    def _leave(self, *, resets: bool) -> None:
        """End the connection: at once, or so that the client surely reads all that was sent."""
        if resets:
            with contextlib.suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close()
            return
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)
        self._loop.watch(self._sock, READ, self._drain, self.close)
        self._wait(PATIENCE)

    def _drain(self, _: int) -> None:
        """Read what nobody wants to know: to close with something unread is a reset, which may overtake the answer."""
        try:
            if not self._sock.recv(64 * 1024):
                self.close()
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.close()

    def close(self) -> None:
        """End the connection."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._loop.forget(self._sock)
        self._sock.close()
        self._guests.discard(self)


def _text(said: bytes) -> str:
    return said.decode("latin-1")


def _target(said: str) -> str:
    """Return path and query of what was asked, in whatever form (RFC 9112, section 3.2)."""
    if said.startswith("/"):
        return said
    parts = urlsplit(said) if "://" in said else None
    return "/" if parts is None else (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
