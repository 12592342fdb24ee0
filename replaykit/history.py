"""History: what several branches of calls, sent at the same time, have seen, and the order that explains it.

Each branch is sent by a thread of its own, through the one adapter of the run. A branch ends where an answer was
lost, or where a call speaks of something that the branch was to make and did not: in another order of things, it
would have. What the branches saw is judged afterwards (module linearize): in some order that respects real time,
each answer is one that the model expects, all invariants hold after it, and all checks hold at the end.
"""

import contextvars
import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Listed
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from replaykit.adapter import Adapter
from replaykit.caller import Caller, Cassette, Over
from replaykit.command import Command, Event, Observation
from replaykit.errors import is_fault
from replaykit.interaction import Interaction
from replaykit.linearize import Linearization, NotAdmissibleError, NotSaidError, Operation, linearize
from replaykit.model import Model, Prediction
from replaykit.sequence import Call, Sequence
from replaykit.value import copied, frozen
from replaykit.verdict import Kind

LINEARIZABLE = "linearizable"  # the name of what a race breaks
JITTERED = 0.5  # how many calls of branches wait a little, so that they meet in more ways than one
JITTER = 0.003  # seconds, at most
LISTEN = 0.1  # seconds between two looks whether Ctrl-C was pressed
START_TOGETHER = 10.0  # seconds in which all threads have to be there
STOP_WITHIN = 2.0  # seconds that threads have to end in after Ctrl-C, each its share of them


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
        self.left = list(calls)
        self.sent: list[Sent] = []
        self.over: Over | None = None
        self.crash: BaseException | None = None
        self.stopped = False  # by Ctrl-C: nothing more is to be sent
        self.done = threading.Event()

    def go(self, began: float) -> None:
        """Send the calls, until there are no more."""
        while self.left and not self.stopped:
            self.send_next(began)

    def send_next(self, began: float) -> None:
        """Send the next call. The first one that can't be sent, or gets no answer, is the last one."""
        call = self.left.pop(0)
        try:
            if self._send(call, began):
                return
        except Over as over:
            self.over = over
        except BaseException as error:  # noqa: BLE001  the thread that waits for this one raises it again
            self.crash = error
        finally:
            self.refs.step = None
        self.left = []

    def _send(self, call: Call, began: float) -> bool:
        self.call, self.kept = call, []
        try:
            command = self.command(call)
        except Over as over:
            before = {each.label for each in self.calls[: len(self.calls) - len(self.left) - 1]}
            if over.ending == "stale" and call.needs & before:
                return False
            raise
        recorded = None if self.cassette is None else self.cassette.moments.get(call.label)
        if self.cassette is not None and recorded is None and not call.branch:
            recorded = 0.0, 0.0  # sent twice: no order has to be found
        if self.cassette is not None and recorded is None:
            raise Over("stale", f"step {call.label}: the bundle does not say when it was called")
        if recorded is None and _JITTER.random() < JITTERED:
            time.sleep(_JITTER.random() * JITTER)
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


_JITTER = random.Random()


def _now(began: float) -> float:
    return round(time.perf_counter() - began, 6)


def send_together(branches: Listed[Branch], by_thread: dict[int, Branch]) -> None:
    """Send all branches, each by a thread of its own, and wait for them; after Ctrl-C they send nothing more."""
    began, gate = time.perf_counter(), threading.Barrier(len(branches))

    def send(branch: Branch) -> None:
        by_thread[threading.get_ident()] = branch
        try:
            gate.wait(START_TOGETHER)
            branch.go(began)
        except threading.BrokenBarrierError:
            branch.over = Over("undecided", "the threads of the branches did not start together")
        finally:
            by_thread.pop(threading.get_ident(), None)
            branch.done.set()

    started: list[Branch] = []
    try:
        for branch in branches:
            context = contextvars.copy_context()  # by which other clients than ours know the run
            threading.Thread(target=context.run, args=[send, branch], daemon=True).start()
            started.append(branch)
        for branch in branches:
            # Not Thread.join, which takes a thread for dead that was interrupted (bpo-45274). And not at a stretch: a
            # thread that waits does not hear of a signal that another one got.
            while not branch.done.wait(LISTEN):
                pass
    finally:
        for branch in branches:
            branch.stopped = True
        gate.abort()
        for branch in started:
            branch.done.wait(STOP_WITHIN / len(started))
    _raise_crash(branches)


def send_in_turn(branches: Listed[Branch], by_thread: dict[int, Branch]) -> None:
    """Send the calls of all branches to a cassette, in the order in which they were answered when it was recorded."""
    order: list[tuple[float, int]] = []
    for number, branch in enumerate(branches):
        answered = 0.0
        for call in branch.calls:
            moments = branch.cassette.moments if branch.cassette is not None else {}
            answered = max(answered, returned_at(moments.get(call.label, (0.0, 0.0))[1]))
            order.append((answered, number))
    for _, number in sorted(order):
        branch = branches[number]
        if branch.left:
            by_thread[threading.get_ident()] = branch
            branch.send_next(0.0)
    _raise_crash(branches)


def _raise_crash(branches: Listed[Branch]) -> None:
    for branch in branches:
        if branch.crash is not None:
            raise branch.crash


def answered_in_order(branches: Listed[Branch]) -> list[Sent]:
    """List what was sent in the order in which it was answered, which is that in which refs were bound."""
    return sorted((each for branch in branches for each in branch.sent), key=lambda each: returned_at(each.returned))


def returned_at(moment: float | None) -> float:
    """Return when something was answered; a lost answer never was."""
    return math.inf if moment is None else moment


def first_over(branches: Listed[Branch]) -> Over | None:
    """Return what ends the run whatever the order was: a server error, a fault of the test code, no service."""
    overs = [branch for branch in branches if branch.over is not None and not branch.is_lost]
    overs.sort(key=lambda branch: (branch.over is not None and branch.over.failure is None, _last_called(branch)))
    return overs[0].over if overs else None


def lost_in(branches: Listed[Branch]) -> Over | None:
    """Return what says that an answer was lost, in the first branch where one was."""
    return next((branch.over for branch in branches if branch.is_lost), None)


def is_half_lost(branches: Listed[Branch]) -> bool:
    """Say whether a command whose answer was lost had sent more than one request: it may have been done by half."""
    return any(len(branch.sent[-1].kept) > 1 for branch in branches if branch.is_lost)


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

    operations = [each for branch in branches for each in _operations(branch)]
    return linearize(operations, caller.state, step, key=frozen, end=end)


def _operations(branch: Branch) -> Iterator[Operation]:
    """List when the calls of a branch were under way; one was answered before the next one was sent, if only just."""
    before = -1.0
    for each in branch.sent:
        called = max(each.called, math.nextafter(before, math.inf))
        before = max(called, each.returned or called)
        yield Operation(called, None if each.returned is None else before)


def _after(caller: Caller, state: Model, sent: Sent) -> Model:
    """Return the state after an operation; see `linearize` for what is raised."""
    event = sent.event
    try:
        allowed = Model.allows(state, sent.command)
        prediction = Model.predict(state, sent.command) if allowed else None
        if event is None:
            event = _only(prediction)
        fits = event is not None and (prediction is None or prediction.admits(event))
        after = state
        if fits and event is not None:
            after = copied(state)
            Model.apply(after, event)
    except BaseException as error:
        if not is_fault(error):
            raise
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


def _hold(caller: Caller, kind: Kind, name: str, look: Callable[[], object]) -> None:
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
