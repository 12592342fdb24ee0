"""The memory of a campaign of many runs, as a table and as a picture.

    python tests/benchmarks/memory.py [--runs 10000] [--commands 5] [--every 250] [--jobs N] [--svg FILE]

The leaderboard is asked without bugs, and every run is written to a file while it happens, as with --save-failures.
What is measured is the memory of this process that is in use (RSS in /proc/self/statm): its own, not the service's,
and with --jobs that of the process that the campaign is in. The first tenth of the runs is left out of the slope;
Python, the libraries and their caches settle there. It exits with 1 where the memory grows by more than a tenth.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from examples.leaderboard import Leaderboard, LeaderboardApi
from replaykit import integration
from replaykit.trace import Trace
from replaykit.watcher import Watcher

MEGABYTE = 1 << 20
MOST_GROWTH = 0.1
WIDTH, HEIGHT, LEFT, BELOW = 640, 240, 48, 32  # of the picture


def resident() -> float:
    """Return the memory of this process that is in use, in megabytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MEGABYTE


class Memory(Watcher):
    """Looks at the memory now and then."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.seen: list[tuple[int, float]] = []

    def ran(self, number: int, trace: Trace, seconds: float) -> None:
        del trace, seconds
        if number == 1 or number % self.every == 0:
            self.seen.append((number, resident()))


def picture(seen: list[tuple[int, float]]) -> str:
    """Draw the memory over the runs."""
    last, most = seen[-1][0], max(each for _, each in seen) * 1.25

    def place(run: float, memory: float) -> str:
        x = LEFT + (WIDTH - LEFT - 12) * run / last
        return f"{x:.1f},{HEIGHT - BELOW - (HEIGHT - BELOW - 12) * memory / most:.1f}"

    font = 'font-family="sans-serif" font-size="11"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {font}>',
        f"<title>Memory of a campaign of {last:,} runs</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<path d="M{place(0, most)} L{place(0, 0)} L{place(last, 0)}" fill="none" stroke="#666666"/>',
        f'<polyline points="{" ".join(place(*each) for each in seen)}" fill="none" stroke="#1f6feb" stroke-width="2"/>',
    ]
    for part in (0.0, 0.5, 1.0):
        x, y = place(last * part, 0).split(",")
        lines.append(f'<text x="{x}" y="{float(y) + 16:.1f}" text-anchor="end">{last * part:,.0f}</text>')
    for part in (0.0, 0.4, 0.8):
        x, y = place(0, most * part).split(",")
        lines.append(f'<text x="{float(x) - 6:.1f}" y="{y}" text-anchor="end">{most * part:.0f}</text>')
    lines.append(f'<text x="{LEFT + 6}" y="14">MB in use, over the runs</text>')
    return "\n".join([*lines, "</svg>", ""])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--commands", type=int, default=5)
    parser.add_argument("--every", type=int, default=250)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--svg", type=Path)
    told = parser.parse_args()
    memory, began = Memory(told.every), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        result = integration.run(
            model=Leaderboard, adapter=LeaderboardApi, start="python -m examples.leaderboard --port {port}", seed=1,
            max_runs=told.runs, max_commands=told.commands, jobs=told.jobs, watcher=memory, save_failures=folder,
        )  # fmt: skip
    assert result.success, "the benchmark wants a service without bugs"
    print("  runs      MB")
    for number, megabytes in memory.seen:
        print(f"{number:6,}  {megabytes:6.1f}")
    settled = [each for number, each in memory.seen if number >= told.runs / 10]
    growth = settled[-1] / settled[0] - 1
    print(f"{result.total_runs:,} runs, {result.requests:,} requests in {time.monotonic() - began:.0f} s")
    print(f"from run {told.runs // 10:,} to the last one: {growth:+.1%}, {settled[-1] - settled[0]:+.1f} MB")
    if told.svg is not None:
        told.svg.write_text(picture(memory.seen), encoding="utf-8")
    return int(growth > MOST_GROWTH)


if __name__ == "__main__":
    sys.exit(main())
