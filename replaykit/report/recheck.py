"""What `replaykit recheck --json` prints: what became of each bundle, in one document; a surface that programs read."""

from collections.abc import Iterable

from replaykit.document import json_text
from replaykit.rechecking import Moved, Rechecked
from replaykit.surface import schema_for
from replaykit.value import Record
from replaykit.verdict import Failure, exit_code
from replaykit.version import __version__


class Row(Record):
    """What became of one bundle."""

    bundle: str  # as it was named
    verdict: str
    exit_code: int
    reason: str
    recorded: Failure | None
    still: bool
    found: tuple[Failure, ...]
    unseen: dict[str, tuple[str, ...]]
    unreached: tuple[str, ...]
    moved: tuple[Moved, ...]


class Table(Record):
    """What became of all of them."""

    version: int = 1
    tool: str = f"replaykit {__version__}"
    exit_code: int
    bundles: tuple[Row, ...]


def row(bundle: str, rechecked: Rechecked) -> Row:
    """Say what rechecking a bundle came to."""
    kept = {name: getattr(rechecked, name) for name in Row.model_fields if name in Rechecked.model_fields}
    code = exit_code(rechecked.verdict)
    return Row(**{**kept, "bundle": bundle, "verdict": rechecked.verdict.value, "exit_code": code})


def render(rows: Iterable[Row], code: int) -> str:
    """Write what became of some bundles as JSON, in ASCII."""
    return json_text(Table(exit_code=code, bundles=tuple(rows)).model_dump()) + "\n"


def schema() -> str:
    """Return the JSON Schema of the document, as it is published."""
    return schema_for(Table, "What replaykit recheck --json prints, version 1")
