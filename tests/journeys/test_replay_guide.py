"""The guide to replays, done: what it shows is what is printed, and its numbers are those of the code."""

import math
import os
import re
from pathlib import Path

import pytest
from conftest import ROOT
from matrix import LATE, Till, called, written

from replaykit.rate import Odds

GUIDE = (ROOT / "docs" / "guides" / "replay.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"(?ms)^<!-- replay: ([a-z ]+?)((?: --[a-z]+ [a-z]+)?) -->\n+```text\n(.*?)\n```$", GUIDE)


@pytest.mark.parametrize(("how", "options", "shown"), SHOWN, ids=[each[0] for each in SHOWN])
def test_what_is_printed_is_what_the_guide_shows(how: str, options: str, shown: str, tmp_path: Path):
    """Each block stands in the output as it is, but for times."""
    bundle = written(tmp_path / "tally.pd", pause=LATE + 0.02 if options else 0.0)
    with Till(how) as till:
        line = ["replay", str(bundle), "--url", till.url, "--health", "/", *options.split()]
        ran = called([*line, "--model", "mortal:Tally", "--adapter", "mortal:TallyApi"])
    printed = ran.out.replace(f"{tmp_path}{os.sep}", "")

    assert re.search(re.escape(shown).replace(r"\.\.\.", r"[0-9.]+"), printed), printed


def test_the_numbers_of_attempts_are_those_of_the_code():
    """How often a bug showed, how often it does at least, how often it is looked for, and how often that takes."""
    rows = re.findall(r"^\| (\d+) of (\d+).*? \| (\d+) % \| (\d+).*? \| (\d+) \|$", GUIDE, re.MULTILINE)
    told = [tuple(map(int, row)) for row in rows]
    odds = [Odds(failed, runs) for failed, runs, *_ in told]

    assert 6 == len(rows)
    assert [(*each, math.floor(each.at_least * 100), each.wanted, each.needed) for each in odds] == told
