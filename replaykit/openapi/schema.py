"""Schema: what a JSON Schema of a description says, with its refs followed and its `allOf` put together."""

import json
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

from replaykit.errors import DescriptionError
from replaykit.openapi.description import Description, escaped, local
from replaykit.value import JsonData

MAX_NESTED = 20  # allOf in allOf
MOST_PARTS = 5000  # that a schema is put together of
MOST_DEEP = 200

_LOWEST = {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}
_HIGHEST = {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}


class Member(NamedTuple):
    """A member of an object: where its schema stands, and whether it has to be there."""

    pointer: str
    is_required: bool


def require_sound(description: Description, pointers: Iterable[str], known: dict[str, int]) -> None:
    """Raise DescriptionError where a schema at one of these pointers, or one that it leads to, is none.

    So it is where a schema is put together of so many parts that holding a value against it would take forever.
    `known` keeps the places that were looked at, with how many parts each is put together of.
    """
    waiting = [pointer for pointer in pointers if pointer]
    while waiting:
        pointer = waiting.pop()
        if pointer in known:
            continue
        known[pointer] = 0
        waiting += _nested(description, pointer)
    for pointer in pointers:
        if pointer and _parts(description, pointer, known, 0) > MOST_PARTS:
            raise DescriptionError(f"The schema at #{pointer} is put together of too many parts.", "Mend it.")


def _nested(description: Description, pointer: str) -> list[str]:
    """Check one schema; list where those are that it leads to."""
    schema = description.at(pointer)
    if isinstance(schema, bool):
        return []
    if not isinstance(schema, dict):
        raise DescriptionError(f"#{pointer} is no schema: it is neither an object nor true or false.", "Mend it.")
    for name, (is_sound, wanted) in _KEYWORDS.items():
        if name in schema and not is_sound(schema[name]):
            said = json.dumps(schema[name])[:60]
            raise DescriptionError(f"#{pointer}/{name} is {said}, and has to be {wanted}.", "Mend the description.")
    found = [f"{pointer}/{name}" for name in _ONE if name in schema]
    found += [f"{pointer}/{name}/{at}" for name in _SEVERAL if name in schema for at in range(len(schema[name]))]
    found += [f"{pointer}/{name}/{escaped(key)}" for name in _NAMED if name in schema for key in schema[name]]
    if "$ref" in schema:
        found.append(description.follow(local(schema["$ref"]))[0])
    return found


def _parts(description: Description, pointer: str, known: dict[str, int], depth: int) -> int:
    """Count of how many parts a schema is put together that are about the same value."""
    if depth > MOST_DEEP:
        return 1
    if not known.get(pointer):
        known[pointer] = 1  # where it holds itself
        schema = description.at(pointer)
        inner: list[str] = []
        if isinstance(schema, dict):
            inner = [
                f"{pointer}/{name}/{at}" for name in _TOGETHER if name in schema for at in range(len(schema[name]))
            ]
            inner += [description.follow(local(schema["$ref"]))[0]] if "$ref" in schema else []
        known[pointer] = 1 + sum(_parts(description, each, known, depth + 1) for each in inner)
    return known[pointer]


def _is_text(value: JsonData) -> bool:
    return isinstance(value, str)


def _is_flag(value: JsonData) -> bool:
    return isinstance(value, bool)


def _is_number(value: JsonData) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: JsonData) -> bool:
    return _is_number(value) and value >= 0 and float(value).is_integer()


def _is_texts(value: JsonData) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_type(value: JsonData) -> bool:
    said = value if isinstance(value, list) else [value]
    return bool(said) and all(isinstance(each, str) and each in _TYPES for each in said)


_Check: TypeAlias = tuple[Callable[[JsonData], bool], str]
_TYPES = {"string", "integer", "number", "boolean", "array", "object", "null"}
_TOGETHER = ("allOf", "anyOf", "oneOf")
_ONE = (
    "items", "additionalProperties", "not", "contains", "propertyNames", "if", "then", "else", "unevaluatedItems",
    "unevaluatedProperties",
)  # fmt: skip
_SEVERAL = (*_TOGETHER, "prefixItems")
_NAMED = ("properties", "patternProperties", "$defs", "dependentSchemas")
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_KEYWORDS: dict[str, _Check] = {
    "type": (_is_type, "a type of JSON Schema, or a list of them"),
    "required": (_is_texts, "a list of names"),
    "enum": (lambda value: isinstance(value, list), "a list"),
    "multipleOf": (lambda value: _is_number(value) and value > 0, "a number above 0"),
    "dependentRequired": (
        lambda value: isinstance(value, dict) and all(map(_is_texts, value.values())), "an object of lists of names",
    ),
    **dict.fromkeys(_COUNTS, (_is_count, "a whole number, 0 or more")),
    **dict.fromkeys(_BOUNDS, (_is_number, "a number")),
    **dict.fromkeys(("$ref", "format", "pattern"), (_is_text, "a text")),
    **dict.fromkeys(("uniqueItems", "readOnly", "writeOnly"), (_is_flag, "true or false")),
    **dict.fromkeys(_SEVERAL, (lambda value: isinstance(value, list), "a list of schemas")),
    **dict.fromkeys(_NAMED, (lambda value: isinstance(value, dict), "an object of schemas")),
}  # fmt: skip


def merged(description: Description, schema: JsonData, depth: int = 0) -> dict[str, JsonData]:
    """Return a schema with its own ref and `allOf` put into it; those of its members stay. True is {}."""
    if not isinstance(schema, dict):
        return {}
    made = {name: each for name, each in schema.items() if name not in {"$ref", "allOf"}}
    parts: list[JsonData] = []
    if isinstance(schema.get("$ref"), str):
        parts.append(description.follow(local(schema["$ref"]))[1])
    parts += schema["allOf"] if isinstance(schema.get("allOf"), list) else []
    for part in parts if depth < MAX_NESTED else ():
        made = _both(made, merged(description, part, depth + 1))
    return made


def _both(one: dict[str, JsonData], other: dict[str, JsonData]) -> dict[str, JsonData]:
    """Put together what two schemas say that both have to be met."""
    made = dict(one)
    for name, value in other.items():
        if name not in made:
            made[name] = value
        elif name == "required":
            made[name] = list(dict.fromkeys([*made[name], *value]))
        elif name == "properties":
            properties = dict(made[name])
            for key, each in value.items():
                properties[key] = {"allOf": [properties[key], each]} if key in properties else each
            made[name] = properties
        elif name in _LOWEST:
            made[name] = min(made[name], value)
        elif name in _HIGHEST:
            made[name] = max(made[name], value)
        elif name == "type":
            both = [each for each in types_of(made) if each in types_of(other)]
            made[name] = both or made[name]
        elif name == "enum":
            made[name] = [each for each in made[name] if each in value] or made[name]
    return made


def types_of(schema: dict[str, JsonData]) -> list[str]:
    """List the types that a schema admits, as far as it says; [] where it does not."""
    said = schema.get("type")
    if isinstance(said, str):
        return [said]
    return [each for each in said if isinstance(each, str)] if isinstance(said, list) else []


def type_of(schema: dict[str, JsonData]) -> str | None:
    """Return the one type of a schema, null aside; guessed by its keywords where it does not say."""
    said = [each for each in types_of(schema) if each != "null"]
    if len(said) == 1:
        return said[0]
    if said:
        return "number" if {*said} == {"integer", "number"} else None
    if "properties" in schema or "additionalProperties" in schema:
        return "object"
    if "items" in schema:
        return "array"
    if {"minLength", "maxLength", "pattern"} & schema.keys():
        return "string"
    known = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(known, list) and known and all(isinstance(each, str) for each in known):
        return "string"
    return None


def distinct(values: list[JsonData]) -> list[JsonData]:
    """Return values without those that are said twice; 1 and true are two."""
    return list({json.dumps(each, sort_keys=True): each for each in reversed(values)}.values())[::-1]


def admits_null(schema: dict[str, JsonData]) -> bool:
    """Say whether a schema says that null is admitted."""
    branches = [each for name in ("anyOf", "oneOf") for each in schema.get(name, []) if isinstance(each, dict)]
    return "null" in types_of(schema) or any("null" in types_of(each) for each in branches)


def without_null(description: Description, schema: dict[str, JsonData]) -> dict[str, JsonData]:
    """Return a schema without what it says of null: `anyOf` of a schema and null is that schema."""
    made = dict(schema)
    for name in ("anyOf", "oneOf"):
        branches = made.get(name)
        if isinstance(branches, list):
            left = [each for each in branches if not (isinstance(each, dict) and types_of(each) == ["null"])]
            if len(left) == 1:
                del made[name]
                made = merged(description, {"allOf": [made, left[0]]})
            elif len(left) != len(branches):
                made[name] = left
    kinds = types_of(made)
    if "null" in kinds and len(kinds) > 1:
        made["type"] = [each for each in kinds if each != "null"]
    if isinstance(made.get("enum"), list) and None in made["enum"] and len(made["enum"]) > 1:
        made["enum"] = [each for each in made["enum"] if each is not None]
    return made


def whole(description: Description, pointer: str) -> dict[str, JsonData]:
    """Return the schema at a pointer, put together; {} where there is none."""
    return merged(description, description.at(pointer)) if pointer else {}


def members(description: Description, pointer: str, depth: int = 0) -> dict[str, Member]:
    """List the members of an object whose schema stands at a pointer, those of `allOf` too."""
    place, schema = description.follow(pointer)
    if not isinstance(schema, dict) or depth > MAX_NESTED:
        return {}
    found: dict[str, Member] = {}
    for index in range(len(schema["allOf"]) if isinstance(schema.get("allOf"), list) else 0):
        found |= members(description, f"{place}/allOf/{index}", depth + 1)
    needed = {*schema["required"]} if isinstance(schema.get("required"), list) else set()
    said: Any = schema.get("properties")
    for name in said if isinstance(said, dict) else ():
        found[name] = Member(f"{place}/properties/{escaped(name)}", name in needed)
    return {name: Member(each.pointer, each.is_required or name in needed) for name, each in found.items()}
