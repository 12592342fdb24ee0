"""What a bisect came to, as text: the culprit, why it is the one, what was tried, and what to type next."""

from collections.abc import Iterator

from replaykit.blame import Blame, Tested
from replaykit.report import lineage
from replaykit.report.grounds import (
    Asked,
    facts,
    grounds,
    hints,
    inner,
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
from replaykit.report.sheet import NARROWEST, Line, Sheet, columns

MOST = 100  # points of the table
LABEL = 14  # columns of the words before what is known of a culprit
LONGEST = 2_000  # characters of a sentence
_STATE = len("skipped")
_SHOWN_FROM = 70  # columns that the table needs to show visits too


def render(blame: Blame, sheet: Sheet = Sheet(), asked: Asked = Asked()) -> list[Line]:  # noqa: B008  they never change
    """Show what a bisect came to, but for its last line; lines with their styles, as wide as the sheet.

    Only what can be typed is wider: a command that was cut would be another one.
    """
    if sheet.width < NARROWEST:
        sheet = Sheet(NARROWEST, sheet.is_ascii)
    lines = [*_head(blame, sheet), *_candidates(blame, sheet)]
    for part in (_table(blame, sheet), _graph(blame, sheet), _next(blame, sheet, asked)):
        written = list(part)
        lines += [("", ""), *written] if written else []
    return lines


def _head(blame: Blame, sheet: Sheet) -> Iterator[Line]:
    is_found = blame.outcome == "found" and blame.culprit is not None
    word = ("FIX" if blame.fix else "CULPRIT") if is_found else blame.outcome.upper()
    said = blame.culprit.id if is_found and blame.culprit is not None else title(blame)
    yield sheet.clipped(f"{word} {sheet.said(said)}"), "bad" if is_found and not blame.fix else "bold"
    for name, value in facts(blame) if is_found else []:
        yield from _labelled(name, value, sheet)
    if not is_found and blame.reason:
        yield from _labelled("why", blame.reason, sheet)
    if not is_found:
        for end in _ends(blame):
            yield from _labelled(f"seen at {end.point.name}", _seen(end), sheet)
            if end.log is not None:  # in one line, so that it can be copied
                yield f"    {sheet.said(end.log)}", ""
        skipped = skips(blame)
        if skipped:
            yield from _labelled("skipped", skipped, sheet)
    for number, each in enumerate(grounds(blame)):
        yield from _labelled("how sure" if number == 0 else "", each, sheet)
    if often(blame):
        yield from _labelled("how often", often(blame), sheet)
    for number, each in enumerate(blame.notes):
        yield from ((text, "skipped") for text, _ in _labelled("notes" if number == 0 else "", each, sheet))
    if blame.failure:
        yield from _labelled("the bug", f"{blame.failure}, of {blame.bundle}", sheet)
    if blame.spent.tests:
        yield from _labelled("spent", spent(blame), sheet)


def _labelled(word: str, said: str, sheet: Sheet) -> Iterator[Line]:
    """Write a sentence beside a word, in as many lines as it takes."""
    label = sheet.padded(sheet.said(word), max(LABEL, columns(word)) if word else LABEL)
    shown = sheet.said(said)[:LONGEST]
    room = max(10, sheet.width - 2 - columns(label) - 1)
    for number, line in enumerate(sheet.wrapped(shown, room)):
        yield f"  {label if number == 0 else ' ' * columns(label)} {line}", ""


def _ends(blame: Blame) -> list[Tested]:
    """List the ends that are not as they should be: what was seen there is the answer."""
    wanted = {"not bad": blame.far if blame.fix else blame.near, "not good": blame.near if blame.fix else blame.far}
    point = wanted.get(blame.outcome)
    if point is not None:
        return [each for each in blame.tested if each.point.id == point.id]
    if blame.outcome == "not judged":
        ends = {each.id for each in (blame.near, blame.far) if each is not None}
        return [each for each in blame.tested if each.point.id in ends and each.state == "skipped"]
    return []


def _seen(tested: Tested) -> str:
    counted = f", the bug showed in {showed(tested)} attempts" if tested.shown + tested.held else ""
    log = ", with this log:" if tested.log is not None else ""
    return f"{tested.word}{f': {tested.reason}' if tested.reason else ''}{counted}{log}"


def _candidates(blame: Blame, sheet: Sheet) -> Iterator[Line]:
    if not blame.suspects:
        return
    named, more = suspected(blame)
    inside = " inside of the merge" if blame.merge is not None else ""
    yield "", ""
    order = "" if ranged(blame) else ", the most probable first"
    yield sheet.clipped(f"candidates{inside}{order} ({len(named) + more:,})"), "bold"
    if ranged(blame):
        yield from ((f"  {line}", "") for line in sheet.wrapped(sheet.said(ranged(blame)), sheet.width - 2))
        return
    wide = max(columns(sheet.said(point.name)) for point, _ in named)
    most = max(len(part) for _, part in named)
    for point, part in named:
        name = sheet.padded(sheet.said(point.name), min(wide, lineage.LONGEST_NAME))
        yield sheet.clipped(f"  {part:>{most}}  {name}  {sheet.said(point.subject)}".rstrip()), ""
    if more:
        yield f"  and {more:,} more", "dim"


def _table(blame: Blame, sheet: Sheet) -> Iterator[Line]:
    tested, left = nearest(blame, MOST)
    if not tested:
        return
    yield "tried, from old to new", "bold"
    inside, kind, has_visits = inner(blame.tested), blame.noun, sheet.width >= _SHOWN_FROM
    wide = max(len(kind), lineage.name_columns(tested, sheet))
    place = max(len("place"), *(len(f"{each.place:,}") for each in tested))
    shows = max(len("showed"), *(len(showed(each)) for each in tested))
    time = max(len("time"), *(len(took(each)) for each in tested))
    visits = f"{'visits':>6}  " if has_visits else ""
    head = f"  {'place':>{place}}  {kind:<{wide}}  {'state':<{_STATE}}  {'showed':>{shows}}  {visits}{'time':>{time}}"
    has_subjects = any(each.point.subject for each in tested)
    yield sheet.clipped(f"{head}  subject" if has_subjects else head), "dim"
    for each in tested:
        visits = f"{each.visits:>6}  " if has_visits else ""
        is_sought = blame.culprit is not None and each.point.id == blame.culprit.id
        mark, at = sheet.arrow if is_sought else " ", sheet.rail if each.point.id in inside else f"{each.place:,}"
        cells = (
            f"{mark} {at:>{place}}  {sheet.padded(sheet.said(each.point.name), wide)}  "
            f"{each.state:<{_STATE}}  {showed(each):>{shows}}  {visits}{took(each):>{time}}"
        )
        style = "bold" if is_sought else "skipped" if each.state == "skipped" else ""
        yield sheet.clipped(f"{cells}  {sheet.said(each.point.subject)}".rstrip()), style
        if each.state == "skipped":
            yield sheet.clipped(f"  {' ' * place}  {sheet.said(why(each))}"), "skipped"
    if left:
        yield sheet.clipped(f"  and {left:,} more, further away: --json lists them all"), "dim"


def _graph(blame: Blame, sheet: Sheet) -> Iterator[Line]:
    drawn = lineage.render(blame, sheet)
    if drawn:
        yield "history, from old to new", "bold"
        yield from drawn


def _next(blame: Blame, sheet: Sheet, asked: Asked) -> Iterator[Line]:
    found = hints(blame, asked)
    if found:
        yield "next", "bold"
    for each in found:
        lines = sheet.wrapped(sheet.said(f"{each.what}{':' if each.command else ''}"), sheet.width - 2)
        yield from ((f"  {line}", "") for line in lines)
        if each.command:
            yield f"    {sheet.said(each.command)}", ""
