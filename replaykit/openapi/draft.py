"""Draft: the text of a model and an adapter, made of sketches; the same description gives the same text."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from replaykit.openapi.code import (
    WIDTH,
    Node,
    call,
    flat,
    is_nullable,
    laid_out,
    literal,
    names,
    nullable,
    of,
    pairs,
    prose,
    quoted,
)
from replaykit.openapi.description import Description
from replaykit.openapi.sketch import Field, Shown, Sketch, Sketcher, Sketches
from replaykit.openapi.word import ADAPTER, free, snake
from replaykit.value import JsonData

_PLACES = {"path": "path", "query": "query", "header": "header", "cookie": "cookie"}


@dataclass(frozen=True, slots=True)
class Scheme:
    """A way in which a client says who it is: the header, query parameter or cookie, and the settings it takes."""

    kind: str  # bearer, basic, key
    place: str
    name: str  # of the header, parameter or cookie
    setting: str


def schemes_of(description: Description, used: Iterable[str], notes: list[str], taken: set[str]) -> list[Scheme]:
    """List the security schemes that are asked for, and that a setting can satisfy; `taken` are names not to take."""
    parts = description.document.get("components")
    said = parts.get("securitySchemes") if isinstance(parts, dict) else None
    found: list[Scheme] = []
    taken |= {"user", "password", "base"}
    for name in said if isinstance(said, dict) else ():
        if name not in used:
            continue
        _, scheme = description.within(f"/components/securitySchemes/{name.replace('~', '~0').replace('/', '~1')}")
        kind, way = str(scheme.get("type")), str(scheme.get("scheme", "")).lower()
        if kind in {"oauth2", "openIdConnect"} or (kind == "http" and way == "bearer"):
            if not any(each.kind == "bearer" for each in found):
                found.append(Scheme("bearer", "header", "Authorization", free("token", taken, ADAPTER)))
        elif kind == "http" and way == "basic":
            found.append(Scheme("basic", "header", "Authorization", "user"))
        elif (
            kind == "apiKey"
            and scheme.get("in") in {"header", "query", "cookie"}
            and isinstance(scheme.get("name"), str)
        ):
            setting = free(snake(scheme["name"], "api_key"), taken, ADAPTER)
            found.append(Scheme("key", scheme["in"], scheme["name"], setting))
        else:
            notes.append(f"the security scheme {name} is not known: say it in headers() of the adapter")
    return found


class Draft:
    """Writes the files of one description."""

    def __init__(
        self, description: Description, sketcher: Sketcher, sketches: Sketches, name: str, origin: str
    ) -> None:
        self._description, self._sketcher, self._sketches = description, sketcher, sketches
        self._name, self._origin = name, origin
        used = {scheme for each in sketches.asked for way in each.operation.security for scheme in way}
        self._schemes = schemes_of(description, sorted(used), sketches.notes, sketcher.handlers)

    @property
    def settings(self) -> list[str]:
        """The settings that say who the client is."""
        return [name for each in self._schemes for name in _settings_of(each)]

    # --- generated.py

    def generated(self) -> str:
        """Write the part that is made anew each time."""
        body = [line for part in self._parts() for line in [*part, "", ""]]
        text = "\n".join(body).rstrip() + "\n"
        origin = f" from {prose(self._origin, 40)}" if self._origin else ""
        head = f'"""{prose(self._description.title, 50)}: made by replaykit init{origin}. Change model.py instead."""'
        lines = [*self._imports(text), "", *text.split("\n")]
        return "\n".join([head, *self._unchecked(lines), "", *lines])

    def _unchecked(self, lines: list[str]) -> list[str]:
        """Say which rules of ruff the text can't keep to: only those that it breaks, since ruff tells of others."""
        broken = {
            "E501": any(len(each) > WIDTH for each in lines),  # a text of the description on a line of its own
            "PT019": any(each.startswith("    def test_") and "(self, _: " in each for each in lines),
            "RUF012": bool(self._sketches.kinds),
        }
        codes = [code for code, is_broken in broken.items() if is_broken]
        return [f"# ruff: noqa: {', '.join(codes)}"] if codes else []

    def _imports(self, text: str) -> list[str]:
        said = re.sub(r'"(?:[^"\\\n]|\\.)*"', '""', text)

        def used(names: Iterable[str]) -> list[str]:
            return [name for name in names if re.search(rf"(?<![\w.\"]){name}\b", said)]

        typing = used(["Annotated", "Any", "ClassVar", "Literal"])
        own = used(["Command", "Entity", "Event", "Ref", "expects", "gen", "handles", "like", "on", "requires"])
        contract = used([
            "At", "Contract", "Expected", "NotDone", "REFUSAL", "Refused", "Thing", "acted_on", "belongs", "either",
            "has_room", "keep", "lists", "made_as_sent", "met", "moved", "refused", "removed", "seen", "shaken",
            "shows", "touched", "updated",
        ])  # fmt: skip
        contract = sorted(contract, key=lambda name: (not name.isupper(), name[0].islower(), name))
        lines = ["import os"] if used(["os"]) else []
        lines += [f"from typing import {', '.join(typing)}"] if typing else []
        lines += [""] if lines else []
        lines += _import("replaykit", sorted(own, key=lambda name: (name[0].islower(), name)))
        lines += ["from replaykit.openapi import values"] if used([r"values\."]) else []
        lines += ["from replaykit.openapi.api import ContractApi, Plan"]
        lines += _import("replaykit.openapi.contract", contract)
        lines += ["from replaykit.value import JsonData"] if used(["JsonData"]) else []
        return lines

    def _parts(self) -> Iterator[list[str]]:
        pools = [line for name, code in self._sketches.pools.items() for line in laid_out(f"{name} = ", code, "", 0)]
        yield ["PLAN = Plan.beside(__file__)", *pools]
        for name in self._in_order():
            yield self._thing(name)
        for sketch in self._sketches.asked:
            yield self._command(sketch)
            if sketch.wrong:
                yield self._wrong(sketch)
        for sketch in self._sketches.asked:
            yield self._event(sketch)
        yield self._model()
        yield self._adapter()

    def _in_order(self) -> list[str]:
        """Order the kinds so that each stands behind those that its values are refs to, as far as that can be."""
        values, classes = self._sketches.values, self._sketches.classes
        left, found = list(self._sketches.kinds), list[str]()
        while left:
            free_now = [name for name in left if not any(
                f"Ref[{classes[other]}]" == flat(kind)
                for kind in values[name].values() for other in left if other != name
            )]  # fmt: skip
            name = (free_now or left)[0]
            if not free_now:  # they are refs to each other
                values[name] = {key: kind for key, kind in values[name].items() if not flat(kind).startswith("Ref[")}
            own = f"Ref[{classes[name]}]"
            values[name] = {key: kind for key, kind in values[name].items() if flat(kind) != own}
            left.remove(name)
            found.append(name)
        return found

    def _thing(self, name: str) -> list[str]:
        kind, values = self._sketches.kinds[name], self._sketches.values[name]
        made = " or ".join(kind.made_by) or " or ".join(kind.listed_by)
        word = "Made by" if kind.made_by else "Listed by"
        lines = [f"class {self._sketches.classes[name]}(Thing):", f'    """{word} {prose(made)}."""']
        return [
            *lines,
            *([""] if values else []),
            *(line for field, kind in values.items() for line in laid_out(f"{field}: ", nullable(kind), " = None", 4)),
        ]

    def _command(self, sketch: Sketch) -> list[str]:
        operation = sketch.operation
        weight = f", weight={sketch.weight}" if sketch.weight else ""
        endpoint = prose(operation.endpoint)
        said = prose(operation.summary, min(70, WIDTH - len(f'    """{endpoint}: ."""'))).rstrip(" .")
        summary = f": {said}" if said else ""
        lines = [f"class {sketch.command}(Command{weight}):", f'    """{endpoint}{summary}."""']
        if sketch.fields:
            lines.append("")
        for each in sketch.fields:
            lines += laid_out(f"{each.name}: ", each.annotation, "", 4)
        return lines

    def _wrong(self, sketch: Sketch) -> list[str]:
        wrong = call("gen.one_of", literal(list[JsonData](sketch.wrong)))
        return [
            f"class {sketch.wrongly}({sketch.command}, weight=0.2):",
            f'    """{sketch.command} with something left out or wrong in it: where, and what instead."""',
            "",
            *laid_out("wrong: ", _annotated("list[JsonData]", wrong), "", 4),
        ]

    def _event(self, sketch: Sketch) -> list[str]:
        lines = [f"class {sketch.event}(Event):", f'    """{sketch.command} was done."""']
        if sketch.shown:
            lines.append("")
        for each in sketch.shown:
            is_new = sketch.role == "made" and each.name == sketch.thing  # so that a run without a service has one
            default = " = None" if is_nullable(each.annotation) and not is_new else ""
            kind: Node = each.annotation
            if each.where:
                kind = _annotated(each.annotation, call("At", quoted(each.where)))
            lines += laid_out(f"{each.name}: ", kind, default, 4)
        return lines

    # --- the model

    def _model(self) -> list[str]:
        asked = self._sketches.asked
        commands = [each.command for each in asked]
        wrong = [each.wrongly for each in asked if each.wrong]
        lines = [
            f"COMMANDS = ({', '.join(commands)}{',' if len(commands) == 1 else ''})",
            f"WRONG = ({', '.join(wrong)}{',' if len(wrong) == 1 else ''})",
        ]
        lines = [line for each in lines for line in _tuple_laid_out(each)]
        lines += [
            "",
            "",
            f"class {self._name}(Contract):",
            f'    """What {prose(self._description.title, 60)} promises."""',
            "",
        ]
        if not self._description.is_observed:
            lines += ["    commands: ClassVar = COMMANDS + WRONG"]
        else:
            lines += [
                "    commands: ClassVar = COMMANDS  # and not WRONG: what was not seen need not be refused",
                "    # made of what was seen, so that statuses and schemas are not all there are",
                '    judged: ClassVar = frozenset({"presence", "values", "removal", "lists", "refusals"})',
            ]
        classes, shelves = self._sketches.classes, self._sketches.shelves
        lines += [
            f"    {shelves[name]}: dict[Ref[{classes[name]}], {classes[name]}] = {{}}" for name in self._sketches.kinds
        ]
        for sketch in asked:
            lines += self._requires(sketch)
        for sketch in asked:
            lines += ["", *self._expects(sketch)]
        if wrong:
            union = f"def wrong_data_is_refused(self, _: {' | '.join(wrong)}) -> Expected[Refused]:"
            lines += ["", "    @expects", *_signature(union, 4), "        return refused(self)"]
        for sketch in asked:
            if (folded := self._folds(sketch)) is not None:
                heard = "event" if any("event." in line for line in folded) else "_"
                head = _signature(f"def {sketch.hearing}(self, {heard}: {sketch.event}) -> None:", 4)
                lines += ["", "    @on", *head, *folded]
            elif sketch.role == "shaken":
                lines += [
                    "",
                    "    @on",
                    f"    def {sketch.hearing}(self, _: {sketch.event}) -> None:",
                    "        shaken(self)",
                ]
        return lines

    def _requires(self, sketch: Sketch) -> list[str]:
        """Write that things of a kind are few, and that each is spoken of under what it was made under."""
        lines: list[str] = []
        if sketch.role == "made" and sketch.kind is not None:
            head = _signature(f"def {sketch.method}_has_room(self, _: {sketch.command}) -> bool:", 4)
            room = call("has_room", f"self.{self._sketches.shelves[sketch.kind.name]}", "self.most")
            lines += ["", "    @requires", *head, *laid_out("return ", room, "", 8)]
        kind = self._sketches.kinds.get(self._kind_of(sketch) or "")
        above = [f"cmd.{each.name}" for each in sketch.refs("path") if each.name != sketch.thing]
        if kind is None or not above:
            return lines
        wrong = f" | {sketch.wrongly}" if sketch.wrong else ""
        head = _signature(f"def {sketch.fitting}(self, cmd: {sketch.command}{wrong}) -> bool:", 4)
        node = call("belongs", f"self.{self._sketches.shelves[kind.name]}", f"cmd.{sketch.thing}", *above)
        return [*lines, "", "    @requires", *head, *laid_out("return ", node, "", 8)]

    def _kind_of(self, sketch: Sketch) -> str | None:
        """Return the kind of the thing that a path ends in, or speaks of last."""
        return next((each.ref for each in sketch.fields if each.place == "path" and each.name == sketch.thing), None)

    def _expects(self, sketch: Sketch) -> list[str]:
        node, uses = self._expected(sketch)
        expected = f"Expected[{self._expectation(sketch)}]"
        return [
            "    @expects",
            *_signature(f"def {sketch.method}(self, {'cmd' if uses else '_'}: {sketch.command}) -> {expected}:", 4),
            *laid_out("return ", node, "", 8),
        ]

    def _expectation(self, sketch: Sketch) -> str:
        operation = sketch.operation
        refused = any(name.startswith("4") or name == "default" for name in operation.replies)
        return f"{sketch.event} | Refused" if refused or sketch.fields else sketch.event

    def _expected(self, sketch: Sketch) -> tuple[Node, bool]:
        known: dict[str, Node] = {
            each.name: f"cmd.{each.name}"
            for each in sketch.shown
            if sketch.kind is not None and _is_known(each)  # what else is done, and to what, nobody knows
        }
        plain = call("either", call("like", sketch.event, **known))
        kind = sketch.kind
        if kind is None:
            return plain, bool(known)
        shelf = f"self.{self._sketches.shelves[kind.name]}"
        fades: dict[str, Node] = {"fades": "True"} if sketch.fades else {}
        parents = [f"cmd.{each.name}" for each in sketch.refs("path")]
        if sketch.role == "listed":
            optional = [each for each in sketch.fields if each.place == "query"]
            if sketch.is_paged or sketch.may_hide:
                fades = {"whole": "False", **fades}
            elif optional:
                asked = " is ".join([*(f"cmd.{each.name}" for each in optional), "None"])
                fades = {"whole": asked if len(optional) == 1 else _all_none(optional), **fades}
            node = call("lists", "self", sketch.event, quoted(sketch.thing), shelf, *parents, **fades, **known)
            return node, bool(parents or known or (optional and not (sketch.is_paged or sketch.may_hide)))
        if sketch.role == "read":
            thing = f"cmd.{sketch.thing}"
            others = [each for each in parents if each != thing]
            values = self._sketches.values[kind.name]
            named: dict[str, Node] = {"values": names(values)} if values else {}
            return call("shows", "self", sketch.event, shelf, thing, *others, **named, **fades, **known), True
        if sketch.role in {"made", "updated"}:
            shown = {(each.said, each.kind): each.name for each in sketch.shown if each.said}
            sent = {
                shown[key]: f"cmd.{each.name}"
                for each in sketch.fields
                if each.place == "body" and (key := (each.said, _base(each))) in shown
            }
            if sent:
                return call("made_as_sent", "self", sketch.event, **known, **sent), True
        return plain, bool(known)

    def _folds(self, sketch: Sketch) -> list[str] | None:
        kind = sketch.kind
        shelf = f"self.{self._sketches.shelves[kind.name]}" if kind is not None else ""
        values = self._sketches.values[kind.name] if kind is not None else {}
        known = {name: f"event.{name}" for name in values if any(each.name == name for each in sketch.shown)}
        status: dict[str, Node] = {"status": "event.status"} if sketch.is_async else {}
        refs = [each.name for each in sketch.shown if each.kind == "ref" and each.name != sketch.thing]
        named = [f"event.{each}" for each in refs]
        match sketch.role:
            case "made" if kind is not None:
                thing = call(self._sketches.classes[kind.name], **known)
                lines = laid_out("", call("touched", "self", *named), "", 8) if named else []
                return lines + laid_out(
                    "", call("keep", shelf, f"event.{sketch.thing}", thing, *named, **status), "", 8
                )
            case "read" if kind is not None:
                return laid_out("", call("seen", shelf, f"event.{sketch.thing}", **known), "", 8)
            case "listed" if kind is not None and not kind.made_by:
                made = self._sketches.classes[kind.name]
                return laid_out(f"{shelf} |= ", call("met", shelf, f"event.{sketch.thing}", made), "", 8)
            case "updated":
                lines = laid_out(
                    "", call("updated", "self", shelf, f"event.{sketch.thing}", *status.values(), **known), "", 8
                )
                above = [f"event.{each}" for each in self._sent_refs(sketch)]
                return lines + (
                    laid_out("", call("moved", "self", f"event.{sketch.thing}", *above), "", 8) if above else []
                )
            case "removed":
                return laid_out("", call("removed", "self", shelf, f"event.{sketch.thing}", **status), "", 8)
            case "acted":
                own = [f"event.{each.name}" for each in sketch.shown if each.kind == "ref" and not each.where]
                is_several = any(each.ref is not None and each not in sketch.refs() for each in sketch.fields)
                if not own or is_several:  # nobody knows what it was done to
                    return ["        shaken(self)"]
                return laid_out("", call("acted_on", "self", *own), "", 8)
        return None

    def _sent_refs(self, sketch: Sketch) -> list[str]:
        """List the fields of an event that say which refs were sent in a body."""
        sent = [each.name for each in sketch.refs("body")]
        return [each.name for each in sketch.shown if each.kind == "ref" and not each.where and each.name in sent]

    # --- the adapter

    def _adapter(self) -> list[str]:
        lines = [f"class {self._name}Api(ContractApi[{self._name}]):"]
        lines += [f'    """{prose(self._description.title, 60)} over HTTP."""', "", "    plan = PLAN"]
        base = self._description.base
        lines += [f"    base: str = {quoted(base)}  # where the URL of the service has no path"] if base else []
        lines += self._credentials()
        reset = self._sketches.reset
        if reset is None:
            lines += ["", "    def reset(self) -> None:"]
            lines += ['        """Leave the service as it is: the model speaks of what was made in its own run."""']
        else:
            path = f"self.below({quoted(reset.path)})"
            lines += ["", "    def reset(self) -> None:", f"        self.http.post({path}).raise_for_status()"]
        for sketch in self._sketches.asked:
            wrong = f" | {sketch.wrongly}" if sketch.wrong else ""
            name = self._sketcher.handler(sketch)
            said = f"def {name}(self, cmd: {sketch.command}{wrong}) -> {sketch.event} | NotDone:"
            lines += ["", "    @handles", *_signature(said, 4), *laid_out("return ", self._asking(sketch), "", 8)]
        return lines

    def _asking(self, sketch: Sketch) -> Node:
        named: dict[str, Node] = {}
        for place in _PLACES:
            fields = [each for each in sketch.fields if each.place == place]
            if fields:
                named[place] = pairs((each.said, f"cmd.{each.name}") for each in fields)
        body = [each for each in sketch.fields if each.place == "body"]
        if sketch.operation.body is not None:
            whole = [each for each in sketch.fields if each.place == "whole"]
            named["body"] = f"cmd.{whole[0].name}" if whole else pairs((each.said, f"cmd.{each.name}") for each in body)
        named |= {each.name: f"cmd.{each.name}" for each in sketch.shown if _is_known(each)}
        return call("self.ask", "cmd", sketch.event, quoted(sketch.operation.endpoint), **named)

    def _credentials(self) -> list[str]:
        lines: list[str] = []
        prefix = snake(self._name).upper()
        for each in self._schemes:
            for setting in _settings_of(each):
                name = f"{prefix}_{setting.upper()}"
                lines.append(f'    {setting}: str = os.environ.get("{name}", "")')
        if lines:
            lines.insert(0, "")
        headers = [each for each in self._schemes if each.place == "header" and each.kind != "basic"]
        if headers:
            said = [
                (
                    each.name,
                    f'f"Bearer {{self.{each.setting}}}"' if each.kind == "bearer" else f"self.{each.setting}",
                    each.setting,
                )
                for each in headers
            ]
            lines += ["", "    def headers(self) -> dict[str, str]:", "        said: dict[str, str] = {}"]
            for name, value, setting in said:
                lines += [f"        if self.{setting}:", f"            said[{quoted(name)}] = {value}"]
            lines += ["        return said"]
        if any(each.kind == "basic" for each in self._schemes):
            lines += ["", "    def auth(self) -> tuple[str, str] | None:"]
            lines += ["        return (self.user, self.password) if self.user else None"]
        others = [each for each in self._schemes if each.place in {"query", "cookie"}]
        if others:
            lines += [
                "",
                "    def credentials(self, place: str) -> dict[str, str]:",
                "        said: dict[str, str] = {}",
            ]
            for each in others:
                lines += [f'        if place == "{each.place}" and self.{each.setting}:']
                lines += [f"            said[{quoted(each.name)}] = self.{each.setting}"]
            lines += ["        return said"]
        return lines

    # --- model.py

    def model(self) -> str:
        """Write the part that is yours: subclasses, with hints of what to do with them."""
        name = self._name
        return _MODEL.format(
            title=prose(self._description.title, 60),
            name=name,
            hint="\n".join(["    #", *self._hint()]),
            lists=self._assumptions(),
        )

    def _assumptions(self) -> str:
        return '    # judged: ClassVar = JUDGED - {"lists"}  # what the service need not keep to; see contract.JUDGED'

    def _hint(self) -> list[str]:
        """Write one expectation as an example: the first command that makes something, else the first."""
        asked = self._sketches.asked
        chosen = next((each for each in asked if each.role == "made"), asked[0] if asked else None)
        if chosen is None:
            return []
        if len(chosen.method) + len(chosen.command) + len(chosen.event) > 60:  # noqa: PLR2004  no line to begin with
            return []
        return [
            "    # @expects",
            f"    # def {chosen.method}(self, _: generated.{chosen.command}) -> Expected[generated.{chosen.event}]:",
            f"    #     return (like(generated.{chosen.event}),)  # and it is never refused",
            "    #",
        ]


_MODEL = '''"""{title}: your part.

`replaykit init` has written it once, and leaves it alone from now on.
A method with the name of one in generated.py takes its place; all others are added.
"""
# ruff: noqa: ERA001

# from typing import ClassVar
#
# from replaykit import expects, invariant, like
# from replaykit.openapi.contract import JUDGED, Expected

from shopping import generated


class {name}(generated.{name}):
    """What is promised beyond the description."""

    # commands: ClassVar = generated.COMMANDS  # without those that have something wrong in them
    # most: ClassVar = 10  # things of each kind that are there at a time; with few, more happens to each
{lists}
{hint}
    # @invariant
    # def nothing_is_lost(self) -> None: ...


class {name}Api(generated.{name}Api):
    """How the service is spoken to."""

    # timeout = 2.0  # seconds
    #
    # def reset(self) -> None:
    #     self.http.post("/reset").raise_for_status()
'''.replace("from shopping import generated", "from . import generated")


def _is_known(each: Shown) -> bool:
    """Say whether the command knows what a field of its event is."""
    return not each.where and each.name != "status"


def _settings_of(scheme: Scheme) -> list[str]:
    return ["user", "password"] if scheme.kind == "basic" else [scheme.setting]


def _annotated(kind: Node, more: Node) -> Node:
    return of("Annotated", kind, more)


def _all_none(fields: list[Field]) -> str:
    return " and ".join(f"cmd.{each.name} is None" for each in fields)


def _base(each: Field) -> str:
    """Return the plain type of a field, to compare it with one of an event."""
    said = flat(each.annotation)
    found = re.match(r"(?:Annotated\[)?(Ref|str|int|float|bool|Literal)\b", said)
    word = found[1] if found else ""
    return {"Ref": "ref", "Literal": "str"}.get(word, word)


def _import(module: str, names: list[str]) -> list[str]:
    line = f"from {module} import {', '.join(names)}"
    if not names:
        return []
    if len(line) <= 120:  # noqa: PLR2004
        return [line]
    return [f"from {module} import (", *(f"    {name}," for name in names), ")"]


def _signature(said: str, indent: int) -> list[str]:
    """Lay out the head of a method whose parameter is of many types."""
    space = " " * indent
    if len(said) + indent <= 120:  # noqa: PLR2004
        return [f"{space}{said}"]
    head, _, rest = said.partition("(self, ")
    parameter, _, end = rest.rpartition(") -> ")
    inner = f"{space}    self, {parameter}"
    if len(inner) <= 120:  # noqa: PLR2004
        return [f"{space}{head}(", inner, f"{space}) -> {end}"]
    if len(f"{space}    {parameter},") <= 120:  # noqa: PLR2004
        return [f"{space}{head}(", f"{space}    self,", f"{space}    {parameter},", f"{space}) -> {end}"]
    name, _, kinds = parameter.partition(": ")
    first, *others = kinds.split(" | ")
    lines = [f"{space}{head}(", f"{space}    self,", f"{space}    {name}: {first}"]
    lines += [f"{space}    | {each}" for each in others]
    return [*lines[:-1], f"{lines[-1]},", f"{space}) -> {end}"]


def _tuple_laid_out(line: str) -> list[str]:
    if len(line) <= 120:  # noqa: PLR2004
        return [line]
    head, _, rest = line.partition("(")
    return [f"{head}(", *(f"    {each}," for each in rest.rstrip("),").split(", ")), ")"]
