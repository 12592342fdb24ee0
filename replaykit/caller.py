"""Caller: sends one command, and tells apart what went wrong with whom.

A completed answer of any status is an event. Where the answer was lost after sending, the outcome is *unknown*:
what the service did, and so what is true from now on, can't be said. Where the service was not reached at all, it
is *unreachable*. What the user's own code raises is a fault of that code, and says nothing of the service.
"""

import contextlib
import linecache
import os
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from replaykit.adapter import Adapter, Mock
from replaykit.client import advice
from replaykit.command import Command, Event, Wait, Waited, command_of
from replaykit.difference import NotSameError
from replaykit.errors import StaleError, UnwritableError, is_fault
from replaykit.gist import target
from replaykit.interaction import FIRST_SERVER_ERROR, LOSING, Interaction, Request
from replaykit.model import CheckFailedError, Model, Prediction, ReturnedError
from replaykit.sequence import Call
from replaykit.trace import END, RESET, Ending, Moments, Step, Trace, place_of
from replaykit.value import InvalidValueError, JsonText, text_of, text_of_data
from replaykit.verdict import Failure, Kind

MAX_WAIT = 3600.0  # seconds; a bundle from a stranger may ask for more


class Cassette(Protocol):
    """What answers instead of the network."""

    missed: str | None  # why the first request that could not be answered was not
    moments: Moments
    played: int  # how many of the recorded answers, each counted once
    asked: Mapping[str, int]  # how many requests were sent for a command under a fault, by its place

    def answer(self, request: Request, at: str) -> Interaction:
        """Return the recorded interaction for a request that is sent at a place of the run."""

    def run_out(self, request: Request, size: int) -> None:
        """Know that more was read of an answer than was recorded. Raises an error."""

    def unused(self) -> str | None:
        """Say what was recorded and never asked for; None if all was."""

    def spent(self, place: str) -> bool:
        """Say whether looking again, at a place of the run, can bring nothing."""

    def again(self, place: str) -> contextlib.AbstractContextManager[None]:
        """Let only what was recorded at a place answer, while a check looks again."""


class Witness(Protocol):
    """What hears of all that is judged in a run, whether it holds or not; a listener hears of what happens."""

    def predicted(self, command: Command, prediction: Prediction, event: Event, state: Model, *, step: int) -> None:
        """Hear what was expected of a command, and what came, before the state is changed by it."""

    def judged(self, kind: Kind, name: str, failure: Failure | None, *, step: int | None) -> None:
        """Hear what became of an invariant or a check; the failure is None where it holds."""

    def raised(self, error: BaseException) -> None:
        """Hear of what the user's code raised, with its traceback."""

    def taken(self, step: Step) -> None:
        """Hear of a step, when it is over; not of those of branches."""

    def over(self, trace: Trace) -> None:
        """Hear of the whole run, when it is over."""


class Over(Exception):  # noqa: N818  not an error: how a run leaves its loop
    """The run ends here."""

    def __init__(self, ending: Ending, reason: str = "", failure: Failure | None = None) -> None:
        super().__init__(ending)
        self.ending: Ending = ending
        self.reason = reason
        self.failure = failure


class Caller:
    """What asks the adapter, and tells apart what went wrong with whom."""

    def __init__(self, adapter: Adapter[Any], state: Model, cassette: Cassette | None) -> None:
        self.adapter = adapter
        self.state = state
        self.cassette = cassette
        self.refs = adapter.refs
        self.part = "reset"
        self.call: Call | None = None
        self.kept: list[Interaction] = []
        self.witness: Witness | None = None

    def command(self, call: Call) -> Command:
        """Make the command of a call; where that is not possible any more, the run ends as stale."""
        kind = self.state.rules.by_tag.get(call.tag)
        if kind is None:
            known = ", ".join(sorted(self.state.rules.by_tag))
            raise Over(
                "stale", f"step {call.label}: {type(self.state).__name__} has no command {call.tag} (it has {known})"
            )
        try:
            command = command_of(kind, call.version, call.args, self.refs)
        except StaleError as error:
            raise Over("stale", f"step {call.label}: {error.happened}") from None
        except BaseException as error:
            raise self.fault("model", f"{kind.__name__}.upcast", error) from error
        if isinstance(command, Wait) and not 0 <= command.seconds <= MAX_WAIT:
            raise Over("stale", f"step {call.label}: nobody waits {command.seconds:g} seconds (at most {MAX_WAIT:g})")
        return command

    def require(self, call: Call, command: Command) -> None:
        """End the run where a command may not be asked in this state."""
        if not self.guarded("model", "requires", lambda: Model.allows(self.state, command)):
            raise Over("stale", f"step {call.label}: a precondition of {call.tag} does not hold any more")

    def perform(self, command: Command) -> Event:
        """Ask the adapter, or let time go by, for which nobody has to be asked; a cassette and a mock need none."""
        if not isinstance(command, Wait) or type(command) in self.adapter.handlers or isinstance(self.adapter, Mock):
            return self.adapter.perform(command)
        if self.cassette is None:
            time.sleep(command.seconds)
        return Waited(seconds=command.seconds)

    def failure(self, kind: Kind, name: str, message: str, **more: Any) -> Failure:
        """Make the failure of the call that is being sent."""
        call = self.call
        return Failure(
            kind=kind,
            name=name,
            step=call.label if call else None,
            command=call.tag if call else None,
            message=_sayable(message),
            **{name: _sayable(value) for name, value in more.items()},
        )

    def ask(self, what: str, ask: Callable[[], Any]) -> Any:
        """Let the adapter speak to the service, and tell apart what went wrong with whom."""
        before = len(self.kept)
        try:
            said = ask()
        except UnwritableError:  # the listener's, which hears of requests while the adapter asks
            raise
        except BaseException as error:
            if is_fault(error):
                self._judge_network(before)
            raise self.fault("adapter", what, error) from error
        self._judge_network(before)
        return said

    def _judge_network(self, before: int) -> None:
        """End the run where an answer was lost, whatever the adapter made of it: nobody knows what was done."""
        if self.cassette is not None and self.cassette.missed is not None:
            raise Over("stale", f"{self._said_place}: {self.cassette.missed}")
        for interaction in self.kept[before:]:
            if interaction.tampered in LOSING:
                said = f"{target(interaction.request)}: a fault came in between ({interaction.tampered})"
                raise Over("unknown", f"{self._said_place}: the answer was lost; {said}")
            self._judge_server_error(interaction)
            trouble, request = interaction.trouble, interaction.request
            if trouble is None:
                continue
            said = f"{target(request)}: {trouble.error}: {trouble.message}"
            if trouble.before_sending:
                raise Over("unreachable", f"{self._said_place}: {said}")
            raise Over("unknown", f"{self._said_place}: the answer was lost; {said}")

    def _judge_server_error(self, interaction: Interaction) -> None:
        response = interaction.response
        if self.state.server_errors and response is not None and response.status >= FIRST_SERVER_ERROR:
            request = interaction.request
            message = f"{target(request)} answered {response.status} {response.reason}".rstrip()
            raise Over("failed", failure=self.failure("server_error", "server_error", message))

    @property
    def place(self) -> str:
        """Where in the run this is."""
        return RESET if self.part == "reset" else place_of(self.call.label) if self.call else END

    @property
    def _said_place(self) -> str:
        return "at the end" if self.place == END else self.place

    def guarded(self, kind: Kind, what: str, ask: Callable[[], Any]) -> Any:
        """Call the user's code; the run ends where it raises."""
        try:
            return ask()
        except BaseException as error:
            raise self.fault(kind, what, error) from error

    def text(self, value: Any) -> JsonText:
        """Snapshot what the user's code has made."""
        try:
            return text_of(value)
        except InvalidValueError as error:
            raise self.fault("model", type(value).__name__, error) from error

    def fault(self, kind: Kind, what: str, error: BaseException) -> Over:
        """Say that the test code raised; what is no fault of its, as Ctrl-C, is raised again."""
        if not is_fault(error):
            raise error
        if self.witness is not None:
            self.witness.raised(error)
        method = error.method if isinstance(error, ReturnedError) else _method_of(error) or what
        message = f"{type(error).__name__}: {error}{advice(error)}"
        return Over("failed", failure=self.failure(kind, method, message, traceback=_users_traceback(error)))

    def failure_of(self, kind: Kind, name: str, look: Callable[[], object]) -> Failure | None:
        """Hold a check; one that returns something is a fault of the model, since it would never fail."""
        try:
            returned = look()
        except (NotSameError, CheckFailedError, AssertionError) as error:
            if self.witness is not None:
                self.witness.raised(error)
            return self._broken(kind, name, error)
        except BaseException as error:
            raise self.fault("model", name, error) from error
        if returned is None:
            return None
        message = f"{name} returned {returned!r}: a check holds if it does not raise, and returns nothing"
        wrong = ReturnedError(name, message)
        raise self.fault("model", name, wrong)

    def _broken(self, kind: Kind, name: str, error: Exception) -> Failure:
        if isinstance(error, NotSameError):
            return self.failure(kind, name, str(error), expected=error.expected, actual=error.actual)
        if isinstance(error, CheckFailedError):
            return self.failure(kind, name, str(error), actual=error.data or None)
        return self.failure(kind, name, str(error) or _line_of(error))


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


def _users_traceback(error: BaseException) -> str:
    """Show a traceback from the user's own code on, without the engine's frames above it."""
    lines = traceback.format_list(traceback.StackSummary.from_list(_users_frames(error)))
    return "".join([*lines, *traceback.format_exception_only(error)])


def _method_of(error: BaseException) -> str | None:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_OURS)]
    return frames[0].name if frames else None


def _line_of(error: BaseException) -> str:
    """Return the source line of a bare assert, for want of a message."""
    with contextlib.suppress(IndexError):
        frame = _users_frames(error)[-1]
        return linecache.getline(frame.filename, frame.lineno or 0).strip() or "an assertion does not hold"
    return "an assertion does not hold"
