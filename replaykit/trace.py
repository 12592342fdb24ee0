"""Trace: everything that happened in one run, whatever the outcome."""

from collections.abc import Mapping
from operator import attrgetter
from typing import Literal, TypeAlias

from replaykit.interaction import Interaction, in_order
from replaykit.redact import Redactor
from replaykit.sequence import Call, one_by_one
from replaykit.value import JsonText, Record
from replaykit.verdict import Failure

Ending: TypeAlias = Literal[
    "passed",  # ran to its end, and all that was judged holds
    "failed",  # the failure says why
    "unreachable",  # a request never reached the service
    "unknown",  # an answer was lost, so that nobody knows what the service did
    "stale",  # a call of a fixed sequence no longer fits
    "undecided",  # whether some order explains what branches saw could not be found out
    "recorded",  # nothing was judged: it was recorded without a model
]

Moments: TypeAlias = Mapping[int, tuple[float, float | None]]  # by label: when a call was sent, and when answered


class Said(Record):
    """An event or an observation as it is written down: its tag and version, its fields as JSON text."""

    tag: str
    version: int
    data: JsonText


class Step(Record):
    """One call as it was executed."""

    call: Call
    interactions: tuple[Interaction, ...] = ()
    event: Said | None = None  # None: no answer that could be read
    again: Said | None = None  # the second answer, where the call was sent twice at the same time
    observing: tuple[Interaction, ...] = ()  # what was sent to read the observations
    observations: tuple[Said, ...] = ()
    state: JsonText | None = None  # the projection after the step; None in a branch, where nobody knows it
    called: float | None = None  # in a branch: seconds from the start of the branches
    returned: float | None = None  # the same; None where the answer was lost
    at: float | None = None  # when it was sent: seconds since the first call; None where no time was kept
    faults: tuple[int, ...] = ()  # the labels of the calls whose faults were on


class Trace(Record):
    """One sequence executed once."""

    resetting: tuple[Interaction, ...] = ()
    steps: tuple[Step, ...] = ()  # those of branches in the order in which they were answered
    closing: tuple[Interaction, ...] = ()  # what was sent to read the observations at the end
    closing_observations: tuple[Said, ...] = ()
    recorded: tuple[Interaction, ...] = ()  # what was sent without a model, by no step
    nonce: str = ""  # what makes minted values unique to this run; empty where nothing was minted
    ending: Ending
    reason: str = ""  # why it ended so, where there is no failure to say it
    failure: Failure | None = None

    @property
    def sequence(self) -> tuple[Call, ...]:
        """The calls that were executed, those of one branch after those of the other."""
        calls = tuple(step.call for step in self.steps)
        return tuple(sorted(calls, key=attrgetter("branch"))) if calls and calls[-1].branch else calls

    @property
    def moments(self) -> Moments:
        """When the calls in branches were sent and answered."""
        return {step.call.label: (step.called, step.returned) for step in self.steps if step.called is not None}

    @property
    def in_turn(self) -> tuple[Call, ...]:
        """The calls one after the other, those of branches in the order in which they were sent."""
        steps = sorted(self.steps, key=lambda step: -1.0 if step.called is None else step.called)
        return one_by_one(tuple(step.call for step in steps))

    @property
    def span(self) -> float:
        """How long it took from the first call to the last one, in seconds; 0 where no time was kept."""
        return max((step.at for step in self.steps if step.at is not None), default=0.0)

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        inside = sum(len(step.interactions) + len(step.observing) for step in self.steps)
        return len(self.resetting) + inside + len(self.closing) + len(self.recorded)

    def interactions(self) -> list[Interaction]:
        """List all interactions in the order in which they were sent."""
        return [interaction for interaction, _ in self.placed()]

    def placed(self) -> list[tuple[Interaction, str]]:
        """List all interactions in the order in which they were sent, and say where: `reset`, `step 3`, `the end`."""
        listed = [(each, RESET) for each in self.resetting]
        for step in self.steps:
            place = place_of(step.call.label)
            listed += [(each, place) for each in (*step.interactions, *step.observing)]
        listed += [(each, END) for each in (*self.closing, *self.recorded)]
        return in_order((each, each[0].before) for each in listed)

    @property
    def turns(self) -> Mapping[str, int]:
        """Which place of the run was before which other one; those of branches were all at the same time."""
        first = next((number for number, step in enumerate(self.steps) if step.call.branch), len(self.steps))
        steps = {place_of(step.call.label): 1 + min(first, number) for number, step in enumerate(self.steps)}
        return {RESET: 0, **steps, END: len(self.steps) + 1}


RESET, END = "reset", "the end"


def place_of(label: int) -> str:
    """Name the place of a step in a run."""
    return f"step {label}"


def learn(redactor: Redactor, trace: Trace) -> None:
    """Let a redactor find what is secret in a run, so that it covers that wherever it is told."""
    for step in trace.steps:
        redactor.look_at_arguments(step.call.args)
    redactor.look_at(trace.interactions())


def covered(redactor: Redactor, trace: Trace) -> Trace:
    """Return the steps of a run as they can be told: with the secrets covered, by who has learned them."""

    def sent(interactions: tuple[Interaction, ...]) -> tuple[Interaction, ...]:
        return tuple(map(redactor.interaction, interactions))

    def said(each: Said) -> Said:
        return each.replace(data=redactor.text(each.data))

    steps = [
        step.replace(
            call=step.call.replace(args=redactor.arguments(step.call.args)),
            event=None if step.event is None else said(step.event),
            again=None if step.again is None else said(step.again),
            state=None if step.state is None else redactor.text(step.state),
            interactions=sent(step.interactions),
            observing=sent(step.observing),
            observations=tuple(map(said, step.observations)),
        )
        for step in trace.steps
    ]
    return trace.replace(
        steps=tuple(steps),
        resetting=sent(trace.resetting),
        closing=sent(trace.closing),
        closing_observations=tuple(map(said, trace.closing_observations)),
        recorded=sent(trace.recorded),
    )
