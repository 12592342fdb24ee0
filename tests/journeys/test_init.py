"""replaykit init: from a description to runs, on the examples and on public services; bugs that are found by it."""

import json
import os
import re
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
    names = made(tmp_path, ROOT / "examples" / name / "openapi.yaml", name)
    start = f"{sys.executable} -m examples.{name} --port {{port}}"
    done = ran(tmp_path, "integration", *names, "--start", start, "--runs", "25", "--seed", "3")

    assert done.returncode == 0, done.stdout
    never = re.findall(r"\bcommand (\w+)", done.stdout)
    assert [each for each in never if not each.endswith("_wrongly")] == [], done.stdout


@pytest.mark.parametrize(("name", "bug", "found"), FOUND, ids=[bug for _, bug, _ in FOUND])
def test_a_model_that_nobody_touched_finds_planted_bugs(tmp_path: Path, name: str, bug: str, found: str):
    """With a bug switched on, the written model finds it, shrinks it, and it can be replayed offline."""
    names = made(tmp_path, ROOT / "examples" / name / "openapi.yaml", name)
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
    path = ROOT / "tests" / "openapi" / f"{name}.{PUBLIC[name]}"
    names = made(tmp_path, path, name)
    start = f"{sys.executable} -m stubbed {path} --port {{port}}"
    where = ("--start", start, "--health", "/")
    done = ran(tmp_path, "integration", *names, *where, "--runs", "8", "--commands", "30", "--seed", "3")

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", [*EXAMPLES, *PUBLIC])
def test_a_model_runs_against_itself(tmp_path: Path, name: str):
    """Every command has an expectation, so that the model runs without a service."""
    path = ROOT / "examples" / name / "openapi.yaml" if name in EXAMPLES else None
    names = made(tmp_path, path or ROOT / "tests" / "openapi" / f"{name}.{PUBLIC[name]}", name)
    done = ran(tmp_path, "integration", *names[:2], "--profile", "", "--mock", "--runs", "5")

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_descriptions_of_the_examples_name_their_routes(name: str):
    """Each operation is a route of the service, and each route but those for tests of it is described."""
    described = {
        re.sub(r"\{.*?\}", "{}", each.endpoint)
        for each in operations_of(accept(read(ROOT / "examples" / name / "openapi.yaml")))
    }
    assert routes_of(name) - {"GET /health", "GET /api/fixes", "POST /api/fixes/enable", "POST /api/fixes/disable"} == (
        described
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
        "integration --model gists.model:Gists --adapter gists.model:GistsApi --url http://127.0.0.1:8000"
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
