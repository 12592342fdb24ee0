"""How large the page of a long run becomes, and how long a browser needs to open it.

python tests/benchmarks/pages.py [--steps 2000] [--bytes 40000] [--sends 0] [--keep FOLDER]

Each step sends a request and reads a listing of so many bytes, in which some rows are others than before, as it is in a
real service: a score, a time, one more row. The listings are sent in gzip, or a bundle would have no room for them.
With `--sends`, each request has another body of so many bytes: `--steps 200 --sends 30000` is a run whose `curl`
commands would take most room. The time is from asking for the file until it
is laid out and painted, the best of some rounds.
"""

import argparse
import gzip
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from replaykit.bundle import Provenance
from replaykit.interaction import Interaction, Request, Response
from replaykit.sequence import Call
from replaykit.trace import Said, Step, Trace
from replaykit.value import text_of_data
from replaykit.verdict import Failure
from replaykit.writer import save
from tests.browser import chromium

ROUNDS = 5
HEADERS = (("content-type", "application/json"), ("content-encoding", "gzip"))


def long_run(steps: int, size: int, sends: int = 0) -> Trace:
    """Make up a run of so many steps, each of which sends `sends` bytes, and reads a listing of some `size` bytes."""
    draw = random.Random(1)
    rows = [_row(number, draw) for number in range(size // 103)]
    listed = []
    for label in range(steps):
        for _ in range(3):
            rows[draw.randrange(len(rows))]["score"] += draw.randrange(100)
        rows[draw.randrange(len(rows))] = _row(label + 100_000, draw)
        body = json.dumps({"page": label, "rows": rows}).encode()
        data = text_of_data({"name": rows[0]["name"], "rows": len(rows)})
        listed.append(
            Step(
                call=Call(label=label, tag="increase_score", args={"name": f"player {label % 50}", "by": label % 7}),
                interactions=(_sent(label, sends),),
                observing=(_read(body),),
                event=Said(tag="score_increased", version=1, data=data),
                observations=(Said(tag="board", version=1, data=data),),
                state=text_of_data({"scores": {f"player {each}": label // 50 + each for each in range(50)}}),
            )
        )
    failure = Failure(
        kind="check", name="board_matches", step=steps - 1, command="increase_score", message="it does not match",
        expected=[["a", 1]], actual=[["a", 2]],
    )  # fmt: skip
    return Trace(steps=tuple(listed), ending="failed", failure=failure)


def _row(number: int, draw: random.Random) -> dict[str, object]:
    code = f"{draw.getrandbits(64):016x}"
    return {"id": f"{number:06d}", "name": f"player {number}", "code": code, "score": draw.randrange(10**6), "ok": True}


def _sent(label: int, sends: int) -> Interaction:
    said: dict[str, object] = {"name": f"player {label % 50}", "by": label % 7}
    if sends:
        said["note"] = random.Random(label).randbytes(sends // 2).hex()
    body = json.dumps(said).encode()
    return Interaction(
        request=Request(method="POST", url="http://127.0.0.1:4600/scores", headers=HEADERS[:1], body=body),
        response=Response(status=200, reason="OK", headers=HEADERS[:1], body=b'{"done":true}'),
        elapsed=0.002,
    )


def _read(body: bytes) -> Interaction:
    return Interaction(
        request=Request(method="GET", url="http://127.0.0.1:4600/players", headers=(("accept", "*/*"),)),
        response=Response(status=200, reason="OK", headers=HEADERS, body=gzip.compress(body, 6, mtime=0)),
        elapsed=0.004,
    )


def written(path: Path, trace: Trace) -> None:
    """Save a run as a bundle."""
    origin = Provenance(
        model="a:Board", adapter="a:BoardApi", model_digest="0" * 16, campaign_seed=1, run=0, seed=1,
        commands=len(trace.steps), url="http://127.0.0.1:4600",
    )  # fmt: skip
    save(path, origin, trace)


def seconds_to_open(path: Path, rounds: int = ROUNDS) -> tuple[float, float]:
    """Measure how long a browser needs until the page is painted, and its CPU time; the best of some rounds."""
    taken, worked = [], []
    for browser in chromium.__wrapped__():
        for _ in range(rounds):
            page = browser.new_page()
            session = page.context.new_cdp_session(page)
            session.send("Performance.enable", {"timeDomain": "threadTicks"})
            began = time.perf_counter()
            page.goto(path.as_uri(), wait_until="load")
            page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            taken.append(time.perf_counter() - began)
            measured = session.send("Performance.getMetrics")["metrics"]
            worked.append(next(each["value"] for each in measured if each["name"] == "TaskDuration"))
            page.close()
    return min(taken), min(worked)


def main() -> None:
    """Make the bundle and its page, measure, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--bytes", type=int, default=40_000)
    parser.add_argument("--sends", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kept = asked.keep or Path(folder)
        bundle, page = kept / "long.pd", kept / "long.html"
        written(bundle, long_run(asked.steps, asked.bytes, asked.sends))
        began = time.perf_counter()
        command = [sys.executable, "-m", "replaykit", "show", str(bundle), "--html", str(page)]
        subprocess.run(command, check=True, capture_output=True)
        took = time.perf_counter() - began
        size = page.stat().st_size / 1e6
        sent = f"send {asked.sends} and " if asked.sends else ""
        of = f"{asked.steps} steps that {sent}read {asked.bytes} bytes each"
        print(f"{of}: a bundle of {bundle.stat().st_size / 1e6:.1f} MB")
        print(f"  the page has {size:.1f} MB, made in {took:.1f} s")
        wall, worked = seconds_to_open(page.resolve(), asked.rounds)
        print(f"  opens in {wall:.2f} s, {worked:.2f} s of them at work (the rest is what others left of the machine)")


if __name__ == "__main__":
    main()
