"""Change: where two documents differ, exactly, and in which tier."""

import json
import time
from decimal import Decimal

import pytest

from replaykit.change import NOTHING, changes, last_key, leaves, shown


def found(before, after) -> list[tuple[str, str]]:
    return [(each.tier, each.place) for each in changes(before, after)]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("1", "1", []),
        ("1.10", "1.1", []),
        ("1", "true", [("type", "$")]),
        ("0", "false", [("type", "$")]),
        ("1", "1.0", [("type", "$")]),
        ("1", '"1"', [("type", "$")]),
        ("null", "0", [("type", "$")]),
        ("12345678901234567890", "12345678901234567891", [("changed", "$")]),
        ("0.1", "0.1000000000000000055511151231257827", [("changed", "$")]),
        ("[]", "{}", [("type", "$")]),
        ('{"a": null}', "{}", [("removed", "$.a")]),
        ("{}", '{"a": null}', [("added", "$.a")]),
        ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}', []),
        ('{"a-b": 1}', '{"a-b": 2}', [("changed", "$['a-b']")]),
        ("[1, 2, 3]", "[0, 1, 2, 3]", [("added", "$[0]")]),
        ("[1, 2, 3]", "[1, 3]", [("removed", "$[1]")]),
        ("[1, 1, 2]", "[1, 2]", [("removed", "$[1]")]),
        ("[1, 2]", "[true, 2, 3]", [("type", "$[0]"), ("added", "$[2]")]),
        ("[1, 2]", "[2, 1]", [("changed", "$[0]"), ("changed", "$[1]")]),
        ('[{"a": 1}, {"a": 2}]', '[{"a": 1}, {"a": 3}, {"a": 4}]', [("changed", "$[1].a"), ("added", "$[2]")]),
    ],
)
def test_each_place_has_its_tier(before: str, after: str, expected: list[tuple[str, str]]):
    """Numbers are compared exactly and by type, keys in any order, and one item more or less is one change."""
    one, other = (json.loads(each, parse_float=Decimal) for each in (before, after))

    assert expected == found(one, other)


def test_what_may_count_as_alike_is_asked_of_values_alone():
    """Whoever says what is alike is asked about values that differ, never about lists, objects or what is missing."""
    asked = []

    def alike(place, before, after):
        asked.append((place, before, after))
        return place == "$.a"

    listed = list(changes({"a": 1, "b": [1], "c": 1, "d": 0}, {"a": 2, "b": [1, 2], "d": 3}, alike))

    assert [("$.a", 1, 2), ("$.d", 0, 3)] == asked
    assert [("added", "$.b[1]"), ("removed", "$.c"), ("changed", "$.d")] == [(each[0], each[1]) for each in listed]


def test_lists_in_lists_take_no_time():
    """Lists of other lengths at each of many levels are compared once each, not twice as often at each level."""

    def nested(depth: int, leaf: int) -> list:
        return [leaf] * (leaf + 1) if depth == 0 else [nested(depth - 1, leaf), *range(leaf)]

    before = time.process_time()
    listed = found(nested(80, 1), nested(80, 2))

    assert 82 < len(listed)
    assert time.process_time() - before < 1


def test_values_are_shown_in_one_short_line():
    """A value is shown as JSON, a decimal with its digits, and what is not there as nothing."""
    assert ['"a\\n"', "1.10", "nothing", '{"a": "1.5"}'] == [
        shown("a\n"), shown(Decimal("1.10")), shown(NOTHING), shown({"a": Decimal("1.5")})
    ]  # fmt: skip
    assert 120 == len(shown("a" * 500))


def test_places_name_their_last_key():
    """The key of a place is the last one that is named, for an item the one of its list."""
    document = {"a": [{"b-c": 1}], "it's": [2]}

    assert [("$.a[0]['b-c']", "b-c"), ("$['it\\'s'][0]", "it\\'s")] == [
        (place, last_key(place)) for place, _ in leaves(document)
    ]
