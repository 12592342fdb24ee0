"""Leaves: the values in a URL, a header or a body, and where each of them stands in the text.

Texts are bytes read as Latin-1, so that a place in one is a place in the other.
"""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias
from urllib.parse import unquote, unquote_plus

from replaykit.interaction import Headers, header
from replaykit.value import JsonData

MAX_LEAVES = 20_000  # of one body
MAX_DEPTH = 100

_SPACE = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_WORD = re.compile(r"[-+.0-9A-Za-z]+")

Path: TypeAlias = tuple[str | int, ...]


class Leaf(NamedTuple):
    """One value: the way to it, its name, the value, where its text begins and ends, and how it is written there."""

    path: Path
    key: str
    value: JsonData
    start: int
    end: int
    how: str


def in_json(text: str) -> list[Leaf] | None:
    """List the leaves of a JSON text; None where it is none, is nested too deep, or has too many of them."""
    try:
        json.loads(text)
        return _scan(text, 0, (), "")[0]
    except (ValueError, RecursionError):
        return None


def _scan(text: str, at: int, path: Path, key: str) -> tuple[list[Leaf], int]:
    """List the leaves of the value that begins here, in a text that is known to be JSON, and say where it ends."""
    if len(path) > MAX_DEPTH:
        raise ValueError("nested too deep")
    at = _skip(text, at)
    opening = text[at]
    if opening not in "{[":
        found = _STRING.match(text, at) if opening == '"' else _WORD.match(text, at)
        if found is None:
            raise ValueError("no value")
        return [Leaf(path, key, json.loads(found[0].encode("latin-1")), at, found.end(), "json")], found.end()
    leaves: list[Leaf] = []
    closing = "}" if opening == "{" else "]"
    at, number = _skip(text, at + 1), 0
    while text[at] != closing:
        part: str | int = number
        if opening == "{":
            named = _STRING.match(text, at)
            if named is None:
                raise ValueError("no name")
            part = key = str(json.loads(named[0].encode("latin-1")))
            at = _skip(text, named.end()) + 1  # past the colon
        inner, at = _scan(text, at, (*path, part), key)
        leaves += inner
        if len(leaves) > MAX_LEAVES:
            raise ValueError("too many values")
        at, number = _skip(text, at), number + 1
        if text[at] == ",":
            at = _skip(text, at + 1)
    return leaves, at + 1


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def in_target(target: str) -> list[Leaf]:
    """List the segments of a path and the values of its query."""
    path, mark, query = target.partition("?")
    leaves = []
    at = 0
    for number, segment in enumerate(path.split("/")):
        if segment:
            leaves.append(Leaf((number,), "", unquote(segment), at, at + len(segment), "url"))
        at += len(segment) + 1
    return [*leaves, *_in_pairs(query, len(path) + len(mark), "&", "url")]


def in_header(name: str, value: str) -> list[Leaf]:
    """List the values of a header: each of a cookie's, what stands behind the scheme of credentials, or all of it."""
    if name.lower() == "cookie":
        return list(_in_pairs(value, 0, ";", "text"))
    scheme, space, rest = value.partition(" ")
    start = len(scheme) + 1 if space and rest and scheme.isalpha() else 0
    return [Leaf((), name.lower(), value[start:], start, len(value), "text")]


def in_body(headers: Headers, body: str) -> list[Leaf]:
    """List the values of a body of JSON or of a form; none of any other."""
    kind = (header(headers, "content-type") or "").partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return list(_in_pairs(body, 0, "&", "form"))
    return (in_json(body) or []) if kind.endswith("json") or body[:1] in {"{", "["} else []


def _in_pairs(text: str, at: int, separator: str, how: str) -> Iterator[Leaf]:
    for pair in text.split(separator):
        name, equals, value = pair.partition("=")
        start = at + len(name) + len(equals)
        if value:
            said = value if how == "text" else unquote_plus(value)
            key = name.strip() if how == "text" else unquote_plus(name)
            yield Leaf((key,), key, said, start, at + len(pair), how)
        at += len(pair) + len(separator)
