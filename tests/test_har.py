"""HAR archives, both ways: what is written is valid and comes back as it was; what other tools write is read."""

import base64
import gzip
import json
import zlib
from pathlib import Path

import jsonschema
import pytest
from conftest import replaykit

from replaykit.bundle import Bundle, Origin
from replaykit.errors import ForeignFileError
from replaykit.export import har
from replaykit.importing import read as import_file
from replaykit.importing.har import read
from replaykit.interaction import Cut, Interaction, Request, Response, Trouble, as_sent
from replaykit.reader import read as read_bundle
from replaykit.trace import Trace

HERE = Path(__file__).parent
SCHEMA = json.loads((HERE / "har-1.2.schema.json").read_text())
URL = "http://127.0.0.1:8080"


def bundle_of(*interactions: Interaction, recorded: str | None = "2026-11-21T12:00:00+00:00") -> Bundle:
    """Make a bundle of what was recorded without a model."""
    return Bundle(origin=Origin(recorded=recorded), trace=Trace(recorded=interactions, ending="recorded"))


def answered(body: bytes = b"", *headers: tuple[str, str], status: int = 200, **more) -> Interaction:
    """Make an interaction with this answer."""
    response = Response(status=status, reason="OK", headers=headers, body=body, **more)
    return Interaction(request=Request(method="GET", url=f"{URL}/a?q=1&q=%20&e="), response=response, elapsed=0.25)


CUT = Cut(size=9, sha256="0" * 64)
ODD = {
    "text": answered(b'{"a":"\xc3\xa9"}', ("Content-Type", "application/json")),
    "latin": answered(b"caf\xe9", ("Content-Type", "text/plain; charset=iso-8859-1")),
    "binary": answered(bytes(range(256)), ("Content-Type", "image/png")),
    "gzip": answered(gzip.compress(b"{}", mtime=7), ("Content-Type", "application/json"), ("Content-Encoding", "gzip")),
    "raw deflate": answered(zlib.compress(b"text")[2:-4], ("Content-Encoding", "deflate")),
    "no gzip": answered(b"plain after all", ("content-encoding", "gzip")),
    "unknown coding": answered(b"\x00\x01", ("Content-Encoding", "br")),
    "chunked": answered(b"ab", ("Transfer-Encoding", "chunked")),
    "duplicates": answered(b"", ("Set-Cookie", "a=1; Path=/"), ("X", "1"), ("set-cookie", "b=2; Secure; HttpOnly")),
    "odd headers": answered(b"", ("X-Name", "caf\xe9 \xff"), ("x-empty", ""), ("Cookie", ";;=\x7f")),
    "odd reason": answered(b"", status=299).replace(response=Response(status=299, reason="", version="HTTP/1.0")),
    "cut": answered(b"12345", ("Content-Length", "10"), complete=False),
    "no answer": Interaction(
        request=Request(method="GET", url=URL), trouble=Trouble(error="ReadTimeout", message="timed out"), elapsed=5.0
    ),
    "broken off": answered(b"123", ("Content-Length", "9"), complete=False).replace(
        trouble=Trouble(error="RemoteProtocolError", message="peer closed")
    ),
    "form": answered().replace(
        request=Request(
            method="POST",
            url=f"{URL}/form",
            headers=(("Content-Type", "application/x-www-form-urlencoded"), ("X-Dup", "1"), ("x-dup", "2")),
            body=b"a=1&b=%20x&a=2",
        )
    ),
    "binary request": answered().replace(request=Request(method="PUT", url=f"{URL}/b", body=b"\x00\xff")),
    "capped": answered(b"12", ("Content-Length", "9"), complete=False, cut=CUT).replace(
        request=Request(method="POST", url=URL, body=b"ab", cut=Cut(size=9, sha256=""))
    ),
    "odd name": answered(b"", ("X(y)", "1"), ("", "2"), (":a b", "3"), ("caf\xe9", "4")),
    "odd status": answered(b"x", status=999),
    "tunnel": answered().replace(request=Request(method="CONNECT", url=f"{URL}/")),
    "bom": answered(b"\xef\xbb\xbfhi\r\n\x00\xe2\x80\xa8", ("Content-Type", "text/plain")),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_exported_is_valid(name: str):
    """Each archive is HAR 1.2, as a schema written from the specification says."""
    jsonschema.validate(json.loads(har.render(bundle_of(ODD[name]))), SCHEMA)


def test_overlapping_requests_come_back_in_their_order():
    """Entries stand as they were sent, none before the one above it; what is read stands as it was over."""
    over = [answered(str(n).encode()).replace(before=before) for n, before in enumerate((0, 0, 2, 1, 0))]
    text = har.render(bundle_of(*over))
    entries = json.loads(text)["log"]["entries"]
    began = [entry["startedDateTime"] for entry in entries]

    assert [each.response.body.decode() for each in as_sent(over)] == [
        entry["response"]["content"]["text"] for entry in entries
    ]
    assert sorted(began) == began
    assert over == read(text.encode())


@pytest.mark.parametrize(
    "ours", [{"before": -1}, {"before": 1e9}, {"request_cut": 5}, {"response_cut": {"size": 1, "sha256": "x"}}]
)
def test_what_nobody_exported_is_refused(ours: dict):
    """What stands under `_replaykit` is checked as all else."""
    archive = json.loads(har.render(bundle_of(answered())))
    archive["log"]["entries"][0]["_replaykit"] = ours
    with pytest.raises(ValueError, match="entry 1: its"):
        read(json.dumps(archive).encode())


@pytest.mark.parametrize("name", ODD)
def test_what_is_exported_comes_back_as_it_was(name: str):
    """An archive of ours is read back exactly: headers in their order and case, bodies as on the wire, troubles."""
    assert [ODD[name]] == read(har.render(bundle_of(ODD[name])).encode())


def test_bodies_are_unpacked_for_other_tools():
    """What was sent with gzip stands in an archive as text, with the size that it has unpacked."""
    content = json.loads(har.render(bundle_of(ODD["gzip"])))["log"]["entries"][0]["response"]["content"]

    assert "{}" == content["text"]
    assert 2 == content["size"]


def test_a_bomb_stays_packed(monkeypatch: pytest.MonkeyPatch):
    """What unpacks to more than is allowed is exported as it is, within bounds of memory."""
    monkeypatch.setattr("replaykit.export.judge.MAX_PLAIN", 1000)
    bomb = answered(gzip.compress(bytes(1001)), ("Content-Encoding", "gzip"))
    content = json.loads(har.render(bundle_of(bomb)))["log"]["entries"][0]["response"]["content"]

    assert bomb.response is not None
    assert bomb.response.body == base64.b64decode(content["text"])


def test_times_follow_each_other():
    """The first request began when the bundle was recorded, the next when it was over."""
    entries = json.loads(har.render(bundle_of(ODD["text"], ODD["text"])))["log"]["entries"]

    assert ["2026-11-21T12:00:00.000+00:00", "2026-11-21T12:00:00.250+00:00"] == [
        each["startedDateTime"] for each in entries
    ]


@pytest.mark.parametrize("recorded", [None, "yesterday", "9999-12-31T23:59:59+00:00"])
def test_a_bundle_without_times_begins_at_the_epoch(recorded: str | None):
    """Where a bundle has no time, or none that a calendar holds, the archive is still valid."""
    text = har.render(bundle_of(ODD["no answer"], ODD["text"], recorded=recorded))

    jsonschema.validate(json.loads(text), SCHEMA)
    assert (recorded or "")[:1] == "9" or "2000-01-01T00:00:00.000+00:00" in text


def shape(name: str) -> list[Interaction]:
    """Read a file in the shape that a tool writes."""
    return read((HERE / "hars" / f"{name}.har").read_bytes())


def test_chromium():
    """Pages' own data and web sockets are left out; order is that of time; joined headers are parted again."""
    first, second, refused = shape("chromium")

    assert ["https://shop.example/", "https://shop.example/cart", "https://shop.example/slow"] == [
        each.request.url for each in (first, second, refused)
    ]
    assert (("accept", "*/*"),) == second.request.headers
    assert second.response is not None
    assert "HTTP/2.0" == second.response.version
    assert (
        ("content-type", "application/json"), ("set-cookie", "a=1; path=/"), ("set-cookie", "b=2; path=/"),
        ("Content-Length", "11"),
    ) == second.response.headers  # fmt: skip
    assert Trouble(error="ConnectError", message="net::ERR_CONNECTION_REFUSED") == refused.trouble
    assert refused.response is None


def test_firefox():
    """A form is taken as it was sent."""
    [login] = shape("firefox")

    assert b"user=ann&say=a+b%26c" == login.request.body
    assert 303 == login.response.status


def test_a_form_without_text_is_written_anew():
    """Where an archive has the parameters of a form alone, they are encoded."""
    data = json.loads((HERE / "hars" / "firefox.har").read_text())
    del data["log"]["entries"][0]["request"]["postData"]["text"]

    assert b"user=ann&say=a+b%26c" == read(json.dumps(data).encode())[0].request.body


def test_safari():
    """A body in base64 is what it stands for."""
    [logo] = shape("safari")

    assert b"\x89PNG" == logo.response.body
    assert (("Content-Type", "image/png"), ("Content-Length", "4")) == logo.response.headers


def test_playwright():
    """A status of -1 is no answer; a body that stands in another file is not read, and the answer is incomplete."""
    upload, gone, file = shape("playwright")

    assert b"\x00\xff\x01" == upload.response.body
    assert "RemoteProtocolError" == gone.trouble.error
    assert (b"", False) == (file.response.body, file.response.complete)


def test_mitmproxy():
    """A tunnel is left out; a body is written in the charset of its type."""
    [name] = shape("mitmproxy")

    assert b"caf\xe9" == name.request.body
    assert 204 == name.response.status


def test_insomnia():
    """Credentials in a URL are left out, as bundles have none; what was sent in chunks says how long it is."""
    [one] = shape("insomnia")

    assert f"{URL}/a?q=1" == one.request.url
    assert (("Content-Type", "text/plain"), ("Content-Length", "2")) == one.response.headers


def test_charles():
    """A BOM is skipped; header values beyond Latin-1 are the bytes of their UTF-8."""
    [one] = shape("charles")

    assert b"{}" == one.response.body
    assert ("X-Name", "日".encode().decode("latin-1")) in one.response.headers


def test_postman():
    """What the specification asks for and tools leave out may be missing."""
    [one] = shape("postman")

    assert Interaction(request=Request(method="GET", url=f"{URL}/minimal"), response=Response(status=200)) == one


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"request": {"method": "GET X", "url": URL}, "response": {}}, "entry 1: its method is 'GET X'"),
        ({"request": {"method": "GET", "url": "http://[:1"}, "response": {}}, "'http://[:1' is no URL of HTTP"),
        ({"request": {"method": "GET", "url": URL}}, "entry 1: its response is no object"),
        ({"request": {"method": "GET", "url": URL}, "response": {"status": 10**30}}, "entry 1: its status is"),
        ({"request": {"method": "GET", "url": URL}, "response": {"status": True}}, "entry 1: its status is True"),
        ({"request": {"method": "GET", "url": URL}, "response": {"status": 99}}, "entry 1: its status is 99"),
        (
            {"request": {"method": "GET", "url": URL, "headers": [{"name": "a:b"}]}, "response": {}},
            "entry 1: a header has the name 'a:b'",
        ),
        (
            {"request": {"method": "GET", "url": URL, "headers": [{"name": "a", "value": "x\ry"}]}, "response": {}},
            "has a line break or a NUL in it",
        ),
        (
            {
                "request": {"method": "GET", "url": URL},
                "response": {"status": 200, "content": {"text": "*", "encoding": "base64"}},
            },
            "entry 1: a body is no base64",
        ),
        ({"request": {"method": "GET", "url": URL}, "response": {}, "_replaykit": []}, "_replaykit is no object"),
        (7, "entry 1: it is no object"),
    ],
)  # fmt: skip
def test_what_is_no_archive_is_told_with_its_entry(entry: object, said: str, tmp_path: Path):
    """A file that can't be read says which entry is wrong, and in what."""
    path = tmp_path / "bad.har"
    path.write_text(json.dumps({"log": {"version": "1.2", "entries": [entry]}}))
    with pytest.raises(ForeignFileError) as caught:
        import_file(path)

    assert said in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b'{"log":' + b"[" * 100_000,
        b'{"log":{"entries":[{"time":NaN}]}}',
        b'{"log":{}}',
        b'{"log":{"entries":7}}',
        b'{"log":"\xff"}',
    ],
)
def test_hostile_files_are_errors(content: bytes, tmp_path: Path):
    """Deep nesting, numbers that are none, other types and broken text end in an error, and nothing else."""
    path = tmp_path / "bad.har"
    path.write_bytes(content)
    with pytest.raises(ForeignFileError):
        import_file(path)


def test_every_cut_of_a_file_is_an_error_or_is_read():
    """A file cut at any byte raises ValueError, or is one that can be read."""
    content = (HERE / "hars" / "chromium.har").read_bytes()
    read_ones = 0
    for end in range(0, len(content) - 2, 7):
        try:
            read(content[:end])
            read_ones += 1
        except ValueError:
            pass

    assert read_ones == 0


def test_there_and_back_by_the_command_line(tmp_path: Path, duplicate_names: Path):
    """A bundle that is exported and imported again holds the same requests and answers."""
    archive, back = tmp_path / "bug.har", tmp_path / "back.pd"
    exported = replaykit("export", duplicate_names, "--format", "har", "--output", archive)
    imported = replaykit("import", archive, "--output", back)

    assert (0, 0) == (exported.code, imported.code), (exported, imported)
    assert read_bundle(duplicate_names).trace.interactions() == list(read_bundle(back).trace.recorded)
