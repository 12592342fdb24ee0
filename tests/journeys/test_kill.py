"""SIGKILL at any moment: no file at a final name that does not load, and no service running."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from conftest import NAMES, ROOT, environment, leaderboard, processes

from replaykit.reader import read

MOMENTS = 8


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


RECORDINGS = 200
WRITING = """
import mmap, os, random, signal, sys, time
from pathlib import Path

sys.path.insert(0, "tests")
from test_bundle import interaction, provenance, trace
from replaykit.reader import read
from replaykit.writer import Writer

folder, draw = Path(sys.argv[1]), random.Random(3)
made = trace("\\u20ac {owner~1}", nonce="ab")
one = interaction("x" * 500)


def record(path, told):
    with Writer(path.with_suffix(".partial")) as writer:
        while True:
            told[:8] = bytes(8)
            writer.rewind()
            writer.begin(provenance())
            for number in range(draw.randrange(200)):
                writer.interaction("reset", None, one)
                told[:8] = (number + 1).to_bytes(8, "big")
            writer.write(made)
            if draw.random() < 0.3:
                told[:8] = bytes(8)
                writer.save(path)


for turn in range(int(sys.argv[2])):
    path = folder / f"{turn}.pd"
    told = mmap.mmap(-1, 8)
    child = os.fork()
    if not child:
        draw.seed(turn)
        record(path, told)
    while not path.with_suffix(".partial").exists():
        time.sleep(0.0002)
    time.sleep(draw.random() * 0.03)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    reported = int.from_bytes(told[:8], "big")
    partial = path.with_suffix(".partial")
    written = partial.read_bytes() if partial.exists() else b""
    try:
        found = read(partial) if written else None
        kept = len(found.trace.interactions()) if found else 0
    except Exception:
        kept = -1 if written.count(b"\\n") > 1 else 0
    saved = path.exists()
    print(os.WTERMSIG(status), reported, kept, written.count(b"\\n- "), saved, saved and read(path).whole)
"""


def test_every_line_that_was_written_is_kept_at_each_of_200_moments(tmp_path: Path):
    """Killed while it writes, a recording is read up to its last complete line; what has its final name is whole."""
    done = subprocess.run(
        [sys.executable, "-c", WRITING, str(tmp_path), str(RECORDINGS)],
        cwd=ROOT, env=environment(PYTHONPATH=str(ROOT)), capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    moments = [(int(reported), int(kept), int(lines)) for _, reported, kept, lines, *_ in rows]

    assert len(rows) == RECORDINGS
    assert {"9"} == {row[0] for row in rows}
    assert [] == [each for each in moments if each[1] < each[0] or each[1] < each[2] - 1]
    assert all(whole == "True" for *_, saved, whole in rows if saved == "True")
    assert sum(kept > 0 for _, kept, _ in moments) > RECORDINGS // 2
    assert any(saved == "True" for *_, saved, _ in rows)
