"""The backlog: the same things in the same order, while an answer is waited for, and nothing lost at the end."""

import socket
import threading
import time
from pathlib import Path

from test_bundle import interaction

from examples.leaderboard import Leaderboard, LeaderboardApi
from replaykit import client, integration
from replaykit.backlog import MAX_SIZE, MAX_WAITING, Backlog
from replaykit.reader import read
from replaykit.sequence import Call
from replaykit.trace import Said


class Heard:
    """A listener that writes down what it hears."""

    def __init__(self) -> None:
        self.said: list[tuple[object, ...]] = []

    def __getattr__(self, name: str) -> object:
        return lambda *what: self.said.append((name, *what))


def test_all_is_heard_in_order_when_the_run_is_over():
    """What was said is told later, one thing at a time, in the order in which it was said; the end tells the rest."""
    heard = Heard()
    backlog = Backlog(heard)  # type: ignore[arg-type]
    said = Said(tag="t", version=1, data=b"{}")
    call = Call(label=1, tag="t", version=1, args={})
    backlog.nonce("ab")
    backlog.call(call, 0.0)
    before = list(heard.said)
    assert backlog.tell_one()
    one = list(heard.said)
    backlog.event(1, said)
    backlog.moment(1, 0.5, None)
    backlog.state(1, b"{}")
    backlog.observation(None, said)
    backlog.end("passed", "", None)

    assert [] == before
    assert [("nonce", "ab")] == one
    assert [
        ("nonce", "ab"), ("call", call, 0.0, ()), ("event", 1, said), ("moment", 1, 0.5, None), ("state", 1, b"{}"),
        ("observation", None, said), ("end", "passed", "", None),
    ] == heard.said  # fmt: skip
    assert not backlog.tell_one()


def test_what_waits_is_bounded():
    """A listener that is never given time hears all the same, before too much has been said."""
    heard = Heard()
    backlog = Backlog(heard)  # type: ignore[arg-type]
    for _ in range(MAX_WAITING):
        backlog.nonce("a")
    assert [] == heard.said
    backlog.nonce("b")

    assert MAX_WAITING + 1 == len(heard.said)


def test_large_body_is_told_at_once():
    """To write a large body takes long, so it is not left for the time in which an answer is measured."""
    heard = Heard()
    backlog = Backlog(heard)  # type: ignore[arg-type]
    backlog.interaction("reset", None, interaction("x" * MAX_SIZE))

    assert 1 == len(heard.said)


def test_work_is_done_while_the_service_thinks_and_not_when_it_has_answered():
    """Pieces of work are done between sending and the answer, and no more once the answer is there."""
    listener = socket.create_server(("127.0.0.1", 0))
    done: list[float] = []
    answered = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            time.sleep(0.1)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            answered.set()
            time.sleep(0.2)

    class Working:
        plays = False

        def answer(self, request: object) -> None:
            """Let it go to the network."""

        def keep(self, interaction: object) -> None:
            """Forget it."""

        def meanwhile(self) -> bool:
            done.append(time.monotonic())
            if len(done) == 2:
                answered.wait(5)
                time.sleep(0.02)
            return len(done) < 50

    thread = threading.Thread(target=serve)
    thread.start()
    with listener, client.Client(f"http://127.0.0.1:{listener.getsockname()[1]}") as http, http.through(Working()):
        status = http.get("/").status_code
    thread.join()

    assert 200 == status
    assert 2 == len(done)


def test_campaign_is_on_disk_up_to_the_request_that_is_waited_for(tmp_path: Path):
    """While a service thinks, all that happened before is in the file, its end excepted."""
    listener = socket.create_server(("127.0.0.1", 0))
    files: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            connection.recv(4096)
            deadline = time.monotonic() + 5
            while b'"k":"command"' not in b"".join(files) and time.monotonic() < deadline:
                files[:] = [path.read_bytes() for path in tmp_path.glob("*.partial")]
                time.sleep(0.01)

    thread = threading.Thread(target=serve)
    thread.start()
    with listener:
        result = integration.run(
            model=Leaderboard, adapter=LeaderboardApi, max_runs=1, max_commands=1, seed=1, save_failures=tmp_path,
            base_url=f"http://127.0.0.1:{listener.getsockname()[1]}",
        )  # fmt: skip
        thread.join()

    assert 1 == result.total_runs
    assert 1 == b"".join(files).count(b'"k":"command"')
    assert 1 == b"".join(files).count(b'"part":"reset"')
    assert [] == [path for path in tmp_path.glob("*.pd") if not read(path).whole]
