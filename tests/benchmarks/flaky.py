"""How often a flaky bug that is there is called fixed: python tests/benchmarks/flaky.py [REPLAYS].

A service on loopback has the bug in so many of its runs. For each replay, luck has it in how many of ten runs the bug
showed when it was recorded, one at least; then it is replayed live with as many attempts as that asks for.
"""

import random
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from matrix import Till, written
from mortal import Tally, TallyApi

from replaykit.reader import read
from replaykit.replaying import replay
from replaykit.verdict import Verdict

REPLAYS = 300
RATES = (70, 50, 30, 10)  # percent
RUNS = 10  # when it was recorded


@dataclass
class Tried:
    """What became of all replays at one rate."""

    verdicts: Counter[Verdict]
    attempts: int = 0


def tried(rate: int, replays: int, folder: Path) -> Tried:
    """Replay a bug that shows at a rate."""
    luck, found = random.Random(rate), Tried(Counter())
    bundles = {failed: read(written(folder / f"{failed}.pd", failed, RUNS)) for failed in range(1, RUNS + 1)}
    with Till(str(rate), seed=rate) as till:
        for _ in range(replays):
            failed = 0
            while not failed:
                failed = sum(luck.random() < rate / 100 for _ in range(RUNS))
            replayed = replay(
                bundles[failed], model=Tally, adapter=TallyApi, base_url=till.url, health_check="/"
            )  # fmt: skip
            found.verdicts[replayed.verdict] += 1
            found.attempts += replayed.attempts
    return found


def main() -> None:
    """Print the table."""
    replays = int(sys.argv[1]) if len(sys.argv) > 1 else REPLAYS
    print(f"| it shows in | replays | {' | '.join(each.value for each in _SHOWN)} | attempts each |")
    print(f"|---|---|{'---|' * len(_SHOWN)}---|")
    for rate in RATES:
        with tempfile.TemporaryDirectory() as folder:
            found = tried(rate, replays, Path(folder))
        counts = " | ".join(str(found.verdicts[each]) for each in _SHOWN)
        print(f"| {rate} % | {replays} | {counts} | {found.attempts / replays:.1f} |", flush=True)


_SHOWN = (Verdict.REPRODUCED, Verdict.FIXED, Verdict.UNDECIDED)

if __name__ == "__main__":
    main()
