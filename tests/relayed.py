"""A service that remembers what it was asked, and a relay that stands before it: connections go in here, out there."""

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from replaykit.interaction import Interaction


@dataclass
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    host: str
    port: int  # of the client
    body: bytes
    began: float
    ended: float = 0.0


@dataclass
class Service:
    """A service at work."""

    url: str
    port: int
    asked: list[Asked] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)  # that TLS asked for


Answering = Callable[["Asked", int], "tuple[int, dict[str, str], bytes] | None"]


def counted(asked: Asked, number: int) -> tuple[int, dict[str, str], bytes]:
    """Say how many requests have come, this one included."""
    del asked
    return 200, {"Content-Type": "application/json"}, json.dumps({"number": number, "name": "Ada Lovelace"}).encode()


@contextmanager
def served(
    answering: Answering = counted, *, port: int = 0, certificate: tuple[str, str] | None = None
) -> Iterator[Service]:
    """Serve; where there is no answer, hang up."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            began = time.perf_counter()
            asked = Asked(self.command, self.path, self.headers["Host"], self.client_address[1], self.read(), began)
            with lock:
                service.asked.append(asked)
                number = len(service.asked)
            found = answering(asked, number)
            asked.ended = time.perf_counter()
            if found is None:
                self.close_connection = True
                return
            status, headers, body = found
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else body)

        def read(self) -> bytes:
            if self.headers["Transfer-Encoding"] != "chunked":
                return self.rfile.read(int(self.headers["Content-Length"] or 0))
            pieces = []
            while size := int(self.rfile.readline(), 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)

        do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = answer  # noqa: N815  the names that the server asks for

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def __init__(self, *options: Any) -> None:
            self.open: list[socket.socket] = []
            super().__init__(*options)

        def process_request(self, request: Any, client_address: Any) -> None:
            self.open.append(request)
            super().process_request(request, client_address)

        def handle_error(self, *_: object) -> None:
            """Say nothing of those who hang up."""

    with Server(("127.0.0.1", port), Handler) as server:
        service = Service(f"http://127.0.0.1:{server.server_port}", server.server_port)
        if certificate is not None:
            service.url = f"https://localhost:{server.server_port}"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            context.sni_callback = lambda _socket, name, _context: service.names.append(name)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()
            for each in server.open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()


class Relay:
    """A relay at work: where it listens, and how many connections have come."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        self.opened = 0
        self.closed = threading.Semaphore(0)  # one for each connection that was ended
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.opened += 1
            far = socket.create_connection(("127.0.0.1", self._to))
            for each in (near, far):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._pairs.append((near, far))
            for pair, is_up in (((near, far), True), ((far, near), False)):
                self._threads.append(threading.Thread(target=self._pump, args=(*pair, is_up)))
                self._threads[-1].start()

    def _pump(self, source: socket.socket, sink: socket.socket, is_up: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        if is_up:
            self.closed.release()

    def hang_up(self) -> None:
        """End all connections."""
        for pair in self._pairs:
            for each in pair:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()
        for thread in self._threads:
            thread.join()
        for pair in self._pairs:
            for each in pair:
                each.close()


@contextmanager
def relayed(service: Service) -> Iterator[Relay]:
    """Stand before a service."""
    relay = Relay(service.port)
    try:
        yield relay
    finally:
        relay.close()


class Kept:
    """The tape that keeps what goes past."""

    plays = False

    def __init__(self) -> None:
        self.interactions: list[Interaction] = []

    def answer(self, request: object) -> None:
        del request

    def keep(self, interaction: Interaction) -> None:
        self.interactions.append(interaction)
