"""This project's corpus, made anew: a bundle of each planted bug, found and saved by the command line.

    python tests/benchmarks/corpus.py [--service NAME] [--bug NAME] [--into failures] [--seeds 20]

For each bug, `replaykit integration` tests a service that has only this one, seed by seed, until what it saves is as
short as the shortest sequence that is known; a bug that does not show each time has to do so in 40 % of the runs, and
a flaky one not in all of them, so that its bundle says what it is.
The bundle goes to FOLDER/SERVICE/BUG.pd, in place of the one that was there, and its status into the file beside it: no
service has a bug by default, so all are fixed. Several bugs break the same check with the same command. They have one
fingerprint, so each bundle has the name of its bug.

Another time, with the same versions, a bug that shows each time has the same sequence and the same failure; the
revision, the versions, what a service chooses (the ids of ToyBank) and what shrinking took may be others. What depends
on chance or on a service's own time may show with another seed first, and with another sequence.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from examples.serving import Bug
from examples.toybank import postgres
from replaykit.bundle import Bundle
from replaykit.reader import read
from replaykit.status import change
from tests.benchmarks.scorecard import SERVICES, ordinary

FAILURES = Path(__file__).parents[2] / "failures"
OFTEN = 0.4  # how often a bug has to show that does not show each time
RUNS = 300


def find(name: str, bug: Bug, seed: int, folder: Path) -> Path | None:
    """Look for a bug with one seed; return the bundle that was saved, if one was."""
    its = SERVICES[name]
    parallel = ["--parallel", "3x3"] if bug.kind == "race" else []
    done = subprocess.run(
        [
            sys.executable, "-m", "replaykit", "integration", "--model", f"{its.module}:{its.models[0].__name__}",
            "--adapter", f"{its.module}:{its.adapter.__name__}", "--start", its.start(bug.name), "--runs", str(RUNS),
            "--seed", str(seed), "--stop-on-fail", *parallel, "--save-failures", str(folder),
        ],
        cwd=FAILURES.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode not in {0, 1}:
        told = f"{done.stderr}{done.stdout}"
        sys.exit(f"{told}{name} {bug.name}: the campaign with seed {seed} ended with {done.returncode}")
    found = list(folder.glob("*.pd"))
    return found[0] if found else None


def is_good(bundle: Bundle, bug: Bug) -> bool:
    """Say whether a bundle is as short as can be, and shows its bug often enough."""
    shrinking = bundle.provenance.shrinking
    if shrinking is None or not shrinking.runs or shrinking.failed is None:
        return False
    often = shrinking.failed / shrinking.runs
    if bug.kind == "flaky" and often == 1:  # it does not say how seldom it may show
        return False
    is_often = often >= (OFTEN if bug.kind in {"race", "flaky"} else 1)
    return is_often and len(bundle.trace.sequence) <= bug.shortest


def make(name: str, bug: Bug, into: Path, seeds: int) -> Path | None:
    """Find a bug, and put its bundle into the corpus, with its status; None where no seed finds it as it should be."""
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            found = find(name, bug, seed, Path(folder))
            if found is None or not is_good(read(found), bug):
                continue
            made = into / name / f"{bug.name}.pd"
            made.parent.mkdir(parents=True, exist_ok=True)
            made.write_bytes(found.read_bytes())
            note = f"{bug.wrong} (python -m {SERVICES[name].module} --bug {bug.name})"
            change(made.parent, [made.name], "fixed", note=note)
            return made
    return None


def main() -> int:
    """Make the bundles that are asked for; a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--service", choices=sorted(SERVICES), action="append")
    parser.add_argument("--bug", action="append", help="only this one; may be given several times")
    parser.add_argument("--into", type=Path, default=FAILURES, metavar="FOLDER")
    parser.add_argument("--seeds", type=int, default=20, help="how many are tried; default: %(default)s")
    options = parser.parse_args()
    names = options.service or list(SERVICES)
    chosen = ordinary(names, options.bug)
    missing = False
    with contextlib.ExitStack() as stack:
        if any(name == "toybank" for name, _ in chosen):
            os.environ["DATABASE_URL"] = stack.enter_context(postgres.reached(os.environ.get("DATABASE_URL")))
        for name, bug in chosen:
            made = make(name, bug, options.into, options.seeds)
            missing |= made is None
            print(f"{name} {bug.name}: {made or 'not found as it should be'}", flush=True)
    return int(missing)


if __name__ == "__main__":
    sys.exit(main())
