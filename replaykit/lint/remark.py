"""Remarks: what lint has to say, each with a code, a level, a place, and what to do.

The first digit of a code is its family: 1 never generated, 2 never checked, 3 does not meet, 4 outside of the domain,
5 shown by a mock run. A code never changes its meaning; docs/reference/lint.md has a paragraph for each.
"""

from collections.abc import Iterable
from typing import Literal, TypeAlias

from replaykit.lint.passage import Passage
from replaykit.value import Record

Level: TypeAlias = Literal["error", "warning", "note"]

LEVELS: dict[str, Level] = {
    "RK101": "error",  # a ref to what nothing makes
    "RK102": "warning",  # a precondition that is never true
    "RK103": "warning",  # never drawn
    "RK104": "error",  # a generator that has no values
    "RK105": "warning",  # always the same value
    "RK106": "warning",  # a pool in which nothing meets
    "RK107": "warning",  # members that are never drawn
    "RK108": "note",  # an answer that no run came to
    "RK201": "error",  # a model that checks nothing
    "RK202": "warning",  # a command that nothing is held to
    "RK203": "note",  # a part of an answer that nobody looks at
    "RK204": "warning",  # what a command does is not looked at
    "RK205": "note",  # any answer will do
    "RK206": "warning",  # a check with nothing in it that could fail
    "RK207": "warning",  # a check that nothing makes fail
    "RK208": "warning",  # a check that is never looked at
    "RK209": "note",  # a part of an observation that nobody looks at
    "RK210": "warning",  # a part of the state that nobody reads
    "RK211": "warning",  # a part of the state that never changes
    "RK301": "error",  # no handler
    "RK302": "warning",  # a handler without a command
    "RK303": "warning",  # a reader without a check
    "RK304": "warning",  # what was made is forgotten
    "RK305": "warning",  # an @on for what nobody returns
    "RK306": "warning",  # an expectation that nobody can meet
    "RK307": "warning",  # nobody resets the service
    "RK308": "warning",  # nobody finds out what became of a command
    "RK309": "warning",  # an argument that is never sent
    "RK401": "error",  # a value that the type refuses
    "RK402": "error",  # a value that its own generator does not know
    "RK403": "error",  # a simpler value outside of the domain
    "RK404": "error",  # a value that is no JSON
    "RK405": "warning",  # a default or an example outside of the domain
    "RK501": "error",  # the model contradicts itself
    "RK502": "error",  # the model raises
    "RK503": "note",  # what could not be looked at
    "RK504": "error",  # a question that changes the state
    "RK505": "error",  # an answer that changes from one question to the next
}


class Remark(Record):
    """One thing that lint has to say."""

    code: str
    level: Level
    file: str  # as Python knows it; empty where the source is not known
    line: int  # from 1; 0 where the source is not known
    name: str  # of what it is about: Bank.balances_match
    what: str
    todo: str
    shown: tuple[str, ...] = ()  # lines that show it: the calls of a mock run


def remark(code: str, place: Passage, what: str, todo: str, shown: Iterable[str] = ()) -> Remark:
    """Make a remark about a place in the user's code."""
    return Remark(
        code=code,
        level=LEVELS[code],
        file=place.file,
        line=place.line,
        name=place.name,
        what=what,
        todo=todo,
        shown=tuple(shown),
    )
