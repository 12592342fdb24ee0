"""Other clients than ours: captured through vcrpy, played back, and told apart by the run that they belong to."""

import asyncio
import gzip
import http.client
import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import aiohttp
import boto3
import botocore.config
import botocore.exceptions
import httpx
import pytest
import requests
import urllib3
import vcr
from vault import Add, Added, Box, Boxes, Full, Made, Make, Vault, VaultApi, played, run
from vault import Service as Boxed

from replaykit import Adapter, Command, Event, Model, Verdict, expects, foreign, handles, observes, replay
from replaykit.adapter import Adapters
from replaykit.bundle import Provenance
from replaykit.cassette import CassetteMissError, Player
from replaykit.client import Client
from replaykit.errors import DefinitionError
from replaykit.generate import Generated, Parallel
from replaykit.interaction import Interaction, Request, as_sent, header
from replaykit.port import free_port
from replaykit.reader import read
from replaykit.run import execute
from replaykit.sequence import Call, Fixed, Sequence
from replaykit.source import derive
from replaykit.trace import Trace
from replaykit.writer import Writer

PROVENANCE = Provenance(model="a:B", adapter="a:C", model_digest="0", campaign_seed=1, run=0, seed=1, commands=2)
PATIENCE = 0.6  # seconds


class Odd(BaseHTTPRequestHandler):
    """Answers, each path in a way of its own."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append(f"{self.command} {self.path}")
        path = self.path.partition("?")[0]
        if path == "/drop":
            self.close_connection = True
            return
        if path == "/slow":
            self.server.released.wait(PATIENCE * 4)
        if path == "/cut":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
            self.close_connection = True
            return
        if path in {"/moved", "/kept"}:
            self.send_response(302 if path == "/moved" else 307)
            self.send_header("Location", "/there")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        text = json.dumps({"path": self.path, "sent": sent.decode("latin-1")}).encode()
        self.send_response(207, "Quite Fine")
        if path == "/gzip":
            text = gzip.compress(text)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Set-Cookie", "a=1")
        self.send_header("Set-Cookie", "b=2")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else text)

    do_GET = do_POST = do_PUT = do_HEAD = answer  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class OddService(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Odd)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.asked: list[str] = []
        self.released = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[OddService]:
    """Serve odd answers on a free port of the loopback."""
    with OddService() as served:
        threading.Thread(target=served.serve_forever, args=[0.01], daemon=True).start()
        yield served
        served.released.set()
        served.shutdown()


class Recording:
    """A tape that keeps everything, and plays nothing."""

    plays = False

    def __init__(self) -> None:
        self.kept: list[Interaction] = []

    def answer(self, request: Request) -> Interaction | None:
        return None

    def keep(self, interaction: Interaction) -> None:
        self.kept.append(interaction)


class Playing(Recording):
    """A tape that plays what another one kept."""

    plays = True

    def __init__(self, recorded: Recording) -> None:
        super().__init__()
        self.player = Player(as_sent(recorded.kept))

    def answer(self, request: Request) -> Interaction:
        return self.player.answer(request)


# --- the clients --------------------------------------------------------------------------------

Ask = Callable[[str, str, bytes | None], tuple[int, bytes]]


def by_requests(method: str, url: str, body: bytes | None) -> tuple[int, bytes]:
    with requests.Session() as session:
        answer = session.request(method, url, data=body, timeout=PATIENCE)
        return answer.status_code, answer.content


def by_urllib3(method: str, url: str, body: bytes | None) -> tuple[int, bytes]:
    with urllib3.PoolManager() as pool:
        retries = urllib3.Retry(None, connect=0, read=0, other=0, redirect=3)
        answer = pool.request(method, url, body=body, timeout=PATIENCE, retries=retries)
        return answer.status, answer.data


def by_urllib(method: str, url: str, body: bytes | None) -> tuple[int, bytes]:
    asked = urllib.request.Request(url, body, method=method)  # noqa: S310
    with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:  # noqa: S310
        return answer.status, answer.read()


def by_http_client(method: str, url: str, body: bytes | None) -> tuple[int, bytes]:
    place, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(place, timeout=PATIENCE)
    try:
        connection.request(method, f"/{path}", body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def by_aiohttp(method: str, url: str, body: bytes | None) -> tuple[int, bytes]:
    async def ask() -> tuple[int, bytes]:
        patience = aiohttp.ClientTimeout(sock_read=PATIENCE)
        async with (
            aiohttp.ClientSession(timeout=patience) as session,
            session.request(method, url, data=body) as answer,
        ):
            return answer.status, await answer.read()

    return asyncio.run(ask())


def by_httpx(method: str, url: str, body: bytes | None) -> tuple[int, bytes]:
    with httpx.Client(timeout=PATIENCE, follow_redirects=True) as client:
        answer = client.request(method, url, content=body)
        return answer.status_code, answer.content


def by_async_httpx(method: str, url: str, body: bytes | None) -> tuple[int, bytes]:
    async def ask() -> tuple[int, bytes]:
        async with httpx.AsyncClient(timeout=PATIENCE, follow_redirects=True) as client:
            answer = await client.request(method, url, content=body)
            return answer.status_code, answer.content

    return asyncio.run(ask())


CLIENTS: list[Ask] = [by_requests, by_urllib3, by_urllib, by_http_client, by_aiohttp, by_httpx, by_async_httpx]
each_client = pytest.mark.parametrize("ask", CLIENTS, ids=lambda ask: ask.__name__)


def outcome(ask: Ask, method: str, url: str, body: bytes | None = None) -> object:
    """Say what came of a request: the answer, or the error."""
    try:
        return ask(method, url, body)
    except Exception as error:
        return type(error), str(error)


# --- answers ------------------------------------------------------------------------------------


@each_client
def test_answers_are_kept_and_played(ask: Ask, service: OddService):
    """What a client was answered is kept once for each request, and played without a service it is the same."""
    tape = Recording()
    wanted = [("GET", "/a", None), ("POST", "/b", b'{"x":1}'), ("PUT", "/c", b"\xff\x00"), ("HEAD", "/d", None)]
    with foreign.through(tape):
        live = [outcome(ask, method, service.url + path, body) for method, path, body in wanted]
    asked = list(service.asked)
    playing = Playing(tape)
    with foreign.through(playing):
        again = [outcome(ask, method, service.url + path, body) for method, path, body in wanted]

    assert [207] * 4 == [status for status, _ in live]
    assert live == again
    assert [f"{method} {path}" for method, path, _ in wanted] == asked == service.asked
    assert [body or b"" for _, _, body in wanted] == [each.request.body for each in tape.kept]
    assert [("Quite Fine", ["a=1", "b=2"])] * 4 == [
        (each.response.reason, [said for name, said in each.response.headers if name.lower() == "set-cookie"])
        for each in tape.kept
    ]
    assert playing.player.unused() is None
    assert [each.request for each in tape.kept] == [each.request for each in playing.kept]


@each_client
def test_coded_bodies_are_read_the_same_when_played(ask: Ask, service: OddService):
    """A gzip body is played as it was read; where vcrpy decodes it, the header that says gzip is left out."""
    tape = Recording()
    with foreign.through(tape):
        live = outcome(ask, "GET", f"{service.url}/gzip")
    with foreign.through(Playing(tape)):
        again = outcome(ask, "GET", f"{service.url}/gzip")
    [kept] = tape.kept
    is_coded = kept.response.body.startswith(b"\x1f\x8b")

    assert live == again
    assert is_coded == (header(kept.response.headers, "content-encoding") == "gzip")


@pytest.mark.parametrize("path", ["/moved", "/kept"])
@each_client
def test_redirects_are_kept_hop_by_hop(ask: Ask, path: str, service: OddService):
    """Where a client follows a redirect, both requests are kept, and played."""
    tape = Recording()
    with foreign.through(tape):
        live = outcome(ask, "GET", service.url + path)
    playing = Playing(tape)
    with foreign.through(playing):
        again = outcome(ask, "GET", service.url + path)

    assert live == again
    hops = [(each.request.url.removeprefix(service.url), each.response.status) for each in tape.kept]
    assert hops[:1] == [(path, 302 if path == "/moved" else 307)]
    assert hops[1:] == ([] if ask is by_http_client else [("/there", 207)])
    assert playing.player.unused() is None


def test_a_redirected_post_of_aiohttp_keeps_its_method(service: OddService):
    """After a 307, aiohttp sends the method of the first request again, in the recording and when it is played."""
    tape = Recording()
    with foreign.through(tape):
        live = outcome(by_aiohttp, "POST", f"{service.url}/kept", b"")
    with foreign.through(Playing(tape)):
        again = outcome(by_aiohttp, "POST", f"{service.url}/kept", b"")

    assert live == again
    assert ["POST", "POST"] == [each.request.method for each in tape.kept]


def test_data_given_to_aiohttp_is_kept_as_it_was_sent(service: OddService):
    """JSON and forms are in the bundle as bytes, with their type, which vcrpy does not know."""

    async def ask() -> None:
        async with aiohttp.ClientSession() as session:
            for options in ({"json": {"a": [1, "ü"]}}, {"data": {"a": "1"}}, {"data": aiohttp.FormData({"a": "b c"})}):
                async with session.post(f"{service.url}/data", **options) as answer:
                    sent.append((await answer.json(content_type=None))["sent"].encode("latin-1"))

    sent: list[bytes] = []
    tape = Recording()
    with foreign.through(tape):
        asyncio.run(ask())

    assert sent == [each.request.body for each in tape.kept]
    form = "application/x-www-form-urlencoded"
    assert ["application/json", form, form] == [header(each.request.headers, "content-type") for each in tape.kept]


def test_requests_that_overtake_each_other_are_played_in_the_order_of_sending(service: OddService):
    """Two requests of aiohttp at the same time: the slow one is kept last, and is asked first when it is played."""

    async def both() -> list[int]:
        async def get(path: str) -> int:
            async with session.get(f"{service.url}{path}") as answer:
                return answer.status

        async with aiohttp.ClientSession() as session:
            return await asyncio.gather(get("/slow"), get("/a"))

    tape = Recording()
    with foreign.through(tape):
        live = asyncio.run(both())
    playing = Playing(tape)
    with foreign.through(playing):
        again = asyncio.run(both())

    assert [207, 207] == live == again
    assert [(f"{service.url}/a", 0), (f"{service.url}/slow", 1)] == [(e.request.url, e.before) for e in tape.kept]
    assert playing.player.unused() is None


def test_requests_inside_a_stream_of_our_own_client_come_after_it(service: OddService):
    """Both kinds of clients are in one order, that of sending, also where one is at work while the other is read."""

    def ask(client: Client) -> None:
        with client.stream("GET", "/a") as stream:
            assert 207 == requests.get(f"{service.url}/b", timeout=5).status_code
            client.get("/c")
            stream.read()

    tape = Recording()
    with Client(service.url) as client:
        with client.through(tape), foreign.through(tape):
            ask(client)
        playing = Playing(tape)
        with client.through(playing), foreign.through(playing):
            ask(client)

    kept = [(each.request.url.removeprefix(service.url), each.before) for each in tape.kept]
    assert [("/b", 0), ("/c", 0), ("/a", 2)] == kept
    assert playing.player.unused() is None


# --- errors -------------------------------------------------------------------------------------

LOST = {"/drop": "RemoteProtocolError", "/slow": "ReadTimeout", "/cut": "RemoteProtocolError"}


@pytest.mark.parametrize("path", sorted(LOST))
@each_client
def test_a_lost_answer_is_kept_as_trouble_and_raised_again(ask: Ask, path: str, service: OddService):
    """A dropped connection, silence and a body cut short are told as for httpx; played, the client raises its error."""
    tape = Recording()
    with foreign.through(tape):
        live = outcome(ask, "GET", service.url + path)
    with foreign.through(Playing(tape)):
        again = outcome(ask, "GET", service.url + path)
    [kept] = tape.kept

    assert LOST[path] == kept.trouble.error
    assert not kept.trouble.before_sending
    assert issubclass(live[0], Exception)
    if path == "/cut" and ask in {by_requests, by_urllib3, by_urllib, by_http_client}:  # told as a connection cut
        cut = {requests.ConnectionError, urllib3.exceptions.MaxRetryError, http.client.RemoteDisconnected}
        assert again[0] in cut
    else:
        assert live == again


@each_client
def test_a_refused_connection_is_kept_as_trouble_before_sending(ask: Ask):
    """Where nobody listens, the request never reached the service; played, the client raises the same."""
    url = f"http://127.0.0.1:{free_port()}/"
    tape = Recording()
    with foreign.through(tape):
        live = outcome(ask, "GET", url)
    with foreign.through(Playing(tape)):
        again = outcome(ask, "GET", url)

    assert ["ConnectError"] == [each.trouble.error for each in tape.kept]
    assert live == again


def test_an_answer_that_is_not_waited_for_is_trouble(service: OddService):
    """What asyncio cancels after sending is a lost answer, and is cancelled again when it is played."""

    def ask(method: str, url: str, body: bytes | None) -> Any:
        async def get() -> Any:
            async with aiohttp.ClientSession() as session:
                return await asyncio.wait_for(session.get(url), 0.05)

        return asyncio.run(get())

    tape = Recording()
    with foreign.through(tape):
        live = outcome(ask, "GET", f"{service.url}/slow")
    with foreign.through(Playing(tape)):
        again = outcome(ask, "GET", f"{service.url}/slow")

    assert (TimeoutError, "") == live == again
    assert ["ReadTimeout"] == [each.trouble.error for each in tape.kept]


@pytest.mark.skipif(int(vcr.__version__.partition(".")[0]) < 9, reason="before vcrpy 9, aiohttp raised first")
def test_a_status_that_a_client_does_not_like_is_an_answer(service: OddService):
    """raise_for_status of aiohttp raises, and what is kept is the answer."""

    async def ask() -> None:
        async def judge(response: aiohttp.ClientResponse) -> None:
            raise aiohttp.ClientResponseError(response.request_info, (), status=response.status)

        async with aiohttp.ClientSession(raise_for_status=judge) as session, session.get(f"{service.url}/a"):
            pass

    tape = Recording()
    with foreign.through(tape), pytest.raises(aiohttp.ClientResponseError):
        asyncio.run(ask())

    assert [(207, None)] == [(each.response.status, each.trouble) for each in tape.kept]


@each_client
def test_a_miss_is_told_and_never_asks_the_network(ask: Ask, service: OddService):
    """A request that was not recorded ends in a miss, whatever the client, and the service does not hear of it."""
    tape = Recording()
    with foreign.through(tape):
        ask("GET", f"{service.url}/a", None)
    playing = Playing(tape)
    with foreign.through(playing), pytest.raises(CassetteMissError):
        ask("GET", f"{service.url}/b", None)

    assert ["GET /a"] == service.asked
    assert "asked was GET /b" in playing.player.missed


# --- what is in place, and what is not ----------------------------------------------------------


def places() -> list[object]:
    """List what is put in place of."""
    return [
        http.client.HTTPConnection,
        http.client.HTTPSConnection,
        urllib3.connectionpool.HTTPConnectionPool.ConnectionCls,
        urllib3.connectionpool.HTTPConnectionPool._get_conn,
        botocore.awsrequest.AWSHTTPConnectionPool.ConnectionCls,
        aiohttp.ClientSession._request,
        httpx.HTTPTransport.handle_request,
        httpx.AsyncHTTPTransport.handle_async_request,
        vcr.patch.force_reset,
    ]


def test_all_is_as_before_afterwards(service: OddService):
    """What was put in place is gone at the end, after errors too, and connections can be made by all classes."""
    before = places()
    with pytest.raises(KeyboardInterrupt), foreign.captured(), foreign.through(Recording()):
        assert places() != before
        raise KeyboardInterrupt

    assert before == places()
    made = [http.client.HTTPConnection("a"), http.client.HTTPSConnection("a", timeout=1), *[]]
    assert [http.client.HTTPConnection, http.client.HTTPSConnection] == [type(each) for each in made]
    assert 207 == by_requests("GET", f"{service.url}/a", None)[0]


def test_what_is_sent_outside_of_a_run_is_not_kept(service: OddService):
    """Between two runs, clients go to the network as if nobody stood there."""
    tape = Recording()
    with foreign.captured():
        before = by_requests("GET", f"{service.url}/before", None)
        with foreign.through(tape):
            by_requests("GET", f"{service.url}/inside", None)
        by_aiohttp("GET", f"{service.url}/after", None)

    assert 207 == before[0]
    assert ["GET /before", "GET /inside", "GET /after"] == service.asked
    assert [f"{service.url}/inside"] == [each.request.url for each in tape.kept]


def test_a_connection_that_was_kept_from_before_is_captured_too(service: OddService):
    """A session that was used before a run has a connection of its own; in the run, its requests are kept."""
    tape = Recording()
    with requests.Session() as session:
        session.get(f"{service.url}/before")
        with foreign.through(tape):
            session.get(f"{service.url}/inside")
        session.get(f"{service.url}/after")

    assert ["GET /before", "GET /inside", "GET /after"] == service.asked
    assert [f"{service.url}/inside"] == [each.request.url for each in tape.kept]


@pytest.mark.parametrize("ask", [by_requests, by_urllib, by_aiohttp, by_httpx], ids=lambda ask: ask.__name__)
def test_runs_in_threads_keep_their_own_requests(ask: Ask, service: OddService):
    """Ten runs at once in ten threads: each tape holds the requests of its own thread, in order, and no other."""
    tapes = [Recording() for _ in range(10)]

    def go(number: int) -> None:
        with foreign.through(tapes[number]):
            for step in range(10):
                ask("GET", f"{service.url}/{number}/{step}", None)

    threads = [threading.Thread(target=go, args=[number]) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [[f"{service.url}/{number}/{step}" for step in range(10)] for number in range(10)] == [
        [each.request.url for each in tape.kept] for tape in tapes
    ]


def test_runs_in_tasks_keep_their_own_requests(service: OddService):
    """Ten runs at once in ten tasks of asyncio: each tape holds the requests of its own task."""
    tapes = [Recording() for _ in range(10)]

    async def go(number: int) -> None:
        with foreign.through(tapes[number]):
            async with aiohttp.ClientSession() as session:
                for step in range(5):
                    async with session.get(f"{service.url}/{number}/{step}") as answer:
                        await answer.read()

    async def all_of_them() -> None:
        await asyncio.gather(*map(go, range(10)))

    asyncio.run(all_of_them())

    assert [[f"{service.url}/{number}/{step}" for step in range(5)] for number in range(10)] == [
        [each.request.url for each in tape.kept] for tape in tapes
    ]


def test_a_thread_of_nobody_belongs_to_the_only_run(service: OddService):
    """A thread that was made without a context belongs to the run that is under way; with two of them, it is told."""
    said: list[object] = []
    one, other = Recording(), Recording()

    def go() -> None:
        said.append(outcome(by_requests, "GET", f"{service.url}/a"))

    def in_a_thread() -> None:
        thread = threading.Thread(target=go)
        thread.start()
        thread.join()

    with foreign.through(one):
        in_a_thread()
        with foreign.through(other):
            in_a_thread()

    assert 1 == len(one.kept)
    assert [] == other.kept
    assert RuntimeError is said[1][0]
    assert "contextvars.copy_context().run" in said[1][1]


@pytest.mark.parametrize("version", ["8.2.0", "7.0.0"])
def test_an_old_vcrpy_is_refused(version: str):
    """Before 8.2.1, vcrpy ran code from cassettes."""
    with mock.patch.object(vcr, "__version__", version), pytest.raises(DefinitionError, match="is too old"):
        foreign.captured().__enter__()

    assert not foreign._users


# --- adapters -----------------------------------------------------------------------------------


class RequestsVault(VaultApi, other_clients=True):
    """Speaks to the boxes with requests."""

    def post(self, path: str, body: object = None) -> requests.Response:
        return requests.post(f"{self.http.origin}{path}", json=body, timeout=self.timeout)

    def reset(self) -> None:
        self.post("/reset").raise_for_status()

    @handles
    def make(self, cmd: Make) -> Made | Full:
        answer = self.post("/boxes/new")
        return Full() if not answer.ok else Made(box=self.ref(Box, answer.json()["id"]))

    @handles
    def add(self, cmd: Add) -> Added:
        said = self.post(f"/boxes/{cmd.box.id}/add", {"number": cmd.number, "key": cmd.key}).json()
        return Added(box=cmd.box, number=cmd.number, now=said["now"])


class AiohttpVault(RequestsVault):
    """Speaks to the boxes with aiohttp."""

    def post(self, path: str, body: object = None) -> Any:
        async def ask() -> Any:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self.timeout)) as session,
                session.post(f"{self.http.origin}{path}", json=body) as answer,
            ):
                made = requests.Response()
                made.status_code, made._content = answer.status, await answer.read()
                return made

        return asyncio.run(ask())


class UrllibVault(RequestsVault):
    """Speaks to the boxes with urllib."""

    def post(self, path: str, body: object = None) -> Any:
        asked = urllib.request.Request(f"{self.http.origin}{path}", json.dumps(body or {}).encode(), method="POST")  # noqa: S310
        made = requests.Response()
        with urllib.request.urlopen(asked, timeout=self.timeout) as answer:  # noqa: S310
            made.status_code, made._content = answer.status, answer.read()
        return made


ADAPTERS = [RequestsVault, AiohttpVault, UrllibVault]
each_adapter = pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: adapter.__name__)
TWO_ADDITIONS: Sequence = (
    Call(label=0, tag="make"),
    Call(label=1, tag="add", args={"box": "box@0", "number": 5, "key": "a"}),
    Call(label=2, tag="add", args={"box": "box@0", "number": 2, "key": "b"}),
)


def places_of(trace: Trace) -> list[list[str]]:
    """List the paths that were asked for, by part: reset, each step and what it read, the end."""
    parts = [trace.resetting, *(part for step in trace.steps for part in (step.interactions, step.observing))]
    return [[each.request.url.split("/", 3)[3] for each in part] for part in [*parts, trace.closing]]


@each_adapter
def test_requests_of_other_clients_stand_at_their_step(adapter: type[VaultApi]):
    """What another client sent, and what ours sent, stand in one trace, each at its step."""
    with Boxed() as boxed:
        trace = run(boxed, TWO_ADDITIONS, adapter=adapter)

    assert "passed" == trace.ending, trace.reason
    assert places_of(trace) == [
        ["reset"],
        ["boxes/new"],
        ["boxes"],
        ["boxes/0/add"],
        ["boxes"],
        ["boxes/0/add"],
        ["boxes"],
        [],
    ]


@each_adapter
def test_a_bundle_of_other_clients_is_replayed_offline(adapter: type[VaultApi], tmp_path: Path):
    """A failure is written while it happens, read back, and reproduced with no service."""
    with Boxed() as boxed:
        boxed.most = 6
        adapters = Adapters(Vault, adapter, boxed.url, {})
        with Writer(tmp_path / "partial") as writer:
            writer.begin(PROVENANCE)
            trace = execute(Vault, adapters.new(), Fixed(TWO_ADDITIONS), listener=writer)
            writer.save(tmp_path / "bug.pd")
        adapters.close()
    bundle = read(tmp_path / "bug.pd")
    replayed = replay(bundle, model=Vault, adapter=adapter, url="http://127.0.0.1:1", offline=True)

    assert "failed" == trace.ending
    assert Verdict.REPRODUCED is replayed.verdict, replayed.reason
    assert places_of(trace) == places_of(bundle.trace)
    assert [each.response for each in trace.interactions()] == [each.response for each in bundle.trace.interactions()]


@each_adapter
def test_a_lost_answer_of_another_client_ends_the_run_as_unknown(adapter: type[VaultApi]):
    """What another client raises for a lost answer is no fault of the adapter."""
    with Boxed() as boxed:
        boxed.lose = ["/boxes/0/add"]
        trace = run(boxed, TWO_ADDITIONS, adapter=adapter)

    assert "unknown" == trace.ending, trace.failure
    assert "unknown" == played(trace, adapter=adapter).ending


@each_adapter
def test_a_service_that_other_clients_do_not_reach_is_unreachable(adapter: type[VaultApi]):
    """A refused connection ends the run as unreachable, whatever the client."""
    adapters = Adapters(Vault, adapter, f"http://127.0.0.1:{free_port()}", {})
    trace = execute(Vault, adapters.new(), Fixed(TWO_ADDITIONS))
    adapters.close()

    assert "unreachable" == trace.ending, trace.failure


@each_adapter
def test_branches_of_other_clients_do_not_mix(adapter: type[VaultApi]):
    """In thirty runs of drawn branches, each request stands at the call that sent it, and the cassette plays."""
    with Boxed() as boxed:
        adapters = Adapters(Vault, adapter, boxed.url, {})
        traces = [
            execute(Vault, adapters.new(), Generated(Vault, derive(seed, 0), 8, Parallel(3, 3))) for seed in range(30)
        ]
        adapters.close()
    branched = [trace for trace in traces if trace.moments]
    sent = [
        (step.call.args["number"], json.loads(each.request.body)["number"])
        for trace in branched
        for step in trace.steps
        if step.call.tag == "add"
        for each in step.interactions
    ]

    assert {"passed"} == {trace.ending for trace in traces}
    assert len(branched) > 20
    assert len(sent) > 50
    assert all(wanted == was for wanted, was in sent)
    assert {"passed"} == {played(trace, adapter=adapter).ending for trace in branched}


def test_runs_with_branches_in_two_threads_keep_their_own_requests():
    """Two campaigns at once, each with threads for its branches, take nothing from each other."""
    sequence = (
        TWO_ADDITIONS[0],
        *(
            Call(label=label, tag="add", args={"box": "box@0", "number": label, "key": f"{label}"}, branch=branch)
            for label, branch in ((1, 1), (2, 1), (3, 2), (4, 2))
        ),
    )
    traces: list[tuple[str, Trace]] = []

    def go() -> None:
        with Boxed() as boxed:
            adapters = Adapters(Vault, RequestsVault, boxed.url, {})
            traces.extend((boxed.url, execute(Vault, adapters.new(), Fixed(sequence))) for _ in range(10))
            adapters.close()

    threads = [threading.Thread(target=go) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 20 == len(traces)
    assert {"passed"} == {trace.ending for _, trace in traces}
    assert {8} == {trace.requests for _, trace in traces}  # reset, make, four additions, and twice what is read
    assert all(each.request.url.startswith(url) for url, trace in traces for each in trace.interactions())


def test_an_adapter_whose_client_is_not_seen_is_told(service: OddService):
    """Where handlers answer and no request was seen, the run is refused: its bundle would be empty."""

    class Idle(RequestsVault):
        def post(self, path: str, body: object = None) -> requests.Response:
            made = requests.Response()
            made.status_code, made._content = 200, b'{"id": 0, "now": 5}'
            return made

        @observes
        def all(self) -> Boxes:
            return Boxes(numbers={self.ref(Box, 0): 0})

    with Boxed() as boxed, pytest.raises(DefinitionError, match="Idle uses other clients, and none of its requests"):
        run(boxed, TWO_ADDITIONS[:1], adapter=Idle)


def test_only_adapters_that_ask_for_it_pay_for_it():
    """Without the keyword, vcrpy is not even imported by a run; a subclass keeps what its base said."""
    assert [False, True, True] == [each.other_clients for each in (VaultApi, RequestsVault, AiohttpVault)]

    class Ours(RequestsVault, other_clients=False):
        pass

    assert not Ours.other_clients


# --- boto3 --------------------------------------------------------------------------------------


class Bucket(BaseHTTPRequestHandler):
    """As much of S3 as putting, getting and listing takes."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        key = self.path.partition("?")[0].removeprefix("/bucket").removeprefix("/")
        status, text, held = 200, b"", self.server.held
        if self.command == "PUT":
            held[key] = sent
        elif not key:
            listed = "".join(f"<Contents><Key>{name}</Key></Contents>" for name in sorted(held))
            text = f"<ListBucketResult><Name>bucket</Name>{listed}</ListBucketResult>".encode()
        elif key in held:
            text = held[key]
        else:
            status, text = 404, b"<Error><Code>NoSuchKey</Code><Message>There is none.</Message></Error>"
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_PUT = answer  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def bucket() -> Iterator[str]:
    """Serve an empty bucket."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Bucket) as served:
        served.held = {}
        threading.Thread(target=served.serve_forever, args=[0.01], daemon=True).start()
        yield f"http://127.0.0.1:{served.server_address[1]}"
        served.shutdown()


class Keep(Command):
    name: str


class Fetch(Command):
    name: str


class Kept(Event):
    names: list[str]


class Fetched(Event):
    text: str | None


class Store(Model):
    commands: ClassVar = (Keep, Fetch)

    @expects
    def fetch(self, cmd: Fetch) -> Fetched:
        return Fetched(text=None if cmd.name == "other" else cmd.name)


def s3(url: str) -> Any:
    """Make a client of boto3 that asks once."""
    config = botocore.config.Config(
        s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=PATIENCE
    )
    keys = dict.fromkeys(("aws_access_key_id", "aws_secret_access_key"), "key")
    return boto3.client("s3", endpoint_url=url, region_name="nowhere", config=config, **keys)


class BotoStore(Adapter[Store], other_clients=True):
    """Speaks to the bucket with boto3."""

    def reset(self) -> None:
        self.s3 = s3(self.http.origin)

    @handles
    def keep(self, cmd: Keep) -> Kept:
        self.s3.put_object(Bucket="bucket", Key=cmd.name, Body=cmd.name.encode())
        listed = self.s3.list_objects_v2(Bucket="bucket")
        return Kept(names=[each["Key"] for each in listed["Contents"]])

    @handles
    def fetch(self, cmd: Fetch) -> Fetched:
        try:
            return Fetched(text=self.s3.get_object(Bucket="bucket", Key=cmd.name)["Body"].read().decode())
        except self.s3.exceptions.NoSuchKey:
            return Fetched(text=None)


KEEP_AND_FETCH: Sequence = (
    Call(label=0, tag="keep", args={"name": "one"}),
    Call(label=1, tag="fetch", args={"name": "one"}),
    Call(label=2, tag="fetch", args={"name": "other"}),
)


def test_boto3_is_captured_and_played(bucket: str):
    """Objects are put, listed, fetched and missed through boto3, and so they are from the cassette."""
    adapters = Adapters(Store, BotoStore, bucket, {})
    trace = execute(Store, adapters.new(), Fixed(KEEP_AND_FETCH))
    adapters.close()
    again = played(trace, Store, BotoStore)

    assert "passed" == trace.ending, trace.failure
    assert [2, 1, 1] == [len(step.interactions) for step in trace.steps]
    assert [step.event for step in trace.steps] == [step.event for step in again.steps]
    assert "passed" == again.ending, again.reason


def test_boto3_that_reaches_nobody_is_unreachable():
    """The error of botocore is no fault of the adapter."""
    adapters = Adapters(Store, BotoStore, f"http://127.0.0.1:{free_port()}", {})
    trace = execute(Store, adapters.new(), Fixed(KEEP_AND_FETCH))
    adapters.close()

    assert "unreachable" == trace.ending, trace.failure


BOTO_LOST = {
    "": ("ConnectError", botocore.exceptions.EndpointConnectionError),
    "/drop": ("RemoteProtocolError", botocore.exceptions.ConnectionClosedError),
    "/slow": ("ReadTimeout", botocore.exceptions.ReadTimeoutError),
}


@pytest.mark.parametrize("path", BOTO_LOST)
def test_errors_of_botocore_are_raised_again(path: str, service: OddService):
    """Nobody there, a dropped connection, silence: botocore says each in its own words, and the same when played."""

    def list_objects(method: str, url: str, body: bytes | None) -> Any:
        return s3(url).list_objects(Bucket=path.removeprefix("/") or "bucket")

    url = service.url if path else f"http://127.0.0.1:{free_port()}"
    tape = Recording()
    with foreign.through(tape):
        live = outcome(list_objects, "GET", url)
    with foreign.through(Playing(tape)):
        again = outcome(list_objects, "GET", url)
    name, kind = BOTO_LOST[path]

    assert [name] == [each.trouble.error for each in tape.kept]
    assert kind is live[0]
    assert live == again
