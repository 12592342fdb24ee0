"""Reports through the command line: exit code first."""

import json
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import junitparser
import pytest
from conftest import DYING, NAMES, ROOT, Ran, environment, leaderboard, replaykit

MOCK = ("integration", "--model", "examples.leaderboard:Leaderboard", "--mock", "--seed", "1", "--runs", "3")


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ran, Path]:
    """Find a bug of the leaderboard, with all reports in one folder."""
    folder = tmp_path_factory.mktemp("everything")
    formats = ("terminal", "markdown", "junit", "json", "ndjson", "ctrf", "html")
    reports = [word for name in formats for word in ("--report", f"{name}={folder}/new/a.{name}")]
    ran = replaykit(
        "integration", *NAMES, "--start", leaderboard("duplicate-names"), "--runs", "20", "--seed", "1",
        "--save-failures", folder / "failures", *reports,
    )  # fmt: skip
    assert ran.code == 1, ran
    return ran, folder / "new"


def test_all_reports_are_there_and_nothing_else(everything: tuple[Ran, Path]):
    """Each report is a file of its own, whole, in a folder that was made; each is named in the output."""
    ran, folder = everything

    assert [f"a.{name}" for name in ("ctrf", "html", "json", "junit", "markdown", "ndjson", "terminal")] == sorted(
        each.name for each in folder.iterdir()
    )
    assert all(f"report written: {each}" in ran.out for each in folder.iterdir())
    assert ran.verdict.startswith("VERDICT failed")


def test_command_in_all_reports_is_the_one_that_is_printed(everything: tuple[Ran, Path]):
    """The command that replays the bug is the same in the output and in each report that tells it, and it works."""
    ran, folder = everything
    [command] = re.findall(r"(?mi)^ *replay it: (.*)$", ran.out)
    [failure] = json.loads((folder / "a.json").read_text())["failures"]
    [test] = [each for each in json.loads((folder / "a.ctrf").read_text())["results"]["tests"] if "extra" in each]
    root = junitparser.JUnitXml.fromfile(str(folder / "a.junit"))
    [bug] = [case for suite in root for case in suite if suite.name.endswith(" bugs")]

    assert command == failure["replay"] == test["extra"]["replay"]
    assert f"replay it: {command}" in bug.result[0].text.splitlines()
    assert command in (folder / "a.markdown").read_text().splitlines()
    again = subprocess.run(["bash", "-c", command], cwd=ROOT, env=environment(), capture_output=True, check=False)
    assert 1 == again.returncode, again


def test_reports_of_a_real_bug_have_real_times(everything: tuple[Ran, Path]):
    """No time is made up: those of the cases add up to the campaign's, and that of the bug is that of its run."""
    _, folder = everything
    told = json.loads((folder / "a.json").read_text())
    root = junitparser.JUnitXml.fromfile(str(folder / "a.junit"))
    [failure] = told["failures"]

    assert told["duration"] == pytest.approx(sum(case.time for suite in root for case in suite), abs=0.02)
    assert 0 < failure["run_seconds"] < failure["found_after"] + 0.01 < told["duration"]
    assert 20 == sum(json.loads(line)["event"] == "run" for line in (folder / "a.ndjson").read_text().splitlines())


def test_options_of_the_guide():
    """--report and --report-path work as the guide writes them."""
    path = ROOT / ".replaykit" / "test-integration.xml"
    ran = replaykit(*MOCK, "--report", "junit", "--report-path", path)
    text = path.read_text()
    path.unlink()

    assert 0 == ran.code, ran
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites')


CHATTY = textwrap.dedent(
    """
    from examples.leaderboard import Leaderboard
    from replaykit import invariant
    print("::error::owned by an import")
    class Chatty(Leaderboard):
        @invariant
        def says(self) -> None:
            print("  ::set-env name=A::owned")
    """
)


@pytest.mark.parametrize("option", ["--json", "--report=ndjson=-"])
def test_standard_output_has_the_report_and_nothing_else(option: str, tmp_path: Path):
    """JSON and NDJSON can be piped, whatever the model prints; the text for people is on standard error."""
    (tmp_path / "chatty.py").write_text(CHATTY)
    words = ["integration", "--model", "chatty.py:Chatty", "--mock", "--runs", "3", option]
    ran = replaykit(*words, cwd=tmp_path, PYTHONPATH=str(ROOT))
    told = [json.loads(line) for line in ran.out.splitlines()] if "ndjson" in option else [json.loads(ran.out)]

    assert 0 == ran.code, ran
    assert 3 == (told[-1].get("report") or told[-1])["total_runs"]
    assert "VERDICT passed" in ran.err


def test_json_of_a_service_that_is_not_there_is_empty():
    """Where no campaign came to be, standard output has nothing, and the verdict is on standard error."""
    ran = replaykit("integration", *NAMES, "--url", "http://127.0.0.1:9", "--health-timeout", "0.2", "--json")

    assert (125, "") == (ran.code, ran.out)
    assert "VERDICT unreachable" in ran.err


@pytest.mark.parametrize(
    "words",
    [
        ["--coverage", "a.json", "--report", "json=./a.json"],
        ["--report", "pdf"],
        ["--json", "--report", "ndjson=-"],
        ["--json", "--coverage", "-"],
        ["--report", "json=README.md/a.json"],
    ],
)
def test_wrong_usage_is_129_before_anything_is_run(words: list[str]):
    """What makes no sense, or can't be written, is told at once."""
    ran = replaykit(*MOCK, *words)

    assert 129 == ran.code, ran
    assert "VERDICT" not in ran.out
    assert "Traceback" not in ran.err


def test_trouble_in_a_report_is_129_after_all_was_told(tmp_path: Path):
    """A full disk loses the report on it, and neither the others nor what was found."""
    ran = replaykit(*MOCK, "--report", "junit=/dev/full", "--report", f"json={tmp_path}/a.json")

    assert 129 == ran.code, ran
    assert "VERDICT passed" in ran.out
    assert "error[unwritable]: /dev/full can't be written" in ran.err
    assert 3 == json.loads((tmp_path / "a.json").read_text())["total_runs"]


def test_profile_asks_for_reports(tmp_path: Path):
    """A profile may ask for reports in a list; the command line goes before it."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.replaykit.profiles.two]\nreport = ["json", "junit=two.xml"]\nreport_path = "two.json"\n'
    )
    here = {"cwd": tmp_path, "PYTHONPATH": str(ROOT)}
    ran = replaykit(*MOCK, "--profile", "two", "--report-path", "one.json", **here)

    assert 0 == ran.code, ran
    assert {"one.json", "two.xml"} == {each.name for each in tmp_path.iterdir() if each.suffix in {".json", ".xml"}}


# --- GitHub -------------------------------------------------------------------------------------


def obeyed(output: str) -> list[str]:
    """List the commands that GitHub's runner obeys in an output, as `ActionCommandManager` reads it."""
    found, waiting = [], ""
    for line in output.splitlines():
        command = re.fullmatch(r"::([^ :]+)( [^:]*)?::(.*)", line.strip())
        if waiting:
            waiting = "" if line.strip() == f"::{waiting}::" else waiting
        elif command and command[1] == "stop-commands":
            waiting = command[3]
        elif command:
            found.append(line)
    assert not waiting
    return found


def test_on_github_bugs_are_annotations_and_the_summary_has_the_report(tmp_path: Path):
    """There the report is on by itself: one annotation for the bug, and Markdown behind what the summary has."""
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    there = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    words = ["integration", *NAMES, "--start", leaderboard("duplicate-names"), "--runs", "5", "--seed", "1"]
    ran = replaykit(*words, **there)
    text = summary.read_text()
    quiet = replaykit(*MOCK, "--quiet", **there)

    assert (1, 0) == (ran.code, quiet.code), ran
    [annotation] = obeyed(ran.out)
    assert annotation.startswith("::error title=expectation create after create_player::expected PlayerRejected")
    assert text.startswith("before\n# Integration Test Report\n")
    assert ran.verdict.startswith("VERDICT failed")
    assert ([], text) == (obeyed(quiet.out), summary.read_text())


def test_what_is_printed_in_a_campaign_is_no_command(tmp_path: Path):
    """Lines that a model or a service made are not obeyed by the runner; without a summary that is all the same."""
    (tmp_path / "chatty.py").write_text(CHATTY)
    words = ["integration", "--model", "chatty.py:Chatty", "--mock", "--runs", "3", "--seed", "1"]
    ran = replaykit(*words, cwd=tmp_path, PYTHONPATH=str(ROOT), GITHUB_ACTIONS="true")

    assert 0 == ran.code, ran
    assert "::set-env" in ran.out
    assert "VERDICT" in ran.out
    assert ["::warning title=replaykit%3A never exercised::check board_matches"] == obeyed(ran.out)


def test_report_for_github_can_be_asked_for_anywhere():
    """`--report github` prints the annotations where no runner is."""
    ran = replaykit(*MOCK, "--report", "github")

    assert 0 == ran.code, ran
    assert 1 == ran.out.count("::warning title=")


# --- the end ------------------------------------------------------------------------------------


def test_service_that_dies_is_an_error_in_all_reports(tmp_path: Path):
    """The reports are written, and say that the service is gone: an error, and no failure."""
    (tmp_path / "dying.py").write_text(DYING)
    there: dict[str, Any] = {"GITHUB_ACTIONS": "true", "PYTHONPATH": str(ROOT)}
    ran = replaykit(
        "integration", *NAMES, "--start", f"python {tmp_path}/dying.py {{port}}", "--runs", "20",
        "--report", f"junit={tmp_path}/a.xml", "--report", f"json={tmp_path}/a.json", **there,
    )  # fmt: skip
    root = junitparser.JUnitXml.fromfile(str(tmp_path / "a.xml"))
    told = json.loads((tmp_path / "a.json").read_text())

    assert 125 == ran.code, ran
    assert (0, 1) == (root.failures, root.errors)
    assert (125, False) == (told["exit_code"], told["success"])
    assert told["died"]
    assert "::error title=replaykit%3A unreachable::the service ended (exit code 7)" in obeyed(ran.out)[0]


def test_interrupted_campaign_writes_its_reports(tmp_path: Path):
    """TERM ends a campaign with its code, and its reports are whole."""
    events = tmp_path / "events.ndjson"
    process = subprocess.Popen(
        [sys.executable, "-m", "replaykit", "integration", *NAMES, "--start", leaderboard(), "--runs", "100000",
         "--report", f"json={tmp_path}/a.json", "--report", f"ndjson={events}"],
        cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        deadline = time.monotonic() + 30
        while not (events.exists() and '"run"' in events.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    told = json.loads((tmp_path / "a.json").read_text())

    assert 143 == process.returncode, err
    assert (True, 143, False) == (told["interrupted"], told["exit_code"], told["success"])
    assert told == json.loads(events.read_text().splitlines()[-1])["report"]
