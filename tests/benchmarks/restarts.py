"""What a restart costs, against what the service's own start does: python tests/benchmarks/restarts.py.

The start is that of the bare command, up to the first answer to its health check; a restart ends the service, and all
that it started, before that. Both are taken in turns, since the machine may be busy with something else.
"""

import shlex
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from replaykit.client import Client
from replaykit.port import free_port
from replaykit.reset import Resets
from replaykit.service import await_health, opened

ROUNDS = 15
START = f"{sys.executable} -m examples.leaderboard --port {{port}}"


def bare_start() -> float:
    """Start the service without replaykit; return the seconds until it is healthy."""
    port, began = free_port(), time.monotonic()
    with subprocess.Popen(shlex.split(START.replace("{port}", str(port)))) as process:
        await_health(f"http://127.0.0.1:{port}/api/health", patience=30)
        took = time.monotonic() - began
        process.terminate()
    return took


def main() -> None:
    """Print the medians, and their ratio."""
    starts, restarts = [], []
    with opened(url=None, start=START, health=None, patience=None, resets=Resets(restart=True)) as running:
        with Client(running.url) as client:
            running.reset(client)  # it is fresh, so that nothing is done
            for _ in range(ROUNDS):
                starts.append(bare_start())
                client.get("/players")
                began = time.monotonic()
                running.reset(client)
                restarts.append(time.monotonic() - began)
    print(f"start {median(starts):.3f} s, restart {median(restarts):.3f} s, {median(restarts) / median(starts):.2f} x")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main()
