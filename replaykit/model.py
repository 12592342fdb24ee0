"""Model: commands, weights, preconditions, projection, expectations, invariants and checks.

A model *is* the projection: its fields are the state, folded from events by `@on` methods. What a
decorated method is about follows from its annotations; the tables are built once, when the class is made,
and mistakes are found there.
"""

import hashlib
import inspect
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, TypeVar, get_args, get_origin, overload

from replaykit.command import Command, Event, Observation, Ref, generators_of
from replaykit.dispatch import (
    F,
    Mark,
    check_returns_nothing,
    marked,
    marked_methods,
    members_of,
    only_parameter,
    signature_of,
)
from replaykit.errors import DefinitionError
from replaykit.fault import Fault, check_kind
from replaykit.generator import Generator, functions_in
from replaykit.value import JsonData, State, fields_of, jsonable

Ev = TypeVar("Ev", bound=Event)

MAX_LABELS = 1000  # kept of a run, and of a campaign
MAX_LABEL = 200  # characters that are kept of a label

# --- the decorators -----------------------------------------------------------------------------


def on(method: F) -> F:
    """Mark how an event changes the projection: `def created(self, event: Created) -> None`."""
    return marked(method, Mark("on"))


def requires(method: F) -> F:
    """Mark a precondition: `def known(self, cmd: Rename) -> bool`; false keeps the command from being asked.

    It is evaluated in generation, and again in shrinking and in replay.
    """
    return marked(method, Mark("requires"))


def expects(method: F) -> F:
    """Mark what the model predicts for a command: an event, a `like(...)`, or a tuple of admissible ones."""
    return marked(method, Mark("expects"))


def invariant(method: F) -> F:
    """Mark what must hold in every state: a method that raises (`assert`, `fail`, `same`) or returns None."""
    return marked(method, Mark("invariant"))


@overload
def check(method: F) -> F: ...
@overload
def check(
    *,
    every: int = 1,
    on: type[Command | Event] | Iterable[type[Command | Event]] = (),
    at: Literal["step", "end"] = "step",
    during: type[Fault] | Iterable[type[Fault]] = (),
    relax: type[Fault] | Iterable[type[Fault]] = (),
) -> Callable[[F], F]: ...
def check(
    method: F | None = None,
    *,
    every: int = 1,
    on: type[Command | Event] | Iterable[type[Command | Event]] = (),
    at: Literal["step", "end"] = "step",
    during: type[Fault] | Iterable[type[Fault]] = (),
    relax: type[Fault] | Iterable[type[Fault]] = (),
) -> Any:
    """Mark what must hold when it is looked at; the method may take one Observation, which is read first.

    `every=5` looks after each fifth step, `on=Created` after steps with this command or event, `at="end"`
    once, when the sequence is over.

    `during=fault.Latency` looks only while such a fault is on, `relax=fault.Down` not while one is; `fault.Fault` is
    any. When the last fault is over, all checks of steps are looked at, but those that are meant for faults.
    """
    if every < 1:
        raise DefinitionError(f"@check(every={every}) can't be.", "every is 1 or more.")
    if at == "end" and every > 1:
        raise DefinitionError('@check(at="end") looks once.', "Leave out every, or look at steps.")
    if at == "end" and (during or relax):
        raise DefinitionError('A check at="end" looks when all faults are over.', "Leave out during and relax.")
    mark = Mark("check", every=every, on=_kinds(on), at=_moment(at, on), during=_kinds(during), relax=_kinds(relax))
    return marked(method, mark) if method is not None else lambda later: marked(later, mark)


@overload
def eventually(method: F) -> F: ...
@overload
def eventually(
    *,
    within: float = 5.0,
    every: float = 0.1,
    on: type[Command | Event] | Iterable[type[Command | Event]] = (),
    at: Literal["step", "end"] = "step",
) -> Callable[[F], F]: ...
def eventually(
    method: F | None = None,
    *,
    within: float = 5.0,
    every: float = 0.1,
    on: type[Command | Event] | Iterable[type[Command | Event]] = (),
    at: Literal["step", "end"] = "step",
) -> Any:
    """Mark what must hold before long, of a service that settles later; the method takes one Observation.

    It is read again every `every` seconds, until the method does not raise any more; if `within` seconds are
    over first, that is a failure. `on` and `at` say when it is looked at, as for `check`; while a fault is on, it is
    not, and when the last one is over, it always is.
    """
    if not (_is_number(within) and _is_number(every) and 0 < every <= within < float("inf")):
        raise DefinitionError(
            f"@eventually(within={within!r}, every={every!r}) can't be.",
            "Both are seconds, more than 0, and every is not longer than within.",
        )
    mark = Mark("eventually", on=_kinds(on), at=_moment(at, on), within=float(within), pause=float(every))
    return marked(method, mark) if method is not None else lambda later: marked(later, mark)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kinds(on: type | Iterable[type]) -> tuple[type, ...]:
    return (on,) if isinstance(on, type) else tuple(on)


def _moment(at: str, on: object) -> str:
    if at not in {"step", "end"}:
        raise DefinitionError(f'A check is looked at at="{at}".', 'Write at="step" or at="end".')
    if at == "end" and on != ():
        raise DefinitionError('A check at="end" looks once, after all steps.', "Leave out on, or look at steps.")
    return at


# --- what the methods of a model use ------------------------------------------------------------


class CheckFailedError(AssertionError):
    """A check does not hold; `data` is what it saw."""

    def __init__(self, message: str, **data: Any) -> None:
        self.data = {name: jsonable(value) for name, value in data.items()}
        shown = ", ".join(f"{name}={value!r}" for name, value in self.data.items())
        super().__init__(f"{message} ({shown})" if shown else message)


def fail(message: str, **data: Any) -> None:
    """Say that a check does not hold, with the values that show it."""
    raise CheckFailedError(message, **data)


class Like(Generic[Ev]):
    """An event with parts left open: any event of the kind whose named fields have these values."""

    __slots__ = ("fields", "kind")

    def __init__(self, kind: type[Ev], fields: dict[str, Any]) -> None:
        self.kind, self.fields = kind, fields

    def admits(self, event: Event) -> bool:
        """Say whether an event is one of those meant."""
        return type(event) is self.kind and all(getattr(event, name) == value for name, value in self.fields.items())

    def __repr__(self) -> str:
        parts = [f"{name}={value!r}" for name, value in self.fields.items()]
        return f"{self.kind.__name__}({', '.join([*parts, '...'])})"


def like(kind: type[Ev], /, **fields: Any) -> Like[Ev]:
    """Predict an event of which only some fields are known: `like(AccountOpened, currency="EUR")`."""
    unknown = fields.keys() - kind.model_fields.keys()
    if unknown:
        raise DefinitionError(
            f"{kind.__name__} has no field {', '.join(sorted(unknown))}.",
            f"Its fields: {', '.join(kind.model_fields)}.",
        )
    return Like(kind, fields)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model predicts for one command: the method that says so, and the admissible events."""

    name: str
    admissible: tuple[Any, ...]  # of Event and Like

    def admits(self, event: Event) -> bool:
        """Say whether the event is one of the admissible ones."""
        return any(
            each.admits(event) if isinstance(each, Like) else type(each) is type(event) and each == event
            for each in self.admissible
        )

    @property
    def tags(self) -> str:
        """The tags of the admissible events."""
        kinds = [each.kind if isinstance(each, Like) else each for each in self.admissible]
        return " or ".join(dict.fromkeys(kind.tag for kind in kinds))

    def __str__(self) -> str:
        return " or ".join(map(repr, self.admissible)) or "nothing"


# --- the tables ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Check:
    """One `@check` or `@eventually`: when it looks, and what it reads."""

    name: str
    observation: type[Observation] | None
    every: int
    on: tuple[type, ...]
    at: str
    within: float = 0.0  # seconds that it may take to hold
    pause: float = 0.0  # seconds between two looks
    during: tuple[type[Fault], ...] = ()
    relax: tuple[type[Fault], ...] = ()

    def is_meant_for(self, faults: Iterable[Fault]) -> bool:
        """Say whether it looks while these faults are on."""
        on = tuple(faults)
        if on and self.within:
            return False
        if self.during and not any(isinstance(each, self.during) for each in on):
            return False
        return not any(isinstance(each, self.relax) for each in on)

    def due(self, count: int, command: Command, event: Event | None) -> bool:
        """Say whether it looks after the `count`-th step (from 1)."""
        if self.at != "step" or count % self.every:
            return False
        return not self.on or isinstance(command, self.on) or isinstance(event, self.on)


@dataclass(slots=True)
class Rules:
    """What the annotations of a model say: one table for each decorator."""

    on: dict[type[Event], str] = field(default_factory=dict)
    requires: dict[type[Command], list[str]] = field(default_factory=dict)
    expects: dict[type[Command], str] = field(default_factory=dict)
    invariants: list[str] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    by_tag: dict[str, type[Command]] = field(default_factory=dict)
    faults: set[type[Command]] = field(default_factory=set)  # the commands that begin one
    candidates: dict[str, list[str]] = field(default_factory=dict)  # entity -> fields keyed by Ref[entity]


_OURS = ("commands", "server_errors", "rules", "label")  # what no method of a model's own may be called


class Model(State):
    """What the service should do, as far as it is known: subclass it, and name the commands.

    Its methods are called as `Model.apply(state, event)`, so that a model may have methods of these names.
    Fields hold the projected state. `commands` lists the command types; several models of one service
    are subclasses that change it.
    """

    __slots__ = ("_tally",)  # no field, so that it is in no snapshot, no comparison and no copy

    commands: ClassVar[tuple[type[Command], ...]] = ()
    server_errors: ClassVar[bool] = False  # is any 5xx answer a failure?
    rules: ClassVar[Rules] = Rules()

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        taken = [*cls.__dict__, *cls.model_fields]
        marked = [name for name, _ in marked_methods(cls)]
        for name in [*(["rules"] if "rules" in taken else []), *(each for each in _OURS if each in marked)]:
            raise DefinitionError(
                f"{cls.__name__}.{name} has a name that replaykit keeps for itself.", "Give it another name."
            )
        cls.rules = _rules_of(cls)

    def label(self, text: str) -> None:
        """Name what is seen here: the summary of a campaign says in how many of its runs it was.

        Any method may do so. It counts once in a run, and only in the run's own state: not in a copy, in a shrink
        candidate, or in a precondition of a command that was not sent.
        """
        if not isinstance(text, str):
            raise TypeError(f"a label is a text, not {text!r}")
        if not text.strip():
            raise ValueError("a label is a text that says something, and this one is empty")
        tally: Counter[tuple[str, str]] | None = getattr(self, "_tally", None)
        if tally is not None:
            key = ("label", text[:MAX_LABEL])
            if key not in tally and len(tally) >= MAX_LABELS:
                key = ("label", "")  # which says that there were more
            tally[key] += 1

    def apply(self, event: Event) -> None:
        """Fold an event into the state; an event that no `@on` method is about changes nothing."""
        name = self.rules.on.get(type(event)) or next(
            (self.rules.on[base] for base in type(event).__mro__ if base in self.rules.on), None
        )
        if name is not None and getattr(self, name)(event) is not None:
            raise ReturnedError(name, f"{type(self).__name__}.{name} returned a value; an @on method changes the state")

    def allows(self, command: Command) -> bool:
        """Say whether all preconditions of the command hold in this state."""
        for name in self.rules.requires.get(type(command), ()):
            said = getattr(self, name)(command)
            if not isinstance(said, bool):
                raise ReturnedError(
                    name, f"{type(self).__name__}.{name} returned {said!r}; a precondition returns True or False"
                )
            if not said:
                return False
        return True

    def predict(self, command: Command) -> Prediction | None:
        """Say what the model expects in answer to the command; None where it has no expectation."""
        name = self.rules.expects.get(type(command))
        if name is None:
            return None
        said = getattr(self, name)(command)
        admissible = said if isinstance(said, tuple) else (said,)
        for each in admissible or (None,):
            if not isinstance(each, Event | Like):
                raise ReturnedError(name, f"{type(self).__name__}.{name} returned {each!r}, which is no event")
        return Prediction(name, admissible)

    def known(self, entity: str) -> list[str] | None:
        """List the names of the entities of one kind in the state; None if no field is keyed by them."""
        fields = self.rules.candidates.get(entity)
        if fields is None:
            return None
        return [ref.label for name in fields for ref in getattr(self, name)]


def count_labels(state: Model, tally: Counter[tuple[str, str]] | None) -> None:
    """Let a tally count the labels of a state from now on, or let nobody."""
    object.__setattr__(state, "_tally", tally)


class ReturnedError(TypeError):
    """A method of a model returned what it may not."""

    def __init__(self, method: str, message: str) -> None:
        super().__init__(message)
        self.method = method


def _rules_of(model: type[Model]) -> Rules:
    rules = Rules()
    for command in _commands_of(model):
        for tag in (command.tag, *command.aliases):
            other = rules.by_tag.setdefault(tag, command)
            if other is not command:
                raise DefinitionError(
                    f"{model.__name__} has two commands with the tag {tag!r}: {other.__name__} and {command.__name__}.",
                    "Give one of them another: class Name(Command, tag=...).",
                )
        generators_of(command)
        if issubclass(command, Fault):
            check_kind(command)
            rules.faults.add(command)
    for name, annotation, _, _ in fields_of(model):
        for entity in _entities_in(annotation, f"{model.__name__}.{name}"):
            rules.candidates.setdefault(entity, []).append(name)
    for name, mark in marked_methods(model):
        _add(rules, model, name, mark)
    return rules


def _commands_of(model: type[Model]) -> tuple[type[Command], ...]:
    commands = model.commands
    if not isinstance(commands, tuple) or not all(
        isinstance(each, type) and issubclass(each, Command) for each in commands
    ):
        raise DefinitionError(
            f"{model.__name__}.commands is {commands!r}.",
            "Write a tuple of command classes: commands: ClassVar = (CreatePlayer, IncreaseScore).",
        )
    return commands


def _entities_in(annotation: Any, place: str) -> list[str]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin not in (dict, list, set, tuple) or not arguments or get_origin(arguments[0]) is not Ref:
        return []
    return [Ref.ref_to(get_args(arguments[0]), place)]


def _add(rules: Rules, model: type[Model], name: str, mark: Mark) -> None:
    place = f"{model.__name__}.{name}"
    hints, parameters = signature_of(model, name)
    if mark.role == "on":
        _add_on(rules, place, name, parameters, hints)
    elif mark.role == "requires":
        _require_return(place, hints, bool, "a precondition says True or False: -> bool")
        for command in only_parameter(place, parameters, Command, "a command"):
            rules.requires.setdefault(command, []).append(name)
    elif mark.role == "expects":
        for command in only_parameter(place, parameters, Command, "a command"):
            _only_one(rules.expects.setdefault(command, name), name, f"{model.__name__} expects", command)
        for expected in members_of(hints.get("return")):
            if not _says_event(expected):
                raise DefinitionError(
                    f"{place} is annotated to expect {expected!r}, which is no event.",
                    "Annotate it with the events that it may expect: -> Created | Rejected.",
                )
    elif mark.role in {"invariant", "check", "eventually"}:
        check_returns_nothing(model, name, place, hints)
        if mark.role != "invariant":
            rules.checks.append(_check_of(place, name, mark, parameters))
            return
        if parameters:
            raise DefinitionError(
                f"{place} is an invariant that takes {', '.join(parameters)}.",
                "An invariant looks at the state alone; to read from the service, make it a @check.",
            )
        rules.invariants.append(name)
    else:
        raise DefinitionError(
            f"{place} has a decorator of an adapter.", "@handles and @observes belong to the Adapter."
        )


def _says_event(annotation: Any) -> bool:
    """Say whether an annotation is an event, a Like, a tuple of them, or Any."""
    origin = get_origin(annotation) or annotation
    if origin is tuple:
        return all(_says_event(each) for part in get_args(annotation) for each in members_of(part) if each is not ...)
    return origin is Any or (isinstance(origin, type) and issubclass(origin, Event | Like))


def _check_of(place: str, name: str, mark: Mark, parameters: dict[str, Any]) -> Check:
    for wanted in mark.on:
        if not (isinstance(wanted, type) and issubclass(wanted, Command | Event)):
            raise DefinitionError(f"{place} has on={wanted!r}.", "Name a command class or an event class.")
    for wanted in (*mark.during, *mark.relax):
        if not (isinstance(wanted, type) and issubclass(wanted, Fault)):
            raise DefinitionError(f"{place} speaks of the fault {wanted!r}.", "Name a class of module fault.")
    observation = None
    if parameters or mark.role == "eventually":
        [observation] = only_parameter(place, parameters, Observation, "an observation", union=False)
    return Check(name, observation, mark.every, mark.on, mark.at, mark.within, mark.pause, mark.during, mark.relax)


def _add_on(rules: Rules, place: str, name: str, parameters: dict[str, Any], hints: dict[str, Any]) -> None:
    if hints.get("return") not in (None, type(None)):
        raise DefinitionError(f"{place} returns a value.", "An @on method changes the state and returns None.")
    for event in only_parameter(place, parameters, Event, "an event"):
        _only_one(rules.on.setdefault(event, name), name, "The projection folds", event)


def _only_one(known: str, name: str, what: str, kind: type) -> None:
    if known != name:
        raise DefinitionError(f"{what} {kind.__name__} in two methods: {known} and {name}.", "Keep one of them.")


def _require_return(place: str, hints: dict[str, Any], wanted: type, todo: str) -> None:
    if "return" in hints and hints["return"] is not wanted:
        raise DefinitionError(f"{place} is annotated to return {hints['return']!r}.", f"Write it so: {todo}.")


# --- identity of what a seed means --------------------------------------------------------------


def digest_of(model: type[Model]) -> str:
    """Digest all that a seed's meaning depends on: commands, weights, generators and preconditions.

    With another digest, the same seed may draw another sequence. Source text counts without its white
    space; 16 hexadecimal digits of SHA-256.
    """
    parts: list[JsonData] = []
    for command in model.commands:
        fields = {name: _text_of(generator) for name, generator in generators_of(command).items()}
        guards = [_source_of(getattr(model, name)) for name in model.rules.requires.get(command, ())]
        parts.append([command.tag, command.version, command.weight, fields, guards])
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _text_of(generator: Generator) -> str:
    """Describe a generator with the source of the functions in it."""
    return generator.kind + "".join(map(_source_of, functions_in(generator)))


def _source_of(function: Any) -> str:
    try:
        return "".join(inspect.getsource(function).split())
    except (OSError, TypeError):
        return str(getattr(function, "__qualname__", ""))
