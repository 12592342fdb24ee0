"""History: what several branches of calls, sent at the same time, have seen, and the order that explains it.

Each branch is sent by a thread of its own, through the one adapter of the run. A branch ends where an answer was
lost, or where a call speaks of something that the branch was to make and did not: in another order of things, it
would have. What the branches saw is judged afterwards (module linearize): in some order that respects real time,
each answer is one that the model expects, all invariants hold after it, and all checks hold at the end.
"""

import random
import threading
import time
from collections.abc import Sequence as Listed
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from replaykit.adapter import Adapter
from replaykit.caller import Caller, Cassette, Over
from replaykit.command import Command, Event, Observation
from replaykit.interaction import Interaction
from replaykit.linearize import Linearization, NotAdmissibleError, NotSaidError, Operation, linearize
from replaykit.model import Model, Prediction
from replaykit.record import copied, text_of
from replaykit.sequence import Call, Sequence
from replaykit.verdict import Kind

LINEARIZABLE = "linearizable"  # the name of what a race breaks
JITTERED = 0.5  # how many calls of branches wait a little, so that they meet in more ways than one
JITTER = 0.003  # seconds, at most
START_TOGETHER = 10.0  # seconds in which all threads have to be there


@dataclass(slots=True)
class Sent:
    """One call of a branch as it was sent."""

    call: Call
    command: Command
    called: float  # seconds since the branches were started
    returned: float | None = None  # None: the answer was lost
    event: Event | None = None
    kept: list[Interaction] = field(default_factory=list)

    def __str__(self) -> str:
        return f"[{self.call.label}] {self.call.tag}"


class Look(NamedTuple):
    """What a check reads when all branches are done."""

    name: str
    observed: Observation | None  # None: it reads nothing, and looks at the state


class Branch(Caller):
    """Calls that are sent one after the other, while other branches are sent."""

    def __init__(self, adapter: Adapter[Any], state: Model, cassette: Cassette | None, calls: Sequence) -> None:
        super().__init__(adapter, state, cassette)
        self.part = "command"
        self.calls = calls
        self.sent: list[Sent] = []
        self.over: Over | None = None
        self.crash: BaseException | None = None

    def go(self, began: float, stop: threading.Event) -> None:
        """Send the calls. The first one that can't be sent, or gets no answer, is the last one."""
        try:
            for call in self.calls:
                if stop.is_set() or not self._send(call, began):
                    return
        except Over as over:
            self.over = over
        except BaseException as error:  # noqa: BLE001  the thread that waits for this one raises it again
            self.crash = error
        finally:
            self.refs.step = None

    def _send(self, call: Call, began: float) -> bool:
        self.call, self.kept = call, []
        before = {each.label for each in self.calls[: self.calls.index(call)]}
        try:
            command = self.command(call)
        except Over as over:
            if over.ending == "stale" and call.needs & before:
                return False
            raise
        recorded = None if self.cassette is None else self.cassette.moments.get(call.label)
        if self.cassette is not None and recorded is None and call.twice:
            recorded = 0.0, 0.0  # no order has to be found
        if self.cassette is not None and recorded is None:
            raise Over("stale", f"step {call.label}: the bundle does not say when it was called")
        if recorded is None and random.random() < JITTERED:
            time.sleep(random.random() * JITTER)
        self.refs.step = call.label
        sent = Sent(call, command, _now(began) if recorded is None else recorded[0], kept=self.kept)
        self.sent.append(sent)
        sent.event = self.ask(f"handler of {type(command).__name__}", lambda: self.perform(command))
        sent.returned = _now(began) if recorded is None else recorded[1]
        return True

    @property
    def is_lost(self) -> bool:
        """Whether it ended since nobody knows what its last call did."""
        return self.over is not None and self.over.ending == "unknown"


def _now(began: float) -> float:
    return round(time.perf_counter() - began, 6)


def send_together(branches: Listed[Branch], by_thread: dict[int, Branch]) -> None:
    """Send all branches, each by a thread of its own, and wait for them; Ctrl-C lets them end after their call."""
    began, stop = time.perf_counter(), threading.Event()
    gate = threading.Barrier(len(branches))

    def send(branch: Branch) -> None:
        by_thread[threading.get_ident()] = branch
        gate.wait(START_TOGETHER)
        branch.go(began, stop)

    threads = [threading.Thread(target=send, args=[branch], daemon=True) for branch in branches]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        stop.set()
    for branch in branches:
        if branch.crash is not None:
            raise branch.crash


def send_in_turn(branches: Listed[Branch], by_thread: dict[int, Branch]) -> None:
    """Send one branch after the other, to a cassette, which knows when all of it happened."""
    for branch in branches:
        by_thread[threading.get_ident()] = branch
        branch.go(time.perf_counter(), threading.Event())
        if branch.crash is not None:
            raise branch.crash


def first_over(branches: Listed[Branch]) -> Over | None:
    """Return what ends the run whatever the order was: a server error, a fault of the test code, no service."""
    overs = [branch for branch in branches if branch.over is not None and not branch.is_lost]
    overs.sort(key=lambda branch: (branch.over is not None and branch.over.failure is None, _last_called(branch)))
    return overs[0].over if overs else None


def _last_called(branch: Branch) -> float:
    return branch.sent[-1].called if branch.sent else 0.0


def explain(caller: Caller, branches: Listed[Branch], looks: Listed[Look]) -> Linearization[Model]:
    """Search for an order of all that was sent in which everything holds, from the state of the caller on."""
    sent = [each for branch in branches for each in branch.sent]

    def step(state: Model, number: int) -> Model:
        return _after(caller, state, sent[number])

    def end(state: Model) -> None:
        for look in looks:
            method = getattr(state, look.name)
            _hold(caller, "check", look.name, method if look.observed is None else partial(method, look.observed))

    operations = [Operation(each.called, each.returned) for each in sent]
    return linearize(operations, caller.state, step, key=text_of, end=end)


def _after(caller: Caller, state: Model, sent: Sent) -> Model:
    """Return the state after an operation; see `linearize` for what is raised."""
    event = sent.event
    try:
        allowed = state.allows(sent.command)
        prediction = state.predict(sent.command) if allowed else None
        if event is None:
            event = _only(prediction)
        fits = event is not None and (prediction is None or prediction.admits(event))
        after = state
        if fits and event is not None:
            after = copied(state)
            after.apply(event)
    except Exception as error:
        raise NotSaidError(f"in some order, the model raises at {sent}: {type(error).__name__}: {error}") from error
    if not allowed:
        raise NotSaidError(f"in some order, a precondition of {sent} does not hold")
    if event is None:
        raise NotSaidError(f"the answer of {sent} was lost, and the model does not say what it was")
    if not fits:
        raise NotAdmissibleError(f"{sent}: expected {prediction}, got {event!r}")
    for name in after.rules.invariants:
        _hold(caller, "invariant", name, getattr(after, name))
    return after


def _only(prediction: Prediction | None) -> Event | None:
    """Return the event that a lost answer held; None where the model leaves something open."""
    admissible = () if prediction is None else prediction.admissible
    event = admissible[0] if len(admissible) == 1 else None
    return event if isinstance(event, Event) else None


def _hold(caller: Caller, kind: Kind, name: str, look: Any) -> None:
    try:
        failure = caller.failure_of(kind, name, look)
    except Over as over:
        said = over.failure.message if over.failure is not None else over.reason
        raise NotSaidError(f"in some order, {name} raises: {said}") from over
    if failure is not None:
        raise NotAdmissibleError(f"{name}: {failure.message}")


def refutation(branches: Listed[Branch], found: Linearization[Model]) -> str:
    """Say why no order explains a history: how far the best one goes, and what can't come then."""
    sent = [each for branch in branches for each in branch.sent]
    order = ", ".join(str(sent[number]) for number in found.order)
    where = "at the end" if len(found.order) == len(sent) else "after that"
    place = f"in the order {order}, {where}" if order else "whatever comes first"
    return f"no order explains what {len(branches)} branches saw: {place}: {'; or '.join(found.reasons[:4])}"
