"""Drift: what counts as otherwise than recorded, what is noise, and how noise is followed."""

import contextlib
import gzip
import time
from pathlib import Path

import httpx
import pytest

import replaykit
from replaykit.errors import DriftError, UsageError
from replaykit.likeness import HEADERS, pattern_of
from replaykit.recording import verify


class Shop:
    """An application whose answers a test writes: one for each request, in their order."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url.path}")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def drift(tmp_path: Path, recorded, seen, work=None, later=None, **rules) -> str:
    """Record some answers, verify against others; return what DriftError tells, or nothing."""

    def ask(client: httpx.Client) -> None:
        for _ in recorded:
            client.get("/a")

    path = tmp_path / "a.pd"
    options = {"base_url": "http://shop.example"}
    with replaykit.record(path, transport=httpx.MockTransport(Shop(*recorded)), **options) as client:
        (work or ask)(client)
    try:
        with verify(path, transport=httpx.MockTransport(Shop(*seen)), **rules, **options) as client:
            (later or work or ask)(client)
    except DriftError as error:
        return str(error)
    return ""


def json(data, status: int = 200, **headers: str) -> httpx.Response:
    return httpx.Response(status, json=data, headers=headers)


@pytest.mark.parametrize(
    ("recorded", "seen"),
    [
        (json({"a": 1, "b": [1, 2]}), httpx.Response(200, json={"b": [1, 2], "a": 1})),
        (json({"a": 1}, Date="Sat, 01 Jan 2022 00:00:00 GMT"), json({"a": 1}, Date="now", Server="new")),
        (
            httpx.Response(200, content=gzip.compress(b"[1]"), headers={"content-encoding": "gzip"}),
            httpx.Response(200, content=b"[ 1 ]"),
        ),
        (
            httpx.Response(201, headers={"location": "http://shop.example/a/1"}),
            httpx.Response(201, headers={"location": "/a/1"}),
        ),
    ],
)
def test_what_is_the_same_is_no_drift(tmp_path, recorded, seen):
    """The order of keys, how a body is packed, dates, and a location with or without the host make no difference."""
    assert "" == drift(tmp_path, [recorded], [seen])


@pytest.mark.parametrize(
    ("recorded", "seen", "told"),
    [
        (json({"a": 1}), json({"a": 2}), "number 1, GET /a: the body differs at $.a: 1 -> 2"),
        (json({"a": 1}), json({"a": True}), "the body differs at a number that is written in another way"),
        (json({"a": 1, "b": 1}), json({"a": True, "b": 2}), "$.a: 1 -> True"),
        (json([1]), json([1, 2]), "the body differs at $[1]: nothing -> 2"),
        (json({}), json({}, 500), "the status was 200 and is 500"),
        (httpx.Response(200, text="a"), httpx.Response(200, text="b"), "the body was b'a' and is b'b'"),
        (
            httpx.Response(200, html="[]"),
            json([]),
            "the header content-type was 'text/html; charset=utf-8' and is 'application/json'",
        ),
        (
            httpx.Response(302, headers={"location": "/a"}),
            httpx.Response(302, headers={"location": "/b"}),
            "the header location was '/a' and is '/b'",
        ),
    ],
)
def test_drift_is_told_with_its_place(tmp_path, recorded, seen, told):
    """Status, a few headers and bodies count; what differs is told with the number of the interaction."""
    assert told in drift(tmp_path, [recorded], [seen])


def test_an_error_in_the_place_of_an_answer_is_drift(tmp_path):
    """A time-out where there was an answer is told by its name, beside the error that the block ends with."""

    def ask(client: httpx.Client) -> None:
        with contextlib.suppress(httpx.ReadTimeout):
            client.get("/a")

    assert "there was an answer and is ReadTimeout" in drift(tmp_path, [json(1)], [httpx.ReadTimeout("late")], ask)


def test_what_is_asked_more_or_less_is_drift(tmp_path):
    """A request that was not recorded, and one that is not sent any more, are told."""

    def ask(client: httpx.Client) -> None:
        client.get("/a")

    def other(client: httpx.Client) -> None:
        client.delete("/b")

    told = drift(tmp_path, [json(1)], [json(1)], ask, other)

    assert "DELETE /b is asked and was not recorded" in told
    assert "number 1, GET /a: was recorded and is not asked" in told


def test_noise_is_not_counted_but_followed(tmp_path):
    """A new id in an ignored place may be sent and answered wherever the recorded one was."""

    def buy(client: httpx.Client) -> None:
        order = client.post("/orders").json()["id"]
        client.get(f"/orders/{order}")
        client.post("/payments", json={"order": order, "amount": 7})

    def answers(order: int, payment: int, amount: int = 7) -> list[httpx.Response]:
        return [
            json({"id": order}, 201, Location=f"/orders/{order}"),
            json({"id": order, "state": "new"}),
            json({"order": order, "payment": payment, "amount": amount}),
        ]

    ignore = ["$.id", "$.payment"]
    assert "" == drift(tmp_path, answers(12, 1), answers(17, 2), buy, ignore=ignore)
    told = drift(tmp_path, answers(12, 1), answers(17, 2, 8), buy, ignore=ignore)
    assert "in 1 places:\n  number 3, POST /payments: the body differs at $.amount: 7 -> 8\n" in told
    assert "the request is another one" in drift(tmp_path, answers(12, 1), answers(17, 2), buy)


def test_what_is_followed_tells_which_request_is_which(tmp_path):
    """Requests for things with new ids are held against those for the recorded ones, also in another order."""

    def ask(client: httpx.Client, *places: int) -> None:
        things = [each["id"] for each in client.get("/things").json()]
        for place in places:
            client.get(f"/things/{things[place]}")

    def answers(*ids: int) -> list[httpx.Response]:
        return [json([{"id": each} for each in ids])]

    recorded = [*answers(12, 13), json({"name": "a"}), json({"name": "b"})]
    seen = [*answers(27, 28), json({"name": "b"}), json({"name": "a"})]

    assert "" == drift(
        tmp_path, recorded, seen, lambda client: ask(client, 0, 1), lambda client: ask(client, 1, 0), ignore=["$[*].id"]
    )


def test_an_ignored_value_stands_for_its_own_new_one_only(tmp_path):
    """What is followed hides nothing else: another value in the same place is drift."""

    def ask(client: httpx.Client) -> None:
        client.get("/a")
        client.get("/b")

    told = drift(
        tmp_path, [json({"id": 1}), json({"ref": 1})], [json({"id": 5}), json({"ref": 6})], ask, ignore=["$.id"]
    )

    assert "number 2, GET /b: the body differs at $.ref: 1 -> 6" in told


def test_what_was_covered_stands_for_any_value(tmp_path):
    """A placeholder in the recording is no drift, what stands around it counts."""
    recorded = [json({"token": "REDACTED.token.1", "kind": "Bearer REDACTED.token.2!"})]

    assert "" == drift(tmp_path, recorded, [json({"token": "abc", "kind": "Bearer x!"})])
    recorded = [json({"kind": "Bearer REDACTED.token.2!"})]
    assert "$.kind" in drift(tmp_path, recorded, [json({"kind": "Basic x!"})])


@pytest.mark.parametrize(
    ("ignored", "fits", "does_not"),
    [
        ("$.id", ["$.id", "$.id.deep", "$.id[0]"], ["$.idle", "$.rows[0].id", "$"]),
        ("$.rows[*].id", ["$.rows[0].id", "$.rows[12].id"], ["$.rows[0].name", "$.rows"]),
        ("$.rows[1]", ["$.rows[1].id"], ["$.rows[10].id"]),
        ("$.*.at", ["$.made.at", "$['a-b'].at"], ["$.at", "$.a.b.at"]),
        ("$['a-b']", ["$['a-b']", "$['a-b'].c"], ["$.a"]),
        ("$", ["$", "$.a", "$[0]"], []),
    ],
)
def test_places_are_ignored_with_all_below(ignored, fits, does_not):
    """`[*]` is any item and `.*` any key; a name is not the beginning of another."""
    pattern = pattern_of(ignored)

    assert fits == [each for each in (*fits, *does_not) if pattern.match(each)]


@pytest.mark.parametrize("wrong", ["id", "$.", "$[x]", "$..id", "$.a b", ""])
def test_what_is_no_place_is_told(wrong):
    """A place is written from `$`, in one dialect only."""
    with pytest.raises(UsageError, match="is no place in a JSON document"):
        pattern_of(wrong)


def test_headers_that_count_can_be_chosen(tmp_path):
    """`headers_compared` goes before the usual ones."""
    recorded, seen = [json({}, ETag="1")], [json({}, ETag="2")]

    assert "" == drift(tmp_path, recorded, seen)
    assert "the header etag was '1' and is '2'" in drift(tmp_path, recorded, seen, headers_compared=(*HEADERS, "ETag"))


def test_what_is_ignored_is_followed_in_the_same_answer(tmp_path):
    """The new value may stand a second time where the recorded one did; another one there is drift."""
    recorded, same = json({"id": 12, "self": {"id": 12}}), json({"id": 17, "self": {"id": 17}})

    assert "" == drift(tmp_path, [recorded], [same], ignore=["$.id"])
    told = drift(tmp_path, [recorded], [json({"id": 17, "self": {"id": 18}})], ignore=["$.id"])
    assert "in 1 places" in told
    assert "$.self.id: 12 -> 18" in told


def test_all_values_of_a_header_count(tmp_path):
    """The second one of two, and one more than there was."""

    def linked(*values: str) -> httpx.Response:
        return httpx.Response(200, headers=[("Link", each) for each in values])

    rules = {"headers_compared": ["link"]}
    assert "" == drift(tmp_path, [linked("a", "b")], [linked("a", "b")], **rules)
    for seen, listed in ((("a", "c"), "'a', 'c'"), (("a",), "'a'"), ((), "not there")):
        told = drift(tmp_path, [linked("a", "b")], [linked(*seen)], **rules)
        assert f"the header link was 'a', 'b' and is {listed}\n" in told


def test_a_large_body_is_held_against_its_digest(tmp_path):
    """Of an answer of which only the beginning was kept, the rest counts too."""
    large = b"x" * (3 << 20)
    recorded = httpx.Response(200, content=large)

    assert "" == drift(tmp_path, [recorded], [httpx.Response(200, content=large)])
    told = drift(tmp_path, [recorded], [httpx.Response(200, content=large[:-1] + b"y")])
    assert f"the body was one of {len(large)} bytes, and is another one" in told


def test_what_was_not_read_does_not_count(tmp_path):
    """A reader who leaves an answer sooner than the one of the recording saw no drift; another beginning is."""

    class Chunks(httpx.SyncByteStream):
        def __init__(self, *chunks: bytes) -> None:
            self.chunks = chunks

        def __iter__(self):
            yield from self.chunks

    def read(chunks: int):
        def work(client: httpx.Client) -> None:
            with client.stream("GET", "/a") as answer:
                parts = answer.iter_raw()
                for _ in range(chunks):
                    next(parts)

        return work

    def answers(*chunks: bytes) -> list[httpx.Response]:
        return [httpx.Response(200, stream=Chunks(*chunks))]

    assert "" == drift(tmp_path, answers(b"a", b"b", b"c"), answers(b"a", b"b", b"c"), read(2), read(1))
    told = drift(tmp_path, answers(b"a", b"b", b"c"), answers(b"x", b"b", b"c"), read(2), read(1))
    assert "the body was b'ab' and is b'x'" in told


def test_the_same_placeholder_is_the_same_value(tmp_path):
    """Where one token was recorded twice, two are drift, in answers and in requests."""

    def ask(*tokens: str):
        def work(client: httpx.Client) -> None:
            for each in tokens:
                client.get("/a", params={"token": each})

        return work

    once, twice = ["8f3kd93kdk2929dkdk30"], ["8f3kd93kdk2929dkdk30"] * 2
    other = [*once, "7s8d7f6s8d7f6s8d7f68"]
    recorded = [json({"token": each}) for each in twice]

    assert "" == drift(tmp_path, recorded, [json({"token": other[1]}) for _ in twice])
    assert "number 2, GET /a: the body differs at $.token" in drift(
        tmp_path, recorded, [json({"token": each}) for each in other]
    )
    told = drift(tmp_path, [json(1), json(1)], [json(1), json(1)], ask(*twice), ask(*other))
    assert "number 2, GET /a?token=REDACTED.token.1: the request is another one: what is covered in it" in told


@pytest.mark.parametrize("depth", [150, 900, 100_000])
def test_json_that_is_nested_deep_is_compared(tmp_path, depth):
    """A hostile answer is no reason to fall over."""
    recorded, seen = (b"[" * depth + value + b"]" * depth for value in (b"1", b"2"))

    assert "the body" in drift(tmp_path, [httpx.Response(200, content=recorded)], [httpx.Response(200, content=seen)])


def test_many_other_requests_take_no_time(tmp_path):
    """Each of 100 requests whose bodies drifted is held against its own, in a moment."""

    def ask(run: int):
        def work(client: httpx.Client) -> None:
            for number in range(100):
                client.post("/items", json={"run": run, "number": number, "password": "8f3kd93kdk2929dkdk30"})

        return work

    answers = [json({"id": number}) for number in range(100)]
    others = [json({"id": number + 1000}) for number in range(100)]
    began = time.process_time()
    told = drift(tmp_path, answers, others, ask(1), ask(2), ignore=["$.id"])

    assert "in 100 places" in told
    assert "and 80 more" in told
    assert time.process_time() - began < 3


def test_a_report_shows_no_secrets(tmp_path):
    """What was sent and answered is covered in the message as it is in a bundle."""
    secret = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"

    def ask(path: str):
        return lambda client: client.get(path, params={"token": "not-like-one-2"})

    told = drift(
        tmp_path, [json({"n": 1})], [json({"n": secret, "password": "hunter2-hunter2"})], ask("/a/1"), ask("/a/2")
    )

    assert "$.n: 1 -> 'REDACTED." in told
    for each in (secret, "not-like-one-2", "hunter2-hunter2"):
        assert each not in told
