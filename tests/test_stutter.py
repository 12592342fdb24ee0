"""Stutter: what is sent again, and what may not come of it."""

from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import pytest
from vault import Add, Added, Box, Make, Service, SilentVault, Vault, VaultApi, played, run

from replaykit import Command, Event, Mock, Model, Ref, Verdict, expects, handles, integration, on, replay
from replaykit.adapter import Adapters
from replaykit.bundle import Provenance
from replaykit.errors import DefinitionError, UsageError
from replaykit.generate import Generated
from replaykit.reader import read
from replaykit.run import execute
from replaykit.sequence import Call, Sequence, said_once
from replaykit.writer import save

ONCE: Sequence = (
    Call(label=0, tag="make"),
    Call(label=1, tag="add", args={"box": "box@0", "number": 5, "key": "{key~1}"}),
)
AGAIN: Sequence = (*ONCE, Call(label=2, tag="add", repeats=1))
TWICE: Sequence = (ONCE[0], ONCE[1].replace(twice=True))


def drawn(model: type[Model], seed: int, stutter: float) -> Sequence:
    """Draw a sequence against a service without a bug."""
    with Service() as service:
        adapters = Adapters(model, VaultApi, service.url, {})
        calls = Generated(model, seed, 40, stutter=stutter)
        trace = execute(model, adapters.new(), calls)
        adapters.close()
    assert "passed" == trace.ending, trace.failure
    return tuple(calls.drawn)


# --- what is sent -------------------------------------------------------------------------------


def test_a_repetition_sends_the_same_arguments_with_the_same_key():
    """The second request is the first one again, byte for byte, and the state does not change."""
    with Service() as service:
        trace = run(service, AGAIN)
    first, again = (step.interactions[0].request for step in trace.steps[1:])

    assert "passed" == trace.ending
    assert (first.method, first.url, first.body) == (again.method, again.url, again.body)
    assert trace.steps[1].state == trace.steps[2].state


def test_what_is_sent_twice_is_under_way_at_the_same_time():
    """Both requests are in the step, and so are both answers."""
    with Service() as service:
        trace = run(service, TWICE)
    step = trace.steps[1]

    assert "passed" == trace.ending, trace.failure
    assert 2 == len(step.interactions)
    assert step.interactions[0].request.body == step.interactions[1].request.body
    assert step.event == step.again


# --- what is judged -----------------------------------------------------------------------------


def test_a_repetition_that_is_done_once_more_is_an_idempotency_failure():
    """The second answer has another number than the first; the message has both."""
    with Service("key", "forgotten") as service:
        failure = run(service, AGAIN).failure

    assert ("idempotency", "repeated", 2, "add") == (failure.kind, failure.name, failure.step, failure.command)
    assert "now=10" in failure.message
    assert "the first time Added(box=<box@0>, number=5, now=5)" in failure.message


def test_a_repetition_whose_answer_looks_right_is_seen_by_the_checks():
    """A service that answers the same and does it again is found by what is read afterwards."""

    class Blind(VaultApi):
        @handles
        def add(self, cmd: Add) -> Added:
            return super().add(cmd).replace(now=0)

    with Service("key", "forgotten") as service:
        failure = run(service, AGAIN, SilentVault, Blind).failure

    assert ("idempotency", "numbers_match", 2) == (failure.kind, failure.name, failure.step)


def test_a_key_that_is_looked_up_too_early_shows_when_sent_twice_at_the_same_time():
    """Both requests find no key, and both are done; one after the other, the second is not."""
    with Service("key") as service:
        assert "passed" == run(service, AGAIN).ending
        failures = [run(service, TWICE).failure for _ in range(5)]

    assert sum(failure is not None for failure in failures) >= 4
    assert {("idempotency", "repeated", 1)} == {(each.kind, each.name, each.step) for each in failures if each}


class Busy(Event):
    pass


def test_a_service_that_answers_the_second_of_two_with_a_conflict_is_right():
    """An answer that changes nothing is fine for one of two that are under way at the same time."""

    class Conflicting(VaultApi):
        asked: ClassVar[Counter[str]] = Counter()

        @handles
        def add(self, cmd: Add) -> Added | Busy:
            self.asked[cmd.key] += 1
            return super().add(cmd) if self.asked[cmd.key] == 1 else Busy()

    with Service() as service:
        traces = [run(service, TWICE, adapter=Conflicting) for _ in range(3)]

    assert {"passed"} == {trace.ending for trace in traces}, traces[0].failure
    assert {("added", "busy")} == {(trace.steps[1].event.tag, trace.steps[1].again.tag) for trace in traces}


def test_a_command_without_an_effect_is_not_repeated():
    """What was refused, or is not there, has no repetition: the sequence is stale."""
    with Service() as service:
        missing = run(service, (ONCE[0], Call(label=2, tag="add", repeats=1)))
        plain = run(service, (ONCE[0], Call(label=2, tag="make", repeats=0)))

    assert ("stale", "step 2: there is nothing to repeat; step 1 had no effect") == (missing.ending, missing.reason)
    assert "stale" == plain.ending  # make is not idempotent


class Empty(Command, idempotent="at once"):
    box: Ref[Box]


class Emptied(Event):
    box: Ref[Box]


class Nothing(Event):
    pass


class Emptier(Vault):
    """Boxes can be emptied, which is done at once or never again."""

    commands: ClassVar = (Make, Add, Empty)

    @expects
    def empty(self, cmd: Empty) -> Emptied | Event:
        return Emptied(box=cmd.box) if self.boxes[cmd.box].number else Nothing()

    @on
    def emptied(self, event: Emptied) -> None:
        self.boxes[event.box].number = 0


class EmptierApi(VaultApi):
    @handles
    def empty(self, cmd: Empty) -> Emptied | Nothing:
        now = self.observe_now(cmd.box)
        self.http.post(f"/boxes/{cmd.box.id}/add", json={"number": -now})
        return Emptied(box=cmd.box) if now else Nothing()

    def observe_now(self, box: Ref[Box]) -> int:
        """Look into a box."""
        return int(self.http.get("/boxes").json()["boxes"][box.id])


class Odd(Event):
    pass


def test_what_is_idempotent_by_nature_may_say_that_nothing_is_left_to_do():
    """The second emptying is answered as the model expects it of an empty box; another answer is a failure."""

    class Wrong(EmptierApi):
        @handles
        def empty(self, cmd: Empty) -> Emptied | Odd:
            said = super().empty(cmd)
            return Odd() if isinstance(said, Nothing) else said

    sequence = (*ONCE, Call(label=2, tag="empty", args={"box": "box@0"}), Call(label=3, tag="empty", repeats=2))
    with Service() as service:
        right = run(service, sequence, Emptier, EmptierApi)
        wrong = run(service, sequence, Emptier, Wrong)

    assert "passed" == right.ending, right.failure
    assert ("idempotency", "repeated", 3) == (wrong.failure.kind, wrong.failure.name, wrong.failure.step)


def test_a_bad_word_for_idempotent_is_told_at_once():
    """Only True, False and "at once" say something."""
    with pytest.raises(DefinitionError, match="idempotent='later'"):

        class Later(Command, idempotent="later"):
            pass


# --- generating ---------------------------------------------------------------------------------


def test_all_ways_of_repeating_are_drawn_and_only_of_what_is_idempotent():
    """At once, up to five steps later, and twice at the same time; the seed says which."""
    sequences = [drawn(Vault, seed, 0.5) for seed in range(6)]
    delays = Counter(
        call.label - call.repeats for sequence in sequences for call in sequence if call.repeats is not None
    )

    assert sequences == [drawn(Vault, seed, 0.5) for seed in range(6)]
    assert delays[1] > 0
    assert max(delays) > 1
    assert any(call.twice for sequence in sequences for call in sequence)
    assert {"add"} == {call.tag for each in sequences for call in each if call.twice or call.repeats is not None}


def test_without_stutter_nothing_is_repeated():
    """A probability of 0 draws what was always drawn."""
    assert not any(call.twice or call.repeats is not None for call in drawn(Vault, 1, 0.0))


def test_stutter_needs_a_command_that_may_be_sent_again():
    """A model without one is told how to say so; a probability is a number from 0 to 1."""

    class Plain(Vault):
        commands: ClassVar = (Make,)

    options: dict[str, Any] = {"adapter": VaultApi, "base_url": "http://127.0.0.1:1"}
    with pytest.raises(DefinitionError, match="no command that may be sent again"):
        integration.run(model=Plain, stutter=0.5, **options)
    with pytest.raises(UsageError, match="probability"):
        integration.run(model=Vault, stutter=1.5, **options)


# --- campaigns, bundles and replays -------------------------------------------------------------


@pytest.mark.parametrize(
    ("races", "shape"), [(("key", "forgotten"), ["once", "once", "again"]), (("key",), ["once", "twice"])]
)
def test_a_bug_of_repetitions_is_found_shrunk_saved_and_replayed(
    races: tuple[str, ...], shape: list[str], tmp_path: Path
):
    """Three commands are left of what is done again, two of what is done twice; live and offline it reproduces."""
    with Service(*races) as service, Service() as fixed:
        result = integration.run(
            model=Vault, adapter=VaultApi, base_url=service.url, seed=3, max_runs=20, max_commands=30, stutter=0.5,
            stop_on_fail=True, save_failures=tmp_path,
        )  # fmt: skip
        [path] = tmp_path.glob("*.pd")
        bundle = read(path)
        live = replay(bundle, model=Vault, adapter=VaultApi, url=service.url)
        gone = replay(bundle, model=Vault, adapter=VaultApi, url=fixed.url)
        offline = replay(bundle, model=Vault, adapter=VaultApi, offline=True)
    shapes = [
        "again" if call.repeats is not None else "twice" if call.twice else "once" for call in bundle.trace.sequence
    ]

    assert 1 == result.exit_code
    assert "idempotency" == bundle.failure.kind
    assert shape == shapes
    assert Verdict.REPRODUCED == live.verdict, live.reason
    assert Verdict.REPRODUCED == offline.verdict, offline.reason
    assert Verdict.FIXED == gone.verdict, gone.reason


def test_a_step_that_was_sent_twice_is_written_and_read_as_it_was(tmp_path: Path):
    """Both answers and what is repeated survive the file."""
    with Service() as service:
        trace = run(service, (*TWICE, Call(label=5, tag="add", repeats=1)))
    path = tmp_path / "twice.pd"
    facts = Provenance(model="a:B", adapter="a:C", model_digest="0", campaign_seed=1, run=0, seed=1, commands=2)
    save(path, facts, trace)
    again = read(path).trace

    assert trace.sequence == again.sequence
    assert [step.event for step in trace.steps] == [step.event for step in again.steps]
    assert [None, trace.steps[1].again, None] == [step.again for step in again.steps]
    assert "passed" == played(again).ending


def test_a_bug_that_needs_no_repetition_is_found_without_one():
    """What fails also when everything is said once is that failure, and no failure of idempotency."""
    with Service() as service:
        service.most = 20
        result = integration.run(
            model=Vault, adapter=VaultApi, base_url=service.url, seed=1, max_runs=20, stutter=1.0, stop_on_fail=True
        )
    [finding] = result.failures

    assert ("expectation", "add") == (finding.failure.kind, finding.failure.name)
    assert finding.trace.sequence == said_once(finding.trace.sequence)


def test_a_run_of_the_model_against_itself_can_stutter():
    """What is repeated is answered as the first time."""
    result = integration.run(model=Vault, adapter=Mock, seed=1, max_runs=5, stutter=0.5)

    assert 5 == result.passed
