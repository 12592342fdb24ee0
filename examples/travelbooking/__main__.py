"""Run the travel agency: python -m examples.travelbooking --port 4445 --bug double-cancel."""

import argparse
import contextlib
import math

from examples.serving import main, options
from examples.travelbooking.service import BUGS, application


def seconds(text: str) -> float:
    """Read a number of seconds."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise ValueError(text)
    return value


def serving(chosen: argparse.Namespace) -> contextlib.AbstractContextManager[object]:
    """Give the application with the bugs that were chosen."""
    return contextlib.nullcontext(application(frozenset(chosen.bug), chosen.provider_delay))


if __name__ == "__main__":
    parser = options("examples.travelbooking", "The travel agency service.", BUGS, 4445)
    parser.add_argument(
        "--provider-delay", type=seconds, default=0.03, metavar="SECONDS", help="until a payment is answered"
    )
    main(parser, BUGS, serving)
