"""The injector: what it does to the way to a service, to its process, and that it takes all of it back."""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jar import Jar, JarApi, Look, Piggy, ShakenJar

from replaykit import fault, on
from replaykit.adapter import Adapters
from replaykit.client import Client
from replaykit.errors import UnreachableError, UsageError
from replaykit.fault import Fault
from replaykit.injector import PATIENCE, Injector
from replaykit.port import free_port
from replaykit.run import execute
from replaykit.sequence import Call, Fixed
from replaykit.service import Proxying, Running, opened
from replaykit.trace import Trace

HTTP = {"steps": 1, "share": 1.0}
STREAM = {**HTTP, "stream": "downstream"}
LOOK = Look()
SERVICE = Path(__file__).with_name("jar.py")


@pytest.fixture(scope="module")
def jar() -> Iterator[Jar]:
    """Give a service that somebody else has started."""
    with Jar() as served:
        yield served


@pytest.fixture
def client(jar: Jar) -> Iterator[Client]:
    """Give a client of it."""
    made = Client(jar.url)
    made.timeout = httpx.Timeout(3.0)
    yield made
    made.close()


@pytest.fixture(scope="module")
def wired(jar: Jar) -> Iterator[tuple[Injector, Client]]:
    """Give an injector with a proxy, and the client that it does it to."""
    client = Client(jar.url)
    injector = Injector([fault.Latency, fault.Down], client, None)
    injector.open()
    yield injector, client
    injector.close()
    client.close()


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Give a service that was started here, and keeps its coins."""
    keep = tmp_path_factory.mktemp("jar") / "coins.json"
    start = shlex.join([sys.executable, str(SERVICE), "{port}", "--keep", str(keep)])
    with opened(url=None, start=start, health="none", patience=20) as running:
        yield running


def asked(client: Client, injector: Injector) -> str:
    """Ask through what is on; say the status, or the error."""
    try:
        with injector.through(LOOK):
            return str(client.get("/coins").status_code)
    except httpx.HTTPError as error:
        return type(error).__name__


def test_only_what_is_sent_through_it_is_disturbed(wired: tuple[Injector, Client]):
    """Everything else goes straight, while a fault is on as well."""
    injector, client = wired
    injector.begin(3, fault.Down(steps=1))
    disturbed, straight = asked(client, injector), client.get("/coins").status_code
    injector.lift(3)

    assert ("ConnectError", 200, "200") == (disturbed, straight, asked(client, injector))


def test_a_connection_that_was_open_is_disturbed_too(wired: tuple[Injector, Client]):
    """What a toxic does follows from the request, and not from an old connection."""
    injector, client = wired
    first = asked(client, injector)
    injector.begin(4, fault.LimitData(**STREAM, size=10))
    second = asked(client, injector)
    injector.lift(4)

    assert ("200", "RemoteProtocolError") == (first, second)
    assert "200" == asked(client, injector)


def test_each_command_has_a_connection_of_its_own_while_a_fault_is_on(wired: tuple[Injector, Client]):
    """What the one before used up of a limit is none of its business."""
    injector, client = wired
    size = len(str(client.get("/coins").headers))  # more than one answer, and less than two
    injector.begin(6, fault.LimitData(**STREAM, size=size))
    seen = [asked(client, injector) for _ in range(3)]
    injector.lift(6)

    assert ["200"] * 3 == seen


def test_the_time_that_is_waited_is_shorter_while_a_fault_is_on(wired: tuple[Injector, Client]):
    """A hanging answer costs a second, and what the adapter says holds again afterwards."""
    injector, client = wired
    usual = httpx.Timeout(3.0)
    client.timeout = usual
    with injector.through(LOOK):
        calm = client.timeout
    injector.begin(5, fault.Latency(**STREAM, milliseconds=1, jitter=0))
    with injector.through(LOOK):
        under = client.timeout
    after = client.timeout
    client.timeout = httpx.Timeout(0.2)
    with injector.through(LOOK):
        short = client.timeout
    injector.lift(5)
    client.timeout = usual

    assert (usual, httpx.Timeout(PATIENCE), httpx.Timeout(0.2)) == (calm, under, short)
    assert usual == after


def test_what_is_interrupted_is_straight_again(client: Client):
    """Whatever ends what is sent, the way is free afterwards."""
    injector = Injector([fault.ErrorStatus], client, None)
    injector.open()
    injector.begin(1, fault.ErrorStatus(**HTTP, status=503, reached=False))
    with pytest.raises(KeyboardInterrupt), injector.through(LOOK):
        raise KeyboardInterrupt

    assert 200 == client.get("/coins").status_code
    assert "503" == asked(client, injector)


def test_close_takes_all_back(jar: Jar, client: Client):
    """The proxy is gone, and with it what was on."""
    injector = Injector([fault.Down], client, None)
    injector.open()
    injector.begin(1, fault.Down(steps=1))
    address = injector._between.address
    injector.close()

    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://{address[0]}:{address[1]}/coins")
    assert 200 == client.get("/coins").status_code
    assert 200 == httpx.get(f"{jar.url}/coins").status_code


def test_the_proxy_listens_where_it_is_told(jar: Jar, client: Client):
    """A port that is taken is no reason to fail: another one is."""
    port = free_port()
    running = Running(jar.url, "none", proxying=Proxying(port=port))
    first = Injector([fault.Down], client, running)
    first.open()
    second = Injector([fault.Down], client, running)
    second.open()
    ports = [each._between.address[1] for each in (first, second)]
    first.close()
    second.close()

    assert port == ports[0]
    assert port != ports[1]


def test_a_toxiproxy_that_is_not_there_is_told(jar: Jar, client: Client):
    """The error names it."""
    url = f"http://127.0.0.1:{free_port()}"

    with pytest.raises(UnreachableError, match=url):
        Injector([fault.Down], client, Running(jar.url, "none", proxying=Proxying(toxiproxy=url))).open()


def test_faults_of_http_need_no_proxy(jar: Jar, client: Client):
    """Where no fault of the network is in the model, no process is started, and no Toxiproxy asked."""
    running = Running(jar.url, "none", proxying=Proxying(toxiproxy="http://127.0.0.1:1"))
    injector = Injector([fault.ErrorStatus, fault.Duplicated], client, running)
    injector.open()
    injector.begin(1, fault.Duplicated(**HTTP))
    before = len(jar.asked)

    assert "200" == asked(client, injector)
    assert 2 == len(jar.asked) - before


@pytest.mark.parametrize("kind", [fault.Kill, fault.Pause, fault.Restart])
def test_a_process_that_is_not_ours_is_left_alone(kind: type[Fault], jar: Jar, client: Client):
    """It is said what to do."""
    for running in (None, Running(jar.url, "none")):
        with pytest.raises(UsageError, match=rf"{kind.__name__} needs a service that is started here\.") as raised:
            Injector([kind], client, running).open()

        assert "--start" in str(raised.value.todo)


# --- the process --------------------------------------------------------------------------------


def put(label: int, amount: int) -> Call:
    return Call(label=label, tag="put", args={"key": f"k{label}", "amount": amount})


def begun(label: int, name: str, steps: int = 1) -> Call:
    return Call(label=label, tag=f"fault_{name}", args={"steps": steps})


def look(label: int) -> Call:
    return Call(label=label, tag="look", args={})


def shaken(running: Running, *calls: Call, model: type[Piggy] = ShakenJar) -> Trace:
    """Run a sequence against the service that was started here, which lives afterwards."""
    adapters = Adapters(model, JarApi, running.url, {}, running=running)
    try:
        trace = execute(model, adapters.new(), Fixed(calls))
    finally:
        adapters.close()
    assert running.trouble(adapters.client) is None if adapters.client else False

    return trace


def told(trace: Trace) -> list[Any]:
    return [trace.ending, *("" if step.event is None else step.event.tag for step in trace.steps)]


def test_a_killed_service_is_there_again_when_the_fault_is_over(started: Running):
    """While it lasts nothing reaches it, nobody looks, and what it had kept it has still."""
    trace = shaken(started, put(0, 4), begun(1, "kill", 2), put(2, 5), look(3), look(4))

    assert ["passed", "put_in", "injected", "lost", "lost", "seen"] == told(trace)
    assert [1, 1, 0, 1, 1] == [len(step.observations) for step in trace.steps]


@pytest.mark.parametrize(("first", "second"), [("kill", "kill"), ("pause", "kill"), ("restart", "pause")])
def test_two_faults_of_the_process_at_once_can_t_be(started: Running, first: str, second: str):
    """Which of them the service is in would not be clear: the run ends, and the first one is taken back."""
    trace = shaken(started, begun(0, first, 2), begun(1, second), look(2))

    assert ["stale", "injected", "injected"] == told(trace)
    assert "step 1: Two faults of the process can't be on at once." == trace.reason


def test_a_killed_service_is_started_again_at_the_end_of_the_run(started: Running):
    """A fault that lasts longer than the run is over with it, and the state is looked at."""
    trace = shaken(started, put(0, 4), begun(1, "kill", 4))

    assert ["passed", "put_in", "injected"] == told(trace)
    assert 1 == len(trace.closing_observations)


def test_a_paused_service_is_asked_in_vain_and_goes_on(started: Running):
    """A command that may have reached it is sent again when it goes on."""
    trace = shaken(started, begun(0, "pause"), put(1, 4), look(2))

    assert ["passed", "injected", "put_in", "seen"] == told(trace)
    assert ["ReadTimeout", "ReadTimeout", None] == [
        None if each.trouble is None else each.trouble.error for each in trace.steps[1].interactions
    ]


def test_a_restarted_service_answers_at_once(started: Running):
    """It keeps its coins, and nobody notices."""
    number = started.restarts
    trace = shaken(started, put(0, 4), begun(1, "restart"), put(2, 5), look(3))

    assert ["passed", "put_in", "injected", "put_in", "seen"] == told(trace)
    assert number == started.restarts  # those are deaths


def test_what_is_lost_with_the_process_is_found(started: Running):
    """A model that says that all is kept is contradicted by a service that does not keep it."""

    class Hopeful(ShakenJar):
        @on
        def injected(self, event: fault.Injected) -> None:
            self.coins.append(1)

    trace = shaken(started, begun(0, "kill"), look(1), model=Hopeful)

    assert trace.failure is not None
    assert ("coins_match", 0) == (trace.failure.name, trace.failure.step)
