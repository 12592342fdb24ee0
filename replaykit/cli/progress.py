"""Progress: a few live lines on a terminal, a line now and then elsewhere."""

import time
from typing import TYPE_CHECKING, Self

from replaykit.cli.console import is_live, note, printable
from replaykit.cli.ticker import Ticker
from replaykit.client import without_credentials
from replaykit.document import Document
from replaykit.finding import Finding
from replaykit.report import coverage
from replaykit.report.steps import count, one_line
from replaykit.result import Result
from replaykit.trace import Trace
from replaykit.watcher import Watcher

if TYPE_CHECKING:
    from replaykit.cli.screen import Line, Screen

HEARTBEAT = 15.0  # seconds between two lines where there is no terminal
RECENT = 5  # failures that are shown on a terminal
WIDEST = 75  # columns of the rule and of the bar with its words
LONGEST = 500  # characters of a line about a failure


class Progress(Watcher):
    """Watches a campaign, and tells of it on standard error."""

    def __init__(self, *, quiet: bool, bugs: int | None = None, seconds: float | None = None) -> None:
        """Tell of a campaign that ends with so many bugs, or after so many seconds, where it does."""
        self._quiet = quiet
        self._live = is_live() and not quiet
        self._bugs, self._seconds = bugs, seconds
        self._result: Result | None = None
        self._title = ""
        self._began = self._moved = time.monotonic()
        self._first, self._before = 0, 0.0  # runs that were there when it began, and seconds that they had taken
        self._recent: tuple[str, ...] = ()  # replaced as a whole: another thread reads it
        self._now = ""  # what is being shrunk
        self._screen: Screen | None = None
        self._ticker: Ticker | None = None

    def began(self, result: Result, url: str | None) -> None:
        """Say what is tested."""
        self._result, self._first, self._before = result, result.total_runs, result.resumed_seconds
        where = "itself" if url is None else without_credentials(url)
        self._title = f"{result.model.__name__} with {result.adapter.__name__} against {where}"
        if url is not None and not self._quiet and not self._live:
            note(f"{result.names[0]} against {where}")
        self.start()

    def start(self) -> None:
        """Begin to tell."""
        self._began = self._moved = time.monotonic()
        if self._live:
            from replaykit.cli.screen import Screen

            self._screen = Screen(self.lines)
            self._screen.start()
        elif not self._quiet:
            self._ticker = Ticker(HEARTBEAT, self._beat)
            self._ticker.start()

    def stop(self) -> None:
        """Tell no more, and take the live lines away."""
        if self._screen is not None:
            self._screen.stop()
        if self._ticker is not None:
            self._ticker.stop()
        self._screen = self._ticker = None

    def ran(self, number: int, trace: Trace, seconds: float) -> None:
        """Take note of the time: the result has the numbers."""
        del number, trace, seconds
        self._moved = time.monotonic()

    def found(self, finding: Finding) -> None:
        """Tell of a new failure at once."""
        failure = finding.failure
        self._recent = (*self._recent[1 - RECENT :], f"• Seed {finding.seed}: {one_line(failure.message)}")
        self._line(f"run {finding.first_seen_run}: {failure.title}: {failure.message}")
        if finding.path is not None:
            self._line(f"  saved as {finding.path}, shrinking {count(finding.calls_before, 'command')}")

    def tried(self, finding: Finding, executions: int, length: int) -> None:
        """Take note of how shrinking goes on."""
        self._now = (
            f"shrinking {finding.fingerprint}: {count(executions, 'execution')}, {count(length, 'command')} left"
        )
        self._moved = time.monotonic()

    def shrunk(self, finding: Finding) -> None:
        """Tell what shrinking came to."""
        self._now = ""
        self._line(f"  shrunk to {count(len(finding.trace.steps), 'command')}")

    def ended(self, result: Result) -> None:
        """Take the live lines away, but for the last numbers."""
        is_live = self._screen is not None
        self.stop()
        if is_live:
            note(self._numbers(time.monotonic()))
        if result.interrupted is not None and not self._quiet:
            note("interrupted: what was found is kept; Ctrl-C again ends at once")

    def lines(self, width: int, height: int) -> "list[Line]":
        """Draw the live lines for a terminal of so many columns and rows."""
        now, room = time.monotonic(), min(width - 1, WIDEST)
        drawn: list[Line] = [(printable(one_line(self._title)), "bold"), ("━" * room, "dim")] if self._title else []
        if self._result is not None:
            share = self._share(now)
            if share is not None:
                drawn.append((_bar("Progress:" if self._bugs is None else "Bugs:", share, self._of_bugs, room), "cyan"))
            drawn.append((self._numbers(now), ""))
            drawn.append((self._pace(now), "dim"))
        below: list[Line] = []
        recent = self._recent[max(0, len(self._recent) - max(0, height - len(drawn) - 3)) :]
        if recent:
            below = [("Recent failures:", "bold"), *((printable(each[:LONGEST]), "red") for each in recent)]
        doing = self._doing(now)
        return [*drawn, *below, *([(printable(doing), "yellow")] if doing else [])][: max(1, height - 1)]

    @property
    def _of_bugs(self) -> str:
        return "" if self._bugs is None or self._result is None else f"{len(self._result.failures)}/{self._bugs}"

    def _so_far(self, now: float) -> float:
        """Say how many seconds it has gone on, those included that it had gone on before it was resumed."""
        return now - self._began + self._before

    def _share(self, now: float) -> float | None:
        """Say how much of the campaign is done, by what ends it first; None where nobody can know."""
        result = self._result
        if self._bugs is not None and result is not None:
            return min(1.0, len(result.failures) / self._bugs)
        shares = [min(1.0, self._so_far(now) / self._seconds)] if self._seconds else []
        if result is not None and result.max_runs:
            shares.append(result.total_runs / result.max_runs)
        return max(shares, default=None)

    def _numbers(self, now: float) -> str:
        result = self._result
        assert result is not None  # noqa: S101  a campaign that has begun has one
        of = f"/{result.max_runs}" if result.max_runs else ""
        parts = [f"Runs: {result.total_runs}{of}", f"Passed: {result.passed}", f"Failed: {result.failed}"]
        if result.not_judged:
            parts.append(f"Not judged: {result.not_judged}")
        return " | ".join([*parts, f"Duration: {_duration(self._so_far(now))}"])

    def _pace(self, now: float) -> str:
        """Say how fast it goes, and how long it will take."""
        result = self._result
        if result is None or result.total_runs == self._first:
            return "the first run"
        rate = (result.total_runs - self._first) / max(now - self._began, 0.001)
        left = [max(0.0, self._seconds - self._so_far(now))] if self._seconds else []
        if result.max_runs:
            left.append((result.max_runs - result.total_runs) / rate)
        ends = f"{'at most ' if self._bugs is not None else ''}{_duration(min(left))} left" if left else ""
        workers = f"{result.workers} workers" if result.workers > 1 else ""
        pace = f"{rate:.1f} runs/s" if rate >= 1 else f"{60 * rate:.1f} runs/min"
        return ", ".join(filter(None, [pace, workers, ends]))

    def _doing(self, now: float) -> str:
        """Say what goes on just now, where it takes long."""
        if self._now:
            return self._now
        result, since = self._result, now - self._moved
        if result is None or since < 1:
            return ""
        if result.max_runs and result.total_runs >= result.max_runs:
            return f"looking whether what was found is still there, for {_duration(since)}"
        return f"in run {result.total_runs + 1} for {_duration(since)}"

    def _beat(self) -> None:
        """Say that it still goes on, where there is no terminal."""
        now, result = time.monotonic(), self._result
        parts = [] if self._now or result is None else [f"run {result.total_runs}{self._of_runs}"]
        if result is not None and parts:
            parts += [f"{result.failed} failed", self._pace(now)]
        note(", ".join(filter(None, [*parts, self._doing(now), f"{self._so_far(now):.0f} s"])))

    @property
    def _of_runs(self) -> str:
        return f"/{self._result.max_runs}" if self._result is not None and self._result.max_runs else ""

    def _line(self, text: str) -> None:
        if not self._quiet and not self._live:
            note(text if len(text) <= LONGEST else f"{text[:LONGEST]}...")


def _bar(word: str, share: float, of: str, width: int) -> str:
    """Draw a bar in so many columns, with a word before it and the percentage after it."""
    after = f"{of:>6} {share:4.0%}" if of else f"{share:5.0%}"
    room = max(0, width - len(word) - len(after) - 2)
    full = int(room * share)
    return f"{word} {'█' * full}{'░' * (room - full)} {after}"


def _duration(seconds: float) -> str:
    """Say how long: 23.4s, 2m05s, 1h02m."""
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds:.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest:02}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}m"  # noqa: PLR2004


class Noting(Watcher):
    """Says what is to be said of a campaign when it begins: that it goes on, or that another one is put aside."""

    def began(self, result: Result, url: str | None) -> None:
        """Say it."""
        del url
        for text in result.notes:
            note(text)
        if result.resumed_after:
            found = count(len(result.failures), "bug")
            note(f"The hunt goes on after {count(result.resumed_after, 'run')}, with {found} found.")


class Writing(Watcher):
    """Writes down what was exercised when the last run is over; to stop the service may take long."""

    def __init__(self, written: Document) -> None:
        self._written = written

    def ended(self, result: Result) -> None:
        """Write it."""
        self._written.write(coverage.document(result))


class ShrinkProgress(Progress):
    """Watches one failure being shrunk, and the others that are met on the way; in `with`."""

    def __init__(self, title: str, *, quiet: bool) -> None:
        super().__init__(quiet=quiet)
        self._title = title

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def found(self, finding: Finding) -> None:
        """Tell of another failure at once."""
        failure = finding.failure
        self._recent = (*self._recent[1 - RECENT :], f"• {one_line(failure.message)}")
        self._line(f"met on the way: {failure.title}: {failure.message}")
