"""How well planted bugs are found and shrunk: the scorecard by which the engine is judged.

    python tests/benchmarks/scorecard.py [--service NAME] [--bug NAME] [--seeds 10] [--runs 300] [--json]
                                         [--swarm] [--reuse 0.5] [--no-pools] [--no-shrink]

For each bug: in how many seeds it was found, the requests to the first failure, the length after shrinking
against the shortest known, the requests that shrinking took (medians), and how many results are as short as that.
With all bugs on at once: how often shrinking slipped from one bug to another, which is asked of services with only
one of them on. Bugs that only faults show are left out.
With no bug on: false alarms, in 50 runs for each seed and model, and as many that end in branches.

A race shows only to requests at the same time: such a bug is looked for with three branches of three commands.

--swarm, --reuse and --no-pools change how sequences are drawn. With --no-shrink failures are only found, which
shows in a fraction of the time what that does to finding them.
"""

import argparse
import contextlib
import json
import os
import statistics
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any

from examples import leaderboard, toybank, travelbooking
from examples.leaderboard.service import BUGS as LEADERBOARD_BUGS
from examples.serving import Bug
from examples.toybank import postgres
from examples.toybank.ledger import BUGS as TOYBANK_BUGS
from examples.travelbooking.service import BUGS as TRAVELBOOKING_BUGS
from replaykit import Adapter, Budget, Failure, Model, Trace, generator, integration, service
from replaykit.adapter import Adapters
from replaykit.combinator import Pool
from replaykit.finding import Finding
from replaykit.generate import Parallel
from replaykit.integration import REPEAT
from replaykit.result import Result
from replaykit.run import execute
from replaykit.sequence import Fixed
from replaykit.verdict import is_same
from replaykit.watcher import Watcher

ALARM_RUNS = 50  # for each seed, with no bug on
ALARM_REPEAT = 2  # of each of them that ends in branches
SLIP_RUNS = 20  # for each seed, with all bugs on


@dataclass(frozen=True)
class Service:
    """An example service: how it is started, its bugs, its models with the adapter; the first one finds the bugs."""

    module: str
    bugs: tuple[Bug, ...]
    models: tuple[type[Model], ...]
    adapter: type[Adapter[Any]]

    @property
    def ordinary(self) -> tuple[Bug, ...]:
        """The bugs that show while the network does what it should."""
        return tuple(bug for bug in self.bugs if bug.kind != "fault")

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
class Ways:
    """How the runs of a measurement are made."""

    seeds: int = 10
    runs: int = 300
    swarm: bool = False
    shrinking: bool = True


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
    met: int = 0  # results of this bug where all are on
    slipped: int = 0  # of them, those that are another bug after shrinking


class AsFound(Watcher):
    """Keeps each failure as it was before it was shrunk."""

    def __init__(self) -> None:
        self.traces: dict[str, Trace] = {}

    def found(self, finding: Finding) -> None:
        self.traces[finding.fingerprint] = finding.trace


def campaign(
    its: Service, model: type[Model], url: str, seed: int, runs: int, ways: Ways, *, repeat: int = 0
) -> Result:
    """Run until the first failure; where something is repeated, with branches."""
    return integration.run(
        model=model, adapter=its.adapter, base_url=url, seed=seed, max_runs=runs, stop_on_fail=True,
        swarm=ways.swarm, budget=None if ways.shrinking else Budget(executions=0),
        parallel=Parallel(3, 3) if repeat else None, repeat=repeat or 1,
    )  # fmt: skip


def median(values: list[Any]) -> float | None:
    """Return the median, or None where there is nothing."""
    return statistics.median(values) if values else None


def measure(name: str, bug: Bug, ways: Ways) -> tuple[Row, list[int]]:
    """Run one bug with all seeds; return its row, and the requests of each shrink."""
    its = SERVICES[name]
    reached, lengths, shrinks, seconds = [], [], [], []
    with service.reached(url=None, start=its.start(bug.name), health=None, patience=None) as url:
        for seed in range(ways.seeds):
            result = campaign(
                its, its.models[0], url, seed, ways.runs, ways, repeat=REPEAT if bug.kind == "race" else 0
            )
            if not result.failures:
                continue
            finding = result.failures[0]
            reached.append(result.requests)
            if finding.shrunk is not None:
                lengths.append(len(finding.trace.steps))
                shrinks.append(finding.shrunk.requests)
                seconds.append(finding.shrunk.seconds)
    minimal = sum(length <= bug.shortest for length in lengths)
    row = Row(
        name, bug.name, bug.kind, ways.seeds, len(reached), median(reached), bug.shortest, median(lengths), minimal,
        median(shrinks), median(seconds),
    )  # fmt: skip
    return row, shrinks


def slips(name: str, ways: Ways) -> Counter[tuple[str, bool]]:
    """Run with all bugs on that show one request after the other; count results by the bug met, and whether it slipped.

    Which bugs a sequence shows is found out on services that have one bug each. What only several bugs together
    show, or what several show alike, before and after shrinking, is no slip.
    """
    its = SERVICES[name]
    bugs = [bug.name for bug in its.ordinary if bug.kind not in {"race", "flaky"}]
    counted: Counter[tuple[str, bool]] = Counter()
    with contextlib.ExitStack() as stack:

        def running(*on: str) -> str:
            return stack.enter_context(service.reached(url=None, start=its.start(*on), health=None, patience=None))

        url = running(*bugs)
        single = {bug: Adapters(its.models[0], its.adapter, running(bug), {}) for bug in bugs}

        def shown_by(trace: Trace, failure: Failure) -> set[str]:
            shown = set()
            for bug, adapters in single.items():
                seen = execute(its.models[0], adapters.new(), Fixed(trace.sequence)).failure
                if seen is not None and is_same(failure, seen):
                    shown.add(bug)
            return shown

        for seed in range(ways.seeds):
            watcher = AsFound()
            result = integration.run(
                model=its.models[0], adapter=its.adapter, base_url=url, seed=seed, max_runs=SLIP_RUNS, watcher=watcher,
                swarm=ways.swarm,
            )  # fmt: skip
            for finding in result.failures:
                before = shown_by(watcher.traces[finding.fingerprint], finding.failure)
                after = shown_by(finding.trace, finding.failure)
                if before:
                    counted[min(before), bool(after) and not before & after] += 1
        for adapters in single.values():
            adapters.close()
    return counted


def false_alarms(name: str, ways: Ways, repeat: int) -> tuple[int, int]:
    """Run the models of a service with no bug on; return how many runs failed, and of how many."""
    its, alarms, total = SERVICES[name], 0, 0
    with service.reached(url=None, start=its.start(), health=None, patience=None) as url:
        for model in its.models[:1] if repeat else its.models:
            for seed in range(ways.seeds):
                result = campaign(its, model, url, seed, ALARM_RUNS, ways, repeat=repeat)
                alarms += len(result.failures) + result.not_judged
                total += result.total_runs * max(repeat, 1)
    return alarms, total


def table(rows: list[Row]) -> str:
    """Show the rows in Markdown."""
    head = "service | bug | found | requests to failure | length | shortest | minimal | shrink requests | slipped"
    lines = [f"| {head} |", f"|{'---|' * (head.count('|') + 1)}"]
    for row in rows:
        said = ["-"] * 2 + [str(row.shortest)] + ["-"] * 3
        if row.requests_to_failure is not None:
            said[0] = f"{row.requests_to_failure:g}"
        if row.length is not None:
            said[1:] = [
                f"{row.length:g}", str(row.shortest), f"{row.minimal}/{row.found}",
                f"{row.shrink_requests:g}", f"{row.slipped}/{row.met}",
            ]  # fmt: skip
        lines.append(f"| {row.service} | {row.bug} | {row.found}/{row.seeds} | {' | '.join(said)} |")
    return "\n".join(lines)


def ordinary(names: list[str], bugs: list[str] | None) -> list[tuple[str, Bug]]:
    """List the bugs of some services that show without a fault, or the named ones; end where one is not there."""
    chosen = [(name, bug) for name in names for bug in SERVICES[name].ordinary if bug.name in (bugs or [bug.name])]
    unknown = set(bugs or ()) - {bug.name for _, bug in chosen}
    if unknown:
        sys.exit(f"no service here shows, without a fault, the bug {', '.join(sorted(unknown))}")
    return chosen


def main() -> None:
    """Measure, and print the table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--service", choices=sorted(SERVICES), action="append")
    parser.add_argument("--bug", action="append", help="only this one, without looking for false alarms")
    parser.add_argument("--seeds", type=int, default=Ways.seeds)
    parser.add_argument("--runs", type=int, default=Ways.runs)
    parser.add_argument("--swarm", action="store_true", help="leave a random part of the commands out of each run")
    parser.add_argument(
        "--reuse", type=float, default=generator.REUSE, metavar="PROBABILITY",
        help="how often an argument repeats an earlier value of its kind; default: %(default)s",
    )  # fmt: skip
    parser.add_argument("--no-pools", action="store_true", help="draw from pools as if they had no limit")
    parser.add_argument("--no-shrink", action="store_true", help="only find them: no lengths, and no slips")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    generator.REUSE = options.reuse
    if options.no_pools:
        Pool.sample = lambda pool, source, size: generator.draw(pool.inner, source, size)
    ways = Ways(options.seeds, options.runs, options.swarm, not options.no_shrink)
    names = options.service or sorted(SERVICES)
    chosen = ordinary(names, options.bug)
    rows, shrinks, alarms = [], [], {}
    for name, bug in chosen:
        began = time.monotonic()
        row, requests = measure(name, bug, ways)
        rows.append(row)
        shrinks += requests
        print(f"{table([row]).splitlines()[-1]} {time.monotonic() - began:.0f} s", file=sys.stderr)
    for name in names if options.bug is None else []:
        counted = slips(name, ways) if ways.shrinking else Counter()
        rows = [
            replace(row, met=counted[row.bug, False] + counted[row.bug, True], slipped=counted[row.bug, True])
            if row.service == name
            else row
            for row in rows
        ]
        alarms[name] = false_alarms(name, ways, 0)
        alarms[f"{name} with branches"] = false_alarms(name, ways, ALARM_REPEAT)
    if options.json:
        said = {
            "rows": [asdict(row) for row in rows],
            "median_shrink_requests": median(shrinks),
            "false_alarms": {name: {"alarms": count, "runs": total} for name, (count, total) in alarms.items()},
        }
        print(json.dumps(said, indent=2))
        return
    print(table(rows))
    print(f"\nMedian of the requests that shrinking took: {median(shrinks) or 0:g}." if ways.shrinking else "")
    for name, (count, total) in alarms.items():
        print(f"With no bug on, {name}: {count} false alarms in {total} runs.")


if __name__ == "__main__":
    with postgres.reached(os.environ.get("DATABASE_URL")) as database:  # one for all banks: they take turns
        os.environ["DATABASE_URL"] = database
        main()
