"""Naming: which values of an answer are ids, and where an id counts."""

import json
import time

import pytest

from replaykit.interaction import Interaction, Request, Response
from replaykit.naming import Named, Names, names_of, words_of
from replaykit.sequence import Call
from replaykit.trace import Said, Step, Trace

JSON = (("content-type", "application/json"),)


def sent(method: str, path: str, answer=None, body=None, headers=()) -> Interaction:
    request = Request(method=method, url=f"http://a{path}", body=b"" if body is None else json.dumps(body).encode())
    content = b"" if answer is None else json.dumps(answer).encode()
    return Interaction(request=request, response=Response(status=200, headers=(*JSON, *headers), body=content))


def step(label: int, *interactions: Interaction, made=None, **args) -> Step:
    event = None if made is None else Said(tag="made", version=1, data=json.dumps(made).encode())
    return Step(call=Call(label=label, tag="do", args=args), interactions=interactions, event=event)


def trace(*steps: Step) -> Trace:
    return Trace(steps=steps, ending="passed")


def named(names: Names, value) -> str:
    return str(names.named({"id": value})["id"])


@pytest.mark.parametrize(
    ("answer", "made", "expected"),
    [
        ({"id": 7}, {"account": "account@3"}, 7),
        ({"owner": "Ada", "account_id": "x-1", "id": 5}, {"account": "account@3"}, "x-1"),
        ({"data": {"accountId": 8}, "version": 1}, {"it": "account@3"}, 8),
        ({"count": 1, "it": 9}, {"it": "account@3"}, 9),
    ],
)
def test_an_id_is_found_by_its_key(answer, made, expected):
    """Below a key that says so stands the id of what a step made."""
    [names] = names_of(trace(step(3, sent("POST", "/a", answer), made=made)))

    assert names.has("account@3", expected)


def test_an_id_is_found_by_what_is_sent_later():
    """What later requests say whose calls name it goes before a key that looks like that of an id."""
    first = step(0, sent("POST", "/a", {"id": 1, "handle": "q7"}), made={"account": "account@0"})
    later = step(1, sent("GET", "/a/q7", {}), account="account@0")
    [names] = names_of(trace(first, later))

    assert names.has("account@0", "q7")


def test_an_id_is_found_in_the_location():
    """A service may say the id in the header location alone."""
    made = step(0, sent("POST", "/a", None, headers=(("Location", "/a/31"),)), made={"account": "account@0"})
    later = step(1, sent("GET", "/a/31", {}), account="account@0")
    [names] = names_of(trace(made, later))

    assert names.has("account@0", "31")


def test_what_nothing_says_has_no_name():
    """Where neither a key nor a request says what an id is, there is none."""
    [names] = names_of(trace(step(0, sent("POST", "/a", {"n": 1, "m": 2}), made={"it": "account@0"})))

    assert not names


def test_several_things_of_one_step_have_an_id_each():
    """Two things made by one step are named in the order in which they stand."""
    both = step(4, sent("POST", "/a", [{"id": 5}, {"id": 6}]), made={"all": ["seat@4", "seat@4.2"]})
    [names] = names_of(trace(both))

    assert names.has("seat@4", 5)
    assert names.has("seat@4.2", 6)


def test_a_small_id_counts_below_its_keys_alone():
    """Not every 1 is an account: a small number is an id below a key that says so, a long one anywhere."""
    [names] = names_of(
        trace(
            step(0, sent("POST", "/a", {"id": 1}), made={"account": "account@0"}),
            step(1, sent("POST", "/b", {"id": "6b1f2a0e-3c58"}), made={"booking": "booking@1"}),
        )
    )
    document = {"account": 1, "amount": 1, "accounts": [1], "text": "6b1f2a0e-3c58", "6b1f2a0e-3c58": 1, "ok": True}
    found = names.named(document)

    assert ["account@0", 1, "account@0", "booking@1", 1, True] == [
        str(found["account"]), found["amount"], str(found["accounts"][0]), str(found["text"]),
        found["<booking@1>"], found["ok"],
    ]  # fmt: skip
    assert "/a/<account@0>/<booking@1>/2" == names.path("/a/1/6b1f2a0e-3c58/2")


def test_one_number_may_be_the_id_of_two_things():
    """An account and a booking may both be 1; what stands below `id` is then like either of them."""
    [names] = names_of(
        trace(
            step(0, sent("POST", "/a", {"id": 1}), made={"account": "account@0"}),
            step(1, sent("POST", "/b", {"id": 1}), made={"booking": "booking@1"}),
        )
    )

    assert "account@0 or booking@1" == named(names, 1)
    assert {"account@0"} == names.labels(1, "accountId")


def test_traces_are_named_together():
    """What is an id in one trace stands at the same place in the other, whatever stands there."""

    def made(ident: str, code: str) -> Trace:
        return trace(step(0, sent("POST", "/a", {"code": code, "id": ident}), made={"account": "account@0"}))

    before, after = names_of(made("a", "x"), made("b", "y"))

    assert before.has("account@0", "a")
    assert after.has("account@0", "b")


def shop(cart: int, user: int, *last: Step, second: int = 9) -> Trace:
    """Two carts and a user, each with an id of its own table, and what was done last."""
    return trace(
        step(0, sent("POST", "/carts", {"id": cart}), made={"cart": "cart@0"}),
        step(1, sent("POST", "/users", {"id": user}), made={"user": "user@1"}),
        step(2, sent("POST", "/carts", {"id": second}), made={"cart": "cart@2"}),
        *last,
    )


@pytest.mark.parametrize(
    ("path", "answer", "expected"),
    [
        ("/carts/1", {"id": 1}, "cart@0"),
        ("/users", [{"id": 1}], "user@1"),
        ("/users/1/carts", [{"id": 1}], "cart@0"),
        ("/all", {"users": [{"id": 1}]}, "user@1"),
        ("/all", {"id": 1}, "cart@0 or user@1"),
    ],
)
def test_what_stands_around_an_id_says_which_of_two_it_is(path: str, answer, expected: str):
    """The nearest key above it, or part of the path, that says a kind of thing; where none does, it may be either."""
    [names] = names_of(shop(1, 1))
    found = names.named(answer, around=words_of(path))
    while not isinstance(found, Named):
        found = found[0] if isinstance(found, list) else next(iter(found.values()))

    assert expected == str(found)


def test_parts_of_a_path_are_named_by_what_stands_before_them():
    """In `/carts/1/users/1`, one is the cart and the other the user."""
    [names] = names_of(shop(1, 1))

    assert "/carts/<cart@0>/users/<user@1>" == names.path("/carts/1/users/1")
    assert "/<cart@0 or user@1>" == names.path("/1")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"cart@0", "user@1"}, {"cart@0"}, True),
        ({"cart@0", "user@1"}, {"cart@2", "user@1"}, False),
        ({"cart@0"}, {"user@1"}, False),
        ({"cart@0", "user@1"}, {"user@1", "seat@3"}, True),
    ],
)
def test_what_may_be_another_thing_of_a_kind_is_not_the_same(one: set[str], other: set[str], same: bool):
    """An id that two things have is the same one only if it is of each kind that it may be in both traces."""
    assert same == (Named(1, frozenset(one)) == Named(2, frozenset(other)))


def test_many_things_in_a_large_answer_do_not_take_long():
    """Two hundred names, and an answer of sixty thousand ids: a file from a stranger stops nobody."""
    refs = [f"thing{number}@0" for number in range(200)]
    large = trace(step(0, sent("POST", "/a", list(range(60_000))), made={"refs": refs}))
    before = time.process_time()
    names_of(large, large)

    assert time.process_time() - before < 5
