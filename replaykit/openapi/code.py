"""Code: expressions of Python as trees, and how they are laid out; no text of a description gets in unquoted.

The layout is that of the formatters which most projects use (ruff, black): what fits on a line stands on it; else what
is in the brackets stands on one line of its own; else each part does, with a comma behind it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from replaykit.value import JsonData
from replaykit.visible import visible

WIDTH = 120  # characters of a line
_MANY_DIGITS = 10_000
_OR_NONE = " | None"


@dataclass(frozen=True, slots=True)
class Bracketed:
    """Parts in brackets, behind a name or nothing: a call, a list, a dict, a tuple, an annotation."""

    name: str
    open: str
    parts: tuple["Part", ...]
    close: str
    is_nullable: bool = False  # an annotation: `| None` stands behind it


@dataclass(frozen=True, slots=True)
class Part:
    """A part in brackets, with what stands before it: `min_size=`, or a key."""

    before: str
    node: "Node"


Node: TypeAlias = "str | Bracketed"


def call(name: str, /, *arguments: Node, **named: Node) -> Bracketed:
    """Write a call."""
    parts = [Part("", each) for each in arguments] + [Part(f"{key}=", each) for key, each in named.items()]
    return Bracketed(name, "(", tuple(parts), ")")


def of(name: str, *arguments: Node) -> Bracketed:
    """Write an annotation with its parameters: `Ref[Pet]`."""
    return Bracketed(name, "[", tuple(Part("", each) for each in arguments), "]")


def nullable(kind: Node) -> Node:
    """Write the annotation of what may be None as well."""
    if isinstance(kind, Bracketed):
        return replace(kind, is_nullable=True)
    return kind if kind in {"JsonData", "None"} or kind.endswith("| None") else f"{kind}{_OR_NONE}"


def bare(kind: Node) -> Node:
    """Return an annotation without `| None`."""
    return replace(kind, is_nullable=False) if isinstance(kind, Bracketed) else kind.removesuffix(_OR_NONE)


def is_nullable(kind: Node) -> bool:
    """Say whether an annotation ends in `| None`."""
    return kind.is_nullable if isinstance(kind, Bracketed) else kind.endswith(_OR_NONE)


def items(nodes: Iterable[Node]) -> Bracketed:
    """Write a list."""
    return Bracketed("", "[", tuple(Part("", each) for each in nodes), "]")


def names(texts: Iterable[str]) -> Bracketed:
    """Write a tuple of texts."""
    parts = tuple(Part("", quoted(each)) for each in texts)
    return Bracketed("", "(", parts, ",)" if len(parts) == 1 else ")")


def pairs(named: Iterable[tuple[str, Node]]) -> Bracketed:
    """Write a dict with texts as its keys."""
    return Bracketed("", "{", tuple(Part(f"{quoted(key)}: ", each) for key, each in named), "}")


def quoted(text: str) -> str:
    """Write a text as Python reads it: in double quotes, but where that takes more backslashes."""
    said = ascii(text)
    inner = said[1:-1]
    if said[0] == '"' or '"' in inner:
        return said
    return f'"{inner}"'


def literal(value: JsonData) -> Node:
    """Write JSON data as Python reads it."""
    if isinstance(value, str):
        body = value[:1]
        if len(value) > 40 and value == body * len(value):  # noqa: PLR2004
            return f"{quoted(body)} * {len(value)}"
        return quoted(value)
    if isinstance(value, dict):
        return pairs((name, literal(each)) for name, each in value.items())
    if isinstance(value, list):
        return items(map(literal, value))
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= _MANY_DIGITS:
        return f"{value:_}"
    return repr(value)


def prose(text: str, most: int = 90) -> str:
    """Make a line of a text that can stand in a docstring or a comment: nothing in it ends either."""
    line = visible(" ".join(text.split())).replace("\\", "/").replace('"', "'")
    line = "".join(each if " " <= each <= "~" or (each.isalpha() and each.isprintable()) else " " for each in line)
    line = " ".join(line.split())
    return line if len(line) <= most else f"{line[: most - 4].rsplit(' ', 1)[0]} ..."


def flat(node: Node) -> str:
    """Write a node on one line."""
    if isinstance(node, str):
        return node
    inside = ", ".join(f"{part.before}{flat(part.node)}" for part in node.parts)
    return f"{node.name}{node.open}{inside}{node.close}{_OR_NONE if node.is_nullable else ''}"


def laid_out(before: str, node: Node, after: str = "", indent: int = 0) -> list[str]:
    """Write a node on as many lines as it takes."""
    space = " " * indent
    line = f"{space}{before}{flat(node)}{after}"
    if isinstance(node, str) or len(line) <= WIDTH or not node.parts:
        return [line]
    if node.is_nullable:
        plain = bare(node)
        if not before:  # in brackets
            return [*laid_out("", plain, "", indent), f"{space}{_OR_NONE.strip()}{after}"]
        if after.startswith(" = ") and len(f"{space}{before}{flat(node)} = (") <= WIDTH:
            return [f"{space}{before}{flat(node)} = (", f"{space}    {after.removeprefix(' = ')}", f"{space})"]
        whole = f"{space}    {flat(node)}"
        inside = [whole] if len(whole) <= WIDTH else laid_out("", node, "", indent + 4)
        return [f"{space}{before}(", *inside, f"{space}){after}"]
    inner = ", ".join(f"{part.before}{flat(part.node)}" for part in node.parts)
    first, last = f"{space}{before}{node.name}{node.open}", f"{space}{node.close.strip(',')}{after}"
    if len(inner) + indent + 4 <= WIDTH and len(node.parts) > 1 and node.open == "(" and node.name:
        return [first, f"{space}    {inner}", last]
    lines = [first]
    for part in node.parts:
        alone = len(node.parts) == 1 and bool(node.name)  # a comma behind one type would make it a tuple
        lines += laid_out(part.before, part.node, "" if alone else ",", indent + 4)
    return [*lines, last]
