"""The command line that is forked does what one does that starts from nothing."""

import subprocess
import time
from pathlib import Path
from uuid import uuid4

import pytest
from conftest import ROOT, nursery, processes, replaykit

BUNDLE = ROOT / "failures/leaderboard/ghost-player.pd"


@pytest.mark.parametrize(
    ("arguments", "more"),
    [
        (["replay", BUNDLE, "--offline"], {}),
        (["integration", "--model", "here:Nothing"], {"PYTHONPATH": "elsewhere"}),
        (["config", "integration", "--mock"], {"REPLAYKIT_RUNS": "3", "REPLAYKIT_QUIET": "1"}),
        (["replay", "no\nsuch.pd"], {}),
    ],
    ids=["replay", "import", "environment", "error"],
)
def test_forked_command_ends_and_prints_as_one_from_nothing(
    arguments: list[object], more: dict[str, str], tmp_path: Path
):
    """Exit code, output, folder, environment and import path are those of `python -m replaykit`."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "here.py").write_text("Nothing = 1\n")
    (tmp_path / "pyproject.toml").symlink_to(ROOT / "pyproject.toml")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    forked, started = (replaykit(*arguments, cwd=tmp_path, anew=anew, **more) for anew in (False, True))

    assert started == forked
    assert started.code in {0, 1, 128, 129}


def open_files() -> int:
    """Count what this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("timeout", [3, 0], ids=["while it runs", "before it is there"])
def test_forked_command_that_takes_too_long_is_ended(timeout: float):
    """After the time it has, it is killed, and its service ends with it; the test is told, and nothing stays open."""
    nursery()
    mark, before = uuid4().hex, open_files()
    sleepy = f"python -c 'import time; time.sleep(60)' {{port}} {mark}"
    with pytest.raises(subprocess.TimeoutExpired):
        replaykit("replay", BUNDLE, "--start", sleepy, timeout=timeout)
    after = open_files()
    time.sleep(1)  # what was not ended starts its service
    deadline = time.monotonic() + 10
    while processes(mark) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert [] == processes(mark)
    assert before == after


def test_forked_command_whose_end_nobody_tells_is_an_error(tmp_path: Path):
    """Where the process that waits for a command is killed, that is said."""
    lines = ["import os, signal", "from replaykit import Model", "class Gone(Model): pass"]
    (tmp_path / "here.py").write_text("\n".join([*lines, "os.kill(os.getppid(), signal.SIGKILL)"]))
    (tmp_path / "pyproject.toml").touch()
    with pytest.raises(ChildProcessError, match="was ended, and told nothing but"):
        replaykit("integration", "--model", "here:Gone", "--mock", cwd=tmp_path)
