"""The archive: a bundle out of gzip, zip and the text of a ticket, and nothing else."""

import base64
import gzip
import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from replaykit import archive
from replaykit.archive import unpacked
from replaykit.errors import BundleError, CorruptBundleError, TruncatedBundleError
from replaykit.parcel import BEGIN, END, lined
from replaykit.reader import read

GOLDEN = Path(__file__).parent / "bundles" / "format-1.pd"
CONTENT = GOLDEN.read_bytes()


def zipped(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Pack files; names may stand there twice."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as out:
        for name, content in files:
            out.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bug.pd", CONTENT),
        ("bug.pd.gz", gzip.compress(CONTENT)),
        ("bug.pd.gz", gzip.compress(CONTENT[:500]) + gzip.compress(CONTENT[500:])),
        ("bug.pd.zip", zipped(("bug.pd", CONTENT))),
        ("bug.zip", zipped(("ticket/", b""), ("ticket/bug.pd", CONTENT), ("__MACOSX/._bug.pd", b"x"))),
        ("stored.zip", zipped(("bug.pd", CONTENT), method=zipfile.ZIP_STORED)),
        ("bug.pd.txt", CONTENT),
    ],
    ids=["plain", "gzip", "gzip in parts", "zip", "zip with a folder", "zip stored", "text file"],
)
def test_a_bundle_is_read_out_of_what_it_is_packed_in(name: str, content: bytes, tmp_path: Path):
    """Plain, gzip or zip, with one file in it: the bundle is the same."""
    path = tmp_path / name
    path.write_bytes(content)

    assert read(GOLDEN) == read(path)


@pytest.mark.parametrize(
    ("before", "prefix", "end", "after"),
    [
        (b"It fails:\n\n```yaml\n", b"", b"\n", b"```\n\nIs that so?\n"),
        (b"It fails:\r\n\r\n~~~\r\n", b"", b"\r\n", b"~~~\r\n"),
        (b"On Monday, somebody wrote:\n", b"> ", b"\n", b"\nYes.\n"),
        (b"A list:\n\n1. like this:\n\n", b"       ", b"\n", b"\nand so on\n"),
        (b"pasted at the end\n", b"", b"\n", b""),
    ],
    ids=["fence", "fence with CRLF", "quotation", "indented", "at the end"],
)
def test_a_bundle_is_read_out_of_a_ticket(before: bytes, prefix: bytes, end: bytes, after: bytes, tmp_path: Path):
    """In a fence, quoted, indented or with other line ends: the bundle is the same, digest included."""
    path = tmp_path / "ticket.md"
    path.write_bytes(before + b"".join(prefix + line + end for line in CONTENT.splitlines()) + after)

    assert read(GOLDEN) == read(path)


@pytest.mark.parametrize(
    "spread",
    [
        lambda line: line + b"\n",
        lambda line: line + b"\r\n",
        lambda line: b"> " + line + b"\r\n",
        lambda line: b"> > " + line + b" \n",
        lambda line: b"\t      " + line + b"\n",
        lambda line: line + b"\n\n",
        lambda line: b"> " + line + b"\n>\n",
    ],
    ids=["as it is", "CRLF", "quoted", "quoted twice", "indented", "an empty line after each", "quoted and empty"],
)
@pytest.mark.parametrize("is_packed", [False, True], ids=["plain", "packed"])
def test_a_ticket_gives_its_bundle_back_to_the_byte(spread: Callable[[bytes], bytes], *, is_packed: bool):
    """Whatever was done to all lines of a ticket, the bundle in it is the same, byte for byte."""
    inside = lined(CONTENT).encode() if is_packed else CONTENT
    lines = [b"It fails:", b"", b"```text", *inside.splitlines(), b"```", b"", b"Is that so?"]

    assert CONTENT == unpacked(b"".join(map(spread, lines)), "ticket.md")


def marked(inside: bytes) -> bytes:
    """Put something between the marks of a packed bundle."""
    return b"one\ntwo\n%s\n%s\n%s\n" % (BEGIN.encode(), inside, END.encode())


BROKEN = {
    "no base64": b"what, this?",
    "base64 of something else": base64.b64encode(CONTENT),
    "nothing": b"",
    "a letter less": base64.b64encode(gzip.compress(CONTENT))[1:],
    "a part": base64.b64encode(gzip.compress(CONTENT)[:-200]),
    "a letter that was changed": base64.b64encode(gzip.compress(CONTENT)[:-8] + bytes(8)),
    "many parts": base64.b64encode(gzip.compress(b"") * 17),
}


@pytest.mark.parametrize("inside", BROKEN.values(), ids=BROKEN)
def test_a_packed_bundle_that_is_broken_is_an_error_with_its_line(inside: bytes):
    """What stands between the marks is refused, with the line of the first, where it is no bundle in gzip."""
    with pytest.raises(CorruptBundleError, match=r"ticket\.md, line 3: "):
        unpacked(marked(inside), "ticket.md")


def test_a_packed_bundle_without_its_end_is_truncated():
    """Where the second mark is missing, nothing is guessed."""
    with pytest.raises(TruncatedBundleError, match="line 2: the packed bundle that begins there has no end"):
        unpacked(b"one\n" + lined(CONTENT).encode()[:-40], "ticket.md")


@pytest.mark.parametrize(
    "second", [CONTENT, lined(CONTENT).encode() + b"\n"], ids=["one as it is", "one that is packed"]
)
def test_of_a_packed_bundle_and_another_one_none_is_chosen(second: bytes):
    """Two bundles in one text are an error, also if one or both are packed."""
    with pytest.raises(CorruptBundleError, match="there is a second bundle"):
        unpacked(lined(CONTENT).encode() + b"\n" + second, "ticket.md")


def test_a_bomb_in_a_text_is_noticed(monkeypatch: pytest.MonkeyPatch):
    """What would be larger than a bundle may be is not unpacked to its end, in a text too."""
    monkeypatch.setattr(archive, "MAX_FILE", 3 << 20)
    with pytest.raises(CorruptBundleError, match="line 1: unpacked, it would have more than 3145728 bytes"):
        unpacked(lined(bytes(30 << 20)).encode(), "ticket.md")


def test_a_bundle_that_was_cut_in_a_ticket_is_truncated(tmp_path: Path):
    """Where the fence closes before the end of the bundle, what is there is read, and is not whole."""
    path = tmp_path / "ticket.md"
    path.write_bytes(b"```\n" + b"".join(line + b"\n" for line in CONTENT.splitlines()[:8]) + b"```\nand more\n")

    assert not read(path).whole
    assert 1 == len(read(path).trace.steps)


def test_of_two_bundles_in_a_text_none_is_chosen():
    """Two bundles in one text are an error with the line of the second."""
    with pytest.raises(CorruptBundleError, match="line 20: there is a second bundle"):
        unpacked(b"one:\n" + CONTENT + b"\ntwo:\n" + CONTENT, "ticket.md")


def test_a_file_that_is_named_as_a_bundle_holds_nothing_else(tmp_path: Path):
    """Text around a bundle in a .pd file means that the file was changed."""
    path = tmp_path / "bug.pd"
    path.write_bytes(b"hello\n" + CONTENT)
    with pytest.raises(CorruptBundleError, match="line 1"):
        read(path)


def crafted(**more: int) -> bytes:
    """Pack a bundle, and change numbers in the header of its only entry in the list at the end."""
    packed = bytearray(zipped(("bug.pd", CONTENT)))
    entry = packed.rindex(b"PK\x01\x02")
    places = {"flags": (8, "<H"), "method": (10, "<H"), "crc": (16, "<L"), "size": (24, "<L"), "offset": (42, "<L")}
    for key, value in more.items():
        place, form = places[key]
        struct.pack_into(form, packed, entry + place, value)
    return bytes(packed)


ODD = {
    "two files": zipped(("a.pd", CONTENT), ("b.pd", CONTENT)),
    "no file": zipped(),
    "only a folder": zipped(("a/", b"")),
    "above the folder": zipped(("../bug.pd", CONTENT)),
    "absolute": zipped(("/etc/bug.pd", CONTENT)),
    "a drive": zipped(("C:\\bug.pd", CONTENT)),
    "a control character": zipped(("bug\x1b[31m.pd", CONTENT)),
    "NUL": zipped(("bug_0.pd", CONTENT)).replace(b"bug_0.pd", b"bug\x000.pd"),
    "encrypted": crafted(flags=1),
    "LZMA": zipped(("bug.pd", CONTENT), method=zipfile.ZIP_LZMA),
    "an unknown method": crafted(method=99),
    "a wrong checksum": crafted(crc=1),
    "a size that is none": crafted(size=0xFFFFFFF0),
    "an offset that is none": crafted(offset=0x7FFFFFFF),
    "cut": zipped(("bug.pd", CONTENT))[:-30],
    "many entries": zipped(*((f"{number}.pd", b"") for number in range(101))),
    "gzip cut": gzip.compress(CONTENT)[:-9],
    "gzip with garbage": gzip.compress(CONTENT) + b"garbage",
    "gzip with a wrong checksum": gzip.compress(CONTENT)[:-8] + bytes(8),
    "gzip in many parts": gzip.compress(b"") * 17,
    "gzip in gzip": gzip.compress(gzip.compress(CONTENT)),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_stand_there_twice_are_refused():
    """Of two files with the same name none is chosen."""
    with pytest.raises(CorruptBundleError, match="2 files"):
        unpacked(zipped(("a.pd", CONTENT), ("a.pd", CONTENT)), "x.zip")


@pytest.mark.parametrize("content", ODD.values(), ids=ODD)
def test_odd_archives_are_errors_with_a_line(content: bytes, tmp_path: Path):
    """Whatever is odd about an archive, it is a BundleError that names a line, and nothing is written."""
    path = tmp_path / "odd.pd.zip"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"line \d+"):
        read(path)

    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["gzip", "zip"])
def test_a_bomb_is_noticed_when_it_has_filled_what_a_bundle_may_have(kind: str, monkeypatch: pytest.MonkeyPatch):
    """What would be larger than a bundle may be is not unpacked to its end, however small it is packed."""
    monkeypatch.setattr(archive, "MAX_FILE", 3 << 20)
    bomb = bytes(30 << 20)
    packed = gzip.compress(bomb) if kind == "gzip" else zipped(("bug.pd", bomb))
    with pytest.raises(CorruptBundleError, match="more than 3145728 bytes"):
        unpacked(packed, "bomb")


def test_a_zip_that_lies_about_its_size_gives_no_more_than_it_says():
    """The size that a zip tells is not believed: the sum of what it gives is checked too."""
    packed = bytearray(zipped(("bug.pd", CONTENT)))
    struct.pack_into("<L", packed, packed.rindex(b"PK\x01\x02") + 24, 100)
    with pytest.raises(CorruptBundleError, match="line 1"):
        unpacked(bytes(packed), "x.zip")


def test_every_flipped_byte_of_a_packed_bundle_is_noticed():
    """A flipped byte in gzip or zip is an error, or changes nothing of the bundle."""
    for packed in (gzip.compress(CONTENT, mtime=0), zipped(("bug.pd", CONTENT))):
        for position in range(0, len(packed), 3):
            changed = bytearray(packed)
            changed[position] ^= 0x10
            try:
                found = unpacked(bytes(changed), "x.pd.zip")
            except BundleError:
                continue

            assert found == CONTENT or not found.startswith(b"version: 1\n"), position
