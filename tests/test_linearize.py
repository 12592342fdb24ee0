"""Linearizability: what is explained, what is refuted, and what nobody can say."""

import itertools
import random

import pytest

from replaykit.linearize import Linearization, NotAdmissibleError, NotSaidError, Operation, linearize

# An operation on a register: ("write", value), or ("read", what was seen).
Register = tuple[str, int]


def judge(history: list[tuple[float, float | None, Register]], **options: int) -> Linearization[int]:
    """Judge a history of a register that holds 0 first."""

    def step(value: int, number: int) -> int:
        kind, argument = history[number][2]
        if kind == "read" and argument != value:
            raise NotAdmissibleError(f"read {argument}, and it holds {value}")
        return argument if kind == "write" else value

    times = [Operation(called, returned) for called, returned, _ in history]
    return linearize(times, 0, step, key=lambda value: value, **options)


def is_explained_by_some_permutation(history: list[tuple[float, float | None, Register]]) -> bool:
    """Try all orders, of all that was answered and of any of what was lost."""
    numbers = range(len(history))
    lost = [number for number in numbers if history[number][1] is None]
    for left_out in itertools.chain.from_iterable(
        itertools.combinations(lost, count) for count in range(len(lost) + 1)
    ):
        for order in itertools.permutations([number for number in numbers if number not in left_out]):
            places = {number: place for place, number in enumerate(order)}
            in_time = all(
                places[first] < places[then]
                for first in order
                for then in order
                if history[first][1] is not None and history[first][1] < history[then][0]
            )
            value, fits = 0, in_time
            for number in order:
                kind, argument = history[number][2]
                fits = fits and (kind == "write" or argument == value)
                value = argument if kind == "write" else value
            if fits:
                return True
    return False


def test_overlapping_operations_may_have_happened_in_any_order():
    """A read that overlaps a write may see the old value or the new one; one after it, only the new one."""
    write = (0.0, 2.0, ("write", 1))

    assert "explained" == judge([write, (1.0, 3.0, ("read", 0))]).answer
    assert "explained" == judge([write, (1.0, 3.0, ("read", 1))]).answer
    assert "refuted" == judge([write, (2.5, 3.0, ("read", 0))]).answer


def test_the_explanation_is_an_order():
    """The order says which operation came first."""
    found = judge([(0.0, 2.0, ("write", 1)), (1.0, 3.0, ("read", 0))])

    assert (1, 0) == found.order
    assert 1 == found.state


def test_two_reads_that_see_a_value_come_and_go_are_refuted():
    """What was read new can't be read old afterwards."""
    history = [(0.0, 9.0, ("write", 1)), (1.0, 2.0, ("read", 1)), (3.0, 4.0, ("read", 0))]
    found = judge(history)

    assert "refuted" == found.answer
    assert (0, 1) == found.order
    assert ("read 0, and it holds 1",) == found.reasons


def test_a_lost_operation_may_have_happened_at_any_later_time_or_never():
    """A write without an answer explains both values, and also the old one after the new one is ruled out."""
    lost = (0.0, None, ("write", 1))

    assert "explained" == judge([lost, (5.0, 6.0, ("read", 0))]).answer
    assert "explained" == judge([lost, (5.0, 6.0, ("read", 1))]).answer
    assert "explained" == judge([lost, (5.0, 6.0, ("read", 0)), (7.0, 8.0, ("read", 1))]).answer
    assert "refuted" == judge([lost, (5.0, 6.0, ("read", 1)), (7.0, 8.0, ("read", 0))]).answer


def test_an_operation_can_not_happen_before_it_was_called():
    """A lost write explains nothing that was seen before it was sent."""
    assert "refuted" == judge([(5.0, None, ("write", 1)), (1.0, 2.0, ("read", 1))]).answer


def test_the_end_is_judged_for_each_order():
    """An order that leads to a wrong end is not the explanation; another one is looked for."""

    def end(state: str) -> None:
        if state != "ba":
            raise NotAdmissibleError(f"the end is {state}")

    def run(*wanted: Operation) -> Linearization[str]:
        return linearize(wanted, "", lambda state, number: state + "ab"[number], key=lambda state: state, end=end)

    assert (1, 0) == run(Operation(0, 5), Operation(1, 6)).order
    refuted = run(Operation(0, 1), Operation(2, 3))
    assert ("refuted", ("the end is ab",)) == (refuted.answer, refuted.reasons)


def test_where_the_model_can_not_tell_nothing_is_refuted():
    """One order in which the model does not say what should be is enough for undecided; an explanation still counts."""

    def step(state: str, number: int) -> str:
        if state == "" and number == 0:
            raise NotSaidError("nobody knows")
        if number == 0:
            raise NotAdmissibleError("no")
        return state + str(number)

    operations = [Operation(0, 5), Operation(1, 6)]
    found = linearize(operations, "", step, key=lambda state: state)

    assert ("undecided", ("nobody knows",)) == (found.answer, found.reasons)
    assert "explained" == linearize(operations[1:], "", lambda state, _: state, key=lambda state: state).answer


def test_too_many_orders_are_undecided_and_no_pass():
    """The search ends after so many steps, and says so."""
    history = [(0.0, 9.0, ("write", number)) for number in range(9)] + [(10.0, 11.0, ("read", 99))]

    assert "refuted" == judge(history).answer
    assert "undecided" == judge(history, most_steps=50).answer


def test_nothing_is_explained_by_nothing():
    """A history without operations is explained; so is one of lost ones only."""
    assert "explained" == judge([]).answer
    assert "explained" == judge([(0.0, None, ("read", 7))]).answer


@pytest.mark.parametrize("seed", range(40))
def test_the_search_agrees_with_trying_all_permutations(seed: int):
    """Random histories of up to six operations, lost ones among them, are judged as by brute force."""
    rng = random.Random(seed)
    for _ in range(20):
        history: list[tuple[float, float | None, Register]] = []
        for _ in range(rng.randint(1, 6)):
            called = rng.randint(0, 8)
            returned = None if rng.random() < 0.15 else called + rng.randint(0, 5)
            history.append((called, returned, (rng.choice(["read", "write"]), rng.randint(0, 2))))

        assert is_explained_by_some_permutation(history) == (judge(history).answer == "explained"), history
