"""Publishing: the reports of a suite that are asked for, each written, whatever becomes of the others."""

import os
import secrets
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from replaykit.docket import Docket
from replaykit.document import Document, append
from replaykit.errors import UnwritableError
from replaykit.report import roll, suite_github, suite_json, suite_junit, suite_markdown
from replaykit.reporting import Report, asked_for, attached
from replaykit.visible import visible

FORMATS = ("terminal", "markdown", "junit", "json", "github")

Write = Callable[[str], object]


class Publishing:
    """The reports of a suite: their folders are made before it begins, they are written when it is over."""

    def __init__(self, asked: Iterable[str], *, github: bool = False) -> None:
        """Read what is asked for: FORMAT[=PATH]; `github` adds its annotations. Raises UsageError, UnwritableError."""
        reports = asked_for([*asked], formats=FORMATS, of="suite")
        self.is_printed = any(each.path == "-" for each in reports)
        if github:
            reports.append(Report("github"))
        self._reports = [(each, Document(each.path)) for each in dict.fromkeys(reports) if each != Report("terminal")]
        self._word = f"stop-{secrets.token_hex(16)}" if github else ""
        self.written: list[str] = []  # files
        self.troubles: list[UnwritableError] = []

    def begin(self, write: Write) -> None:
        """Let GitHub's runner obey nothing that is printed from now on, where it reads along."""
        if self._word:
            with suppress(OSError, ValueError):  # a reader that is gone
                write(f"::stop-commands::{self._word}\n")

    def publish(self, docket: Docket, write: Write) -> None:
        """Write all reports; `write` writes those that go to standard output."""
        for report, document in self._reports:
            if report.format == "github":
                continue
            text = _text(report.format, docket)
            if document.name in {None, "-"}:
                with suppress(OSError, ValueError):  # a reader that is gone
                    write(text)
                continue
            document.write(text)
            if document.trouble is not None:
                self.troubles.append(document.trouble)
            else:
                self.written.append(str(document.name))

    def finish(self, docket: Docket | None, write: Write) -> None:
        """Print the annotations, and write the summary of the job, where GitHub is asked for."""
        said = f"::{self._word}::\n" if self._word else ""
        self._word = ""
        if docket is not None and any(each.format == "github" for each, _ in self._reports):
            said += suite_github.render(docket)
            self._summarise(docket)
        if said:
            with suppress(OSError, ValueError):
                write(said)

    def _summarise(self, docket: Docket) -> None:
        trouble = append(os.environ.get("GITHUB_STEP_SUMMARY"), partial(suite_github.summary, docket))
        self.troubles += [trouble] if trouble is not None else []


def _text(name: str, docket: Docket) -> str:
    if name == "terminal":
        last = f"VERDICT {docket.outcome}: {docket.conclusion} (exit {docket.exit_code})"
        return visible(f"{roll.render(docket)}\n{last}") + "\n"
    if name == "junit":
        return suite_junit.render(docket, attached=attached, host=socket.gethostname())
    return {"markdown": suite_markdown.render, "json": suite_json.render}[name](docket)
