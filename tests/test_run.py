"""Running: what happened against a real service on the loopback, and what it is called."""

import asyncio
import json
import re
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, NoReturn

import httpx
import pytest
from annotated_types import MinLen

from replaykit import (
    Adapter,
    Command,
    Entity,
    Event,
    Mock,
    Model,
    Observation,
    Ref,
    Verdict,
    Wait,
    Waited,
    check,
    eventually,
    expects,
    fail,
    gen,
    handles,
    integration,
    invariant,
    observes,
    on,
    replay,
    requires,
    same,
)
from replaykit.bundle import Bundle, Provenance
from replaykit.cassette import Player
from replaykit.client import Client
from replaykit.errors import DefinitionError, Terminated
from replaykit.generate import Generated
from replaykit.interaction import Interaction, Request, Response
from replaykit.port import free_port
from replaykit.reader import read
from replaykit.run import execute
from replaykit.sequence import Call, Fixed, Sequence
from replaykit.trace import Trace
from replaykit.writer import Writer

# --- the service --------------------------------------------------------------------------------


class Service(ThreadingHTTPServer):
    """A service that answers what its paths say: /status/404, /slow, /drop, /cookie, /seen, /accounts.

    A job (/jobs/3) is done when it was looked at 3 times. A name (/names/a) can be taken once, and for ever: no
    reset gives it back.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.asked: list[tuple[str, str, dict[str, str]]] = []  # method, path, headers by lower-case name
        self.accounts: dict[str, int] = {}
        self.jobs: list[int] = []  # of each, how often it must be looked at until it is done
        self.stuck = False  # a bug: no job is ever done
        self.names: set[str] = set()
        self.lenient = False  # a bug: a name can be taken again
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
            self.server.jobs.clear()
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
        elif path == "/jobs":
            if not self.server.stuck:
                self.server.jobs[:] = [looks - 1 for looks in self.server.jobs if looks > 1]
            self.answer(200, len(self.server.jobs))
        elif path.startswith("/jobs/"):
            self.server.jobs.append(int(path.split("/")[2]))
            self.answer(201, {})
        elif path.startswith("/names/"):
            taken = path in self.server.names and not self.server.lenient
            self.server.names.add(path)
            self.answer(409 if taken else 201, {})
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


def test_a_precondition_that_says_nothing_is_a_fault_of_the_model(client):
    """One that returns None, for want of a `return`, would switch its command off for ever."""

    class Guarded(Web):
        commands: ClassVar = (Ask,)

        @requires
        def known(self, cmd: Ask) -> bool:
            cmd.path == "/a"  # type: ignore[return]  # noqa: B015

    trace = execute(Guarded, PlainApi(client), Generated(Guarded, 1, 50))

    assert ("model", "known") == (trace.failure.kind, trace.failure.name)
    assert "returned None; a precondition returns True or False" in trace.failure.message


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


MODELS = [BrokenExpects, BrokenRequires, BrokenOn, BrokenInvariant, BrokenCheck]
ADAPTERS = [BrokenHandler, BrokenReader, BrokenReset]
BROKEN = [*((each, WebApi) for each in MODELS), *((Watched, each) for each in ADAPTERS)]


def breaking(error: BaseException) -> Callable[[], NoReturn]:
    """Make what raises an error."""

    def leave() -> NoReturn:
        raise error

    return leave


@pytest.mark.parametrize("error", [SystemExit(0), asyncio.CancelledError(), GeneratorExit()], ids=repr)
def test_code_that_wants_to_end_all_is_at_fault_as_other_code_is(client, error, monkeypatch):
    """A sys.exit in the test code, or a cancelled task of its own, does not end what else is to be judged."""
    monkeypatch.setitem(globals(), "broken", breaking(error))
    traces = [run(model, client, asks("/a"), adapter) for model, adapter in BROKEN]

    assert ["model"] * len(MODELS) + ["adapter"] * len(ADAPTERS) == [trace.failure.kind for trace in traces]
    assert {f"{type(error).__name__}: {error}"} == {trace.failure.message for trace in traces}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Terminated(15)], ids=repr)
def test_an_end_that_was_asked_for_goes_through_all_code(client, error, monkeypatch):
    """Ctrl-C and TERM are nobody's fault, wherever they come."""
    monkeypatch.setitem(globals(), "broken", breaking(error))
    for model, adapter in BROKEN:
        with pytest.raises(type(error)):
            run(model, client, asks("/a"), adapter)


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


# --- labels -------------------------------------------------------------------------------------


class Naming(Web):
    """Names what it sees, and what it is asked in orders that may never have been."""

    wrong: ClassVar[Any] = "fine"

    @expects
    def fine(self, cmd: Ask) -> Answered:
        self.label(f"expected {cmd.path}")
        return Answered(status=200)

    @invariant
    def named(self) -> None:
        self.label(self.wrong)


def labels(tally: Counter[tuple[str, str]]) -> dict[str, int]:
    """List the labels of a tally."""
    return {name: count for (role, name), count in tally.items() if role == "label"}


def test_labels_are_tallied(client):
    """What the methods of the model name is tallied, each time that they are run."""
    tally: Counter[tuple[str, str]] = Counter()
    trace = run(Naming, client, asks("/a", "/b"), tally=tally)

    assert "passed" == trace.ending
    assert {"expected /a": 1, "expected /b": 1, "fine": 2} == labels(tally)


@pytest.mark.parametrize(("wrong", "said"), [("", "empty"), (" \n", "empty"), (7, "not 7"), (None, "not None")])
def test_label_that_is_none_is_a_fault_of_the_model(client, wrong: Any, said: str):
    """A label is a text that says something; what is none is told with the method that has it."""

    class Wrong(Naming):
        wrong: ClassVar[Any] = None

    Wrong.wrong = wrong
    trace = run(Wrong, client, asks("/a"))

    assert ("model", "named", 0, "ask") == why(trace)
    assert said in trace.failure.message


def test_what_is_named_in_orders_that_are_tried_is_not_tallied(client):
    """Of branches nobody knows the order, so the model is asked of many, and their labels do not count."""
    tally: Counter[tuple[str, str]] = Counter()
    prefix, *branches = asks("/a", "/b", "/c")
    calls = (prefix, *(call.replace(branch=number + 1) for number, call in enumerate(branches)))
    trace = run(Naming, client, calls, tally=tally)

    assert ("passed", 3) == (trace.ending, len(trace.steps))
    assert {"expected /a": 1, "fine": 1} == labels(tally)


# --- services that settle later -----------------------------------------------------------------


class Start(Command):
    looks: int


class Started(Event):
    pass


class Jobs(Observation):
    waiting: int


class Settling(Web):
    """Each job is done before long."""

    commands: ClassVar = (Ask, Start)

    @eventually(within=20, every=0.01)
    def done(self, jobs: Jobs) -> None:
        same(jobs.waiting, 0)


class Impatient(Settling):
    """Does not wait long."""

    @eventually(within=0.2, every=0.01)
    def done(self, jobs: Jobs) -> None:
        same(jobs.waiting, 0)


class SettlingApi(WebApi):
    @handles
    def start(self, cmd: Start) -> Started:
        self.http.post(f"/jobs/{cmd.looks}").raise_for_status()
        return Started()

    @observes
    def jobs(self) -> Jobs:
        return Jobs(waiting=self.http.get("/jobs").json())


NEVER = 1_000_000  # looks


def starts(*looks: int) -> Sequence:
    """Make calls that start jobs, labelled from 0."""
    return tuple(Call(label=label, tag="start", args={"looks": each}) for label, each in enumerate(looks))


def waiting(trace: Trace) -> list[list[int]]:
    """List what was seen after each step, look by look."""
    return [[json.loads(said.data)["waiting"] for said in step.observations] for step in trace.steps]


def test_what_settles_in_time_holds(client, service):
    """The service is asked again until the check holds; what did not hold before is no failure."""
    trace = run(Settling, client, starts(3, 1, 2), SettlingApi)

    assert ("passed", None) == (trace.ending, trace.failure)
    assert [[1, 1, 0], [0], [1, 0]] == waiting(trace)
    assert [3, 1, 2] == [len(step.observing) for step in trace.steps]
    assert 6 == service.paths.count("/jobs")


def test_what_does_not_settle_in_time_is_a_failure(client):
    """It is a failure of kind check, with the difference that was seen last, and with the time that it had."""
    began = time.monotonic()
    trace = run(Impatient, client, starts(1, NEVER, 1), SettlingApi)

    assert time.monotonic() - began >= 0.2
    assert ("check", "done", 1, "start") == why(trace)
    assert trace.failure.is_finding
    assert trace.failure.message.endswith(" (still so after 0.2 seconds)")
    assert (0, 1) == (trace.failure.expected, trace.failure.actual)
    assert 2 == len(trace.steps)
    assert len(trace.steps[1].observations) == len(trace.steps[1].observing) > 1


def test_the_last_look_is_when_the_time_is_over(client):
    """Where the next look would come too late, it comes at the end of the time."""

    class Rare(Settling):
        @eventually(within=0.3, every=0.3)
        def done(self, jobs: Jobs) -> None:
            same(jobs.waiting, 0)

    settled, stuck = run(Rare, client, starts(2), SettlingApi), run(Rare, client, starts(3), SettlingApi)

    assert ("passed", [[1, 0]]) == (settled.ending, waiting(settled))
    assert ("failed", [[1, 1]]) == (stuck.ending, waiting(stuck))


def test_nobody_sleeps_longer_than_a_check_has_time(client, monkeypatch):
    """The last pause before the time is over is cut short."""

    class Uneven(Settling):
        @eventually(within=0.3, every=0.2)
        def done(self, jobs: Jobs) -> None:
            same(jobs.waiting, 0)

    slept, sleep = [], time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: (slept.append(seconds), sleep(seconds)))
    trace = run(Uneven, client, starts(NEVER), SettlingApi)

    assert "failed" == trace.ending
    assert len(slept) == len(trace.steps[0].observations) - 1
    assert 0 < sum(slept) <= 0.3


class Patiently(Settling):
    """Would wait for an hour, if it waited."""

    @eventually(within=3600, every=3600)
    def done(self, jobs: Jobs) -> None:
        same(jobs.waiting, 0)


def test_what_holds_at_once_is_not_waited_for(client):
    """A check that holds at the first look costs no time, however long it might take."""
    trace = run(Patiently, client, starts(1, 1), SettlingApi)

    assert ("passed", [[0], [0]]) == (trace.ending, waiting(trace))


def test_waiting_at_the_end_belongs_to_no_step(client):
    """With `at="end"` it is waited once, when the sequence is over."""

    class Last(Settling):
        @eventually(within=20, every=0.01, at="end")
        def done(self, jobs: Jobs) -> None:
            same(jobs.waiting, 0)

    trace = run(Last, client, starts(3, 1), SettlingApi)

    assert ("passed", [[], []]) == (trace.ending, waiting(trace))
    assert 3 == len(trace.closing) == len(trace.closing_observations)


def test_waiting_at_the_end_fails_without_a_step(client):
    """What has not settled when the time after the end is over belongs to no step and no command."""

    class Last(Settling):
        @eventually(within=0.1, every=0.01, at="end")
        def done(self, jobs: Jobs) -> None:
            same(jobs.waiting, 0)

    trace = run(Last, client, starts(1, NEVER), SettlingApi)

    assert ("check", "done", None, None) == why(trace)
    assert len(trace.closing) == len(trace.closing_observations) > 1


def test_waiting_follows_what_it_waits_for(client):
    """With `on=` it is waited only after steps with this command or event."""

    class Asked(Settling):
        @eventually(within=20, every=0.01, on=Answered)
        def done(self, jobs: Jobs) -> None:
            same(jobs.waiting, 0)

    trace = run(Asked, client, (*starts(3), Call(label=1, tag="ask", args={"path": "/a"})), SettlingApi)

    assert ("passed", [[], [1, 1, 0]]) == (trace.ending, waiting(trace))


class Mistaken(Settling):
    @eventually(within=100, every=0.01)
    def done(self, jobs: Jobs) -> None:
        broken()


class MistakenLater(Settling):
    @eventually(within=100, every=0.01)
    def done(self, jobs: Jobs) -> None:
        assert jobs.waiting == 0
        broken()


def returning() -> type[Model]:
    """Make a model with a wait that returns a value, which nobody can see in its text."""
    look = made_without_source("def look(self, jobs): return jobs.waiting == 0")
    look.__annotations__["jobs"] = Jobs
    return type("Returning", (Settling,), {"done": eventually(within=100, every=0.01)(look)})


@pytest.mark.parametrize(("model", "looks"), [(Mistaken, [1]), (MistakenLater, [1, 0]), (returning(), [1])])
def test_a_mistake_in_a_wait_is_told_at_once(client, model, looks):
    """What raises something else than an assertion, or returns a value, is a fault of the model, not waited for."""
    trace = run(model, client, starts(2), SettlingApi)

    assert ("model", 0, "start") == (trace.failure.kind, trace.failure.step, trace.failure.command)
    assert not trace.failure.is_finding
    assert [looks] == waiting(trace)


class Sharing(Web):
    """Looks twice at once, and waits twice between."""

    commands: ClassVar = (Ask, Start)

    @check
    def first(self, jobs: Jobs) -> None:
        assert jobs.waiting == 1

    @eventually(within=20, every=0.01)
    def done(self, jobs: Jobs) -> None:
        assert jobs.waiting == 0

    @eventually(within=20, every=0.01)
    def still_done(self, jobs: Jobs) -> None:
        assert jobs.waiting == 0

    @check
    def last(self, jobs: Jobs) -> None:
        assert jobs.waiting == 0


def test_all_checks_of_a_step_share_what_was_seen_last(client, service):
    """The first look is that of an earlier check, and a check that comes later sees the newest one."""
    tally: Counter[tuple[str, str]] = Counter()
    trace = run(Sharing, client, starts(3), SettlingApi, tally=tally)

    assert ("passed", [[1, 1, 0]]) == (trace.ending, waiting(trace))
    assert 3 == service.paths.count("/jobs")
    assert {"first": 1, "done": 1, "still_done": 1, "last": 1} == {
        name: count for (role, name), count in tally.items() if role == "check"
    }


class Aged(Web):
    """Looks at something else before and after it waits."""

    commands: ClassVar = (Ask, Start)

    @check
    def before(self, seen: Seen) -> None:
        assert 0 == seen.paths.count("/jobs")

    @eventually(within=20, every=0.01)
    def done(self, jobs: Jobs) -> None:
        assert jobs.waiting == 0

    @check
    def after(self, seen: Seen) -> None:
        assert 3 == seen.paths.count("/jobs")


def test_what_was_seen_before_a_wait_is_read_anew(client):
    """Time has gone by, so a check behind the wait judges nothing that is older than the wait."""
    trace = run(Aged, client, starts(3), SettlingApi)

    assert ("passed", None) == (trace.ending, trace.failure)


def test_a_check_without_time_does_not_wait(client):
    """A plain check that comes first fails at the first look, though a later one would have waited."""
    trace = run(Sharing, client, starts(1), SettlingApi)

    assert ("check", "first", 0, "start") == why(trace)
    assert [[0]] == waiting(trace)


class Unsteady(SettlingApi):
    looks = 0
    third = "/drop"

    @observes
    def jobs(self) -> Jobs:
        self.looks += 1
        return Jobs(waiting=self.http.get(self.third if self.looks == 3 else "/jobs").json())


class Failing(Unsteady):
    third = "/status/503"


class StrictlySettling(Settling):
    server_errors: ClassVar = True


@pytest.mark.parametrize(
    ("model", "adapter", "ending", "kind"),
    [(Settling, Unsteady, "unknown", None), (StrictlySettling, Failing, "failed", "server_error")],
)
def test_what_ends_a_run_ends_a_wait(client, model, adapter, ending, kind):
    """A lost answer while waiting is unknown, and a server error is one, as anywhere else."""
    trace = run(model, client, starts(NEVER), adapter)

    assert (ending, kind) == (trace.ending, trace.failure and trace.failure.kind)
    assert (2, 3) == (len(trace.steps[0].observations), len(trace.steps[0].observing))


def recorded(
    folder: Path, model: type[Model], client: Client, calls: Sequence, adapter: type[Adapter[Any]] = WebApi
) -> Bundle:
    """Run a sequence while its bundle is written, and read the bundle."""
    facts = {"model": "m:M", "adapter": "a:A", "model_digest": "0" * 16, "campaign_seed": 1, "run": 0, "seed": 1}
    with Writer(folder / "made.partial") as writer:
        writer.begin(Provenance(commands=len(calls), url=client.origin, **facts))
        trace = run(model, client, calls, adapter, listener=writer)
        writer.save(folder / "made.pd")
    bundle = read(folder / "made.pd")

    assert (trace.sequence, trace.failure, trace.nonce) == (
        bundle.trace.sequence,
        bundle.trace.failure,
        bundle.trace.nonce,
    )

    return bundle


@pytest.fixture
def sleepless(monkeypatch):
    """Let nobody sleep."""

    def sleep(seconds: float) -> None:
        raise AssertionError(f"slept for {seconds} seconds")

    return lambda: monkeypatch.setattr(time, "sleep", sleep)


def test_a_wait_that_failed_is_replayed_without_waiting(client, tmp_path, sleepless):
    """Offline, each look of a bundle is one that was recorded, and the last one ends in the same failure."""
    bundle = recorded(tmp_path, Impatient, client, starts(2, NEVER), SettlingApi)
    sleepless()
    replayed = replay(bundle, model=Impatient, adapter=SettlingApi, offline=True)

    assert (Verdict.REPRODUCED, bundle.failure) == (replayed.verdict, replayed.trace.failure)
    assert waiting(bundle.trace) == waiting(replayed.trace)
    assert len(bundle.trace.steps[1].observations) > 1


def test_the_time_of_a_wait_does_not_matter_offline(client, tmp_path, sleepless):
    """A model that would wait longer, or not as long, ends its waiting where the recorded one ended."""
    bundle = recorded(tmp_path, Impatient, client, starts(2, NEVER), SettlingApi)
    sleepless()
    for within in (0.0001, 3600):

        class Other(Settling):
            @eventually(within=within, every=within)
            def done(self, jobs: Jobs) -> None:
                same(jobs.waiting, 0)

        replayed = replay(bundle, model=Other, adapter=SettlingApi, offline=True)

        assert (Verdict.REPRODUCED, waiting(bundle.trace)) == (replayed.verdict, waiting(replayed.trace))


def test_a_service_that_settles_now_is_fixed(client, service, tmp_path):
    """The bundle of a wait that failed has the verdict fixed on a service that settles, and offline it has not."""
    service.stuck = True
    bundle = recorded(tmp_path, Impatient, client, starts(2), SettlingApi)
    service.stuck = False
    live = replay(bundle, model=Impatient, adapter=SettlingApi, url=service.url)
    offline = replay(bundle, model=Impatient, adapter=SettlingApi, offline=True)

    assert ("check", "done", 0, "start") == why(bundle.trace)
    assert (Verdict.FIXED, [[1, 0]]) == (live.verdict, waiting(live.trace))
    assert Verdict.REPRODUCED is offline.verdict


def test_a_model_that_waits_for_something_else_is_stale_offline(client, nobody):
    """Where the recorded looks are too few or too many for the model as it is now, the run is not the recorded one."""

    class Less(Settling):
        @eventually(within=0.2, every=0.01)
        def done(self, jobs: Jobs) -> None:
            assert jobs.waiting < 2

    class More(Settling):
        @eventually(within=0.2, every=0.01)
        def done(self, jobs: Jobs) -> None:
            assert jobs.waiting < 0

    live = run(Settling, client, starts(2, 2), SettlingApi)
    endings = [
        run(model, nobody, starts(2, 2), SettlingApi, cassette=Player(live.interactions())).ending
        for model in (Settling, Less, More)
    ]

    assert ["passed", "stale", "stale"] == endings


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
        (Settling, SettlingApi, starts(1, 3, 2)),
        (Impatient, SettlingApi, starts(2, NEVER)),
        (Settling, Unsteady, starts(NEVER)),
        (Sharing, SettlingApi, starts(3, 1)),
    ],
    ids=[
        "expectation", "invariant", "check", "server_error", "end", "unknown", "caught", "adapter", "refs", "settled",
        "not settled", "lost while waiting", "after waiting",
    ],
)  # fmt: skip
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


# --- what is minted -----------------------------------------------------------------------------

Mail = Annotated[str, gen.map(gen.pool(gen.mint("user"), size=2), "{}@example.com".format)]


class Claim(Command):
    mail: Mail


class Claimed(Event):
    mail: str
    status: int


class Names(Web):
    """A name can be taken once."""

    commands: ClassVar = (Ask, Claim)
    taken: list[str] = []  # noqa: RUF012

    @expects
    def claim(self, cmd: Claim) -> Claimed:
        return Claimed(mail=cmd.mail, status=409 if cmd.mail in self.taken else 201)

    @on
    def claimed(self, event: Claimed) -> None:
        self.taken.append(event.mail)


class NamesApi(WebApi):
    def reset(self) -> None:
        """Leave everything as it is: this service can't be reset."""

    @handles
    def ask(self, cmd: Ask) -> Answered | Lost:
        return Answered(status=self.http.get("/a").status_code)

    @handles
    def claim(self, cmd: Claim) -> Claimed:
        return Claimed(mail=cmd.mail, status=self.http.post(f"/names/{cmd.mail}").status_code)


def claims(*names: str) -> Sequence:
    """Make calls that claim names as mail addresses; an empty name asks for something else."""
    return tuple(
        Call(label=label, tag="claim", args={"mail": f"{name}@example.com"}, raw={"mail": name})
        if name
        else Call(label=label, tag="ask", args={"path": "/a"})
        for label, name in enumerate(names)
    )


def claimed(paths: list[str]) -> list[str]:
    """List the mail addresses that were asked for."""
    return [path.removeprefix("/names/") for path in paths if path.startswith("/names/")]


def test_what_is_minted_is_sent_as_this_run_says_it(client, service):
    """Service, event and state have the text that this run spells out, and the sequence has the placeholder."""
    calls = claims("{user~1}", "{user~2}", "{user~1}")
    trace = run(Names, client, calls, NamesApi)
    first, second = (f"user-{trace.nonce}-{number}@example.com" for number in (1, 2))

    assert ("passed", calls) == (trace.ending, trace.sequence)
    assert re.fullmatch("[0-9a-f]{8,}", trace.nonce)
    assert [first, second, first] == claimed(service.paths)
    assert [201, 201, 409] == [json.loads(step.event.data)["status"] for step in trace.steps]
    assert [first, second, first] == json.loads(trace.steps[-1].state)["taken"]


def test_a_listener_hears_of_the_nonce_before_it_is_used(client):
    """The nonce is told once, before the first call that has something minted in it."""
    notes = Notes()
    trace = run(Names, client, claims("", "{user~1}", "", "{user~2}"), NamesApi, listener=notes)

    assert [("call", 0), ("nonce", trace.nonce), ("call", 1), ("call", 2), ("call", 3)] == [
        heard for heard in notes.heard if heard[0] in {"call", "nonce"}
    ]


def test_a_run_that_mints_nothing_has_no_nonce(client):
    """Nothing is told and nothing is kept, where nothing was minted; a text that looks a little like it is none."""
    notes = Notes()
    trace = run(Names, client, claims("", "user", "{user}"), NamesApi, listener=notes)

    assert ("passed", "") == (trace.ending, trace.nonce)
    assert [] == [heard for heard in notes.heard if heard[0] == "nonce"]


def test_runs_of_one_sequence_do_not_collide(client, service):
    """On a service that can't be reset, a sequence passes each time with minted names, and only once without."""
    minted = [run(Names, client, claims("{user~1}"), NamesApi) for _ in range(5)]
    plain = [run(Names, client, claims("user"), NamesApi) for _ in range(2)]

    assert ["passed"] * 5 == [trace.ending for trace in minted]
    assert ["passed", "failed"] == [trace.ending for trace in plain]
    assert 6 == len(service.names)


def test_runs_of_one_seed_do_not_collide(client, service):
    """Two runs of one seed have the same sequence, and send other names."""
    first, second = (execute(Names, NamesApi(client), Generated(Names, 5, 20)) for _ in range(2))

    assert ("passed", "passed") == (first.ending, second.ending)
    assert first.sequence == second.sequence
    assert first.nonce != second.nonce
    assert 4 == len(service.names)


def test_a_run_is_played_offline_with_its_own_nonce(client, nobody):
    """With the nonce that was recorded, the same requests are sent; with a new one, they are not on the cassette."""
    live = run(Names, client, claims("{user~1}", "", "{user~2}"), NamesApi)
    player = Player(live.interactions())
    same_nonce = run(Names, nobody, live.sequence, NamesApi, cassette=player, nonce=live.nonce)
    new_nonce = run(Names, nobody, live.sequence, NamesApi, cassette=Player(live.interactions()))

    assert ("passed", live.nonce) == (same_nonce.ending, same_nonce.nonce)
    assert [(step.event, step.state) for step in live.steps] == [(step.event, step.state) for step in same_nonce.steps]
    assert None is player.unused()
    assert "stale" == new_nonce.ending


def test_a_bug_is_replayed_on_a_service_that_can_not_be_reset(client, service, tmp_path):
    """A bundle replays live with new names, as often as you like, and offline with its own; repaired is fixed."""
    service.lenient = True
    bundle = recorded(tmp_path, Names, client, claims("", "{user~2}", "{user~2}"), NamesApi)
    again = [replay(bundle, model=Names, adapter=NamesApi, url=service.url) for _ in range(2)]
    offline = replay(bundle, model=Names, adapter=NamesApi, offline=True)
    service.lenient = False
    repaired = replay(bundle, model=Names, adapter=NamesApi, url=service.url)

    assert ("expectation", "claim", 2, "claim") == why(bundle.trace)
    assert [Verdict.REPRODUCED] * 3 == [each.verdict for each in [*again, offline]]
    assert 4 == len({bundle.trace.nonce, repaired.trace.nonce, *(each.trace.nonce for each in again)})
    assert (bundle.trace.nonce, bundle.failure) == (offline.trace.nonce, offline.trace.failure)
    assert Verdict.FIXED is repaired.verdict


@pytest.mark.parametrize("nonce", ["", "\\g<0>", "../..", "{user~1}", "x" * 1000])
def test_a_nonce_that_was_forged_is_sent_nowhere(client, service, tmp_path, nonce):
    """A bundle with another nonce is stale offline, and replays live as it would with its own."""
    service.lenient = True
    bundle = recorded(tmp_path, Names, client, claims("{user~2}", "{user~2}"), NamesApi)
    forged = bundle.replace(trace=bundle.trace.replace(nonce=nonce))
    asked = len(service.asked)
    offline = replay(forged, model=Names, adapter=NamesApi, offline=True)

    assert (Verdict.STALE, asked) == (offline.verdict, len(service.asked))
    assert Verdict.REPRODUCED is replay(forged, model=Names, adapter=NamesApi, url=service.url).verdict
    assert [] == [mail for mail in claimed(service.paths) if not re.fullmatch(r"user-\w+-2@example\.com", mail)]


def test_campaigns_of_one_seed_do_not_collide(service, tmp_path):
    """On a service that can't be reset, a campaign finds nothing twice, and with a bug it finds the same twice."""

    def campaign(folder: Path) -> list[Sequence]:
        result = integration.run(
            model=Names, adapter=NamesApi, base_url=service.url, max_runs=5, max_commands=12, seed=3,
            health_check="none", save_failures=folder,
        )  # fmt: skip
        assert 0 == result.not_judged

        return [each.trace.sequence for each in result.failures]

    healthy = [campaign(tmp_path / "healthy") for _ in range(2)]
    service.lenient = True
    (first,), (second,) = (campaign(tmp_path / "lenient") for _ in range(2))
    [saved] = (tmp_path / "lenient").glob("*.pd")

    assert [[], []] == healthy
    assert first == second == read(saved).trace.sequence
    assert ["claim", "claim"] == [call.tag for call in first]
    assert first[0].args == first[1].args
    assert Verdict.REPRODUCED is replay(read(saved), model=Names, adapter=NamesApi, offline=True).verdict


# --- refs that may be none ----------------------------------------------------------------------


class Pay(Command):
    account: Ref[Account] | None
    others: list[Ref[Account]]


class Split(Command):
    among: Annotated[list[Ref[Account]], MinLen(1)]


class Paid(Event):
    account: Ref[Account] | None


class Paying(Web):
    commands: ClassVar = (Pay, Split, Open)

    @requires
    def late(self, cmd: Open) -> bool:
        return len(self.statuses) >= 10 and len(self.accounts) < 2

    @on
    def paid(self, event: Paid) -> None:
        self.statuses.append(200)


class PayingApi(WebApi):
    @handles
    def pay(self, cmd: Pay) -> Paid:
        return Paid(account=cmd.account)

    @handles
    def split(self, cmd: Split) -> Paid:
        return Paid(account=cmd.among[0])


def test_refs_that_may_be_none_wait_for_something_to_refer_to(client):
    """Before anything was made, they are None or empty, and a list that needs one is not offered; then they are not."""
    trace = execute(Paying, PayingApi(client), Generated(Paying, 4, 120))
    tags = [call.tag for call in trace.sequence]
    opened = tags.index("open")
    early = [call.args for call in trace.sequence[:opened]]
    late = [call.args["account"] for call in trace.sequence[opened:] if call.tag == "pay"]

    assert ("passed", 120) == (trace.ending, len(trace.steps))
    assert [{"account": None, "others": []}] * opened == early
    assert 10 <= opened
    assert 0.3 < late.count(None) / len(late) < 0.7
    assert "split" in tags[opened:]
    assert [(step.event, step.state) for step in trace.steps] == [
        (step.event, step.state) for step in run(Paying, client, trace.sequence, PayingApi).steps
    ]


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


def test_the_trace_has_the_true_values(client):
    """What the service got stands in the trace; it is covered where it is written."""
    trace = run(Web, client, asks("/cookie", "/a"), Telling)

    assert "s3cret" in repr(trace)


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

    def call(self, call, at, faults=()):
        self.heard.append(("call", call.label))

    def nonce(self, nonce):
        self.heard.append(("nonce", nonce))

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


def test_a_command_that_was_drawn_and_not_asked_mints_nothing(client):
    """A precondition that refuses a command leaves no trace of it: the run has no nonce."""

    class Reserved(Names):
        @requires
        def never(self, _: Claim) -> bool:
            return False

    class ReservedApi(NamesApi):
        pass

    trace = execute(Reserved, ReservedApi(client), Generated(Reserved, 3, 20))

    assert "claim" not in {call.tag for call in trace.sequence}
    assert "" == trace.nonce


def test_a_reader_that_asks_nothing_does_not_wait_for_ever_offline(nobody):
    """A cassette with requests left is no reason to look again at what asks for none of them."""

    class Silent(SettlingApi):
        @observes
        def jobs(self) -> Jobs:
            return Jobs(waiting=1)

        def reset(self) -> None:
            pass

        @handles
        def start(self, cmd: Start) -> Started:
            del cmd
            return Started()

    left = Interaction(request=Request(method="GET", url="http://127.0.0.1:1/"), response=Response(status=200))
    trace = run(Patiently, nobody, starts(1), Silent, cassette=Player([left]))

    assert ("check", "done", 0, "start") == why(trace)


# --- time ---------------------------------------------------------------------------------------


class Pause(Wait):
    """A moment."""

    seconds: Annotated[float, gen.real(0.1, 0.3)]


class Clocked(Web):
    """Adds up the time that went by."""

    commands: ClassVar = (Ask, Pause)
    waited: float = 0.0

    @expects
    def asked(self, _: Ask) -> Answered:
        return Answered(status=200)

    @on
    def time_went_by(self, event: Waited) -> None:
        self.waited += event.seconds


def pauses(*seconds: float) -> Sequence:
    """Make calls that wait, labelled from 0."""
    return tuple(Call(label=label, tag="pause", args={"seconds": each}) for label, each in enumerate(seconds))


def test_a_wait_lets_time_go_by(client):
    """Nobody handles it: the run sleeps, and the event says for how long."""
    began = time.monotonic()
    trace = run(Clocked, client, pauses(0.1, 0.2))

    assert 0.3 <= time.monotonic() - began < 5
    assert "passed" == trace.ending
    assert [("waited", {"seconds": 0.1}), ("waited", {"seconds": 0.2})] == [
        (step.event.tag, json.loads(step.event.data)) for step in trace.steps
    ]
    assert 0.3 == pytest.approx(json.loads(trace.steps[1].state)["waited"])


@pytest.mark.parametrize("play", ["offline", "mock"])
def test_a_wait_takes_no_time_where_there_is_no_service(play, nobody):
    """A cassette and a mock answer at once, and the model sees the same."""
    began = time.monotonic()
    if play == "offline":
        trace = run(Clocked, nobody, pauses(60, 30), NamesApi, cassette=Player([]))
    else:
        trace = execute(Clocked, Mock(Clocked), Fixed(pauses(60, 30)))

    assert time.monotonic() - began < 5
    assert ("passed", 90) == (trace.ending, json.loads(trace.steps[1].state)["waited"])


def test_waits_are_drawn_like_any_command(client):
    """A campaign with waits in it draws them from the range that the class names."""
    trace = execute(Clocked, PlainApi(client), Generated(Clocked, 2, 8))
    seconds = [call.args["seconds"] for call in trace.sequence if call.tag == "pause"]

    assert "passed" == trace.ending
    assert seconds
    assert all(0.1 <= each <= 0.3 for each in seconds)


@pytest.mark.parametrize("seconds", [-1.0, 3601.0, 1e300])
def test_nobody_waits_for_ever(seconds, client):
    """A bundle from a stranger that asks for a wait that can't be does not fit."""
    trace = run(Clocked, client, pauses(seconds))

    assert "stale" == trace.ending
    assert "nobody waits" in trace.reason


def test_an_adapter_may_know_a_better_way_to_wait(client):
    """Where an adapter handles the command, as one that sets the service's clock, it is asked."""

    class SetsTheClock(WebApi):
        @handles
        def pause(self, cmd: Pause) -> Waited:
            self.http.get("/clock").raise_for_status()
            return Waited(seconds=cmd.seconds)

    began = time.monotonic()
    trace = run(Clocked, client, pauses(60), SetsTheClock)

    assert time.monotonic() - began < 5
    assert ("passed", 1) == (trace.ending, len(trace.steps[0].interactions))


def test_a_model_that_can_do_nothing_at_first_is_told_with_its_preconditions(client):
    """Where no command is possible in the first state, the preconditions that keep them from it are named."""

    class Locked(Web):
        commands: ClassVar = (Ask, Open)

        @requires
        def unlocked(self, _: Ask | Open) -> bool:
            return False

    with pytest.raises(DefinitionError, match=r"Locked is possible in its first state\.\n.* Look at unlocked\."):
        execute(Locked, PlainApi(client), Generated(Locked, 1, 5))
