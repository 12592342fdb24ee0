"""Contrast: what a service answered in one run of a sequence, held against what it answered in another, per step.

What is compared: of each answer the status, the headers that say what it means, and the body, JSON as JSON; of each
step what the model saw, the events and the observations. It is compared in the space of refs (module naming): a new
id in the place of a recorded one is no difference, and one thing's id in the place of another's is.

Nothing is compared where it says nothing: in branches, whose answers depend on who was first, and after them; and at
the step that failed when it was recorded, since a service that is repaired has to answer otherwise there.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from replaykit.change import NOTHING, Change, Tier, below, changes, leaves, lists, shown, tier_of
from replaykit.coding import unpacked
from replaykit.errors import NoiseError
from replaykit.gist import is_whole_of, json_of
from replaykit.interaction import Interaction, Response
from replaykit.likeness import HEADERS, covers, header_values
from replaykit.naming import Around, Named, Names, joined, names_of, words_of
from replaykit.placeholder import Bound
from replaykit.prediction import Evidence
from replaykit.rule import Rule, for_request, in_order
from replaykit.sequence import Call
from replaykit.trace import Said, Step, Trace
from replaykit.value import JsonData, Record, loads

_END = -1  # what stands for a step where there is none


class Drift(Record):
    """One place where two runs differ. A side that is not there is None."""

    step: int | None  # label; None in the reset and at the end
    what: str  # `POST /players`, `event player_created`
    place: str  # `$.rows[0].id`, `status`, `header location`, `body`
    tier: Tier
    before: str | None
    after: str | None


class Found(NamedTuple):
    """A drift with its values."""

    step: int | None
    what: str
    change: Change
    request: tuple[str, str] | None = None  # method and path, where it is in an answer

    def told(self, cover: Callable[[str], str] = str) -> Drift:
        """Return what is told of it, with its secrets covered."""
        change = self.change
        before, after = (None if each is NOTHING else shown(each, cover) for each in (change.before, change.after))
        return Drift(
            step=self.step,
            what=cover(self.what),
            place=cover(change.place),
            tier=change.tier,
            before=before,
            after=after,
        )


@dataclass(slots=True)
class Contrast:
    """What two runs differ in."""

    found: list[Found] = field(default_factory=list)
    steps: int = 0  # that were compared
    matched: Counter[int] = field(default_factory=Counter)  # recorded values by number of the rule, from 0
    differed: Counter[int] = field(default_factory=Counter)  # those of them that were other ones, in the same way
    covered: Counter[int] = field(default_factory=Counter)  # those of these that the rule covers
    names: tuple[Names, Names] = field(default_factory=lambda: (Names(), Names()))

    @property
    def drifts(self) -> list[Drift]:
        """What is told of the differences."""
        return [each.told() for each in self.found]

    def of(self, tiers: Iterable[Tier]) -> list[Drift]:
        """List the differences of some tiers."""
        return [each.told() for each in self.found if each.change.tier in set(tiers)]


def contrast(
    recorded: Trace, seen: Trace, rules: Sequence[Rule] = (), *, now: float | None = None, whole: bool = False
) -> Contrast:
    """Compare two runs of a sequence, step by step; `now`, in seconds since 1970, is when the later one was made,
    if that is known.

    Unless the `whole` of them is compared, it is up to the step that failed in the recorded one. Raises NoiseError for
    a rule that covers what the model predicts.
    """
    comparing = _Comparing(recorded, seen, rules, now)
    comparing.compare(whole=whole)
    return comparing.result


class _Comparing:
    """A comparison that is under way."""

    def __init__(self, recorded: Trace, seen: Trace, rules: Sequence[Rule], now: float | None) -> None:
        self.recorded, self.seen, self.rules, self.now = recorded, seen, rules, now
        before, after = names_of(recorded, seen)
        self.before, self.after = before, after
        self.are_named_alike = before == after and recorded.nonce == seen.nonce
        self.result = Contrast(names=(before, after))
        self.known = Bound()  # what covered values stand for
        self.latest: dict[int, Any] = {}  # number that was seen, by rule
        self.rising: dict[int, bool] = {}  # did the recorded numbers never fall? By rule

    def compare(self, *, whole: bool) -> None:
        later = {step.call.label: step for step in self.seen.steps}
        failure = None if whole else self.recorded.failure
        self._interactions(None, self.recorded.resetting, self.seen.resetting, None)
        for step in self.recorded.steps:
            if not whole and (step.call.branch or (failure is not None and step.call.label == failure.step)):
                return
            other = later.get(step.call.label)
            if other is not None:
                self._step(step, other)
            elif not whole:
                return
        self._interactions(None, self.recorded.recorded, self.seen.recorded, None)
        if whole or (failure is None and self.recorded.ending == self.seen.ending):
            said = self.recorded.closing_observations
            end = Step(call=Call(label=_END, tag="end"), observations=said)
            self._read(None, self.recorded.closing, self.seen.closing, Evidence(end))
            self._said(None, "observation", said, self.seen.closing_observations)

    def _step(self, before: Step, after: Step) -> None:
        label = before.call.label
        self.result.steps += 1
        evidence = Evidence(before)
        self._interactions(label, before.interactions, after.interactions, evidence)
        self._said(label, "event", *(_present(each.event, each.again) for each in (before, after)))
        self._read(label, before.observing, after.observing, evidence)
        self._said(label, "observation", before.observations, after.observations)

    # --- what the model saw

    def _said(self, step: int | None, word: str, before: Sequence[Said], after: Sequence[Said]) -> None:
        one, other = _latest(before), _latest(after)
        for tag in [*one, *(tag for tag in other if tag not in one)]:
            what = f"{word} {tag}"
            if tag not in other or tag not in one:
                gone = tag not in other
                sides = (one[tag], NOTHING) if gone else (NOTHING, other[tag])
                self._tell(step, what, Change("removed" if gone else "added", "$", *sides))
                continue
            pair = self._named(one[tag], other[tag])
            for change in changes(*pair, self._is_alike):
                self._tell(step, what, change)

    # --- answers

    def _read(
        self,
        label: int | None,
        before: Sequence[Interaction],
        after: Sequence[Interaction],
        evidence: Evidence,
    ) -> None:
        """Compare what was read in order to check it; of several looks at the same, the last."""
        self._interactions(label, _last_looks(before, self.before), _last_looks(after, self.after), evidence)

    def _interactions(
        self,
        label: int | None,
        before: Sequence[Interaction],
        after: Sequence[Interaction],
        evidence: Evidence | None,
    ) -> None:
        for one, other in zip(before, after, strict=False):
            self._interaction(label, one, other, evidence)
        for each in before[len(after) :]:
            self._tell(label, self._target(each, self.before), Change("removed", "request", "sent", NOTHING))
        for each in after[len(before) :]:
            self._tell(label, self._target(each, self.after), Change("added", "request", NOTHING, "sent"))

    def _interaction(self, label: int | None, one: Interaction, other: Interaction, evidence: Evidence | None) -> None:
        paths = [urlsplit(each.request.url).path or "/" for each in (one, other)]
        asked, asks = map(_joined, (one.request.method, other.request.method), self._texts(*paths))
        if asked != asks and not covers(asked, asks, self.known):
            self._tell(label, asked, Change("changed", "request", asked, asks))
            return
        request = one.request.method, paths[0]
        rules = for_request(self.rules, *request)

        def tell(change: Change) -> None:
            self.result.found.append(Found(label, asked, change, request))

        troubles = [each.trouble.error if each.trouble is not None else "an answer" for each in (one, other)]
        if troubles[0] != troubles[1]:
            tell(Change("changed", "answer", *troubles))
        if one.response is None or other.response is None:
            return
        if one.response.status != other.response.status:
            tell(Change("changed", "status", one.response.status, other.response.status))
        for name in HEADERS:
            self._header(name, one, other, rules, tell)
        self._body(one.response, other.response, words_of(paths[0]), rules, evidence, tell)

    def _header(
        self, name: str, one: Interaction, other: Interaction, rules: Sequence[int], tell: Callable[[Change], None]
    ) -> None:
        was, now = (", ".join(header_values(each, name)) for each in (one, other))
        pair = self._texts(was, now)
        chosen = [number for number in rules if (self.rules[number].header or "").lower() == name]
        for number in chosen:
            self.result.matched[number] += bool(was)
        if pair[0] == pair[1] or covers(*pair, self.known):
            return
        if was and now and any(self._covers(number, was, now) for number in chosen):
            return
        tier: Tier = "changed" if was and now else "removed" if was else "added"
        tell(Change(tier, f"header {name}", pair[0] if was else NOTHING, pair[1] if now else NOTHING))

    def _body(
        self,
        one: Response,
        other: Response,
        around: Around,
        rules: Sequence[int],
        evidence: Evidence | None,
        tell: Callable[[Change], None],
    ) -> None:
        placed = [number for number in rules if self.rules[number].place is not None]
        if one.cut is not None or other.cut is not None:
            same = one.cut == other.cut if other.cut else one.cut is not None and is_whole_of(one.cut, other.body)
            if not same:
                tell(Change("changed", "body", "a long one", "another one"))
            return
        if one.body == other.body and self.are_named_alike and not placed:
            return
        if not (one.complete and other.complete):  # left by its reader, sooner or later
            size = min(len(one.body), len(other.body))
            if one.body[:size] == other.body[:size]:
                return
        was, now = (unpacked(each.headers, each.body) for each in (one, other))
        before, after = json_of(one.headers, was, exact=True), json_of(other.headers, now, exact=True)
        if before is None or after is None:
            texts = self._texts(*(each.decode("utf-8", "replace") for each in (was, now)))
            if texts[0] != texts[1] and not covers(*texts, self.known):
                tier: Tier = "changed" if before is after is None else "type"
                tell(Change(tier, "body", *texts))
            return
        for number in placed:
            self._count(number, before, evidence)
        pair = self._ordered(self._named(before, after, around), placed)
        for change in changes(*pair, lambda place, *values: self._is_noise(placed, place, *values)):
            tell(_with_tier(change))

    def _ordered(self, pair: tuple[JsonData, JsonData], rules: Sequence[int]) -> tuple[JsonData, JsonData]:
        """Put the lists into order whose order is noise."""
        for number in rules:
            rule = self.rules[number]
            if rule.type == "unordered":
                pair = _sorted(pair[0], rule), _sorted(pair[1], rule)
        return pair

    def _count(self, number: int, data: JsonData, evidence: Evidence | None) -> None:
        """Count what a rule matches. Raises NoiseError where the model predicts it."""
        rule = self.rules[number]
        places = lists(data) if rule.type == "unordered" else leaves(data)
        for place, value in places:
            if rule.covers_place(place):
                self.result.matched[number] += 1
                why = None if evidence is None else evidence.of(rule, place, value, self.before)
                if why is not None:
                    raise NoiseError(
                        f"The noise rule {rule} covers what the model predicts: {place}, and {why}.",
                        "Take it out, or make its place narrower: what the model judges is no noise.",
                    )

    # --- values

    def _named(self, before: JsonData, after: JsonData, around: Around = ()) -> tuple[JsonData, JsonData]:
        """Return two documents with names in the places of ids, and without what minting makes unique to a run."""
        if self.are_named_alike:
            return before, after
        return (
            _without(self.before.named(before, around=around), self.recorded.nonce),
            _without(self.after.named(after, around=around), self.seen.nonce),
        )

    def _texts(self, before: str, after: str) -> tuple[str, str]:
        """Return two texts with names in the places of ids, the same name where they are alike, and without nonces."""
        was, now = self.before.parts(before), self.after.parts(after)
        if len(was) == len(now):
            now = [one if one == other else other for one, other in zip(was, now, strict=True)]
        return str(_without(joined(was), self.recorded.nonce)), str(_without(joined(now), self.seen.nonce))

    def _target(self, interaction: Interaction, names: Names) -> str:
        path = urlsplit(interaction.request.url).path or "/"
        nonce = self.recorded.nonce if names is self.before else self.seen.nonce
        return _joined(interaction.request.method, str(_without(names.path(path), nonce)))

    def _is_alike(self, place: str, before: JsonData, after: JsonData) -> bool:
        del place
        if isinstance(before, Named) or isinstance(after, Named):
            one, other = (each.value if isinstance(each, Named) else each for each in (before, after))
            both = isinstance(before, Named) and isinstance(after, Named)
            return before == after if both else type(one) is type(other) and one == other
        return not isinstance(before, Decimal) and covers(before, after, self.known)

    def _is_noise(self, rules: Sequence[int], place: str, before: JsonData, after: JsonData) -> bool:
        if self._is_alike(place, before, after):
            return True
        one, other = (each.value if isinstance(each, Named) else each for each in (before, after))
        chosen = [number for number in rules if self.rules[number].covers_place(place)]
        return any(self._covers(number, one, other) for number in chosen)

    def _covers(self, number: int, before: JsonData, after: JsonData) -> bool:
        """Say whether a rule that matches a value covers that it is another one now."""
        rule = self.rules[number]
        covers = rule.fits(before, after, self.now) and (rule.type != "number" or self._grows(number, after))
        self.result.differed[number] += 1
        self.result.covered[number] += covers
        return covers

    def _grows(self, number: int, after: Any) -> bool:
        """Say whether a number did not fall from the last one, or may, since recorded ones did or are no counts."""
        last = self.latest.get(number)
        self.latest[number] = after
        if last is None or after >= last:
            return True
        if number not in self.rising:
            values = self._recorded_by(self.rules[number])
            self.rising[number] = all(isinstance(each, int) for each in values) and values == sorted(values)
        return not self.rising[number]

    def _recorded_by(self, rule: Rule) -> list[Any]:
        """List the recorded numbers that a rule matches."""
        found = []
        for each in self.recorded.interactions():
            response, path = each.response, urlsplit(each.request.url).path
            if response is not None and rule.covers_request(each.request.method, path):
                data = json_of(response.headers, unpacked(response.headers, response.body), exact=True)
                found += [value for place, value in leaves(data) if rule.covers_place(place)]
        return [each for each in found if isinstance(each, int | Decimal) and not isinstance(each, bool)]

    def _tell(self, step: int | None, what: str, change: Change) -> None:
        self.result.found.append(Found(step, what, change))


def _joined(method: str, path: str) -> str:
    return f"{method} {path}"


def _with_tier(change: Change) -> Change:
    """Return a change of an id with the tier of the ids themselves, whatever they are called."""
    if not (isinstance(change.before, Named) or isinstance(change.after, Named)) or NOTHING in change[2:]:
        return change
    return change._replace(tier=tier_of(*(each.value if isinstance(each, Named) else each for each in change[2:])))


def _present(*said: Said | None) -> list[Said]:
    return [each for each in said if each is not None]


def _latest(said: Sequence[Said]) -> dict[str, JsonData]:
    """Return what was said, by tag; of several of one, the last, with its number where it is an answer of two."""
    return {each.tag: loads(each.data) for each in said}


def _last_looks(interactions: Sequence[Interaction], names: Names) -> list[Interaction]:
    looks: dict[tuple[str, str, bytes], Interaction] = {}
    for each in interactions:
        request = each.request
        looks[request.method, names.path(urlsplit(request.url).path), request.body] = each
    return list(looks.values())


def _without(data: JsonData, nonce: str) -> JsonData:
    """Return data without what minting made unique to a run."""
    if not nonce:
        return data
    if isinstance(data, str):
        return data.replace(nonce, "NONCE")
    if isinstance(data, dict):
        return {key.replace(nonce, "NONCE"): _without(each, nonce) for key, each in data.items()}
    return [_without(each, nonce) for each in data] if isinstance(data, list) else data


def _sorted(data: JsonData, rule: Rule, place: str = "$") -> JsonData:
    """Return a document in which the lists that a rule names are in order."""
    if isinstance(data, dict):
        return {key: _sorted(each, rule, f"{place}{below(key)}") for key, each in data.items()}
    if not isinstance(data, list):
        return data
    items = [_sorted(each, rule, f"{place}[{number}]") for number, each in enumerate(data)]
    return in_order(items, rule.key) if rule.covers_place(place) else items
