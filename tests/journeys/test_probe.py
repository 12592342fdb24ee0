"""replaykit probe: what lies in the current folder is built, started, judged and stopped."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import lodge
import pytest
from conftest import ROOT, Ran, environment, processes, replaykit
from matrix import written
from test_git_bisect import git

from replaykit.port import free_port

START = ("--start", lodge.START, "--health", "/")


class Yard(NamedTuple):
    """A checkout, and beside it what judges it."""

    checkout: Path
    bundle: Path
    caches: Path

    def probe(self, *options: str, names: bool = True, **more: str) -> Ran:
        """Probe the checkout."""
        return replaykit(*self.line(*options, names=names), cwd=self.checkout, XDG_CACHE_HOME=str(self.caches), **more)

    def line(self, *options: str, names: bool = True) -> list[str]:
        """Write the command line; model and adapter lie outside of the tree."""
        beside = self.bundle.parent / "mortal.py"
        named = ["--model", f"{beside}:Tally", "--adapter", f"{beside}:TallyApi"] if names else []
        return ["probe", str(self.bundle), *named, *options]


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """Give a checkout with a buggy service."""
    checkout, beside = tmp_path / "checkout", tmp_path / "beside"
    checkout.mkdir()
    beside.mkdir()
    shutil.copy(ROOT / "tests" / "mortal.py", beside)
    (checkout / "app.py").write_text(lodge.app(lodge.BUGGY))
    return Yard(checkout, written(beside / "tally.pd"), tmp_path / "caches")


def test_the_exit_code_says_whether_the_bug_is_here(yard: Yard):
    """1 where it reproduces, 0 where it does not, 125 where the service does not start; the last line says it."""
    buggy = yard.probe(*START)
    (yard.checkout / "app.py").write_text(lodge.app())
    sound = yard.probe(*START)
    (yard.checkout / "app.py").write_text("print('no database here')")
    broken = yard.probe(*START)

    assert [1, 0, 125] == [buggy.code, sound.code, broken.code]
    assert buggy.verdict.startswith("VERDICT reproduced: expectation add at step 7")
    assert "  recorded  expectation add in step 7" in buggy.out
    assert sound.verdict.startswith("VERDICT fixed: all steps ran")
    assert broken.verdict.startswith("VERDICT unreachable: The service ended before it was healthy")
    assert "  | no database here" in broken.out


def test_it_judges_as_a_replay_does(yard: Yard):
    """What is printed is what a replay of the same service prints."""
    line = yard.line(*START)
    replayed = replaykit("replay", *line[1:], cwd=yard.checkout)

    assert yard.probe(*START).verdict == replayed.verdict


def test_a_build_that_fails_is_skipped(yard: Yard):
    """Its last lines stand on standard error, and git skips the commit."""
    ran = yard.probe(*START, "--build", "sh -c 'echo no compiler here; exit 3'")

    assert 125 == ran.code, ran
    assert "VERDICT unbuildable: The build failed: it exited with 3. (exit 125)" == ran.verdict
    assert "error[unbuildable]: The build failed: it exited with 3." in ran.err
    assert "    | no compiler here" in ran.err


def test_it_builds_and_leaves_nothing_behind(yard: Yard, tmp_path: Path):
    """What the build makes is what is started; no process and no byte code stays."""
    mark = f"mark-{tmp_path.name}"
    (yard.checkout / "adding.py").write_text("EXTRA = 1\n")
    text = lodge.app("total += number + (number >= 8) * adding.EXTRA")
    (yard.checkout / "app.txt").write_text(f"import adding\n{text}")
    (yard.checkout / "app.py").unlink()
    ran = yard.probe("--start", f"{lodge.START} {mark}", "--health", "/", "--build", "cp app.txt app.py")

    assert 1 == ran.code, ran
    assert not processes(mark)
    assert ["adding.py", "app.py", "app.txt"] == sorted(path.name for path in yard.checkout.iterdir())


def test_json_is_that_of_a_replay(yard: Yard):
    """One document on standard output; what is printed else goes to standard error."""
    judged = yard.probe(*START, "--json")
    unbuilt = yard.probe(*START, "--json", "--build", "false")

    assert (1, "reproduced") == (judged.code, json.loads(judged.out)["replays"][0]["verdict"])
    assert "VERDICT reproduced" in judged.err
    [told] = json.loads(unbuilt.out)["replays"]
    assert (125, "unreachable") == (unbuilt.code, told["verdict"])
    assert "The build failed: it exited with 1." == told["reason"]


def test_a_profile_says_how_it_is_built(yard: Yard):
    """Its keys are those of the options, also where it is found by its model and adapter; an option goes before it."""
    (yard.checkout / "pyproject.toml").write_text(
        '[tool.replaykit.profiles.tally]\nmodel = "mortal:Tally"\nadapter = "mortal:TallyApi"\n'
        f'start = "{lodge.START}"\nhealth = "/"\nbuild = "false"\nbuild_timeout = 5\nkeep = ["node_modules"]\n'
    )
    shutil.copy(ROOT / "tests" / "mortal.py", yard.checkout)
    found = yard.probe(names=False)
    named = yard.probe("--profile", "tally", names=False)
    other = yard.probe("--build", "true", names=False)

    assert [125, 125, 1] == [found.code, named.code, other.code], (found, named, other)
    assert "VERDICT unbuildable" in found.verdict
    assert found.verdict == named.verdict


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "No service is named"),
        (("--start", "python app.py"), "has no {port} in it"),
        ((*START, "--build", "make && make install"), "is one for a shell"),
        ((*START, "--setup", "python -m venv env"), "has no {env} in it"),
        ((*START, "--build-timeout", "0"), "--build-timeout"),
        ((*START, "--no-such-option"), "No such option"),
    ],
)  # fmt: skip
def test_what_is_the_same_at_every_commit_stops_a_bisect(yard: Yard, options: tuple[str, ...], said: str):
    """A wrong option exits with 129, and nothing is started."""
    ran = yard.probe(*options)

    assert 129 == ran.code, ran
    assert said in ran.err


def test_a_bundle_that_is_not_there_stops_a_bisect(yard: Yard):
    """So does one that is broken, with 128."""
    codes = []
    for content in (None, b"version: 1\n"):
        yard.bundle.unlink()
        if content is not None:
            yard.bundle.write_bytes(content)
        codes.append(yard.probe(*START).code)
        yard.bundle.touch()

    assert [129, 128] == codes


def test_what_may_be_served_from_elsewhere_is_warned_of(yard: Yard, tmp_path: Path):
    """An installed copy of the package is told on standard error; the verdict stays."""
    for folder in (yard.checkout, tmp_path / "installed"):
        (folder / "shop").mkdir(parents=True)
        (folder / "shop" / "__init__.py").touch()
    ran = yard.probe(*START, PYTHONPATH=f"{ROOT}:{ROOT / 'tests'}:{tmp_path / 'installed'}")

    assert 1 == ran.code, ran
    assert f"warning: shop is found at {tmp_path / 'installed' / 'shop' / '__init__.py'} too" in ran.err


# --- git bisect run -----------------------------------------------------------------------------

COMMITS, CULPRIT, UNBUILDABLE = 7, 5, (3,)
GUIDE = (ROOT / "docs" / "guides" / "git-bisect.md").read_text(encoding="utf-8")


def history(folder: Path) -> list[str]:
    """Make a repository whose service imports a module that each commit changes, in the same number of bytes."""
    git(folder, "init", "-q", "-b", "main")
    (folder / "app.py").write_text(
        "import adding\n" + lodge.app("total += number + (number >= 8) * (adding.VERSION >= 'bug')")
    )
    commits = []
    for number in range(COMMITS):
        (folder / "adding.py").write_text(f"VERSION = '{'bug' if number >= CULPRIT else 'bad'}'  # {number:02}\n")
        (folder / "make.sh").write_text(f"exit {int(number in UNBUILDABLE)}\n")
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", f"commit {number}")
        commits.append(git(folder, "rev-parse", "HEAD").strip())
    return commits


def test_the_guide_finds_the_commit(yard: Yard, tmp_path: Path):
    """The commands of the guide do: a commit that can't be built is skipped, no byte code of one is run at another."""
    commits = history(yard.checkout)
    git(yard.checkout, "tag", "v1", commits[0])
    (tmp_path / "bug").mkdir()
    shutil.copy(yard.bundle, tmp_path / "bug")
    shutil.copy(ROOT / "tests" / "mortal.py", tmp_path / "bug" / "model.py")
    done = subprocess.run(
        ["sh", "-ec", guide("probe")], cwd=yard.checkout, capture_output=True, text=True, check=False, timeout=120,
        env=environment(PYTHONPATH=str(ROOT), XDG_CACHE_HOME=str(yard.caches), PYTHONDONTWRITEBYTECODE=""),
    )  # fmt: skip

    assert 0 == done.returncode, done
    assert f"{commits[CULPRIT]} is the first bad commit" in done.stdout
    assert "VERDICT unbuildable: The build failed: it exited with 1. (exit 125)" in done.stdout
    assert not list(yard.checkout.rglob("*.pyc"))
    assert "" == git(yard.checkout, "status", "--porcelain")


def guide(name: str) -> str:
    """Give the commands that the guide shows under a name."""
    [script] = re.findall(rf"(?s)<!-- run: {name} -->\n\n```sh\n(.*?)```", GUIDE)
    return str(script)


def test_the_guide_judges_a_service_that_others_start(yard: Yard, tmp_path: Path):
    """The script that the guide gives to git exits as the replay does, and with 125 where nothing could be started."""
    (tmp_path / "bug").mkdir()
    shutil.copy(yard.bundle, tmp_path / "bug")
    shutil.copy(ROOT / "tests" / "mortal.py", tmp_path / "bug" / "model.py")
    port = free_port()
    script = guide("url").replace("git bisect run ", "exec ").replace("8080", str(port))
    for name, text in (
        ("start-it", f"test -e app.py || exit 1\npython app.py {port} > log 2>&1 &\necho $! > pid\n"),
        ("stop-it", "kill $(cat pid)\n"),
    ):
        (yard.checkout / name).write_text(f"#!/bin/sh\n{text}")
        (yard.checkout / name).chmod(0o700)
    codes = []
    for text in (lodge.app(lodge.BUGGY), None):
        (yard.checkout / "app.py").unlink()
        if text is not None:
            (yard.checkout / "app.py").write_text(text)
        done = subprocess.run(
            ["sh", "-c", script], cwd=yard.checkout, env=environment(PYTHONPATH=str(ROOT)), check=False, timeout=60,
            capture_output=True,
        )  # fmt: skip
        codes.append(done.returncode)

    assert [1, 125] == codes


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_probe_that_is_stopped_leaves_nothing(yard: Yard, tmp_path: Path, number: signal.Signals, code: int):
    """The build is ended, and the exit code stops a bisect."""
    mark = f"mark-{tmp_path.name}-{number}"
    idle = "import time; time.sleep(600)"
    process = subprocess.Popen(
        [sys.executable, "-m", "replaykit", *yard.line(*START, "--build", f"python -c '{idle}' {mark}-built")],
        cwd=yard.checkout, env=environment(PYTHONPATH=str(ROOT), XDG_CACHE_HOME=str(yard.caches)),
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    while len(processes(f"{mark}-built")) < 3:  # replaykit, the supervisor, the build
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    said, _ = process.communicate(timeout=20)

    assert code == process.returncode
    assert not processes(f"{mark}-built")
    assert f"VERDICT interrupted: stopped on request (exit {code})" == said.rstrip().rpartition("\n")[2]
