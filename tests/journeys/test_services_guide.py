"""The guide to services, done: deaths, restarts, resets and records through the command line, exit code first."""

import re
import shlex
from pathlib import Path

import pytest
from conftest import ROOT, replaykit

from replaykit.integration import Options

GUIDE = (ROOT / "docs" / "guides" / "services.md").read_text(encoding="utf-8")
SERVICE = "python -S tests/dying.py {port}"
NAMES = ("--model", "tests/mortal.py:Tally", "--adapter", "tests/mortal.py:TallyApi", "--health", "/")


def test_a_death_is_told_as_the_guide_shows_it(tmp_path: Path):
    """A service that dies ends a campaign with 125, its last lines, and nothing saved."""
    ran = replaykit("integration", *NAMES, "--start", f"{SERVICE} in", "--save-failures", tmp_path, "--seed", "1")
    [shown] = re.findall(r"(?ms)^```text\n(.*?)\n```$", GUIDE)

    assert 125 == ran.code, ran
    assert [] == list(tmp_path.iterdir())
    assert [] == [line for line in shown.splitlines() if line not in ran.out.splitlines()]
    assert shown.splitlines()[-1] == ran.verdict


def test_the_command_that_replays_repeats_the_resets(tmp_path: Path):
    """What the command line says of resets stands in the command below a failure, which reproduces it."""
    ran = replaykit(
        "integration", *NAMES, "--start", f"{SERVICE} early", "--save-failures", tmp_path, "--seed", "2",
        "--commands", "1", "--runs", "5", "--stop-on-fail", "--no-shrink",
        "--reset-url", "{url}/reset", "--reset-command", "test {port}", "--reset-restart",
    )  # fmt: skip
    [line] = re.findall(r"(?m)^ +replay it: .*replaykit replay (.*)$", ran.out)
    again = replaykit("replay", *shlex.split(line), "--times", "2")

    assert (1, 1) == (ran.code, again.code), again
    assert ["--reset-url", "{url}/reset", "--reset-command", "test {port}"] == shlex.split(line)[-5:-1]
    assert "--reset-restart" == shlex.split(line)[-1]
    assert "in 2 of 2 attempts" in again.verdict


def test_runs_that_pass_are_recorded_and_replayed(tmp_path: Path):
    """A recorded run is replayed with 0 where it passes, with 1 where it fails; it can't be shrunk."""
    start = ("--start", f"{SERVICE} well")
    ran = replaykit("integration", *NAMES, *start, "--record", tmp_path, "--seed", "2", "--runs", "2")
    path = tmp_path / "run-000001.pd"
    passed = replaykit("replay", path, "--offline")
    failed = replaykit("replay", path, "--health", "/", "--start", f"{SERVICE} wrong")
    shrunk = replaykit("reshrink", path, "--health", "/", *start)

    assert (0, 0, 1, 128) == (ran.code, passed.code, failed.code, shrunk.code), failed
    assert ["run-000001.pd", "run-000002.pd"] == sorted(each.name for each in tmp_path.iterdir())
    assert "VERDICT passed: all steps ran, and all checks hold, as when it was recorded (exit 0)" == passed.verdict
    assert failed.verdict.startswith("VERDICT failed: it passed when it was recorded: expectation add at step 0")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--url", "http://127.0.0.1:9", "--restart"], "can't be started again"),
        (["--mock", "--reset-url", "/reset"], "none to reset"),
    ],
)
def test_wrong_resets_are_129(arguments: list[str], said: str):
    """What can't be reset or started again is a usage error, told before anything is asked."""
    ran = replaykit("integration", *NAMES[:4], *arguments)

    assert 129 == ran.code, ran
    assert said in ran.err


def test_what_a_profile_says_of_restarts_does_not_count_for_a_service_that_runs(tmp_path: Path):
    """With --url, a profile that starts, resets and restarts its service is no contradiction."""
    (tmp_path / "pyproject.toml").write_text(
        f'[tool.replaykit.profiles.p]\nmodel = "{ROOT}/tests/mortal.py:Tally"\n'
        f'adapter = "{ROOT}/tests/mortal.py:TallyApi"\nstart = "x {{port}}"\nreset_restart = true\nrestart = true\n'
        'record = "runs"\n'
    )
    ran = replaykit("integration", "--profile", "p", "--url", "http://127.0.0.1:9", cwd=tmp_path)
    mock = replaykit("integration", "--profile", "p", "--mock", "--runs", "1", cwd=tmp_path)

    assert (125, 0) == (ran.code, mock.code), mock
    assert ran.verdict.startswith("VERDICT unreachable")


def test_the_options_that_the_guide_shows_are_there():
    """The keywords in the guide's Python are options of a campaign, and its other options are in the help."""
    [block] = re.findall(r"(?ms)^```python\n(.*?)^```$", GUIDE)
    named = set(re.findall(r"(?m)^    (\w+)=", block)) - {"model", "adapter"}
    said = set(re.findall(r"--[a-z][a-z-]+", GUIDE)) - {"--rm"}
    helped = replaykit("integration", "--help").out

    assert set() == named - set(Options.__annotations__)
    assert [] == [each for each in sorted(said) if each not in helped]
