"""Binding: values for the placeholders in arguments, from the environment and nowhere else."""

import base64

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


def test_variables_are_told_apart_by_their_names():
    """Labels that make the same variable have a numbered one each; where even that is shared, nothing is sent."""
    three = trace(a="REDACTED.x-token.1", b="REDACTED.x_token.2", c="REDACTED.X_Token.3")
    values = {f"REPLAYKIT_SECRET_X_TOKEN_{number}": str(number) for number in (1, 2, 3)}

    assert {"a": "1", "b": "2", "c": "3"} == bound(three, POLICY, values).steps[0].call.args
    with pytest.raises(StaleError, match="X_TOKEN_1"):
        bound(three, POLICY, {"REPLAYKIT_SECRET_X_TOKEN": "one"})
    with pytest.raises(StaleError, match="no variable is its alone"):
        bound(trace(a="REDACTED.x-token.1", b="REDACTED.x_token.1"), POLICY, values)


def test_values_are_put_in_at_once():
    """A placeholder is no part of a longer one, a value that looks like one stays, and names of objects are filled."""
    many = trace(a="REDACTED.a.1 REDACTED.a.12", b={"REDACTED.b.2": 1})
    values = {"A_1": "REDACTED.b.2", "A_12": "twelve", "B": "REDACTED.a.1"}
    environment = {f"REPLAYKIT_SECRET_{name}": value for name, value in values.items()}

    assert {"a": "REDACTED.b.2 twelve", "b": {"REDACTED.a.1": 1}} == bound(many, POLICY, environment).steps[0].call.args


@pytest.mark.parametrize(
    "covered",
    [
        "[redacted]",
        {"[redacted]": 1},
        990000000001,
        *[base64.b64encode(b"x" * n + b"REDACTED.a.1").decode() for n in range(3)],
    ],
)
def test_what_no_value_can_be_put_into_is_stale(covered: object):
    """What was covered inside of base64, as a number, or in the first bundles, is never sent as it stands."""
    with pytest.raises(StaleError, match="in step 0"):
        bound(trace(a=["x", covered]), POLICY, {"REPLAYKIT_SECRET_A": "v"})
