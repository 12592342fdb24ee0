"""This project's corpus, made anew: a bundle of each planted bug, found and saved by the command line.

    python tests/benchmarks/corpus.py [--service NAME] [--bug NAME] [--into failures] [--seeds 20] [--check]

For each bug, `replaykit integration` tests a service that has only this one, seed by seed, until what it saves is as
short as the shortest sequence that is known; a bug that does not show each time has to do so in 40 % of the runs.
The bundle goes to FOLDER/SERVICE/BUG, in place of the one that was there, and its status beside it: no service has a
bug by default, so all are fixed. Several bugs break the same check with the same command. They have one fingerprint
and one file name, so each bug has a folder of its own.

With `--check`, nothing is written; each bundle that is there is held against the one that is found now. What the
service chooses (the ids of ToyBank), what depends on chance (races, flaky-release), and the first line and the last,
which speak of revision and versions, are other ones each time; all else is the same.
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
from replaykit.status import FILE
from tests.benchmarks.scorecard import SERVICES

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
    often = OFTEN if bug.kind in {"race", "flaky"} else 1.0
    return len(bundle.trace.sequence) <= bug.shortest and shrinking.failed >= shrinking.runs * often


def status(name: str, bug: Bug, bundle: str) -> str:
    """Write the status of a bug, which its service does not have unless it is asked for."""
    return (
        f'["{bundle}"]\nstatus = "fixed"\nnote = "{bug.wrong} (python -m {SERVICES[name].module} --bug {bug.name})"\n'
    )


def make(name: str, bug: Bug, into: Path, seeds: int) -> Path | None:
    """Find a bug, and put its bundle into the corpus, with its status; None where no seed finds it as it should be."""
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            found = find(name, bug, seed, Path(folder))
            if found is None or not is_good(read(found), bug):
                continue
            place = into / name / bug.name
            place.mkdir(parents=True, exist_ok=True)
            for old in place.glob("*.pd"):
                old.unlink()
            made = place / found.name
            made.write_bytes(found.read_bytes())
            (place / FILE).write_text(status(name, bug, found.name), encoding="utf-8")
            return made
    return None


def differing(one: Path, other: Path) -> int:
    """Count the lines of two bundles that are not alike, but for the first ones and the last."""
    lines = [path.read_text(encoding="ascii").splitlines()[2:-1] for path in (one, other)]
    return sum(a != b for a, b in zip(*lines, strict=False)) + abs(len(lines[0]) - len(lines[1]))


def main() -> int:
    """Make the bundles that are asked for, or hold them against what is there; a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--service", choices=sorted(SERVICES), action="append")
    parser.add_argument("--bug", action="append", help="only this one; may be given several times")
    parser.add_argument("--into", type=Path, default=FAILURES, metavar="FOLDER")
    parser.add_argument("--seeds", type=int, default=20, help="how many are tried; default: %(default)s")
    parser.add_argument("--check", action="store_true", help="write nothing: say what is not as it was")
    options = parser.parse_args()
    names = options.service or list(SERVICES)
    chosen = [(name, bug) for name in names for bug in SERVICES[name].bugs if bug.name in (options.bug or [bug.name])]
    unknown = set(options.bug or ()) - {bug.name for _, bug in chosen}
    if unknown:
        sys.exit(f"no service here has the bug {', '.join(sorted(unknown))}")
    missing = False
    with contextlib.ExitStack() as stack:
        into = options.into.resolve()
        if options.check:
            into = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if "toybank" in names:
            os.environ["DATABASE_URL"] = stack.enter_context(postgres.reached(os.environ.get("DATABASE_URL")))
        for name, bug in chosen:
            made = make(name, bug, into, options.seeds)
            missing |= made is None
            said = "not found as it should be" if made is None else str(made.relative_to(into))
            if made is not None and options.check:
                there = options.into / made.relative_to(into)
                said += f": {differing(there, made)} lines are other ones" if there.exists() else ": is new"
            print(f"{name} {bug.name}: {said}", flush=True)
    return int(missing)


if __name__ == "__main__":
    sys.exit(main())
