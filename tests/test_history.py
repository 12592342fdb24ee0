"""Branches: calls that are sent at the same time, to a real service, and the order that explains what they saw."""

import os
import signal
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
from vault import (
    Add,
    Added,
    Box,
    Boxes,
    Full,
    Made,
    Make,
    PatientVault,
    Service,
    SilentVault,
    SmallVault,
    Vault,
    VaultApi,
    played,
    run,
)

from replaykit import (
    Failure,
    Mock,
    Model,
    Ref,
    Verdict,
    check,
    eventually,
    handles,
    integration,
    observes,
    on,
    replay,
    same,
)
from replaykit.adapter import Adapters
from replaykit.bundle import Bundle, Provenance
from replaykit.canonical import canonical
from replaykit.errors import UsageError
from replaykit.generate import Generated, Parallel
from replaykit.history import Branch, Look, Sent, explain
from replaykit.reader import read
from replaykit.result import Result
from replaykit.run import execute
from replaykit.sequence import MAX_BRANCHES, Call, Sequence, branches_of, one_by_one, renumbered
from replaykit.source import derive
from replaykit.trace import Trace
from replaykit.value import loads
from replaykit.writer import save

PROVENANCE = Provenance(model="a:B", adapter="a:C", model_digest="0", campaign_seed=1, run=0, seed=1, commands=2)
TWICE_FIVE: Sequence = (
    Call(label=0, tag="make"),
    Call(label=1, tag="add", args={"box": "box@0", "number": 5, "key": "a"}, branch=1),
    Call(label=2, tag="add", args={"box": "box@0", "number": 5, "key": "b"}, branch=2),
)


def runs(service: Service, sequence: Sequence, model: type[Model] = Vault, count: int = 10) -> list[Trace]:
    """Run a sequence several times."""
    return [run(service, sequence, model) for _ in range(count)]


def add(label: int, branch: int, box: str = "box@0", key: str | None = None) -> Call:
    """Write a call that adds to a box."""
    return Call(label=label, tag="add", args={"box": box, "number": 1, "key": key or str(label)}, branch=branch)


class PatientlyAtTheEnd(PatientVault):
    """Looks at the end alone."""

    @eventually(within=0.3, every=0.02, at="end")
    def numbers_match(self, seen: Boxes) -> None:
        same(seen.numbers, {ref: box.number for ref, box in self.boxes.items()})


# --- sequences ----------------------------------------------------------------------------------


def test_branches_are_numbered_from_1_and_a_single_one_is_none():
    """What is left of branches 2 and 3 are 1 and 2; what is left of one is part of the prefix."""
    two = renumbered((Call(label=0, tag="make"), add(1, 2), add(2, 3), add(3, 3)))

    assert [0, 1, 2, 2] == [call.branch for call in two]
    assert [0, 0] == [call.branch for call in renumbered((Call(label=0, tag="make"), add(1, 2)))]
    assert [[1], [2, 3]] == [[call.label for call in branch] for branch in branches_of(two)]
    assert () == branches_of(one_by_one(two))


# --- sending ------------------------------------------------------------------------------------


def test_branches_overlap_in_time():
    """Two calls of 10 ms each, in two branches, are under way at the same time; their times are taken down."""
    with Service("add") as service:
        steps = [run(service, TWICE_FIVE).steps for _ in range(5)]
    overlapping = sum(max(one.called, other.called) < min(one.returned, other.returned) for _, one, other in steps)

    assert overlapping >= 4
    assert all(step.called is not None and step.returned is not None for each in steps for step in each[1:])
    assert all(each[0].called is None for each in steps)


def test_without_a_race_some_order_explains_what_branches_see():
    """A hundred runs of drawn branches on a service that locks find nothing, and none of them is undecided."""
    with Service() as service:
        adapters = Adapters(Vault, VaultApi, service.url, {})
        endings = []
        for seed in range(100):
            trace = execute(Vault, adapters.new(), Generated(Vault, derive(seed, 0), 10, Parallel(3, 3)))
            endings.append(trace.ending)
        adapters.close()

    assert ["passed"] * 100 == endings


def test_a_lost_update_is_a_linearization_failure():
    """Two additions that both start from 0 are explained by no order, whichever is tried."""
    with Service("add") as service:
        failures = [trace.failure for trace in runs(service, TWICE_FIVE) if trace.failure is not None]

    assert len(failures) >= 3
    assert {("linearization", "linearizable", None, None)} == {
        (failure.kind, failure.name, failure.step, failure.command) for failure in failures
    }
    assert "no order explains what 2 branches saw" in failures[0].message
    assert (
        "expected Added(box=<box@0>, number=5, now=10), got Added(box=<box@0>, number=5, now=5)" in failures[0].message
    )


def test_what_only_the_checks_see_at_the_end_is_judged_too():
    """Where the model says nothing of the answers, no order of them leads to the number in the box."""
    with Service("add") as service:
        messages = {trace.failure.message for trace in runs(service, TWICE_FIVE, SilentVault) if trace.failure}

    assert messages
    assert all("at the end: numbers_match:" in message for message in messages)


def test_a_check_that_may_take_its_time_is_looked_at_again():
    """What settles within the time that @eventually gives is explained by the later look, and else by none."""
    with Service() as service:
        service.late = 5
        settled = run(service, TWICE_FIVE[:1] + TWICE_FIVE[1:], PatientVault)
        service.late = 10_000
        stuck = run(service, one_by_one(TWICE_FIVE[:1]) + TWICE_FIVE[1:], PatientlyAtTheEnd)

    assert "passed" == settled.ending, settled.failure
    assert "linearization" == stuck.failure.kind
    assert len(stuck.closing) > 5
    assert "failed" == played(stuck, PatientlyAtTheEnd).ending


def test_a_branch_ends_where_an_answer_is_lost_and_both_outcomes_are_thought_of():
    """An addition without an answer happened or did not; both fit, and the run is not judged, since it is unknown."""
    sequence = (*TWICE_FIVE, add(3, 2))
    with Service() as service:
        service.lose = ["/boxes/0/add"]
        trace = run(service, sequence)
    lost = [step for step in trace.steps if step.event is None]

    assert "unknown" == trace.ending, trace.failure
    assert 1 == len(lost)
    assert lost[0].returned is None


def test_a_lost_answer_does_not_hide_what_no_order_explains():
    """Where neither outcome of the lost addition explains the rest, that is a failure."""

    class Wrong(VaultApi):
        @handles
        def add(self, cmd: Add) -> Added:
            said = super().add(cmd)
            return said.replace(now=77) if cmd.key == "c" else said

    sequence = (*TWICE_FIVE[:2], add(2, 2, key="c"))
    with Service() as service:
        service.lose = ["/boxes/0/add"]
        failures = [run(service, sequence, adapter=Wrong).failure for _ in range(4)]

    assert failures[0] is None or "linearization" == failures[0].kind  # it was the wrong one that was lost
    assert {"linearization"} == {failure.kind for failure in failures[1:]}


def test_a_branch_ends_where_what_it_needs_was_not_made():
    """A call that speaks of what its own branch was to make, and did not, is not sent, and is no failure."""
    sequence = (Call(label=0, tag="make", branch=1), add(1, 1, box="box@0"), Call(label=2, tag="make", branch=2))
    with Service() as service:
        service.room = 0
        trace = run(service, sequence, SmallVault)

    assert "passed" == trace.ending, trace.reason
    assert [0, 2] == [call.label for call in trace.sequence]
    assert "passed" == played(trace, SmallVault).ending


def test_a_server_error_in_a_branch_is_one_whatever_the_order():
    """A 5xx answer is a failure of the call that got it."""

    class Crashing(VaultApi):
        @handles
        def add(self, cmd: Add) -> Added:
            self.http.post("/crash")
            return super().add(cmd)

    with Service() as service:
        failure = run(service, TWICE_FIVE, adapter=Crashing).failure

    assert ("server_error", "add") == (failure.kind, failure.command)
    assert failure.step in {1, 2}


def test_a_handler_that_raises_in_a_branch_is_a_fault_of_the_test_code():
    """It is told with its traceback, as in a run of one call after the other."""

    class Broken(VaultApi):
        @handles
        def add(self, cmd: Add) -> Added:
            raise RuntimeError("broken")

    with Service() as service:
        failure = run(service, TWICE_FIVE, adapter=Broken).failure

    assert ("adapter", "add", "RuntimeError: broken") == (failure.kind, failure.name, failure.message)
    assert "raise RuntimeError" in failure.traceback


def test_a_model_that_can_not_say_what_should_be_leaves_the_history_undecided():
    """An order in which the model raises is no explanation, and no refutation either."""
    with Service() as service:
        trace = run(service, (Call(label=0, tag="make"), *(Call(label=n, tag="make", branch=n) for n in (1, 2, 3))))

    assert "undecided" == trace.ending
    assert "a precondition of [" in trace.reason


def test_too_many_branches_are_not_sent():
    """A file from a stranger may not start as many threads as it likes."""
    sequence = tuple(Call(label=n, tag="make", branch=n + 1) for n in range(MAX_BRANCHES + 1))
    with Service() as service:
        trace = run(service, sequence)
        threads = threading.active_count()

    assert "stale" == trace.ending
    assert threads < 20


# --- generating ---------------------------------------------------------------------------------


def drawn(service: Service, seed: int, parallel: Parallel) -> Sequence:
    """Draw a sequence with branches."""
    adapters = Adapters(Vault, VaultApi, service.url, {})
    calls = Generated(Vault, seed, 10, parallel)
    execute(Vault, adapters.new(), calls)
    adapters.close()
    return tuple(calls.drawn)


def test_branches_are_drawn_from_the_seed():
    """The same seed gives the same branches, of at most the length that was asked for."""
    with Service() as service:
        first = [drawn(service, seed, Parallel(3, 2)) for seed in range(10)]
        second = [drawn(service, seed, Parallel(3, 2)) for seed in range(10)]

    assert first == second
    assert {3} == {len(branches_of(sequence)) for sequence in first}
    assert all(len(branch) <= 2 for sequence in first for branch in branches_of(sequence))
    assert len({len(sequence) for sequence in first}) > 1


def test_a_call_of_a_branch_fits_in_every_order():
    """With at most three boxes, all branches together never make a fourth one."""
    with Service() as service:
        for seed in range(30):
            sequence = drawn(service, seed, Parallel(3, 3))

            assert sum(call.tag == "make" for call in sequence) <= 3


def test_a_branch_names_what_it_makes_itself_and_nothing_of_another_branch():
    """A ref in a branch is made before the branches, or earlier in the same one."""
    own = 0
    with Service() as service:
        for seed in range(30):
            sequence = drawn(service, seed, Parallel(2, 4))
            places = {call.label: call.branch for call in sequence}
            for call in sequence:
                assert all(places[label] in {0, call.branch} for label in call.needs)
                own += any(places[label] == call.branch != 0 for label in call.needs)

    assert own > 0


# --- campaigns, bundles and replays -------------------------------------------------------------


@pytest.fixture(scope="module")
def lost_update(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """Give the bundle of a race, as a campaign has found, shrunk and saved it."""
    folder = tmp_path_factory.mktemp("failures")
    with Service("add") as service:
        result = integration.run(
            model=Vault, adapter=VaultApi, base_url=service.url, seed=1, max_runs=20, max_commands=10,
            parallel=Parallel(3, 3), stop_on_fail=True, save_failures=folder,
        )  # fmt: skip
    [path] = folder.glob("*.pd")
    return path, result


def test_a_race_is_found_shrunk_and_said_to_be_flaky(lost_update: tuple[Path, Result]):
    """Of three branches and a prefix, one box and two additions at the same time are left, with their rate."""
    path, result = lost_update
    bundle = read(path)
    [finding] = result.failures

    assert "linearizable-6d7a767f.pd" == path.name
    assert ["make", "add", "add"] == [call.tag for call in bundle.trace.sequence]
    assert [0, 1, 2] == [call.branch for call in bundle.trace.sequence]
    assert 10 == bundle.provenance.shrinking.runs == finding.shrunk.runs
    assert 2 <= bundle.provenance.shrinking.failed <= 10
    assert "linearization" == bundle.failure.kind


def test_a_bundle_of_a_race_holds_the_times_and_is_judged_again_offline(lost_update: tuple[Path, Result]):
    """The recorded history is judged as when it was recorded, without a service; in other times it is explained."""
    bundle = read(lost_update[0])
    offline = replay(bundle, model=Vault, adapter=VaultApi, offline=True)
    trace = bundle.trace
    apart = [
        step if step.called is None else step.replace(called=float(index), returned=index + 0.5)
        for index, step in enumerate(trace.steps)
    ]

    assert (Verdict.REPRODUCED, 1, 1) == (offline.verdict, offline.attempts, offline.failed)
    assert bundle.failure.message in offline.reason
    assert offline.trace.moments == trace.moments
    assert "failed" == played(trace.replace(steps=tuple(apart))).ending


def test_a_race_is_replayed_in_several_attempts(lost_update: tuple[Path, Result]):
    """It reproduces k of n times where the race is, and is fixed where it never does."""
    bundle = read(lost_update[0])
    with Service("add") as racy, Service() as fixed:
        there = replay(bundle, model=Vault, adapter=VaultApi, url=racy.url)
        gone = replay(bundle, model=Vault, adapter=VaultApi, url=fixed.url)
        once = replay(bundle, model=Vault, adapter=VaultApi, url=fixed.url, times=1)
    known = bundle.provenance.shrinking

    assert Verdict.REPRODUCED == there.verdict
    assert 1 <= there.failed <= there.attempts
    assert there.attempts >= 10
    assert (Verdict.FIXED, 0) == (gone.verdict, gone.failed)
    assert known is not None
    assert (1, Verdict.UNDECIDED) == (once.attempts, once.verdict)
    assert f"it showed in {known.failed} of {known.runs} runs" in once.reason


def test_a_bundle_of_a_race_is_written_and_read_as_it_was(lost_update: tuple[Path, Result], tmp_path: Path):
    """Branches, times and answers survive the file."""
    trace = lost_update[1].failures[0].trace
    again = tmp_path / "again.pd"
    save(again, read(lost_update[0]).provenance, trace, partial(canonical, services=[]))

    assert read(lost_update[0]).trace == read(again).trace
    assert lost_update[0].read_bytes() == again.read_bytes()


def test_a_bundle_without_the_times_is_stale_offline(lost_update: tuple[Path, Result]):
    """Who was first can't be judged then."""
    trace = read(lost_update[0]).trace
    steps = tuple(step.replace(called=None, returned=None) for step in trace.steps)

    assert "stale" == played(trace.replace(steps=steps)).ending


def test_a_bug_that_needs_no_race_is_found_without_branches():
    """What fails also one after the other is that failure, and no race."""
    with Service() as service:
        service.most = 20
        result = integration.run(
            model=Vault, adapter=VaultApi, base_url=service.url, seed=2, max_runs=30, max_commands=6,
            parallel=Parallel(3, 3), stop_on_fail=True,
        )  # fmt: skip
    [finding] = result.failures

    assert ("expectation", "add") == (finding.failure.kind, finding.failure.name)
    assert () == branches_of(finding.trace.sequence)


@pytest.mark.parametrize(
    ("parallel", "repeat"), [(Parallel(1, 3), 10), (Parallel(3, 0), 10), (Parallel(2, 2), 0), (Parallel(65, 1), 1)]
)
def test_numbers_of_branches_that_can_not_be_are_refused(parallel: Parallel, repeat: int):
    """One branch, no calls, no repetition, or too many threads are mistakes of the caller."""
    with pytest.raises(UsageError):
        integration.run(model=Vault, adapter=VaultApi, base_url="http://127.0.0.1:1", parallel=parallel, repeat=repeat)


# --- what may not be judged ---------------------------------------------------------------------


class Settling(PatientVault):
    """Looks at the end for what takes its time, and then at what does not."""

    @eventually(within=5.0, every=0.02, at="end")
    def numbers_match(self, seen: Boxes) -> None:
        same(seen.numbers, {ref: box.number for ref, box in self.boxes.items()})

    @check(at="end")
    def and_so_they_are(self, seen: Boxes) -> None:
        self.numbers_match(seen)


def test_a_check_after_a_patient_one_waits_as_well():
    """What is looked at after something that may take its time is read when that has settled."""
    with Service() as service:
        service.late = 4
        trace = run(service, TWICE_FIVE, Settling)

    assert "passed" == trace.ending, trace.failure


class Bag(SilentVault):
    """Remembers numbers in a set, and in a dict whose order differs from order to order."""

    seen: set[int] = set()  # noqa: RUF012
    last: dict[int, int] = {}  # noqa: RUF012

    @on
    def added(self, event: Added) -> None:
        super().added(event)
        self.seen.add(event.number)
        self.last.pop(event.number, None)
        self.last[event.number] = 0

    @check(at="end")
    def nothing_is_right(self, seen: Boxes) -> None:
        assert not self.boxes


def test_the_order_of_dicts_and_sets_makes_no_other_state():
    """Operations that commute are judged in as many steps as there are sets of them, not orders."""
    state, box = Bag(), Ref[Box]("box@0", 0)
    state.apply(Made(box=box))
    history = []
    for number in (1, 2, 3):
        branch = Branch(Mock(Bag), state, None, ())
        for place in range(4):
            command = Add(box=box, number=number * 10 + place, key="a")
            call = Call(label=number * 10 + place, tag="add", branch=number)
            event = Added(box=box, number=command.number, now=0)
            branch.sent.append(Sent(call, command, place * 1e-6, 1 + place * 1e-6, event))
        history.append(branch)
    found = explain(Branch(Mock(Bag), state, None, ()), history, [Look("nothing_is_right", Boxes(numbers={}))])

    assert "refuted" == found.answer, found.reasons
    assert found.steps < 1000


def test_what_is_read_after_a_lost_answer_refutes_nothing():
    """A request without an answer may be done between two requests that read; so the run is unknown."""

    class Misreading(VaultApi):
        looks = 0

        @observes
        def all(self) -> Boxes:
            self.looks += 1
            return super().all() if self.looks == 1 else super().all().replace(numbers={})

    with Service() as service:
        service.lose = ["/boxes/0/add"]
        trace = run(service, TWICE_FIVE, adapter=Misreading)

    assert ("unknown", None) == (trace.ending, trace.failure)


def test_a_replay_that_does_not_send_all_calls_is_stale():
    """A call that could not be sent was not judged, so nothing is fixed; nor is a single branch a race."""
    make = Call(label=0, tag="make", branch=1)
    sequence = (make, add(1, 1), Call(label=2, tag="make", branch=2))
    with Service() as service:
        whole = run(service, sequence, SmallVault)
        failing = whole.replace(ending="failed", failure=Failure(
            kind="linearization", name="linearizable", step=None, command=None, message="-",
        ))  # fmt: skip
        bundle = Bundle(origin=PROVENANCE, trace=failing)
        all_sent = replay(bundle, model=SmallVault, adapter=VaultApi, url=service.url)
        service.room = 0
        not_all = replay(bundle, model=SmallVault, adapter=VaultApi, url=service.url)
        single = run(service, sequence[:2], SmallVault)

    assert Verdict.FIXED == all_sent.verdict, all_sent.reason
    assert Verdict.STALE == not_all.verdict, not_all.reason
    assert "stale" == single.ending


def test_a_repetition_that_does_not_fit_is_no_judgement():
    """Where the service may refuse by chance, a drawn sequence that can't be sent again is left at that."""

    class Chancy(VaultApi):
        turns: ClassVar[Counter[str]] = Counter()

        @handles
        def make(self, cmd: Make) -> Made | Full:
            self.turns["make"] += 1
            return Full() if self.turns["make"] % 3 == 0 else super().make(cmd)

    with Service() as service:
        result = integration.run(
            model=SmallVault, adapter=Chancy, base_url=service.url, seed=1, max_runs=15, parallel=Parallel(2, 2)
        )

    assert (0, 15) == (result.exit_code, result.passed), result.trouble


def test_a_server_error_of_either_branch_is_the_same():
    """Which of two calls at the same time gets the 500 does not matter."""

    class Second(VaultApi):
        turns: ClassVar[Counter[str]] = Counter()

        @handles
        def add(self, cmd: Add) -> Added:
            self.turns["add"] += 1
            if self.turns["add"] % 2 == 0:
                self.http.post("/crash")
            return super().add(cmd)

    with Service() as service:
        traces = [run(service, TWICE_FIVE, adapter=Second) for _ in range(12)]
        bundle = Bundle(origin=PROVENANCE, trace=traces[0])
        options: dict[str, Any] = {"model": Vault, "adapter": Second, "url": service.url, "health_check": "/boxes"}
        verdicts = {replay(bundle, times=1, **options).verdict for _ in range(12)}

    assert {1, 2} == {trace.failure.step for trace in traces}
    assert {Verdict.REPRODUCED} == verdicts


def test_a_state_that_no_json_can_say_ends_no_search():
    """An event that a model folds into a NaN is no reason for a traceback."""

    class Odd(SilentVault):
        number: float = 0.0

        @on
        def added(self, event: Added) -> None:
            self.number = float("nan")

    with Service() as service:
        trace = run(service, TWICE_FIVE, Odd)

    assert trace.ending in {"passed", "failed"}


def test_an_adapter_with_threads_of_its_own_leaves_branches_undecided():
    """Nobody knows for which branch such a thread sends, so nothing is judged, and nothing is attributed wrongly."""

    class Helped(VaultApi):
        @handles
        def add(self, cmd: Add) -> Added:
            helper = threading.Thread(target=self.http.get, args=["/boxes"])
            helper.start()
            helper.join()
            return super().add(cmd)

    with Service() as service:
        trace = run(service, TWICE_FIVE, adapter=Helped)

    assert "undecided" == trace.ending
    assert "threads of its own" in trace.reason
    assert [1, 1] == [len(step.interactions) for step in trace.steps[1:]]


def test_what_two_branches_both_get_is_named_the_same_offline():
    """An id is named by the branch that was answered first, when it is recorded and when it is played."""

    class Sharing(VaultApi):
        @handles
        def make(self, cmd: Make) -> Made:
            self.http.post("/boxes/new")
            return Made(box=self.ref(Box, 0))

    sequence = (Call(label=1, tag="make", branch=1), Call(label=2, tag="make", branch=2))
    with Service() as service:
        traces = [run(service, sequence, Unchecked, Sharing) for _ in range(12)]

    names = {tuple(loads(step.event.data)["box"] for step in trace.steps) for trace in traces}
    for trace in traces:
        again = played(trace, Unchecked, Sharing)
        assert trace.ending == again.ending
        assert [step.event for step in trace.steps] == [step.event for step in again.steps]
    assert {("box@1", "box@1"), ("box@2", "box@2")} == names


class Unchecked(Vault):
    """Reads nothing."""

    @check
    def numbers_match(self) -> None:
        pass


@pytest.mark.parametrize("is_heard_here", [False, True])
def test_ctrl_c_ends_the_branches(is_heard_here: bool):
    """After an interruption nothing more is sent, whichever thread got the signal, and whatever is left to say."""
    turns = 2000

    class Talking(VaultApi):
        @handles
        def add(self, cmd: Add) -> Added:
            for turn in range(turns):
                self.http.get("/boxes")
                time.sleep(0.01)
                if turn == 5 and cmd.key == "a" and is_heard_here:
                    signal.pthread_kill(threading.get_ident(), signal.SIGINT)
                elif turn == 5 and cmd.key == "a":
                    os.kill(os.getpid(), signal.SIGINT)  # to the process, as a terminal does
            return super().add(cmd)

    with Service() as service:
        with pytest.raises(KeyboardInterrupt):
            run(service, TWICE_FIVE, adapter=Talking)
        sent = service.asked
        time.sleep(0.2)

        assert sent == service.asked
        assert sent < turns


def test_shrinking_does_not_slip_from_a_race_to_a_bug_that_needs_none():
    """A candidate that fails also one after the other is another finding, and no smaller race."""
    with Service("add") as service:
        service.refused = 1  # a plain bug: this number is not added
        result = integration.run(
            model=Vault, adapter=VaultApi, base_url=service.url, seed=4, max_runs=20, max_commands=4,
            parallel=Parallel(2, 2), stop_on_fail=False,
        )  # fmt: skip
        kinds = {finding.failure.kind: finding.trace.sequence for finding in result.failures}
        alone = [run(service, one_by_one(kinds["linearization"])) for _ in range(3)]

    assert {"expectation", "linearization"} <= set(kinds)
    assert ["passed"] * 3 == [trace.ending for trace in alone]
