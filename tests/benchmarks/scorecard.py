"""How well planted bugs are found and shrunk: the scorecard by which the engine is judged.

    python tests/benchmarks/scorecard.py [--service NAME] [--bug NAME] [--seeds 10] [--runs 300] [--json]

For each bug: in how many seeds it was found, the requests to the first failure, the length after shrinking
against the shortest known, the requests that shrinking took (medians), how many results are as short as that,
and how many are another bug than the one that was met. With no bug on: false alarms, in 50 runs for each seed
and model.

A race shows only to concurrent requests, and a run sends one after the other: such a bug is run like the others,
with fewer runs, so that the table shows what is not found.
"""

import argparse
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

from examples import leaderboard, toybank, travelbooking
from examples.leaderboard.service import BUGS as LEADERBOARD_BUGS
from examples.serving import Bug
from examples.toybank.ledger import BUGS as TOYBANK_BUGS
from examples.travelbooking.service import BUGS as TRAVELBOOKING_BUGS
from replaykit import Adapter, Model, integration, service
from replaykit.integration import Finding, Result, Silent

ALARM_RUNS = 50  # for each seed, with no bug on
RACE_RUNS = 20  # for each seed


@dataclass(frozen=True)
class Service:
    """An example service: how it is started, its bugs, its models with the adapter; the first one finds the bugs."""

    module: str
    bugs: tuple[Bug, ...]
    models: tuple[type[Model], ...]
    adapter: type[Adapter[Any]]

    def start(self, *bugs: str) -> str:
        """Write the command that starts it with some bugs."""
        return f"python -m {self.module} --port {{port}}" + "".join(f" --bug {bug}" for bug in bugs)


SERVICES = {
    "leaderboard": Service(
        "examples.leaderboard", LEADERBOARD_BUGS, (leaderboard.Leaderboard,), leaderboard.LeaderboardApi
    ),
    "toybank": Service("examples.toybank", TOYBANK_BUGS, (toybank.Bank,), toybank.BankApi),
    "travelbooking": Service(
        "examples.travelbooking",
        TRAVELBOOKING_BUGS,
        (travelbooking.Travel, travelbooking.BookingLifecycle),
        travelbooking.TravelApi,
    ),
}


@dataclass(frozen=True)
class Row:
    """What became of one bug."""

    service: str
    bug: str
    kind: str
    seeds: int
    found: int
    requests_to_failure: float | None  # median
    shortest: int
    length: float | None  # median
    minimal: int  # results as short as the shortest known
    shrink_requests: float | None  # median
    shrink_seconds: float | None  # median
    slipped: int  # results that are another bug than the one that was met


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


def campaign(its: Service, model: type[Model], url: str, seed: int, runs: int, watcher: Silent) -> Result:
    """Run until the first failure."""
    return integration.run(
        model=model, adapter=its.adapter, base_url=url, seed=seed, max_runs=runs, stop_on_fail=True, watcher=watcher
    )


def median(values: list[Any]) -> float | None:
    """Return the median, or None where there is nothing."""
    return statistics.median(values) if values else None


def measure(name: str, bug: Bug, seeds: int, runs: int) -> tuple[Row, list[int]]:
    """Run one bug with all seeds; return its row, and the requests of each shrink."""
    its = SERVICES[name]
    reached, lengths, shrinks, seconds, slipped = [], [], [], [], 0
    with service.reached(url=None, start=its.start(bug.name), health=None, patience=None) as url:
        for seed in range(seeds):
            watcher = FirstFailure()
            result = campaign(its, its.models[0], url, seed, RACE_RUNS if bug.kind == "race" else runs, watcher)
            if not result.failures:
                continue
            finding = result.failures[0]
            reached.append(watcher.requests)
            lengths.append(len(finding.trace.steps))
            shrinks.append(finding.shrunk.requests if finding.shrunk else 0)
            seconds.append(finding.shrunk.seconds if finding.shrunk else 0.0)
            slipped += finding.fingerprint != watcher.fingerprint
    minimal = sum(length <= bug.shortest for length in lengths)
    row = Row(
        name, bug.name, bug.kind, seeds, len(lengths), median(reached), bug.shortest, median(lengths), minimal,
        median(shrinks), median(seconds), slipped,
    )  # fmt: skip
    return row, shrinks


def false_alarms(name: str, seeds: int) -> tuple[int, int]:
    """Run all models of a service with no bug on; return how many runs failed, and of how many."""
    its, alarms, total = SERVICES[name], 0, 0
    with service.reached(url=None, start=its.start(), health=None, patience=None) as url:
        for model in its.models:
            for seed in range(seeds):
                result = campaign(its, model, url, seed, ALARM_RUNS, Silent())
                alarms += len(result.failures) + result.not_judged
                total += result.total_runs
    return alarms, total


def table(rows: list[Row]) -> str:
    """Show the rows in Markdown."""
    head = "service | bug | found | requests to failure | length | shortest | minimal | shrink requests | slipped"
    lines = [f"| {head} |", f"|{'---|' * (head.count('|') + 1)}"]
    for row in rows:
        said = ["-"] * 2 + [str(row.shortest)] + ["-"] * 3
        if row.found:
            said = [
                f"{row.requests_to_failure:g}", f"{row.length:g}", str(row.shortest), f"{row.minimal}/{row.found}",
                f"{row.shrink_requests:g}", str(row.slipped),
            ]  # fmt: skip
        lines.append(f"| {row.service} | {row.bug} | {row.found}/{row.seeds} | {' | '.join(said)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print the table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--service", choices=sorted(SERVICES), action="append")
    parser.add_argument("--bug", action="append", help="only this one, without looking for false alarms")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    names = options.service or sorted(SERVICES)
    chosen = [(name, bug) for name in names for bug in SERVICES[name].bugs if bug.name in (options.bug or [bug.name])]
    unknown = set(options.bug or ()) - {bug.name for _, bug in chosen}
    if unknown:
        sys.exit(f"no service here has the bug {', '.join(sorted(unknown))}")
    rows, shrinks, alarms = [], [], {}
    for name, bug in chosen:
        began = time.monotonic()
        row, requests = measure(name, bug, options.seeds, options.runs)
        rows.append(row)
        shrinks += requests
        print(f"{table([row]).splitlines()[-1]} {time.monotonic() - began:.0f} s", file=sys.stderr)
    for name in names if options.bug is None else []:
        alarms[name] = false_alarms(name, options.seeds)
    if options.json:
        said = {
            "rows": [asdict(row) for row in rows],
            "median_shrink_requests": median(shrinks),
            "false_alarms": {name: {"alarms": count, "runs": total} for name, (count, total) in alarms.items()},
        }
        print(json.dumps(said, indent=2))
        return
    print(table(rows))
    print(f"\nMedian of the requests that shrinking took: {median(shrinks) or 0:g}.")
    for name, (count, total) in alarms.items():
        print(f"With no bug on, {name}: {count} false alarms in {total} runs.")


if __name__ == "__main__":
    main()
