"""Archive: a bundle out of what it was sent in: gzip, zip, or the text of a ticket.

Nothing is written to the disk, and no name in an archive means anything; what is unpacked is never more than a
bundle may have. Where there is more than one bundle, none is chosen.
"""

import base64
import binascii
import io
import re
import struct
import zipfile
import zlib
from itertools import islice

from replaykit.bundle import MAX_FILE, MAX_LINES
from replaykit.errors import CorruptBundleError, TruncatedBundleError
from replaykit.parcel import BEGIN, END

MAX_MEMBERS = 16  # of a gzip file, which may be several in a row
MAX_ENTRIES = 100  # of a zip
_SLICE = 1 << 20  # bytes
_GZIP, _ZIP, _EMPTY_ZIP = b"\x1f\x8b", b"PK\x03\x04", b"PK\x05\x06"
_ENTRY = b"PK\x01\x02"
_ENCRYPTED = 0x1
_BEGINS = re.compile(rb'^([ \t>|]*)version: 1[ \t]*\r?\n(?:[ \t>|]*\r?\n)?\1# \{"k":[ ]?"(?:bundle|pd)"', re.MULTILINE)
_PARCEL = re.compile(rb"^[ \t>|]*%s[ \t]*\r?$" % BEGIN.encode(), re.MULTILINE)
_KINDS = {b"version: 1": _BEGINS, BEGIN.encode(): _PARCEL}
_AROUND = b" \t\r\n>|"  # what a quotation or a list puts around the lines of a parcel
_FENCE = (b"```", b"~~~")
_ENDS = (b'# {"k":"end"', b'# {"k": "end"')


def unpacked(content: bytes, name: str) -> bytes:
    """Return the bytes of the bundle that a file holds. Raises CorruptBundleError.

    A file that is named as a bundle is one, or is packed; in others, a bundle is looked for in the text too.
    """
    return _of_text(opened(content, name), name)


def opened(content: bytes, name: str) -> bytes:
    """Return the only file of a gzip or zip; what is neither stays as it is. Raises CorruptBundleError."""
    if content.startswith(_GZIP):
        return _from_gzip(content, name)
    if content.startswith((_ZIP, _EMPTY_ZIP)):
        return _from_zip(content, name)
    return content


def _of_text(content: bytes, name: str) -> bytes:
    named = re.search(r"\.pd(\.gz|\.zip)?$", name, re.IGNORECASE)
    return content if named or content.startswith(b"version: 1") else _from_text(content, name)


def _refused(name: str, why: str, line: int = 1) -> CorruptBundleError:
    return CorruptBundleError(f"{name}, line {line}: {why}.", "Get the bundle anew, as it is or packed alone.")


def _too_large(name: str, line: int = 1) -> CorruptBundleError:
    return _refused(name, f"unpacked, it would have more than {MAX_FILE} bytes", line)


def _from_gzip(content: bytes, name: str, line: int = 1) -> bytes:
    """Unpack gzip, slice by slice, so that a bomb is noticed when it has filled what a bundle may have."""
    parts: list[bytes] = []
    size, members, rest = 0, 0, content
    while rest:
        members += 1
        if members > MAX_MEMBERS:
            raise _refused(name, f"it is gzip of more than {MAX_MEMBERS} parts", line)
        stream = zlib.decompressobj(wbits=31)
        while not stream.eof:
            try:
                part = stream.decompress(rest, _SLICE)
            except zlib.error:
                raise _refused(name, "the gzip in it is broken", line) from None
            if not part and not stream.unconsumed_tail and not stream.eof:
                raise _refused(name, "the gzip in it has no end", line)
            size += len(part)
            if size > MAX_FILE:
                raise _too_large(name, line)
            parts.append(part)
            rest = stream.unconsumed_tail
        rest = stream.unused_data
    return b"".join(parts)


def _from_zip(content: bytes, name: str) -> bytes:
    """Unpack the only file of a zip."""
    if content.count(_ENTRY) > MAX_ENTRIES:  # before anybody lists them
        raise _refused(name, f"the zip has more than {MAX_ENTRIES} entries")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            entry = _only_entry(packed.infolist(), name)
            if entry.file_size > MAX_FILE:
                raise _too_large(name)
            with packed.open(entry) as file:
                found = file.read(MAX_FILE + 1)
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, RuntimeError) as error:
        raise _refused(name, f"the zip is broken ({type(error).__name__})") from None
    if len(found) > MAX_FILE:
        raise _too_large(name)
    return found


def _only_entry(entries: list[zipfile.ZipInfo], name: str) -> zipfile.ZipInfo:
    files = [each for each in entries if not each.is_dir() and not each.filename.startswith("__MACOSX/")]
    if len(files) != 1:
        raise _refused(name, f"the zip has {len(files)} files, and not one")
    [entry] = files
    called = entry.orig_filename
    odd = called.startswith("/") or ".." in called or not called.isprintable() or set(called) & set("\\:")
    if odd:
        raise _refused(name, f"the zip has a file with an odd name, {called[:80]!r}")
    if entry.flag_bits & _ENCRYPTED:
        raise _refused(name, "the zip is encrypted")
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise _refused(name, "the zip is packed in a way that is not usual")
    return entry


def _from_text(content: bytes, name: str) -> bytes:
    """Cut the only bundle out of a text: what stands before its lines, as in a quotation, is left out."""
    found = _begins(content)
    if not found:
        return content
    if len(found) > 1:
        raise CorruptBundleError(
            f"{name}, line {_line_of(content, found[1])}: there is a second bundle in this text.",
            "Put each into a file of its own.",
        )
    if found[0].re is _PARCEL:
        return _from_lines(content, found[0], name)
    before, start = found[0][1], found[0].start()
    lines: list[bytes] = []
    while start < len(content) and len(lines) <= MAX_LINES:
        stop = content.find(b"\n", start)
        text = content[start : len(content) if stop < 0 else stop].removeprefix(before).rstrip(b" \t\r")
        if text.lstrip().startswith(_FENCE):
            break
        if text.strip(_AROUND):  # a bundle has no empty lines; some forges and mails put them between all others
            lines.append(text)
        if text.startswith(_ENDS):
            break
        if stop < 0:  # the text was cut, and this line with it
            return b"\n".join(lines)
        start = stop + 1
    return b"\n".join(lines) + b"\n"


def begins_at(content: bytes) -> int | None:
    """Return the number of the line where the first bundle begins in a text; None where there is none."""
    found = _begins(content)
    return _line_of(content, found[0]) if found else None


def _begins(content: bytes) -> list[re.Match[bytes]]:
    """Find where bundles begin in a text: the first ones, which are enough to tell whether there are several."""
    kinds = [kind for mark, kind in _KINDS.items() if mark in content]  # which is quicker than to search for a pattern
    found = [each for kind in kinds for each in islice(kind.finditer(content), 2)]
    return sorted(found, key=lambda each: each.start())


def packed_in(content: bytes, name: str) -> tuple[int, bytes] | None:
    """Find the bundle that stands packed in the lines of a text, and the number of the first of them.

    Raises CorruptBundleError, TruncatedBundleError.
    """
    begins = _PARCEL.search(content) if BEGIN.encode() in content else None
    return None if begins is None else (_line_of(content, begins), _from_text(content, name))


def _line_of(content: bytes, found: re.Match[bytes]) -> int:
    return content.count(b"\n", 0, found.start()) + 1


def _from_lines(content: bytes, begins: re.Match[bytes], name: str) -> bytes:
    """Unpack the lines of a parcel."""
    number = _line_of(content, begins)
    end = content.find(END.encode(), begins.end())
    if end < 0:
        raise TruncatedBundleError(
            f"{name}, line {number}: the packed bundle that begins there has no end.", "Get the whole text."
        )
    try:
        packed = base64.b64decode(content[begins.end() : end].translate(None, _AROUND), validate=True)
    except binascii.Error:
        packed = b""
    if not packed.startswith(_GZIP):
        raise _refused(name, "what stands between the marks of a packed bundle is no gzip in base64", number)
    return _from_gzip(packed, name, number)
