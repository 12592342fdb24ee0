"""SIGKILL at any moment: no file at a final name that does not load, and no service running."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from conftest import NAMES, ROOT, environment, leaderboard, processes

from replaykit.reader import read

MOMENTS = 12


def test_killed_campaign_leaves_whole_bundles_and_no_service(tmp_path: Path):
    """Killed at random moments, a campaign leaves bundles that load, perhaps a partial file, and no process."""
    draw = random.Random(11)
    for turn in range(MOMENTS):
        folder = tmp_path / str(turn)
        mark = f"--host 127.0.0.{turn + 2}"
        start = f"{leaderboard('score-cap', 'tie-order', 'ignore-case')} {mark}"
        process = subprocess.Popen(
            [sys.executable, "-m", "replaykit", "integration", *NAMES, "--url", f"http://127.0.0.{turn + 2}:47321",
             "--start", start.replace("{port}", "47321"), "--runs", "100000", "--save-failures", folder],
            cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        with process:
            deadline = time.monotonic() + 20
            while not folder.exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(draw.random() * 1.5)
            assert process.poll() is None
            process.send_signal(signal.SIGKILL)
        for path in folder.glob("*.pd"):
            assert read(path).whole, path
        for path in folder.glob(".*"):
            assert path.name.endswith(".partial")
        deadline = time.monotonic() + 15
        while processes(mark) and time.monotonic() < deadline:
            time.sleep(0.05)

        assert [] == processes(mark)
