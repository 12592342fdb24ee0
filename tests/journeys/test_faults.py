"""Chaos by the command line: faults that are found with, saved, replayed, and never left out without a word."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from conftest import ROOT, Ran, environment, gone, replaykit
from jar import NAMES, Jar

from replaykit.port import free_port
from replaykit.reader import read

JAR = ROOT / "tests" / "jar.py"
CHECK = ("--health", "none")
SHAKEN = ("--model", f"{JAR}:ShakenJar", "--adapter", f"{JAR}:JarApi")
SOON = 20.0  # seconds


def start(*bugs: str, more: str = "") -> str:
    """Write the command that starts the jar."""
    return f"python {shlex.quote(str(JAR))} {{port}}" + "".join(f" --bug {bug}" for bug in bugs) + more


def hunted(*words: object, names: tuple[str, ...] = NAMES) -> Ran:
    return replaykit("integration", *names, *CHECK, "--quiet", *words)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ran, Path]:
    """Find the bug that needs a fault; give what was said, and the bundle."""
    folder = tmp_path_factory.mktemp("found")
    ran = hunted(
        "--start", start("forgetful"), "--runs", "20", "--commands", "20", "--seed", "3", "--stop-on-fail",
        "--save-failures", folder,
    )  # fmt: skip
    [bundle] = folder.glob("*.pd")
    return ran, bundle


@pytest.fixture
def bundle(found: tuple[Ran, Path], tmp_path: Path) -> Path:
    """Give a copy of the bundle."""
    return Path(shutil.copy(found[1], tmp_path / "jar.pd"))


# --- found, and found again ---------------------------------------------------------------------


def test_a_bug_that_needs_a_fault_is_found_and_shrunk_with_that_fault_alone(found: tuple[Ran, Path]):
    """What is left is the fault, as short as it can be, and the command that it hits."""
    ran, path = found
    sequence = read(path).trace.sequence

    assert 1 == ran.code
    assert "coins_match" in ran.out
    assert ["fault", "put"] == [call.tag.partition("_")[0] for call in sequence]
    assert 1 == sequence[0].args["steps"]
    assert [(), (sequence[0].label,)] == [step.faults for step in read(path).trace.steps]


@pytest.mark.parametrize("words", [(), ("--stutter", "0.4", "--parallel", "2x2", "--repeat", "1")], ids=["", "more"])
def test_without_the_bug_nothing_is_found(words: tuple[str, ...]):
    """Faults by themselves are no failures of the service, whatever else is done."""
    ran = hunted("--start", start(), "--runs", "4", "--commands", "20", "--seed", "3", *words)

    assert 0 == ran.code, ran.out
    assert "nothing found" in ran.verdict


@pytest.mark.parametrize(
    ("words", "code"),
    [(("--start", start("forgetful")), 1), (("--start", start()), 0), (("--offline",), 1)],
    ids=["on", "off", "offline"],
)
def test_the_bundle_replays_as_the_bug_is(words: tuple[str, ...], code: int, bundle: Path):
    """The same fault is done at the same step; offline it is read from the bundle."""
    health = () if "--offline" in words else CHECK
    ran = replaykit("replay", bundle, *NAMES, *words, *health)

    assert code == ran.code, ran.out + ran.err


def test_the_bundle_is_rechecked(bundle: Path):
    """With no service, what was recorded is judged by the model as it is."""
    ran = replaykit("recheck", bundle, *NAMES)

    assert 1 == ran.code, ran.out + ran.err
    assert "coins_match" in ran.out


def test_the_bundle_is_part_of_a_suite(bundle: Path):
    """Each of a folder is replayed as it would be alone."""
    ran = replaykit("suite", bundle.parent, *NAMES, "--start", start("forgetful"), *CHECK, "--quiet")
    fixed = replaykit("suite", bundle.parent, *NAMES, "--start", start(), *CHECK, "--quiet")

    assert (0, 1) == (ran.code, fixed.code), ran.out + fixed.out
    assert "1 as expected" in ran.verdict


def test_a_replay_without_what_does_the_faults_does_not_pass(bundle: Path):
    """A model that has lost its faults can't send what was recorded, and that is no success."""
    names = ("--model", f"{JAR}:Piggy", "--adapter", f"{JAR}:JarApi")
    ran = replaykit("replay", bundle, *names, "--start", start(), *CHECK)

    assert 125 == ran.code
    assert "has no command fault_" in ran.out


def test_several_processes_find_the_same(found: tuple[Ran, Path], tmp_path: Path):
    """With --jobs, each has a service and a proxy of its own."""
    ran = hunted(
        "--start", start("forgetful"), "--runs", "6", "--commands", "20", "--seed", "3", "--jobs", "2",
        "--save-failures", tmp_path, "--shrink-executions", "40",
    )  # fmt: skip
    names = {read(each).failure.fingerprint for each in tmp_path.glob("*.pd")}  # type: ignore[union-attr]

    assert 1 == ran.code
    assert {read(found[1]).failure.fingerprint} == names  # type: ignore[union-attr]


# --- where nothing can do them ------------------------------------------------------------------


def test_a_run_without_a_service_has_the_faults_and_no_losses():
    """With --mock, faults begin and end, and cost nothing."""
    ran = replaykit("integration", *NAMES[:2], "--mock", "--runs", "3", "--seed", "1", "--quiet")

    assert 0 == ran.code, ran.out
    assert "never exercised: command fault" not in ran.out


OTHERS = f"""
import sys
sys.path.insert(0, {str(JAR.parent)!r})
from jar import ChaosJar, JarApi

class Others(JarApi, other_clients=True):
    pass
"""


def test_a_model_with_faults_and_other_clients_is_refused(tmp_path: Path):
    """What another client sends goes past every fault."""
    path = tmp_path / "others.py"
    path.write_text(OTHERS)
    ran = hunted(
        "--start", start(), "--runs", "1", names=("--model", f"{path}:ChaosJar", "--adapter", f"{path}:Others")
    )

    assert 128 == ran.code, ran.out
    assert "ChaosJar has faults, and Others sends with other clients." in ran.err


def test_faults_of_a_process_that_was_not_started_here_are_refused():
    """Nothing is sent, and what to do is said."""
    with Jar() as jar:
        ran = hunted("--url", jar.url, "--runs", "1", names=SHAKEN)

    assert 129 == ran.code
    assert "Kill needs a service that is started here.\n  Name its command with --start" in ran.err


def test_faults_of_the_process_are_survived_and_what_is_lost_with_it_is_found(tmp_path: Path):
    """A service that keeps its coins passes, one that keeps none is found when it is back, and again by replays."""
    passed = hunted(
        "--start", start(more=f" --keep {tmp_path}/kept.json"), "--runs", "3", "--commands", "6", "--seed", "2",
        "--set", "timeout=0.3", names=SHAKEN,
    )  # fmt: skip
    careless = start("careless", more=f" --keep {tmp_path}/lost.json")
    failed = hunted(
        "--start", careless, "--runs", "3", "--commands", "6", "--seed", "2", "--set", "timeout=0.3",
        "--stop-on-fail", "--no-shrink", "--save-failures", tmp_path, names=SHAKEN,
    )  # fmt: skip
    [bundle] = tmp_path.glob("*.pd")
    offline = replaykit("replay", bundle, *SHAKEN, "--offline")
    rechecked = replaykit("recheck", bundle, *SHAKEN)
    replayed = replaykit("replay", bundle, *SHAKEN, "--start", careless, *CHECK)

    assert 0 == passed.code, passed.out
    assert 1 == failed.code, failed.out
    assert "coins_match" in failed.out
    assert (1, 1, 1) == (offline.code, rechecked.code, replayed.code), offline.err + rechecked.err + replayed.err


# --- ended in the middle ------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)], ids=["int", "kill"])
@pytest.mark.parametrize("names", [NAMES, SHAKEN], ids=["network", "process"])
def test_who_is_ended_in_the_middle_leaves_no_process(
    number: signal.Signals, code: int, names: tuple[str, ...], tmp_path: Path
):
    """Neither service nor proxy outlives it, whatever is on."""
    mark = f"--keep {tmp_path}/coins.json"
    words = ["integration", *names, "--start", start(more=f" {mark}"), *CHECK, "--runs", "100000", "--quiet"]
    with subprocess.Popen(
        [sys.executable, "-m", "replaykit", *words], cwd=ROOT, env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        seen = _below(process.pid, 3 if names is NAMES else 2)
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(number)
        ended = process.wait(SOON)

    assert code == ended
    assert gone(mark)
    assert _all_gone(seen)


def _below(pid: int, enough: int) -> set[int]:
    """Wait until a process has so many below it; list them."""
    deadline = time.monotonic() + SOON
    seen: set[int] = set()
    while len(seen) < enough and time.monotonic() < deadline:
        time.sleep(0.05)
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                except OSError:
                    continue
        seen, waiting = set(), [pid]
        while waiting:
            parent = waiting.pop()
            below = {child for child, each in parents.items() if each == parent} - seen
            seen |= below
            waiting += below
    assert len(seen) >= enough
    return seen


def _all_gone(pids: set[int]) -> bool:
    deadline = time.monotonic() + SOON
    while (left := [pid for pid in pids if _lives(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not left


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# --- somebody else's Toxiproxy ------------------------------------------------------------------


@contextmanager
def toxiproxy() -> Iterator[str]:
    """Give the URL of a Toxiproxy that is not ours to end."""
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "replaykit", "proxy", "--port", str(port)], cwd=ROOT, env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            url = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + SOON
            while not _answers(url) and time.monotonic() < deadline:
                time.sleep(0.05)
            yield url
        finally:
            process.terminate()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/version").status_code == 200
    except httpx.HTTPError:
        return False


def proxies(url: str) -> list[str]:
    return list(httpx.get(f"{url}/proxies").json())


def test_a_toxiproxy_that_is_not_there_is_told():
    """Faults that can't be done are no faults that were survived."""
    url = f"http://127.0.0.1:{free_port()}"
    ran = hunted("--start", start(), "--runs", "1", "--toxiproxy", url)

    assert 125 == ran.code, ran.out + ran.err
    assert f"Toxiproxy can't be reached at {url}" in ran.out + ran.err


def test_with_a_toxiproxy_the_bug_is_found_and_nothing_is_left_on_it(bundle: Path):
    """Its proxy is removed at the end, and after a killed run at the next start."""
    with toxiproxy() as url:
        words = ("--start", start("forgetful"), *CHECK, "--toxiproxy", url)
        replayed = replaykit("replay", bundle, *NAMES, *words)
        after = proxies(url)
        with subprocess.Popen(
            [sys.executable, "-m", "replaykit", "integration", *NAMES, *words, "--start", start(), "--runs", "999"],
            cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            deadline = time.monotonic() + SOON
            while not proxies(url) and time.monotonic() < deadline:
                time.sleep(0.05)
            process.send_signal(signal.SIGKILL)
        killed = proxies(url)
        again = replaykit("replay", bundle, *NAMES, *words)
        left = proxies(url)

    assert (1, 1) == (replayed.code, again.code), replayed.out + replayed.err
    assert ([], 1, []) == (after, len(killed), left)
    assert killed[0].startswith("replaykit-")


# --- bisect -------------------------------------------------------------------------------------


def test_a_bisect_applies_the_faults(bundle: Path, tmp_path: Path):
    """The culprit is the commit from which on a retry is done again, which no run without a fault tells."""
    repository = tmp_path / "jar"
    repository.mkdir()

    def git(*words: str) -> str:
        who = {"NAME": "a", "EMAIL": "a@example.com", "DATE": "2024-01-01T00:00:00Z"}
        named = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
        kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        done = subprocess.run(
            ["git", *words], cwd=repository, env={**kept, **named}, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    git("init", "-q", "-b", "main")
    text, commits = JAR.read_text(), []
    for number in range(3):
        bugs = '("forgetful",)' if number >= 2 else "()"
        written = text.replace("Jar(told.port, told.keep, tuple(told.bug))", f"Jar(told.port, told.keep, {bugs})")
        assert written != text
        (repository / "jar.py").write_text(f"{written}# {number}\n")
        git("add", ".")
        git("commit", "-q", "-m", f"number {number}")
        commits.append(git("rev-parse", "HEAD"))
    path = f"{ROOT}{os.pathsep}{JAR.parent}"
    ran = replaykit(
        "bisect", bundle, *NAMES, "--start", "python jar.py {port}", *CHECK, "--good", commits[0], "--bad", "main",
        "--confidence", "0.9", "--quiet", cwd=repository, PYTHONPATH=path,
    )  # fmt: skip

    assert 0 == ran.code, ran.out + ran.err
    assert commits[2][:7] in ran.out
    assert "number 2" in ran.out
