"""Watchers: who is told how a campaign goes on, while it does."""

from replaykit.finding import Finding
from replaykit.result import Result
from replaykit.trace import Trace


class Watcher:
    """Who is told how a campaign goes on; this one does not care. All of it stands in the result too, in the end."""

    def began(self, result: Result, url: str | None) -> None:
        """Hear that the service is there, and the first run is about to begin; without a service `url` is None."""

    def ran(self, number: int, trace: Trace, seconds: float) -> None:
        """Hear that run `number` (from 1) is over, and counted."""

    def found(self, finding: Finding) -> None:
        """Hear of a new failure, before it is shrunk."""

    def known(self, finding: Finding) -> None:
        """Hear of a bug that is seen for the first time in this campaign, and whose bundle was there before."""

    def tried(self, finding: Finding, executions: int, length: int) -> None:
        """Hear how shrinking goes on: executions so far, and the length of the best sequence."""

    def shrunk(self, finding: Finding) -> None:
        """Hear that shrinking is over, and the bundle is saved."""

    def ended(self, result: Result) -> None:
        """Hear that the last run is over, also after Ctrl-C, before the service is stopped."""


class Several(Watcher):
    """Watchers that are all told the same, one after the other."""

    def __init__(self, *watchers: Watcher) -> None:
        self._watchers = watchers

    def began(self, result: Result, url: str | None) -> None:
        """Tell all."""
        for each in self._watchers:
            each.began(result, url)

    def ran(self, number: int, trace: Trace, seconds: float) -> None:
        """Tell all."""
        for each in self._watchers:
            each.ran(number, trace, seconds)

    def found(self, finding: Finding) -> None:
        """Tell all."""
        for each in self._watchers:
            each.found(finding)

    def known(self, finding: Finding) -> None:
        """Tell all."""
        for each in self._watchers:
            each.known(finding)

    def tried(self, finding: Finding, executions: int, length: int) -> None:
        """Tell all."""
        for each in self._watchers:
            each.tried(finding, executions, length)

    def shrunk(self, finding: Finding) -> None:
        """Tell all."""
        for each in self._watchers:
            each.shrunk(finding)

    def ended(self, result: Result) -> None:
        """Tell all."""
        for each in self._watchers:
            each.ended(result)
