"""The suite through the command line: bundles held against their status, live and offline, exit code first."""

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jsonschema
import junitparser
import pytest
from conftest import ROOT, Ran, environment, processes, replaykit
from lxml import etree
from test_docs import blocks, commands_of

from replaykit import integration, project
from replaykit.adapter import Adapter
from replaykit.cli import console
from replaykit.cli.app import run
from replaykit.model import Model
from replaykit.reader import read
from replaykit.service import Started, await_health
from replaykit.status import FILE, Status, statuses

SERVICE = "python -S tests/dying.py {port}"
PROJECT = f"""
[tool.replaykit.profiles.tally]
model = "tests/mortal.py:Tally"
adapter = "tests/mortal.py:TallyApi"
start = "{SERVICE} well"
health = "/"

[tool.replaykit.profiles.other]
model = "tests/other.py:Tally"
adapter = "tests/other.py:TallyApi"
start = "{SERVICE} wrong"
health = "/"
"""
GUIDE = (ROOT / "docs" / "guides" / "suite.md").read_text(encoding="utf-8")
BUG = "bug.pd"  # adds 8 or more, which the service of the same name gets wrong
SMALL = "small.pd"  # adds little, and passed when it was recorded
OTHER = "other.pd"  # the same as the bug, of another model
ZERO = "a-zero.pd"  # adds 0, and passed; the wrong service dies of it

Here = Callable[..., Ran]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a project with a service, its model, a profile, and a few bundles."""
    home = tmp_path_factory.mktemp("project")
    (home / "pyproject.toml").write_text(PROJECT)
    (home / "tests").mkdir()
    for name in ("mortal.py", "dying.py"):
        shutil.copy(ROOT / "tests" / name, home / "tests")
    shutil.copy(ROOT / "tests" / "mortal.py", home / "tests" / "other.py")
    names = ("tests/mortal.py:Tally", "tests/mortal.py:TallyApi")
    others = ("tests/other.py:Tally", "tests/other.py:TallyApi")
    model, adapter = (project.load(f"{home}/{each}", kind) for each, kind in zip(names, (Model, Adapter), strict=True))
    told = {"model": model, "adapter": adapter, "health_check": "/", "free_port": True}
    wrong = {"seed": 1, "max_runs": 30, "restart": True, "stop_on_fail": True}
    command = SERVICE.replace("tests/", f"{home}/tests/")
    made, kept = home / "made", home / "failures"
    integration.run(start=f"{command} well", seed=2, max_runs=30, max_commands=1, record=made, names=names, **told)
    kept.mkdir()
    for name, each in ((BUG, names), (OTHER, others)):
        found = integration.run(start=f"{command} wrong", save_failures=home / name, names=each, **wrong, **told)
        shutil.copy(str(found.failures[0].path), kept / name)
    for name, numbers in ((SMALL, range(1, 8)), (ZERO, (0,))):
        found = [
            path
            for path in sorted(made.glob("run-*.pd"))
            if [call.args["number"] in numbers for call in read(path).trace.sequence] == [True]
        ]
        shutil.copy(found[0], kept / name)
    return home


@pytest.fixture
def here(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """Run command lines in this process, in the project."""
    monkeypatch.chdir(home)
    monkeypatch.setattr(console, "_hush", [])
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("PATH", environment()["PATH"])

    def ran(*words: object) -> Ran:
        code = run([*map(str, words)])
        return Ran(code, *capsys.readouterr())

    return ran


@pytest.fixture(scope="module")
def wrong(home: Path) -> Iterator[str]:
    """Give the URL of a service with the bug."""
    command = f"{sys.executable} -S {home}/tests/dying.py {{port}} wrong"
    with Started(command) as started:
        await_health(f"{started.url}/", patience=10)
        yield started.url


def corpus(folder: Path, home: Path, *names: str, status: str = "") -> Path:
    """Put some of the bundles into a folder, with what is known of them."""
    folder.mkdir(exist_ok=True)
    for name in names:
        shutil.copy(home / "failures" / name, folder)
    if status:
        (folder / FILE).write_text(status)
    return folder


def outcomes(ran: Ran) -> dict[str, str]:
    """Read the outcome of each bundle from what was printed."""
    found = re.findall(r"(?m)^  [✓✗?] ([a-z ]+?) +(\S+)  ", ran.out)
    return {Path(bundle).name: outcome for outcome, bundle in found}


@pytest.mark.parametrize(
    ("status", "code", "outcome"), [("open", 0, "expected"), ("fixed", 1, "regression"), ("wontfix", 0, "expected")]
)
def test_bug_that_shows_is_held_against_its_status(
    status: str, code: int, outcome: str, here: Here, home: Path, wrong: str, tmp_path: Path
):
    """A bug that is there is a regression where it was fixed, and expected else."""
    folder = corpus(tmp_path / "saved", home, BUG, SMALL, status=f'["{BUG}"]\nstatus = "{status}"\nticket = "T-1"\n')
    ran = here("suite", folder, "--url", wrong, "--health", "/")

    assert code == ran.code, ran
    assert {BUG: outcome, SMALL: "expected"} == outcomes(ran)
    assert f"reproduced ({status}, T-1)" in ran.out
    assert (f" replay {folder / BUG} --url {wrong} --health /\n" in ran.out) == (code == 1)


@pytest.mark.parametrize(
    ("status", "options", "code", "outcome"),
    [
        ("open", [], 1, "gone"),
        ("open", ["--lenient"], 0, "gone"),
        ("wontfix", [], 0, "gone"),
        ("fixed", [], 0, "expected"),
    ],
)
def test_bug_that_is_gone_is_held_against_its_status(
    status: str, options: list[str], code: int, outcome: str, here: Here, home: Path, tmp_path: Path
):
    """An open bug that does not show any more is told, and fails unless that is let pass; the profile is found."""
    folder = corpus(tmp_path / "saved", home, BUG, status=f'["{BUG}"]\nstatus = "{status}"\n')
    ran = here("suite", folder, *options)

    assert code == ran.code, ran
    assert {BUG: outcome} == outcomes(ran)
    if outcome == "gone":
        assert "--profile tally" in ran.out


def test_each_bundle_is_judged_with_its_profile(here: Here, home: Path, tmp_path: Path):
    """Each is asked of the service of its own profile; what the command line names counts for all."""
    folder = corpus(tmp_path / "saved", home, BUG, OTHER, status=f'["{BUG}"]\nstatus = "fixed"\n')
    ran = here("suite", folder)
    all_wrong = here("suite", folder, "--start", f"{SERVICE} wrong", "--health", "/")

    assert (0, 1) == (ran.code, all_wrong.code), ran
    assert {BUG: "expected", OTHER: "expected"} == outcomes(ran)
    assert {BUG: "regression", OTHER: "expected"} == outcomes(all_wrong)
    assert "--profile" not in all_wrong.out


def test_bundle_that_kills_the_service_leaves_the_others_right(here: Here, home: Path, tmp_path: Path):
    """The service is started again: what killed it is not judged, all others are; the exit code is 125."""
    folder = corpus(tmp_path / "saved", home, ZERO, BUG, SMALL, status=f'["{BUG}"]\nstatus = "open"\n')
    ran = here("suite", folder, "--start", f"{SERVICE} wrong", "--health", "/")

    assert 125 == ran.code, ran
    assert {ZERO: "not judged", BUG: "expected", SMALL: "expected"} == outcomes(ran)
    assert "out of memory" in ran.out
    assert "VERDICT not judged: 1 not judged, 2 as expected (exit 125)" == ran.verdict


def test_what_died_of_others_is_judged_again(here: Here, home: Path, tmp_path: Path):
    """A service that dies once, under the second bundle, is started again, and both are judged."""
    folder = corpus(tmp_path / "saved", home, BUG, SMALL)
    shutil.copy(folder / SMALL, folder / ZERO)
    mark = tmp_path / "died"
    ran = here("suite", folder, "--start", f"{SERVICE} once {mark}", "--health", "/")

    assert mark.exists()
    assert {ZERO: "expected", BUG: "gone", SMALL: "expected"} == outcomes(ran), ran
    assert "judged again with the service started anew" in ran.out


def test_regression_that_is_not_confirmed_by_a_new_service_is_not_judged(here: Here, home: Path, tmp_path: Path):
    """What only a service shows that others have used is undecided: neither 0 nor 1."""
    folder = corpus(tmp_path / "saved", home, SMALL, BUG, status=f'["{BUG}"]\nstatus = "fixed"\n')
    shutil.copy(folder / SMALL, folder / ZERO)
    mark = tmp_path / "sick"
    service = tmp_path / "service.py"
    service.write_text(
        (home / "tests" / "dying.py")
        .read_text()
        .replace("total += 1", "total += Handler.mark_once()")
        .replace(
            "    def die(self)",
            "    def mark_once():\n        first = not Handler.mark.exists()\n        Handler.mark.touch()\n"
            "        return first\n\n    def die(self)",
        )
    )
    ran = here("suite", folder, "--start", f"python -S {service} {{port}} wrong {mark}", "--health", "/")

    assert 125 == ran.code, ran
    assert {ZERO: "expected", BUG: "not judged", SMALL: "expected"} == outcomes(ran)
    assert "either it is rarer than it was" in ran.out


def test_service_that_is_not_there_is_125_for_all_its_bundles(here: Here, home: Path, tmp_path: Path):
    """It is waited for once, and not for each bundle."""
    folder = corpus(tmp_path / "saved", home, BUG, SMALL, ZERO)
    began = time.monotonic()
    ran = here("suite", folder, "--url", "http://127.0.0.1:9", "--health-timeout", "0.5")

    assert 125 == ran.code, ran
    assert {"not judged"} == {*outcomes(ran).values()}
    assert 3 == len(outcomes(ran))
    assert time.monotonic() - began < 1.4


def test_bad_bundles_do_not_hide_the_others(here: Here, home: Path, tmp_path: Path):
    """A bundle that is cut, and one whose model is not there, are told; the exit code is 128."""
    folder = corpus(tmp_path / "saved", home, BUG, SMALL)
    (folder / "cut.pd").write_bytes((folder / BUG).read_bytes()[:-40])
    (folder / "edited.pd").write_bytes((folder / BUG).read_bytes().replace(b"Tally", b"Tilly"))
    ran = here("suite", folder, "--offline")

    assert 128 == ran.code, ran
    assert {BUG: "expected", SMALL: "expected", "cut.pd": "broken", "edited.pd": "broken"} == outcomes(ran)
    assert "bundle-truncated: " in ran.out
    assert "VERDICT broken: 2 broken, 2 as expected (exit 128)" == ran.verdict


def test_offline_the_model_is_asked_whatever_the_status_is(here: Here, home: Path, tmp_path: Path):
    """Each bug reproduces from its cassette; where the model does not see it any more, the exit code is 1."""
    folder = corpus(tmp_path / "saved", home, BUG, SMALL, status=f'["{BUG}"]\nstatus = "fixed"\n')
    blind = tmp_path / "blind.py"
    said = "Added(total=self.total + cmd.number"
    blind.write_text((home / "tests" / "mortal.py").read_text().replace(said, f"{said} + (cmd.number > 7)"))
    seen = here("suite", folder, "--offline")
    unseen = here("suite", folder, "--offline", "--model", f"{blind}:Tally", "--adapter", f"{blind}:TallyApi")

    assert (0, 1) == (seen.code, unseen.code), unseen
    assert {BUG: "expected", SMALL: "expected"} == outcomes(seen)
    assert {BUG: "unseen", SMALL: "expected"} == outcomes(unseen)
    assert "VERDICT unseen: 1 bug that the model does not see any more, 1 as expected (exit 1)" == unseen.verdict


def test_offline_cassettes_are_played_in_the_order_that_is_asked_for(here: Here, home: Path, tmp_path: Path):
    """An adapter that asks in another order than recorded does not fit, unless any order will do."""
    folder = corpus(tmp_path / "saved", home, BUG)
    names = tmp_path / "names.py"
    said = (home / "tests" / "mortal.py").read_text()
    names.write_text(said.replace('self.http.post("/reset")', 'self.http.post("/reset")\n        ' * 2 + "return"))
    words = ("suite", folder, "--offline", "--model", f"{names}:Tally", "--adapter", f"{names}:TallyApi")

    assert (125, 0) == (here(*words).code, here(*words, "--order", "any").code)


@pytest.mark.parametrize("words", [[], ["-k", "another"], ["--status", "wontfix"]])
def test_nothing_to_judge_is_125(words: list[str], here: Here, home: Path, tmp_path: Path):
    """A folder without bundles, or a selection of none of them, is no success."""
    folder = corpus(tmp_path / "saved", home, *([BUG] if words else []))
    ran = here("suite", folder, "--offline", *words)

    assert 125 == ran.code, ran
    said = "1 bundle, of which none is asked for" if words else "there is no bundle"
    assert f"VERDICT nothing to judge: {said} (exit 125)" == ran.verdict


def test_selection(here: Here, home: Path, tmp_path: Path):
    """Bundles are selected by status, path and ticket; the project's failures/ are the usual ones."""
    folder = corpus(
        tmp_path / "saved", home, BUG, SMALL, ZERO, status=f'["{BUG}"]\nticket = "SHOP-7"\n["{ZERO}"]\nstatus = "fixed"'
    )
    (folder / "more").mkdir()
    shutil.move(folder / SMALL, folder / "more" / SMALL)

    assert [BUG] == [*outcomes(here("suite", folder, "--offline", "-k", "shop-7"))]
    assert [ZERO] == [*outcomes(here("suite", folder, "--offline", "--status", "fixed"))]
    assert [SMALL] == [*outcomes(here("suite", folder / "more", "--offline"))]
    twice = here("suite", folder, folder / BUG, "--offline")
    assert ([ZERO, BUG, SMALL], 3) == ([*outcomes(twice)], twice.out.count("✓")), twice
    assert [ZERO, BUG, OTHER, SMALL] == [*outcomes(here("suite", "--offline"))]


def test_fail_fast_ends_with_the_first_that_is_not_as_expected(here: Here, home: Path, tmp_path: Path):
    """What was not come to is counted, in the conclusion and in the reports."""
    folder = corpus(tmp_path / "saved", home, BUG, SMALL)
    (folder / "b.pd").write_text("version: 1\n")
    ran = here("suite", folder, "--offline", "-x", "--report", f"junit={tmp_path / 'x.xml'}")

    assert 128 == ran.code, ran
    assert {"b.pd": "broken"} == outcomes(ran)
    assert "1 broken, 2 bundles not come to" in ran.verdict
    report = junitparser.JUnitXml.fromfile(str(tmp_path / "x.xml"))
    assert (2, 2) == (report.tests, report.errors)


def test_statuses_of_no_bundle_are_told(here: Here, home: Path, tmp_path: Path):
    """A name that is misspelt would leave a bug open for ever."""
    folder = corpus(tmp_path / "saved", home, BUG, status='["bgu.pd"]\nstatus = "fixed"\n')
    ran = here("suite", folder, "--offline")

    assert 0 == ran.code, ran
    assert "Warning: 1 status is of no bundle; the one that is meant, if there is one, counts as open:" in ran.out
    assert f"  {folder / FILE}: bgu.pd" in ran.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "There is no file or folder nowhere"),
        (["--offline", "--url", "http://127.0.0.1:1"], "needs no service"),
        (["--url", "http://127.0.0.1:1", "--jobs", "2"], "can't share 1 service"),
        (["--report", "ctrf"], "There is no report 'ctrf'"),
        (["--offline", "--times", "0"], "neither auto nor a number"),
        (["--order", "any"], "how a cassette is played"),
    ],
)
def test_what_is_asked_wrongly_is_129(words: list[str], said: str, here: Here):
    """A mistake of the caller is told before anything is replayed."""
    ran = here("suite", *words)

    assert 129 == ran.code, ran
    assert said in ran.err
    assert {} == outcomes(ran)


def test_status_file_that_is_not_well_made_is_129(here: Here, home: Path, tmp_path: Path):
    """Nothing is guessed of what people have written."""
    folder = corpus(tmp_path / "saved", home, BUG, status=f'["{BUG}"]\nstatus = "mended"\n')
    ran = here("suite", folder, "--offline")

    assert 129 == ran.code, ran
    assert "error[status]" in ran.err


def test_reports_say_the_same(here: Here, home: Path, wrong: str, tmp_path: Path):
    """JSON holds against its schema, JUnit against that of Jenkins; each tells each bundle once."""
    status = f'["{BUG}"]\nticket = "SHOP-12"\n["again.pd"]\nstatus = "fixed"\n'
    folder = corpus(tmp_path / "saved", home, BUG, SMALL, status=status)
    shutil.copy(folder / BUG, folder / "again.pd")
    (folder / "b.pd").write_text("version: 1\n")
    places = {each: tmp_path / f"suite.{each}" for each in ("junit", "json", "markdown", "terminal")}
    ran = here(
        "suite", folder, "--url", wrong, "--health", "/", "--quiet",
        *(word for name, path in places.items() for word in ("--report", f"{name}={path}")),
    )  # fmt: skip
    told = json.loads(places["json"].read_text())
    jsonschema.validate(told, json.loads((ROOT / "docs/reference/suite.schema.json").read_text()))
    etree.XMLSchema(etree.parse(ROOT / "tests/schemas/junit-10.xsd")).assertValid(etree.parse(places["junit"]))
    [listed] = junitparser.JUnitXml.fromfile(str(places["junit"]))
    cases = {Path(case.classname).name: case for case in listed}
    kinds = {name: [(type(each).__name__, each.type) for each in case.result] for name, case in cases.items()}

    assert 128 == ran.code, ran
    assert {"again.pd": "regression", "b.pd": "broken"} == outcomes(ran)
    assert {"again.pd": "regression", "b.pd": "broken", BUG: "expected", SMALL: "expected"} == {
        Path(each["bundle"]).name: each["outcome"] for each in told["entries"]
    }
    assert {
        "again.pd": [("Failure", "Regression")], "b.pd": [("Error", "Broken")], BUG: [("Skipped", None)], SMALL: [],
    } == kinds  # fmt: skip
    assert "open bug SHOP-12 (expected)" == cases[BUG].result[0].message
    assert "expectation add after add" == cases[BUG].name
    assert "[[PROPERTY|ticket=SHOP-12]]" in (cases[BUG].system_out or "")
    assert {f"{folder / BUG}.ticket": "SHOP-12", f"{folder / BUG}.verdict": "reproduced"}.items() <= {
        each.name: each.value for each in listed.properties()
    }.items()
    assert (128, "broken", 4) == (told["exit_code"], told["outcome"], told["bundles"])
    assert "| ✗ regression | " in places["markdown"].read_text()
    assert ran.verdict in places["terminal"].read_text()


def test_json_alone_is_on_standard_output(home: Path):
    """With --json, standard output is one document, also for programs that the adapter starts."""
    ran = replaykit("suite", "--offline", "--json", cwd=home)

    assert 0 == ran.code, ran
    assert {"expected": 4} == {name: each for name, each in json.loads(ran.out)["counts"].items() if each}
    assert "VERDICT as expected: 4 as expected (exit 0)" in ran.err


def test_github_is_told(here: Here, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What is printed gives the runner no orders; annotations come last, and the summary of the job is written."""
    folder = corpus(tmp_path / "saved", home, BUG, SMALL)
    (folder / "b.pd").write_text("version: 1\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    ran = here("suite", folder, "--offline")
    [word] = re.findall(r"(?m)^::stop-commands::(\S+)$", ran.out)

    assert 128 == ran.code, ran
    assert f"\n::{word}::\n::error title=broken%3A " in ran.out
    assert "# Regression suite: broken" in (tmp_path / "summary.md").read_text()


def test_jobs_have_a_service_each(home: Path, tmp_path: Path):
    """Two processes tell in the order of one; what a process dies of is broken, and the others are judged."""
    folder = corpus(tmp_path / "saved", home, ZERO, BUG, SMALL, status=f'["{BUG}"]\nstatus = "fixed"\n')
    for number in range(3):
        shutil.copy(folder / BUG, folder / f"more-{number}.pd")
    names, mark = tmp_path / "names.py", tmp_path / "mark"
    said = "import os\n" + (home / "tests" / "mortal.py").read_text().replace(
        "answer = self", "os._exit(9) if cmd.number == 0 else None\n        answer = self"
    )
    names.write_text(said)
    ran = replaykit(
        "suite", folder, "--start", f"{SERVICE} wrong {mark}", "--health", "/", "--jobs", "2",
        "--model", f"{names}:Tally", "--adapter", f"{names}:TallyApi", cwd=home,
    )  # fmt: skip

    assert 128 == ran.code, ran
    more = {f"more-{number}.pd": "expected" for number in range(3)}
    assert [*{ZERO: "broken", BUG: "regression", **more, SMALL: "expected"}.items()] == [*outcomes(ran).items()]
    assert "the process in which it was judged has ended" in ran.out
    assert [] == processes(str(mark))


def test_ctrl_c_tells_what_was_judged(home: Path, tmp_path: Path):
    """Ctrl-C ends with 130, the reports of what was judged, and no service left behind."""
    folder = corpus(tmp_path / "saved", home, BUG)
    for number in range(40):
        shutil.copy(folder / BUG, folder / f"bug-{number:02}.pd")
    mark = f"{tmp_path}/mark"
    process = subprocess.Popen(
        [sys.executable, "-m", "replaykit", "suite", str(folder), "--start", f"{SERVICE} well {mark}", "--health", "/",
         "--lenient", "--times", "20", "--report", f"json={tmp_path / 'suite.json'}"],
        cwd=home, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()  # one is judged
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    told = json.loads((tmp_path / "suite.json").read_text())

    assert 130 == process.returncode, out
    assert "interrupted" == told["outcome"]
    assert 1 <= len(told["entries"]) < told["bundles"]
    assert "VERDICT interrupted: " in out
    assert [] == processes(mark)


def test_closed_and_reopened(here: Here, home: Path, tmp_path: Path):
    """What is known of a bug is written beside its bundle, and what people wrote there stays."""
    before = f'# ours\n["{SMALL}"]  # looked at\nstatus = "wontfix"\nnote = "old"\n'
    folder = corpus(tmp_path / "saved", home, BUG, SMALL, status=before)
    closed = here("close", folder / BUG, "--ticket", "SHOP-12", "--note", "mended in 2.3")
    text = (folder / FILE).read_text()
    reopened = here("reopen", folder / BUG, folder / SMALL, "--note", "")

    assert (0, 0) == (closed.code, reopened.code), reopened
    assert f"{folder / BUG}: fixed, SHOP-12, mended in 2.3 (was open)\n" == closed.out
    assert f'{before}\n["{BUG}"]\nstatus = "fixed"\nticket = "SHOP-12"\nnote = "mended in 2.3"\n' == text
    assert {BUG: Status("open", "SHOP-12"), SMALL: Status("open")} == statuses(folder)
    assert (folder / FILE).read_text().startswith(f'# ours\n["{SMALL}"]  # looked at\n')


def test_what_a_status_says_stays_in_its_line(here: Here, home: Path, tmp_path: Path):
    """Nothing in it can look like a line of ours, or like an order for who reads along."""
    folder = corpus(tmp_path / "saved", home, BUG)
    closed = here("close", folder / BUG, "--note", "N\n::stop-commands::x")

    assert (0, f"{folder / BUG}: fixed, N\\n::stop-commands::x (was open)\n") == (closed.code, closed.out)


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("none.pd", 129, "missing-file"),
        (".", 129, "is a folder"),
        ("b.pd", 128, "bundle"),
        ("odd/\udcff.pd", 129, "is not UTF-8"),
    ],
)
def test_nothing_is_written_where_one_can_not_be_closed(
    name: str, code: int, said: str, here: Here, home: Path, tmp_path: Path
):
    """A bundle that is not there, a folder, and what is no bundle have no status."""
    folder = corpus(tmp_path / "saved", home, BUG)
    (folder / "b.pd").write_text("hello\n")
    (folder / "odd").mkdir()
    (folder / "odd" / "\udcff.pd").write_text("")
    ran = here("close", folder / BUG, folder / name)

    assert code == ran.code, ran
    assert said in ran.err
    assert not (folder / FILE).exists()


# --- the guide ----------------------------------------------------------------------------------


def test_the_guide_holds(
    duplicate_names: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Its story comes to the exit codes and the lines that it shows; so do its file and its program."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(console, "_hush", [])
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("PATH", environment()["PATH"])
    folder = tmp_path / "failures"
    folder.mkdir()
    shutil.copy(duplicate_names, folder)
    found = blocks(GUIDE)
    story = [command for kind, text in found if kind == "console" for command in commands_of(text)]
    codes = []
    for command in story:
        words = [word.replace("failures/", f"{folder}/") for word in shlex.split(command.line)[1:]]
        code = run([*words, *([str(folder)] if words[0] == "suite" else [])])
        printed = capsys.readouterr().out.replace(f"{folder}/", "failures/")
        lines = [re.sub(r"(replay it: ).*?(?= replay )", r"\1replaykit", line) for line in printed.splitlines()]

        assert [] == [line for line in command.shown if line != "..." and line not in lines], printed
        assert f"(exit {code})" in printed or "close" in words
        codes.append(code)
    [file] = [text for kind, text in found if kind == "toml"]
    [program] = [text for kind, text in found if kind == "python"]
    exec(compile(program, "guide", "exec"), {})  # noqa: S102  it is our own

    assert [0, 1, 0, 0, 1, 0] == codes
    assert file.replace("  # or open, or wontfix", "") == (folder / FILE).read_text()
    assert re.search(r"(?m)^0 \d+ as expected$", capsys.readouterr().out)
