"""Pattern: texts that match a regular expression, and which expressions can be asked of a text at all.

Expressions of a description are ECMAScript's (JSON Schema 2020-12, section 6.4), and are read here as Python's, where
the two mean the same. What only one of them knows is not guessed at: then there is no generator, and no text is judged
by it. Nor is it by an expression in which a repetition stands in a repetition: some of those take for ever.
"""

import re
from collections.abc import Iterable
from typing import Any

from replaykit import gen
from replaykit.generator import ASCII, DIGITS, LETTERS, Generator

try:  # the parser of `re` is no public module, and has been the same for a long time
    from re import _constants as _c  # type: ignore[attr-defined]
    from re import _parser  # type: ignore[attr-defined]
except ImportError:  # pragma: no cover
    _c = _parser = None

MOST_MORE = 8  # repetitions beyond the least, where there is no limit
MAX_PATTERN = 1000  # characters
MAX_REPEATS = 10_000

_CLASSES = {"d": DIGITS, "w": LETTERS + DIGITS + "_", "s": " "}
_FOREIGN = re.compile(r"\\[pPuc]|\\k<|\(\?<[A-Za-z]|\(\?[^:=!<]|\[\^?\]")  # known to one of the two alone


def judged(pattern: str) -> re.Pattern[str] | None:
    """Return what tells whether a text matches; None where that can't be told, or not in time."""
    tree = _parsed(pattern)
    if tree is None or _is_slow(tree, inside=False):
        return None
    if pattern.endswith("$") and not pattern.endswith("\\$"):
        pattern = pattern[:-1] + r"\Z"  # in Python, $ leaves room for the end of a line
    return re.compile(pattern, re.NOFLAG if "\\s" in pattern.lower() else re.ASCII)


def matching(pattern: str, min_size: int = 0, max_size: int | None = None) -> Generator | None:
    """Give texts that match, of so many characters; None where the expression is not one of those that are known."""
    tree, judge = _parsed(pattern), judged(pattern)
    if tree is None or judge is None:
        return None
    parts = list(tree)
    open_start = not (parts and parts[0] == (_c.AT, _c.AT_BEGINNING))
    open_end = not (parts and parts[-1] == (_c.AT, _c.AT_END))
    try:
        made = _sequence(parts[0 if open_start else 1 : None if open_end else -1])
    except _UnknownError:
        return None
    around = gen.text(LETTERS + DIGITS, max_size=3)
    generator = _joined([*([around] if open_start else []), made, *([around] if open_end else [])])

    def fits(text: str) -> bool:
        return min_size <= len(text) and (max_size is None or len(text) <= max_size) and judge.search(text) is not None

    return gen.filter(generator, fits)


class _UnknownError(Exception):
    """An expression holds what no generator is known for."""


def _parsed(pattern: str) -> Any:
    if _parser is None or len(pattern) > MAX_PATTERN or _FOREIGN.search(pattern):
        return None
    try:
        re.compile(pattern)
        return _parser.parse(pattern)
    except (re.error, OverflowError, RecursionError):
        return None


def _is_slow(tree: Any, *, inside: bool) -> bool:
    for op, argument in tree:
        if op in {_c.MAX_REPEAT, _c.MIN_REPEAT}:
            many = argument[1] > 1
            if (inside and many) or argument[0] > MAX_REPEATS or _is_slow(argument[2], inside=inside or many):
                return True
        elif op is _c.SUBPATTERN:
            if _is_slow(argument[-1], inside=inside):
                return True
        elif op is _c.BRANCH:
            if any(_is_slow(branch, inside=inside) for branch in argument[1]):
                return True
        elif op in {_c.ASSERT, _c.ASSERT_NOT} and _is_slow(argument[1], inside=inside):
            return True
    return False


def _sequence(parts: Iterable[Any]) -> Generator:
    return _joined([_one(op, argument) for op, argument in parts])


def _one(op: Any, argument: Any) -> Generator:
    if op is _c.LITERAL:
        return gen.const(chr(argument))
    if op is _c.IN:
        return gen.char(_characters(argument))
    if op is _c.NOT_LITERAL:
        return gen.char(ASCII.replace(chr(argument), ""))
    if op is _c.ANY:
        return gen.char(ASCII)
    if op is _c.SUBPATTERN:
        return _sequence(argument[-1])
    if op is _c.BRANCH:
        return gen.choice(*(_sequence(branch) for branch in argument[1]))
    if op in {_c.MAX_REPEAT, _c.MIN_REPEAT}:
        least, most, inner = argument
        most = least + MOST_MORE if most is _c.MAXREPEAT else int(most)
        if most > MAX_REPEATS:
            raise _UnknownError
        return gen.text(_sequence(inner), min_size=int(least), max_size=most)
    raise _UnknownError


def _characters(members: Iterable[Any]) -> str:
    found, negated = "", False
    for op, argument in members:
        if op is _c.NEGATE:
            negated = True
        elif op is _c.LITERAL:
            found += chr(argument)
        elif op is _c.RANGE:
            low, high = argument
            found += "".join(map(chr, range(low, min(high, low + 500) + 1)))
        elif op is _c.CATEGORY:
            found += _category(argument)
        else:
            raise _UnknownError
    chosen = "".join(each for each in ASCII if each not in found) if negated else found
    if not chosen:
        raise _UnknownError
    return chosen


def _category(category: Any) -> str:
    name = str(category).rsplit("_", 1)[-1].lower()
    known = {"digit": "d", "word": "w", "space": "s"}.get(name)
    if known is None:
        raise _UnknownError
    if "_NOT_" in str(category):
        return "".join(each for each in ASCII if each not in _CLASSES[known])
    return _CLASSES[known]


def _joined(parts: list[Generator]) -> Generator:
    if len(parts) == 1:
        return parts[0]
    return gen.map(gen.tuple(*parts), _concatenated)


def _concatenated(parts: list[str]) -> str:
    return "".join(parts)
