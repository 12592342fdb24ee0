"""Page: a report as one HTML file that needs nothing else, and in which nothing that was recorded is obeyed.

All that a service says is hostile until it is written down. So a template prints text only: whatever it prints is
escaped, and characters that hide or turn text round are shown as escapes. Nothing is marked as safe but our own style
sheet and script, and the Content-Security-Policy of the page allows these two by their digests, and nothing else. The
page says all without them: scripts only add keys, copying and folding.
"""

import base64
import functools
import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any

from replaykit.version import __version__
from replaykit.visible import visible

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, view: Mapping[str, Any]) -> str:
    """Write a page by one of the templates in `replaykit/report/templates`.

    A name that the view lacks is an error: nothing is left out without a word. What is printed may be any text, also
    with lone surrogates: the page is valid UTF-8.
    """
    return _environment().get_template(template).render(view)


@functools.cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined  # slow: only who wants a page waits

    environment = Environment(
        loader=PackageLoader("replaykit.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {"assets": _assets(), "version": __version__}
    return environment


def _shown(value: object) -> object:
    """Show what a text would hide, whatever prints it; what is escaped already, `Markup`, was shown by its parts."""
    return visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _assets() -> dict[str, object]:
    """Return the style sheet and the script as they stand in each page, and the policy that allows just these two."""
    from markupsafe import Markup

    style, script = _asset("page.css"), _asset("page.js")
    policy = (
        f"default-src 'none'; script-src '{digest(script)}'; style-src '{digest(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return {"style": Markup(style), "script": Markup(script), "policy": policy}  # noqa: S704  our own two files


def _asset(name: str) -> str:
    return resources.files("replaykit.report").joinpath("templates", name).read_text(encoding="utf-8")


def digest(text: str) -> str:
    """Return the source expression by which a policy allows an inline text (CSP Level 3, 8.3: hash-source)."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"
