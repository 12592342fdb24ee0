"""Bisect: along an axis, to the point that brought a bug, or that mended it.

First the ends are tried: the bug has to show at the one and to stay away from the other, else there is nothing to
search for. Then the range is searched (see `search`), and where the culprit is a merge, what came with it. Only a
culprit that was tried once more, with what stands right before it, is named.

After a stop a bisect begins again from its beginning, and recalls what was found out instead of finding it out; so it
comes to the same place, and goes on from there.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from replaykit.axis import Bench, Point
from replaykit.blame import Blame, Outcome, Suspect
from replaykit.errors import MachineError
from replaykit.gauge import Gauge
from replaykit.memory import Memory
from replaykit.onlooker import Onlooker
from replaykit.plan import Plan, Range
from replaykit.search import EndedError, OlderError, Search
from replaykit.survey import BudgetError, Survey
from replaykit.suspects import chance

MOST_TOLD = 1000  # suspects
UNLIKELY = 0.01  # suspects of a flaky bug that are less probable are not told
_OPEN: set[Outcome] = {"candidates", "undecided", "trouble", "interrupted"}  # ends that leave suspects


@dataclass(slots=True)
class Bisect:
    """One bisect; `run` makes it."""

    range: Range
    benches: Sequence[Bench]
    plan: Plan
    memory: Memory
    onlooker: Onlooker = field(default_factory=Onlooker)
    inside: Callable[[Point], Range | None] = lambda _: None  # the points that came with a merge, itself the last
    _notes: list[str] = field(init=False, default_factory=list)
    _survey: Survey = field(init=False)
    _search: Search = field(init=False)
    _within: Search | None = field(init=False, default=None)  # that of what came with a merge
    _is_older: bool = field(init=False, default=False)  # did what was merged have it before it went apart?

    def __post_init__(self) -> None:
        plan = self.plan
        gauge = Gauge(plan.steady, plan.odds)
        self._survey = Survey(self.benches, self.memory, self.onlooker, gauge, plan.most_attempts, plan.most_seconds)
        self._search = Search(self.range, plan, self._survey, self._notes)

    def run(self) -> Blame:
        """Search. What goes wrong on the way is told by the blame; Ctrl-C too."""
        signal = None
        try:
            outcome, reason = self._run()
        except EndedError as end:
            outcome, reason = end.outcome, end.reason
        except BudgetError as error:
            outcome, reason = "undecided", f"the budget is spent: {error}"
        except MachineError as error:
            outcome, reason = "trouble", f"the machine is in trouble: {error.happened}"
        except KeyboardInterrupt as interrupt:
            outcome, reason = "interrupted", "it was stopped on request"
            signal = getattr(interrupt, "signal_number", 2)
        blame = self._blame(outcome, reason, signal)
        self.onlooker.ended(blame)
        return blame

    def _run(self) -> tuple[Outcome, str]:
        search = self._search
        self.onlooker.planned(len(self.range.points) - self.range.far, search.steps)
        search.try_ends()
        try:
            search.run()
        except OlderError as older:
            word = "mended" if self.plan.fix else "there"
            raise EndedError(
                "not good", f"it was {word} before: {older.point.name} shows that, from which what was searched comes"
            ) from None
        merge = search.culprit
        if merge is None:
            return self._left(search)
        inside = self.inside(self.range.points[merge])
        if inside is None:
            return "found", self._told(self.range.points[merge])
        return self._run_inside(inside, merge)

    def _run_inside(self, inside: Range, merge: int) -> tuple[Outcome, str]:
        """Go on inside of a merge, with what is known of it and of the point before it."""
        merged = len(inside.points) - 2
        self.onlooker.noted(f"It came with a merge of {merged} commit{'s' * (merged > 1)}: the search goes on inside.")
        search = Search(inside, self.plan, self._survey, self._notes, merge - 1.0, 1 / len(inside.points))
        search.states[0], search.states[len(inside.points) - 1] = self.plan.before, self.plan.after
        self._within = search
        itself = self.range.points[merge]
        try:
            search.run()
        except OlderError as older:
            self._is_older = True
            self._notes.append(
                f"What was merged comes from {older.point.name}, where it was like that already: the merge brought it "
                "back."
            )
            return "found", self._told(itself)
        if search.culprit is not None:
            return "found", self._told(inside.points[search.culprit])
        known = {state for place, state in search.states.items() if 0 < place < len(inside.points) - 1}
        if self.plan.after in known:  # so it is not how the sides were put together
            return self._left(search)
        self._notes.append("None of the commits that it merged could be told from it.")
        return "found", self._told(itself)

    # --- telling

    def _told(self, culprit: Point) -> str:
        return f"{culprit.name} {'mended' if self.plan.fix else 'brought'} the bug"

    def _left(self, search: Search) -> tuple[Outcome, str]:
        """Say why a search has come to no culprit."""
        suspects, states = search.suspects, search.states
        if not search.is_anchored and 0 in states and 0 not in suspects.untried:
            if self.plan.fix:
                return "not bad", "the bug does not show at any point that was tried"
            first = search.range.points[0].name
            return "not good", f"the bug is as old as the history: it shows at {first} already"
        group = suspects.likeliest()
        said = f"{len(group)} of them can't be told apart" if len(group) > 1 else "nothing more can be found out"
        if suspects.in_the_way >= self.plan.most_skips:
            said = f"{suspects.in_the_way} of those that were tried can't be judged"
        return "candidates", f"{suspects.left} may have {'mended' if self.plan.fix else 'brought'} the bug: {said}"

    def _blame(self, outcome: Outcome, reason: str, signal: int | None) -> Blame:
        base, gauge = self.range, self._survey.gauge
        search = self._within if self._within is not None else self._search
        culprit = parent = None
        confidence: float | None = None
        if outcome == "found":
            search = self._within if self._within is not None and self._within.culprit is not None else self._search
            assert search.culprit is not None  # noqa: S101  it was found
            culprit = search.range.points[search.culprit]
            before = search.before(search.culprit)
            parent = before[0] if before else None
            confidence = self._confidence(search, culprit, before)
        open_ = self._within if self._within is not None and self._within.culprit is None else self._search
        suspects: list[Suspect] = []
        if outcome in _OPEN or (outcome == "found" and open_.culprit is None and not self._is_older):
            ranked = open_.suspects.ranked(0.0 if gauge.steady else UNLIKELY)[:MOST_TOLD]
            suspects = [Suspect(point=open_.range.points[place], probability=round(each, 4)) for place, each in ranked]
        known = gauge.known
        return Blame(
            outcome=outcome,
            reason=reason,
            signal=signal,
            fix=self.plan.fix,
            near=base.points[-1],
            far=base.points[0] if base.far else None,
            points=len(base.points) - base.far,
            steady=gauge.steady,
            rate=(known[0], sum(known)) if any(known) else None,
            culprit=culprit,
            parent=parent,
            merge=None if self._within is None or self._search.culprit is None else base.points[self._search.culprit],
            confidence=confidence,
            confirmed=outcome == "found",
            suspects=suspects,
            tested=self._survey.all_tested(),
            spent=self._survey.total(),
            notes=self._notes,
        )

    def _confidence(self, search: Search, culprit: Point, before: Sequence[Point]) -> float:
        """Say how sure it is that a point is the culprit: that the bug is there, and not right before.

        Attempts of one start of the service are not independent, so of a steady bug only starts count.
        """
        gauge = self._survey.gauge
        if not gauge.steady:
            return search.suspects.probability(1 << (search.culprit or 0))
        shown = sum(gauge.starts_of(each.point)[0] for each in self._survey.all_tested())
        there = chance(*gauge.starts_of(culprit), (shown, 0))
        others = [chance(*gauge.starts_of(point), (shown, 0)) for point in before if any(gauge.starts_of(point))]
        if self.plan.fix:
            there, others = 1 - there, [1 - each for each in others]
        return math.prod([there, *(1 - each for each in others)])
