"""Rechecking: today's model on the old evidence: what a bundle recorded is judged again, and nobody is asked.

    rechecked = recheck("failures/bug.pd", model=Shop)

A repaired invariant, or a new one, is tried on the recorded events and observations; neither a service nor a cassette
takes part, and nothing of the adapter runs but its annotations (module witness). The first thing that does not hold
ends a run. So where that is not the recorded failure, the run is made again without it, until the recorded failure
shows, or nothing fails any more: what is new is told, and what became of the old one, too.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from replaykit import project
from replaykit.adapter import Adapter
from replaykit.blockade import blockaded
from replaykit.bundle import Bundle, require_whole
from replaykit.difference import differences
from replaykit.judging import judge
from replaykit.latency import budgets_of
from replaykit.model import Model
from replaykit.replaying import load_failure
from replaykit.run import execute
from replaykit.trace import Trace
from replaykit.value import InvalidValueError, JsonData, JsonText, Record, jsonable, loads, parse
from replaykit.verdict import Failure, Verdict
from replaykit.witness import Recalled, Witness

MOST_FOUND = 100  # failures in the evidence of one bundle
MOST_STATES = 3  # places that are told of a state that differs


class Moved(Record):
    """A step after which today's projection is not the recorded one: where, and how."""

    step: int  # label
    changes: tuple[str, ...]


class Rechecked(Record):
    """What rechecking a bundle came to; `found` are failures that were not recorded, in the order of the run."""

    verdict: Verdict
    reason: str
    recorded: Failure | None  # None where the bundle's run passed
    still: bool  # does the recorded failure fail again?
    found: tuple[Failure, ...] = ()
    unseen: Mapping[str, tuple[str, ...]] = {}  # checks that look at what was not recorded: where
    unreached: tuple[str, ...] = ()  # checks that look at what was not recorded any more, since the run had ended
    moved: tuple[Moved, ...] = ()
    trace: Trace  # of the run with the first failure


def recheck(
    bundle: Bundle | str | Path,
    *,
    model: type[Model] | None = None,
    adapter: type[Adapter[Any]] | None = None,
    latency: Mapping[str, float] | None = None,
) -> Rechecked:
    """Judge what a bundle recorded with today's model, without a service and without the adapter's handlers.

    The bundle is one that was read, or the path of its file; without `model` and `adapter`, those that it names are
    imported, if they lie inside the project. The verdict is *reproduced* where the recorded failure shows again and
    nothing else does, *failed* where something fails that was not recorded, *fixed* or *passed* where all holds.
    Raises as `replay` does.
    """
    if not isinstance(bundle, Bundle):
        bundle = load_failure(bundle)
    require_whole(bundle, "The bundle")
    with blockaded():  # a module may do anything while it is imported
        model = model or project.load(bundle.provenance.model, Model, trusted=False)
        adapter = adapter or project.load(bundle.provenance.adapter, Adapter, trusted=False)
    recorded, seen = bundle.judged, _Judging(bundle, adapter, latency or {})
    last = first = seen.judged(model)
    found: list[Failure] = []
    while (failure := last.news) is not None and len(found) < MOST_FOUND:
        found.append(failure)
        trimmed = _without(last.model, failure)
        if trimmed is None:
            break
        last = seen.judged(trimmed)
    verdict, reason = _said(recorded, found, last)
    return Rechecked(
        verdict=verdict,
        reason=reason,
        recorded=recorded,
        still=last.verdict is Verdict.REPRODUCED,
        found=tuple(found),
        unseen={name: tuple(places) for name, places in last.witness.unseen.items()},
        unreached=tuple(last.witness.unreached),
        moved=tuple(_moved(model, bundle.trace, last.trace)),
        trace=first.trace,
    )


class _Seen(NamedTuple):
    """What one run over the evidence came to."""

    model: type[Model]
    witness: Witness
    trace: Trace
    verdict: Verdict
    reason: str

    @property
    def news(self) -> Failure | None:
        """What fails, and was not recorded; None where that is the recorded failure, or a fault of the model."""
        failure = self.trace.failure
        return failure if self.verdict is Verdict.DIFFERENT and failure is not None and failure.is_finding else None


class _Judging:
    """Runs over the evidence of one bundle."""

    def __init__(self, bundle: Bundle, adapter: type[Adapter[Any]], latency: Mapping[str, float]) -> None:
        self._bundle, self._adapter, self._latency = bundle, adapter, latency

    def judged(self, model: type[Model]) -> _Seen:
        """Let a model judge what was recorded."""
        recorded, failure = self._bundle.trace, self._bundle.judged
        witness, tally = Witness(recorded, model, self._adapter), Counter[tuple[str, str]]()
        trace = execute(model, witness, witness, cassette=witness, tally=tally, nonce=recorded.nonce)
        if failure is not None and failure.kind == "latency":
            trace, measured = self._timed(model, failure, trace)
            tally[failure.kind, failure.name] += measured
        if failure is None:
            verdict = {"passed": Verdict.PASSED, "failed": Verdict.DIFFERENT}.get(trace.ending)
            return _Seen(model, witness, trace, verdict or Verdict.STALE, trace.reason)
        verdict, reason = judge(failure, trace)
        looked = model.server_errors if failure.kind == "server_error" else tally[failure.kind, failure.name] > 0
        if verdict is Verdict.FIXED and not looked:
            verdict, reason = Verdict.STALE, f"the model no longer judges the {failure.title}"
        return _Seen(model, witness, trace, verdict, reason)

    def _timed(self, model: type[Model], failure: Failure, trace: Trace) -> tuple[Trace, bool]:
        """Hold the recorded times against today's budget, at the step that was slow; say whether there are any."""
        budgets = budgets_of(model, self._adapter, self._latency).recorded(failure)
        place = failure.step, failure.command
        measured = any((each.step, each.command) == place for each in budgets.measure(trace))
        slow = next((each for each in budgets.slow(trace) if (each.step, each.command) == place), None)
        if trace.ending == "passed" and slow is not None:
            trace = trace.replace(ending="failed", failure=slow)
        return trace, measured


def _without(model: type[Model], failure: Failure) -> type[Model] | None:
    """Return a model that does not judge what failed; None where it can't be left out."""
    rules = model.rules
    name = failure.name
    if failure.kind == "invariant":
        rules = replace(rules, invariants=[each for each in rules.invariants if each != name])
    elif failure.kind == "expectation":
        rules = replace(rules, expects={kind: each for kind, each in rules.expects.items() if each != name})
    else:
        rules = replace(rules, checks=[each for each in rules.checks if each.name != name])
    is_error = failure.kind == "server_error" and model.server_errors
    if rules == model.rules and not is_error:
        return None
    names = {"__module__": model.__module__, "__qualname__": model.__qualname__}
    trimmed: type[Model] = type(model.__name__, (model,), names)
    trimmed.rules, trimmed.server_errors = rules, model.server_errors and not is_error
    return trimmed


def _said(recorded: Failure | None, found: list[Failure], last: _Seen) -> tuple[Verdict, str]:
    """Say what all runs over the evidence come to."""
    old = "" if recorded is None else f"the recorded failure ({_named(recorded)})"
    if found:
        more = "" if len(found) == 1 else f", and {len(found) - 1} more"
        new = f"{_named(found[0])} fails{more}: {found[0].message}"
        if recorded is None:
            return Verdict.FAILED, f"it passed when it was recorded; {new}"
        return Verdict.FAILED, f"{new}; {old} {_became(recorded, found, last)}"
    if last.verdict is Verdict.REPRODUCED:
        return last.verdict, last.reason
    if last.verdict not in {Verdict.FIXED, Verdict.PASSED}:
        return last.verdict, last.reason if last.trace.failure is None else _fault(last.trace.failure)
    if last.witness.unseen:
        names = ", ".join(f"{name} ({', '.join(places[:3])})" for name, places in last.witness.unseen.items())
        return Verdict.UNDECIDED, f"nothing fails, but what these look at was not recorded: {names}"
    if recorded is None:
        return last.verdict, "all that was recorded holds, as it did then"
    later = f"; not judged, since the run had ended: {', '.join(last.witness.unreached)}"
    return last.verdict, f"{old} does not fail any more, and all else holds{later if last.witness.unreached else ''}"


def _became(recorded: Failure, found: list[Failure], last: _Seen) -> str:
    if last.verdict is Verdict.REPRODUCED:
        return "still fails too"
    if (recorded.kind, recorded.name) in {(each.kind, each.name) for each in found}:
        return "is of the same check, which fails elsewhere now"
    if last.verdict is Verdict.FIXED:
        return "does not fail any more"
    return f"could not be judged: {last.reason}"


def _named(failure: Failure) -> str:
    where = "at the end" if failure.step is None else f"at step {failure.step}"
    return f"{failure.title} {where}"


def _fault(failure: Failure) -> str:
    return f"{_named(failure)}: {failure.message}"


# --- the projection -----------------------------------------------------------------------------


def _moved(model: type[Model], before: Trace, after: Trace) -> Iterable[Moved]:
    """List the steps after which today's state is not the recorded one."""
    states = {step.call.label: step.state for step in before.steps}
    for step in after.steps:
        then = states.get(step.call.label)
        if then is None or step.state is None or then == step.state:
            continue
        changes = differences(_plain(model, then), _plain(model, step.state))
        if changes:
            yield Moved(step=step.call.label, changes=tuple(f"{each.path}: {each.shown}" for each in changes))


def _plain(model: type[Model], text: JsonText) -> JsonData:
    """Read a state; the order of sets, which means nothing, is made one, as far as today's model knows them."""
    data = loads(text)
    try:
        return _ordered(parse(model, data, {"refs": Recalled()}))
    except InvalidValueError:
        return data


def _ordered(value: Any) -> JsonData:
    if isinstance(value, set | frozenset):
        return sorted((_ordered(each) for each in value), key=repr)
    if isinstance(value, dict):
        return {str(key): _ordered(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_ordered(each) for each in value]
    return _ordered(vars(value)) if hasattr(value, "__pydantic_fields__") else jsonable(value)
