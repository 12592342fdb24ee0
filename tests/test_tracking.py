"""Tracking: what is said of a bisect while it goes on, line by line, and what is drawn on a terminal."""

import io
import re
import threading
import time

import pyte
import pytest
from blames import at, found, point

from replaykit.cli import tracking as module
from replaykit.cli.tracking import Tracking, sheet_for


def begun(seconds: float = 4.0, *, quiet: bool = False) -> Tracking:
    """Begin to tell of a bisect that began some seconds ago, without a heartbeat."""
    made = Tracking(quiet=quiet)
    made._ticker = module.Ticker(3600, lambda: None)
    made.began("end", point(1024), 0)
    made._began -= seconds
    return made


def test_the_plan_comes_first(capsys: pytest.CaptureFixture[str]):
    """How many commits, about how many steps; and how long, once one was tried."""
    made = begun()
    made.planned(1024, 10.0)
    made.tried("end", at(1024, "bad", shown=4), 1024, 10.0)
    made.planned(1024, 10.0)
    made.planned(1, 0.0)
    made.planned(1, 0.2)
    lines = capsys.readouterr().err.splitlines()

    assert "the ends:" == lines[0]
    assert "1,024 commits, about 10 steps" == lines[1]
    assert "1,024 commits, about 10 steps, some 40 s if each takes as long as the first" == lines[3]
    assert "1 commit, no step" == lines[4]
    assert lines[5].startswith("1 commit, about 1 step, some ")


def test_each_point_is_a_line(capsys: pytest.CaptureFixture[str]):
    """State, name, how often the bug showed, how long it took, the subject, what is left."""
    made = begun(1.2)
    made.tried("search", at(511, "bad", shown=4), 127, 7.0)
    made.tried("search", at(200, "skipped", reason="make exited with 2", seconds=12.0), 126, 7.0)
    made.tried("search", at(201, "good", held=3, cached=True), 60, 6.0)
    made.noted("Nothing more is known.")
    made.began("check", point(200), 0)
    made.tried("confirm", at(202, "good", held=3), 1, 0.0)
    _, bad, skipped, known, note, check, last = capsys.readouterr().err.splitlines()

    assert re.fullmatch(
        rf"  bad   {point(511).name}  4 of 4     1\.3 s  Say the balance in cents  "
        r"\(127 left, about 7 steps, 8\.\d s\)",
        bad,
    )
    assert f"  skip  {point(200).name}  -           12 s  [unbuildable: make exited with 2] Change 200  (126" in skipped
    assert f"  good  {point(201).name}  0 of 3     known  Change 201  (60 left, about 6 steps, " in known
    assert ("Nothing more is known.", "is the machine well?") == (note, check)
    assert last.endswith("  Change 202  (1 left)")


def test_hostile_subjects_are_made_harmless(capsys: pytest.CaptureFixture[str]):
    """A subject is cut, stays in its line, and is not obeyed."""
    begun().tried("search", at(511, "bad", shown=4, point=point(511, subject="\x1b[31m\r\n::error::" * 90)), 127, 7.0)
    lines = capsys.readouterr().err.splitlines()

    assert 2 == len(lines)
    assert "\\x1b[31m\\r\\n::error::" in lines[1]
    assert lines[1].endswith(")")
    assert len(lines[1]) <= module.WIDE


def test_each_lane_has_a_live_line():
    """What is done now and for how long, lane by lane, and below it what is left; a lane that is done has none."""
    made = begun(quiet=True)
    made.began("search", point(511), 1)
    made.doing(0, "build")
    made.doing(1, "attempt 3 of 7")
    made.doing(7, "nobody knows this lane")
    made._lanes[0].began -= 75
    made._left = (127, 7.0)
    both = [text for text, _ in made.lines(80, 24)]
    made.tried("search", at(511, "bad", shown=7), 63, 6.0)
    one = [text for text, _ in made.lines(40, 24)]

    assert f"  build            {point(1024).name}  1 min 15 s  Answer faster" == both[0]
    assert f"  attempt 3 of 7   {point(511).name}   0.0 s  Say the balance in cents" == both[1]
    assert "  0 commits tried, 127 left, about 7 steps  after 4.0 s" == both[2]
    assert 2 == len(one)
    assert one[1].startswith("  1 commit tried, 63 left, about 6 st")
    assert all(len(each) <= 40 for each in one)


def test_commits_are_counted_as_the_report_counts_them():
    """A commit that is tried once more is one commit; those inside of a merge, and the known ones, are told apart."""
    made = begun(quiet=True)
    for each in (at(0, "good", held=3), at(7, "bad", shown=1, cached=True), at(6, "good", held=3)):
        made.tried("search", each, 4, 2.0)
    inside = at(3, "bad", shown=1).replace(place=6)
    for each in (inside, inside, at(6, "good", held=9)):
        made.tried("confirm", each, 1, 0.0)

    assert (
        "  3 commits tried, 1 inside of a merge, 1 of them known before, 1 left  after 4.0 s"
        == made.lines(120, 9)[1][0]
    )


def test_a_version_is_installed():
    """What is a checkout of a commit is an install of a version."""
    made = Tracking(quiet=True, noun="version")
    made.began("search", point(511), 0)
    made.doing(0, "checkout")

    assert made.lines(80, 24)[0][0].startswith("  install ")


def test_without_a_terminal_no_line_is_wider_than_others(capsys: pytest.CaptureFixture[str]):
    """Sentences are wrapped, but for paths, and the heartbeat of many lanes is cut before it says how far it is."""
    made, path = begun(), "/" + "long/" * 40
    for lane in range(20):
        made.began("search", point(lane), lane)
    made.noted(f"warning: {'a word ' * 30}{path}")
    made._beat()
    lines = capsys.readouterr().err.splitlines()

    assert path in lines
    assert {True} == {len(each) <= module.WIDE for each in lines if each != path}
    assert lines[-1].startswith("begins ")
    assert "; 0 commits tried  after 4.0 s" in lines[-1]


def test_live_lines_fit_a_small_terminal():
    """Of many lanes, those that have no room are counted."""
    made = begun(quiet=True)
    for lane in range(20):
        made.began("search", point(lane), lane)
    said = [text for text, _ in made.lines(80, 6)]

    assert 5 == len(said)
    assert "  and 17 more" == said[3]


def test_where_there_is_no_terminal_it_says_now_and_then_that_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """The heartbeat says what each lane does, and ends with the bisect."""
    monkeypatch.setattr(module, "HEARTBEAT", 0.02)
    threads = threading.active_count()
    with Tracking(quiet=False) as made:
        made.began("search", point(511), 0)
        made.doing(0, "build")
        deadline, said = time.monotonic() + 10, ""
        while "build" not in said and time.monotonic() < deadline:
            time.sleep(0.02)
            said += capsys.readouterr().err
        made.ended(found())
        after = threading.active_count()

    assert re.search(rf"(?m)^build {point(511).name} for 0\.\d s; 0 commits tried  after 0\.\d s$", said)
    assert threads == after


def test_quiet_says_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Neither the plan, nor a line, nor a heartbeat."""
    monkeypatch.setattr(module, "HEARTBEAT", 0.01)
    with Tracking(quiet=True) as made:
        made.planned(1024, 10.0)
        made.began("search", point(511), 0)
        made.tried("search", at(511, "bad", shown=4), 127, 7.0)
        made.noted("a word")
        time.sleep(0.05)

    assert ("", "") == capsys.readouterr()


def test_lanes_and_the_screen_do_not_wait_for_each_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Several lanes tell at once while lines are drawn: all end, each line is whole, and the live ones are gone."""
    monkeypatch.setattr(module, "is_live", lambda: True)
    monkeypatch.setattr("replaykit.cli.screen.FRAME", 0.001)
    monkeypatch.setenv("COLUMNS", "100")
    made = Tracking(quiet=False)

    def work(lane: int) -> None:
        for number in range(60):
            place = 100 * lane + number
            made.began("search", point(place), lane)
            made.doing(lane, "build")
            made.tried("search", at(place, "bad", shown=1), number, 1.0)

    threads = [threading.Thread(target=work, args=(lane,), daemon=True) for lane in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)
    stuck = [each.name for each in threads if each.is_alive()]

    assert [] == stuck
    made.stop()
    screen = pyte.HistoryScreen(100, 24, history=1000, ratio=0.5)
    pyte.Stream(screen).feed(capsys.readouterr().err.replace("\n", "\r\n"))
    rows = [*screen.history.top, *(screen.buffer[row] for row in range(24))]
    seen = [text for row in rows if (text := "".join(row[column].data for column in range(100)).rstrip())]
    names = [point(100 * lane + number).name for lane in range(4) for number in range(60)]

    assert "search:" == seen[0]
    assert sorted(names) == sorted(line.split()[1] for line in seen[1:] if line.startswith("  bad   "))
    assert 1 + len(names) == len(seen)


def test_what_was_said_last_is_not_lost(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """A line that was not yet drawn when the bisect ends is printed all the same."""
    monkeypatch.setattr(module, "is_live", lambda: True)
    monkeypatch.setattr("replaykit.cli.screen.FRAME", 3600)
    with Tracking(quiet=False) as made:
        made.began("search", point(511), 0)
        made.tried("search", at(511, "bad", shown=4), 127, 7.0)

    assert f"  bad   {point(511).name}  4 of 4 " in capsys.readouterr().err


def test_a_sheet_is_as_wide_as_its_terminal_and_in_its_characters():
    """Without a terminal it has 80 columns; a stream that says only ASCII is given ASCII."""
    ascii_, utf8 = (io.TextIOWrapper(io.BytesIO(), encoding=each) for each in ("ascii", "utf-8"))

    assert (80, True) == (sheet_for(ascii_).width, sheet_for(ascii_).is_ascii)
    assert (120, False) == (sheet_for(utf8, 120).width, sheet_for(utf8).is_ascii)
    assert sheet_for(None).is_ascii
