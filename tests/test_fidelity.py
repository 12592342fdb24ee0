"""Fidelity: what is played from a bundle is, byte for byte and error for error, what was on the wire."""

import asyncio
import random
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from replaykit.bundle import Origin
from replaykit.cassette import CassetteMissError, Player
from replaykit.client import Client
from replaykit.interaction import Interaction, Request
from replaykit.network import Network
from replaykit.reader import read
from replaykit.trace import Trace
from replaykit.transport import AsyncTap, Tap
from replaykit.writer import save
from tests.odd import CASES, ERRORS, OK, Case, error_in, hear, hear_async, odd_service, serve


class Recording:
    """The tape that keeps what goes past."""

    plays = False

    def __init__(self) -> None:
        self.kept: list[Interaction] = []

    def answer(self, request: Request) -> None:
        del request

    def keep(self, interaction: Interaction) -> None:
        self.kept.append(interaction)


class Playing:
    """The tape that plays, to the end."""

    plays = True

    def __init__(self, interactions: Sequence[Interaction]) -> None:
        self.player = Player(interactions)
        self.answer, self.run_out = self.player.answer, self.player.run_out

    def keep(self, interaction: Interaction) -> None:
        del interaction


class Nowhere(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """The network while a bundle is played: nobody may ask it."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"the network was asked for {request.url}")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"the network was asked for {request.url}")


def kept(interactions: Sequence[Interaction], folder: Path) -> list[Interaction]:
    """Write interactions into a bundle, and read them again."""
    path = folder / "fidelity.pd"
    save(path, Origin(), Trace(recorded=tuple(interactions), ending="recorded"))
    return read(path).trace.interactions()


def heard(case: Case, url: str, transport: httpx.BaseTransport) -> Any:
    """Return what a client hears."""
    with httpx.Client(transport=transport) as client:
        return hear(client, case, url)


def heard_async(case: Case, url: str, transport: httpx.AsyncBaseTransport) -> Any:
    """Return what an async client hears."""

    async def ask() -> Any:
        async with httpx.AsyncClient(transport=transport) as client:
            return await hear_async(client, case, url)

    return asyncio.run(ask())


def limits(case: Case) -> httpx.Limits:
    return httpx.Limits(max_connections=case.connections, max_keepalive_connections=20, keepalive_expiry=5.0)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("wire", ["lean", "httpx", "async"])
def test_what_is_played_is_what_was_on_the_wire(wire: str, name: str, tmp_path: Path):
    """An odd answer is heard through a tap as it is heard without one, and again from its bundle."""
    case, tape = CASES[name], Recording()
    with odd_service(case) as url:
        if wire == "async":
            expected = heard_async(case, url, httpx.AsyncHTTPTransport(limits=limits(case)))
            recorded = heard_async(case, url, AsyncTap(httpx.AsyncHTTPTransport(limits=limits(case)), tape))
        else:
            expected = heard(case, url, httpx.HTTPTransport(limits=limits(case)))
            network = Network(lean=wire == "lean", connections=case.connections)
            recorded = heard(case, url, Tap(network, tape))
    tape = Playing(kept(tape.kept, tmp_path))
    hearing: Any = heard_async if wire == "async" else heard
    played = hearing(case, url, (AsyncTap if wire == "async" else Tap)(Nowhere(), tape))

    assert ERRORS.get(name) is error_in(expected)
    assert expected == recorded
    assert expected == played
    assert tape.player.unused() is None


WIRES = ["lean", "httpx", "async"]


def transport(wire: str, tape: Recording | Playing) -> Any:
    """Return a tap in front of one of the ways to the network."""
    return AsyncTap(None, tape) if wire == "async" else Tap(Network(lean=wire == "lean"), tape)


def send(wire: str, tape: Recording | Playing, method: str, url: str, **options: Any) -> httpx.Response:
    """Send one request, and return the answer, read."""
    if wire != "async":
        with httpx.Client(transport=transport(wire, tape)) as client:
            return client.request(method, url, **options)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=transport(wire, tape)) as client:
            return await client.request(method, url, **options)

    return asyncio.run(ask())


def pieces(wire: str, *each: bytes) -> Any:
    """Return a body that comes in pieces."""

    async def later() -> AsyncIterator[bytes]:
        for piece in each:
            yield piece

    return later() if wire == "async" else iter(each)


@pytest.mark.parametrize("wire", WIRES)
def test_a_request_is_recorded_as_it_was_sent(wire: str, tmp_path: Path):
    """Target, header case, order, duplicates and bytes beyond ASCII of a request are in the bundle as on the wire."""
    headers = [(b"X-One", b"1"), (b"x-TWO", b"caf\xe9"), (b"X-One", "☕".encode()), (b"X-Empty", b"")]
    tape = Recording()
    with serve(CASES["plain"].answer) as (url, seen):
        send(wire, tape, "PROPFIND", f"{url}/a%20b;c/%C3%BC?d=e&d=f%2F&g", headers=headers, content=b"\0\xff\r\n")
    [interaction] = kept(tape.kept, tmp_path)
    head, _, body = seen[0].partition(b"\r\n\r\n")
    request = interaction.request
    lines = [f"{request.method} {request.url.removeprefix(url)} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in request.headers]

    assert head.split(b"\r\n") == [line.encode("latin-1") for line in lines]
    assert body == request.body


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "6"}])
@pytest.mark.parametrize("wire", WIRES)
def test_a_body_in_pieces_is_recorded_and_played(wire: str, headers: dict[str, str], tmp_path: Path):
    """A request's body of a generator is sent, kept, and asked for again, in chunks or with its length."""
    tape = Recording()
    with serve(CASES["plain"].answer) as (url, seen):
        send(wire, tape, "POST", url, content=pieces(wire, b"one", b"", b"two"), headers=headers)
    framed = b"onetwo" if headers else b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    recorded = kept(tape.kept, tmp_path)
    played = send(wire, Playing(recorded), "POST", url, content=pieces(wire, b"o", b"netwo"), headers=headers)

    assert framed == seen[0].partition(b"\r\n\r\n")[2]
    assert b"onetwo" == recorded[0].request.body
    assert b"hi" == played.content


@pytest.mark.parametrize("wire", ["lean", "httpx"])
@pytest.mark.parametrize("said", ["5", "7"])
def test_a_body_of_another_length_than_said_is_the_same_error(wire: str, said: str):
    """A body in pieces that is longer or shorter than its Content-Length raises what httpx's transport raises."""
    errors = []
    for way in (httpx.HTTPTransport(), Network(lean=wire == "lean")):
        with serve(("hang",)) as (url, _), httpx.Client(transport=way) as client:
            with pytest.raises(Exception, match="data for declared Content-Length") as raised:
                client.post(url, content=iter([b"one", b"two"]), headers={"Content-Length": said})
        errors.append((raised.type, str(raised.value)))

    assert errors[0] == errors[1]


@pytest.mark.parametrize("wire", WIRES)
def test_nothing_is_held_back_on_its_way(wire: str):
    """A piece of a request arrives before the next is made, a piece of an answer before the next is sent."""
    log: list[str] = []
    arrived = threading.Event()

    def service(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            data = b""
            while b"first" not in data:
                data += connection.recv(65536)
            log.append("the first piece has arrived")
            arrived.set()
            while b"0\r\n\r\n" not in data:
                data += connection.recv(65536)
            connection.sendall(OK + b"Content-Type: text/event-stream\r\n\r\ndata: 1\n\n")
            read.wait(5)
            log.append("the second event is sent")
            connection.sendall(b"data: 2\n\n")

    def body() -> Iterator[bytes]:
        yield b"first"
        arrived.wait(5)
        log.append("the second piece is made")
        yield b"second"

    async def later() -> AsyncIterator[bytes]:
        pieces = body()
        while piece := await asyncio.to_thread(next, pieces, b""):
            yield piece

    def take(chunk: bytes) -> None:
        log.append(f"{chunk!r} is read")
        read.set()

    async def ask(url: str) -> None:
        async with httpx.AsyncClient(transport=transport(wire, tape)) as client:
            async with client.stream("POST", url, content=later()) as response:
                async for chunk in response.aiter_raw():
                    take(chunk)

    read = threading.Event()
    tape = Recording()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=service, args=(listener,))
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        if wire == "async":
            asyncio.run(ask(url))
        else:
            with httpx.Client(transport=transport(wire, tape)) as client:
                with client.stream("POST", url, content=body()) as response:
                    for chunk in response.iter_raw():
                        take(chunk)
        thread.join()

    expected = [
        "the first piece has arrived",
        "the second piece is made",
        r"b'data: 1\n\n' is read",
        "the second event is sent",
        r"b'data: 2\n\n' is read",
    ]
    assert expected == log
    assert b"firstsecond" == tape.kept[0].request.body


@pytest.mark.parametrize("wire", WIRES)
def test_a_stream_that_is_never_closed_is_kept_when_the_client_closes(wire: str, tmp_path: Path):
    """What was read of an endless answer is in the bundle, as incomplete, also where nobody has closed it."""
    tape = Recording()
    case = CASES["endless, left by the reader"]
    with serve(case.answer) as (url, _):
        if wire == "async":

            async def ask() -> None:
                async with httpx.AsyncClient(transport=transport(wire, tape)) as client:
                    response = await client.send(client.build_request("GET", url), stream=True)
                    await anext(response.aiter_raw())

            asyncio.run(ask())
        else:
            with httpx.Client(transport=transport(wire, tape)) as client:
                response = client.send(client.build_request("GET", url), stream=True)
                next(response.iter_raw())
            assert 1 == len(tape.kept)
            response.close()
        [interaction] = kept(tape.kept, tmp_path)

    assert interaction.response is not None
    assert (b"data: 1\n\n", False) == (interaction.response.body, interaction.response.complete)


def test_a_stream_that_is_never_closed_is_kept_when_the_tape_is_taken_out():
    """Leaving `through` keeps what was read; what is read afterwards belongs to no tape."""
    tape = Recording()
    with serve(CASES["endless, left by the reader"].answer) as (url, _), Client(url) as client:
        with client.through(tape):
            response = client.send(client.build_request("GET", "/"), stream=True)
            next(response.iter_raw())
        bodies = [each.response.body for each in tape.kept if each.response is not None]
        response.close()

    assert [b"data: 1\n\n"] == bodies
    assert 1 == len(tape.kept)


@pytest.mark.parametrize("wire", ["lean", "httpx"])
def test_answers_that_overlap_are_played_in_the_order_of_sending(wire: str, tmp_path: Path):
    """Requests that are sent while another answer is still being read come after it when they are played."""
    tape = Recording()
    paths = ["/slow", "/slower", "/quick"]

    def ask(client: httpx.Client) -> list[str]:
        with client.stream("GET", f"{url}/slow") as slow:
            with client.stream("GET", f"{url}/slower") as slower:
                return [client.get(f"{url}/quick").text, slower.read().decode(), slow.read().decode()]

    answers = {path: OK + b"Content-Length: %d\r\n\r\n%b" % (len(path), path.encode()) for path in paths}
    with serve(answers) as (url, _):
        with httpx.Client(transport=transport(wire, tape)) as client:
            expected = ask(client)
        assert ["/quick", "/slower", "/slow"] == [each.request.url.removeprefix(url) for each in tape.kept]
    recorded = kept(tape.kept, tmp_path)
    with httpx.Client(transport=transport(wire, Playing(recorded))) as client:
        actual = ask(client)

    assert paths == [each.request.url.removeprefix(url) for each in recorded]
    assert expected == actual


@pytest.mark.parametrize("wire", WIRES)
def test_reading_on_where_the_recording_stopped_is_a_miss(wire: str, tmp_path: Path):
    """An answer that was not read to its end is never played as if it were whole."""
    tape = Recording()
    case = CASES["endless, left by the reader"]
    with odd_service(case) as url:
        (heard_async if wire == "async" else heard)(case, url, transport(wire, tape))
    tape = Playing(kept(tape.kept, tmp_path))
    with pytest.raises(CassetteMissError, match="the first 9 bytes of the answer to GET /, and more was read"):
        send(wire, tape, "GET", url)

    assert tape.player.missed is not None


@pytest.mark.parametrize("lean", [True, False])
def test_another_protocol_that_was_asked_for_is_spoken(lean: bool):
    """After an upgrade, both sides may say what they want; it goes through httpx's transport, and is not recorded."""
    tape = Recording()
    switching = (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhello", 0.05, b"again")
    with serve(switching) as (url, _), httpx.Client(transport=Tap(Network(lean=lean), tape)) as client:
        with client.stream("GET", url, headers={"Upgrade": "x", "Connection": "Upgrade"}) as response:
            stream = response.extensions["network_stream"]
            said = stream.read(99) + stream.read(99)

    assert (101, b"helloagain") == (response.status_code, said)
    assert [101] == [each.response.status for each in tape.kept if each.response is not None]


SEEDS = [case.answer for case in CASES.values() if isinstance(case.answer, bytes) and len(case.answer) < 9999]
BITS = [
    b"\r\n", b"\n", b"\r", b" ", b"\t", b"\0", b":", b"\xff", b"0", b"9", b",", b";", b"-", b"{}", b"\r\n\r\n",
    b"chunked",
    b"Content-Length: 1\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"X:\x01y\r\n", b"HTTP/1.0",
    b"HTTP/2.0", b"101", b"204", b"099", b"999", b"HTTP/1.1 100 Continue\r\n\r\n",
]  # fmt: skip


def mutilated(answer: bytes, chance: random.Random) -> bytes:
    """Spoil an answer in up to three places, most of them in its head."""
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(min(len(answer), 60 if chance.random() < 0.7 else len(answer)) + 1)
        how = chance.random()
        if how < 0.5:
            answer = answer[:place] + chance.choice(BITS) + answer[place:]
        elif how < 0.8:
            answer = answer[:place] + answer[place + chance.randrange(1, 4) :]
        else:
            answer = answer[:place] + bytes([chance.randrange(256)]) + answer[place + 1 :]
    return answer


def test_both_wires_hear_the_same_of_mutilated_answers():
    """Whatever a service answers, whole or in two packets, the lean wire takes it as httpx's transport does."""
    chance = random.Random(5)
    answers: dict[str, Any] = {}
    for number in range(400):
        answer = mutilated(chance.choice(SEEDS), chance)
        cut = chance.randrange(len(answer)) if answer else 0
        answers[f"/{number}"] = (answer[:cut], 0.003, answer[cut:], "end") if chance.random() < 0.1 else (answer, "end")
    different = []
    with serve(answers) as (url, _), httpx.Client(transport=Network()) as lean, httpx.Client() as plain:
        for path, answer in answers.items():
            case = Case(b"", method=chance.choice(["GET", "GET", "HEAD", "POST"]))
            for _ in range(3):  # a kept connection may be closed in the very moment in which it is used again
                for client in (lean, plain):
                    client.cookies = httpx.Cookies()
                expected, actual = (hear(client, case, f"{url}{path}") for client in (plain, lean))
                if expected == actual:
                    break
            else:
                different.append((case.method, answer, expected, actual))

    assert [] == different
