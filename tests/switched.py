"""An example service whose bugs are switched while it runs, by PUT /bugs with a list of their names.

    python -m tests.switched toybank --port 4600

The services get their bugs when they are started. Here, the same application is made anew with other bugs, which
takes no new process, and no new database.
"""

import argparse
import contextlib
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

from examples.leaderboard.service import application as leaderboard
from examples.serving import main, options
from examples.toybank import postgres
from examples.toybank.ledger import Ledger
from examples.toybank.service import application as bank
from examples.travelbooking.service import application as travelbooking

NAMES = ("leaderboard", "toybank", "travelbooking")
Make = Callable[[frozenset[str]], Any]  # an application with some bugs on


class Switched:
    """An application in front of the one that it makes anew whenever it is asked for other bugs."""

    def __init__(self, make: Make) -> None:
        self._make = make
        self._inner = make(frozenset())

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Switch bugs, or let the service answer."""
        if scope["type"] != "http" or scope["path"] != "/bugs":
            await self._inner(scope, receive, send)
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self._inner = self._make(frozenset(json.loads(body)))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


@contextlib.contextmanager
def serving(chosen: argparse.Namespace) -> Iterator[Switched]:
    """Give the application; a bank has its database as long."""
    if chosen.service != "toybank":
        yield Switched(leaderboard if chosen.service == "leaderboard" else travelbooking)
        return
    with postgres.reached(os.environ.get("DATABASE_URL")) as url, contextlib.closing(Ledger(url)) as ledger:

        def make(bugs: frozenset[str]) -> Any:
            ledger.bugs = bugs
            return bank(ledger)

        yield Switched(make)


if __name__ == "__main__":
    parser = options("tests.switched", "An example service whose bugs are switched while it runs.", (), 4600)
    parser.add_argument("service", choices=NAMES)
    main(parser, (), serving)
