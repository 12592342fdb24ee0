"""Descent: which values of requests came from earlier answers, and from where in which.

That is what makes refs of them: `POST /accounts` answers an id, and `GET /accounts/{account_id}` asks with it. A value
descends from the answer that it came in first. Long mixed values are themselves; a small number is what it is only
where the names say so (an `account` and the `id` of what `/accounts` answers), and where most of its uses agree.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from replaykit.naming import is_telling
from replaykit.openapi.description import escaped
from replaykit.traffic.route import MOST_KNOWN, Route, may_name, singular
from replaykit.traffic.sample import Sample
from replaykit.value import JsonData

SHARE = 0.5  # of the uses of a place that have to agree

TIME = re.compile(r"\d{4}-\d\d-\d\d")  # two things may well have the same one
_IDS = frozenset({"id", "uuid", "guid"})


class Source(NamedTuple):
    """A place in an answer."""

    route: str  # its template
    method: str
    status: int
    pointer: str  # RFC 6901
    key: str
    noun: str  # what the path is about
    is_listed: bool  # does it stand in a list?

    @property
    def rank(self) -> tuple[bool, bool, bool, str, str]:
        """How good a place it is to take a value from: the answer to who makes a thing is the best."""
        return self.is_listed, self.method not in {"post", "put"}, self.key not in _IDS, self.route, self.pointer


class Use(NamedTuple):
    """A place in a request."""

    route: str
    method: str
    where: str  # path, query or body
    name: str  # of the parameter; a pointer into the body


class Descent(NamedTuple):
    """Where the values of one place come from."""

    use: Use
    source: Source


def descents(samples: Sequence[Sample], routes: Sequence[Route]) -> list[Descent]:
    """Find where the values of requests come from, the best source for each place, in a fixed order."""
    by_number = {number: route for route in routes for number in route.samples}
    pasts: dict[int, _Past] = defaultdict(_Past)
    votes: dict[Use, Counter[Source]] = defaultdict(Counter)
    totals: Counter[Use] = Counter()
    room = MOST_KNOWN
    for number, sample in enumerate(samples):
        route = by_number.get(number)
        if route is None or not sample.is_accepted:
            continue
        past = pasts[sample.session]
        uses = list(_uses(sample, route))
        for use, value in uses:
            totals[use] += 1
            fitting = [source for source in past.sources(use, str(value)) if _fits(use, source, value)]
            if fitting:
                votes[use][min(fitting, key=lambda each: each.rank)] += 1
        past.sent.update(str(value) for _, value in uses)
        for pointer, key, value, is_listed in _told(sample.answer):
            if room <= 0:
                break
            room -= 1
            past.add(
                str(value),
                Source(route.template, sample.method, sample.status, pointer, key, route.noun, is_listed),
            )
    found = []
    for use, sources in votes.items():
        best = min(sources, key=lambda each: (each.rank, -sources[each]))
        if sources.total() >= SHARE * totals[use]:
            found.append(Descent(use, best))
    return sorted(found)


class _Past:
    """What was said in a session so far."""

    def __init__(self) -> None:
        self.sent: set[str] = set()  # values of requests
        self._told: dict[str, dict[Source, None]] = defaultdict(dict)
        self._made: set[str] = set()  # values that the service said first

    def add(self, text: str, source: Source) -> None:
        if text not in self.sent:
            self._made.add(text)
        self._told[text].setdefault(source)

    def sources(self, use: Use, text: str) -> list[Source]:
        """List where a value may come from: what the client said first is no ref, but a name in a path may be one."""
        return [*self._told.get(text, ())] if use.where == "path" or text in self._made else []


def _uses(sample: Sample, route: Route) -> Iterator[tuple[Use, JsonData]]:
    for name, at in route.holes.items():
        yield Use(route.template, sample.method, "path", name), unquote(sample.parts[at])
    for name, value in sample.query:
        if value:
            yield Use(route.template, sample.method, "query", name), value
    if isinstance(sample.body, dict):
        for pointer, _, value, is_listed in _told(sample.body):
            if not is_listed:
                yield Use(route.template, sample.method, "body", pointer), value


def _told(data: JsonData) -> Iterator[tuple[str, str, JsonData, bool]]:
    """List the values in a document that may name something: pointer, key, value, and whether it is in a list."""
    for place, value in _leaves(data, ""):
        if may_name(value):
            parts = keys_in(place)
            key = next((part for part in reversed(parts) if part and not part.isdigit()), "")
            yield place, key, value, "0" in parts


def keys_in(pointer: str) -> list[str]:
    """List the keys that a pointer goes through; RFC 6901, section 4."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def _leaves(data: JsonData, place: str) -> Iterator[tuple[str, JsonData]]:
    """List the values in a document, each with its pointer; every item of a list as its first one."""
    if isinstance(data, dict):
        for key, each in data.items():
            yield from _leaves(each, f"{place}/{escaped(key)}")
    elif isinstance(data, list):
        for each in data:
            yield from _leaves(each, f"{place}/0")
    else:
        yield place, data


def _fits(use: Use, source: Source, value: JsonData) -> bool:
    """Say whether a value in a request may be the one that a source answers."""
    text = str(value)
    if is_telling(text) and not TIME.match(text):
        return True
    word = use.name.rpartition("/")[2] if use.where == "body" else use.name
    wanted, given = singular(word), singular(source.key)
    noun = source.noun
    if given in _IDS:
        return bool(noun) and wanted in {noun, f"{noun}_id", f"{noun}_uuid", f"{noun}id"}
    if use.where == "path":
        return wanted == given
    return wanted == given and wanted.endswith(("_id", "_uuid"))
