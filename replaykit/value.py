"""Values: frozen, strict records that all that we write down is made of; the door to pydantic.

JSON has two forms here. *Data* is what `json` gives: dicts, lists, strings, numbers, booleans, None.
*Text* is JSON as bytes: what is snapshotted during a run, where nobody will look at most of it.
"""

import copy
import json
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, Self, TypeAlias, TypeGuard, TypeVar, cast

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, core_schema, to_json, to_jsonable_python

JsonData: TypeAlias = Any  # None | bool | int | float | str | list[JsonData] | dict[str, JsonData]
JsonText: TypeAlias = bytes

R = TypeVar("R", bound="BaseModel")
S = TypeVar("S", bound="State")


class InvalidValueError(ValueError):
    """A value is not of the type that its place asks for; the message has a line for each problem."""


class Record(BaseModel):
    """A value that never changes, with no room for unknown fields and no silent conversion."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", ser_json_inf_nan="constants")

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed; the changes are not validated."""
        return self.model_copy(update=changes)


class State(BaseModel):
    """A value that is folded from events, and so changes: a model's projection and its entities."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=(), ser_json_inf_nan="constants")


_CONSTANT = {str, int, float, bool, bytes, type(None)}  # kinds whose values never change; more are learnt
_set = object.__setattr__


def copied(state: S) -> S:
    """Copy a state with all that it holds, some four times faster than `copy.deepcopy`.

    What is shared inside of it is shared inside the copy. Keys of dicts and members of sets never change, and so
    are not copied.
    """
    made: S = _copied(state, {})
    return made


def _copied(value: Any, known: dict[int, Any]) -> Any:
    kind = type(value)
    if kind in _CONSTANT:
        return value
    place = id(value)
    if place in known:
        return known[place]
    made: Any
    if kind is dict:
        known[place] = made = {}
        for key, each in value.items():
            made[key] = each if type(each) in _CONSTANT else _copied(each, known)
    elif kind is list:
        known[place] = made = []
        made += [each if type(each) in _CONSTANT else _copied(each, known) for each in value]
    elif kind is set:
        known[place] = made = value.copy()
    elif isinstance(value, State) and kind.__deepcopy__ is BaseModel.__deepcopy__:
        known[place] = made = object.__new__(kind)
        fields = value.__dict__
        _set(
            made,
            "__dict__",
            {name: each if type(each) in _CONSTANT else _copied(each, known) for name, each in fields.items()},
        )
        _set(made, "__pydantic_fields_set__", value.__pydantic_fields_set__.copy())
        _set(made, "__pydantic_extra__", _copied(value.__pydantic_extra__, known))
        _set(made, "__pydantic_private__", _copied(value.__pydantic_private__, known))
    else:
        made = copy.deepcopy(value, known)
        if made is value and kind is not tuple:  # a tuple is its own copy only if nothing in it can change
            _CONSTANT.add(kind)
    return made


def frozen(value: Any) -> Hashable:
    """Say what a state holds as a value that can be hashed: two states are the same if this is.

    The order of dicts and of sets does not count, which JSON text has to put in some order.
    """
    kind, same = type(value), cast("Hashable", value)
    if kind in _CONSTANT:
        return same
    if kind is dict:
        return frozenset([(key, frozen(each)) for key, each in value.items()])
    if kind is list or kind is tuple:
        return tuple([frozen(each) for each in value])
    if kind is set:
        return frozenset(value)
    if isinstance(value, BaseModel):
        return (
            kind.__qualname__,
            *[frozen(each) for each in value.__dict__.values()],
            frozen(value.__pydantic_private__),
        )
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return same


def text_of(value: BaseModel) -> JsonText:
    """Snapshot a record or a state as JSON text. Raises InvalidValueError for what JSON can't say."""
    try:
        return _finite(value.__pydantic_serializer__.to_json(value))
    except (PydanticSerializationError, ValueError) as error:
        raise InvalidValueError(f"{type(value).__name__} can't be written as JSON: {error}") from None


def text_of_data(data: JsonData) -> JsonText:
    """Write JSON data as JSON text. Raises InvalidValueError for what JSON can't say."""
    try:
        return _finite(to_json(data, inf_nan_mode="constants"))
    except (PydanticSerializationError, ValueError) as error:
        raise InvalidValueError(f"{data!r} can't be written as JSON: {error}") from None


def _finite(text: JsonText) -> JsonText:
    """Return JSON text; raise ValueError where a number in it is none that JSON knows."""
    if b"NaN" in text or b"Infinity" in text:
        json.loads(text, parse_constant=_refuse)
    return text


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number that JSON knows")


def parse(kind: type[R], data: JsonData, context: Mapping[str, Any] | None = None) -> R:
    """Read a record from JSON data, strictly. Raises InvalidValueError with one line for each problem."""
    try:
        read: R = kind.__pydantic_validator__.validate_json(to_json(data), context=dict(context or {}))
    except ValidationError as error:
        raise InvalidValueError(explain(error, kind.__name__)) from None
    except PydanticSerializationError as error:
        raise InvalidValueError(f"{kind.__name__}: {error}") from None
    return read


def value_of(annotation: Any, data: JsonData) -> Any:
    """Read a value of an annotated type from JSON data. Raises ValueError."""
    return TypeAdapter(annotation).validate_json(to_json(data))


def convert(annotation: Any, text: str) -> Any:
    """Read a value of an annotated type from what stands on a command line or in a profile.

    `3` is an int where an int is asked for and a str where a str is; JSON is read for lists and dicts.
    Raises InvalidValueError.
    """
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    try:
        return adapter.validate_python(text)
    except ValidationError as first:
        try:
            return adapter.validate_json(text)
        except ValidationError:
            raise InvalidValueError(explain(first, "value")) from None


def jsonable(value: Any) -> JsonData:
    """Say any value in JSON data, for comparing and showing; what JSON has no word for becomes its repr."""
    return to_jsonable_python(value, fallback=repr, serialize_unknown=True, inf_nan_mode="strings")


def explain(error: ValidationError, name: str) -> str:
    """Say what pydantic says, in one line for each problem: where, what is wrong, and what was there."""
    lines = []
    for problem in error.errors(include_url=False, include_context=False):
        place = ".".join(str(part) for part in problem["loc"]) or name
        found = repr(problem["input"])
        lines.append(f"{place}: {problem['msg']} (found {found[:80]})")
    return "; ".join(lines)


def named_value(read: Callable[[Any, Mapping[str, Any]], Any]) -> core_schema.CoreSchema:
    """Describe a value that is written down as its `str()`, and read with the context of `parse`."""

    def validate(value: Any, info: core_schema.ValidationInfo) -> Any:
        return read(value, info.context or {})

    return core_schema.with_info_plain_validator_function(validate, serialization=core_schema.to_string_ser_schema())


def fields_of(kind: type[BaseModel]) -> Iterator[tuple[str, Any, list[Any], bool]]:
    """List the fields of a record type: name, annotation, metadata of Annotated, and is it required?"""
    for name, field in kind.model_fields.items():
        yield name, field.annotation, list(field.metadata), field.is_required()


def schema_of(kind: type[BaseModel]) -> dict[str, JsonData]:
    """Return the JSON Schema of a record type: of the data that it is read from."""
    return kind.model_json_schema(mode="validation")


def is_record_type(annotation: Any) -> TypeGuard[type[BaseModel]]:
    """Say whether an annotation is a class made of named fields."""
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def loads(text: bytes | str) -> JsonData:
    """Read our own JSON text, which is known to be well formed."""
    return json.loads(text)
