"""Shape: a schema as a type and as a generator, which is both written down and made, so that it can be tried at once.

What a schema says that no generator is known for is met by leaving out what does not fit; where hardly anything would
be left, there is no shape, and the caller says so.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from replaykit import gen
from replaykit.errors import DefinitionError
from replaykit.generator import Generator
from replaykit.openapi import values
from replaykit.openapi.code import Node, call, is_nullable, items, literal, nullable, of, pairs, quoted
from replaykit.openapi.description import Description, local
from replaykit.openapi.fit import Fit
from replaykit.openapi.schema import admits_null, distinct, merged, type_of, types_of, without_null
from replaykit.source import DEFAULT_SIZE, Source, derive
from replaykit.value import JsonData

MORE = 3  # items of a list beyond the least, where there is no limit
MANY = 1_000_000  # as far as numbers without a limit go from the other limit
MOST_PARTS = 2000  # of one shape
LARGEST = 100_000  # the least characters of a text, or items of a list
MOST_OPTIONAL = 20  # members of an object
MOST_NESTED = 30  # refs in refs
TRIED = 60  # values of a shape that are held against the schema
FEW = 0.05  # the least part of them that has to fit

_FORMATS: dict[str, tuple[str, Callable[[], Generator]]] = {
    "uuid": ("uuid", values.uuid),
    "email": ("email", values.email),
    "idn-email": ("email", values.email),
    "hostname": ("hostname", values.hostname),
    "uri": ("uri", values.uri),
    "url": ("uri", values.uri),
    "iri": ("uri", values.uri),
    "uri-reference": ("uri", values.uri),
    "ipv4": ("ipv4", values.ipv4),
    "ipv6": ("ipv6", values.ipv6),
    "date": ("day", values.day),
    "date-time": ("moment", values.moment),
    "time": ("clock", values.clock),
    "duration": ("duration", values.duration),
    "byte": ("base64_text", values.base64_text),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """A type of Python, and a generator of its values: as text, and as it is."""

    type: Node
    code: Node
    generator: Generator
    is_plain: bool = False  # the generator follows from the type

    @property
    def annotation(self) -> Node:
        """What stands behind the name of a field."""
        return self.type if self.is_plain else of("Annotated", self.type, self.code)


class Shapes:
    """Makes shapes of the schemas of one description."""

    def __init__(self, description: Description, *, is_request: bool = True) -> None:
        self._description = description
        self._fit = Fit(description, is_request=is_request)
        self._left = MOST_PARTS
        self._unsaid = "readOnly" if is_request else "writeOnly"

    def of(self, pointer: str) -> Shape | None:
        """Return the shape of what may be said for the schema at a pointer; None where none is known."""
        if not pointer:
            return self._any()
        schema = self._description.at(pointer)
        self._left = MOST_PARTS
        made = self._of(schema, ())
        if self._left < 0:
            return None
        return None if made is None else self._tried(pointer, made)

    def _tried(self, pointer: str, shape: Shape) -> Shape | None:
        """Hold some values of a shape against its schema, and leave out what does not fit."""
        fitting = 0
        for index in range(TRIED):
            try:
                drawn = shape.generator.sample(Source(derive(7, index)), DEFAULT_SIZE * index // TRIED)
            except DefinitionError:
                return None
            fitting += self._fit.is_met(pointer, shape.generator.build(drawn))
        if fitting == TRIED:
            return shape
        if fitting < TRIED * FEW:
            return None
        code = call("PLAN.fitting", quoted(pointer), shape.code)
        generator = gen.filter(shape.generator, partial(self._fit.is_met, pointer))
        return replace(shape, code=code, generator=generator, is_plain=False)

    def _places(self, schema: JsonData) -> set[str]:
        """List where the refs lead to that are put together with a schema: its own, those of allOf, and of a branch."""
        found: set[str] = set()
        waiting = [schema]
        while waiting:
            each = waiting.pop()
            if not isinstance(each, dict):
                continue
            if isinstance(each.get("$ref"), str):
                place, target = self._description.follow(local(each["$ref"]))
                if place in found:
                    continue
                found.add(place)
                waiting.append(target)
            waiting += each["allOf"] if isinstance(each.get("allOf"), list) else []
            for name in ("anyOf", "oneOf"):
                branches = each[name] if isinstance(each.get(name), list) else []
                left = [one for one in branches if not (isinstance(one, dict) and types_of(one) == ["null"])]
                waiting += left if len(left) == 1 else []
        return found

    def _any(self) -> Shape:
        return Shape("JsonData", "values.ANY", values.ANY)

    def _of(self, schema: JsonData, above: tuple[str, ...]) -> Shape | None:
        if schema is False:
            return None
        self._left -= 1
        places = self._places(schema)
        if self._left < 0 or len(above) > MOST_NESTED or not places.isdisjoint(above):
            return None  # it holds itself, and has to end somewhere
        above = (*above, *sorted(places))
        plain = merged(self._description, schema)
        if admits_null(plain):
            bare = without_null(self._description, plain)
            inner = self._of(bare, above) if types_of(bare) != ["null"] else None
            if inner is None:
                return Shape("None", call("gen.const", "None"), gen.const(None), is_plain=True)
            return or_none(inner)
        made = self._bare(plain, above)
        return None if made is None else self._with_examples(plain, made)

    def _bare(self, schema: dict[str, JsonData], above: tuple[str, ...]) -> Shape | None:
        if "const" in schema:
            value = schema["const"]
            kind: Node = of("Literal", literal(value)) if isinstance(value, str | int | None) else "JsonData"
            return Shape(kind, call("gen.const", literal(value)), gen.const(value), is_plain=kind != "JsonData")
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return self._enum(schema["enum"])
        for name in ("oneOf", "anyOf"):
            if isinstance(schema.get(name), list) and schema[name]:
                return self._one_of(schema, name, above)
        kinds = [each for each in types_of(schema) if each != "null"]
        if len(kinds) > 1 and type_of(schema) is None:
            return self._choice([self._of({**schema, "type": each}, above) for each in kinds])
        match type_of(schema):
            case "string":
                return self._text(schema)
            case "integer":
                return self._integer(schema)
            case "number":
                return self._number(schema)
            case "boolean":
                return Shape("bool", call("gen.boolean"), gen.boolean(), is_plain=True)
            case "array":
                return self._array(schema, above)
            case "object":
                return self._object(schema, above)
            case "null":
                return Shape("None", call("gen.const", "None"), gen.const(None), is_plain=True)
        return self._any()

    def _with_examples(self, schema: dict[str, JsonData], shape: Shape) -> Shape:
        said = schema.get("examples")
        known = said if isinstance(said, list) else []
        is_asked = not shape.is_plain or (self._description.is_observed and not {"enum", "const"} & schema.keys())
        if not is_asked or not known or type_of(schema) not in {"string", "integer", "number"}:
            return shape
        kinds = {"string": str, "integer": int, "number": int | float}
        kept = [each for each in known if isinstance(each, kinds[str(type_of(schema))]) and not isinstance(each, bool)]
        if not kept or schema.get("format") in {"uuid", "date-time"}:
            return shape
        if self._description.is_observed:  # what else may be sent, nobody knows: much of it is refused
            code = call("gen.choice", call("gen.one_of", literal(kept)), shape.code)
            return Shape(shape.type, code, gen.choice(gen.one_of(kept), shape.generator))
        code = call("values.now_and_then", literal(kept), shape.code)
        return Shape(shape.type, code, values.now_and_then(kept, shape.generator))

    def _enum(self, said: list[JsonData]) -> Shape:
        known = distinct(said)
        if all(each is None or isinstance(each, str | int) for each in known):
            plain = of("Literal", *map(literal, known))
            return Shape(plain, call("gen.one_of", literal(known)), gen.one_of(known), is_plain=True)
        return Shape("JsonData", call("gen.one_of", literal(known)), gen.one_of(known))

    def _one_of(self, schema: dict[str, JsonData], name: str, above: tuple[str, ...]) -> Shape | None:
        around = {key: each for key, each in schema.items() if key not in {"oneOf", "anyOf", "discriminator"}}
        branches = []
        for branch in schema[name]:
            named = self._discriminated(schema, branch)
            branches.append(self._of({"allOf": [around, branch, *named]} if around or named else branch, above))
        return self._choice(branches)

    def _discriminated(self, schema: dict[str, JsonData], branch: JsonData) -> list[JsonData]:
        """Say what a branch calls itself (OpenAPI 3.1.0, "Discriminator Object")."""
        told = schema.get("discriminator")
        name = told.get("propertyName") if isinstance(told, dict) else None
        ref = branch.get("$ref") if isinstance(branch, dict) else None
        if not isinstance(name, str) or not isinstance(ref, str) or not isinstance(told, dict):
            return []
        mapping = told.get("mapping")
        word = ref.rpartition("/")[2]
        for key, target in mapping.items() if isinstance(mapping, dict) else ():
            if target in {ref, word}:
                word = key
        return [{"type": "object", "properties": {name: {"const": word}}, "required": [name]}]

    def _choice(self, branches: list[Shape | None]) -> Shape | None:
        known = [each for each in branches if each is not None]
        if len(known) < 2:  # noqa: PLR2004
            return known[0] if known else None
        kinds = list(dict.fromkeys(each.type for each in known))
        kind = kinds[0] if len(kinds) == 1 else "JsonData"
        return Shape(
            kind, call("gen.choice", *(each.code for each in known)), gen.choice(*(each.generator for each in known))
        )

    def _text(self, schema: dict[str, JsonData]) -> Shape | None:
        least, most = _size(schema, "minLength") or 0, _size(schema, "maxLength")
        if (most is not None and most < least) or least > LARGEST:
            return None
        named: dict[str, Node] = {}
        sizes: dict[str, int] = {}
        self._left -= least // 100
        if least:
            named["min_size"], sizes["min_size"] = literal(least), least
        if most is not None:
            named["max_size"], sizes["max_size"] = literal(most), most
        pattern = schema.get("pattern")
        if isinstance(pattern, str):
            try:
                made = values.matching(pattern, min_size=least, max_size=most)
                made.sample(Source(1), DEFAULT_SIZE)
            except DefinitionError:
                return self._sampled_text(schema, named, sizes)
            return Shape("str", call("values.matching", quoted(pattern), **named), made)
        form = _FORMATS.get(str(schema.get("format")))
        if form is not None:
            return Shape("str", call(f"values.{form[0]}"), form[1]())
        if not sizes:
            return Shape("str", call("gen.text"), gen.text(), is_plain=True)
        return Shape("str", call("gen.text", **named), gen.text(min_size=least, max_size=most))

    def _sampled_text(self, schema: dict[str, JsonData], named: dict[str, Node], sizes: dict[str, int]) -> Shape | None:
        """Make texts for a pattern that is not known: the examples, else any, of which `_tried` keeps what fits."""
        said = schema.get("examples")
        known = [each for each in said if isinstance(each, str)] if isinstance(said, list) else []
        if known:
            return Shape("str", call("gen.one_of", literal(known)), gen.one_of(known))
        least, most = sizes.get("min_size", 0), sizes.get("max_size")
        return Shape("str", call("gen.text", **named), gen.text(min_size=least, max_size=most))

    def _integer(self, schema: dict[str, JsonData]) -> Shape | None:
        low, high = _bounds(schema)
        step = schema.get("multipleOf", 1)
        whole = int(step) if isinstance(step, int | float) and step >= 1 and float(step).is_integer() else 1
        least = None if low is None else math.ceil(low)
        most = None if high is None else math.floor(high)
        if least is not None and "exclusiveMinimum" in schema and least == schema["exclusiveMinimum"]:
            least += 1
        if most is not None and "exclusiveMaximum" in schema and most == schema["exclusiveMaximum"]:
            most -= 1
        try:
            made = gen.integers(least, most, step=whole)
        except DefinitionError:
            return None
        if least is None and most is None and whole == 1:
            return Shape("int", call("gen.integers"), made, is_plain=True)
        step_said = {"step": literal(whole)} if whole != 1 else {}
        if most is None:
            return Shape("int", call("gen.integers", literal(least), **step_said), made)
        return Shape("int", call("gen.integers", literal(least), literal(most), **step_said), made)

    def _number(self, schema: dict[str, JsonData]) -> Shape | None:
        low, high = _bounds(schema)
        step = schema.get("multipleOf")
        least = (-1000.0 if high is None else min(-1000.0, high - MANY)) if low is None else float(low)
        most = (max(1000.0, least + MANY) if low is not None else 1000.0) if high is None else float(high)
        if "exclusiveMinimum" in schema and least == schema["exclusiveMinimum"]:
            least = math.nextafter(least, math.inf) if step is None else least + step
        if "exclusiveMaximum" in schema and most == schema["exclusiveMaximum"]:
            most = math.nextafter(most, -math.inf) if step is None else most - step
        try:
            if isinstance(step, int | float) and step > 0:
                code = call("values.multiples", literal(step), literal(least), literal(most))
                return Shape("float", code, values.multiples(step, least, most))
            return Shape("float", call("gen.real", literal(least), literal(most)), gen.real(least, most))
        except DefinitionError:
            return None

    def _array(self, schema: dict[str, JsonData], above: tuple[str, ...]) -> Shape | None:
        least, most = _size(schema, "minItems") or 0, _size(schema, "maxItems")
        if least > LARGEST:
            return None
        before = self._left
        inner = self._of(schema.get("items", {}), above)
        self._left -= (before - self._left) * max(0, least - 1)  # so often it is made
        if inner is None:
            return None if least else Shape("list[JsonData]", call("gen.const", "[]"), gen.const([]))
        top = min(most, least + MORE) if most is not None else least + MORE
        if top < least:
            return None
        unique = schema.get("uniqueItems") is True
        named: dict[str, Node] = {"min_size": literal(least)} if least else {}
        named["max_size"] = literal(top)
        if unique:
            named["unique"] = "True"
        made = gen.list(inner.generator, min_size=least, max_size=top, unique=unique)
        return Shape(of("list", inner.type), call("gen.list", inner.code, **named), made)

    def _object(self, schema: dict[str, JsonData], above: tuple[str, ...]) -> Shape | None:
        said = schema.get("properties")
        needed = {*schema["required"]} if isinstance(schema.get("required"), list) else set()
        required: dict[str, Shape] = {}
        optional: dict[str, Shape] = {}
        for name, each in said.items() if isinstance(said, dict) else ():
            if merged(self._description, each).get(self._unsaid) is True:
                continue
            shape = self._of(each, above) if name in needed or len(optional) < MOST_OPTIONAL else None
            if shape is None and name in needed:
                return None
            if shape is not None:
                (required if name in needed else optional)[name] = shape
        for name in needed - {*(said or {})}:
            required[str(name)] = self._any()
        kind = of("dict", "str", "JsonData")
        if not required and not optional:
            return self._mapping(schema, kind, above)
        parts = [pairs((name, each.code) for name, each in required.items())]
        if optional:
            parts.append(pairs((name, each.code) for name, each in optional.items()))
        made = values.record(
            {name: each.generator for name, each in required.items()},
            {name: each.generator for name, each in optional.items()},
        )
        return Shape(kind, call("values.record", *parts), made)

    def _mapping(self, schema: dict[str, JsonData], kind: Node, above: tuple[str, ...]) -> Shape:
        more = schema.get("additionalProperties", True)
        inner = self._of(more if isinstance(more, dict) else {}, above) or self._any()
        least, most = _size(schema, "minProperties") or 0, _size(schema, "maxProperties")
        if least > LARGEST:
            return self._any()
        if more is False:
            return Shape(kind, call("gen.const", "{}"), gen.const({}))
        named: dict[str, Node] = {"min_size": literal(least)} if least else {}
        if most is not None and most < least + values.MOST_MORE:
            named["max_size"] = literal(most)
        made = values.mapping(inner.generator, min_size=least, max_size=most if "max_size" in named else None)
        return Shape(kind, call("values.mapping", inner.code, **named), made)


def or_none(shape: Shape) -> Shape:
    """Return the shape of a value that may be None as well."""
    if shape.type == "None" or is_nullable(shape.type):
        return shape
    code = call("gen.choice", call("gen.const", "None"), shape.code)
    return Shape(nullable(shape.type), code, gen.choice(gen.const(None), shape.generator), is_plain=shape.is_plain)


def _size(schema: dict[str, JsonData], name: str) -> int | None:
    said: Any = schema.get(name)
    return int(said) if isinstance(said, int | float) and not isinstance(said, bool) and said >= 0 else None


def _bounds(schema: dict[str, JsonData]) -> tuple[float | int | None, float | int | None]:
    """Return the lower and the upper bound, exclusive ones too."""
    found: list[Any] = []
    for choose, names in ((max, ("minimum", "exclusiveMinimum")), (min, ("maximum", "exclusiveMaximum"))):
        said = [schema[name] for name in names if isinstance(schema.get(name), int | float)]
        said = [each for each in said if not isinstance(each, bool)]
        found.append(choose(said) if said else None)
    return found[0], found[1]


__all__ = ["Shape", "Shapes", "items", "or_none"]
