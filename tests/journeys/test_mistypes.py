"""What somebody does wrong on the first day: each answer says what to do instead."""

import copy
import json
import re
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, replaykit

HAR = ROOT / "tests" / "hars" / "travelbooking.har"
SAVED = ROOT / "failures" / "toybank" / "ghost-hold.pd"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["show", "folder"], 129, "replaykit list folder"),
        (["show", HAR], 128, "What another tool has recorded becomes one with replaykit import."),
        (["show", "tape.yaml"], 128, "What another tool has recorded becomes one with replaykit import."),
        (["list"], 129, "There is no file or folder failures."),
        (["init", "--openapi", HAR], 129, "If it is recorded traffic, name it with --har."),
        (["export", "bug.pd"], 129, "Missing option '--format'. Choose from: vcr, har, curl, python, pytest,"),
        (["replay", "bug.pd", "--offline"], 128, "`replaykit show` and `replaykit export --format curl` need none."),
    ],
)
def test_a_mistake_is_answered_with_what_to_do(words: list[object], code: int, said: str, tmp_path: Path):
    """A wrong kind of file, a missing choice, a bundle without its project: the way on is named."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "tape.yaml").write_text("interactions:\n- request: {}\n")
    shutil.copy(SAVED, tmp_path / "bug.pd")
    ran = replaykit(*words, cwd=tmp_path)

    assert code == ran.code, ran
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_the_reset_that_traffic_shows_is_in_the_next_command(tmp_path: Path):
    """Where a recording asked for a clean state, the campaign that is proposed asks for it too."""
    document = json.loads(HAR.read_text(encoding="utf-8"))
    entries = document["log"]["entries"]
    posted = next(each for each in entries if each["request"]["method"] == "POST" and "/api/" in each["request"]["url"])
    reset = copy.deepcopy(posted)
    reset["request"]["url"] = f"{posted['request']['url'].partition('/api/')[0]}/api/reset"
    entries.insert(0, reset)
    (tmp_path / "reset.har").write_text(json.dumps(document), encoding="utf-8")
    first = replaykit("init", "--har", "reset.har", "--output", "travel", cwd=tmp_path)
    mended = replaykit("init", "--openapi", "travel/openapi.json", "--output", "travel", cwd=tmp_path)

    for ran in (first, mended):
        assert 0 == ran.code, ran
        assert ran.out.rstrip().endswith("--reset-url /api/reset")


def test_no_sentence_of_a_page_ends_twice(tmp_path: Path):
    """What stands above a command ends with a full stop or a colon, and not with both."""
    page = tmp_path / "bug.html"
    ran = replaykit("show", SAVED, "--html", page)

    assert 0 == ran.code, ran
    assert [] == re.findall(r"<p>[^<]*\.:</p>", page.read_text(encoding="utf-8"))
