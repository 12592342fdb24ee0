"""Content codings: bodies that are compressed, and whether one is as its header says (RFC 9110, section 8.4)."""

import gzip
import zlib

from replaykit.interaction import Headers, header

MOST_DECODED = 32 * 1024 * 1024  # bytes that a compressed body may become

_MAGIC = {"gzip": b"\x1f\x8b", "x-gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}


class TooLargeError(ValueError):
    """A body becomes larger than anybody would look into."""


def coding_of(headers: Headers, body: bytes) -> str:
    """Say how a body is compressed: gzip, deflate, or not at all."""
    if not body:
        return ""
    if body.startswith(b"\x1f\x8b\x08"):
        return "gzip"
    said = (header(headers, "content-encoding") or "").strip().lower()
    return "deflate" if said == "deflate" else ""


def decoded(coding: str, body: bytes) -> bytes:
    """Decompress a body, as far as it goes. Raises ValueError where it can't be read, or becomes too large."""
    if not coding:
        return body
    made, rest = bytearray(), body
    bits = (zlib.MAX_WBITS | 16,) if coding == "gzip" else (zlib.MAX_WBITS, -zlib.MAX_WBITS)
    for window in bits:
        try:
            while rest:
                unpacker = zlib.decompressobj(window)
                made += unpacker.decompress(rest, MOST_DECODED + 1 - len(made))
                if len(made) > MOST_DECODED:
                    raise TooLargeError(f"the body becomes more than {MOST_DECODED} bytes")
                rest = unpacker.unused_data if unpacker.eof and coding == "gzip" else b""
        except zlib.error:
            if made:
                break
            continue
        return bytes(made)
    if made:
        return bytes(made)
    raise ValueError(f"the body is no {coding}")


def unpacked(headers: Headers, body: bytes) -> bytes:
    """Return a body without the gzip or deflate around it; as it is where it has another one, or is broken."""
    try:
        return decoded(coding_of(headers, body), body)
    except ValueError:
        return body


def encoded(coding: str, body: bytes) -> bytes:
    """Compress a body, in the same way each time."""
    if coding == "gzip":
        return gzip.compress(body, 6, mtime=0)
    return zlib.compress(body, 6) if coding == "deflate" else body


def settled(headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    """Drop a Content-Encoding that is not true: vcrpy, and some clients that it stops, keep it with a decoded body."""
    coding = (header(headers, "content-encoding") or "").strip().lower()
    if not coding or not body or _is_coded(coding, body):
        return headers, body
    kept = [(name, value) for name, value in headers if name.lower() != "content-encoding"]
    length = str(len(body))
    return tuple((name, length if name.lower() == "content-length" else value) for name, value in kept), body


def _is_coded(coding: str, body: bytes) -> bool:
    """Say whether a body may be coded as its header says; what can't be told apart is believed."""
    if coding in _MAGIC:
        return body.startswith(_MAGIC[coding])
    if coding == "deflate":
        return any(_begins_as_deflate(body, bits) for bits in (zlib.MAX_WBITS, -zlib.MAX_WBITS))
    if coding == "br":  # which has no mark to know it by
        try:
            body.decode("utf-8")
        except UnicodeDecodeError:
            return True
        return False
    return True


def _begins_as_deflate(body: bytes, bits: int) -> bool:
    try:
        zlib.decompressobj(bits).decompress(body, 1024)
    except zlib.error:
        return False
    return True
