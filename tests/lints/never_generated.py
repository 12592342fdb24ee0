"""RK1: what is never generated. Each Bad has one mistake, and the Good beside it has not."""

from typing import Annotated, ClassVar, Literal

from lints.shop import Amount, Refused, Shop, ShopApi, Take, Taken
from replaykit import Command, Entity, Event, Model, Ref, expects, gen, handles, invariant, on, requires


class Box(Entity):
    pass


class OpenBox(Command):
    box: Ref[Box]


class Opened(Event):
    box: Ref[Box]


class BoxAdded(Event):
    box: Ref[Box]


class AddBox(Command):
    pass


class Orphaned(Shop):
    """RK101: nothing makes a box, though one can be opened."""

    commands: ClassVar = (*Shop.commands, OpenBox)
    boxes: dict[Ref[Box], int] = {}  # noqa: RUF012

    @requires
    def is_known(self, cmd: OpenBox) -> bool:
        return cmd.box in self.boxes


class Unkept(Model):
    """RK101: boxes are made, and no method puts them where refs are looked for."""

    commands: ClassVar = (AddBox, OpenBox)
    boxes: list[Ref[Box]] = []  # noqa: RUF012
    count: int = 0

    @on
    def added(self, event: BoxAdded) -> None:
        self.count += 1

    @invariant
    def few(self) -> None:
        assert self.count >= 0


class Kept(Unkept):
    @on
    def added(self, event: BoxAdded) -> None:
        self.boxes.append(event.box)


class Forbidden(Shop):
    """RK102: the precondition is never true."""

    @requires
    def is_cheap(self, cmd: Take) -> bool:
        return cmd.amount > 100


class Allowed(Shop):
    @requires
    def is_cheap(self, cmd: Take) -> bool:
        return cmd.amount > 1


class TakeSeldom(Take, weight=0.00001):
    pass


class TakeOften(Take):
    pass


class Seldom(Shop):
    """RK103: the weight is next to nothing."""

    commands: ClassVar = (*Shop.commands, TakeSeldom)

    @expects
    def take_seldom(self, cmd: TakeSeldom) -> Taken | Refused:
        return self.take(cmd)


class Often(Shop):
    commands: ClassVar = (*Shop.commands, TakeOften)

    @expects
    def take_often(self, cmd: TakeOften) -> Taken | Refused:
        return self.take(cmd)


class TakeNone(Take):
    amount: Annotated[int, gen.filter(gen.integers(1, 5), lambda number: number > 9)]


class TakeOne(Take):
    amount: Annotated[int, gen.map(gen.integers(1, 5), lambda _: 1)]


class TakeConst(Take):
    amount: Annotated[int, gen.const(1)]


class TakeSome(Take):
    amount: Amount


class TakePooled(Take):
    why: Annotated[str, gen.pool(gen.text(min_size=8), size=100_000)]


class TakeFewPooled(Take):
    why: Annotated[str, gen.pool(gen.text(min_size=8), size=5)]


Colour = Literal["red", "green", "blue"]


class Paint(Take):
    colour: Annotated[Colour, gen.one_of(["red", "green"])]


class PaintAll(Take):
    colour: Colour


class Impossible(Shop):
    """RK104: the filter lets nothing through."""

    commands: ClassVar = (*Shop.commands, TakeNone)


class Monotonous(Shop):
    """RK105: the function makes all values the same."""

    commands: ClassVar = (*Shop.commands, TakeOne)


class Meant(Shop):
    commands: ClassVar = (*Shop.commands, TakeConst)


class Possible(Shop):
    commands: ClassVar = (*Shop.commands, TakeSome)


class Scattered(Shop):
    """RK106: of a pool of 100,000, nothing comes twice."""

    commands: ClassVar = (*Shop.commands, TakePooled)


class Gathered(Shop):
    commands: ClassVar = (*Shop.commands, TakeFewPooled)


class Colourless(Shop):
    """RK107: blue is never drawn."""

    commands: ClassVar = (*Shop.commands, Paint)


class Colourful(Shop):
    commands: ClassVar = (*Shop.commands, PaintAll)


class Endless(Shop):
    """RK108: nobody ever takes more than there is."""

    @on
    def taken(self, event: Taken) -> None:
        self.items[event.item].count += event.amount


class AddingApi(ShopApi):
    @handles
    def add_box(self, cmd: AddBox) -> BoxAdded | Refused:
        return BoxAdded(box=self.ref(Box, 1))

    @handles
    def open_box(self, cmd: OpenBox) -> Opened:
        return Opened(box=cmd.box)


TWINS = [
    ("RK101", Orphaned, Shop, ShopApi),
    ("RK101", Unkept, Kept, AddingApi),
    ("RK102", Forbidden, Allowed, ShopApi),
    ("RK103", Seldom, Often, ShopApi),
    ("RK104", Impossible, Possible, ShopApi),
    ("RK105", Monotonous, Meant, ShopApi),
    ("RK106", Scattered, Gathered, ShopApi),
    ("RK107", Colourless, Colourful, ShopApi),
    ("RK108", Endless, Shop, ShopApi),
]
