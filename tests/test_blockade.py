"""The blockade: who is inside reaches nothing, whatever it tries with, and all others reach what they want."""

import asyncio
import contextlib
import contextvars
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import pytest
import requests
from conftest import Counting, replaykit
from vault import bundled

from replaykit import Adapter, Command, Event, Like, Model, expects, handles, invariant, like, recheck, replay
from replaykit.adapter import Adapters
from replaykit.blockade import blockaded
from replaykit.bundle import Provenance
from replaykit.client import Client
from replaykit.errors import OfflineError
from replaykit.run import execute
from replaykit.sequence import Call, Fixed
from replaykit.sitting import Brief, Sitting
from replaykit.status import Status
from replaykit.suite import Saved
from replaykit.trace import Trace
from replaykit.verdict import Verdict, exit_code
from replaykit.writer import save


class Told:
    missed: str | None = None


@pytest.fixture(scope="module")
def service() -> Iterator[Counting]:
    """Serve on a free port of the loopback."""
    with Counting() as counting:
        yield counting


def ask(url: str) -> None:
    urllib.request.urlopen(url, timeout=5).close()  # noqa: S310  a URL of ours


def connect(service: Counting) -> None:
    with socket.create_connection(("127.0.0.1", int(service.url.rpartition(":")[2]))):
        pass


def by_datagram(service: Counting) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", ("127.0.0.1", 9))


def by_path(service: Counting) -> None:
    with socket.socket(socket.AF_UNIX) as unix:
        unix.connect("/nowhere.sock")


def by_name(service: Counting) -> None:
    socket.getaddrinfo("service.invalid", 80)


def backwards(service: Counting) -> None:
    socket.gethostbyaddr("192.0.2.1")


def by_task(service: Counting) -> None:
    asyncio.run(asyncio.wait_for(asyncio.open_connection("127.0.0.1", int(service.url.rpartition(":")[2])), 5))


def by_task_and_name(service: Counting) -> None:
    asyncio.run(asyncio.wait_for(asyncio.open_connection("service.invalid", 80), 5))


@pytest.mark.parametrize(
    ("attempt", "wanted"),
    [
        (connect, "127.0.0.1:"),
        (by_datagram, "127.0.0.1:9 "),
        (by_path, "/nowhere.sock "),
        (by_name, "service.invalid:80 "),
        (backwards, "192.0.2.1 "),
        (by_task, "127.0.0.1:"),
        (by_task_and_name, "service.invalid:80 "),
        (lambda service: ask(service.url), "127.0.0.1:"),
        (lambda service: requests.get(service.url, timeout=5), "127.0.0.1:"),
    ],
)
def test_an_attempt_is_an_error_that_says_what_and_where(
    attempt: Callable[[Counting], object], wanted: str, service: Counting
):
    """Each way to the network raises OfflineError, with the address, and the place in the user's code."""
    told, before = Told(), service.count
    with blockaded(told), pytest.raises(OfflineError, match=wanted):
        attempt(service)

    assert told.missed is not None
    assert "test_blockade.py, line " in told.missed
    assert before == service.count


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", None])
def test_an_address_needs_no_name_to_be_looked_up(host: str | None):
    """Somebody who listens on this machine, as for callbacks, is let be."""
    with blockaded():
        socket.getaddrinfo(host, 80)
        socket.gethostbyaddr("127.0.0.1")
        with socket.create_server(("127.0.0.1", 0)):
            pass


def test_the_first_attempt_is_told_though_it_is_swallowed():
    """What was tried first stays, whatever is tried later, and whoever swallows the errors."""
    told = Told()
    with blockaded(told):
        for name in ("first.invalid", "second.invalid"):
            with pytest.raises(OfflineError):
                socket.gethostbyname(name)

    assert told.missed is not None
    assert told.missed.startswith("first.invalid was to be reached (test_blockade.py, line ")


def test_others_are_let_through(service: Counting):
    """Threads that were there before, and what comes after the block, reach what they want."""
    before, ready, done = service.count, threading.Event(), threading.Event()

    def wait_and_ask() -> None:
        ready.wait(5)
        ask(service.url)
        done.set()

    other = threading.Thread(target=wait_and_ask)
    other.start()
    with blockaded():
        ready.set()
        assert done.wait(5)
    other.join()
    ask(service.url)

    assert before + 2 == service.count


def test_threads_that_are_started_inside_are_inside(service: Counting):
    """A pool that was begun in one block is kept from the network in the next one too, and not in between."""
    with ThreadPoolExecutor(1) as pool:
        for _ in range(2):
            told = Told()
            with blockaded(told), pytest.raises(OfflineError):
                pool.submit(socket.create_connection, ("127.0.0.1", 9)).result(5)

            assert told.missed is not None
            assert "127.0.0.1:9 was to be reached (test_blockade.py, line " in told.missed
            pool.submit(connect, service).result(5)


def test_another_context_of_the_thread_is_inside_too(service: Counting):
    """Code that runs in a context of its own does not get out by that."""
    told = Told()
    with blockaded(told), pytest.raises(OfflineError):
        contextvars.Context().run(connect, service)

    assert told.missed is not None


def test_a_timer_that_is_left_over_stays_inside(service: Counting):
    """What was started inside, and works for nobody else, reaches nothing after the block either."""
    raised: list[BaseException] = []
    reached = threading.Event()

    def stray() -> None:
        try:
            connect(service)
        except OfflineError as error:
            raised.append(error)
        reached.set()

    with blockaded():
        threading.Timer(0.05, lambda: threading.Thread(target=stray).start()).start()
    ask(service.url)
    reached.wait(5)

    assert ["By what was left over from a bundle that was played"] == [str(each).partition(",")[0] for each in raised]


def test_a_task_that_is_left_over_stays_inside(service: Counting):
    """A task knows by its context that it was made inside."""

    async def stray() -> None:
        with blockaded():
            left = asyncio.create_task(asyncio.open_connection("127.0.0.1", int(service.url.rpartition(":")[2])))
        await left

    with pytest.raises(OfflineError):
        asyncio.run(stray())


def test_an_event_loop_that_is_kept_works_for_those_who_ask_it(service: Counting):
    """A loop in a thread that was started inside reaches the network for who is outside, when he is."""

    async def reach() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", int(service.url.rpartition(":")[2]))
        writer.close()
        await writer.wait_closed()

    loop = asyncio.new_event_loop()
    with blockaded():
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        with pytest.raises(OfflineError):
            asyncio.run_coroutine_threadsafe(reach(), loop).result(5)
    asyncio.run_coroutine_threadsafe(reach(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


def test_threads_that_others_start_meanwhile_are_outside(service: Counting):
    """A thread that somebody outside starts during the block reaches what it wants."""
    begin, done, before = threading.Event(), threading.Event(), service.count

    def ask_once() -> None:
        ask(service.url)
        done.set()

    def start() -> None:
        begin.wait(5)
        threading.Thread(target=ask_once).start()

    other = threading.Thread(target=start)
    other.start()
    with blockaded():
        begin.set()

        assert done.wait(5)
    other.join()

    assert before + 1 == service.count


# --- in a run -----------------------------------------------------------------------------------


class Ask(Command):
    pass


class Asked(Event):
    count: int


class Asking(Model):
    commands: ClassVar = (Ask,)

    @expects
    def ask(self, _: Ask) -> Asked:
        return Asked(count=0)


class Straying(Adapter[Asking]):
    """Asks a second service behind the back of self.http, and swallows what that says."""

    other: str = ""
    early: bool = False

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        if self.early:
            self.stray()

    @handles
    def ask(self, _: Ask) -> Asked:
        if not self.early:
            self.stray()
        return Asked(count=self.http.get("/").json()["count"])

    def stray(self) -> None:
        with contextlib.suppress(Exception):  # as careless adapters do
            ask(self.other)


class Mute(Straying):
    def stray(self) -> None:
        """Ask nobody."""


def recorded(service: Counting, **settings: str) -> Trace:
    adapters = Adapters(Asking, Straying, service.url, {"other": service.url, **settings})
    try:
        return execute(Asking, adapters.new(), Fixed((Call(label=0, tag="ask"),)))
    finally:
        adapters.close()


@pytest.mark.parametrize("early", ["false", "true"])
def test_an_attempt_makes_an_offline_replay_stale(early: str, service: Counting):
    """What the adapter sends by itself is in no cassette, so no verdict on the bug is possible: 125."""
    trace = recorded(service, early=early)
    assert "failed" == trace.ending
    before = service.count
    settings = {"other": service.url, "early": early}
    replayed = replay(bundled(trace), model=Asking, adapter=Straying, offline=True, settings=settings)

    assert Verdict.STALE == replayed.verdict
    assert 125 == exit_code(replayed.verdict)
    assert f"{service.url[7:]} was to be reached ({Path(__file__).name}, line " in replayed.reason
    assert ", in ask)" in replayed.reason
    assert before == service.count


def test_without_it_the_same_run_reproduces(service: Counting):
    """An adapter that speaks through self.http alone is replayed as ever."""
    replayed = replay(bundled(recorded(service)), model=Asking, adapter=Mute, offline=True, settings={"other": ""})

    assert Verdict.REPRODUCED == replayed.verdict


EARLY = """
import urllib.request
import replaykit
urllib.request.urlopen({url!r}, timeout=5).close()
class Early(replaykit.Model):
    pass
class EarlyApi(replaykit.Adapter[Early]):
    pass
"""


@pytest.fixture
def early(service: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Save a bundle whose model and adapter ask a service while they are imported."""
    trace = recorded(service)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "early.py").write_text(EARLY.format(url=service.url))
    monkeypatch.chdir(tmp_path)
    names = {"model": "early.py:Early", "adapter": "early.py:EarlyApi", "model_digest": "0"}
    save(tmp_path / "bug.pd", Provenance(**names, campaign_seed=1, run=0, seed=1, commands=9), trace)
    return tmp_path / "bug.pd"


def test_a_module_reaches_nothing_while_it_is_imported(early: Path, service: Counting):
    """What a model or an adapter sends while it is imported to be replayed offline, or rechecked, is kept in too."""
    before, said = service.count, r"early\.py, line 4, in <module>"
    with pytest.raises(OfflineError, match=said):
        replay(early, offline=True)
    with pytest.raises(OfflineError, match=said):
        recheck(early)
    entry = Sitting(Brief(offline=True)).judge(Saved(early, Status()))

    assert ("stale", 125) == (entry.verdict, entry.exit_code)
    assert before == service.count


@pytest.mark.parametrize("command", [("replay", "--offline"), ("recheck",)])
def test_a_command_without_a_service_imports_without_one(command: tuple[str, ...], early: Path, service: Counting):
    """The program can't judge a bundle whose model asks somebody while it is imported."""
    before = service.count
    ran = replaykit(*command, early, cwd=early.parent)

    assert 125 == ran.code, ran
    assert "error[offline]" in ran.err
    assert before == service.count


class Prying(Asking):
    """Looks at the network in an invariant, and swallows what that says."""

    @invariant
    def nosy(self) -> None:
        with contextlib.suppress(OfflineError):
            socket.gethostbyname("service.invalid")


def test_a_model_reaches_nothing_either(service: Counting):
    """What a model tries makes the replay stale too, though the recorded failure would show."""

    class Late(Prying):
        @expects
        def ask(self, _: Ask) -> Like[Asked]:
            return like(Asked)

    replayed = replay(bundled(recorded(service)), model=Late, adapter=Mute, offline=True)

    assert Verdict.STALE == replayed.verdict
    assert "service.invalid was to be reached (test_blockade.py, line " in replayed.reason


def test_credentials_of_one_client_are_none_of_another(service: Counting):
    """What is remembered of a request's headers is without what authentication has put there."""
    first, second = Client(service.url), Client(service.url)
    first.renew({"X-Of": "both"}, ("user", "password"), 5.0)
    second.renew({"X-Of": "both"}, None, 5.0)
    sent = first.get("/credentials").request
    built = second.build_request("GET", "/credentials")
    first.close()
    second.close()

    assert "authorization" in sent.headers
    assert "authorization" not in built.headers
