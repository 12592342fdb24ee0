"""Tampering: what is done to requests and answers, and that the record says so."""

import gzip
import json
import random
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from replaykit import tampering
from replaykit.bundle import Bundle, Origin
from replaykit.canonical import canonical
from replaykit.cassette import Player
from replaykit.client import Client
from replaykit.errors import UsageError
from replaykit.export.har import render
from replaykit.interaction import Interaction
from replaykit.reader import read
from replaykit.tampering import Tampering, corrupted
from replaykit.trace import Trace
from replaykit.transport import Way
from replaykit.writer import save
from tests.relayed import Asked, Kept, counted, relayed, served

WAYS: list[Way] = ["lean", "httpx"]
ways = pytest.mark.parametrize("way", WAYS)
NAMED = {"Content-Type": "application/json"}


def packed(asked: Asked, number: int) -> tuple[int, dict[str, str], bytes]:
    """Answer as `counted`, compressed."""
    status, headers, body = counted(asked, number)
    return status, {**headers, "Content-Encoding": "gzip"}, gzip.compress(body, mtime=0)


def nothing(asked: Asked, number: int) -> tuple[int, dict[str, str], bytes]:
    """Answer with an empty body."""
    del asked, number
    return 200, {}, b""


def test_what_can_not_be_is_refused():
    """A kind that is none, a status that is no error, and shares beyond all are errors of use."""
    wrong: Sequence[dict[str, Any]] = (
        {"kind": "odd"},
        {"kind": "status", "status": 200},
        {"kind": "truncated", "keep": 1.5},
        {"kind": "corrupted", "share": -0.1},
        {"kind": "corrupted", "share": float("nan")},
    )
    for each in wrong:
        with pytest.raises(UsageError):
            Tampering(**each)


@ways
@pytest.mark.parametrize("reached", [True, False])
def test_an_error_is_put_in(way: Way, reached: bool):
    """The answer is an error that says where it comes from; the service was asked, or not; then all is as before."""
    tape = Kept()
    with served() as service, Client(service.url, way) as client, client.through(tape):
        client.tamper(Tampering(kind="status", status=502, reached=reached))
        answer = client.post("/", json={})
        client.tamper(None)
        after = client.get("/").json()["number"]
    first, second = tape.interactions
    recorded = first.response

    assert (502, "Bad Gateway", "fault") == (answer.status_code, answer.reason_phrase, answer.json()["error"]["code"])
    assert ("status", len(answer.content)) == (answer.headers[tampering.HEADER], int(answer.headers["Content-Length"]))
    assert 1 + reached == after
    assert ("status", "") == (first.tampered, second.tampered)
    assert (b"{}", None) == (first.request.body, first.trouble)
    assert recorded is not None
    assert (502, answer.content, True) == (recorded.status, recorded.body, recorded.complete)


def test_an_error_is_said_in_what_is_accepted():
    """Who does not take JSON is told in plain text, who asks for the head alone is told nothing more."""
    with served() as service, Client(service.url) as client:
        client.tamper(Tampering(kind="status", status=429))
        plain = client.get("/", headers={"Accept": "text/html"})
        head = client.head("/")

    assert ("text/plain; charset=utf-8", "replaykit") == (plain.headers["Content-Type"], plain.text.partition(" ")[0])
    assert (429, b"") == (head.status_code, head.content)


@ways
def test_no_answer_is_put_in_where_nothing_was_reached(way: Way):
    """Where a request that is to be sent can't be, that is told, and is no tampering."""
    tape = Kept()
    with served() as service:
        pass
    with Client(service.url, way) as client, client.through(tape):
        for kind in ("status", "truncated", "corrupted", "duplicated"):
            client.tamper(Tampering(kind=kind, repeatable=True))
            with pytest.raises(httpx.ConnectError):
                client.get("/")

    assert [""] * 4 == [each.tampered for each in tape.interactions]


@ways
@pytest.mark.parametrize(("keep", "left"), [(0.5, 18), (0.0, 0), (1.0, 36)])
def test_a_body_is_truncated(way: Way, keep: float, left: int):
    """Only a share of a body arrives, never all of it; then it is as if the connection had broken."""
    tape = Kept()
    with served() as service, Client(service.url, way) as client, client.through(tape):
        whole = client.get("/").content
        client.tamper(Tampering(kind="truncated", keep=keep))
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
            client.get("/")
        client.tamper(None)
        after = client.get("/").status_code
    interaction = tape.interactions[1]

    assert 37 == len(whole)
    assert interaction.response is not None
    assert (left, False) == (len(interaction.response.body), interaction.response.complete)
    assert interaction.trouble is not None
    assert ("RemoteProtocolError", "truncated", 200) == (interaction.trouble.error, interaction.tampered, after)


@ways
@pytest.mark.parametrize("kind", ["truncated", "corrupted"])
def test_an_empty_body_stays_what_it_is(way: Way, kind: tampering.Tampered):
    """Where there is nothing to cut or to change, nothing is done, and nothing said."""
    tape = Kept()
    with served(nothing) as service, Client(service.url, way) as client, client.through(tape):
        client.tamper(Tampering(kind=kind))
        answers = [client.get("/"), client.head("/")]

    assert [(200, b"")] * 2 == [(each.status_code, each.content) for each in answers]
    assert [""] * 2 == [each.tampered for each in tape.interactions]


@ways
@pytest.mark.parametrize("answering", [counted, packed])
def test_a_body_is_corrupted(way: Way, answering: Any):
    """A body says something else, in the same length: each time the same for a seed, and another for another one."""
    said, tape = [], Kept()
    with served(answering) as service, Client(service.url, way) as client, client.through(tape):
        for seed in (1, 1, 2):
            service.asked.clear()
            client.tamper(Tampering(kind="corrupted", seed=seed))
            said.append(client.get("/").content)
    true = b'{"number": 1, "name": "Ada Lovelace"}'
    recorded = [each.response.body for each in tape.interactions if each.response is not None]

    assert said[0] == said[1]
    assert 3 == len({true, *said})
    assert {len(true)} == {len(each) for each in said}
    assert said == recorded
    assert ["corrupted"] * 3 == [each.tampered for each in tape.interactions]


@pytest.mark.parametrize(
    "body", [b"1", b"0e5", b'{"a":  1}', b"[1.0, 1.00]", b'"~"', b"~", b"null", b"\xff\0", b"plain text " * 40]
)
def test_what_is_corrupted_never_says_the_same(body: bytes):
    """Whatever is drawn, bytes differ, and what was JSON is not the same value any more."""
    for seed in range(200):
        changed = corrupted(body, random.Random(seed))
        try:
            is_same = repr(json.loads(changed)) == repr(json.loads(body))
        except ValueError:
            is_same = changed == body

        assert (False, len(body)) == (is_same, len(changed))


@ways
def test_a_long_answer_is_not_held_for_ever(way: Way, monkeypatch: pytest.MonkeyPatch):
    """Of a long body only the beginning is looked at: it is corrupted there, or breaks there."""
    monkeypatch.setattr(tampering, "HELD", 1000)
    body = b"x" * 1_000_000
    with served(lambda _asked, _number: (200, {}, body)) as service, Client(service.url, way) as client:
        client.tamper(Tampering(kind="corrupted"))
        found = client.get("/").content
        client.tamper(Tampering(kind="truncated"))
        with client.stream("GET", "/") as answer, pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            pieces = answer.iter_raw()
            size = len(next(pieces))
            next(pieces)

    assert len(body) == len(found)
    assert 1 <= sum(one != other for one, other in zip(body, found, strict=True)) <= tampering.MOST_CORRUPTED
    assert body[500_000:] == found[500_000:]
    assert 500 <= size < 500_000


@ways
def test_a_request_is_sent_twice_at_the_same_time(way: Way):
    """Two requests are there before either is answered, on two connections; the answer is that of the first one."""
    both, tape = threading.Barrier(2), Kept()

    def meeting(asked: Asked, number: int) -> tuple[int, dict[str, str], bytes]:
        if number > 1:
            both.wait(5)
        return 200, {}, str(asked.port).encode()

    with served(meeting) as service, Client(service.url, way) as client, client.through(tape):
        kept = client.get("/").text
        client.tamper(Tampering(kind="duplicated", repeatable=True))
        answered = client.put("/", json={"a": 1}).text
        asked = service.asked[1:]

    assert kept == answered
    assert (2, True) == (len({each.port for each in asked}), kept in {str(each.port) for each in asked})
    assert [b'{"a":1}'] * 2 == [each.body.replace(b" ", b"") for each in asked]
    assert ["", "duplicated"] == [each.tampered for each in tape.interactions]


@ways
def test_only_what_may_be_repeated_is_sent_twice(way: Way):
    """What may change something is sent once, unless somebody says that it may be sent again; then in pieces, too."""
    tape = Kept()
    with served() as service, Client(service.url, way) as client, client.through(tape):
        client.tamper(Tampering(kind="duplicated"))
        client.post("/once")
        client.tamper(Tampering(kind="duplicated", repeatable=True))
        client.post("/twice", content=iter([b"one", b"two"]))
        client.tamper(Tampering(kind="duplicated"))
        client.delete("/once-more")
        client.get("/often")

    assert ["/once", "/twice", "/twice", "/once-more", "/often", "/often"] == [each.path for each in service.asked]
    assert [b"onetwo"] * 2 == [each.body for each in service.asked[1:3]]
    assert b"onetwo" == tape.interactions[1].request.body
    assert ["", "duplicated", "", "duplicated"] == [each.tampered for each in tape.interactions]


@ways
def test_a_lost_answer_to_what_was_sent_twice_says_so(way: Way):
    """Where the first one is not answered, its error is told, and the record knows of the second one."""
    tape = Kept()
    with served(lambda _asked, _number: None) as service, Client(service.url, way) as client, client.through(tape):
        client.tamper(Tampering(kind="duplicated", repeatable=True))
        with pytest.raises(httpx.RemoteProtocolError, match="disconnected"):
            client.put("/")
        asked = len(service.asked)
    [interaction] = tape.interactions

    assert 2 == asked
    assert ("duplicated", None) == (interaction.tampered, interaction.response)


@pytest.mark.parametrize("kind", ["status", "truncated", "corrupted", "duplicated"])
def test_who_is_interrupted_leaves_no_connection(kind: tampering.Tampered):
    """Ctrl-C while an answer is held, or a second one waited for, closes what the request had."""
    over = threading.Event()

    def stalling(asked: Asked, number: int) -> tuple[int, dict[str, str], bytes]:
        del asked
        if kind == "duplicated" and number > 1:
            over.wait(10)
        return 200, {"Content-Length": "10"}, b"half" if kind != "duplicated" else b"all of it."

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with served(stalling) as service, Client(service.url) as client:
            client.tamper(Tampering(kind=kind, repeatable=True))
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            with pytest.raises(KeyboardInterrupt):
                client.get("/")
            over.set()
            deadline = time.monotonic() + 5
            while client._network.lean._used and time.monotonic() < deadline:
                time.sleep(0.01)  # the second one is answered in its own thread
            used = len(client._network.lean._used)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert 0 == used


@ways
def test_tampering_and_a_detour_go_together(way: Way):
    """Both of two requests take the detour."""
    with served() as service, relayed(service) as relay, Client(service.url, way) as client:
        client.detour(relay.address)
        client.tamper(Tampering(kind="duplicated", repeatable=True))
        client.put("/")

        assert (2, 2) == (relay.opened, len(service.asked))


def test_a_share_of_the_requests_is_drawn_from_the_seed():
    """About the share is tampered with, the same ones each time; of none, none."""
    drawn = []
    with served() as service, Client(service.url) as client:
        for share, seed in ((0.5, 1), (0.5, 1), (0.5, 2), (0.0, 1)):
            client.tamper(Tampering(kind="status", reached=False, share=share, seed=seed))
            drawn.append([client.get("/").status_code == 503 for _ in range(40)])

    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]
    assert 10 < sum(drawn[0]) < 30
    assert not any(drawn[3])


def test_what_is_asked_beside_the_runs_is_let_be():
    """A health check is answered by the service itself."""
    with served() as service, Client(service.url) as client:
        client.tamper(Tampering(kind="status", reached=False))

        assert client.ask("GET", service.url, 2.0) is None


class Playing(Kept):
    """The tape that plays what was recorded, and keeps it again."""

    plays = True

    def __init__(self, interactions: Sequence[Interaction]) -> None:
        super().__init__()
        self.player = Player(interactions)
        self.answer = self.player.answer  # type: ignore[assignment]


def test_a_bundle_knows_what_was_tampered_with_and_plays_it(tmp_path: Path):
    """What was done is written, read, kept in the canonical form, and played: with no tampering, as it was."""
    tape, path = Kept(), tmp_path / "tampered.pd"
    heard: list[Any] = []

    def hear(client: Client) -> None:
        try:
            answer = client.put("/")
            heard.append((answer.status_code, answer.content))
        except httpx.TransportError as error:
            heard.append((type(error), str(error)))

    with served() as service, Client(service.url) as client, client.through(tape):
        for kind in ("status", "truncated", "corrupted", "duplicated"):
            client.tamper(Tampering(kind=kind, repeatable=True))
            hear(client)
        client.tamper(None)
        hear(client)
    save(path, Origin(), Trace(recorded=tuple(tape.interactions), ending="recorded"))
    written = path.read_bytes()
    recorded = read(path).trace.interactions()
    path.write_bytes(canonical(written))
    playing = Playing(read(path).trace.interactions())
    with Client(service.url) as client, client.through(playing):
        for _ in range(5):
            hear(client)
    kinds = ["status", "truncated", "corrupted", "duplicated", ""]

    assert 4 == written.count(b'"tampered":')
    assert kinds == [each.tampered for each in recorded]
    assert heard[:5] == heard[5:]
    assert kinds == [each.tampered for each in playing.interactions]


def test_a_har_says_so():
    """What was tampered with is not what the service said, so a HAR has a word on it, and else nothing."""
    tape = Kept()
    with served() as service, Client(service.url) as client, client.through(tape):
        client.get("/")
    told = tape.interactions[0].replace(tampered="duplicated")
    one, other = (
        Bundle(origin=Origin(), trace=Trace(recorded=(each,), ending="recorded"))
        for each in (tape.interactions[0], told)
    )

    assert "tampered" not in render(one)
    assert '"tampered": "duplicated"' in render(other)
