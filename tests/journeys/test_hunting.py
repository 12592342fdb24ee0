"""Hunts through the command line: exit code first."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import NAMES, ROOT, environment, leaderboard, replaykit

from replaykit.cli.hunting import resuming

START = ("--start", leaderboard("duplicate-names", "score-cap", "tie-order"), "--commands", "20", "--quiet")
USUAL = (*NAMES, *START)


def ran(*arguments: object, cwd: Path):
    """Run a hunt in a folder that is a project of its own."""
    return replaykit("integration", *arguments, cwd=cwd, PYTHONPATH=str(ROOT))


def test_hunt_finds_so_many_bugs_and_says_why_it_ended(tmp_path: Path):
    """A hunt for two bugs exits with 1 and their bundles; in the same folder, they are known afterwards."""
    first = ran(*USUAL, "--hunt", "2", "--seed", "3", "--save-failures", "bugs", cwd=tmp_path)
    bundles = sorted((tmp_path / "bugs").glob("*.pd"))
    again = ran(*USUAL, "--hunt", "1", "--runs", "2", "--seed", "3", "--save-failures", "bugs", cwd=tmp_path)
    elsewhere = ran(*USUAL, "--runs", "2", "--seed", "3", "--known", "bugs", cwd=tmp_path)

    assert (1, 1, 1) == (first.code, again.code, elsewhere.code), first.err
    assert first.verdict.startswith("VERDICT failed: found 2 distinct failures in ")
    assert first.verdict.endswith("; 2 of 2 bugs are found (exit 1)")
    assert 2 == len(bundles)
    assert "\nDiscoveries:\n    1  run      1 " in first.out
    for ended in (again, elsewhere):
        assert "KNOWN " in ended.out
        assert f"its bundle is {bundles[0].relative_to(tmp_path)}" in ended.out + bundles[0].name
        assert "again in 2 runs, and found nothing new (exit 1)" in ended.verdict
    assert bundles == sorted((tmp_path / "bugs").glob("*.pd"))


def test_hunt_without_bugs_ends_at_its_plateau_with_0(tmp_path: Path):
    """A hunt that finds nothing ends after so many runs, exits with 0, and says of no number of runs."""
    ended = ran(
        *NAMES, "--start", leaderboard(), "--commands", "3", "--hunt", "1", "--plateau", "7", cwd=tmp_path
    )  # fmt: skip

    assert 0 == ended.code, ended.err
    assert "VERDICT passed: 7 runs, nothing found; nothing new in the last 7 runs (exit 0)" == ended.verdict
    assert "\n7 runs, 7 passed" in f"\n{ended.out}"


def test_hunt_that_is_interrupted_goes_on(tmp_path: Path):
    """Ctrl-C exits with 130; with --resume the hunt goes on after the runs that are there, and says so."""
    goal = (*USUAL, "--hunt", "9", "--seed", "3", "--save-failures", "bugs")
    with subprocess.Popen(
        [sys.executable, "-m", "replaykit", "integration", *goal],
        cwd=tmp_path, env=environment(PYTHONPATH=str(ROOT)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        journal = tmp_path / "bugs" / "hunt.jsonl"
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not (journal.exists() and b'"run":5,' in journal.read_bytes()):
            time.sleep(0.01)
        busy = ran(*goal, cwd=tmp_path)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    done = sum(json.loads(line)["k"] == "run" for line in journal.read_text().splitlines())
    other = ran(*goal, "--commands", "7", "--resume", cwd=tmp_path)
    again = ran(*USUAL, "--hunt", "9", "--runs", done + 2, "--save-failures", "bugs", "--resume", cwd=tmp_path)

    assert (130, 129, 129, 1) == (process.returncode, busy.code, other.code, again.code), again.err
    assert "VERDICT interrupted: after " in out
    assert f"go on: {sys.executable} -m replaykit integration --model {NAMES[1]} " in out
    assert "--save-failures bugs --resume\n" in out
    assert "Another hunt is going on in bugs" in busy.err
    assert "was made with other options: commands 20, now 7." in other.err
    assert f"The hunt goes on after {done} runs, with " in again.err
    assert f"\n{done + 2} of {done + 2} runs, " in again.out
    assert f", resumed after {done} runs, seed 3\n" in again.out


def test_broken_journal_is_128(tmp_path: Path):
    """A journal that was changed in its middle exits with 128, and names the line."""
    ran(*USUAL, "--hunt", "9", "--runs", "3", "--seed", "3", "--save-failures", "bugs", cwd=tmp_path)
    journal = tmp_path / "bugs" / "hunt.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join([lines[0], lines[1].replace('"run":1', '"run":2'), *lines[2:]]))
    ended = ran(*USUAL, "--hunt", "9", "--save-failures", "bugs", "--resume", cwd=tmp_path)

    assert 128 == ended.code
    assert "error[journal]: bugs/hunt.jsonl, line 2: it was changed, or broken." in ended.err
    assert "explained in docs/reference/errors.md" in ended.err


def test_command_that_goes_on_shows_no_value_of_a_setting():
    """What was said is said again, with --resume once, and without what a setting is set to."""
    words = ["integration", "--set", "token=geheim", "--set=key=ge=heim", "--start", "a b", "--hunt", "2"]
    said = "integration --set token=... --set=key=... --start 'a b' --hunt 2 --resume"

    assert said == resuming(words)
    assert said == resuming([*words, "--resume"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--time", "1h30"], "is no time"),
        (["--time", "0"], "A time of 0 seconds is none"),
        (["--resume", "--save-failures", "bugs"], "what ends it"),
        (["--hunt", "1", "--known", "nowhere"], "nowhere is no folder"),
    ],
)
def test_wrong_terms_are_129(options: list[str], said: str, tmp_path: Path):
    """What can't be meant exits with 129, says what to do, and leaves nothing behind."""
    ended = ran(*USUAL, *options, cwd=tmp_path)

    assert 129 == ended.code, ended
    assert said in ended.err
    assert [] == sorted(tmp_path.iterdir())


def test_terms_can_stand_in_a_profile(tmp_path: Path):
    """A profile says what ends a hunt, and what is known."""
    (tmp_path / "known").mkdir()
    (tmp_path / "pyproject.toml").write_text(
        f"""[tool.replaykit.profiles.night]
model = "{NAMES[1]}"
adapter = "{NAMES[3]}"
start = "{leaderboard()}"
hunt = 3
time = "10m"
plateau = 5
known = "known"
commands = 3
"""
    )
    plateau = ran("--profile", "night", "--quiet", cwd=tmp_path)

    assert 0 == plateau.code, plateau.err
    assert "VERDICT passed: 5 runs, nothing found; nothing new in the last 5 runs (exit 0)" == plateau.verdict
