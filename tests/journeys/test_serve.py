"""replaykit serve: what a bundle holds, given to a client in another language; and the guide to it."""

import base64
import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import pytest
from conftest import ROOT, environment, replaykit
from test_docs import blocks, commands_of, holds

import replaykit as house
from replaykit import portrait
from replaykit.reader import read

FAILURES = sorted((ROOT / "failures").rglob("*.pd"))
NAMES = ROOT / "failures" / "leaderboard" / "duplicate-names.pd"
CLIENT = ROOT / "tests" / "client.mjs"
NODE = shutil.which("node")


def exchanges(shown: dict[str, Any]) -> list[dict[str, Any]]:
    """List all requests and answers of what `show --json` prints, in their order."""
    steps = [each for step in shown["steps"] for each in (*step["requests"], *step["reading"])]
    return [*shown["resetting"], *steps, *shown["closing"], *shown["requests"]]


def body_of(body: dict[str, str] | None) -> bytes:
    """Return the bytes of a body."""
    if body is None:
        return b""
    return base64.b64decode(body["text"]) if body["encoding"] == "base64" else body["text"].encode()


def node(asked: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Let Node's fetch ask stub servers for what was recorded; return its answers."""
    assert NODE is not None, "node is not on PATH, and a client in another language is wanted"
    done = subprocess.run(
        [NODE, CLIENT], input=json.dumps(asked), capture_output=True, text=True, timeout=120, check=True
    )
    return json.loads(done.stdout)


def told(path: Path) -> dict[str, Any]:
    """Return what `replaykit show --json` prints of a bundle."""
    return json.loads(portrait.render(portrait.portrait(read(path), path)))


# --- each saved bug -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def heard() -> dict[Path, tuple[dict[str, Any], list[dict[str, Any]], str | None]]:
    """Serve all saved bugs, and tell of each what was recorded, what Node heard, and what it did not ask for."""
    with contextlib.ExitStack() as stack:
        stubs = {path: stack.enter_context(house.serve(path, order=order_of(path))) for path in FAILURES}
        shown = {path: told(path) for path in FAILURES}
        came = node([{"url": stubs[path].url, "shown": shown[path]} for path in FAILURES])
        unused = {path: stub.desk.unused() for path, stub in stubs.items()}
    return {path: (shown[path], answers, unused[path]) for path, answers in zip(FAILURES, came, strict=True)}


def order_of(path: Path) -> str:
    """Say in which order a bundle is asked: one with branches is shown in another one than it was sent in."""
    return "fifo" if any(step.call.branch for step in read(path).trace.steps) else "strict"


@pytest.mark.parametrize("path", FAILURES, ids=lambda path: path.stem)
def test_a_client_in_another_language_sees_the_recorded_bug(path: Path, heard: dict[Path, Any]):
    """Node's fetch gets each recorded answer, up to the step that fails: status, reason and body, byte for byte."""
    shown, came, unused = heard[path]
    recorded = [each["response"] for each in exchanges(shown)]
    expected = [(each["status"], each["reason"], body_of(each["body"])) for each in recorded]
    [failing] = [step for step in shown["steps"] if step["fails"]] or [shown["steps"][-1]]

    assert expected == [(each["status"], each["reason"], base64.b64decode(each["body"])) for each in came]
    assert failing["requests"]
    assert unused is None


def test_there_are_saved_bugs_of_all_examples():
    """What is served is the corpus, of which nothing is left out."""
    assert {"leaderboard", "toybank", "travelbooking"} == {path.parent.name for path in FAILURES}


# --- the command --------------------------------------------------------------------------------


class Served:
    """The command, serving; in `with`."""

    def __init__(self, *words: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "replaykit", "serve", *map(str, words)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment(),
        )  # fmt: skip
        assert self.process.stdout is not None
        self.first = self.process.stdout.readline().strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def ended(self, number: int | None = None) -> tuple[int, str, str]:
        """Wait for its end, after a signal or without one; return its exit code and what it printed."""
        if number is not None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out.strip(), err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_serves_until_it_is_stopped(number: int, code: int):
    """Its first line is its URL, where it answers; at the end it says what was not asked for."""
    with Served(NAMES) as served:
        [came] = node([{"url": served.first, "shown": {**told(NAMES), "steps": told(NAMES)["steps"][:1]}}])
        ended, out, err = served.ended(number)

    assert [200, 201, 200] == [each["status"] for each in came]
    assert code == ended
    assert f"VERDICT interrupted: stopped on request (exit {code})" == out
    assert "1 of 4 recorded requests were never asked for, the first of them number 4 (step 19), POST /players." in err


def test_with_once_it_ends_when_all_was_asked_for():
    """When the last answer was sent, it ends with 0."""
    with Served(NAMES, "--once") as served:
        [came] = node([{"url": served.first, "shown": told(NAMES)}])
        code, out, _ = served.ended()

    assert [200, 201, 200, 201] == [each["status"] for each in came]
    assert 0 == code
    assert "VERDICT served: all 4 recorded requests were asked for (exit 0)" == out


def test_with_all_used_what_was_left_is_not_judged():
    """A client that did not ask for everything makes it exit with 125, and the first thing left is named."""
    with Served(NAMES, "--all-used") as served:
        code, out, _ = served.ended(signal.SIGTERM)

    assert 125 == code
    assert "VERDICT unused: " in out
    assert "the first of them number 2 (step 6), POST /players" in out


def test_a_request_without_an_answer_is_explained():
    """It gets a status of its own, the nearest recorded request, and the reason; so does standard error."""
    shown = told(NAMES)
    wrong = exchanges(shown)[1]
    wrong["request"]["body"]["text"] = '{"name": "b"}'
    with Served(NAMES, "--all-used") as served:
        [[came]] = node([{"url": served.first, "shown": {**shown, "resetting": [], "steps": [], "requests": [wrong]}}])
        code, out, err = served.ended(signal.SIGINT)
    said = json.loads(base64.b64decode(came["body"]))["why"]

    assert (478, "Not Recorded") == (came["status"], came["reason"])
    assert "number 2 (step 6) is POST /players; the body differs at $.name: 'a' -> 'b'" in said
    assert f"missed: POST /players: {said}" in err
    assert 125 == code
    assert "VERDICT miss: 1 request was not answered" in out


def test_with_json_it_prints_a_line_at_each_end():
    """Standard output has its stand when it listens, and when it ends, and nothing else."""
    with Served(NAMES, "--json") as served:
        began = json.loads(served.first)
        node([{"url": began["url"], "shown": told(NAMES)}])
        code, out, err = served.ended(signal.SIGTERM)
    ended = json.loads(out)

    assert 143 == code
    assert [(0, None), (4, {"scores": {"a": 0}})] == [(each["played"], each["state"]) for each in (began, ended)]
    assert "VERDICT interrupted" in err


def test_a_port_that_is_taken_is_told():
    """Where something else listens, it exits with 129 and says so."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = replaykit("serve", NAMES, "--port", port)

    assert 129 == ran.code
    assert f"The stub server can't listen at 127.0.0.1:{port}: Address already in use." in ran.err


def test_a_bundle_without_an_end_is_not_served(tmp_path: Path):
    """Nothing is served of a bundle that was cut: exit 128."""
    path = tmp_path / "cut.pd"
    path.write_bytes(b"".join(NAMES.read_bytes().splitlines(keepends=True)[:-3]))
    ran = replaykit("serve", path)

    assert (128, True) == (ran.code, "error[bundle-truncated]" in ran.err)


# --- the guide ----------------------------------------------------------------------------------


def test_the_guide_shows_what_is_printed(tmp_path: Path):
    """Each command of the guide prints what stands below it, whatever the numbers are."""
    (tmp_path / "failures").symlink_to(ROOT / "failures")
    for kind, block in blocks((ROOT / "docs" / "guides" / "serving.md").read_text(encoding="utf-8")):
        if kind in {"js", "python"}:
            (tmp_path / block.split("\n")[0].split()[1]).write_text(block, encoding="utf-8")
        for command in commands_of(block) if kind == "console" else ():
            done = subprocess.run(
                ["bash", "-c", command.line], cwd=tmp_path, env=environment(), stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
            )  # fmt: skip
            command.output = done.stdout
            holds(command)
