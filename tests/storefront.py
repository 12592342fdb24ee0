"""The shop that the guides speak of: a project with a service that has a bug, its model, its history and bundles.

What stands in the guides as `shop`, `failures/bug.pd` or `v1.2` is really there, so that their blocks can be run.
"""

import shutil
import textwrap
from pathlib import Path

from conftest import ROOT, replaykit
from repositories import git

BUNDLE = ROOT / "docs" / "reference" / "bundle-format.md"

MODEL = '''
"""A shop's customers, who are those of the leaderboard."""

from typing import ClassVar

from examples.leaderboard import Leaderboard, LeaderboardApi
from examples.leaderboard.model import CreatePlayer, IncreaseScore
from replaykit import Command, Event, Model, handles, invariant


class ListItems(Command, idempotent=True):
    pass


class Listed(Event):
    pass


class Shop(Leaderboard):
    """What the shop should do."""

    commands: ClassVar = (CreatePlayer, IncreaseScore, ListItems)


class StricterShop(Shop):
    """The same, and one thing more."""

    @invariant
    def nobody_has_three_points(self) -> None:
        assert all(score < 3 for score in self.scores.values())


class Shelf(Model):
    """A shop that can only be looked at."""

    commands: ClassVar = (ListItems,)


class ShopApi(LeaderboardApi):
    """How it is asked."""

    timeout: float = 5.0
    token: str = "development"

    @handles
    def list_items(self, cmd: ListItems) -> Listed:
        self.http.get("/players").raise_for_status()
        return Listed()
'''
SERVE = '''
"""Serve the shop, on the port that comes last: what the leaderboard does, started in no time."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

IS_BROKEN = {is_broken}  # a taken name is accepted once more
SCORES, LOCK = {{}}, threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        rows = sorted(SCORES.items(), key=lambda row: (-row[1], row[0]))
        self.answer(200, [{{"name": name, "score": score}} for name, score in rows])

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with LOCK:
            self.answer(*self.changed(body))

    def changed(self, body):
        if self.path == "/reset":
            SCORES.clear()
        elif self.path == "/players":
            name = json.loads(body)["name"]
            if not name.strip() or (name in SCORES and not IS_BROKEN):
                return 400, {{}}
            SCORES[name] = 0
        elif (name := unquote(self.path.removeprefix("/scores/"))) in SCORES:
            SCORES[name] += 1
        return 200, {{}}

    def answer(self, status, data):
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[-1])), Handler).serve_forever()
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
    for number, is_broken in enumerate([False, True, True]):
        serve = SERVE.format(is_broken=is_broken)
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
