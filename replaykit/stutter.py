"""Stutter: a command is sent again, as a client does that lost the answer, and nothing more may happen.

A client that retries a request sends it with the same idempotency key (IETF draft "The Idempotency-Key HTTP Header
Field"), or knows that the method is idempotent (RFC 9110, section 9.2.2). It does so at once, or some steps later,
or so early that both are under way at the same time. Which commands bear that, the model says:

    class Credit(Command, idempotent=True): ...             # known by a key: at once, later, at the same time
    class Rename(Command, idempotent="at once"): ...        # later, it would undo what came in between

A command that had no effect is not sent again: it may well have one the second time.
"""

from collections.abc import Hashable

from replaykit.command import Command, Event
from replaykit.model import Model, Prediction
from replaykit.sequence import Call
from replaykit.source import Source, derive
from replaykit.value import copied, frozen

LATEST = 5  # steps between a command and its repetition
REPEATED = "repeated"  # the name of what an answer breaks that is not the first one again
_OWN = 1 << 40  # sets the seeds of what is repeated apart from those of what is drawn


class Stutter:
    """Says which calls of a run are sent again, and when."""

    def __init__(self, seed: int, probability: float) -> None:
        self._seed = seed
        self._probability = probability
        self._due: dict[int, int] = {}  # label of a call -> number of calls after which it is sent again
        self._waiting: tuple[Call, int, Hashable] | None = None  # its effect is not known yet

    def of(self, call: Call, command: type[Command], state: Model) -> Call:
        """Choose whether a call that is about to be sent will be repeated; return it as it is to be sent."""
        source = Source(derive(self._seed, _OWN + call.label))
        if not command.idempotent or not source.chance(self._probability):
            return call
        delay = source.pick([-1, 0, source.below(LATEST) + 1] if command.idempotent is True else [-1, 0])
        if delay < 0:
            return call.replace(twice=True)
        self._waiting = call, call.label + delay + 1, frozen(state)
        return call

    def next(self, number: int, state: Model) -> int | None:
        """Return the label of the call that is to be repeated as call `number`; None if there is none."""
        if self._waiting is not None:
            call, when, before = self._waiting
            self._waiting = None
            if frozen(state) != before:
                self._due[call.label] = when
        label = next((label for label, when in self._due.items() if when <= number), None)
        if label is not None:
            del self._due[label]
        return label


def has_effect(state: Model, event: Event) -> bool:
    """Say whether an event changes the state, if it is folded in."""
    after = copied(state)
    Model.apply(after, event)
    return frozen(after) != frozen(state)


def is_answered_again(state: Model, command: Command, first: Event, again: Event) -> bool:
    """Say whether a repetition was answered as it should be: as the first time.

    What is idempotent by its nature may also say that there is nothing left to do, as the model expects it now.
    """
    if again == first or command.idempotent != "at once":
        return again == first
    prediction = Model.predict(state, command)
    return prediction is not None and prediction.admits(again) and not has_effect(state, again)


def in_order(state: Model, prediction: Prediction | None, events: list[Event]) -> list[Event] | None:
    """Find out which of two answers to the same command, sent twice at the same time, was given first.

    The first is what the model expects; the second is the same again, or has no effect. None where neither is so.
    """
    for first, second in (events, events[::-1]):
        if prediction is not None and not prediction.admits(first):
            continue
        after = copied(state)
        Model.apply(after, first)
        if second == first or not has_effect(after, second):
            return [first, second]
    return None
