"""Api: how requests are written, and how answers are heard."""

import json
from typing import Annotated, Any

import httpx
import pytest

from replaykit import Event, Ref
from replaykit.client import Client
from replaykit.openapi.api import ContractApi, Plan
from replaykit.openapi.contract import At, Contract, Refused, Thing, Undescribed
from replaykit.openapi.description import accept
from replaykit.openapi.operation import operations_of
from replaykit.openapi.request import options, path_of

SCHEMA = {
    "type": "object",
    "properties": {"id": {"type": "integer"}, "petName": {"type": "string"}},
    "required": ["id"],
}
NOTHING: dict[str, Any] = {"path": {}, "query": {}, "header": {}, "cookie": {}, "body": None}


class Pet(Thing):
    """A pet."""


class PetMade(Event):
    """A pet was made."""

    pet: Annotated[Ref[Pet], At("/id")]
    pet_name: Annotated[str | None, At("/petName")] = None


def operation(*parameters, responses=None, body=None):
    """Return an operation with these parameters."""
    said = {"parameters": list(parameters), "responses": responses or {}}
    if body is not None:
        said["requestBody"] = {"content": body}
    document = {"openapi": "3.1.0", "paths": {"/pets/{a}": {"post": said}}}
    [found] = operations_of(accept(document))
    return found


@pytest.mark.parametrize(
    ("value", "path"),
    [("a/b", "/pets/a%2Fb"), (".", "/pets/%2E"), ("..", "/pets/%2E%2E"), ("a.b", "/pets/a.b"), ([1, 2], "/pets/1%2C2")],
)
def test_a_value_in_a_path_is_never_a_place_in_it(value, path):
    """Slashes and dots are written so that the path goes on being that of the operation."""
    assert path == path_of(operation(), {"a": value})


@pytest.mark.parametrize(
    ("more", "value", "query"),
    [
        ({}, [1, 2], [("q", "1"), ("q", "2")]),
        ({"explode": False}, [1, 2], [("q", "1,2")]),
        ({"style": "pipeDelimited", "explode": False}, ["a", "b"], [("q", "a|b")]),
        ({"style": "deepObject", "explode": True}, {"gt": 1}, [("q[gt]", "1")]),
        ({}, {"gt": 1, "lt": 2}, [("gt", "1"), ("lt", "2")]),
        ({"explode": False}, {"gt": 1}, [("q", "gt,1")]),
        ({"content": {"application/json": {"schema": {}}}}, {"a": True}, [("q", '{"a": true}')]),
        ({}, True, [("q", "true")]),
        ({}, 2.0, [("q", "2")]),
    ],
)
def test_a_query_is_written_in_its_style(more, value, query):
    """Lists and objects in a query are written as the description says (OpenAPI 3.1.0, "Style Values")."""
    plan = operation({"name": "q", "in": "query", **more})

    assert query == options(plan, {**NOTHING, "query": {"q": value}})["params"]


def test_headers_cookies_and_forms_are_written():
    """What is None is left out; a header has no line ends; a form is no JSON."""
    plan = operation(body={"application/x-www-form-urlencoded": {"schema": {}}})
    said = {"header": {"X-A": "b\r\nX-Evil: 1", "X-B": None}, "cookie": {"c": "d;e"}, "body": {"a": True, "b": None}}
    made = options(plan, {**NOTHING, **said})

    assert {"X-A": "b??X-Evil: 1", "Cookie": "c=d%3Be"} == made["headers"]
    assert {"a": "true"} == made["data"]


class Pets(Contract):
    """Pets."""


def heard(status: int, content: Any = None, *, responses=None, content_type: str = "application/json"):
    """Say what is heard in an answer."""
    described = responses or {
        "201": {"content": {"application/json": {"schema": SCHEMA}}},
        "422": {"content": {"application/json": {"schema": {"required": ["error"]}}}},
    }
    document = {"openapi": "3.1.0", "paths": {"/pets": {"post": {"responses": described}}}}

    class PetsApi(ContractApi[Pets]):
        plan = Plan(accept(document))

    api = PetsApi(Client("http://127.0.0.1:1"))
    api.refs.step = 1
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    headers = {"content-type": content_type, "location": "/pets/7"}
    answer = httpx.Response(status, content=body, headers=headers)
    return api.hear(api.plan.operation("POST /pets"), PetMade, answer, {})


def test_an_answer_is_an_event_with_what_it_shows():
    """What is as described becomes the event, with the id as a ref."""
    event = heard(201, {"id": 7, "petName": "Ann"})

    assert (Ref("pet@1"), "Ann") == (event.pet, event.pet_name)


@pytest.mark.parametrize(
    ("status", "content", "event"),
    [
        (422, {"error": "x"}, Refused(status=422, missing=False)),
        (404, None, Refused(status=404, missing=True)),
        (429, None, Refused(status=429, missing=False)),
        (409, {}, Undescribed(status="409 of POST /pets")),
        (200, {}, Undescribed(status="200 of POST /pets")),
        (302, {}, Undescribed(status="302 of POST /pets")),
        (422, {}, Undescribed(looks="422 of POST /pets: it: 'error' is missing")),
        (201, {"id": "7"}, Undescribed(looks="201 of POST /pets: id: '7' is not of type 'integer'")),
        (201, b"{", Undescribed(looks="201 of POST /pets: it is no JSON")),
        (201, b"[" * 100_000, Undescribed(looks="201 of POST /pets: it is no JSON")),
    ],
)
def test_what_is_not_described_is_told_and_what_any_service_may_say_is_not(status, content, event):
    """A status or a look that is not described is told; 404, 429 and the like need no description."""
    assert event == heard(status, content)


def test_another_content_type_is_told():
    """HTML where JSON is described is not as described."""
    assert "text/html" in heard(201, b"<p>", content_type="text/html").looks


def test_where_no_refusal_is_described_none_is_undescribed():
    """A description that names no 4xx at all is taken for silent about them."""
    assert Refused(status=409, missing=False) == heard(409, {}, responses={"201": {"description": ""}})
