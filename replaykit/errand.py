"""An errand: a command that is run to its end, and of which nothing is left then, nor if replaykit is killed."""

import contextlib
import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from replaykit.errors import MachineError

NOT_STARTED = 127  # the exit code of what can't be started, as in a shell
POLL = 0.05  # seconds between two looks at whether it was given up


def run(
    words: Sequence[str],
    *,
    folder: Path,
    variables: Mapping[str, str],
    log: Path,
    seconds: float,
    given_up: threading.Event | None = None,
) -> int | None:
    """Run a command in a folder, and return its exit code, 128 and more for a signal; None where it took too long.

    That of a supervisor which was killed itself, as by a system without memory, is told in its place.

    What it prints is appended to `log`, which is kept short. All that it has started is ended with it. Another thread
    may end it: `given_up` says so, and it is as if the time were over. Raises MachineError where no process can be
    started, or the log not be written.
    """
    try:
        output = os.open(log, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise MachineError(f"{log} can't be written: {error.strerror}.", "Make room, or let it be written.") from None
    try:
        lifeline, hold = os.pipe()
        try:
            process = _begun(words, folder, variables, output, lifeline)
        except OSError as error:
            os.close(hold)
            if error.errno in _OF_FOLDER:
                os.write(output, f"{folder}: {error.strerror}\n".encode())
                return NOT_STARTED
            raise MachineError(
                f"No process can be started: {error.strerror}.", "Let the machine have more memory or processes."
            ) from None
        except BaseException:
            os.close(hold)
            raise
        finally:
            os.close(lifeline)
        try:
            code = _ended(process, seconds, given_up)
            return 128 - code if code is not None and code < 0 else code
        finally:
            os.close(hold)  # which ends what is left
            process.wait()
    finally:
        os.close(output)


_OF_FOLDER = {errno.ENOENT, errno.ENOTDIR, errno.EACCES}


def _begun(
    words: Sequence[str], folder: Path, variables: Mapping[str, str], output: int, lifeline: int
) -> "subprocess.Popen[bytes]":
    supervisor = str(Path(__file__).with_name("supervisor.py").absolute())
    return subprocess.Popen(
        [sys.executable, "-I", "-S", supervisor, str(lifeline), *words],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        pass_fds=[lifeline],
        env=variables,
        start_new_session=True,
    )


def _ended(process: "subprocess.Popen[bytes]", seconds: float, given_up: threading.Event | None) -> int | None:
    """Wait for the end; None where it does not come in time."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(left if given_up is None else min(left, POLL))
        if given_up is not None and given_up.is_set():
            return None
    return process.poll()
