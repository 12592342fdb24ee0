"""Ten recordings at once, in threads and in asyncio, with replaykit and with vcrpy: what is in their files?

python tests/benchmarks/isolation.py [--requests 20]
"""

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import vcr

import replaykit
from replaykit.reader import read

RECORDINGS = 10


def paths_of_vcrpy(path: Path) -> list[str]:
    """List the paths of the requests in a cassette; none where there is no file."""
    from vcr.cassette import Cassette

    if not path.exists():
        return []
    return [urlsplit(each.uri).path for each in Cassette.load(path=str(path), record_mode="none").requests]


def paths_of_replaykit(path: Path) -> list[str]:
    """List the paths of the requests in a bundle, as they were sent."""
    return [urlsplit(each.request.url).path for each in read(path).trace.interactions()]


def in_threads(url: str, folder: Path, tool: str, requests: int) -> None:
    """Record in threads, each with a client of its own."""

    def work(number: int) -> None:
        barrier.wait()
        path = folder / str(number)
        with contextlib.ExitStack() as stack:
            if tool == "vcrpy":
                stack.enter_context(vcr.use_cassette(str(path)))
                client = stack.enter_context(httpx.Client())
            else:
                client = stack.enter_context(replaykit.record(path))
            for turn in range(requests):
                client.get(f"{url}/{number}/{turn}")

    barrier = threading.Barrier(RECORDINGS)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(RECORDINGS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def in_asyncio(url: str, folder: Path, tool: str, requests: int) -> None:
    """Record in tasks of one event loop, each with a client of its own."""

    async def work(number: int) -> None:
        path = folder / str(number)
        async with contextlib.AsyncExitStack() as stack:
            if tool == "vcrpy":
                stack.enter_context(vcr.use_cassette(str(path)))
                client: Any = await stack.enter_async_context(httpx.AsyncClient())
            else:
                client = await stack.enter_async_context(replaykit.record(path))
            for turn in range(requests):
                await client.get(f"{url}/{number}/{turn}")

    async def all_of_them() -> None:
        await asyncio.gather(*(work(number) for number in range(RECORDINGS)))

    asyncio.run(all_of_them())


WAYS: dict[str, Callable[[str, Path, str, int], None]] = {"threads": in_threads, "asyncio": in_asyncio}


def child(way: str, tool: str, requests: int) -> dict[str, int]:
    """Record, and count what is in the files."""
    from conftest import Counting

    patched = httpx.HTTPTransport.handle_request, httpx.AsyncHTTPTransport.handle_async_request
    with Counting() as service, tempfile.TemporaryDirectory() as name:
        WAYS[way](service.url, Path(name), tool, requests)
        reading = paths_of_vcrpy if tool == "vcrpy" else paths_of_replaykit
        held = {number: reading(Path(name) / str(number)) for number in range(RECORDINGS)}
    right = {number: [f"/{number}/{turn}" for turn in range(requests)] for number in range(RECORDINGS)}
    return {
        "right": sum(held[number] == right[number] for number in held),
        "foreign": sum(not set(held[number]) <= set(right[number]) for number in held),
        "kept": len({path for each in held.values() for path in each}),
        "own": sum(path in right[number] for number in held for path in held[number]),
        "patched": patched != (httpx.HTTPTransport.handle_request, httpx.AsyncHTTPTransport.handle_async_request),
    }


def main() -> None:
    """Print a line for each tool and way."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--child", nargs=2)
    parser.add_argument("--requests", type=int, default=20, help="of each recording; default: %(default)s")
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(child(*arguments.child, arguments.requests)))
        return
    every = RECORDINGS * arguments.requests
    print("| at once in | with | right recordings | with others' traffic | requests in the right file | patches left |")
    print("|---|---|---|---|---|---|")
    for way in WAYS:
        for tool in ("replaykit", "vcrpy"):
            done = subprocess.run(
                [sys.executable, __file__, "--child", way, tool, "--requests", str(arguments.requests)],
                check=True,
                capture_output=True,
                text=True,
            )
            told = json.loads(done.stdout)
            right, foreign = (f"{told[key]}/{RECORDINGS}" for key in ("right", "foreign"))
            left = "yes" if told["patched"] else "no"
            print(f"| {way} | {tool} | {right} | {foreign} | {told['own']}/{every} | {left} |")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent.parent))
    sys.path.insert(0, str(Path(__file__).parent.parent))
    main()
