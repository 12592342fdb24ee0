"""Proposals: which values of a service's answers are noise, found by running one sequence several times.

What differs between runs against one build, and has the same form in all of them, may be noise. It is proposed as a
rule of the narrowest type that fits, and never applied by itself. What is refused is said too: what is there in one
run and not in the other, longer lists, other types, whatever the model judges, and places that a rule can't name.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from replaykit.adapter import Adapters
from replaykit.attempts import odds_of
from replaykit.bundle import Bundle
from replaykit.change import NOTHING, kind_of
from replaykit.contrast import Found, contrast
from replaykit.errors import NoiseError, StaleError, UnreachableError
from replaykit.judging import Trial
from replaykit.latency import budgets_of
from replaykit.naming import Named, Names, is_telling
from replaykit.rule import Rule, problem, time_of
from replaykit.sequence import branches_of
from replaykit.trace import Trace
from replaykit.value import JsonData

_UUID = re.compile(r"(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SETS = ("0-9", "0-9a-f", "0-9A-F", "A-Z", "a-z", "0-9a-z", "0-9A-Z", "0-9A-Za-z", "0-9A-Za-z_-", "0-9A-Za-z+/=_.~-")
_TOLERANCE = 60.0  # seconds, of a time that is near to now
_MORE = 3  # times as many runs of a flaky bug, of which some end alike
_LONGEST = 200  # characters of a value that a pattern is proposed for


class Refused(NamedTuple):
    """A place that differs between runs, and why no rule may cover it."""

    place: str
    why: str


class Proposed(NamedTuple):
    """What runs against one build say of noise."""

    rules: tuple[Rule, ...]
    refused: tuple[Refused, ...]


def runs_of(bundle: Bundle, adapters: Adapters, count: int) -> list[Trace]:
    """Run a bundle's sequence until so many runs ended alike, and return what happened in these.

    All of them have to, but where the bug is known to be flaky: some more are tried there. Raises StaleError or
    UnreachableError where a run can't be compared with the others.
    """
    trial = Trial(bundle, adapters, budgets_of(adapters.model, adapters.kind, {}))
    odds = odds_of(bundle)
    is_flaky = bool(branches_of(bundle.trace.sequence)) or (odds is not None and odds.failed < odds.runs)
    alike: dict[str, list[Trace]] = {}  # by how they ended
    for _ in range(_MORE * count if is_flaky else count):
        trace = trial.execute()
        if trace.ending not in {"passed", "failed"}:
            kind = StaleError if trace.ending == "stale" else UnreachableError
            raise kind(f"A run ended as {trace.ending}: {trace.reason}", "Mend that first; nothing can be learned.")
        group = alike.setdefault(_end_of(trace), [])
        group.append(trace)
        if len(group) == count:
            return group
        if len(alike) > 1 and not is_flaky:
            break
    ends = ", and ".join([*alike][:2])
    if is_flaky:
        what, todo = "The bug is flaky, and no two runs", "Propose rules from a bundle that ends in one way each time."
        what = what if count == 2 else f"The bug is flaky, and of its runs, no {count}"  # noqa: PLR2004
        raise StaleError(f"{what} ended alike: {ends}.", todo)
    raise StaleError(
        f"Two runs against the same service ended differently: {ends}.",
        "See that it is reset before each run (--reset-url, --reset-restart, or the adapter's reset).",
    )


def _end_of(trace: Trace) -> str:
    failure = trace.failure
    what = "" if failure is None else f" with {failure.title} ({failure.fingerprint})"
    return f"{trace.ending}{what} after {len(trace.steps)} steps"


def propose(traces: Sequence[Trace], known: Sequence[Rule] = (), *, now: float) -> Proposed:
    """Propose rules for what differs between runs of one sequence, beyond what is known as noise already."""
    first, *others = traces
    groups: dict[tuple[str, str], list[Found]] = {}
    refused: dict[Refused, None] = {}
    names = Names()
    for other in others:
        compared = contrast(first, other, known, now=now, whole=True)
        names = compared.names[0]
        for found in compared.found:
            if found.request is None:
                why = "the model sees it, and judges by it"
                refused[Refused(f"{found.what} {_wide(found.change.place)}", why)] = None
            else:
                key = f"{found.request[0]} {_wide_path(found.request[1], names)}", _wide(found.change.place)
                groups.setdefault(key, []).append(found)
    rules: list[Rule] = []
    for (request, place), group in groups.items():
        made = _of_group(request, place, group, now)
        wrong = (_of_known(made, known) or _why_not(traces, made, now)) if isinstance(made, Rule) else made
        if wrong is not None:
            refused[Refused(f"{request} {place}", wrong)] = None
        elif isinstance(made, Rule):
            rules.append(made)
    shuffled = _shuffled(traces, [*known, *rules], groups, refused, now)
    refused = {each: None for each in refused if not any(_is_in(each.place, rule) for rule in shuffled)}
    return Proposed((*rules, *shuffled), tuple(refused))


def _of_known(rule: Rule, known: Sequence[Rule]) -> str | None:
    """Say why a rule is none to propose: one like it is there, and does not cover the place; None where none is."""
    method, _, path = rule.request.partition(" ")
    place = (rule.place or "").replace("[*]", "[0]")
    there = [each for each in known if each.covers_request(method, path) and each.covers_place(place)]
    if not any(each.replace(request=rule.request, place=rule.place) == rule for each in there):
        return None
    more = ": a whole number fell, which the first run's never did" if rule.type == "number" else ""
    return f"a rule of the type {rule.type} is there already, and does not cover it{more}"


def _why_not(traces: Sequence[Trace], rule: Rule, now: float) -> str | None:
    """Say why a rule may not be, since it covers what the model predicts; None where it may."""
    try:
        for other in traces[1:]:
            contrast(traces[0], other, [rule], now=now, whole=True)
    except NoiseError as error:
        said = error.happened.partition(" covers what the model predicts: ")[2] or error.happened
        return f"the model predicts it: {said.rstrip('.')}"
    return None


def _shuffled(
    traces: Sequence[Trace],
    rules: Sequence[Rule],
    groups: Iterable[tuple[str, str]],
    refused: Iterable[Refused],
    now: float,
) -> list[Rule]:
    """Propose that the order of a list is noise, where that alone explains what differs in it."""
    places = {each.place for each in refused}
    lists: dict[tuple[str, str], dict[str | None, None]] = {}
    for request, place in groups:
        before, item, rest = place.partition("[*]")
        if item and f"{request} {place}" in places:
            keys = lists.setdefault((request, before), {})
            keys |= dict.fromkeys([*(["id", "name", "key"] if rest else []), *re.findall(r"\A\.(\w+)\Z", rest)])
            if not rest:
                keys[None] = None
    made = []
    for (request, place), keys in lists.items():
        for key in keys:
            rule = Rule(request=request, place=place, type="unordered", key=key)
            if _why_not(traces, rule, now) is None and _explains(traces, [*rules, rule], rule, now):
                made.append(rule)
                break
    return made


def _explains(traces: Sequence[Trace], rules: Sequence[Rule], rule: Rule, now: float) -> bool:
    """Say whether nothing differs in a list any more with a rule."""
    return not any(
        found.request is not None and rule.covers_request(*found.request) and _is_below(found.change.place, rule)
        for other in traces[1:]
        for found in contrast(traces[0], other, rules, now=now, whole=True).found
    )


def _is_below(place: str, rule: Rule) -> bool:
    return _wide(place).startswith(f"{rule.place}[*]")


def _is_in(place: str, rule: Rule) -> bool:
    request, _, below = place.rpartition(" ")
    return request == rule.request and _is_below(below, rule)


def _of_group(request: str, place: str, group: Sequence[Found], now: float) -> Rule | str:
    """Return the rule for a place, or why there is none."""
    pairs = [tuple(each.value if isinstance(each, Named) else each for each in found.change[2:]) for found in group]
    if any(NOTHING in pair for pair in pairs):
        return "it is there in one run and not in the other, or a list is longer: that is no noise"
    if any(isinstance(each, Named) for found in group for each in found.change[2:]):
        return "it is an id of something that the sequence made, and another one than before"
    header = place.removeprefix("header ") if place.startswith("header ") else None
    if header is None and not place.startswith("$"):
        return "another status, another kind of answer, or another body that is no JSON is no noise"
    if any(kind_of(was) != kind_of(now_) for was, now_ in pairs):
        return "its type is another one: that is no noise"
    values = [each for pair in pairs for each in pair]
    kind = _type_of(values, now)
    if kind is None:
        return "it has no form that stays, and such a value is named by hand"
    rule = Rule(request=request, place=None if header else place, header=header, **kind)
    wrong = problem(rule)
    return f"no rule can be that: {wrong}" if wrong else rule


def _type_of(values: Sequence[JsonData], now: float) -> dict[str, Any] | None:
    """Find the narrowest type that fits all values; None where there is none."""
    if all(isinstance(each, str) and _UUID.fullmatch(each) for each in values):
        return {"type": "uuid"}
    times = [time_of(each) for each in values]
    moments = [each for each in times if each is not None]
    if len(moments) == len(times) and len({each[0] for each in moments}) == 1:
        if all(abs(each[1] - now) <= _TOLERANCE for each in moments):
            return {"type": "time", "tolerance": _TOLERANCE}
        apart = [abs(one[1] - other[1]) for one, other in zip(moments[::2], moments[1::2], strict=True)]
        return {"type": "time", "to": "recorded", "tolerance": max(1.0, float(round(2 * max(apart))))}
    if all(isinstance(each, int) and not isinstance(each, bool) for each in values):
        return {"type": "number"}
    if all(isinstance(each, str) for each in values):
        pattern = _pattern_of(list(map(str, values)))
        return None if pattern is None else {"type": "pattern", "pattern": pattern}
    return {"type": "number"} if all(kind_of(each) == "number" for each in values) else None


def _pattern_of(texts: Sequence[str]) -> str | None:
    """Write the pattern of texts of one length and of few characters, as those of random ids are."""
    lengths = {len(each) for each in texts}
    if max(lengths) > _LONGEST or (len(lengths) > 1 and min(lengths) < 8):  # noqa: PLR2004
        return None
    if not any(any(map(str.isdigit, each)) for each in texts):
        return None  # words, which mean something
    said = next((each for each in _SETS if all(re.fullmatch(f"[{each}]+", text) for text in texts)), None)
    if said is None:
        return None
    count = f"{min(lengths)}" if len(lengths) == 1 else f"{min(lengths)},{max(lengths)}"
    return f"[{said}]{{{count}}}"


def _wide(place: str) -> str:
    """Return a place for all items of its lists."""
    return re.sub(r"\[\d+\]", "[*]", place)


def _wide_path(path: str, names: Names) -> str:
    """Return a path with * for each part that is an id or a number."""

    def is_id(part: str) -> bool:
        return part.isdigit() or is_telling(part) or names.path(part) != part or "*" in part

    return "/".join("*" if part and is_id(part) else part for part in path.split("/"))


def render(proposed: Proposed) -> str:
    """Write proposals as TOML, and what was refused as comments in it."""
    return "\n\n".join(["\n".join(_table(each)) for each in proposed.rules] + _comments(proposed.refused))


def _table(rule: Rule) -> Iterator[str]:
    yield "[[tool.replaykit.noise]]"
    fields = {name: getattr(rule, name) for name in sorted(rule.model_fields_set, key=list(Rule.model_fields).index)}
    for name, value in fields.items():
        if value is not None:
            yield f"{name} = {_toml(value)}"


def _toml(value: Any) -> str:
    """Write a text or a number as TOML; of texts, what JSON says and TOML does not is escaped."""
    if not isinstance(value, str):
        return f"{value:g}" if isinstance(value, float) else str(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _comments(refused: Sequence[Refused]) -> list[str]:
    lines = [f"# refused: {each.place}: {each.why}".replace("\r", " ").replace("\n", " ") for each in refused]
    return ["\n".join(lines)] if lines else []
