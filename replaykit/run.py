"""Running: the one place where a command is sent.

Theory of operation. A run folds a sequence of calls into a trace. Calls come from a source: one that draws
them from the state as it is (integration, hunting), or one that holds a fixed sequence (a shrink candidate,
a replay). Requests go past a tape: to the network, or to a cassette. Everything else is the same for all
of them, so that what fails while hunting fails while replaying for the same reason. While a cassette is played, the
network can't be reached at all (module blockade).

One step:

1. The model says what it expects of the command in this state.
2. The adapter says the command to the service, and returns an event. A completed answer of any status is
   an event. Where the answer was lost after sending, the outcome is *unknown*: what the service did, and so
   what is true from now on, can't be said, and the run ends there. Where the service was not reached
   at all, it ends as *unreachable*. Neither is a failure of the service, and neither passes.
3. The expectation is judged, the event is folded into the state, the state is snapshotted.
4. Invariants are judged, then the checks that are due; what they observe is read once for each step, and
   again and again where a check says that the service may take its time. A cassette needs no time: there, the
   last look is the last one that was recorded.

A fault is a step too: when its turn comes, the steady state is looked at, and then it begins, and lasts while so many
commands are sent (module chaos). An answer that it costs does not end the run: the client finds out what became of the
command, and the expectation is judged only where it knows. When the last fault is over, the steady state is looked at
again.

The first thing that does not hold ends the run, in this order: server error, expectation, invariant,
check. So a symptom that can only be seen by reading is never reported before its cause in the state.

Where a sequence ends in branches, each of them is sent by a thread of its own, and all start together. What the
model predicts can't be judged at once then, since nobody knows in which order the service did what it was asked. So
it is judged when all are done: what the checks read then is read, and there has to be an order, in real time, in
which all answers and invariants hold, and after which the checks hold (module linearize). A cassette is asked one
branch after the other, and the times are the recorded ones.
"""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import takewhile
from typing import Any, NamedTuple, NoReturn, Protocol, TypeVar, runtime_checkable

from replaykit.adapter import Adapter, Mock
from replaykit.blockade import blockaded
from replaykit.caller import Caller, Cassette, Over, Witness
from replaykit.chaos import Chaos, Loss
from replaykit.command import Command, Event, Observation, Refs, Waited
from replaykit.errors import DefinitionError, StaleError
from replaykit.fault import Fault, Injected, Lost
from replaykit.generator import is_minted
from replaykit.history import (
    LINEARIZABLE,
    Branch,
    Look,
    Sent,
    answered_in_order,
    explain,
    first_over,
    is_half_lost,
    lost_in,
    refutation,
    send_in_turn,
    send_together,
)
from replaykit.interaction import Interaction, Request
from replaykit.linearize import Linearization
from replaykit.model import Check, Model, Prediction, count_labels
from replaykit.sequence import MAX_BRANCHES, MAX_PARALLEL, Call, Sequence
from replaykit.stutter import REPEATED, in_order, is_answered_again
from replaykit.trace import Ending, Said, Step, Trace
from replaykit.value import JsonText, frozen
from replaykit.verdict import Failure, Kind

T = TypeVar("T")


class Calls(Protocol):
    """Where the calls of a run come from."""

    def next(self, state: Model, refs: Refs) -> Call | None:
        """Return the next call in this state; None where there are no more, but for those in branches."""

    def branches(self, state: Model, refs: Refs) -> tuple[Sequence, ...]:
        """Return, after the last call, what is to be run at the same time."""


class Listener(Protocol):
    """What is told of a run while it happens; a bundle's writer is one."""

    def interaction(self, part: str, step: int | None, interaction: Interaction) -> None:
        """Hear of a request and its answer; `part` is reset, command, observe or end."""

    def call(self, call: Call, at: float | None, faults: tuple[int, ...] = ()) -> None:
        """Hear of a call that is about to be sent, `at` so many seconds after the first; None where no time counts.

        `faults` are the labels of the calls whose faults are on.
        """

    def nonce(self, nonce: str) -> None:
        """Hear, before the first call that has something minted in it, what makes it unique to this run."""

    def event(self, step: int, said: Said) -> None:
        """Hear of the answer to a call."""

    def moment(self, step: int, called: float, returned: float | None) -> None:
        """Hear when a call of a branch was sent and answered: seconds since the branches were started."""

    def observation(self, step: int | None, said: Said) -> None:
        """Hear of what was read in order to check it."""

    def state(self, step: int, state: JsonText) -> None:
        """Hear of the projection after a step."""

    def end(self, ending: Ending, reason: str, failure: Failure | None) -> None:
        """Hear how the run ended."""


@runtime_checkable
class Patient(Protocol):
    """A listener that hears of things later, while an answer is waited for."""

    def tell_one(self) -> bool:
        """Let it hear one thing; say whether there was one."""


def execute(
    model: type[Model],
    adapter: Adapter[Any],
    calls: Calls,
    *,
    cassette: Cassette | None = None,
    listener: Listener | None = None,
    tally: Counter[tuple[str, str]] | None = None,
    nonce: str | None = None,
    witness: Witness | None = None,
) -> Trace:
    """Run calls against the service behind an adapter, or against a cassette, and return what happened.

    `tally` counts what was exercised, by role and name: ("check", "board_matches"), ("label", "sold out"). `nonce`
    is what makes minted values unique to a run: a new one, or the recorded one where its cassette is played.
    `witness` hears of what is judged.
    Raises DefinitionError where the model or the adapter can't be used at all.
    """
    if nonce is not None:
        adapter.refs.nonce = nonce
    run = _Run(model, adapter, calls, cassette, listener, tally if tally is not None else Counter())
    run.witness = witness
    if isinstance(adapter, Mock):
        return run.go()
    if cassette is None:
        return _through(adapter, run)
    with blockaded(cassette):
        return _through(adapter, run)


def _through(adapter: Adapter[Any], run: "_Run") -> Trace:
    """Run what goes past the tape of a run."""
    with adapter.http.through(run):
        if not adapter.other_clients:
            return run.go()
        from replaykit import foreign

        with foreign.through(run):
            trace = run.go()
        _require_captured(adapter, trace)
        return trace


def _require_captured(adapter: Adapter[Any], trace: Trace) -> None:
    """Raise DefinitionError where handlers answered, and no request of theirs was seen."""
    said = [step for step in trace.steps if step.event is not None and step.event.tag != Waited.tag]
    if said and not trace.requests:
        raise DefinitionError(
            f"{type(adapter).__name__} uses other clients, and none of its requests was seen.",
            "Seen are requests, urllib3, http.client, botocore, aiohttp, httpx; send with one of them, or self.http.",
        )


class _First(NamedTuple):
    """A command that had an effect, and the answer to it."""

    label: int
    command: Command
    event: Event


class _Run(Caller):
    """One run: the tape of its requests, and the loop over its steps."""

    def __init__(
        self,
        model: type[Model],
        adapter: Adapter[Any],
        calls: Calls,
        cassette: Cassette | None,
        listener: Listener | None,
        tally: Counter[tuple[str, str]],
    ) -> None:
        super().__init__(adapter, self._first_state(model), cassette)
        is_real = cassette is None and not isinstance(adapter, Mock)
        self.chaos = Chaos(adapter.injector if is_real else None, is_real=is_real)
        self.has_faults = bool(model.rules.faults)
        self.calls = calls
        self.listener = listener
        self.patient = listener if isinstance(listener, Patient) else None
        self.tally = tally
        self.minted = False  # was the nonce told?
        self.count = 0
        self.began: float | None = None  # when the first call was sent
        self.resetting: tuple[Interaction, ...] = ()
        self.steps: list[Step] = []
        self.observations: list[Said] = []
        self.step: dict[str, Any] = {}
        self.branches: dict[int, Branch] = {}  # by the thread that sends them
        self.is_astray = False
        self.effective: dict[int, _First] = {}  # what can be sent again, by label
        self.checking: Kind = "check"  # what it is that a check finds now

    @staticmethod
    def _first_state(model: type[Model]) -> Model:
        try:
            return model()
        except ValueError as error:
            raise DefinitionError(
                f"{model.__name__} can't be made without arguments: {error}.", "Give each of its fields a default."
            ) from None

    # --- the tape

    @property
    def plays(self) -> bool:
        return self.cassette is not None

    def answer(self, request: Request) -> Interaction | None:
        branch = self.branches.get(threading.get_ident()) if self.branches else None
        if branch is not None and branch.stopped:
            raise InterruptedError("the run was interrupted, and sends nothing more")
        return None if self.cassette is None else self.cassette.answer(request, (branch or self).place)

    def meanwhile(self) -> bool:
        return self.patient is not None and not self.branches and self.patient.tell_one()

    def run_out(self, request: Request, size: int) -> None:
        if self.cassette is not None:
            self.cassette.run_out(request, size)

    def keep(self, interaction: Interaction) -> None:
        if self.branches and (branch := self.branches.get(threading.get_ident())) is not None:
            branch.kept.append(interaction)
            return
        if self.branches:
            self.is_astray = True  # sent by a thread of the adapter's: for which branch, nobody knows
            return
        if self.call is None and self.part not in {"reset", "end"}:
            return  # sent by a thread of the adapter's between two steps: no part of the sequence
        self.kept.append(interaction)
        if self.listener is not None:
            self.listener.interaction(self.part, self.call.label if self.call else None, interaction)

    # --- the loop

    def go(self) -> Trace:
        ending: Ending = "passed"
        reason, failure = "", None
        try:
            with self._calmed():
                self._take_all()
        except Over as over:
            ending, reason, failure = over.ending, over.reason, over.failure
        else:
            unused = self.cassette.unused() if self.cassette is not None else None
            if unused is not None:
                ending, reason = "stale", unused
        if self.cassette is not None and self.cassette.missed is not None and ending != "stale":
            ending, reason, failure = "stale", self.cassette.missed, None  # whatever was made of that
        if not isinstance(self.adapter, Mock):
            self.adapter.http.settle()
        if self.step:
            self._close_step()
        if self.listener is not None:
            self.listener.end(ending, reason, failure)
        at_end = self.part == "end"
        trace = Trace(
            resetting=self.resetting if self.part != "reset" else tuple(self.kept),
            steps=tuple(self.steps),
            closing=tuple(self.kept) if at_end else (),
            closing_observations=tuple(self.observations) if at_end else (),
            nonce=self.refs.nonce if self.minted else "",
            ending=ending,
            reason=reason,
            failure=failure,
        )
        if self.witness is not None:
            self.witness.over(trace)
        return trace

    @contextlib.contextmanager
    def _calmed(self) -> Iterator[None]:
        """Take back all faults at the end; what has ended the run counts more than that this does not succeed."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(Over):
                self.chaos.lift()
            raise
        self.chaos.lift()

    def _take_all(self) -> None:
        """Send all calls, and judge what there is to judge at the end."""
        self._reset()
        while (call := self._next_call()) is not None:
            self._take_step(call)
        self.chaos.lift()
        branches = self._draw(lambda: self.calls.branches(self.state, self.refs))
        if branches and not isinstance(self.adapter, Mock):
            history = self._send_branches(branches)
            self.part, self.kept, self.observations = "end", [], []
            self._judge_history(history)
        else:
            self.part, self.kept, self.observations, self.checking = "end", [], [], "check"
            self._judge_checks(self._steady() if self.chaos.settled() else [])
            self._judge_checks([each for each in self.state.rules.checks if each.at == "end"])

    def _reset(self) -> None:
        if not isinstance(self.adapter, Mock):
            self.guarded("adapter", "headers", self._renew_client)
        self.ask("reset", self.adapter.reset)
        self.resetting = tuple(self.kept)

    def _renew_client(self) -> None:
        adapter = self.adapter
        adapter.http.renew(adapter.headers(), adapter.auth(), adapter.timeout)

    def _next_call(self) -> Call | None:
        self.call = None
        return self._draw(lambda: self.calls.next(self.state, self.refs))

    def _draw(self, draw: Callable[[], T]) -> T:
        """Ask where the calls come from, which asks the model."""
        count_labels(self.state, None)  # preconditions are asked of commands that are never sent
        try:
            return draw()
        except (DefinitionError, StaleError, Over):  # the last: whoever steps through it has seen enough
            raise
        except BaseException as error:
            raise self.fault("model", "requires", error) from error
        finally:
            count_labels(self.state, self.tally)

    def _take_step(self, call: Call) -> None:
        self.count += 1
        self.call = call
        self.part, self.kept, self.observations = "command", [], []
        self.checking = "check"
        if call.repeats is None:
            command = self.command(call)
            self.require(call, command)
            self._tell(call)
            if self.has_faults and isinstance(command, Fault):
                self._begin_fault(call, command)
                return
            prediction = self.guarded("model", "expects", lambda: Model.predict(self.state, command))
            event = self._send_twice(call, prediction) if call.twice else self._send(call.label, command, prediction)
            self._judge_event(call, command, prediction, event)
        else:
            first = self._first_of(call)
            command = first.command
            self._tell(call)
            count_labels(self.state, None)  # what would be expected of it now is not what happens
            event = self._send_again(call, first)
            count_labels(self.state, self.tally)
        self._judge_invariants()
        due = [each for each in self.state.rules.checks if each.due(self.count, command, event)]
        self.part, self.step["interactions"], self.kept = "observe", tuple(self.kept), []
        self._judge_checks(due)
        if self.has_faults:
            self.chaos.spend()
            self._judge_checks(self._steady() if self.chaos.settled() else [])
        self._close_step()

    def _begin_fault(self, call: Call, fault: Fault) -> None:
        """Look whether all is well, and then begin a fault."""
        event = Injected(fault=fault.tag, steps=fault.steps)
        self._keep_answer("event", event)
        self.guarded("model", "on", lambda: Model.apply(self.state, event))
        self._snapshot(call)
        self._judge_invariants()
        self.part = "observe"
        if not self.chaos.faults:
            self._judge_checks(self._steady())
        self._close_step()
        self.chaos.begin(call.label, fault)

    def _steady(self) -> list[Check]:
        """List the checks of the steady state: those that look at any time, and those that a fault was in front of."""
        owed = self.chaos.owed()
        return [each for each in self.state.rules.checks if each.at == "step" and (not each.on or each.name in owed)]

    def _tell(self, call: Call) -> None:
        """Take down the call that is about to be sent."""
        at = self._now()
        self.step = {"call": call, "at": at, "faults": self.chaos.labels}
        if not self.minted and is_minted(call.args):
            self._tell_nonce()
        if self.listener is not None:
            self.listener.call(call, at, self.chaos.labels)
        self.tally["command", call.tag] += 1

    def _now(self) -> float | None:
        """Say how many seconds after the first call it is; None where a cassette or the model answers at once."""
        if self.plays or isinstance(self.adapter, Mock):
            return None
        now = time.perf_counter()
        self.began = now if self.began is None else self.began
        return round(now - self.began, 6)

    def _send(self, label: int, command: Command, prediction: Prediction | None = None) -> Event:
        self.refs.step = label
        event: Event
        if self.has_faults:
            event = self._send_through_faults(command, prediction)
        else:
            event = self.ask(f"handler of {type(command).__name__}", lambda: self.perform(command))
        self.refs.step = None
        self._keep_answer("event", event)
        return event

    def _send_through_faults(self, command: Command, prediction: Prediction | None) -> Event:
        before, bound = len(self.kept), self.refs.copy() if self.chaos.faults else None
        try:
            with self.chaos.through(command):
                event: Event = self.ask(f"handler of {type(command).__name__}", lambda: self.perform(command))
            self.chaos.require_applied(command, self.kept[before:])
        except Over as over:
            if bound is None:
                raise
            return self.chaos.found_out(self, command, prediction, Loss(over, self.kept[before:], bound))
        return event

    def _keep_answer(self, name: str, event: Event) -> None:
        said = Said(tag=event.tag, version=event.version, data=self.text(event))
        self.step[name] = said
        if self.listener is not None and self.call is not None:
            self.listener.event(self.call.label, said)

    def _judge_event(self, call: Call, command: Command, prediction: Prediction | None, event: Event) -> None:
        """Judge what was answered, and fold it into the state."""
        broken = None
        if prediction is not None and type(event) is not Lost:
            self.tally["expectation", prediction.name] += 1
            if self.witness is not None:
                self.witness.predicted(command, prediction, event, self.state, step=call.label)
            if not prediction.admits(event):
                broken = self.failure(
                    "expectation",
                    prediction.name,
                    f"expected {prediction}, got {event!r}",
                    expected=str(prediction),
                    actual=repr(event),
                    outcome=f"{prediction.tags} -> {event.tag}",
                )
        before = frozen(self.state) if command.idempotent else None
        try:
            self.guarded("model", "on", lambda: Model.apply(self.state, event))
            self._snapshot(call)
        except Over:
            if broken is None:
                raise
        if broken is not None:
            raise Over("failed", failure=broken)
        if command.idempotent and frozen(self.state) != before:
            self.effective[call.label] = _First(call.label, command, event)

    # --- sending again

    def _first_of(self, call: Call) -> "_First":
        """Return what a call repeats."""
        first = self.effective.get(-1 if call.repeats is None else call.repeats)
        if first is None:
            raise Over("stale", f"step {call.label}: there is nothing to repeat; step {call.repeats} had no effect")
        return first

    def _send_again(self, call: Call, first: "_First") -> Event:
        """Send a command again, and hold the service to its first answer."""
        self.checking = "idempotency"
        command, before = first.command, first.event
        if isinstance(self.adapter, Mock):
            event = before
            self._keep_answer("event", event)
        else:
            again = Prediction(REPEATED, (before,))  # of the answer to what is lost to a fault
            event = self._send(first.label, command, again)  # what it makes now is named as made by the first
        self.tally["idempotency", REPEATED] += 1
        if type(event) is not Lost and not self.guarded(
            "model", "expects", lambda: is_answered_again(self.state, command, before, event)
        ):
            self._not_repeated(f"sent again, it was answered {event!r}, and the first time {before!r}")
        self._bear_witness("idempotency", REPEATED, None)
        self._snapshot(call)
        return event

    def _send_twice(self, call: Call, prediction: Prediction | None) -> Event:
        """Send a command twice at the same time; return the first answer, and hold the service to it."""
        if self.chaos.faults:
            raise Over("stale", f"step {call.label}: while a fault is on, nothing is sent twice at the same time")
        if isinstance(self.adapter, Mock):
            return self._send(call.label, self.command(call))
        self.checking = "idempotency"
        pair = [Branch(self.adapter, self.state, self.cassette, (call,)) for _ in range(2)]
        self._send_history(pair)
        over = first_over(pair) or next((each.over for each in pair if each.over is not None), None)
        answers = [sent.event for each in pair for sent in each.sent if sent.event is not None]
        fitting = None
        if over is None:
            fitting = self.guarded("model", "expects", lambda: in_order(self.state, prediction, answers))
            if fitting is not None and fitting != answers:
                pair.reverse()
        for interaction in [each for branch in pair for sent in branch.sent for each in sent.kept]:
            self.kept.append(interaction)
            if self.listener is not None:
                self.listener.interaction("command", call.label, interaction)
        if over is not None:
            raise over
        event, again = fitting or answers
        self._keep_answer("event", event)
        self._keep_answer("again", again)
        self._require_all_known()
        self.tally["idempotency", REPEATED] += 1
        if fitting is None and (prediction is None or any(map(prediction.admits, answers))):
            self._not_repeated(f"sent twice at the same time, it was answered {event!r} and {again!r}")
        self._bear_witness("idempotency", REPEATED, None)
        return event

    def _not_repeated(self, message: str) -> NoReturn:
        failure = self.failure("idempotency", REPEATED, message)
        self._bear_witness("idempotency", REPEATED, failure)
        raise Over("failed", failure=failure)

    # --- sending at the same time

    def _tell_nonce(self) -> None:
        self.minted = True
        if self.listener is not None:
            self.listener.nonce(self.refs.nonce)

    def _send_branches(self, sequences: tuple[Sequence, ...]) -> list[Branch]:
        """Send branches at the same time, and take down what became of each; a cassette is asked one by one."""
        count_labels(self.state, None)  # from here on the model is asked of orders that may never have been
        calls = [call for branch in sequences for call in branch]
        if not 1 < len(sequences) <= MAX_BRANCHES or len(calls) > MAX_PARALLEL:
            raise Over(
                "stale",
                f"nobody sends {len(sequences)} branches of {len(calls)} calls at the same time "
                f"(2 to {MAX_BRANCHES}, and {MAX_PARALLEL} calls at most)",
            )
        if any(call.twice or call.repeats is not None for call in calls):
            raise Over("stale", "in a branch, nothing is sent again")
        if not self.minted and any(is_minted(call.args) for call in calls):
            self._tell_nonce()
        history = [Branch(self.adapter, self.state, self.cassette, branch) for branch in sequences]
        self.call = None
        began = self._now()
        self._send_history(history)
        for sent in answered_in_order(history):
            self._take(sent, None if began is None else round(began + sent.called, 6))
        over = first_over(history)
        if over is not None:
            raise over
        self._require_all_known()
        return history

    def _send_history(self, history: list[Branch]) -> None:
        try:
            (send_together if self.cassette is None else send_in_turn)(history, self.branches)
        finally:
            self.branches = {}

    def _require_all_known(self) -> None:
        if self.is_astray:
            raise Over("undecided", "the adapter sends from threads of its own, and for which branch is not known")

    def _take(self, sent: Sent, at: float | None) -> None:
        """Take down a call of a branch."""
        call, label, event = sent.call, sent.call.label, sent.event
        said = None if event is None else Said(tag=event.tag, version=event.version, data=self.text(event))
        self.tally["command", call.tag] += 1
        if event is not None and type(sent.command) in self.state.rules.expects:
            self.tally["expectation", self.state.rules.expects[type(sent.command)]] += 1
        self.steps.append(
            Step(
                call=call,
                interactions=tuple(sent.kept),
                event=said,
                called=sent.called,
                returned=sent.returned,
                at=at,
            )
        )
        if self.listener is None:
            return
        self.listener.call(call, at)
        for interaction in sent.kept:
            self.listener.interaction("command", label, interaction)
        self.listener.moment(label, sent.called, sent.returned)
        if said is not None:
            self.listener.event(label, said)

    def _judge_history(self, history: list[Branch]) -> None:
        """Look for an order that explains what the branches saw, and what can be read now."""
        self.tally["linearization", LINEARIZABLE] += 1
        lost = lost_in(history)
        found = explain(self, history, [])
        if found.answer == "explained":
            found = self._explain_looks(history)
            if lost is not None:  # it may have been done between two requests that read, so these refute nothing
                raise lost
        elif lost is not None and is_half_lost(history):
            raise lost
        if found.answer == "refuted":
            failure = self.failure("linearization", LINEARIZABLE, refutation(history, found))
            self._bear_witness("linearization", LINEARIZABLE, failure)
            raise Over("failed", failure=failure)
        if found.answer == "undecided":
            raise Over("undecided", f"no order was found that explains what the branches saw: {found.reasons[0]}")
        self._bear_witness("linearization", LINEARIZABLE, None)
        self.state = found.state

    def _explain_looks(self, history: list[Branch]) -> Linearization[Model]:
        """Read what the checks look at; where no order explains it, look again for as long as they allow."""
        rules = self.state.rules
        checks = [each for each in rules.checks if each.at != "end" and not each.on]
        checks += [each for each in rules.checks if each.at == "end"]
        at_once = {each.name for each in takewhile(lambda each: not each.within, checks)}  # they do not wait for others
        patient = {each.name: each.pause for each in checks if each.within}
        deadline, played = time.monotonic() + max([each.within for each in checks], default=0.0), -1
        while True:
            with self._looking(again=played >= 0):
                looks = self._look(checks)
            if patient and played < 0:  # what holds at once, or never
                found = explain(self, history, [look for look in looks if look.name in at_once])
                if found.answer != "explained":
                    break
            found = explain(self, history, looks)
            left = deadline - time.monotonic()
            if found.answer == "explained" or not patient or self._is_over(left, played):
                break
            if self.cassette is None:
                time.sleep(min(left, *patient.values()))
            played = 0 if self.cassette is None else self.cassette.played
        self.tally.update(("invariant", name) for name in rules.invariants)
        self.tally.update(("check", look.name) for look in looks)
        return found

    def _look(self, checks: list[Check]) -> list[Look]:
        """Read each observation that checks look at, once."""
        kinds = dict.fromkeys(each.observation for each in checks if each.observation is not None)
        seen = {kind: self._observe(kind) for kind in kinds}
        known = [each for each in checks if each.observation is None or seen[each.observation] is not None]
        return [Look(each.name, None if each.observation is None else seen[each.observation]) for each in known]

    def _close_step(self) -> None:
        where = "observing" if self.part == "observe" else "interactions"
        self.step[where] = tuple(self.kept)
        step = Step(**self.step, observations=tuple(self.observations))
        self.steps.append(step)
        self.step = {}
        if self.witness is not None:
            self.witness.taken(step)

    def _snapshot(self, call: Call) -> None:
        state = self.text(self.state)
        self.step["state"] = state
        if self.listener is not None:
            self.listener.state(call.label, state)

    # --- judging

    def _judge_invariants(self) -> None:
        for name in self.state.rules.invariants:
            self.tally["invariant", name] += 1
            self._judge("invariant", name, getattr(self.state, name))

    def _judge_checks(self, due: list[Check]) -> None:
        seen: dict[type[Observation], Observation | None] = {}
        for check in due:
            method = getattr(self.state, check.name)
            kind = check.observation
            if (self.has_faults or check.during) and self.chaos.is_in_the_way_of(check):
                continue
            if kind is None:
                self._count_check(check)
                self._judge(self.checking, check.name, method)
                continue
            if kind not in seen:
                seen[kind] = self._observe(kind)
            observed = seen[kind]
            if observed is None:
                continue
            self._count_check(check)
            if check.within:
                settled = self._await(check, kind, method, observed)
                if settled is not observed:  # time went by, so what was seen before is old
                    seen = {kind: settled}
            else:
                self._judge(self.checking, check.name, partial(method, observed))

    def _count_check(self, check: Check) -> None:
        self.tally["check", check.name] += 1
        if self.checking != "check":
            self.tally[self.checking, check.name] += 1

    def _await(
        self, check: Check, kind: type[Observation], method: Callable[[Observation], None], observed: Observation
    ) -> Observation:
        """Look again and again until a check holds; return what was seen then.

        Of a cassette, time is up where nothing is left on it, or the last look brought nothing new.
        """
        deadline, played = time.monotonic() + check.within, -1
        while (failure := self.failure_of(self.checking, check.name, partial(method, observed))) is not None:
            left = deadline - time.monotonic()
            if self._is_over(left, played):
                failure = failure.replace(message=f"{failure.message} (still so after {check.within:g} seconds)")
                self._bear_witness(self.checking, check.name, failure)
                raise Over("failed", failure=failure)
            if self.cassette is None:
                time.sleep(min(check.pause, left))
            played = 0 if self.cassette is None else self.cassette.played
            with self._looking(again=True):
                observed = self._observe(kind) or observed
        self._bear_witness(self.checking, check.name, None)
        return observed

    def _is_over(self, left: float, played: int) -> bool:
        """Say whether there is no other look: no seconds are left, or the cassette has no more than it had."""
        if self.cassette is None:
            return left <= 0
        return self.cassette.played == played or self.cassette.spent(self.place)

    def _looking(self, *, again: bool) -> contextlib.AbstractContextManager[None]:
        return self.cassette.again(self.place) if again and self.cassette is not None else contextlib.nullcontext()

    def _observe(self, kind: type[Observation]) -> Observation | None:
        observed: Observation | None = self.ask(f"reader of {kind.__name__}", lambda: self.adapter.observe(kind))
        if observed is not None:
            said = Said(tag=observed.tag, version=observed.version, data=self.text(observed))
            self.observations.append(said)
            if self.listener is not None:
                self.listener.observation(self.call.label if self.call else None, said)
        return observed

    def _judge(self, kind: Kind, name: str, look: Callable[[], object]) -> None:
        """End the run where a check does not hold."""
        failure = self.failure_of(kind, name, look)
        self._bear_witness(kind, name, failure)
        if failure is not None:
            raise Over("failed", failure=failure)

    def _bear_witness(self, kind: Kind, name: str, failure: Failure | None) -> None:
        if self.witness is not None:
            self.witness.judged(kind, name, failure, step=self.call.label if self.call else None)
