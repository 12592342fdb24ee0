"""The matrix: all that can happen to a replay, its verdict and its exit code, as docs/reference/verdicts.md shows it.

    python tests/matrix.py

writes the table there anew, from what it sees. What a situation is about is not taken from there: each says whether
the bug is there or gone, and if nobody can know, neither 0 nor 1 is right.
"""

import contextlib
import hashlib
import io
import json
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from conftest import ROOT, Ran, environment
from mortal import Tally, TallyApi

from replaykit.adapter import Adapters
from replaykit.bundle import Provenance, Shrinking
from replaykit.canonical import canonical
from replaykit.cli import app
from replaykit.model import digest_of
from replaykit.run import execute
from replaykit.sequence import Call, Fixed
from replaykit.writer import save

PAGE = ROOT / "docs" / "reference" / "verdicts.md"
BEGIN, END = "<!-- matrix: python tests/matrix.py -->\n\n", "\n<!-- end of the matrix -->"
LARGE = 8  # from here on, the bug adds one too many, to all but the first number
CALLS = tuple(Call(label=label, tag="add", args={"number": number}) for label, number in ((2, 1), (5, 3), (7, LARGE)))
ADDITIONS = len(CALLS)
LATE = 0.4  # seconds after which it goes wrong, or goes wrong no more
HELD_UP = 0.25  # seconds that a client waits for what hangs
BUNDLE = "tally.pd"


class Till(ThreadingHTTPServer):
    """A service that keeps a total, and goes wrong in a way that can be chosen; in `with`."""

    daemon_threads = True

    def __init__(self, how: str = "well", seed: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.how, self.random = how, random.Random(seed)
        self.total = self.resets = self.added = 0
        self.moment = 0.0  # of the last addition
        self.is_dead = self.is_sick = False
        self.asked, self.over = threading.Event(), threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that is gone."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    """The service."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Till

    def do_GET(self) -> None:
        """Say how it is."""
        if self.server.is_dead:
            return self.hang_up()
        status = {"fails": 500, "other": 404, "page": 404}.get(self.server.how, 503 if self.server.is_sick else 200)
        return self.answer(status, {})

    def do_POST(self) -> None:
        """Add, or start again."""
        text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        till, how = self.server, self.server.how
        till.asked.set()
        if till.is_dead:
            return self.hang_up()
        if how in {"fails", "errs"}:
            return self.answer(500, {"error": "oops"})
        if how == "other":
            return self.answer(404, {"error": "nothing here"})
        if how == "page":
            return self.answer(200, "<h1>Welcome</h1>")
        if how == "hangs":
            till.over.wait(30)
            return self.hang_up()
        if self.path == "/reset":
            till.resets += 1
            till.total = till.added = 0
            if how == "dies at 0":
                return self.die()
            if how == "dies between" and till.resets > 1:
                return self.die()
            return self.answer(200, {})
        till.added += 1
        return self.add(json.loads(text)["number"])

    def add(self, number: int) -> None:
        """Add as was chosen."""
        till, how = self.server, self.server.how
        before, till.total = till.total, till.total + number
        is_last = till.added == ADDITIONS
        if how == f"dies at {till.added}":
            return self.die()
        if how == "in front" and till.added == 1:
            return self.answer(200, {"total": -1})
        if how == "refuses" and is_last:
            return self.answer(400, {})
        if how == "anew" and till.resets == 1 and till.added == ADDITIONS - 1:  # it ends, and is there again
            self.answer(200, {"total": till.total})
            till.total = 0
            self.close_connection = True
            return None
        if how.startswith("sick") and is_last:
            till.is_sick = True
        waited, till.moment = time.monotonic() - till.moment, time.monotonic()
        in_time = (how == "late" and waited > LATE) or (how == "hasty" and waited < LATE)
        shows = in_time or how in {"buggy", "sick, buggy"} or (how.isdigit() and till.random.random() < int(how) / 100)
        return self.answer(200, {"total": till.total + (shows and before > 0 and number >= LARGE)})

    def die(self) -> None:
        """Answer nothing any more."""
        self.server.is_dead = True
        self.hang_up()

    def hang_up(self) -> None:
        """Close the connection without an answer."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def answer(self, status: int, body: object) -> None:
        """Answer."""
        content = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def written(path: Path, failed: int = 5, runs: int = 5, pause: float = 0.0) -> Path:
    """Save a bundle of the bug, that showed so often when it was recorded, with so many seconds between its calls."""
    with Till("buggy") as till:
        adapters = Adapters(Tally, TallyApi, till.url, {})
        trace = execute(Tally, adapters.new(), Fixed(CALLS))
        adapters.close()
    assert trace.failure is not None, trace
    if pause:
        steps = [step.replace(at=pause * number) for number, step in enumerate(trace.steps)]
        trace = trace.replace(steps=tuple(steps))
    shrinking = Shrinking(
        calls_before=9, executions=9, requests=9, seconds=1.0, confirmed=failed == runs, runs=runs, failed=failed
    )
    provenance = Provenance(
        url=till.url, model="mortal:Tally", adapter="mortal:TallyApi", model_digest=digest_of(Tally), campaign_seed=1,
        run=0, seed=1, commands=9, shrinking=shrinking,
    )  # fmt: skip
    save(path, provenance, trace)
    return path


# --- the situations -----------------------------------------------------------------------------


class Situation(NamedTuple):
    """Something that can happen to a replay."""

    name: str
    bug: Literal["there", "gone", "unknown"]
    how: str | None = "well"  # what the service does; None: there is none
    options: tuple[str, ...] = ()
    model: Callable[[str], str] | None = None  # what becomes of the text of the model and the adapter
    spoilt: Callable[[bytes], bytes] | None = None  # what becomes of the bundle
    failed: int = 5  # when it was recorded
    runs: int = 5
    pause: float = 0.0  # seconds between two calls, when it was recorded
    process: str = ""  # run in a process of its own, in this way

    @property
    def codes(self) -> set[int]:
        """The exit codes that say nothing wrong."""
        swapped = "reproduces" in self.options
        return {"there": {0 if swapped else 1}, "gone": {1 if swapped else 0}}.get(self.bug, {125, 128, 129, 130, 143})


class Cell(NamedTuple):
    """What a replay came to: the verdict, or the slug of an error, and the exit code."""

    said: str
    code: int


_EXPECTS = re.compile(r"    @expects\n    def add.*?\n\n", re.DOTALL)

SITUATIONS = [
    Situation("the bug is there", "there", "buggy"),
    Situation("the bug is fixed", "gone"),
    Situation("the bug is there, and `--expect reproduces`", "there", "buggy", ("--expect", "reproduces")),
    Situation("the bug is fixed, and `--expect reproduces`", "gone", "well", ("--expect", "reproduces")),
    Situation("another bug is in front of it", "unknown", "in front"),
    Situation("the same step fails the other way round", "unknown", "refuses"),
    Situation("it showed in 70 % of the runs, and is there", "there", "70", failed=7, runs=10),
    Situation("it showed in 70 % of the runs, and is fixed", "gone", failed=7, runs=10),
    Situation("it showed in 30 % of the runs, and is there", "there", "30", failed=3, runs=10),
    Situation("it showed in 30 % of the runs, and is fixed", "gone", failed=3, runs=10),
    Situation("it showed in 10 % of the runs, and is there", "there", "10", failed=1, runs=10),
    Situation("it showed in 10 % of the runs, and is fixed", "gone", failed=1, runs=10),
    Situation("it showed in 70 % of the runs, and not in `--times 2`", "unknown", "well", ("--times", "2"),
              failed=7, runs=10),
    Situation("it showed in 1 of 60 runs, and not in as many as are made unasked", "unknown", failed=1, runs=60),
    Situation("the service is down from the start", "unknown", None),
    Situation("it is down, and `--expect reproduces`", "unknown", None, ("--expect", "reproduces")),
    Situation("its health check fails from the start", "unknown", "fails"),
    Situation("it dies in the middle", "unknown", "dies at 2"),
    Situation("it dies between two attempts", "unknown", "dies between"),
    Situation("it is started anew in the middle, and has lost what it knew", "unknown", "anew"),
    Situation("its health check fails afterwards, and nothing was wrong", "unknown", "sick"),
    Situation("its health check fails afterwards, and the bug showed", "unknown", "sick, buggy"),
    Situation("it answers 500 to everything", "unknown", "errs"),
    Situation("it hangs", "unknown", "hangs", ("--set", f"timeout={HELD_UP}")),
    Situation("another service is on the port, which answers 404", "unknown", "other", ("--health", "none")),
    Situation("another service is on the port, which answers 200", "unknown", "page", ("--health", "none")),
    Situation("the command has another name, and the old one is its alias", "there", "buggy",
              model=lambda text: text.replace("class Add(Command)", 'class Plus(Command, aliases=("add",))')
              .replace("Add,", "Plus,").replace("cmd: Add)", "cmd: Plus)")),
    Situation("the command has another name, and no alias", "unknown", "buggy",
              model=lambda text: text.replace("class Add(Command)", "class Plus(Command)")
              .replace("Add,", "Plus,").replace("cmd: Add)", "cmd: Plus)")),
    Situation("the model no longer judges what failed", "unknown",
              model=lambda text: _EXPECTS.sub("    @check\n    def counts(self) -> None:\n        pass\n\n", text)),
    Situation("the model raises", "unknown", "buggy",
              model=lambda text: text.replace("Predict the total.", 'Predict the total."""\n        """{[][0]}')
              .replace('"""{[][0]}"""', "[][0]")),
    Situation("the adapter raises", "unknown", "buggy",
              model=lambda text: text.replace('answer.json()["total"]', 'answer.json()["sum"]')),
    Situation("the model can't be imported", "unknown", "buggy", model=lambda text: text.replace("Tally(", "Tally((")),
    Situation("the bundle is truncated", "unknown", "buggy", spoilt=lambda content: content[:-40]),
    Situation("a byte of the bundle was changed", "unknown", "buggy",
              spoilt=lambda content: content.replace(b'"number":3', b'"number":4', 1)),
    Situation("the bundle is of a newer format", "unknown", "buggy",
              spoilt=lambda content: content.replace(b'"format":1', b'"format":9', 1)),
    Situation("there is no such file", "unknown", "buggy", spoilt=lambda _: b""),
    Situation("offline, and the model sees the bug", "there", None, ("--offline",)),
    Situation("offline, and the adapter asks for something else", "unknown", None, ("--offline",),
              model=lambda text: text.replace('json={"number"', 'json={"amount"')),
    Situation("`--pace recorded`, and the bundle has no times", "unknown", "buggy", ("--pace", "recorded"),
              spoilt=canonical),
    Situation("Ctrl-C", "unknown", "hangs", process="int"),
    Situation("Ctrl-C in a recorded pause", "unknown", "well", ("--pace", "recorded"), pause=30.0, process="int"),
    Situation("TERM", "unknown", "hangs", process="term"),
    Situation("nobody reads what is printed, and the bug is there", "there", "buggy", process="closed"),
    Situation("nobody reads what is printed, and the bug is fixed", "gone", process="closed"),
]  # fmt: skip


def happened(situation: Situation, folder: Path) -> Cell:
    """Let a situation happen, and say what the command line made of it."""
    bundle = written(folder / BUNDLE, situation.failed, situation.runs, situation.pause)
    if situation.spoilt is not None:
        content = situation.spoilt(bundle.read_bytes())
        bundle.unlink() if not content else bundle.write_bytes(content)
    arguments = ["replay", str(bundle), *situation.options]
    if situation.model is not None:
        text = Path(__file__).with_name("mortal.py").read_text(encoding="utf-8")
        changed = situation.model(text.replace("import Adapter", "import check, Adapter"))
        assert changed != text
        file = folder / f"changed_{hashlib.sha256(changed.encode()).hexdigest()[:8]}.py"  # a name is imported once
        file.write_text(changed, encoding="utf-8")
        arguments += ["--model", f"{file}:Tally", "--adapter", f"{file}:TallyApi"]
    if situation.how is None:
        offline = "--offline" in situation.options
        ran = called([*arguments, *([] if offline else ["--url", nowhere(), "--health-timeout", "0.2"])])
    else:
        with Till(situation.how) as till:
            arguments += ["--url", till.url, "--health-timeout", "0.2"]
            if "--health" not in arguments:
                arguments += ["--health", "/"]
            ran = apart(arguments, situation.process, till) if situation.process else called(arguments)
    said = re.findall(r"^VERDICT ([a-z]+)", ran.out, re.MULTILINE) or re.findall(r"^error\[([a-z-]+)", ran.err)
    return Cell(said[-1] if said else "", ran.code)


def called(arguments: list[str]) -> Ran:
    """Call the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = app.run(arguments)
    return Ran(code, out.getvalue(), err.getvalue())


def apart(arguments: list[str], way: str, till: Till) -> Ran:
    """Call the command line in a process of its own, and stop it, or don't read what it prints."""
    line = [sys.executable, "-m", "replaykit", *arguments]
    if way == "closed":
        reading, writing = socket.socketpair()
        reading.close()
        done = subprocess.run(
            line, stdout=writing, stderr=subprocess.PIPE, env=_environment(), cwd=ROOT, timeout=60, check=False
        )
        writing.close()
        return Ran(done.returncode, "VERDICT unread", done.stderr.decode())
    process = subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=_environment(), cwd=ROOT, text=True
    )
    with process:
        till.asked.wait(60)
        time.sleep(0.05 if till.how == "hangs" else 0.4)  # it waits now: for an answer, or for the time to come
        process.send_signal(signal.SIGINT if way == "int" else signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    return Ran(process.returncode, out, err)


def _environment() -> dict[str, str]:
    return environment(PYTHONPATH=f"{ROOT}:{ROOT / 'tests'}")


def nowhere() -> str:
    """Return a URL at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


# --- the table ----------------------------------------------------------------------------------


def rows() -> dict[str, Cell]:
    """Read the table of the page."""
    text = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    found = re.findall(r"^\| (.+?) \| (?:error )?`(.*?)` \| (\d+) \|", text, re.MULTILINE)
    return {name: Cell(said, int(code)) for name, said, code in found}


def _table() -> Iterator[str]:
    yield "| situation | verdict, or error | exit code | in `git bisect run` |"
    yield "|---|---|---|---|"
    for situation in SITUATIONS:
        with tempfile.TemporaryDirectory() as folder:
            cell = happened(situation, Path(folder))
        assert cell.code in situation.codes, (situation.name, cell)
        is_error = cell.code in {128, 129}
        meaning = {0: "good", 1: "bad", 125: "skip"}.get(cell.code, "stops")
        yield f"| {situation.name} | {'error ' if is_error else ''}`{cell.said}` | {cell.code} | {meaning} |"


def main() -> None:
    """Write the table of the page anew."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}{chr(10).join(_table())}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
