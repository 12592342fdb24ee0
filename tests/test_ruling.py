"""Rulings: what `replaykit replay --json` prints, held against its published schema."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conftest import ROOT, replaykit
from matrix import Till, nowhere, written
from mortal import Tally, TallyApi

from replaykit import ruling
from replaykit.reader import read
from replaykit.redact import Redactor
from replaykit.replaying import replay
from replaykit.secret import Policy

SCHEMA = ROOT / "docs" / "reference" / "replay.schema.json"
PATHS = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}


def validated(text: str) -> Any:
    document = json.loads(text)
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(document)
    return document


def test_the_published_schema_is_that_of_the_code():
    """The file in the docs is what the code gives: python -c 'from replaykit import ruling; print(ruling.schema())'."""
    assert ruling.schema() == SCHEMA.read_text(encoding="utf-8")


def test_json_is_all_that_stands_on_standard_output(tmp_path: Path):
    """Two bundles, one of which is of the bug that is there: one document, valid, and the rest on standard error."""
    there, other = written(tmp_path / "there.pd"), written(tmp_path / "other.pd", failed=1, runs=60)
    with Till("buggy") as till:
        ran = replaykit("replay", there, other, "--url", till.url, "--health", "/", "--times", 2, "--json", **PATHS)
    document = validated(ran.out)
    first, second = document["replays"]

    assert (1, 1, "fixed", 1) == (ran.code, document["exit_code"], document["expect"], document["version"])
    assert [str(there), str(other)] == [first["bundle"], second["bundle"]]
    assert ("reproduced", 1, 2, 2) == tuple(first[key] for key in ("verdict", "exit_code", "attempts", "failed"))
    assert first["recorded"] == first["seen"]
    assert ("expectation", "add", 7, "Added(total=12)", "Added(total=13)") == tuple(
        first["seen"][key] for key in ("kind", "name", "step", "expected", "actual")
    )
    assert [(2, False), (5, False), (7, True)] == [(step["label"], step["fails"]) for step in first["steps"]]
    assert {"total": 13} == json.loads(first["steps"][2]["requests"][0]["answer"])
    assert "VERDICT of all: 2 reproduced (exit 1)" == ran.err.rstrip().splitlines()[-1]


def test_what_can_not_be_judged_is_a_document_too(tmp_path: Path):
    """No service, no steps; where a bundle is broken, that error is the document."""
    bundle, broken = written(tmp_path / "tally.pd"), tmp_path / "broken.pd"
    broken.write_bytes(bundle.read_bytes()[:-40])
    ran = replaykit("replay", bundle, "--url", nowhere(), "--health-timeout", 0.2, "--json", **PATHS)
    worse = replaykit("replay", bundle, broken, "--offline", "--json", **PATHS)
    [only] = validated(ran.out)["replays"]

    assert (125, "unreachable", [], None) == (ran.code, only["verdict"], only["steps"], only["seen"])
    assert "not healthy" in only["reason"]
    assert 7 == only["recorded"]["step"]
    assert (128, "bundle-truncated") == (worse.code, json.loads(worse.out)["error"]["slug"])
    assert "error[bundle-truncated]" in worse.err


@pytest.mark.parametrize(("how", "rate", "sure"), [("well", 0.752729, 0.996262), ("buggy", None, None)])
def test_how_sure_it_is_that_a_bug_is_gone(how: str, rate: float | None, sure: float | None, tmp_path: Path):
    """The recorded rate, at least, and the confidence, where it is fixed; what is secret in the project is covered."""
    bundle = read(written(tmp_path / "tally.pd"))
    with Till(how) as till:
        replayed = replay(bundle, model=Tally, adapter=TallyApi, base_url=till.url, health_check="/")
    redactor = Redactor(Policy(given=(("sum", "Added(total=12)"),)))
    told = ruling.ruling("tally.pd", replayed, redactor, expect="fixed")
    text = ruling.render(ruling.Rulings(expect="fixed", exit_code=0, replays=(told,)))

    assert (rate, sure) == (told.rate and told.rate.at_least, told.confidence)
    assert "Added(total=12)" not in text
    assert "REDACTED.sum.1" in text
