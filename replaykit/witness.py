"""Witness: the adapter that asks nobody, and tells what was recorded: the events, and what was observed.

A run with it goes through the same engine as any other. What it judges is today's model on the old evidence. The
recorded requests are told too, so that lost answers, server errors and times are judged as they were; but nothing is
sent, and nothing of the user's adapter runs. Its annotations say which events there are.

Where nothing was recorded, nothing is made up. A check that looks at what nobody has read is not judged, and that is
written down: as `unseen`; or as `unreached`, where the recorded run had ended before anybody would have looked.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args

from replaykit.adapter import Adapter
from replaykit.cassette import CassetteMissError
from replaykit.command import Command, Event, Observation, Ref, Refs, Waited
from replaykit.dispatch import signature_of
from replaykit.fault import Injected, Lost
from replaykit.interaction import FIRST_SERVER_ERROR, Interaction, Request
from replaykit.model import Model
from replaykit.sequence import Call, Fixed, Sequence
from replaykit.trace import END, Moments, Said, Step, Trace, place_of
from replaykit.transport import Tape
from replaykit.value import InvalidValueError, loads, parse

Message = TypeVar("Message", Event, Observation)


class Recalled(Refs):
    """Names as they were recorded: each is bound, and stands for itself."""

    def named(self, label: str) -> Ref[Any] | None:
        """Return the ref of a name; one that nobody has heard of yet is bound now."""
        known = super().named(label)
        if known is None and "@" in label:
            known = self._by_label[label] = Ref(label, label)
        return known


class _Silent:
    """As much of a client as a run asks for; what is told goes past the run's tape."""

    tape: Tape | None = None

    @contextlib.contextmanager
    def through(self, tape: Tape) -> Iterator[None]:
        self.tape = tape
        yield

    def renew(self, *_: object) -> None:
        """Have nothing to forget."""

    def settle(self) -> None:
        """Have nothing that is still being read."""

    def tell(self, interactions: tuple[Interaction, ...]) -> None:
        """Let the run keep what was recorded."""
        for each in interactions:
            if self.tape is not None:
                self.tape.keep(each)


class Witness(Adapter[Model]):
    """What was recorded in a run: its calls, what they were answered, and what was observed.

    It is at the same time where the calls come from, and what is asked instead of a cassette.
    """

    remembers = True

    def __init__(self, trace: Trace, model: type[Model], adapter: type[Adapter[Any]]) -> None:
        self.refs = Recalled()
        self.http = self._silent = _Silent()  # type: ignore[assignment]
        vars(self)["handlers"] = adapter.handlers  # a Wait that nobody handles is answered by the engine
        self.moments: Moments = trace.moments
        self.asked: Mapping[str, int] = {}
        self.missed: str | None = None
        self.played = 0  # observations
        self.unseen: dict[str, list[str]] = {}  # places, by the name of the check
        self.unreached: list[str] = []  # names of checks
        self._trace, self._rules, self._judges_errors = trace, model.rules, model.server_errors
        self._kinds = _events_of(model, adapter)
        self._steps = iter([step for step in trace.steps if not step.call.branch])
        self._in_branches = {step.call.label: step for step in trace.steps if step.call.branch}
        self._fixed = Fixed(trace.sequence)
        self._step: Step | None = None  # the one that is run; None in branches and at the end
        self._answers: Iterator[Said | None] = iter(())
        self._left: list[Said] = []  # observations that were recorded here, and not told yet
        self._last: dict[type[Observation], Observation] = {}
        self._is_again = False
        self._said: Said | None = None  # in answer to the last command
        self._turn_to(END)

    # --- where the calls come from

    def next(self, state: Model, refs: Refs) -> Call | None:
        """Return the next recorded call that was in no branch."""
        call = self._fixed.next(state, refs)
        self._step = None if call is None else next(self._steps)
        self._answers = iter(()) if self._step is None else iter((self._step.event, self._step.again))
        self._turn_to(END if self._step is None else place_of(self._step.call.label))
        return call

    def branches(self, state: Model, refs: Refs) -> tuple[Sequence, ...]:
        """Return the recorded branches."""
        return self._fixed.branches(state, refs)

    def _turn_to(self, place: str) -> None:
        self._place, self._last = place, {}
        self._sending = () if self._step is None else self._step.interactions
        self._observing = self._trace.closing if self._step is None else self._step.observing
        self._left = list(self._trace.closing_observations if self._step is None else self._step.observations)

    # --- what is asked instead of a cassette

    def answer(self, request: Request, at: str) -> Interaction:  # noqa: ARG002
        """Answer nothing: nobody sends. Raises CassetteMissError."""
        self._miss(f"{request.method} {request.url} was asked, and nothing is sent here")
        raise CassetteMissError(self.missed)

    def run_out(self, request: Request, size: int) -> None:
        """Know nothing of answers."""

    def unused(self) -> str | None:
        """Say nothing: a model may look at less than was recorded."""
        return None

    def spent(self, place: str) -> bool:  # noqa: ARG002
        """Say that one may look again."""
        return False

    @contextlib.contextmanager
    def again(self, place: str) -> Iterator[None]:  # noqa: ARG002
        """Look again, for a check that may take its time."""
        self._is_again = True
        try:
            yield
        finally:
            self._is_again = False

    def _miss(self, why: str) -> None:
        self.missed = self.missed or why

    # --- the adapter

    def reset(self) -> None:
        """Tell what was sent in the reset."""
        self._silent.tell(self._trace.resetting)

    def perform(self, command: Command) -> Event:
        """Return the event that was recorded."""
        if self._step is not None:
            step, said = self._step, next(self._answers, None)
            self._silent.tell(self._sending)
            self._sending = ()
        else:
            step = self._in_branches[self.refs.step or 0]
            said = step.event
            self._silent.tell(step.interactions)
        self._said = said
        if said is None:
            if not any(map(self._is_telling, step.interactions)):
                self._miss("no event was recorded")
            raise CassetteMissError("nothing was answered")
        return self._read(said, self._kind_of(said, command))

    def recover(self, command: Command) -> Event | None:
        """Return the event that was recorded where the answer was lost; None where nobody found out."""
        return None if self._said is None else self._read(self._said, self._kind_of(self._said, command))

    def _is_telling(self, interaction: Interaction) -> bool:
        """Say whether the engine knows from an interaction why there is no event."""
        status = 0 if interaction.response is None else interaction.response.status
        return interaction.trouble is not None or (self._judges_errors and status >= FIRST_SERVER_ERROR)

    def _kind_of(self, said: Said, command: Command) -> type[Event]:
        known = self._kinds.get(said.tag, [])
        if not known:
            self._miss(f"nobody knows the event {said.tag} any more")
            raise CassetteMissError(self.missed)
        handler = self.handlers.get(type(command))
        own = self._kinds.get(f"{handler} {said.tag}", [])
        return (own or known)[0]

    def observe(self, kind: type[Observation]) -> Observation | None:
        """Return what was observed next, at this place of the run; None where nobody has looked."""
        names = {kind.tag, *kind.aliases}
        said = next((each for each in self._left if each.tag in names), None)
        if said is not None:
            self._silent.tell(self._observing)
            self._observing = ()
            self._left.remove(said)
            self.played += 1
            self._last[kind] = self._read(said, kind)
            return self._last[kind]
        if not self._is_again:
            self._note(kind)
            return None
        if not self._is_where_it_failed:
            self._miss(f"{kind.tag} was not read once more, so whether it would have settled nobody has seen")
        return self._last.get(kind)

    @property
    def _is_where_it_failed(self) -> bool:
        failure = self._trace.failure
        return failure is not None and self._place == (END if failure.step is None else place_of(failure.step))

    def _note(self, kind: type[Observation]) -> None:
        """Write down that nobody has read what some checks look at."""
        ended = self._trace.failure is not None and (self._is_where_it_failed or self._place == END)
        for check in self._rules.checks:
            at_end = self._place == END
            is_asked = at_end if check.at == "end" else not at_end or bool(self._in_branches)
            if check.observation is not kind or not is_asked:
                continue
            if ended:
                self.unreached += [] if check.name in self.unreached else [check.name]
            else:
                self.unseen.setdefault(check.name, []).append(self._place)

    def _read(self, said: Said, kind: type[Message]) -> Message:
        """Read an event or an observation of whatever version; where it does not fit any more, the run is stale."""
        if said.version > kind.version:
            self._miss(f"{said.tag} was saved in version {said.version}, and here it has version {kind.version}")
            raise CassetteMissError(self.missed)
        try:
            data = loads(said.data)
            if said.version < kind.version:
                data = kind.upcast(said.version, data)
            read: Message = parse(kind, data, {"refs": self.refs})
        except InvalidValueError as error:
            self._miss(f"what was recorded as {said.tag} does not fit any more: {error}")
            raise CassetteMissError(self.missed) from None
        return read


def _events_of(model: type[Model], adapter: type[Adapter[Any]]) -> Mapping[str, list[type[Event]]]:
    """List the events that there are, by their tags, and those of a handler by its name and their tags."""
    found: dict[str, list[type[Event]]] = {}

    def enter(annotation: Any, prefix: str = "") -> None:
        if isinstance(annotation, type) and issubclass(annotation, Event):
            for tag in (annotation.tag, *annotation.aliases):
                known = found.setdefault(f"{prefix}{tag}", [])
                known += [] if annotation in known else [annotation]
            for each in annotation.__subclasses__():
                enter(each, prefix)
        for each in get_args(annotation):
            enter(each, prefix)

    for name in dict.fromkeys(adapter.handlers.values()):
        returned = signature_of(adapter, name)[0].get("return")
        enter(returned)
        enter(returned, f"{name} ")
    for kind in (Waited, Injected, Lost, *model.rules.on):
        enter(kind)
    for name in dict.fromkeys(model.rules.expects.values()):
        enter(signature_of(model, name)[0].get("return"))
    return found
