"""Cassettes: recorded interactions answer in their order, and a miss says what was recorded instead."""

import gzip
import hashlib
import json
import time

import pytest

from replaykit.cassette import CassetteMissError, Player, Queues, Repeats, mismatch
from replaykit.gist import target
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
        "the cassette has another request: number 1 is POST /players; asked was GET /players?sort=name; "
        "what was asked is number 2"
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


def test_a_request_that_is_not_kept_whole_is_known_by_its_digest():
    """A large body that was sent is the recorded one if size and digest say so, and not if only its beginning fits."""
    body = b"x" * 1000
    cut = Cut(size=1000, sha256=hashlib.sha256(body).hexdigest())
    recorded = FIRST.replace(body=body[:10], cut=cut)

    assert None is mismatch(recorded, FIRST.replace(body=body))
    assert "the body is not that of 1000 bytes" == mismatch(recorded, FIRST.replace(body=body[:10]))
    assert "the body is not that of 1000 bytes" == mismatch(recorded, FIRST.replace(body=body[:-1] + b"y"))


# --- in any order ---------------------------------------------------------------------------------


def statuses(player, *requests):
    return [player.answer(each).response.status for each in requests]


def test_queues_play_first_in_first_out_for_each_request():
    """Requests may come in any order; the same one gets one recorded answer after the other."""
    player = Queues([told(FIRST, 201), told(SECOND, 200), told(SECOND, 404), told(FIRST, 409)])

    assert [200, 201, 404, 409] == statuses(player, SECOND, FIRST, SECOND, FIRST)
    assert None is player.unused()


def test_queues_give_each_answer_once():
    """A request that is asked more often than it was recorded is a miss that says how often that was."""
    player = Queues([told(SECOND), told(SECOND), told(FIRST)])
    statuses(player, SECOND, SECOND)
    with pytest.raises(CassetteMissError):
        player.answer(SECOND)

    assert "GET /players?sort=name was recorded 2 times, and is asked once more" == player.missed
    assert "1 recorded requests were never asked for, the first of them POST /players" == player.unused()


def test_repeats_give_the_last_answer_again():
    """With repetitions, the last answer stays, and nothing has to be asked for."""
    player = Repeats([told(SECOND, 200), told(SECOND, 404), told(FIRST, 201)])

    assert [200, 404, 404, 404] == statuses(player, *[SECOND] * 4)
    assert None is player.unused()


def test_what_is_written_in_another_way_is_found():
    """A JSON body with other spaces, or with another content type, is the same, as it is in strict order."""
    rewritten = request("POST", "/players", b'{ "name": "a" }', "application/json")
    text = request("POST", "/players", b'{"name":"a"}', "text/plain")

    assert [201, 202] == statuses(Queues([told(FIRST, 201), told(FIRST, 202)]), rewritten, text)
    assert [201, 201] == statuses(Repeats([told(FIRST, 201)]), text, text)


def test_the_nearest_request_is_named_with_what_differs():
    """Of a miss, the recorded request that is most like it is told, and where it differs."""
    others = [told(request("POST", "/players", b'{"name":"%d","team":7}' % each)) for each in range(5)]
    player = Queues([told(SECOND), *others])
    with pytest.raises(CassetteMissError):
        player.answer(request("POST", "/players", b'{"name":"3","team":8}'))

    assert (
        "the cassette has no such POST: the nearest is number 5, POST /players; the body differs at $.team: 7 -> 8"
        == player.missed
    )


def test_an_empty_cassette_has_nothing_near():
    """Where nothing was recorded, the miss says so."""
    with pytest.raises(CassetteMissError, match="the cassette is empty, and POST /players was asked"):
        Queues([]).answer(FIRST)


def test_a_host_counts_where_several_were_recorded():
    """The same path at two hosts is two requests; a host that was not recorded stands for any."""
    here, there = SECOND, SECOND.replace(url="http://other.example/players?sort=name")
    elsewhere = SECOND.replace(url="http://third.example/players?sort=name")
    recorded = [told(here, 200), told(there, 404), told(here, 201)]

    assert [404, 200, 201] == statuses(Queues(recorded), there, here, here)
    assert [200, 404, 201] == statuses(Queues(recorded), *[elsewhere] * 3)
    with pytest.raises(CassetteMissError, match="is asked once more"):
        statuses(Queues(recorded), there, there)


@pytest.mark.parametrize(("kind", "again"), [(Queues, 1), (Repeats, 3)])
def test_finding_takes_the_same_time_in_a_long_cassette(kind, again):
    """An answer is found by its key: of 10,000 requests that differ in their bodies, 2,000 are found in no time."""
    recorded = [told(request("POST", "/items", b'{"number": %d}' % number)) for number in range(10000)]
    player = kind(recorded)
    began = time.process_time()
    for number in range(9999, 7999, -1):
        for _ in range(again):
            assert recorded[number] is player.answer(recorded[number].request)

    assert 3 > time.process_time() - began


# --- what was redacted --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recorded", "asked"),
    [
        (("/a?key=REDACTED.key.1&n=1", b""), ("/a?key=true&n=1", b"")),
        (("/a/REDACTED.id.1", b'{"n":1}'), ("/a/7", b'{"n": 1}')),
        (("/a", b'{"pin":990000000001,"n":1}'), ("/a", b'{"n":1,"pin":1234}')),
        (("/a", b"user=x&password=REDACTED.password.1"), ("/a", b"user=x&password=true")),
        (("/a/7", b'{"token":"t"}'), ("/a/REDACTED.id.1", b'{"token":"REDACTED.token.2"}')),
        (("/a", gzip.compress(b'{"t":"REDACTED.t.1"}')), ("/a", gzip.compress(b'{"t":"true"}'))),
        (("/a", b"\xff\x00REDACTED.t.1\xfe"), ("/a", b"\xff\x00true\xfe")),
    ],
)
def test_a_placeholder_fits_any_value(recorded, asked):
    """What was covered when it was written is no difference, in the target and in the body."""
    assert None is mismatch(request("POST", recorded[0], recorded[1]), request("POST", asked[0], asked[1]))


@pytest.mark.parametrize(
    ("recorded", "asked"),
    [
        (("/a?key=REDACTED.key.1&n=1", b""), ("/a?key=true&n=2", b"")),
        (("/a?key=REDACTED.key.1", b""), ("/b?key=true", b"")),
        (("/a", b'{"pin":990000000001,"n":1}'), ("/a", b'{"n":2,"pin":1234}')),
        (("/a", b'{"t":"REDACTED.t.1"}'), ("/a", b'{"t":null}')),
        (("/a", b"x=REDACTED.t.1"), ("/a", b"x=a&y=b")),
    ],
)
def test_what_is_not_covered_still_counts(recorded, asked):
    """A placeholder covers its own value and nothing else."""
    assert None is not mismatch(request("POST", recorded[0], recorded[1]), request("POST", asked[0], asked[1]))


def test_a_cassette_holds_a_placeholder_to_its_value():
    """The same placeholder stands for the same value in all requests of a cassette."""
    player = Player([told(request("GET", f"/{name}?k=REDACTED.k.1")) for name in "abc"])
    player.answer(request("GET", "/a?k=one"))
    player.answer(request("GET", "/b?k=one"))

    with pytest.raises(CassetteMissError):
        player.answer(request("GET", "/c?k=two"))


def me(token: str) -> Request:
    return request("GET", f"/me?token={token}")


ALICE, BOB = me("REDACTED.token.1"), me("REDACTED.token.2")
TWO = [told(ALICE, 201), told(ALICE, 202), told(BOB, 203)]


@pytest.mark.parametrize("kind", [Queues, Repeats])
def test_which_placeholder_a_value_is_for_is_never_guessed(kind):
    """In any order, a value that may be either of two is a miss that names both; once it is known, it is found."""
    with pytest.raises(CassetteMissError, match="token=b may be number 1 or number 3, which differ in what"):
        kind(TWO).answer(me("b"))
    known = [told(request("GET", "/alice?token=REDACTED.token.1")), *TWO]
    player = kind(known)

    assert [200, 203, 201, 202] == statuses(player, request("GET", "/alice?token=a"), me("b"), me("a"), me("a"))


@pytest.mark.parametrize(
    ("last", "told_so"),
    [("a", "what is covered in it is another value than before"), ("REDACTED.token.1", "asked was GET /me")],
)
def test_one_value_is_not_that_of_two_placeholders(last, told_so):
    """Played strictly, a value that stands for a placeholder does not stand for another one with the same label."""
    player = Player(TWO)

    assert [201, 202] == statuses(player, me(last), me(last))
    with pytest.raises(CassetteMissError, match=told_so):
        player.answer(me(last))
    assert 203 == player.answer(me("b")).response.status


def test_a_miss_binds_nothing():
    """What a request would have meant, had it fitted as a whole, is forgotten."""
    player = Player([told(request(path="/a?k=REDACTED.k.1", body=b'{"n":1}'))])
    with pytest.raises(CassetteMissError):
        player.answer(request(path="/a?k=one", body=b'{"n":2}'))

    assert 200 == player.answer(request(path="/a?k=two", body=b'{"n":1}')).response.status


@pytest.mark.parametrize("kind", [Queues, Repeats])
@pytest.mark.parametrize("again", [1, 0])
def test_finding_what_is_covered_takes_no_time_either(kind, again):
    """Of 1,000 requests with one covered value in each, all are found by what else they say, in a moment."""
    recorded = [
        told(request("POST", f"/login/{number % 7}", b'{"user":%d,"password":"REDACTED.password.%d"}' % (number, n)))
        for number in range(1000)
        for n in [1 if again else number + 1]
    ]
    player = kind(recorded)
    began = time.process_time()
    for number in reversed(range(1000)):
        value = b"same" if again else b"own-%d" % number
        body = b'{"password": "%s", "user": %d}' % (value, number)
        assert recorded[number] is player.answer(request("POST", f"/login/{number % 7}", body))

    assert 2 > time.process_time() - began


# --- how it is written ----------------------------------------------------------------------------


def upload(boundary: str, text: str = "hello", pin: str = "t") -> Request:
    body = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="f"\r\n\r\n{each}\r\n' for each in (text, pin)
    )
    return request("POST", "/up", f"{body}--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}")


@pytest.mark.parametrize("kind", [Player, Queues])
def test_the_boundary_of_a_form_does_not_count(kind):
    """Clients draw another one each time; what is in the form counts, and what is covered in it fits."""
    recorded = told(upload("a1b2", pin="REDACTED.token.1"))

    assert recorded is kind([recorded]).answer(upload("ffff", pin="mine"))
    assert recorded is kind([recorded]).answer(upload("ffff", pin="REDACTED.token.1"))
    with pytest.raises(CassetteMissError):
        kind([recorded]).answer(upload("ffff", "other"))


@pytest.mark.parametrize("kind", [Player, Queues, Repeats])
def test_how_a_body_is_packed_does_not_count(kind):
    """Gzip says when it was made; what is in it counts."""
    bodies = [gzip.compress(b"abc", mtime=time) for time in (1, 2)]
    packed = [request(body=each).replace(headers=(("Content-Encoding", "gzip"),)) for each in bodies]

    assert 200 == kind([told(packed[0])]).answer(packed[1]).response.status


@pytest.mark.parametrize("kind", [Player, Queues, Repeats])
@pytest.mark.parametrize("depth", [900, 100_000])
def test_json_that_is_nested_deep_is_compared_as_bytes(kind, depth):
    """A hostile body is found, and missed, as any other."""
    body = b"[" * depth + b"]" * depth

    assert 200 == kind([told(request(body=body))]).answer(request(body=body)).response.status
    with pytest.raises(CassetteMissError, match="the body was"):
        kind([told(request(body=body))]).answer(request(body=body + b" "))


def test_a_large_body_is_found_by_its_digest_in_any_order():
    """Of a request of which only the beginning was kept, size and digest are looked for."""
    body = b"x" * 1000
    recorded = FIRST.replace(body=body[:10], cut=Cut(size=1000, sha256=hashlib.sha256(body).hexdigest()))

    assert [201] == statuses(Queues([told(SECOND), told(recorded, 201)]), FIRST.replace(body=body))
    with pytest.raises(CassetteMissError):
        Queues([told(recorded)]).answer(FIRST.replace(body=b"y" * 1000))


# --- what a miss names ----------------------------------------------------------------------------

STEPS = ["reset", "step 0", "step 3", "step 3"]
LISTED = [
    told(request("POST", "/reset")),
    told(request("POST", "/players", b'{"name":"Ada","team":7}')),
    told(request("GET", "/players")),
    told(request("PUT", "/players/1", b'{"name":"Eve"}')),
]


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (
            request("GET", "/players"),
            (
                "the cassette has another request: number 1 (reset) is POST /reset; asked was GET /players; "
                "what was asked is number 3 (step 3)"
            ),
        ),
        (
            request("POST", "/players", b'{"team": 7, "name": "Eva"}'),
            (
                "the cassette has no such request: number 1 (reset) is POST /reset; asked was POST /players; "
                "the nearest is number 2 (step 0), POST /players: the body differs at $.name: 'Ada' -> 'Eva'"
            ),
        ),
        (
            request("PUT", "/players/2", b'{"name":"Eve"}'),
            (
                "the cassette has no such request: number 1 (reset) is POST /reset; asked was PUT /players/2; "
                "the nearest is number 4 (step 3), PUT /players/1: asked was PUT /players/2"
            ),
        ),
    ],
)
def test_a_strict_miss_names_the_nearest_request_too(asked, why):
    """Beside the one that is next, what was asked is named where it was recorded, or what is most like it."""
    player = Player(LISTED, places=STEPS)
    elsewhere = asked.replace(url=asked.url.replace("127.0.0.1:4600", "other.example"), headers=(("X-Id", "9"),))
    with pytest.raises(CassetteMissError):
        player.answer(elsewhere)

    assert why == player.missed


def test_a_miss_at_the_end_names_what_was_asked_too():
    """A request that comes once more than it was recorded is named by its number."""
    player = Player(LISTED, places=STEPS)
    statuses(player, *[each.request for each in LISTED])
    with pytest.raises(CassetteMissError):
        player.answer(request("GET", "/players"))

    assert (
        "the cassette is at its end, and GET /players was asked; what was asked is number 3 (step 3)" == player.missed
    )


def test_the_nearest_is_the_one_that_is_most_alike_however_json_is_written():
    """The order of keys and spaces do not make a request less near; what is used already may be the nearest."""
    recorded = [
        told(request("POST", "/players", b'{"name":"Ada","team":{"id":7,"name":"blue"}}')),
        told(request("POST", "/players", b'{"name":"Bob","tags":["x","y"],"team":{"id":9,"name":"blue"}}')),
    ]
    player = Queues(recorded, places=["step 0", "step 1"])
    player.answer(recorded[0].request)
    with pytest.raises(CassetteMissError):
        player.answer(request("POST", "/players", b'{ "team": {"name": "blue", "id": 8}, "name": "Ada" }'))

    assert (
        "the cassette has no such POST: the nearest is number 1 (step 0), POST /players; "
        "the body differs at $.team.id: 7 -> 8" == player.missed
    )


def test_how_json_is_ordered_makes_nothing_nearer():
    """A request with the keys in another order is nearer than one that is written alike and says something else."""
    recorded = [
        told(request("POST", "/players", b'{"a":"alpha beta","z":"one two four"}')),
        told(request("POST", "/players", b'{"z":"one two three","a":"QWERTYUIOP"}')),
    ]
    with pytest.raises(CassetteMissError, match=r"the nearest is number 1, POST /players; the body differs at \$.z"):
        Queues(recorded).answer(request("POST", "/players", b'{"z":"one two three","a":"alpha beta"}'))


def test_a_miss_in_a_long_cassette_is_told_soon():
    """Looking for the nearest of 3,000 requests takes no more than a moment."""
    recorded = [told(request("POST", "/items", b'{"number": %d}' % number)) for number in range(3000)]
    for player in (Player(recorded), Queues(recorded)):
        began = time.process_time()
        with pytest.raises(CassetteMissError, match=r"the nearest is number|number 1 is"):
            player.answer(request("POST", "/items", b'{"number": "many"}'))

        assert 1 > time.process_time() - began


# --- looking again --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Queues, Repeats])
def test_looking_again_takes_what_was_recorded_at_the_same_place(kind):
    """What comes later in the run is no answer to a second look, and no answer is given twice."""
    player = kind([told(SECOND, 200), told(SECOND, 201), told(SECOND, 202)], places=["step 0", "step 0", "step 1"])
    first = player.answer(SECOND, "step 0")
    assert not player.spent("step 0")
    with player.again("step 0"):
        second = player.answer(SECOND, "step 0")
        with pytest.raises(CassetteMissError, match=r"at step 0, GET .* is asked once more than it was recorded"):
            player.answer(SECOND, "step 0")

    assert [200, 201] == [first.response.status, second.response.status]
    assert 2 == player.played
    assert [False, True] == [player.spent("step 0"), (player.answer(SECOND, "step 1"), player.spent("step 1"))[1]]


# --- at a step ------------------------------------------------------------------------------------

POLLED = [told(SECOND, 200), told(SECOND, 201), told(SECOND, 202), told(SECOND, 203)]
POLLED_AT = ["step 0", "step 0", "step 1", "step 4"]


def at(player, *places):
    return [player.answer(SECOND, place).response.status for place in places]


def test_a_step_gets_its_own_answers_first():
    """Whoever asks less often than it was recorded is not given an older answer where there is one of this step."""
    for kind in (Queues, Repeats):
        assert [200, 202, 203] == at(kind(POLLED, places=POLLED_AT), "step 0", "step 1", "step 4")


def test_what_is_left_of_earlier_steps_may_be_asked_for_later():
    """First in, first out; where answers are repeated, it is the last one that was known then."""
    turns = {f"step {number}": number for number in range(5)}
    fifo = Queues(POLLED, places=POLLED_AT, turns=turns)

    assert [202, 200, 201] == at(fifo, "step 1", "step 2", "step 3")
    assert [202, 202, 203] == at(Repeats(POLLED, places=POLLED_AT, turns=turns), "step 2", "step 3", "step 4")


def test_what_was_recorded_later_is_no_answer():
    """Asked once more than it was recorded until then: a miss that names what came later, or the last one again."""
    player = Queues(POLLED, places=POLLED_AT)
    with pytest.raises(CassetteMissError):
        at(player, "step 0", "step 0", "step 0")

    assert (
        "GET /players?sort=name is asked before number 3 (step 1), and what came later says nothing of now"
        == player.missed
    )
    assert [200, 201, 201, 201] == at(Repeats(POLLED, places=POLLED_AT), *["step 0"] * 4)
