"""The service: started, waited for, and stopped with all that belongs to it."""

import contextlib
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Self

from replaykit.client import Prober, check_url, host_and_port, without_credentials
from replaykit.errors import UnreachableError, UsageError

START_PATIENCE = 30.0  # seconds that a started service may take to become healthy
PATIENCE = 5.0  # seconds that a running service may take to answer
PROBE = 2.0  # seconds that one health request may take
LOG_LINES = 15


# --- health -------------------------------------------------------------------------------------


def await_health(url: str, *, patience: float, alive: Callable[[], bool] = lambda: True, trace: str = "") -> None:
    """Wait until `url` answers with a 2xx, at most `patience` seconds.

    `alive` says whether the process behind it still runs. Raises UnreachableError.
    """
    deadline = time.monotonic() + patience
    pause, place = 0.01, without_credentials(url)
    with Prober(url, PROBE) as prober:
        while (trouble := prober.trouble()) is not None:
            if not alive():
                raise UnreachableError(f"The service ended before it was healthy ({trouble}).", trace)
            if time.monotonic() + pause > deadline:
                break
            time.sleep(pause)
            pause = min(pause * 1.5, 0.25)
    if trouble is None and not alive():
        raise UnreachableError("The service ended, and something else answers in its place.", trace)
    if trouble is not None:
        raise UnreachableError(
            f"The service is not healthy at {place} after {patience:g} seconds: {trouble}.",
            "Is it running there, and is this its health check? Name another with --health, or --health none.",
        )


def await_port(url: str, *, patience: float, alive: Callable[[], bool] = lambda: True) -> None:
    """Wait until something accepts connections at `url`, at most `patience` seconds."""
    deadline = time.monotonic() + patience
    while not _accepts(url):
        if not alive():
            raise UnreachableError("The service ended before it accepted connections.")
        if time.monotonic() > deadline:
            raise UnreachableError(
                f"Nothing accepts connections at {without_credentials(url)} after {patience:g} seconds.",
                "Is the service running there?",
            )
        time.sleep(0.02)


def _accepts(url: str) -> bool:
    try:
        socket.create_connection(host_and_port(url), timeout=PROBE).close()
    except OSError:
        return False
    return True


def health_url(url: str, health: str | None) -> str | None:
    """Say where the health check is: a path, a URL with {url} in it, or None for `none`."""
    if health == "none":
        return None
    health = health or "{url}/api/health"
    health = health.replace("{url}", url)
    return check_url(health) if "://" in health else f"{url}/{health.removeprefix('/')}"


# --- starting and stopping ----------------------------------------------------------------------


class Started:
    """A service that we started: its URL, whether it lives, and its end. Use it as a context manager."""

    def __init__(self, command: str, url: str | None = None) -> None:
        """Start `command`, where `{port}` stands for a free port, which is in PORT as well.

        Raises UsageError for a command that can't be one, UnreachableError if it can't be run.
        """
        if "{port}" not in command and "PORT" not in command and url is None:
            raise UsageError(
                f"The start command {command!r} has no {{port}} in it, and no --url says where it listens.",
                "Write {port} where the command takes its port (it is in $PORT as well), or add --url.",
            )
        if url is not None and _accepts(check_url(url)):
            raise UnreachableError(
                f"Something else listens at {url} already, so what --start starts would not be what answers there.",
                "Stop it, or leave out --url and write {port} in the start command.",
            )
        self.has_free_port = url is None
        port = free_port() if url is None else host_and_port(url)[1]
        try:
            words = shlex.split(command.replace("{port}", str(port)))
        except ValueError as error:
            raise UsageError(f"The start command {command!r} can't be split: {error}.", "Check its quotes.") from None
        if not words:
            raise UsageError("The start command is empty.", "Write the command that starts the service.")
        if "/" not in words[0] and shutil.which(words[0], path=_path()) is None:
            raise UsageError(f"There is no program {words[0]} to start the service with.", "Check its name, and PATH.")
        self.url = check_url(url or f"http://127.0.0.1:{port}")
        self.command = command
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed in stop()
        lifeline, self._hold = os.pipe()
        try:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-I", "-S", str(Path(__file__).with_name("supervisor.py")), str(lifeline), *words],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                pass_fds=[lifeline],
                env={**os.environ, "PATH": _path(), "PORT": str(port), "PYTHONUNBUFFERED": "1"},
                start_new_session=True,
            )
        finally:
            os.close(lifeline)

    def alive(self) -> bool:
        """Whether the service's first process still runs."""
        return self._supervisor.poll() is None

    def log(self) -> str:
        """Return the last lines that the service printed."""
        self._log.seek(0, os.SEEK_END)
        size = self._log.tell()
        self._log.seek(max(0, size - 8192))
        lines = self._log.read().decode("utf-8", "replace").splitlines()[-LOG_LINES:]
        self._log.seek(0, os.SEEK_END)
        return "\n".join(f"  | {line}" for line in lines)

    def stop(self) -> None:
        """End the service and all that it started."""
        if self._hold >= 0:
            os.close(self._hold)
            self._hold = -1
            self._supervisor.wait()
            self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _path() -> str:
    """Return the PATH for a started service: `python` means the one beside the `replaykit` that was called.

    So `.venv/bin/replaykit` starts services from .venv without activating it, and a replaykit that was
    installed apart (pipx, uv tool) finds the user's own programs. An environment that is activated goes before
    one that lies elsewhere, not before the one inside of the current folder.
    """
    path = os.environ.get("PATH", os.defpath)
    called = Path(sys.argv[0])
    folder = called.parent.absolute() if called.name == "replaykit" else Path(sys.executable).parent
    is_own = folder.is_relative_to(Path.cwd()) or not os.environ.get("VIRTUAL_ENV")
    return f"{folder}{os.pathsep}{path}" if is_own and (folder / "python").exists() else path


def free_port() -> int:
    """Return a TCP port of the loopback interface that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Running:
    """A service that is there: where, and whether it still is."""

    def __init__(self, url: str, health: str | None = None, started: Started | None = None) -> None:
        self.url = url
        self.health = health
        self.started = started  # None where somebody else has started it

    @property
    def has_free_port(self) -> bool:
        """Whether its port is another one each time that it is started."""
        return self.started is not None and self.started.has_free_port

    def is_healthy(self) -> bool:
        """Say whether it answers its health check now."""
        return is_healthy(self.url, self.health)

    def log(self) -> str:
        """Return the last lines that it printed; nothing where somebody else has started it."""
        return "" if self.started is None else self.started.log()


@contextlib.contextmanager
def opened(*, url: str | None, start: str | None, health: str | None, patience: float | None) -> Iterator[Running]:
    """Give a healthy service: one that is started here and stopped afterwards, or a running one.

    Raises UnreachableError where there is none, UsageError where none is named.
    """
    if start is not None:
        with Started(start, url) as started:
            try:
                _await(started.url, health, patience or START_PATIENCE, started.alive)
            except UnreachableError as error:
                log = started.log()
                todo = f"{error.todo}\n" if error.todo else ""
                raise UnreachableError(
                    error.happened, f"{todo}The command was: {start}\n{log or '  | (it printed nothing)'}"
                ) from None
            yield Running(started.url, health, started)
        return
    if url is None:
        raise UsageError("No service is named.", "Say where it runs with --url, or how to start it with --start.")
    url = check_url(url)
    _await(url, health, patience or PATIENCE, lambda: True)
    yield Running(url, health)


@contextlib.contextmanager
def reached(*, url: str | None, start: str | None, health: str | None, patience: float | None) -> Iterator[str]:
    """Give the URL of a healthy service; see `opened`."""
    with opened(url=url, start=start, health=health, patience=patience) as running:
        yield running.url


def _await(url: str, health: str | None, patience: float, alive: Callable[[], bool]) -> None:
    probe = health_url(url, health)
    if probe is None:
        await_port(url, patience=patience, alive=alive)
    else:
        await_health(probe, patience=patience, alive=alive)


def is_healthy(url: str, health: str | None) -> bool:
    """Say whether the service answers its health check now."""
    try:
        _await(url, health, 0.0, lambda: True)
    except UnreachableError:
        return False
    return True
