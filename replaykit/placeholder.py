"""Placeholders: what stands in a bundle where a secret was, and which values one may stand for.

    REDACTED.<label>.<number>

The label is the header, the key or the variable that the value was found under; the number counts the distinct
values of a bundle in the order in which they appeared. So two places with the same value have the same placeholder,
and nothing can be guessed from it. It is made of characters that need no escape in URLs, headers, JSON, cookies and
forms. Where JSON holds a number, a number has to stand: MARKED_NUMBER and the count.
"""

import base64
import binascii
import json
import re
from collections import ChainMap
from collections.abc import MutableMapping, Sequence
from urllib.parse import unquote

from replaykit.value import JsonData

MARK = "REDACTED."
OLD = "[redacted]"  # of the first bundles
MARKED_NUMBER = 990_000_000_000  # and the count; below 2**53, and neither a time nor the number of a card
MOST = 1_000_000  # values of one bundle
PLACEHOLDER = re.compile(r"REDACTED\.([A-Za-z0-9_-]{1,64})\.([0-9]{1,7})(?![0-9])")
_WHOLE = re.compile(rf"({PLACEHOLDER.pattern.replace('([', '(?:[')})")
_MARKED = re.compile(r"(?<![\d.])990000\d{6}(?![\d.])")
_ENCODED = ("UkVEQUNURUQu", "JFREFDVEVEL", "SRURBQ1RFRC")  # how MARK looks inside of base64


def placeholder(label: str, number: int) -> str:
    """Write the placeholder of the value with this number, found under this label."""
    return f"{MARK}{re.sub(r'[^A-Za-z0-9_-]', '_', label)[:64] or 'value'}.{number}"


def is_placeholder(text: str) -> bool:
    """Say whether a text is nothing but a placeholder."""
    return text == OLD or (text.startswith(MARK) and PLACEHOLDER.fullmatch(text) is not None)


def split(text: str) -> list[str]:
    """Cut a text before and after each placeholder."""
    return _WHOLE.split(text)


def is_marked_number(number: JsonData) -> bool:
    """Say whether a number stands for another one."""
    return isinstance(number, int) and not isinstance(number, bool) and 0 < number - MARKED_NUMBER < MOST


def placeholders_in(text: str) -> dict[str, tuple[str, int]]:
    """List the placeholders in a text, each with its label and number, in the order in which they appear."""
    if MARK not in text:
        return {}
    return {found[0]: (found[1], int(found[2])) for found in PLACEHOLDER.finditer(text)}


def is_sealed(text: str) -> bool:
    """Say whether in a text stands for a value what nothing can be put in the place of: base64, or OLD."""
    return OLD in text or any(each in text for each in _ENCODED)


def has_marked_number(text: str) -> bool:
    """Say whether a number in a text may stand for another one."""
    return "990" in text and bool(_MARKED.search(text))


def covered_in(*data: JsonData) -> tuple[str, ...]:
    """List the placeholders that stand in JSON data."""
    return tuple(placeholders_in(json.dumps(data)))


def is_covered(text: str) -> bool:
    """Say whether something in a text may be a placeholder, though it be in base64 or a number."""
    return MARK in text or any(each in text for each in _ENCODED) or has_marked_number(text)


class Bound:
    """What the placeholders of one cassette stand for, as far as it was seen.

    The same one stands for the same value, and two with the same label for two values. Values under two labels may
    be the same: who plays with made-up secrets often has but one.
    """

    def __init__(self) -> None:
        self._values: MutableMapping[str, str] = {}  # by placeholder
        self._owners: MutableMapping[tuple[str, str], str] = {}  # placeholders by label and value

    def trial(self) -> "Bound":
        """Return one that knows the same, and learns for itself until it is taken over."""
        trial = Bound()
        trial._values = ChainMap({}, self._values)
        trial._owners = ChainMap({}, self._owners)
        return trial

    @property
    def learned(self) -> dict[str, str]:
        """What a trial has learned: values by placeholder."""
        return dict(self._values.maps[0] if isinstance(self._values, ChainMap) else self._values)

    def take(self, trial: "Bound") -> None:
        """Know what a trial has learned, since it fits."""
        for name, said in trial.learned.items():
            self._values[name] = said
            self._owners[name.rpartition(".")[0], said] = name

    def _stands(self, name: str, value: JsonData) -> bool:
        """Say whether a placeholder may stand for a value, and know it from now on."""
        said = unquote(str(value)).replace("+", " ")  # as it may stand in a query, a form and JSON
        known, label = self._values.get(name), name.rpartition(".")[0]
        if is_placeholder(said) and said.rpartition(".")[0] == label:  # another one, which has a value of its own
            return False
        if known is not None:
            return known == said
        if self._owners.setdefault((label, said), name) != name:
            return False
        self._values[name] = said
        return True

    def fits(self, recorded: str, asked: str) -> bool:
        """Say whether two texts are alike, a placeholder in either of them standing for anything that is not empty."""
        if recorded == asked:
            return True
        if MARK in recorded and self._covers(recorded, asked):
            return True
        if MARK in asked and self._covers(asked, recorded):
            return True
        if any(each in recorded for each in _ENCODED):
            before, after = _decoded(recorded), _decoded(asked)
            return before is not None and after is not None and MARK in before and self.fits(before, after)
        return False

    def fits_data(self, recorded: JsonData, asked: JsonData) -> bool:
        """Say the same of JSON data. It tells true from 1, and 1 from 1.0."""
        if isinstance(recorded, dict) and isinstance(asked, dict):
            if recorded.keys() != asked.keys():
                return False
            return all(self.fits_data(each, asked[key]) for key, each in recorded.items())
        if isinstance(recorded, list) and isinstance(asked, list):
            return len(recorded) == len(asked) and all(map(self.fits_data, recorded, asked))
        if isinstance(recorded, str) and isinstance(asked, str):
            return self.fits(recorded, asked)
        for one, other in ((recorded, asked), (asked, recorded)):
            if is_marked_number(one) and isinstance(other, int | float) and not isinstance(other, bool):
                return self._stands(str(one), other)
        return type(recorded) is type(asked) and json.dumps(recorded) == json.dumps(asked)

    def fits_all(self, recorded: Sequence[str], asked: Sequence[str]) -> bool:
        """Say the same of texts that are cut into parts, as the pairs of a form."""
        return len(recorded) == len(asked) and all(map(self.fits, recorded, asked))

    def _covers(self, pattern: str, text: str) -> bool:
        """Match a text from left to right: what stands between placeholders is looked for once, never again."""
        parts, names, end = [], [], 0
        for found in PLACEHOLDER.finditer(pattern):
            parts.append(pattern[end : found.start()])
            names.append(found[0])
            end = found.end()
        if not names:
            return False
        last = pattern[end:]
        if not text.startswith(parts[0]) or not text.endswith(last):
            return False
        place, stop = len(parts[0]), len(text) - len(last)
        values = []
        for part in parts[1:]:
            found_at = text.find(part, place + 1, stop)
            if found_at < 0:
                return False
            values.append(text[place:found_at])
            place = found_at + len(part)
        if place >= stop:
            return False
        values.append(text[place:stop])
        if len(names) > 1:  # where one value ends and the next begins is a guess
            return True
        return self._stands(names[0], values[0])


def _decoded(text: str) -> str | None:
    try:
        raw = text.replace("-", "+").replace("_", "/").rstrip("=")
        return base64.b64decode(raw + "=" * (-len(raw) % 4), validate=True).decode("latin-1")
    except (binascii.Error, ValueError):
        return None
