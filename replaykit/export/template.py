"""Templates: texts with holes for what is known only when a script runs; and which values can stand in one."""

import re
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from replaykit.value import JsonData

ID = re.compile(
    r"(^|[_.-])(id|ids|uuid|guid|key|token|code|ref|etag|sid|session|cursor|next|after|before|since|no|number|nonce)$"
    r"|[a-z](Id|ID|Ids|Uuid|UUID|Key|Token|Code|Ref|Cursor)$",
    re.IGNORECASE,
)
STRONG = 8  # characters of a text that no two values share by accident, if there is a digit in it


class Hole(NamedTuple):
    """A place for a value, and how it is written there."""

    name: str
    how: str  # see judge.say


Template: TypeAlias = tuple[str | Hole, ...]


def is_strong(value: JsonData) -> bool:
    """Say whether a value is a text that no other value is by accident: a UUID, a token, a date."""
    return isinstance(value, str) and len(value) >= STRONG and " " not in value and bool(re.search(r"\d", value))


def filled(text: str, holes: list[tuple[int, int, Hole]]) -> Template:
    """Put holes into a text, each in the place of a part of it; where two overlap, the first counts."""
    parts: list[str | Hole] = []
    at = 0
    for start, end, hole in sorted(holes, key=lambda each: each[0]):
        if start < at:
            continue
        if start > at:
            parts.append(text[at:start])
        parts.append(hole)
        at = end
    if at < len(text):
        parts.append(text[at:])
    return tuple(parts)


def joined(parts: Iterable[str | Hole]) -> Template:
    """Put texts that stand side by side together."""
    whole: list[str | Hole] = []
    for part in parts:
        if isinstance(part, str) and whole and isinstance(whole[-1], str):
            whole[-1] += part
        else:
            whole.append(part)
    return tuple(whole)
