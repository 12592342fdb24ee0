"""Charts: geometry that fits its frame and says what it is made of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replaykit.report import chart
from replaykit.report.chart import Interval, Part


def test_a_curve_goes_up_where_something_came():
    """A step stands in the run in which it came, and the line goes on to the last run."""
    drawn = chart.rising([(8, "b"), (2, "a")], 10)

    assert ["a", "b"] == [dot.label for dot in drawn.dots]
    assert "34,126 152.4,126 152.4,68 507.6,68 507.6,10 626,10" == drawn.line
    assert [("0", 34), ("2", 152.4), ("10", 626)] == [
        (tick.label, tick.at) for tick in drawn.across if tick.label in {"0", "2", "10"}
    ]


@given(st.integers(1, 10**7), st.integers(2, 12))
def test_ticks_are_few_and_round(last, most):
    """Ticks go from 0 to the last, in steps of 1, 2 or 5 times a power of ten."""
    found = chart.ticks(last, most)

    assert (0, last) == (found[0], found[-1])
    assert len(found) <= most + 1
    assert sorted(set(found)) == found
    assert str(found[1] - found[0]).rstrip("0") in {"1", "2", "5"} or len(found) == 2


@given(st.lists(st.integers(0, 10**6), max_size=6))
def test_a_bar_is_as_wide_as_it_is_said_to_be(numbers):
    """The parts that are there fill the bar, one after the other, and each can be seen."""
    parts = chart.bar([(str(number), number) for number in numbers])

    assert [str(each) for each in numbers if each] == [part.label for part in parts]
    if parts:
        assert pytest.approx(chart.WIDTH, abs=0.5) == parts[-1].x + parts[-1].width
        assert all(part.width >= chart.LEAST - 0.1 for part in parts)


def test_a_bar_of_nothing_is_none():
    """Where there is nothing, there is no part."""
    assert [] == chart.bar([("passed", 0)])
    assert [Part(0, 640, "passed")] == chart.bar([("passed", 7), ("failed", 0)])


def test_an_interval_holds_its_rate():
    """The bounds are those of Wilson, the same from both sides."""
    drawn = chart.interval(5, 10)

    assert Interval(0.5, pytest.approx(0.312, abs=0.001), pytest.approx(0.688, abs=0.001)) == drawn
    assert 0 <= chart.interval(0, 5).low <= 1e-9
    assert pytest.approx(1) == chart.interval(5, 5).high
