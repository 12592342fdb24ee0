"""Parcels: a bundle in gzip, in a zip and in lines, the same bytes each time, opened by other programs too."""

import gzip
import io
import shutil
import subprocess
import time
import zipfile
from pathlib import Path

import pytest

from replaykit import parcel
from replaykit.archive import unpacked
from replaykit.parcel import gzipped, lined, zipped

CONTENT = (Path(__file__).parent / "bundles" / "format-1.pd").read_bytes()


def test_the_same_bundle_is_the_same_parcel_at_any_time(monkeypatch: pytest.MonkeyPatch):
    """No time and no system stands in a parcel: the bytes in front of what is packed are these."""
    before = [gzipped(CONTENT), zipped(CONTENT, "bug.pd")]
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    with zipfile.ZipFile(io.BytesIO(before[1])) as packed:
        [entry] = packed.infolist()

    assert before == [gzipped(CONTENT), zipped(CONTENT, "bug.pd")]
    assert b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff" == before[0][:10]
    assert ("bug.pd", (1980, 1, 1, 0, 0, 0), 3) == (entry.filename, entry.date_time, entry.create_system)


@pytest.mark.parametrize("content", [CONTENT, b"", b"\r\n\x00no line end"], ids=["bundle", "nothing", "odd"])
def test_parcels_are_opened_by_the_standard_library(content: bytes):
    """Python's own gzip and zipfile give back what was packed, whatever it is."""
    with zipfile.ZipFile(io.BytesIO(zipped(content, "bug.pd"))) as packed:
        assert None is packed.testzip()

        assert content == packed.read("bug.pd")
    assert content == gzip.decompress(gzipped(content))


@pytest.mark.parametrize(
    ("tool", "arguments", "file"),
    [("gzip", ["-dc"], "bug.pd.gz"), ("unzip", ["-p"], "bug.pd.zip")],
)
def test_parcels_are_opened_by_the_tools_of_the_system(tool: str, arguments: list[str], file: str, tmp_path: Path):
    """The gzip and unzip of the system give back what was packed."""
    if shutil.which(tool) is None:
        pytest.skip(f"there is no {tool} here")
    (tmp_path / file).write_bytes(gzipped(CONTENT) if tool == "gzip" else zipped(CONTENT, "bug.pd"))
    ran = subprocess.run([tool, *arguments, file], cwd=tmp_path, capture_output=True, check=True)

    assert CONTENT == ran.stdout


def test_lines_are_short_and_plain():
    """Every line of a parcel fits into a mail, and has letters and digits alone."""
    lines = lined(CONTENT * 50).split("\n")

    assert [parcel.BEGIN, parcel.END] == [lines[0], lines[-1]]
    assert 76 == max(len(line) for line in lines)
    assert all(line.replace("+", "").replace("/", "").rstrip("=").isalnum() for line in lines[1:-1])
    assert CONTENT * 50 == unpacked(lined(CONTENT * 50).encode(), "ticket.md")
