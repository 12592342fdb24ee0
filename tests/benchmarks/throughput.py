"""Requests a second of a campaign with capture, beside a plain httpx loop over the same requests.

    python tests/benchmarks/throughput.py [--rounds 7] [--runs 20] [--memory]

Both speak to the same leaderboard on loopback, in turns, and the budget is the median of the ratios of the
turns: 1.2 or more. Beside it stands the ratio of the time that this process needs itself, which other processes
on the machine disturb less. The campaign generates, keeps the model, snapshots the projection after each step,
checks, and writes every line to a file; --memory leaves the file out. The plain loop sends the requests of the
campaign's last turn, reads each answer, and does nothing else.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import httpx

from examples.leaderboard import Leaderboard, LeaderboardApi
from replaykit import integration, service
from replaykit.interaction import Request
from replaykit.trace import Trace
from replaykit.watcher import Watcher


class Requests(Watcher):
    """Collects what a campaign sent."""

    def __init__(self) -> None:
        self.sent: list[Request] = []

    def ran(self, number: int, trace: Trace, seconds: float) -> None:
        del number, seconds
        self.sent += [each.request for each in trace.interactions()]


def campaign(url: str, runs: int, seed: int, folder: str | None) -> tuple[float, list[Request]]:
    """Run a campaign; return its requests a second, and the requests."""
    watcher = Requests()
    began = time.perf_counter()
    result = integration.run(
        model=Leaderboard, adapter=LeaderboardApi, base_url=url, max_runs=runs, seed=seed,
        save_failures=folder, watcher=watcher,
    )  # fmt: skip
    assert result.success, "the benchmark wants a service without bugs"
    return result.requests / (time.perf_counter() - began), watcher.sent


def plain(requests: list[Request]) -> float:
    """Send requests with httpx alone; return the requests a second."""
    calls = [(each.method, each.url, json.loads(each.body) if each.body else None) for each in requests]
    with httpx.Client() as client:
        began = time.perf_counter()
        for method, url, data in calls:
            client.request(method, url, json=data)
        return len(calls) / (time.perf_counter() - began)


def main() -> None:
    """Take turns, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    ratios, own = [], []
    start = "python -m examples.leaderboard --port {port}"
    with service.reached(url=None, start=start, health=None, patience=None) as url, tempfile.TemporaryDirectory() as to:
        folder = None if options.memory else str(Path(to) / "out")
        _, requests = campaign(url, options.runs, 0, folder)
        plain(requests)
        for turn in range(options.rounds):
            began = time.process_time()
            captured, requests = campaign(url, options.runs, turn + 1, folder)
            between = time.process_time()
            alone = plain(requests)
            ratios.append(captured / alone)
            own.append((time.process_time() - between) / (between - began))
            print(
                f"turn {turn + 1}: campaign {captured:6.0f}/s, plain httpx {alone:6.0f}/s, ratio {ratios[-1]:.2f}, "
                f"of the client's own time {own[-1]:.2f}"
            )
    print(
        f"median ratio {statistics.median(ratios):.2f} (budget 1.20 or more), "
        f"of the client's own time {statistics.median(own):.2f}"
    )


if __name__ == "__main__":
    main()
