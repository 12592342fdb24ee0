"""The histories that bisects are tried on: what is in their commits is what was planned."""

import time
from pathlib import Path

import pytest
from histories import ADAPTER, BUGGY, MISLISTED, MODEL, Plan, git, made, program, recorded

from replaykit.reader import read


def contents(history, number: int) -> str:
    """Read the service at a commit."""
    return history.git("show", f"{history.hashes[number]}:app.py")


def test_the_bug_is_there_from_the_culprit_on(tmp_path: Path):
    """The service of the culprit, and of each commit after it, adds one too many; those before it do not."""
    history = made(tmp_path / "r", Plan(commits=12, culprit=7))
    shown = [BUGGY.replace("@IF@", "") in contents(history, number) for number in range(12)]

    assert [False] * 7 + [True] * 5 == shown
    assert history.culprit == history.hashes[7]
    assert git(tmp_path / "r", "status", "--porcelain") == ""


def test_a_thousand_commits_are_made_fast(tmp_path: Path):
    """A repository of 1,000 commits takes a second or less."""
    began = time.perf_counter()
    history = made(tmp_path / "r", Plan(commits=1000))
    seconds = time.perf_counter() - began

    assert history.git("rev-list", "--count", "--first-parent", "v1.0..main") == "999"
    assert seconds < 5  # 0.2 measured; the machine may be busy


def test_branches_are_merged(tmp_path: Path):
    """Every so often five commits come in by a merge; one in a branch is an ancestor of the main line's last one."""
    history = made(tmp_path / "r", Plan(commits=40, culprit=6, merges=4))
    merge = history.main[4]

    assert history.parents[merge] == [3, 8]
    assert history.git("rev-list", "--count", "main") == str(len(history.hashes))
    assert BUGGY.replace("@IF@", "") not in contents(history, 5)
    assert BUGGY.replace("@IF@", "") in contents(history, merge)


def test_what_makes_a_bisect_hard_is_in_the_commits_that_were_planned(tmp_path: Path):
    """Unbuildable commits, another bug, and equal trees stand where they were planned."""
    history = made(
        tmp_path / "r", Plan(commits=12, culprit=3, broken={4}, masked={5, 6}, masks="check", reverted={9}, mended=10)
    )

    with pytest.raises(SyntaxError):
        compile(contents(history, 4), "app.py", "exec")
    assert [MISLISTED in contents(history, number) for number in (4, 5, 6, 7)] == [False, True, True, False]
    assert history.git("rev-parse", f"{history.hashes[9]}^{{tree}}") == history.git(
        "rev-parse", f"{history.hashes[7]}^{{tree}}"
    )
    assert BUGGY.replace("@IF@", "") not in contents(history, 10)


def test_a_submodule_is_where_it_is_used(tmp_path: Path):
    """The submodule is a repository beside the other, and each commit has one of its commits."""
    history = made(tmp_path / "r", Plan(commits=3, culprit=1, submodule=True))
    vendored = git(tmp_path / "vendor", "rev-parse", "HEAD")

    assert history.git("ls-tree", "main", "vendor").split()[:3] == ["160000", "commit", vendored]


def test_the_bundle_says_how_often_the_bug_showed(tmp_path: Path):
    """What is recorded is the bug, with the rate that was asked for, and the model outside of all repositories."""
    bundle = read(recorded(tmp_path / "x.pd", failed=5))

    assert bundle.trace.failure is not None
    assert (bundle.trace.failure.kind, bundle.trace.failure.name) == ("expectation", "pay")
    assert (bundle.provenance.model, bundle.provenance.adapter) == (MODEL, ADAPTER)
    assert (bundle.provenance.shrinking.failed, bundle.provenance.shrinking.runs) == (5, 10)


def test_a_flaky_service_is_lucky_or_not_at_each_reset():
    """A rate becomes a chance that is drawn once a run, or once a start of the service."""
    compile(program(rate=0.5), "app.py", "exec")
    compile(program(rate=0.5, each="start"), "app.py", "exec")

    assert "self.lucky = LUCKY\n" not in program(rate=0.5)
    assert "self.lucky = LUCKY\n" in program(rate=0.5, each="start")
    assert "and self.lucky < 0.5" in program(rate=0.5)
