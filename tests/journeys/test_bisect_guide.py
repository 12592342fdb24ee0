"""The guide to bisects, done: what it shows is what is printed, and its options are those of the command."""

import re
import shlex
import shutil
from pathlib import Path

from bisected import homes
from conftest import ROOT, replaykit
from histories import KEEPER, START, Plan, made, recorded

GUIDE = (ROOT / "docs" / "guides" / "bisect.md").read_text(encoding="utf-8")
STORY = re.findall(r"(?ms)^```console\n\$ (.*?)\n(.*?)\n```$", GUIDE)
PROFILE = f"""[tool.replaykit.profiles.ledger]
model = "bookkeeper.py:Ledger"
adapter = "bookkeeper.py:LedgerApi"
start = "{START}"
"""


def test_what_is_printed_is_what_the_guide_shows(tmp_path: Path):
    """Each command comes to the lines that stand below it, in their order; what `...` stands for is left open."""
    history = made(tmp_path / "ledger", Plan(commits=80, culprit=47))
    shutil.copy(KEEPER, history.folder)
    (history.folder / "pyproject.toml").write_text(PROFILE)
    recorded(tmp_path / "pay.pd")
    codes = []
    for line, shown in STORY:
        ran = replaykit(*shlex.split(line)[1:], cwd=history.folder, **homes(tmp_path))
        wanted = "".join(".*" if part == "..." else re.escape(part) for part in re.split(r"(\.\.\.)", shown))

        assert re.search(wanted, f"\n{ran.out}", re.DOTALL), ran
        assert ran.verdict.endswith(f"(exit {ran.code})")
        codes.append(ran.code)

    assert [0, 1] == codes


def test_the_options_that_the_guide_shows_are_there():
    """Each long option in the guide is one of the command."""
    known = set(re.findall(r"--[a-z]+(?:-[a-z]+)*", replaykit("bisect", "--help").out))
    shown = set(re.findall(r"(?<![\w-])--[a-z]+(?:-[a-z]+)*", GUIDE))

    assert shown - known == {"--trials", "--detach"}  # of the benchmark, and of git
