"""Looking closely, through the command line: exit code first."""

import contextlib
import io
import json
import sys
from pathlib import Path

import pytest
from conftest import ROOT, Ran
from terminal import CTRL_C, Terminal

from replaykit.cli import app

BUNDLES = ROOT / "tests" / "bundles"
DUPLICATE = BUNDLES / "format-1.pd"  # steps 0 and 13; the second is not as expected
ORDER = BUNDLES / "format-0.pd"  # steps 34 and 37; a check fails after the second


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def called(*words: object) -> Ran:
    """Call the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = app.run([*map(str, words)])
    return Ran(code, out.getvalue(), err.getvalue())


def test_verbose_shows_all_of_each_step():
    """Command, request, answer, event, prediction, state, what was read, and what was judged."""
    ran = called("replay", ORDER, "--offline", "--verbose")
    lines = ran.out.splitlines()
    last = lines[lines.index("  ✗ [37] create_player(name='a')  ->  player_created(name='a')") :]

    assert 1 == ran.code, ran
    assert "         state {'scores': {'b': 0}}" in lines
    assert last[1].startswith("         POST /players  201")
    assert [
        '           > {"name":"a"}',
        '           < {"name":"a","score":0}',
        "         ✓ expected by create: PlayerCreated(name='a')",
        "         state $.scores.a: nothing -> 0",
    ] == last[2:6]
    assert [
        '           < [{"name":"b","score":0},{"name":"a","score":0}]',
        "         read board(rows=[['b', 0], ['a', 0]])",
        "         ✓ invariant scores_are_never_negative",
        "         ✗ check board_matches: expected -> seen: $[0][0]: 'a' -> 'b'; $[1][0]: 'b' -> 'a'",
    ] == last[7:11]


def test_without_verbose_nothing_of_that_is_shown():
    """Steps and requests alone are shown."""
    ran = called("replay", ORDER, "--offline")

    assert 1 == ran.code, ran
    assert "invariant" not in ran.out
    assert "state" not in ran.out


def test_a_stopped_replay_is_125_and_shows_the_state():
    """With --until, the state after the step is shown, and there is no verdict."""
    ran = called("replay", DUPLICATE, "--offline", "--until", 0)

    assert 125 == ran.code, ran
    assert "VERDICT undecided: stopped after step 0, as asked; nothing failed until there (exit 125)" == ran.verdict
    assert '  state after step 0:\n    {\n      "scores": {\n        "a": 0\n      }\n    }\n' in ran.out
    assert "[13]" not in ran.out.partition("recorded")[0]


def test_a_service_that_was_started_is_stopped_and_that_is_said():
    """A service of --start does not outlive the replay: how to look into one is said."""
    start = f"{sys.executable} -m examples.leaderboard --port {{port}} --bug duplicate-names"
    ran = called("replay", DUPLICATE, "--start", start, "--until", "0")

    assert 125 == ran.code, ran
    assert "  The service is stopped now. To look into one in this state, start it yourself," in ran.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--until", "5"], "There is no step 5 to stop after."),
        (["--until", "0", "--times", "2"], "--until is for one attempt, and --times asks for more."),
        (["--until", "0", ORDER], "--until is for one bundle, and there are 2."),
        (["--step", "--pace", "recorded"], "--step takes its own time, and --pace asks for the recorded one."),
        (["--pace", "recorded"], "A cassette answers at once: offline, no pauses are kept."),
        (["--step", "--json"], "--step asks a person, and --json is for programs."),
        (["--step"], "--step needs a terminal to ask on."),
        (["--pdb"], "--pdb needs a terminal to ask on."),
    ],
)
def test_what_makes_no_sense_is_129(words: list[object], said: str):
    """What can't be stopped, or asked about, is a mistake of the caller, and is told before anything is run."""
    ran = called("replay", DUPLICATE, "--offline", *words)

    assert 129 == ran.code, ran
    assert f"error[usage]: {said}" in ran.err
    assert ran.out == ""


def on_terminal(*words: object) -> Terminal:
    """Start a replay on a terminal."""
    return Terminal("replay", *words, columns=120, rows=60)


def test_stepping_asks_before_each_step():
    """Each key does what the help says; what is not known is said, and the verdict is that of the whole run."""
    keys = [b"\r", b"s\r", b"r\r", b"x\r", b"?\r", b"c\r"]
    with on_terminal(ORDER, "--offline", "--step") as terminal:
        for number, each in enumerate(keys, 1):
            terminal.see(lambda number=number: terminal.text.count("(step)") == number)
            terminal.type(each)
        code, text = terminal.end(), terminal.text

    assert 1 == code, text
    assert "  next [34] create_player(name='b')\n       state {'scores': {}}\n(step)" in text
    assert "  next [37] create_player(name='a')  (failed when recorded)\n       state {'scores': {'b': 0}}" in text
    assert 1 == text.count("✓ [34] create_player(name='b')")
    assert "    Content-Type: application/json" in text
    assert "  'x' is not known here; ? shows what is" in text
    assert "  q          stop here: there will be no verdict" in text
    assert "  ✗ check board_matches: " in text
    assert "VERDICT reproduced: check board_matches at step 37" in text


@pytest.mark.parametrize(
    ("key", "code", "said"),
    [(b"q\r", 125, "VERDICT undecided: stopped before step 0, as asked"), (CTRL_C, 130, "VERDICT interrupted")],
)
def test_who_quits_gets_no_verdict(key: bytes, code: int, said: str):
    """Quitting is not judged (125), and Ctrl-C is Ctrl-C (130)."""
    with on_terminal(DUPLICATE, "--offline", "--step") as terminal:
        terminal.see(lambda: "(step)" in terminal.text)
        terminal.type(key)
        ended, text = terminal.end(), terminal.text

    assert code == ended, text
    assert said in text


@pytest.mark.parametrize(
    ("bundle", "look", "seen"),
    [
        (ORDER, b"p len(board.rows), self.scores", "(2, {'b': 0, 'a': 0})"),
        (DUPLICATE, b"p state.scores, command, event, str(expected)", "'PlayerRejected(status=400)')"),
    ],
)
def test_pdb_opens_where_it_failed_and_changes_no_verdict(bundle: Path, look: bytes, seen: str):
    """In the frame of the check, or with the names of the expectation; what is done there, Ctrl-C too, is forgotten."""
    with on_terminal(bundle, "--offline", "--pdb") as terminal:
        for number, each in enumerate([look + b"\r", CTRL_C, b"raise SystemExit(0)\r", b"q\r"], 1):
            terminal.see(
                lambda number=number: terminal.lines[-1:] == ["(Pdb)"] and terminal.text.count("(Pdb)") >= number
            )
            terminal.type(each)
        code, text = terminal.end(), terminal.text

    assert 1 == code, text
    assert seen in text
    assert "VERDICT reproduced: " in text


def test_show_and_list_print_one_document():
    """With --json, standard output holds one JSON document and nothing else."""
    shown, listed = called("show", DUPLICATE, "--json"), called("list", BUNDLES, "--json")

    assert (0, "037acf80") == (shown.code, json.loads(shown.out)["failure"]["fingerprint"])
    assert (0, ["format-0.pd", "format-1.pd"]) == (
        listed.code,
        [Path(each["bundle"]).name for each in json.loads(listed.out)["bundles"]],
    )
    assert ("", "") == (shown.err, listed.err)


def test_show_takes_one_form():
    """All there is, and all but the times, are not asked for at once."""
    ran = called("show", DUPLICATE, "--json", "--plain")

    assert 129 == ran.code
    assert "error[usage]: --json says all there is." in ran.err


def test_list_says_what_can_not_be_read(tmp_path: Path):
    """A bundle that is none is a line with why, and its code; a folder that is not there, and a bad status, are 129."""
    (tmp_path / "none.pd").write_text("hello")
    ran, gone = called("list", tmp_path), called("list", tmp_path / "gone")
    (tmp_path / "status.toml").write_text("[")
    unknown = called("list", tmp_path)

    assert 128 == ran.code
    assert "-  none.pd  can't be read (bundle-corrupt, exit 128): line 1: " in ran.out
    assert (129, 129) == (gone.code, unknown.code)
    assert "error[missing-file]" in gone.err
    assert "error[status]" in unknown.err


def test_show_says_what_is_known_of_the_bug(tmp_path: Path):
    """Status, ticket and note, as `list` does; of a file of statuses that is not well made, why, and no more."""
    bug = tmp_path / "bug.pd"
    bug.write_bytes(DUPLICATE.read_bytes())
    plain = called("show", bug)
    (tmp_path / "status.toml").write_text('["bug.pd"]\nstatus = "fixed"\nticket = "SHOP-12"\nnote = "in 2.3"\n')
    known = called("show", bug)
    (tmp_path / "status.toml").write_text("[")
    broken = called("show", bug)

    assert "status    open\n" in plain.out
    assert "status    fixed, SHOP-12, in 2.3\n" in known.out
    assert (0, True) == (broken.code, "status.toml can't be read" in broken.out)
