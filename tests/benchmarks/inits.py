"""What a model that nobody touched finds in the examples, and whether it accuses them of what they do right.

python tests/benchmarks/inits.py [SERVICE...] [--runs N] [--calm RUNS]

A model is made of each example's openapi.yaml. Each planted bug that needs neither a race nor a fault is looked for, up
to `--runs` runs, through the command line. Then the services without a bug are tested with `--calm` runs, which have to
find nothing. All of it takes half an hour.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from examples.leaderboard import service as leaderboard
from examples.toybank import ledger
from examples.travelbooking import agency

ROOT = Path(__file__).parents[2]
BUGS = {"leaderboard": leaderboard.BUGS, "toybank": ledger.BUGS, "travelbooking": agency.BUGS}


def asked(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """Ask replaykit on the command line, in a folder from which packages are imported."""
    path = os.pathsep.join([str(folder), str(ROOT)])
    command = [sys.executable, "-m", "replaykit", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def campaign(folder: Path, service: str, bug: str | None, runs: int) -> subprocess.CompletedProcess[str]:
    """Test a service with the model that was made of its description."""
    model = f"my_{service}.model:{service.capitalize()}"
    start = f"python -m examples.{service} --port {{port}}{f' --bug {bug}' if bug else ''}"
    return asked(
        folder, "integration", "--model", model, "--adapter", f"{model}Api", "--start", start, "--runs", runs,
        "--seed", 1, "--stop-on-fail", "--no-shrink", "--profile", "",
    )  # fmt: skip


def main() -> int:
    """Print a row for each bug; exit with 1 where a service without a bug is accused, or fewer than three are found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("services", nargs="*", default=list(BUGS))
    parser.add_argument("--runs", type=int, default=150)
    parser.add_argument("--calm", type=int, default=300)
    chosen = parser.parse_args()
    found, accused = 0, []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        print("| service | bug | found as | in run |\n|---|---|---|---|")
        for service in chosen.services:
            description = ROOT / "examples" / service / "openapi.yaml"
            asked(folder, "init", "--openapi", description, "--output", f"my_{service}", "--name", service)
            for bug in BUGS[service]:
                if bug.kind in {"race", "fault"}:
                    continue
                done = campaign(folder, service, bug.name, chosen.runs)
                how = re.search(r"^FAILURE (.+?)  .*first in run (\d+)", done.stdout, re.MULTILINE)
                found += how is not None
                print(
                    f"| {service} | `{bug.name}` | {how[1] if how else 'not found'} | {how[2] if how else ''} |",
                    flush=True,
                )
            done = campaign(folder, service, None, chosen.calm)
            print(f"| {service} | none | {done.stdout.strip().rpartition(chr(10))[2]} | |", flush=True)
            accused += [service] * (done.returncode != 0)
    print(f"\n{found} bugs found; accused without a bug: {', '.join(accused) or 'nobody'}")
    return 1 if accused or found < 3 else 0


if __name__ == "__main__":
    sys.exit(main())
