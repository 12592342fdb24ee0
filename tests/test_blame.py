"""The blame: its exit codes, and what is covered in it."""

import pytest
from blames import LINE, at, found, lost

from replaykit.blame import Suspect, covered
from replaykit.commit import Change
from replaykit.redact import Redactor
from replaykit.secret import Policy

SECRET = "correct-horse-battery"


@pytest.mark.parametrize(
    ("outcome", "code"),
    [("found", 0), ("not bad", 1), ("not good", 1), ("candidates", 125), ("undecided", 125), ("not judged", 125),
     ("trouble", 128), ("interrupted", 130)],
)  # fmt: skip
def test_exit_codes_are_those_of_the_table(outcome: str, code: int):
    """One culprit is 0, a wrong range 1, what nobody knows 125; a signal is told as shells do."""
    assert code == lost(outcome).exit_code
    assert 143 == lost(outcome, signal=15).exit_code


def test_secrets_are_covered_wherever_somebody_else_speaks():
    """Subjects, authors, files, reasons, notes and paths; names and hashes stay as they are."""
    said = f"use {SECRET} here"
    row = LINE[2].replace(point=LINE[2].point.replace(subject=said), reason=said, log=f"/tmp/{SECRET}/a.log")
    change = Change(
        author=said, date="2026-03-01", subject=said, files=[("M", f"{SECRET}.py")], merges=[said],
    )  # fmt: skip
    blame = found(
        reason=said, bundle=f"{SECRET}.pd", failure=f"check {SECRET}", near=row.point, far=row.point,
        culprit=row.point, parent=row.point, merge=row.point, change=change, notes=[said],
        tested=[row, at(574, "good")], suspects=[Suspect(point=row.point, probability=0.5)], journal=f"/tmp/{SECRET}",
    )  # fmt: skip
    told = covered(Redactor(Policy(given=(("word", SECRET),))), blame)

    assert SECRET in blame.model_dump_json()
    assert SECRET not in told.model_dump_json()
    assert (blame.culprit.id, blame.outcome, blame.tested[1]) == (told.culprit.id, told.outcome, told.tested[1])
    assert "use " in told.reason
    assert told.reason.endswith(" here")
