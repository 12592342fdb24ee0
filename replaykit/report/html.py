"""HTML: the page of a campaign: what it came to, what it found, what it looked at; one file that needs no other."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape
from typing import NamedTuple

from replaykit.account import Account, Bug, Crossings, RunStep, SentRequest
from replaykit.coverage import Crossed
from replaykit.report import chart, faults, outline, page
from replaykit.report.case import title_of
from replaykit.report.steps import count
from replaykit.report.why import Why, why
from replaykit.verdict import Failure
from replaykit.visible import visible

MOST = 8_000_000  # bytes that findings may take; later ones are only listed
FRAME = 500  # bytes of the elements around what is told of a step or a request
MOST_ROWS = 500  # of a table
MOST_ENDPOINTS = 200
MOST_OPEN = 3  # findings that are open from the start
_TONES = {"passed": "good", "failed": "bad"}


class Exchange(NamedTuple):
    """Requests of a step that are alike, and what came of them."""

    request: SentRequest
    line: str  # POST /players
    answer: str  # 201
    times: int
    milliseconds: float


class Step(NamedTuple):
    """A step of the simplest run."""

    anchor: str
    step: RunStep
    under: str
    exchanges: tuple[Exchange, ...]


class Finding(NamedTuple):
    """A bug as the page tells it."""

    anchor: str
    number: int
    bug: Bug
    title: str
    why: Why
    sightings: str
    rate: chart.Interval | None
    resetting: tuple[Exchange, ...]
    steps: tuple[Step, ...]
    closing: tuple[Exchange, ...]
    is_open: bool


class Bar(NamedTuple):
    """How much of one kind was exercised."""

    kind: str
    covered: int
    total: int
    percent: float
    required: float | None


class Row(NamedTuple):
    """An endpoint under each fault; None where it was not tried."""

    endpoint: str
    cells: tuple[Crossed | None, ...]


def render(account: Account, *, most: int = MOST) -> str:
    """Write the page of a campaign; of many bugs, those after `most` bytes are only listed."""
    findings = [_finding(bug, number) for number, bug in enumerate(account.failures, 1)]
    matrix = account.faults_by_endpoint
    told = _told(findings, most)
    view = {
        "account": account,
        "tone": _tone(account),
        "when": datetime.fromisoformat(account.started).strftime("%Y-%m-%d %H:%M:%S UTC"),
        "duration": _duration(account.duration),
        "runs": _runs(account),
        "findings": findings[:MOST_ROWS],
        "told": told,
        "untold": len(findings) - len(told),
        "known": [_finding(bug, number, "k") for number, bug in enumerate(account.known[:MOST_ROWS], 1)],
        "curve": _curve(account),
        "coverage": _coverage(account),
        "rates": [each for each in findings[:MOST_ROWS] if each.rate is not None],
        "kinds": [] if matrix is None else [faults.short(each) for each in matrix.kinds],
        "matrix": () if matrix is None else _matrix(matrix),
        "endpoints_left": 0 if matrix is None else max(0, len(matrix.endpoints) - MOST_ENDPOINTS),
        "frame": {"width": chart.WIDTH, "height": chart.HEIGHT, "left": chart.LEFT, "right": chart.WIDTH - chart.RIGHT,
                  "top": chart.TOP, "bottom": chart.HEIGHT - chart.BOTTOM},
        "count": count,
        "percent": _percent,
    }  # fmt: skip
    return page.render("campaign.html", view)


def _percent(part: float) -> str:
    """Write a part of 1 in percent, rounded down: only all is 100 %."""
    return f"{int(part * 1000) / 10:g} %"


def _tone(account: Account) -> str:
    return "good" if account.success else "bad" if account.failures or account.known else "warn"


def _duration(seconds: float) -> str:
    """Write seconds as one reads them: 0.4 s, 12 s, 3 min 5 s, 2 h 10 min."""
    if seconds < 10:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (rest if not hours else 0, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def _runs(account: Account) -> list[tuple[chart.Part, str]]:
    counted = {"passed": account.passed, "failed": account.failed, "not judged": account.not_judged}
    parts = chart.bar([(f"{number} {word}", number) for word, number in counted.items()])
    return [(part, _TONES.get(part.label.partition(" ")[2], "warn")) for part in parts]


def _curve(account: Account) -> chart.Curve | None:
    points = [(bug.first_seen_run, title_of(bug)) for bug in account.failures[:MOST_ROWS]]
    return chart.rising(points, account.total_runs) if points and account.total_runs > 1 else None


def _coverage(account: Account) -> list[Bar]:
    return [
        Bar(kind, each.covered, each.total, 100 * each.covered / each.total, each.required)
        for kind, each in account.coverage.items()
        if each.total
    ]


def _matrix(matrix: Crossings) -> tuple[Row, ...]:
    found = {(each.fault, each.method, each.path): each for each in matrix.crossings}
    return tuple(
        Row(f"{each.method} {each.path}", tuple(found.get((kind, each.method, each.path)) for kind in matrix.kinds))
        for each in matrix.endpoints[:MOST_ENDPOINTS]
    )


def _told(findings: Sequence[Finding], most: int) -> list[Finding]:
    """Return the findings that there is room for."""
    told = []
    for each in findings:
        most -= _weight(each.bug.model_dump()) + _weight([part.text for part in (*each.why.expected, *each.why.seen)])
        if most < 0:
            break
        told.append(each)
    return told


def _weight(value: object) -> int:
    """Say how many bytes of a page a value may take: each text escaped, in elements of its own."""
    if isinstance(value, str):
        return len(escape(visible(value)).encode())
    if isinstance(value, dict):
        return FRAME + sum(map(_weight, value.values()))
    return sum(map(_weight, value)) if isinstance(value, list | tuple) else 0


def _finding(bug: Bug, number: int, letter: str = "f") -> Finding:
    anchor = f"{letter}{number}"
    shrunk = bug.shrinking
    return Finding(
        anchor=anchor,
        number=number,
        bug=bug,
        title=title_of(bug),
        why=why(_failure(bug)),
        sightings=outline.seen(bug),
        rate=chart.interval(shrunk.failed, shrunk.runs) if shrunk is not None and shrunk.runs else None,
        resetting=_exchanges(None, bug.resetting),
        steps=tuple(
            Step(f"{anchor}-s{step.label}", step, outline.under(step).strip(), _exchanges(step, step.requests))
            for step in bug.steps
        ),
        closing=_exchanges(None, bug.closing),
        is_open=letter == "f" and number <= MOST_OPEN,
    )


def _failure(bug: Bug) -> Failure:
    """Return the failure as it was told: with its secrets covered."""
    said = {name: getattr(bug, name) for name in ("kind", "name", "step", "command", "expected", "actual")}
    return Failure(**said, message=bug.failure_reason)


def _exchanges(step: RunStep | None, requests: Sequence[SentRequest]) -> tuple[Exchange, ...]:
    return tuple(_folded(step, requests))


def _folded(step: RunStep | None, requests: Sequence[SentRequest]) -> Iterator[Exchange]:
    for each, many in outline.folded(step, requests):
        line = f"{each.method} {outline.path_of(each.url)}"
        yield Exchange(each, line, outline.answer_of(each), many, each.seconds * 1000)
