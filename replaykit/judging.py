"""Judging: one execution of a bundle's sequence, held against how its run ended when it was recorded."""

import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from replaykit.adapter import Adapters
from replaykit.blockade import blockaded
from replaykit.bundle import Bundle
from replaykit.cassette import Order, played
from replaykit.latency import RUNS, Budgets, decide
from replaykit.looking import Look
from replaykit.model import Model
from replaykit.pace import Paced
from replaykit.run import Listener, execute
from replaykit.sequence import Fixed
from replaykit.trace import Step, Trace
from replaykit.verdict import Failure, Verdict, is_same


class Judged(NamedTuple):
    """What one execution came to."""

    trace: Trace
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Trial:
    """How a bundle's sequence is executed, and what is held against it."""

    bundle: Bundle
    adapters: Adapters
    budgets: Budgets
    offline: bool = False  # against its own cassette?
    order: Order = "strict"  # in which that is played
    paced: bool = False  # with the pauses that it was recorded with?
    look: Look | None = None  # how it is followed
    watched: bool = True  # is it known that the service has a health check?

    def execute(self, listener: Listener | None = None, tally: Counter[tuple[str, str]] | None = None) -> Trace:
        """Run the sequence once."""
        recorded = self.bundle.trace
        cassette = played(recorded, self.order) if self.offline else None
        with contextlib.nullcontext() if cassette is None else blockaded(cassette):  # its constructor is the user's
            adapter = self.adapters.new()
        calls = Paced(recorded) if self.paced else Fixed(recorded.sequence)
        trace = execute(
            self.adapters.model,
            adapter,
            calls if self.look is None else self.look.calls(calls, self.adapters.rest),
            cassette=cassette,
            listener=listener,
            tally=tally,
            nonce=recorded.nonce if self.offline else None,
            witness=self.look,
        )
        return trace if trace.ending != "stale" else trace.replace(reason=_rooted(trace, recorded))

    def judged(self, listener: Listener | None = None) -> Judged:
        """Run the sequence, and judge it: once, or a slow one as often as it takes to be sure."""
        tally: Counter[tuple[str, str]] = Counter()
        trace, failure = self.execute(listener, tally), self.bundle.judged
        calls = len(self.bundle.trace.sequence)
        if failure is None:
            return Judged(trace, *_judge_passed(trace, calls))
        if failure.kind == "latency":
            most = 1 if self.offline else RUNS
            return Judged(*_timed(failure, self.execute, self.budgets.recorded(failure), most, trace))
        verdict, reason = judge(failure, trace)
        if verdict is Verdict.FIXED and len(trace.steps) < calls:
            return Judged(trace, Verdict.STALE, f"nothing fails, but {_NOT_SENT}")
        if verdict is Verdict.FIXED and not _was_looked_at(failure, self.adapters.model, tally):
            reason = f"nothing fails, but the model no longer judges the {failure.title}"
            return Judged(trace, Verdict.STALE, reason)
        return Judged(trace, verdict, reason)


def _rooted(trace: Trace, recorded: Trace) -> str:
    """Say why a run is stale, and which steps that the call builds on were answered otherwise than recorded."""
    before, now = ({step.call.label: step for step in each.steps} for each in (recorded, trace))
    call = next((each for each in recorded.sequence if each.label not in now or now[each.label].event is None), None)
    roots = []
    for label in sorted(call.needs & before.keys() & now.keys()) if call is not None else ():
        was, seen = _status(before[label]), _status(now[label])
        if was is not None and seen is not None and was != seen:
            roots.append(f"step {label}, which it builds on, was answered {seen} now, and {was} when it was recorded")
    return "; ".join([trace.reason.rstrip(".") if roots else trace.reason, *roots])


def _status(step: Step) -> int | None:
    """Return the status of the last answer to a command; None where there is none."""
    response = step.interactions[-1].response if step.interactions else None
    return None if response is None else response.status


_NOT_SENT = "a call of a branch could not be sent: what it needs is not there"


def _timed(
    failure: Failure, run: Callable[[], Trace], budgets: Budgets, most: int, first: Trace
) -> tuple[Trace, Verdict, str]:
    """Judge what was slow when it was recorded, at that step: nothing else is measured."""

    def slow(trace: Trace) -> list[Failure]:
        return [each for each in budgets.slow(trace) if (each.step, each.command) == (failure.step, failure.command)]

    decided = decide(slow, run, most, first)
    verdict, reason = judge(failure, decided.trace)
    places = {(each.step, each.command) for each in budgets.measure(decided.trace)}
    if verdict is Verdict.FIXED and (failure.step, failure.command) not in places:
        return decided.trace, Verdict.STALE, f"nothing fails, but nothing is sent that {failure.name} is measured by"
    if verdict in {Verdict.FIXED, Verdict.REPRODUCED} and most > 1:
        reason = f"{reason} (slow in {decided.slow} of {decided.executions} executions)"
    return decided.trace, verdict, reason


def _judge_passed(trace: Trace, calls: int) -> tuple[Verdict, str]:
    """Say what it means how a run ends that passed when it was recorded."""
    failure = trace.failure
    if failure is not None and failure.is_finding:
        return Verdict.FAILED, f"it passed when it was recorded: {_said(failure, trace)}"
    if failure is not None:
        return Verdict.DIFFERENT, f"{failure.title}: {failure.message}"
    if trace.ending == "passed" and len(trace.steps) < calls:
        return Verdict.STALE, f"nothing fails, but {_NOT_SENT}"
    if trace.ending == "passed":
        return Verdict.PASSED, "all steps ran, and all checks hold, as when it was recorded"
    return _ENDED.get(trace.ending, Verdict.UNREACHABLE), trace.reason


def _was_looked_at(failure: Failure, model: type[Model], tally: Counter[tuple[str, str]]) -> bool:
    """Say whether a run exercised what failed when the bundle was recorded."""
    if failure.kind == "server_error":
        return model.server_errors
    return tally[failure.kind, failure.name] > 0


_ENDED = {"stale": Verdict.STALE, "undecided": Verdict.UNDECIDED}


def judge(recorded: Failure, trace: Trace) -> tuple[Verdict, str]:
    """Compare how a run ended with the recorded failure."""
    if trace.ending == "passed":
        return Verdict.FIXED, "all steps ran, and all checks hold"
    if trace.ending in _ENDED:
        return _ENDED[trace.ending], trace.reason
    failure = trace.failure
    if failure is None:
        return Verdict.UNREACHABLE, trace.reason
    said = _said(failure, trace)
    at_once = failure.step in trace.moments  # of two calls at the same time, the one may fail or the other
    if is_same(recorded, failure) and (failure.step == recorded.step or at_once):
        return Verdict.REPRODUCED, said
    return Verdict.DIFFERENT, f"it fails in another way than recorded ({_recorded(recorded)}): {said}"


def _said(failure: Failure, trace: Trace) -> str:
    where = f"at step {failure.step}" if failure.step is not None else "at the end" if trace.steps else "in the reset"
    return f"{failure.title} {where}: {failure.message}"


def _recorded(failure: Failure) -> str:
    where = "at the end" if failure.step is None else f"at step {failure.step}"
    return f"{failure.title} {where}"
