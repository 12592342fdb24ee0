"""Generating: from a model, a seed and the state as it really is, the next command.

Commands are chosen during the run, after the service has answered, so no simulator is needed. Each step
draws from a seed of its own, derived from the run's seed, so that a change in how one step draws leaves
the others as they were. Which step is drawn from which seed is pinned by a golden file.

Branches, which are run at the same time, are drawn all at once, when the calls before them are done. What a branch
makes is then not known yet: the model says what it should be. A call is taken only if it may be asked in every order
of the branches, as far as the model can tell; else what the service answers to it would say nothing.

With `swarm`, each run does without a random part of the commands (Groce et al., "Swarm testing", ISSTA 2012):
what many calls of a few commands lead to is seldom met where all commands take turns.
"""

from collections.abc import Hashable
from dataclasses import dataclass

from replaykit.adapter import predicted
from replaykit.command import Command, Refs, command_of, generators_of, steps_named_in
from replaykit.errors import DefinitionError, StaleError
from replaykit.generator import draw
from replaykit.model import Model
from replaykit.sequence import MAX_BRANCHES, MAX_PARALLEL, Call, Sequence
from replaykit.source import NothingToReferToError, Source, derive
from replaykit.stutter import Stutter, has_effect
from replaykit.value import copied, frozen, loads, text_of

TRIES = 50  # commands drawn for one step before it is given up
SIZES = (4, 12, 40)  # of a run: how large texts, lists and numbers tend to be
PREFIXES = (2, 5, 10, 20)  # calls before branches
REDRAWN = 3  # calls of a branch that are drawn for each that it is to have
MOST_STATES = 300  # that are looked at to see whether a call may be asked in every order
MOST_WASTED = 3  # commands that would be refused, drawn for one that is sent while a fault is on
KEPT = 0.5  # how likely a swarm run keeps a command


@dataclass(frozen=True, slots=True)
class Parallel:
    """How many branches a sequence ends in, and how many calls each of them has."""

    count: int
    length: int

    @property
    def trouble(self) -> str | None:
        """Why there can't be such branches; None if there can."""
        if 1 < self.count <= MAX_BRANCHES and self.length > 0 and self.count * self.length <= MAX_PARALLEL:
            return None
        return (
            f"{self.count} branches of {self.length} commands can't be: there are 2 to {MAX_BRANCHES} branches, and "
            f"1 to {MAX_PARALLEL} commands in all of them"
        )


class Generated:
    """A source of calls for a run: each is drawn when it is needed, at most `length` of them before any branches.

    With `swarm` they are of a random part of the model's commands; of all, where none of those is possible at first.
    """

    def __init__(
        self,
        model: type[Model],
        seed: int,
        length: int,
        parallel: Parallel | None = None,
        stutter: float = 0.0,
        *,
        swarm: bool = False,
    ) -> None:
        self._model = model
        self._seed = seed
        self._source = Source(seed)
        self._size = SIZES[self._source.below(len(SIZES))]
        self._parallel = parallel
        self._length = min(length, self._source.pick(PREFIXES)) if parallel else length
        self._commands = tuple(each for each in model.commands if not swarm or self._source.chance(KEPT))
        self._stutter = Stutter(seed, stutter) if stutter else None
        self.drawn: list[Call] = []
        self._is_branching = False
        self._under_fault = 0  # commands that a fault lasts yet

    def next(self, state: Model, refs: Refs) -> Call | None:
        """Draw the next call; None when there are enough, or when no command is possible."""
        if len(self.drawn) >= self._length:
            return None
        call = self._draw_again(state) or self._draw_one(state, refs)
        if call is None and not self.drawn and self._commands != self._model.commands:
            self._commands, self._source = self._model.commands, Source(self._seed)
            call = self._draw_one(state, refs)
        if call is not None:
            if self._stutter is not None and call.repeats is None:
                call = self._stutter.of(call, state.rules.by_tag[call.tag], state)
                if call.twice and self._under_fault:  # which it would not go through
                    call = call.replace(twice=False)
            self.drawn.append(call)
            self._count_fault(call, state)
        elif not self.drawn:
            commands = self._model.commands
            guards = [name for command in commands for name in state.rules.requires.get(command, ())]
            theirs = f" Look at {', '.join(dict.fromkeys(guards))}." if guards else ""
            raise DefinitionError(
                f"No command of {self._model.__name__} is possible in its first state.",
                f"At least one command must need no ref, and have preconditions that hold there.{theirs}",
            )
        return call

    def _draw_again(self, state: Model) -> Call | None:
        number = len(self.drawn)
        label = self._stutter.next(number, state) if self._stutter is not None else None
        if label is None:
            return None
        first = next(call for call in self.drawn if call.label == label)
        return Call(label=number, tag=first.tag, version=first.version, repeats=label)

    def branches(self, state: Model, refs: Refs) -> tuple[Sequence, ...]:
        """Draw what is to be run at the same time; nothing where that was not asked for, or is not possible."""
        if self._parallel is None:
            return ()
        before, branches = len(self.drawn), list[Sequence]()
        self._is_branching = True
        for _ in range(self._parallel.count):
            branch = self._draw_branch(branches, state, refs)
            if branch:
                branches.append(branch)
        if len(branches) > 1:
            return tuple(branches)
        del self.drawn[before:]
        return ()

    def _draw_branch(self, others: list[Sequence], state: Model, refs: Refs) -> Sequence:
        assert self._parallel is not None  # noqa: S101  the caller has seen to it
        branch: Sequence = ()
        now, known = copied(state), refs.copy()
        for attempt in range(self._parallel.length * REDRAWN):
            call = self._draw_one(now, known, attempt)
            if call is None or len(branch) == self._parallel.length:
                break
            call = call.replace(branch=len(others) + 1)
            if _fits_in_every_order([*others, (*branch, call)], state, refs):
                branch = (*branch, call)
                self.drawn.append(call)
                _foresee(call, now, known)
        return branch

    def _draw_one(self, state: Model, refs: Refs, attempt: int = 0) -> Call | None:
        source = self._source
        seed = derive(self._seed, len(self.drawn))
        source.restart(derive(seed, attempt) if attempt else seed)
        source.candidates = lambda entity: _candidates(state, refs, entity)
        offered = list(self._commands)
        if (faults := self._model.rules.faults) and (self._under_fault or self._is_branching):
            offered = [each for each in offered if each not in faults]
        weights, wasted = [command.weight for command in offered], 0
        for _ in range(TRIES):
            if not offered:
                break
            index = source.weighted(weights)
            try:
                call = self._draw(offered[index])
            except NothingToReferToError:
                del offered[index], weights[index]
                continue
            if not _fits(offered[index], call, state, refs):
                continue
            if wasted == MOST_WASTED or not self._under_fault or _has_effect(call, state, refs):
                return call
            wasted += 1
        return None

    def _count_fault(self, call: Call, state: Model) -> None:
        """Count how many more commands the fault lasts that is on."""
        is_begun = state.rules.by_tag[call.tag] in state.rules.faults
        self._under_fault = int(str(call.args["steps"])) if is_begun else max(0, self._under_fault - 1)

    def _draw(self, command: type[Command]) -> Call:
        args, raw = {}, {}
        for name, generator in generators_of(command).items():
            drawn = draw(generator, self._source, self._size)
            args[name] = generator.build(drawn)
            if not generator.plain:
                raw[name] = drawn
        return Call(label=len(self.drawn), tag=command.tag, version=command.version, args=args, raw=raw)


def _candidates(state: Model, refs: Refs, entity: str) -> list[str]:
    """List what a ref may name: what the state knows of, where it keeps such things; else all that was made."""
    known = Model.known(state, entity)
    made = refs.of(entity)
    return made if known is None else [label for label in made if label in known]


def _fits(kind: type[Command], call: Call, state: Model, refs: Refs) -> bool:
    try:
        command = command_of(kind, call.version, call.args, refs)
    except StaleError as error:
        raise DefinitionError(
            f"A generator of {kind.__name__} gives what the field refuses. {error.happened}",
            "Make the generator and the type agree.",
        ) from None
    return Model.allows(state, command)


def _has_effect(call: Call, state: Model, refs: Refs) -> bool:
    """Say whether the model expects a call to change something; where it can't tell, it may."""
    known = refs.copy()
    known.step = call.label
    try:
        event = predicted(state, command_of(state.rules.by_tag[call.tag], call.version, call.args, known), known)
        return event is None or has_effect(state, event)
    except Exception:  # noqa: BLE001  the user's code, with an event that was made up
        return True


def _foresee(call: Call, state: Model, refs: Refs) -> set[int]:
    """Fold what the model expects of a call into a state; return the labels of calls whose products it speaks of."""
    refs.step = call.label
    command = command_of(state.rules.by_tag[call.tag], call.version, call.args, refs)
    event = predicted(state, command, refs)
    if event is None:
        return set()
    Model.apply(state, event)
    return steps_named_in(loads(text_of(event)))


def _fits_in_every_order(branches: list[Sequence], state: Model, refs: Refs) -> bool:
    """Say whether each call may be asked in each order of the branches, as far as the model can tell.

    A call that needs what another one of its branch does not make in this order is not sent.
    """
    own = {call.label for branch in branches for call in branch}
    waiting = [((0,) * len(branches), copied(state), refs.copy(), frozenset[int]())]
    seen: set[tuple[tuple[int, ...], Hashable]] = set()
    while waiting and len(seen) < MOST_STATES:
        places, before, known, made = waiting.pop()
        for number, branch in enumerate(branches):
            if places[number] == len(branch):
                continue
            call = branch[places[number]]
            if call.needs & own - made:
                waiting.append((_moved(places, number, len(branch)), before, known, made))
                continue
            after, after_known = copied(before), known.copy()
            try:
                command = command_of(after.rules.by_tag[call.tag], call.version, call.args, after_known)
                if not Model.allows(after, command):
                    return False
                after_made = made | _foresee(call, after, after_known)
            except Exception:  # noqa: BLE001  the user's code, in a state that it was not made for
                return False
            place = (_moved(places, number, places[number] + 1), frozen(after))
            if place not in seen:
                seen.add(place)
                waiting.append((place[0], after, after_known, after_made))
    return True


def _moved(places: tuple[int, ...], number: int, place: int) -> tuple[int, ...]:
    return (*places[:number], place, *places[number + 1 :])
