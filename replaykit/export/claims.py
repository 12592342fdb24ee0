"""Claims: what holds of an answer that is as recorded.

Of an answer, the length of each list counts, and each value that the adapter made an event or an observation of;
of the others, those that are neither numbers nor look made by a machine (ids, times, tokens). What an object has
more than it had does not count.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from replaykit.command import REF
from replaykit.export import judge
from replaykit.export.leaves import Leaf, Path, in_json
from replaykit.export.template import ID, Template, is_strong
from replaykit.interaction import Response
from replaykit.placeholder import PLACEHOLDER
from replaykit.value import JsonData


class Claim(NamedTuple):
    """What holds of an answer that is as recorded; a template stands for a value that was made or minted."""

    kind: str  # is, length, contains or text
    path: Path
    value: JsonData | Template


def claims_of(response: Response, said: list[JsonData]) -> list[Claim]:
    """Say what holds of an answer that is as recorded, given what the adapter made of it."""
    try:
        body = judge.plain(list(response.headers), response.body)
    except ValueError:
        return []
    text = body.decode("latin-1")
    pairs = list(_scalars(said))
    leaves = in_json(text)
    if leaves is None:
        heard = [str(value).encode().decode("latin-1") for _, value in pairs if isinstance(value, str) and value]
        inside = [Claim("contains", (), each) for each in dict.fromkeys(heard) if each in text]
        return inside or ([Claim("text", (), text)] if text else [])
    chosen = _heard(leaves, pairs)
    claims = [Claim("length", path, length) for path, length in _lengths(json.loads(body))]
    for leaf in leaves:
        value = leaf.value
        if PLACEHOLDER.search(str(value)) or (isinstance(value, float) and not math.isfinite(value)):
            continue
        if leaf.path in chosen or (_is_steady(leaf) and not (chosen and _is_number(value))):
            claims.append(Claim("is", leaf.path, value))
    return claims


def _is_number(value: JsonData) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_steady(leaf: Leaf) -> bool:
    """Say whether a value is one that the service says again tomorrow: neither an id nor a time nor a token."""
    if _is_number(leaf.value):
        return not ID.search(leaf.key) and not _TIME.search(leaf.key) and not _is_moment(leaf.value)
    return not isinstance(leaf.value, str) or not (is_strong(leaf.value) or (ID.search(leaf.key) and leaf.value))


def _is_moment(value: float) -> bool:
    """Say whether a number may be a time of these years, in seconds or milliseconds since 1970."""
    return any(start <= abs(value) < end for start, end in ((1.5e9, 2.2e9), (1.5e12, 2.2e12)))


_TIME = re.compile(r"time|date|_at$|At$|^(?:at|ts)$|stamp|epoch")


def _heard(leaves: list[Leaf], pairs: list[tuple[str | None, JsonData]]) -> set[Path]:
    """Find the values that the adapter made something of: by name and value, or else by value alone."""
    named = {(leaf.key, _alike(leaf.value)) for leaf in leaves}
    by_name = {(key, _alike(value)) for key, value in pairs if (key, _alike(value)) in named}
    loose = {_alike(value) for key, value in pairs if (key, _alike(value)) not in by_name}
    return {leaf.path for leaf in leaves if (leaf.key, _alike(leaf.value)) in by_name or _alike(leaf.value) in loose}


def _alike(value: JsonData) -> tuple[str, str]:
    """Say a value so that those that adapters turn into each other are the same: -5 and 5, OPEN and open."""
    if _is_number(value):
        return "number", f"{abs(float(value)) if abs(value) < 1e300 else value}"  # noqa: PLR2004
    return type(value).__name__, str(value).casefold()


def _scalars(data: JsonData, key: str | None = None) -> Iterator[tuple[str | None, JsonData]]:
    """List the values of an event or observation with their names; names of the service's things say nothing."""
    if isinstance(data, dict):
        for name, value in data.items():
            yield from _scalars(value, name)
            if not REF.match(name):
                yield None, name
    elif isinstance(data, list):
        for value in data:
            yield from _scalars(value)
    elif not (isinstance(data, str) and REF.match(data)):
        yield key, data


def _lengths(data: JsonData, path: Path = ()) -> Iterator[tuple[Path, int]]:
    """List how long each list is, and which objects are empty."""
    if isinstance(data, list) or data == {}:
        yield path, len(data)
    inner: Iterable[tuple[str | int, JsonData]] = ()
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else inner
    for part, value in inner:
        yield from _lengths(value, (*path, part))
