"""HAR archives: of browsers, proxies and API clients, which all write HAR 1.2 a little differently.

What they have in common is little, so most may be missing. What is done about the rest:

- a body is text that was unpacked: a Content-Encoding is left out, and the Content-Length is made true;
- several values of one header in one, with line breaks between them (Chromium), become several headers;
- pseudo headers of HTTP/2 (`:path`) are left out;
- a status of 0 or -1 (Playwright) is a request without an answer (`_error`, `_failureText`);
- a body that was there and is not in the archive makes the answer incomplete;
- entries that are not HTTP (`data:`, `ws:`), or open a tunnel (CONNECT), are left out.

In an archive that replaykit exported, what HAR has no room for stands under `_replaykit`.
"""

import base64
import binascii
import math
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from replaykit.bundle import MAX_LINES, MAX_SECONDS
from replaykit.importing.text import latin, utf8
from replaykit.interaction import STATUSES, Cut, Headers, Interaction, Request, Response, Trouble, as_over
from replaykit.notation import ascii_json, decode

_BOM = b"\xef\xbb\xbf"
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,1000}")
_OUR_NAME = re.compile(r"[ -~\x80-\xff]{0,1000}")  # a service may say what is no name, and it was kept
_DIGEST = re.compile(r"([0-9a-f]{64})?")  # empty where something in the body was covered
_PLAIN_WORD = re.compile(r"[a-z]{0,20}")  # what a fault did
_LARGEST = 2**53  # bytes of a body
_VERSION = re.compile(r"(?:HTTP/|h)(\d(?:\.\d)?)", re.IGNORECASE)
_CHARSET = re.compile(r";\s*charset\s*=\s*[\"']?([A-Za-z0-9_-]+)", re.IGNORECASE)
_CHARSETS = {"utf-8", "us-ascii", "iso-8859-1", "windows-1252"}
_FRAMING = {"content-encoding", "content-length", "transfer-encoding"}

# What browsers and ours call what went wrong, in httpx's words.
_TROUBLES = (
    (re.compile(r"^(ConnectError|ConnectTimeout|ReadError|ReadTimeout|WriteError|WriteTimeout|PoolTimeout)\b"), ""),
    (re.compile(r"^(RemoteProtocolError|LocalProtocolError|ProxyError|UnsupportedProtocol|CloseError)\b"), ""),
    (re.compile(r"CONNECTION_TIMED_OUT|NET_TIMEOUT", re.IGNORECASE), "ConnectTimeout"),
    (
        re.compile(r"REFUSED|NAME_NOT_RESOLVED|UNKNOWN_HOST|DISCONNECTED|UNREACHABLE|_SSL_|CERT", re.IGNORECASE),
        "ConnectError",
    ),
    (re.compile(r"TIMED_?OUT|TIMEOUT", re.IGNORECASE), "ReadTimeout"),
    (
        re.compile(r"EMPTY_RESPONSE|INVALID_HTTP|INCOMPLETE|CONTENT_LENGTH|CHUNKED", re.IGNORECASE),
        "RemoteProtocolError",
    ),
)


def read(content: bytes) -> list[Interaction]:
    """Read an archive. Raises ValueError in words that can stand after the file's name."""
    try:
        [(_, whole)] = decode(b'{"whole":%s}' % ascii_json(content.removeprefix(_BOM))).items()
    except UnicodeDecodeError as error:
        raise ValueError(f"this is no text ({error.reason})") from None
    log = _object(_object(whole, "the file").get("log"), "its log")
    if not re.match(r"(1(\.|\Z)|\Z)", version := _text(log.get("version"), "its version")):
        raise ValueError(f"it is HAR {_shown(version)}, and 1.1 and 1.2 can be read")
    entries = log.get("entries")
    if not isinstance(entries, list):
        raise ValueError("its entries are no list")  # noqa: TRY004  whoever reads has one error to catch
    found: list[tuple[datetime | None, Interaction]] = []
    for number, entry in enumerate(entries, 1):
        try:
            one = _object(entry, "it")
            if one.get("_replaykit") or _is_http(_object(one.get("request"), "its request")):
                found.append((_time(one.get("startedDateTime")), _interaction(one)))
        except ValueError as error:
            raise ValueError(f"entry {number}: {error}") from None
    if all(began is not None for began, _ in found):
        found.sort(key=lambda each: each[0] or datetime.min.replace(tzinfo=UTC))
    return as_over(interaction for _, interaction in found)


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} is no object")  # noqa: TRY004
    return value


def _list(value: Any, what: str) -> list[dict[str, Any]]:
    if not isinstance(value, list | None):
        raise ValueError(f"{what} are no list")  # noqa: TRY004
    return [_object(each, f"one of {what}") for each in value or []]


def _text(value: Any, what: str) -> str:
    """Return a text; nothing for None, and numbers as they are written."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{what} is {_shown(value)}")  # noqa: TRY004
    return str(value)


def _shown(value: Any) -> str:
    return ascii(value)[:80]


def _is_http(request: dict[str, Any]) -> bool:
    """Say whether an entry is a request that can be sent again: others are a page's own data, or no HTTP."""
    url = _text(request.get("url"), "its URL").lower()
    return url.startswith(("http:", "https:")) and _text(request.get("method"), "its method").upper() != "CONNECT"


def _time(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(_text(value, "its time"))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _interaction(entry: dict[str, Any]) -> Interaction:
    ours = _object(entry.get("_replaykit", {}), "_replaykit")
    request = _request(_object(entry.get("request"), "its request"), ours)
    response, trouble = _response(_object(entry.get("response"), "its response"), ours)
    before = _count(ours, "before", MAX_LINES)
    tampered = _text(ours.get("tampered", ""), "what a fault did to it")
    if not _PLAIN_WORD.fullmatch(tampered):
        raise ValueError(f"what a fault did to it is {_shown(tampered)}")
    return Interaction(
        request=request,
        response=response,
        trouble=trouble,
        elapsed=_elapsed(entry),
        before=before,
        tampered=tampered,
    )


def _count(data: dict[str, Any], key: str, most: int) -> int:
    value = data.get(key, 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError(f"its {key} is {_shown(value)}")
    return value


def _cut(ours: dict[str, Any], key: str) -> Cut | None:
    """Return what is known of a body of which only the beginning is there."""
    if key not in ours:
        return None
    known = _object(ours[key], f"its {key}")
    digest = _text(known.get("sha256"), "its digest")
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"its {key} has the digest {_shown(digest)}")
    return Cut(size=_count(known, "size", _LARGEST), sha256=digest)


def _elapsed(entry: dict[str, Any]) -> float:
    time = entry.get("time")
    if isinstance(time, bool) or not isinstance(time, int | float) or not math.isfinite(time):
        return 0.0
    return min(max(time / 1000, 0.0), MAX_SECONDS)


def _request(data: dict[str, Any], ours: dict[str, Any]) -> Request:
    method = _text(data.get("method"), "its method")
    if not _METHOD.fullmatch(method):
        raise ValueError(f"its method is {_shown(method)}")
    posted = _object(data.get("postData") or {}, "its postData")
    if "request_body" in ours:
        body = _base64(ours["request_body"])
    elif posted.get("text"):
        body = _bytes(
            _text(posted["text"], "its body"), _text(posted.get("mimeType"), "its type"), posted.get("encoding")
        )
    else:
        params = [
            (_text(each.get("name"), "a name"), _text(each.get("value"), "a value"))
            for each in _list(posted.get("params"), "params")
        ]
        body = urlencode(params).encode("ascii")
    url, headers = _url(_text(data.get("url"), "its URL")), _headers(data.get("headers"), ours)
    return Request(method=method, url=url, headers=headers, body=body, cut=_cut(ours, "request_cut"))


def _url(url: str) -> str:
    """Return a URL in ASCII, without user, password and fragment."""
    url = re.sub(r"[^!-~]", lambda found: "".join(f"%{byte:02X}" for byte in utf8(found[0])), url)
    try:
        parts = urlsplit(url)
        known = bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        known = False
    if not known:
        raise ValueError(f"{_shown(url)} is no URL of HTTP")
    if "@" not in parts.netloc and not parts.fragment and parts.scheme == url[: len(parts.scheme)]:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))


def _response(data: dict[str, Any], ours: dict[str, Any]) -> tuple[Response | None, Trouble | None]:
    trouble = _trouble(data, ours)
    status = data.get("status")
    if isinstance(status, float) and status.is_integer():
        status = int(status)
    if isinstance(status, bool) or not isinstance(status, int | None) or status not in {None, 0, -1, *STATUSES}:
        raise ValueError(f"its status is {_shown(status)}")
    if not status or status < 0:
        return None, trouble or Trouble(error="ReadError", message="it was not answered")
    content = _object(data.get("content") or {}, "its content")
    headers = _headers(data.get("headers"), ours)
    size, text = content.get("size"), _text(content.get("text"), "its body")
    is_there = bool(text) or not isinstance(size, int | float) or size <= 0
    if "wire" in ours:
        body = _base64(ours["wire"])
    else:
        body = _bytes(text, _text(content.get("mimeType"), "its type"), content.get("encoding"))
        if is_there and not ours:
            headers = _true(headers, body)
    version = _VERSION.match(_text(data.get("httpVersion"), "its version"))
    response = Response(
        status=status,
        reason=_latin(_text(data.get("statusText"), "its reason")),
        version=f"HTTP/{version[1]}" if version else "HTTP/1.1",
        headers=headers,
        body=body,
        complete=is_there and ours.get("complete") is not False,
        cut=_cut(ours, "response_cut"),
    )
    return response, trouble if "trouble" in ours else None


def _trouble(data: dict[str, Any], ours: dict[str, Any]) -> Trouble | None:
    known = ours.get("trouble")
    if known is not None:
        known = _object(known, "its trouble")
        return Trouble(error=_text(known.get("error"), "its error"), message=_text(known.get("message"), "its message"))
    told = _text(data.get("_error") or data.get("_failureText"), "its error")
    if not told:
        return None
    for pattern, error in _TROUBLES:
        if found := pattern.search(told):
            return Trouble(error=error or found[1], message=told)
    return Trouble(error="ReadError", message=told)


def _headers(value: Any, ours: dict[str, Any]) -> Headers:
    pairs: list[tuple[str, str]] = []
    for each in _list(value, "its headers"):
        name = _text(each.get("name"), "the name of a header")
        if name.startswith(":") and not ours:
            continue
        if not (_OUR_NAME if ours else _NAME).fullmatch(name):
            raise ValueError(f"a header has the name {_shown(name)}")
        said = _text(each.get("value"), "the value of a header")
        pairs += [(name, _latin(line.strip("\r"))) for line in said.split("\n")]
    return tuple(pairs)


def _latin(text: str) -> str:
    """Return text of a header as Latin-1 reads its bytes."""
    if re.search(r"[\x00\r\n]", text):
        raise ValueError(f"{_shown(text)} has a line break or a NUL in it")
    return latin(text)


def _true(headers: Headers, body: bytes) -> Headers:
    """Say of a body that was unpacked what is true of it."""
    names = {name.lower() for name, _ in headers}
    if "content-encoding" not in names and "transfer-encoding" not in names:
        length = next((value for name, value in headers if name.lower() == "content-length"), None)
        if length is None or length == str(len(body)) or not body:  # it is true, or the answer to HEAD
            return headers
    kept = tuple((name, value) for name, value in headers if name.lower() not in _FRAMING)
    return (*kept, ("Content-Length", str(len(body)))) if body else kept


def _bytes(text: str, kind: str, encoding: Any) -> bytes:
    if encoding == "base64":
        return _base64(text)
    found = _CHARSET.search(kind)
    charset = found[1].lower() if found and found[1].lower() in _CHARSETS else "utf-8"
    try:
        return text.encode(charset)
    except UnicodeEncodeError:
        return utf8(text)


def _base64(text: Any) -> bytes:
    try:
        return base64.b64decode(re.sub(r"\s", "", _text(text, "a body")), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a body is no base64") from None
