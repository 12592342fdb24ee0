"""Rechecking: what was recorded is judged by today's model, and by nothing else."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import jsonschema
import pytest
from vault import (
    Add,
    Added,
    Box,
    Boxes,
    Made,
    Make,
    PatientVault,
    Service,
    SilentVault,
    SmallVault,
    Vault,
    VaultApi,
    bundled,
    run,
)

from replaykit import (
    Adapter,
    Event,
    Like,
    Model,
    Observation,
    Rechecked,
    Ref,
    check,
    expects,
    fail,
    handles,
    invariant,
    like,
    observes,
    on,
    recheck,
    requires,
)
from replaykit import within as allowed
from replaykit.errors import BundleError
from replaykit.report.recheck import render, row, schema
from replaykit.sequence import Call, Sequence
from replaykit.trace import Trace
from replaykit.verdict import Failure, Verdict, exit_code

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"
MAKE = Call(label=0, tag="make")


@pytest.fixture
def service() -> Iterator[Service]:
    """Keep boxes on a free port of the loopback."""
    with Service() as served:
        yield served


def add(label: int, number: int, branch: int = 0, repeats: int | None = None, *, twice: bool = False) -> Call:
    args = {"box": "box@0", "number": number, "key": f"k{label}"}
    return Call(label=label, tag="add", args=args, branch=branch, repeats=repeats, twice=twice)


THREE: Sequence = (MAKE, add(1, 5), add(2, 7))


class NeverApi(VaultApi):
    """An adapter whose handlers are never to be called."""

    def __init__(self, *arguments: Any) -> None:
        raise AssertionError("nothing of the adapter runs")


def rechecked(trace: Trace, model: type[Model] = Vault, adapter: type[Adapter[Any]] = NeverApi) -> Rechecked:
    return recheck(bundled(trace), model=model, adapter=adapter)


def told(failures: tuple[Failure, ...]) -> list[tuple[str, str, int | None]]:
    return [(each.kind, each.name, each.step) for each in failures]


class Capped(SilentVault):
    """Holds that no box has more than 5."""

    @invariant
    def at_most_five(self) -> None:
        if any(box.number > 5 for box in self.boxes.values()):
            fail("a box has more than 5")


class Strict(SilentVault):
    """Holds that no box has anything."""

    @invariant
    def nothing_at_all(self) -> None:
        assert not any(box.number for box in self.boxes.values())


class Forgiving(SilentVault):
    """Holds nothing against the list."""

    @check
    def numbers_match(self, seen: Boxes) -> None:
        assert seen.numbers


def missed(service: Service) -> Trace:
    """Record a run in which the second addition is not done: the list shows it, at step 2."""
    service.refused = 7
    trace = run(service, THREE, SilentVault)
    assert ("check", "numbers_match", 2) == (trace.failure and (trace.failure.kind, "numbers_match", 2))
    return trace


# --- saved bugs ---------------------------------------------------------------------------------


def test_the_recorded_failure_reproduces_and_nobody_is_asked(service: Service):
    """The same model sees the same failure at the same step; neither the service nor the adapter has a part in it."""
    trace = missed(service)
    before = service.asked
    found = rechecked(trace, SilentVault)

    assert Verdict.REPRODUCED == found.verdict
    assert trace.failure == found.trace.failure
    assert (True, (), ()) == (found.still, found.found, found.moved)
    assert before == service.asked


def test_a_repaired_check_holds_now(service: Service):
    """Where the recorded failure does not show any more, and nothing else does, all is well: 0."""
    found = rechecked(missed(service), Forgiving)

    assert Verdict.FIXED == found.verdict
    assert (False, ()) == (found.still, found.found)
    assert "the recorded failure (check numbers_match at step 2) does not fail any more, and all else holds" == (
        found.reason
    )


def test_a_new_invariant_that_fails_earlier_is_told_beside_the_old_failure(service: Service):
    """Both are seen, though the first of them ends a run: 1."""
    found = rechecked(missed(service), Strict)

    assert Verdict.FAILED == found.verdict
    assert 1 == exit_code(found.verdict)
    assert [("invariant", "nothing_at_all", 1)] == told(found.found)
    assert found.still
    assert found.reason.endswith("; the recorded failure (check numbers_match at step 2) still fails too")


def test_a_new_invariant_may_fail_where_the_old_failure_is_gone(service: Service):
    """What became of the old one is said too."""

    class Both(Forgiving, Capped):
        pass

    found = rechecked(missed(service), Both)

    assert Verdict.FAILED == found.verdict
    assert [("invariant", "at_most_five", 2)] == told(found.found)
    assert found.reason.endswith("(check numbers_match at step 2) does not fail any more")


def test_the_same_check_that_fails_earlier_is_not_the_recorded_failure(service: Service):
    """It is a new failure, and the old one can't be told apart from it."""

    class Earlier(SilentVault):
        @check
        def numbers_match(self, seen: Boxes) -> None:
            fail("never")

    found = rechecked(missed(service), Earlier)

    assert Verdict.FAILED == found.verdict
    assert [("check", "numbers_match", 0)] == told(found.found)
    assert not found.still
    assert "is of the same check, which fails elsewhere now" in found.reason


def test_a_model_that_no_longer_judges_it_says_nothing(service: Service):
    """Without the check that failed, that nothing fails means nothing: 125."""

    class Without(SilentVault):
        numbers_match: ClassVar = None

    found = rechecked(missed(service), Without)

    assert Verdict.STALE == found.verdict
    assert "the model no longer judges the check numbers_match" == found.reason


def test_an_expectation_is_judged_and_may_be_repaired(service: Service):
    """The event that was recorded is held against today's prediction; what the run did not come to is named."""
    service.room = 0
    trace = run(service, (MAKE,))
    same_again, repaired = rechecked(trace), rechecked(trace, SmallVault)

    assert Verdict.REPRODUCED == same_again.verdict
    assert Verdict.FIXED == repaired.verdict
    assert ("numbers_match",) == repaired.unreached
    assert repaired.reason.endswith("; not judged, since the run had ended: numbers_match")


# --- runs that passed ---------------------------------------------------------------------------


def test_a_run_that_passed_passes(service: Service):
    """The states are those that were recorded, too."""
    found = rechecked(run(service, THREE))

    assert (Verdict.PASSED, (), ()) == (found.verdict, found.found, found.moved)


def test_a_new_invariant_is_tried_on_a_run_that_passed(service: Service):
    """Each one that fails is told once, in the order of the run."""

    class New(Capped, Strict):
        pass

    found = rechecked(run(service, THREE), New)

    assert Verdict.FAILED == found.verdict
    assert [("invariant", "nothing_at_all", 1), ("invariant", "at_most_five", 2)] == told(found.found)
    assert found.reason.startswith("it passed when it was recorded; invariant nothing_at_all at step 1 fails, and 1 ")


class Doors(Observation):
    open: int


class Watchful(Vault):
    """Looks at what nobody has read."""

    @check
    def doors_are_shut(self, seen: Doors) -> None:
        assert not seen.open


class WatchfulApi(NeverApi):
    @observes
    def doors(self) -> Doors:
        raise AssertionError("nobody is asked")


def test_what_nobody_has_read_is_said_and_not_passed(service: Service):
    """A new check without evidence is named with the places where it would have looked: 125."""
    found = rechecked(run(service, THREE), Watchful, WatchfulApi)

    assert Verdict.UNDECIDED == found.verdict
    assert 125 == exit_code(found.verdict)
    assert {"doors_are_shut": ("step 0", "step 1", "step 2")} == found.unseen
    assert "nothing fails, but what these look at was not recorded: doors_are_shut (step 0, step 1, step 2)" == (
        found.reason
    )


def test_what_nobody_has_read_in_branches_is_said_too(service: Service):
    """The orders of branches are not judged by a check without evidence."""
    found = rechecked(run(service, (MAKE, add(1, 5, 1), add(2, 7, 2))), Watchful, WatchfulApi)

    assert Verdict.UNDECIDED == found.verdict
    assert {"doors_are_shut": ("step 0", "the end")} == found.unseen


# --- evidence that does not fit any more --------------------------------------------------------


class Renamed(Event, tag="box_made"):
    box: Ref[Box]


class RenamedVault(Model):
    commands: ClassVar = (Make,)
    boxes: dict[Ref[Box], Box] = {}  # noqa: RUF012

    @on
    def made(self, event: Renamed) -> None:
        self.boxes[event.box] = Box()


class RenamedApi(Adapter[RenamedVault]):
    @handles
    def make(self, cmd: Make) -> Renamed:
        raise AssertionError("nobody is asked")


class Changed(Event, tag="made", version=2):
    box: Ref[Box]
    color: str

    @classmethod
    def upcast(cls, version: int, data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "color": "blue"} if version == 1 else data


class ChangedApi(Adapter[RenamedVault]):
    @handles
    def make(self, cmd: Make) -> Renamed | Changed:
        raise AssertionError("nobody is asked")


class Fewer(Vault):
    commands: ClassVar = (Make,)


class Full(Vault):
    @requires
    def few(self, _: Make) -> bool:
        return False


@pytest.mark.parametrize(
    ("model", "adapter", "why"),
    [
        (RenamedVault, RenamedApi, "step 0: nobody knows the event made any more"),
        (Fewer, NeverApi, "step 1: Fewer has no command add (it has make)"),
        (Full, NeverApi, "step 0: a precondition of make does not hold any more"),
    ],
)
def test_what_does_not_fit_any_more_is_stale(
    model: type[Model], adapter: type[Adapter[Any]], why: str, service: Service
):
    """An event or a command that nobody knows any more can't be judged: 125."""
    found = rechecked(run(service, THREE), model, adapter)

    assert (Verdict.STALE, why) == (found.verdict, found.reason)


def test_an_event_of_an_older_version_is_upcast(service: Service):
    """A new field comes from `upcast`, as in commands; and where it does not, the event does not fit."""
    trace = run(service, (MAKE,))
    newer = trace.steps[0].event
    assert newer is not None
    later = trace.replace(steps=(trace.steps[0].replace(event=newer.replace(version=3)),))
    broken = trace.replace(steps=(trace.steps[0].replace(event=newer.replace(data=b'{"box":7}', version=2)),))

    assert Verdict.PASSED == rechecked(trace, RenamedVault, ChangedApi).verdict
    assert "made was saved in version 3, and here it has version 2" in rechecked(later, RenamedVault, ChangedApi).reason
    assert "what was recorded as made does not fit any more" in rechecked(broken, RenamedVault, ChangedApi).reason


def test_a_model_that_raises_is_a_fault_of_the_model(service: Service):
    """It is no finding: 125, with the traceback."""

    class Broken(Vault):
        @invariant
        def raises(self) -> None:
            raise KeyError("oops")

    found = rechecked(run(service, (MAKE,)), Broken)

    assert (Verdict.DIFFERENT, ()) == (found.verdict, found.found)
    assert "model raises at step 0: KeyError: 'oops'" == found.reason
    assert "test_rechecking.py" in str(found.trace.failure and found.trace.failure.traceback)


def test_where_the_projection_differs_is_said(service: Service):
    """A model that folds otherwise is told by the steps after which its state is another one, and how."""

    class Counting(SilentVault):
        @on
        def added(self, event: Added) -> None:
            self.boxes[event.box].number += 1

        @check
        def numbers_match(self, seen: Boxes) -> None:
            assert seen.numbers

    found = rechecked(run(service, THREE), Counting)

    assert Verdict.PASSED == found.verdict
    assert [(1, ("$.boxes['box@0'].number: 5 -> 1",)), (2, ("$.boxes['box@0'].number: 12 -> 2",))] == [
        (each.step, each.changes) for each in found.moved
    ]


class Colors(Model):
    commands: ClassVar = (Make,)
    seen: set[str] = set()  # noqa: RUF012

    @on
    def made(self, event: Made) -> None:
        self.seen |= {"red", "green", "blue", "white", "black"}


def test_the_order_of_a_set_is_no_difference(service: Service):
    """Sets are written down in some order, which another process does not have."""
    trace = run(service, (MAKE,), Colors)
    turned = json.loads(trace.steps[0].state or b"")
    turned["seen"].reverse()
    other = trace.replace(steps=(trace.steps[0].replace(state=json.dumps(turned).encode()),))

    assert () == rechecked(other, Colors).moved


# --- all that a run may hold --------------------------------------------------------------------


def test_what_settled_late_is_judged_by_all_looks(service: Service):
    """Each recorded look is looked at again; where nobody looked once more, it can't be said what was to be seen."""
    service.late = 2
    trace = run(service, THREE, PatientVault)
    impatient = rechecked(trace, Vault)

    assert Verdict.PASSED == rechecked(trace, PatientVault).verdict
    assert [("check", "numbers_match", 0)] == told(impatient.found)
    short = trace.steps[0].replace(observations=trace.steps[0].observations[:1])
    cut = rechecked(trace.replace(steps=(short, *trace.steps[1:])), PatientVault)
    assert Verdict.STALE == cut.verdict
    assert "step 0: boxes was not read once more, so whether it would have settled nobody has seen" == cut.reason


def test_what_never_settled_fails_again(service: Service):
    """Where the recorded time was over, it is over."""

    class Short(SilentVault):
        numbers_match = PatientVault.numbers_match

    service.refused = 7
    trace = run(service, THREE, Short)

    assert Verdict.REPRODUCED == rechecked(trace, Short).verdict


def test_a_race_is_judged_by_the_recorded_moments():
    """What branches saw has no order that explains it, today as then; a model that expects less finds one."""
    with Service("add") as service:
        calls = (MAKE, *(add(label, label, label) for label in (1, 2, 3)))
        trace = next(each for each in (run(service, calls) for _ in range(30)) if each.failure is not None)

    class Lax(Forgiving):
        @on
        def added(self, event: Added) -> None:
            self.boxes[event.box].number = event.now

    assert "linearization" == (trace.failure and trace.failure.kind)
    assert Verdict.REPRODUCED == rechecked(trace).verdict
    assert Verdict.FIXED == rechecked(trace, Lax).verdict


@pytest.mark.parametrize("twice", [False, True])
def test_what_was_sent_again_is_judged_again(*, twice: bool):
    """A repetition has its own recorded answer, at once or later."""
    again = (add(1, 5, twice=True),) if twice else (add(1, 5), add(1, 5).replace(label=2, repeats=1))
    with Service() as service:
        good = run(service, (MAKE, *again))
    with Service("key", "forgotten") as service:
        bad = run(service, (MAKE, *again))

    assert "idempotency" == (bad.failure and bad.failure.kind)
    assert [Verdict.PASSED, Verdict.REPRODUCED] == [rechecked(good).verdict, rechecked(bad).verdict]


class Crashing(VaultApi):
    @handles
    def make(self, cmd: Make) -> Made:
        self.http.post("/crash").raise_for_status()
        raise AssertionError


class Calm(Vault):
    server_errors: ClassVar = False


def test_server_errors_are_those_that_were_recorded(service: Service):
    """The status that ended the run is judged; a model that lets it pass has no event to go on with."""
    trace = run(service, (MAKE,), Vault, Crashing)
    calm = rechecked(trace, Calm)

    assert Verdict.REPRODUCED == rechecked(trace).verdict
    assert (Verdict.STALE, "step 0: no event was recorded") == (calm.verdict, calm.reason)


class SlowApi(NeverApi):
    @allowed(0.1)
    @handles
    def make(self, cmd: Make) -> Made:
        raise AssertionError


@pytest.mark.parametrize(("elapsed", "verdict"), [(0.2, Verdict.REPRODUCED), (0.05, Verdict.FIXED)])
def test_what_was_slow_is_judged_by_the_recorded_times(elapsed: float, verdict: Verdict, service: Service):
    """Today's budget is held against how long it took then."""
    trace = run(service, (MAKE,))
    step = trace.steps[0]
    timed = step.replace(interactions=(step.interactions[0].replace(elapsed=elapsed),))
    failure = Failure(kind="latency", name="make", step=0, command="make", message="slow", expected=0.1)
    slow = trace.replace(steps=(timed,), ending="failed", failure=failure)

    assert verdict == rechecked(slow, Vault, SlowApi).verdict


def test_minted_values_are_those_of_the_recorded_run(service: Service):
    """What was made unique to the run is spelled as it was."""

    class Keyed(SilentVault):
        keys: list[str] = []  # noqa: RUF012

        @expects
        def add(self, cmd: Add) -> Like[Added]:
            assert cmd.key.isalnum() or "k" in cmd.key
            return like(Added, box=cmd.box)

    assert Verdict.PASSED == rechecked(run(service, THREE), Keyed).verdict


def test_a_run_that_was_not_judged_is_refused(service: Service):
    """Where an answer was lost, nobody knows what was done, and there is nothing to recheck."""
    service.lose = ["/boxes/0/add"]
    trace = run(service, THREE)
    assert "unknown" == trace.ending
    with pytest.raises(BundleError):
        rechecked(trace)


# --- for programs -------------------------------------------------------------------------------


def test_the_document_is_as_its_schema_says(service: Service):
    """Each outcome is valid, and the published schema is the one of today."""
    rows = [
        row("a.pd", rechecked(run(service, THREE))),
        row("b.pd", rechecked(run(service, THREE), Watchful, WatchfulApi)),
        row("c.pd", rechecked(missed(service), Strict)),
    ]
    said = json.loads(render(rows, 1))
    published = (REFERENCE / "recheck.schema.json").read_text(encoding="utf-8")
    jsonschema.validate(said, json.loads(published))

    assert schema() == published
    assert (1, 1, ["passed", "undecided", "failed"]) == (
        said["version"],
        said["exit_code"],
        [each["verdict"] for each in said["bundles"]],
    )
    assert "nothing_at_all" == said["bundles"][2]["found"][0]["name"]
