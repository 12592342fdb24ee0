"""The shop that the guides speak of: a project with a service that has a bug, its model, its history and bundles.

What stands in the guides as `shop`, `failures/bug.pd` or `v1.2` is really there, so that their blocks can be run.
"""

import shutil
import textwrap
from pathlib import Path

from conftest import ROOT, replaykit
from repositories import git

BUNDLE = ROOT / "docs" / "reference" / "bundle-format.md"
BUG = '["duplicate-names"]'

MODEL = '''
"""A shop's customers, who are those of the leaderboard."""

from replaykit import invariant
from examples.leaderboard import Leaderboard, LeaderboardApi


class Shop(Leaderboard):
    """What the shop should do."""


class StricterShop(Shop):
    """The same, and one thing more."""

    @invariant
    def nobody_has_three_points(self) -> None:
        assert all(score < 3 for score in self.scores.values())


class ShopApi(LeaderboardApi):
    """How it is asked."""

    timeout: float = 5.0
    token: str = "development"
'''
SERVE = '''
"""Serve the shop: on the port that comes last."""

import os
import sys

BUGS = {bugs}

line = [sys.executable, "-m", "examples.leaderboard", "--port", sys.argv[-1]]
os.execv(sys.executable, line + [word for bug in BUGS for word in ("--bug", bug)])
'''
SETTINGS = """
[tool.replaykit]
profile = "shop"

[tool.replaykit.profiles.shop]
model = "shop.model:Shop"
adapter = "shop.model:ShopApi"
start = "python -m shop --port {port}"
"""


def written(folder: Path, **files: str) -> None:
    """Write the files of the project that are in every version, and some more."""
    always = {"shop/__init__.py": "", "shop/model.py": MODEL, "pyproject.toml": SETTINGS, "clean.py": ""}
    beside = {"tools/environment.sh": "", "requirements.lock": "", "Makefile": "all:\n", ".gitignore": "__pycache__/\n"}
    for name, text in {**always, **beside, **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.lstrip(), encoding="utf-8")


def opened(folder: Path) -> Path:
    """Open the shop in a folder: three commits, of which the second brings the bug, and what was found and kept."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    for number, bugs in enumerate(["[]", BUG, BUG]):
        serve = SERVE.format(bugs=bugs)
        written(folder, **dict.fromkeys(("shop/__main__.py", "shop.py", "app.py"), serve), VERSION=f"{number}\n")
        git(folder, "add", "-A", "-f")
        git(folder, "commit", "-q", "-m", f"version {number}")
        if not number:
            git(folder, "tag", "v1.2")
    found = replaykit(
        "integration", "--seed", "1", "--runs", "5", "--stop-on-fail", "--save-failures", "failures",
        cwd=folder, PYTHONPATH=str(ROOT),
    )  # fmt: skip
    [bug] = (folder / "failures").glob("*.pd")
    assert found.code == 1, found
    for name in ("failures/bug.pd", "failures/CHECK-FINGERPRINT.pd", "failures/balance.pd", "more/bug.pd", "bug.pd"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(bug, folder / name)
    for name in ("before", "after"):
        shutil.copy(bug, folder / "failures" / f"{name}.pd")
    bug.unlink()
    packed = {"vcr": "cassettes/login.yaml", "har": "devtools.har", "gz": "bug.pd.gz", "ticket": "ISSUE.md"}
    for form, name in packed.items():
        replaykit("export", "bug.pd", "--format", form, "--output", name, cwd=folder, PYTHONPATH=str(ROOT))
    shutil.copy(folder / "ISSUE.md", folder / "ticket-1234.md")
    example = BUNDLE.read_text(encoding="utf-8").partition("<!-- example bundle -->")[2].split("```")[1]
    (folder / "listing_matches-3c039d06.pd").write_text(example.removeprefix("yaml\n"), encoding="utf-8")
    return folder


def program(blocks: list[tuple[str, str]]) -> str:
    """Put the Python blocks of a page together, each behind what it leaves out, and a line after what each prints."""
    head = "from typing import Annotated, ClassVar\nimport replaykit\nfrom replaykit import *\n"
    return head + "".join(f"{left_out}\n{textwrap.dedent(text)}\nprint({SEPARATOR!r})\n" for left_out, text in blocks)


SEPARATOR = "-- end of a block --"
