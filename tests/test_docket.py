"""The docket of a suite, and its reports: each holds, whatever a service or a status file says."""

import json
from itertools import pairwise

import jsonschema
import pytest
from conftest import ROOT
from lxml import etree
from markdown_it import MarkdownIt
from test_report_formats import HOSTILE

from replaykit.docket import Docket, Entry, concluded
from replaykit.report import roll, suite_github, suite_json, suite_junit, suite_markdown
from replaykit.suite import OUTCOMES, Outcome

CODES = {"expected": 0, "regression": 1, "gone": 1, "unseen": 1, "not judged": 125, "broken": 128}


def entry(outcome: Outcome, said: str = "it failed", code: int | None = None) -> Entry:
    """Make an entry, with a text of others in every place where there may be one."""
    return Entry(
        bundle=f"failures/{said}.pd",
        status="open",
        ticket=said,
        note=said,
        outcome=outcome,
        exit_code=CODES[outcome] if code is None else code,
        reason=said,
        verdict="reproduced",
        check=said,
        fingerprint="0" * 8,
        runs=5,
        showed=4,
        notes=(said,),
        attempts=3,
        failed=2,
        seconds=0.5,
        profile="shop",
        steps=(said, said),
        log=said,
        replay=f"replaykit replay {said}",
    )


def docket(*entries: Entry, bundles: int | None = None, lacking: tuple[str, ...] = ()) -> Docket:
    """Make a docket of entries."""
    bundles = len(entries) if bundles is None else bundles
    code, outcome, conclusion = concluded([*entries], bundles, None)
    return Docket(
        offline=False,
        lenient=False,
        started="2024-12-27T15:30:00.000+00:00",
        seconds=1.5,
        exit_code=code,
        outcome=outcome,
        conclusion=conclusion,
        bundles=bundles,
        counts={each: sum(entry.outcome == each for entry in entries) for each in OUTCOMES},
        lacking=lacking,
        entries=entries,
    )


TOLD = docket(*[entry(each, HOSTILE) for each in OUTCOMES], bundles=len(OUTCOMES) + 1, lacking=(HOSTILE,))


@pytest.mark.parametrize(
    ("outcomes", "code", "word"),
    [
        (["expected"], 0, "as expected"),
        (["expected", "not judged"], 125, "not judged"),
        (["not judged", "gone"], 1, "gone"),
        (["gone", "unseen", "regression", "not judged"], 1, "regression"),
        (["regression", "broken"], 128, "broken"),
        ([], 125, "nothing to judge"),
    ],
)
def test_the_worst_decides(outcomes: list[Outcome], code: int, word: str):
    """128 goes before 1, 1 before 125, 125 before 0; of several words for 1, the gravest is said."""
    said = concluded([entry(each) for each in outcomes], len(outcomes), None)

    assert (code, word) == said[:2]
    assert (130, "interrupted") == concluded([entry(each) for each in outcomes], 9, 130)[:2]


def test_what_is_let_pass_is_counted_and_fails_nothing():
    """An open bug that is gone is told also where it is no failure."""
    assert (0, "as expected", "1 bug that is gone") == concluded([entry("gone", code=0)], 1, None)


def test_junit_is_as_the_schema_of_jenkins_says():
    """It is well-formed, and holds against the schema, whatever is said in it; what was not come to is an error."""
    root = etree.fromstring(suite_junit.render(TOLD, host="here").encode())
    etree.XMLSchema(etree.parse(ROOT / "tests/schemas/junit-10.xsd")).assertValid(root)

    assert ("7", "3", "3") == tuple(root.get(name) for name in ("tests", "failures", "errors"))
    assert ["Broken", "NotJudged", "NotJudged"] == sorted(root.xpath("//error/@type"))
    assert ["Regression", "UnexpectedlyFixed", "Unseen"] == sorted(root.xpath("//failure/@type"))
    assert {"7", "1"} == {root[0].get("tests"), root[0].get("skipped")}


def test_junit_says_why_nothing_is_judged():
    """Bundles of which none is asked for are not said to be none."""
    told = docket().replace(outcome="nothing to judge", conclusion="3 bundles, of which none is asked for")
    said = suite_junit.render(told, host="here")

    assert "nothing to judge: 3 bundles, of which none is asked for" in said
    assert "there is no bundle" not in said


def test_json_is_as_its_schema_says():
    """It holds against the published schema; without any one of its keys it would not."""
    schema = json.loads((ROOT / "docs/reference/suite.schema.json").read_text(encoding="utf-8"))
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    data = json.loads(suite_json.render(TOLD))
    kind(schema).validate(data)

    for key in data:
        assert not kind(schema).is_valid({name: value for name, value in data.items() if name != key}), key
    assert kind(schema).is_valid({**data, "of a later version": 1})
    assert suite_json.render(TOLD).isascii()


def test_markdown_means_nothing_that_a_service_says():
    """No link, no image, no HTML and no heading comes from what others say; it is as short as is asked for."""
    text = suite_markdown.render(TOLD)
    parsed = MarkdownIt("commonmark").enable("table").parse(text)
    inner = [child for token in parsed for child in token.children or []]
    headings = [after.content for token, after in pairwise(parsed) if token.type == "heading_open"]

    assert {token.type for token in [*parsed, *inner]}.isdisjoint({"link_open", "image", "html_block", "html_inline"})
    assert 1 + 5 == len(headings)
    assert len(suite_markdown.render(TOLD, most=6_000).encode()) <= 6_000
    assert "left out here: the report is too long" in suite_markdown.render(TOLD, most=6_000)


def test_annotations_are_lines_of_ours():
    """Each line is a command that we write; of many bundles, some are only counted."""
    lines = suite_github.render(TOLD).splitlines()
    many = suite_github.render(docket(*[entry("regression")] * 12)).splitlines()

    assert ["error", "error", "error", "error", "warning", "notice"] == [line.split()[0].strip(":") for line in lines]
    assert 10 == len(many)
    assert "and 3 more bundles" in many[-1]
    assert ["::error title=replaykit%3A nothing to judge::there is no bundle"] == (
        suite_github.render(docket()).splitlines()
    )


def test_the_roll_has_no_line_of_others():
    """What a status file says can't look like a line of ours."""
    first = [roll.lines(each)[0] for each in TOLD.entries]

    assert not any("\n" in line or "\r" in line for line in first)
    assert [] == roll.warnings(())
