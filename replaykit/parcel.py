"""Parcels: a bundle packed to be sent, in gzip, in a zip, or as lines of a text; `archive` unpacks them.

No time, no user and no folder stands in one, so the same bundle is always the same parcel.
"""

import base64
import gzip
import io
import textwrap
import zipfile

BEGIN = "-----BEGIN REPLAYKIT BUNDLE-----"
END = "-----END REPLAYKIT BUNDLE-----"
_WIDTH = 76  # characters of a line, which no mail breaks (RFC 2045, section 6.8)
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # of a zip
_READABLE = 0o100644 << 16  # a regular file, as a zip of Unix says it


def gzipped(content: bytes) -> bytes:
    """Pack a bundle in gzip. `gzip.compress` would say which system made it in some versions of Python."""
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=packed, mtime=0) as file:
        file.write(content)
    return packed.getvalue()


def zipped(content: bytes, name: str) -> bytes:
    """Pack a bundle in a zip with one file of this name."""
    entry = zipfile.ZipInfo(name, _FIRST_DAY)
    entry.create_system, entry.external_attr = 3, _READABLE  # Unix, whatever system it is made on
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr(entry, content, zipfile.ZIP_DEFLATED, 9)
    return packed.getvalue()


def lined(content: bytes) -> str:
    """Pack a bundle in lines of letters and digits, between two marks: gzip, in base64."""
    coded = base64.b64encode(gzipped(content)).decode("ascii")
    return "\n".join([BEGIN, *textwrap.wrap(coded, _WIDTH), END])
