"""Surface: what is printed for other programs, published as JSON Schema (draft 2020-12)."""

import json
from collections.abc import Iterable
from typing import Any

from replaykit.value import JsonData, Record, schema_of

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_for(kind: type[Record], title: str) -> str:
    """Return the JSON Schema of a record in which all keys are always there."""
    named = definitions_of([kind])
    document = {key: value for key, value in named.pop(kind.__name__).items() if key not in {"title", "description"}}
    if named:
        document = {"$defs": named, **document}
    return published(title, "Keys that are not named here may be added in the same format: ignore them.", document)


def definitions_of(kinds: Iterable[type[Record]]) -> dict[str, JsonData]:
    """Return the schemas of some records and of all that is in them, by their names; all keys are always there."""
    named: dict[str, JsonData] = {}
    for kind in kinds:
        document = _opened(schema_of(kind))
        named |= document.pop("$defs", {})
        named[kind.__name__] = document
    for each in named.values():
        each["required"] = list(each["properties"])
    return named


def published(title: str, description: str, document: dict[str, Any]) -> str:
    """Write a schema as it is published."""
    head = {"$schema": _DIALECT, "title": title, "description": description}
    return json.dumps({**head, **document}, indent=2) + "\n"


def _opened(schema: JsonData) -> JsonData:
    """Return a schema that allows for keys that a later version adds."""
    if isinstance(schema, dict):
        return {
            key: _opened(each) for key, each in schema.items() if key != "additionalProperties" or each is not False
        }
    return [_opened(each) for each in schema] if isinstance(schema, list) else schema
