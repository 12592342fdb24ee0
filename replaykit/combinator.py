"""Generators that are made from generators."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from replaykit.errors import DefinitionError
from replaykit.generator import Const, Generator, is_minted, is_plain
from replaykit.source import DEFAULT_SIZE, NothingToReferToError, Source
from replaykit.value import JsonData

FILTER_TRIES = 1000


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
            try:
                item = self.items.sample(source, size)
            except NothingToReferToError:
                if not self.min_size:
                    break
                raise
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
        weights = [*self.weights]
        while True:
            index = source.weighted(weights)
            try:
                drawn = self.branches[index].sample(source, size)
            except NothingToReferToError:
                weights[index] = 0.0
                if not any(weights):
                    raise
            else:
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
        before = self.inner.build(raw)
        after = self.function(before)
        if self.symbolic and is_minted(before) and not is_minted(after):
            raise DefinitionError(
                f"{self} makes {after!r} of {before!r}: what is minted is lost.",
                "The function gets a placeholder, which it may write into a longer text, and not cut or change.",
            )
        return after

    def __str__(self) -> str:
        return f"map({self.inner}, {_name(self.function)})"


class Bind(Generator):
    """Values of a generator that a function makes from those of another; the raw value is the pair."""

    plain = False
    symbolic = True  # what the function makes may hold a name, which is not known before

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
            if generator.accepts(inner):
                yield [simpler, inner]
                continue
            with contextlib.suppress(NothingToReferToError):
                drawn = generator.sample(Source(0), DEFAULT_SIZE)
                if not is_minted(drawn):  # another call may have the same
                    yield [simpler, drawn]
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


class Around(Generator):
    """The values of another generator; what subclasses change is how they are drawn."""

    def __init__(self, inner: Generator) -> None:
        self.inner = inner
        self.plain = inner.plain  # type: ignore[misc]
        self.reusable = inner.reusable  # type: ignore[misc]

    def sample(self, source: Source, size: int) -> JsonData:
        return self.inner.sample(source, size)

    def shrink(self, raw: JsonData) -> Iterator[JsonData]:
        return self.inner.shrink(raw)

    def accepts(self, raw: JsonData) -> bool:
        return self.inner.accepts(raw)

    def build(self, raw: JsonData) -> JsonData:
        return self.inner.build(raw)


class Filter(Around):
    """The values of another generator that a predicate holds for."""

    def __init__(self, inner: Generator, predicate: Callable[[Any], bool]) -> None:
        super().__init__(inner)
        self.predicate = predicate

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

    def __str__(self) -> str:
        return f"filter({self.inner}, {_name(self.predicate)})"


class Scale(Around):
    """The values of another generator, drawn at another size."""

    def __init__(self, inner: Generator, function: Callable[[int], int], name: str) -> None:
        super().__init__(inner)
        self.function, self.name = function, name

    def sample(self, source: Source, size: int) -> JsonData:
        return self.inner.sample(source, max(0, self.function(size)))

    def __str__(self) -> str:
        return self.name


class NoShrink(Around):
    """The values of another generator, never simplified."""

    def shrink(self, raw: JsonData) -> Iterator[JsonData]:
        del raw
        return iter(())

    def __str__(self) -> str:
        return f"no_shrink({self.inner})"


class Pool(Around):
    """The values of another generator, at most `limit` of them in a run, so that they meet again."""

    def __init__(self, inner: Generator, limit: int) -> None:
        if limit < 1:
            raise DefinitionError(f"gen.pool() has the size {limit}.", "A pool holds one value or more.")
        super().__init__(inner)
        self.limit = limit
        self.reusable = False  # type: ignore[misc]  # the pool is the reuse

    def sample(self, source: Source, size: int) -> JsonData:
        drawn = source.pools.setdefault(self.key, {})
        index = source.below(self.limit)
        if index not in drawn:
            drawn[index] = self.inner.sample(source, size)
        return drawn[index]

    def __str__(self) -> str:
        return f"pool({self.inner}, {self.limit})"


# --- what the classes above share ---------------------------------------------------------------


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
