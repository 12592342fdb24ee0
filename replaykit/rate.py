"""Rates: how often something shows that shows only now and then, and how often to look for it."""

import math

NINE_OF_TEN = 1.2816  # quantile of the normal distribution


def rate_at_least(failed: int, runs: int) -> float:
    """Say how often something shows at least, that showed in some of a few runs, in nine of ten cases.

    The lower bound of Wilson's interval ("Probable inference", 1927): 5 of 5 may be 0.75, and 5 of 10 may be 0.31.
    """
    rate, spread = failed / runs, NINE_OF_TEN**2 / runs
    middle = rate + spread / 2
    return (middle - NINE_OF_TEN * math.sqrt((rate * (1 - rate) + spread / 4) / runs)) / (1 + spread)


def tries(rate: float, missed: float, most: int) -> int:
    """Say how often to look for what shows at a rate, so that it is missed no more often than so."""
    return min(most, max(1, math.ceil(math.log(missed) / math.log(1 - min(rate, 0.99)))))
