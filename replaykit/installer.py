"""The installer: pip, asked which versions of a package there are, and told to put one into its own environment.

It is the user's own pip, as they configured it: their index, their proxies, their constraints. What an old version does
while it is built is up to that version, so nothing is installed but what the user named, and what that needs.
"""

import contextlib
import functools
import json
import os
import re
import shutil
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from replaykit import errand
from replaykit.errors import MachineError, UnbuildableError, UsageError

ASKED = 120.0  # seconds that pip may take to say which versions there are
INSTALLED = 900.0  # seconds that it may take to install one
TRIES = 3  # how often it is run where not the package is to blame
PAUSE = 1.0  # seconds before it is run again; longer each time
LINES = 15  # of what it printed, that are told
OLDEST = (22, 3)  # the first with --python

_NOT_OURS = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"}  # would put other code before a version
_ELSEWHERE = {
    *("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_PYTHON"),  # where else things are put
    *("PIP_DRY_RUN", "PIP_IGNORE_INSTALLED", "PIP_QUIET", "PIP_LOG", "PIP_REPORT"),
}


def variables() -> dict[str, str]:
    """Give the user's environment without what would put other code before that of a version."""
    return {name: value for name, value in os.environ.items() if name not in _NOT_OURS}


class Installer:
    """pip, and the Python whose environments it fills."""

    def __init__(self, python: str | None = None) -> None:
        """Take an interpreter, a path or a program on PATH; the one that runs us, if it is None. Raises UsageError."""
        found = sys.executable if python is None else shutil.which(python)
        if not found:
            raise UsageError(f"There is no Python {python}.", "Name one with --python: a path, or a program on PATH.")
        self.python = str(Path(found).absolute())
        self._identity: str | None = None

    @property
    def identity(self) -> str:
        """Say which Python it is, and how pip is told to install: where it is the same, so is what is installed."""
        if self._identity is None:
            asked = "import platform, sys, sysconfig; print(sys.version, sysconfig.get_platform(), sys.base_prefix)"
            code, printed = _run([self.python, "-I", "-c", asked], ASKED)
            if code:
                raise UsageError(
                    f"{self.python} is no Python that can be run: {_complaint(printed)}", "Name another with --python."
                )
            told = sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith("PIP_"))
            self._identity = "\n".join([printed.strip(), *told])
        return self._identity

    def listed(self, package: str, *, pre: bool) -> list[str]:
        """Ask which versions of a package there are for this Python; with `pre`, those that are not final too.

        Raises UsageError where there are none, MachineError where the index can't be asked.
        """
        wanted = f"which versions of {package} there are"
        words = [*self._words(self.python), "index", "versions", package, *(["--pre"] if pre else [])]
        code, printed = _patiently([*words, "--json"], ASKED, wanted)
        if code and "no such option: --json" in printed:  # before 25.1
            code, printed = _patiently(words, ASKED, wanted)
        if code is None:
            raise MachineError(
                f"pip did not say within {ASKED:g} seconds {wanted}.",
                "Can the package index be reached? Try: python -m pip index versions NAME.",
            )
        names = _names(printed)
        if code or not names:
            raise UsageError(
                f"pip finds no versions of {package}: {_complaint(printed)}.",
                "Check the name, and that pip asks the right index.",
            )
        return names

    def install(self, folder: Path, requirements: Sequence[str]) -> None:
        """Make an environment, with the first requirement, that pip has listed, and what is wanted beside it.

        Raises UnbuildableError where that can't be installed, MachineError where the machine or the index is to blame.
        """
        code, printed = _run([self.python, "-I", "-m", "venv", "--without-pip", str(folder)], ASKED)
        if code != 0:
            raise MachineError(
                f"{self.python} can't make an environment: {_complaint(printed)}.",
                "Make room, or name another Python with --python: one with the module venv.",
            )
        [what, *_] = requirements
        pip = self._words(str(folder / "bin" / "python"))
        how = ["--no-user", "--no-compile", "--progress-bar", "off"]  # Python compiles what the service needs
        words = [*pip, "install", *how, *requirements]
        code, printed = _patiently(words, INSTALLED, f"{what} to be installed")
        if code is None:
            raise UnbuildableError(f"Installing {what} took more than {INSTALLED:g} seconds.", "", _last(printed))
        if code:
            raise UnbuildableError(f"{what} can't be installed: {_complaint(printed)}.", "", _last(printed))

    def _words(self, python: str) -> list[str]:
        """Begin a command of pip that is about a Python; it is twice as fast about its own."""
        pip = _pip(self.python)
        return [*pip, *(["--python", python] if python != pip[0] else []), "--no-input", "--disable-pip-version-check"]


@functools.cache
def _pip(python: str) -> tuple[str, ...]:
    """Find a pip: beside replaykit, in the Python that is used, on PATH, or the one that Python brings for venv."""
    candidates: list[tuple[str, ...]] = [(own, "-I", "-m", "pip") for own in (sys.executable, python)]
    if (on_path := shutil.which("pip")) is not None:
        candidates.append((on_path,))
    if (brought := find_spec("ensurepip")) is not None and brought.origin is not None:
        folders = [Path(brought.origin).parent / "_bundled", Path(sysconfig.get_config_var("WHEEL_PKG_DIR") or ".")]
        wheels = [each for folder in folders if folder.is_absolute() for each in sorted(folder.glob("pip-*.whl"))]
        candidates += [(sys.executable, "-I", f"{wheel}/pip") for wheel in wheels]
    for words in candidates:
        code, printed = _run([*words, "--version"], ASKED)
        said = re.search(r"^pip (\d+)\.(\d+)", printed, re.MULTILINE)
        if code == 0 and said is not None and (int(said[1]), int(said[2])) >= OLDEST:
            return words
    raise UsageError(
        f"There is no pip to install versions with, {'.'.join(map(str, OLDEST))} or newer.",
        "Put one beside replaykit: python -m pip install pip, pipx inject replaykit-http pip, or "
        "uv tool install --with pip replaykit-http.",
    )


def _names(printed: str) -> list[str]:
    """Read which versions pip lists, as JSON or, before 25.1, as text."""
    for line in printed.splitlines():
        if line.startswith("Available versions:"):
            return [name.strip() for name in line.partition(":")[2].split(",")]
        with contextlib.suppress(ValueError):
            if line.startswith("{") and isinstance(names := json.loads(line).get("versions"), list):
                return [str(name) for name in names]
    return []


def _patiently(words: Sequence[str], seconds: float, wanted: str) -> tuple[int | None, str]:
    """Run pip; twice more where not the package, but the index or the machine is to blame. Raises MachineError then.

    Unless it tells more than usual, it says the same of an index that fails as of one that does not have the package.
    """
    unsure: tuple[int | None, str] | None = None
    trouble = printed = ""
    for tried in range(TRIES):
        time.sleep(PAUSE * tried)
        code, printed = _run([*words, "-vv"] if tried else words, seconds)
        found = _trouble(code, printed)
        if found is not None:
            trouble = found
        elif not tried and code and "No matching distribution found" in printed:
            unsure = code, printed
        else:
            return unsure if code and unsure is not None else (code, printed)
    raise MachineError(
        f"pip was asked {TRIES} times for {wanted}, and {trouble}: {_complaint(printed)}.",
        "Look at the network, the index that pip is configured for, memory and disk; then try again.",
    )


def _trouble(code: int | None, printed: str) -> str | None:
    """Say what is wrong that has nothing to do with the package; None where nothing is."""
    if code in {0, None}:
        return None
    if _FULL.search(printed):
        return "there is no room"
    if code == _KILLED or _SPENT.search(printed):
        return "there is no memory"
    return "the package index does not answer as it should" if _AWAY.search(printed) else None


_KILLED = 128 + 9  # as the kernel does where memory is short
_FULL = re.compile(r"No space left on device|Disk quota exceeded|\[Errno (28|122)\]")
_SPENT = re.compile(r"^MemoryError|Cannot allocate memory|\[Errno 12\]", re.MULTILINE)
_AWAY = re.compile(
    r"Could not fetch URL \S+: (?!40\d )|after connection broken by"
    r"|Max retries exceeded|Connection(Reset|Refused|Aborted)?Error|ReadTimeoutError"
    r"|ProtocolError|IncompleteRead|ProxyError|SSLError|name resolution|Network is unreachable"
    r"|HTTP error (429|5\d\d) while|\b(429 Client|5\d\d Server) Error"
)


def _run(words: Sequence[str], seconds: float) -> tuple[int | None, str]:
    """Run a command, and return its exit code and what it printed; None where it took too long."""
    told = {name: value for name, value in variables().items() if name not in _ELSEWHERE}
    with tempfile.TemporaryDirectory(prefix="replaykit-pip-", ignore_cleanup_errors=True) as folder:
        log = Path(folder) / "log"
        code = errand.run(words, folder=Path.cwd(), variables=told, log=log, seconds=seconds)
        return code, log.read_text(encoding="utf-8", errors="replace")


def _complaint(printed: str) -> str:
    """Choose the line that says most of what went wrong; which one has it depends on the version of pip."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    for mark in ("ERROR: ", "\u00d7 ", "error: "):  # the second one is a cross
        errors = [line.removeprefix(mark) for line in lines if line.startswith(mark)]
        if errors:
            return errors[-1].rstrip(".")
    return (lines or ["it printed nothing"])[-1].rstrip(".")


def _last(printed: str) -> str:
    return "\n".join(printed.splitlines()[-LINES:])
