"""What nobody reads or writes, as the source says: checks that look at nothing, state that nobody needs."""

import ast
from collections.abc import Iterator
from typing import get_args, get_origin

from replaykit.command import Entity, Event, Ref
from replaykit.fault import Fault
from replaykit.lint import passage
from replaykit.lint.drawing import entities_named
from replaykit.lint.rehearsal import Rehearsals, asked_of, events_of
from replaykit.lint.remark import Remark, remark
from replaykit.model import Check, Model
from replaykit.value import State, fields_of, frozen, is_record_type

_HARMLESS = {  # calls that raise nothing
    "abs", "all", "any", "bool", "dict", "enumerate", "items", "keys", "len", "list", "max", "min", "range", "set",
    "sorted", "str", "sum", "tuple", "values", "zip",
}  # fmt: skip


def remarks(rehearsals: Rehearsals) -> Iterator[Remark]:
    """Say which checks look at nothing, or never, and which parts of the state nobody reads or changes."""
    model = rehearsals.model
    checks = {each.name: each for each in model.rules.checks}
    for name in [*model.rules.invariants, *checks]:
        yield from _toothless(model, name)
    for name, check in checks.items():
        yield from _never_looked_at(rehearsals, name, check)
    yield from _unread_state(model)
    yield from _unchanged_state(rehearsals)


def _toothless(model: type[Model], name: str) -> Iterator[Remark]:
    function = passage.function_of(model, name)
    if function is None:
        return
    place = passage.of_method(model, name)
    if not any(_may_raise(node) for each in function.body for node in ast.walk(each)):
        yield remark(
            "RK206", place, f"{name} raises nothing, asserts nothing and calls nothing that could: it can't fail.",
            "Use assert, same(...) or fail(...).",
        )  # fmt: skip
        return
    names = {node.id for each in function.body for node in ast.walk(each) if isinstance(node, ast.Name)}
    known = {each.arg for each in function.args.args}
    if not names & known:
        yield remark(
            "RK206", place, f"{name} looks neither at the state nor at what was observed.",
            "Compare something of self with something that was observed.",
        )  # fmt: skip
    for statement, after in zip(function.body, function.body[1:], strict=False):
        if isinstance(statement, ast.Return | ast.Raise):
            yield remark(
                "RK206", place, f"{name} is left in line {statement.lineno}, before line {after.lineno} is looked at.",
                "Take out the return, or put it under a condition.",
            )  # fmt: skip


def _may_raise(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        called = node.func
        return getattr(called, "attr", getattr(called, "id", "")) not in _HARMLESS
    return isinstance(node, ast.Raise | ast.Assert)


def _never_looked_at(rehearsals: Rehearsals, name: str, check: Check) -> Iterator[Remark]:
    """Say why a check is never looked at."""
    model, why = rehearsals.model, ""
    events = {event for each in asked_of(model) for event in events_of(rehearsals.adapter, each)}
    kinds = {*model.commands, *(events or _all_events())}
    if check.on and not any(issubclass(each, check.on) for each in kinds):
        why = f"{model.__name__} has neither a command nor an event of {', '.join(each.__name__ for each in check.on)}"
    faults = [each for each in model.commands if issubclass(each, Fault)]
    if check.during and not any(issubclass(each, check.during) for each in faults):
        why = f"none of the faults that it is for is among the commands of {model.__name__}"
    is_left_out = name in rehearsals.unsolved or check.during
    was_run = rehearsals.runs > 0 and rehearsals.is_whole
    if not why and was_run and not is_left_out and not rehearsals.tally["check", name]:
        why = f"it was looked at in none of {rehearsals.runs} mock runs (seed {rehearsals.seed})"
    if why and not passage.is_of_another(model, name):
        yield remark(
            "RK208", passage.of_method(model, name), f"{name} is never looked at: {why}.",
            "Change on=, every= or during=, or what the model asks.",
        )  # fmt: skip


def _all_events() -> set[type[Event]]:
    found, waiting = set[type[Event]](), [Event]
    while waiting:
        each = waiting.pop()
        found.add(each)
        waiting += each.__subclasses__()
    return found


# --- the state ----------------------------------------------------------------------------------


def _unread_state(model: type[Model]) -> Iterator[Remark]:
    """Say which fields of the model and its entities no method reads."""
    kinds = [model, *_states_in(model)]
    if not all(map(passage.is_known, kinds)):
        return
    functions = [each for kind in kinds for _, each in passage.functions_of(kind, _base_of(kind))]
    if any(_is_opaque(each) for each in functions):
        return
    read = {name for each in functions for name in _read_in(each)}
    wanted = {entity.tag for command in model.commands for entity in entities_named(command)}
    needed = {name for tag in wanted for name in model.rules.candidates.get(tag, ())}
    outside = _read_outside(model)
    for kind in kinds:
        for name in kind.model_fields:
            if name not in read | needed | outside:
                yield remark(
                    "RK210", passage.of_field(kind, name), f"Nobody reads {kind.__name__}.{name}.",
                    "Compare it with the service in a check, or take it out of the state.",
                )  # fmt: skip


def _base_of(kind: type) -> type:
    return next(each for each in (Model, Entity, State, object) if issubclass(kind, each))


def _states_in(kind: type[State]) -> list[type[State]]:
    """List the states that a state holds, entities most of all."""
    found: list[type[State]] = []
    waiting = [kind]
    while waiting:
        each = waiting.pop()
        for _, annotation, _, _ in fields_of(each):
            for inner in _classes_in(annotation):
                if issubclass(inner, State) and inner not in found:
                    found.append(inner)
                    waiting.append(inner)
    return found


def _classes_in(annotation: object) -> Iterator[type]:
    if get_origin(annotation) is Ref:
        return
    if is_record_type(annotation):
        yield annotation
    for each in get_args(annotation):
        yield from _classes_in(each)


def _read_outside(model: type[Model]) -> set[str]:
    """List the names that functions beside the model's classes read, in the same modules."""
    found: set[str] = set()
    for base in model.__mro__[: model.__mro__.index(Model)]:
        tree = passage.tree_of(passage.of_class(base).file)
        for node in tree.body if tree is not None else ():
            if isinstance(node, ast.FunctionDef):
                found |= set(_read_in(node))
    return found


def _is_opaque(function: ast.FunctionDef) -> bool:
    """Say whether a method may read anything: what it asks for is not written there."""
    names = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    attributes = {node.attr for node in ast.walk(function) if isinstance(node, ast.Attribute)}
    return bool(names & {"getattr", "vars"} or attributes & {"model_dump", "model_dump_json", "__dict__"})


def _read_in(function: ast.FunctionDef) -> Iterator[str]:
    """List the attributes that a function reads otherwise than to change them."""
    parents = passage.parents_in(function)
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and not _is_changed(node, parents):
            yield node.attr


def _is_changed(node: ast.Attribute, parents: dict[int, ast.AST]) -> bool:
    """Say whether an attribute is read only to change it: x.a[b] = c, x.a.append(b), as a statement of its own."""
    parent = parents.get(id(node))
    if isinstance(parent, ast.Subscript) and parent.value is node and isinstance(parent.ctx, ast.Store | ast.Del):
        return True
    call = parents.get(id(parent))
    statement = parents.get(id(call))
    return (
        isinstance(parent, ast.Attribute)
        and isinstance(call, ast.Call)
        and call.func is parent
        and isinstance(statement, ast.Expr)
        and parent.attr in _CHANGING
    )


_CHANGING = {"append", "add", "extend", "insert", "remove", "discard", "pop", "clear", "update", "setdefault", "sort"}


def _unchanged_state(rehearsals: Rehearsals) -> Iterator[Remark]:
    """Say which fields of the state never change, neither in the source nor in a run."""
    model = rehearsals.model
    if not rehearsals.exchanges or not passage.is_known(model):
        return
    functions = [each for _, each in passage.functions_of(model, Model)]
    written = {name for each in functions for name in _written_in(each)}
    first = rehearsals.stand_in()
    for name in model.model_fields:
        start = frozen(getattr(first, name))
        if name in written or any(frozen(getattr(each.after, name)) != start for each in rehearsals.exchanges):
            continue
        yield remark(
            "RK211",
            passage.of_field(model, name),
            f"{model.__name__}.{name} never changes: no @on method writes it, and it was the same in "
            f"{rehearsals.runs} mock runs.",
            "Write an @on method that changes it; what never changes is a constant beside the model, or a ClassVar.",
        )


def _written_in(function: ast.FunctionDef) -> Iterator[str]:
    parents = passage.parents_in(function)
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and (
            isinstance(node.ctx, ast.Store | ast.Del) or _is_changed(node, parents)
        ):
            yield node.attr
