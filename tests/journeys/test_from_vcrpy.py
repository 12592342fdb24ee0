"""The guide for those who come from vcrpy: its suite is recorded with vcrpy, moved, and held against the service."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, environment, leaderboard

from replaykit import service

GUIDE = ROOT / "docs" / "guides" / "migrating-from-vcrpy.md"
BLOCKS = re.findall(r"(?ms)^```(python|sh)\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"))
FILES = {name[1]: block for kind, block in BLOCKS if kind == "python" and (name := re.match(r"# (\w+\.py)\n", block))}
LINES = [line for kind, block in BLOCKS if kind == "sh" for line in block.splitlines()]
NOWHERE = "http://127.0.0.1:9"


def typed(folder: Path, line: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of the guide."""
    program, *words = shlex.split(line)
    return subprocess.run(
        [program, *words] if program == "mkdir" else [sys.executable, "-m", program, *words],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
        env=environment(
            PYTHONPATH=str(ROOT), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", PYTEST_PLUGINS="replaykit.pytest_plugin"
        ),
    )  # fmt: skip


def written(folder: Path, url: str, *, moved: bool) -> None:
    """Write the files of the guide, as they are before the move or after it, for a service that is somewhere."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    before = next(block for kind, block in BLOCKS if block.startswith("# test_board.py\n"))
    for name, block in (FILES if moved else {"board.py": FILES["board.py"], "test_board.py": before}).items():
        (folder / name).write_text(block.replace("http://127.0.0.1:4600", url))


@pytest.mark.parametrize(("bug", "changed"), [((), False), (("duplicate-names",), True)])
def test_the_guide_holds(tmp_path: Path, bug: tuple[str, ...], changed: bool):
    """A suite with vcrpy is moved step by step; what is played needs no service, and one that changed is seen."""
    *mine, record, verify, last = LINES
    if changed:
        mine = mine[:4]
    codes = []
    with service.reached(url=None, start=leaderboard(), health=None, patience=None) as url:
        written(tmp_path, url, moved=False)
        codes.append(typed(tmp_path, mine[0]).returncode)
    written(tmp_path, NOWHERE, moved=True)
    codes += [typed(tmp_path, line).returncode for line in mine[1:]]
    with service.reached(url=None, start=leaderboard(*bug), health=None, patience=None) as url:
        written(tmp_path, url, moved=True)
        if not changed:
            codes.append(typed(tmp_path, record).returncode)
        ran = typed(tmp_path, verify)
    written(tmp_path, NOWHERE, moved=True)
    codes.append(typed(tmp_path, last).returncode)

    assert [0] * len(codes) == codes
    assert (["all", "verify"], "test_with_vcrpy.py") == (
        [re.split("[= ]", each)[2] for each in (record, verify)],
        last[7:],
    )
    assert int(changed) == ran.returncode, ran.stdout
