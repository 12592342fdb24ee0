"""RK2: what is never checked. Each Bad has one mistake, and the Good beside it has not."""

from typing import ClassVar

from lints.shop import AddItem, Item, ItemAdded, Refused, Shop, ShopApi, Stock, Take, Taken
from replaykit import Event, Like, Model, Observation, Ref, check, expects, invariant, like, on, same


class Blind(Model):
    """RK201: nothing at all is looked at."""

    commands: ClassVar = (AddItem, Take)
    items: dict[Ref[Item], Item] = {}  # noqa: RUF012

    @on
    def added(self, event: ItemAdded) -> None:
        self.items[event.item] = Item(name=event.name)


class Seeing(Blind):
    server_errors: ClassVar = True


class Unminded(Blind):
    """RK202: what is taken changes nothing, and is expected by nobody."""

    @expects
    def add(self, cmd: AddItem) -> Like[ItemAdded]:
        return like(ItemAdded, name=cmd.name)

    @check
    def all_are_there(self, stock: Stock) -> None:
        same(set(stock.counts), set(self.items))


class Minded(Unminded):
    @expects
    def take(self, cmd: Take) -> Taken:
        return Taken(item=cmd.item, amount=cmd.amount)


class Careless(Shop):
    """RK203: any amount will do, and it is not booked."""

    @expects
    def take(self, cmd: Take) -> Like[Taken]:
        return like(Taken, item=cmd.item)

    @on
    def taken(self, event: Taken) -> None:
        self.items[event.item].count += 1


class Trusting(Shop):
    """RK204: nobody looks whether anything was taken."""

    @expects
    def take(self, cmd: Take) -> Taken:
        return Taken(item=cmd.item, amount=cmd.amount)

    @on
    def taken(self, event: Taken) -> None:
        self.items[event.item].count += event.amount

    @check
    def stock_matches(self, stock: Stock) -> None:
        same(set(stock.counts), set(self.items))


class Indulgent(Shop):
    """RK205: whether it is taken or refused, all is well."""

    @expects
    def take(self, cmd: Take) -> tuple[Taken, Refused]:
        return Taken(item=cmd.item, amount=cmd.amount), Refused(status=400)

    @on
    def taken(self, event: Taken) -> None:
        pass


class Toothless(Shop):
    """RK206: a check that calls nothing."""

    @invariant
    def nothing_is_owed(self) -> None:
        [each.count >= 0 for each in self.items.values()]


class Left(Shop):
    """RK206: a check that is left before it compares anything."""

    @check
    def stock_matches(self, stock: Stock) -> None:
        if not self.items:
            same(stock.counts, {})
        return
        same(stock.counts, {ref: (each.name, each.count) for ref, each in self.items.items()})


class Elsewhere(Shop):
    """RK206: a check that looks at nothing that it was given."""

    @invariant
    def nothing_is_owed(self) -> None:
        same(1, 1)


class Vacuous(Shop):
    """RK207: a check that compares a thing with itself."""

    @check
    def stock_matches(self, stock: Stock) -> None:
        same(stock.counts, stock.counts)


class VacuousInvariant(Shop):
    """RK207: an invariant that holds whatever the state is."""

    @invariant
    def nothing_is_owed(self) -> None:
        assert sum(abs(each.count) for each in self.items.values()) >= 0


class Never(Event):
    pass


class Unlooked(Shop):
    """RK208: nobody says this event."""

    @check(on=Never)
    def stock_matches(self, stock: Stock) -> None:
        same(stock.counts, {ref: (each.name, each.count) for ref, each in self.items.items()})


class Postponed(Shop):
    """RK208: no run is so long."""

    @check(every=1000)
    def stock_matches(self, stock: Stock) -> None:
        same(stock.counts, {ref: (each.name, each.count) for ref, each in self.items.items()})


class Looked(Shop):
    @check(on=Taken)
    def stock_matches(self, stock: Stock) -> None:
        same(stock.counts, {ref: (each.name, each.count) for ref, each in self.items.items()})


class Wide(Observation):
    counts: dict[Ref[Item], tuple[str, int]]
    colour: str


class Overseen(Shop):
    """RK209: the colour is read, and nobody looks at it."""

    @check
    def stock_matches(self, stock: Wide) -> None:
        same(stock.counts, {ref: (each.name, each.count) for ref, each in self.items.items()})


class Noted(Shop):
    """RK210: what was asked is counted, and nobody reads the number."""

    asked: int = 0

    @on
    def taken(self, event: Taken) -> None:
        super().taken(event)
        self.asked += 1


class Used(Noted):
    @invariant
    def asked_forwards(self) -> None:
        assert self.asked >= 0


class Idle(Shop):
    """RK211: nobody writes what is read."""

    sold: dict[str, int] = {}  # noqa: RUF012

    @invariant
    def sold_forwards(self) -> None:
        assert all(each >= 0 for each in self.sold.values())


class Busy(Idle):
    @on
    def taken(self, event: Taken) -> None:
        super().taken(event)
        self.sold["all"] = event.amount


TWINS = [
    ("RK201", Blind, Seeing, ShopApi),
    ("RK202", Unminded, Minded, ShopApi),
    ("RK203", Careless, Shop, ShopApi),
    ("RK204", Trusting, Shop, ShopApi),
    ("RK205", Indulgent, Shop, ShopApi),
    ("RK206", Toothless, Shop, ShopApi),
    ("RK206", Left, Shop, ShopApi),
    ("RK206", Elsewhere, Shop, ShopApi),
    ("RK207", Vacuous, Shop, ShopApi),
    ("RK207", VacuousInvariant, Shop, ShopApi),
    ("RK208", Unlooked, Looked, ShopApi),
    ("RK208", Postponed, Looked, ShopApi),
    ("RK209", Overseen, Shop, ShopApi),
    ("RK210", Noted, Used, ShopApi),
    ("RK211", Idle, Busy, ShopApi),
]
