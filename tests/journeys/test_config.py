"""Variables of the environment, profiles and `replaykit config`: what goes before what, exit code first."""

import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import LEADERBOARD, NAMES, ROOT, Ran, environment, leaderboard, replaykit
from test_docs import blocks, commands_of, shown_as

from replaykit.cli import console
from replaykit.cli.app import commands, run
from replaykit.cli.integration import replay_command
from replaykit.cli.variables import options_of, variable_of

MODEL = "examples.leaderboard:Leaderboard"
PROJECT = f"""
[tool.replaykit]
profile = "few"

[tool.replaykit.profiles.few]
model = "{MODEL}"
start = "never-started {{port}}"
runs = 3
settings = {{ timeout = 2.0 }}

[tool.replaykit.profiles.more]
model = "{MODEL}"
runs = 5

[tool.replaykit.profiles.wrong]
runs = 0

[tool.replaykit.profiles.search]
good = "v1.0"
bad = "main"
all_parents = true
confidence = 0.9
max-replays = 50
max_time = "10m"
jobs = 4
"""


Here = Callable[..., Ran]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Here:
    """Run command lines in this process, in a project of a few profiles, of which one counts where none is named."""
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(console, "_hush", [])

    def ran(*words: str, **variables: str) -> Ran:
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(f"REPLAYKIT_{name}", value)
            code = run(list(words))
        return Ran(code, *capsys.readouterr())

    return ran


def options(ran: Ran) -> dict[str, tuple[Any, str, str | None, bool]]:
    """Read what `config --json` says of the options: the value, its source, the name of that, and if it counts."""
    assert 0 == ran.code, ran
    rows = json.loads(ran.out)["options"]
    return {row["option"]: (row["value"], row["source"], row["name"], row["counts"]) for row in rows}


@pytest.mark.parametrize(
    ("words", "variables", "runs"),
    [
        ([], {}, 3),
        (["--profile", "more"], {}, 5),
        ([], {"PROFILE": "more"}, 5),
        (["--profile", "few"], {"PROFILE": "more"}, 3),
        ([], {"RUNS": "4"}, 4),
        ([], {"RUNS": ""}, 3),
        (["--runs", "2"], {"RUNS": "4"}, 2),
        (["--profile", ""], {"MODEL": MODEL}, 100),
    ],
)
def test_command_line_environment_profile_default(words: list[str], variables: dict[str, str], runs: int, here: Here):
    """The command line goes before variables, these before the profile, and this before the defaults."""
    ran = here("integration", "--mock", *words, **variables)

    assert 0 == ran.code, ran
    assert f"VERDICT passed: {runs} runs, nothing found (exit 0)" == ran.verdict


def test_a_profile_may_say_what_a_bisect_searches(here: Here):
    """Ends and budget come from it, and the command line goes before; `jobs` are those of campaigns."""
    shown = {
        option: (value, source, counts)
        for option, (value, source, _, counts) in options(
            here("config", "--json", "--profile", "search", "bisect", "--bad", "v2")
        ).items()
    }

    assert ("v1.0", "profile", True) == shown["--good"]
    assert ("v2", "command line", True) == shown["--bad"]
    assert (True, "profile", True) == shown["--all-parents"]
    assert ("10m", "profile", True) == shown["--max-time"]
    assert [0.9, 50] == [shown[each][0] for each in ("--confidence", "--max-replays")]
    assert (1, "default", True) == shown["--jobs"]
    assert 0 == here("integration", "--mock", "--profile", "search", "--jobs", "1", "--runs", "1", MODEL=MODEL).code


@pytest.mark.parametrize(
    ("words", "ruled"),
    [
        (["--versions", "ledger==1..2"], {"--good", "--bad", "--all-parents"}),
        (["--find-fix"], {"--good", "--bad"}),
        (["--find-fix", "--bad", "v1.5"], {"--good"}),
        (["--jobs", "2"], set()),
    ],
)
def test_ends_of_a_profile_are_those_of_commits(words: list[str], ruled: set[str], here: Here):
    """Where the ends are turned round, or are versions, what a profile says of them does not count."""
    found = options(here("config", "--json", "--profile", "search", "bisect", *words))

    assert ruled == {option for option, (*_, counts) in found.items() if not counts}


def test_every_option_of_every_command_has_a_variable():
    """Each option has the variable of its long name; no option that only prints something has one."""
    pairs = {
        (name, option.envvar, variable_of(option))
        for name, command in commands.commands.items()
        for option in options_of(command)
    }

    assert {made for _, _, made in pairs} > {"REPLAYKIT_RUNS", "REPLAYKIT_SET", "REPLAYKIT_SHRINK_EXECUTIONS"}
    assert [] == [pair for pair in pairs if pair[1] != pair[2]]
    assert "REPLAYKIT_HELP" not in {made for _, _, made in pairs}


def test_flags_and_repeated_options_in_variables(here: Here):
    """A flag is yes or no; several values are parted and quoted as in a shell."""
    yes = here("integration", MOCK="yes", RUNS="2")
    no = here("integration", MOCK="no", RUNS="2")
    found = options(
        here("config", "--json", REQUIRE_COVERAGE="100 outcomes=90", LATENCY="'GET /players=0.2' 'POST /players=0.5'")
    )

    assert (0, 129) == (yes.code, no.code), yes
    assert "No adapter is named" in no.err
    assert (["100", "outcomes=90"], "environment", "REPLAYKIT_REQUIRE_COVERAGE", True) == found["--require-coverage"]
    assert ("0.2", "environment", "REPLAYKIT_LATENCY", True) == found["--latency GET /players"]
    assert ("0.5", "environment", "REPLAYKIT_LATENCY", True) == found["--latency POST /players"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("RUNS", "many"),
        ("TRANSPORT", "pigeon"),
        ("QUIET", "perhaps"),
        ("SET", "timeout"),
        ("SET", "'timeout=1"),
        ("LATENCY", "GET /players=0.2"),
        ("MODEL", "Leaderboard"),
        ("PARALLEL", "3"),
        ("PROFILE", "none-of-that-name"),
    ],
)
def test_error_in_a_variable_names_the_variable(variable: str, value: str, here: Here):
    """What is wrong in the environment exits with 129, and it is said which variable it is."""
    ran = here("integration", "--mock", **{variable: value})

    assert 129 == ran.code, ran
    assert f"environment: REPLAYKIT_{variable}." in ran.err


def test_error_in_a_profile_names_the_profile(here: Here):
    """A value of a profile that an option does not take exits with 129, and the profile is named."""
    ran = here("integration", "--mock", "--profile", "wrong")

    assert 129 == ran.code, ran
    assert "The value comes from the profile 'wrong'." in ran.err


def test_variable_of_no_option_is_told(here: Here):
    """A variable that looks like ours and is none is told, with the one that is meant perhaps; secrets are not."""
    ran = here("integration", "--mock", RUN="9", SECRET_KEY="a" * 20)

    assert 0 == ran.code, ran
    assert "warning: REPLAYKIT_RUN is the variable of no option; REPLAYKIT_RUNS is.\n" == ran.err


def test_who_says_first_where_the_service_is_says_it_alone(here: Here):
    """A start command on the line goes before a URL in the environment, and this before one in the profile."""
    dead = "http://127.0.0.1:9"
    line = replaykit("integration", *NAMES, "--start", LEADERBOARD, "--runs", "1", REPLAYKIT_URL=dead)
    variable = options(here("config", "--json", URL=dead))
    mock = options(here("config", "--json", "integration", "--mock", URL=dead))
    off = options(here("config", "--json", "replay", "--url", dead, OFFLINE="no"))

    assert 0 == line.code, line
    assert (dead, "environment", "REPLAYKIT_URL", True) == variable["--url"]
    assert ("never-started {port}", "profile", "few", False) == variable["--start"]
    assert [False, False] == [mock["--url"][3], mock["--start"][3]]
    assert (False, "environment", "REPLAYKIT_OFFLINE", True) == off["--offline"]


def test_settings_of_line_environment_and_profile_are_put_together(here: Here):
    """Each setting and each endpoint counts for itself; values of settings may be secrets, and are not shown."""
    latency = "'GET /a=1' 'GET /b=2'"
    found = options(
        here("config", "--json", "--set", "a=1", "--latency", "GET /a=3", SET="a=2 b='3 4'", LATENCY=latency)
    )
    ran = here("integration", *NAMES, "--set", "timeout=1", SET="colour=red")

    assert ("...", "command line", None, True) == found["--set a"]
    assert ("...", "environment", "REPLAYKIT_SET", True) == found["--set b"]
    assert ("...", "profile", "few", True) == found["--set timeout"]
    assert ("3", "command line", None, True) == found["--latency GET /a"]
    assert ("2", "environment", "REPLAYKIT_LATENCY", True) == found["--latency GET /b"]
    assert 129 == ran.code, ran
    assert "colour" in ran.err


def test_command_that_replays_says_what_the_environment_said(tmp_path: Path):
    """The command under a failure can be copied to where the environment is another one; what lost is left out."""
    ran = replaykit(
        "integration", *NAMES, "--seed", "1", "--save-failures", tmp_path, "--stop-on-fail",
        REPLAYKIT_START=leaderboard("duplicate-names"), REPLAYKIT_SET="timeout=7",
    )  # fmt: skip
    [line] = [line for line in ran.out.splitlines() if line.startswith("  replay it: ")]

    assert 1 == ran.code, ran
    assert f' --start "{leaderboard("duplicate-names")}" --set timeout=...' in line


def test_bundle_is_judged_with_its_own_model_whatever_the_environment_names(duplicate_names: Path):
    """A variable speaks of all bundles, as a profile does; only the command line goes before what the bundle names."""
    other = {"REPLAYKIT_MODEL": "examples.travelbooking:Travel", "REPLAYKIT_URL": "http://127.0.0.1:9"}
    own = replaykit("replay", duplicate_names, "--offline", **other)

    assert 1 == own.code, own


def test_mock_run_forgets_what_the_environment_says_of_the_service(here: Here, tmp_path: Path):
    """A folder for bundles in the environment is for runs against the service; a report is for all."""
    reset = {"RESET_COMMAND": "false", "RESET_URL": "http://127.0.0.1:9", "RESET_RESTART": "1", "RESTART": "1"}
    ran = here(
        "integration", "--mock", SAVE_FAILURES="failures", RECORD="runs", COVERAGE="a.json", PARALLEL="2x2",
        REQUIRE_COVERAGE="100", REPORT="junit=a.xml", **reset,
    )  # fmt: skip
    wrong = here("integration", "--mock", "--save-failures", "failures")

    assert (0, 129) == (ran.code, wrong.code), ran
    assert {"a.xml", "pyproject.toml"} == {each.name for each in tmp_path.iterdir()}


def test_url_on_the_line_leaves_out_what_starts_a_service_again(here: Here):
    """Who says first where the service is says alone whether it is started again."""
    words = ["integration", *NAMES, "--url", "http://127.0.0.1:9", "--health-timeout", "0.1"]
    ran = here(*words, RESTART="1", RESET_RESTART="1")
    own = here(*words, "--restart")

    assert (125, 129) == (ran.code, own.code), ran


def test_path_of_a_report_belongs_to_the_place_that_asks_for_it(here: Here, tmp_path: Path):
    """A path in the environment is not taken for a report that the command line asks for."""
    ran = here("integration", "--mock", "--report", "junit", REPORT="json", REPORT_PATH="a.json")
    own = here("integration", "--mock", "--report-path", "b.json", REPORT="json")

    assert (0, 0) == (ran.code, own.code), ran
    assert {"b.json", "reports", "pyproject.toml"} == {each.name for each in tmp_path.iterdir()}


def replay_line(*words: str) -> str:
    """Write what replays a bundle of a campaign with these options."""
    context = commands.commands["integration"].make_context("integration", [*NAMES, *words])
    return replay_command("a.pd", context).partition("replay ")[2]


def test_command_that_replays_holds_no_password():
    """Who logs in at a URL is left out, wherever one stands; what is left can be pasted into a shell."""
    url = "http://ann:hunt@er22@127.0.0.1:1"
    line = replay_line(
        "--url", url, "--health", f"{url}/health", "--health-timeout", "2.5", "--reset-command",
        "reset --db postgres://bob:swordfish@db/x\ty",
    )  # fmt: skip
    [_, *read] = shlex.split(line)

    assert ["--url", "http://127.0.0.1:1"] == read[:2]
    assert "--health http://127.0.0.1:1/health" in line
    assert "--health-timeout 2.5" in line
    assert "reset --db postgres://db/x\ty" in read
    assert "'reset --db" in line


def test_nothing_that_is_printed_is_an_order_for_the_runner(monkeypatch: pytest.MonkeyPatch):
    """GitHub's runner obeys `::` at the start of a line, and `##[` anywhere; elsewhere text is left alone."""
    text = "a ##[add-mask]b\n \u3000::error::c::d"
    monkeypatch.setattr(console, "_hush", [])
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    assert text == console.printable(text)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")

    assert "a ## [add-mask]b\n \u3000: :error::c::d" == console.printable(text)


# --- config -------------------------------------------------------------------------------------


def test_config_shows_each_value_and_where_it_comes_from(here: Here, tmp_path: Path):
    """The table has a row for each option: its value, and its source with its name."""
    ran = here("config", "integration", "--commands", "7", QUIET="yes", NONE="1")
    rows = {words[0]: words[1:] for line in ran.out.splitlines() if (words := line.split()) and words[0][:2] == "--"}

    assert 0 == ran.code, ran
    assert f"replaykit integration, with the profile few in {tmp_path}/pyproject.toml" in ran.out
    assert ["few", "project"] == rows["--profile"]
    assert ["7", "command", "line"] == rows["--commands"]
    assert ["yes", "environment", "REPLAYKIT_QUIET"] == rows["--quiet"]
    assert ["3", "profile", "few"] == rows["--runs"]
    assert ["-", "default"] == rows["--seed"]
    assert ["10", "default"] == rows["--repeat"]
    assert "warning: REPLAYKIT_NONE is the variable of no option" in ran.out


def test_config_covers_who_logs_in_and_known_secrets(here: Here):
    """Neither user and password in a URL, nor what the environment names as a secret, is shown in any form."""
    secrets = {"URL": "http://ann:hunt@er22@127.0.0.1:1", "SECRET_DB": "correct-horse-battery"}
    words = ["--start", "serve --db postgres://bob:swordfish9@db/x --key correct-horse-battery {port}"]
    for form in ([], ["--json"]):
        ran = here("config", *form, "integration", *words, "--set", "token=pass-word-of-mine", **secrets)

        assert 0 == ran.code, ran
        assert "http://...@127.0.0.1:1" in ran.out
        for secret in ("ann:", "er22", "bob", "swordfish9", "correct-horse", "pass-word-of-mine"):
            assert secret not in ran.out


def test_config_shows_what_is_ruled_out_and_what_a_hunt_changes(here: Here):
    """What a run takes back does not count here either; a hunt has no number of runs, and a plateau."""
    url = options(here("config", "--json", "--url", "http://127.0.0.1:9", "--report", "junit", RESTART="1",
                       REPORT_PATH="a.xml"))  # fmt: skip
    mock = options(here("config", "--json", "--mock", SAVE_FAILURES="failures"))
    hunt = options(here("config", "--json", "--profile", "", "--hunt", "3"))
    said = here("config", "--mock", SAVE_FAILURES="failures")

    assert (True, "environment", "REPLAYKIT_RESTART", False) == url["--restart"]
    assert ("a.xml", "environment", "REPLAYKIT_REPORT_PATH", False) == url["--report-path"]
    assert ("failures", "environment", "REPLAYKIT_SAVE_FAILURES", False) == mock["--save-failures"]
    assert (None, "default", None, True) == hunt["--runs"]
    assert (1000, "default", None, True) == hunt["--plateau"]
    assert "REPLAYKIT_SAVE_FAILURES, does not count: it is for runs against a service" in said.out


def test_config_works_for_all_commands_and_outside_of_a_project(here: Here, tmp_path: Path):
    """Options that must be there may be missing, arguments too; a command that is not there is 129."""
    (tmp_path / "pyproject.toml").unlink()
    found = {name: options(here("config", "--json", name)) for name in commands.commands}
    wrong, unread = here("config", "no-such-command"), here("config", RUNS="x")

    assert ("auto", "default", None, True) == found["replay"]["--times"]
    assert (None, "default", None, True) == found["import"]["--output"]
    assert {} == found["demo"]
    assert (129, 129) == (wrong.code, unread.code)
    assert "environment: REPLAYKIT_RUNS." in unread.err


def test_example_in_the_docs_is_what_is_printed(tmp_path: Path):
    """The rows that the page shows are printed by the command above them, in a project as it tells of."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.replaykit.profiles.shop]\nmodel = "shop_model:Shop"\nadapter = "shop_api:ShopApi"\n'
        'start = "python shop.py {port}"\nruns = 100\nsettings = { timeout = 2.0 }\n'
    )
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
    [export, config] = commands_of(next(text for kind, text in blocks(page) if kind == "console"))
    done = subprocess.run(
        ["bash", "-c", f"{export.line}; {config.line}"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    said = [" ".join(line.split()) for line in done.stdout.splitlines()]

    assert 0 == done.returncode, done
    assert shown_as([" ".join(line.split()) for line in config.shown]).fullmatch("\n".join(said)), done.stdout
