"""Releases: a range of versions, and each of them in an environment of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.version import Version
from parrots import BROKEN, Index

from replaykit import service
from replaykit.axis import Point
from replaykit.environments import Environments
from replaykit.errors import UnbuildableError, UsageError
from replaykit.releases import Releases, Span, parse


@pytest.fixture
def environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Keep the environments of a test, and its lanes."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with Environments(tmp_path / "environments") as kept:
        yield kept


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("parrot==1.0..2.0", Span("parrot", (), Version("1.0"), Version("2"))),
        ("moto[server,s3]==4.0..5.1.post1", Span("moto", ("s3", "server"), Version("4"), Version("5.1.post1"))),
        ("parrot==..2.0", Span("parrot", (), None, Version("2"))),
        ("parrot==1.0rc1..", Span("parrot", (), Version("1rc1"), None)),
        ("parrot == .. ", Span("parrot", (), None, None)),
    ],
)
def test_a_range_is_read(text: str, span: Span):
    """A range is a package, its extras, and two versions that may be left open."""
    assert span == parse(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("parrot", "'parrot' is no range"),
        ("parrot==1.0", "is no range"),
        ("parrot>=1.0..2.0", "is no range|is no name"),
        ("parrot @ file:///tmp==1..2", "is no range|is no name"),
        ("-r==1.0..2.0", "'-r' is no name of a package"),
        ("==1.0..2.0", "'' is no name of a package"),
        ("parrot==one..2.0", "'one' is no version"),
        ("parrot==1.0..2.0..3.0", "'2.0..3.0' is no version"),
        ("parrot==2.0..1.0", "does not go from an older version to a newer one"),
        ("parrot==1.0..1.0.0", "does not go from an older version to a newer one"),
    ],
)
def test_what_is_no_range_is_told_with_an_example(text: str, said: str):
    """Each mistake is named, and an example shows how a range is written."""
    with pytest.raises(UsageError, match=said) as wrong:
        parse(text)

    assert "--versions radicale==3.0.0..3.2.3" in wrong.value.todo


def names(points: list[Point]) -> list[str]:
    """Name the points, whose ids are the same."""
    assert [point.id for point in points] == [point.name for point in points]
    return [point.id for point in points]


@pytest.mark.usefixtures("parrots")
def test_points_go_from_old_to_new(environments: Environments):
    """Versions are ordered as versions are, with both ends, and none that is not final unless it was asked for."""
    most = Releases(parse("parrot==1.2.."), environments=environments)
    ended = Releases(parse("parrot==1.2..2.0rc1"), environments=environments)
    every = Releases(parse("parrot==..2.0"), pre=True, environments=environments)

    assert ["1.2", BROKEN, "1.10", "2.0"] == names(most.points())
    assert ["1.2", BROKEN, "1.10", "2.0rc1"] == names(ended.points())
    assert ["1.0", "1.1", "1.2", BROKEN, "1.9b1", "1.10", "2.0rc1", "2.0"] == names(every.points())


@pytest.mark.usefixtures("parrots")
def test_ends_have_to_be_there(environments: Environments):
    """An end that pip does not list is a mistake, told with its neighbours; one version is no range."""
    with pytest.raises(UsageError, match=r"There is no version 1\.5 of parrot(.|\n)*Nearest are 1\.2 and 1\.6\."):
        Releases(parse("parrot==1.5..2.0"), environments=environments).points()
    with pytest.raises(UsageError, match=r"not two versions of parrot in this range, only 2\.0\."):
        Releases(parse("parrot==2.0.."), environments=environments).points()


def test_what_can_be_no_requirement_is_told(environments: Environments):
    """What is installed beside each version is a requirement, never an option of pip."""
    with pytest.raises(UsageError, match="'-r file' is no name of a package"):
        Releases(parse("parrot==.."), with_=["-r file"], environments=environments)


def test_a_lane_holds_one_version_after_the_other(
    parrots: Index, environments: Environments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Each version is what `python` finds, with its extras; never the user's checkout, nor what another one left."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "parrot.py").write_text("VERSION = 'mine'\n")
    monkeypatch.chdir(mine)
    monkeypatch.setenv("PYTHONPATH", str(mine))
    releases = Releases(parse("parrot[caged]==1.0..1.2"), environments=environments)
    show = "import parrot, cage, os; print(parrot.VERSION, cage.BARS, *os.listdir()); os.makedirs('left/over')"
    seen = []
    with releases.lane(3) as lane:
        for version in ("1.0", "1.1", "1.0"):
            if seen[1:]:
                parrots.answers = False  # it is not asked for what is there
            lane.lay(Point(id=version, name=version))
            command = ["python", "-c", show]
            ran = subprocess.run(
                command, cwd=lane.folder, env=dict(lane.variables), capture_output=True, text=True, check=True
            )
            seen.append(ran.stdout.strip())
        folder = lane.folder

    assert ["1.0 12", "1.1 12", "1.0 12"] == seen
    assert not folder.exists()


def test_what_a_killed_bisect_left_is_swept(environments: Environments, tmp_path: Path):
    """A lane of somebody dead is removed by who makes one next; one of somebody who lives is not."""
    said = (
        "import os; from replaykit.environments import Environments; from replaykit.releases import Releases, parse\n"
        "with Releases(parse('parrot==..'), environments=Environments()).lane(0) as lane:\n"
        "    (lane.folder / 'left').touch(); print(lane.folder, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", said], stdout=subprocess.PIPE, text=True, check=False)
    left = Path(done.stdout.strip())
    assert (left / "left").exists()
    releases = Releases(parse("parrot==.."), environments=environments)
    with releases.lane(0) as one, releases.lane(1) as other:
        assert not left.exists()
        assert one.folder.exists()
        assert other.folder.exists()

    assert [] == list((tmp_path / "state" / "replaykit" / "bisect" / "versions").iterdir())


@pytest.mark.usefixtures("parrots")
def test_what_is_called_in_a_project_does_not_go_before_the_version(
    environments: Environments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The programs beside a replaykit that lies in the current folder are those of the user's own checkout."""
    own = tmp_path / ".venv" / "bin"
    own.mkdir(parents=True)
    (own / "python").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [str(own / "replaykit")])
    monkeypatch.setenv("VIRTUAL_ENV", str(own.parent))
    with Releases(parse("parrot==1.0..2.0"), environments=environments).lane(0) as lane:
        lane.lay(Point(id="1.0", name="1.0"))
        path = service.environment(lane.variables)["PATH"].split(os.pathsep)

    assert str(environments.home) == str(Path(path[0]).parent.parent)
    assert str(own) == service.environment()["PATH"].split(os.pathsep)[0]


@pytest.mark.usefixtures("parrots")
def test_no_other_installation_is_started_in_place_of_a_version(
    environments: Environments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A version without the program is left out, wherever else there is one; programs that are no Python's are fine."""
    for name, code in (
        ("squawk", "#!/usr/bin/python3\n"),
        ("shimmed", "#!/bin/bash\n# pyenv\n"),
        ("tool", "#!/bin/sh\n"),
    ):
        (tmp_path / name).write_text(code)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    def laid(start: str | None) -> None:
        releases = Releases(parse("parrot==1.0..2.0"), environments=environments)
        releases.require(start)
        with releases.lane(0) as lane:
            lane.lay(Point(id="1.0", name="1.0"))

    for start in ("python -m parrot {port}", "tool parrot {port}", "/usr/bin/squawk {port}", "", "'", None):
        laid(start)
    for start in ("squawk {port}", "shimmed {port}"):
        with pytest.raises(UnbuildableError, match=r"parrot==1\.0 has no program .*, and /.* is another installation"):
            laid(start)
    with pytest.raises(UnbuildableError, match=r"parrot==1\.0 has no program nowhere\."):
        laid("nowhere --port {port}")
    with pytest.raises(UsageError, match=r"runs python2\.7, which is not the Python that has the version"):
        laid("python2.7 -m parrot")


@pytest.mark.usefixtures("parrots")
def test_a_version_that_cannot_be_had_leaves_nothing(environments: Environments):
    """What can't be installed is unbuildable, and no half of an environment stays."""
    releases = Releases(parse("parrot==1.0..2.0"), environments=environments)
    with releases.lane(0) as lane, pytest.raises(UnbuildableError, match=f"parrot=={BROKEN} can't be installed"):
        lane.lay(Point(id=BROKEN, name=BROKEN))

    assert [] == [path for path in environments.home.iterdir() if path.is_dir()]
