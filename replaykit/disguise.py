"""Disguises: the forms in which one value can stand in a text.

A text is *wire text* here: each character is one byte, so that headers, URLs and bodies are looked at alike, and what
is no UTF-8 as well.
"""

import base64
import json
import re
from urllib.parse import quote, quote_plus, unquote_to_bytes

SHORTEST = 8  # characters of base64 that are searched for


def wire_text(text: str) -> str:
    """Return text as it is on the wire: UTF-8, each byte a character."""
    return text if text.isascii() else text.encode("utf-8", "surrogatepass").decode("latin-1")


def plain_text(wire: str) -> str:
    """Return what wire text says; where it is no UTF-8, as Latin-1."""
    if wire.isascii():
        return wire
    try:
        return wire.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return wire


# --- forms --------------------------------------------------------------------------------------


def forms(value: str) -> list[str]:
    """List the ways to write a value of wire text: as it is, in URLs, in JSON, as Latin-1; the usual one first."""
    raw = value.encode("latin-1")
    found = [value]
    for safe in ("", "/", "/:@!$&'()*+,;=~-._"):
        escaped = quote(raw, safe=safe)
        found += [escaped, _lower_escapes(escaped)]
    escaped = quote_plus(raw)
    found += [escaped, _lower_escapes(escaped)]
    said = plain_text(value)
    for ascii_only in (True, False):
        written = wire_text(json.dumps(said, ensure_ascii=ascii_only)[1:-1])
        found += [written, written.replace("/", "\\/")]
    if not said.isascii() and said != value:
        found.append(said.encode("latin-1", "ignore").decode("latin-1"))  # in a header of an old service
    return [each for each in dict.fromkeys(found) if each]


def _lower_escapes(text: str) -> str:
    return re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), text)


def base64_forms(value: str) -> list[str]:
    """List how a value looks inside of base64, whatever stands around it: three alignments, both alphabets."""
    raw, found = value.encode("latin-1"), []
    for offset, cut in ((0, 0), (1, 2), (2, 3)):
        end = (offset + len(raw)) * 8 // 6  # what follows has a share in the characters from here on
        inside = base64.b64encode(b"\0" * offset + raw).decode("ascii")[cut:end]
        if len(inside) >= SHORTEST:
            found += [inside, inside.replace("+", "-").replace("/", "_")]
    return list(dict.fromkeys(found))


_RUNS = (re.compile(r"[A-Za-z0-9+/]+={0,2}"), re.compile(r"[A-Za-z0-9_-]+={0,2}"))


def base64_around(text: str, place: int, length: int) -> tuple[int, int, str] | None:
    """Find the base64 around a place: its start, its end, and what it says; None where it can't be read."""
    for pattern in _RUNS:
        start = place
        while start and pattern.fullmatch(text[start - 1]) and text[start - 1] != "=":
            start -= 1
        found = pattern.match(text, start)
        if found is None or found.end() < place + length:
            continue
        raw = found[0].rstrip("=").replace("-", "+").replace("_", "/")
        if len(raw) % 4 == 1:
            continue
        return start, found.end(), base64.b64decode(raw + "=" * (-len(raw) % 4)).decode("latin-1")
    return None


def base64_like(model: str, said: str) -> str:
    """Write wire text in base64, in the alphabet and with the padding of another one."""
    written = base64.b64encode(said.encode("latin-1")).decode("ascii")
    if "-" in model or "_" in model:
        written = written.replace("+", "-").replace("/", "_")
    return written if model.endswith("=") or len(model) % 4 == 0 else written.rstrip("=")


JSON_STRING = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)(?:"|\\?\Z)', re.DOTALL)


def unescaped(raw: str) -> str:
    """Read what stands in a string of JSON, as wire text."""
    if "\\" not in raw:
        return raw
    try:
        read: str = json.loads(f'"{plain_text(raw)}"', strict=False)
    except ValueError:
        return raw
    return wire_text(read)


_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}")
_URL = r"A-Za-z0-9._~+!$'()*,:@/%-"
_URL_RUN = re.compile(rf"(?<![{_URL}])[{_URL}]*?%[0-9A-Fa-f]{{2}}[{_URL}]*+")  # begun once a run, else it is quadratic


def url_runs(text: str) -> "re.Pattern[str] | None":
    """Return the pattern of what is escaped as in a URL; None where nothing is."""
    return _URL_RUN if "%" in text and _ESCAPED.search(text) else None


def unquoted(text: str, *, plus: bool) -> str:
    """Read what is escaped as in a URL, as wire text."""
    return unquote_to_bytes(text.replace("+", " ") if plus else text).decode("latin-1")
