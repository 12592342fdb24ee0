"""Binding: values for the placeholders in arguments, from the environment and nowhere else."""

import pytest

from replaykit.binding import bound
from replaykit.errors import StaleError
from replaykit.secret import Policy
from replaykit.sequence import Call
from replaykit.trace import Step, Trace

POLICY = Policy(variables=("API_TOKEN",))


def trace(**args: object) -> Trace:
    """Make a trace of one call."""
    return Trace(steps=(Step(call=Call(label=0, tag="x", args=args, raw={"deep": [args]})),), ending="failed")


def test_without_placeholders_nothing_changes():
    """A trace without placeholders is returned as it is, and the environment is not asked."""
    plain = trace(a="REDACTED", b=[1, None])

    assert plain is bound(plain, POLICY, {})


@pytest.mark.parametrize("variable", ["API_TOKEN", "REPLAYKIT_SECRET_API_TOKEN"])
def test_values_come_from_the_environment(variable: str):
    """The variable of the configuration is taken, or the one of ours; raw values are filled too."""
    call = bound(trace(a=["x REDACTED.API_TOKEN.3"], n=1), POLICY, {variable: "v"}).steps[0].call

    assert {"a": ["x v"], "n": 1} == call.args
    assert {"deep": [{"a": ["x v"], "n": 1}]} == call.raw


def test_several_values_of_one_label_have_a_variable_each():
    """Two values that were told apart are not filled with the same one."""
    two = trace(a="REDACTED.x-y.1", b="REDACTED.x-y.2")
    environment = {"REPLAYKIT_SECRET_X_Y_1": "one", "REPLAYKIT_SECRET_X_Y_2": "two"}

    assert {"a": "one", "b": "two"} == bound(two, POLICY, environment).steps[0].call.args
    with pytest.raises(StaleError, match=r"REDACTED\.x-y\.2 \(REPLAYKIT_SECRET_X_Y_2\)"):
        bound(two, POLICY, {"REPLAYKIT_SECRET_X_Y_1": "one", "REPLAYKIT_SECRET_X_Y": "both"})


def test_no_other_variable_is_read():
    """A label that is the name of a variable that the project does not list gets nothing of it."""
    with pytest.raises(StaleError, match=r"REPLAYKIT_SECRET_HOME\)"):
        bound(trace(a="REDACTED.HOME.1"), POLICY, {"HOME": "/root"})
