"""What mock runs show: models that contradict themselves, raise, or change by being asked."""

from collections.abc import Iterator

from replaykit.lint import passage
from replaykit.lint.rehearsal import LENGTH, Exchanged, Rehearsals, asked_of
from replaykit.lint.remark import Remark, remark
from replaykit.model import Like, Model
from replaykit.sequence import Sequence, without
from replaykit.trace import Trace
from replaykit.value import copied, frozen
from replaykit.verdict import is_same

LOOKED = 200  # exchanges of which the model is asked again
SHORTENED = 60  # shorter sequences that are tried


def remarks(rehearsals: Rehearsals) -> Iterator[Remark]:
    """Say what went wrong in mock runs, and what could not be looked at in them."""
    model = rehearsals.model
    if rehearsals.trouble is not None:
        error = rehearsals.trouble
        yield remark("RK502", passage.of_class(model), f"No mock run is possible. {error.happened}", error.todo)
    if rehearsals.contradiction is not None:
        yield _contradicted(rehearsals, *rehearsals.contradiction)
    told = set()
    for each in rehearsals.exchanges[:LOOKED]:
        for found in _asked_again(model, each):
            if (found.code, found.name) not in told:
                told.add((found.code, found.name))
                yield found
    yield from _not_looked_at(rehearsals)


def _contradicted(rehearsals: Rehearsals, run: int, trace: Trace) -> Remark:
    """Show the shortest sequence in which a model fails against itself."""
    model, failure = rehearsals.model, trace.failure
    assert failure is not None  # noqa: S101  it is a run that failed
    sequence = _shortened(rehearsals, trace)
    shown = [f"[{call.label}] {call.tag}({', '.join(f'{name}={each!r}' for name, each in call.args.items())})"[:200]
             for call in sequence]  # fmt: skip
    place = passage.of_method(model, failure.name) if hasattr(model, failure.name) else passage.of_class(model)
    of = (
        f"in run {run} of {rehearsals.runs} (seed {rehearsals.seed}), shortened to {len(sequence)} of {LENGTH} commands"
    )
    if failure.kind in {"model", "adapter"}:
        what = f"{failure.name} raises {of}: {failure.message}"
        return remark("RK502", place, what, "Mend the method, or ask for what it needs with @requires.", shown)
    what = (
        f"{model.__name__} contradicts itself {of}: the {failure.kind} {failure.name} does not hold: {failure.message}"
    )
    return remark(
        "RK501", place, what, "The service did all that the model expects: one of its methods is wrong.", shown
    )


def _shortened(rehearsals: Rehearsals, trace: Trace) -> Sequence:
    """Leave out one call after the other, as long as the run fails in the same way."""
    sequence, failure = trace.sequence, trace.failure
    for call in list(reversed(sequence[:-1]))[:SHORTENED]:
        shorter = without(sequence, [call.label])
        if not shorter or len(shorter) == len(sequence):
            continue
        found = rehearsals.again(shorter).failure
        if found is not None and failure is not None and is_same(failure, found):
            sequence = shorter
    return sequence


def _asked_again(model: type[Model], exchange: Exchanged) -> Iterator[Remark]:
    """Ask the model the same twice, and see whether that changes anything."""
    before, command = exchange.before, exchange.command
    asked = copied(before)
    names = [*model.rules.requires.get(type(command), ()), *filter(None, [model.rules.expects.get(type(command))])]
    for name in names:
        try:
            one = getattr(asked, name)(command)
            changed = frozen(asked) != frozen(before)
            two = getattr(copied(before), name)(command)
        except Exception:  # noqa: BLE001  told where it ended a run
            return
        if changed:
            yield remark(
                "RK504",
                passage.of_method(model, name),
                f"{name} changes the state, and is asked of commands that are never sent, and again in every replay.",
                "Change the state in an @on method.",
            )
            return
        if _said(one) != _said(two):
            yield remark(
                "RK505",
                passage.of_method(model, name),
                f"{name} says something else when it is asked twice in the same state: {one!r:.60}, then {two!r:.60}.",
                "Leave out random numbers, times and ids: a replay asks again, years later.",
            )
    for name in model.rules.invariants:
        asked = copied(before)
        try:
            getattr(asked, name)()
        except Exception:  # noqa: BLE001, S112  told where it ended a run
            continue
        if frozen(asked) != frozen(before):
            yield remark(
                "RK504", passage.of_method(model, name), f"{name} changes the state that it looks at.",
                "Change the state in an @on method.",
            )  # fmt: skip


def _said(answer: object) -> object:
    if isinstance(answer, tuple):
        return [_said(each) for each in answer]
    return (answer.kind, answer.fields) if isinstance(answer, Like) else answer


def _not_looked_at(rehearsals: Rehearsals) -> Iterator[Remark]:
    """Say once what mock runs can't tell of this model."""
    model, said = rehearsals.model, []
    silent = [each for each in asked_of(model) if each not in model.rules.expects]
    unanswered = rehearsals.unanswerable
    if unanswered:
        said.append(f"what {_listed(unanswered)} would answer: no expectation, and no handler to say so")
    elif silent:
        said.append(f"whether {_listed(silent)} would be answered so: no expectation, so an event was made up")
    if rehearsals.unsolved:
        said.append(f"{', '.join(rehearsals.unsolved)}: no observation was found for which it holds")
    during = [each.name for each in model.rules.checks if each.during]
    if during:
        said.append(f"{', '.join(during)}: only looked at during faults")
    if rehearsals.broken:
        said.append(f"runs that ended early at an answer that was made up ({', '.join(sorted(rehearsals.broken))})")
    if said:
        yield remark(
            "RK503",
            passage.of_class(model),
            f"Could not be looked at without a service: {'; '.join(said)}.",
            "Nothing has to be done; with an @expects for each command, more is found.",
        )


def _listed(commands: list[type]) -> str:
    most = 4
    names = [each.__name__ for each in commands]
    return ", ".join(names) if len(names) <= most else f"{', '.join(names[:most])} and {len(names) - most} more"
