"""Exports: what a bundle holds in the words of other tools, one file for each format.

Each module has `render(bundle) -> str`, and, where a format has no room for something, `left_out(bundle) -> str`,
which says so in one sentence.
"""

from importlib import import_module
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


def render(bundle: "Bundle", form: str) -> str:
    """Return a bundle in one of FORMATS."""
    text: str = _module(form).render(bundle)
    return text


def left_out(bundle: "Bundle", form: str) -> str:
    """Say what of a bundle a format has no room for; nothing where it has room for all."""
    module = _module(form)
    return str(module.left_out(bundle)) if hasattr(module, "left_out") else ""


def _module(form: str) -> ModuleType:
    return import_module(f"replaykit.export.{form}")
