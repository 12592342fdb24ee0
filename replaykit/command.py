"""What is said and heard: Command, Event, Observation; what the service made: Entity, Ref.

Messages are named in bundles by a tag, never by a module path, so that a bundle survives renaming and
moving: `class Credit(Command, tag="credit", version=2, aliases=("deposit",))`.
"""

import re
import secrets
import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar, get_args

from replaykit import gen
from replaykit.errors import DefinitionError, StaleError
from replaykit.generator import Generator, spelled_out
from replaykit.placeholder import covered_in
from replaykit.value import InvalidValueError, JsonData, Record, State, fields_of, named_value, parse

_TAG = re.compile(r"[a-z][a-z0-9_]*\Z")
_UNSET = object()


def snake_case(name: str) -> str:
    """Turn a class name into a tag: CreatePlayer becomes create_player."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _check_tag(tag: str, name: str) -> str:
    if not _TAG.match(tag):
        raise DefinitionError(
            f"{name} has the tag {tag!r}.",
            "A tag is made of lower-case letters, digits and underscores: create_player.",
        )
    return tag


class _Message(Record):
    """What commands, events and observations share: a tag, a version, and reading older versions."""

    tag: ClassVar[str] = ""
    version: ClassVar[int] = 1
    aliases: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(
        cls, *, tag: str | None = None, version: int = 1, aliases: Sequence[str] = (), **config: Any
    ) -> None:
        super().__init_subclass__(**config)
        cls.tag = _check_tag(tag or snake_case(cls.__name__), cls.__name__)
        cls.version = version
        cls.aliases = tuple(_check_tag(each, cls.__name__) for each in aliases)

    @classmethod
    def upcast(cls, version: int, data: dict[str, JsonData]) -> dict[str, JsonData]:
        """Turn the arguments of an older version into today's; override it when fields change."""
        del version
        return data


class Command(_Message):
    """One thing that we can ask of the service: a type with arguments.

    Class keywords: `tag` (default: the class name in snake_case), `version`, `aliases` (older tags), `weight`, which
    says how often it is generated compared with the others, and `idempotent`, which says that nothing more happens
    when it is sent again: at any time (True), or only "at once".
    """

    weight: ClassVar[float] = 1.0
    idempotent: ClassVar[Literal[True, False, "at once"]] = False

    def __init_subclass__(
        cls,
        *,
        weight: float = 1.0,
        idempotent: Literal[True, False, "at once"] = False,
        tag: str | None = None,
        version: int = 1,
        aliases: Sequence[str] = (),
        **config: Any,
    ) -> None:
        super().__init_subclass__(tag=tag, version=version, aliases=aliases, **config)
        if idempotent not in (True, False, "at once"):
            raise DefinitionError(
                f"{cls.__name__} has idempotent={idempotent!r}.",
                'Write idempotent=True if it may be sent again at any time, idempotent="at once" if only then.',
            )
        cls.idempotent = idempotent
        if not weight > 0:
            raise DefinitionError(
                f"{cls.__name__} has the weight {weight}.",
                "A weight is a positive number; leave the command out of `commands` if it shall never come.",
            )
        cls.weight = float(weight)


class Event(_Message):
    """What the adapter observed in answer to a command."""


class Observation(_Message):
    """Something read from the service only in order to check it."""


class Wait(Command):
    """Let time go by, for services with clocks, throttles and caches; no adapter handles it.

    Name it in `commands` as it is, or a subclass with another range: seconds: Annotated[float, gen.real(1, 3)].
    """

    seconds: Annotated[float, gen.real(0.05, 1.0)]


class Waited(Event):
    """Time has gone by."""

    seconds: float


class Entity(State):
    """What a model remembers about something that the service made."""

    tag: ClassVar[str] = ""

    def __init_subclass__(cls, *, tag: str | None = None, **config: Any) -> None:
        super().__init_subclass__(**config)
        cls.tag = _check_tag(tag or snake_case(cls.__name__), cls.__name__)


En = TypeVar("En", bound=Entity)


class Ref(Generic[En]):
    """The symbolic name of a value that the service made: `account@3` was made by step 3.

    It is compared and hashed by this label. The service's own `id` is bound anew in each run, and never
    enters state, sequence or fingerprint.
    """

    __slots__ = ("_hash", "_id", "label")

    def __init__(self, label: str, service_id: Any = _UNSET) -> None:
        self.label = label
        self._id = service_id
        self._hash = hash(label)

    @property
    def id(self) -> Any:
        """The service's own id in this run. Raises StaleError if nothing is bound to the name."""
        if self._id is _UNSET:
            raise StaleError(f"{self.label} is bound to nothing in this run.")
        return self._id

    @property
    def entity(self) -> str:
        """The tag of what it names."""
        return self.label.partition("@")[0]

    def __str__(self) -> str:
        return self.label

    def __repr__(self) -> str:
        return f"<{self.label}>"

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and self.label == other.label

    def __deepcopy__(self, _: dict[int, Any]) -> Self:
        return self  # it never changes

    def __lt__(self, other: "Ref[Any]") -> bool:
        return _parts(self.label) < _parts(other.label)

    @classmethod
    def ref_to(cls, arguments: tuple[Any, ...], place: str) -> str:
        """Return the tag of the entity in `Ref[Entity]`; raise DefinitionError where there is none."""
        if len(arguments) != 1 or not (isinstance(arguments[0], type) and issubclass(arguments[0], Entity)):
            raise DefinitionError(
                f"{place} is a Ref to {arguments!r}.", "Write Ref[Account], where Account is a subclass of Entity."
            )
        return arguments[0].tag

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        del handler
        entity = cls.ref_to(get_args(source), "A field")

        def read(value: Any, context: Mapping[str, Any]) -> Any:
            if isinstance(value, Ref):
                if value.entity != entity:
                    raise ValueError(f"{value.label} is no {entity}")
                return value
            refs: Refs | None = context.get("refs")
            if not isinstance(value, str) or refs is None:
                raise ValueError(f"a Ref to {entity} is made with self.ref() in the adapter")
            found = refs.named(value)
            if found is None:
                raise UnboundRefError(f"{value} was not made in this run")
            if found.entity != entity:
                raise ValueError(f"{value} is no {entity}")
            return found

        return named_value(read)


def _parts(label: str) -> list[tuple[int, str]]:
    """Order labels by their parts, numbers as numbers: account@9 stands before account@10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", label)]


class UnboundRefError(ValueError):
    """A name was used that nothing is bound to in this run."""


class Refs:
    """What is bound in one run: names of what the service made, and its own ids; safe for several threads."""

    def __init__(self) -> None:
        self._by_label: dict[str, Ref[Any]] = {}
        self._by_id: dict[tuple[str, type, Any], Ref[Any]] = {}
        self._lock = threading.Lock()
        self._here = threading.local()
        self.nonce = secrets.token_hex(8)  # what is minted in this run has it in it

    @property
    def step(self) -> int | None:
        """The label of the step that is being run by this thread; None between steps."""
        return getattr(self._here, "step", None)

    @step.setter
    def step(self, label: int | None) -> None:
        self._here.step = label

    def copy(self) -> "Refs":
        """Copy what is bound, for trying out what might be bound next."""
        copy = Refs()
        copy._by_label, copy._by_id, copy.nonce = self._by_label.copy(), self._by_id.copy(), self.nonce
        return copy

    def go_back(self, before: "Refs") -> None:
        """Forget what was bound since a copy was made."""
        with self._lock:
            before = before.copy()
            self._by_label, self._by_id = before._by_label, before._by_id  # noqa: SLF001  of another one of its kind

    def bind(self, entity: type[Entity], service_id: Any) -> Ref[Any]:
        """Return the ref of a service's id; an id that is new is named by the step that it appears in."""
        key = (entity.tag, type(service_id), service_id)
        known = self._by_id.get(key)
        if known is not None:
            return known
        if self.step is None:  # seen while reading, made by nobody that we know
            is_number_text = isinstance(service_id, str) and service_id.isdigit()
            return Ref(f"{entity.tag}@?{service_id!r}" if is_number_text else f"{entity.tag}@?{service_id}", service_id)
        with self._lock:
            known = self._by_id.get(key)
            if known is not None:  # another thread was faster
                return known
            label, count = f"{entity.tag}@{self.step}", 1
            while label in self._by_label:
                count += 1
                label = f"{entity.tag}@{self.step}.{count}"
            ref: Ref[Any] = Ref(label, service_id)
            self._by_id[key] = self._by_label[label] = ref
            return ref

    def named(self, label: str) -> Ref[Any] | None:
        """Return the ref of that name, or None if nothing is bound to it."""
        return self._by_label.get(label)

    def bound(self) -> list[tuple[str, Any]]:
        """List what the service made: the tag of the entity, and the service's own id."""
        return [(entity, service_id) for entity, _, service_id in self._by_id.copy()]

    def of(self, entity: str) -> list[str]:
        """List the names of all that is bound of one kind, in the order in which it was made."""
        return [ref.label for ref in self._by_label.copy().values() if ref.entity == entity]


REF = re.compile(r"[a-z][a-z0-9_]*@(\d+)(?:\.\d+)?\Z")


def steps_named_in(data: JsonData) -> set[int]:
    """List the steps whose products are named in some arguments.

    A text argument that happens to look like a ref counts as one: then a step is kept, or is removed,
    together with one that it does not need, which costs nothing but a little.
    """
    if isinstance(data, str):
        found = REF.match(data)
        return {int(found[1])} if found else set()
    if isinstance(data, dict):
        return set().union(*map(steps_named_in, data.values())) if data else set()
    if isinstance(data, list):
        return set().union(*map(steps_named_in, data)) if data else set()
    return set()


@lru_cache(maxsize=1024)
def generators_of(command: type[Command]) -> dict[str, Generator]:
    """Find the generator of each field of a command; raise DefinitionError where there is none."""
    generators = {}
    for name, annotation, metadata, _ in fields_of(command):
        place = f"{command.__name__}.{name}"
        try:
            generators[name] = gen.of(annotation, metadata, place)
        except RecursionError:
            raise DefinitionError(
                f"{place} has a type that holds itself.", "Annotate it with a generator of module gen."
            ) from None
    return generators


def command_of(kind: type[Command], version: int, data: dict[str, JsonData], refs: Refs) -> Command:
    """Make a command from its saved arguments, with its refs bound, and with what was minted spelled out.

    Raises StaleError if they do not fit.
    """
    if version > kind.version:
        raise StaleError(
            f"{kind.tag} was saved in version {version}, and here it has version {kind.version}.",
            "Replay it with the newer model.",
        )
    if version < kind.version:
        data = kind.upcast(version, dict(data))
    try:
        return parse(kind, spelled_out(data, refs.nonce), {"refs": refs})
    except InvalidValueError as error:
        covered = ", ".join(covered_in(data))
        if covered:  # what it says was found is the placeholder, and what should be there is the secret itself
            raise StaleError(
                f"The arguments of {kind.tag} do not fit: {covered} stands there for a secret that was covered, and "
                f"the command does not take every text: {error}.",
                "Replay it live, where the value is put in, or let the command take any text.",
            ) from None
        raise StaleError(
            f"The arguments of {kind.tag} do not fit: {error}.",
            "If the command was changed on purpose, raise its version and write `upcast`.",
        ) from None
