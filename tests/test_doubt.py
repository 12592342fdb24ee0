"""Doubts: what speaks against a culprit, seen from what it changed."""

import pytest
from blames import LINE, at, found, point

from replaykit.blame import Blame
from replaykit.commit import Change
from replaykit.doubt import doubts


def changed(*paths: str, subject: str = "Change it", merges: list[str] | None = None, **more: object) -> Blame:
    """Make a blame whose culprit touches such files."""
    files = [("M", path) for path in paths]
    change = Change(author="a", date="2026-03-01", subject=subject, files=files, merges=merges or [])
    return found(change=change, **more)


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (["README.md", "docs/conf.py"], "It touches only documentation (README.md, docs/conf.py)"),
        (["tests/app.py", "pkg/test_a.py"], "It touches only tests (tests/app.py, pkg/test_a.py)"),
        (["a.md", "b.md", "c.md", "web/x.spec.ts"], "only documentation and tests (a.md, b.md, c.md and 1 more)"),
        (["poetry.lock"], "It touches only versions and what is installed (poetry.lock)"),
        (["pyproject.toml", "uv.lock", "CHANGELOG.md"], "what is installed (pyproject.toml, uv.lock): a dependency"),
        (["requirements/dev.in", "requirements-dev.txt"], None),
        (["app.py", "README.md"], None),
        (["src/latest/app.py", "contest.py", "testing.py"], None),
        (["bin/test"], None),
        (["doc"], None),
        ([], None),
    ],
)
def test_files_that_bring_no_bug_are_doubtful(paths: list[str], said: str | None):
    """Documentation, tests and versions alone are told; one file of another kind is enough for no doubt."""
    told = doubts(changed(*paths))

    assert ([] if said is None else [True]) == [str(said) in each for each in told], told


def test_the_same_files_as_the_parent_are_doubtful():
    """A commit with the tree of its parent changed nothing; where no tree is known, nothing is said."""
    same = changed("app.py", culprit=point(575, code="tree"), parent=point(574, code="tree"))
    unknown = changed("app.py", culprit=point(575, code=""), parent=point(574, code=""))

    assert ["It holds the same files as its parent: what changed is something else, or the bug shows by chance."] == (
        doubts(same)
    )
    assert [] == doubts(unknown)


def test_merges_and_reverts_are_doubtful():
    """A merge is no single change, and a revert brings back what was there before."""
    [merge] = doubts(changed("app.py", merges=["a1b2c3d4"]))
    [revert] = doubts(changed("app.py", subject='Revert "Round down"'))
    [fix] = doubts(changed("app.py", subject='Revert "Round down"', fix=True))

    assert "It is a merge" in merge
    assert "the bug may be older" in revert
    assert "another may have mended it before" in fix


def test_a_parent_that_was_not_tried_is_doubtful():
    """Where the commit before could not be tried, an earlier one may be to blame."""
    skipped = [*LINE[:3], at(574, "skipped"), *LINE[4:]]
    [could_not] = doubts(changed("app.py", tested=skipped))
    [was_not] = doubts(changed("app.py", tested=[*LINE[:3], *LINE[4:]]))

    assert f"The commit before it, {point(574).name}, could not be tried: an earlier one may be to blame." == could_not
    assert "was not tried" in was_not


def test_without_a_culprit_there_is_no_doubt():
    """Candidates are doubtful enough; a version has no files."""
    assert [] == doubts(found(culprit=None))
    assert [] == doubts(found(axis="versions", change=None))
