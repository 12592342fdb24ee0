"""Reporting: which reports of a campaign are asked for, and writing each, whatever becomes of the others.

A report is made of the account that a campaign gives of itself, when the last run is over: also after Ctrl-C, and when
the service is gone. NDJSON is written line by line while the campaign goes on.
"""

import os
import secrets
import socket
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeAlias
from warnings import warn

from replaykit import project
from replaykit.account import Account, Commands, account, bug, usual_command
from replaykit.client import without_credentials
from replaykit.document import Document, append
from replaykit.errors import UnwritableError, UsageError
from replaykit.finding import Finding
from replaykit.hint import hint
from replaykit.redact import Redactor
from replaykit.report import ctrf, github, html, json, junit, markdown, ndjson, terminal
from replaykit.result import Result
from replaykit.trace import Trace
from replaykit.visible import visible
from replaykit.watcher import Watcher

ENDINGS = {"markdown": "md", "junit": "xml", "json": "json", "ndjson": "ndjson", "ctrf": "ctrf.json", "html": "html"}
FORMATS = ("terminal", *ENDINGS, "github")
FOLDER = "reports"  # of those that nobody has named a file for

Asked: TypeAlias = str | Iterable[str] | Mapping[str, str | Path]
Write: TypeAlias = Callable[[str], object]


class Report(NamedTuple):
    """A report that is asked for."""

    format: str
    path: str | None = None  # `-` is standard output; None where the format needs no file


def asked_for(
    asked: Asked | None,
    path: str | Path | None = None,
    taken: Iterable[str | Path] = (),
    *,
    formats: Collection[str] = FORMATS,
    of: str = "integration",
) -> list[Report]:
    """Read which reports are asked for: FORMAT[=PATH], once or several times, or {FORMAT: PATH}. Raises UsageError.

    `path` is that of the one format that has none of its own. Where none is said, one is made. `taken` are files that
    the campaign writes beside them. `formats` are those that there are, `of` is what is reported.
    """
    if asked is None:
        said: list[str] = []
    elif isinstance(asked, str):
        said = [asked]
    elif isinstance(asked, Mapping):
        said = [f"{name}={place}" if place else name for name, place in asked.items()]
    else:
        said = list(asked)
    reports = [_read(each, formats) for each in said]
    if path is not None:
        homeless = [number for number, each in enumerate(reports) if each.path is None and each.format != "github"]
        if len(homeless) > 1:  # the terminal needs none
            homeless = [number for number in homeless if reports[number].format != "terminal"]
        if len(homeless) != 1:
            raise UsageError(
                f"The path {path} is that of one report, and "
                f"{f'{len(homeless)} of those asked for lack' if homeless else 'none of those asked for lacks'} one.",
                "Write --report FORMAT=PATH for each.",
            )
        reports[homeless[0]] = reports[homeless[0]]._replace(path=str(path))
    reports = list(dict.fromkeys(each._replace(path=_place(each, of)) for each in reports))
    places = [os.path.realpath(each.path) if each.path != "-" else "-" for each in reports if each.path is not None]
    for place in places:
        if places.count(place) > 1:
            where = "Standard output" if place == "-" else place
            raise UsageError(f"{where} can't hold two reports.", "Give each a path of its own: --report FORMAT=PATH.")
    others = {os.path.realpath(each) for each in taken}
    for place in places:
        if place in others:
            raise UsageError(f"{place} is written by the campaign itself.", "Give the report a path of its own.")
    return reports


def _read(said: str, formats: Collection[str]) -> Report:
    name, equals, path = said.partition("=")
    if name not in formats:
        raise UsageError(f"There is no report {name!r}.", hint(name, formats, f"The formats are {', '.join(formats)}."))
    if equals and not path:
        raise UsageError(f"The report {said!r} names no file.", f"Write {name}=PATH, or {name} alone.")
    if path and name == "github":
        raise UsageError(
            f"The report github takes no path, and {said!r} has one.",
            "Write --report github: its annotations are printed, and GITHUB_STEP_SUMMARY names that of its summary.",
        )
    return Report(name, path or None)


def _place(report: Report, of: str) -> str | None:
    """Return where a report goes: to its path, or, where that is a folder, to a new file in it."""
    path = report.path
    if path is None:
        return _made_path(report.format, FOLDER, of) if report.format in ENDINGS else None
    is_folder = path != "-" and (path.endswith(os.sep) or Path(path).is_dir())
    return _made_path(report.format, path, of) if is_folder else path


def _made_path(name: str, folder: str, of: str) -> str:
    ending = ENDINGS.get(name, "txt")
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    path, number = Path(folder, f"{of}_{moment}.{ending}"), 1
    while path.exists():
        number += 1
        path = Path(folder, f"{of}_{moment}_{number}.{ending}")
    return str(path)


class Reports(Watcher):
    """Watches a campaign, and writes the reports of it. What goes wrong is kept, to be told in the end."""

    def __init__(
        self,
        reports: Iterable[Report],
        *,
        command: Commands | None = None,
        write: Write | None = None,
        guarded: bool = False,
    ) -> None:
        """Make the folders. Raises UnwritableError where a file can't be written, RedactionError, ProfileError.

        `command` writes the command that replays a bundle, `write` what goes to standard output. With `guarded`,
        GitHub's runner obeys nothing that is printed from now on until `finish`.
        """
        self.troubles: list[UnwritableError] = []
        self.written: list[str] = []  # files
        self._command = command
        self._write = write or _print
        self._url: str | None = None
        self._has_ended = False
        self._last = ""  # what is to be printed when all else is
        listed = list(reports)
        self._redactor = Redactor(project.policy_here())
        self._documents = [(each, Document(each.path)) for each in listed if each.format != "ndjson"]
        self._streams = [_Stream(Document(each.path), self._write) for each in listed if each.format == "ndjson"]
        self._word = f"stop-{secrets.token_hex(16)}" if guarded else ""
        if self._word:
            _print(f"::stop-commands::{self._word}\n")

    def began(self, result: Result, url: str | None) -> None:
        """Begin the stream of events."""
        self._url = None if url is None else without_credentials(url)
        for stream in self._streams:
            stream.goes_on = result.resumed_after > 0
        if not self._streams:
            return
        shown = self._redactor.shown
        self._tell(
            lambda: ndjson.Began(
                time=_now(),
                model=shown(result.names[0]),
                adapter=shown(result.names[1]),
                url=None if self._url is None else shown(self._url),
                seed=result.seed,
                max_runs=result.max_runs,
                resumed_after=result.resumed_after,
                resumed_bugs=result.resumed_bugs,
            )
        )

    def ran(self, number: int, trace: Trace, seconds: float) -> None:
        """Tell of a run."""
        if self._streams:
            failure = trace.failure
            self._tell(
                lambda: ndjson.Run(
                    time=_now(),
                    number=number,
                    ending=trace.ending,
                    seconds=round(seconds, 6),
                    steps=len(trace.steps),
                    requests=trace.requests,
                    fingerprint=None if failure is None else failure.fingerprint,
                )
            )

    def found(self, finding: Finding) -> None:
        """Tell of a new bug."""
        if self._streams:
            self._tell(lambda: ndjson.Found(time=_now(), **self._in_short(finding)))

    def known(self, finding: Finding) -> None:
        """Tell of a bug that was known before."""
        if self._streams:
            self._tell(lambda: ndjson.Known(time=_now(), **self._in_short(finding)))

    def _in_short(self, finding: Finding) -> dict[str, Any]:
        told = bug(finding, self._redactor)
        same = ("fingerprint", "kind", "name", "command", "failure_reason", "seed", "first_seen_run", "bundle")
        return {name: getattr(told, name) for name in same}

    def shrunk(self, finding: Finding) -> None:
        """Tell what became of a bug."""
        if self._streams:
            self._tell(lambda: ndjson.Shrunk(time=_now(), failure=bug(finding, self._redactor, self._command)))

    def ended(self, result: Result) -> None:
        """Write all reports. Ctrl-C in the midst of that is for the campaign, which is over; the next one is raised."""
        if not (self._streams or self._documents):
            return
        try:
            self._write_all(result)
        except KeyboardInterrupt as interrupt:
            result.interrupted = result.interrupted or interrupt
            self._write_all(result)

    def _write_all(self, result: Result) -> None:
        with self._kept("The reports"):
            told = account(result, self._redactor, url=self._url, command=self._command)
            if not self._has_ended:
                self._tell(lambda: ndjson.Ended(time=_now(), report=told))
                self._has_ended = True
            while self._documents:
                report, document = self._documents[0]
                with self._kept(f"The report {report.format}"):
                    self._make(report, document, told, result)
                del self._documents[0]
        for stream in self._streams:
            stream.close()
            self._note(stream.document)

    def finish(self) -> None:
        """Print what comes after all else: annotations. A reader that is gone is no reason to stop."""
        last = (f"::{self._word}::\n" if self._word else "") + self._last
        self._word = self._last = ""
        if last:
            with suppress(OSError, ValueError):
                _print(last)

    def _make(self, report: Report, document: Document, told: Account, result: Result) -> None:
        if report.format == "github":
            self._last += github.render(told)
            self._summarise(told)
            return
        text = self._text(report, told, result)
        if document.name in {None, "-"}:
            self._write(text)
        else:
            document.write(text)
            self._note(document)

    def _text(self, report: Report, told: Account, result: Result) -> str:
        if report.format == "terminal":
            last = f"VERDICT {told.word}: {told.verdict} (exit {told.exit_code})".replace("\n", " ")
            parts = [terminal.render(result, self._command or usual_command), terminal.summary(result), last]
            return visible(self._redactor.shown("\n".join(each for each in parts if each))) + "\n"
        if report.format == "junit":
            return junit.render(told, attached=attached, host=socket.gethostname())
        renderers = {"markdown": markdown.render, "json": json.render, "ctrf": ctrf.render, "html": html.render}
        return renderers[report.format](told)

    def _summarise(self, told: Account) -> None:
        trouble = append(os.environ.get("GITHUB_STEP_SUMMARY"), partial(github.summary, told))
        self.troubles += [trouble] if trouble is not None else []

    def _tell(self, event: Callable[[], ndjson.Event]) -> None:
        if self._streams:
            with self._kept("The report ndjson"):
                line = ndjson.line(event())
                for stream in self._streams:
                    stream.write(line)

    def _note(self, document: Document) -> None:
        if document.trouble is not None:
            self.troubles.append(document.trouble)
        elif document.name not in {None, "-"}:
            self.written.append(str(document.name))

    @contextmanager
    def _kept(self, what: str) -> Iterator[None]:
        """Keep trouble, whatever it is, from the campaign and from the other reports."""
        try:
            yield
        except BrokenPipeError:
            pass  # a reader that is gone
        except OSError as error:
            self.troubles.append(UnwritableError(f"{what} can't be written: {error.strerror}.", "Make room."))
        except Exception as error:  # noqa: BLE001  what was found is worth more than how it is told
            said = f"{what} can't be made: {type(error).__name__}: {error}."
            self.troubles.append(UnwritableError(said, "This is a mistake in replaykit; choose another format."))


class _Stream:
    """A file that is written line by line."""

    def __init__(self, document: Document, write: Write) -> None:
        self.document = document
        self._write = write
        self._file: IO[str] | None = None
        self._open = True
        self.goes_on = False  # is what stands there the first part?

    def write(self, line: str) -> None:
        """Write a line at once; after trouble, nothing any more."""
        if not self._open:
            return
        try:
            if self.document.name in {None, "-"}:
                self._write(line)
                return
            if self._file is None:
                self._file = self._begin(Path(str(self.document.name)))
            self._file.write(line)
        except OSError as error:
            self._open = False
            if not isinstance(error, BrokenPipeError):
                self.document.fail(error)

    def _begin(self, path: Path) -> IO[str]:
        """Open the file; behind what is there, where that goes on, in a line of its own."""
        is_torn = False
        if self.goes_on and path.is_file() and path.stat().st_size:
            with path.open("rb") as before:
                before.seek(-1, os.SEEK_END)
                is_torn = before.read() != b"\n"
        file = path.open("a" if self.goes_on else "w", encoding="ascii", buffering=1)
        if is_torn:
            file.write("\n")
        return file

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                if self._open:
                    self.document.fail(error)
        self._open = False


@contextmanager
def reported(asked: Asked | None, taken: Iterable[str | Path] = ()) -> Iterator[Reports | None]:
    """Give a watcher that writes the reports that are asked for; warn of those that could not be written.

    `taken` are files that the campaign writes beside them.
    """
    if asked is None:
        yield None
        return
    reports = Reports(asked_for(asked, taken=taken))
    try:
        yield reports
    finally:
        reports.finish()
        for trouble in reports.troubles:
            warn(str(trouble), RuntimeWarning, stacklevel=2)


def attached(path: str) -> str:
    """Write the path of a bundle as the reader of JUnit that runs here wants it.

    GitLab takes it relative to the project, Jenkins absolute; the others do not look at it.
    """
    whole = Path(path).absolute()
    if os.environ.get("JENKINS_URL"):
        return str(whole)
    root = Path(os.environ.get("CI_PROJECT_DIR") or Path.cwd()).absolute()
    return str(whole.relative_to(root)) if whole.is_relative_to(root) else str(whole)


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
