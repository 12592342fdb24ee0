"""replaykit close and reopen: what is known of saved bugs."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from replaykit.cli import candidates
from replaykit.cli.console import answer, diverted, hush, json_option, say
from replaykit.cli.page import command
from replaykit.errors import MissingFileError, UsageError

if TYPE_CHECKING:
    from replaykit.answer import Statuses
    from replaykit.status import Status, Word

BUNDLES = candidates.several("bundles", "BUNDLE...")
TICKET = click.option("--ticket", metavar="TICKET", help="Where the bug is told of; an empty one takes it out.")
NOTE = click.option("--note", metavar="TEXT", help="What else is to be known; an empty one takes it out.")


@command("close")
@BUNDLES
@click.option(
    "--status",
    "word",
    type=click.Choice(["fixed", "wontfix"]),
    default="fixed",
    show_default=True,
    help="wontfix: it stays, and that is known.",
)
@TICKET
@NOTE
@json_option
def close(bundles: tuple[Path, ...], *, word: "Word", ticket: str | None, note: str | None, as_json: bool) -> int:
    """Write into status.toml, beside each bundle, that its bug is fixed: the suite fails if it is there again.

    Nothing is deleted, and nothing is run. Ticket and note that stand there stay, unless others are given.
    """
    return _write(bundles, "close", word, (ticket, note), as_json=as_json)


@command("reopen")
@BUNDLES
@TICKET
@NOTE
@json_option
def reopen(bundles: tuple[Path, ...], *, ticket: str | None, note: str | None, as_json: bool) -> int:
    """Write into status.toml, beside each bundle, that its bug is open: the suite expects that it is there.

    Ticket and note that stand there stay, unless others are given.
    """
    return _write(bundles, "reopen", "open", (ticket, note), as_json=as_json)


def _write(
    bundles: tuple[Path, ...],
    command: Literal["close", "reopen"],
    word: "Word",
    more: tuple[str | None, str | None],
    *,
    as_json: bool,
) -> int:
    """Write the status of all bundles; of none, if one of them is not there."""
    from replaykit import status
    from replaykit.reader import near, read
    from replaykit.report.steps import one_line

    hush()
    write = diverted() if as_json else None
    (ticket, note), known = more, []
    folders: dict[Path, list[str]] = {}
    for path in bundles:
        if path.is_dir():
            raise UsageError(f"{path} is a folder.", "Name the bundles whose status is to be changed.")
        if not path.exists():
            raise MissingFileError(f"There is no bundle {path}.", near(path))
        status.require_text(path.name)
        read(path)  # what is no bundle has no status
        folders.setdefault(path.parent, []).append(path.name)
    for folder in folders:
        status.statuses(folder)  # a file that is not well made is told before another one is changed
    for folder, names in folders.items():
        before = status.statuses(folder)
        for name, said in status.change(folder, names, word, ticket=ticket, note=note).items():
            parts = [said.word, *([said.ticket] if said.ticket else []), *([said.note] if said.note else [])]
            was = before.get(name, status.Status())
            stays = was == said and name in before
            say(one_line(f"{folder / name}: {', '.join(parts)} ({'as it was' if stays else f'was {was.word}'})"))
            known.append((folder / name, said, was.word, not stays))
    answer(write, lambda: _known(command, known))
    return 0


def _known(command: Literal["close", "reopen"], known: "list[tuple[Path, Status, Word, bool]]") -> "Statuses":
    from replaykit.answer import Known, Statuses

    return Statuses(
        command=command,
        bundles=tuple(
            Known(bundle=str(path), status=said.word, ticket=said.ticket, note=said.note, was=was, changed=changed)
            for path, said, was, changed in known
        ),
    )
