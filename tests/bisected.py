"""What the tests and the benchmarks of bisects share: how one is asked for, and what it must leave as it was."""

import json
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

from conftest import ROOT, environment
from histories import NAMES, START, History

from replaykit.blame import Blame

HOMES = ("XDG_STATE_HOME", "XDG_CACHE_HOME")
SETTLED = 5.0  # seconds in which nothing of a killed bisect may be left


class Kept(NamedTuple):
    """What belongs to the user in a repository."""

    status: str
    head: str
    refs: str
    index: bytes
    reflog: str
    bisect: str  # an own bisect in progress


def kept(history: History) -> Kept:
    """Look at a repository."""
    index = (history.folder / ".git" / "index").read_bytes()  # before `git status` refreshes it
    logs = sorted((history.folder / ".git" / "logs").rglob("*"))
    own = sorted((history.folder / ".git").glob("BISECT_*"))
    return Kept(
        status=history.git("--no-optional-locks", "status", "--porcelain", "--ignored"),
        head=(history.folder / ".git" / "HEAD").read_text(),
        refs=history.git("for-each-ref"),
        index=index,
        reflog="".join(path.read_text() for path in logs if path.is_file()),
        bisect="".join(path.name + path.read_text() for path in own),
    )


def homes(folder: Path) -> dict[str, str]:
    """Name the folders in which a bisect keeps what it knows, below one for tests."""
    return {name: str(folder / name.lower()) for name in HOMES}


def bisect_words(bundle: Path, good: str = "v1.0", bad: str = "main", start: str | None = START) -> list[str]:
    """Write the command line of a bisect, without `replaykit`."""
    return [
        "bisect", str(bundle), "--good", good, "--bad", bad, *NAMES, *(("--start", start) if start else ()),
    ]  # fmt: skip


def command(*words: object) -> list[str]:
    """Write the command line with the Python that runs the tests."""
    return [sys.executable, "-m", "replaykit", *map(str, words)]


def variables(folder: Path) -> dict[str, str]:
    """Give the environment of a process of a bisect's own."""
    return {**environment(**homes(folder)), "PYTHONPATH": str(ROOT)}


def blame_of(text: str) -> Blame:
    """Read the JSON document that a bisect prints, without what is only for its readers."""
    document = json.loads(text)
    return Blame.model_validate_json(json.dumps({key: document[key] for key in Blame.model_fields if key in document}))


def left_of(folder: Path) -> list[str]:
    """List the processes that a bisect with these homes has left; wait a while for those that are ending."""
    deadline = time.monotonic() + SETTLED
    while (found := _marked(str(folder))) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def _marked(mark: str) -> list[str]:
    """List the command lines of the processes in whose environment a text stands."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if mark.encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
        except OSError:
            continue  # it is gone, or somebody else's
    return [each for each in found if each]


def trees_of(history: History) -> list[str]:
    """List the worktrees of a repository, but for the user's own."""
    listed = history.git("worktree", "list", "--porcelain").splitlines()
    return [line for line in listed if line.startswith("worktree ")][1:]
