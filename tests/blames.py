"""Blames to look at: what bisects came to, made by hand."""

from typing import Any

from replaykit.axis import Point, State
from replaykit.blame import Blame, Stages, Suspect, Tested
from replaykit.commit import Change

WORDS: dict[State, str] = {"bad": "reproduced", "good": "fixed", "skipped": "unbuildable"}
SUBJECTS = {
    0: "Serve a ledger",
    511: "Say the balance in cents",
    573: "Move to another build tool",
    574: "Round each entry by itself",
    575: "Keep rounding in one place (#42)",
    640: "Name the currency",
    1024: "Answer faster",
}


def point(place: int, **changes: Any) -> Point:
    """Make the commit that stands behind so many others."""
    identity = f"{place * 2654435761 % 2**32:08x}" * 5
    return Point(
        **{
            "id": identity,
            "name": identity[:8],
            "code": f"tree {place}",
            "subject": SUBJECTS.get(place, f"Change {place}"),
            **changes,
        }
    )


def at(place: int, state: State, shown: int = 0, held: int = 0, **changes: Any) -> Tested:
    """Make a point that was tried: in so many attempts the bug showed, in so many it did not."""
    made = {
        "point": point(place), "place": place, "state": state, "word": WORDS[state], "reason": "", "shown": shown,
        "held": held, "attempts": shown + held, "visits": 1, "seconds": 1.3,
    }  # fmt: skip
    return Tested(**{**made, **changes})


LINE = [
    at(0, "good", held=7),
    at(511, "good", held=7),
    at(573, "skipped", reason="make exited with 2: no rule to make target 'all'", seconds=0.4, log="logs/573.log"),
    at(574, "good", held=13, visits=2, seconds=3.9),
    at(575, "bad", shown=9, held=1, visits=2, seconds=3.1),
    at(640, "bad", shown=4),
    at(1024, "bad", shown=9, held=1, seconds=2.2, cached=True),
]


def found(**changes: Any) -> Blame:
    """Make the blame of a bug that shows nine times in ten, and whose commit was found."""
    made = {
        "outcome": "found", "reason": "", "bundle": "failures/balance.pd", "failure": "invariant balance",
        "axis": "commits", "near": point(1024), "far": point(0), "points": 1024, "steady": False, "rate": (9, 10),
        "culprit": point(575), "parent": point(574), "confidence": 0.9953, "confirmed": True, "tested": LINE,
        "change": Change(
            author="a <a@example.com>", date="2026-03-01T12:00:00+01:00", subject=SUBJECTS[575], pull_request="42",
            files=[("M", "ledger.py"), ("A", "rounding.py"), ("M", "tests/test_ledger.py")],
        ),
        "spent": Stages(tests=7, visits=9, attempts=51, seconds=75.2), "journal": "/tmp/bisect",
    }  # fmt: skip
    return Blame(**{**made, **changes})


def lost(outcome: str, number: int = 0, **changes: Any) -> Blame:
    """Make the blame of a bisect that ended otherwise, with so many candidates."""
    suspects = [Suspect(point=point(573 + each), probability=1 / number) for each in range(number)]
    made = {"outcome": outcome, "reason": "it ended so", "culprit": None, "parent": None, "change": None,
            "confidence": None, "confirmed": False, "suspects": suspects}  # fmt: skip
    return found(**{**made, **changes})
