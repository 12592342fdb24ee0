"""Whether the planted chaos bugs are found, with the fault that they need and no other.

python tests/benchmarks/chaos.py [SERVICE...] [--seeds N] [--runs N] [--calm RUNS]

Each bug of kind "fault" of both services is looked for with several seeds, up to `--runs` runs each, through
the command line. What is found is replayed with the bug on, which has to reproduce it, and off, which has to hold. Then
the services without a bug are tested with `--calm` runs, which have to find nothing. All of it takes half an hour.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from examples.toybank import ledger
from examples.travelbooking import agency
from replaykit import read
from replaykit.bundle import Bundle

SEEDS, RUNS, CALM = 10, 300, 500
BUGS = {"toybank": ledger.BUGS, "travelbooking": agency.BUGS}
HEAD = (
    "| bug | found | in run: median, most | commands: median, most | fault that is left | replayed with the bug "
    "| without |\n|---|---|---|---|---|---|---|"
)


def start(service: str, bug: str | None = None) -> str:
    """Write the command that starts a service."""
    return f"python -m examples.{service} --port {{port}}{f' --bug {bug}' if bug else ''}"


def asked(*words: object) -> subprocess.CompletedProcess[str]:
    """Ask replaykit on the command line."""
    command = [sys.executable, "-m", "replaykit", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def campaign(service: str, bug: str | None, seed: int, runs: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """Test a service while the network fails."""
    return asked(
        "integration", "--profile", f"{service}-chaos", "--start", start(service, bug), "--runs", runs, "--seed", seed,
        "--save-failures", folder, "--stop-on-fail", "--quiet", "--report", f"json={folder}.json",
    )  # fmt: skip


def faults_in(bundle: Bundle) -> list[str]:
    """List the faults of a bundle's sequence."""
    return [call.tag for call in bundle.trace.sequence if call.tag.startswith("fault_")]


def replayed(path: Path, service: str, bug: str | None) -> int:
    """Replay a bundle; return the exit code."""
    return asked("replay", path, "--profile", f"{service}-chaos", "--start", start(service, bug)).returncode


def sought(service: str, bug: str, seeds: int, runs: int, folder: Path) -> None:
    """Look for a bug with several seeds, and print a line of the table."""
    found: list[int] = []
    commands: list[int] = []
    faults: list[str] = []
    on = off = 0
    for seed in range(seeds):
        place = folder / f"{bug}-{seed}"
        done = campaign(service, bug, seed, runs, place)
        bundles = sorted(place.glob("*.pd"))
        if done.returncode != 1 or not bundles:
            print(f"seed {seed}: exit {done.returncode}: {done.stdout[-300:]}{done.stderr[-300:]}", file=sys.stderr)
            continue
        bundle = read(bundles[0])
        found.append(json.loads(Path(f"{place}.json").read_text())["total_runs"])
        commands.append(len(bundle.trace.sequence))
        faults.append("+".join(faults_in(bundle)) or "none")
        on += replayed(bundles[0], service, bug) == 1
        off += replayed(bundles[0], service, None) == 0
    counted = ", ".join(f"{each} {faults.count(each)}" for each in sorted(set(faults)))
    when = f"{median(found):.0f}, {max(found)}" if found else "-"
    size = f"{median(commands):.0f}, {max(commands)}" if found else "-"
    print(f"| {bug} | {len(found)} of {seeds} | {when} | {size} | {counted} | {on} | {off} |", flush=True)


def calm(service: str, runs: int, folder: Path) -> None:
    """Test a service without a bug, which has to find nothing."""
    began = time.monotonic()
    done = campaign(service, None, 1, runs, folder / f"{service}-calm")
    print(f"{service} without a bug, {runs} runs: exit {done.returncode}, {time.monotonic() - began:.0f} s", flush=True)
    if done.returncode:
        print(done.stdout[-2000:], file=sys.stderr)


def main() -> None:
    """Look for all of them."""
    parser = argparse.ArgumentParser(description="Whether the planted chaos bugs are found.")
    parser.add_argument("services", nargs="*", metavar="SERVICE", help=f"of {', '.join(BUGS)}")
    parser.add_argument("--bug", action="append", help="only this one; may be given several times")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--calm", type=int, default=CALM)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chaos-") as place:
        print(HEAD, flush=True)
        for service in chosen.services or BUGS:
            for bug in BUGS[service]:
                if bug.kind == "fault" and (not chosen.bug or bug.name in chosen.bug):
                    sought(service, bug.name, chosen.seeds, chosen.runs, Path(place))
        print()
        for service in chosen.services or BUGS:
            if chosen.calm:
                calm(service, chosen.calm, Path(place))


if __name__ == "__main__":
    main()
