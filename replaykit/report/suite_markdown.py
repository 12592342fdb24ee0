"""Markdown of a suite: for the summary of a job, a ticket, a merge request."""

from collections.abc import Iterator

from replaykit.docket import Docket, Entry
from replaykit.report.markdown import fenced, table, text
from replaykit.report.roll import MARKS, meant, warnings
from replaykit.report.steps import count

MOST = 10_000_000  # bytes
MOST_ROWS = 2_000  # of those that are as expected


def render(docket: Docket, *, most: int = MOST) -> str:
    """Write a suite as Markdown, in `most` bytes: of many that are not as expected, the later ones are only listed."""
    head = "\n".join(_head(docket)) + "\n"
    room, parts = most - len(head.encode("utf-8", "replace")) - 200, [head]
    bad = [each for each in docket.entries if each.exit_code]
    for number, entry in enumerate(bad):
        part = "\n".join(_entry(entry)) + "\n"
        room -= len(part.encode("utf-8", "replace")) + 1
        if room < 0:
            parts.append(f"And {len(bad) - number} more, left out here: the report is too long.\n")
            break
        parts.append(part)
    return "\n".join(parts).rstrip("\n") + "\n"


def _head(docket: Docket) -> Iterator[str]:
    yield f"# Regression suite: {text(docket.outcome)}\n"
    mode = "offline, against their cassettes" if docket.offline else "live"
    yield f"{text(docket.conclusion)}; {count(docket.bundles, 'bundle')}, {mode}, {docket.seconds:.1f} s.\n"
    for line in warnings(docket.lacking):
        yield f"{text(line)}  "
    rows = [
        (
            f"{'✓' if not each.exit_code else MARKS[each.outcome]} {each.outcome}",
            text(each.bundle),
            text(each.check or "-"),
            each.verdict or "-",
            text(each.known_as),
        )
        for each in sorted(docket.entries, key=lambda each: not each.exit_code)
    ]
    yield from table(("Outcome", "Bundle", "What it is about", "Verdict", "Status"), rows[:MOST_ROWS])
    if len(rows) > MOST_ROWS:
        yield f"\nAnd {len(rows) - MOST_ROWS} more."


def _entry(entry: Entry) -> Iterator[str]:
    yield f"## {text(entry.outcome)}: {text(entry.bundle)}\n"
    if said := meant(entry):
        yield f"{text(said)}\n"
    facts = {"Status": entry.known_as, "Note": entry.note, "When it was saved, it showed in": entry.rate}
    yield "  \n".join(f"**{name}**: {text(value)}" for name, value in facts.items() if value)
    yield ""
    yield from fenced("\n".join([entry.reason, *entry.notes, *entry.steps]))
    if entry.log:
        yield "\nThe last lines of the service:\n"
        yield from fenced(entry.log)
    if entry.replay is not None:
        yield "\nReplay it:\n"
        yield from fenced(entry.replay, "sh")
