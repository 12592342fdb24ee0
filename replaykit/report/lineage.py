"""The lineage: the points that were tried as a graph, from old to new, with a bar for how often the bug showed."""

from collections.abc import Iterator, Sequence

from replaykit.blame import Blame, Tested
from replaykit.report.grounds import many, nearest, noun, share, showed, why
from replaykit.report.sheet import Line, Sheet, columns

MOST = 100  # rows
BAR = 10  # columns
LONGEST_NAME = 24


def render(blame: Blame, sheet: Sheet, *, most: int = MOST) -> list[Line]:
    """Draw the graph: a row for each point that was tried, and what was left out between them."""
    tested, left = nearest(blame, most)
    if not tested:
        return []
    wide = name_columns(tested, sheet)
    often = max(columns(showed(each)) for each in tested)
    lines: list[Line] = []
    last: dict[str, int] = {}
    for each in _in_order(tested):
        before = last.get(each.within)
        if before is not None and each.place - before > 1:
            rail = f"{sheet.rail} " if each.within else ""
            lines.append((f"  {rail}{sheet.gap} {many(each.place - before - 1, noun(blame))}", "dim"))
        last[each.within] = each.place
        lines.append((sheet.clipped(_row(blame, each, sheet, wide, often)), each.state))
    signs = f"{sheet.sign('bad')} the bug shows, {sheet.sign('good')} it does not"
    if any(each.state == "skipped" for each in tested):
        signs += f", {sheet.sign('skipped')} not judged"
    if any(each.within for each in tested):
        signs += f", {sheet.rail} inside of a merge"
    more = [(sheet.clipped(f"  and {left:,} more, further away"), "dim")] if left else []
    return [*lines, *more, (sheet.clipped(f"  {signs}"), "dim")]


def name_columns(tested: Sequence[Tested], sheet: Sheet) -> int:
    """Say how many columns the names of points need."""
    return min(LONGEST_NAME, max(columns(sheet.said(each.point.name)) for each in tested))


def _row(blame: Blame, tested: Tested, sheet: Sheet, wide: int, often: int) -> str:
    part = share(tested)
    is_sought = blame.culprit is not None and tested.point.id == blame.culprit.id
    is_suspect = any(each.point.id == tested.point.id for each in blame.suspects)
    mark = f"{sheet.arrow} " if is_sought else "? " if is_suspect else "  "
    said = sheet.said(tested.point.subject or why(tested))
    word = "CULPRIT: " if is_sought and not blame.fix else "FIX: " if is_sought else ""
    cells = [
        sheet.sign(tested.state),
        sheet.padded(sheet.said(tested.point.name), wide),
        " " * BAR if part is None else sheet.bar(part, BAR),
        f"{showed(tested):>{often}}",
        f" {word}{said}",
    ]
    rail = f"{sheet.rail} " if tested.within else ""
    return f"{mark}{rail}{' '.join(cells)}".rstrip()


def _in_order(tested: Sequence[Tested]) -> Iterator[Tested]:
    """Put what was tried inside of a merge before the merge itself."""
    on_the_line = {each.point.name for each in tested if not each.within}
    for each in tested:
        if not each.within:
            yield from (inner for inner in tested if inner.within == each.point.name)
            yield each
    yield from (each for each in tested if each.within and each.within not in on_the_line)
