"""JSON: all that is known of a campaign, in one document; a surface that other programs read."""

import json

from replaykit.account import Account
from replaykit.document import json_text
from replaykit.value import JsonData, Record, schema_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def render(account: Account, *, indent: int | None = 2) -> str:
    """Write a campaign as JSON, in ASCII; without an indent, in one line."""
    return json_text(account.model_dump(), indent=indent) + "\n"


def schema() -> str:
    """Return the JSON Schema of the report, as it is published."""
    return schema_for(Account, "Report of replaykit integration, format 1")


def schema_for(kind: type[Record], title: str) -> str:
    """Return the JSON Schema of a record in which all keys are always there."""
    document = opened(schema_of(kind))
    for each in (document, *document.get("$defs", {}).values()):
        each["required"] = list(each["properties"])
    return (
        json.dumps(
            {
                "$schema": DIALECT,
                "title": title,
                "description": "Keys that are not named here may be added in the same format: ignore them.",
                **{key: value for key, value in document.items() if key not in {"title", "description"}},
            },
            indent=2,
        )
        + "\n"
    )


def opened(schema: JsonData) -> JsonData:
    """Return a schema that allows for keys that a later version adds."""
    if isinstance(schema, dict):
        return {key: opened(each) for key, each in schema.items() if key != "additionalProperties" or each is not False}
    return [opened(each) for each in schema] if isinstance(schema, list) else schema
