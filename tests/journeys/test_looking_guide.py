"""The guide to looking closely: its commands print what it shows, and its session has the words of the program."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, environment
from test_stepping import called

from replaykit.cli.stepping import HELP

GUIDE = (ROOT / "docs" / "guides" / "looking-closely.md").read_text(encoding="utf-8")
REFERENCE = (ROOT / "docs" / "reference" / "reports.md").read_text(encoding="utf-8")
CONSOLE = re.findall(r"(?ms)^```console\n\$ replaykit (.*?)\n(.*?)^```$", GUIDE)


@pytest.fixture
def failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder of the guide, with its bundle and what is known of it."""
    monkeypatch.chdir(ROOT)
    folder = tmp_path / "failures"
    folder.mkdir()
    shutil.copy(ROOT / "tests" / "bundles" / "format-1.pd", folder / "bug.pd")
    (folder / "status.toml").write_text('["bug.pd"]\nstatus = "open"\nticket = "SHOP-12"\n')
    return folder


@pytest.mark.parametrize(("line", "shown"), CONSOLE, ids=[line for line, _ in CONSOLE])
def test_the_guide_shows_what_is_printed(line: str, shown: str, failures: Path):
    """Each command of the guide prints what stands below it, to the character, but for times."""
    words = [word.replace("failures", str(failures)) for word in shlex.split(line)]
    printed = called(*words).out.replace(str(failures), "failures")

    assert shown == re.sub(r"  \d+\.\d ms", "  0.3 ms", printed)


def test_the_guide_shows_what_the_prompt_says():
    """The help of the session is that of the program."""
    assert f"(step) ?\n{HELP}\n```" in GUIDE


def test_the_line_of_the_reference_counts(failures: Path):
    """The line that reads what `list --json` prints tells how many there are."""
    [line] = re.findall(r"(?ms)^```sh\n(replaykit list .*?)\n```$", REFERENCE)
    done = subprocess.run(
        ["bash", "-c", line], cwd=failures.parent, env=environment(PYTHONPATH=str(ROOT)), capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip

    assert ("1\n", 0) == (done.stdout, done.returncode), done
