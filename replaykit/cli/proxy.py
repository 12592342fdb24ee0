"""replaykit proxy."""

import click

from replaykit.cli.console import note, say
from replaykit.cli.page import command


@command("proxy")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8474,
    show_default=True,
    metavar="PORT",
    help="Where its API listens, on loopback; with 0 at a free port.",
)
@click.option(
    "--seed",
    type=int,
    metavar="N",
    help="Which connections a toxic hits, where it is for a share of them, follows from it.",
)
def proxy(*, port: int, seed: int | None) -> int:
    """Run the proxy that faults are made with, by itself, until Ctrl-C.

    It speaks the HTTP API of Toxiproxy, so that Toxiproxy's own clients and its command line can steer it: proxies are
    made with POST /proxies, and toxics with POST /proxies/NAME/toxics. Campaigns start one of their own, and need none
    that runs.
    """
    from replaykit.proxy import serve

    def tell(url: str) -> None:
        say(url)
        note("This is the API. End it with Ctrl-C.")

    serve("127.0.0.1", port, seed, tell)
    return 0
