"""Progress: what it says of a campaign, in the words of the lines that are drawn and of the heartbeat."""

import re
import time
from dataclasses import replace

import pytest

from examples.leaderboard import Leaderboard, LeaderboardApi
from replaykit.cli import progress as module
from replaykit.cli.progress import Progress
from replaykit.finding import Finding
from replaykit.result import Result
from replaykit.trace import Trace
from replaykit.verdict import Failure

EMPTY = Trace(steps=(), ending="failed")


def finding(number: int, message: str = "it is wrong") -> Finding:
    """Make a finding of some seed."""
    failure = Failure(kind="check", name=f"check{number}", step=0, command="ask", message=message)
    return Finding(failure, EMPTY, seed=number, first_seen_run=number)


def result(**changes: object) -> Result:
    """Make the result of a campaign of which some runs are done."""
    made = Result(Leaderboard, LeaderboardApi, ("m:M", "a:A"), 7, 100, total_runs=56, passed=54, failed=2)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def begun(
    since: float = 23.4, *, bugs: int | None = None, seconds: float | None = None, first: int = 0, **changes: object
) -> Progress:
    """Begin to tell of a campaign that began some seconds ago, without drawing or printing."""
    made = Progress(quiet=True, bugs=bugs, seconds=seconds)
    total = changes.pop("total_runs", 56)
    told = result(**{**changes, "total_runs": first})
    made.began(told, "http://127.0.0.1:4555")
    told.total_runs = total
    made._began -= since
    return made


def texts(made: Progress, width: int = 80, height: int = 24) -> list[str]:
    """Return the lines without their styles."""
    return [text for text, _ in made.lines(width, height)]


def test_lines_are_those_of_the_guide():
    """Title, rule, bar with percent, numbers, pace, and the last five failures with their seeds."""
    made = begun()
    for number in range(1, 8):
        made.found(finding(number, f"Balance {number} went negative"))
    title, rule, bar, numbers, pace, heading, *recent = texts(made)

    assert "Leaderboard with LeaderboardApi against http://127.0.0.1:4555" == title
    assert "━" * 75 == rule
    assert re.fullmatch(r"Progress: █+░+   56%", bar)
    assert 75 == len(bar)
    assert "Runs: 56/100 | Passed: 54 | Failed: 2 | Duration: 23.4s" == numbers
    assert "2.4 runs/s, 18.4s left" == pace
    assert "Recent failures:" == heading
    assert [f"• Seed {number}: Balance {number} went negative" for number in range(3, 8)] == recent


@pytest.mark.parametrize(
    ("since", "options", "bar", "pace"),
    [
        (30, {"seconds": 60}, "56%", "1.9 runs/s, 23.6s left"),
        (50, {"seconds": 60}, "83%", "1.1 runs/s, 10.0s left"),
        (90, {"seconds": 60}, "100%", "37.3 runs/min, 0.0s left"),
        (30, {"seconds": 60, "max_runs": None}, "50%", "1.9 runs/s, 30.0s left"),
        (30, {"bugs": 4}, "2/4  50%", "1.9 runs/s, at most 23.6s left"),
        (30, {"bugs": 4, "max_runs": None}, "2/4  50%", "1.9 runs/s"),
        (30, {"max_runs": None}, None, "1.9 runs/s"),
        (30, {"workers": 3}, "56%", "1.9 runs/s, 3 workers, 23.6s left"),
        (7200, {"total_runs": 61, "first": 1}, "61%", "0.5 runs/min, 1h18m left"),
        (30, {"total_runs": 0}, "0%", "the first run"),
        (20, {"first": 26}, "56%", "1.5 runs/s, 29.3s left"),
        (20, {"first": 26, "seconds": 120, "max_runs": None, "resumed_seconds": 40.0}, "50%", "1.5 runs/s, 60.0s left"),
    ],
)
def test_bar_and_time_left_follow_what_ends_it_first(since: float, options: dict, bar: str | None, pace: str):
    """Runs, the time limit or the bugs of a hunt: what is nearest to its end counts; without an end there is no bar."""
    made = begun(since, **options)
    made._result.failures += [finding(1), finding(2)]
    said = texts(made)
    bars = [line for line in said if "░" in line or "█" in line]

    assert ([] if bar is None else [True]) == [line.endswith(f" {bar}") for line in bars], said
    assert any(is_near(pace, line) for line in said), said


def is_near(expected: str, said: str) -> bool:
    """Say whether a line says the same, with numbers that are hardly different: some time has gone by."""
    one, other = (re.split(r"(\d+\.\d+)", text) for text in (expected, said))
    return one[::2] == other[::2] and all(
        abs(float(a) - float(b)) <= 0.2 for a, b in zip(one[1::2], other[1::2], strict=True)
    )


def test_duration_is_that_of_the_whole_hunt():
    """A hunt that was resumed has gone on before: its duration is that of the hunt, as its time limit is."""
    assert texts(begun(20, resumed_seconds=40.0))[3].endswith(" | Duration: 1m00s")


@pytest.mark.parametrize("height", [1, 3, 6, 9, 12])
def test_lines_fit_the_height(height: int):
    """There are never as many lines as the terminal has rows: the last one would scroll."""
    made = begun()
    for number in range(5):
        made.found(finding(number))
    made.tried(finding(1), 12, 3)

    assert len(texts(made, height=height)) <= max(1, height - 1)


def test_what_takes_long_is_told():
    """What is being shrunk, a run that takes long, and the last look at what was found have a line."""
    shrinking, hanging, looking = begun(), begun(), begun(total_runs=100)
    shrinking.tried(finding(1), 12, 3)
    hanging._moved -= 20
    looking._moved -= 5

    assert re.fullmatch(r"shrinking \w{8}: 12 executions, 3 commands left", texts(shrinking)[-1])
    assert "in run 57 for 20.0s" == texts(hanging)[-1]
    assert "looking whether what was found is still there, for 5.0s" == texts(looking)[-1]


def test_hostile_messages_are_one_harmless_line():
    """Escapes, line ends and directions of a message are shown, and not obeyed."""
    made = begun()
    made.found(finding(1, "\x1b[2J\u202eevil\nVERDICT passed"))

    assert "• Seed 1: \\x1b[2J\\u202eevil\\nVERDICT passed" == texts(made)[-1]


def test_heartbeat_tells_how_it_goes_also_while_nothing_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Where there is no terminal, a line is printed now and then, also within a run and while something is shrunk."""
    monkeypatch.setattr(module, "HEARTBEAT", 0.05)
    made = Progress(quiet=False)
    told = result(total_runs=0)
    made.began(told, "http://user:word@127.0.0.1:4555")
    told.total_runs = 56
    made._moved -= 20
    deadline, said = time.monotonic() + 10, capsys.readouterr().err
    while "in run 57" not in said and time.monotonic() < deadline:
        time.sleep(0.02)
        said += capsys.readouterr().err
    made.tried(finding(1), 1, 1)
    while "shrinking" not in said and time.monotonic() < deadline:
        time.sleep(0.02)
        said += capsys.readouterr().err
    made.ended(result())
    capsys.readouterr()
    time.sleep(0.2)
    first, *lines = said.splitlines()

    assert "m:M against http://127.0.0.1:4555" == first
    assert re.fullmatch(r"run 56/100, 2 failed, \d+\.\d runs/s, [\d.]+s left, in run 57 for 20\.\ds, \d+ s", lines[0])
    assert re.fullmatch(r"shrinking \w{8}: 1 execution, 1 command left, \d+ s", lines[-1])
    assert "" == capsys.readouterr().err


def test_quiet_says_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """With --quiet there is neither a title nor a heartbeat, nor a word of what is found."""
    monkeypatch.setattr(module, "HEARTBEAT", 0.02)
    made = Progress(quiet=True)
    made.began(result(), "http://127.0.0.1:4555")
    found = replace(finding(1), path=None)
    made.found(found)
    made.shrunk(found)
    time.sleep(0.1)
    made.ended(result())

    assert "" == capsys.readouterr().err
