"""The leaderboard's planted bugs: each is found with its switch on, none with none on."""

import contextlib
import subprocess
import sys

import pytest
from conftest import LEADERBOARD, ROOT, environment, leaderboard, replaykit

from examples.leaderboard import Leaderboard, LeaderboardApi
from examples.leaderboard.service import BUGS
from replaykit import integration, service


@contextlib.contextmanager
def running(command: str):
    """Run a leaderboard, and give its URL."""
    with service.reached(
        url=None, start=f"{sys.executable}{command[len('python') :]}", health=None, patience=None
    ) as url:
        yield url


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_planted_bug_is_found_and_shrunk_to_its_shortest_form(bug):
    """For ten seeds, a planted bug is found within a hundred runs, and shrunk to as few commands as show it."""
    lengths = []
    with running(leaderboard(bug.name)) as url:
        for seed in range(10):
            result = integration.run(
                model=Leaderboard, adapter=LeaderboardApi, base_url=url, seed=seed, stop_on_fail=True
            )
            assert result.failures, f"seed {seed}: nothing found in {result.total_runs} runs"
            lengths.append(len(result.failures[0].trace.steps))
            assert all(finding.shrunk and finding.shrunk.confirmed for finding in result.failures)

    assert [bug.shortest] * 10 == lengths


def test_nothing_is_found_where_no_bug_is_on():
    """A thousand runs against the service without bugs find nothing, and every check was exercised."""
    with running(leaderboard()) as url:
        result = integration.run(model=Leaderboard, adapter=LeaderboardApi, base_url=url, seed=0, max_runs=1000)

    assert result.success, result
    assert 1000 == result.passed
    assert [] == result.never_exercised()


def test_switches_are_listed_one_a_line():
    """--list-bugs prints the names of the switches, one a line."""
    command = [sys.executable, *LEADERBOARD.split()[1:3], "--list-bugs"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=True)

    assert [bug.name for bug in BUGS] == done.stdout.split()


def test_bugs_of_several_kinds_are_each_found_and_saved(tmp_path):
    """With three bugs on at once, every fingerprint gets a bundle of its own."""
    start = leaderboard("duplicate-names", "tie-order", "ghost-player")
    ran = replaykit(
        "integration", "--profile", "leaderboard", "--start", start, "--seed", "2", "--runs", "20",
        "--save-failures", tmp_path,
    )  # fmt: skip
    names = sorted(path.name for path in tmp_path.glob("*.pd"))

    assert 1 == ran.code, ran
    assert ["board_matches-6f075236.pd", "board_matches-f1e38173.pd", "create-037acf80.pd"] == names
