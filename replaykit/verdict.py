"""Failure, fingerprint, Verdict, and the one table of exit codes.

git bisect reads 1 to 124 as bad, 125 as skip, and stops at 128 and above, so nothing but "the bug is
here" may end in the first range (git-bisect documentation, "Bisect run").
"""

import hashlib
import json
from collections.abc import Iterable
from enum import Enum
from typing import Literal, NamedTuple, TypeAlias

from replaykit.errors import (
    StaleError,
    Terminated,
    UnbuildableError,
    UnreachableError,
    UsageError,
)
from replaykit.value import JsonData, Record

Kind: TypeAlias = Literal[
    "expectation",
    "invariant",
    "check",
    "linearization",
    "idempotency",
    "server_error",
    "latency",
    "adapter",
    "model",
]


def titled(kind: str, name: str) -> str:
    """Call a failure by its kind and its name; a server error has no name of its own."""
    return kind if kind == name else f"{kind} {name}"


class Failure(Record):
    """Why a run failed. Of kind `adapter` or `model`, it is a fault of the test code, and no finding."""

    kind: Kind
    name: str  # of the check, the expectation, the handler or endpoint that was slow, or the method that raised
    step: int | None  # label; None at the end of the run
    command: str | None  # tag
    message: str
    expected: JsonData = None
    actual: JsonData = None
    outcome: str | None = None  # of an expectation: the tags of what was expected and of what came
    traceback: str | None = None

    @property
    def title(self) -> str:
        """Its kind and its name, which is said once where both are the same."""
        return titled(self.kind, self.name)

    @property
    def is_finding(self) -> bool:
        """Whether it speaks of the service, rather than of the test code."""
        return self.kind not in {"adapter", "model"}

    @property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits for kind, name and command type: never values, ids, messages or seeds."""
        identity = json.dumps([self.kind, self.name, self.command], ensure_ascii=True)
        return hashlib.sha256(identity.encode()).hexdigest()[:8]


def is_same(recorded: Failure, seen: Failure) -> bool:
    """Say whether two failures are the same bug: the same fingerprint, and not the other way round.

    An expectation that fails because a thing was done that should not be is not the one that fails because the
    thing was not done.
    """
    both = recorded.outcome is not None and seen.outcome is not None
    return recorded.fingerprint == seen.fingerprint and (not both or recorded.outcome == seen.outcome)


class Judgment(NamedTuple):
    """What became of an expectation, an invariant or a check."""

    kind: Kind
    name: str
    holds: bool
    said: str  # what was expected, or what is wrong


class Verdict(Enum):
    """The word in which a replay ends."""

    FIXED = "fixed"
    REPRODUCED = "reproduced"
    PASSED = "passed"  # as when it was recorded
    FAILED = "failed"  # though it passed when it was recorded
    DIFFERENT = "different"
    STALE = "stale"
    UNREACHABLE = "unreachable"
    UNDECIDED = "undecided"
    DRIFTED = "drifted"  # fixed or passed, but the answers are not the recorded ones, as they were asked to be


Expect: TypeAlias = Literal["fixed", "reproduces"]  # what is expected of a saved bug

OK = 0
FOUND = 1
NOT_JUDGED = 125
INTERNAL = 128
USAGE = 129

_OF_VERDICT = {
    Verdict.FIXED: OK,
    Verdict.REPRODUCED: FOUND,
    Verdict.PASSED: OK,
    Verdict.FAILED: FOUND,
    Verdict.DIFFERENT: NOT_JUDGED,
    Verdict.STALE: NOT_JUDGED,
    Verdict.UNREACHABLE: NOT_JUDGED,
    Verdict.UNDECIDED: NOT_JUDGED,
    Verdict.DRIFTED: FOUND,
}


def exit_code(outcome: Verdict | BaseException, expect: Expect = "fixed") -> int:
    """Return the exit code of a verdict or of an error; of a bug that is expected to reproduce, it is the other one."""
    if isinstance(outcome, Verdict):
        swapped = expect == "reproduces" and outcome in {Verdict.FIXED, Verdict.REPRODUCED}
        return OK + FOUND - _OF_VERDICT[outcome] if swapped else _OF_VERDICT[outcome]
    if isinstance(outcome, Terminated):
        return 128 + outcome.signal_number
    if isinstance(outcome, KeyboardInterrupt):
        return 130
    if isinstance(outcome, UsageError):
        return USAGE
    if isinstance(outcome, StaleError | UnreachableError | UnbuildableError):
        return NOT_JUDGED
    return INTERNAL


def worst(codes: Iterable[int]) -> int:
    """Return the code of several outcomes at once: 128 and above, then 1, then 125, then 0."""
    return max(codes, key=lambda code: (code >= INTERNAL, code == FOUND, code), default=OK)
