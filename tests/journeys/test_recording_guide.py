"""The guide to recording: its programs, tests and commands do what it says, in their order."""

import re
import subprocess
import sys
from pathlib import Path

from conftest import ROOT, environment

from replaykit import service

GUIDE = ROOT / "docs" / "guides" / "recording.md"


def test_the_guide_holds(tmp_path: Path):
    """Each program of the guide ends well; what it calls a file is one, and its commands pass with these files."""
    blocks = re.findall(r"(?ms)^```(python|sh)\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = []
    plugin = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "replaykit.pytest_plugin"}
    start = "python -m examples.leaderboard --port {port}"
    with service.reached(url=None, start=start, health=None, patience=None) as url:
        for kind, block in blocks:
            text = block.replace("http://127.0.0.1:4600", url)
            if kind == "python" and (named := re.match(r"# (\w+\.py)\n", text)):
                (tmp_path / named[1]).write_text(text)
                continue
            for line in [text] if kind == "python" else text.splitlines():
                done.append(line)
                words = ["-W", "error", "-c", line] if kind == "python" else ["-m", *line.split()]
                ran = subprocess.run(
                    [sys.executable, *words], cwd=tmp_path, env=environment(PYTHONPATH=str(ROOT), **plugin),
                    capture_output=True, text=True, timeout=60, check=False,
                )  # fmt: skip

                assert ran.returncode == 0, (line, ran.stdout, ran.stderr)

    assert ["once", "pytest", "test_health.py", "verify"] == [re.split("[ =]", each)[-1] for each in done[-4:]]
    assert {
        "players.pd",
        "both.pd",
        "own.pd",
        "bundles/health.pd",
        "bundles/test_players/test_a_player_is_listed.pd",
    } == {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.pd")}


def test_the_guide_names_every_mode_fixture_and_key():
    """The tables of the guide list the record modes, the fixtures, the marker's keys and the orders that there are."""
    from replaykit import cassette, pytest_plugin

    text = GUIDE.read_text(encoding="utf-8")
    rows = re.findall(r'(?m)^\| `"?(\w+)"?` \|', text)
    fixtures = [name for name in vars(pytest_plugin) if name.startswith("replaykit_")]

    foreign = {"allow_playback_repeats", "match_on", "record_on_exception", "vcr_config"}
    assert {*cassette.ORDERS, *fixtures, *pytest_plugin.MODES, *pytest_plugin._KEYS} == set(rows) - foreign
