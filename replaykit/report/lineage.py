"""The lineage: the points that were tried as a graph, from old to new, with a bar for how often the bug showed."""

from collections.abc import Sequence

from replaykit.blame import Blame, Tested
from replaykit.report.grounds import between, candidates, inner, many, nearest, share, showed, why
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
    inside, last, ends = inner(blame.tested), tested[0].place, between(blame) if blame.suspects else None
    for each in tested:
        if each.place - last > 1:
            is_open = ends is not None and ends[0].place <= last and each.place <= ends[1].place
            mark, said = ("? ", ", one of which it may be") if is_open else ("  ", "")
            lines.append((sheet.clipped(f"{mark}{sheet.gap} {many(each.place - last - 1, blame.noun)}{said}"), "dim"))
        last = each.place
        row = _row(blame, each, sheet, wide, often, is_inside=each.point.id in inside)
        lines.append((sheet.clipped(row), each.state))
    signs = f"{sheet.sign('bad')} the bug shows, {sheet.sign('good')} it does not"
    if any(each.state == "skipped" for each in tested):
        signs += f", {sheet.sign('skipped')} not judged"
    if any(each.point.id in inside for each in tested):
        signs += f", {sheet.rail} inside of a merge"
    more = [(sheet.clipped(f"  and {left:,} more, further away"), "dim")] if left else []
    return [*lines, *more, (sheet.clipped(f"  {signs}"), "dim")]


def name_columns(tested: Sequence[Tested], sheet: Sheet) -> int:
    """Say how many columns the names of points need."""
    return min(LONGEST_NAME, max(columns(sheet.said(each.point.name)) for each in tested))


def _row(blame: Blame, tested: Tested, sheet: Sheet, wide: int, often: int, *, is_inside: bool) -> str:
    part = share(tested)
    is_sought = blame.culprit is not None and tested.point.id == blame.culprit.id
    is_suspect = any(each.point.id == tested.point.id for each in candidates(blame))
    mark = f"{sheet.arrow} " if is_sought else "? " if is_suspect else "  "
    said = sheet.said(tested.point.subject or why(tested))
    word = ("FIX" if blame.fix else "CULPRIT") if is_sought else ""
    cells = [
        sheet.sign(tested.state),
        sheet.padded(sheet.said(tested.point.name), wide),
        " " * BAR if part is None else sheet.bar(part, BAR),
        f"{showed(tested):>{often}}",
        f" {': '.join(filter(None, [word, said]))}",
    ]
    rail = f"{sheet.rail} " if is_inside else ""
    return f"{mark}{rail}{' '.join(cells)}".rstrip()
