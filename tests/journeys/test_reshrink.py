"""Reshrinking through the command line: exit code first."""

import shutil
import textwrap
from pathlib import Path

import pytest
from conftest import NAMES, leaderboard, replaykit

from replaykit.reader import read
from replaykit.sequence import Sequence


@pytest.fixture(scope="module")
def as_found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a bundle of the bug duplicate-names that was not shrunk, from the run that the shrunk one is from."""
    folder = tmp_path_factory.mktemp("as_found")
    ran = replaykit(
        "integration", *NAMES, "--start", leaderboard("duplicate-names"), "--runs", "100", "--seed", "1",
        "--stop-on-fail", "--no-shrink", "--save-failures", folder,
    )  # fmt: skip
    assert ran.code == 1, ran
    [bundle] = folder.glob("*.pd")
    return bundle


@pytest.fixture
def long(as_found: Path, tmp_path: Path) -> Path:
    """Give a copy of it."""
    return Path(shutil.copy(as_found, tmp_path / "long.pd"))


def sequence_of(path: Path) -> Sequence:
    return read(path).trace.sequence


def test_what_was_saved_as_found_becomes_what_it_would_have_been_shrunk_to(long: Path, duplicate_names: Path):
    """A bundle that was saved with --no-shrink ends with the commands of the one that was shrunk at once."""
    before = len(sequence_of(long))
    ran = replaykit("reshrink", long, "--start", leaderboard("duplicate-names"))

    assert 0 == ran.code, ran
    assert f"VERDICT simpler: {before} commands became 2 (exit 0)" == ran.verdict
    assert sequence_of(duplicate_names) == sequence_of(long)
    assert 1 == replaykit("replay", long, "--offline").code


def test_what_was_shrunk_stays_as_it_is(duplicate_names: Path, tmp_path: Path):
    """A bundle that can't be simpler is the same file afterwards, byte for byte."""
    bundle = Path(shutil.copy(duplicate_names, tmp_path / "small.pd"))
    ran = replaykit("reshrink", bundle, "--start", leaderboard("duplicate-names"))

    assert 0 == ran.code, ran
    assert ran.verdict.startswith("VERDICT unchanged: nothing simpler was found")
    assert duplicate_names.read_bytes() == bundle.read_bytes()
    assert [bundle] == list(tmp_path.iterdir())


def test_a_bug_that_was_mended_is_125(long: Path, as_found: Path):
    """On a service without the bug nothing can be said of shorter sequences, and the file stays as it is."""
    ran = replaykit("reshrink", long, "--start", leaderboard())

    assert 125 == ran.code, ran
    assert ran.verdict.startswith("VERDICT not reproduced: it failed as recorded in none of 16 runs")
    assert as_found.read_bytes() == long.read_bytes()


def test_a_service_that_is_not_there_is_125(long: Path):
    """A URL where nothing listens can't be asked."""
    ran = replaykit("reshrink", long, "--url", "http://127.0.0.1:9", "--health-timeout", "0.2")

    assert 125 == ran.code
    assert ran.verdict.startswith("VERDICT unreachable")


def test_a_bad_bundle_is_128_and_wrong_usage_129(long: Path, tmp_path: Path):
    """What can't be read exits with 128, what was said wrongly with 129, and nothing is started."""
    (tmp_path / "bad.pd").write_bytes(long.read_bytes()[:-40])
    bad = replaykit("reshrink", tmp_path / "bad.pd", "--start", leaderboard("duplicate-names"))
    missing = replaykit("reshrink", tmp_path / "none.pd", "--start", leaderboard("duplicate-names"))
    wrong = [
        replaykit("reshrink", long, *options)
        for options in (["--shrink-time", "0"], ["--shrink-executions", "0"], ["--no-shrink"], ["--set", "colour=red"])
    ]
    nowhere = replaykit("reshrink", long, "--start", leaderboard("duplicate-names"), "--output", tmp_path / "no" / "x")

    assert (128, 129, 129) == (bad.code, missing.code, nowhere.code)
    assert [129] * 4 == [each.code for each in wrong]


def test_the_result_goes_to_the_output(long: Path, as_found: Path, tmp_path: Path):
    """With --output another file is written, and the bundle stays as it is."""
    ran = replaykit(
        "reshrink", long, "--start", leaderboard("duplicate-names"), "--output", tmp_path / "small.pd"
    )  # fmt: skip

    assert 0 == ran.code, ran
    assert 2 == len(sequence_of(tmp_path / "small.pd"))
    assert as_found.read_bytes() == long.read_bytes()


def test_other_failures_are_told_and_saved(tmp_path: Path):
    """A failure that only candidates show is told, and saved in the folder that is named."""
    found = replaykit(
        "integration", *NAMES, "--start", leaderboard("lost-increase"), "--seed", "1", "--stop-on-fail",
        "--save-failures", tmp_path,
    )  # fmt: skip
    [bundle] = tmp_path.glob("*.pd")
    ran = replaykit(
        "reshrink", bundle, "--start", leaderboard("lost-increase", "duplicate-names"),
        "--save-failures", tmp_path / "others",
    )  # fmt: skip
    [other] = (tmp_path / "others").glob("*.pd")

    assert (1, 0) == (found.code, ran.code), ran
    assert "met on the way: expectation create" in ran.out
    assert f"saved as {other}" in ran.out
    assert "create" == read(other).failure.name


STOPPING = textwrap.dedent(
    """
    import os, signal
    from examples.leaderboard import LeaderboardApi

    class Stopping(LeaderboardApi):
        stop_in_run: int = 6
        signal_number: int = signal.SIGINT
        count = 0

        def reset(self) -> None:
            super().reset()
            Stopping.count += 1
            if Stopping.count == self.stop_in_run:
                os.kill(os.getpid(), self.signal_number)
    """
)


@pytest.mark.parametrize(("number", "code"), [(2, 130), (15, 143)])
def test_an_interrupted_search_keeps_the_best(number: int, code: int, long: Path, tmp_path: Path):
    """After Ctrl-C or TERM in the middle of the search, the file holds the simplest sequence found until then."""
    (tmp_path / "stopping.py").write_text(STOPPING)
    before = len(sequence_of(long))
    ran = replaykit(
        "reshrink", long, "--start", leaderboard("duplicate-names"), "--adapter", f"{tmp_path}/stopping.py:Stopping",
        "--set", f"signal_number={number}",
    )  # fmt: skip
    shrinking = read(long).provenance.shrinking

    assert code == ran.code, ran
    assert f"VERDICT interrupted: {before} commands became {len(sequence_of(long))} (exit {code})" == ran.verdict
    assert 1 == replaykit("replay", long, "--start", leaderboard("duplicate-names")).code
    assert shrinking is not None
    assert ("interrupted", True) == (shrinking.stopped, shrinking.confirmed)


def test_a_search_that_is_interrupted_at_once_changes_nothing(long: Path, as_found: Path, tmp_path: Path):
    """Before anything was found there is nothing to keep."""
    (tmp_path / "stopping.py").write_text(STOPPING)
    ran = replaykit(
        "reshrink", long, "--start", leaderboard("duplicate-names"), "--adapter", f"{tmp_path}/stopping.py:Stopping",
        "--set", "stop_in_run=1",
    )  # fmt: skip

    assert 130 == ran.code, ran
    assert as_found.read_bytes() == long.read_bytes()
