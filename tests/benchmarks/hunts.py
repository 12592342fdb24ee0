"""How many bugs a hunt tells apart that are all on at once: ToyBank's, but for its race.

    python tests/benchmarks/hunts.py [--seeds 10] [--first 0] [--hunt 8] [--runs 2000] [--bug NAME] [--json]

For each seed, a hunt goes on until it has found that many bugs, or has made that many runs. Then the truth is asked:
the shrunk sequence of each bundle is run against services that have one bug each, and is a bundle of the bug with
which it fails in the same way. A bundle that shows no bug alone needs several of them at once; one that shows
several does not say which of them it is. Both are mixed, and count for no bug. A bug that has two bundles is split,
and all but one of them are duplicates.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from examples.toybank import postgres
from replaykit import Bundle, integration, service
from replaykit.adapter import Adapters
from replaykit.reader import read
from replaykit.run import execute
from replaykit.sequence import Fixed
from replaykit.verdict import is_same
from tests.benchmarks.scorecard import SERVICES

TOYBANK = SERVICES["toybank"]
SEQUENTIAL = tuple(bug for bug in TOYBANK.ordinary if bug.kind != "race")
FLAKY_TRIES = 12  # a bug that fires in 70 % of the cases is missed by all of them once in two million times


@dataclass(frozen=True)
class Told:
    """One bundle of a hunt, and the bugs that show it, each on its own."""

    name: str
    failure: str
    run: int  # in which it was met first
    length: int  # calls
    bugs: tuple[str, ...]


@dataclass(frozen=True)
class Hunt:
    """What became of one seed."""

    seed: int
    bundles: tuple[Told, ...]
    runs: int
    requests: int  # of the runs, and of shrinking
    seconds: float

    @property
    def bugs(self) -> Counter[str]:
        """How many bundles each bug has."""
        return Counter(each.bugs[0] for each in self.bundles if len(each.bugs) == 1)

    @property
    def splits(self) -> list[str]:
        """The bugs that have several bundles."""
        return [bug for bug, count in self.bugs.items() if count > 1]

    @property
    def duplicates(self) -> int:
        """Bundles too many."""
        return self.bugs.total() - len(self.bugs)

    @property
    def mixed(self) -> list[str]:
        """The bundles that are no bug's."""
        return [each.name for each in self.bundles if len(each.bugs) != 1]


class Truth:
    """Says which bugs a bundle shows: asks services that have one bug each."""

    def __init__(self, urls: dict[str, str]) -> None:
        self._single = {bug: Adapters(TOYBANK.models[0], TOYBANK.adapter, url, {}) for bug, url in urls.items()}

    def of(self, bundle: Bundle) -> tuple[str, ...]:
        """List the bugs with which the sequence of a bundle fails in the same way."""
        return tuple(bug.name for bug in SEQUENTIAL if bug.name in self._single and self._shows(bundle, bug.name))

    def _shows(self, bundle: Bundle, bug: str) -> bool:
        adapters, failure = self._single[bug], bundle.trace.failure
        assert failure is not None
        kind = next(each.kind for each in SEQUENTIAL if each.name == bug)
        for _ in range(FLAKY_TRIES if kind == "flaky" else 1):
            seen = execute(adapters.model, adapters.new(), Fixed(bundle.trace.sequence)).failure
            if seen is not None and is_same(failure, seen):
                return True
        return False

    def close(self) -> None:
        """Close the connections."""
        for adapters in self._single.values():
            adapters.close()


@contextlib.contextmanager
def services(bugs: list[str]) -> Iterator[tuple[str, Truth]]:
    """Start a bank with all of the bugs, and one with each of them; they take turns on one database."""
    with contextlib.ExitStack() as stack:

        def running(*on: str) -> str:
            return stack.enter_context(service.reached(url=None, start=TOYBANK.start(*on), health=None, patience=None))

        yield running(*bugs), stack.enter_context(contextlib.closing(Truth({bug: running(bug) for bug in bugs})))


def hunt(url: str, truth: Truth, seed: int, wanted: int, runs: int) -> Hunt:
    """Hunt with one seed, and ask for the truth."""
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        integration.opened(TOYBANK.models[0], TOYBANK.adapter, runs, folder, base_url=url, seed=seed) as campaign,
    ):
        result = campaign.result
        for _ in campaign.go():
            if len(result.failures) >= wanted:
                break
        seconds = time.monotonic() - began
        told = []
        for finding in result.failures:
            assert finding.path is not None
            bundle = read(finding.path)
            failure = finding.failure
            said = f"{failure.kind} {failure.name} of {failure.command}"
            if failure.outcome:
                said += f" ({failure.outcome})"
            length, bugs = len(bundle.trace.steps), truth.of(bundle)
            told.append(Told(finding.path.name, said, finding.first_seen_run, length, bugs))
    requests = result.requests + sum(each.shrunk.requests for each in result.failures if each.shrunk)
    return Hunt(seed, tuple(told), result.total_runs, requests, seconds)


def table(hunts: list[Hunt]) -> str:
    """Show the hunts in Markdown."""
    head = ("seed", "bundles", "bugs", "duplicates", "splits", "mixed", "runs", "requests", "seconds")
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for each in hunts:
        cells = (
            each.seed, len(each.bundles), len(each.bugs), each.duplicates, ", ".join(each.splits) or "-",
            ", ".join(each.mixed) or "-", each.runs, each.requests, f"{each.seconds:.0f}",
        )  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def by_bug(hunts: list[Hunt], bugs: list[str]) -> str:
    """Show in Markdown in how many hunts each bug was found, and as what."""
    lines = ["| bug | hunts | failure | calls |", f"|{'---|' * 4}"]
    for bug in bugs:
        bundles = [told for each in hunts for told in each.bundles if told.bugs == (bug,)]
        found = sum(bug in each.bugs for each in hunts)
        said = ", ".join(sorted({told.failure for told in bundles})) or "-"
        calls = ", ".join(map(str, sorted({told.length for told in bundles}))) or "-"
        lines.append(f"| {bug} | {found}/{len(hunts)} | {said} | {calls} |")
    return "\n".join(lines)


def main() -> None:
    """Hunt, and print the table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--hunt", type=int, default=8, help="bugs to find")
    parser.add_argument("--runs", type=int, default=2000, help="of a hunt, at most")
    parser.add_argument("--bug", action="append", choices=[bug.name for bug in SEQUENTIAL], help="only these")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    bugs = options.bug or [bug.name for bug in SEQUENTIAL]
    hunts: list[Hunt] = []
    with services(bugs) as (url, truth):
        for seed in range(options.first, options.first + options.seeds):
            hunts.append(hunt(url, truth, seed, options.hunt, options.runs))
            print(table(hunts[-1:]).splitlines()[-1], file=sys.stderr, flush=True)
    if options.json:
        said = [
            asdict(each)
            | {"bugs": sorted(each.bugs), "duplicates": each.duplicates, "splits": each.splits, "mixed": each.mixed}
            for each in hunts
        ]
        print(json.dumps(said, indent=2))
        return
    print(f"{table(hunts)}\n\n{by_bug(hunts, bugs)}")


if __name__ == "__main__":
    with postgres.reached(os.environ.get("DATABASE_URL")) as database:  # one for all banks: they take turns
        os.environ["DATABASE_URL"] = database
        main()
