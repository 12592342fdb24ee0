"""Dispatch: which method is about which message, read from decorators and annotations.

Models and adapters are classes whose methods are found by what they take, not by what they are called.
Everything here happens once, when such a class is made, and mistakes are told then.
"""

import ast
import inspect
import textwrap
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeGuard, TypeVar, Union, get_args, get_origin, get_type_hints

from replaykit.errors import DefinitionError

F = TypeVar("F", bound=Callable[..., Any])

_MARK = "__replaykit__"
_BUDGET = "__replaykit_within__"

LONGEST = 1e9  # seconds that a budget may have


@dataclass(frozen=True, slots=True)
class Mark:
    """What a decorator says of a method."""

    role: str
    every: int = 1  # steps
    on: tuple[type, ...] = ()
    at: str = "step"
    during: tuple[type, ...] = ()  # kinds of faults
    relax: tuple[type, ...] = ()
    within: float = 0.0  # seconds that it may take to hold
    pause: float = 0.0  # seconds between two looks


def marked(method: F, mark: Mark) -> F:
    """Attach a mark to a method; raise DefinitionError for what is none, or is marked already."""
    if not callable(method):
        raise DefinitionError(
            f"@{mark.role}({method!r}) decorates no method.", "Options are named, as in @eventually(within=...)."
        )
    if hasattr(method, _MARK):
        raise DefinitionError(
            f"{method.__qualname__} has two decorators of replaykit.", "Give each of them a method of its own."
        )
    if mark.role != "handles" and hasattr(method, _BUDGET):
        raise _misplaced(method.__qualname__)
    setattr(method, _MARK, mark)
    return method


def budgeted(method: F, seconds: float) -> F:
    """Attach a budget to a handler, beside its mark; raise DefinitionError for what is none, or has one already."""
    if not callable(method):
        raise DefinitionError(f"@within(...) decorates {method!r}, which is no method.", "Write it above a handler.")
    mark = getattr(method, _MARK, None)
    if mark is not None and mark.role != "handles":
        raise _misplaced(method.__qualname__)
    if hasattr(method, _BUDGET):
        raise DefinitionError(f"{method.__qualname__} has @within twice.", "Keep one of them.")
    setattr(method, _BUDGET, float(seconds))
    return method


def budget_of(owner: type, name: str) -> float | None:
    """Return the seconds that a method's requests may take; None where it has no budget."""
    budget: float | None = getattr(inspect.getattr_static(owner, name, None), _BUDGET, None)
    return budget


def is_budget(value: object) -> TypeGuard[float]:
    """Say whether a value can be a budget: seconds, more than 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= LONGEST


def _misplaced(place: str) -> DefinitionError:
    return DefinitionError(
        f"{place} has @within, and handles no command.",
        "A budget stands beside @handles; give an endpoint that is only read one with --latency, or in the profile.",
    )


def marked_methods(owner: type) -> list[tuple[str, Mark]]:
    """List the decorated methods of a class, its own after the inherited ones, in the order of their text."""
    names: dict[str, None] = {}
    for base in reversed(owner.__mro__):
        names.update(dict.fromkeys(vars(base)))
    found = []
    for name in names:
        mark = getattr(inspect.getattr_static(owner, name, None), _MARK, None)
        if mark is not None:
            found.append((name, mark))
        elif budget_of(owner, name) is not None:
            raise _misplaced(f"{owner.__name__}.{name}")
    return found


def signature_of(owner: type, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a method's resolved annotations, and those of its parameters; raise DefinitionError."""
    method, place = getattr(owner, name), f"{owner.__name__}.{name}"
    if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
        raise DefinitionError(
            f"{place} is async, and nobody would await it.", "Write it as a plain method: def, not async def."
        )
    try:
        hints = get_type_hints(method)
    except (NameError, AttributeError, TypeError) as error:
        raise DefinitionError(
            f"{place} has an annotation that can't be resolved: {error}.",
            "Define message classes at the top level of a module, and import them outside of TYPE_CHECKING.",
        ) from None
    parameters: dict[str, Any] = {}
    for parameter in list(inspect.signature(method).parameters.values())[1:]:
        if parameter.name not in hints:
            raise DefinitionError(f"{place} has a parameter {parameter.name} without an annotation.", "Annotate it.")
        parameters[parameter.name] = hints[parameter.name]
    return hints, parameters


def only_parameter(
    place: str, parameters: dict[str, Any], base: type, what: str, *, union: bool = True
) -> tuple[type[Any], ...]:
    """Return the message types that a method's only parameter is about; raise DefinitionError."""
    if len(parameters) != 1:
        raise DefinitionError(f"{place} takes {len(parameters)} parameters besides self.", f"It takes one: {what}.")
    [annotation] = parameters.values()
    kinds = members_of(annotation) if union else (annotation,)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, base)):
            raise DefinitionError(
                f"{place} is about {kind!r}, which is no {base.__name__}.",
                f"Annotate its parameter with {what}: a subclass of {base.__name__}.",
            )
    return kinds


def members_of(annotation: Any) -> tuple[Any, ...]:
    """List the members of a union; any other annotation is its only member."""
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def check_returns_nothing(owner: type, name: str, place: str, hints: dict[str, Any]) -> None:
    """Raise DefinitionError if a check can return a value: it would look like a verdict, and pass."""
    todo = "It holds if it does not raise: use assert, fail(...) or same(...), and return nothing."
    if hints.get("return") not in (None, type(None)):
        raise DefinitionError(f"{place} is annotated to return a value.", todo)
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(getattr(owner, name))))
    except (OSError, TypeError, SyntaxError, IndentationError):
        return  # without the source, the engine finds it when it happens
    for node in _own_nodes(tree.body[0]):
        value = node.value if isinstance(node, ast.Return) else None
        if value is not None and not (isinstance(value, ast.Constant) and value.value is None):
            raise DefinitionError(f"{place} returns a value in line {value.lineno} of its text.", todo)
        if isinstance(node, ast.Yield | ast.YieldFrom):
            raise DefinitionError(f"{place} is a generator function, which checks nothing.", todo)


def _own_nodes(function: ast.AST) -> Iterable[ast.AST]:
    """Walk a function's own statements, not those of functions inside it."""
    inner = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
    waiting = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        if isinstance(node, inner):
            continue
        yield node
        waiting.extend(ast.iter_child_nodes(node))
