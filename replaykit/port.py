"""A port of this machine: one that is free, whose it is among us, and who listens there.

A service takes its time until it listens, and nothing keeps a port for it meanwhile. So a port is taken with a lock as
well, which other replaykits respect; and once something answers there, it is looked whether that is what we started.
"""

import contextlib
import os
import random
import socket
import stat
import struct
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from replaykit.errors import UnreachableError
from replaykit.lock import Lock

PORTS = range(20_000, 32_000)  # below those that Linux (from 32,768), macOS and IANA (from 49,152) give away
MOST_PORTS = 100  # that are tried


class Port:
    """A port that is ours as long as it is held, as far as other replaykits go."""

    def __init__(self, number: int, lock: Lock | None = None) -> None:
        self.number = number
        self._lock = lock

    @classmethod
    def free(cls) -> Self:
        """Take a TCP port of the loopback interface that is free now.

        It is none of those that systems give to clients, and to servers that take any: a service takes its time until
        it listens, and somebody else may have been given the port by then, and answer in its place.
        """
        for number in [*random.SystemRandom().sample(PORTS, MOST_PORTS), 0]:
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", number))
                port = cls.taken(int(probe.getsockname()[1]))
                if port is not None:
                    return port
        raise UnreachableError("There is no free port on this machine.", "Stop what holds them.")

    @classmethod
    def taken(cls, number: int) -> Self | None:
        """Take this port; None where another replaykit, or another part of this one, has it."""
        try:
            lock = Lock(_folder() / str(number))
            return cls(number, lock) if lock.take() else None
        except OSError:  # without a place for locks, nobody knows of each other
            return cls(number)

    def release(self) -> None:
        """Let others take it."""
        if self._lock is not None:
            self._lock.release(removed=True)


def free_port() -> int:
    """Return a TCP port of the loopback interface that is free now, and that no replaykit has; see `Port.free`."""
    port = Port.free()
    port.release()
    return port.number


def _folder() -> Path:
    """Give the folder of the locks of this user. Raises OSError where there is none that is theirs alone."""
    folder = Path(tempfile.gettempdir()) / f"replaykit-ports-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError
    return folder


# --- who listens there --------------------------------------------------------------------------


def now() -> int:
    """Say when it is, as the system says when a process began: in ticks since the machine did (Linux)."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return int(time.clock_gettime(clock) * os.sysconf("SC_CLK_TCK"))


def stranger_at(number: int, ours: int, began: int) -> str | None:
    """Say which process listens at a port, where it is none of `ours`, which is a process with its descendants.

    None where it is one of them, and where the system does not tell (it does on Linux, of processes of this user).
    One that did not begin before the moment `began`, see `now`, may be what they asked for elsewhere, as that of a
    container; it is none either.
    """
    sockets = _listening(number)
    if not sockets:
        return None
    left = set(sockets)
    for process in _family(ours):
        left -= _held(process, left)
        if not left:
            return None
    for entry in _listed("/proc"):
        if entry.isdigit() and _held(int(entry), left):
            since = _began(int(entry))
            if since is not None and since < began:
                return f"process {entry} ({_name(int(entry))})"
    return None


_NETLINK, _DIAG = 16, 4  # a family of sockets and a protocol of it, see sock_diag(7)
_BY_FAMILY, _DUMP, _DONE, _ERROR = 20, 0x301, 3, 2
_TCP, _LISTENS = 6, 1 << 10
_HERE = {  # addresses at which 127.0.0.1 is answered
    bytes([127, 0, 0, 1]) + bytes(12), bytes(16), bytes(10) + b"\xff\xff\x7f\0\0\1", bytes(15) + b"\1",
}  # fmt: skip


def _listening(number: int) -> set[str]:
    """List the sockets that listen at a port of the loopback interface, as the links in /proc/PID/fd name them.

    The system is asked over netlink for these alone: reading /proc/net/tcp takes some 10 ms, since it goes through a
    table with room for all connections.
    """
    found = set()
    try:
        with socket.socket(_NETLINK, socket.SOCK_DGRAM, _DIAG) as asking:
            asking.settimeout(1.0)
            for family in (socket.AF_INET, socket.AF_INET6):
                asked = struct.pack("=IHHIIBBBBI48x", 72, _BY_FAMILY, _DUMP, 0, 0, family, _TCP, 0, 0, _LISTENS)
                asking.send(asked)
                found |= {inode for port, address, inode in _told(asking) if port == number and address in _HERE}
    except (OSError, struct.error):
        return set()
    return {f"socket:[{inode}]" for inode in found}


def _told(asking: socket.socket) -> Iterator[tuple[int, bytes, int]]:
    """Read the answer, message by message: port, address and inode. Raises OSError, struct.error."""
    while True:
        rest = asking.recv(1 << 17)
        while rest:
            length, kind = struct.unpack_from("=IH", rest)
            if kind in {_DONE, _ERROR} or length < struct.calcsize("=IHHII"):
                return
            (port,), address = struct.unpack_from("!H", rest, 20), rest[24:40]
            (inode,) = struct.unpack_from("=I", rest, 84)
            yield port, address, inode
            rest = rest[(length + 3) & ~3 :]


def _family(process: int) -> Iterator[int]:
    """List a process and its descendants."""
    left = [process]
    while left:
        each = left.pop()
        yield each
        for thread in _listed(f"/proc/{each}/task"):
            with contextlib.suppress(OSError):
                children = Path(f"/proc/{each}/task/{thread}/children").read_text(encoding="ascii")
                left += [int(child) for child in children.split()]


def _held(process: int, sockets: set[str]) -> set[str]:
    """List those of the sockets that a process has open."""
    found, place = set(), f"/proc/{process}/fd"
    for file in _listed(place):
        with contextlib.suppress(OSError):
            link = os.readlink(f"{place}/{file}")  # noqa: PTH115  there may be many
            if link in sockets:
                found.add(link)
    return found


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208  there may be many
    except OSError:
        return []


def _began(process: int) -> int | None:
    """Say when a process began, in ticks since the machine did; None where it is gone."""
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        return int(text.rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def _name(process: int) -> str:
    try:
        return Path(f"/proc/{process}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "gone meanwhile"
