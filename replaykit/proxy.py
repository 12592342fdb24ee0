"""The embedded proxy: proxies with toxics, and Toxiproxy's HTTP API to steer them; a program of its own.

    python -m replaykit.proxy [--host 127.0.0.1] [--port 8474] [--seed N] [--lifeline FD]

It prints the address of its API as one line when it listens there. It ends when the other end of the lifeline, a pipe,
is closed: so nothing of it is left when whoever started it is gone, killed or not. See docs/reference/proxy.md for how
it differs from Toxiproxy. It starts with each campaign, so it imports little.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from replaykit.errors import UsageError
from replaykit.listener import Answer, Listener, Request, read_json, refusal
from replaykit.loop import READ, Loop, heard
from replaykit.relay import BACKLOG, HIGHEST, Relay, bound, written
from replaykit.toxic import RefusedError, Toxic, lowered, text
from replaykit.version import __version__

SPOKEN = "2.12.0"  # the version of Toxiproxy whose API this is
PORT = 8474
LOOPBACK = ("127.0.0.1", "::1", "localhost")
MOST_PROXIES = 1000


# --- the API ------------------------------------------------------------------------------------


class Api:
    """Toxiproxy's HTTP API: its paths, its JSON, its errors."""

    def __init__(self, loop: Loop, seed: int | None) -> None:
        self._loop, self._seed = loop, seed
        self.proxies: dict[str, Relay] = {}

    def answer(self, request: Request) -> Answer:
        """Answer a request. Raises RefusedError."""
        if request.headers.get("user-agent", "").startswith("Mozilla/"):
            return 403, "User agent not allowed"  # a page in a browser must not steer it
        words = request.path.strip("/").split("/")
        if "%" in request.path:
            from urllib.parse import unquote  # it takes as long to import as much of the rest

            words = [unquote(word) for word in words]
        routes = self._routes(words, request.body)
        if not routes:
            return 404, "404 page not found"
        call = routes.get("POST" if request.method == "PATCH" and "PATCH" in routes else request.method)
        if call is None:
            return 405, ""
        return call()

    def _routes(self, words: list[str], body: bytes) -> dict[str, Callable[[], Answer]]:
        """Give what can be done with what a path names, by method."""
        match words:
            case ["version"]:
                return {"GET": lambda: (200, {"version": SPOKEN, "server": f"replaykit {__version__}"})}
            case ["reset"]:
                return {"POST": self._reset}
            case ["populate"]:
                return {"POST": lambda: self._populate(body)}
            case ["proxies"]:
                return {"GET": self._index, "POST": lambda: self._create(read_json(body))}
            case ["proxies", name]:
                update = lambda: self._update(self._proxy(name), body)  # noqa: E731
                return {
                    "GET": lambda: (200, self._proxy(name).as_json()),
                    "POST": update,
                    "PATCH": update,
                    "DELETE": lambda: self._delete(self._proxy(name)),
                }
            case ["proxies", name, "toxics"]:
                return {
                    "GET": lambda: (200, self._proxy(name).as_json()["toxics"]),
                    "POST": lambda: _add(self._proxy(name), body),
                }
            case ["proxies", name, "toxics", toxic]:
                alter = lambda: _alter(self._proxy(name), toxic, body)  # noqa: E731
                return {
                    "GET": lambda: (200, self._proxy(name).toxic(toxic).as_json()),
                    "POST": alter,
                    "PATCH": alter,
                    "DELETE": lambda: _remove(self._proxy(name), toxic),
                }
        return {}

    def _proxy(self, name: str) -> Relay:
        proxy = self.proxies.get(name)
        if proxy is None:
            raise RefusedError("proxy not found", status=404)
        return proxy

    def _index(self) -> Answer:
        return 200, {name: proxy.as_json() for name, proxy in self.proxies.items()}

    def _read(self, data: object, where: str = "") -> tuple[Relay, bool]:
        """Read a proxy that is to be made, and whether it is enabled. Raises RefusedError."""
        said = lowered(data)
        for key in ("name", "upstream"):
            if not text(said, key):
                raise RefusedError(f"missing required field: {key}{where}")
        proxy = Relay(self._loop, self._seed, text(said, "name"), text(said, "listen"), text(said, "upstream"))
        return proxy, _flag(said, usual=True)

    def _create(self, data: object) -> Answer:
        proxy, enabled = self._read(data)
        if proxy.name in self.proxies:
            raise RefusedError("proxy already exists", status=409)
        if len(self.proxies) >= MOST_PROXIES:
            raise RefusedError(f"there are {MOST_PROXIES} proxies already", status=500)
        if enabled:
            proxy.start()
        self.proxies[proxy.name] = proxy
        return 201, proxy.as_json()

    def _update(self, proxy: Relay, body: bytes) -> Answer:
        said = lowered(read_json(body))
        enabled = _flag(said, usual=proxy.enabled)
        proxy.change(text(said, "listen", proxy.listen), text(said, "upstream", proxy.upstream), enabled=enabled)
        return 200, proxy.as_json()

    def _delete(self, proxy: Relay) -> Answer:
        proxy.stop(is_kept=False)
        del self.proxies[proxy.name]
        return 204, None

    def _reset(self) -> Answer:
        for proxy in self.proxies.values():
            proxy.start()
            for toxic in list(proxy.toxics):
                proxy.remove(toxic)
        return 204, None

    def _populate(self, body: bytes) -> Answer:
        made: list[Relay] = []
        try:
            for proxy, enabled in self._read_all(read_json(body)):
                made.append(self._put(proxy, enabled=enabled))
        except RefusedError as error:
            return error.status, {**refusal(error), "proxies": [proxy.as_json() for proxy in made]}
        return 201, {"proxies": [proxy.as_json() for proxy in made]}

    def _read_all(self, data: object) -> list[tuple[Relay, bool]]:
        """Read the proxies that are to be there, each of another name. Raises RefusedError."""
        if not isinstance(data, list) or len(data) > MOST_PROXIES:
            raise RefusedError("bad request body: this is no list of proxies")
        wanted = [self._read(each, f" at proxy {number}") for number, each in enumerate(data, 1)]
        names = [proxy.name for proxy, _ in wanted]
        for name in names:
            if names.count(name) > 1:
                raise RefusedError(f'duplicate proxy name "{name}"', status=500)
        return wanted

    def _put(self, proxy: Relay, *, enabled: bool) -> Relay:
        """Make a proxy, or let the one of that name be like it; its toxics stay where it is the same already."""
        before = self.proxies.get(proxy.name)
        if before is not None and before.is_same(proxy.listen, proxy.upstream):
            before.change(before.listen, before.upstream, enabled=enabled)
            return before
        if before is not None:
            self._delete(before)
        if enabled:
            proxy.start()
        self.proxies[proxy.name] = proxy
        return proxy


def _flag(said: dict[str, Any], *, usual: bool) -> bool:
    value = said.get("enabled", usual)
    if not isinstance(value, bool):
        raise RefusedError("bad request body: enabled is neither true nor false")
    return value


def _add(proxy: Relay, body: bytes) -> Answer:
    toxic = Toxic.read(read_json(body))
    proxy.add(toxic)
    return 200, toxic.as_json()


def _alter(proxy: Relay, name: str, body: bytes) -> Answer:
    toxic = proxy.toxic(name).changed(read_json(body))
    proxy.alter(toxic)
    return 200, toxic.as_json()


def _remove(proxy: Relay, name: str) -> Answer:
    proxy.remove(proxy.toxic(name))
    return 204, None


# --- the program --------------------------------------------------------------------------------


def serve(host: str, port: int, seed: int | None, told: Callable[[str], object], lifeline: int | None = None) -> None:
    """Serve the API, and the proxies that are made by it, until the lifeline is closed; tell where it is.

    Raises UsageError where it can't listen there.
    """
    if host not in LOOPBACK:
        raise UsageError(
            f"The proxy's API would listen at {host}, where others can reach it.",
            f"Choose one of {', '.join(LOOPBACK)}.",
        )
    if not 0 <= port <= HIGHEST:
        raise UsageError(f"There is no port {port}.", f"Choose one up to {HIGHEST}; with 0 a free one is taken.")
    try:
        sock = bound((host, port))
        sock.listen(BACKLOG)
    except OSError as error:
        raise UsageError(
            f"The proxy can't listen at {written((host, port))}: {error.strerror}.",
            "Choose another --port; with 0 a free one is taken.",
        ) from None
    loop = Loop()
    api = Api(loop, seed)
    Listener(loop, sock, api.answer)
    if lifeline is not None:
        loop.watch(lifeline, READ, lambda _: loop.stop() if not os.read(lifeline, 4096) else None)
    with heard(loop):
        told(f"http://{written(sock.getsockname()[:2])}")
        try:
            loop.run()
        finally:
            sock.close()
            for proxy in api.proxies.values():
                proxy.stop(is_kept=False)


def _tell(line: str) -> None:
    print(line, flush=True)  # noqa: T201  whoever started it waits for this line


def _end(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def main(arguments: list[str] | None = None) -> int:
    """Run the program; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m replaykit.proxy", description="A proxy that speaks Toxiproxy's API."
    )
    parser.add_argument("--host", default=LOOPBACK[0])
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--lifeline", type=int)
    said = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        serve(said.host, said.port, said.seed, _tell, said.lifeline)
    except SystemExit as end:
        return int(end.code or 0)
    except UsageError as error:
        print(error, file=sys.stderr)  # noqa: T201  it has no other way to say it
        return 129
    return 0


if __name__ == "__main__":
    sys.exit(main())
