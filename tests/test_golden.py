"""Golden files: what a seed means is the same on every Python, and in every version of replaykit.

`python tests/test_golden.py --write` writes them anew. Do so only when seeds are meant to change, and say
so in the changelog: a seed that somebody noted down will mean something else.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest
from annotated_types import MaxLen

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

from examples.leaderboard import Leaderboard
from replaykit import Command, Entity, Event, Mock, Model, Ref, expects, gen, like, on, requires
from replaykit.generate import Generated
from replaykit.run import execute
from replaykit.source import Source, derive

FOLDER = Path(__file__).parent / "golden"
SIZES = (0, 3, 12, 40)


class Account(Entity):
    balance: int = 0


class Open(Command, weight=2):
    owner: Annotated[str, gen.pool(gen.text("abc", min_size=1, max_size=3), size=4)]
    currency: Literal["EUR", "JPY"]


class Credit(Command, weight=5):
    account: Ref[Account]
    amount: Annotated[int, gen.integers(1, 500)]
    note: Annotated[str, gen.map(gen.integers(0, 9), str)]


class Close(Command, weight=0.5):
    account: Ref[Account]


class Opened(Event):
    account: Ref[Account]
    owner: str


class Credited(Event):
    account: Ref[Account]
    amount: int


class Closed(Event):
    account: Ref[Account]


class Bank(Model):
    """A small model with all that a seed's meaning can depend on: weights, refs, pools, preconditions."""

    commands: ClassVar = (Open, Credit, Close)
    accounts: dict[Ref[Account], Account] = {}  # noqa: RUF012

    @expects
    def open(self, cmd: Open) -> Opened:
        return like(Opened, owner=cmd.owner)

    @expects
    def credit(self, cmd: Credit) -> Credited:
        return Credited(account=cmd.account, amount=cmd.amount)

    @requires
    def empty(self, cmd: Close) -> bool:
        return self.accounts[cmd.account].balance < 900

    @expects
    def close(self, cmd: Close) -> Closed:
        return Closed(account=cmd.account)

    @on
    def opened(self, event: Opened) -> None:
        self.accounts[event.account] = Account()

    @on
    def credited(self, event: Credited) -> None:
        self.accounts[event.account].balance += event.amount

    @on
    def closed(self, event: Closed) -> None:
        del self.accounts[event.account]


class Register(Command, weight=2):
    owner: Annotated[str, gen.mint("owner")]
    mail: Annotated[str, gen.map(gen.mint("user"), "{}@example.com".format)]
    keys: Annotated[list[str], gen.list(gen.mint("key"), max_size=2)]


class Pay(Command, weight=3):
    payer: Ref[Account] | None
    payees: Annotated[list[Ref[Account]], MaxLen(3)]
    key: Annotated[str, gen.pool(gen.mint("key"), size=2)]


class Registered(Event):
    account: Ref[Account]


class Paid(Event):
    pass


class Market(Model):
    """A small model of what a seed mints, and of refs that may be none."""

    commands: ClassVar = (Register, Pay)
    accounts: dict[Ref[Account], Account] = {}  # noqa: RUF012

    @expects
    def register(self, cmd: Register) -> Registered:
        return like(Registered)

    @expects
    def pay(self, cmd: Pay) -> Paid:
        return Paid()

    @on
    def registered(self, event: Registered) -> None:
        self.accounts[event.account] = Account()


def is_even(number: int) -> bool:
    return number % 2 == 0


def up_to(high: int) -> gen.Generator:
    return gen.integers(0, high)


def halved(size: int) -> int:
    return size // 2


GENERATORS: dict[str, gen.Generator] = {
    "boolean": gen.boolean(),
    "integers": gen.integers(),
    "integers from": gen.integers(17),
    "integers between": gen.integers(-50, 1_000_000),
    "integers, large": gen.integers(0, 10**18),
    "integers in steps": gen.integers(-100, 100, step=7),
    "naturals": gen.naturals(),
    "real": gen.real(),
    "real between": gen.real(-1.5, 1000.25),
    "char": gen.char(),
    "digits": gen.digits(),
    "letters": gen.letters("-_"),
    "unicode": gen.text(gen.unicode(), max_size=8),
    "text": gen.text(),
    "text between": gen.text("abc", min_size=2, max_size=5),
    "list": gen.list(gen.integers(0, 9)),
    "list, unique": gen.list(gen.integers(0, 99), min_size=1, max_size=5, unique=True),
    "tuple": gen.tuple(gen.boolean(), gen.naturals(9)),
    "record": gen.record(name=gen.text("xy"), age=gen.naturals(130)),
    "one_of": gen.one_of(["red", "green", "blue"]),
    "choice": gen.choice(gen.const(None), gen.integers(0, 9), gen.text("ab")),
    "frequency": gen.frequency((9, gen.const("often")), (1, gen.const("rare"))),
    "map": gen.map(gen.integers(0, 9), str),
    "bind": gen.bind(gen.integers(1, 9), up_to),
    "filter": gen.filter(gen.integers(0, 100), is_even),
    "resize": gen.resize(gen.text("ab"), 2),
    "scale": gen.scale(gen.text("ab"), halved),
    "no_shrink": gen.no_shrink(gen.integers(0, 9)),
    "pool": gen.pool(gen.text("abc", max_size=4), size=2),
    "mint": gen.mint("owner"),
    "mint, mapped": gen.map(gen.mint("user"), "{}@example.com".format),
    "list of minted": gen.list(gen.mint(), max_size=3),
    "pool of minted": gen.pool(gen.mint("key"), size=2),
}


def values() -> Any:
    """Say what each generator draws, from some seeds at some sizes: built values and raw ones."""
    return {name: [_drawn(each, seed) for seed in range(12)] for name, each in GENERATORS.items()}


def _drawn(generator: gen.Generator, seed: int) -> Any:
    source = Source(seed)
    raw = [generator.sample(source, size) for size in SIZES]
    built = [generator.build(each) for each in raw]
    return built if generator.plain else {"raw": raw, "built": built}


def seeds() -> Any:
    """Say which seeds the parts of a campaign have."""
    wholes = (0, 1, 42, (1 << 32) - 1, -7, 1 << 70)
    return {str(seed): [derive(seed, index) for index in (0, 1, 2, 3, 99, 1_000_000)] for seed in wholes}


def sequences() -> Any:
    """Say which commands are asked under some seeds, with their arguments."""
    return {"bank": _runs(Bank, 8, 25), "leaderboard": _runs(Leaderboard, 6, 25), "market": _runs(Market, 4, 15)}


def _runs(model: type[Model], number: int, length: int) -> Any:
    runs = {}
    for seed in range(number):
        trace = execute(model, Mock(model), Generated(model, seed, length))
        if trace.ending != "passed":
            raise AssertionError(f"seed {seed} of {model.__name__}: {trace.ending} {trace.reason} {trace.failure}")
        runs[str(seed)] = [
            [call.label, call.tag, call.args, *([call.raw] if call.raw else [])] for call in trace.sequence
        ]
    return runs


GOLDEN: dict[str, Callable[[], Any]] = {"seeds": seeds, "values": values, "sequences": sequences}


def text_of(data: Any) -> str:
    """Write a golden file: ASCII, a line for each list of values, so that a change can be read."""
    if not isinstance(data, dict) or not any(isinstance(each, dict | list) for each in data.values()):
        return json.dumps(data, sort_keys=True)
    lines = [f"{json.dumps(name)}: {_item(each)}" for name, each in data.items()]
    return "{\n" + ",\n".join(lines) + "\n}"


def _item(data: Any) -> str:
    if isinstance(data, list):
        return "[\n " + ",\n ".join(json.dumps(each, sort_keys=True) for each in data) + "\n]"
    return text_of(data)


@pytest.mark.parametrize("name", GOLDEN)
def test_seeds_mean_what_they_meant(name):
    """What follows from a seed is, to the byte, what the golden file says."""
    kept = (FOLDER / f"{name}.json").read_text("ascii")

    assert kept == text_of(GOLDEN[name]()) + "\n"


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_files_are_json(name):
    """A golden file can be read by anything that reads JSON, and says the same."""
    kept = json.loads((FOLDER / f"{name}.json").read_text("ascii"))

    assert kept == json.loads(json.dumps(GOLDEN[name]()))


def test_a_longer_run_begins_like_a_shorter_one():
    """How many commands were asked for changes nothing in those that come before."""
    short = execute(Leaderboard, Mock(Leaderboard), Generated(Leaderboard, 3, 10)).sequence
    long = execute(Leaderboard, Mock(Leaderboard), Generated(Leaderboard, 3, 40)).sequence

    assert 10 == len(short)
    assert short == long[:10]


def write() -> None:
    """Write all golden files anew."""
    FOLDER.mkdir(exist_ok=True)
    for name, make in GOLDEN.items():
        (FOLDER / f"{name}.json").write_text(text_of(make()) + "\n", "ascii")


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python tests/test_golden.py --write")
    write()
