"""RK3: what does not meet. Each Bad has one mistake, and the Good beside it has not."""

from typing import Annotated, ClassVar

from lints.shop import AddItem, Item, ItemAdded, Refused, Shop, ShopApi, Stock, Take, Taken
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
    fault,
    gen,
    handles,
    like,
    observes,
    on,
    recovers,
    same,
)


class Rename(Command):
    item: Ref[Item]
    name: Annotated[str, gen.text(max_size=5)]


class Renaming(Shop):
    """RK301: the adapter of the shop renames nothing."""

    commands: ClassVar = (*Shop.commands, Rename)


class Prices(Observation):
    all: list[int]


class Priced(Shop):
    """RK301: the adapter of the shop reads no prices."""

    @check
    def prices_match(self, prices: Prices) -> None:
        same(prices.all, [0 for _ in self.items])


class Forgetful(Shop):
    """RK302, RK303: nothing is renamed, and nobody looks at prices."""


class ForgetfulApi(Adapter[Forgetful]):
    def reset(self) -> None:
        self.http.post("/reset")

    @handles
    def add(self, cmd: AddItem) -> ItemAdded | Refused:
        return ItemAdded(item=self.ref(Item, 1), name=cmd.name)

    @handles
    def take(self, cmd: Take) -> Taken | Refused:
        return Taken(item=cmd.item, amount=cmd.amount)

    @handles
    def rename(self, cmd: Rename) -> Refused:
        self.http.post(f"/items/{cmd.item.id}", json={"name": cmd.name})
        return Refused(status=404)

    @observes
    def stock(self) -> Stock:
        return Stock(counts={})

    @observes
    def prices(self) -> Prices:
        return Prices(all=[])


class Basket(Entity):
    pass


class OpenBasket(Command):
    pass


class DropBasket(Command):
    basket: Ref[Basket]


class BasketOpened(Event):
    basket: Ref[Basket]


class BasketDropped(Event):
    basket: Ref[Basket]


class Baskets(Model):
    """RK304: baskets are opened, and the model does not take note of them."""

    commands: ClassVar = (OpenBasket, DropBasket)
    baskets: list[Ref[Basket]] = []  # noqa: RUF012

    @expects
    def open(self, _: OpenBasket) -> Like[BasketOpened]:
        return like(BasketOpened)

    @on
    def dropped(self, event: BasketDropped) -> None:
        self.baskets.remove(event.basket)


class KeptBaskets(Baskets):
    @on
    def opened(self, event: BasketOpened) -> None:
        self.baskets.append(event.basket)


class BasketsApi(Adapter[Baskets]):
    @handles
    def open(self, _: OpenBasket) -> BasketOpened:
        return BasketOpened(basket=self.ref(Basket, 1))

    @handles
    def drop(self, cmd: DropBasket) -> BasketDropped:
        return BasketDropped(basket=cmd.basket)


class Renamed(Event):
    item: Ref[Item]
    name: str


class Waiting(Shop):
    """RK305: no command that it has is answered so; the handler is for one that it leaves out."""

    @on
    def renamed(self, event: Renamed) -> None:
        self.items[event.item].name = event.name


class RenamingToo(Waiting):
    commands: ClassVar = (*Shop.commands, Rename)


class WaitingApi(ShopApi, Adapter[Waiting]):
    @handles
    def rename(self, cmd: Rename) -> Renamed:
        self.http.post(f"/items/{cmd.item.id}", json={"name": cmd.name})
        return Renamed(item=cmd.item, name=cmd.name)


class RenamingTooApi(WaitingApi, Adapter[RenamingToo]):
    pass


class Gone(Event):
    pass


class Hopeful(Shop):
    """RK306: the handler never says that it is gone."""

    @expects
    def take(self, cmd: Take) -> Taken | Refused | Gone:
        return Taken(item=cmd.item, amount=cmd.amount)


class DirtyApi(ShopApi):
    """RK307: nobody resets the service."""

    reset = Adapter.reset


class MintedItem(AddItem):
    name: Annotated[str, gen.mint("item")]


class Minting(Shop):
    commands: ClassVar = (MintedItem, Take)

    @expects
    def mint(self, cmd: MintedItem) -> Like[ItemAdded]:
        return like(ItemAdded, name=cmd.name)


class Shaken(Shop):
    """RK308: a fault may cost the answer to what is taken."""

    commands: ClassVar = (*Shop.commands, fault.Timeout)


class RecoveringApi(ShopApi):
    @recovers
    def added(self, cmd: AddItem) -> ItemAdded | None:
        return None

    @recovers
    def taken(self, cmd: Take) -> Taken | None:
        return None


class SilentApi(ShopApi):
    """RK309: how much is taken is never sent."""

    @handles
    def take(self, cmd: Take) -> Taken | Refused:
        answer = self.http.post(f"/items/{cmd.item.id}/take")
        return Refused(status=answer.status_code) if answer.is_error else Taken(item=cmd.item, amount=1)


TWINS = [
    ("RK301", (Renaming, ShopApi), (RenamingToo, RenamingTooApi)),
    ("RK301", (Priced, ShopApi), (Shop, ShopApi)),
    ("RK302", (Forgetful, ForgetfulApi), (Shop, ShopApi)),
    ("RK303", (Forgetful, ForgetfulApi), (Shop, ShopApi)),
    ("RK304", (Baskets, BasketsApi), (KeptBaskets, BasketsApi)),
    ("RK305", (Waiting, WaitingApi), (RenamingToo, RenamingTooApi)),
    ("RK306", (Hopeful, ShopApi), (Shop, ShopApi)),
    ("RK307", (Shop, DirtyApi), (Shop, ShopApi)),
    ("RK307", (Shop, DirtyApi), (Minting, DirtyApi)),
    ("RK308", (Shaken, ShopApi), (Shaken, RecoveringApi)),
    ("RK309", (Shop, SilentApi), (Shop, ShopApi)),
]
