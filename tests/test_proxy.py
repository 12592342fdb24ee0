"""The embedded proxy and Toxiproxy: one contract, held against both; and what only the embedded one is asked.

A real Toxiproxy takes part where `toxiproxy-server` is on PATH.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

import pytest
from conftest import environment

from replaykit.port import free_port
from replaykit.toxic import Toxic
from replaykit.toxiproxy import Embedded, Interposed, interposed

BINARY = shutil.which("toxiproxy-server")
NOT_HERE = "toxiproxy-server is not on PATH, so a real Toxiproxy takes no part in the contract"
SLACK = 0.05  # seconds that a busy machine may add, beside a share of the time


# --- a Toxiproxy, and a service behind it -------------------------------------------------------


@pytest.fixture(scope="module", params=["embedded", "toxiproxy"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Give the URL of the API of a Toxiproxy: the embedded one, and a real one where there is one."""
    if request.param == "embedded":
        with Embedded(seed=1) as embedded:
            yield embedded.url
        return
    if BINARY is None:
        pytest.skip(NOT_HERE)
    port = free_port()
    words = [BINARY, "-host", "127.0.0.1", "-port", str(port), "-seed", "1"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        for _ in range(100):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
        process.terminate()


def call(url: str, method: str, path: str, data: object = None, **headers: str) -> tuple[int, Any]:
    """Ask the API; return the status, and the JSON where there is any."""
    parts = urlsplit(url)
    connection = HTTPConnection(str(parts.hostname), parts.port, timeout=10)
    body = data if isinstance(data, bytes) else b"" if data is None else json.dumps(data).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with contextlib.closing(connection):
        connection.request(method, path, body=body, headers=named)
        answer = connection.getresponse()
        said = answer.read()
    try:
        return answer.status, json.loads(said) if said else None
    except ValueError:
        return answer.status, said.decode()


@pytest.fixture
def api(url: str) -> Iterator[str]:
    """Give the URL of an API without proxies."""
    yield url
    for name in call(url, "GET", "/proxies")[1]:
        call(url, "DELETE", f"/proxies/{name}")


@dataclass
class Service:
    """Answers each piece with the same; remembers what it was sent, and how each connection ended."""

    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    heard: bytes = b""
    ends: list[str] = field(default_factory=list)
    said_first: bytes = b""  # what it says before it is asked
    answers: bool = True
    closes: bool = False  # whether it closes after its first answer

    def __post_init__(self) -> None:
        self.address: tuple[str, int] = self.listener.getsockname()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                threading.Thread(target=self._talk, args=(sock,), daemon=True).start()

    def _talk(self, sock: socket.socket) -> None:
        with sock:
            try:
                sock.sendall(self.said_first)
                while data := sock.recv(65536):
                    self.heard += data
                    if self.answers:
                        sock.sendall(data)
                    if self.closes:
                        break
                self.ends.append("closed")
            except ConnectionResetError:
                self.ends.append("reset")
            except OSError:
                self.ends.append("broken")

    def close(self) -> None:
        """Accept nothing more."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # closing alone does not wake who waits there
        self.listener.close()

    def ended(self) -> list[str]:
        """Wait for a connection to end; say how those did that ended."""
        for _ in range(200):
            if self.ends:
                break
            time.sleep(0.01)
        return self.ends


@pytest.fixture
def service() -> Iterator[Service]:
    """Give a service that answers each piece with the same."""
    made = Service()
    yield made
    made.close()


@pytest.fixture
def proxy(url: str, service: Service) -> Iterator[Interposed]:
    """Give a proxy before the service."""
    with interposed(service.address, toxiproxy=url) as made:
        for _ in range(200):  # whoever looked whether the proxy is there has gone
            if service.ends:
                break
            time.sleep(0.005)
        service.ends.clear()
        yield made


class Speaker:
    """A connection of a client."""

    def __init__(self, proxy: Interposed) -> None:
        self.sock = socket.create_connection(proxy.address, timeout=5)

    def __del__(self) -> None:
        if hasattr(self, "sock"):
            self.sock.close()

    def say(self, data: bytes) -> None:
        """Send."""
        self.sock.sendall(data)

    def hear(self, size: int) -> bytes:
        """Receive so many bytes, or fewer where the connection ends."""
        heard = b""
        while len(heard) < size and (more := self.sock.recv(65536)):
            heard += more
        return heard

    def ask(self, data: bytes) -> tuple[bytes, float]:
        """Send, and receive as much; return it, and the seconds that it took."""
        began = time.monotonic()
        self.say(data)
        return self.hear(len(data)), time.monotonic() - began

    def end(self, within: float = 5.0) -> tuple[str, float]:
        """Wait for the end; return how it came, and the seconds until then."""
        began = time.monotonic()
        self.sock.settimeout(within)
        try:
            how = "closed" if self.sock.recv(65536) == b"" else "data"
        except ConnectionResetError:
            how = "reset"
        except TimeoutError:
            how = "open"
        return how, time.monotonic() - began


@pytest.fixture
def speaker(proxy: Interposed) -> Iterator[Speaker]:
    """Give a connection that was open, and in use, before any toxic was there."""
    made = Speaker(proxy)
    assert made.ask(b"hello")[0] == b"hello"
    yield made
    made.sock.close()


def toxic(kind: str, stream: str = "downstream", toxicity: float = 1.0, **attributes: int) -> Toxic:
    """Make a toxic."""
    return Toxic("", kind, stream, toxicity, attributes)


def about(seconds: float) -> Any:
    """Expect a time: not less than that, but for the grain of clocks, and not much more."""
    return pytest.approx(seconds * 1.2 + SLACK, abs=seconds * 0.2 + SLACK + 0.005)


# --- the contract: the API ----------------------------------------------------------------------


def test_a_proxy_is_made_and_shown(api: str):
    """A port of 0 is answered with the port that was chosen; the proxy is shown by itself, and among all."""
    status, made = call(api, "POST", "/proxies", {"name": "a", "upstream": "127.0.0.1:9", "listen": "127.0.0.1:0"})
    port = int(made["listen"].rpartition(":")[2])
    shown = {key: made[key] for key in ("name", "listen", "upstream", "enabled", "toxics")}

    assert 201 == status
    assert port > 0
    assert {
        "name": "a",
        "listen": f"127.0.0.1:{port}",
        "upstream": "127.0.0.1:9",
        "enabled": True,
        "toxics": [],
    } == shown
    assert (200, made) == call(api, "GET", "/proxies/a")
    assert (200, {"a": made}) == call(api, "GET", "/proxies")


def test_without_an_address_a_proxy_takes_a_free_port(api: str):
    """Who does not say where a proxy is to listen is told where it does."""
    status, made = call(api, "POST", "/proxies", {"name": "a", "upstream": "127.0.0.1:9"})

    assert 201 == status
    assert int(made["listen"].rpartition(":")[2]) > 0
    assert (200, made) == call(api, "GET", "/proxies/a")


def test_a_name_is_there_once(api: str):
    """A second proxy of the same name is refused."""
    data = {"name": "a", "upstream": "127.0.0.1:9", "listen": "127.0.0.1:0"}
    call(api, "POST", "/proxies", data)

    assert (409, {"error": "proxy already exists", "status": 409}) == call(api, "POST", "/proxies", data)


@pytest.mark.parametrize(("data", "field"), [({"upstream": "127.0.0.1:9"}, "name"), ({"name": "a"}, "upstream")])
def test_a_proxy_needs_a_name_and_an_upstream(api: str, data: dict[str, str], field: str):
    """What is missing is named."""
    expected = (400, {"error": f"missing required field: {field}", "status": 400})

    assert expected == call(api, "POST", "/proxies", {**data, "listen": "127.0.0.1:0"})


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"name": 1}', b'"x"', b"\xff\xfe", b"NaN"])
def test_what_is_no_json_is_refused(api: str, body: bytes):
    """A bad body is answered with 400, wherever one is needed."""
    call(api, "POST", "/proxies", {"name": "a", "upstream": "127.0.0.1:9", "listen": "127.0.0.1:0"})
    call(api, "POST", "/proxies/a/toxics", {"name": "t", "type": "latency"})
    paths = ["/proxies", "/proxies/a/toxics"] + (["/proxies/a/toxics/t"] if b"name" not in body else [])
    found = [call(api, "POST", path, body) for path in paths]

    assert [400] * len(paths) == [status for status, _ in found]
    assert all(said["error"].startswith("bad request body: ") and said["status"] == 400 for _, said in found)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/proxies/x"), ("POST", "/proxies/x"), ("DELETE", "/proxies/x"), ("GET", "/proxies/x/toxics"),
        ("POST", "/proxies/x/toxics"), ("GET", "/proxies/x/toxics/t"), ("DELETE", "/proxies/x/toxics/t"),
    ],
)  # fmt: skip
def test_what_no_proxy_is_called_is_not_found(api: str, method: str, path: str):
    """All that can be done with a proxy needs one."""
    assert (404, {"error": "proxy not found", "status": 404}) == call(api, method, path, {})


def test_a_toxic_is_made_shown_changed_and_removed(api: str):
    """A toxic has its defaults; attributes and toxicity can be changed, and it can go."""
    call(api, "POST", "/proxies", {"name": "a", "upstream": "127.0.0.1:9", "listen": "127.0.0.1:0"})
    made = call(api, "POST", "/proxies/a/toxics", {"type": "latency", "attributes": {"latency": 5}})
    one = {"name": "latency_downstream", "type": "latency", "stream": "downstream", "toxicity": 1}
    expected = {**one, "attributes": {"latency": 5, "jitter": 0}}
    place = "/proxies/a/toxics/latency_downstream"

    assert (200, expected) == made == call(api, "GET", place)
    assert (200, [expected]) == call(api, "GET", "/proxies/a/toxics")
    assert [expected] == call(api, "GET", "/proxies/a")[1]["toxics"]
    changed = {**expected, "toxicity": 0.5, "attributes": {"latency": 5, "jitter": 2}}
    assert (200, changed) == call(api, "POST", place, {"toxicity": 0.5, "attributes": {"jitter": 2}})
    assert (200, changed) == call(api, "GET", place)
    assert (204, None) == call(api, "DELETE", place)
    assert (404, {"error": "toxic not found", "status": 404}) == call(api, "GET", place) == call(api, "DELETE", place)
    assert (404, {"error": "toxic not found", "status": 404}) == call(api, "POST", place, {})


@pytest.mark.parametrize(
    ("data", "status", "error"),
    [
        ({"type": "lag"}, 400, "invalid toxic type"),
        ({"type": "latency", "stream": "x"}, 400, "stream was invalid, can be either upstream or downstream"),
        ({"type": "latency", "name": "there"}, 409, "toxic already exists"),
        ({"type": "timeout", "name": "there", "stream": "upstream"}, 409, "toxic already exists"),
    ],
)
def test_a_bad_toxic_is_refused(api: str, data: dict[str, str], status: int, error: str):
    """Types, streams and names that can't be are refused, and nothing is added."""
    call(api, "POST", "/proxies", {"name": "a", "upstream": "127.0.0.1:9", "listen": "127.0.0.1:0"})
    call(api, "POST", "/proxies/a/toxics", {"type": "latency", "name": "there"})

    assert (status, {"error": error, "status": status}) == call(api, "POST", "/proxies/a/toxics", data)
    assert 1 == len(call(api, "GET", "/proxies/a/toxics")[1])


@pytest.mark.parametrize("value", ["5", 1.5, [], {}, True])
def test_attributes_are_whole_numbers(api: str, value: object):
    """An attribute that is none is refused."""
    call(api, "POST", "/proxies", {"name": "a", "upstream": "127.0.0.1:9", "listen": "127.0.0.1:0"})
    status, said = call(api, "POST", "/proxies/a/toxics", {"type": "latency", "attributes": {"latency": value}})

    assert (400, True) == (status, said["error"].startswith("bad request body: "))


def test_browsers_are_refused(api: str):
    """A page in a browser can't steer it; it is told so in plain text."""
    assert (403, "User agent not allowed\n") == call(api, "GET", "/proxies", User_Agent="Mozilla/5.0 (X11)")


def test_the_version_is_one_of_two(api: str):
    """The version is answered as JSON."""
    status, said = call(api, "GET", "/version")

    assert (200, "2.") == (status, said["version"][:2])


def test_reset_enables_and_calms_all(api: str):
    """A reset enables all proxies, where they were, and removes all toxics."""
    listen = call(api, "POST", "/proxies", {"name": "a", "upstream": "127.0.0.1:9", "listen": "127.0.0.1:0"})[1][
        "listen"
    ]
    call(api, "POST", "/proxies/a/toxics", {"type": "latency"})
    call(api, "POST", "/proxies/a/toxics", {"type": "latency", "stream": "upstream"})
    call(api, "POST", "/proxies/a", {"enabled": False})

    assert (204, None) == call(api, "POST", "/reset")
    found = call(api, "GET", "/proxies/a")[1]
    assert (True, listen, []) == (found["enabled"], found["listen"], found["toxics"])


def test_populate_makes_many_and_keeps_what_is_like_it(api: str):
    """Proxies that are there already stay, with their toxics; those that are elsewhere are made anew."""
    first = call(
        api, "POST", "/populate", [{"name": n, "upstream": "127.0.0.1:9", "listen": "127.0.0.1:0"} for n in "ab"]
    )
    a, b = first[1]["proxies"]
    for name in "ab":
        call(api, "POST", f"/proxies/{name}/toxics", {"type": "latency"})
    wanted = [{"name": "a", "upstream": a["upstream"], "listen": a["listen"]}]
    wanted += [{"name": "b", "upstream": "127.0.0.1:10", "listen": b["listen"]}]
    status, said = call(api, "POST", "/populate", wanted)

    assert (201, 201) == (first[0], status)
    assert [("a", 1, True), ("b", 0, True)] == [(x["name"], len(x["toxics"]), x["enabled"]) for x in said["proxies"]]
    assert "127.0.0.1:10" == call(api, "GET", "/proxies/b")[1]["upstream"]


def test_populate_says_what_is_missing(api: str):
    """A list with a bad proxy is refused, with its number; none of it is made."""
    wanted = [{"name": "a", "upstream": "127.0.0.1:9", "listen": "127.0.0.1:0"}, {"name": "b"}]
    status, said = call(api, "POST", "/populate", wanted)

    assert (400, "missing required field: upstream at proxy 2") == (status, said["error"])
    assert {} == call(api, "GET", "/proxies")[1]


def test_a_port_that_is_taken_is_an_error(api: str, service: Service):
    """A proxy that can't listen is not made."""
    listen = f"127.0.0.1:{service.address[1]}"
    status, said = call(api, "POST", "/proxies", {"name": "a", "upstream": "127.0.0.1:9", "listen": listen})

    assert (500, True) == (status, "address already in use" in said["error"])
    assert {} == call(api, "GET", "/proxies")[1]


@pytest.mark.parametrize("listen", ["127.0.0.1", "127.0.0.1:99999", "127.0.0.1:x", "127.0.0.1:-1"])
def test_an_address_that_is_none_is_an_error(api: str, listen: str):
    """A proxy that can't be anywhere is not made."""
    status, _ = call(api, "POST", "/proxies", {"name": "a", "upstream": "127.0.0.1:9", "listen": listen})

    assert 500 == status
    assert {} == call(api, "GET", "/proxies")[1]


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/", (404, "404 page not found\n")),
        ("GET", "/nothing", (404, "404 page not found\n")),
        ("PUT", "/reset", (405, None)),
    ],
)
def test_what_is_not_there_is_not_found(api: str, method: str, path: str, expected: tuple[int, str | None]):
    """Other paths are not found, other methods are not allowed."""
    assert expected == call(api, method, path)


# --- the contract: on the wire ------------------------------------------------------------------


def test_without_toxics_all_goes_through(proxy: Interposed, speaker: Speaker):
    """Large data goes both ways unchanged, though the client does not read for a while; others are served meanwhile."""
    data = os.urandom(1_000_000) * 24  # more than the system holds for two connections
    thread = threading.Thread(target=speaker.say, args=(data,), daemon=True)
    thread.start()
    thread.join(0.3)

    assert b"too" == Speaker(proxy).ask(b"too")[0]
    assert data == speaker.hear(len(data))
    thread.join()


def test_a_close_comes_through(speaker: Speaker, service: Service):
    """When the client closes, the service sees it."""
    speaker.sock.close()

    assert ["closed"] == service.ended()


def test_a_close_of_the_service_comes_through(proxy: Interposed, service: Service):
    """When the service closes, the client has all that it said before."""
    service.closes = True
    speaker = Speaker(proxy)

    assert b"bye" == speaker.ask(b"bye")[0]
    assert "closed" == speaker.end()[0]


def test_a_service_that_speaks_first_is_heard(proxy: Interposed, service: Service):
    """Data comes down before any went up."""
    service.said_first = b"welcome"

    assert b"welcome" == Speaker(proxy).hear(7)


def test_a_service_that_is_gone_closes(proxy: Interposed, service: Service):
    """Where the service can't be reached, the client is let in, and let go."""
    service.close()

    assert Speaker(proxy).end()[0] in {"closed", "reset"}


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
def test_latency_delays(proxy: Interposed, speaker: Speaker, stream: str):
    """Each piece is late by the latency, on a connection that was open as well; afterwards none is."""
    proxy.add(toxic("latency", stream, latency=100))

    assert (b"x", about(0.1)) == speaker.ask(b"x")
    assert (b"x", about(0.1)) == Speaker(proxy).ask(b"x")
    proxy.remove(f"latency_{stream}")
    assert (b"x", about(0)) == speaker.ask(b"x")


def test_latency_does_not_narrow(proxy: Interposed, speaker: Speaker):
    """Many pieces are late together, not one after the other."""
    proxy.add(toxic("latency", latency=300))
    began = time.monotonic()
    for _ in range(10):
        speaker.say(b"x")
        time.sleep(0.01)

    assert b"x" * 10 == speaker.hear(10)
    assert time.monotonic() - began < 0.55


def test_what_latency_holds_back_is_passed_on_at_once_when_it_goes(proxy: Interposed, speaker: Speaker):
    """Removing a toxic flushes what it holds, in order."""
    proxy.add(toxic("latency", latency=60_000))
    for piece in (b"one", b"two", b"three"):
        speaker.say(piece)
        time.sleep(0.02)
    proxy.remove("latency_downstream")

    assert b"onetwothree" == speaker.hear(11)


def test_bandwidth_is_kept_within_a_tenth(proxy: Interposed, speaker: Speaker):
    """100 KB at 200 KB/s take half a second."""
    proxy.add(toxic("bandwidth", rate=200))
    data = os.urandom(100_000)
    answer, took = speaker.ask(data)

    assert data == answer
    assert pytest.approx(200, rel=0.1) == 100 / took


def test_what_bandwidth_holds_back_is_passed_on_at_once_when_it_goes(proxy: Interposed, speaker: Speaker):
    """Nothing is lost of what was on its way."""
    proxy.add(toxic("bandwidth", "upstream", rate=1))
    speaker.say(data := os.urandom(100_000))
    time.sleep(0.2)
    proxy.remove("bandwidth_upstream")

    assert data == speaker.hear(len(data))


def test_no_bandwidth_lets_nothing_through(proxy: Interposed, speaker: Speaker):
    """With a rate of 0 nothing comes, until the toxic goes."""
    proxy.add(toxic("bandwidth", rate=0))
    speaker.say(b"x")

    assert "open" == speaker.end(within=0.2)[0]
    proxy.remove("bandwidth_downstream")
    speaker.sock.settimeout(5)
    assert b"x" == speaker.hear(1)


def test_slow_close_delays_the_end(proxy: Interposed, service: Service):
    """The client sees the end later, and the data at once."""
    service.closes = True
    proxy.add(toxic("slow_close", delay=200))
    speaker = Speaker(proxy)

    assert (b"x", about(0)) == speaker.ask(b"x")
    assert ("closed", about(0.2)) == speaker.end()


def test_slow_close_ends_at_once_when_it_goes(proxy: Interposed, service: Service):
    """The end is not held back any more when the toxic goes."""
    service.closes = True
    proxy.add(toxic("slow_close", delay=60_000))
    speaker = Speaker(proxy)
    speaker.ask(b"x")
    time.sleep(0.05)
    proxy.remove("slow_close_downstream")

    assert ("closed", about(0)) == speaker.end()


def test_timeout_swallows_and_closes(proxy: Interposed, service: Service, speaker: Speaker):
    """Of the answer nothing comes, and after the time without data the connection is closed; the service was asked."""
    proxy.add(toxic("timeout", timeout=200))
    speaker.say(b"lost")

    assert ("closed", about(0.2)) == speaker.end()
    assert b"hellolost" == service.heard


def test_timeout_of_the_way_up_keeps_the_service_from_being_asked(
    proxy: Interposed, service: Service, speaker: Speaker
):
    """Of the request nothing comes to the service."""
    proxy.add(toxic("timeout", "upstream", timeout=150))
    speaker.say(b"lost")

    assert ("closed", about(0.15)) == speaker.end()
    assert b"hello" == service.heard


def test_timeout_counts_from_the_connection(proxy: Interposed):
    """A connection on which nothing is said is closed too."""
    proxy.add(toxic("timeout", timeout=150))

    assert ("closed", about(0.15)) == Speaker(proxy).end()


def test_timeout_without_a_time_closes_only_when_it_goes(proxy: Interposed, speaker: Speaker):
    """With 0, data is swallowed until the toxic goes; then the connection is closed, since data is missing."""
    proxy.add(toxic("timeout", timeout=0))
    speaker.say(b"lost")

    assert "open" == speaker.end(within=0.2)[0]
    proxy.remove("timeout_downstream")
    assert ("closed", about(0)) == speaker.end()


@pytest.mark.parametrize(("stream", "heard"), [("upstream", b""), ("downstream", b"x")])
@pytest.mark.parametrize("timeout", [0, 150])
def test_reset_peer_resets(proxy: Interposed, service: Service, stream: str, heard: bytes, timeout: int):
    """Both sides see a reset after the time; on the way up, the service is not asked."""
    proxy.add(toxic("reset_peer", stream, timeout=timeout))
    speaker = Speaker(proxy)
    speaker.say(b"x")

    assert ("reset", about(timeout / 1000)) == speaker.end()
    assert ["reset"] == service.ended()
    assert heard == service.heard


def test_reset_peer_ends_an_open_connection(proxy: Interposed, speaker: Speaker):
    """A connection that was open before ends as well, at the next that is said."""
    proxy.add(toxic("reset_peer", timeout=0))

    assert "open" == speaker.end(within=0.1)[0]
    speaker.say(b"x")
    assert speaker.end()[0] in {"reset", "closed"}  # Toxiproxy resets only what begins with the toxic


def test_limit_data_cuts_and_closes(proxy: Interposed, service: Service):
    """Of the answer so many bytes come, over all pieces; then the connection is closed."""
    proxy.add(toxic("limit_data", bytes=12))
    speaker = Speaker(proxy)

    assert b"0123456789" == speaker.ask(b"0123456789")[0]
    assert b"01" == speaker.ask(b"0123456789")[0]
    assert ["closed"] == service.ended() or service.ends == ["reset"]


def test_limit_data_on_the_way_up_cuts_the_request(proxy: Interposed, service: Service):
    """Of the request so many bytes come to the service."""
    service.answers = False  # what it sent to a connection that is closed would come back as a reset
    proxy.add(toxic("limit_data", "upstream", bytes=4))
    speaker = Speaker(proxy)
    speaker.say(b"0123456789")
    speaker.end()

    assert ["closed"] == service.ended()
    assert b"0123" == service.heard


def test_limit_data_counts_from_when_it_came(proxy: Interposed, speaker: Speaker):
    """On an open connection, what was said before does not count."""
    proxy.add(toxic("limit_data", bytes=3))

    assert b"abc" == speaker.ask(b"abcdef")[0]


def test_limit_data_remembers_when_it_is_changed(proxy: Interposed, speaker: Speaker):
    """What was let through counts for the new limit."""
    proxy.add(toxic("limit_data", bytes=100))
    speaker.ask(b"abc")
    call(
        proxy.toxiproxy.url, "POST", f"/proxies/{proxy.name}/toxics/limit_data_downstream", {"attributes": {"bytes": 5}}
    )

    assert b"de" == speaker.ask(b"defg")[0]


def test_slicer_slices(proxy: Interposed, speaker: Speaker):
    """Data comes in slices, each a little later, and unchanged."""
    proxy.add(toxic("slicer", average_size=100, size_variation=10, delay=10_000))
    data = os.urandom(1000)
    answer, took = speaker.ask(data)

    assert data == answer
    assert 0.07 < took < 0.6


def test_what_the_slicer_holds_back_is_passed_on_at_once_when_it_goes(proxy: Interposed, speaker: Speaker):
    """The rest comes in one."""
    proxy.add(toxic("slicer", average_size=10, size_variation=2, delay=1_000_000))
    speaker.say(data := os.urandom(1000))
    time.sleep(0.1)
    proxy.remove("slicer_downstream")

    assert data == speaker.hear(len(data))


def test_toxics_act_one_after_the_other(proxy: Interposed, speaker: Speaker):
    """Latency and limit act together, and both ways."""
    proxy.add(toxic("latency", "upstream", latency=60))
    proxy.add(toxic("latency", latency=60))
    proxy.add(toxic("limit_data", bytes=3))

    assert (b"abc", about(0.12)) == speaker.ask(b"abcdef")


def test_however_many_toxics_there_are_data_goes_through(proxy: Interposed, speaker: Speaker):
    """Hundreds of toxics on one direction pass data on, each to the next, and the end as well."""
    for number in range(300):
        proxy.add(Toxic(f"slices-{number}", "slicer", "upstream", 1.0, {"average_size": 3, "size_variation": 1}))

    assert b"abcdefghij" == speaker.ask(b"abcdefghij")[0]
    assert b"abcdefghij" == Speaker(proxy).ask(b"abcdefghij")[0]
    speaker.sock.shutdown(socket.SHUT_WR)
    assert "closed" == speaker.end()[0]


def test_a_toxic_that_is_changed_acts_otherwise(proxy: Interposed, speaker: Speaker):
    """New attributes count for open connections, and what is held back is passed on."""
    proxy.add(toxic("latency", latency=60_000))
    speaker.say(b"early")
    time.sleep(0.05)
    place = f"/proxies/{proxy.name}/toxics/latency_downstream"
    call(proxy.toxiproxy.url, "POST", place, {"attributes": {"latency": 100}})

    assert b"early" == speaker.hear(5)
    assert (b"x", about(0.1)) == speaker.ask(b"x")


def test_toxicity_is_the_share_of_connections(proxy: Interposed):
    """With a half, about half of the connections are hit, each for good; with 0, none is."""
    proxy.add(toxic("limit_data", toxicity=0.5, bytes=0))
    hit = 0
    for _ in range(60):
        speaker = Speaker(proxy)
        hit += speaker.ask(b"x")[0] == b""
        speaker.sock.close()
    proxy.remove("limit_data_downstream")
    proxy.add(toxic("limit_data", toxicity=0, bytes=0))

    assert 12 <= hit <= 48
    assert b"x" == Speaker(proxy).ask(b"x")[0]


def test_down_refuses_and_closes_and_up_is_at_the_same_place(proxy: Interposed, speaker: Speaker):
    """While it is down, nobody is let in, and who was in is out; then it is there again."""
    proxy.down()

    assert "closed" == speaker.end()[0]
    with pytest.raises(ConnectionRefusedError):
        Speaker(proxy)
    proxy.up()
    assert b"x" == Speaker(proxy).ask(b"x")[0]


def test_another_upstream_is_another_service(proxy: Interposed, speaker: Speaker):
    """When the upstream is changed, connections are closed, and new ones go elsewhere, from the same port."""
    other = Service(said_first=b"other")
    call(proxy.toxiproxy.url, "POST", f"/proxies/{proxy.name}", {"upstream": f"127.0.0.1:{other.address[1]}"})

    assert "closed" == speaker.end()[0]
    assert b"other" == Speaker(proxy).hear(5)
    other.close()


# --- the embedded one alone ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def embedded() -> Iterator[Embedded]:
    """Give an embedded proxy."""
    with Embedded() as made:
        yield made


def raw(embedded: Embedded, *pieces: bytes) -> bytes:
    """Send pieces to the API as they are; return what comes until it closes, or says nothing for a while."""
    parts = urlsplit(embedded.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=0.5) as sock:
        said = b""
        with contextlib.suppress(OSError):
            for piece in pieces:
                sock.sendall(piece)
                time.sleep(0.01)
        with contextlib.suppress(OSError):
            while more := sock.recv(65536):
                said += more
        return said


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ((b"GET /version HTTP/1.1\r\nx: " + b"y" * 40_000,), 431),
        ((b"GET /version HTTP/1.1\r\n" + b"x: y\r\n" * 10_000 + b"\r\n",), 431),
        ((b"POST /proxies HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\n",), 413),
        ((b"POST /proxies HTTP/1.1\r\ncontent-length: 2000000\r\n\r\n",), 413),
        ((b"POST /proxies HTTP/1.1\r\ncontent-length: -1\r\n\r\n",), 400),
        ((b"POST /proxies HTTP/1.1\r\ncontent-length: 1e3\r\n\r\n",), 400),
        ((b"POST /proxies HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n",), 501),
        ((b"POST /proxies HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n",), 501),
        ((b"POST /proxies HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",), 400),
        ((b"POST /proxies HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nffffff\r\n",), 413),
        ((b"POST /proxies HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 2000,), 413),
        ((b"\r\n\r\n",), 400),
        ((b"nonsense\r\n\r\n",), 400),
        ((b"GET http://elsewhere/ HTTP/1.1\r\n\r\n",), 400),
        ((b"GET / HTTP/2.0\r\n\r\n",), 400),
        ((b"GET / HTTP/1.1\r\nno colon\r\n\r\n",), 400),
        ((b"GET / HTTP/1.1\r\nx : y\r\n\r\n",), 400),
        ((b"\x16\x03\x01\x00\xf8\x01" + bytes(300), b"\r\n\r\n"), 400),
    ],
)
def test_what_is_hostile_gets_an_error_and_is_let_go(embedded: Embedded, pieces: tuple[bytes, ...], status: int):
    """What is too long or malformed is answered with an error, and the connection is closed; others are served."""
    said = raw(embedded, *pieces)

    assert f"HTTP/1.1 {status} ".encode() == said[:13]
    assert b"Connection: close" in said
    assert 200 == call(embedded.url, "GET", "/version")[0]


def test_deep_json_is_an_error(embedded: Embedded):
    """JSON that is nested too deeply is refused as any that is bad."""
    assert 400 == call(embedded.url, "POST", "/proxies", b"[" * 500_000)[0]


def test_half_a_request_keeps_nobody_waiting(embedded: Embedded):
    """While some clients say half a request, others are served; once too many do, when one of them has gone."""
    parts = urlsplit(embedded.url)
    kept: list[socket.socket] = []
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            sock = stack.enter_context(socket.create_connection((parts.hostname, parts.port), timeout=1))
            with contextlib.suppress(OSError):
                sock.sendall(b"POST /proxies HTTP/1.1\r\ncontent-length: 10\r\n\r\n{")
            kept.append(sock)
        for sock in kept[:100]:
            sock.close()
        status = 0
        for _ in range(100):  # it takes its time to see that they have gone
            with contextlib.suppress(OSError, HTTPException):
                status, _ = call(embedded.url, "GET", "/version")
                break
            time.sleep(0.02)

    assert 200 == status


def test_requests_may_come_in_any_pieces(embedded: Embedded):
    """A request byte by byte, several at once, and a chunked one are answered, on one connection each."""
    one = b"GET /version HTTP/1.1\r\nhost: x\r\n\r\n"
    body = b'{"name": "chunked", "upstream": "127.0.0.1:9", "listen": "127.0.0.1:0"}'
    chunks = b"5\r\n" + body[:5] + b"\r\n%x;x=y\r\n" % len(body[5:]) + body[5:] + b"\r\n0\r\n\r\n"
    head = b"POST /proxies HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"

    assert 1 == raw(embedded, *(one[at : at + 1] for at in range(len(one)))).count(b"HTTP/1.1 200 OK")
    assert 50 == raw(embedded, one * 50).count(b"HTTP/1.1 200 OK")
    assert raw(embedded, head + chunks).startswith(b"HTTP/1.1 201 Created")
    assert 204 == call(embedded.url, "DELETE", "/proxies/chunked")[0]


def test_a_body_that_waits_to_be_asked_for_is_asked_for(embedded: Embedded):
    """Who expects to be told to go on (curl, with a long body) is told so."""
    head = b"POST /proxies HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
    said = raw(embedded, head, b"{}")

    assert said.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400 Bad Request\r\n")


def test_a_connection_is_closed_where_that_is_asked_for(embedded: Embedded):
    """`Connection: close` and HTTP/1.0 end with the answer."""
    for head in (b"GET /version HTTP/1.1\r\nconnection: close\r\n\r\n", b"GET /version HTTP/1.0\r\n\r\n"):
        began = time.monotonic()
        raw(embedded, head)

        assert time.monotonic() - began < 0.4


def test_names_may_be_any_text(embedded: Embedded):
    """A name with blanks and signs is written into the path as URLs are."""
    data = {"name": "a b%é", "upstream": "127.0.0.1:9", "listen": "127.0.0.1:0"}

    assert 201 == call(embedded.url, "POST", "/proxies", data)[0]
    assert "a b%é" == call(embedded.url, "GET", "/proxies/a%20b%25%C3%A9")[1]["name"]
    assert 204 == call(embedded.url, "DELETE", "/proxies/a%20b%25%C3%A9")[0]


@pytest.mark.parametrize("upstream", ["x", "127.0.0.1:99999", "127.0.0.1:", "::1:80"])
def test_an_upstream_that_is_none_is_refused(embedded: Embedded, upstream: str):
    """Unlike Toxiproxy, which lets each connection fail, it is told at once."""
    assert 400 == call(embedded.url, "POST", "/proxies", {"name": "a", "upstream": upstream})[0]


def test_without_a_host_it_listens_on_loopback(embedded: Embedded):
    """A listen address without a host, or none at all, is no invitation to others."""
    for listen in (":0", ""):
        made = call(embedded.url, "POST", "/proxies", {"name": "a", "upstream": "127.0.0.1:9", "listen": listen})
        call(embedded.url, "DELETE", "/proxies/a")

        assert made[1]["listen"].startswith("127.0.0.1:")


def test_the_port_is_ours_while_it_is_down(service: Service):
    """Nobody who asks the system for a port is given that of a proxy that will be up again."""
    with interposed(service.address) as proxy:
        proxy.down()

        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(proxy.address)


def test_a_client_that_resets_is_no_trouble(embedded: Embedded, service: Service):
    """Clients that go away in the middle leave nothing behind, and others are served."""
    with interposed(service.address, toxiproxy=embedded.url) as proxy:
        proxy.add(toxic("latency", latency=50))
        proxy.add(toxic("bandwidth", "upstream", rate=100))
        for _ in range(20):
            speaker = Speaker(proxy)
            speaker.say(b"x" * 50_000)
            speaker.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            speaker.sock.close()
        proxy.remove("latency_downstream")
        proxy.remove("bandwidth_upstream")

        assert b"x" == Speaker(proxy).ask(b"x")[0]


def test_a_seed_says_which_connections_are_hit(service: Service):
    """With the same seed, a toxic of the same name hits the same connections, whatever was before; else others."""
    found = []
    for seed, name in ((5, "a"), (5, "a"), (6, "a"), (5, "b")):
        with interposed(service.address, seed=seed) as proxy:
            for _ in range(len(found)):
                Speaker(proxy).ask(b"x")
            proxy.add(Toxic(name, "limit_data", toxicity=0.5))
            found.append([Speaker(proxy).ask(b"x")[0] for _ in range(20)])

    assert found[0] == found[1]
    assert found[0] != found[2]
    assert found[0] != found[3]


# --- the program --------------------------------------------------------------------------------


@contextlib.contextmanager
def program(*arguments: str, **options: Any) -> Iterator["subprocess.Popen[str]"]:
    """Start it, and end it afterwards, where it has not ended by itself."""
    words = [sys.executable, "-m", "replaykit.proxy", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, text=True, env=environment(), **pipes, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_program_says_where_its_api_is():
    """It prints one line, and ends with the code of the signal that ended it."""
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)) * 3:
        with program("--port", "0") as process:
            assert process.stdout is not None
            line = process.stdout.readline().strip()

            assert "2.12.0" == call(line, "GET", "/version")[1]["version"]
            process.send_signal(number)
            assert (code, "", "") == (process.wait(5), *process.communicate())


def test_the_program_ends_with_its_lifeline():
    """When nobody holds the other end of the lifeline any more, it ends."""
    lifeline, hold = os.pipe()
    with program("--port", "0", "--lifeline", str(lifeline), pass_fds=[lifeline]) as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.close(lifeline)
        os.write(hold, b"still there")
        time.sleep(0.1)

        assert process.poll() is None
        os.close(hold)
        assert 0 == process.wait(5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--host", "0.0.0.0"), "The proxy's API would listen at 0.0.0.0, where others can reach it."),
        (("--port", "99999"), "There is no port 99999."),
    ],
)
def test_the_program_listens_on_loopback_only(arguments: tuple[str, ...], message: str):
    """Where others could reach its API, and where nothing can be, it does not listen."""
    with program(*arguments) as process:
        _, said = process.communicate(timeout=5)

    assert 129 == process.returncode
    assert said.startswith(message)
