"""Cassettes: recorded interactions answer in their order, and a miss says what was recorded instead."""

import hashlib
import json

import pytest

from replaykit.cassette import CassetteMissError, Player, mismatch, target
from replaykit.interaction import Cut, Interaction, Request, Response, Trouble


def request(method: str = "POST", path: str = "/players", body: bytes = b"", kind: str | None = None) -> Request:
    headers = () if kind is None else (("Content-Type", kind),)
    return Request(method=method, url=f"http://127.0.0.1:4600{path}", headers=headers, body=body)


def told(asked: Request, status: int = 200) -> Interaction:
    return Interaction(request=asked, response=Response(status=status))


FIRST = request("POST", "/players", b'{"name":"a"}', "application/json")
SECOND = request("GET", "/players?sort=name")


@pytest.fixture
def player():
    """Give a cassette of two interactions."""
    return Player([told(FIRST, 201), told(SECOND, 200)])


def test_requests_are_answered_in_their_order(player):
    """Each request gets the interaction that was recorded for it."""
    statuses = [player.answer(FIRST).response.status, player.answer(SECOND).response.status]

    assert [201, 200] == statuses
    assert None is player.missed
    assert None is player.unused()


def test_the_same_request_gets_one_answer_after_the_other():
    """A request that was recorded twice is answered twice, in the order of the recording."""
    player = Player([told(SECOND, 200), told(SECOND, 404)])

    assert [200, 404] == [player.answer(SECOND).response.status for _ in range(2)]


def test_another_order_is_a_miss(player):
    """A request that comes before its turn is not answered, though it was recorded."""
    with pytest.raises(CassetteMissError):
        player.answer(SECOND)

    assert player.missed == (
        "the cassette has no such request: number 1 is POST /players; asked was GET /players?sort=name"
    )


def test_a_miss_uses_nothing(player):
    """After a miss, the same interaction is still the next one; the first miss is the one that is told."""
    for asked in (SECOND, request("DELETE", "/players")):
        with pytest.raises(CassetteMissError):
            player.answer(asked)

    assert "GET /players?sort=name" in player.missed
    assert 201 == player.answer(FIRST).response.status


def test_a_request_after_the_end_is_a_miss(player):
    """The message says that the cassette is at its end, and what was asked."""
    player.answer(FIRST)
    player.answer(SECOND)

    with pytest.raises(CassetteMissError, match="the cassette is at its end, and GET /extra was asked"):
        player.answer(request("GET", "/extra"))


def test_what_was_never_asked_for_is_told(player):
    """The number of requests that are left is told, with the first of them."""
    player.answer(FIRST)

    assert "1 recorded requests were never asked for, the first of them GET /players?sort=name" == player.unused()


def test_a_lost_answer_is_played_too():
    """What was recorded may be the network's trouble instead of a response."""
    lost = Interaction(request=SECOND, trouble=Trouble(error="ReadTimeout"))

    assert lost is Player([lost]).answer(SECOND)


@pytest.mark.parametrize(
    ("recorded", "asked"),
    [
        (request(body=b'{"a": 1, "b": [2]}'), request(body=b'{"b":[2],"a":1}')),
        (request(body=b'{"a":"\\u00e9"}'), request(body='{"a":"é"}'.encode())),
        (request(body=b"[1]", kind="application/problem+json; charset=utf-8"), request(body=b"[ 1 ]")),
        (request(body=b"text", kind="text/plain"), request(body=b"text", kind="text/html")),
        (request(body=b"\xff\x00"), request(body=b"\xff\x00")),
        (request(), request()),
        (request(path="/a"), request(path="/a").replace(url="http://other.example:80/a")),
        (request(path="/"), request(path="")),
        (request(body=b"1"), request(body=b"1").replace(headers=(("X-Request-Id", "7"),))),
    ],
)
def test_what_does_not_count_is_no_mismatch(recorded, asked):
    """Host, headers, and how a JSON body is written make no difference."""
    assert None is mismatch(recorded, asked)


@pytest.mark.parametrize(
    ("recorded", "asked", "why"),
    [
        (request("GET"), request("POST"), "asked was POST /players"),
        (request(path="/a"), request(path="/b"), "asked was POST /b"),
        (request(path="/a?x=1"), request(path="/a?x=2"), "asked was POST /a?x=2"),
        (request(path="/a"), request(path="/a?x=2"), "asked was POST /a?x=2"),
        (request(body=b'{"a": 1}'), request(body=b'{"a": 2}'), "the body differs at $.a: 1 -> 2"),
        (request(body=b'{"a": 1}'), request(body=b"{}"), "the body differs at $.a: 1 -> nothing"),
        (request(body=b"old"), request(body=b"new"), "the body was b'old' and is b'new'"),
        (request(body=b'{"a": 1}'), request(body=b""), """the body was b'{"a": 1}' and is b''"""),
        (
            request(body=b"[1]", kind="text/plain"),
            request(body=b"[ 1]", kind="text/plain"),
            "the body was b'[1]' and is b'[ 1]'",
        ),
    ],
)
def test_a_mismatch_says_what_differs(recorded, asked, why):
    """Method, path, query and body count, and the first of them that differs is told."""
    assert why == mismatch(recorded, asked)


def test_true_is_not_one_in_json():
    """JSON tells true from 1, and so does the comparison of bodies."""
    assert None is not mismatch(request(body=b'{"a": true}'), request(body=b'{"a": 1}'))


def test_a_mismatch_tells_no_more_than_three_places():
    """Of a body that differs everywhere, the first places are enough."""
    recorded, asked = ({str(key): value for key in range(9)} for value in (1, 2))
    why = mismatch(request(body=json.dumps(recorded).encode()), request(body=json.dumps(asked).encode()))

    assert 3 == why.count("->")


def test_a_request_is_shown_by_method_path_and_query():
    """The host is left out, and an empty path is the root."""
    assert "GET /a/b?c=d" == target(Request(method="GET", url="http://127.0.0.1:1/a/b?c=d"))
    assert "GET /" == target(Request(method="GET", url="http://127.0.0.1:1"))


def test_an_answer_that_is_not_kept_whole_is_no_answer():
    """Of a body that was cut when it was written, only the beginning is there: playing it would be a lie."""
    cut = Cut(size=5_000_000, sha256="0" * 64)
    player = Player([Interaction(request=SECOND, response=Response(status=200, body=b"abc", cut=cut))])
    with pytest.raises(CassetteMissError, match="had 5000000 bytes, of which the bundle keeps the first 3"):
        player.answer(SECOND)

    assert player.missed is not None


def test_a_request_that_is_not_kept_whole_is_known_by_its_digest():
    """A large body that was sent is the recorded one if size and digest say so, and not if only its beginning fits."""
    body = b"x" * 1000
    cut = Cut(size=1000, sha256=hashlib.sha256(body).hexdigest())
    recorded = FIRST.replace(body=body[:10], cut=cut)

    assert None is mismatch(recorded, FIRST.replace(body=body))
    assert "the body is not that of 1000 bytes" == mismatch(recorded, FIRST.replace(body=body[:10]))
    assert "the body is not that of 1000 bytes" == mismatch(recorded, FIRST.replace(body=body[:-1] + b"y"))
