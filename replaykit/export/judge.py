"""The judge: what a script takes from one answer for the next request, and whether an answer is as recorded.

Its text goes into the scripts that are exported, so it imports nothing but the standard library.
"""

import json
import time
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

MAX_PLAIN = 16 * 1024 * 1024  # bytes that are unpacked of one body
SERVER_ERROR = 500
PATIENCE = 2.0  # seconds that a service may take to settle


class NotJudgedError(Exception):
    """Something else than recorded happened, so that nothing can be said about what was recorded."""


class DiffersError(Exception):
    """An answer that counts is not as it was recorded."""


class Answer(NamedTuple):
    """One answer of the service, its body unpacked."""

    what: str
    status: int
    headers: list[tuple[str, str]]
    body: bytes


def plain(headers: list[tuple[str, str]], body: bytes) -> bytes:
    """Unpack a body that was sent with gzip or deflate. Raises ValueError for what can't be unpacked."""
    codings = [value.strip().lower() for name, value in headers if name.lower() == "content-encoding"]
    coding = codings[0] if codings else "identity"
    if coding in {"", "identity"} or not body:
        return body
    if coding not in {"gzip", "x-gzip", "deflate"}:
        raise ValueError(f"it is packed with {coding!r}")
    for bits in (47, -15):  # with a header of gzip or zlib; without any
        unpacker = zlib.decompressobj(bits)
        try:
            unpacked = unpacker.decompress(body, MAX_PLAIN)
        except zlib.error:
            continue
        if not unpacker.eof:
            raise ValueError("it is too large or cut short")
        return unpacked
    raise ValueError(f"it is no {coding}")


def take(answer: Answer, kind: str, *path: Any) -> Any:
    """Take a value that the service made out of an answer. Raises NotJudgedError where there is none."""
    value: Any
    try:
        if kind == "json":
            value = json.loads(answer.body)
            for part in path:
                value = value[part]
        elif kind == "cookie":
            pairs = [_cookie(value) for name, value in answer.headers if name.lower() == "set-cookie"]
            value = dict(pairs)[path[0]]
        elif kind == "location":
            value = _in_location(next(v for k, v in answer.headers if k.lower() == "location"), path[0])
        else:
            value = next(v for k, v in answer.headers if k.lower() == path[0])
    except (LookupError, TypeError, ValueError, StopIteration, RecursionError):
        value = None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise NotJudgedError(f"{answer.what} was answered without what later requests need: {kind} {list(path)!a}")
    return value


def _cookie(value: str) -> tuple[str, str]:
    name, _, rest = value.partition("=")
    return name.strip(), rest.partition(";")[0].strip()


def _in_location(value: str, place: int | str) -> str:
    """Return a segment of the path of a URL, by its number from the end, or a value of its query, by its name."""
    parts = urlsplit(value)
    return unquote(parts.path.split("/")[place]) if isinstance(place, int) else dict(parse_qsl(parts.query))[place]


def say(value: Any, how: str) -> str:
    """Write a value so that it fits its place in a request. Raises NotJudgedError for one that fits nowhere."""
    text = str(value)
    if how == "json":
        return json.dumps(value)
    if how == "string":
        return json.dumps(text)[1:-1]
    if how == "url":
        return quote(text, safe="")
    if how == "form":
        return quote_plus(text)
    if not (text.isascii() and text.isprintable()):
        raise NotJudgedError(f"a value that is to be sent holds a character that has no place there: {text!a}")
    return text


def need(answer: Answer, status: int) -> None:
    """Go on only if a request was answered with the recorded status."""
    if answer.status != status:
        raise NotJudgedError(f"{answer.what} was answered with {answer.status}, and with {status} when recorded")


def settle(ask: Callable[[], Answer], status: int, claims: list[Any]) -> Answer:
    """Ask until the answer is as recorded, for some seconds at most; return the last one."""
    deadline = time.monotonic() + PATIENCE
    while True:
        answer = ask()
        try:
            compare(answer, status, claims)
        except (DiffersError, NotJudgedError):
            if time.monotonic() < deadline:
                time.sleep(0.1)
                continue
        return answer


def need_all(answer: Answer, status: int, claims: list[Any]) -> None:
    """Go on only if a request was answered as recorded."""
    try:
        compare(answer, status, claims)
    except DiffersError as difference:
        raise NotJudgedError(str(difference)) from None


def compare(answer: Answer, status: int, claims: list[Any]) -> None:
    """Compare an answer that counts with what was recorded. Raises DiffersError."""
    if answer.status >= SERVER_ERROR > status:
        raise NotJudgedError(f"{answer.what} was answered with {answer.status}, which is another failure than recorded")
    if answer.status != status:
        raise DiffersError(f"{answer.what} is answered with {answer.status}, and with {status} when recorded")
    for kind, path, value in claims:
        if not _holds(answer, kind, path, value):
            place = "".join(f"[{part!a}]" for part in path)
            claim = f"{kind} {place} {str(value)[:200]!a}"
            raise DiffersError(f"{answer.what} is answered otherwise than recorded, which was: {claim}")


def _holds(answer: Answer, kind: str, path: list[Any], value: Any) -> bool:
    if kind == "contains":
        return str(value).encode("latin-1") in answer.body
    if kind == "text":
        return str(value).encode("latin-1") == answer.body
    try:
        found = json.loads(answer.body)
        for part in path:
            found = found[part]
    except (LookupError, TypeError, ValueError, RecursionError):
        return False
    if kind == "length":
        return isinstance(found, list | dict) and len(found) == value
    return isinstance(found, bool) == isinstance(value, bool) and bool(found == value)


def fail(answer: Answer) -> None:
    """Hold that the service failed as recorded: with a status that says that it is at fault. Raises DiffersError."""
    if answer.status < SERVER_ERROR:
        raise DiffersError(f"{answer.what} is answered with {answer.status}, which is no failure of the service")
