"""A relay: listens at one address, and passes on to another what comes, past toxics; Toxiproxy calls it a proxy."""

import errno
import socket
from collections.abc import Iterator
from random import Random
from typing import Any

from replaykit.link import End, Link
from replaykit.loop import WRITE, Gate, Loop
from replaykit.toxic import STREAMS, RefusedError, Toxic

BACKLOG = 1024
HIGHEST = 65535
LISTEN, DIAL = "listen tcp", "dial tcp"

Address = tuple[str, int]


# --- addresses ----------------------------------------------------------------------------------


def address(said: str, verb: str) -> Address:
    """Read HOST:PORT; without a host, it is that of loopback. Raises RefusedError, with Go's words.

    Who listens nowhere in particular does so at a free port.
    """
    status = 500 if verb == LISTEN else 400  # as Toxiproxy answers, which does not look at the other one
    said = said or (":0" if verb == LISTEN else "")
    host, colon, port = said.rpartition(":")
    if not colon or (":" in host and not (host.startswith("[") and host.endswith("]"))):
        raise RefusedError(f"{verb}: address {said}: missing port in address", status=status)
    if not (port.isascii() and port.isdigit() and len(port) <= len(str(HIGHEST)) and int(port) <= HIGHEST):
        raise RefusedError(f"{verb}: address {port}: invalid port", status=status)
    return host.strip("[]") or "127.0.0.1", int(port)


def written(place: Address) -> str:
    """Write HOST:PORT."""
    return f"[{place[0]}]:{place[1]}" if ":" in place[0] else f"{place[0]}:{place[1]}"


def _found(place: Address) -> list[tuple[socket.AddressFamily, Any]]:
    """Look up a host. Raises OSError."""
    try:
        found = socket.getaddrinfo(*place, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise OSError(errno.EINVAL, "no such host") from None
    return sorted(((each[0], each[4]) for each in found), key=lambda each: each[0] != socket.AF_INET)


def bound(place: Address) -> socket.socket:
    """Return a socket that has an address, and does not listen yet. Raises OSError."""
    family, where = _found(place)[0]
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind(where)
    except BaseException:
        sock.close()
        raise
    return sock


# --- connections and relays -----------------------------------------------------------------------


class Connection:
    """One connection through a relay: first the service is dialled, then both ends are linked."""

    def __init__(self, relay: "Relay", client: socket.socket) -> None:
        self._relay, self._client = relay, client
        self._dialled: socket.socket | None = None
        self._lots = relay.lots()
        self.links: dict[str, Link] = {}
        self._ends: tuple[End, ...] = ()
        self._is_closed = False
        self._places: Iterator[tuple[socket.AddressFamily, Any]] = iter(())

    def begin(self) -> None:
        """Dial the service; where it can't be reached, the client is let go."""
        try:
            self._places = iter(_found(self._relay.dialled))
        except OSError:
            self._places = iter(())
        self._dial()

    def _dial(self) -> None:
        loop = self._relay.loop
        for family, where in self._places:
            try:
                sock = socket.socket(family, socket.SOCK_STREAM)
            except OSError:
                continue
            sock.setblocking(False)
            code = sock.connect_ex(where)
            if code in {0, errno.EINPROGRESS}:
                self._dialled = sock
                loop.watch(sock, WRITE, lambda _, sock=sock: self._reached(sock), self.close)  # type: ignore[misc]
                return
            sock.close()
        self.close()

    def _reached(self, sock: socket.socket) -> None:
        self._relay.loop.forget(sock)
        self._dialled = None
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            sock.close()
            self._dial()
            return
        relay, loop = self._relay, self._relay.loop
        for each in (self._client, sock):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client, service = (End(loop, each, self._lost, self.close) for each in (self._client, sock))
        self._ends = (client, service)
        self.links["upstream"] = Link(loop, relay.random, client, service, relay.toxics_of("upstream"), self._lots)
        self.links["downstream"] = Link(loop, relay.random, service, client, relay.toxics_of("downstream"), self._lots)
        for end in self._ends:
            end.begin()

    def _lost(self) -> None:
        """Forget it once both ends are closed."""
        if self._ends and all(end.is_closed for end in self._ends):
            self._is_closed = True
            for link in self.links.values():
                link.give_up()
            self._relay.connections.discard(self)

    def close(self) -> None:
        """Close it at once, whatever is under way."""
        if self._is_closed:
            return
        self._is_closed = True
        for link in self.links.values():
            link.give_up()
        for end in self._ends:
            end.close()
        if self._dialled is not None:
            self._relay.loop.forget(self._dialled)
            self._dialled.close()
        if not self._ends:
            self._client.close()
        self._relay.connections.discard(self)


class Relay:
    """Listens at one address, and passes on to another what comes, as its toxics have it."""

    def __init__(self, loop: Loop, seed: int | None, name: str, listen: str, upstream: str) -> None:
        self.loop, self.random, self.name = loop, Random(seed), name
        self._seed = seed
        self._lots: dict[str, Random] = {}  # by the name of the toxic
        self.listen, self.upstream = listen, upstream
        self.dialled = address(upstream, DIAL)
        self.toxics: list[Toxic] = []
        self.connections: set[Connection] = set()
        self._gate: Gate | None = None
        self._kept: socket.socket | None = None  # has the port while it is disabled, so that nobody else is given it

    @property
    def enabled(self) -> bool:
        """Whether it listens."""
        return self._gate is not None

    def toxics_of(self, stream: str) -> Iterator[Toxic]:
        """Give the toxics of one direction, in their order."""
        return (toxic for toxic in self.toxics if toxic.stream == stream)

    def start(self) -> None:
        """Listen. Raises RefusedError where that can't be."""
        if self.enabled:
            return
        sock, self._kept = self._kept, None
        try:
            if sock is None:
                sock = bound(address(self.listen, LISTEN))
            sock.listen(BACKLOG)
        except OSError as error:
            if sock is not None:
                sock.close()
            raise RefusedError(f"{LISTEN} {self.listen}: bind: {(error.strerror or '').lower()}", status=500) from None
        self.listen = written(sock.getsockname()[:2])
        self._gate = Gate(self.loop, sock, self._accept)

    def _accept(self, client: socket.socket) -> None:
        connection = Connection(self, client)
        self.connections.add(connection)
        connection.begin()

    def stop(self, *, is_kept: bool = True) -> None:
        """Listen no more, and close all connections; the port stays ours where it is to be enabled again."""
        if self._gate is not None:
            self._gate.close()
            self._gate = None
            if is_kept:
                try:
                    self._kept = bound(address(self.listen, LISTEN))
                except OSError:
                    self._kept = None
        elif not is_kept and self._kept is not None:
            self._kept.close()
            self._kept = None
        for connection in list(self.connections):
            connection.close()

    def change(self, listen: str, upstream: str, *, enabled: bool) -> None:
        """Let it be elsewhere, or enabled, or not. Raises RefusedError."""
        if not self.is_same(listen, upstream):
            dialled = address(upstream, DIAL)
            address(listen, LISTEN)
            self.stop(is_kept=False)
            self.listen, self.upstream, self.dialled = listen, upstream, dialled
        if enabled:
            self.start()
        else:
            self.stop()

    def is_same(self, listen: str, upstream: str) -> bool:
        """Say whether it is at an address, or at another name of it, and passes on to another."""
        if upstream != self.upstream:
            return False
        try:
            return listen == self.listen or written(_found(address(listen, LISTEN))[0][1][:2]) == self.listen
        except (RefusedError, OSError):
            return False

    def toxic(self, name: str) -> Toxic:
        """Return one of its toxics. Raises RefusedError."""
        for each in self.toxics:
            if each.name == name:
                return each
        raise RefusedError("toxic not found", status=404)

    def lots(self) -> dict[str, float]:
        """Draw the lots of a new connection: from 0 to 1 for each toxic, which hits it below its toxicity.

        They follow from the seed, the name of the toxic, and the number of the connection since the toxic is there.
        """
        return {name: random.random() for name, random in self._lots.items()}

    def _links(self, stream: str) -> list[Link]:
        return [connection.links[stream] for connection in self.connections if stream in connection.links]

    def add(self, toxic: Toxic) -> None:
        """Let a toxic act, on the connections that are open too. Raises RefusedError."""
        if any(each.name == toxic.name for each in self.toxics):
            raise RefusedError("toxic already exists", status=409)
        self.toxics.append(toxic)
        self._lots[toxic.name] = Random(None if self._seed is None else f"{self._seed} {toxic.name}")
        for link in self._links(toxic.stream):
            link.add(toxic)

    def alter(self, toxic: Toxic) -> None:
        """Let one of its toxics act otherwise."""
        self.toxics = [toxic if each.name == toxic.name else each for each in self.toxics]
        for link in self._links(toxic.stream):
            link.change(toxic)

    def remove(self, toxic: Toxic) -> None:
        """Let a toxic act no more."""
        self.toxics.remove(toxic)
        del self._lots[toxic.name]
        for link in self._links(toxic.stream):
            link.remove(toxic.name)

    def as_json(self) -> dict[str, Any]:
        """Return it as Toxiproxy's API shows it."""
        toxics = [toxic.as_json() for stream in STREAMS for toxic in self.toxics_of(stream)]
        return {
            "name": self.name,
            "listen": self.listen,
            "upstream": self.upstream,
            "enabled": self.enabled,
            "toxics": toxics,
        }
