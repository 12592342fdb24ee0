"""Document: the OpenAPI 3.1 document that samples of an API come to, and what has to be said about it."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import unquote

from replaykit.openapi.description import sealed
from replaykit.secret import Policy
from replaykit.traffic import title as titles
from replaykit.traffic.credential import credentials, demanded, is_credential
from replaykit.traffic.descent import Descent, descents, keys_in
from replaykit.traffic.route import GUESSED, MOST_ROUTES, Route, routes
from replaykit.traffic.sample import FORM, METHODS, MISSING, MULTIPART, Sample, Selection, accepted
from replaykit.traffic.shape import Shape, of_texts

MARK = "x-replaykit-observed"
RESET = "x-replaykit-reset"  # what brings the service back to its beginning, as `POST /reset`

_SERVER = 500
_WIPES = re.compile(r"(?i)(.*[_-])?(reset|wipe|truncate|purge|flush|shutdown|restart|clear[_-]?all|delete[_-]?all)")
_USUAL = re.compile(
    r"(?i):.*|accept(-.*)?|user-agent|host|connection|content-.*|cookie|authorization|referer|origin|cache-control|pragma"
    r"|te|trailer|upgrade.*|dnt|priority|sec-.*|x-forwarded-.*|x-requested-with|x-(request|correlation|trace)-id|trace.*"
    r"|baggage|b3|x-b3-.*|sentry-.*|if-.*|range|date|via|forwarded|transfer-encoding|expect|keep-alive|proxy-.*"
    r"|access-control-.*|x-amz.*|amz-.*|x-datadog.*|newrelic|x-newrelic.*|x-real-ip|http2-.*"
)


class Described(NamedTuple):
    """A description, and what has to be said about it."""

    document: dict[str, Any]
    origin: str  # scheme, host and port
    uses: int  # samples that it is made of
    left_out: dict[str, int]  # how many interactions, by reason
    others: tuple[str, ...]  # hosts that have an API too, the busiest first
    notes: tuple[str, ...]  # one sentence each


class _Operation(NamedTuple):
    route: Route
    method: str
    samples: list[Sample]

    @property
    def place(self) -> tuple[str, str]:
        return self.route.template, self.method

    @property
    def shown(self) -> str:
        return f"{self.method.upper()} {self.route.template}"


def document_of(selection: Selection, title: str | None, policy: Policy) -> Described:
    """Put the document together."""
    found, guesses = routes(selection.samples)
    found_out = _operations(selection.samples, found)
    operations = found_out.operations
    names = _names(operations)
    writer = _Writer(names, policy)
    kept = {each.place for each in operations}
    for each in operations:
        writer.look_at(each)
    for each in operations:
        writer.operation(each)
    for descent in descents(selection.samples, found):
        if {(descent.use.route, descent.use.method), (descent.source.route, descent.source.method)} <= kept:
            writer.link(descent)
    _mark(writer.paths, [each.partition(GUESSED)[0] for each in guesses if GUESSED in each])
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": title or "Recorded service", "version": "0"},
        MARK: True,
        "servers": [{"url": selection.origin}],
        "paths": writer.paths,
    }
    if found_out.resets:
        document[RESET] = found_out.resets[0]
    components = {"schemas": writer.schemas, "securitySchemes": dict(sorted(writer.schemes.items()))}
    if any(components.values()):
        document["components"] = {key: each for key, each in components.items() if each}
    return Described(
        sealed(document),
        selection.origin,
        len(selection.samples),
        selection.left_out,
        selection.others,
        (*guesses, *found_out.notes),
    )


def _mark(paths: dict[str, Any], guessed: list[str]) -> None:
    """Say at each operation below a template that it is a guess; models say it where they ask it."""
    for template, operations in paths.items():
        if any(template == each or template.startswith(f"{each}/") for each in guessed):
            for operation in operations.values():
                operation["summary"] = "that this is one operation is a guess"


class _Operations(NamedTuple):
    operations: list[_Operation]
    resets: list[str]  # what wipes all, as `POST /reset`
    notes: list[str]


def _operations(samples: Sequence[Sample], found: list[Route]) -> _Operations:
    """List the operations; leave out what was never there, and what wipes all."""
    listed = _Operations([], [], [])
    for route in found:
        for method in METHODS:
            here = [samples[number] for number in route.samples if samples[number].method == method]
            if here:
                _sort_in(_Operation(route, method, here), listed)
    return listed


def _sort_in(one: _Operation, listed: _Operations) -> None:
    last = one.route.parts[-1]
    if all(each.status in MISSING for each in one.samples):
        listed.notes.append(f"{one.shown} was never there, and is no operation")
    elif one.method != "get" and not one.route.holes and _WIPES.fullmatch(str(last)):
        listed.resets.append(one.shown)
        way = "--reset-url" if one.method == "post" else "--reset-command"  # the first asks with POST
        listed.notes.append(f"{one.shown} seems to forget everything, and is no operation; give it to {way}")
    elif len(listed.operations) >= MOST_ROUTES:
        listed.notes.append(f"{one.shown} is left out: there are more than {MOST_ROUTES} operations")
    else:
        listed.operations.append(one)
        errors = Counter(each.status for each in one.samples if each.status >= _SERVER)
        for status, times in sorted(errors.items()):
            listed.notes.append(
                f"{one.shown} was answered with {status} {'once' if times == 1 else f'{times} times'}, "
                "which is not described"
            )


def _names(operations: Sequence[_Operation]) -> dict[tuple[str, str], str]:
    names: dict[tuple[str, str], str] = {}
    taken: set[str] = set()
    for each in operations:
        lists = any(isinstance(sample.answer, list) for sample in each.samples if sample.is_accepted)
        name = titles.free(titles.operation(each.method, each.route, lists=lists), taken)
        taken.add(name)
        names[each.place] = name
    return names


class _Writer:
    """Writes the paths of a document, and what they have in common."""

    def __init__(self, names: dict[tuple[str, str], str], policy: Policy) -> None:
        self.paths: dict[str, Any] = {}
        self.schemas: dict[str, Any] = {}
        self.schemes: dict[str, dict[str, Any]] = {}
        self._names = names
        self._policy = policy
        self._own: set[str] = set()  # texts that clients made up
        self._shapes: dict[tuple[bool, frozenset[str]], Shape] = {}  # of objects, by whether they are errors, and keys
        self._titles: dict[tuple[bool, frozenset[str]], str] = {}

    def look_at(self, one: _Operation) -> None:
        """Take note of what clients made up, so that it is repeated nowhere."""
        body = Shape()
        for each in one.samples:
            if each.body is not None:
                body.add(each.body)
            self._own.update(value for _, value in each.query)
        self._own |= body.texts()

    def operation(self, one: _Operation) -> None:
        """Write an operation."""
        taken = accepted(one.samples)
        written: dict[str, Any] = {"operationId": self._names[one.place]}
        parameters = [*self._in_path(one), *self._in_query(taken), *self._in_headers(taken)]
        if parameters:
            written["parameters"] = parameters
        body = self._body(taken)
        if body:
            written["requestBody"] = body
        written["responses"] = self._responses(one)
        uses = [credentials(each, self._policy) for each in taken]
        for use in uses:
            self.schemes.update(use)
        if security := demanded(frozenset(use) for use in uses):
            written["security"] = security
        self.paths.setdefault(one.route.template, {})[one.method] = written

    def _in_path(self, one: _Operation) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "in": "path",
                "required": True,
                "schema": _plain(of_texts([unquote(each.parts[at]) for each in accepted(one.samples)]).schema(name)),
            }
            for name, at in one.route.holes.items()
        ]

    def _in_query(self, taken: Sequence[Sample]) -> list[dict[str, Any]]:
        values: dict[str, list[str]] = defaultdict(list)
        most: Counter[str] = Counter()
        for each in taken:
            for name, times in Counter(name for name, _ in each.query).items():
                most[name] = max(most[name], times)
            for name, value in each.query:
                if not is_credential(name, value, self._policy):
                    values[name].append(value)
        found = []
        for name, texts in values.items():
            always = all(any(key == name for key, _ in each.query) for each in taken)
            schema = of_texts(texts).schema(name, with_examples=True)
            if most[name] > 1:
                schema = {"type": "array", "items": schema}
            found.append({"name": name, "in": "query", **({"required": True} if always else {}), "schema": schema})
        return found

    def _in_headers(self, taken: Sequence[Sample]) -> list[dict[str, Any]]:
        values: dict[str, list[str]] = defaultdict(list)
        spelled: dict[str, str] = {}
        for each in taken:
            for name, value in each.headers:
                low = name.lower()
                if not _USUAL.fullmatch(low) and not is_credential(low, value, self._policy):
                    spelled.setdefault(low, name)
                    values[low].append(value)
        found = []
        for low in sorted(values):
            texts = values[low]
            schema: dict[str, Any] = of_texts(texts).schema(low)
            if len(texts) > 1 and len({*texts}) == 1 and re.fullmatch(r"[A-Za-z0-9 ._/;=-]{1,64}", texts[0]):
                schema = {"type": "string", "enum": [texts[0]]}
            always = {"required": True} if len(texts) >= len(taken) else {}
            found.append({"name": spelled[low], "in": "header", **always, "schema": schema})
        return found

    def _body(self, taken: Sequence[Sample]) -> dict[str, Any] | None:
        forms: dict[str, Shape | None] = {}
        for each in taken:
            if not each.form:
                continue
            if each.form == MULTIPART or (each.body is None and "json" not in each.form and each.form != FORM):
                forms.setdefault(each.form, None)
            elif each.body is not None:
                shape = forms.setdefault(each.form, Shape())
                if shape is not None:
                    shape.add(each.body)
        if not forms:
            return None
        always = all(each.form for each in taken)
        unknown: dict[str, dict[str, Any]] = {MULTIPART: {"type": "object"}}
        content = {
            form: {"schema": unknown.get(form, {}) if shape is None else shape.schema(with_examples=True)}
            for form, shape in sorted(forms.items())
        }
        return {**({"required": True} if always else {}), "content": content}

    def _responses(self, one: _Operation) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for status in sorted({each.status for each in one.samples if each.status < _SERVER}):
            here = [each for each in one.samples if each.status == status]
            written: dict[str, Any] = {"description": _reason(status)}
            content: dict[str, Any] = {}
            for form in sorted({each.answer_form for each in here if each.answer_form}):
                told = [each for each in here if each.answer_form == form and each.answer is not None]
                content[form] = {"schema": self._answer(one.route, status, told)} if told else {}
            if content:
                written["content"] = content
            found[str(status)] = written
        return found or {"default": {"description": "Only errors of the service were seen."}}

    def _answer(self, route: Route, status: int, told: Sequence[Sample]) -> dict[str, Any]:
        """Describe what was answered; objects get names, and those with the same keys one."""
        shape = Shape()
        for each in told:
            shape.add(each.answer)
        if set(shape.kinds) == {"object"}:
            return self._named(route, status, shape)
        if set(shape.kinds) == {"array"} and shape.items is not None and set(shape.items.kinds) == {"object"}:
            return {"type": "array", "items": self._named(route, status, shape.items)}
        return shape.schema(own=frozenset(self._own))

    def _named(self, route: Route, status: int, shape: Shape) -> dict[str, Any]:
        is_error = status >= 400  # noqa: PLR2004
        if not shape.keys or shape.is_map or (len(shape.keys) == 1 and not is_error):
            return shape.schema(own=frozenset(self._own))
        key = is_error, frozenset(shape.keys)
        if key not in self._shapes:
            words = [route.noun] if not is_error else ["error"]
            name = titles.pascal(*words)
            if name in self.schemas and not is_error:
                name = titles.pascal(*words, self._last(route)) if self._last(route) != route.noun else name
            self._titles[key] = titles.free(name, self.schemas)
            self._shapes[key] = Shape()
        self._shapes[key].absorb(shape)
        self.schemas[self._titles[key]] = self._shapes[key].schema(own=frozenset(self._own))
        return {"$ref": f"#/components/schemas/{self._titles[key]}"}

    def _last(self, route: Route) -> str:
        return next((part for part in reversed(route.parts) if isinstance(part, str) and part), "")

    def link(self, descent: Descent) -> None:
        """Write down that an answer gives what a request asks with."""
        use, source = descent.use, descent.source
        answers = self.paths[source.route][source.method]["responses"]
        answer = answers.get(str(source.status))
        if answer is None:
            return
        target = self._names[use.route, use.method]
        said = f"$response.body#{source.pointer}"
        link = answer.setdefault("links", {}).setdefault(target, {"operationId": target})
        if use.where != "body":
            clash = any(
                each["name"] == use.name and each["in"] != use.where
                for each in self.paths[use.route][use.method].get("parameters", ())
            )
            link.setdefault("parameters", {})[f"{use.where}.{use.name}" if clash else use.name] = said
            return
        at = link.setdefault("requestBody", {})
        *above, last = keys_in(use.name)
        for part in above:
            at = at.setdefault(part, {})
        at[last] = said


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    return schema or {"type": "string"}


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"
