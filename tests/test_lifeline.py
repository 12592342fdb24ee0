"""The lifeline: a supervisor is begun ahead, told its command, and ends when nobody holds it any more."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import environment

from replaykit import supervisor
from replaykit.lifeline import Lifeline, Spare
from replaykit.service import Started

TELLS = "import os, sys; print(os.getcwd(), os.environ['SAID'], len(os.environ['LONG']), sys.argv[1:]); sys.exit(7)"
HOLDER = """
import sys, time
from replaykit.lifeline import Spare
with Spare() as spare:
    print(spare._next.pid, flush=True)
    time.sleep(600)
"""


def code_of(lifeline: Lifeline) -> int | None:
    """Wait for the end of a command."""
    deadline = time.monotonic() + 10
    while lifeline.code is None and time.monotonic() < deadline:
        time.sleep(0.01)
    return lifeline.code


def lives(pid: int) -> bool:
    """Say whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_spare_runs_what_it_is_told(tmp_path: Path):
    """Where, with which environment, into which log: all of it is told, of any length, and its exit code is ours."""
    log, long = tmp_path / "log", "x" * 100_000
    log.write_text("before\n")
    variables = {**environment(), "SAID": "so=so\n", "LONG": long}
    with Spare() as spare:
        begun = spare.begun(["python", "-c", TELLS, "", "", "a b"], folder=tmp_path, log=log, variables=variables)
        assert begun is not None
        code = code_of(begun)
        begun.end()

    assert (7, f"before\n{tmp_path} so=so\n {len(long)} ['', '', 'a b']\n") == (code, log.read_text())


def test_a_spare_hears_words_behind_its_command(tmp_path: Path):
    """What is said right after the command is no part of it: it is done as soon as the command runs."""
    (tmp_path / "log").touch()
    with Spare() as spare:
        begun = spare.begun(["sleep", "600"], folder=tmp_path, log=tmp_path / "log", variables=environment())
        assert begun is not None
        done = [begun.say(each) for each in (supervisor.HALT, supervisor.RESUME, b"?", supervisor.KILL)]
        begun.wait()
        done.append(begun.say(supervisor.KILL))
        begun.end()

    assert [True, True, False, True, False] == done
    assert 137 == begun.code


def test_each_spare_is_used_once(tmp_path: Path):
    """After one was told its command, there is none until the next is begun."""
    (tmp_path / "log").touch()
    with Spare() as spare:
        first = spare.begun(["true"], folder=tmp_path, log=tmp_path / "log", variables=environment())
        second = spare.begun(["true"], folder=tmp_path, log=tmp_path / "log", variables=environment())
        spare.prepare()
        third = spare.begun(["true"], folder=tmp_path, log=tmp_path / "log", variables=environment())
        assert first is not None
        assert third is not None
        first.end()
        third.end()

    assert second is None


def test_what_can_not_be_run_is_told_as_ever(tmp_path: Path):
    """A program that is not there has the exit code that shells give it, and a folder that is gone is named."""
    log = tmp_path / "log"
    log.touch()
    codes = []
    for words, folder in ((["no-such-program"], tmp_path), (["true"], tmp_path / "gone")):
        with Spare() as spare:
            begun = spare.begun(words, folder=folder, log=log, variables=environment())
            assert begun is not None
            codes.append(code_of(begun))
            begun.end()

    assert [supervisor.NOT_STARTED] * 2 == codes
    assert "no-such-program: No such file" in log.read_text()
    assert f"{tmp_path / 'gone'}: No such file" in log.read_text()


def test_a_service_does_without_a_spare_that_was_killed(tmp_path: Path):
    """Something has killed the supervisor that waited: another one is begun, and the service runs."""
    with Spare() as spare:
        assert spare._next is not None
        os.kill(spare._next.pid, signal.SIGKILL)
        os.waitid(os.P_PID, spare._next.pid, os.WEXITED | os.WNOWAIT)
        with Started("sleep {port}", folder=tmp_path, log=tmp_path / "log", spare=spare) as started:
            lived = started.alive()
            next_one = spare._next

    assert lived
    assert next_one is not None
    assert not lives(next_one.pid)


def test_a_service_is_started_and_restarted_by_spares(tmp_path: Path):
    """Each start has the supervisor that waits, and with it ends all that it has started."""
    mark = f"{os.getpid()}17"
    with Spare() as spare:
        supervisors = [spare._next and spare._next.pid]
        with Started(f"sh -c 'sleep {mark} & sleep {{port}}'", folder=tmp_path, log=tmp_path / "log",
                     spare=spare) as started:  # fmt: skip
            ran = [started._lifeline and started._lifeline.pid]
            supervisors.append(spare._next and spare._next.pid)
            started.restart()
            ran.append(started._lifeline and started._lifeline.pid)
            supervisors.append(spare._next and spare._next.pid)

    assert supervisors[:2] == ran
    assert None not in supervisors
    assert not any(lives(each) for each in supervisors if each)
    assert [] == [each for each in Path("/proc").glob("[0-9]*/cmdline") if mark in _content(each)]


def _content(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_spare_is_left_when_we_are_stopped(number: signal.Signals):
    """A supervisor that has no command yet ends with who holds it, however that ends."""
    for pause in (0.0, 0.01, 0.1):
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment()
        )
        assert holder.stdout is not None
        with holder:
            spare = int(holder.stdout.readline())
            time.sleep(pause)
            holder.send_signal(number)
        deadline = time.monotonic() + 10
        while lives(spare) and time.monotonic() < deadline:
            time.sleep(0.01)

        assert not lives(spare)
