"""Toxiproxy: the client of its HTTP API, and a proxy put between a client and a service for a while.

The API is that of a real Toxiproxy, or of the embedded one (`proxy`), which is started for the occasion. Proxies that
are made here say in their name which process made them, so that what a killed one left on a Toxiproxy that is shared
can be told from what a living one needs, and is removed at the next start.
"""

import contextlib
import hashlib
import itertools
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlsplit

from replaykit.claim import host, start_of
from replaykit.errors import MachineError, UnreachableError, UsageError
from replaykit.toxic import RefusedError, Toxic
from replaykit.version import __version__

PREFIX = "replaykit-"  # of the names of our proxies
PATIENCE = 10.0  # seconds that an answer of the API, and the start of the embedded proxy, may take
BRIEF = 0.5  # seconds that it may take after one that did not come: who wants to end is not kept for long
ENDING = 2.0  # seconds that the embedded proxy may take to end, before it is killed
OLDEST = 2  # the major version that is needed
NOT_FOUND = 404
MOST_LOG = 4096  # bytes of what the embedded proxy printed
MOST_ANSWER = 16 * 1024 * 1024  # bytes
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_PARTS = 5  # of a name of ours

Address = tuple[str, int]

_numbers = itertools.count(1)


class Toxiproxy:
    """The HTTP API of a Toxiproxy. Raises UsageError for a URL that is none.

    Each method raises UnreachableError where nothing answers, UsageError where something else does, RefusedError for
    what is refused, MachineError for what can't be done there.
    """

    def __init__(self, url: str, log: Callable[[], str] | None = None) -> None:
        """Know where it is; `log` gives the last lines of one that is ours."""
        self.url, self._log = url.rstrip("/"), log
        self._patience = PATIENCE
        parts = urlsplit(self.url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme != "http" or not parts.hostname or port == -1 or parts.path or parts.query or parts.username:
            raise UsageError(f"{url!r} is no address of a Toxiproxy.", "Write it as http://localhost:8474.")
        self.host, self.port = parts.hostname, port or 8474

    def version(self) -> str:
        """Return the version that it says it has."""
        said = self._ask("GET", "/version")
        version = said.get("version") if isinstance(said, dict) else None
        if not isinstance(version, str):
            raise self._stranger()
        return version

    def proxies(self) -> dict[str, dict[str, Any]]:
        """Return all proxies with their toxics, as the API shows them."""
        said = self._ask("GET", "/proxies")
        if not isinstance(said, dict) or not all(isinstance(each, dict) for each in said.values()):
            raise self._stranger()
        return said

    def create(self, name: str, upstream: Address, listen: str = "127.0.0.1:0") -> Address:
        """Make a proxy, and return where it listens."""
        said = self._ask("POST", "/proxies", {"name": name, "upstream": _written(upstream), "listen": listen})
        where = said.get("listen") if isinstance(said, dict) else None
        place, _, port = str(where).rpartition(":")
        if not port.isdigit():
            raise self._stranger()
        return place.strip("[]"), int(port)

    def delete(self, name: str) -> None:
        """Remove a proxy; its connections are closed."""
        self._ask("DELETE", f"/proxies/{quote(name, safe='')}")

    def add(self, proxy: str, toxic: Toxic) -> None:
        """Let a toxic act on a proxy."""
        self._ask("POST", f"/proxies/{quote(proxy, safe='')}/toxics", _bearable(toxic).as_json())

    def remove(self, proxy: str, name: str) -> None:
        """Let a toxic act no more."""
        self._ask("DELETE", f"/proxies/{quote(proxy, safe='')}/toxics/{quote(name, safe='')}")

    def is_enabled(self, proxy: str) -> bool:
        """Say whether a proxy listens."""
        said = self._ask("GET", f"/proxies/{quote(proxy, safe='')}")
        enabled = said.get("enabled") if isinstance(said, dict) else None
        if not isinstance(enabled, bool):
            raise self._stranger()
        return enabled

    def enable(self, proxy: str) -> None:
        """Let a proxy listen, where it does not."""
        self._ask("POST", f"/proxies/{quote(proxy, safe='')}", {"enabled": True})

    def disable(self, proxy: str) -> None:
        """Let a proxy listen no more; its connections are closed."""
        self._ask("POST", f"/proxies/{quote(proxy, safe='')}", {"enabled": False})

    def _ask(self, method: str, path: str, data: object = None) -> Any:
        """Ask something; return what is answered."""
        connection, is_answered = HTTPConnection(self.host, self.port, timeout=self._patience), False
        headers = {"User-Agent": f"replaykit/{__version__}", "Connection": "close"}
        body = None
        if data is not None:
            headers["Content-Type"], body = "application/json", json.dumps(data)
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            status, said = answer.status, answer.read(MOST_ANSWER)
            is_answered = True
        except HTTPException:
            raise self._stranger() from None
        except OSError as error:
            raise self._unreachable(str(error.strerror or error)) from None
        finally:
            connection.close()
            self._patience = PATIENCE if is_answered else BRIEF  # also where the wait was broken off, as by Ctrl-C
        return self._judged(f"{method} {path}", status, said)

    def _judged(self, asked: str, status: int, said: bytes) -> Any:
        try:
            answer = json.loads(said) if said.strip() else None
        except (ValueError, RecursionError):
            raise self._stranger() from None
        if 200 <= status < 300:  # noqa: PLR2004
            return answer
        error = answer.get("error") if isinstance(answer, dict) else None
        if not isinstance(error, str):
            raise self._stranger()
        if status >= 500:  # noqa: PLR2004
            raise MachineError(f"Toxiproxy at {self.url} can't do {asked}: {error}.", "Look at what it prints.")
        raise RefusedError(f"Toxiproxy at {self.url} refused {asked}: {error} ({status}).", status=status)

    def _unreachable(self, why: str) -> UnreachableError:
        if self._log is None:
            return UnreachableError(
                f"Toxiproxy can't be reached at {self.url}: {why}.",
                "Is it running there? Without --toxiproxy, replaykit starts a proxy of its own.",
            )
        log = self._log()
        todo = "Try it again." if not log else f"Try it again. What it printed last:\n{log}"
        return UnreachableError(f"The embedded proxy can't be reached at {self.url}: {why}.", todo, log)

    def _stranger(self) -> UsageError:
        return UsageError(f"What answers at {self.url} is no Toxiproxy.", "Check its address.")


def _bearable(toxic: Toxic) -> Toxic:
    """Return a slicer whose cuts lie inside of what is cut: others crash a real Toxiproxy."""
    if toxic.type != "slicer":
        return toxic
    average = max(1, toxic.attributes["average_size"])
    variation = min(max(1, toxic.attributes["size_variation"]), average)
    return toxic.changed({"attributes": {"average_size": average, "size_variation": variation}})


def _written(place: Address) -> str:
    return f"[{place[0]}]:{place[1]}" if ":" in place[0] else f"{place[0]}:{place[1]}"


# --- whose a proxy is ---------------------------------------------------------------------------


def new_name() -> str:
    """Return a name for a proxy, that says which process made it: machine, number, and when it began."""
    pid = os.getpid()
    return f"{PREFIX}{_machine()}-{pid}-{_digest(start_of(pid))}-{next(_numbers)}"


def is_leftover(name: str) -> bool:
    """Say whether a proxy was made by a replaykit of this machine that is no more, though its number be used again."""
    parts = name.split("-")
    if not name.startswith(PREFIX) or len(parts) != _PARTS or not (parts[2].isascii() and parts[2].isdigit()):
        return False
    return parts[1] == _machine() and _digest(start_of(int(parts[2]))) != parts[3]


def _machine() -> str:
    """Say where the numbers of processes mean what they mean here: another container has others."""
    try:
        space = os.readlink("/proc/self/ns/pid")  # noqa: PTH115  this is no file
    except OSError:
        space = ""
    return _digest(f"{host()} {space}")


def _digest(said: str) -> str:
    return hashlib.sha256(said.encode()).hexdigest()[:10]


# --- the embedded one ---------------------------------------------------------------------------

_PROGRAM = (  # without `site`, which takes its time, and without the folder and the variables of whoever calls
    "import os, sys; sys.path.append(sys.argv.pop(1)); from replaykit.proxy import main; os._exit(main())"
)


class Embedded:
    """The embedded proxy as a process of its own, which ends with us. Use it as a context manager."""

    def __init__(self, seed: int | None = None) -> None:
        """Start it. Raises MachineError where it does not start."""
        self._owner = os.getpid()
        lifeline, self._hold = os.pipe()
        words = [sys.executable, "-I", "-S", "-c", _PROGRAM, str(Path(__file__).absolute().parent.parent)]
        words += ["--port", "0", "--lifeline", str(lifeline), *([] if seed is None else ["--seed", str(seed)])]
        self._heard, speaks = os.pipe()
        os.set_blocking(speaks, False)  # nobody listens after the first line: what finds no room there is lost
        try:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=speaks,
                stderr=subprocess.STDOUT,
                pass_fds=[lifeline],
                start_new_session=True,  # Ctrl-C is for us, who still may have use for it
                cwd="/",
            )
        except OSError as error:
            os.close(self._hold)
            os.close(self._heard)
            raise MachineError(
                f"No process can be started: {error.strerror}.", "Let the machine have more memory or processes."
            ) from None
        finally:
            os.close(lifeline)
            os.close(speaks)
        try:
            self.url = self._told()
        except BaseException:
            self.stop()
            raise

    def _told(self) -> str:
        """Wait for the line that says where it listens."""
        said, deadline = b"", time.monotonic() + PATIENCE
        while not said.endswith(b"\n"):
            more = self._hear(max(0.0, deadline - time.monotonic()))
            if not more:
                break
            said += more
        line = said.decode("utf-8", "replace").strip()
        if not line.startswith("http://") or "\n" in line:
            raise MachineError(f"The embedded proxy did not start: {line or 'it said nothing'}.", "Try it again.")
        return line

    def _hear(self, seconds: float) -> bytes:
        """Return what it says within a time; nothing where it says nothing, or has ended."""
        waiter = select.poll()  # which, unlike select, takes numbers above 1024
        waiter.register(self._heard, select.POLLIN)
        return os.read(self._heard, 4096) if waiter.poll(seconds * 1000) else b""

    def log(self) -> str:
        """Return the last lines of what it printed since it was asked last: what went wrong there."""
        said = b""
        while self._heard >= 0 and (more := self._hear(0.0)):
            said = (said + more)[-MOST_LOG:]
        return said.decode("utf-8", "replace").strip()

    def stop(self) -> None:
        """End it; a process that was forked from the one that started it only lets go of it."""
        if self._hold >= 0:
            os.close(self._hold)
            os.close(self._heard)
            self._hold = self._heard = -1
        if os.getpid() != self._owner:
            return
        self._process.terminate()  # whoever was forked from us may hold the lifeline still
        try:
            self._process.wait(ENDING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


# --- in between ---------------------------------------------------------------------------------


class Interposed:
    """A proxy that stands before a service: where, and what it is to do.

    Each method raises UnreachableError as well where somebody else took away what was there, as a reset of a Toxiproxy
    that is shared does: what a run has seen since then says nothing of the fault.
    """

    def __init__(self, toxiproxy: Toxiproxy, name: str, address: Address) -> None:
        self.toxiproxy, self.name, self.address = toxiproxy, name, address

    def add(self, toxic: Toxic) -> None:
        """Let a toxic act, on open connections too."""
        with self._undisturbed("its proxy"):
            self.toxiproxy.add(self.name, toxic)

    def remove(self, name: str) -> None:
        """Let a toxic act no more; what it holds back is passed on."""
        with self._undisturbed(f"the fault {name}"):
            self.toxiproxy.remove(self.name, name)

    def down(self) -> None:
        """Refuse connections, and close those that are open."""
        with self._undisturbed("its proxy"):
            self.toxiproxy.disable(self.name)

    def up(self) -> None:
        """Accept connections again, at the same address, after `down`."""
        with self._undisturbed("its proxy"):
            if self.toxiproxy.is_enabled(self.name):
                raise self._disturbed("what kept its proxy down")
            self.toxiproxy.enable(self.name)

    @contextlib.contextmanager
    def _undisturbed(self, what: str) -> Iterator[None]:
        try:
            yield
        except RefusedError as error:
            if error.status != NOT_FOUND:
                raise
            raise self._disturbed(what) from None

    def _disturbed(self, what: str) -> UnreachableError:
        return UnreachableError(
            f"Somebody else has taken away {what}, at the Toxiproxy at {self.toxiproxy.url}.",
            "Let nobody reset or change it while runs go through it; without --toxiproxy, replaykit starts a proxy of "
            "its own.",
        )


@contextlib.contextmanager
def interposed(
    upstream: Address, *, toxiproxy: str | None = None, port: int | None = None, seed: int | None = None
) -> Iterator[Interposed]:
    """Put a proxy before a service meanwhile: of the Toxiproxy at a URL, or of an embedded one that is started here.

    It listens at `port` where that is free, else at another. Which connections are hit by a toxic for a share of them
    follows from the seed, where one is given and the proxy is ours. Raises UnreachableError where there is no Toxiproxy
    or its proxy can't be reached from here, UsageError for one that is none or too old, MachineError.
    """
    with contextlib.ExitStack() as stack:
        if toxiproxy is None:
            embedded = stack.enter_context(Embedded(seed))
            api = Toxiproxy(embedded.url, embedded.log)
        else:
            api = Toxiproxy(toxiproxy)
            _require_spoken(api)
            sweep(api)
        name, owner = new_name(), os.getpid()
        try:
            proxy = Interposed(api, name, _made(api, name, upstream, port))
            if toxiproxy is not None:
                _require_reached(proxy)
            yield proxy
        finally:
            if os.getpid() == owner and toxiproxy is not None:
                with contextlib.suppress(RefusedError, UnreachableError, UsageError):  # it is gone, or will be swept
                    api.delete(name)


def sweep(api: Toxiproxy) -> list[str]:
    """Remove the proxies that a killed replaykit of this machine left; return their names."""
    found = [name for name in api.proxies() if is_leftover(name)]
    for name in found:
        with contextlib.suppress(RefusedError):  # somebody else was faster
            api.delete(name)
    return found


def _require_spoken(api: Toxiproxy) -> None:
    version = api.version()
    major = version.lstrip("v").partition(".")[0]
    if major.isdigit() and int(major) < OLDEST:
        raise UsageError(f"The Toxiproxy at {api.url} is too old: {version}.", f"Use version {OLDEST} or a later one.")


def _made(api: Toxiproxy, name: str, upstream: Address, port: int | None) -> Address:
    """Make the proxy, at a port or at another one, and return where it is reached from here."""
    near = api.host in _LOOPBACK
    listen = "127.0.0.1" if near else "0.0.0.0"  # noqa: S104  on another machine, it has to be reached from here
    if port is not None:
        with contextlib.suppress(MachineError):  # the port is taken
            return _reached_at(api, near, api.create(name, upstream, f"{listen}:{port}"))
    return _reached_at(api, near, api.create(name, upstream, f"{listen}:0"))


def _reached_at(api: Toxiproxy, near: bool, place: Address) -> Address:
    return place if near else (api.host, place[1])


def _require_reached(proxy: Interposed) -> None:
    try:
        socket.create_connection(proxy.address, timeout=PATIENCE).close()
    except OSError as error:
        raise UnreachableError(
            f"Toxiproxy at {proxy.toxiproxy.url} made a proxy at {_written(proxy.address)}, which can't be reached "
            f"from here: {error.strerror or error}.",
            "Where it runs in a container, let it have the network of the machine (--network host).",
        ) from None
