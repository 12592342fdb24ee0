"""The gate: whether a service answers as it was recorded to, asked of a replay on top of its verdict."""

import time
from collections import Counter
from collections.abc import Collection, Sequence

from replaykit import project
from replaykit.change import TIERS, Tier
from replaykit.contrast import Contrast, Drift, contrast
from replaykit.errors import UsageError
from replaykit.rule import Rule, rules_of
from replaykit.trace import Trace

DEFAULT: tuple[Tier, ...] = ("changed", "removed", "type")  # an answer may say more than it did

MOST_TOLD = 20  # places


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


def reason(drifts: Sequence[Drift]) -> str:
    """Say in how many places answers differ, by tier."""
    counts = Counter(each.tier for each in drifts)
    listed = ", ".join(f"{counts[tier]} {tier}" for tier in TIERS if counts[tier])
    places = "1 place" if len(drifts) == 1 else f"{len(drifts)} places"
    return f"answers differ from the recorded ones in {places} ({listed})"


def gated(recorded: Trace, seen: Trace, tiers: Collection[Tier]) -> str | None:
    """Say why a replay does not pass that was to have no drift of some tiers; None where it does. Raises NoiseError."""
    drifts = drift_of(recorded, seen).of(tiers) if tiers else []
    return reason(drifts) if drifts else None


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
    """Name the rules that matched nothing, and say of the others how many values they matched."""
    return [f"noise rule {number + 1} ({rule}): {_count(found.matched[number])}" for number, rule in enumerate(rules)]


def _count(matched: int) -> str:
    if not matched:
        return "matched nothing in this bundle; a place is written as $.rows[*].created"
    return f"matched {matched} value{'' if matched == 1 else 's'}"
