"""JSON: all that is known of a suite, in one document; a surface that other programs read."""

from replaykit.docket import VERSION, Docket
from replaykit.document import json_text
from replaykit.surface import schema_for


def render(docket: Docket) -> str:
    """Write a suite as JSON, in ASCII."""
    return json_text(docket.model_dump(mode="json")) + "\n"


def schema() -> str:
    """Return the JSON Schema of the report, as it is published."""
    return schema_for(Docket, f"Report of replaykit suite, version {VERSION}")
