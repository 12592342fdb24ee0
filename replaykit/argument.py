"""Arguments: the values of calls, raw or as they are sent, and what can be done to them."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, TypeGuard

from replaykit.command import REF
from replaykit.generator import Generator
from replaykit.sequence import Call, Sequence, call_at
from replaykit.value import JsonData

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def raw_of(call: Call, name: str) -> JsonData:
    """Return the raw value of an argument: what was drawn."""
    return call.raw[name] if name in call.raw else call.args.get(name)


def with_raw(call: Call, name: str, raw: JsonData, generator: Generator) -> Call:
    """Change one argument, by its raw value."""
    changed: dict[str, Any] = {"args": {**call.args, name: generator.build(raw)}}
    if name in call.raw:
        changed["raw"] = {**call.raw, name: raw}
    return call.replace(**changed)


def texts_in(data: JsonData) -> set[str]:
    """List the texts in some arguments; numbers are too common to relate two calls."""
    if isinstance(data, str):
        return {data}
    if isinstance(data, dict):
        return set().union(*map(texts_in, data.values())) if data else set()
    if isinstance(data, list):
        return set().union(*map(texts_in, data)) if data else set()
    return set()


def simple_texts(generator: Generator, count: int) -> list[str]:
    """List the simplest texts of a domain that are not blank: a, b, c, ... as far as it takes them."""
    words = (one + two for one in ["", *LETTERS] for two in LETTERS)
    return list(islice((word for word in words if generator.accepts(word)), count))


def is_simple_text(generator: Generator, value: JsonData) -> bool:
    """Say whether a text is one of the simplest: of one letter."""
    return isinstance(value, str) and len(value) == 1 and value in simple_texts(generator, len(LETTERS))


def gifts(given: JsonData, taken: JsonData) -> Iterator[JsonData]:
    """Give what an argument may be when it takes over the value of another one: the sum, or that value."""
    if _is_number(given) and _is_number(taken):
        yield given + taken
    if given != taken:
        yield given


def distance(generator: Generator, value: JsonData) -> int:
    """Say how far a whole number is from its simplest; 0 for all that is none, or is as simple as can be."""
    simplest = next(iter(generator.shrink(value)), None)
    return simplest - value if is_whole(value) and is_whole(simplest) else 0


def is_whole(value: JsonData) -> TypeGuard[int]:
    """Say whether a value is a whole number, which true is not."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: JsonData) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def named_otherwise(call: Call, ref: str, other: str) -> Call:
    """Name something else wherever a call names one thing."""
    raw = {name: _exchanged(value, ref, other) for name, value in call.raw.items()}
    return call.replace(args=_exchanged(call.args, ref, other), raw=raw)


def _exchanged(data: Any, ref: str, other: str) -> Any:
    if isinstance(data, dict):
        return {name: _exchanged(value, ref, other) for name, value in data.items()}
    if isinstance(data, list):
        return [_exchanged(value, ref, other) for value in data]
    return other if data == ref else data


def entity_of(ref: str) -> str:
    """Return the kind of thing that a ref names: account of account@3."""
    return ref.partition("@")[0]


def _order(ref: str) -> tuple[int, str]:
    return int(ref.partition("@")[2].partition(".")[0]), ref


def refs_in(call: Call) -> list[str]:
    """List the refs in the arguments of a call, what was made first before what was made later."""
    return sorted(filter(REF.match, texts_in(call.args)), key=_order)


def maker_of(sequence: Sequence, ref: str) -> Call | None:
    """Find the call that made what a ref names."""
    return call_at(sequence, _order(ref)[0])
