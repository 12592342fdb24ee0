"""Probing: a bug is tried at one point after the other, whose service is built, started and stopped.

What is tried is laid out by a site; what is done there is a recipe: an environment that is made once for all points
with the same files, a build, the start of the service, and so much time for all that. Commands of a recipe come from
the user. What fails for reasons of the point is told as such, so that it is left out; what the machine is to blame for
is tried again.
"""

import contextlib
import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from replaykit import errand, replaying, service
from replaykit.adapter import Adapter, read_settings
from replaykit.attempts import Replayed
from replaykit.axis import Point, Site, Tried
from replaykit.bundle import Bundle
from replaykit.environments import Environments
from replaykit.errors import MachineError, StaleError, UnbuildableError, UnreachableError, UsageError
from replaykit.judging import Trial
from replaykit.lifeline import Spare
from replaykit.model import Model
from replaykit.repository import scrubbed
from replaykit.reset import Resets, last_lines, shell_hint
from replaykit.run import Listener
from replaykit.service import Running
from replaykit.shadow import shadow_of
from replaykit.stage import Stage
from replaykit.verdict import Verdict

T = TypeVar("T")

BUILD_PATIENCE = 600.0  # seconds that a build may take, and that making an environment may take
REPLAY_PATIENCE = 300.0  # seconds that all attempts of one visit may take together
TRIES = 3  # of what the machine may be to blame for
PAUSE = 1.0  # seconds between two of them
MOST_FILE = 64 * 1024 * 1024  # bytes of a file that says which environment it is
MOST_TOLD = 200  # characters of a line of a service
KILLED = 137  # the exit code of what was killed, as by a system without memory
_NO_ROOM = re.compile(
    r"No space left on device|Cannot allocate memory|Disk quota exceeded|\bENOSPC\b|\bENOMEM\b|MemoryError|"
    r"Resource temporarily unavailable|Too many open files in system"
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a point is built, and where and how its service runs. Raises UsageError for what can't be done."""

    stage: Stage
    build: str | None = None  # command, run without a shell
    build_timeout: float = BUILD_PATIENCE  # seconds
    setup: str | None = None  # command that makes the environment {env}
    setup_files: tuple[str, ...] = ()  # where their content differs, the environment is another one
    keep: tuple[str, ...] = ()  # folders that are not cleaned between points
    replay_timeout: float = REPLAY_PATIENCE  # seconds

    def __post_init__(self) -> None:
        for what, command in (("build", self.build), ("setup", self.setup)):
            if command is not None:
                _check(what, command)
        if self.stage.start is not None:
            service.check_start(self.stage.start, self.stage.url)
        if self.setup is not None and "{env}" not in self.setup:
            raise UsageError(
                f"The setup command {self.setup!r} has no {{env}} in it.",
                "Write {env} where the command takes the folder that it makes, as in 'python -m venv {env}'.",
            )
        users = [each for each in (self.build, self.stage.start, self.stage.resets.command) if each is not None]
        if self.setup is None and any("{env}" in each for each in users):
            raise UsageError("{env} is used, and nothing makes it.", "Say with --setup how it is made.")
        if self.setup is None and self.setup_files:
            raise UsageError("--setup-file is for an environment that --setup makes.", "Add --setup, or leave it out.")
        for name, seconds in (("build", self.build_timeout), ("replay", self.replay_timeout)):
            if not seconds > 0:
                raise UsageError(f"--{name}-timeout is {seconds:g}.", "Give it seconds, more than 0.")

    @property
    def digest(self) -> str:
        """What all that a point is judged by follows from, in short: with another one, it may be another verdict."""
        stage = self.stage
        said = [
            self.build, self.build_timeout, self.setup, self.setup_files, self.keep, self.replay_timeout, stage.url,
            stage.start, stage.health, stage.patience, stage.resets.url, stage.resets.command, stage.resets.restart,
            sorted(stage.settings.items()), sorted(stage.latency.items()), stage.transport,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def _check(what: str, command: str) -> None:
    """Raise UsageError for a command that can't be one."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"The {what} command {command!r} can't be split: {error}.", "Check its quotes.") from None
    if not words:
        raise UsageError(f"The {what} command is empty.", "Write it, or leave it out.")
    if hint := shell_hint(words):
        raise UsageError(f"The {what} command {command!r} is one for a shell.", hint)


def _variables() -> dict[str, str]:
    return {**scrubbed(), "PYTHONDONTWRITEBYTECODE": "1"}


@dataclass(frozen=True, slots=True)
class Here:
    """The current folder as a site: what is there is what is tried, and Python leaves no byte code in it."""

    folder: Path = field(default_factory=Path.cwd)
    variables: Mapping[str, str] = field(default_factory=_variables)

    def lay(self, point: Point) -> None:
        """Leave it as it is."""


class Prober:
    """The bench on which a bundle is tried at points: they are laid out, built, started, tried and stopped."""

    def __init__(
        self,
        bundle: Bundle,
        model: type[Model],
        adapter: type[Adapter[Any]],
        recipe: Recipe,
        site: Site,
        environments: Environments,
        logs: Path | None = None,
        spare: Spare | None = None,
    ) -> None:
        """Take what is the same at all points; what is printed at each goes into a file in `logs`.

        Each service has the spare supervisor, where there is one.

        Raises UsageError where no service is named, or a setting is wrong.
        """
        if recipe.stage.start is None and recipe.stage.url is None:
            raise UsageError("No service is named.", "Say how to start it with --start, or where it runs with --url.")
        read_settings(adapter, recipe.stage.settings)
        self.bundle, self.model, self.adapter = bundle, model, adapter
        self.recipe, self.site, self.environments, self.logs = recipe, site, environments, logs
        self.doing: Callable[[str], None] = lambda _: None  # hears what is done now
        self.warn: Callable[[str], None] | None = None  # hears once, if so, that an installed copy may be served
        self._spare = spare
        self._given_up = threading.Event()
        self._running: Running | None = None
        self._visited: Visited | None = None
        self._is_first = True  # was no point visited yet?

    def log_of(self, point: Point) -> Path | None:
        """Say in which file it is kept what was printed at a point; None where that is not kept."""
        return None if self.logs is None else self.logs / f"{_UNSAFE.sub('_', point.id)[:100] or '_'}.log"

    @contextlib.contextmanager
    def visit(self, point: Point) -> Iterator["Visited"]:
        """Lay a point out, build and start it; in the end it is stopped, with all that it started.

        Raises UnbuildableError and UnreachableError where that can't be done, MachineError where the machine is to
        blame, StaleError where a secret of the bundle has no value, UsageError.
        """
        began = time.monotonic()
        with contextlib.ExitStack() as stack:
            self.doing("checkout")
            self.site.lay(point)
            log = self._log(point, stack)
            variables = service.environment(self.site.variables)
            self.doing("build")
            env = self._environment(variables, log, stack)
            if env is not None:
                path = f"{env / 'bin'}{os.pathsep}{variables['PATH']}"
                variables = {**variables, "PATH": path, "VIRTUAL_ENV": str(env)}
                variables.pop("PYTHONHOME", None)
            self._build(env, variables, log)
            self.doing("start")
            running = self._started(env, variables, log, stack)
            stage = self.recipe.stage
            trial = stack.enter_context(
                replaying.readied(
                    self.bundle, self.model, self.adapter, running.url, running, settings=stage.settings,
                    latency=stage.latency, transport=stage.transport,
                )
            )  # fmt: skip
            seconds = time.monotonic() - began
            visited = Visited(seconds, trial, running, variables, self.site.folder, self.recipe.replay_timeout)
            if self.warn is not None and (shadow := visited.shadow()) is not None:
                self.warn(shadow)
            self.warn = None
            self.doing("attempt")
            self._visited = visited
            stack.callback(self._forget)
            yield visited

    def give_up(self) -> None:
        """End what runs, from another thread: no build goes on, and no service."""
        self._given_up.set()
        visited, running = self._visited, self._running
        if visited is not None:
            visited.end()
        elif running is not None:
            running.finish()

    def _log(self, point: Point, stack: contextlib.ExitStack) -> Path:
        log = self.log_of(point)
        if log is None:
            return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="replaykit-"))) / "log"
        _write(log, f"=== {point.name}, {datetime.now(UTC).isoformat(timespec='seconds')} ===\n")
        return log

    def _environment(self, variables: Mapping[str, str], log: Path, stack: contextlib.ExitStack) -> Path | None:
        """Borrow the environment of what is laid out; None where none is asked for.

        Builds and services may write into it, so it is nobody else's as long as the visit, and used again only where
        they did not.
        """
        command = self.recipe.setup
        if command is None:
            return None
        folder = self.site.folder
        self._require_files(folder)
        python = shutil.which("python", path=variables["PATH"])
        said = [command, _identity(python), platform.system(), platform.machine()]
        said += [[name, _content(folder / name)] for name in self.recipe.setup_files]

        def make(env: Path) -> None:
            self._run("setup", _words(command, env), variables, log)

        return _patiently(lambda: stack.enter_context(self.environments.lent(json.dumps(said), make)))

    def _require_files(self, folder: Path) -> None:
        """Hold, where a point is tried for the first time, that the files exist there, or in the user's own folder."""
        is_first, self._is_first = self._is_first, False
        if is_first and folder != Path.cwd():  # which goes from point to point itself
            for name in self.recipe.setup_files:
                if not (folder / name).exists() and not Path(name).exists():
                    raise UsageError(f"There is no {name} to set up an environment by.", "Correct --setup-file.")

    def _build(self, env: Path | None, variables: Mapping[str, str], log: Path) -> None:
        command = self.recipe.build
        if command is not None:
            words = _words(command, env)
            _patiently(lambda: self._run("build", words, variables, log))

    def _run(self, what: str, words: list[str], variables: Mapping[str, str], log: Path) -> None:
        """Run a command of the recipe. Raises UnbuildableError, MachineError."""
        heading = f"--- {what}: {shlex.join(words)} ---\n"
        _write(log, heading)
        code = None
        if not self._given_up.is_set():
            code = errand.run(
                words, folder=self.site.folder, variables=variables, log=log, seconds=self.recipe.build_timeout,
                given_up=self._given_up,
            )  # fmt: skip
        if code == 0:
            return
        with log.open("rb") as output:
            said = last_lines(output, heading)
        how = f"it exited with {code}" if code is not None else "it was given up" if self._given_up.is_set() else (
            f"it took more than {self.recipe.build_timeout:g} seconds"
        )  # fmt: skip
        command = f"The command was: {shlex.join(words)}\n{said or '  | (it printed nothing)'}"
        if code == KILLED or (code is not None and _NO_ROOM.search(said)):
            raise MachineError(f"The {what} failed: {how}, and the machine seems to be short of something.", command)
        raise UnbuildableError(f"The {what} failed: {how}.", command, said)

    def _started(
        self, env: Path | None, variables: Mapping[str, str], log: Path, stack: contextlib.ExitStack
    ) -> Running:
        """Start the service, or reach the one that is named."""
        stage = self.recipe.stage
        if env is not None:
            resets = Resets(stage.resets.url, _with(stage.resets.command, env), stage.resets.restart)
            stage = replace(stage, start=_with(stage.start, env), resets=resets)
        try:
            running = stack.enter_context(
                stage.opened(
                    self.bundle.provenance, folder=self.site.folder, variables=variables, log=log, spare=self._spare
                )
            )
        except UsageError as error:
            if self.recipe.setup is None and self.recipe.build is None:
                raise
            raise UnreachableError(error.happened, error.todo) from None  # what is built here is not everywhere
        except UnreachableError as error:
            raise UnreachableError(_whole(error), error.todo, error.log) from None
        self._running = running
        stack.callback(self._forget)
        if self._given_up.is_set():
            raise UnreachableError("It was given up.")
        return running

    def _forget(self) -> None:
        self._running = self._visited = None


_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]")


class Visited:
    """A point whose service runs."""

    def __init__(
        self,
        seconds: float,
        trial: Trial,
        running: Running,
        variables: Mapping[str, str],
        folder: Path,
        patience: float,
    ) -> None:
        self.seconds = seconds  # that it took to come there
        self.running = running
        self._trial, self._variables, self._folder = trial, variables, folder
        self._patience = self._left = patience

    def attempt(self, times: int | None = None, *, anew: bool = False) -> Tried:
        """Try the bug so many times; with None, as often as it takes to say *fixed*.

        With `anew`, the service is started anew before, as far as it is started here.
        """
        began = time.monotonic()
        try:
            if anew and (client := self._trial.adapters.client) is not None:
                self.running.begin_again(client)
            replayed = self.judged(times)
        except UnreachableError as error:
            return Tried(word="unreachable", reason=_whole(error), attempts=1, seconds=time.monotonic() - began)
        except StaleError as error:
            return Tried(word="stale", reason=str(error), attempts=1, seconds=time.monotonic() - began)
        counts = replayed.verdict is not Verdict.UNREACHABLE
        return Tried(
            word=replayed.verdict.value,
            reason=_reason(replayed),
            shown=replayed.failed if counts else 0,
            held=replayed.passed if counts else 0,
            attempts=replayed.attempts,
            seconds=time.monotonic() - began,
        )

    def judged(self, times: int | None = None, listener: Listener | None = None) -> Replayed:
        """Try the bug, and say all that came of it. Raises UnreachableError, StaleError."""
        began = time.monotonic()
        over = f"the attempts took more than {self._patience:g} seconds (--replay-timeout)"
        if self._left <= 0:
            raise UnreachableError(f"{over[0].upper()}{over[1:]}.")
        watchdog = threading.Timer(self._left, self._expire)
        watchdog.daemon = True
        watchdog.start()
        try:
            replayed = replaying.tried(self._trial, times, listener=listener)
        except UnreachableError as error:
            if self._left <= 0:
                raise UnreachableError(f"{over[0].upper()}{over[1:]}.", "", error.log) from None
            raise
        finally:
            watchdog.cancel()
            self._left = min(self._left, max(self._left - (time.monotonic() - began), 0.0))
        if self._left <= 0:
            return replace(replayed, verdict=Verdict.UNREACHABLE, reason=over, failed=0, passed=0)
        return replayed

    def _expire(self) -> None:
        """Let the time be over."""
        self._left = 0.0
        self.end()

    def end(self) -> None:
        """End the attempt, from another thread: what it asks for and what it waits for, and the service."""
        if (client := self._trial.adapters.client) is not None:
            client.cut()
        self.running.finish()

    def shadow(self) -> str | None:
        """Say that the service could be served by an installed copy of the code; see `shadow.shadow_of`."""
        return shadow_of(self._folder, self._variables)


def _reason(replayed: Replayed) -> str:
    """Say why a point is what it is; how often a bug is tried there is for the search to say, not for a user."""
    if replayed.verdict is not Verdict.UNDECIDED or replayed.confidence is None:
        return replayed.reason
    return f"it did not show in {replayed.attempts} attempt{'' if replayed.attempts == 1 else 's'}"


def _whole(error: UnreachableError) -> str:
    """Say what happened with the last that the service printed, for who is told nothing else."""
    lines = [line.removeprefix("  | ").strip() for line in error.log.splitlines()]
    told = " / ".join(line[:MOST_TOLD] for line in [line for line in lines if line][-2:])
    return f"{error.happened} Last it said: {told}" if told else error.happened


def _patiently(do: Callable[[], T]) -> T:
    """Do what the machine may be to blame for, if it fails, a few times."""
    for _ in range(TRIES - 1):
        with contextlib.suppress(MachineError):
            return do()
        time.sleep(PAUSE)
    return do()


def _words(command: str, env: Path | None) -> list[str]:
    return [word if env is None else word.replace("{env}", str(env)) for word in shlex.split(command)]


def _with(command: str | None, env: Path) -> str | None:
    return None if command is None else command.replace("{env}", shlex.quote(str(env)))


def _write(log: Path, text: str) -> None:
    """Append to a log. Raises MachineError."""
    try:
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as file:
            file.write(text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise MachineError(f"{log} can't be written: {error.strerror}.", "Make room, or let it be written.") from None


def _identity(program: str | None) -> list[Any]:
    """Say which program it is, so that another version at the same place is another one."""
    if program is None:
        return []
    found = Path(program).resolve()
    status = found.stat()
    return [program, str(found), status.st_size, status.st_mtime_ns]


def _content(file: Path) -> str | None:
    """Give a digest of a file; None where it is not there. Raises UnbuildableError where it is nothing to be read."""
    try:
        if not file.exists():
            return None
        if not file.is_file() or file.stat().st_size > MOST_FILE:
            raise UnbuildableError(f"{file.name} says which environment is needed, and is no file of usual size.")
        with file.open("rb") as content:
            return hashlib.sha256(content.read(MOST_FILE)).hexdigest()
    except OSError as error:
        raise UnbuildableError(f"{file.name} can't be read: {error.strerror}.") from None
