"""Run ToyBank: python -m examples.toybank --port 4555 --bug over-capture."""

import argparse
import contextlib
import os
from collections.abc import Iterator

from starlette.applications import Starlette

from examples.serving import main, options
from examples.toybank import postgres
from examples.toybank.ledger import BUGS, Ledger
from examples.toybank.service import application


@contextlib.contextmanager
def serving(chosen: argparse.Namespace) -> Iterator[Starlette]:
    """Give the application, on the database that is named, or on one that is started for it."""
    with postgres.reached(chosen.database_url) as url:
        ledger = Ledger(url, chosen.schema, frozenset(chosen.bug))
        try:
            yield application(ledger)
        finally:
            ledger.close()


def command_line() -> argparse.ArgumentParser:
    """Make the command line: that of all services, and which database."""
    parser = options("examples.toybank", "ToyBank: accounts, authorizations and captures.", BUGS, 4555)
    parser.add_argument(
        "--database-url",
        default=os.environ.get("DATABASE_URL") or None,
        help="a PostgreSQL; default: $DATABASE_URL, else one is started that goes with the service",
    )
    parser.add_argument("--schema", default="toybank", help="of the database, made where it is missing")
    return parser


if __name__ == "__main__":
    main(command_line(), BUGS, serving)
