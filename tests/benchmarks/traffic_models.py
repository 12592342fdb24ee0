"""How good models made of recorded traffic are: false alarms, and which planted bugs they find without a hand edit.

    python tests/benchmarks/traffic_models.py --runs 120 --hunt 40 --folder /tmp/models

The traffic is that of the saved bugs of each example (failures/NAME/*.pd), and of a page in Chromium. A model is made
of it, run against the service without a bug, and then against the service with each of its bugs.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
TRAFFIC = {
    "leaderboard": ("--cassette", sorted((ROOT / "failures/leaderboard").glob("*.pd"))),
    "toybank": ("--cassette", sorted((ROOT / "failures/toybank").glob("*.pd"))),
    "travelbooking": ("--cassette", sorted((ROOT / "failures/travelbooking").glob("*.pd"))),
    "travelbooking_har": ("--har", [ROOT / "tests/hars/travelbooking.har"]),
}


def ran(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of replaykit in a folder of models."""
    path = os.pathsep.join([str(ROOT), str(folder)])
    return subprocess.run(
        [sys.executable, "-m", "replaykit", *words],
        cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip


def main() -> None:
    """Make the models, run them, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=120, help="without a bug")
    parser.add_argument("--hunt", type=int, default=40, help="runs with each bug")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only", choices=[*TRAFFIC], action="append")
    chosen = parser.parse_args()
    folder = chosen.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    for name in chosen.only or TRAFFIC:
        option, paths = TRAFFIC[name]
        made = ran(
            folder, "init", *[word for path in paths for word in (option, str(path))], "--output", name, "--force"
        )
        print(name, "made" if made.returncode == 0 else made.stderr, flush=True)
        model = next(line.split("--model ")[1].split()[0] for line in made.stdout.splitlines() if "--model" in line)
        service = name.partition("_")[0]
        start = f"{sys.executable} -m examples.{service} --port {{port}}"
        words = ["integration", "--model", model, "--adapter", f"{model}Api"]
        reset = ["--reset-url", f"{'' if service == 'leaderboard' else '/api'}/reset"]
        clean = ran(folder, *words, "--start", start, "--runs", str(chosen.runs), *reset)
        print(f"  no bug, {chosen.runs} runs: {clean.stdout.splitlines()[-1:]}", flush=True)
        if clean.returncode:
            print(clean.stdout, clean.stderr)
        listed = [sys.executable, "-m", f"examples.{service}", "--list-bugs", "--json"]
        bugs = json.loads(subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
        tried = [bug for bug in bugs if bug["kind"] not in {"race", "fault"}]
        found = []
        for bug in tried:
            bugged = f"{start} --bug {bug['name']}"
            one = ran(folder, *words, "--start", bugged, "--runs", str(chosen.hunt), "--stop-on-fail", *reset)
            if one.returncode == 1:
                found.append(bug["name"])
                print(
                    f"    {bug['name']}: {[each for each in one.stdout.splitlines() if 'VERDICT' in each]}", flush=True
                )
        print(f"  found: {', '.join(found) or 'none'} of {len(tried)}", flush=True)


if __name__ == "__main__":
    main()
