"""Rehearsals: mock runs in which the service answers, and shows, what the model expects; or something else on purpose.

A service is played by a copy of the model. What it shows is guessed from the checks (module guess). In a *changed*
rehearsal it does one thing otherwise, once: it answers something else, does not do what it says, or does something
else. The model, which is the judge, should notice.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, get_args, get_origin

from replaykit.adapter import Adapter, Mock, predicted
from replaykit.command import Command, Entity, Event, Observation, Ref, Refs, Wait
from replaykit.dispatch import members_of, signature_of
from replaykit.errors import DefinitionError
from replaykit.fault import Fault
from replaykit.gen import of
from replaykit.generate import Generated
from replaykit.lint.guess import shown_for
from replaykit.model import Check, Model
from replaykit.run import execute
from replaykit.sequence import Fixed, Sequence
from replaykit.source import DEFAULT_SIZE, Source, derive
from replaykit.trace import Trace
from replaykit.value import copied, fields_of, frozen, value_of

LENGTH = 30  # commands of a run
AFTERWARDS = 15  # of them, from the one on in which the service was changed
KEPT = 7  # the state after each so many-th step is kept
SAMPLES = 40  # states that are kept to look at
NONCE = "0000000000000000"


class Unknown(Event):
    """What a service says that does not know what it is asked about; no model expects it."""


class Change(NamedTuple):
    """What a service does otherwise in one step."""

    step: int
    answer: Callable[[Event], Event] | None = None  # what is answered in place of an event
    folds: Callable[[Event], Event | None] | None = None  # what is done in place of it


class Exchanged(NamedTuple):
    """A command as it was asked and answered in a rehearsal, and the states of the service around it."""

    run: int
    step: int
    command: Command
    event: Event
    before: Model
    after: Model

    @property
    def has_effect(self) -> bool:
        """Whether it changed the state."""
        return frozen(self.before) != frozen(self.after)


class Player(Mock):
    """The service in a rehearsal."""

    def __init__(
        self,
        model: type[Model],
        adapter: type[Adapter[Any]] | None,
        change: Change | None = None,
        heard: Callable[[int, Command, Event, Model, Model], None] | None = None,
    ) -> None:
        super().__init__(model)
        self._adapter = adapter
        self._change = change
        self._heard = heard
        self._shown: dict[type[Observation], tuple[Hashable, Observation]] = {}  # in which state
        self._unmade: set[Ref[Any]] = set()  # what the service says to have made, and has not
        self.unsolved: set[str] = set()
        self.made_up = False  # was anything answered that the model does not predict?

    def perform(self, command: Command) -> Event:
        step = self.refs.step or 0
        here = self._change if self._change is not None and self._change.step == step else None
        if self._unmade and self._unmade & refs_in(command):
            return Unknown()
        try:
            event = predicted(self._state, command, self.refs)
        except Exception:
            if self._change is None:
                raise
            return Unknown()  # the service was made to forget what it is asked about
        if event is None:
            self.made_up = True
            event = next(made_up(self._adapter, command, self.refs), None) or Unknown()
        before = copied(self._state) if self._heard is not None else self._state
        answer = here.answer(event) if here is not None and here.answer is not None else event
        done = here.folds(event) if here is not None and here.folds is not None else event
        if done is not None:
            self._fold(done)
        else:
            self._unmade |= refs_in(event) - refs_in(command)
        if self._heard is not None:
            self._heard(step, command, event, before, self._state)
        return answer

    def _fold(self, event: Event) -> None:
        try:
            Model.apply(self._state, event)
        except Exception:
            if self._change is None and not self.made_up:
                raise

    def observe(self, kind: type[Observation]) -> Observation:  # type: ignore[override]  # here is something to see
        now = frozen(self._state)
        if kind in self._shown and self._shown[kind][0] == now:
            return self._shown[kind][1]
        names = [each.name for each in self._state.rules.checks if each.observation is kind]
        seen, unsolved = shown_for(kind, names, self._state)
        self._shown[kind] = now, seen
        self.unsolved |= unsolved
        return seen


def made_up(adapter: type[Adapter[Any]] | None, command: Command, refs: Refs) -> Iterator[Event]:
    """Make up the events that a handler may return, where the model predicts nothing."""
    for kind in events_of(adapter, type(command)):
        event = made(kind, command, refs)
        if event is not None:
            yield event


def events_of(adapter: type[Adapter[Any]] | None, command: type[Command]) -> tuple[type[Event], ...]:
    """List the events that the handler of a command may return, as it is annotated."""
    name = adapter.handlers.get(command) if adapter is not None else None
    if adapter is None or name is None:
        return ()
    hints, _ = signature_of(adapter, name)
    return tuple(each for each in members_of(hints["return"]) if isinstance(each, type) and issubclass(each, Event))


def refs_in(message: Command | Event) -> set[Ref[Any]]:
    """List the refs that stand in the fields of a message."""
    values = [getattr(message, name) for name in type(message).model_fields]
    return {each for each in values if isinstance(each, Ref)}


def made(kind: type[Event], command: Command, refs: Refs, *, whole: bool = False) -> Event | None:
    """Make an event of a kind: what has the name and the type of an argument is that argument, and the rest drawn.

    What has a default keeps it, if the event is not to be `whole`.
    """
    values: dict[str, Any] = {}
    known = {name: annotation for name, annotation, _, _ in fields_of(type(command))}
    source = Source(derive(refs.step or 0, 1), lambda _: ())
    for name, annotation, metadata, required in fields_of(kind):
        entity = next(iter(get_args(annotation)), None) if get_origin(annotation) is Ref else None
        if name in known and known[name] == annotation:
            values[name] = getattr(command, name)
        elif isinstance(entity, type) and issubclass(entity, Entity):
            same = [getattr(command, each) for each, its in known.items() if its == annotation]
            values[name] = same[0] if same else refs.bind(entity, f"mock-{refs.step}-{name}")
        elif required or whole:
            try:
                generator = of(annotation, metadata, f"{kind.__name__}.{name}")
                values[name] = value_of(annotation, generator.build(generator.sample(source, DEFAULT_SIZE)))
            except Exception:  # noqa: BLE001  nothing is known to generate, or it refers to what is not there
                return None
    try:
        return kind(**values)
    except ValueError:
        return None


@dataclass
class Rehearsals:
    """What several rehearsals of a model came to."""

    model: type[Model]
    adapter: type[Adapter[Any]] | None
    seed: int
    runs: int
    stand_in: type[Model] = Model
    exchanges: list[Exchanged] = field(default_factory=list)
    states: list[Model] = field(default_factory=list)  # some of those that were come to
    tally: Counter[tuple[str, str]] = field(default_factory=Counter)
    unsolved: list[str] = field(default_factory=list)  # checks for which no observation was found
    trouble: DefinitionError | None = None  # why there is no run at all
    contradiction: tuple[int, Trace] | None = None  # the first run that failed by itself
    broken: set[str] = field(default_factory=set)  # commands whose made-up answers ended a run
    executions: int = 0

    def __post_init__(self) -> None:
        self.stand_in = stand_in_for(self.model)

    def rehearse(self) -> None:
        """Make all runs, and keep what is seen in them."""
        while not self._rehearse_all():
            self._forget()

    def _forget(self) -> None:
        self.exchanges, self.states, self.contradiction = [], [], None
        self.tally = Counter()

    def _rehearse_all(self) -> bool:
        """Make all runs; False where a check has to be left out, since nobody knows what it should see."""
        for run in range(self.runs):
            player = Player(self.stand_in, self.adapter, heard=self._ear(run))
            try:
                trace = self._executed(run, player, self.tally)
            except DefinitionError as error:
                self.trouble = error
                return True
            left_out = [each.name for each in self.stand_in.rules.checks if each.name in player.unsolved]
            if left_out:
                self.unsolved += left_out
                self._leave_out(left_out)
                return False
            if trace.failure is not None:
                if player.made_up:
                    self.broken.add(trace.failure.command or "")
                elif self.contradiction is None or len(trace.steps) < len(self.contradiction[1].steps):
                    self.contradiction = run, trace
        return True

    def changed(self, run: int, change: Change) -> Trace:
        """Make a run again, the service doing one thing otherwise."""
        length = min(LENGTH, change.step + AFTERWARDS)
        return self._executed(run, Player(self.stand_in, self.adapter, change), Counter(), length)

    def again(self, sequence: Sequence) -> Trace:
        """Make a run of fixed calls."""
        self.executions += 1
        player = Player(self.stand_in, self.adapter)
        return execute(self.stand_in, player, Fixed(sequence), nonce=NONCE)

    def _executed(self, run: int, player: Player, tally: Counter[tuple[str, str]], length: int = LENGTH) -> Trace:
        self.executions += 1
        calls = Generated(self.stand_in, derive(self.seed, run), length)
        return execute(self.stand_in, player, calls, nonce=NONCE, tally=tally)

    def _ear(self, run: int) -> Callable[[int, Command, Event, Model, Model], None]:
        def hear(step: int, command: Command, event: Event, before: Model, after: Model) -> None:
            self.exchanges.append(Exchanged(run, step, command, event, before, copied(after)))
            if step % KEPT == KEPT - 1 and len(self.states) < SAMPLES:
                self.states.append(self.exchanges[-1].after)

        return hear

    def _leave_out(self, names: list[str]) -> None:
        rules = self.stand_in.rules
        checks = [each for each in rules.checks if each.name not in names]
        self.stand_in.rules = replace(rules, checks=checks)

    @property
    def is_whole(self) -> bool:
        """Whether the runs went to their ends, with answers to all commands, so that what was not seen is rare."""
        return self.trouble is None and self.contradiction is None and not self.broken and not self.unanswerable

    @property
    def unanswerable(self) -> list[type[Command]]:
        """The commands of which nobody knows what is answered: neither the model nor a handler says it."""
        silent = [each for each in asked_of(self.model) if each not in self.model.rules.expects]
        return [each for each in silent if not events_of(self.adapter, each)]

    @property
    def checks(self) -> list[Check]:
        """The checks that can be looked at in a rehearsal."""
        return self.stand_in.rules.checks


def stand_in_for(model: type[Model]) -> type[Model]:
    """Make a model like this one, without faults, and without checks that wait or are meant for faults."""
    meta: Any = type(model)
    kind: type[Model] = meta(
        model.__name__, (model,), {"__module__": model.__module__, "__qualname__": model.__qualname__}
    )
    checks = [replace(each, within=0.0, relax=()) for each in model.rules.checks if not each.during]
    kind.commands = tuple(each for each in model.commands if not issubclass(each, Fault))
    kind.rules = replace(kind.rules, checks=checks, faults=set())
    return kind


def asked_of(model: type[Model]) -> list[type[Command]]:
    """List the commands of a model that a service is asked."""
    return [each for each in model.commands if not issubclass(each, Fault | Wait)]
