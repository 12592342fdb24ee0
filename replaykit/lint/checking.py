"""What is never checked: the service is made to do one thing wrong, and somebody should notice.

Each kind of exchange, a command and the event that answered it, is made again with the service changed in one way
(mutation testing, DeMillo et al., 1978; here it is the service that mutates, and the model that is on trial):

- a field of the answer is another one, or the event is of another kind,
- the service does nothing, and answers as if it had,
- it does it with another value than it says.

What fails in one of the runs is noticed. Checks are held against states and observations that are wrong in one place,
too: one that nothing makes fail tells nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby, islice

from replaykit.command import Command, Event, Ref, Refs
from replaykit.lint import passage
from replaykit.lint.drawing import expected_kinds
from replaykit.lint.guess import raised, shown_for
from replaykit.lint.mutant import filled, mutants, states, wrong_values
from replaykit.lint.rehearsal import (
    AFTERWARDS,
    Change,
    Exchanged,
    Rehearsals,
    Unknown,
    asked_of,
    events_of,
    made,
    refs_in,
)
from replaykit.lint.remark import Remark, remark
from replaykit.model import Check, Like, Model
from replaykit.value import State, copied, frozen

BUDGET = 600  # runs with a changed service
ANSWERS = 4  # the same of answers: they are noticed soon, or never
TIMES = 10  # exchanges of one kind that are changed in the same way before nobody is said to notice
AGAIN = 4  # commands about the same thing that are more than enough
FIELDS = 3  # values that are tried in the place of one
HELD = 8  # states that one check is held against
WRONG = 60  # wrong states, and wrong observations, for each of them
SEVERAL = 3  # commands of which it is told one by one


def remarks(rehearsals: Rehearsals) -> Iterator[Remark]:
    """Say what is never checked."""
    model = rehearsals.model
    if not _checks_anything(model):
        yield remark(
            "RK201",
            passage.of_class(model),
            f"{model.__name__} has no expectation, no invariant and no check: whatever the service does, nothing is "
            "found.",
            "Write an @expects, an @invariant or a @check; server_errors = True is the least.",
        )
        return
    if rehearsals.trouble is None and rehearsals.contradiction is None:
        yield from _unnoticed(rehearsals)
        if rehearsals.is_whole:  # else the states that were come to are too few to hold a check against
            yield from _never_failing(rehearsals)


def _checks_anything(model: type[Model]) -> bool:
    rules = model.rules
    return bool(rules.expects or rules.invariants or rules.checks or model.server_errors)


# --- a service that does something wrong --------------------------------------------------------


class _Trial:
    """What was noticed of what a service did wrong in answer to one command."""

    def __init__(self, rehearsals: Rehearsals, command: type[Command]) -> None:
        self._rehearsals, self.command = rehearsals, command
        self.tried = 0
        self.noticed = 0

    def is_noticed(
        self, exchanges: list[Exchanged], change: Callable[[Exchanged, int], Change | None], times: int = TIMES
    ) -> bool | None:
        """Say whether anybody notices a change in any of some exchanges; None where there was nothing to change."""
        changes = ((each, change(each, number)) for number, each in enumerate(exchanges))
        worth = islice(((each, changed) for each, changed in changes if changed is not None), times)
        answer = None
        for exchange, changed in worth:
            if self._rehearsals.executions > BUDGET + self._rehearsals.runs:
                break
            if answer is None:
                answer = False
                self.tried += 1
            if self._rehearsals.changed(exchange.run, changed).ending == "failed":
                self.noticed += 1
                return True
        return answer


def _unnoticed(rehearsals: Rehearsals) -> Iterator[Remark]:
    """Say which wrong answers and deeds of the service nobody notices."""
    kinds: dict[type[Command], dict[type[Event], list[Exchanged]]] = defaultdict(lambda: defaultdict(list))
    for each in rehearsals.exchanges:
        if not isinstance(each.event, Unknown):
            kinds[type(each.command)][type(each.event)].append(each)
    rules = rehearsals.model.rules
    drawn = {tag for role, tag in rehearsals.tally if role == "command"}
    untold = set(rehearsals.unanswerable) if rules.checks or rules.invariants else set()
    silent = []
    unread: dict[tuple[str, str], Remark] = {}
    again = _spoken_of_again(rehearsals.exchanges)
    for command in asked_of(rehearsals.model):
        trial, found = _Trial(rehearsals, command), list[Remark]()
        for exchanges in kinds[command].values():
            spread = sorted(exchanges, key=lambda each: (-again[each.run, each.step], each.step % 10, each.run))
            found += list(_tried(rehearsals, trial, spread))
        if command in untold:
            continue
        if (
            command.tag in drawn
            and not trial.noticed
            and (trial.tried or command not in rehearsals.model.rules.expects)
        ):
            if rehearsals.adapter is not None or command not in rules.expects:  # it may only be answered as expected
                silent.append(command)
            continue
        for wrong in found:
            if wrong.level == "note":
                unread.setdefault((wrong.code, wrong.name), wrong)
            else:
                yield wrong
    yield from _silent(rehearsals.model, silent)
    yield from unread.values()


def _spoken_of_again(exchanges: list[Exchanged]) -> Counter[tuple[int, int]]:
    """Count, for each run and step, how many of the next commands are about what it was about, at most `AGAIN`.

    Where they are, somebody may notice what was done to it.
    """
    found: Counter[tuple[int, int]] = Counter()
    for _, run in groupby(exchanges, key=lambda each: each.run):
        steps = list(run)
        for at, each in enumerate(steps):
            refs = refs_in(each.command) | refs_in(each.event)
            later = steps[at + 1 : at + 1 + AFTERWARDS]
            found[each.run, each.step] = min(AGAIN, sum(bool(refs & refs_in(other.command)) for other in later))
    return found


def _silent(model: type[Model], commands: list[type[Command]]) -> Iterator[Remark]:
    """Say which commands nothing is held to: one by one, or all at once where they are many."""
    rest = " but a server error" if model.server_errors else ""
    todo = "Write an @expects, or a check that sees what it does."
    if len(commands) > SEVERAL:
        names = ", ".join(each.__name__ for each in commands[:SEVERAL])
        what = f"Whatever the service does or answers{rest}, of {len(commands)} commands nobody notices: {names}, ..."
        yield remark("RK202", passage.of_class(model), what, todo)
        return
    for each in commands:
        what = f"Whatever the service does or answers to {each.__name__}{rest}, nobody notices."
        yield remark("RK202", passage.of_class(each), what, todo)


def _tried(rehearsals: Rehearsals, trial: _Trial, exchanges: list[Exchanged]) -> Iterator[Remark]:
    """Try all ways of being wrong on exchanges of one kind."""
    command, event = trial.command, type(exchanges[0].event)
    effective = [each for each in exchanges if each.has_effect]
    is_undone_unseen = trial.is_noticed(effective, lambda each, _: Change(each.step, folds=lambda _: None)) is False
    if is_undone_unseen:
        yield remark(
            "RK204",
            passage.of_class(command),
            f"A service that answers {event.__name__} to {command.__name__} and does nothing is not noticed.",
            "Write a check that reads from the service what the command changed.",
        )
    for name in event.model_fields:
        said = trial.is_noticed(exchanges, partial(_answers_other, name), ANSWERS)
        if said is False:
            yield remark(
                "RK203",
                passage.of_field(event, name),
                f"Whatever the service says as {event.__name__}.{name} in answer to {command.__name__}, nobody "
                "notices.",
                "Expect it (like(..., name=value)), or compare it in a check; or leave it out of the event.",
            )
        if is_undone_unseen or said is None:
            continue
        if trial.is_noticed(effective, partial(_does_other, name)) is False:
            yield remark(
                "RK204",
                passage.of_class(command),
                f"A service that answers {event.__name__} to {command.__name__}, and uses another {name} than it "
                "says, is not noticed.",
                "Write a check that reads from the service what the command changed.",
            )
    yield from _of_other_kind(rehearsals, trial, exchanges)


def _answers_other(name: str, exchange: Exchanged, number: int) -> Change | None:
    """Change a field of an answer; not the ref of what is new, which may be any."""
    value = getattr(exchange.event, name)
    if isinstance(value, Ref) and value not in refs_in(exchange.command):
        return None
    others = wrong_values(value)
    if not others:
        return None
    other = others[number % min(FIELDS, len(others))]
    return Change(exchange.step, answer=lambda event: event.replace(**{name: other}))


def _does_other(name: str, exchange: Exchanged, number: int) -> Change | None:
    """Let the service do something else than it says; None where that comes to the same."""
    value = getattr(exchange.event, name)
    if isinstance(value, Ref):
        return None
    others = wrong_values(value)
    first = number % min(FIELDS, max(1, len(others)))
    for other in (*others[first:], *others[:first]):
        done = exchange.event.replace(**{name: other})
        state = copied(exchange.before)
        try:
            Model.apply(state, done)
        except Exception:  # noqa: BLE001, S112  the user's code, with an event that can't be
            continue
        if frozen(state) != frozen(exchange.after):
            return Change(exchange.step, folds=lambda _, done=done: done)  # type: ignore[misc]
    return None


def _of_other_kind(rehearsals: Rehearsals, trial: _Trial, exchanges: list[Exchanged]) -> Iterator[Remark]:
    """Answer with an event of another kind, where the model expects anything at all."""
    model, command, event = rehearsals.model, trial.command, type(exchanges[0].event)
    name = model.rules.expects.get(command)
    if name is None:
        return
    others = dict.fromkeys([*events_of(rehearsals.adapter, command), *expected_kinds(model, name)])
    as_well = []
    for other in others:
        if other is event:
            continue
        fails = [
            trial.is_noticed(exchanges, partial(_answers_kind, other, whole=whole), ANSWERS) for whole in (False, True)
        ]
        if False in fails and True not in fails:
            as_well.append(other.__name__)
    if as_well:
        yield remark(
            "RK205",
            passage.of_method(model, name),
            f"Where {event.__name__} is the answer to {command.__name__}, {' or '.join(as_well)} would do as well.",
            "If that is not meant, say when each of them is expected.",
        )


def _answers_kind(other: type[Event], exchange: Exchanged, _: int, *, whole: bool) -> Change | None:
    event = _admitted(exchange, other, whole=whole)
    return None if event is None else Change(exchange.step, answer=lambda _: event)


def _admitted(exchange: Exchanged, other: type[Event], *, whole: bool) -> Event | None:
    """Make an event of another kind: one that the model admits, if there is one."""
    prediction = Model.predict(copied(exchange.before), exchange.command)
    event = made(other, exchange.command, Refs(), whole=whole)
    for each in prediction.admissible if prediction is not None else ():
        if type(each) is other:
            return each
        if isinstance(each, Like) and each.kind is other:
            return None if event is None else event.replace(**each.fields)
    return event


# --- checks that nothing makes fail -------------------------------------------------------------


def _never_failing(rehearsals: Rehearsals) -> Iterator[Remark]:
    """Hold each check against wrong states and wrong observations, and say which ones nothing makes fail."""
    seen: dict[tuple[type, str], bool] = {}
    sample = [rehearsals.stand_in(), *rehearsals.states[-HELD:]]
    strange = list(islice(_after_strange_events(rehearsals), WRONG))
    for name in rehearsals.model.rules.invariants:
        if not passage.is_of_another(rehearsals.model, name) and not _can_fail(name, sample, strange):
            yield _never_fails(rehearsals.model, name, "invariant")
    for check in rehearsals.checks:
        if check.observation is None:
            fails = _can_fail(check.name, sample, strange)
        else:
            fails = _is_sensitive(rehearsals, check, sample, seen)
        if not fails and not passage.is_of_another(rehearsals.model, check.name):
            yield _never_fails(rehearsals.model, check.name, "check")
    for (kind, path), noticed in seen.items():
        if not noticed:
            yield remark(
                "RK209",
                passage.of_field(kind, path),
                f"No check looks at {kind.__name__}.{path}: it may be anything.",
                "Compare it with what the model knows, or leave it out of the observation.",
            )


def _can_fail(name: str, sample: list[Model], strange: list[Model]) -> bool:
    """Say whether any wrong state makes a check fail that looks at nothing else."""
    if any(_fails(each, name) for each in strange):
        return True
    return any(_fails(wrong, name) for state in sample for _, wrong in states(state, WRONG))


def _after_strange_events(rehearsals: Rehearsals) -> Iterator[Model]:
    """Give states after events that were never answered, one for each event and for each of its defaults."""
    for exchange in rehearsals.exchanges[:1]:
        for kind in rehearsals.model.rules.on:
            whole = made(kind, exchange.command, Refs(), whole=True)
            plain = made(kind, exchange.command, Refs())
            if whole is None or plain is None:
                continue
            strange = [plain, *(plain.replace(**{name: getattr(whole, name)}) for name in kind.model_fields)]
            for event in strange:
                state = copied(exchange.before)
                try:
                    Model.apply(state, event)
                except Exception:  # noqa: BLE001, S112  the user's code, with an event that can't be
                    continue
                yield state


def _is_sensitive(
    rehearsals: Rehearsals, check: Check, sample: list[Model], seen: dict[tuple[type, str], bool]
) -> bool:
    """Say whether a wrong state or a wrong observation makes a check fail; take down which fields do."""
    kind, fails = check.observation, False
    assert kind is not None  # noqa: S101  the caller has seen to it
    names = [each.name for each in rehearsals.checks if each.observation is kind]
    for state in sample:
        observation, _ = shown_for(kind, names, state)
        for path, wrong in islice(mutants(observation), WRONG):
            is_noticed = _fails(state, check.name, wrong)
            fails = fails or is_noticed
            place = kind, path.replace("[", ".").replace("{", ".").partition(".")[0]
            seen[place] = seen.get(place, False) or is_noticed
        fails = fails or any(
            isinstance(raised(state, check.name, each), AssertionError) for each in filled(observation)
        )
        fails = fails or any(_fails(wrong, check.name, observation) for _, wrong in states(state, WRONG))
    return fails


def _fails(state: State, name: str, seen: object = None) -> bool:
    return isinstance(state, Model) and raised(state, name, seen) is not None  # type: ignore[arg-type]


def _never_fails(model: type[Model], name: str, what: str) -> Remark:
    return remark(
        "RK207",
        passage.of_method(model, name),
        f"Nothing makes the {what} {name} fail: states and observations that are wrong in one place pass it.",
        "See that it compares something, and is not left before it does.",
    )
