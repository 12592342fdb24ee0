"""Generators: what draws, simplifies and recognises the values of commands.

A generator works on *raw* values, plain JSON data that can be written down and read back. `build` turns a
raw value into the one that is used; for most generators the two are the same (`plain`). `map` and `bind`
keep the raw value, so that a saved sequence can be simplified years later from the file alone, where a
tree of shrinks would have died with the process (integrated shrinking, as in Hedgehog and rackcheck).

`shrink` gives simpler raw values, the simplest first, and never leaves the generator's own domain.
"""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, ClassVar, TypeAlias

from replaykit.errors import DefinitionError
from replaykit.record import JsonData

FILTER_TRIES = 1000
DEFAULT_SIZE = 30
REUSE = 0.5  # how often an argument repeats an earlier value of its kind

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS = "0123456789"
ASCII = LETTERS + DIGITS + " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
BEYOND = "éßñøžабвгΩλ中文字日本\u00a0\u200b\u202e\u0301\u0130\u0131😀🎉"


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


class Generator:
    """What draws, simplifies and recognises values of one kind."""

    plain: ClassVar[bool] = True  # raw and built value are the same
    reusable: ClassVar[bool] = True  # repeating an earlier value is worth while

    def sample(self, source: Source, size: int) -> JsonData:
        """Draw a raw value; `size` is how large lists, texts and numbers tend to be."""
        raise NotImplementedError

    def shrink(self, raw: JsonData) -> Iterator[JsonData]:
        """Give simpler raw values of the same domain, the simplest first."""
        del raw
        return iter(())

    def accepts(self, raw: JsonData) -> bool:
        """Say whether a raw value could have been drawn."""
        raise NotImplementedError

    def build(self, raw: JsonData) -> JsonData:
        """Make the value that is used from a raw one."""
        return raw

    @cached_property
    def kind(self) -> str:
        """The description, made once."""
        return str(self)

    @cached_property
    def key(self) -> "Key":
        """What tells domains apart: the description, and the functions in it, which it only names."""
        return self.kind, tuple(functions_in(self))

    def __str__(self) -> str:
        """Describe the generator; two with the same description draw from the same domain."""
        raise NotImplementedError


Key: TypeAlias = tuple[str, tuple[Callable[..., Any], ...]]


def is_plain(generator: Generator) -> bool:
    """Say whether raw and built values are the same."""
    return generator.plain


class Const(Generator):
    """Always the same value."""

    reusable = False

    def __init__(self, value: JsonData) -> None:
        self.value = value

    def sample(self, source: Source, size: int) -> JsonData:  # noqa: ARG002
        return self.value

    def accepts(self, raw: JsonData) -> bool:
        return _alike(raw, self.value)

    def __str__(self) -> str:
        return f"const({self.value!r})"


class OneOf(Generator):
    """One of some values, the earlier the simpler."""

    reusable = False

    def __init__(self, values: Sequence[JsonData]) -> None:
        if not values:
            raise DefinitionError("gen.one_of() has no values to draw from.", "Give it at least one.")
        self.values = tuple(values)

    def sample(self, source: Source, size: int) -> JsonData:  # noqa: ARG002
        return source.pick(self.values)

    def shrink(self, raw: JsonData) -> Iterator[JsonData]:
        for value in self.values:
            if _alike(value, raw):
                return
            yield value

    def accepts(self, raw: JsonData) -> bool:
        return any(_alike(value, raw) for value in self.values)

    def __str__(self) -> str:
        return f"one_of({', '.join(map(repr, self.values))})"


class Integers(Generator):
    """Whole numbers from low to high, both included; simpler is nearer to the origin."""

    def __init__(self, low: int | None, high: int | None, step: int = 1) -> None:
        if low is not None and high is not None and low > high:
            raise DefinitionError(f"gen.integers({low}, {high}) has no values.", "Put the smaller bound first.")
        if step < 1:
            raise DefinitionError(f"gen.integers() has the step {step}.", "A step is 1 or more.")
        self.low, self.high, self.step = low, high, step
        self.origin = min(max(0, low if low is not None else 0), high if high is not None else max(0, low or 0))
        if self.origin % step:
            up = self.origin + step - self.origin % step
            self.origin = up if high is None or up <= high else self.origin - self.origin % step
        if not self.accepts(self.origin):
            raise DefinitionError(f"{self} has no values.", f"No multiple of {step} lies between its bounds.")

    def sample(self, source: Source, size: int) -> int:
        low = self.low if self.low is not None else min(-size, (self.high or 0) - size)
        high = self.high if self.high is not None else max(size, low + size)
        way = source.unit()
        if way < 0.1:  # noqa: PLR2004  the bounds, where mistakes like to be
            number = low if way < 0.05 else high  # noqa: PLR2004
        elif way < 0.4:  # noqa: PLR2004  small ones
            number = self.origin + source.below(2 * size + 1) - size
        else:
            number = low + source.below(high - low + 1)
        return self._inside(min(max(number, low), high))

    def _inside(self, number: int) -> int:
        number -= number % self.step
        return number if self.accepts(number) else self.origin

    def shrink(self, raw: JsonData) -> Iterator[int]:
        """Give the origin, then what lies between it and the value, halving the distance each time."""
        if not isinstance(raw, int) or raw == self.origin:
            return
        distance = (raw - self.origin) // self.step
        tried = set()
        while distance:
            candidate = raw - distance * self.step
            if candidate not in tried:
                tried.add(candidate)
                yield candidate
                if candidate == self.origin and raw < self.origin and self.accepts(-raw):
                    yield -raw
            distance = distance // 2 if distance > 0 else -(-distance // 2)

    def accepts(self, raw: JsonData) -> bool:
        return (
            isinstance(raw, int)
            and not isinstance(raw, bool)
            and (self.low is None or raw >= self.low)
            and (self.high is None or raw <= self.high)
            and raw % self.step == 0
        )

    def __str__(self) -> str:
        step = f", step={self.step}" if self.step != 1 else ""
        return f"integers({self.low}, {self.high}{step})"


class Real(Generator):
    """Finite numbers from low to high; simpler is a whole number near to zero, then fewer decimals."""

    def __init__(self, low: float, high: float) -> None:
        if not low <= high or math.isinf(low) or math.isinf(high):
            raise DefinitionError(
                f"gen.real({low}, {high}) has no values.", "Give two finite bounds, the smaller first."
            )
        self.low, self.high = float(low), float(high)

    def sample(self, source: Source, size: int) -> float:
        way = source.unit()
        if way < 0.1:  # noqa: PLR2004
            return self.low if way < 0.05 else self.high  # noqa: PLR2004
        if way < 0.3:  # noqa: PLR2004
            near = float(source.below(2 * size + 1) - size)
            return min(max(near, self.low), self.high)
        part = source.unit()  # not low + part * (high - low), which may be more than a float holds
        return min(max(self.low * (1 - part) + self.high * part, self.low), self.high)

    def shrink(self, raw: JsonData) -> Iterator[float]:
        if not isinstance(raw, int | float) or isinstance(raw, bool):
            return
        tried = {float(raw)}
        whole = [0.0, 1.0, math.ceil(self.low), math.trunc(raw), math.trunc(raw / 2)]
        for candidate in [*whole, *(round(raw, digits) for digits in range(1, 7)), self.low]:
            number = float(candidate)
            if self.accepts(number) and number not in tried and _simpler_real(number, float(raw)):
                tried.add(number)
                yield number

    def accepts(self, raw: JsonData) -> bool:
        return isinstance(raw, int | float) and not isinstance(raw, bool) and self.low <= raw <= self.high

    def __str__(self) -> str:
        return f"real({self.low}, {self.high})"


def _simpler_real(one: float, other: float) -> bool:
    return (not one.is_integer(), len(repr(one)), abs(one)) < (not other.is_integer(), len(repr(other)), abs(other))


class Char(Generator):
    """One character of an alphabet, the earlier the simpler."""

    def __init__(self, alphabet: str) -> None:
        if not alphabet:
            raise DefinitionError("gen.char() has an empty alphabet.", "Give it at least one character.")
        self.alphabet = "".join(dict.fromkeys(alphabet))
        self._rank = {character: rank for rank, character in enumerate(self.alphabet)}

    def sample(self, source: Source, size: int) -> str:  # noqa: ARG002
        return self.alphabet[source.below(len(self.alphabet))]

    def shrink(self, raw: JsonData) -> Iterator[str]:
        rank = self._rank.get(raw, 0)
        distance = rank
        while distance:
            yield self.alphabet[rank - distance]
            distance //= 2

    def accepts(self, raw: JsonData) -> bool:
        return isinstance(raw, str) and raw in self._rank

    def __str__(self) -> str:
        return f"char({self.alphabet!r})"


class Text(Generator):
    """Text of characters, from min_size to max_size of them."""

    def __init__(self, characters: Generator, min_size: int, max_size: int | None) -> None:
        _check_sizes("text", min_size, max_size)
        self.characters, self.min_size, self.max_size = characters, min_size, max_size
        self.plain = characters.plain  # type: ignore[misc]

    def sample(self, source: Source, size: int) -> JsonData:
        length = _length(source, self.min_size, self.max_size, size)
        return self._joined([self.characters.sample(source, size) for _ in range(length)])

    def _joined(self, items: Sequence[JsonData]) -> JsonData:
        """Make a raw value of the raw values of its characters: a text, where these are characters."""
        return "".join(items) if self.plain else list(items)

    def shrink(self, raw: JsonData) -> Iterator[JsonData]:
        if not self.accepts(raw):
            return
        for items in _shorter(raw, self.min_size):
            yield self._joined(items)
        for index, character in enumerate(raw):
            for simpler in self.characters.shrink(character):
                yield self._joined([*raw[:index], simpler, *raw[index + 1 :]])

    def accepts(self, raw: JsonData) -> bool:
        return (
            isinstance(raw, str if self.plain else list)
            and _fits(len(raw), self.min_size, self.max_size)
            and all(map(self.characters.accepts, raw))
        )

    def build(self, raw: JsonData) -> JsonData:
        return raw if self.plain else "".join(str(self.characters.build(character)) for character in raw)

    def __str__(self) -> str:
        return f"text({self.characters}, {self.min_size}, {self.max_size})"


class List(Generator):
    """Lists of one kind of item, from min_size to max_size of them."""

    def __init__(self, items: Generator, min_size: int, max_size: int | None, *, unique: bool = False) -> None:
        _check_sizes("list", min_size, max_size)
        self.items, self.min_size, self.max_size, self.unique = items, min_size, max_size, unique
        self.plain = items.plain  # type: ignore[misc]

    def sample(self, source: Source, size: int) -> list[JsonData]:
        length = _length(source, self.min_size, self.max_size, size)
        drawn: list[JsonData] = []
        for _ in range(length):
            item = self.items.sample(source, size)
            tries = 0
            while self.unique and item in drawn and tries < FILTER_TRIES:
                tries += 1
                item = self.items.sample(source, size + tries)
            if self.unique and item in drawn:
                break
            drawn.append(item)
        if len(drawn) < self.min_size:
            raise DefinitionError(
                f"{self} can't draw {self.min_size} items that differ.", "Widen the items, or ask for fewer."
            )
        return drawn

    def shrink(self, raw: JsonData) -> Iterator[list[JsonData]]:
        if not isinstance(raw, list):
            return
        for items in _shorter(raw, self.min_size):
            yield list(items)
        for index, item in enumerate(raw):
            for simpler in self.items.shrink(item):
                if not (self.unique and simpler in raw):
                    yield [*raw[:index], simpler, *raw[index + 1 :]]

    def accepts(self, raw: JsonData) -> bool:
        return (
            isinstance(raw, list)
            and _fits(len(raw), self.min_size, self.max_size)
            and all(map(self.items.accepts, raw))
            and not (self.unique and any(item in raw[:index] for index, item in enumerate(raw)))
        )

    def build(self, raw: JsonData) -> list[JsonData]:
        return [self.items.build(item) for item in raw]

    def __str__(self) -> str:
        unique = ", unique=True" if self.unique else ""
        return f"list({self.items}, {self.min_size}, {self.max_size}{unique})"


class Tuple(Generator):
    """Lists of a fixed length, each place with a generator of its own."""

    def __init__(self, places: Sequence[Generator]) -> None:
        self.places = tuple(places)
        self.plain = all(map(is_plain, self.places))  # type: ignore[misc]

    def sample(self, source: Source, size: int) -> list[JsonData]:
        return [place.sample(source, size) for place in self.places]

    def shrink(self, raw: JsonData) -> Iterator[list[JsonData]]:
        if not isinstance(raw, list) or len(raw) != len(self.places):
            return
        for index, (place, item) in enumerate(zip(self.places, raw, strict=True)):
            for simpler in place.shrink(item):
                yield [*raw[:index], simpler, *raw[index + 1 :]]

    def accepts(self, raw: JsonData) -> bool:
        return (
            isinstance(raw, list)
            and len(raw) == len(self.places)
            and all(place.accepts(item) for place, item in zip(self.places, raw, strict=True))
        )

    def build(self, raw: JsonData) -> list[JsonData]:
        return [place.build(item) for place, item in zip(self.places, raw, strict=True)]

    def __str__(self) -> str:
        return f"tuple({', '.join(map(str, self.places))})"


class RecordOf(Generator):
    """JSON objects with named fields, each with a generator of its own."""

    def __init__(self, fields: dict[str, Generator]) -> None:
        self.fields = fields
        self.plain = all(map(is_plain, fields.values()))  # type: ignore[misc]

    def sample(self, source: Source, size: int) -> dict[str, JsonData]:
        return {name: field.sample(source, size) for name, field in self.fields.items()}

    def shrink(self, raw: JsonData) -> Iterator[dict[str, JsonData]]:
        if not isinstance(raw, dict):
            return
        for name, field in self.fields.items():
            for simpler in field.shrink(raw.get(name)):
                yield {**raw, name: simpler}

    def accepts(self, raw: JsonData) -> bool:
        return (
            isinstance(raw, dict)
            and raw.keys() == self.fields.keys()
            and all(field.accepts(raw[name]) for name, field in self.fields.items())
        )

    def build(self, raw: JsonData) -> dict[str, JsonData]:
        return {name: field.build(raw[name]) for name, field in self.fields.items()}

    def __str__(self) -> str:
        return f"record({', '.join(f'{name}={field}' for name, field in self.fields.items())})"


class Choice(Generator):
    """One of several generators, as often as its weight says; the earlier the simpler.

    Where a branch is not plain, the raw value is the pair of the branch's number and its raw value.
    """

    def __init__(self, weighted: Sequence[tuple[float, Generator]]) -> None:
        if not weighted:
            raise DefinitionError("gen.choice() has no generators to choose from.", "Give it at least one.")
        self.weights = tuple(weight for weight, _ in weighted)
        if min(self.weights) < 0 or sum(self.weights) <= 0:
            raise DefinitionError("gen.frequency() has weights that can't be.", "Weights are positive numbers.")
        self.branches = tuple(branch for _, branch in weighted)
        self.plain = all(map(is_plain, self.branches))  # type: ignore[misc]

    def sample(self, source: Source, size: int) -> JsonData:
        index = source.weighted(self.weights)
        drawn = self.branches[index].sample(source, size)
        return drawn if self.plain else [index, drawn]

    def shrink(self, raw: JsonData) -> Iterator[JsonData]:
        if not self.plain:
            if self.accepts(raw):
                index, inner = raw
                yield from ([n, each.value] for n, each in enumerate(self.branches[:index]) if isinstance(each, Const))
                yield from ([index, simpler] for simpler in self.branches[index].shrink(inner))
            return
        home = next((n for n, branch in enumerate(self.branches) if branch.accepts(raw)), None)
        if home is None:
            return
        for branch in self.branches[:home]:
            if isinstance(branch, Const):
                yield branch.value
        yield from self.branches[home].shrink(raw)

    def accepts(self, raw: JsonData) -> bool:
        if self.plain:
            return any(branch.accepts(raw) for branch in self.branches)
        return (
            isinstance(raw, list)
            and len(raw) == 2  # noqa: PLR2004
            and isinstance(raw[0], int)
            and 0 <= raw[0] < len(self.branches)
            and self.branches[raw[0]].accepts(raw[1])
        )

    def build(self, raw: JsonData) -> JsonData:
        return raw if self.plain else self.branches[raw[0]].build(raw[1])

    def __str__(self) -> str:
        branches = ", ".join(f"({w:g}, {branch})" for w, branch in zip(self.weights, self.branches, strict=True))
        return f"frequency({branches})"


class Map(Generator):
    """Values made by a function from those of another generator, whose raw values are kept."""

    plain = False

    def __init__(self, inner: Generator, function: Callable[[Any], JsonData]) -> None:
        self.inner, self.function = inner, function

    def sample(self, source: Source, size: int) -> JsonData:
        return self.inner.sample(source, size)

    def shrink(self, raw: JsonData) -> Iterator[JsonData]:
        return self.inner.shrink(raw)

    def accepts(self, raw: JsonData) -> bool:
        return self.inner.accepts(raw)

    def build(self, raw: JsonData) -> JsonData:
        return self.function(self.inner.build(raw))

    def __str__(self) -> str:
        return f"map({self.inner}, {_name(self.function)})"


class Bind(Generator):
    """Values of a generator that a function makes from those of another; the raw value is the pair."""

    plain = False

    def __init__(self, outer: Generator, function: Callable[[Any], Generator]) -> None:
        self.outer, self.function = outer, function

    def _inner(self, outer_raw: JsonData) -> Generator:
        return self.function(self.outer.build(outer_raw))

    def sample(self, source: Source, size: int) -> list[JsonData]:
        outer = self.outer.sample(source, size)
        return [outer, self._inner(outer).sample(source, size)]

    def shrink(self, raw: JsonData) -> Iterator[list[JsonData]]:
        if not self.accepts(raw):
            return
        outer, inner = raw
        for simpler in self.outer.shrink(outer):
            generator = self._inner(simpler)
            kept = inner if generator.accepts(inner) else generator.sample(Source(0), DEFAULT_SIZE)
            yield [simpler, kept]
        yield from ([outer, simpler] for simpler in self._inner(outer).shrink(inner))

    def accepts(self, raw: JsonData) -> bool:
        return (
            isinstance(raw, list)
            and len(raw) == 2  # noqa: PLR2004
            and self.outer.accepts(raw[0])
            and self._inner(raw[0]).accepts(raw[1])
        )

    def build(self, raw: JsonData) -> JsonData:
        return self._inner(raw[0]).build(raw[1])

    def __str__(self) -> str:
        return f"bind({self.outer}, {_name(self.function)})"


class Filter(Generator):
    """The values of another generator that a predicate holds for."""

    def __init__(self, inner: Generator, predicate: Callable[[Any], bool]) -> None:
        self.inner, self.predicate = inner, predicate
        self.plain = inner.plain  # type: ignore[misc]
        self.reusable = inner.reusable  # type: ignore[misc]

    def sample(self, source: Source, size: int) -> JsonData:
        for tries in range(FILTER_TRIES):
            drawn = self.inner.sample(source, size + tries // 10)
            if self.predicate(self.inner.build(drawn)):
                return drawn
        raise DefinitionError(
            f"{self} drew {FILTER_TRIES} values, and none passed.", "Draw values that pass, instead of filtering."
        )

    def shrink(self, raw: JsonData) -> Iterator[JsonData]:
        return (simpler for simpler in self.inner.shrink(raw) if self.predicate(self.inner.build(simpler)))

    def accepts(self, raw: JsonData) -> bool:
        return self.inner.accepts(raw) and bool(self.predicate(self.inner.build(raw)))

    def build(self, raw: JsonData) -> JsonData:
        return self.inner.build(raw)

    def __str__(self) -> str:
        return f"filter({self.inner}, {_name(self.predicate)})"


class Scale(Generator):
    """The values of another generator, drawn at another size."""

    def __init__(self, inner: Generator, function: Callable[[int], int], name: str) -> None:
        self.inner, self.function, self.name = inner, function, name
        self.plain = inner.plain  # type: ignore[misc]
        self.reusable = inner.reusable  # type: ignore[misc]

    def sample(self, source: Source, size: int) -> JsonData:
        return self.inner.sample(source, max(0, self.function(size)))

    def shrink(self, raw: JsonData) -> Iterator[JsonData]:
        return self.inner.shrink(raw)

    def accepts(self, raw: JsonData) -> bool:
        return self.inner.accepts(raw)

    def build(self, raw: JsonData) -> JsonData:
        return self.inner.build(raw)

    def __str__(self) -> str:
        return self.name


class NoShrink(Scale):
    """The values of another generator, never simplified."""

    def __init__(self, inner: Generator) -> None:
        super().__init__(inner, lambda size: size, f"no_shrink({inner})")

    def shrink(self, raw: JsonData) -> Iterator[JsonData]:
        del raw
        return iter(())


class Pool(Generator):
    """The values of another generator, at most `limit` of them in a run, so that they meet again."""

    reusable = False  # the pool is the reuse

    def __init__(self, inner: Generator, limit: int) -> None:
        if limit < 1:
            raise DefinitionError(f"gen.pool() has the size {limit}.", "A pool holds one value or more.")
        self.inner, self.limit = inner, limit
        self.plain = inner.plain  # type: ignore[misc]

    def sample(self, source: Source, size: int) -> JsonData:
        drawn = source.pools.setdefault(self.key, {})
        index = source.below(self.limit)
        if index not in drawn:
            drawn[index] = self.inner.sample(source, size)
        return drawn[index]

    def shrink(self, raw: JsonData) -> Iterator[JsonData]:
        return self.inner.shrink(raw)

    def accepts(self, raw: JsonData) -> bool:
        return self.inner.accepts(raw)

    def build(self, raw: JsonData) -> JsonData:
        return self.inner.build(raw)

    def __str__(self) -> str:
        return f"pool({self.inner}, {self.limit})"


class RefTo(Generator):
    """The label of something of one kind that the service has made in this run."""

    reusable = False

    def __init__(self, entity: str) -> None:
        self.entity = entity

    def sample(self, source: Source, size: int) -> str:  # noqa: ARG002
        labels = source.candidates(self.entity)
        if not labels:
            raise NothingToReferToError(self.entity)
        return str(source.pick(labels))

    def accepts(self, raw: JsonData) -> bool:
        return isinstance(raw, str) and raw.startswith(f"{self.entity}@")

    def __str__(self) -> str:
        return f"ref({self.entity})"


def draw(generator: Generator, source: Source, size: int) -> JsonData:
    """Draw a raw value; half of the time it is one that the same kind of generator drew before."""
    if not generator.reusable:
        return generator.sample(source, size)
    earlier = source.earlier.setdefault(generator.key, [])
    if earlier and source.chance(REUSE):
        return source.pick(earlier)
    drawn = generator.sample(source, size)
    earlier.append(drawn)
    return drawn


def functions_in(generator: Generator) -> Iterator[Callable[..., Any]]:
    """List the functions that a generator and those inside of it were made with."""
    for value in vars(generator).values():
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else (value,)
        for each in inner:
            if isinstance(each, Generator):
                yield from functions_in(each)
            elif callable(each):
                yield each


# --- what the classes above share ---------------------------------------------------------------


def _alike(one: JsonData, other: JsonData) -> bool:
    """Equality of JSON values, in which true is not 1."""
    return type(one) is type(other) and bool(one == other)


def _check_sizes(name: str, min_size: int, max_size: int | None) -> None:
    if min_size < 0 or (max_size is not None and max_size < min_size):
        raise DefinitionError(
            f"gen.{name}() has sizes from {min_size} to {max_size}.", "Sizes are 0 or more, the smaller first."
        )


def _fits(length: int, min_size: int, max_size: int | None) -> bool:
    return length >= min_size and (max_size is None or length <= max_size)


def _length(source: Source, min_size: int, max_size: int | None, size: int) -> int:
    largest = min_size + size if max_size is None else min(max_size, min_size + size)
    return min_size + source.below(largest - min_size + 1)


def _shorter(items: Sequence[Any], min_size: int) -> Iterator[Sequence[Any]]:
    """Give the items with a run of them left out: first all, then halves, quarters, at last single ones."""
    width = len(items) - min_size
    while width > 0:
        for start in range(0, len(items) - width + 1, max(1, width)):
            yield [*items[:start], *items[start + width :]]
        width //= 2


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__qualname__", repr(type(function).__qualname__)))


def first(generator: Generator, raw: JsonData, limit: int) -> list[JsonData]:
    """List the first simpler values, at most `limit` of them."""
    return list(islice(generator.shrink(raw), limit))
