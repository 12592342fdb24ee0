"""The axis along which a bug is searched for: its points, and what is found out at one of them.

A point is a commit of a repository, or a published version of a package. A site is a place of its own in which the
code of one point after the other is laid out; a bench builds and starts what lies there, and tries the bug. Whoever
searches knows points, visits and what they came to, and nothing of repositories, builds or services.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal, Protocol

from replaykit.value import Record

State = Literal["bad", "good", "skipped"]


class Point(Record):
    """A commit, or a version."""

    id: str  # a commit's hash in full; a version
    name: str  # as it is told: a hash in short; a version
    code: str = ""  # points with the same one are the same code: a commit's tree; nothing where that is not known
    subject: str = ""  # the first line of a commit's message


class Tried(Record):
    """What some attempts at a point came to."""

    word: str  # of a verdict; or `unbuildable`, `machine`
    reason: str = ""
    shown: int = 0  # attempts in which the bug showed
    held: int = 0  # attempts that ran to their end, and in which all held
    attempts: int = 0
    seconds: float = 0.0  # that the attempts took
    anew: bool = False  # was the service started for them? Else they were made by the one of the attempts before

    @property
    def state(self) -> State:
        """What is known of the point, where the bug shows each time or never."""
        return "bad" if self.word in _BAD else "good" if self.word in _GOOD else "skipped"


_BAD = {"reproduced", "failed"}
_GOOD = {"fixed", "passed"}


class Site(Protocol):
    """A place in which the code of one point after the other is laid out, with nothing left of the one before."""

    @property
    def folder(self) -> Path:
        """In which commands are run."""

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment in which they are run; all of it."""

    def lay(self, point: Point) -> None:
        """Lay the code of a point out.

        Raises UnbuildableError where it can't be had, MachineError where the machine, not the point, is to blame.
        """


class Visit(Protocol):
    """A point whose service runs."""

    seconds: float  # that it took to come there: to lay it out, to build and to start it

    def attempt(self, times: int | None = None, *, anew: bool = False) -> Tried:
        """Try the bug so many times; with None, as often as it takes to say *fixed*.

        With `anew`, the service is started anew before. Raises UnreachableError where that fails, MachineError.
        """


class Bench(Protocol):
    """Where points are tried, one at a time."""

    def visit(self, point: Point) -> AbstractContextManager[Visit]:
        """Build and start a point, and stop it afterwards.

        Raises UnbuildableError and UnreachableError where it can't be tried, MachineError as `Site.lay`.
        """

    def give_up(self) -> None:
        """End what goes on in another thread, as soon as that can be."""

    def log_of(self, point: Point) -> Path | None:
        """Say in which file it is kept what was printed at a point; None where that is not kept."""
