"""Contract: what written models and adapters are made of.

An adapter asks an operation of the description that lies beside its module, and hears one of these:

- an event of the operation's own: it was done, and the answer looks as described;
- `Missing`: 404 or 410; `Refused`: any other 4xx that is described, or that any service may give;
- `Unlisted`: a status that is not described; `Unlike`: an answer that does not look as described.

The last two are judged by an invariant each, whatever a command expects, so that the two are two different bugs.

What a model claims beyond that rests on assumptions, each with a name in `JUDGED`. A model that finds one of them wrong
leaves it out: `judged: ClassVar = JUDGED - {"lists"}`.
"""

import json as _json
import math
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar, get_args, get_origin
from urllib.parse import quote

from replaykit import gen
from replaykit.adapter import Adapter
from replaykit.command import Command, Entity, Event, Ref
from replaykit.errors import DescriptionError
from replaykit.generator import Generator
from replaykit.model import Like, Model, fail, invariant, like, on
from replaykit.openapi.description import Description, accept, read
from replaykit.openapi.fit import Fit
from replaykit.openapi.operation import Operation, Parameter, operations_of
from replaykit.value import JsonData, fields_of, parse

E = TypeVar("E", bound=Event)
M = TypeVar("M", bound=Model)
T = TypeVar("T", bound="Thing")

JUDGED = frozenset({"statuses", "schemas", "presence", "values", "removal", "lists"})
NOT_FOUND = {404, 410}
ANYWHERE = {401, 403, 404, 405, 406, 408, 410, 412, 413, 414, 415, 417, 421, 425, 426, 428, 429, 431, 451}
MOST_GONE = 1  # things of a kind that are gone, and are spoken of all the same
CLOSE = 1e-6  # relative difference of numbers that are the same but for how they are kept


# --- what is heard ------------------------------------------------------------------------------


class Refused(Event):
    """The service refuses, with a status that is described, or that any service may give."""

    status: int


class Missing(Event):
    """The service says that there is no such thing: 404 or 410."""

    status: int


class Unlisted(Event):
    """The status of the answer is not described."""

    said: str


class Unlike(Event):
    """The answer does not look as it is described."""

    said: str


NotDone: TypeAlias = Refused | Missing | Unlisted | Unlike
Expected: TypeAlias = tuple[Event | Like[Any], ...]


@dataclass(frozen=True, slots=True)
class At:
    """Where the field of an event stands in an answer: `At("/owner/id")`; `*` is each item of a list."""

    pointer: str


def either(*events: Event | Like[Any]) -> Expected:
    """Expect one of some events, or that the service refuses."""
    return (*events, like(Refused), like(Missing), like(Unlisted), like(Unlike))


REFUSAL: Expected = either()  # what is expected where something in the request is wrong


class Near(Like[Any]):
    """An event with parts left open, in which the spelling of a value does not count: see `is_near`."""

    def admits(self, event: Event) -> bool:
        """Say whether an event is one of those meant; a value that was not said is no claim."""
        return type(event) is self.kind and all(
            (seen := getattr(event, name)) is None or wanted is None or is_near(wanted, seen)
            for name, wanted in self.fields.items()
        )


class Holding(Like[Any]):
    """An event with a list in which some things are, and others are not."""

    def __init__(self, kind: type[Event], name: str, here: Iterable[Ref[Any]], gone: Iterable[Ref[Any]]) -> None:
        here = tuple(here)
        super().__init__(kind, {name: list(here)})  # the simplest one
        self.name, self.here, self.gone = name, tuple(here), tuple(gone)

    def admits(self, event: Event) -> bool:
        """Say whether the list of an event holds what is there, and nothing that is gone."""
        listed = getattr(event, self.name, None)
        return (
            type(event) is self.kind
            and listed is not None
            and all(each in listed for each in self.here)
            and not any(each in listed for each in self.gone)
        )

    def __repr__(self) -> str:
        lacking = f" without {', '.join(map(str, self.gone))}" if self.gone else ""
        return f"{self.kind.__name__}({self.name} with {', '.join(map(str, self.here)) or 'anything'}{lacking})"


def is_near(sent: JsonData, shown: JsonData) -> bool:
    """Say whether a value that is shown is the one that was sent, but for its spelling.

    Services trim and fold texts, round numbers, sort lists, and add members to objects. None of that is a lost value.
    """
    if isinstance(sent, bool) or isinstance(shown, bool):
        return sent is shown
    if isinstance(sent, str) and isinstance(shown, str):
        return _folded(sent) == _folded(shown)
    if isinstance(sent, int | float) and isinstance(shown, int | float):
        if isinstance(sent, int) and isinstance(shown, int):
            return sent == shown
        return math.isclose(sent, shown, rel_tol=CLOSE, abs_tol=CLOSE)
    if isinstance(sent, dict) and isinstance(shown, dict):
        return all(name not in shown or value is None or is_near(value, shown[name]) for name, value in sent.items())
    if isinstance(sent, list) and isinstance(shown, list):
        return len(sent) != len(shown) or all(any(is_near(each, other) for other in shown) for each in sent)
    return bool(sent == shown) or type(sent) is not type(shown)


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


# --- what is known ------------------------------------------------------------------------------


class Thing(Entity):
    """What a model remembers about something that the service made; fields of subclasses are what was shown of it."""

    standing: Literal["here", "unsure", "gone"] = "here"
    parents: tuple[str, ...] = ()

    def forget(self) -> None:
        """Make no claim any more about what it looks like."""
        for name, _, _, _ in fields_of(type(self)):
            if name not in Thing.model_fields:
                setattr(self, name, None)


class Contract(Model):
    """A model of what a description promises: its subclasses are written, and theirs are yours."""

    server_errors: ClassVar[bool] = True
    judged: ClassVar[frozenset[str]] = JUDGED

    unlisted: str = ""  # a status that is not described
    unlike: str = ""  # what of an answer is not as described

    @on
    def status_was_not_described(self, event: Unlisted) -> None:
        if "statuses" in self.judged:
            self.unlisted = event.said
        else:
            self.label(f"not described: {event.said}")

    @on
    def answer_was_not_as_described(self, event: Unlike) -> None:
        if "schemas" in self.judged:
            self.unlike = event.said
        else:
            self.label(f"not as described: {event.said}")

    @invariant
    def statuses_are_described(self) -> None:
        if self.unlisted:
            fail(f"{self.unlisted} is not described")

    @invariant
    def answers_look_as_described(self) -> None:
        if self.unlike:
            fail(f"the answer is not as described: {self.unlike}")


def shelves_of(state: Model) -> Iterator[dict[Ref[Any], Thing]]:
    """List where a model keeps its things: by their refs, one field for each kind."""
    for name in dict.fromkeys(name for names in state.rules.candidates.values() for name in names):
        shelf = getattr(state, name)
        if isinstance(shelf, dict):
            yield shelf


def keep(shelf: dict[Ref[T], T], ref: Ref[T] | None, thing: T, *parents: Ref[Any] | None, status: int = 201) -> None:
    """Remember what was made. A status of 202 says that it will be made later (RFC 9110, section 15.3.3)."""
    if ref is None:
        return
    thing.parents = tuple(sorted({each.label for each in parents if each is not None}))
    thing.standing = "unsure" if status == 202 else "here"  # noqa: PLR2004
    shelf[ref] = thing


def seen(shelf: Mapping[Ref[T], T], ref: Ref[T] | None, **values: Any) -> None:
    """Remember what something looks like now; what is gone is not taken for there because it is still shown."""
    thing = shelf.get(ref) if ref is not None else None
    if thing is None or thing.standing == "gone":
        return
    thing.standing = "here"
    for name, value in values.items():
        setattr(thing, name, value)


def updated(state: Model, shelf: dict[Ref[T], T], ref: Ref[T], status: int = 200, **values: Any) -> None:
    """Remember that something was written anew; it may have been gone before."""
    changed(state, ref)
    if ref in shelf:
        shelf[ref].standing = "here"
        seen(shelf, ref, **values)
        if status == 202:  # noqa: PLR2004
            acted_on(state, ref)


def touched(state: Model, *refs: Ref[Any] | None) -> None:
    """Make no claim any more about what some things look like; what belongs to them stays as it is."""
    labels = {each.label for each in refs if each is not None}
    for shelf in shelves_of(state):
        for ref, thing in shelf.items():
            if ref.label in labels:
                thing.forget()


def changed(state: Model, *refs: Ref[Any] | None) -> None:
    """Make no claim any more about what some things look like, nor about what belongs to them."""
    labels = {each.label for each in refs if each is not None}
    for ref, thing in _with_descendants(state, labels):
        thing.forget()
        if ref.label not in labels:
            thing.standing = "unsure" if thing.standing == "here" else thing.standing


def acted_on(state: Model, *refs: Ref[Any] | None) -> None:
    """Make no claim any more about some things: an action may also have ended them."""
    changed(state, *refs)
    labels = {each.label for each in refs if each is not None}
    for shelf in shelves_of(state):
        for ref, thing in shelf.items():
            if ref.label in labels and thing.standing == "here":
                thing.standing = "unsure"


def removed(state: Model, shelf: dict[Ref[T], T], ref: Ref[T], status: int = 204) -> None:
    """Remember that something is gone, and be unsure of what belonged to it."""
    changed(state, ref)
    if ref in shelf:
        shelf[ref].standing = "unsure" if status == 202 else "gone"  # noqa: PLR2004
    gone = [each for each, thing in shelf.items() if thing.standing == "gone"]
    for each in gone[:-MOST_GONE]:
        del shelf[each]


def shaken(state: Model) -> None:
    """Make no claim any more about anything: an operation that names no thing may have changed all of them."""
    for shelf in shelves_of(state):
        for thing in shelf.values():
            thing.forget()
            thing.standing = "unsure"


def met(shelf: dict[Ref[T], T], refs: Iterable[Ref[T]], kind: type[T], most: int = 10) -> None:
    """Remember what was there before anybody made it, at most so many, with no claim about it."""
    for ref in refs:
        if ref not in shelf and len(shelf) < most:
            shelf[ref] = kind(standing="unsure")


def _with_descendants(state: Model, labels: set[str]) -> Iterator[tuple[Ref[Any], Thing]]:
    known, reached = [pair for shelf in shelves_of(state) for pair in shelf.items()], set(labels)
    grown = True
    while grown:
        grown = False
        for ref, thing in known:
            if ref.label not in reached and reached & {*thing.parents}:
                reached.add(ref.label)
                grown = True
    return ((ref, thing) for ref, thing in known if ref.label in reached)


def shows(
    state: Contract,
    kind: type[Event],
    shelf: Mapping[Ref[T], T],
    ref: Ref[T],
    *parents: Ref[Any] | None,
    values: Iterable[str] = (),
    fades: bool = False,
) -> Expected:
    """Expect that a thing is read as it was made, or as it is told to be gone.

    `values` names what is compared. `fades` says that a thing that was removed may go on being shown, since its
    answer has a field to say so.
    """
    thing = shelf.get(ref)
    others = {each.label for each in parents if each is not None}
    if thing is None or thing.standing == "unsure" or not others <= {*thing.parents}:
        return either(like(kind))
    if thing.standing == "gone":
        return either() if "removal" in state.judged and not fades else either(like(kind))
    claims = {name: getattr(thing, name) for name in values} if "values" in state.judged else {}
    seen = Near(kind, {name: value for name, value in claims.items() if value is not None})
    return (seen, *(each for each in either() if "presence" not in state.judged or not _says_missing(each)))


def _says_missing(event: Event | Like[Any]) -> bool:
    return isinstance(event, Like) and event.kind is Missing


def lists(
    state: Contract,
    kind: type[Event],
    name: str,
    shelf: Mapping[Ref[T], T],
    *parents: Ref[Any] | None,
    whole: bool = True,
    fades: bool = False,
) -> Expected:
    """Expect that a list holds the things that were made where it looks, and none that is gone.

    `whole` is false where something was asked for that leaves things out, such as a page or a filter.
    """
    if "lists" not in state.judged:
        return either(like(kind))
    where = {each.label for each in parents if each is not None}
    among = [(ref, thing) for ref, thing in shelf.items() if where <= {*thing.parents}]
    here = [ref for ref, thing in among if whole and thing.standing == "here"]
    gone = [ref for ref, thing in among if thing.standing == "gone" and "removal" in state.judged and not fades]
    return either(Holding(kind, name, here, gone))


def made_as_sent(state: Contract, kind: type[E], **sent: JsonData) -> Expected:
    """Expect that something is made, and is shown with what was sent."""
    claims = {name: value for name, value in sent.items() if value is not None} if "values" in state.judged else {}
    return either(Near(kind, claims))


# --- how it is asked ----------------------------------------------------------------------------


class Plan:
    """The description that lies beside a module, ready to be asked by."""

    def __init__(self, description: Description) -> None:
        self.description = description
        self.fit = Fit(description)

    @classmethod
    def beside(cls, module: str) -> "Plan":
        """Read openapi.json in the folder of a module file. Raises MissingFileError, DescriptionError, UsageError."""
        return cls(accept(read(Path(module).parent / "openapi.json")))

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

    def ask(
        self,
        command: Command,
        kind: type[E],
        endpoint: str,
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
            _spoil(said, *wrong)
        answer = self.http.request(operation.method, self._path(operation, said["path"]), **_options(operation, said))
        return self.hear(operation, kind, answer, known)

    def credentials(self, place: str) -> dict[str, str]:
        """Return keys that go into the query or into cookies; override it."""
        del place
        return {}

    def _body(self, operation: Operation, body: Any) -> Any:
        if not isinstance(body, dict) or operation.body is None or not operation.body.schema:
            return body
        needed = self._needed(operation.body.schema)
        return {name: value for name, value in body.items() if value is not None or name in needed}

    def _needed(self, pointer: str) -> set[str]:
        _, schema = self.plan.description.follow(pointer)
        if not isinstance(schema, dict):
            return set()
        place = self.plan.description.follow(pointer)[0]
        inherited = [f"{place}/allOf/{index}" for index in range(len(schema.get("allOf", [])))]
        return {*schema.get("required", []), *(name for each in inherited for name in self._needed(each))}

    def _path(self, operation: Operation, values: Mapping[str, Any]) -> str:
        path = operation.path
        for parameter in operation.in_path():
            path = path.replace(f"{{{parameter.name}}}", quote(_simple(parameter, values[parameter.name]), safe=""))
        return path

    def hear(self, operation: Operation, kind: type[E], answer: Any, known: Mapping[str, Any]) -> E | NotDone:
        """Turn an answer into an event."""
        status: int = answer.status_code
        reply = operation.reply(status)
        where = f"{status} of {operation.endpoint}"
        is_refusal = 400 <= status < 500  # noqa: PLR2004
        if reply is None and not (is_refusal and (status in ANYWHERE or not _describes_refusals(operation))):
            return Unlisted(said=where)
        data, trouble = self._content(operation, answer)
        if trouble is not None:
            return Unlike(said=f"{where}: {trouble}")
        if is_refusal:
            return Missing(status=status) if status in NOT_FOUND else Refused(status=status)
        return self._event(kind, data, answer, dict(known)) or Unlike(said=f"{where}: what it should show is missing")

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
                data = _json.loads(answer.content)
            except (ValueError, RecursionError):
                return None, "it is no JSON" if contents else None
        return data, self.plan.fit.trouble(pointer, data) if pointer and content_type.endswith("json") else None

    def _event(self, kind: type[E], data: JsonData, answer: Any, known: dict[str, Any]) -> E | None:
        fields: dict[str, Any] = {}
        for name, annotation, metadata, required in fields_of(kind):
            place = next((each for each in metadata if isinstance(each, At)), None)
            if name in known:
                fields[name] = known[name]
            elif name == "status":
                fields[name] = answer.status_code
            elif place is not None:
                found = self._found(place.pointer, annotation, data, answer)
                if found is not None:
                    fields[name] = found
                elif required:
                    return None
        said = {name: _as_data(value) for name, value in fields.items()}
        try:
            return parse(kind, said, {"refs": self.refs})
        except ValueError:
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


def _describes_refusals(operation: Operation) -> bool:
    return any(name.startswith("4") or name == "default" for name in operation.replies)


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


def _spoil(said: dict[str, Any], place: str, name: str, *instead: JsonData) -> None:
    """Leave something out of a request, or put something else in its place."""
    part = said[place]
    if not isinstance(part, dict):
        part = said[place] = {}
    if instead:
        part[name] = instead[0]
    else:
        part.pop(name, None)


def _options(operation: Operation, said: Mapping[str, Any]) -> dict[str, Any]:
    """Write the parts of a request, but for the path, as the client takes them."""
    options: dict[str, Any] = {}
    by_name = {(each.place, each.name): each for each in operation.parameters}
    query = [
        pair
        for name, value in said["query"].items()
        if value is not None
        for pair in _in_query(by_name.get(("query", name)), name, value)
    ]
    headers = {
        name: _header(_simple(by_name.get(("header", name)), value))
        for name, value in said["header"].items()
        if value is not None
    }
    told = {name: _simple(None, value) for name, value in said["cookie"].items() if value is not None}
    cookies = [f"{name}={quote(value, safe='')}" for name, value in told.items()]
    if cookies:
        headers["Cookie"] = "; ".join(cookies)
    if query:
        options["params"] = query
    body, plan = said["body"], operation.body
    if plan is not None and body is not None:
        if plan.kind == "json":
            options["content"] = _json.dumps(body).encode()
            headers.setdefault("Content-Type", plan.content_type)
        elif plan.kind == "form":
            options["data"] = {name: _form(value) for name, value in body.items() if value is not None}
        else:
            options["files"] = [(name, (None, _text(value))) for name, value in body.items() if value is not None]
    if headers:
        options["headers"] = headers
    return options


def _in_query(parameter: Parameter | None, name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Write a parameter of the query in its style (OpenAPI 3.1.0, "Style Values")."""
    if parameter is not None and parameter.as_json:
        yield name, _json.dumps(value)
    elif isinstance(value, dict):
        if parameter is not None and parameter.style == "deepObject":
            yield from ((f"{name}[{key}]", _text(each)) for key, each in value.items())
        elif parameter is None or parameter.explode:
            yield from ((key, _text(each)) for key, each in value.items())
        else:
            yield name, ",".join(f"{key},{_text(each)}" for key, each in value.items())
    elif isinstance(value, list) and (parameter is None or parameter.explode):
        yield from ((name, _text(each)) for each in value)
    elif isinstance(value, list) and parameter is not None:
        between = {"spaceDelimited": " ", "pipeDelimited": "|"}.get(parameter.style, ",")
        yield name, between.join(map(_text, value))
    else:
        yield name, _text(value)


def _simple(parameter: Parameter | None, value: Any) -> str:
    if parameter is not None and parameter.as_json:
        return _json.dumps(value)
    if isinstance(value, list):
        return ",".join(map(_text, value))
    if isinstance(value, dict):
        sign = "=" if parameter is not None and parameter.explode else ","
        return ",".join(f"{key}{sign}{_text(each)}" for key, each in value.items())
    return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < sys.maxsize:
        return str(int(value))
    return _json.dumps(value) if isinstance(value, dict | list) else str(value)


def _form(value: Any) -> Any:
    return [_text(each) for each in value] if isinstance(value, list) else _text(value)


def _header(text: str) -> str:
    """Write a text as the value of a header, which takes neither line ends nor what is not ASCII."""
    return "".join(each if " " <= each <= "~" else "?" for each in text).strip()
