"""Hunts: the loop over bugs, what is known, and the journal that a hunt goes on from."""

import gc
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, environment, leaderboard, processes

from examples.leaderboard import Leaderboard, LeaderboardApi
from replaykit import integration, load_failure, replay, service
from replaykit.corpus import known_in
from replaykit.culprit import blamed
from replaykit.errors import BundleError, JournalError, MissingFileError, UnreachableError, UsageError
from replaykit.finding import Finding
from replaykit.generate import Parallel
from replaykit.hunt import Hunt
from replaykit.reader import read
from replaykit.report import terminal
from replaykit.result import Result
from replaykit.shrink import Budget
from replaykit.verdict import Verdict
from replaykit.watcher import Watcher

BUGS = ("tie-order", "duplicate-names", "score-cap", "lost-increase", "stale-list", "blank-names", "ignore-case")
SEED = 3
RUNS = 25


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Give the URL of a leaderboard with all its sequential bugs but one on, which would hide the others."""
    start = f"{sys.executable}{leaderboard(*BUGS)[len('python') :]}"
    with service.reached(url=None, start=start, health=None, patience=None) as reached:
        yield reached


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test be a project of its own, without the corpus of this one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT))


def hunt(url: str, folder: Path | None = None, **more: Any) -> Hunt:
    """Hunt on the leaderboard."""
    usual: dict[str, Any] = {"stop_after": None, "max_runs": RUNS, "max_commands": 20, "seed": SEED, "base_url": url}
    return integration.hunt_bugs(model=Leaderboard, adapter=LeaderboardApi, save_to=folder, **{**usual, **more})


def told(result: Result) -> list[object]:
    """Say all that a hunt came to, but for times."""
    coverage = result.coverage
    return [
        [
            (
                bug.fingerprint, bug.occurrences, bug.first_seen_run, bug.seed, bug.calls_before, bug.sightings,
                [(call.tag, call.args) for call in bug.trace.sequence],
            )
            for bug in result.failures
        ],
        [(bug.fingerprint, bug.occurrences, bug.first_seen_run) for bug in result.known],
        [result.total_runs, result.passed, result.failed, result.not_judged, result.steps, result.requests],
        [coverage.runs, coverage.commands, coverage.checks, coverage.outcomes, coverage.transitions],
        [coverage.endpoints, coverage.labels, result.exit_code],
    ]  # fmt: skip


@pytest.fixture(scope="module")
def whole(url: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """Hunt once, from the beginning to the end."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        hunting = hunt(url, folder)
        list(hunting)
    return folder, hunting.result


# --- the loop -----------------------------------------------------------------------------------


def test_hunt_gives_each_bug_when_it_is_shrunk_until_enough_are_found(url: str):
    """Two bugs that were asked for come one after the other, each once, and the hunt says why it ended."""
    with hunt(url, stop_after=2, max_runs=None) as bugs:
        found = [(bug.fingerprint, bug.shrunk is not None, bug.first_seen_run) for bug in bugs]

    assert 2 == len({fingerprint for fingerprint, _, _ in found})
    assert all(is_shrunk for _, is_shrunk, _ in found)
    assert found[-1][2] == bugs.result.total_runs
    assert "2 of 2 bugs are found" == bugs.result.stopped
    assert 1 == bugs.result.exit_code


def test_bug_says_what_the_guide_promises(whole: tuple[Path, Result]):
    """A bug has its fingerprint, its failure, its occurrences, the run and the seed that showed it first."""
    _, result = whole
    bug = result.failures[0]

    assert bug.failure.fingerprint == bug.fingerprint
    assert 1 <= bug.first_seen_run <= result.total_runs
    assert sum(each.occurrences for each in result.failures) == result.failed
    assert bug.seed == load_failure(bug.path or "").provenance.seed


def test_value_that_is_left_out_of_a_command_is_to_be_put_in(whole: tuple[Path, Result]):
    """Below a command in which the value of a setting is not shown stands what its dots are for."""
    result = whole[1]
    shown = terminal.render(result, lambda path: f"replay {path} --set key=...").splitlines()
    plain = terminal.render(result, lambda path: f"replay {path}").splitlines()
    below = [shown[number + 1] for number, line in enumerate(shown) if line.startswith("  replay it: ")]

    assert ["    (... stands for a value that is not shown; put it in)"] * len(result.failures) == below
    assert set(below).isdisjoint(plain)


def test_discoveries_are_the_findings_in_their_order(whole: tuple[Path, Result]):
    """The discovery curve has a point for each bug, and only rises."""
    _, result = whole
    curve = result.discoveries

    assert [bug.fingerprint for bug in result.failures] == [each.fingerprint for each in curve]
    assert [*curve] == sorted(curve, key=lambda each: (each.run, each.seconds))
    assert 0 < curve[-1].seconds <= result.duration


@pytest.mark.parametrize(
    ("terms", "runs", "why"),
    [
        ({"plateau": 4, "max_runs": None, "budget": Budget(executions=0)}, None, "nothing new in the last 4 runs"),
        ({"max_time": 0.05, "max_runs": None}, None, "the time of 0.05s is over"),
        ({"max_runs": 2}, 2, ""),
    ],
    ids=["plateau", "time", "runs"],
)
def test_hunt_ends_and_says_why(url: str, terms: dict[str, Any], runs: int | None, why: str):
    """A plateau, a time and a number of runs each end a hunt that asks for more bugs than there are."""
    with hunt(url, stop_after=100, **terms) as bugs:
        found = list(bugs)

    assert why == bugs.result.stopped
    assert runs in {None, bugs.result.total_runs}
    if "plateau" in terms:
        assert bugs.result.total_runs == found[-1].first_seen_run + 4


@pytest.mark.parametrize("way", ["with", "close", "break", "end", "never begun"])
def test_service_is_stopped_however_the_hunt_is_left(way: str):
    """The service that a hunt has started is gone after `with`, `close`, `break`, the end of the loop, or at once."""
    mark = f"--host 127.0.0.{11 + len(way)}"
    start = f"{leaderboard(*BUGS)} {mark}".replace("{port}", "47329")
    started = {"start": start, "base_url": f"http://127.0.0.{11 + len(way)}:47329", "health_check": "none"}
    bugs = hunt("", **{**started, "stop_after": 1})
    there = processes(mark)
    if way == "with":
        with bugs:
            next(bugs)
    elif way == "close":
        next(bugs)
        bugs.close()
        bugs.close()
    elif way == "end":
        list(bugs)
    elif way == "break":
        for _ in bugs:
            break
    if way in {"break", "never begun"}:
        del bugs
        gc.collect()

    assert there
    assert [] == processes(mark)


def test_wrong_options_are_told_at_once(url: str, tmp_path: Path):
    """A hunt with an unknown option, of no bugs, or of a folder that is none, does not begin."""
    with pytest.raises(TypeError, match="no option 'max_run'"):
        hunt(url, max_run=3)
    with pytest.raises(UsageError, match="is at least 1"):
        hunt(url, stop_after=0)
    with pytest.raises(UsageError, match="is no folder"):
        hunt(url, known=[tmp_path / "nothing"])
    with pytest.raises(UsageError, match="no folder with a hunt to go on with"):
        hunt(url, resume=True)
    with pytest.raises(UsageError, match="Nothing ends this campaign"):
        hunt(url, max_runs=None, plateau=None)
    with pytest.raises(UsageError, match="Nothing ends this campaign"):
        integration.run(model=Leaderboard, adapter=LeaderboardApi, base_url=url, max_runs=None)
    with pytest.raises(UsageError, match="written by the campaign itself"):
        hunt(url, tmp_path, report=f"ndjson={tmp_path}/new/../hunt.jsonl")
    with pytest.raises(UnreachableError):
        hunt("http://127.0.0.1:9", health_check="none", health_timeout=0.1)


class Interrupting(Watcher):
    """A watcher that is interrupted in a run."""

    def __init__(self, run: int) -> None:
        self.run = run

    def ran(self, number: int, trace: object, seconds: float) -> None:
        """Be interrupted."""
        if number == self.run:
            raise KeyboardInterrupt


def test_interrupt_is_raised_to_the_loop_and_the_hunt_goes_on_later(
    url: str, tmp_path: Path, whole: tuple[Path, Result]
):
    """Ctrl-C comes out of the loop when all is written; what is resumed comes to what was not interrupted."""
    with pytest.raises(KeyboardInterrupt), hunt(url, tmp_path / "bugs", watcher=Interrupting(3)) as bugs:
        list(bugs)
    again = hunt(url, tmp_path / "bugs", seed=None, resume=True)
    list(again)

    seconds = [round(bug.shrunk.seconds, 3) for bug in bugs.result.failures if bug.shrunk is not None]

    assert bugs.result.interrupted is not None
    assert 3 == again.result.resumed_after
    assert 0 < again.result.resumed_seconds < again.result.duration
    assert seconds == [bug.shrunk.seconds for bug in again.result.failures[: len(seconds)] if bug.shrunk is not None]
    assert sum(seconds) > 0
    assert told(whole[1]) == told(again.result)


class Stopping(Watcher):
    """A watcher that stops the service after a run."""

    def __init__(self, started: service.Started, run: int) -> None:
        self.started = started
        self.run = run

    def ran(self, number: int, trace: object, seconds: float) -> None:
        """Stop it."""
        if number == self.run:
            self.started.stop()


def test_run_in_which_the_service_died_is_made_again(url: str, tmp_path: Path, whole: tuple[Path, Result]):
    """A hunt whose service died goes on with the run that could not be judged, and comes to the same."""
    firsts = {bug.first_seen_run for bug in whole[1].failures}
    last = next(run for run in range(2, RUNS) if run not in firsts)  # in whose end nothing is shrunk
    with service.Started(f"{sys.executable}{leaderboard(*BUGS)[len('python') :]}") as started:
        service.await_port(started.url, patience=20)
        stopping = {"watcher": Stopping(started, last), "health_check": "none"}
        with hunt(started.url, tmp_path / "bugs", **stopping) as stopped:
            list(stopped)
    again = hunt(url, tmp_path / "bugs", seed=None, resume=True)
    list(again)

    assert stopped.result.died
    assert last == again.result.resumed_after
    assert told(whole[1]) == told(again.result)


# --- what is known ------------------------------------------------------------------------------


def test_known_bugs_are_counted_and_neither_shrunk_nor_saved_again(
    url: str, whole: tuple[Path, Result], tmp_path: Path
):
    """With the bundles of a hunt in failures/, the same hunt finds nothing new, and says what it has seen again."""
    folder, result = whole
    shutil.copytree(folder, tmp_path / "failures", ignore=shutil.ignore_patterns("hunt.jsonl"))
    again = hunt(url, tmp_path / "new", report={"ndjson": tmp_path / "a.ndjson"})
    found = list(again)
    events = [json.loads(line) for line in (tmp_path / "a.ndjson").read_text().splitlines()]
    known = [each for each in events if each["event"] == "known"]
    with hunt(url, stop_after=1, max_runs=1) as unsaved:
        found += unsaved

    assert [] == found
    assert [] == sorted((tmp_path / "new").glob("*.pd"))
    assert {(bug.fingerprint, bug.occurrences, bug.first_seen_run) for bug in result.failures if bug.occurrences} == {
        (bug.fingerprint, bug.occurrences, bug.first_seen_run) for bug in again.result.known if bug.occurrences
    }
    assert 1 == again.result.exit_code
    assert result.failed == again.result.failed
    assert [(bug.fingerprint, bug.failure.message, str(bug.path)) for bug in again.result.known] == [
        (each["fingerprint"], each["failure_reason"], each["bundle"]) for each in known
    ]
    assert any(read(bug.path).failure.message != bug.failure.message for bug in again.result.known if bug.path)


def test_what_is_not_shrunk_broken_or_of_another_model_is_not_known(whole: tuple[Path, Result], tmp_path: Path):
    """Only whole and shrunk bundles of the same model or adapter say that a bug is known."""
    names = ("examples.leaderboard:Leaderboard", "examples.leaderboard:LeaderboardApi")
    [path, *_] = sorted(whole[0].glob("*.pd"))
    content = path.read_bytes()
    (tmp_path / "cut.pd").write_bytes(content[: content.rindex(b"# {")])
    (tmp_path / "none.pd").write_bytes(b"nothing")
    assert not read(tmp_path / "cut.pd").whole
    assert read(tmp_path / "cut.pd").failure.is_finding

    assert {} == known_in([tmp_path, tmp_path / "nowhere"], names)
    assert {path} == {each for each in known_in([whole[0]], names).values() if each == path}
    assert {} == known_in([whole[0]], ("shop:Shop", "shop:ShopApi"))
    assert known_in([whole[0]], ("elsewhere:Leaderboard", "shop:ShopApi"))


# --- the journal --------------------------------------------------------------------------------


def lines_of(folder: Path) -> list[bytes]:
    """Return the lines of a journal."""
    return (folder / "hunt.jsonl").read_bytes().splitlines(keepends=True)


def test_journal_has_a_line_for_each_run_and_each_bug(whole: tuple[Path, Result]):
    """The lines are JSON, begin with the hunt's options, and count what the result counts."""
    folder, result = whole
    lines = [json.loads(line) for line in lines_of(folder)]
    runs = [line for line in lines if line["k"] == "run"]

    assert ("hunt", 1, SEED, 20) == tuple(lines[0][key] for key in ("k", "format", "seed", "commands"))
    assert list(range(1, RUNS + 1)) == [line["run"] for line in runs]
    assert result.requests == sum(line["requests"] for line in runs)
    assert [bug.fingerprint for bug in result.failures] == [
        line["fingerprint"] for line in lines if line["k"] == "found"
    ]
    assert {"k": "end", "runs": RUNS} == {key: lines[-1][key] for key in ("k", "runs")}


def test_hunt_that_is_cut_after_any_line_comes_to_the_same(url: str, whole: tuple[Path, Result], tmp_path: Path):
    """Whichever line was the last that was written, or half written, the hunt goes on to the same bugs and counts."""
    folder, result = whole
    lines = lines_of(folder)
    cuts = {1, 2, 3, len(lines) // 2, len(lines) - 1}
    for cut in sorted(cuts):
        copy = tmp_path / str(cut)
        shutil.copytree(folder, copy)
        found_until_then = {json.loads(line).get("fingerprint") for line in lines[:cut]}
        for path in copy.glob("*.pd"):
            if path.stem.rpartition("-")[2] not in found_until_then:
                path.unlink()
        (copy / "hunt.jsonl").write_bytes(b"".join(lines[:cut]) + lines[cut][: len(lines[cut]) // 2])
        again = hunt(url, copy, seed=None, resume=True)
        list(again)

        assert told(result) == told(again.result), cut
        assert "end" == [json.loads(line) for line in lines_of(copy)][-1]["k"]


def test_finding_that_was_not_shrunk_is_shrunk_when_the_hunt_goes_on(url: str, tmp_path: Path):
    """A bug that was only saved when the hunt was stopped is shrunk first, and given before what is found later.

    Who brought it is not forgotten, where somebody has found that out meanwhile.
    """
    folder = tmp_path / "bugs"
    first = hunt(url, folder, max_runs=1, budget=Budget(executions=0))
    [saved] = list(first)
    known = known_in([folder], ("examples.leaderboard:Leaderboard", "examples.leaderboard:LeaderboardApi"))
    assert saved.path is not None
    blamed(saved.path, "1a2b3c")
    again = hunt(url, folder, max_runs=1, seed=None, resume=True)
    [bug] = list(again)

    assert saved.shrunk is None
    assert {} == known
    assert bug.shrunk is not None
    assert bug.shrunk.confirmed
    assert load_failure(bug.path or "").provenance.shrinking is not None
    assert "1a2b3c" == load_failure(bug.path or "").origin.culprit
    assert ["hunt", "found", "run", "end", "resumed", "shrunk", "end"] == [
        json.loads(line)["k"] for line in lines_of(folder)
    ]


def broken(name: str, lines: list[bytes]) -> list[bytes]:
    """Break a journal in a line that is not the last."""
    if name == "another number":
        return [*lines[:3], lines[3].replace(b'"k":', b'"k" :'), *lines[4:]]
    if name == "a line is left out":
        return [*lines[:3], *lines[4:]]
    if name == "no JSON":
        return [lines[0], b"nothing\n", *lines[1:]]
    if name == "too long":
        return [lines[0], b"x" * (2 << 20), b"\n", *lines[1:]]
    return [b'{"k":"hunt","format":99,"sum":"00000000"}\n', *lines[1:]]


@pytest.mark.parametrize("name", ["another number", "a line is left out", "no JSON", "too long", "another beginning"])
def test_journal_that_was_changed_is_refused_with_the_line(
    url: str, name: str, whole: tuple[Path, Result], tmp_path: Path
):
    """A line that is broken, and not the last one, is a named error, and nothing is changed."""
    folder = tmp_path / "bugs"
    shutil.copytree(whole[0], folder)
    (folder / "hunt.jsonl").write_bytes(b"".join(broken(name, lines_of(folder))))
    before = (folder / "hunt.jsonl").read_bytes()
    number = {"another number": 4, "a line is left out": 4, "another beginning": 1}.get(name, 2)

    with pytest.raises(JournalError, match=rf"hunt\.jsonl, line {number}: it was changed, or broken"):
        hunt(url, folder, resume=True)
    assert before == (folder / "hunt.jsonl").read_bytes()


def signed(*lines: dict[str, Any]) -> bytes:
    """Write lines with the sums that they need."""
    from replaykit.ledger import summed

    content, before = b"", ""
    for line in lines:
        body = json.dumps(line, separators=(",", ":")).encode()
        before = summed(before, body)
        content += b'%s,"sum":"%s"}\n' % (body[:-1], before.encode())
    return content


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ({"k": "run", "run": 2}, "RanLine|Field required|at"),
        ({"k": "nothing"}, "there is no line of kind 'nothing'"),
        ({"k": ["run"]}, "there is no line of kind"),
        ({"k": "shrunk", "fingerprint": "0", "sightings": 1, "at": 1.0}, "nothing with the fingerprint '0'"),
        ({"k": "run", "run": 2, "steps": 1}, "run 2 can't come after run 0"),
        ({"k": "run", "run": 1, "steps": -1}, "run 1 can't come after run 0"),
        ({"k": "run", "run": 1, "fingerprint": "0"}, "nothing with the fingerprint '0'"),
        ({"k": "run", "run": 1, "seen": [[0, 1]]}, "counts nothing"),
        ({"k": "run", "run": 1, "new": [["refs", "a", "b"]]}, "no table 'refs'"),
        ({"k": "run", "run": 1, "new": [["commands"]]}, "is no entry"),
        ({"k": "run", "run": 1, "left_out": [1]}, "left_out"),
        ({"k": "run", "run": 1, "more": 1}, "more"),
    ],
)
def test_line_that_says_what_can_not_be_is_refused(
    url: str, line: dict[str, Any], why: str, whole: tuple[Path, Result], tmp_path: Path
):
    """A journal whose sums fit is read with care all the same."""
    first = json.loads(lines_of(whole[0])[0])
    del first["sum"]
    usual = {"at": 1.0, "seconds": 1.0, "ending": "passed", "steps": 1, "requests": 1}
    given = {**line, **{key: value for key, value in usual.items() if key not in line and len(line) > 2}}
    given = given if line["k"] == "run" else line
    (tmp_path / "hunt.jsonl").write_bytes(signed(first, given))

    with pytest.raises(JournalError, match=f"line 2: .*({why})"):
        hunt(url, tmp_path, resume=True)


def test_hunt_goes_on_only_with_the_same_options(url: str, whole: tuple[Path, Result], tmp_path: Path):
    """Other options than then are named, with what they were; the limits may be others."""
    folder = tmp_path / "bugs"
    shutil.copytree(whole[0], folder)
    with pytest.raises(UsageError, match=r"seed 3, now 4; commands 20, now 7; swarm False, now True\."):
        hunt(url, folder, seed=4, max_commands=7, swarm=True, resume=True)
    with pytest.raises(UsageError, match=r"parallel None, now '2x2'; repeat None, now 10"):
        hunt(url, folder, parallel=Parallel(2, 2), resume=True)
    with hunt(url, folder, seed=None, max_runs=RUNS + 2, resume=True) as again:
        list(again)

    assert RUNS + 2 == again.result.total_runs


def test_bundle_that_is_gone_is_told_when_the_hunt_goes_on(url: str, whole: tuple[Path, Result], tmp_path: Path):
    """A hunt whose bundle was taken away is a usage error, since what it had found can't be told any more."""
    folder = tmp_path / "bugs"
    shutil.copytree(whole[0], folder)
    next(folder.glob("*.pd")).unlink()

    with pytest.raises(UsageError, match="whose bundle is not there any more"):
        hunt(url, folder, resume=True)


def test_two_hunts_in_one_folder_are_refused(url: str, tmp_path: Path):
    """While a hunt has a folder, another one in it is a usage error; afterwards it is none."""
    with hunt(url, tmp_path / "bugs"), pytest.raises(UsageError, match="Another hunt is going on"):
        hunt(url, tmp_path / "bugs")
    with hunt(url, tmp_path / "bugs", max_runs=1) as after:
        list(after)

    assert 1 == after.result.total_runs


def test_new_hunt_puts_one_that_was_stopped_aside_and_says_so(url: str, tmp_path: Path):
    """Without `resume`, the journal of a hunt that was stopped is kept beside the new one, and that is said."""
    with hunt(url, tmp_path / "bugs") as stopped:
        next(stopped)
    before = (tmp_path / "bugs" / "hunt.jsonl").read_bytes()
    with hunt(url, tmp_path / "bugs", max_runs=1) as second:
        list(second)
    aside = (tmp_path / "bugs" / "hunt.jsonl.old").read_bytes()
    with hunt(url, tmp_path / "bugs", max_runs=1) as third:
        list(third)

    [note] = second.result.notes
    assert "was stopped after 1 runs" in note
    assert before == aside
    assert [] == third.result.notes


def test_nothing_to_go_on_with_is_said(url: str, tmp_path: Path):
    """With `resume` in a folder without a hunt, one begins, and that is said."""
    with hunt(url, tmp_path / "bugs", max_runs=1, resume=True) as bugs:
        list(bugs)

    [note] = bugs.result.notes
    assert "There is no hunt to go on with" in note
    assert 0 == bugs.result.resumed_after


@pytest.mark.parametrize("content", [b"", b'{"k":"hunt","format":1,"mod'], ids=["empty", "torn"])
def test_hunt_that_was_killed_before_its_first_line_begins(url: str, content: bytes, tmp_path: Path):
    """A journal without a whole line is no hunt to go on with: a new one begins, and that is said."""
    (tmp_path / "hunt.jsonl").write_bytes(content)
    with hunt(url, tmp_path, max_runs=1, budget=Budget(executions=0), resume=True) as bugs:
        list(bugs)

    assert "There is no hunt to go on with" in bugs.result.notes[0]
    assert (1, 0) == (bugs.result.total_runs, bugs.result.resumed_after)


def test_restarts_are_counted_again(url: str, whole: tuple[Path, Result], tmp_path: Path):
    """How often the service was started again, in runs and while shrinking, is not lost when a hunt goes on."""
    first, *lines = [json.loads(line) for line in lines_of(whole[0])]
    shutil.copytree(whole[0], tmp_path / "bugs")
    next(line for line in lines if line["k"] == "run")["restarts"] = 2
    next(line for line in lines if line["k"] == "shrunk")["restarts"] = 3
    for line in (first, *lines):
        del line["sum"]
    (tmp_path / "bugs" / "hunt.jsonl").write_bytes(signed(first, *lines))
    with hunt(url, tmp_path / "bugs", resume=True) as again:
        pass

    assert 5 == again.result.restarts


def test_known_bug_needs_no_bundle_when_the_hunt_goes_on(url: str, whole: tuple[Path, Result], tmp_path: Path):
    """A known bug whose bundle was taken away is counted as before; the hunt that goes on has its failure."""
    shutil.copytree(whole[0], tmp_path / "failures", ignore=shutil.ignore_patterns("hunt.jsonl"))
    with hunt(url, tmp_path / "new", max_runs=4) as first:
        list(first)
    shutil.rmtree(tmp_path / "failures")
    with hunt(url, tmp_path / "new", max_runs=4, resume=True) as again:
        list(again)

    assert first.result.known
    assert told(first.result)[1] == told(again.result)[1]
    assert [bug.failure.name for bug in first.result.known] == [bug.failure.name for bug in again.result.known]
    assert "KNOWN" in terminal.render(again.result)


HUNTING = """
import json, sys
from pathlib import Path

sys.path[:0] = [sys.argv[4], sys.argv[4] + "/tests"]
from test_hunt import hunt, told

hunting = hunt(sys.argv[1], Path(sys.argv[2]), resume=sys.argv[3] == "resume")
list(hunting)
"""


def test_killed_hunt_goes_on_to_the_same_bugs_and_counts(url: str, whole: tuple[Path, Result], tmp_path: Path):
    """SIGKILL at random moments, three times in one hunt: what goes on comes to what was never killed."""
    import random

    draw = random.Random(7)
    for turn in range(2):
        folder, mode, killed = tmp_path / str(turn), "begin", 0
        for _ in range(3):
            command = [sys.executable, "-c", HUNTING, url, str(folder), mode, str(ROOT)]
            with subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL) as process:
                lines = len(lines_of(folder)) if mode == "resume" else 0
                deadline = time.monotonic() + 20
                while process.poll() is None and time.monotonic() < deadline:
                    if (folder / "hunt.jsonl").exists() and len(lines_of(folder)) > lines:
                        break
                    time.sleep(0.005)
                time.sleep(draw.random() * 0.4)
                process.send_signal(signal.SIGKILL)
            killed += process.returncode == -signal.SIGKILL
            mode = "resume"
        with hunt(url, folder, seed=None, resume=True) as again:
            list(again)

        assert killed
        assert told(whole[1]) == told(again.result)


# --- one failure --------------------------------------------------------------------------------


def test_saved_failure_is_loaded_and_replayed(url: str, whole: tuple[Path, Result]):
    """A failure that is loaded, or named by its path, is replayed with the model and the adapter that it names."""
    bug: Finding = whole[1].failures[0]
    os.chdir(ROOT)  # the elsewhere fixture goes back
    failure = load_failure(str(bug.path))

    assert bug.fingerprint == failure.failure.fingerprint
    assert Verdict.REPRODUCED == replay(failure, base_url=url).verdict
    assert Verdict.REPRODUCED == replay(bug.path or "", url=url).verdict
    assert Verdict.REPRODUCED == replay(str(bug.path), offline=True).verdict
    with pytest.raises(UsageError, match="named twice"):
        replay(failure, base_url=url, url=url)


def test_what_is_no_failure_is_not_loaded(whole: tuple[Path, Result], tmp_path: Path):
    """A file that is missing, cut, or none, is an error of its own."""
    content = next(whole[0].glob("*.pd")).read_bytes()
    (tmp_path / "cut.pd").write_bytes(content[:-100])
    (tmp_path / "none.pd").write_bytes(b"nothing")

    with pytest.raises(MissingFileError):
        load_failure(tmp_path / "missing.pd")
    for name in ("cut.pd", "none.pd"):
        with pytest.raises(BundleError):
            load_failure(tmp_path / name)


# --- the guide ----------------------------------------------------------------------------------


def test_guide_does_what_it_says(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The Python of the guide hunts for two bugs, and replays one of them."""
    text = (ROOT / "docs" / "guides" / "hunting.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"(?ms)^```python\n(.*?)^```$", text)).replace("http://127.0.0.1:4600", url)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")  # what a bundle names lies inside the project
    exec(compile(code, "hunting.md", "exec"), {})  # noqa: S102
    out = capsys.readouterr().out

    assert 2 == len(list((tmp_path / "bugs").glob("*.pd")))
    assert "2 of 2 bugs are found [" in out
    assert "Verdict.REPRODUCED" in out
