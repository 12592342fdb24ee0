"""A small shop, without a mistake: what the twins in this folder are made from."""

from typing import Annotated, ClassVar

from replaykit import (
    Adapter,
    Command,
    Entity,
    Event,
    Like,
    Model,
    Observation,
    Ref,
    check,
    expects,
    gen,
    handles,
    invariant,
    like,
    observes,
    on,
    same,
)

Name = Annotated[str, gen.pool(gen.text(gen.letters(), min_size=1, max_size=4), size=5)]
Amount = Annotated[int, gen.integers(1, 5)]


class Item(Entity):
    name: str
    count: int = 10


class AddItem(Command):
    name: Name


class Take(Command, weight=3):
    item: Ref[Item]
    amount: Amount


class ItemAdded(Event):
    item: Ref[Item]
    name: str


class Taken(Event):
    item: Ref[Item]
    amount: int


class Refused(Event):
    status: int


class Stock(Observation):
    counts: dict[Ref[Item], tuple[str, int]]


class Shop(Model):
    commands: ClassVar[tuple[type[Command], ...]] = (AddItem, Take)
    items: dict[Ref[Item], Item] = {}  # noqa: RUF012

    @expects
    def add(self, cmd: AddItem) -> Like[ItemAdded] | Refused:
        if any(each.name == cmd.name for each in self.items.values()):
            return Refused(status=409)
        return like(ItemAdded, name=cmd.name)

    @expects
    def take(self, cmd: Take) -> Taken | Refused:
        if self.items[cmd.item].count < cmd.amount:
            return Refused(status=400)
        return Taken(item=cmd.item, amount=cmd.amount)

    @on
    def added(self, event: ItemAdded) -> None:
        self.items[event.item] = Item(name=event.name)

    @on
    def taken(self, event: Taken) -> None:
        self.items[event.item].count -= event.amount

    @invariant
    def nothing_is_owed(self) -> None:
        assert all(each.count >= 0 for each in self.items.values())

    @check
    def stock_matches(self, stock: Stock) -> None:
        same(stock.counts, {ref: (each.name, each.count) for ref, each in self.items.items()})


class ShopApi(Adapter[Shop]):
    def reset(self) -> None:
        self.http.post("/reset")

    @handles
    def add(self, cmd: AddItem) -> ItemAdded | Refused:
        answer = self.http.post("/items", json={"name": cmd.name})
        if answer.is_error:
            return Refused(status=answer.status_code)
        return ItemAdded(item=self.ref(Item, answer.json()["id"]), name=answer.json()["name"])

    @handles
    def take(self, cmd: Take) -> Taken | Refused:
        answer = self.http.post(f"/items/{cmd.item.id}/take", json={"amount": cmd.amount})
        return Refused(status=answer.status_code) if answer.is_error else Taken(item=cmd.item, amount=cmd.amount)

    @observes
    def stock(self) -> Stock:
        rows = self.http.get("/items").json()
        return Stock(counts={self.ref(Item, row["id"]): (row["name"], row["count"]) for row in rows})
