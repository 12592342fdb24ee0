"""Guessing observations: what a service would have to show so that the checks of a model hold.

Nobody is asked, so what a check compares is looked at instead. It is held against an observation with nothing in it,
and where it does not hold, the two sides that it compared say what belongs into the observation: those of `same(...)`,
of `assert one == other`, or of the `if one != other:` around a `fail(...)`. Where that leads nowhere, what stands in
the state is tried.
"""

import ast
import functools
from collections.abc import Callable, Iterator
from enum import Enum
from itertools import islice
from types import CodeType, FrameType, TracebackType
from typing import Any, Union, get_args, get_origin

from replaykit.command import Observation, Ref
from replaykit.difference import same
from replaykit.dispatch import members_of
from replaykit.errors import is_fault
from replaykit.lint.passage import tree_of
from replaykit.model import Model, fail
from replaykit.value import fields_of, is_record_type

ROUNDS = 12  # times that all checks of one observation are held against it
TRIES = 60  # values of the state that are tried for one check

_PARTS = 2  # sides of a comparison, and members of a pair


def blank(kind: type[Any]) -> Any:
    """Make a record of a kind with as little in it as can be."""
    values = {name: _nothing(annotation) for name, annotation, _, _ in fields_of(kind)}
    return kind.model_construct(**values)


def shown_for(kind: type[Observation], names: list[str], state: Model) -> tuple[Observation, set[str]]:
    """Make an observation for which the checks of these names hold, and list those for which none was found."""
    seen: Observation = blank(kind)
    unsolved: set[str] = set()
    for _ in range(ROUNDS):
        are_held = True
        for name in names:
            error = None if name in unsolved else raised(state, name, seen)
            if error is None:
                continue
            are_held = False
            better = _mended(seen, error, state, lambda each, name=name: raised(state, name, each))  # type: ignore[misc]
            if better is None:
                unsolved.add(name)
            else:
                seen = better
        if are_held:
            return seen, unsolved
    return seen, unsolved | {name for name in names if raised(state, name, seen) is not None}


def raised(state: Model, name: str, seen: Observation | None = None) -> BaseException | None:
    """Hold a check against an observation, and an invariant against a state; return what it raises."""
    method = getattr(state, name)
    try:
        method() if seen is None else method(seen)
    except BaseException as error:
        if not is_fault(error):
            raise
        return error
    return None


def _mended(
    seen: Observation, error: BaseException, state: Model, ask: Callable[[Observation], BaseException | None]
) -> Observation | None:
    """Put into an observation what a check found to be missing; None where nothing helps."""
    sides = _sides(error)
    found: Observation | None = None
    for changed in _candidates(seen, sides):
        after = ask(changed)
        if after is None:
            return changed
        if found is None and _place(after) != _place(error):  # it came further
            found = changed
    if found is not None:
        return found
    for changed in islice(_from_state(seen, state), TRIES):
        if ask(changed) is None:
            return changed
    return None


def _place(error: BaseException) -> tuple[type, tuple[int, ...]]:
    return type(error), tuple(frame.f_lineno if line is None else line for frame, line in _frames(error))


def _frames(error: BaseException) -> list[tuple[FrameType, int]]:
    found, step = [], error.__traceback__
    while isinstance(step, TracebackType):
        found.append((step.tb_frame, step.tb_lineno))
        step = step.tb_next
    return found


def _sides(error: BaseException) -> list[Any]:
    """Return the two values that a check compared, as far as that can be told."""
    frames = _frames(error)
    for frame, _ in frames:
        if frame.f_code is same.__code__:
            return [frame.f_locals["actual"], frame.f_locals["expected"]]
    if frames and frames[-1][0].f_code is fail.__code__:
        frames.pop()
        return _compared(*frames[-1], ast.If) if frames else []
    return _compared(*frames[-1], ast.Assert) if frames and isinstance(error, AssertionError) else []


def _compared(frame: FrameType, line: int, kind: type[ast.If] | type[ast.Assert]) -> list[Any]:
    """Evaluate both sides of the comparison that a statement makes."""
    names = {**frame.f_globals, **frame.f_locals}
    try:
        sides = _sides_in(frame.f_code.co_filename, line, kind.__name__)
        return [eval(side, names) for side in sides]  # noqa: S307  the user's own source
    except Exception:  # noqa: BLE001  the user's code
        return []


@functools.lru_cache(maxsize=1024)
def _sides_in(file: str, line: int, kind: str) -> tuple[CodeType, ...]:
    """Find both sides of the comparison that the statement in a line makes, the innermost one."""
    tree = tree_of(file)
    nodes = [
        node
        for node in (ast.walk(tree) if tree is not None else ())
        if isinstance(node, ast.If | ast.Assert)
        and type(node).__name__ == kind
        and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    test = nodes[-1].test if nodes else None
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return ()
    return tuple(compile(ast.Expression(side), "<check>", "eval") for side in (test.left, test.comparators[0]))


def _candidates(seen: Observation, sides: list[Any]) -> Iterator[Observation]:
    """Put each side of a comparison in the place of each field: first of the one that is the other side."""
    if len(sides) != _PARTS:
        return
    pairs = [(sides[0], sides[1]), (sides[1], sides[0])]
    fields = list(fields_of(type(seen)))
    fields.sort(key=lambda field: not any(getattr(seen, field[0]) is each for each, _ in pairs))
    for name, annotation, _, _ in fields:
        for own, other in pairs:
            for value in _fitting(annotation, other):
                yield seen.model_copy(update={name: value})
            if is_record_type(annotation):
                inner = getattr(seen, name)
                for changed in _candidates(inner, [own, other]):
                    yield seen.model_copy(update={name: changed})


def _from_state(seen: Observation, state: Model) -> Iterator[Observation]:
    """Put what stands in a state in the place of each field."""
    values = [getattr(state, name) for name in type(state).model_fields]
    for value in list(values):
        if isinstance(value, dict | list | set | tuple):
            values.append(len(value))
        if isinstance(value, dict) and value and all(is_record_type(type(each)) for each in value.values()):
            fields = type(next(iter(value.values()))).model_fields
            values += [{key: getattr(each, name) for key, each in value.items()} for name in fields]
            values += [[getattr(each, name) for each in value.values()] for name in fields]
    for name, annotation, _, _ in fields_of(type(seen)):
        for value in values:
            for fitting in _fitting(annotation, value):
                yield seen.model_copy(update={name: fitting})


def _fitting(annotation: Any, value: Any) -> Iterator[Any]:
    """Give a value in the forms that a field of this type may have."""
    return (each for each in _formed(annotation, value) if is_of(annotation, each))


def is_of(annotation: Any, value: Any) -> bool:
    """Say whether a value is of a type, as far as its outer parts tell."""
    for kind in members_of(annotation):
        origin, arguments = get_origin(kind) or kind, get_args(kind)
        if not isinstance(origin, type):
            return True
        if origin is float and isinstance(value, int):
            return True
        if not isinstance(value, origin):
            continue
        parts = _parts_of(origin, arguments, value)
        if parts is None:
            continue
        if all(is_of(inner, each) for inner, each in parts):
            return True
    return False


def _parts_of(origin: type, arguments: tuple[Any, ...], value: Any) -> list[tuple[Any, Any]] | None:
    """List what is inside of a value, each with its type; None where there is not as much as the type asks for."""
    if not arguments:
        return []
    if origin is dict:
        return [(arguments[index], part) for pair in value.items() for index, part in enumerate(pair)]
    if origin is tuple and arguments[-1] is not ...:
        return list(zip(arguments, value, strict=True)) if len(arguments) == len(value) else None
    return [(arguments[0], each) for each in value] if origin in (list, set, frozenset, tuple) else []


def _formed(annotation: Any, value: Any) -> Iterator[Any]:
    for kind in members_of(annotation):
        origin = get_origin(kind) or kind
        items = value.items() if isinstance(value, dict) else value
        if origin in (list, tuple, set, frozenset) and isinstance(value, dict | list | tuple | set | frozenset):
            [item, *_] = [*get_args(kind), Any]
            yield from _filled(origin, [_row(item, each) for each in items])
            if isinstance(value, dict):
                yield from _filled(origin, [_row(item, each) for each in value])
        elif origin is dict and isinstance(value, dict):
            text_keys = get_args(kind)[:1] == (str,)
            yield {str(key) if text_keys else key: _row((*get_args(kind), Any)[1], each) for key, each in items}
        elif isinstance(origin, type) and isinstance(value, origin):
            yield value
        elif origin is float and isinstance(value, int):
            yield float(value)
        elif origin is str and isinstance(value, Ref):
            yield str(value)


def _filled(origin: Any, items: list[Any]) -> Iterator[Any]:
    try:
        yield origin(items)
    except TypeError:  # of a set, where an item can't be in one
        return


def _row(kind: Any, item: Any) -> Any:
    """Make a record of what a check makes of its fields: a tuple of them, or a dict."""
    if not is_record_type(kind) or isinstance(item, kind):
        return item
    names = list(kind.model_fields)
    if isinstance(item, dict):
        return kind.model_construct(**item)
    if isinstance(item, tuple | list) and len(item) == len(names):
        return kind.model_construct(**dict(zip(names, item, strict=True)))
    if len(names) == 1:
        return kind.model_construct(**{names[0]: item})
    if isinstance(item, tuple | list) and len(item) == _PARTS and is_record_type(type(item[1])):  # of a dict in a state
        known = {name: getattr(item[1], name) for name in names if hasattr(item[1], name)}
        missing = [name for name in names if name not in known]
        return kind.model_construct(**known, **dict.fromkeys(missing[:1], item[0]))
    return item


def _nothing(annotation: Any) -> Any:
    """Return the least that a field of this type may hold."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Union or isinstance(annotation, type(int | str)):
        return None if type(None) in arguments else _nothing(arguments[0])
    if origin is Ref:
        return Ref(f"{arguments[0].tag}@none")
    kind = origin or annotation
    if kind is tuple and arguments and arguments[-1] is not ...:
        return tuple(_nothing(each) for each in arguments)
    if kind in (list, dict, set, frozenset, tuple, int, str, float, bool, bytes):
        return kind()
    if is_record_type(kind):
        return blank(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    return arguments[0] if arguments else None  # of a Literal, its first one
