"""The memory: a bisect that was stopped comes to the same place, and knows what others found out."""

import dataclasses
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from conftest import environment
from test_bundle import provenance, trace

from replaykit import configuration
from replaykit.axis import Point, Tried
from replaykit.blame import Outcome
from replaykit.configuration import digest_of
from replaykit.culprit import marked
from replaykit.errors import JournalError, MissingFileError, UnwritableError, UsageError
from replaykit.ledger import Ledger, summed
from replaykit.memory import Kept, Memory, Recalled
from replaykit.minutes import ADVICE, Asked
from replaykit.shelf import KEPT_FOR, asked_in, forget_old, home, place
from replaykit.shelf import unfinished as unfinished_in
from replaykit.writer import save

REPOSITORY = "shop-0123456789ab"
GOOD, BAD = Tried(word="fixed", held=3, attempts=3, seconds=0.5), Tried(word="reproduced", shown=1, attempts=1)
SKIPPED = Tried(word="unbuildable", reason="make: *** no rule")


def point(number: int, code: str = "") -> Point:
    """Make a commit."""
    return Point(id=f"{number:040x}", name=f"{number:012x}", code=code or f"tree {number}", subject="a")


def asked(**more: Any) -> Asked:
    """Say what is asked."""
    facts = {
        "axis": "commits",
        "where": "/src/shop",
        "bundle": "failures/x.pd",
        "near": point(9).id,
        "far": point(0).id,
    }
    return Asked(**{**facts, "configuration": "c0ffee", **more})


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(scope="session")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the bytes of a bundle."""
    path = tmp_path_factory.mktemp("memory") / "x.pd"
    save(path, provenance(), trace())
    return path.read_bytes()


@pytest.fixture
def stopped(content: bytes) -> Path:
    """Return the folder of a bisect that was stopped after four attempts."""
    with Kept.begin(REPOSITORY, asked(), content) as kept:
        kept.learn("end", point(9), BAD, 2.5, log="logs/9.log")
        kept.learn("end", point(0), GOOD)
        kept.learn("search", point(5), SKIPPED, steady=True)
        kept.learn("search", point(6), BAD, steady=True)
    return kept.folder


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """Read the lines of a journal."""
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


def words(memory: Memory, stage: Any, where: Point, **more: Any) -> list[str]:
    """Recall all that is known of a point."""
    found: list[str] = []
    while len(found) < 100 and (known := memory.recall(stage, where, **more)) is not None:
        found.append(known.word)
    return found


# --- recalling ----------------------------------------------------------------------------------


def test_what_was_learnt_is_recalled_once_in_its_order():
    """After it begins anew, each point gives what it came to, the earliest first, and then nothing more."""
    memory = Memory()
    for tried in (GOOD, BAD, GOOD):
        memory.learn("search", point(1), tried, 1.5)
    memory.learn("confirm", point(1), SKIPPED)
    assert [] == words(memory, "search", point(1))
    memory.rewind()

    assert Recalled(**dict(GOOD), coming=1.5) == memory.recall("search", point(1))
    assert ["reproduced", "fixed"] == words(memory, "search", point(1))
    assert [] == words(memory, "end", point(1))
    assert ["unbuildable"] == words(memory, "confirm", point(1))
    memory.rewind()
    assert 3 == len(words(memory, "search", point(1)))


def test_what_is_learnt_is_tried_alone():
    """What was recalled can be learnt: what is said of it beside its attempts is not part of them."""
    memory = Memory()
    memory.learn("search", point(1), Recalled(**dict(GOOD), coming=3.0, cached=True, log="x"), 1.0)

    assert [GOOD] == [line.tried for line in memory.lines]


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ([("search", GOOD)], ["fixed"]),
        ([("end", BAD)], ["reproduced"]),
        ([("search", SKIPPED)], []),
        ([("search", SKIPPED), ("search", GOOD)], ["fixed"]),
        ([("search", GOOD), ("search", BAD)], []),
        ([("search", Tried(word="reproduced", shown=1, held=4, attempts=5))], []),
        ([("search", Tried(word="different"))], []),
        ([], []),
    ],
)
def test_points_with_the_same_code_share_what_is_known(known: list[tuple[Any, Tried]], expected: list[str]):
    """Where the bug shows each time, good and bad are shared while a search goes on, unless they contradict."""
    memory = Memory()
    for number, (stage, tried) in enumerate(known):
        memory.learn(stage, point(number, "same"), tried)
    twin = point(50, "same")

    assert [] == words(memory, "search", twin)
    assert [] == words(memory, "confirm", twin, steady=True)
    assert expected == words(memory, "search", twin, steady=True)
    assert [True] * len(expected) == [line.cached for line in memory.lines if line.point == twin.id]
    assert memory.recall("search", point(51, "other"), steady=True) is None


def test_what_is_shared_is_given_once_and_not_instead_of_a_second_try():
    """A point that is to be tried again is tried: neither its own result nor that of its twin is given twice."""
    memory = Memory()
    memory.learn("search", point(1, "same"), GOOD, steady=True)
    assert [] == words(memory, "search", point(1, "same"), steady=True)
    assert ["fixed"] == words(memory, "search", point(2, "same"), steady=True)
    memory.learn("search", point(2, "same"), GOOD, steady=True)
    memory.rewind()

    assert ["fixed"] == words(memory, "search", point(1, "same"), steady=True)
    assert ["fixed", "fixed"] == words(memory, "search", point(2, "same"), steady=True)


def test_points_without_a_known_code_share_nothing():
    """Where nobody knows the code of points, they are not the same code."""
    memory = Memory()
    memory.learn("search", Point(id="1", name="1"), GOOD, steady=True)

    assert memory.recall("search", Point(id="2", name="2"), steady=True) is None


def test_skips_in_trouble_do_not_count():
    """What was skipped when the machine was in trouble is tried again; what was good or bad stays."""
    memory = Memory()
    for where, tried in ((1, SKIPPED), (2, SKIPPED), (1, GOOD)):
        memory.learn("search", point(where), tried)
    memory.rewind()
    memory.void([point(1)])
    assert (["fixed"], ["unbuildable"]) == (words(memory, "search", point(1)), words(memory, "search", point(2)))
    memory.learn("search", point(1), SKIPPED)
    memory.rewind()

    assert (["fixed", "unbuildable"], ["unbuildable"]) == (
        words(memory, "search", point(1)), words(memory, "search", point(2)),
    )  # fmt: skip


def test_several_threads_may_use_it(content: bytes):
    """What several threads learn at the same time is all there, and each thing is recalled once."""
    with Kept.begin(REPOSITORY, asked(), content) as kept:
        each(8, lambda number: [kept.learn("search", point(number), BAD) for _ in range(5)])
    with Kept.resume(kept.folder) as again:
        found: list[str] = []
        each(8, lambda _: [found.extend(words(again, "search", point(number))) for number in range(8)])

    assert 40 == len(found)


def each(count: int, work: Callable[[int], Any]) -> None:
    """Do something in several threads."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# --- on the disk --------------------------------------------------------------------------------


def test_a_bisect_goes_on_with_what_it_had_found_out(stopped: Path, content: bytes):
    """All that was learnt is there again, with how long it took and where its log is; more of it comes after."""
    with Kept.resume(stopped, asked(), content) as again:
        known = again.recall("end", point(9))
        assert Recalled(**dict(BAD), coming=2.5, log="logs/9.log") == known
        assert again.recall("end", point(9)) is None
        again.learn("end", point(9), GOOD)
        again.end("undecided")
    with Kept.resume(stopped) as third:
        assert ["reproduced", "fixed"] == words(third, "end", point(9))
        assert ["unbuildable"] == words(third, "search", point(5))

    assert asked().far == third.asked.far
    assert ["asked", *["tried"] * 5, "end"] == [line["k"] for line in lines_of(stopped)]


def test_the_folder_holds_the_bundle_and_is_for_its_user_alone(stopped: Path, content: bytes):
    """The bundle is copied to the byte; nobody else may look in; folders sort by when they began."""
    with Kept.begin(REPOSITORY, asked(), content) as later:
        assert content == (later.folder / "bundle.pd").read_bytes()
        assert later.logs.is_dir()
        assert later.trees.is_dir()

    assert stopped.parent == later.folder.parent == place(REPOSITORY) == home() / REPOSITORY
    assert stopped.name < later.folder.name
    for path in (home(), stopped.parent, stopped):
        assert 0o700 == stat.S_IMODE(path.stat().st_mode)
    assert {0o600} == {stat.S_IMODE((stopped / name).stat().st_mode) for name in ("journal.jsonl", "bundle.pd")}


@pytest.mark.parametrize("name", ["../../x", "/etc", ".", "..", "", "a b", "ä", "x" * 300, "\udcff"])
def test_no_name_leads_out_of_the_home(name: str):
    """Whatever a repository is called, its folder is one in ours, and another one than those of others."""
    folder = place(name)

    assert home() == folder.parent
    assert folder.name not in {"", ".", "..", place(f"{name}x").name}


def test_the_home_is_that_of_the_user_where_no_other_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A relative XDG_STATE_HOME is none, as its specification says."""
    monkeypatch.setenv("HOME", str(tmp_path))
    expected = tmp_path / ".local" / "state" / "replaykit" / "bisect"
    monkeypatch.setenv("XDG_STATE_HOME", "here")
    assert expected == home()
    monkeypatch.delenv("XDG_STATE_HOME")

    assert expected == home()


def test_a_home_that_can_not_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes):
    """A file in its way is told, with the variable that names another one."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))

    with pytest.raises(UnwritableError, match="XDG_STATE_HOME"):
        Kept.begin(REPOSITORY, asked(), content)


def test_secrets_are_not_written(content: bytes, monkeypatch: pytest.MonkeyPatch):
    """Those in options are covered, and it is said which; those in what the service says are covered too."""
    monkeypatch.setenv("REPLAYKIT_SECRET_PIN", "very-secret-pin")
    options = {
        "words": ["--start", "app --password hunter2secret"],
        "header": ["x: k3y-k3y-k3y"], "start": "env API_KEY=k3y-k3y-k3y python app.py --port {port}",
        "settings": {"token": "t0k3n-t0k3n"}, "build": "make PIN=very-secret-pin", "keep": ["a", "b"],
        "jobs": 2, "fix": False, "log": Path("x.log"), "good": None,
    }  # fmt: skip
    with Kept.begin(REPOSITORY, asked(options=options), content) as kept:
        kept.learn("search", point(1), Tried(word="different", reason=f"very-secret-pin hunter2secret {'x' * 5000}"))
    written = (kept.folder / "journal.jsonl").read_text()

    assert ["words", "header", "start", "settings", "build"] == kept.asked.covered
    assert {"keep": ["a", "b"], "jobs": 2, "fix": False, "log": "x.log", "good": None} == {
        name: value for name, value in asked_in(kept.folder).options.items() if name not in kept.asked.covered
    }
    for secret in ("k3y-k3y-k3y", "t0k3n-t0k3n", "very-secret-pin", "hunter2secret"):
        assert secret not in written
    assert len(written) < 5000


def test_what_is_no_text_is_written_as_far_as_it_is_one(content: bytes):
    """A path, or what a service printed, may hold bytes that are no characters: the journal can be read again."""
    odd = asked(
        where="/caf\udce9", bundle="\udce9.pd", options={"keep": ["caf\udce9"], "start": "caf\u00e9 \U0001f600"}
    )
    with Kept.begin(REPOSITORY, odd, content) as kept:
        kept.learn("search", point(1), Tried(word="different", reason="caf\udce9 \U0001f600"))
    with Kept.resume(kept.folder, odd) as again:
        assert ["caf? \U0001f600"] == [line.tried.reason for line in again.lines]

    assert ("/caf?", "?.pd", ["keep"]) == (again.asked.where, again.asked.bundle, again.asked.covered)
    assert "caf\u00e9 \U0001f600" == again.asked.options["start"]


def test_options_that_are_too_long_are_told(content: bytes):
    """A line that nobody could read again is not written."""
    with pytest.raises(UsageError, match="too long"):
        Kept.begin(REPOSITORY, asked(options={"build": "x" * 1_000_000}), content)

    assert unfinished_in(place(REPOSITORY)) is None


# --- going on with what it is not ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"near": point(8).id}, rf"near '{point(9).id}', now '{point(8).id}'"),
        ({"far": None}, "far '0+', now None"),
        ({"fix": True}, "fix False, now True"),
        ({"where": "/src/other"}, "where '/src/shop', now '/src/other'"),
        ({"axis": "versions"}, "axis 'commits', now 'versions'"),
        ({"configuration": "beef"}, "commands, settings, versions, or the code of model and adapter"),
    ],
)
def test_another_question_is_refused(stopped: Path, more: dict[str, Any], told: str):
    """What is asked otherwise than it was is named, and nothing is changed."""
    before = (stopped / "journal.jsonl").read_bytes()

    with pytest.raises(UsageError, match=f"asked something else: {told}"):
        Kept.resume(stopped, asked(**more))
    assert before == (stopped / "journal.jsonl").read_bytes()


def test_another_bundle_is_refused_and_a_culprit_in_it_is_no_other(stopped: Path, content: bytes):
    """The bundle that is named has to hold what it held; who brought the bug may stand in it by now."""
    with pytest.raises(UsageError, match="the bundle holds something else by now"):
        Kept.resume(stopped, asked(), content[:-1])
    with Kept.resume(stopped, asked(), marked(content, "somebody")) as again:
        assert ["fixed"] == words(again, "end", point(0))

    assert content == (again.folder / "bundle.pd").read_bytes()


def test_a_copy_that_was_changed_or_is_gone_is_told(stopped: Path):
    """The copy of the bundle is what is tried; one that was changed is trusted no more."""
    (stopped / "bundle.pd").write_bytes(b"version: 1\n")
    with pytest.raises(JournalError, match=r"bundle\.pd was changed"):
        Kept.resume(stopped)
    (stopped / "bundle.pd").unlink()

    with pytest.raises(MissingFileError, match=r"bundle\.pd can't be read"):
        Kept.resume(stopped)


def signed(folder: Path, *lines: dict[str, Any]) -> None:
    """Write a journal with sums that fit."""
    content, before = b"", ""
    for line in lines:
        body = json.dumps({key: value for key, value in line.items() if key != "sum"}, separators=(",", ":")).encode()
        before = summed(before, body)
        content += b'%s,"sum":"%s"}\n' % (body[:-1], before.encode())
    (folder / "journal.jsonl").write_bytes(content)


TRIED = {"k": "tried", "stage": "search", "point": "1", "name": "1"}


@pytest.mark.parametrize(
    ("number", "line", "told"),
    [
        (1, {"k": "asked", "format": 2}, "line 1: its format is 2, and this version knows 1"),
        (1, {"k": "hunt", "format": 1}, "line 1: this is no journal of a bisect"),
        (1, {"k": "asked", "format": 1}, "line 1: axis: Field required"),
        (2, {"k": "found"}, "line 2: there is no line of kind 'found'"),
        (2, {"k": ["tried"]}, "line 2: there is no line of kind"),
        (2, {**TRIED, "tried": {"word": "fixed", "attempts": 1, "shown": 2}}, "line 2: 2 and 0 of 1 can't be"),
        (2, {**TRIED, "tried": {"word": "fixed", "held": -1}}, "line 2: 0 and -1 of 0 can't be"),
        (2, {**TRIED, "tried": {"word": "fixed"}, "seconds": float("nan")}, "can't be"),
        (2, {**TRIED, "tried": {"word": "fixed"}, "stage": "start"}, "line 2: stage"),
        (2, {"k": "end", "outcome": "perhaps"}, "line 2: outcome"),
        (2, {"k": "void", "points": "x"}, "line 2: points"),
    ],
)
def test_a_journal_that_says_what_can_not_be_is_refused(stopped: Path, number: int, line: dict[str, Any], told: str):
    """A journal whose sums fit is read with care all the same."""
    lines = lines_of(stopped)
    lines[number - 1] = line
    signed(stopped, *lines)

    with pytest.raises(JournalError, match=told):
        Kept.resume(stopped)


def test_a_journal_that_was_changed_is_refused_with_the_line(stopped: Path):
    """A line that is broken, and not the last, is told with its number."""
    journal = stopped / "journal.jsonl"
    journal.write_text(journal.read_text().replace('"word":"fixed"', '"word":"passed"'))

    with pytest.raises(JournalError, match=r"journal\.jsonl, line 3: it was changed, or broken"):
        Kept.resume(stopped)


def test_a_bisect_that_goes_on_is_left_alone(stopped: Path):
    """While one process has it, another one is refused."""
    with Kept.resume(stopped), pytest.raises(UsageError, match="Another bisect is going on"):
        Kept.resume(stopped)
    with Kept.resume(stopped) as again:
        assert 4 == len(again.lines)


# --- which one goes on --------------------------------------------------------------------------


def begun(content: bytes, outcome: Outcome | None = None, **more: Any) -> Path:
    """Begin a bisect, try one point, and leave it; say what it came to, if anything."""
    with Kept.begin(REPOSITORY, asked(**more), content) as kept:
        kept.learn("search", point(1), BAD, steady=True)
        if outcome is not None:
            kept.end(outcome)
    return kept.folder


def test_the_newest_that_has_no_end_goes_on(content: bytes):
    """One that was found, refuted or judged is over; one that was stopped or ran out of its budget is not."""
    assert unfinished_in(place(REPOSITORY)) is None
    begun(content, "found")
    assert unfinished_in(place(REPOSITORY)) is None
    first = begun(content)
    for outcome in ("found", "candidates", "not bad", "not good", "not judged"):
        begun(content, outcome)
    assert first == unfinished_in(place(REPOSITORY))
    for outcome in ("interrupted", "undecided", "trouble"):
        folder = begun(content, outcome)
        assert folder == unfinished_in(place(REPOSITORY))
    (folder / "journal.jsonl").write_bytes(b"")  # it was killed when it began

    assert unfinished_in(place(REPOSITORY)) not in {folder, first, None}


def test_one_in_which_nothing_was_tried_hides_none(content: bytes):
    """The newest in which something was tried goes on; one that was killed before that, where there is no other."""
    with Kept.begin(REPOSITORY, asked(), content) as untried:
        pass
    assert untried.folder == unfinished_in(place(REPOSITORY))
    first = begun(content)
    with Kept.begin(REPOSITORY, asked(), content):
        pass

    assert first == unfinished_in(place(REPOSITORY))


def test_a_question_that_was_wrong_leaves_nothing(content: bytes):
    """Where an error comes before the first try, there is nothing to go on with; after it, there is."""
    with pytest.raises(UsageError), Kept.begin(REPOSITORY, asked(), content) as wrong:
        raise UsageError("There is no program x.", "Check its name.")
    with pytest.raises(UsageError), Kept.begin(REPOSITORY, asked(), content) as tried:
        tried.learn("search", point(1), BAD)
        raise UsageError("There is no program x.", "Check its name.")

    assert not wrong.folder.exists()
    assert tried.folder == unfinished_in(place(REPOSITORY))


def test_what_it_came_to_is_for_its_user_alone(content: bytes):
    """A file beside the journal is written anew, with mode 0600; where it can't be, that is told."""
    with Kept.begin(REPOSITORY, asked(), content) as kept:
        kept.put("result.json", "first")
        kept.put("result.json", "second")
        (kept.folder / "bisect.log").mkdir()
        with pytest.raises(UnwritableError, match=r"bisect\.log can't be written"):
            kept.put("bisect.log", "")

    path = kept.folder / "result.json"
    assert ("second", 0o600) == (path.read_text(), stat.S_IMODE(path.stat().st_mode))


def test_one_that_goes_on_now_is_the_last_choice(content: bytes):
    """A bisect that another process has is named only where there is no other."""
    first, second = begun(content), begun(content)
    with Kept.resume(second):
        assert first == unfinished_in(place(REPOSITORY))
        shutil.rmtree(first)
        assert second == unfinished_in(place(REPOSITORY))


def test_what_is_over_for_long_is_removed(content: bytes, tmp_path: Path):
    """Finished ones of more than 90 days go, in all repositories; what can go on, is open, or has checkouts stays."""
    over, stays, checked_out, is_open = begun(content, "found"), begun(content), begun(content, "found"), begun(content)
    young = begun(content, "found")
    (checked_out / "trees" / "1").mkdir()
    foreign = stays.parent / "notes"
    foreign.mkdir()
    (stays.parent / "20200101-000000-000000-00000000").symlink_to(tmp_path)
    (tmp_path / "journal.jsonl").write_text('{"k":"end","outcome":"found"}\n')
    other = Kept.begin("other", asked(), content)
    other.end("found")
    other.close()
    now = (young / "journal.jsonl").stat().st_mtime
    for folder in (over, stays, checked_out, is_open, other.folder):
        os.utime(folder / "journal.jsonl", (now - KEPT_FOR - 10, now - KEPT_FOR - 10))
    with Kept.resume(is_open) as kept:
        kept.end("found")
        os.utime(is_open / "journal.jsonl", (now - KEPT_FOR - 10, now - KEPT_FOR - 10))
        forget_old(now)

    assert not over.exists()
    assert not other.folder.parent.exists()
    assert all(each.exists() for each in (stays, checked_out, is_open, young, foreign, tmp_path / "journal.jsonl"))


# --- what others found out ----------------------------------------------------------------------


def known_of(content: bytes, where: Point, *, steady: bool = True, stage: Any = "search", **more: Any) -> str | None:
    """Begin another bisect, and say what it knows of a point."""
    with Kept.begin(REPOSITORY, asked(**more), content) as kept:
        found = kept.recall(stage, where, steady=steady)
        if found is not None:
            assert found.cached
    return None if found is None else found.word


def test_earlier_bisects_say_what_the_same_code_came_to(content: bytes):
    """The same code, bundle and configuration need no second try in a search; other things do."""
    begun(content, "found")
    twin = point(77, code="tree 1")

    assert "reproduced" == known_of(content, twin)
    assert "reproduced" == known_of(marked(content, "somebody"), twin, near=point(70).id, fix=True)
    assert known_of(content, point(78)) is None
    assert known_of(content, twin, steady=False) is None
    assert known_of(content, twin, stage="confirm") is None
    assert known_of(content, twin, stage="end") is None
    assert known_of(content, twin, configuration="other") is None
    begun(content, "found", configuration="")
    assert known_of(content, twin, configuration="") is None  # nobody knows what it depends on
    assert known_of(content + b"x", twin) is None


@pytest.mark.parametrize(
    ("tried", "steady"),
    [
        (SKIPPED, True),
        (Tried(word="machine"), True),
        (Tried(word="different"), True),
        (Tried(word="unreachable"), True),
        (Tried(word="reproduced", shown=3, held=2, attempts=5), True),
        (GOOD, False),
    ],
)
def test_skips_trouble_and_flaky_bugs_are_not_told_to_others(content: bytes, tried: Tried, *, steady: bool):
    """Only what is good or bad of a bug that shows each time is known elsewhere."""
    with Kept.begin(REPOSITORY, asked(), content) as kept:
        kept.learn("search", point(1), tried, steady=steady)

    assert known_of(content, point(1)) is None


def test_bisects_that_contradict_each_other_say_nothing(content: bytes):
    """Where the same code was good once and bad once, it is tried."""
    for tried in (GOOD, BAD):
        with Kept.begin(REPOSITORY, asked(), content) as kept:
            kept.learn("search", point(1), tried, steady=True)

    assert known_of(content, point(1)) is None


def test_what_is_known_from_elsewhere_is_written_down_once(content: bytes):
    """A bisect that goes on knows it from its own journal, when the other one is gone; nobody inherits it."""
    first = begun(content, "found")
    with Kept.begin(REPOSITORY, asked(), content) as kept:
        assert kept.recall("search", point(77, "tree 1"), steady=True) is not None
    shutil.rmtree(first)
    with Kept.resume(kept.folder) as again:
        known = again.recall("search", point(77, "tree 1"), steady=True)
        assert known is not None
        assert (True, "reproduced") == (known.cached, known.word)
        assert 1 == len(again.lines)

    assert known_of(content, point(1)) is None


def test_a_broken_journal_of_another_bisect_says_nothing(content: bytes):
    """What can't be trusted is passed over."""
    journal = begun(content, "found") / "journal.jsonl"
    journal.write_text(journal.read_text().replace("reproduced", "fixed"))

    assert known_of(content, point(1)) is None


# --- what a verdict depends on ------------------------------------------------------------------


@dataclasses.dataclass
class Part:
    """Something that says how a service is started."""

    start: str


def module_in(folder: Path, source: str) -> ModuleType:
    """Make a module with a file."""
    path = folder / "some_model.py"
    path.write_text(source)
    made = ModuleType("some_model")
    made.__file__ = str(path)
    return made


def test_the_digest_changes_with_whatever_a_verdict_depends_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Commands, settings, the files of the model and of the loaded modules of the project, and versions count."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("")
    parts = {"stage": Part("a"), "settings": {"x": 1, "y": 2}, "times": 3}
    model = module_in(tmp_path, "x = 1")
    digests = [digest_of(parts, [model])]
    assert digests == [digest_of({"times": 3, "settings": {"y": 2, "x": 1}, "stage": Part("a")}, [model])]
    digests.append(digest_of({**parts, "stage": Part("b")}, [model]))
    digests.append(digest_of({**parts, "settings": {"x": 1, "y": 3}}, [model]))
    digests.append(digest_of(parts))
    module_in(tmp_path, "x = 2")
    digests.append(digest_of(parts, [model]))
    (tmp_path / "site-packages").mkdir()
    for folder, counts in ((tmp_path / "site-packages", False), (tmp_path, True)):
        loaded = ModuleType("some_other")
        loaded.__file__ = str(folder / "some_other.py")
        (folder / "some_other.py").write_text("y = 1")
        monkeypatch.setitem(sys.modules, "some_other", loaded)
        assert (digest_of(parts, [model]) != digests[4]) == counts
    digests.append(digest_of(parts, [model]))
    monkeypatch.setattr(configuration, "__version__", "9.9.9")
    digests.append(digest_of(parts, [model]))

    assert 7 == len(set(digests))


# --- killed -------------------------------------------------------------------------------------

KILLED = """
    import itertools, sys
    from pathlib import Path
    from replaykit.axis import Point, Tried
    from replaykit.memory import Kept
    from replaykit.minutes import Asked
    asked = Asked(axis="commits", where="/", bundle="x.pd", near="9")
    with Kept.begin("killed", asked, Path(sys.argv[1]).read_bytes()) as kept:
        for number in itertools.count():
            kept.learn("search", Point(id=str(number), name="x"), Tried(word="fixed", reason="x" * 1500))
            print(number, flush=True)
"""


def test_a_bisect_that_is_killed_while_it_writes_loses_at_most_one_line(tmp_path: Path, content: bytes):
    """After SIGKILL, what it had told of is known, and it can go on at once."""
    (tmp_path / "x.pd").write_bytes(content)
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path / "x.pd")],
        stdout=subprocess.PIPE,
        env=environment(XDG_STATE_HOME=os.environ["XDG_STATE_HOME"]),
    ) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(9)]
        process.send_signal(signal.SIGKILL)
        told += list(process.stdout)
    folder = unfinished_in(place("killed"))
    assert folder is not None
    with Kept.resume(folder) as again:
        known = [again.recall("search", Point(id=str(number), name="x")) for number in range(len(told))]
        again.learn("search", Point(id="new", name="x"), GOOD)

    assert all(each is not None and each.word == "fixed" for each in known)
    assert len(told) + 2 <= len(list(Ledger(folder / "journal.jsonl", ADVICE).read())) <= len(told) + 3
