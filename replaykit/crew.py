"""The crew: who makes the runs of a campaign, and shrinks what they find.

A campaign asks for runs ahead, as many as its crew has hands, and takes what comes back in the order of the runs. So
what it finds does not depend on how many hands there are.
"""

from collections.abc import Callable, Collection
from concurrent.futures import Future
from typing import Protocol

from replaykit.finding import Finding
from replaykit.runner import Ran, Runner
from replaykit.shrink import Shrunk
from replaykit.trace import Trace
from replaykit.watcher import Watcher


class Crew(Protocol):
    """Who makes runs."""

    log: str  # the last lines of a service of another process, that was lost while something was shrunk
    ahead: int  # runs that are worth asking for before the first of them is back

    def run(self, index: int, known: Collection[str]) -> Future[Ran]:
        """Make a run; `known` has the fingerprints of what was found before."""

    def examine(self, ran: Ran) -> Ran:
        """See whether a race is one."""

    def shrink(self, finding: Finding, watcher: Watcher, meet: Callable[[Trace], None]) -> Shrunk:
        """Shrink a finding; `meet` hears of other failures on the way."""

    def look_again(self, finding: Finding) -> int:
        """Return in how many runs at the end a finding was gone; 0 if it was not."""


class Alone:
    """One pair of hands, in this process: a run is made when it is asked for."""

    log = ""
    ahead = 1

    def __init__(self, runner: Runner) -> None:
        self.examine = runner.examine
        self.shrink = runner.shrink
        self.look_again = runner.look_again
        self._runner = runner

    def run(self, index: int, known: Collection[str]) -> Future[Ran]:
        """Make a run. What it raises is raised here."""
        future: Future[Ran] = Future()
        future.set_result(self._runner.run(index, known))
        return future
