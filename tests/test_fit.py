"""Fit: which answers look as described."""

import pytest

from replaykit.openapi.description import accept
from replaykit.openapi.fit import Fit


def trouble(schema, value, *, is_request: bool = False):
    """Say what is wrong with a value."""
    document = {"openapi": "3.1.0", "paths": {"/a": {}}, "components": {"schemas": {"It": schema}}}
    return Fit(accept(document), is_request=is_request).trouble("/components/schemas/It", value)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "number", "multipleOf": 0.01}, 0.07),
        ({"type": "integer"}, 1.0),
        ({"type": "string", "format": "uuid"}, "no uuid"),
        ({"type": "string", "pattern": "(a+)+$"}, "a" * 40 + "b"),
        ({"type": "string", "pattern": r"^\p{L}$"}, "1"),
        ({"type": "object", "required": ["p"], "properties": {"p": {"type": "string", "writeOnly": True}}}, {}),
        ({"type": "array", "uniqueItems": True}, [1, "1", True, [1]]),
    ],
)
def test_what_can_be_read_both_ways_is_not_accused(schema, value):
    """Decimals, formats, patterns that can't be judged, and what is for requests only, are no trouble."""
    assert trouble(schema, value) is None


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        ({"type": "number", "multipleOf": 0.01}, 0.005, "it: 0.005 is no multiple of 0.01"),
        ({"type": "object", "properties": {"a": {"items": {"minimum": 0}}}}, {"a": [1, -1]}, "a[1]: -1 is less"),
        ({"type": "object", "required": ["p"]}, {}, "it: 'p' is missing"),
        ({"type": "array", "uniqueItems": True}, [1, 1.0], "it: 1.0 is there twice"),
        ({"type": "string", "pattern": "^a$"}, "a\n", "it: 'a\\n' does not match"),
        ({"type": "object", "required": ["p"], "properties": {"p": {"readOnly": True}}}, {}, "it: 'p' is missing"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(schema, value, said):
    """The message says where, and what is wrong."""
    assert said in str(trouble(schema, value))


def test_a_request_need_not_have_what_is_only_read():
    """What is read-only may be required, and is no part of a request."""
    schema = {"type": "object", "required": ["id"], "properties": {"id": {"readOnly": True}}}

    assert trouble(schema, {}, is_request=True) is None


def test_an_answer_that_is_nested_without_end_is_told():
    """A hostile answer ends in a message, and not in the end of the run."""
    schema = {"type": "array", "items": {"$ref": "#/components/schemas/It"}}
    deep: list = []
    for _ in range(100_000):
        deep = [deep]

    assert trouble(schema, deep) == "it is nested too deep"
