"""Progress: a live line on a terminal, a line now and then elsewhere."""

import sys
import time

from replaykit.cli.console import note, printable
from replaykit.cli.document import Document
from replaykit.client import without_credentials
from replaykit.finding import Finding
from replaykit.report import coverage
from replaykit.report.steps import count
from replaykit.result import Result
from replaykit.trace import Trace
from replaykit.watcher import Silent

HEARTBEAT = 15.0  # seconds between two lines where there is no terminal
FRAME = 0.1  # seconds between two updates of the live line


class Progress:
    """Watches a campaign, and tells of it on standard error."""

    def __init__(self, runs: int | None, *, quiet: bool) -> None:
        self._runs = runs
        self._quiet = quiet
        self._live = not quiet and sys.stderr is not None and sys.stderr.isatty()
        self._began = self._last = time.monotonic()
        self._done = self._failed = 0

    def began(self, result: Result, url: str | None) -> None:
        """Say what is tested."""
        self._began = self._last = time.monotonic()
        if url is not None and not self._quiet:
            note(f"{result.names[0]} against {without_credentials(url)}")

    def ran(self, number: int, trace: Trace, seconds: float) -> None:
        """Count a run."""
        del seconds
        self._done = number
        self._failed += trace.ending == "failed"
        self._tell(f"run {number}{f'/{self._runs}' if self._runs else ''}, {self._failed} failed")

    def found(self, finding: Finding) -> None:
        """Tell of a new failure at once."""
        self._line(
            f"run {finding.first_seen_run}: {finding.failure.kind} {finding.failure.name}: {finding.failure.message}"
        )
        if finding.path is not None:
            self._line(f"  saved as {finding.path}, shrinking {count(finding.calls_before, 'command')}")

    def tried(self, finding: Finding, executions: int, length: int) -> None:
        """Show how shrinking goes on."""
        self._tell(f"shrinking {finding.fingerprint}: {executions} executions, {length} commands left")

    def shrunk(self, finding: Finding) -> None:
        """Tell what shrinking came to."""
        self._line(f"  shrunk to {count(len(finding.trace.steps), 'command')}")

    def ended(self, result: Result) -> None:
        """Clear the live line."""
        del result
        self.clear()

    def clear(self) -> None:
        """Clear the live line."""
        if self._live:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _line(self, text: str) -> None:
        if not self._quiet:
            self.clear()
            note(text if len(text) <= 500 else f"{text[:500]}...")  # noqa: PLR2004

    def _tell(self, text: str) -> None:
        now = time.monotonic()
        if self._quiet or now - self._last < (FRAME if self._live else HEARTBEAT):
            return
        self._last = now
        seconds = f"{now - self._began:.0f} s"
        if self._live:
            sys.stderr.write(f"\r\x1b[K{printable(text)}, {seconds}")
            sys.stderr.flush()
        else:
            note(f"{text}, {seconds}")


class Noting(Silent):
    """Says what is to be said of a campaign when it begins: that it goes on, or that another one is put aside."""

    def began(self, result: Result, url: str | None) -> None:
        """Say it."""
        del url
        for text in result.notes:
            note(text)
        if result.resumed_after:
            found = count(len(result.failures), "bug")
            note(f"The hunt goes on after {count(result.resumed_after, 'run')}, with {found} found.")


class Writing(Silent):
    """Writes down what was exercised when the last run is over; to stop the service may take long."""

    def __init__(self, written: Document) -> None:
        self._written = written

    def ended(self, result: Result) -> None:
        """Write it."""
        self._written.write(coverage.document(result))


class ShrinkProgress(Progress):
    """Watches one failure being shrunk, and the others that are met on the way."""

    def __init__(self, *, quiet: bool) -> None:
        super().__init__(0, quiet=quiet)

    def found(self, finding: Finding) -> None:
        """Tell of another failure at once."""
        self._line(f"met on the way: {finding.failure.kind} {finding.failure.name}: {finding.failure.message}")
