"""Content codings: a header that is not true is dropped, and one that may be is believed."""

import gzip
import zlib

import pytest

from replaykit.coding import settled

RAW = zlib.compressobj(wbits=-15)
CODED = {
    "gzip": gzip.compress(b"hello"),
    "x-gzip": gzip.compress(b"hello"),
    "deflate": zlib.compress(b"hello"),
    " Deflate": RAW.compress(b"hello") + RAW.flush(),
    "zstd": b"\x28\xb5\x2f\xfd\x00",
    "br": b"\x0b\x02\x80hello\x03",
    "identity": b"hello",
    "gzip, br": b"hello",  # of two at once, nothing is known
}


@pytest.mark.parametrize("coding", CODED)
def test_a_body_that_may_be_coded_is_left_alone(coding: str):
    """The header stays with a body that is, or may be, coded as it says; so it does with no body at all."""
    headers = (("A", "b"), ("Content-Encoding", coding), ("Content-Length", "1"))

    assert (headers, CODED[coding]) == settled(headers, CODED[coding])
    assert (headers, b"") == settled(headers, b"")


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "zstd", "br"])
def test_a_body_that_was_decoded_loses_the_header(coding: str):
    """The header goes, and the length becomes that of the body."""
    headers = (("A", "b"), ("content-encoding", coding), ("Content-Length", "1"))

    assert ((("A", "b"), ("Content-Length", "5")), b"hello") == settled(headers, b"hello")


def test_without_the_header_nothing_changes():
    """Most answers have none."""
    assert ((("A", "b"),), b"hello") == settled((("A", "b"),), b"hello")
