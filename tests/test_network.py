"""Detours: another address is dialled, and nothing else is different."""

import socket
import subprocess
import threading
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from replaykit.client import Client
from replaykit.transport import Way
from tests.relayed import Asked, Kept, relayed, served

WAYS: list[Way] = ["lean", "httpx"]
ways = pytest.mark.parametrize("way", WAYS)


@ways
def test_a_detour_is_taken_and_left(way: Way):
    """A request over a detour arrives as one that goes straight does, and is recorded as such."""
    tape = Kept()
    with served() as service, relayed(service) as relay, Client(service.url, way) as client, client.through(tape):
        client.detour(relay.address)
        client.post("/a?b=c", json={"d": 1})
        client.get("/again")
        over = relay.opened
        client.detour(None)
        client.get("/straight")

        assert [("POST", "/a?b=c"), ("GET", "/again"), ("GET", "/straight")] == [
            (each.method, each.path) for each in service.asked
        ]
        assert (1, 1) == (over, relay.opened)
        assert b'{"d":1}' == service.asked[0].body.replace(b" ", b"")
        assert {f"127.0.0.1:{service.port}"} == {each.host for each in service.asked}
        assert f"{service.url}/a?b=c" == tape.interactions[0].request.url
        assert f"127.0.0.1:{service.port}" == dict(tape.interactions[0].request.headers)["Host"]
        assert [""] * 3 == [each.tampered for each in tape.interactions]


@ways
def test_connections_of_an_earlier_detour_are_not_used_again(way: Way):
    """A detour that was left, and is taken again, begins with a new connection; the same one again is no change."""
    with served() as service, relayed(service) as one, relayed(service) as other, Client(service.url, way) as client:
        for relay in (one, one, other, one):
            client.detour(relay.address)
            client.get("/")
        client.detour(None)
        client.detour(one.address)
        client.get("/")

        assert (3, 1) == (one.opened, other.opened)
        assert all(each.closed.acquire(timeout=5) for each in (one, one, other))


@ways
def test_fresh_is_for_detours(way: Way):
    """After `fresh`, a detour has a new connection, and the old one is closed; one to the service itself is kept."""
    with served() as service, relayed(service) as relay, Client(service.url, way) as client:
        client.get("/")
        for _ in range(3):
            client.detour(relay.address)
            client._network.fresh()
            client.get("/")
            client._network.fresh()
            client.get("/")
            client.detour(None)
            client._network.fresh()
            client.get("/")
        straight = [each.port for each in service.asked[::3]]

        assert 6 == relay.opened
        assert all(relay.closed.acquire(timeout=5) for _ in range(6))
        assert 1 == len(set(straight))


def test_what_a_detour_closes_is_no_restart():
    """A relay that hangs up says nothing of the service; a service that was restarted is noticed as ever."""
    hung_up, statuses = [], []
    with ExitStack() as stack:
        with served() as service:
            relay = stack.enter_context(relayed(service))
            client = stack.enter_context(Client(service.url))
            client.get("/")  # straight, and kept
            client.detour(relay.address)
            client.get("/")
            relay.hang_up()
            was_closed = relay.closed.acquire(timeout=5)
            statuses.append(client.get("/").status_code)
            hung_up.append(client.hung_up)
        with served(port=service.port):
            statuses.append(client.get("/").status_code)
            hung_up.append(client.hung_up)
            client.detour(None)
            statuses.append(client.get("/").status_code)
            hung_up.append(client.hung_up)

    assert was_closed
    assert [200] * 3 == statuses
    assert [0, 0, 1] == hung_up


@ways
def test_an_answer_that_is_read_over_a_change_comes_whole(way: Way):
    """Who reads over a detour while it is left reads to the end; then the connection is closed."""
    body = b"x" * 3_000_000

    def large(asked: Asked, number: int) -> tuple[int, dict[str, str], bytes]:
        del asked, number
        return 200, {}, body

    with served(large) as service, relayed(service) as relay, Client(service.url, way) as client:
        client.detour(relay.address)
        with client.stream("GET", "/") as answer:
            pieces = answer.iter_raw()
            read = next(pieces)
            client._network.fresh()
            client.detour(None)
            was_closed = relay.closed.acquire(timeout=0.05)
            read += b"".join(pieces)

        assert body == read
        assert not was_closed
        assert relay.closed.acquire(timeout=5)


@ways
def test_threads_over_a_detour_keep_their_answers(way: Way):
    """What one thread does anew takes nothing from what another one waits for."""
    gate = threading.Event()

    def late(asked: Asked, number: int) -> tuple[int, dict[str, str], bytes]:
        if asked.path == "/late":
            gate.wait(5)
        return 200, {}, str(number).encode()

    found: list[str] = []
    with served(late) as service, relayed(service) as relay, Client(service.url, way) as client:
        client.detour(relay.address)
        thread = threading.Thread(target=lambda: found.append(client.get("/late").text))
        thread.start()
        while not service.asked:
            thread.join(0.01)
        client._network.fresh()
        second = client.get("/").text
        gate.set()
        thread.join()
        client.get("/")

        assert (["1"], "2", 2) == (found, second, relay.opened)


@ways
def test_only_the_service_has_a_detour(way: Way):
    """Another port, and what is asked beside the runs, go straight; nothing listens where the detour leads."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()
    with served() as service, served() as other, Client(service.url, way) as client:
        client.detour(closed)
        with pytest.raises(httpx.ConnectError):
            client.get("/")
        answered, asked = client.get(f"{other.url}/").status_code, client.ask("GET", f"{service.url}/health", 2.0)

        assert (200, None) == (answered, asked)
        assert (["/health"], ["/"]) == ([each.path for each in service.asked], [each.path for each in other.asked])


@ways
def test_kept_connections_of_a_detour_are_let_go(way: Way):
    """Letting all connections go closes those of a detour too, and it is still taken."""
    with served() as service, relayed(service) as relay, Client(service.url, way) as client:
        client.detour(relay.address)
        client.get("/")
        client.let_go()
        was_closed = relay.closed.acquire(timeout=5)
        client.get("/")

        assert was_closed
        assert 2 == relay.opened


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Make a certificate for the name localhost, and its key."""
    folder: Path = tmp_path_factory.mktemp("certificate")
    made = (str(folder / "certificate.pem"), str(folder / "key.pem"))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-out", made[0], "-keyout", made[1]],
        check=True, capture_output=True,
    )  # fmt: skip
    return made


@ways
def test_tls_asks_for_the_name_of_the_service(way: Way, certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch):
    """Over a detour, the certificate has to be that of the service's own name, wherever connections are made to."""
    monkeypatch.setenv("SSL_CERT_FILE", certificate[0])
    with served(certificate=certificate) as service, relayed(service) as relay, Client(service.url, way) as client:
        client.detour(relay.address)
        answered = client.get("/").status_code
        stranger = Client(f"https://127.0.0.1:{service.port}", way)
        stranger.detour(relay.address)
        with stranger, pytest.raises(httpx.ConnectError, match="certificate"):
            stranger.get("/")

        assert (200, 2) == (answered, relay.opened)
        assert ["localhost"] == service.names[:1]
        assert [f"localhost:{service.port}"] == [each.host for each in service.asked]
