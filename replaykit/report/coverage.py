"""What a campaign exercised: a few lines for people, a JSON document for machines."""

from replaykit.coverage import KINDS, Coverage
from replaykit.document import json_text
from replaykit.report.faults import short
from replaykit.report.steps import count
from replaykit.result import Result
from replaykit.value import JsonData

LABELS = 20  # lines of labels that are shown
CROSSINGS = 10  # the same, of faults at endpoints that were seen to fail
UNTRIED = 5  # faults at endpoints that were not tried; where there are more, none is named
FORMAT = 1  # of the document


def render(coverage: Coverage) -> str:
    """Show how much was exercised, and in how many runs each label was seen; nothing where nothing ran."""
    if not coverage.runs:
        return ""
    parts = [f"{coverage.covered(kind)} of {coverage.total(kind)} {kind}" for kind in KINDS]
    more = " or more" if coverage.endpoints_left_out else ""
    parts.append(f"{len(coverage.endpoints)}{more} endpoints x status")
    lines = [f"coverage: {', '.join(parts)}", *_crossings(coverage)]
    labels = coverage.labels.most_common()
    if labels:
        lines.append("labels, and the runs in which they were seen:")
    width = len(str(coverage.runs))
    for label, runs in labels[:LABELS]:
        lines.append(f"  {runs:>{width}} runs {_percent(runs, coverage.runs):>5g} %  {' '.join(label.split())}")
    if len(labels) > LABELS:
        lines.append(f"  and {len(labels) - LABELS} more")
    if coverage.labels_left_out:
        lines.append(f"  {count(coverage.labels_left_out, 'run')} had more labels than are kept")
    return "\n".join(lines)


def crossed(coverage: Coverage) -> str:
    """Say at how many of all endpoints the faults were tried; nothing where there is none."""
    if not coverage.faults:
        return ""
    found = coverage.crossed()
    total = len(coverage.faults) * len(coverage.crossed_endpoints)
    more = " or more" if coverage.crossings_left_out else ""
    counted = {"cost answers": sum(each.lost > 0 for each in found), "fail": sum(each.failed > 0 for each in found)}
    seen = ", ".join(f"{number} seen to {what}" for what, number in counted.items())
    return f"faults x endpoints: {len(found)} of {total}{more} tried, {seen}"


def _crossings(coverage: Coverage) -> list[str]:
    said = crossed(coverage)
    failed = sorted((each for each in coverage.crossed() if each.failed), key=lambda each: -each.failed)
    lines = [
        f"  seen to fail in {count(each.failed, 'run')}: {short(each.fault)} x {each.method} {each.path}"
        for each in failed[:CROSSINGS]
    ]
    more = [f"  and {len(failed) - CROSSINGS} more"] * (len(failed) > CROSSINGS)
    return [*([said] if said else []), *lines, *more, *_untried(coverage)]


def _untried(coverage: Coverage) -> list[str]:
    """Name the faults at endpoints that were not tried, where they are few."""
    found = {(each.fault, each.method, each.path) for each in coverage.crossed()}
    missing = [
        f"{short(fault)} x {method} {path}"
        for fault in coverage.faults
        for method, path in coverage.crossed_endpoints
        if (fault, method, path) not in found
    ]
    return [f"  not tried: {', '.join(missing)}"] if 0 < len(missing) <= UNTRIED else []


def document(result: Result, *, indent: int | None = 2) -> str:
    """Write all counts as JSON, in ASCII; without an indent, in one line."""
    coverage = result.coverage
    data: JsonData = {
        "format": FORMAT,
        "model": result.model.__name__,
        "seed": result.seed,
        "runs": coverage.runs,
        "interrupted": result.interrupted is not None,
        "summary": {
            kind: {
                "covered": coverage.covered(kind),
                "total": coverage.total(kind),
                "percent": _percent(coverage.covered(kind), coverage.total(kind)),
                "required": result.required.get(kind),
            }
            for kind in KINDS
        },
        "commands": [
            {"command": tag, "steps": coverage.commands[tag]}
            for tag in dict.fromkeys((*coverage.known_commands, *coverage.commands))
        ],
        "checks": [
            {"role": role, "name": name, "judged": coverage.checks[role, name]}
            for role, name in dict.fromkeys((*coverage.known_checks, *coverage.checks))
        ],
        "outcomes": [
            {
                "command": command,
                "event": event,
                "steps": coverage.outcomes[command, event],
                "admitted": coverage.admits(command, event),
            }
            for command, event in dict.fromkeys((*coverage.admitted, *coverage.outcomes))
        ],
        "transitions": [
            {"command": command, "then": then, "steps": coverage.transitions[command, then]}
            for command in coverage.known_commands
            for then in coverage.known_commands
        ],
        "endpoints": [
            {"method": method, "path": path, "status": int(status) if status.isdecimal() else status, "requests": seen}
            for (method, path, status), seen in sorted(coverage.endpoints.items())
        ],
        "endpoints_left_out": coverage.endpoints_left_out,
        "labels": [
            {"label": label, "runs": runs, "percent": _percent(runs, coverage.runs)}
            for label, runs in coverage.labels.most_common()
        ],
        "labels_left_out": coverage.labels_left_out,
        "faults": {
            "kinds": coverage.faults,
            "endpoints": [{"method": method, "path": path} for method, path in coverage.crossed_endpoints],
            "tried": len(coverage.crossed()),
            "total": len(coverage.faults) * len(coverage.crossed_endpoints),
            "crossings": [each.model_dump() for each in coverage.crossed()],
            "left_out": coverage.crossings_left_out,
        },
        "unrecovered": [{"command": tag, "runs": runs} for tag, runs in sorted(coverage.unrecovered.items())],
    }
    return json_text(data, indent=indent) + ("\n" if indent else "")


def _percent(part: int, whole: int) -> float:
    """Return a percentage with one digit behind the point, rounded down: only all is 100."""
    return 1000 * part // whole / 10 if whole else 100.0
