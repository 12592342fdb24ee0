"""JSON: all that is known of a campaign, in one document; a surface that other programs read."""

from replaykit.account import Account
from replaykit.document import json_text
from replaykit.surface import schema_for


def render(account: Account, *, indent: int | None = 2) -> str:
    """Write a campaign as JSON, in ASCII; without an indent, in one line."""
    return json_text(account.model_dump(), indent=indent) + "\n"


def schema() -> str:
    """Return the JSON Schema of the report, as it is published."""
    return schema_for(Account, "Report of replaykit integration, format 1")
