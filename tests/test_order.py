"""The orders in which a run's cassette is played: strict, first in first out, any."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from vault import Add, Added, Boxes, PatientVault, Service, SilentVault, Vault, VaultApi, bundled, played, run

from replaykit import check, eventually, observes, replay
from replaykit.cassette import ORDERS, Order, finder
from replaykit.errors import UsageError
from replaykit.sequence import Call, Sequence
from replaykit.verdict import Verdict

ALL = get_args(Order)
MAKE = Call(label=0, tag="make")


@pytest.fixture
def service() -> Iterator[Service]:
    """Keep boxes on a free port of the loopback."""
    with Service() as served:
        yield served


def add(label: int, number: int, branch: int = 0) -> Call:
    args = {"box": "box@0", "number": number, "key": f"k{label}"}
    return Call(label=label, tag="add", args=args, branch=branch)


THREE: Sequence = (MAKE, add(1, 5), add(2, 7))


class Twice(VaultApi):
    """Reads the list twice."""

    @observes
    def all(self) -> Boxes:
        super().all()
        return super().all()


class Backwards(VaultApi):
    """Resets after it has read the list."""

    def reset(self) -> None:
        self.http.get("/boxes")
        super().reset()


class Forwards(VaultApi):
    """Reads the list after it has reset."""

    def reset(self) -> None:
        super().reset()
        self.http.get("/boxes")


def test_the_orders_are_those_of_the_command_line():
    """There are three, and another word is an error that lists them."""
    assert list(ALL) == list(ORDERS)
    with pytest.raises(UsageError, match="strict, fifo, any"):
        finder("random")


@pytest.mark.parametrize("order", ALL)
def test_what_was_recorded_passes_in_each_order(order: Order, service: Service):
    """The same adapter asks for the same, and ends in the same states."""
    live = run(service, THREE)
    again = played(live, order=order)

    assert "passed" == again.ending, again.reason
    assert [step.state for step in live.steps] == [step.state for step in again.steps]


@pytest.mark.parametrize(
    ("adapters", "endings"),
    [
        ((VaultApi, Twice), ["stale", "stale", "passed"]),
        ((Twice, VaultApi), ["stale", "stale", "passed"]),
        ((Forwards, Backwards), ["stale", "passed", "passed"]),
    ],
)
def test_what_an_adapter_asks_otherwise_is_let_pass_by_the_order(
    adapters: tuple[Any, Any], endings: list[str], service: Service
):
    """More often, or less often: any. The same in another order: first in, first out. Strict lets nothing pass."""
    live = run(service, (MAKE,), Vault, adapters[0])

    assert endings == [played(live, Vault, adapters[1], order).ending for order in ALL]


@pytest.mark.parametrize(("order", "ending"), [("fifo", "stale"), ("any", "passed")])
def test_whoever_looks_once_more_does_not_see_what_comes_later(order: Order, ending: str, service: Service):
    """A second look at the same step gets the answer of that step again, or none; never the one of the next step."""
    live = run(service, THREE)
    again = played(live, Vault, Twice, order)

    assert ending == again.ending, again.reason
    if order == "fifo":
        assert (
            "step 0: GET /boxes is asked before number 5 (step 1), and what came later says nothing of now"
            == again.reason
        )


@pytest.mark.parametrize("order", ALL)
def test_what_settles_late_settles_in_each_order(order: Order, service: Service):
    """A check that may take its time gets all looks that were recorded, at each step."""
    service.late = 2
    live = run(service, THREE, PatientVault)
    assert 3 == len(live.steps[0].observing)
    again = played(live, PatientVault, order=order)

    assert "passed" == again.ending, again.reason
    assert [len(step.observing) for step in live.steps] == [len(step.observing) for step in again.steps]


class ShortVault(SilentVault):
    """Waits but a moment."""

    @eventually(within=0.06, every=0.02)
    def numbers_match(self, seen: Boxes) -> None:
        PatientVault.numbers_match(self, seen)  # type: ignore[arg-type]


@pytest.mark.parametrize("order", ALL)
def test_what_never_settles_fails_in_each_order(order: Order, service: Service):
    """Where the recorded looks are over, so is the time, and the failure is the recorded one."""
    service.refused = 7
    live = run(service, THREE, ShortVault)
    again = played(live, ShortVault, order=order)

    assert live.failure is not None
    assert live.failure == again.failure


class Lenient(Vault):
    """Takes an empty list for one that is not there yet."""

    @check
    def numbers_match(self, seen: Boxes) -> None:
        if seen.numbers:
            Vault.numbers_match(self, seen)


@pytest.mark.parametrize("order", ALL)
def test_what_was_seen_after_later_commands_settles_nothing(order: Order, service: Service):
    """A model that would look again, where nobody did, is not given what came later in the run: it is stale."""
    service.late = 1
    live = run(service, (MAKE, MAKE.replace(label=1)), Lenient)
    assert "passed" == live.ending
    again = played(live, PatientVault, order=order)

    assert "stale" == again.ending
    assert again.reason.startswith("step 0: ")


@pytest.mark.parametrize("order", ALL)
def test_branches_are_played_in_each_order(order: Order, service: Service):
    """What was sent at the same time is judged by the recorded moments, whatever the order."""
    live = run(service, (MAKE, add(1, 5, 1), add(2, 7, 2), add(3, 1, 2)))
    again = played(live, order=order)

    assert "passed" == live.ending == again.ending, again.reason
    assert live.moments == again.moments


@pytest.mark.parametrize("order", ALL)
def test_a_replay_says_in_which_order(order: Order, service: Service):
    """The keyword of `replay` is that of `play`; the bug reproduces in each of them."""
    service.refused = 7
    bundle = bundled(run(service, THREE, ShortVault))
    replayed = replay(bundle, model=ShortVault, adapter=VaultApi, offline=True, order=order)

    assert Verdict.REPRODUCED == replayed.verdict, replayed.reason


def test_an_order_is_for_offline_replays(service: Service):
    """Live, there is nothing to be played, and a word that is no order is refused too."""
    bundle = bundled(run(service, (MAKE,)))
    with pytest.raises(UsageError, match="Replay it offline"):
        replay(bundle, model=Vault, adapter=VaultApi, order="any", base_url=service.url)
    with pytest.raises(UsageError, match="no order 'random'"):
        replay(bundle, model=Vault, adapter=VaultApi, order="random", offline=True)  # type: ignore[arg-type]


def test_a_miss_says_at_which_step_and_what_is_nearest(service: Service):
    """The step that asked, the request that is nearest, where it was recorded, and what differs."""

    class More(VaultApi):
        @classmethod
        def sent(cls, cmd: Add) -> dict[str, object]:
            return {"number": cmd.number + 1, "key": cmd.key}

        def perform(self, command: Any) -> Any:
            if not isinstance(command, Add):
                return super().perform(command)
            self.http.post(f"/boxes/{command.box.id}/add", json=self.sent(command))
            return Added(box=command.box, number=command.number, now=0)

    live = run(service, THREE)
    reasons = {order: played(live, Vault, More, order).reason for order in ALL}

    near = "number 4 (step 1), POST /boxes/0/add"
    assert (
        "step 1: the cassette has no such request: number 4 (step 1) is POST /boxes/0/add; "
        "the body differs at $.number: 5 -> 6" == reasons["strict"]
    )
    assert (
        f"step 1: the cassette has no such POST: the nearest is {near}; the body differs at $.number: 5 -> 6"
        == reasons["fifo"]
        == reasons["any"]
    )
