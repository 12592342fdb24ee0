"""Contrast: what counts as a difference between two runs, what does not, and what no rule may cover."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kiosk import Kiosk, run

from replaykit.contrast import contrast
from replaykit.errors import NoiseError, UsageError
from replaykit.gate import DEFAULT, idle, line_of, reason, tiers_of, told
from replaykit.interaction import Cut, Interaction, Request, Response, Trouble
from replaykit.rule import Rule
from replaykit.sequence import Call
from replaykit.trace import Said, Step, Trace
from replaykit.verdict import Failure

JSON = (("Content-Type", "application/json"),)
NOISE = (
    Rule(request="POST /carts", place="$.created", type="time"),
    Rule(request="POST /carts", place="$.number", type="number"),
    Rule(request="POST /carts", place="$.trace", type="pattern", pattern="[0-9a-f]{32}"),
    Rule(request="GET /carts", place="$.took", type="any"),
    Rule(request="GET /carts", place="$.carts", type="unordered", key="id"),
)


@pytest.fixture(scope="module")
def kiosk() -> Iterator[Kiosk]:
    with Kiosk() as service:
        yield service


@pytest.fixture(scope="module")
def recorded(kiosk: Kiosk) -> Trace:
    return run(kiosk)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("none", []),
        ("more", [f"added {place} $.more" for place in ("0", "1", "2", "3")]),
        ("less", ["removed 0 $.note", "removed 1 $.note"]),
        ("text", ["type 0 $.number", "type 1 $.number"]),
        ("dollars", ["changed 2 $.unit", "changed 3 $.unit"]),
        ("longer", ["added 2 $.rows[1]", "added 3 $.rows[1]"]),
        ("mixed-up", ["changed 2 $.cart"]),
        ("overcharged", ["changed 2 $.total", "changed 2 $.total"]),
    ],
)
def test_a_change_of_the_service_is_found_and_noise_is_not(
    change: str, expected: list[str], kiosk: Kiosk, recorded: Trace
):
    """New ids, times and orders are no difference with the rules for them; mixed-up ids and all else are."""
    kiosk.changes = {change}
    found = contrast(recorded, run(kiosk), NOISE, now=time.time())

    assert expected == [f"{each.tier} {each.step} {each.place}" for each in found.drifts]
    assert [2, 2, 2, 2, 2] == [found.matched[number] for number in range(5)]


def test_mixed_up_ids_are_told_by_their_names(kiosk: Kiosk, recorded: Trace):
    """One thing's id in the place of another's is told with the names that the model has for them."""
    kiosk.changes = {"mixed-up"}
    [drift] = contrast(recorded, run(kiosk), NOISE, now=time.time()).drifts

    assert "[ 2] changed  POST /carts/<cart@1>/items  $.cart: cart@1 -> cart@0" == line_of(drift)


@pytest.mark.parametrize(
    ("place", "request_", "why"),
    [
        ("$.total", "POST /carts/*/items", "the event added has it at $.total"),
        ("$.cart", "POST /carts/*/items", "it is cart@1: an id is compared by its name"),
        ("$.id", "POST /carts", "it is cart@0: an id is compared by its name"),
        ("$.carts[*].total", "GET /carts", "the observation totals has it|the state has it"),
    ],
)
def test_what_the_model_judges_is_no_noise(place: str, request_: str, why: str, kiosk: Kiosk, recorded: Trace):
    """A rule that covers what went into an event, an observation or the state is refused, with the place."""
    kiosk.changes = set()
    rule = Rule(request=request_, place=place, type="any")
    with pytest.raises(NoiseError, match="covers what the model predicts") as error:
        contrast(recorded, run(kiosk), [rule], now=time.time())

    assert any(each in error.value.happened for each in why.split("|"))


def test_small_values_are_predicted_below_the_same_key_alone():
    """The same small number below another key is chance, and no reason to refuse a rule."""

    def seen(body: str) -> Trace:
        said = Said(tag="seen", version=1, data=b'{"amount": 7}')
        return Trace(
            steps=(Step(call=Call(label=0, tag="do"), interactions=(answer(body),), event=said),), ending="passed"
        )

    one = seen('{"amount": 7, "version": 7}')

    assert [] == contrast(one, one, [Rule(place="$.version", type="any")]).drifts
    with pytest.raises(NoiseError, match="the event seen has it"):
        contrast(one, one, [Rule(place="$.amount", type="any")])


def test_a_rule_says_how_much_it_matched(kiosk: Kiosk, recorded: Trace):
    """Each rule says how many recorded values it matched, and one that matched nothing says so."""
    kiosk.changes = set()
    rules = (NOISE[0], Rule(place="$.creatd", type="time"))
    lines = idle(contrast(recorded, run(kiosk), rules, now=time.time()), rules)

    assert lines[0].endswith("(time at $.created of POST /carts): matched 2 values")
    assert "matched nothing" in lines[1]


def test_numbers_that_fell_are_no_noise():
    """Numbers that grew while it was recorded have to grow now too."""

    def numbers(*values: int) -> Trace:
        return trace(*(answer(json.dumps({"n": each})) for each in values))

    rules = [Rule(place="$.n", type="number")]

    assert [] == contrast(numbers(1, 2, 3), numbers(7, 9, 10**400), rules).drifts
    assert ["$.n"] == [each.place for each in contrast(numbers(1, 2, 3), numbers(7, 9, 8), rules).drifts]
    assert ["7 -> 6"] == [
        f"{each.before} -> {each.after}" for each in contrast(numbers(1, 2, 7, 8), numbers(3, 9, 6, 7), rules).drifts
    ]


def test_numbers_that_fell_may_fall():
    """Where a recorded number fell anywhere, or one has a fraction, it is no count, and the order says nothing."""

    def numbers(*values: float) -> Trace:
        return trace(*(answer(json.dumps({"n": each})) for each in values))

    rules = [Rule(place="$.n", type="number")]

    assert [] == contrast(numbers(1, 5, 9, 2), numbers(4, 3, 2, 1), rules).drifts
    assert [] == contrast(numbers(0.1, 0.5, 0.9), numbers(0.4, 0.3, 0.2), rules).drifts


def test_a_rule_says_how_much_it_does_not_cover():
    """A rule that matches a place and does not fit its values says so."""
    before, after = (trace(answer(json.dumps({"n": each}))) for each in ("a", "b"))
    [said] = idle(contrast(before, after, [Rule(place="$.n", type="number")]), [Rule(place="$.n", type="number")])

    assert said.endswith("matched 1 value, and covers none of the 1 that differ")


# --- answers, one by one


def answer(body: str = "{}", status: int = 200, headers=JSON, path: str = "/a", **more) -> Interaction:
    request = Request(method="GET", url=f"http://a{path}")
    return Interaction(
        request=request, response=Response(status=status, headers=headers, body=body.encode(), **more)
    )  # fmt: skip


def trace(*answers: Interaction, **more) -> Trace:
    steps = tuple(Step(call=Call(label=number, tag="do"), interactions=(each,)) for number, each in enumerate(answers))
    return Trace(**{"steps": steps, "ending": "passed", **more})


LOST = Interaction(request=Request(method="GET", url="http://a/a"), trouble=Trouble(error="ReadTimeout"))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (answer(), answer(headers=(*JSON, ("Date", "now"))), []),
        (answer('{"a": 1.10}'), answer('{ "a": 1.1 }'), []),
        (answer('{"a": 1}'), answer('{"a": true}'), ["type $.a"]),
        (answer('{"t": "REDACTED.token.1"}'), answer('{"t": "secret"}'), []),
        (answer(status=200), answer(status=500), ["changed status"]),
        (answer(), answer(headers=(("content-type", "text/html"),)), ["changed header content-type"]),
        (answer(), answer(headers=()), ["removed header content-type"]),
        (answer("a", headers=()), answer("b", headers=()), ["changed body"]),
        (answer("null"), answer("{}"), ["type body"]),
        (answer(), LOST, ["changed answer"]),
        (answer(), answer(path="/b"), ["changed request"]),
        (answer("abc", complete=False), answer("abcd"), []),
        (answer("abc", complete=False), answer("abd"), ["changed body"]),
        (answer(cut=Cut(size=5, sha256="0")), answer("{}"), ["changed body"]),
        (answer("[NaN]"), answer("[1e9999999999999999999999]"), ["type body"]),
    ],
)
def test_status_headers_and_bodies_count(before: Interaction, after: Interaction, expected: list[str]):
    """What says what an answer means is compared; dates and how a body is written are not."""
    assert expected == [f"{each.tier} {each.place}" for each in contrast(trace(before), trace(after)).drifts]


def made(cart: int, user: int, *paths: str, second: int = 9, seen: int = 1) -> Trace:
    """Two carts and a user, each with an id of its own table, and what was asked last."""

    def step(label: int, path: str, ident: int, name: str = "") -> Step:
        event = Said(tag="made", version=1, data=json.dumps({name.partition("@")[0]: name}).encode()) if name else None
        asked = answer(json.dumps({"id": ident}), path=path)
        return Step(call=Call(label=label, tag="do"), interactions=(asked,), event=event)

    first = step(0, "/carts", cart, "cart@0"), step(1, "/users", user, "user@1"), step(2, "/carts", second, "cart@2")
    steps = (*first, *(step(number, path, seen) for number, path in enumerate(paths, 3)))
    return Trace(steps=steps, ending="passed")


def test_an_id_that_two_things_have_hides_no_other():
    """What was cart 0 and is cart 2 now is told, although a user had the one id and has the other."""
    before = made(1, 1, "/mine", "/mycart", second=2)
    right, wrong = made(1, 2, "/mine", "/mycart", second=2), made(1, 2, "/mine", "/mycart", second=2, seen=2)

    assert [] == contrast(before, right).drifts
    assert [("3", "cart@0 or user@1", "cart@2 or user@1"), ("4", "cart@0", "cart@2")] == [
        (str(each.step), each.before, each.after) for each in contrast(before, wrong).drifts
    ]


def test_an_id_that_two_things_had_is_no_change_of_a_path():
    """A request that names what it named is the same one, whatever else had that id."""
    assert [] == contrast(made(1, 1, "/x/1", "/carts/1"), made(1, 2, "/x/1", "/carts/1")).drifts
    other = contrast(made(1, 1, "/x/1", "/carts/1"), made(2, 1, "/x/1", "/carts/1"))
    assert [4] == [each.step for each in other.drifts if each.place == "request"]


def test_a_rule_for_many_rows_does_not_take_long():
    """What the model saw of a step is read once, and not for each value that a rule matches."""
    rows = [{"id": f"row{number}", "at": f"2026-01-01T10:00:00.{number:06d}"} for number in range(5000)]
    state = json.dumps({"rows": {each["id"]: number for number, each in enumerate(rows)}}).encode()
    [step] = trace(answer(json.dumps({"rows": rows}))).steps
    one = Trace(steps=(step.replace(state=state),), ending="passed")
    before = time.process_time()
    found = contrast(one, one, [Rule(place="$.rows[*].at", type="time")], whole=True)

    assert 5000 == found.matched[0]
    assert time.process_time() - before < 2


def test_the_step_that_failed_is_not_compared():
    """A service that is repaired answers otherwise where the bug was, and is not blamed for that."""
    failure = Failure(kind="check", name="c", step=1, command="do", message="")
    before = trace(answer('{"a": 1}'), answer('{"a": 1}'), failure=failure, ending="failed")
    after = trace(answer('{"a": 1}'), answer('{"a": 2}'))

    assert [] == contrast(before, after).drifts
    assert ["$.a"] == [each.place for each in contrast(before, after, whole=True).drifts]


def test_branches_are_not_compared():
    """What is sent at the same time is answered in any order, so nothing there is a difference."""

    def racing(body: str) -> Trace:
        return Trace(
            steps=(Step(call=Call(label=0, tag="do", branch=1), interactions=(answer(body),)),), ending="passed"
        )

    assert [] == contrast(racing("1"), racing("2")).drifts


def test_requests_more_or_less_are_told():
    """A command that sends more or fewer requests than it did is a difference."""
    one = Trace(steps=(Step(call=Call(label=0, tag="do"), interactions=(answer(),)),), ending="passed")
    two = Trace(steps=(Step(call=Call(label=0, tag="do"), interactions=(answer(), answer())),), ending="passed")

    assert ["added request"] == [f"{each.tier} {each.place}" for each in contrast(one, two).drifts]
    assert ["removed request"] == [f"{each.tier} {each.place}" for each in contrast(two, one).drifts]


def test_events_that_came_instead_are_told():
    """Another event than the recorded one is one that is gone, and one that is there."""

    def said(tag: str) -> Trace:
        event = Said(tag=tag, version=1, data=b"{}")
        return Trace(steps=(Step(call=Call(label=0, tag="do"), event=event),), ending="passed")

    assert ["removed event done", "added event refused"] == [
        f"{each.tier} {each.what}" for each in contrast(said("done"), said("refused")).drifts
    ]


def test_an_order_that_the_model_sees_is_no_noise():
    """A list whose order went into an observation can't be called unordered."""
    seen = Said(tag="board", version=1, data=b'{"rows": [["a", 1], ["b", 2]]}')
    looked = answer('[{"name": "a"}, {"name": "b"}]')
    step = Step(call=Call(label=0, tag="do"), observing=(looked,), observations=(seen,))
    one = Trace(steps=(step,), ending="passed")

    with pytest.raises(NoiseError, match=r"in the same order at \$\.rows"):
        contrast(one, one, [Rule(place="$", type="unordered", key="name")])


# --- the gate


def test_drift_is_told_in_lines_that_stay_lines():
    """At most so many lines are told, and what a service says breaks none of them."""
    before, after = trace(answer('{"a": "x"}', headers=())), trace(answer('["\\u001b[2J"]', headers=()))
    lines = told(contrast(before, after).drifts)
    many = contrast(trace(answer(str(list(range(30))))), trace(answer(str(list(range(1, 31)))))).drifts

    assert len(lines) == 1
    assert "\n" not in lines[0]
    assert "and 10 more" == told(many)[-1]
    assert "answers differ from the recorded ones in 30 places (30 changed)" == reason(many)


def test_tiers_are_read_in_any_order():
    """Tiers are words with commas between them; added is none of the usual ones."""
    assert ("added", "type") == tiers_of("type, added") == tiers_of(["type", "added"])
    assert () == tiers_of(())
    assert "added" not in DEFAULT


@pytest.mark.parametrize("said", ["chnged", "changed,chnged", ("chnged",), ("changed", "c"), ("changed,removed",)])
def test_what_is_no_tier_is_told(said: str | tuple[str, ...]):
    """A word that is none of them would let all drift pass."""
    with pytest.raises(UsageError, match="is no tier of drift"):
        tiers_of(said)


def test_the_noise_rules_are_those_of_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Rules stand in pyproject.toml; what is wrong with one is told with its number."""
    from replaykit.gate import rules_here

    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[[tool.replaykit.noise]]\nplace = "$.a"\ntype = "any"\n')

    assert (Rule(place="$.a", type="any"),) == rules_here()

    (tmp_path / "pyproject.toml").write_text('[[tool.replaykit.noise]]\nplace = "$"\ntype = "any"\n')
    with pytest.raises(NoiseError, match=r"rule 1 in .*pyproject\.toml"):
        rules_here()
