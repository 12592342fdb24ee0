"""JUnit XML, as Jenkins, GitLab and the usual actions of GitHub read it.

There is no specification; this keeps to what junit-10.xsd of Jenkins' xUnit plugin allows, which is the smallest that
all of them take: no `properties` in a case, so that those of a bug stand in its suite, and in its output.
"""

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from xml.sax.saxutils import escape  # only to measure

from replaykit.account import Account, Bug
from replaykit.report.case import Case, cases
from replaykit.visible import visible

MOST = 12_000_000  # bytes of the bodies of all cases; GitLab reads files of up to 30 MB
MOST_OF_ONE = 100_000  # characters that one case says
MOST_BUGS = 2_000
_ILL = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, section 2.2: Char

Attached = Callable[[str], str]  # a path as the reader wants it


def render(account: Account, *, attached: Attached = str, host: str = "") -> str:
    """Write a campaign as JUnit XML; `attached` says where a bundle is, as the reader of the report finds it."""
    listed = cases(account)
    left_out = max(0, len(account.failures) + len(account.known) - MOST_BUGS)
    listed = listed[: len(listed) - left_out]
    root = ET.Element(
        "testsuites", {"name": "replaykit", "time": f"{account.duration:.3f}", **_counts(listed, skipped=False)}
    )
    room = [MOST]
    for suite in dict.fromkeys(each.suite for each in listed):
        inside = [each for each in listed if each.suite == suite]
        attributes = {
            "name": shown(f"{account.model} {suite}"),
            "time": f"{sum(each.seconds for each in inside):.3f}",
            "timestamp": _began(account),
            **_counts(inside, skipped=True),
            **({"hostname": shown(host)} if host else {}),
        }
        element = ET.SubElement(root, "testsuite", attributes)
        _properties(element, account, inside, left_out if suite == "bugs" else 0)
        for case in inside:
            _case(element, f"{account.model}.{suite}", case, attached, room)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _began(account: Account) -> str:
    """Say when it began; of a hunt that goes on, when it would have without the breaks between its parts."""
    began = datetime.fromisoformat(account.started)
    if account.resumed_after:
        began = datetime.fromisoformat(account.ended) - timedelta(seconds=account.duration)
    return began.replace(tzinfo=None).isoformat(timespec="seconds")


def _counts(inside: list[Case], *, skipped: bool) -> dict[str, str]:
    counted = Counter(each.status for each in inside)
    counts = {"tests": len(inside), "failures": counted["failed"], "errors": counted["error"]}
    if skipped:
        counts["skipped"] = counted["skipped"]
    return {name: str(number) for name, number in counts.items()}


def _properties(suite: ET.Element, account: Account, inside: list[Case], left_out: int) -> None:
    known: dict[str, object] = {
        "tool": account.tool,
        "model": account.model,
        "adapter": account.adapter,
        "campaign_seed": account.seed,
        "runs": account.total_runs,
        "requests": account.requests,
    }
    if left_out:
        known["bugs_left_out"] = left_out
    for case in inside:
        if case.bug is not None:
            known |= {f"{case.bug.fingerprint}.{name}": value for name, value in _facts(case.bug).items()}
    element = ET.SubElement(suite, "properties")
    for name, value in known.items():
        ET.SubElement(element, "property", name=shown(name), value=shown(str(value)))


def _facts(bug: Bug) -> dict[str, object]:
    facts = {
        "seed": bug.seed,
        "fingerprint": bug.fingerprint,
        "first_seen_run": bug.first_seen_run,
        "occurrences": bug.occurrences,
        "commands": len(bug.steps),
        "bundle": bug.bundle,
        "replay": bug.replay,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _case(suite: ET.Element, group: str, case: Case, attached: Attached, room: list[int]) -> None:
    element = ET.SubElement(
        suite, "testcase", classname=shown(group), name=shown(case.name), time=f"{case.seconds:.3f}"
    )
    message, body = shown(case.message)[:1000], shown(case.body)[:MOST_OF_ONE]
    room[0] -= len(escape(body).encode())
    if room[0] < 0:
        body = "(left out: the report is too long)"
    if case.status == "skipped":
        ET.SubElement(element, "skipped", message=message)
    elif case.status in {"failed", "error"}:
        word = "failure" if case.status == "failed" else "error"
        ET.SubElement(element, word, message=message, type=shown(case.type)).text = body
    lines = []
    if case.bug is not None:
        lines += [f"[[PROPERTY|{name}={value}]]" for name, value in _facts(case.bug).items()]
        if case.bug.bundle is not None:
            lines.append(f"[[ATTACHMENT|{attached(case.bug.bundle)}]]")
    elif case.status == "passed" and body:
        lines.append(body)
    if lines:
        said = [shown(each).replace("\n", " ") for each in lines]
        ET.SubElement(element, "system-out").text = "\n".join(["", *said, ""])


def shown(text: str) -> str:
    """Write a text so that XML can have it."""
    return _ILL.sub("\N{REPLACEMENT CHARACTER}", visible(text))
