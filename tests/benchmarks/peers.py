"""replaykit and Hypothesis side by side: what finding and shrinking a bug asks of the service.

    python tests/benchmarks/peers.py [--bug NAME] [--seeds 10]

Each bug is looked for with replaykit and with a RuleBasedStateMachine of Hypothesis, under the same seeds, on one
process of the service, through replaykit's client, and held against the same expectations. Requests are counted by
the client's transport, resets and what is read in order to check included. Medians over the seeds: the requests until
the first failing run is over, the requests after it, and the commands that are left.

Hypothesis has its default settings, but for these: no deadline, no database, no health checks, one bug at a time, the
phases generate and shrink, as many examples as it takes.
"""

import argparse
import platform
import string
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import hypothesis
import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.errors import HypothesisException
from hypothesis.reporting import with_reporter
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from scorecard import SERVICES, median

from examples.leaderboard import Leaderboard
from examples.travelbooking import Travel
from examples.travelbooking.model import AddFlight, AddHotel, Cancel, Draft, Expire, Hold
from replaykit import Command, Model, __version__, integration, service
from replaykit.client import Client
from replaykit.interaction import Interaction, Request

RUNS = 10_000  # at most, of each of the two
COMMANDS = 50  # in a run

# --- what is asked ------------------------------------------------------------------------------


class Asked:
    """The tape that counts the requests of a machine of Hypothesis, and knows where its runs failed."""

    def __init__(self) -> None:
        self.requests = 0
        self.commands = 0  # of the run that goes on
        self.first_failure: int | None = None  # requests until then
        self.length: int | None = None  # commands of the run that failed last

    def answer(self, request: Request) -> None:
        """Let the request go to the network."""

    def keep(self, interaction: Interaction) -> None:
        """Count a request; what is posted is a command, or the reset that a run begins with."""
        self.requests += 1
        if interaction.request.method == "POST":
            self.commands = 0 if interaction.request.url.endswith("/reset") else self.commands + 1

    def failed(self) -> None:
        """Hear that the run has failed."""
        self.length = self.commands
        if self.first_failure is None:
            self.first_failure = self.requests


# --- the leaderboard ----------------------------------------------------------------------------


class Machine(RuleBasedStateMachine):
    """A machine that tells where it fails."""

    http: ClassVar[Client]
    asked: ClassVar[Asked]

    def teardown(self) -> None:
        if isinstance(sys.exc_info()[1], AssertionError):
            self.asked.failed()


NAMES = st.one_of(
    st.text(string.ascii_letters + " ", max_size=6),
    st.text("aAbB", max_size=2),
    st.text(" ", max_size=2),
)


class LeaderboardMachine(Machine):
    """The leaderboard: what its model says, as a user of Hypothesis would write it."""

    names = Bundle("names")

    def __init__(self) -> None:
        super().__init__()
        self.http.post("/reset").raise_for_status()
        self.scores: dict[str, int] = {}

    @rule(target=names, name=NAMES)
    def create(self, name: str) -> str:
        answer = self.http.post("/players", json={"name": name})
        if not name.strip() or name in self.scores:
            assert answer.status_code == 400
        else:
            assert answer.status_code == 201
            self.scores[name] = 0
        return name

    @rule(name=names)
    def create_again(self, name: str) -> None:
        self.create(name)

    @rule(name=names)
    def increase(self, name: str) -> None:
        self.http.post(f"/scores/{quote(name, safe='')}").raise_for_status()
        if name in self.scores:
            self.scores[name] += 1

    @rule(name=NAMES)
    def increase_somebody(self, name: str) -> None:
        self.increase(name)

    @invariant()
    def board_matches(self) -> None:
        rows = [(row["name"], row["score"]) for row in self.http.get("/players").json()]
        assert rows == sorted(self.scores.items(), key=lambda row: (-row[1], row[0]))


# --- the travel agency --------------------------------------------------------------------------


class Unpaid(Travel):
    """The travel agency without payments, so that nothing depends on when they are answered."""

    commands: ClassVar[tuple[type[Command], ...]] = (AddFlight, AddHotel, Draft, Hold, Cancel, Expire)


@dataclass
class Booked:
    """A booking, as a machine knows it."""

    offers: list[str]  # the flight and the hotel, as far as there are
    state: str = "draft"


FEW = st.integers(1, 3)
TRAVELLERS = st.text(string.ascii_letters, min_size=1, max_size=6)


class UnpaidMachine(Machine):
    """The travel agency without payments: what its model says, as a user of Hypothesis would write it."""

    flights = Bundle("flights")
    hotels = Bundle("hotels")
    bookings = Bundle("bookings")

    def __init__(self) -> None:
        super().__init__()
        self.http.post("/api/reset").raise_for_status()
        self.seats: dict[str, int] = {}
        self.rooms: dict[str, int] = {}
        self.booked: dict[str, Booked] = {}

    def post(self, place: str, expected: tuple[int, str | None], **body: Any) -> Any:
        """Ask for something, and look at the status and the code of a refusal."""
        answer = self.http.post(f"/api/{place}", json=body)
        said = answer.json()
        assert expected == (answer.status_code, said["error"]["code"] if answer.is_error else None)
        return said

    def free(self, offer: str) -> int:
        """How many seats or rooms are free."""
        held = sum(offer in each.offers for each in self.booked.values() if each.state == "held")
        return {**self.seats, **self.rooms}[offer] - held

    @initialize(target=flights)
    def no_flight(self) -> None:
        return None

    @initialize(target=hotels)
    def no_hotel(self) -> None:
        return None

    @precondition(lambda self: len(self.seats) < 3)
    @rule(target=flights, seats=FEW)
    def add_flight(self, seats: int) -> str:
        flight: str = self.post("flights", (201, None), seats=seats)["id"]
        self.seats[flight] = seats
        return flight

    @precondition(lambda self: len(self.rooms) < 3)
    @rule(target=hotels, rooms=FEW)
    def add_hotel(self, rooms: int) -> str:
        hotel: str = self.post("hotels", (201, None), rooms=rooms)["id"]
        self.rooms[hotel] = rooms
        return hotel

    @rule(target=bookings, traveller=TRAVELLERS, flight=flights, hotel=hotels)
    def draft(self, traveller: str, flight: str | None, hotel: str | None) -> str:
        booking: str = self.post("bookings", (201, None), traveller=traveller, flight=flight, hotel=hotel)["id"]
        self.booked[booking] = Booked([each for each in (flight, hotel) if each is not None])
        return booking

    @rule(booking=bookings)
    def hold(self, booking: str) -> None:
        known = self.booked[booking]
        if known.state != "draft":
            self.post(f"bookings/{booking}/hold", (409, "illegal_transition"))
        elif any(self.free(offer) < 1 for offer in known.offers):
            self.post(f"bookings/{booking}/hold", (409, "sold_out"))
        else:
            self.post(f"bookings/{booking}/hold", (200, None))
            known.state = "held"

    @rule(booking=bookings)
    def cancel(self, booking: str) -> None:
        self.end(booking, "cancel", {"draft", "held"}, "cancelled")

    @rule(booking=bookings)
    def expire(self, booking: str) -> None:
        self.end(booking, "expire", {"held"}, "expired")

    def end(self, booking: str, verb: str, states: set[str], state: str) -> None:
        """End a booking, if it is in one of some states."""
        known = self.booked[booking]
        if known.state in states:
            self.post(f"bookings/{booking}/{verb}", (200, None))
            known.state = state
        else:
            self.post(f"bookings/{booking}/{verb}", (409, "illegal_transition"))

    @invariant()
    def bookings_match(self) -> None:
        states = {row["id"]: row["state"] for row in self.http.get("/api/bookings").json()}
        assert states == {booking: known.state for booking, known in self.booked.items()}

    @invariant()
    def inventory_matches(self) -> None:
        seats = {row["id"]: (row["seats"], row["free"]) for row in self.http.get("/api/flights").json()}
        rooms = {row["id"]: (row["rooms"], row["free"]) for row in self.http.get("/api/hotels").json()}
        assert seats == {flight: (total, self.free(flight)) for flight, total in self.seats.items()}
        assert rooms == {hotel: (total, self.free(hotel)) for hotel, total in self.rooms.items()}


# --- the measurement ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A bug of a service, and what looks for it."""

    service: str
    bug: str
    model: type[Model]
    machine: type[Machine]

    @property
    def shortest(self) -> int:
        """The commands that show it."""
        return next(bug.shortest for bug in SERVICES[self.service].bugs if bug.name == self.bug)


CASES = (
    Case("leaderboard", "duplicate-names", Leaderboard, LeaderboardMachine),
    Case("leaderboard", "tie-order", Leaderboard, LeaderboardMachine),
    Case("leaderboard", "score-cap", Leaderboard, LeaderboardMachine),
    Case("travelbooking", "double-cancel", Unpaid, UnpaidMachine),
    Case("travelbooking", "last-seat", Unpaid, UnpaidMachine),
)


@dataclass
class Row:
    """What one of the two made of a bug."""

    case: Case
    tool: str
    seeds: int
    finding: list[int] = field(default_factory=list)  # requests, for each seed that found it
    shrinking: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)  # commands
    troubles: list[str] = field(default_factory=list)  # in which it ended instead

    def __str__(self) -> str:
        case, minimal = self.case, sum(length <= self.case.shortest for length in self.lengths)
        medians = [f"{found:g}" if found is not None else "-" for found in map(median, (self.finding, self.shrinking))]
        length = f"{median(self.lengths):g}" if self.lengths else "-"
        cells = [
            case.service, case.bug, self.tool, f"{len(self.finding)}/{self.seeds}", *medians, length,
            str(case.shortest), f"{minimal}/{len(self.lengths)}",
        ]  # fmt: skip
        return f"| {' | '.join(cells)} |"


HEAD = "service | bug | with | found | requests to failure | shrink requests | length | shortest | minimal"


def with_replaykit(case: Case, url: str, seed: int, row: Row) -> None:
    """Look for a bug with replaykit, as its users do."""
    result = integration.run(
        model=case.model, adapter=SERVICES[case.service].adapter, base_url=url, seed=seed, max_runs=RUNS,
        max_commands=COMMANDS, stop_on_fail=True,
    )  # fmt: skip
    if not result.failures or result.failures[0].shrunk is None:
        row.troubles.append(result.trouble or result.died or "nothing found")
        return
    row.finding.append(result.requests)
    row.shrinking.append(result.failures[0].shrunk.requests)
    row.lengths.append(len(result.failures[0].trace.steps))


SETTINGS = hypothesis.settings(
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
    stateful_step_count=COMMANDS,
    max_examples=RUNS,
    phases=(Phase.generate, Phase.shrink),
)


def with_hypothesis(case: Case, url: str, seed: int, row: Row) -> None:
    """Look for a bug with Hypothesis, as its users do."""
    asked = Asked()
    machine = hypothesis.seed(seed)(case.machine)
    with Client(url) as client, client.through(asked), with_reporter(lambda _: None):
        machine.http, machine.asked = client, asked
        try:
            run_state_machine_as_test(machine, settings=SETTINGS)
        except AssertionError:
            assert asked.first_failure is not None and asked.length is not None  # noqa: PT018
            row.finding.append(asked.first_failure)
            row.shrinking.append(asked.requests - asked.first_failure)
            row.lengths.append(asked.length)
        except HypothesisException as error:
            row.troubles.append(type(error).__name__)
        else:
            row.troubles.append("nothing found")


TOOLS: dict[str, Callable[[Case, str, int, Row], None]] = {"replaykit": with_replaykit, "Hypothesis": with_hypothesis}


def measure(case: Case, seeds: int) -> list[Row]:
    """Look for one bug with both, under all seeds, on one process of the service."""
    rows = []
    start = SERVICES[case.service].start(case.bug)
    with service.reached(url=None, start=start, health=None, patience=None) as url:
        for tool, look in TOOLS.items():
            row = Row(case, tool, seeds)
            for seed in range(seeds):
                look(case, url, seed, row)
            print(row, *row.troubles, file=sys.stderr)
            rows.append(row)
    return rows


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bug", action="append", choices=[case.bug for case in CASES], help="only this one")
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:  # not in the folder that this is run in
        set_hypothesis_home_dir(Path(home))
        rows = [
            row for case in CASES if case.bug in (options.bug or [case.bug]) for row in measure(case, options.seeds)
        ]
    print(f"| {HEAD} |", f"|{'---|' * (HEAD.count('|') + 1)}", *rows, sep="\n")
    print(f"\nreplaykit {__version__}, Hypothesis {hypothesis.__version__}, Python {platform.python_version()}.")


if __name__ == "__main__":
    main()
