"""Answers: with --json, each command prints one document that is as its schema says, also where it can't go on."""

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from conftest import NAMES, ROOT, Ran, environment, leaderboard, replaykit

from replaykit.answer import schema
from replaykit.cli.app import commands
from replaykit.cli.variables import flag_of, options_of

REFERENCE = ROOT / "docs/reference"
BUG = ROOT / "failures/leaderboard/duplicate-names.pd"
WITHOUT = {"demo", "proxy", "completion"}  # docs/reference/json.md says why
PYTHON = {"PYTHONPATH": str(ROOT)}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Make a folder with a bundle, one without its end, and a repository around them."""
    (tmp_path / "bug.pd").write_bytes(BUG.read_bytes())
    (tmp_path / "cut.pd").write_bytes(BUG.read_bytes()[:-60])
    secret = BUG.read_bytes().decode("ascii")
    (tmp_path / "leak.json").write_text(json.dumps({"password": "correct horse battery", "text": secret[:20]}))
    (tmp_path / "pyproject.toml").write_text("")
    paths = {"/ping": {"get": {"responses": {"200": {"description": ""}}}}}
    (tmp_path / "api.json").write_text(json.dumps({"openapi": "3.1.0", "info": {"title": "Shelf"}, "paths": paths}))
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    return tmp_path


def told(ran: Ran) -> dict[str, object]:
    """Read the one document on standard output, and hold it against the schema; with any key less it would not do."""
    document = json.loads(ran.out)
    published = json.loads((REFERENCE / "commands.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(published)
    validator.validate(document)
    for key in document:
        assert not validator.is_valid({name: value for name, value in document.items() if name != key}), key
    assert ran.code == (document.get("error") or document)["exit_code"]
    assert ran.out.isascii()
    return document


def test_the_published_schema_is_that_of_the_code():
    """docs/reference/commands.schema.json is what the code makes."""
    assert schema() == (REFERENCE / "commands.schema.json").read_text(encoding="utf-8")


def test_all_commands_have_json_but_those_that_are_named():
    """Each command has --json, or json.md says why not; and each is named there."""
    has = {name for name, each in commands.commands.items() if "--json" in map(flag_of, options_of(each))}
    page = (REFERENCE / "json.md").read_text(encoding="utf-8")

    assert set(commands.commands) - WITHOUT == has
    assert set(commands.commands) <= set(re.findall(r"`([\w-]+)`", page))


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["verify", "bug.pd"], 0, {"command": "verify"}),
        (["verify", "bug.pd", "cut.pd"], 128, {"exit_code": 128}),
        (["repair", "cut.pd", "--output", "m.pd"], 0, {"output": "m.pd", "requests": 4, "lost": 73}),
        (["repair", "bug.pd"], 0, {"output": None, "lost": 0}),
        (["migrate", "bug.pd", "--canonical", "--output", "n.pd"], 0, {"command": "migrate"}),
        (["scan", "bug.pd"], 0, {"files": 1, "found": [], "unread": []}),
        (["scan", "leak.json"], 1, {"files": 1, "unread": []}),
        (["export", "bug.pd", "--format", "curl", "--output", "b.sh"], 0, {"format": "curl", "left_out": None}),
        (["export", "bug.pd", "--format", "har", "--output", "b.har"], 0, {"format": "har", "whole": True}),
        (["close", "bug.pd", "--ticket", "A-1"], 0, {"command": "close"}),
        (["reopen", "bug.pd"], 0, {"command": "reopen"}),
        (["init", "--openapi", "api.json"], 0, {"model": "shelf.model:Shelf", "health": "/ping", "differences": []}),
        (["git-setup"], 0, {"written": True}),
        (["git-setup", "--check"], 129, {"written": False}),
    ],
)
def test_documents_are_as_their_schema_says(words: list[str], code: int, expected: dict[str, object], home: Path):
    """One document for each command, and what is for people on standard error."""
    ran = replaykit(*words, "--json", cwd=home)
    document = told(ran)

    assert code == ran.code
    assert expected == {key: document[key] for key in expected}
    assert ran.err or words[0] == "export"


def test_what_is_in_the_documents(home: Path):
    """Files with their words, suspects without their values, statuses before and after."""
    verified = told(replaykit("verify", "bug.pd", "cut.pd", "none.pd", "--json", cwd=home))["files"]
    [suspect] = told(replaykit("scan", "leak.json", "--json", cwd=home))["found"]
    [closed] = told(replaykit("close", "bug.pd", "--ticket", "A-1", "--json", cwd=home))["bundles"]
    ticket = replaykit("export", "bug.pd", "--format", "ticket", "--output", "t.md", "--json", cwd=home)
    taken = told(replaykit("import", "t.md", "--output", "back.pd", "--json", cwd=home))

    assert ["whole", "truncated", None] == [each["word"] for each in verified]
    assert "missing-file" == verified[2]["unread"]["slug"]
    assert {"file": "leak.json", "line": 1, "label": "password", "size": 21} == suspect
    assert ("open", "fixed", "A-1", True) == tuple(closed[key] for key in ("was", "status", "ticket", "changed"))
    assert (home / "t.md").stat().st_size == told(ticket)["size"]
    assert (True, 4, len(BUG.read_bytes())) == tuple(taken[key] for key in ("contained", "requests", "size"))


def test_noise_and_reshrink_have_documents(home: Path):
    """What was learned at a service is told: rules and refusals, and what became of a sequence."""
    where = (*NAMES, "--start", leaderboard("duplicate-names"))
    noise = told(replaykit("noise", "bug.pd", *where, "--json", cwd=home, **PYTHON))
    shrunk = told(replaykit("reshrink", "bug.pd", *where, "--json", "--shrink-executions", "5", cwd=home, **PYTHON))

    assert (2, [], "") == (noise["runs"], noise["rules"], noise["toml"])
    assert ("unchanged", None) == (shrunk["outcome"], shrunk["output"])
    assert shrunk["commands_before"] == shrunk["commands"]


@pytest.mark.parametrize(
    ("words", "slug", "code"),
    [
        (["show", "none.pd"], "missing-file", 129),
        (["list", "none"], "missing-file", 129),
        (["diff", "bug.pd", "none.pd"], "missing-file", 129),
        (["replay", "cut.pd", "--offline"], "bundle-truncated", 128),
        (["replay", "bug.pd", "--nonsense"], "usage", 129),
        (["replay", "bug.pd", "--offline", "--model", "nowhere:Nobody"], "load", 128),
        (["nonsense"], "usage", 129),
        (["export", "bug.pd", "--format", "curl"], "usage", 129),
        (["suite", "none"], "missing-file", 129),
        (["config", "nonsense"], "usage", 129),
        (["bisect", "--resume"], "usage", 129),
        ([*("integration", "--url", "http://127.0.0.1:9", "--health-timeout", "0.1"), *NAMES], "unreachable", 125),
    ],
)
def test_errors_are_documents(words: list[str], slug: str, code: int, home: Path):
    """What a command can't go on from is the document, with its slug and its exit code; people read it on stderr."""
    ran = replaykit(*words, "--json", cwd=home, XDG_STATE_HOME=str(home), **PYTHON)
    document = told(ran)["error"]

    assert (slug, code, code) == (document["slug"], document["exit_code"], ran.code)
    assert f"error[{slug}]" in ran.err
    assert document["happened"].splitlines()[0] in ran.err


def test_a_document_is_printed_once():
    """Where the report is there already, an error after it adds no second document."""
    words = ["integration", "--model", NAMES[1], "--mock", "--runs", "1", "--report", "junit=/dev/full", "--json"]
    ran = replaykit(*words)

    assert 129 == ran.code, ran
    assert "total_runs" in json.loads(ran.out)


def test_json_in_the_environment_counts_for_errors_too(home: Path):
    """REPLAYKIT_JSON=1 asks for documents, and an empty one for none."""
    asked = replaykit("show", "none.pd", cwd=home, REPLAYKIT_JSON="1")
    not_asked = replaykit("show", "none.pd", cwd=home, REPLAYKIT_JSON="")

    assert "missing-file" == told(asked)["error"]["slug"]
    assert "" == not_asked.out


def test_the_example_of_the_docs_runs():
    """The program in json.md reads what `verify` prints."""
    [program] = re.findall(r"(?ms)^```python\n(.*?)^```$", (REFERENCE / "json.md").read_text(encoding="utf-8"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=ROOT, env=environment(**PYTHON), capture_output=True,
        text=True, check=True,
    )  # fmt: skip

    assert "failures/leaderboard/duplicate-names.pd whole\n" == done.stdout
