"""Rules: what of an answer is noise, by place and type, as the project's configuration says.

    [[tool.replaykit.noise]]
    request = "GET /players/*"
    place = "$.rows[*].created"
    type = "time"
    tolerance = 60

A rule covers that one value is in the place of another, where both are of its type. It never covers that something
is there or not, that a list is longer, or another status: what is noise has a form that stays.
"""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from itertools import product
from math import comb
from typing import Any, Literal, TypeAlias

from replaykit.errors import NoiseError, UsageError
from replaykit.likeness import HEADERS, pattern_of
from replaykit.noise import moment_of
from replaykit.value import InvalidValueError, JsonData, Record, parse

Type: TypeAlias = Literal["uuid", "time", "number", "pattern", "unordered", "any"]

TOLERANCE = 300.0  # seconds
LONGEST_PATTERN = 200  # characters
LONGEST_MATCHED = 256  # characters of a value; a longer one does not match
MOST_WAYS = 3_000_000  # in which a pattern may be tried on the longest value: as many as three `*` in it make

_UUID = re.compile(r"(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_REQUEST = re.compile(
    r"(\*|[A-Z]{1,20}) (\*\*|(/[^\s/*]*(\*[^\s/*]*)?)*(/\*\*)?)"
)  # with one *, a part fits in one way
_ANY_KEY = re.compile(r"\.\*(\[\*\]|\[\d+\])*\Z")
_BROAD = re.compile(r"\$(\.\*|\[\*\]|\[\d+\])*")
_NEEDS = {"pattern": "pattern", "key": "unordered", "tolerance": "time", "to": "time"}


class Rule(Record):
    """One noise rule."""

    request: str = "* **"  # method and path; `*` is any method, or any part of a path, `**` any rest
    place: str | None = None  # in a JSON body: `$.rows[*].created`
    header: str | None = None
    type: Type
    tolerance: float = TOLERANCE  # seconds, of a time
    to: Literal["now", "recorded"] = "now"  # what a time is near to
    pattern: str | None = None  # that the whole value matches
    key: str | None = None  # of objects in a list, by which they are put in order

    def __str__(self) -> str:
        return f"{self.type} at {self.place or f'the header {self.header}'} of {self.request}"

    def covers_request(self, method: str, path: str) -> bool:
        """Say whether it speaks of the answer to a request."""
        return self._request.fullmatch(f"{method} {path or '/'}") is not None

    def covers_place(self, place: str) -> bool:
        """Say whether it speaks of a place in a body."""
        return self._place is not None and self._place.fullmatch(place) is not None

    def fits(self, before: JsonData, after: JsonData, now: float | None) -> bool:
        """Say whether both values are of its type, and the later one is what such a value may be.

        `now` is in seconds since 1970; where nobody knows when the later one was made, any time is near enough to it.
        """
        if self.type == "any":
            return True
        if self.type == "uuid":
            return all(isinstance(each, str) and _UUID.fullmatch(each) for each in (before, after))
        if self.type == "number":
            return type(before) is type(after) and isinstance(before, int | Decimal) and not isinstance(before, bool)
        if self.type == "pattern":
            return all(map(self._matches, (before, after)))
        if self.type == "time":
            was, seen = time_of(before), time_of(after)
            if was is None or seen is None or was[0] != seen[0]:
                return False
            near = was[1] if self.to == "recorded" else now
            return near is None or abs(seen[1] - near) <= self.tolerance
        return False

    def _matches(self, value: JsonData) -> bool:
        if not isinstance(value, str) or len(value) > LONGEST_MATCHED:
            return False
        return self._pattern.fullmatch(value) is not None

    @cached_property
    def _request(self) -> re.Pattern[str]:
        method, _, path = self.request.partition(" ")
        said = re.escape(path).replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
        return re.compile(f"{'[^ ]*' if method == '*' else re.escape(method)} {said}")

    @cached_property
    def _place(self) -> re.Pattern[str] | None:
        return None if self.place is None else pattern_of(self.place)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(self.pattern or "")


def rules_of(settings: Any, source: str) -> tuple[Rule, ...]:
    """Read the rules of a configuration. Raises NoiseError."""
    if settings is None:
        return ()
    if not isinstance(settings, list):
        raise NoiseError(f"noise in {source} is no list of tables.", "Write [[tool.replaykit.noise]] above each rule.")
    return tuple(_rule(each, f"Noise rule {number} in {source}") for number, each in enumerate(settings, 1))


def _rule(settings: Any, name: str) -> Rule:
    try:
        rule = parse(Rule, settings)
    except InvalidValueError as error:
        raise NoiseError(f"{name} is not well made: {error}.", _HOW) from None
    wrong = problem(rule)
    for option, kind in _NEEDS.items():
        if option in settings and rule.type != kind:
            wrong = wrong or f"{option} is for rules of the type {kind}"
    if wrong is not None:
        raise NoiseError(f"{name} ({rule}): {wrong}.", _HOW)
    return rule


_HOW = "docs/guides/drift.md says what a rule may be. `replaykit noise BUNDLE` proposes some."


def problem(rule: Rule) -> str | None:
    """Say what is wrong with a rule; None where nothing is."""
    if (rule.place is None) == (rule.header is None):
        return "it names a place or a header, and one of them alone"
    if _REQUEST.fullmatch(rule.request) is None or rule.request.endswith(" "):
        return f"{rule.request!r} is no method and path, as GET /players/*, with one * in each part of it"
    if rule.header is not None and rule.header.lower() not in HEADERS:
        return f"that header is not compared, so it needs no rule; compared are {' and '.join(HEADERS)}"
    if rule.header is not None and rule.type not in {"pattern", "uuid", "any"}:
        return "a header is covered by a pattern, as a uuid, or as any"
    if rule.place is not None:
        try:
            pattern_of(rule.place)
        except UsageError as error:
            return error.happened.rstrip(".")
        if rule.type != "unordered" and _BROAD.fullmatch(rule.place):
            return "it is too broad: it covers whole answers, and names no key"
        if rule.type in {"any", "pattern"} and _ANY_KEY.search(rule.place):
            return "it is too broad: it covers whatever keys there are"
    if not rule.tolerance > 0 or rule.tolerance == float("inf"):
        return "tolerance is a number of seconds, more than 0"
    return _problem_of_pattern(rule.pattern) if rule.type == "pattern" else None


def _problem_of_pattern(pattern: str | None) -> str | None:
    """Say why a pattern is not taken: it is none, or it may take for ever on some text."""
    if not pattern:
        return "it needs a pattern"
    if len(pattern) > LONGEST_PATTERN:
        return f"its pattern has more than {LONGEST_PATTERN} characters"
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return f"its pattern is none: {error}"
    if re.search(r"\\[1-9]|\(\?[^:]", pattern):
        return "its pattern looks back or ahead, which may take for ever"
    if re.search(r"\)[*+{]", pattern):
        return "its pattern repeats a group, which may take for ever; repeat a set, as [a-z0-9-]+"
    if _ways(pattern) > MOST_WAYS:
        return "its pattern can be tried in too many ways, which may take for ever; say how often, as [a-z]{8}"
    fits = re.compile(pattern).fullmatch
    if fits("") or all(map(fits, _ANYTHING)) or any(map(fits, _UNLIKE)):
        return "it is too broad: its pattern matches almost anything"
    return None


_ANYTHING = ("a", "Z9", "7", "- ", "{é}")
_UNLIKE = tuple(f"{first} Oh, as 'it' {{é}} 8/3 is; {last}" for first, last in product("qQ8#", repeat=2))  # no form
_ATOM = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)  # what is escaped, and sets
_CHOICE = re.compile(r"[()|*+?]|\{(\d*)(,?)(\d*)\}")


def _ways(pattern: str) -> float:
    """Say in how many ways a pattern is tried at most: those of what follows one another are multiplied."""
    ways: list[list[float]] = [[1]]  # of the branches of each group that is open
    unlimited = 0
    for found in _CHOICE.finditer(_ATOM.sub("x", pattern).replace("(?:", "(")):
        if found[0] == "(":
            ways.append([1])
        elif found[0] == "|":
            ways[-1].append(1)
        elif found[0] == ")":
            branches = sum(ways.pop())
            ways[-1][-1] *= branches
        elif found[0] in {"*", "+"} or (found[2] and not found[3]):
            unlimited += 1
        elif found[0] == "?":
            ways[-1][-1] *= 2
        elif found[2]:
            ways[-1][-1] *= 1 + max(0, min(int(found[3]), LONGEST_MATCHED) - int(found[1] or 0))
    return sum(ways[0]) * comb(LONGEST_MATCHED + unlimited, unlimited)  # they share the length of the value


def time_of(value: JsonData) -> tuple[str, float] | None:
    """Read a time: the way in which it is written, and the seconds since 1970 that it means."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        if 10**9 <= value < 10**10:  # from 2001 on
            return "seconds", float(value)
        return ("milliseconds", float(value) / 1000) if 10**12 <= value < 10**13 else None
    if not isinstance(value, str) or not 16 <= len(value) <= 40:  # noqa: PLR2004  2026-01-01T10:00 and longer
        return None
    if value[:4].isdigit():
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return "ISO 8601", aware.timestamp()
    seconds = moment_of(value)
    return None if seconds is None else ("HTTP", float(seconds))


def in_order(data: JsonData, key: str | None) -> JsonData:
    """Return a list in an order that does not depend on the one it had; what is none stays."""
    if not isinstance(data, list):
        return data

    def rank(item: JsonData) -> str:
        chosen = item.get(key) if key is not None and isinstance(item, dict) else item
        return json.dumps(chosen, sort_keys=True, default=str)

    return sorted(data, key=rank)


def for_request(rules: Sequence[Rule], method: str, path: str) -> list[int]:
    """List the rules that speak of the answer to a request, by number from 0."""
    return [number for number, rule in enumerate(rules) if rule.covers_request(method, path)]
