"""Probing: points built, started, tried and stopped."""

import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import lodge
import pytest
from conftest import environment, processes
from matrix import written
from mortal import Tally, TallyApi

from replaykit import probing, wire
from replaykit.axis import Point
from replaykit.bundle import Bundle
from replaykit.environments import Environments
from replaykit.errors import MachineError, UnbuildableError, UnreachableError, UsageError
from replaykit.probing import Here, Prober, Recipe, Visited
from replaykit.replaying import load_failure
from replaykit.reset import Resets
from replaykit.stage import Stage

POINT = Point(id="a/../b", name="ab")
STAGE = Stage(start=lodge.START, health="/")


class Folder:
    """A site whose points are the texts of a service."""

    def __init__(self, folder: Path, texts: Mapping[str, str] | None = None, **more: str) -> None:
        self.folder, self.variables, self.texts = folder, environment(**more), texts or {}

    def lay(self, point: Point) -> None:
        """Write the text of a point, or leave what is there."""
        self.folder.mkdir(exist_ok=True)
        if point.id in self.texts:
            (self.folder / "app.py").write_text(self.texts[point.id])


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Give the bundle of a total that is one too high."""
    return load_failure(written(tmp_path_factory.mktemp("bundles") / "tally.pd"))


@pytest.fixture
def prober(bundle: Bundle, tmp_path: Path) -> Any:
    """Give what makes a bench, whose only point is a sound service."""

    def made(text: str = lodge.app(), stage: Stage = STAGE, **recipe: Any) -> Prober:
        folder = tmp_path / "site"
        folder.mkdir(exist_ok=True)
        (folder / "app.py").write_text(text)
        environments = Environments(tmp_path / "environments")
        return Prober(bundle, Tally, TallyApi, Recipe(stage, **recipe), Folder(folder), environments, tmp_path / "logs")

    return made


def asked(visit: Visited) -> dict[str, str]:
    """Ask the service for its environment, and the folder that it runs in."""
    found: dict[str, str] = httpx.get(visit.running.url).json()
    return found


def log_of(prober: Prober) -> str:
    """Give what was kept of a visit."""
    log = prober.log_of(POINT)
    assert log is not None
    return log.read_text()


def test_points_are_told_apart(bundle: Bundle, tmp_path: Path):
    """One with the bug is bad, one without it good, and it is counted in how many attempts that was seen."""
    site = Folder(tmp_path / "site", {"1": lodge.app(), "2": lodge.app(lodge.BUGGY), "3": "import nothing_like_that"})
    prober = Prober(bundle, Tally, TallyApi, Recipe(STAGE), site, Environments(tmp_path / "environments"))
    found = []
    for name in ("1", "2"):
        with prober.visit(Point(id=name, name=name)) as visit:
            tried = visit.attempt(5)
            assert 0 < tried.seconds
            assert 0 < visit.seconds
        found.append((tried.word, tried.state, tried.shown, tried.held, tried.attempts))
    with pytest.raises(UnreachableError, match="ended before it was healthy"), prober.visit(Point(id="3", name="3")):
        pass

    assert [("fixed", "good", 0, 5, 5), ("reproduced", "bad", 5, 0, 5)] == found


def test_what_held_is_told_of_few_attempts_too(prober: Any):
    """One attempt says too little to call it fixed, but that it held is counted; without a number, it is enough."""
    with prober().visit(POINT) as visit:
        one, enough = visit.attempt(1), visit.attempt()

    assert ("undecided", 0, 1, 1) == (one.word, one.shown, one.held, one.attempts)
    assert "it did not show in 1 attempt" == one.reason
    assert "fixed" == enough.word
    assert 1 < enough.held == enough.attempts


def test_one_client_serves_all_attempts_of_a_visit(prober: Any, monkeypatch: pytest.MonkeyPatch):
    """The second attempt makes nothing anew that the first one has made."""
    from replaykit.adapter import Adapters

    made = []
    real = Adapters.__init__
    monkeypatch.setattr(Adapters, "__init__", lambda self, *words: (made.append(self), real(self, *words))[1])
    with prober().visit(POINT) as visit:
        held = [visit.attempt(1).held for _ in range(3)]

    assert [1, 1, 1] == held
    assert 1 == len(made)


def test_a_build_is_run_before_the_service_is_started(prober: Any):
    """It runs in the folder of the site, with its variables; the log of the point has all that was printed."""
    ready = prober(text="print('no')", build="python make.py")
    (ready.site.folder / "make.py").write_text(
        f"from pathlib import Path\nprint('making')\nPath('app.py').write_text({lodge.app()!r})\n"
    )
    with ready.visit(POINT) as visit:
        said = asked(visit)

        assert str(ready.site.folder) == said["FOLDER"]
    log = log_of(ready)
    assert log.startswith("=== ab, ")
    assert log.endswith("--- build: python make.py ---\nmaking\n--- replaykit starts the service ---\n")
    assert ["a_.._b.log"] == [path.name for path in Path(ready.logs).iterdir()]


@pytest.mark.parametrize(
    ("build", "said"),
    [
        ("sh -c 'echo broken here; exit 2'", "it exited with 2"),
        ("sleep 60", "it took more than 0.3 seconds"),
        ("no-such-compiler", "it exited with 127"),
    ],
)
def test_a_build_that_fails_leaves_the_point_out(prober: Any, build: str, said: str):
    """It is told how it failed, with its last lines; the service is not started."""
    ready = prober(build=build, build_timeout=0.3)
    with pytest.raises(UnbuildableError) as raised, ready.visit(POINT):
        pass

    assert f"The build failed: {said}." == raised.value.happened
    assert ("broken here" in raised.value.log) == ("broken" in build)
    assert "starts the service" not in log_of(ready)


@pytest.mark.parametrize("build", ["sh -c 'echo x: No space left on device; exit 1'", "sh -c 'kill -9 $$'"])
def test_trouble_of_the_machine_is_tried_again(prober: Any, build: str, monkeypatch: pytest.MonkeyPatch):
    """A full disk and a process that was killed say nothing of the point: three times, and then it is told."""
    monkeypatch.setattr(probing, "PAUSE", 0.0)
    ready = prober(build=build)
    with pytest.raises(MachineError, match="short of something"), ready.visit(POINT):
        pass

    assert 3 == log_of(ready).count("--- build: ")


def test_trouble_that_is_over_is_none(prober: Any, monkeypatch: pytest.MonkeyPatch):
    """What succeeds when it is tried again is built."""
    monkeypatch.setattr(probing, "PAUSE", 0.0)
    ready = prober(build="sh -c 'test -e there || { touch there; kill -9 $$; }'")
    with ready.visit(POINT) as visit:
        assert "fixed" == visit.attempt().word


def test_an_environment_is_made_once_for_the_same_files(prober: Any, tmp_path: Path):
    """Where the lock file differs, or is not there, it is another one; its programs go first, {env} is its folder."""
    stage = Stage(start="serve {port} {env}", health="/", resets=Resets(command="test -d {env}/bin"))
    ready = prober(stage=stage, setup="python make.py {env}", setup_files=("lock",), build="test -x {env}/bin/serve")
    (ready.site.folder / "make.py").write_text(
        "import os, sys\nfrom pathlib import Path\nprint('made')\nos.makedirs(sys.argv[1] + '/bin')\n"
        "serve = Path(sys.argv[1], 'bin', 'serve')\nserve.write_text('#!/bin/sh\\nexec python app.py $1\\n')\n"
        "serve.chmod(0o700)\n"
    )
    envs = []
    for content in ("a", "b", "a", None):
        lock = ready.site.folder / "lock"
        lock.write_text(content) if content else lock.unlink()
        with ready.visit(POINT) as visit:
            said = asked(visit)
            assert "fixed" == visit.attempt().word
        envs.append(Path(said["VIRTUAL_ENV"]))
        assert said["PATH"].startswith(f"{envs[-1]}/bin:")

    assert envs[0] == envs[2]
    assert 3 == len({*envs}) == log_of(ready).count("\nmade\n")
    assert {tmp_path / "environments"} == {env.parent for env in envs}


def test_what_is_built_into_an_environment_does_not_reach_the_next_point(prober: Any, tmp_path: Path):
    """Two lanes with the same environment, each of which builds into it, serve their own code; so do they later."""
    stage = Stage(start="python {env}/src/app.py {port}", health="/")
    lanes = []
    for number, text in enumerate((lodge.app(), lodge.app(lodge.BUGGY))):
        lane = prober(text="none", stage=stage, setup="mkdir {env}", build="cp -pr . {env}/src")
        lane.site = Folder(tmp_path / f"lane-{number}", {POINT.id: text, "empty": "raise SystemExit"})
        lanes.append(lane)
    with lanes[0].visit(POINT) as one, lanes[1].visit(POINT) as other:
        words = [other.attempt(1).word, one.attempt().word]
    assert ["reproduced", "fixed"] == words
    with pytest.raises(UnreachableError), lanes[0].visit(Point(id="empty", name="empty")):
        pass
    with lanes[1].visit(POINT) as visit:
        assert "reproduced" == visit.attempt(1).word

    assert [] == [path for path in (tmp_path / "environments").iterdir() if path.is_dir()]


def test_an_environment_that_can_not_be_made_leaves_the_point_out(prober: Any):
    """So does a file of it that is none; and a program that only some environments have is no wrong option."""
    with pytest.raises(UnbuildableError, match="The setup failed: it exited with 1"):
        prober(setup="false {env}").visit(POINT).__enter__()
    ready = prober(setup="true {env}", setup_files=("lock",))
    os.mkfifo(ready.site.folder / "lock")
    with pytest.raises(UnbuildableError, match="no file of usual size"):
        ready.visit(POINT).__enter__()
    with pytest.raises(UnreachableError, match="no program no-such-server"):
        prober(stage=Stage(start="no-such-server {port}"), setup="true {env}").visit(POINT).__enter__()
    with pytest.raises(UsageError, match="no program no-such-server"):
        prober(stage=Stage(start="no-such-server {port}")).visit(POINT).__enter__()


def test_a_file_that_is_nowhere_is_a_mistake_in_typing(prober: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It is told at the first point; a file that the user's own folder has may be missing at some."""
    monkeypatch.chdir(tmp_path)
    recipe = {"setup": "true {env}", "setup_files": ("lock",)}
    with pytest.raises(UsageError, match="There is no lock to set up"), prober(**recipe).visit(POINT):
        pass
    (tmp_path / "lock").touch()
    with prober(**recipe).visit(POINT) as visit:
        assert "fixed" == visit.attempt().word


def test_why_a_service_does_not_start_is_in_the_reason(prober: Any):
    """Who hears the reason alone hears the last lines of the service."""
    with pytest.raises(UnreachableError, match="ended before it was healthy") as failed:
        prober(text="print('none'); print('one'); print(); print('two')").visit(POINT).__enter__()

    assert failed.value.happened.endswith(". Last it said: one / two")


def test_the_service_is_gone_after_a_visit(prober: Any, tmp_path: Path):
    """So is all that it has started, also where the visit ends in an error."""
    mark = f"mark-{tmp_path}"
    words = f"[sys.executable, '-c', 'import time; time.sleep(600)', '{mark}']"
    child = f"import subprocess, sys; subprocess.Popen({words}, start_new_session=True)\n"
    ready = prober(text=child + lodge.app())
    with pytest.raises(KeyError), ready.visit(POINT):
        assert processes(mark)
        raise KeyError

    assert not processes(mark)


def test_what_takes_too_long_is_ended(prober: Any):
    """A service that never answers is ended when its time is over; the point is left out, and it is said why."""
    ready = prober(text=lodge.app("time.sleep(600)"), replay_timeout=0.4)
    began = time.monotonic()
    with ready.visit(POINT) as visit:
        tried, again = visit.attempt(), visit.attempt()
        assert not visit.running.lives()

    assert time.monotonic() - began < 5
    for each in (tried, again):
        assert ("unreachable", "skipped", 0, 0) == (each.word, each.state, each.shown, each.held)
        assert "he attempts took more than 0.4 seconds (--replay-timeout)" in each.reason


STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
DRIPS = (
    "self.send_response(200); self.end_headers(); [(self.wfile.write(b' '), time.sleep(0.05)) for _ in iter(int, 1)]"
)


@pytest.mark.parametrize(
    ("text", "reset"), [(STUBBORN + lodge.app(DRIPS), None), (lodge.app(), "sh -c 'exec sleep 60'")]
)
def test_what_goes_on_and_on_is_ended(prober: Any, text: str, reset: str | None):
    """An answer that never ends is cut, whatever the service does, and so is a reset command."""
    stage = Stage(start=lodge.START, health="/", resets=Resets(command=reset))
    with prober(text=text, stage=stage, replay_timeout=0.5).visit(POINT) as visit:
        began = time.monotonic()
        tried = visit.attempt()
        seconds = time.monotonic() - began

    assert "unreachable" == tried.word
    assert "--replay-timeout" in tried.reason
    assert seconds < 2


def test_an_answer_of_any_length_does_not_take_all_memory(prober: Any, monkeypatch: pytest.MonkeyPatch):
    """One that is too long is lost, as if the service had hung up."""
    monkeypatch.setattr(wire, "MAX_ANSWER", 1 << 20)
    endless = "self.send_response(200); self.end_headers(); [self.wfile.write(bytes(65536)) for _ in iter(int, 1)]"
    with prober(text=lodge.app(endless), replay_timeout=60).visit(POINT) as visit:
        tried = visit.attempt()

    assert "unreachable" == tried.word
    assert tried.reason.endswith("ReadError: the answer is longer than 1048576 bytes")


def test_the_time_is_that_of_all_attempts(prober: Any):
    """Attempts of one visit share it; what lies between them does not count."""
    with prober(text=lodge.app(f"time.sleep(0.05); {lodge.SOUND}"), replay_timeout=0.7).visit(POINT) as visit:
        time.sleep(0.8)
        words = [visit.attempt(1).word for _ in range(6)]

    assert "undecided" == words[0]
    assert "unreachable" == words[-1]


def test_an_end_from_another_thread_ends_all(prober: Any):
    """What is given up neither builds on nor runs on."""
    ready = prober(build="sleep 60")
    timer = threading.Timer(0.3, ready.give_up)
    timer.start()
    with pytest.raises(UnbuildableError, match="it was given up"), ready.visit(POINT):
        pass
    running = prober(text=lodge.app("time.sleep(600)"))
    with running.visit(POINT) as visit:
        threading.Timer(0.2, running.give_up).start()

        assert "unreachable" == visit.attempt().word
        assert not visit.running.lives()
    timer.join()


@pytest.mark.parametrize(
    "recipe",
    [
        {"build": "a 'b"},
        {"build": " "},
        {"build": "make && true"},
        {"build": "{env}/bin/python setup.py"},
        {"setup": "python -m venv env"},
        {"setup_files": ("lock",)},
        {"replay_timeout": 0},
        {"stage": Stage(start="python app.py")},
    ],
)
def test_what_can_not_be_done_is_told_at_once(recipe: dict[str, Any]):
    """A command that can't be one, an environment that nobody makes or uses, no time, no port."""
    with pytest.raises(UsageError):
        Recipe(**{"stage": STAGE, **recipe})


def test_no_service_and_wrong_settings_are_told_before_anything_is_built(prober: Any):
    """Neither needs a visit to be seen."""
    for stage in (Stage(), Stage(start=lodge.START, settings={"no_such": "1"})):
        with pytest.raises(UsageError):
            prober(stage=stage)


def test_another_recipe_has_another_digest():
    """What a verdict depends on is in it."""
    recipes = [
        Recipe(STAGE), Recipe(STAGE, build="make"), Recipe(Stage(start="python app.py {port} -v", health="/")),
        Recipe(STAGE, setup="venv {env}"), Recipe(Stage(start=lodge.START, health="/", settings={"a": "b"})),
    ]  # fmt: skip

    assert 5 == len({each.digest for each in recipes})
    assert recipes[0].digest == Recipe(Stage(start=lodge.START, health="/")).digest


def test_here_leaves_no_byte_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """What is run in the current folder writes none, and hears nothing of the git that calls us."""
    monkeypatch.setenv("GIT_PREFIX", "x")
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.chdir(tmp_path)
    here = Here()
    here.lay(POINT)

    assert tmp_path == here.folder
    assert "1" == here.variables["PYTHONDONTWRITEBYTECODE"]
    assert not [name for name in here.variables if name.startswith("GIT_")]


# --- what is installed --------------------------------------------------------------------------


def test_a_copy_of_the_code_that_is_installed_is_told(prober: Any, tmp_path: Path):
    """A link to another checkout is one, as an editable install makes it; the folder itself is none."""
    site = tmp_path / "site"
    (site / "src" / "shop").mkdir(parents=True)
    (site / "src" / "shop" / "__init__.py").touch()
    (site / ".git").touch()
    other = tmp_path / "other"
    (other / "shop").mkdir(parents=True)
    (other / "shop" / "__init__.py").touch()
    ready = prober(stage=Stage(start="python app.py {port}", health="/"))
    told = []
    for path in (str(other), str(site / "src"), ""):
        ready.site.variables["PYTHONPATH"] = path
        with ready.visit(POINT) as visit:
            told.append(visit.shadow())

    assert [True, False, False] == [each is not None for each in told]
    assert str(told[0]).startswith(f"shop is found at {other}/shop/__init__.py too: ")


def test_without_python_nothing_is_installed(tmp_path: Path):
    """A service that is no Python's costs nothing."""
    (tmp_path / "shop.py").touch()

    assert probing.shadow_of(tmp_path, {"PATH": str(tmp_path)}) is None
