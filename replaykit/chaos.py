"""Chaos: which faults are on in a run, and how a client finds out what became of a command whose answer they cost.

A fault begins when its step is over, and lasts while so many further commands are sent. What it costs is no failure of
the service: the outcome of that command is unknown. A client would find out, so that is tried too, once while the fault
lasts, and then without it: by the adapter's `@recovers` method, or, where the command may be sent again, by sending it
again. What never reached the service, or only reads, needs no finding out.
"""

import contextlib
import time
from dataclasses import dataclass

from replaykit.adapter import FINDING_OUT
from replaykit.caller import Caller, Over
from replaykit.command import Command, Event, Refs, Wait
from replaykit.errors import DefinitionError, UnreachableError, UsageError
from replaykit.fault import Fault, Lost
from replaykit.injector import Injector
from replaykit.interaction import SAFE, Interaction
from replaykit.model import Check, Model, Prediction
from replaykit.stutter import is_answered_again
from replaykit.value import copied

PAUSE = 0.05  # seconds between two looks at what became of a command
_UNDISTURBED = contextlib.nullcontext()
_LOST = {"unknown", "unreachable"}  # how a run ends whose answer was lost


@dataclass(frozen=True, slots=True)
class Loss:
    """An answer that was lost."""

    over: Over  # how the run would end
    kept: list[Interaction]  # what was sent
    bound: Refs  # what had a name before: what was read in an answer that is lost, a fault may have made up

    @property
    def is_sent(self) -> bool:
        """Whether any of it may have reached the service."""
        return any(each.trouble is None or not each.trouble.before_sending for each in self.kept)

    @property
    def is_harmless(self) -> bool:
        """Whether it changes nothing, whatever became of it."""
        return all(each.request.method in SAFE for each in self.kept)


@dataclass(slots=True)
class On:
    """A fault that is on."""

    label: int  # of the call that began it
    fault: Fault
    left: int  # commands


class Chaos:
    """The faults of one run. Without an injector, as of a cassette or a mock, nothing has to be done to have them."""

    def __init__(self, injector: Injector | None, *, is_real: bool) -> None:
        self._injector = injector
        self._is_real = is_real  # does somebody have to do them?
        self._on: list[On] = []
        self._is_unsettled = False  # has one been on since things were looked at?
        self._owed: set[str] = set()  # names of checks that were due, and a fault was in the way

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults that are on."""
        return tuple(each.fault for each in self._on)

    @property
    def labels(self) -> tuple[int, ...]:
        """The labels of the calls that began them."""
        return tuple(each.label for each in self._on) if self._on else ()

    def is_in_the_way_of(self, check: Check) -> bool:
        """Say whether a check is not to be looked at now; where that is for a fault, it is owed."""
        if not self._on and not check.during:
            return False
        faults = self.faults
        is_blind = check.observation is not None and any(each.blinds for each in faults)
        if check.is_meant_for(faults) and not is_blind:
            return False
        self._owed.add(check.name)
        return True

    def owed(self) -> set[str]:
        """List, once, the names of the checks that were due while a fault was in the way."""
        owed, self._owed = self._owed, set()
        return owed

    def begin(self, label: int, fault: Fault) -> None:
        """Begin a fault. Raises DefinitionError where nothing can do it, and how the run ends for one that can't be."""
        if (trouble := fault.trouble) is not None:
            raise Over("stale", f"step {label}: {trouble}")
        if self._is_real and self._injector is None:
            raise DefinitionError(
                f"The fault {fault.tag} can't be done: nothing is between the client and the service.",
                "Name the faults in `commands` of the model that is run.",
            )
        if self._injector is not None:
            self._injector.open()
            try:
                self._injector.begin(label, fault)
            except UsageError as error:
                raise Over("stale", f"step {label}: {error.happened}") from None
        self._on.append(On(label, fault, fault.steps))
        self._is_unsettled = True

    def spend(self) -> None:
        """Count a command that was sent, and take back the faults that have lasted long enough."""
        if not self._on:
            return
        for each in self._on:
            each.left -= 1
        self._lift([each for each in self._on if each.left <= 0])

    def lift(self) -> None:
        """Take back all faults."""
        self._lift(list(self._on))

    def _lift(self, over: list[On]) -> None:
        """Take back faults, all of them. Raises how the run ends where the service does not come back."""
        trouble = None
        for each in over:
            self._on.remove(each)
            try:
                if self._injector is not None:
                    self._injector.lift(each.label)
            except UnreachableError as error:
                trouble = trouble or Over(
                    "unreachable", f"after {each.fault.tag} of step {each.label}: {error.happened}"
                )
        if trouble is not None:
            raise trouble

    def settled(self) -> bool:
        """Say, once, that the last fault is over since one was on."""
        if self._on or not self._is_unsettled:
            return False
        self._is_unsettled = False
        return True

    def through(self, command: Command) -> contextlib.AbstractContextManager[None]:
        """Let what is sent inside, for a command, go through the faults."""
        return _UNDISTURBED if self._injector is None else self._injector.through(command)

    def found_out(self, caller: Caller, command: Command, prediction: Prediction | None, loss: Loss) -> Event:
        """Say what became of a command whose answer was lost. Raises how the run ends where nobody can.

        A service may still be at it, so what the model does not expect is asked again for a while. Whoever looks may
        see what was there before, as a booking that another command has cancelled: so in the end, that is no answer to
        this one. What is answered to the command itself, sent again, is.
        """
        caller.refs.go_back(loss.bound)
        if loss.over.ending not in _LOST:
            raise loss.over
        lost = Lost(command=command.tag, sent=loss.is_sent)
        if caller.adapter.remembers:
            return caller.adapter.recover(command) or lost
        if not loss.is_sent or loss.is_harmless:
            return lost
        search = _Search(self, caller, command, prediction, loss)
        return search.under_fault() or search.afterwards() or lost

    def require_applied(self, command: Command, kept: list[Interaction]) -> None:
        """Raise DefinitionError where what was sent for a command did not go through the faults that are on."""
        if self._on and self._injector is not None and not isinstance(command, Wait):
            self._injector.require_applied(command, [each.request.url for each in kept])


class _Search:
    """Finding out what became of one command: looks at the service, or sends the command again."""

    def __init__(
        self, chaos: Chaos, caller: Caller, command: Command, prediction: Prediction | None, loss: Loss
    ) -> None:
        self._chaos, self._caller, self._command = chaos, caller, command
        self._prediction, self._loss = prediction, loss
        seconds = caller.adapter.recoverers.get(type(command), ("", FINDING_OUT))[1]
        self._looks = 1 + round(seconds / PAUSE)  # afterwards
        self._only_looks = type(command) in caller.adapter.recoverers
        if not (self._only_looks or command.idempotent):
            name = type(command).__name__
            raise Over(
                loss.over.ending, f"{loss.over.reason}; nobody finds out what became of it: no @recovers for {name}"
            )

    def under_fault(self) -> Event | None:
        """Try once while the fault lasts."""
        try:
            event = self._ask()
        except Over as again:
            if again.ending not in _LOST:
                raise
            event = None
        return self._expected(event)

    def afterwards(self) -> Event | None:
        """Try again and again without any fault, until the model expects what is found, or time is up."""
        self._chaos.lift()
        caller, looks = self._caller, 0
        while True:
            event = self._ask()
            looks += 1
            expected = self._expected(event)
            if expected is not None or self._is_over(looks):
                return expected or (None if self._only_looks else event)
            if caller.cassette is None:
                time.sleep(PAUSE)

    def _is_over(self, looks: int) -> bool:
        cassette = self._caller.cassette
        if cassette is None or self._caller.place not in cassette.asked:
            return looks >= self._looks
        return len(self._caller.kept) >= cassette.asked[self._caller.place]

    def _ask(self) -> Event | None:
        caller, command, name = self._caller, self._command, type(self._command).__name__
        caller.refs.go_back(self._loss.bound)
        with self._chaos.through(command):
            if self._only_looks:
                found: Event | None = caller.ask(f"recovery of {name}", lambda: caller.adapter.recover(command))
                return found
            again: Event = caller.ask(f"handler of {name}", lambda: caller.perform(command))
            return again

    def _expected(self, event: Event | None) -> Event | None:
        """Return an event that the model expects of the command, and None for others.

        Where the command may only be sent again at once, and there is nothing left to do, it was done the first time.
        """
        prediction = self._prediction
        if event is None or prediction is None or prediction.admits(event):
            return event
        if not self._only_looks and self._command.idempotent == "at once":
            for first in prediction.admissible:
                if isinstance(first, Event) and self._is_done_by(first, event):
                    return first
        self._caller.refs.go_back(self._loss.bound)
        return None

    def _is_done_by(self, first: Event, event: Event) -> bool:
        state = copied(self._caller.state)

        def asked() -> bool:
            Model.apply(state, first)
            return is_answered_again(state, self._command, first, event)

        done: bool = self._caller.guarded("model", "on", asked)
        return done
