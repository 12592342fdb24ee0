"""Values: generators of what schemas ask for and module `gen` has no word for; written models are made of them."""

import base64
import uuid as _uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from replaykit import gen
from replaykit.errors import DefinitionError
from replaykit.generator import DIGITS, LETTERS, Generator
from replaykit.openapi import pattern
from replaykit.value import JsonData

MOST_MORE = 3  # entries of a map that nobody asked for

ANY = gen.choice(gen.const(None), gen.boolean(), gen.integers(), gen.text(max_size=8))

_LOWER = "abcdefghijklmnopqrstuvwxyz"
_word = gen.text(_LOWER + DIGITS, min_size=1, max_size=8)


def uuid() -> Generator:
    """Give UUIDs of version 4 (RFC 9562), in the usual writing."""
    return gen.map(gen.integers(0, (1 << 128) - 1), _as_uuid)


def email() -> Generator:
    """Give mail addresses of a host that is kept for examples (RFC 2606)."""
    return gen.map(gen.text(_LOWER + DIGITS, min_size=1, max_size=12), "{}@example.com".format)


def hostname() -> Generator:
    """Give names of hosts that are kept for examples (RFC 2606)."""
    return gen.map(_word, "{}.example.com".format)


def uri() -> Generator:
    """Give addresses of pages on a host that is kept for examples (RFC 2606)."""
    return gen.map(gen.text(_LOWER + DIGITS, max_size=8), "https://example.com/{}".format)


def ipv4() -> Generator:
    """Give addresses of the network 192.0.2.0/24, which is kept for examples (RFC 5737)."""
    return gen.map(gen.integers(0, 255), "192.0.2.{}".format)


def ipv6() -> Generator:
    """Give addresses of the network 2001:db8::/32, which is kept for examples (RFC 3849)."""
    return gen.map(gen.integers(1, 0xFFFF), "2001:db8::{:x}".format)


def day() -> Generator:
    """Give dates from 1970 to 2099, as in 2026-01-31."""
    return gen.map(gen.integers(0, 47_481), _as_day)


def moment() -> Generator:
    """Give moments from 1970 to 2099 in UTC, as in 2026-01-31T08:30:00Z (RFC 3339)."""
    return gen.map(gen.integers(0, 4_102_444_799), _as_moment)


def clock() -> Generator:
    """Give times of a day in UTC, as in 08:30:00Z (RFC 3339)."""
    return gen.map(gen.integers(0, 86_399), _as_clock)


def duration() -> Generator:
    """Give whole seconds as in PT90S (ISO 8601)."""
    return gen.map(gen.naturals(100_000), "PT{}S".format)


def base64_text() -> Generator:
    """Give bytes in base64 (RFC 4648)."""
    return gen.map(gen.text(LETTERS, max_size=12), _as_base64)


def matching(expression: str, *, min_size: int = 0, max_size: int | None = None) -> Generator:
    """Give texts that match a regular expression. Raises DefinitionError where it is of an unknown kind."""
    found = pattern.matching(expression, min_size, max_size)
    if found is None:
        raise DefinitionError(f"No texts are known that match {expression!r}.", "Use gen.one_of([...]) instead.")
    return found


def multiples(step: float, low: float, high: float) -> Generator:
    """Give the multiples of a number from low to high, in its own decimals."""
    unit = Decimal(str(step))
    least, most = -(-Decimal(str(low)) // unit), Decimal(str(high)) // unit

    def times(count: int) -> float:
        return float(unit * count)

    return gen.map(gen.integers(int(least), int(most)), times)


def record(required: Mapping[str, Generator], optional: Mapping[str, Generator] | None = None) -> Generator:
    """Give objects that have all required members, and each of the optional ones half of the time."""
    names = [*required, *(optional or {})]
    parts = [
        *required.values(),
        *(gen.choice(gen.const([]), gen.tuple(each)) for each in (optional or {}).values()),
    ]
    least = len(required)

    def named(values: list[Any]) -> JsonData:
        made = dict(zip(names[:least], values[:least], strict=True))
        return made | {name: each[0] for name, each in zip(names[least:], values[least:], strict=True) if each}

    return gen.map(gen.tuple(*parts), named)


def mapping(values: Generator, *, min_size: int = 0, max_size: int | None = None) -> Generator:
    """Give objects with names of any kind, and values from one generator."""
    most = min_size + MOST_MORE if max_size is None else max_size
    names = gen.list(_word, min_size=min_size, max_size=most, unique=True)
    return gen.bind(names, lambda drawn: gen.record(**dict.fromkeys(drawn, values)))


def now_and_then(values: list[JsonData], generator: Generator) -> Generator:
    """Give one of some values in a quarter of the draws, such as the examples of a description."""
    return gen.frequency((1, gen.one_of(values)), (3, generator))


def _as_uuid(number: int) -> str:
    return str(_uuid.UUID(int=number & ~(0xF << 76) & ~(0x3 << 62) | 0x4 << 76 | 0x2 << 62))


def _as_day(number: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=number)).isoformat()


def _as_moment(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _as_clock(second: int) -> str:
    return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z"


def _as_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
