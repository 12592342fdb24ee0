"""Run the leaderboard: python -m examples.leaderboard --port 4600 --bug duplicate-names."""

import argparse
import contextlib

from examples.leaderboard.service import BUGS, application
from examples.serving import main, options


def serving(chosen: argparse.Namespace) -> contextlib.AbstractContextManager[object]:
    """Give the application with the bugs that were chosen."""
    return contextlib.nullcontext(application(frozenset(chosen.bug)))


if __name__ == "__main__":
    main(options("examples.leaderboard", "The leaderboard service.", BUGS, 4600), BUGS, serving)
