"""The journal: what a hunt has done, line by line on the disk, so that it can go on after whatever stopped it.

Theory of operation. DIR/hunt.jsonl is a ledger with a line for the hunt, and one for each run that was counted, each
bug that was found and saved, and each that was shrunk; so whatever kills the hunt loses at most the run in progress.
What a bundle says is not said again here: the bundles lie in the same folder. One hunt at a time has the folder.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self, TypeAlias

from replaykit.coverage import Coverage
from replaykit.errors import JournalError, UnwritableError, UsageError
from replaykit.finding import Finding
from replaykit.ledger import MAX_LINE, Advice, Ledger, locked
from replaykit.project import policy_here
from replaykit.redact import Redactor
from replaykit.result import Result
from replaykit.runner import Ran
from replaykit.trace import Ending
from replaykit.value import InvalidValueError, Record, parse
from replaykit.verdict import Failure
from replaykit.version import __version__

NAME = "hunt.jsonl"
OLD = "hunt.jsonl.old"
FORMAT = 1
MAX_TEXT = 2000  # characters of what went wrong in a run that could not be judged

TABLES = {  # of the coverage, and how many texts an entry of each has, with its table's name
    "commands": 2,
    "checks": 3,
    "outcomes": 3,
    "transitions": 3,
    "endpoints": 4,
    "answers": 2,
    "labels": 2,
    "crossings": 5,
    "unrecovered": 2,
}

_ADVICE = Advice(
    broken="Begin anew, without --resume; the bundles are kept.",
    unread="Begin anew, without --resume.",
    unwritten="Make room, or choose another folder with --save-failures.",
)


class Hunted(Record):
    """The first line: what says which runs there are."""

    format: int = FORMAT
    tool: str = f"replaykit {__version__}"
    model: str
    adapter: str
    model_digest: str
    seed: int
    commands: int
    parallel: str | None = None
    repeat: int | None = None
    stutter: float = 0.0
    swarm: bool = False
    latency: dict[str, float] = {}  # noqa: RUF012  pydantic copies it


class RanLine(Record):
    """A run that was counted."""

    run: int  # from 1
    at: float  # seconds since the hunt began, without those in which it was stopped
    seconds: float
    ending: Ending
    steps: int
    requests: int
    forgiven: int = 0
    restarts: int = 0  # of the service, since it died
    fingerprint: str | None = None  # of what it has found
    reason: str = ""  # why it could not be judged
    fault: Failure | None = None  # of the test code
    # entries of the coverage's tables that get the next numbers; pairs of such a number, and how often this run has
    # exercised it; what is left out of the tables, of endpoints, labels and crossings, by this and all runs before
    new: list[list[str]] = []  # noqa: RUF012
    seen: list[list[int]] = []  # noqa: RUF012
    left_out: list[int] = []  # noqa: RUF012


class FoundLine(Record):
    """A bug that was found, and whose bundle is saved; or one that is known."""

    fingerprint: str
    run: int
    seed: int
    at: float = 0.0
    seconds: float = 0.0  # that its run took
    calls: int = 0  # of its run
    bundle: str = ""  # the name of its file
    replaced: bool = False
    failure: Failure | None = None  # of one that is known, whose bundle may lie anywhere, and go


class ShrunkLine(Record):
    """A bug whose bundle is saved again, now that it is shrunk."""

    fingerprint: str
    sightings: int
    at: float
    restarts: int = 0  # of the service, since a candidate killed it
    seconds: float = 0.0  # that shrinking took: a bundle without times does not say it


class EndLine(Record):
    """The hunt has come to its end, or has gone on."""

    runs: int
    why: str = ""


Line: TypeAlias = RanLine | FoundLine | ShrunkLine | EndLine
KINDS: dict[str, type[Record]] = {
    "run": RanLine,
    "found": FoundLine,
    "known": FoundLine,
    "shrunk": ShrunkLine,
    "resumed": EndLine,
    "end": EndLine,
}


class Journal:
    """Who writes down what a campaign has done, so that it can go on later; this one does not."""

    def begin(self, result: Result) -> None:
        """Hear that the first run is about to begin."""

    def ran(self, ran: Ran, result: Result, at: float) -> None:
        """Hear of a run that is counted."""

    def found(self, finding: Finding) -> None:
        """Hear of a bug that is saved."""

    def known(self, finding: Finding) -> None:
        """Hear of a bug that was known before."""

    def shrunk(self, finding: Finding, at: float, restarts: int) -> None:
        """Hear of a bug that is shrunk, and saved again."""

    def end(self, result: Result) -> None:
        """Hear that there is a reason to stop."""


class Entries:
    """Numbers for the entries of the coverage's tables, so that the line of a run is short."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, ...], int] = {}
        self._keys: list[tuple[str, ...]] = []

    def added(self, ran: Coverage, total: Coverage) -> tuple[list[list[str]], list[list[int]]]:
        """Say what a run has added to the tables: new entries, and pairs of an entry's number and a count."""
        new: list[list[str]] = []
        seen: list[list[int]] = []
        for table in TABLES:
            known = getattr(total, table)
            for key, count in getattr(ran, table).items():
                if key not in known:  # the table is full
                    continue
                entry = (table, *((key,) if isinstance(key, str) else key))
                if entry not in self._numbers:
                    self.learn(entry)
                    new.append(list(entry))
                seen.append([self._numbers[entry], count])
        return new, seen

    def learn(self, entry: tuple[str, ...]) -> None:
        """Give an entry the next number."""
        self._numbers[entry] = len(self._keys)
        self._keys.append(entry)

    def read(self, line: RanLine, total: Coverage) -> None:
        """Count what the line of a run says. Raises ValueError."""
        for entry in line.new:
            if entry and entry[0] not in TABLES:
                raise ValueError(f"there is no table {entry[0]!r}")
            if not entry or len(entry) != TABLES[entry[0]]:
                raise ValueError(f"{entry} is no entry of a table")
            self.learn(tuple(entry))
        for pair in line.seen:
            if len(pair) != 2 or not 0 <= pair[0] < len(self._keys) or pair[1] < 1:  # noqa: PLR2004
                raise ValueError(f"{pair} counts nothing")
            table, *key = self._keys[pair[0]]
            getattr(total, table)[key[0] if len(key) == 1 else tuple(key)] += pair[1]
        if line.left_out:
            if len(line.left_out) not in {2, 3} or min(line.left_out) < 0:  # two, where no fault was known yet
                raise ValueError("left_out says nothing that can be")
            total.endpoints_left_out, total.labels_left_out, total.crossings_left_out = [*line.left_out, 0][:3]
        total.runs += 1


class Kept(Journal):
    """The journal in a folder. Use it as a context manager; it has the folder for itself as long as that."""

    def __init__(self, folder: Path, hunted: Hunted, *, resume: bool, seeded: bool) -> None:
        """Take the folder, and look whether there is a hunt in it to go on with; nothing is written yet.

        `seeded` says that the user has named the seed. Raises UsageError where another hunt has the folder, or the
        one to go on with is of other options; JournalError where its first line is broken.
        """
        self.path = folder / NAME
        self.resumes = False
        self.hunted = hunted
        self._entries = Entries()
        self._redactor = Redactor(policy_here())
        self._ledger = Ledger(self.path, _ADVICE)
        self._lock = locked(
            folder,
            f"Another hunt is going on in {folder}.",
            "Wait for its end, or choose another folder with --save-failures.",
        )
        try:
            if resume and self.path.exists():
                first = self._first(hunted, seeded=seeded)
                self.hunted = first or hunted
                self.resumes = first is not None
        except BaseException:
            os.close(self._lock)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ledger.close()
        os.close(self._lock)

    # --- reading

    def lines(self, coverage: Coverage) -> Iterator[tuple[int, str, Line]]:
        """Give each line after the first, with its number and kind, and fold what runs exercised.

        Raises JournalError with the number of a line that is broken and not the last.
        """
        for number, kind, data in self._ledger.read():
            record = KINDS.get(kind)
            if number == 1:
                continue
            if record is None:
                raise self.broken(number, f"there is no line of kind {kind!r}")
            try:
                line: Any = parse(record, data)
                if isinstance(line, RanLine):
                    self._entries.read(line, coverage)
            except (InvalidValueError, ValueError) as error:
                raise self.broken(number, str(error)) from None
            yield number, kind, line

    def broken(self, number: int, why: str) -> JournalError:
        """Return the error for a line."""
        return self._ledger.broken(number, why)

    def _first(self, mine: Hunted, *, seeded: bool) -> Hunted | None:
        """Return what the first line says; None where it was not written to its end, and nothing after it."""
        for number, kind, data in self._ledger.read():
            if kind != "hunt":
                raise self.broken(number, "this is no journal of a hunt")
            if data.get("format") != FORMAT:
                raise self.broken(number, f"its format is {data.get('format')!r}, and this version knows {FORMAT}")
            try:
                theirs = parse(Hunted, data)
            except InvalidValueError as error:
                raise self.broken(number, str(error)) from None
            _require_same(self.path, theirs, mine, seeded=seeded)
            return theirs
        return None

    # --- writing

    def begin(self, result: Result) -> None:
        """Go on in the file, or begin a new one; one that is there is put aside. Raises UnwritableError."""
        if self.resumes:
            self._ledger.go_on()
            self._write("resumed", EndLine(runs=result.total_runs))
            return
        try:
            if self.path.exists():
                self.path.replace(self.path.with_name(OLD))
        except OSError as error:
            raise UnwritableError(f"{self.path} can't be put aside: {error.strerror}.", _ADVICE.unwritten) from None
        self._ledger.begin()
        self._write("hunt", self.hunted)

    def ran(self, ran: Ran, result: Result, at: float) -> None:
        """Write a run down that is counted."""
        trace, coverage = ran.trace, result.coverage
        failure = trace.failure
        found = failure is not None and failure.is_finding
        is_judged = trace.ending == "passed" or found
        fault = None
        if failure is not None and not found and failure.fingerprint in result.faults:
            fault = self._told(failure)
        new, seen = self._entries.added(ran.coverage, coverage)
        left_out = [coverage.endpoints_left_out, coverage.labels_left_out, coverage.crossings_left_out]
        line = RanLine(
            run=result.total_runs,
            at=round(at, 3),
            seconds=round(ran.seconds, 4),
            ending=trace.ending,
            steps=ran.steps,
            requests=ran.requests,
            forgiven=ran.forgiven,
            restarts=ran.restarts,
            fingerprint=failure.fingerprint if found and failure is not None else None,
            reason="" if is_judged else self._redactor.shown(trace.reason)[:MAX_TEXT],
            fault=fault,
            new=new,
            seen=seen,
            left_out=left_out if any(left_out) else [],
        )
        self._write("run", line)

    def found(self, finding: Finding) -> None:
        """Write a bug down that is saved."""
        self._write("found", self._of(finding))

    def known(self, finding: Finding) -> None:
        """Write a bug down that was known before."""
        self._write("known", self._of(finding).replace(failure=self._told(finding.failure)))

    def shrunk(self, finding: Finding, at: float, restarts: int) -> None:
        """Write down that a bug is shrunk, and saved again."""
        line = ShrunkLine(
            fingerprint=finding.fingerprint,
            sightings=finding.sightings,
            at=round(at, 3),
            restarts=restarts,
            seconds=0.0 if finding.shrunk is None else round(finding.shrunk.seconds, 3),
        )
        self._write("shrunk", line)

    def end(self, result: Result) -> None:
        """Write down why the hunt ends."""
        self._write("end", EndLine(runs=result.total_runs, why=result.stopped))

    def _told(self, failure: Failure) -> Failure:
        """Return a failure without values."""
        message = self._redactor.shown(failure.message)[:MAX_TEXT]
        return failure.replace(message=message, expected=None, actual=None, traceback=None)

    @staticmethod
    def _of(finding: Finding) -> FoundLine:
        return FoundLine(
            fingerprint=finding.fingerprint,
            run=finding.first_seen_run,
            seed=finding.seed,
            at=round(finding.found_after, 3),
            seconds=round(finding.run_seconds, 4),
            calls=finding.calls_before,
            bundle="" if finding.path is None else finding.path.name,
            replaced=finding.replaced,
        )

    def _write(self, kind: str, record: Record) -> None:
        data = record.model_dump(mode="json", exclude_defaults=not isinstance(record, Hunted))
        self._ledger.write(kind, data)


def journal_in(folder: Path) -> str:
    """Say whether there is a hunt in a folder that has not come to its end: nothing, or how far it came, in words."""
    path = folder / NAME
    if not path.is_file():
        return ""
    runs, ended = 0, False
    with contextlib.suppress(OSError), path.open("rb") as file:
        while line := file.readline(MAX_LINE + 1):
            ended = line.startswith(b'{"k":"end"')
            runs += line.startswith(b'{"k":"run"')
    return "" if ended else f"{runs:,} runs"


def _require_same(path: Path, theirs: Hunted, mine: Hunted, *, seeded: bool) -> None:
    """Raise UsageError where a hunt was made with other options than it is to go on with."""
    differing = []
    for name in Hunted.model_fields:
        if name in {"format", "tool"} or (name == "seed" and not seeded):
            continue
        before, now = getattr(theirs, name), getattr(mine, name)
        is_class = name in {"model", "adapter"} and before.rpartition(":")[2] == now.rpartition(":")[2]
        if before != now and not is_class:  # the same class may be named by another module; the digest says the rest
            differing.append(f"{name.replace('_', ' ')} {before!r}, now {now!r}")
    if differing:
        raise UsageError(
            f"The hunt in {path} was made with other options: {'; '.join(differing)}.",
            "Say the same as then, or begin anew, without --resume.",
        )
