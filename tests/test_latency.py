"""Latency: what has a budget, what is measured against it, and how often it must be slow to count."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest

from replaykit import (
    Adapter,
    Budget,
    Command,
    Event,
    Mock,
    Model,
    Observation,
    Verdict,
    Wait,
    Waited,
    check,
    eventually,
    expects,
    gen,
    handles,
    integration,
    invariant,
    observes,
    on,
    replay,
    within,
)
from replaykit.attempts import times_for
from replaykit.bundle import Bundle
from replaykit.errors import BundleError, DefinitionError, UsageError
from replaykit.finding import Finding
from replaykit.generate import Parallel
from replaykit.interaction import Interaction, Request, Response
from replaykit.latency import RUNS, Budgets, budgets_of, decide, endpoint_of
from replaykit.reader import read
from replaykit.report import terminal
from replaykit.sequence import Call
from replaykit.trace import Step, Trace
from replaykit.verdict import Failure
from replaykit.watcher import Watcher

ALLOWED = 0.05  # seconds
SLOW = 0.2  # seconds: far above, whatever else the machine does


# --- the service --------------------------------------------------------------------------------


class Service(ThreadingHTTPServer):
    """Items are added (POST /items), and listed (GET /items): slowly, from some number of them on."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.items = 0
        self.resets = 0
        self.slow_from: float = float("inf")  # items
        self.slow_in: set[int] = set()  # runs, from 1: that the listing is slow in them, too
        self.slow_to_add = False
        self.broken_from: float = float("inf")  # items: that nothing more can be added to
        self.pause = SLOW

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Service

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        served, status = self.server, 200
        if self.path == "/reset":
            served.items = 0
            served.resets += 1
        elif self.command == "POST":
            if served.slow_to_add:
                time.sleep(served.pause)
            status = 500 if served.items >= served.broken_from else 201
            served.items += 1
        elif served.items >= served.slow_from or served.resets in served.slow_in:
            time.sleep(served.pause)
        body = json.dumps(served.items).encode()
        with suppress(ConnectionError):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    do_POST = do_GET  # noqa: N815  its name is the standard library's

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@contextmanager
def serving() -> Iterator[Service]:
    """Serve on a free port of the loopback."""
    served = Service()
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield served
    finally:
        served.shutdown()
        thread.join()
        served.server_close()


@pytest.fixture
def service() -> Iterator[Service]:
    """Give a service of its own to each test."""
    with serving() as served:
        yield served


# --- the model and the adapter ------------------------------------------------------------------


class Add(Command):
    pass


class Look(Command):
    pass


class Nap(Wait):
    seconds: Annotated[float, gen.const(SLOW)]


class Added(Event):
    status: int


class Looked(Event):
    count: int


class Listing(Observation):
    count: int


class Shop(Model):
    commands: ClassVar[tuple[type[Command], ...]] = (Add, Look)
    count: int = 0

    @on
    def added(self, event: Added) -> None:
        self.count += 1

    @invariant
    def some(self) -> None:
        assert self.count >= 0


class Plain(Adapter[Shop]):
    def reset(self) -> None:
        self.http.post("/reset").raise_for_status()

    @handles
    def add(self, cmd: Add) -> Added:
        return Added(status=self.http.post("/items").status_code)

    @handles
    def look(self, cmd: Look) -> Looked:
        return Looked(count=self.http.get("/items").json())

    @observes
    def listing(self) -> Listing:
        return Listing(count=self.http.get("/items").json())


class Quick(Plain):
    @within(ALLOWED)
    @handles
    def look(self, cmd: Look) -> Looked:
        return Looked(count=self.http.get("/items").json())


def hunt(service: Service, model: type[Model] = Shop, adapter: type[Adapter[Any]] = Quick, **options: Any) -> Any:
    """Run a small campaign against the service."""
    usual = {"max_runs": 3, "max_commands": 12, "seed": 1, "health_check": "none", "base_url": service.url}
    return integration.run(model=model, adapter=adapter, **{**usual, **options})


def saved(service: Service, folder: Path, adapter: type[Adapter[Any]] = Quick, **options: Any) -> Bundle:
    """Find what is slow, and read its bundle."""
    result = hunt(service, adapter=adapter, save_failures=folder, stop_on_fail=True, **options)
    [finding] = result.failures
    assert finding.path is not None
    return read(finding.path)


# --- what has a budget --------------------------------------------------------------------------


def test_a_budget_stands_above_or_below_handles():
    """`@within` and `@handles` come in any order."""

    class Other(Plain):
        @handles
        @within(1)
        def look(self, cmd: Look) -> Looked: ...

    budgets = [budgets_of(Shop, each, {}).handlers for each in (Plain, Quick, Other)]

    assert [{}, {"look": ("look", ALLOWED)}, {"look": ("look", 1.0)}] == budgets


def test_a_handler_that_is_written_anew_has_the_budget_that_stands_there():
    """A subclass keeps the budget of a handler that it keeps, and drops it with a new one."""

    class Kept(Quick):
        pass

    class Anew(Quick):
        @handles
        def look(self, cmd: Look) -> Looked: ...

    assert [["look"], []] == [budgets_of(Shop, each, {}).names for each in (Kept, Anew)]


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), True, "0.2", None, lambda cmd: None])
def test_a_budget_is_a_number_of_seconds(seconds: Any):
    """What is no number above 0 is told where it is written."""
    with pytest.raises(DefinitionError, match=r"(?s)@within\(.*Give it seconds"):
        within(seconds)


def test_a_budget_without_a_handler_is_a_mistake():
    """Nothing else than a handler can have one, in whatever order it is written, and none has two."""
    with pytest.raises(DefinitionError, match=r"(?s)look has @within, and handles no command.*--latency"):

        class Unhandled(Plain):
            @within(1)
            def look(self, cmd: Look) -> Looked: ...

    for one, two in ((within(1), observes), (observes, within(1)), (within(1), check), (check, within(1))):
        with pytest.raises(DefinitionError, match="board has @within, and handles no command"):

            @one
            @two
            def board(self: Any) -> Listing: ...

    with pytest.raises(DefinitionError, match="look has @within twice"):

        @within(1)
        @handles
        @within(2)
        def look(self: Any, cmd: Look) -> Looked: ...

    with pytest.raises(DefinitionError, match="decorates 7, which is no method"):
        within(1)(7)  # type: ignore[type-var]


@pytest.mark.parametrize(
    "name",
    ["", "GET", "/items", "get /items", "GET items", "GET  /items", "GET /items?page=1", "GET /a b", "GET /{", "GET /}",
     "GET /{id}.json", "GET /a{id}", "GET /{{id}}"],
)  # fmt: skip
def test_what_is_no_endpoint_is_told(name: str):
    """An endpoint is a method and a path; braces stand around a whole part of it."""
    with pytest.raises(UsageError, match="is not an endpoint"):
        budgets_of(Shop, Plain, {name: 0.2})


@pytest.mark.parametrize("seconds", [0, -0.1, float("nan"), float("inf"), True, "soon"])
def test_a_budget_of_an_endpoint_is_a_number_of_seconds(seconds: Any, service: Service):
    """What is no number above 0 is told before anything is sent."""
    with pytest.raises(UsageError, match=r"(?s)GET /items can't have a budget of .*Give it seconds"):
        hunt(service, latency={"GET /items": seconds})

    assert 0 == service.resets


# --- what is measured ---------------------------------------------------------------------------


def asked(path: str, elapsed: float, method: str = "GET") -> Interaction:
    """Make an interaction that took so long."""
    request = Request(method=method, url=f"http://127.0.0.1:1{path}")
    return Interaction(request=request, response=Response(status=200), elapsed=elapsed)


def step(label: int, tag: str, *interactions: Interaction, observing: tuple[Interaction, ...] = ()) -> Step:
    """Make a step."""
    return Step(call=Call(label=label, tag=tag), interactions=interactions, observing=observing)


def trace_of(*steps: Step, closing: tuple[Interaction, ...] = ()) -> Trace:
    """Make a trace that passed."""
    return Trace(steps=steps, closing=closing, ending="passed")


def slow(budgets: Budgets, *steps: Step, closing: tuple[Interaction, ...] = ()) -> list[tuple[Any, ...]]:
    """Say what is slow: name, step, command, seconds."""
    found = budgets.slow(trace_of(*steps, closing=closing))
    return [(each.name, each.step, each.command, each.actual) for each in found]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/accounts/7/credit", "GET /accounts/{id}/credit"),
        ("/accounts/7/credit?page=2", "GET /accounts/{id}/credit"),
        ("/accounts/a%2Fb/credit", "GET /accounts/{id}/credit"),
        ("/accounts/new/credit", "GET /accounts/new/{what}"),
        ("/accounts/my%20own/credit", "GET /accounts/my%20own/credit"),
        ("/accounts//credit", None),
        ("/accounts/7/credit/", None),
        ("/accounts/credit", None),
        ("/v1/accounts/7/credit", None),
        ("/", "GET /"),
        ("", "GET /"),
    ],
)
def test_a_part_in_braces_is_any_one_part(path: str, name: str | None):
    """Each part fits literally, or stands in braces and is not empty; the most concrete endpoint counts."""
    names = ["GET /accounts/{id}/credit", "GET /accounts/new/{what}", "GET /accounts/my%20own/credit", "GET /"]
    budgets = budgets_of(Shop, Plain, dict.fromkeys([*names, "POST /accounts/{id}"], 0.1))
    found = [name for name, *_ in slow(budgets, step(0, "look", asked(path, 1.0)))]

    assert ([] if name is None else [name]) == found


def test_the_requests_of_a_handler_are_added_up():
    """A handler is slow if all that it sent for one command took too long; what checks read is not its own."""
    budgets = budgets_of(Shop, Quick, {})
    slowly = step(4, "look", asked("/items", 0.03), asked("/items", 0.04))
    reading = step(5, "look", asked("/items", 0.04), observing=(asked("/items", 9.0),))

    assert [("look", 4, "look", 0.07)] == slow(budgets, slowly, reading, step(6, "add", asked("/items", 9.0)))


def test_each_request_to_an_endpoint_is_measured_alone():
    """Several quick requests are no slow one; what checks read counts, also at the end, and the method too."""
    budgets = budgets_of(Shop, Plain, {"GET /items": 0.05})
    steps = [
        step(1, "look", asked("/items", 0.04), asked("/items", 0.04)),
        step(2, "add", asked("/items", 9.0, "POST"), observing=(asked("/items", 0.06), asked("/items", 0.07))),
    ]

    assert [("GET /items", 2, None, 0.06), ("GET /items", None, None, 0.5)] == slow(
        budgets, *steps, closing=(asked("/items", 0.5),)
    )


def test_what_is_exactly_allowed_is_not_slow():
    """The budget itself is allowed, to the microsecond that a bundle keeps."""
    budgets = budgets_of(Shop, Quick, {})

    assert [] == slow(budgets, step(0, "look", asked("/", 0.05 + 4e-7)))
    assert [0.050001] == [each[-1] for each in slow(budgets, step(0, "look", asked("/", 0.050001)))]


@pytest.mark.parametrize(("elapsed", "said"), [(0.312, "0.312"), (0.05002, "0.050020"), (12, "12.000")])
def test_the_failure_says_what_was_allowed(elapsed: float, said: str):
    """The message, the expected and the actual value are in seconds."""
    [failure] = budgets_of(Shop, Quick, {}).slow(trace_of(step(3, "look", asked("/", elapsed))))

    assert ("latency", "look", 3, "look") == (failure.kind, failure.name, failure.step, failure.command)
    assert (ALLOWED, elapsed) == (failure.expected, failure.actual)
    assert f"look took {said} s, 0.05 s are allowed" == failure.message
    assert failure.is_finding


def test_time_that_goes_by_on_purpose_is_not_measured():
    """Neither the handler of a wait has a budget, nor what it asks; what is read after it counts."""

    class Sleepy(Shop):
        commands = (Add, Look, Nap)

    class Clocked(Plain):
        model = Sleepy

        @within(0.05)
        @handles
        def nap(self, cmd: Nap) -> Waited:
            return Waited(seconds=cmd.seconds)

    budgets = budgets_of(Sleepy, Clocked, {"GET /items": 0.05})
    napping = step(0, "nap", asked("/items", 1.0), observing=(asked("/items", 0.06),))

    assert [("GET /items", 0, None, 0.06)] == slow(budgets, napping)


def test_what_is_sent_at_the_same_time_is_not_measured():
    """Neither branches nor a call that is sent twice, nor what is read when branches are over."""
    budgets = budgets_of(Shop, Quick, {"GET /items": ALLOWED})
    slowly = step(3, "look", asked("/items", 9.0))
    twice = slowly.replace(call=slowly.call.replace(twice=True), observing=(asked("/items", 0.06),))
    branch = slowly.replace(call=slowly.call.replace(branch=1))

    assert [("GET /items", 3, None, 0.06)] == slow(budgets, twice, branch, closing=(asked("/items", 9.0),))


# --- the tolerance ------------------------------------------------------------------------------

LOOK = Failure(kind="latency", name="look", step=1, command="look", message="slow")
ADD = Failure(kind="latency", name="add", step=2, command="add", message="slow")


@pytest.mark.parametrize(
    ("pattern", "most", "outcome"),
    [
        ("SSS", 5, ("failed", 3, 3)),
        ("SFSS", 5, ("failed", 4, 3)),
        ("SFFSS", 5, ("failed", 5, 3)),
        ("FFSSS", 5, ("failed", 5, 3)),
        ("SFFF", 5, ("passed", 4, 1)),
        ("SSFFF", 5, ("passed", 5, 2)),
        ("FFF", 5, ("passed", 3, 0)),
        ("SS", 3, ("failed", 2, 2)),
        ("SFS", 3, ("failed", 3, 2)),
        ("FF", 3, ("passed", 2, 0)),
        ("SFF", 3, ("passed", 3, 1)),
        ("S", 1, ("failed", 1, 1)),
        ("F", 1, ("passed", 1, 0)),
    ],
)
def test_the_majority_of_executions_decides(pattern: str, most: int, outcome: tuple[str, int, int]):
    """It ends as soon as it is decided, and says how often it was slow."""
    executions = iter(pattern)
    numbers = iter(range(1, 9))
    traces = {"S": trace_of(step(1, "look", asked("/", 0))), "F": trace_of()}
    decided = decide(
        lambda trace: [LOOK] * bool(trace.steps),
        lambda: traces[next(executions)].replace(reason=str(next(numbers))),
        most,
    )

    assert outcome == (decided.trace.ending, decided.executions, decided.slow)
    assert ("failed" == decided.trace.ending) == (decided.trace.failure == LOOK)
    assert [] == list(executions)
    assert pattern.count("S") == decided.requests


def test_what_is_slow_only_here_and_there_is_forgiven():
    """Two places that are slow in turn are none that is slow; of two in one run, the one that stays slow counts."""
    turns = iter([[LOOK], [ADD], [LOOK], [ADD], []])
    both = iter([[LOOK, ADD], [ADD], [ADD]])
    forgiven = decide(lambda _: next(turns), trace_of, RUNS)

    assert ("passed", 5, 4) == (forgiven.trace.ending, forgiven.executions, forgiven.slow)
    assert ADD == decide(lambda _: next(both), trace_of, RUNS).trace.failure


@pytest.mark.parametrize("ending", ["failed", "unknown", "unreachable", "stale"])
def test_whatever_else_fails_goes_first(ending: str):
    """An execution that does not pass is taken for what it says."""
    other = trace_of().replace(ending=ending)
    executions = iter([trace_of(), other])
    decided = decide(lambda _: [LOOK], lambda: next(executions), RUNS)

    assert (other, 2, 0) == (decided.trace, decided.executions, decided.slow)


def test_an_execution_that_was_made_already_is_not_made_again():
    """The first execution counts, and four more can be made."""
    made: list[Trace] = []

    def again() -> Trace:
        made.append(trace_of())
        return made[-1]

    decided = decide(lambda trace: [LOOK] * bool(trace.steps), again, RUNS, first=trace_of(step(1, "look")))

    assert ("passed", 4, 3) == (decided.trace.ending, decided.executions, len(made))


# --- campaigns ----------------------------------------------------------------------------------


def test_what_is_slow_from_some_number_of_items_on_is_found_and_shrunk(service: Service, tmp_path: Path):
    """The bundle has as many commands as it takes, and the slow one is the last of them."""
    service.slow_from = 3
    bundle = saved(service, tmp_path)
    failure = bundle.failure

    assert ["add", "add", "add", "look"] == [call.tag for call in bundle.trace.sequence]
    assert ("latency", "look", "look") == (failure.kind, failure.name, failure.command)
    assert bundle.trace.sequence[-1].label == failure.step
    assert ALLOWED == failure.expected
    assert SLOW <= failure.actual
    assert bundle.provenance.shrinking is not None
    assert bundle.provenance.shrinking.confirmed
    assert "failed" == bundle.trace.ending


def test_what_is_always_slow_is_shrunk_to_one_command(service: Service, tmp_path: Path):
    """An endpoint that a check reads is slow after the first command."""

    class Reading(Shop):
        commands = (Add,)

        @check
        def arrived(self, listing: Listing) -> None:
            assert listing.count == self.count

    service.slow_from = 0
    bundle = saved(service, tmp_path, Plain, model=Reading, latency={"GET /items": ALLOWED}, max_commands=3)

    assert ["add"] == [call.tag for call in bundle.trace.sequence]
    assert ("latency", "GET /items", None) == (bundle.failure.kind, bundle.failure.name, bundle.failure.command)


def test_a_failure_that_is_not_shrunk_is_saved_as_long_as_it_was_found(service: Service, tmp_path: Path):
    """A slow step ends no run: what came after it is in the bundle, which can be replayed."""
    service.slow_from = 2
    bundle = saved(service, tmp_path, budget=Budget(executions=0))

    assert 12 == len(bundle.trace.steps)
    assert bundle.failure.step < 11
    assert Verdict.REPRODUCED is replay(bundle, model=Shop, adapter=Quick, offline=True).verdict


def test_a_single_slow_answer_is_forgiven(service: Service, tmp_path: Path):
    """What is slow in the first run and not in the same sequence again is no finding, and is counted."""
    service.slow_in = {1}
    result = hunt(service, save_failures=tmp_path)

    assert (0, 3, [], 0) == (result.exit_code, result.passed, result.failures, result.not_judged)
    assert result.forgiven >= 1
    assert f"{result.forgiven} slow answer" in terminal.summary(result)
    assert "forgiven" in terminal.summary(result)
    assert [] == list(tmp_path.iterdir())


def test_whatever_else_fails_in_a_run_goes_before_what_is_slow(service: Service):
    """An expectation that breaks after a slow step is the failure of the run."""

    class Strict(Shop):
        @expects
        def adding(self, cmd: Add) -> Added:
            return Added(status=201)

    service.slow_from, service.broken_from = 1, 2
    result = hunt(service, Strict, max_runs=1)

    assert ["expectation"] == [finding.failure.kind for finding in result.failures]


def test_what_is_slow_behind_something_slow_is_found_too(service: Service):
    """A later run tells of what the first one hid, and what is known is counted."""

    class Looking(Shop):
        commands = (Look,)

    service.slow_from = 0
    result = hunt(service, Looking, latency={"GET /items": ALLOWED}, max_commands=2, budget=Budget(executions=0))

    assert ["look", "GET /items"] == [finding.failure.name for finding in result.failures]
    assert [2, 1] == [finding.occurrences for finding in result.failures]
    assert (3, 0) == (result.failed, result.forgiven)


def test_what_is_known_to_be_slow_hides_no_other_failure(service: Service):
    """A later run that is slow in the same place fails as what breaks in it."""

    class Breakable(Shop):
        commands = (Look,)
        broken: ClassVar[list[bool]] = []

        @invariant
        def holds(self) -> None:
            assert not self.broken

    class Breaking(Watcher):
        def ran(self, number: int, trace: Trace, seconds: float) -> None:
            Breakable.broken.append(True)

    service.slow_from = 0
    result = hunt(service, Breakable, watcher=Breaking(), max_runs=2, max_commands=2, budget=Budget(executions=0))

    assert ["latency", "invariant"] == [finding.failure.kind for finding in result.failures]


def test_a_slow_step_before_branches_is_shrunk_to_what_comes_one_after_the_other(service: Service, tmp_path: Path):
    """Where sequences end in branches, the bundle has none of them."""

    class Reading(Shop):
        commands = (Add,)

        @check
        def arrived(self, listing: Listing) -> None:
            assert listing.count == self.count

    service.slow_from = 0
    bundle = saved(
        service, tmp_path, Plain, model=Reading, latency={"GET /items": ALLOWED}, max_commands=4,
        parallel=Parallel(2, 1), repeat=2,
    )  # fmt: skip

    assert [("add", 0)] == [(call.tag, call.branch) for call in bundle.trace.sequence]
    assert "GET /items" == bundle.failure.name


@pytest.mark.parametrize("repaired", [False, True])
def test_what_is_not_slow_any_more_at_the_end_is_said_to_be_gone(repaired: bool, service: Service):
    """A finding is looked at once more when the campaign is over, as often as it takes to know that it is slow."""

    class Looking(Shop):
        commands = (Look,)

    class Repairing(Watcher):
        def shrunk(self, finding: Finding) -> None:
            service.slow_from = float("inf") if repaired else 0

    service.slow_from = 0
    result = hunt(service, Looking, max_runs=2, max_commands=1, watcher=Repairing())
    [finding] = result.failures

    assert repaired == bool(finding.gone_after)


def test_a_lost_answer_is_not_a_slow_one(service: Service):
    """What takes longer than the time-out says nothing, with a budget as without."""
    service.slow_from, service.pause = 0, 1.0
    result = hunt(service, max_runs=1, settings={"timeout": "0.3"})

    assert (125, 1, []) == (result.exit_code, result.not_judged, result.failures)


def test_waiting_is_not_measured(service: Service):
    """What settles late is looked at again and again, and time goes by: neither is slow."""

    class Late(Shop):
        commands = (Look, Nap)
        looks: ClassVar[list[int]] = []

        @eventually(within=2.0, every=SLOW / 2)
        def settles(self, listing: Listing) -> None:
            self.looks.append(listing.count)
            assert len(self.looks) % 3 == 0

    result = hunt(service, Late, latency={"GET /items": ALLOWED}, max_runs=1, max_commands=3)

    assert (0, []) == (result.exit_code, result.failures)
    assert len(Late.looks) >= 9


def test_a_budget_that_nothing_was_measured_by_is_told(service: Service):
    """An endpoint that no run asked is among what was never exercised."""
    result = hunt(service, latency={"GET /item": 0.2, "GET /items": 1.0}, max_runs=1)

    assert ["latency GET /item"] == result.never_exercised()


def test_a_run_without_a_service_measures_nothing():
    """The mock asks nobody; wrong budgets are told all the same."""

    class Told(Model):
        commands: ClassVar = (Look,)

        @expects
        def looking(self, cmd: Look) -> Looked:
            return Looked(count=0)

    result = integration.run(model=Told, adapter=Mock, max_runs=2, latency={"GET /items": 1e-9})

    assert (0, []) == (result.exit_code, result.never_exercised())
    with pytest.raises(UsageError):
        integration.run(model=Told, adapter=Mock, latency={"items": 1.0})


# --- replay -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def slow_look(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Give a bundle of a listing that is slow with two items."""
    with serving() as served:
        served.slow_from = 2
        return saved(served, tmp_path_factory.mktemp("failures"), max_commands=6)


def test_what_is_still_slow_reproduces(service: Service, slow_look: Bundle):
    """Live, it is slow in three of three executions; offline, the recorded times are judged."""
    service.slow_from = 2
    live = replay(slow_look, model=Shop, adapter=Quick, url=service.url)
    offline = replay(slow_look, model=Shop, adapter=Quick, offline=True)

    assert [Verdict.REPRODUCED] * 2 == [live.verdict, offline.verdict]
    assert "(slow in 3 of 3 executions)" in live.reason
    assert slow_look.failure == offline.trace.failure


def test_one_attempt_takes_several_executions(slow_look: Bundle):
    """What was slow is not looked for in more attempts, however seldom it was slow in the end."""
    shrinking = slow_look.provenance.shrinking
    assert shrinking is not None
    seldom = slow_look.provenance.replace(shrinking=shrinking.replace(runs=10, failed=3))

    assert 1 == times_for(slow_look.replace(origin=seldom))


@pytest.mark.parametrize("slow_in", [set(), {1}, {2, 3}])
def test_what_is_not_slow_most_of_the_time_is_fixed(slow_in: set[int], service: Service, slow_look: Bundle):
    """One or two slow executions of five are forgiven."""
    service.slow_in = slow_in
    replayed = replay(slow_look, model=Shop, adapter=Quick, url=service.url)

    assert Verdict.FIXED is replayed.verdict, replayed.reason
    assert service.resets >= 3 + len(slow_in)


def test_today_s_budget_goes_before_the_recorded_one(service: Service, slow_look: Bundle):
    """An adapter with a larger budget finds it fixed, also offline; one without a budget has the recorded one."""

    class Patient(Plain):
        @within(10)
        @handles
        def peek(self, cmd: Look) -> Looked:  # the name may change, too
            return Looked(count=self.http.get("/items").json())

        look = None  # type: ignore[assignment]

    service.slow_from = 2
    verdicts = [
        replay(slow_look, model=Shop, adapter=adapter, offline=offline, url=None if offline else service.url).verdict
        for adapter in (Patient, Plain)
        for offline in (True, False)
    ]

    assert [Verdict.FIXED] * 2 + [Verdict.REPRODUCED] * 2 == verdicts


def test_the_budget_of_an_endpoint_may_be_given_to_a_replay(service: Service, tmp_path: Path):
    """Without one, the recorded one counts; one for the same endpoint counts, whatever its braces are called."""
    service.slow_from = 1
    bundle = saved(service, tmp_path, Plain, latency={"GET /{what}": ALLOWED}, max_commands=4)
    verdicts = [
        replay(bundle, model=Shop, adapter=Plain, offline=True, latency=given).verdict
        for given in ({}, {"GET /{other}": 10.0}, {"POST /{what}": 10.0})
    ]

    assert [Verdict.REPRODUCED, Verdict.FIXED, Verdict.REPRODUCED] == verdicts


def test_a_replay_measures_nothing_but_what_was_slow(service: Service, slow_look: Bundle):
    """What is slow elsewhere is another bug, which hides nothing."""
    service.slow_to_add = True
    replayed = replay(slow_look, model=Shop, adapter=Quick, url=service.url, latency={"POST /items": ALLOWED})

    assert Verdict.FIXED is replayed.verdict


def test_what_is_slow_at_another_step_is_not_what_was_recorded(service: Service, tmp_path: Path):
    """Where only a later step is slow, the recorded one is fixed."""
    service.slow_from = 1
    bundle = saved(service, tmp_path, budget=Budget(executions=0))
    adds = [call.label for call in bundle.trace.sequence if call.tag == "add"]
    last = bundle.trace.sequence[-1].replace(label=99, tag="look")
    steps = (*bundle.trace.steps, Step(call=last))
    assert len([label for label in adds if label < bundle.failure.step]) < len(adds)

    service.slow_from = len(adds)
    longer = bundle.replace(trace=bundle.trace.replace(steps=steps))

    assert Verdict.FIXED is replay(longer, model=Shop, adapter=Quick, url=service.url).verdict


def test_what_is_not_asked_any_more_is_stale(service: Service, slow_look: Bundle):
    """Where the handler sends nothing, nobody knows whether the answer would be slow."""

    class Silent(Plain):
        @handles
        def look(self, cmd: Look) -> Looked:
            return Looked(count=0)

    replayed = replay(slow_look, model=Shop, adapter=Silent, url=service.url)

    assert Verdict.STALE is replayed.verdict
    assert "nothing is sent that look is measured by" in replayed.reason


def test_another_failure_in_a_replay_is_different(service: Service, slow_look: Bundle):
    """What breaks on the way to the slow step goes first."""

    class Strict(Shop):
        @expects
        def adding(self, cmd: Add) -> Added:
            return Added(status=201)

    service.broken_from = 0

    assert Verdict.DIFFERENT is replay(slow_look, model=Strict, adapter=Quick, url=service.url).verdict


@pytest.mark.parametrize("expected", [None, 0, "soon", [], 10**400], ids=lambda _: "")
def test_a_bundle_without_a_budget_can_not_be_judged(expected: Any, slow_look: Bundle):
    """Where neither the bundle nor anybody else says a budget, that is told."""
    failure = slow_look.failure.replace(expected=expected)
    bundle = slow_look.replace(trace=slow_look.trace.replace(failure=failure))

    with pytest.raises(BundleError, match=r"look was too slow, and .* is no budget"):
        replay(bundle, model=Shop, adapter=Plain, offline=True)


def test_a_name_that_is_no_endpoint_is_that_of_a_handler():
    """A bundle may hold any name; one that nothing has measures nothing."""
    failure = LOOK.replace(name="GET nowhere", command=None, step=None, expected=0.1)
    budgets = budgets_of(Shop, Quick, {}).recorded(failure)

    assert [] == budgets.slow(trace_of(step(0, "look", asked("/", 9.0))))
    assert endpoint_of("GET /a") not in budgets.endpoints


def test_what_is_sent_under_a_fault_is_not_measured():
    """A proxy that is told to be slow says nothing of the service; what checks read goes straight, and counts."""
    budgets = budgets_of(Shop, Quick, {"GET /items": ALLOWED})
    slowly = step(4, "look", asked("/items", 9.0), observing=(asked("/items", 0.06),))

    assert [("look", 4, "look", 9.0), ("GET /items", 4, None, 9.0)] == slow(budgets, slowly)
    assert [("GET /items", 4, None, 0.06)] == slow(budgets, slowly.replace(faults=(2,)))
