"""What it costs to judge bundles offline: 100 runs of 20 commands of the leaderboard, in one process.

python tests/benchmarks/offline.py
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from examples.leaderboard import Leaderboard, LeaderboardApi
from replaykit import Bundle, integration, recheck, replay, service
from replaykit.reader import read

BUNDLES, COMMANDS = 100, 20
ROUNDS = 5


def least(judge: Callable[[], object]) -> float:
    """Measure what something takes in the best of some rounds: milliseconds of CPU time for each bundle."""
    taken = []
    for _ in range(ROUNDS):
        began = time.process_time()
        judge()
        taken.append(time.process_time() - began)
    return min(taken) / BUNDLES * 1000


def main() -> None:
    """Record, measure, and print."""
    start = f"{sys.executable} -m examples.leaderboard --port {{port}}"
    with tempfile.TemporaryDirectory() as folder:
        with service.reached(url=None, start=start, health=None, patience=None) as url:
            integration.run(
                model=Leaderboard, adapter=LeaderboardApi, base_url=url, max_runs=BUNDLES * 2, max_commands=COMMANDS,
                seed=1, record=folder, save_failures=None,
            )  # fmt: skip
        paths = sorted(Path(folder).glob("*.pd"), key=lambda path: -path.stat().st_size)[:BUNDLES]
        bundles = [read(path) for path in paths]
        requests = sum(bundle.trace.requests for bundle in bundles)
        steps = sum(len(bundle.trace.steps) for bundle in bundles)
        print(f"{len(bundles)} bundles, {steps} steps, {requests} requests; CPU time for each bundle:")
        print(f"  read        {least(lambda: [read(path) for path in paths]):6.1f} ms")
        print(f"  replay      {least(lambda: [_replay(bundle) for bundle in bundles]):6.1f} ms")
        print(f"  recheck     {least(lambda: [_recheck(bundle) for bundle in bundles]):6.1f} ms")


def _replay(bundle: Bundle) -> object:
    return replay(bundle, model=Leaderboard, adapter=LeaderboardApi, offline=True)


def _recheck(bundle: Bundle) -> object:
    return recheck(bundle, model=Leaderboard, adapter=LeaderboardApi)


if __name__ == "__main__":
    main()
