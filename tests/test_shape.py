"""Shapes: what is drawn fits its schema, and stays so while it shrinks; and patterns."""

import itertools

import pytest
from jsonschema import Draft202012Validator

from replaykit import gen
from replaykit.openapi.code import flat
from replaykit.openapi.description import accept
from replaykit.openapi.pattern import judged, matching
from replaykit.openapi.shape import Shapes
from replaykit.source import Source

FORMATS = Draft202012Validator.FORMAT_CHECKER

FITTING = [
    {"type": "string"},
    {"type": "string", "minLength": 3, "maxLength": 3},
    *(
        {"type": "string", "format": name}
        for name in ("uuid", "date", "date-time", "email", "uri", "ipv4", "ipv6", "byte")
    ),
    {"type": "string", "pattern": "^[A-Z]{2}[0-9]{1,3}(-x)?$"},
    {"type": "string", "pattern": "a|b", "minLength": 2, "maxLength": 5},
    {"type": "integer"},
    {"type": "integer", "minimum": 3, "exclusiveMaximum": 5},
    {"type": "integer", "multipleOf": 7, "minimum": 50, "maximum": 60},
    {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
    {"type": "number", "multipleOf": 0.25, "minimum": 0, "maximum": 3},
    {"type": "boolean"},
    {"type": ["string", "null"], "maxLength": 2},
    {"const": "x"},
    {"enum": ["a", 1, None]},
    {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 3, "uniqueItems": True},
    {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["a"]},
    {"type": "object", "additionalProperties": {"type": "boolean"}, "minProperties": 1, "maxProperties": 2},
    {"type": "object", "additionalProperties": False},
    {"allOf": [{"type": "integer", "minimum": 1}, {"maximum": 3}]},
    {"oneOf": [{"type": "integer"}, {"type": "string"}]},
    {"anyOf": [{"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]}, {"type": "null"}]},
    {"type": "integer", "minimum": 0, "maximum": 9, "not": {"const": 4}},
    {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 3}, "contains": {"const": 2}},
    {"$ref": "#/components/schemas/Tree"},
    {"$ref": "#/components/schemas/Chain"},
    {},
]
PARTS = {
    "Tree": {
        "type": "object",
        "required": ["name", "children"],
        "properties": {
            "name": {"type": "string"},
            "children": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}},
        },
    },
    "Chain": {
        "type": "object",
        "properties": {"next": {"anyOf": [{"$ref": "#/components/schemas/Chain"}, {"type": "null"}]}},
    },
}


def shape_of(schema):
    """Return the shape of a schema."""
    document = {"openapi": "3.1.0", "paths": {"/a": {}}, "components": {"schemas": {**PARTS, "It": schema}}}
    return Shapes(accept(document)).of("/components/schemas/It")


@pytest.mark.parametrize("schema", FITTING, ids=str)
def test_what_is_drawn_fits_and_goes_on_fitting(schema):
    """All values of a shape, and all simpler ones, fit the schema, formats too; and its generator knows them."""
    shape = shape_of(schema)
    validator = Draft202012Validator({**schema, "components": {"schemas": PARTS}}, format_checker=FORMATS)
    assert shape is not None
    for seed in range(40):
        raw = shape.generator.sample(Source(seed), seed)
        simpler = list(itertools.islice(shape.generator.shrink(raw), 10))
        for each in [raw, *simpler]:
            validator.validate(shape.generator.build(each))
            assert shape.generator.accepts(each)


@pytest.mark.parametrize("schema", FITTING, ids=str)
def test_what_is_written_is_what_was_made(schema):
    """The text of a shape makes the same generator as was tried."""
    from replaykit.openapi import values

    shape = shape_of(schema)
    assert shape is not None
    if "PLAN" not in flat(shape.code):
        written = eval(flat(shape.code), {"gen": gen, "values": values})  # noqa: S307  what we have written
        assert str(written) == str(shape.generator)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": 5, "maximum": 4},
        {"type": "string", "pattern": r"^\p{Lu}{30}$", "minLength": 30, "maxLength": 3},
        {"type": "integer", "not": {}},
        {"$ref": "#/components/schemas/Endless"},
        False,
    ],
    ids=str,
)
def test_what_has_no_values_has_no_shape(schema):
    """Where nothing fits, there is no shape, and no endless search for one."""
    endless = {"type": "object", "required": ["next"], "properties": {"next": {"$ref": "#/components/schemas/Endless"}}}
    PARTS["Endless"] = endless
    try:
        assert shape_of(schema) is None
    finally:
        del PARTS["Endless"]


def test_what_is_only_read_is_not_sent():
    """A member that is read-only is no part of a request."""
    schema = {"type": "object", "properties": {"id": {"readOnly": True, "type": "integer"}, "a": {"const": 1}}}
    drawn = shape_of(schema).generator

    assert {"a"} >= {name for seed in range(20) for name in drawn.build(drawn.sample(Source(seed), 9))}


def test_a_schema_that_fans_out_is_given_up():
    """A schema of which each level has ten of the next one is given up in time, whatever it would come to."""
    parts = {
        f"L{level}": {
            "type": "object",
            "required": [f"m{n}" for n in range(10)],
            "properties": {f"m{n}": {"$ref": f"#/components/schemas/L{level + 1}"} for n in range(10)},
        }
        for level in range(9)
    }
    document = {
        "openapi": "3.1.0",
        "paths": {"/a": {}},
        "components": {"schemas": {**parts, "L9": {"type": "integer"}}},
    }

    assert Shapes(accept(document)).of("/components/schemas/L0") is None


@pytest.mark.parametrize(
    "pattern",
    [r"^\d{4}$", r"^[a-z][a-z0-9_-]*$", r"^(red|green)$", r"\S", r"^.{2,4}$", r"^[^/]+$", r"x\.y", r"^a?b+c*$"],
)
def test_texts_match_the_pattern_that_they_are_made_of(pattern: str):
    """Generated texts match the pattern, simpler ones too."""
    made, judge = matching(pattern), judged(pattern)
    assert made is not None
    assert judge is not None
    for seed in range(50):
        raw = made.sample(Source(seed), 10)
        for each in [raw, *itertools.islice(made.shrink(raw), 5)]:
            assert judge.search(made.build(each))


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|b*)*c", r"^\p{L}+$", r"(?<year>\d+)", "(", "a" * 2000])
def test_patterns_that_are_foreign_or_slow_are_not_asked(pattern: str):
    """What Python reads otherwise, or may take for ever, judges no text."""
    assert judged(pattern) is None


def test_the_end_of_a_pattern_is_the_end_of_the_text():
    """A line end behind the match is no match, as in ECMAScript."""
    judge = judged("^a$")

    assert judge is not None
    assert judge.search("a")
    assert not judge.search("a\n")
