"""Mutants: values that are a little wrong, to see whether anybody notices (DeMillo et al., 1978)."""

from collections.abc import Iterator
from enum import Enum
from itertools import islice
from typing import Any

from replaykit.command import Ref
from replaykit.value import State, is_record_type

DEPTH = 4  # levels into a value that are changed
ITEMS = 3  # of a list or a dict that are changed: the first ones and the last one
OTHER = "somethingElse"  # in the name of a ref that was never made


def mutants(value: Any, path: str = "", depth: int = DEPTH) -> Iterator[tuple[str, Any]]:
    """Give copies of a value that are wrong in one place, each with the place: `accounts{}.held`."""
    yield from ((path, each) for each in _scalars(value))
    if depth == 0:
        return
    if isinstance(value, list | tuple):
        yield from ((f"{path}[]", each) for each in _lists(value))
        for index in _some(len(value)):
            for inner, each in mutants(value[index], f"{path}[]", depth - 1):
                changed = [*value[:index], each, *value[index + 1 :]]
                yield inner, tuple(changed) if isinstance(value, tuple) else changed
    elif isinstance(value, dict):
        keys = list(value)
        yield from ((f"{path}{{}}", {key: value[key] for key in fewer}) for fewer in _fewer(keys))
        for index in _some(len(keys)):
            for inner, each in mutants(value[keys[index]], f"{path}{{}}", depth - 1):
                yield inner, {**value, keys[index]: each}
    elif isinstance(value, set | frozenset) and value:
        yield f"{path}{{}}", type(value)(islice(value, len(value) - 1))
    elif is_record_type(type(value)):
        for name in type(value).model_fields:
            place = f"{path}.{name}" if path else name
            for inner, each in mutants(getattr(value, name), place, depth - 1):
                yield inner, value.model_copy(update={name: each})


def filled(value: Any) -> Iterator[Any]:
    """Give copies of a record in which what is empty holds something that nobody knows."""
    for name in type(value).model_fields:
        inside = getattr(value, name)
        if isinstance(inside, list | dict) and not inside:
            yield value.model_copy(update={name: {OTHER: None} if isinstance(inside, dict) else [None]})


def wrong_values(value: Any) -> list[Any]:
    """List what might stand in a field of an event instead of a value."""
    return [each for _, each in islice(mutants(value, depth=2), 6)]


def _scalars(value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, Enum):
        return [each for each in type(value) if each is not value][:2]
    if isinstance(value, int | float):
        return [value + 1, value - 1, -abs(value) - 1, value * 2 + 1000]
    if isinstance(value, str):
        return [f"{value}x", value[1:] or "?", *([""] if value else [])]
    if isinstance(value, Ref):
        return [Ref(f"{value.entity}@{OTHER}", OTHER)]
    return []


def _lists(value: Any) -> Iterator[Any]:
    if value:
        yield value[:0]
        yield value + value[-1:]
    if len(value) > 1:
        yield value[:-1]
        if value[::-1] != value:
            yield value[::-1]


def _fewer(keys: list[Any]) -> list[list[Any]]:
    return [[], keys[:-1]] if len(keys) > 1 else [[]] if keys else []


def _some(length: int) -> list[int]:
    return sorted({*range(min(length, ITEMS - 1)), *([length - 1] if length else [])})


def states(value: State, limit: int) -> list[tuple[str, State]]:
    """List states that are wrong in one place: at most `limit`, spread over all places."""
    found: dict[str, list[State]] = {}
    for path, each in islice(mutants(value), limit * 8):
        found.setdefault(path, []).append(each)
    spread = [(path, each) for path, several in found.items() for each in several[:4]]
    return spread[:limit]
