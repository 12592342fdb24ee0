"""How Sphinx builds these pages: `python -m sphinx -n -W --keep-going docs docs/_build/html`.

The pages are plain Markdown, to be read where the repository is read, and hold nothing that only Sphinx understands.
What Sphinx wants beside that is made here while it reads: the table of contents is made of the lists in index.md, and
the READMEs of the examples, which lie outside of this folder, become pages of it. Nothing is fetched.
"""

import inspect
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import replaykit
from replaykit.version import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent
EXAMPLES = DOCS.parent / "examples"
LINK = re.compile(r"(?<=\]\()([^()\s#:]+)(#[^()\s]*)?(?=\))")
FENCED = re.compile(r"(?ms)^(```.*?^```\n)")

project = "replaykit"
author = "the authors of replaykit"
project_copyright = author
release = version = __version__
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown"}
default_role = "literal"  # docstrings write `names` as Markdown does
nitpicky = True
# Types in signatures that have no page: those of other packages, whose inventories would be fetched, and inner ones.
PUBLIC = [f"{getattr(replaykit, name).__module__}.{name}" for name, home in replaykit._HOMES.items() if home]  # noqa: SLF001
nitpick_ignore_regex = [("py:.*", rf"(?!(?:{'|'.join(map(re.escape, PUBLIC))})$).*")]

myst_heading_anchors = 4

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
python_display_short_literal_types = True
add_module_names = False
toc_object_entries = False

html_theme = "furo"
html_title = f"replaykit {release}"
html_static_path = ["_static"]
html_css_files = ["replaykit.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
pygments_style = "friendly"
pygments_dark_style = "monokai"
_ACCENT = {"light": "#0b6e4f", "dark": "#5fd3a6"}
html_theme_options = {
    f"{scheme}_css_variables": {"color-brand-primary": colour, "color-brand-content": colour, "color-link": colour}
    for scheme, colour in _ACCENT.items()
}


def outside_code(text: str, change: Any) -> str:
    """Change a page, but for its fenced blocks."""
    parts = FENCED.split(text)
    return "".join(part if at % 2 else change(part) for at, part in enumerate(parts))


def page_of(target: Path) -> Path:
    """Say where a file is in these pages: the README of an example is the page of its name, all else is itself."""
    folder = target.parent if target.name == "README.md" else target
    stub = DOCS / "examples" / f"{folder.name}.md"
    return stub if folder.parent == EXAMPLES and stub.exists() else target


def relinked(text: str, source: Path, page: Path) -> str:
    """Point the links of a text to where they lead from its page, when it was written for another place."""

    def leads(link: re.Match[str]) -> str:
        target = page_of((source.parent / link[1]).resolve())
        return os.path.relpath(target, page.parent) + (link[2] or "")

    return outside_code(text, lambda part: LINK.sub(leads, part))


def contents(text: str) -> str:
    """Make a table of contents of each list of an index: its heading, and the first link of each item."""
    made = []
    for section in re.split(r"(?m)^##+ ", text)[1:]:
        caption, _, body = section.partition("\n")
        pages = re.findall(r"(?m)^(?:-|\d+\.) \[[^\]]*\]\(([^)#]+)\.md\)", body)
        if pages:
            made.append("\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```", ""]))
    return "\n".join(made)


def spoken(names: str) -> str:
    """Make of a list of public names what they say of themselves, with their signatures."""
    return re.sub(r"(?m)^- `(\w+)`: .*$", lambda found: directive(found[1]), names)


def directive(name: str) -> str:
    """Ask Sphinx for all that a public name says of itself."""
    found = getattr(replaykit, name)
    if inspect.ismodule(found):
        own = [each for each, value in vars(found).items() if getattr(value, "__module__", None) == found.__name__]
        public = [f"{found.__name__}.{each}" for each in own if not each.startswith("_")]
        asked = "\n".join(rst(getattr(found, each.rpartition(".")[2]), each) for each in public)
        return f"### {name}\n\n{first_line(found)}\n\n```{{eval-rst}}\n{asked}```\n"
    return f"```{{eval-rst}}\n{rst(found, f'{found.__module__}.{name}')}```\n"


def first_line(found: object) -> str:
    """Give the first line of what something says of itself."""
    return (inspect.getdoc(found) or "").partition("\n")[0]


def rst(found: object, place: str) -> str:
    """Name a class or a function to autodoc; of a class, what it has of its own."""
    if not inspect.isclass(found):
        return f".. autofunction:: {place}\n"
    return f".. autoclass:: {place}\n   :members:\n   :exclude-members: model, model_config\n"


def with_fields(_app: "Sphinx", what: str, _name: str, found: object, _options: object, lines: list[str]) -> None:
    """Add to what a class says the comments that stand beside its fields."""
    if what != "class":
        return
    fields = re.findall(r"(?m)^    (\w+): [^\n#]*  # (.*)$", inspect.getsource(found)) if inspect.isclass(found) else []
    for name, comment in fields:
        lines.append(f"- `{name}`: {comment}")


def without_objects(
    _app: "Sphinx",
    _what: str,
    _name: str,
    _found: object,
    _options: object,
    signature: str | None,
    returned: str | None,
) -> tuple[str | None, str | None]:
    """Leave out of a signature what stands beside a type, as a generator: it has no text, but a place in memory."""
    beside = r"~?(?:typing\.)?Annotated\[([^,\[\]]+), .*? object at 0x\w+>\]"
    return signature and re.sub(beside, r"\1", signature), returned


def adapt(app: "Sphinx", name: str, source: list[str]) -> None:
    """Make of a page what Sphinx needs; called for each as it is read."""
    page = DOCS / f"{name}.md"
    origin = page
    if page.parent == DOCS / "examples":
        origin = EXAMPLES / page.stem / "README.md"
        app.env.note_dependency(str(origin))
        source[0] = origin.read_text(encoding="utf-8")
    source[0] = relinked(source[0], origin, page)
    if name == "reference/api":
        source[0] = spoken(source[0])
    if name == "index":
        source[0] += f"\n{contents(source[0])}"


def setup(app: "Sphinx") -> None:
    """Hang the changes of pages into the build."""
    app.connect("source-read", adapt)
    app.connect("autodoc-process-docstring", with_fields)
    app.connect("autodoc-process-signature", without_objects)
