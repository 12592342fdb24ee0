"""Content codings: whether a body is coded as its header says (RFC 9110, section 8.4).

vcrpy and some of the clients that it stops decode bodies before they are written down, and keep the header.
"""

import zlib

from replaykit.interaction import Headers, header

_MAGIC = {"gzip": b"\x1f\x8b", "x-gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}


def settled(headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    """Drop a Content-Encoding that is not true: some versions of vcrpy keep it with a body that they decoded."""
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
