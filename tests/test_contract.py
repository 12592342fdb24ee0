"""Contracts: what counts as the same value, and what is claimed of things that were made."""

import pytest

from replaykit import Event, Ref
from replaykit.openapi.contract import (
    JUDGED,
    Contract,
    Refused,
    Thing,
    acted_on,
    belongs,
    changed,
    has_room,
    is_near,
    keep,
    lists,
    made_as_sent,
    met,
    moved,
    refused,
    removed,
    seen,
    shaken,
    shows,
    updated,
)


class Pet(Thing):
    """A pet."""

    name: str | None = None
    primary: bool | None = None
    position: int | None = None


class Toy(Thing):
    """A toy of a pet."""


class PetRead(Event):
    """A pet is shown."""

    name: str | None = None


class PetsListed(Event):
    """Pets are listed."""

    pets: list[Ref[Pet]]


class ToysListed(Event):
    """The toys of a pet are listed."""

    pet: Ref[Pet]
    toys: list[Ref[Toy]]


class Pets(Contract):
    """Pets with toys."""

    pets: dict[Ref[Pet], Pet] = {}  # noqa: RUF012
    toys: dict[Ref[Toy], Toy] = {}  # noqa: RUF012


A, B = Ref("pet@1", 1), Ref("pet@2", 2)
MISSING, FORBIDDEN = Refused(status=404, missing=True), Refused(status=403, missing=False)


def admits(expected, event) -> bool:
    """Say whether one of the expected events is meant."""
    return any(each.admits(event) for each in expected)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("  Ann ", "ann"), ("\uff21", "a"), (0.1 + 0.2, 0.3), (1, 1.0), ([1, 2], [2, 1]), ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": None}, {}), ("1", 1), (True, True), ([1, 1], [1]), (335.978, 335.98), (335.978, 335.97), (1.5, 2),
        (0.004, 0.0), (2**53 + 1, 2**53), (10**400, 10**400),
    ],
)  # fmt: skip
def test_a_value_may_be_spelled_otherwise(sent, shown):
    """Services trim, fold, round, sort and add; none of that is a lost value."""
    assert is_near(sent, shown)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("Ann", "Bob"),
        (29, 28),
        (True, False),
        (1.5, 1.6),
        ([1], [2]),
        ({"a": 1}, {"a": 2}),
        ("a", ""),
        (335.978, 335.99),
        (335.98, 335.978),
        (2.5, 4),
        (1e20, 1.5),
        (10**400, 1.5),
        (0.5, float("inf")),
    ],
)
def test_another_value_is_another_value(sent, shown):
    """What was sent and something else are not the same."""
    assert not is_near(sent, shown)


def state() -> Pets:
    """Return a model in which two pets were made, the second with a toy."""
    pets = Pets()
    keep(pets.pets, A, Pet(name="a"))
    keep(pets.pets, B, Pet(name="b"))
    keep(pets.toys, Ref("toy@3", 3), Toy(), B)
    return pets


def read_of(pets: Pets, ref=A, **more):
    """Return what is expected when a pet is read."""
    return shows(pets, PetRead, pets.pets, ref, values=("name",), **more)


def test_what_was_made_is_shown_as_it_was_made():
    """A pet that was made is read with its name, and is not missing; it may be forbidden."""
    expected = read_of(state())

    assert admits(expected, PetRead(name="A "))
    assert not admits(expected, PetRead(name="b"))
    assert not admits(expected, MISSING)
    assert admits(expected, FORBIDDEN)


@pytest.mark.parametrize(
    "act", [lambda pets: acted_on(pets, A), shaken, lambda pets: keep(pets.pets, A, Pet(), status=202)],
    ids=["acted on", "shaken", "accepted"],
)  # fmt: skip
def test_of_what_may_have_ended_nothing_is_claimed(act):
    """After an action, an operation that names nothing, or a mere acceptance, the pet may be missing."""
    pets = state()
    act(pets)

    assert admits(read_of(pets), MISSING)
    assert admits(read_of(pets), PetRead(name="other"))


def test_what_changed_keeps_being_there():
    """After a change the pet is there, with whatever name; what belongs to it may be gone."""
    pets = state()
    changed(pets, B)

    assert admits(read_of(pets, B), PetRead(name="other"))
    assert not admits(read_of(pets, B), MISSING)
    assert pets.toys[Ref("toy@3")].standing == "unsure"


def test_what_is_gone_is_not_shown_unless_it_can_say_so():
    """After its removal a pet is not shown, but where its answer has a field that may say so."""
    pets = state()
    removed(pets, pets.pets, A)

    assert admits(read_of(pets), MISSING)
    assert not admits(read_of(pets), PetRead(name="a"))
    assert admits(read_of(pets, fades=True), PetRead(name="a"))


def test_what_is_gone_below_another_is_not_shown():
    """A toy that was removed is not shown through its pet; one that was moved before, or is read elsewhere, may be."""
    toy, pets = Ref("toy@3"), state()
    removed(pets, pets.toys, toy)

    assert not admits(shows(pets, PetRead, pets.toys, toy, B), PetRead(name="a"))
    assert admits(shows(pets, PetRead, pets.toys, toy, A), PetRead(name="a"))

    pets = state()
    moved(pets, toy, A)
    removed(pets, pets.toys, toy)

    assert admits(shows(pets, PetRead, pets.toys, toy, B), PetRead(name="a"))


def test_what_the_command_knows_is_expected():
    """What a read or a list says beside what it shows is as the command says, whatever is known of the thing."""
    pets = state()
    for ref in (A, Ref("pet@9")):
        assert not admits(shows(pets, PetRead, pets.pets, ref, name="x"), PetRead(name="a"))
        assert admits(shows(pets, PetRead, pets.pets, ref, name="a"), PetRead(name="a"))
    assert not admits(lists(pets, ToysListed, "toys", pets.toys, B, pet=B), ToysListed(pet=A, toys=[Ref("toy@3")]))
    assert admits(lists(pets, ToysListed, "toys", pets.toys, B, pet=B), ToysListed(pet=B, toys=[Ref("toy@3")]))


def test_what_is_gone_is_spoken_of_once_and_comes_back_when_it_is_written():
    """Only the last thing that is gone is kept; and one that is written anew is there again."""
    pets = state()
    removed(pets, pets.pets, A)
    removed(pets, pets.pets, B)

    assert [B] == list(pets.pets)
    updated(pets, pets.pets, B, name="c")
    assert not admits(read_of(pets, B), MISSING)
    assert not admits(read_of(pets, B), PetRead(name="b"))


def test_what_is_seen_is_known_again():
    """A pet of which nothing was claimed is claimed as it was seen."""
    pets = state()
    acted_on(pets, A)
    seen(pets.pets, A, name="z")

    assert not admits(read_of(pets), MISSING)
    assert not admits(read_of(pets), PetRead(name="a"))


def test_things_of_other_parents_are_not_claimed():
    """A toy read through a pet that it was not made for may be missing."""
    pets = state()
    other = shows(pets, PetRead, pets.toys, Ref("toy@3"), A)
    own = shows(pets, PetRead, pets.toys, Ref("toy@3"), B)

    assert admits(other, MISSING)
    assert not admits(own, MISSING)


def test_lists_hold_what_was_made_and_not_what_is_gone():
    """A list has all pets that are there; one that may leave things out still has none that is gone."""
    pets = state()
    removed(pets, pets.pets, B)
    whole = lists(pets, PetsListed, "pets", pets.pets)
    page = lists(pets, PetsListed, "pets", pets.pets, whole=False)

    assert admits(whole, PetsListed(pets=[A]))
    assert not admits(whole, PetsListed(pets=[]))
    assert not admits(whole, PetsListed(pets=[A, B]))
    assert admits(page, PetsListed(pets=[]))
    assert not admits(page, PetsListed(pets=[B]))


@pytest.mark.parametrize(
    ("left_out", "event", "ask"),
    [
        ("presence", MISSING, read_of),
        ("values", PetRead(name="x"), read_of),
        ("values", PetRead(name="x"), lambda pets: made_as_sent(pets, PetRead, name="a")),
        ("lists", PetsListed(pets=[]), lambda pets: lists(pets, PetsListed, "pets", pets.pets)),
        ("removal", PetRead(name="a"), lambda pets: [removed(pets, pets.pets, A), read_of(pets)][1]),
    ],
)
def test_each_assumption_can_be_left_out(left_out: str, event: Event, ask):
    """What a model does not judge, it admits; with it, it does not."""

    class Lenient(Pets):
        judged = JUDGED - {left_out}

    def filled(kind):
        pets = kind()
        keep(pets.pets, A, Pet(name="a"))
        return pets

    assert not admits(ask(filled(Pets)), event)
    assert admits(ask(filled(Lenient)), event)


def test_a_thing_belongs_to_what_it_was_made_under():
    """A toy belongs to its pet and to no other; one whose parents nobody knows may belong to any."""
    pets = state()
    pets.toys[Ref("toy@9")] = Toy()

    assert belongs(pets.toys, Ref("toy@3"), B)
    assert not belongs(pets.toys, Ref("toy@3"), A)
    assert belongs(pets.toys, Ref("toy@9"), A)


def test_at_most_some_things_are_met_and_nothing_is_claimed_of_them():
    """Of what was there before, ten are remembered, and those that were made stay as they are."""
    pets = state()
    new = met(pets.pets, [A, *(Ref(f"pet@9.{number}") for number in range(20))], Pet)

    assert len(new) == 8
    assert A not in new
    assert {"unsure"} == {each.standing for each in new.values()}


def test_through_what_is_gone_nothing_is_claimed():
    """A toy that was seen elsewhere after its pet was removed may be missing under that pet, and not be listed."""
    pets = state()
    toy = Ref("toy@3")
    removed(pets, pets.pets, B)
    seen(pets.toys, toy)

    assert pets.toys[toy].standing == "here"
    assert admits(shows(pets, PetRead, pets.toys, toy, B), MISSING)
    assert admits(lists(pets, PetsListed, "pets", pets.toys, B), PetsListed(pets=[]))


def test_what_is_gone_leaves_room():
    """There is room for one more of a kind where as many as wished are not there at a time."""
    pets = state()

    assert (True, False) == (has_room(pets.pets, 3), has_room(pets.pets, 2))
    removed(pets, pets.pets, B)
    assert has_room(pets.pets, 2)


@pytest.mark.parametrize("act", [lambda pets: acted_on(pets, B), lambda pets: updated(pets, pets.pets, B)])
def test_what_is_gone_may_come_back(act):
    """After an action on it, a pet that was gone may be there; what was gone below it may be, too."""
    pets = state()
    removed(pets, pets.toys, Ref("toy@3"))
    removed(pets, pets.pets, B)
    act(pets)

    assert admits(read_of(pets, B), PetRead(name="b"))
    assert admits(lists(pets, PetsListed, "pets", pets.pets), PetsListed(pets=[A, B]))
    assert pets.toys[Ref("toy@3")].standing == "unsure"


@pytest.mark.parametrize(
    "move",
    [
        lambda pets, toy: [updated(pets, pets.toys, toy), moved(pets, toy, A)],
        lambda pets, toy: acted_on(pets, toy, A),
        lambda pets, toy: [acted_on(pets, toy), seen(pets.toys, toy)],
        lambda pets, toy: [acted_on(pets, B), seen(pets.toys, toy)],
        lambda pets, toy: [shaken(pets), seen(pets.toys, toy)],
    ],
    ids=["written", "moved to", "moved", "merged", "shaken"],
)
def test_of_what_was_moved_it_is_not_claimed_to_whom_it_belongs(move):
    """A toy that was given to another pet need not be listed with either, and may go with either."""
    pets, toy = state(), Ref("toy@3", 3)
    move(pets, toy)
    seen(pets.toys, toy)

    for owner in (A, B):
        assert admits(lists(pets, PetsListed, "pets", pets.toys, owner), PetsListed(pets=[]))
        assert admits(shows(pets, PetRead, pets.toys, toy, owner), MISSING)
        assert belongs(pets.toys, toy, owner)
    assert not admits(shows(pets, PetRead, pets.toys, toy), MISSING)
    removed(pets, pets.pets, A)
    assert admits(shows(pets, PetRead, pets.toys, toy), MISSING)


def test_what_was_not_moved_stays_where_it_is():
    """Where no owner was sent, a toy is listed with its own."""
    pets, toy = state(), Ref("toy@3", 3)
    updated(pets, pets.toys, toy)
    moved(pets, toy, None)

    assert not admits(lists(pets, PetsListed, "pets", pets.toys, B), PetsListed(pets=[]))


def flagged(pets: Pets) -> None:
    """Make another pet, and see the first one as the primary one."""
    keep(pets.pets, B, Pet())
    seen(pets.pets, A, primary=True, position=1)


@pytest.mark.parametrize(
    "write",
    [
        lambda pets: keep(pets.pets, B, Pet(name="b", primary=True, position=1)),
        lambda pets: [flagged(pets), removed(pets, pets.pets, B)],
        lambda pets: [flagged(pets), acted_on(pets, B)],
        lambda pets: [flagged(pets), updated(pets, pets.pets, B)],
    ],
    ids=["made", "removed", "acted on", "updated"],
)  # fmt: skip
def test_a_sibling_may_take_flags_and_ranks(write):
    """After another pet was written, the first may be no primary one any more, and elsewhere; its name stays."""
    pets = Pets()
    keep(pets.pets, A, Pet(name="a", primary=True, position=1))
    write(pets)

    assert (None, None, "a") == (pets.pets[A].primary, pets.pets[A].position, pets.pets[A].name)


def test_which_one_is_first_is_for_the_service_to_say():
    """A flag such as primary, and a rank, need not be shown as they were sent; other values do."""
    made = made_as_sent(state(), Pet, name="a", primary=False, position=9)

    assert {"name": "a"} == made[0].fields


def test_refusals_can_be_left_out():
    """A model that does not judge refusals admits that wrong data is taken."""

    class Lenient(Pets):
        judged = JUDGED - {"refusals"}

    assert not admits(refused(Pets()), PetRead(name="x"))
    assert admits(refused(Lenient()), PetRead(name="x"))
    assert admits(refused(Lenient()), MISSING)
