"""Several processes through the command line: exit code first, and nothing is left."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import pytest
from conftest import NAMES, ROOT, environment, leaderboard, processes, replaykit


def begun(mark: str, folder: Path) -> subprocess.Popen[str]:
    """Start a campaign of two processes that goes on for long, in a group of its own, and wait for its first bug."""
    process = subprocess.Popen(
        [
            sys.executable, "-m", "replaykit", "integration", *NAMES, "--jobs", "2", "--runs", "100000", "--seed", "1",
            "--start", f"env MARK={mark} {leaderboard('duplicate-names')}",
            "--save-failures", str(folder),
        ],
        cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if "shrunk to" in line:
            return process
    raise AssertionError(process.wait())


def alive(group: int) -> list[int]:
    """List the processes of a group that have not ended."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, of = entry.read_text().rpartition(") ")[2].split()[:3]
            if int(of) == group and state != "Z":
                found.append(int(entry.parent.name))
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_workers_and_services(number: signal.Signals, tmp_path: Path):
    """Ctrl-C reaches the whole group; the campaign says so and exits with 130, and nothing of it is left."""
    mark = uuid4().hex
    process = begun(mark, tmp_path)
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    out, err = process.communicate(timeout=60)

    assert 128 + number == process.returncode, err
    assert "Traceback" not in err
    assert "VERDICT interrupted" in out
    deadline = time.monotonic() + 15  # the worker that was at work may take a moment
    while processes(mark) + alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert [] == processes(mark) + alive(process.pid)
    assert [] != list(tmp_path.glob("*.pd"))


def test_killed_campaign_leaves_no_worker_and_no_service(tmp_path: Path):
    """With SIGKILL for the campaign's process alone, its workers end by themselves, and their services too."""
    mark = uuid4().hex
    process = begun(mark, tmp_path)
    group, held = process.pid, processes(mark)
    process.kill()
    process.communicate(timeout=60)

    assert len(held) > 2
    deadline = time.monotonic() + 20
    while (left := processes(mark) + alive(group)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [] == left


def test_profile_says_how_many_jobs_and_where(tmp_path: Path):
    """`jobs` and a list of `url` stand in a profile; a job too many is told with 129."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.replaykit.profiles.two]\nmodel = "examples.leaderboard:Leaderboard"\n'
        'adapter = "examples.leaderboard:LeaderboardApi"\njobs = 3\n'
        'url = ["http://127.0.0.1:8", "http://127.0.0.1:9"]\n'
    )
    here = {"cwd": tmp_path, "PYTHONPATH": str(ROOT)}
    three = replaykit("integration", "--profile", "two", **here)
    two = replaykit("integration", "--profile", "two", "--jobs", "2", "--health-timeout", "0.2", **here)
    one = replaykit(
        "integration", "--profile", "two", "--url", "http://127.0.0.1:9", "--jobs", "1", "--health-timeout", "0.2",
        **here,
    )  # fmt: skip

    assert (129, 125, 125) == (three.code, two.code, one.code), three.err + two.err + one.err
    assert "3 jobs can't share 2 services" in three.err
    assert 1 == two.err.count("error[unreachable]")
    assert "Traceback" not in two.err


def test_script_of_the_guide_runs_as_it_stands(tmp_path: Path):
    """The script that the guide shows makes its runs with two workers."""
    page = (ROOT / "docs" / "guides" / "many-machines.md").read_text(encoding="utf-8")
    script = tmp_path / "campaign.py"
    script.write_text(page.split("```python\n")[1].split("```")[0])
    ran = subprocess.run(
        [sys.executable, script], cwd=ROOT, env=environment(PYTHONPATH=str(ROOT)), capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip

    assert (0, "20 2\n") == (ran.returncode, ran.stdout), ran.stderr
