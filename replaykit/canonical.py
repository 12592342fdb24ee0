"""Canonical: the form of a bundle that is the same whenever the same bug is saved again.

What differs from one saving to the next and says nothing of the bug is left out, or has a fixed value: when it was,
how long it took, ids of requests, the free port that the service was started on. What an offline replay is known to
judge stays: the moments of calls in branches, where something was too slow, how long it took, and what of the `noise`
stands elsewhere too. An adapter may read more than that, so whoever saves a bug asks first; see `settling`.
"""

import ipaddress
import re
from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from replaykit.bundle import LAST_PORT
from replaykit.errors import BundleError, CorruptBundleError
from replaykit.lines import Line, Lines, bundled
from replaykit.noise import Noise, text_of
from replaykit.upgrade import present
from replaykit.value import JsonData

FREE_PORT = 32768  # from here on, a port may be one that the system chose

Change: TypeAlias = Callable[[str, str], str]  # the name and the value of a header


def canonical(content: bytes, name: str = "The bundle", services: Collection[str] | None = None) -> bytes:
    """Return a bundle in its canonical form. Raises BundleError.

    `services` are the URLs that had a free port; where nobody says, it is each one of this machine whose port the
    system may have chosen. Records and keys that are not known stay as they are.
    """
    noise, urls, timed = Noise(), dict.fromkeys(services or ()), False
    for line in present(content, name):
        timed = timed or (line.kind == "failure" and line.data.get("kind") == "latency")
        _settled(line, noise.meet)
        if services is None:
            urls |= dict.fromkeys(_urls(line))
    for line in present(content, name):
        _look(line, noise, name)
    ports = _Ports(urls)
    lines = (_settled(line, noise.stand_in, timed=timed) for line in present(content, name))
    return bundled((ports.moved(line, name) for line in lines), name)


def _look(line: Line, noise: Noise, name: str) -> None:
    data = _settled(line, noise.silence).data
    try:
        noise.look(data)
        for each in (data.get("request"), data.get("response")):
            if line.kind == "net" and isinstance(each, dict):
                noise.look(text_of(each.get("body")))
    except RecursionError:  # deeper than the reader allows
        raise _too_deep(line, name) from None


def is_same_bug(before: bytes, after: bytes) -> bool:
    """Say whether two bundles are whole and canonical, and differ at most in what has nothing to do with the bug.

    That is the revision that it was seen at, and whether it is known who brought it.
    """
    one, other = _of_the_bug(before), _of_the_bug(after)
    return one is not None and one == other


def _of_the_bug(content: bytes) -> list[Line] | None:
    scanned = Lines(content)
    try:
        first, *rest, end = scanned
    except (BundleError, ValueError):
        return None
    if not scanned.whole or first.data.get("canonical") is not True:
        return None
    known = {key: value for key, value in first.data.items() if key not in {"revision", "culprit"}}
    return [first._replace(data=known), *rest, end._replace(data={**end.data, "sha256": ""})]


def _settled(line: Line, change: Change, *, timed: bool = False) -> Line:
    """Leave out of a line what differs from one saving to the next; `change` says what becomes of a header."""
    data = dict(line.data)
    if line.is_item:
        for each in ("request", "response"):
            data[each] = _with_headers(data.get(each), change)
        data["replaykit"] = ours = dict(data["replaykit"]) if isinstance(data.get("replaykit"), dict) else {}
        for each in ("request_headers", "response_headers"):
            if each in ours:
                ours[each] = _headers(ours[each], change)
        if not timed:
            ours.pop("elapsed", None)
    elif line.kind == "command":
        data.pop("at", None)
    elif line.kind == "net":
        data |= {each: _with_headers(data[each], change) for each in ("request", "response") if each in data}
        if not timed:
            data.pop("elapsed", None)
    elif line.kind == "bundle":
        for each in ("recorded", "dirty"):
            data.pop(each, None)
        data = _marked(data)
        if isinstance(data.get("shrinking"), dict):
            data["shrinking"] = {**data["shrinking"], "seconds": 0.0}
    return line._replace(data=data)


def _marked(data: dict[str, Any]) -> dict[str, Any]:
    """Let the first record say that the bundle is canonical, in the place that the writer has for it."""
    if "canonical" in data or "httpx" not in data:
        return {**data, "canonical": True}
    keys = list(data)
    place = keys.index("httpx") + 1
    return {key: data.get(key, True) for key in (*keys[:place], "canonical", *keys[place:])}


def _with_headers(message: JsonData, change: Change) -> JsonData:
    if not isinstance(message, dict) or "headers" not in message:
        return message
    return {**message, "headers": _headers(message["headers"], change)}


def _headers(headers: JsonData, change: Change) -> JsonData:
    """Change the values of headers; they may be grouped by name, or pairs."""

    def changed(name: str, value: JsonData) -> JsonData:
        return change(name, value) if isinstance(value, str) else value

    if isinstance(headers, dict):
        return {
            name: [changed(name, each) for each in values] if isinstance(values, list) else changed(name, values)
            for name, values in headers.items()
        }
    if isinstance(headers, list):
        return [[each[0], changed(*each)] if _is_pair(each) else each for each in headers]
    return headers


def _is_pair(value: JsonData) -> bool:
    return isinstance(value, list) and [type(each) for each in value] == [str, str]


# --- free ports ---------------------------------------------------------------------------------


def _too_deep(line: Line, name: str) -> CorruptBundleError:
    return CorruptBundleError(f"{name}, line {line.number}: it is nested too deep.")


def _urls(line: Line) -> list[str]:
    """List the URLs in a line that speak of this machine and a port that the system may have chosen."""
    request = line.data.get("request")
    url = request.get("uri") if isinstance(request, dict) else line.data.get("url") if line.number == 2 else None  # noqa: PLR2004
    return [url] if isinstance(url, str) and (_port(url) or 0) >= FREE_PORT and _is_loopback(url) else []


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _port(url: str) -> int | None:
    try:
        return urlsplit(url).port
    except ValueError:
        return None


class _Ports:
    """Puts fixed ports into the place of those that were free: in URLs and headers, and in bodies that are text.

    The digits are as many, so that lengths stay true.
    """

    def __init__(self, urls: Iterable[str]) -> None:
        places: dict[tuple[str, int], None] = {}
        for url in urls:
            port = _port(url)
            if port is not None and len(str(port)) == len(str(LAST_PORT)):
                places[_host(url), port] = None
        self._moved = {port: LAST_PORT - number for number, (_, port) in enumerate(places)}
        hosts = "|".join(sorted({re.escape(host) for host, _ in places}))
        ports = "|".join(str(port) for port in self._moved)
        self._pattern = re.compile(rf"({hosts})(:|%3[Aa])({ports})(?!\d)") if places else None

    def moved(self, line: Line, name: str) -> Line:
        if self._pattern is None:
            return line
        try:
            data: dict[str, Any] = self._walked(line.data)
        except RecursionError:  # deeper than the reader allows
            raise _too_deep(line, name) from None
        return line._replace(data=data)

    def _walked(self, value: JsonData) -> JsonData:
        if isinstance(value, str):
            assert self._pattern is not None  # noqa: S101  asked before
            return self._pattern.sub(lambda found: f"{found[1]}{found[2]}{self._moved[int(found[3])]}", value)
        if isinstance(value, list):
            return [self._walked(each) for each in value]
        if isinstance(value, dict):
            return {key: each if key == "!!binary" else self._walked(each) for key, each in value.items()}
        return value


def _host(url: str) -> str:
    host = urlsplit(url).hostname or ""
    return f"[{host}]" if ":" in host else host
