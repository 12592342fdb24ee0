"""Running: the one place where a command is sent.

Theory of operation. A run folds a sequence of calls into a trace. Calls come from a source: one that draws
them from the state as it is (integration, hunting), or one that holds a fixed sequence (a shrink candidate,
a replay). Requests go past a tape: to the network, or to a cassette. Everything else is the same for all
of them, so that what fails while hunting fails while replaying for the same reason.

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

The first thing that does not hold ends the run, in this order: server error, expectation, invariant,
check. So a symptom that can only be seen by reading is never reported before its cause in the state.
"""

import contextlib
import linecache
import os
import time
import traceback
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from replaykit.adapter import Adapter, Mock
from replaykit.cassette import target
from replaykit.client import advice
from replaykit.command import Command, Event, Observation, Refs, Wait, Waited, command_of
from replaykit.difference import NotSameError
from replaykit.errors import DefinitionError, StaleError, UnwritableError
from replaykit.generator import is_minted
from replaykit.interaction import FIRST_SERVER_ERROR, Interaction, Request
from replaykit.model import Check, CheckFailedError, Model, ReturnedError
from replaykit.record import InvalidValueError, JsonText, text_of, text_of_data
from replaykit.redact import redacted
from replaykit.sequence import Call
from replaykit.trace import Ending, Said, Step, Trace
from replaykit.verdict import Failure, Kind

MAX_WAIT = 3600.0  # seconds; a bundle from a stranger may ask for more


class Calls(Protocol):
    """Where the calls of a run come from."""

    def next(self, state: Model, refs: Refs) -> Call | None:
        """Return the next call in this state; None ends the run."""


class Cassette(Protocol):
    """What answers instead of the network."""

    missed: str | None

    def answer(self, request: Request) -> Interaction:
        """Return the recorded interaction for a request."""

    def unused(self) -> str | None:
        """Say what was recorded and never asked for; None if all was."""


class Listener(Protocol):
    """What is told of a run while it happens; a bundle's writer is one."""

    def interaction(self, part: str, step: int | None, interaction: Interaction) -> None:
        """Hear of a request and its answer; `part` is reset, command, observe or end."""

    def call(self, call: Call) -> None:
        """Hear of a call that is about to be sent."""

    def nonce(self, nonce: str) -> None:
        """Hear, before the first call that has something minted in it, what makes it unique to this run."""

    def event(self, step: int, said: Said) -> None:
        """Hear of the answer to a call."""

    def observation(self, step: int | None, said: Said) -> None:
        """Hear of what was read in order to check it."""

    def state(self, step: int, state: JsonText) -> None:
        """Hear of the projection after a step."""

    def end(self, ending: Ending, reason: str, failure: Failure | None) -> None:
        """Hear how the run ended."""


def execute(
    model: type[Model],
    adapter: Adapter[Any],
    calls: Calls,
    *,
    cassette: Cassette | None = None,
    listener: Listener | None = None,
    tally: Counter[tuple[str, str]] | None = None,
    nonce: str | None = None,
) -> Trace:
    """Run calls against the service behind an adapter, or against a cassette, and return what happened.

    `tally` counts what was exercised, by role and name: ("check", "board_matches"). `nonce` is what makes minted
    values unique to a run: a new one, or the recorded one where its cassette is played.
    Raises DefinitionError where the model or the adapter can't be used at all.
    """
    if nonce is not None:
        adapter.refs.nonce = nonce
    run = _Run(model, adapter, calls, cassette, listener, tally if tally is not None else Counter())
    if isinstance(adapter, Mock):
        return run.go()
    with adapter.http.through(run):
        return run.go()


class _Over(Exception):  # noqa: N818  not an error: how a run leaves its loop
    """The run ends here."""

    def __init__(self, ending: Ending, reason: str = "", failure: Failure | None = None) -> None:
        super().__init__(ending)
        self.ending: Ending = ending
        self.reason = reason
        self.failure = failure


class _Run:
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
        self.adapter = adapter
        self.calls = calls
        self.cassette = cassette
        self.listener = listener
        self.tally = tally
        self.state = self._first_state(model)
        self.refs = adapter.refs
        self.minted = False  # was the nonce told?
        self.count = 0
        self.part = "reset"
        self.call: Call | None = None
        self.kept: list[Interaction] = []
        self.resetting: tuple[Interaction, ...] = ()
        self.steps: list[Step] = []
        self.observations: list[Said] = []
        self.step: dict[str, Any] = {}

    @staticmethod
    def _first_state(model: type[Model]) -> Model:
        try:
            return model()
        except ValueError as error:
            raise DefinitionError(
                f"{model.__name__} can't be made without arguments: {error}.", "Give each of its fields a default."
            ) from None

    # --- the tape

    def answer(self, request: Request) -> Interaction | None:
        return None if self.cassette is None else self.cassette.answer(request)

    def keep(self, interaction: Interaction) -> None:
        if self.call is None and self.part not in {"reset", "end"}:
            return  # sent by a thread of the adapter's between two steps: no part of the sequence
        interaction = redacted(interaction)
        self.kept.append(interaction)
        if self.listener is not None:
            self.listener.interaction(self.part, self.call.label if self.call else None, interaction)

    # --- the loop

    def go(self) -> Trace:
        ending: Ending = "passed"
        reason, failure = "", None
        try:
            self._reset()
            while (call := self._next_call()) is not None:
                self._take_step(call)
            self.part, self.kept, self.observations = "end", [], []
            self._judge_checks([each for each in self.state.rules.checks if each.at == "end"])
        except _Over as over:
            ending, reason, failure = over.ending, over.reason, over.failure
        else:
            unused = self.cassette.unused() if self.cassette is not None else None
            if unused is not None:
                ending, reason = "stale", unused
        if self.step:
            self._close_step()
        if self.listener is not None:
            self.listener.end(ending, reason, failure)
        at_end = self.part == "end"
        return Trace(
            resetting=self.resetting if self.part != "reset" else tuple(self.kept),
            steps=tuple(self.steps),
            closing=tuple(self.kept) if at_end else (),
            closing_observations=tuple(self.observations) if at_end else (),
            nonce=self.refs.nonce if self.minted else "",
            ending=ending,
            reason=reason,
            failure=failure,
        )

    def _reset(self) -> None:
        if not isinstance(self.adapter, Mock):
            self._guarded("adapter", "headers", self._renew_client)
        self._ask("reset", self.adapter.reset)
        self.resetting = tuple(self.kept)

    def _renew_client(self) -> None:
        adapter = self.adapter
        adapter.http.renew(adapter.headers(), adapter.auth(), adapter.timeout)

    def _next_call(self) -> Call | None:
        self.call = None
        try:
            return self.calls.next(self.state, self.refs)
        except (DefinitionError, StaleError):
            raise
        except Exception as error:
            raise self._fault("model", "requires", error) from error

    def _take_step(self, call: Call) -> None:
        self.count += 1
        self.call = call
        self.part, self.kept, self.observations = "command", [], []
        command = self._command(call)
        self.step = {"call": call}
        if not self.minted and is_minted(call.args):
            self.minted = True
            if self.listener is not None:
                self.listener.nonce(self.refs.nonce)
        if self.listener is not None:
            self.listener.call(call)
        self.tally["command", call.tag] += 1
        prediction = self._guarded("model", "expects", lambda: self.state.predict(command))
        self.refs.step = call.label
        event: Event = self._ask(f"handler of {type(command).__name__}", lambda: self._perform(command))
        self.refs.step = None
        said = Said(tag=event.tag, version=event.version, data=self._text(event))
        self.step["event"] = said
        if self.listener is not None:
            self.listener.event(call.label, said)
        broken = None
        if prediction is not None:
            self.tally["expectation", prediction.name] += 1
            if not prediction.admits(event):
                broken = self._failure(
                    "expectation",
                    prediction.name,
                    f"expected {prediction}, got {event!r}",
                    expected=str(prediction),
                    actual=repr(event),
                    outcome=f"{prediction.tags} -> {event.tag}",
                )
        try:
            self._guarded("model", "on", lambda: self.state.apply(event))
            self._snapshot(call)
        except _Over:
            if broken is None:
                raise
        if broken is not None:
            raise _Over("failed", failure=broken)
        self._judge_invariants()
        due = [each for each in self.state.rules.checks if each.due(self.count, command, event)]
        self.part, self.step["interactions"], self.kept = "observe", tuple(self.kept), []
        self._judge_checks(due)
        self._close_step()

    def _perform(self, command: Command) -> Event:
        """Ask the adapter, or let time go by, for which nobody has to be asked; a cassette and a mock need none."""
        if not isinstance(command, Wait) or type(command) in self.adapter.handlers or isinstance(self.adapter, Mock):
            return self.adapter.perform(command)
        if self.cassette is None:
            time.sleep(command.seconds)
        return Waited(seconds=command.seconds)

    def _close_step(self) -> None:
        where = "observing" if self.part == "observe" else "interactions"
        self.step[where] = tuple(self.kept)
        self.steps.append(Step(**self.step, observations=tuple(self.observations)))
        self.step = {}

    def _command(self, call: Call) -> Command:
        kind = self.state.rules.by_tag.get(call.tag)
        if kind is None:
            known = ", ".join(sorted(self.state.rules.by_tag))
            raise _Over(
                "stale", f"step {call.label}: {type(self.state).__name__} has no command {call.tag} (it has {known})"
            )
        try:
            command = command_of(kind, call.version, call.args, self.refs)
        except StaleError as error:
            raise _Over("stale", f"step {call.label}: {error.happened}") from None
        except Exception as error:
            raise self._fault("model", f"{kind.__name__}.upcast", error) from error
        if isinstance(command, Wait) and not 0 <= command.seconds <= MAX_WAIT:
            raise _Over("stale", f"step {call.label}: nobody waits {command.seconds:g} seconds (at most {MAX_WAIT:g})")
        if not self._guarded("model", "requires", lambda: self.state.allows(command)):
            raise _Over("stale", f"step {call.label}: a precondition of {call.tag} does not hold any more")
        return command

    def _snapshot(self, call: Call) -> None:
        state = self._text(self.state)
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
            if kind is None:
                self.tally["check", check.name] += 1
                self._judge("check", check.name, method)
                continue
            if kind not in seen:
                seen[kind] = self._observe(kind)
            observed = seen[kind]
            if observed is None:
                continue
            self.tally["check", check.name] += 1
            if check.within:
                settled = self._await(check, kind, method, observed)
                if settled is not observed:  # time went by, so what was seen before is old
                    seen = {kind: settled}
            else:
                self._judge("check", check.name, partial(method, observed))

    def _await(
        self, check: Check, kind: type[Observation], method: Callable[[Observation], None], observed: Observation
    ) -> Observation:
        """Look again and again until a check holds; return what was seen then.

        Of a cassette, time is up where nothing is left on it, or nothing was asked of it.
        """
        deadline, asked = time.monotonic() + check.within, -1
        while (failure := self._failure_of("check", check.name, partial(method, observed))) is not None:
            left = deadline - time.monotonic()
            if left <= 0 if self.cassette is None else self.cassette.unused() is None or asked == len(self.kept):
                message = f"{failure.message} (still so after {check.within:g} seconds)"
                raise _Over("failed", failure=failure.replace(message=message))
            if self.cassette is None:
                time.sleep(min(check.pause, left))
            asked = len(self.kept)
            observed = self._observe(kind) or observed
        return observed

    def _observe(self, kind: type[Observation]) -> Observation | None:
        observed: Observation | None = self._ask(f"reader of {kind.__name__}", lambda: self.adapter.observe(kind))
        if observed is not None:
            said = Said(tag=observed.tag, version=observed.version, data=self._text(observed))
            self.observations.append(said)
            if self.listener is not None:
                self.listener.observation(self.call.label if self.call else None, said)
        return observed

    def _judge(self, kind: Kind, name: str, look: Callable[[], object]) -> None:
        """End the run where a check does not hold."""
        failure = self._failure_of(kind, name, look)
        if failure is not None:
            raise _Over("failed", failure=failure)

    def _failure_of(self, kind: Kind, name: str, look: Callable[[], object]) -> Failure | None:
        """Hold a check; one that returns something is a fault of the model, since it would never fail."""
        try:
            returned = look()
        except NotSameError as error:
            return self._failure(kind, name, str(error), expected=error.expected, actual=error.actual)
        except CheckFailedError as error:
            return self._failure(kind, name, str(error), actual=error.data or None)
        except AssertionError as error:
            return self._failure(kind, name, str(error) or _line_of(error))
        except Exception as error:
            raise self._fault("model", name, error) from error
        if returned is None:
            return None
        message = f"{name} returned {returned!r}: a check holds if it does not raise, and returns nothing"
        wrong = ReturnedError(name, message)
        raise self._fault("model", name, wrong)

    def _failure(self, kind: Kind, name: str, message: str, **more: Any) -> Failure:
        call = self.call
        return Failure(
            kind=kind,
            name=name,
            step=call.label if call else None,
            command=call.tag if call else None,
            message=_sayable(message),
            **{name: _sayable(value) for name, value in more.items()},
        )

    # --- asking the user's code

    def _ask(self, what: str, ask: Callable[[], Any]) -> Any:
        """Let the adapter speak to the service, and tell apart what went wrong with whom."""
        before = len(self.kept)
        try:
            said = ask()
        except UnwritableError:  # the listener's, which hears of requests while the adapter asks
            raise
        except Exception as error:
            self._judge_network(before)
            raise self._fault("adapter", what, error) from error
        self._judge_network(before)
        return said

    def _judge_network(self, before: int) -> None:
        """End the run where an answer was lost, whatever the adapter made of it: nobody knows what was done."""
        if self.cassette is not None and self.cassette.missed is not None:
            raise _Over("stale", f"{self._place()}: {self.cassette.missed}")
        for interaction in self.kept[before:]:
            self._judge_server_error(interaction)
            trouble, request = interaction.trouble, interaction.request
            if trouble is None:
                continue
            said = f"{target(request)}: {trouble.error}: {trouble.message}"
            if trouble.before_sending:
                raise _Over("unreachable", f"{self._place()}: {said}")
            raise _Over("unknown", f"{self._place()}: the answer was lost; {said}")

    def _judge_server_error(self, interaction: Interaction) -> None:
        response = interaction.response
        if self.state.server_errors and response is not None and response.status >= FIRST_SERVER_ERROR:
            request = interaction.request
            message = f"{target(request)} answered {response.status} {response.reason}".rstrip()
            raise _Over("failed", failure=self._failure("server_error", "server_error", message))

    def _place(self) -> str:
        return "reset" if self.part == "reset" else f"step {self.call.label}" if self.call else "at the end"

    def _guarded(self, kind: Kind, what: str, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except Exception as error:
            raise self._fault(kind, what, error) from error

    def _text(self, value: Any) -> JsonText:
        try:
            return text_of(value)
        except InvalidValueError as error:
            raise self._fault("model", type(value).__name__, error) from error

    def _fault(self, kind: Kind, what: str, error: Exception) -> _Over:
        """Say that the test code raised."""
        method = error.method if isinstance(error, ReturnedError) else _method_of(error) or what
        message = f"{type(error).__name__}: {error}{advice(error)}"
        return _Over("failed", failure=self._failure(kind, method, message, traceback=users_traceback(error)))


def _sayable(value: Any) -> Any:
    """Return JSON data; where a text in it holds half a character, which no file can, show it escaped."""
    try:
        text_of_data(value)
    except InvalidValueError:
        return (value if isinstance(value, str) else repr(value)).encode("utf-8", "backslashreplace").decode("utf-8")
    return value


_OURS = f"{Path(__file__).parent}{os.sep}"


def _users_frames(error: BaseException) -> list[traceback.FrameSummary]:
    frames = traceback.extract_tb(error.__traceback__)
    return [frame for frame in frames if not frame.filename.startswith(_OURS)] or list(frames)


def users_traceback(error: BaseException) -> str:
    """Show a traceback from the user's own code on, without the engine's frames above it."""
    lines = traceback.format_list(traceback.StackSummary.from_list(_users_frames(error)))
    return "".join([*lines, *traceback.format_exception_only(error)])


def _method_of(error: BaseException) -> str | None:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_OURS)]
    return frames[0].name if frames else None


def _line_of(error: AssertionError) -> str:
    """Return the source line of a bare assert, for want of a message."""
    with contextlib.suppress(IndexError):
        frame = _users_frames(error)[-1]
        return linecache.getline(frame.filename, frame.lineno or 0).strip() or "an assertion does not hold"
    return "an assertion does not hold"
