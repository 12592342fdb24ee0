"""Sketch: what will be written for each operation: a command with its fields, an event, and what the two mean."""

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from replaykit import gen
from replaykit.openapi.code import Node, bare, call, flat, literal, nullable, of
from replaykit.openapi.contract import Thing
from replaykit.openapi.description import Description
from replaykit.openapi.fit import Fit
from replaykit.openapi.link import (
    Kind,
    Links,
    id_member,
    is_several,
    kind_name,
    properties_of,
    statics_of,
)
from replaykit.openapi.look import may_fade, may_hide
from replaykit.openapi.operation import Operation, Parameter
from replaykit.openapi.schema import Member, admits_null, distinct, members, type_of, types_of, whole, without_null
from replaykit.openapi.shape import Shape, Shapes, or_none
from replaykit.openapi.word import ADAPTER, COMMAND, EVENT, MODEL, free, is_kept, pascal, singular, snake, without_id
from replaykit.value import JsonData

Role: TypeAlias = Literal["made", "read", "listed", "updated", "removed", "acted", "shaken", "looked", "reset"]

MOST_SHOWN = 12  # fields of an event
MOST_WRONG = 16  # ways in which a command is wrong
LONGEST = 10_000  # characters of a text that is too long
_PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
_VOLATILE = {"date-time", "uuid", "password", "binary", "byte"}
_COMBINED = {"oneOf", "anyOf", "not", "if", "dependentRequired", "dependentSchemas", "minProperties", "maxProperties"}
_PAGING = re.compile(
    r"(^|_)(limit|offset|page|pages|size|cursor|after|before|per|top|skip|start|count|max|first|last|next|more|total|"
    r"token|since|until|pagination|paging)(_|$)"
)
_WEIGHTS = {"made": "2", "read": "2", "removed": "0.5"}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a command: its name, what it is called in the request, and its type."""

    name: str
    place: str  # path, query, header, cookie, body; whole for a body that is no object with members
    said: str
    annotation: Node
    ref: str | None  # kind
    is_optional: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """A field of an event: its name, type, and where it is in the answer; where is "" for what the command knows."""

    name: str
    annotation: Node
    where: str
    kind: str  # the plain type, to compare
    said: str = ""  # as the answer calls it


@dataclass(slots=True)
class Sketch:
    """All that is written for one operation."""

    operation: Operation
    command: str
    method: str
    event: str
    hearing: str  # name of the @on method
    wrongly: str  # the command with something wrong in it
    fitting: str  # name of the @requires method
    role: Role
    kind: Kind | None
    fields: list[Field] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)
    wrong: list[list[JsonData]] = field(default_factory=list)
    thing: str = ""  # the field of event and command that names the thing
    fades: bool = False
    is_paged: bool = False
    may_hide: bool = False  # of the things of a list: their looks may say that they are left out of it
    is_async: bool = False

    @property
    def weight(self) -> str:
        """How often it is asked, as text; "" for the usual."""
        return _WEIGHTS.get(self.role, "")

    def refs(self, place: str | None = None) -> list[Field]:
        """List the fields that are single refs."""
        return [each for each in self.fields if each.ref is not None and place in {None, each.place} and _is_one(each)]


def _is_one(each: Field) -> bool:
    return flat(each.annotation).startswith("Ref[")


@dataclass(slots=True)
class Sketches:
    """All that is written for a description."""

    asked: list[Sketch]
    kinds: dict[str, Kind]
    classes: dict[str, str]  # kind -> class of its things
    shelves: dict[str, str]  # kind -> field of the model
    values: dict[str, dict[str, Node]]  # kind -> what is compared of its things, with types
    pools: dict[str, Node]  # name -> generator of a value in paths, which several operations speak of
    reset: Operation | None
    notes: list[str]


def is_reset(operation: Operation) -> bool:
    """Say whether an operation brings the service to a clean state: POST /reset, with nothing to say."""
    asked = operation.path.rstrip("/").rpartition("/")[2].lower() == "reset" and operation.method == "POST"
    needs_body = operation.body is not None and operation.body.is_required
    return asked and not needs_body and not operation.parameters


class Sketcher:
    """Makes sketches of the operations of a description."""

    def __init__(self, description: Description, operations: list[Operation], links: Links, name: str) -> None:
        self._description, self._operations, self._links = description, operations, links
        self._shapes, self._fit = Shapes(description), Fit(description, is_request=True)
        self._notes = [*links.notes]
        self._short_names = Counter(snake(each.short_name) for each in operations)
        self._taken = {name, f"{name}Api", *_KEPT}  # names of classes
        self._pools: dict[tuple[str, str], tuple[str, Shape]] = {}  # place in paths, schema
        self._methods: set[str] = {"judged", "most", "undescribed", *_METHODS}
        self.handlers: set[str] = {"plan", "ask", "hear", "credentials", "base", "below"}  # members of the adapter

    def all(self) -> Sketches:
        """Make all sketches, in the order of the text."""
        kinds = self._links.kinds
        classes = {name: free(pascal(name), self._taken) for name in kinds}
        shelves = {name: free(kind.several, self._methods, MODEL) for name, kind in kinds.items()}
        reset = next((each for each in self._operations if is_reset(each)), None)
        asked = []
        for operation in self._operations:
            self._notes += [f"{operation.endpoint} {each}" for each in operation.notes]
            if operation is reset or operation.method in {"OPTIONS", "TRACE"}:
                continue
            if operation.notes and operation.method in {"POST", "PUT", "PATCH"}:
                continue
            sketch = self._sketch(operation, classes)
            if sketch is not None:
                asked.append(sketch)
        for sketch in asked:
            sketch.may_hide = sketch.may_hide or self._may_hide(sketch, asked)
        values = {name: _values_of(name, asked) for name in kinds}
        used = {flat(each.annotation) for sketch in asked for each in sketch.fields}
        pools = {
            name: shape.code
            for name, shape in self._pools.values()
            if any(re.search(rf"\b{name}\b", each) for each in used)
        }
        return Sketches(asked, kinds, classes, shelves, values, pools, reset, self._notes)

    def _sketch(self, operation: Operation, classes: dict[str, str]) -> Sketch | None:
        role, kind = self._role(operation)
        command = free(self._command_name(operation, role), self._taken)
        method = free(snake(command), self._methods, MODEL)
        sketch = Sketch(operation, command, method, "", "", "", "", role, kind)
        if not self._add_fields(sketch, classes):
            self._taken.discard(command)
            self._methods.discard(sketch.method)
            return None
        sketch.wrongly = free(f"{command}Wrongly", self._taken)
        sketch.fitting = free(f"{method}_fits", self._methods, MODEL)
        sketch.event = free(_event_name(sketch, classes), self._taken)
        sketch.hearing = free(snake(sketch.event), self._methods, MODEL)
        sketch.is_async = "202" in operation.replies
        self._add_shown(sketch, classes)
        self._add_wrong(sketch)
        return sketch

    def _may_hide(self, sketch: Sketch, asked: list[Sketch]) -> bool:
        """Say whether a list may leave things out for what was sent: a flag, or what nobody has recorded."""
        if sketch.role != "listed" or self._description.is_observed:
            return sketch.role == "listed"
        sent = [
            (field, self._pointer(each.operation, field))
            for each in asked
            if each.kind is sketch.kind and each.role in {"made", "updated"}
            for field in each.fields
            if field.place in {"body", "query"}
        ]
        return any("bool" in flat(field.annotation) for field, _ in sent) or may_hide(
            self._description, [(field.said, pointer) for field, pointer in sent]
        )

    def _command_name(self, operation: Operation, role: Role) -> str:
        is_shared = self._short_names[snake(operation.short_name)] > 1
        return _command_name(operation, operation.name if is_shared else operation.short_name, role)

    def handler(self, sketch: Sketch) -> str:
        """Return the name of the method that handles a command."""
        return free(sketch.method.rstrip("_"), self.handlers, ADAPTER)

    def _role(self, operation: Operation) -> tuple[Role, Kind | None]:
        kinds, item = self._links.kinds, self._links.item(operation)
        given = self._links.given(operation)
        if given is not None:
            return ("listed" if operation.method == "GET" else "made"), given
        if item is not None:
            roles: dict[str, Role] = {"GET": "read", "PUT": "updated", "PATCH": "updated", "DELETE": "removed"}
            if operation.method in roles:
                return roles[operation.method], kinds[item]
        if operation.method in {"GET", "HEAD"}:
            return "looked", None
        is_about = any(endpoint == operation.endpoint for endpoint, _, _ in self._links.refs)
        return ("acted" if is_about else "shaken"), None

    # --- the command

    def _add_fields(self, sketch: Sketch, classes: dict[str, str]) -> bool:
        operation, taken = sketch.operation, {"wrong"}
        for parameter in [*operation.in_path(), *(each for each in operation.parameters if each.place != "path")]:
            member = Member(parameter.schema, parameter.is_required)
            if not self._add(sketch, parameter.place, parameter.name, member, taken, classes):
                return False
            if parameter.place == "path":
                sketch.thing = sketch.fields[-1].name  # the last one
        if operation.body is None:
            return True
        return self._add_body(sketch, taken, classes)

    def _add_body(self, sketch: Sketch, taken: set[str], classes: dict[str, str]) -> bool:
        body = sketch.operation.body
        assert body is not None  # noqa: S101  the caller has seen to it
        schema = whole(self._description, body.schema)
        inside = members(self._description, body.schema) if body.schema else {}
        if not inside or _COMBINED & schema.keys() or types_of(schema) not in ([], ["object"]):
            if body.kind != "json":
                self._notes.append(f"{sketch.operation.endpoint} has a form without members, which is not made")
                return False
            lost = [name for place, name in self._refs_of(sketch) if place == "body"]
            if lost:
                self._notes.append(f"{sketch.operation.endpoint}: {', '.join(lost)} is no ref, since its body varies")
            return self._add(sketch, "whole", "body", Member(body.schema, body.is_required), taken, classes)
        for name, member in inside.items():
            if whole(self._description, member.pointer).get("readOnly") is not True and not self._add(
                sketch, "body", name, member, taken, classes
            ):
                return False
        return True

    def _refs_of(self, sketch: Sketch) -> list[tuple[str, str]]:
        return [(place, name) for end, place, name in self._links.refs if end == sketch.operation.endpoint]

    def _add(
        self, sketch: Sketch, place: str, said: str, member: Member, taken: set[str], classes: dict[str, str]
    ) -> bool:
        """Add a field; return whether the command can be made all the same."""
        endpoint = sketch.operation.endpoint
        kind = self._links.refs.get((endpoint, place, said))
        annotation: Node
        if kind is not None:
            name = kind if place == "path" and snake(said) in {"id", "name", "key", "slug", f"{kind}_id"} else ""
            several = bool(member.pointer) and is_several(self._description, member.pointer)
            annotation = f"Ref[{classes[kind]}]"
            if several:
                annotation = f"list[{annotation}]"
            elif place != "path" and (not member.is_required or self._is_nullable(member)):
                annotation = f"{annotation} | None"
            name = name or (snake(said) if several else _bare(snake(said)))
        else:
            shape = self._shape(place, member)
            if shape is not None and place == "path":
                shape = self._pooled(shape, sketch.operation, said, member.pointer)
            if shape is None:
                needed = ", so it is not asked" if member.is_required else ", so it is left out"
                self._notes.append(f"{endpoint}: nothing is known to generate for {said}{needed}")
                return not member.is_required
            annotation, name = shape.annotation, snake(said)
        if kind is not None and name in _TOLD:  # it is told to `ask`, and to what is expected, by its name
            name = f"{name}_ref"
        chosen = free(name, taken, COMMAND)
        sketch.fields.append(Field(chosen, place, said, annotation, kind, not member.is_required))
        return True

    def _is_nullable(self, member: Member) -> bool:
        return bool(member.pointer) and admits_null(whole(self._description, member.pointer))

    def _shape(self, place: str, member: Member) -> Shape | None:
        shape = self._shapes.of(member.pointer) if member.pointer or place == "whole" else _word()
        if shape is None:
            return None
        if place == "path":
            return shape
        if place in {"header", "cookie"} and shape.is_plain and shape.type == "str":
            shape = _word()
        return shape if member.is_required else or_none(shape)

    def _pooled(self, shape: Shape, operation: Operation, said: str, pointer: str) -> Shape:
        """Let few values be spoken of at a place in paths, by all operations there, so that they meet."""
        made = _pooled(shape)
        if made is shape:
            return shape
        before = operation.path.partition(f"{{{said}}}")[0]
        place = (re.sub(r"{[^}]*}", "{}", before), json.dumps(whole(self._description, pointer), sort_keys=True))
        if place not in self._pools:
            name = free(snake(said).upper(), self._taken)
            self._pools[place] = (name, made)
        name, made = self._pools[place]
        return Shape(made.type, name, made.generator)

    # --- the event

    def _add_shown(self, sketch: Sketch, classes: dict[str, str]) -> None:
        taken = {"status"} if sketch.is_async else set[str]()
        if sketch.is_async:
            sketch.shown.append(Shown("status", "int", "", "int"))
        reply, kind = sketch.operation.success, sketch.kind
        for each in sketch.refs() if sketch.role != "made" else sketch.refs("path"):
            chosen = free(each.name, taken, EVENT)
            sketch.shown.append(Shown(chosen, flat(each.annotation), "", "ref"))
        for each in sketch.refs("body") if sketch.role == "made" else ():
            if snake(each.said) not in {snake(name) for name in properties_of(self._description, reply, "/id")}:
                sketch.shown.append(Shown(free(each.name, taken, EVENT), flat(each.annotation), "", "ref"))
        if kind is None:
            beside = properties_of(self._description, reply, "/id")
            self._add_values(sketch, beside, "/id", taken, classes)
            return
        ref = f"Ref[{classes[kind.name]}]"
        if sketch.role == "listed":
            where = kind.listed_by[sketch.operation.endpoint]
            sketch.thing = free(kind.several, taken, EVENT)
            sketch.shown.append(Shown(sketch.thing, f"list[{ref}]", where, "refs"))
            sketch.is_paged = self._is_paged(sketch)
            inside = self._members_in_list(sketch, where)
            sketch.fades = inside is None or may_fade(self._description, inside)
            sketch.may_hide = may_hide(self._description, inside or ())
            return
        where, is_sure = id_member(self._description, reply, kind, sketch.operation.endpoint)
        if sketch.role == "made":
            sketch.thing = free(kind.name, taken, EVENT)
            sketch.shown.append(Shown(sketch.thing, ref if is_sure else f"{ref} | None", where, "ref"))
        beside = properties_of(self._description, reply, where or "/id")
        sketch.fades = may_fade(self._description, [(name, each.pointer) for name, each in beside.items()])
        self._add_values(sketch, beside, where or "/id", taken, classes)

    def _add_values(
        self, sketch: Sketch, beside: dict[str, Member], where: str, taken: set[str], classes: dict[str, str]
    ) -> None:
        above, last = where.rpartition("/")[::2]
        for name, member in beside.items():
            schema = without_null(self._description, whole(self._description, member.pointer))
            if (
                name == last
                or snake(name) in taken
                or schema.get("writeOnly") is True
                or len(sketch.shown) == MOST_SHOWN
            ):
                continue
            from replaykit.openapi.link import named_after

            kind = named_after(self._description, name, member.pointer, self._links)
            plain = _PLAIN.get(str(type_of(schema)))
            annotation: Node
            if kind is not None and type_of(schema) != "array" and _bare(snake(name)) not in taken:
                annotation, base = f"Ref[{classes[kind]}]", "ref"
            elif plain is not None and schema.get("format") not in _VOLATILE:
                annotation = _literal_of(schema) or plain
                base = plain
            else:
                continue
            may_lack = not member.is_required or self._is_nullable(member)
            chosen = _bare(snake(name)) if base == "ref" else snake(name)
            sketch.shown.append(
                Shown(
                    free(chosen, taken, EVENT),
                    nullable(annotation) if may_lack else annotation,
                    f"{above}/{name.replace('~', '~0').replace('/', '~1')}",
                    base,
                    name,
                )
            )

    def _is_paged(self, sketch: Sketch) -> bool:
        """Say whether a list may leave things out though nobody asked for that."""
        operation = sketch.operation
        if any(_PAGING.search(snake(each.name)) for each in operation.parameters if each.place == "query"):
            return True
        if any(each.is_required for each in operation.parameters if each.place == "query"):
            return True
        if not (sketch.kind and any(end.partition(" ")[2] == operation.path for end in sketch.kind.made_by)):
            return True
        reply = operation.success
        around = members(self._description, reply.json) if reply is not None and reply.json is not None else {}
        return any(_PAGING.search(snake(name)) for name in around)

    def _members_in_list(self, sketch: Sketch, where: str) -> list[tuple[str, str]] | None:
        """List the members of what a list holds, each with the place of its schema; None where nobody knows them."""
        reply = sketch.operation.success
        pointer = reply.json if reply is not None else None
        for part in where.split("/")[1:-1]:
            if pointer is None:
                return None
            if part == "*":
                pointer = f"{self._description.follow(pointer)[0]}/items"
            else:
                member = members(self._description, pointer).get(part)
                pointer = None if member is None else member.pointer
        if pointer is None:
            return None
        return [(name, each.pointer) for name, each in members(self._description, pointer).items()]

    # --- what is wrong

    def _add_wrong(self, sketch: Sketch) -> None:
        operation = sketch.operation
        found: list[list[JsonData]] = []
        for each in sketch.fields:
            if each.place in {"path", "whole", "cookie"} or (each.place != "body" and each.is_optional):
                continue  # a page size that can't be is clamped, and a filter that is none is no filter
            is_text = each.place != "body" or (operation.body is not None and operation.body.kind != "json")
            parameter = _parameter(operation, each)
            pointer = self._pointer(operation, each)
            if not each.is_optional and not (each.place == "body" and not operation.body):
                found.append([each.place, each.said])
            if pointer and not (parameter is not None and parameter.as_json):
                found += [
                    [each.place, each.said, value] for value in self._wrong_values(pointer, parameter, is_text=is_text)
                ]
        if operation.body is not None and not operation.body.is_required:
            found = [each for each in found if len(each) > 2 or each[0] != "body"]  # noqa: PLR2004
        sketch.wrong = found[:MOST_WRONG]

    def _pointer(self, operation: Operation, said: Field) -> str:
        """Return where the schema of a field stands; "" where it has none."""
        parameter = _parameter(operation, said)
        if parameter is not None:
            return parameter.schema
        inside = members(self._description, operation.body.schema) if operation.body is not None else {}
        return inside[said.said].pointer if said.said in inside else ""

    def _wrong_values(self, pointer: str, parameter: Parameter | None, *, is_text: bool) -> list[JsonData]:
        """List values that a schema refuses, and that nobody can take for ones that it admits."""
        schema = without_null(self._description, whole(self._description, pointer))
        kind = type_of(schema)
        tried: list[JsonData] = []
        if kind == "string":
            tried = ["", " ", "?", *([] if is_text else [{}])]
            most = schema.get("maxLength")
            if isinstance(most, int) and most < LONGEST:
                tried.append("x" * (most + 1))
        elif kind in {"integer", "number"}:
            low, high = (
                schema.get("minimum", schema.get("exclusiveMinimum")),
                schema.get("maximum", schema.get("exclusiveMaximum")),
            )
            tried = ["x"]
            tried += [low - 1] if isinstance(low, int | float) and abs(low) < 1e15 else []  # noqa: PLR2004
            tried += [high + 1] if isinstance(high, int | float) and abs(high) < 1e15 else []  # noqa: PLR2004
            tried += [0.5] if kind == "integer" and not is_text else []
        elif kind == "boolean" or (kind in {"array", "object"} and not is_text):
            tried = ["x"]
        if is_text:  # where all values are texts, a text of the wrong kind is none
            tried = [
                each for each in tried if each != "" and not (each == "x" and parameter is None and kind == "string")
            ]
        return [each for each in tried if not self._fit.is_met(pointer, each)]


_TOLD = {"path", "query", "header", "cookie", "body", "status", "values", "whole", "fades"}  # beside refs
_METHODS = {"wrong_data_is_refused", "answer_was_not_described", "statuses_are_described", "answers_look_as_described"}
_KEPT = {
    "Annotated", "Any", "ClassVar", "Literal", "At", "Contract", "ContractApi", "Expected", "Event", "Command", "Ref",
    "Thing", "NotDone", "Plan", "PLAN", "REFUSAL", "JUDGED", "JsonData", "Near", "Holding", "Refused", "Wait",
    "Undescribed", "Model", "Adapter", "Entity", "None", "True", "False", "Observation", "COMMANDS", "WRONG", "MOST",
}  # fmt: skip


def _parameter(operation: Operation, said: Field) -> Parameter | None:
    """Return the parameter that a field is sent as; None where it is a member of the body."""
    return next((each for each in operation.parameters if (each.place, each.name) == (said.place, said.said)), None)


def _bare(name: str) -> str:
    return without_id(name) or name


def _word() -> Shape:
    code = call("gen.text", call("gen.letters"), min_size="1", max_size="8")
    return Shape("str", code, gen.text(gen.letters(), min_size=1, max_size=8))


def _pooled(shape: Shape) -> Shape:
    """Let few values be spoken of in a path, so that they meet."""
    if shape.is_plain and shape.type == "str":
        shape = _word()
    elif shape.is_plain and shape.type != "int":
        return shape
    return Shape(shape.type, call("gen.pool", shape.code, size="3"), gen.pool(shape.generator, size=3))


def _literal_of(schema: dict[str, JsonData]) -> "Node | None":
    known = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(known, list) and known and all(isinstance(each, str) for each in known):
        return of("Literal", *map(literal, distinct(known)))
    return None


_VERBS = {"made": "Create", "read": "Read", "updated": "Update", "removed": "Delete"}


def _command_name(operation: Operation, said: str, role: Role) -> str:
    if said and pascal(said, "") and not is_kept(snake(said), object):
        return pascal(said)
    words = [each for each in statics_of(operation.path) if each.lower() != "api" and not re.fullmatch(r"v\d+", each)]
    several = "".join(pascal(each) for each in words[-2:]) or "Root"
    one = "".join([*(pascal(singular(each)) for each in words[-2:-1]), pascal(kind_name(operation.path))])
    if role in _VERBS:
        verb = "Replace" if operation.method == "PUT" else _VERBS[role]
        return f"{verb}{pascal(kind_name(operation.path)) if role != 'made' else one}"
    if role == "listed":
        return f"List{several}"
    return f"{pascal(operation.method.lower())}{several}" if operation.method != "GET" else f"Get{several}"


def _event_name(sketch: Sketch, classes: dict[str, str]) -> str:
    if sketch.kind is None:
        return f"{sketch.command}Done"
    word = {"made": "Made", "read": "Read", "updated": "Updated", "removed": "Removed", "listed": "Listed"}[sketch.role]
    name = classes[sketch.kind.name]
    return f"{pascal(sketch.kind.several) if sketch.role == 'listed' else name}{word}"


def _values_of(name: str, asked: list[Sketch]) -> dict[str, Node]:
    """Say what is compared of the things of a kind: what is sent, and shown when one was made and when it is read."""
    of_kind = [each for each in asked if each.kind is not None and each.kind.name == name]
    made = [each for each in of_kind if each.role == "made"]
    read = [each for each in of_kind if each.role == "read"]
    found: dict[str, Node] = {}
    for sketch in made if read else ():
        sent = {each.said for each in sketch.fields if each.place == "body"}
        for shown in sketch.shown:
            is_free = not hasattr(Thing, shown.name) and shown.name not in Thing.model_fields
            if is_free and shown.said in sent and all(_shows(each, shown) for each in [*made, *read]):
                found[shown.name] = bare(shown.annotation)
    return found


def _shows(sketch: Sketch, shown: Shown) -> bool:
    return any((each.name, each.kind) == (shown.name, shown.kind) for each in sketch.shown)
