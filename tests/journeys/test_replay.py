"""Replay through the command line: exit code first."""

import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import NAMES, ROOT, environment, leaderboard, replaykit

from replaykit import service
from replaykit.reader import read
from replaykit.writer import save


@pytest.fixture(scope="module")
def buggy() -> Iterator[str]:
    """Give the URL of a leaderboard that has the bug."""
    with service.reached(
        url=None, start=f"{sys.executable} {leaderboard('duplicate-names')[7:]}", health=None, patience=None
    ) as url:
        yield url


def test_bug_present_is_1(duplicate_names: Path):
    """Live, with the bug on, the bundle reproduces: exit code 1."""
    ran = replaykit("replay", duplicate_names, "--start", leaderboard("duplicate-names"))

    assert 1 == ran.code, ran
    assert ran.verdict.startswith("VERDICT reproduced: expectation create at step ")


def test_bug_absent_is_0(duplicate_names: Path):
    """Live, without the bug, it is fixed: exit code 0."""
    ran = replaykit("replay", duplicate_names, "--start", leaderboard())

    assert 0 == ran.code, ran
    assert "VERDICT fixed: all steps ran, and all checks hold (in each of 4 attempts) (exit 0)" == ran.verdict


def test_offline_is_1_with_no_service_running(duplicate_names: Path):
    """Offline, the cassette answers, and the recorded bug reproduces."""
    ran = replaykit("replay", duplicate_names, "--offline")

    assert 1 == ran.code, ran


def test_running_service_is_replayed_against(duplicate_names: Path, buggy: str):
    """With --url, a running service is asked."""
    assert 1 == replaykit("replay", duplicate_names, "--url", buggy).code


def test_nothing_listening_is_125(duplicate_names: Path):
    """A URL where nothing listens can't be judged: exit code 125."""
    ran = replaykit("replay", duplicate_names, "--url", "http://127.0.0.1:9", "--health-timeout", "0.5")

    assert 125 == ran.code
    assert ran.verdict.startswith("VERDICT unreachable")


def test_another_service_on_the_port_is_125(duplicate_names: Path, tmp_path: Path):
    """A service that knows none of the requests can't be judged."""
    (tmp_path / "index.html").write_text("hello")
    ran = replaykit(
        "replay", duplicate_names, "--start", f"python -m http.server {{port}} -d {tmp_path}", "--health", "/"
    )

    assert 125 == ran.code, ran
    assert "different" in ran.verdict


def test_changed_byte_is_128(duplicate_names: Path, tmp_path: Path):
    """A bundle with one byte changed is refused, and its line is named."""
    content = bytearray(duplicate_names.read_bytes())
    place = content.index(b'"name":"a"') + 8
    content[place] = ord("b")
    path = tmp_path / "changed.pd"
    path.write_bytes(content)
    ran = replaykit("replay", path, "--offline")

    assert 128 == ran.code
    assert "error[bundle-corrupt]" in ran.err
    assert "line " in ran.err


def test_truncated_bundle_is_128_and_can_be_shown(duplicate_names: Path, tmp_path: Path):
    """A bundle without its end is not judged; what is there can be looked at."""
    path = tmp_path / "cut.pd"
    path.write_bytes(duplicate_names.read_bytes()[:-40])
    ran = replaykit("replay", path, "--offline")
    shown = replaykit("show", path)

    assert 128 == ran.code
    assert "error[bundle-truncated]" in ran.err
    assert 0 == shown.code
    assert "has no end" in shown.out


def test_missing_file_is_129(tmp_path: Path):
    """A file that is not there is a mistake of the caller."""
    for command in ("replay", "show"):
        ran = replaykit(command, tmp_path / "none.pd")

        assert 129 == ran.code
        assert "error[missing-file]" in ran.err


def test_bundle_of_a_stranger_is_not_replayed_against_its_host(duplicate_names: Path, tmp_path: Path):
    """A recorded host that is not this machine is refused without --url."""
    from replaykit.reader import read
    from replaykit.writer import save

    foreign = read(duplicate_names)
    path = tmp_path / "foreign.pd"
    save(path, foreign.provenance.replace(url="http://shop.example"), foreign.trace)
    ran = replaykit("replay", path)

    assert 129 == ran.code
    assert "error[foreign-host]" in ran.err


@pytest.mark.parametrize("model", ["os:system", "json:JSONDecoder", "no.such:Model"])
def test_bundle_does_not_choose_what_is_imported(model: str, duplicate_names: Path, tmp_path: Path):
    """A model outside of the project is not imported because a bundle says so."""
    from replaykit.reader import read
    from replaykit.writer import save

    known = read(duplicate_names)
    path = tmp_path / "strange.pd"
    save(path, known.provenance.replace(model=model), known.trace)
    ran = replaykit("replay", path, "--offline")

    assert 128 == ran.code
    assert "error[load]" in ran.err


def test_command_that_is_gone_is_stale(duplicate_names: Path, tmp_path: Path):
    """A bundle whose command the model no longer has can't be judged: 125, not 0."""
    (tmp_path / "smaller.py").write_text(
        "from typing import ClassVar\n"
        "from examples.leaderboard import Leaderboard, LeaderboardApi\n"
        "from examples.leaderboard.model import IncreaseScore\n"
        "class Smaller(Leaderboard):\n    commands: ClassVar = (IncreaseScore,)\n"
    )
    ran = replaykit("replay", duplicate_names, "--model", f"{tmp_path}/smaller.py:Smaller", "--offline")

    assert 125 == ran.code, ran
    assert ran.verdict.startswith("VERDICT stale: step ")
    assert "create_player" in ran.verdict


def test_renamed_command_is_known_by_its_alias(duplicate_names: Path, tmp_path: Path):
    """A bundle survives the renaming of a command that keeps its old tag as an alias."""
    source = "".join((ROOT / "examples" / "leaderboard" / f"{name}.py").read_text() for name in ("model", "adapter"))
    source = source.replace(
        "class CreatePlayer(Command, weight=2)", 'class Register(Command, aliases=("create_player",))'
    )
    source = source.replace("CreatePlayer", "Register")
    start = source.index("from examples.leaderboard.model import")
    source = source[:start] + source[source.index(")", start) + 1 :]
    (tmp_path / "renamed.py").write_text(source)
    ran = replaykit(
        "replay", duplicate_names, "--model", f"{tmp_path}/renamed.py:Leaderboard",
        "--adapter", f"{tmp_path}/renamed.py:LeaderboardApi", "--offline",
    )  # fmt: skip

    assert 1 == ran.code, ran


def test_other_requests_than_recorded_are_stale_and_say_what_differs(duplicate_names: Path, tmp_path: Path):
    """Offline, an adapter that asks otherwise than recorded is stale, and the nearest request is named."""
    (tmp_path / "other.py").write_text(
        "from examples.leaderboard import LeaderboardApi\n"
        "from examples.leaderboard.model import CreatePlayer, PlayerCreated, PlayerRejected\n"
        "from replaykit import handles\n"
        "class Other(LeaderboardApi):\n"
        "    @handles\n"
        "    def create(self, cmd: CreatePlayer) -> PlayerCreated | PlayerRejected:\n"
        "        self.http.post('/players', json={'name': cmd.name, 'nick': 'x'})\n"
        "        return PlayerCreated(name=cmd.name)\n"
    )
    ran = replaykit("replay", duplicate_names, "--adapter", f"{tmp_path}/other.py:Other", "--offline")

    assert 125 == ran.code, ran
    assert "POST /players" in ran.verdict
    assert "nick" in ran.verdict


@pytest.mark.parametrize("asked", range(1, 6))
def test_service_killed_in_the_middle_is_never_0_or_1(asked: int, duplicate_names: Path, tmp_path: Path):
    """A service that dies at any request of a replay can't be judged: neither fixed nor reproduced.

    The bundle sends five requests; with the last of them the bug has shown itself already.
    """
    (tmp_path / "dying.py").write_text(
        textwrap.dedent(
            f"""
            import os, sys, uvicorn
            from examples.leaderboard.service import application
            inner, count = application(), 0
            async def app(scope, receive, send):
                global count
                if scope["type"] == "http" and scope["path"] != "/api/health":
                    count += 1
                    if count == {asked}:
                        os._exit(9)
                await inner(scope, receive, send)
            uvicorn.run(app, port=int(sys.argv[1]), log_level="error")
            """
        )
    )
    ran = replaykit("replay", duplicate_names, "--start", f"python {tmp_path}/dying.py {{port}}", PYTHONPATH=str(ROOT))

    assert 125 == ran.code, ran
    assert ran.verdict.startswith("VERDICT unreachable")


def test_service_that_answers_500_to_everything_is_125(duplicate_names: Path, tmp_path: Path):
    """A service that fails at everything does not have this bug, and is not free of it."""
    (tmp_path / "failing.py").write_text(
        textwrap.dedent(
            """
            import sys, uvicorn
            async def app(scope, receive, send):
                if scope["type"] == "http":
                    status = 200 if scope["path"] == "/api/health" else 500
                    await send({"type": "http.response.start", "status": status, "headers": []})
                    await send({"type": "http.response.body", "body": b"oops"})
            uvicorn.run(app, port=int(sys.argv[1]), log_level="error", lifespan="off")
            """
        )
    )
    ran = replaykit("replay", duplicate_names, "--start", f"python {tmp_path}/failing.py {{port}}")

    assert 125 == ran.code, ran


def test_hanging_service_is_125(duplicate_names: Path):
    """A service that takes requests and never answers can't be judged."""
    listener = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []
    over = threading.Event()

    def accept() -> None:
        listener.settimeout(0.1)
        while not over.is_set():
            try:
                held.append(listener.accept()[0])
            except TimeoutError:
                continue

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        ran = replaykit(
            "replay", duplicate_names, "--url", f"http://127.0.0.1:{listener.getsockname()[1]}", "--health", "none",
            "--set", "timeout=0.3",
        )  # fmt: skip
    finally:
        over.set()
        thread.join()
        listener.close()
        for connection in held:
            connection.close()

    assert 125 == ran.code, ran


def test_several_bundles_end_in_the_worst(duplicate_names: Path, tmp_path: Path):
    """Several bundles are each judged, and the last line speaks of all."""
    twin = tmp_path / "twin.pd"
    twin.write_bytes(duplicate_names.read_bytes())
    ran = replaykit("replay", duplicate_names, twin, "--start", leaderboard())

    assert 0 == ran.code
    assert "VERDICT of all: 2 fixed (exit 0)" == ran.verdict


def test_mistakes_of_usage_are_129(duplicate_names: Path):
    """Options that contradict each other are told."""
    both = replaykit("replay", duplicate_names, "--offline", "--start", leaderboard())
    none = replaykit("replay")

    assert (129, 129) == (both.code, none.code)


def test_show_imports_nothing_and_shows_all(duplicate_names: Path, tmp_path: Path):
    """A bundle is shown anywhere: failure, steps, provenance, and the command that replays it."""
    ran = replaykit("show", duplicate_names, "--verbose", cwd=tmp_path, PYTHONPATH=str(ROOT))

    assert 0 == ran.code
    for text in (
        "expectation create",
        "037acf80",
        "create_player(name='a')",
        "POST /players  201",
        "seed",
        "Replay it:",
    ):
        assert text in ran.out
    assert "examples" in ran.out


def test_show_is_not_fooled_by_terminal_escapes(duplicate_names: Path, tmp_path: Path):
    """What a service or a file says is shown, and never sent to the terminal as it is."""
    from replaykit.reader import read
    from replaykit.writer import save

    known = read(duplicate_names)
    evil = known.failure.replace(message="\x1b]0;owned\x07 \u202egnp.exe")
    path = tmp_path / "evil.pd"
    save(path, known.provenance, known.trace.replace(failure=evil))
    ran = replaykit("show", path)

    assert 0 == ran.code
    assert "\x1b" not in ran.out
    assert "\u202e" not in ran.out
    assert "owned" in ran.out


def test_replay_needs_no_examples_beside_it(duplicate_names: Path, tmp_path: Path):
    """Model and adapter named on the command line are found by their file, wherever replaykit is started."""
    done = subprocess.run(
        [sys.executable, "-m", "replaykit", "replay", duplicate_names, "--offline", *NAMES],
        cwd=tmp_path, env=environment(PYTHONPATH=str(ROOT)), capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert 1 == done.returncode, done.stderr


def test_the_recorded_model_goes_before_that_of_a_profile(tmp_path: Path):
    """A bundle is judged with what it was recorded with, whatever the profile names; the command line goes first."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.replaykit.profiles.shop]\nmodel = "stricter:Loose"\nadapter = "examples.leaderboard:LeaderboardApi"\n'
    )
    (tmp_path / "stricter.py").write_text(
        textwrap.dedent(
            """
            from examples.leaderboard import Leaderboard
            from replaykit import check

            class Loose(Leaderboard):
                pass

            class Strict(Leaderboard):
                @check
                def nobody_is_there(self) -> None:
                    assert not self.scores
            """
        )
    )
    options = {"cwd": tmp_path, "PYTHONPATH": str(ROOT)}
    found = replaykit(
        "integration", "--profile", "shop", "--model", "stricter:Strict", "--start", leaderboard(), "--runs", 3,
        "--save-failures", "failures", **options,
    )  # fmt: skip
    [bundle] = (tmp_path / "failures").glob("*.pd")
    again = replaykit("replay", bundle, "--profile", "shop", "--start", leaderboard(), **options)
    other = replaykit(
        "replay", bundle, "--profile", "shop", "--model", "stricter:Loose", "--start", leaderboard(), **options
    )

    assert 1 == found.code, found
    assert 1 == again.code, again
    assert 125 == other.code, other


def test_a_bug_that_showed_too_seldom_is_not_called_fixed(duplicate_names: Path, tmp_path: Path):
    """Of one that showed in 1 of 30 runs, a hundred attempts say too little; with --times, the user takes the word."""
    bundle = read(duplicate_names)
    shrinking = bundle.provenance.shrinking.replace(runs=30, failed=1, confirmed=False)
    rare = tmp_path / "rare.pd"
    save(rare, bundle.provenance.replace(shrinking=shrinking), bundle.trace)
    unsure = replaykit("replay", rare, "--start", leaderboard())
    sure = replaykit("replay", rare, "--start", leaderboard(), "--times", 2)

    assert 125 == unsure.code, unsure
    assert unsure.verdict.startswith("VERDICT undecided: it did not show, but it showed in 1 of 30 runs")
    assert "--times " in unsure.verdict
    assert 0 == sure.code, sure
