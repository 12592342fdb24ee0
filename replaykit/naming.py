"""Naming: which values of a trace are the service's own ids, and what the model calls them.

A ref keeps the service's id only while a run goes on: what is written down says `account@3`, and no id. So ids are
found by where they stand. Step 3, which made `account@3`, got the id in its answer; and it is the value there that
later requests say whose calls name `account@3`, or whose key says so: `id`, `account`, `account_id`, or the field of
the event that holds the name. Where nothing says it, a value has no name, and is compared as it is.

Two traces of the same sequence are looked at together: what is the id in one stands at the same place in the other.
What an id is known by decides where it counts. A long one is itself wherever it stands as a whole, a part of a path
and a key of an object included. A small number is an id only below a key that says so: not every 1 is an account.
An account and a booking may both be 1; then the keys and the path around it say which of them is meant.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from replaykit.change import last_key, leaves
from replaykit.coding import unpacked
from replaykit.command import REF
from replaykit.gist import json_of
from replaykit.interaction import Interaction
from replaykit.likeness import header_values
from replaykit.trace import Step, Trace
from replaykit.value import JsonData, loads

TELLING = 8  # characters of an id that is hardly anything else by chance
LARGE = 100_000  # the same of a number
LONGEST = 200  # characters of an id

Around: TypeAlias = Sequence[str]  # the parts of a path and the keys that a value stands below, the nearest last

_MOST = 200  # things that one step made; a bundle from a stranger may name more
_MOST_NAMES = 20  # of one id
_MOST_LOOKS = 1_000_000  # at a value, to find out whether it is the id of something


class Named:
    """A value that is known by names: in another trace, one that may be the same thing is the same.

    Where it may be a thing of several kinds, it has to be the same of each kind that it may be in both traces: what
    was cart 0 or user 1 and is cart 2 or user 1 now may well be the wrong cart.
    """

    __slots__ = ("labels", "value")

    def __init__(self, value: JsonData, labels: frozenset[str]) -> None:
        self.value, self.labels = value, labels

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Named) or not self.labels & other.labels:
            return False
        mine, theirs = _by_entity(self.labels), _by_entity(other.labels)
        return all(mine[entity] & theirs[entity] for entity in mine.keys() & theirs.keys())

    __hash__ = None  # type: ignore[assignment]  # what is alike need not have the same hash

    def __str__(self) -> str:
        return " or ".join(sorted(self.labels))

    __repr__ = __str__


class Names:
    """What the ids of one trace are called."""

    def __init__(self) -> None:
        self._labels: dict[str, dict[str, None]] = {}  # by id as text, in the order in which they were made
        self._keys: dict[str, set[str]] = {}  # what stands before an id, by entity
        self._taken: set[tuple[str, str]] = set()  # ids, each with an entity that has it

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Names) and self._labels == other._labels

    __hash__ = None  # type: ignore[assignment]  # it grows

    def __bool__(self) -> bool:
        return bool(self._labels)

    def add(self, label: str, value: JsonData, keys: set[str]) -> None:
        """Know an id."""
        entity = _entity(label)
        labels = self._labels.setdefault(str(value), {})
        if len(labels) < _MOST_NAMES:
            labels[label] = None
        self._taken.add((str(value), entity))
        self._keys.setdefault(entity, set()).update(keys, _keys_of(entity))

    def has(self, label: str, value: JsonData) -> bool:
        """Say whether an id has a name."""
        return label in self._labels.get(str(value), {})

    def is_taken(self, value: JsonData, entity: str) -> bool:
        """Say whether something else of a kind has this id."""
        return (str(value), entity) in self._taken

    def named(self, data: JsonData, key: str = "", around: Around = ()) -> JsonData:
        """Return a document with names in the places of ids; `around` are the words of what it stands in."""
        if not self._labels:
            return data
        if isinstance(data, dict):
            inner = (*around, key) if key else around
            return {self._key(each, inner): self.named(value, each, inner) for each, value in data.items()}
        if isinstance(data, list):
            return [self.named(value, key, around) for value in data]
        if not _may_be_id(data):
            return data
        labels = self.labels(data, key, around)
        return Named(data, labels) if labels else data

    def labels(self, value: JsonData, key: str, around: Around = ()) -> frozenset[str]:
        """List what a value that stands below a key may be called."""
        known = self._labels.get(str(value))
        if known is None:
            return frozenset()
        if is_telling(value):
            return _meant(known, (*around, key))
        plain = _plain(key)
        return _meant([each for each in known if plain in self._keys[_entity(each)]], (*around, key))

    def parts(self, path: str) -> list["str | Named"]:
        """List the parts of a path, or of a text that is made of parts as one, with names in the places of ids."""
        parts = path.split("/")
        if not self._labels:
            return [*parts]
        known = [self._labels.get(unquote(part)) for part in parts]
        return [
            part if labels is None else Named(part, _meant(labels, parts[:number]))
            for number, (part, labels) in enumerate(zip(parts, known, strict=True))
        ]

    def path(self, path: str) -> str:
        """Return a path, or a text that is made of parts as one, with names in the places of ids."""
        return joined(self.parts(path))

    def _key(self, key: str, around: Around) -> str:
        known = self._labels.get(key) if is_telling(key) else None
        return key if known is None else joined([Named(key, _meant(known, around))])


def joined(parts: Sequence[str | Named]) -> str:
    """Write the parts of a path as a path."""
    return "/".join(part if isinstance(part, str) else f"<{part}>" for part in parts)


def words_of(path: str) -> tuple[str, ...]:
    """List what a path says of the things that an answer to it holds."""
    return tuple(filter(None, path.split("/")))


def _meant(labels: Collection[str], around: Around) -> frozenset[str]:
    """Return those of some names that are meant: by the nearest word around the value that says what they are."""
    entities = {_entity(each): _plain(_entity(each)) for each in labels} if len(labels) > 1 else {}
    if len(entities) > 1:
        for word in map(_plain, reversed(around)):
            said = [entity for entity, plain in entities.items() if plain and plain in word]
            if said:
                nearest = max(said, key=lambda entity: len(entities[entity]))  # cart_item, and not cart
                return frozenset(each for each in labels if _entity(each) == nearest)
    return frozenset(labels)


def _by_entity(labels: Iterable[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for each in labels:
        found.setdefault(_entity(each), set()).add(each)
    return found


def _entity(label: str) -> str:
    return label.partition("@")[0]


class _Candidate(NamedTuple):
    """A value in an answer that may be an id."""

    place: str
    key: str
    value: JsonData


def names_of(*traces: Trace) -> list[Names]:
    """Find the names in traces of the same sequence, which are looked at together: those of each one."""
    found = [Names() for _ in traces]
    steps = [{step.call.label: step for step in trace.steps} for trace in traces]
    sent = [_sent(trace) for trace in traces]
    room = _MOST_LOOKS
    for first in traces[0].steps:
        present = [each.get(first.call.label) for each in steps]
        alike = [step for step in present if step is not None]
        made = list(made_by(first).items())[:_MOST]
        count = len(traces) if len(alike) == len(traces) else 1
        candidates = [{each.place: each for each in _candidates(step)} for step in alike[:count]] if made else []
        for label, field in made:
            room -= sum(map(len, candidates))
            if room < 0:  # a bundle from a stranger; what is not named is compared as it is
                return found
            _name(label, field, candidates, found[:count], sent[:count])
    return found


def made_by(step: Step) -> dict[str, str]:
    """List what a step made, by name, each with the field that holds it: `account@3` is named by step 3."""
    made: dict[str, str] = {}
    for said in (step.event, step.again, *step.observations):
        for place, value in leaves(loads(said.data)) if said is not None else ():
            match = REF.match(value) if isinstance(value, str) else None
            if match and int(match[1]) == step.call.label:
                made.setdefault(value, last_key(place))
    return made


def _name(
    label: str,
    field: str,
    candidates: Sequence[Mapping[str, "_Candidate"]],
    found: Sequence[Names],
    sent: Sequence[Mapping[str, list[set[str]]]],
) -> None:
    """Find the id that a step got for what it made, and know it in each trace."""
    entity = _entity(label)
    fits: dict[str, int] = {}  # by key
    is_sent = any(tokens.get(label) for tokens in sent)
    best: tuple[int, ...] = (0, 0)
    chosen: str | None = None
    for place, first in candidates[0].items():
        fit = fits.get(first.key)
        if fit is None:
            fit = fits.setdefault(first.key, _fits_key(first.key, entity, field))
        if not is_sent and fit <= best[-1]:
            continue
        here = [each[place] for each in candidates if place in each]
        if len(here) < len(candidates):
            continue
        if any(names.is_taken(each.value, entity) for names, each in zip(found, here, strict=True)):
            continue
        used = sum(
            all(str(each.value) in said for said in tokens[label])
            for each, tokens in zip(here, sent, strict=True)
            if tokens.get(label)
        )
        score = (used, fit)
        if score > best:
            best, chosen = score, place
    if chosen is None:
        return
    keys = {_plain(field), *(_plain(each.key) for each in [candidates[0][chosen]])}
    for names, each in zip(found, candidates, strict=True):
        names.add(label, each[chosen].value, keys)


def _fits_key(key: str, entity: str, field: str) -> int:
    """Say how much a key looks like that of an id: 2 as one of this kind, 1 as one of any."""
    plain = _plain(key)
    if plain in (_keys_of(entity) | {_plain(field), f"{_plain(field)}id"}) - {"id", "uuid", ""}:
        return 2
    return int(plain in {"id", "uuid"})


def _candidates(step: Step) -> Iterator[_Candidate]:
    """List the values in the answers of a step that may be ids, in their order."""
    for number, interaction in enumerate(step.interactions):
        response = interaction.response
        if response is None:
            continue
        data = json_of(response.headers, unpacked(response.headers, response.body), exact=True)
        for place, value in leaves(data):
            if _may_be_id(value):
                yield _Candidate(f"{number}{place}", last_key(place), value)
        for value in header_values(interaction, "location"):
            part = unquote(urlsplit(value).path.rstrip("/").rpartition("/")[2])
            if part:
                yield _Candidate(f"{number} location", "", part)


def _sent(trace: Trace) -> dict[str, list[set[str]]]:
    """List, for each name, what the requests say whose calls name it."""
    sent: dict[str, list[set[str]]] = {}
    for step in trace.steps:
        labels = {each for _, each in leaves(step.call.args) if isinstance(each, str) and REF.match(each)}
        said = {each for interaction in step.interactions for each in _said(interaction)} if labels else set()
        for label in labels:
            sent.setdefault(label, []).append(said)
    return sent


def _said(interaction: Interaction) -> Iterator[str]:
    request = interaction.request
    parts = urlsplit(request.url)
    yield from map(unquote, parts.path.split("/"))
    yield from (value for _, value in parse_qsl(parts.query))
    data = json_of(request.headers, unpacked(request.headers, request.body), exact=True)
    yield from (str(each) for _, each in leaves(data))


def _may_be_id(value: JsonData) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= LONGEST
    return isinstance(value, int) and not isinstance(value, bool)


def is_telling(value: JsonData) -> bool:
    """Say whether a value is hardly anything else by chance: a long text with a digit, or a large number."""
    if isinstance(value, str):
        return len(value) >= TELLING and any(map(str.isdigit, value))
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) >= LARGE


def _plain(key: str) -> str:
    return re.sub(r"[^a-z0-9]", "", key.lower())


def _keys_of(entity: str) -> set[str]:
    """List the keys below which an id of some kind is to be expected."""
    plain = _plain(entity)
    return {"id", "uuid", plain, *(f"{plain}{each}" for each in ("id", "uuid", "s", "ids", "uuids"))}
