"""Prediction: whether a value of an answer went into what the model judges, so that it can be no noise."""

import json
from collections.abc import Iterator
from decimal import Decimal

from replaykit.change import last_key, leaves, lists
from replaykit.naming import Names, is_telling
from replaykit.rule import Rule
from replaykit.trace import Step
from replaykit.value import JsonData

_FEW = 4  # characters of a text, or digits of a number, that is hardly twice the same by chance


def predicted(rule: Rule, place: str, value: JsonData, step: Step, names: Names) -> str | None:
    """Say where a value of a recorded answer went that the model judges; None where it does not, as far as is known.

    It went into the event, an observation or the state of the step if the same value stands there: below the same
    key, or anywhere if it is hardly twice the same by chance. An id of what the sequence made always counts.
    """
    if rule.type == "unordered":
        return _order_in(step, value, rule.key, names)
    if value is None or isinstance(value, bool) or value == "":
        return None
    key = last_key(place)
    labels = names.labels(value, key)
    if labels:
        return f"it is {' or '.join(sorted(labels))}: an id is compared by its name, and needs no rule"
    for word, data in _judged(step):
        for where, each in leaves(data):
            same = type(each) is type(value) and each == value
            if same and (last_key(where) == key or _is_rare(value)):
                return f"{word} has it at {where}"
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


def _order_in(step: Step, value: JsonData, key: str | None, names: Names) -> str | None:
    """Say where the order of a list went."""
    if not isinstance(value, list):
        return None
    wanted = [each.get(key) if key is not None and isinstance(each, dict) else each for each in value]
    if len(wanted) < 2:  # noqa: PLR2004
        return None
    known = [names.labels(each, key or "id") for each in wanted]
    for word, data in _judged(step):
        for where, rows in lists(data):
            if len(rows) == len(wanted) and all(map(_holds, rows, wanted, known)):
                return f"{word} has it in the same order at {where}"
    return None


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
