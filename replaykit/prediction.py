"""Prediction: whether a value of an answer went into what the model judges, so that it can be no noise."""

import json
from collections.abc import Iterator
from decimal import Decimal
from functools import cached_property

from replaykit.change import last_key, leaves, lists
from replaykit.naming import Names, is_telling
from replaykit.rule import Rule
from replaykit.trace import Step
from replaykit.value import JsonData

_FEW = 4  # characters of a text, or digits of a number, that is hardly twice the same by chance


class Evidence:
    """What the model saw of a step, and its state: read once, for all values that are asked about."""

    def __init__(self, step: Step) -> None:
        self._step = step

    @cached_property
    def _documents(self) -> list[tuple[str, JsonData]]:
        return list(_judged(self._step))

    @cached_property
    def _places(self) -> dict[tuple[type, JsonData], dict[str, str]]:
        """Where each value stands, by the key below which it does, in the order of the documents."""
        found: dict[tuple[type, JsonData], dict[str, str]] = {}
        for word, data in self._documents:
            for where, each in leaves(data):
                found.setdefault((type(each), each), {}).setdefault(last_key(where), f"{word} has it at {where}")
        return found

    def of(self, rule: Rule, place: str, value: JsonData, names: Names) -> str | None:
        """Say where a value of a recorded answer went that the model judges; None where it does not, as far as known.

        It went into the event, an observation or the state of the step if the same value stands there: below the same
        key, or anywhere if it is hardly twice the same by chance. An id of what the sequence made always counts.
        """
        if rule.type == "unordered":
            return self._order_in(value, rule.key, names)
        if value is None or isinstance(value, bool) or value == "":
            return None
        key = last_key(place)
        labels = names.labels(value, key)
        if labels:
            return f"it is {' or '.join(sorted(labels))}: an id is compared by its name, and needs no rule"
        said = self._places.get((type(value), value), {})
        return next(iter(said.values()), None) if _is_rare(value) else said.get(key)

    def _order_in(self, value: JsonData, key: str | None, names: Names) -> str | None:
        """Say where the order of a list went."""
        if not isinstance(value, list):
            return None
        wanted = [each.get(key) if key is not None and isinstance(each, dict) else each for each in value]
        if len(wanted) < 2:  # noqa: PLR2004
            return None
        known = [names.labels(each, key or "id") for each in wanted]
        for word, data in self._documents:
            for where, rows in lists(data):
                if len(rows) == len(wanted) and all(map(_holds, rows, wanted, known)):
                    return f"{word} has it in the same order at {where}"
        return None


def _judged(step: Step) -> Iterator[tuple[str, JsonData]]:
    """List what the model saw of a step, and its state."""
    for each in (step.event, step.again):
        if each is not None:
            yield f"the event {each.tag}", json.loads(each.data, parse_float=Decimal)
    for each in step.observations:
        yield f"the observation {each.tag}", json.loads(each.data, parse_float=Decimal)
    if step.state is not None:
        yield "the state", json.loads(step.state, parse_float=Decimal)


def _holds(row: JsonData, value: JsonData, labels: frozenset[str]) -> bool:
    """Say whether a row of what the model saw has a value in it, or its name."""
    return any(
        (type(each) is type(value) and each == value) or (isinstance(each, str) and each in labels)
        for _, each in leaves(row)
    )


def _is_rare(value: JsonData) -> bool:
    if isinstance(value, str):
        return len(value) >= _FEW
    return is_telling(value) or (isinstance(value, int | Decimal) and len(str(abs(value))) >= _FEW)
