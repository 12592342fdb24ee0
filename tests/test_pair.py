"""Pair: two bundles side by side."""

import json
from pathlib import Path

import jsonschema
import pytest
from kiosk import PROVENANCE, Kiosk, bundle, run
from test_contrast import NOISE

from replaykit import record
from replaykit.bundle import Bundle
from replaykit.pair import Pair, paired
from replaykit.reader import read
from replaykit.report import pair as report
from replaykit.sequence import Call
from replaykit.trace import Step, Trace
from replaykit.verdict import Failure

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"
FAILURE = Failure(kind="check", name="c", step=0, command="do", message="a is 1")


def side(*calls: Call, **more) -> Bundle:
    steps = tuple(Step(call=call, state=b'{"n": 1}') for call in calls)
    return Bundle(origin=PROVENANCE, trace=Trace(**{"steps": steps, "ending": "passed", **more}))


def pair(before: Bundle, after: Bundle, *rules) -> Pair:
    return paired(before, after, ("a.pd", "b.pd"), rules)


ONE, TWO = Call(label=0, tag="do", args={"a": 1}), Call(label=1, tag="undo")


def test_two_recordings_of_the_same_are_alike(tmp_path: Path):
    """New ids, minted names and noise are no difference; where bundles come from is told, and is none either."""
    with Kiosk() as kiosk:
        before, after = bundle(kiosk, tmp_path / "a.pd"), bundle(kiosk, tmp_path / "b.pd")
    after = after.replace(origin=PROVENANCE.replace(seed=2))
    found = pair(before, after, *NOISE)

    assert found.alike
    assert [("seed", "1", "2")] == [(each.name, each.before, each.after) for each in found.provenance][:1]
    assert "the same calls, answers, events, states and failure" == report.conclusion(found)
    assert not pair(before, after).alike


def test_what_came_of_a_call_is_compared(tmp_path: Path):
    """Answers, events and states of the calls that both have are held against each other."""
    with Kiosk() as kiosk:
        before = bundle(kiosk, tmp_path / "a.pd")
        kiosk.changes = {"mixed-up"}
        after = Bundle(origin=PROVENANCE, trace=run(kiosk))
    text = report.render(pair(before, after, *NOISE))

    assert (
        "answers, events, observations:\n  [ 2] changed  POST /carts/<cart@1>/items  $.cart: cart@1 -> cart@0" in text
    )


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (side(ONE), side(ONE, TWO), "  + [ 1] undo()"),
        (side(ONE, TWO), side(TWO), "  - [ 0] do(a=1)"),
        (side(ONE), side(ONE.replace(args={"a": True})), "  ~ [ 0] do(a=1) -> do(a=true)"),
        (side(ONE), side(ONE.replace(twice=True)), "  ~ [ 0] do(a=1) -> do(a=1) twice at the same time"),
        (side(ONE), side(TWO.replace(label=0)), "  - [ 0] do(a=1)\n  + [ 0] undo()"),
        (side(ONE, TWO), side(TWO, ONE), "  calls that both have stand in another order"),
        (side(ONE), side(ONE, ending="failed", failure=FAILURE), "  ending: passed -> failed\n  failure: nothing -> "),
        (
            side(ONE, ending="failed", failure=FAILURE),
            side(ONE, ending="failed", failure=FAILURE.replace(message="a is 2")),
            "failure, the same fingerprint: check c at step 0 (",
        ),
    ],
)
def test_calls_and_endings_are_told(before: Bundle, after: Bundle, expected: str):
    """Calls that are in one bundle alone or say something else, their order, and how the runs ended are told."""
    found = pair(before, after)

    assert not found.alike
    assert expected in report.render(found)


def test_minted_names_in_failures_are_no_difference():
    """What minting makes unique to a run may stand in a failure's message."""
    before, after = (
        side(ONE, nonce=each, ending="failed", failure=FAILURE.replace(message=f"owner-{each}-1 is there twice"))
        for each in ("aaaa", "bbbb")
    )

    assert pair(before, after).alike


def test_states_are_compared():
    """Another projection after a call is a difference of its own."""
    after = side(ONE)
    [step] = after.trace.steps
    after = after.replace(trace=after.trace.replace(steps=(step.replace(state=b'{"n": 2}'),)))

    assert "states:\n  [ 0] changed  state  $.n: 1 -> 2" in report.render(pair(side(ONE), after))


def test_recordings_without_a_model_are_compared_too(tmp_path: Path):
    """What was sent without a model is compared one request after the other."""
    with Kiosk() as kiosk:
        for name, changes in (("a.pd", set()), ("b.pd", {"dollars"})):
            kiosk.changes = changes
            with record(tmp_path / name, base_url=kiosk.url) as client:
                kiosk.carts = {"1": {"id": "1", "total": 0}}
                client.post("/carts/1/items", json={"amount": 1})
    found = pair(read(tmp_path / "a.pd"), read(tmp_path / "b.pd"))

    assert [("$.unit", '"EUR"', '"USD"')] == [(each.place, each.before, each.after) for each in found.steps]


def test_long_parts_are_cut_unless_all_is_asked_for():
    """Twenty lines of each part are shown, and how many there are more."""
    found = pair(side(), side(*(Call(label=number, tag="do") for number in range(25))))

    assert "  and 5 more: --all" in report.render(found)
    assert report.render(found, whole=True).endswith("+ [24] do()")


def test_the_document_is_as_its_schema_says():
    """The JSON document holds against the schema that is published, and that is the one of the code."""
    schema = (REFERENCE / "diff.schema.json").read_text(encoding="utf-8")
    found = pair(side(ONE), side(TWO, ending="failed", failure=FAILURE))

    assert report.schema() == schema
    jsonschema.validate(json.loads(report.as_json(found)), json.loads(schema))
