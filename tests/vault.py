"""A service of boxes that hold a number, with races in it that can be switched on, its model and its adapter."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Annotated, Any, ClassVar, Self

from replaykit import (
    Adapter,
    Command,
    Entity,
    Event,
    Like,
    Model,
    Observation,
    Ref,
    cassette,
    check,
    eventually,
    expects,
    gen,
    handles,
    invariant,
    like,
    observes,
    on,
    requires,
    same,
)
from replaykit.adapter import Adapters
from replaykit.bundle import Bundle, Provenance
from replaykit.cassette import Order
from replaykit.run import execute
from replaykit.sequence import Fixed, Sequence
from replaykit.trace import Trace

WINDOW = 0.01  # seconds between looking and acting, where a race is on
MOST = 3  # boxes in a run


class Service(ThreadingHTTPServer):
    """Boxes with a number in them; `races` says what is not done at once: add, key."""

    daemon_threads = True

    def __init__(self, *races: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.races = set(races)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.lock = threading.Lock()
        self.boxes: list[int] = []
        self.keys: dict[str, dict[str, Any]] = {}
        self.lose: list[str] = []  # paths whose answer is lost, once each
        self.late = 0  # how often the list still shows nothing
        self.room = 1000  # for boxes
        self.most = 1000  # in a box
        self.refused = -1  # a number that is not added
        self.asked = 0
        threading.Thread(target=self.serve_forever, args=[0.01], daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Do what is asked."""
        self.asked += 1
        if path == "/reset":
            self.boxes, self.keys = [], {}
            return 200, {}
        if path == "/boxes/new":
            with self.lock:
                if len(self.boxes) == self.room:
                    return 409, {}
                self.boxes.append(0)
                return 201, {"id": len(self.boxes) - 1}
        if path == "/boxes":
            self.late -= 1
            if self.late >= 0:
                return 200, {"boxes": []}
            return 200, {"boxes": self.boxes}
        if path == "/crash":
            return 500, {}
        return self.keyed(body, int(path.split("/")[2]))

    def keyed(self, body: dict[str, Any], box: int) -> tuple[int, dict[str, Any]]:
        """Add something, once for each key."""
        key = body.get("key")
        if "key" in self.races:
            if "forgotten" not in self.races and key in self.keys:
                return 200, self.keys[key]
            time.sleep(WINDOW)
            with self.lock:
                self.keys[key] = self.added(body, box)
                return 200, self.keys[key]
        with self.lock:
            if key is None or key not in self.keys:
                added = self.added(body, box)
                self.keys[key] = added
            return 200, self.keys[key]

    def added(self, body: dict[str, Any], box: int) -> dict[str, Any]:
        before = self.boxes[box]
        if "add" in self.races:
            self.lock.release()
            time.sleep(WINDOW)
            self.lock.acquire()
        if body["number"] != self.refused:
            self.boxes[box] = min(before + body["number"], self.most)
        return {"box": box, "now": self.boxes[box]}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Service

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
        status, said = self.server.answer(self.path, body)
        if self.path in self.server.lose:
            self.server.lose.remove(self.path)
            self.close_connection = True
            return
        text = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST  # noqa: N815  its name is the standard library's

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Box(Entity):
    number: int = 0


class Make(Command):
    pass


class Add(Command, weight=4, idempotent=True):
    box: Ref[Box]
    number: Annotated[int, gen.integers(1, 9)]
    key: Annotated[str, gen.mint("key")]


class Made(Event):
    box: Ref[Box]


class Added(Event):
    box: Ref[Box]
    number: int
    now: int


class Full(Event):
    pass


class Boxes(Observation):
    numbers: dict[Ref[Box], int]


class Vault(Model):
    commands: ClassVar = (Make, Add)
    boxes: dict[Ref[Box], Box] = {}  # noqa: RUF012
    server_errors: ClassVar = True

    @requires
    def few(self, _: Make) -> bool:
        return len(self.boxes) < MOST

    @expects
    def make(self, cmd: Make) -> Like[Made]:
        return like(Made)

    @expects
    def add(self, cmd: Add) -> Added:
        return Added(box=cmd.box, number=cmd.number, now=self.boxes[cmd.box].number + cmd.number)

    @on
    def made(self, event: Made) -> None:
        self.boxes[event.box] = Box()

    @on
    def added(self, event: Added) -> None:
        self.boxes[event.box].number = event.now

    @invariant
    def nothing_is_below_zero(self) -> None:
        assert all(box.number >= 0 for box in self.boxes.values())

    @check
    def numbers_match(self, seen: Boxes) -> None:
        same(seen.numbers, {ref: box.number for ref, box in self.boxes.items()})


class SilentVault(Vault):
    """Says nothing of what an addition answers; what is in the boxes shows it."""

    @expects
    def add(self, cmd: Add) -> Like[Added]:
        return like(Added, box=cmd.box, number=cmd.number)

    @on
    def added(self, event: Added) -> None:
        self.boxes[event.box].number += event.number


class PatientVault(Vault):
    """Lets the list take its time."""

    @eventually(within=5.0, every=0.02)
    def numbers_match(self, seen: Boxes) -> None:
        same(seen.numbers, {ref: box.number for ref, box in self.boxes.items()})


class SmallVault(Vault):
    """May be full."""

    @expects
    def make(self, cmd: Make) -> tuple[Like[Made], Full]:
        return like(Made), Full()


class VaultApi(Adapter[Vault]):
    timeout = 2.0

    def reset(self) -> None:
        self.http.post("/reset").raise_for_status()

    @handles
    def make(self, cmd: Make) -> Made | Full:
        answer = self.http.post("/boxes/new")
        return Full() if answer.is_error else Made(box=self.ref(Box, answer.json()["id"]))

    @handles
    def add(self, cmd: Add) -> Added:
        said = self.http.post(f"/boxes/{cmd.box.id}/add", json={"number": cmd.number, "key": cmd.key}).json()
        return Added(box=cmd.box, number=cmd.number, now=said["now"])

    @observes
    def all(self) -> Boxes:
        numbers = self.http.get("/boxes").json()["boxes"]
        return Boxes(numbers={self.ref(Box, box): number for box, number in enumerate(numbers)})


# --- running it ---------------------------------------------------------------------------------


def run(
    service: Service,
    sequence: Sequence,
    model: type[Model] = Vault,
    adapter: type[Adapter[Any]] = VaultApi,
    **options: Any,
) -> Trace:
    """Run a sequence once."""
    adapters = Adapters(model, adapter, service.url, {})
    try:
        return execute(model, adapters.new(), Fixed(sequence), **options)
    finally:
        adapters.close()


def played(
    trace: Trace, model: type[Model] = Vault, adapter: type[Adapter[Any]] = VaultApi, order: Order = "strict"
) -> Trace:
    """Run the sequence of a trace against its own cassette."""
    adapters = Adapters(model, adapter, "http://127.0.0.1:1", {})
    player = cassette.played(trace, order)
    try:
        return execute(model, adapters.new(), Fixed(trace.sequence), cassette=player, nonce=trace.nonce or None)
    finally:
        adapters.close()


def bundled(trace: Trace) -> Bundle:
    """Put a trace into a bundle."""
    names = {"model": "vault:Vault", "adapter": "vault:VaultApi", "model_digest": "0"}
    return Bundle(origin=Provenance(**names, campaign_seed=1, run=0, seed=1, commands=9), trace=trace)
