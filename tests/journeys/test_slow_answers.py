"""Latency budgets through the command line: exit code first."""

import textwrap
from pathlib import Path

import pytest
from conftest import ROOT, Ran, replaykit

from replaykit.reader import read

SERVICE = textwrap.dedent(
    """
    import sys, time
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    port, slow_from = int(sys.argv[1]), float(sys.argv[2])
    once = len(sys.argv) > 3
    items = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_GET(self):
            global items, once
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.command == "POST":
                items = items + 1 if self.path == "/items" else 0
            elif self.path == "/items" and (items >= slow_from or once):
                once = False
                time.sleep(0.2)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_POST = do_GET

        def log_message(self, *_):
            pass

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
    """
)

MODEL = textwrap.dedent(
    """
    from typing import ClassVar
    from replaykit import Adapter, Command, Event, Model, handles, invariant, within

    class Add(Command):
        pass
    class Look(Command):
        pass
    class Done(Event):
        pass
    class Shop(Model):
        commands: ClassVar = (Add, Look)
        @invariant
        def open(self) -> None:
            assert True
    class Api(Adapter[Shop]):
        def reset(self) -> None:
            self.http.post("/reset").raise_for_status()
        @handles
        def add(self, cmd: Add) -> Done:
            self.http.post("/items").raise_for_status()
            return Done()
        @handles
        def look(self, cmd: Look) -> Done:
            self.http.get("/items").raise_for_status()
            return Done()
    class Quick(Api):
        @within(0.05)
        @handles
        def look(self, cmd: Look) -> Done:
            self.http.get("/items").raise_for_status()
            return Done()
    """
)

PROFILES = textwrap.dedent(
    """
    [tool.replaykit.profiles.shop]
    model = "shop:Shop"
    adapter = "shop:Api"
    health = "none"
    runs = 2
    commands = 8
    seed = 1
    [tool.replaykit.profiles.shop.latency]
    "GET /{what}" = 0.05
    [tool.replaykit.profiles.unknown.latency]
    "items" = 0.05
    [tool.replaykit.profiles.wrong.latency]
    "GET /items" = "soon"
    """
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a project with a service that can be slow, its model and its profiles."""
    made = tmp_path_factory.mktemp("shop")
    (made / "service.py").write_text(SERVICE)
    (made / "shop.py").write_text(MODEL)
    (made / "pyproject.toml").write_text(PROFILES)
    return made


def asked(folder: Path, *arguments: object, service: str | None = None) -> Ran:
    """Ask replaykit in the project, of a service that is slow from some number of items on."""
    start = () if service is None else ("--start", f"python service.py {{port}} {service}")
    return replaykit(*arguments, *start, cwd=folder, PYTHONPATH=str(ROOT))


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Path:
    """Give a bundle of an endpoint that is slow with two items, by the budget of a profile."""
    ran = asked(folder, "integration", "--profile", "shop", "--save-failures", "failures", service="2")
    assert 1 == ran.code, ran
    [path] = (folder / "failures").glob("*.pd")
    return path


def test_slow_endpoint_is_found_shrunk_and_shown(bundle: Path, folder: Path):
    """The bundle has three commands, and `show` tells what was slow."""
    shown = asked(folder, "show", bundle)

    assert ["add", "add", "look"] == [call.tag for call in read(bundle).trace.sequence]
    assert 0 == shown.code
    assert shown.out.startswith("latency GET /{what}  (fingerprint ")
    assert " s, 0.05 s are allowed" in shown.out


def test_replay_is_1_where_it_is_slow_and_0_where_it_is_not(bundle: Path, folder: Path):
    """Live it reproduces on the slow service and is fixed on the quick one; offline it reproduces."""
    slow = asked(folder, "replay", bundle, "--health", "none", service="2")
    quick = asked(folder, "replay", bundle, "--health", "none", service="inf")
    offline = asked(folder, "replay", bundle, "--offline")

    assert (1, 0, 1) == (slow.code, quick.code, offline.code), slow.out + quick.out + offline.out
    assert slow.verdict.startswith("VERDICT reproduced: latency GET /{what} at step ")
    assert "executions" in slow.verdict
    assert quick.verdict.startswith("VERDICT fixed: ")


def test_budget_of_the_command_line_goes_before_profile_and_bundle(bundle: Path, folder: Path):
    """With more time allowed it is fixed; the profile's budget holds otherwise."""
    profile = asked(folder, "replay", bundle, "--profile", "shop", "--offline")
    more = asked(folder, "replay", bundle, "--profile", "shop", "--latency", "GET /{it}=9", "--offline")

    assert (1, 0) == (profile.code, more.code), profile.out + more.out


def test_slow_handler_is_found_and_its_replay_is_told(folder: Path, tmp_path: Path):
    """A handler with a budget is found where it is always slow; what was said of budgets is said again."""
    ran = asked(
        folder, "integration", "--model", "shop:Shop", "--adapter", "shop:Quick", "--health", "none", "--runs", "3",
        "--commands", "5", "--seed", "1", "--latency", "POST /items=5", "--save-failures", tmp_path, service="0",
    )  # fmt: skip
    [saved] = tmp_path.glob("*.pd")

    assert 1 == ran.code, ran
    assert ["look"] == [call.tag for call in read(saved).trace.sequence]
    assert "FAILURE latency look  (fingerprint " in ran.out
    assert '--health none --latency "POST /items=5"' in ran.out


def test_single_slow_answer_is_0(folder: Path, tmp_path: Path):
    """What is slow once is forgiven, and said."""
    ran = asked(folder, "integration", "--profile", "shop", "--save-failures", tmp_path, service="inf once")

    assert 0 == ran.code, ran
    assert "2 passed, 0 failed" in ran.out
    assert "slow answer" in ran.out
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("code", "said", "options"),
    [
        (129, "is not WHERE=SECONDS", ["--latency", "GET /items"]),
        (129, "is not WHERE=SECONDS", ["--latency", "GET /items=soon"]),
        (129, "GET /items can't have a budget of 0.0", ["--latency", "GET /items=0"]),
        (129, "GET /items can't have a budget of nan", ["--latency", "GET /items=nan"]),
        (129, "'/items' is not an endpoint", ["--latency", "/items=0.2"]),
        (129, "The profile 'unknown': 'items' is not an endpoint", ["--profile", "unknown"]),
        (129, "The profile 'wrong': GET /items can't have a budget of 'soon'", ["--profile", "wrong"]),
    ],
)
def test_wrong_budgets_are_129(code: int, said: str, options: list[str], folder: Path):
    """A budget that can't be is told before anything is started, of an integration and of a replay."""
    ran = asked(folder, "integration", "--model", "shop:Shop", "--adapter", "shop:Api", *options, service="0")
    replayed = asked(folder, "replay", "service.py", "--offline", *options)

    assert (code, code) == (ran.code, replayed.code), ran
    assert said in ran.err
    assert said in replayed.err


def test_wrong_budget_of_a_handler_is_128(folder: Path):
    """A budget that stands beside no handler is a mistake of the adapter."""
    (folder / "wrong.py").write_text(MODEL.replace("@within(0.05)\n    @handles", "@within(0.05)"))
    ran = asked(folder, "integration", "--model", "wrong:Shop", "--adapter", "wrong:Quick", service="0")

    assert 128 == ran.code, ran
    assert "error[definition]: Quick.look has @within, and handles no command." in ran.err
