"""Start-up: what a command imports before it does anything, counted rather than timed.

How long it takes is measured by tests/benchmarks/budgets.py.
"""

import subprocess
import sys

import pytest
from conftest import ROOT, environment

BUNDLE = "tests/bundles/format-1.pd"
LOOK = """
import sys
from replaykit.cli import main
code = main(sys.argv[1:])
print(code, *sys.modules, file=sys.stderr)
"""
SERVICES = {
    "httpx",
    "httptools",
    "h11",
    "vcr",
    "git",
    "rich",
    "deepdiff",
    "tomlkit",
    "yaml",
    "distributed",
    "jinja2",
    "asyncio",
}
WORDS = {*SERVICES, "pydantic", "pydantic_core", "json.encoder", "email", "socket", "dataclasses"}


def imported(*words: str, **more: str) -> set[str]:
    """Run a command line in a process that starts from nothing; list what it has imported at its end."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK, *words], cwd=ROOT, env=environment(PYTHONPATH=str(ROOT), **more),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    code, *modules = done.stderr.splitlines()[-1].split()
    assert code == "0", done.stderr
    return set(modules)


def commands_in(modules: set[str]) -> set[str]:
    """List the modules of commands among others."""
    from replaykit.cli import manual

    return {f"replaykit.cli.{row.place.partition(':')[0]}" for row in manual.ROWS.values()} & modules


@pytest.mark.parametrize("words", [["--help"], ["--version"]])
def test_help_imports_no_command(words: list[str]):
    """The help of the program is written from the manual: no command is imported, and nothing slow."""
    found = imported(*words)

    assert set() == commands_in(found)
    assert set() == WORDS & found
    assert len([each for each in found if each.startswith("replaykit")]) <= 12


def test_help_of_a_command_imports_no_other():
    """`replaykit scan --help` imports the module of `scan`, and what a trace is made of is left alone."""
    found = imported("scan", "--help")

    assert {"replaykit.cli.scan"} == commands_in(found)
    assert set() == WORDS & found


@pytest.mark.parametrize("words", [["show", BUNDLE], ["list", "tests/bundles"], ["show", BUNDLE, "--plain"]])
def test_looking_imports_nothing_that_speaks_to_a_service(words: list[str]):
    """`show` and `list` read files: no client, no git, no terminal, no workshop, no other command."""
    found = imported(*words)

    assert set() == SERVICES & found
    assert 1 == len(commands_in(found))
    assert (
        not {"replaykit.run", "replaykit.model", "replaykit.adapter", "replaykit.service", "replaykit.client"} & found
    )


@pytest.mark.parametrize("typed", ["replaykit sh", "replaykit --v", "replaykit show --p", "replaykit replay --order "])
def test_completing_imports_at_most_the_command_that_is_typed(typed: str):
    """What is asked with each press of a key imports no pydantic and no client."""
    found = imported(_REPLAYKIT_COMPLETE="bash_complete", COMP_TYPED=typed)
    name = typed.split()[1]

    typed_one = {f"replaykit.cli.{name}"} if name in {"show", "replay"} else set()
    assert typed_one == commands_in(found) - {"replaykit.cli.completion"}
    assert set() == {*SERVICES, "pydantic"} & found
