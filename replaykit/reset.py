"""Resets: how a service is brought to a clean state before each execution, beside what its adapter does.

What a reset sends and runs is no part of a run: no bundle has it, and none can ask for it.
"""

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from replaykit.client import Client, check_url, host_and_port, without_credentials
from replaykit.errors import UnreachableError, UsageError

URL_PATIENCE = 30.0  # seconds that an answer may take
COMMAND_PATIENCE = 60.0  # seconds that a command may take
MOST_OUTPUT = 4 * 1024 * 1024  # bytes that a command may have printed before they are forgotten
LOOK = 0.2  # seconds between two looks at a command
LOG_LINES = 15


@dataclass(frozen=True, slots=True)
class Resets:
    """What is done before each execution; nothing by default. Raises UsageError for what can't be done."""

    url: str | None = None  # asked with POST: a path, or a URL with {url} in it
    command: str | None = None  # run without a shell, with {url} and {port} in it
    restart: bool = False  # the service is started anew, before the others

    def __post_init__(self) -> None:
        if self.command is not None:
            try:
                words = shlex.split(self.command)
            except ValueError as error:
                raise UsageError(
                    f"The reset command {self.command!r} can't be split: {error}.", "Check its quotes."
                ) from None
            if not words:
                raise UsageError("The reset command is empty.", "Write the command that resets the service.")
        if self.url is not None:
            place_of("http://127.0.0.1", self.url)

    def __bool__(self) -> bool:
        return self.restart or self.url is not None or self.command is not None

    def ask(self, client: Client, url: str) -> None:
        """Ask the service at `url` to reset itself. Raises UnreachableError where it does not say that it did."""
        if self.url is None:
            return
        place = place_of(url, self.url)
        trouble = client.ask("POST", place, URL_PATIENCE)
        if trouble is not None:
            raise UnreachableError(
                f"The reset failed: POST {without_credentials(place)}: {trouble}.",
                "A reset is asked for before each run, and has to be answered with a 2xx.",
            )

    def call(
        self,
        url: str,
        environment: Mapping[str, str],
        folder: Path | None = None,
        given_up: threading.Event | None = None,
    ) -> None:
        """Run the command, in a folder or in the current one; another thread may say that it is given up.

        Raises UnreachableError where it fails, UsageError where there is no such program.
        """
        if self.command is None:
            return
        port = str(host_and_port(url)[1])
        words = [word.replace("{url}", url).replace("{port}", port) for word in shlex.split(self.command)]
        hint, program = shell_hint(words), words[0] if folder is None or "/" not in words[0] else str(folder / words[0])
        if ("/" not in program or hint) and shutil.which(program, path=environment.get("PATH")) is None:
            raise UsageError(
                f"There is no program {words[0]} to reset the service with.", hint or "Check its name, and PATH."
            )
        with tempfile.TemporaryFile() as output:
            code = _run(words, output, {**environment, "PORT": port}, folder, given_up or threading.Event())
            if code == 0:
                return
            how = f"it took more than {COMMAND_PATIENCE:g} seconds" if code is None else f"it exited with {code}"
            if code is None and given_up is not None and given_up.is_set():
                how = "it was given up"
            said = last_lines(output) or "  | (it printed nothing)"
        raise UnreachableError(
            f"The reset failed: {how}.", f"{hint}\nThe command was: {shlex.join(words)}\n{said}".lstrip()
        )


def place_of(url: str, reset: str) -> str:
    """Say which URL is asked to reset the service at `url`."""
    reset = reset.replace("{url}", url)
    return check_url(reset) if "://" in reset else f"{url}/{reset.removeprefix('/')}"


def _run(
    words: list[str],
    output: IO[bytes],
    environment: Mapping[str, str],
    folder: Path | None,
    given_up: threading.Event,
) -> int | None:
    """Run a command, and return its exit code; None where it took too long or was given up, and was killed.

    What it has started in the background, and left, goes on: it may be what the service needs.
    """
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
    except OSError as error:
        output.write(f"{words[0]}: {error.strerror}\n".encode())
        return 127
    deadline = time.monotonic() + COMMAND_PATIENCE
    try:
        while time.monotonic() < deadline and not given_up.is_set():
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(min(LOOK, max(0.0, deadline - time.monotonic())))
            if os.fstat(output.fileno()).st_size > MOST_OUTPUT:
                output.truncate(0)
                output.seek(0)
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return None


def shell_hint(words: Sequence[str]) -> str:
    """Say what only a shell would understand of a command, since none reads it; nothing where there is none of that."""
    if _ASSIGNMENT.match(words[0]):
        return f"No shell reads the command: write env {words[0]} ... for a variable of its environment."
    if any(_SIGN.fullmatch(word) or word.endswith(";") for word in words):
        return "No shell reads the command: for > | && or ; write sh -c '...' around it."
    return ""


_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_SIGN = re.compile(r"[|&;]{1,2}|\d?(>>?|<)(&\d|[\w./-]*)")


def last_lines(log: IO[bytes], mark: str = "") -> str:
    """Return the last lines of what a process printed into a file; where there is a mark in it, those after it."""
    size = os.fstat(log.fileno()).st_size
    text = os.pread(log.fileno(), 8192, max(0, size - 8192)).decode("utf-8", "replace")
    text = text.rpartition(mark)[2] if mark else text
    return "\n".join(f"  | {line}" for line in text.splitlines()[-LOG_LINES:])
