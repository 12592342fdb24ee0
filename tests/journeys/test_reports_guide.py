"""The guide to reports, and their reference: the commands and programs do what the pages say."""

import re
import subprocess
import sys
from pathlib import Path

from conftest import ROOT, environment

from replaykit import reporting
from replaykit.account import Account, Bug
from replaykit.report import ndjson

GUIDE = ROOT / "docs" / "guides" / "reports.md"
REFERENCE = ROOT / "docs" / "reference" / "reports.md"


def blocks(page: Path, kind: str) -> list[str]:
    """List the blocks of a kind in a page."""
    return re.findall(rf"(?ms)^```{kind}\n(.*?)^```$", page.read_text(encoding="utf-8"))


def test_the_guide_holds(tmp_path: Path):
    """Its commands, all but the first without a service, and its programs end well, and write the files they name."""
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    there = environment(PYTHONPATH=str(ROOT))
    lines = [f"set -eo pipefail; {line}" for block in blocks(GUIDE, "sh") for line in block.splitlines()]
    programs = [text for page in (GUIDE, REFERENCE) for text in blocks(page, "python")]
    json = "replaykit integration --profile leaderboard --mock --runs 1 --report json=reports/integration.json"
    lines = [line.replace("--runs 20", f"--runs 2{' --mock' if at else ''}") for at, line in enumerate([*lines, json])]
    for words in [["bash", "-c", line] for line in lines] + [
        [sys.executable, "-W", "error", "-c", text] for text in programs
    ]:
        ran = subprocess.run(words, cwd=tmp_path, env=there, capture_output=True, text=True, timeout=60, check=False)
        assert ran.returncode == 0, (words, ran.stdout, ran.stderr)

    assert {"integration.xml", "integration.md", "integration.json", "integration.html", "python.xml", "python.md"} == {
        each.name for each in (tmp_path / "reports").iterdir()
    }


def test_the_pages_name_every_format_key_and_event():
    """The tables list the formats with the files that are made for them, the keys of the document and the events."""
    guide, reference = (page.read_text(encoding="utf-8") for page in (GUIDE, REFERENCE))
    rows = dict(re.findall(r"(?m)^\| `(\w+)` \|.*\| (.*?) ?\|$", guide))
    document, failure, events = (re.findall(r"(?m)^\| (`.*?) \|", part) for part in reference.split("\n\n| ")[1:4])

    assert set(reporting.FORMATS) == set(rows)
    for name, ending in reporting.ENDINGS.items():
        assert f"`reports/integration_<time>.{ending}`" == rows[name]
    assert set(Account.model_fields) == set(re.findall(r"`(\w+)`", " ".join(document)))
    assert set(Bug.model_fields) == set(re.findall(r"`(\w+)`", " ".join(failure)))
    assert {kind.__name__.lower() for kind in ndjson.KINDS} == set(re.findall(r"`(\w+)`", " ".join(events)))
