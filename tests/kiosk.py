"""A service whose answers are full of noise, with changes that can be switched on, a model of it and its adapter."""

import json
import uuid
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Annotated, Any, ClassVar

from conftest import Loopback

from replaykit import (
    Adapter,
    Command,
    Entity,
    Event,
    Model,
    Observation,
    Ref,
    check,
    expects,
    gen,
    handles,
    observes,
    on,
)
from replaykit.adapter import Adapters
from replaykit.bundle import Bundle, Provenance
from replaykit.judging import Trial
from replaykit.latency import budgets_of
from replaykit.model import digest_of
from replaykit.reader import read
from replaykit.sequence import Call
from replaykit.trace import Step, Trace
from replaykit.writer import save


class Kiosk(Loopback):
    """A service on loopback that sells things in carts; in `with`. `changes` says what is otherwise than it was."""

    def __init__(self, *changes: str) -> None:
        self.changes = set(changes)
        self.carts: dict[str, dict[str, Any]] = {}
        self.note = ""
        self.number = self.resets = 0
        kiosk = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                sent = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
                status, said = kiosk.answer(self.command, self.path, sent)
                body = b"" if status == 204 else json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                if status == 201:
                    self.send_header("Location", f"/carts/{said['id']}")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(Handler)

    def answer(self, method: str, path: str, sent: dict[str, Any]) -> tuple[int, Any]:
        """Answer a request."""
        if path == "/reset":
            self.carts = {}
            self.resets += 1
            return 200, {}
        if path == "/api/health":
            return 200, {}
        if method == "GET":
            listed = [{"id": each["id"], "total": each["total"]} for each in self.carts.values()]
            turned = listed[::-1] if self.resets % 2 else listed  # in no order that anybody promises
            return 200, {"carts": turned, "took": uuid.uuid4().hex[:8]}
        if path == "/carts":
            self.number += 1
            cart = {
                "id": str(uuid.uuid4()),
                "owner": sent["owner"],
                "created": datetime.now(UTC).isoformat(),
                "number": self.number,
                "trace": uuid.uuid4().hex,
                "note": None,
                "total": 0,
            }
            self.carts[cart["id"]] = cart
            return 201, self.changed(cart)
        cart = self.carts[path.split("/")[2]]
        cart["total"] += sent["amount"] + ("overcharged" in self.changes)
        said = {"cart": cart["id"], "total": cart["total"], "unit": "EUR", "rows": [sent["amount"]]}
        if "mixed-up" in self.changes:
            said["cart"] = next(iter(self.carts))
        return 200, self.changed(said)

    def changed(self, said: dict[str, Any]) -> dict[str, Any]:
        """Return an answer with the changes that are on."""
        said = dict(said)
        if "more" in self.changes:
            said["more"] = True
        if "less" in self.changes:
            said.pop("note", None)
        if "text" in self.changes and "number" in said:
            said["number"] = str(said["number"])
        if "dollars" in self.changes and "unit" in said:
            said["unit"] = "USD"
        if "sometimes" in self.changes and self.resets % 2 and "unit" in said:
            said["unit"] = "USD"
        if "noted" in self.changes and "note" in said:
            said["note"] = self.note
        if "longer" in self.changes and "rows" in said:
            said["rows"] = [*said["rows"], 7]
        if "growing" in self.changes and "rows" in said:
            said["rows"] = [7] * self.resets
        return said


class Cart(Entity):
    """What somebody buys."""

    total: int = 0


class OpenCart(Command):
    """Begin to buy."""

    owner: Annotated[str, gen.mint("owner")]


class Add(Command):
    """Buy something."""

    cart: Ref[Cart]
    amount: int


class Opened(Event):
    """A cart was opened."""

    cart: Ref[Cart]


class Added(Event):
    """Something was bought."""

    total: int


class Totals(Observation):
    """What is in all carts."""

    rows: dict[str, int]


class Buying(Model):
    """What the kiosk should do."""

    commands: ClassVar = (OpenCart, Add)
    carts: dict[Ref[Cart], Cart] = {}  # noqa: RUF012

    @expects
    def add(self, cmd: Add) -> Added:
        return Added(total=self.carts[cmd.cart].total + cmd.amount)

    @on
    def opened(self, event: Opened) -> None:
        self.carts[event.cart] = Cart()

    @check(on=OpenCart)
    def as_many(self, totals: Totals) -> None:
        assert len(totals.rows) == len(self.carts)


class BuyingApi(Adapter[Buying]):
    """The kiosk over HTTP."""

    def reset(self) -> None:
        self.http.post("/reset").raise_for_status()

    @handles
    def open(self, cmd: OpenCart) -> Opened:
        return Opened(cart=self.ref(Cart, self.http.post("/carts", json={"owner": cmd.owner}).json()["id"]))

    @handles
    def add(self, cmd: Add) -> Added:
        said = self.http.post(f"/carts/{cmd.cart.id}/items", json={"amount": cmd.amount}).json()
        return Added(total=said["total"])

    @observes
    def totals(self) -> Totals:
        rows = self.http.get("/carts").json()["carts"]
        return Totals(rows={str(self.ref(Cart, row["id"])): row["total"] for row in rows})


SEQUENCE = (
    Call(label=0, tag="open_cart", args={"owner": "{owner~1}"}),
    Call(label=1, tag="open_cart", args={"owner": "{owner~2}"}),
    Call(label=2, tag="add", args={"cart": "cart@1", "amount": 1}),
    Call(label=3, tag="add", args={"cart": "cart@0", "amount": 2}),
)
PROVENANCE = Provenance(
    model="tests/kiosk.py:Buying", adapter="tests/kiosk.py:BuyingApi", model_digest=digest_of(Buying),
    campaign_seed=1, run=0, seed=1, commands=4,
)  # fmt: skip


def run(kiosk: Kiosk) -> Trace:
    """Run the sequence against a kiosk."""
    asked = Trace(steps=tuple(Step(call=call) for call in SEQUENCE), ending="passed")
    adapters = Adapters(Buying, BuyingApi, kiosk.url, {})
    try:
        return Trial(Bundle(origin=PROVENANCE, trace=asked), adapters, budgets_of(Buying, BuyingApi, {})).execute()
    finally:
        adapters.close()


def bundle(kiosk: Kiosk, path: Path) -> Bundle:
    """Save a run of the sequence as a bundle, and read it back."""
    save(path, PROVENANCE.replace(url=kiosk.url), run(kiosk))
    return read(path)
