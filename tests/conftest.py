"""What the tests share: services on loopback, and the command line."""

import atexit
import contextlib
import functools
import json
import os
import re
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
from browser import chromium  # noqa: F401  a fixture
from forked import Nursery

if TYPE_CHECKING:
    from parrots import Index

ROOT = Path(__file__).parent.parent
LEADERBOARD = "python -m examples.leaderboard --port {port}"
NAMES = ("--model", "examples.leaderboard:Leaderboard", "--adapter", "examples.leaderboard:LeaderboardApi")
LONG = {"journeys", "examples"}  # folders
LONGEST = "test_planted_bugs.py"

# a leaderboard that dies in the middle of a campaign
DYING = textwrap.dedent(
    """
    import sys, os
    import uvicorn
    from examples.leaderboard.service import application
    inner, count = application(), 0
    async def app(scope, receive, send):
        global count
        count += scope["type"] == "http" and scope["path"] == "/players"
        if count == 70:
            os._exit(7)
        await inner(scope, receive, send)
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
    """
)


@dataclass(frozen=True)
class Ran:
    """What a command line came to: the exit code first."""

    code: int
    out: str
    err: str

    @property
    def verdict(self) -> str:
        """The last line of the output."""
        return self.out.rstrip().rpartition("\n")[2]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let each worker begin with its share of the longest module, and with some others that are long."""
    modules: dict[Path, list[pytest.Item]] = {}
    for item in items:
        modules.setdefault(item.path, []).append(item)
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    longest = [[item] for path, each in modules.items() if path.name == LONGEST for item in each]
    long = [each for path, each in modules.items() if path.name != LONGEST and LONG & set(path.parts)]
    short = [each for path, each in modules.items() if path.name != LONGEST and not LONG & set(path.parts)]
    parts = [longest, long, short]
    items[:] = [item for first in range(workers) for part in parts for each in part[first::workers] for item in each]


def environment(**more: str) -> dict[str, str]:
    """Return an environment in which `python` is the one that runs the tests."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "GITHUB_", "REPLAYKIT_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    return {**kept, "PATH": path, "NO_COLOR": "1", **more}


@functools.cache
def nursery() -> Nursery:
    """Give the process that this one's command lines are forked from."""
    made = Nursery(environment())
    atexit.register(made.close)
    return made


def replaykit(*arguments: object, cwd: Path = ROOT, timeout: float = 120, anew: bool = False, **more: str) -> Ran:
    """Run the command line as a user does; with `anew`, in a process that starts from nothing."""
    if not anew and not any(name.startswith("PYTHON") and name != "PYTHONPATH" for name in more):
        return Ran(*nursery().run([str(each) for each in arguments], cwd, environment(**more), timeout))
    done = subprocess.run(
        [sys.executable, "-m", "replaykit", *map(str, arguments)],
        cwd=cwd,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def leaderboard(*bugs: str) -> str:
    """Write the command that starts the leaderboard with some bugs."""
    return LEADERBOARD + "".join(f" --bug {bug}" for bug in bugs)


def processes(mark: str) -> list[int]:
    """List the processes with a text in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                state = re.search(r"\) (\w)", (entry / "stat").read_text()) if mark in line else None
                if state and state[1] != "Z":
                    found.append(int(entry.name))
    return found


def gone(mark: str, seconds: float = 10) -> bool:
    """Wait until no process with a mark is left."""
    deadline = time.monotonic() + seconds
    while processes(mark) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not processes(mark)


@pytest.fixture(scope="module", autouse=True)
def own_path() -> Iterator[None]:
    """Let no module of tests find what another one has put on the path of Python."""
    before = [*sys.path]
    yield
    sys.path[:] = before


@pytest.fixture(scope="session")
def database() -> Iterator[str]:
    """Give the URL of one PostgreSQL for all banks of a worker, which are asked one after the other."""
    from examples.toybank import postgres

    with postgres.reached(os.environ.get("DATABASE_URL")) as url:
        yield url


@pytest.fixture(scope="module")
def parrots_served(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Index]":
    """Serve the versions of a package to all tests of a module."""
    from parrots import index

    with index(tmp_path_factory.mktemp("index")) as there:
        yield there


@pytest.fixture
def parrots(parrots_served: "Index", monkeypatch: pytest.MonkeyPatch) -> "Index":
    """Let pip ask the parrots' index alone."""
    from parrots import asked_alone

    from replaykit import installer

    monkeypatch.setattr(installer, "PAUSE", 0.0)
    return asked_alone(parrots_served, monkeypatch)


@pytest.fixture(scope="session")
def duplicate_names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a bundle of the leaderboard's bug duplicate-names, found and shrunk by the command line."""
    folder = tmp_path_factory.mktemp("failures")
    ran = replaykit(
        "integration", *NAMES, "--start", leaderboard("duplicate-names"), "--runs", "100", "--seed", "1",
        "--stop-on-fail", "--save-failures", folder,
    )  # fmt: skip
    assert ran.code == 1, ran
    [bundle] = folder.glob("*.pd")
    yield bundle


class Loopback:
    """A service on loopback; in `with`."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that was killed
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Counting(Loopback):
    """A service on loopback that counts the requests to it, and tells the count and the path; in `with`."""

    def __init__(self) -> None:
        self.count = 0
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(handler) -> None:  # noqa: N805
                length = int(handler.headers.get("Content-Length", 0))
                text = handler.rfile.read(length).decode()
                with lock:
                    self.count += 1
                    body = json.dumps({"count": self.count, "path": handler.path, "text": text}).encode()
                handler.send_response(200)
                handler.send_header("Content-Type", "application/json")
                handler.send_header("Content-Length", str(len(body)))
                handler.end_headers()
                handler.wfile.write(body)

            do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

            def log_message(handler, *_: object) -> None:  # noqa: N805
                pass

        super().__init__(Handler)
