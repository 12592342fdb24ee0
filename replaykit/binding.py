"""Binding: what the placeholders in a sequence stand for, taken from the environment, so that it can be run live.

A placeholder names its label, and the label says which variable may hold the value: the one of that name, if the
project's configuration lists it, else REPLAYKIT_SECRET_<LABEL>. A bundle alone can't have any other variable read.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from replaykit.errors import StaleError
from replaykit.placeholder import PLACEHOLDER, is_marked_number, is_sealed, placeholders_in
from replaykit.secret import PREFIX, Policy
from replaykit.sequence import Call
from replaykit.trace import Trace
from replaykit.value import JsonData


def bound(trace: Trace, policy: Policy, environment: Mapping[str, str]) -> Trace:
    """Put values in place of the placeholders in a trace's calls. Raises StaleError where a value is not known."""
    found: dict[str, tuple[str, int]] = {}
    missing: list[str] = []
    for step in trace.steps:
        for each in _scalars([step.call.args, step.call.raw]):
            if is_marked_number(each) or (isinstance(each, str) and is_sealed(each)):
                missing.append(f"{str(each)[:80]!a} in step {step.call.label} (no variable can be put in there)")
            elif isinstance(each, str):
                found |= placeholders_in(each)
    values: dict[str, str] = {}
    labels = Counter(label for label, _ in found.values())
    for name, variable in variables_of(found).items():
        label = found[name][0]
        variables = [each for each in policy.variables if each == label and labels[label] == 1]
        variables += [variable] if variable else []
        value = next((environment[each] for each in variables if environment.get(each)), None)
        if value is None:
            missing.append(f"{name} ({' or '.join(variables) or 'no variable is its alone'})")
        else:
            values[name] = value
    if missing:
        raise StaleError(
            f"The bundle holds secrets that are covered, and their values are not known: {', '.join(missing)}.",
            "Set the variable that is named, or replay it --offline.",
        )
    if not values:
        return trace
    return trace.replace(steps=tuple(step.replace(call=_filled(step.call, values)) for step in trace.steps))


def is_bound(trace: Trace) -> bool:
    """Say whether nothing in a trace's calls stands for a value that has to be put in its place."""
    try:
        return bound(trace, Policy(), {}) is trace
    except StaleError:
        return False


def variables_of(found: Mapping[str, tuple[str, int]]) -> dict[str, str]:
    """Name the variable of the environment for each placeholder, given its label and number.

    Labels may differ where names of variables do not (x-token, X_Token). Where one would stand for several values,
    the number is added; what shares one even so has none.
    """
    names = {each: f"{PREFIX}{re.sub('[^A-Z0-9]', '_', label.upper())}" for each, (label, _) in found.items()}
    shared = Counter(names.values())
    names = {each: name if shared[name] == 1 else f"{name}_{found[each][1]}" for each, name in names.items()}
    shared = Counter(names.values())
    return {each: name if shared[name] == 1 else "" for each, name in names.items()}


def _scalars(data: JsonData) -> Iterator[JsonData]:
    """List the values in JSON data, and the names of its objects."""
    if isinstance(data, dict):
        yield from data
    if isinstance(data, dict | list):
        for each in data.values() if isinstance(data, dict) else data:
            yield from _scalars(each)
    else:
        yield data


def _filled(call: Call, values: Mapping[str, str]) -> Call:
    return call.replace(args=_replaced(call.args, values), raw=_replaced(call.raw, values))


def _replaced(data: JsonData, values: Mapping[str, str]) -> JsonData:
    if isinstance(data, str):
        return PLACEHOLDER.sub(lambda found: values[found[0]], data)
    if isinstance(data, list):
        return [_replaced(each, values) for each in data]
    if isinstance(data, dict):
        return {str(_replaced(key, values)): _replaced(each, values) for key, each in data.items()}
    return data
