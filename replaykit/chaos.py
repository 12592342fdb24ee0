"""Chaos: which faults are on in a run, and how a client finds out what became of a command whose answer they cost.

A fault begins when its step is over, and lasts while so many further commands are sent. What it costs is no failure of
the service: the outcome of that command is unknown. A client would find out, so that is tried too, once while the fault
lasts, and then without it: by the adapter's `@recovers` method, or, where the command may be sent again, by sending it
again. What never reached the service, or only reads, needs no finding out.
"""

import contextlib
import time
from dataclasses import dataclass

from replaykit.caller import Caller, Over
from replaykit.command import Command, Event, Refs
from replaykit.errors import DefinitionError, UsageError
from replaykit.fault import Fault, Lost
from replaykit.injector import Injector
from replaykit.interaction import Interaction
from replaykit.model import Check, Prediction
from replaykit.stutter import has_effect

PAUSE = 0.05  # seconds between two looks at what became of a command
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # methods that change nothing (RFC 9110, section 9.2.1)


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

    def require_applied(self, kept: list[Interaction]) -> None:
        """Raise DefinitionError where what was sent for a command did not go through the faults that are on."""
        if self._on and self._injector is not None:
            self._injector.require_applied([each.request.url for each in kept])

    def begin(self, label: int, fault: Fault) -> None:
        """Begin a fault. Raises DefinitionError where nothing can do it, and how the run ends for one that can't be."""
        if fault.steps < 1:
            raise Over("stale", f"step {label}: no fault lasts {fault.steps} commands (1 at least)")
        if not 0 <= (share := getattr(fault, "share", 1.0)) <= 1:
            raise Over("stale", f"step {label}: no fault hits a share of {share:g} (from 0 to 1)")
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
        for each in over:
            self._on.remove(each)
            if self._injector is not None:
                self._injector.lift(each.label)

    def settled(self) -> bool:
        """Say, once, that the last fault is over since one was on."""
        if self._on or not self._is_unsettled:
            return False
        self._is_unsettled = False
        return True

    def through(self, command: Command) -> contextlib.AbstractContextManager[None]:
        """Let what is sent inside, for a command, go through the faults."""
        return _UNDISTURBED if self._injector is None else self._injector.through(command)

    def found_out(self, caller: Caller, command: Command, prediction: Prediction | None, loss: "Loss") -> Event:
        """Say what became of a command whose answer was lost. Raises how the run ends where nobody can.

        Whoever looks afterwards may see what was there before, as a booking that another command has cancelled: so what
        the model does not expect of this one is no answer to it.
        """
        caller.refs.go_back(loss.bound)
        if loss.over.ending not in _LOST:
            raise loss.over
        if not loss.is_sent or loss.is_harmless or _changes_nothing(caller, prediction):
            return Lost(command=command.tag, sent=loss.is_sent)
        try:
            event = self._look(caller, command, loss)
        except Over as again:
            if again.ending not in _LOST:
                raise
            event = None
        if event is None:
            caller.refs.go_back(loss.bound)
            self.lift()
            event = self._look(caller, command, loss, patient=True)
        is_seen = type(command) in caller.adapter.recoverers
        if event is not None and (not is_seen or prediction is None or prediction.admits(event)):
            return event
        caller.refs.go_back(loss.bound)
        return Lost(command=command.tag, sent=True)

    def _look(self, caller: Caller, command: Command, loss: "Loss", *, patient: bool = False) -> Event | None:
        adapter, name = caller.adapter, type(command).__name__
        if type(command) not in adapter.recoverers:
            if not command.idempotent:
                raise Over(
                    loss.over.ending, f"{loss.over.reason}; nobody finds out what became of it: no @recovers for {name}"
                )
            with self.through(command):
                event: Event = caller.ask(f"handler of {name}", lambda: caller.perform(command))
            return event
        _, within = adapter.recoverers[type(command)]
        for number in range(1 + round(within / PAUSE) if patient else 1):
            if number and caller.cassette is None:
                time.sleep(PAUSE)
            with self.through(command):
                found: Event | None = caller.ask(f"recovery of {name}", lambda: adapter.recover(command))
            if found is not None:
                return found
        return None


def _changes_nothing(caller: Caller, prediction: Prediction | None) -> bool:
    """Say whether the model expects a refusal: then it makes no difference whether the command was heard."""
    if prediction is None:
        return False
    return all(isinstance(each, Event) and not has_effect(caller.state, each) for each in prediction.admissible)
