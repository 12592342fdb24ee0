"""What is never generated: commands that are never drawn, values that never come, answers that no run came to."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, get_args, get_origin

from replaykit.adapter import Adapter
from replaykit.combinator import Pool
from replaykit.command import Command, Entity, Event, Ref, command_of, generators_of
from replaykit.dispatch import members_of, signature_of
from replaykit.generator import Generator
from replaykit.lint import passage
from replaykit.lint.domain import AnyRefs, Drawn, drawn_from, members_in
from replaykit.lint.rehearsal import LENGTH, Rehearsals, asked_of, events_of
from replaykit.lint.remark import Remark, remark
from replaykit.model import Like, Model
from replaykit.source import Source, derive
from replaykit.value import copied, fields_of

MEETING_RUNS = 20  # of a pool: in none of them has a value come twice
FEW = 2  # values; what has fewer is always the same


def remarks(rehearsals: Rehearsals) -> Iterator[Remark]:
    """Say what is never generated."""
    model, adapter = rehearsals.model, rehearsals.adapter
    drawn = {tag for role, tag in rehearsals.tally if role == "command"}
    for command in rehearsals.stand_in.commands:
        orphans = list(_unmade(model, adapter, command))
        yield from orphans
        if command.tag not in drawn and not orphans and rehearsals.is_whole:
            yield _never_drawn(rehearsals, command)
        for name, generator in generators_of(command).items():
            yield from _always_the_same(command, name, generator)
            yield from _never_meeting(command, name, generator)
    if rehearsals.is_whole:
        yield from _never_answered(rehearsals)


# --- commands -----------------------------------------------------------------------------------


def _unmade(model: type[Model], adapter: type[Adapter[Any]] | None, command: type[Command]) -> Iterator[Remark]:
    """Say which things a command refers to, and nobody makes."""
    made = _entities_told(model, adapter)
    for name, annotation, _, _ in fields_of(command):
        if get_origin(annotation) is not Ref:
            continue
        [entity] = get_args(annotation)
        if entity not in made:
            yield remark(
                "RK101",
                passage.of_field(command, name),
                f"{command.__name__} is never asked: it refers to {_a(entity.__name__)}, which no event has.",
                f"Give the event that tells of a new one a field of the type Ref[{entity.__name__}], made with "
                "self.ref() in the adapter.",
            )
        elif _is_never_kept(model, entity):
            yield remark(
                "RK101",
                passage.of_field(command, name),
                f"{command.__name__} is never asked: no @on method puts {_a(entity.__name__)} into the state, where "
                "refs to it are looked for.",
                f"Write an @on method that fills {', '.join(model.rules.candidates[entity.tag])}.",
            )


def _a(name: str) -> str:
    return f"{'an' if name[:1] in 'AEIOU' else 'a'} {name}"


def _entities_told(model: type[Model], adapter: type[Adapter[Any]] | None) -> set[type[Entity]]:
    """List what the events hold that the service may answer."""
    events = set(model.rules.on)
    for name in model.rules.expects.values():
        events |= set(expected_kinds(model, name))
    if adapter is not None:
        for command in adapter.handlers:
            events |= set(events_of(adapter, command))
    return set().union(*map(entities_named, events))


def entities_in(annotation: Any) -> set[type[Entity]]:
    """List the entities that a type has refs to."""
    if get_origin(annotation) is Ref:
        return set(get_args(annotation))
    return set().union(*map(entities_in, get_args(annotation)))


def entities_named(message: type[Command] | type[Event]) -> set[type[Entity]]:
    """List the entities that the fields of a message have refs to."""
    return set().union(*[entities_in(annotation) for _, annotation, _, _ in fields_of(message)])


def _is_never_kept(model: type[Model], entity: type[Entity]) -> bool:
    """Say whether refs are looked for in the state, and none of the model's methods has the name of the place."""
    fields = model.rules.candidates.get(entity.tag)
    if fields is None or not passage.is_known(model):
        return False
    texts = [passage.dumped(function) for _, function in passage.functions_of(model, Model)]
    return not any(f"attr='{name}'" in text for name in fields for text in texts)


def expected_kinds(model: type[Model], name: str) -> list[type[Event]]:
    """List the kinds of events that an expectation is annotated with."""
    found: list[type[Event]] = []
    waiting = [signature_of(model, name)[0].get("return")]
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, type) and issubclass(each, Event):
            found.append(each)
        elif get_origin(each) in (Like, tuple) or len(members_of(each)) > 1:
            waiting += get_args(each)
    return list(dict.fromkeys(found))


def _never_drawn(rehearsals: Rehearsals, command: type[Command]) -> Remark:
    """Say why a command was drawn in no run."""
    model, place = rehearsals.model, passage.of_class(command)
    runs = f"{rehearsals.runs} mock runs of {LENGTH} commands (seed {rehearsals.seed})"
    for name in model.rules.requires.get(command, ()):
        if not _is_ever_true(rehearsals, command, name):
            return remark(
                "RK102",
                passage.of_method(model, name),
                f"{command.__name__} is never asked: its precondition {name} was false in all of {runs}.",
                "Look at the precondition, and at what has to come before.",
            )
    return remark(
        "RK103",
        place,
        f"{command.__name__} was drawn in none of {runs}.",
        "Raise its weight, make more of what it refers to, or take it out of `commands`.",
    )


def _is_ever_true(rehearsals: Rehearsals, command: type[Command], name: str) -> bool:
    """Hold one precondition against states that were come to, with arguments that fit them."""
    for number, state in enumerate([rehearsals.model(), *rehearsals.states]):
        source = Source(derive(rehearsals.seed, number), _known_in(state))
        try:
            args = {
                each: generator.build(generator.sample(source, 10))
                for each, generator in generators_of(command).items()
            }
            if getattr(state, name)(command_of(command, command.version, args, AnyRefs())):
                return True
        except Exception:  # noqa: BLE001, S112  nothing to refer to here, or the user's code in a state of another run
            continue
    return False


def _known_in(state: Model) -> Callable[[str], list[str]]:
    return lambda entity: Model.known(state, entity) or []


# --- values -------------------------------------------------------------------------------------


def _always_the_same(command: type[Command], name: str, generator: Generator) -> Iterator[Remark]:
    if generator.symbolic:
        return
    drawn = drawn_from(generator)
    place = passage.of_field(command, name)
    if not isinstance(drawn, Drawn):
        return
    if len(drawn.built) >= FEW and len({repr(each) for each in drawn.built}) < FEW and not drawn.is_meant:
        yield remark(
            "RK105",
            place,
            f"{command.__name__}.{name} is always {drawn.built[0]!r:.60}: {len(drawn.built)} draws from {generator} "
            "gave nothing else.",
            "Widen the generator; if one value is meant, say so with gen.const(...).",
        )
    annotation = command.model_fields[name].annotation
    members = members_in(annotation)
    missing = [each for each in members if each not in drawn.built]
    if missing and len(missing) < len(members):
        yield remark(
            "RK107",
            place,
            f"{command.__name__}.{name} may be {', '.join(map(repr, missing))}, which {generator} never gives "
            f"({len(drawn.built)} draws).",
            "Let the generator give all that the type has, or make the type narrower.",
        )


def _never_meeting(command: type[Command], name: str, generator: Generator) -> Iterator[Remark]:
    """Say of a pool that it is so large that it is none."""
    if not isinstance(generator, Pool):
        return
    for seed in range(MEETING_RUNS):
        source = Source(seed)
        try:
            drawn = [repr(generator.sample(source, 12)) for _ in range(LENGTH)]
        except Exception:  # noqa: BLE001  told as RK104
            return
        if len(set(drawn)) < len(drawn):
            return
    yield remark(
        "RK106",
        passage.of_field(command, name),
        f"{command.__name__}.{name} has a pool of {generator.limit} values: in {MEETING_RUNS} times {LENGTH} draws, "
        "none came twice.",
        "A pool is there so that values meet again: give it a size of 10 or so, or leave it out.",
    )


# --- answers ------------------------------------------------------------------------------------


def _never_answered(rehearsals: Rehearsals) -> Iterator[Remark]:
    """Say which of the answers that may be expected, as it is annotated, were expected in no run."""
    rules, expected = rehearsals.model.rules, _expected_in(rehearsals)
    for name in dict.fromkeys(rules.expects.values()):
        commands = [each for each in asked_of(rehearsals.model) if rules.expects.get(each) == name]
        seen = set().union(*[expected.get(each, set()) for each in commands])
        for kind in expected_kinds(rehearsals.model, name) if seen else ():
            if kind not in seen:
                yield remark(
                    "RK108",
                    passage.of_method(rehearsals.model, name),
                    f"{name} may expect {kind.__name__}, and never did in {rehearsals.runs} mock runs (seed "
                    f"{rehearsals.seed}).",
                    "If runs seldom come to it, draw more of what leads there; if it can't be, take it out of the "
                    "annotation.",
                )


def _expected_in(rehearsals: Rehearsals) -> dict[type[Command], set[type[Event]]]:
    """List the kinds of events that were expected of each command."""
    found: dict[type[Command], set[type[Event]]] = {}
    for each in rehearsals.exchanges:
        kinds = found.setdefault(type(each.command), set())
        with contextlib.suppress(Exception):  # the user's code, which told in the run what is wrong with it
            prediction = Model.predict(copied(each.before), each.command)
            for one in prediction.admissible if prediction is not None else ():
                kinds.add(one.kind if isinstance(one, Like) else type(one))
    return found
