"""Content codings: a header that is not true is dropped, and one that may be is believed."""

import gzip
import zlib

import pytest

from replaykit.coding import MOST_DECODED, decoded, encoded, settled

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


def test_compressed_bodies_are_read_as_far_as_they_go():
    """Several members are read, a cut body is read up to the cut, and a bomb is refused."""
    packed = gzip.compress(b"one " * 1000, mtime=0)

    assert b"one " * 1000 + b"two" == decoded("gzip", packed + gzip.compress(b"two"))
    assert decoded("gzip", packed[:-9]).startswith(b"one one")
    assert b"one " * 1000 == gzip.decompress(encoded("gzip", b"one " * 1000))
    with pytest.raises(ValueError, match="the body is no deflate"):
        decoded("deflate", b"nothing of the kind")
    with pytest.raises(ValueError, match="becomes more than"):
        decoded("gzip", gzip.compress(bytes(MOST_DECODED + 1)))
