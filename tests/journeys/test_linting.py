"""replaykit lint on the command line: exit codes first, what the pages show, and that nothing is sent."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, environment

CLEAN, FOUND, BROKEN, USAGE = 0, 1, 128, 129
MODELS = ROOT / "docs" / "guides" / "models.md"


def lint(*arguments: str, folder: Path = ROOT, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "replaykit", "lint", *arguments],
        cwd=folder,
        env=environment(PYTHONPATH=f"{ROOT}:{ROOT / 'tests'}", **more),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        (CLEAN, ["lints.shop:Shop", "--adapter", "lints.shop:ShopApi"]),
        (CLEAN, ["--profile", "leaderboard", "--runs", "5"]),
        (FOUND, ["lints.never_checked:Vacuous"]),
        (CLEAN, ["lints.never_checked:Vacuous", "--ignore", "RK207"]),
        (CLEAN, ["lints.never_checked:Overseen"]),  # a note
        (BROKEN, ["lints.nothing:Nothing"]),
        (BROKEN, ["lints.shop:Nothing"]),
        (BROKEN, ["lints.shop:ShopApi"]),
        (USAGE, ["lints.shop:Shop", "--select", "E501"]),
        (USAGE, ["lints.shop:Shop", "--runs", "0"]),
        (USAGE, []),
    ],
)
def test_exit_code_says_what_was_found(code: int, arguments: list[str]):
    """Clean is 0, errors and warnings are 1, notes are 0, what can't be imported is 128, what is misused 129."""
    done = lint(*arguments)

    assert done.returncode == code, done.stdout + done.stderr
    assert f"(exit {code}" in (done.stdout + done.stderr).splitlines()[-1]


def test_a_remark_is_told_with_its_place_and_what_to_do():
    """A remark begins with file and line, as editors know it; the last line is the verdict."""
    done = lint("lints.never_checked:Vacuous")
    first, todo, last = done.stdout.splitlines()

    assert re.match(r"tests/lints/never_checked\.py:\d+: RK207 warning: Nothing makes the check stock_matches", first)
    assert todo.startswith("    ")
    assert last.startswith("VERDICT found: 1 warning in Vacuous (")


def test_json_is_all_that_standard_output_has():
    """--json prints a document and nothing else, with the same exit code."""
    done = lint("lints.never_checked:Vacuous", "--json")

    assert done.returncode == FOUND
    assert [each["code"] for each in json.loads(done.stdout)["remarks"]] == ["RK207"]


def test_nothing_is_sent():
    """While an example is linted, no socket is connected and no process is started."""
    watch = """
import sys
asked = []
sys.addaudithook(lambda name, args: asked.append(name) if name in {
    "socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.bind", "subprocess.Popen", "os.system"} else None)
from replaykit.linting import lint
from examples.travelbooking import ChaosTravel, ChaosTravelApi
lint(ChaosTravel, ChaosTravelApi, runs=10)
print(asked)
"""
    done = subprocess.run(
        [sys.executable, "-c", watch], cwd=ROOT, env=environment(), capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"


def test_a_model_that_wants_to_exit_is_a_remark(tmp_path: Path):
    """What a model's method does, an exit included, is told, and ends nothing else."""
    (tmp_path / "quits.py").write_text(
        "import sys\n"
        "from typing import ClassVar\n"
        "from replaykit import Command, Event, Model, expects\n"
        "class Ask(Command):\n    pass\n"
        "class Said(Event):\n    pass\n"
        "class Quits(Model):\n"
        "    commands: ClassVar = (Ask,)\n"
        "    @expects\n"
        "    def ask(self, cmd: Ask) -> Said:\n"
        "        sys.exit(0)\n"
    )
    done = lint("quits.py:Quits", folder=tmp_path)

    assert done.returncode == FOUND
    assert "quits.py:11: RK502 error: ask raises" in done.stdout


def test_a_method_that_loops_for_ever_is_an_error_that_names_it(tmp_path: Path):
    """A model whose precondition never ends does not keep lint: it ends in time, and says which method it was."""
    (tmp_path / "loops.py").write_text(
        "from typing import ClassVar\n"
        "from replaykit import Command, Model, requires\n"
        "class Ask(Command):\n    pass\n"
        "class Loops(Model):\n"
        "    commands: ClassVar = (Ask,)\n"
        "    server_errors: ClassVar = True\n"
        "    @requires\n"
        "    def ready(self, cmd: Ask) -> bool:\n"
        "        while True:\n"
        "            try:\n"
        "                len('')\n"
        "            except Exception:\n"
        "                pass\n"
    )
    done = lint("loops.py:Loops", "--limit", "2s", "--json", folder=tmp_path)
    [first, todo, *_] = done.stderr.splitlines()

    assert done.returncode == BROKEN
    assert "error[definition]: It took more than 2 seconds, and ready (" in first
    assert re.search(r"/loops\.py, line 1[0-4]\) had not come to an end\.$", first)
    assert "--limit" in todo
    assert json.loads(done.stdout)["error"]["slug"] == "definition"


def test_a_module_that_is_never_imported_is_an_error(tmp_path: Path):
    """What a file does while it is imported has the same limit."""
    (tmp_path / "sleeps.py").write_text("import time\ntime.sleep(1000)\n")
    done = lint("sleeps.py:Sleeps", "--limit", "1", folder=tmp_path)

    assert done.returncode == BROKEN
    assert "sleeps.py, line 2" in done.stderr


def test_the_guide_shows_what_is_printed(tmp_path: Path):
    """The model of the guide has the mistakes that the guide tells."""
    text = MODELS.read_text(encoding="utf-8").partition("## Before any service is asked")[2]
    [code] = re.findall(r"(?ms)^```python\n(# tickets\.py\n.*?)^```$", text)
    (tmp_path / "tickets.py").write_text(code, encoding="utf-8")
    for block in re.findall(r"(?ms)^```console\n(\$ replaykit lint .*?)^```$", text):
        command, *shown = block.splitlines()

        assert matches(shown, lint(*command.split()[3:], folder=tmp_path).stdout.splitlines())


def test_the_page_shows_what_is_printed():
    """The command of the reference prints what stands there."""
    text = (ROOT / "docs" / "reference" / "lint.md").read_text(encoding="utf-8")
    [block] = re.findall(r"(?ms)^```console\n(.*?)^```$", text)
    command, *shown = block.splitlines()

    assert matches(shown, lint(*command.split()[3:]).stdout.splitlines())


def matches(shown: list[str], printed: list[str]) -> bool:
    """Say whether lines are those that a page shows, where `[..]` stands for anything."""
    patterns = [re.escape(line).replace(re.escape("[..]"), ".*") for line in shown]
    return len(shown) == len(printed) and all(
        re.fullmatch(pattern, line) for pattern, line in zip(patterns, printed, strict=True)
    )
