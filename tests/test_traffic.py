"""Traffic: recordings become a description that holds what was seen, and nothing that is a secret."""

import base64
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replaykit.errors import BundleError, ForeignFileError, MissingFileError, UsageError
from replaykit.interaction import Interaction, Request, Response, Trouble
from replaykit.secret import Policy
from replaykit.traffic import describe, sessions
from replaykit.traffic.document import Described
from replaykit.traffic.route import singular
from replaykit.traffic.shape import Shape

HERE = Path(__file__).parent
ROOT = HERE.parent
API = "http://127.0.0.1:8080"
JSON = ("Content-Type", "application/json")
ONE, OTHER = "0b8ef0a4-3ad4-4f0c-9d52-c2d1b0b3a001", "7f6b1f9e-9f0e-4c58-8f0b-2f4a5a3c0002"


def said(
    line: str,
    body: Any = None,
    *,
    status: int = 200,
    answer: Any = None,
    sent: Sequence[tuple[str, str]] = (),
    told: Sequence[tuple[str, str]] = (JSON,),
    url: str = API,
) -> Interaction:
    """Make an interaction of a request line; what is sent and answered is JSON, or bytes as they are."""
    method, path = line.split(" ", 1)
    raw = [
        each if isinstance(each, bytes) else b"" if each is None else json.dumps(each).encode()
        for each in (body, answer)
    ]
    headers = (*([JSON] if body is not None and not isinstance(body, bytes) else []), *sent)
    return Interaction(
        request=Request(method=method, url=url + path, headers=headers, body=raw[0]),
        response=Response(status=status, headers=tuple(told), body=raw[1]),
    )


def described(*interactions: Interaction, **options: Any) -> Described:
    """Describe one session."""
    return describe([interactions], **options)


def paths_of(*lines: str) -> set[str]:
    """Return the templates of paths that were asked for, and answered with nothing that says more."""
    return {*described(*[said(line if " " in line else f"GET {line}", answer={}) for line in lines]).document["paths"]}


def operation(found: Described, name: str) -> dict[str, Any]:
    """Return the operation with a name."""
    [one] = [each for item in found.document["paths"].values() for each in item.values() if each["operationId"] == name]
    return one


def answered(*values: Any) -> dict[str, Any]:
    """Return the schema of values that were answered, which are no objects of an API."""
    shape = Shape()
    for each in values:
        shape.add(each)
    return shape.schema()


# --- what is an API -----------------------------------------------------------------------------


def test_the_host_with_most_uses_of_an_api_is_described():
    """Pages and files are no uses of an API, however many there are; the host that is asked for JSON is taken."""
    pages = [said(f"GET /{n}.js", url="https://cdn.example", answer=b"x", told=[]) for n in range(9)]
    found = described(*pages, said("GET /cart", url="https://api.example", answer={}))

    assert "https://api.example" == found.origin
    assert {"to other hosts": 9} == found.left_out


@pytest.mark.parametrize(
    "host", ["b.example", "B.example", "b.example:443", "https://b.example", "https://B.example:443/x"]
)
def test_a_host_can_be_chosen(host: str):
    """A host is named by its name, with its port, or by a URL; another one that has an API too is told."""
    found = described(
        *[said("GET /a", url="https://a.example", answer={})] * 2,
        said("GET /b", url="https://b.example", answer={}),
        host=host,
    )

    assert ("https://b.example", ("https://a.example",)) == (found.origin, found.others)
    assert ["/b"] == list(found.document["paths"])


def test_a_host_that_was_not_asked_is_refused_with_those_that_were():
    """A mistyped host ends with the list of those in the traffic."""
    with pytest.raises(
        UsageError, match=r"Nothing was sent to c\.example\.\nHosts in this traffic: http://127\.0\.0\.1:8080\."
    ):
        described(said("GET /", answer={}), host="c.example")


@pytest.mark.parametrize(
    ("reason", "one"),
    {
        "preflights": said("OPTIONS /a"),
        "with other methods": said("HEAD /a"),
        "redirects, and what was not modified": said("GET /a", status=304),
        "that became another protocol": said("GET /a", status=101),
        "streams": said("GET /a", told=[("Content-Type", "text/event-stream; charset=utf-8")]),
        "pages, and the files of pages": said("GET /a", answer=b"<p>", told=[("content-type", "Text/HTML; a=b")]),
        "without an answer of the service": Interaction(
            request=Request(method="GET", url=f"{API}/a"), trouble=Trouble(error="ReadTimeout")
        ),
        "with paths too long for an API": said("GET " + "/a" * 5000),
    }.items(),
)  # fmt: skip
def test_what_is_no_use_of_an_api_is_left_out_and_counted(reason: str, one: Interaction):
    """Each kind of interaction that says nothing of an API is left out, with its reason."""
    found = described(one, said("GET /b", answer={}))

    assert {reason: 1} == found.left_out
    assert ["/b"] == list(found.document["paths"])


def test_traffic_without_an_api_is_refused():
    """Where nothing is left, the error says what was left out."""
    with pytest.raises(UsageError, match="no use of an API in this traffic: 1 preflights"):
        described(said("OPTIONS /a"))


def test_what_was_never_there_is_no_operation():
    """A path that was always answered with 404 is not described, and that is told."""
    found = described(said("GET /favicon", status=404, answer={}), said("GET /a", answer={}))

    assert ["/a"] == list(found.document["paths"])
    assert ("GET /favicon was never there, and is no operation",) == found.notes


def test_what_forgets_everything_is_no_operation():
    """A reset is no command of a model: it stands apart, and is told."""
    found = described(said("POST /api/reset", answer={}), said("GET /a", answer={}))

    assert "POST /api/reset" == found.document["x-replaykit-reset"]
    assert ["/a"] == list(found.document["paths"])


@pytest.mark.parametrize(("method", "way"), [("POST", "--reset-url"), ("DELETE", "--reset-command")])
def test_a_reset_is_given_to_the_option_that_can_ask_for_it(method: str, way: str):
    """--reset-url asks with POST; what is asked in another way needs a command."""
    found = described(said(f"{method} /api/reset", answer={}), said("GET /a", answer={}))

    assert found.notes[0].endswith(f"give it to {way}")


# --- paths --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "templates"),
    [
        (["/users/1", "/users/2", "/users/me"], {"/users/{user_id}", "/users/me"}),
        (["/users/1/orders/7"], {"/users/{user_id}/orders/{order_id}"}),
        ([f"/items/{ONE}"], {"/items/{item_id}"}),
        (["/runs/01ARZ3NDEKTSV4RRFFQ69G5FAV"], {"/runs/{run_id}"}),
        (["/docs/5f3e9a1bc4d2e8f7a6b5c4d3"], {"/docs/{doc_id}"}),
        (["/customers/cus_9s6XKzkNRLz8i3"], {"/customers/{customer_id}"}),
        (["/v1/users", "/v2/users", "/api/v1.2/users"], {"/v1/users", "/v2/users", "/api/v1.2/users"}),
        (["/reports/2024-05-01"], {"/reports/{report_id}"}),
        (["/a", "/a/"], {"/a", "/a/"}),
        (["/players/Ann%20Lee", "/players/12"], {"/players/{player_id}"}),
        (["/users/1", "/users/search", "/users/count"], {"/users/{user_id}", "/users/search", "/users/count"}),
        ([f"/{word}" for word in "users orders carts items offers shops taxes rates".split()],
         {f"/{word}" for word in "users orders carts items offers shops taxes rates".split()}),
        (["/categories/1", "/addresses/1", "/boxes/1", "/status/1", "/orderItems/1"],
         {"/categories/{category_id}", "/addresses/{address_id}", "/boxes/{box_id}", "/status/{status_id}",
          "/orderItems/{order_item_id}"}),
        (["/teams/1/teams/2"], {"/teams/{team_id}/teams/{team_id_2}"}),
    ],
)  # fmt: skip
def test_templates_of_paths(lines: list[str], templates: set[str]):
    """What a program made is a value, with the name of what stands before it; a word is none."""
    assert templates == paths_of(*lines)


def test_what_came_back_in_an_answer_is_a_value():
    """A plain word is a value where an earlier answer of the same session named something by it."""
    found = described(
        said("POST /players", {"name": "ann"}, status=201, answer={"name": "ann", "score": 0}),
        said("POST /scores/ann", answer={}),
        said("POST /scores/all", answer={}),
    )

    assert {"/players", "/scores/{name}", "/scores/all"} == {*found.document["paths"]}


def test_what_another_session_was_answered_is_no_evidence():
    """A name that came back in one recording says nothing of a path in another one."""
    for name in ("ann", "bob", "cid", "dan"):  # some are read in this order, others in the other one
        one, other = [said("GET /players", answer=[{"name": name}])], [said(f"POST /scores/{name}", answer={})]

        assert {"/players", f"/scores/{name}"} == {*describe([one, other]).document["paths"]}


def test_what_comes_back_only_later_is_no_evidence():
    """An answer says nothing of what was asked before it."""
    found = described(said("POST /scores/ann", answer={}), said("GET /players", answer=[{"name": "ann"}]))

    assert {"/players", "/scores/ann"} == {*found.document["paths"]}


def test_many_words_that_are_used_alike_are_a_guess_that_is_told():
    """Eight paths that differ in one word at their end, and in nothing else, are one; that this is a guess is said."""
    words = "ann bob cid dan eve fay gus hal".split()
    found = described(*[said(f"GET /people/{word}", answer={"age": 3}) for word in words])

    assert ["/people/{name}"] == list(found.document["paths"])
    assert ("/people/{name} is a guess: 8 paths were used alike",) == found.notes
    assert "guess" in found.document["paths"]["/people/{name}"]["get"]["summary"]


def test_words_that_may_be_names_are_told():
    """Some words behind a noun stay in the paths as they were sent, and that is said; two are no such thing."""
    some = described(*[said(f"GET /people/{word}", answer={"age": 3}) for word in ("ann-lee", "bob", "cid")])
    two = described(*[said(f"GET /people/{word}", answer={"age": 3}) for word in ("me", "all")])

    assert ("/people has 3 paths below it, taken as they were sent: look whether they are names",) == some.notes
    assert () == two.notes


def test_many_words_that_are_used_differently_are_words():
    """Eight procedures with arguments of their own stay eight."""
    found = described(*[said(f"POST /rpc/do{word}", {word: 1}, answer={}) for word in "abcdefgh"])

    assert 8 == len(found.document["paths"])


@pytest.mark.parametrize(
    ("many", "one"),
    [("accounts", "account"), ("status", "status"), ("boxes", "box"), ("news", "new"), ("people", "people"),
     ("line-items", "line_item"), ("churches", "church"), ("classes", "class"), ("series", "sery"), ("s", "s")],
)  # fmt: skip
def test_nouns_in_the_singular(many: str, one: str):
    """Regular plurals become singulars; what they become need not be English, but is always the same."""
    assert one == singular(many)


# --- parameters and bodies ----------------------------------------------------------------------


def test_parameters_of_queries():
    """A parameter is required where it was always there; one that was there twice in a request is a list."""
    found = described(
        said("GET /a?page=1&tag=x&tag=y&deep=true&q=", answer={}), said("GET /a?page=2&tag=z&near=1.5", answer={})
    )
    parameters = {each["name"]: each for each in operation(found, "getA")["parameters"]}

    assert {"page": True, "tag": True} == {name: True for name, each in parameters.items() if each.get("required")}
    assert {"type": "integer", "examples": [1, 2]} == parameters["page"]["schema"]
    assert {"type": "array", "items": {"type": "string"}} == parameters["tag"]["schema"]
    assert ["boolean", "string", "number"] == [parameters[each]["schema"]["type"] for each in ("deep", "q", "near")]


def test_the_body_is_what_was_accepted():
    """A request that was refused says nothing of what a body has to look like."""
    found = described(
        said("POST /a", {"size": 1, "note": None}, status=201, answer={}),
        said("POST /a", {"size": 2, "note": "x"}, status=201, answer={}),
        said("POST /a", {"size": "big", "wrong": 1}, status=400, answer={"error": "no"}),
    )
    schema = operation(found, "a")["requestBody"]["content"]["application/json"]["schema"]

    assert ["size", "note"] == schema["required"]
    assert {"type": "integer", "examples": [1, 2]} == schema["properties"]["size"]
    assert {"type": ["string", "null"]} == schema["properties"]["note"]


def test_forms_and_other_bodies():
    """A form has the fields that were sent; of what is neither JSON nor a form, the type is all that is known."""
    found = described(
        said("POST /login", b"user=ann&n=1", sent=[("Content-Type", "application/x-www-form-urlencoded")], answer={}),
        said("PUT /files/1", b"\x00", sent=[("Content-Type", "application/octet-stream")], status=204, told=[]),
    )
    form = operation(found, "login")["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]

    assert {"type": "string"} == form["properties"]["user"]
    assert {"application/octet-stream": {"schema": {}}} == operation(found, "replaceFile")["requestBody"]["content"]


def test_headers_of_an_api_are_parameters_and_those_of_clients_are_none():
    """What a browser or a library sends by itself is left out; one value that is always the same is the only one."""
    usual = [("User-Agent", "x"), ("sec-ch-ua", "y"), ("Accept", "*/*"), ("traceparent", "z"), (":path", "/a")]
    found = described(
        *[
            said("GET /a", answer={}, sent=[*usual, ("X-Tenant", "acme"), ("Idempotency-Key", f"k{n}")])
            for n in range(2)
        ]
    )

    assert [
        {"name": "Idempotency-Key", "in": "header", "required": True, "schema": {"type": "string"}},
        {"name": "X-Tenant", "in": "header", "required": True, "schema": {"type": "string", "enum": ["acme"]}},
    ] == operation(found, "getA")["parameters"]


# --- schemas ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "schema"),
    [
        ([1, 2], {"type": "integer"}),
        ([1, 2.5], {"type": "number"}),
        ([1, None], {"type": ["integer", "null"]}),
        ([None], {}),
        ([True], {"type": "boolean"}),
        ([1, "a"], {"type": ["string", "integer"]}),
        ([[]], {"type": "array", "items": {}}),
        ([[1], ["a", None]], {"type": "array", "items": {"type": ["string", "integer", "null"]}}),
        ([ONE, OTHER], {"type": "string", "format": "uuid"}),
        ([ONE, "x"], {"type": "string"}),
        (["2024-05-01"], {"type": "string", "format": "date"}),
        (["2024-13-01"], {"type": "string"}),
        (["2024-05-01T10:00:00Z", "2024-05-01T10:00:00.5+02:00"], {"type": "string", "format": "date-time"}),
        (["2024-05-01T10:00:00"], {"type": "string"}),
        (["a@b.example"], {"type": "string", "format": "email"}),
        (["https://a.example/b?c"], {"type": "string", "format": "uri"}),
        (["127.0.0.1"], {"type": "string", "format": "ipv4"}),
        (["127.0.0.1", "1.2.3.400"], {"type": "string"}),
        (["open", "held"] * 3, {"type": "string", "enum": ["held", "open"]}),
        (["open", "held"], {"type": "string"}),
        (["open", "open", "open", "held"], {"type": "string"}),
        (["open", None] * 3, {"type": ["string", "null"], "enum": ["open", None]}),
        (["a b"] * 9, {"type": "string"}),
        ([f"w{'abcdefghijk'[n]}" for n in range(11)] * 9, {"type": "string"}),
        ([{}], {"type": "object"}),
        ([{"a": 1, "b": 2}, {"a": 1}],
         {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a"]}),
        ([{ONE: 1, OTHER: 2}], {"type": "object", "additionalProperties": {"type": "integer"}}),
        ([{"1": "a"}, {"2": "b"}], {"type": "object", "additionalProperties": {"type": "string"}}),
        ([{f"k{n}" * 3: n for n in range(1000)}], {"type": "object", "additionalProperties": {"type": "integer"}}),
    ],
)  # fmt: skip
def test_schemas(values: list[Any], schema: dict[str, Any]):
    """A schema says what all samples have in common, and no more."""
    assert schema == answered(*values)


def test_what_is_nested_without_end_may_be_anything():
    """A body that is nested deeper than any API is described down to a level, and no further."""
    deep: Any = 1
    for _ in range(150):
        deep = {"a": deep}
    found = described(said("GET /a", answer=deep))

    assert 12 == json.dumps(found.document).count('"a": {"type": "object"')


@pytest.mark.parametrize(("above", "below"), [(2000, 50), (150, 200)])
def test_a_body_with_endless_places_takes_bounded_memory(above: int, below: int):
    """A body with tens of thousands of names, too many for one level or not, becomes a document of limited size."""
    hostile = {f"key{n}x": {f"more{m}x": 1 for m in range(below)} for n in range(above)}

    assert 1_000_000 > len(json.dumps(described(said("GET /a", answer=[hostile])).document))


def test_objects_with_the_same_keys_are_one_schema():
    """What two operations answer alike has one name, and what was seen by both counts."""
    found = described(
        said("POST /pets", {"name": "x"}, status=201, answer={"id": 1, "owner": None}),
        said("GET /pets/1", answer={"id": 1, "owner": 5}),
        said("GET /pets", answer=[{"id": 1, "owner": 5}]),
        said("GET /pets/9", status=404, answer={"error": "no"}),
        said("POST /pets", {"name": ""}, status=400, answer={"error": "blank"}),
    )
    schemas = found.document["components"]["schemas"]

    assert {"Pet", "Error"} == {*schemas}
    assert {"type": ["integer", "null"]} == schemas["Pet"]["properties"]["owner"]
    assert {"200", "404"} == {*operation(found, "getPet")["responses"]}
    assert {"type": "array", "items": {"$ref": "#/components/schemas/Pet"}} == (
        operation(found, "listPets")["responses"]["200"]["content"]["application/json"]["schema"]
    )


def test_errors_of_the_service_are_told_and_not_described():
    """A 500 is nothing that a description may promise; the request still says how it is asked."""
    found = described(said("GET /a", status=500, answer={}), said("GET /a", answer={}))

    assert ["200"] == list(operation(found, "getA")["responses"])
    assert ("GET /a was answered with 500 once, which is not described",) == found.notes


def test_a_body_that_was_cut_is_no_sample():
    """What only the beginning was kept of says nothing of the whole."""
    whole = said("GET /a", answer={"a": 1, "b": 2})
    assert whole.response is not None
    cut = whole.replace(response=whole.response.replace(body=b'{"a": 1}', complete=False))
    found = described(whole, cut)

    assert ["a", "b"] == found.document["components"]["schemas"]["A"]["required"]


def test_the_document_says_that_it_was_observed():
    """Whoever reads the document knows that it holds what was seen, and no promise."""
    document = described(said("GET /a", answer={}), title="Shop").document

    assert ("3.1.0", True, "Shop") == (document["openapi"], document["x-replaykit-observed"], document["info"]["title"])
    assert [{"url": API}] == document["servers"]


# --- links --------------------------------------------------------------------------------------


def test_small_numbers_are_linked_by_what_they_are_called():
    """The 1 of an account and the 1 of an order are told apart by the words around them."""
    found = described(
        said("POST /accounts", {"owner": "a"}, status=201, answer={"id": 1}),
        said("POST /orders", {"account": 1, "count": 1}, status=201, answer={"id": 1, "account": 1}),
        said("GET /accounts/1", answer={"id": 1}),
        said("GET /orders/1?account_id=1", answer={"id": 1, "account": 1}),
    )
    account = operation(found, "createAccount")["responses"]["201"]["links"]

    assert {
        "createOrder": {"operationId": "createOrder", "requestBody": {"account": "$response.body#/id"}},
        "getAccount": {"operationId": "getAccount", "parameters": {"account_id": "$response.body#/id"}},
        "getOrder": {"operationId": "getOrder", "parameters": {"account_id": "$response.body#/id"}},
    } == account
    assert {"getOrder": {"operationId": "getOrder", "parameters": {"order_id": "$response.body#/id"}}} == operation(
        found, "createOrder"
    )["responses"]["201"]["links"]


def test_long_ids_are_linked_wherever_they_stand():
    """A UUID is itself, whatever it is called, also deep in a body."""
    found = described(
        said("POST /files", {"n": 1}, status=201, answer={"data": {"handle": ONE}}),
        said("POST /jobs", {"input": {"a/b": ONE}}, status=202, answer={"ok": True}),
    )

    assert {"input": {"a/b": "$response.body#/data/handle"}} == (
        operation(found, "createFile")["responses"]["201"]["links"]["createJob"]["requestBody"]
    )


def test_what_the_client_said_first_is_no_ref():
    """A value that the client made up, and got back, is not linked into the next body that has it."""
    found = described(
        said("POST /a/1/keys", {"key_id": "abc-1234-xyz"}, status=201, answer={"key_id": "abc-1234-xyz"}),
        said("POST /a/1/keys", {"key_id": "abc-1234-xyz"}, status=201, answer={"key_id": "abc-1234-xyz"}),
    )

    assert "links" not in json.dumps(found.document)


def test_a_session_knows_nothing_of_another():
    """The 1 of one recording is not the 1 of another one."""
    one = [said("POST /pets", {"n": 1}, status=201, answer={"id": 1})]
    other = [said("GET /pets/1", answer={"id": 1})]

    assert "links" not in json.dumps(describe([one, other]).document)
    assert "links" in json.dumps(describe([one + other]).document)


def test_times_are_no_refs():
    """The same moment in two places does not make one a ref to the other."""
    found = described(
        said("POST /a", {"n": 1}, status=201, answer={"made": "2024-05-01T10:00:00Z"}),
        said("POST /b", {"since": "2024-05-01T10:00:00Z"}, answer={}),
    )

    assert "links" not in json.dumps(found.document)


# --- secrets ------------------------------------------------------------------------------------

SECRET = "s3cr3t-Value-0815-xyz"


@pytest.mark.parametrize(
    ("sent", "line", "scheme"),
    [
        ([("Authorization", f"Bearer {SECRET}")], "GET /a", {"bearerAuth": {"type": "http", "scheme": "bearer"}}),
        ([("authorization", "Basic " + base64.b64encode(f"u:{SECRET}".encode()).decode())], "GET /a",
         {"basicAuth": {"type": "http", "scheme": "basic"}}),
        ([("X-Api-Key", SECRET)], "GET /a", {"xApiKeyHeader": {"type": "apiKey", "in": "header", "name": "X-Api-Key"}}),
        ([("Cookie", f"theme=dark; session_id={SECRET}")], "GET /a",
         {"sessionIdCookie": {"type": "apiKey", "in": "cookie", "name": "session_id"}}),
        ([], f"GET /a?api_key={SECRET}", {"apiKeyQuery": {"type": "apiKey", "in": "query", "name": "api_key"}}),
    ],
)  # fmt: skip
def test_credentials_become_schemes(sent: list[tuple[str, str]], line: str, scheme: dict[str, Any]):
    """How a client says who it is stands in the description; with what does not."""
    found = described(said(line, answer={"echo": SECRET}, sent=sent))

    assert scheme == found.document["components"]["securitySchemes"]
    assert [{name: [] for name in scheme}] == operation(found, "getA")["security"]
    assert SECRET not in json.dumps(found.document)
    assert "parameters" not in operation(found, "getA")


def test_what_was_asked_with_and_without_credentials_may_be():
    """Both ways are described where both were accepted; a refusal without them says that they are needed."""
    signed = said("GET /a", answer={}, sent=[("Authorization", f"Bearer {SECRET}")])

    assert [{}, {"bearerAuth": []}] == operation(described(signed, said("GET /a", answer={})), "getA")["security"]
    assert [{"bearerAuth": []}] == operation(described(signed, said("GET /a", status=401, answer={})), "getA")[
        "security"
    ]


def test_secrets_and_texts_of_people_are_nowhere():
    """No text that somebody wrote gets into a description: only names, formats, and words that came again and again."""
    own = {"password": SECRET, "name": "Ann Lee", "mail": "ann@home.example", "about": "likes tea"}
    found = described(*[said("POST /people", own, status=201, answer={"id": n, **own}) for n in range(6)])
    text = json.dumps(found.document)

    assert [] == [each for each in (SECRET, "Ann", "ann@", "tea") if each in text]


def test_secrets_that_look_like_words_are_nowhere():
    """A secret that many things share, and that is a plain word, is covered before anything is counted."""
    things = [{"id": n, "kind": "plain", "api_key": "opensesame"} for n in range(9)]
    properties = described(said("GET /things", answer=things)).document["components"]["schemas"]["Thing"]["properties"]

    assert ({"type": "string", "enum": ["plain"]}, {"type": "string"}) == (properties["kind"], properties["api_key"])


def test_secrets_are_covered_even_where_a_project_keeps_them():
    """A project that writes its secrets into bundles does not get them into a description."""
    things = [{"id": n, "api_key": "opensesame"} for n in range(9)]
    found = described(said(f"GET /things?api_key={SECRET}", answer=things), policy=Policy(enabled=False))

    assert "opensesame" not in json.dumps(found.document)
    assert [{"apiKeyQuery": []}] == operation(found, "listThings")["security"]


def test_a_thing_that_is_shown_again_and_again_counts_once():
    """What one thing is called is no word of the API, however often it is shown; what many things are is one."""
    things = [{"id": n, "kind": "big" if n % 2 else "small", "called": ["ann", "bob"][n // 5]} for n in range(10)]
    found = described(*[said("GET /things", answer=things[:1])] * 9, said("GET /things", answer=things))
    properties = found.document["components"]["schemas"]["Thing"]["properties"]
    shown_again = described(*[said("GET /things", answer=things[:2])] * 9).document["components"]["schemas"]["Thing"]

    assert {"type": "string", "enum": ["big", "small"]} == properties["kind"]
    assert [{"type": "string"}] * 2 == [shown_again["properties"][each] for each in ("kind", "called")]


def test_what_a_client_made_up_is_nowhere_in_answers():
    """A text that stood in a request where no word of the API stands is not repeated from an answer either."""
    made = [said("POST /pets", {"called": called}, answer={}) for called in ("rex", "tom")]
    found = described(*made, *[said("GET /last", answer={"called": called, "n": 1}) for called in ("rex", "tom") * 5])

    assert [] == [each for each in ("rex", "tom") if each in json.dumps(found.document)]


# --- properties ---------------------------------------------------------------------------------

_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(-9, 9)
    | st.sampled_from(["a", "open", "x@y.example", ONE]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "name", "1", "a/b", ONE]), inner)
    ),
    max_leaves=6,
)
_lines = st.sampled_from(
    ["GET /a", "POST /a", "GET /a/1", f"GET /a/{ONE}", "GET /a/me", "GET /a?x=1", "DELETE /a/open", "PUT /%00/1//"]
)
_sessions = st.lists(
    st.lists(
        st.builds(said, _lines, _values, status=st.sampled_from([200, 201, 404, 500]), answer=_values), max_size=5
    ),
    max_size=4,
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(_sessions, st.randoms())
def test_the_order_of_recordings_changes_nothing(recorded: list[list[Interaction]], source: random.Random):
    """The same recordings in another order, and one of them twice, are described in the same text."""
    shuffled = [*recorded, *recorded[:1]]
    source.shuffle(shuffled)
    outcomes = []
    for each in (recorded, shuffled):
        try:
            outcomes.append(json.dumps(describe(each).document))
        except UsageError:
            outcomes.append("")

    assert outcomes[0] == outcomes[1]


def test_keys_stand_in_the_same_order_whatever_comes_first():
    """Two recordings that name the same keys in different orders are described in the same text in both orders."""
    recorded = [[said("GET /a", answer={"a": 1, "b": 2})], [said("GET /a", answer={"b": 1, "a": 2})]]
    texts = {json.dumps(describe(each).document) for each in (recorded, recorded[::-1])}

    assert 1 == len(texts)


def require_fit(found: Described, recorded: Sequence[Sequence[Interaction]]) -> int:
    """Hold each recorded answer, and each body that was accepted, against the description; return how many."""
    document, count = found.document, 0
    for each in (each for session in recorded for each in session):
        path, method = urlsplit(each.request.url).path, each.request.method.lower()
        answer = each.response
        if answer is None or answer.status >= 500:
            continue
        for template, item in document["paths"].items():
            parts, wanted = path.split("/"), template.split("/")
            if method not in item or len(parts) != len(wanted):
                continue
            if not all(one == other or other[:1] == "{" for one, other in zip(parts, wanted, strict=True)):
                continue
            if template != path and method in document["paths"].get(path, {}):
                continue
            described_answer = item[method]["responses"][str(answer.status)]
            if answer.body:
                _fit(document, described_answer["content"]["application/json"]["schema"], answer.body)
                count += 1
            if each.request.body and answer.status < 400:
                _fit(document, item[method]["requestBody"]["content"]["application/json"]["schema"], each.request.body)
    return count


def _fit(document: dict[str, Any], schema: dict[str, Any], body: bytes) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(body), schema | {"components": document.get("components", {})})


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(_sessions)
def test_what_was_seen_fits_the_description(recorded: list[list[Interaction]]):
    """Each answer that was recorded, and each body that was accepted, is valid by the schemas made of them."""
    try:
        found = describe(recorded)
    except UsageError:
        return

    require_fit(found, recorded)


@pytest.mark.parametrize("service", ["leaderboard", "toybank", "travelbooking"])
def test_what_bundles_hold_fits_their_description(service: str):
    """The saved bugs of each example are described, and all that they hold fits."""
    recorded = sessions(sorted((ROOT / "failures" / service).glob("*.pd")))

    assert 20 < require_fit(describe(recorded), recorded)


def test_what_a_browser_did_is_described():
    """The archive of a page in Chromium: the API, its refs, and nothing of the page or of those who booked."""
    found = describe(sessions([HERE / "hars" / "travelbooking.har"]))
    text = json.dumps(found.document)

    assert {"pages, and the files of pages": 3, "to other hosts": 1} == found.left_out
    assert 11 == sum(map(len, found.document["paths"].values()))
    assert {"flight": "$response.body#/id"} == (
        operation(found, "createFlight")["responses"]["201"]["links"]["createBooking"]["requestBody"]
    )
    assert {"holdBooking", "confirmBooking", "cancelBooking", "expireBooking", "getBooking"} == {
        *operation(found, "createBooking")["responses"]["201"]["links"]
    }
    assert [] == [each for each in ("Ada", "Ben", "Cleo", "Dora", "logo", "cdn") if each in text]


# --- files --------------------------------------------------------------------------------------


def test_a_bundle_is_read_without_its_resets():
    """What brought the service back to its beginning before a run is none of its uses."""
    [session] = sessions([ROOT / "failures/leaderboard/tie-order.pd"])

    assert {"/players"} == {unquote(urlsplit(each.request.url).path) for each in session}


@pytest.mark.parametrize(
    ("content", "said_of_it"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"hello", "no mapping|no cassette|no bundle"),
        (b'{"log": {"version": "1.2", "entries": []}}', "no request was recorded"),
        (b'{"log": {"version": "2.0", "entries": []}}', "HAR '2.0'"),
        (b'{"log": {"version": "1.2", "entries": [', "JSON|line"),
        (b"interactions: []\nversion: 7\n", "version|no request"),
        (b'{"openapi": "3.1.0"}', "interactions|no bundle"),
    ],
)
def test_files_that_are_no_recordings(tmp_path: Path, content: bytes, said_of_it: str):
    """A file that is none is refused by name, with what can be read."""
    path = tmp_path / "traffic.har"
    path.write_bytes(content)

    with pytest.raises((ForeignFileError, BundleError), match=f"(?s){path.name}.*({said_of_it})"):
        sessions([path])


def test_a_file_that_is_not_there(tmp_path: Path):
    """A missing file is a mistake in the command line."""
    with pytest.raises(MissingFileError):
        sessions([tmp_path / "none.har"])
