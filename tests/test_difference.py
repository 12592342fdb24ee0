"""Differences: where two documents are not alike."""

import enum
from datetime import UTC, datetime

import pytest

from replaykit import same
from replaykit.difference import NotSameError, brief, differences
from replaykit.value import Record


class Row(Record):
    name: str
    score: int


class Colour(enum.Enum):
    RED = "red"


def shown(before: object, after: object) -> list[tuple[str, str]]:
    return [(each.path, each.shown) for each in differences(before, after)]


@pytest.mark.parametrize("document", [None, 1, "a", [], {}, [1, [2, {"a": None}]], {"a": [1, 2], "b": {"c": True}}])
def test_equal_documents_do_not_differ(document):
    """A document has no differences to itself."""
    assert [] == differences(document, document)


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ({"a": 1}, {"a": 2}, [("$.a", "1 -> 2")]),
        ({"a": 1}, {}, [("$.a", "1 -> nothing")]),
        ({}, {"a": None}, [("$.a", "nothing -> null")]),
        ([1, 2], [1, 3], [("$[1]", "2 -> 3")]),
        ([1], [1, 2], [("$[1]", "nothing -> 2")]),
        ([1, 2], [1], [("$[1]", "2 -> nothing")]),
        (1, 2, [("$", "1 -> 2")]),
        ("a", None, [("$", "'a' -> null")]),
        ({"a": 1}, [1], [("$", "{'a': 1} -> [1]")]),
        ({"a": "1"}, {"a": 1}, [("$.a", "'1' -> 1")]),
        ({"rows": [{"name": "x"}]}, {"rows": [{"name": "y"}]}, [("$.rows[0].name", "'x' -> 'y'")]),
        ({"a b": 1}, {"a b": 2}, [("$['a b']", "1 -> 2")]),
        ({"a": 1, "b": 1}, {"a": 2, "b": 2}, [("$.a", "1 -> 2"), ("$.b", "1 -> 2")]),
        ({"a": {"b": [1]}}, {"a": {"b": [1, {"c": 2}]}}, [("$.a.b[1]", "nothing -> {'c': 2}")]),
        ({"root": 1}, {"root": 2}, [("$.root", "1 -> 2")]),
    ],
)
def test_differences_are_told_with_their_place(before, after, found):
    """A path is written as in Python, from `$`, with what was there and what is there now."""
    assert found == shown(before, after)


def test_both_directions_tell_the_same_places():
    """Exchanging the sides exchanges what is shown, not where."""
    one, other = {"a": 1, "b": [1, 2], "c": "x"}, {"a": 2, "b": [1], "d": "x"}

    assert [path for path, _ in shown(one, other)] == [path for path, _ in shown(other, one)]
    assert ["$.a", "$.b[1]", "$.c", "$.d"] == [path for path, _ in shown(one, other)]


def test_all_differences_are_listed():
    """Each place that differs is listed, in the order of the paths."""
    before = {f"k{number:03}": number for number in range(100)}
    after = {name: number + 1 for name, number in before.items()}

    assert [f"$.k{number:03}" for number in range(100)] == [path for path, _ in shown(before, after)]


def test_items_are_told_in_the_order_of_their_places():
    """Item 2 of a list comes before item 10."""
    paths = [path for path, _ in shown([0] * 12, [1] * 12)]

    assert [f"$[{index}]" for index in range(12)] == paths


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (1, 1),
        ([1, 2], (1, 2)),
        ([("a", 1)], [["a", 1]]),
        ({"a": (1,)}, {"a": [1]}),
        ([Row(name="a", score=1)], [{"name": "a", "score": 1}]),
        (Colour.RED, "red"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
        (1.0, 1),
    ],
)
def test_same_holds_for_what_is_alike_in_json(actual, expected):
    """Tuples are lists, records are objects, and enums are their values."""
    same(actual, expected)

    assert None is same(expected, actual)


@pytest.mark.parametrize(
    ("actual", "expected"), [(1, 2), ([1, 2], [2, 1]), ("1", 1), (None, 0), ({"a": 1}, {}), ([], {})]
)
def test_same_raises_for_what_differs(actual, expected):
    """What is not alike raises an AssertionError that knows both sides."""
    with pytest.raises(NotSameError) as caught:
        same(actual, expected)

    assert isinstance(caught.value, AssertionError)
    assert (actual, expected) == (caught.value.actual, caught.value.expected)


def test_same_tells_what_was_expected_and_what_was_seen():
    """The message has the places that differ, the expected value first."""
    with pytest.raises(NotSameError) as caught:
        same([["a", 2]], [["a", 1]])

    assert "expected -> seen: $[0][1]: 1 -> 2" == str(caught.value)


def test_same_counts_what_it_does_not_tell():
    """Beyond three places, the message says how many more there are."""
    with pytest.raises(NotSameError, match="; and 2 more"):
        same([1, 2, 3, 4, 5], [0, 0, 0, 0, 0])
    with pytest.raises(NotSameError, match="; and 47 more"):
        same(list(range(1, 51)), [0] * 50)


def test_a_long_value_is_shown_in_part():
    """A value is shown in one line of limited width."""
    assert 120 == len(brief("x" * 500))
    assert brief("x" * 500).endswith("...")
    assert "'x'" == brief("x")
    assert 10 == len(brief(list(range(100)), width=10))


def test_a_value_is_shown_without_what_a_terminal_obeys():
    """Line breaks and escapes are shown by their codes."""
    text = brief("a\nb\x1b[31m\u202e")

    assert "\n" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
