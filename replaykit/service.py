"""The service: started, waited for, watched, reset, and stopped with all that belongs to it."""

import contextlib
import fcntl
import os
import shlex
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from replaykit.client import Client, Prober, check_url, host_and_port, without_credentials
from replaykit.errors import MachineError, UnreachableError, UsageError
from replaykit.lifeline import Lifeline, Spare
from replaykit.port import Port, stranger_at
from replaykit.reset import Resets, last_lines, shell_hint
from replaykit.supervisor import HALT, KILL, RESUME

START_PATIENCE = 30.0  # seconds that a started service may take to become healthy
PATIENCE = 5.0  # seconds that a running service may take to answer
BUSY_PATIENCE = 5.0  # seconds that a place is waited for that another replaykit has
PROBE = 2.0  # seconds that one health request may take
LEAST = 0.2  # seconds that it may take, even where less is left
PAUSE = 0.05  # seconds between two of them, at most
LEAST_PAUSE = 0.002  # seconds
WATCHED = 1.0  # seconds between two looks at a service with which nothing was wrong
RECOVERY = 1.0  # seconds in which a running service has to be healthy again
MARK = "--- replaykit starts the service ---\n"  # in its log


# --- health -------------------------------------------------------------------------------------


def await_health(url: str, *, patience: float, alive: Callable[[], bool] = lambda: True, trace: str = "") -> None:
    """Wait until `url` answers with a 2xx, at most `patience` seconds.

    `alive` says whether the process behind it still runs. Raises UnreachableError.
    """
    began, place = time.monotonic(), without_credentials(url)
    deadline = began + patience
    with Prober(url, PROBE) as prober:
        while (trouble := prober.trouble(max(LEAST, deadline - time.monotonic()))) is not None:
            if not _awaited_port(url, began, deadline, alive):
                break
        if trouble is not None and not alive():
            raise UnreachableError(f"The service ended before it was healthy ({trouble}).", trace)
    if trouble is None and not alive():
        raise UnreachableError("The service ended, and something else answers in its place.", trace)
    if trouble is not None:
        raise UnreachableError(
            f"The service is not healthy at {place} after {patience:g} seconds: {trouble}.",
            "Is it running there, and is this its health check? Name another with --health, or --health none.",
        )


def _awaited_port(url: str, began: float, deadline: float, alive: Callable[[], bool]) -> bool:
    """Pause, and as long as nothing accepts connections, pause again; say whether something does in time.

    A refused connection costs next to nothing, so it is tried often: what starts is hardly ever waited for in vain.
    """
    while True:
        pause = min(max(LEAST_PAUSE, (time.monotonic() - began) / 10), PAUSE)
        if not alive() or time.monotonic() + pause > deadline:
            return False
        time.sleep(pause)
        if _accepts(url, min(PROBE, max(LEAST, deadline - time.monotonic()))):
            return True


def await_port(url: str, *, patience: float, alive: Callable[[], bool] = lambda: True) -> None:
    """Wait until something accepts connections at `url`, at most `patience` seconds."""
    began = time.monotonic()
    if _accepts(url, PROBE) or _awaited_port(url, began, began + patience, alive):
        return
    if not alive():
        raise UnreachableError("The service ended before it accepted connections.")
    raise UnreachableError(
        f"Nothing accepts connections at {without_credentials(url)} after {patience:g} seconds.",
        "Is the service running there?",
    )


def _accepts(url: str, timeout: float = PROBE) -> bool:
    try:
        socket.create_connection(host_and_port(url), timeout=timeout).close()
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

    def __init__(
        self,
        command: str,
        url: str | None = None,
        *,
        folder: Path | None = None,
        variables: Mapping[str, str] | None = None,
        log: Path | None = None,
        spare: Spare | None = None,
    ) -> None:
        """Start `command`, where `{port}` stands for a free port, which is in PORT as well.

        It runs in `folder`, with these variables as its environment; else in the current one, as `environment` says.
        What it prints is appended to `log`, where one is named. Its supervisor is the spare one, where there is one,
        and while it starts, the next one is begun. Raises UsageError for a command that can't be one,
        UnreachableError if it can't be run, MachineError while another replaykit has its place.
        """
        check_start(command, url)
        self.has_free_port = url is None
        self.folder, self.variables = folder, environment() if variables is None else variables
        self.command = command
        self._spare, self._place = spare, log
        self._is_over = False
        self._lifeline: Lifeline | None = None
        self._changing = threading.Lock()
        self._port = _port(url)
        try:
            self.url = check_url(url or f"http://127.0.0.1:{self._port.number}")
            if url is not None:
                _require_silence(self.url)
            self._words = self._split()
            self._log: IO[bytes] = tempfile.TemporaryFile() if log is None else _appended(log)  # noqa: SIM115
        except BaseException:
            self._port.release()
            raise
        try:
            flags = fcntl.fcntl(self._log, fcntl.F_GETFL)
            fcntl.fcntl(self._log, fcntl.F_SETFL, flags | os.O_APPEND)  # the supervisor keeps it short
            if log is not None:
                os.write(self._log.fileno(), MARK.encode())
            self._begin()
        except BaseException:
            self.stop()
            raise

    def _split(self) -> list[str]:
        """Give the words of the command. Raises UsageError where there is no such program."""
        words = shlex.split(self.command.replace("{port}", str(self._port.number)))
        hint, program = shell_hint(words), words[0]
        if "/" in program and self.folder is not None:
            program = str(self.folder / program)
        if ("/" not in program or hint) and shutil.which(program, path=self.variables.get("PATH")) is None:
            raise UsageError(
                f"There is no program {words[0]} to start the service with.", hint or "Check its name, and PATH."
            )
        return words

    def _begin(self) -> None:
        variables = {**self.variables, "PORT": str(self._port.number), "PYTHONUNBUFFERED": "1"}
        output = self._log.fileno()
        try:
            self._lifeline = self._told(variables) or Lifeline(
                self._words, folder=self.folder, output=output, variables=variables
            )
        except OSError as error:
            if self.folder is not None and not self.folder.is_dir():
                raise UnreachableError(f"The service can't be started in {self.folder}: {error.strerror}.") from None
            raise MachineError(
                f"No process can be started: {error.strerror}.", "Let the machine have more memory or processes."
            ) from None
        if self._spare is not None:
            self._spare.prepare()

    def _told(self, variables: Mapping[str, str]) -> Lifeline | None:
        """Tell a supervisor that waits what to do, where there is one, and where it can begin."""
        if self._spare is None or self._place is None or self.folder is None or not os.access(self.folder, os.X_OK):
            return None
        return self._spare.begun(self._words, folder=self.folder, log=self._place, variables=variables)

    def alive(self) -> bool:
        """Whether the service's first process still runs."""
        return self.exit_code is None

    @property
    def exit_code(self) -> int | None:
        """The exit code of the service's first process, 128 and more for a signal; None while it runs."""
        return None if self._lifeline is None else self._lifeline.code

    def log(self) -> str:
        """Return the last lines that the service printed since it was started, or started again."""
        return "" if self._log.closed else last_lines(self._log, MARK)

    def restart(self) -> None:
        """End the service and all that it started, and start it again at the same place.

        Raises UnreachableError where it is over.
        """
        with self._changing:
            self._end()
            if self._is_over:
                raise UnreachableError("The service was ended, and is not started again.")
            os.write(self._log.fileno(), f"\n{MARK}".encode())
            self._begin()

    def kill(self) -> None:
        """End the service at once (SIGKILL), and all that it started, as a crash does; `restart` starts it again.

        Raises UnreachableError where it has ended already, or can't be killed.
        """
        with self._changing:
            self._tell(KILL, "killed").wait()

    def pause(self) -> None:
        """Stop the service where it is (SIGSTOP), with all of its process group, until `resume`, or until it is ended.

        It keeps its connections, and the system takes new ones for it. Raises UnreachableError where it has ended
        already, or can't be paused.
        """
        with self._changing:
            self._tell(HALT, "paused")

    def resume(self) -> None:
        """Let the service go on (SIGCONT) that was paused; one that was not is let be.

        Raises UnreachableError where it has ended, or can't go on.
        """
        with self._changing:
            self._tell(RESUME, "resumed")

    def _tell(self, word: bytes, done: str) -> Lifeline:
        """Let the supervisor do something to the service. Raises UnreachableError."""
        lifeline = self._lifeline
        if self._is_over or lifeline is None or lifeline.code is not None:
            raise UnreachableError(f"The service has ended, so it can't be {done}.")
        if not lifeline.say(word):
            why = "has ended" if lifeline.code is not None else "runs as somebody else, or does not hear"
            raise UnreachableError(f"The service can't be {done}: it {why}.", "Look at what it printed.")
        return lifeline

    def finish(self) -> None:
        """End the service for good, whatever another thread does with it meanwhile; its log can still be read."""
        self._is_over = True
        with self._changing:
            self._end()

    def stop(self) -> None:
        """End the service and all that it started."""
        self.finish()
        self._log.close()
        self._port.release()

    def _end(self) -> None:
        if self._lifeline is not None:
            self._lifeline.end()

    def require_own(self) -> None:
        """Raise UnreachableError where what listens at its port is known to be something else."""
        stranger = None
        is_near = self.has_free_port or host_and_port(self.url)[0] in _LOOPBACK
        if is_near and self._lifeline is not None:
            stranger = stranger_at(self._port.number, self._lifeline.pid, self._lifeline.since)
        if stranger is not None:
            raise UnreachableError(
                f"The service runs, and something else answers in its place at {self.url}: {stranger}.",
                "Does the command take the port that it is given, as {port} and in PORT?",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def check_start(command: str, url: str | None = None) -> None:
    """Raise UsageError for a command that can't start a service, wherever it is run."""
    if "{port}" not in command and "PORT" not in command and url is None:
        raise UsageError(
            f"The start command {command!r} has no {{port}} in it, and no --url says where it listens.",
            "Write {port} where the command takes its port (it is in $PORT as well), or add --url.",
        )
    try:
        words = shlex.split(command.replace("{port}", "0"))
    except ValueError as error:
        raise UsageError(f"The start command {command!r} can't be split: {error}.", "Check its quotes.") from None
    if not words:
        raise UsageError("The start command is empty.", "Write the command that starts the service.")


_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _port(url: str | None) -> Port:
    """Take a free port, or that of a URL. Raises MachineError where another replaykit has it, and does not let go."""
    if url is None:
        return Port.free()
    host, number = host_and_port(check_url(url))
    port = Port.taken(number) if host in _LOOPBACK else Port(number)
    deadline = time.monotonic() + BUSY_PATIENCE
    while port is None and time.monotonic() < deadline:
        time.sleep(PAUSE)
        port = Port.taken(number)
    if port is None:
        raise MachineError(
            f"Another replaykit starts a service at {url} now.",
            "Wait for it, or leave out --url and write {port} in the start command.",
        )
    return port


def _appended(log: Path) -> IO[bytes]:
    """Open a log, which others may not read, to append to it. Raises MachineError."""
    try:
        return os.fdopen(os.open(log, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b", buffering=0)
    except OSError as error:
        raise MachineError(f"{log} can't be written: {error.strerror}.", "Make room, or let it be written.") from None


def _require_silence(url: str) -> None:
    """Raise UnreachableError where something listens already."""
    if _accepts(url):
        raise UnreachableError(
            f"Something else listens at {url} already, so what --start starts would not be what answers there.",
            "Stop it, or leave out --url and write {port} in the start command.",
        )


def environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a started service: what is given, or ours, with the PATH of `_path`."""
    variables = os.environ if variables is None else variables
    return {**variables, "PATH": _path(variables)}


def _path(variables: Mapping[str, str]) -> str:
    """Return the PATH for a started service: `python` means the one beside the `replaykit` that was called.

    So `.venv/bin/replaykit` starts services from .venv without activating it, and a replaykit that was
    installed apart (pipx, uv tool) finds the user's own programs. An environment that is activated goes before
    one that lies elsewhere, not before the one inside of the current folder. One that was made for what is started
    stays where it is: first.
    """
    path = variables.get("PATH", os.defpath)
    activated = variables.get("VIRTUAL_ENV")
    if activated and activated != os.environ.get("VIRTUAL_ENV"):
        return path
    called = Path(sys.argv[0])
    folder = called.parent.absolute() if called.name == "replaykit" else Path(sys.executable).parent
    is_own = folder.is_relative_to(Path.cwd()) or not activated
    return f"{folder}{os.pathsep}{path}" if is_own and (folder / "python").exists() else path


@dataclass(frozen=True, slots=True)
class Proxying:
    """Which proxy faults are done with."""

    toxiproxy: str | None = None  # the URL of a Toxiproxy's API; None: an own one
    port: int | None = None  # where it listens if it can


class Running:
    """A service that is there: where, whether it still is, and how it comes to a clean state."""

    def __init__(
        self,
        url: str,
        health: str | None = None,
        started: Started | None = None,
        *,
        resets: Resets | None = None,
        revives: bool = False,
        patience: float = START_PATIENCE,
        folder: Path | None = None,
        variables: Mapping[str, str] | None = None,
        proxying: Proxying | None = None,
    ) -> None:
        self.url = url
        self.proxying = Proxying() if proxying is None else proxying
        self.health = health
        self.started = started  # None where somebody else has started it
        self.resets = Resets() if resets is None else resets
        self.restarts = 0  # how often it was started again after it died
        self._revives = revives
        self._patience = patience
        self._folder, self._variables = folder, variables  # in which the reset command is run
        self._given_up = threading.Event()
        self._is_fresh = started is not None  # was nothing asked of it since it was started?
        self._looked = 0.0  # when it was last healthy, on the monotonic clock

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

    def reset(self, client: Client) -> None:
        """Bring it to a clean state before an execution, as far as that was asked for.

        Raises UnreachableError where that fails, UsageError where it can't be done.
        """
        fresh, self._is_fresh = self._is_fresh, False
        if self.resets.restart and not fresh:
            self.begin_again(client)
            self._is_fresh = False
        self.resets.ask(client, self.url)
        variables = environment() if self._variables is None else self._variables
        self.resets.call(self.url, variables, folder=self._folder, given_up=self._given_up)

    def finish(self) -> None:
        """End it for good where it is started here, and what brings it to a clean state, from another thread."""
        self._given_up.set()
        if self.started is not None:
            self.started.finish()

    def trouble(self, client: Client, *, urgent: bool = True) -> str | None:
        """Say what is wrong with it after an execution; None where nothing is.

        Whether its process lives is looked at each time, its health check once in a while where it is not urgent.
        """
        now = time.monotonic()
        if (ended := self.ended) is not None:
            return ended
        if urgent or now >= self._looked + WATCHED:
            probe = health_url(self.url, self.health)
            well = _accepts(self.url) if probe is None else client.ask("GET", probe, PROBE) is None
            if not well:
                client.let_go()  # one that does one thing at a time has its hands free now
                try:
                    _await(self.url, self.health, RECOVERY, self.lives)
                except UnreachableError as error:
                    if (ended := self.ended) is not None:
                        return ended
                    return f"{error.happened[0].lower()}{error.happened[1:].rstrip('.')}"
            self._looked = time.monotonic()
        return None

    def revive(self, client: Client) -> bool:
        """Start it again after it died, where that was asked for; say whether it was.

        Whether it is worth it, if it dies again and again, is for the campaign to say: it knows the runs of all hands.
        Raises UnreachableError where it does not start.
        """
        if self.started is None or not self._revives:
            return False
        self.restarts += 1
        self.begin_again(client)
        return True

    def begin_again(self, client: Client) -> None:
        """Start it anew, where it is started here. Raises UnreachableError where it does not start."""
        if self.started is not None:
            client.let_go()  # before the service does, so that nobody takes it for one that was restarted by others
            self._begin_again(self.started)

    def _begin_again(self, started: Started) -> None:
        started.restart()
        _await_started(started, self.health, self._patience)
        self._is_fresh = True
        self._looked = time.monotonic()

    @property
    def ended(self) -> str | None:
        """Say that its process ended, where it was started here and did."""
        return None if self.lives() else f"the service ended (exit code {self.started and self.started.exit_code})"

    def lives(self) -> bool:
        """Say whether its process runs, as far as it was started here."""
        return self.started is None or self.started.alive()


@contextlib.contextmanager
def opened(
    *,
    url: str | None,
    start: str | None,
    health: str | None,
    patience: float | None,
    resets: Resets | None = None,
    revives: bool = False,
    folder: Path | None = None,
    variables: Mapping[str, str] | None = None,
    log: Path | None = None,
    proxying: Proxying | None = None,
    spare: Spare | None = None,
) -> Iterator[Running]:
    """Give a healthy service: one that is started here and stopped afterwards, or a running one.

    `resets` says what is done before each execution, `revives` that it is started again where it dies. Commands are run
    in `folder`, with these variables as their environment, and what the service prints is kept in `log`; see `Started`
    for this, and for `spare`.
    Raises UnreachableError where there is none, UsageError where none is named.
    """
    if start is None and (revives or (resets is not None and resets.restart)):
        raise UsageError(
            "A service that is not started here can't be started again.",
            f"Name its command with --start, or leave out --{'restart' if revives else 'reset-restart'}.",
        )
    if start is not None:
        patience = patience or START_PATIENCE
        with Started(start, url, folder=folder, variables=variables, log=log, spare=spare) as started:
            _await_started(started, health, patience)
            yield Running(
                started.url, health, started, resets=resets, revives=revives, patience=patience, folder=folder,
                variables=variables, proxying=proxying,
            )  # fmt: skip
        return
    if url is None:
        raise UsageError("No service is named.", "Say where it runs with --url, or how to start it with --start.")
    url = check_url(url)
    _await(url, health, patience or PATIENCE, lambda: True)
    yield Running(url, health, resets=resets, folder=folder, variables=variables, proxying=proxying)


@contextlib.contextmanager
def reached(*, url: str | None, start: str | None, health: str | None, patience: float | None) -> Iterator[str]:
    """Give the URL of a healthy service; see `opened`."""
    with opened(url=url, start=start, health=health, patience=patience) as running:
        yield running.url


def _await_started(started: Started, health: str | None, patience: float) -> None:
    """Wait for a service that was started here; what it printed is in the error."""
    try:
        _await(started.url, health, patience, started.alive)
        started.require_own()
    except UnreachableError as error:
        log = started.log()
        todo = "".join(f"{each}\n" for each in (error.todo, shell_hint(shlex.split(started.command))) if each)
        raise UnreachableError(
            error.happened, f"{todo}The command was: {started.command}\n{log or '  | (it printed nothing)'}", log
        ) from None


def _await(url: str, health: str | None, patience: float, alive: Callable[[], bool]) -> None:
    probe = health_url(url, health)
    if probe is None:
        await_port(url, patience=patience, alive=alive)
    else:
        await_health(probe, patience=patience, alive=alive)


def is_healthy(url: str, health: str | None) -> bool:
    """Say whether the service answers its health check now."""
    probe = health_url(url, health)
    if probe is None:
        return _accepts(url)
    with Prober(probe, PROBE) as prober:
        return prober.trouble() is None
