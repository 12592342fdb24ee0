"""A failure as text: what was expected, and what was seen."""

from replaykit.difference import brief, differences
from replaykit.verdict import Failure

WIDTH = 240  # characters that are shown of what was expected, and of what was seen
MOST = 10  # places in which they are not alike


def compared(failure: Failure) -> list[str]:
    """Show what was expected and what was seen, where the message does not say it, and where they are not alike."""
    expected, seen = failure.expected, failure.actual
    lines = []
    if expected is not None and str(expected) not in failure.message:
        lines.append(f"  expected  {brief(expected, WIDTH)}")
    if seen is not None and str(seen) not in failure.message:
        lines.append(f"  seen      {brief(seen, WIDTH)}")
    if expected is not None and seen is not None and not isinstance(expected, str | int | float | bool):
        found = [f"{each.path}: {each.shown}" for each in differences(expected, seen)]
        new = [each for each in found if each not in failure.message]
        lines += [f"    {each}" for each in new[:MOST]]
        lines += [f"    and {len(new) - MOST} more"] if len(new) > MOST else []
    return lines
