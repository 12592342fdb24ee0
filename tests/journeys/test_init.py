"""replaykit init: from a description to runs, on the examples and on public services; bugs that are found by it."""

import json
import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, environment

from replaykit.openapi.description import accept, read
from replaykit.openapi.operation import operations_of

EXAMPLES = {"leaderboard": "Leaderboard", "travelbooking": "Travelbooking", "toybank": "Toybank"}
PUBLIC = {"jupyterlab_server": "yml", "gists": "yaml", "customers": "yaml"}
FOUND = [  # service, bug, kind of failure
    ("leaderboard", "duplicate-names", "answers_look_as_described"),
    ("leaderboard", "blank-names", "answers_look_as_described"),
    ("travelbooking", "nothing-booked", "server_error"),
    ("toybank", "negative-balance", "answers_look_as_described"),
]


def ran(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder, from which packages are imported too."""
    more = {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT), str(ROOT / "tests")])}
    return subprocess.run(
        [sys.executable, "-m", "replaykit", *arguments],
        cwd=folder, env=environment(**more), capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip


def described(name: str) -> Path:
    """Return the description of a service."""
    if name in EXAMPLES:
        return ROOT / "examples" / name / "openapi.yaml"
    return ROOT / "tests" / "openapi" / f"{name}.{PUBLIC[name]}"


def made(folder: Path, path: Path, name: str) -> tuple[str, ...]:
    """Make a model of a description; return the options that name it."""
    done = ran(folder, "init", "--openapi", str(path), "--output", f"my_{name}", "--name", name)
    assert done.returncode == 0, done.stderr
    text = (folder / f"my_{name}" / "model.py").read_text()
    model = re.findall(r"^class (\w+)\(", text, re.MULTILINE)[0]
    return ("--model", f"my_{name}.model:{model}", "--adapter", f"my_{name}.model:{model}Api", "--profile", "")


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_model_of_an_example_finds_nothing_where_there_is_nothing(tmp_path: Path, name: str):
    """The written model runs against the real service, exercises each command, and accuses it of nothing."""
    names = made(tmp_path, described(name), name)
    start = f"{sys.executable} -m examples.{name} --port {{port}}"
    done = ran(tmp_path, "integration", *names, "--start", start, "--runs", "25", "--seed", "3")

    assert done.returncode == 0, done.stdout
    never = re.findall(r"\bcommand (\w+)", done.stdout)
    assert [each for each in never if not each.endswith("_wrongly")] == [], done.stdout


@pytest.mark.parametrize(("name", "bug", "found"), FOUND, ids=[bug for _, bug, _ in FOUND])
def test_a_model_that_nobody_touched_finds_planted_bugs(tmp_path: Path, name: str, bug: str, found: str):
    """With a bug switched on, the written model finds it, shrinks it, and it can be replayed offline."""
    names = made(tmp_path, described(name), name)
    start = f"{sys.executable} -m examples.{name} --port {{port}} --bug {bug}"
    options = ("--runs", "60", "--seed", "5", "--stop-on-fail", "--save-failures", "found", "--shrink-time", "30")
    done = ran(tmp_path, "integration", *names, "--start", start, *options)

    assert done.returncode == 1, done.stdout
    assert f" {found}  (fingerprint" in done.stdout
    [bundle] = (tmp_path / "found").glob("*.pd")
    assert ran(tmp_path, "replay", str(bundle), "--offline", "--profile", "").returncode == 1


@pytest.mark.parametrize("name", PUBLIC)
def test_a_model_of_a_public_service_runs(tmp_path: Path, name: str):
    """The written model of a public description runs against a stub of it, and accuses it of nothing."""
    path = described(name)
    names = made(tmp_path, path, name)
    start = f"{sys.executable} -m stubbed {path} --port {{port}}"
    where = ("--start", start, "--health", "/")
    done = ran(tmp_path, "integration", *names, *where, "--runs", "8", "--commands", "30", "--seed", "3")

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", [*EXAMPLES, *PUBLIC])
def test_a_model_runs_against_itself(tmp_path: Path, name: str):
    """Every command has an expectation, so that the model runs without a service."""
    names = made(tmp_path, described(name), name)
    done = ran(tmp_path, "integration", *names[:2], "--profile", "", "--mock", "--runs", "5")

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", [*EXAMPLES, *PUBLIC])
def test_a_model_lints_clean(tmp_path: Path, name: str):
    """What an operation does, somebody looks at: a service that does not do it is noticed, and lint has no warning."""
    names = made(tmp_path, described(name), name)
    done = ran(tmp_path, "lint", names[1], *names[2:])

    assert done.returncode == 0, done.stdout + done.stderr


NAMED = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
PET = {"allOf": [NAMED, {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}]}


def test_lint_tells_nothing_of_what_replaykit_brings_along(tmp_path: Path):
    """A written model hears events of replaykit's own, in which no user can mend anything."""
    shown = {"description": "a pet", "content": {"application/json": {"schema": PET}}}
    number = [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}]
    sent = {"content": {"application/json": {"schema": NAMED}}}
    paths = {
        "/pets": {"post": {"operationId": "addPet", "requestBody": sent, "responses": {"201": shown}}},
        "/pets/{id}": {"get": {"operationId": "readPet", "parameters": number, "responses": {"200": shown}}},
    }
    path = tmp_path / "pets.json"
    path.write_text(json.dumps({"openapi": "3.0.3", "info": {"title": "Pets", "version": "1"}, "paths": paths}))
    names = made(tmp_path, path, "pets")
    done = ran(tmp_path, "lint", names[1], *names[2:], "--json")
    remarks = json.loads(done.stdout)["remarks"]

    assert done.returncode == 0, done.stdout
    assert [] == [each for each in remarks if "my_pets" not in each["file"]]


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_descriptions_of_the_examples_name_their_routes(name: str):
    """Each operation is a route of the service, and each route but those for tests of it is described."""
    routes = {re.sub(r"\{.*?\}", "{}", each.endpoint) for each in operations_of(accept(read(described(name))))}
    assert routes_of(name) - {"GET /health", "GET /api/fixes", "POST /api/fixes/enable", "POST /api/fixes/disable"} == (
        routes
    )


def routes_of(name: str) -> set[str]:
    """List the routes of an example service."""
    if name == "leaderboard":
        from examples.leaderboard.service import application

        app = application()
    elif name == "travelbooking":
        from examples.travelbooking.service import application as agency

        app = agency()
    else:
        from types import SimpleNamespace

        from examples.toybank.service import application as bank

        app = bank(SimpleNamespace(bugs=frozenset()))
    return {
        f"{method} {re.sub(r'{.*?}', '{}', route.path)}" for route in app.routes for method in route.methods - {"HEAD"}
    }


# --- the command itself -------------------------------------------------------------------------


def test_the_next_commands_are_printed(tmp_path: Path):
    """What was written, and how to go on, is printed; the notes go to standard error."""
    done = ran(tmp_path, "init", "--openapi", str(ROOT / "tests" / "openapi" / "gists.yaml"))

    assert done.returncode == 0
    assert "10 commands written to gists/generated.py; gists/model.py is yours" in done.stdout
    assert (
        "integration --model gists.model:Gists --adapter gists.model:GistsApi --url http://127.0.0.1:8000 --health none"
        in done.stdout
    )
    assert "replaykit lint" in done.stdout or "-m replaykit lint" in done.stdout
    assert "the variable GISTS_TOKEN" in done.stderr


def test_a_second_run_tells_what_is_new(tmp_path: Path):
    """Run again after the description has changed, it names what has."""
    document = read(ROOT / "tests" / "openapi" / "gists.yaml")
    path = tmp_path / "api.json"
    path.write_text(json.dumps(document))
    ran(tmp_path, "init", "--openapi", str(path))
    same = ran(tmp_path, "init", "--openapi", str(path))
    del document["paths"]["/gists/{gist_id}/star"]
    path.write_text(json.dumps(document))
    other = ran(tmp_path, "init", "--openapi", str(path))

    assert "nothing is new, changed or gone" in same.stdout
    assert "gone: PUT /gists/{gist_id}/star (GistsStar)" in other.stdout


@pytest.mark.parametrize(
    ("content", "slug"),
    [
        ("swagger: '2.0'\npaths: {}\n", "description"),
        ("openapi: 3.1.0\npaths: {/a: {$ref: 'http://127.0.0.1:1/x'}}\n", "description"),
        ("[", "description"),
        (None, "missing-file"),
    ],
)
def test_what_is_no_description_is_a_wrong_use(tmp_path: Path, content: str | None, slug: str):
    """A file that can't be used exits with 129, and nothing is written."""
    path = tmp_path / "api.yaml"
    if content is not None:
        path.write_text(content)
    done = ran(tmp_path, "init", "--openapi", str(path))

    assert done.returncode == 129
    assert f"error[{slug}]" in done.stderr
    assert [path.name] * (content is not None) == [each.name for each in tmp_path.iterdir()]


def test_without_a_file_it_is_a_wrong_use(tmp_path: Path):
    """Who names nothing is told what to name."""
    done = ran(tmp_path, "init")

    assert done.returncode == 129
    assert "--openapi openapi.yaml" in done.stderr


def test_what_is_printed_next_runs_as_it_is(tmp_path: Path):
    """The printed commands, copied as they are, find nothing in a service without /api/health, nor in the model."""
    path = ROOT / "tests" / "openapi" / "customers.yaml"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    stub = subprocess.Popen(
        [sys.executable, "-m", "stubbed", str(path), "--port", str(port)],
        cwd=ROOT, env=environment(PYTHONPATH=os.pathsep.join([str(ROOT), str(ROOT / "tests")])),
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        done = ran(tmp_path, "init", "--openapi", str(path), "--output", "my models/a b", "--name", "x", "--url", url)
        lines = [shlex.split(line) for line in done.stdout.partition("Next:\n")[2].splitlines()]
        results = [ran(tmp_path, *line[line.index("replaykit") + 1 :], "--runs", "3") for line in lines]
    finally:
        stub.terminate()
        stub.wait()

    assert ["lint", "integration"] == [line[line.index("replaykit") + 1] for line in lines]
    assert [0, 0] == [each.returncode for each in results], [each.stdout + each.stderr for each in results]


def shelf(folder: Path, **more: object) -> Path:
    """Write a description of notes that can be asked after."""
    notes = {"operationId": "list", "responses": {"200": {"description": ""}}}
    document = {"openapi": "3.1.0", "info": {"title": "Shelf"}, "paths": {"/notes": {"get": notes}, **more}}
    (folder / "api.json").write_text(json.dumps(document))
    return folder / "api.json"


def test_a_health_check_of_the_description_is_proposed(tmp_path: Path):
    """What the description has to ask for health is named; where it has nothing, none is asked."""
    ping = {"/v1/ping": {"get": {"responses": {"200": {"description": ""}}}}}
    without = ran(tmp_path, "init", "--openapi", str(shelf(tmp_path)))
    having = ran(tmp_path, "init", "--openapi", str(shelf(tmp_path, **ping)))

    assert " --health none\n" in without.stdout
    assert " --health /v1/ping\n" in having.stdout


def test_a_description_that_was_mended_beside_the_model_is_not_lost(tmp_path: Path):
    """The original does not overwrite it, but with --force; it goes on as the description itself."""
    path, kept = shelf(tmp_path), tmp_path / "shelf" / "openapi.json"
    first = [ran(tmp_path, "init", "--openapi", str(path)).returncode for _ in range(2)]
    kept.write_text(kept.read_text().replace('"list"', '"listNotes"'))
    refused = ran(tmp_path, "init", "--openapi", str(path))
    own = ran(tmp_path, "init", "--openapi", str(kept), "--output", "shelf")
    again = ran(tmp_path, "init", "--openapi", str(path))

    assert [0, 0] == first
    assert (129, 0, 129) == (refused.returncode, own.returncode, again.returncode), own.stderr
    assert "was changed by hand" in refused.stderr
    assert "listNotes" in kept.read_text()
    assert ran(tmp_path, "init", "--openapi", str(path), "--force").returncode == 0
    assert "listNotes" not in kept.read_text()


def test_another_name_does_not_break_the_model(tmp_path: Path):
    """A folder whose model.py is made of a class of another name is refused."""
    path = shelf(tmp_path)
    ran(tmp_path, "init", "--openapi", str(path), "--output", "shelf")
    done = ran(tmp_path, "init", "--openapi", str(path), "--output", "shelf", "--name", "other")

    assert done.returncode == 129
    assert "model.py is made of generated.Shelf, and generated.py would have Other instead" in done.stderr


@pytest.mark.parametrize("words", [
    ("--name", "json"), ("--name", "pytest"), ("--name", "test"), ("--output", "."), ("--output", "a.b", "--name", "x"),
])  # fmt: skip
def test_what_cannot_be_imported_from_here_is_refused(tmp_path: Path, words: tuple[str, ...]):
    """No package is written that another one hides or that it would hide, or that has no name from here."""
    done = ran(tmp_path, "init", "--openapi", str(shelf(tmp_path)), *words)

    assert (129, ["api.json"]) == (done.returncode, [each.name for each in tmp_path.iterdir()]), done.stderr


def test_a_title_like_a_module_of_python_gives_another_name(tmp_path: Path):
    """A service called Calendar has a package that can be imported, each time the same."""
    path = shelf(tmp_path)
    path.write_text(path.read_text().replace("Shelf", "Calendar"))
    done = [ran(tmp_path, "init", "--openapi", str(path)) for _ in range(2)]

    assert all("lint calendar_service.model:CalendarService" in each.stdout for each in done)


def test_outside_of_the_folder_it_says_where_the_package_is_found(tmp_path: Path):
    """What can't be imported from here is told where it can be."""
    (tmp_path / "here").mkdir()
    done = ran(tmp_path / "here", "init", "--openapi", str(shelf(tmp_path)), "--output", "../there")

    assert f"the package is found in {tmp_path}" in done.stderr
