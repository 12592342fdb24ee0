"""Terms: what ends a campaign before its last run."""

import pytest

from replaykit.errors import UsageError
from replaykit.terms import Terms, seconds_in, spelled


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90.0), ("90s", 90.0), ("0.5", 0.5), ("10m", 600.0), ("1h30m", 5400.0), ("2h1s", 7201.0), (" 5 ", 5.0)],
)
def test_time_is_read_in_hours_minutes_and_seconds(text: str, seconds: float):
    """A number alone is seconds; h, m and s may be put together in this order."""
    assert seconds == seconds_in(text)


@pytest.mark.parametrize("text", ["", "h", "1h30", "30m1h", "-5", "1d", "1e9", "ten minutes"])
def test_what_is_no_time_is_a_usage_error(text: str):
    """What can be read in two ways, or in none, is refused."""
    with pytest.raises(UsageError, match="is no time"):
        seconds_in(text)


@pytest.mark.parametrize("seconds", [0.5, 1.0, 59.0, 60.0, 3600.0, 5400.0, 7201.0])
def test_time_is_written_as_it_is_read(seconds: float):
    """What is written is read as the same time."""
    assert seconds == seconds_in(spelled(seconds))


def test_each_term_says_in_words_when_it_is_met():
    """Bugs go before the plateau, the plateau before the time; before that nothing is said."""
    terms = Terms(stop_after=2, max_time=90.0, plateau=1000)

    assert "" == terms.met(1, 999, 89.9)
    assert "2 of 2 bugs are found" == terms.met(2, 1000, 90.0)
    assert "nothing new in the last 1,000 runs" == terms.met(1, 1000, 90.0)
    assert "the time of 1m30s is over" == terms.met(1, 999, 90.0)


@pytest.mark.parametrize("terms", [{"stop_after": 0}, {"plateau": 0}, {"max_time": 0.0}, {"max_time": float("nan")}])
def test_terms_that_can_not_be_meant_are_usage_errors(terms: dict[str, float]):
    """No bugs, no runs and no time are none."""
    with pytest.raises(UsageError):
        Terms(**terms)  # type: ignore[arg-type]
