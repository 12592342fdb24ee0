"""Generating: which commands a run is made of."""

from collections import Counter
from typing import ClassVar

import pytest

from replaykit import (
    Command,
    Entity,
    Event,
    Mock,
    Model,
    Ref,
    expects,
    fault,
    integration,
    invariant,
    like,
    on,
    requires,
)
from replaykit.command import Refs
from replaykit.errors import DefinitionError
from replaykit.generate import Generated, Parallel
from replaykit.run import execute
from replaykit.sequence import Sequence

SEEDS = range(200)
LENGTH = 12


class Push(Command):
    pass


class Peek(Command):
    pass


class Clear(Command):
    pass


class Done(Event):
    pass


class Pushed(Event):
    pass


class Cleared(Event):
    pass


class Stack(Model):
    """A stack that nobody may fill, which is emptied again and again where all commands take turns."""

    commands: ClassVar = (Push, Peek, Clear)
    height: int = 0

    @expects
    def push(self, cmd: Push) -> Pushed:
        return Pushed()

    @expects
    def peek(self, cmd: Peek) -> Done:
        return Done()

    @expects
    def clear(self, cmd: Clear) -> Cleared:
        return Cleared()

    @on
    def pushed(self, event: Pushed) -> None:
        self.height += 1

    @on
    def cleared(self, event: Cleared) -> None:
        self.height = 0

    @invariant
    def is_never_full(self) -> None:
        assert self.height < 20


class Account(Entity):
    pass


class Open(Command):
    pass


class Close(Command):
    reason: int  # drawn before it is known that there is no account
    account: Ref[Account]


class Opened(Event):
    account: Ref[Account]


class Closed(Event):
    account: Ref[Account]


class Bank(Model):
    """Of its two commands, one needs what the other makes."""

    commands: ClassVar = (Open, Close)
    accounts: dict[Ref[Account], Account] = {}  # noqa: RUF012

    @expects
    def open(self, cmd: Open) -> Opened:
        return like(Opened)

    @expects
    def close(self, cmd: Close) -> Closed:
        return Closed(account=cmd.account)

    @on
    def opened(self, event: Opened) -> None:
        self.accounts[event.account] = Account()

    @on
    def closed(self, event: Closed) -> None:
        del self.accounts[event.account]


def sequence(model: type[Model], seed: int, *, swarm: bool = True) -> Sequence:
    """Return the sequence of a run of a model against itself."""
    return execute(model, Mock(model), Generated(model, seed, LENGTH, swarm=swarm)).sequence


def drawn(model: type[Model], seed: int, *, swarm: bool = True) -> tuple[str, ...]:
    """List the commands of such a run."""
    return tuple(call.tag for call in sequence(model, seed, swarm=swarm))


def test_a_swarm_run_does_without_some_commands():
    """Each command is missing in about half of the runs, and each subset of the commands is met, but not none."""
    met = [frozenset(drawn(Stack, seed)) for seed in SEEDS]
    of_all = sum(len(each) == 3 for each in met)

    assert 7 == len(set(met))
    assert all(60 < sum(tag not in each for each in met) < 120 for tag in ("push", "peek", "clear"))
    assert of_all < 70
    assert all(LENGTH == len(drawn(Stack, seed)) for seed in SEEDS)


def test_a_run_that_is_no_swarm_run_has_all_commands():
    """Without the option, a run of twelve commands seldom misses one of three."""
    assert sum(len(set(drawn(Stack, seed, swarm=False))) == 3 for seed in SEEDS) > 180


def test_the_branches_of_a_swarm_run_do_without_the_same_commands():
    """What is left out before the branches is left out in them, and each subset of the commands is met."""
    met = []
    for seed in SEEDS:
        calls = Generated(Stack, seed, 1, Parallel(3, 3), swarm=True)
        before = calls.next(Stack(), Refs())
        branches = calls.branches(Stack(), Refs())
        assert before is not None
        assert [3, 3, 3] == [len(branch) for branch in branches]
        met.append(frozenset([before.tag, *(call.tag for branch in branches for call in branch)]))

    assert 7 == len(set(met))
    assert all(60 < sum(tag not in each for each in met) < 120 for tag in ("push", "peek", "clear"))


def test_a_seed_means_the_same_swarm_run():
    """The commands that are left out follow from the seed of the run."""
    assert [drawn(Stack, seed) for seed in SEEDS] == [drawn(Stack, seed) for seed in SEEDS]


def test_a_swarm_run_that_could_not_begin_is_one_of_all_commands():
    """Where none of those that were kept is possible at first, the run is the one without the option."""
    runs = [(sequence(Bank, seed), sequence(Bank, seed, swarm=False)) for seed in SEEDS]
    of_all = [(swarm, plain) for swarm, plain in runs if {call.tag for call in swarm} != {"open"}]

    assert all(swarm == plain for swarm, plain in of_all)
    assert 120 < len(of_all) < 170


def test_a_swarm_of_a_model_that_can_do_nothing_at_first_is_told():
    """Where no command at all is possible in the first state, that is said, as it is without the option."""

    class Locked(Stack):
        @requires
        def unlocked(self, _: Push | Peek | Clear) -> bool:
            return False

    for seed in range(10):
        with pytest.raises(DefinitionError, match=r"Locked is possible in its first state\.\n.* Look at unlocked\."):
            drawn(Locked, seed)


def test_a_swarm_meets_what_only_many_calls_of_one_command_lead_to():
    """A campaign of swarm runs finds a stack that gets full, where one of all commands does not."""
    plain, swarm = (
        integration.run(model=Stack, adapter=Mock, seed=1, max_runs=100, stop_on_fail=True, swarm=swarm)
        for swarm in (False, True)
    )

    assert plain.success
    assert ["is_never_full"] == [finding.failure.name for finding in swarm.failures]
    assert ("push",) * 20 == tuple(call.tag for call in swarm.failures[0].trace.sequence)


# --- faults -------------------------------------------------------------------------------------


class Shaken(Stack):
    """The stack, of which a push may be lost."""

    commands: ClassVar = (*Stack.commands, fault.Timeout, fault.ErrorStatus)


def steps_under_faults(calls: Sequence) -> list[int]:
    """Say of each call how many faults are on when it is sent."""
    left, counted = list[int](), []
    for call in calls:
        counted.append(len(left))
        if call.tag.startswith("fault_"):
            left.append(int(str(call.args["steps"])))
        else:
            left = [each - 1 for each in left if each > 1]
    return counted


def test_no_fault_begins_while_one_is_on():
    """One at a time is what a model of them says something about; all of them, in all lengths, are met."""
    runs = [sequence(Shaken, seed, swarm=False) for seed in SEEDS]
    faults = [call for calls in runs for call in calls if call.tag.startswith("fault_")]

    assert 1 == max(max(steps_under_faults(calls)) for calls in runs)
    assert not [
        call.tag
        for calls in runs
        for call, count in zip(calls, steps_under_faults(calls), strict=True)
        if count and call.tag.startswith("fault_")
    ]
    assert {(tag, steps) for tag in ("fault_timeout", "fault_error_status") for steps in range(1, 5)} == {
        (call.tag, call.args["steps"]) for call in faults
    }


def test_no_fault_begins_in_branches():
    """What is sent at the same time is judged by its order, and no answer of it may be lost."""
    for seed in SEEDS:
        calls = Generated(Shaken, seed, 20, Parallel(3, 3))
        trace = execute(Shaken, Mock(Shaken), calls)
        branched = [call.tag for call in calls.drawn if call.branch]

        assert "passed" == trace.ending
        assert not [tag for tag in branched if tag.startswith("fault_")]


def test_a_seed_means_the_same_faults():
    """What is drawn, and for how long, follows from the seed of the run."""
    assert [sequence(Shaken, seed) for seed in SEEDS] == [sequence(Shaken, seed) for seed in SEEDS]


def test_what_is_sent_while_a_fault_is_on_has_an_effect_for_the_most_part():
    """A lost answer of what changes nothing says nothing, so a few such commands are passed over."""
    counted = Counter[tuple[bool, bool]]()
    for seed in SEEDS:
        calls = sequence(Shaken, seed, swarm=False)
        for call, count in zip(calls, steps_under_faults(calls), strict=True):
            if not call.tag.startswith("fault_"):
                counted[count > 0, call.tag == "push"] += 1

    assert counted[True, True] / (counted[True, True] + counted[True, False]) > 0.5
    assert counted[False, True] / (counted[False, True] + counted[False, False]) < 0.45


def test_nothing_is_sent_twice_at_once_while_a_fault_is_on():
    """What two threads send goes through no fault."""

    class Often(Push, idempotent=True, tag="often"):
        pass

    class Retried(Shaken):
        commands: ClassVar = (Often, fault.Timeout)

        @expects
        def often(self, cmd: Often) -> Pushed:
            return Pushed()

    twice = [0, 0]
    for seed in SEEDS:
        calls = execute(Retried, Mock(Retried), Generated(Retried, seed, LENGTH, stutter=0.9)).sequence
        for call, count in zip(calls, steps_under_faults(calls), strict=True):
            twice[count > 0] += call.twice

    assert 0 == twice[True]
    assert twice[False] > 50


def test_a_model_without_faults_is_drawn_as_ever():
    """The commands that come before the first fault are those that come without any."""
    plain = [sequence(Stack, seed, swarm=False) for seed in SEEDS]

    assert all(LENGTH == len(calls) for calls in plain)
    assert not [call for calls in plain for call in calls if call.tag.startswith("fault_")]
