"""Gist: what counts of a request when it is held against a recorded one: its method, path and query, and body.

JSON is compared as JSON, gzip without its wrapping, and a form of several parts without the boundary between
them, which clients draw anew each time.
"""

import hashlib
import json
import re
from decimal import Decimal
from functools import cached_property
from typing import TypeAlias
from urllib.parse import urlsplit

from replaykit.coding import unpacked
from replaykit.interaction import Cut, Headers, Request, header
from replaykit.placeholder import Bound, is_covered
from replaykit.value import JsonData

MAX_DEPTH = 200  # of JSON; what is nested deeper is compared as bytes
MAX_SIZE = 2 * 1024 * 1024  # bytes of JSON; what is larger is compared as bytes: no more is kept of what was recorded

Key: TypeAlias = tuple[str, str | bytes]  # two requests with the same one are the same
Mask: TypeAlias = frozenset[str]  # places in a request at which something was covered

_BOUNDARY = re.compile(r'(?i)multipart/[^;]*;(?:.*;)?\s*boundary="?([^";]{1,200})')


class Gist:
    """What counts of a request."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.target = target(request)

    @cached_property
    def body(self) -> bytes:
        """The body without gzip around it and without a boundary of its own."""
        request = self.request
        body = unpacked(request.headers, request.body)
        found = _BOUNDARY.match(header(request.headers, "content-type") or "")
        return body if found is None else body.replace(b"--" + found[1].encode("latin-1", "replace"), b"--boundary")

    @cached_property
    def data(self) -> JsonData:
        """The body as JSON; None where it is none, or too large to be read as such."""
        return json_of(self.request.headers, self.body) if len(self.body) <= MAX_SIZE else None

    @cached_property
    def _sorted(self) -> str:
        """The JSON in the one way in which it is compared; unlike ==, this tells true from 1."""
        return json.dumps(self.data, sort_keys=True)

    def ways(self) -> list[Key]:
        """Return what is the same for all requests that are the same, one for each way of being so."""
        if self.request.cut is not None:
            return [(self.target, f"{self.request.cut.size} {self.request.cut.sha256}")]
        as_bytes = (self.target, self.body)
        return [as_bytes] if self.data is None else [(self.target, self._sorted), as_bytes]

    def ways_of_whole(self) -> list[Key]:
        """Return the keys of recorded requests of whose body, this one, only the beginning was kept."""
        size, digest = len(self.request.body), hashlib.sha256(self.request.body).hexdigest()
        return [(self.target, f"{size} {digest}"), (self.target, f"{size} ")]

    @cached_property
    def is_covered(self) -> bool:
        """Whether something in it may be a placeholder."""
        return is_covered(self.target) or self._is_body_covered

    @cached_property
    def _is_body_covered(self) -> bool:
        return len(self.body) <= MAX_SIZE and is_covered(self.body.decode("latin-1"))

    def fits(self, asked: "Gist", bound: Bound) -> bool:
        """Say whether a request is this one, which was recorded. Placeholders fit what they stand for."""
        if self.target != asked.target:
            covered = is_covered(self.target) or is_covered(asked.target)
            if not (covered and bound.fits_all(self.target.split("&"), asked.target.split("&"))):
                return False
        if self.request.cut is not None:
            return is_whole_of(self.request.cut, asked.request.body)
        if self.request.body == asked.request.body or self.body == asked.body:
            return True
        if self.data is None or asked.data is None:
            covered = self._is_body_covered or asked._is_body_covered  # noqa: SLF001  another one of these
            return covered and bound.fits_all(self.parts(), asked.parts())
        if self._is_body_covered or asked._is_body_covered:  # noqa: SLF001
            return bound.fits_data(self.data, asked.data)
        return self._sorted == asked._sorted  # noqa: SLF001  as above

    def parts(self) -> list[str]:
        """Cut a form into what is compared on its own."""
        text = self.body.decode("latin-1")
        return text.split("--boundary" if text.startswith("--boundary") else "&")

    def leaves(self) -> dict[str, str]:
        """List what may be covered on its own, by its place."""
        path, _, query = self.target.partition("?")
        listed = {f"/{number}": part for number, part in enumerate(path.split("/"))}
        listed |= {f"?{number}": part for number, part in enumerate(query.split("&"))}
        if self.data is None:
            return listed | {f"&{number}": part for number, part in enumerate(self.parts())}
        left: list[tuple[str, JsonData]] = [("$", self.data)]
        while left:
            place, data = left.pop()
            if data and isinstance(data, dict):
                left += [(f"{place}.{key!r}", each) for key, each in data.items()]
            elif data and isinstance(data, list):
                left += [(f"{place}[{number}]", each) for number, each in enumerate(data)]
            else:
                listed[place] = json.dumps(data)
        return listed


def target(request: Request) -> str:
    """Show a request as `POST /players`."""
    parts = urlsplit(request.url)
    return f"{request.method} {parts.path or '/'}{'?' + parts.query if parts.query else ''}"


def is_whole_of(cut: Cut, body: bytes) -> bool:
    """Say whether a body is the one of which only the beginning was kept; without a digest, its size has to do."""
    return len(body) == cut.size and cut.sha256 in {"", hashlib.sha256(body).hexdigest()}


def json_of(headers: Headers, body: bytes, *, exact: bool = False) -> JsonData:
    """Read a body as JSON; None where its type says that it is none, where it is broken, or nested too deep.

    If it is to be `exact`, numbers with a fraction are decimals, so that no digit is lost.
    """
    if "json" not in (header(headers, "content-type") or "json"):
        return None
    try:
        data: JsonData = json.loads(body, parse_float=Decimal, parse_constant=str) if exact else json.loads(body)
    except (ValueError, RecursionError, ArithmeticError):
        return None
    return None if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _is_deep(data) else data


def _is_deep(data: JsonData) -> bool:
    level = [data]
    for _ in range(MAX_DEPTH):
        level = [
            each
            for outer in level
            for each in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
            if isinstance(each, dict | list)
        ]
    return bool(level)
