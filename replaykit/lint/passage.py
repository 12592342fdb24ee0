"""Passages: where in the user's source something stands, and what is written there."""

import ast
import functools
import inspect
import linecache
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

_IGNORE = re.compile(r"#\s*replaykit:\s*ignore\[([A-Z0-9,\s]+)\]")


class Passage(NamedTuple):
    """A place in the user's source."""

    name: str
    file: str = ""  # empty where the source is not known
    line: int = 0  # from 1

    def called(self, name: str) -> "Passage":
        """Give the passage another name."""
        return self._replace(name=name)


def of_class(kind: type) -> Passage:
    """Find a class."""
    node = _class_node(kind)
    if node is None:
        return Passage(kind.__name__)
    return _passage(kind.__name__, kind, node)


def of_method(owner: type, name: str) -> Passage:
    """Find a method, where it is defined: maybe in a base of its class."""
    home = _home(owner, name)
    node = _member(home, name)
    if not isinstance(node, ast.FunctionDef):
        return of_class(owner).called(f"{owner.__name__}.{name}")
    return _passage(f"{home.__name__}.{name}", home, node)


def of_field(kind: type, name: str) -> Passage:
    """Find a field of a message, an entity or a model."""
    home = next((each for each in kind.__mro__ if name in vars(each).get("__annotations__", {})), kind)
    for each in (home, *kind.__mro__):
        node = _member(each, name)
        if isinstance(node, ast.AnnAssign):
            return Passage(f"{kind.__name__}.{name}", _file_of(each), node.lineno)
    return of_class(kind).called(f"{kind.__name__}.{name}")


def is_ignored(code: str, file: str, line: int) -> bool:
    """Say whether a comment says not to make a remark: `# replaykit: ignore[RK101]` behind the line, or above it."""
    above = linecache.getline(file, line - 1).strip() if line > 1 else ""
    for text in (linecache.getline(file, line) if file else "", above if above.startswith(("#", "@")) else ""):
        found = _IGNORE.search(text)
        if found and code in {each.strip() for each in found[1].split(",")}:
            return True
    return False


def function_of(owner: type, name: str) -> ast.FunctionDef | None:
    """Return the text of a method, parsed; None where it is not known."""
    node = _member(_home(owner, name), name)
    return node if isinstance(node, ast.FunctionDef) else None


def functions_of(kind: type, until: type) -> Iterator[tuple[str, ast.FunctionDef]]:
    """List all methods that count in a class, up to a base that is not the user's."""
    seen = set()
    for base in kind.__mro__[: kind.__mro__.index(until)]:
        node = _class_node(base)
        for each in node.body if node is not None else ():
            if isinstance(each, ast.FunctionDef) and each.name not in seen:
                seen.add(each.name)
                yield each.name, each


@functools.lru_cache(maxsize=1024)
def dumped(function: ast.FunctionDef) -> str:
    """Return the tree of a method as text, to look for names in it."""
    return ast.dump(function)


def parents_in(function: ast.FunctionDef) -> dict[int, ast.AST]:
    """Return what each part of a method stands in, by the id of the part."""
    return {id(child): node for node in ast.walk(function) for child in ast.iter_child_nodes(node)}


def parameter_of(function: ast.FunctionDef) -> str | None:
    """Return the name of what a method takes besides self."""
    return function.args.args[1].arg if len(function.args.args) > 1 else None


def is_of_another(owner: type, name: str) -> bool:
    """Say whether a model has a method from another one with other commands, of which it is told there."""
    home: Any = _home(owner, name)
    commands = getattr(home, "commands", ())
    return home is not owner and bool(commands) and commands != getattr(owner, "commands", ())


def is_known(kind: type) -> bool:
    """Say whether the source of a class is there to be read."""
    return _class_node(kind) is not None


@functools.lru_cache(maxsize=256)
def tree_of(file: str) -> ast.Module | None:
    """Parse a file; None where there is none."""
    try:
        return ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError, RecursionError):
        return None


def _file_of(kind: type) -> str:
    try:
        return inspect.getsourcefile(kind) or ""
    except (TypeError, OSError):
        return ""


def _home(owner: type, name: str) -> type:
    return next((each for each in owner.__mro__ if name in vars(each)), owner)


@functools.lru_cache(maxsize=1024)
def _class_node(kind: type) -> ast.ClassDef | None:
    """Find the text of a class by its qualified name; of several, the one that Python kept is the last."""
    tree = tree_of(_file_of(kind))
    level: list[Any] = [] if tree is None else tree.body
    node = None
    for part in kind.__qualname__.split("."):
        found = [
            each
            for each in _statements(level)
            if isinstance(each, ast.ClassDef | ast.FunctionDef) and each.name == part
        ]
        if part != "<locals>":
            node = found[-1] if found else None
            level = node.body if node is not None else []
    return node if isinstance(node, ast.ClassDef) else None


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """List the statements of a block, those in conditions and the like included."""
    for each in body:
        yield each
        if isinstance(each, ast.If | ast.Try | ast.With):
            for part in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(each, part, []))


def _member(kind: type, name: str) -> ast.stmt | None:
    node = _class_node(kind)
    for each in reversed(node.body) if node is not None else ():
        if isinstance(each, ast.FunctionDef) and each.name == name:
            return each
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name) and each.target.id == name:
            return each
    return None


def _passage(name: str, owner: type, node: ast.ClassDef | ast.FunctionDef) -> Passage:
    return Passage(name, _file_of(owner), node.lineno)
