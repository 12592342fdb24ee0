"""GitHub: annotations of a step, as commands for the runner, and the summary of the job.

The runner obeys lines that begin with `::`, whoever has written them. So what a campaign prints stands between
`::stop-commands::` and the word that ends that, which nobody can guess; and what an annotation says is escaped.
"""

from replaykit.account import Account
from replaykit.report import markdown, outline
from replaykit.report.case import title_of
from replaykit.report.steps import count
from replaykit.visible import visible

MOST = 9  # annotations with a bug each; a step may have ten of a kind
MOST_TEXT = 4_000  # characters of an annotation
MOST_SUMMARY = 1024 * 1024  # bytes of all summaries of one step


def render(account: Account) -> str:
    """Write the annotations of a campaign: one for each bug, known ones as warnings, and what was not judged."""
    lines = []
    most = MOST - bool(account.died)
    for bug in account.failures[:most]:
        message = [bug.failure_reason, f"fingerprint {bug.fingerprint}, seed {bug.seed}"]
        lines.append(command("error", title_of(bug), "\n".join([*message, *([bug.replay] if bug.replay else [])])))
    more = len(account.failures) - most
    if more > 0:
        lines.append(command("error", "replaykit", f"and {count(more, 'more bug')}"))
    for bug in account.known[:MOST]:
        said = f"{bug.failure_reason}\nfingerprint {bug.fingerprint}, {outline.seen(bug)}"
        lines.append(command("warning", f"known: {title_of(bug)}", said))
    if not account.failures and not account.known and account.exit_code:
        faults = [f"{each.title}: {each.message}" for each in account.faults]
        lines.append(command("error", f"replaykit: {account.word}", "\n".join([account.verdict, *faults[:5]])))
    elif account.died:
        said = f"{account.died}\n{account.log}".rstrip()
        lines.append(command("error", "replaykit: unreachable", said))
    if account.never_exercised and account.total_runs:
        lines.append(command("warning", "replaykit: never exercised", ", ".join(account.never_exercised)))
    return "".join(f"{line}\n" for line in lines)


def summary(account: Account, written: int) -> str:
    """Write the summary of the job, where so many bytes of it are written already; nothing where no room is left."""
    room = MOST_SUMMARY - written - 1
    text = markdown.render(account, most=room)
    return text if len(text.encode("utf-8", "replace")) <= room else ""


def command(name: str, title: str, message: str) -> str:
    """Write a command for the runner; see `toCommandValue` and `escapeProperty` in actions/toolkit."""
    said = _escaped(visible(message)[:MOST_TEXT])
    head = _escaped(visible(title)[:200]).replace(":", "%3A").replace(",", "%2C")
    return f"::{name} title={head}::{said}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
