"""Canonical: the form of a bundle that is the same whenever the same bug is saved again.

What differs from one saving to the next and says nothing of the bug is left out, or has a fixed value: when it was,
how long it took, ids of requests, the free port that the service was started on. What an offline replay judges stays:
the moments of calls in branches, and, where something was too slow, how long it took.
"""

import ipaddress
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from replaykit.errors import BundleError, CorruptBundleError
from replaykit.lines import Line, Lines, bundled
from replaykit.upgrade import present
from replaykit.value import JsonData

DATE = "Thu, 01 Jan 1970 00:00:00 GMT"
LATER = "Fri, 31 Dec 9999 23:59:59 GMT"  # when a cookie ends
NUMBER = "0"
FREE_PORT = 32768  # from here on, a port may be one that the system chose
LAST_PORT = 65535  # stands for the first free port; its neighbours below for others

_DATES = {"date", "expires", "last-modified", "if-modified-since", "if-unmodified-since", "x-date"}
_NUMBERS = {
    "age", "server-timing", "x-process-time", "x-request-start", "x-response-time", "x-runtime", "x-timer",
    "x-envoy-upstream-service-time",
}  # fmt: skip
_IDS = {
    "cf-ray", "fly-request-id", "ot-tracer-spanid", "ot-tracer-traceid", "request-context", "request-id",
    "sentry-trace", "traceparent", "tracestate", "uber-trace-id", "x-amz-cf-id", "x-amz-id-2", "x-amz-request-id",
    "x-amzn-requestid", "x-amzn-trace-id", "x-b3-parentspanid", "x-b3-spanid", "x-b3-traceid", "x-cloud-trace-context",
    "x-correlation-id", "x-github-request-id", "x-ms-request-id", "x-request-id", "x-requestid", "x-trace-id",
    "x-vercel-id",
}  # fmt: skip
_A_DATE = re.compile(r"[A-Z][a-z]{2,8}, \d\d[ -][A-Z][a-z]{2}[ -](\d{2,4}) \d\d:\d\d:\d\d( GMT| UTC|)")
_ENDS = re.compile(r"(?i)(expires=)([^;]*)")
_LONG_AGO = 2000  # a year; a cookie that ended before it is taken away, and stays so


def canonical(content: bytes, name: str = "The bundle", services: Collection[str] | None = None) -> bytes:
    """Return a bundle in its canonical form. Raises BundleError.

    `services` are the URLs that had a free port; where nobody says, it is each one of this machine whose port the
    system may have chosen. Records and keys that are not known stay as they are.
    """
    timed = any(line.kind == "failure" and line.data.get("kind") == "latency" for line in present(content, name))
    ports = _Ports(_urls(present(content, name)) if services is None else services)
    return bundled((ports.moved(_settled(line, timed=timed), name) for line in present(content, name)), name)


def is_same_bug(before: bytes, after: bytes) -> bool:
    """Say whether two bundles are whole and canonical, and differ at most in the revision that they were seen at."""
    one, other = _without_revision(before), _without_revision(after)
    return one is not None and one == other


def _without_revision(content: bytes) -> list[Line] | None:
    scanned = Lines(content)
    try:
        first, *rest, end = scanned
    except (BundleError, ValueError):
        return None
    if not scanned.whole or first.data.get("canonical") is not True:
        return None
    known = {key: value for key, value in first.data.items() if key != "revision"}
    return [first._replace(data=known), *rest, end._replace(data={**end.data, "sha256": ""})]


def _settled(line: Line, *, timed: bool) -> Line:
    """Leave out of a line what differs from one saving to the next."""
    data = dict(line.data)
    if line.is_item:
        for each in ("request", "response"):
            data[each] = _with_headers(data.get(each))
        data["replaykit"] = ours = dict(data["replaykit"]) if isinstance(data.get("replaykit"), dict) else {}
        for each in ("request_headers", "response_headers"):
            if each in ours:
                ours[each] = _headers(ours[each])
        if not timed:
            ours.pop("elapsed", None)
    elif line.kind == "net":
        data |= {each: _with_headers(data[each]) for each in ("request", "response") if each in data}
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


def _with_headers(message: JsonData) -> JsonData:
    if not isinstance(message, dict) or "headers" not in message:
        return message
    return {**message, "headers": _headers(message["headers"])}


def _headers(headers: JsonData) -> JsonData:
    """Give headers that differ each time a fixed value; they may be grouped by name, or pairs."""
    if isinstance(headers, dict):
        return {
            name: [_value(name, each) for each in values] if isinstance(values, list) else _value(name, values)
            for name, values in headers.items()
        }
    if isinstance(headers, list):
        return [[each[0], _value(*each)] if _is_pair(each) else each for each in headers]
    return headers


def _is_pair(value: JsonData) -> bool:
    return isinstance(value, list) and [type(each) for each in value] == [str, str]


def _value(name: str, value: JsonData) -> JsonData:
    known = name.lower()
    if not isinstance(value, str):
        return value
    if known in _DATES:
        return DATE if _A_DATE.fullmatch(value) else value
    if known in _NUMBERS:
        return NUMBER if value else value
    if known in _IDS:
        return NUMBER if value else value
    if known == "set-cookie":
        return _ENDS.sub(_later, value)
    return value


def _later(found: re.Match[str]) -> str:
    date = _A_DATE.fullmatch(found[2].strip())
    if date is None:
        return found[0]
    year = int(date[1]) + (0 if len(date[1]) > 2 else 1900 if int(date[1]) >= 70 else 2000)  # noqa: PLR2004  RFC 6265
    return found[0] if year < _LONG_AGO else found[1] + LATER


# --- free ports ---------------------------------------------------------------------------------


def _urls(lines: Iterable[Line]) -> Iterator[str]:
    """List the URLs of a bundle that speak of this machine and a port that the system may have chosen."""
    for line in lines:
        request = line.data.get("request")
        url = request.get("uri") if isinstance(request, dict) else line.data.get("url") if line.number == 2 else None  # noqa: PLR2004
        if isinstance(url, str) and (_port(url) or 0) >= FREE_PORT and _is_loopback(url):
            yield url


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

    def __init__(self, urls: Collection[str] | Iterator[str]) -> None:
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
            raise CorruptBundleError(f"{name}, line {line.number}: it is nested too deep.") from None
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
