"""The command line that is forked does what one does that starts from nothing."""

import subprocess
import time
from pathlib import Path
from uuid import uuid4

import pytest
from conftest import ROOT, processes, replaykit

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


def test_forked_command_that_takes_too_long_is_ended():
    """After the time it has, it is killed, and its service ends with it; the test is told."""
    mark = uuid4().hex
    sleepy = f"python -c 'import time; time.sleep(60)' {{port}} {mark}"
    with pytest.raises(subprocess.TimeoutExpired):
        replaykit("replay", BUNDLE, "--start", sleepy, timeout=3)
    deadline = time.monotonic() + 10
    while processes(mark) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert [] == processes(mark)
