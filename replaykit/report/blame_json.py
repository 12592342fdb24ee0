"""JSON: what a bisect came to, in one document; a surface that other programs read."""

import json
from typing import Any

from replaykit.blame import Blame
from replaykit.document import json_text
from replaykit.surface import schema_for
from replaykit.value import Record
from replaykit.version import __version__


class Cover(Record):
    """What stands in the document beside the blame itself."""

    tool: str = f"replaykit {__version__}"
    exit_code: int


def document(blame: Blame) -> dict[str, Any]:
    """Return the document as plain data: the keys of the blame, and those of its cover."""
    data = blame.model_dump()
    return {"version": data.pop("version"), **Cover(exit_code=blame.exit_code).model_dump(), **data}


def render(blame: Blame) -> str:
    """Write what a bisect came to as JSON, in ASCII."""
    return json_text(document(blame)) + "\n"


def schema() -> str:
    """Return the JSON Schema of the document, as it is published."""
    found, cover = (json.loads(schema_for(kind, _TITLE)) for kind in (Blame, Cover))
    version = found["properties"].pop("version")
    found["properties"] = {"version": version, **cover["properties"], **found["properties"]}
    for name, said in _DESCRIBED.items():
        found["properties"][name]["description"] = said
    found["required"] = list(found["properties"])
    return json.dumps(found, indent=2) + "\n"


_DESCRIBED = {
    "culprit": "The point that brought the bug; where `fix` is true, the one that mended it.",
    "near": "The newer end: the bad one; where `fix` is true, the good one.",
    "revision": "The commit at which the bundle was recorded, if it comes before the newer end.",
}
_TITLE = "What replaykit bisect --json prints, version 1"
