"""Run the leaderboard: python -m examples.leaderboard --port 4600 --bug duplicate-names."""

import argparse
import json
from dataclasses import asdict

from examples.leaderboard.service import BUGS, application


def main() -> None:
    """Read the command line, and serve until stopped."""
    parser = argparse.ArgumentParser(prog="python -m examples.leaderboard", description=__doc__)
    parser.add_argument("--port", type=int, default=4600)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--bug", action="append", default=[], choices=[bug.name for bug in BUGS], metavar="NAME")
    parser.add_argument("--list-bugs", action="store_true", help="print the switches, one a line, and stop")
    parser.add_argument("--json", action="store_true", help="with --list-bugs: all that is known of each, as JSON")
    options = parser.parse_args()
    if options.list_bugs:
        lines = [bug.name for bug in BUGS]
        print(json.dumps([asdict(bug) for bug in BUGS], indent=2) if options.json else "\n".join(lines))
        return
    import uvicorn

    uvicorn.run(application(frozenset(options.bug)), host=options.host, port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
