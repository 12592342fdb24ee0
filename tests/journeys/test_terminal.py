"""Progress on a terminal: what a person sees while it goes on, and what is left of it; exit code first."""

import io
import os
import pty
import re
import signal
import sys
import time
from pathlib import Path

import pytest
from conftest import NAMES, ROOT, leaderboard, processes, replaykit
from terminal import CTRL_C, Terminal

from replaykit.cli import console
from replaykit.reader import read

SLOW = """
import time
from examples.leaderboard import Leaderboard, LeaderboardApi

class Slow(LeaderboardApi):
    def reset(self):
        time.sleep(SECONDS)
        print("reset")
        super().reset()
"""
HOSTILE = r"""
from typing import ClassVar
from replaykit import Command, Event, Model, check, expects, fail, on
import time

class Ask(Command):
    pass

class Told(Event):
    pass

class Hostile(Model):
    commands: ClassVar = (Ask,)
    asked: int = 0

    @expects
    def ask(self, cmd: Ask) -> Told:
        return Told()

    @on
    def told(self, event: Told) -> None:
        self.asked += 1
        time.sleep(0.005)

    @check
    def is_kind(self) -> None:
        if self.asked == 3:
            fail("\x1b[2J\x1b]0;title\x07\u202eevil\nline two " + "\u4e16\u754c" * 60)
"""


@pytest.fixture
def slow(tmp_path: Path) -> dict[str, object]:
    """Give an adapter whose resets take some time, and print."""
    (tmp_path / "slow.py").write_text(SLOW.replace("SECONDS", "0.02"))
    return {"cwd": tmp_path, "PYTHONPATH": f"{ROOT}"}


def words(bug: str) -> list[str]:
    """Write the command line of a campaign with the slow adapter."""
    return ["integration", *NAMES[:2], "--adapter", "slow.py:Slow", "--start", leaderboard(bug), "--seed", "1"]


def test_live_lines_tell_how_it_goes_and_only_the_last_numbers_stay(slow, tmp_path: Path):
    """Title, bar, numbers, rate and failures are seen while it goes on; afterwards the results, and the cursor."""
    with Terminal(*words("duplicate-names"), "--runs", "40", "--save-failures", tmp_path, **slow) as terminal:
        terminal.see(lambda: "Recent failures:" in terminal.text and "runs/s" in terminal.text)
        terminal.see(lambda: re.search(r"[2-9]\d%", "".join(terminal.lines)) is not None)
        seen = terminal.lines
        code = terminal.end()

    assert 1 == code, terminal.text
    assert "Leaderboard with Slow against http://127.0.0.1:" in "\n".join(seen)
    assert [line for line in seen if re.fullmatch("━{75}", line)]
    assert [line for line in seen if re.fullmatch(r"Progress: █+░+ +\d+%", line) and len(line) == 75]
    assert [line for line in seen if re.fullmatch(r"Runs: \d+/40 \| Passed: \d+ \| Failed: \d+ \| Duration: .*s", line)]
    assert [line for line in seen if re.fullmatch(r"\d+\.\d runs/s, [\d.]+s left", line)]
    assert 1 == len([line for line in seen if re.match(r"• Seed \d+: expected PlayerRejected", line)])
    assert "Progress:" not in terminal.text
    assert "Recent failures:" not in terminal.text
    assert 1 == terminal.text.count("Runs: 40/40 | Passed: ")
    assert "reset" in terminal.text.splitlines()
    assert "VERDICT failed" in terminal.text
    assert not terminal.screen.cursor.hidden


def test_resumed_hunt_says_so_before_the_live_lines(slow, tmp_path: Path):
    """That a hunt goes on stands in a line of its own, above the live lines, and is there afterwards."""
    line = [*words("duplicate-names"), "--hunt", "9", "--no-shrink", "--save-failures", tmp_path / "bugs"]
    first = replaykit(*line, "--runs", "2", "--quiet", **slow)
    with Terminal(*line, "--runs", "4", "--resume", **slow) as terminal:
        code = terminal.end()

    assert (first.code, code) == (1, 1), terminal.text
    assert [text for text in terminal.text.splitlines() if re.match("The hunt goes on after 2 runs, with . bug", text)]
    assert "Leaderboard with Slow against" not in terminal.text


def test_ctrl_c_in_the_middle_of_shrinking_keeps_the_best_so_far(slow, tmp_path: Path):
    """Ctrl-C while a failure is shrunk exits with 130; the bundle is whole, and what was found is shown."""
    (tmp_path / "slow.py").write_text(SLOW.replace("SECONDS", "0.15"))
    line = [*words("lost-increase"), "--runs", "5000", "--save-failures", tmp_path / "failures"]
    with Terminal(*line, **slow) as terminal:
        terminal.see(lambda: re.search(r"shrinking \w{8}: [2-9] executions", terminal.text) is not None)
        terminal.type(CTRL_C)
        code = terminal.end()
    [path] = (tmp_path / "failures").iterdir()

    assert 130 == code, terminal.text
    assert read(path).whole
    assert re.search(r"shrunk from \d+ to \d+ commands? in \d+ executions", terminal.text.replace("\n", ""))
    assert "shrinking was ended early: interrupted" in terminal.text
    assert "VERDICT interrupted: after " in terminal.text
    assert not terminal.screen.cursor.hidden


def test_second_ctrl_c_ends_at_once(tmp_path: Path):
    """One Ctrl-C waits for a service that does not want to stop, a second one does not; nothing is left running."""
    mark = f"{tmp_path}"
    program = leaderboard().replace("{port}", "$0")
    stubborn = f"sh -c 'trap \"\" TERM; {program}; sleep 60 # {mark}' {{port}}"
    line = ["integration", *NAMES, "--start", stubborn, "--runs", "100000"]
    with Terminal(*line) as terminal:
        terminal.see(lambda: "Progress:" in terminal.text)
        terminal.type(CTRL_C)
        time.sleep(0.1)  # else the kernel makes one signal of both
        terminal.kill(signal.SIGINT)  # a wrapper passes on what the terminal sent to all: it is taken for the first
        terminal.see(lambda: "Ctrl-C again ends at once" in terminal.text)
        time.sleep(0.7)
        goes_on = terminal.is_running
        began = time.monotonic()
        terminal.type(CTRL_C)
        code = terminal.end()
        took = time.monotonic() - began
    deadline = time.monotonic() + 15
    while processes(mark) and time.monotonic() < deadline:
        time.sleep(0.1)

    assert 130 == code, terminal.text
    assert goes_on
    assert took < 2
    assert "VERDICT" not in terminal.text
    assert [] == processes(mark)
    assert not terminal.screen.cursor.hidden


def test_term_is_143_and_leaves_the_cursor(tmp_path: Path):
    """TERM ends a campaign on a terminal with 143, in good order."""
    with Terminal("integration", *NAMES, "--start", leaderboard(), "--runs", "100000") as terminal:
        terminal.see(lambda: "Progress:" in terminal.text)
        terminal.kill(signal.SIGTERM)
        code = terminal.end()

    assert 143 == code, terminal.text
    assert "VERDICT interrupted" in terminal.text
    assert not terminal.screen.cursor.hidden


def test_hostile_text_narrow_terminals_and_resizes_do_no_harm(tmp_path: Path):
    """A message with escapes, line ends and wide characters stays one line, on terminals of any size."""
    (tmp_path / "hostile.py").write_text(HOSTILE)
    line = ["integration", "--model", "hostile.py:Hostile", "--mock", "--runs", "100000", "--no-shrink"]
    with Terminal(*line, columns=33, rows=11, cwd=tmp_path, PYTHONPATH=f"{ROOT}") as terminal:
        terminal.see(lambda: "• Seed" in terminal.text)
        narrow = terminal.lines
        terminal.resize(60, 20)
        terminal.see(lambda: [each for each in terminal.lines if re.fullmatch("━{59}", each)] != [])
        wide = terminal.lines
        terminal.resize(12, 3)
        terminal.see(lambda: [each for each in terminal.lines if re.fullmatch("━{11}", each)] != [])
        terminal.type(CTRL_C)
        code = terminal.end()

    assert 130 == code, terminal.text
    assert b"\x1b[2J" not in terminal.written
    assert b"\x1b]0;" not in terminal.written
    assert "\u202e".encode() not in terminal.written
    assert [] == [each for each in narrow if each.startswith("line two")]
    assert [True] == [each.endswith("…") for each in wide if each.startswith("• Seed")]
    assert not terminal.screen.cursor.hidden


@pytest.mark.parametrize(
    ("variables", "more"), [({"CI": "true"}, []), ({"TERM": "dumb"}, []), ({}, ["--quiet"]), ({"NO_COLOR": "1"}, [])]
)
def test_where_nothing_is_drawn_and_where_nothing_is_coloured(variables: dict[str, str], more: list[str]):
    """With CI, TERM=dumb or --quiet no line is drawn again; with NO_COLOR it is, and nothing is coloured."""
    mock = ["integration", *NAMES[:2], "--mock", "--runs", "200", "--seed", "1"]
    with Terminal(*mock, *more, **variables) as terminal:
        code = terminal.end()

    assert 0 == code, terminal.text
    assert ("NO_COLOR" in variables) == (b"Progress:" in terminal.written)
    assert ("NO_COLOR" in variables) == (b"\x1b[?25l" in terminal.written)
    assert re.search(rb"\x1b\[[0-9;]*3[0-9][0-9;]*m", terminal.written) is None or set(variables) == {"CI"} or more


def test_reshrink_shows_how_it_goes_on_and_leaves_nothing(duplicate_names: Path, tmp_path: Path):
    """The live lines of a reshrink name the bundle, and are gone when it is over."""
    (tmp_path / "bug.pd").write_bytes(duplicate_names.read_bytes())
    line = ["reshrink", tmp_path / "bug.pd", "--start", leaderboard("duplicate-names")]
    with Terminal(*line, columns=200) as terminal:
        code = terminal.end()

    assert 0 == code, terminal.text
    assert "━━━".encode() in terminal.written
    assert "━━━" not in terminal.text
    assert "VERDICT unchanged" in terminal.text
    assert not terminal.screen.cursor.hidden


# --- the one place that decides -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "live", "coloured"),
    [
        ({}, True, True),
        ({"CI": "true"}, False, True),
        ({"CI": "false"}, True, True),
        ({"TERM": "dumb"}, False, False),
        ({"TERM": ""}, False, True),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": "", "FORCE_COLOR": ""}, True, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, False, True),
    ],
)
def test_what_the_environment_says_of_a_terminal(
    variables: dict[str, str], live: bool, coloured: bool, monkeypatch: pytest.MonkeyPatch
):
    """CI and TERM say whether lines are drawn, NO_COLOR before FORCE_COLOR before TERM whether there are colours."""
    for name, value in {"CI": "", "TERM": "xterm", "NO_COLOR": "", "FORCE_COLOR": "", **variables}.items():
        monkeypatch.setenv(name, value)
    master, other = pty.openpty()
    with os.fdopen(master, "wb"), os.fdopen(other, "w", encoding="utf-8") as stream:
        monkeypatch.setattr("sys.stderr", stream)

        assert (live, coloured) == (console.is_live(), console.has_colours(stream))


def test_what_a_file_says_and_a_terminal_that_has_no_such_signs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """In a file nothing is drawn, and only FORCE_COLOR brings colours; a terminal in ASCII is not drawn on."""
    monkeypatch.setenv("TERM", "xterm")
    for name in ("CI", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.setenv(name, "")
    master, other = pty.openpty()
    with os.fdopen(master, "wb"), os.fdopen(other, "w", encoding="ascii") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        in_ascii = console.is_live()
    with (tmp_path / "log").open("w", encoding="utf-8") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        in_file = console.is_live(), console.has_colours(stream)
        monkeypatch.setenv("FORCE_COLOR", "1")
        forced = console.is_live(), console.has_colours(stream)

    assert not in_ascii
    assert (False, False) == in_file
    assert (False, True) == forced


def test_where_only_ascii_can_be_shown_the_verdict_is_ascii(monkeypatch: pytest.MonkeyPatch):
    """A subject with other characters stands in the last line, escaped."""
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="ascii"))
    console.conclude("found", "3f2a90b1 Löse es", 0)
    sys.stdout.flush()

    assert written.getvalue() == b"VERDICT found: 3f2a90b1 L\\xf6se es (exit 0)\n"
