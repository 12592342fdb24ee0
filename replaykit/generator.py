"""Generators: what draws, simplifies and recognises the values of commands.

A generator works on *raw* values, plain JSON data that can be written down and read back. `build` turns a
raw value into the one that is used; for most generators the two are the same (`plain`). `map` and `bind`
keep the raw value, so that a saved sequence can be simplified years later from the file alone, where a
tree of shrinks would have died with the process (integrated shrinking, as in Hedgehog and rackcheck).

`shrink` gives simpler raw values, the simplest first, and never leaves the generator's own domain.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, ClassVar

from replaykit.errors import DefinitionError
from replaykit.source import Key, NothingToReferToError, Source
from replaykit.value import JsonData

REUSE = 0.5  # how often an argument repeats an earlier value of its kind

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS = "0123456789"
ASCII = LETTERS + DIGITS + " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
BEYOND = "éßñøžабвгΩλ中文字日本\u00a0\u200b\u202e\u0301\u0130\u0131😀🎉"


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
    def symbolic(self) -> bool:
        """Whether its values hold a name of something that is bound anew in each run."""
        return any(isinstance(each, Generator) and each.symbolic for each in _members_of(self))

    @cached_property
    def kind(self) -> str:
        """The description, made once."""
        return str(self)

    @cached_property
    def key(self) -> Key:
        """What tells domains apart: the description, and the functions in it, which it only names."""
        return self.kind, tuple(functions_in(self))

    def __str__(self) -> str:
        """Describe the generator; two with the same description draw from the same domain."""
        raise NotImplementedError


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
        return alike(raw, self.value)

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
            if alike(value, raw):
                return
            yield value

    def accepts(self, raw: JsonData) -> bool:
        return any(alike(value, raw) for value in self.values)

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


class RefTo(Generator):
    """The label of something of one kind that the service has made in this run."""

    reusable = False
    symbolic = True

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


class Mint(Generator):
    """A text that no other run and no other call has: `{owner~3}`, which is spelled out when it is sent."""

    reusable = False
    symbolic = True

    def __init__(self, prefix: str) -> None:
        if not isinstance(prefix, str) or not MINTED.fullmatch(_minted(prefix, 1)):
            raise DefinitionError(
                f"gen.mint() has the prefix {prefix!r}.", "A prefix is made of ASCII letters, and digits behind them."
            )
        self.prefix = prefix

    def sample(self, source: Source, size: int) -> str:  # noqa: ARG002
        source.minted += 1
        return _minted(self.prefix, source.minted)

    def accepts(self, raw: JsonData) -> bool:
        found = MINTED.fullmatch(raw) if isinstance(raw, str) else None
        return found is not None and found[1] == self.prefix

    def __str__(self) -> str:
        return f"mint({self.prefix})"


MINTED = re.compile(r"\{([A-Za-z][A-Za-z0-9]*)~([0-9]+)\}")


def _minted(prefix: str, number: int) -> str:
    return f"{{{prefix}~{number}}}"


def spelled_out(data: JsonData, nonce: str) -> JsonData:
    """Return arguments with what was minted as it is said in one run: `{owner~3}` becomes owner-NONCE-3."""
    if isinstance(data, str):
        return MINTED.sub(lambda found: f"{found[1]}-{nonce}-{found[2]}", data) if "~" in data else data
    if isinstance(data, dict):
        return {str(spelled_out(name, nonce)): spelled_out(each, nonce) for name, each in data.items()}
    if isinstance(data, list):
        return [spelled_out(each, nonce) for each in data]
    return data


def is_minted(data: JsonData) -> bool:
    """Say whether anything in some arguments is minted."""
    if isinstance(data, str):
        return "~" in data and MINTED.search(data) is not None
    if isinstance(data, dict):
        return any(is_minted(name) or is_minted(each) for name, each in data.items())
    return isinstance(data, list) and any(map(is_minted, data))


def draw(generator: Generator, source: Source, size: int) -> JsonData:
    """Draw a raw value; half of the time it is one that the same kind of generator drew before."""
    if not generator.reusable or generator.symbolic:
        return generator.sample(source, size)
    earlier = source.earlier.setdefault(generator.key, [])
    if earlier and source.chance(REUSE):
        return source.pick(earlier)
    drawn = generator.sample(source, size)
    earlier.append(drawn)
    return drawn


def functions_in(generator: Generator) -> Iterator[Callable[..., Any]]:
    """List the functions that a generator and those inside of it were made with."""
    for each in _members_of(generator):
        if isinstance(each, Generator):
            yield from functions_in(each)
        elif callable(each):
            yield each


def _members_of(generator: Generator) -> Iterator[Any]:
    """List what a generator was made with."""
    for value in list(vars(generator).values()):
        yield from value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else (value,)


def alike(one: JsonData, other: JsonData) -> bool:
    """Equality of JSON values, in which true is not 1."""
    return type(one) is type(other) and bool(one == other)


def first(generator: Generator, raw: JsonData, limit: int) -> list[JsonData]:
    """List the first simpler values, at most `limit` of them."""
    return list(islice(generator.shrink(raw), limit))
