"""Verdicts that must not be wrong: each of these once gave 0 or 1 for a reason that is not the bug."""

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from uuid import uuid4

import pytest
from conftest import NAMES, ROOT, environment, processes, replaykit

SERVICE = textwrap.dedent(
    """
    import os, sys
    import uvicorn
    from examples.leaderboard.service import application
    inner, how, count = application(), sys.argv[2], 0

    async def app(scope, receive, send):
        global count
        if scope["type"] == "http" and scope["path"] == "/reset" and how == "fails at reset":
            await send({"type": "http.response.start", "status": 500, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})
            return
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == "/players":
            count += 1
            if how == "dies at the second" and count == 2:
                os._exit(9)
        await inner(scope, receive, send)

    uvicorn.run(app, port=int(sys.argv[1]), log_level="error")
    """
)

ADAPTERS = textwrap.dedent(
    """
    from typing import ClassVar
    import httpx
    from examples.leaderboard import Leaderboard, LeaderboardApi
    from examples.leaderboard.model import CreatePlayer, PlayerCreated, PlayerRejected
    from replaykit import handles, invariant, Model

    class Strict(Leaderboard):
        server_errors: ClassVar = True

    class Blind(Leaderboard):
        def board_matches(self) -> None:
            pass

    class Swallowing(LeaderboardApi):
        @handles
        def create(self, cmd: CreatePlayer) -> PlayerCreated | PlayerRejected:
            try:
                answer = self.http.post("/players", json={"name": cmd.name})
            except httpx.TransportError:
                return PlayerRejected(status=400)
            return PlayerRejected(status=400) if answer.is_error else PlayerCreated(name=cmd.name)
    """
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a service that can go wrong, and adapters for it."""
    (tmp_path / "service.py").write_text(SERVICE)
    (tmp_path / "adapters.py").write_text(ADAPTERS)
    return tmp_path


def replayed(bundle: Path, folder: Path, how: str, *more: str):
    """Replay a bundle against a service that goes wrong."""
    return replaykit("replay", bundle, "--start", f"python {folder}/service.py {{port}} '{how}'", *more,
                     PYTHONPATH=str(ROOT))  # fmt: skip


def test_lost_answer_that_the_adapter_swallows_is_not_fixed(duplicate_names: Path, folder: Path):
    """A service that dies at the very request is not free of the bug because the adapter says so."""
    ran = replayed(
        duplicate_names, folder, "dies at the second",
        "--model", f"{folder}/adapters.py:Blind", "--adapter", f"{folder}/adapters.py:Swallowing",
    )  # fmt: skip

    assert 125 == ran.code, ran


@pytest.mark.parametrize("streams", [["stdout"], ["stdout", "stderr"]])
def test_streams_that_the_adapter_closes_change_no_verdict(streams: list[str], duplicate_names: Path, tmp_path: Path):
    """Nothing more is printed then, and the exit code still says that it reproduced, as it was expected to."""
    closing = "".join(f"sys.{stream}.close(); " for stream in streams)
    (tmp_path / "closing.py").write_text(
        "import sys\nfrom examples.leaderboard import LeaderboardApi\n"
        f"class Closing(LeaderboardApi):\n    def reset(self):\n        {closing}super().reset()\n"
    )
    ran = replaykit(
        "replay", duplicate_names, "--offline", "--expect", "reproduces", "--adapter", f"{tmp_path}/closing.py:Closing",
        "--model", "examples.leaderboard:Leaderboard", PYTHONPATH=str(ROOT),
    )  # fmt: skip

    assert 0 == ran.code, ran
    assert "Traceback" not in ran.err
    assert "VERDICT" not in ran.out


@pytest.mark.parametrize("after", [None, 0.0, 1.0])
def test_terminated_replay_exits_with_143(after: float | None, duplicate_names: Path):
    """TERM has one exit code, so many seconds after the service was started; or else before anything is."""
    mark = uuid4().hex
    process = subprocess.Popen(
        [sys.executable, "-m", "replaykit", "replay", duplicate_names, *NAMES, "--start",
         f"python -c 'import time; time.sleep(60)' {{port}} {mark}"],
        cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        deadline = time.monotonic() + 30
        while after is not None and len(processes(mark)) < 2 and time.monotonic() < deadline:  # it, and its service
            time.sleep(0.01)
        time.sleep(0.1 if after is None else after)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)

    assert process.returncode in ({143, -15} if after is None else {143}), err
    assert "Traceback" not in err
    assert after is None or "VERDICT interrupted" in out


@pytest.mark.parametrize(("half_made", "code"), [("StaleError", -signal.SIGTERM), ("Verdict", 143)])
def test_terminated_amid_an_import_is_no_mistake_of_its_own(half_made: str, code: int, duplicate_names: Path):
    """TERM may come while a module is half imported: what it raises is there before it is listened for."""
    program = f"""
import os, signal, sys

def look(frame, event, _):
    if event == "call" and frame.f_code.co_name == {half_made!r}:
        sys.setprofile(None)
        os.kill(os.getpid(), signal.SIGTERM)

sys.setprofile(look)
from replaykit.cli import entry
entry()
"""
    done = subprocess.run(
        [sys.executable, "-c", program, "show", duplicate_names],
        cwd=ROOT, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert code == done.returncode, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_amid_a_finalizer_is_not_lost(number: signal.Signals, code: int):
    """What is raised while something is finalized, Python drops; the command ends all the same."""
    program = f"""
import os, sys, time
import replaykit.cli.app
from replaykit.cli import main

class Held:
    def __del__(self):
        os.kill(os.getpid(), {int(number)})
        time.sleep(0.1)

def run(arguments):
    Held()
    time.sleep(20)
    return 0

replaykit.cli.app.run = run
sys.exit(main([]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )

    assert code == done.returncode, done.stderr
    assert "Traceback" not in done.stderr


def test_model_that_judges_nothing_is_a_mistake(tmp_path: Path):
    """A model without any check could never fail, and is told so before the first run."""
    (tmp_path / "idle.py").write_text(
        "from typing import ClassVar\nfrom replaykit import Command, Model\n"
        "class Go(Command):\n    pass\nclass Idle(Model):\n    commands: ClassVar = (Go,)\n"
    )
    ran = replaykit("integration", "--model", f"{tmp_path}/idle.py:Idle", "--mock")

    assert 128 == ran.code, ran
    assert "judges nothing" in ran.err


def test_fault_in_the_model_s_module_is_told_with_its_line(tmp_path: Path):
    """A module that can't be imported is told with the file and the line of the mistake."""
    (tmp_path / "typo.py").write_text("from replaykit import Model\n\nx = Modle\n")
    ran = replaykit("integration", "--model", f"{tmp_path}/typo.py:Idle", "--mock")

    assert 128 == ran.code
    assert "typo.py, line 3" in ran.err


def test_server_error_in_the_reset_is_found_and_not_shrunk(folder: Path):
    """Where the model asks for server errors, one in the reset is a finding, with no command to leave out."""
    ran = replaykit(
        "integration", "--model", f"{folder}/adapters.py:Strict", "--adapter", "examples.leaderboard:LeaderboardApi",
        "--start", f"python {folder}/service.py {{port}} 'fails at reset'", "--runs", "3",
        "--save-failures", folder / "out", PYTHONPATH=str(ROOT),
    )  # fmt: skip

    assert 1 == ran.code, ran
    assert "POST /reset answered 500" in ran.out
    assert 1 == len(list((folder / "out").glob("server_error-*.pd")))
