"""Linearizability: is this parallel history explained by some order?

Theory of operation. Operations that overlap in time may have happened in any order; one that had returned before
another was called happened before it (Herlihy and Wing, "Linearizability", 1990). A history is explained by an
order in which each answer is admissible in the state that the operations before it lead to. The search tries one
operation after the other (Wing and Gong, "Testing and verifying concurrent objects", 1993), and remembers each set
of operations with the state that it led to, so that none is looked at twice (Lowe, "Testing for linearizability",
2017). It counts its steps and not the seconds, so that the same history gives the same answer on every machine.

An operation whose answer was lost may have happened at any time after it was called, or never.

Where the search ends without an explanation, the history is *refuted*, unless the model could not say what
should be in some order, or there are too many orders: then it is *undecided*, which is no pass.
"""

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, TypeVar

MOST_STEPS = 20_000  # of one search

S = TypeVar("S")


class Operation(NamedTuple):
    """When an operation was called and when it returned, in seconds on one clock; None: it never did."""

    called: float
    returned: float | None


class NotAdmissibleError(Exception):
    """An operation can't come next, or a state can't be the last one: what was seen does not fit."""


class NotSaidError(Exception):
    """The model does not say what should be."""


@dataclass(frozen=True, slots=True)
class Linearization(Generic[S]):
    """What the search came to, and the order that explains the history, or as much of it as can be."""

    answer: Literal["explained", "refuted", "undecided"]
    order: tuple[int, ...]  # numbers of operations
    state: S  # after this order
    reasons: tuple[str, ...]  # why nothing can come after it, or why nothing was decided
    steps: int


def linearize(
    operations: Sequence[Operation],
    start: S,
    step: Callable[[S, int], S],
    *,
    key: Callable[[S], Hashable],
    end: Callable[[S], None] = lambda _: None,
    most_steps: int = MOST_STEPS,
) -> Linearization[S]:
    """Search for an order that explains a history.

    `step` gives the state after an operation, and leaves the state before it as it is; `end` judges the last state.
    Both raise NotAdmissibleError for what was not to be seen, and NotSaidError where the model can't tell. States
    with the same `key` are the same.
    """
    best: tuple[int, ...] = ()
    best_state, reasons = start, list[str]()
    unsaid, steps = "", 0
    seen: set[tuple[int, Hashable]] = {(0, key(start))}
    # one frame for each operation that was taken: what was done, the state, what may come next
    stack = [(0, start, _next(operations, 0))]
    path: list[int] = []
    while stack:
        done, state, candidates = stack[-1]
        number = next(candidates, None)
        if number is None:
            stack.pop()
            if path:
                path.pop()
            continue
        try:
            if number == _END:
                end(state)
                return Linearization("explained", tuple(path), state, (), steps)
            if steps == most_steps:
                unsaid = f"there are too many orders: {most_steps} steps were tried"
                break
            steps += 1
            after = step(state, number)
        except NotAdmissibleError as error:
            if len(path) > len(best):
                best, best_state, reasons = tuple(path), state, []
            if tuple(path) == best and str(error) not in reasons:
                reasons.append(str(error))
            continue
        except NotSaidError as error:
            unsaid = unsaid or str(error)
            continue
        place = (done | 1 << number, key(after))
        if place in seen:
            continue
        seen.add(place)
        path.append(number)
        stack.append((place[0], after, _next(operations, place[0])))
    if unsaid:
        return Linearization("undecided", best, best_state, (unsaid,), steps)
    return Linearization("refuted", best, best_state, tuple(reasons), steps)


_END = -1  # nothing has to come any more


def _next(operations: Sequence[Operation], done: int) -> Iterator[int]:
    """List what may come next, the first to return first; the end too, where all that was answered is done."""
    left = [number for number in range(len(operations)) if not done >> number & 1]
    first = min((_returned(operations[number]) for number in left), default=math.inf)
    possible = [number for number in left if operations[number].called <= first]
    possible.sort(key=lambda number: _returned(operations[number]))
    return iter([_END, *possible] if first == math.inf else possible)


def _returned(operation: Operation) -> float:
    return math.inf if operation.returned is None else operation.returned
