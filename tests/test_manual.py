"""The manual: every command has its row, every option its section, and what it says is true."""

import importlib.util
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest
from conftest import ROOT, environment, replaykit
from test_house import READING_ORDER

from replaykit.cli import manual
from replaykit.cli.app import commands
from replaykit.cli.page import words_of
from replaykit.cli.variables import flag_of, options_of
from replaykit.verdict import FOUND, INTERNAL, NOT_JUDGED, OK, USAGE

INTERRUPTED = 130
BUG = ROOT / "failures/leaderboard/duplicate-names.pd"
PROJECT = """
[tool.replaykit.profiles.shop]
model = "shop.model:Shop"
adapter = "shop.model:ShopApi"
url = "http://127.0.0.1:9"
"""
ENDS = {  # examples that need no service, and what they exit with
    "replay failures/bug.pd --offline": FOUND,
    "recheck failures/bug.pd": FOUND,
    "suite failures/ --offline --report junit=suite.xml": OK,
    "show failures/bug.pd": OK,
    "show failures/bug.pd --verbose": OK,
    "show failures/bug.pd --json": OK,
    "list": OK,
    "list failures/ --status open": OK,
    "list --json": OK,
    "diff failures/bug.pd failures/other.pd": FOUND,
    "diff failures/bug.pd failures/other.pd --all --json": FOUND,
    "close failures/bug.pd --ticket SHOP-12": OK,
    "close failures/bug.pd --status wontfix --note 'by design'": OK,
    "reopen failures/bug.pd --note 'back since 2.4'": OK,
    "verify --quiet failures/*.pd": OK,
    "repair failures/bug.pd": OK,
    "repair failures/bug.pd --output mended.pd": OK,
    "migrate failures/*.pd": OK,
    "migrate failures/bug.pd --canonical --output new.pd": OK,
    "scan failures/": OK,
    "export failures/bug.pd --format curl": OK,
    "export failures/bug.pd --format ticket --output bug.md": OK,
    "export failures/bug.pd --format pytest --output test_bug.py": OK,
    "import bug.md --output bug.pd": OK,
    "config": OK,
    "config --profile shop --json": OK,
    "git-setup": OK,
    "git-setup --check": OK,
    "completion bash --install": OK,
}


def examples() -> list[str]:
    """List all examples: those of the program, and those of its commands."""
    return [*manual.FIRST, *(example for row in manual.ROWS.values() for example in row.examples)]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the project that the examples speak of."""
    (tmp_path / "failures").mkdir()
    shutil.copy(BUG, tmp_path / "failures/bug.pd")
    shutil.copy(ROOT / "failures/leaderboard/score-cap.pd", tmp_path / "failures/other.pd")
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_is_under_its_name():
    """Each row leads to the command of its name, in a module that stands before the roster."""
    modules = [f"cli.{row.place.partition(':')[0]}" for row in manual.ROWS.values()]

    assert list(manual.ROWS) == [command.name for command in commands.commands.values()]
    assert max(map(READING_ORDER.index, modules)) < READING_ORDER.index("cli.roster")
    assert all(command.short_help == manual.ROWS[name].short for name, command in commands.commands.items())


def test_every_module_with_a_command_is_in_the_manual():
    """No command is forgotten: each module that makes one is named by a row."""
    made = {
        path.stem
        for path in (ROOT / "replaykit/cli").glob("*.py")
        if re.search(r"^@command\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    }

    assert made == {row.place.partition(":")[0] for row in manual.ROWS.values()}


def test_every_option_of_a_long_list_has_its_section():
    """Where a command has many options, each stands in a section; and each section's options are there."""
    long = [each for each in commands.commands.values() if len(list(options_of(each))) > manual.MANY]
    flags = {flag_of(option) for command in long for option in options_of(command)}
    every = {flag_of(option) for command in commands.commands.values() for option in options_of(command)}
    told = [flag for section in manual.SECTIONS.values() for flag in section]

    assert not [flag for flag in flags if manual.section_of(flag) is None]
    assert len(told) == len(set(told))
    assert set(told) - every <= {"--html"}


def test_exit_codes_are_those_of_the_one_table():
    """Each command says what 0, 129 and Ctrl-C mean; no code is told that the table of verdicts has not."""
    known = {OK, FOUND, NOT_JUDGED, INTERNAL, USAGE, INTERRUPTED}

    assert known == set(manual.OVERALL)
    for name in manual.ROWS:
        assert {OK, INTERNAL, USAGE, INTERRUPTED} <= set(manual.meanings(name)) <= known, name


@pytest.mark.parametrize("name", manual.ROWS)
def test_help_has_examples_and_exit_codes(name: str):
    """The help of each command shows its examples, and the meaning of its exit codes, in that order."""
    shown = replaykit(name, "--help").out
    _, first, below = shown.partition("\nExamples:\n")
    told, second, codes = below.partition("\n\nExit codes:\n")

    assert first
    assert second
    assert told == "\n".join(f"  {line}" for each in manual.ROWS[name].examples for line in each.splitlines())
    assert [str(code) for code in manual.meanings(name)] == re.findall(r"(?m)^  (\d+) ", codes)


def test_there_are_two_examples_of_what_can_be_called_in_two_ways():
    """A command has two to four examples; one, where there is nothing to say to it."""
    numbers = {name: len(row.examples) for name, row in manual.ROWS.items()}

    assert {name: number for name, number in numbers.items() if not 2 <= number <= 4} == {"demo": 1}


@pytest.mark.parametrize("example", examples())
def test_examples_can_be_read(example: str, project: Path):
    """Each example is a command line that the program understands, of the command that it stands at."""
    del project
    name, *words = words_of(example)
    words = [str(path) for word in words for path in (Path().glob(word) if "*" in word else [word])]
    words += ["failures/bug.pd"] if "xargs" in example else []

    with (
        click.Context(commands, **commands.context_settings) as top,
        commands.commands[name].make_context(name, list(words), parent=top) as context,
    ):
        assert context.params is not None
    assert example in (*manual.ROWS[name].examples, *manual.FIRST)


@pytest.mark.parametrize("line", ENDS)
def test_examples_do_what_they_say(line: str, project: Path):
    """Each example that needs no service runs, and exits as its command says."""
    if line.startswith("import"):
        assert replaykit("export", BUG, "--format", "ticket", "--output", project / "bug.md").code == OK
    if line == "git-setup --check":
        replaykit("git-setup", cwd=project)
    ran = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -m replaykit {line}'], cwd=project, capture_output=True, text=True,
        env=environment(HOME=str(project), XDG_DATA_HOME=str(project), PYTHONPATH=str(ROOT)),
        check=False, timeout=120,
    )  # fmt: skip

    assert ENDS[line] == ran.returncode, ran.stdout + ran.stderr
    assert ran.returncode in manual.meanings(line.split(maxsplit=1)[0])


def test_examples_that_are_run_are_examples():
    """What is run here stands in the manual, word for word."""
    told = {" ".join(words_of(example)) for example in examples()}

    assert {" ".join(words_of(f"replaykit {line}")) for line in ENDS} <= told


def test_help_is_had_in_every_way():
    """`-h`, `--help` and `help COMMAND` say the same; `--version` is understood at each command."""
    ways = [replaykit("show", "-h"), replaykit("show", "--help"), replaykit("help", "show")]
    versions = [replaykit("--version"), replaykit("show", "--version"), replaykit("bisect", "x", "--version")]

    assert [0, 0, 0] == [each.code for each in ways]
    assert len({each.out for each in ways}) == 1
    assert [0, 0, 0] == [each.code for each in versions]
    assert len({each.out for each in versions}) == 1


def test_nothing_is_asked_for():
    """Without a command, the help is told on standard error, and the exit code is that of a wrong command line."""
    ran = replaykit()

    assert USAGE == ran.code
    assert ran.out == ""
    assert "Find bugs:" in ran.err
    assert "error[usage]: No command is named." in ran.err


def test_help_is_at_most_100_columns_wide():
    """A wide terminal does not make lines that nobody reads."""
    for words in (["--help"], ["integration", "--help"], ["bisect", "-h"]):
        ran = replaykit(*words, COLUMNS="240")
        assert max(map(len, ran.out.splitlines())) <= 100 + 4, words  # an example is not broken


def test_help_has_no_colours_and_no_pager():
    """Help is plain text, also on a terminal that has colours."""
    ran = replaykit("integration", "--help", FORCE_COLOR="1", NO_COLOR="", PAGER="false")

    assert OK == ran.code
    assert "\x1b" not in ran.out


def test_help_texts_in_the_docs_are_written_by_their_script():
    """docs/help.py changes nothing in cli.md: it was run after the last change."""
    spec = importlib.util.spec_from_file_location("help_of_the_docs", ROOT / "docs/help.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = module.PAGE.read_text(encoding="utf-8")

    assert page == module.filled(page)


@pytest.mark.parametrize("words", [("serve", "tests/bundles/format-1.pd"), ("proxy",)], ids=("serve", "proxy"))
def test_a_port_that_is_taken_is_told_of_the_code_that_it_ends_with(words: tuple[str, ...]):
    """Where somebody else has the port, the exit code is that of which the manual says so."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = replaykit(*words, "--port", str(taken.getsockname()[1]))

    assert "can't listen" in ran.err
    assert "can't listen" in manual.meanings(words[0])[ran.code]
