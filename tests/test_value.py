"""Records and states: what is copied, and what is shared."""

import copy
from collections import deque
from decimal import Decimal

import pytest

from replaykit import Entity, Model, Ref
from replaykit.value import copied, frozen, text_of


class Item(Entity):
    lines: list[int] = []  # noqa: RUF012
    price: Decimal = Decimal(1)


class Shop(Model):
    items: dict[Ref[Item], Item] = {}  # noqa: RUF012
    favourite: Item | None = None
    names: set[str] = set()  # noqa: RUF012
    pairs: list[tuple[int, list[int]]] = []  # noqa: RUF012
    first: Ref[Item] | None = None


def shop() -> Shop:
    """Make a state with a bit of everything, one item of which stands in two places."""
    made, item = Shop(), Item(lines=[1, 2])
    made.items[Ref("item@0", 7)] = item
    made.favourite = item
    made.names.add("a")
    made.pairs.append((1, [2]))
    made.first = Ref("item@0", 7)
    return made


def test_a_copy_is_equal_and_says_the_same():
    """Nothing is lost, not even which fields were set, and the ids that the service gave."""
    one = shop()
    other = copied(one)

    assert text_of(one) == text_of(other)
    assert one == other
    assert one.model_fields_set == other.model_fields_set
    assert 7 == next(iter(other.items)).id


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.items.clear(),
        lambda state: state.items[Ref("item@0")].lines.append(3),
        lambda state: setattr(state.favourite, "price", Decimal(2)),
        lambda state: state.names.add("b"),
        lambda state: state.pairs[0][1].append(3),
        lambda state: setattr(state, "first", None),
    ],
)
def test_a_change_of_the_copy_changes_nothing_else(change):
    """The copy shares nothing that can change."""
    one = shop()
    before = text_of(one)
    other = copied(one)
    change(other)

    assert before == text_of(one)
    assert before != text_of(other)


def test_what_is_shared_inside_is_shared_inside_the_copy():
    """An entity that stands in two places of the state stands in two places of the copy."""
    other = copied(shop())
    other.favourite.lines.append(9)

    assert [1, 2, 9] == other.items[Ref("item@0")].lines


def test_a_state_that_copies_itself_is_asked_to():
    """A model with a __deepcopy__ of its own is copied by it."""

    class Own(Shop):
        def __deepcopy__(self, memo):
            return Own(names={"own"})

    assert {"own"} == copied(Own()).names
    assert {"own"} == copy.deepcopy(Own()).names


def test_states_are_the_same_whatever_the_order_of_their_dicts_and_sets():
    """A thing that was taken out and put in again makes no other state; a list in another order does."""
    one, other = shop(), shop()
    one.items[Ref("item@1")] = Item()
    other.items = {Ref("item@1"): Item(), **other.items}
    one.names, other.names = {"a", "b", "c"}, {"c", "b", "a"}

    assert frozen(one) == frozen(other)
    assert hash(frozen(one)) == hash(frozen(other))

    other.items[Ref("item@0")].lines.reverse()

    assert frozen(one) != frozen(other)


def test_a_state_with_values_that_can_not_be_hashed_is_compared_all_the_same():
    """What pydantic does not know is compared as it is shown."""

    class Odd(Shop):
        queue: deque[int] = deque()  # noqa: RUF012

    assert frozen(Odd(queue=deque([1]))) == frozen(Odd(queue=deque([1])))
    assert frozen(Odd(queue=deque([1]))) != frozen(Odd(queue=deque([2])))
