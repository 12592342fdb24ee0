"""The upgrades: each format said in the words of the next one."""

import json
from pathlib import Path
from typing import Any

import pytest

from replaykit.errors import CorruptBundleError
from replaykit.lines import DRAFT, Line, Lines, bundled, draft_end
from replaykit.reader import read_bytes
from replaykit.upgrade import upgraded
from replaykit.version import BUNDLE_FORMAT

DRAFTED = (Path(__file__).parent / "bundles" / "format-0.pd").read_bytes()
RECORDS = [
    {"k": "pd", "pd": 1, "min_reader": 1, "tool": "t", "id": "x", "kind": "failure", "extra": 1},
    {"k": "env", "git": {"sha": "f" * 40, "dirty": True, "branch": "main"}, "seed": 7, "base_url": "http://127.0.0.1:1"},
    {"k": "model", "ref": "shop:Shop", "sha256": "0" * 64},
    {"k": "cmd", "i": 0, "name": "CreatePlayer", "args": {"name": "a"}},
    {"k": "bind", "i": 0, "ref": "player#1", "at": "$.id", "v": 17},
    {"k": "bind", "i": 0, "ref": "player#2", "at": "$.twin", "v": 18},
    {"k": "proj", "i": 0, "model": {"n": 1}, "patch": []},
    {
        "k": "cmd", "i": 2, "name": "AddScore",
        "args": {"to": [{"$ref": "player#1"}, {"$ref": "player#2"}], "n": {"$ref": 1}},
    },
    {"k": "net", "i": 2, "error": "ReadTimeout", "after_ms": 500},
    {"k": "check", "i": 0, "name": "Rich", "ok": True},
    {"k": "check", "i": 2, "name": "Rich", "ok": False, "msg": "poor", "at": "$.n"},
    {"k": "end", "verdict": "fail"},
]  # fmt: skip


def lines(records: list[dict[str, Any]] = RECORDS) -> list[Line]:
    """Give records the numbers that they would have in a file."""
    return [Line(number, record) for number, record in enumerate(records, 2)]


def test_the_draft_is_said_in_format_1():
    """Commands, refs, states and the failure get the words of format 1; the rest stays as it is, in its place."""
    said = [line.data for line in upgraded(lines(), DRAFT)]

    assert [
        {
            "k": "bundle", "format": 1, "tool": "t", "extra": 1, "url": "http://127.0.0.1:1", "revision": "f" * 40,
            "dirty": True, "env": {"seed": 7, "git": RECORDS[1]["git"], "deps": {}},
            "model": "shop:Shop", "adapter": "unknown:Unknown", "model_digest": "0" * 16, "campaign_seed": 7,
            "run": 0, "seed": 7, "commands": 2,
        },
        {"k": "command", "step": 0, "tag": "create_player", "version": 1, "args": {"name": "a"}},
        RECORDS[4], RECORDS[5],
        {"k": "state", "step": 0, "data": {"n": 1}, "patch": []},
        {
            "k": "command", "step": 2, "tag": "add_score", "version": 1,
            "args": {"to": ["player@0", "player@0.2"], "n": {"$ref": 1}},
        },
        {**RECORDS[8], "k": "lost"}, RECORDS[9],
        {
            "k": "failure", "kind": "check", "name": "Rich", "step": 2, "command": "add_score", "message": "poor",
            "fingerprint": said[8]["fingerprint"], "at": "$.n",
        },
        {"k": "end", "ending": "failed", "reason": ""},
    ] == said  # fmt: skip


def test_an_upgrade_changes_nothing_of_what_it_was_given():
    """A step is a pure function: the lines that it is given stay as they are."""
    given = lines()
    before = json.dumps([line.data for line in given])
    upgraded(given, DRAFT)

    assert before == json.dumps([line.data for line in given])


def test_the_present_format_needs_no_upgrade():
    """Lines of the present format come back as they are."""
    given = lines()

    assert given is upgraded(given, BUNDLE_FORMAT)


def test_what_was_upgraded_and_written_is_the_same_bundle():
    """The golden draft, rewritten in format 1, is read as the draft is."""
    scanned = Lines(DRAFTED)
    content = bundled(upgraded(list(scanned), DRAFT))

    assert scanned.format == DRAFT
    assert BUNDLE_FORMAT == Lines(content).format
    assert read_bytes(DRAFTED) == read_bytes(content)


def test_every_flipped_byte_of_a_draft_is_noticed():
    """The digest at the end of a draft covers all that stands above it, and the end covers itself."""
    for position in range(len(DRAFTED)):
        changed = bytearray(DRAFTED)
        changed[position] ^= 0x01
        try:
            found = read_bytes(bytes(changed))
        except CorruptBundleError:
            continue

        assert not found.whole, position


@pytest.mark.parametrize(
    ("place", "change"),
    [
        (0, {"tool": 1}), (1, {"git": []}), (1, {"seed": True}), (2, {"ref": None}), (2, {"sha256": 7}),
        (3, {"i": "0"}), (3, {"name": None}), (3, {"args": []}), (4, {"ref": 1}), (4, {"i": None}), (6, {"model": 1}),
        (10, {"i": None}), (10, {"name": 1}), (8, {"request": {}, "after_ms": "x"}),
        (8, {"request": {}, "after_ms": -1}), (8, {"request": {}, "after_ms": 1e300}),
    ],
)  # fmt: skip
def test_what_a_draft_can_not_say_is_an_error_with_its_line(place: int, change: dict[str, Any]):
    """A record of a draft that is not as it should be is told with its line."""
    records = [{**record, **(change if number == place else {})} for number, record in enumerate(RECORDS)]
    with pytest.raises(CorruptBundleError, match=rf"line {place + 2}: "):
        upgraded(lines(records), DRAFT)


@pytest.mark.parametrize(
    "end", [{"verdict": "gail"}, {"verdict": "fail"}, {"verdict": "fail", "check": 1}, {"verdict": []},
            {"verdict": "fail", "check": "x", "command": 7}, {"verdict": "fail", "check": "\ud800"}],
)  # fmt: skip
def test_an_end_that_no_draft_has_fits_no_line(end: dict[str, Any]):
    """What the last line of a draft can't be is no line at all."""
    assert b"" == draft_end(end, 3, "0" * 64)
