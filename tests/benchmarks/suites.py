"""How long a suite takes offline: 100 bundles of 20 steps, from the start of the process to its end.

python tests/benchmarks/suites.py [--bundles N] [--steps N] [--rounds N]

The bundles are made against the leaderboard with the bug duplicate-names, each of another sequence that fails in its
last step, and with times. Beside the seconds on the clock stand those of the processors, which do not depend on what
else the machine does, and both of a Python that does nothing and of one that imports what a replay needs.
"""

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from examples.leaderboard import Leaderboard, LeaderboardApi
from replaykit import service
from replaykit.adapter import Adapters
from replaykit.bundle import Provenance
from replaykit.model import digest_of
from replaykit.run import execute
from replaykit.sequence import Call, Fixed
from replaykit.writer import Writer

START = "python -m examples.leaderboard --port {port} --bug duplicate-names"
ROOT = Path(__file__).parents[2]


def made(folder: Path, bundles: int, steps: int) -> None:
    """Make bundles that fail in their last step."""
    draw = random.Random(1)
    with service.opened(url=None, start=START, health=None, patience=None) as running:
        adapters = Adapters(Leaderboard, LeaderboardApi, running.url, {}, "lean", running)
        for number in range(bundles):
            names = [f"p{each}" for each in range(max(1, steps // 2))]
            calls = [("create_player", name) for name in names]
            while len(calls) < steps - 1:
                calls.append(("increase_score", draw.choice(names)))
            calls = [*calls[: steps - 1], ("create_player", names[0])]
            sequence = tuple(Call(label=label, tag=tag, args={"name": name}) for label, (tag, name) in enumerate(calls))
            with Writer(folder / "made.partial") as writer:
                writer.begin(
                    Provenance(
                        model="examples.leaderboard:Leaderboard",
                        adapter="examples.leaderboard:LeaderboardApi",
                        model_digest=digest_of(Leaderboard),
                        url=running.url,
                        campaign_seed=1,
                        run=number,
                        seed=number,
                        commands=steps,
                    )
                )
                trace = execute(Leaderboard, adapters.new(), Fixed(sequence), listener=writer)
                assert trace.failure is not None, trace
                assert len(trace.steps) == steps, trace.failure
                writer.save(folder / f"bug-{number:03}.pd")
        adapters.close()


def taken(*words: str) -> tuple[float, float, str]:
    """Return the seconds on the clock and of the processors that a command takes, and its last line."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "CI": "1"}
    )
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert done.returncode == 0, done.stdout + done.stderr
    return seconds, busy, done.stdout.rstrip().rpartition("\n")[2]


def main() -> None:
    """Make the bundles, and measure."""
    parser = argparse.ArgumentParser(description="How long a suite takes offline.")
    parser.add_argument("--bundles", type=int, default=100)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made(Path(folder), asked.bundles, asked.steps)
        suite = ("-m", "replaykit", "suite", folder, "--offline", "--quiet")
        measured = {
            "Python that does nothing": ("-c", "pass"),
            "Python that imports replaykit.replaying": ("-c", "import replaykit.replaying"),
            f"{asked.bundles} bundles of {asked.steps} steps": suite,
            "the same with --jobs 2": (*suite, "--jobs", "2"),
        }
        print(f"median of {asked.rounds} rounds, {os.cpu_count()} processors\n")
        print("| what | seconds | of the processors |")
        print("|---|---|---|")
        for name, words in measured.items():
            rounds = [taken(*words) for _ in range(asked.rounds)]
            clock, busy = median(each[0] for each in rounds), median(each[1] for each in rounds)
            print(f"| {name} | {clock:.2f} | {busy:.2f} |")
        print(f"\n{taken(*suite)[2]}")


if __name__ == "__main__":
    main()
