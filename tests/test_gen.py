"""Generators: what they draw lies in their domain, and so does all that they simplify it to."""

import enum
import functools
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from itertools import islice
from typing import Annotated, Any, Literal, Optional
from uuid import UUID

import pytest
from annotated_types import Interval, Len
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, StringConstraints

from replaykit import Command, Entity, Event, Ref, gen
from replaykit.combinator import Pool
from replaykit.command import Refs, command_of, generators_of
from replaykit.errors import DefinitionError
from replaykit.generator import Generator, RefTo, draw, first, spelled_out
from replaykit.source import NothingToReferToError, Source, derive
from replaykit.value import Record

SEEDS = range(60)
PATIENCE = 3000  # shrinks in a row before we say that they do not end


def is_even(number: int) -> bool:
    return number % 2 == 0


def double(number: int) -> int:
    return number * 2


def lists_of_length(length: int) -> Generator:
    return gen.list(gen.integers(0, 9), min_size=length, max_size=length)


def halved(size: int) -> int:
    return size // 2


class Account(Entity):
    pass


class Shop(Entity):
    pass


COMBINATORS: dict[str, Generator] = {
    "const": gen.const({"a": [1, None]}),
    "integers": gen.integers(),
    "integers between": gen.integers(-7, 500),
    "integers from": gen.integers(5),
    "integers up to": gen.integers(None, -5),
    "integers below zero": gen.integers(-90, -3),
    "integers in steps": gen.integers(-11, 100, step=7),
    "integers, large": gen.integers(0, 10**18),
    "naturals": gen.naturals(),
    "naturals up to": gen.naturals(12),
    "real": gen.real(),
    "real between": gen.real(-12.5, 1000.25),
    "real above": gen.real(3.3, 4.1),
    "boolean": gen.boolean(),
    "char": gen.char("xyz"),
    "letters": gen.letters(" _"),
    "digits": gen.digits(),
    "unicode": gen.unicode(),
    "text": gen.text(),
    "text of an alphabet": gen.text("abc", min_size=2, max_size=9),
    "text of unicode": gen.text(gen.unicode(), max_size=6),
    "list": gen.list(gen.integers(0, 20)),
    "list of lists": gen.list(gen.list(gen.boolean(), max_size=3), min_size=1, max_size=4),
    "list, unique": gen.list(gen.integers(0, 50), min_size=2, max_size=8, unique=True),
    "tuple": gen.tuple(gen.integers(1, 9), gen.text("ab"), gen.boolean()),
    "record": gen.record(name=gen.text("ab"), age=gen.naturals(130)),
    "one_of": gen.one_of(["red", "green", "blue"]),
    "choice": gen.choice(gen.const(None), gen.integers(1, 9), gen.text("ab")),
    "choice of mapped": gen.choice(gen.map(gen.integers(0, 9), str), gen.integers(0, 9)),
    "frequency": gen.frequency((9, gen.integers(0, 9)), (1, gen.const("rare"))),
    "map": gen.map(gen.integers(0, 50), double),
    "map of map": gen.map(gen.map(gen.integers(0, 50), double), str),
    "bind": gen.bind(gen.integers(0, 5), lists_of_length),
    "filter": gen.filter(gen.integers(0, 1000), is_even),
    "filter of mapped": gen.filter(gen.map(gen.integers(0, 50), double), lambda number: number > 7),
    "resize": gen.resize(gen.text(), 3),
    "scale": gen.scale(gen.list(gen.boolean()), halved),
    "no_shrink": gen.no_shrink(gen.integers(0, 9)),
    "pool": gen.pool(gen.text("abc"), size=3),
    "mint": gen.mint("owner"),
    "mint, mapped": gen.map(gen.mint("user"), "{}@example.com".format),
    "list of minted": gen.list(gen.mint(), max_size=4),
    "pool of minted": gen.pool(gen.mint("key"), size=3),
    "minted or nothing": gen.choice(gen.const(None), gen.mint("key")),
    "list of records of mapped": gen.list(gen.record(at=gen.map(gen.naturals(9), str)), max_size=3),
    "tuple of mapped": gen.tuple(gen.map(gen.naturals(9), str), gen.naturals(9)),
}

every_combinator = pytest.mark.parametrize("generator", COMBINATORS.values(), ids=COMBINATORS.keys())


def draws(generator: Generator, seeds: range = SEEDS) -> Iterator[Any]:
    """Draw one raw value for each seed, at sizes from 0 to 40."""
    for seed in seeds:
        yield generator.sample(Source(seed), seed % 41)


def descent(generator: Generator, raw: Any) -> list[Any]:
    """Follow the first shrink until there is none, or until it is clear that it does not end."""
    way = []
    while len(way) < PATIENCE and (simpler := first(generator, raw, 1)):
        [raw] = simpler
        way.append(raw)
    return way


# --- what holds for all -------------------------------------------------------------------------


@every_combinator
def test_drawn_values_are_accepted(generator):
    """What a generator draws lies in its own domain."""
    refused = [raw for raw in draws(generator, range(300)) if not generator.accepts(raw)]

    assert [] == refused


@every_combinator
def test_shrinks_are_accepted(generator):
    """Whatever a drawn value is simplified to lies in the generator's domain, and is something else."""
    wrong = [
        (raw, simpler)
        for raw in draws(generator)
        for simpler in islice(generator.shrink(raw), 300)
        if not generator.accepts(simpler) or simpler == raw
    ]

    assert [] == wrong


@every_combinator
def test_shrinking_ends(generator):
    """Following the first shrink again and again comes to an end, inside the domain."""
    ways = [descent(generator, raw) for raw in draws(generator)]

    assert all(len(way) < PATIENCE for way in ways)
    assert [] == [raw for way in ways for raw in way if not generator.accepts(raw)]


@every_combinator
def test_shrinking_ends_whichever_shrink_is_followed(generator):
    """A walk that takes any of the shrinks comes to an end as well."""
    longest = 0
    for seed in range(15):
        source, raw, steps = Source(seed), generator.sample(Source(seed), 20), 0
        while steps < PATIENCE and (simpler := first(generator, raw, 50)):
            raw, steps = source.pick(simpler), steps + 1
        longest = max(longest, steps)

    assert longest < PATIENCE


@every_combinator
def test_plain_values_are_their_own_raw_values(generator):
    """Building a value of a plain generator changes nothing."""
    changed = [raw for raw in draws(generator) if generator.plain and generator.build(raw) != raw]

    assert [] == changed


@every_combinator
def test_the_same_seed_draws_the_same(generator):
    """Drawing twice with one seed and size gives the same value, and looks no further than the source."""
    assert list(draws(generator)) == list(draws(generator))


@every_combinator
def test_generators_describe_themselves_in_one_line(generator):
    """A generator has a description, which is what generators are told apart by."""
    assert str(generator) == generator.kind
    assert "\n" not in generator.kind


@pytest.mark.parametrize(
    ("generator", "refused"),
    [
        (gen.const(0), [False, None, 0.0, "0"]),
        (gen.integers(1, 9), [0, 10, "1", 1.0, True, None]),
        (gen.integers(0, 9, step=3), [1, 8]),
        (gen.real(0.0, 1.0), [-0.1, 1.1, "0.5", True, None, float("nan")]),
        (gen.boolean(), [0, 1, None]),
        (gen.char("ab"), ["", "c", "ab", 1]),
        (gen.text("ab", min_size=1, max_size=2), ["", "aba", "c", 1, ["a"]]),
        (gen.list(gen.boolean(), min_size=1, max_size=2), [[], [True] * 3, [0], True, "ab"]),
        (gen.list(gen.naturals(), unique=True), [[1, 1]]),
        (gen.tuple(gen.boolean(), gen.naturals()), [[True], [True, 1, 1], [1, True], True, None]),
        (gen.record(a=gen.boolean()), [{}, {"a": 1}, {"b": True}, {"a": True, "b": True}, [], None]),
        (gen.one_of(["a", 1]), ["b", True, None]),
        (gen.choice(gen.const("a"), gen.naturals(9)), ["b", 10, None]),
        (gen.choice(gen.const("a"), gen.map(gen.naturals(9), str)), ["a", [0], [2, "a"], [0, 1], [1, 10], [-1, 1]]),
        (gen.map(gen.naturals(9), str), ["1", 10]),
        (gen.bind(gen.naturals(9), gen.naturals), [[1], [1, 2], [10, 1], 1, [1, 1, 1]]),
        (gen.filter(gen.naturals(9), is_even), [1, 10]),
        (gen.resize(gen.naturals(9), 2), [10]),
        (gen.scale(gen.naturals(9), halved), [10]),
        (gen.no_shrink(gen.naturals(9)), [10]),
        (gen.pool(gen.naturals(9)), [10]),
        (RefTo("account"), ["player@1", "account", 3, None]),
        (
            gen.mint("owner"),
            ["{other~1}", "owner-1", "{owner~}", "{owner~1", "{owner~1} ", "{owner~1}{owner~2}", 1, None],
        ),
    ],
    ids=str,
)
def test_what_could_not_have_been_drawn_is_refused(generator, refused):
    """A generator does not accept values of another kind, size or shape."""
    assert [] == [raw for raw in refused if generator.accepts(raw)]


# --- values -------------------------------------------------------------------------------------


def test_const_gives_one_value_and_no_simpler_one():
    """A constant is drawn as it is, and can't be simplified."""
    generator = gen.const("x")

    assert ["x", "x", "x"] == gen.sample(generator, 3)
    assert [] == gen.shrinks("x", generator)


def test_const_tells_true_from_one():
    """The constant 1 does not accept true, which Python takes for equal."""
    generator = gen.const(1)

    assert generator.accepts(1)
    assert not generator.accepts(True)


def test_integers_reach_both_bounds():
    """Both bounds of integers are drawn, since mistakes like to be there."""
    drawn = set(draws(gen.integers(3, 999), range(300)))

    assert {3, 999} <= drawn
    assert min(drawn) == 3
    assert max(drawn) == 999


def test_integers_shrink_to_the_origin_first_and_halve_the_way():
    """A number is first tried at its origin, then at half of the way to it, and so on up to its neighbour."""
    assert [0, 50, 75, 88, 94, 97, 99] == gen.shrinks(100, gen.integers(0, 100))


def test_integers_start_from_the_bound_nearest_to_zero():
    """Where zero is out of bounds, the origin is the bound that is nearest to it."""
    assert 10 == gen.shrinks(18, gen.integers(10, 20))[0]
    assert -3 == gen.shrinks(-90, gen.integers(-90, -3))[0]


def test_a_negative_integer_is_tried_as_a_positive_one():
    """Of two numbers at the same distance from zero, the positive one is the simpler."""
    shrinks = gen.shrinks(-8, gen.integers(-10, 10))

    assert 8 in shrinks
    assert 0 in shrinks[:2]
    assert -8 not in gen.shrinks(8, gen.integers(-10, 10))


def test_integers_shrink_to_any_failing_number():
    """Binary search over the shrinks finds the least number that a predicate holds for."""
    generator, found = gen.integers(0, 10_000), []
    for least in (1, 2, 17, 999, 1000, 1001, 9999):
        number = 10_000
        while (simpler := next((each for each in generator.shrink(number) if each >= least), None)) is not None:
            number = simpler
        found.append(number)

    assert [1, 2, 17, 999, 1000, 1001, 9999] == found


def test_integers_in_steps_are_multiples():
    """With a step, only its multiples are drawn and tried."""
    generator = gen.integers(1, 100, step=25)
    drawn = set(draws(generator, range(200)))

    assert {25, 50, 75, 100} == drawn
    assert [25, 75] == gen.shrinks(100, generator)


def test_integers_refuse_what_is_no_integer():
    """Booleans, fractions, texts and numbers out of bounds are not accepted."""
    generator = gen.integers(0, 9)

    assert [] == [raw for raw in (True, 1.0, "1", None, -1, 10, [1]) if generator.accepts(raw)]


def test_large_integers_are_drawn_from_their_whole_range():
    """Numbers of 128 bits are not all drawn from the low end of their range."""
    largest = 1 << 128
    drawn = list(draws(gen.filter(gen.integers(0, largest - 1), lambda number: number < largest - 1), range(200)))

    assert any(number > largest // 2 for number in drawn)


def test_naturals_start_at_zero():
    """Naturals are never negative, and grow with the size."""
    small = [gen.naturals().sample(Source(seed), 3) for seed in SEEDS]
    large = [gen.naturals().sample(Source(seed), 300) for seed in SEEDS]

    assert min(*small, *large) == 0
    assert max(small) <= 3 < max(large)


def test_real_prefers_whole_numbers():
    """A fraction is first tried as a whole number, zero first."""
    assert [0.0, 1.0] == gen.shrinks(3.25, gen.real(-10, 10))[:2]
    assert all(number.is_integer() for number in gen.shrinks(7.0, gen.real(0, 10)))


def test_real_draws_from_its_whole_range():
    """Reals between bounds that are very far apart are not drawn at the bounds only."""
    drawn = {gen.real(-1.5e308, 1.5e308).sample(Source(seed), 5) for seed in range(300)}

    assert any(1000 < abs(number) < 1.5e308 for number in drawn)


def test_boolean_is_simpler_when_false():
    """True shrinks to false, and false to nothing."""
    assert [False] == gen.shrinks(True, gen.boolean())
    assert [] == gen.shrinks(False, gen.boolean())
    assert {True, False} == set(draws(gen.boolean()))


def test_characters_shrink_to_earlier_ones():
    """A character shrinks towards the first of its alphabet."""
    assert ["a", "c", "d"] == gen.shrinks("e", gen.char("abcdef"))
    assert ["0"] == gen.shrinks("1", gen.digits())
    assert {"-"} <= set(draws(gen.letters("-"), range(600)))


def test_unicode_goes_beyond_ascii():
    """About half of the characters of unicode are not ASCII."""
    drawn = list(draws(gen.unicode(), range(400)))
    beyond = [character for character in drawn if not character.isascii()]

    assert 120 < len(beyond) < 280
    assert all(len(character) == 1 for character in drawn)


def test_text_keeps_its_sizes():
    """Text is never shorter than min_size nor longer than max_size, drawn or simplified."""
    generator = gen.text("abc", min_size=2, max_size=5)
    lengths = {len(each) for raw in draws(generator) for each in [raw, *gen.shrinks(raw, generator)]}

    assert {2, 3, 4, 5} == lengths


def test_text_shrinks_to_the_shortest_first():
    """Text is first tried at its least size, and ends as its simplest character."""
    generator = gen.text("abc", min_size=1)

    assert "" == gen.shrinks("cab", gen.text("abc"))[0]
    assert 1 == len(gen.shrinks("cabbc", generator)[0])
    assert "a" == descent(generator, "cabbc")[-1]


def test_text_of_mapped_characters_is_made_of_them():
    """Text of characters that were mapped is made of the mapped ones, or can't be defined at all."""
    try:
        drawn = gen.sample(gen.text(gen.map(gen.char("abc"), str.upper), min_size=3), 10)
    except DefinitionError:
        return

    assert [] == [text for text in drawn if not re.fullmatch("[ABC]*", text)]


def test_text_without_an_alphabet_is_refused():
    """An empty alphabet is a mistake, in text as in char."""
    with pytest.raises(DefinitionError):
        gen.text("")


# --- values made of values ----------------------------------------------------------------------


def test_list_shrinks_by_leaving_out_before_simplifying():
    """A list is tried empty, then shorter, then with simpler items."""
    shrinks = gen.shrinks([1, 2], gen.list(gen.integers(0, 9)))

    assert [[], [2], [1], [0, 2], [1, 0], [1, 1]] == shrinks


def test_list_keeps_its_sizes():
    """A list is never shorter than min_size nor longer than max_size, drawn or simplified."""
    generator = gen.list(gen.boolean(), min_size=1, max_size=3)
    lengths = {len(each) for raw in draws(generator) for each in [raw, *gen.shrinks(raw, generator)]}

    assert {1, 2, 3} == lengths


def test_unique_lists_stay_unique():
    """No item stands twice in a unique list, drawn or simplified."""
    generator = COMBINATORS["list, unique"]
    lists = [each for raw in draws(generator) for each in [raw, *gen.shrinks(raw, generator)]]

    assert [] == [each for each in lists if len(set(each)) < len(each)]
    assert not generator.accepts([1, 1])


def test_a_unique_list_without_enough_items_is_refused():
    """Asking for more different items than there are is a mistake that is told."""
    generator = gen.list(gen.boolean(), min_size=3, unique=True)

    with pytest.raises(DefinitionError, match="3 items that differ"):
        gen.sample(generator, 1)


def test_tuple_simplifies_one_place_at_a_time():
    """Each shrink of a tuple changes one place, and never its length."""
    shrinks = gen.shrinks([2, "b"], gen.tuple(gen.integers(0, 9), gen.text("ab")))

    assert [[0, "b"], [1, "b"], [2, ""], [2, "a"]] == shrinks


def test_record_simplifies_one_field_at_a_time():
    """Each shrink of a record changes one field, and keeps the names."""
    shrinks = gen.shrinks({"a": 1, "b": True}, gen.record(a=gen.integers(0, 9), b=gen.boolean()))

    assert [{"a": 0, "b": True}, {"a": 1, "b": False}] == shrinks
    assert not gen.record(a=gen.boolean()).accepts({"a": True, "b": True})


def test_one_of_shrinks_to_earlier_values():
    """A value shrinks to those that stand before it, the first one first."""
    generator = gen.one_of(["red", "green", "blue"])

    assert ["red", "green"] == gen.shrinks("blue", generator)
    assert [] == gen.shrinks("red", generator)
    assert {"red", "green", "blue"} == set(draws(generator))


def test_choice_shrinks_to_an_earlier_constant():
    """A value of a later branch is tried as a constant of an earlier branch first."""
    shrinks = gen.shrinks(4, gen.choice(gen.const(None), gen.integers(0, 9)))

    assert [None, 0, 2, 3] == shrinks


def test_choice_of_mapped_branches_shrinks_to_an_earlier_constant():
    """That a branch is mapped does not keep a value from being tried as an earlier constant."""
    generator = gen.choice(gen.const(None), gen.map(gen.integers(0, 9), str))
    raw = next(raw for raw in draws(generator) if generator.build(raw) is not None)

    assert None in [generator.build(simpler) for simpler in generator.shrink(raw)]


def test_frequency_follows_the_weights():
    """A branch of weight 9 beside one of weight 1 is drawn about nine times as often."""
    drawn = list(draws(gen.frequency((9, gen.const("often")), (1, gen.const("rare"))), range(1000)))

    assert 50 < drawn.count("rare") < 150


def test_a_branch_of_weight_zero_is_never_drawn():
    """A weight of 0 leaves a branch out."""
    drawn = set(draws(gen.frequency((0, gen.const("never")), (1, gen.const("always"))), range(500)))

    assert {"always"} == drawn


# --- generators made from generators ------------------------------------------------------------


def test_map_keeps_the_raw_value():
    """A mapped generator draws, accepts and simplifies what stands before the function."""
    generator = gen.map(gen.integers(0, 50), double)
    raw = generator.sample(Source(4), 30)

    assert not generator.plain
    assert raw == gen.integers(0, 50).sample(Source(4), 30)
    assert 2 * raw == generator.build(raw)
    assert [0, 20, 30, 36, 38] == gen.shrinks(20, generator)


def test_bind_keeps_the_pair_of_raw_values():
    """The raw value of a bound generator is the outer value with the inner one."""
    generator = gen.bind(gen.integers(0, 5), lists_of_length)
    pairs = list(draws(generator))

    assert [] == [pair for pair in pairs if pair[0] != len(pair[1])]
    assert [4, 5] == generator.build([2, [4, 5]])
    assert not generator.accepts([1, [4, 5]])


def test_bind_samples_again_deterministically():
    """Where a simpler outer value asks for another inner one, it is the same each time."""
    generator = gen.bind(gen.integers(0, 5), lists_of_length)
    raw = [4, [9, 9, 9, 9]]

    assert first(generator, raw, 100) == first(generator, raw, 100)
    assert [0, []] == first(generator, raw, 1)[0]


def test_bind_keeps_the_inner_value_where_it_still_fits():
    """A simpler outer value keeps the inner one, if that lies in the new domain too."""
    generator = gen.bind(gen.integers(5, 9), lambda high: gen.integers(0, high))

    assert [5, 3] == first(generator, [9, 3], 1)[0]


def test_filter_holds_for_all_that_is_drawn_and_tried():
    """No value that the predicate refuses is drawn, accepted or tried."""
    generator = gen.filter(gen.integers(0, 1000), is_even)
    values = [each for raw in draws(generator) for each in [raw, *gen.shrinks(raw, generator)]]

    assert all(map(is_even, values))
    assert not generator.accepts(3)


def test_an_exhausted_filter_says_so():
    """A predicate that nothing passes ends in an error that names it, not in a loop."""
    generator = gen.filter(gen.integers(0, 9), functools.partial(int.__gt__, -1))

    with pytest.raises(DefinitionError, match="1000 values, and none passed") as caught:
        gen.sample(generator, 1)

    assert "instead of filtering" in caught.value.todo


def test_resize_draws_at_its_own_size():
    """A resized generator is as large in a small run as in a large one."""
    generator = gen.resize(gen.text(), 3)

    assert {0, 1, 2, 3} == {len(generator.sample(Source(seed), size)) for seed in SEEDS for size in (0, 40)}


def test_scale_draws_at_a_size_made_from_the_one_around_it():
    """A scaled generator follows the size of the run, at its own scale."""
    generator = gen.scale(gen.text(), halved)

    assert 0 == max(len(generator.sample(Source(seed), 1)) for seed in SEEDS)
    assert 10 == max(len(generator.sample(Source(seed), 20)) for seed in range(300))


def test_no_shrink_stays_as_it_is():
    """What must not be simplified is not, and is accepted as before."""
    generator = gen.no_shrink(gen.integers(0, 9))

    assert [] == gen.shrinks(9, generator)
    assert generator.accepts(9)
    assert not generator.accepts(10)


def test_a_pool_holds_few_values_in_one_run():
    """One source draws at most `size` different values from a pool; another source draws others."""
    generator = gen.pool(gen.integers(0, 10**9), size=3)
    runs = []
    for seed in range(10):
        source = Source(seed)
        runs.append({generator.sample(source, 20) for _ in range(50)})

    assert 3 == max(len(run) for run in runs)
    assert len(set.union(*runs)) > 20


def test_a_pool_outlives_a_restart_of_its_source():
    """Another step of the same run, with a seed of its own, draws from the same pool."""
    generator, source, drawn = gen.pool(gen.integers(0, 10**9), size=2), Source(0), set()
    for step in range(40):
        source.restart(derive(7, step))
        drawn.add(generator.sample(source, 20))

    assert 2 == len(drawn)


def test_pools_made_by_a_bound_function_do_not_mix():
    """Pools of different values that a function makes anew for each value never lend theirs to each other."""
    generator = gen.bind(
        gen.boolean(), lambda number: Pool(gen.integers(0, 9) if number else gen.text("abc", min_size=1), 1)
    )
    source = Source(3)
    refused = [raw for raw in (generator.sample(source, 5) for _ in range(50)) if not generator.accepts(raw)]

    assert [] == refused


def test_a_ref_is_one_of_what_was_made():
    """A ref is drawn from what the service has made, and can't be drawn before."""
    generator = RefTo("account")

    with pytest.raises(NothingToReferToError):
        generator.sample(Source(0), 5)
    assert "account@3" == generator.sample(Source(0, lambda entity: [f"{entity}@3"]), 5)
    assert generator.accepts("account@12.2")
    assert not generator.accepts("player@12")


def accounts(*labels: int) -> Callable[[str], list[str]]:
    """Say that these steps have made an account each."""
    return lambda entity: [f"{entity}@{label}" for label in labels]


REF_OR_NOTHING = {
    "annotation": gen.of(Ref[Account] | None),
    "annotation, the other way round": gen.of(None | Ref[Account]),
    "choice": gen.choice(gen.const(None), RefTo("account")),
    "frequency": gen.frequency((1, RefTo("account")), (1, gen.const(None))),
}


@pytest.mark.parametrize("generator", REF_OR_NOTHING.values(), ids=REF_OR_NOTHING.keys())
def test_a_ref_that_may_be_none_is_none_while_there_is_nothing(generator):
    """Nothing is drawn while there is nothing to refer to, and a ref half of the time as soon as there is."""
    before = {generator.sample(Source(seed), 5) for seed in SEEDS}
    after = [generator.sample(Source(seed, accounts(3, 4)), 5) for seed in range(400)]

    assert {None} == before
    assert 150 < after.count(None) < 250
    assert {None, "account@3", "account@4"} == set(after)


def test_a_choice_of_nothing_but_refs_can_not_be_drawn_too_early():
    """Where no branch has anything to refer to, the choice has nothing to draw, as a ref alone."""
    generator = gen.of(Ref[Account] | Ref[Shop])

    with pytest.raises(NothingToReferToError):
        generator.sample(Source(0), 5)
    assert {"shop@1"} == {
        generator.sample(Source(seed, lambda entity: ["shop@1"] if entity == "shop" else []), 5) for seed in SEEDS
    }


@pytest.mark.parametrize("annotation", [list[Ref[Account]], set[Ref[Account]], dict[str, Ref[Account]]], ids=str)
def test_a_list_of_refs_is_empty_while_there_is_nothing(annotation):
    """A list of refs is empty at first, whatever its size would be, and holds refs as soon as there are some."""
    generator = gen.of(annotation)
    before = [generator.build(generator.sample(Source(seed), 9)) for seed in SEEDS]
    after = [generator.build(generator.sample(Source(seed, accounts(3, 4)), 9)) for seed in SEEDS]
    refs = {each for drawn in after for each in (drawn.values() if isinstance(drawn, dict) else drawn)}

    assert not any(before)
    assert {"account@3", "account@4"} == refs


def test_a_list_that_needs_a_ref_can_not_be_drawn_too_early():
    """A list of one ref at least has nothing to draw while there is nothing to refer to."""
    generator = gen.of(list[Ref[Account]], [Field(min_length=1)])

    with pytest.raises(NothingToReferToError):
        generator.sample(Source(0), 5)
    assert all(generator.sample(Source(seed, accounts(3)), 5) for seed in SEEDS)


def test_a_ref_that_may_be_none_shrinks_to_none():
    """Nothing is simpler than any ref, and a list of refs is tried empty first."""
    assert [None] == gen.shrinks("account@3", gen.of(Ref[Account] | None))
    assert [[], ["account@4"], ["account@3"]] == gen.shrinks(["account@3", "account@4"], gen.of(list[Ref[Account]]))


SYMBOLIC = {
    "ref or nothing": gen.of(Ref[Account] | None),
    "list of refs": gen.of(list[Ref[Account]]),
    "refs by name": gen.of(dict[str, Ref[Account]]),
    "tuple": gen.tuple(RefTo("account"), gen.boolean()),
    "record": gen.record(account=RefTo("account"), amount=gen.naturals(9)),
    "mapped": gen.map(RefTo("account"), str),
    "filtered": gen.filter(RefTo("account"), bool),
    "resized": gen.resize(RefTo("account"), 3),
    "never simplified": gen.no_shrink(RefTo("account")),
    "list of records": gen.list(gen.record(at=gen.tuple(RefTo("account"))), min_size=1),
}


@pytest.mark.parametrize("generator", SYMBOLIC.values(), ids=SYMBOLIC.keys())
def test_values_that_hold_refs_do_not_come_back(generator):
    """What holds a ref is drawn anew each time, from what there is then: an earlier one may be gone."""
    source, named = Source(1), set()
    for step in range(60):
        source.candidates = accounts(step)
        named |= {(step, label) for label in re.findall(r"account@(\d+)", str(draw(generator, source, 6)))}

    assert len(named) > 10
    assert [] == [(step, label) for step, label in named if int(label) != step]


def test_values_that_hold_no_name_come_back():
    """Lists, records and optional values of plain things are repeated as before."""
    plain = [gen.of(int | None), gen.list(gen.integers()), gen.record(name=gen.text()), gen.map(gen.integers(), str)]
    source = Source(1)
    drawn = [{str(draw(generator, source, 40)) for _ in range(100)} for generator in plain]

    assert [False] * 4 == [generator.symbolic for generator in plain]
    assert [] == [values for values in drawn if len(values) > 70]


def test_minted_texts_are_counted_through_a_run():
    """Each minted text has the next number, whatever its prefix, and whichever step it is drawn in."""
    source, drawn = Source(0), []
    for step in range(3):
        source.restart(derive(7, step))
        drawn += [gen.mint(prefix).sample(source, 5) for prefix in ("owner", "key1")]

    assert ["{owner~1}", "{key1~2}", "{owner~3}", "{key1~4}", "{owner~5}", "{key1~6}"] == drawn
    assert ["{minted~1}", "{minted~2}"] == gen.sample(gen.mint(), 2)


MINTING = {
    "alone": gen.mint("owner"),
    "mapped": gen.map(gen.mint("owner"), str.upper),
    "or nothing": gen.choice(gen.mint("owner"), gen.const(None)),
    "list": gen.list(gen.mint("owner"), min_size=1),
    "tuple": gen.tuple(gen.mint("owner"), gen.naturals(3)),
    "record": gen.record(owner=gen.list(gen.mint("owner"), min_size=1, max_size=2)),
    "filtered": gen.filter(gen.mint("owner"), bool),
}


@pytest.mark.parametrize("generator", MINTING.values(), ids=MINTING.keys())
def test_minted_texts_never_come_back(generator):
    """No minted text is drawn twice in a run, though half of all other arguments are."""
    source = Source(1)
    found = re.findall(r"\{\w+~\d+\}", str([draw(generator, source, 8) for _ in range(100)]))

    assert len(found) > 40
    assert len(found) == len(set(found))


def test_minted_texts_meet_again_in_a_pool():
    """A pool of minted texts holds as many as it says, for all fields that are annotated with it."""
    source = Source(2)
    first_field, second_field = gen.pool(gen.mint("key"), size=3), gen.pool(gen.mint("key"), size=3)
    drawn = [draw(generator, source, 8) for _ in range(50) for generator in (first_field, second_field)]

    assert {"{key~1}", "{key~2}", "{key~3}"} == set(drawn)


def test_a_minted_text_is_never_simplified():
    """There is nothing simpler than a minted text, alone or in a longer one; a list of them gets shorter."""
    assert [] == gen.shrinks("{owner~3}", gen.mint("owner"))
    assert [] == gen.shrinks("{owner~3}", gen.map(gen.mint("owner"), "{}@example.com".format))
    assert [[], ["{key~7}"], ["{key~5}"]] == gen.shrinks(["{key~5}", "{key~7}"], gen.list(gen.mint("key")))


def test_half_of_the_drawn_arguments_come_back():
    """Values of one kind are drawn again, about half of the time, since that finds bugs sooner."""
    source, generator = Source(1), gen.integers(0, 10**12)
    drawn = [draw(generator, source, 30) for _ in range(400)]

    assert 120 < len(set(drawn)) < 280


class EvenAndOdd(Command):
    even: Annotated[int, gen.filter(gen.integers(0, 1000), lambda number: number % 2 == 0)]
    odd: Annotated[int, gen.filter(gen.integers(0, 1000), lambda number: number % 2 == 1)]


def test_values_come_back_only_in_their_own_domain():
    """A value that is drawn again lies in the domain of the argument that it is drawn for."""
    source, generators = Source(5), generators_of(EvenAndOdd)
    drawn = [(name, draw(each, source, 30)) for _ in range(60) for name, each in generators.items()]

    assert [] == [(name, raw) for name, raw in drawn if not generators[name].accepts(raw)]


# --- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: gen.integers(5, 4),
        lambda: gen.integers(0, 9, step=0),
        lambda: gen.integers(1, 2, step=3),
        lambda: gen.naturals(-1),
        lambda: gen.real(1.0, 0.0),
        lambda: gen.real(0.0, float("inf")),
        lambda: gen.real(float("nan"), 1.0),
        lambda: gen.char(""),
        lambda: gen.text(min_size=3, max_size=2),
        lambda: gen.text(min_size=-1),
        lambda: gen.list(gen.boolean(), min_size=3, max_size=2),
        lambda: gen.one_of([]),
        gen.choice,
        gen.frequency,
        lambda: gen.frequency((-1, gen.boolean()), (2, gen.boolean())),
        lambda: gen.frequency((0, gen.boolean())),
        lambda: gen.pool(gen.boolean(), size=0),
        *(functools.partial(gen.mint, prefix) for prefix in ("", "1st", "a-b", "a_b", "a b", "é", "a\n", "a~1}{b", 3)),
    ],
)
def test_bounds_that_can_not_be_are_refused(make):
    """A generator without values, or with a prefix that can't be, is refused where it is written, with what to do."""
    with pytest.raises(DefinitionError) as caught:
        make()

    assert "" != caught.value.todo


# --- to look at them ----------------------------------------------------------------------------


def test_sample_is_deterministic():
    """The same generator, number and seed give the same values; another seed gives others."""
    generator = gen.list(gen.text())

    assert gen.sample(generator, 8, seed=3) == gen.sample(generator, 8, seed=3)
    assert gen.sample(generator, 8, seed=3) != gen.sample(generator, 8, seed=4)
    assert 25 == len(gen.sample(generator, 25))


def test_sample_shows_built_values():
    """What is shown of a mapped generator is what the function made."""
    assert all(isinstance(value, str) for value in gen.sample(gen.map(gen.integers(), str), 20))


def test_sample_starts_small():
    """The first value is drawn at size 0, so that a look at it fits on the screen."""
    assert [0] * 5 == [len(gen.sample(gen.text(), 1, seed=seed)[0]) for seed in range(5)]


@pytest.mark.parametrize(
    "value", [True, 100, -7, 2.75, "héllo😀", [3, "x", None], {"a": 3, "b c": [True]}, [], "", {}, None, 0]
)
def test_shrinks_need_no_generator(value):
    """Any JSON value shrinks inside the values of its own kind, and accepts itself."""
    shrinks = gen.shrinks(value)
    generator = gen.like(value)

    assert generator.accepts(value)
    assert all(type(simpler) is type(value) for simpler in shrinks)
    assert [] == [simpler for simpler in shrinks if not generator.accepts(simpler)]


def test_shrinks_without_a_generator_begin_with_the_simplest():
    """A number is tried as 0, a text as the empty text, a list as the empty list."""
    assert [0, "", [], False] == [gen.shrinks(value)[0] for value in (9, "abc", [1, 2], True)]


def test_shrinks_have_a_limit():
    """No more shrinks are listed than were asked for."""
    assert 5 == len(gen.shrinks("a" * 1000, limit=5))


# --- generators from types ----------------------------------------------------------------------


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Address(Record):
    street: Annotated[str, Field(min_length=1)]
    number: PositiveInt


class Customer(Record):
    name: str
    home: Address
    others: list[Address]


TYPES: dict[str, Any] = {
    "int": int,
    "int ge le": Annotated[int, Field(ge=3, le=9)],
    "int gt lt": Annotated[int, Field(gt=3, lt=9)],
    "int gt": Annotated[int, Field(gt=3)],
    "int lt": Annotated[int, Field(lt=-3)],
    "int multiple_of": Annotated[int, Field(multiple_of=5, ge=3)],
    "int interval": Annotated[int, Interval(ge=1, lt=4)],
    "PositiveInt": PositiveInt,
    "NonNegativeInt": NonNegativeInt,
    "float": float,
    "float ge le": Annotated[float, Field(ge=0.5, le=0.75)],
    "float gt lt": Annotated[float, Field(gt=0, lt=1)],
    "float far up": Annotated[float, Field(ge=5000)],
    "float far down": Annotated[float, Field(le=-5000)],
    "PositiveFloat": PositiveFloat,
    "str": str,
    "str sizes": Annotated[str, Field(min_length=2, max_length=4)],
    "str constraints": Annotated[str, StringConstraints(min_length=1, max_length=3)],
    "bool": bool,
    "Literal": Literal["a", 1, True],
    "Enum": Colour,
    "IntEnum": Level,
    "datetime": datetime,
    "date": date,
    "UUID": UUID,
    "Optional": Optional[int],  # noqa: UP045  both spellings are meant
    "int | None": int | None,
    "datetime | None": datetime | None,
    "constraints in an optional": Annotated[int, Field(ge=1, le=5)] | None,
    "optional with constraints": Annotated[int | None, Field(ge=1, le=5)],
    "int | str": int | str,
    "None": None,
    "list": list[int],
    "list sizes": Annotated[list[int], Field(min_length=1, max_length=3)],
    "list of limited": list[Annotated[int, Field(ge=1, le=5)]],
    "list of interval": list[Annotated[int, Interval(ge=1, le=5)]],
    "list of enum": list[Colour],
    "set": set[int],
    "set sizes": Annotated[set[int], Len(2, 4)],
    "frozenset": frozenset[str],
    "tuple": tuple[int, str, bool],
    "tuple of any length": tuple[int, ...],
    "dict": dict[str, int],
    "dict sizes": Annotated[dict[str, int], Field(min_length=2, max_length=4)],
    "dict of limited": dict[str, Annotated[int, Field(ge=1, le=5)]],
    "record": Address,
    "nested record": Customer,
    "list of records": list[Address],
    "list of datetimes": list[datetime],
    "record or nothing": Address | None,
    "minted": Annotated[str, gen.mint("owner")],
    "minted or nothing": Annotated[str, gen.mint("owner")] | None,
    "list of minted": list[Annotated[str, gen.mint("owner")]],
    "annotated with a generator": Annotated[int, gen.integers(1, 3)],
    "list of annotated": list[Annotated[str, gen.one_of(["x", "y"])]],
}


def command_with(annotation: Any) -> type[Command]:
    """Make a command with one field of a type."""
    return type("Try", (Command,), {"__module__": __name__, "__annotations__": {"value": annotation}})


@pytest.mark.parametrize("annotation", TYPES.values(), ids=TYPES.keys())
def test_types_generate_by_themselves(annotation):
    """What is generated for a type, and all that it is simplified to, is a value of the type for pydantic."""
    kind = command_with(annotation)
    generator = generators_of(kind)["value"]
    for raw in draws(generator, range(120)):
        for each in [raw, *islice(generator.shrink(raw), 20)]:
            command_of(kind, 1, {"value": generator.build(each)}, Refs())

    assert ["value"] == list(kind.model_fields)


@pytest.mark.parametrize(
    "annotation",
    [
        Annotated[str, StringConstraints(min_length=1, max_length=2, strip_whitespace=True)],
        Annotated[float, Field(multiple_of=0.25)],
        Annotated[str, Field(pattern="^[a-z]+$")],
    ],
    ids=["strip_whitespace", "float multiple_of", "pattern"],
)
def test_a_constraint_is_kept_or_refused(annotation):
    """A constraint that generated values would not keep is refused when the command is looked at."""
    kind = command_with(annotation)
    try:
        generator = generators_of(kind)["value"]
    except DefinitionError:
        return
    for raw in draws(generator, range(200)):
        command_of(kind, 1, {"value": generator.build(raw)}, Refs())

    assert ["value"] == list(kind.model_fields)


def test_the_generator_in_an_annotation_wins():
    """A generator in Annotated is used instead of the one that would follow from the type."""
    generator = gen.integers(7, 8)

    assert generator is gen.of(Annotated[int, generator])
    assert generator is generators_of(command_with(Annotated[int, Field(ge=0), generator]))["value"]


def test_types_find_the_values_that_they_are_made_of():
    """Literals and enums generate all of their values, in their order."""
    assert ["red"] == gen.shrinks("blue", gen.of(Colour))
    assert ["a"] == gen.shrinks(1, gen.of(Literal["a", 1]))
    assert {"red", "blue"} == set(gen.sample(gen.of(Colour), 40))


def test_an_optional_value_is_simplest_when_it_is_not_there():
    """None stands first in an optional type, however the type is written."""
    assert None is gen.shrinks(3, gen.of(int | None))[0]
    assert None in gen.sample(gen.of(Optional[int]), 40)  # noqa: UP045


def test_moments_are_aware_and_in_utc():
    """A generated datetime has a time zone, and days lie in the same years."""
    moments = [datetime.fromisoformat(text) for text in gen.sample(gen.of(datetime), 40)]
    days = [date.fromisoformat(text) for text in gen.sample(gen.of(date), 40)]

    assert all(moment.tzinfo == UTC for moment in moments)
    assert all(1970 <= moment.year < 2101 for moment in [*moments, *days])


def test_a_ref_generates_from_what_was_made():
    """The type Ref[Account] is drawn from the accounts of this run, and is read as the bound ref."""
    refs = Refs()
    refs.step = 3
    made = refs.bind(Account, 17)
    kind = command_with(Ref[Account])
    generator = generators_of(kind)["value"]
    raw = generator.sample(Source(0, refs.of), 10)

    assert "account@3" == raw
    assert made is command_of(kind, 1, {"value": raw}, refs).value


def test_refs_inside_of_other_types_are_found():
    """Refs in lists and nested records are drawn and read too."""
    refs = Refs()
    refs.step = 0
    refs.bind(Account, "a")
    kind = command_with(Annotated[list[Ref[Account]], Field(min_length=1, max_length=2)])
    generator = generators_of(kind)["value"]
    command = command_of(kind, 1, {"value": generator.sample(Source(2, refs.of), 10)}, refs)

    assert {"a"} == {ref.id for ref in command.value}


class Endless(Record):
    again: "Endless | None" = None


@pytest.mark.parametrize(
    "annotation",
    [object, bytes, complex, Annotated[str, Field(pattern="a+")], dict[int, str], list[object], Any, Endless],
    ids=str,
)
def test_a_type_that_nothing_generates_is_named(annotation):
    """A field whose type nothing is known to generate is told with its place, and with what to write."""
    with pytest.raises(DefinitionError) as caught:
        generators_of(type("Try", (Command,), {"__annotations__": {"thing": annotation}, **_any}))

    assert "Try.thing" in caught.value.happened
    assert "Annotate" in caught.value.todo


_any = {"__module__": __name__, "model_config": {"arbitrary_types_allowed": True}}


def test_a_place_inside_of_a_type_is_named():
    """Where the type of an item can't be generated, the message says that it is the item's."""
    with pytest.raises(DefinitionError, match=re.escape("Try.value[].street")):
        gen.of(list[Crooked], (), "Try.value")


class Crooked(Record):
    street: Annotated[str, Field(pattern="[a-z]+")]


def test_an_event_is_not_told_apart_from_another_record():
    """Nested messages generate like any other record: from their fields."""

    class Nested(Event):
        number: PositiveInt

    assert all(value["number"] >= 1 for value in gen.sample(gen.of(Nested), 20))


# --- seeds --------------------------------------------------------------------------------------


def test_derived_seeds_differ():
    """The seeds of a thousand runs under one seed, and of one run under many, all differ."""
    assert 1000 == len({derive(5, index) for index in range(1000)})
    assert 1000 == len({derive(seed, 0) for seed in range(1000)})
    assert all(0 <= derive(seed, 3) < 1 << 32 for seed in range(1000))


def test_a_source_draws_below_its_limit():
    """Numbers below a limit reach from 0 to the last one, for small and for large limits."""
    source = Source(0)

    assert {0, 1, 2} == {source.below(3) for _ in range(100)}
    assert all(0 <= source.below(10**40) < 10**40 for _ in range(100))


# --- bind over names ----------------------------------------------------------------------------


def minted_list(length: int) -> Generator:
    return gen.list(gen.mint("x"), min_size=length, max_size=length)


def ref_list(length: int) -> Generator:
    return gen.list(gen.of(Ref[Account]), min_size=length, max_size=length)


def mint_or_nothing(mints: bool) -> Generator:
    return gen.list(gen.mint("x"), min_size=1, max_size=1) if mints else gen.const([])


@pytest.mark.parametrize(
    "generator", [gen.bind(gen.integers(1, 2), minted_list), gen.bind(gen.boolean(), mint_or_nothing)], ids=str
)
def test_values_that_a_bound_function_mints_are_not_repeated(generator):
    """What is minted is new in each call, also where a function makes the generator, and not always one that mints."""
    source = Source(1)
    drawn = [name for _ in range(40) for name in draw(generator, source, 5)[1]]

    assert len(drawn) > 10
    assert len(drawn) == len(set(drawn))


def test_shrinking_a_bound_value_mints_nothing():
    """A minted value that shrinking made up could be one that another call has."""
    shrunk = [raw[1] for raw in gen.bind(gen.integers(0, 2), minted_list).shrink([2, ["{x~7}", "{x~8}"]])]

    assert [] in shrunk
    assert {name for names in shrunk for name in names} <= {"{x~7}", "{x~8}"}


def test_shrinking_a_bound_value_refers_to_nothing_new():
    """Where there is nothing to refer to, the candidates that need something are left out."""
    shrunk = list(gen.bind(gen.integers(0, 2), ref_list).shrink([2, ["account@1", "account@2"]]))

    assert [0, []] == shrunk[0]
    assert all(len(names) in {0, 2} for _, names in shrunk)


def test_names_in_keys_are_spelled_out():
    """Whatever holds a minted text is sent with it spelled out, the names of fields included."""
    assert {"k-N-1": ["k-N-2"]} == spelled_out({"{k~1}": ["{k~2}"]}, "N")


@pytest.mark.parametrize("function", [lambda name: name[:4], lambda name: name.replace("{", ""), hash, len])
def test_a_function_that_loses_what_is_minted_is_told(function):
    """What is cut out of a placeholder would be sent as it is, the same in every run."""
    generator = gen.map(gen.mint("user"), function)

    with pytest.raises(DefinitionError, match="what is minted is lost"):
        generator.build("{user~1}")


NOT_CALLED: list[Callable[[], object]] = [
    lambda: gen.list(gen.mint), lambda: gen.pool(gen.boolean), lambda: gen.choice(gen.boolean(), gen.char),
    lambda: gen.map(gen.mint, str), lambda: gen.record(name=str), lambda: gen.frequency((1, gen.boolean)),
    lambda: gen.tuple(3), lambda: gen.text(gen.char), lambda: gen.of(str, [gen.mint], "Open.name"),
]  # fmt: skip


@pytest.mark.parametrize("make", NOT_CALLED)
def test_a_generator_that_was_not_called_is_told(make):
    """Where a generator belongs, a function or a type is no generator, and is not taken for one that says nothing."""
    with pytest.raises(DefinitionError, match=r"takes generators, and .* is none"):
        make()
