"""Rates: how often something shows that shows only now and then, and how often to look for it.

The statistics of a flaky bug. It showed in k of the n runs in which it was looked at when it was recorded. So it shows
in at least p of all runs, p being the lower bound of Wilson's interval. If it is there, it stays away from all of m
attempts with a probability of (1 - p)^m at most; 1 minus that is the confidence with which m attempts would see it.
"""

import math
from typing import NamedTuple

NINE_OF_TEN = 1.2816  # quantile of the normal distribution
MISSED = 0.01  # how often a bug that is there may be missed, where there is time to look for it
DOUBTED = 0.05  # how often at most, if nobody is to doubt that it is gone
UNASKED = 200  # attempts that are made at most, where nobody said how many
MOST_TIMES = 100_000  # attempts that a bundle may be asked to make
NEVER = 1_000_000  # attempts
SUREST = 99.9  # percent: no number of attempts makes it certain


def rate_at_least(failed: int, runs: int) -> float:
    """Say how often something shows at least, that showed in some of a few runs, in nine of ten cases.

    The lower bound of Wilson's interval ("Probable inference", 1927): 5 of 5 may be 0.75, and 5 of 10 may be 0.31.
    """
    rate, spread = failed / runs, NINE_OF_TEN**2 / runs
    middle = rate + spread / 2
    return (middle - NINE_OF_TEN * math.sqrt((rate * (1 - rate) + spread / 4) / runs)) / (1 + spread)


def tries(rate: float, missed: float, most: int) -> int:
    """Say how often to look for what shows at a rate, so that it is missed no more often than so."""
    never = 1 - rate == 1
    return most if never else min(most, max(1, math.ceil(math.log(missed) / math.log(1 - min(rate, 0.99)))))


class Odds(NamedTuple):
    """How often a bug showed when it was recorded: in so many of so many runs, one at least."""

    failed: int
    runs: int

    @property
    def at_least(self) -> float:
        """How often it shows at least: a part of all runs."""
        return rate_at_least(self.failed, self.runs)

    @property
    def wanted(self) -> int:
        """In how many attempts it is looked for unasked: as many as MISSED takes, if that are not too many."""
        return tries(self.at_least, MISSED, UNASKED)

    @property
    def needed(self) -> int:
        """In how many attempts it has to stay away before it may be called fixed: as many as DOUBTED takes."""
        return tries(self.at_least, DOUBTED, NEVER)

    def confidence(self, attempts: int) -> float:
        """Say how surely it would have been seen in so many attempts, were it there: a part of 1."""
        return 1.0 - (1.0 - min(self.at_least, 0.99)) ** attempts


def percent(part: float) -> str:
    """Write a part of 1 in percent, rounded down: 99.6 %. Nothing is certain."""
    return f"{min(math.floor(part * 1000) / 10, SUREST):g} %"
