"""A service on a raw socket that answers oddly, and what a client can tell of each answer."""

import contextlib
import gzip
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, TypeAlias

import httpx

OK = b"HTTP/1.1 200 OK\r\n"
ZIPPED = gzip.compress(bytes(range(256)) * 20, mtime=0)

Deed: TypeAlias = bytes | float | Literal["reset", "hang", "end"]  # what is sent, how long nothing is, how it ends
Answer: TypeAlias = bytes | tuple[Deed, ...]


class Case(NamedTuple):
    """An odd answer, and how it is asked for."""

    answer: Answer | Mapping[str, Answer]  # by path, where there are several
    method: str = "GET"
    timeout: Mapping[str, float] = {}
    body: bytes | int = b""  # how many MiB, where it is a number
    place: Literal["open", "closed", "full"] = "open"  # does the service listen, not listen, or take no more?
    reads: int | None = None  # how many bytes at least are read before the reader has had enough
    connections: int = 100  # that the client may have at the same time
    busy: bool = False  # is another answer being read meanwhile?


CASES: dict[str, Case] = {
    "plain": Case(OK + b"Content-Length: 2\r\n\r\nhi"),
    "no body": Case(OK + b"Content-Length: 0\r\n\r\n"),
    "header case and order": Case(OK + b"X-b: 1\r\nx-A: 2\r\nX-B: 3\r\nContent-Length: 0\r\n\r\n"),
    "duplicate headers, interleaved": Case(OK + b"Link: </a>\r\nX-Y: y\r\nLink: </b>\r\nContent-Length: 0\r\n\r\n"),
    "Latin-1 in a header": Case(OK + b"X-Name: caf\xe9\r\nContent-Length: 0\r\n\r\n"),
    "UTF-8 in a header": Case(OK + "X-Name: café ☕\r\nContent-Length: 0\r\n\r\n".encode()),
    "empty header": Case(OK + b"X-Empty:\r\nContent-Length: 0\r\n\r\n"),
    "folded header": Case(OK + b"X-Long: one\r\n two\r\nContent-Length: 2\r\n\r\nhi"),
    "lines that end in LF": Case(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi"),
    "two equal lengths": Case(OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi"),
    "empty reason": Case(b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi"),
    "no reason": Case(b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi"),
    "reason beyond ASCII": Case(b"HTTP/1.1 299 \xc3\xa0 peu pr\xe8s!\r\nContent-Length: 2\r\n\r\nhi"),
    "HTTP/1.0 until it closes": Case(b"HTTP/1.0 200 OK\r\n\r\nuntil the end"),
    "no length, until it closes": Case(OK + b"Connection: close\r\n\r\nuntil the end"),
    "100 and 103 before the answer": Case(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK
        + b"Content-Length: 2\r\n\r\nhi"),
    "101 that nobody asked for": Case(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nabc"),
    "204": Case(b"HTTP/1.1 204 No Content\r\nX-Y: z\r\n\r\n"),
    "304": Case(b"HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 5\r\n\r\n"),
    "500": Case(b"HTTP/1.1 500 Oh no\r\nContent-Length: 4\r\n\r\noops"),
    "HEAD": Case(OK + b"Content-Length: 5\r\nX-Y: z\r\n\r\n", method="HEAD"),
    "redirects, hop by hop": Case({
        "/": b"HTTP/1.1 302 Found\r\nlocation: /on\r\nContent-Length: 3\r\n\r\none",
        "/on": b"HTTP/1.1 303 Look There\r\nLocation: /there\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\ntwo\r\n0\r\n\r\n",
        "/there": OK + b"Content-Length: 5\r\n\r\nthree"}),
    "binary": Case(OK + b"Content-Length: 256\r\n\r\n" + bytes(range(256))),
    "text that looks like YAML": Case(OK + b'Content-Length: 26\r\n\r\n- !!binary "\\U0001F600" \0\r\n'),
    "gzip": Case(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(ZIPPED) + ZIPPED),
    "gzip, in chunks": Case(OK + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n%x\r\n%b\r\n"
        b"0\r\n\r\n" % (100, ZIPPED[:100], len(ZIPPED) - 100, ZIPPED[100:])),
    "gzip, cut short": Case(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(ZIPPED) + ZIPPED[:99]),
    "large": Case(OK + b"Content-Length: 300000\r\n\r\n" + b"x" * 300000),
    "chunked": Case(OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5;ext=1\r\ndefgh\r\n0\r\n\r\n"),
    "chunked, with a trailer": Case(OK + b"Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\n"
        b"X-Sum: 1\r\n\r\n"),
    "server-sent events": Case((OK + b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"9\r\ndata: 1\n\n\r\n", 0.03, b"9\r\ndata: 2\n\n\r\n", 0.03, b"0\r\n\r\n")),
    "endless, left by the reader": Case((OK + b"Content-Type: text/event-stream\r\n\r\n", b"data: 1\n\n", "hang"),
        reads=9),
    "cut short": Case(OK + b"Content-Length: 10\r\n\r\nhalf"),
    "chunks cut short": Case(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"),
    "a chunk that is none": Case(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\nzz\r\n"),
    "closed without a word": Case(b""),
    "half a head": Case(b"HTTP/1.1 200 O"),
    "no HTTP": Case(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "refused": Case(b"", place="closed"),
    "reset": Case(("reset",)),
    "reset in the body": Case((OK + b"Content-Length: 10\r\n\r\nhalf", 0.05, "reset")),
    "time-out of connecting": Case(b"", place="full", timeout={"connect": 0.2}),
    "time-out of the head": Case(("hang",), timeout={"read": 0.2}),
    "time-out of the body": Case((OK + b"Content-Length: 10\r\n\r\nhalf", "hang"), timeout={"read": 0.2}),
    "time-out of writing": Case(("hang",), method="PUT", body=1, timeout={"write": 0.2}),
    "time-out of the pool": Case((OK + b"Content-Length: 10\r\n\r\nhalf", "hang"), connections=1, busy=True,
        timeout={"pool": 0.2}),
}  # fmt: skip


def is_whole(data: bytes) -> bool:
    """Say whether a request has arrived with its body."""
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return False
    length = re.search(rb"(?i)content-length: (\d+)", head)
    if length:
        return len(body) >= int(length[1])
    return b"chunked" not in head or body.endswith(b"0\r\n\r\n")


def _read(connection: socket.socket) -> bytes:
    """Read a request with its body; what has arrived, where the other side hangs up."""
    data = b""
    while not is_whole(data) and (more := connection.recv(65536)):
        data += more
    return data


def _do(connection: socket.socket, answer: Answer, over: threading.Event) -> None:
    """Do all that an answer consists of."""
    for deed in (answer,) if isinstance(answer, bytes) else answer:
        if deed == "hang":
            over.wait()
        elif deed == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
        elif deed == "end":
            connection.shutdown(socket.SHUT_RDWR)
        elif isinstance(deed, float):
            time.sleep(deed)
        else:
            connection.sendall(deed)


@contextmanager
def serve(answer: Answer | Mapping[str, Answer]) -> Iterator[tuple[str, list[bytes]]]:
    """Give odd answers on a raw socket, each on a connection of its own; yield the URL, and the requests seen."""
    listener = socket.create_server(("127.0.0.1", 0))
    if answer == ("hang",):  # then a body that nobody reads has to be too much soon
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    listener.settimeout(0.05)
    seen: list[bytes] = []
    over = threading.Event()
    threads: list[threading.Thread] = []

    def speak(connection: socket.socket) -> None:
        connection.settimeout(2)
        with connection, contextlib.suppress(OSError):
            if answer == ("hang",):  # a body that is sent to it is never read
                over.wait()
                return
            while request := _read(connection):
                seen.append(request)
                if not isinstance(answer, Mapping):
                    _do(connection, answer, over)
                    connection.shutdown(socket.SHUT_WR)
                    return
                _do(connection, answer[request.split(b" ")[1].decode()], over)

    def accept() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            threads.append(threading.Thread(target=speak, args=(connection,)))
            threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", seen
    finally:
        over.set()
        for thread in (accepting, *threads):
            thread.join()
        listener.close()


ERRORS = {  # the cases in which there is one, and which it is
    "101 that nobody asked for": httpx.RemoteProtocolError,
    "gzip, cut short": httpx.RemoteProtocolError,
    "cut short": httpx.RemoteProtocolError,
    "chunks cut short": httpx.RemoteProtocolError,
    "a chunk that is none": httpx.RemoteProtocolError,
    "closed without a word": httpx.RemoteProtocolError,
    "half a head": httpx.RemoteProtocolError,
    "no HTTP": httpx.RemoteProtocolError,
    "refused": httpx.ConnectError,
    "reset": httpx.ReadError,
    "reset in the body": httpx.ReadError,
    "time-out of connecting": httpx.ConnectTimeout,
    "time-out of the head": httpx.ReadTimeout,
    "time-out of the body": httpx.ReadTimeout,
    "time-out of writing": httpx.WriteTimeout,
    "time-out of the pool": httpx.PoolTimeout,
}


@contextmanager
def odd_service(case: Case) -> Iterator[str]:
    """Give the URL of a service that answers as a case says."""
    if case.place == "open":
        with serve(case.answer) as (url, _):
            yield url
        return
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        place = listener.getsockname()
        if case.place == "full":  # nobody accepts, so that the next one waits
            waiting = [socket.socket() for _ in range(4)]
            for each in waiting:
                each.setblocking(False)
                each.connect_ex(place)
            time.sleep(0.05)
            yield f"http://127.0.0.1:{place[1]}"
            for each in waiting:
                each.close()
            return
    yield f"http://127.0.0.1:{place[1]}"


def _options(case: Case) -> dict[str, Any]:
    timeouts = {"connect": 5.0, "read": 5.0, "write": 5.0, "pool": 5.0} | dict(case.timeout)
    body = b"x" * (case.body << 20) if isinstance(case.body, int) else case.body
    return {"timeout": httpx.Timeout(**timeouts), "follow_redirects": True} | ({"content": body} if body else {})


def _told(response: httpx.Response) -> tuple[Any, ...]:
    return (
        response.status_code,
        _reason(response),
        response.http_version,
        response.headers.raw,
        [(hop.status_code, _reason(hop), hop.headers.raw, hop.content) for hop in response.history],
    )


def _reason(response: httpx.Response) -> bytes:
    reason: bytes = response.extensions.get("reason_phrase", response.reason_phrase.encode())
    return reason


def hear(client: httpx.Client, case: Case, url: str) -> tuple[Any, ...]:
    """Ask, and return all that can be told of the answer: head, body, the error and where it came."""
    told: tuple[Any, ...] = ()
    body = b""
    try:
        with client.stream(case.method, url, **_options(case)) as response:
            told = _told(response)
            if case.busy:
                return (*told, hear(client, case._replace(busy=False), url))
            for chunk in response.iter_raw():
                body += chunk
                if case.reads is not None and len(body) >= case.reads:
                    break
    except httpx.TransportError as error:
        return (*told, body, type(error), str(error))
    return (*told, body)


async def hear_async(client: httpx.AsyncClient, case: Case, url: str) -> tuple[Any, ...]:
    """Ask with an async client; see `hear`."""
    told: tuple[Any, ...] = ()
    body = b""
    try:
        async with client.stream(case.method, url, **_options(case)) as response:
            told = _told(response)
            if case.busy:
                return (*told, await hear_async(client, case._replace(busy=False), url))
            async for chunk in response.aiter_raw():
                body += chunk
                if case.reads is not None and len(body) >= case.reads:
                    break
    except httpx.TransportError as error:
        return (*told, body, type(error), str(error))
    return (*told, body)


def error_in(heard: tuple[Any, ...]) -> type[Exception] | None:
    """Return the error that was heard, if any."""
    last = heard[-1]
    if isinstance(last, tuple):
        return error_in(last)
    return heard[-2] if isinstance(last, str) else None
