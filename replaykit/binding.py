"""Binding: what the placeholders in a sequence stand for, taken from the environment, so that it can be run live.

A placeholder names its label, and the label says which variable may hold the value: the one of that name, if the
project's configuration lists it, else REPLAYKIT_SECRET_<LABEL>. A bundle alone can't have any other variable read.
"""

from collections.abc import Mapping

from replaykit.errors import StaleError
from replaykit.placeholder import placeholders_in
from replaykit.secret import PREFIX, Policy
from replaykit.sequence import Call
from replaykit.trace import Trace
from replaykit.value import JsonData, text_of_data


def bound(trace: Trace, policy: Policy, environment: Mapping[str, str]) -> Trace:
    """Put values in place of the placeholders in a trace's calls. Raises StaleError where a value is not known."""
    found: dict[str, tuple[str, int]] = {}
    for step in trace.steps:
        found |= placeholders_in(text_of_data([step.call.args, step.call.raw]).decode("utf-8"))
    if not found:
        return trace
    labels = [label for label, _ in found.values()]
    values: dict[str, str] = {}
    missing: list[str] = []
    for name, (label, number) in found.items():
        alone = labels.count(label) == 1
        variables = variables_of(label, None if alone else number, policy)
        value = next((environment[each] for each in variables if environment.get(each)), None)
        if value is None:
            missing.append(f"{name} ({' or '.join(variables)})")
        else:
            values[name] = value
    if missing:
        raise StaleError(
            f"The bundle holds secrets that are covered, and their values are not known: {', '.join(missing)}.",
            "Set the variable that is named, or replay it --offline.",
        )
    return trace.replace(steps=tuple(step.replace(call=_filled(step.call, values)) for step in trace.steps))


def variables_of(label: str, number: int | None, policy: Policy) -> list[str]:
    """List the variables of the environment that may hold what a placeholder stands for.

    `number` tells it from others of the same label; None where there are none.
    """
    configured = [each for each in policy.variables if each == label]
    name = f"{PREFIX}{label.upper().replace('-', '_')}"
    return [*configured, name] if number is None else [f"{name}_{number}"]


def _filled(call: Call, values: Mapping[str, str]) -> Call:
    return call.replace(args=_replaced(call.args, values), raw=_replaced(call.raw, values))


def _replaced(data: JsonData, values: Mapping[str, str]) -> JsonData:
    if isinstance(data, str):
        for name in placeholders_in(data):
            data = data.replace(name, values[name])
        return data
    if isinstance(data, list):
        return [_replaced(each, values) for each in data]
    if isinstance(data, dict):
        return {key: _replaced(each, values) for key, each in data.items()}
    return data
