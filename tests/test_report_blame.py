"""What a bisect came to as text, Markdown and JSON: the same facts in each, whatever a repository says."""

import json
import random
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from blames import LINE, at, found, lost, point
from conftest import ROOT
from markdown_it import MarkdownIt

from replaykit.blame import Blame, Stages
from replaykit.cli.console import draw
from replaykit.commit import Change
from replaykit.report import blame as text_report
from replaykit.report import blame_json, blame_markdown, lineage
from replaykit.report.grounds import Asked, Hand, between, conclusion, hints, lasting, nearest
from replaykit.report.sheet import NARROWEST, SIGNS, Sheet, columns

REFERENCE = ROOT / "docs" / "reference"
PAGE = REFERENCE / "reports.md"
HOSTILE = (
    "x` ```\n# owned\n| a |\t<script>alert(1)</script> \x1b[31m\x00\u202e [link](javascript:1) @everyone "
    "::error::owned\r\n</details> ~~~ $(rm -rf .)"
)
ASKED = Asked(
    words=[["failures/balance.pd"], ["--good", "v1.2"], ["--start", "python app.py --port {port}"], ["--resume"]],
    raised=["--max-replays", "4000"],
    replay="replaykit replay failures/balance.pd",
    hand=Hand(start="python app.py --port {port}"),
)
START = "--start 'python app.py --port {port}'"
BY_HAND = (
    "replaykit replay failures/balance.pd --start \"sh -c 'cd ../bisect-5e9a548f && exec python app.py --port {port}'\""
)

HERE, BEFORE = point(575).name, point(574).name


def written(blame: Blame, width: int = 80, *, is_ascii: bool = False) -> str:
    """Return the text without its styles."""
    return "\n".join(line for line, _ in text_report.render(blame, Sheet(width, is_ascii), ASKED))


def hostile(said: str) -> Blame:
    """Make a blame in which a repository says so wherever it can."""
    here = point(575, subject=said)
    rows = [each.replace(point=each.point.replace(subject=said), reason=said) for each in LINE]
    change = Change(
        author=said, date=said, subject=said, files=[("M", said)] * 9, merges=[said], pull_request=said,
    )  # fmt: skip
    return found(culprit=here, tested=rows, change=change, notes=[said] * 3, failure=said, bundle=said, reason=said)


# --- the text ---------------------------------------------------------------------------------


def test_the_culprit_comes_first():
    """Hash, subject, author, pull request, files; then how sure it is, and why; then what was tried."""
    lines = written(found(notes=["it touches only tests"]), width=100).splitlines()
    labels = {line[2:17].strip(): line[17:] for line in lines[1:12]}

    assert f"CULPRIT {point(575).id}" == lines[0]
    assert "Keep rounding in one place (#42)" == labels["subject"]
    assert ("a <a@example.com>", "#42") == (labels["author"], labels["pull request"])
    assert "3: M ledger.py, A rounding.py, M tests/test_ledger.py" == labels["files"]
    assert "confidence 99.5 %" == labels["how sure"]
    assert f"reproduced in 9 of 10 attempts here, in 0 of 13 at its parent {BEFORE}" in "\n".join(lines)
    assert "both were tried once more at the end, with the same result" in "\n".join(lines)
    assert "not each time: in 9 of 10 attempts where it is" == labels["how often"]
    assert "it touches only tests" == labels["notes"]
    assert [lines.index(each) for each in ("tried, from old to new", "history, from old to new", "next")] == sorted(
        lines.index(each) for each in ("tried, from old to new", "history, from old to new", "next")
    )


def test_the_table_has_a_row_for_each_point():
    """Place, name, state, how often the bug showed, visits, seconds, subject; below a skip, why."""
    lines = written(found()).splitlines()
    table = lines[lines.index("tried, from old to new") + 1 : lines.index("history, from old to new") - 1]
    words = [line.split() for line in table]

    assert ["place", "commit", "state", "showed", "visits", "time", "subject"] == words[0]
    assert ["0", "good", "0", "of", "7", "1", "1.3", "s", "Serve"] == [words[1][0], *words[1][2:10]]
    assert ["573", "skipped", "-", "1", "0.4", "s"] == [words[3][0], *words[3][2:7]]
    assert "unbuildable: make exited with 2: no rule to make target 'all'" == table[4].strip()
    assert ["1,024", "bad", "9", "of", "10", "1", "known"] == [words[-1][0], *words[-1][2:8]]
    assert [f"▶   575  {HERE}"] == [line[:17] for line in table if line.startswith("▶")]
    assert len(LINE) + 2 == len(table)


def test_the_graph_is_the_line_of_history():
    """A row for each point with a bar, the number of commits between them, and a mark at the culprit."""
    lines = [line for line, _ in lineage.render(found(), Sheet())]

    assert [
        f"  ✓ {point(0).name} ░░░░░░░░░░  0 of 7  Serve a ledger",
        "  ┆ 510 commits",
        f"  ✓ {point(511).name} ░░░░░░░░░░  0 of 7  Say the balance in cents",
        "  ┆ 61 commits",
        f"  ○ {point(573).name}                  -  Move to another build tool",
        f"  ✓ {BEFORE} ░░░░░░░░░░ 0 of 13  Round each entry by itself",
        f"▶ ✗ {HERE} █████████░ 9 of 10  CULPRIT: Keep rounding in one place (#42)",
        "  ┆ 64 commits",
        f"  ✗ {point(640).name} ██████████  4 of 4  Name the currency",
        "  ┆ 383 commits",
        f"  ✗ {point(1024).name} █████████░ 9 of 10  Answer faster",
        "  ✗ the bug shows, ✓ it does not, ○ not judged",
    ] == lines


def test_states_are_told_apart_by_colour_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Where there are colours, good is green, bad is red, and a skip yellow; without them the signs say it."""
    monkeypatch.setenv("NO_COLOR", "")
    monkeypatch.setenv("FORCE_COLOR", "1")
    draw(lineage.render(found(), Sheet()))
    coloured = capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    draw(lineage.render(found(), Sheet()))

    colours = re.findall(r"(?m)^\x1b\[(\d+)m(?:▶|  ?)? *([✗✓○]) [0-9a-f]", coloured)
    assert {("31", "✗"), ("32", "✓"), ("33", "○")} == set(colours)
    assert re.sub(r"\x1b\[\d+m", "", coloured) == capsys.readouterr().out


def test_inside_of_a_merge_the_graph_is_indented():
    """What was tried inside of a merge has the place of the commit before the merge, and stands between them."""
    inside = [at(1, "good", held=4).replace(place=574), at(3, "bad", shown=4).replace(place=574)]
    rows = [*LINE[:4], *inside, *LINE[4:]]
    blame = found(tested=rows, culprit=inside[1].point, parent=inside[0].point, merge=LINE[4].point)
    lines = [line for line, _ in lineage.render(blame, Sheet())]
    place = next(place for place, line in enumerate(lines) if line.startswith(f"  ✗ {HERE}"))

    assert [
        f"  ✓ {BEFORE} ░░░░░░░░░░ 0 of 13  Round each entry by itself",
        f"  │ ✓ {point(1).name} ░░░░░░░░░░  0 of 4  Change 1",
        f"▶ │ ✗ {point(3).name} ██████████  4 of 4  CULPRIT: Change 3",
    ] == lines[place - 3 : place]
    assert "  ┆ 64 commits" == lines[place + 1]
    assert "│ inside of a merge" in lines[-1]
    assert f"▶     │  {point(3).name}  bad " in written(blame)
    assert f"merged by      {HERE} Keep rounding in one place (#42)" in written(blame)
    assert (LINE[3], LINE[4]) == between(blame)


def test_a_merge_of_which_no_more_is_known_has_candidates_inside():
    """The merge is the culprit, and the commits that came with it are told with what is known of them."""
    blame = lost("found", 2, culprit=point(575), parent=point(574), merge=point(575))
    said = written(blame)

    assert f"CULPRIT {point(575).id}" == said.splitlines()[0]
    assert "candidates inside of the merge, the most probable first (2)" in said
    assert "were not tried once more" not in said
    assert "merged by" not in written(found(merge=point(575)))
    assert "## Candidates inside of the merge (2)" in blame_markdown.render(blame)


@pytest.mark.parametrize(
    ("share", "drawn"),
    [(0.0, ".........."), (0.001, "#........."), (0.5, "#####....."), (0.999, "#########."), (1.0, "##########")],
)
def test_only_never_looks_like_never(share: float, drawn: str):
    """A bar is empty only at 0 and full only at 1."""
    assert drawn == Sheet(is_ascii=True).bar(share, 10)


ALL = [
    found(),
    found(fix=True, rate=None, confirmed=False),
    found(axis="versions", package="ledger", change=None),
    *(lost(each, number) for each in ("candidates", "undecided") for number in (2, 10, 11, 400)),
    *(lost(each) for each in ("not bad", "not good", "not judged", "trouble", "interrupted")),
    lost("interrupted", tested=[], spent=Stages(), journal=None),
    hostile(HOSTILE),
    hostile("日本語の件名" * 30),
    hostile("é" * 200),
    hostile(""),
]  # fmt: skip


@pytest.mark.parametrize("blame", ALL)
@pytest.mark.parametrize("width", [20, 40, 61, 80, 133])
def test_lines_are_as_wide_as_the_terminal(blame: Blame, width: int):
    """No line is wider, but for commands, which are indented by four, and hashes; nothing in a line is obeyed."""
    for is_ascii in (False, True):
        lines = written(blame, width, is_ascii=is_ascii).split("\n")
        wide = [each for each in lines if columns(each) > max(width, NARROWEST) and not each.startswith("    ")]

        assert [] == wide
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", "".join(lines))
        assert not is_ascii or all(each.isascii() for each in lines)


@pytest.mark.parametrize(("text", "wide"), [("", 0), ("abc", 3), ("é", 1), ("e\u0301", 1), ("日本", 4), ("ｱ✗", 2)])
def test_columns_are_those_of_a_terminal(text: str, wide: int):
    """An ideograph takes two columns, an accent of its own none."""
    assert wide == columns(text)


def test_random_texts_are_cut_and_wrapped_to_the_column():
    """Of any text, as much is kept as there is room for, and wrapping loses nothing but spaces."""
    chance = random.Random(5)
    for _ in range(300):
        text = "".join(chance.choice("ab  é日本\u0301") for _ in range(chance.randint(0, 40)))
        room = chance.randint(4, 30)
        sheet = Sheet(80, is_ascii=False)
        lines = sheet.wrapped(text, room)

        assert room == columns(sheet.padded(text, room))
        assert (
            text == sheet.clipped(text, room) or columns(text) > room >= columns(sheet.clipped(text, room)) >= room - 12
        )
        assert max(columns(each) for each in lines) <= room
        assert "".join(text.split()) == "".join("".join(lines).split())


def test_signs_can_be_asked_for_before_they_are_written():
    """All that the text has beyond ASCII stands in SIGNS: who can show those can show it."""
    wide = {each for blame in ALL[:-4] for width in (40, 80) for each in written(blame, width) if not each.isascii()}

    assert set() == wide - set(SIGNS)
    assert {"✗", "✓", "○", "┆", "█", "░", "▶"} <= wide


# --- what is said where nothing was found ---------------------------------------------------------


@pytest.mark.parametrize(("number", "named", "more"), [(2, 2, 0), (10, 10, 0), (11, 5, 6), (400, 5, 395)])
@pytest.mark.parametrize("outcome", ["candidates", "undecided"])
def test_candidates_are_named(number: int, named: int, more: int, outcome: str):
    """All of a few candidates are named with their probability, of many the first; and how to see the rest."""
    blame = lost(outcome, number)
    first = blame.suspects[0].replace(probability=2 / number)
    said = written(blame.replace(suspects=[first, *blame.suspects[1:]]))
    rows = re.findall(r"(?m)^ +[\d.]+ %  ([0-9a-f]{8})  ", said)

    assert f"{outcome.upper()} one of {number} commits brought it" == said.splitlines()[0]
    assert [point(573 + each).name for each in range(named)] == rows
    assert [f"  and {more} more"] * (more > 0) == re.findall(r"(?m)^  and \d+ more$", said)
    assert (f"git log --oneline {BEFORE}..{HERE}" in said) is (more > 0)
    assert re.search(r"skipped +1 could not be had or built", said)


def test_many_candidates_that_are_alike_are_a_range():
    """Nothing is won by five of 36 names: the two commits that they lie between are told, and marked in the graph."""
    rows = [LINE[0], LINE[1].replace(place=538), *LINE[4:]]
    blame = lost("interrupted", 36, tested=rows, signal=2)
    lines = written(blame, 100).splitlines()

    assert "INTERRUPTED stopped before it was known which commit brought it" == lines[0]
    assert "candidates (36)" in lines
    assert f"  36 commits after {point(511).name} up to {HERE}, 2.7 % each" in lines
    assert "? ┆ 36 commits, one of which it may be" in lines
    assert "  ┆ 64 commits" in lines
    assert f"36 commits after {point(511).name} up to {HERE}, 2.7 % each" in blame_markdown.render(blame)
    assert f"79 commits up to {point(1024).name}" in written(lost("interrupted", 79, tested=rows[:1], far=None))
    assert "of which it may be" not in written(found(tested=rows))


def test_who_it_can_not_be_is_no_candidate():
    """Suspects with no probability at all are neither counted nor marked; where each has none, all are."""
    blame = lost("undecided", 40)
    few = blame.replace(suspects=[*blame.suspects[:3], *(each.replace(probability=0.0) for each in blame.suspects[3:])])
    none = blame.replace(suspects=[each.replace(probability=0.0) for each in blame.suspects])

    assert "UNDECIDED one of 3 commits brought it" == written(few).splitlines()[0]
    assert {"?"} == {line[0] for line, _ in lineage.render(few, Sheet()) if line[4:12] in {HERE, BEFORE}}
    assert " " == next(line[0] for line, _ in lineage.render(few, Sheet()) if line[4:12] == point(0).name)
    assert "UNDECIDED one of 40 commits brought it" == written(none).splitlines()[0]


@pytest.mark.parametrize(
    ("rate", "steady", "said"),
    [((3, 3), False, False), ((2, 3), False, True), ((2, 3), True, False), (None, False, False)],
)
def test_how_often_is_told_of_what_shows_now_and_then(rate: tuple[int, int] | None, steady: bool, said: bool):
    """Of a bug that was seen each time nothing is said."""
    told = re.findall("not each time: .*", written(found(rate=rate, steady=steady)))

    assert ["not each time: in 2 of 3 attempts where it is"] * said == told


def test_what_to_type_next_follows_from_how_it_ended():
    """Show it, have it by hand, go further back, give it more time: each with the command."""
    commands = {
        each.outcome: [hint.command for hint in hints(each, ASKED) if hint.command]
        for each in (found(), *(lost(word, 2) for word in ("candidates", "undecided", "not good", "interrupted")))
    }

    assert {
        "found": [
            f"git show {HERE}",
            f"git worktree add --detach ../bisect-{HERE} {HERE}",
            BY_HAND,
            "ls /tmp/bisect/logs",
        ],
        "candidates": ["ls /tmp/bisect/logs"],
        "undecided": ["replaykit bisect --resume --max-replays 4000", "ls /tmp/bisect/logs"],
        "not good": [f"replaykit bisect failures/balance.pd {START} --good auto", "ls /tmp/bisect/logs"],
        "interrupted": ["replaykit bisect --resume", "ls /tmp/bisect/logs"],
    } == commands


@pytest.mark.parametrize(
    ("blame", "commands"),
    [
        (lost("not good", fix=True), ["ls /tmp/bisect/logs"]),
        (lost("not good", far=None), ["ls /tmp/bisect/logs"]),
        (lost("not good", axis="versions"), ["ls /tmp/bisect/logs"]),
    ],
)
def test_no_command_is_told_that_would_be_refused(blame: Blame, commands: list[str]):
    """Of a fix only the older end can be looked for, of versions none, and behind the first commit is none."""
    assert commands == [hint.command for hint in hints(blame, ASKED) if hint.command]


@pytest.mark.parametrize(("revision", "offered"), [("c" * 40, True), (None, False), (point(1024).id, False)])
def test_a_bug_that_is_gone_may_have_been_mended(revision: str | None, offered: bool):
    """What was seen instead is told; where the bundle was recorded at another commit, --find-fix is offered."""
    gone = at(1024, "good", held=9, reason="all steps ran")
    said = written(lost("not bad", tested=[LINE[0], gone], revision=revision), 120)

    assert "fixed: all steps ran, the bug showed in 0 of 9 attempts" in said
    command = f"replaykit bisect failures/balance.pd {START} --find-fix --bad {revision} --good {point(1024).id}"
    assert (command in said) is offered
    assert ("--find-fix" in said) is offered


def test_an_end_that_could_not_be_judged_says_why():
    """The reason and the log of that end are told at the top."""
    log = f"/{'long' * 30}/1024.log"
    dead = at(1024, "skipped", reason="make exited with 2", log=log)
    said = written(lost("not judged", tested=[LINE[0], dead]))

    assert f"seen at {point(1024).name} unbuildable: make exited with 2, with this log:\n    {log}\n" in said


def test_a_fix_is_told_as_one():
    """The words are those of a fix, and the counts are those of the commit that mended it."""
    rows = [at(0, "bad", shown=9), at(574, "bad", shown=9), at(575, "good", held=13), at(1024, "good", held=13)]
    blame = found(fix=True, tested=rows, steady=True)
    said = written(blame)
    odds = f"in 0 of 13 attempts here, in 9 of 9 at its parent {BEFORE}, confidence 99.5 %"

    assert f"FIX {point(575).id}" == said.splitlines()[0]
    assert f"▶ ✓ {HERE} ░░░░░░░░░░ 0 of 13  FIX: Keep rounding in one place (#42)" in said
    assert ("found", f"{HERE} Keep rounding in one place (#42) mended it, reproduced {odds}") == conclusion(blame)
    assert (574, 575) == tuple(each.place for each in between(blame))


def test_versions_are_told_as_such():
    """The point is a version, and what to type next makes an environment with it."""
    rows = [
        at(0, "good", held=3, point=point(574, name="1.9", subject="")),
        at(1, "bad", shown=3, point=point(575, id="1.10", name="1.10", subject="")),
    ]
    changes = {"parent": rows[0].point, "spent": Stages(tests=2)}
    blame = found(
        axis="versions", package="ledger", change=None, tested=rows, culprit=rows[1].point, points=1, **changes
    )
    said = written(blame, 120)
    hand = Hand(start="ledger {port}", package="ledger[all]", beside=["old<8"], python="python3.8")
    commands = [each.command for each in hints(blame, ASKED._replace(hand=hand))]

    assert "CULPRIT 1.10" == said.splitlines()[0]
    assert "2 of 2 versions tried" in said
    assert "in 0 of 3 at 1.9, the version before" in said
    assert "subject" not in said
    assert "Subject" not in blame_markdown.render(blame)
    assert [
        "python3.8 -m venv by-hand && by-hand/bin/pip install 'ledger[all]==1.10' 'old<8'",
        f'PATH="$PWD/by-hand/bin:$PATH" {ASKED.replay} --start "sh -c \'cd by-hand && exec ledger {{port}}\'"',
    ] == commands[:2]
    assert "    python -m venv by-hand && by-hand/bin/pip install ledger==1.10" in said.splitlines()


def test_the_last_line_says_how_it_ended():
    """Where nothing was found, word and reason are those of the blame."""
    assert ("undecided", "it ended so") == conclusion(lost("undecided", 3))


def test_a_long_subject_is_cut_in_the_last_line():
    """It is one line, and the subject stands above it in full."""
    _, reason = conclusion(found(culprit=point(575, subject="round it " * 60)))

    assert "it round... brought it, reproduced in 9 of 10 attempts here" in reason
    assert len(reason) < 200


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "go further back"),
        ({"far": None}, "there is no older commit"),
        ({"fix": True}, "name with --good a newer end"),
        ({"axis": "versions"}, "begin --versions with an older one"),
    ],
)
def test_where_the_bug_is_still_there_another_end_is_asked_for(changes: dict[str, Any], said: str):
    """To look further back is offered only where there is something further back."""
    first = hints(lost("not good", **changes), ASKED)[0]

    assert first.what.startswith(said)
    assert ("--good auto" in first.command) is (said == "go further back")


def test_what_mended_it_closes_the_bug():
    """The command that closes a bug has who mended it as its note."""
    first = hints(found(fix=True), ASKED)[0].command

    assert f"replaykit close failures/balance.pd --note 'mended by {HERE} Keep rounding in one place (#42)'" == first


def test_by_hand_is_in_the_folder_where_the_user_is():
    """From a subfolder, the checkout lies beside the repository, and all is run in the same subfolder of it."""
    tree = f"../../../bisect-{HERE}"
    there = Hand(build="make all", start="python app.py", folder="a b/tests")
    commands = [each.command for each in hints(found(), ASKED._replace(hand=there))]
    setup = hints(found(), ASKED._replace(hand=there._replace(setup="sh env.sh {env}")))[2]

    assert f"git worktree add --detach {tree} {HERE}" == commands[1]
    assert f"(cd '{tree}/a b/tests' && make all)" == commands[2]
    assert ["sh", "-c", f"cd '{tree}/a b/tests' && exec python app.py"] == shlex.split(shlex.split(commands[3])[-1])
    assert f"{ASKED.replay} --url http://127.0.0.1:PORT" == setup.command


def test_what_was_tried_inside_of_a_merge_is_counted_apart():
    """The commits of the range are counted by themselves, both ends among them."""
    inside = [at(1, "good", held=4).replace(place=574), at(3, "bad", shown=4).replace(place=574)]
    blame = found(tested=[*LINE[:4], *inside, *LINE[4:]], spent=Stages(tests=9, visits=9, attempts=51, seconds=2))

    assert "7 of 1,025 commits tried, and 2 inside of a merge, 1 of them known before, in 9 visits" in " ".join(
        written(blame, 120).split()
    )


def test_of_many_points_those_around_the_culprit_are_shown():
    """A hundred rows are enough for a person; the culprit is among them, and the rest is counted."""
    rows = [at(each, "good" if each < 300 else "bad") for each in range(400)]
    blame = found(tested=rows, culprit=rows[300].point, parent=rows[299].point)
    shown, left = nearest(blame, 100)

    assert (range(250, 350), 300) == (range(shown[0].place, shown[-1].place + 1), left)
    assert "and 300 more, further away" in written(blame)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3599, "59 min 59 s"),
     (3720, "1 h 02 min")],
)  # fmt: skip
def test_durations_are_as_exact_as_they_are_long(seconds: float, said: str):
    """Tenths of a second only of a few seconds."""
    assert said == lasting(seconds)


# --- Markdown ---------------------------------------------------------------------------------


def test_markdown_has_the_same_facts():
    """Culprit, odds, doubts, table, graph and commands; nothing of this machine's folders."""
    said = blame_markdown.render(found(notes=["it touches only tests"]), ASKED)
    tokens = MarkdownIt("commonmark").enable("table").parse(said)
    cells = [tokens[place + 1].content for place, each in enumerate(tokens) if each.type == "td_open"]

    assert f"Bisect: {point(575).id} brought it" in said.splitlines()[0]
    assert {"a \\<a@&#8203;example.com>", f"**`{HERE}`**", "✗ bad", "9 of 10", "\\#42"} <= set(cells)
    assert f"reproduced in 9 of 10 attempts here, in 0 of 13 at its parent {BEFORE}" in cells
    assert "- it touches only tests" in said
    assert [each.content.strip() for each in tokens if each.type == "fence"][1:] == [
        f"git show {HERE}",
        f"git worktree add --detach ../bisect-{HERE} {HERE}",
        BY_HAND,
    ]
    assert "/tmp/bisect" not in said


@pytest.mark.parametrize("blame", ALL)
def test_markdown_is_not_obeyed(blame: Blame):
    """Hostile text makes no heading, no link, no HTML and no row of its own."""
    written_ = blame_markdown.render(blame, ASKED)
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(written_)
    inner = [child for each in tokens for child in each.children or ()]
    blocks = [each.content.strip() for each in tokens if each.type == "html_block"]

    assert [] == [each.type for each in inner if each.type in {"link_open", "image", "html_inline"}]
    assert ["<details><summary>As a graph</summary>", "</details>"][: len(blocks)] == blocks
    assert 1 == sum(each.type == "heading_open" and each.tag == "h1" for each in tokens)
    assert (0 if not blame.tested else len(blame.tested)) == written_.count("| ✓ good |") + written_.count(
        "| ✗ bad |"
    ) + written_.count("| ○ skipped |")


@pytest.mark.parametrize("said", ["x", HOSTILE * 20, "\U000e0001" * 900, "@a" * 900, "日" * 900])
def test_markdown_is_short_enough_for_a_comment(said: str):
    """Of a thousand points with long and hostile subjects, those far away are left out."""
    rows = [at(each, "skipped", point=point(each, subject=said), reason=said) for each in range(1000)]
    blame = hostile(said).replace(tested=rows, culprit=rows[700].point, notes=[said] * 100)
    written_ = blame_markdown.render(blame, Asked(replay=said * 1000))

    assert len(written_.encode()) < 60_000
    assert f"**`{point(700).name}`**" in written_
    assert "more, further away." in written_


# --- JSON -------------------------------------------------------------------------------------


def test_the_published_schema_is_that_of_the_code():
    """The file is what the code gives: python -c 'from replaykit.report import blame_json as j; print(j.schema())'."""
    assert blame_json.schema() == (REFERENCE / "bisect.schema.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("blame", ALL)
def test_json_is_as_its_schema_says(blame: Blame):
    """Each document holds against the schema, and can be read back; without any one of its keys it would not hold."""
    said = blame_json.render(blame)
    data = json.loads(said)
    schema = json.loads((REFERENCE / "bisect.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(data)

    assert said.isascii()
    assert blame.exit_code == data["exit_code"]
    assert validator.is_valid({**data, "of a later version": 1})
    for key in data if blame is ALL[0] else ():
        assert not validator.is_valid({name: value for name, value in data.items() if name != key}), key
    kept = {name: value for name, value in data.items() if name in Blame.model_fields}
    assert blame == Blame.model_validate_json(json.dumps(kept))


# --- the page ---------------------------------------------------------------------------------


def test_the_page_shows_what_is_written():
    """The sample of the reference is the text of the blame in tests/blames.py, to the letter."""
    sample = f"{written(found())}\nVERDICT {': '.join(conclusion(found()))} (exit 0)\n"

    assert f"```text\n{sample}```\n" in PAGE.read_text(encoding="utf-8")


def test_commands_of_the_hints_are_those_of_git(tmp_path: Path):
    """In a real repository, what is offered to be typed does what it says."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=tmp_path / "a", capture_output=True, text=True, check=True).stdout

    (tmp_path / "a").mkdir()
    git("init", "-q")
    git("-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "--allow-empty", "-m", "Round it")
    identity = git("rev-parse", "HEAD").strip()
    blame = found(culprit=point(575, id=identity, name=identity[:8]))
    said = [
        subprocess.run(
            ["sh", "-c", each.command], cwd=tmp_path / "a", capture_output=True, text=True, check=True
        ).stdout
        for each in hints(blame)[:2]
    ]

    assert "Round it" in said[0]
    assert (tmp_path / f"bisect-{identity[:8]}" / ".git").exists()
