"""Commit: what messages say of pull requests, and the log of a bisect as git reads it."""

import subprocess

import pytest
from conftest import environment
from repositories import commit, git, made

from replaykit.commit import commits, first_in_log, log_of_bisect, pull_request
from replaykit.errors import MachineError
from replaykit.repository import Repository


@pytest.mark.parametrize(
    ("subject", "body", "number"),
    [
        ("mend it (#123)", "", "123"),
        ("Merge pull request #42 from who/what", "", "42"),
        ("Merge branch 'x' into 'main'", "Mend it\n\nSee merge request group/project!12\n", "12"),
        ("Merged in x (pull request #7)", "", "7"),
        ("Merged PR 8: mend it", "", "8"),
        ("mend #123 (see #4) at last", "as in (#5)", None),
    ],
)
def test_pull_requests_are_known_by_what_hosts_write(subject, body, number):
    """The number of a pull request is read from what the hosts write into messages, and from nothing else."""
    assert pull_request(subject, body) == number


@pytest.mark.parametrize("fix", [False, True])
@pytest.mark.parametrize("first_parent", [False, True])
def test_git_accepts_the_log_of_a_bisect(tmp_path, fix, first_parent):
    """`git bisect replay` takes the log, with skips and with names of annotated tags behind the ends."""
    folder = made(tmp_path / "shop")
    names = {name: commit(folder, name) for name in ("two", "three")}
    git(folder, "tag", "-a", "v1", "-m", "the first", names["two"])
    git(folder, "checkout", "-q", "-b", "side", "v1")
    commit(folder, "side")
    git(folder, "checkout", "-q", "main")
    git(folder, "merge", "-q", "--no-ff", "side", "-m", "merge")
    names["merge"] = git(folder, "rev-parse", "HEAD")
    far, near = Repository.here(folder).resolve("v1"), commit(folder, "four")
    tested = [(near, "bad", "x"), (names["merge"], "skipped", "a\nb ' $(x)"), (names["three"], "good", "t")]
    if fix:
        tested = [(near, "good", "x"), (names["three"], "bad", "t"), (names["merge"], "skipped", "m")]
    text = log_of_bisect(far, near, tested, first_parent=first_parent, fix=fix)
    (tmp_path / "bisect.log").write_text(text)
    words = ["git", "bisect", "replay", str(tmp_path / "bisect.log")]
    done = subprocess.run(words, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    kept = git(folder, "bisect", "log")

    new, old = ("fixed", "broken") if fix else ("bad", "good")
    assert f"git bisect {new} {near}" in kept
    assert f"git bisect {old} {names['three']}" in kept
    assert f"git bisect skip {names['merge']}" in kept
    assert ("only 'skip'ped commits left" in done.stdout) == first_parent
    assert done.returncode == (2 if first_parent else 0)


@pytest.mark.parametrize("fix", [False, True])
def test_git_comes_to_the_same_commit(tmp_path, fix):
    """Of a bisect that is over, `git bisect replay` names the commit: the last one of the newer side counts for git."""
    folder = made(tmp_path / "shop")
    far, *names = [commit(folder, f"change {number}") for number in range(10)]
    before, after = ("bad", "good") if fix else ("good", "bad")
    tested = [(name, before if place < 4 else after, "x") for place, name in enumerate(names)]
    text = log_of_bisect(far, names[-1], tested, first_parent=True, fix=fix)
    text += first_in_log(names[4], "change\n5", fix=fix)
    (tmp_path / "bisect.log").write_text(text)
    words = ["git", "bisect", "replay", str(tmp_path / "bisect.log")]
    done = subprocess.run(words, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    last = git(folder, "bisect", "log").splitlines()[-1]

    assert done.returncode == 0, done
    assert f"{names[4]} is the first {'fixed' if fix else 'bad'} commit" in done.stdout
    assert text.splitlines()[-1].partition("]")[0] == last.partition("]")[0]


@pytest.mark.parametrize("printed", [b"a", b"a\0b\0c\0", b"a\0b\0c\0d\0e"])
def test_what_is_no_list_of_commits_is_refused(printed):
    """Half of what git prints is no history."""
    with pytest.raises(MachineError):
        commits(printed)
