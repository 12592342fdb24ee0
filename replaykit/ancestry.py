"""Ancestry: the commits of a repository as an axis, from a good one to a bad one."""

from typing import Literal

from replaykit.axis import Point
from replaykit.blame import Blame
from replaykit.commit import SHORT, Change, Commit, log_of_bisect
from replaykit.errors import UsageError
from replaykit.plan import Range
from replaykit.repository import Repository

MOST_OF_GRAPH = 30_000  # commits of which it is kept which come from which


def point_of(commit: Commit) -> Point:
    """Return a commit as a point."""
    return Point(id=commit.hash, name=commit.hash[:SHORT], code=commit.tree, subject=commit.subject)


class Ancestry:
    """The commits after one up to another; without the older one, all that the newer one comes from."""

    axis: Literal["commits"] = "commits"

    def __init__(self, repository: Repository, near: str, far: str | None, *, all_parents: bool = False) -> None:
        """Take hashes of commits. Raises UsageError where there is nothing between them, or too much."""
        self.repository, self.where = repository, str(repository.top)
        self.near, self.far, self.all_parents = near, far, all_parents
        if near == far:
            raise UsageError(f"Both ends are the same commit, {near[:SHORT]}.", "Name two.")
        if far is not None and not repository.is_ancestor(far, near):
            raise self._apart(far, near)

    def _apart(self, far: str, near: str) -> UsageError:
        base = self.repository.merge_base(far, near)
        if base == near:
            return UsageError(f"{far[:SHORT]} comes from {near[:SHORT]}, not the other way round.", "Swap the ends.")
        if base is None:
            return UsageError(f"{far[:SHORT]} and {near[:SHORT]} have nothing in common.", "Name an ancestor.")
        return UsageError(
            f"{near[:SHORT]} does not come from {far[:SHORT]}: they went apart at {base[:SHORT]}.",
            f"Name that one instead, if it is as it should be: {base}",
        )

    def range(self) -> Range:
        """List what is searched: along first parents, or all."""
        if not self.all_parents:
            return Range(
                [point_of(each) for each in self.repository.line(self.far, self.near)], far=self.far is not None
            )
        return self._graph(self.far, self.near)

    def inside(self, point: Point) -> Range | None:
        """List what came with a merge, itself the last, after the commit that it was merged into; None of others."""
        parents = [] if self.all_parents else self.repository.commit(point.id).parents
        if len(parents) < 2:  # noqa: PLR2004  the line goes on with the first one
            return None
        found = self._graph(parents[0], point.id)
        return found if len(found.points) > 2 else None  # noqa: PLR2004  the commit before, and the merge itself

    def _graph(self, far: str | None, near: str) -> Range:
        commits = self.repository.graph(far, near)
        if len(commits) > MOST_OF_GRAPH:
            raise UsageError(
                f"There are {len(commits):,} commits between the ends, more than {MOST_OF_GRAPH:,}.",
                "Leave out --all-parents: merges are found first, and then the commit inside of the one.",
            )
        points = [point_of(each) for each in commits]
        if far is not None:
            points.insert(0, point_of(self.repository.commit(far)))
        places = {point.id: place for place, point in enumerate(points)}
        parents: list[list[int]] = [] if far is None else [[]]
        outside: dict[int, list[Point]] = {}
        for each in commits:
            known = [places[parent] for parent in each.parents if parent in places]
            # one that is not listed comes before the far end; the order needs to know no more of it
            missing = [parent for parent in each.parents if parent not in places]
            if missing:
                outside[len(parents)] = [Point(id=parent, name=parent[:SHORT]) for parent in missing]
            parents.append(known if far is None or not missing or 0 in known else [0, *known])
        return Range(points, parents, far=far is not None, outside=outside)

    def change(self, point: Point) -> Change:
        """Say what a commit is, and what it did."""
        return self.repository.change(point.id)

    def is_older(self, revision: str) -> bool:
        """Say whether a commit comes before the newer end; one that is not in the repository does not."""
        try:
            found = self.repository.resolve(revision)
        except UsageError:
            return False
        return found != self.near and self.repository.is_ancestor(found, self.near)

    def log(self, blame: Blame) -> str | None:
        """Tell a bisect as a log that `git bisect replay` accepts; None where there is no older end."""
        if blame.far is None or blame.near is None:
            return None
        tested = [(each.point.id, each.state, each.point.subject) for each in blame.tested]
        first_parent = not self.all_parents and blame.merge is None
        return log_of_bisect(blame.far.id, blame.near.id, tested, first_parent=first_parent, fix=blame.fix)
