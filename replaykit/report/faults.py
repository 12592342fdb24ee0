"""Faults in words: what was done on purpose to a run, which steps were sent meanwhile, and what it cost.

All that stands in a bundle may be anything: a fault whose arguments are none of ours is shown with what they are.
"""

from collections.abc import Callable, Iterable, Mapping

from replaykit.difference import brief
from replaykit.interaction import LOSING, Interaction
from replaykit.sequence import Call
from replaykit.trace import Said, Step, Trace
from replaykit.value import JsonData, loads

SIGN, ASCII_SIGN = "⚡", "!"  # stand where it is said of a step that all was well
PREFIX = "fault_"  # of the tags of faults
PROCESS = frozenset({"fault_kill", "fault_pause", "fault_restart"})  # faults of a service that was started here

_LOST = {True: "the answer was lost", False: "it was not sent"}
_LOOKED = "; nothing was done, as far as was seen"
_TAMPERED = {
    "status": "answered by a fault",
    "truncated": "cut short by a fault",
    "corrupted": "changed by a fault",
    "duplicated": "sent twice by a fault",
}
_WORDS: dict[str, Callable[[JsonData], str]] = {  # of an argument; those of one that says nothing are empty
    "milliseconds": lambda value: f"{value} ms",
    "jitter": lambda value: f"give or take {value} ms" if value else "",
    "kilobytes": lambda value: f"{value} KB/s",
    "size": lambda value: f"{value} bytes",
    "average": lambda value: f"pieces of {value} bytes",
    "variation": lambda value: f"give or take {value} bytes" if value else "",
    "delay": lambda value: f"{value} us between them",
    "status": lambda value: f"status {value}",
    "reached": lambda value: "the service is asked" if value else "the service is not asked",
    "keep": lambda value: f"{_percent(value)} of the body is kept",
}


def is_fault(step: Step) -> bool:
    """Say whether a step began a fault: one of ours, or of a kind that a model has made of it."""
    event = step.event
    return event is not None and event.tag == "injected" and _fields(event).get("fault") == step.call.tag


def name(call: Call) -> str:
    """Return the short name of a fault: `slow close`."""
    return short(call.tag)


def short(tag: str) -> str:
    """Return the short name of a kind of fault, by its tag."""
    return tag.removeprefix(PREFIX).replace("_", " ")


def told(call: Call) -> str:
    """Say what a fault does: `timeout for 1 step: downstream, all connections, 10 ms`."""
    args = dict(call.args)
    steps = args.pop("steps", None)
    lasts = "" if steps is None else f" for {brief(steps, 20)} step{'' if steps == 1 else 's'}"
    parts = [brief(args.pop("stream"), 20).strip("'\"")] if "stream" in args else []
    if "share" in args:
        things = "connections" if parts else "requests"
        share = args.pop("share")
        parts.append(f"all {things}" if share == 1 else f"{_percent(share)} of the {things}")
    for key, value in args.items():
        is_plain = key in _WORDS and isinstance(value, int | float)
        parts.append(_WORDS[key](value) if is_plain else f"{key}={brief(value, 60)}")
    said = ", ".join(filter(None, parts))
    return f"{name(call)}{lasts}{f': {said}' if said else ''}"


def names_in(trace: Trace) -> dict[int, str]:
    """List the faults of a run: their names, by the labels of the steps that began them."""
    return {step.call.label: name(step.call) for step in trace.steps if is_fault(step)}


def needs_start(trace: Trace) -> bool:
    """Say whether a run can only be repeated with a service that is started for it."""
    return any(step.call.tag in PROCESS for step in trace.steps)


def under(step: Step, names: Mapping[int, str]) -> str:
    """Say which faults were on while a step was sent: `under [35] timeout`; nothing where none was."""
    said = [f"[{label}] {names[label]}" if label in names else f"[{label}]" for label in step.faults]
    return f"under {', '.join(said)}" if said else ""


def ends(steps: Iterable[tuple[int, Iterable[int]]]) -> dict[int, list[int]]:
    """List which faults are over after a step; given are the steps as they are listed, with the faults that were on.

    All are labels of steps.
    """
    last = {fault: label for label, on in steps for fault in on}
    found: dict[int, list[int]] = {}
    for fault, label in last.items():
        found.setdefault(label, []).append(fault)
    return found


def over(label: int, name: str | None) -> str:
    """Say that a fault is over: `[35] timeout is over`."""
    return f"[{label}]{f' {name}' if name else ''} is over"


def lost(said: Said, *, looked: bool = False) -> str | None:
    """Say what became of a command whose answer was lost; None of an event that tells of something else.

    That nothing was done is only known where somebody has `looked`.
    """
    if said.tag != "lost":
        return None
    data = _fields(said)
    if set(data) != {"command", "sent"} or not isinstance(data["sent"], bool):
        return None
    return _LOST[data["sent"]] + (_LOOKED if looked and data["sent"] else "")


def has_looked(step: Step) -> bool:
    """Say whether somebody asked what became of a command after its answer was lost, and was answered."""
    is_lost = [each.response is None or bool(each.trouble) or each.tampered in LOSING for each in step.interactions]
    return True in is_lost and not is_lost[-1]


def tampered(interaction: Interaction) -> str:
    """Say what a fault did to a request or its answer in the client; nothing where none did."""
    return tampering(interaction.tampered)


def tampering(kind: str) -> str:
    """Say what a kind of tampering is; nothing where it is none."""
    return _TAMPERED.get(kind, f"tampered with: {kind}") if kind else ""


def _fields(said: Said) -> dict[str, JsonData]:
    data = loads(said.data)
    return data if isinstance(data, dict) else {}


def _percent(share: JsonData) -> str:
    return f"{share * 100:.3g} %" if isinstance(share, int | float) and 0 <= share <= 1 else brief(share, 20)
