"""The minutes: the lines in which a bisect writes down what it was asked, and what it has found out."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeAlias

from replaykit.axis import Tried
from replaykit.blame import Outcome
from replaykit.culprit import sum_of
from replaykit.errors import JournalError, UsageError
from replaykit.ledger import Advice, Ledger, whole
from replaykit.value import InvalidValueError, JsonData, Record, parse
from replaykit.version import __version__

FORMAT = 1
ADVICE = Advice(
    broken="Begin anew, without --resume; the folder can be removed.",
    unread="Begin anew, without --resume.",
    unwritten="Make room, or name another folder with XDG_STATE_HOME.",
)

Stage: TypeAlias = Literal["end", "search", "confirm", "check"]


class Asked(Record):
    """The first line: what is searched for, and how."""

    format: int = FORMAT
    tool: str = f"replaykit {__version__}"
    axis: Literal["commits", "versions"]
    where: str  # path of the repository; name of the package
    bundle: str  # its path, as the user says it
    bundle_sha256: str = ""  # of what the bundle holds, whatever culprit it names; `Kept` writes it
    near: str  # id of a point
    far: str | None = None  # None: it is looked for
    fix: bool = False
    configuration: str = ""  # digest of all else that a verdict depends on
    options: dict[str, JsonData] = {}  # noqa: RUF012  of the command line, secrets covered
    covered: list[str] = []  # noqa: RUF012  names of options with a secret, which have to be given again


class TriedLine(Record):
    """A point that was tried; or one of which that is known, since another one has the same code."""

    stage: Stage
    point: str
    name: str
    code: str = ""
    tried: Tried
    seconds: float = 0.0  # that it took to come there
    steady: bool = False  # was the bug known to show each time?
    cached: bool = False  # is it known from elsewhere?
    at: str = ""  # ISO 8601, UTC
    log: str | None = None


class Void(Record):
    """Points whose skips do not count, since the machine was in trouble."""

    points: list[str]


class End(Record):
    """The bisect has come to an end, for now or for ever."""

    outcome: Outcome


Line: TypeAlias = TriedLine | Void | End
KINDS: dict[str, type[TriedLine] | type[Void] | type[End]] = {"tried": TriedLine, "void": Void, "end": End}


def read(ledger: Ledger) -> tuple[Asked, list[Line]]:
    """Return what was asked, and what was found out. Raises JournalError, UsageError."""
    asked: Asked | None = None
    lines: list[Line] = []
    for number, kind, data in ledger.read():
        try:
            if asked is None:
                asked = _asked(ledger, number, kind, data)
                continue
            record = KINDS.get(kind)
            if record is None:
                raise ledger.broken(number, f"there is no line of kind {kind!r}")
            line = parse(record, data)
        except InvalidValueError as error:
            raise ledger.broken(number, str(error)) from None
        if isinstance(line, TriedLine) and not _can_be(line):
            raise ledger.broken(number, f"{line.tried.shown} and {line.tried.held} of {line.tried.attempts} can't be")
        lines.append(line)
    if asked is None:
        raise JournalError(f"{ledger.path} says nothing: the bisect was stopped when it began.", ADVICE.broken)
    return asked, lines


def _asked(ledger: Ledger, number: int, kind: str, data: dict[str, Any]) -> Asked:
    if kind != "asked":
        raise ledger.broken(number, "this is no journal of a bisect")
    if data.get("format") != FORMAT:
        raise ledger.broken(number, f"its format is {data.get('format')!r}, and this version knows {FORMAT}")
    return parse(Asked, data)


def _can_be(line: TriedLine) -> bool:
    tried = line.tried
    counts = min(tried.shown, tried.held) >= 0 and tried.shown + tried.held <= tried.attempts
    return counts and 0 <= tried.seconds < float("inf") and 0 <= line.seconds < float("inf")


def require_same(folder: Path, then: Asked, now: Asked | None, content: bytes | None) -> None:
    """Raise UsageError where a bisect was asked something else than it is to go on with."""
    differing = []
    if content is not None and sum_of(content) != then.bundle_sha256:
        differing.append("the bundle holds something else by now")
    if now is not None:
        for name in ("axis", "where", "near", "far", "fix"):
            before, after = getattr(then, name), whole(getattr(now, name))
            if before != after:
                differing.append(f"{name} {before!r}, now {after!r}")
        if then.configuration != now.configuration:
            differing.append("commands, settings, versions, or the code of model and adapter")
    if differing:
        raise UsageError(
            f"The bisect in {folder} was asked something else: {'; '.join(differing)}.",
            "Say the same as then, or begin anew, without --resume.",
        )


def valid(lines: Iterable[Line]) -> list[TriedLine]:
    """Return what was found out, without the skips that do not count."""
    kept: list[TriedLine] = []
    for line in lines:
        if isinstance(line, TriedLine):
            kept.append(line)
        elif isinstance(line, Void):
            voided = set(line.points)
            kept = [each for each in kept if each.point not in voided or each.tried.state != "skipped"]
    return kept


def agreed(lines: Iterable[TriedLine]) -> TriedLine | None:
    """Return what all that was good or bad says of the same code; None where it is not one thing, or nothing."""
    judged = [line for line in lines if line.tried.state != "skipped"]
    shows = {line.tried.state for line in judged} | {
        "good" for line in judged if line.tried.held and line.tried.state == "bad"
    }
    return judged[0] if len(shows) == 1 else None
