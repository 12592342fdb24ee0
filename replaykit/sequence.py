"""Sequences: labelled calls that are not yet run.

A label is the number of the call in the sequence that was generated first. It survives shrinking, so that
`account@3` means what call 3 made, however many calls around it are gone.

A sequence may end in *branches*, which are run at the same time: after the calls of branch 0, its prefix, stand
those of branch 1, then those of branch 2, and so on. What a branch makes is named in this branch alone.
"""

import json
import re
from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, TypeAlias

from replaykit.value import JsonData, Record

if TYPE_CHECKING:  # whoever only looks at a bundle pays for no model
    from replaykit.command import Refs
    from replaykit.model import Model
    from replaykit.source import Source

MAX_BRANCHES = 64  # threads; a bundle from a stranger may ask for more
MAX_PARALLEL = 128  # calls in branches; the orders of more of them are hardly ever searched to the end


class Call(Record):
    """One command to be asked: its tag and version, its arguments with refs as names.

    `raw` holds, for arguments whose generator is not plain, the value that they were built from.
    """

    label: int
    tag: str
    version: int = 1
    args: dict[str, JsonData] = {}  # noqa: RUF012  pydantic copies it
    raw: dict[str, JsonData] = {}  # noqa: RUF012
    repeats: int | None = None  # the label of the call that is sent again, with its arguments
    twice: bool = False  # sent twice at the same time
    branch: int = 0  # of those that are run at the same time; 0 before them

    @property
    def needs(self) -> set[int]:
        """The labels of the calls whose products it names, or that it repeats."""
        if self.repeats is not None:
            return {self.repeats}
        from replaykit.command import steps_named_in

        return steps_named_in(self.args)


Sequence: TypeAlias = tuple[Call, ...]


def without(sequence: Sequence, labels: Iterable[int]) -> Sequence:
    """Remove calls, and all that depends on them."""
    gone = set(labels)
    kept = []
    for call in sequence:
        if call.label in gone or call.needs & gone:
            gone.add(call.label)
        else:
            kept.append(call)
    return tuple(kept)


def until(sequence: Sequence, label: int) -> Sequence:
    """Cut a sequence after the call with this label."""
    kept = []
    for call in sequence:
        kept.append(call)
        if call.label == label:
            break
    return tuple(kept)


def branches_of(sequence: Sequence) -> tuple[Sequence, ...]:
    """List the branches of a sequence; none where one call comes after the other."""
    calls = sorted([call for call in sequence if call.branch], key=attrgetter("branch"))
    return tuple(tuple(each) for _, each in groupby(calls, attrgetter("branch")))


def renumbered(sequence: Sequence) -> Sequence:
    """Give the branches the numbers from 1 on; a single one is no branch."""
    branches = branches_of(sequence)
    prefix = tuple(call for call in sequence if not call.branch)
    first = 1 if len(branches) > 1 else 0
    numbered = [tuple(call.replace(branch=number) for call in each) for number, each in enumerate(branches, first)]
    return (*prefix, *(call for branch in numbered for call in branch)) if branches else sequence


def interleaved(sequence: Sequence, source: "Source") -> Sequence:
    """Put the calls of all branches one after the other, in some order that keeps that of each branch."""
    waiting = [list(branch) for branch in branches_of(sequence)]
    drawn = []
    while waiting:
        branch = source.pick(waiting)
        drawn.append(branch.pop(0).replace(branch=0))
        waiting = [each for each in waiting if each]
    return (*(call for call in sequence if not call.branch), *drawn)


def said_once(sequence: Sequence) -> Sequence:
    """Leave out what is sent again."""
    return tuple(call.replace(twice=False) if call.twice else call for call in sequence if call.repeats is None)


def one_by_one(sequence: Sequence) -> Sequence:
    """Put the calls of all branches one after the other."""
    return tuple(call.replace(branch=0) if call.branch else call for call in sequence)


class Fixed:
    """A sequence as a source of calls for a run: they come as they are, and nothing is drawn."""

    def __init__(self, sequence: Sequence) -> None:
        self._calls = iter([call for call in sequence if not call.branch])
        self._branches = branches_of(sequence)

    def next(self, state: "Model", refs: "Refs") -> Call | None:  # noqa: ARG002
        """Return the next call; None at the end."""
        return next(self._calls, None)

    def branches(self, state: "Model", refs: "Refs") -> tuple[Sequence, ...]:  # noqa: ARG002
        """Return what is to be run at the same time, after the last call."""
        return self._branches


def identity(sequence: Sequence) -> str:
    """Say what a sequence does, whatever its labels: two with the same identity are the same candidate."""
    places = {str(call.label): index for index, call in enumerate(sequence)}

    def renamed(found: re.Match[str]) -> str:
        return f'"{found[1]}@{places.get(found[2], found[2])}{found[3]}"'

    said = json.dumps([_meaning(call) for call in sequence], sort_keys=True)
    return re.sub(r'"([a-z][a-z0-9_]*)@(\d+)((?:\.\d+)?)"', renamed, said)


def _meaning(call: Call) -> list[JsonData]:
    repeats = None if call.repeats is None else f"{call.tag}@{call.repeats}"  # written as a ref, to be renamed as one
    return [call.tag, call.version, call.args, call.branch, call.twice, repeats]


def call_at(sequence: Sequence, label: int) -> Call | None:
    """Find the call with a label."""
    return next((call for call in sequence if call.label == label), None)


def replaced(sequence: Sequence, calls: dict[int, Call]) -> Sequence:
    """Put other calls in the place of some, by their labels."""
    return tuple(calls.get(call.label, call) for call in sequence)


def closed(sequence: Sequence, labels: set[int]) -> set[int]:
    """Add all calls that some calls need."""
    found, waiting = set(labels), list(labels)
    while waiting:
        call = call_at(sequence, waiting.pop())
        more = (call.needs if call else set()) - found
        found |= more
        waiting += more
    return found
