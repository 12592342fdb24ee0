"""The discovery curve of a hunt, and the bugs that were known before, as text for the terminal."""

from collections.abc import Callable
from pathlib import Path

from replaykit.report.steps import count, one_line
from replaykit.result import Result

WIDTH = 40  # characters of the longest bar
ROWS = 20  # at most


def curve(result: Result) -> list[str]:
    """Show when each bug of a hunt was first seen; a bar says how much of the runs that took."""
    if not (result.terms.is_hunt and result.failures):
        return []
    names = {each.fingerprint: one_line(each.failure.title) for each in result.failures}
    lines = ["", "Discoveries:"]
    for number, each in enumerate(result.discoveries[:ROWS], start=1):
        bar = "#" * max(1, round(WIDTH * each.run / max(result.total_runs, 1)))
        lines.append(
            f"  {number:3}  run {each.run:6}  {each.seconds:8.1f} s  {each.fingerprint}  {bar:{WIDTH}}  "
            f"{names[each.fingerprint]}"
        )
    if len(result.failures) > ROWS:
        lines.append(f"  and {count(len(result.failures) - ROWS, 'more bug')}")
    return lines


def known(result: Result, command: Callable[[Path], str] | None = None) -> list[str]:
    """Name each bug that was seen again, with what was seen now, its bundle, and the command that replays that."""
    lines = []
    for each in result.known:
        seen = f"seen in {count(each.occurrences, 'run')}" if each.occurrences else "met while another was shrunk"
        what = one_line(each.failure.title)
        lines += [
            "",
            f"KNOWN {what}  (fingerprint {each.fingerprint}, first in run {each.first_seen_run}, {seen})",
            f"  {one_line(each.failure.message)}",
            f"  its bundle is {each.path if each.path is not None else 'not there any more'}",
        ]
        if command is not None and each.path is not None:
            lines.append(f"  replay it: {command(each.path)}")
    return lines
