"""The deck: what vcrpy's classes take for a cassette; it asks the tape of the run that a request belongs to.

vcrpy's classes ask whether there is an answer to a request, and then for it, or tell it; some ask several times. What
is known of a request is kept on vcrpy's own object for it, so that the tape is asked once, and nothing is mixed up.
"""

import contextlib
import contextvars
import json
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from replaykit.coding import settled
from replaykit.interaction import Headers, Interaction, Request, Response, Trouble, header
from replaykit.transport import Tape
from replaykit.trouble import network_trouble
from replaykit.turn import Turn

given: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar("given", default=None)
"""The options that aiohttp was called with, of which vcrpy tells but a part."""

_current: contextvars.ContextVar[Tape | None] = contextvars.ContextVar("tape", default=None)
_before: contextvars.ContextVar[tuple[str, int]] = contextvars.ContextVar("before", default=("GET", 0))
_lock = threading.Lock()
_tapes: list[Tape] = []  # of the runs that are under way


@contextlib.contextmanager
def under_way(tape: Tape) -> Iterator[None]:
    """Let what is sent inside, in this context, go past a tape."""
    token = _current.set(tape)
    with _lock:
        _tapes.append(tape)
    try:
        yield
    finally:
        with _lock:
            _tapes.remove(tape)
        _current.reset(token)


def _tape() -> Tape | None:
    """Return the tape of the run that a request belongs to; None where no run is under way."""
    tape = _current.get()
    if tape is not None and tape in _tapes:
        return tape
    with _lock:
        if len(_tapes) > 1:
            raise RuntimeError(
                "a thread of the adapter's own sends a request while several runs are under way, and for which of "
                "them is not known; start it with contextvars.copy_context().run"
            )
        return _tapes[0] if _tapes else None


# --- the deck -----------------------------------------------------------------------------------


class Broken(Exception):  # noqa: N818  never seen outside: the client's own error takes its place
    """What was recorded is no answer, but this trouble."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.error)
        self.trouble = trouble


class Deck:
    """What vcrpy's classes take for a cassette."""

    _path = ""
    custom_patches = ()
    skip_patchers = ()
    write_protected = False

    def filter_request(self, request: Any) -> Any:
        return request

    def can_play_response_for(self, request: Any) -> bool:
        """Ask the tape, once for each request."""
        asked = getattr(request, "replaykit", None)
        if asked is None:
            tape = _tape()
            sent = _request_of(request)
            played = None if tape is None else tape.answer(sent)
            asked = request.replaykit = Asked(tape, sent, played)
            pending.set(asked)
        return asked.played is not None

    def play_response(self, request: Any) -> dict[str, Any]:
        """Return the recorded answer as vcrpy has it. Raises Broken where there was none."""
        self.can_play_response_for(request)
        asked: Asked = request.replaykit
        played, tape = asked.played, asked.tape
        assert played is not None  # noqa: S101  vcrpy asks only for what can be played
        assert tape is not None  # noqa: S101
        asked.is_over = True
        asked.turn.leave()
        tape.keep(played.replace(request=asked.sent, before=0))
        if played.response is None or played.trouble is not None:
            raise Broken(played.trouble or Trouble(error="TransportError"))
        _before.set((asked.sent.method, played.response.status))
        return _played(played.response)

    def append(self, request: Any, response: dict[str, Any]) -> None:
        """Tell the tape of an answer."""
        asked = getattr(request, "replaykit", None)
        if asked is None or asked.is_over:  # a redirect that aiohttp has followed, of which nobody asked before
            asked = Asked(_tape(), _request_of(request), None)
        asked.is_over = True
        said = _response_of(response)
        if getattr(request, "is_shuffled", False):  # a set of names is what vcrpy makes of http.client's headers
            said = said.replace(headers=tuple(sorted(said.headers, key=lambda pair: pair[0].lower())))
        asked.keep(response=said)

    def find_requests_with_most_matches(self, request: Any) -> list[tuple[Any, list[str], list[str]]]:
        """Return the request that follows a redirect; vcrpy takes each for a GET."""
        method, status = _before.get()
        if method == "HEAD" or status in {307, 308}:
            request.method = method
        return [(request, [], [])]

    @staticmethod
    def lost(error: BaseException, request: Any = None, *, connected: bool = True) -> None:
        """Tell the tape of an error that came instead of an answer."""
        asked = getattr(request, "replaykit", None) if request is not None else pending.get()
        trouble = network_trouble(error, connected=connected)
        if asked is not None and not asked.is_over and trouble is not None:
            asked.is_over = True
            asked.keep(trouble=trouble)


class Asked:
    """A request that the tape was asked about."""

    def __init__(self, tape: Tape | None, sent: Request, played: Interaction | None) -> None:
        self.tape, self.sent, self.played = tape, sent, played
        self.began = time.perf_counter()
        self.is_over = False
        self.turn = Turn(tape)

    def keep(self, response: Response | None = None, trouble: Trouble | None = None) -> None:
        """Tell the tape what came of it."""
        if self.tape is None:
            return
        elapsed = time.perf_counter() - self.began
        said = Interaction(
            request=self.sent, response=response, trouble=trouble, elapsed=elapsed, before=self.turn.end()
        )
        self.tape.keep(said)


pending: contextvars.ContextVar[Asked | None] = contextvars.ContextVar("pending", default=None)
"""What was asked last in this context, for those errors that come without a request."""

DECK = Deck()


# --- what vcrpy says, and what we say -----------------------------------------------------------


def _request_of(request: Any) -> Request:
    options = given.get() or {}
    pairs = [(str(name), _text(value)) for name, value in request.headers.items()]
    body, kind = _body_of(request.body, is_json=options.get("json") is not None)
    if kind is not None and header(tuple(pairs), "content-type") is None:
        pairs.append(("Content-Type", kind))
    url = str(request.uri)
    if "@" in (parts := urlsplit(url)).netloc:
        url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return Request(method=str(request.method).upper(), url=url, headers=tuple(pairs), body=body)


def _body_of(body: Any, *, is_json: bool) -> tuple[bytes, str | None]:
    """Return a body and, where aiohttp made it of data, its type."""
    if hasattr(body, "read"):
        body = body.read()
    if body is None or isinstance(body, bytes | bytearray | memoryview):
        return bytes(body or b""), None
    if isinstance(body, str):
        return body.encode("utf-8"), None
    if is_json:
        return json.dumps(body).encode("utf-8"), "application/json"
    if hasattr(body, "_fields"):  # aiohttp's form, whose boundary would be another one each time
        body = [(options.get("name", ""), value) for options, _, value in body._fields]
    if isinstance(body, dict):
        body = list(body.items())
    listed = list(body)
    if all(isinstance(each, bytes) for each in listed):
        return b"".join(listed), None
    pairs = [each if isinstance(each, tuple) else ("", each) for each in listed]
    said = [(name, value if isinstance(value, str | bytes | int) else type(value).__name__) for name, value in pairs]
    return urlencode(said).encode("ascii"), "application/x-www-form-urlencoded"


def _response_of(response: dict[str, Any]) -> Response:
    status, headers = response["status"], response["headers"]
    pairs = headers.items() if isinstance(headers, dict) else headers
    said: Headers = tuple(
        (str(name), _text(value))
        for name, values in pairs
        for value in (values if isinstance(values, list | tuple) else [values])
    )
    body = (response.get("body") or {}).get("string") or b""
    headers, body = settled(said, body.encode("utf-8") if isinstance(body, str) else bytes(body))
    return Response(status=int(status["code"]), reason=_text(status["message"]), headers=headers, body=body)


def _played(response: Response) -> dict[str, Any]:
    headers: dict[str, list[str]] = {}
    for name, value in response.headers:
        headers.setdefault(name, []).append(value)
    return {
        "status": {"code": response.status, "message": response.reason},
        "headers": headers,
        "body": {"string": response.body},
    }


def _text(value: Any) -> str:
    """Say a value of a header in Latin-1, as its bytes are read."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    text = "" if value is None else str(value)
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape").decode("latin-1")
    return text
