"""Offline through the command line: orders, recheck, and the guide to both; exit code first."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import NAMES, ROOT, replaykit

from replaykit.cli.app import run
from replaykit.reader import read
from replaykit.writer import save

GUIDE = (ROOT / "docs" / "guides" / "offline.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"(?ms)^<!-- exit: (\d+) -->\n((?:<!-- says: .*? -->\n)*)```sh\n(.*?)^```$", GUIDE)
FILES = dict(re.findall(r"(?ms)^```python\n# (\w+\.py)\n(.*?)^```$", GUIDE))
PROGRAMS = re.findall(r"(?ms)^<!-- runs -->\n```python\n(.*?)^```$", GUIDE)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Give a function that runs a command line in this process, in the project's folder."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("NO_COLOR", "1")

    def ran(*arguments: object) -> tuple[int, str, str]:
        code = run([str(each) for each in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return ran


# --- the guide ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "says", "line"), COMMANDS, ids=[line.strip() for _, _, line in COMMANDS])
def test_the_guide_shows_what_happens(code: str, says: str, line: str, here, tmp_path: Path):
    """Each command of the guide ends in the exit code that stands above it, and says what it is said to say."""
    for name, text in FILES.items():
        (tmp_path / f"guide_{name}").write_text(text, encoding="utf-8")
        line = line.replace(f" {name}:", f" {tmp_path}/guide_{name}:")
    words = [
        str(each) for word in shlex.split(line)[1:] for each in (sorted(ROOT.glob(word)) if "*" in word else [word])
    ]
    ended, out, err = here(*words)

    assert int(code) == ended, (out, err)
    assert [] == [each for each in re.findall(r"<!-- says: (.*?) -->", says) if each not in out]


def test_the_program_of_the_guide_runs(monkeypatch: pytest.MonkeyPatch):
    """What the guide does in Python holds."""
    monkeypatch.chdir(ROOT)
    assert len(PROGRAMS) == 1
    exec(compile(PROGRAMS[0], "offline.md", "exec"), {})  # noqa: S102  our own page


# --- replay --order -----------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["strict", "fifo", "any"])
def test_each_order_reproduces(order: str, duplicate_names: Path, here):
    """The bug is there in each order: 1."""
    code, out, _ = here("replay", duplicate_names, *NAMES, "--offline", "--order", order)

    assert 1 == code, out


def test_an_order_without_offline_is_129(duplicate_names: Path, here):
    """Live, nothing is played in any order, and nothing is started."""
    code, _, err = here("replay", duplicate_names, *NAMES, "--order", "fifo", "--start", "nobody --port {port}")

    assert 129 == code
    assert "--order says how a cassette is played." in err


# --- recheck ------------------------------------------------------------------------------------


def test_recheck_of_a_bug_is_1(duplicate_names: Path):
    """The recorded failure is seen again; the last line is the verdict."""
    ran = replaykit("recheck", duplicate_names)

    assert 1 == ran.code, ran
    assert ran.verdict.startswith("VERDICT reproduced: expectation create at step ")


MODELS = """
from typing import ClassVar

from examples.leaderboard import Leaderboard
from examples.leaderboard.model import CreatePlayer, IncreaseScore, PlayerCreated, PlayerRejected
from replaykit import expects, invariant


class Repaired(Leaderboard):
    @expects
    def create(self, cmd: CreatePlayer) -> tuple[PlayerCreated, PlayerRejected]:
        return PlayerCreated(name=cmd.name), PlayerRejected(status=400)


class Stricter(Leaderboard):
    @invariant
    def nobody(self) -> None:
        assert not self.scores


class Fewer(Leaderboard):
    commands: ClassVar = (IncreaseScore,)


class Broken(Leaderboard):
    @invariant
    def broken(self) -> None:
        raise KeyError("broken")
"""


@pytest.mark.parametrize(
    ("model", "code", "word"),
    [("Repaired", 0, "fixed"), ("Stricter", 1, "failed"), ("Fewer", 125, "stale"), ("Broken", 125, "different")],
)
def test_recheck_with_another_model(model: str, code: int, word: str, duplicate_names: Path, here, tmp_path: Path):
    """What holds now is 0, what fails otherwise is 1, and what can't be judged, or is the model's fault, is 125."""
    path = tmp_path / "recheck_models.py"
    path.write_text(MODELS, encoding="utf-8")
    ended, out, err = here("recheck", duplicate_names, "--model", f"{path}:{model}")

    assert code == ended, (out, err)
    assert f"VERDICT {word}: " in out.splitlines()[-1]
    assert (word == "different") == ("this is a fault of the test code" in out)
    assert (word == "failed") == ("  not recorded: invariant nobody at step " in out)


def test_recheck_as_json_prints_one_document(duplicate_names: Path, tmp_path: Path):
    """Nothing else is on standard output, and the exit code of several bundles is the worst of theirs."""
    passed = tmp_path / "passed.pd"
    bundle = read(duplicate_names)
    first = bundle.trace.steps[:1]
    save(passed, bundle.provenance, bundle.trace.replace(steps=first, ending="passed", failure=None))
    ran = replaykit("recheck", duplicate_names, passed, "--json")
    said = json.loads(ran.out)

    assert 1 == ran.code, ran
    assert [("reproduced", 1), ("passed", 0)] == [(each["verdict"], each["exit_code"]) for each in said["bundles"]]
    assert (1, 1) == (said["version"], said["exit_code"])


@pytest.mark.parametrize(
    ("content", "code", "slug"), [(None, 129, "missing-file"), (b"version: 1\nx\n", 128, "bundle-corrupt")]
)
def test_recheck_of_what_is_no_bundle(content: bytes | None, code: int, slug: str, here, tmp_path: Path):
    """A file that is not there, or is broken, is an error before anything is judged."""
    path = tmp_path / "bug.pd"
    if content is not None:
        path.write_bytes(content)
    ended, out, err = here("recheck", path)

    assert (code, "") == (ended, out)
    assert f"error[{slug}]" in err
