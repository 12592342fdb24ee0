"""Why a run failed: what was expected beside what was seen, with the difference marked."""

import json
import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import NamedTuple

from replaykit.change import NOTHING, Change, changes, shown
from replaykit.report.bodies import laid_out
from replaykit.report.steps import call_text, count
from replaykit.trace import Trace
from replaykit.value import JsonData, Record
from replaykit.verdict import Failure

MOST_PLACES = 20
MOST_WORDS = 400  # that are held against one another
_LIKE = 0.3  # how much of two texts has to be alike, for the difference to be worth marking
_LONG = 4_000  # characters of a value
_WORD = re.compile(r"\w+|\s+|[^\w\s]")


class Part(NamedTuple):
    """A part of a text, and whether the other text has something else there."""

    text: str
    differs: bool


class Place(Record):
    """A place where two documents are not alike; a side that is not there is None."""

    path: str
    before: str | None
    after: str | None


class Why(Record):
    """Why a run failed."""

    kind: str
    name: str
    message: str  # empty where all of it is said by what follows
    expected: tuple[Part, ...] = ()  # empty where nothing is known to have been expected
    seen: tuple[Part, ...] = ()
    places: tuple[Place, ...] = ()
    places_left_out: int = 0
    is_bug: bool = True  # false: a fault of the test code
    traceback: str | None = None


def why(failure: Failure) -> Why:
    """Tell why a run failed."""
    expected, seen = failure.expected, failure.actual
    sides: tuple[tuple[Part, ...], tuple[Part, ...]] = (), ()
    places: list[Place] = []
    left = 0
    if expected is not None or seen is not None:
        are_texts = isinstance(expected, str) and isinstance(seen, str)
        texts = [_text(each) for each in (expected, seen)]
        sides = marked(*texts)
        if not are_texts and expected is not None and seen is not None:
            places, left = places_of(expected, seen, MOST_PLACES)
    return Why(
        kind=failure.kind.replace("_", " "),
        name=failure.name[:_LONG],
        message="" if failure.message == f"expected {expected}, got {seen}" else failure.message[:_LONG],
        expected=sides[0],
        seen=sides[1],
        places=tuple(places),
        places_left_out=left,
        is_bug=failure.is_finding,
        traceback=None if failure.traceback is None else failure.traceback[-_LONG:],
    )


def where(failure: Failure, trace: Trace) -> str:
    """Say where in a run it failed."""
    if failure.step is None:
        return "at the end" if trace.steps else "before the first step"
    call = next((step.call for step in trace.steps if step.call.label == failure.step), None)
    return f"in step [{failure.step}]" + ("" if call is None else f" {call_text(call)}")


def places_of(before: JsonData, after: JsonData, most: int) -> tuple[list[Place], int]:
    """List the places where two documents differ, and say how many more there are."""
    listed: list[Place] = []
    left = 0
    for change in changes(before, after):
        if len(listed) < most:
            listed.append(_place(change))
        else:
            left += 1
    return listed, left


def _place(change: Change) -> Place:
    before, after = (None if each is NOTHING else shown(each) for each in (change.before, change.after))
    return Place(path=change.place.removeprefix("$").removeprefix(".") or "all of it", before=before, after=after)


def _text(value: JsonData) -> str:
    if value is None:
        return ""
    said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    said = said if isinstance(value, str) else laid_out(said)
    return said if len(said) <= _LONG else f"{said[:_LONG]}... ({count(len(said), 'character')})"


def marked(before: str, after: str) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """Mark in two texts the words that the other one has not."""
    if not before or not after:
        return tuple(Part(each, differs=True) for each in [before] if each), tuple(
            Part(each, differs=True) for each in [after] if each
        )
    one, other = _WORD.findall(before), _WORD.findall(after)
    if max(len(one), len(other)) > MOST_WORDS:
        return (Part(before, differs=False),), (Part(after, differs=False),)
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    if matcher.ratio() < _LIKE:
        return (Part(before, differs=True),), (Part(after, differs=True),)
    codes = matcher.get_opcodes()
    left = ((kind != "equal", one[start:stop]) for kind, start, stop, _, _ in codes)
    right = ((kind != "equal", other[start:stop]) for kind, _, _, start, stop in codes)
    return tuple(_parts(left)), tuple(_parts(right))


def _parts(runs: Iterator[tuple[bool, list[str]]]) -> Iterator[Part]:
    for differs, words in runs:
        if words:
            yield Part("".join(words), differs=differs)
