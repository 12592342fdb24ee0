"""Markdown of what a bisect came to: for a ticket, a comment on a pull request, the summary of a job."""

from collections.abc import Iterator
from dataclasses import dataclass

from replaykit.blame import Blame, Tested
from replaykit.report import lineage
from replaykit.report.grounds import (
    Asked,
    conclusion,
    facts,
    grounds,
    hints,
    inner,
    many,
    nearest,
    often,
    ranged,
    showed,
    skips,
    spent,
    suspected,
    title,
    took,
    why,
)
from replaykit.report.markdown import code, fenced, table, text
from replaykit.report.sheet import Sheet
from replaykit.visible import visible

MOST = 60_000  # bytes: GitHub takes 65,536 characters in a comment
_LONGEST = 300  # characters of what a repository or a service says
_LAYOUTS = ((200, _LONGEST), (100, _LONGEST), (50, _LONGEST), (20, 150), (10, 50))  # points, and characters of a text
_SIGNS = {"bad": "✗ bad", "good": "✓ good", "skipped": "○ skipped"}
_NOTES = 20
_COMMAND = 3_000  # characters


def render(blame: Blame, asked: Asked = Asked(), *, most: int = MOST) -> str:  # noqa: B008  it never changes
    """Write what a bisect came to as Markdown, in `most` bytes: of many points, those furthest away are left out."""
    for rows, longest in _LAYOUTS:
        written = "\n".join(_Page(longest).lines(blame, asked, rows)).rstrip("\n") + "\n"
        if len(written.encode("utf-8", "replace")) < most:
            break
    return written


@dataclass(frozen=True, slots=True)
class _Page:
    """Writes the parts, with texts of no more than so many characters."""

    longest: int

    def text(self, said: str) -> str:
        """Write what somebody else says, in one line."""
        return text(self._cut(said))

    def code(self, said: str) -> str:
        """Write a name."""
        return code(self._cut(said))

    def _cut(self, said: str) -> str:
        shown = visible(said[: self.longest + 1])
        return shown if len(shown) <= self.longest else f"{shown[: self.longest]}..."

    def lines(self, blame: Blame, asked: Asked, rows: int) -> Iterator[str]:
        """Write all parts."""
        word, reason = conclusion(blame)
        yield f"# Bisect: {self.text(title(blame))}\n"
        yield f"**{self.text(word)}**: {self.text(reason)}\n"
        known = [
            ("The bug", f"{self.text(blame.failure)}, of {self.code(blame.bundle)}"),
            *((name.capitalize(), self.text(said)) for name, said in facts(blame)),
            *(("How sure" if number == 0 else "", self.text(said)) for number, said in enumerate(grounds(blame))),
            *([("How often", self.text(often(blame)))] if often(blame) else []),
            *([("Skipped", self.text(skips(blame)))] if skips(blame) else []),
            *([("Spent", self.text(spent(blame)))] if blame.spent.tests else []),
        ]
        yield from table(("", ""), known)
        if blame.notes:
            yield "\n## Notes\n"
            yield from (f"- {self.text(each)}" for each in blame.notes[:_NOTES])
        if blame.suspects:
            named, more = suspected(blame)
            inside = " inside of the merge" if blame.merge is not None else ""
            yield f"\n## Candidates{inside} ({len(named) + more:,})\n"
            if named:
                yield from table(
                    ("Probability", blame.noun.capitalize(), "Subject"),
                    [(part, self.code(point.name), self.text(point.subject)) for point, part in named],
                )
            if more:
                yield f"\nAnd {more:,} more." if named else self.text(ranged(blame))
        yield from self._tried(blame, rows)
        found = hints(blame.replace(journal=None), asked)  # a folder of this machine is nothing to a reader elsewhere
        if found:
            yield "\n## Next\n"
        for each in found:
            yield f"- {self.text(each.what)}{':' if each.command else ''}"
            if each.command:
                yield ""
                yield from (f"  {line}" for line in fenced(each.command[:_COMMAND].replace("\n", " "), "sh"))

    def _tried(self, blame: Blame, rows: int) -> Iterator[str]:
        tested, left = nearest(blame, rows)
        if not tested:
            return
        inside = inner(blame.tested)
        said = [self._said(each) for each in tested]
        last = [] if not any(said) else ["Subject"] if any(each.point.subject for each in tested) else ["Why"]
        yield "\n## Tried, from old to new\n"
        yield from table(
            ("Place", blame.noun.capitalize(), "State", "Showed", "Visits", "Time", *last),
            [
                (*self._row(blame, each, is_inside=each.point.id in inside), *([words] if last else []))
                for each, words in zip(tested, said, strict=True)
            ],
        )
        if left:
            yield f"\nAnd {many(left, blame.noun)} more, further away."
        yield "\n<details><summary>As a graph</summary>\n"
        yield from fenced("\n".join(line for line, _ in lineage.render(blame, Sheet(), most=rows)))
        yield "\n</details>"

    def _said(self, tested: Tested) -> str:
        """Write what a point says of itself, and why it was skipped."""
        subject = self.text(tested.point.subject)
        if tested.state != "skipped":
            return subject
        return f"{subject} ({self.text(why(tested))})" if subject else self.text(why(tested))

    def _row(self, blame: Blame, tested: Tested, *, is_inside: bool) -> tuple[str, ...]:
        name = self.code(tested.point.name)
        return (
            "inside" if is_inside else f"{tested.place:,}",
            f"**{name}**" if blame.culprit is not None and tested.point.id == blame.culprit.id else name,
            _SIGNS[tested.state],
            showed(tested),
            f"{tested.visits:,}",
            took(tested),
        )
