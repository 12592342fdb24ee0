"""The archive: a bundle out of gzip, zip and the text of a ticket, and nothing else."""

import gzip
import io
import struct
import zipfile
from pathlib import Path

import pytest

from replaykit import archive
from replaykit.archive import unpacked
from replaykit.errors import BundleError, CorruptBundleError
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
