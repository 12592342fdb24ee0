"""What the example services share: bugs that can be switched on, and the command line that starts a service."""

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any

from examples import STARTED_BY

MAX_PORT = 65535

GRACE = 2  # seconds that requests have to end when the service is stopped
ORPHANED = "The program that started this service has ended, so it ends too (--outlive-parent)."
PARENT_POLL = 0.2  # seconds between two looks whether the parent is still there


@dataclass(frozen=True, slots=True)
class Bug:
    """A mistake that can be switched on."""

    name: str  # of the switch
    kind: str  # what sort of mistake; "race" needs concurrent requests, "flaky" luck, "fault" a network that fails
    wrong: str  # what goes wrong
    shortest: int  # commands that show it


def options(program: str, description: str, bugs: Sequence[Bug], port: int) -> argparse.ArgumentParser:
    """Make the command line that all services have."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=description)
    parser.add_argument("--port", type=_port, default=port, help=f"default: {port}")
    parser.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1, which is this machine only")
    parser.add_argument(
        "--bug",
        action="append",
        default=[],
        choices=[bug.name for bug in bugs],
        metavar="NAME",
        help="switch a bug on; may be given several times",
    )
    parser.add_argument("--list-bugs", action="store_true", help="print the switches, one a line, and stop")
    parser.add_argument("--json", action="store_true", help="with --list-bugs: all that is known of each, as JSON")
    parser.add_argument("--outlive-parent", action="store_true", help="go on when the program that started this ends")
    return parser


def main(
    parser: argparse.ArgumentParser,
    bugs: Sequence[Bug],
    serving: Callable[[argparse.Namespace], AbstractContextManager[Any]],
) -> None:
    """Read the command line, and list the bugs, or serve until stopped.

    `serving` gives the ASGI application for the options, and cleans up behind it.
    """
    chosen = parser.parse_args()
    if chosen.json and not chosen.list_bugs:
        parser.error("--json belongs to --list-bugs")
    if chosen.list_bugs:
        lines = [bug.name for bug in bugs]
        print(json.dumps([asdict(bug) for bug in bugs], indent=2) if chosen.json else "\n".join(lines))
        return
    import uvicorn

    if not chosen.outlive_parent:
        _end_with_parent()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # uvicorn gives the signal back to us
    with serving(chosen) as application:
        uvicorn.run(
            application, host=chosen.host, port=chosen.port, log_level="warning", timeout_graceful_shutdown=GRACE
        )


def _end_with_parent() -> None:
    """End the service once the process that started it is gone, however that one was stopped."""

    def watch() -> None:
        while os.getppid() == STARTED_BY:
            time.sleep(PARENT_POLL)
        print(ORPHANED, file=sys.stderr)
        os.kill(os.getpid(), signal.SIGTERM)

    if os.getppid() != STARTED_BY:  # before anything was begun that would have to be ended
        print(ORPHANED, file=sys.stderr)
        sys.exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def _port(text: str) -> int:
    """Read a port; a larger number would be cut off somewhere below, and another port be taken."""
    number = int(text)
    if not 1 <= number <= MAX_PORT:
        raise ValueError(text)
    return number
