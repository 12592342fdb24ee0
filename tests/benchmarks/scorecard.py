"""How well planted bugs are found and shrunk: the scorecard by which the engine is judged.

    python tests/benchmarks/scorecard.py [--service leaderboard] [--bug NAME] [--seeds 10] [--runs 100] [--json]

For each bug: in how many seeds it was found, the requests to the first failure, the length after shrinking
against the shortest known, the requests that shrinking took (medians), and how many results are another bug than
the one that was shrunk. With no bug on: false alarms.
"""

import argparse
import json
import statistics
import sys
from dataclasses import asdict, dataclass
from typing import Any

from examples import leaderboard
from examples.leaderboard.service import BUGS
from replaykit import integration, service
from replaykit.integration import Finding, Result, Silent

SERVICES: dict[str, Any] = {
    "leaderboard": {
        "start": "python -m examples.leaderboard --port {port}",
        "model": leaderboard.Leaderboard,
        "adapter": leaderboard.LeaderboardApi,
        "bugs": BUGS,
    },
}


@dataclass(frozen=True)
class Row:
    """What became of one bug."""

    service: str
    bug: str
    seeds: int
    found: int
    requests_to_failure: float | None
    shortest: int
    length: float | None
    minimal: int
    shrink_requests: float | None
    slipped: int


class FirstFailure(Silent):
    """Notes how many requests were sent until the first failure."""

    def __init__(self) -> None:
        self.requests = 0
        self.fingerprint: str | None = None
        self._over = False

    def ran(self, number: int, trace: Any) -> None:
        del number
        self.requests += 0 if self._over else trace.requests
        self._over = self._over or trace.ending == "failed"

    def found(self, finding: Finding) -> None:
        self.fingerprint = self.fingerprint or finding.fingerprint


def campaign(name: str, url: str, seed: int, runs: int, watcher: Silent) -> Result:
    """Run until the first failure."""
    its = SERVICES[name]
    return integration.run(
        model=its["model"], adapter=its["adapter"], base_url=url, seed=seed, max_runs=runs, stop_on_fail=True,
        watcher=watcher,
    )  # fmt: skip


def median(values: list[int]) -> float | None:
    """Return the median, or None where there is nothing."""
    return statistics.median(values) if values else None


def measure(name: str, bug: Any, seeds: int, runs: int) -> tuple[Row, list[int]]:
    """Run one bug with all seeds; return its row, and the requests of each shrink."""
    reached, lengths, shrinks, slipped = [], [], [], 0
    with service.reached(
        url=None, start=f"{SERVICES[name]['start']} --bug {bug.name}", health=None, patience=None
    ) as url:
        for seed in range(seeds):
            watcher = FirstFailure()
            result = campaign(name, url, seed, runs, watcher)
            if not result.failures:
                continue
            finding = result.failures[0]
            reached.append(watcher.requests)
            lengths.append(len(finding.trace.steps))
            shrinks.append(finding.shrunk.requests if finding.shrunk else 0)
            slipped += finding.fingerprint != watcher.fingerprint
    minimal = sum(length == bug.shortest for length in lengths)
    row = Row(
        name, bug.name, seeds, len(lengths), median(reached), bug.shortest, median(lengths), minimal, median(shrinks),
        slipped,
    )  # fmt: skip
    return row, shrinks


def main() -> None:
    """Measure, and print the table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--service", choices=sorted(SERVICES), action="append")
    parser.add_argument("--bug")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows, shrinks, alarms = [], [], 0
    for name in options.service or sorted(SERVICES):
        bugs = [bug for bug in SERVICES[name]["bugs"] if options.bug in {None, bug.name}]
        if not bugs:
            sys.exit(f"{name} has no bug {options.bug}")
        for bug in bugs:
            row, requests = measure(name, bug, options.seeds, options.runs)
            rows.append(row)
            shrinks += requests
            print(f"  {bug.name} done", file=sys.stderr)
        if options.bug is None:
            with service.reached(url=None, start=SERVICES[name]["start"], health=None, patience=None) as url:
                alarms += sum(
                    bool(campaign(name, url, seed, options.runs, Silent()).failures) for seed in range(options.seeds)
                )
    if options.json:
        print(json.dumps({"rows": [asdict(row) for row in rows], "median_shrink_requests": median(shrinks),
                          "false_alarms": alarms}, indent=2))  # fmt: skip
        return
    print("| service | bug | found | requests to failure | length | shortest | minimal | shrink requests | slipped |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row.service} | {row.bug} | {row.found}/{row.seeds} | {row.requests_to_failure:g} | {row.length:g} "
            f"| {row.shortest} | {row.minimal}/{row.found} | {row.shrink_requests:g} | {row.slipped} |"
            if row.found
            else f"| {row.service} | {row.bug} | 0/{row.seeds} | - | - | {row.shortest} | - | - | - |"
        )
    print(f"\nmedian of the requests that shrinking took: {median(shrinks):g}")
    print(f"false alarms with no bug on: {alarms} in {options.seeds} campaigns of {options.runs} runs")


if __name__ == "__main__":
    main()
