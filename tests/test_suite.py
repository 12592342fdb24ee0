"""The suite: what a verdict means for a bug of some status."""

from pathlib import Path

import pytest

from replaykit.status import FILE
from replaykit.suite import Expected, expected, found
from replaykit.verdict import Verdict


@pytest.mark.parametrize(
    ("word", "verdict", "live"),
    [
        ("fixed", "fixed", ("expected", 0)),
        ("fixed", "reproduced", ("regression", 1)),
        ("open", "reproduced", ("expected", 0)),
        ("open", "fixed", ("gone", 1)),
        ("wontfix", "reproduced", ("expected", 0)),
        ("wontfix", "fixed", ("gone", 0)),
        ("open", "passed", ("expected", 0)),
        ("open", "failed", ("regression", 1)),
    ],
)
def test_verdict_is_held_against_the_status(word, verdict, live):
    """Live, the service is to do what the status says."""
    assert Expected(*live) == expected(word, Verdict(verdict))


@pytest.mark.parametrize("word", ["open", "fixed", "wontfix"])
def test_offline_the_model_is_to_see_what_was_recorded(word):
    """Offline, a bug reproduces whatever its status is; where it does not, the model does not see it any more."""
    assert Expected("expected", 0) == expected(word, Verdict.REPRODUCED, offline=True)
    assert Expected("unseen", 1) == expected(word, Verdict.FIXED, offline=True)


@pytest.mark.parametrize("verdict", ["different", "stale", "unreachable", "undecided"])
@pytest.mark.parametrize("word", ["open", "fixed", "wontfix"])
@pytest.mark.parametrize("offline", [False, True])
def test_what_is_not_judged_is_never_0_or_1(word, verdict, offline):
    """Where a replay can't judge, neither can the suite."""
    assert Expected("not judged", 125) == expected(word, Verdict(verdict), offline=offline, lenient=True)


def test_lenient_lets_pass_that_an_open_bug_is_gone():
    """It is told all the same."""
    assert Expected("gone", 0) == expected("open", Verdict.FIXED, lenient=True)


def test_each_name_is_a_bundle_with_its_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What is named twice is taken once; a link is a bundle with a status of its own."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "failures"
    folder.mkdir()
    (folder / "a.pd").write_text("")
    (folder / "b.pd").symlink_to("a.pd")
    (tmp_path / "same").symlink_to(folder)
    (folder / FILE).write_text('["b.pd"]\nstatus = "fixed"\n')
    there = found([Path("failures"), folder, Path("same/b.pd"), folder / "a.pd"])

    assert [("failures/a.pd", "open"), ("failures/b.pd", "fixed")] == [
        (str(each.path), each.status.word) for each in there.saved
    ]
