"""The gate: whether a service answers as it was recorded to, asked of a replay on top of its verdict."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from replaykit import project
from replaykit.change import TIERS, Tier
from replaykit.contrast import Contrast, Drift, Found, contrast
from replaykit.errors import UsageError
from replaykit.rule import Rule, rules_of
from replaykit.trace import Trace

DEFAULT: tuple[Tier, ...] = ("changed", "removed", "type")  # an answer may say more than it did

MOST_TOLD = 20  # places

Cover: TypeAlias = Callable[[str], str]  # covers the secrets of a text


def tiers_of(said: str | Collection[str]) -> tuple[Tier, ...]:
    """Read tiers; in a text, with commas between them. Raises UsageError."""
    named = [each.strip() for each in said.split(",")] if isinstance(said, str) else list(said)
    unknown = [each for each in named if each not in TIERS]
    if unknown:
        raise UsageError(f"{unknown[0]!r} is no tier of drift.", f"The tiers: {', '.join(TIERS)}.")
    return tuple(tier for tier in TIERS if tier in named)


def rules_here() -> tuple[Rule, ...]:
    """Return the noise rules of the project, `[[tool.replaykit.noise]]`. Raises NoiseError, ProfileError."""
    return rules_of(project.settings_here("noise"), str(project.root() / "pyproject.toml"))


def drift_of(recorded: Trace, seen: Trace, rules: Sequence[Rule] | None = None) -> Contrast:
    """Hold a run that was just made against the recorded one, with the project's rules. Raises NoiseError."""
    return contrast(recorded, seen, rules_here() if rules is None else rules, now=time.time())


class Seen(NamedTuple):
    """A place in which attempts differ from the recorded run, as the first of them does."""

    found: Found
    attempts: int  # with a difference there

    def told(self, cover: Cover = str) -> Drift:
        """Return what is told of it, with its secrets covered."""
        return self.found.told(cover)


@dataclass(frozen=True, slots=True)
class Held:
    """What came of holding each attempt of a replay against the recorded run."""

    recorded: Trace
    traces: tuple[Trace, ...]
    contrasts: tuple[Contrast, ...]
    rules: tuple[Rule, ...]
    tiers: tuple[Tier, ...]  # that count

    @property
    def compared(self) -> int:
        """How many steps were compared, in each attempt."""
        return min((each.steps for each in self.contrasts), default=0)

    @property
    def seen(self) -> list[Seen]:
        """The places that differ in one of the tiers, each once."""
        places: dict[tuple[object, ...], list[Found]] = {}
        for each in self.contrasts:
            there = {(one.step, one.what, one.change.place, one.change.tier): one for one in reversed(each.found)}
            for place, found in reversed(there.items()):
                if found.change.tier in self.tiers:
                    places.setdefault(place, []).append(found)
        return [Seen(found[0], len(found)) for found in places.values()]

    @property
    def note(self) -> str | None:
        """What is to be said where not all steps were compared."""
        steps = len(self.recorded.steps)
        return None if self.compared == steps else f"drift was looked for in {self.compared} of {steps} steps: {_WHERE}"

    def told(self, cover: Cover = str) -> list[str]:
        """List the places in lines, those that not every attempt has with how many do."""
        seen = self.seen
        lines = told([each.told(cover) for each in seen[:MOST_TOLD]])
        for number, each in enumerate(seen[:MOST_TOLD]):
            if each.attempts < len(self.contrasts):
                lines[number] += f"  (in {each.attempts} of {len(self.contrasts)} attempts)"
        more = len(seen) - len(lines)
        return [*lines, f"and {more} more"] if more else lines

    def ruled(self) -> Contrast:
        """Return what the rules came to in all attempts."""
        sums = Contrast(matched=self.contrasts[0].matched)
        for each in self.contrasts:
            sums.differed += each.differed
            sums.covered += each.covered
        return sums


_WHERE = "it ends at the step that failed when it was recorded, and before calls at the same time"


def held(recorded: Trace, traces: Sequence[Trace], tiers: Collection[Tier]) -> Held:
    """Hold attempts against the recorded run, with the project's rules. Raises NoiseError."""
    rules = rules_here()
    contrasts = tuple(drift_of(recorded, each, rules) for each in traces)
    return Held(recorded, tuple(traces), contrasts, rules, tuple(tier for tier in TIERS if tier in tiers))


def reason(drifts: Sequence[Drift]) -> str:
    """Say in how many places answers differ, by tier."""
    counts = Counter(each.tier for each in drifts)
    listed = ", ".join(f"{counts[tier]} {tier}" for tier in TIERS if counts[tier])
    places = "1 place" if len(drifts) == 1 else f"{len(drifts)} places"
    return f"answers differ from the recorded ones in {places} ({listed})"


def told(drifts: Sequence[Drift], most: int | None = MOST_TOLD) -> list[str]:
    """List differences in lines, those of each step below one another; at `most` so many."""
    lines = [line_of(each) for each in drifts[:most]]
    more = len(drifts) - len(lines)
    return [*lines, f"and {more} more"] if more else lines


def line_of(drift: Drift) -> str:
    """Say one difference in a line."""
    where = f"[{drift.step:>2}]" if drift.step is not None else "    "
    sides = f"{drift.before or 'nothing'} -> {drift.after or 'nothing'}"
    return f"{where} {drift.tier:<7}  {drift.what}  {drift.place}: {sides}".replace("\r", "\\r").replace("\n", "\\n")


def idle(found: Contrast, rules: Sequence[Rule]) -> list[str]:
    """Name the rules that matched nothing, and say of the others how many values they matched, and did not cover."""
    return [f"noise rule {number + 1} ({rule}): {_count(found, number)}" for number, rule in enumerate(rules)]


def _count(found: Contrast, number: int) -> str:
    matched, differed, covered = found.matched[number], found.differed[number], found.covered[number]
    if not matched:
        return "matched nothing in this bundle; a place is written as $.rows[*].created"
    said = f"matched {matched} value{'' if matched == 1 else 's'}"
    return said if covered == differed else f"{said}, and covers {covered or 'none'} of the {differed} that differ"
