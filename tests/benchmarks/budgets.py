"""The budgets that are not about finding bugs, each measured in one run on this machine.

python tests/benchmarks/budgets.py
"""

import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from examples.leaderboard import Leaderboard
from examples.toybank import Bank
from examples.toybank.model import Account, AccountOpened, Debit, Paid, ReadStatement, StatementRead
from replaykit import Mock, Ref, integration, service
from replaykit.adapter import predicted
from replaykit.cassette import Player
from replaykit.client import Client
from replaykit.command import Refs
from replaykit.contrast import contrast
from replaykit.difference import same
from replaykit.history import Branch, Sent, explain
from replaykit.interaction import Interaction, Request, Response
from replaykit.reader import read
from replaykit.sequence import Call
from replaykit.trace import Said, Step, Trace
from replaykit.writer import Writer

ROUNDS = 7
REQUESTS = 500


class Recording:
    """The tape that writes every interaction to a file."""

    plays = False

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.kept: list[Interaction] = []

    def answer(self, request: Request) -> None:
        del request

    def keep(self, interaction: Interaction) -> None:
        self.kept.append(interaction)
        self.writer.interaction("command", 0, interaction)


class Playing:
    """The tape that plays a cassette."""

    plays = True

    def __init__(self, player: Player) -> None:
        self.answer = player.answer

    def keep(self, interaction: Interaction) -> None:
        del interaction


def cpu(work: Callable[[], None]) -> float:
    """Return the seconds of this process's own time that some work takes."""
    began = time.process_time()
    work()
    return time.process_time() - began


def requests() -> tuple[float, float]:
    """Return the client's CPU of captured and of played requests, each against plain httpx."""
    captured, played = [], []
    with (
        service.reached(
            url=None, start="python -m examples.leaderboard --port {port}", health=None, patience=None
        ) as url,
        tempfile.TemporaryDirectory() as folder,
        httpx.Client() as plain,
        Client(url) as client,
        Writer(Path(folder) / "x.partial") as writer,
    ):
        for name in range(20):
            plain.post(f"{url}/players", json={"name": f"player {name}"})

        def ask(one: httpx.Client, place: str) -> None:
            for _ in range(REQUESTS):
                one.get(place)

        for _ in range(ROUNDS):
            alone = cpu(lambda: ask(plain, f"{url}/players"))
            tape = Recording(writer)
            with client.through(tape):
                captured.append(cpu(lambda: ask(client, "/players")) / alone)
            with client.through(Playing(Player(tape.kept))):
                played.append(cpu(lambda: ask(client, "/players")) / alone)
            writer.rewind()
    return statistics.median(captured), statistics.median(played)


def loading(number: int) -> float:
    """Return the seconds that loading a bundle of so many interactions with bodies of 2 KB takes."""
    from tests.test_bundle import provenance

    body = b'{"name":"somebody","score":12345678},' * 55
    headers = tuple((f"X-Header-{number}", "some value") for number in range(6))
    one = Interaction(
        request=Request(method="GET", url="http://127.0.0.1:1/x", headers=headers),
        response=Response(status=200, reason="OK", headers=headers, body=body),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.pd"
        with Writer(Path(folder) / "x.partial") as writer:
            writer.begin(provenance())
            writer.write(Trace(resetting=(one,) * number, ending="passed"))
            writer.save(path)
        return min(_seconds(lambda: read(path)) for _ in range(ROUNDS))


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def steps() -> float:
    """Return the steps a second of a model on a service that does nothing."""
    rates = []
    for _ in range(ROUNDS):
        result = integration.run(model=Leaderboard, adapter=Mock, seed=1, max_runs=100)
        rates.append(result.steps / result.duration)
    return statistics.median(rates)


def linearizing() -> tuple[float, float, int]:
    """Return the median and the longest seconds in which four branches of eight are judged, and how often undecided.

    In half of these histories of debits and statements, a statement lacks a line.
    """
    chance = random.Random(1)
    seconds, undecided = [], 0
    for number in range(60):
        history = _history(chance, lost=number % 2 == 1)
        caller = Branch(Mock(Bank), _bank(), None, ())
        began = time.perf_counter()
        found = explain(caller, history, [])
        seconds.append(time.perf_counter() - began)
        undecided += found.answer == "undecided"
        if found.answer != "undecided" and (found.answer == "refuted") != (number % 2 == 1):
            raise AssertionError(f"history {number}: {found.answer}")
    return statistics.median(seconds), max(seconds), undecided


ACCOUNT = Ref[Account]("account@0", 0)


def _bank() -> Bank:
    state = Bank()
    state.apply(AccountOpened(account=ACCOUNT, currency="EUR"))
    state.apply(Paid(payment=Ref("payment@1", 1), account=ACCOUNT, amount=100))
    return state


def _history(chance: random.Random, *, lost: bool) -> list[Branch]:
    """Draw what four branches of eight see: each call takes effect at a moment of its own time."""
    branches = [Branch(Mock(Bank), Bank(), None, ()) for _ in range(4)]
    calls = []
    for number, branch in enumerate(branches):
        now = 0.0
        for place in range(8):
            called = now + chance.random() * 0.0005
            now = called + 0.001 + chance.random() * 0.002
            calls.append((called + chance.random() * (now - called), called, now, branch, 10 + number * 8 + place))
    state, spoilt = _bank(), 28 if lost else -1
    for index, (_, called, returned, branch, label) in enumerate(sorted(calls, key=lambda each: each[0])):
        amount = chance.randrange(1, 30)
        debit = Debit(account=ACCOUNT, amount=amount, currency="EUR", key=str(label))
        read = ReadStatement(account=ACCOUNT)
        command = read if index % 4 == 0 or index == spoilt else debit
        event = predicted(state, command, _refs(label))
        if isinstance(event, StatementRead) and index == spoilt:
            event = event.replace(amounts=[*event.amounts[:1], *event.amounts[2:]])  # a line that is long there
        else:
            state.apply(event)
        call = Call(label=label, tag=command.tag)
        branch.sent.append(Sent(call, command, called, returned, event))
    return branches


def _refs(label: int) -> Refs:
    refs = Refs()
    refs.step = label
    return refs


def comparing() -> tuple[float, float]:
    """Return the seconds that two runs with an answer of 50 KB are compared in: the same, and one with new ids."""

    def ran(ident: str) -> Trace:
        rows = [{"id": n, "name": f"name {n}", "row": ident, "n": n * 1.5, "text": "x" * 120} for n in range(240)]
        asked = Call(label=1, tag="ask", args={"row": "row@0"})
        made = Said(tag="made", version=1, data=b'{"row":"row@0"}')
        first = Step(call=Call(label=0, tag="make"), interactions=(answered({"id": ident}),), event=made)
        return Trace(steps=(first, Step(call=asked, interactions=(answered(rows),))), ending="passed")

    def answered(data: object) -> Interaction:
        headers = (("content-type", "application/json"),)
        request = Request(method="GET", url="http://a/rows")
        return Interaction(request=request, response=Response(status=200, headers=headers, body=to_json(data)))

    def to_json(data: object) -> bytes:
        return json.dumps(data).encode()

    one, twin, other = ran("row-0001"), ran("row-0001"), ran("row-0002")
    assert not contrast(one, other).found
    return _seconds(lambda: contrast(one, twin)), _seconds(lambda: contrast(one, other))


def start_up(*words: str, **more: str) -> float:
    """Return the seconds of CPU that a command line takes above bare Python.

    Bytecode is written before, as installers do; and what others do on the machine does not count.
    """
    with tempfile.TemporaryDirectory() as folder:
        known = {**os.environ, **more, "PYTHONPYCACHEPREFIX": folder}
        known.pop("PYTHONDONTWRITEBYTECODE", None)

        def once(command: list[str]) -> float:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=known)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

        bare, command = [sys.executable, "-c", ""], [sys.executable, "-m", "replaykit", *words]
        taken = [(once(bare), once(command)) for _ in range(2 * ROUNDS)]  # by turns
        return min(each for _, each in taken) - min(each for each, _ in taken)


def main() -> None:
    """Measure, and print a line for each budget."""
    captured, played = requests()
    document = [{"id": number, "name": f"name {number}", "tags": ["a", "b"]} for number in range(900)]
    twin = [dict(each) for each in document]
    golden = str(Path(__file__).parent.parent / "bundles" / "format-1.pd")
    print(f"client CPU of a captured request, against plain httpx: {captured:.2f} (budget 1.3 or less)")
    print(f"client CPU of a played request, against plain httpx:   {played:.2f} (budget 0.6 or less)")
    print(f"loading 1,000 interactions of 2 KB: {loading(1000) * 1000:.0f} ms (budget 100 or less)")
    print(f"loading 10,000 interactions of 2 KB: {loading(10_000) * 1000:.0f} ms (budget 1,500 or less)")
    print(
        f"comparing equal documents of 50 KB: {_seconds(lambda: same(document, twin)) * 1000:.2f} ms (budget 1 or less)"
    )
    equal, renamed = comparing()
    print(f"two runs with an equal answer of 50 KB: {equal * 1000:.2f} ms (budget 1 or less)")
    print(f"the same where each of its rows has a new id: {renamed * 1000:.2f} ms")
    median, most, undecided = linearizing()
    print(
        f"four branches of eight: {median * 1000:.0f} ms, at most {most * 1000:.0f} ms, {undecided} undecided "
        "(budget 100 or less)"
    )
    print(f"steps a second without a service: {steps():.0f} (budget 20,000 or more)")
    asked = {"_REPLAYKIT_COMPLETE": "bash_complete", "COMP_TYPED": "replaykit sh"}
    for said, words, more in (
        ("--help", ["--help"], {}),
        ("show", ["show", golden], {}),
        ("list", ["list", golden], {}),
        ("completing `replaykit sh`", [], asked),
    ):
        print(f"start-up of {said} above bare Python: {start_up(*words, **more) * 1000:.0f} ms (budget 150 or less)")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent.parent))
    sys.path.insert(0, str(Path(__file__).parent.parent))
    main()
