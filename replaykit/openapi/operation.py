"""Operation: one thing that a description says can be asked, with all that its parts refer to looked up."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from replaykit.openapi.description import Description, escaped
from replaykit.openapi.schema import require_sound
from replaykit.value import JsonData

Place: TypeAlias = Literal["path", "query", "header", "cookie"]
BodyKind: TypeAlias = Literal["json", "form", "multipart"]

_STYLES: dict[Place, str] = {"path": "simple", "query": "form", "header": "simple", "cookie": "form"}
_OURS = {"accept", "content-type", "authorization"}  # headers that are no parameters (OpenAPI, "Parameter Object")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter, and where its schema stands."""

    name: str
    place: Place
    is_required: bool
    schema: str  # pointer; "" where there is none
    style: str
    explode: bool
    as_json: bool  # its value is written as JSON
    said: dict[str, JsonData] = field(compare=False)  # the object itself


@dataclass(frozen=True, slots=True)
class Body:
    """What a request brings along, in the content type that is chosen."""

    content_type: str
    kind: BodyKind
    is_required: bool
    schema: str  # pointer
    said: dict[str, JsonData] = field(compare=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is described, of a status, a range of them (4XX), or any other (default)."""

    status: str
    contents: dict[str, str]  # content type -> pointer of its schema; "" where it has none
    links: dict[str, dict[str, JsonData]]

    @property
    def json(self) -> str | None:
        """The pointer of the schema of its JSON; None where it has none."""
        return next((pointer for name, pointer in self.contents.items() if is_json(name) and pointer), None)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a description."""

    method: str
    path: str
    pointer: str
    name: str  # its operationId, or ""
    summary: str
    is_deprecated: bool
    parameters: tuple[Parameter, ...]
    body: Body | None
    replies: dict[str, Reply]
    security: tuple[tuple[str, ...], ...]  # names of schemes; each of the tuples is enough
    notes: tuple[str, ...]  # what can't be asked of it

    @property
    def endpoint(self) -> str:
        """Method and path, as in "GET /pets/{petId}"."""
        return f"{self.method} {self.path}"

    def reply(self, status: int) -> Reply | None:
        """Return what is said of a status: exactly, of its range, or of all others."""
        for name in (str(status), f"{status // 100}XX", f"{status // 100}xx", "default"):
            if name in self.replies:
                return self.replies[name]
        return None

    @property
    def success(self) -> Reply | None:
        """The first reply that says that it was done."""
        done = sorted(name for name in self.replies if name.startswith("2"))
        return self.replies[done[0]] if done else self.replies.get("default")

    @property
    def short_name(self) -> str:
        """Its operationId without the path and the method that FastAPI puts behind each (`generate_unique_id`)."""
        tail = re.sub(r"\W", "_", self.path) + f"_{self.method.lower()}"
        return self.name.removesuffix(tail) or self.name

    def in_path(self) -> list[Parameter]:
        """List the parameters of the path, in its order."""
        chosen = [each for each in self.parameters if each.place == "path"]
        return sorted(chosen, key=lambda each: self.path.find(f"{{{each.name}}}"))


def is_json(content_type: str) -> bool:
    """Say whether a content type is JSON, as application/problem+json is."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind in {"application/json", "text/json", "*/*", "application/*"} or kind.endswith("+json")


def operations_of(description: Description) -> Iterator[Operation]:
    """List the operations of a description, in its order. Raises DescriptionError."""
    known: dict[str, int] = {}
    for method, path, pointer in description.operations():
        made = _operation(description, method, path, pointer)
        said = [each.schema for each in made.parameters] + ([made.body.schema] if made.body is not None else [])
        said += [each for reply in made.replies.values() for each in reply.contents.values()]
        require_sound(description, said, known)
        yield made


def _operation(description: Description, method: str, path: str, pointer: str) -> Operation:
    _, said = description.within(pointer)
    notes: list[str] = []
    parameters: dict[tuple[str, str], Parameter] = {}
    above = pointer.rpartition("/")[0]
    for place in (above, pointer):
        listed = description.at(place).get("parameters", [])
        for index in range(len(listed) if isinstance(listed, list) else 0):
            found = _parameter(description, f"{place}/parameters/{index}")
            if found is not None:
                parameters[found.place, found.name] = found
    named = {each.name for each in parameters.values() if each.place == "path"}
    for part in _templates(path):
        if part not in named:
            parameters["path", part] = Parameter(part, "path", True, "", "simple", False, False, {})
    kept = [each for each in parameters.values() if each.place != "path" or f"{{{each.name}}}" in path]
    default = description.document.get("security", [])
    name = said.get("operationId")
    return Operation(
        method=method,
        path=path,
        pointer=pointer,
        name=name if isinstance(name, str) else "",
        summary=next((text for key in ("summary", "description") if isinstance(text := said.get(key), str)), ""),
        is_deprecated=said.get("deprecated") is True,
        parameters=tuple(kept),
        body=_body(description, pointer, said, notes),
        replies=_replies(description, pointer, said),
        security=_security(said.get("security", default)),
        notes=tuple(notes),
    )


def _templates(path: str) -> list[str]:
    return [part.partition("}")[0] for part in path.split("{")[1:] if "}" in part]


def _parameter(description: Description, pointer: str) -> Parameter | None:
    place, said = description.within(pointer)
    name, where = said.get("name"), said.get("in")
    if (
        not isinstance(name, str)
        or not isinstance(where, str)
        or where not in _STYLES
        or (where == "header" and name.lower() in _OURS)
    ):
        return None
    schema, as_json = f"{place}/schema" if "schema" in said else "", False
    content = said.get("content")
    if not schema and isinstance(content, dict) and content:
        kind = next(iter(content))
        schema, as_json = f"{place}/content/{escaped(kind)}/schema", is_json(kind)
        schema = schema if isinstance(content[kind], dict) and "schema" in content[kind] else ""
    style = said.get("style", _STYLES[where])
    explode = said.get("explode", style == "form")
    return Parameter(
        name, where, where == "path" or said.get("required") is True, schema, str(style), explode is True, as_json, said
    )


_FORM, _MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"


def _body(description: Description, pointer: str, said: dict[str, Any], notes: list[str]) -> Body | None:
    if not isinstance(said.get("requestBody"), dict):
        return None
    place, body = description.within(f"{pointer}/requestBody")
    content = body.get("content")
    kinds = [name for name in content if isinstance(content[name], dict)] if isinstance(content, dict) else []
    ways: tuple[tuple[BodyKind, list[str]], ...] = (
        ("json", [name for name in kinds if is_json(name)]),
        ("form", [name for name in kinds if name.startswith(_FORM)]),
        ("multipart", [name for name in kinds if name.startswith(_MULTIPART)]),
    )
    for kind, names in ways:
        if names:
            chosen = content[names[0]]
            schema = f"{place}/content/{escaped(names[0])}/schema" if "schema" in chosen else ""
            name = "application/json" if "*" in names[0] else names[0]
            return Body(name, kind, body.get("required") is True, schema, chosen)
    if kinds:
        notes.append(f"sends {', '.join(kinds)}, which is not made")
    return None


def _replies(description: Description, pointer: str, said: dict[str, Any]) -> dict[str, Reply]:
    replies: dict[str, Reply] = {}
    listed = said.get("responses")
    for status in listed if isinstance(listed, dict) else ():
        if status.startswith("x-"):
            continue
        place, reply = description.within(f"{pointer}/responses/{escaped(status)}")
        contents, links = reply.get("content"), reply.get("links")
        replies[status] = Reply(
            status,
            {
                name: f"{place}/content/{escaped(name)}/schema" if isinstance(each, dict) and "schema" in each else ""
                for name, each in (contents.items() if isinstance(contents, dict) else ())
            },
            {
                name: description.within(f"{place}/links/{escaped(name)}")[1]
                for name in (links if isinstance(links, dict) else ())
            },
        )
    return replies


def _security(said: JsonData) -> tuple[tuple[str, ...], ...]:
    if not isinstance(said, list):
        return ()
    return tuple(tuple(each) for each in said if isinstance(each, dict))
