"""From recorded traffic to a model: the guide is typed in, and each example's traffic gives a model without alarms."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, Ran, environment, replaykit

from replaykit import service

GUIDE = ROOT / "docs" / "guides" / "starting-from-traffic.md"
HAR = ROOT / "tests" / "hars" / "travelbooking.har"


def made(folder: Path, *words: object) -> Ran:
    """Make a model in a folder."""
    return replaykit("init", *words, cwd=folder)


def tried(folder: Path, name: str, example: str, *words: object, bug: str = "", runs: int = 25) -> Ran:
    """Run the model of a package against an example."""
    model = f"{name}.model:{''.join(part.capitalize() for part in name.split('_'))}"
    start = f"{sys.executable} -m examples.{example} --port {{port}}{f' --bug {bug}' if bug else ''}"
    reset = "/reset" if example == "leaderboard" else "/api/reset"
    return replaykit(
        "integration", "--model", model, "--adapter", f"{model}Api", "--start", start, "--reset-url", reset,
        "--runs", runs, "--seed", 7, *words, cwd=folder, PYTHONPATH=f"{ROOT}:{folder}",
    )  # fmt: skip


def test_the_guide_holds(tmp_path: Path):
    """The session is recorded, described, run and mended as the guide says; what it shows is printed."""
    text = GUIDE.read_text(encoding="utf-8")
    blocks = re.findall(r"(?ms)^(<!-- exit: \d+ -->\n)?```(python|sh|text)\n(.*?)^```$", text)
    printed = ""
    with service.reached(
        url=None, start="python -m examples.travelbooking --port {port}", health=None, patience=None
    ) as url:
        for code, kind, block in blocks:
            here = block.replace("http://127.0.0.1:4445", url)
            if kind == "text":
                for line in here.splitlines():
                    assert line.strip() in printed, (line, printed)
                continue
            if kind == "python":
                named = re.match(r"# (\w+\.py)\n", block)
                assert named
                (tmp_path / named[1]).write_text(here)
                continue
            for line in here.splitlines():
                program, *words = shlex.split(line)
                ran = subprocess.run(
                    [sys.executable, *([] if program == "python" else ["-m", program]), *words],
                    cwd=tmp_path, env=environment(PYTHONPATH=f"{ROOT}:{tmp_path}"),
                    capture_output=True, text=True, timeout=300, check=False,
                )  # fmt: skip
                printed = re.sub(r"\S*python -m replaykit", "replaykit", ran.stdout + ran.stderr)

                assert int(re.sub(r"\D", "", code) or 0) == ran.returncode, (line, printed)
            if code:
                assert "server_error" in printed
    generated = (tmp_path / "travel" / "generated.py").read_text()

    assert re.search(r"card: .*(valid.*declined|Literal)", generated)


@pytest.mark.parametrize("example", ["leaderboard", "travelbooking", "toybank"])
def test_saved_bugs_give_a_model_without_alarms(tmp_path: Path, example: str):
    """What was recorded with bugs on gives a model that accuses the service without them of nothing."""
    words = [word for path in sorted((ROOT / "failures" / example).glob("*.pd")) for word in ("--cassette", path)]
    written = made(tmp_path, *words, "--output", example)
    clean = tried(tmp_path, example, example)

    assert 0 == written.code, written.err
    assert 0 == clean.code, clean.out
    assert json.loads((tmp_path / example / "openapi.json").read_text())["x-replaykit-observed"] is True


def test_a_browser_s_archive_gives_a_model_that_finds_a_bug(tmp_path: Path):
    """What a page in Chromium sent gives a model without alarms, that finds a planted bug without a hand edit."""
    written = made(tmp_path, "--har", HAR, "--output", "travel")
    clean = tried(tmp_path, "travel", "travelbooking")
    buggy = tried(tmp_path, "travel", "travelbooking", "--stop-on-fail", bug="nothing-booked")

    assert (0, 0, 1) == (written.code, clean.code, buggy.code), written.err + clean.out
    assert "Left out: 3 pages, and the files of pages, 1 to other hosts" in written.err
    assert "server_error" in buggy.out


def test_a_mended_description_is_not_written_over(tmp_path: Path):
    """What a person has changed in the description stays, unless --force says otherwise; a second recording adds."""
    first = made(tmp_path, "--har", HAR, "--output", "travel")
    again = made(tmp_path, "--har", HAR, "--output", "travel")
    file = tmp_path / "travel" / "openapi.json"
    document = json.loads(file.read_text())
    document["info"]["title"] = "Ours"
    file.write_text(json.dumps(document))
    refused = made(tmp_path, "--har", HAR, "--output", "travel")
    kept = file.read_text()
    mended = made(tmp_path, "--openapi", file, "--output", "travel")
    forced = made(tmp_path, "--har", HAR, "--output", "travel", "--force")

    assert [0, 0, 129, 0, 0] == [each.code for each in (first, again, refused, mended, forced)]
    assert "nothing is new, changed or gone" in again.out
    assert "was changed by hand" in refused.err
    assert json.dumps(document) == kept
    assert "Ours" not in file.read_text()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 129, "There is nothing to make a model of"),
        (["--har", HAR, "--openapi", HAR], 129, "A description is no recorded traffic"),
        (["--har", "none.har"], 129, "none.har can't be read"),
        (["--har", "empty.har"], 128, "empty.har is empty"),
        (["--cassette", "text.har"], 128, "text.har"),
        (["--har", HAR, "--host", "elsewhere.example"], 129, "Nothing was sent to elsewhere.example"),
        (["--har", "huge.har"], 128, "huge.har is too large"),
    ],
)  # fmt: skip
def test_what_can_not_be_described(tmp_path: Path, words: list[object], code: int, said: str):
    """Each thing that is no traffic ends with an error that names it, and nothing is written."""
    (tmp_path / "empty.har").write_bytes(b"")
    (tmp_path / "text.har").write_text("hello")
    with (tmp_path / "huge.har").open("wb") as file:
        file.truncate(65 * 1024 * 1024)
    before = {*tmp_path.iterdir()}
    ran = made(tmp_path, *words)

    assert code == ran.code, ran.err
    assert said in ran.err
    assert before == {*tmp_path.iterdir()}
