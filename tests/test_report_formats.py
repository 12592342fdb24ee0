"""Reports of a campaign: each format holds against its schema and an independent reader, whatever a service says."""

import io
import json
import re
from collections import Counter
from pathlib import Path

import jsonschema
import junitparser
import pytest
from conftest import ROOT
from lxml import etree
from markdown_it import MarkdownIt

from replaykit.account import Account, Bug, Exercised, Fault, Judged, RunStep, SentRequest, Shrinking
from replaykit.report import case, ctrf, github, junit, markdown, mermaid, ndjson, suite_json
from replaykit.report import json as json_report
from replaykit.verdict import Failure

SCHEMAS = Path(__file__).parent / "schemas"
REFERENCE = ROOT / "docs" / "reference"
HOSTILE = (
    "x` ``` ````\n```\n# owned\n| a | b |\n<script>alert(1)</script> ]]> &lt; \x1b[31m\x00\x0b\ufffe\udc80 \u202e "
    "[link](javascript:1) ::set-env name=a::b\n::error::owned\r\n; end\n%0A"
)
PLAIN = "Balance went negative"


def bug(said: str = PLAIN, *, seed: int = 12345678, number: int = 0) -> Bug:
    """Make a bug of two commands, with a text of the service's in every place where there may be one."""
    request = SentRequest(
        part="command",
        method="POST",
        url=f"http://127.0.0.1:1/a?{said}",
        body=said,
        status=201,
        answer=said,
        seconds=0.01,
    )
    lost = SentRequest(part="observe", method="GET", url="http://127.0.0.1:1/b", error=said)
    steps = (
        RunStep(label=1, call=f"debit({said})", command="debit", arguments={"name": said}, event=said, fails=False),
        RunStep(
            label=2, call="debit()", command="debit", arguments={}, event=None, fails=True, requests=(request, lost)
        ),
    )
    name = f"never_negative{number}"
    return Bug(
        fingerprint=Failure(kind="check", name=name, step=2, command="debit", message="").fingerprint,
        kind="check",
        name=name,
        command="debit",
        step=2,
        failure_reason=said,
        expected=said,
        actual=[said, {said: 1}],
        seed=seed,
        first_seen_run=seed % 100,
        occurrences=2,
        found_after=0.5,
        run_seconds=0.25,
        shrunk_sequence="debit()\ndebit()",
        steps=steps,
        resetting=(request,),
        shrinking=Shrinking(
            commands_before=9,
            commands_after=2,
            executions=5,
            requests=10,
            seconds=0.5,
            runs=5,
            failed=5,
            confirmed=True,
        ),
        confirmation="confirmed",
        bundle="failures/never_negative.pd",
        replay="replaykit replay failures/never_negative.pd",
    )


def account(*bugs: Bug, **changes: object) -> Account:
    """Make the account of a campaign of a hundred runs."""
    made = Account(
        success=not bugs,
        exit_code=1 if bugs else 0,
        verdict=f"found {len(bugs)} distinct failures in 100 runs" if bugs else "100 runs, nothing found",
        model="bank:Bank",
        adapter="bank:BankApi",
        url="http://127.0.0.1:4555",
        seed=7,
        total_runs=100,
        max_runs=100,
        passed=98,
        failed=2,
        not_judged=0,
        steps=5000,
        requests=9000,
        duration=45.2,
        started="2024-12-27T15:30:00+00:00",
        ended="2024-12-27T15:30:45+00:00",
        failures=bugs,
        checks=(
            Judged(kind="check", name="never_negative0", judged=300, bugs=tuple(each.fingerprint for each in bugs[:1])),
            Judged(kind="invariant", name="adds_up", judged=100),
            Judged(kind="expectation", name="transfer", judged=0),
        ),
        never_exercised=("expectation transfer",),
        coverage={"commands": Exercised(covered=1, total=2)},
    )
    return made.replace(**changes)


FAULTS = account(
    exit_code=125,
    success=False,
    not_judged=3,
    trouble=HOSTILE,
    faults=(Fault(fingerprint="0", kind="model", name="told", message=HOSTILE, traceback=HOSTILE),),
    lacking=("coverage of checks is 66 %, 100 % were asked for",),
    coverage={"checks": Exercised(covered=2, total=3, required=100.0)},
)
DIED = account(exit_code=125, success=False, died=HOSTILE, log=HOSTILE, not_judged=1)
NOTHING = account(total_runs=0, passed=0, failed=0, duration=0.0, interrupted=True, exit_code=130, checks=())
ALL = {
    "clean": account(),
    "bug": account(bug()),
    "hostile": account(bug(HOSTILE), bug(HOSTILE, number=1)),
    "known": account(bug(), known=(bug(HOSTILE, number=1),)),
    "faults": FAULTS,
    "died": DIED,
    "nothing": NOTHING,
}
every = pytest.mark.parametrize("told", ALL.values(), ids=ALL.keys())


# --- JUnit --------------------------------------------------------------------------------------


@every
def test_junit_is_as_the_schema_of_jenkins_says(told: Account):
    """Each report is well formed, and valid by junit-10.xsd, whatever a service says."""
    schema = etree.XMLSchema(etree.parse(SCHEMAS / "junit-10.xsd"))

    schema.assertValid(etree.fromstring(junit.render(told, host="here").encode()))


def read_junit(told: Account) -> tuple[list[junitparser.TestCase], junitparser.JUnitXml]:
    """Read a report as another program does."""
    root = junitparser.JUnitXml.fromstring(junit.render(told).encode())
    return [each for suite in root for each in suite], root


def test_junit_is_read_back_by_another_parser():
    """The counts are those of the cases; what failed, was skipped, and could not be judged is told apart."""
    cases, root = read_junit(account(bug()))
    said = {each.name: [type(result).__name__ for result in each.result] for each in cases}

    assert (5, 2, 0) == (root.tests, root.failures, root.errors)
    assert {
        "every run is judged": [],
        "check never_negative0": ["Failure"],
        "invariant adds_up": [],
        "expectation transfer": ["Skipped"],
        "check never_negative0 after debit": ["Failure"],
    } == said
    assert [(1, 0), (3, 1), (1, 0)] == [(suite.tests, suite.skipped) for suite in root]
    [failure] = cases[-1].result
    assert (PLAIN, "check") == (failure.message, failure.type)
    assert "replay it: replaykit replay failures/never_negative.pd" in failure.text


def test_what_can_not_be_judged_is_an_error():
    """A fault of the test code, a service that is gone, coverage that is lacking: an error each, and no failure."""
    faults, root = read_junit(FAULTS)
    died, other = read_junit(DIED)

    assert (0, 2) == (root.failures, root.errors)
    assert ["FaultOfTheTestCode", "LackingCoverage"] == [each.result[0].type for each in faults[:2]]
    assert (0, 1) == (other.failures, other.errors)
    assert "Unreachable" == died[0].result[0].type


def test_names_of_cases_stay_the_same():
    """Another seed, another run and another reason give the same names: a reader of many reports sees a history."""
    one, other = (
        [(each.classname, each.name) for each in read_junit(account(each))[0]]
        for each in (bug(), bug("It is -3 now", seed=87654321))
    )

    assert one == other
    assert not re.search(r"\d{4}", str(one))
    assert len(one) == len(set(one))


def test_times_of_cases_add_up_to_the_duration():
    """A bug has the time of its run and of shrinking it; the rest is shared by how often each check judged."""
    cases, root = read_junit(account(bug()))
    times = {each.name: each.time for each in cases}

    assert 45.2 == pytest.approx(sum(times.values()))
    assert 45.2 == root.time
    assert 0.75 == times["check never_negative0 after debit"]
    assert 3 * times["invariant adds_up"] == pytest.approx(times["check never_negative0"], abs=0.01)


def test_properties_and_attachments_of_a_bug():
    """The suite has the seed, the fingerprint and the bundle of each bug; the case has them in its output."""
    told = account(bug())
    suite = list(junitparser.JUnitXml.fromstring(junit.render(told, attached="/abs/{}".format).encode()))[-1]
    found = {each.name: each.value for each in suite.properties()}
    [failing] = list(suite)
    fingerprint = told.failures[0].fingerprint

    assert ("7", "12345678") == (found["campaign_seed"], found[f"{fingerprint}.seed"])
    assert "failures/never_negative.pd" == found[f"{fingerprint}.bundle"]
    assert "[[ATTACHMENT|/abs/failures/never_negative.pd]]" in failing.system_out.splitlines()
    assert "[[PROPERTY|seed=12345678]]" in failing.system_out.splitlines()


def test_size_of_junit_is_bounded():
    """Bugs that say a lot are cut, and the report stays below what GitLab reads."""
    long = junit.render(account(*(bug("&" * 30_000, number=number) for number in range(300))))

    assert 30_000_000 > len(long.encode())
    assert 301 <= len(re.findall("<failure ", long))


def test_known_bug_fails_under_the_name_that_it_had_when_it_was_new():
    """A bug that is known has the same case as before, says that it is known, and took no time."""
    new, known = account(bug()), account(known=(bug(),), exit_code=1)
    [case] = [each for each in read_junit(known)[0] if each.classname.endswith(".bugs")]

    assert [each.name for each in read_junit(new)[0]][-1] == case.name
    assert (f"known: {PLAIN}", "known check", 0) == (case.result[0].message, case.result[0].type, case.time)
    assert "## Known bugs" in markdown.render(known)
    assert github.render(known).startswith("::warning title=known%3A check never_negative0 after debit::")


# --- Markdown -----------------------------------------------------------------------------------


def tokens(text: str) -> list:
    """Parse Markdown as GitHub does, tables included."""
    return MarkdownIt("commonmark").enable("table").parse(text)


def test_markdown_is_what_the_guide_shows():
    """Title, date, model, runs, the table of the summary, each failure with its seed and its commands."""
    text = markdown.render(account(bug()))

    for line in (
        "# Integration Test Report",
        "**Date**: 2024-12-27 15:30:00 UTC  ",
        "**Model**: bank:Bank  ",
        "**Runs**: 100  ",
        "## Summary",
        "| Metric | Value |",
        "| Passed | 98 |",
        "| Failed | 2 |",
        "| Duration | 45.2s |",
        "## Failures",
        "### Failure 1: Balance went negative",
        "**Seed**: 12345678  ",
        "**Commands**: 2  ",
        "replaykit replay failures/never_negative.pd",
    ):
        assert line in text.splitlines()


@every
def test_nothing_in_markdown_breaks_out(told: Account):
    """There is no heading, HTML, link or image that is not ours, and no character that hides or turns text."""
    text = markdown.render(told)
    parsed = tokens(text)
    inline = [child for token in parsed for child in token.children or []]
    headings = [parsed[at + 1].content for at, token in enumerate(parsed) if token.type == "heading_open"]
    html = {token.content.strip() for token in parsed if token.type == "html_block"}

    assert {"<details><summary>Requests and answers</summary>", "</details>"} >= html
    assert not {"html_inline", "link_open", "image"} & {child.type for child in inline}
    assert "owned" not in headings
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e\udc80]", text)
    fences = [token.info for token in parsed if token.type == "fence"]
    assert 2 * len(told.failures) == fences.count("mermaid") + fences.count("sh")


def test_table_of_markdown_keeps_its_columns():
    """A pipe in a name is no border of a cell."""
    told = account(checks=(Judged(kind="check", name="a|b `c|d`", judged=1),))
    rows = Counter(token.type for token in tokens(markdown.render(told)))

    assert rows["tr_open"] * 2 + 2 == rows["td_open"] + rows["th_open"]


def test_discovery_is_told_where_there_are_several():
    """With more than one bug, a table says after how many runs and seconds each was found."""
    text = markdown.render(account(bug(), bug(number=1)))

    assert "| 1 | 78 | 0.5s | check never\\_negative0 (" in text
    assert "## Discovery" not in markdown.render(account(bug()))


@pytest.mark.parametrize("said", [HOSTILE, "plain", "", "a;b#c%%{init}", "wrap: end", "\u20ac" * 200])
def test_label_of_mermaid_has_nothing_that_means_something(said: str):
    """A label is one line of plain characters and entity codes, and says the text, as far as there is room."""
    written = mermaid.label(said)

    assert re.fullmatch(r"(?:[A-Za-z0-9 /?=.,'()_\[\]-]|#\d+;)+", written)
    read = re.sub(r"#(\d+);", lambda found: chr(int(found[1])), written)
    assert said[:5].strip() == read[:5].strip() or not said


# --- JSON, NDJSON, CTRF -------------------------------------------------------------------------


def test_published_schemas_are_those_of_the_code():
    """The files in the docs are what the code gives."""
    assert json_report.schema() == (REFERENCE / "report.schema.json").read_text(encoding="utf-8")
    assert suite_json.schema() == (REFERENCE / "suite.schema.json").read_text(encoding="utf-8")
    assert ndjson.schema() == (REFERENCE / "events.schema.json").read_text(encoding="utf-8")


def validator(path: Path) -> jsonschema.protocols.Validator:
    """Load a schema, which has to be one."""
    schema = json.loads(path.read_text(encoding="utf-8"))
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


@every
def test_json_is_as_its_schema_says(told: Account):
    """Each report holds against the published schema; without any one of its keys it would not."""
    data = json.loads(json_report.render(told))
    schema = validator(REFERENCE / "report.schema.json")

    schema.validate(data)
    for key in data:
        assert not schema.is_valid({name: value for name, value in data.items() if name != key}), key
    assert schema.is_valid({**data, "of a later version": 1})


def test_json_has_what_the_guide_shows():
    """The keys of the guide are there, with the values that they have there."""
    data = json.loads(json_report.render(account(bug())))

    assert (1, False, 100, 98, 2) == tuple(data[key] for key in ("format", "success", "total_runs", "passed", "failed"))
    assert ("bank:Bank", "bank:BankApi") == (data["model"], data["adapter"])
    [failure] = data["failures"]
    assert (12345678, PLAIN) == (failure["seed"], failure["failure_reason"])
    assert "debit()\ndebit()" == failure["shrunk_sequence"]


def test_json_says_hostile_text_as_it_is():
    """JSON is for programs: what a service said is there to the character, in ASCII."""
    text = json_report.render(account(bug(HOSTILE)))

    assert text.isascii()
    assert HOSTILE == json.loads(text)["failures"][0]["failure_reason"]


@every
def test_ctrf_is_as_its_schema_says(told: Account):
    """Each report holds against the published schema, and its counts are those of its tests."""
    data = json.loads(ctrf.render(told))

    validator(SCHEMAS / "ctrf-0.0.json").validate(data)
    summary, tests = data["results"]["summary"], data["results"]["tests"]
    counted = Counter(each["status"] for each in tests)
    assert {name: summary[name] for name in ("passed", "failed", "skipped", "other")} == {
        name: counted[name] for name in ("passed", "failed", "skipped", "other")
    }
    assert len(tests) == summary["tests"]
    for test, known in zip(tests, case.cases(told), strict=True):
        assert {"error": "other"}.get(known.status, known.status) == test["status"]


def test_events_are_as_their_schema_says():
    """Each kind of event holds against the published schema, on one line; one that is not known is allowed."""
    now = "2024-12-27T15:30:00+00:00"
    found = {key: getattr(bug(HOSTILE), key) for key in ndjson.Found.model_fields if key not in {"event", "time"}}
    events = [
        ndjson.Began(time=now, model="m", adapter="a", url=None, seed=1, max_runs=None),
        ndjson.Run(time=now, number=1, ending="passed", seconds=0.1, steps=3, requests=4, fingerprint=None),
        ndjson.Found(time=now, **found),
        ndjson.Known(time=now, **found),
        ndjson.Shrunk(time=now, failure=bug(HOSTILE)),
        ndjson.Ended(time=now, report=account(bug(HOSTILE))),
    ]
    schema = validator(REFERENCE / "events.schema.json")

    assert len(ndjson.KINDS) == len(events)
    for event in events:
        line = ndjson.line(event)
        schema.validate(json.loads(line))
        assert 1 == len(line.splitlines())
        assert not schema.is_valid({**json.loads(line), "time": 3})
    assert schema.is_valid({"event": "of a later version", "time": now})
    assert not schema.is_valid({"event": "run", "time": now})


# --- GitHub -------------------------------------------------------------------------------------


def test_annotations_are_one_line_each_and_at_most_ten():
    """Nine bugs have an annotation each, a tenth says how many more there are; each is one command on one line."""
    told = account(*(bug(HOSTILE, number=number) for number in range(12)), never_exercised=())
    lines = github.render(told).splitlines()

    assert 10 == len(lines)
    assert all(re.fullmatch(r"::error title=[^:,\n]*::[^\n]*", line) for line in lines)
    assert "::error title=replaykit::and 3 more bugs" == lines[-1]


def test_service_that_died_after_a_bug_is_an_annotation_too():
    """It stands beside the bugs, which leave room for it, under the word that all reports use."""
    told = account(*(bug(number=number) for number in range(12)), died="it ended", log="out of memory")
    alone = account(exit_code=125, success=False, died="it ended")
    errors = [line for line in github.render(told).splitlines() if line.startswith("::error")]

    assert 10 == len(errors)
    assert "::error title=replaykit%3A unreachable::it ended%0Aout of memory" == errors[-1]
    assert "::error title=replaykit%3A unreachable::" in github.render(alone)
    assert "**Verdict**: unreachable, " in markdown.render(alone)


def test_nobody_is_mentioned_and_nothing_is_linked_by_markdown():
    """What GitHub would make a mention, an address or a link of has a gap in it."""
    assert "@&#8203;ann a@&#8203;b.org www&#8203;.example.org @ x" == markdown.text("@ann a@b.org www.example.org @ x")


def test_annotation_is_escaped_as_the_runner_wants_it():
    """Percent signs and line ends are escaped, in the title colons and commas too."""
    assert "::error title=a%3Ab%2Cc%25::50%25%0Ad:e,f" == github.command("error", "a:b,c%", "50%\nd:e,f")


def test_summary_keeps_the_limit_of_github():
    """What is written already counts; a report that is too long says how many failures it left out."""
    told = account(*(bug("x" * 3_000, number=number) for number in range(200)))
    whole, cut = github.summary(account(bug()), 0), github.summary(told, 500_000)

    assert markdown.render(account(bug())) == whole
    assert 1024 * 1024 - 500_000 >= len(cut.encode())
    assert re.search(r"And \d+ more failures, left out here", cut)
    assert "" == github.summary(told, 1024 * 1024)


@every
def test_seconds_of_cases_are_never_negative(told: Account):
    """However short a campaign was, no case took less than nothing."""
    assert all(each.seconds >= 0 for each in case.cases(told))
    assert io.StringIO(junit.render(told)).readline().startswith("<?xml")
