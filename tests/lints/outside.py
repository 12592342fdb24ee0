"""RK4: what lies outside of the domain. Each Bad has one mistake, and the Good beside it has not."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import Field

from lints.shop import Shop, ShopApi, Take
from replaykit import gen
from replaykit.generator import Integers
from replaykit.source import Source


class TakeMuch(Take):
    amount: Annotated[int, Field(le=3), gen.integers(1, 5)]


class TakeLittle(Take):
    amount: Annotated[int, Field(le=5), gen.integers(1, 5)]


class Doubtful(Integers):
    """A generator that does not know what it gives."""

    def sample(self, source: Source, size: int) -> int:
        return 7 + int(super().sample(source, size))


class Wild(Integers):
    """A generator that leaves its own domain when it simplifies."""

    def shrink(self, raw: Any) -> Iterator[int]:
        yield -1


class TakeDoubtful(Take):
    amount: Annotated[int, Doubtful(1, 5)]


class TakeWild(Take):
    amount: Annotated[int, Wild(1, 5)]


class TakeEven(Take):
    """What is drawn is fine; what it is simplified to is not."""

    amount: Annotated[int, Field(gt=1), gen.filter(gen.integers(0, 9), lambda number: number > 1)]


class Tag(Take):
    tags: Annotated[Any, gen.map(gen.integers(1, 5), lambda number: (number, number))]


class TagList(Take):
    tags: Annotated[Any, gen.map(gen.integers(1, 5), lambda number: [number, number])]


class TakeByDefault(Take):
    amount: Annotated[int, gen.integers(1, 5)] = 9


class TakeByExample(Take):
    amount: Annotated[int, Field(examples=[2, 99]), gen.integers(1, 5)]


class TakeInside(Take):
    amount: Annotated[int, Field(examples=[2, 3]), gen.integers(1, 5)] = 1


class Refusing(Shop):
    """RK401: the type takes 3 at most, and the generator gives 5."""

    commands: ClassVar = (*Shop.commands, TakeMuch)


class Taking(Shop):
    commands: ClassVar = (*Shop.commands, TakeLittle)


class Doubting(Shop):
    """RK402: the generator gives what it says that it would not."""

    commands: ClassVar = (*Shop.commands, TakeDoubtful)


class Straying(Shop):
    """RK403: the generator simplifies to what it would not give."""

    commands: ClassVar = (*Shop.commands, TakeWild)


class Staying(Shop):
    commands: ClassVar = (*Shop.commands, TakeEven)


class Tupled(Shop):
    """RK404: a tuple does not come back from JSON as a tuple."""

    commands: ClassVar = (*Shop.commands, Tag)


class Listed(Shop):
    commands: ClassVar = (*Shop.commands, TagList)


class Defaulting(Shop):
    """RK405: the default is never drawn."""

    commands: ClassVar = (*Shop.commands, TakeByDefault)


class Exemplary(Shop):
    """RK405: one of the examples is never drawn."""

    commands: ClassVar = (*Shop.commands, TakeByExample)


class Inside(Shop):
    commands: ClassVar = (*Shop.commands, TakeInside)


TWINS = [
    ("RK401", Refusing, Taking, ShopApi),
    ("RK402", Doubting, Staying, ShopApi),
    ("RK403", Straying, Staying, ShopApi),
    ("RK404", Tupled, Listed, ShopApi),
    ("RK405", Defaulting, Inside, ShopApi),
    ("RK405", Exemplary, Inside, ShopApi),
]
