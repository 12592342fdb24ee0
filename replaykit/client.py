"""The client: what the adapter speaks to the service with, and its transport; the door to httpx.

One client serves the whole process, since making one costs some 25 ms of certificate loading. Its
transport asks a *tape* about each request: the tape may answer from a cassette, or let the request go to
the network, and it gets every interaction to keep. So one engine records, plays, or does both.
"""

import contextlib
import ipaddress
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any, Protocol, Self

import httpx

from replaykit.errors import ForeignHostError, UsageError
from replaykit.interaction import Headers, Interaction, Request, Response, Trouble
from replaykit.wire import Answer, Connections, WireError

HTTPX_VERSION = httpx.__version__

MAX_REDIRECTS = 20


class Tape(Protocol):
    """What the client's transport asks about each request."""

    def answer(self, request: Request) -> Interaction | None:
        """Say what the cassette says to this request; None lets it go to the network."""

    def keep(self, interaction: Interaction) -> None:
        """Take an interaction that is over."""


class Live:
    """The tape that keeps nothing and lets everything through."""

    def answer(self, request: Request) -> None:
        """Let the request go to the network."""

    def keep(self, interaction: Interaction) -> None:
        """Forget the interaction."""


class Client(httpx.Client):
    """An httpx client for one service, whose interactions go past a tape.

    A path is read relative to the service's URL. Redirects are followed only when asked for
    (`follow_redirects=True`), hop by hop, and never to another host or port than the service's: then the
    redirect itself is the answer.
    """

    def __init__(self, url: str) -> None:
        self.origin = check_url(url)
        self._tap = _Tap()
        super().__init__(transport=self._tap, base_url=self.origin)
        self._url = lru_cache(maxsize=4096)(self._parse_url)

    def _parse_url(self, path: str) -> httpx.URL:
        if path.startswith(("http://", "https://")):
            return httpx.URL(path)
        return httpx.URL(f"{self.origin}/{path.removeprefix('/')}")

    @contextlib.contextmanager
    def through(self, tape: Tape) -> Iterator[None]:
        """Send what happens inside past a tape."""
        before, self._tap.tape = self._tap.tape, tape
        try:
            yield
        finally:
            self._tap.tape = before

    def renew(self, headers: Mapping[str, str], auth: tuple[str, str] | None, timeout: float) -> None:
        """Forget what an earlier run left in the client: cookies, headers, authentication, time-out (s)."""
        self._cookies = _Cookies()  # the property would make a plain jar of it
        self.headers = httpx.Headers({**_DEFAULT_HEADERS, **headers})
        self.auth = auth  # type: ignore[assignment]  # None is taken too, and lets those in the URL through
        if self.timeout != (wanted := httpx.Timeout(timeout)):
            self.timeout = wanted

    @property
    def hung_up(self) -> int:
        """How many kept connections the service has closed so far, as one does that is started anew."""
        return self._tap.lean.hung_up

    def build_request(self, method: str, url: Any, **options: Any) -> httpx.Request:
        """Build a request; parsing the same URL again is what costs most here, so it is remembered."""
        return super().build_request(method, self._url(url) if isinstance(url, str) else url, **options)

    def send(
        self,
        request: httpx.Request,
        *,
        stream: bool = False,
        follow_redirects: Any = httpx.USE_CLIENT_DEFAULT,
        **options: Any,
    ) -> httpx.Response:
        """Send a request; follow redirects, where asked for, no further than the service reaches."""
        follow = self.follow_redirects if follow_redirects is httpx.USE_CLIENT_DEFAULT else follow_redirects
        response = super().send(request, stream=stream, follow_redirects=False, **options)
        history: list[httpx.Response] = []
        while follow and response.next_request is not None:
            following = response.next_request
            if not self._is_ours(following.url):
                break
            if len(history) == MAX_REDIRECTS:
                raise httpx.TooManyRedirects(f"more than {MAX_REDIRECTS} redirects", request=request)
            if stream:
                response.read()
            history.append(response)
            response = super().send(following, stream=stream, follow_redirects=False, **options)
        response.history = history
        return response

    def _is_ours(self, url: httpx.URL) -> bool:
        own = self._url("/")
        return (url.scheme, url.host, url.port) == (own.scheme, own.host, own.port)


class _Cookies(httpx.Cookies):
    """A cookie jar that looks into an answer only if there is a cookie in it; looking is what costs."""

    def extract_cookies(self, response: httpx.Response) -> None:
        if "set-cookie" in response.headers:
            super().extract_cookies(response)


_DEFAULT_HEADERS = {
    "Accept": "*/*",
    "Accept-Encoding": "gzip, deflate",
    "Connection": "keep-alive",
    "User-Agent": "replaykit",
}


class _Tap(httpx.BaseTransport):
    """The transport between the client and the network: asks the tape, tells the tape."""

    def __init__(self) -> None:
        self.tape: Tape = Live()
        self.lean = Connections()
        self._slow: httpx.HTTPTransport | None = None  # made when it is needed: it loads certificates

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        sent = Request(
            method=request.method,
            url=without_credentials(str(request.url)) if request.url.userinfo else str(request.url),
            headers=_pairs(request.headers.raw),
            body=request.read(),
        )
        tape = self.tape
        began = time.perf_counter()
        played = tape.answer(sent)
        if played is not None:
            return self._play(request, sent, played, tape)
        try:
            response = self._ask(request, sent.body)
        except httpx.TransportError as error:
            elapsed = time.perf_counter() - began
            tape.keep(Interaction(request=sent, trouble=trouble_of(error), elapsed=elapsed))
            raise
        response.stream = _Tee(sent, response, tape.keep, began)
        return response

    def _ask(self, request: httpx.Request, body: bytes) -> httpx.Response:
        """Send a request to the network: plain HTTP over our own wire, all else through httpx's transport."""
        url = request.url
        if url.scheme != "http":
            if self._slow is None:
                self._slow = httpx.HTTPTransport()
            return self._slow.handle_request(request)
        try:
            answer = self.lean.send(
                (url.host, url.port or 80),
                request.method.encode("ascii"),
                url.raw_path,
                request.headers.raw,
                body,
                request.extensions.get("timeout", {}),
            )
        except WireError as error:
            raise _error_of(error.trouble, request) from None
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Wired(answer, request),
            extensions={"http_version": answer.version, "reason_phrase": answer.reason},
        )

    def _play(self, request: httpx.Request, sent: Request, played: Interaction, tape: Tape) -> httpx.Response:
        tape.keep(played.replace(request=sent))
        answer, trouble = played.response, played.trouble
        if answer is None:
            raise _error_of(trouble or Trouble(error="TransportError"), request)
        stream = _Played(answer.body, None if trouble is None else _error_of(trouble, request))
        return httpx.Response(
            status_code=answer.status,
            headers=[(k.encode("latin-1"), v.encode("latin-1")) for k, v in answer.headers],
            stream=stream,
            extensions={
                "http_version": answer.version.encode("latin-1"),
                "reason_phrase": answer.reason.encode("latin-1"),
            },
        )

    def close(self) -> None:
        self.lean.close()
        if self._slow is not None:
            self._slow.close()


class _Wired(httpx.SyncByteStream):
    """The body of an answer from our own wire, its errors in httpx's words."""

    def __init__(self, answer: Answer, request: httpx.Request) -> None:
        self._answer = answer
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._answer
        except WireError as error:
            raise _error_of(error.trouble, self._request) from None

    def close(self) -> None:
        self._answer.close()


class _Tee(httpx.SyncByteStream):
    """A response's body on its way to the reader, kept as it passes."""

    def __init__(
        self, sent: Request, response: httpx.Response, keep: Callable[[Interaction], None], began: float
    ) -> None:
        self._sent = sent
        self._response = response
        assert isinstance(response.stream, httpx.SyncByteStream)  # noqa: S101  a sync transport gives no other
        self._stream = response.stream
        self._keep = keep
        self._began = began
        self._chunks: list[bytes] = []
        self._complete = False
        self._trouble: Trouble | None = None
        self._kept = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._stream:
                self._chunks.append(chunk)
                yield chunk
            self._complete = True
        except httpx.TransportError as error:
            self._trouble = trouble_of(error)
            raise

    def close(self) -> None:
        self._stream.close()
        if self._kept:
            return
        self._kept = True
        response = self._response
        extensions = response.extensions
        self._keep(
            Interaction(
                request=self._sent,
                response=Response(
                    status=response.status_code,
                    reason=extensions.get("reason_phrase", b"").decode("latin-1"),
                    version=extensions.get("http_version", b"HTTP/1.1").decode("latin-1"),
                    headers=_pairs(response.headers.raw),
                    body=b"".join(self._chunks),
                    complete=self._complete,
                ),
                trouble=self._trouble,
                elapsed=time.perf_counter() - self._began,
            )
        )


class _Played(httpx.SyncByteStream):
    """A recorded body, with the error that broke it off, if any."""

    def __init__(self, body: bytes, error: Exception | None) -> None:
        self._body = body
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        if self._body:
            yield self._body
        if self._error is not None:
            raise self._error


def _pairs(raw: list[tuple[bytes, bytes]]) -> Headers:
    return tuple([(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw])


def trouble_of(error: BaseException) -> Trouble | None:
    """Say an httpx network error in our words; None where it is something else."""
    if isinstance(error, httpx.TransportError):
        return Trouble(error=type(error).__name__, message=str(error))
    return None


def advice(error: BaseException) -> str:
    """Say what to do about an exception that adapters tend to raise; nothing for all others."""
    if isinstance(error, httpx.HTTPStatusError):
        return "\nIn a handler, return an event for such an answer; with server_errors = True, any 5xx is a failure."
    return ""


def _error_of(trouble: Trouble, request: httpx.Request) -> Exception:
    kind = getattr(httpx, trouble.error, None)
    if not (isinstance(kind, type) and issubclass(kind, httpx.TransportError)):
        kind = httpx.TransportError
    return kind(trouble.message, request=request)


_HOST = re.compile(rb"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")


def check_url(url: str) -> str:
    """Return the URL of a service without a slash at its end; raise UsageError where it is none."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise UsageError(f"{url!r} is not a URL: {error}.", "Write it as http://host:port.") from None
    is_known = parsed.scheme in {"http", "https"} and _HOST.fullmatch(parsed.raw_host)
    if not is_known or not 0 < (parsed.port or 80) < 1 << 16:
        raise UsageError(f"{url!r} is not the URL of an HTTP service.", "Write it as http://host:port.")
    return str(parsed).rstrip("/")


def without_credentials(url: str) -> str:
    """Return a URL without a user and a password in it."""
    return str(httpx.URL(url).copy_with(userinfo=b""))


def require_loopback(url: str, allowed: Collection[str] = ()) -> None:
    """Raise ForeignHostError unless the URL speaks of this machine, or of a host (or host:port) that is allowed.

    A stranger's bundle is not a gun.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ForeignHostError(
            f"The bundle was recorded against {url!r}, which is no URL: {error}.", "Name the service with --url."
        ) from None
    host, name = parsed.host, parsed.raw_host.decode("ascii").lower().rstrip(".")
    if not {name, f"{name}:{host_and_port(url)[1]}"}.isdisjoint([each.lower() for each in allowed]):
        return
    with contextlib.suppress(ValueError):
        if host == "localhost" or ipaddress.ip_address(host).is_loopback:
            return
    raise ForeignHostError(
        f"The bundle was recorded against {host}, which is not this machine.",
        "Name the service that you mean with --url, or start one with --start; or allow this host for the project: "
        f'allow_hosts = ["{name}"] in [tool.replaykit] of pyproject.toml.',
    )


def host_and_port(url: str) -> tuple[str, int]:
    """Return where a URL points to."""
    parsed = httpx.URL(url)
    return parsed.host, parsed.port or (443 if parsed.scheme == "https" else 80)


class Prober:
    """Asks one URL now and then whether it answers with a 2xx. Use it as a context manager."""

    def __init__(self, url: str, timeout: float) -> None:
        secure = url.startswith("https")
        self._url = url
        self._client = httpx.Client(transport=httpx.HTTPTransport(verify=secure), timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def trouble(self) -> str | None:
        """Ask once; say what is wrong with the answer, or None if it is a 2xx."""
        try:
            status = self._client.get(self._url).status_code
        except httpx.HTTPError as error:
            return str(error) or type(error).__name__
        return None if httpx.codes.is_success(status) else f"it answers {status}"
