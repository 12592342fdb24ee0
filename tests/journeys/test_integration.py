"""Integration through the command line: exit code first."""

import json
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import DYING, NAMES, ROOT, environment, leaderboard, replaykit

from replaykit.reader import read


def test_bug_is_found_shrunk_and_saved(duplicate_names: Path):
    """The bug duplicate-names ends as a bundle of two commands: create, and create of the same name."""
    sequence = read(duplicate_names).trace.sequence

    assert ["create_player", "create_player"] == [call.tag for call in sequence]
    assert sequence[0].args == sequence[1].args


def test_exit_code_with_a_bug_is_1_and_without_is_0(tmp_path: Path):
    """Runs exit with 1 where the bug is on, with 0 where none is; the verdict is the last line."""
    with_bug = replaykit(
        "integration", *NAMES, "--start", leaderboard("duplicate-names"), "--runs", "20", "--seed", "1",
        "--save-failures", tmp_path,
    )  # fmt: skip
    without = replaykit("integration", *NAMES, "--start", leaderboard(), "--runs", "20", "--seed", "1")

    assert (1, 0) == (with_bug.code, without.code), with_bug.err + without.err
    assert with_bug.verdict.startswith("VERDICT failed: found 1 distinct failure")
    assert "VERDICT passed: 20 runs, nothing found (exit 0)" == without.verdict
    assert f"replay {tmp_path}/create-037acf80.pd --start" in with_bug.out


@pytest.mark.parametrize(
    ("options", "shortest", "said"),
    [
        (["--no-shrink"], 20, None),
        (["--shrink-executions", "3"], 1, "shrinking was ended early: the budget of 3 executions is used up"),
        (["--shrink-time", "0.000001"], 20, "shrinking was ended early: the budget of 1e-06 seconds is used up"),
    ],
    ids=["not at all", "few executions", "no time"],
)
def test_shrinking_ends_when_it_is_told_to(options: list[str], shortest: int, said: str | None, tmp_path: Path):
    """A failure is saved as it is, or as short as it was when the budget was used up; that is said."""
    ran = replaykit(
        "integration", *NAMES, "--start", leaderboard("lost-increase"), "--runs", "100", "--seed", "1",
        "--stop-on-fail", "--save-failures", tmp_path, *options,
    )  # fmt: skip
    [bundle] = [read(path) for path in tmp_path.glob("*.pd")]

    assert 1 == ran.code, ran
    assert len(bundle.trace.steps) >= shortest
    assert (said is None) == ("shrunk from" not in ran.out)
    assert said is None or said in ran.out


def test_same_seed_gives_the_same_sequence_fingerprint_and_file(tmp_path: Path):
    """Two campaigns with one seed save files of the same name, with the same sequence."""
    for folder in ("one", "two"):
        replaykit(
            "integration", *NAMES, "--start", leaderboard("tie-order"), "--seed", "5", "--stop-on-fail",
            "--save-failures", tmp_path / folder, anew=True,
        )  # fmt: skip
    [one], [two] = ((tmp_path / folder).glob("*.pd") for folder in ("one", "two"))

    assert one.name == two.name
    assert read(one).trace.sequence == read(two).trace.sequence
    assert read(one).provenance.seed == read(two).provenance.seed


def test_service_that_never_gets_healthy_is_125():
    """A start command that never gets healthy exits with 125, and is told with what it printed."""
    ran = replaykit(
        "integration", *NAMES, "--health-timeout", "1",
        "--start", "python -c 'import time; print(\"warming up\", flush=True); time.sleep(60)' {port}",
    )  # fmt: skip

    assert 125 == ran.code
    assert "warming up" in ran.err
    assert ran.verdict.startswith("VERDICT unreachable")


@pytest.mark.parametrize(
    "arguments",
    [
        ["integration", "--no-such-option"],
        ["integration", *NAMES],
        ["integration", "--model", "examples.leaderboard:Leaderboard", "--url", "http://127.0.0.1:9"],
        ["integration", *NAMES, "--url", "127.0.0.1"],
        ["integration", *NAMES, "--url", "http://127.0.0.1:9", "--runs", "none"],
        ["integration", *NAMES, "--url", "http://127.0.0.1:9", "--runs", "0"],
        ["integration", *NAMES, "--url", "http://127.0.0.1:9", "--transport", "pigeon"],
        ["integration", *NAMES, "--start", "python -m examples.leaderboard"],
        ["integration", "--profile", "none-of-that-name"],
        ["integration", "--model", "Leaderboard", "--mock"],
        ["integration", "--profile", "leaderboard", "--require-coverage", "101"],
        ["integration", "--profile", "leaderboard", "--require-coverage", "lines=90"],
        ["integration", "--profile", "leaderboard", "--require-coverage", "90", "--require-coverage", "90"],
        ["integration", "--profile", "leaderboard", "--coverage", "examples"],
        ["integration", "--profile", "leaderboard", "--coverage", "README.md/coverage.json"],
        ["integration", *NAMES, "--url", "http://127.0.0.1:9", "--set", "timeout"],
        ["no-such-command"],
        [],
    ],
)
def test_wrong_usage_is_129(arguments: list[str]):
    """Whatever is wrong with the command line exits with 129, and says what to do."""
    ran = replaykit(*arguments)

    assert 129 == ran.code, ran
    assert "Traceback" not in ran.err
    assert ran.err


@pytest.mark.parametrize(
    "model", ["no.such.module:Model", "examples.leaderboard:Nothing", "json:JSONDecoder", "missing.py:Model"]
)
def test_model_that_can_not_be_imported_is_128(model: str):
    """A model that is not there, or is none, exits with 128."""
    ran = replaykit("integration", "--model", model, "--mock")

    assert 128 == ran.code
    assert "error[load]" in ran.err


@pytest.mark.parametrize("text", ["raise SystemExit(1)", "1/0", "import os; os.kill(os.getpid(), 2)", "def"])
def test_model_whose_module_does_not_survive_its_import_never_exits_with_0_or_1(text: str, tmp_path: Path):
    """A module that raises, exits or stops while it is imported exits with 128 or 130."""
    (tmp_path / "broken.py").write_text(text)
    ran = replaykit("integration", "--model", "broken:Model", "--mock", cwd=tmp_path, PYTHONPATH=str(ROOT))

    assert ran.code in {128, 130}, ran


def test_settings_and_profiles(tmp_path: Path):
    """The command line goes before the profile, and both reach the adapter; unknown keys are told."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.replaykit.profiles.board]\nmodel = "examples.leaderboard:Leaderboard"\n'
        f'adapter = "examples.leaderboard:LeaderboardApi"\nstart = "{leaderboard()}"\nruns = 3\n'
        "settings = { timeout = 2.5 }\n[tool.replaykit.profiles.wrong]\nspeed = 1\n"
    )
    here = {"cwd": tmp_path, "PYTHONPATH": str(ROOT)}
    profile = replaykit("integration", "--profile", "board", **here)
    line = replaykit("integration", "--profile", "board", "--runs", "2", **here)
    setting = replaykit("integration", "--profile", "board", "--set", "timeout=soon", **here)
    unknown = replaykit("integration", "--profile", "board", "--set", "colour=red", **here)
    wrong = replaykit("integration", "--profile", "wrong", **here)

    assert (0, 0, 129, 129, 129) == (profile.code, line.code, setting.code, unknown.code, wrong.code), profile.err
    assert "3 runs" in profile.verdict
    assert "2 runs" in line.verdict
    assert "timeout" in unknown.err
    assert "speed" in wrong.err


def test_swarm_is_an_option_and_a_key_of_a_profile(tmp_path: Path):
    """What is met only where some commands are left out is found with --swarm, and where the profile says so."""
    (tmp_path / "pyproject.toml").write_text("[tool.replaykit.profiles.bees]\nswarm = true\n")
    line = ["integration", "--model", f"{ROOT}/tests/test_generate.py:Stack", "--mock", "--seed", "1", "--no-shrink"]
    plain, option, key = (replaykit(*line, *more, cwd=tmp_path) for more in ([], ["--swarm"], ["--profile", "bees"]))

    assert (0, 1, 1) == (plain.code, option.code, key.code), plain.err
    assert "is_never_full" in option.out
    assert option.verdict == key.verdict


WATCHED = """
from examples.leaderboard import Leaderboard, LeaderboardApi

class Watched(LeaderboardApi):
    def reset(self):
        answer = self.http.post("/reset")
        print("TRANSPORT", "httpx" if "network_stream" in answer.extensions else "lean")
"""


@pytest.mark.parametrize("command", ["integration", "replay", "reshrink"])
def test_transport_is_an_option_and_a_key_of_a_profile(command: str, duplicate_names: Path, tmp_path: Path):
    """Plain HTTP goes over the lean wire, unless --transport or the profile says that it goes through httpx's."""
    (tmp_path / "watched.py").write_text(WATCHED)
    (tmp_path / "bug.pd").write_bytes(duplicate_names.read_bytes())
    profile = (
        '[tool.replaykit.profiles.WAY]\nmodel = "watched.py:Leaderboard"\nadapter = "watched.py:Watched"\n'
        f"start = '{leaderboard('duplicate-names')}'\ntransport = 'WAY'\n"
    )
    profiles = [profile.replace("WAY", way) for way in ("httpx", "lean", "pigeon")]
    (tmp_path / "pyproject.toml").write_text("".join(profiles))
    here: dict[str, Any] = {"cwd": tmp_path, "PYTHONPATH": str(ROOT)}
    words = [command, "--runs", "2", "--no-shrink"] if command == "integration" else [command, "bug.pd"]
    words += ["--model", "watched.py:Leaderboard", "--adapter", "watched.py:Watched", "--profile"]
    ran = [
        replaykit(*words, *more, **here)
        for more in (
            ["lean"],
            ["httpx"],
            ["httpx", "--transport", "lean"],
            ["lean", "--transport", "httpx"],
            ["pigeon"],
        )
    ]

    assert 129 == ran[-1].code
    assert {0, 1} >= {each.code for each in ran[:-1]}, ran
    ways = [set(re.findall("TRANSPORT (.*)", each.out)) for each in ran]
    assert [{"lean"}, {"httpx"}, {"lean"}, {"httpx"}, set()] == ways


def test_url_on_the_command_line_goes_before_start_in_the_profile():
    """Who names a URL means that service, whatever the profile would start."""
    ran = replaykit("integration", "--profile", "leaderboard", "--url", "http://127.0.0.1:9", "--health-timeout", "0.2")

    assert 125 == ran.code


def test_mock_run_needs_no_service():
    """A model that expects something of every command runs against itself, and unread checks are named."""
    ran = replaykit("integration", "--model", "examples.leaderboard:Leaderboard", "--mock", "--seed", "3")

    assert 0 == ran.code
    assert "never exercised: check board_matches" in ran.out


# --- coverage -----------------------------------------------------------------------------------


def test_coverage_is_shown_and_written(tmp_path: Path):
    """The summary has a line of what was exercised; the file has all counts, with no names and ids in its paths."""
    path = tmp_path / "new" / "coverage.json"
    ran = replaykit(
        "integration", *NAMES, "--start", leaderboard(), "--runs", "10", "--seed", "1", "--coverage", path,
    )  # fmt: skip
    written = json.loads(path.read_text())

    assert 0 == ran.code, ran
    assert (
        "coverage: 2 of 2 commands, 4 of 4 checks, 3 of 3 outcomes, 4 of 4 transitions, 6 endpoints x status" in ran.out
    )
    assert [path] == list(path.parent.iterdir())
    assert ["/players", "/players", "/players", "/reset", "/scores/", "/scores/{name}"] == [
        each["path"] for each in written["endpoints"]
    ]
    assert 500 == sum(each["steps"] for each in written["commands"])
    assert written["summary"]["outcomes"] == {"covered": 3, "total": 3, "percent": 100.0, "required": None}


def test_labels_of_a_model_are_shown():
    """What the model of TravelBooking names stands below the coverage, with the runs in which it was seen."""
    ran = replaykit("integration", "--profile", "travelbooking", "--runs", "20", "--seed", "1")

    assert 0 == ran.code, ran
    assert " runs " in ran.out
    assert " %  a booking is called off while its payment is open\n" in ran.out


def test_coverage_that_is_required_and_not_reached_is_125():
    """What was not looked at was not judged, and the verdict says what; something that was found goes first."""
    mock = ("integration", "--model", "examples.leaderboard:Leaderboard", "--mock", "--seed", "3", "--runs", "5")
    lacking = replaykit(*mock, "--require-coverage", "100", "--require-coverage", "outcomes=100")
    enough = replaykit(*mock, "--require-coverage", "commands=100", "--require-coverage", "checks=75")
    found = replaykit(
        "integration", *NAMES, "--start", leaderboard("duplicate-names"), "--stop-on-fail", "--seed", "3",
        "--no-shrink", "--require-coverage", "100",
    )  # fmt: skip

    assert (125, 0) == (lacking.code, enough.code), lacking
    assert "VERDICT not judged: coverage of checks is 75 %, 100 % were asked for (exit 125)" == lacking.verdict
    assert "VERDICT passed: 5 runs, nothing found (exit 0)" == enough.verdict
    assert "coverage: 1 of 2 commands" in found.out
    assert "VERDICT failed: found 1 distinct failure in 1 run (exit 1)" == found.verdict


def test_coverage_is_printed_in_a_line_before_the_verdict():
    """With `-` the document is one line of the output, and the verdict is still the last one."""
    ran = replaykit(
        "integration", "--model", "examples.leaderboard:Leaderboard", "--mock", "--runs", "3", "--coverage", "-"
    )
    [line] = [line for line in ran.out.splitlines() if line.startswith("{")]

    assert 0 == ran.code, ran
    assert 3 == json.loads(line)["runs"]
    assert ran.verdict.startswith("VERDICT passed")


def test_coverage_that_can_not_be_written_is_129_after_all_was_told():
    """A full disk loses the document, and not what was found."""
    ran = replaykit(
        "integration", "--model", "examples.leaderboard:Leaderboard", "--mock", "--runs", "3", "--coverage", "/dev/full"
    )

    assert 129 == ran.code, ran
    assert "coverage: 2 of 2 commands" in ran.out
    assert "error[unwritable]: /dev/full can't be written" in ran.err


def test_coverage_in_a_profile_is_for_runs_against_the_service(tmp_path: Path):
    """A profile may name the file and what is required, in each of its forms; a mock run looks at neither."""
    (tmp_path / "pyproject.toml").write_text(
        "".join(
            f'[tool.replaykit.profiles.{name}]\nmodel = "examples.leaderboard:Leaderboard"\n'
            f'adapter = "examples.leaderboard:LeaderboardApi"\nstart = "{leaderboard()}"\nruns = 1\nseed = 1\n'
            f'commands = 2\ncoverage = "coverage.json"\nrequire_coverage = {required}\n'
            for name, required in {"number": 50, "text": '"transitions=50"', "list": '["50", "transitions=50"]'}.items()
        )
    )
    here = {"cwd": tmp_path, "PYTHONPATH": str(ROOT)}
    mock = replaykit("integration", "--profile", "list", "--mock", **here)
    written = (tmp_path / "coverage.json").exists()
    codes = {name: replaykit("integration", "--profile", name, **here).code for name in ("number", "text", "list")}
    line = replaykit("integration", "--profile", "text", "--require-coverage", "0", **here)

    assert (0, False) == (mock.code, written), mock
    assert {"number": 0, "text": 125, "list": 125} == codes
    assert (tmp_path / "coverage.json").exists()
    assert 0 == line.code, line


FAULTY = textwrap.dedent(
    """
    from typing import ClassVar
    from replaykit import Adapter, Command, Event, Model, expects, handles, invariant, on

    class Ask(Command):
        pass
    class Told(Event):
        pass
    class Asking(Model):
        commands: ClassVar = (Ask,)
        count: int = 0
        @on
        def told(self, event: Told) -> None:
            self.count += 1
            if self.count == MODEL_RAISES:
                raise KeyError("no such thing")
        @invariant
        def counts(self) -> None:
            assert self.count >= 0
    class Api(Adapter[Asking]):
        @handles
        def ask(self, cmd: Ask) -> Told:
            answer = self.http.get("/players")
            if ADAPTER_RAISES:
                answer.json()["no such key"]
            return Told()
    """
)


@pytest.mark.parametrize(("model", "adapter", "said"), [(3, False, "KeyError"), (0, True, "TypeError")])
def test_faults_of_the_test_code_are_told_as_such_and_never_found(model: int, adapter: bool, said: str, tmp_path: Path):
    """A model or an adapter that raises is 125, with its traceback, and no bundle of the service's."""
    text = FAULTY.replace("MODEL_RAISES", str(model)).replace("ADAPTER_RAISES", str(adapter))
    (tmp_path / "faulty.py").write_text(text)
    ran = replaykit(
        "integration", "--model", "faulty:Asking", "--adapter", "faulty:Api", "--start", leaderboard(),
        "--runs", "3", "--save-failures", "out", cwd=tmp_path, PYTHONPATH=str(ROOT),
    )  # fmt: skip

    assert 125 == ran.code, ran
    assert "FAULT OF THE TEST CODE" in ran.out
    assert said in ran.out
    assert "faulty.py" in ran.out
    assert [] == list((tmp_path / "out").iterdir())


def test_service_that_dies_is_125(tmp_path: Path):
    """A service that is gone in the middle of a campaign ends it with 125: nothing was found."""
    (tmp_path / "dying.py").write_text(DYING)
    ran = replaykit(
        "integration", *NAMES, "--start", f"python {tmp_path}/dying.py {{port}}", "--runs", "20",
        "--save-failures", tmp_path / "out", PYTHONPATH=str(ROOT),
    )  # fmt: skip

    assert 125 == ran.code, ran
    assert ran.verdict.startswith("VERDICT unreachable: the service ended (exit code 7)")
    assert [] == list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_campaign_stops_its_service(number: signal.Signals, code: int, tmp_path: Path):
    """Ctrl-C and TERM end a campaign with their code, and its service with it; what was exercised is written."""
    mark = f"{tmp_path}"
    process = subprocess.Popen(
        [sys.executable, "-m", "replaykit", "integration", *NAMES, "--start",
         f"{leaderboard()} --host 127.0.0.1", "--runs", "100000", "--save-failures", mark,
         "--coverage", f"{mark}.json"],
        cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        deadline = time.monotonic() + 20
        while not list(Path(mark).iterdir()) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)

    assert code == process.returncode, err
    assert "VERDICT interrupted" in out
    assert [] == list(Path(mark).iterdir())
    coverage = json.loads(Path(f"{mark}.json").read_text())
    assert coverage["interrupted"]
    assert f"after {coverage['runs']} run" in out


def test_closed_output_does_not_change_the_exit_code(tmp_path: Path):
    """With a reader that is gone, or no output at all, the exit code still says the verdict."""
    words = [sys.executable, "-m", "replaykit", "integration", *NAMES, "--start", leaderboard("tie-order"),
             "--seed", "1", "--stop-on-fail"]  # fmt: skip
    for redirect in ("| true; exit ${PIPESTATUS[0]}", ">&-", ">&- 2>&-", "> /dev/full"):
        done = subprocess.run(
            ["bash", "-c", f'"$@" {redirect}', "bash", *words], cwd=ROOT, env=environment(), check=False,
            stderr=subprocess.DEVNULL, timeout=60,
        )  # fmt: skip

        assert 1 == done.returncode, redirect


def test_interrupted_demo_ends_there(tmp_path: Path):
    """Ctrl-C in any step of the demo ends it with 130, and the next step is not begun."""
    out = tmp_path / "out"
    with out.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "replaykit", "demo"], cwd=ROOT, stdout=file, env=environment(PYTHONUNBUFFERED="1")
        )
    deadline = time.monotonic() + 30
    while b"2. The bug" not in out.read_bytes() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)

    assert 130 == process.wait(30)
    assert b"4. And without" not in out.read_bytes()


def test_demo_tells_its_story():
    """The demo ends with the bundle's path and the command that replays it, which works."""
    ran = replaykit("demo")
    [bundle] = (ROOT / ".replaykit" / "demo").glob("*.pd")

    assert 0 == ran.code, ran.err
    assert "Replay it:" in ran.verdict
    assert str(bundle.relative_to(ROOT)) in ran.verdict
    assert 2 == len(read(bundle).trace.steps)


def test_help_and_version_are_0():
    """Asking for help is no mistake."""
    codes = [replaykit(*words).code for words in (["--help"], ["--version"], ["replay", "--help"], ["show", "-h"])]

    assert [0, 0, 0, 0] == codes
