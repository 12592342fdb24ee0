"""The inquiry: a bisect from the places in which points are tried to the blame that is told."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, Protocol

from replaykit.adapter import Adapter
from replaykit.attempts import is_steady, odds_of
from replaykit.axis import Point, Site
from replaykit.bisecting import Bisect
from replaykit.blame import Blame
from replaykit.bundle import Bundle
from replaykit.commit import Change
from replaykit.doubt import doubts
from replaykit.environments import Environments
from replaykit.errors import UsageError
from replaykit.lifeline import Spare
from replaykit.memory import Kept, Memory
from replaykit.model import Model
from replaykit.onlooker import Onlooker
from replaykit.plan import Plan, Range
from replaykit.probing import Prober, Recipe


class Place(Protocol):
    """Where a bug is searched: in the commits of a repository, or in the versions of a package."""

    @property
    def axis(self) -> Literal["commits", "versions"]:
        """What its points are."""

    @property
    def where(self) -> str:
        """The repository, or the package."""

    @property
    def near(self) -> str:
        """The id of the newer end."""

    @property
    def far(self) -> str | None:
        """The id of the older end; None where it is looked for."""

    def range(self) -> Range:
        """List the points that are searched."""

    def inside(self, point: Point) -> Range | None:
        """List what came with a point that is several; None of one that is not."""

    def change(self, point: Point) -> Change | None:
        """Say what a point did; None where that is not known."""

    def is_older(self, revision: str) -> bool:
        """Say whether a commit comes before the newer end."""

    def log(self, blame: Blame) -> str | None:
        """Tell a bisect as a log for git; None of what is not git's."""


def _tell_of_begun(memory: Memory, place: Place, onlooker: Onlooker) -> None:
    """Say of a bisect that goes on how much it knows."""
    lines = memory.lines
    if lines:
        points = len({each.point for each in lines})
        where = place.axis if points > 1 else place.axis.removesuffix("s")
        attempts = sum(each.tried.attempts for each in lines)
        onlooker.noted(f"It goes on: what {attempts:,} attempts at {points:,} {where} came to is known already.")


Lane = Callable[[int], AbstractContextManager[Site]]


@dataclass(frozen=True, slots=True)
class Inquiry:
    """All that a bisect is about. Raises UsageError where it can't be made like that."""

    bundle: Bundle
    name: str  # of the bundle, as the user calls it
    model: type[Model]
    adapter: type[Adapter[Any]]
    recipe: Recipe
    place: Place
    plan: Plan = field(default_factory=Plan)
    jobs: int = 1

    def __post_init__(self) -> None:
        stage = self.recipe.stage
        if stage.start is None and (self.recipe.build is None or stage.url is None):
            raise UsageError(
                "A bisect starts the service at each point, and does not know how.",
                "Name the command with --start; or, where the build starts it, with --build, and the place with --url.",
            )
        if stage.url is not None and self.jobs > 1:
            raise UsageError(
                "With --url, all services would be at the same place, and --jobs makes several.",
                "Leave out one of them; {port} in the start command stands for a port of its own.",
            )

    def answered(self, memory: Memory, lane: Lane, onlooker: Onlooker) -> Blame:
        """Search, and say what it came to; `lane` gives the places in which points are laid out."""
        odds = odds_of(self.bundle)
        plan = replace(self.plan, steady=is_steady(self.bundle), odds=odds)
        logs = memory.logs if isinstance(memory, Kept) else None
        with ExitStack() as stack:
            environments = stack.enter_context(Environments())
            environments.sweep()
            benches = []
            for number in range(self.jobs):
                spare = stack.enter_context(Spare())
                site = stack.enter_context(lane(number))
                bench = Prober(self.bundle, self.model, self.adapter, self.recipe, site, environments, logs, spare)
                bench.doing = partial(onlooker.doing, number)
                benches.append(bench)
            _tell_of_begun(memory, self.place, onlooker)
            benches[0].warn = lambda said: onlooker.noted(f"warning: {said}")
            bisect = Bisect(self.place.range(), benches, plan, memory, onlooker, self.place.inside)
            return self._told(bisect.run(), memory)

    def _told(self, blame: Blame, memory: Memory) -> Blame:
        """Add what is known of the bundle, and of what the culprit did."""
        failure, revision = self.bundle.judged, self.bundle.origin.revision
        blame = blame.replace(
            bundle=self.name,
            failure="a run that passed" if failure is None else failure.title,
            axis=self.place.axis,
            package=self.place.where if self.place.axis == "versions" else None,
            revision=revision if revision is not None and self.place.is_older(revision) else None,
            change=None if blame.culprit is None else self.place.change(blame.culprit),
            journal=str(memory.folder) if isinstance(memory, Kept) else None,
        )
        return blame.replace(notes=[*blame.notes, *doubts(blame)])
