"""Reporting: which reports are asked for, when they are written, and what becomes of trouble."""

import json
import os
from pathlib import Path
from typing import Any, ClassVar

import pytest

from replaykit import Command, Event, Mock, Model, expects, integration, invariant, on
from replaykit.account import Account
from replaykit.errors import UnwritableError, UsageError
from replaykit.report import json as json_report
from replaykit.report import terminal
from replaykit.reporting import Report, Reports, asked_for, attached
from replaykit.result import Result
from replaykit.trace import Trace
from replaykit.watcher import Several, Watcher


class Ask(Command):
    pass


class Told(Event):
    pass


class Asking(Model):
    commands: ClassVar = (Ask,)

    @expects
    def answers(self, cmd: Ask) -> Told:
        return Told()


class Faulty(Asking):
    count: int = 0

    @on
    def told(self, event: Told) -> None:
        self.count += 1

    @invariant
    def counts(self) -> None:
        assert self.count < 3


def run(**options: Any) -> integration.Result:
    """Run a model against itself."""
    return integration.run(**{"model": Asking, "adapter": Mock, "seed": 1, "max_runs": 3, "max_commands": 4, **options})


@pytest.mark.parametrize(
    ("asked", "path", "read"),
    [
        ("junit=a.xml", None, [Report("junit", "a.xml")]),
        ("junit", "a.xml", [Report("junit", "a.xml")]),
        (["junit", "json=b.json"], "a.xml", [Report("junit", "a.xml"), Report("json", "b.json")]),
        ({"junit": Path("a=b.xml"), "ndjson": "-"}, None, [Report("junit", "a=b.xml"), Report("ndjson", "-")]),
        (["terminal", "github"], None, [Report("terminal"), Report("github")]),
        (["terminal", "junit"], "a.xml", [Report("terminal"), Report("junit", "a.xml")]),
        (["terminal", "github"], "a.txt", [Report("terminal", "a.txt"), Report("github")]),
        (None, None, []),
    ],
)
def test_reports_are_asked_for(asked: Any, path: str | None, read: list[Report]):
    """A format with or without its path, several of them, or a mapping; the path goes to the one that has none."""
    assert read == asked_for(asked, path)


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ("pdf", None),
        ("junit=", None),
        ("github=a", None),
        (None, "a.xml"),
        (["junit", "json"], "a.xml"),
        ("junit=a.xml", "b.xml"),
        (["junit=a", "json=./a"], None),
        (["json=-", "ndjson=-"], None),
    ],
)
def test_what_makes_no_sense_is_wrong_usage(asked: Any, path: str | None):
    """An unknown format, a path too many or too few, two reports in one place."""
    with pytest.raises(UsageError):
        asked_for(asked, path)


def test_path_is_made_where_none_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The file has the time in its name, and what is there already is not written over."""
    monkeypatch.chdir(tmp_path)
    for _ in range(3):
        run(report="junit")

    assert 3 == len(list((tmp_path / "reports").glob("integration_*Z*.xml")))


def test_path_of_a_folder_gets_a_file_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A path that ends in a slash, or a folder that is there, is where the file with the time in its name goes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    run(report={"junit": "new/", "json": "there", "terminal": "new/"})
    made = {folder: sorted(each.name for each in Path(folder).iterdir()) for folder in ("new", "there")}

    assert {"new": [".txt", ".xml"], "there": [".json"]} == {
        folder: sorted(Path(name).suffix for name in names) for folder, names in made.items()
    }
    assert all(name.startswith("integration_") for names in made.values() for name in names)


@pytest.mark.parametrize("path", ["file/a.xml", "file/new/a.xml"])
def test_file_where_a_folder_has_to_be_is_named(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where no folder can be made since there is a file, that is said of the file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()

    with pytest.raises(UnwritableError, match=f"^{path} can't be written: file is a file, and no folder"):
        run(report=f"junit={path}")


def test_report_that_takes_no_path_says_so():
    """What is said of a path for GitHub is that there can be none, and not that it lacks one."""
    with pytest.raises(UsageError, match="github takes no path, and 'github=a' has one"):
        asked_for("github=a")


def test_all_formats_are_written_by_the_function(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """`run(report=...)` takes all formats at once, makes the folders, and prints what has no file."""
    asked = {
        **{name: tmp_path / "new" / f"a.{name}" for name in ("markdown", "junit", "json", "ndjson", "ctrf", "html")},
        "terminal": "",
    }
    result = run(report=asked)

    assert result.success
    assert {"a.markdown", "a.junit", "a.json", "a.ndjson", "a.ctrf", "a.html"} == {
        each.name for each in (tmp_path / "new").iterdir()
    }
    assert json.loads((tmp_path / "new" / "a.json").read_text())["total_runs"] == 3
    assert "3 of 3 runs, 3 passed" in capsys.readouterr().out


def test_events_are_written_while_it_runs(tmp_path: Path):
    """When a run is told, the file has the lines of all runs before it."""
    path, seen = tmp_path / "events.ndjson", []

    class Looking(Watcher):
        def ran(self, number: int, trace: Trace, seconds: float) -> None:
            seen.append([json.loads(line)["event"] for line in path.read_text().splitlines()])

    run(report={"ndjson": path}, watcher=Looking())

    assert [["began"], ["began", "run"], ["began", "run", "run"]] == seen
    assert ["began", "run", "run", "run", "ended"] == [
        json.loads(line)["event"] for line in path.read_text().splitlines()
    ]


def test_report_is_written_after_ctrl_c(tmp_path: Path):
    """A campaign that is interrupted in its second run has its report, and says so."""

    class Stopping(Watcher):
        def ran(self, number: int, trace: Trace, seconds: float) -> None:
            if number == 2:
                raise KeyboardInterrupt

    result = run(report={"json": tmp_path / "a.json", "junit": tmp_path / "a.xml"}, watcher=Stopping())
    told = json.loads((tmp_path / "a.json").read_text())

    assert result.interrupted is not None
    assert (True, 2, 130, False) == tuple(told[key] for key in ("interrupted", "total_runs", "exit_code", "success"))
    assert "The campaign was interrupted after 2 runs." in (tmp_path / "a.xml").read_text()


def test_ctrl_c_while_reports_are_written_loses_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The campaign is over, and is given as interrupted; all reports are there, and the events have one end."""
    render, tries = json_report.render, []

    def interrupted(told: Account) -> str:
        tries.append(told)
        if len(tries) == 1:
            raise KeyboardInterrupt
        return render(told)

    monkeypatch.setattr(json_report, "render", interrupted)
    asked = [f"{name}={tmp_path}/a.{name}" for name in ("json", "markdown", "ndjson")]
    result = run(report=asked)

    assert 3 == result.total_runs
    assert result.interrupted is not None
    assert ["a.json", "a.markdown", "a.ndjson"] == sorted(each.name for each in tmp_path.iterdir())
    assert 1 == (tmp_path / "a.ndjson").read_text().count('"event": "ended"')


def test_events_of_a_hunt_that_goes_on_stand_behind_those_before(tmp_path: Path):
    """What stands in the file is kept, the line in which a killed writer was too; a new campaign begins anew."""
    path = tmp_path / "events.ndjson"
    path.write_text('{"event": "run"}\n{"event": "r')
    result = Result(Asking, Mock, ("asking:Asking", "mock"), seed=1, max_runs=3, resumed_after=2, resumed_bugs=1)
    told = []
    for result.resumed_after in (2, 0):
        reports = Reports([Report("ndjson", str(path))])
        reports.began(result, None)
        reports.ended(result)
        told.append(path.read_text().splitlines())

    assert ['{"event": "run"}', '{"event": "r'] == told[0][:2]
    assert (2, 1) == tuple(json.loads(told[0][2])[key] for key in ("resumed_after", "resumed_bugs"))
    assert 2 == len(told[1])


def test_report_for_the_terminal_has_the_verdict_and_what_replays(tmp_path: Path):
    """It is what the terminal shows: how each bundle is replayed, of known bugs too, and the verdict as last line."""
    result = run(model=Faulty, max_runs=2)
    [bug] = result.failures
    bug.path = tmp_path / "a.pd"
    result.known.append(bug)
    Reports([Report("terminal", str(tmp_path / "a.txt"))], command=lambda path: f"again {path.name}").ended(result)
    lines = (tmp_path / "a.txt").read_text().splitlines()
    result.interrupted = KeyboardInterrupt()

    assert 2 == lines.count("  replay it: again a.pd")
    assert "VERDICT failed: found 1 distinct failure in 2 runs, and 1 known bug again (exit 1)" == lines[-1]
    assert "after 2 runs, 1 distinct failure found, and 1 known bug seen again" == terminal.verdict(result)


def test_file_that_can_not_be_written_is_told_before_the_first_run(tmp_path: Path):
    """A file in place of the folder is found at once, and not after a night."""
    (tmp_path / "file").touch()

    with pytest.raises(UnwritableError):
        run(report={"json": tmp_path / "file" / "a.json"})


@pytest.mark.parametrize("name", ["junit", "ndjson"])
def test_trouble_in_one_report_does_not_lose_the_others(name: str, tmp_path: Path):
    """A full disk under one of the reports leaves the others whole; the trouble is a warning."""
    asked = [f"{name}=/dev/full", f"json={tmp_path}/a.json", f"markdown={tmp_path}/a.md"]
    with pytest.warns(RuntimeWarning, match="/dev/full can't be written") as warned:
        run(report=asked)

    assert 1 == len(warned)
    assert ["a.json", "a.md"] == sorted(each.name for each in tmp_path.iterdir())


def test_mistake_in_one_report_does_not_lose_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whatever a renderer raises is kept, and what another one writes is there."""
    monkeypatch.setattr("replaykit.report.junit.render", lambda *_, **__: 1 / 0)
    reports = Reports([Report("junit", str(tmp_path / "a.xml")), Report("json", str(tmp_path / "a.json"))])
    run(watcher=Several(reports))

    assert ["ZeroDivisionError" in str(each) for each in reports.troubles] == [True]
    assert [str(tmp_path / "a.json")] == reports.written


def test_bug_of_a_model_run_against_itself_is_told(tmp_path: Path):
    """What fails is in the events in its order: found, counted, shrunk; the report has it shrunk."""
    path = tmp_path / "events.ndjson"
    run(model=Faulty, max_runs=2, report={"ndjson": path})
    events = [json.loads(line) for line in path.read_text().splitlines()]

    assert ["began", "found", "run", "shrunk", "run", "ended"] == [each["event"] for each in events]
    [bug] = events[-1]["report"]["failures"]
    assert ("counts", 3, 2) == (bug["name"], len(bug["steps"]), bug["occurrences"])
    assert events[1]["fingerprint"] == events[2]["fingerprint"] == bug["fingerprint"]


@pytest.mark.parametrize(
    ("variables", "path"),
    [
        ({}, "failures/a.pd"),
        ({"CI_PROJECT_DIR": "{here}/.."}, "{name}/failures/a.pd"),
        ({"JENKINS_URL": "http://127.0.0.1:1/"}, "{here}/failures/a.pd"),
        ({"CI_PROJECT_DIR": "/elsewhere"}, "{here}/failures/a.pd"),
    ],
    ids=["plain", "gitlab", "jenkins", "outside"],
)
def test_attachment_is_where_its_reader_looks(
    variables: dict[str, str], path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """GitLab takes a path from the project's folder, Jenkins an absolute one."""
    monkeypatch.chdir(tmp_path)
    for name in ("CI_PROJECT_DIR", "JENKINS_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, os.path.normpath(value.format(here=tmp_path)) if "{" in value else value)

    assert path.format(here=tmp_path, name=tmp_path.name) == attached("failures/a.pd")
