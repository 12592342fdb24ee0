"""Markdown of what a bisect came to: for a ticket, a comment on a pull request, the summary of a job."""

from collections.abc import Iterator

from replaykit.blame import Blame, Tested
from replaykit.report import lineage
from replaykit.report.grounds import (
    Asked,
    conclusion,
    facts,
    grounds,
    hints,
    lasting,
    many,
    nearest,
    noun,
    often,
    showed,
    skips,
    spent,
    suspected,
    title,
    why,
)
from replaykit.report.markdown import code, fenced, table, text
from replaykit.report.sheet import Sheet

MOST = 60_000  # bytes: GitHub takes 65,536 characters in a comment
LONGEST = 300  # characters of what a repository or a service says
_ROWS = (200, 100, 50, 20, 10)  # of points, tried one after the other until it is short enough
_SIGNS = {"bad": "✗ bad", "good": "✓ good", "skipped": "○ skipped"}
_NOTES = 20


def render(blame: Blame, asked: Asked = Asked(), *, most: int = MOST) -> str:  # noqa: B008  it never changes
    """Write what a bisect came to as Markdown, in `most` bytes: of many points, those furthest away are left out."""
    for rows in _ROWS:
        written = "\n".join(_lines(blame, asked, rows)).rstrip("\n") + "\n"
        if len(written.encode("utf-8", "replace")) < most:
            break
    return written


def _lines(blame: Blame, asked: Asked, rows: int) -> Iterator[str]:
    word, reason = conclusion(blame)
    yield f"# Bisect: {_text(title(blame))}\n"
    yield f"**{_text(word)}**: {_text(reason)}\n"
    known = [
        ("The bug", f"{_text(blame.failure)}, of {code(blame.bundle[:LONGEST])}"),
        *((name.capitalize(), _text(said)) for name, said in facts(blame)),
        *(("How sure" if number == 0 else "", _text(said)) for number, said in enumerate(grounds(blame))),
        *([("How often", _text(often(blame)))] if often(blame) else []),
        *([("Skipped", _text(skips(blame)))] if skips(blame) else []),
        *([("Spent", _text(spent(blame)))] if blame.spent.tests else []),
    ]
    yield from table(("", ""), known)
    if blame.notes:
        yield "\n## What makes it doubtful\n"
        yield from (f"- {_text(each)}" for each in blame.notes[:_NOTES])
    if blame.suspects and blame.culprit is None:
        named, more = suspected(blame)
        yield f"\n## Candidates ({len(blame.suspects):,})\n"
        yield from table(
            ("Probability", noun(blame).capitalize(), "Subject"),
            [(part, code(point.name[:LONGEST]), _text(point.subject)) for point, part in named],
        )
        if more:
            yield f"\nAnd {more:,} more."
    yield from _tried(blame, rows)
    found = hints(blame, asked)
    if found:
        yield "\n## Next\n"
    for each in found:
        yield f"- {_text(each.what)}{':' if each.command else ''}"
        if each.command:
            yield ""
            yield from (f"  {line}" for line in fenced(each.command[: 10 * LONGEST].replace("\n", " "), "sh"))


def _tried(blame: Blame, rows: int) -> Iterator[str]:
    tested, left = nearest(blame, rows)
    if not tested:
        return
    yield "\n## Tried, from old to new\n"
    yield from table(
        ("Place", noun(blame).capitalize(), "State", "Showed", "Visits", "Time", "Subject"),
        [_row(blame, each) for each in tested],
    )
    if left:
        yield f"\nAnd {many(left, noun(blame))} more, further away."
    yield "\n<details><summary>As a graph</summary>\n"
    yield from fenced("\n".join(line for line, _ in lineage.render(blame, Sheet(), most=rows)))
    yield "\n</details>"


def _row(blame: Blame, tested: Tested) -> tuple[str, ...]:
    said = _text(tested.point.subject)
    if tested.within:
        said = f"(inside of {_text(tested.within)}) {said}"
    if tested.state == "skipped":
        said = f"{said} ({_text(why(tested))})"
    name = code(tested.point.name[:LONGEST])
    return (
        f"{tested.place:,}",
        f"**{name}**" if blame.culprit is not None and tested.point.id == blame.culprit.id else name,
        _SIGNS[tested.state],
        showed(tested),
        f"{tested.visits:,}",
        "known" if tested.cached else lasting(tested.seconds),
        said.strip(),
    )


def _text(said: str) -> str:
    return text(said if len(said) <= LONGEST else f"{said[:LONGEST]}...")
