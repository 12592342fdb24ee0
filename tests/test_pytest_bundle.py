"""Saved bugs as items of pytest: what is collected, what becomes of each, and that a suite says the same of it."""

import gzip
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import ROOT, environment, leaderboard
from lxml import etree

from replaykit import court, service
from replaykit.docket import Entry
from replaykit.lines import Lines, bundled
from replaykit.pytest_bundle import _alone, _Bench
from replaykit.pytest_plugin import means
from replaykit.suite import found

pytest_plugins = ["pytester"]

GOLDEN = ROOT / "tests" / "bundles" / "format-1.pd"  # the bug duplicate-names
GUIDE = ROOT / "docs" / "guides" / "pytest.md"
CALM = [word for name in ("asyncio", "cacheprovider", "hypothesispytest", "xdist") for word in ("-p", f"no:{name}")]
SHOP = """
from examples.leaderboard import Leaderboard, LeaderboardApi
from examples.leaderboard.model import Board, CreatePlayer, PlayerCreated
from replaykit import check, expects


class Shop(Leaderboard):
    pass


class ShopApi(LeaderboardApi):
    pass


class Lax(Leaderboard):
    @expects
    def create(self, cmd: CreatePlayer) -> PlayerCreated:
        return PlayerCreated(name=cmd.name)

    @check
    def board_matches(self, board: Board) -> None:
        pass
"""
STATUSES = """
["back.pd"]
status = "fixed"
ticket = "SHOP-1"

["mended.pd"]
status = "fixed"

["kept.pd"]
status = "wontfix"

["odd.pd"]
status = "wontfix"

["open.pd"]
status = "open"
ticket = "SHOP-2"
"""


def made(
    *, model: str = "shop:Shop", adapter: str = "shop:ShopApi", failing: str = "create", has_passed: bool = False
) -> bytes:
    """Write a bundle as the golden one, with something else in it."""
    lines = []
    for line in Lines(GOLDEN.read_bytes()):
        data = dict(line.data)
        if line.kind == "bundle":
            shrinking = {"calls_before": 9, "executions": 9, "requests": 9, "seconds": 1.0, "confirmed": True}
            data |= {"model": model, "adapter": adapter, "shrinking": {**shrinking, "runs": 5, "failed": 5}}
        elif line.is_item and data["request"]["method"] == "GET":
            look = line._replace(data={**data, "replaykit": {**data["replaykit"], "step": 13}})
        elif line.kind == "failure":
            data["name"] = failing
            if model == "shop:Lax":  # it looks at the board after step 13 too
                lines.append(look)
        elif line.kind == "end" and has_passed:
            data["ending"] = "passed"
        if not (line.kind == "failure" and has_passed):
            lines.append(line._replace(data=data))
    return bundled(lines)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Give a leaderboard that takes a name twice."""
    with service.reached(url=None, start=leaderboard("duplicate-names"), health=None, patience=None) as url:
        yield url


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a project with a bundle for each outcome."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.syspath_prepend(str(ROOT))
    folder = pytester.path / "failures"
    folder.mkdir()
    (pytester.path / "shop.py").write_text(SHOP)
    (pytester.path / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\nreplaykit_bundles = ["failures/*.pd", "failures/*.pd.gz"]\n'
    )
    (folder / "status.toml").write_text(STATUSES)
    for name in ("open", "back", "kept"):
        (folder / f"{name}.pd").write_bytes(made())
    for name in ("gone", "mended", "odd"):
        (folder / f"{name}.pd").write_bytes(made(model="shop:Lax"))
    (folder / "packed.pd.gz").write_bytes(gzip.compress(made()))
    (folder / "passed.pd").write_bytes(made(model="shop:Lax", has_passed=True))
    (folder / "other.pd").write_bytes(made(failing="increase"))
    (folder / "foreign.pd").write_bytes(made(model="elsewhere:Model"))
    (folder / "cut.pd").write_bytes(made()[:2000])
    (folder / "patch.pd").write_text("#N canvas 0 0 450 300 12;\n")
    return pytester.path


def cases(file: Path) -> dict[str, etree._Element]:
    """Read the test cases of a JUnit report, by their bundles."""
    return {case.get("classname", "").removeprefix("failures."): case for case in etree.parse(file).iter("testcase")}


def became(case: etree._Element) -> str:
    """Say what became of a test case."""
    said = [each for each in case if each.tag in {"failure", "error", "skipped"}]
    return said[0].get("type", said[0].tag) if said else "passed"


def agrees(entry: Entry, case: etree._Element, *, offline: bool) -> bool:
    """Say whether a suite and pytest say the same of a bundle."""
    is_bug = entry.verdict == "reproduced" and not offline
    wanted = {0: "pytest.xfail" if is_bug else "passed", 1: "failure"}.get(entry.exit_code, "error")
    known = {each.get("name"): each.get("value") for each in case.iter("property")}
    return wanted == became(case) and known.get("verdict") == entry.verdict


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run pytest in the project, without what else is installed here."""
    return pytester.runpytest_inprocess(*CALM, *arguments)


def test_live_each_bundle_becomes_what_a_suite_says(pytester: pytest.Pytester, project: Path, url: str):
    """Open bugs are expected to fail, regressions fail, what can't be judged is an error; as in `replaykit suite`."""
    result = run(pytester, "-ra", "failures", f"--replaykit-url={url}", "--junitxml=report.xml")
    seen = cases(project / "report.xml")
    docket = court.run(["failures"], said={"url": url})
    shop1 = {each.get("name"): each.get("value") for each in seen["back.pd"].iter("property")}

    assert 1 == result.ret
    assert {
        "open.pd": "pytest.xfail",
        "kept.pd": "pytest.xfail",
        "packed.pd.gz": "pytest.xfail",
        "back.pd": "failure",
        "gone.pd": "failure",
        "mended.pd": "passed",
        "odd.pd": "passed",
        "passed.pd": "passed",
        "other.pd": "error",
        "foreign.pd": "error",
        "cut.pd": "error",
    } == {name: became(case) for name, case in seen.items()}
    entries = {Path(entry.bundle).name: entry for entry in docket.entries}
    assert set(seen) == set(entries)
    assert [] == [name for name, entry in entries.items() if not agrees(entry, seen[name], offline=False)]
    assert {
        "status": "fixed",
        "ticket": "SHOP-1",
        "fingerprint": "037acf80",
        "verdict": "reproduced",
        "attempts": "1",
        "rate": "5 of 5",
    } == shop1
    result.stdout.fnmatch_lines(
        [
            "*ERROR at setup of bundle in cut.pd*",
            "*create in back.pd*",
            "regression: *expected PlayerRejected(status=400), got PlayerCreated(name='a')*",
            "* [[]13] create_player(name='a')*",
            "  status: fixed, SHOP-1",
            f"  replay it: replaykit replay failures/back.pd --url {url}",
            "XFAIL failures/open.pd::create - open, SHOP-2",
            "XPASS failures/odd.pd::create - wontfix*",
            "ERROR failures/other.pd::increase - different: *",
            "FAILED failures/gone.pd::create - unexpectedly fixed: *",
        ]
    )
    result.stdout.fnmatch_lines(["  if it was mended: replaykit close failures/gone.pd"])
    assert "Traceback" not in result.stdout.str()


def test_offline_the_model_is_to_see_each_bug(pytester: pytest.Pytester, project: Path):
    """Offline, a bug that reproduces passes, whatever its status, and one that the model sees no more fails."""
    result = run(pytester, "--replaykit-offline", "--junitxml=report.xml", "-rf", "--tb=line")
    seen = cases(project / "report.xml")
    docket = court.run(["failures"], offline=True)

    assert 1 == result.ret
    assert {"open.pd", "kept.pd", "packed.pd.gz", "back.pd", "passed.pd"} == {
        name for name, case in seen.items() if became(case) == "passed"
    }
    entries = {Path(entry.bundle).name: entry for entry in docket.entries}
    assert [] == [name for name, entry in entries.items() if not agrees(entry, seen[name], offline=True)]
    result.stdout.fnmatch_lines(
        [f"{project}/failures/gone.pd:1: unseen: *", "FAILED failures/gone.pd::create - unseen: *"]
    )


@pytest.mark.parametrize(
    ("pattern", "path", "is_meant"),
    [
        ("failures/*.pd", "failures/a.pd", True),
        ("./failures/*.pd", "failures/a.pd", True),
        ("failures/*.pd", "failures/a.pd.gz", False),
        ("failures/*.pd", "failures/below/a.pd", False),
        ("failures/*.pd", "other/failures/a.pd", False),
        ("failures/**/*.pd", "failures/a.pd", True),
        ("failures/**/*.pd", "failures/below/again/a.pd", True),
        ("**/failures/*.pd", "other/failures/a.pd", True),
        ("*.pd", "other/failures/a.pd", True),
        ("*/*.pd", "other/failures/a.pd", False),
        ("failures", "failures/a.pd", False),
    ],
)
def test_a_pattern_means_paths_from_the_root_folder(pattern: str, path: str, is_meant: bool):
    """A pattern with a folder in it means whole paths, one without means names."""
    assert is_meant == means(pattern, Path("/project") / path, Path("/project"))


def test_what_is_collected_has_a_name_that_stays(pytester: pytest.Pytester, project: Path):
    """An item is called after what failed; what is known of the bug is a keyword, and the marker is there."""
    (project / "failures/odd-name.pd").write_bytes(made(failing="a::b [c]\x1b"))
    (project / "failures/draft.pd").write_bytes((ROOT / "tests/bundles/format-0.pd").read_bytes())
    (project / "failures/empty.pd").write_bytes(b"")
    (project / "failures/board_matches-6f075236.pd").write_bytes(made()[:100])
    (project / "test_other.py").write_text("def test_other(): pass\n")
    listed = {
        arguments: [line for line in run(pytester, "--collect-only", "-q", *arguments).outlines if "::" in line]
        for arguments in [
            (),
            ("-m", "replaykit", "-k", "open and not draft and not other"),
            ("-k", "SHOP-1"),
            ("-m", "not replaykit"),
            ("failures/back.pd::create",),
            ("-o", "replaykit_bundles="),
        ]
    }

    assert 16 == len(listed[()])
    assert {
        "failures/odd-name.pd::a__b__c__",
        "failures/draft.pd::board_matches",
        "failures/cut.pd::bundle",
        "failures/empty.pd::bundle",
        "failures/board_matches-6f075236.pd::board_matches",
        "failures/passed.pd::passed",
        "failures/packed.pd.gz::create",
    } <= set(listed[()])
    assert {
        "failures/open.pd::create",
        "failures/packed.pd.gz::create",
        "failures/cut.pd::bundle",
    } <= set(listed["-m", "replaykit", "-k", "open and not draft and not other"])
    assert ["failures/back.pd::create"] == listed["-k", "SHOP-1"] == listed["failures/back.pd::create",]
    assert ["test_other.py::test_other"] == listed["-m", "not replaykit"] == listed["-o", "replaykit_bundles="]


def test_pytest_and_a_suite_look_for_files_in_their_own_ways(pytester: pytest.Pytester, project: Path):
    """What only one of them finds is what the guide says."""
    folder = project / "failures"
    (project / "pyproject.toml").write_text('[tool.pytest.ini_options]\nreplaykit_bundles = ["failures/**/*.pd"]\n')
    for path in folder.iterdir():
        path.unlink()
    (project / "elsewhere").mkdir()
    (folder / "linked").symlink_to(project / "elsewhere")
    (folder / "build").mkdir()
    names = ["both.pd", "build/inner.pd", "linked/far.pd", ".dot.pd", "BUG.PD", "bug.pd.gz", "bug.pd.zip"]
    for name in names:
        (folder / name).write_bytes(made())
    (folder / "link.pd").symlink_to("both.pd")
    by_pytest = {Path(item.path).relative_to(folder).as_posix() for item in pytester.inline_genitems(*CALM)[0]}
    by_suite = {each.path.relative_to(folder).as_posix() for each in found([folder]).saved}

    assert {"both.pd", "link.pd"} == by_pytest & by_suite
    assert {"linked/far.pd", ".dot.pd"} == by_pytest - by_suite
    assert {"build/inner.pd", "BUG.PD", "bug.pd.gz", "bug.pd.zip"} == by_suite - by_pytest


def test_offline_nothing_reaches_the_network(pytester: pytest.Pytester, project: Path):
    """An adapter that connects to something while its bundle is played is told, whatever it makes of that."""
    (project / "hard.py").write_text(HARD)
    (project / "failures/hard.pd").write_bytes(made(adapter="hard:Reaching"))
    result = run(pytester, "--replaykit-offline", "--replaykit-order=fifo", "failures/hard.pd")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["stale: *127.0.0.1:9 was to be reached (hard.py, line *"])


def test_what_can_not_be_judged_may_be_skipped(pytester: pytest.Pytester, project: Path):
    """With `replaykit_unjudged = skip`, another failure is a skip; a broken bundle stays an error."""
    result = run(
        pytester,
        "-o",
        "replaykit_mode=offline",
        "-o",
        "replaykit_unjudged=skip",
        "-rs",
        "-k",
        "other or cut or foreign",
    )

    result.assert_outcomes(skipped=1, errors=2)
    result.stdout.fnmatch_lines(["SKIPPED * different: it fails in another way than recorded *"])


def test_more_is_told_where_it_is_asked_for(pytester: pytest.Pytester, project: Path):
    """`-v` shows bodies and states, `--tb=short` no steps."""
    told = {
        each: run(pytester, "--replaykit-offline", "-k", "other", each).stdout.str() for each in ("-v", "--tb=short")
    }

    assert """> {"name":"a"}""" in told["-v"]
    assert "         state {" in told["-v"]
    assert "create_player" not in told["--tb=short"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--replaykit-offline", "--replaykit-url=http://127.0.0.1:1"], "--replaykit-offline needs no service"),
        (["--replaykit-order=any"], "add --replaykit-offline"),
        (["--replaykit-times=often"], "invalid _times value: 'often'"),
        (["-o", "replaykit_mode=dead"], "replaykit_mode is 'dead'; choose one of live, offline"),
    ],
)
def test_options_that_make_no_sense_are_told(pytester: pytest.Pytester, project: Path, arguments: list[str], told: str):
    """They end the session before it begins."""
    result = run(pytester, *arguments)

    assert pytest.ExitCode.USAGE_ERROR == result.ret
    result.stderr.fnmatch_lines([f"*{told}*"])


def test_a_status_file_that_is_broken_is_an_error_of_each_bundle(pytester: pytest.Pytester, project: Path):
    """Nothing is judged by a status that nobody can read, and other tests are run."""
    (project / "failures/status.toml").write_text("[open\n")
    (project / "test_other.py").write_text("def test_other(): pass\n")
    result = run(pytester, "--replaykit-offline", "-k", "back or test_other")

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["status: *status.toml can't be read: *"])


@pytest.mark.parametrize("by_github", [True, False])
def test_who_reads_along_is_given_no_orders(
    by_github: bool, pytester: pytest.Pytester, project: Path, monkeypatch: pytest.MonkeyPatch
):
    """What a status file, or a bundle, says stays in its line; and GitHub's runner finds nothing to obey."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true" if by_github else "")
    (project / "failures/status.toml").write_text(
        '["cut.pd"]\nnote = "N\\n::stop-commands::x"\nticket = "T\\n::error file=x::pwned"\n'
    )
    result = run(pytester, "--replaykit-offline", "-k", "cut")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([r"*status: open, T\n::error file=x::pwned, N\n::stop-commands::x"])
    assert [] == [line for line in result.outlines if line.lstrip().startswith("::")]


def test_the_environment_counts_as_in_a_suite(
    pytester: pytest.Pytester, project: Path, monkeypatch: pytest.MonkeyPatch
):
    """The options of pytest go before the variables of a suite's, and these before the configuration."""
    (project / "pytest.ini").write_text("[pytest]\nreplaykit_mode = offline\n")
    monkeypatch.setenv("REPLAYKIT_TIMES", "7")
    seen = []
    for name, value, *arguments in [
        ("REPLAYKIT_HEALTH", "/well"),
        ("REPLAYKIT_URL", "http://127.0.0.1:1"),
        ("REPLAYKIT_URL", "http://127.0.0.1:1", "--replaykit-offline", "--replaykit-times=3", "--replaykit-order=any"),
        ("REPLAYKIT_OFFLINE", "1", "--replaykit-url=http://127.0.0.1:2"),
        ("REPLAYKIT_TIMES", "never"),
    ]:
        with monkeypatch.context() as patched:
            patched.setenv(name, value)
            bench = _Bench(pytester.parseconfigure(*CALM, *arguments))
        brief = bench.brief
        seen.append((brief.offline, brief.said.get("url"), brief.times, brief.more.get("order"), str(bench._trouble)))

    assert [
        (True, None, 7, "strict", "None"),
        (False, "http://127.0.0.1:1", 7, "strict", "None"),
        (True, None, 3, "any", "None"),
        (False, "http://127.0.0.1:2", 7, "strict", "None"),
    ] == seen[:4]
    assert "The value comes from the environment: REPLAYKIT_TIMES." in seen[4][-1]


def test_workers_take_turns_at_a_service_that_they_share(pytester: pytest.Pytester, project: Path):
    """Two workers never ask one service at the same time; each has its own where there are enough of them."""
    path = project / "failures/open.pd"
    shared = []
    one, two = "--replaykit-url=http://127.0.0.1:1", "--replaykit-url=http://127.0.0.1:2"
    for arguments in [(one,), (one, two), (f"--replaykit-start={leaderboard()}",), ("--replaykit-offline",), ()]:
        config = pytester.parseconfigure(*CALM, *arguments)
        config.workerinput = {"workerid": "gw1", "workercount": 2}  # type: ignore[attr-defined]
        shared.append(_Bench(config)._is_shared(path))
    has_entered = threading.Event()

    def enter() -> None:
        with _alone(project):
            has_entered.set()

    other = threading.Thread(target=enter)
    with _alone(project):
        other.start()

        assert not has_entered.wait(0.1)
    assert has_entered.wait(10)
    other.join()
    assert [True, False, False, False, True] == shared


SERVE = """
import os, pathlib, runpy, sys
pathlib.Path(f"started-{os.getpid()}").touch()
sys.argv[1:] = ["--port", sys.argv[1], "--bug", "duplicate-names"]
runpy.run_module("examples.leaderboard", run_name="__main__")
"""
HARD = """
import os, pathlib, socket, time
from examples.leaderboard.model import CreatePlayer, PlayerCreated
from replaykit import handles
from shop import ShopApi


class Killing(ShopApi):
    @handles
    def create(self, cmd: CreatePlayer) -> PlayerCreated:
        os._exit(9)


class Reaching(ShopApi):
    @handles
    def create(self, cmd: CreatePlayer) -> PlayerCreated:
        try:
            socket.create_connection(("127.0.0.1", 9))
        except Exception:
            pass
        return super().create(cmd)


class Waiting(ShopApi):
    @handles
    def create(self, cmd: CreatePlayer) -> PlayerCreated:
        pathlib.Path("waiting").touch()
        time.sleep(60)
"""


@pytest.fixture
def serving(project: Path) -> Path:
    """Give a project whose profile starts its service."""
    (project / "serve.py").write_text(SERVE)
    (project / "hard.py").write_text(HARD)
    with (project / "pyproject.toml").open("a") as file:
        for name, adapter in (("shop", "shop:ShopApi"), ("killing", "hard:Killing"), ("waiting", "hard:Waiting")):
            file.write(
                f'[tool.replaykit.profiles.{name}]\nmodel = "shop:Shop"\nadapter = "{adapter}"\n'
                'start = "python serve.py {port}"\n'
            )
    return project


def alive(project: Path) -> list[str]:
    """List the services of a project that still run."""
    return [each.name for each in project.glob("started-*") if Path(f"/proc/{each.name[8:]}").exists()]


def test_each_worker_has_a_service_of_its_own(pytester: pytest.Pytester, serving: Path):
    """With pytest-xdist, services are started once by each worker; none is left, also by a worker that dies."""
    (serving / "failures/hard.pd").write_bytes(made(adapter="hard:Killing"))
    for number in range(4):
        (serving / f"failures/again{number}.pd").write_bytes(made())
    result = pytester.runpytest_subprocess(*CALM[:-2], "-n", "2", "-k", "again or hard")

    result.assert_outcomes(xfailed=4, failed=1)
    result.stdout.fnmatch_lines(["*worker 'gw?' crashed while running 'failures/hard.pd::create'"])
    assert 3 <= len(list(serving.glob("started-*"))) <= 4  # of two workers, of the adapter that kills, of a new worker
    assert [] == alive(serving)


def test_the_service_is_stopped_with_the_session(serving: Path):
    """Ctrl-C in the middle of a replay ends the session, and the service that it started."""
    (serving / "failures/hard.pd").write_bytes(made(adapter="hard:Waiting"))
    command = [sys.executable, "-m", "pytest", *CALM, "failures/hard.pd"]
    here = environment(PYTHONPATH=str(ROOT))
    with subprocess.Popen(command, cwd=serving, env=here, stdout=subprocess.PIPE) as running:
        wait_until((serving / "waiting").exists)
        assert 1 == len(alive(serving))
        running.send_signal(signal.SIGINT)
        told, _ = running.communicate(timeout=30)

    assert pytest.ExitCode.INTERRUPTED == running.returncode
    assert b"KeyboardInterrupt" in told
    assert [] == alive(serving)


def wait_until(is_so: Callable[[], bool]) -> None:
    """Wait for something that takes a moment, at most 30 seconds."""
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_guide_holds(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    """Its configuration collects the bundle, its commands run, and its report is the one that comes of a regression."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.syspath_prepend(str(ROOT))
    (pytester.path / "failures").mkdir()
    (pytester.path / "failures/create-037acf80.pd").write_bytes(GOLDEN.read_bytes())
    (pytester.path / "failures/status.toml").write_text(
        '["create-037acf80.pd"]\nstatus = "fixed"\nticket = "SHOP-12"\n'
    )
    found = dict(re.findall(r"(?ms)^```(toml|sh|text)\n(.*?)^```$", GUIDE.read_text(encoding="utf-8")))
    buggy = found["toml"].replace("--port {port}", "--port {port} --bug duplicate-names")
    (pytester.path / "pyproject.toml").write_text(buggy)
    results = [run(pytester, *shlex.split(line)[1:]) for line in found["sh"].splitlines()]
    report = [re.sub(r"[\d.]+ ms", "? ms", line) for line in results[0].outlines]

    assert [1, 0] == [result.ret for result in results]
    assert [] == [line for line in re.sub(r"[\d.]+ ms", "? ms", found["text"]).splitlines() if line not in report]


def test_the_guide_names_every_option(pytester: pytest.Pytester):
    """Its tables list what the command line and the configuration may say of saved bugs."""
    told = run(pytester, "--help").stdout.str()
    rows = set(re.findall(r"(?m)^\| `((?:--)?replaykit[a-z_-]+)", GUIDE.read_text(encoding="utf-8")))

    assert rows == set(re.findall(r"(?m)^  ((?:--)?replaykit[a-z_-]+)", told)) - {"--replaykit-record"}
