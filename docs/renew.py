"""Write anew what these pages take from the code: `python docs/renew.py`, in the environment of the tests.

That is the list of public names in reference/api.md, and the picture of the imports, explanation/architecture.svg.
The tests hold that it was done. Help texts are written by docs/help.py.
"""

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import architecture

import replaykit

DOCS = Path(__file__).resolve().parent
INIT = DOCS.parent / "replaykit" / "__init__.py"


def groups() -> dict[str, list[str]]:
    """Read the groups of the public names from the table in `__init__`: what is said of each, and its names."""
    table = INIT.read_text(encoding="utf-8").partition("_HOMES = {")[2].partition("\n}")[0]
    found: dict[str, list[str]] = {}
    for comment, name in re.findall(r'(?m)^    (?:# (.*)|"(\w+)":.*)$', table):
        if comment:
            found[comment] = []
        else:
            found[list(found)[-1]].append(name)
    return found


def first_sentence(name: str) -> str:
    """Give the first sentence of what a public name says of itself."""
    paragraph = (inspect.getdoc(getattr(replaykit, name)) or "").partition("\n\n")[0]
    return re.split(r"(?<=\.)\s+(?=[A-Z])", " ".join(paragraph.split()))[0]


def named(page: str) -> str:
    """Put the public names into the page that lists them, below the head that it has."""
    head = page.partition("\n## ")[0].rstrip()
    parts = [
        f"## {comment[0].upper()}{comment[1:]}\n\n" + "\n".join(f"- `{name}`: {first_sentence(name)}" for name in names)
        for comment, names in groups().items()
    ]
    return "\n\n".join([head, *parts]) + "\n"


RENEWED: dict[str, Callable[[str], str]] = {
    "reference/api.md": named,
    "explanation/architecture.svg": architecture.drawn,
}


def renewed(name: str) -> str:
    """Give a file of these pages as it should be."""
    path = DOCS / name
    return RENEWED[name](path.read_text(encoding="utf-8") if path.exists() else "")


if __name__ == "__main__":
    for each in RENEWED:
        (DOCS / each).write_text(renewed(each), encoding="utf-8")
