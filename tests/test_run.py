"""Running: what happened against a real service on the loopback, and what it is called."""

import json
import socket
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, ClassVar

import httpx
import pytest

from replaykit import (
    Adapter,
    Command,
    Entity,
    Event,
    Model,
    Observation,
    Ref,
    check,
    expects,
    fail,
    handles,
    invariant,
    observes,
    on,
    requires,
    same,
)
from replaykit.cassette import Player
from replaykit.client import Client
from replaykit.errors import DefinitionError
from replaykit.generate import Generated
from replaykit.redact import PLACEHOLDER
from replaykit.run import execute
from replaykit.sequence import Call, Fixed, Sequence
from replaykit.service import free_port
from replaykit.trace import Trace

# --- the service --------------------------------------------------------------------------------


class Service(ThreadingHTTPServer):
    """A service that answers what its paths say: /status/404, /slow, /drop, /cookie, /seen, /accounts."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.asked: list[tuple[str, str, dict[str, str]]] = []  # method, path, headers by lower-case name
        self.accounts: dict[str, int] = {}
        self.released = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up are part of the tests."""

    @property
    def paths(self) -> list[str]:
        return [path for _, path, _ in self.asked]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Service

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked, path = self.server.asked, self.path
        asked.append((self.command, path, {name.lower(): value for name, value in self.headers.items()}))
        if path == "/reset":
            asked[:] = asked[-1:]
            self.server.accounts.clear()
        if path == "/slow":
            self.server.released.wait(5)
        if path == "/drop":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if path == "/seen":
            self.answer(200, [path for _, path, _ in asked if path not in ("/reset", "/seen")])
        elif path == "/cookie":
            self.answer(200, {}, {"Set-Cookie": "session=s3cret; Path=/"})
        elif path == "/accounts":
            self.server.accounts[name := uuid.uuid4().hex] = 0
            self.answer(201, {"id": name})
        elif path.startswith("/accounts/"):
            known = path.split("/")[2] in self.server.accounts
            self.answer(200 if known else 404, {})
        else:
            self.answer(int(path.rpartition("/")[2]) if path.startswith("/status/") else 200, {})

    do_POST = do_GET  # noqa: N815  its name is the standard library's

    def answer(self, status: int, data: Any, headers: dict[str, str] = MappingProxyType({})) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Type": "application/json", "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture
def service():
    """Serve on a free port of the loopback."""
    served = Service()
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    served.released.set()
    served.shutdown()
    thread.join()
    served.server_close()


@pytest.fixture
def client(service):
    """Give a client of the service."""
    with Client(service.url) as made:
        yield made


@pytest.fixture
def nobody():
    """Give a client of a port that nobody listens at."""
    with Client(f"http://127.0.0.1:{free_port()}") as made:
        yield made


# --- the model and the adapter ------------------------------------------------------------------


class Account(Entity):
    credits: int = 0


class Ask(Command):
    path: str


class Open(Command):
    pass


class Credit(Command):
    account: Ref[Account]


class Answered(Event):
    status: int


class Lost(Event):
    pass


class Opened(Event):
    account: Ref[Account]


class Credited(Event):
    account: Ref[Account]
    status: int


class Seen(Observation):
    paths: list[str]


class Web(Model):
    """Remembers the statuses that were answered, and the accounts that were opened."""

    commands: ClassVar = (Ask, Open, Credit)
    statuses: list[int] = []  # noqa: RUF012
    accounts: dict[Ref[Account], Account] = {}  # noqa: RUF012

    @on
    def answered(self, event: Answered) -> None:
        self.statuses.append(event.status)

    @on
    def opened(self, event: Opened) -> None:
        self.accounts[event.account] = Account()

    @on
    def credited(self, event: Credited) -> None:
        self.accounts[event.account].credits += 1


class WebApi(Adapter[Web]):
    def reset(self) -> None:
        self.http.post("/reset").raise_for_status()

    @handles
    def ask(self, cmd: Ask) -> Answered | Lost:
        return Answered(status=self.http.get(cmd.path).status_code)

    @handles
    def open(self, cmd: Open) -> Opened:
        return Opened(account=self.ref(Account, self.http.post("/accounts").json()["id"]))

    @handles
    def credit(self, cmd: Credit) -> Credited:
        answer = self.http.post(f"/accounts/{cmd.account.id}/credit")
        return Credited(account=cmd.account, status=answer.status_code)

    @observes
    def seen(self) -> Seen:
        return Seen(paths=self.http.get("/seen").json())


class Hasty(WebApi):
    timeout = 0.5


def asks(*paths: str) -> Sequence:
    """Make calls that ask for paths, labelled from 0."""
    return tuple(Call(label=label, tag="ask", args={"path": path}) for label, path in enumerate(paths))


def run(
    model: type[Model], client: Client, calls: Sequence, adapter: type[Adapter[Any]] = WebApi, **options: Any
) -> Trace:
    """Run a fixed sequence."""
    return execute(model, adapter(client), Fixed(calls), **options)


def why(trace: Trace) -> tuple[Any, ...]:
    """Say how a run failed: kind, name, step, command."""
    failure = trace.failure
    assert trace.ending == "failed"
    assert failure is not None

    return (failure.kind, failure.name, failure.step, failure.command)


# --- a run that passes --------------------------------------------------------------------------


def test_a_run_is_a_trace_of_all_that_happened(client, service):
    """The trace has the reset, and each step with its call, requests, event and state."""
    trace = run(Web, client, asks("/a", "/status/404"))

    assert ("passed", "", None) == (trace.ending, trace.reason, trace.failure)
    assert asks("/a", "/status/404") == trace.sequence
    assert ["POST"] == [each.request.method for each in trace.resetting]
    assert [[f"{service.url}/a"], [f"{service.url}/status/404"]] == [
        [each.request.url for each in step.interactions] for step in trace.steps
    ]
    assert [200, 404] == [json.loads(step.event.data)["status"] for step in trace.steps]
    assert 3 == trace.requests == len(trace.interactions())
    assert ["/reset", "/a", "/status/404"] == service.paths


def test_the_state_is_kept_as_it_was_after_each_step(client):
    """A later step changes nothing in the snapshot of an earlier one."""
    trace = run(Web, client, asks("/a", "/status/404", "/b"))

    assert [[200], [200, 404], [200, 404, 200]] == [json.loads(step.state)["statuses"] for step in trace.steps]


def test_an_answer_of_any_status_is_an_event(client):
    """404 and 500 are answers like any other, unless the model says otherwise."""
    trace = run(Web, client, asks("/status/404", "/status/500", "/status/503"))

    assert "passed" == trace.ending
    assert [404, 500, 503] == json.loads(trace.steps[-1].state)["statuses"]


def test_an_empty_sequence_passes(client):
    """A run without calls is a reset, and nothing more."""
    trace = run(Web, client, ())

    assert ("passed", 1, ()) == (trace.ending, trace.requests, trace.steps)


# --- what fails ---------------------------------------------------------------------------------


class Expecting(Web):
    @expects
    def fine(self, cmd: Ask) -> Answered:
        return Answered(status=200)


def test_an_event_that_was_not_expected_is_a_failure(client):
    """The failure names the expectation, the step and the command, and shows both events."""
    trace = run(Expecting, client, asks("/a", "/status/404", "/b"))

    assert ("expectation", "fine", 1, "ask") == why(trace)
    assert "expected Answered(status=200), got Answered(status=404)" == trace.failure.message
    assert ("Answered(status=200)", "Answered(status=404)") == (trace.failure.expected, trace.failure.actual)
    assert 2 == len(trace.steps)


def test_the_state_of_the_failing_step_is_kept(client):
    """The event that was not expected is folded all the same, so that the state can be looked at."""
    trace = run(Expecting, client, asks("/status/404"))

    assert [404] == json.loads(trace.steps[-1].state)["statuses"]


def test_an_event_that_was_not_expected_comes_before_what_it_breaks(client):
    """Where the model can't fold an event that it did not expect, the service is told about, not the model."""

    class Unprepared(Expecting):
        @on
        def answered(self, event: Answered) -> None:
            if event.status != 200:
                broken()

    trace = run(Unprepared, client, asks("/a", "/status/404"))

    assert ("expectation", "fine", 1, "ask") == why(trace)


class Limited(Web):
    @invariant
    def no_teapots(self) -> None:
        if 418 in self.statuses:
            raise AssertionError  # short and stout


def test_a_broken_invariant_is_a_failure(client):
    """The failure names the invariant; one without a message is told by its source line."""
    trace = run(Limited, client, asks("/a", "/status/418"))

    assert ("invariant", "no_teapots", 1, "ask") == why(trace)
    assert "raise AssertionError  # short and stout" == trace.failure.message


class Watched(Web):
    @check
    def all_arrived(self, seen: Seen) -> None:
        same(len(seen.paths), len(self.statuses))

    @check
    def not_too_many(self) -> None:
        if len(self.statuses) > 2:
            fail("too many", statuses=self.statuses)


def test_a_broken_check_is_a_failure(client):
    """The failure names the check, with the values that `fail` was given."""
    trace = run(Watched, client, asks("/a", "/b", "/c", "/d"))

    assert ("check", "not_too_many", 2, "ask") == why(trace)
    assert {"statuses": [200, 200, 200]} == trace.failure.actual
    assert "too many (statuses=[200, 200, 200])" == trace.failure.message


def test_a_check_sees_what_was_read(client):
    """What the adapter read is passed to the check, compared, and kept in the trace."""

    class Forgetful(WebApi):
        @observes
        def seen(self) -> Seen:
            return Seen(paths=self.http.get("/seen").json()[:1])

    trace = run(Watched, client, asks("/a", "/b"), Forgetful)

    assert ("check", "all_arrived", 1, "ask") == why(trace)
    assert (2, 1) == (trace.failure.expected, trace.failure.actual)
    assert [["/a"], ["/a"]] == [json.loads(step.observations[0].data)["paths"] for step in trace.steps]
    assert [1, 1] == [len(step.observing) for step in trace.steps]


class Strict(Web):
    server_errors: ClassVar = True


def test_a_server_error_is_a_failure_where_the_model_asks_for_it(client):
    """A 5xx answer fails with the request and the status; a 4xx answer does not."""
    trace = run(Strict, client, asks("/status/404", "/status/503", "/a"))

    assert ("server_error", "server_error", 1, "ask") == why(trace)
    assert "/status/503 answered 503" in trace.failure.message


class Everything(Web):
    server_errors: ClassVar = True

    @expects
    def expectation(self, cmd: Ask) -> Lost:
        return Lost()

    @invariant
    def holds(self) -> None:
        assert not self.statuses

    @check
    def looks(self) -> None:
        fail("never")


class WithoutServerError(Everything):
    server_errors: ClassVar = False


class WithoutExpectation(WithoutServerError):  # noqa: N818  it is no exception
    def expectation(self, cmd: Ask) -> Lost:
        """Expect nothing."""


class WithoutInvariant(WithoutExpectation):
    def holds(self) -> None:
        """Hold nothing."""


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (Everything, "server_error"),
        (WithoutServerError, "expectation"),
        (WithoutExpectation, "invariant"),
        (WithoutInvariant, "check"),
    ],
)
def test_the_first_that_does_not_hold_ends_the_run(client, model, kind):
    """Of all that does not hold after a step, the server error comes first, then expectation, invariant, check."""
    trace = run(model, client, asks("/status/500"))

    assert kind == trace.failure.kind
    assert 1 == len(trace.steps)


# --- faults of the test code --------------------------------------------------------------------


def broken() -> Any:
    return {}["nothing"]


class BrokenExpects(Web):
    @expects
    def foretell(self, cmd: Ask) -> Answered:
        return broken()


class BrokenRequires(Web):
    @requires
    def foretell(self, cmd: Ask) -> bool:
        return broken()


class BrokenOn(Web):
    @on
    def answered(self, event: Answered) -> None:
        broken()


class BrokenInvariant(Web):
    @invariant
    def foretell(self) -> None:
        broken()


class BrokenCheck(Web):
    @check
    def foretell(self, seen: Seen) -> None:
        broken()


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (BrokenExpects, "foretell"),
        (BrokenRequires, "foretell"),
        (BrokenOn, "answered"),
        (BrokenInvariant, "foretell"),
        (BrokenCheck, "foretell"),
    ],
)
def test_a_model_that_raises_is_a_fault_of_the_model(client, model, name):
    """The fault names the user's method, with a traceback that begins in the user's code."""
    trace = run(model, client, asks("/a"))

    assert ("model", name, 0, "ask") == why(trace)
    assert not trace.failure.is_finding
    assert "KeyError: 'nothing'" == trace.failure.message
    assert "broken()" in trace.failure.traceback
    assert "replaykit/run.py" not in trace.failure.traceback


def made_without_source(text: str) -> Callable[..., Any]:
    """Make a function whose source nobody can read, as in a shell."""
    names: dict[str, Any] = {"Answered": Answered, "Ask": Ask, "Lost": Lost}
    exec(text, names)  # noqa: S102
    return names["look"]


@pytest.mark.parametrize(("decorator", "kind"), [(check, "check"), (invariant, "invariant")])
def test_a_check_that_returns_is_a_fault_of_the_model(client, decorator, kind):
    """A value that a check returns looks like a verdict, so that even true is told as a fault."""
    look = decorator(made_without_source("def look(self): return True"))
    model = type("Returning", (Web,), {"look": look})
    trace = run(model, client, asks("/a"))

    assert ("model", "look", 0, "ask") == why(trace)
    assert "look returned True" in trace.failure.message


def test_an_on_method_that_returns_is_a_fault_of_the_model(client):
    """The message names the method."""

    class Returning(Web):
        @on
        def answered(self, event: Answered):
            return 3

    trace = run(Returning, client, asks("/a"))

    assert "model" == trace.failure.kind
    assert "Returning.answered" in trace.failure.message


def test_a_state_that_is_no_json_is_a_fault_of_the_model(client):
    """What can't be written down is told when it happens."""

    class Odd(Web):
        @on
        def answered(self, event: Answered) -> None:
            self.statuses.append(object())

    trace = run(Odd, client, asks("/a"))

    assert "model" == trace.failure.kind


def test_a_precondition_that_raises_is_not_blamed_on_the_command_before(client):
    """While the next command is drawn, the command before is over: it is not the one that failed."""

    class Guarded(Web):
        commands: ClassVar = (Ask, Open)

        @requires
        def known(self, cmd: Open) -> bool:
            return broken() if self.statuses else False

    trace = execute(Guarded, PlainApi(client), Generated(Guarded, 1, 50))

    assert ("model", "known") == (trace.failure.kind, trace.failure.name)
    assert "ask" != trace.failure.command


class PlainApi(WebApi):
    @handles
    def ask(self, cmd: Ask) -> Answered | Lost:
        return Answered(status=self.http.get("/a").status_code)


class BrokenHandler(WebApi):
    @handles
    def ask(self, cmd: Ask) -> Answered | Lost:
        self.http.get(cmd.path)
        return broken()


class BrokenReader(WebApi):
    @observes
    def seen(self) -> Seen:
        return broken()


class BrokenReset(WebApi):
    def reset(self) -> None:
        broken()


@pytest.mark.parametrize(
    ("adapter", "told"),
    [
        (BrokenHandler, ("adapter", "ask", 0, "ask")),
        (BrokenReader, ("adapter", "seen", 0, "ask")),
        (BrokenReset, ("adapter", "reset", None, None)),
    ],
)
def test_an_adapter_that_raises_is_a_fault_of_the_adapter(client, adapter, told):
    """The fault names the user's method, with a traceback."""
    trace = run(Watched, client, asks("/a"), adapter)

    assert told == why(trace)
    assert not trace.failure.is_finding
    assert "broken()" in trace.failure.traceback


def test_what_was_sent_before_a_fault_is_kept(client):
    """The requests of a handler that raised stand in the trace, and there is no event."""
    trace = run(Web, client, asks("/a"), BrokenHandler)

    assert 1 == len(trace.steps[0].interactions)
    assert None is trace.steps[0].event


def test_a_refused_reset_is_a_fault_of_the_adapter(client):
    """A reset that the service answers with an error can't begin a run."""

    class Refused(WebApi):
        def reset(self) -> None:
            self.http.post("/status/409").raise_for_status()

    trace = run(Web, client, asks("/a"), Refused)

    assert ("adapter", "reset", None, None) == why(trace)
    assert 1 == len(trace.resetting)
    assert () == trace.steps


@pytest.mark.parametrize("name", ["headers", "auth"])
def test_headers_that_raise_are_a_fault_of_the_adapter(client, name):
    """An adapter that can't say what its requests carry is told like any other fault of it."""
    adapter = type("Bare", (WebApi,), {name: lambda self: broken()})
    trace = run(Web, client, asks("/a"), adapter)

    assert "adapter" == trace.failure.kind


def test_a_model_that_needs_arguments_is_told(client):
    """A run begins with the model's defaults, so that each field needs one."""
    needy = type("Needy", (Web,), {"__module__": __name__, "__annotations__": {"name": str}})

    with pytest.raises(DefinitionError, match="Needy can't be made without arguments"):
        run(needy, client, ())


# --- answers that are lost ----------------------------------------------------------------------


def test_an_answer_that_does_not_come_in_time_is_unknown(client):
    """After a time-out nobody knows what the service did, so that the run ends without a verdict."""
    trace = run(Expecting, client, asks("/a", "/slow", "/b"), Hasty)

    assert ("unknown", None) == (trace.ending, trace.failure)
    assert "step 1: the answer was lost" in trace.reason
    assert "ReadTimeout" == trace.steps[1].interactions[0].trouble.error
    assert (2, None, None) == (len(trace.steps), trace.steps[1].event, trace.steps[1].state)


def test_a_dropped_connection_is_unknown(client):
    """A connection that is closed without an answer leaves open what the service did."""
    trace = run(Expecting, client, asks("/a", "/drop", "/b"))

    assert ("unknown", None) == (trace.ending, trace.failure)
    assert "RemoteProtocolError" == trace.steps[1].interactions[0].trouble.error


def test_an_answer_lost_while_observing_is_unknown(client):
    """What can't be read can't be judged."""

    class Slow(Hasty):
        @observes
        def seen(self) -> Seen:
            return Seen(paths=self.http.get("/slow").json())

    trace = run(Watched, client, asks("/a"), Slow)

    assert "unknown" == trace.ending
    assert "ReadTimeout" == trace.steps[0].observing[0].trouble.error
    assert None is not trace.steps[0].state


def test_an_answer_lost_in_the_reset_is_unknown(client):
    """A reset that is lost begins no run."""

    class Dropped(WebApi):
        def reset(self) -> None:
            self.http.post("/drop")

    trace = run(Web, client, asks("/a"), Dropped)

    assert ("unknown", ()) == (trace.ending, trace.steps)
    assert trace.reason.startswith("reset: ")
    assert 1 == len(trace.resetting)


def test_a_service_that_is_not_there_is_unreachable(nobody):
    """A refused connection certainly changed nothing, and says nothing of the service."""
    trace = run(Web, nobody, asks("/a"))

    assert ("unreachable", None, ()) == (trace.ending, trace.failure, trace.steps)
    assert "ConnectError" in trace.reason


def test_a_service_that_goes_away_is_unreachable(service, nobody):
    """A service that is gone in the middle of a run ends it as unreachable, though the adapter looks away."""

    class Blind(WebApi):
        def reset(self) -> None:
            """Leave everything as it is."""

        @handles
        def ask(self, cmd: Ask) -> Answered | Lost:
            try:
                return Answered(status=self.http.get(cmd.path).status_code)
            except httpx.TransportError:
                return Lost()

    trace = run(Web, nobody, asks("/a"), Blind)

    assert "unreachable" == trace.ending
    assert "step 0: GET" in trace.reason


class Patient(Hasty):
    @handles
    def ask(self, cmd: Ask) -> Answered | Lost:
        try:
            return Answered(status=self.http.get(cmd.path).status_code)
        except httpx.TransportError:
            return Lost()


@pytest.mark.parametrize("path", ["/slow", "/drop"])
def test_a_lost_answer_ends_the_run_whatever_the_adapter_makes_of_it(client, path):
    """An adapter that turns a lost answer into an event does not know what the service did either."""
    trace = run(Web, client, asks("/a", path, "/b"), Patient)

    assert "unknown" == trace.ending
    assert [True, False] == [step.event is not None for step in trace.steps]
    assert None is not trace.steps[1].interactions[0].trouble


class Loser(Hasty):
    @handles
    def ask(self, cmd: Ask) -> Answered | Lost:
        status = self.http.get(cmd.path).status_code
        return Lost() if cmd.path == "/h" else Answered(status=status)


# --- checks -------------------------------------------------------------------------------------


class Timed(Web):
    @check(every=3)
    def thirds(self, seen: Seen) -> None:
        """Look at each third step."""

    @check(on=Lost)
    def losses(self) -> None:
        """Look after a loss."""

    @check(on=Ask)
    def asked(self) -> None:
        """Look after each question."""

    @check(at="end")
    def last(self, seen: Seen) -> None:
        assert "/bad" not in seen.paths


def test_checks_look_when_they_are_due(client):
    """`every` counts steps, `on` waits for a message, `at="end"` comes once; the tally counts all of them."""
    tally: Counter[tuple[str, str]] = Counter()
    trace = run(Timed, client, asks(*"/a/b/c/d/e/f/g/h".replace("/", " /").split()), Loser, tally=tally)

    assert "passed" == trace.ending
    assert [0, 0, 1, 0, 0, 1, 0, 0] == [len(step.observations) for step in trace.steps]
    assert (1, 1) == (len(trace.closing), len(trace.closing_observations))
    wanted = {("check", "thirds"): 2, ("check", "losses"): 1, ("check", "asked"): 8, ("check", "last"): 1}
    assert {**wanted, ("command", "ask"): 8} == dict(tally)


def test_a_failure_at_the_end_belongs_to_no_step(client):
    """A check at the end fails without a step and a command, after all steps were run."""
    trace = run(Timed, client, asks("/bad", "/a"))

    assert ("check", "last", None, None) == why(trace)
    assert (2, 1) == (len(trace.steps), len(trace.closing))


def test_an_observation_is_read_once_a_step(client, service):
    """Two checks of the same observation share what was read."""

    class Twice(Watched):
        @check
        def again(self, seen: Seen) -> None:
            assert seen.paths

    run(Twice, client, asks("/a", "/b"))

    assert ["/reset", "/a", "/seen", "/b", "/seen"] == service.paths


def test_the_tally_counts_what_was_exercised(client):
    """Commands, expectations, invariants and checks are counted when they are judged, not before."""

    class Full(Expecting):
        @invariant
        def fine_state(self) -> None:
            """Hold."""

    tally: Counter[tuple[str, str]] = Counter()
    run(Full, client, asks("/a", "/status/404", "/b"), tally=tally)

    assert {("command", "ask"): 2, ("expectation", "fine"): 2, ("invariant", "fine_state"): 1} == dict(tally)


# --- refs and sequences -------------------------------------------------------------------------

BANKING = (
    Call(label=3, tag="open"),
    Call(label=8, tag="open"),
    Call(label=11, tag="credit", args={"account": "account@8"}),
    Call(label=12, tag="credit", args={"account": "account@3"}),
)


def test_refs_are_bound_by_the_labels_of_a_fixed_sequence(client, service):
    """What call 8 made is account@8, and is spoken of by the id that the service gave it in this run."""
    trace = run(Web, client, BANKING)
    first, second = service.accounts

    assert ("passed", "") == (trace.ending, trace.reason)
    assert [f"/accounts/{second}/credit", f"/accounts/{first}/credit"] == service.paths[-2:]
    assert ["account@3", "account@8"] == list(json.loads(trace.steps[-1].state)["accounts"])


def test_the_ids_of_the_service_enter_neither_state_nor_event(client, service):
    """Two runs of one sequence have the same events and states, though the service gives new ids."""
    first, second = run(Web, client, BANKING), run(Web, client, BANKING)

    assert ("passed", "passed") == (first.ending, second.ending)
    assert [(step.event, step.state) for step in first.steps] == [(step.event, step.state) for step in second.steps]
    assert [] == [name for name in service.accounts if name in repr([step.state for step in second.steps])]


class Careful(Web):
    @requires
    def few(self, cmd: Ask) -> bool:
        return len(self.statuses) < 2


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (Call(label=7, tag="gone"), ["step 7: Careful has no command gone", "ask", "credit", "open"]),
        (Call(label=7, tag="credit", args={"account": "account@5"}), ["step 7", "account@5"]),
        (Call(label=7, tag="ask", args={"path": "/c"}), ["step 7: a precondition of ask does not hold any more"]),
        (Call(label=7, tag="open", version=2), ["step 7: open was saved in version 2"]),
        (Call(label=7, tag="open", args={"colour": "red"}), ["step 7", "open", "colour"]),
    ],
    ids=["unknown tag", "unbound ref", "precondition", "version", "arguments"],
)
def test_a_call_that_no_longer_fits_is_stale(client, service, call, told):
    """The run ends before the call is sent, and says why; what was done before stands in the trace."""
    trace = run(Careful, client, (*asks("/a", "/b"), call))

    assert ("stale", None, 2) == (trace.ending, trace.failure, len(trace.steps))
    assert [] == [words for words in told if words not in trace.reason]
    assert ["/reset", "/a", "/b"] == service.paths


def test_a_generated_run_can_be_run_again(client):
    """The sequence that was generated, run as a fixed one, gives the same events and states."""
    generated = execute(Careful, PlainApi(client), Generated(Careful, 5, 20))
    fixed = run(Careful, client, generated.sequence, PlainApi)

    assert ("passed", 20) == (generated.ending, len(generated.steps))
    assert [(step.event, step.state) for step in generated.steps] == [(step.event, step.state) for step in fixed.steps]


# --- offline ------------------------------------------------------------------------------------


def failure_of(trace: Trace, client: Client) -> Any:
    """Say why a run failed, without the service's address."""
    failure = trace.failure
    return failure and failure.replace(message=failure.message.replace(client.origin, ""))


@pytest.mark.parametrize(
    ("model", "adapter", "calls"),
    [
        (Expecting, WebApi, asks("/a", "/status/404")),
        (Limited, WebApi, asks("/a", "/status/418")),
        (Watched, WebApi, asks("/a", "/b", "/c")),
        (Strict, WebApi, asks("/a", "/status/500")),
        (Timed, WebApi, asks("/a", "/bad")),
        (Expecting, WebApi, asks("/a", "/drop")),
        (Web, Patient, asks("/a", "/drop", "/b")),
        (Web, BrokenHandler, asks("/a")),
        (Web, WebApi, BANKING),
    ],
    ids=["expectation", "invariant", "check", "server_error", "end", "unknown", "caught", "adapter", "refs"],
)
def test_a_run_played_offline_ends_in_the_same_way(client, nobody, model, adapter, calls):
    """Played from its interactions, with no service anywhere, a run gives the same failure, events and states."""
    live = run(model, client, calls, adapter)
    player = Player(live.interactions())
    played = run(model, nobody, calls, adapter, cassette=player)

    assert (live.ending, failure_of(live, client)) == (played.ending, failure_of(played, nobody))
    assert [(step.event, step.state, step.observations) for step in live.steps] == [
        (step.event, step.state, step.observations) for step in played.steps
    ]
    assert None is player.unused()


def test_a_request_that_was_not_recorded_is_stale(client, nobody):
    """A miss ends the run as stale, whatever the adapter does with the error."""

    class Swallowing(WebApi):
        @handles
        def ask(self, cmd: Ask) -> Answered | Lost:
            with suppress(Exception):
                self.http.get(cmd.path)
            return Lost()

    live = run(Web, client, asks("/a", "/b"))
    for adapter in (WebApi, Swallowing):
        played = run(Web, nobody, asks("/a", "/c"), adapter, cassette=Player(live.interactions()))

        assert ("stale", None) == (played.ending, played.failure)
        assert "step 1: the cassette has no such request: number 3 is GET /b; asked was GET /c" in played.reason


def test_a_recorded_request_that_is_not_asked_for_is_stale(client, nobody):
    """A run that passes with requests left over is not the run that was recorded."""
    live = run(Web, client, asks("/a", "/b"))
    played = run(Web, nobody, asks("/a"), cassette=Player(live.interactions()))

    assert "stale" == played.ending
    assert "1 recorded requests were never asked for, the first of them GET /b" == played.reason


# --- runs do not know of each other -------------------------------------------------------------


class Telling(WebApi):
    timeout = 3.0

    def headers(self) -> dict[str, str]:
        return {"X-Tenant": "one", "User-Agent": "telling"}

    def auth(self) -> tuple[str, str]:
        return ("user", "s3cret")


def test_headers_and_authentication_of_an_adapter_are_sent(client, service):
    """Each request of a run carries what its adapter says, the reset included."""
    run(Web, client, asks("/a"), Telling)

    assert [("one", "telling", True)] * 2 == [
        (headers.get("x-tenant"), headers.get("user-agent"), headers.get("authorization", "").startswith("Basic "))
        for _, _, headers in service.asked
    ]


def test_a_run_leaves_nothing_in_the_client(client, service):
    """Cookies, headers, authentication and time-out of one run are not there in the next."""
    run(Web, client, asks("/cookie", "/a"), Telling)
    during = service.asked[-1][2]
    run(Web, client, asks("/a"))
    after = [headers for _, _, headers in service.asked]

    assert "session=s3cret" == during["cookie"]
    assert [] == [name for headers in after for name in ("cookie", "x-tenant", "authorization") if name in headers]
    assert {"replaykit"} == {headers["user-agent"] for headers in after}
    assert WebApi.timeout == client.timeout.read


def test_secrets_are_covered_in_the_trace(client):
    """The service gets the true credentials, and the trace has none of them."""
    trace = run(Web, client, asks("/cookie", "/a"), Telling)

    assert "s3cret" not in repr(trace)
    assert PLACEHOLDER in repr(trace)


def test_what_is_sent_outside_of_a_run_is_not_kept(client):
    """A request before or after a run is in no trace."""
    client.get("/before")
    trace = run(Web, client, asks("/a"))
    client.get("/after")

    assert 2 == trace.requests


def test_two_runs_share_no_state(client):
    """Each run begins with the model's first state."""
    first, second = run(Web, client, asks("/a")), run(Web, client, asks("/a"))

    assert first.steps[0].state == second.steps[0].state


# --- listening ----------------------------------------------------------------------------------


class Notes:
    """A listener that notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def interaction(self, part, step, interaction):
        self.heard.append(("interaction", part, step))

    def call(self, call):
        self.heard.append(("call", call.label))

    def event(self, step, said):
        self.heard.append(("event", step, said.tag))

    def observation(self, step, said):
        self.heard.append(("observation", step, said.tag))

    def state(self, step, state):
        self.heard.append(("state", step))

    def end(self, ending, reason, failure):
        self.heard.append(("end", ending, failure and failure.name))


def test_a_listener_hears_everything_when_it_happens(client):
    """A listener is told of each call before it is sent, and of all that follows, in the order of time."""
    notes = Notes()
    run(Timed, client, (Call(label=4, tag="ask", args={"path": "/bad"}),), listener=notes)

    assert [
        ("interaction", "reset", None),
        ("call", 4),
        ("interaction", "command", 4),
        ("event", 4, "answered"),
        ("state", 4),
        ("interaction", "end", None),
        ("observation", None, "seen"),
        ("end", "failed", "last"),
    ] == notes.heard


def test_a_listener_hears_of_a_run_that_is_lost(client):
    """The end of a run is told, however it ended."""
    notes = Notes()
    run(Watched, client, asks("/a", "/drop"), listener=notes)

    assert ("interaction", "observe", 0) in notes.heard
    assert ("end", "unknown", None) == notes.heard[-1]
