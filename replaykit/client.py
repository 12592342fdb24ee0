"""The client: what the adapter speaks to the service with; a door to httpx.

One client serves the whole process, since making one costs some 25 ms of certificate loading. Its
transport is a tap: what happens inside of `through` goes past a tape, which records, plays, or does both.
"""

import contextlib
import ipaddress
import json
import re
import threading
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any, Self, get_args

import httpx

from replaykit.errors import ForeignHostError, UsageError
from replaykit.network import Network, place_of
from replaykit.tampering import Tamperer, Tampering
from replaykit.transport import Busy, Tap, Tape, Way

HTTPX_VERSION = httpx.__version__

MAX_REDIRECTS = 20
MAX_PROBE = 1 << 20  # bytes that are read of an answer to a health check
MAX_HEADS = 4096  # kinds of requests whose headers are remembered


_HEADS: dict[tuple[object, ...], httpx.Headers] = {}  # headers of requests, by all that they follow from


@lru_cache(maxsize=4096)
def _parsed(origin: str, path: str) -> httpx.URL:
    if path.startswith(("http://", "https://")):
        return httpx.URL(path)
    return httpx.URL(f"{origin}/{path.removeprefix('/')}")


class Client(httpx.Client):
    """An httpx client for one service, whose interactions go past a tape.

    A path is read relative to the service's URL. Redirects are followed only when asked for
    (`follow_redirects=True`), hop by hop, and never to another host or port than the service's: then the
    redirect itself is the answer.
    """

    def __init__(self, url: str, way: Way = "lean") -> None:
        self.origin = check_url(url)
        if way not in get_args(Way):
            raise UsageError(f"There is no transport {way!r}.", f"Choose one of {', '.join(get_args(Way))}.")
        self._network = Network(lean=way == "lean")
        self._tap = Tap(self._network)
        super().__init__(transport=self._tap, base_url=self.origin)
        self._cookies = Cookies()

    def _url(self, path: str) -> httpx.URL:
        return _parsed(self.origin, path)

    @contextlib.contextmanager
    def through(self, tape: Tape) -> Iterator[None]:
        """Send what happens inside past a tape."""
        before, self._tap.tape = self._tap.tape, tape
        self._network.meanwhile = tape.meanwhile if isinstance(tape, Busy) else None
        try:
            yield
        finally:
            self._tap.settle(tape)
            self._tap.tape = before
            self._network.meanwhile = before.meanwhile if isinstance(before, Busy) else None

    def settle(self) -> None:
        """Keep the answers that are still being read, as far as they were read."""
        self._tap.settle(self._tap.tape)

    def renew(self, headers: Mapping[str, str], auth: tuple[str, str] | None, timeout: float) -> None:
        """Forget what an earlier run left in the client: cookies, headers, authentication, time-out (s)."""
        self._cookies = Cookies()  # the property would make a plain jar of it
        self.headers = httpx.Headers({**_DEFAULT_HEADERS, **headers})
        self.auth = auth  # type: ignore[assignment]  # None is taken too, and lets those in the URL through
        if self.timeout != (wanted := httpx.Timeout(timeout)):
            self.timeout = wanted

    def detour(self, address: tuple[str, int] | None) -> None:
        """From now on, make connections for the service to another address; None makes them to the service again.

        What is sent stays as it is, and so does what is recorded. Connections of an earlier detour are not used again.
        Those that were made to the service itself wait until they are. `ask` takes no detour.
        """
        self._network.detour(host_and_port(self.origin), address)

    def tamper(self, tampering: Tampering | None) -> None:
        """From now on, do something to requests and their answers before they are recorded; None lets them be.

        `ask` is not tampered with, and what a tape answers isn't either.
        """
        self._tap.inner = self._network if tampering is None else Tamperer(self._network, tampering)

    def let_go(self) -> None:
        """Close all kept connections; they are none that the service has closed."""
        self._network.let_go()

    def cut(self) -> None:
        """End what is asked in other threads, for good; see `transport.Network.cut`."""
        self._network.cut()

    def ask(self, method: str, url: str, timeout: float) -> str | None:
        """Ask something beside the runs; say what is wrong with the answer, or None if it is a 2xx.

        No tape hears of it, and nothing of what the adapter sends (headers, cookies, authentication) goes with it.
        """
        parsed = httpx.URL(url)
        extensions = {"timeout": httpx.Timeout(timeout).as_dict()}
        request = httpx.Request(method, parsed, headers=_DEFAULT_HEADERS, extensions=extensions)
        if parsed.userinfo:
            request = next(httpx.BasicAuth(parsed.username, parsed.password).auth_flow(request))
        try:
            answer = self._network.straight(request)
            try:
                answer.read()
            finally:
                answer.close()
        except (httpx.HTTPError, httpx.StreamError) as error:
            return str(error) or type(error).__name__
        return trouble_with(answer.status_code)

    @property
    def hung_up(self) -> int:
        """How many kept connections the service has closed so far, as one does that is started anew."""
        return self._network.lean.hung_up

    def rest(self) -> None:
        """Close all kept connections; the next request opens one."""
        self._network.lean.close()

    def build_request(self, method: str, url: Any, **options: Any) -> httpx.Request:
        """Build a request; parsing the same URL again is what costs most here, so it is remembered.

        Most requests bring nothing that is to be merged with what the client sends anyway, and merging is costly too.
        """
        if not isinstance(url, str):
            return super().build_request(method, url, **options)
        said = options.get
        if (
            (said("headers") or said("cookies") or said("params") or said("extensions"))
            or said("timeout", httpx.USE_CLIENT_DEFAULT) is not httpx.USE_CLIENT_DEFAULT
            or (self.cookies or self.params)
        ):
            return super().build_request(method, self._url(url), **options)
        content, data, files = said("content"), said("data"), said("files")
        extensions = {"timeout": self.timeout.as_dict()}
        if content is None and data is None and files is None:
            return self._plain_request(method, self._url(url), extensions, said("json"))
        bodies = {"content": content, "data": data, "files": files, "json": said("json")}
        return httpx.Request(method, self._url(url), headers=self.headers, extensions=extensions, **bodies)

    def _plain_request(self, method: str, url: httpx.URL, extensions: dict[str, Any], data: Any) -> httpx.Request:
        """Build a request with a JSON body or none; what headers httpx gives to one of its length is remembered."""
        body = b"" if data is None else _compact(data)
        kind = (method, url.netloc, len(body), data is None, *self.headers.raw)
        headers = _HEADS.get(kind)
        if headers is None:
            made = httpx.Request(method, url, headers=self.headers, extensions=extensions, json=data)
            if made.content == body and len(_HEADS) < MAX_HEADS:  # httpx 0.27 puts blanks into JSON
                _HEADS[kind] = made.headers.copy()  # authentication puts its own into those of a request
            return made
        request = httpx.Request(method, url, headers=headers, extensions=extensions, stream=httpx.ByteStream(body))
        request.read()
        return request

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


def _compact(data: Any) -> bytes:
    """Write JSON as httpx does from 0.28 on."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")


class Cookies(httpx.Cookies):
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


def advice(error: BaseException) -> str:
    """Say what to do about an exception that adapters tend to raise; nothing for all others."""
    if isinstance(error, httpx.HTTPStatusError):
        return "\nIn a handler, return an event for such an answer; with server_errors = True, any 5xx is a failure."
    return ""


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
    return place_of(httpx.URL(url))


class Prober:
    """Asks one URL now and then whether it answers with a 2xx. Use it as a context manager."""

    def __init__(self, url: str, timeout: float) -> None:
        secure = url.startswith("https")
        self._url = url
        self._timeout = timeout
        self._client = httpx.Client(transport=httpx.HTTPTransport(verify=secure), timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def trouble(self, within: float | None = None) -> str | None:
        """Ask once; say what is wrong with the answer, or None if it is a 2xx.

        Nobody waits longer than `within` seconds for it, however slowly it comes.
        """
        patience = self._timeout if within is None else min(within, self._timeout)
        said: list[str | None] = []
        asking = threading.Thread(target=lambda: said.append(self._ask(patience)), daemon=True)
        asking.start()
        asking.join(patience)
        return said[0] if said else f"no answer within {patience:.2g} seconds"

    def _ask(self, patience: float) -> str | None:
        try:
            with self._client.stream("GET", self._url, timeout=patience) as answer:
                status, size = answer.status_code, 0
                for chunk in answer.iter_raw():  # hanging up in the middle would be told in many a log
                    size += len(chunk)
                    if size > MAX_PROBE:
                        break
        except (httpx.HTTPError, RuntimeError) as error:  # the latter: it was closed by who waits no longer
            return str(error) or type(error).__name__
        return trouble_with(status)


def trouble_with(status: int) -> str | None:
    """Say what is wrong with the answer to a health check or a reset, or None if it is a 2xx."""
    return None if httpx.codes.is_success(status) else f"it answers {status}"
