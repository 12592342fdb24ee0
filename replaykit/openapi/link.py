"""Link: which values of a description are refs, to what, and where the service says the ids of what it made.

Three sources, the surest first:

1. Links: an answer of `POST /pets` says that its `id` is the `petId` of `GET /pets/{petId}` (OpenAPI 3.1.0, "Link
   Object").
2. The structure of paths: what `POST /pets` answers with an `id` is what `/pets/{petId}` speaks of.
3. Names of fields: the `owner_id` of a pet is the id of what `POST /owners` makes, where both are of one type.
"""

from dataclasses import dataclass, field
from itertools import pairwise

from replaykit.openapi.description import Description
from replaykit.openapi.operation import Operation, Reply
from replaykit.openapi.schema import Member, members, type_of, whole, without_null
from replaykit.openapi.word import parts_of, singular, snake, without_id

LOCATION = "Location"
_NAMES = ("id", "uuid", "guid", "uid", "key", "slug", "code", "name", "number")
_WRAPPERS = {"data", "result", "item", "payload"}
_SCALARS = {"string", "integer"}


@dataclass(slots=True)
class Kind:
    """A kind of thing that the service makes, or has."""

    name: str  # snake_case, of one
    several: str  # of many
    made_by: dict[str, str] = field(default_factory=dict)  # endpoint -> where the id is in the answer
    listed_by: dict[str, str] = field(default_factory=dict)  # endpoint -> where the ids are
    id_schema: str = ""  # pointer


@dataclass(slots=True)
class Links:
    """All kinds of a description, and which parameter or member is a ref to which."""

    kinds: dict[str, Kind] = field(default_factory=dict)
    refs: dict[tuple[str, str, str], str] = field(default_factory=dict)  # endpoint, place, name -> kind
    notes: list[str] = field(default_factory=list)

    def given(self, operation: Operation) -> Kind | None:
        """Return the kind of the things that the answer of an operation gives; None where it gives none."""
        for kind in self.kinds.values():
            if operation.endpoint in (kind.listed_by if operation.method == "GET" else kind.made_by):
                return kind
        return None

    def item(self, operation: Operation) -> str | None:
        """Return the kind of the thing that an operation's path ends in; None where it ends otherwise."""
        last = operation.path.rstrip("/").rpartition("/")[2]
        if last.startswith("{") and last.endswith("}"):
            return self.refs.get((operation.endpoint, "path", last[1:-1]))
        return None


def links_of(description: Description, operations: list[Operation]) -> Links:
    """Find out which values are refs."""
    links = Links()
    _collections(description, operations, links)
    _said(description, operations, links)
    _in_paths(operations, links)
    _lists(description, operations, links)
    for name in [name for name, kind in links.kinds.items() if not kind.made_by and not kind.listed_by]:
        del links.kinds[name]
    links.refs = {place: name for place, name in links.refs.items() if name in links.kinds}
    _by_name(description, operations, links)
    _open(description, operations, links)
    return links


def statics_of(path: str) -> list[str]:
    """List the parts of a path that are no parameters."""
    return [part for part in path.split("/") if part and "{" not in part]


def collection_of(path: str) -> str:
    """Return the last part of a path that is no parameter."""
    return (statics_of(path) or ["thing"])[-1]


def kind_name(path: str) -> str:
    """Return the name of one of what a collection holds."""
    words = parts_of(collection_of(path)) or ["thing"]
    return snake("_".join([*words[:-1], singular(words[-1])]))


# --- what makes things --------------------------------------------------------------------------


def _collections(description: Description, operations: list[Operation], links: Links) -> None:
    """Find the collections whose POST answers with an id that a path takes."""
    wanted = {collection_of(each.path) for each in operations if each.path.endswith("}")}
    for operation in operations:
        if operation.method != "POST" or operation.path.endswith("}") or operation.success is None:
            continue
        if collection_of(operation.path) not in wanted and not _has_item(operation.path, operations):
            continue
        names = [part for each in operations for part in _params_after(each.path, collection_of(operation.path))]
        place, schema = _id_of(description, operation.success, kind_name(operation.path), names)
        if place:
            _add(links, operation.path).made_by[operation.endpoint] = place
            kind = links.kinds[kind_name(operation.path)]
            kind.id_schema = kind.id_schema or schema


def _has_item(path: str, operations: list[Operation]) -> bool:
    return any(each.path.startswith(f"{path.rstrip('/')}/{{") for each in operations)


def _params_after(path: str, collection: str) -> list[str]:
    """List the parameters that stand behind a collection in a path."""
    parts = path.split("/")
    return [
        part[1:-1]
        for before, part in pairwise(parts)
        if before == collection and part.startswith("{") and part.endswith("}")
    ]


def _add(links: Links, path: str) -> Kind:
    name = kind_name(path)
    several = snake(collection_of(path))
    return links.kinds.setdefault(name, Kind(name, several if several != name else f"{name}_list"))


def _id_of(description: Description, reply: Reply, kind: str, names: list[str]) -> tuple[str, str]:
    """Return where the id is in an answer, and where its schema is; two empty texts where there is none."""
    pointer = reply.json
    if pointer is None:
        return (LOCATION, "") if "201" in reply.status else ("", "")
    return id_in(description, pointer, kind, names)


def id_in(description: Description, pointer: str, kind: str, names: list[str]) -> tuple[str, str]:
    """Return where the id of a thing is in an object, and where its schema is."""
    inside = members(description, pointer)
    wished = [
        *names,
        *_NAMES[:4],
        f"{kind}_id",
        *(each for each in _NAMES[4:] if each in {snake(name) for name in names}),
    ]
    for wish in dict.fromkeys(wished):
        for name, member in inside.items():
            if snake(name) == snake(wish) and _is_id(description, member):
                return f"/{_part(name)}", member.pointer
    for name, member in inside.items():
        if snake(name) == kind or name in _WRAPPERS:
            place, schema = id_in(description, member.pointer, kind, names) if name not in names else ("", "")
            if place:
                return f"/{_part(name)}{place}", schema
    return "", ""


def _part(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _is_id(description: Description, member: Member) -> bool:
    schema = without_null(description, whole(description, member.pointer))
    return type_of(schema) in _SCALARS and "enum" not in schema


# --- links that are said ------------------------------------------------------------------------


def _said(description: Description, operations: list[Operation], links: Links) -> None:
    by_id = {each.name: each for each in operations if each.name}
    by_pointer = {each.pointer: each for each in operations}
    for operation in operations:
        for reply in operation.replies.values():
            for link in reply.links.values() if reply.status.startswith(("2", "d")) else ():
                ref = link.get("operationRef")
                place = ref[1:] if isinstance(ref, str) and ref.startswith("#") else ""
                target = by_id.get(str(link.get("operationId"))) or by_pointer.get(place)
                if target is None:
                    links.notes.append(f"{operation.endpoint}: a link leads to an operation that is not there")
                    continue
                _follow(description, operation, reply, target, link, links)


def _follow(
    description: Description, source: Operation, reply: Reply, target: Operation, link: dict[str, object], links: Links
) -> None:
    told = link.get("parameters")
    body = link.get("requestBody")
    pairs: list[tuple[str, str, object]] = []
    for name, value in told.items() if isinstance(told, dict) else ():
        place, _, bare = name.partition(".")
        found = [
            each.place
            for each in target.parameters
            if (each.name == name)
            or (place in {"path", "query", "header"} and each.name == bare and each.place == place)
        ]
        if found:
            pairs.append((found[0], name if any(each.name == name for each in target.parameters) else bare, value))
    pairs += [("body", name, value) for name, value in body.items()] if isinstance(body, dict) else []
    for place, name, value in pairs:
        if place == "header" or not isinstance(value, str):
            continue
        where = _pointer_in(value)
        if where is None:
            if value.startswith("$"):
                links.notes.append(f"{source.endpoint}: the link with {value} is not followed")
            continue
        kind = _kind_made(description, source, reply, where, links)
        links.refs[target.endpoint, place, name] = kind.name


def _pointer_in(expression: str) -> str | None:
    """Return the pointer into an answer that an expression names (OpenAPI 3.1.0, "Runtime Expressions")."""
    for before in ("$response.body#", "$request.body#"):
        if expression.startswith(before):
            return expression.removeprefix(before)
    return LOCATION if expression.lower() == "$response.header.location" else None


def _kind_made(description: Description, source: Operation, reply: Reply, where: str, links: Links) -> Kind:
    for kind in links.kinds.values():
        if where in {kind.made_by.get(source.endpoint), kind.listed_by.get(source.endpoint)}:
            return kind
    several = "/".join("*" if part.isdecimal() else part for part in where.split("/"))
    listed = several != where or source.method == "GET"
    name = kind_name(source.path)
    if name in links.kinds and source.endpoint in links.kinds[name].made_by:
        name = without_id(where.rpartition("/")[2]) or name  # another value of the same answer
    kind = links.kinds.setdefault(name, Kind(name, snake(collection_of(source.path)) if listed else f"{name}_list"))
    if kind.several == kind.name:
        kind.several = f"{name}_list"
    if not listed and snake(collection_of(source.path)) != name and name == kind_name(source.path):
        kind.several = snake(collection_of(source.path))
    (kind.listed_by if listed else kind.made_by)[source.endpoint] = several
    if not kind.id_schema and reply.json is not None:
        kind.id_schema = _schema_at(description, reply.json, where)
    return kind


def _schema_at(description: Description, pointer: str, where: str) -> str:
    for part in where.split("/")[1:]:
        inside = members(description, pointer)
        if part in inside:
            pointer = inside[part].pointer
        elif part.isdecimal():
            place, schema = description.follow(pointer)
            pointer = f"{place}/items" if isinstance(schema, dict) and "items" in schema else ""
        else:
            return ""
        if not pointer:
            return ""
    return pointer


# --- paths and names ----------------------------------------------------------------------------


def _in_paths(operations: list[Operation], links: Links) -> None:
    for operation in operations:
        parts = operation.path.split("/")
        for before, part in pairwise(parts):
            if not (part.startswith("{") and part.endswith("}")):
                continue
            place = (operation.endpoint, "path", part[1:-1])
            name = kind_name(f"/{before}") if before and "{" not in before else without_id(part)
            if name not in links.kinds:
                name = without_id(part[1:-1])
            if place not in links.refs:
                links.refs[place] = name  # those of kinds that there are not are taken out later


def _lists(description: Description, operations: list[Operation], links: Links) -> None:
    """Find the lists of things; of what nobody makes, they are where things come from."""
    for operation in operations:
        reply = operation.success
        if operation.method != "GET" or operation.path.endswith("}") or reply is None or reply.json is None:
            continue
        name = kind_name(operation.path)
        if name not in links.kinds and not _has_item(operation.path, operations):
            continue
        known = links.kinds.get(name)
        endings = {place.rpartition("/")[2] for place in known.made_by.values()} if known else set()
        names = [part for each in operations for part in _params_after(each.path, collection_of(operation.path))]
        found, schema = _ids_in(description, reply.json, name, [*sorted(endings), *names])
        if found:
            kind = _add(links, operation.path)
            kind.listed_by.setdefault(operation.endpoint, found)
            kind.id_schema = kind.id_schema or schema


def _ids_in(description: Description, pointer: str, name: str, names: list[str]) -> tuple[str, str]:
    place, schema = description.follow(pointer)
    if isinstance(schema, dict) and type_of(whole(description, pointer)) == "array" and "items" in schema:
        found, where = id_in(description, f"{place}/items", name, names)
        return (f"/*{found}", where) if found else ("", "")
    lists = [
        (key, member)
        for key, member in members(description, pointer).items()
        if type_of(whole(description, member.pointer)) == "array"
    ]
    for key, member in lists if len(lists) == 1 else ():
        found, where = _ids_in(description, member.pointer, name, names)
        if found:
            return f"/{_part(key)}{found}", where
    return "", ""


def _by_name(description: Description, operations: list[Operation], links: Links) -> None:
    """Find the members of bodies and the parameters of queries that are named after a kind, and are of its type."""
    for operation in operations:
        schemas = {
            ("query", each.name): each.schema for each in operation.parameters if each.place == "query" and each.schema
        }
        if operation.body is not None and operation.body.schema:
            inside = members(description, operation.body.schema)
            schemas |= {("body", name): member.pointer for name, member in inside.items()}
        for (place, name), pointer in schemas.items():
            if (operation.endpoint, place, name) in links.refs:
                continue
            chosen = named_after(description, name, pointer, links)
            item = links.item(operation)
            if chosen is None and place == "body" and name == "id" and item is not None:
                chosen = item
            if chosen is not None:
                links.refs[operation.endpoint, place, name] = chosen


def _open(description: Description, operations: list[Operation], links: Links) -> None:
    """Let there be a way to each kind: where all that gives one asks for refs that nothing gives, one asks for values.

    A description in which `GET /users/{name}` is all that shows the name of a user would have no first command.
    """
    needs = {each.endpoint: _needed(description, each, links) for each in operations}
    givers: dict[str, list[str]] = {name: [] for name in links.kinds}
    for operation in operations:
        given = links.given(operation)
        if given is not None:
            givers[given.name].append(operation.endpoint)
    while True:
        found = _reached(needs, givers)
        shut = [each for name, listed in givers.items() if name not in found for each in listed]
        if not shut:
            return
        chosen = min(shut, key=lambda each: len({*needs[each].values()} - found))
        for place, kind in needs[chosen].items():
            if kind not in found:
                del links.refs[place]
        needs[chosen] = {place: kind for place, kind in needs[chosen].items() if kind in found}


def _needed(description: Description, operation: Operation, links: Links) -> dict[tuple[str, str, str], str]:
    """Return the refs without which an operation can't be asked, and their kinds."""
    required: set[tuple[str, str]] = {(each.place, each.name) for each in operation.parameters if each.is_required}
    if operation.body is not None and operation.body.schema:
        inside = members(description, operation.body.schema)
        required |= {("body", name) for name, each in inside.items() if each.is_required}
    return {
        place: kind for place, kind in links.refs.items() if place[0] == operation.endpoint and place[1:] in required
    }


def _reached(needs: dict[str, dict[tuple[str, str, str], str]], givers: dict[str, list[str]]) -> set[str]:
    """Return the kinds that something gives whose own refs can be given."""
    found: set[str] = set()
    while True:
        new = {
            name for name, listed in givers.items()
            if name not in found and any({*needs[each].values()} <= found for each in listed)
        }  # fmt: skip
        if not new:
            return found
        found |= new


def named_after(description: Description, name: str, pointer: str, links: Links) -> str | None:
    """Return the kind that a member or a parameter is named after; None where there is none, or of another type."""
    schema = without_null(description, whole(description, pointer))
    kind = links.kinds.get(without_id(name))
    if type_of(schema) == "array":
        words = parts_of(name)
        if words and words[-1] == "ids":
            words = words[:-1]
        kind = links.kinds.get(snake("_".join([*words[:-1], singular(words[-1])]))) if words else None
        place, plain = description.follow(pointer)
        if not isinstance(plain, dict) or "items" not in plain:
            return None
        schema = without_null(description, whole(description, f"{place}/items"))
    if kind is None or "enum" in schema or not kind.id_schema:
        return None
    other = without_null(description, whole(description, kind.id_schema))
    same = type_of(schema) == type_of(other) and schema.get("format") == other.get("format")
    return kind.name if same else None


def is_several(description: Description, pointer: str) -> bool:
    """Say whether a schema is that of a list."""
    return type_of(without_null(description, whole(description, pointer))) == "array"


def id_member(description: Description, reply: Reply | None, kind: Kind, endpoint: str) -> tuple[str, bool]:
    """Return where an answer shows the id of the thing that it is about, and whether it has to."""
    if reply is None:
        return "", False
    if endpoint in kind.made_by and kind.made_by[endpoint] == LOCATION:
        return LOCATION, False
    if reply.json is None:
        return "", False
    place = kind.made_by.get(endpoint) or id_in(description, reply.json, kind.name, [])[0]
    return place, bool(place) and _is_sure(description, reply.json, place)


def _is_sure(description: Description, pointer: str, place: str) -> bool:
    for part in place.split("/")[1:]:
        member = members(description, pointer).get(part.replace("~1", "/").replace("~0", "~"))
        if member is None or not member.is_required:
            return False
        pointer = member.pointer
    return True


def properties_of(description: Description, reply: Reply | None, place: str) -> dict[str, Member]:
    """List the members of an answer beside the id at a place, by their names."""
    if reply is None or reply.json is None:
        return {}
    pointer = reply.json
    for part in place.split("/")[1:-1]:
        member = members(description, pointer).get(part)
        if member is None:
            return {}
        pointer = member.pointer
    return members(description, pointer)
