"""RK5: what mock runs show. Each Bad has one mistake, and the Good beside it has not."""

import itertools
from typing import ClassVar

from lints.shop import AddItem, ItemAdded, Refused, Shop, ShopApi, Stock, Take, Taken
from replaykit import Like, Model, check, expects, like, on, requires


class Contradictory(Shop):
    """RK501: more is taken than there is, and it may not be."""

    @expects
    def take(self, cmd: Take) -> Taken:
        return Taken(item=cmd.item, amount=cmd.amount)


class Broken(Shop):
    """RK502: it looks for what is not there."""

    @on
    def taken(self, event: Taken) -> None:
        self.items[event.item].count -= {1: 1, 2: 2}[event.amount]


class Stuck(Model):
    """RK502: at first, nothing may be asked."""

    commands: ClassVar = (AddItem,)
    server_errors: ClassVar = True

    @requires
    def never(self, _: AddItem) -> bool:
        return False


class Unsolved(Shop):
    """RK503: what it should see can't be guessed."""

    @check
    def stock_matches(self, stock: Stock) -> None:
        if hash(str(sorted(map(str, stock.counts)))) % 3 != len(self.items) + 3:
            raise AssertionError


class Changing(Shop):
    """RK504: to ask what is expected changes the state."""

    @expects
    def take(self, cmd: Take) -> Taken | Refused:
        self.items[cmd.item].count += 1
        return super().take(cmd)


_numbers = itertools.count()


class Random(Shop):
    """RK505: it says something else each time."""

    @expects
    def add(self, cmd: AddItem) -> Like[ItemAdded]:
        return like(ItemAdded, name=f"{cmd.name}{next(_numbers)}")


TWINS = [
    ("RK501", Contradictory, Shop, ShopApi),
    ("RK502", Broken, Shop, ShopApi),
    ("RK502", Stuck, Shop, ShopApi),
    ("RK503", Unsolved, Shop, ShopApi),
    ("RK504", Changing, Shop, ShopApi),
    ("RK505", Random, Shop, ShopApi),
]
