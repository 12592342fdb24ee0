"""Environments: made once for each key, and used again."""

import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import environment

from replaykit.environments import Environments, home
from replaykit.errors import MachineError, UnbuildableError, UsageError

YEAR = 365 * 24 * 3600


def written(folder: Path) -> None:
    """Make an environment with a file in it."""
    folder.mkdir()
    (folder / "file").write_text("made")


def test_one_is_made_for_each_key(tmp_path: Path):
    """The second who asks for a key has the folder of the first, another key has another one."""
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        written(folder)

    with Environments(tmp_path) as first, Environments(tmp_path) as second:
        folders = [first.made("a", make), first.made("a", make), second.made("a", make), second.made("../b", make)]

    assert [folders[0], folders[3]] == made
    assert [made[0]] * 3 == folders[:3]
    assert [tmp_path] * 2 == [folder.parent for folder in made]


def test_what_could_not_be_made_is_made_anew(tmp_path: Path):
    """Where making fails, nothing stays, and the next one who asks makes it."""

    def fail(folder: Path) -> None:
        written(folder)
        raise UnbuildableError("no")

    with Environments(tmp_path) as environments:
        with pytest.raises(UnbuildableError):
            environments.made("a", fail)
        assert [] == [path for path in tmp_path.iterdir() if path.is_dir()]

        assert "made" == (environments.made("a", written) / "file").read_text()


MAKER = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    from replaykit.environments import Environments
    def make(folder):
        folder.mkdir()
        with open(sys.argv[2], "a") as marks:
            marks.write("made\\n")
        time.sleep(float(sys.argv[3]))
        (folder / "whole").touch()
    environments = Environments(Path(sys.argv[1]))
    print((environments.made("a", make) / "whole").exists(), flush=True)
    sys.stdin.read()
    """
)


def maker(folder: Path, marks: Path, seconds: float) -> "subprocess.Popen[str]":
    """Start a process that asks for an environment, which takes a while to make."""
    return subprocess.Popen(
        [sys.executable, "-c", MAKER, str(folder), str(marks), str(seconds)], env=environment(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip


def test_of_several_processes_one_makes_it(tmp_path: Path):
    """Who comes while it is made waits, and has it whole."""
    marks = tmp_path / "marks"
    processes = [maker(tmp_path / "home", marks, 0.3) for _ in range(3)]
    said = [process.communicate("")[0] for process in processes]

    assert ["True\n"] * 3 == said
    assert "made\n" == marks.read_text()


def test_of_several_threads_one_makes_it(tmp_path: Path):
    """Threads of one process wait for each other too."""
    made: list[Path] = []
    given: list[Path] = []

    def make(folder: Path) -> None:
        time.sleep(0.05)
        made.append(folder)

    with Environments(tmp_path) as environments:
        threads = [threading.Thread(target=lambda: given.append(environments.made("a", make))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert made * 4 == given


def test_what_a_killed_process_left_is_made_anew(tmp_path: Path):
    """An environment whose maker was killed has no mark, and is not used."""
    marks = tmp_path / "marks"
    process = maker(tmp_path / "home", marks, 60)
    while not marks.exists():
        time.sleep(0.01)
    process.kill()
    process.communicate()

    with Environments(tmp_path / "home") as environments:
        [left] = [path for path in (tmp_path / "home").iterdir() if path.is_dir()]
        folder = environments.made("a", written)

    assert left == folder
    assert ["file"] == [path.name for path in folder.iterdir()]


def test_old_ones_are_removed_unless_they_are_used(tmp_path: Path):
    """What nobody has used for long goes, with all beside it; what somebody uses stays, and what is new."""
    with Environments(tmp_path) as environments:
        used = environments.made("used", written)
        with Environments(tmp_path) as others:
            old, new = others.made("old", written), others.made("new", written)
        old.chmod(0o500)
        for folder in (used, old):
            os.utime(tmp_path / f"{folder.name}.made", (time.time() - YEAR,) * 2)

        assert 1 == environments.sweep()
        assert [used.exists(), old.exists(), new.exists()] == [True, False, True]
        assert not any(path.name.startswith(old.name) for path in tmp_path.iterdir())


def test_nothing_is_swept_where_there_is_nothing(tmp_path: Path):
    """A folder that is not there yet has nothing to remove."""
    assert 0 == Environments(tmp_path / "none").sweep()


def test_a_place_that_can_not_be_written_is_trouble_of_the_machine(tmp_path: Path):
    """Where no folder can be made, it is said which, and what to do."""
    (tmp_path / "file").touch()

    with pytest.raises(MachineError, match="No environment can be kept in"):
        Environments(tmp_path / "file").made("a", written)


def test_they_are_kept_in_the_folder_of_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """XDG_CACHE_HOME says where, if it is a path in full; else it is below the user's home."""
    monkeypatch.setenv("HOME", "/home/a")
    homes = []
    for said in (str(tmp_path), "caches", ""):
        monkeypatch.setenv("XDG_CACHE_HOME", said)
        homes.append(home())

    usual = Path("/home/a/.cache/replaykit/environments")
    assert [tmp_path / "replaykit" / "environments", usual, usual] == homes


# --- lent ---------------------------------------------------------------------------------------


def test_what_is_lent_is_nobody_elses(tmp_path: Path):
    """Two who borrow the same one at once have one each; who comes later has the first one again."""
    with Environments(tmp_path) as environments:
        with environments.lent("a", written) as one, environments.lent("a", written) as other:
            assert one != other
            assert 0 == environments.sweep(-1.0)
        made = (one / "file").stat().st_mtime_ns
        with environments.lent("a", written) as again:
            assert (one, made) == (again, (again / "file").stat().st_mtime_ns)
        (tmp_path / "other").mkdir()

        assert 3 == environments.sweep(-1.0)
        assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "file").write_text("mine"),
        lambda folder: (folder / "lib" / "more").touch(),
        lambda folder: (folder / "lib").rename(folder / "gone"),
        lambda folder: (folder / "file").unlink(),
    ],
)
def test_what_was_changed_by_who_borrowed_it_is_made_anew(tmp_path: Path, change: Callable[[Path], object]):
    """Nothing of it reaches the next one, also where the borrower fails; byte code is no change."""

    def make(folder: Path) -> None:
        written(folder)
        (folder / "lib").mkdir()
        made.append(folder)

    made: list[Path] = []
    environments = Environments(tmp_path)
    with environments.lent("a", make) as folder:
        (folder / "lib" / "__pycache__").mkdir()
    with pytest.raises(KeyError), environments.lent("a", make) as folder:
        change(folder)
        raise KeyError
    assert not folder.exists()
    with environments.lent("a", make) as folder:
        assert ["file", "lib"] == sorted(path.name for path in folder.iterdir())

    assert 2 == len(made)


def test_what_could_not_be_made_is_not_lent(tmp_path: Path):
    """Where making fails, nothing stays; nor does what was lent to a process that was killed."""

    def fail(folder: Path) -> None:
        written(folder)
        raise UnbuildableError("no")

    environments = Environments(tmp_path)
    with pytest.raises(UnbuildableError), environments.lent("a", fail):
        pass
    assert [] == [path for path in tmp_path.iterdir() if path.is_dir()]
    with environments.lent("a", written) as folder:
        pass
    folder.with_name(f"{folder.name}.made").unlink()
    (folder / "more").touch()
    with environments.lent("a", written) as again:
        assert (folder, False) == (again, (again / "more").exists())


def test_without_a_home_it_is_said_what_to_set(monkeypatch: pytest.MonkeyPatch):
    """Nobody asks for it who wants no environment."""
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    environments = Environments()
    assert 0 == environments.sweep()
    environments.close()

    with pytest.raises(UsageError, match="no home directory"):
        environments.home  # noqa: B018
