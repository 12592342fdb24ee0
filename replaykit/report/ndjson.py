"""NDJSON: what happens in a campaign, a line of JSON each, while it happens."""

from typing import Literal, TypeAlias

from replaykit.account import FORMAT, Account, Bug
from replaykit.document import json_text
from replaykit.surface import definitions_of, published
from replaykit.value import Record
from replaykit.version import __version__


class Began(Record):
    """The service is there, and the first run is about to begin."""

    event: Literal["began"] = "began"
    time: str  # ISO 8601, UTC; in all events
    format: int = FORMAT
    tool: str = f"replaykit {__version__}"
    model: str
    adapter: str
    url: str | None
    seed: int  # of the campaign
    max_runs: int | None
    resumed_after: int = 0  # runs that were there already, where it is a hunt that goes on
    resumed_bugs: int = 0  # new bugs that were found in them


class Run(Record):
    """A run is over, and counted."""

    event: Literal["run"] = "run"
    time: str
    number: int  # from 1
    ending: str  # passed, failed, unreachable, unknown, ...
    seconds: float
    steps: int
    requests: int
    fingerprint: str | None  # of its failure


class Met(Record):
    """A bug is met for the first time in this campaign."""

    event: Literal["found", "known"]
    time: str
    fingerprint: str
    kind: str
    name: str
    command: str | None
    failure_reason: str
    seed: int
    first_seen_run: int
    bundle: str | None


class Found(Met):
    """A new bug was found, and saved; it is not shrunk yet."""

    event: Literal["found"] = "found"


class Known(Met):
    """A bug is seen for the first time in this campaign, and its bundle was there before."""

    event: Literal["known"] = "known"


class Shrunk(Record):
    """A bug was shrunk, and its bundle saved again."""

    event: Literal["shrunk"] = "shrunk"
    time: str
    failure: Bug


class Ended(Record):
    """The last run is over, or the campaign was ended."""

    event: Literal["ended"] = "ended"
    time: str
    report: Account


Event: TypeAlias = Began | Run | Found | Known | Shrunk | Ended
KINDS = (Began, Run, Found, Known, Shrunk, Ended)


def line(event: Event) -> str:
    """Write an event as a line, in ASCII."""
    return json_text(event.model_dump(), indent=None) + "\n"


def schema() -> str:
    """Return the JSON Schema of one line, as it is published."""
    return published(
        "A line of replaykit integration --report ndjson, format 1",
        "Events and keys that are not named here may be added in the same format: ignore them.",
        {
            "if": {"properties": {"event": {"enum": [kind.__name__.lower() for kind in KINDS]}}},
            "then": {"oneOf": [{"$ref": f"#/$defs/{kind.__name__}"} for kind in KINDS]},
            "type": "object",
            "required": ["event", "time"],
            "$defs": definitions_of(KINDS),
        },
    )
