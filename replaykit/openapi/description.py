"""Description: an OpenAPI document that was read, checked, and written anew in one dialect.

A document of version 3.0 is turned into one of 3.1, whose schemas are JSON Schema 2020-12 (OpenAPI Specification 3.1.0,
"Schema Object"; its appendix on migration lists the differences), so that all that comes after knows one dialect.
Refs lead to places inside of the document; nothing is ever fetched.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from replaykit import yaml
from replaykit.errors import DescriptionError, MissingFileError
from replaykit.value import JsonData

MAX_FILE = 16 * 1024 * 1024  # bytes
MAX_DEPTH = 100
MAX_NODES = 1_000_000
MAX_OPERATIONS = 1000
MAX_REFS = 50  # that lead from one to the next
OBSERVED = "x-replaykit-observed"
SEAL = "x-replaykit-digest"  # of the document without it: whoever changes one breaks it

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_NESTED = ("items", "additionalProperties", "not", "contains", "propertyNames", "if", "then", "else", "schema")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_MAPS = ("properties", "patternProperties", "$defs", "dependentSchemas")
_LOCAL = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?(/[A-Za-z0-9._~/-]*)?")
_BASE = re.compile(r"(?:https?://[^/?#]*)?((?:/[A-Za-z0-9._~-]+)+)")
_DROPPED = ("$id", "$schema", "$anchor", "$dynamicAnchor", "$dynamicRef")  # they would change what a ref means


@dataclass(frozen=True, slots=True)
class Description:
    """An OpenAPI document of version 3.1, as plain data."""

    document: dict[str, JsonData]
    notes: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """What the service is called."""
        told = self.document.get("info")
        title = told.get("title") if isinstance(told, dict) else None
        return title if isinstance(title, str) and title.strip() else "service"

    @property
    def servers(self) -> list[str]:
        """The URLs of the servers, with the defaults of their variables; the first ones are those on this machine."""
        listed = self.document.get("servers")
        found: list[str] = []
        for each in listed if isinstance(listed, list) else ():
            url = each.get("url") if isinstance(each, dict) else None
            if isinstance(url, str):
                found.append(_filled(url, each.get("variables")).rstrip("/"))
        return sorted(found, key=lambda url: _LOCAL.fullmatch(url) is None)

    @property
    def local(self) -> str | None:
        """The first server on this machine: others are for real, and no place to try things out."""
        return next((url for url in self.servers if _LOCAL.fullmatch(url)), None)

    @property
    def base(self) -> str:
        """The path that all others stand below: that of the first server."""
        found = _BASE.fullmatch(next(iter(self.servers), ""))
        return found[1] if found is not None else ""

    @property
    def is_observed(self) -> bool:
        """Whether it was made of what was seen, so that what it does not name may be there."""
        return self.document.get(OBSERVED) is True

    def at(self, pointer: str) -> JsonData:
        """Return what stands at a JSON pointer (RFC 6901); raise DescriptionError where nothing does."""
        found: Any = self.document
        for part in pointer.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and name.isdecimal() and len(name) < 9 and int(name) < len(found):  # noqa: PLR2004
                found = found[int(name)]
            elif isinstance(found, dict) and name in found:
                found = found[name]
            else:
                raise DescriptionError(f"The ref #{pointer} leads nowhere.", "Mend the description.")
        return found

    def follow(self, pointer: str) -> tuple[str, JsonData]:
        """Follow the refs at a pointer; return where they lead to, and what stands there."""
        for _ in range(MAX_REFS):
            found = self.at(pointer)
            if not (isinstance(found, dict) and isinstance(found.get("$ref"), str)):
                return pointer, found
            pointer = local(found["$ref"])
        raise DescriptionError(f"The refs at #{pointer} lead to each other.", "Mend the description.")

    def within(self, pointer: str, kind: type = dict) -> tuple[str, Any]:
        """Follow the refs at a pointer to what is of a kind. Raises DescriptionError for what is not."""
        place, found = self.follow(pointer)
        if not isinstance(found, kind):
            word = "an object" if kind is dict else "a list"
            raise DescriptionError(f"#{place} is not {word}.", "Mend the description.")
        return place, found

    def operations(self) -> Iterator[tuple[str, str, str]]:
        """List what can be asked: method, path, and the pointer to it, in the order of the text."""
        for path in self.document["paths"]:
            if not path.startswith("/"):
                continue
            place, item = self.within(f"/paths/{escaped(path)}")
            for method in _METHODS:
                if method in item:
                    yield method.upper(), path, f"{place}/{method}"


def sealed(document: dict[str, JsonData]) -> dict[str, JsonData]:
    """Put the digest of a document into it."""
    bare = {name: each for name, each in document.items() if name != SEAL}
    return {**bare, SEAL: hashlib.sha256(json.dumps(bare, sort_keys=True).encode()).hexdigest()}


def is_mended(text: str) -> bool:
    """Say whether the text of a sealed document was changed since, or is of none."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return True
    return not isinstance(document, dict) or sealed(document) != document


def _filled(url: str, variables: JsonData) -> str:
    """Put the defaults of its variables into the URL of a server (OpenAPI 3.1.0, "Server Object")."""
    for name, said in variables.items() if isinstance(variables, dict) else ():
        default = said.get("default") if isinstance(said, dict) else None
        url = url.replace(f"{{{name}}}", default) if isinstance(default, str) else url
    return url


def escaped(name: str) -> str:
    """Write a name as a part of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def local(ref: str) -> str:
    """Return the pointer of a ref to a place in the document. Raises DescriptionError for any other."""
    if ref == "#" or ref.startswith("#/"):
        from urllib.parse import unquote

        return unquote(ref[1:])
    raise DescriptionError(
        f"The ref {ref[:200]!r} leads to another document, and nothing is fetched.",
        "Put the parts into one file first: npx @redocly/cli bundle openapi.yaml -o bundled.yaml",
    )


# --- reading ------------------------------------------------------------------------------------


def read(path: Path) -> JsonData:
    """Read a file in JSON or YAML as plain data. Raises MissingFileError, DescriptionError."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
    except OSError as error:
        raise MissingFileError(f"{path} can't be read: {error.strerror}.", "Name the OpenAPI file.") from None
    if len(content) > MAX_FILE:
        raise DescriptionError(f"{path} has more than {MAX_FILE >> 20} MB.", "Name an OpenAPI file.")
    try:
        if content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
            return json.loads(content.decode("utf-8-sig"), parse_constant=_refuse)
        return yaml.load(content)
    except RecursionError:
        raise DescriptionError(f"{path} is nested more than {MAX_DEPTH} deep.", "Name an OpenAPI file.") from None
    except ValueError as error:
        raise DescriptionError(f"{path} can't be read: {error}.", "An OpenAPI file is JSON or YAML.") from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number that JSON knows")


def accept(document: JsonData) -> Description:
    """Check a document and turn it into the one dialect. Raises DescriptionError for what is none."""
    if not isinstance(document, dict):
        raise DescriptionError("This is no OpenAPI document: it is no object.", "Name an OpenAPI file, 3.0 or 3.1.")
    version = document.get("openapi")
    if "swagger" in document:
        raise DescriptionError(
            f"This is Swagger {document['swagger']}, which came before OpenAPI 3.",
            "Turn it into OpenAPI 3 first: npx swagger2openapi swagger.json -o openapi.json",
        )
    if not isinstance(version, str) or not version.startswith(("3.0", "3.1")):
        said = f"its version is {version!r}" if version is not None else "it has no `openapi: 3.1.0`"
        todo = "Name one of these." if "log" not in document else "If it is recorded traffic, name it with --har."
        raise DescriptionError(f"This is no OpenAPI document of 3.0 or 3.1: {said:.80}.", todo)
    if not isinstance(document.get("paths"), dict) or not document["paths"]:
        raise DescriptionError("The description has no paths, so there is nothing to ask.", "Name one that has some.")
    _measure(document)
    made: dict[str, JsonData] = _without_schema_names(json.loads(json.dumps(document)))
    if version.startswith("3.0"):
        _modernise(made)
        made["openapi"] = "3.1.0"
    description = Description(made)
    for count, _ in enumerate(description.operations()):
        if count == MAX_OPERATIONS:
            raise DescriptionError(
                f"The description has more than {MAX_OPERATIONS} operations.", "Take those out that are not asked."
            )
    for ref in _refs_in(made):
        description.follow(local(ref))
    return description


def _measure(document: JsonData) -> None:
    """Raise DescriptionError for what is too deep, too much, or can't be said in JSON."""
    waiting, count = [(document, 1)], 0
    while waiting:
        node, depth = waiting.pop()
        count += 1
        if depth > MAX_DEPTH or count > MAX_NODES:
            raise DescriptionError(
                f"The description is nested more than {MAX_DEPTH} deep, or has more than {MAX_NODES} parts.",
                "Nobody writes such a file by hand; look where it comes from.",
            )
        if isinstance(node, dict):
            if not all(isinstance(name, str) and _is_unicode(name) for name in node):
                raise DescriptionError("A key of the description is no text.", "Mend the description.")
            waiting += [(each, depth + 1) for each in node.values()]
        elif isinstance(node, list):
            waiting += [(each, depth + 1) for each in node]
        elif isinstance(node, str) and not _is_unicode(node):
            raise DescriptionError(f"{ascii(node)[:40]} in the description has half a character.", "Mend it.")
        elif isinstance(node, float) and not math.isfinite(node):
            raise DescriptionError("A number of the description is not finite.", "Mend the description.")
        elif not (node is None or isinstance(node, str | int | float | bool)):
            raise DescriptionError(f"{str(node)[:40]!r} in the description can't be said in JSON.", "Mend it.")


def _is_unicode(text: str) -> bool:
    """Say whether a text has no surrogates that stand alone, which no file can hold."""
    return text.isascii() or not any("\ud800" <= each <= "\udfff" for each in text)


def _without_schema_names(document: dict[str, JsonData]) -> dict[str, JsonData]:
    """Take out what gives schemas names of their own: a ref is a place in this document here."""
    waiting: list[JsonData] = [document]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            for name in _DROPPED:
                if isinstance(node.get(name), str):
                    del node[name]
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
    return document


def _refs_in(document: JsonData) -> Iterator[str]:
    waiting = [document]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            waiting += [each for name, each in node.items() if name not in {"example", "examples", "default", "enum"}]
        elif isinstance(node, list):
            waiting += node


# --- from 3.0 to 3.1 ----------------------------------------------------------------------------


def _modernise(document: dict[str, JsonData]) -> None:
    """Turn all schemas of a 3.0 document into those of 3.1, in place."""
    parts = document.get("components")
    schemas = parts.get("schemas") if isinstance(parts, dict) else None
    for each in schemas.values() if isinstance(schemas, dict) else ():
        _modern(each)
    waiting: list[JsonData] = [document]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if isinstance(node.get("schema"), dict):
                _modern(node["schema"])
            waiting += [each for name, each in node.items() if name not in {"schema", "schemas", "example", "examples"}]
        elif isinstance(node, list):
            waiting += node


def _modern(schema: JsonData) -> None:
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:  # what stands beside a ref does not count in 3.0
        ref = schema["$ref"]
        schema.clear()
        schema["$ref"] = ref
        return
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(schema.get(exclusive), bool) and schema.pop(exclusive) and bound in schema:
            schema[exclusive] = schema.pop(bound)
    if "example" in schema:
        schema.setdefault("examples", [schema.pop("example")])
    for name in _NESTED:
        _modern(schema.get(name))
    for name in _LISTS:
        for each in schema[name] if isinstance(schema.get(name), list) else ():
            _modern(each)
    for name in _MAPS:
        for each in schema[name].values() if isinstance(schema.get(name), dict) else ():
            _modern(each)
    if schema.pop("nullable", False) is True:
        _admit_null(schema)


def _admit_null(schema: dict[str, JsonData]) -> None:
    if isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
        if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
        return
    kept = dict(schema)
    schema.clear()
    schema["anyOf"] = [kept, {"type": "null"}]
    for name in ("readOnly", "writeOnly"):
        if name in kept:
            schema[name] = kept.pop(name)
