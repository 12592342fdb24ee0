"""A replay as text: what was recorded, what is seen now, and why it is judged so."""

from replaykit.attempts import Replayed
from replaykit.rate import percent
from replaykit.report import steps
from replaykit.report.failure import compared
from replaykit.sequence import Sequence
from replaykit.trace import Trace
from replaykit.verdict import Failure, Verdict

MARGIN = " " * 12


def render(replayed: Replayed, recorded: Trace) -> str:
    """Show the recorded failure above what is seen in its place."""
    was, seen = replayed.recorded, replayed.trace.failure
    calls = recorded.sequence
    lines = ["a run that passed"] if was is None else _failure(was, calls)
    told = [f"  recorded  {lines[0]}", *(f"{MARGIN}{line}" for line in lines[1:])]
    if seen is not None:
        lines = _failure(seen, replayed.trace.sequence)
        if was is not None and lines == _failure(was, calls):
            lines = [f"the same {_place(was, calls)}"]
    else:
        lines = _without_failure(replayed, len(calls))
    told += [f"  now       {lines[0]}", *(f"{MARGIN}{line}" for line in lines[1:])]
    return "\n".join([*told, *(f"  note      {steps.one_line(each)}" for each in replayed.notes)])


def conclusion(replayed: Replayed) -> str:
    """Say why it is judged so, in how many attempts, and of what is fixed, how sure that is."""
    reason, attempts = replayed.reason, replayed.attempts
    if replayed.verdict is Verdict.UNDECIDED and replayed.confidence is not None:
        return reason  # which says it all
    if replayed.held is not None and replayed.verdict not in {Verdict.FIXED, Verdict.PASSED}:
        return reason  # attempts that drifted are told place by place
    if replayed.confidence is not None and replayed.odds is not None:
        sure = (
            f"a bug that shows in {percent(replayed.odds.at_least)} of them would have been seen with "
            f"{percent(replayed.confidence)} confidence"
        )
        return f"{reason} (in {'1 attempt' if attempts == 1 else f'each of {attempts} attempts'}; {sure})"
    if attempts == 1:
        return reason
    said = steps.count(attempts, "attempt")
    if replayed.verdict in {Verdict.FIXED, Verdict.PASSED}:
        return f"{reason} (in each of {said})"
    flaky = "flaky: " if 0 < replayed.failed < attempts else ""
    return f"{reason} ({flaky}in {replayed.failed} of {said})"


def _failure(failure: Failure, calls: Sequence) -> list[str]:
    """Show a failure: what failed, where, and how."""
    said = [line for text in failure.message.splitlines() for line in [text.rstrip()] if line]
    return [f"{steps.one_line(failure.title)} {_place(failure, calls)}", *said, *compared(failure)]


def _place(failure: Failure, calls: Sequence) -> str:
    if failure.step is None:
        return "at the end" if calls else "before the first step"
    call = next((call for call in calls if call.label == failure.step), None)
    return f"in step {failure.step}" + (f", {steps.call_text(call)}" if call is not None else "")


def _without_failure(replayed: Replayed, calls: int) -> list[str]:
    """Say how a run ended in which nothing failed."""
    trace, was = replayed.trace, replayed.recorded
    if trace.ending != "passed":
        done = sum(step.event is not None for step in trace.steps)
        return [f"nothing failed in {done} of {steps.count(calls, 'command')}, where it ended"]
    said = "all steps ran, and all checks hold"
    step = next((step for step in trace.steps if was is not None and step.call.label == was.step), None)
    if step is not None and step.event is not None:
        said = f"{said}; step {step.call.label} was answered {steps.said_text(step.event, step)}"
    return [said]
