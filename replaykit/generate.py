"""Generating: from a model, a seed and the state as it really is, the next command.

Commands are chosen during the run, after the service has answered, so no simulator is needed. Each step
draws from a seed of its own, derived from the run's seed, so that a change in how one step draws leaves
the others as they were. Which step is drawn from which seed is pinned by a golden file.
"""

from replaykit.command import Command, Refs, command_of, generators_of
from replaykit.errors import DefinitionError, StaleError
from replaykit.generator import draw
from replaykit.model import Model
from replaykit.sequence import Call
from replaykit.source import NothingToReferToError, Source, derive

TRIES = 50  # commands drawn for one step before it is given up
SIZES = (4, 12, 40)  # of a run: how large texts, lists and numbers tend to be


class Generated:
    """A source of calls for a run: each is drawn when it is needed, at most `length` of them."""

    def __init__(self, model: type[Model], seed: int, length: int) -> None:
        self._model = model
        self._seed = seed
        self._length = length
        self._label = 0
        self._source = Source(seed)
        self._size = SIZES[self._source.below(len(SIZES))]

    def next(self, state: Model, refs: Refs) -> Call | None:
        """Draw the next call; None when there are enough, or when no command is possible."""
        if self._label >= self._length:
            return None
        source = self._source
        source.restart(derive(self._seed, self._label))
        source.candidates = lambda entity: _candidates(state, refs, entity)
        offered = list(self._model.commands)
        weights = [command.weight for command in offered]
        for _ in range(TRIES):
            if not offered:
                break
            index = source.weighted(weights)
            try:
                call = self._draw(offered[index])
            except NothingToReferToError:
                del offered[index], weights[index]
                continue
            if _fits(offered[index], call, state, refs):
                self._label += 1
                return call
        if self._label == 0:
            guards = [name for command in offered for name in state.rules.requires.get(command, ())]
            theirs = f" Look at {', '.join(dict.fromkeys(guards))}." if guards else ""
            raise DefinitionError(
                f"No command of {self._model.__name__} is possible in its first state.",
                f"At least one command must need no ref, and have preconditions that hold there.{theirs}",
            )
        return None

    def _draw(self, command: type[Command]) -> Call:
        args, raw = {}, {}
        for name, generator in generators_of(command).items():
            drawn = draw(generator, self._source, self._size)
            args[name] = generator.build(drawn)
            if not generator.plain:
                raw[name] = drawn
        return Call(label=self._label, tag=command.tag, version=command.version, args=args, raw=raw)


def _candidates(state: Model, refs: Refs, entity: str) -> list[str]:
    """List what a ref may name: what the state knows of, where it keeps such things; else all that was made."""
    known = state.known(entity)
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
    return state.allows(command)
