"""CTRF: the Common Test Report Format, JSON for readers of tests of any kind (https://ctrf.io)."""

from collections import Counter
from datetime import datetime

from replaykit.account import Account
from replaykit.document import json_text
from replaykit.report.case import Case, cases
from replaykit.value import JsonData
from replaykit.version import __version__
from replaykit.visible import visible

VERSION = "0.0.0"  # of the specification
_STATUS = {"passed": "passed", "failed": "failed", "skipped": "skipped", "error": "other"}


def render(account: Account) -> str:
    """Write a campaign as CTRF JSON, in ASCII."""
    listed = cases(account)
    counted = Counter(_STATUS[each.status] for each in listed)
    start, stop = (int(datetime.fromisoformat(each).timestamp() * 1000) for each in (account.started, account.ended))
    if not account.resumed_after:
        stop = start + round(account.duration * 1000)
    data: JsonData = {
        "reportFormat": "CTRF",
        "specVersion": VERSION,
        "timestamp": account.ended,
        "generatedBy": account.tool,
        "results": {
            "tool": {"name": "replaykit", "version": __version__},
            "summary": {
                "tests": len(listed),
                **{status: counted[status] for status in ("passed", "failed", "skipped", "pending", "other")},
                "start": start,
                "stop": stop,
            },
            "tests": [_test(account, each) for each in listed],
            "environment": {
                "extra": {"model": account.model, "adapter": account.adapter, "campaign_seed": account.seed}
            },
            "extra": {"runs": account.total_runs, "requests": account.requests, "verdict": account.verdict},
        },
    }
    return json_text(data) + "\n"


def _test(account: Account, case: Case) -> JsonData:
    data: JsonData = {
        "name": visible(case.name),
        "status": _STATUS[case.status],
        "duration": round(case.seconds * 1000),
        "suite": [visible(account.model), case.suite],
        "rawStatus": case.status,
        "type": "integration",
    }
    if case.message:
        data["message"] = visible(case.message)
    if case.status in {"failed", "error"}:
        data["trace"] = visible(case.body)
    bug = case.bug
    if bug is not None:
        data["extra"] = {
            "fingerprint": bug.fingerprint,
            "seed": bug.seed,
            "first_seen_run": bug.first_seen_run,
            "occurrences": bug.occurrences,
            "replay": bug.replay,
        }
        data["steps"] = [
            {"name": visible(step.call), "status": "failed" if step.fails else "passed"} for step in bug.steps
        ]
        if bug.bundle is not None:
            data["attachments"] = [{"name": "bundle", "contentType": "application/yaml", "path": bug.bundle}]
    return data
