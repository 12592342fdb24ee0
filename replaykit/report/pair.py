"""Two bundles side by side, as text and as JSON; a surface that other programs read."""

from collections.abc import Iterator, Sequence

from replaykit.document import json_text
from replaykit.gate import line_of
from replaykit.pair import Pair, Side
from replaykit.report.steps import count, one_line
from replaykit.surface import schema_for

MOST = 20  # lines of each part, where not all are asked for


def render(pair: Pair, *, whole: bool = False) -> str:
    """Show what two bundles differ in; of each part the first lines, or the `whole` of it."""
    most = None if whole else MOST
    lines = [f"--- {one_line(pair.before)}", f"+++ {one_line(pair.after)}"]
    for title, listed in _parts(pair):
        if listed:
            lines += [title, *(f"  {one_line(each)}" for each in listed[:most])]
            more = len(listed) - len(listed[:most])
            lines += [f"  and {more} more: --all"] if more else []
    return "\n".join(lines)


def conclusion(pair: Pair) -> str:
    """Say in one line what two bundles differ in."""
    if pair.alike:
        return "the same calls, answers, events, states and failure"
    said = [count(len(pair.calls), "call")] if pair.calls else []
    places = ((pair.steps, "in answers and events"), (pair.states, "in states"))
    said += [f"{count(len(each), 'place')} {where}" for each, where in places if each]
    said += ["the order of calls"] if pair.moved else []
    return ", ".join([*said, *(each.name for each in pair.ending)])


def _parts(pair: Pair) -> Iterator[tuple[str, Sequence[str]]]:
    yield "where they come from:", [_side(each) for each in pair.provenance]
    marks = {"removed": "-", "added": "+", "changed": "~"}
    calls = []
    for each in pair.calls:
        said = " -> ".join(side for side in (each.before, each.after) if side is not None)
        calls.append(f"{marks[each.change]} [{each.label:>2}] {said}")
    yield "calls:", [*calls, *(["calls that both have stand in another order"] if pair.moved else [])]
    yield "answers, events, observations:", [line_of(each) for each in pair.steps]
    yield "states:", [line_of(each) for each in pair.states]
    yield "how they end:", [_side(each) for each in pair.ending]


def _side(side: Side) -> str:
    return f"{side.name}: {side.before or 'nothing'} -> {side.after or 'nothing'}"


def as_json(pair: Pair) -> str:
    """Write it as JSON, in ASCII."""
    return json_text(pair.model_dump()) + "\n"


def schema() -> str:
    """Return the JSON Schema of the document, as it is published."""
    return schema_for(Pair, "Document of replaykit diff, format 1")
