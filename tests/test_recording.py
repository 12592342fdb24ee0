"""Recording and playing without a model: what is in the bundle, what is answered, and when a block fails."""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from conftest import ROOT, Counting, environment

import replaykit
from replaykit import writer
from replaykit.errors import (
    MissError,
    MissingFileError,
    TruncatedBundleError,
    UnusedError,
    UnwritableError,
    UsageError,
)
from replaykit.interaction import Interaction, Request, Response
from replaykit.reader import read
from replaykit.tape import Recorder


@pytest.fixture
def service() -> Iterator[Counting]:
    """Give a service that counts what it is asked."""
    with Counting() as counting:
        yield counting


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a path for a bundle, in a folder that is not there yet."""
    return tmp_path / "kept" / "shop.pd"


def paths(path: Path) -> list[str]:
    """List the paths that a bundle holds requests of."""
    return [httpx.URL(each.request.url).path for each in read(path).trace.interactions()]


def test_what_was_recorded_is_played(service, path):
    """Playing gives the recorded answers, by the recorded URL, and asks nobody."""
    with replaykit.record(path, base_url=service.url) as client:
        recorded = [client.get("/a"), client.post("/b", json={"x": 1}), client.get("/a")]
    with replaykit.play(path) as client:
        played = [client.get("/a"), client.post("/b", json={"x": 1}), client.get("/a")]

    assert 3 == service.count
    assert f"{service.url}/a" == str(played[0].url)
    assert [each.json() for each in recorded] == [each.json() for each in played]
    assert [each.headers.raw for each in recorded] == [each.headers.raw for each in played]


def test_a_recording_is_a_bundle(service, path):
    """It says where it comes from, is whole, and has no failure to replay."""
    with replaykit.record(path, base_url=service.url.replace("//", "//user:secret@") + "/") as client:
        client.get("/a")
    bundle = read(path)

    assert (service.url, "recorded", "", True) == (
        bundle.origin.url, bundle.trace.ending, bundle.trace.reason, bundle.whole,
    )  # fmt: skip
    assert [path] == list(path.parent.iterdir())
    assert b"secret" not in path.read_bytes()


def test_async_clients_record_and_play(service, path):
    """`async with` gives an async client, whose requests may be at work at the same time."""

    async def ask(client: httpx.AsyncClient) -> list[int]:
        answers = await asyncio.gather(*(client.get(f"/{number}") for number in range(8)))
        return [each.json()["count"] for each in answers]

    async def both() -> tuple[list[int], list[int]]:
        async with replaykit.record(path, base_url=service.url) as client:
            recorded = await ask(client)
        async with replaykit.play(path, order="fifo") as client:
            return recorded, await ask(client)

    recorded, played = asyncio.run(both())

    assert recorded == played
    assert 8 == service.count


def test_a_large_body_with_a_secret_is_played(path):
    """Of what is too large only the beginning is kept; where a secret in it was covered, its size says what it was."""
    quiet = httpx.MockTransport(lambda request: httpx.Response(200, text=str(len(request.read()))))
    large = {"password": "hunter2-hunter2", "text": "x" * 3_000_000}
    with replaykit.record(path, base_url="http://127.0.0.1", transport=quiet) as client:
        client.post("/b", json=large)
    for order in ("strict", "fifo", "any"):
        with replaykit.play(path, order=order) as client:
            client.post("/b", json=large)
    with pytest.raises(MissError, match="the body is not that of"), replaykit.play(path) as client:
        client.post("/b", json=large | {"more": "y"})

    assert b"hunter2" not in path.read_bytes()


class Waiting(httpx.AsyncByteStream):
    """A body that begins, and does not go on."""

    async def __aiter__(self):
        yield b"begun"
        await asyncio.sleep(5)


@pytest.mark.parametrize("streamed", [False, True], ids=["answer", "body"])
def test_a_cancelled_request_is_kept_as_one_that_was_not_answered_in_time(streamed, path):
    """What asyncio.wait_for gives up is in the bundle, with what came until then; the next request has its answer."""

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/slow" and not streamed:
            await asyncio.sleep(5)
        return httpx.Response(200, stream=Waiting()) if request.url.path == "/slow" else httpx.Response(204)

    async def ask(client: httpx.AsyncClient, error: type[Exception]) -> int:
        with pytest.raises(error):
            await asyncio.wait_for(client.get("/slow"), 0.05)
        return (await client.get("/next")).status_code

    async def both() -> list[int]:
        url, transport = "http://127.0.0.1:1", httpx.MockTransport(answer)
        async with replaykit.record(path, base_url=url, transport=transport) as client:
            recorded = await ask(client, TimeoutError)
        async with replaykit.play(path) as client:
            return [recorded, await ask(client, httpx.ReadTimeout)]

    assert [204, 204] == asyncio.run(both())
    slow = read(path).trace.recorded[0]
    assert slow.trouble is not None
    assert ("ReadTimeout", b"begun" if streamed else b"") == (
        slow.trouble.error, b"" if slow.response is None else slow.response.body,
    )  # fmt: skip


def test_strict_order_is_that_of_sending(service, path):
    """A request that is sent while another answer is still being read stands after it."""

    def ask(client: httpx.Client) -> None:
        with client.stream("GET", "/long") as long:
            client.get("/short")
            with client.stream("GET", "/middle"):
                client.get("/shortest")
            long.read()
        client.get("/last")

    with replaykit.record(path, base_url=service.url) as client:
        ask(client)
    with replaykit.play(path) as client:
        ask(client)

    assert ["/long", "/short", "/middle", "/shortest", "/last"] == paths(path)


def test_a_recording_is_kept_where_its_block_raises(service, path):
    """What was recorded before the error is saved, with the name of the error; the error goes on."""
    with pytest.raises(ValueError, match="mine"):
        with replaykit.record(path, base_url=service.url) as client:
            client.get("/a")
            raise ValueError("mine")

    assert ["/a"] == paths(path)
    assert "the block ended with ValueError" == read(path).trace.reason


def test_network_trouble_is_recorded_and_played(path):
    """A refused connection is the same exception when it is played."""
    for block in (replaykit.record(path, base_url="http://127.0.0.1:9"), replaykit.play(path)):
        with block as client, pytest.raises(httpx.ConnectError):
            client.get("/a")


def test_redirects_are_played_hop_by_hop(path):
    """Each hop is an interaction, and the client follows them again."""

    def app(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/old":
            return httpx.Response(307, headers={"Location": "/new"})
        return httpx.Response(200, text="there")

    options = {"base_url": "http://shop.example", "follow_redirects": True}
    with replaykit.record(path, transport=httpx.MockTransport(app), **options) as client:
        client.get("/old")
    with replaykit.play(path, **options) as client:
        answer = client.get("/old")

    assert ["/old", "/new"] == paths(path)
    assert ("there", 1) == (answer.text, len(answer.history))


def test_a_miss_names_what_was_recorded(service, path):
    """A request that is not the next one raises, and so does the block's end if that was swallowed."""
    with replaykit.record(path, base_url=service.url) as client:
        client.post("/a", json={"x": 1})
    with pytest.raises(MissError) as swallowed:
        with replaykit.play(path) as client:
            with pytest.raises(MissError):
                client.post("/a", json={"x": 2})

    assert "number 1 is POST /a; the body differs at $.x: 1 -> 2" in str(swallowed.value)


def test_a_miss_is_noted_on_the_error_that_came_of_it(service, path):
    """Code that makes its own error of a miss keeps that error, with the miss in its notes."""
    with replaykit.record(path, base_url=service.url) as client:
        client.get("/a")
    with pytest.raises(RuntimeError, match="no luck") as raised:
        with replaykit.play(path) as client:
            try:
                client.get("/b")
            except Exception:
                raise RuntimeError("no luck") from None

    [note] = raised.value.__notes__
    assert "asked was GET /b" in note


@pytest.mark.parametrize(("order", "fails"), [("strict", True), ("fifo", True), ("any", False)])
def test_what_is_left_over_is_an_error(service, path, order, fails):
    """A block has to ask for all that was recorded, except in the order any; one that raises does not."""
    with replaykit.record(path, base_url=service.url) as client:
        client.get("/a")
        client.get("/b")
    with pytest.raises(UnusedError if fails else KeyError):
        with replaykit.play(path, order=order) as client:
            client.get("/a")
            if not fails:
                raise KeyError
    with pytest.raises(KeyError):
        with replaykit.play(path, order=order):
            raise KeyError


def test_playing_any_part_again_and_again(service, path):
    """In the order any, the last answer is given again."""
    with replaykit.record(path, base_url=service.url) as client:
        for each in "aab":
            client.get(f"/{each}")
    with replaykit.play(path, order="any") as client:
        counts = [client.get(f"/{each}").json()["count"] for each in "baaa"]

    assert [3, 1, 2, 2] == counts


def test_another_recorded_host_is_a_miss_in_strict_order(path):
    """Where two hosts were recorded, a request has to go to the right one."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    with replaykit.record(path, transport=transport) as client:
        client.get("http://one.example/a")
        client.get("http://two.example/a")
    with pytest.raises(MissError, match=r"http://one.example/a was recorded, and http://two.example/a is asked"):
        with replaykit.play(path) as client:
            client.get("http://two.example/a")


def test_transports_for_clients_of_your_own(service, path):
    """Several clients, sync and async, go past the same bundle."""

    async def ask(recording) -> list[int]:
        async with httpx.AsyncClient(transport=recording.async_transport(), base_url=service.url) as client:
            counts = [(await client.get("/a")).json()["count"]]
        with httpx.Client(transport=recording.transport(), base_url=service.url) as client:
            return [*counts, client.get("/a").json()["count"]]

    for make in (replaykit.record, replaykit.play):
        recording = make(path)
        with recording:
            assert [1, 2] == asyncio.run(ask(recording))
    assert 2 == service.count


def test_mounted_transports_are_recorded(path):
    """What is mounted for some hosts goes past the same bundle."""
    mounts = {"http://one.example": httpx.MockTransport(lambda _: httpx.Response(201))}
    rest = httpx.MockTransport(lambda _: httpx.Response(202))
    with replaykit.record(path, transport=rest, mounts=mounts) as client:
        recorded = [client.get("http://one.example/").status_code, client.get("http://two.example/").status_code]
    with replaykit.play(path, mounts=mounts) as client:
        played = [client.get("http://one.example/").status_code, client.get("http://two.example/").status_code]

    assert [201, 202] == recorded == played


def test_applications_can_be_recorded_without_a_network(path):
    """An ASGI application is recorded through httpx's transport for it."""

    async def app(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-path", scope["raw_path"])]})
        await send({"type": "http.response.body", "body": b"hello"})

    async def both() -> tuple[str, str]:
        transport = httpx.ASGITransport(app)
        async with replaykit.record(path, transport=transport, base_url="http://app.example") as client:
            recorded = await client.get("/a")
        async with replaykit.play(path) as client:
            played = await client.get("/a")
        return recorded.headers["x-path"], played.headers["x-path"]

    assert ("/a", "/a") == asyncio.run(both())


def test_options_of_httpx_transport_are_handed_on(service, path):
    """`limits` and the like make a transport of httpx, whose time-out for the pool is the one that is recorded."""
    limits = httpx.Limits(max_connections=1)
    with replaykit.record(path, base_url=service.url, limits=limits, timeout=httpx.Timeout(5, pool=0.05)) as client:
        with client.stream("GET", "/a"), pytest.raises(httpx.PoolTimeout):
            client.get("/b")

    assert [None, "PoolTimeout"] == [each.trouble and each.trouble.error for each in read(path).trace.interactions()]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda path: replaykit.record(path, transport=httpx.HTTPTransport(), verify=False),
        lambda path: replaykit.record(path, transport=httpx.ASGITransport(None)).__enter__(),
        lambda path: replaykit.record(path.parent.parent).__enter__(),
        lambda path: replaykit.play(path).transport(),
    ],
)
def test_wrong_use_is_told(path, wrong):
    """Options that can't be kept, a transport of the other kind, a folder as a bundle, and using it too early."""
    with pytest.raises(UsageError):
        wrong(path)


def test_an_unknown_order_is_told(service, path):
    """The message lists the orders."""
    with replaykit.record(path, base_url=service.url):
        pass
    with pytest.raises(UsageError, match="Choose one of strict, fifo, any"):
        replaykit.play(path, order="random").__enter__()


def test_a_bundle_that_is_not_there_or_not_whole_is_not_played(service, path):
    """Playing needs a whole bundle."""
    with pytest.raises(MissingFileError):
        replaykit.play(path).__enter__()
    with replaykit.record(path, base_url=service.url) as client:
        client.get("/a")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(TruncatedBundleError):
        replaykit.play(path).__enter__()


def test_a_client_that_outlives_its_block_is_told(service, path):
    """After the block, nothing is sent or answered any more."""
    for make in (replaykit.record, replaykit.play):
        with make(path, base_url=service.url) as client:
            pass
        with pytest.raises(UsageError, match="GET /late was asked when the block"):
            client.get("/late")
    assert 0 == service.count


def test_a_recording_at_work_can_not_begin_again(service, path):
    """One recording is for one block at a time; after its end it may be used again."""
    recording = replaykit.record(path, base_url=service.url)
    with recording as client, pytest.raises(UsageError, match="at work already"):
        client.get("/a")
        recording.start()
    with recording as client:
        client.get("/b")

    assert ["/b"] == paths(path)


def test_a_folder_that_can_not_be_made_is_told(tmp_path):
    """The error is raised before anything is sent."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UnwritableError):
        replaykit.record(tmp_path / "file" / "shop.pd").__enter__()


def test_a_stream_that_is_left_open_is_in_the_bundle(service, path):
    """At the end of the block, what was read so far is kept as incomplete."""
    with replaykit.record(path, base_url=service.url) as client:
        client.send(client.build_request("GET", "/a"), stream=True)
    [interaction] = read(path).trace.recorded

    assert not interaction.response.complete


def test_recordings_in_threads_keep_apart(service, tmp_path):
    """Ten recordings at once: each bundle holds its own traffic, in its order, and nothing else."""

    def work(number: int) -> None:
        barrier.wait()
        with replaykit.record(tmp_path / f"{number}.pd", base_url=service.url) as client:
            for turn in range(20):
                client.get(f"/{number}/{turn}")

    barrier = threading.Barrier(10)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(10)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    for number in range(10):
        assert [f"/{number}/{turn}" for turn in range(20)] == paths(tmp_path / f"{number}.pd")


def test_recordings_in_asyncio_keep_apart(service, tmp_path):
    """Ten recordings at once in one event loop, and ten playbacks while others record."""

    async def ask(client: httpx.AsyncClient, number: int) -> list[int]:
        return [(await client.get(f"/{number}/{turn}")).json()["count"] for turn in range(10)]

    async def work(number: int) -> None:
        async with replaykit.record(tmp_path / f"{number}.pd", base_url=service.url) as client:
            recorded = await ask(client, number)
        async with replaykit.play(tmp_path / f"{number}.pd") as client:
            assert recorded == await ask(client, number)

    async def all_of_them() -> None:
        await asyncio.gather(*(work(number) for number in range(10)))

    asyncio.run(all_of_them())

    assert 100 == service.count
    for number in range(10):
        assert [f"/{number}/{turn}" for turn in range(10)] == paths(tmp_path / f"{number}.pd")


def test_two_recordings_of_one_path_do_not_mix(service, path):
    """The one that ends last is what stays, and it is whole."""
    with replaykit.record(path, base_url=service.url) as one:
        with replaykit.record(path, base_url=service.url) as other:
            one.get("/one")
            other.get("/other")
        assert ["/other"] == paths(path)
        one.get("/one")

    assert ["/one", "/one"] == paths(path)
    assert [path] == list(path.parent.iterdir())


CHILD = """
import sys
import replaykit

with replaykit.record(sys.argv[1], base_url=sys.argv[2]) as client:
    while True:
        print(client.get("/count").json()["count"], flush=True)
"""


def test_a_killed_recording_keeps_every_line(service, path):
    """After SIGKILL, a hidden file ends in `.partial`; in it stands each answer that the program had received."""
    draw = random.Random(5)
    for turn in range(4):
        folder = path.parent / str(turn)
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, folder / "shop.pd", service.url],
            cwd=ROOT, env=environment(PYTHONPATH=str(ROOT)), stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        with child:
            first = child.stdout.readline()
            time.sleep(draw.random() * 0.2)
            child.send_signal(signal.SIGKILL)
            received = [int(each) for each in (first + child.stdout.read()).splitlines(keepends=True) if "\n" in each]
        [left] = folder.iterdir()
        bundle = read(left)
        kept = [int(each.response.body.partition(b":")[2].partition(b",")[0]) for each in bundle.trace.recorded]

        assert left.name.startswith(".shop.pd.")
        assert left.name.endswith(".partial")
        assert not bundle.whole
        assert received == kept[: len(received)]
        assert len(kept) - len(received) in {0, 1}


def test_cookies_are_kept_as_in_httpx(path):
    """A cookie that is given, or set by an answer, is sent from then on, in the recording and in the playback."""

    def app(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Set-Cookie": "b=2"}, text=request.headers.get("cookie", ""))

    options = {"base_url": "http://shop.example", "cookies": {"a": "1"}}
    with replaykit.record(path, transport=httpx.MockTransport(app), **options) as client:
        recorded = [client.get("/").text, client.get("/").text]
    with replaykit.play(path, **options) as client:
        played = [client.get("/").text, client.get("/").text]

    assert ["a=1", "a=1; b=2"] == recorded == played


def test_a_recording_that_gets_too_long_keeps_what_there_is(path, monkeypatch):
    """Past the limit of a bundle, the request raises; what was written before stays in the hidden file."""
    monkeypatch.setattr(writer, "MAX_FILE", 64 * 1024)
    big = httpx.MockTransport(lambda _: httpx.Response(200, content=b"x" * 2048))
    with pytest.raises(UnwritableError, match="too long for one bundle"):
        recording = replaykit.record(path, transport=big, base_url="http://shop.example")
        with recording as client:
            for _ in range(40):
                with contextlib.suppress(UnwritableError):
                    client.get("/a")
            with pytest.raises(UnwritableError):
                recording.check()
    [left] = path.parent.iterdir()

    assert left.name.endswith(".partial")
    assert 20 < len(read(left).trace.interactions()) < 32


def test_what_comes_while_a_recording_is_saved_comes_too_late(path, monkeypatch):
    """A thread that is told an answer in the meantime neither breaks the bundle nor the thread."""

    def fsync(number: int) -> None:
        if late.ident is None:
            late.start()
            late.join(0.1)
        real(number)

    real, troubles = os.fsync, []
    monkeypatch.setattr(threading, "excepthook", troubles.append)
    recorder = Recorder(path, None)
    told = Interaction(request=Request(method="GET", url="http://shop.example/"), response=Response(status=200))
    late = threading.Thread(target=recorder.keep, args=(told,))
    recorder.keep(told)
    monkeypatch.setattr(os, "fsync", fsync)
    recorder.finish(None)
    late.join()
    bundle = read(path)

    assert (1, True) == (len(bundle.trace.recorded), bundle.whole)
    assert [] == troubles


@pytest.mark.parametrize("answer", [{}, {"access_token": "8f3kd93kdk2929dkdk30"}])
def test_a_recording_that_can_not_get_its_name_stays_in_its_hidden_file(path, answer):
    """The error says where it lies; a secret that was found late is covered there too."""
    app = httpx.MockTransport(lambda _: httpx.Response(200, json=answer))
    with pytest.raises(UnwritableError) as raised:
        with replaykit.record(path, transport=app, base_url="http://shop.example") as client:
            client.get("/a/8f3kd93kdk2929dkdk30")
            path.mkdir()
    path.rmdir()
    [left] = path.parent.iterdir()

    assert str(left) in str(raised.value)
    assert 1 == len(read(left).trace.recorded)
    assert not answer or b"8f3kd93kdk2929dkdk30" not in left.read_bytes()


@pytest.mark.parametrize("order", ["strict", "fifo", "any"])
def test_secrets_are_covered_and_played_with_others(path, order):
    """A token is in no line of the bundle, also where it was sent before it was known; another one may be played."""

    def app(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"access_token": token} if request.url.path == "/login" else {"seen": token})

    def ask(client: httpx.Client, token: str) -> None:
        client.get(f"/early/{token}")
        client.post("/login", json={"user": "ada", "password": token[::-1]})
        client.get(f"/late/{token}", headers={"Authorization": f"Bearer {token}"})

    token = "8f3kd93kdk2929dkdk30"
    with replaykit.record(path, transport=httpx.MockTransport(app), base_url="http://shop.example") as client:
        ask(client, token)
    with replaykit.play(path, order=order) as client:
        ask(client, "another-token-of-today")

    assert token.encode() not in path.read_bytes()
    assert token[::-1].encode() not in path.read_bytes()


def test_a_miss_shows_no_secrets(path):
    """What was asked is covered in the message as it is in a bundle, also what counts only by its place."""
    app = httpx.MockTransport(lambda _: httpx.Response(200))
    with replaykit.record(path, transport=app, base_url="http://shop.example") as client:
        client.post("/a")
    with pytest.raises(MissError) as raised, replaykit.play(path) as client:
        client.post("/b?token=not-like-one-2", json={"key": "sk_live_4eC39HqLyjWDarjtT1zdp7dc"})

    assert "asked was POST /b?token=REDACTED.token.1." in str(raised.value)
