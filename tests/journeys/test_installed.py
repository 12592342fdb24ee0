"""A wheel of the project, installed elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, environment
from test_docs import FIXED, FOUND, OFFLINE, REPRODUCED, Story


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel, install it into an environment of its own, and give that environment's programs."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT], check=True, capture_output=True
    )
    [wheel] = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", folder / "environment"], check=True)
    programs = folder / "environment" / "bin"
    subprocess.run([programs / "python", "-m", "pip", "install", "-q", wheel], check=True, capture_output=True)
    return programs


def test_tutorial_runs_with_the_installed_wheel(elsewhere: Path, tmp_path: Path):
    """The tutorial, up to its last replay, runs the same way with the wheel as with the clone."""
    path = f"{elsewhere}{os.pathsep}{environment()['PATH']}"
    story = Story(tmp_path / "shop", replays=3, PATH=path)
    hunt = next(each for each in story.commands if "integration" in each.line and "--mock" not in each.line)
    live, offline, repaired = story.replays()

    assert [hunt.code, live.code, offline.code, repaired.code] == [FOUND, REPRODUCED, OFFLINE, FIXED], hunt.output


def test_wheel_has_its_types_and_nothing_beside_the_package(elsewhere: Path):
    """The wheel installs py.typed and one package, and no package called examples or tests."""
    code = "import replaykit, pathlib; print(pathlib.Path(replaykit.__file__).parent)"
    done = subprocess.run([elsewhere / "python", "-c", code], cwd="/", check=True, capture_output=True, text=True)
    package = Path(done.stdout.strip())

    assert package.is_relative_to(elsewhere.parent)
    assert (package / "py.typed").is_file()
    assert not any((package.parent / name).exists() for name in ("examples", "tests", "docs"))


def test_demo_outside_of_a_clone_says_what_it_needs(elsewhere: Path, tmp_path: Path):
    """Without the examples, the demo is a clear error of usage."""
    done = subprocess.run(
        [elsewhere / "replaykit", "demo"], cwd=tmp_path, check=False, capture_output=True, text=True, env=environment()
    )

    assert 129 == done.returncode, done.stderr
    assert "clone of the project" in done.stderr


def test_git_shows_bundles_where_replaykit_is_not_on_its_path(elsewhere: Path, tmp_path: Path):
    """git-setup names the program as it was called, so that a git that knows no such program compares bundles too."""
    plain = environment(PATH="/usr/local/bin:/usr/bin:/bin", PYTHONPATH="")
    active = {**plain, "PATH": f"{elsewhere}{os.pathsep}{plain['PATH']}"}
    bundle = tmp_path / "bug.pd"
    bundle.write_bytes((ROOT / "failures/leaderboard/duplicate-names.pd").read_bytes())
    for command in (
        ["git", "init", "-q"], [elsewhere / "replaykit", "git-setup"], ["git", "add", "."],
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a"],
    ):  # fmt: skip
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, env=active)
    bundle.write_bytes(bundle.read_bytes().replace(b"create_player", b"create_people"))
    done = subprocess.run(["git", "diff"], cwd=tmp_path, capture_output=True, text=True, env=plain, check=False)

    assert 0 == done.returncode, done.stderr
    assert "create_people" in done.stdout
