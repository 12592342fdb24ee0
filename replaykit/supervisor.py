"""Run one command, and see to it that nothing of it is left when replaykit is gone.

    python supervisor.py LIFELINE COMMAND...

LIFELINE is the number of a pipe whose other end replaykit holds. When that end closes, whether replaykit
stopped, crashed or was killed, the command and all that it started are ended: TERM, then KILL after
GRACE seconds. The supervisor exits with the command's own exit code.

On Linux it also adopts what the command left behind (PR_SET_CHILD_SUBREAPER, prctl(2)), so that a
daemon that left the process group does not get away. It is a program of its own, with the standard
library only, because it has to outlive the process that it watches.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

GRACE = 5.0  # seconds between TERM and KILL
POLL = 0.05  # seconds

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def main() -> int:
    """Run the command of the command line; return its exit code."""
    lifeline, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        process = subprocess.Popen(command, start_new_session=True, restore_signals=True, preexec_fn=_before_command)  # noqa: PLW1509
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return 127
    while process.poll() is None:
        readable, _, _ = select.select([lifeline], [], [], POLL)
        if readable:
            break
    end(process)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def _before_command() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    if sys.platform == "linux":  # should the supervisor itself be killed, the command goes with it
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def end(process: "subprocess.Popen[bytes]") -> None:
    """End the command's process group, and whatever else of it is left."""
    _tell(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while time.monotonic() < deadline and (process.poll() is None or _alive(process.pid)):
        _reap(process.pid)
        time.sleep(POLL)
    _tell(process.pid, signal.SIGKILL)
    process.wait()
    for _ in range(100):
        orphans = _children()
        if not orphans:
            return
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        _reap(process.pid)
        time.sleep(POLL)


def _tell(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _reap(command: int) -> None:
    """Take leave of adopted children that have ended; the command itself is left to Popen."""
    for pid in _children():
        if pid == command:
            continue
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _children() -> list[int]:
    """List the processes whose parent is this one, the command's own aside once it has ended (Linux)."""
    try:
        text = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(pid) for pid in text.split()]


if __name__ == "__main__":
    sys.exit(main())
