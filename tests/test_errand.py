"""Errands: commands that are run to their end, and of which nothing is left."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from conftest import environment, gone, processes

from replaykit import errand, supervisor
from replaykit.errors import MachineError


def run(tmp_path: Path, *words: str, seconds: float = 20.0, **more: str) -> tuple[int | None, str]:
    """Run an errand in a folder; return its exit code and what it printed."""
    log = tmp_path / "log"
    code = errand.run(words, folder=tmp_path, variables=environment(**more), log=log, seconds=seconds)
    return code, log.read_text()


def test_its_exit_code_is_that_of_the_command(tmp_path: Path):
    """It runs in the folder, with the variables, without a shell; the log grows with each."""
    assert (3, "$NAME value\n") == run(tmp_path, "sh", "-c", 'echo "$0 $NAME"; exit 3', "$NAME", NAME="value")
    assert (0, f"$NAME value\n{tmp_path}\n") == run(tmp_path, "pwd")
    assert 137 == run(tmp_path, "sh", "-c", "kill -9 $$")[0]
    assert 137 == run(tmp_path, "sh", "-c", "kill -9 $PPID")[0]  # its supervisor
    assert 0o600 == (tmp_path / "log").stat().st_mode & 0o777


def test_what_can_not_be_started_exits_with_127(tmp_path: Path):
    """So does a program that is not there, and a folder that is not there; the log says which."""
    code, said = run(tmp_path, "no-such-program-here")
    assert (127, "no-such-program-here: No such file or directory\n") == (code, said)

    log = tmp_path / "other"
    code = errand.run(["true"], folder=tmp_path / "none", variables=environment(), log=log, seconds=5)

    assert (127, f"{tmp_path / 'none'}: No such file or directory\n") == (code, log.read_text())


def test_what_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path):
    """At the limit, the whole process group ends, and what has left it too."""
    mark = f"mark-{tmp_path}"
    begun = time.monotonic()
    code, _ = run(tmp_path, "sh", "-c", f"setsid sleep 600 {mark} & sleep 600; true {mark}", seconds=0.5)

    assert code is None
    assert time.monotonic() - begun < 5
    assert not processes(mark)


def test_what_it_leaves_in_the_background_is_ended(tmp_path: Path):
    """A daemon that a build has started does not outlive the build."""
    mark = f"mark-{tmp_path}"
    daemon = f"import time; time.sleep(600)  # {mark}"
    code, _ = run(tmp_path, "sh", "-c", 'setsid "$0" -c "$1" & exit 0', sys.executable, daemon)

    assert 0 == code
    assert not processes(mark)


def test_another_thread_may_end_it(tmp_path: Path):
    """What is given up ends at once, as if its time were over."""
    given_up = threading.Event()
    timer = threading.Timer(0.3, given_up.set)
    timer.start()
    begun = time.monotonic()
    code = errand.run(
        ["sleep", "60"], folder=tmp_path, variables=environment(), log=tmp_path / "log", seconds=60, given_up=given_up
    )
    timer.join()

    assert code is None
    assert time.monotonic() - begun < 5


RUNNER = textwrap.dedent(
    """
    import os, sys
    from pathlib import Path
    from replaykit import errand
    folder = Path(sys.argv[1])
    errand.run(
        [sys.executable, "-c", "import time; time.sleep(600)", sys.argv[2]],
        folder=folder, variables=dict(os.environ), log=folder / "log", seconds=600,
    )
    """
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_when_we_are_stopped(tmp_path: Path, number: signal.Signals):
    """On Ctrl-C the command ends before we do; if we are killed, it is gone a moment later."""
    mark = f"mark-{tmp_path}-{number}-command"
    process = subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(tmp_path), mark], env=environment(), stderr=subprocess.DEVNULL
    )
    while len(processes(mark)) < 3:  # the runner, its supervisor, the command
        time.sleep(0.01)
    process.send_signal(number)
    process.wait(10)

    assert gone(mark, 0.0 if number is signal.SIGINT else 10)


def test_a_command_that_is_only_beginning_ends_at_once_too():
    """Whenever we are gone, also before the command can hear that it shall end, it does not take until it is killed."""
    longest = 0.0
    for number in range(60):
        lifeline, ours = os.pipe()
        supervised = subprocess.Popen(
            [sys.executable, "-I", "-S", supervisor.__file__, str(lifeline), "sleep", "60"], pass_fds=[lifeline]
        )
        os.close(lifeline)
        time.sleep(number / 2000)
        os.close(ours)
        begun = time.monotonic()
        supervised.wait(20)
        longest = max(longest, time.monotonic() - begun)

    assert longest < supervisor.GRACE


def test_a_log_that_can_not_be_written_is_trouble_of_the_machine(tmp_path: Path):
    """Nothing is run whose output is lost."""
    with pytest.raises(MachineError, match="can't be written"):
        errand.run(["true"], folder=tmp_path, variables=environment(), log=tmp_path / "no" / "log", seconds=5)
