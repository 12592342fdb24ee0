"""The timeline of a run: when each step was, who ran at the same time, how long faults lasted; geometry, no drawing.

Steps that were sent one after the other stand one after the other, each as wide as the next: what came before what
is what counts. Steps in branches stand where they were sent and answered, since there it is the time that counts.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Literal, TypeAlias

from replaykit.report import faults
from replaykit.report.steps import call_text, count
from replaykit.trace import Step, Trace
from replaykit.value import Record

WIDTH = 960.0
LANE = 30.0  # height
LEFT = 84.0  # where the lanes begin, right of their names
MOST = 150  # marks; where there are more steps, equal ones in a row share one
MOST_TITLE = 200  # characters
UNFINISHED = "the file ends here"  # what is known of a step without an event, where the end of the file is missing
MOST_LANES = 24  # of faults
_WIDEST, _NARROWEST = 200.0, 3.0
_LETTER = 7.0  # width of one, in the labels

Kind: TypeAlias = Literal["held", "failed", "lost", "fault"]


class Bar(Record):
    """One step, or several alike in a row, or a fault as long as it lasted."""

    kind: Kind
    x: float
    y: float
    width: float
    label: str  # inside of it; empty where there is no room
    title: str
    target: str  # anchor of the step


class Lane(Record):
    """A row of the picture."""

    name: str
    y: float


class Timeline(Record):
    """The picture: lanes from top to bottom, bars in them, and what is written below."""

    width: float
    height: float
    left: float
    lanes: tuple[Lane, ...]
    bars: tuple[Bar, ...]
    note: str
    end: float | None  # where the checks at the end failed


def timeline(trace: Trace, *, whole: bool = True) -> Timeline | None:
    """Lay out the timeline of a run; None where there is nothing to see: no step, or one alone.

    Where its file is not `whole`, a step without an event was not over when it was written.
    """
    if len(trace.steps) < 2:  # noqa: PLR2004
        return None
    drawing = _Drawing(trace, whole=whole)
    bars = drawing.bars()
    failure = trace.failure
    ends = failure is not None and failure.step is None
    return Timeline(
        width=WIDTH,
        height=LANE * len(drawing.lanes),
        left=LEFT,
        lanes=tuple(drawing.lanes),
        bars=tuple(bars),
        note=drawing.note(),
        end=round(min(drawing.end + 6, WIDTH - 8), 1) if ends else None,
    )


class _Drawing:
    def __init__(self, trace: Trace, *, whole: bool) -> None:
        self.lost = "no answer that could be read" if whole else UNFINISHED
        self.trace = trace
        self.failing = None if trace.failure is None else trace.failure.step
        self.prefix = [step for step in trace.steps if not step.call.branch]
        self.parallel = [step for step in trace.steps if step.call.branch]
        self.lanes: list[Lane] = []
        self.end = WIDTH
        self.places: dict[int, tuple[float, float]] = {}  # by label: from where to where
        across = WIDTH - LEFT - 20
        room = across * (len(self.prefix) / (len(self.prefix) + 6) if self.parallel else 1)
        self.slot = min(_WIDEST, room / max(1, len(self.prefix)))
        self.room = across - self.slot * len(self.prefix)

    def bars(self) -> list[Bar]:
        """Lay out all bars, lane by lane."""
        begins = [step for step in self.prefix if faults.is_fault(step)]
        first = self._lane("steps" if not self.parallel else "before")
        listed = list(self._one_after_the_other(first))
        if self.parallel:
            listed += self._at_the_same_time()
        self.end = max(right for _, right in self.places.values())
        return [*listed, *self._faults(begins)]

    def note(self) -> str:
        """Say what the picture shows."""
        said = "one after the other, in the order in which they were sent"
        if self.parallel:
            said = "the branches were sent at the same time; there, a bar is as long as it took"
        span = self.trace.span
        return f"{said}; {span * 1000:,.0f} ms from the first to the last" if span else said

    def _lane(self, name: str) -> float:
        y = LANE * len(self.lanes)
        self.lanes.append(Lane(name=name, y=y))
        return y

    def _one_after_the_other(self, y: float) -> Iterator[Bar]:
        left = LEFT
        for place, step in enumerate(self.prefix):
            self.places[step.call.label] = left + self.slot * place, left + self.slot * (place + 1)
        runs: list[list[Step]] = [[step] for step in self.prefix]
        if len(runs) > MOST:
            most = -(-len(runs) // MOST)
            runs = [part for _, alike in groupby(self.prefix, self._kind) for part in _cut(list(alike), most)]
        for run in runs:
            yield self._bar(run, y, self.places[run[0].call.label][0], self.places[run[-1].call.label][1])

    def _at_the_same_time(self) -> Iterator[Bar]:
        moments = [each for step in self.parallel for each in (step.called, step.returned) if each is not None]
        begin, last = min(moments, default=0.0), max(moments, default=0.0)
        start = LEFT + self.slot * len(self.prefix) + 8
        scale = (self.room - 8) / (last - begin) if last > begin else 0.0
        for branch, steps in groupby(sorted(self.parallel, key=lambda each: each.call.branch), _branch):
            y = self._lane(f"branch {branch}")
            for step in steps:
                called = begin if step.called is None else step.called
                returned = last if step.returned is None else step.returned
                left, right = (start + (each - begin) * scale for each in (called, returned))
                self.places[step.call.label] = left, max(right, left + _NARROWEST)
                yield self._bar([step], y, *self.places[step.call.label])

    def _faults(self, begins: Sequence[Step]) -> Iterator[Bar]:
        last = {label: step.call.label for step in self.trace.steps for label in step.faults}
        for step in begins[:MOST_LANES]:
            label = step.call.label
            y = self._lane(faults.name(step.call))
            left, right = self.places[label][0], self.places[last.get(label, label)][1]
            title = f"[{label}] {faults.told(step.call)}"
            yield self._drawn("fault", y, left, right, f"[{label}] {faults.name(step.call)}", title, f"s{label}")

    def _bar(self, steps: Sequence[Step], y: float, left: float, right: float) -> Bar:
        first, last = steps[0].call.label, steps[-1].call.label
        title = f"[{first}] {call_text(steps[0].call)}"
        if len(steps) > 1:
            title = f"[{first}] to [{last}], {count(len(steps), 'step')}"
        labels = [f"[{first}] {steps[0].call.tag}", f"[{first}]", f"{first}"]
        said = next((each for each in labels if _fits(each, right - left)), "") if len(steps) == 1 else ""
        return self._drawn(self._kind(steps[0]), y, left, right, said, title, f"s{first}")

    def _drawn(self, kind: Kind, y: float, left: float, right: float, label: str, title: str, target: str) -> Bar:
        width = max(_NARROWEST if kind == "failed" else 0.8, right - left - (2 if right - left > 6 else 0))  # noqa: PLR2004
        said = label if _fits(label, width + 2) else ""
        title = title if len(title) <= MOST_TITLE else f"{title[:MOST_TITLE]}..."
        word = {"failed": "failed", "lost": self.lost}.get(kind, "")
        return Bar(
            kind=kind,
            x=round(left, 1),
            y=y,
            width=round(width, 1),
            label=said,
            title=f"{title}: {word}" if word else title,
            target=target,
        )

    def _kind(self, step: Step) -> Kind:
        if step.call.label == self.failing:
            return "failed"
        return "fault" if faults.is_fault(step) else "lost" if step.event is None else "held"


def _fits(label: str, room: float) -> bool:
    return len(label) * _LETTER + 8 <= room


_branch = attrgetter("call.branch")


def _cut(steps: list[Step], most: int) -> Iterator[list[Step]]:
    """Cut a list into parts of limited length."""
    for start in range(0, len(steps), most):
        yield steps[start : start + most]
