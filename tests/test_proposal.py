"""Proposals: what noise is proposed, what is refused, and that the rules which are proposed do what they say."""

import time
import tomllib

import pytest
from kiosk import PROVENANCE, SEQUENCE, Buying, BuyingApi, Kiosk, run

from replaykit import proposal
from replaykit.adapter import Adapters
from replaykit.bundle import Bundle, Shrinking
from replaykit.contrast import contrast
from replaykit.errors import StaleError, UnreachableError
from replaykit.interaction import Interaction, Request, Response
from replaykit.rule import Rule, rules_of
from replaykit.sequence import Call
from replaykit.trace import Said, Step, Trace
from replaykit.verdict import Failure

NOW = time.time()


def test_what_is_proposed_covers_what_differs():
    """Rules proposed from runs of one build, read from the TOML that is printed, leave nothing that differs."""
    with Kiosk() as kiosk:
        traces = [run(kiosk), run(kiosk)]
        proposed = proposal.propose(traces, now=time.time())
        rules = rules_of(tomllib.loads(proposal.render(proposed))["tool"]["replaykit"]["noise"], "here")
        later = contrast(traces[0], run(kiosk), rules, now=time.time())

    assert () == proposed.refused
    assert [
        ("POST /carts", "$.created", "time"), ("POST /carts", "$.number", "number"),
        ("POST /carts", "$.trace", "pattern"), ("GET /carts", "$.took", "pattern"),
        ("GET /carts", "$.carts", "unordered"),
    ] == [(each.request, each.place, each.type) for each in rules]  # fmt: skip
    assert [] == later.drifts


def test_what_is_known_is_not_proposed_again():
    """What a rule of the project covers is no noise any more."""
    with Kiosk() as kiosk:
        traces = [run(kiosk), run(kiosk)]
    known = proposal.propose(traces, now=time.time()).rules

    assert "" == proposal.render(proposal.propose(traces, known, now=time.time()))


def trace(body: str, said: str | None = None, path: str = "/rows/1", status: int = 200) -> Trace:
    request = Request(method="GET", url=f"http://a{path}")
    response = Response(status=status, headers=(("content-type", "application/json"),), body=body.encode())
    event = None if said is None else Said(tag="seen", version=1, data=said.encode())
    call = Call(label=0, tag="look")
    interaction = Interaction(request=request, response=response)
    return Trace(steps=(Step(call=call, interactions=(interaction,), event=event),), ending="passed")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ('{"a": "00ff"}', '{"a": "beef"}', 'pattern = "[0-9a-f]{4}"'),
        ('{"a": [1, {"b": 1.5}]}', '{"a": [2, {"b": 2.5}]}', 'place = "$.a[*].b"'),
        ('{"a": "2020-01-01T00:00:00"}', '{"a": "2020-01-01T00:00:03"}', 'to = "recorded"'),
        ('["b", "a"]', '["a", "b"]', 'type = "unordered"'),
        ('[{"k": "b"}, {"k": "a"}]', '[{"k": "a"}, {"k": "b"}]', 'key = "k"'),
    ],
)
def test_the_narrowest_type_is_proposed(before: str, after: str, expected: str):
    """A form that stays is proposed as such, for all items of a list, and paths with numbers for all of their kind."""
    text = proposal.render(proposal.propose([trace(before), trace(after)], now=NOW))

    assert expected in text
    assert 'request = "GET /rows/*"' in text
    assert "refused" not in text


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        (trace('{"a": 1}'), trace("{}"), "it is there in one run and not in the other"),
        (trace('{"a": [1]}'), trace('{"a": [1, 2]}'), "a list is longer"),
        (trace('{"a": 1}'), trace('{"a": "1"}'), "its type is another one"),
        (trace('{"a": "yes"}'), trace('{"a": "no"}'), "no form that stays"),
        (trace("1"), trace("2"), "no rule can be that: it is too broad"),
        (trace("{}"), trace("{}", status=500), "another status"),
        (
            trace('{"a": 1}', '{"a": 1}'),
            trace('{"a": 2}', '{"a": 1}'),
            "the model predicts it: $.a, and the event seen has it at $.a",
        ),
        (trace("{}", '{"a": 1}'), trace("{}", '{"a": 2}'), "the model sees it"),
        (trace('{"it\'s": 1}'), trace('{"it\'s": 2}'), "no place in a JSON document"),
    ],
)
def test_what_may_be_no_noise_is_refused(before: Trace, after: Trace, why: str):
    """What is missing, longer, of another type, judged by the model or hard to name is refused, and that is said."""
    proposed = proposal.propose([before, after], now=NOW)

    assert () == proposed.rules
    assert [True] == [why in each.why for each in proposed.refused]
    assert proposal.render(proposed).startswith("# refused: ")


def test_what_a_service_says_stays_a_comment():
    """A line end in what is refused does not end the comment that it stands in."""
    proposed = proposal.propose([trace('{"a\\nb = 1": 1}'), trace("{}")], now=NOW)

    assert {} == tomllib.loads(proposal.render(proposed))


def test_runs_that_end_differently_teach_nothing():
    """Where the service is not as it was, or is not there, no rule is proposed."""
    bundle = Bundle(origin=PROVENANCE, trace=Trace(steps=tuple(Step(call=call) for call in SEQUENCE), ending="passed"))
    with Kiosk() as kiosk:
        adapters = Adapters(Buying, BuyingApi, kiosk.url, {})
        answer, asked = kiosk.answer, []

        def later(method: str, path: str, sent: dict) -> tuple[int, object]:
            asked.append(path)
            if asked.count("/reset") == 2:
                kiosk.changes = {"overcharged"}
            return answer(method, path, sent)

        kiosk.answer = later  # type: ignore[method-assign]
        with pytest.raises(StaleError, match="differently: passed after 4 steps, and failed with expectation add"):
            proposal.runs_of(bundle, adapters, 2)
        adapters.close()
    gone = Adapters(Buying, BuyingApi, kiosk.url, {})
    with pytest.raises(UnreachableError, match="ended as unreachable"):
        proposal.runs_of(bundle, gone, 2)
    gone.close()


def test_of_a_flaky_bug_runs_that_end_alike_are_compared(monkeypatch: pytest.MonkeyPatch):
    """A bug that is known to be flaky is run some more times, until as many as are asked for end alike."""
    shrinking = Shrinking(calls_before=4, executions=9, requests=9, seconds=1.0, confirmed=False, runs=10, failed=4)
    failure = Failure(kind="expectation", name="add", step=2, command="add", message="")
    asked = Trace(steps=tuple(Step(call=call) for call in SEQUENCE), ending="failed", failure=failure)
    bundle = Bundle(origin=PROVENANCE.replace(shrinking=shrinking), trace=asked)
    with Kiosk() as kiosk:
        answer, resets = kiosk.answer, []

        def now_and_then(method: str, path: str, sent: dict) -> tuple[int, object]:
            if path == "/reset":
                resets.append(path)
                kiosk.changes = {"overcharged"} if len(resets) % 3 == 1 else set()
            return answer(method, path, sent)

        kiosk.answer = now_and_then  # type: ignore[method-assign]
        adapters = Adapters(Buying, BuyingApi, kiosk.url, {})
        traces = proposal.runs_of(bundle, adapters, 2)
        with pytest.raises(StaleError, match=r"The bug is flaky, .*failed with .*, and passed after 4"):
            monkeypatch.setattr(proposal, "_MORE", 1)
            proposal.runs_of(bundle, adapters, 3)
        adapters.close()

    assert (["passed", "passed"], 4) == ([each.ending for each in traces], len(traces[0].steps))


def test_a_rule_that_is_there_is_not_proposed_again():
    """Where a rule of the project does not cover what one like it would be for, that is said."""
    traces = [trace(each) for each in ('{"of": {"a": 1, "b": 2}}', '{"of": {"a": 5, "b": 4}}')]
    proposed = proposal.propose(traces, [Rule(request="GET /**", place="$.of.*", type="number")], now=NOW)

    assert () == proposed.rules
    assert "a rule of the type number is there already" in proposed.refused[0].why


def test_runs_that_are_alike_propose_nothing():
    """Where nothing differs, there is neither a rule nor a refusal."""
    assert proposal.propose([trace("{}"), trace("{}")], now=NOW) == ((), ())
