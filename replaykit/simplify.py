"""Simplify: the values of a sequence that fails, as simple as they can be.

Each pass proposes candidates to the search that it is a part of, all at once where that may work, else one at a time.
No value leaves the domain of its generator.
"""

import json
from collections.abc import Callable, Iterable
from itertools import combinations, islice
from typing import Protocol, TypeAlias

from replaykit.argument import (
    distance,
    entity_of,
    is_simple_text,
    is_whole,
    maker_of,
    named_otherwise,
    raw_of,
    refs_in,
    simple_texts,
    with_raw,
)
from replaykit.generator import Generator
from replaykit.sequence import Call, Sequence, call_at, replaced
from replaykit.source import Key

Generators: TypeAlias = Callable[[Call], dict[str, Generator]]

FIELD_TRIES = 40  # for one field in one pass
NUMBER_TRIES = 8  # for one field whose number was searched for already
FEW = 6  # calls or names: up to this many, all pairs of them are tried


class Search(Protocol):
    """What tries candidates, and keeps the best."""

    best: Sequence
    generators: Generators
    is_race: bool

    def attempt(self, candidate: Sequence) -> bool:
        """Try a candidate; if it fails in the same way, it is the best from now on."""


class Simplification:
    """What makes the values of a search's best sequence simpler."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._attempt, self._generators = search.attempt, search.generators
        self._told_apart = 0  # calls in which names were last compared with each other

    @property
    def _best(self) -> Sequence:
        return self._search.best

    def run(self) -> None:
        """Simplify arguments: all at once where that works, else one at a time."""
        self._unify()
        self._rename()
        self._cut()
        self._lower()
        self._lower_together(self._large())
        self._earliest()
        self._calm()
        for places in self._repeated():
            self._simplify_together(places)
        for label in [call.label for call in self._best]:
            for name in self._fields(label):
                self._simplify_field(label, name)
        for pair in combinations(self._large()[:FEW], 2):
            self._lower_together(pair)

    def _calm(self) -> None:
        """Send once, or again at once, what is sent twice at the same time."""
        for call in [call for call in self._best if call.twice]:
            once = call.replace(twice=False)
            label = max(each.label for each in self._best) + 1
            again = Call(label=label, tag=call.tag, version=call.version, repeats=call.label)
            place = next((index for index, each in enumerate(self._best) if each.label == call.label), -1)
            if place >= 0 and not self._attempt(replaced(self._best, {call.label: once})):
                self._attempt((*self._best[:place], once, again, *self._best[place + 1 :]))

    def _fields(self, label: int) -> list[str]:
        call = call_at(self._best, label)
        return [] if call is None else list(self._generators(call))

    def _texts(self) -> dict[Key, tuple[Generator, list[str]]]:
        """Collect the text arguments by the kind of their generator, in the order in which they appear."""
        found: dict[Key, tuple[Generator, list[str]]] = {}
        for call in self._best:
            for name, generator in self._generators(call).items():
                value = raw_of(call, name)
                if generator.plain and isinstance(value, str) and not generator.symbolic:
                    _, values = found.setdefault(generator.key, (generator, []))
                    if value not in values:
                        values.append(value)
        return found

    def _substitute(self, kind: Key, names: dict[str, str]) -> Sequence:
        """Replace text values of one kind in all calls at once."""

        def changed(call: Call) -> Call:
            for name, generator in self._generators(call).items():
                value = raw_of(call, name)
                if generator.key == kind and isinstance(value, str) and value in names:
                    call = with_raw(call, name, names[value], generator)
            return call

        return tuple(changed(call) for call in self._best)

    def _unify(self) -> None:
        """Say one name where two are said: the same for all, else each pair, as long as they are few."""
        if self._told_apart == len(self._best):
            return  # no call went since then, and what the names are called makes no difference
        self._told_apart = len(self._best)
        for kind, (_, values) in self._texts().items():
            if len(values) > 1 and self._attempt(self._substitute(kind, dict.fromkeys(values[1:], values[0]))):
                continue
            for later in reversed(values):
                others = values[: values.index(later)]
                for earlier in others if len(values) <= FEW else others[:1]:
                    if self._attempt(self._substitute(kind, {later: earlier})):
                        break

    def _rename(self) -> None:
        """Give all names of a kind the simplest ones: in the order of their appearance, or in their own."""
        for kind, (generator, values) in self._texts().items():
            simple = simple_texts(generator, len(values))
            if len(simple) < len(values):
                continue
            for order in (values, sorted(values)):
                if self._attempt(self._substitute(kind, dict(zip(order, simple, strict=True)))):
                    break
            else:
                for value in values:
                    for name in simple:
                        if name == value or (
                            name not in values and self._attempt(self._substitute(kind, {value: name}))
                        ):
                            break

    def _cut(self) -> None:
        """Cut all names of a kind to the same short length, which keeps what they have in common."""
        for kind, (generator, values) in self._texts().items():
            for length in (0, 1, 2, 4):
                names = {value: value[:length] for value in values if len(value) > length}
                if (
                    names
                    and all(map(generator.accepts, names.values()))
                    and self._attempt(self._substitute(kind, names))
                ):
                    break

    def _lower(self) -> None:
        """Put all other values to their simplest at once."""
        self._attempt(tuple(self._lowest(call) for call in self._best))

    def _large(self) -> list[tuple[int, str]]:
        """List the arguments that are whole numbers, and not yet the simplest, by label and name.

        In a race there are none: each candidate takes so many runs that only what is lowered alone is worth them.
        """
        if self._search.is_race:
            return []
        return [
            (call.label, name)
            for call in self._best
            for name, generator in self._generators(call).items()
            if distance(generator, raw_of(call, name))
        ]

    def _lower_together(self, places: Iterable[tuple[int, str]]) -> None:
        """Lower whole numbers by the same amount, found by binary search: what they have to differ by stays."""
        places = list(places)
        done, amount = 0, 1  # what they were lowered by, and what is tried
        above = 1 + min((abs(self._distance_at(*place)) for place in places), default=0)  # what is too much
        while len(places) > 1 and done < amount < above:
            if self._attempt(self._lowered(places, amount - done)):
                amount, done = above - 1 if done == 0 else (amount + above) // 2, amount
            elif done == 0:
                return
            else:
                amount, above = (done + amount) // 2, amount

    def _distance_at(self, label: int, name: str) -> int:
        call = call_at(self._best, label)
        return 0 if call is None else distance(self._generators(call)[name], raw_of(call, name))

    def _lowered(self, places: Iterable[tuple[int, str]], amount: int) -> Sequence:
        """Lower some arguments by an amount; nothing is left where that leaves a domain."""
        changed: dict[int, Call] = {}
        for label, name in places:
            call = changed.get(label) or call_at(self._best, label)
            if call is None:
                return ()
            generator, value = self._generators(call)[name], raw_of(call, name)
            value += amount if self._distance_at(label, name) > 0 else -amount
            if not generator.accepts(value):
                return ()
            changed[label] = with_raw(call, name, value, generator)
        return replaced(self._best, changed)

    def _lowest(self, call: Call) -> Call:
        for name, generator in self._generators(call).items():
            value = raw_of(call, name)
            simplest = next(iter(generator.shrink(value)), None)
            if simplest is not None and not isinstance(value, str):
                call = with_raw(call, name, simplest, generator)
        return call

    def _earliest(self) -> None:
        """Name the earliest thing of its kind instead of a later one: what a call of the same kind made before."""
        for label in [call.label for call in self._best]:
            call = call_at(self._best, label)
            for ref in refs_in(call) if call is not None else ():
                for earlier in self._made_before(ref):
                    call = call_at(self._best, label)
                    if call is None:
                        return
                    if self._attempt(replaced(self._best, {label: named_otherwise(call, ref, earlier)})):
                        break

    def _made_before(self, ref: str) -> list[str]:
        """List the refs to what calls like the one that made this made before it, as far as is known: account@3."""
        maker = maker_of(self._best, ref)
        if maker is None:
            return []
        before = self._best[: self._best.index(maker)]
        _, dot, more = ref.partition("@")[2].partition(".")
        return [f"{entity_of(ref)}@{call.label}{dot}{more}" for call in before if call.tag == maker.tag]

    def _bisect_number(self, label: int, name: str) -> bool:
        """Lower a whole number by binary search between one that does not fail and one that does.

        Say whether it was one. What fails now and then on the way is not found so; the tries after this are for it.
        """
        call = call_at(self._best, label)
        if call is None:
            return False
        generator, high = self._generators(call)[name], raw_of(call, name)
        low = next(iter(generator.shrink(high)), None)
        if not is_whole(high) or not is_whole(low):
            return False
        middle = low
        while middle != high and generator.accepts(middle):
            call = call_at(self._best, label)
            if call is None:
                return True
            if self._attempt(replaced(self._best, {label: with_raw(call, name, middle, generator)})):
                high = middle
            else:
                low = middle
            half = abs(high - low) // 2
            middle = high - half if high > low else high + half
        return True

    def _repeated(self) -> list[list[tuple[int, str]]]:
        """List the places, by label and name, in which one value is said that is no plain text or whole number."""
        found: dict[tuple[Key, str], list[tuple[int, str]]] = {}
        for call in self._best:
            for name, generator in self._generators(call).items():
                value = raw_of(call, name)
                is_word = generator.plain and isinstance(value, str | int | None)  # which others see to
                if not (is_word or generator.symbolic):
                    found.setdefault((generator.key, json.dumps(value, sort_keys=True)), []).append((call.label, name))
        return [places for places in found.values() if len(places) > 1]

    def _simplify_together(self, places: list[tuple[int, str]]) -> None:
        """Simplify a value in all places that say it: in one of them alone, it would be another value."""
        tries, improved = 0, True
        while improved and tries < FIELD_TRIES:
            improved = False
            calls = {label: call for label, _ in places if (call := call_at(self._best, label)) is not None}
            if any(label not in calls for label, _ in places):
                return
            label, name = places[0]
            generator = self._generators(calls[label])[name]
            for simpler in islice(generator.shrink(raw_of(calls[label], name)), FIELD_TRIES - tries):
                tries += 1
                changed = dict(calls)
                for where, field in places:
                    changed[where] = with_raw(changed[where], field, simpler, generator)
                if self._attempt(replaced(self._best, changed)):
                    improved = True
                    break

    def _simplify_field(self, label: int, name: str) -> None:
        tries, improved = 0, True
        limit = NUMBER_TRIES if self._bisect_number(label, name) else FIELD_TRIES
        while improved and tries < limit:
            improved = False
            call = call_at(self._best, label)
            if call is None:
                return
            generator = self._generators(call)[name]
            if is_simple_text(generator, raw_of(call, name)):
                return  # a name like a or b was given by _rename; other such names are no simpler
            for simpler in generator.shrink(raw_of(call, name)):
                tries += 1
                if tries > limit:
                    return
                if self._attempt(replaced(self._best, {label: with_raw(call, name, simpler, generator)})):
                    improved = True
                    break
