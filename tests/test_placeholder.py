"""Placeholders: how they are written, and which values they stand for."""

import base64
import time

import pytest

from replaykit.placeholder import (
    MARKED_NUMBER,
    Bound,
    covered_in,
    is_covered,
    is_marked_number,
    is_placeholder,
    placeholder,
    placeholders_in,
    split,
)


@pytest.mark.parametrize("label", ["token", "X-Api-Key", "a b", "schlüssel", "", "a" * 100, "a.b"])
def test_a_placeholder_can_be_read_again(label):
    """Whatever the label was, what is written is a placeholder, and needs no escape anywhere."""
    written = placeholder(label, 7)

    assert is_placeholder(written)
    assert [("REDACTED", "7")] == [(written.split(".")[0], written.split(".")[2])]
    assert {written: (written.split(".")[1], 7)} == placeholders_in(f'"x{written}"')


def test_placeholders_are_told_apart():
    """Number 1 is not the beginning of number 12, and a sentence may end after one."""
    text = "a REDACTED.x.1 b REDACTED.x.12. c"

    assert ["REDACTED.x.1", "REDACTED.x.12"] == list(placeholders_in(text))
    assert ["a ", "REDACTED.x.1", " b ", "REDACTED.x.12", ". c"] == split(text)
    assert ("REDACTED.x.1",) == covered_in({"a": ["REDACTED.x.1"]}, None, "x")
    assert not is_placeholder("REDACTED.x.1 ")


@pytest.mark.parametrize(
    "text",
    [
        "REDACTED.x.1",
        f'{{"a":{MARKED_NUMBER + 3}}}',
        *(base64.b64encode(b"x" * n + b"REDACTED.a.1").decode() for n in range(3)),
    ],
)
def test_what_is_covered_is_seen(text):
    """Placeholders are seen as text, as numbers and inside of base64."""
    assert is_covered(text)
    assert not is_covered("REDACTED 990 UkVE")


@pytest.mark.parametrize(
    ("recorded", "asked"),
    [
        ("REDACTED.x.1", "anything"),
        ("anything", "REDACTED.x.1"),
        ("/a/REDACTED.x.1/b", "/a/c/b"),
        ("Bearer REDACTED.x.1", "Bearer abc"),
        ("REDACTED.x.1:REDACTED.y.2", "user:pass"),
        ("REDACTED.x.1", "REDACTED.y.2"),
        (base64.b64encode(b"user:REDACTED.x.1").decode(), base64.b64encode(b"user:pass").decode()),
    ],
)
def test_a_placeholder_stands_for_any_value(recorded, asked):
    """What is around it has to be the same."""
    assert Bound().fits(recorded, asked)


@pytest.mark.parametrize(
    ("recorded", "asked"),
    [
        ("REDACTED.x.1", ""),
        ("/a/REDACTED.x.1/b", "/a/c/d"),
        ("/a/REDACTED.x.1", "/b/c"),
        ("aREDACTED.x.1a", "aa"),
        ("REDACTED.x.1:REDACTED.y.2", "user"),
        ("[redacted]", "x"),
    ],
)
def test_what_is_around_a_placeholder_counts(recorded, asked):
    """Something else, or nothing, is not covered by it."""
    assert not Bound().fits(recorded, asked)


def test_the_same_placeholder_stands_for_the_same_value():
    """What it stood for first, it stands for from then on."""
    bound = Bound()

    assert bound.fits("REDACTED.x.1", "a")
    assert bound.fits_all(["k=REDACTED.y.2", "n=1"], ["k=b", "n=1"])
    assert not bound.fits("REDACTED.x.1", "b")
    assert bound.fits("REDACTED.x.1", "a")


def test_two_of_a_label_stand_for_two_values():
    """What one of them stands for, in a query or in JSON, is none of another one; other labels may share a value."""
    bound = Bound()

    assert bound.fits("REDACTED.x.1", "a%2Fb+c")
    assert bound.fits_data("REDACTED.x.1", "a/b c")
    assert not bound.fits("REDACTED.x.2", "a/b c")
    assert not bound.fits("REDACTED.x.2", "REDACTED.x.1")
    assert bound.fits("REDACTED.y.3", "a/b c")


def test_a_trial_is_forgotten_unless_it_is_taken():
    """What a trial learns, the others know when it is taken over."""
    bound = Bound()
    trial = bound.trial()

    assert trial.fits("REDACTED.x.1", "a")
    assert {"REDACTED.x.1": "a"} == trial.learned
    assert bound.trial().fits("REDACTED.x.1", "b")
    bound.take(trial)
    assert not bound.trial().fits("REDACTED.x.1", "b")
    assert not bound.trial().fits("REDACTED.x.2", "a")


def test_json_is_compared_with_its_types():
    """A number stands for a number, a text for a text; true is not 1."""
    bound = Bound()

    assert bound.fits_data({"a": [MARKED_NUMBER + 1, "REDACTED.x.2", True]}, {"a": [1234, "s", True]})
    assert not bound.fits_data({"a": MARKED_NUMBER + 1}, {"a": 1235})
    assert not bound.fits_data("REDACTED.y.3", 5)
    assert not bound.fits_data([True], [1])
    assert not bound.fits_data({"a": 1}, {"a": 1, "b": "REDACTED.y.3"})
    assert not is_marked_number(True)


def test_hostile_placeholders_take_no_hostile_time():
    """Matching looks for each part once, however many placeholders a stranger's bundle has."""
    recorded = "aREDACTED.x.1" * 20_000
    began = time.process_time()
    fits = Bound().fits(recorded + "!", "ab" * 20_000)

    assert not fits
    assert time.process_time() - began < 5
