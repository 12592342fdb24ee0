"""Printing: results to standard output, the rest to standard error, and nothing that a terminal obeys."""

import contextlib
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click

from replaykit.errors import ReplaykitError
from replaykit.visible import visible

if TYPE_CHECKING:
    from replaykit.answer import Answer, Unread
    from replaykit.redact import Redactor

C = TypeVar("C", bound=Callable[..., Any])

_STYLES: dict[str, dict[str, Any]] = {  # of a line that begins so
    "FAILURE ": {"fg": "red", "bold": True},
    "FAULT ": {"fg": "yellow", "bold": True},
    "NOT JUDGED": {"fg": "yellow", "bold": True},
    "Warning:": {"fg": "yellow"},
    "  ✗ ": {"fg": "red"},
    "  replay it:": {"bold": True},
}

_DRAWN: dict[str, dict[str, Any]] = {
    "bold": {"bold": True},
    "dim": {"dim": True},
    "bad": {"fg": "red"},
    "good": {"fg": "green"},
    "skipped": {"fg": "yellow"},
}

_COLOURS = {0: "green", 1: "red", 125: "yellow"}


def is_live() -> bool:
    """Say whether somebody looks at standard error, on a terminal that can be drawn on."""
    stream = sys.stderr
    if stream is None or not stream.isatty() or os.environ.get("TERM", "") in {"", "dumb", "unknown"} or _is_ci():
        return False
    return can_say(stream, "━█░•…")


def can_say(stream: TextIO | None, signs: str) -> bool:
    """Say whether a stream can show some characters that are no ASCII."""
    try:
        signs.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _is_ci() -> bool:
    """Say whether this is continuous integration, whose logs are read later; all known ones set CI."""
    return os.environ.get("CI", "").lower() not in {"", "0", "false", "no"}


def has_colours(stream: TextIO | None) -> bool:
    """Say whether colours are wanted on a stream: NO_COLOR and FORCE_COLOR go before what the stream is."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "") not in {"", "0", "false"}:
        return True
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


_hush: "list[Redactor]" = []  # what covers the secrets that the project knows


def hush() -> None:
    """Cover from now on, in all that is printed, what the project knows as secrets. Raises RedactionError."""
    from replaykit import project
    from replaykit.redact import Redactor

    _hush[:] = [Redactor(project.policy_here())]


_ORDER = re.compile(r"(##)(?=\[)|^(\s*:)(?=:)", re.MULTILINE)  # for GitHub's runner, see `ActionCommand.TryParse`
_USER = re.compile(r"(://)[^/\s]+@")  # up to the last @: a password may have one


def printable(text: str) -> str:
    """Show control, bidirectional and invisible characters, instead of sending them to the terminal.

    Nor is GitHub's runner given orders, where it reads along.
    """
    for redactor in _hush:
        text = redactor.shown(text)
    text = visible(text)
    return _ORDER.sub(r"\g<0> ", text) if on_github() else text


def on_github() -> bool:
    """Say whether GitHub's runner reads what is printed."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def without_users(text: str, cover: str = "") -> str:
    """Take who logs in out of each URL in a text; `cover` is what stands in its place."""
    return _USER.sub(rf"\1{cover}", text)


_writing: list[Callable[[str], None]] = []  # to standard output, where all else goes to standard error
_written: list[bool] = []  # whether something was


def diverted() -> Callable[[str], None]:
    """Let all that is printed go to standard error from now on; return what writes to standard output.

    That holds for what a model or an adapter prints too. It is not undone: a verdict may be told when all else is over.
    """
    if _writing and sys.stdout is sys.stderr:
        return _writing[0]
    sys.stdout.flush()
    place = sys.stdout.fileno()
    sys.stdout = sys.stderr
    _written.clear()

    def write(text: str) -> None:
        _written.append(True)
        left = text.encode("utf-8", "backslashreplace")
        while left:
            left = left[os.write(place, left) :]

    _writing[:] = [write]
    return write


def json_option(command: C) -> C:
    """Add --json, for one document on standard output and nothing else."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON document instead, and the rest to stderr."
    )(command)


def answer(write: Callable[[str], None] | None, made: Callable[[], "Answer"]) -> None:
    """Print an answer as JSON, where that was asked for: `write` is what `diverted` gave then."""
    if write is None:
        return
    from replaykit.answer import render

    with contextlib.suppress(OSError):  # a reader that is gone: the exit code still says the verdict
        write(printable(render(made())))


def unread_for(error: ReplaykitError, code: int) -> "Unread":
    """Say why a file can't be read, where others can."""
    from replaykit.answer import Unread

    return Unread(slug=error.slug, happened=error.happened, todo=error.todo, exit_code=code)


def refuse(slug: str, happened: str, todo: str, code: int) -> None:
    """Print an error as JSON, unless a document is there already."""
    from replaykit.answer import refusal

    with contextlib.suppress(OSError, ValueError):  # standard output is none that can be written to
        write = diverted()
        if not _written:
            write(printable(refusal(slug, happened, todo, code)))


def say(text: str = "") -> None:
    """Print a result. A reader that is gone is no reason to stop: the exit code still says the verdict."""
    _echo(printable(text), err=False)


def show(text: str) -> None:
    """Print what was found: a result in which what failed stands out."""
    for line in printable(text).split("\n"):
        style = next((style for mark, style in _STYLES.items() if line.startswith(mark)), None)
        _echo(click.style(line, **style) if style else line, err=False)


def draw(lines: Iterable[tuple[str, str]], *, err: bool = False) -> None:
    """Print lines with their styles, each in one of `_DRAWN`: a result, or progress."""
    for text, style in lines:
        line = printable(text)
        _echo(click.style(line, **_DRAWN[style]) if _DRAWN.get(style) else line, err=err)


def note(text: str) -> None:
    """Print what is not a result: progress, warnings."""
    _echo(printable(text), err=True)


def warn_of_size(path: Path) -> None:
    """Say of a bundle that was written that it is large, if it is."""
    from replaykit.bundle import warning

    said = warning(path)
    if said is not None:
        note(f"warning: {said}")


def conclude(word: str, reason: str, code: int) -> None:
    """Print the verdict, which is always the last line."""
    line = printable(f"VERDICT {word}: {reason}".replace("\n", " "))
    shown = f"{line} (exit {code})"
    if not can_say(sys.stdout, shown):  # click would write UTF-8 to it
        shown = shown.encode("ascii", "backslashreplace").decode("ascii")
    _echo(click.style(shown, fg=_COLOURS.get(code, "yellow")), err=False)


def complain(slug: str, happened: str, todo: str = "", code: int = 129) -> None:
    """Print an error: what happened, what to do; the last line names the exit code."""
    _echo(printable(f"error[{slug}]: {happened}").replace("\n", "\n  "), err=True)
    for line in todo.splitlines():
        _echo(printable(f"  {line}"), err=True)
    if code == 125:  # noqa: PLR2004
        conclude(slug, happened, code)
    else:
        _echo(f"  (exit {code}; `{slug}` is explained in docs/reference/errors.md)", err=True)


def _echo(text: str, *, err: bool) -> None:
    with contextlib.suppress(OSError, ValueError):  # the latter where the user's code has closed it
        colours = has_colours(sys.stderr if err else sys.stdout)  # without them, click takes them out of the text
        try:
            click.echo(text, err=err, color=colours)
        except UnicodeEncodeError:  # a terminal that can't say it
            click.echo(text.encode("ascii", "backslashreplace").decode("ascii"), err=err, color=colours)


def program() -> str:
    """Say how this program was called, so that a command that is printed can be copied."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m replaykit"
    import shutil

    found = shutil.which("replaykit")
    if not called.exists() or (found is not None and Path(found).samefile(called)):
        return "replaykit"
    return shlex.quote(os.path.relpath(called))
