"""A HAR 1.2 archive: what developer tools, proxies and API clients read.

HAR has bodies as text, unpacked, where a bundle has them as they were on the wire. So what HAR has no room for stands
beside it under `_replaykit`, as the specification allows: `replaykit import` reads an archive of ours back as it was.

A canonical bundle has no times; then the archive begins at EPOCH, and one request follows the other.
"""

import base64
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from replaykit.bundle import Bundle
from replaykit.export import judge
from replaykit.interaction import Headers, Interaction, Request, Response, header, in_order
from replaykit.report import faults
from replaykit.trace import Trace
from replaykit.version import __version__

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
CHARSETS = ("utf-8", "us-ascii", "iso-8859-1", "windows-1252")


def render(bundle: Bundle) -> str:
    """Return the archive."""
    trace, failure = bundle.trace, bundle.trace.failure
    log: dict[str, Any] = {
        "version": "1.2",
        "creator": {"name": "replaykit", "version": __version__},
        "pages": [],
        "entries": list(_entries(trace, _beginning(bundle.origin.recorded))),
    }
    comments = [] if failure is None else [f"{failure.title}: {failure.message}"]
    began = [step.call for step in trace.steps if faults.is_fault(step)]
    comments += [f"a fault was put in, which no archive can do: [{each.label}] {faults.told(each)}" for each in began]
    if comments:
        log["comment"] = "\n".join(comments)
    return json.dumps({"log": log}, indent=1) + "\n"


def _beginning(recorded: str | None) -> datetime:
    try:
        found = datetime.fromisoformat(recorded or "")
        return (found if found.tzinfo else found.replace(tzinfo=UTC)) + timedelta()
    except (ValueError, OverflowError):
        return EPOCH


def _entries(trace: Trace, began: datetime) -> Iterator[dict[str, Any]]:
    over, overtaken = began, 0  # when all so far are over, and by how many more they are overtaken
    for place, interaction in in_order((each, each[1].before) for each in _placed(trace)):
        yield _entry(place, interaction, began)
        with suppress(OverflowError):
            over = max(over, began + timedelta(seconds=interaction.elapsed))
        overtaken = max(overtaken - 1, interaction.before)
        if not overtaken:
            began = over


def _placed(trace: Trace) -> Iterator[tuple[str, Interaction]]:
    """List all interactions in the order in which they were over, with what they belong to."""
    yield from (("reset", each) for each in trace.resetting)
    names = faults.names_in(trace)
    for step in trace.steps:
        under = f", {faults.under(step, names)}" if step.faults else ""
        place = f"step {step.call.label}: {step.call.tag}{under}"
        yield from ((place, each) for each in step.interactions)
        yield from ((f"read after step {step.call.label}", each) for each in step.observing)
    yield from (("read at the end", each) for each in trace.closing)
    yield from (("", each) for each in trace.recorded)


def _entry(place: str, interaction: Interaction, began: datetime) -> dict[str, Any]:
    milliseconds = round(interaction.elapsed * 1000, 3)
    ours: dict[str, Any] = {"exact": True}  # headers are true of the body on the wire
    entry = {
        "startedDateTime": began.isoformat(timespec="milliseconds"),
        "time": milliseconds,
        "request": _request(interaction.request, ours),
        "response": _response(interaction, ours),
        "cache": {},
        "timings": {"send": 0, "wait": milliseconds, "receive": 0},
        "_replaykit": ours,
    }
    if interaction.before:
        ours["before"] = interaction.before
    response = interaction.response
    cuts = {"request_cut": interaction.request.cut, "response_cut": response.cut if response else None}
    ours |= {key: cut.model_dump(mode="json") for key, cut in cuts.items() if cut is not None}
    if interaction.tampered:
        ours["tampered"] = interaction.tampered
    if interaction.trouble is not None:
        ours["trouble"] = {"error": interaction.trouble.error, "message": interaction.trouble.message}
    if place:
        entry["comment"] = place
    return entry


def _request(request: Request, ours: dict[str, Any]) -> dict[str, Any]:
    parts = urlsplit(request.url)
    said: dict[str, Any] = {
        "method": request.method,
        "url": request.url,
        "httpVersion": "HTTP/1.1",
        "cookies": _cookies(value for name, value in request.headers if name.lower() == "cookie"),
        "headers": _headers(request.headers),
        "queryString": [
            {"name": name, "value": value} for name, value in parse_qsl(parts.query, keep_blank_values=True)
        ],
        "headersSize": -1,
        "bodySize": len(request.body),
    }
    if request.body:
        kind = header(request.headers, "content-type") or ""
        text, codec = _decoded(request.body, kind)
        said["postData"] = {"mimeType": kind, "params": [], "text": text if codec else ""}
        if codec is None:
            said["postData"]["comment"] = f"{len(request.body)} bytes that are no text"
            ours["request_body"] = _base64(request.body)
        elif kind.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
            pairs = parse_qsl(text, keep_blank_values=True)
            said["postData"]["params"] = [{"name": name, "value": value} for name, value in pairs]
    return said


def _response(interaction: Interaction, ours: dict[str, Any]) -> dict[str, Any]:
    response, trouble = interaction.response, interaction.trouble
    told = response or Response(status=0, version="")
    said = {
        "status": told.status,
        "statusText": told.reason,
        "httpVersion": told.version,
        "cookies": _cookies(value for name, value in told.headers if name.lower() == "set-cookie"),
        "headers": _headers(told.headers),
        "content": _content(told, ours),
        "redirectURL": header(told.headers, "location") or "",
        "headersSize": -1,
        "bodySize": len(told.body) if response is not None else -1,
    }
    if trouble is not None:
        said["_error"] = f"{trouble.error}: {trouble.message}"
    if not told.complete:
        ours["complete"] = False
    return said


def _content(response: Response, ours: dict[str, Any]) -> dict[str, Any]:
    kind = header(response.headers, "content-type") or ""
    try:
        body = judge.plain(list(response.headers), response.body)
    except ValueError:
        body = response.body
    content: dict[str, Any] = {"size": len(body), "mimeType": kind or "x-unknown"}
    if header(response.headers, "content-encoding") and response.body:
        ours["wire"] = _base64(response.body)
        content["compression"] = len(body) - len(response.body)
    text, codec = _decoded(body, kind)
    if codec:
        return content | {"text": text}
    return content | {"text": _base64(body), "encoding": "base64"}


def _decoded(body: bytes, kind: str) -> tuple[str, str | None]:
    """Read a body in the charset that its type names, or UTF-8; with no charset where it is no text in it."""
    codec = charset_of(kind)
    try:
        text = body.decode(codec)
        is_same = text.encode(codec) == body
    except UnicodeError:
        return "", None
    return (text, codec) if is_same else ("", None)


def charset_of(kind: str) -> str:
    """Return the charset that a media type names, if it is one of the usual ones, else UTF-8."""
    for parameter in kind.split(";")[1:]:
        name, _, value = parameter.partition("=")
        wanted = value.strip().strip("\"'").lower()
        if name.strip().lower() == "charset" and wanted in CHARSETS:
            return wanted
    return "utf-8"


def _headers(headers: Headers) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in headers]


def _cookies(values: Iterator[str]) -> list[dict[str, Any]]:
    """List cookies with what is known of them; one that can't be read stands in the headers alone."""
    cookies: list[dict[str, Any]] = []
    for value in values:
        try:
            found = SimpleCookie(value)
        except CookieError:
            continue
        for name, morsel in found.items():
            cookie: dict[str, Any] = {"name": name, "value": morsel.value}
            cookie |= {key: morsel[key] for key in ("path", "domain") if morsel[key]}
            cookie |= {said: True for said, key in (("httpOnly", "httponly"), ("secure", "secure")) if morsel[key]}
            cookies.append(cookie)
    return cookies


def _base64(body: bytes) -> str:
    return base64.b64encode(body).decode("ascii")
