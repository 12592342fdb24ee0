"""Recording, playing and loading, with replaykit and with vcrpy, on the same requests.

python tests/benchmarks/cassettes.py

Recording and playing are the client's CPU as a multiple of the same requests with plain httpx, each taken in
turn in one process; opening and saving the file are part of it. The service runs in another process.
"""

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import vcr
from vcr.cassette import Cassette

import replaykit
from replaykit.reader import read

BODY = b'{"name":"somebody","score":12345678},' * 55  # 2 KB


class Handler(BaseHTTPRequestHandler):
    """Answers each GET with the same 2 KB."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
        self.wfile.write(head.encode() + BODY)


def serve() -> None:
    """Serve until the standard input ends; print the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


def cpu(work: Callable[[], None]) -> float:
    """Return the seconds of this process's own time that some work takes."""
    began = time.process_time()
    work()
    return time.process_time() - began


def ask(client: httpx.Client, url: str, count: int) -> None:
    """Ask for as many different things."""
    for number in range(count):
        client.get(f"{url}/items/{number}")


class Tools:
    """The ways to record, to play and to load, each by its name."""

    def __init__(self, url: str, count: int, folder: Path) -> None:
        self.url = url
        self.count = count
        self.folder = folder
        self.plain = httpx.Client()
        self.numbers = itertools.count()

    def without(self) -> None:
        ask(self.plain, self.url, self.count)

    def recorded(self) -> None:
        with replaykit.record(self.folder / "shop.pd") as client:
            ask(client, self.url, self.count)

    def recorded_by_vcrpy(self) -> None:
        self.cassette = str(self.folder / f"{next(self.numbers)}.yaml")
        with vcr.use_cassette(self.cassette):
            ask(self.plain, self.url, self.count)

    def played(self, order: Any = "strict") -> None:
        with replaykit.play(self.folder / "shop.pd", order=order) as client:
            ask(client, self.url, self.count)

    def played_by_vcrpy(self) -> None:
        with vcr.use_cassette(self.cassette, record_mode="none"):
            ask(self.plain, self.url, self.count)

    def loaded(self) -> None:
        read(self.folder / "shop.pd")

    def loaded_by_vcrpy(self) -> None:
        Cassette.load(path=self.cassette, record_mode="none")


def ratios(url: str, count: int, rounds: int) -> tuple[list[list[float]], list[list[float]]]:
    """Return for recording and for playing the multiples of plain httpx, first replaykit's, then vcrpy's."""
    recording: list[list[float]] = [[], []]
    playing: list[list[float]] = [[], []]
    with tempfile.TemporaryDirectory() as folder:
        tools = Tools(url, count, Path(folder))
        tools.without()
        for _ in range(rounds):
            alone = cpu(tools.without)
            works = [tools.recorded, tools.recorded_by_vcrpy, tools.played, tools.played_by_vcrpy]
            for kept, work in zip([*recording, *playing], works, strict=True):
                kept.append(cpu(work) / alone)
        tools.plain.close()
    return recording, playing


def loading(url: str, count: int, rounds: int) -> list[list[float]]:
    """Return the milliseconds of loading, first replaykit's, then vcrpy's, of the same interactions."""
    with tempfile.TemporaryDirectory() as folder:
        tools = Tools(url, count, Path(folder))
        tools.recorded()
        tools.cassette = str(Path(folder) / "shop.yaml")
        made = Cassette.load(path=str(Path(folder) / "shop.pd"), record_mode="none")
        made._path = tools.cassette
        made._save(force=True)
        tools.plain.close()
        works = [tools.loaded, tools.loaded_by_vcrpy]
        return [[cpu(work) * 1000 for _ in range(rounds)] for work in works]


def main() -> None:
    """Print a line for each kind of work."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--counts", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--loads", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.serve:
        serve()
        return
    command = [sys.executable, __file__, "--serve"]
    service = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert service.stdout is not None
        url = f"http://127.0.0.1:{service.stdout.readline().strip()}"
        print("| work | interactions | replaykit | vcrpy |")
        print("|---|---|---|---|")
        for count in arguments.counts:
            found = ratios(url, count, arguments.rounds)
            for work, each in zip(("recording", "playing"), found, strict=True):
                ours, theirs = (f"{statistics.median(one):.2f} x" for one in each)
                print(f"| {work}, client CPU against plain httpx | {count:,} | {ours} | {theirs} |", flush=True)
        for count in arguments.loads:
            ours, theirs = (f"{min(one):,.0f} ms" for one in loading(url, count, min(arguments.rounds, 3)))
            print(f"| loading, 2 KB each | {count:,} | {ours} | {theirs} |", flush=True)
    finally:
        service.communicate()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent.parent))
    main()
