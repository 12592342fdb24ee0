"""Serving: a stub server that answers from a bundle, for clients in any language.

    with replaykit.serve("failures/bug.pd") as stub:
        subprocess.run(["npm", "test"], env={**os.environ, "SHOP_URL": stub.url}, check=True)

What is recorded is sent byte for byte. All else that it says is marked: a request that nothing was recorded for is
answered with a status that no service has, and with a header; what belongs to the stub itself lies below PREFIX.
"""

import contextlib
import ipaddress
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from replaykit.cassette import Order
from replaykit.desk import Desk, Missed, Recorded, Stand, UnansweredError
from replaykit.document import json_text
from replaykit.errors import MissError, UnusedError, UsageError
from replaykit.guest import Door
from replaykit.interaction import Interaction, Request, Response, header
from replaykit.loop import READ, Loop, heard
from replaykit.relay import BACKLOG, HIGHEST, bound, written
from replaykit.rendition import Rendition, UnsendableError, answer, rendered
from replaykit.tape import tell, whole
from replaykit.visible import visible

PREFIX = "/__replaykit__"  # of what belongs to the stub server itself
MISS = 478  # a status that is registered for nothing (RFC 9110, section 16.2), of those that say that the client erred
MARK = "replaykit-miss"  # a header, which says why
LINGER = 0.05  # seconds between two looks at whether the last answer was sent
MOST_SAID = 1000  # characters of the header

Told = Callable[[str], object]


class Stub:
    """A stub server that plays one bundle, at `url`."""

    def __init__(
        self,
        path: Path,
        *,
        order: Order = "strict",
        host: str = "127.0.0.1",
        port: int = 0,
        checks: bool = True,
        delays: bool = False,
        cors: bool = False,
        missed: Told | None = None,
        played: Told | None = None,
    ) -> None:
        self._path, self._order = path, order
        self._delays, self._cors = delays, cors
        self._tell_missed, self._tell_played = missed, played
        self.desk = Desk(whole(path), str(path), order, checks=checks)
        self._loop = Loop()
        sock = _listening(host, port)
        self._door = Door(self._loop, sock, self._answer, self._refuse)
        where = sock.getsockname()[:2]
        self.url = f"http://{written(where)}"
        self.is_open = not ipaddress.ip_address(where[0].partition("%")[0]).is_loopback  # to other machines

    def run(self, *, once: bool = False) -> None:
        """Serve until `stop`; with `once`, until all was asked for and answered."""
        if once:
            self._look()
        with heard(self._loop):
            try:
                self._loop.run()
            finally:
                self._door.close()

    def _look(self) -> None:
        """Stop where all was asked for and answered, and look again where not."""
        if self.desk.is_over and not self._door.is_busy:
            self.stop()
        else:
            self._loop.later(LINGER, self._look)

    def stop(self) -> None:
        """End `run`, from within its thread."""
        self._loop.stop()

    @contextlib.contextmanager
    def in_thread(self) -> Iterator[None]:
        """Serve in a thread of its own."""
        woken, wakes = os.pipe()
        self._loop.watch(woken, READ, lambda _: self.stop())
        thread = threading.Thread(target=self.run, name=f"replaykit {self.url}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            os.write(wakes, b"!")
            thread.join()
            os.close(wakes)
            os.close(woken)

    def reset(self) -> None:
        """Begin anew: all that was recorded is there again."""
        self.desk.reset()

    def stand(self) -> Stand:
        """Tell how far the bundle is played, what was missed, and the state of the model there."""
        return self.desk.stand(self.url)

    def check(self) -> None:
        """Raise MissError where a request was not answered, or UnusedError where something was never asked for."""
        stand = self.stand()
        if stand.missed:
            first = stand.misses[0]
            count = "1 request was" if stand.missed == 1 else f"{stand.missed} requests were"
            raise MissError(
                f"{count} not answered by {self._path}: {first.request}: {first.why}.",
                "Mend what asks, record the bundle anew, or serve it in another order (fifo, any).",
            )
        if unused := self.desk.unused():
            raise UnusedError(
                f"{self._path} was not used up: {unused}.",
                "Ask for everything, or serve it without what was sent only to check.",
            )

    # --- what is answered -----------------------------------------------------------------------

    def _answer(self, request: Request, is_old: bool) -> Rendition:
        path = urlsplit(request.url).path
        is_own = path == PREFIX or path.startswith(f"{PREFIX}/")
        said = self._own(request, path) if is_own else self._play(request, is_old=is_old)
        if isinstance(said, Rendition):
            return said
        return answer(self._shared(said, request), request.method, is_old=is_old)

    def _play(self, request: Request, *, is_old: bool) -> Rendition | Response:
        """Return what was recorded, as it is sent, or what the stub server says instead."""
        if self._cors and _is_preflight(request) and not self.desk.knows(request):
            return Response(status=204, reason="No Content")
        try:
            interaction = self.desk.answer(request)
        except UnansweredError as error:
            return self._missed(request, error.missed)
        number = self.desk.numbered(interaction)
        self._tell(self._tell_played, _line(number, interaction))
        if interaction.response is not None:
            interaction = interaction.replace(response=self._shared(interaction.response, request))
        try:
            return rendered(interaction, is_old=is_old, delays=self._delays)
        except UnsendableError as error:
            why = f"the answer to number {number.number} can't be sent, since {error}"
            missed = Missed(request=number.request, why=why)
            self.desk.miss(missed)
            return self._missed(request, missed)

    def _missed(self, request: Request, missed: Missed) -> Response:
        """Explain why a request is not answered, as JSON to who accepts that, else as text."""
        self._tell(self._tell_missed, f"{missed.request}: {missed.why}")
        stand, why = self.stand(), missed.why
        following = stand.next
        head = (("Cache-Control", "no-store"), (MARK, _in_a_line(why)))
        if self._wants_json(request):
            said = {"error": "replaykit-miss", "request": missed.request, "why": why, "round": stand.round}
            return _json(MISS, "Not Recorded", {**said, "next": following and following.model_dump()}, head)
        lines = [f"replaykit serve: nothing was recorded for {visible(missed.request)}", visible(why)]
        if following is not None:
            word = "next" if self._order == "strict" else "left"
            place = f" ({following.place})" if following.place else ""
            lines.append(f"{word}: number {following.number}{place}, {visible(following.request)}")
        lines.append(f"GET {PREFIX} tells how far it is played; POST {PREFIX}/reset begins anew")
        return _text(MISS, "Not Recorded", "\n".join(lines), head)

    def _wants_json(self, request: Request) -> bool:
        """Say whether a client reads JSON: it says so, or takes anything, and JSON is what is spoken here."""
        accepted = (header(request.headers, "accept") or "*/*").lower()
        is_json = "json" in (header(request.headers, "content-type") or "").lower() or self.desk.speaks_json
        return "json" in accepted or ("*/*" in accepted and "html" not in accepted and is_json)

    def _own(self, request: Request, path: str) -> Response:
        """Answer what is asked of the stub server itself."""
        head, name = (("Cache-Control", "no-store"),), path.removeprefix(PREFIX).strip("/")
        if self._cors and _is_preflight(request):
            return Response(status=204, reason="No Content", headers=head)
        if not (self.is_open or _is_here(header(request.headers, "host") or "")):
            return _json(403, "Forbidden", {"error": "this is told under an address or localhost alone"}, head)
        known = {"": {"GET", "HEAD"}, "reset": {"POST"}}
        if name not in known:
            return _json(404, "Not Found", {"error": f"there are {PREFIX} and {PREFIX}/reset"}, head)
        if request.method not in known[name]:
            allowed = ", ".join(sorted(known[name]))
            return _json(405, "Method Not Allowed", {"error": f"use {allowed}"}, (*head, ("Allow", allowed)))
        if name == "reset":
            self.reset()
        body = (json_text(self.stand().model_dump()) + "\n").encode()
        return Response(status=200, reason="OK", headers=(*head, *_kind("application/json", body)), body=body)

    def _refuse(self, status: int, why: str) -> Rendition:
        """Return what is sent to who breaks the rules of HTTP, after which the connection ends."""
        self.desk.miss(Missed(request="what can't be answered", why=why))
        self._tell(self._tell_missed, why)
        head = ((MARK, _in_a_line(why)), ("Connection", "close"))
        return answer(_text(status, HTTPStatus(status).phrase, why, head), "GET")

    def _shared(self, response: Response, request: Request) -> Response:
        """Let pages of all origins read an answer, where that is wanted (https://fetch.spec.whatwg.org/#http-cors)."""
        if not self._cors or header(response.headers, "access-control-allow-origin") is not None:
            return response
        more = [("Access-Control-Allow-Origin", "*"), ("Access-Control-Expose-Headers", "*")]
        asked = (("Methods", "method"), ("Headers", "headers"))
        wanted = [(name, header(request.headers, f"access-control-request-{key}")) for name, key in asked]
        more += [(f"Access-Control-Allow-{name}", value) for name, value in wanted if value]
        return response.replace(headers=(*response.headers, *more))

    @staticmethod
    def _tell(told: Told | None, text: str) -> None:
        if told is not None:
            told(text)


@contextlib.contextmanager
def serve(
    path: str | os.PathLike[str],
    *,
    order: Order = "strict",
    host: str = "127.0.0.1",
    port: int = 0,
    checks: bool = True,
    delays: bool = False,
) -> Iterator[Stub]:
    """Answer clients in any language from the bundle at `path`, at the stub's `url`, until the block is over.

    `order` is that in which requests may come, as in `play`. Without `checks`, only what the commands sent is played,
    and not what was sent to read observations. With `delays`, an answer takes as long as it took. At the end of the
    block, MissError is raised if a request was not answered, and UnusedError if something was never asked for; not in
    the order any, and what reset the service may be left out. Raises UsageError where it can't listen there.
    """
    stub = Stub(Path(path), order=order, host=host, port=port, checks=checks, delays=delays)
    with stub.in_thread():
        try:
            yield stub
        except BaseException as error:
            with contextlib.suppress(UnusedError):
                _tell_of(stub, error)
            raise
    with contextlib.suppress(*([UnusedError] if order == "any" else [])):
        stub.check()


def _tell_of(stub: Stub, error: BaseException) -> None:
    """Note what was missed beside what a block has raised."""
    try:
        stub.check()
    except MissError as miss:
        tell(error, miss)


def _listening(host: str, port: int) -> Any:
    if not 0 <= port <= HIGHEST:
        raise UsageError(f"There is no port {port}.", f"Choose one up to {HIGHEST}; with 0 a free one is taken.")
    try:
        sock = bound((host, port))
    except OSError as error:
        raise _deaf(host, port, error) from None
    try:
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise _deaf(host, port, error) from None
    return sock


def _deaf(host: str, port: int, error: OSError) -> UsageError:
    return UsageError(
        f"The stub server can't listen at {written((host, port))}: {error.strerror or error}.",
        "Choose another --port, or none: then a free one is taken.",
    )


def _line(number: Recorded, interaction: Interaction) -> str:
    """Say in a line what was answered: POST /players -> 201 (number 3, step 0)."""
    came = interaction.trouble.error if interaction.trouble else "nothing"
    if interaction.response is not None:
        came = str(interaction.response.status) + (f", {came}" if interaction.trouble else "")
    place = f", {number.place}" if number.place else ""
    return f"{number.request} -> {came} (number {number.number}{place})"


def _is_preflight(request: Request) -> bool:
    """Say whether a browser asks whether a page may ask."""
    return request.method == "OPTIONS" and header(request.headers, "access-control-request-method") is not None


def _is_here(host: str) -> bool:
    """Say whether a host is an address or localhost: a page may have let its own name stand for this machine."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(name))
    return name.lower() in {"", "localhost"}


def _in_a_line(text: str) -> str:
    return re.sub(r"[^\x20-\x7e]", "?", text)[:MOST_SAID].strip()


def _kind(kind: str, body: bytes) -> tuple[tuple[str, str], ...]:
    return ("Content-Type", kind), ("Content-Length", str(len(body)))


def _json(status: int, reason: str, said: dict[str, Any], head: tuple[tuple[str, str], ...]) -> Response:
    body = (json.dumps(said) + "\n").encode()
    return Response(status=status, reason=reason, headers=(*head, *_kind("application/json", body)), body=body)


def _text(status: int, reason: str, said: str, head: tuple[tuple[str, str], ...]) -> Response:
    body = (said + "\n").encode()
    kind = _kind("text/plain; charset=utf-8", body)
    return Response(status=status, reason=reason, headers=(*head, *kind), body=body)
