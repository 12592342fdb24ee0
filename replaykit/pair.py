"""Pair: two bundles side by side: where they come from, what was called, what came of each call, how they ended.

Calls belong together that have the same label and the same tag. What is told of where bundles come from is no
difference by itself: two recordings of the same things, made on two days, are alike.
"""

from collections.abc import Sequence

from replaykit.bundle import Bundle, Provenance
from replaykit.change import NOTHING, changes, shown
from replaykit.contrast import Drift, contrast
from replaykit.rule import Rule
from replaykit.sequence import Call
from replaykit.trace import Step, Trace
from replaykit.value import JsonData, Record, loads
from replaykit.verdict import Failure, is_same
from replaykit.version import __version__

VERSION = 1

_FACTS = (
    "model", "adapter", "model_digest", "campaign_seed", "run", "seed", "url", "revision", "dirty", "recorded", "tool",
    "python", "httpx", "canonical",
)  # fmt: skip


class Side(Record):
    """What one of two bundles has where the other has something else; null where it has nothing."""

    name: str
    before: str | None
    after: str | None


class CallChange(Record):
    """A call that is in one of two bundles alone, or that was sent with something else."""

    change: str  # added, removed, changed
    label: int
    before: str | None
    after: str | None


class Pair(Record):
    """What two bundles differ in."""

    version: int = VERSION
    tool: str = f"replaykit {__version__}"
    before: str  # path
    after: str
    alike: bool
    provenance: tuple[Side, ...]  # told, and no difference
    calls: tuple[CallChange, ...]
    moved: bool  # are calls that both have in another order?
    steps: tuple[Drift, ...]  # answers, events and observations of the calls that both have
    states: tuple[Drift, ...]  # the projection after them
    ending: tuple[Side, ...]  # how they ended, and with which failure


def paired(before: Bundle, after: Bundle, names: tuple[str, str], rules: Sequence[Rule] = ()) -> Pair:
    """Compare two bundles. Raises NoiseError for a rule that covers what the model predicts."""
    one, other = (_ordered(each.trace) for each in (before, after))
    shared = _shared(one, other)
    calls = _calls(one, other)
    parts = _only(one, shared), _only(other, shared)
    steps = tuple(contrast(*parts, rules, whole=True).drifts)
    states = tuple(_states(*parts))
    ending = tuple(_ending(before.trace, after.trace))
    labels = [[step.call.label for step in each.steps] for each in parts]
    moved = labels[0] != labels[1]
    return Pair(
        before=names[0],
        after=names[1],
        alike=not (calls or steps or states or ending or moved),
        provenance=tuple(_provenance(before, after)),
        calls=tuple(calls),
        moved=moved,
        steps=steps,
        states=states,
        ending=ending,
    )


def _ordered(trace: Trace) -> Trace:
    """Return a trace with the steps of branches in the order of the branches, as no part of one."""
    steps = sorted(trace.steps, key=lambda step: step.call.branch)
    return trace.replace(steps=tuple(steps))


def _shared(one: Trace, other: Trace) -> set[int]:
    tags = {step.call.label: step.call.tag for step in one.steps}
    return {step.call.label for step in other.steps if tags.get(step.call.label) == step.call.tag}


def _only(trace: Trace, labels: set[int]) -> Trace:
    return trace.replace(steps=tuple(step for step in trace.steps if step.call.label in labels))


def _calls(one: Trace, other: Trace) -> list[CallChange]:
    before, after = ({step.call.label: step.call for step in each.steps} for each in (one, other))
    found = []
    for label in sorted(before.keys() | after.keys()):
        was, now = before.get(label), after.get(label)
        if was is None or now is None or was.tag != now.tag:
            found += [CallChange(change="removed", label=label, before=_said(was), after=None)] if was else []
            found += [CallChange(change="added", label=label, before=None, after=_said(now))] if now else []
        elif _is_other(was, now):
            found.append(CallChange(change="changed", label=label, before=_said(was), after=_said(now)))
    return found


def _is_other(was: Call, now: Call) -> bool:
    one, other = ((each.version, each.repeats, each.twice, each.branch) for each in (was, now))
    return one != other or next(changes(was.args, now.args), None) is not None


def _said(call: Call) -> str:
    arguments = ", ".join(f"{name}={shown(each)}" for name, each in call.args.items())
    more = [f"again, as [{call.repeats}]"] if call.repeats is not None else []
    more += ["twice at the same time"] if call.twice else []
    more += [f"in branch {call.branch}"] if call.branch else []
    return " ".join([f"{call.tag}({arguments})", *more])


def _states(one: Trace, other: Trace) -> list[Drift]:
    later = {step.call.label: step for step in other.steps}
    found = []
    for step in one.steps:
        pair = [_state(each) for each in (step, later[step.call.label])]
        for change in changes(*pair):
            sides = (None if each is NOTHING else shown(each) for each in change[2:])
            before, after = sides
            found.append(
                Drift(
                    step=step.call.label,
                    what="state",
                    place=change.place,
                    tier=change.tier,
                    before=before,
                    after=after,
                )
            )
    return found


def _state(step: Step) -> JsonData:
    return None if step.state is None else loads(step.state)


def _ending(one: Trace, other: Trace) -> list[Side]:
    found = []
    ends = [_unminted(each, f"{each.ending}{f': {each.reason}' if each.reason else ''}") for each in (one, other)]
    if ends[0] != ends[1]:
        found.append(Side(name="ending", before=ends[0], after=ends[1]))
    said = [None if each.failure is None else _unminted(each, _failure(each.failure)) for each in (one, other)]
    if said[0] != said[1]:
        same = one.failure is not None and other.failure is not None and is_same(one.failure, other.failure)
        name = "failure, the same fingerprint" if same else "failure"
        found.append(Side(name=name, before=said[0], after=said[1]))
    return found


def _unminted(trace: Trace, text: str) -> str:
    """Return a text without what minting made unique to a run."""
    return text.replace(trace.nonce, "NONCE") if trace.nonce else text


def _failure(failure: Failure) -> str:
    where = "at the end" if failure.step is None else f"at step {failure.step}"
    return f"{failure.title} {where} ({failure.fingerprint}): {failure.message}"


def _provenance(one: Bundle, other: Bundle) -> list[Side]:
    found = []
    for name in _FACTS:
        pair = [getattr(each.origin, name, None) for each in (one, other)]
        if pair[0] != pair[1]:
            before, after = (None if each is None else str(each) for each in pair)
            found.append(Side(name=name, before=before, after=after))
    whole = ["whole" if each.whole else "truncated" for each in (one, other)]
    if whole[0] != whole[1]:
        found.append(Side(name="file", before=whole[0], after=whole[1]))
    kinds = ["a run" if isinstance(each.origin, Provenance) else "a recording" for each in (one, other)]
    return [Side(name="kind", before=kinds[0], after=kinds[1]), *found] if kinds[0] != kinds[1] else found
