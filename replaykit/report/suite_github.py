"""GitHub: annotations for the bundles of a suite that are not as expected, and the summary of the job."""

from replaykit.docket import Docket
from replaykit.report import suite_markdown
from replaykit.report.github import MOST, MOST_SUMMARY, command
from replaykit.report.roll import meant, warnings
from replaykit.report.steps import count


def render(docket: Docket) -> str:
    """Write the annotations of a suite: an error for what fails it, a warning for what could not be judged."""
    lines = []
    for name, bad in (
        ("error", [each for each in docket.entries if each.exit_code and each.outcome != "not judged"]),
        ("warning", [each for each in docket.entries if each.outcome == "not judged"]),
    ):
        for entry in bad[:MOST]:
            said = [each for each in (meant(entry), entry.reason, entry.replay) if each]
            lines.append(command(name, f"{entry.outcome}: {entry.bundle}", "\n".join(said)))
        if len(bad) > MOST:
            lines.append(command(name, "replaykit", f"and {count(len(bad) - MOST, 'more bundle')}"))
    if docket.exit_code and not any(each.exit_code for each in docket.entries):
        lines.append(command("error", f"replaykit: {docket.outcome}", docket.conclusion))
    if docket.lacking:
        lines.append(command("notice", "replaykit", "\n".join(warnings(docket.lacking))))
    return "".join(f"{line}\n" for line in lines)


def summary(docket: Docket, written: int) -> str:
    """Write the summary of the job, where so many bytes of it are written already; nothing where no room is left."""
    room = MOST_SUMMARY - written - 1
    text = suite_markdown.render(docket, most=room)
    return text if len(text.encode("utf-8", "replace")) <= room else ""
