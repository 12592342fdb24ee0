"""Serving: a stub server that answers from a bundle, as what was recorded was answered."""

import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from conftest import ROOT, Counting
from test_fidelity import Recording, heard, limits

import replaykit
from replaykit import guest
from replaykit.bundle import Origin
from replaykit.difference import differences
from replaykit.errors import MissError, UnusedError, UsageError
from replaykit.guest import MOST_BODY, MOST_HEAD
from replaykit.interaction import Interaction, Request, Response, Trouble
from replaykit.network import Network
from replaykit.rendition import UnsendableError, rendered
from replaykit.serving import MARK, MISS, PREFIX, Stub
from replaykit.trace import Trace
from replaykit.transport import Tap
from replaykit.writer import save
from tests.odd import CASES, error_in, odd_service

FAILURES = ROOT / "failures"
NAMES = FAILURES / "leaderboard" / "duplicate-names.pd"
COUNTS = ("/a", "/a", "/b")  # what `counted` asks for: the count is 1, 2, 3


def saved(folder: Path, *interactions: Interaction) -> Path:
    """Write interactions into a bundle without a model."""
    path = folder / "served.pd"
    save(path, Origin(), Trace(recorded=interactions, ending="recorded"))
    return path


def said(method: str, target: str, body: bytes = b"", *, status: int = 200, **more: Any) -> Interaction:
    """Make an interaction, whose answer has a body that is what was asked for."""
    answer = f"{method} {target} {status}".encode()
    headers = (("Content-Length", str(len(answer))),)
    return Interaction(
        request=Request(method=method, url=f"http://shop.example{target}", body=body, **more),
        response=Response(status=status, reason="Fine", headers=headers, body=answer),
    )


@contextmanager
def served(path: Path, **options: Any) -> Iterator[Stub]:
    """Serve a bundle, and let nobody mind what was missed or left."""
    stub = Stub(path, **options)
    with stub.in_thread():
        yield stub


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a bundle of a service that counts its requests."""
    path = tmp_path_factory.mktemp("counted") / "counted.pd"
    with Counting() as service, replaykit.record(path, base_url=service.url) as client:
        for each in COUNTS:
            client.get(each)
    return path


# --- byte for byte ------------------------------------------------------------------------------

UNLIKE = {  # cases in which a client that is connected can't see the same error: it sees that one instead
    "refused": httpx.ReadError,
    "time-out of connecting": httpx.RemoteProtocolError,
    "time-out of writing": httpx.RemoteProtocolError,
}
HELD = {"time-out of the head", "time-out of the body"}
ALIKE = [name for name, case in CASES.items() if name not in UNLIKE and not case.busy]


def replayed(name: str, folder: Path, *, delays: bool) -> tuple[Any, Any, Stub]:
    """Return what a client hears of an odd service, and of the stub server that is made of it."""
    case, tape = CASES[name], Recording()
    with odd_service(case) as url:
        expected = heard(case, url, Tap(Network(lean=False, connections=case.connections), tape))
    with served(saved(folder, *tape.kept), delays=delays) as stub:
        got = heard(case, stub.url, httpx.HTTPTransport(limits=limits(case)))
    return expected, got, stub


@pytest.mark.parametrize("name", ALIKE)
def test_what_is_served_is_what_was_on_the_wire(name: str, tmp_path: Path):
    """An odd answer is heard from the stub server as it was recorded: head, body, error, and where that came."""
    expected, got, stub = replayed(name, tmp_path, delays=name in HELD)

    assert error_in(expected) is error_in(got)
    assert without_message(expected) == without_message(got)
    assert (0, None) == (stub.stand().missed, stub.desk.unused())


@pytest.mark.parametrize("name", UNLIKE)
def test_what_can_not_be_seen_by_who_is_connected_ends_the_connection(name: str, tmp_path: Path):
    """Where the recorded client did not get as far as to ask, the connection ends without an answer."""
    _, got, stub = replayed(name, tmp_path, delays=False)

    assert UNLIKE[name] is error_in(got)
    assert stub.desk.unused() is None


def without_message(told: tuple[Any, ...]) -> tuple[Any, ...]:
    """Leave out how an error is worded, which depends on bytes that were not recorded."""
    return told[:-1] if error_in(told) else told


def raw(url: str, *sent: bytes | float, seconds: float = 30.0, is_half_closed: bool = False) -> bytes:
    """Send bytes over a connection, with pauses, and return all that comes until it is closed."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=seconds) as connection:
        for each in sent:
            if isinstance(each, float):
                time.sleep(each)
            else:
                connection.sendall(each)
        if is_half_closed:
            connection.shutdown(socket.SHUT_WR)
        came = b""
        while more := connection.recv(65536):
            came += more
    return came


def test_nothing_is_added_to_a_recorded_answer(tmp_path: Path):
    """An answer has the bytes that it had: no date, no server, no header of the stub's own."""
    answer = b"HTTP/1.1 201 Made\r\nX-b: 1\r\nLink: </a>\r\nx-A: \xe9\r\nLink: </b>\r\nContent-Length: 2\r\n\r\nhi"
    with odd_service(CASES["plain"]._replace(answer=answer)) as url:
        with replaykit.record(tmp_path / "b.pd", base_url=url) as client:
            client.get("/")
    with served(tmp_path / "b.pd") as stub:
        came = raw(stub.url, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert answer == came


def test_an_answer_of_http_2_gets_a_length(tmp_path: Path):
    """An answer without any framing, as HTTP/2 has them, is sent so that its end is seen."""
    two = said("GET", "/").replace(response=Response(status=200, version="HTTP/2", headers=(("a", "b"),), body=b"two"))
    with served(saved(tmp_path, two)) as stub:
        came = raw(stub.url, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert b"HTTP/1.1 200 \r\na: b\r\ncontent-length: 3\r\n\r\ntwo" == came


def test_a_length_that_is_not_that_of_the_body_is_corrected(tmp_path: Path):
    """Of a whole body the length is said as it is, once, where the other one stood; other headers stay."""
    headers = (("A", "1"), ("Content-LENGTH", "9"), ("B", "2"), ("content-length", "8"))
    wrong = said("GET", "/").replace(response=Response(status=200, reason="OK", headers=headers, body=b"hi"))
    with served(saved(tmp_path, wrong)) as stub:
        came = raw(stub.url, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert b"HTTP/1.1 200 OK\r\nA: 1\r\nContent-LENGTH: 2\r\nB: 2\r\n\r\nhi" == came


def test_a_body_that_was_not_read_to_its_end_ends_the_connection(tmp_path: Path):
    """Its length stays that of the whole body, so that the client sees that something is missing."""
    head = (("Content-Length", "10"),)
    half = Response(status=200, reason="OK", headers=head, body=b"half", complete=False)
    with served(saved(tmp_path, said("GET", "/").replace(response=half))) as stub:
        came = raw(stub.url, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", seconds=10)

    assert b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf" == came


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "a\nb", "a\0b", "☕"])
def test_a_head_that_is_none_is_not_sent(value: str):
    """What would break out of its line, or can't be said in Latin-1, is no answer."""
    broken = said("GET", "/").replace(response=Response(status=200, headers=(("X", value),)))
    with pytest.raises(UnsendableError):
        rendered(broken)


def test_to_a_client_of_http_1_0_no_chunks_are_sent(tmp_path: Path):
    """A body that was sent in chunks is ended by the end of the connection for who does not know chunks."""
    chunked = Response(status=200, reason="OK", headers=(("Transfer-Encoding", "chunked"),), body=b"abc")
    with served(saved(tmp_path, said("GET", "/").replace(response=chunked))) as stub:
        came = raw(stub.url, b"GET / HTTP/1.0\r\n\r\n")

    assert b"HTTP/1.1 200 OK\r\n\r\nabc" == came


def test_with_delays_an_answer_takes_as_long_as_it_took(tmp_path: Path):
    """With delays the recorded seconds go by before an answer; without them none do, for a time-out neither."""
    slow = said("GET", "/").replace(elapsed=1.5)
    lost = said("GET", "/lost").replace(response=None, trouble=Trouble(error="ReadTimeout"), elapsed=30.0)
    path, took = saved(tmp_path, slow, lost), []
    for delays in (True, False):
        with served(path, delays=delays) as stub, httpx.Client(base_url=stub.url, timeout=20) as client:
            began = time.monotonic()
            client.get("/")
            took.append(time.monotonic() - began)
            with pytest.raises(httpx.ReadTimeout if delays else httpx.RemoteProtocolError):
                client.get("/lost", timeout=0.5 if delays else 20)

    assert took[0] >= 1.5
    assert took[1] < 1.5


def test_who_has_no_more_to_say_is_still_answered(tmp_path: Path):
    """A client that closes its own direction after the request gets its answer, also one that takes its time."""
    slow = said("GET", "/").replace(elapsed=0.5)
    with served(saved(tmp_path, slow), delays=True) as stub:
        came = raw(stub.url, b"GET / HTTP/1.0\r\n\r\n", is_half_closed=True)

    assert came.startswith(b"HTTP/1.1 200 Fine")


# --- what is answered, and what not -------------------------------------------------------------


def test_answers_change_as_they_did(counted: Path):
    """The same request gets what it got then: the first time the first answer, then the second one."""
    with replaykit.serve(counted) as stub, httpx.Client(base_url=stub.url) as client:
        counts = [client.get(each).json()["count"] for each in COUNTS]

    assert [1, 2, 3] == counts


@pytest.mark.parametrize(
    ("order", "statuses", "counts"),
    [("strict", [MISS, 200], [1]), ("fifo", [200, 200, MISS], [3, 1]), ("any", [200, 200, 200], [3, 1, 3])],
)
def test_orders_are_those_of_playing(order: Any, statuses: list[int], counts: list[int], counted: Path):
    """In strict order a request has to be the next one; fifo gives each answer once; any gives the last one again."""
    asked = ["/b", "/a", "/b"][: len(statuses)]
    with served(counted, order=order) as stub, httpx.Client(base_url=stub.url) as client:
        answers = [client.get(each) for each in asked]

    assert statuses == [each.status_code for each in answers]
    assert counts == [each.json()["count"] for each in answers if each.status_code != MISS]


def test_a_miss_names_what_is_nearest(counted: Path):
    """What differs is said in a header, in the text, and as JSON to who accepts that, with what is next."""
    with served(counted) as stub, httpx.Client(base_url=stub.url) as client:
        text = client.get("/c", headers={"Accept": "*/*"})
        data = client.get("/c", headers={"Accept": "application/json"}).json()

    assert "the cassette has no such request: number 1 is GET /a; asked was GET /c" == text.headers[MARK]
    assert text.headers[MARK] in text.text
    assert text.headers[MARK] == data["why"]
    assert (1, "GET /a") == (data["next"]["number"], data["next"]["request"])


def test_who_takes_anything_and_sends_json_hears_of_a_miss_in_json(counted: Path):
    """A client that accepts anything (as fetch does) gets JSON where it sends JSON; null is called so."""
    with served(counted) as stub, httpx.Client(base_url=stub.url, headers={"Accept": "*/*"}) as client:
        missed = client.post("/c", json={"reference": None}).json()

    assert "replaykit-miss" == missed["error"]
    assert ["$.a: nothing -> null", "$.b: null -> 1"] == [
        f"{each.path}: {each.shown}" for each in differences({"b": None}, {"a": None, "b": 1})
    ]


@pytest.mark.parametrize(("target", "key"), [("/login?key=", "x"), ("/login", "name")])
def test_a_missed_request_shows_no_secret(target: str, key: str, tmp_path: Path):
    """What looks like a secret in the URL or the body of a request that is missed is covered wherever it is told."""
    token = "ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8"
    told: list[str] = []
    path = saved(tmp_path, said("POST", "/login", b'{"name": "a"}'))
    with served(path, missed=told.append) as stub, httpx.Client(base_url=stub.url) as client:
        answer = client.post(f"{target}{token}" if "=" in target else target, json={key: token})
        stand = client.get(PREFIX).text

    assert MISS == answer.status_code
    assert len(told) == 1
    assert [] == [each for each in (answer.text, *told, stand, *answer.headers.values()) if token in each]


def test_of_a_large_body_nothing_is_told(tmp_path: Path):
    """What differs in a body that is too large to look for secrets in is not said, and it is told at once."""
    path = saved(tmp_path, said("POST", "/login", b'{"password": "a", "x": "a"}'))
    body = json.dumps({"password": "hunter2-hunter2", "x": "y" * 3_000_000}).encode()
    with served(path) as stub, httpx.Client(base_url=stub.url, timeout=30) as client:
        answer = client.post("/login", content=body)

    assert "number 1 is POST /login; the body is another one" in answer.headers[MARK]
    assert "hunter2" not in answer.text + stub.stand().model_dump_json()


@pytest.mark.parametrize("order", ["strict", "fifo", "any"])
def test_a_large_body_that_was_not_recorded_keeps_nobody_waiting(order: Any, tmp_path: Path):
    """That a large body of JSON is another one is told by its digest, and what differs in it is not looked for."""
    path = saved(tmp_path, said("POST", "/players", b'[{"name": "a", "score": 1}]'))
    body = json.dumps([{"name": f"n{number}", "score": number} for number in range(100_000)]).encode()
    with served(path, order=order) as stub, httpx.Client(base_url=stub.url, timeout=60) as client:
        before = time.process_time()
        answer = client.post("/players", content=body)
        spent = time.process_time() - before

    assert "the body is another one" in answer.headers[MARK]
    assert spent < 4  # seconds of the processor; with a look at each difference it were tens


def test_a_miss_takes_no_time_whatever_the_bodies_are(tmp_path: Path):
    """Bodies in which all is alike, in another order, are those that take longest to compare; others wait meanwhile."""
    draw = random.Random(1)
    texts = [b"".join(draw.choice([b"a", b"b"]) for _ in range(1000)) for _ in range(61)]
    lists = [json.dumps(draw.choices([0, 1], k=5000)).encode() for _ in range(2)]
    path = saved(tmp_path, *[said("POST", "/text", each) for each in texts[1:]], said("POST", "/list", lists[0]))
    with served(path, order="any") as stub, httpx.Client(base_url=stub.url, timeout=60) as client:
        before = time.process_time()
        answers = [client.post("/text", content=texts[0]), client.post("/list", content=lists[1])]
        answers += [client.post("/list", content=lists[1]) for _ in range(3)]
        spent = time.process_time() - before

    assert ["the body was b'", *["the body differs at $["] * 4] == [
        next(said for said in ("the body was b'", "the body differs at $[") if said in each.headers[MARK])
        for each in answers
    ]
    assert spent < 4  # seconds of the processor; with each order of the letters tried it were minutes


def test_placeholders_stand_for_any_value(tmp_path: Path):
    """A request with another secret than the recorded one is the same; another one than before is none."""
    path = tmp_path / "secret.pd"
    with Counting() as service, replaykit.record(path, base_url=service.url) as client:
        for _ in range(3):
            client.post("/pay", json={"password": "hunter2-hunter2", "amount": 1})
    with served(path) as stub, httpx.Client(base_url=stub.url) as client:
        asked = [{"password": each, "amount": 1} for each in ("mine", "mine", "yours", "mine")]
        statuses = [client.post("/pay", json=each).status_code for each in asked]

    assert b"hunter2" not in path.read_bytes()
    assert [200, 200, MISS, 200] == statuses


@pytest.mark.parametrize(
    ("recorded", "asked"),
    [
        ("/a%20b?q=c%20d", "/a%20b?q=c+d"),
        ("/it's?a[]=1", "/it%27s?a%5B%5D=1"),
        ("/caf%C3%A9", "/caf%c3%a9"),
        ("/~me?x=%7E", "/%7Eme?x=~"),
        ("/p?x=a%2Bb", "/p?x=a%2bb"),
    ],
)
def test_other_escapes_are_the_same_url(recorded: str, asked: str, tmp_path: Path):
    """A client in another language escapes otherwise, and means the same."""
    with served(saved(tmp_path, said("GET", recorded))) as stub:
        came = raw(stub.url, f"GET {asked} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())

    assert came.startswith(b"HTTP/1.1 200 Fine")


@pytest.mark.parametrize("asked", ["/a%2Fb", "/a/b?x=%26y", "/a/b?x=&y=", "/a/b?x+"])
def test_other_urls_are_others(asked: str, tmp_path: Path):
    """An escape that keeps a delimiter from being one is no matter of taste."""
    with served(saved(tmp_path, said("GET", "/a/b?x=&y"), said("GET", "/a/b"))) as stub:
        came = raw(stub.url, f"GET {asked} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())

    assert came.startswith(b"HTTP/1.1 478 ")


@pytest.mark.parametrize("target", ["http://other.example/a?b", "//a/b", "*", "/a#b"])
def test_odd_targets_are_answered(target: str, tmp_path: Path):
    """An absolute target is one without its host; others get what they ask for, or a miss."""
    with served(saved(tmp_path, said("GET", "/a?b"), said("GET", "//a/b"))) as stub:
        came = raw(stub.url, f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())

    assert (b"HTTP/1.1 200 " if target.startswith("http") else b"HTTP/1.1 478 ") == came[:13]


# --- rounds, and how it stands ------------------------------------------------------------------


def test_it_begins_anew_when_it_is_asked_to(counted: Path):
    """After a reset all is there again, and what was asked for before is not counted as left."""
    with replaykit.serve(counted) as stub, httpx.Client(base_url=stub.url) as client:
        first = client.get("/a").json()["count"]
        stand = client.post(f"{PREFIX}/reset").json()
        again = [client.get(each).json()["count"] for each in COUNTS]

    assert 1 == first
    assert (2, 0, 3) == (stand["round"], stand["played"], stand["recorded"])
    assert [1, 2, 3] == again


@pytest.mark.parametrize("order", ["strict", "fifo", "any"])
def test_the_recorded_reset_begins_anew(order: Any):
    """A client that resets the service before each test of its own gets the recorded run from its beginning."""
    with replaykit.serve(NAMES, order=order) as stub, httpx.Client(base_url=stub.url) as client:
        for _ in range(2):
            statuses = [client.post("/reset").status_code]
            statuses += [client.post("/players", json={"name": "a"}).status_code, client.get("/players").status_code]
            statuses += [client.post("/players", json={"name": "a"}).status_code]
        rounds = stub.stand().round

    assert [200, 201, 200, 201] == statuses
    assert 2 == rounds


@pytest.mark.parametrize("order", ["strict", "fifo", "any"])
def test_a_client_need_not_reset(order: Any):
    """What reset the service when it was recorded may be left out."""
    with replaykit.serve(NAMES, order=order) as stub, httpx.Client(base_url=stub.url) as client:
        statuses = [client.post("/players", json={"name": "a"}).status_code, client.get("/players").status_code]
        statuses += [client.post("/players", json={"name": "a"}).status_code]

    assert [201, 200, 201] == statuses


def test_without_checks_only_the_commands_are_played():
    """What was read for checks is left out, so that a client needs to send only what the commands sent."""
    with replaykit.serve(NAMES, checks=False) as stub, httpx.Client(base_url=stub.url) as client:
        statuses = [client.post("/players", json={"name": "a"}).status_code for _ in range(2)]

    assert [201, 201] == statuses


def test_it_tells_the_step_and_the_state_of_the_model():
    """What was played, what is next, and the projection after the last step can be asked for."""
    with served(NAMES) as stub, httpx.Client(base_url=stub.url) as client:
        stands = [client.get(PREFIX).json()]
        client.post("/players", json={"name": "a"})
        stands.append(client.get(PREFIX).json())

    assert [None, {"scores": {"a": 0}}] == [each["state"] for each in stands]
    assert [("reset", "POST /reset", None), ("step 6", "GET /players", "create_player(name='a')")] == [
        (each["next"]["place"], each["next"]["request"], each["next"]["call"]) for each in stands
    ]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", PREFIX, 405), ("GET", f"{PREFIX}/reset", 405), ("GET", f"{PREFIX}/other", 404), ("HEAD", PREFIX, 200)],
)
def test_other_things_that_are_asked_of_the_stub_itself(method: str, path: str, status: int, counted: Path):
    """Below its prefix it answers for itself, and counts nothing as missed."""
    with served(counted) as stub, httpx.Client(base_url=stub.url) as client:
        answer = client.request(method, path)

    assert status == answer.status_code
    assert 0 == stub.stand().missed


@pytest.mark.parametrize(
    ("host", "status"),
    [("page.example", 403), ("127.0.0.1.page.example:80", 403), ("localhost:8080", 200), ("[::1]:80", 200)],
)
def test_its_stand_is_told_under_no_foreign_name(host: str, status: int, counted: Path):
    """A page that lets its name stand for this machine is neither told how it stands, nor may it begin anew."""
    with served(counted) as stub, httpx.Client(base_url=stub.url, headers={"Host": host}) as client:
        statuses = [client.get(PREFIX).status_code, client.post(f"{PREFIX}/reset").status_code]

    assert [status, status] == statuses


def test_in_python_what_was_missed_or_left_is_raised(counted: Path):
    """At the end of the block a miss is raised, and what is left; what the block raises goes before."""
    with pytest.raises(MissError, match="GET /c"), replaykit.serve(counted) as stub:
        httpx.get(f"{stub.url}/c")
    with pytest.raises(UnusedError, match="3 of 3 recorded requests"), replaykit.serve(counted):
        pass
    with replaykit.serve(counted, order="any"):
        pass
    with pytest.raises(ZeroDivisionError) as raised, replaykit.serve(counted) as stub:
        httpx.get(f"{stub.url}/c")
        raise ZeroDivisionError

    assert any("GET /c" in each for each in raised.value.__notes__)


def test_a_host_that_is_none_is_told(counted: Path):
    """Where it can't listen, it is a UsageError that names the place."""
    with pytest.raises(UsageError, match=r"can't listen at 192\.0\.2\.1:0"):
        Stub(counted, host="192.0.2.1")


# --- many clients, and odd ones -----------------------------------------------------------------


def test_clients_do_not_wait_for_slow_ones(tmp_path: Path):
    """Who sends half a request, does not read a large answer, or waits for a delayed one, keeps nobody waiting."""
    large = said("GET", "/large").replace(response=Response(status=200, version="HTTP/2", body=b"x" * 2_000_000))
    slow = said("GET", "/slow").replace(elapsed=30.0)
    path = saved(tmp_path, large, slow, said("GET", "/quick"))
    with ExitStack() as stack, served(path, order="any", delays=True) as stub:
        parts = urlsplit(stub.url)
        for sent in (
            b"GET /quick HT",
            b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n",
        ):
            connection = stack.enter_context(socket.create_connection((parts.hostname, parts.port)))
            connection.sendall(sent)
        began = time.monotonic()
        assert 200 == httpx.get(f"{stub.url}/quick", timeout=20).status_code

    assert time.monotonic() - began < 20.0


def test_many_clients_at_once_get_each_answer_once(tmp_path: Path):
    """Fifty answers to the same request are given to ten clients, each of them once."""
    numbered = [
        said("GET", "/n").replace(response=Response(status=200, version="HTTP/2", body=b"%d" % n)) for n in range(50)
    ]
    got: list[int] = []

    def ask(url: str) -> None:
        with httpx.Client(base_url=url) as client:
            got.extend(int(client.get("/n").text) for _ in range(5))

    with replaykit.serve(saved(tmp_path, *numbered)) as stub:
        threads = [threading.Thread(target=ask, args=(stub.url,)) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert list(range(50)) == sorted(got)


def test_a_connection_is_kept_and_requests_may_be_sent_ahead(tmp_path: Path):
    """Two requests in one packet are answered over one connection, in their order."""
    with served(saved(tmp_path, said("GET", "/a"), said("GET", "/b"))) as stub:
        asked = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        came = raw(stub.url, asked)
    head = b"HTTP/1.1 200 Fine\r\nContent-Length: 10\r\n\r\n"

    assert head + b"GET /a 200" + head + b"GET /b 200" == came


def test_a_large_body_is_compared_with_what_is_kept_of_it(tmp_path: Path):
    """A body of which only the beginning was kept is known by its digest, in chunks and after 100 Continue too."""
    body = b"0123456789" * 300_000
    path = saved(tmp_path, said("PUT", "/large", body))
    head = b"PUT /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    chunks = (
        b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in (body[:1_000_000], body[1_000_000:])) + b"0\r\n\r\n"
    )
    with served(path, order="any") as stub:
        counted = raw(stub.url, head + b"Content-Length: %d\r\n\r\n" % len(body), body)
        chunked = raw(stub.url, head + b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n", 0.5, chunks)
        other = raw(stub.url, head + b"Content-Length: 3000000\r\n\r\n", body[:-1] + b"x")

    assert counted.startswith(b"HTTP/1.1 200 Fine")
    assert chunked.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 Fine")
    assert other.startswith(b"HTTP/1.1 478 ")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: %b\r\n\r\n" % (b"a" * 3 * MOST_HEAD), 431),
        (b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (MOST_BODY + 1) + b"a" * (MOST_BODY + 1), 413),
        (b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ],
    ids=["no HTTP", "no host", "two lengths", "head", "body", "no target"],
)
def test_who_breaks_the_rules_is_told_and_let_go(
    sent: bytes, status: int, counted: Path, capfd: pytest.CaptureFixture[str]
):
    """What is no HTTP, or too much of it, is answered as the stub's own, and counted; others go on."""
    with served(counted) as stub:
        came = raw(stub.url, sent)
        after = httpx.get(f"{stub.url}/a").status_code
        with pytest.raises(MissError):
            stub.check()

    assert "" == capfd.readouterr().err
    assert 1 == stub.stand().missed

    assert came.startswith(b"HTTP/1.1 %d " % status)
    assert MARK.encode() in came
    assert 200 == after


def test_a_request_has_to_be_whole_in_time(counted: Path, monkeypatch: pytest.MonkeyPatch):
    """Who sends a request a byte at a time, and never ends it, is let go; each request has its own time."""
    monkeypatch.setattr(guest, "DEADLINE", 2.0)
    whole, ahead, began = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n", 1.0, time.monotonic()
    with served(counted) as stub:
        came = raw(stub.url, whole[:-2], ahead, whole[-2:], ahead, whole[:-2], ahead, whole[-2:], is_half_closed=True)
        with pytest.raises(ConnectionError):
            raw(stub.url, *[each for _ in range(100) for each in (b"G", 0.1)])
        took = time.monotonic() - began

    assert 2 == came.count(b"HTTP/1.1 200 ")
    assert took < 3 * ahead + 6  # of the hundred bytes, 10 seconds
    assert 0 == stub.stand().missed


def test_bodies_that_are_held_at_once_are_limited_together(counted: Path, monkeypatch: pytest.MonkeyPatch):
    """A body for which there is no room beside those that others send is refused; there is room when these are gone."""
    monkeypatch.setattr(guest, "MOST_HELD", 150_000)
    half = b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\n\r\n" + b"a" * 100_000
    with served(counted, order="any") as stub:
        parts = urlsplit(stub.url)
        with socket.create_connection((parts.hostname, parts.port)) as other:
            other.sendall(half)
            time.sleep(0.5)  # until it was read
            refused = raw(stub.url, half)
            small = httpx.get(f"{stub.url}/a").status_code
            other.sendall(b"a")
            answered = other.recv(13)
            after = raw(stub.url, half.replace(b"Host: x", b"Host: x\r\nConnection: close"), b"a")

    assert refused.startswith(b"HTTP/1.1 413 ")
    assert b"there is no room" in refused
    assert 200 == small
    assert [b"HTTP/1.1 478 "] * 2 == [answered, after[:13]]


def test_a_body_that_was_answered_takes_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """While an answer is held back, or never comes, the body of its request is not kept."""
    monkeypatch.setattr(guest, "MOST_HELD", 150_000)
    path = saved(tmp_path, said("PUT", "/slow", b"a" * 100_000).replace(elapsed=30.0))
    sent = b"PUT /%b HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n" + b"a" * 99_999
    with served(path, delays=True) as stub:
        parts = urlsplit(stub.url)
        with socket.create_connection((parts.hostname, parts.port)) as waiting:
            waiting.sendall(sent % b"slow" + b"a")
            time.sleep(0.5)  # until it was read
            came = raw(stub.url, sent % b"other", 0.5, b"a")

    assert came.startswith(b"HTTP/1.1 478 ")


def test_an_answer_that_can_not_be_sent_is_a_miss(tmp_path: Path):
    """Where a recorded answer can't be sent, the request was not answered, and that is counted."""
    broken = said("GET", "/").replace(response=Response(status=200, reason="OK", headers=(("X", "a\r\nb"),)))
    with served(saved(tmp_path, broken)) as stub:
        status = httpx.get(stub.url).status_code
        with pytest.raises(MissError, match="can't be sent"):
            stub.check()

    assert MISS == status


def test_pages_of_other_origins_may_read_with_cors(counted: Path):
    """With CORS a preflight is answered, and each answer says that all may read it; without, nothing is added."""
    asked = {"Origin": "http://page.example", "Access-Control-Request-Method": "PUT"}
    with served(counted, cors=True) as stub, httpx.Client(base_url=stub.url) as client:
        preflight = client.options("/a", headers={**asked, "Access-Control-Request-Headers": "x-a"})
        answers = [client.get("/a"), client.get("/c"), client.get(PREFIX)]
    with served(counted) as stub:
        plain = httpx.get(f"{stub.url}/a", headers={"Origin": "http://page.example"})

    assert (204, "PUT", "x-a") == (
        preflight.status_code,
        preflight.headers["access-control-allow-methods"],
        preflight.headers["access-control-allow-headers"],
    )
    assert ["*"] * 3 == [each.headers["access-control-allow-origin"] for each in answers]
    assert [] == [name for name in plain.headers if name.startswith("access-control")]


def test_the_stand_is_as_its_schema_says(counted: Path):
    """What it tells of itself fits the schema that is published."""
    import jsonschema

    from replaykit.desk import schema

    published = (ROOT / "docs" / "reference" / "serve.schema.json").read_text(encoding="utf-8")
    with served(counted) as stub, httpx.Client(base_url=stub.url) as client:
        client.get("/c")
        client.get("/a")
        jsonschema.validate(client.get(PREFIX).json(), json.loads(published))

    assert schema() == published
