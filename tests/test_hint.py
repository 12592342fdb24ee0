"""Hints: what is mistyped is answered with what was meant, at every place where a name is typed."""

import socket
from pathlib import Path

import pytest
from conftest import ROOT, replaykit

from replaykit.hint import hint, meant

PROJECT = """
[tool.replaykit]
profil = "shop"

[tool.replaykit.names]
"Board.Model" = "examples.leaderboard:Leaderboard"

[tool.replaykit.profiles.board]
model = "examples.leaderboard:Leaderboard"
adapter = "examples.leaderboard:LeaderboardApi"
start = "never {port}"

[tool.replaykit.profiles.wrong]
modle = "x"
"""
BUG = ROOT / "failures/leaderboard/duplicate-names.pd"
MODEL = ("integration", "--mock", "--runs", "1", "--quiet")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a project with a bug, two profiles, and a key that means nothing."""
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "failures").mkdir()
    (tmp_path / "failures/board-6f075236.pd").write_bytes(BUG.read_bytes())
    return tmp_path


def test_what_is_meant_is_what_is_most_alike():
    """The most similar name is meant, whatever its case; where none is similar, nothing is."""
    assert meant("shwo", ["list", "show"]) == "show"
    assert meant("LEADERBORD", ["Leaderboard", "Toybank"]) == "Leaderboard"
    assert meant("x", ["list", "show"]) is None
    assert meant("show" * 1000, ["show" * 1000]) is None
    assert hint("shwo", ["show"], "Look.") == "Did you mean show? Look."
    assert hint("x", ["show"], "Look.") == "Look."


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["shwo", "x"], "Did you mean 'show'?"),
        (["help", "shwo"], "Did you mean 'show'?"),
        (["show", "x", "--plane"], "Did you mean '--plain'?"),
        (["replay", "x", "--order", "strct"], "Did you mean strict?"),
        (["export", "x", "--format", "crul"], "Did you mean curl?"),
        (["config", "integraton"], "Did you mean integration?"),
        (["replay", "x", "--profile", "bord"], "Did you mean board?"),
        (["replay", "x", "--profile", "wrong"], "Did you mean model?"),
        (["show", "failures/bord-6f075236.pd"], "Did you mean failures/board-6f075236.pd?"),
        (["show", "6f075236"], "Did you mean failures/board-6f075236.pd?"),
        (["replay", "6f075236.pd"], "Did you mean failures/board-6f075236.pd?"),
        (["close", "board-6f075236.pd"], "Did you mean failures/board-6f075236.pd?"),
        (["suite", "failure"], "Did you mean failures?"),
        (["list", "falures"], "Did you mean failures?"),
        ([*MODEL, "--model", "examples.leaderboard:Leaderbord"], "Did you mean examples.leaderboard:Leaderboard?"),
        ([*MODEL, "--model", "examples.leadrboard:Leaderboard"], "Did you mean examples.leaderboard:Leaderboard?"),
        ([*MODEL, "--model", "Board.Modle"], "Did you mean Board.Model?"),
        ([*MODEL, "--profile", "board", "--report", "jnuit"], "Did you mean junit?"),
        (["integration", "--profile", "board", "--set", "timeuot=1"], "Did you mean timeout?"),
    ],
)
def test_what_is_mistyped_is_answered_with_what_was_meant(words: list[str], said: str, project: Path):
    """Commands, options, choices, profiles, their keys, bundles, fingerprints, classes, reports and settings."""
    ran = replaykit(*words, cwd=project)

    assert ran.code in {128, 129}
    assert ran.out == ""
    assert said in ran.err


def test_a_key_that_nobody_reads_is_told(project: Path):
    """A key of [tool.replaykit] that means nothing is warned of, with the one that is meant."""
    ran = replaykit("replay", "failures/board-6f075236.pd", "--offline", "--profile", "", cwd=project)

    assert "warning: profil in [tool.replaykit] means nothing. Did you mean profile?" in ran.err


@pytest.mark.parametrize(
    ("table", "said"),
    [("redact]\nenabeld = false", "Did you mean enabled?"), ("redact]\nkey = ['a']", "Did you mean keys?")],
)
def test_keys_of_other_tables_are_answered_too(table: str, said: str, project: Path):
    """A mistyped key of [tool.replaykit.redact] is an error that names the one that is meant."""
    (project / "pyproject.toml").write_text(f"[tool.replaykit.{table}\n")
    ran = replaykit("replay", "failures/board-6f075236.pd", "--offline", cwd=project)

    assert 129 == ran.code
    assert said in ran.err


def test_a_port_that_is_taken_is_told(project: Path):
    """Where --proxy-port is somebody else's, a warning says that another one will be taken."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = ("replay", "failures/board-6f075236.pd", "--url", "http://127.0.0.1:9", "--health-timeout", "0.1")
        ran = replaykit(*words, "--proxy-port", port, cwd=project)

    assert f"warning: --proxy-port {port} can't be had: Address already in use." in ran.err
    assert "warning" not in replaykit(*words, "--proxy-port", port, "--profile", "", cwd=ROOT).err


def test_an_option_that_only_prints_something_is_not_what_was_meant():
    """Neither --version nor --help is proposed for an option that is not there."""
    assert "--version" not in replaykit("init", "--json").err


def test_who_leaves_out_a_value_is_told_where_to_look():
    """Where an option lacks its value, too, the help of the command is named."""
    ran = replaykit("show", "x", "--html")

    assert 129 == ran.code
    assert "Try 'replaykit show --help'." in ran.err


def test_json_of_the_environment_changes_no_command_that_has_none():
    """REPLAYKIT_JSON changes what a command prints of an error only where the command has --json."""
    without = replaykit("completion", "nonsense", REPLAYKIT_JSON="1")
    with_it = replaykit("show", "/nope.pd", REPLAYKIT_JSON="1")

    assert "" == without.out
    assert '"error"' in with_it.out
