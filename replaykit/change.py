"""Change: the places where one JSON document is not another, exactly, each with its tier.

`==` is asked nothing here: for it, true is 1. Numbers are alike where they are the same number (1.10 and 1.1), but one
without a fraction is of another type than one with it, as it is for most who read JSON (1 and 1.0). Of two lists of
different lengths, what is alike at their beginnings and ends is left out, so that one item more is one change.
"""

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Literal, NamedTuple, TypeAlias

from replaykit.value import JsonData

Tier: TypeAlias = Literal["added", "changed", "removed", "type"]

TIERS: tuple[Tier, ...] = ("added", "changed", "removed", "type")

WIDTH = 120  # characters of a value that are shown


class _Nothing:
    """What stands where nothing stands."""

    def __repr__(self) -> str:
        return "nothing"


NOTHING = _Nothing()


class Change(NamedTuple):
    """One place where two documents differ; a side that is not there is NOTHING."""

    tier: Tier
    place: str  # `$.rows[0].name`
    before: JsonData
    after: JsonData


Alike: TypeAlias = Callable[[str, JsonData, JsonData], bool]  # of two values that are none that hold others


def changes(before: JsonData, after: JsonData, alike: Alike | None = None, place: str = "$") -> Iterator[Change]:
    """List the places where two documents differ; `alike` is asked whether two values that do may count as one."""
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _of_objects(before, after, alike, place)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _of_lists(before, after, alike, place)
    elif type(before) is type(after) and before == after:
        return
    elif isinstance(before, dict | list) or isinstance(after, dict | list):
        yield Change("type", place, before, after)
    elif alike is None or not alike(place, before, after):
        yield Change(tier_of(before, after), place, before, after)


def tier_of(before: JsonData, after: JsonData) -> Tier:
    """Say in which way a value became another one."""
    return "changed" if kind_of(before) == kind_of(after) else "type"


def kind_of(value: JsonData) -> str:
    """Name the type of a JSON value."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float | Decimal):
        return "number"
    return "list" if isinstance(value, list) else "object" if isinstance(value, dict) else "text"


def _of_objects(
    before: dict[str, JsonData], after: dict[str, JsonData], alike: Alike | None, place: str
) -> Iterator[Change]:
    for key, value in before.items():
        there = f"{place}{below(key)}"
        if key in after:
            yield from changes(value, after[key], alike, there)
        else:
            yield Change("removed", there, value, NOTHING)
    for key, value in after.items():
        if key not in before:
            yield Change("added", f"{place}{below(key)}", NOTHING, value)


def _of_lists(before: list[JsonData], after: list[JsonData], alike: Alike | None, place: str) -> Iterator[Change]:
    if len(before) == len(after):
        for number, pair in enumerate(zip(before, after, strict=True)):
            yield from changes(*pair, alike, f"{place}[{number}]")
        return

    def is_same(one: int, other: int) -> bool:
        return _is_same(before[one], after[other])

    most = min(len(before), len(after))
    head = next((number for number in range(most) if not is_same(number, number)), most)
    tail = next((number for number in range(most - head) if not is_same(-number - 1, -number - 1)), most - head)
    middle = most - head - tail
    for number in range(head, head + middle):
        yield from changes(before[number], after[number], alike, f"{place}[{number}]")
    for number in range(head + middle, len(before) - tail):
        yield Change("removed", f"{place}[{number}]", before[number], NOTHING)
    for number in range(head + middle, len(after) - tail):
        yield Change("added", f"{place}[{number}]", NOTHING, after[number])


def _is_same(before: JsonData, after: JsonData) -> bool:
    """Say whether two documents are exactly alike."""
    if type(before) is not type(after):
        return False
    if isinstance(before, dict):
        return before.keys() == after.keys() and all(_is_same(each, after[key]) for key, each in before.items())
    if isinstance(before, list):
        return len(before) == len(after) and all(map(_is_same, before, after))
    return bool(before == after)


def below(key: str) -> str:
    """Write a key as it stands in a place: `.name`, or `['a-b']`."""
    if key.isascii() and key.isidentifier():
        return f".{key}"
    said = key.replace("\\", "\\\\").replace("'", "\\'")
    return f"['{said}']"


def leaves(data: JsonData, place: str = "$") -> Iterator[tuple[str, JsonData]]:
    """List the values in a document that hold no others, each with its place."""
    if isinstance(data, dict):
        for key, each in data.items():
            yield from leaves(each, f"{place}{below(key)}")
    elif isinstance(data, list):
        for number, each in enumerate(data):
            yield from leaves(each, f"{place}[{number}]")
    else:
        yield place, data


def lists(data: JsonData, place: str = "$") -> Iterator[tuple[str, list[JsonData]]]:
    """List the lists in a document, each with its place."""
    if isinstance(data, dict):
        for key, each in data.items():
            yield from lists(each, f"{place}{below(key)}")
    elif isinstance(data, list):
        yield place, data
        for number, each in enumerate(data):
            yield from lists(each, f"{place}[{number}]")


_LAST = re.compile(r"(?:\.(\w+)|\['((?:[^'\\]|\\.)*)'\])(?:\[\d+\])*\Z")


def last_key(place: str) -> str:
    """Return the key below which a place lies, that of the list for an item; nothing at the top."""
    found = _LAST.search(place)
    return (found[1] or found[2] or "") if found else ""


def shown(value: JsonData, cover: Callable[[str], str] = str) -> str:
    """Show a value in one line of limited width; secrets are covered before it is cut, or half of one would show."""
    plain = value is None or isinstance(value, str | int | float | list | dict)
    text = cover(json.dumps(value, ensure_ascii=False, default=str) if plain else str(value))
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."
