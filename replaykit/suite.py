"""The suite: the bundles of a folder, each replayed and held against what is known of its bug.

Live, the question is whether the service does what the status says. Offline, it is whether today's model still sees
the bug that was recorded, whatever became of the service since.
"""

from typing import Literal, NamedTuple, TypeAlias

from replaykit.status import Word
from replaykit.verdict import FOUND, NOT_JUDGED, OK, Verdict

Outcome: TypeAlias = Literal[
    "expected",  # the verdict is the one that the status asks for
    "regression",  # it is fixed, and is there again; or a run that passed fails now
    "gone",  # it is open, and does not show any more
    "unseen",  # offline: the model does not see any more what was recorded
    "not judged",
]


class Expected(NamedTuple):
    """What a verdict means for a bug of some status, and the exit code for it."""

    outcome: Outcome
    code: int


def expected(word: Word, verdict: Verdict, *, offline: bool = False, lenient: bool = False) -> Expected:
    """Hold a verdict against the status of a bug; `lenient` lets pass that an open bug is gone."""
    if verdict is Verdict.PASSED:
        return Expected("expected", OK)
    if verdict is Verdict.FAILED:
        return Expected("regression", FOUND)
    if verdict not in {Verdict.FIXED, Verdict.REPRODUCED}:
        return Expected("not judged", NOT_JUDGED)
    if offline:
        return Expected("expected", OK) if verdict is Verdict.REPRODUCED else Expected("unseen", FOUND)
    if word == "fixed":
        return Expected("expected", OK) if verdict is Verdict.FIXED else Expected("regression", FOUND)
    if verdict is Verdict.REPRODUCED:
        return Expected("expected", OK)
    return Expected("gone", OK if lenient or word == "wontfix" else FOUND)
