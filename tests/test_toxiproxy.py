"""The client of Toxiproxy's API, and proxies that stand before a service for a while."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from conftest import environment

from replaykit import toxiproxy
from replaykit.errors import MachineError, UnreachableError, UsageError
from replaykit.port import free_port
from replaykit.toxic import RefusedError, Toxic
from replaykit.toxiproxy import Embedded, Interposed, Toxiproxy, interposed, is_leftover, new_name, sweep


@pytest.fixture(scope="module")
def shared() -> Iterator[str]:
    """Give the URL of a Toxiproxy that others use too."""
    with Embedded() as embedded:
        yield embedded.url


@pytest.fixture
def service() -> Iterator[tuple[str, int]]:
    """Give the address of a service that says one word to each connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                with listener.accept()[0] as sock, contextlib.suppress(OSError):
                    sock.sendall(b"welcome")

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@contextlib.contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """Give the URL of a server that answers everything in one way."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = answer  # noqa: N815  the names are the library's

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def welcomed(address: tuple[str, int]) -> bool:
    """Say whether the service is reached at an address."""
    try:
        with socket.create_connection(address, timeout=5) as sock:
            return sock.recv(7) == b"welcome"
    except ConnectionError:
        return False


def timed(call: Callable[[], object]) -> float:
    """Call, whether the Toxiproxy can be reached or not; return the seconds that it took."""
    began = time.monotonic()
    with contextlib.suppress(UnreachableError):
        call()
    return time.monotonic() - began


def toxics(api: Toxiproxy, proxy: str) -> list[str]:
    """List the names of the toxics of a proxy."""
    return [toxic["name"] for toxic in api.proxies()[proxy]["toxics"]]


# --- the client ---------------------------------------------------------------------------------


def test_proxies_are_made_and_removed(shared: str, service: tuple[str, int]):
    """A proxy is made where it is wanted, has toxics, is enabled or not, and goes."""
    api = Toxiproxy(shared + "/")
    address = api.create("mine", service)
    api.add("mine", Toxic("late", "latency", "upstream", 0.5, {"latency": 1}))
    [shown] = api.proxies()["mine"]["toxics"]

    assert welcomed(address)
    assert Toxic("late", "latency", "upstream", 0.5, {"latency": 1}).as_json() == shown
    assert ["late"] == toxics(api, "mine")
    api.remove("mine", "late")
    assert [] == toxics(api, "mine")
    api.disable("mine")
    assert not welcomed(address)
    api.enable("mine")
    assert welcomed(address)
    api.delete("mine")
    assert {} == api.proxies()


@pytest.mark.parametrize(
    ("average", "variation", "expected"), [(16, 0, (16, 1)), (16, 8, (16, 8)), (4, 9, (4, 4)), (0, 0, (1, 1))]
)
def test_a_slicer_is_one_that_a_toxiproxy_bears(
    average: int, variation: int, expected: tuple[int, int], shared: str, service: tuple[str, int]
):
    """A real Toxiproxy crashes by a slicer that varies by nothing, or by more than it cuts off."""
    api = Toxiproxy(shared)
    api.create("mine", service)
    api.add("mine", Toxic("", "slicer", attributes={"average_size": average, "size_variation": variation}))
    [shown] = api.proxies()["mine"]["toxics"]
    api.delete("mine")

    assert expected == (shown["attributes"]["average_size"], shown["attributes"]["size_variation"])


def test_what_is_refused_is_told_with_its_status(shared: str, service: tuple[str, int]):
    """The words of the API are in the error, and its status."""
    api = Toxiproxy(shared)
    with pytest.raises(RefusedError, match=r"refused DELETE /proxies/a%2Fb: proxy not found \(404\)\.") as refused:
        api.delete("a/b")

    assert 404 == refused.value.status
    with pytest.raises(MachineError, match="address already in use"):
        api.create("mine", service, f"127.0.0.1:{service[1]}")


@pytest.mark.parametrize(
    "url",
    ["localhost:8474", "https://localhost", "http://", "ftp://x", "http://x:99999", "http://x/api", "http://u@x", ""],
)
def test_an_address_that_is_none_is_told(url: str):
    """What can't be the address of a Toxiproxy is a wrong use."""
    with pytest.raises(UsageError, match="is no address of a Toxiproxy"):
        Toxiproxy(url)


def test_nobody_there_is_told():
    """Where nothing listens, the service is not blamed: the proxy is."""
    with pytest.raises(UnreachableError, match=r"Toxiproxy can't be reached at http://127\.0\.0\.1"):
        Toxiproxy(f"http://127.0.0.1:{free_port()}").version()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>"),
        (200, b"[]"),
        (200, b"{}"),
        (200, b"[" * 100_000),
        (404, b"<html>"),
        (500, b""),
        (200, b'"2.0"'),
    ],
)
def test_somebody_else_there_is_told(status: int, body: bytes, service: tuple[str, int]):
    """What answers as no Toxiproxy does is named as that."""
    with answering(status, body) as url:
        with pytest.raises(UsageError, match=f"What answers at {url} is no Toxiproxy"):
            with interposed(service, toxiproxy=url):
                pass


def test_what_is_no_http_is_told():
    """A service that speaks something else is no Toxiproxy either."""

    def speak() -> None:
        with listener.accept()[0] as sock:
            sock.recv(65536)
            sock.sendall(b"welcome\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=speak)
        thread.start()
        with pytest.raises(UsageError, match="is no Toxiproxy"):
            Toxiproxy(f"http://127.0.0.1:{listener.getsockname()[1]}").version()
        thread.join()


def test_an_old_one_is_told(service: tuple[str, int]):
    """Version 1 has another API."""
    with answering(200, json.dumps({"version": "1.2.1"}).encode()) as url:
        with pytest.raises(UsageError, match=r"is too old: 1\.2\.1"):
            with interposed(service, toxiproxy=url):
                pass


# --- in between ---------------------------------------------------------------------------------


def test_a_proxy_stands_before_the_service_meanwhile(shared: str, service: tuple[str, int]):
    """On a Toxiproxy that is shared, ours is there, is named by us, and is gone afterwards; others stay."""
    api = Toxiproxy(shared)
    api.create("others", service)
    with interposed(service, toxiproxy=shared) as proxy:
        assert welcomed(proxy.address)
        assert proxy.name.startswith("replaykit-")
        assert {"others", proxy.name} == set(api.proxies())

    assert {"others"} == set(api.proxies())
    assert not welcomed(proxy.address)
    api.delete("others")


def test_a_port_is_a_wish(service: tuple[str, int]):
    """It listens at the port that is wanted, and at another one where that is taken."""
    port = free_port()
    with interposed(service, port=port) as first, interposed(service, port=port) as second:
        assert ("127.0.0.1", port) == first.address
        assert port != second.address[1]
        assert welcomed(first.address)
        assert welcomed(second.address)


def test_what_fails_inside_leaves_nothing(service: tuple[str, int], shared: str):
    """An error inside goes through, and the proxy is gone."""
    with pytest.raises(ZeroDivisionError), interposed(service, toxiproxy=shared):
        raise ZeroDivisionError

    assert {} == Toxiproxy(shared).proxies()


def test_a_toxiproxy_that_died_is_told(service: tuple[str, int]):
    """A fault that can't be applied is an error; that it can't be taken away afterwards is none."""
    with Embedded() as embedded, interposed(service, toxiproxy=embedded.url) as proxy:
        embedded.stop()

        with pytest.raises(UnreachableError, match="Toxiproxy can't be reached"):
            proxy.add(Toxic("", "latency"))


def reset(api: Toxiproxy) -> None:
    """Let somebody else reset a Toxiproxy."""
    api._ask("POST", "/reset")


def delete(api: Toxiproxy) -> None:
    """Let somebody else delete all proxies."""
    for name in api.proxies():
        api.delete(name)


@pytest.mark.parametrize(
    ("begin", "disturb", "end", "what"),
    [
        (lambda p: p.add(Toxic("late", "latency")), reset, lambda p: p.remove("late"), "the fault late"),
        (lambda p: p.down(), reset, lambda p: p.up(), "what kept its proxy down"),
        (lambda p: p.down(), delete, lambda p: p.up(), "its proxy"),
        (lambda _: None, delete, lambda p: p.down(), "its proxy"),
        (lambda _: None, delete, lambda p: p.add(Toxic("", "latency")), "its proxy"),
    ],
)
def test_what_somebody_else_took_away_is_told(
    begin: Callable[[Interposed], None],
    disturb: Callable[[Toxiproxy], None],
    end: Callable[[Interposed], None],
    what: str,
    service: tuple[str, int],
    shared: str,
):
    """Where a Toxiproxy that is shared was reset meanwhile, nobody knows what a run has seen: it can't be judged."""
    with interposed(service, toxiproxy=shared) as proxy:
        begin(proxy)
        disturb(Toxiproxy(shared))

        with pytest.raises(
            UnreachableError, match=f"Somebody else has taken away {what}, at the Toxiproxy at {shared}"
        ):
            end(proxy)


def test_threads_may_steer_it_at_the_same_time(service: tuple[str, int]):
    """Toxics come and go from several threads."""
    wrong = []
    with interposed(service) as proxy:

        def steer(name: str) -> None:
            try:
                for _ in range(10):
                    proxy.add(Toxic(name, "latency"))
                    proxy.remove(name)
            except BaseException as error:
                wrong.append(error)

        threads = [threading.Thread(target=steer, args=(f"t{number}",)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert [] == wrong == toxics(proxy.toxiproxy, proxy.name)


def test_a_fork_takes_nothing_away(service: tuple[str, int], shared: str):
    """A process that was forked inside, and leaves, leaves the proxy to the one that made it."""
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(interposed(service))
        theirs = stack.enter_context(interposed(service, toxiproxy=shared))
        pid = os.fork()
        if pid == 0:
            stack.close()
            os._exit(0)
        os.waitpid(pid, 0)

        assert welcomed(ours.address)
        assert welcomed(theirs.address)


# --- what killed ones left ----------------------------------------------------------------------

HOLDS = textwrap.dedent(
    """
    import sys, time
    from replaykit.toxic import Toxic
    from replaykit.toxiproxy import interposed
    with interposed(("127.0.0.1", int(sys.argv[1])), toxiproxy=sys.argv[2] or None) as proxy:
        proxy.add(Toxic("", "latency"))
        print(proxy.name, proxy.address[1], proxy.toxiproxy.url, flush=True)
        time.sleep(600)
    """
)


@contextlib.contextmanager
def holder(service: tuple[str, int], url: str = "") -> Iterator[tuple["subprocess.Popen[str]", list[str]]]:
    """Give another process that has a proxy before the service, and what it says of it."""
    words = [sys.executable, "-c", HOLDS, str(service[1]), url]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().split()
        process.kill()


def test_the_embedded_one_ends_with_who_started_it(service: tuple[str, int]):
    """After SIGKILL neither process nor proxy is left."""
    with holder(service) as (process, (_, port, url)):
        assert welcomed(("127.0.0.1", int(port)))
        process.send_signal(signal.SIGKILL)
        process.wait()
        number = url.rpartition(":")[2]
        for _ in range(200):
            if not welcomed(("127.0.0.1", int(port))):
                break
            time.sleep(0.01)

        assert not welcomed(("127.0.0.1", int(port)))
        with pytest.raises(UnreachableError):
            Toxiproxy(f"http://127.0.0.1:{number}").version()


def test_what_a_killed_one_left_is_removed_at_the_next_start(service: tuple[str, int], shared: str):
    """On a shared Toxiproxy, the proxy of a living process stays, that of a killed one goes."""
    api = Toxiproxy(shared)
    with holder(service, shared) as (killed, (dead, *_)), holder(service, shared) as (_, (alive, *_)):
        killed.kill()
        killed.wait()

        assert {dead, alive} == set(api.proxies())
        with interposed(service, toxiproxy=shared) as proxy:
            assert {alive, proxy.name} == set(api.proxies())
        assert {alive} == set(api.proxies())
    assert [alive] == sweep(api)
    assert {} == api.proxies()


def test_names_tell_whose_they_are():
    """Only what was made by a process of this machine that is no more is a leftover."""
    name = new_name()
    prefix, machine, pid, began, number = name.split("-")

    assert not is_leftover(name)
    assert name != new_name()
    assert is_leftover(f"{prefix}-{machine}-{pid}-0000000000-{number}")  # its number is used again, by us
    assert is_leftover(f"{prefix}-{machine}-99999999-{began}-{number}")
    assert not is_leftover(f"{prefix}-0000000000-{pid}-0000000000-{number}")  # it may live, elsewhere
    assert not is_leftover("replaykit-mine")
    assert not is_leftover(f"other-{machine}-99999999-{began}-{number}")


def test_no_process_is_left_after_the_end(service: tuple[str, int]):
    """When it is over, the embedded proxy has ended."""
    with interposed(service) as proxy:
        port = proxy.toxiproxy.port

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_a_start_that_fails_is_told(monkeypatch: pytest.MonkeyPatch):
    """What the program said instead of its address is in the error."""
    monkeypatch.setattr(toxiproxy, "_PROGRAM", "import sys; sys.exit('no such thing')")

    with pytest.raises(MachineError, match="The embedded proxy did not start: no such thing"):
        Embedded()


BROKEN = textwrap.dedent(
    """
    import os, sys
    sys.path.append(sys.argv.pop(1))
    from replaykit import link
    from replaykit.proxy import main
    def broken(*_):
        raise ValueError("x" * 2000 + " is broken")
    if os.environ.get("BROKEN") == "wake":
        link.Stage._wake = broken
    else:
        link.End._ready = broken
    os._exit(main())
    """
)


def test_what_the_embedded_one_prints_does_not_block_it(service: tuple[str, int], monkeypatch: pytest.MonkeyPatch):
    """Whatever goes wrong in it, and however much it prints of that, it goes on; an error has the last of it."""
    monkeypatch.setattr(toxiproxy, "_PROGRAM", BROKEN)
    monkeypatch.setattr(toxiproxy, "PATIENCE", 2.0)
    with interposed(service) as proxy:
        for _ in range(60):
            assert not welcomed(proxy.address)

        assert [] == toxics(proxy.toxiproxy, proxy.name)
        proxy.toxiproxy.port = free_port()
        with pytest.raises(UnreachableError, match=r"The embedded proxy can't be reached at .*: ") as told:
            proxy.up()
        assert told.value.log.startswith("x")
        assert "is broken" in told.value.log
        assert told.value.log in told.value.todo


def test_one_that_does_not_answer_is_waited_for_once(service: tuple[str, int], monkeypatch: pytest.MonkeyPatch):
    """After an answer that did not come, the next ones are hardly waited for, up to the end; one that came mends it."""
    monkeypatch.setattr(toxiproxy, "PATIENCE", 0.6)
    monkeypatch.setattr(toxiproxy, "BRIEF", 0.05)
    with Embedded() as embedded:
        pid = embedded._process.pid
        try:
            with interposed(service, toxiproxy=embedded.url) as proxy:
                os.kill(pid, signal.SIGSTOP)
                first, *later = (timed(lambda: proxy.add(Toxic("", "latency"))) for _ in range(3))

                assert 0.6 <= first
                assert all(took < 0.3 for took in later)
                os.kill(pid, signal.SIGCONT)
                for _ in range(100):
                    if timed(proxy.down) < 0.05:
                        break
                os.kill(pid, signal.SIGSTOP)
                assert 0.6 <= timed(proxy.up)
                began = time.monotonic()
            assert time.monotonic() - began < 0.3
        finally:
            os.kill(pid, signal.SIGCONT)


def test_a_wait_that_is_broken_off_is_the_last_long_one(service: tuple[str, int], monkeypatch: pytest.MonkeyPatch):
    """Who is asked to end while the API does not answer does not wait for it again."""
    monkeypatch.setattr(toxiproxy, "BRIEF", 0.05)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with interposed(service) as proxy:
            with socket.create_server(("127.0.0.1", 0)) as silent:
                proxy.toxiproxy.port = silent.getsockname()[1]
                signal.setitimer(signal.ITIMER_REAL, 0.1)
                with pytest.raises(KeyboardInterrupt):
                    proxy.down()

                assert timed(proxy.up) < 1
    finally:
        signal.signal(signal.SIGALRM, before)


def test_an_embedded_one_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch):
    """One that does not end when it is asked to is not waited for for long."""
    monkeypatch.setattr(toxiproxy, "ENDING", 0.1)
    embedded = Embedded()
    os.kill(embedded._process.pid, signal.SIGSTOP)

    assert timed(embedded.stop) < 1
    assert -signal.SIGKILL == embedded._process.returncode


def test_a_toxic_that_breaks_closes_its_connection(service: tuple[str, int], monkeypatch: pytest.MonkeyPatch):
    """Where something goes wrong after a wait, the connection it was for is not left open."""
    monkeypatch.setattr(toxiproxy, "_PROGRAM", BROKEN)
    monkeypatch.setenv("BROKEN", "wake")
    with interposed(service) as proxy:
        assert welcomed(proxy.address)
        proxy.add(Toxic("", "latency", attributes={"latency": 1}))

        assert not welcomed(proxy.address)
