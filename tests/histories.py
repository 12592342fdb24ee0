"""Histories: git repositories of a small HTTP service, with many commits, one of which brings a bug.

    python tests/histories.py FOLDER [--commits N] [--culprit N]

makes one to look at, and prints its culprit. `made` makes any number of them fast, with all that makes a bisect hard:
commits that can't be built, another bug in front of this one, a bug that shows only sometimes, merges, equal trees.
The service is a ledger. From the culprit on, it adds one too many where 8 or more is paid in, but for the first time.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bookkeeper import Ledger, LedgerApi

from replaykit import service
from replaykit.adapter import Adapters
from replaykit.bundle import Provenance, Shrinking
from replaykit.model import digest_of
from replaykit.run import execute
from replaykit.sequence import Call, Fixed
from replaykit.writer import save

KEEPER = Path(__file__).with_name("bookkeeper.py")
MODEL, ADAPTER = f"{KEEPER}:Ledger", f"{KEEPER}:LedgerApi"
NAMES = ("--model", MODEL, "--adapter", ADAPTER)
START = "python app.py {port}"
BUILD = "python build.py"
CALLS = tuple(Call(label=label, tag="pay", args={"amount": amount}) for label, amount in ((0, 1), (2, 3), (5, 8)))
BRANCH = 5  # commits of a branch that is merged
EPOCH = 1_700_000_000  # of the first commit; each one after it is an hour later

SERVICE = '''"""A ledger over HTTP: python app.py PORT."""
import json
import os
import socket
import sys
import threading

VERSION = "1.0.@VERSION@"
LARGE = 8  # cents
LUCKY = int.from_bytes(os.urandom(4), "big") / 2**32


class Ledger:
    def __init__(self):
        self.amounts = []
        self.lucky = @LUCKY@

    def pay(self, amount):
        before = sum(self.amounts)
        self.amounts.append(amount)
        @PAY@

    def entries(self):
        @ENTRIES@


LEDGER = Ledger()


def answer(method, path, body):
    global LEDGER
    if path == "/api/health":
        return 200, {"version": VERSION}
    if path == "/reset":
        LEDGER = Ledger()
        return 200, {}
    if path == "/entries" and method == "POST":
        return 200, {"balance": LEDGER.pay(json.loads(body)["amount"])}
    if path == "/entries":
        return 200, LEDGER.entries()
    return 404, {}


def serve(connection):
    with connection, connection.makefile("rb") as lines:
        while line := lines.readline():
            method, path, _ = line.decode().split()
            length = 0
            while header := lines.readline().strip():
                name, _, value = header.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            status, data = answer(method, path, lines.read(length))
            text = json.dumps(data)
            lines_of_head = f"HTTP/1.1 {status} .", "Content-Type: application/json", f"Content-Length: {len(text)}"
            connection.sendall("\\r\\n".join((*lines_of_head, "", text)).encode())


def main():
    print(f"ledger {VERSION} at {sys.argv[1]}", flush=True)
    with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listening:
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
'''
WELL = "return before + amount"
BUGGY = "return before + amount + (before > 0 and amount >= LARGE@IF@)"
MASKED = "return -1"
LISTED = "return self.amounts"
MISLISTED = "return self.amounts[::-1]"
LUCKY = {"run": 'int.from_bytes(os.urandom(4), "big") / 2**32', "start": "LUCKY"}
BROKEN = "def broken(:\n    pass\n\n\n"


@dataclass(frozen=True)
class Plan:
    """What is to be in a history; commits are named by their number, from 0 in the order in which they are made."""

    commits: int = 1000
    culprit: int = 500  # brings the bug
    mended: int | None = None  # repairs it again
    broken: Collection[int] = ()  # can't be built or started
    breaks: Literal["start", "build"] = "start"  # in which way
    masked: Collection[int] = ()  # have another bug, in front of this one
    masks: Literal["step", "check"] = "step"  # which fails at an earlier step, or at another check
    rate: float = 1.0  # of the runs in which the bug shows, where it is
    false: float = 0.0  # of the runs in which it seems to show, where it is not
    each: Literal["run", "start"] = "run"  # when chance has its say: at each reset, or when the service is started
    merges: int = 0  # each so many commits of the main line, a branch of five commits is merged
    reverted: Collection[int] = ()  # take back what the commit before did, so that two trees are the same
    tags: Mapping[str, int] = field(default_factory=dict)  # annotated
    locked: int = 100  # each so many commits, the lock file changes
    submodule: bool = False


@dataclass(frozen=True)
class History:
    """A repository that was made."""

    folder: Path
    plan: Plan
    hashes: list[str]  # of all commits, by their number
    main: list[int]  # the commits of the main line
    parents: list[list[int]]

    @property
    def culprit(self) -> str:
        """The commit that brought the bug."""
        return self.hashes[self.plan.culprit]

    @property
    def first(self) -> str:
        """The first commit."""
        return self.hashes[0]

    @property
    def last(self) -> str:
        """The last one of the main line, which is HEAD."""
        return self.hashes[self.main[-1]]

    def git(self, *words: str) -> str:
        """Run git in it as its user does, and return what it printed."""
        return git(self.folder, *words)


def git(folder: Path, *words: str, given: bytes | None = None) -> str:
    """Run git in a folder, with no configuration but the repository's."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    own = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "LC_ALL": "C"}
    who = {f"GIT_{role}_{what}": said for role in ("AUTHOR", "COMMITTER")
           for what, said in (("NAME", "a"), ("EMAIL", "a@example.com"))}  # fmt: skip
    done = subprocess.run(
        ["git", *words], cwd=folder, input=given, capture_output=True, check=False, env={**kept, **own, **who}
    )
    assert done.returncode == 0, (words, done.stderr.decode())
    return done.stdout.decode().rstrip("\n")


def made(folder: Path, plan: Plan | None = None) -> History:
    """Make a repository in a folder that is not there yet, its last commit checked out."""
    plan = plan or Plan()
    folder = folder.absolute()
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    vendored = _vendor(folder) if plan.submodule else None
    parents, main = _shape(plan)
    marks = folder / ".git" / "marks"
    stream = _stream(plan, parents, main, vendored)
    git(folder, "fast-import", "--quiet", "--date-format=raw", f"--export-marks={marks}", given=stream)
    found = dict(line.split() for line in marks.read_text().splitlines())
    marks.unlink()
    git(folder, "reset", "--quiet", "--hard", "main")
    return History(folder, plan, [found[f":{number + 1}"] for number in range(len(parents))], main, parents)


def _shape(plan: Plan) -> tuple[list[list[int]], list[int]]:
    """List the parents of each commit, and the commits of the main line."""
    parents: list[list[int]] = [[]]
    main = [0]
    while len(parents) < plan.commits:
        is_merge = plan.merges and len(main) % plan.merges == 0 and len(parents) + BRANCH < plan.commits
        if is_merge:
            tip = main[-1]
            for _ in range(BRANCH):
                parents.append([tip])
                tip = len(parents) - 1
            parents.append([main[-1], tip])
        else:
            parents.append([main[-1]])
        main.append(len(parents) - 1)
    return parents, main


def _stream(plan: Plan, parents: list[list[int]], main: list[int], vendored: str | None) -> bytes:
    """Write what `git fast-import` reads."""
    has_bug: list[bool] = []
    versions: list[int] = []
    on_main = set(main)
    lines = ["feature done\n"]
    for number, before in enumerate(parents):
        bug = number == plan.culprit or any(has_bug[each] for each in before)
        has_bug.append(bug and number != plan.mended)
        versions.append(versions[number - 2] if number in plan.reverted and number > 1 else number)
        subject = f"ledger: change {number}"
        if number in plan.reverted:
            subject = f'Revert "ledger: change {number - 1}"'
        if len(before) > 1:
            subject = f"Merge pull request #{number} from a/feature-{number}"
        elif number == plan.culprit:
            subject = f"ledger: pay in cents (#{number})"
        branch = "main" if number in on_main else "feature"
        if branch == "feature" and before[0] in on_main:
            lines.append(f"reset refs/heads/feature\nfrom :{before[0] + 1}\n")
        moment = EPOCH + 3600 * number
        lines.append(
            f"commit refs/heads/{branch}\nmark :{number + 1}\n"
            f"author a <a@example.com> {moment} +0000\ncommitter a <a@example.com> {moment} +0000\n{_data(subject)}"
        )
        if before:
            lines.append(f"from :{before[0] + 1}\n")
        lines += [f"merge :{each + 1}\n" for each in before[1:]]
        files = _files(plan, number, versions[number], has_bug=has_bug[number])
        lines += [f"M 100644 inline {name}\n{_data(text)}" for name, text in files.items()]
        if vendored is not None:
            lines.append(f"M 160000 {vendored} vendor\n")
    lines += [
        f"tag {name}\nfrom :{number + 1}\ntagger a <a@example.com> {EPOCH} +0000\n{_data(name)}"
        for name, number in {"v1.0": 0, **plan.tags}.items()
    ]
    if len(main) < len(parents):
        lines.append(f"reset refs/heads/feature\nfrom {'0' * 40}\n\n")
    lines.append("done\n")
    return "".join(lines).encode()


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}\n"


def _files(plan: Plan, number: int, version: int, *, has_bug: bool) -> dict[str, str]:
    """Write the files of a commit."""
    unbuildable = number in plan.broken
    files = {
        "app.py": program(
            version,
            rate=plan.rate if has_bug else plan.false,
            each=plan.each,
            masked=plan.masks if number in plan.masked else None,
            broken=unbuildable and plan.breaks == "start",
        ),
        "build.py": f"raise SystemExit({int(unbuildable and plan.breaks == 'build')})\n",
        "CHANGES.md": f"Version 1.0.{version}\n",
        "requirements.lock": f"# {number // plan.locked}\n",
    }
    if plan.submodule:
        files[".gitmodules"] = '[submodule "vendor"]\n\tpath = vendor\n\turl = ../vendor\n'
    return files


def program(
    version: int = 0,
    *,
    rate: float = 1.0,
    each: Literal["run", "start"] = "run",
    masked: Literal["step", "check"] | None = None,
    broken: bool = False,
) -> str:
    """Write the service; the bug shows in so many of its runs, or of its starts, a part of 1."""
    chance = "" if rate >= 1 else f" and self.lucky < {rate!r}"
    pay = MASKED if masked == "step" else BUGGY.replace("@IF@", chance) if rate else WELL
    text = SERVICE.replace("@VERSION@", str(version)).replace("@PAY@", pay)
    text = text.replace("@LUCKY@", LUCKY[each]).replace("@ENTRIES@", MISLISTED if masked == "check" else LISTED)
    return text.replace("class Ledger", f"{BROKEN}class Ledger") if broken else text


def _vendor(folder: Path) -> str:
    """Make the repository of the submodule, beside the other; return its commit."""
    vendor = folder.parent / "vendor"
    if not vendor.exists():
        vendor.mkdir()
        git(vendor, "init", "--quiet", "--initial-branch=main")
        (vendor / "rates.txt").write_text("1\n")
        git(vendor, "add", ".")
        git(vendor, "commit", "--quiet", "-m", "rates")
    return git(vendor, "rev-parse", "HEAD")


def recorded(path: Path, *, failed: int = 10, runs: int = 10) -> Path:
    """Save a bundle of the bug, that showed in so many of so many runs when it was recorded."""
    folder = path.parent / f"{path.stem}-service"
    folder.mkdir()
    (folder / "app.py").write_text(program())
    start = f"{sys.executable} {folder / 'app.py'} {{port}}"
    with service.opened(url=None, start=start, health=None, patience=None) as running:
        adapters = Adapters(Ledger, LedgerApi, running.url, {})
        trace = execute(Ledger, adapters.new(), Fixed(CALLS))
        adapters.close()
    assert trace.failure is not None, trace
    shrinking = Shrinking(
        calls_before=9, executions=9, requests=9, seconds=1.0, confirmed=failed == runs, runs=runs, failed=failed
    )
    provenance = Provenance(
        url=running.url, model=MODEL, adapter=ADAPTER, model_digest=digest_of(Ledger), campaign_seed=1, run=0, seed=1,
        commands=9, shrinking=shrinking,
    )  # fmt: skip
    save(path, provenance, trace)
    return path


def main() -> None:
    """Make one to look at."""
    parser = argparse.ArgumentParser(description="Make a repository with a bug.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--commits", type=int, default=1000)
    parser.add_argument("--culprit", type=int, default=500)
    asked = parser.parse_args()
    print(made(asked.folder, Plan(commits=asked.commits, culprit=asked.culprit)).culprit)


if __name__ == "__main__":
    main()
