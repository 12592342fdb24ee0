"""Shrinking: the search itself, with oracles that are plain functions, and no service."""

import random
import re
from collections.abc import Callable
from functools import lru_cache
from itertools import islice
from typing import Annotated

import pytest

from replaykit import Command, Entity, Ref, fault, gen
from replaykit.command import generators_of
from replaykit.errors import Terminated, UnreachableError
from replaykit.sequence import Call, Sequence, identity, until, without
from replaykit.shrink import CONFIRMING, Attempt, Budget, Shrunk, shrink
from replaykit.source import Source, derive
from replaykit.value import JsonData

SEEDS = range(25)
NAME = gen.text("abcdefgh", min_size=1, max_size=6)
NAME_OR_NONE = gen.text("abcdefgh", max_size=6)


class Account(Entity):
    pass


class Create(Command):
    name: Annotated[str, NAME]


class Increase(Command):
    name: Annotated[str, NAME]
    points: Annotated[int, gen.integers(0, 99)]


class Open(Command):
    owner: Annotated[str, NAME]


class Credit(Command):
    account: Ref[Account]
    amount: Annotated[int, gen.integers(1, 500)]


class Move(Command):
    source: Ref[Account]
    target: Ref[Account]


class Claim(Command):
    key: Annotated[str, gen.mint("key")]
    mail: Annotated[str, gen.map(gen.mint("user"), "{}@example.com".format)]
    more: Annotated[list[str], gen.list(gen.mint("key"), max_size=4)]


class Reuse(Command):
    key: Annotated[str, gen.pool(gen.mint("key"), size=3)]


class Pay(Command):
    account: Ref[Account] | None
    others: list[Ref[Account]]


class Transfer(Command):
    cents: Annotated[int, gen.integers(-(10**12), 10**12)]


class Wake(Command):
    minutes: Annotated[int, gen.integers(0, 95, step=5)]


class Ping(Command):
    pass


class Sign(Command):
    words: Annotated[str, gen.map(gen.tuple(NAME_OR_NONE, NAME_OR_NONE), "-".join)]


class Ship(Command):
    to: Annotated[dict[str, JsonData], gen.record(street=gen.text(max_size=9), lines=gen.list(gen.text(), max_size=4))]


class Stamp(Command):
    number: Annotated[str, gen.map(gen.integers(0, 1000), lambda number: f"<{number}>")]


COMMANDS = {
    kind.tag: kind
    for kind in (Create, Increase, Open, Credit, Move, Claim, Reuse, Pay, Transfer, Wake, Ping, Stamp, Sign, Ship)
}


def generators(call: Call) -> dict[str, gen.Generator]:
    return generators_of(COMMANDS[call.tag])


def drawn(seed: int, length: int, kinds: tuple[type[Command], ...]) -> Sequence:
    """Draw a sequence; refs name any account that was opened before, and there is always one."""
    chooser, calls, opened, minted = random.Random(seed), [], [], 0
    for label in range(length):
        kind = chooser.choice(kinds)
        if kind in (Credit, Move) and not opened:
            kind = Open
        source = Source(derive(seed, label), lambda _: [f"account@{each}" for each in opened])
        source.minted = minted
        if kind is Open:
            opened.append(label)
        args, raw = {}, {}
        for name, generator in generators_of(kind).items():
            value = generator.sample(source, 12)
            args[name] = generator.build(value)
            if not generator.plain:
                raw[name] = value
        minted = source.minted
        calls.append(Call(label=label, tag=kind.tag, args=args, raw=raw))
    return tuple(calls)


def call(label: int, kind: type[Command], **args: object) -> Call:
    return Call(label=label, tag=kind.tag, args=args)


class Oracle:
    """Runs a sequence on a bug written in Python: `bug` says after which prefix it shows itself."""

    def __init__(self, bug: Callable[[Sequence], bool]) -> None:
        self.bug = bug
        self.asked: list[Sequence] = []

    def failing(self, sequence: Sequence) -> Sequence | None:
        """Cut a sequence after the call at which it fails; None if it does not, or does not even fit."""
        made: set[int] = set()
        for end, each in enumerate(sequence, 1):
            if each.needs - made:
                return None
            made.add(each.label)
            if self.bug(sequence[:end]):
                return sequence[:end]
        return None

    def __call__(self, sequence: Sequence) -> Attempt:
        self.asked.append(sequence)
        failed = self.failing(sequence)
        return Attempt(same=failed is not None, sequence=failed or sequence, requests=len(failed or sequence))


def shrunk(oracle: Oracle, sequence: Sequence, **options: object) -> Shrunk:
    """Shrink what an oracle says of a sequence that fails."""
    failing = oracle.failing(sequence)
    assert failing is not None

    return shrink(failing, oracle, generators, **options)


@lru_cache
def starts(bug: Callable[[Sequence], bool], kinds: tuple[type[Command], ...], length: int = 60) -> list[Sequence]:
    """Draw sequences that have the bug, each from a seed of its own."""
    candidates = (drawn(seed, length, kinds) for seed in range(1000))
    found = list(islice((each for each in candidates if Oracle(bug).failing(each)), len(SEEDS)))
    assert len(found) == len(SEEDS)

    return found


def said(sequence: Sequence) -> list[tuple[str, ...]]:
    """Say a sequence without its labels."""
    return [(each.tag, *map(str, each.args.values())) for each in sequence]


def arguments(sequence: Sequence, tag: str, name: str) -> list[object]:
    return [each.args[name] for each in sequence if each.tag == tag]


# --- bugs ---------------------------------------------------------------------------------------


def created_twice(sequence: Sequence) -> bool:
    *before, last = sequence
    return last.tag == "create" and last.args["name"] in arguments(tuple(before), "create", "name")


def too_much(sequence: Sequence) -> bool:
    last = sequence[-1]
    mine = [each.args["amount"] for each in sequence if each.args.get("account") == last.args.get("account", "")]
    return last.tag == "credit" and sum(mine) >= 1001


def moved_to_itself(sequence: Sequence) -> bool:
    last = sequence[-1]
    return last.tag == "move" and last.args["source"] == last.args["target"]


def moved_to_another(sequence: Sequence) -> bool:
    last = sequence[-1]
    return last.tag == "move" and last.args["source"] != last.args["target"]


def needs_five(sequence: Sequence) -> bool:
    wanted = [("create", "a"), ("ping",), ("open", "b"), ("ping",)]
    for each in sequence[:-1]:
        key = (each.tag, *(str(value)[:1] for value in each.args.values()))
        if wanted and key == wanted[0]:
            wanted.pop(0)
    return not wanted and sequence[-1].tag == "increase"


def high_points(sequence: Sequence) -> bool:
    last = sequence[-1]
    return last.tag == "increase" and last.args["points"] >= 37 and len(last.args["name"]) >= 3


def large_stamp(sequence: Sequence) -> bool:
    last = sequence[-1]
    return last.tag == "stamp" and int(last.args["number"].strip("<>")) >= 123


def claimed_after_reuse(sequence: Sequence) -> bool:
    """Fail where two keys of the pool came before a claim with two more keys."""
    last = sequence[-1]
    return last.tag == "claim" and len(last.args["more"]) >= 2 and len(set(arguments(sequence, "reuse", "key"))) >= 2


def claimed_twice(sequence: Sequence) -> bool:
    return sequence[-1].tag == "claim" and len(arguments(sequence, "claim", "key")) >= 2


def paid_after_ping(sequence: Sequence) -> bool:
    last = sequence[-1]
    return last.tag == "pay" and "ping" in [each.tag for each in sequence]


def paid_to_two(sequence: Sequence) -> bool:
    last = sequence[-1]
    return last.tag == "pay" and last.args["account"] is not None and len(set(last.args["others"])) >= 2


# --- the result is minimal ----------------------------------------------------------------------


@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_the_same_name_twice_is_two_calls(number):
    """Of a long sequence, the two calls are left that say one name, which is the simplest."""
    start = starts(created_twice, (Create, Increase, Ping))[number]
    result = shrunk(Oracle(created_twice), start)

    assert [("create", "a"), ("create", "a")] == said(result.sequence)
    assert result.confirmed
    assert None is result.stopped


@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_a_sum_takes_as_few_calls_as_can_hold_it(number):
    """Amounts of at most 500 reach 1001 in three calls, and in no fewer; the rest is given to others."""
    start = starts(too_much, (Open, Credit, Credit, Credit, Ping))[number]
    result = shrunk(Oracle(too_much), start)
    amounts = arguments(result.sequence, "credit", "amount")

    assert ["open", "credit", "credit", "credit"] == [each.tag for each in result.sequence]
    assert 1001 == sum(amounts)


@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_what_a_call_depends_on_stays(number):
    """A call that names an account is left with the call that opened it, and nothing else."""
    result = shrunk(Oracle(moved_to_itself), starts(moved_to_itself, (Open, Credit, Move, Ping))[number])
    opened, moved = result.sequence

    assert ("open", "a") == said([opened])[0]
    assert {"source": f"account@{opened.label}", "target": f"account@{opened.label}"} == moved.args


@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_two_things_stay_where_two_are_needed(number):
    """A call that names two accounts is left with the two calls that opened them."""
    result = shrunk(Oracle(moved_to_another), starts(moved_to_another, (Open, Credit, Move, Ping))[number])

    assert ["open", "open", "move"] == [each.tag for each in result.sequence]
    assert ["a", "a"] == arguments(result.sequence, "open", "owner")


@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_calls_that_are_all_needed_all_stay(number):
    """Where four calls must come in this order before the last, they are what is left."""
    start = starts(needs_five, (Create, Increase, Open, Ping), length=150)[number]
    result = shrunk(Oracle(needs_five), start, budget=Budget(executions=2000))
    wanted = [("create", "a"), ("ping",), ("open", "b"), ("ping",), ("increase", "a", "0")]

    assert [each[0] for each in wanted] == [each.tag for each in result.sequence]
    assert wanted == said(result.sequence)


@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_values_shrink_to_the_border(number):
    """A number ends at the least that still fails, and a text at the shortest and simplest."""
    result = shrunk(Oracle(high_points), starts(high_points, (Create, Increase, Ping))[number])

    assert [("increase", "aaa", "37")] == said(result.sequence)


@pytest.mark.parametrize("border", [2**31, -(2**31), 1, -1, 2, -2, 999_999, -77])
def test_a_number_is_found_by_binary_search(border):
    """However large it is, the border takes about as many executions as it has bits."""
    number = border * 2 + (border > 0) * 12345

    def bug(sequence: Sequence) -> bool:
        [cents] = arguments(sequence, "transfer", "cents")
        return cents >= border if border > 0 else cents <= border

    result = shrunk(Oracle(bug), (call(0, Transfer, cents=number),))

    assert [border] == arguments(result.sequence, "transfer", "cents")
    assert result.executions <= 80


def transfers(*cents: int) -> Sequence:
    return tuple(call(label, Transfer, cents=each) for label, each in enumerate(cents))


@pytest.mark.parametrize(
    ("numbers", "lowest", "holds"),
    [
        ((58, 59), (0, 1), lambda one, two: two == one + 1),
        ((10**9, 10**9 + 1), (3, 4), lambda one, two: two == one + 1 and one >= 3),
        ((-58, -59), (-3, -4), lambda one, two: two == one - 1 and one <= -3),
        ((70, 70, 70), (5, 5, 5), lambda one, two, three: one == two == three >= 5),
        ((9, 61, 50), (2, 15, 4), lambda one, two, three: one >= 2 and two - three == 11 and three >= 4),
    ],
    ids=["neighbours", "large ones", "negative ones", "three", "two of three"],
)
def test_numbers_that_hang_together_are_lowered_together(numbers, lowest, holds):
    """Where no number can be lowered alone, they are lowered by the same amount, in a few steps."""

    def bug(sequence: Sequence) -> bool:
        return len(sequence) == len(numbers) and holds(*arguments(sequence, "transfer", "cents"))

    result = shrunk(Oracle(bug), transfers(*numbers))

    assert list(lowest) == arguments(result.sequence, "transfer", "cents")
    assert result.executions <= 130


def test_numbers_of_different_fields_are_lowered_together_inside_of_their_domains():
    """What the one has to exceed the other by stays, and the first that is at its bound ends it."""

    def bug(sequence: Sequence) -> bool:
        return len(sequence) == 2 and sequence[1].args["amount"] - sequence[0].args["points"] == 40

    oracle = Oracle(bug)
    start = (call(0, Increase, name="a", points=90), call(1, Credit, account="account@0", amount=130))
    result = shrunk(oracle, start)

    assert [0, 40] == [result.sequence[0].args["points"], result.sequence[1].args["amount"]]
    assert [] == [
        asked for asked in oracle.asked if not generators(asked[0])["points"].accepts(asked[0].args["points"])
    ]


def test_numbers_that_are_lowered_together_stay_in_their_domains():
    """No number is lowered to one that its generator does not have."""

    def bug(sequence: Sequence) -> bool:
        return len(sequence) == 2 and sequence[1].args["cents"] - sequence[0].args["minutes"] == 7

    oracle = Oracle(bug)
    shrunk(oracle, (call(0, Wake, minutes=50), call(1, Transfer, cents=57)))

    assert all(each % 5 == 0 for asked in oracle.asked for each in arguments(asked, "wake", "minutes"))


def test_lowering_together_is_bounded():
    """Of many numbers that nothing can lower, a few pairs are tried once."""
    numbers = [7] * 30
    oracle = Oracle(lambda sequence: numbers == arguments(sequence, "transfer", "cents"))
    shrunk(oracle, transfers(*numbers))
    whole = [asked for asked in oracle.asked if len(asked) == 30]
    pairs = [asked for asked in whole if 28 == arguments(asked, "transfer", "cents").count(7)]

    assert 0 < len(pairs) <= 15


@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_mapped_values_shrink_before_the_function(number):
    """A value that a function made is simplified by its raw value, and both stand in the call."""
    result = shrunk(Oracle(large_stamp), starts(large_stamp, (Stamp, Ping))[number])
    [stamp] = result.sequence

    assert {"number": "<123>"} == stamp.args
    assert {"number": 123} == stamp.raw


@pytest.mark.parametrize(
    ("kind", "least", "simplest"),
    [
        (Sign, {"words": "-"}, {"words": "-a"}),
        (Ship, {"to": {"street": "", "lines": []}}, {"to": {"street": "", "lines": [""]}}),
    ],
)
def test_a_value_that_has_to_be_the_same_twice_is_simplified_in_both_places(
    kind: type[Command], least: dict[str, JsonData], simplest: dict[str, JsonData]
):
    """What a function made, and a record, get small together; the very simplest of them does not fail."""

    def twice(sequence: Sequence) -> bool:
        said = [each.args for each in sequence if each.args != least]
        return any(one == other for index, one in enumerate(said) for other in said[:index])

    start = drawn(4, 3, (kind,))
    result = shrunk(Oracle(twice), (*start, start[1].replace(label=9)))

    assert [simplest, simplest] == [each.args for each in result.sequence]


def minted_in(sequence: Sequence) -> list[str]:
    """List all that is minted in a sequence, in arguments and in raw values."""
    return re.findall(r"\{\w+~\d+\}", str([(each.args, each.raw) for each in sequence]))


@pytest.mark.parametrize("bug", [claimed_after_reuse, claimed_twice])
def test_what_is_minted_stays_as_it_is(bug):
    """No call ever has a minted text that it did not have at first: none is unified, renamed or given away."""
    moved = []
    for start in starts(bug, (Claim, Reuse, Ping)):
        places = {each.label: set(minted_in((each,))) for each in start}
        oracle = Oracle(bug)
        shrunk(oracle, start)
        tried = [each for sequence in oracle.asked for each in sequence]
        moved += [each for each in tried if set(minted_in((each,))) - places[each.label]]

    assert [] == moved


@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_a_list_of_minted_texts_gets_shorter(number):
    """Of a list of minted texts, as many are left as are needed, with the calls that are."""
    result = shrunk(Oracle(claimed_after_reuse), starts(claimed_after_reuse, (Claim, Reuse, Ping))[number])

    assert ["reuse", "reuse", "claim"] == [each.tag for each in result.sequence]
    assert 2 == len(result.sequence[-1].args["more"])


@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_a_ref_that_may_be_none_shrinks_to_none(number):
    """Where the ref is not needed it is None, the list of refs is empty, and what they named is gone."""
    result = shrunk(Oracle(paid_after_ping), starts(paid_after_ping, (Open, Pay, Pay, Ping))[number])

    assert [("ping",), ("pay", "None", "[]")] == said(result.sequence)


@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_a_ref_that_is_needed_stays(number):
    """Where a ref and two others are needed, they are left with the calls that opened what they name, and no more."""
    result = shrunk(Oracle(paid_to_two), starts(paid_to_two, (Open, Pay, Pay, Ping))[number])
    *opened, paid = result.sequence

    assert {("open", "a")} == set(said(tuple(opened)))
    assert {f"account@{each.label}" for each in opened} == {paid.args["account"], *paid.args["others"]}
    assert 2 == len(paid.args["others"])


def test_a_bug_that_needs_nothing_is_one_call():
    """Where any call fails, one is left."""
    result = shrunk(Oracle(lambda sequence: True), drawn(3, 50, (Create, Increase, Ping)))

    assert 1 == len(result.sequence)


def test_names_that_must_differ_become_a_and_b():
    """Names that a bug tells apart get the simplest names that differ."""

    def bug(sequence: Sequence) -> bool:
        return len(set(arguments(sequence, "create", "name"))) == 2

    result = shrunk(Oracle(bug), drawn(8, 40, (Create, Ping)))

    assert [("create", "a"), ("create", "b")] == said(result.sequence)


def test_an_earlier_thing_is_named_instead_of_a_later_one():
    """Where any account will do, the first one is named."""
    start = (
        call(0, Open, owner="abc"),
        call(1, Open, owner="de"),
        call(2, Credit, account="account@0", amount=5),
        call(3, Credit, account="account@1", amount=7),
    )

    def bug(sequence: Sequence) -> bool:
        return sequence[-1].tag == "credit" and len(arguments(sequence, "credit", "amount")) == 2

    result = shrunk(Oracle(bug), start)

    assert ["account@0", "account@0"] == arguments(result.sequence, "credit", "account")
    assert 3 == len(result.sequence)


def test_a_thing_that_no_call_names_yet_is_named_too():
    """The thing that is named instead need not be one that the failing sequence names."""
    start = (call(0, Open, owner="abc"), call(1, Open, owner="de"), call(2, Credit, account="account@1", amount=7))

    def bug(sequence: Sequence) -> bool:
        return sequence[-1].tag == "credit" and sequence[0] == start[0]

    result = shrunk(Oracle(bug), start)

    assert ["account@0"] == arguments(result.sequence, "credit", "account")
    assert 2 == len(result.sequence)


def test_a_thing_that_a_call_of_another_type_made_is_named_too():
    """Where nothing says that calls of a type make other things, they may have made what is named."""
    start = (
        call(0, Create, name="a"),
        call(1, Open, owner="a"),
        *(call(label, Ping) for label in range(2, 5)),
        call(5, Credit, account="account@1", amount=1),
    )

    def bug(sequence: Sequence) -> bool:
        *before, last = sequence
        created = bool(before) and before[0].tag == "create"
        return last.tag == "credit" and created and sum(each.label > max(last.needs) for each in before) >= 3

    result = shrunk(Oracle(bug), start)

    assert ["account@0"] == arguments(result.sequence, "credit", "account")
    assert 5 == len(result.sequence)


def test_what_is_known_to_make_other_things_is_not_named():
    """No candidate names an account that a call is to have made of which it is known that it makes cards."""
    start = (
        call(0, Ping),
        call(1, Open, owner="a"),
        call(2, Pay, account="card@0", others=["account@1"]),
        call(3, Credit, account="account@1", amount=1),
    )
    oracle = Oracle(lambda sequence: len(sequence) == 4)
    shrunk(oracle, start)

    assert {"account@1"} == {ref for asked in oracle.asked for ref in arguments(asked, "credit", "account")}


def test_things_in_a_list_are_exchanged_too():
    """A ref that stands in a list is exchanged for an earlier one like any other."""
    start = (
        *(call(label, Open, owner="abc") for label in range(3)),
        call(3, Pay, account="account@0", others=["account@1", "account@2"]),
    )

    def bug(sequence: Sequence) -> bool:
        paid = sequence[-1]
        return paid.tag == "pay" and paid.args["account"] is not None and len(set(paid.args["others"])) == 2

    result = shrunk(Oracle(bug), start)

    assert 3 == len(result.sequence)


# --- how it searches ----------------------------------------------------------------------------

SEARCHES = [
    (created_twice, (Create, Increase, Ping)),
    (too_much, (Open, Credit, Credit, Credit, Ping)),
    (moved_to_another, (Open, Credit, Move, Ping)),
    (high_points, (Create, Increase, Ping)),
    (large_stamp, (Stamp, Ping)),
    (claimed_after_reuse, (Claim, Reuse, Ping)),
    (paid_to_two, (Open, Pay, Pay, Ping)),
]

every_search = pytest.mark.parametrize(("bug", "kinds"), SEARCHES, ids=[bug.__name__ for bug, _ in SEARCHES])


@every_search
def test_no_candidate_is_tried_twice(bug, kinds):
    """What was tried once is not tried again, but for the last runs, which confirm the result."""
    repeated = []
    for start in starts(bug, kinds):
        oracle = Oracle(bug)
        result = shrunk(oracle, start)
        tried = [identity(each) for each in oracle.asked[:-CONFIRMING]]
        if len(tried) != len(set(tried)) or oracle.asked[-CONFIRMING:] != [result.sequence] * CONFIRMING:
            repeated.append(start)

    assert [] == repeated


@every_search
def test_every_candidate_lies_in_the_domain(bug, kinds):
    """No candidate has an argument that its generator does not accept, and each raw value builds its argument."""
    wrong = []
    for start in starts(bug, kinds)[:8]:
        oracle = Oracle(bug)
        shrunk(oracle, start)
        for each in (each for sequence in oracle.asked for each in sequence):
            for name, generator in generators(each).items():
                raw = each.raw.get(name, each.args[name])
                if not generator.accepts(raw) or generator.build(raw) != each.args[name]:
                    wrong.append(each)

    assert [] == wrong


@every_search
def test_labels_survive(bug, kinds):
    """Each call that is left has the number and the tag that it had at first, and they stand in the same order."""
    wrong = []
    for start in starts(bug, kinds):
        tags = {each.label: each.tag for each in start}
        labels = [(each.label, each.tag) for each in shrunk(Oracle(bug), start).sequence]
        if labels != sorted(labels) or any(tags[label] != tag for label, tag in labels):
            wrong.append(labels)

    assert [] == wrong


@every_search
def test_no_candidate_names_what_was_not_made(bug, kinds):
    """With a call, all calls go that depend on it: each ref names a call that is still there."""
    dangling = []
    for start in starts(bug, kinds)[:8]:
        oracle = Oracle(bug)
        shrunk(oracle, start)
        dangling += [each for each in oracle.asked if any(one.needs - {two.label for two in each} for one in each)]

    assert [] == dangling


@every_search
def test_the_result_is_stable(bug, kinds):
    """Shrinking what was shrunk changes nothing."""
    for start in starts(bug, kinds)[:8]:
        once = shrunk(Oracle(bug), start).sequence

        assert once == shrunk(Oracle(bug), once).sequence


@every_search
def test_shrinking_counts_what_it_costs(bug, kinds):
    """Executions and requests are those of the oracle, the confirming run included."""
    oracle = Oracle(bug)
    result = shrunk(oracle, starts(bug, kinds)[0])

    assert len(oracle.asked) == result.executions
    assert sum(len(oracle.failing(each) or each) for each in oracle.asked) == result.requests
    assert 0 <= result.seconds < 60


def test_shrinking_is_deterministic():
    """The same start and the same bug give the same candidates in the same order."""
    start = starts(too_much, (Open, Credit, Credit, Credit, Ping))[0]
    first, second = Oracle(too_much), Oracle(too_much)
    shrunk(first, start)
    shrunk(second, start)

    assert first.asked == second.asked


def test_another_failure_is_never_adopted():
    """A candidate that fails in another way is no simpler form of this bug."""
    others = []

    def bug(sequence: Sequence) -> bool:
        if sequence[0].tag != "open" or any(each.tag == "ping" for each in sequence):
            return created_twice(sequence)
        others.append(sequence)
        return False

    start = next(each for each in starts(bug, (Create, Open, Ping)) if each[0].tag == "open")
    result = shrunk(Oracle(bug), start)

    assert others != []
    assert bug(result.sequence)
    assert result.confirmed


def test_what_was_executed_is_adopted():
    """A candidate that fails earlier than at its end is cut there."""

    def bug(sequence: Sequence) -> bool:
        return sum(each.tag == "create" for each in sequence) == 2

    start = tuple(call(label, Create, name="abc") for label in range(2))
    oracle = Oracle(bug)
    longer = (*start, *(call(label, Create, name="abc") for label in range(2, 20)))
    result = shrink(longer, oracle, generators)

    assert 2 == len(result.sequence)


# --- which candidates come first ----------------------------------------------------------------


class AtEnd(Oracle):
    """Runs a sequence on a bug that shows itself when the run is over, whatever its last call is."""

    def failing(self, sequence: Sequence) -> Sequence | None:
        fits = super().failing(sequence) is None  # its own `bug` never fails
        return sequence if fits and sequence and self.at_end(sequence) else None

    def __init__(self, at_end: Callable[[Sequence], bool]) -> None:
        super().__init__(lambda _: False)
        self.at_end = at_end


def credited_twice(sequence: Sequence) -> bool:
    accounts = arguments(sequence, "credit", "account")
    return len(accounts) > len(set(accounts))


def created_more_than_once(sequence: Sequence) -> bool:
    names = arguments(sequence, "create", "name")
    return len(names) > len(set(names))


def test_what_fails_at_the_end_is_looked_for_in_one_thing_first():
    """Where one account alone shows it, a few short candidates find that, and all of it costs half as much."""
    plain, told = 0, 0
    for seed in SEEDS:
        start = drawn(seed, 50, (Open, Credit, Create, Ping))
        blind, seeing = AtEnd(credited_twice), AtEnd(credited_twice)
        plain += shrunk(blind, start).requests
        result = shrunk(seeing, start, at_end=True)
        told += result.requests

        assert ["open", "credit", "credit"] == [each.tag for each in result.sequence]
        assert {"open", "credit"} == {each.tag for each in seeing.asked[1]}
    assert told <= plain / 2


def test_what_fails_at_the_end_is_looked_for_in_short_beginnings():
    """Where no thing shows it alone, beginnings are tried, from the shortest on, until the shortest is found."""
    names = ["a", "b", "c", "d", "e", "f", "g", "h", "aa", "bb", "cc", "a", *["dd", "ee", "ff"] * 10]
    oracle = AtEnd(created_more_than_once)
    start = tuple(call(label, Create, name=name) for label, name in enumerate(names))
    result = shrunk(oracle, start, at_end=True)

    assert [1, 2, 4, 8, 16, 12, 10, 11] == [len(each) for each in oracle.asked[1:9]]
    assert start[:12] == oracle.asked[6]
    assert [("create", "a"), ("create", "a")] == said(result.sequence)


def test_what_was_done_to_related_things_is_related():
    """Another account of the same owner is related, and so is what was credited to it."""
    start = (
        *(call(label, Create, name=name) for label, name in enumerate(["b", "c", "d", "e", "f", "g"])),
        call(10, Open, owner="a"),
        call(11, Open, owner="h"),
        call(12, Credit, account="account@10", amount=5),
        call(13, Credit, account="account@11", amount=5),
        call(14, Open, owner="a"),
        call(15, Move, source="account@14", target="account@14"),
    )
    related = [10, 12, 14, 15]

    def bug(sequence: Sequence) -> bool:
        return sequence[-1].tag == "move" and {each.label for each in sequence} >= set(related)

    oracle = Oracle(bug)
    shrunk(oracle, start)

    assert related in [[each.label for each in asked] for asked in oracle.asked[:5]]


def test_what_one_call_alone_mentions_is_not_dropped_by_its_value():
    """A name that stands in one call only is left to the removal of calls, which takes several at a time."""
    start = tuple(call(label, Open, owner=name) for label, name in enumerate(["a", "b", "c", "d", "e", "f", "g", "h"]))
    oracle = Oracle(lambda sequence: len(sequence) == 8)
    shrunk(oracle, start)
    removed = [8 - len(asked) for asked in oracle.asked if len(asked) < 8]

    assert 1 not in removed[:4]


def test_all_calls_of_a_type_are_removed_at_once():
    """Of a type of which none is needed, one candidate removes all calls but the failing one."""
    kinds = [Increase, Ping, Increase, Create, Stamp] * 8
    calls = {Increase: {"name": "a", "points": 1}, Ping: {}, Create: {"name": "b"}, Stamp: {"number": "<7>"}}
    start = (
        *(call(label, kind, **calls[kind]) for label, kind in enumerate(kinds)),
        call(99, Increase, **calls[Increase]),
    )

    def bug(sequence: Sequence) -> bool:
        return sequence[-1].label == 99 and sum(each.tag == "create" for each in sequence) == 8

    oracle = Oracle(bug)
    result = shrink(start, oracle, lambda _: {})
    removed = [{each.tag for each in start} - {each.tag for each in asked[:-1]} for asked in oracle.asked]

    assert 9 == len(result.sequence)
    assert {"increase", "ping", "stamp"} in removed[:8]


def test_names_are_not_compared_again_where_no_call_went():
    """Names that a bug tells apart are told apart once, and not again under the names that they get."""
    names = ["ah", "bg", "cf", "de", "eh", "fg", "gh", "hh"]
    start = tuple(call(label, Create, name=name) for label, name in enumerate(names))

    def bug(sequence: Sequence) -> bool:
        return len(set(arguments(sequence, "create", "name"))) == 8

    oracle = Oracle(bug)
    result = shrunk(oracle, start)
    merged = [asked for asked in oracle.asked if len(asked) == 8 and len(set(said(asked))) == 7]

    assert [("create", name) for name in "abcdefgh"] == said(result.sequence)
    assert 7 == len(merged)


# --- flaky bugs ---------------------------------------------------------------------------------


class Flaky(Oracle):
    """An oracle of a bug that shows itself only sometimes."""

    def __init__(self, bug: Callable[[Sequence], bool], rate: float, seed: int) -> None:
        super().__init__(bug)
        self.rate, self.random = rate, random.Random(seed)

    def __call__(self, sequence: Sequence) -> Attempt:
        attempt = super().__call__(sequence)
        return attempt._replace(same=attempt.same and self.random.random() < self.rate)


@pytest.mark.parametrize("bug", [created_twice, too_much, moved_to_another])
def test_a_flaky_bug_is_shrunk_like_any_other(bug):
    """Of a hundred searches for a bug that shows in 70 % of the runs, 95 end as short as for one that always shows."""
    start = starts(bug, (Create, Open, Credit, Move, Ping))[0]
    shortest = len(shrunk(Oracle(bug), start).sequence)
    results = [shrunk(Flaky(bug, 0.7, seed), start, budget=Budget(executions=3000)) for seed in range(100)]

    assert sum(len(result.sequence) == shortest for result in results) >= 95


def test_a_flaky_bug_is_said_to_be_flaky():
    """How often it showed itself is measured on the result, and is neither always nor never."""
    start = starts(created_twice, (Create, Increase, Ping))[0]
    results = [shrunk(Flaky(created_twice, 0.5, seed), start) for seed in range(20)]
    told = [result for result in results if 0 < result.failed < result.runs == 10]

    assert len(told) >= 15
    assert not any(result.confirmed for result in told)
    assert 3 <= sum(result.failed for result in told) / len(told) <= 7


def test_a_bug_that_hardly_ever_shows_is_left_as_it_is():
    """Where the result fails in fewer than two of ten runs, shrinking stops, and says why."""
    start = starts(created_twice, (Create, Increase, Ping))[0]
    results = [shrunk(Flaky(created_twice, 0.05, seed), start) for seed in range(40)]
    stopped = [str(result.stopped) for result in results]

    assert all(created_twice(result.sequence) for result in results)
    assert any(re.fullmatch("it failed in [01] of 10 runs, too seldom to be shrunk", each) for each in stopped)
    assert "it did not fail again in 5 runs of the same sequence" in stopped


# --- what stops it ------------------------------------------------------------------------------


@pytest.mark.parametrize("executions", [1, 5, 20])
def test_the_budget_in_executions_is_kept(executions):
    """No more candidates are run than the budget allows, and some more runs to confirm; the best is kept."""
    start = starts(too_much, (Open, Credit, Credit, Credit, Ping))[0]
    oracle = Oracle(too_much)
    result = shrunk(oracle, start, budget=Budget(executions=executions))

    assert executions + CONFIRMING == len(oracle.asked)
    assert f"the budget of {executions} executions is used up" == result.stopped
    assert too_much(result.sequence)
    assert result.confirmed
    assert None is result.error


def test_the_budget_in_seconds_is_kept():
    """When the time is up, the best so far is the result."""
    start = starts(created_twice, (Create, Increase, Ping))[0]
    result = shrunk(Oracle(created_twice), start, budget=Budget(seconds=0.0))

    assert "the budget of 0 seconds is used up" == result.stopped
    assert created_twice(result.sequence)


class Interrupted(Oracle):
    """An oracle that is interrupted at a certain execution."""

    def __init__(self, bug: Callable[[Sequence], bool], at: int, error: BaseException) -> None:
        super().__init__(bug)
        self.at, self.error = at, error
        self.best: Sequence = ()

    def __call__(self, sequence: Sequence) -> Attempt:
        if len(self.asked) == self.at:
            raise self.error
        attempt = super().__call__(sequence)
        self.best = attempt.sequence if attempt.same else self.best
        return attempt


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Terminated(15), UnreachableError("The service is gone.")])
@pytest.mark.parametrize("at", [1, 5, 12])
def test_an_interruption_keeps_the_best_so_far(error, at):
    """Ctrl-C, TERM or a service that is gone ends the search, which reports it and gives what it has."""
    start = starts(too_much, (Open, Credit, Credit, Credit, Ping))[0]
    oracle = Interrupted(too_much, at, error)
    result = shrunk(oracle, start)

    assert error is result.error
    assert not result.confirmed
    assert result.stopped
    assert (oracle.best or oracle.failing(start)) == result.sequence


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Terminated(15), UnreachableError("The service is gone.")])
def test_an_interruption_of_the_last_run_is_reported(error):
    """Ctrl-C while the result is confirmed is not lost: the caller has to know that it was asked to stop."""
    start = starts(created_twice, (Create, Increase, Ping))[0]
    whole = Oracle(created_twice)
    shrunk(whole, start)
    result = shrunk(Interrupted(created_twice, len(whole.asked) - 1, error), start)

    assert [("create", "a"), ("create", "a")] == said(result.sequence)
    assert not result.confirmed
    assert error is result.error


def test_a_bug_that_does_not_come_back_stays_as_it_is():
    """Where no candidate fails again, the result is what was given, and is not confirmed."""
    start = until(drawn(1, 40, (Create, Increase, Ping)), 39)
    oracle = Oracle(lambda _: False)
    result = shrink(start, oracle, generators, budget=Budget(executions=100))

    assert start == result.sequence
    assert not result.confirmed
    assert None is result.error
    assert start == oracle.asked[-1]


def test_errors_of_the_oracle_are_not_hidden():
    """What is wrong with the oracle itself comes out."""

    def broken(_: Sequence) -> Attempt:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        shrink(drawn(1, 10, (Ping, Create)), broken, generators)


# --- what is not run ----------------------------------------------------------------------------


def test_what_does_not_fit_is_never_run():
    """A candidate that is known not to fit costs no execution, and what is left fits."""

    def fits(sequence: Sequence) -> bool:
        return sum(each.tag == "ping" for each in sequence) >= 2

    start = next(each for each in starts(created_twice, (Create, Ping)) if fits(Oracle(created_twice).failing(each)))
    oracle = Oracle(created_twice)
    result = shrunk(oracle, start, fits=fits)

    assert [] == [each for each in oracle.asked if not fits(each)]
    assert ["create", "create", "ping", "ping"] == sorted(each.tag for each in result.sequence)


def test_the_empty_sequence_is_never_run():
    """A candidate has at least one call."""
    oracle = Oracle(lambda sequence: True)
    shrunk(oracle, drawn(3, 30, (Create, Ping)))

    assert () not in oracle.asked


def test_unknown_commands_are_removed_but_not_simplified():
    """A call without generators, as of a command that was removed, keeps its arguments."""
    start = (call(0, Create, name="abc"), call(1, Ping), call(2, Create, name="abc"))
    result = shrink(start, Oracle(created_twice), lambda _: {})

    assert (start[0], start[2]) == result.sequence


# --- identity -----------------------------------------------------------------------------------


def test_sequences_that_do_the_same_have_one_identity():
    """Labels do not matter, as long as refs name the same places."""
    one = (call(0, Open, owner="a"), call(1, Credit, account="account@0", amount=1))
    other = (call(7, Open, owner="a"), call(9, Credit, account="account@7", amount=1))

    assert identity(one) == identity(other)


def test_sequences_that_differ_have_different_identities():
    """Another order, argument, version or ref makes another sequence."""
    opened = (call(0, Open, owner="a"), call(1, Open, owner="a"))
    sequences = [
        opened,
        opened[:1],
        (*opened, call(2, Credit, account="account@0", amount=1)),
        (*opened, call(2, Credit, account="account@1", amount=1)),
        (*opened, call(2, Credit, account="account@1.2", amount=1)),
        (*opened, call(2, Credit, account="account@0", amount=2)),
        (opened[0], call(2, Credit, account="account@0", amount=1), opened[1]),
        (opened[0].replace(version=2), opened[1]),
    ]

    assert len(sequences) == len({identity(each) for each in sequences})


def test_removing_a_call_removes_all_that_depends_on_it():
    """The dependents of dependents go too, and what needs nothing of them stays."""
    sequence = (
        call(0, Open, owner="a"),
        call(1, Open, owner="b"),
        call(2, Move, source="account@0", target="account@1"),
        call(3, Credit, account="account@2.2", amount=1),
        call(4, Credit, account="account@1", amount=1),
    )

    assert [1, 4] == [each.label for each in without(sequence, [0])]
    assert [0] == [each.label for each in without(sequence, [1])]
    assert sequence == without(sequence, [])


def test_a_sequence_is_cut_after_a_label():
    """The call with the label is the last one; an unknown label cuts nothing."""
    sequence = drawn(2, 9, (Ping, Create))

    assert sequence[:4] == until(sequence, 3)
    assert sequence == until(sequence, 99)


# --- branches -----------------------------------------------------------------------------------


def race(rate: float, seed: int) -> Callable[[Sequence], Attempt]:
    """Give the oracle of a race: two credits of one account, in two branches, show it at a rate."""
    chance = random.Random(seed)

    def oracle(candidate: Sequence) -> Attempt:
        made = {call.label for call in candidate if call.tag == "open" and not call.branch}
        branches = {
            account: {
                call.branch for call in candidate if call.tag == "credit" and call.branch and account in call.needs
            }
            for account in made
        }
        racing = any(len(numbers) > 1 for numbers in branches.values())
        return Attempt(racing and chance.random() < rate, candidate, len(candidate))

    return oracle


def parallel(seed: int) -> Sequence:
    """Draw six calls, and three branches of three more; some of them race."""
    chance = random.Random(seed)
    calls = [Call(label=label, tag="open", args={"owner": "ab"}) for label in range(3)]
    calls += [Call(label=label, tag="create", args={"name": "cd"}) for label in range(3, 6)]
    for branch in (1, 2, 3):
        for _ in range(3):
            account = f"account@{chance.randrange(2)}"
            calls.append(
                Call(
                    label=len(calls),
                    tag="credit",
                    args={"account": account, "amount": chance.randrange(1, 500)},
                    branch=branch,
                )
            )
    return tuple(calls)


@pytest.mark.parametrize("rate", [1.0, 0.6, 0.3])
def test_a_race_becomes_two_branches_of_one_call(rate: float):
    """Whatever its rate: one account, and two credits of it, one in each branch; amounts are as small as can be."""
    minimal = 0
    for seed in SEEDS:
        shrunk = shrink(parallel(seed), race(rate, seed), generators)
        calls = shrunk.sequence
        minimal += ["open", "credit", "credit"] == [call.tag for call in calls]
        minimal -= [0, 1, 2] != [call.branch for call in calls][:3]

        assert 10 <= shrunk.runs <= 60
        assert shrunk.failed > 0

    assert minimal >= len(SEEDS) - (0 if rate == 1.0 else 2)


def test_a_race_that_hardly_ever_shows_is_left_as_it_is():
    """Below the floor nothing is tried, and that is said."""
    shrunk = shrink(parallel(1), race(0.0, 1), generators)

    assert parallel(1) == shrunk.sequence
    assert "it failed in 0 of 60 runs, too seldom to be shrunk" == shrunk.stopped
    assert not shrunk.confirmed


def test_a_candidate_that_showed_a_race_once_is_not_taken_for_one():
    """A sequence that shows it one time in a hundred is not adopted, though it is shorter."""
    chance = random.Random(3)

    def oracle(candidate: Sequence) -> Attempt:
        often = len(candidate) >= 12
        return Attempt(chance.random() < (1.0 if often else 0.01), candidate, len(candidate))

    lengths = [len(shrink(parallel(seed), oracle, generators).sequence) for seed in SEEDS]

    assert {12} == set(lengths)


def test_the_first_call_of_a_branch_is_sent_before_where_that_is_enough():
    """What is needed, but need not race, ends up in the prefix."""

    def oracle(candidate: Sequence) -> Attempt:
        create = next((call for call in candidate if call.tag == "create"), None)
        pings = {call.branch for call in candidate if call.tag == "ping"}
        return Attempt(create is not None and len(pings - {0}) == 2, candidate, len(candidate))

    sequence = (
        Call(label=0, tag="create", args={"name": "a"}, branch=1),
        Call(label=1, tag="ping", branch=1),
        Call(label=2, tag="ping", branch=2),
    )

    assert [0, 1, 2] == [call.branch for call in shrink(sequence, oracle, generators).sequence]


# --- repetitions --------------------------------------------------------------------------------


def test_what_is_repeated_goes_with_its_repetition():
    """A repetition is not left without the call that it repeats, and both keep their arguments."""
    seen = []

    def oracle(candidate: Sequence) -> Attempt:
        seen.append(candidate)
        return Attempt(any(call.repeats is not None for call in candidate), candidate, len(candidate))

    sequence = (
        Call(label=0, tag="create", args={"name": "dd"}),
        Call(label=1, tag="create", args={"name": "ee"}),
        Call(label=2, tag="ping"),
        Call(label=3, tag="create", repeats=1),
    )
    shrunk = shrink(sequence, oracle, generators).sequence

    assert [(1, None), (3, 1)] == [(call.label, call.repeats) for call in shrunk]
    assert {"name": "a"} == shrunk[0].args
    assert all(call.needs <= {each.label for each in candidate} for candidate in seen for call in candidate)


@pytest.mark.parametrize(("needs_both", "shape"), [(True, [(None, True)]), (False, [(None, False), (0, False)])])
def test_what_is_sent_twice_is_sent_again_where_that_is_enough(needs_both: bool, shape: list[tuple[int | None, bool]]):
    """One request after the other is simpler than two at the same time, if it fails as well."""

    def oracle(candidate: Sequence) -> Attempt:
        again = any(call.repeats is not None for call in candidate) and not needs_both
        return Attempt(again or any(call.twice for call in candidate), candidate, len(candidate))

    shrunk = shrink((Call(label=0, tag="ping", twice=True),), oracle, generators).sequence

    assert shape == [(call.repeats, call.twice) for call in shrunk]


def test_a_repetition_of_the_first_call_has_an_identity_of_its_own():
    """Which call is repeated tells two sequences apart, and labels do not."""

    def sequence(first: int, repeats: int) -> Sequence:
        return (
            Call(label=first, tag="ping"),
            Call(label=first + 1, tag="ping"),
            Call(label=9, tag="ping", repeats=first + repeats),
        )

    assert identity(sequence(0, 0)) == identity(sequence(4, 0))
    assert identity(sequence(0, 0)) != identity(sequence(0, 1))


def test_search_that_kills_the_service_over_and_over_ends():
    """Each death costs a start, so the search ends after some of them, and says so; the best so far is kept."""
    sequence = drawn(3, 30, (Create, Increase))

    def deadly(candidate: Sequence) -> Attempt:
        return Attempt(candidate == sequence, candidate, 1, died=candidate != sequence)

    shrunk = shrink(sequence, deadly, generators)

    assert "the service died in 20 of the sequences that were tried" == shrunk.stopped
    assert (sequence, True) == (shrunk.sequence, shrunk.confirmed)


# --- faults -------------------------------------------------------------------------------------

COMMANDS |= {kind.tag: kind for kind in (fault.Timeout, fault.Latency, fault.ErrorStatus)}
FAULTS = frozenset({"fault_timeout", "fault_latency", "fault_error_status"})


def timeout(label: int, steps: int = 3, milliseconds: int = 40) -> Call:
    return call(label, fault.Timeout, steps=steps, stream="downstream", share=1.0, milliseconds=milliseconds)


def broken(label: int, steps: int = 2) -> Call:
    return call(label, fault.ErrorStatus, steps=steps, share=1.0, status=503, reached=True)


def named(label: int, name: str = "a") -> Call:
    return call(label, Create, name=name)


def under(sequence: Sequence, tag: str) -> bool:
    """Say whether a fault is on when the last call is sent."""
    left = 0
    for each in sequence[:-1]:
        left = int(str(each.args["steps"])) if each.tag == tag else max(0, left - 1)
    return left > 0


def test_a_bug_that_needs_no_fault_is_shrunk_without_any():
    """That is asked first of all, before anything else is left out."""
    oracle = Oracle(created_twice)
    result = shrunk(oracle, (named(0), timeout(1), named(2, "b"), broken(3), named(4, "c"), named(5)), faults=FAULTS)

    assert [("create", "a"), ("create", "a")] == said(result.sequence)
    assert ["create"] * 4 == [each.tag for each in oracle.asked[1]]


def test_of_several_faults_the_one_that_is_needed_stays():
    """It is the last one for the most part, which is tried first; it is no longer than it has to be, and milder."""
    oracle = Oracle(lambda calls: calls[-1].tag == "create" and under(calls, "fault_timeout"))
    start = (named(0), broken(1, 1), named(2), timeout(3), named(4, "b"), named(5, "c"))
    result = shrunk(oracle, (*start[:4], call(9, Ping), named(10, "b")), faults=FAULTS)

    assert ["fault_timeout", "create"] == [each.tag for each in result.sequence]
    assert (1, 10) == (result.sequence[0].args["steps"], result.sequence[0].args["milliseconds"])
    assert result.confirmed


def test_two_faults_that_are_both_needed_stay():
    """Where neither alone will do, both are kept."""

    def both(calls: Sequence) -> bool:
        tags = [each.tag for each in calls]
        return tags[-1] == "create" and {"fault_timeout", "fault_error_status"} <= set(tags)

    result = shrunk(Oracle(both), (broken(0), named(1), timeout(2), named(3), named(4)), faults=FAULTS)

    assert {"fault_timeout", "fault_error_status", "create"} == {each.tag for each in result.sequence}
    assert 3 == len(result.sequence)


def test_a_fault_is_not_made_milder_than_what_hits_each_time():
    """What fails now and then, as a shorter time-out does, is no simpler, however lucky its first run was."""
    asked: list[int] = []

    class Lucky(Oracle):
        """Below 25 ms it fails in two of three runs."""

        def __call__(self, sequence: Sequence) -> Attempt:
            attempt = super().__call__(sequence)
            [milliseconds] = arguments(sequence, "fault_timeout", "milliseconds") or [99]
            if not attempt.same or int(str(milliseconds)) >= 25:
                return attempt
            asked.append(1)
            return attempt._replace(same=len(asked) % 3 != 0)

    oracle = Lucky(lambda calls: calls[-1].tag == "create" and under(calls, "fault_timeout"))
    result = shrunk(oracle, (timeout(0, 1, 40), named(1)), faults=FAULTS)

    assert [25] == arguments(result.sequence, "fault_timeout", "milliseconds")
    assert result.confirmed
    assert len(asked) > 3


def test_a_search_without_faults_runs_each_candidate_once():
    """What it costs to be sure is paid for faults alone."""
    plain, faulty = Oracle(created_twice), Oracle(created_twice)
    start = (named(0), named(1, "b"), named(2))
    one, other = shrunk(plain, start), shrunk(faulty, start, faults=FAULTS)

    assert (one.sequence, one.executions) == (other.sequence, other.executions)
