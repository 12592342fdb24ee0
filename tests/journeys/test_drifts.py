"""Drift through the command line: exit code first."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, replaykit
from kiosk import Kiosk, bundle

from replaykit import replay, ruling
from replaykit.change import Tier
from replaykit.cli.app import run
from replaykit.reader import read
from replaykit.redact import Redactor
from replaykit.secret import Policy
from replaykit.verdict import Failure, Verdict

NAMES = ("--model", "kiosk:Buying", "--adapter", "kiosk:BuyingApi")


@pytest.fixture(scope="module")
def kiosk() -> Iterator[Kiosk]:
    with Kiosk() as service:
        yield service


@pytest.fixture(scope="module")
def kept(kiosk: Kiosk, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a bundle, and with the rules that `replaykit noise` proposes for it."""
    folder = tmp_path_factory.mktemp("kept")
    kiosk.changes = set()
    bundle(kiosk, folder / "bug.pd")
    assert 0 == run(["noise", f"{folder}/bug.pd", *NAMES, "--url", kiosk.url, "--output", f"{folder}/pyproject.toml"])
    return folder


@pytest.fixture
def project(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a project of its own with the same."""
    shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def replayed(kiosk: Kiosk, *options: str) -> int:
    return run(["replay", *options, "bug.pd", *NAMES, "--url", kiosk.url])


@pytest.mark.parametrize(
    ("change", "options", "code", "verdict"),
    [
        ("none", ["--fail-on-drift"], 0, "VERDICT passed: "),
        ("dollars", ["--fail-on-drift"], 1, "in 2 places (2 changed)"),
        ("less", ["--fail-on-drift"], 1, "in 2 places (2 removed)"),
        ("text", ["--fail-on-drift"], 1, "in 2 places (2 type)"),
        ("more", ["--fail-on-drift"], 0, "VERDICT passed: "),
        ("more", ["--fail-on-drift=added"], 1, "in 4 places (4 added)"),
        ("dollars", ["--fail-on-drift", "added,removed"], 0, "VERDICT passed: "),
        ("dollars", [], 0, "VERDICT passed: "),
        ("overcharged", ["--fail-on-drift"], 1, "VERDICT failed: "),
    ],
)
def test_drift_is_1_where_it_is_asked_for(
    change: str, options: list[str], code: int, verdict: str, kiosk: Kiosk, project: Path,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    """A run that passes exits with 1 if its answers drifted in one of the tiers; what fails stays what it is."""
    kiosk.changes = {change}
    ran = replayed(kiosk, *options)
    last = capsys.readouterr().out.splitlines()[-1]

    assert code == ran, last
    assert verdict in last
    assert ("VERDICT drifted: passed, but " in last) == ("place" in verdict)


def test_drift_and_the_rules_are_told(kiosk: Kiosk, project: Path, capsys: pytest.CaptureFixture[str]):
    """Each place is told with its step, and of each rule how much it matched."""
    kiosk.changes = {"mixed-up"}

    assert 1 == replayed(kiosk, "--fail-on-drift")
    out = capsys.readouterr().out
    assert "  [ 2] changed  POST /carts/<cart@1>/items  $.cart: cart@1 -> cart@0\n" in out
    assert "  noise rule 1 (time at $.created of POST /carts): matched 2 values\n" in out
    assert "  drift, what was recorded and what is answered now:\n  [ 2] " in out


def test_json_holds_the_drift(kiosk: Kiosk, project: Path):
    """The places, in how many attempts they differ, the tiers, and what the rules came to; null where nobody asked."""
    from kiosk import Buying, BuyingApi

    def drift_of(*tiers: Tier) -> dict:
        came = replay(read(project / "bug.pd"), model=Buying, adapter=BuyingApi, url=kiosk.url, fail_on_drift=tiers)
        ruled = ruling.ruling("bug.pd", came, Redactor(Policy()), expect="fixed")
        return json.loads(ruling.render(ruling.Rulings(expect="fixed", exit_code=1, replays=(ruled,))))["replays"][0]

    kiosk.changes = {"dollars"}
    drift = drift_of("changed")["drift"]

    assert (["changed"], 4, 2) == (drift["tiers"], drift["compared"], len(drift["places"]))
    assert (2, "$.unit", '"EUR"', '"USD"', 1) == tuple(
        drift["places"][0][key] for key in ("step", "place", "before", "after", "attempts")
    )
    assert {"rule": "time at $.created of POST /carts", "matched": 2, "differed": 2, "covered": 2} == drift["noise"][0]
    assert drift_of()["drift"] is None


def test_every_attempt_is_looked_at(kiosk: Kiosk, project: Path, capsys: pytest.CaptureFixture[str]):
    """Drift in one of several attempts is drift, and it is told in how many it is."""
    kiosk.changes = {"sometimes"}
    ran = replayed(kiosk, "--fail-on-drift", "--times", "4")
    out = capsys.readouterr().out

    assert 1 == ran, out
    assert '  [ 2] changed  POST /carts/<cart@1>/items  $.unit: "EUR" -> "USD"  (in 2 of 4 attempts)\n' in out
    assert out.endswith("in 2 places (2 changed) (exit 1)\n")


def failed(path: Path, step: int) -> None:
    """Make a bundle one of a bug that showed at a step."""
    from replaykit.writer import save

    found = read(path)
    failure = Failure(kind="check", name="as_many", step=step, command="open_cart", message="one too few")
    path.unlink()
    save(path, found.provenance, found.trace.replace(failure=failure, ending="failed"))


@pytest.mark.parametrize(
    ("step", "code", "said"),
    [
        (0, 125, "VERDICT undecided: fixed, but no step could be held against the recorded ones"),
        (1, 0, "  note      drift was looked for in 1 of 4 steps: it ends at the step that failed"),
    ],
)
def test_a_gate_that_compared_nothing_does_not_pass(
    step: int, code: int, said: str, kiosk: Kiosk, project: Path, capsys: pytest.CaptureFixture[str]
):
    """Where the first step is the one that failed, nothing is compared, and nobody knows whether there is drift."""
    kiosk.changes = set()
    failed(project / "bug.pd", step)

    assert code == replayed(kiosk, "--fail-on-drift")
    assert said in capsys.readouterr().out
    assert 0 == replayed(kiosk)
    assert "drift" not in capsys.readouterr().out


def test_drift_of_what_reproduces_is_not_told(kiosk: Kiosk, project: Path, capsys: pytest.CaptureFixture[str]):
    """It does not count there."""
    kiosk.changes = {"dollars", "overcharged"}

    assert 1 == replayed(kiosk, "--fail-on-drift")
    assert "drift, " not in capsys.readouterr().out


def test_a_secret_is_covered_before_it_is_cut(
    kiosk: Kiosk, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """A long secret that is new in an answer shows no part of itself."""
    secret = "4f" * 100
    monkeypatch.setenv("REPLAYKIT_SECRET_CLERK", secret)
    monkeypatch.setattr(kiosk, "note", f"by {secret}")
    kiosk.changes = {"noted"}

    assert 1 == replayed(kiosk, "--fail-on-drift")
    out = capsys.readouterr().out
    assert "$.note: null -> " in out
    assert secret[:20] not in out
    kiosk.changes = set()


def test_without_the_option_verbose_says_one_line(kiosk: Kiosk, project: Path, capsys: pytest.CaptureFixture[str]):
    """Whoever looks closely is told that there is drift, and how to ask for it."""
    kiosk.changes = {"dollars"}

    assert 0 == replayed(kiosk, "--verbose")
    assert "  answers differ from the recorded ones in 2 places (2 changed): --fail-on-drift" in capsys.readouterr().out
    assert 0 == replayed(kiosk)
    assert "answers differ" not in capsys.readouterr().out


def test_in_python_the_verdict_is_drifted(kiosk: Kiosk, project: Path):
    """`replay` takes the tiers, and says what it would have been."""
    from kiosk import Buying, BuyingApi

    kiosk.changes = {"less"}
    came = replay(read(project / "bug.pd"), model=Buying, adapter=BuyingApi, url=kiosk.url, fail_on_drift=("removed",))

    assert Verdict.DRIFTED is came.verdict
    assert came.reason.startswith("passed, but answers differ")


@pytest.mark.parametrize(
    ("rules", "slug", "said"),
    [
        ('[[tool.replaykit.noise]]\nplace = "$"\ntype = "any"', "noise", "too broad"),
        (
            '[[tool.replaykit.noise]]\nplace = "$.total"\ntype = "any"',
            "noise",
            "covers what the model predicts: $.total, and the state has it at $.carts",
        ),
        ("[tool.replaykit]\nnoise = 1", "noise", "no list of tables"),
    ],
)
def test_bad_rules_are_129(
    rules: str, slug: str, said: str, kiosk: Kiosk, project: Path, capsys: pytest.CaptureFixture[str]
):
    """A rule that covers too much, or what the model predicts, is a mistake of the configuration."""
    kiosk.changes = set()
    (project / "pyproject.toml").write_text(rules)

    assert 129 == replayed(kiosk, "--fail-on-drift")
    err = capsys.readouterr().err
    assert f"error[{slug}]" in err
    assert said in err


@pytest.mark.parametrize(
    "options", [["--fail-on-drift=size"], ["--fail-on-drift=added,"], ["--fail-on-drift", "--offline"]]
)
def test_bad_options_are_129(options: list[str], project: Path):
    """Tiers that are none, and drift where no service is asked, are mistakes of the caller."""
    assert 129 == run(["replay", "bug.pd", *NAMES, *options])


def test_the_environment_asks_for_no_drift_offline(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """The variable means all replays that can drift, and no other one is stopped by it."""
    monkeypatch.setenv("REPLAYKIT_FAIL_ON_DRIFT", "1")

    assert 0 == run(["replay", "bug.pd", *NAMES, "--offline"])
    assert "VERDICT passed: " in capsys.readouterr().out


def test_a_bad_rule_does_not_hide_a_bug(kiosk: Kiosk, project: Path, capsys: pytest.CaptureFixture[str]):
    """What fails stays 1, and what passes stays 0 where drift was not asked for, whatever is wrong with a rule."""
    (project / "pyproject.toml").write_text('[[tool.replaykit.noise]]\nplace = "$.total"\ntype = "any"\n')
    kiosk.changes = set()
    assert 0 == replayed(kiosk, "--verbose")
    assert "drift was not looked for: The noise rule any at $.total" in capsys.readouterr().out
    kiosk.changes = {"overcharged"}
    assert 1 == replayed(kiosk, "--fail-on-drift")
    assert "VERDICT failed: " in capsys.readouterr().out


def test_the_option_has_a_variable(
    kiosk: Kiosk, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """In the environment, it is 1, or the tiers."""
    kiosk.changes = {"more"}
    monkeypatch.setenv("REPLAYKIT_FAIL_ON_DRIFT", "1")
    assert 0 == replayed(kiosk)
    monkeypatch.setenv("REPLAYKIT_FAIL_ON_DRIFT", "added")
    assert 1 == replayed(kiosk)
    capsys.readouterr()


def test_noise_that_is_refused_is_1(kiosk: Kiosk, project: Path, capsys: pytest.CaptureFixture[str]):
    """What differs between two runs and may be no noise is told in comments, below the rules."""
    kiosk.changes = {"growing"}
    code = run(["noise", "bug.pd", *NAMES, "--url", kiosk.url, "--repeat", "3"])
    out = capsys.readouterr().out
    kiosk.changes = set()

    assert 1 == code, out
    assert "# refused: POST /carts/*/items $.rows[*]: " in out


def test_noise_without_a_service_is_125_and_overwrites_nothing(project: Path):
    """Where nothing can be run, nothing is proposed; a file that is there is never overwritten."""
    gone = ["noise", "bug.pd", *NAMES, "--url", "http://127.0.0.1:9", "--health-timeout", "0.2"]

    assert 125 == run(gone)
    assert 129 == run([*gone, "--output", "bug.pd"])
    assert 129 == run([*gone, "--repeat", "1"])
    assert 129 == run(["noise", "none.pd", *NAMES])


def test_diff_is_0_for_what_is_alike(kiosk: Kiosk, project: Path, capsys: pytest.CaptureFixture[str]):
    """Two recordings of the same are alike, with the rules; --all shows what they cover."""
    kiosk.changes = set()
    bundle(kiosk, project / "again.pd")

    assert 0 == run(["diff", "bug.pd", "again.pd"])
    assert 1 == run(["diff", "bug.pd", "again.pd", "--all"])
    assert "$.created" in capsys.readouterr().out


def test_diff_is_1_for_what_is_not_and_more_for_what_is_no_bundle(
    kiosk: Kiosk, project: Path, capsys: pytest.CaptureFixture[str]
):
    """What differs is 1, a broken bundle 128, a file that is not there 129."""
    kiosk.changes = {"dollars"}
    bundle(kiosk, project / "other.pd")
    (project / "broken.pd").write_text("version: 1\n")

    assert [1, 128, 129] == [run(["diff", "bug.pd", each]) for each in ("other.pd", "broken.pd", "none.pd")]
    assert "VERDICT unlike: 2 places in answers and events (exit 1)" in capsys.readouterr().out


def test_diff_prints_one_document(project: Path):
    """With --json, standard output holds the document and nothing else; nothing that a bundle names is imported."""
    kept = ROOT / "failures" / "leaderboard" / "tie-order.pd"
    ran = replaykit("diff", kept, project / "bug.pd", "--json", cwd=project)

    assert 1 == ran.code, ran
    assert (1, False) == tuple(json.loads(ran.out)[each] for each in ("version", "alike"))


GUIDE = (ROOT / "docs" / "guides" / "drift.md").read_text(encoding="utf-8")


def test_the_guide_shows_the_rules_that_are_proposed(project: Path):
    """The rules in the guide are those that `replaykit noise` proposes, and the project takes them."""
    [shown] = re.findall(r"(?s)```toml\n(.*?)```", GUIDE)

    assert shown == (project / "pyproject.toml").read_text()


def test_the_guide_shows_what_is_printed(kiosk: Kiosk, project: Path, capsys: pytest.CaptureFixture[str]):
    """The drift that the guide shows is what a replay prints, and so is what it says is refused."""
    kiosk.changes = {"dollars", "mixed-up"}
    assert 1 == replayed(kiosk, "--fail-on-drift")
    kiosk.changes = {"growing"}
    assert 1 == run(["noise", "bug.pd", *NAMES, "--url", kiosk.url])
    printed = capsys.readouterr().out.splitlines()
    shown = [line for block in re.findall(r"(?s)```text\n(.*?)```", GUIDE) for line in block.splitlines()]

    assert 6 == len(shown)
    assert [] == [line for line in shown if line not in printed]
