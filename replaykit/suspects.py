"""The suspects: which points may have brought a bug, how probable each is, and which point to try next.

Theory of operation. Exactly one point of the range, the culprit, brought the bug: it is there at the culprit and at all
points that have it behind them, and at no others. A point that was tried splits the suspects in two, those behind it
and the others, and its attempts say how probable each side is. So suspects that all tests treat alike are a class, and
only classes are kept, each with how often the bug showed, and did not, at points that have it behind them.

How probable a class is follows from Bayes' rule, each suspect being as good as any other before anything was tried:

- Where the bug shows each time, a class is out as soon as one test contradicts it. What is left is halved with each
  test, as `git bisect` does.
- Where it shows with a rate p, which nobody knows, the attempts at points that would have it are weighed with all
  rates that p may have (Beta(1/2, 1/2), the prior of Jeffreys). At points that would not have it, it shows all the
  same in at least one of a hundred attempts: what nobody has ever seen is not impossible, and a search that takes one
  false alarm for certain accuses the wrong commit in two of three cases.

The next test is the one that is expected to say most, in bits (Lindley, "On a Measure of the Information Provided by
an Experiment", 1956). Points that can't be tried are left in big steps: not the next neighbour is tried, but one that
is some way off, since what can't be built is seldom alone.

Sets of suspects are integers, bit i being point i: and, or and counting bits are as fast as it gets in Python.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

FALSE = ((0.01, 0.7), (0.03, 0.3))  # rates at which the bug may show where it is not, and how probable each is
APART = 1 / 8  # how far to stay off what can't be tried, as a part of the suspects
MOST_LOOKED_AT = 256  # points of a class that are compared before one is chosen
LEAST = 1e-9  # bits that an attempt says that is worth it
WORTH = 1e-3  # of the weight of the likeliest: who has less is not worth a look
UNLIKELY = 1e-6  # a class with less than this part of all is not looked at
MOST_PLANNED = 24  # attempts in a row that are planned for


class Order:
    """Which points have which others behind them."""

    def __init__(self, size: int, parents: Sequence[Sequence[int]] | None = None) -> None:
        """Take a line of so many points, or a graph: for each point the places of those right before it.

        The points stand in an order in which none comes before those that are behind it.
        """
        self.size = size
        self._parents = parents
        self._behind: list[int] = []
        for place, before in enumerate(parents or ()):
            mask = 1 << place
            for each in before:
                mask |= self._behind[each]
            self._behind.append(mask)

    @property
    def is_graph(self) -> bool:
        """Whether it is more than a line."""
        return self._parents is not None

    def behind(self, place: int) -> int:
        """Return the points behind one, and itself."""
        return self._behind[place] if self._behind else (2 << place) - 1

    def before(self, place: int) -> tuple[int, ...]:
        """Return the places right before a point."""
        if self._parents is not None:
            return tuple(self._parents[place])
        return (place - 1,) if place else ()

    def alike(self, place: int, untried: set[int]) -> int:
        """Return the points that can't be told from one, where some can't be tried."""
        if not self._behind:
            first = last = place
            while last in untried and last < self.size - 1:
                last += 1
            while first - 1 in untried:
                first -= 1
            return (2 << last) - (1 << first)
        found = (1 << self.size) - 1
        for other in range(self.size):
            if other not in untried:
                found &= self.behind(other) if self.behind(other) >> place & 1 else ~self.behind(other)
        return found


@dataclass(slots=True)
class Class:
    """Suspects that all tests treat alike."""

    members: int
    shown: int = 0  # attempts at points that have them behind, in which the bug showed
    held: int = 0
    weight: float = 1.0  # of each member; the heaviest has 1


@dataclass(slots=True)
class Suspects:
    """Who may have brought a bug, after what was tried."""

    order: Order
    fix: bool = False  # is the point searched for that mended it?
    steady: bool = True  # does it show each time?
    far: bool = True  # is the first point known not to be the culprit?
    untried: set[int] = field(default_factory=set)  # places that can't be tried
    classes: list[Class] = field(default_factory=list)
    tests: dict[int, list[int]] = field(default_factory=dict)  # attempts by place: shown, held
    _shown: int = 0
    _held: int = 0

    def __post_init__(self) -> None:
        everybody = (1 << self.order.size) - 1
        self.classes = [Class(everybody & ~1 if self.far else everybody)]

    # --- what was tried

    def learn(self, place: int, shown: int, held: int) -> None:
        """Take the attempts at a point into account."""
        behind = self.order.behind(place)
        test = self.tests.setdefault(place, [0, 0])
        test[0], test[1] = test[0] + shown, test[1] + held
        self._shown, self._held = self._shown + shown, self._held + held
        split = []
        for each in self.classes:
            rest = each.members & ~behind
            if each.members & behind:
                split.append(Class(each.members & behind, each.shown + shown, each.held + held))
            if rest:
                split.append(Class(rest, each.shown, each.held))
        self.classes = split
        self._weigh()

    @property
    def is_contradicted(self) -> bool:
        """Whether what was seen can't be explained by a bug that shows each time."""
        return not any(_is_explained(*self._parted(each)) for each in self.classes)

    def seen(self, place: int) -> tuple[int, int]:
        """Return in how many attempts at a point the bug showed, and in how many it did not."""
        shown, held = self.tests.get(place, (0, 0))
        return shown, held

    def _weigh(self) -> None:
        """Weigh each class by what was seen, so that the most probable one has the weight 1."""
        logs = [self._log(each) for each in self.classes]
        most = max(logs)
        for each, log in zip(self.classes, logs, strict=True):
            each.weight = math.exp(log - most) if log > -math.inf else 0.0

    def _log(self, suspects: Class) -> float:
        """Return the logarithm of how probable it is what was seen, were the culprit among these."""
        there, absent = self._parted(suspects)
        if self.steady:
            return 0.0 if _is_explained(there, absent) else -math.inf
        return _if_there(*there) + _if_absent(*absent)

    def _parted(self, suspects: Class) -> tuple[tuple[int, int], tuple[int, int]]:
        """Part all attempts into those at points where the bug is, and those where it is not, were one of these it."""
        there = (suspects.shown, suspects.held)
        absent = (self._shown - suspects.shown, self._held - suspects.held)
        return (absent, there) if self.fix else (there, absent)

    # --- who it is

    @property
    def rate(self) -> float:
        """How often the bug shows where it is, by what was seen."""
        best = max(self.classes, key=lambda each: each.weight)
        shown, held = self._parted(best)[0]
        return (shown + 0.5) / (shown + held + 1)

    @property
    def total(self) -> float:
        """What all suspects weigh together."""
        return sum(each.weight * each.members.bit_count() for each in self.classes)

    @property
    def left(self) -> int:
        """How many suspects there are that are worth a look."""
        return self._likely().bit_count()

    @property
    def in_the_way(self) -> int:
        """How many points that can't be tried stand among those who are worth a look."""
        return len(self.among(self.untried))

    def among(self, untried: Iterable[int]) -> list[int]:
        """Return those of some points that stand among who is worth a look, the newest first."""
        members = self._likely()
        return sorted((place for place in untried if members >> place & 1), reverse=True)

    def probability(self, members: int) -> float:
        """Say how probable it is that the culprit is one of these: a part of 1."""
        total = self.total
        part = sum(each.weight * (each.members & members).bit_count() for each in self.classes)
        return part / total if total else 0.0

    def likeliest(self) -> tuple[int, ...]:
        """Return those who can't be told from the most probable one, from old to new."""
        best = max(self.classes, key=lambda each: (each.weight, -each.members.bit_count()))
        place = best.members.bit_length() - 1
        return places(self.order.alike(place, self.untried) & self._suspected())

    def ranked(self, least: float) -> list[tuple[int, float]]:
        """Return all who are at least so probable, the most probable first."""
        found, total = [], self.total
        for each in self.classes:
            if each.weight > 0 and each.weight / total >= least:
                found += [(place, each.weight / total) for place in places(each.members)]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))

    def _likely(self) -> int:
        """Return all who are worth a look."""
        return self._suspected(0.0 if self.steady else WORTH)

    def _suspected(self, least: float = 0.0) -> int:
        """Return all who weigh more than so much; by default those who are not out."""
        found = 0
        for each in self.classes:
            found |= each.members if each.weight > least else 0
        return found

    # --- what to try next

    def next(self, pending: Iterable[int] = ()) -> int | None:
        """Return the point that is expected to say most, while others are tried; None where none says anything."""
        pending = tuple(pending)
        closed = self.untried | set(pending) | (set(self.tests) if self.steady else set())
        judge = _Judge(self, pending)
        gains = {place: judge.gain(place) for place in self._worth_a_look() if place not in closed}
        best = self._apart(gains, judge)
        return best if best is not None and gains[best] > LEAST else None

    def _worth_a_look(self) -> set[int]:
        """Return the points that can split those who are suspected, or some of them that lie evenly."""
        found = set() if self.steady else set(self.tests)
        if self.order.is_graph:  # a point that is not suspected may have some of them behind it
            found |= set(_some((1 << self.order.size) - 1))
        total = self.total
        for each in self.classes:
            if each.weight * each.members.bit_count() > UNLIKELY * total:
                found |= set(_some(each.members))
        return found

    def _apart(self, gains: dict[int, float], judge: "_Judge") -> int | None:
        """Choose the point that says most, of those that are some way off what can't be tried."""
        if not gains:
            return None
        shares = sorted(judge.share(place) for place in self.untried)
        ordered = sorted(gains, key=lambda place: -gains[place])
        if not shares:
            return ordered[0]
        most, apart = gains[ordered[0]], APART
        while apart * self.left >= 1 / 2:
            for place in ordered:
                if gains[place] < most * UNLIKELY:
                    break
                share = judge.share(place)
                if all(abs(share - other) >= apart for other in shares):
                    return place
            apart /= 2
        return ordered[0]

    def gain(self, place: int) -> float:
        """Say how much one more attempt at a point is expected to say, in bits."""
        return _Judge(self).gain(place)

    def pace(self, place: int, coming: float, trying: float) -> float:
        """Say how much a visit to a point is expected to say at best, in bits a second.

        `coming` and `trying` are the seconds that it takes to come there, and that an attempt takes.
        """
        share, rate = _Judge(self).share(place), round(self.rate, 3)
        present = 1 - share if self.fix else share
        signals = ((tries, _Signal(rate, FALSE[0][0], tries)) for tries in range(1, MOST_PLANNED + 1))
        return max(signal.bits(present) / (coming + tries * trying) for tries, signal in signals)


class _Judge:
    """How much a test is expected to say, as things stand."""

    def __init__(self, suspects: Suspects, pending: Sequence[int] = ()) -> None:
        self._order, self._fix = suspects.order, suspects.fix
        self._signal = _Signal(1.0, 0.0) if suspects.steady else _Signal(suspects.rate, FALSE[0][0])
        total = suspects.total
        groups: dict[tuple[bool, ...], list[tuple[int, float]]] = {}
        for each in suspects.classes:
            for key, members in self._parted(each.members, pending) if each.weight > 0 else ():
                groups.setdefault(key, []).append((members, each.weight / total))
        self._groups = [
            (sum(weight * members.bit_count() for members, weight in group), group) for group in groups.values()
        ]

    def _parted(self, members: int, pending: Sequence[int]) -> list[tuple[tuple[bool, ...], int]]:
        """Part suspects by points that are being tried: what these will say is not known, but it will part them."""
        parts: list[tuple[tuple[bool, ...], int]] = [((), members)]
        for place in pending:
            behind = self._order.behind(place)
            sides = [
                ((*key, side), part & (behind if side else ~behind)) for key, part in parts for side in (True, False)
            ]
            parts = [(key, part) for key, part in sides if part]
        return parts

    def share(self, place: int) -> float:
        """Say how probable it is that the culprit is behind a point: a part of 1."""
        behind = self._order.behind(place)
        return sum(_mass(group, behind) for _, group in self._groups)

    def gain(self, place: int) -> float:
        """Say how much an attempt at a point is expected to say, in bits."""
        behind = self._order.behind(place)
        gain = 0.0
        for mass, group in self._groups:
            present = min(1.0, _mass(group, behind) / mass)
            gain += mass * self._signal.bits(1 - present if self._fix else present)
        return gain


def _mass(group: list[tuple[int, float]], behind: int) -> float:
    """Say how probable it is that the culprit is one of a group, and behind a point."""
    mass = 0.0
    for members, weight in group:
        mass += weight * (members & behind).bit_count()
    return mass


def _is_explained(there: tuple[int, int], absent: tuple[int, int]) -> bool:
    """Say whether attempts are those of a bug that shows each time where it is, and never where it is not."""
    return not there[1] and not absent[0]


def chance(shown: int, held: int, known: tuple[int, int]) -> float:
    """Say how probable it is that a bug is at a point, from the attempts there alone: a part of 1.

    `known` says in how many attempts it showed, and did not, where it is.
    """
    there = _if_there(known[0] + shown, known[1] + held) - _if_there(*known)
    return 1 / (1 + math.exp(min(700.0, _if_absent(shown, held) - there)))


def places(members: int) -> tuple[int, ...]:
    """List the places in a set."""
    found = []
    while members:
        lowest = members & -members
        found.append(lowest.bit_length() - 1)
        members ^= lowest
    return tuple(found)


def _some(members: int) -> tuple[int, ...]:
    """List the places in a set; of very many, some that lie evenly."""
    if members.bit_count() <= MOST_LOOKED_AT:
        return places(members)
    text = bin(members)[:1:-1]
    found = [place for place, bit in enumerate(text) if bit == "1"]
    return tuple(found[:: len(found) // MOST_LOOKED_AT])


def _if_there(shown: int, held: int) -> float:
    """Return the logarithm of how probable it is what was seen where the bug is, whatever its rate."""
    return math.lgamma(shown + 0.5) + math.lgamma(held + 0.5) - math.lgamma(shown + held + 1) - 2 * math.lgamma(0.5)


def _if_absent(shown: int, held: int) -> float:
    """Return the logarithm of how probable it is what was seen where the bug is not."""
    logs = [math.log(part) + shown * math.log(rate) + held * math.log(1 - rate) for rate, part in FALSE]
    most = max(logs)
    return most + math.log(sum(math.exp(each - most) for each in logs))


class _Signal:
    """What some attempts at a point may come to, and what that says."""

    def __init__(self, rate: float, false: float, tries: int = 1) -> None:
        there, absent = _counts(rate, tries), _counts(false, tries)
        self._pairs = list(zip(there, absent, strict=True))
        self._there, self._absent = _entropy(there), _entropy(absent)

    def bits(self, present: float) -> float:
        """Say how much that says of whether a bug is there, if it is so probable now, in bits."""
        seen = _entropy([present * one + (1 - present) * other for one, other in self._pairs])
        return seen - present * self._there - (1 - present) * self._absent


def _entropy(parts: Iterable[float]) -> float:
    return -sum(part * math.log2(part) for part in parts if part > 0)


@lru_cache(maxsize=4096)
def _counts(rate: float, tries: int) -> tuple[float, ...]:
    """Return how probable each number of shows is, of so many attempts."""
    return tuple(math.comb(tries, each) * rate**each * (1 - rate) ** (tries - each) for each in range(tries + 1))
