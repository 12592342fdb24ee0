"""Importing cassettes: of vcrpy in all its versions, and of its kin."""

import gzip
import json
import random
from pathlib import Path

import httpx
import pytest
import vcr
import yaml as library

from replaykit.bundle import Bundle, Origin
from replaykit.errors import ForeignFileError, MissingFileError, UsageError
from replaykit.export import left_out, render
from replaykit.importing import FORMATS, read
from replaykit.importing.vcr import read as read_cassette
from replaykit.interaction import Interaction, Request, Response, Trouble
from replaykit.reader import read_bytes
from replaykit.redact import Redactor
from replaykit.trace import Trace
from replaykit.writer import save

BUNDLES = Path(__file__).parent / "bundles"


def cassette(request: str = "{method: GET, uri: 'http://a/'}", response: str = "{status: {code: 200}}") -> bytes:
    """Write a cassette of one interaction."""
    return f"interactions:\n- request: {request}\n  response: {response}\n".encode()


def only(content: bytes) -> Interaction:
    """Read the only interaction of a cassette."""
    [found] = read_cassette(content)
    return found


# --- shapes that are met ------------------------------------------------------------------------

USUAL = b"""interactions:
- request:
    body: '{"a": 1}'
    headers:
      Accept: ['*/*']
      X-Two: [one, two]
    method: POST
    uri: http://user:secret@127.0.0.1:80/a?b=c
  response:
    body: {string: "{\\"b\\": 2}\\n"}
    headers:
      Set-Cookie: [a=1, b=2]
      content-length: ['9']
    status: {code: 201, message: Created}
version: 1
"""


def test_a_usual_cassette_is_read():
    """What vcrpy writes today: lists of header values, text for bodies, a status with its message."""
    found = only(USUAL)

    assert found == Interaction(
        request=Request(
            method="POST",
            url="http://127.0.0.1:80/a?b=c",
            headers=(("Accept", "*/*"), ("X-Two", "one"), ("X-Two", "two")),
            body=b'{"a": 1}',
        ),
        response=Response(
            status=201,
            reason="Created",
            headers=(("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("content-length", "9")),
            body=b'{"b": 2}\n',
        ),
    )


def test_json_is_read_like_yaml():
    """Vcrpy's serializer for JSON, pretty-printed, with characters beyond ASCII and with a byte order mark."""
    data = library.safe_load(USUAL)
    data["interactions"][0]["response"]["body"]["string"] = "ü \U0001f600 \\U0001F600"
    pretty = json.dumps(data, indent=4)
    raw = b"\xef\xbb\xbf" + json.dumps(data, ensure_ascii=False).encode()

    assert "ü \U0001f600 \\U0001F600".encode() == only(pretty.encode()).response.body
    assert only(pretty.encode()) == only(raw)
    assert only(pretty.encode()).request == only(USUAL).request


BODIES = {
    "null": b"",
    "''": b"",
    "text": b"text",
    "!!binary AP8=": b"\x00\xff",
    "!!python/unicode 'old'": b"old",
    "{string: nested}": b"nested",
    "{string: null}": b"",
    "{}": b"",
    "{base64_string: AP8=}": b"\x00\xff",
    "{encoding: UTF-8, string: of Ruby}": b"of Ruby",
    "{encoding: ASCII-8BIT, string: !binary AP8=}": b"\x00\xff",
}


@pytest.mark.parametrize("body", BODIES)
def test_bodies_are_read_in_all_their_shapes(body: str):
    """A body is null, text, bytes or a mapping, in a request and in a response."""
    found = only(
        cassette(f"{{method: GET, uri: 'http://a/', body: {body}}}", f"{{status: {{code: 200}}, body: {body}}}")
    )

    assert [BODIES[body]] * 2 == [found.request.body, found.response.body]


def test_data_that_aiohttp_was_given_is_written_as_it_is_sent():
    """A mapping for a body is JSON, or a form where the header says so."""
    as_json = only(cassette("{method: POST, uri: 'http://a/', body: {a: [1, true, null]}}"))
    as_form = only(
        cassette(
            "{method: POST, uri: 'http://a/', body: {a: 1, b: c d},"
            " headers: {Content-Type: application/x-www-form-urlencoded}}"
        )
    )

    assert [b'{"a": [1, true, null]}', b"a=1&b=c+d"] == [as_json.request.body, as_form.request.body]


HEADERS = {
    "{A: [b, c]}": (("A", "b"), ("A", "c")),
    "{A: b}": (("A", "b"),),
    "{A: 12, B: [1.5], C: true, D: null}": (("A", "12"), ("B", "1.5"), ("C", "true"), ("D", "")),
    "{A: !!binary 4g==}": (("A", "\xe2"),),
    "[[A, b], [A, c]]": (("A", "b"), ("A", "c")),
    '["A: b\\r\\n", "C:d\\r\\n"]': (("A", "b"), ("C", "d")),
    '{A: "folded\\r\\n  line"}': (("A", "folded line"),),
    '{A: "\\u20ac"}': (("A", "\xe2\x82\xac"),),
    "{}": (),
    "null": (),
}


@pytest.mark.parametrize("headers", HEADERS)
def test_headers_are_read_in_all_their_shapes(headers: str):
    """Header values stand in lists, alone, in pairs or in lines."""
    found = only(cassette(response=f"{{status: {{code: 200}}, headers: {headers}}}"))

    assert HEADERS[headers] == found.response.headers


def test_a_cassette_of_httpx_before_vcrpy_6_is_read():
    """Its response has `content`, `status_code` and `http_version`; the body is not gzip any more."""
    found = only(
        cassette(
            response="{content: hello, headers: {Content-Encoding: [gzip], Content-Length: ['25']},"
            " http_version: HTTP/1.0, status_code: 404}"
        )
    )

    assert (404, "HTTP/1.0", (("Content-Length", "5"),), b"hello") == (
        found.response.status,
        found.response.version,
        found.response.headers,
        found.response.body,
    )


def test_a_body_that_is_coded_stays_so():
    """Gzip bytes and their header are kept."""
    coded = gzip.compress(b"hello")
    data = library.safe_load(cassette(response="{status: {code: 200}, headers: {content-encoding: [gzip]}}"))
    data["interactions"][0]["response"]["body"] = {"string": coded}
    found = only(library.safe_dump(data).encode())

    assert ((("content-encoding", "gzip"),), coded) == (found.response.headers, found.response.body)


def test_a_cassette_from_before_version_1_is_read():
    """It is a list; the URL stands in parts, header lines in a list, and tags of Python 2 everywhere."""
    found = only(b"""- request: !!python/object:vcr.request.Request
    body: null
    headers: !!python/object/apply:__builtin__.frozenset
    - - !!python/tuple [accept, '*/*']
    host: 127.0.0.1
    method: GET
    path: /ip
    port: 8080
    protocol: http
  response:
    body: {string: !!python/unicode "{}"}
    headers: [!!python/unicode "content-type: application/json\\r\\n"]
    status: {code: 200, message: OK}
""")

    assert ("http://127.0.0.1:8080/ip", (("accept", "*/*"),)) == (found.request.url, found.request.headers)
    assert (("content-type", "application/json"),) == found.response.headers


def test_a_cassette_of_ruby_is_read():
    """VCR for Ruby and betamax have another name for the list, and small letters for methods."""
    found = only(b"""---
http_interactions:
- request:
    method: get
    uri: https://127.0.0.1/a
    body: {encoding: US-ASCII, string: ''}
    headers: {Accept: ["*/*"]}
  response:
    status: {code: 200, message: OK}
    headers: {Server: [x]}
    body: {encoding: UTF-8, string: hi}
    http_version: '1.1'
  recorded_at: Mon, 01 Jan 2024 00:00:00 GMT
recorded_with: VCR 6.1.0
""")

    assert ("GET", b"hi", "HTTP/1.1") == (found.request.method, found.response.body, found.response.version)


# --- what is no cassette ------------------------------------------------------------------------

BAD = {
    "empty": (b"", "this is no cassette"),
    "text": (b"hello", "this is no cassette"),
    "a mapping": (b"a: 1", "it has no interactions"),
    "no list": (b"interactions: 3", "its interactions are no list"),
    "no mapping": (b"interactions: [3]", "interaction 1: it is no mapping"),
    "no response": (b"interactions: [{request: {}}]", "interaction 1: response is no mapping"),
    "no method": (cassette("{uri: 'http://a/'}"), "interaction 1: the method is None"),
    "a method with a line break": (cassette("{method: \"GET\\r\\nX\", uri: 'http://a/'}"), "the method is 'GET"),
    "no URL": (cassette("{method: GET}"), "None is no URL of HTTP"),
    "a file": (cassette("{method: GET, uri: 'file:///etc/passwd'}"), "is no URL of HTTP"),
    "a wrong port": (cassette("{method: GET, uri: 'http://a:99999/'}"), "is no URL of HTTP"),
    "no status": (cassette(response="{}"), "the status is None"),
    "a wrong status": (cassette(response="{status: {code: 99999}}"), "the status is 99999"),
    "a header with a line break": (
        cassette(response='{status: {code: 200}, headers: {A: "b\\r\\nC: d"}}'),
        "has a line break",
    ),
    "a header that is a list": (cassette(response="{status: {code: 200}, headers: {A: [[b]]}}"), "list is no text"),
    "a body of bytes in data": (
        cassette("{method: GET, uri: 'http://a/', body: [!!binary AA==]}"),
        "a body is neither text nor data",
    ),
    "half JSON": (b'{"interactions": [', "this is no JSON"),
    "deep JSON": (b'{"interactions": ' + b"[" * 100_000, "it is nested more than 200 deep"),
    "JSON with a key twice": (b'{"interactions": [], "interactions": []}', "a key stands there twice"),
    "JSON with half a character": (
        json.dumps(
            {"interactions": [{"request": {"method": "GET", "uri": "http://a/", "body": "\ud800"}, "response": {}}]}
        ).encode(),
        "",
    ),
    "JSON that is no text": (b"{\xff}", "this is no text"),
    "more than JSON": (b'{"interactions": []},"b":{}', "this is no JSON"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_cassette_is_told(what: str, tmp_path: Path):
    """Each is a ForeignFileError that names the file and says what is wrong with it."""
    content, why = BAD[what]
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(ForeignFileError) as told:
        read(path)

    assert told.value.happened.startswith(f"{path}: ")
    assert why in told.value.happened


def is_read(content: bytes) -> bool:
    """Say whether a cassette is read, rather than told to be none."""
    try:
        read_cassette(content)
    except ValueError:
        return False
    return True


def test_bytes_changed_anywhere_are_read_or_told():
    """A cassette with one byte changed, or cut anywhere, is read or is a ValueError, and nothing else."""
    chosen, odd = random.Random(1), [b"&a ", b"*a", b"!!", b"[", b"{", b"\0", b"\r", b"- ", b": "]
    outcomes = {True: 0, False: 0}
    for place in range(len(USUAL)):
        before, after = USUAL[:place], USUAL[place:]
        for changed in (before, before + chosen.randbytes(1) + after[1:], before + chosen.choice(odd) + after):
            outcomes[is_read(changed)] += 1

    assert all(count > 100 for count in outcomes.values()), outcomes


def test_files_that_can_not_be_read_are_told(tmp_path: Path):
    """A file that is not there, a folder, a bundle, and a cassette of nothing."""
    empty = tmp_path / "empty.yaml"
    empty.write_text("interactions: []\nversion: 1\n")
    with pytest.raises(MissingFileError):
        read(tmp_path / "none.yaml")
    with pytest.raises(MissingFileError):
        read(tmp_path)
    with pytest.raises(UsageError, match="is a bundle already"):
        read(BUNDLES / "format-1.pd")
    with pytest.raises(ForeignFileError, match="no request was recorded in it"):
        read(empty)


def test_a_file_that_is_too_large_is_told(tmp_path: Path):
    """More than a bundle can hold is not read."""
    path = tmp_path / "large.yaml"
    with path.open("wb") as file:
        file.truncate(64 * 1024 * 1024 + 1)
    with pytest.raises(ForeignFileError, match="is too large"):
        read(path)


# --- there and back -----------------------------------------------------------------------------


def recorded(*interactions: Interaction) -> Bundle:
    """Make a bundle of what was recorded without a model."""
    return Bundle(origin=Origin(), trace=Trace(recorded=interactions, ending="recorded"))


def hostile(chosen: random.Random) -> Interaction:
    """Make up an interaction with texts that YAML might stumble over, in what vcrpy has room for."""
    pieces = ["", "a", "#", ": ", "- ", "'", '"', "\\", "\n", "\r\n", "\t", "\x00", "\x7f", "\x85", "\u2028", "\ufeff"]
    pieces += [
        "!!binary aGk=",
        "\\U0001F600",
        "\U0001f600",
        "ü",
        "{",
        "}",
        "[",
        "&a",
        "*a",
        "%",
        "|",
        "> ",
        "null",
        "~",
    ]

    def text() -> bytes:
        said = "".join(chosen.choices(pieces, k=chosen.randrange(6))).encode()
        return said if chosen.random() < 0.8 else said + bytes(chosen.randrange(256) for _ in range(4))

    def headers() -> tuple[tuple[str, str], ...]:
        values = ["x", "a: b", "'", '"', "#c", "null", "1", "", "true", "1e5", "2026-11-21", "[]", "*/*", "&a", "!x"]
        names = chosen.sample(["Accept", "X-A", "Content-Type", "y", "Null"], chosen.randrange(4))
        return tuple((name, chosen.choice(values)) for name in names for _ in range(chosen.randrange(1, 3)))

    method, status = chosen.choice(["GET", "POST", "PURGE"]), chosen.choice([100, 200, 404, 599])
    reason = chosen.choice(["", "OK", "Not 'so' #fine"])
    return Interaction(
        request=Request(method=method, url="http://127.0.0.1:1/?a=%20&b", headers=headers(), body=text()),
        response=Response(status=status, reason=reason, headers=headers(), body=text()),
    )


def test_what_is_exported_is_imported():
    """Two hundred hostile interactions come back from a cassette as they were, headers sorted by name."""
    chosen = random.Random(7)
    made = [hostile(chosen) for _ in range(200)]
    again = read_cassette(render(recorded(*made), "vcr").encode())

    def sorted_by_name(interaction: Interaction) -> Interaction:
        request, response = interaction.request, interaction.response
        return interaction.replace(
            request=request.replace(headers=tuple(sorted(request.headers, key=lambda pair: pair[0]))),
            response=response.replace(headers=tuple(sorted(response.headers, key=lambda pair: pair[0]))),
        )

    assert [sorted_by_name(each) for each in made] == again


def test_vcrpy_writes_an_export_in_the_same_way(tmp_path: Path):
    """What vcrpy loads from an export and serializes again is the same text, to the byte."""
    from vcr.cassette import Cassette
    from vcr.serialize import serialize
    from vcr.serializers import yamlserializer

    chosen = random.Random(3)
    made = [each.replace(request=each.request.replace(headers=())) for each in (hostile(chosen) for _ in range(50))]
    text = render(recorded(*made), "vcr")
    path = tmp_path / "export.yaml"
    path.write_text(text, encoding="utf-8", newline="")
    loaded = Cassette.load(path=str(path), record_mode="none")

    assert text == serialize(loaded._as_dict(), yamlserializer)


def test_vcrpy_plays_an_export(tmp_path: Path):
    """A plain httpx client gets the recorded answers from the exported cassette."""
    made = [
        Interaction(
            request=Request(method="GET", url=f"http://127.0.0.1:9/{number}"),
            response=Response(status=207, reason="Fine", headers=(("X-A", "b"), ("X-A", "c")), body=body),
        )
        for number, body in enumerate((b"hi", b"\x00\xff", "\U0001f600".encode()))
    ]
    path = tmp_path / "export.yaml"
    path.write_text(render(recorded(*made), "vcr"), encoding="utf-8")
    with vcr.use_cassette(str(path), record_mode="none") as played, httpx.Client() as client:
        answers = [client.get(each.request.url) for each in made]

    assert [(207, ["b", "c"], each.response.body) for each in made] == [
        (answer.status_code, answer.headers.get_list("x-a"), answer.content) for answer in answers
    ]
    assert played.all_played


def test_what_vcrpy_records_is_imported_as_a_bundle(tmp_path: Path):
    """A cassette that was recorded by vcrpy becomes a bundle that vcrpy plays, as it was but for its secrets."""
    path, bundle = tmp_path / "recorded.yaml", tmp_path / "imported.pd"
    path.write_bytes(USUAL)
    found = read(path)
    save(bundle, found.origin, found.trace)
    with vcr.use_cassette(str(bundle), record_mode="none"), httpx.Client() as client:
        answer = client.post("http://127.0.0.1:80/a?b=c", content=b'{"a": 1}')
    (recorded,) = found.trace.recorded

    assert (Redactor().interaction(recorded),) == read_bytes(bundle.read_bytes()).trace.recorded
    assert (201, b'{"b": 2}\n') == (answer.status_code, answer.content)


def test_what_a_cassette_has_no_room_for_is_said():
    """A request without an answer is left out of an export, and counted."""
    asked = Request(method="GET", url="http://a/")
    lost = Interaction(request=asked, trouble=Trouble(error="ReadTimeout"))
    bundle = recorded(Interaction(request=asked, response=Response(status=200)), lost, lost)

    assert 1 == len(read_cassette(render(bundle, "vcr").encode()))
    assert left_out(bundle, "vcr").startswith("2 of the requests got no whole answer")
    assert "" == left_out(recorded(), "vcr")


def test_formats_are_named():
    """Each format that can be read has a word for people."""
    assert "vcr" in FORMATS
    assert all(FORMATS.values())
