"""Request: the parts of a request as they are written, in the styles of a description."""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from replaykit.openapi.operation import Operation, Parameter
from replaykit.value import JsonData


def path_of(operation: Operation, values: Mapping[str, Any]) -> str:
    """Write the path of an operation with values in it."""
    path = operation.path
    for parameter in operation.in_path():
        said = quote(_simple(parameter, values[parameter.name]), safe="")
        if said in {".", ".."}:  # which would be a place in the path (RFC 3986, section 5.2.4)
            said = said.replace(".", "%2E")
        path = path.replace(f"{{{parameter.name}}}", said)
    return path


def spoil(said: dict[str, Any], place: str, name: str, *instead: JsonData) -> None:
    """Leave something out of a request, or put something else in its place."""
    part = said[place]
    if not isinstance(part, dict):
        part = said[place] = {}
    if instead:
        part[name] = instead[0]
    else:
        part.pop(name, None)


def options(operation: Operation, said: Mapping[str, Any]) -> dict[str, Any]:
    """Write the parts of a request, but for the path, as the client takes them."""
    made: dict[str, Any] = {}
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
        made["params"] = query
    body, plan = said["body"], operation.body
    if plan is not None and body is not None:
        if plan.kind == "json":
            made["content"] = json.dumps(body).encode()
            headers.setdefault("Content-Type", plan.content_type)
        elif plan.kind == "form":
            made["data"] = {name: _form(value) for name, value in body.items() if value is not None}
        else:
            made["files"] = [(name, (None, _text(value))) for name, value in body.items() if value is not None]
    if headers:
        made["headers"] = headers
    return made


def _in_query(parameter: Parameter | None, name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Write a parameter of the query in its style (OpenAPI 3.1.0, "Style Values")."""
    if parameter is not None and parameter.as_json:
        yield name, json.dumps(value)
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
        return json.dumps(value)
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
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def _form(value: Any) -> Any:
    return [_text(each) for each in value] if isinstance(value, list) else _text(value)


def _header(text: str) -> str:
    """Write a text as the value of a header, which takes neither line ends nor what is not ASCII."""
    return "".join(each if " " <= each <= "~" else "?" for each in text).strip()
