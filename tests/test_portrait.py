"""The portrait of a bundle: what `show --json` prints holds against its schema, and says what is there."""

import base64
import gzip
import json
from pathlib import Path

import jsonschema
import pytest
from conftest import ROOT

from replaykit.bundle import Bundle, Origin
from replaykit.interaction import Interaction, Request, Response, Trouble
from replaykit.portrait import portrait, render, schema
from replaykit.reader import read
from replaykit.trace import Trace

SCHEMA = ROOT / "docs" / "reference" / "show.schema.json"
BUNDLES = sorted((ROOT / "tests" / "bundles").glob("*.pd"))


def shown(*interactions: Interaction, reason: str = "") -> dict:
    """Return what is said of a recording without a model."""
    trace = Trace(recorded=interactions, ending="recorded", reason=reason)
    return json.loads(render(portrait(Bundle(origin=Origin(), trace=trace), Path("a.pd"))))


def answered(body: bytes, **more: object) -> Interaction:
    """Return a request with its answer."""
    return Interaction(
        request=Request(method="GET", url="http://127.0.0.1/a"), response=Response(status=200, body=body, **more)
    )


def test_the_published_schema_is_that_of_the_code():
    """The file in the docs is what the code gives."""
    assert schema() == SCHEMA.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: path.name)
def test_each_bundle_is_as_the_schema_says(path: Path):
    """All keys are there, and each is needed; a key of a later version does no harm."""
    data = json.loads(render(portrait(read(path), path)))
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    validator.validate(data)

    assert validator.is_valid({**data, "of a later version": 1})
    for key in data:
        assert not validator.is_valid({name: value for name, value in data.items() if name != key}), key


def test_the_steps_are_told():
    """Each step has its call, its requests, its event and the state after it, and the one that failed is marked."""
    data = json.loads(render(portrait(read(ROOT / "tests" / "bundles" / "format-1.pd"), Path("a.pd"))))
    [first, last] = data["steps"]

    assert ("create_player(name='a')", {"name": "a"}, False) == (first["call"], first["arguments"], first["fails"])
    assert "POST" == first["requests"][0]["request"]["method"]
    assert '{"name":"a"}' == first["requests"][0]["request"]["body"]["text"]
    assert {"name": "a"} == first["event"]["data"]
    assert {"scores": {"a": 0}} == first["state"]
    assert last["fails"]
    assert last["label"] == data["failure"]["step"]


def test_bodies_are_unpacked_and_what_is_no_text_is_coded():
    """A packed body is shown unpacked, and bytes that are no text in base64."""
    packed = answered(gzip.compress(b"text"), headers=(("Content-Encoding", "gzip"),))
    data = shown(packed, answered(b"\xff\x00", complete=False), answered(b""))
    bodies = [each["response"]["body"] for each in data["requests"]]

    assert {"encoding": "utf-8", "text": "text", "whole": True} == bodies[0]
    assert {"encoding": "base64", "text": base64.b64encode(b"\xff\x00").decode(), "whole": False} == bodies[1]
    assert bodies[2] is None


def test_what_would_become_too_much_stays_packed(monkeypatch: pytest.MonkeyPatch):
    """Where a bundle's bodies become more than a bundle may have, the rest of them are shown as they were sent."""
    monkeypatch.setattr("replaykit.portrait.MAX_FILE", 10)
    packed = gzip.compress(b"a" * 20)
    bodies = [each["response"]["body"] for each in shown(answered(packed), answered(packed))["requests"]]

    assert ["utf-8", "base64"] == [each["encoding"] for each in bodies]


def test_an_error_is_told_instead_of_an_answer():
    """What the network did is said by its name."""
    request = Request(method="GET", url="http://127.0.0.1/a")
    [told] = shown(Interaction(request=request, trouble=Trouble(error="ReadTimeout", message="timed out")))["requests"]

    assert (None, "ReadTimeout: timed out") == (told["response"], told["error"])


def test_no_order_for_a_runner_is_printed():
    """What a bundle says is ASCII with nothing that GitHub's runner obeys, and reads the same."""
    reason = "##[error]é\x1b[2J\n::error::"
    trace = Trace(ending="recorded", reason=reason)
    text = render(portrait(Bundle(origin=Origin(), trace=trace), Path("a.pd")))

    assert text.isascii()
    assert "##[" not in text
    assert "\x1b" not in text
    assert reason == json.loads(text)["reason"]
