"""The planted bugs of the example services: each is found with its switch on, none with none on."""

import contextlib
import json
import re
import subprocess
import sys
from dataclasses import asdict

import pytest
from benchmarks.scorecard import SERVICES
from conftest import ROOT, environment, leaderboard, replaykit

from examples.leaderboard import Leaderboard, LeaderboardApi
from examples.leaderboard.service import BUGS
from replaykit import integration, service
from replaykit.generate import Parallel
from replaykit.reader import read

MODELS = [(name, model) for name, its in SERVICES.items() for model in its.models]
RACE_SEEDS = 4

# One of each kind of failure that each service has, since finding them is the same work for all. The bundles of all
# bugs are replayed in test_corpus.py, and the scorecard finds each of them with ten seeds.
SAMPLE = [
    ("leaderboard", "blank-names"),  # an expectation
    ("leaderboard", "score-cap"),  # a check after each step
    ("toybank", "big-amount"),  # an error of the server
    ("toybank", "forgotten-keys"),  # an expectation, six commands deep
    ("toybank", "flaky-release"),  # a check, not each time
    ("travelbooking", "double-cancel"),  # an expectation
    ("travelbooking", "never-settles"),  # a check at the end, after waiting
]


@pytest.fixture(scope="module", autouse=True)
def on_one_database(database):
    """Let all banks of this module use one PostgreSQL."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", database)
        yield


@pytest.fixture(scope="module")
def sound(on_one_database):
    """Give the URL of each service with no bug on."""
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(running(its.start())) for name, its in SERVICES.items()}


@contextlib.contextmanager
def running(command: str):
    """Run a service, and give its URL."""
    with service.reached(
        url=None, start=f"{sys.executable}{command[len('python') :]}", health=None, patience=None
    ) as url:
        yield url


def named(name: str) -> tuple[str, ...]:
    """Name the model and the adapter of a service on the command line."""
    its = SERVICES[name]
    return "--model", f"{its.module}:{its.models[0].__name__}", "--adapter", f"{its.module}:{its.adapter.__name__}"


@pytest.mark.parametrize(("name", "bug"), SAMPLE)
def test_planted_bug_is_found_and_its_bundle_tells_whether_it_is_there(name, bug, sound, tmp_path):
    """A planted bug is found within 300 runs; its replay gives 1 with the switch on, and 0 with it off."""
    with running(SERVICES[name].start(bug)) as url:
        ran = replaykit(
            "integration", *named(name), "--url", url, "--runs", 300, "--seed", 0, "--stop-on-fail",
            "--save-failures", tmp_path,
        )  # fmt: skip
        bundles = sorted(tmp_path.glob("*.pd"))
        often = ("--times", 12) if bug == "flaky-release" else ()
        there = [replaykit("replay", bundle, "--url", url, *often).code for bundle in bundles]
    gone = [replaykit("replay", bundle, "--url", sound[name]).code for bundle in bundles]

    assert 1 == ran.code, ran
    assert bundles
    assert [1] * len(bundles) == there
    assert [0] * len(bundles) == gone


def test_race_is_found_in_branches_and_its_bundle_tells_whether_it_is_there(sound, tmp_path):
    """A race is found by commands that are sent at the same time; its replays say whether it is there.

    On a busy machine it may show so seldom that a replay rightly says no more than that; then another seed is taken.
    """
    name, bug = "travelbooking", "overbooking"
    with running(SERVICES[name].start(bug)) as url:
        for seed in range(RACE_SEEDS):
            folder = tmp_path / str(seed)
            ran = replaykit(
                "integration", *named(name), "--url", url, "--runs", 100, "--seed", seed, "--stop-on-fail",
                "--parallel", "3x3", "--save-failures", folder,
            )  # fmt: skip
            assert 1 == ran.code, ran
            [bundle] = folder.glob("*.pd")
            shrinking = read(bundle).provenance.shrinking
            if shrinking.failed >= shrinking.runs * 0.2:
                break
        there = replaykit("replay", bundle, "--url", url)
    gone = replaykit("replay", bundle, "--url", sound[name])
    offline = replaykit("replay", bundle, "--offline")

    assert "linearizable-6d7a767f.pd" == bundle.name, ran.out
    assert (1, 0, 1) == (there.code, gone.code, offline.code), there.out + gone.out + offline.out
    assert re.search(r"in \d+ of \d\d attempts\) \(exit 1\)$", there.verdict), there.verdict


@pytest.mark.parametrize("name", ["toybank", "travelbooking"])
def test_no_race_is_found_where_there_is_none(name, sound):
    """Branches of commands against a service without a bug are all explained by some order."""
    its = SERVICES[name]
    result = integration.run(
        model=its.models[0], adapter=its.adapter, base_url=sound[name], seed=3, max_runs=10, parallel=Parallel(3, 3),
        repeat=3,
    )  # fmt: skip

    assert (0, 10) == (result.exit_code, result.passed), result


def test_keys_that_are_not_looked_at_are_found_by_sending_again(tmp_path):
    """With --stutter, a payment that is done twice is found by the model without the command Retry."""
    model = tmp_path / "model.py"
    model.write_text(
        "from typing import ClassVar\n"
        "from examples.toybank.model import Bank, Credit, Debit, OpenAccount\n\n\n"
        "class Short(Bank):\n    commands: ClassVar = (OpenAccount, Credit, Debit)\n"
    )
    options = ["--model", f"{model}:Short", "--adapter", "examples.toybank:BankApi", "--runs", 10, "--seed", 1]
    with running(SERVICES["toybank"].start("pays-twice")) as url:
        found = replaykit("integration", *options, "--url", url, "--stutter", 0.3, "--stop-on-fail")
        missed = replaykit("integration", *options, "--url", url)

    assert (1, 0) == (found.code, missed.code), found
    assert "credit again, as [" in found.out
    assert "idempotency repeated" in found.out


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_bug_of_the_leaderboard_is_shrunk_to_its_shortest_form(bug):
    """For two seeds, a bug is found within a hundred runs, and shrunk to as few commands as show it."""
    lengths = []
    with running(leaderboard(bug.name)) as url:
        for seed in range(2):
            result = integration.run(
                model=Leaderboard, adapter=LeaderboardApi, base_url=url, seed=seed, stop_on_fail=True
            )
            assert result.failures, f"seed {seed}: nothing found in {result.total_runs} runs"
            lengths.append(len(result.failures[0].trace.steps))
            assert all(finding.shrunk and finding.shrunk.confirmed for finding in result.failures)

    assert [bug.shortest] * 2 == lengths


@pytest.mark.parametrize(("name", "model"), MODELS, ids=lambda each: getattr(each, "__name__", each))
def test_nothing_is_found_where_no_bug_is_on(name, model, sound):
    """Runs against a service without bugs find nothing, and every command and check was exercised."""
    runs = 50 if name == "leaderboard" else 20
    result = integration.run(model=model, adapter=SERVICES[name].adapter, base_url=sound[name], seed=0, max_runs=runs)

    assert result.success, result
    assert runs == result.passed
    assert [] == result.never_exercised()


@pytest.mark.parametrize(("name", "model"), MODELS, ids=lambda each: getattr(each, "__name__", each))
def test_model_holds_against_itself(name, model):
    """Each model predicts the answer to all of its commands, so it runs without a service."""
    ran = replaykit("integration", "--model", f"{SERVICES[name].module}:{model.__name__}", "--mock", "--runs", 50)

    assert 0 == ran.code, ran
    assert "50 runs, nothing found" in ran.verdict


@pytest.mark.parametrize("profile", ["leaderboard", "toybank", "travelbooking", "booking-lifecycle"])
def test_profile_is_enough(profile):
    """The profiles of this project start the service, and say what to test it with."""
    ran = replaykit("integration", "--profile", profile, "--runs", 2, "--seed", 1)

    assert 0 == ran.code, ran


@pytest.mark.parametrize("name", SERVICES)
def test_switches_are_listed(name):
    """--list-bugs prints the names of the switches, one a line; --json all that is known of them."""
    its = SERVICES[name]
    command = [sys.executable, "-m", its.module, "--list-bugs"]
    said = [
        subprocess.run(command + more, cwd=ROOT, env=environment(), capture_output=True, text=True, check=True).stdout
        for more in ([], ["--json"])
    ]

    assert [bug.name for bug in its.bugs] == said[0].split()
    assert [asdict(bug) for bug in its.bugs] == json.loads(said[1])


@pytest.mark.parametrize("name", SERVICES)
def test_readme_lists_the_bugs_as_they_are(name):
    """The table of bugs in the service's README is that of its code."""
    readme = (ROOT / SERVICES[name].module.replace(".", "/") / "README.md").read_text(encoding="utf-8")
    rows = [f"| `{bug.name}` | {bug.wrong} | {bug.shortest} |" for bug in SERVICES[name].bugs]

    assert rows == [line for line in readme.splitlines() if line.startswith("| `") and line.count("|") == 4]


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
