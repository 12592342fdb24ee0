"""JUnit XML of a suite: a case for each bundle, whose names stay the same from one build to the next.

It keeps to the same schema as the report of a campaign, which has no properties in a case: they stand in those of the
suite, and in the output of the case.
"""

import xml.etree.ElementTree as ET
from collections import Counter
from datetime import datetime

from replaykit.docket import Docket, Entry
from replaykit.report.junit import MOST_OF_ONE, Attached, shown
from replaykit.report.roll import meant as meaning
from replaykit.report.steps import count

_TYPES = {"regression": "Regression", "gone": "UnexpectedlyFixed", "unseen": "Unseen"}


def render(docket: Docket, *, attached: Attached = str, host: str = "") -> str:
    """Write a suite as JUnit XML; `attached` says where a bundle is, as the reader of the report finds it."""
    listed = [*docket.entries]
    said = [_case(docket, each, attached) for each in listed]
    counted = Counter(_word(docket, each) for each in listed)
    if docket.left_out or not docket.bundles:
        said.append(_rest(docket))
        counted["error"] += 1
    counts = {"tests": len(said), "failures": counted["failure"], "errors": counted["error"]}
    root = ET.Element(
        "testsuites",
        {"name": "replaykit", "time": f"{docket.seconds:.3f}", **{name: str(each) for name, each in counts.items()}},
    )
    counts["skipped"] = counted["skipped"]
    moment = datetime.fromisoformat(docket.started).replace(tzinfo=None).isoformat(timespec="seconds")
    suite = ET.SubElement(
        root,
        "testsuite",
        {
            "name": f"suite{' offline' if docket.offline else ''}",
            "time": f"{docket.seconds:.3f}",
            "timestamp": moment,
            **{name: str(each) for name, each in counts.items()},
            **({"hostname": shown(host)} if host else {}),
        },
    )
    properties = ET.SubElement(suite, "properties")
    known = {"tool": docket.tool, "offline": str(docket.offline).lower(), "lenient": str(docket.lenient).lower()}
    for entry in listed:
        known |= {f"{entry.bundle}.{name}": each for name, each in _facts(entry).items()}
    for name, each in known.items():
        ET.SubElement(properties, "property", name=shown(name), value=shown(each))
    suite.extend(said)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _word(docket: Docket, entry: Entry) -> str:
    """Say what kind of case a bundle is; an open bug that shows, as expected, is one that is skipped."""
    if entry.outcome in {"not judged", "broken"}:
        return "error"
    if entry.exit_code:
        return "failure"
    is_open = entry.verdict == "reproduced" and not docket.offline
    return "skipped" if is_open else "passed"


def _case(docket: Docket, entry: Entry, attached: Attached) -> ET.Element:
    element = ET.Element(
        "testcase", classname=shown(entry.bundle), name=shown(entry.title), time=f"{entry.seconds:.3f}"
    )
    word = _word(docket, entry)
    meant = meaning(entry)
    first = entry.reason.partition("\n")[0]
    if word == "skipped":
        ticket = f" {entry.ticket}" if entry.ticket else ""
        ET.SubElement(element, "skipped", message=shown(f"{entry.status} bug{ticket} (expected)"))
    elif word in {"failure", "error"}:
        kind = _TYPES.get(entry.outcome, "Broken" if entry.outcome == "broken" else "NotJudged")
        message = shown(f"{meant}: {first}" if meant else first)[:1000]
        ET.SubElement(element, word, message=message, type=kind).text = shown("\n".join(_body(entry)))[:MOST_OF_ONE]
    lines = [f"[[PROPERTY|{name}={value}]]" for name, value in _facts(entry).items()]
    if word in {"failure", "error"}:
        lines.append(f"[[ATTACHMENT|{attached(entry.bundle)}]]")
    said = [shown(each).replace("\n", " ") for each in lines]
    ET.SubElement(element, "system-out").text = "\n".join(["", *said, ""])
    return element


def _body(entry: Entry) -> list[str]:
    """Say why, what happened, and how it is replayed."""
    body = [entry.reason, *entry.notes, "", *entry.steps]
    if entry.log:
        body += ["", "the last lines of the service:", entry.log]
    return [*body, *(["", f"replay it: {entry.replay}"] if entry.replay else [])]


def _rest(docket: Docket) -> ET.Element:
    """Tell what was not come to: who looks only at cases is not to take it for a success."""
    element = ET.Element("testcase", classname="suite", name="every bundle is judged", time="0.000")
    said = f"{count(docket.left_out, 'bundle')} not come to" if docket.bundles else docket.conclusion
    ET.SubElement(element, "error", message=shown(f"{docket.outcome}: {said}"), type="NotJudged").text = said
    return element


def _facts(entry: Entry) -> dict[str, str]:
    facts = {
        "status": entry.status,
        "ticket": entry.ticket,
        "fingerprint": entry.fingerprint,
        "rate": entry.rate,
        "outcome": entry.outcome,
        "verdict": entry.verdict,
        "attempts": str(entry.attempts),
        "failed": str(entry.failed),
        "profile": entry.profile,
    }
    return {name: value for name, value in facts.items() if value is not None}
