"""Schema: what each line of a bundle may say, as JSON Schema; made from the records that the reader reads.

It speaks of the JSON of one line, after the escapes for YAML are undone. Keys and kinds that it does not know are
allowed, as they are by the reader.
"""

import json
from typing import Any

from replaykit.bundle import MAX_RUNS, MAX_SECONDS, NONCE, Origin, Provenance
from replaykit.interaction import STATUSES, Cut
from replaykit.sequence import Call
from replaykit.trace import Ending
from replaykit.value import JsonData, Record, schema_of
from replaykit.verdict import Failure
from replaykit.version import BUNDLE_FORMAT

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _End(Record):
    ending: Ending
    reason: str
    records: int
    sha256: str


_LEFT_OUT = {"additionalProperties", "default", "description", "title", "$defs"}
_STEP: JsonData = {"type": "integer"}
_TEXT: JsonData = {"type": "string"}
_BYTES: JsonData = {"description": "Bytes, read as Latin-1.", "type": "string", "pattern": "^[\\u0000-\\u00ff]*$"}
_STATUS: JsonData = {"type": "integer", "minimum": STATUSES[0], "maximum": STATUSES[-1]}
_COUNT: JsonData = {"type": "integer", "minimum": 0}
_OBJECT: JsonData = {"type": "object"}
_SECONDS: JsonData = {"type": "number", "minimum": 0, "maximum": MAX_SECONDS}
_BASE64: JsonData = {"type": "string", "pattern": "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"}
_URL: JsonData = {"type": "string", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://"}
_PAIRS: JsonData = {
    "type": "array",
    "items": {"type": "array", "items": _BYTES, "minItems": 2, "maxItems": 2},
}
_GROUPED: JsonData = {
    "type": "object",
    "propertyNames": _BYTES,
    "additionalProperties": {"anyOf": [_BYTES, {"type": "array", "items": _BYTES}]},
}
_BODY: JsonData = {
    "description": "Text; or bytes, where the line has YAML's !!binary.",
    "anyOf": [
        _TEXT,
        {"type": "null"},
        {"type": "object", "properties": {"!!binary": _BASE64}, "required": ["!!binary"]},
    ],
}
_PART: JsonData = {"type": "string", "examples": ["reset", "command", "observe", "end", "recorded"]}
_CUT: JsonData = {"$ref": "#/$defs/cut"}


def _shape(required: dict[str, JsonData], **optional: JsonData) -> JsonData:
    return {"type": "object", "properties": {**required, **optional}, "required": list(required)}


def document() -> dict[str, JsonData]:
    """Return the schema of the JSON in one line of a bundle."""
    kinds = {
        "bundle": _bundle(),
        "command": _command(),
        "nonce": _shape({"nonce": {"type": "string", "pattern": f"^(?:{NONCE.pattern})$"}}),
        "event": _shape({"step": _STEP, "tag": _TEXT, "version": {"type": "integer"}, "data": _OBJECT}),
        "observation": _shape({"tag": _TEXT, "version": {"type": "integer"}, "data": _OBJECT}, step=_STEP),
        "moment": _shape({"step": _STEP, "called": _SECONDS}, returned={"anyOf": [_SECONDS, {"type": "null"}]}),
        "state": _shape({"step": _STEP, "data": _OBJECT}),
        "net": _net(),
        "failure": _failure(),
        "end": _end(),
    }
    definitions = {kind: _record(kind, shape) for kind, shape in kinds.items()}
    return {
        "$schema": DIALECT,
        "title": f"One line of a replaykit bundle, format {BUNDLE_FORMAT}",
        "description": "The JSON after `- ` or `# `, the escapes for YAML undone. Unknown kinds and keys are kept.",
        "type": "object",
        "if": {"required": ["k"]},
        "then": {
            "properties": {"k": _TEXT},
            "allOf": [
                {"if": {"properties": {"k": {"const": kind}}}, "then": {"$ref": f"#/$defs/{kind}"}} for kind in kinds
            ],
        },
        "else": {"$ref": "#/$defs/interaction"},
        "$defs": {**definitions, "interaction": _interaction(), "cut": _open(schema_of(Cut))},
    }


def text() -> str:
    """Write the schema as it stands in docs/reference/bundle.schema.json."""
    return json.dumps(document(), indent=2) + "\n"


def _record(kind: str, shape: JsonData) -> JsonData:
    known = {"k": {"const": kind}, **shape["properties"]}
    return {"type": "object", **shape, "properties": known, "required": ["k", *shape.get("required", [])]}


def _bundle() -> JsonData:
    """Say where a bundle comes from; what a run has to say of it, it says as soon as it names a model."""
    run, shape = _open(schema_of(Provenance)), _open(schema_of(Origin))
    shrinking = run["properties"]["shrinking"]["anyOf"][0]["properties"]
    for key in ("runs", "failed"):
        shrinking[key] = {"anyOf": [{"type": "integer", "minimum": 0, "maximum": MAX_RUNS}, {"type": "null"}]}
    properties = {"format": {"const": BUNDLE_FORMAT}, **run["properties"], "url": {"anyOf": [_URL, {"type": "null"}]}}
    return {
        "properties": properties,
        "required": ["format", *shape.get("required", [])],
        "dependentRequired": {"model": run["required"]},
    }


def _command() -> JsonData:
    shape = _open(schema_of(Call))
    label = shape["properties"].pop("label")
    faults = {"type": "array", "items": {"type": "integer"}}
    own = {"step": label, **shape["properties"], "at": _SECONDS, "faults": faults}
    return {"properties": own, "required": ["step", "tag"]}


def _failure() -> JsonData:
    shape = _open(schema_of(Failure))
    required = [key for key in shape["required"] if key not in {"step", "command"}]
    return {"properties": {**shape["properties"], "fingerprint": _TEXT}, "required": required}


def _end() -> JsonData:
    shape = _open(schema_of(_End))
    shape["properties"]["sha256"] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    shape["properties"]["records"]["minimum"] = 2
    return shape


def _net() -> JsonData:
    request = _shape({"method": _TEXT, "uri": _URL, "headers": _PAIRS, "body": _BASE64})
    response = _shape({"status": _STATUS, "headers": _PAIRS, "body": _BASE64}, reason=_BYTES, http=_BYTES)
    nothing = {"type": "object", "maxProperties": 0}
    return _shape(
        {"request": request}, step=_STEP, part=_PART, before=_COUNT, elapsed=_SECONDS, error=_TEXT, message=_TEXT,
        tampered=_TEXT, response={"anyOf": [nothing, response]}, request_cut=_CUT, response_cut=_CUT,
    )  # fmt: skip


def _interaction() -> JsonData:
    status = _shape({"code": _STATUS}, message=_BYTES)
    ours = _shape(
        {}, step=_STEP, part=_PART, before=_COUNT, http=_BYTES, elapsed=_SECONDS, complete={"type": "boolean"},
        reason=_BYTES, tampered=_TEXT,
        request_headers=_PAIRS, response_headers=_PAIRS, request_cut=_CUT, response_cut=_CUT,
    )  # fmt: skip
    return _shape(
        {
            "request": _shape({"method": _TEXT, "uri": _URL}, body=_BODY, headers=_GROUPED),
            "response": _shape({"status": status, "body": _shape({}, string=_BODY)}, headers=_GROUPED),
        },
        replaykit=ours,
    )


def _open(schema: JsonData) -> JsonData:
    """Allow unknown keys, put definitions where they are used, and leave out what only a generator needs."""
    inside = schema.get("$defs", {})

    def walked(value: JsonData) -> JsonData:
        if isinstance(value, list):
            return [walked(each) for each in value]
        if not isinstance(value, dict):
            return value
        if isinstance(value.get("$ref"), str):
            return walked(inside[value["$ref"].rpartition("/")[2]])
        return {key: walked(each) for key, each in value.items() if key not in _LEFT_OUT}

    found: Any = walked(schema)
    return found
