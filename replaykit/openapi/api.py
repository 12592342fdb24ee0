"""Api: the adapter of a contract, which asks operations, and compares the answers with what is described."""

import json
from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args, get_origin
from urllib.parse import urlsplit

from replaykit import gen
from replaykit.adapter import Adapter
from replaykit.command import Command, Entity, Event, Ref
from replaykit.errors import DescriptionError
from replaykit.generator import Generator
from replaykit.model import Model
from replaykit.openapi.contract import At, NotDone, Refused, Undescribed
from replaykit.openapi.description import Description, accept, read
from replaykit.openapi.fit import Fit
from replaykit.openapi.operation import Operation, operations_of
from replaykit.openapi.request import options, path_of, spoil
from replaykit.openapi.schema import members
from replaykit.value import InvalidValueError, JsonData, fields_of, parse

E = TypeVar("E", bound=Event)
M = TypeVar("M", bound=Model)

NOT_FOUND = {404, 410}
ANYWHERE = {401, 403, 404, 405, 406, 408, 410, 412, 413, 414, 415, 417, 421, 425, 426, 428, 429, 431, 451}


class Plan:
    """The description that lies beside a module, ready to be asked by."""

    def __init__(self, description: Description) -> None:
        self.description = description
        self.fit = Fit(description)
        self.needed: dict[str, set[str]] = {}  # members that the body of an endpoint must have

    @classmethod
    def beside(cls, module: str) -> "Plan":
        """Read openapi.json in the folder of a module file. Raises MissingFileError, DescriptionError, UsageError."""
        made = cls(accept(read(Path(module).parent / "openapi.json")))
        made.operations  # noqa: B018  what is wrong in them is told at once
        return made

    @cached_property
    def operations(self) -> dict[str, Operation]:
        """All operations, by method and path."""
        return {each.endpoint: each for each in operations_of(self.description)}

    def fitting(self, pointer: str, generator: Generator) -> Generator:
        """Give those values of a generator that fit the schema at a pointer."""
        return gen.filter(generator, partial(self.fit_of_requests.is_met, pointer))

    @cached_property
    def fit_of_requests(self) -> Fit:
        """What says of a value whether it may be sent."""
        return Fit(self.description, is_request=True)

    def operation(self, endpoint: str) -> Operation:
        """Return the operation of a method and a path. Raises DescriptionError."""
        try:
            return self.operations[endpoint]
        except KeyError:
            raise DescriptionError(f"{endpoint} is not described.", "Make the model again: replaykit init.") from None


class ContractApi(Adapter[M]):
    """The adapter of a contract: it asks operations, and compares the answers with what is described."""

    plan: ClassVar[Plan]

    base: str = ""  # what all paths begin with, where the URL of the service has no path of its own

    def ask(
        self,
        command: Command,
        kind: type[E],
        endpoint: str,
        /,
        *,
        path: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        header: Mapping[str, Any] | None = None,
        cookie: Mapping[str, Any] | None = None,
        body: Any = None,
        **known: Any,
    ) -> E | NotDone:
        """Ask an operation, and return what was heard; `known` are fields of the event that no answer has to say.

        What is None is left out, but for a member that a body must have. Where the command has something `wrong`
        in it, that goes into the request.
        """
        operation = self.plan.operation(endpoint)
        said: dict[str, Any] = {
            "path": dict(path or {}),
            "query": {**self.credentials("query"), **dict(query or {})},
            "header": {**dict(header or {})},
            "cookie": {**self.credentials("cookie"), **dict(cookie or {})},
            "body": self._body(operation, _spelled(body)),
        }
        said = {place: _spelled(values) for place, values in said.items()}
        wrong = getattr(command, "wrong", None)
        if isinstance(wrong, list) and len(wrong) > 1:
            spoil(said, *wrong)
        place = self.below(path_of(operation, said["path"]))
        answer = self.http.request(operation.method, place, **options(operation, said))
        return self.hear(operation, kind, answer, known)

    def below(self, path: str) -> str:
        """Return where a path of the description stands on the service."""
        has_own = urlsplit(self.http.origin).path.strip("/")
        return path if has_own else self.base.rstrip("/") + path

    def credentials(self, place: str) -> dict[str, str]:
        """Return keys that go into the query or into cookies; override it."""
        del place
        return {}

    def _body(self, operation: Operation, body: Any) -> Any:
        if not isinstance(body, dict) or operation.body is None or not operation.body.schema:
            return body
        needed = self._needed(operation.endpoint, operation.body.schema)
        return {name: value for name, value in body.items() if value is not None or name in needed}

    def _needed(self, endpoint: str, pointer: str) -> set[str]:
        needed = self.plan.needed
        if endpoint not in needed:
            inside = members(self.plan.description, pointer)
            needed[endpoint] = {name for name, member in inside.items() if member.is_required}
        return needed[endpoint]

    def hear(self, operation: Operation, kind: type[E], answer: Any, known: Mapping[str, Any]) -> E | NotDone:
        """Turn an answer into an event."""
        status: int = answer.status_code
        where = f"{status} of {operation.endpoint}"
        is_refusal = 400 <= status < 500  # noqa: PLR2004
        if operation.reply(status) is None and not (is_refusal and _may_be_given(operation, status)):
            return Undescribed(status=where)
        data, trouble = self._content(operation, answer)
        if trouble is not None:
            return Undescribed(looks=f"{where}: {trouble}")
        if is_refusal:
            return Refused(status=status, missing=status in NOT_FOUND)
        found = self._event(kind, data, answer, dict(known))
        return found if found is not None else Undescribed(looks=f"{where}: what it should show is missing")

    def _content(self, operation: Operation, answer: Any) -> tuple[JsonData, str | None]:
        """Read the JSON of an answer; return it, and what is wrong with it."""
        reply = operation.reply(answer.status_code)
        content_type = str(answer.headers.get("content-type", "")).partition(";")[0].strip().lower()
        contents = reply.contents if reply is not None and operation.method != "HEAD" else {}
        pointer = _schema_for(contents, content_type)
        if contents and pointer is None:
            return None, f"its content type is {content_type or 'missing'}, and not {', '.join(contents)}"[:200]
        data: JsonData = None
        if content_type.endswith("json") and operation.method != "HEAD":
            try:
                data = json.loads(answer.content)
            except (ValueError, RecursionError):
                return None, "it is no JSON" if contents else None
        return data, self.plan.fit.trouble(pointer, data) if pointer and content_type.endswith("json") else None

    def _event(self, kind: type[E], data: JsonData, answer: Any, known: dict[str, Any]) -> E | None:
        fields: dict[str, Any] = {}
        for name, annotation, metadata, required in fields_of(kind):
            place = next((each for each in metadata if isinstance(each, At)), None)
            if name in known:
                fields[name] = known[name]
            elif place is not None:
                found = self._found(place.pointer, annotation, data, answer)
                if found is not None:
                    fields[name] = found
                elif required and type(None) not in get_args(annotation):
                    return None
                elif required:
                    fields[name] = None
            elif name == "status":
                fields[name] = answer.status_code
        said = {name: _as_data(value) for name, value in fields.items()}
        try:
            return parse(kind, said, {"refs": self.refs})
        except InvalidValueError:
            return None

    def _found(self, pointer: str, annotation: Any, data: JsonData, answer: Any) -> Any:
        entity = _entity_in(annotation)
        if pointer == "Location":
            location = str(answer.headers.get("location", "")).rstrip("/").rpartition("/")[2]
            return self.ref(entity, location) if location and entity is not None else None
        found = _look(data, pointer.split("/")[1:])
        if entity is None:
            return found
        if isinstance(found, list):
            return [self.ref(entity, each) for each in found if isinstance(each, str | int)]
        return self.ref(entity, found) if isinstance(found, str | int) else None


def _may_be_given(operation: Operation, status: int) -> bool:
    """Say whether a refusal that is not described may be given: by any service, or since none is."""
    described = any(name.startswith("4") or name == "default" for name in operation.replies)
    return status in ANYWHERE or not described


def _schema_for(contents: Mapping[str, str], content_type: str) -> str | None:
    """Return the pointer of the schema for a content type; None where that is not described."""
    for name, pointer in contents.items():
        told = name.partition(";")[0].strip().lower()
        kind, _, sub = told.partition("/")
        if told in {content_type, "*/*"} or (sub == "*" and content_type.startswith(f"{kind}/")):
            return pointer
    return next((pointer for name, pointer in contents.items() if _both_json(name, content_type)), None)


def _both_json(told: str, seen: str) -> bool:
    return told.partition(";")[0].strip().lower().endswith("json") and seen.endswith("json")


def _entity_in(annotation: Any) -> type[Entity] | None:
    """Return the entity of a Ref, a list of them, or one that may be None."""
    if get_origin(annotation) is Ref:
        [entity] = get_args(annotation)
        return entity if isinstance(entity, type) else None
    return next((found for each in get_args(annotation) if (found := _entity_in(each)) is not None), None)


def _look(data: JsonData, parts: list[str]) -> JsonData:
    for index, part in enumerate(parts):
        if part == "*":
            if not isinstance(data, list):
                return None
            return [found for each in data if (found := _look(each, parts[index + 1 :])) is not None]
        name = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(data, dict) or name not in data:
            return None
        data = data[name]
    return data


def _as_data(value: Any) -> JsonData:
    if isinstance(value, Ref):
        return value.label
    if isinstance(value, list):
        return [_as_data(each) for each in value]
    return value


def _spelled(value: Any) -> Any:
    """Put the service's own ids in the place of refs."""
    if isinstance(value, Ref):
        return value.id
    if isinstance(value, dict):
        return {name: _spelled(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_spelled(each) for each in value]
    return value
