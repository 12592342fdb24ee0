"""The published schema: made from the code, true of all bundles, and as strict as the reader."""

import copy
import json
from functools import cache, reduce
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from test_bundle import interaction, provenance, trace

from replaykit import schema
from replaykit.bundle import MAX_BODY, Origin, Shrinking
from replaykit.errors import BundleError
from replaykit.interaction import Trouble
from replaykit.lines import Line, Lines, bundled
from replaykit.reader import read_bytes
from replaykit.sequence import Call
from replaykit.trace import Step, Trace
from replaykit.writer import save

ROOT = Path(__file__).parent.parent
BUNDLES = [ROOT / "tests" / "bundles" / "format-1.pd", *sorted((ROOT / "failures").rglob("*.pd"))]


@cache
def validator() -> jsonschema.Draft202012Validator:
    """Load the schema as it is published."""
    published = json.loads((ROOT / "docs" / "reference" / "bundle.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(published)
    return jsonschema.Draft202012Validator(published)


def rich(folder: Path) -> bytes:
    """Return a bundle with records of all kinds and keys in all places."""
    lost = interaction(response=None, trouble=Trouble(error="ReadTimeout"), tampered="duplicated")
    broken = interaction(trouble=Trouble(error="RemoteProtocolError", message="cut"))
    long = interaction(body=b"x" * (MAX_BODY + 1))
    branch = Step(
        call=Call(label=9, tag="b", branch=1, twice=True, repeats=3),
        interactions=(lost, broken.replace(before=1)),
        called=0.5,
        faults=(3,),
        state=b"{}",
    )
    made = trace("{owner~1}\U0001f600\x80", nonce="1f0c66aa")
    made = made.replace(
        steps=(*made.steps, branch), closing=(*made.closing, long), recorded=(interaction(before=1, tampered="status"),)
    )
    shrinking = Shrinking(calls_before=3, executions=1, requests=1, seconds=1.5, confirmed=True, runs=5, failed=5)
    path = folder / "rich.pd"
    save(path, provenance(shrinking=shrinking, recorded="2026-01-01T00:00:00+00:00", dirty=True), made)
    return path.read_bytes()


def test_the_published_schema_is_that_of_the_code():
    """The file in the docs is what the code gives: python -c 'from replaykit import schema; print(schema.text())'."""
    published = (ROOT / "docs" / "reference" / "bundle.schema.json").read_text(encoding="utf-8")

    assert schema.text() == published


@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: path.name)
def test_each_line_of_a_saved_bundle_fits(path: Path):
    """Each line of the golden bundle, and of the corpus, is as the schema says."""
    for line in Lines(path.read_bytes()):
        validator().validate(line.data)


def test_each_line_that_the_writer_writes_fits(tmp_path: Path):
    """Records of all kinds, with all of their keys, are as the schema says; and none of its kinds was left out."""
    kinds = set()
    for line in Lines(rich(tmp_path)):
        validator().validate(line.data)
        kinds.add(line.kind)

    assert {*schema.document()["$defs"]} - {"interaction", "cut"} == kinds - {None}
    path = tmp_path / "recorded.pd"
    save(path, Origin(), Trace(recorded=(interaction(),), ending="recorded"))
    for line in Lines(path.read_bytes()):
        validator().validate(line.data)


def test_unknown_kinds_and_keys_fit():
    """What a later version adds is no error of this one's schema."""
    validator().validate({"k": "weather", "rain": 1})
    validator().validate({"k": "nonce", "nonce": "ab", "mood": "good"})


def inside(data: Any, place: tuple[str, ...]) -> Any:
    """Return what stands in a place."""
    return reduce(lambda value, key: value[key], place, data)


def changes(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Spoil an object in all places that are up to three deep: a key is missing, or has a value of another type."""
    found = []
    places: list[tuple[str, ...]] = [(key,) for key in data]
    for place in places:  # which grows meanwhile
        value = inside(data, place)
        if isinstance(value, dict) and len(place) < 3:
            places += [(*place, key) for key in value]
    for place in places:
        for value in (..., None, 7, "\u20ac", [], {}, True, -1.5):
            spoilt = copy.deepcopy(data)
            target = inside(spoilt, place[:-1])
            if value is ...:
                del target[place[-1]]
            else:
                target[place[-1]] = value
            found.append(spoilt)
    return found


HANG_TOGETHER = ("is not the one that was begun", "step is missing", "it failed in", "stand above")


def test_the_schema_is_as_strict_as_the_reader(tmp_path: Path):
    """What the schema refuses, the reader refuses, and the other way round, as far as one line says it.

    How lines and keys hang together, no schema of one line can say. The reader does not look at what it has no use
    for: headers by name where there are pairs, and the fingerprint, which it computes.
    """
    lines = [line for line in Lines(rich(tmp_path)) if len(str(line.data)) < 10_000]
    wrong, count = [], 0
    for number, line in enumerate(lines[:-1]):
        for data in changes(line.data):
            if line.kind is not None and data.get("k") != line.kind:
                continue  # it is a record of another kind then
            count += 1
            why = ""
            try:
                read_bytes(bundled([*lines[:number], Line(line.number, data, line.is_item), *lines[number + 1 :]]))
            except BundleError as error:
                why = str(error)
            hangs_together = any(each in why for each in HANG_TOGETHER)
            told = [list(error.absolute_path) for error in validator().iter_errors(data)]
            unused = told and all({"headers", "fingerprint"}.intersection(path[-2:]) for path in told)
            if bool(told) != bool(why) and not hangs_together and not unused:
                wrong.append((line.kind, why, told, json.dumps(data)[:300]))

    assert count > 1000
    assert [] == wrong


def test_wrong_ends_do_not_fit():
    """An end with another ending, a digest that is none, or without a count is refused."""
    end = {"k": "end", "ending": "failed", "reason": "", "records": 3, "sha256": "0" * 64}
    validator().validate(end)
    for change in ({"ending": "lost"}, {"sha256": "0" * 63}, {"records": "3"}, {"reason": None}):
        assert not validator().is_valid({**end, **change})
