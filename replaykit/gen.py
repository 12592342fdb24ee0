"""The words in which generators are written: `gen.integers(1, 500)`, `gen.list(gen.text())`.

They stand in annotations, `amount: Annotated[int, gen.integers(1, 500)]`, or are found from the type
itself (`of`). `gen.sample` and `gen.shrinks` show what they do. Names are rackcheck's, where it has them.
"""

import builtins
import enum
import math
import types
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin
from uuid import UUID

from replaykit import combinator as _c
from replaykit import generator as _g
from replaykit.errors import DefinitionError
from replaykit.generator import Generator
from replaykit.source import DEFAULT_SIZE, Source
from replaykit.value import JsonData, fields_of, is_record_type, jsonable

_List = builtins.list
_LIMITS = ("ge", "gt", "le", "lt", "multiple_of", "min_length", "max_length", "pattern", "strip_whitespace")
_Weighted: TypeAlias = "builtins.tuple[float, Generator]"

# --- values -------------------------------------------------------------------------------------


def const(value: JsonData) -> Generator:
    """Give always the same value."""
    return _g.Const(value)


def integers(low: int | None = None, high: int | None = None, *, step: int = 1) -> Generator:
    """Give whole numbers from low to high, both included; without bounds they grow with the size."""
    return _g.Integers(low, high, step)


def naturals(high: int | None = None) -> Generator:
    """Give whole numbers from 0."""
    return _g.Integers(0, high)


def real(low: float = 0.0, high: float = 1.0) -> Generator:
    """Give finite numbers from low to high."""
    return _g.Real(low, high)


def boolean() -> Generator:
    """Give false or true."""
    return _g.OneOf((False, True))


def char(alphabet: str = _g.ASCII) -> Generator:
    """Give one character of an alphabet, the earlier ones the simpler."""
    return _g.Char(alphabet)


def letters(more: str = "") -> Generator:
    """Give one ASCII letter, or one of some more characters."""
    return _g.Char(_g.LETTERS + more)


def digits() -> Generator:
    """Give one decimal digit."""
    return _g.Char(_g.DIGITS)


def unicode() -> Generator:
    """Give one character from beyond ASCII as often as from ASCII: accents, scripts, emoji, invisible ones."""
    return _c.Choice(((1, _g.Char(_g.ASCII)), (1, _g.Char(_g.BEYOND))))


def text(characters: Generator | str | None = None, *, min_size: int = 0, max_size: int | None = None) -> Generator:
    """Give text of characters from a generator or an alphabet; by default, of printable ASCII."""
    if characters is None or isinstance(characters, str):
        characters = char(_g.ASCII if characters is None else characters)
    return _c.Text(_made("text", characters), min_size, max_size)


def mint(prefix: str = "minted") -> Generator:
    """Give a text that no other run and no other call has, for names and keys that the client must make unique.

    In the sequence it stands as `{prefix~3}`; in each run it is sent as prefix-NONCE-3, where the nonce is that
    run's own, and is recorded. So a service that can't be reset can be tested, and a saved bug replayed on it.
    `gen.map(gen.mint("user"), function)` may write it into a longer text; `gen.pool(gen.mint("user"), size=5)`
    lets them meet again within a run.
    """
    return _g.Mint(prefix)


# --- values made of values ----------------------------------------------------------------------


def list(items: Generator, *, min_size: int = 0, max_size: int | None = None, unique: bool = False) -> Generator:  # noqa: A001
    """Give lists of one kind of item."""
    return _c.List(_made("list", items), min_size, max_size, unique=unique)


def tuple(*places: Generator) -> Generator:  # noqa: A001
    """Give lists of a fixed length, each place drawn from a generator of its own."""
    return _c.Tuple([_made("tuple", each) for each in places])


def record(**fields: Generator) -> Generator:
    """Give JSON objects with named fields."""
    return _c.RecordOf({name: _made("record", each) for name, each in fields.items()})


def one_of(values: Iterable[JsonData]) -> Generator:
    """Give one of some values, the earlier ones the simpler."""
    return _g.OneOf([*values])


def choice(*generators: Generator) -> Generator:
    """Give values of one of several generators, each as often as the others."""
    return _c.Choice([(1, _made("choice", each)) for each in generators])


def frequency(*weighted: _Weighted) -> Generator:
    """Give values of one of several generators, each as often as its weight says."""
    return _c.Choice([(weight, _made("frequency", each)) for weight, each in weighted])


# --- generators made from generators ------------------------------------------------------------


def map(generator: Generator, function: Callable[[Any], JsonData]) -> Generator:  # noqa: A001
    """Give what a function makes of a generator's values; they are simplified before the function."""
    return _c.Map(_made("map", generator), function)


def bind(generator: Generator, function: Callable[[Any], Generator]) -> Generator:
    """Give values of the generator that a function makes of another generator's value."""
    return _c.Bind(_made("bind", generator), function)


def filter(generator: Generator, predicate: Callable[[Any], bool]) -> Generator:  # noqa: A001
    """Give the values that a predicate holds for; raises DefinitionError when 1,000 draws had none."""
    return _c.Filter(_made("filter", generator), predicate)


def resize(generator: Generator, size: int) -> Generator:
    """Draw at this size, whatever the size around it."""
    return _c.Scale(_made("resize", generator), lambda _: size, f"resize({generator}, {size})")


def scale(generator: Generator, function: Callable[[int], int]) -> Generator:
    """Draw at the size that a function makes of the size around it."""
    return _c.Scale(
        _made("scale", generator), function, f"scale({generator}, {getattr(function, '__qualname__', 'function')})"
    )


def no_shrink(generator: Generator) -> Generator:
    """Draw as the generator does, and never simplify."""
    return _c.NoShrink(_made("no_shrink", generator))


def pool(generator: Generator, *, size: int = 10) -> Generator:
    """Give at most `size` different values in one run, so that they meet again."""
    return _c.Pool(_made("pool", generator), size)


def _made(name: str, generator: Generator) -> Generator:
    """Return a generator; raise DefinitionError for what is none, such as one that was not called."""
    if isinstance(generator, Generator):
        return generator
    raise DefinitionError(
        f"gen.{name}() takes generators, and {generator!r} is none.", "Write them with parentheses: gen.boolean()."
    )


# --- to look at them ----------------------------------------------------------------------------


def sample(generator: Generator, n: int = 10, seed: int = 0) -> _List[JsonData]:
    """Draw `n` values, the sizes growing from 0: 0, 3, 6, and so on up to 30."""
    source = Source(seed)
    sizes = (min(DEFAULT_SIZE, 3 * index) for index in range(n))
    return [generator.build(generator.sample(source, size)) for size in sizes]


def shrinks(value: JsonData, generator: Generator | None = None, *, limit: int = 100) -> _List[JsonData]:
    """List the values that would be tried instead of this one, the simplest first, at most `limit`.

    They lie in the domain of the generator; without one, in that of any JSON value of the same kind.
    For a generator with `map` or `bind` in it, the value is the raw one, before the function.
    """
    chosen = generator or like(value)
    return [chosen.build(raw) for raw in _g.first(chosen, value, limit)]


def like(value: JsonData) -> Generator:
    """Give the generator of any JSON value of the same kind as this one."""
    if isinstance(value, bool):
        return boolean()
    if isinstance(value, int):
        return integers()
    if isinstance(value, float):
        return real(-abs(value), abs(value))
    if isinstance(value, str):
        return text(_g.ASCII + "".join(character for character in value if character not in _g.ASCII))
    if isinstance(value, dict):
        return record(**{str(key): like(each) for key, each in value.items()})
    if isinstance(value, builtins.list):
        kinds = [like(each) for each in value] or [const(None)]
        return _c.List(_c.Choice([(1, kind) for kind in kinds]), 0, None)
    return const(value)


# --- generators from types ----------------------------------------------------------------------


def of(annotation: Any, metadata: Sequence[Any] = (), place: str = "value") -> Generator:
    """Find the generator of a type: the one in its `Annotated`, else one that follows from the type.

    Raises DefinitionError, with the place that asked for it, where none follows.
    """
    for each in metadata:
        if isinstance(each, Generator):
            return each
        if getattr(each, "__module__", None) == __name__:  # gen.mint instead of gen.mint()
            return _made(f"of({place})", each)
    limits = _limits(metadata)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return of(arguments[0], (*arguments[1:], *metadata), place)
    if origin is Literal:
        return one_of(jsonable(each) for each in arguments)
    if origin in (Union, types.UnionType):
        return choice(
            *(of(each, metadata, place) for each in sorted(arguments, key=lambda kind: kind is not type(None)))
        )
    if hasattr(origin, "ref_to"):
        return _g.RefTo(origin.ref_to(arguments, place))
    if origin in (builtins.list, builtins.set, builtins.frozenset, Sequence):
        items = of(arguments[0], (), f"{place}[]")
        unique = origin in (builtins.set, builtins.frozenset)
        return list(items, min_size=limits.get("min_length", 0), max_size=limits.get("max_length"), unique=unique)
    if origin is builtins.tuple:
        return _tuple_of(arguments, limits, place)
    if origin is dict and arguments[0] is str:
        pairs = tuple(text(letters(), min_size=1, max_size=8), of(arguments[1], (), f"{place}{{}}"))
        least = limits.get("min_length", 0)
        items = list(pairs, min_size=least, max_size=limits.get("max_length", least + 5))
        return map(filter(items, _keys_differ), dict)
    if isinstance(annotation, type):
        found = _of_class(annotation, limits, place)
        if found is not None:
            return found
    raise DefinitionError(
        f"{place} has the type {annotation!r}, which nothing is known to generate.",
        "Annotate it: Annotated[TYPE, gen.one_of([...])], or another generator of module gen.",
    )


def _of_class(kind: type, limits: dict[str, Any], place: str) -> Generator | None:
    if kind is type(None):
        return const(None)
    if kind is bool:
        return boolean()
    if issubclass(kind, enum.Enum):
        return one_of(jsonable(member) for member in kind)
    if kind is int:
        return _integers_of(limits)
    if kind is float and "multiple_of" not in limits:
        return _real_of(limits)
    if kind is str:
        if limits.get("pattern") or limits.get("strip_whitespace"):
            raise DefinitionError(
                f"{place} has a pattern, or is stripped, which nothing is known to generate.",
                "Annotate it with a generator of texts that match: Annotated[str, gen.map(...)].",
            )
        return text(min_size=limits.get("min_length", 0), max_size=limits.get("max_length"))
    if kind is datetime:
        return map(integers(0, 4_102_444_800), _moment)
    if kind is date:
        return map(integers(0, 47_481), _day)
    if kind is UUID:
        return map(integers(0, (1 << 128) - 1), _uuid)
    if is_record_type(kind):
        fields = {name: of(each, data, f"{place}.{name}") for name, each, data, _ in fields_of(kind)}
        return record(**fields)
    return None


def _tuple_of(arguments: Sequence[Any], limits: dict[str, Any], place: str) -> Generator:
    if len(arguments) == 2 and arguments[1] is Ellipsis:  # noqa: PLR2004
        items = of(arguments[0], (), f"{place}[]")
        return list(items, min_size=limits.get("min_length", 0), max_size=limits.get("max_length"))
    return tuple(*(of(each, (), f"{place}[{index}]") for index, each in enumerate(arguments)))


def _integers_of(limits: dict[str, Any]) -> Generator:
    low = limits.get("ge", limits["gt"] + 1 if "gt" in limits else None)
    high = limits.get("le", limits["lt"] - 1 if "lt" in limits else None)
    return integers(low, high, step=limits.get("multiple_of", 1))


def _real_of(limits: dict[str, Any]) -> Generator:
    low = limits.get("ge", math.nextafter(limits["gt"], math.inf) if "gt" in limits else None)
    high = limits.get("le", math.nextafter(limits["lt"], -math.inf) if "lt" in limits else None)
    if low is None:
        low = -1000.0 if high is None else min(-1000.0, high - 1000.0)
    return real(low, max(1000.0, low + 1000.0) if high is None else high)


def _keys_differ(pairs: _List[_List[JsonData]]) -> bool:
    return len({pair[0] for pair in pairs}) == len(pairs)


def _limits(metadata: Sequence[Any]) -> dict[str, Any]:
    """Read the constraints of pydantic's Field and of annotated_types, by their attributes."""
    found: dict[str, Any] = {}
    for each in metadata:
        if isinstance(inside := getattr(each, "metadata", None), builtins.list):  # Field(...) as it was written
            found |= _limits(inside)
        for name in _LIMITS:
            value = getattr(each, name, None)
            if value is not None:
                found[name] = value
    return found


def _moment(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()


def _day(number: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=number)).isoformat()


def _uuid(number: int) -> str:
    return str(UUID(int=number))
