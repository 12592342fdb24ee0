"""Reports of faults: what was done reads as a fault, what was sent meanwhile says so, and all formats have it."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import jsonschema
import pytest
from click.testing import CliRunner
from conftest import ROOT, environment
from jar import Jar, JarApi, Piggy
from markdown_it import MarkdownIt

from replaykit import Adapter, Command, fault, integration
from replaykit.account import Account, Bug, account
from replaykit.adapter import Adapters
from replaykit.bundle import Bundle
from replaykit.cli.show import show
from replaykit.coverage import NO_FAULT, Coverage
from replaykit.export import render as export
from replaykit.export import sent
from replaykit.export.plan import plan_of
from replaykit.importing.har import read as har
from replaykit.interaction import Interaction, Request, Response, Trouble
from replaykit.journal import Entries, RanLine
from replaykit.portrait import portrait
from replaykit.portrait import render as portrayed
from replaykit.project import policy_here
from replaykit.reader import read
from replaykit.redact import Redactor
from replaykit.report import coverage as covered
from replaykit.report import faults, junit, markdown, mermaid, outline, plain, steps, terminal
from replaykit.result import Result
from replaykit.sequence import Call
from replaykit.trace import Said, Step, Trace
from replaykit.verdict import Failure
from replaykit.writer import save

REFERENCE = ROOT / "docs" / "reference"
GET, POST = (Request(method=each, url="http://127.0.0.1:1/b") for each in ("GET", "POST"))
ANSWERED, UNSENT = Interaction(request=POST, response=Response(status=200)), Trouble(error="ConnectError")


class Shaky(Piggy):
    """The jar behind something that answers in its place."""

    commands: ClassVar[tuple[type[Command], ...]] = (*Piggy.commands, fault.ErrorStatus)


class Twice(Piggy):
    """The jar where requests may come twice."""

    commands: ClassVar[tuple[type[Command], ...]] = (*Piggy.commands, fault.Duplicated)


class Helpless(Adapter[Piggy]):
    """Says it as the other one does, and finds nothing out."""

    reset, put, take, look, coins = JarApi.reset, JarApi.put, JarApi.take, JarApi.look, JarApi.coins


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Result, Bundle, Path]]:
    """Hunt the bug that is only seen after a retry; give what came of it, and its bundle."""
    folder = tmp_path_factory.mktemp("faults")
    with Jar(bugs=("forgetful",)) as jar:
        result = integration.run(
            model=Shaky, adapter=JarApi, base_url=jar.url, seed=1, max_runs=12, save_failures=folder
        )
    [path] = folder.glob("*.pd")
    yield result, read(path), path


@pytest.fixture(scope="module")
def told(found: tuple[Result, Bundle, Path]) -> Account:
    """Give the account of the hunt."""
    return account(found[0], redactor())


def redactor() -> Redactor:
    """Make one that covers what the project says."""
    return Redactor(policy_here())


def labels(bundle: Bundle) -> tuple[int, int]:
    """Give the labels of the fault, and of the step that failed under it."""
    [began, failed] = bundle.trace.steps
    return began.call.label, failed.call.label


def test_a_fault_reads_as_one_and_what_is_sent_meanwhile_says_so(found: tuple[Result, Bundle, Path]):
    """In the terminal, a fault has no answer, and the step under it names the fault; a tampered answer says so."""
    bundle = found[1]
    began, failed = labels(bundle)
    lines = steps.render(bundle.trace).splitlines()

    assert lines[0].startswith(f"  ⚡ [{began:>2}] error status for 1 step: all requests, status 50")
    assert lines[1].startswith(f"  ✗ [{failed:>2}] put(")
    assert lines[1].endswith(f"  (under [{began}] error status)")
    assert re.search(r"POST /coins  50\d \(answered by a fault\)", lines[2])
    assert "injected" not in "\n".join(lines)
    assert f"⚡ [{began:>2}]" in steps.render(bundle.trace, verbose=True)


def test_plain_text_has_the_fault_too(found: tuple[Result, Bundle, Path]):
    """What git compares says the fault once, in ASCII, with the step that went through it."""
    bundle = found[1]
    began, failed = labels(bundle)
    lines = plain.render(bundle).splitlines()

    assert f"[{began}] fault error status for 1 step" in "\n".join(lines)
    assert f"(under [{began}] error status)" in next(each for each in lines if each.startswith(f"[{failed}]"))
    assert "  ! answered by a fault" in lines
    assert not any("injected" in each for each in lines)


def test_the_account_of_a_bug_has_faults_as_keys(told: Account, found: tuple[Result, Bundle, Path]):
    """Each step says which fault it is, or under which it was sent; requests say what was done to them."""
    [bug] = told.failures
    began, _ = labels(found[1])
    first, second = bug.steps
    document = json.loads((REFERENCE / "report.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads(told.model_dump_json()), document)

    assert first.fault is not None
    assert first.fault.startswith("error status for 1 step")
    assert (f"fault {first.fault}", ()) == (first.call, first.under)
    assert (None, [(began, "error status")]) == (second.fault, [(each.label, each.name) for each in second.under])
    assert "status" == second.requests[0].tampered
    assert {None} == {each.tampered for each in first.requests}


def test_reports_in_lines_show_it(told: Account, found: tuple[Result, Bundle, Path]):
    """JUnit, Markdown and all that is made of the outline: an exclamation mark stands before a fault."""
    began, failed = labels(found[1])
    lines = outline.render(told.failures[0]).splitlines()
    fault_line = next(each for each in lines if each.startswith("! "))

    assert fault_line.startswith(f"! [{began}] error status for 1 step: all requests, status 50")
    assert next(each for each in lines if each.startswith(f"x [{failed}]")).endswith(f"(under [{began}] error status)")
    assert fault_line in markdown.render(told)
    assert fault_line in junit.render(told, host="here")


def test_the_diagram_shades_the_steps_under_a_fault(told: Account, found: tuple[Result, Bundle, Path]):
    """What is sent while a fault lasts stands in a rect that is closed, also where the diagram is cut."""
    began, failed = labels(found[1])
    lines = [each.strip() for each in mermaid.render(told.failures[0]).splitlines()]
    start = lines.index(mermaid.SHADE)
    bug: Bug = told.failures[0]
    many = bug.steps[1].requests[0].replace(tampered=None)
    long = bug.replace(
        steps=(bug.steps[0], bug.steps[1].replace(requests=[many.replace(url=f"{many.url}{n}") for n in range(200)]))
    )
    cut = [each.strip() for each in mermaid.render(long).splitlines()]

    assert lines[start - 1].startswith("Note over C,S: [") or "S-->>C" in lines[start - 1]
    assert lines[start + 1].startswith(f"Note over C,S: [{failed}]")
    assert lines[start + 1].endswith(f"under [{began}]")
    assert 1 == lines.count("end") == cut.count("end") == cut.count(mermaid.SHADE)
    assert ["end", f"Note over C,S: [{began}] error status is over"] == lines[-2:]
    assert "end" == cut[-1]
    assert "Note over C,S: and more, left out here" == cut[-2]


def test_show_as_json_is_as_its_schema_says(found: tuple[Result, Bundle, Path]):
    """The portrait of a bundle has the fault, the steps under it, and what was done to requests."""
    _, bundle, path = found
    began, _ = labels(bundle)
    document = json.loads(portrayed(portrait(bundle, path)))
    jsonschema.validate(document, json.loads((REFERENCE / "show.schema.json").read_text(encoding="utf-8")))
    first, second = document["steps"]

    assert first["fault"].startswith("error status for 1 step")
    assert ([], [began], None) == (first["under"], second["under"], second["fault"])
    assert "status" == second["requests"][0]["tampered"]


def test_a_ticket_tells_the_fault(found: tuple[Result, Bundle, Path]):
    """The ticket names the fault, and under which one a step failed."""
    _, bundle, path = found
    began, _ = labels(bundle)
    ticket = sent(bundle, path.read_bytes(), "ticket", path).decode()

    assert f"1. fault `[{began}] error status for 1 step" in ticket
    assert f"`(under [{began}] error status)`: **it fails**" in ticket
    assert "(`answered by a fault`)" in ticket


@pytest.mark.parametrize("tag", ["fault_kill", "fault_pause", "fault_restart", "fault_error_status"])
def test_a_fault_of_the_process_is_replayed_with_a_service_that_is_started(
    found: tuple[Result, Bundle, Path], tmp_path: Path, tag: str
):
    """The ticket and show name --start alone where the process is shaken, else --url too."""
    _, bundle, _ = found
    [began, failed] = bundle.trace.steps
    began = began.replace(
        call=began.call.replace(tag=tag, args={"steps": 1}),
        event=Said(tag="injected", version=1, data=f'{{"fault":"{tag}","steps":1}}'.encode()),
    )
    path = tmp_path / "shaken.pd"
    save(path, bundle.origin, bundle.trace.replace(steps=(began, failed)))
    ticket = sent(read(path), path.read_bytes(), "ticket", path).decode()
    shown = CliRunner().invoke(show, [str(path)]).output
    is_process = tag in faults.PROCESS

    assert is_process == ("replaykit replay ISSUE.md --start" in ticket) == ("--url URL" not in ticket)
    assert is_process == ("--url" not in shown)
    assert '--start "COMMAND with {port}"' in shown


# --- words --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "args", "said"),
    [
        ("fault_timeout", {"steps": 2, "stream": "downstream", "share": 1.0, "milliseconds": 10},
         "timeout for 2 steps: downstream, all connections, 10 ms"),
        ("fault_latency", {"steps": 1, "stream": "upstream", "share": 0.25, "milliseconds": 10, "jitter": 3},
         "latency for 1 step: upstream, 25 % of the connections, 10 ms, give or take 3 ms"),
        ("fault_slicer", {"steps": 1, "stream": "upstream", "share": 1, "average": 9, "variation": 0, "delay": 5},
         "slicer for 1 step: upstream, all connections, pieces of 9 bytes, 5 us between them"),
        ("fault_down", {"steps": 3}, "down for 3 steps"),
        ("fault_truncated", {"steps": 1, "share": 1.0, "keep": 0.5},
         "truncated for 1 step: all requests, 50 % of the body is kept"),
        ("slow\nanswers", {"steps": [1], "share": "x", "milliseconds": "a\nb", "more": {}},
         "slow\nanswers for [1] steps: 'x' of the requests, milliseconds='a\\nb', more={}"),
        ("fault_empty", {}, "empty"),
    ],
)  # fmt: skip
def test_what_a_fault_does_is_said_in_words(tag: str, args: dict[str, Any], said: str):
    """Directions, shares and numbers are said with their units; what is none of ours is shown as it is."""
    assert said == faults.told(Call(label=1, tag=tag, args=args))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"command":"hold","sent":true}', "the answer was lost"),
        (b'{"command":"hold","sent":false}', "it was not sent"),
        (b'{"command":"hold","sent":1}', "lost(command='hold', sent=1)"),
        (b'{"bag":"red"}', "lost(bag='red')"),
    ],
)
def test_what_became_of_a_lost_answer_is_said(data: bytes, said: str):
    """An event of a model that is called the same, and tells of something else, is shown as any other."""
    assert said == steps.said_text(Said(tag="lost", version=1, data=data))


def test_that_nothing_was_done_is_said_where_somebody_looked():
    """Who looks after the loss and is answered says it; a look that is lost too says nothing."""
    lost = Interaction(request=GET, trouble=Trouble(error="ReadError"))
    fine = Interaction(request=GET, response=Response(status=200))
    event = Said(tag="lost", version=1, data=b'{"command":"hold","sent":true}')
    told = {
        steps.said_text(event, Step(call=Call(label=2, tag="hold"), interactions=sent))
        for sent in ((), (lost,), (lost, lost), (fine, lost))
    }
    looked = Step(call=Call(label=2, tag="hold"), interactions=(lost, fine), event=event)

    assert {"the answer was lost"} == told
    assert "->  the answer was lost; nothing was done, as far as was seen" in steps.render(
        Trace(steps=(looked,), ending="passed")
    )


def test_closely_it_is_said_after_which_step_a_fault_is_over():
    """With -v, each fault that had a step ends after its last one; one that is still on does not."""
    said = Said(tag="injected", version=1, data=b'{"fault":"fault_kill","steps":2}')
    began = [Step(call=Call(label=label, tag="fault_kill"), event=said) for label in (1, 2)]
    sent = [Step(call=Call(label=label, tag="look"), faults=on) for label, on in ((3, (1, 2)), (4, (2,)), (5, ()))]
    lines = steps.render(Trace(steps=(*began, *sent), ending="passed"), verbose=True).splitlines()
    heads = [each.split("->")[0].strip() for each in lines]

    assert [
        "⚡ [ 1] kill", "⚡ [ 2] kill", "? [ 3] look()", "⚡ [1] kill is over", "? [ 4] look()", "⚡ [2] kill is over",
        "? [ 5] look()",
    ] == heads  # fmt: skip
    assert "is over" not in steps.render(Trace(steps=(*began, *sent), ending="passed"))


def under(*interactions: Interaction, faults_on: tuple[int, ...] = (1,)) -> Trace:
    """Make a run of one step."""
    step = Step(call=Call(label=2, tag="hold"), interactions=interactions, faults=faults_on)
    return Trace(steps=(step,), ending="unknown", reason="lost")


def test_who_asks_the_same_again_and_again_is_shown_once():
    """Equal requests in a row under a fault are one line; others, and those of other steps, are not."""
    request = Request(method="GET", url="http://127.0.0.1:1/b")
    lost = Interaction(request=request, trouble=Trouble(error="ReadError", message="gone"), elapsed=0.001)
    dates = [(("Date", str(number)),) for number in range(6)]
    looks = [
        Interaction(request=request, response=Response(status=200, headers=date, body=b"x"), elapsed=0.001)
        for date in dates
    ]
    folded = steps.render(under(lost, *looks)).splitlines()[1:]

    assert [
        "         GET /b  ReadError: gone  1.0 ms",
        "         GET /b  200  6.0 ms in all  x 6",
    ] == folded
    assert 7 == len(steps.render(under(lost, *looks, faults_on=())).splitlines()[1:])
    assert "         6 times with the same answer:" in steps.render(under(*looks), verbose=True).splitlines()


# --- faults at endpoints ------------------------------------------------------------------------


def rows(coverage: Coverage) -> list[tuple[Any, ...]]:
    """Give the matrix: fault, method, path; tried, lost, failed."""
    return [tuple(each.model_dump().values()) for each in coverage.crossed()]


def test_the_matrix_says_where_faults_were_tried_and_what_came_of_them(
    found: tuple[Result, Bundle, Path], told: Account
):
    """For each fault and endpoint: requests, lost answers, and runs with a finding; others were not sent under one."""
    result = found[0]
    crossed = {(each.method, each.path): each for each in result.coverage.crossed()}
    put = crossed["POST", "/coins"]
    endpoints = result.coverage.crossed_endpoints
    document = json.loads(covered.document(result))["faults"]

    assert ["fault_error_status"] == result.coverage.faults
    assert {("POST", "/coins"), ("POST", "/taken"), ("GET", "/coins")} <= set(endpoints)
    assert put.tried == put.lost > 0
    assert put.failed == result.failed > 0
    assert 0 == crossed["POST", "/taken"].failed
    assert f"faults x endpoints: {len(crossed)} of {len(endpoints)} tried" in covered.render(result.coverage)
    assert f"  seen to fail in {steps.count(put.failed, 'run')}: error status x POST /coins" in covered.render(
        result.coverage
    )
    assert put.model_dump() in document["crossings"]
    assert (len(crossed), len(endpoints), 0) == (document["tried"], document["total"], document["left_out"])
    assert told.faults_by_endpoint is not None
    assert (put.tried, put.lost, put.failed) == next(
        (each.tried, each.lost, each.failed) for each in told.faults_by_endpoint.crossings if each.path == "/coins"
        and each.method == "POST"
    )  # fmt: skip


def test_markdown_has_the_matrix_as_a_table(told: Account):
    """Endpoints are rows, faults are columns; what failed is bold."""
    matrix = told.faults_by_endpoint
    assert matrix is not None
    [put] = [each for each in matrix.crossings if (each.method, each.path) == ("POST", "/coins")]
    page = markdown.render(told)

    assert f"## Faults x endpoints: {matrix.tried} of {matrix.total} tried" in page
    assert f"| `POST /coins` | {put.tried}, {put.lost} lost, **{put.failed} failed** |" in page
    assert "<td><code>POST /coins</code></td>" in MarkdownIt("commonmark").enable("table").render(page)


def test_a_model_without_faults_has_no_matrix():
    """Nothing is counted or said of faults where there are none."""
    with Jar() as jar:
        result = integration.run(model=Piggy, adapter=JarApi, base_url=jar.url, seed=1, max_runs=2)
    coverage = result.coverage

    assert (0, [], "") == (coverage.crossings.total(), coverage.faults, covered.crossed(coverage))
    assert account(result, redactor()).faults_by_endpoint is None
    assert "aults x endpoints" not in markdown.render(account(result, redactor())) + covered.render(coverage)


def test_what_was_asked_after_the_last_loss_is_not_counted():
    """Who finds out asks with the fault and then without it: of what was answered, nobody knows which it was."""
    request = Request(method="GET", url="http://127.0.0.1:1/b")
    lost = Interaction(request=request, trouble=Trouble(error="ReadError"))
    fine = Interaction(request=request, response=Response(status=200))
    began = Step(call=Call(label=1, tag="fault_down"))
    coverage = Coverage(known_faults=("fault_down",))
    refs = Adapters(Shaky, JarApi, "http://127.0.0.1:9", {}).new().refs
    one = coverage.blank()
    one.fold(Trace(steps=(began, *under(lost, fine, fine).steps), ending="passed"), refs)
    other = coverage.blank()
    other.fold(Trace(steps=(began, *under(fine, fine).steps, *under(fine, faults_on=()).steps), ending="passed"), refs)
    for each in (one, other):
        coverage.merge(each)

    assert [("fault_down", "GET", "/b", 1, 1, 0)] == rows(one)
    assert [("fault_down", "GET", "/b", 2, 0, 0)] == rows(other)
    assert [("fault_down", "GET", "/b", 3, 1, 0)] == rows(coverage)
    assert 1 == coverage.crossings[NO_FAULT, "GET", "/b", "tried"]


@pytest.mark.parametrize(
    ("tag", "interactions", "counted"),
    [
        ("fault_timeout", (ANSWERED,), [("fault_timeout", "POST", "/b", 1, 0, 1)]),
        ("fault_timeout", (Interaction(request=POST, trouble=UNSENT),), [("fault_timeout", "POST", "/b", 1, 1, 0)]),
        ("fault_timeout",
         (Interaction(request=POST, trouble=Trouble(error="ReadError")),
          Interaction(request=GET, trouble=Trouble(error="ReadError"))),
         [("fault_timeout", "GET", "/b", 1, 1, 0), ("fault_timeout", "POST", "/b", 1, 1, 1)]),
        ("fault_pause", (ANSWERED,), [("fault_pause", "POST", "/b", 1, 0, 0)]),
        ("fault_duplicated", (ANSWERED,), []),
        ("fault_duplicated", (ANSWERED.replace(tampered="duplicated"),), [("fault_duplicated", "POST", "/b", 1, 0, 1)]),
    ],
)  # fmt: skip
def test_a_run_failed_where_its_command_could_be_answered(
    tag: str, interactions: tuple[Interaction, ...], counted: list[tuple[Any, ...]]
):
    """What never was sent or nobody could answer did not fail there, nor did looks; HTTP faults need to be done."""

    class All(Piggy):
        commands: ClassVar = (*Piggy.commands, fault.Timeout, fault.Pause, fault.Duplicated)

    adapters = Adapters(All, JarApi, "http://127.0.0.1:9", {})
    coverage = Coverage.of(All, JarApi).blank()
    began = Step(call=Call(label=1, tag=tag))
    failure = Failure(kind="check", name="coins_match", step=2, command="hold", message="it does not hold")
    trace = under(*interactions)
    coverage.fold(trace.replace(steps=(began, *trace.steps), ending="failed", failure=failure), adapters.new().refs)

    assert counted == rows(coverage)
    assert {each.request.method for each in interactions} == {method for method, _ in coverage.crossed_endpoints}


def test_what_was_not_tried_is_named_where_it_is_little():
    """Up to five pairs of a fault and an endpoint are named in the summary."""
    coverage = Coverage(runs=1, known_faults=("fault_slow_close", "fault_down"))
    for number in range(4):
        coverage.crossings[NO_FAULT, "GET", f"/{number}", "tried"] += 1
    many = covered.render(coverage)
    for number in range(3):
        coverage.crossings["fault_down", "GET", f"/{number}", "tried"] += 1
    pairs = ", ".join([*(f"slow close x GET /{number}" for number in range(4)), "down x GET /3"])
    few = covered.render(coverage).splitlines()

    assert "not tried" not in many
    assert f"  not tried: {pairs}" in few


def test_a_journal_has_the_matrix(found: tuple[Result, Bundle, Path]):
    """What a hunt goes on from counts faults at endpoints as the hunt did; a line of an older one has none."""
    total = found[0].coverage
    total.unrecovered["take"] += 2
    new, seen = Entries().added(total, total)
    line = RanLine(run=1, at=0.0, seconds=0.0, ending="passed", steps=1, requests=1, new=new, seen=seen)
    again, older = Coverage(), Coverage()
    Entries().read(line.replace(left_out=[1, 2, 3]), again)
    Entries().read(line.replace(left_out=[1, 2]), older)
    del total.unrecovered["take"]

    assert (total.crossings, {"take": 2}) == (+again.crossings, again.unrecovered)
    assert (3, 0) == (again.crossings_left_out, older.crossings_left_out)
    with pytest.raises(ValueError, match="no entry of a table"):
        Entries().read(line.replace(new=[["crossings", "a"]], seen=[]), Coverage())


# --- runs that end early ------------------------------------------------------------------------


def test_where_nobody_finds_out_the_summary_says_what_to_write():
    """Runs that end since an answer was lost are counted by command, and told with the method that is missing."""
    with Jar() as jar:
        result = integration.run(model=Shaky, adapter=Helpless, base_url=jar.url, seed=1, max_runs=6)
        fine = integration.run(model=Shaky, adapter=JarApi, base_url=jar.url, seed=1, max_runs=6)
    runs = result.not_judged
    told = account(result, redactor())
    shown = terminal.render(result)
    advice = "write `@recovers def ...(self, cmd: Take)` in the adapter"

    assert runs > 0
    assert {"take": runs} == result.coverage.unrecovered
    assert f"Warning: {steps.count(runs, 'run')} ended early, since nobody finds out what became of a command" in shown
    assert f"  {steps.count(runs, 'run')}: take; {advice}" in shown
    assert [("take", runs)] == [(each.command, each.runs) for each in told.unrecovered]
    assert "## Ended early" in markdown.render(told)
    assert [{"command": "take", "runs": runs}] == json.loads(covered.document(result))["unrecovered"]
    assert ([], 6) == (fine.unrecovered(), fine.passed)
    assert "ended early" not in terminal.render(fine)


# --- exports ------------------------------------------------------------------------------------


def told_by(program: str, script: Path, url: str) -> subprocess.CompletedProcess[str]:
    """Run a script that was exported, where replaykit is not to be found."""
    clean = environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    clean.pop("PYTHONPATH", None)
    return subprocess.run(
        [program, str(script), url],
        capture_output=True, text=True, env=clean, cwd=script.parent, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(("form", "program"), [("curl", "sh"), ("python", sys.executable), ("pytest", sys.executable)])
def test_a_script_says_what_it_can_not_do_and_judges_nothing(
    found: tuple[Result, Bundle, Path], tmp_path: Path, form: str, program: str
):
    """What was sent is sent, with the fault in a comment, and the bug is neither found nor said to be gone."""
    bundle = found[1]
    began, _ = labels(bundle)
    text = export(bundle, form)
    script = tmp_path / "test_script.py"
    script.write_text(text, encoding="utf-8")
    with Jar() as jar:
        ran = told_by(program, script, jar.url)
        asked = list(jar.asked)

    assert 125 == ran.returncode, ran.stdout + ran.stderr
    assert "replaykit put in 1 fault (error status), which a script can not do: replay the bundle itself" in ran.stdout
    assert f"# Here replaykit put in the fault [{began}] error status for 1 step" in text
    assert f" under [{began}] error status" in text
    assert "POST /coins" in asked


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Hunt the bug that a request shows that comes twice: no answer is lost."""
    folder = tmp_path_factory.mktemp("answered")
    with Jar(bugs=("forgetful",)) as jar:
        integration.run(model=Twice, adapter=JarApi, base_url=jar.url, seed=1, max_runs=3, save_failures=folder)
    [path] = folder.glob("*.pd")
    return read(path)


@pytest.mark.parametrize(("form", "program"), [("curl", "sh"), ("python", sys.executable), ("pytest", sys.executable)])
def test_a_script_never_says_fixed_where_a_fault_was_on(answered: Bundle, tmp_path: Path, form: str, program: str):
    """Where all was answered too, and the bug is gone, a script judges nothing, as it could not do the fault."""
    script = tmp_path / "test_script.py"
    script.write_text(export(answered, form), encoding="utf-8")
    with Jar() as jar:
        ran = told_by(program, script, jar.url)

    assert 125 == ran.returncode, ran.stdout + ran.stderr
    assert "replaykit put in 1 fault (duplicated), which a script can not do: replay the bundle itself" in ran.stdout
    assert "fixed" not in ran.stdout
    assert (form == "pytest") == ("SKIPPED" in ran.stdout)


@pytest.mark.parametrize("tag", ["fault_kill", "fault_restart", "fault_pause", "shaken"])
def test_no_fault_is_judged_by_a_script(answered: Bundle, tag: str):
    """Whatever was put in, no answer counts; also where nothing but the mark of a step tells of it."""
    [began, failed] = answered.trace.steps
    data = f'{{"fault":"{tag}","steps":1}}'.encode()
    calm = failed.replace(interactions=tuple(each.replace(tampered="") for each in failed.interactions))
    named = began.replace(
        call=began.call.replace(tag=tag, args={"steps": 1}), event=Said(tag="injected", version=1, data=data)
    )
    for shown in ((named, calm), (calm,), (failed.replace(faults=()),)):
        plan = plan_of(answered.replace(trace=answered.trace.replace(steps=shown)))

        assert plan.unable.startswith("replaykit put in 1 fault (" if len(shown) > 1 else "replaykit put in faults, ")
        assert {"before", "after"} == {each.role for each in plan.asks}


def test_an_archive_says_what_was_done_and_comes_back(found: tuple[Result, Bundle, Path]):
    """A HAR archive tells the fault in comments, and what was done to a request comes back from it."""
    bundle = found[1]
    began, failed = labels(bundle)
    archive = export(bundle, "har")
    entries = json.loads(archive)["log"]

    assert f"a fault was put in, which no archive can do: [{began}] error status for 1 step" in entries["comment"]
    assert f"step {failed}: put, under [{began}] error status" in [each["comment"] for each in entries["entries"]]
    assert [each.tampered for each in bundle.trace.interactions()] == [each.tampered for each in har(archive.encode())]
    assert "status" in [each.tampered for each in har(archive.encode())]
    with pytest.raises(ValueError, match="what a fault did to it is"):
        har(archive.replace('"tampered": "status"', '"tampered": "\\n"').encode())


def test_the_tags_of_faults_begin_as_reports_know_them():
    """A fault of the user's is known by its tag too; so the class name gets what is before it."""

    class SlowAnswers(fault.Latency):
        pass

    assert faults.PREFIX == fault.PREFIX
    assert "fault_slow_answers" == SlowAnswers.tag
    assert {"fault_"} == {each.tag[:6] for each in (fault.Latency, fault.Down, fault.Kill, fault.ErrorStatus)}
