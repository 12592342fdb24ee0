"""The condition of a file: whole, truncated, edited, rewritten, newer or no bundle; and how it is put right."""

import json
import re
from pathlib import Path

import pytest
import yaml
from vcr.cassette import Cassette

from replaykit.condition import CLOSED, condition_of, migrated, repaired
from replaykit.errors import CorruptBundleError, TruncatedBundleError
from replaykit.lines import Lines
from replaykit.reader import read_bytes

BUNDLES = Path(__file__).parent / "bundles"
GOLDEN = (BUNDLES / "format-1.pd").read_bytes()
DRAFTED = (BUNDLES / "format-0.pd").read_bytes()


def resaved(folder: Path) -> bytes:
    """Return what vcrpy makes of a bundle when it saves it."""
    path = folder / "again.pd"
    path.write_bytes(GOLDEN)
    cassette = Cassette.load(path=str(path))
    cassette.dirty = True
    cassette._save()
    return path.read_bytes()


def reformatted() -> bytes:
    """Return what a YAML formatter that keeps comments makes of a bundle."""
    head, _, rest = GOLDEN.partition(b"interactions:\n")
    items = yaml.safe_load(GOLDEN)["interactions"]
    return head + b"interactions:\n" + yaml.safe_dump(items).encode() + rest[-400:]


@pytest.mark.parametrize(
    ("word", "content"),
    [
        ("whole", GOLDEN),
        ("whole", DRAFTED),
        ("truncated", b""),
        ("truncated", GOLDEN[:-1]),
        ("truncated", GOLDEN[:1500]),
        ("edited", GOLDEN.replace(b'"Created"', b'"created"')),
        ("edited", GOLDEN.replace(b'"step":13', b'"step":14')),
        ("edited", GOLDEN + b"\n"),
        ("edited", b"".join(GOLDEN.splitlines(keepends=True)[:5] + GOLDEN.splitlines(keepends=True)[6:])),
        ("edited", GOLDEN.replace(b"# {", b"<<<<<<< HEAD\n# {", 2).replace(b"<<<<<<< HEAD\n", b"", 1)),
        ("rewritten", GOLDEN.replace(b"\n", b"\r\n")),
        ("rewritten", b"\xef\xbb\xbf" + GOLDEN),
        ("rewritten", reformatted()),
        ("rewritten", json.dumps(yaml.safe_load(GOLDEN)).encode()),
        ("newer", GOLDEN.replace(b'"format":1', b'"format":2')),
        ("no bundle", b"hello\n"),
        ("truncated", b"ver"),
        ("truncated", b"version: 1\n"),
        ("truncated", b"version: 1\n# {"),
        ("truncated", GOLDEN[:60]),
        ("no bundle", b"version: 1\n# a cassette"),
        ("no bundle", b"version: 1\n\n"),
        ("no bundle", b"versions"),
        ("no bundle", b"\x00" * 100),
        ("no bundle", b'{"log": {"version": "1.2", "entries": []}}'),
    ],
)
def test_each_condition_has_its_word(word: str, content: bytes):
    """What became of a file is said in one word, with the reason."""
    found = condition_of(content)

    assert word == found.word
    assert found.reason
    assert found.is_whole == (word == "whole")


def test_what_vcrpy_saved_again_is_rewritten(tmp_path: Path):
    """A bundle that vcrpy wrote anew has lost its records, and that is said."""
    assert "rewritten" == condition_of(resaved(tmp_path)).word


def test_a_bundle_of_a_former_format_says_how_to_migrate_it():
    """A draft is whole, and told to be of format 0."""
    assert "format 0" in condition_of(DRAFTED).reason
    assert "replaykit migrate" in condition_of(DRAFTED).reason


def test_every_truncated_bundle_is_repaired():
    """Cut anywhere behind its second line, a bundle gets an end, and every complete line stays."""
    begin = GOLDEN.index(b"\n", GOLDEN.index(b"\n") + 1) + 1
    ends = [begin + found.end() for found in re.finditer(b"\n", GOLDEN[begin:-1])]
    for length in (*range(begin, len(GOLDEN), 7), *ends):
        cut = GOLDEN[:length]
        made = repaired(cut)
        bundle = read_bytes(made)

        kept = [line for line in cut[: cut.rindex(b"\n")].split(b"\n") if line != b"interactions:"]
        assert kept == [line for line in made.split(b"\n") if not line.startswith(b"interactions:")][: len(kept)]
        assert (True, "unknown", CLOSED) == (bundle.whole, bundle.trace.ending, bundle.trace.reason)
        assert read_bytes(cut).trace.steps == bundle.trace.steps
        assert isinstance(yaml.load(made, Loader=yaml.CSafeLoader)["interactions"], list)


@pytest.mark.parametrize("content", [GOLDEN, DRAFTED])
def test_a_line_end_that_was_lost_is_put_there(content: bytes):
    """A bundle that lost but its last byte, as editors do it, keeps how it ended."""
    assert "line end" in condition_of(content[:-1]).reason
    assert content == repaired(content[:-1])


@pytest.mark.parametrize("content", [GOLDEN, DRAFTED, repaired(GOLDEN[:1500])])
def test_a_whole_bundle_tells_how_much_it_holds(content: bytes):
    """Records and items are counted, without the lines of the cassette around them."""
    count = sum(1 for _ in Lines(content))

    assert f", {count} records and items, " in condition_of(content).reason


def test_a_truncated_draft_is_repaired_in_the_present_format():
    """A draft that was cut gets an end in format 1."""
    cut = DRAFTED[:2500]
    bundle = read_bytes(repaired(cut))

    assert bundle.whole
    assert read_bytes(cut).trace.steps == bundle.trace.steps


def test_a_whole_bundle_needs_no_repair():
    """A bundle with its end comes back as it is."""
    assert GOLDEN is repaired(GOLDEN)


def test_an_edited_bundle_is_not_repaired():
    """Repair gives no digest to what somebody changed, cut or not."""
    with pytest.raises(CorruptBundleError):
        repaired(GOLDEN.replace(b'"Created"', b'"created"'))
    with pytest.raises(CorruptBundleError):
        repaired(GOLDEN[:2500].replace(b"- {", b"+ {"))


def test_a_draft_is_migrated_and_the_present_format_stays():
    """A draft becomes format 1, and what is format 1 comes back as it is."""
    made = migrated(DRAFTED)

    assert read_bytes(DRAFTED) == read_bytes(made)
    assert b'# {"k":"bundle","format":1,' in made
    assert made is migrated(made)


def test_what_has_no_end_is_not_migrated():
    """A truncated file is to be closed first."""
    with pytest.raises(TruncatedBundleError, match="repair"):
        migrated(GOLDEN[:-10])
