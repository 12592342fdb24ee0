"""The memory of a hunt of many runs: resident, every thousandth run.

python tests/benchmarks/memory.py [RUNS] [COMMANDS]
"""

import sys
import tempfile
from pathlib import Path

from examples.leaderboard import Leaderboard, LeaderboardApi
from replaykit import integration
from replaykit.watcher import Silent

START = "python -m examples.leaderboard --port {port} --bug duplicate-names --bug score-cap"
EVERY = 1000


class Weighing(Silent):
    """A watcher that weighs this process now and then."""

    def __init__(self) -> None:
        self.weights: list[tuple[int, float]] = []

    def ran(self, number: int, trace: object, seconds: float) -> None:
        """Weigh."""
        del trace, seconds
        if number % EVERY == 0:
            [resident] = [line for line in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in line]
            self.weights.append((number, int(resident.split()[1]) / 1024))
            print(f"{number:7} runs  {self.weights[-1][1]:6.1f} MB", flush=True)


def main() -> None:
    """Hunt, and print."""
    runs, commands = (*map(int, sys.argv[1:]), *(10_000, 10)[len(sys.argv) - 1 :])
    weighing = Weighing()
    with tempfile.TemporaryDirectory() as folder:
        hunt = integration.hunt_bugs(
            model=Leaderboard, adapter=LeaderboardApi, start=START, save_to=folder, stop_after=None, plateau=None,
            max_runs=runs, max_commands=commands, seed=1, watcher=weighing,
        )  # fmt: skip
        with hunt:
            found = len(list(hunt))
        size = (Path(folder) / "hunt.jsonl").stat().st_size
    result = hunt.result
    first, last = weighing.weights[0][1], weighing.weights[-1][1]
    print(
        f"{result.total_runs} runs, {result.requests} requests in {result.duration:.0f} s, {found} bugs; "
        f"from {first:.1f} to {last:.1f} MB; the journal has {size / 1024 / 1024:.1f} MB"
    )


if __name__ == "__main__":
    main()
