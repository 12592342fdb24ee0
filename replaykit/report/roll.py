"""The roll: a suite as text for the terminal, a line for each bundle."""

import shlex
from collections.abc import Sequence

from replaykit.docket import Docket, Entry
from replaykit.report.steps import one_line

MARKS = {"expected": "✓", "regression": "✗", "gone": "✗", "unseen": "✗", "broken": "✗", "not judged": "?"}


def render(docket: Docket) -> str:
    """Show all bundles, and the status of which there is none."""
    return "\n".join(each for entry in docket.entries for each in lines(entry)) + "".join(
        f"\n{each}" for each in warnings(docket.lacking)
    )


def meant(entry: Entry) -> str:
    """Say what is not as expected of a bundle; nothing where it is, or where its reason says it."""
    if entry.outcome == "regression" and entry.status == "fixed":
        return "it was fixed, and is there again"
    if entry.outcome == "gone":
        todo = f": replaykit close {shlex.quote(one_line(entry.bundle))}" if entry.status == "open" else ""
        return f"it is {entry.status}, and does not show any more{todo}"
    return "the model does not see any more what was recorded" if entry.outcome == "unseen" else ""


def lines(entry: Entry, *, verbose: bool = False) -> list[str]:
    """Show a bundle: what it came to; below what is not as expected, why, and how it is replayed."""
    share = f" {entry.failed} of" if entry.failed else ""
    often = f" in{share} {entry.attempts} attempts" if entry.attempts > 1 else ""
    said = f"{entry.verdict or 'no verdict'}{often} ({one_line(entry.known_as)})"
    is_well = entry.outcome == "expected"
    mark = "✓" if not entry.exit_code else MARKS[entry.outcome]
    found = [f"  {mark} {entry.outcome:<10} {one_line(entry.bundle)}  {said}"]
    if is_well and not verbose:
        return found
    if entry.check is not None:
        found.append(f"      {entry.check}{f' (in {entry.rate} runs when it was saved)' if entry.rate else ''}")
    if said := meant(entry):
        found.append(f"      {said}")
    if entry.note:
        found.append(f"      note: {one_line(entry.note)}")
    found += [f"      {line}" for line in entry.reason.splitlines()]
    found += [f"      {one_line(each)}" for each in entry.notes]
    if verbose:
        found += [f"    {line}" for line in entry.steps]
    if entry.log:
        found += ["      the last lines of the service:", *(f"    {line}" for line in entry.log.splitlines())]
    if entry.replay is not None and not is_well:
        found.append(f"      replay it: {entry.replay}")
    return found


def warnings(lacking: Sequence[str]) -> list[str]:
    """Say which statuses are of no bundle: where a name is misspelt, the bundle that is meant counts as open."""
    if not lacking:
        return []
    are = "status is" if len(lacking) == 1 else "statuses are"
    return [
        f"Warning: {len(lacking)} {are} of no bundle; the one that is meant, if there is one, counts as open:",
        *(f"  {one_line(each)}" for each in lacking),
    ]
