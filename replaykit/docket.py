"""The docket: what a suite came to, as plain records that can be written down, with the secrets covered.

Its reports are made of it. What it says in JSON is a surface that other programs read: a key that stands here stays,
and means the same, until VERSION changes.
"""

from collections import Counter

from replaykit.report.steps import count
from replaykit.status import Word
from replaykit.suite import Outcome
from replaykit.value import Record
from replaykit.verdict import FOUND, INTERNAL, NOT_JUDGED, OK, USAGE, worst
from replaykit.version import __version__

VERSION = 1

_SAID: dict[Outcome, tuple[str, str]] = {  # of one, and of several
    "regression": ("regression", "regressions"),
    "gone": ("bug that is gone", "bugs that are gone"),
    "unseen": ("bug that the model does not see any more", "bugs that the model does not see any more"),
    "broken": ("broken", "broken"),
    "not judged": ("not judged", "not judged"),
    "expected": ("as expected", "as expected"),
}


class Entry(Record):
    """What became of one bundle."""

    bundle: str  # its path, as it was named or found
    status: Word
    ticket: str | None
    note: str | None
    outcome: Outcome
    exit_code: int
    reason: str
    verdict: str | None = None  # of the replay; null where there was none
    check: str | None = None  # "check board_matches after create_player"; null where that is not known
    fingerprint: str | None = None
    runs: int | None = None  # in which the bug was confirmed when it was saved
    showed: int | None = None  # in how many of these it showed
    notes: tuple[str, ...] = ()
    attempts: int = 0
    failed: int = 0  # of them, in which it showed
    seconds: float = 0.0
    profile: str | None = None  # whose service and adapter it was judged with
    steps: tuple[str, ...] = ()  # what happened, of what is not as expected
    log: str = ""  # the last lines of a service that died
    replay: str | None = None  # the command that replays it

    @property
    def title(self) -> str:
        """What it is about, in a word or two."""
        return self.check or ("a run that passed" if self.verdict is not None else "a bundle")

    @property
    def rate(self) -> str | None:
        """How often the bug showed when it was saved: 5 of 5."""
        return None if self.runs is None else f"{self.showed} of {self.runs}"

    @property
    def known_as(self) -> str:
        """Its status, with its ticket: open, SHOP-12."""
        return f"{self.status}, {self.ticket}" if self.ticket else self.status


class Docket(Record):
    """What a suite came to."""

    version: int = VERSION
    tool: str = f"replaykit {__version__}"
    offline: bool
    lenient: bool
    started: str  # ISO 8601, UTC
    seconds: float
    exit_code: int
    outcome: str  # as expected, regression, gone, unseen, not judged, broken, interrupted
    conclusion: str
    bundles: int  # those that were to be judged
    counts: dict[str, int]  # by outcome
    lacking: tuple[str, ...]  # what status files name that is not there
    entries: tuple[Entry, ...]

    @property
    def left_out(self) -> int:
        """How many were not come to: it was interrupted, or ended with the first failure."""
        return self.bundles - len(self.entries)


def concluded(entries: list[Entry], bundles: int, interrupted: int | None, saved: int = 0) -> tuple[int, str, str]:
    """Say what entries come to: the exit code, a word, and a sentence; `interrupted` is the code of a signal.

    `bundles` is how many were to be judged, of those that are saved.
    """
    counts = Counter(each.outcome for each in entries)
    parts = [f"{counts[each]} {words[counts[each] != 1]}" for each, words in _SAID.items() if counts[each]]
    left = bundles - len(entries)
    said = ", ".join([*parts, *([f"{count(left, 'bundle')} not come to"] if left else [])])
    if interrupted is not None:
        return interrupted, "interrupted", said or "stopped on request"
    if not bundles:
        chosen = f"{count(saved, 'bundle')}, of which none is asked for" if saved else "there is no bundle"
        return NOT_JUDGED, "nothing to judge", chosen
    code = worst(each.exit_code for each in entries)
    for outcome in ("regression", "gone", "unseen"):
        if code == FOUND and any(each.outcome == outcome and each.exit_code for each in entries):
            return code, outcome, said
    word = {OK: "as expected", NOT_JUDGED: "not judged", INTERNAL: "broken", USAGE: "broken"}.get(code, "broken")
    return code, word, said
