"""Versus: what was recorded beside what came of it when it was replayed, step by step: `200 -> 409`."""

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby, zip_longest
from urllib.parse import urlsplit

from replaykit.contrast import Drift, contrast
from replaykit.interaction import Interaction
from replaykit.report.steps import asked_and_answered
from replaykit.trace import Step, Trace
from replaykit.value import Record
from replaykit.verdict import Judgment

MOST_SAID = 1_000  # characters of what is said of a judgment
MOST_DRIFTS = 20  # places that are told, of one step


class Beside(Record):
    """One thing as it was recorded, and as it was seen."""

    what: str
    before: str
    after: str

    @property
    def differs(self) -> bool:
        """Whether it was seen otherwise."""
        return self.before != self.after


class Told(Record):
    """One judgment."""

    kind: str
    name: str
    holds: bool
    said: str


class Versus(Record):
    """What came of a step, recorded and replayed."""

    rows: tuple[Beside, ...]
    judged: tuple[Told, ...]  # when it was replayed
    drifts: tuple[Drift, ...]  # places in the answers and in what the model saw
    drifts_left_out: int = 0

    @property
    def differs(self) -> bool:
        """Whether anything was seen otherwise."""
        return bool(self.drifts) or any(row.differs for row in self.rows)


class Rerun(Record):
    """What came of replaying a bundle."""

    verdict: str
    reason: str
    exit_code: int
    lines: tuple[str, ...] = ()  # the failure that was recorded, and what was seen in its place
    notes: tuple[str, ...] = ()
    steps: Mapping[int, Versus] = {}
    end: Versus | None = None
    other: int = 0  # how many steps were answered otherwise


def versus(
    recorded: Trace,
    seen: Trace,
    shown: tuple[Trace, Trace],
    judged: Mapping[int | None, Iterable[Judgment]],
    cover: Callable[[str], str] = str,
) -> tuple[dict[int, Versus], Versus | None]:
    """Hold a replay against what was recorded; `shown` are the two as they may be told, `judged` what was judged.

    Ids that a service makes anew in each run are no difference.
    """
    drifts: dict[int | None, list[Drift]] = {}
    for found in contrast(recorded, seen, whole=True).found:
        drifts.setdefault(found.step, []).append(found.told(cover))
    later = {step.call.label: step for step in shown[1].steps}
    steps = {
        label: _versus(_rows(step, later.get(label)), drifts.get(label, []), judged.get(label, ()))
        for step in shown[0].steps
        for label in [step.call.label]
    }
    end = _versus(_requests(shown[0].closing, shown[1].closing), drifts.get(None, []), judged.get(None, ()))
    return steps, end if end.rows or end.drifts or end.judged else None


def _versus(rows: Iterable[Beside], drifts: list[Drift], judged: Iterable[Judgment]) -> Versus:
    return Versus(
        rows=tuple(rows),
        judged=tuple(map(told_of, judged)),
        drifts=tuple(drifts[:MOST_DRIFTS]),
        drifts_left_out=max(0, len(drifts) - MOST_DRIFTS),
    )


def told_of(judgment: Judgment) -> Told:
    """Tell of one judgment."""
    return Told(kind=judgment.kind, name=judgment.name, holds=judgment.holds, said=judgment.said[:MOST_SAID])


def _rows(step: Step, later: Step | None) -> list[Beside]:
    if later is None:
        return [Beside(what="the command", before="sent", after="not sent")]
    rows = [*_requests(step.interactions, later.interactions)]
    tags = [_event(step), _event(later)]
    return [*rows, Beside(what="event", before=tags[0], after=tags[1]), *_requests(step.observing, later.observing)]


def _event(step: Step) -> str:
    if step.event is None:
        return "no event"
    return (step.event.tag + ("" if step.again is None else f" and {step.again.tag}"))[:MOST_SAID]


def _requests(before: Iterable[Interaction], after: Iterable[Interaction]) -> Iterable[Beside]:
    sides = [[list(alike)[-1] for _, alike in groupby(each, asked_and_answered)] for each in (before, after)]
    for one, other in zip_longest(*sides):
        told = one or other
        path = urlsplit(told.request.url).path or "/"
        yield Beside(what=f"{told.request.method} {path}"[:MOST_SAID], before=_answer(one), after=_answer(other))


def _answer(interaction: Interaction | None) -> str:
    if interaction is None:
        return "not sent"
    if interaction.trouble is not None:
        return interaction.trouble.error
    return "no answer" if interaction.response is None else str(interaction.response.status)
