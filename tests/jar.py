"""A jar of coins over HTTP, a model of it, and its adapter: python tests/jar.py PORT [--keep FILE] [--bug NAME].

What it does is done once for each key, so that a client can ask again. Its bugs show where answers are lost only:
forgetful does again what was done already, careless has what was put in last on no disk.
"""

import argparse
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from replaykit import (
    Adapter,
    Command,
    Event,
    Model,
    Observation,
    check,
    expects,
    fault,
    gen,
    handles,
    observes,
    on,
    recovers,
    same,
)

NAMES = ("--model", f"{Path(__file__)}:ChaosJar", "--adapter", f"{Path(__file__)}:JarApi")


# --- the service --------------------------------------------------------------------------------


class Jar(ThreadingHTTPServer):
    """The service on loopback; in `with`. With a file, it outlives its process."""

    daemon_threads = True

    def __init__(self, port: int = 0, keep: Path | None = None, bugs: tuple[str, ...] = ()) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.keep, self.bugs = keep, set(bugs)
        self.asked: list[str] = []  # methods and paths
        self.delay = 0.0  # seconds before something is done
        self.lock = threading.Lock()
        self.coins: list[int] = []
        self.done: dict[str, int] = {}  # by its key
        if keep is not None and keep.exists():
            self.coins, self.done = json.loads(keep.read_text())

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up are part of the tests."""

    def answer(self, method: str, path: str, said: dict[str, Any]) -> tuple[int, Any]:
        """Answer a request."""
        self.asked.append(f"{method} {path}")
        if path == "/reset":
            self.coins, self.done = [], {}
            self.asked.clear()
            if self.keep is not None:
                self.keep.write_text("[[], {}]")
        elif method == "POST" and path in {"/coins", "/taken"}:
            time.sleep(self.delay)
            return self.change(path, said["key"], said.get("amount"))
        elif path.startswith("/taken/"):
            return 200, {"amount": self.done.get(path.rpartition("/")[2])}
        return 200, self.coins

    def change(self, path: str, key: str, amount: int | None) -> tuple[int, Any]:
        """Put a coin in, or take one out, but once for each key."""
        with self.lock:
            if key in self.done and "forgetful" not in self.bugs:
                return 200, {"amount": self.done[key]}
            if amount is None and not self.coins:
                return 409, {}
            written = json.dumps([self.coins, self.done])
            self.done[key] = self.coins.pop() if amount is None else amount
            if amount is not None:
                self.coins.append(amount)
            if self.keep is not None:
                is_kept = "careless" not in self.bugs
                self.keep.write_text(json.dumps([self.coins, self.done]) if is_kept else written)
            return 200, {"amount": self.done[key]}

    def __enter__(self) -> Self:
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.thread.join()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    """Reads a request, and says what the jar answers."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Jar

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        status, said = self.server.answer(self.command, self.path, sent)
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST  # noqa: N815  its name is the standard library's

    def log_message(self, *_: object) -> None:
        """Say nothing."""


# --- the model ----------------------------------------------------------------------------------


class Put(Command, idempotent=True):
    """Put a coin in."""

    key: Annotated[str, gen.mint("put")]
    amount: Annotated[int, gen.integers(1, 9)]


class Take(Command):
    """Take the last coin out."""

    key: Annotated[str, gen.mint("take")]


class Look(Command):
    """Look what is in it."""


class PutIn(Event):
    """A coin is in it."""

    amount: int


class Taken(Event):
    """A coin is out."""

    amount: int


class Empty(Event):
    """There was none."""


class Seen(Event):
    """What is in it."""

    coins: list[int]


class Coins(Observation):
    """What is in it."""

    coins: list[int]


class Piggy(Model):
    """What was put in, and not taken out."""

    commands: ClassVar[tuple[type[Command], ...]] = (Put, Take, Look)
    coins: list[int] = []  # noqa: RUF012

    @expects
    def put(self, cmd: Put) -> PutIn:
        """Predict what is put in."""
        return PutIn(amount=cmd.amount)

    @expects
    def take(self, cmd: Take) -> Taken | Empty:
        """Predict what is taken."""
        return Taken(amount=self.coins[-1]) if self.coins else Empty()

    @expects
    def look(self, cmd: Look) -> Seen:
        """Predict what is seen."""
        return Seen(coins=list(self.coins))

    @on
    def put_in(self, event: PutIn) -> None:
        """Write it down."""
        self.coins.append(event.amount)

    @on
    def taken(self, event: Taken) -> None:
        """Write it off."""
        self.coins.pop()

    @check
    def coins_match(self, seen: Coins) -> None:
        """Compare the coins."""
        same(seen.coins, self.coins)


class ChaosJar(Piggy):
    """The same, while answers are lost."""

    commands: ClassVar[tuple[type[Command], ...]] = (*Piggy.commands, fault.Timeout, fault.ErrorStatus)


class ShakenJar(Piggy):
    """The same, while the process is shaken."""

    commands: ClassVar[tuple[type[Command], ...]] = (*Piggy.commands, fault.Kill, fault.Pause, fault.Restart)


class JarApi(Adapter[Piggy]):
    """Says it over HTTP."""

    timeout = 2.0

    def reset(self) -> None:
        """Empty it."""
        self.http.post("/reset").raise_for_status()

    @handles
    def put(self, cmd: Put) -> PutIn:
        """Put a coin in."""
        answer = self.http.post("/coins", json={"key": cmd.key, "amount": cmd.amount})
        return PutIn(amount=answer.json()["amount"])

    @handles
    def take(self, cmd: Take) -> Taken | Empty:
        """Take one out."""
        answer = self.http.post("/taken", json={"key": cmd.key})
        return Empty() if answer.status_code == 409 else Taken(amount=answer.json()["amount"])

    @handles
    def look(self, cmd: Look) -> Seen:
        """Look."""
        return Seen(coins=self.http.get("/coins").json())

    @recovers(within=0.1)
    def was_taken(self, cmd: Take) -> Taken | None:
        """Find out whether it was taken."""
        amount = self.http.get(f"/taken/{cmd.key}").raise_for_status().json()["amount"]
        return None if amount is None else Taken(amount=amount)

    @observes
    def coins(self) -> Coins:
        """Read what is in it."""
        return Coins(coins=self.http.get("/coins").json())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--bug", action="append", default=[])
    told = parser.parse_args()
    Jar(told.port, told.keep, tuple(told.bug)).serve_forever()
