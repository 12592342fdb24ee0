"""What does not meet: commands without handlers, handlers without commands, events that nobody takes or returns."""

import ast
from collections.abc import Iterator
from typing import Any, get_origin

from replaykit.adapter import Adapter
from replaykit.combinator import Around, Map
from replaykit.command import Command, Event, Ref, Wait, Waited, generators_of
from replaykit.dispatch import members_of, signature_of
from replaykit.fault import Fault, Injected, Lost
from replaykit.generator import Generator, Mint
from replaykit.lint import passage
from replaykit.lint.drawing import entities_in, entities_named, expected_kinds
from replaykit.lint.rehearsal import Rehearsals, asked_of, events_of
from replaykit.lint.remark import Remark, remark
from replaykit.model import Model
from replaykit.value import fields_of

_OURS = (Waited, Injected, Lost)


def remarks(rehearsals: Rehearsals, *, has_reset: bool) -> Iterator[Remark]:
    """Say what does not meet in a model and its adapter; `has_reset`: the project resets the service by itself."""
    model, adapter = rehearsals.model, rehearsals.adapter
    if adapter is None:
        return
    yield from _unhandled(model, adapter)
    if adapter.model is model:  # one that was made for another model has what that one needs
        yield from _unasked(model, adapter)
        yield from _unread(model, adapter)
        yield from _never_returned(model, adapter)
    yield from _forgotten(model, adapter)
    yield from _impossible(model, adapter)
    if not has_reset:
        yield from _never_reset(model, adapter)
    yield from _never_found_out(rehearsals, adapter)
    yield from _never_sent(model, adapter)


def _unhandled(model: type[Model], adapter: type[Adapter[Any]]) -> Iterator[Remark]:
    for command in asked_of(model):
        if command not in adapter.handlers:
            yield remark(
                "RK301",
                passage.of_class(command),
                f"{adapter.__name__} has no handler for {command.__name__}.",
                f"Add a method: @handles def ...(self, cmd: {command.__name__}) -> SomeEvent.",
            )
    for check in model.rules.checks:
        if check.observation is not None and check.observation not in adapter.observers:
            yield remark(
                "RK301",
                passage.of_method(model, check.name),
                f"{check.name} reads {check.observation.__name__}, which {adapter.__name__} can't.",
                f"Add a method: @observes def ...(self) -> {check.observation.__name__}.",
            )


def _unasked(model: type[Model], adapter: type[Adapter[Any]]) -> Iterator[Remark]:
    """Say which handlers an adapter has that its model never asks for; one that was inherited may be for another."""
    offered = set(model.commands)
    for command, name in adapter.handlers.items():
        if name in vars(adapter) and command not in offered and not issubclass(command, Wait):
            yield remark(
                "RK302",
                passage.of_method(adapter, name),
                f"{adapter.__name__}.{name} handles {command.__name__}, which is not among the commands of "
                f"{model.__name__}.",
                f"Add {command.__name__} to `commands`, or remove the handler.",
            )


def _unread(model: type[Model], adapter: type[Adapter[Any]]) -> Iterator[Remark]:
    read = {each.observation for each in model.rules.checks}
    for kind, name in adapter.observers.items():
        if name in vars(adapter) and kind not in read:
            yield remark(
                "RK303",
                passage.of_method(adapter, name),
                f"{adapter.__name__}.{name} reads {kind.__name__}, and no check of {model.__name__} looks at it.",
                f"Write a check: @check def ...(self, seen: {kind.__name__}) -> None, or remove the method.",
            )


def _forgotten(model: type[Model], adapter: type[Adapter[Any]]) -> Iterator[Remark]:
    """Say which events tell of something new that the model does not take note of."""
    kept = set(model.rules.candidates)
    for command in asked_of(model):
        named = entities_named(command)
        for event in events_of(adapter, command):
            if any(issubclass(event, each) for each in model.rules.on):
                continue
            new = [
                entity
                for _, annotation, _, _ in fields_of(event)
                for entity in entities_in(annotation) - named
                if get_origin(annotation) is Ref and entity.tag in kept
            ]
            if new:
                yield remark(
                    "RK304",
                    passage.of_class(event),
                    f"{event.__name__} tells of a new {new[0].__name__}, and no @on method of {model.__name__} takes "
                    "note of it.",
                    f"Write @on def ...(self, event: {event.__name__}) -> None.",
                )


def _returned(model: type[Model], adapter: type[Adapter[Any]]) -> set[type[Event]]:
    found = {event for command in asked_of(model) for event in events_of(adapter, command)}
    for name, _ in adapter.recoverers.values():
        found |= set(members_of(signature_of(adapter, name)[0]["return"])) - {type(None)}
    return found


def _never_returned(model: type[Model], adapter: type[Adapter[Any]]) -> Iterator[Remark]:
    """Say which @on methods wait for what no handler of a command of this model returns."""
    returned = _returned(model, adapter) | set(_OURS)
    for event, name in model.rules.on.items():
        if not any(issubclass(each, event) for each in returned):
            yield remark(
                "RK305",
                passage.of_method(model, name),
                f"{model.__name__}.{name} waits for {event.__name__}, which no handler of its commands returns.",
                f"Return it from a handler (-> ... | {event.__name__}), or remove the method.",
            )


def _impossible(model: type[Model], adapter: type[Adapter[Any]]) -> Iterator[Remark]:
    """Say which expectations no handler can meet."""
    for command in asked_of(model):
        name, possible = model.rules.expects.get(command), events_of(adapter, command)
        if name is None or not possible:
            continue
        many = [each for each in asked_of(model) if model.rules.expects.get(each) == name]
        for kind in expected_kinds(model, name):
            able = [each for each in many if any(issubclass(one, kind) for one in events_of(adapter, each))]
            if not able and command is many[0]:
                yield remark(
                    "RK306",
                    passage.of_method(model, name),
                    f"{name} may expect {kind.__name__}, which the handler of {command.__name__} can't return "
                    f"({', '.join(each.__name__ for each in possible)}).",
                    f"Let the handler return it (-> ... | {kind.__name__}), or expect something else.",
                )


def _never_reset(model: type[Model], adapter: type[Adapter[Any]]) -> Iterator[Remark]:
    """Say that nobody resets the service, where what a run makes is not unique to it."""
    minted = any(_mints(each) for command in model.commands for each in generators_of(command).values())
    if adapter.reset is Adapter.reset and not minted and model.model_fields:
        yield remark(
            "RK307",
            passage.of_class(adapter),
            f"{adapter.__name__} does not reset the service, and {model.__name__} begins each run with nothing.",
            "Write `def reset(self)`, or set reset_url, reset_command or reset_restart in a profile; or make names "
            "unique with gen.mint().",
        )


def _mints(generator: Generator) -> bool:
    inner = generator.inner if isinstance(generator, Around | Map) else generator
    return isinstance(generator, Mint) or (inner is not generator and _mints(inner))


def _never_found_out(rehearsals: Rehearsals, adapter: type[Adapter[Any]]) -> Iterator[Remark]:
    """Say of which commands nobody finds out what became of them, where faults cost answers."""
    model = rehearsals.model
    if not any(issubclass(each, Fault) for each in model.commands):
        return
    effective = {type(each.command) for each in rehearsals.exchanges if each.has_effect}
    for command in asked_of(model):
        if command in effective and not command.idempotent and command not in adapter.recoverers:
            yield remark(
                "RK308",
                passage.of_class(command),
                f"When a fault costs the answer to {command.__name__}, nobody finds out what became of it, and the "
                "run is not judged.",
                f"Write @recovers in {adapter.__name__}, or idempotent=True where it may be sent again.",
            )


def _never_sent(model: type[Model], adapter: type[Adapter[Any]]) -> Iterator[Remark]:
    """Say which arguments no handler reads."""
    for command in asked_of(model):
        name = adapter.handlers.get(command)
        function = passage.function_of(adapter, name) if name is not None else None
        parameter = passage.parameter_of(function) if function is not None else None
        if name is None or function is None or parameter is None:
            continue
        unread = [each for each in command.model_fields if each not in _read_of(function, parameter, command)]
        if unread:
            yield remark(
                "RK309",
                passage.of_method(adapter, name),
                f"{adapter.__name__}.{name} never reads {', '.join(f'{command.__name__}.{each}' for each in unread)}, "
                "so the service is never sent it.",
                "Send it, or take it out of the command.",
            )


def _read_of(function: ast.FunctionDef, parameter: str, command: type[Command]) -> set[str]:
    """List the fields of a parameter that a method reads: all of them where it gives the whole of it away."""
    fields, read = set(command.model_fields), set()
    parents = passage.parents_in(function)
    for node in ast.walk(function):
        if not isinstance(node, ast.Name) or node.id != parameter:
            continue
        parent = parents.get(id(node))
        if not isinstance(parent, ast.Attribute):
            return fields
        if parent.attr not in fields | {"tag", "version"}:  # model_dump(), or a method of its own
            return fields
        read.add(parent.attr)
    return read
