"""The canonical form: the same bytes whenever the same bug is saved again, and enough to judge it."""

import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from replaykit.bundle import Provenance, Shrinking
from replaykit.canonical import canonical, is_same_bug
from replaykit.errors import TruncatedBundleError
from replaykit.interaction import Interaction, Request, Response, Trouble
from replaykit.lines import Line, Lines, bundled
from replaykit.noise import DATE, LATER
from replaykit.reader import read, read_bytes
from replaykit.sequence import Call
from replaykit.trace import Said, Step, Trace
from replaykit.verdict import Failure
from replaykit.writer import save

GOLDEN = (Path(__file__).parent / "bundles" / "format-1.pd").read_bytes()


def content_of(path: Path, number: int, **more: Any) -> bytes:
    """Save the same bug as it would be at another time, on another port, with other ids of requests."""
    port = 40000 + number
    url = f"http://127.0.0.1:{port}"
    request = Request(
        method="POST", url=f"{url}/a?back=http%3A%2F%2F127.0.0.1%3A{port}%2Fb", body=b"{}",
        headers=(("Host", f"127.0.0.1:{port}"), ("X-Request-Id", f"id-{number}"), ("A", "1"), ("B", "2"), ("A", "3")),
    )  # fmt: skip
    response = Response(
        status=201,
        headers=(
            ("Date", f"Sat, {number + 10} Nov 2026 12:00:25 GMT"), ("Location", f"{url}/a/1"), ("Age", str(number)),
            ("Expires", "0"), ("Set-Cookie", f"a=b; expires=Wed, 0{number} Jan 2030 00:00:00 GMT; Path=/"),
            ("Set-Cookie", "c=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"), ("traceparent", f"00-{number}"),
        ),
        body=f'{{"self":"{url}/a/1"}}'.encode(),
    )  # fmt: skip
    answered = Interaction(request=request, response=response, elapsed=0.001 * number)
    lost = Interaction(request=request, trouble=Trouble(error="ReadTimeout"), elapsed=0.5 + number)
    said = Said(tag="made", version=1, data=f'{{"self":"{url}/a/1"}}'.encode())
    step = Step(
        call=Call(label=0, tag="make"),
        interactions=(answered, lost),
        event=said,
        state=b"{}",
        called=0.25,
        returned=0.5,
    )
    failure = Failure(kind="check", name="fits", step=0, command="make", message="no")
    trace = Trace(steps=(step,), ending="failed", failure=more.get("failure", failure))
    origin = Provenance(
        model="shop:Shop", adapter="shop:Api", model_digest="0" * 16, campaign_seed=1, run=0, seed=2, commands=50,
        url=url, recorded=f"2026-01-0{number}T00:00:00+00:00", revision=more.get("revision"), dirty=number == 2,
        python="3", httpx="0",
        shrinking=Shrinking(calls_before=3, executions=1, requests=1, seconds=float(number), confirmed=True),
    )  # fmt: skip
    save(path, origin, trace, partial(canonical, services=[url]) if more.get("settled", True) else None)
    return path.read_bytes()


def test_saved_again_it_has_the_same_bytes(tmp_path: Path):
    """Another time, port, duration and ids of requests: the bytes are the same."""
    assert content_of(tmp_path / "1.pd", 1) == content_of(tmp_path / "2.pd", 2)
    assert content_of(tmp_path / "1.pd", 1, settled=False) != content_of(tmp_path / "2.pd", 2, settled=False)


def test_what_was_left_out_has_a_fixed_value(tmp_path: Path):
    """Headers stay in their places, with values that say nothing; dates that are none, and ended cookies, stay."""
    content_of(tmp_path / "1.pd", 1)
    bundle = read(tmp_path / "1.pd")
    [answered, lost] = bundle.trace.steps[0].interactions

    assert answered.response is not None
    assert (
        ("Date", DATE), ("Location", "http://127.0.0.1:65535/a/1"), ("Age", "0"), ("Expires", "0"),
        ("Set-Cookie", f"a=REDACTED.a.1; expires={LATER}; Path=/"),
        ("Set-Cookie", "c=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"), ("traceparent", "ID.2"),
    ) == answered.response.headers  # fmt: skip
    assert answered.request.headers == lost.request.headers
    assert ("X-Request-Id", "ID.1") == lost.request.headers[1]
    assert "http://127.0.0.1:65535/a?back=http%3A%2F%2F127.0.0.1%3A65535%2Fb" == lost.request.url
    assert b'{"self":"http://127.0.0.1:65535/a/1"}' == answered.response.body
    assert (0.0, 0.0) == (answered.elapsed, lost.elapsed)
    origin = bundle.provenance
    assert (None, None, True) == (origin.recorded, origin.dirty, origin.canonical)


def test_moments_stay_since_they_are_judged(tmp_path: Path):
    """When calls of branches were sent and answered is what an offline replay goes by."""
    content_of(tmp_path / "1.pd", 1)

    assert {0: (0.25, 0.5)} == read(tmp_path / "1.pd").trace.moments


def test_how_long_it_took_stays_where_that_is_the_bug(tmp_path: Path):
    """In a bundle of kind latency, the seconds of each answer are kept."""
    slow = Failure(kind="latency", name="make", step=0, command="make", message="slow", expected=0.1, actual=0.5)
    content_of(tmp_path / "1.pd", 2, failure=slow)

    assert [0.002, 2.5] == [each.elapsed for each in read(tmp_path / "1.pd").trace.interactions()]


def test_canonical_is_canonical_again():
    """Made canonical a second time, nothing changes."""
    once = canonical(GOLDEN)

    assert once != GOLDEN
    assert once == canonical(once)


def test_nobody_says_which_port_was_free():
    """Of an old bundle, ports of this machine that the system may have chosen are taken for free ones; no others."""
    assert b"127.0.0.1:58657" in GOLDEN
    assert b"58657" not in canonical(GOLDEN)
    for place in (b"127.0.0.1:8000", b"127.0.0.1:18080", b"10.0.0.1:58657", b"shop.example:58657"):
        lines = list(Lines(GOLDEN))
        known = [line._replace(data=_with(line.data, b"127.0.0.1:58657", place)) for line in lines]

        assert place in canonical(bundled(known))


def _with(value: Any, old: bytes, new: bytes) -> Any:
    if isinstance(value, str):
        return value.replace(old.decode(), new.decode())
    if isinstance(value, list):
        return [_with(each, old, new) for each in value]
    return {key: _with(each, old, new) for key, each in value.items()} if isinstance(value, dict) else value


def test_what_is_not_known_stays():
    """Unknown records and keys are there in the canonical form, in their places."""
    lines = list(Lines(GOLDEN))
    lines[2:2] = [Line(0, {"k": "weather", "rain": 1})]
    lines[0] = lines[0]._replace(data={**lines[0].data, "mood": "good"})
    content = canonical(bundled(lines))

    assert ["bundle", None, "weather", "command"] == [line.kind for line in Lines(content)][:4]
    assert b'"mood":"good"' in content
    assert read_bytes(content).whole


def test_the_first_revision_stays(tmp_path: Path):
    """Saved again at another commit, the file stays as it is; a bug that shows in another way replaces it."""
    path = tmp_path / "bug.pd"
    first = content_of(path, 1, revision="a" * 40)

    assert first == content_of(path, 2, revision="b" * 40)
    other = Failure(kind="check", name="fits", step=0, command="make", message="otherwise")
    assert b"b" * 40 in content_of(path, 2, revision="b" * 40, failure=other)


@pytest.mark.parametrize("spoil", [b"", b"x", b"version: 1\n", GOLDEN])
def test_what_is_no_canonical_bundle_is_not_the_same(spoil: bytes):
    """A file that is empty, broken or not canonical is replaced."""
    assert not is_same_bug(spoil, spoil)


def test_without_an_end_there_is_no_canonical_form():
    """What was not written to its end is not rewritten."""
    with pytest.raises(TruncatedBundleError):
        canonical(GOLDEN[:-10])


def test_lengths_stay_true():
    """The port that stands for a free one has as many digits, so that no Content-Length becomes wrong."""
    before = [len(each.response.body) for each in read_bytes(GOLDEN).trace.interactions() if each.response]
    after = [len(each.response.body) for each in read_bytes(canonical(GOLDEN)).trace.interactions() if each.response]

    assert before == after
    assert not re.search(rb"\d\d:\d\d:\d\d(?! GMT)", canonical(GOLDEN))
