"""Source: where a run's random values come from."""

import random
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from replaykit.value import JsonData

DEFAULT_SIZE = 30

Key: TypeAlias = tuple[str, tuple[Callable[..., Any], ...]]  # what tells the domains of two generators apart


class NothingToReferToError(Exception):
    """A value can't be drawn now, since the service has made nothing that it could refer to."""


class Source:
    """Where a run's random values come from, and what the run has drawn before.

    Only `random.Random(seed).random()` is used: the one method whose sequence Python keeps for ever
    (docs of the module random, "Notes on Reproducibility").
    """

    def __init__(self, seed: int, candidates: Callable[[str], Sequence[str]] = lambda _: ()) -> None:
        self.candidates = candidates  # entity -> labels of what a ref may name now
        self.pools: dict[Key, dict[int, JsonData]] = {}
        self.earlier: dict[Key, list[JsonData]] = {}
        self.minted = 0  # texts that were made unique so far
        self.unit: Callable[[], float]
        self.restart(seed)

    def restart(self, seed: int) -> None:
        """Go on with another seed, keeping what was drawn before."""
        self.unit = random.Random(seed).random

    def below(self, limit: int) -> int:
        """Draw an integer from 0 to limit - 1."""
        if limit < 1 << 50:
            return int(self.unit() * limit)
        drawn = 0
        for _ in range(limit.bit_length() // 50 + 2):  # enough bits that the rest of the division is no bias
            drawn = (drawn << 50) + int(self.unit() * (1 << 50))
        return drawn % limit

    def chance(self, probability: float) -> bool:
        """Draw true with this probability."""
        return self.unit() < probability

    def pick(self, items: Sequence[Any]) -> Any:
        """Draw one of the items."""
        return items[self.below(len(items))]

    def weighted(self, weights: Sequence[float]) -> int:
        """Draw an index, as often as its weight says."""
        total = 0.0
        for weight in weights:  # not sum(), which rounds otherwise since Python 3.12
            total += weight
        mark = self.unit() * total
        for index, weight in enumerate(weights):
            mark -= weight
            if mark < 0:
                return index
        return len(weights) - 1


def derive(seed: int, index: int) -> int:
    """Derive the seed of part `index` from the seed of the whole: splitmix64 (Steele et al., 2014), 32 bits."""
    mixed = (seed + (index + 1) * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return (mixed ^ (mixed >> 31)) & 0xFFFFFFFF
