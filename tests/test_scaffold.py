"""Scaffolds: refs that are found, text that is written, and what happens when it is written again."""

import ast
import copy
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT

from replaykit.errors import DescriptionError, UsageError
from replaykit.openapi.description import accept, read
from replaykit.openapi.link import links_of
from replaykit.openapi.operation import operations_of
from replaykit.openapi.scaffold import put, scaffold

FILES = sorted([*ROOT.glob("examples/*/openapi.yaml"), *ROOT.glob("tests/openapi/*.y*ml")])
NAMES = [f"{each.parent.name}_{each.stem}" for each in FILES]
JSON = "application/json"


def reply(schema, **more):
    """Return an answer in JSON."""
    return {"description": "", "content": {JSON: {"schema": schema}}, **more}


def shop() -> dict:
    """Return a description of customers and their orders."""
    properties = {
        "id": {"type": "string", "format": "uuid"},
        "customerId": {"type": "integer"},
        "note": {"type": "string"},
    }
    order = {"type": "object", "required": ["id"], "properties": properties}
    orders = {"type": "array", "items": order}
    customer = {"type": "object", "properties": {"data": {"type": "object", "properties": {"id": {"type": "integer"}}}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "The Shop"},
        "paths": {
            "/customers": {"post": {"responses": {"201": reply(customer)}}},
            "/customers/{customerId}": {"delete": {"responses": {"204": {"description": ""}}}},
            "/customers/{customerId}/orders": {
                "post": {
                    "requestBody": {"content": {JSON: {"schema": order}}},
                    "responses": {"201": reply(order)},
                },
                "get": {"responses": {"200": reply({"type": "object", "properties": {"rows": orders}})}},
            },
            "/orders/{order_id}": {"get": {"responses": {"200": reply(order)}}},
            "/orders": {"get": {
                "parameters": [{"name": "customer_id", "in": "query", "schema": {"type": "integer"}},
                               {"name": "status", "in": "query", "schema": {"type": "string"}}],
                "responses": {"200": reply({"type": "array", "items": order})}}},
            "/tickets/{code}": {"get": {"responses": {"200": reply({})}}},
        },
    }  # fmt: skip


def found(document: dict):
    """Return the kinds and the refs of a description."""
    description = accept(document)
    return links_of(description, list(operations_of(description)))


def test_refs_are_found_in_paths_and_by_names():
    """Ids in paths, bodies and queries are refs to what a POST has made; what nobody makes is a value."""
    links = found(shop())

    assert {
        ("DELETE /customers/{customerId}", "path", "customerId"): "customer",
        ("GET /customers/{customerId}/orders", "path", "customerId"): "customer",
        ("POST /customers/{customerId}/orders", "path", "customerId"): "customer",
        ("POST /customers/{customerId}/orders", "body", "customerId"): "customer",
        ("GET /orders/{order_id}", "path", "order_id"): "order",
        ("GET /orders", "query", "customer_id"): "customer",
    } == links.refs
    assert {"POST /customers": "/data/id"} == links.kinds["customer"].made_by
    assert {"GET /customers/{customerId}/orders": "/rows/*/id", "GET /orders": "/*/id"} == links.kinds[
        "order"
    ].listed_by


def test_links_go_before_guesses():
    """What a link says is a ref, whatever it is called."""
    document = shop()
    document["paths"]["/tickets/{code}"]["get"]["operationId"] = "readTicket"
    link = {"operationId": "readTicket", "parameters": {"code": "$response.body#/note"}}
    document["paths"]["/customers/{customerId}/orders"]["post"]["responses"]["201"]["links"] = {"ticket": link}
    links = found(document)

    assert links.refs["GET /tickets/{code}", "path", "code"] == "note"
    assert links.kinds["note"].made_by == {"POST /customers/{customerId}/orders": "/note"}


def test_a_member_of_another_type_is_no_ref():
    """A member that is named after a kind and has another type than its id is a value."""
    document = shop()
    document["paths"]["/orders"]["get"]["parameters"][0]["schema"] = {"type": "boolean"}

    assert ("GET /orders", "query", "customer_id") not in found(document).refs


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_the_same_description_gives_the_same_text(path: Path):
    """What is written depends on the description alone."""
    assert scaffold(read(path)) == scaffold(copy.deepcopy(read(path)))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a package for each description."""
    folder = tmp_path_factory.mktemp("written")
    for path, name in zip(FILES, NAMES, strict=True):
        put(scaffold(read(path), name=name), folder / name)
    return folder


CHECKS = pytest.mark.parametrize(
    "check",
    [
        ["mypy", "--strict", "--cache-dir", ".mypy"],
        ["ruff", "check", "--no-cache", "--config", str(ROOT / "pyproject.toml")],
        ["ruff", "format", "--no-cache", "--check", "--diff", "--config", str(ROOT / "pyproject.toml")],
    ],
    ids=["mypy", "ruff check", "ruff format"],
)


def checked(check: list[str], folder: Path, names: Iterable[str]) -> subprocess.CompletedProcess[str]:
    """Run a check of code on some packages in a folder."""
    return subprocess.run(
        [sys.executable, "-m", *check, *names], cwd=folder, capture_output=True, text=True, check=False, timeout=280
    )


@CHECKS
def test_what_is_written_is_clean(written: Path, check: list[str]):
    """The written code passes mypy in strict mode and ruff with nearly all its rules, and is formatted."""
    done = checked(check, written, NAMES)

    assert done.returncode == 0, done.stdout + done.stderr


HOSTILE = '"""\nimport os; os.system("touch /tmp/owned") #\\\u202e \x00 {x} \' \\'


@pytest.mark.parametrize(
    "place", ["title", "summary", "path", "member", "enum", "operation", "header", "pattern", "origin"]
)
def test_no_text_of_a_description_becomes_code(place: str):
    """Whatever stands in a description, what is written is classes, assignments and imports of ours alone."""
    document = shop()
    orders = document["paths"]["/customers/{customerId}/orders"]["post"]
    properties = orders["requestBody"]["content"][JSON]["schema"]["properties"]
    match place:
        case "title":
            document["info"]["title"] = f"Shop {HOSTILE}"
        case "summary":
            orders["summary"] = HOSTILE
        case "path":
            document["paths"][f"/x{HOSTILE}"] = orders
        case "member":
            properties[HOSTILE] = {"type": "string"}
        case "enum":
            properties["note"] = {"enum": [HOSTILE, "a"]}
        case "operation":
            orders["operationId"] = HOSTILE
        case "header":
            orders["parameters"] = [{"name": HOSTILE, "in": "header", "schema": {"type": "string"}}]
        case "pattern":
            properties["note"] = {"type": "string", "pattern": f"^a?{HOSTILE[40:48]}"}
    made = scaffold(document, name="shop", origin=HOSTILE if place == "origin" else "x")
    for text in [made.files["generated.py"], *made.once.values()]:
        tree = ast.parse(text)
        kinds = {type(node).__name__ for node in tree.body}
        called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        imported = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
        assert {"Expr", "Import", "ImportFrom", "Assign", "ClassDef"} >= kinds
        assert not {"os.system", "eval", "exec", "__import__", "print"} & called
        assert all(module is None or module.split(".")[0] in {"replaykit", "typing"} for module in imported)
        assert "\u202e" not in text


def test_names_that_python_or_replaykit_keeps_are_not_taken():
    """Members and operations may be called like keywords, fields of models and methods of adapters."""
    document = shop()
    names = [
        "class",
        "import",
        "copy",
        "json",
        "tag",
        "version",
        "weight",
        "wrong",
        "model_config",
        "self",
        "1st",
        "",
        "id",
        "Id",
    ]
    names += [
        "path",
        "query",
        "body",
        "kind",
        "command",
        "status",
        "schema",
        "dict",
        "on",
        "None",
        "ünïcode",
        "__class__",
    ]
    orders = document["paths"]["/customers/{customerId}/orders"]["post"]
    orders["requestBody"]["content"][JSON]["schema"]["properties"] |= {name: {"type": "string"} for name in names}
    for number, name in enumerate(
        ["on", "expects", "reset", "headers", "copy", "ask", "None", "Event", "print", "gen", "judged"]
    ):
        document["paths"][f"/p{number}"] = {"get": {"operationId": name, "responses": {"200": reply({})}}}
    made = scaffold(document, name="shop")
    names_space: dict = {"__name__": "shop.generated", "__file__": "x"}
    text = made.files["generated.py"].replace("Plan.beside(__file__)", "Plan(accept(DOCUMENT))")
    import types

    module = types.ModuleType("shop_generated")
    module.__dict__.update(names_space | {"accept": accept, "DOCUMENT": document})
    sys.modules["shop.generated"] = module
    try:
        exec(compile(text, "generated.py", "exec"), module.__dict__)  # noqa: S102  what we have written
    finally:
        del sys.modules["shop.generated"]

    assert len(module.COMMANDS) == len(made.commands)


TYPES = ["string", "integer", "number", "boolean"]


def importing(folder: Path, name: str) -> subprocess.CompletedProcess[str]:
    """Import a written model in a new process, in which warnings are errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import {name}.model"],
        cwd=folder, env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_names_that_the_written_code_uses_itself_are_not_taken(tmp_path: Path):
    """Members, shelves, operations and keys called like types, modules and guarded names of pydantic do no harm."""
    names = ["str", "int", "float", "bool", "list", "dict", "values", "os", "frozenset", "model_dump", "model_validate"]
    document = shop()
    order = document["paths"]["/orders/{order_id}"]["get"]["responses"]["200"]["content"][JSON]["schema"]
    order["properties"] |= {f"{name}": {"type": TYPES[at % 4]} for at, name in enumerate([*names, "label", "rank"])}
    for name in names:
        document["paths"][f"/{name}"] = {"get": {"operationId": name, "responses": {"200": reply({})}}}
        document["paths"][f"/x/{name}"] = {"post": {"responses": {"201": reply(order)}}}
        document["paths"][f"/x/{name}/{{id}}"] = {"get": {"responses": {"200": reply(order)}}}
    schemes = {each: {"type": "apiKey", "in": "header", "name": each} for each in [*names, "plan", "ask", "order"]}
    document["components"] = {"securitySchemes": schemes}
    document["security"] = [{each: []} for each in schemes]
    document["paths"]["/orders/{order_id}"]["get"]["operationId"] = "order"
    put(scaffold(document, name="shop"), tmp_path / "shop")
    done = importing(tmp_path, "shop")

    assert done.returncode == 0, done.stderr


def test_what_fastapi_puts_behind_a_name_is_no_part_of_it():
    """A command is called as the function is; as the whole operationId where two functions are called the same."""
    paths = {
        "/tasks/{task_id}/done": {"post": "finish_task_tasks__task_id__done_post"},
        "/a-b/{id}": {"get": "show_a_b__id__get", "delete": "drop_a_b__id__delete"},
        "/users": {"get": "index_users_get"},
        "/teams": {"get": "index_teams_get"},
        "/_get": {"get": "__get_get"},
    }
    said = {
        path: {method: {"operationId": name, "responses": {"200": reply({})}} for method, name in each.items()}
        for path, each in paths.items()
    }
    made = scaffold({"openapi": "3.1.0", "paths": said}, name="shop")

    expected = ["FinishTask", "Show", "Drop", "IndexUsersGet", "IndexTeamsGet", "GetGet"]

    assert expected == list(made.commands.values())


@pytest.mark.parametrize("names", [["create", "createWrongly"], ["createWrongly", "create"], ["wrongDataIsRefused"]])
def test_names_of_operations_do_not_clash_with_made_up_ones(tmp_path: Path, names: list[str]):
    """An operation may be called like what is made of another one."""
    body = {"content": {JSON: {"schema": {"type": "object", "properties": {"count": {"type": "integer"}}}}}}
    document: dict = {"openapi": "3.1.0", "paths": {}}
    for name in names:
        asked = {"operationId": name, "requestBody": body, "responses": {"200": reply({})}}
        document["paths"][f"/{name}"] = {"post": asked}
    text = scaffold(document, name="shop").files["generated.py"]
    defined = [node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    in_model = [each.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef) for each in node.body
                if node.name == "Shop" and isinstance(each, ast.FunctionDef)]  # fmt: skip
    classes = [name for name in defined if name[0].isupper()]

    assert sorted({*classes}) == sorted(classes)
    assert sorted({*in_model}) == sorted(in_model)


def test_operations_without_a_letter_of_ascii_get_names():
    """Where nothing of a name can be one in Python, it is made of the path, or of nothing."""
    document = {"openapi": "3.1.0", "paths": {"/\u540d": {"get": {"operationId": "\u540d\u524d", "responses": {}}}}}

    assert list(scaffold(document, name="shop").commands) == ["GET /\u540d"]
    with pytest.raises(UsageError, match="'_' can't be the name"):
        scaffold(document, name="_")


@pytest.mark.parametrize("document", [{"title": "\ud800"}, {"\udfff": 1}])
def test_half_a_character_is_refused(document: dict):
    """A surrogate that stands alone, which no file can hold, makes no description."""
    with pytest.raises(DescriptionError, match=r"half a character|is no text"):
        scaffold({**shop(), "info": document})


def test_what_cannot_be_imported_is_not_put_in_place(tmp_path: Path):
    """The written code is imported before any of it takes the place of what is there."""
    made = scaffold(shop(), name="shop")
    put(made, tmp_path / "shop")
    before = (tmp_path / "shop" / "generated.py").read_text()
    broken = replace(made, files={**made.files, "generated.py": "import nothing_of_this_name\n"})

    with pytest.raises(DescriptionError, match="can't be imported: ModuleNotFoundError"):
        put(broken, tmp_path / "shop")
    assert before == (tmp_path / "shop" / "generated.py").read_text()


def test_a_second_run_tells_what_is_new_changed_and_gone(tmp_path: Path):
    """Written again, it names the operations that are new, changed or gone, and spares model.py."""
    folder = tmp_path / "shop"
    before = shop()
    put(scaffold(before, name="shop"), folder)
    (folder / "model.py").write_text("# mine: DeleteCustomer\n")
    after = copy.deepcopy(before)
    del after["paths"]["/customers/{customerId}"]
    after["paths"]["/orders/{order_id}"]["get"]["summary"] = "Another"
    after["paths"]["/carts"] = {"post": {"responses": {"201": reply({})}}}

    assert (
        "new: POST /carts (PostCarts)",
        "changed: GET /orders/{order_id} (ReadOrder)",
        "gone: DELETE /customers/{customerId} (DeleteCustomer, and model.py speaks of it)",
    ) == put(scaffold(after, name="shop"), folder)
    assert (folder / "model.py").read_text() == "# mine: DeleteCustomer\n"
    assert put(scaffold(after, name="shop"), folder) == ()


def test_a_change_in_a_part_is_a_change_of_what_refers_to_it(tmp_path: Path):
    """An operation has changed where a schema that it refers to has."""
    document = read(ROOT / "tests" / "openapi" / "gists.yaml")
    put(scaffold(document, name="gists"), tmp_path / "gists")
    document["components"]["schemas"]["Comment"]["properties"]["body"]["maxLength"] = 9
    told = put(scaffold(document, name="gists"), tmp_path / "gists")

    assert "changed: GET /gists/{gist_id}/comments (GistsListComments)" in told
    assert not any("GET /gists " in line for line in told)


def test_a_change_by_hand_is_not_overwritten(tmp_path: Path):
    """A generated file that was changed is refused, and nothing is written, unless it is forced."""
    folder = tmp_path / "shop"
    put(scaffold(shop(), name="shop"), folder)
    path = folder / "generated.py"
    path.write_text(path.read_text().replace("weight=2", "weight=9"))
    before = {each.name: each.read_bytes() for each in folder.iterdir()}

    with pytest.raises(UsageError, match="was changed by hand"):
        put(scaffold({**shop(), "info": {}}, name="shop"), folder)
    assert before == {each.name: each.read_bytes() for each in folder.iterdir()}
    put(scaffold(shop(), name="shop"), folder, force=True)
    assert "weight=9" not in path.read_text()


def test_a_folder_of_others_is_left_alone(tmp_path: Path):
    """A folder with other files in it is not written to."""
    (tmp_path / "main.py").write_text("x")

    with pytest.raises(UsageError, match="with other files in it"):
        put(scaffold(shop(), name="shop"), tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["main.py"]


@pytest.mark.parametrize("name", ["class", "a b", "1a", "../x", "replaykit", "é"])
def test_what_can_be_no_package_is_no_name(name: str):
    """A name that can't be imported, or is ours, is refused."""
    with pytest.raises(UsageError, match="can't be the name of"):
        scaffold(shop(), name=name)


def test_a_description_in_which_nothing_can_be_asked_is_refused():
    """Where no operation is left, that is told, with the reason."""
    body = {"required": True, "content": {"application/xml": {}}}
    document = {"openapi": "3.1.0", "paths": {"/a": {"post": {"requestBody": body, "responses": {}}}}}

    with pytest.raises(DescriptionError, match="sends application/xml, which is not made"):
        scaffold(document)


def test_keys_are_settings_and_never_made_up():
    """Each scheme that is asked for becomes a setting that is empty where nobody gives it."""
    document = shop()
    document["components"] = {
        "securitySchemes": {
            "a": {"type": "apiKey", "in": "query", "name": "api_key"},
            "b": {"type": "http", "scheme": "basic"},
            "c": {"type": "http", "scheme": "bearer"},
            "unused": {"type": "apiKey", "in": "header", "name": "X-Other"},
        }
    }
    document["security"] = [{"a": []}, {"b": []}, {"c": []}]
    made = scaffold(document, name="shop")

    assert made.settings == ("api_key", "user", "password", "token")
    assert 'api_key: str = os.environ.get("SHOP_API_KEY", "")' in made.files["generated.py"]
    assert "X-Other" not in made.files["generated.py"]


def test_no_server_but_on_this_machine_is_proposed():
    """The servers of a description are for real; only one on this machine is a place to try things out."""
    there = scaffold({**shop(), "servers": [{"url": "https://api.example.com"}]}, name="shop")
    here = scaffold({**shop(), "servers": [{"url": "https://x.com"}, {"url": "http://localhost:80/v1/"}]}, name="shop")

    assert there.url is None
    assert here.url == "http://localhost:80/v1"


def test_operations_on_one_path_speak_of_the_same_few_values():
    """A value in a path comes from one pool, whichever operation speaks of it; another path has another pool."""
    document = shop()
    label = {"name": "label", "in": "path", "schema": {"type": "string", "pattern": "^[a-z]{1,8}$"}}
    item = {
        "parameters": [label],
        **{method: {"responses": {"204": {"description": ""}}} for method in ("put", "delete")},
    }
    document["paths"] |= {"/customers/{id}/labels/{label}": item, "/shelves/{label}": item}
    text = scaffold(document, name="shop").files["generated.py"]

    pool = 'gen.pool(values.matching("^[a-z]{1,8}$"), size=3)'
    assert [f"LABEL = {pool}", f"LABEL2 = {pool}"] == [line for line in text.split("\n") if line.startswith("LABEL")]
    assert [2, 2] == [text.count(f"Annotated[str, {name}]") for name in ("LABEL", "LABEL2")]


def test_few_things_of_a_kind_are_made():
    """A command that makes something is asked while there is room for it."""
    text = scaffold(shop(), name="shop").files["generated.py"]

    assert text.count("return has_room(self.customers, self.most)") == 1
    assert text.count("return has_room(self.orders, self.most)") == 1


def test_api_is_said_once():
    """A service that is called an API gives no adapter with a doubled ending."""
    made = scaffold({**shop(), "info": {"title": "Parcel Tracking API"}})
    bare = scaffold({**shop(), "info": {"title": "API"}})

    assert ("parcel_tracking_api", "ParcelTracking") == (made.name, made.model)
    assert "class ParcelTrackingApi(ContractApi[ParcelTracking]):" in made.files["generated.py"]
    assert bare.model == "Service"


def test_what_is_made_need_not_show_its_id_but_has_one_without_a_service(tmp_path: Path, monkeypatch):
    """Where an id may be left out of an answer, a run without a service fills it in."""
    put(scaffold(shop(), name="idless"), tmp_path / "idless")
    monkeypatch.syspath_prepend(str(tmp_path))
    from idless.generated import CreateCustomer, Idless  # type: ignore[import-not-found]

    from replaykit.adapter import Mock

    event = Mock(Idless).perform(CreateCustomer())

    assert event.customer is not None


def test_what_was_only_observed_is_no_promise():
    """In a model of observed traffic, statuses and looks are told, and not judged."""
    made = scaffold({**shop(), "x-replaykit-observed": True}, name="shop")

    judged = 'judged: ClassVar = frozenset({"presence", "values", "removal", "lists", "refusals"})'
    assert judged in made.files["generated.py"]


def notes(properties: dict, *, query: dict | None = None, **more) -> str:
    """Return the text of a model of notes with these properties, beside their ids."""
    note = {"type": "object", "properties": {"id": {"type": "string", "readOnly": True}, **properties}}
    path = [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]
    listed = {"responses": {"200": reply({"type": "array", "items": note})}}
    if query is not None:
        listed["parameters"] = [{"name": "color", "in": "query", **query}]
    body = {"requestBody": {"content": {JSON: {"schema": note}}}}
    return scaffold(
        {
            "openapi": "3.1.0",
            "info": {"title": "Notes"},
            "paths": {
                "/notes": {"get": listed, "post": {**body, "responses": {"201": reply(note)}}},
                "/notes/{id}": {"parameters": path, "patch": {**body, "responses": {"200": reply(note)}}},
                "/notes/merge": {
                    "post": {
                        "requestBody": {"content": {JSON: {"schema": {
                            "type": "object", "required": ["note_ids"],
                            "properties": {"note_ids": {"type": "array", "items": {"type": "string"}}},
                        }}}},
                        "responses": {"204": {"description": ""}},
                    }
                },
            },
            **more,
        },
        name="notes",
    ).files["generated.py"]  # fmt: skip


TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("properties", "more"),
    [
        ({"public": {"type": "boolean"}}, {}),
        ({"done_at": TEXT}, {}),
        ({"draft": TEXT}, {}),
        ({"pinned": {"type": "boolean"}}, {}),
        ({"title": TEXT}, {"x-replaykit-observed": True}),
    ],
)
def test_a_list_may_leave_out_what_is_not_meant_to_be_seen(properties: dict, more: dict):
    """Where a flag is sent, or a member may say it, a list need not hold all; nor where nobody promised anything."""
    whole = 'lists(self, NotesListed, "notes", self.notes)'

    assert whole in notes({"title": TEXT})
    assert whole not in notes(properties, **more)
    assert "whole=False" in notes(properties, **more)


def words(*said: str) -> dict:
    """Return the schema of one of some words."""
    return {"type": "string", "enum": [*said]}


@pytest.mark.parametrize(("status", "fades"), [
    (words("todo", "doing"), False), (words("todo", "archived"), True), (words("OPEN", "CLOSED"), True),
    ({"anyOf": [words("todo"), {"type": "null"}]}, False), ({"const": "todo"}, False), (TEXT, True),
    ({"type": "integer", "enum": [0, 1]}, True), ({"oneOf": [{"const": "todo"}, {"const": "doing"}]}, True),
])  # fmt: skip
def test_a_status_tells_of_an_end_if_one_of_its_words_does(status: dict, fades: bool):
    """What is gone may be shown, and lists may leave things out, where a word means so or the words are not known."""
    text = notes({"title": TEXT, "status": status})

    assert fades == ("fades=True" in text)
    assert fades == ("whole=False" in text)
    assert "fades=True" in notes({"deleted_at": words("todo")})
    assert "fades=True" in notes({"phase": words("up", "removed")})


def test_what_is_optional_in_a_query_is_never_wrong():
    """A filter that is none may be ignored; one that is required may not."""
    few = {"type": "integer", "minimum": 1}

    assert '"query"' not in notes({"title": TEXT}, query={"schema": few}).partition("gen.one_of")[2].partition(")")[0]
    assert '["query", "color", "x"]' in notes({"title": TEXT}, query={"schema": few, "required": True})


def test_what_is_written_with_another_ref_has_moved():
    """An order that is written with a customer may belong to that one from then on."""
    document = shop()
    order = document["paths"]["/orders/{order_id}"]["get"]["responses"]
    properties = {"customerId": {"type": "integer"}}
    body = {"content": {JSON: {"schema": {"type": "object", "properties": properties}}}}
    document["paths"]["/orders/{order_id}"]["patch"] = {"requestBody": body, "responses": order}

    assert "moved(self, event.order, event.customer)" in scaffold(document, name="shop").files["generated.py"]


def test_an_action_on_several_may_have_done_anything():
    """After an action that names a list of refs, nothing is claimed any more."""
    assert "shaken(self)" in notes({"title": TEXT})


def test_the_description_is_beside_the_model_in_one_dialect(tmp_path: Path):
    """What the written code asks by is the description as it was understood."""
    put(scaffold(read(ROOT / "examples" / "travelbooking" / "openapi.yaml"), name="travel"), tmp_path / "travel")
    kept = json.loads((tmp_path / "travel" / "openapi.json").read_text())

    assert kept["openapi"] == "3.1.0"
    assert kept["components"]["schemas"]["Booking"]["properties"]["flight"] == {"type": ["string", "null"]}


@pytest.mark.parametrize("name", ["generated.py", "model.py", "openapi.json", "__init__.py"])
def test_a_link_that_leads_nowhere_is_not_followed(tmp_path: Path, name: str):
    """Nothing is written outside of the folder."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / name).symlink_to(tmp_path / "outside")

    with pytest.raises(UsageError, match=r"is a link that leads nowhere"):
        put(scaffold(shop(), name="shop"), folder, force=True)
    assert not (tmp_path / "outside").exists()


def test_what_is_gone_is_told_without_a_command_too(tmp_path: Path):
    """An operation that never had a command is gone as well."""
    before = shop()
    body = {"required": True, "content": {"application/xml": {}}}
    before["paths"]["/xml"] = {"post": {"requestBody": body, "responses": {}}}
    put(scaffold(before, name="shop"), tmp_path / "shop")

    assert ("gone: POST /xml",) == put(scaffold(shop(), name="shop"), tmp_path / "shop")


def asking(schema: object, **schemas: object) -> dict:
    """Return a description of one operation that is asked with a schema, and answers with it."""
    asked = {"requestBody": {"content": {JSON: {"schema": schema}}}, "responses": {"200": reply(schema)}}
    return {"openapi": "3.1.0", "paths": {"/a": {"post": asked}}, "components": {"schemas": schemas}}


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"type": "string2"}, "type"),
        ({"type": [{}]}, "type"),
        ({"properties": []}, "properties"),
        ({"properties": {"a/b": 5}}, "properties/a~1b"),
        ({"items": [{}]}, "items"),
        ({"required": "id"}, "required"),
        ({"properties": {"id": {"required": True}}}, "properties/id/required"),
        ({"minLength": "x"}, "minLength"),
        ({"maxLength": -1}, "maxLength"),
        ({"multipleOf": 0}, "multipleOf"),
        ({"pattern": 5}, "pattern"),
        ({"format": {}}, "format"),
        ({"allOf": {}}, "allOf"),
        ({"exclusiveMinimum": True}, "exclusiveMinimum"),
        (0, ""),
    ],
)
def test_what_is_no_schema_is_refused_with_its_place(schema: object, place: str):
    """Where a schema is wrong, it is told where, also behind a ref, and it is no mistake in replaykit."""
    refers = asking({"$ref": "#/components/schemas/Wrong"}, Wrong=schema)

    with pytest.raises(DescriptionError, match=re.escape(f"#/components/schemas/Wrong{'/' * bool(place)}{place} is ")):
        scaffold(refers)


def doubled(keyword: str) -> dict:
    """Return a description with a schema that is twice another, and that twice another, 25 times."""
    more = {f"S{at}": {keyword: [{"$ref": f"#/components/schemas/S{at - 1}"}] * 2} for at in range(1, 26)}
    return asking({"$ref": "#/components/schemas/S25"}, S0={"type": "object", "properties": {"a": {}}}, **more)


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf"])
def test_a_schema_of_too_many_parts_is_refused(keyword: str):
    """What would take forever to put together is refused at once."""
    with pytest.raises(DescriptionError, match="too many parts"):
        scaffold(doubled(keyword))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "minLength": 10**9},
        {"type": "string", "minLength": 10**9, "pattern": "^a+$"},
        {"type": "array", "minItems": 10**7, "items": {"type": "string"}},
        {"type": "array", "minItems": 2000, "items": {"type": "array", "minItems": 2000, "items": {}}},
        {"type": "object", "minProperties": 10**9},
    ],
)
def test_values_that_are_too_large_are_not_made(schema: dict):
    """What can only be asked with something enormous is left out, and that is told."""
    made = asking({"type": "object", "properties": {"large": schema, "small": {"type": "string"}}})

    assert any("nothing is known to generate for large" in each for each in scaffold(made).notes)


STATES = ["removed", "scheduled", "queued", "running", "success", "restarting", "failed", "skipped", "deferred"]


def jobs(states: list[str], path: str = "/jobs") -> dict:
    """Return a description of jobs with a state that may be null, a member called `ref`, and ids that may be null."""
    state = {"anyOf": [{"type": "string", "enum": states}, {"type": "null"}]}
    properties = {
        "id": {"type": "integer"},
        "state": state,
        "old_states_of_it": {"type": "array", "items": state},
        **{f"a_member_with_quite_a_long_name_{at}": {"type": "string"} for at in range(5)},
    }
    job = {"type": "object", "required": ["id"], "properties": properties}
    ref = {"name": "ref", "in": "path", "required": True, "schema": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}
    sent = {"content": {JSON: {"schema": job}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Jobs of a service with a title that is rather long"},
        "paths": {
            path: {"post": {"summary": "word " * 20, "requestBody": sent, "responses": {"201": reply(job)}}},
            f"{path}/{{ref}}": {"parameters": [ref], "get": {"responses": {"200": reply(job)}}},
            f"{path}/{{ref}}/tries": {
                "parameters": [ref],
                "post": {"responses": {"201": reply({"properties": {"id": {"type": "integer"}}})}},
                "get": {"responses": {"200": reply({})}},
            },
            f"{path}/{{ref}}/tries/{{kind}}": {
                "parameters": [ref, {**ref, "name": "kind"}],
                "get": {"responses": {"200": reply(job)}},
                "post": {"responses": {"200": reply(job)}},
            },
            "/test": {"get": {"operationId": "testConnection", "responses": {"200": reply({})}}},
        },
    }


def health() -> dict:
    """Return a description in which nothing is made, and a path has a text that fits on no line."""
    return {"openapi": "3.1.0", "info": {"title": "Health"}, "paths": {"/health": {"get": {"responses": {}}}}}


CLEAN = {
    "short": lambda: jobs(["on", "off", "on"]),
    "middle": lambda: jobs(STATES),
    "long": lambda: jobs([*STATES, "up_for_retry", "up_for_reschedule", "upstream_failed"]),
    **{f"edge{count}": lambda count=count: jobs([*STATES, "x" * count]) for count in range(1, 26, 3)},
    "deep": lambda: jobs(["on"], "/very/long/path" * 9 + "/jobs"),
    "health": health,
}


@pytest.fixture(scope="module")
def peculiar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a package for each description that has something peculiar."""
    folder = tmp_path_factory.mktemp("peculiar")
    for name, described in CLEAN.items():
        put(scaffold(described(), name=name), folder / name)
    return folder


@CHECKS
def test_what_is_written_of_long_enums_and_names_of_parameters_is_clean(peculiar: Path, check: list[str]):
    """Types and texts of any length, words said twice, and refs called `ref` or `kind` make clean code."""
    done = checked(check, peculiar, CLEAN)

    assert done.returncode == 0, done.stdout + done.stderr


def test_there_is_a_way_to_each_kind():
    """Where only what asks for a user shows users, it asks by a value, and what else asks for one has a ref."""
    user = {"type": "object", "properties": {"name": {"type": "string"}}}
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    link = {"operationId": "listTickets", "parameters": {"name": "$response.body#/name"}}
    read = {"operationId": "readUser", "responses": {"200": reply(user, links={"tickets": link, "self": {
        "operationId": "readUser", "parameters": {"name": "$response.body#/name"}}})}}  # fmt: skip
    document = {"openapi": "3.1.0", "paths": {
        "/users/{name}": {"parameters": [name], "get": read},
        "/users/{name}/tickets": {"parameters": [name], "get": {"operationId": "listTickets", "responses": {}}},
    }}  # fmt: skip

    assert {("GET /users/{name}/tickets", "path", "name"): "user"} == found(document).refs
