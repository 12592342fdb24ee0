"""Shape: what values have in common that were seen at one place, as a JSON Schema.

A schema is what all samples say together: types, what was always there, formats that all texts have. It holds what
was seen, and no more: no limits, no patterns. A value itself gets into a schema only where it is harmless: a number,
or one of a few words that came again and again.
"""

import math
import re
from collections import Counter
from datetime import date, datetime
from ipaddress import IPv4Address
from typing import Any

from replaykit.placeholder import is_covered, is_marked_number
from replaykit.value import JsonData

MOST_PLACES = 20_000  # in what is seen at one place
MOST_KEPT = 64  # values of one place
MOST_KEYS = 400  # of an object; what has more is a map
IDS = ("id", "uuid", "_id")
REST = "\0 all others"
DEEPEST = 12  # levels; what is nested deeper may be anything
FEW = 10  # words that a place takes turns with
OFTEN = 3  # times that each of them came, on the average
EXAMPLES = 5
LARGEST = 1_000_000  # of a number that is given as an example; what is larger may well be somebody's
MOST_SEEN = 4096  # times that words are counted

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_HEX = re.compile(r"(?=[A-Fa-f]*\d)(?:[0-9a-f]{8,}|[0-9A-F]{8,})")
_PREFIXED = re.compile(r"[A-Za-z]{1,12}[_-](?=[A-Za-z]*\d)[A-Za-z0-9]{6,}")
_MIXED = re.compile(r"(?=[^\d]*\d)(?=[^a-z]*[a-z])(?=[^A-Z]*[A-Z])[A-Za-z0-9_-]{10,}")
_INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})")
_EMAIL = re.compile(r"[^@\s/]{1,64}@[A-Za-z0-9.-]{1,253}\.[A-Za-z]{2,}")
_URI = re.compile(r"[a-z][a-z0-9+.-]*://[^\s<>\"]+")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_WORD = re.compile(r"[A-Za-z]{2}[A-Za-z0-9]*([_.-][A-Za-z0-9]+)*")
_OWN = re.compile(r"name|title|owner|user|login|mail|text|comment|message|description|note|address|phone|slug")

ORDER = ("null", "boolean", "integer", "number", "string", "array", "object")


def is_id(text: str) -> bool:
    """Say whether a text looks like what a program made to name a thing: a number, a UUID, a ULID, a token."""
    if len(text) > 200:  # noqa: PLR2004
        return False
    return any(each.fullmatch(text) for each in (_INTEGER, _UUID, _ULID, _HEX, _PREFIXED, _MIXED, _DATE, _EMAIL))


def _is_date(text: str) -> bool:
    try:
        return bool(_DATE.fullmatch(text) and date.fromisoformat(text))
    except ValueError:
        return False


def _is_moment(text: str) -> bool:
    try:
        return bool(_MOMENT.fullmatch(text) and datetime.fromisoformat(text.upper()))
    except ValueError:
        return False


def _is_address(text: str) -> bool:
    try:
        return text.count(".") == 3 and bool(IPv4Address(text))  # noqa: PLR2004
    except ValueError:
        return False


FORMATS = {
    "uuid": lambda text: bool(_UUID.fullmatch(text)),
    "date-time": _is_moment,
    "date": _is_date,
    "email": lambda text: bool(_EMAIL.fullmatch(text)),
    "uri": lambda text: bool(_URI.fullmatch(text)),
    "ipv4": _is_address,
}


class Shape:
    """What the values at one place have in common."""

    __slots__ = ("_top", "formats", "is_deep", "is_many", "items", "keys", "kinds", "numbers", "room", "seen", "words")

    def __init__(self, top: "Shape | None" = None) -> None:
        self._top = self if top is None else top
        self.room = MOST_PLACES  # for more places, where this is the top
        self.kinds: Counter[str] = Counter()
        self.keys: dict[str, Shape] = {}
        self.items: Shape | None = None
        self.formats: set[str] | None = None  # that all texts had so far
        self.words: Counter[str] = Counter()
        self.seen: set[tuple[str, str]] = set()  # words, each with the id of the thing that had it
        self.numbers: Counter[float] = Counter()
        self.is_many = False  # were there more words than are kept?
        self.is_deep = False

    @property
    def count(self) -> int:
        """How many values were seen."""
        return sum(self.kinds.values())

    def add(self, value: JsonData, depth: int = 0, of: str = "") -> None:
        """Take a value into account; `of` is the id of the thing that it belongs to, empty where nothing is known."""
        if depth > DEEPEST:
            self.is_deep = True
        elif isinstance(value, dict):
            self.kinds["object"] += 1
            of = next((str(value[key]) for key in IDS if isinstance(value.get(key), str | int)), of)
            for key, each in value.items():
                self._below(key).add(each, depth + 1, of)
        elif isinstance(value, list):
            self.kinds["array"] += 1
            self.items = self.items or Shape(self._top)
            for each in value:
                self.items.add(each, depth + 1, of)
        elif isinstance(value, str):
            self._text(value, of)
        elif value is None or isinstance(value, bool):
            self.kinds["null" if value is None else "boolean"] += 1
        else:
            self._number(value)

    def _below(self, key: str) -> "Shape":
        """Return the shape below a key; that of all others, where there are too many."""
        if key in self.keys:
            return self.keys[key]
        if len(self.keys) > MOST_KEYS or self._top.room <= 0:
            return self.keys.setdefault(REST, Shape(self._top))
        self._top.room -= 1
        return self.keys.setdefault(key, Shape(self._top))

    def _text(self, value: str, of: str) -> None:
        self.kinds["string"] += 1
        if is_covered(value):
            self.is_many = True
            return
        self._keep_formats({name for name, fits in FORMATS.items() if fits(value)})
        if of and (value, of) in self.seen:
            return  # the same thing, shown once more
        if of and len(self.seen) < MOST_SEEN:
            self.seen.add((value, of))
        self._keep(value)

    def _keep(self, value: str, times: int = 1) -> None:
        if value in self.words or len(self.words) < MOST_KEPT:
            self.words[value] += times
        else:
            self.is_many = True

    def _keep_number(self, value: float, times: int = 1) -> None:
        if value in self.numbers or len(self.numbers) < MOST_KEPT:
            self.numbers[value] += times

    def _keep_formats(self, fitting: set[str]) -> None:
        self.formats = fitting if self.formats is None else self.formats & fitting

    def _number(self, value: Any) -> None:
        self.kinds["integer" if isinstance(value, int) else "number"] += 1
        if is_marked_number(value) or not math.isfinite(value) or abs(value) > LARGEST:
            return
        self._keep_number(value)

    def absorb(self, other: "Shape") -> None:
        """Take all into account that another shape has seen."""
        self.kinds.update(other.kinds)
        for key, each in other.keys.items():
            self._below(key).absorb(each)
        if other.items is not None:
            self.items = self.items or Shape(self._top)
            self.items.absorb(other.items)
        if other.formats is not None:
            self._keep_formats(other.formats)
        self.is_many |= other.is_many
        self.is_deep |= other.is_deep
        again = Counter(word for word, _ in self.seen & other.seen)
        for word, times in other.words.items():
            self._keep(word, times - again[word])
        self.seen |= other.seen
        for number, times in other.numbers.items():
            self._keep_number(number, times)

    @property
    def is_map(self) -> bool:
        """Whether the keys of an object are values themselves: ids, or so many that they can't be names."""
        if not self.keys:
            return False
        if len(self.keys) > MOST_KEYS or REST in self.keys:
            return True
        return all(map(is_id, self.keys)) or any(map(is_covered, self.keys))

    def schema(
        self, key: str = "", *, with_examples: bool = False, own: frozenset[str] = frozenset()
    ) -> dict[str, Any]:
        """Return the JSON Schema of what was seen below a key.

        Examples are for what is sent, not for answers; `own` are texts that clients made up, which are not repeated.
        """
        kinds = set(self.kinds)
        if not kinds or self.is_deep:
            return {}
        if "number" in kinds:
            kinds.discard("integer")  # each integer is a number
        ordered = [each for each in reversed(ORDER) if each in kinds]
        schema: dict[str, Any] = {"type": ordered[0] if len(ordered) == 1 else ordered}
        if kinds == {"null"}:
            return {}  # what it is when it is something, nobody has seen
        if "string" in kinds:
            schema.update(self._of_texts(key, kinds, own))
            if (
                with_examples
                and kinds <= {"string", "null"}
                and len(schema) == 1
                and self.is_repeated(key)
                and not own & self.words.keys()
            ):
                schema["examples"] = sorted(self.words)
        if with_examples and self.numbers and not _OWN.search(key.lower()):
            schema["examples"] = self._numbers()
        if "array" in kinds:
            schema["items"] = {} if self.items is None else self.items.schema(key, with_examples=with_examples, own=own)
        if "object" in kinds:
            schema.update(self._of_keys(with_examples=with_examples, own=own))
        return schema

    def _of_texts(self, key: str, kinds: set[str], own: frozenset[str]) -> dict[str, Any]:
        if self.formats and self.words:
            return {"format": next(name for name in FORMATS if name in self.formats)}
        if self.is_enum(key) and not own & self.words.keys():
            return {"enum": [*sorted(self.words), *([None] if "null" in kinds else [])]} if len(kinds) <= 2 else {}  # noqa: PLR2004
        return {}

    def is_enum(self, key: str = "") -> bool:
        """Say whether the texts are a few words that came again and again, and are not somebody's own."""
        return self.is_repeated(key) and self.words.total() >= OFTEN * len(self.words)

    def is_repeated(self, key: str = "") -> bool:
        """Say whether the texts are a few words that all came again, and are not somebody's own."""
        if self.is_many or not 0 < len(self.words) <= FEW or _OWN.search(key.lower()):
            return False
        if not all(_WORD.fullmatch(word) and len(word) <= 32 and not is_id(word) for word in self.words):  # noqa: PLR2004
            return False
        return min(self.words.values()) > 1

    def texts(self, key: str = "") -> set[str]:
        """Return the texts at this place and below, but for those of enums: they are somebody's own."""
        found = set() if self.is_enum(key) else {*self.words}
        for below, each in self.keys.items():
            found |= each.texts(below)
        return found if self.items is None else found | self.items.texts(key)

    def _numbers(self) -> list[float]:
        often = sorted(self.numbers, key=lambda each: (-self.numbers[each], each))
        return sorted(often[:EXAMPLES])

    def _of_keys(self, *, with_examples: bool, own: frozenset[str]) -> dict[str, Any]:
        if self.is_map:
            inner = Shape()
            for each in self.keys.values():
                inner.absorb(each)
            return {"additionalProperties": inner.schema(with_examples=with_examples, own=own) or True}
        always = [key for key, each in self.keys.items() if each.count >= self.kinds["object"] and not each.is_deep]
        found = {
            "properties": {
                key: each.schema(key, with_examples=with_examples, own=own) for key, each in self.keys.items()
            }
        }
        return (found if self.keys else {}) | ({"required": always} if always else {})


def of_texts(values: list[str]) -> Shape:
    """Return the shape of values that were written as text, in a path or a query: numbers where all are."""
    shape = Shape()
    if values and all(map(_INTEGER.fullmatch, values)):
        read: list[JsonData] = [int(each) for each in values]
    elif values and all(each in {"true", "false"} for each in values):
        read = [each == "true" for each in values]
    elif values and all(map(re.compile(r"-?\d{1,15}(\.\d{1,15})?").fullmatch, values)):
        read = [float(each) for each in values]
    else:
        read = [*values]
    for each in read:
        shape.add(each)
    return shape
