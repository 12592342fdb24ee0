"""The blame: what a bisect came to, as reports and other programs read it.

It is data alone: which point brought the bug, how sure that is, and what was tried to find it out.
"""

from typing import Literal

from replaykit.axis import Point, State
from replaykit.commit import Change
from replaykit.redact import Redactor
from replaykit.value import Record
from replaykit.verdict import FOUND, INTERNAL, NOT_JUDGED, OK

VERSION = 1

Outcome = Literal["found", "candidates", "undecided", "not bad", "not good", "not judged", "trouble", "interrupted"]


class Tested(Record):
    """A point that was tried, and all that its attempts came to."""

    point: Point
    place: int  # how many points of the range stand before it; the good end, or of a fix the bad one, is 0
    state: State
    word: str  # of the attempts that say so: a verdict, `held` of a few attempts, `unbuildable`, `machine`
    reason: str
    shown: int  # attempts in which the bug showed
    held: int
    attempts: int
    visits: int  # how often it was laid out, built and started
    seconds: float  # all of that together
    cached: bool = False  # was it known from an earlier bisect, or from a point with the same code?
    log: str | None = None  # the file with what building and the service printed


class Suspect(Record):
    """A point that may have brought the bug, and how probable that is: a part of 1."""

    point: Point
    probability: float


class Stages(Record):
    """How often points were tried, and how long that took."""

    tests: int = 0  # points that were tried
    visits: int = 0  # how often one was laid out, built and started
    attempts: int = 0
    seconds: float = 0.0


class Blame(Record):
    """What a bisect came to."""

    version: int = VERSION
    outcome: Outcome
    reason: str  # a sentence
    signal: int | None = None  # that stopped it
    bundle: str = ""
    failure: str = ""  # kind and name of the bug, as in "expectation add"
    axis: Literal["commits", "versions"] = "commits"
    fix: bool = False  # was the point searched for that mended the bug?
    near: Point | None = None  # the newer end: the bad one; of a fix, the good one
    far: Point | None = None  # the older end
    points: int = 0  # of the range, without the far end
    steady: bool = True  # does the bug show each time?
    rate: tuple[int, int] | None = None  # in how many of how many attempts it shows where it is
    culprit: Point | None = None
    parent: Point | None = None  # the point before the culprit, that was tried once more with it
    merge: Point | None = None  # that the culprit came with, or is; None where it stands on the line itself
    change: Change | None = None  # what the culprit did; None of a version
    confidence: float | None = None  # a part of 1
    confirmed: bool = False  # were culprit and parent tried once more, with the same result?
    suspects: list[Suspect] = []  # noqa: RUF012  where there is more than one, the most probable first
    tested: list[Tested] = []  # noqa: RUF012  from old to new
    spent: Stages = Stages()
    notes: list[str] = []  # noqa: RUF012  sentences that are said beside it: what makes it doubtful
    package: str | None = None  # of an axis of versions
    revision: str | None = None  # where the bundle was recorded, as it says itself, if that comes before the newer end
    journal: str | None = None  # the folder in which all of it is written down

    @property
    def exit_code(self) -> int:
        """The exit code: 0 for one culprit, 1 for a wrong range, 125 where nobody knows; see `verdict`."""
        return _CODES[self.outcome] if self.signal is None else 128 + self.signal

    @property
    def noun(self) -> str:
        """What one of its points is called: a commit, a version."""
        return self.axis.removesuffix("s")

    def tested_at(self, point: Point | None) -> Tested | None:
        """Return what came of a point; None where it was not tried."""
        return None if point is None else next((each for each in self.tested if each.point.id == point.id), None)


def covered(redactor: Redactor, blame: Blame) -> Blame:
    """Cover the secrets of all that a repository, a build or a service says in it; names and hashes stay."""

    def point(each: Point) -> Point:
        return each.replace(subject=redactor.message(each.subject))

    def maybe(each: Point | None) -> Point | None:
        return None if each is None else point(each)

    change = blame.change
    if change is not None:
        change = change.replace(
            author=redactor.message(change.author),
            subject=redactor.message(change.subject),
            files=[(letter, redactor.message(path)) for letter, path in change.files],
            merges=[redactor.message(each) for each in change.merges],
        )
    return blame.replace(
        reason=redactor.message(blame.reason),
        bundle=redactor.shown(blame.bundle),
        failure=redactor.message(blame.failure),
        near=maybe(blame.near),
        far=maybe(blame.far),
        culprit=maybe(blame.culprit),
        parent=maybe(blame.parent),
        merge=maybe(blame.merge),
        change=change,
        suspects=[each.replace(point=point(each.point)) for each in blame.suspects],
        tested=[
            each.replace(
                point=point(each.point),
                reason=redactor.message(each.reason),
                log=None if each.log is None else redactor.shown(each.log),
            )
            for each in blame.tested
        ],
        notes=[redactor.message(each) for each in blame.notes],
        journal=None if blame.journal is None else redactor.shown(blame.journal),
    )


_CODES: dict[Outcome, int] = {
    "found": OK,
    "not bad": FOUND,
    "not good": FOUND,
    "candidates": NOT_JUDGED,
    "undecided": NOT_JUDGED,
    "not judged": NOT_JUDGED,
    "trouble": INTERNAL,
    "interrupted": 130,
}
