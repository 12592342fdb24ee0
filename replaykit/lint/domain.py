"""What lies outside of the domain: values that a type refuses, that their generator does not know, that are no JSON."""

import enum
import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin

from replaykit.combinator import Choice
from replaykit.command import Command, Ref, Refs, generators_of
from replaykit.dispatch import members_of
from replaykit.generator import Const, Generator, OneOf, alike, first, spelled_out
from replaykit.lint import passage
from replaykit.lint.rehearsal import NONCE, Rehearsals
from replaykit.lint.remark import Remark, remark
from replaykit.source import Source
from replaykit.value import InvalidValueError, JsonData, jsonable, parse, value_of

DRAWS = 300  # values of one generator
SIMPLER = 25  # that are tried instead of one value
SHRUNK = 25  # values that are simplified


@dataclass
class Drawn:
    """What a generator gave."""

    raw: list[JsonData] = field(default_factory=list)
    built: list[JsonData] = field(default_factory=list)
    is_meant: bool = False  # is one value all that it was asked for?


def remarks(rehearsals: Rehearsals) -> Iterator[Remark]:
    """Say which values of commands lie outside of their domain."""
    for command in rehearsals.stand_in.commands:
        drawn: dict[str, Drawn] = {}
        for name, generator in generators_of(command).items():
            found = drawn_from(generator)
            if isinstance(found, Exception):
                yield remark(
                    "RK104",
                    passage.of_field(command, name),
                    f"{command.__name__}.{name} can't be drawn: {_said(found)}",
                    "Mend the generator: draw values that pass, instead of filtering.",
                )
                continue
            drawn[name] = found
            yield from _told_once(_known_to_itself(command, name, generator, found))
        if len(drawn) == len(generators_of(command)):
            yield from _told_once(_refused(command, drawn))
        yield from _written_down(command)


@functools.lru_cache(maxsize=512)
def drawn_from(generator: Generator) -> Drawn | Exception:
    """Draw many values of all sizes, or return why that can't be."""
    drawn = Drawn(is_meant=_is_one_value(generator))
    source = Source(0, lambda entity: [f"{entity}@0", f"{entity}@1"])
    for number in range(DRAWS):
        if number % 10 == 0:
            source.pools.clear()  # as in another run
        try:
            raw = generator.sample(source, number % 41)
            built = generator.build(raw)
        except Exception as error:  # noqa: BLE001  the user's functions
            return error
        drawn.raw.append(raw)
        drawn.built.append(built)
    return drawn


def _is_one_value(generator: Generator) -> bool:
    if isinstance(generator, Const):
        return True
    if isinstance(generator, OneOf):
        return len(generator.values) == 1
    if isinstance(generator, Choice):
        return all(map(_is_one_value, generator.branches))
    return False


class AnyRefs(Refs):
    """Refs in which each name is bound to something."""

    def named(self, label: str) -> Ref[Any]:
        return Ref(label, 0)


def members_in(annotation: Any) -> list[Any]:
    """List the members of a Literal or an Enum, also where it stands in a union, as they are in JSON."""
    found: list[Any] = []
    for each in members_of(annotation):
        if get_origin(each) is Literal:
            found += get_args(each)
        elif isinstance(each, type) and issubclass(each, enum.Enum):
            found += [jsonable(member) for member in each]
    return found


def _told_once(remarks: Iterator[Remark]) -> Iterator[Remark]:
    """Make each kind of remark once for a place."""
    told = set()
    for each in remarks:
        if (each.code, each.name) not in told:
            told.add((each.code, each.name))
            yield each


def _known_to_itself(command: type[Command], name: str, generator: Generator, drawn: Drawn) -> Iterator[Remark]:
    place, what = passage.of_field(command, name), f"{command.__name__}.{name}"
    for raw in drawn.raw:
        if not _accepts(generator, raw):
            yield remark(
                "RK402",
                place,
                f"{generator} gave {raw!r:.80} for {what}, and says itself that it never would.",
                "Let `accepts` of the generator, or the function of gen.bind and gen.filter, say the same each time.",
            )
    for raw, built in zip(drawn.raw, drawn.built, strict=True):
        if not _survives(raw) or not _survives(built):
            yield remark(
                "RK404",
                place,
                f"{what} got {built!r:.80}, which does not come back from JSON as it went.",
                "Let the function of gen.map return plain JSON: text, numbers, lists, dicts with text keys.",
            )
    for raw in drawn.raw[:SHRUNK]:
        for simpler in _simpler(generator, raw):
            if not _accepts(generator, simpler):
                yield remark(
                    "RK403",
                    place,
                    f"{what}: {raw!r:.60} is simplified to {simpler!r:.60}, which {generator} does not give.",
                    "Let `shrink` of the generator stay inside its own domain.",
                )


def _accepts(generator: Generator, raw: JsonData) -> bool:
    try:
        return bool(generator.accepts(raw))
    except Exception:  # noqa: BLE001  the user's functions
        return False


def _simpler(generator: Generator, raw: JsonData) -> list[JsonData]:
    try:
        return first(generator, raw, SIMPLER)
    except Exception:  # noqa: BLE001  the user's functions
        return []


def _survives(value: JsonData) -> bool:
    try:
        return _alike(json.loads(json.dumps(value, allow_nan=False)), value)
    except (TypeError, ValueError, RecursionError):
        return False


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    return alike(one, other)


def _refused(command: type[Command], drawn: dict[str, Drawn]) -> Iterator[Remark]:
    """Say which values, drawn or simplified, the type of the command refuses."""
    refs = AnyRefs()
    for number in range(DRAWS):
        args = {name: each.built[number] for name, each in drawn.items()}
        yield from _refusal(command, args, refs, "RK401", "drawn")
        if not drawn:
            return
    base = {name: each.built[0] for name, each in drawn.items()}
    for name, generator in generators_of(command).items():
        for raw, built in list(zip(drawn[name].raw, drawn[name].built, strict=True))[:SHRUNK]:
            for simpler in _simpler(generator, raw):
                try:
                    args = {**base, name: generator.build(simpler)}
                except Exception:  # noqa: BLE001, S112  the user's functions
                    continue
                yield from _refusal(command, args, refs, "RK403", f"simplified from {built!r:.40}")


def _refusal(command: type[Command], args: dict[str, JsonData], refs: Refs, code: str, how: str) -> Iterator[Remark]:
    try:
        parse(command, spelled_out(args, NONCE), {"refs": refs})
    except InvalidValueError as error:
        name = str(error).partition(":")[0].partition(".")[0]
        place = passage.of_field(command, name) if name in args else passage.of_class(command)
        yield remark(
            code,
            place,
            f"{command.__name__} refuses what is {how} for it: {error}.",
            "Make the generator and the type agree.",
        )
    except Exception as error:  # noqa: BLE001  a validator of the user's
        yield remark(
            code,
            passage.of_class(command),
            f"{command.__name__} raises for what is {how}: {_said(error)}",
            "Mend its validator.",
        )


def _written_down(command: type[Command]) -> Iterator[Remark]:
    """Say which defaults and examples the generator would never give, or the type refuses."""
    for name, generator in generators_of(command).items():
        info = command.model_fields[name]
        written = [("default", info.default)] if not info.is_required() and info.default_factory is None else []
        written += [("example", each) for each in info.examples or ()]
        for word, value in written:
            data = jsonable(value)
            if generator.plain and not generator.symbolic and _accepts(generator, data):
                continue
            if not generator.plain and not generator.symbolic and _is_of_type(command, name, data):
                continue
            if generator.symbolic and value is None:
                continue
            yield remark(
                "RK405",
                passage.of_field(command, name),
                f"The {word} {value!r:.60} of {command.__name__}.{name} lies outside of {generator}.",
                f"Fields of commands are always drawn: let the generator give the {word}, or take it out.",
            )


def _is_of_type(command: type[Command], name: str, data: JsonData) -> bool:
    try:
        value_of(command.model_fields[name].annotation, data)
    except Exception:  # noqa: BLE001  a type of the user's
        return False
    return True


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
