"""The command line in a process of its own, which is forked from one that has imported all of replaykit already.

Imports are two thirds of what a short command takes, and the tests run many hundred. What a command does is what it
does after `python -m replaykit`: it has its own arguments, environment, folder, output and exit code. What is not
looked at in this way is a start from nothing: the order of imports, and the seed of hashes, which is another one in
each process that is started anew. `replaykit(..., anew=True)` of the tests does that, and other tests start it by
its name.

Run as a program, it waits at a socket, the file descriptor that is named, for one message for each command.
"""

import array
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

MESSAGE = 1 << 20  # bytes
SOON = 10  # seconds, in which a command that was asked for is there
NEVER_LOADED = {"replaykit.__main__", "replaykit.pytest_plugin", "replaykit.cluster"}


class Nursery:
    """The process that commands are forked from; end it at the end."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment,
            )  # fmt: skip

    def run(self, arguments: list[str], cwd: Path, environment: dict[str, str], timeout: float) -> tuple[int, str, str]:
        """Run `python -m replaykit`; return its exit code, and what it printed. Raises subprocess.TimeoutExpired."""
        asked = json.dumps({"arguments": arguments, "cwd": str(cwd), "environment": environment}).encode()
        with contextlib.ExitStack() as stack:
            pipes = [os.pipe() for _ in range(3)]  # standard output, standard error, how it ended
            begins = [begin for begin, _ in pipes]
            for begin in begins:
                stack.callback(os.close, begin)
            try:
                socket.send_fds(self._socket, [asked], [end for _, end in pipes])
            finally:
                for _, end in pipes:
                    os.close(end)
            read: dict[int, bytearray] = {begin: bytearray() for begin in begins}
            if not _read(read, time.monotonic() + timeout):
                _kill(begins[-1], bytes(read[begins[-1]]))
                raise subprocess.TimeoutExpired(arguments, timeout)
        out, err, told = (bytes(each) for each in read.values())
        if len(told.split()) < 2:
            raise ChildProcessError(f"what waited for {arguments} was ended, and told nothing but {told!r}")
        return int(told.split()[1]), _text(out), _text(err)

    def close(self) -> None:
        """Let the process end."""
        self._socket.close()
        self._process.wait()


def _read(read: dict[int, bytearray], deadline: float) -> bool:
    """Read pipes to their ends; say whether all were there before the deadline."""
    with selectors.DefaultSelector() as selector:
        for begin in read:
            selector.register(begin, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select(max(0.0, deadline - time.monotonic())):
                some = os.read(key.fd, 1 << 16)
                read[key.fd] += some
                if not some:
                    selector.unregister(key.fd)
            if selector.get_map() and time.monotonic() > deadline:
                return False
    return True


def _kill(told: int, said: bytes) -> None:
    """End the command that a pipe names; where it does not yet, it does so soon, or there is none."""
    if not said and select.select([told], [], [], SOON)[0]:
        said = os.read(told, 1 << 16)
    if len(said.split()) == 1:  # else it has ended, and only what it started has not
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(said), signal.SIGKILL)


def _text(content: bytes) -> str:
    return content.decode().replace("\r\n", "\n").replace("\r", "\n")


# --- in the process that is forked --------------------------------------------------------------


def load() -> None:
    """Import all of replaykit, but for what is only for others."""
    import replaykit

    for module in pkgutil.walk_packages(replaykit.__path__, "replaykit."):
        if module.name not in NEVER_LOADED:
            importlib.import_module(module.name)
    assert threading.active_count() == 1
    gc.collect()
    gc.freeze()


def serve(asked: socket.socket) -> None:
    """Fork a process for each message, until nobody can send one any more; in that process, return."""
    while True:
        message, fds, _, _ = socket.recv_fds(asked, MESSAGE, 3)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not message:
            os._exit(0)
        if os.fork() == 0:
            asked.close()
            become(json.loads(message), array.array("i", fds))
            return
        for each in fds:
            os.close(each)


def become(command: dict, fds: "array.array[int]") -> None:
    """Fork once more, and be the command there; here, wait for it, and tell how it ended."""
    *streams, told = fds
    child = os.fork()
    if child:
        for each in streams:
            os.close(each)
        os.write(told, b"%d " % child)
        os.write(told, b"%d" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        os._exit(0)
    os.close(told)
    for number, each in enumerate(streams, 1):
        os.dup2(each, number)
        os.close(each)
    os.chdir(command["cwd"])
    os.environ.clear()
    os.environ.update(command["environment"])
    sys.path[:] = [str(Path.cwd()), *_named(), *BARE]
    sys.path_importer_cache.clear()
    sys.argv = ["-m", *command["arguments"]]


def _named() -> list[str]:
    """List the folders that PYTHONPATH names, as Python does when it is started."""
    return [str(Path(each).absolute()) for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]


if __name__ == "__main__":
    BARE = [each for each in sys.path[1:] if each not in _named()]
    load()
    serve(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_module("replaykit", run_name="__main__", alter_sys=True)
