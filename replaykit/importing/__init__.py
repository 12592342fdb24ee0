"""Importing: what other tools have recorded, read as interactions; one file for each format.

Which format a file has is found out from what is in it. Each module has `read(content) -> list[Interaction]`, which
raises ValueError in words that can stand after the file's name. A file may come from anybody: what reads it imports
nothing, fetches nothing, and makes nothing of it but values.
"""

import re
from importlib import import_module
from pathlib import Path

from replaykit.archive import begins_at, unpacked
from replaykit.bundle import MAX_FILE, MAX_LINES, Bundle, Origin, require_whole
from replaykit.errors import CorruptBundleError, ForeignFileError, TruncatedBundleError, UsageError
from replaykit.interaction import Interaction
from replaykit.reader import BEGINNING, content_of, read_bytes
from replaykit.trace import Trace

FORMATS = {
    "vcr": "a cassette of vcrpy, of VCR for Ruby or of betamax (YAML or JSON)",
    "har": "a HAR 1.2 archive of a browser, a proxy or an API client (JSON)",
}
_BUNDLES = "a bundle in the text of a ticket, in gzip or in a zip"

_HAR = re.compile(rb'\s*\{\s*"log"\s*:')
_RECORDING = re.compile(rb"(?:interactions|request|log)[\"']?\s*:")  # what each format has somewhere
_BOM = b"\xef\xbb\xbf"


def read(path: Path) -> Bundle:
    """Read a file of another tool as a bundle of what was recorded without a model.

    Raises MissingFileError, UsageError where it is a bundle already, ForeignFileError where it can't be read.
    """
    return parsed(taken(path), str(path))


def taken(path: Path) -> bytes:
    """Return the bytes of a file that is to be imported. Raises MissingFileError, ForeignFileError."""
    try:
        return content_of(path)
    except CorruptBundleError:
        raise too_large(str(path)) from None


def too_large(name: str) -> ForeignFileError:
    """Return the error for what is too large to be imported."""
    return ForeignFileError(f"{name} is too large: it has more than {MAX_FILE} bytes.", "Split it.")


def parsed(content: bytes, name: str) -> Bundle:
    """Read what another tool has recorded from its bytes; see `read`."""
    if content.startswith(BEGINNING):
        raise UsageError(f"{name} is a bundle already.", "Look at it with `replaykit show`.")
    return Bundle(origin=Origin(), trace=Trace(recorded=tuple(_interactions(content, name)), ending="recorded"))


def contained(content: bytes, name: str) -> bytes | None:
    """Return the bytes of the bundle that a ticket, a gzip or a zip holds; None where it holds none.

    What is returned is whole, and as it was written, to the byte: its digest says so. Raises BundleError.
    """
    if content.startswith(BEGINNING):
        return None
    found = unpacked(content, name)
    if not found.startswith(BEGINNING):
        return None
    bundle = read_bytes(found, f"The bundle in {name}")
    line = begins_at(content)
    if line is not None and not bundle.whole:
        raise TruncatedBundleError(
            f"{name}, line {line}: the bundle that begins there has no end.", "Get the whole text."
        )
    require_whole(bundle, f"The bundle in {name}")
    return found


def format_of(content: bytes) -> str:
    """Say which of FORMATS a file has, by how it begins."""
    return "har" if _HAR.match(content.removeprefix(_BOM)) else "vcr"


def _interactions(content: bytes, name: str) -> list[Interaction]:
    form = format_of(content)
    todo = f"Read can be: {'; '.join([*FORMATS.values(), _BUNDLES])}."
    if form not in FORMATS:
        raise ForeignFileError(f"{name} is of a kind that is not known ({form}).", todo)
    try:
        found: list[Interaction] = import_module(f"replaykit.importing.{form}").read(content)
    except ValueError as error:
        more = "" if _RECORDING.search(content) else ", and there is no bundle in it"
        raise ForeignFileError(f"{name}: {error}{more}.", todo) from None
    if not found:
        raise ForeignFileError(f"{name}: no request was recorded in it.", todo)
    size = sum(len(each.request.body) + len(each.response.body if each.response else b"") for each in found)
    if len(found) > MAX_LINES - 10 or size > MAX_FILE:
        raise ForeignFileError(f"{name} is too large: {len(found)} requests, {size} bytes of bodies.", "Split it.")
    return found
