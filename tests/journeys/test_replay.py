"""Replay through the command line: exit code first."""

import subprocess
import sys
import textwrap
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
    foreign = read(duplicate_names)
    path = tmp_path / "foreign.pd"
    save(path, foreign.provenance.replace(url="http://shop.example"), foreign.trace)
    ran = replaykit("replay", path, *NAMES, cwd=tmp_path)  # where no profile says where the service is

    assert 129 == ran.code
    assert "error[foreign-host]" in ran.err


def test_a_profile_of_the_model_and_the_adapter_says_where_the_service_is(
    duplicate_names: Path, tmp_path: Path, buggy: str
):
    """Where nobody names a service, it is that of the first profile that fits, as it is for the suite."""
    names = dict(zip(("model", "adapter"), NAMES[1::2], strict=True))
    profile = "".join(f'{key} = "{value}"\n' for key, value in {**names, "url": buggy}.items())
    (tmp_path / "pyproject.toml").write_text(f"[tool.replaykit.profiles.board]\n{profile}")
    ran = replaykit("replay", duplicate_names, *NAMES, cwd=tmp_path)
    elsewhere = replaykit("replay", duplicate_names, *NAMES, "--url", "http://127.0.0.1:1", cwd=tmp_path)

    assert 1 == ran.code, ran
    assert "The service is that of the profile board." in ran.err
    assert 125 == elsewhere.code
    assert "profile" not in elsewhere.err


@pytest.mark.parametrize("model", ["os:system", "json:JSONDecoder", "no.such:Model"])
def test_bundle_does_not_choose_what_is_imported(model: str, duplicate_names: Path, tmp_path: Path):
    """A model outside of the project is not imported because a bundle says so."""
    known = read(duplicate_names)
    path = tmp_path / "strange.pd"
    save(path, known.provenance.replace(model=model), known.trace)
    ran = replaykit("replay", path, "--offline")

    assert 128 == ran.code
    assert "error[load]" in ran.err


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
        "--health, --reset-url",
    ):
        assert text in ran.out
    assert "examples" in ran.out


def test_show_is_not_fooled_by_terminal_escapes(duplicate_names: Path, tmp_path: Path):
    """What a service or a file says is shown, and never sent to the terminal as it is."""
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
