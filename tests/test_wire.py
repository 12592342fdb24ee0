"""The wire, side by side with httpx's own transport, on a raw socket server with odd answers."""

import gzip
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from replaykit import wire
from replaykit.client import Client
from replaykit.interaction import Interaction
from tests.odd import is_whole

OK = b"HTTP/1.1 200 OK\r\n"

ANSWERS = {
    "plain": OK + b"Content-Length: 2\r\n\r\nhi",
    "header case and order": OK + b"X-b: 1\r\nx-A: 2\r\nX-B: 3\r\nContent-Length: 0\r\n\r\n",
    "duplicate headers": OK + b"Set-Cookie: a=1; Path=/\r\nX: y\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n",
    "latin-1 header value": OK + b"X: caf\xe9\r\nContent-Length: 0\r\n\r\n",
    "empty header value": OK + b"X:\r\nContent-Length: 0\r\n\r\n",
    "empty reason": b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi",
    "odd reason": b"HTTP/1.1 299 Well, sort of!\r\nContent-Length: 2\r\n\r\nhi",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "not modified": b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n",
    "http 1.0 until close": b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
    "until close": OK + b"Connection: close\r\n\r\nuntil the end",
    "chunked": OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5;ext=1\r\ndefgh\r\n0\r\n\r\n",
    "chunked with trailer": OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
    "gzip": OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(gzip.compress(b"zipped", mtime=0))
    + gzip.compress(b"zipped", mtime=0),
    "binary": OK + b"Content-Length: 256\r\n\r\n" + bytes(range(256)),
    "interim answers": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK
    + b"Content-Length: 2\r\n\r\nhi",
    "500": b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops",
    "redirect": b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
    "cut short": OK + b"Content-Length: 10\r\n\r\nhalf",
    "chunks cut short": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 O",
    "no http": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "large": OK + b"Content-Length: 300000\r\n\r\n" + b"x" * 300000,
}  # fmt: skip


@contextmanager
def server(answer: bytes, *, hang: bool = False, reset: bool = False) -> Iterator[tuple[str, list[bytes]]]:
    """Serve one answer to every request, on a raw socket."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    seen: list[bytes] = []
    over = threading.Event()
    held: list[socket.socket] = []

    def serve() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            connection.settimeout(2)
            data = b""
            try:
                while not is_whole(data):
                    more = connection.recv(65536)
                    if not more:
                        break
                    data += more
                seen.append(data)
                if hang:
                    held.append(connection)
                    continue
                if reset:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                else:
                    connection.sendall(answer)
                    connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", seen
    finally:
        over.set()
        thread.join()
        listener.close()
        for connection in held:
            connection.close()


def heard(client: httpx.Client, method: str, url: str) -> Any:
    """Ask, and return all that can be told of the answer, or the error."""
    try:
        with client.stream(method, url) as response:
            body = b"".join(response.iter_raw())
        return (
            response.status_code,
            response.reason_phrase,
            response.http_version,
            response.headers.raw,
            body,
        )
    except httpx.TransportError as error:
        return type(error)


class Kept:
    """The tape that keeps what goes past."""

    plays = False

    def __init__(self) -> None:
        self.interactions: list[Interaction] = []

    def answer(self, request: Any) -> None:
        del request

    def keep(self, interaction: Interaction) -> None:
        self.interactions.append(interaction)


class Playing(Kept):
    """The tape that plays one interaction."""

    plays = True

    def __init__(self, interaction: Interaction) -> None:
        super().__init__()
        self.interaction = interaction

    def answer(self, request: Any) -> Interaction:
        del request
        return self.interaction


@pytest.mark.parametrize("name", ANSWERS)
def test_wire_hears_what_httpx_hears(name: str):
    """On the lean wire, an odd answer is heard as httpx's own transport hears it, errors included."""
    with server(ANSWERS[name]) as (url, _):
        with httpx.Client() as plain:
            expected = heard(plain, "GET", url)
        with Client(url) as client:
            actual = heard(client, "GET", url)

    assert expected == actual


@pytest.mark.parametrize("name", ANSWERS)
def test_played_back_is_what_was_recorded(name: str):
    """An answer that is played from its interaction is byte for byte the one that was heard."""
    with server(ANSWERS[name]) as (url, _), Client(url) as client:
        tape = Kept()
        with client.through(tape):
            expected = heard(client, "GET", url)
        [interaction] = tape.interactions
        with client.through(Playing(interaction)):
            actual = heard(client, "GET", url)

    assert expected == actual


@pytest.mark.parametrize(("how", "error"), [({"hang": True}, httpx.ReadTimeout), ({"reset": True}, httpx.ReadError)])
def test_hanging_and_resetting_servers_raise_the_same(how: dict[str, bool], error: type[Exception]):
    """A time-out and a reset connection are the httpx exceptions that httpx's own transport raises."""
    with server(b"", **how) as (url, _):
        with httpx.Client(timeout=0.2) as plain:
            expected = heard(plain, "GET", url)
        with Client(url) as client:
            client.timeout = httpx.Timeout(0.2)
            actual = heard(client, "GET", url)

    assert error is expected
    assert expected == actual


def test_refused_connection_is_a_connect_error():
    """Where nothing listens, the error is ConnectError, and the trouble is one before sending."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    tape = Kept()
    with Client(url) as client, client.through(tape):
        actual = heard(client, "GET", url)

    assert httpx.ConnectError is actual
    assert tape.interactions[0].trouble is not None
    assert tape.interactions[0].trouble.before_sending


def test_what_is_sent_is_what_httpx_sends():
    """Method, target, header case and order, and body arrive as httpx's own transport sends them."""
    with server(ANSWERS["plain"]) as (url, seen):
        headers = [(b"X-One", b"1"), (b"x-two", b"caf\xe9"), (b"X-One", b"3")]
        with Client(url) as lean, httpx.Client() as plain:
            lean.renew({"Authorization": "Bearer x"}, None, 5.0)
            plain.headers = lean.headers
            for client in (plain, lean):
                client.post(f"{url}/a%20b?c=d&c=e", json={"a": "ü"}, headers=headers)

    assert seen[0] == seen[1]


@pytest.mark.parametrize("data", [None, {"a": "ü", "b": [1, 2.5, None]}, "text", 0, [], {"a": "v", "b": [1, 2.5, 0]}])
@pytest.mark.parametrize("method", ["GET", "post", "PUT", "DELETE"])
def test_remembered_headers_are_those_that_httpx_makes(method: str, data: Any):
    """Sent again with the same length, with another body, or with other headers: each time as httpx sends it."""
    with server(ANSWERS["plain"]) as (url, seen):
        with Client(url) as lean, httpx.Client() as plain:
            lean.renew({"X-Tenant": "one"}, None, 5.0)
            for tenant, said in (("one", data), ("one", data), ("two", data), ("two", "other"), ("two", data)):
                lean.headers["X-Tenant"] = tenant
                plain.headers = lean.headers
                for client in (plain, lean):
                    client.request(method, f"{url}/a?b={tenant}", json=said)

    assert seen[0::2] == seen[1::2]
    assert 5 == len(seen[0::2])


def test_streamed_request_is_sent_in_chunks():
    """A body of unknown length goes out piece by piece, as the header that httpx wrote for it says."""
    with server(ANSWERS["plain"]) as (url, seen), Client(url) as client:
        client.post(url, content=iter([b"one", b"", b"two"]))

    assert seen[0].endswith(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")


def test_streamed_request_that_was_read_before_is_sent_in_chunks():
    """A body in pieces that a tape wanted to see whole goes out framed as its header says."""

    class Curious(Kept):
        plays = True

    with server(ANSWERS["plain"]) as (url, seen), Client(url) as client, client.through(Curious()):
        client.post(url, content=iter([b"one", b"", b"two"]))

    assert seen[0].endswith(b"\r\n\r\n6\r\nonetwo\r\n0\r\n\r\n")


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\0b"])
def test_header_that_would_break_out_is_refused(value: str):
    """A header value with a line break or NUL is never sent."""
    with server(ANSWERS["plain"]) as (url, seen), Client(url) as client:
        with pytest.raises(httpx.LocalProtocolError):
            client.get(url, headers={"X": value})

    assert b"" == b"".join(seen)


def test_head_has_no_body_and_the_next_request_still_works():
    """The answer to HEAD ends with its headers, whatever length they announce."""
    with server(OK + b"Content-Length: 5\r\n\r\n") as (url, _), Client(url) as client:
        first = client.head(url)
        time.sleep(0.05)  # until the service has hung up
        second = client.head(url)

    assert (first.status_code, first.content) == (200, b"")
    assert second.status_code == 200


def test_early_closed_stream_is_kept_as_incomplete():
    """A body that the reader left unread is marked as not complete."""
    tape = Kept()
    with server(ANSWERS["large"]) as (url, _), Client(url) as client, client.through(tape):
        with client.stream("GET", url) as response:
            next(response.iter_raw())
    [interaction] = tape.interactions

    assert interaction.response is not None
    assert not interaction.response.complete


def test_idle_connection_that_was_closed_is_not_used_again():
    """A kept connection that the service closed meanwhile costs no request."""
    with server(ANSWERS["plain"]) as (url, seen), Client(url) as client:
        statuses = []
        for _ in range(5):
            statuses.append(client.get(url).status_code)
            time.sleep(0.05)  # until the service has hung up

    assert statuses == [200] * 5
    assert len(seen) == 5


class Crashing(BaseHTTPRequestHandler):
    """Answers 500, and closes the connection a moment later, as uvicorn does where an endpoint raised."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        crashes = self.path == "/crash"
        self.send_response(500 if crashes else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        if crashes:
            time.sleep(0.02)
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_the_request_after_an_error_of_the_server_is_not_lost():
    """After a 5xx the connection is not used again: the service may close it without a word, and that is no restart."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Crashing) as service:
        thread = threading.Thread(target=service.serve_forever)
        thread.start()
        with Client(f"http://127.0.0.1:{service.server_port}") as client:
            statuses = [client.get(path).status_code for _ in range(5) for path in ("/crash", "/fine")]
            hung_up = client.hung_up
        service.shutdown()
        thread.join()

    assert [500, 200] * 5 == statuses
    assert 0 == hung_up


class Counting(BaseHTTPRequestHandler):
    """Says from which port it is asked; a path with a number is told after so many hundredths of a second."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        time.sleep(int(self.path[1:] or 0) / 100)
        port = str(self.client_address[1]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(port)))
        self.end_headers()
        self.wfile.write(port)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve with a handler; return where."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as service:
        service.daemon_threads = True
        thread = threading.Thread(target=service.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{service.server_port}"
        finally:
            service.shutdown()
            thread.join()


def test_connections_are_used_again_and_no_more_are_kept_than_said(monkeypatch: pytest.MonkeyPatch):
    """Requests in turn share a connection, until it was kept for too long; of several, only so many are kept."""
    monkeypatch.setattr(wire, "MAX_KEPT", 1)
    with ThreadingHTTPServer(("127.0.0.1", 0), Counting) as service:
        service.daemon_threads = True
        thread = threading.Thread(target=service.serve_forever)
        thread.start()
        with Client(f"http://127.0.0.1:{service.server_port}") as client:
            in_turn = {client.get("/").text for _ in range(3)}
            with ThreadPoolExecutor(2) as pool:
                together = {each.text for each in pool.map(client.get, ["/20", "/20"])}
            with ThreadPoolExecutor(2) as pool:
                again = {each.text for each in pool.map(client.get, ["/20", "/20"])}
            monkeypatch.setattr(wire, "KEPT_FOR", 0.0)
            late = client.get("/").text
            hung_up = client.hung_up
        service.shutdown()
        thread.join()

    assert (1, 2, 2) == (len(in_turn), len(together), len(again))
    assert in_turn < together
    assert 1 == len(together & again)
    assert late not in together | again
    assert 0 == hung_up


def test_connections_to_another_place_make_room(monkeypatch: pytest.MonkeyPatch):
    """What is kept for a place that nobody asks any more is closed when there are too many, or it is too old."""
    closed = threading.Event()

    class Closing(Counting):
        def finish(self) -> None:
            super().finish()
            closed.set()

    monkeypatch.setattr(wire, "MAX_KEPT", 2)
    with serving(Closing) as old, serving(Counting) as new, Client(old) as client:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(client.get, ["/10", "/10"]))
        ports = {client.get(new).text for _ in range(3)}
        is_one_closed = closed.wait(5)
        closed.clear()
        monkeypatch.setattr(wire, "KEPT_FOR", 0.0)
        client.get(new)
        is_other_closed = closed.wait(5)

    assert 1 == len(ports)
    assert is_one_closed
    assert is_other_closed


@pytest.mark.parametrize(
    "more", [b"HTTP/1.1 500 Oops\r\nX: y\r\nContent-Length: 4\r\n\r\nevil", b"H", b"{}garbage", b"\r\n"]
)
def test_what_follows_an_answer_is_no_part_of_it(more: bytes):
    """Bytes after an answer change nothing of it."""
    with server(OK + b"X-A: 1\r\nContent-Length: 2\r\n\r\nhi" + more) as (url, _), Client(url) as client:
        answer = client.get(url)

    assert (200, "OK", "1", b"hi") == (answer.status_code, answer.reason_phrase, answer.headers["X-A"], answer.content)


def test_a_client_that_is_cut_waits_for_nothing_any_more():
    """What is read in another thread ends at once, with an error, and nothing is sent afterwards."""
    with server(b"", hang=True) as (url, seen), Client(url) as client:
        threading.Timer(0.1, client.cut).start()
        began = time.monotonic()
        for _ in range(2):
            with pytest.raises(httpx.ReadError, match="the connection was cut"):
                client.get("/")

        assert time.monotonic() - began < 2
        assert 1 == len([each for each in seen if each])  # a connection may be made, over which nothing is sent


def test_credentials_in_the_url_are_sent_and_not_kept():
    """A user and a password in the URL of the service are sent, and are not in what is kept."""
    with server(ANSWERS["plain"]) as (url, seen):
        tape = Kept()
        with Client(url.replace("http://", "http://me:hush@")) as client, client.through(tape):
            client.renew({}, None, 5.0)
            client.get("/")

    assert b"Authorization: Basic " in seen[0]
    assert "hush" not in tape.interactions[0].request.url
