"""Lint: each code is found by a bad model, and not said of its twin; the examples are clean; nothing is sent."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import jsonschema
import pytest
from conftest import ROOT
from lints import does_not_meet, mock_runs, never_checked, never_generated, outside
from lints.shop import AddItem, Item, ItemAdded, Refused, Shop, ShopApi, Take, Taken

from examples.leaderboard import Leaderboard, LeaderboardApi
from examples.toybank import Bank, BankApi, ChaosBank, ChaosBankApi
from examples.travelbooking import BookingLifecycle, ChaosTravel, ChaosTravelApi, Travel, TravelApi
from replaykit import (
    Adapter,
    Command,
    Event,
    Like,
    Model,
    Observation,
    Ref,
    check,
    expects,
    fail,
    handles,
    invariant,
    like,
    on,
    same,
)
from replaykit.lint.guess import raised, shown_for
from replaykit.lint.mutant import mutants
from replaykit.lint.remark import LEVELS
from replaykit.linting import lint, render, schema, unknown_codes

REFERENCE = ROOT / "docs" / "reference"

EXAMPLES = [
    (Leaderboard, LeaderboardApi),
    (Bank, BankApi),
    (ChaosBank, ChaosBankApi),
    (Travel, TravelApi),
    (ChaosTravel, ChaosTravelApi),
    (BookingLifecycle, TravelApi),
]

FEW_RUNS = 20


def twins() -> Iterator[Any]:
    """List the pairs of the catalogue: a code, what has it, and what has not."""
    for family in (never_generated, never_checked, does_not_meet, outside, mock_runs):
        for number, (code, *rest) in enumerate(family.TWINS):
            bad, good = rest if isinstance(rest[0], tuple) else ((rest[0], rest[2]), (rest[1], rest[2]))
            yield pytest.param(code, bad, good, id=f"{code}-{number}")


CATALOGUE = list(twins())


def codes_of(model: type[Model], adapter: Any = None, **options: Any) -> list[str]:
    """List the codes of what is said of a model."""
    return [each.code for each in lint(model, adapter, runs=FEW_RUNS, **options).remarks]


# --- the catalogue ------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "bad", "good"), CATALOGUE)
def test_each_mistake_is_found_and_its_twin_is_not_accused(code: str, bad: Any, good: Any):
    """A code is said of the model with the mistake, with a place in its file, and not of the one without."""
    found = [each for each in lint(*bad, runs=FEW_RUNS).remarks if each.code == code]

    assert found
    assert all(Path(each.file).parent.name == "lints" and each.line for each in found)
    assert code not in codes_of(*good)


def test_every_code_is_in_the_catalogue():
    """No code is without a model that shows it."""
    assert set(LEVELS) == {each.values[0] for each in CATALOGUE}


def test_a_model_without_a_mistake_is_told_nothing():
    """Of the shop that the twins are made from, nothing is said."""
    assert codes_of(Shop, ShopApi) == []
    assert codes_of(Shop) == []


@pytest.mark.parametrize(("model", "adapter"), EXAMPLES)
def test_examples_are_clean(model: type[Model], adapter: Any):
    """Of the examples, nothing but notes is said."""
    found = lint(model, adapter)

    assert [each for each in found.remarks if each.level != "note"] == []
    assert found.ignored == 0


def test_notes_of_the_examples_are_these():
    """ToyBank's events have two fields that are there for people."""
    names = [each.name for each in lint(Bank, BankApi).remarks]

    assert names == ["StatementPaged.whole", "StatementPaged.paged"]


def test_the_same_seed_says_the_same():
    """Lint is deterministic."""
    model = never_checked.Trusting

    assert render(lint(model, ShopApi, runs=5)) == render(lint(model, ShopApi, runs=5))


def test_every_code_has_its_paragraph_and_no_paragraph_has_none():
    """docs/reference/lint.md has a section for each code, which begins with its level."""
    text = (REFERENCE / "lint.md").read_text(encoding="utf-8")

    assert dict(re.findall(r"### `(RK\d+)`\n\n\*\*(\w+)\.\*\* ", text)) == LEVELS
    assert len(re.findall(r"^### ", text, re.MULTILINE)) == len(LEVELS)


# --- checks that are taken away from the examples -------------------------------------------------


def without_checks(model: type[Model], *names: str) -> type[Model]:
    """Make a model that has some checks and invariants of another one no more."""
    kind: Any = type(model)("Less", (model,), {"__module__": __name__, "__qualname__": "Less"})
    rules = model.rules
    kind.rules = replace(
        kind.rules,
        checks=[each for each in rules.checks if each.name not in names],
        invariants=[each for each in rules.invariants if each not in names],
    )
    return kind


def test_a_leaderboard_whose_list_nobody_reads_is_noticed():
    """Without the check that reads the list, a service that gives no points is not noticed."""
    found = lint(without_checks(Leaderboard, "board_matches"), LeaderboardApi)

    assert "RK204" in [each.code for each in found.remarks if each.name == "IncreaseScore"]


def test_a_bank_whose_balances_nobody_reads_is_still_checked_by_its_answers():
    """Without the check, declined payments show lost money: lint says nothing of payments."""
    found = lint(without_checks(Bank, "balances_match"), BankApi)

    assert not [each for each in found.remarks if each.code in {"RK202", "RK204"} and each.name in {"Credit", "Debit"}]


# --- observations that are guessed --------------------------------------------------------------


class Row(Observation):
    name: str
    count: int


class Seen(Observation):
    rows: list[Row]
    total: int
    names: set[str]
    flags: dict[str, bool]
    first: tuple[str, int] | None


class Guessable(Model):
    """Checks as people write them."""

    commands: ClassVar = ()
    items: dict[Ref[Item], Item] = {}  # noqa: RUF012

    @check
    def rows_match(self, seen: Seen) -> None:
        same([(row.name, row.count) for row in seen.rows], [(each.name, each.count) for each in self.items.values()])

    @check
    def total_matches(self, seen: Seen) -> None:
        assert seen.total == sum(each.count for each in self.items.values())

    @check
    def names_match(self, seen: Seen) -> None:
        if {each.name for each in self.items.values()} != seen.names:
            fail("names differ", names=sorted(seen.names))

    @check
    def flags_match(self, seen: Seen) -> None:
        same(seen.flags, {str(ref): True for ref in self.items})

    @check
    def first_matches(self, seen: Seen) -> None:
        first = next(iter(self.items.values()), None)
        assert seen.first == (first and (first.name, first.count))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_an_observation_is_guessed_from_what_checks_compare(count: int):
    """Of `same`, `assert` and `fail` alike, an observation is found for which all checks hold."""
    state = Guessable(items={Ref(f"item@{n}"): Item(name=f"n{n}", count=n) for n in range(count)})
    names = [each.name for each in Guessable.rules.checks]
    seen, unsolved = shown_for(Seen, names, state)

    assert unsolved == set()
    assert [raised(state, name, seen) for name in names] == [None] * len(names)
    assert seen.total == sum(range(count))  # type: ignore[attr-defined]


def test_mutants_are_wrong_in_one_place_and_leave_the_original():
    """No mutant equals what it was made from, which is not changed."""
    value = {"a": [1, 2, (True, "x")], "b": {"c": None}}
    found = list(mutants(value))

    assert value == {"a": [1, 2, (True, "x")], "b": {"c": None}}
    assert found
    assert all(each != value for _, each in found)


# --- models that say less ------------------------------------------------------------------------


class Knock(Command):
    """Knock where nobody opens."""


class StaysShut(Event):
    """Nobody opens."""

    status: int


class Opens(Event):
    """Somebody opens."""


class Doors(Model):
    """Doors that stay shut."""

    commands: ClassVar = (Knock,)

    @expects
    def knock(self, _: Knock) -> tuple[Like[StaysShut], ...]:
        return (like(StaysShut),)


class DoorsApi(Adapter[Doors]):
    """Doors that may open."""

    def reset(self) -> None:
        """Nothing is kept."""

    @handles
    def knock(self, cmd: Knock) -> StaysShut | Opens:
        raise NotImplementedError


def test_without_an_adapter_what_is_expected_is_not_said_to_be_unnoticed():
    """Which other answers a command may get stands in the adapter; without one, its expectation counts."""
    without = lint(Doors, runs=FEW_RUNS)
    beside = lint(Doors, DoorsApi, runs=FEW_RUNS)

    assert [] == [each.code for each in without.remarks if each.level != "note"]
    assert [] == [each.code for each in beside.remarks if each.level != "note"]


def test_many_commands_without_expectation_are_told_once():
    """A model without expectations is no flood: one remark for all its commands, and one note."""
    kinds = [type(Command)(f"Ask{n}", (Command,), {"__module__": __name__}) for n in range(40)]

    model = type(Model)(
        "Wide",
        (Model,),
        {
            "__module__": __name__,
            "__annotations__": {"commands": ClassVar[Any], "server_errors": ClassVar[bool]},
            "commands": tuple(kinds),
            "server_errors": True,
        },
    )
    found = lint(model, runs=FEW_RUNS)

    assert [each.code for each in found.remarks] == ["RK202", "RK503"]
    assert "of 40 commands" in found.remarks[0].what
    assert len(found.remarks[1].what) < 400


class Talking(Event):
    one: int
    two: int
    three: int
    four: int
    five: int


class Ask(Command):
    pass


class Loose(Model):
    """Expects an event, and nothing of what is in it."""

    commands: ClassVar = (Ask,)

    @expects
    def ask(self, _: Ask) -> Like[Talking]:
        return like(Talking)


class LooseApi(Adapter[Loose]):
    @handles
    def ask(self, _: Ask) -> Talking | Refused:
        return Refused(status=500)


def test_many_notes_of_one_code_are_told_as_one():
    """Five fields that nobody looks at are one note, which names the others."""
    [found] = lint(Loose, LooseApi, runs=FEW_RUNS).remarks

    assert found.code == "RK203"
    assert "4 more places" in found.what
    assert [each.partition(":")[0] for each in found.shown] == [
        f"Talking.{n}" for n in ("two", "three", "four", "five")
    ]


class Unanswered(Model):
    """Looks at a state that only answers change, and does not say what is answered."""

    commands: ClassVar = (AddItem, Take)
    items: dict[Ref[Item], Item] = {}  # noqa: RUF012

    @on
    def added(self, event: ItemAdded) -> None:
        self.items[event.item] = Item(name=event.name)

    @invariant
    def few(self) -> None:
        assert len(self.items) < 100_000

    @invariant
    def named(self) -> None:
        assert all(each.name for each in self.items.values())

    @check(on=Taken)
    def after_taking(self) -> None:
        assert self.items


def test_what_nobody_can_answer_is_accused_of_nothing():
    """Without expectations and without an adapter, no command is said to be never drawn or never checked."""
    found = lint(Unanswered, runs=FEW_RUNS).remarks

    assert [each.code for each in found] == ["RK210", "RK503"]
    assert "AddItem, Take" in found[-1].what


# --- what is told, and to whom --------------------------------------------------------------------


class Ignoring(Shop):
    seen: int = 0  # replaykit: ignore[RK210]

    @on
    def taken(self, event: Taken) -> None:
        self.items[event.item].count -= event.amount
        self.seen += 1


def test_a_comment_in_the_code_says_that_it_is_meant():
    """What is ignored in the code is counted, and not told."""
    found = lint(Ignoring, ShopApi, runs=FEW_RUNS)

    assert found.remarks == ()
    assert found.ignored == 1
    assert found.is_clean


def test_codes_are_chosen_by_their_beginnings():
    """Only what is selected and not ignored is told."""
    model = never_checked.Idle

    assert set(codes_of(model, ShopApi)) == {"RK207", "RK211"}
    assert codes_of(model, ShopApi, select=["RK21"]) == ["RK211"]
    assert codes_of(model, ShopApi, ignore=["RK2"]) == []
    assert unknown_codes(["RK", "RK1", "RK101", "RK9", "E501"]) == ["RK9", "E501"]


def test_json_is_as_its_schema_says():
    """The document holds against the published schema, which is that of the code."""
    published = (REFERENCE / "lint.schema.json").read_text(encoding="utf-8")
    document = json.loads(render(lint(never_checked.Trusting, ShopApi, runs=5)))
    validator = jsonschema.Draft202012Validator(json.loads(published))
    validator.validate(document)

    assert published == schema()
    assert document["remarks"]
    assert not any(validator.is_valid({k: v for k, v in document.items() if k != key}) for key in document)
    assert validator.is_valid({**document, "of a later version": 1})


def test_a_contradiction_is_shown_with_its_shortest_sequence():
    """A run in which the model fails against itself is told with the calls that matter, and the seed."""
    [found] = lint(mock_runs.Contradictory, ShopApi).remarks

    assert found.code == "RK501"
    assert "seed 1" in found.what
    assert [re.sub(r"\(.*", "", each.split()[1]) for each in found.shown] == ["add_item", "take", "take", "take"]
