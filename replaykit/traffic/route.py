"""Route: the template of a path, `/accounts/{account_id}`, found in paths as they were sent.

Theory of operation. Paths are split part by part, from the left. Of the parts that stand side by side after the same
beginning, some are words of the API, others are values. What is a value?

1. What came back in an earlier answer: as an id, or under a key that says that it names something. That is sure.
2. What looks like a program made it: numbers, UUIDs, long mixed tokens.
3. What is no word (`Ann%20Lee`), or was never there (404), where the parts beside it are values by 1 or 2.
4. Many parts that are used in the same way, and are all the ends of their paths. That is a guess, and is said.

All else is a word: `/users/me` stays what it is beside `/users/{user_id}`.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from replaykit.change import last_key, leaves
from replaykit.naming import LONGEST, is_telling
from replaykit.placeholder import is_covered
from replaykit.traffic.sample import MISSING, Sample
from replaykit.traffic.shape import is_id
from replaykit.value import JsonData

MANY = 8  # parts that are used alike are values, though nothing says so
SEVERAL = 4  # the same, where there are values beside them
FEW = 3  # words behind a noun that may be names of what it speaks of
MOST_ROUTES = 1000
MOST_KNOWN = 1_000_000  # values of answers, in all

GUESSED = " is a guess: "  # behind the template, in what is said of it

_VERSION = re.compile(r"v\d{1,4}([._]\d{1,4})*|\d{1,2}\.\d{1,3}")
_WORD = re.compile(r"[a-z]+([-_.:][a-z]+)*|[a-z]+([A-Z][a-z]+)*")
_NAMES = re.compile(r"(^|[_.-])(id|ids|uuid|guid|key|code|ref|slug|name|login|handle|symbol|sku|number|no)$"
                    r"|[a-z](Id|ID|Ids|Uuid|Key|Code|Ref|Slug|Name|Number)$", re.IGNORECASE)  # fmt: skip
_IDS = frozenset({"", "id", "uuid", "guid", "ids", "ref", "key", "number", "no"})


class Hole(NamedTuple):
    """A part of a path that is a value."""

    name: str


class Route(NamedTuple):
    """A template, and the samples that have it."""

    parts: tuple[str | Hole, ...]
    samples: tuple[int, ...]  # their numbers

    @property
    def template(self) -> str:
        """The path as OpenAPI writes it."""
        return "/" + "/".join(f"{{{part.name}}}" if isinstance(part, Hole) else part for part in self.parts)

    @property
    def holes(self) -> dict[str, int]:
        """Which part of the path each parameter is."""
        return {part.name: number for number, part in enumerate(self.parts) if isinstance(part, Hole)}

    @property
    def noun(self) -> str:
        """What the path is about: its last word before its last value, in the singular; `account`."""
        words = [part for part in self.parts if isinstance(part, str) and part]
        last = max(self.holes.values(), default=None)
        if last is not None and last > 0 and isinstance(self.parts[last - 1], str):
            return singular(str(self.parts[last - 1]))
        return singular(words[-1]) if words else ""


class Evidence(NamedTuple):
    """For each sample, and each part of its path: the keys under which it came back before; None where it did not."""

    keys: tuple[tuple[frozenset[str] | None, ...], ...]


def snake(word: str) -> str:
    """Return a part of a path in snake case: `orderItems` is `order_items`."""
    return re.sub(r"[^A-Za-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", unquote(word))).strip("_").lower()


def singular(word: str) -> str:
    """Return a noun in the singular: `accounts` is many an `account`."""
    plain = snake(word)
    if re.search(r"(ss|us|is)$", plain):
        return plain
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"), ("s", "")):
        if plain.endswith(ending) and len(plain) > len(ending) + 1:
            return plain[: -len(ending)] + instead
    return plain


def routes(samples: Sequence[Sample]) -> tuple[list[Route], list[str]]:
    """Find the templates of the paths, in the order of the alphabet; and what is a guess, one sentence each."""
    evidence, guesses = _evidence(samples), list[str]()
    found = sorted(_split(samples, evidence, (), list(range(len(samples))), guesses), key=lambda each: each.template)
    return found, [*guesses, *_words(found)]


def _words(found: Sequence[Route]) -> Iterator[str]:
    """Say where several words stand behind a noun, and may be names that are in the description as they were sent."""
    behind: dict[str, list[str]] = defaultdict(list)
    for *before, last in (route.parts for route in found if len(route.parts) > 1):
        noun = before[-1]
        if isinstance(noun, str) and isinstance(last, str) and noun != "api" and not _VERSION.fullmatch(noun):
            behind[Route(tuple(before), ()).template].append(last)
    for path, words in behind.items():
        if len(words) >= FEW:
            yield f"{path} has {len(words)} paths below it, taken as they were sent: look whether they are names"


def _evidence(samples: Sequence[Sample]) -> Evidence:
    """Find out which parts of paths came back in earlier answers of the same session."""
    known: dict[int, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    room, found = MOST_KNOWN, []
    for sample in samples:
        here = known[sample.session]
        texts = [unquote(part) for part in sample.parts]
        found.append(tuple(frozenset(here[text]) if text in here else None for text in texts))
        for place, value in leaves(sample.answer) if room > 0 and sample.is_accepted else ():
            if may_name(value):
                here[str(value)].add(last_key(place))
                room -= 1
        if sample.location and sample.is_accepted:
            here[unquote(sample.location.partition("?")[0].rstrip("/").rpartition("/")[2])].add("id")
    return Evidence(tuple(found))


def may_name(value: JsonData) -> bool:
    """Say whether a value in a document may name something: a text or an integer of some length."""
    return isinstance(value, str | int) and not isinstance(value, bool) and 0 < len(str(value)) <= LONGEST


def _split(
    samples: Sequence[Sample], evidence: Evidence, before: tuple[str | Hole, ...], here: list[int], guesses: list[str]
) -> Iterator[Route]:
    """Split samples whose paths begin alike by what stands next in them."""
    depth = len(before)
    groups: dict[str, list[int]] = defaultdict(list)
    ended = [number for number in here if len(samples[number].parts) == depth]
    if ended:
        yield Route(before, tuple(ended))
    for number in here:
        if len(samples[number].parts) > depth:
            groups[samples[number].parts[depth]].append(number)
    values, guess = _values(samples, evidence, before, groups)
    merged = sorted(number for value in values for number in groups[value])
    if merged:
        keys = [key for number in merged for key in evidence.keys[number][depth] or ()]
        hole = Hole(_name(before, keys, is_made=any(map(is_id, map(unquote, values)))))
        if guess:
            guesses.append(f"{Route((*before, hole), ()).template}{GUESSED}{len(values)} paths were used alike")
        yield from _split(samples, evidence, (*before, hole), merged, guesses)
    for word, numbers in groups.items():
        if word not in values:
            yield from _split(samples, evidence, (*before, word), numbers, guesses)


def _values(
    samples: Sequence[Sample], evidence: Evidence, before: tuple[str | Hole, ...], groups: Mapping[str, list[int]]
) -> tuple[set[str], bool]:
    """Find out which of the parts that stand side by side are values, and whether that is a guess."""
    depth, values, named = len(before), set[str](), set[str]()
    parts = [part for part in groups if part and not _VERSION.fullmatch(part)]
    is_below = any(isinstance(part, str) and part != "api" and not _VERSION.fullmatch(part) for part in before)
    for part in parts:
        text = unquote(part)
        keys = {key for number in groups[part] for key in evidence.keys[number][depth] or ()}
        came = any(evidence.keys[number][depth] is not None for number in groups[part])
        if is_id(text) or is_covered(text) or (came and is_telling(text)):
            values.add(part)
        elif any(_NAMES.search(key) for key in keys) or (keys and singular(str(before[-1] if before else "")) in keys):
            named.add(part)
    if named and (is_below or len(named) > 1):
        values |= named
    rest = [part for part in parts if part not in values]
    if values and is_below:
        ways = {_way(samples[number], depth) for value in values for number in groups[value]}
        alike = {part for part in rest if {_way(samples[number], depth) for number in groups[part]} <= ways}
        odd = {
            part for part in rest
            if (part in alike and not _WORD.fullmatch(part))
            or all(samples[number].status in MISSING for number in groups[part])
        }  # fmt: skip
        values |= odd | (alike if len(alike - odd) >= SEVERAL else set())
        return values, False
    if not values and is_below and len(rest) >= MANY:
        ends = all(len(samples[number].parts) == depth + 1 for part in rest for number in groups[part])
        used = {frozenset(_way(samples[number], depth) for number in groups[part]) for part in rest}
        if ends and len(used) == 1:
            return set(rest), True
    return values, False


def _way(sample: Sample, depth: int) -> tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Say how a path is used: the method, what follows in the path, and the keys of what was sent and answered."""
    body, answer = sample.body, sample.answer
    after = tuple("" if is_id(part) else part for part in sample.parts[depth + 1 :])
    told = tuple(sorted(answer)) if isinstance(answer, dict) and sample.is_accepted else ()
    return sample.method, after, tuple(sorted(body)) if isinstance(body, dict) else (), told


def _name(before: tuple[str | Hole, ...], keys: list[str], *, is_made: bool) -> str:
    """Name a parameter: by the word before it, or by the key under which its values came back."""
    noun = singular(before[-1]) if before and isinstance(before[-1], str) else ""
    ranked = sorted(set(keys), key=lambda each: (-keys.count(each), each))
    key = next((each for each in ranked if _NAMES.search(each)), "")
    plain = re.sub(r"[^A-Za-z0-9]+", "_", key).strip("_")
    if plain.lower() not in _IDS:
        name = plain
    elif is_made or plain:
        name = f"{noun}_id" if noun else "id"
    else:
        name = "name"
    taken = {part.name for part in before if isinstance(part, Hole)}
    return name if name not in taken else next(f"{name}_{n}" for n in range(2, 99) if f"{name}_{n}" not in taken)
