"""Cassettes: of vcrpy 0 to 9 in YAML or JSON, and of the tools that took the format over.

All have a list of interactions, and differ in what is around it and inside of it:

- vcrpy 1 to 9: `interactions`, header values in lists, `{"body": {"string": ...}}`
- vcrpy 4 to 6 for httpx: `content`, `status_code` and `http_version` in the response
- vcrpy before 1: the list alone, headers as lines, the URL in parts
- vcrpy for aiohttp: what was given as `json=` or `data=` for a body
- VCR for Ruby, betamax: `http_interactions`, `{"body": {"encoding": ..., "string": ...}}`, methods in lower case
"""

import base64
import binascii
import json
import re
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from replaykit import yaml
from replaykit.coding import settled
from replaykit.importing.text import latin, utf8
from replaykit.interaction import Headers, Interaction, Request, Response, header
from replaykit.notation import ascii_json, decode

_BOM = b"\xef\xbb\xbf"
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_FOLD = re.compile(r"\r?\n[ \t]+")
_CONTROL = re.compile(r"[\x00\r\n]")
_VERSION = re.compile(r"(?:HTTP/)?(\d(?:\.\d)?)")
_PARTS = {"protocol", "host", "port", "path"}
_BODY_KEYS = {"string", "base64_string", "encoding"}


def read(content: bytes) -> list[Interaction]:
    """Read a cassette. Raises ValueError in words that can stand after the file's name."""
    data = _document(content.removeprefix(_BOM))
    if isinstance(data, list):
        items: Any = data
    elif isinstance(data, dict):
        items = data.get("interactions", data.get("http_interactions", ...))
        if items is ...:
            raise ValueError("this is no cassette: it has no interactions")
    else:
        raise ValueError("this is no cassette")  # noqa: TRY004  whoever reads has one error to catch
    if not isinstance(items, list | None):
        raise ValueError("its interactions are no list")  # noqa: TRY004
    return [_interaction(each, number) for number, each in enumerate(items or [], 1)]


def _document(content: bytes) -> yaml.YamlData:
    if not content.lstrip().startswith((b"{", b"[")):
        return yaml.load(content)
    try:
        held = decode(b'{"whole":%s}' % ascii_json(content))
    except UnicodeDecodeError as error:
        raise ValueError(f"this is no text ({error.reason})") from None
    if len(held) > 1:
        raise ValueError("this is no JSON (there is something after its end)")
    return held["whole"]


def _interaction(item: Any, number: int) -> Interaction:
    try:
        data = _mapping(item, "it")
        request, response = _mapping(data.get("request"), "request"), _mapping(data.get("response"), "response")
        return Interaction(request=_request(request), response=_response(response))
    except ValueError as error:
        raise ValueError(f"interaction {number}: {error}") from None


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} is no mapping")  # noqa: TRY004
    return value


def _request(data: dict[str, Any]) -> Request:
    method = data.get("method")
    if not isinstance(method, str) or not _METHOD.fullmatch(method):
        raise ValueError(f"the method is {_shown(method)}")
    headers = _headers(data.get("headers"))
    return Request(
        method=method.upper() if method.islower() else method,
        url=_url(_joined(data) if data.keys() >= _PARTS else data.get("uri", data.get("url"))),
        headers=headers,
        body=_body(data.get("body"), header(headers, "content-type")),
    )


def _response(data: dict[str, Any]) -> Response:
    status = data.get("status", {})
    if isinstance(status, dict):
        code, reason = status.get("code", data.get("status_code")), status.get("message")
    else:
        code, reason = status, None
    if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) <= 3:  # noqa: PLR2004
        code = int(code)
    if not isinstance(code, int) or isinstance(code, bool) or not 100 <= code <= 999:  # noqa: PLR2004
        raise ValueError(f"the status is {_shown(code)}")
    headers = _headers(data.get("headers"))
    body = _body(data["content"] if "content" in data else data.get("body"), None)
    version = _VERSION.fullmatch(str(data.get("http_version") or ""))
    headers, body = settled(headers, body)
    return Response(
        status=code,
        reason=_latin(_text(reason)),
        version=f"HTTP/{version[1]}" if version else "HTTP/1.1",
        headers=headers,
        body=body,
    )


def _joined(data: dict[str, Any]) -> str:
    """Put the parts of a URL together, as cassettes before version 1 have them."""
    scheme, port = _text(data["protocol"]), _text(data["port"])
    usual = {"http": "80", "https": "443"}.get(scheme)
    return f"{scheme}://{_text(data['host'])}{'' if port == usual else f':{port}'}{_text(data['path'])}"


def _url(value: Any) -> str:
    """Return a URL without user and password in it."""
    text = _latin(value) if isinstance(value, str) else ""
    try:
        parts = urlsplit(text)
        known = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        known = False
    if not known:
        raise ValueError(f"{_shown(value)} is no URL of HTTP")
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else text


# --- headers ------------------------------------------------------------------------------------


def _headers(value: Any) -> Headers:
    """Read headers: a mapping of names to values or lists of values, a list of pairs, or a list of lines."""
    if value is None:
        return ()
    pairs: list[tuple[str, str]] = []
    if isinstance(value, dict):
        for name, given in value.items():
            pairs += [(name, _text(each)) for each in (given if isinstance(given, list) else [given])]
    elif isinstance(value, list):
        for each in value:
            if isinstance(each, str) and ":" in each:
                name, _, said = each.partition(":")
                pairs.append((name, said))
            elif isinstance(each, list) and len(each) == 2 and isinstance(each[0], str):  # noqa: PLR2004
                pairs.append((each[0], _text(each[1])))
            else:
                raise ValueError(f"{_shown(each)} is no header")
    else:
        raise ValueError(f"the headers are {_shown(value)}")  # noqa: TRY004
    return tuple((_latin(name.strip()), _latin(said)) for name, said in pairs)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value).lower()
    if not isinstance(value, str | int | float):
        raise ValueError(f"{_shown(value)} is no text")  # noqa: TRY004
    return str(value)


def _latin(text: str) -> str:
    """Return text of a header as Latin-1 reads its bytes; a line that was folded is one line."""
    text = _FOLD.sub(" ", text.strip())
    if _CONTROL.search(text):
        raise ValueError(f"{_shown(text)} has a line break or a NUL in it")
    return latin(text)


# --- bodies -------------------------------------------------------------------------------------


def _body(value: Any, kind: str | None) -> bytes:
    """Return a body; one that was given to the client as data is written as the client would."""
    if isinstance(value, dict) and value.keys() <= _BODY_KEYS:
        if "base64_string" in value:
            try:
                return base64.b64decode(_text(value["base64_string"]))
            except (binascii.Error, ValueError):
                raise ValueError("a body is no base64") from None
        value = value.get("string")
    if value is None:
        return b""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return utf8(value)
    if isinstance(value, dict) and kind is not None and "form" in kind:
        return urlencode({name: _text(each) for name, each in value.items()}).encode("ascii")
    try:
        return json.dumps(value).encode("ascii")
    except TypeError:
        raise ValueError("a body is neither text nor data") from None


def _shown(value: Any) -> str:
    """Show a value that can't be, not at its full length."""
    text = repr(value) if not isinstance(value, dict | list) else type(value).__name__
    return text if len(text) <= 80 else f"{text[:80]}..."  # noqa: PLR2004
