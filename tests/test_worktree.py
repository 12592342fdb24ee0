"""Worktree: commits are laid out in a place of ours, and nothing of the user's is touched, even by SIGKILL."""

import os
import random
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT, environment, processes
from repositories import blob, commit, git, made, state

from replaykit import worktree
from replaykit.axis import Point
from replaykit.errors import MachineError, UnbuildableError, UsageError
from replaykit.repository import Repository
from replaykit.worktree import Trees, sweep

KINDS = ["worktree", "clone"]


def at(name: str) -> Point:
    """Make the point of a commit."""
    return Point(id=name, name=name[:10])


def seen(folder: Path) -> dict[str, str]:
    """Return the files of a tree, without what ties it to its repository."""
    return {
        str(path.relative_to(folder)): path.read_text() if not path.is_symlink() else f"-> {path.readlink()}"
        for path in sorted(folder.rglob("*"))
        if (path.is_file() or path.is_symlink()) and ".git" not in path.relative_to(folder).parts
    }


@pytest.fixture
def shop(tmp_path: Path) -> tuple[Path, list[str]]:
    """Give a repository with three commits, in which the user has work in progress, and the hashes."""
    folder = made(tmp_path / "shop")
    hashes = [
        commit(folder, "one", {"app.py": "1", "svc/x": "1"}),
        commit(folder, "two", {"app.py": "2", "b": "2", "d/e": "2"}),
    ]
    (folder / "d" / "e").unlink()
    (folder / "b").unlink()
    hashes.append(commit(folder, "three", {"app.py": "3", ".gitignore": "*.log\n"}))
    (folder / "app.py").write_text("changed")
    (folder / "new").write_text("staged")
    git(folder, "add", "new")
    (folder / "mine.log").write_text("untracked")
    hook = folder / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path / 'hooked'}\n")
    hook.chmod(0o755)
    git(folder, "bisect", "start", hashes[2], hashes[0], "--no-checkout")
    (tmp_path / "hooked").unlink(missing_ok=True)
    return folder, hashes


@pytest.mark.parametrize("kind", KINDS)
def test_commits_are_laid_out_and_nothing_of_the_user_is_touched(shop, tmp_path, kind):
    """Each commit is there as it was made, the user's repository is byte for byte as before, and no hook ran."""
    folder, hashes = shop
    before = state(folder)
    with Trees(Repository.here(folder), tmp_path / "trees", kind).lane(0) as site:
        laid = []
        for name in (hashes[1], hashes[0], hashes[2]):
            site.lay(at(name))
            laid.append(seen(site.folder))
        listed = git(folder, "worktree", "list", "--porcelain")
        user = {name: each for name, each in state(folder).items() if not name.startswith(".git/worktrees/")}

        assert user == before

    assert laid == [
        {"app.py": "2", "b": "2", "d/e": "2", "svc/x": "1"},
        {"app.py": "1", "svc/x": "1"},
        {".gitignore": "*.log\n", "app.py": "3", "svc/x": "1"},
    ]
    assert ("locked replaykit bisect " in listed) == (kind == "worktree")
    assert state(folder) == before
    assert list((tmp_path / "trees").iterdir()) == []
    assert not (folder / ".git" / "worktrees").exists()
    assert not (tmp_path / "hooked").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_one_commit_reaches_the_next(shop, tmp_path, kind):
    """What a build leaves is gone at the next commit, except for what is kept, and links are not followed."""
    folder, hashes = shop
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("p")
    (outside / "precious").chmod(0o400)
    with Trees(Repository.here(folder), tmp_path / "trees", kind, keep=["node_modules", "out/c [1]"]).lane(0) as site:
        site.lay(at(hashes[2]))
        for name in ("a.log", "svc/__pycache__/x.pyc", "node_modules/m/i.js", "out/c [1]/kept", "out/c 1/o", "out/x"):
            (site.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (site.folder / name).write_text("left")
        made(site.folder / "nested")
        (site.folder / "app.py").write_text("9")
        (site.folder / "app.py").chmod(0o400)
        (site.folder / "b").mkdir()  # where the next commit has a file
        (site.folder / "b" / "deep").write_text("left")
        (site.folder / "link").symlink_to(outside)
        (site.folder / "svc" / "x").unlink()
        (site.folder / "svc" / "x").symlink_to(outside / "precious")
        (site.folder / "closed" / "in").mkdir(parents=True)
        (site.folder / "closed" / "in" / "f").write_text("left")
        (site.folder / "closed").chmod(0o500)
        site.lay(at(hashes[1]))

        assert seen(site.folder) == {
            "app.py": "2", "b": "2", "d/e": "2", "node_modules/m/i.js": "left", "out/c [1]/kept": "left", "svc/x": "1",
        }  # fmt: skip
        assert not (site.folder / "nested").exists()

    assert (outside / "precious").read_text() == "p"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("harm", ["removed", "another repository", "link", "lock", "assumed", "skipped"])
def test_what_a_build_does_to_git_harms_nobody(shop, tmp_path, kind, harm):
    """Whatever a build makes of `.git`, the next commit is laid out, and no other repository is cleaned."""
    folder, hashes = shop
    before = state(folder)
    with Trees(Repository.here(folder), tmp_path / "trees", kind).lane(0) as site:
        site.lay(at(hashes[0]))
        link = site.folder / ".git"
        if harm == "lock":
            Path(git(site.folder, "rev-parse", "--absolute-git-dir"), "index.lock").write_text("")
        elif harm in {"assumed", "skipped"}:
            flag = "--assume-unchanged" if harm == "assumed" else "--skip-worktree"
            names = ["svc/x"] if harm == "skipped" else ["svc/x", "app.py"]
            git(site.folder, "update-index", flag, *names)
            for name in names:
                (site.folder / name).write_text("9")
        else:
            link.unlink()
        if harm == "another repository":
            git(site.folder, "init", "-q")
        elif harm == "link":
            link.symlink_to(folder / ".git")
        site.lay(at(hashes[1]))

        assert seen(site.folder) == {"app.py": "2", "b": "2", "d/e": "2", "svc/x": "1"}
        assert git(site.folder, "rev-parse", "HEAD") == hashes[1]

    assert state(folder) == before


@pytest.mark.parametrize("what", ["blob", "tree", "folder", "commit"])
def test_a_commit_of_which_something_is_missing_can_not_be_built(shop, tmp_path, what):
    """A commit of which an object is missing is no trouble of the machine, and the next one is laid out."""
    folder, hashes = shop
    blob(
        folder,
        {"blob": f"{hashes[1]}:b", "tree": f"{hashes[1]}^{{tree}}", "folder": f"{hashes[1]}:d", "commit": hashes[1]}[
            what
        ],
    ).unlink()
    with Trees(Repository.here(folder), tmp_path / "trees").lane(0) as site:
        site.lay(at(hashes[0]))
        with pytest.raises(UnbuildableError) as caught:
            site.lay(at(hashes[1]))
        site.lay(at(hashes[2]))

        assert seen(site.folder) == {".gitignore": "*.log\n", "app.py": "3", "svc/x": "1"}

    assert f"{hashes[1][:10]} can't be checked out" in caught.value.happened
    assert caught.value.log


def test_a_commit_whose_files_the_system_can_not_have_can_not_be_built(shop, tmp_path):
    """A file name that is too long for the system is the commit's fault."""
    folder, hashes = shop
    empty = git(folder, "hash-object", "-t", "blob", "-w", "/dev/null")
    listing = f"100644 blob {empty}\t{'n' * 300}\n"
    words = ["git", "-C", str(folder), "mktree"]
    tree = subprocess.run(words, input=listing, capture_output=True, text=True, check=True, env=environment()).stdout
    name = git(folder, "commit-tree", "-m", "long", "-p", hashes[0], tree.strip())
    with Trees(Repository.here(folder), tmp_path / "trees").lane(0) as site:
        with pytest.raises(UnbuildableError, match="too long"):
            site.lay(at(name))
        site.lay(at(hashes[0]))

        assert seen(site.folder) == {"app.py": "1", "svc/x": "1"}


def test_a_partial_clone_says_how_to_be_whole(shop, tmp_path):
    """Nothing is fetched while commits are laid out; the command that is named helps."""
    folder, hashes = shop
    git(folder, "config", "uploadpack.allowFilter", "true")
    part = tmp_path / "part"
    git(tmp_path, "clone", "-q", "--filter=blob:none", f"file://{folder}", str(part))
    with Trees(Repository.here(part), tmp_path / "trees").lane(0) as site:
        with pytest.raises(UnbuildableError, match="checked out: fatal: could not fetch") as failed:
            site.lay(at(hashes[1]))
        command = failed.value.todo.rpartition(": ")[2]
        git(part, *shlex.split(command)[1:], "-q")
        site.lay(at(hashes[1]))

        assert "git fetch --refetch --no-filter" == command


def test_a_repository_may_lie_at_a_path_that_is_no_text(tmp_path):
    """Paths are bytes, and need be no UTF-8; what a killed bisect left there is found too."""
    place = tmp_path / os.fsdecode(b"caf\xe9")
    try:
        folder = made(place)
    except OSError:
        pytest.skip("this system has no such paths")
    hashed = commit(folder, "one", {"a": "1"})
    repository = Repository.here(folder)
    with Trees(repository, place / "trees").lane(0) as site:
        site.lay(at(hashed))
        (site.folder / ".git").unlink()
        site.lay(at(hashed))

        assert "1" == (site.folder / "a").read_text()
        assert os.fsencode(repository.common) in (site.folder / ".git").read_bytes()
    assert [] == sweep(repository, place / "trees")


def test_commands_run_where_the_user_is_below_the_top(shop, tmp_path):
    """The folder is that of the user below the top; a commit without it, or with a link there, can't be built."""
    folder, hashes = shop
    git(folder, "stash", "-q")
    git(folder, "bisect", "reset", hashes[2])
    (folder / "svc" / "x").unlink()
    without = commit(folder, "without")
    (folder / "svc").rmdir() if (folder / "svc").exists() else None
    (folder / "svc").symlink_to(tmp_path)
    outside = commit(folder, "outside")
    (folder / "svc").unlink()
    git(folder, "checkout", "-q", hashes[2])
    with Trees(Repository.here(folder / "svc"), tmp_path / "trees", keep=["cache", "../out"]).lane(0) as site:
        site.lay(at(hashes[0]))
        (site.folder / "cache").mkdir()
        (site.folder / "cache" / "kept").write_text("k")
        (site.folder.parent / "out").mkdir()
        (site.folder.parent / "out" / "kept").write_text("k")
        site.lay(at(hashes[1]))

        assert seen(site.folder) == {"cache/kept": "k", "x": "1"}
        assert (site.folder.parent / "out" / "kept").exists()
        (site.folder / "cache" / "kept").unlink()
        (site.folder / "cache").rmdir()
        for name in (without, outside):
            with pytest.raises(UnbuildableError):
                site.lay(at(name))


@pytest.mark.parametrize("path", ["..", "/etc", "", ".", "../../x", ".git", "a\nb"])
def test_what_is_kept_lies_in_the_checkout(shop, tmp_path, path):
    """A folder to keep that is not below the top is refused before anything is made."""
    folder, _ = shop
    with pytest.raises(UsageError):
        Trees(Repository.here(folder), tmp_path / "trees", keep=[path])


def test_variables_lead_into_the_tree(shop, tmp_path, monkeypatch):
    """No variable of git's, and no path of Python's, leads from the tree into the user's checkout."""
    folder, _ = shop
    monkeypatch.setenv("GIT_DIR", str(folder / ".git"))
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path))
    (tmp_path / "link").symlink_to(folder)
    paths = [str(folder / "src"), "lib", str(tmp_path), str(tmp_path / "link" / "src")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    with Trees(Repository.here(folder), tmp_path / "trees").lane(0) as site:
        variables = site.variables
        moved = os.pathsep.join([str(site.folder / "src"), "lib", str(tmp_path), str(site.folder / "src")])

        assert variables["PYTHONPATH"] == moved
        assert variables["PWD"] == str(site.folder)
    assert not {"GIT_DIR", "PYTHONPYCACHEPREFIX"} & set(variables)
    assert variables["PATH"] == os.environ["PATH"]


def test_a_hook_and_a_linked_worktree_are_places_to_start_from(shop, tmp_path, monkeypatch):
    """From a linked worktree of the user's, with the variables of a hook, the user's own ones stay as they were."""
    folder, hashes = shop
    linked = tmp_path / "linked"
    git(folder, "worktree", "add", "-q", str(linked), "-b", "other", hashes[1])
    (linked / "b").write_text("changed")
    own = git(linked, "rev-parse", "--absolute-git-dir")
    monkeypatch.setenv("GIT_DIR", own)
    monkeypatch.setenv("GIT_INDEX_FILE", f"{own}/index")
    monkeypatch.setenv("GIT_WORK_TREE", str(linked))
    before = state(folder), state(linked)
    with Trees(Repository.here(linked), tmp_path / "trees").lane(0) as site:
        site.lay(at(hashes[0]))

        assert seen(site.folder) == {"app.py": "1", "svc/x": "1"}

    assert (state(folder), state(linked)) == before


def test_a_repository_that_takes_no_worktree_is_cloned(shop, tmp_path, monkeypatch):
    """Where no worktree can be added, a clone of ours does, unless a worktree was asked for."""
    folder, hashes = shop
    monkeypatch.setattr(worktree, "PAUSES", (0.01, 0.01))
    (folder / ".git" / "worktrees").write_text("in the way")
    before = state(folder)
    with Trees(Repository.here(folder), tmp_path / "trees").lane(0) as site:
        site.lay(at(hashes[0]))

        assert seen(site.folder) == {"app.py": "1", "svc/x": "1"}
    with pytest.raises(MachineError), Trees(Repository.here(folder), tmp_path / "trees", "worktree").lane(0):
        pass

    assert state(folder) == before
    assert list((tmp_path / "trees").iterdir()) == []


def test_a_sparse_checkout_of_the_user_is_not_that_of_the_tree(shop, tmp_path):
    """All files of a commit are laid out, though the user looks at some only."""
    folder, hashes = shop
    git(folder, "stash", "-q")
    git(folder, "sparse-checkout", "set", "svc")
    with Trees(Repository.here(folder), tmp_path / "trees").lane(0) as site:
        site.lay(at(hashes[1]))

        assert seen(site.folder) == {"app.py": "2", "b": "2", "d/e": "2", "svc/x": "1"}
    assert (folder / "app.py").exists()


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Give a repository with a submodule in a submodule, that moves and goes, and the hashes of its commits."""
    base = tmp_path_factory.mktemp("nested")
    deep, part, shop = made(base / "deep"), made(base / "part"), made(base / "shop")
    commit(deep, "deep", {"d": "1"})
    allowed = ("-c", "protocol.file.allow=always", "submodule", "--quiet")
    commit(part, "part", {"p": "1"})
    git(part, *allowed, "add", str(deep), "in/deep")
    commit(part, "part 2", {"p": "2"})
    hashes = [commit(shop, "none", {"app.py": "0"})]
    git(shop, *allowed, "add", str(part), "lib/part")
    git(shop, *allowed, "update", "--init", "--recursive")
    hashes.append(commit(shop, "new", {"app.py": "1"}))
    git(shop / "lib" / "part", "checkout", "-q", "HEAD~1")
    hashes.append(commit(shop, "old", {"app.py": "2"}))
    deep.rename(base / "moved")  # no clone of theirs is needed
    part.rename(base / "moved too")
    return shop, hashes


@pytest.mark.parametrize("kind", KINDS)
def test_submodules_are_laid_out_from_what_the_user_has(nested, tmp_path, kind):
    """Submodules, and those inside of them, stand at what each commit says, come from here alone, and go again."""
    folder, hashes = nested
    before = state(folder)
    with Trees(Repository.here(folder), tmp_path / "trees", kind).lane(0) as site:
        laid = []
        for name in (hashes[1], hashes[2], hashes[0], hashes[1]):
            site.lay(at(name))
            laid.append({each: text for each, text in seen(site.folder).items() if each != ".gitmodules"})
            (site.folder / "lib" / "part").mkdir(parents=True, exist_ok=True)
            (site.folder / "lib" / "part" / "left").write_text("left")

    whole = {"app.py": "1", "lib/part/in/deep/d": "1", "lib/part/p": "2", "lib/part/.gitmodules": "x"}
    assert [sorted(each) for each in laid] == [sorted(whole), ["app.py", "lib/part/p"], ["app.py"], sorted(whole)]
    assert [each.get("lib/part/p") for each in laid] == ["2", "1", None, "2"]
    assert state(folder) == before


def test_a_submodule_that_is_not_here_can_not_be_built(nested, tmp_path):
    """A clone without its submodules has commits that can't be built, and others that can."""
    folder, hashes = nested
    git(tmp_path, "clone", "-q", str(folder), "clone")
    with Trees(Repository.here(tmp_path / "clone"), tmp_path / "trees").lane(0) as site:
        with pytest.raises(UnbuildableError, match="submodule lib/part"):
            site.lay(at(hashes[1]))
        site.lay(at(hashes[0]))

        assert seen(site.folder) == {"app.py": "0"}


LAYING = """
import pathlib, sys
from replaykit.axis import Point
from replaykit.repository import Repository
from replaykit.worktree import Trees
here, home, kind, *hashes = sys.argv[1:]
repository = Repository.here(pathlib.Path(here))
print("here", flush=True)
for _ in range(1000):
    with Trees(repository, pathlib.Path(home) / "one" / "trees", kind).lane(0) as site:
        for name in hashes:
            site.lay(Point(id=name, name=name))
"""


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_a_killed_bisect_leaves_is_swept(shop, tmp_path, kind):
    """Killed at any moment, nothing of the user's is changed, and the next start removes all that is left."""
    folder, hashes = shop
    git(folder, "worktree", "add", "-q", "--detach", "--lock", "--reason", "mine", str(tmp_path / "mine"))
    repository = Repository.here(folder)
    before = state(folder)
    words = [sys.executable, "-c", LAYING, str(folder), str(tmp_path / "home"), kind, *hashes]
    chance, left = random.Random(8), 0
    for _ in range(4):
        process = subprocess.Popen(
            words, env={**environment(), "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, start_new_session=True
        )
        with process:
            assert process.stdout
            assert process.stdout.readline() == b"here\n"
            time.sleep(chance.uniform(0, 0.12))
            assert process.poll() is None
            process.kill()
        deadline = time.monotonic() + 5
        while processes(str(tmp_path / "home")) and time.monotonic() < deadline:
            time.sleep(0.01)
        user = {name: each for name, each in state(folder).items() if name in before}
        left += len(sweep(repository, tmp_path / "home"))

        assert user == before
        assert state(folder) == before
        for path in (tmp_path / "home" / "one" / "trees").glob("*"):  # killed before there was anything to claim
            assert path.name.endswith(".claim.partial")
            os.utime(path, (1, 1))

    assert left > 0
    assert sweep(repository, tmp_path / "home") == []
    assert list((tmp_path / "home" / "one" / "trees").iterdir()) == []


def test_only_what_dead_ones_of_ours_left_is_swept(shop, tmp_path):
    """A tree of a bisect that lives stays, as do those of another machine and of the user."""
    folder, hashes = shop
    repository = Repository.here(folder)
    git(folder, "worktree", "add", "-q", "--detach", str(tmp_path / "mine"))
    git(folder, "worktree", "add", "-q", "--detach", str(tmp_path / "gone"))
    for path in sorted((tmp_path / "gone").rglob("*"), reverse=True):
        path.unlink() if not path.is_dir() else path.rmdir()
    (tmp_path / "gone").rmdir()
    reason = "replaykit bisect 1 elsewhere 0-0"
    git(folder, "worktree", "add", "-q", "--detach", "--lock", "--reason", reason, str(tmp_path / "theirs"))
    before = state(folder), state(tmp_path / "theirs")
    with Trees(repository, tmp_path / "home" / "trees").lane(0) as site:
        site.lay(at(hashes[0]))

        assert sweep(repository, tmp_path / "home") == []
        assert seen(site.folder) == {"app.py": "1", "svc/x": "1"}

    assert (state(folder), state(tmp_path / "theirs")) == before


def test_an_entry_without_its_folder_is_swept_though_the_number_is_used_again(shop, tmp_path):
    """What the repository knows of a tree goes where folder and claim are gone, and the process is another one."""
    folder, _ = shop
    pid, host = os.getpid(), os.uname().nodename
    reason = f"replaykit bisect {pid} {host} 1-00000000"
    git(folder, "worktree", "add", "-q", "--detach", "--no-checkout", "--lock", "--reason", reason, str(tmp_path / "t"))
    (tmp_path / "t" / ".git").unlink()
    (tmp_path / "t").rmdir()

    assert sweep(Repository.here(folder), tmp_path / "home") == [tmp_path / "t"]
    assert not (folder / ".git" / "worktrees").exists()


def test_trouble_of_the_machine_is_told_apart(shop, tmp_path, monkeypatch):
    """A folder that can't be made, and a disk without room, are trouble of the machine, and tried again before."""
    folder, hashes = shop
    monkeypatch.setattr(worktree, "PAUSES", (0.01, 0.01))
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError), Trees(Repository.here(folder), tmp_path / "file" / "trees").lane(0):
        pass
    with Trees(Repository.here(folder), tmp_path / "trees").lane(0) as site:
        git(folder, "config", "filter.full.smudge", "echo 'x: No space left on device' >&2; false")
        git(folder, "config", "filter.full.required", "true")
        attributes = folder / ".git" / "info" / "attributes"
        attributes.parent.mkdir(exist_ok=True)
        attributes.write_text("app.py filter=full\n")
        with pytest.raises(MachineError, match="No space left"):
            site.lay(at(hashes[0]))
        attributes.unlink()
        site.lay(at(hashes[0]))

        assert seen(site.folder) == {"app.py": "1", "svc/x": "1"}


def test_trees_side_by_side_are_apart(shop, tmp_path):
    """Several lanes of one bisect stand at commits of their own."""
    folder, hashes = shop
    trees = Trees(Repository.here(folder), tmp_path / "trees")
    with trees.lane(0) as one, trees.lane(1) as two:
        one.lay(at(hashes[0]))
        two.lay(at(hashes[1]))

        assert [(site.folder / "app.py").read_text() for site in (one, two)] == ["1", "2"]


def test_laying_out_a_small_commit_is_quick(shop, tmp_path):
    """A commit of a small repository is laid out in some ten milliseconds: with two calls of git."""
    folder, hashes = shop
    with Trees(Repository.here(folder), tmp_path / "trees").lane(0) as site:
        spent = []
        for place in range(10):
            begun = time.perf_counter()
            site.lay(at(hashes[place % 3]))
            spent.append(time.perf_counter() - begun)

    assert min(spent) < 0.04
