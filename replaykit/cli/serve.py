"""replaykit serve."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from replaykit.cli.console import conclude, diverted, hush, note, printable, say
from replaykit.cli.page import command

if TYPE_CHECKING:
    from collections.abc import Callable

    from replaykit.serving import Stub


@command("serve")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="PORT",
    help="Where it listens.  [default: a free port]",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address at which it listens.")
@click.option(
    "--order",
    type=click.Choice(["strict", "fifo", "any"]),
    default="strict",
    show_default=True,
    help="Requests come as recorded; first in, first out for each request; or any, with repetitions.",
)
@click.option("--without-checks", is_flag=True, help="Leave out what was sent only to read observations.")
@click.option("--delays", is_flag=True, help="Let answers take as long as they took, and time-outs be some.")
@click.option("--cors", is_flag=True, help="Let pages of all origins read the answers, by headers that are added.")
@click.option("--once", is_flag=True, help="End when all was asked for; exits with 125 where something was missed.")
@click.option("--all-used", is_flag=True, help="Exit with 125 where something was missed, or never asked for; else 0.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON when it listens, and one at the end.")
@click.option("--verbose", "-v", is_flag=True, help="Tell of each request, on stderr.")
def serve(*, bundle: Path, as_json: bool, once: bool, all_used: bool, verbose: bool, **options: Any) -> int:
    """Answer from a bundle's cassette whoever asks, until Ctrl-C: a stub server with the service's state.

    Its URL is printed when it listens. What was recorded is sent byte for byte, and the same request gets other
    answers as the recorded run went on. Host and headers of requests do not count, and placeholders of secrets stand
    for any value. A request that nothing was recorded for gets a status of its own, 478, and the nearest one is named.

    GET /__replaykit__ tells how far it is, with the model's projection; POST /__replaykit__/reset begins anew.
    """
    hush()
    write = diverted() if as_json else None
    from replaykit.serving import Stub

    stub = Stub(
        bundle,
        order=options["order"],
        host=options["host"],
        port=options["port"],
        checks=not options["without_checks"],
        delays=options["delays"],
        cors=options["cors"],
        missed=lambda text: note(f"missed: {text}"),
        played=note if verbose else None,
    )
    try:
        _tell(stub, write)
        if write is None:
            note(f"This is the base URL; {stub.stand().recorded} requests were recorded. End it with Ctrl-C.")
        if stub.is_open:
            note("warning: others can reach it, and read all that was recorded.")
        stub.run(once=once)
    except KeyboardInterrupt:
        _summarize(stub, write)
        if not all_used:
            raise
    else:
        _summarize(stub, write)
    stub.check()
    conclude("served", f"all {stub.stand().recorded} recorded requests were asked for", 0)
    return 0


def _tell(stub: "Stub", write: "Callable[[str], None] | None") -> None:
    """Say where it is: a line, or how it stands as a line of JSON."""
    if write is None:
        say(stub.url)
    else:
        from replaykit.document import json_text

        write(printable(json_text(stub.stand().model_dump(), indent=None)) + "\n")


def _summarize(stub: "Stub", write: "Callable[[str], None] | None") -> None:
    if write is not None:
        _tell(stub, write)
    stand, unused = stub.stand(), stub.desk.unused()
    count = "1 request was" if stand.missed == 1 else f"{stand.missed} requests were"
    missed = f"; {count} not answered" if stand.missed else ""
    note(f"{unused or 'All that was recorded was asked for'}{missed}.")
