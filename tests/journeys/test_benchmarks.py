"""The benchmarks that are not run as tests are tried out, each with little to do."""

import json
import subprocess
import sys
from pathlib import Path

from conftest import ROOT, environment

from replaykit.reader import read
from replaykit.status import statuses
from tests.benchmarks.hunts import Hunt, Told
from tests.odd import CASES


def printed(name: str, *arguments: str) -> str:
    """Run a benchmark, and return what it prints."""
    done = subprocess.run(
        [sys.executable, f"tests/benchmarks/{name}.py", *arguments],
        cwd=ROOT, env=environment(PYTHONPATH=str(ROOT)), capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def table(name: str, *arguments: str) -> list[list[str]]:
    """Run a benchmark, and return the rows of the table that it prints."""
    lines = [line for line in printed(name, *arguments).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_peers_find_and_shrink_the_same_bug():
    """With replaykit and with Hypothesis, duplicate-names is found, and shrunk to two commands or more."""
    rows = table("peers", "--bug", "duplicate-names", "--seeds", "1")

    assert [["replaykit", "1/1"], ["Hypothesis", "1/1"]] == [row[2:4] for row in rows]
    assert all(float(number) >= 2 for row in rows for number in row[4:8])
    assert all(float(length) >= float(shortest) for *_, length, shortest, _ in rows)


def test_scorecard_finds_without_shrinking():
    """With --no-shrink, and other ways to draw sequences, a bug is found, and nothing is said of its length."""
    least = ("--bug", "double-cancel", "--seeds", "1", "--no-shrink")
    [usual], [row] = table("scorecard", *least), table("scorecard", *least, "--swarm", "--reuse", "0")

    assert ["travelbooking", "double-cancel", "1/1"] == row[:3] == usual[:3]
    assert ["-", "3", "-", "-", "-"] == row[4:] == usual[4:]
    assert row[3] != usual[3]


def test_corpus_is_made_anew_as_it_is(tmp_path: Path):
    """The bundle and the status of a bug that does not depend on chance are made again, with the same commands."""
    printed("corpus", "--bug", "ghost-player", "--into", str(tmp_path))
    made, kept = (folder / "leaderboard" for folder in (tmp_path, ROOT / "failures"))
    name = "ghost-player.pd"

    assert [made / name] == list(made.glob("*.pd"))
    assert read(made / name).trace.sequence == read(kept / name).trace.sequence
    assert {name: statuses(kept)[name]} == statuses(made)


def test_hunt_tells_bugs_apart_that_are_on_at_once():
    """Four bugs of ToyBank, two of them in statements, are each found once, and each bundle shows one of them alone."""
    bugs = ["ghost-hold", "lost-line", "pays-twice", "silent-capture"]
    chosen = [word for bug in bugs for word in ("--bug", bug)]
    [hunt] = json.loads(printed("hunts", "--seeds", "1", "--hunt", "4", *chosen, "--json"))

    assert bugs == hunt["bugs"] == sorted(bug for bundle in hunt["bundles"] for bug in bundle["bugs"])
    assert (0, [], []) == (hunt["duplicates"], hunt["splits"], hunt["mixed"])


def test_hunts_count_what_is_split_and_what_is_mixed():
    """Two bundles of one bug split it; one that shows several bugs alone, or none, is mixed, and is no bug's."""
    shown = [("over-capture",), ("over-capture",), ("stale-read",), (), ("lost-line", "silent-capture")]
    bundles = tuple(Told(f"{number}.pd", "check", 1, 2, bugs) for number, bugs in enumerate(shown))
    hunt = Hunt(0, bundles, runs=10, requests=100, seconds=1.0)

    assert {"over-capture": 2, "stale-read": 1} == hunt.bugs
    assert (["over-capture"], 1, ["3.pd", "4.pd"]) == (hunt.splits, hunt.duplicates, hunt.mixed)


def test_fidelity_tells_what_vcrpy_loses():
    """Both record and play an answer and an error: replaykit as they were, vcrpy without case and without the error."""
    rows = table("fidelity", "--answer", "header case and order", "--answer", "cut short")

    assert [
        ["header case and order", "yes", "yes", "yes", "no: headers", "yes"],
        ["cut short", "yes", "yes", "yes", "no: not recorded", "no: not recorded"],
        ["**as it was**", "**2 of 2**", "**2 of 2**", "**2 of 2**", "**0 of 2**", "**1 of 2**"],
    ] == rows


def test_fidelity_is_told_in_the_docs_as_the_benchmark_counts():
    """The table in the docs has a row for each odd answer, and its counts are those of its rows."""
    text = (ROOT / "docs" / "explanation" / "fidelity.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")
    ]
    _, *answers, counts = rows
    yes = [sum(row[column] == "yes" for row in answers) for column in range(1, 6)]

    assert list(CASES) == [row[0] for row in answers]
    assert [f"**{number} of {len(CASES)}**" for number in yes] == counts[1:]


def test_random_bundles_are_read_the_same_by_all_readers():
    """Of 100 random bundles with hostile strings, our reader and vcrpy, with libyaml and without, read the same."""
    rows = table("yaml_readers", "--bundles", "100", "--seed", "2")

    assert [["replaykit", "100", "0"], ["vcrpy with libyaml", "100", "0"], ["vcrpy without libyaml", "100", "0"]] == [
        row[:3] for row in rows
    ]


def test_isolation_counts_what_is_in_the_files():
    """Ten recordings at once hold their own traffic with replaykit; vcrpy stands beside it, in threads and asyncio."""
    rows = table("isolation", "--requests", "5")

    assert [["threads", "replaykit"], ["threads", "vcrpy"], ["asyncio", "replaykit"], ["asyncio", "vcrpy"]] == [
        row[:2] for row in rows
    ]
    assert [["10/10", "0/10", "50/50", "no"]] * 2 == [row[2:] for row in rows if row[1] == "replaykit"]


def test_cassettes_measures_recording_playing_and_loading():
    """Each kind of work has a figure of replaykit's and one of vcrpy's."""
    rows = table("cassettes", "--counts", "20", "--loads", "20", "--rounds", "1")

    assert ["recording", "playing", "loading"] == [row[0].partition(",")[0] for row in rows]
    assert all(float(cell.split()[0]) >= 0 for row in rows for cell in row[2:])


def test_the_service_of_cassettes_ends_with_what_started_it():
    """It says its port, and ends as soon as its standard input does."""
    done = subprocess.run(
        [sys.executable, "tests/benchmarks/cassettes.py", "--serve"], cwd=ROOT, env=environment(PYTHONPATH=str(ROOT)),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip

    assert (0, "") == (done.returncode, done.stderr)
    assert 0 < int(done.stdout) < 1 << 16


def test_simulated_bisects_accuse_nobody_wrongly():
    """Where a bug shows each time, the culprit is named or among the candidates, in 18 tests or fewer in the median."""
    rows = [row for row in table("bisects", "simulated", "--trials", "10") if "shows in" not in row[0]]
    right, listed, unknown, wrong = zip(*[map(int, row[2:6]) for row in rows], strict=True)

    assert 6 == len(rows)
    assert ["10", "0", "0", "0"] == rows[0][2:6]
    assert [10] * 6 == [sum(each) for each in zip(right, listed, strict=True)]
    assert (set(unknown), set(wrong)) == ({0}, {0})
    assert all(float(row[6].partition(",")[0]) <= 18 for row in rows)
