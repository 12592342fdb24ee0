"""Runs a second of a campaign with two processes, beside one: on this machine, and on the workers of a Dask cluster.

    python tests/benchmarks/jobs.py [--runs 30] [--rounds 3] [--answer 20]

The service sleeps --answer milliseconds (20) before each answer and needs hardly any processor time, so that it is not
what the campaign waits for in a queue, and neither are the cores: each process waits for its own service. One job and
two make the same runs in turns, and what is printed is the median of the ratios of the turns; 1.7 or more is the
budget. What it takes until the first run begins is printed too: processes are started, and a service in each of them.
"""

import argparse
import asyncio
import statistics
import sys
import time
from typing import Any, ClassVar

from replaykit import Adapter, Command, Event, Model, expects, handles, integration
from replaykit.result import Result
from replaykit.watcher import Watcher

BUDGET = 1.7


class Ask(Command):
    pass


class Answered(Event):
    status: int


class Sleeper(Model):
    commands: ClassVar = (Ask,)

    @expects
    def answer(self, cmd: Ask) -> Answered:
        return Answered(status=200)


class SleeperApi(Adapter[Sleeper]):
    @handles
    def ask(self, cmd: Ask) -> Answered:
        return Answered(status=self.http.get("/").status_code)


async def serve(port: int, seconds: float) -> None:
    """Answer each request after some time, in which nothing is computed."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            while (await reader.readline()).strip():
                pass
            await asyncio.sleep(seconds)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", port) as server:
        await server.serve_forever()


class Began(Watcher):
    """Notes when the first run begins."""

    def began(self, result: Result, url: str | None) -> None:
        del result, url
        self.at = time.perf_counter()


def measure(runs: int, seconds: float, **who: Any) -> tuple[float, float]:
    """Make runs; return how many there are in a second, and the seconds before the first one."""
    watcher, called = Began(), time.perf_counter()
    start = f"{sys.executable} {__file__} --serve {{port}} --answer {seconds * 1000}"
    result = integration.run(
        model=Sleeper, adapter=SleeperApi, start=start,
        health_check="/", max_runs=runs, max_commands=20, seed=1, watcher=watcher, **who,
    )  # fmt: skip
    assert result.success, result.trouble
    return runs / result.duration, watcher.at - called


def compare(name: str, rounds: int, runs: int, seconds: float, one: dict[str, Any], two: dict[str, Any]) -> float:
    """Measure one and two in turns, print what they come to, and return the median of the ratios."""
    turns = [(measure(runs, seconds, **one), measure(runs, seconds, **two)) for _ in range(rounds)]
    ratio = statistics.median(after[0] / before[0] for before, after in turns)
    for said, which in (("one", 0), ("two", 1)):
        rate, start = (statistics.median(turn[which][place] for turn in turns) for place in (0, 1))
        print(f"{name}, {said}: {rate:6.1f} runs/s, the first one after {start:.2f} s")
    print(f"{name}: two make {ratio:.2f} times the runs of one (budget {BUDGET})")
    return ratio


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--answer", type=float, default=20.0, help="milliseconds")
    parser.add_argument("--serve", type=int, metavar="PORT")
    told = parser.parse_args()
    seconds = told.answer / 1000
    if told.serve is not None:
        asyncio.run(serve(told.serve, seconds))
    ratios = [compare("processes", told.rounds, told.runs, seconds, {"jobs": 1}, {"jobs": 2})]
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster:
        dask = {"dask": cluster.scheduler_address}
        ratios.append(compare("Dask workers", told.rounds, told.runs, seconds, {**dask, "jobs": 1}, dask))
    return int(min(ratios) < BUDGET)


if __name__ == "__main__":
    sys.exit(main())
