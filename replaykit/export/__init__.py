"""Exports: what a bundle holds in the words of other tools, one file for each format; and the bundle itself, packed.

Each module has `render(bundle) -> str`, and, where a format has no room for something, `left_out(bundle) -> str`,
which says so in one sentence. That of the ticket, which has the bundle in it, takes its bytes too.
"""

import re
from importlib import import_module
from pathlib import PurePath
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line asks for the names of the formats alone
    from replaykit.bundle import Bundle

FORMATS = {
    "vcr": "a cassette of vcrpy (YAML)",
    "har": "a HAR 1.2 archive, for developer tools and proxies (JSON)",
    "curl": "a shell script with curl",
    "python": "a script in Python with httpx",
    "pytest": "a test file for pytest with httpx",
}
SENT = {  # the bundle itself comes back from these, to the byte
    "ticket": "the text of an issue, with the bundle in it (Markdown)",
    "gz": "the bundle in gzip",
    "zip": "the bundle in a zip",
}
_USUAL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,100}\.pd")


def render(bundle: "Bundle", form: str) -> str:
    """Return a bundle in one of FORMATS."""
    text: str = _module(form).render(bundle)
    return text


def sent(bundle: "Bundle", content: bytes, form: str, path: PurePath) -> bytes:
    """Return a bundle with these bytes, read from a file of this name, in one of SENT.

    Raises UnexportableError where a ticket can't have it, TruncatedBundleError where its end is missing.
    """
    from replaykit.bundle import name_of, require_whole
    from replaykit.parcel import gzipped, zipped

    require_whole(bundle, str(path))
    if form == "ticket":
        text: str = _module(form).render(bundle, content)
        return text.encode()
    if form == "gz":
        return gzipped(content)
    failure = bundle.trace.failure
    usual = name_of(failure) if failure is not None else "bundle.pd"
    return zipped(content, path.name if _USUAL.fullmatch(path.name) else usual)


def left_out(bundle: "Bundle", form: str) -> str:
    """Say what of a bundle a format has no room for; nothing where it has room for all."""
    module = _module(form)
    return str(module.left_out(bundle)) if hasattr(module, "left_out") else ""


def _module(form: str) -> ModuleType:
    return import_module(f"replaykit.export.{form}")
