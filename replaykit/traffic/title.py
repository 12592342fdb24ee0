"""Titles: what operations and schemas are called, by what their paths say."""

import re
from collections.abc import Collection

from replaykit.traffic.route import Hole, Route, singular, snake

_VERBS = {"post": "create", "put": "replace", "patch": "update", "delete": "delete", "get": "get"}
_PREFIX = re.compile(r"api|rest|v\d{1,4}([._]\d{1,4})*")


def operation(method: str, route: Route, *, lists: bool) -> str:
    """Name an operation: `createAccount`, `getAccount`, `holdBooking`; `listAccounts` where it `lists` things."""
    words = [part for part in route.parts if part != "" and not (isinstance(part, str) and _PREFIX.fullmatch(part))]
    if not words:
        return f"{method}Root"
    last = words[-1]
    if isinstance(last, Hole):
        noun = _above(words, len(words) - 1)
        return camel("post" if method == "post" else _VERBS[method], noun or last.name)
    owner = _above(words, len(words) - 1)
    if method == "get":
        if lists:
            return camel("list", owner, last)
        return camel("get", owner, last) if owner else camel("get", *[each for each in words if isinstance(each, str)])
    if method == "post" and singular(last) != snake(last):
        return camel("create", owner, singular(last))
    if method == "post":
        return camel(last, owner) if owner else camel(*[each for each in words if isinstance(each, str)])
    return camel(_VERBS[method], owner, last)


def _above(words: list[str | Hole], at: int) -> str:
    """Return what a part of a path belongs to: the noun of the last value before it."""
    for number in range(at, 0, -1):
        if isinstance(words[number], Hole) and isinstance(words[number - 1], str):
            return singular(str(words[number - 1]))
    return ""


def camel(*words: str) -> str:
    """Join words to a name in camel case, of letters and digits."""
    parts = [part for word in words for part in re.findall(r"[A-Za-z0-9]+", snake(word))]
    name = "".join(part if number == 0 else part.capitalize() for number, part in enumerate(parts))
    return name if name and not name[0].isdigit() else f"op{name}"


def pascal(*words: str) -> str:
    """Join words to the name of a schema."""
    name = camel(*words)
    return name[0].upper() + name[1:]


def free(name: str, taken: Collection[str]) -> str:
    """Return a name that is not taken, with a number behind it if need be."""
    if name not in taken:
        return name
    number = 2
    while f"{name}{number}" in taken:
        number += 1
    return f"{name}{number}"
