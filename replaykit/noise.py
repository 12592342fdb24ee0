"""Noise: headers whose values differ each time and say nothing of a bug, and what stands for them; see `canonical`.

A value says something where it stands anywhere else in the bundle too: in a request, an event, a body. Then it stays,
which costs nothing, since such a bundle differs each time anyway. Equal ids stay equal, different ones stay different.
So do the dates that are a version of something, and the later one stays the later one; when an answer was made is
chance, and has one fixed value.
"""

import base64
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime, mktime_tz, parsedate_tz
from urllib.parse import unquote

from replaykit.value import JsonData

DATE = "Thu, 01 Jan 1970 00:00:00 GMT"
LATER = "Fri, 31 Dec 9999 23:59:59 GMT"  # when a cookie ends
NUMBER = "0"
LONG_AGO = 946684800  # 2000-01-01; what ended before it ended always, and what is dated so stays
VERSIONS = 915148800  # 1999-01-01: from here on, one second after the other, dates of versions

_MOMENTS = {"date", "x-date", "expires"}
_VERSIONS = {"if-modified-since", "if-unmodified-since", "last-modified"}
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
_A_DATE = re.compile(r"[A-Z][a-z]{2,8}, \d\d[ -][A-Z][a-z]{2}[ -]\d{2,4} \d\d:\d\d:\d\d(?: GMT| UTC|)")
_ENDS = re.compile(r"(?i)(expires=)([^;]*)")
_SAID = re.compile(  # moments, as texts may say them
    rf"(?P<http>{_A_DATE.pattern})|(?P<iso>\d{{4}}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)"
    r"|(?<!\d)(?P<epoch>[1-9]\d{9})(?:\d{3})?(?!\d)"
)
_RUN = re.compile(r"[0-9A-Za-z]+")
_WORD = re.compile(r"[^\s/?&=#;,\"'<>()\[\]{}]+")
_TELLING = 6  # letters and digits in a row, by which a part of an id is known again


class Noise:
    """The noise of one bundle: first `meet` every header, then `look` at all that is left, then ask for `stand_in`."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}  # what stands for each, in the order in which they are met
        self._marks: dict[str, None] = {}  # what ids and numbers are known by
        self._moments: set[int] = set()
        self._versions: set[int] = set()
        self._ranks: dict[int, int] = {}  # of versions, from the earliest
        self._seen: set[str] = set()  # marks that stand elsewhere too
        self._dated = False  # does one of the dates stand elsewhere too?

    def meet(self, name: str, value: str) -> str:
        """Know a header."""
        known = name.lower()
        if known in _IDS and value:
            self._ids.setdefault(value, f"ID.{len(self._ids) + 1}")
        if known in _IDS | _NUMBERS:
            self._marks |= dict.fromkeys(_marks_of(value, known))
        for text in _dates_in(known, value):
            moment = moment_of(text)
            if moment is not None and moment >= LONG_AGO and text != LATER:
                self._moments.add(moment)
                if known in _VERSIONS:
                    self._versions.add(moment)
        return value

    def silence(self, name: str, value: str) -> str:
        """Return a header without its noise, so that what is left can be looked at."""
        known = name.lower()
        if known in _IDS | _NUMBERS | _MOMENTS | _VERSIONS:
            return ""
        return _ENDS.sub("", value) if known == "set-cookie" else value

    def look(self, value: JsonData) -> None:
        """Find what stands in data that is no noise."""
        for text in _texts(value):
            if self._marks:
                for pattern in (_RUN, _WORD):
                    self._seen.update(self._marks.keys() & set(pattern.findall(text)))
            if self._moments and not self._dated:
                self._dated = any(_said(found) in self._moments for found in _SAID.finditer(text))

    def stand_in(self, name: str, value: str) -> str:
        """Return what stands for a header's value in the canonical form."""
        known = name.lower()
        if known in _IDS | _NUMBERS:
            if not value or not self._seen.isdisjoint(_marks_of(value, known)):
                return value
            return NUMBER if known in _NUMBERS else self._ids[value]
        if self._dated:
            return value
        if known == "set-cookie":
            return _ENDS.sub(_later, value)
        if known not in _MOMENTS | _VERSIONS or not _A_DATE.fullmatch(value):
            return value
        moment = moment_of(value)
        if moment is None or (moment < LONG_AGO and known not in {"date", "x-date"}):
            return value
        return self._version(moment) if known in _VERSIONS else DATE

    def _version(self, moment: int) -> str:
        if not self._ranks:
            self._ranks = {each: rank for rank, each in enumerate(sorted(self._versions))}
        return format_datetime(datetime.fromtimestamp(VERSIONS + self._ranks[moment], UTC), usegmt=True)


def _marks_of(value: str, name: str) -> list[str]:
    """List what an id or a number is known by where it stands elsewhere, as a whole or in part."""
    runs = [run for run in _RUN.findall(value) if len(run) >= _TELLING and any(map(str.isdigit, run))]
    return runs or ([] if name in _NUMBERS else [value.strip()])


def _dates_in(name: str, value: str) -> list[str]:
    if name == "set-cookie":
        return [found[2].strip() for found in _ENDS.finditer(value) if _A_DATE.fullmatch(found[2].strip())]
    return [value] if name in _MOMENTS | _VERSIONS and _A_DATE.fullmatch(value) else []


def _later(found: re.Match[str]) -> str:
    text = found[2].strip()
    moment = moment_of(text) if _A_DATE.fullmatch(text) else None
    return found[0] if moment is None or moment < LONG_AGO else found[1] + LATER


def moment_of(text: str) -> int | None:
    """Return the second that a date of HTTP means."""
    parts = parsedate_tz(text)
    try:
        return None if parts is None else mktime_tz(parts)
    except (ValueError, OverflowError):
        return None


def _said(found: re.Match[str]) -> int | None:
    if found["http"] is not None:
        return moment_of(found["http"])
    if found["epoch"] is not None:
        return int(found["epoch"])
    try:
        return int(datetime.fromisoformat(found["iso"]).replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None


def text_of(coded: JsonData) -> JsonData:
    """Return the bytes that base64 stands for, as a text; what is none stays."""
    try:
        return base64.b64decode(coded, validate=True).decode("latin-1") if isinstance(coded, str) else coded
    except ValueError:
        return coded


def _texts(value: JsonData) -> Iterator[str]:
    """Give all texts and numbers in data; of URLs and forms, also what their escapes mean."""
    if isinstance(value, str):
        yield value
        if "%" in value:
            yield unquote(value)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from _texts(text_of(each) if key == "!!binary" else each)
    elif isinstance(value, int | float):
        yield str(value)
