"""The culprit: written into a bundle that is otherwise as it was, to the byte."""

import gzip
import hashlib
import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import vcr
from conftest import ROOT, environment
from test_bundle import provenance, trace
from test_ticket import failed, step, ticket_of

from replaykit import culprit as culprit_module
from replaykit.axis import Point
from replaykit.bundle import Origin
from replaykit.canonical import canonical, is_same_bug
from replaykit.condition import condition_of, migrated
from replaykit.culprit import MOST, blamed, culprit_in, marked, saying, sum_of
from replaykit.errors import (
    BundleError,
    CorruptBundleError,
    MissingFileError,
    TruncatedBundleError,
    UnwritableError,
    UsageError,
)
from replaykit.lines import Lines, bundled
from replaykit.portrait import portrait
from replaykit.reader import read, read_bytes
from replaykit.report import plain
from replaykit.secret import Policy
from replaykit.trace import Trace
from replaykit.writer import save

SAID = "1a2b3c4d5e6f 2026-03-01 Jane D\u00f6: Make it faster (#12)"
BUNDLES = [ROOT / "tests" / "bundles" / "format-1.pd", *sorted((ROOT / "failures").rglob("*.pd"))]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the file of a bundle with records and keys that nobody knows."""
    save(tmp_path / "first.pd", provenance(python="3.12.1", httpx="0.28.1"), trace("\U0001f600\x7f"))
    first, *rest = Lines((tmp_path / "first.pd").read_bytes())
    odd = [
        first._replace(data={**first.data, "zebra": [1, {"a": 1e300}]}),
        first._replace(data={"k": "odd", "x": None}),
    ]
    (tmp_path / "bug.pd").write_bytes(bundled([*odd, *rest]))
    return tmp_path / "bug.pd"


def test_all_else_stays_as_it_is(path: Path):
    """Only the first record, which gets one key, and the digest are others."""
    before = path.read_bytes().splitlines()

    assert blamed(path, SAID)
    after = path.read_bytes().splitlines()
    assert [*before[:1], *before[2:-1]] == [*after[:1], *after[2:-1]]
    assert before[1] == after[1].replace(b'"culprit":"%s",' % json.dumps(SAID)[1:-1].encode(), b"")
    assert json.loads(before[-1][2:]).keys() == json.loads(after[-1][2:]).keys()
    assert SAID == read(path).origin.culprit
    assert condition_of(path.read_bytes()).is_whole


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda path: path.name)
def test_a_culprit_that_is_taken_out_leaves_what_was_there(bundle: Path):
    """Put in, and taken out again, it leaves the bytes of each saved bundle; the trace is the same all the time."""
    content = bundle.read_bytes()
    with_it = marked(content, SAID)

    assert content == marked(with_it, None)
    assert content == marked(content, None)
    assert read_bytes(content).trace == read_bytes(with_it).trace
    assert sum_of(content) == sum_of(with_it)
    assert is_same_bug(canonical(content), canonical(with_it))
    assert (SAID, SAID) == tuple(read_bytes(each).origin.culprit for each in (canonical(with_it), migrated(with_it)))


def test_it_stands_where_the_writer_would_put_it(tmp_path: Path):
    """A bundle that is saved with a culprit has the bytes of one that gets it later."""
    for number, more in enumerate([{}, {"canonical": True, "httpx": "1"}, {"recorded": "2026-01-01T00:00:00+00:00"}]):
        save(tmp_path / "with.pd", provenance(culprit="abc", **more), trace())
        save(tmp_path / "without.pd", provenance(**more), trace())
        assert blamed(tmp_path / "without.pd", "abc"), number

        assert (tmp_path / "with.pd").read_bytes() == (tmp_path / "without.pd").read_bytes()


def test_another_culprit_takes_its_place_and_the_same_changes_nothing(path: Path):
    """The last word counts; a file that says it already is not written again."""
    blamed(path, "abc")
    once = path.stat().st_mtime_ns

    assert not blamed(path, "abc")
    assert once == path.stat().st_mtime_ns
    assert blamed(path, "def")
    assert "def" == read(path).origin.culprit


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("abc 2026-03-01 Jane <jane@example.org>: Mend", "abc 2026-03-01 Jane: Mend"),
        ("abc jane@example.org: thanks, joe+x@mail.example", "abc ...: thanks, ..."),
        ("abc Jane: drop token=hunter2hunter2", "abc Jane: drop token=REDACTED.token.1"),
        ("abc Jane: use given-secret here", "abc Jane: use REDACTED.pin.1 here"),
        ("abc Jane:\x1b[31m red\u202e\n  and\tmore", "abc Jane:\\x1b[31m red\\u202e and more"),
        ("abc Jane: half \ud83d of one", "abc Jane: half \\ud83d of one"),
        ("abc " + 1000 * "x", "abc " + (MOST - 7) * "x" + "..."),
        ("shop==1.4.2", "shop==1.4.2"),
    ],
)
def test_mail_addresses_secrets_and_what_is_hidden_are_not_written(path: Path, said: str, written: str):
    """What a commit says of itself comes from strangers."""
    blamed(path, said, policy=Policy(given=(("pin", "given-secret"),)))

    assert written == read(path).origin.culprit


def test_a_point_is_said_as_people_say_it():
    """A commit has its hash, its day, its author and its subject; a version has its name."""
    commit = Point(id="1a2b3c" * 6, name="1a2b3c", subject="Make it faster")

    assert "1a2b3c 2026-03-01 Jane: Make it faster" == saying(commit, "Jane", "2026-03-01T10:00:00+01:00")
    assert "shop==1.4.2" == saying(Point(id="1.4.2", name="shop==1.4.2"))


def refused(kind: str, path: Path, content: bytes) -> bytes:
    """Return a file that is no bundle to write into."""
    if kind == "gzip":
        return gzip.compress(content)
    if kind == "ticket":
        save(path.with_name("failed.pd"), provenance(), failed(steps=(step(4, ""),)))
        return ticket_of(path.with_name("failed.pd").read_bytes()).encode()
    if kind == "truncated":
        return content[:-10]
    if kind == "broken":
        return content.replace(b'"tag":"create"', b'"tag":"delete"')
    if kind == "odd":
        [first, *rest] = Lines(content)
        return bundled([first._replace(data={**first.data, "run": "x"}), *rest])
    return (ROOT / "tests" / "bundles" / "format-0.pd").read_bytes()


@pytest.mark.parametrize(
    ("kind", "name", "error"),
    [
        ("gzip", "bug.pd", UsageError),
        ("gzip", "bug.pd.gz", UsageError),
        ("ticket", "ISSUE.md", UsageError),
        ("truncated", "bug.pd", TruncatedBundleError),
        ("broken", "bug.pd", CorruptBundleError),
        ("odd", "bug.pd", CorruptBundleError),
        ("draft", "bug.pd", UsageError),
    ],
)
def test_what_is_no_whole_bundle_is_left_as_it_is(path: Path, kind: str, name: str, error: type[Exception]):
    """Packed ones, tickets, truncated and broken ones, and the draft of the format are refused."""
    path = path.with_name(name)
    content = refused(kind, path, path.with_name("bug.pd").read_bytes())
    path.write_bytes(content)

    with pytest.raises(error):
        blamed(path, SAID)
    assert content == path.read_bytes()
    assert hashlib.sha256(content).hexdigest() == sum_of(content)


def test_a_file_that_is_gone_or_was_changed_meanwhile_is_left(path: Path):
    """What was read when the bisect began has to be there still; another culprit is no change."""
    read_then = path.read_bytes()
    blamed(path, "abc")
    assert blamed(path, "def", since=read_then)
    save(path, provenance(), trace("another"))
    changed = path.read_bytes()

    with pytest.raises(UnwritableError, match="was changed meanwhile"):
        blamed(path, SAID, since=read_then)
    assert changed == path.read_bytes()
    path.unlink()
    with pytest.raises(MissingFileError):
        blamed(path, SAID, since=read_then)


def test_mode_and_links_stay(path: Path):
    """Who may read the file is who could, and a link to it stays a link."""
    path.chmod(0o640)
    link = path.with_name("link.pd")
    link.symlink_to(path)
    blamed(link, SAID)

    assert 0o640 == stat.S_IMODE(path.stat().st_mode)
    assert link.is_symlink()
    assert SAID == read(path).origin.culprit
    assert {"bug.pd", "first.pd", "link.pd"} == {each.name for each in path.parent.iterdir()}


def test_a_file_that_can_not_be_written_is_told(path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where there is no room, the file stays as it was, and there is no part of another one."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    before = path.read_bytes()
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UnwritableError, match="No space left"):
        blamed(path, SAID)

    assert before == path.read_bytes()
    assert {"bug.pd", "first.pd"} == {each.name for each in path.parent.iterdir()}


def test_a_bundle_without_room_for_it_is_told(path: Path, monkeypatch: pytest.MonkeyPatch):
    """A bundle that is as large as one can be stays as it is."""
    monkeypatch.setattr(culprit_module, "MAX_FILE", path.stat().st_size)

    with pytest.raises(UsageError, match="no room"):
        blamed(path, SAID)


def test_the_culprit_of_a_file_is_that_of_its_bug_alone(path: Path):
    """A file that holds another bug, is broken, or is not there names no culprit."""
    blamed(path, SAID)
    failure = read(path).failure

    assert SAID == culprit_in(path, failure)
    assert culprit_in(path, failure.replace(name="other")) is None
    assert culprit_in(path.with_name("nothing.pd"), failure) is None
    path.write_bytes(path.read_bytes()[:-10])
    assert culprit_in(path, failure) is None
    save(path, Origin(culprit=SAID), Trace(recorded=(), ending="recorded"))
    assert culprit_in(path, failure) is None


def test_it_is_told_wherever_the_bundle_is_shown(path: Path):
    """`show`, `show --json`, git's text and the ticket say it; vcrpy plays the bundle as before."""
    blamed(path, SAID)
    shown = [
        subprocess.run(
            [sys.executable, "-m", "replaykit", "show", *more, str(path)],
            env=environment(), capture_output=True, text=True, check=True,
        ).stdout for more in ([], ["--json"])
    ]  # fmt: skip

    assert f"culprit   {SAID}\n" in shown[0]
    assert SAID == json.loads(shown[1])["culprit"] == portrait(read(path), path).culprit
    assert f"\nculprit: {SAID}\n" in plain.render(read(path))
    assert f"- culprit: `{SAID}`\n" in ticket_of(path.read_bytes())
    with vcr.use_cassette(str(path), record_mode="none", serializer="yaml") as played:
        responses: list[Any] = played.responses
    assert 4 == len(responses)


def test_a_culprit_that_is_no_text_is_no_bundle(path: Path):
    """The reader takes nothing else for one."""
    [first, *rest] = Lines(path.read_bytes())

    with pytest.raises(BundleError, match="culprit"):
        read_bytes(bundled([first._replace(data={**first.data, "culprit": 5}), *rest]))
