"""A bundle as plain text that stays the same while the bundle does: for git, which compares one with the next.

Times are left out; bodies are whole, and JSON in them is laid out line by line, so that a difference is one line.
"""

import base64
import json
from collections.abc import Iterable, Mapping

from replaykit.bundle import Bundle, Origin, Provenance
from replaykit.coding import unpacked
from replaykit.interaction import Headers, Interaction
from replaykit.report import faults
from replaykit.report.steps import call_text, fault_text, one_line, said_text, under_text
from replaykit.trace import Said, Step
from replaykit.value import JsonData, loads

_FACTS = ("tool", "url", "revision", "dirty", "culprit", "python", "httpx", "model", "adapter", "model_digest",
          "campaign_seed", "run", "seed", "commands")  # fmt: skip


def render(bundle: Bundle) -> str:
    """Show a bundle, all of it but the times."""
    trace, failure = bundle.trace, bundle.trace.failure
    lines = [f"ending: {trace.ending}{f' ({one_line(trace.reason)})' if trace.reason else ''}"]
    if not bundle.whole:
        lines.append("the file has no end")
    if failure is not None:
        lines.append(f"failure: {one_line(failure.title)} ({failure.fingerprint}) at step {failure.step}")
        lines += [f"  {line}" for line in failure.message.splitlines()]
        for word in ("expected", "actual"):
            value = getattr(failure, word)
            if value is not None:
                lines += [f"  {word}:", *laid_out(value, 4)]
    lines += _origin(bundle.origin)
    if trace.nonce:
        lines.append(f"nonce: {one_line(trace.nonce)}")
    for each in trace.resetting:
        lines += ["", "reset", *exchange(each)]
    names = faults.names_in(trace)
    for step in trace.steps:
        lines += _step(step, names)
    for each in trace.closing:
        lines += ["", "at the end", *exchange(each)]
    lines += _said("observed", trace.closing_observations)
    for each in trace.recorded:
        lines += ["", "recorded", *exchange(each)]
    return "\n".join(lines)


def _origin(origin: Origin) -> list[str]:
    lines = []
    for fact in _FACTS:
        value = getattr(origin, fact, None)
        if value is not None:
            lines.append(f"{fact}: {one_line(str(value))}")
    shrinking = origin.shrinking if isinstance(origin, Provenance) else None
    if shrinking is not None:
        lines.append(f"shrinking: from {shrinking.calls_before} commands, confirmed: {shrinking.confirmed}")
    return lines


def _step(step: Step, names: Mapping[int, str]) -> list[str]:
    call = step.call
    branch = f" in branch {call.branch}" if call.branch else ""
    under = under_text(step, names)
    is_fault = faults.is_fault(step)
    head = f"fault {fault_text(call)}" if is_fault else f"{call_text(call)}{branch}{under and ' '}{under}"
    lines = ["", f"[{call.label}] {head}", *laid_out(call.args, 4)]
    for each in step.interactions:
        lines += exchange(each)
    said = [each for each in (step.event, step.again) if each is not None and not is_fault]
    lines += [f"  event {said_text(each, step)}" for each in said]
    for each in step.observing:
        lines += exchange(each)
    lines += _said("observed", step.observations)
    if step.state is not None:
        lines += ["  state:", *laid_out(loads(step.state), 4)]
    return lines


def _said(word: str, said: Iterable[Said]) -> list[str]:
    return [f"  {word} {said_text(each)}" for each in said]


def exchange(interaction: Interaction) -> list[str]:
    """Show a request and its answer, whole."""
    request, response, trouble = interaction.request, interaction.response, interaction.trouble
    sent = _body(unpacked(request.headers, request.body))
    lines = [one_line(f"  > {request.method} {request.url}"), *_headers(request.headers), *sent]
    if response is not None:
        lines.append(one_line(f"  < {response.version} {response.status} {response.reason}".rstrip()))
        lines += [*_headers(response.headers), *_body(unpacked(response.headers, response.body))]
        if response.cut is not None:
            lines.append(f"    the first of {response.cut.size} bytes, SHA-256 {response.cut.sha256}")
        elif not response.complete:
            lines.append("    (cut short)")
    if trouble is not None:
        lines.append(one_line(f"  ! {trouble.error}: {trouble.message}"))
    if interaction.tampered:
        lines.append(one_line(f"  ! {faults.tampered(interaction)}"))
    return lines


def _headers(headers: Headers) -> list[str]:
    return [one_line(f"    {name}: {value}") for name, value in headers]


def _body(body: bytes) -> list[str]:
    if not body:
        return []
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        coded = base64.b64encode(body).decode("ascii")
        return [f"    {len(body)} bytes:", *(f"    {coded[at : at + 76]}" for at in range(0, len(coded), 76))]
    try:
        return laid_out(json.loads(text), 4)
    except (ValueError, RecursionError):
        return [f"    {line}" for line in text.splitlines()]


def laid_out(value: JsonData, indent: int) -> list[str]:
    """Write JSON line by line; it stands in a file from a stranger, and may be nested deep."""
    try:
        text = json.dumps(value, indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = repr(value)
    return [f"{' ' * indent}{line}" for line in text.splitlines()]
