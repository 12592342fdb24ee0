"""Repository: the commits of a history, whatever is written into them, and names that mean one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT, environment, processes
from repositories import WHO, blob, commit, git, made, state

from replaykit import repository as repository_module
from replaykit.errors import MachineError, UsageError
from replaykit.repository import Repository

SIGNATURE = b"gpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\n"


@pytest.fixture(scope="module")
def forked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Give a repository with a merge and a side that was not merged, and the hashes of its commits."""
    folder = made(tmp_path_factory.mktemp("forked") / "shop")
    names = {"one": commit(folder, "one", {"a": "1"}), "two": commit(folder, "two", {"a": "2"})}
    git(folder, "checkout", "-q", "-b", "side")
    names["side"] = commit(folder, "side", {"b": "1"})
    names["side 2"] = commit(folder, "side 2", {"b": "2"})
    git(folder, "checkout", "-q", "main")
    names["three"] = commit(folder, "three", {"a": "3"})
    git(folder, "merge", "-q", "--no-ff", "side", "-m", "Merge branch 'side'")
    names["merge"] = git(folder, "rev-parse", "HEAD")
    names["four"] = commit(folder, "four (#12)", {"a": "4", "c/d": "1"})
    git(folder, "tag", "-a", "v1", "-m", "the first", names["two"])
    git(folder, "tag", "light", names["three"])
    git(folder, "checkout", "-q", "--orphan", "apart")
    names["apart"] = commit(folder, "apart")
    git(folder, "checkout", "-q", "main")
    return folder, names


def test_a_repository_is_found_from_below_its_top(forked):
    """The top, git's folder and the place of the user in it are known from a folder below."""
    folder, _ = forked
    found = Repository.here(folder / "c")

    assert (found.top, found.common, found.prefix) == (folder, folder / ".git", Path("c"))
    assert found.identity().startswith("shop-")


def test_a_linked_worktree_has_the_identity_of_its_repository(forked, tmp_path):
    """A linked worktree is another top of the same repository."""
    folder, _ = forked
    git(folder, "worktree", "add", "-q", "--detach", str(tmp_path / "linked"))
    found = Repository.here(tmp_path / "linked")
    git(folder, "worktree", "remove", str(tmp_path / "linked"))

    assert (found.top, found.identity()) == (tmp_path / "linked", Repository.here(folder).identity())


@pytest.mark.parametrize("kind", ["outside", "bare", "inside of git's own"])
def test_a_folder_without_files_of_a_repository_is_refused(kind, tmp_path):
    """Outside of a repository, in one without files, and in git's own folder there is nothing to start in."""
    folder = tmp_path
    if kind == "bare":
        git(folder, "init", "-q", "--bare")
    elif kind != "outside":
        folder = made(tmp_path / "shop") / ".git"
    with pytest.raises(UsageError) as caught:
        Repository.here(folder)

    assert ("no git repository" if kind == "outside" else "has no files") in caught.value.happened


def test_variables_of_git_lead_nowhere(forked, tmp_path, monkeypatch):
    """In a hook, where GIT_DIR and others are set, the repository of the folder is meant."""
    folder, names = forked
    other = made(tmp_path / "other")
    commit(other, "other")
    for name, value in {"GIT_DIR": other / ".git", "GIT_INDEX_FILE": "nowhere", "GIT_WORK_TREE": other}.items():
        monkeypatch.setenv(name, str(value))
    found = Repository.here(folder)

    assert (found.top, found.resolve("HEAD")) == (folder, names["four"])


@pytest.mark.parametrize(
    ("name", "meant"),
    [("v1", "two"), ("light", "three"), ("HEAD~1^2", "side 2"), ("main~2", "three"), ("side", "side 2")],
)
def test_names_mean_commits(forked, name, meant):
    """Branches, tags, annotated ones too, and what git lets one write after them mean a commit."""
    folder, names = forked

    assert Repository.here(folder).resolve(name) == names[meant]


@pytest.mark.parametrize("name", ["", " ", "vv1", "main:a", "--all", "v1..main", "a\0b", "f" * 40, "-", "HEAD^{tree}"])
def test_what_means_no_commit_is_refused(forked, name):
    """What means no commit, or several, is a usage error, and no option of git."""
    folder, _ = forked
    with pytest.raises(UsageError) as caught:
        Repository.here(folder).resolve(name)

    assert "no commit" in caught.value.happened
    assert ("v1" in caught.value.todo) == (name == "vv1")


def test_a_branch_that_is_only_elsewhere_is_offered(forked, tmp_path):
    """A branch that only the remote has is offered under the name that it has here."""
    folder, _ = forked
    git(tmp_path, "clone", "-q", str(folder), "clone")
    with pytest.raises(UsageError) as caught:
        Repository.here(tmp_path / "clone").resolve("side")

    assert "origin/side" in caught.value.todo


def test_a_shallow_clone_is_refused_with_the_command_that_helps(forked, tmp_path):
    """A clone with the newest commits only is refused, and so is a name that it may lack."""
    folder, _ = forked
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{folder}", "clone")
    found = Repository.here(tmp_path / "clone")
    with pytest.raises(UsageError) as whole:
        found.require_whole()
    with pytest.raises(UsageError) as missing:
        found.resolve("v1")

    assert "git fetch --unshallow" in whole.value.todo
    assert "fetch-depth: 0" in missing.value.todo


def test_ancestors_and_what_two_have_in_common(forked):
    """An ancestor, a merge base and the lack of one are told apart."""
    folder, names = forked
    found = Repository.here(folder)
    found.require_whole()

    assert found.is_ancestor(names["side"], names["merge"])
    assert not found.is_ancestor(names["side"], names["three"])
    assert found.merge_base(names["side 2"], names["three"]) == names["two"]
    assert found.merge_base(names["apart"], names["two"]) is None
    with pytest.raises(MachineError):
        found.is_ancestor("f" * 40, names["two"])


def test_the_line_goes_along_first_parents(forked):
    """The line has the far end at its front, and of a merge only the merge; without a far end it is whole."""
    folder, names = forked
    found = Repository.here(folder)
    line = found.line(names["two"], names["four"])

    assert [each.subject for each in line] == ["two", "three", "Merge branch 'side'", "four (#12)"]
    assert line[2].parents == [names["three"], names["side 2"]]
    assert line[2].tree == git(folder, "rev-parse", f"{names['merge']}^{{tree}}")
    assert [each.hash for each in found.line(None, names["two"])] == [names["one"], names["two"]]
    assert [each.hash for each in found.line(names["two"], names["two"])] == [names["two"]]
    assert found.line(names["side"], names["merge"])[0].subject == "side"


def test_the_graph_has_parents_before_children(forked):
    """The graph has all commits of the one end that the other lacks, each after its parents."""
    folder, names = forked
    graph = [each.hash for each in Repository.here(folder).graph(names["two"], names["merge"])]

    assert sorted(graph) == sorted(names[name] for name in ("three", "side", "side 2", "merge"))
    assert graph.index(names["side"]) < graph.index(names["side 2"]) < graph.index(names["merge"])


def test_hostile_subjects_stay_one_line_of_visible_text(tmp_path):
    """Whatever a commit's message holds, its subject is text in which nothing hides, and the next one is read."""
    folder = made(tmp_path / "shop")
    commit(folder, "one")
    message = b"\x1b[31mred\nsecond line\r\x01\xff\xfe \xe2\x80\xae gnp.exe\n\nbody\x1e\x1f"
    words = ["git", "-C", str(folder), "hash-object", "-t", "commit", "-w", "--literally", "--stdin"]
    head = f"tree {git(folder, 'rev-parse', 'HEAD^{tree}')}\nparent {git(folder, 'rev-parse', 'HEAD')}\n"
    raw = (
        head.encode()
        + b"author \xff <a@example.com> 1 +0000\ncommitter a <a@example.com> 1 +0000\n"
        + SIGNATURE
        + message
    )
    done = subprocess.run(words, input=raw, capture_output=True, check=True, env=environment())
    made_one = done.stdout.decode().strip()
    (tmp_path / "gpg").write_text("#!/bin/sh\necho forged >&2\n")
    (tmp_path / "gpg").chmod(0o755)
    git(folder, "config", "gpg.program", str(tmp_path / "gpg"))
    git(folder, "config", "log.showSignature", "true")
    git(folder, "reset", "-q", "--soft", made_one)
    last = commit(folder, "last")
    found = Repository.here(folder)
    line = found.line(None, last)

    assert [each.hash for each in line][1:] == [made_one, last]
    assert line[1].subject.startswith("\\x1b[31mred second line")
    assert line[1].subject.isprintable()
    assert found.change(made_one).author == "\ufffd"


def test_a_change_is_told_with_its_files(forked):
    """Author, date, subject, pull request and files of a commit are known, of the first one too."""
    folder, names = forked
    found = Repository.here(folder)
    change = found.change(names["four"])

    assert (change.author, change.subject, change.pull_request) == ("a", "four (#12)", "12")
    assert change.files == [("M", "a"), ("A", "c/d")]
    assert change.date[:2] == "20"
    assert found.change(names["one"]).files == [("A", "a")]
    assert found.change(names["merge"]).merges == ["side"]
    assert found.change(names["merge"]).files == [("A", "b")]


def test_a_change_whose_parent_lacks_files_is_told_without(tmp_path):
    """Where a tree is missing, so that files can't be compared, the rest is told."""
    folder = made(tmp_path / "shop")
    commit(folder, "one", {"d/a": "1"})
    last = commit(folder, "last", {"d/a": "2"})
    blob(folder, "HEAD:d").unlink()
    change = Repository.here(folder).change(last)

    assert (change.subject, change.files) == ("last", [])


def test_names_of_a_commit_have_tags_first(forked):
    """The tags, annotated ones too, and branches at a commit are known."""
    folder, names = forked
    found = Repository.here(folder)
    git(folder, "branch", "-f", "stays", names["two"])

    assert found.names(names["two"]) == ["v1", "stays"]
    assert found.names(names["one"]) == []


def test_git_that_takes_too_long_is_ended_with_what_it_started(forked):
    """A git that hangs is ended with its children, and that is trouble of the machine."""
    folder, _ = forked
    begun = time.monotonic()
    with pytest.raises(MachineError) as caught:
        repository_module.git(["-c", "alias.x=!sleep 61.5", "x"], folder, patience=0.3)

    assert "longer than 0.3" in caught.value.happened
    assert time.monotonic() - begun < 5
    assert processes("sleep 61.5") == []


@pytest.mark.skipif(not repository_module._leash(), reason="only Linux ends a process with the one that started it")
def test_git_ends_with_whoever_asked_it(forked):
    """Where replaykit is killed, the git that it runs ends too."""
    folder, _ = forked
    code = "import pathlib, sys; from replaykit.repository import git; git(sys.argv[2:], pathlib.Path(sys.argv[1]))"
    words = [sys.executable, "-c", code, str(folder), "-c", "alias.x=!exec sleep 62.5", "x"]
    process = subprocess.Popen(words, env={**environment(), "PYTHONPATH": str(ROOT)})
    try:
        begun = _awaited(lambda: [pid for pid in processes("62.5") if pid != process.pid])
    finally:
        process.kill()
        process.wait()

    assert begun
    assert _awaited(lambda: [pid for pid in processes("git -c core.hooksPath") if pid in begun] == [])
    for pid in processes("sleep 62.5"):  # what git started ends by itself
        os.kill(pid, signal.SIGKILL)


def _awaited(look):
    """Return what a look gives as soon as it gives anything."""
    deadline = time.monotonic() + 10
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def test_asking_changes_nothing(forked):
    """No question writes into the repository, not even a refreshed index."""
    folder, names = forked
    os.utime(folder / "a")
    before = state(folder)
    found = Repository.here(folder)
    found.line(names["one"], names["four"])
    found.change(names["four"])
    found.names(names["four"])

    assert state(folder) == before


def test_a_long_history_is_read_at_once(tmp_path):
    """The line of 20,000 commits is read in a second or two, with each subject at its commit."""
    folder = made(tmp_path / "long")
    stream = "".join(
        f"commit refs/heads/main\ncommitter a <a@example.com> {place} +0000\ndata <<E\ncommit {place}\nE\n\n"
        for place in range(20_000)
    )
    subprocess.run(
        ["git", "-C", str(folder), "fast-import", "--quiet"],
        input=stream.encode(), env={**environment(), **WHO}, check=True,
    )  # fmt: skip
    found = Repository.here(folder)
    begun = time.monotonic()
    line = found.line(None, found.resolve("main"))

    assert [each.subject for each in line] == [f"commit {place}" for place in range(20_000)]
    assert time.monotonic() - begun < 10
    assert line[0].tree == line[-1].tree
