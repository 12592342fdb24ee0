"""Rendition: a recorded answer as it is sent once more, byte for byte, and what becomes of the connection then.

Status, reason, header pairs and body are those of the cassette; a gzip body stays gzip, and no date is made up. Only
what says where the body ends has to be true for the bytes that follow (RFC 9112, section 6): a body that was sent in
chunks is sent as one chunk, a length that is not that of the body is corrected, and an answer of HTTP/2, which needs
none, gets one. What was cut short is cut short again, and where the network failed the connection ends without more.
"""

import re
from typing import NamedTuple

from replaykit.interaction import Headers, Interaction, Response, Trouble

MOST_DELAY = 600.0  # seconds that an answer is held back, however long it took

_BROKEN = re.compile(r"[\r\n\0]")
_TIMEOUTS = {"ReadTimeout", "WriteTimeout", "ConnectTimeout", "PoolTimeout"}
_ORDERLY = {"RemoteProtocolError"}  # errors of connections that were closed in good order, though too early
_WITHOUT_BODY = {204, 304}  # RFC 9112, section 6.3


class Rendition(NamedTuple):
    """What is sent to a client, and what follows it."""

    data: bytes
    keeps: bool = True  # may the connection be used again?
    resets: bool = False  # does it end with a reset, where it ends?
    is_silent: bool = False  # is it left open without a word, for as long as the client stays?
    after: float = 0.0  # seconds before anything is sent


class UnsendableError(ValueError):
    """A recorded answer can't be sent as HTTP/1.1."""


def rendered(interaction: Interaction, *, is_old: bool = False, delays: bool = False) -> Rendition:
    """Return a recorded interaction as it is sent; to a client of HTTP/1.0 if it `is_old`.

    With `delays` it is sent after as much time as it took, and a time-out is one again. Raises UnsendableError.
    """
    trouble, after = interaction.trouble, min(interaction.elapsed, MOST_DELAY) if delays else 0.0
    sent = Rendition(b"", keeps=False)
    if interaction.response is not None:
        sent = answer(interaction.response, interaction.request.method, is_old=is_old)
    if trouble is None:
        return sent._replace(after=after)
    is_silent = delays and trouble.error in _TIMEOUTS
    after = 0.0 if is_silent else after  # it is in the silence that the time went by
    return sent._replace(keeps=False, resets=_is_reset(trouble), is_silent=is_silent, after=after)


def answer(response: Response, method: str, *, is_old: bool = False) -> Rendition:
    """Return an answer to a request with a method as it is sent. Raises UnsendableError."""
    is_one = response.version.startswith("HTTP/1.")
    headers, body, keeps = _framed(response, method, is_old=is_old, is_one=is_one)
    if any(_BROKEN.search(name) or _BROKEN.search(value) for name, value in headers) or _BROKEN.search(response.reason):
        raise UnsendableError("a line of its head breaks off")
    is_kept = response.version != "HTTP/1.0"
    for name, value in headers:
        if name.lower() == "connection":
            wish = {each.strip().lower() for each in value.split(",")}
            is_kept = "close" not in wish and (is_kept or "keep-alive" in wish)
    version = response.version if is_one else "HTTP/1.1"
    head = f"{version} {response.status} {response.reason}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers)
    try:
        return Rendition(f"{head}\r\n".encode("latin-1") + body, keeps=keeps and is_kept)
    except UnicodeEncodeError:
        raise UnsendableError("its head is no Latin-1") from None


def _is_reset(trouble: Trouble) -> bool:
    return trouble.error not in _ORDERLY | _TIMEOUTS


def _framed(response: Response, method: str, *, is_old: bool, is_one: bool) -> tuple[Headers, bytes, bool]:
    """Return headers that are true for the bytes of the body; these bytes; whether the client sees where they end."""
    headers, body, whole = response.headers, response.body, response.complete and response.cut is None
    if method == "HEAD" or response.status in _WITHOUT_BODY:
        return headers, b"", True
    if response.status < 200:  # noqa: PLR2004  not the last word, though the recorded service had no other
        return headers, b"", False
    lengths = {value.strip() for name, value in headers if name.lower() == "content-length"}
    if any(name.lower() == "transfer-encoding" and "chunked" in value.lower() for name, value in headers):
        if is_old:
            return _without(headers, "transfer-encoding"), body, False
        chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        return _without(headers, "content-length"), chunk + (b"0\r\n\r\n" if whole else b""), whole
    if lengths:
        if whole and lengths != {str(len(body))}:
            headers = _with_length(headers, len(body))
        return headers, body, whole
    if whole and not is_one:
        return (*headers, ("content-length", str(len(body)))), body, True
    return headers, body, False


def _without(headers: Headers, dropped: str) -> Headers:
    return tuple((name, value) for name, value in headers if name.lower() != dropped)


def _with_length(headers: Headers, length: int) -> Headers:
    """Correct the first length, and leave out others."""
    corrected, is_said = [], False
    for name, value in headers:
        if name.lower() != "content-length":
            corrected.append((name, value))
        elif not is_said:
            corrected.append((name, str(length)))
            is_said = True
    return tuple(corrected)
