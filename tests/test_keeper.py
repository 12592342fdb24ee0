"""The keeper: what a campaign saves beside what was saved before."""

import sys
from pathlib import Path

from conftest import leaderboard

from examples.leaderboard import Leaderboard, LeaderboardApi
from replaykit import integration
from replaykit.culprit import blamed
from replaykit.keeper import place_for, places
from replaykit.reader import read
from replaykit.report import terminal
from replaykit.shrink import Budget
from replaykit.status import change

CAP, STALE = "score-cap", "stale-list"  # they break the same check with the same command


def found(bug: str, folder: Path, *, shrinks: bool = True) -> str:
    """Find a bug, and return what is said of where it is saved."""
    result = integration.run(
        model=Leaderboard, adapter=LeaderboardApi, start=f"{sys.executable}{leaderboard(bug)[len('python') :]}", seed=0,
        stop_on_fail=True, save_failures=folder, budget=Budget() if shrinks else Budget(executions=0),
    )  # fmt: skip
    assert 1 == len(result.failures)
    return next(line.strip() for line in terminal.render(result).splitlines() if "saved" in line)


def test_another_bug_with_the_same_fingerprint_is_saved_beside(tmp_path: Path):
    """A bundle that was shrunk stays as it is; what has its fingerprint and other commands gets a name of its own."""
    assert found(CAP, tmp_path).endswith("board_matches-f1e38173.pd")
    first = (tmp_path / "board_matches-f1e38173.pd").read_bytes()
    said = found(STALE, tmp_path)

    assert first == (tmp_path / "board_matches-f1e38173.pd").read_bytes()
    assert "board_matches-2-f1e38173.pd, beside an earlier bundle" in said
    assert "f1e38173" == read(tmp_path / "board_matches-2-f1e38173.pd").failure.fingerprint
    again = found(STALE, tmp_path)
    assert "saved before, with the same commands" in again
    assert ["board_matches-2-f1e38173.pd", "board_matches-f1e38173.pd"] == sorted(
        each.name for each in tmp_path.glob("*.pd")
    )


def test_what_was_not_shrunk_makes_room_unless_somebody_knows_of_it(tmp_path: Path):
    """A bundle that no status names, and that was not shrunk to its end, is replaced by the next one."""
    found(CAP, tmp_path, shrinks=False)
    [bundle] = tmp_path.glob("*.pd")
    failure = read(bundle).failure
    free = place_for(failure, tmp_path)
    change(tmp_path, [bundle.name], "fixed")

    assert bundle == free
    assert bundle.with_name("board_matches-2-f1e38173.pd") == place_for(failure, tmp_path)
    (tmp_path / "status.toml").write_text("[")
    assert next(iter(places(failure, tmp_path))) != place_for(failure, tmp_path)


def test_what_says_who_brought_its_bug_is_not_replaced(tmp_path: Path):
    """A bundle with a culprit stays as it is, also where it was not shrunk: what is found may be another bug."""
    found(CAP, tmp_path, shrinks=False)
    [bundle] = tmp_path.glob("*.pd")
    blamed(bundle, "1a2b3c 2026-03-01 a: Cap the scores")
    before = bundle.read_bytes()
    said = found(STALE, tmp_path, shrinks=False)

    assert "board_matches-2-f1e38173.pd" in said
    assert before == bundle.read_bytes()
    assert read(tmp_path / "board_matches-2-f1e38173.pd").origin.culprit is None
