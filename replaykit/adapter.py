"""Adapter: says a command to the service in HTTP, and reads the answer back as an event.

One `@handles` method for a command (or a union of them), one `@observes` method for an observation, and
`reset`. Annotated attributes are settings, which a profile (`settings = {token = "..."}`) or the command
line (`--set token=...`) may change:

    class BankApi(Adapter[Bank]):
        timeout = 2.0                       # seconds
        token: str = "development"

        def headers(self) -> dict[str, str]:
            return {"Authorization": f"Bearer {self.token}"}

An adapter that speaks with another client than `self.http` says so: `class ShopApi(Adapter[Shop], other_clients=True)`.
"""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin, get_type_hints, overload

from replaykit.client import Client
from replaykit.command import Command, En, Entity, Event, Observation, Ref, Refs, Wait, Waited
from replaykit.dispatch import (
    F,
    Mark,
    budgeted,
    is_budget,
    marked,
    marked_methods,
    members_of,
    only_parameter,
    signature_of,
)
from replaykit.errors import DefinitionError, UsageError, is_fault
from replaykit.fault import Fault, Injected, Lost
from replaykit.gen import of
from replaykit.hint import hint
from replaykit.injector import Injector
from replaykit.model import Like, Model
from replaykit.service import Running
from replaykit.source import DEFAULT_SIZE, Source, derive
from replaykit.transport import Way
from replaykit.value import InvalidValueError, convert, fields_of, value_of

M = TypeVar("M", bound=Model)

FINDING_OUT = 0.25  # seconds in which a service does what it was asked, if it does it at all

_RESERVED = {"http", "refs", "model", "handlers", "observers", "recoverers", "injector", "remembers"}
_OURS = _RESERVED | {"headers", "auth", "reset", "timeout", "ref", "perform", "observe", "recover", "other_clients"}


def handles(method: F) -> F:
    """Mark how a command, or a union of them, is said to the service: it returns the event observed."""
    return marked(method, Mark("handles"))


def observes(method: F) -> F:
    """Mark how an observation is read from the service: `def board(self) -> Board`."""
    return marked(method, Mark("observes"))


@overload
def recovers(method: F) -> F: ...
@overload
def recovers(*, within: float) -> Callable[[F], F]: ...
def recovers(method: F | None = None, *, within: float = FINDING_OUT) -> Any:
    """Mark how a client finds out what became of a command whose answer was lost to a fault.

    It returns the event that the answer would have been, `def held(self, cmd: Hold) -> Held | None`, or None where
    nothing was done. The service may still be at it: None is believed when nothing was seen for `within` seconds.
    """
    if not is_budget(within):
        raise DefinitionError(f"@recovers(within={within!r}) can't be.", "Give it seconds, more than 0.")
    mark = Mark("recovers", within=float(within))
    return marked(method, mark) if method is not None else lambda later: marked(later, mark)


def within(seconds: float) -> Callable[[F], F]:
    """Say what the requests of a handler may take together for one command; it stands beside `@handles`."""
    if not is_budget(seconds):
        raise DefinitionError(f"@within({seconds!r}) can't be.", "Give it seconds, more than 0: @within(0.2).")
    return lambda method: budgeted(method, seconds)


class Adapter(Generic[M]):
    """Between a model and a service: subclass `Adapter[YourModel]`. A new one is made for each run."""

    model: ClassVar[type[Model]] = Model
    handlers: ClassVar[dict[type[Command], str]] = {}
    observers: ClassVar[dict[type[Observation], str]] = {}
    recoverers: ClassVar[Mapping[type[Command], tuple[str, float]]] = {}  # method, and its seconds
    other_clients: ClassVar[bool] = False  # are requests, aiohttp, boto3 and the like captured as well?

    timeout: float = 10.0  # seconds that connecting, and each reading and writing, may take
    http: Client
    refs: Refs
    injector: Injector | None = None  # what does the faults of the model, if it has any
    remembers: ClassVar[bool] = False  # does it know what became of all commands, since it was recorded?

    def __init_subclass__(cls, *, other_clients: bool | None = None, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        for name, _ in marked_methods(cls):
            if name in _OURS:
                raise DefinitionError(
                    f"{cls.__name__}.{name} has a name that replaykit keeps for itself.", "Give it another name."
                )
        if other_clients is not None:
            cls.other_clients = other_clients
        for base in getattr(cls, "__orig_bases__", ()):
            kind = get_origin(base)
            for named in get_args(base) if isinstance(kind, type) and issubclass(kind, Adapter) else ():
                if isinstance(named, type) and issubclass(named, Model):
                    cls.model = named
        cls.handlers, cls.observers, cls.recoverers = {}, {}, {}
        events: set[type[Event]] = set()
        for name, mark in marked_methods(cls):
            events.update(cls._enter(name, mark))
        check_fit(cls.model, cls)
        events |= {Waited, Injected, Lost}
        for event, name in cls.model.rules.on.items():
            if not any(issubclass(each, event) for each in events) and cls.model.commands:
                method = f"{cls.model.__name__}.{name}"
                raise DefinitionError(
                    f"{method} waits for {event.__name__}, which no handler of {cls.__name__} returns.",
                    f"Return it from a handler (-> ... | {event.__name__}), or remove the @on method.",
                )

    @classmethod
    def _enter(cls, name: str, mark: Mark) -> tuple[type[Event], ...]:
        place = f"{cls.__name__}.{name}"
        hints, parameters = signature_of(cls, name)
        if "return" not in hints:
            raise DefinitionError(
                f"{place} does not say what it returns.", "Annotate it: -> Created | Rejected, or -> Board."
            )
        returned = members_of(hints["return"])
        if mark.role == "recovers":
            return cls._enter_recovery(name, mark, parameters, [each for each in returned if each is not type(None)])
        if mark.role == "handles":
            for command in only_parameter(place, parameters, Command, "a command"):
                known = cls.handlers.setdefault(command, name)
                if known != name:
                    raise DefinitionError(
                        f"{cls.__name__} handles {command.__name__} in two methods: {known} and {name}.",
                        "Keep one of them.",
                    )
            for event in returned:
                if not (isinstance(event, type) and issubclass(event, Event)):
                    raise DefinitionError(
                        f"{place} is annotated to return {event!r}, which is no Event.",
                        "Annotate it with the events that it may observe: -> Created | Rejected.",
                    )
            return returned
        if mark.role == "observes":
            [kind] = returned if len(returned) == 1 else [None]
            if not (isinstance(kind, type) and issubclass(kind, Observation)) or parameters:
                raise DefinitionError(
                    f"{place} does not say which observation it reads.", f"Write it as: def {name}(self) -> Board."
                )
            known = cls.observers.setdefault(kind, name)
            if known != name:
                raise DefinitionError(
                    f"{cls.__name__} reads {kind.__name__} in two methods: {known} and {name}.", "Keep one of them."
                )
            return ()
        raise DefinitionError(f"{place} has the decorator @{mark.role} of a model.", "Move it to the Model.")

    @classmethod
    def _enter_recovery(
        cls, name: str, mark: Mark, parameters: dict[str, Any], returned: list[Any]
    ) -> tuple[type[Event], ...]:
        place = f"{cls.__name__}.{name}"
        for event in returned:
            if not (isinstance(event, type) and issubclass(event, Event)):
                raise DefinitionError(
                    f"{place} is annotated to return {event!r}, which is no Event.",
                    "Annotate it with the events that it may find, and None where nothing was done: -> Held | None.",
                )
        for command in only_parameter(place, parameters, Command, "a command"):
            known, _ = cls.recoverers.setdefault(command, (name, mark.within))  # type: ignore[attr-defined]  # a dict
            if known != name:
                raise DefinitionError(
                    f"{cls.__name__} finds out about {command.__name__} in two methods: {known} and {name}.",
                    "Keep one of them.",
                )
        return tuple(returned)

    def __init__(self, http: Client, settings: Mapping[str, str] | None = None) -> None:
        self.http = http
        self.refs = Refs()
        for name, value in read_settings(type(self), settings or {}).items():
            setattr(self, name, value)

    def headers(self) -> dict[str, str]:
        """Return the headers that every request of the client carries; override it."""
        return {}

    def auth(self) -> tuple[str, str] | None:
        """Return the user and the password of HTTP Basic authentication; override it."""
        return None

    def reset(self) -> None:
        """Bring the service to a clean state before a run; override it."""

    def ref(self, entity: type[En], service_id: str | int) -> Ref[En]:
        """Return the ref of something that the service made, by the service's own id.

        In a handler, an id that is new is named by the step that is being run: `account@3`.
        """
        return self.refs.bind(entity, service_id)

    def perform(self, command: Command) -> Event:
        """Say a command to the service, and return what was observed."""
        name = self.handlers[type(command)]
        event = getattr(self, name)(command)
        if not isinstance(event, Event):
            raise TypeError(f"{type(self).__name__}.{name} returned {event!r}, which is no Event")
        return event

    def recover(self, command: Command) -> Event | None:
        """Find out what became of a command whose answer was lost; None where nothing was done, as far as is seen."""
        name, _ = self.recoverers[type(command)]
        found = getattr(self, name)(command)
        if not (found is None or isinstance(found, Event)):
            raise TypeError(f"{type(self).__name__}.{name} returned {found!r}, which is no Event")
        return found

    def observe(self, kind: type[Observation]) -> Observation | None:
        """Read an observation from the service; None where there is nothing to read it from."""
        name = self.observers[kind]
        seen = getattr(self, name)()
        if not isinstance(seen, kind):
            raise TypeError(f"{type(self).__name__}.{name} returned {seen!r}, which is no {kind.__name__}")
        return seen


def check_fit(model: type[Model], adapter: type[Adapter[Any]]) -> None:
    """Raise DefinitionError where an adapter can't say a model's commands or read its observations."""
    for command in model.commands:
        if command not in adapter.handlers and not issubclass(command, Wait | Fault):
            raise DefinitionError(
                f"{adapter.__name__} has no handler for {command.__name__}.",
                f"Add a method: @handles def ...(self, cmd: {command.__name__}) -> SomeEvent.",
            )
    for check in model.rules.checks:
        if check.observation is not None and check.observation not in adapter.observers:
            kind = check.observation.__name__
            raise DefinitionError(
                f"{model.__name__}.{check.name} reads {kind}, which {adapter.__name__} can't.",
                f"Add a method: @observes def ...(self) -> {kind}.",
            )


def check_predicts(model: type[Model]) -> None:
    """Raise DefinitionError where a model can't be run against itself."""
    for command in unpredicted(model):
        raise DefinitionError(
            f"{model.__name__} does not say what it expects of {command.__name__}.",
            "A run without a service needs an @expects method for every command.",
        )


def unpredicted(model: type[Model]) -> list[type[Command]]:
    """List the commands whose answer the model does not predict; that time goes by, or a fault begins, needs none."""
    asked = [command for command in model.commands if not issubclass(command, Wait | Fault)]
    return [command for command in asked if command not in model.rules.expects]


def settings_of(adapter: type[Adapter[Any]]) -> dict[str, Any]:
    """List the settings of an adapter: annotated attributes that are neither class variables nor ours."""
    hints = get_type_hints(adapter)
    return {
        name: kind
        for name, kind in hints.items()
        if not name.startswith("_") and name not in _RESERVED and ClassVar not in {kind, get_origin(kind)}
    }


def read_settings(adapter: type[Adapter[Any]], settings: Mapping[str, str]) -> dict[str, Any]:
    """Read settings from text into the types that the adapter annotates. Raises UsageError."""
    known = settings_of(adapter)
    read = {}
    for name, value in settings.items():
        if name not in known:
            raise UsageError(
                f"{adapter.__name__} has no setting {name!r}.",
                hint(name, known, f"Its settings: {', '.join(sorted(known))}."),
            )
        try:
            read[name] = convert(known[name], value)
        except InvalidValueError as error:
            raise UsageError(f"The setting {name} of {adapter.__name__} can't be {value!r}: {error}.") from None
    timeout = read.get("timeout", adapter.timeout)
    if not timeout > 0:
        raise UsageError(f"The setting timeout of {adapter.__name__} is {timeout}.", "Give it seconds, more than 0.")
    missing = [name for name in known if name not in read and not hasattr(adapter, name)]
    if missing:
        raise UsageError(
            f"{adapter.__name__} needs the setting {', '.join(missing)}.",
            f"Give it: --set {missing[0]}=VALUE, or in the profile: settings = {{ {missing[0]} = ... }}.",
        )
    return read


class Mock(Adapter[Model]):
    """The adapter of a run without a service: each command is answered with what the model expects.

    Needs an `@expects` for every command. There is nothing to observe, so checks that take an observation
    are not exercised, and the summary says so.
    """

    def __init__(self, model: type[Model]) -> None:
        self.refs = Refs()
        self._state = model()

    def reset(self) -> None:
        """Start again from the model's first state."""
        self._state = type(self._state)()

    def perform(self, command: Command) -> Event:
        """Answer with the first admissible event; what it leaves open is made up."""
        event = predicted(self._state, command, self.refs)
        assert event is not None  # noqa: S101  check_predicts has seen to it
        Model.apply(self._state, event)
        return event

    def observe(self, kind: type[Observation]) -> None:
        """Observe nothing."""


def predicted(state: Model, command: Command, refs: Refs) -> Event | None:
    """Return the first event that the model admits, what it leaves open made up; None where it predicts nothing."""
    prediction = Model.predict(state, command)
    if prediction is None:
        return Waited(seconds=command.seconds) if isinstance(command, Wait) else None
    expected: Event | Like[Any] = prediction.admissible[0]
    return _completed(expected, refs) if isinstance(expected, Like) else expected


def _completed(expected: Like[Any], refs: Refs) -> Event:
    values = dict(expected.fields)
    step = refs.step or 0
    for name, annotation, metadata, required in fields_of(expected.kind):
        if name in values or not required:
            continue
        may_be = get_args(annotation) if type(None) in get_args(annotation) else (annotation,)
        entity = next((each for one in may_be if get_origin(one) is Ref for each in get_args(one)), None)
        if isinstance(entity, type) and issubclass(entity, Entity):
            values[name] = refs.bind(entity, f"mock-{step}-{name}")
        else:
            generator = of(annotation, metadata, f"{expected.kind.__name__}.{name}")
            made_up = generator.build(generator.sample(Source(derive(step, 0)), DEFAULT_SIZE))
            values[name] = value_of(annotation, made_up)
    event: Event = expected.kind(**values)
    return event


class Adapters:
    """Makes a new adapter for each run, all on one client, and has the service reset before it.

    `running` is the service, where it is reset, restarted or watched here.
    """

    def __init__(
        self,
        model: type[Model],
        adapter: type[Adapter[Any]],
        url: str | None,
        settings: Mapping[str, str],
        transport: Way = "lean",
        running: Running | None = None,
    ) -> None:
        self.model, self.kind, self.settings = model, adapter, settings
        self.running = None if adapter is Mock else running
        self.client: Client | None = None
        self._injector: Injector | None = None
        self._captured = contextlib.ExitStack()
        if adapter is Mock:
            check_predicts(model)
            return
        check_fit(model, adapter)
        if url is None:
            raise UsageError("No service is named.", "Give its base URL.")
        self.client = Client(url, transport)
        self._injector = self._injector_for(model, self.client)
        self._made()  # wrong settings are told before the first run
        if adapter.other_clients:
            from replaykit import foreign

            self._captured.enter_context(foreign.captured())

    def new(self) -> Adapter[Any]:
        """Make the adapter of one run, the service being reset. Raises UnreachableError where that fails."""
        if self.client is None:
            return Mock(self.model)
        if self.running is not None and self.running.resets:
            self.running.reset(self.client)
        return self._made()

    def _made(self) -> Adapter[Any]:
        """Make an adapter. Raises DefinitionError where its constructor wants to end the process."""
        assert self.client is not None  # noqa: S101  there is one where there is an adapter to make
        try:
            made = self.kind(self.client, self.settings)
        except BaseException as error:
            if isinstance(error, Exception) or not is_fault(error):
                raise
            raise DefinitionError(
                f"{self.kind.__name__} can't be made: {type(error).__name__}: {error}.", "Mend its constructor."
            ) from error
        made.injector = self._injector
        return made

    def _injector_for(self, model: type[Model], client: Client) -> Injector | None:
        """Return what does the faults of a model; None where it has none. Raises DefinitionError, UsageError."""
        faults = [command for command in model.commands if issubclass(command, Fault)]
        if not faults:
            return None
        if self.kind.other_clients:
            raise DefinitionError(
                f"{model.__name__} has faults, and {self.kind.__name__} sends with other clients.",
                "Only what is sent with self.http goes through faults: send with it, or leave the faults out.",
            )
        injector = Injector(faults, client, self.running)
        self._captured.callback(injector.close)
        if self.running is not None:  # else it may be a cassette that is played
            injector.open()
        return injector

    @property
    def hung_up(self) -> int:
        """How many kept connections the service has closed."""
        return 0 if self.client is None else self.client.hung_up

    def rest(self) -> None:
        """Keep no connection over a pause: that the service closes it then says nothing."""
        if self.client is not None:
            self.client.rest()

    def close(self) -> None:
        """Close the client, let other clients go, and take away what does faults."""
        self._captured.close()
        if self.client is not None:
            self.client.close()
