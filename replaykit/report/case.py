"""Cases: a campaign as a list of test cases, for formats that know nothing else.

The names of cases stay the same from one campaign to the next, so that a reader of many reports sees what became of
each: a case for each thing that was looked at, one for each bug, and two about the campaign as such. No seed and no
run stands in a name.

A bug has the time of the run that it was first seen in, and of shrinking it. What is left of the campaign's duration
is shared among the checks, by how often each judged something. So the times of all cases add up to the duration.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from replaykit.account import Account, Bug
from replaykit.report import outline
from replaykit.report.steps import count

Status: TypeAlias = Literal["passed", "failed", "skipped", "error"]


class Case(NamedTuple):
    """A test case."""

    suite: str
    name: str
    status: Status
    seconds: float = 0.0
    type: str = ""  # of the failure
    message: str = ""
    body: str = ""
    bug: Bug | None = None


def cases(account: Account) -> list[Case]:
    """List the cases of a campaign."""
    found = [*map(_bug, account.failures), *map(_known, account.known)]
    left = max(0.0, account.duration - sum(each.seconds for each in found))
    judged = sum(each.judged for each in account.checks)
    return [
        *_campaign(account, 0.0 if judged else left),
        *_checks(account, left / judged if judged else 0.0),
        *found,
    ]


def title_of(bug: Bug) -> str:
    """Return the name of a bug that stays the same: its kind, what was broken, and by which command."""
    return f"{bug.title} {f'after {bug.command}' if bug.command else 'at the end'}"


def _campaign(account: Account, seconds: float) -> Iterator[Case]:
    troubles = [f"{each.title}: {each.message}\n{each.traceback or ''}" for each in account.faults]
    if account.died:
        troubles.insert(0, f"The service is not there any more: {account.died}\n{account.log}")
    elif account.not_judged and not troubles:
        troubles.append(account.trouble)
    if account.interrupted:
        troubles.append(f"The campaign was interrupted after {count(account.total_runs, 'run')}.")
    elif not account.total_runs and not troubles:
        troubles.append("No run was made.")
    kind = "Unreachable" if account.died else "FaultOfTheTestCode" if account.faults else "NotJudged"
    said = troubles[0].partition("\n")[0] if troubles else ""
    if account.not_judged and not account.died:
        said = f"{account.not_judged} of {count(account.total_runs, 'run')} say nothing of the service; {said}"
    name = "every run is judged"
    yield Case("campaign", name, "error" if troubles else "passed", seconds, kind, said, "\n\n".join(troubles))
    if any(each.required is not None for each in account.coverage.values()):
        lacking = "; ".join(account.lacking)
        yield Case("campaign", "coverage", "error" if lacking else "passed", 0.0, "LackingCoverage", lacking, lacking)


def _checks(account: Account, seconds_each: float) -> Iterator[Case]:
    for check in account.checks:
        name, seconds = f"{check.kind} {check.name}", check.judged * seconds_each
        if check.bugs:
            told = f"broken by {count(len(check.bugs), 'bug')}: {', '.join(check.bugs)}"
            body = f"{told}\nIt judged {count(check.judged, 'time')}. Each bug is a case of its own."
            yield Case("checks", name, "failed", seconds, check.kind, told, body)
        elif not check.judged:
            yield Case("checks", name, "skipped", 0.0, "", "never exercised: no run came to it")
        else:
            yield Case("checks", name, "passed", seconds, "", "", f"It judged {count(check.judged, 'time')}.")


def _bug(bug: Bug) -> Case:
    message = bug.failure_reason.partition("\n")[0]
    return Case("bugs", title_of(bug), "failed", bug.seconds, bug.kind, message, outline.render(bug), bug)


def _known(bug: Bug) -> Case:
    """Return the case of a bug that is known: it fails as before, and took no time of its own."""
    case = _bug(bug)
    return case._replace(seconds=0.0, type=f"known {bug.kind}", message=f"known: {case.message}")
