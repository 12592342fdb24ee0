"""Scanning: secrets in bundles and in the cassettes of other tools, told by line and never shown."""

import base64
import bz2
import codecs
import gzip
import json
import os
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from replaykit.errors import CorruptBundleError, MissingFileError, SecretFoundError
from replaykit.parcel import lined
from replaykit.scan import files_in, require_clean, scan
from replaykit.secret import Policy

TOKEN = "s3cret-0123456789-abc"
CASSETTE = f"""\
interactions:
- request:
    body: '{{"user": "u", "password": "Sup3rS3cret!"}}'
    headers:
      Accept:
      - '*/*'
      Authorization:
      - Bearer {TOKEN}
      X-Api-Key:
      - k3y
      Cookie:
      - theme=dark; sid=1234567890abcdef
    uri: http://127.0.0.1/?access_token=zzz
  response:
    body:
      string: !!binary |
        {base64.b64encode(gzip.compress(b'{"refresh_token":"hidden-0123456789"}')).decode()}
    headers: {{}}
version: 1
"""


def found(folder: Path, name: str, text: str, policy: Policy | None = None) -> list[tuple[int, str]]:
    """Scan a file with this text; return lines and labels."""
    path = folder / name
    path.write_text(text)
    hits = scan(path, policy or Policy())

    assert TOKEN not in repr(hits)
    return [(hit.line, hit.label) for hit in hits]


def test_a_yaml_cassette(tmp_path: Path):
    """Headers, bodies, cookies, queries and what is compressed are looked into, each with its line."""
    assert [
        (3, "password"), (8, "bearer"), (10, "x-api-key"), (12, "sid"), (13, "access_token"), (16, "refresh_token"),
    ] == found(tmp_path, "a.yaml", CASSETTE)  # fmt: skip


def test_a_har(tmp_path: Path):
    """Pairs of name and value, and bodies in base64, are looked into."""
    har = {"log": {"entries": [{
        "request": {"headers": [{"name": "X-Auth-Token", "value": TOKEN}], "url": "http://x/"},
        "response": {"content": {
            "encoding": "base64", "text": base64.b64encode(b'{"password":"in base64"}').decode(),
        }},
    }]}}  # fmt: skip

    assert ["X-Auth-Token", "password"] == [label for _, label in found(tmp_path, "a.har", json.dumps(har, indent=1))]


def test_a_value_is_told_once(tmp_path: Path):
    """The line is the first on which it stands, in whatever disguise."""
    coded = base64.b64encode(f"x{TOKEN}".encode()).decode()

    assert [(1, "token")] == found(tmp_path, "a.json", f'["{coded}",\n{{"token": "{TOKEN}"}},\n"{TOKEN}"]')


def test_what_is_covered_is_no_finding(tmp_path: Path):
    """Placeholders of ours and masks of other tools are left alone, and what a project keeps."""
    text = json.dumps({"token": "REDACTED.token.1", "secret": "***", "password": "<redacted>", "pwd": "FILTERED"})

    assert [] == found(tmp_path, "a.json", text)
    assert [] == found(tmp_path, "b.json", '{"csrf_token":"abc-12345"}', Policy(kept=frozenset({"csrftoken"})))


def test_a_covered_cookie_in_any_text_is_no_finding(tmp_path: Path):
    """In a ticket with a bundle in it, a cookie whose value is covered is none, and one that is not is told."""
    covered, open_ = '"Cookie":["sid=REDACTED.sid.2"]', '"Cookie":["sid=REDACTED.sid.2; key=1234567890abcdef"]'

    assert [] == found(tmp_path, "t.md", f"See:\n\n{{{covered}}}\n")
    assert [(3, "Cookie")] == found(tmp_path, "t.md", f"See:\n\n{{{open_}}}\n")


def test_a_pipe_in_a_folder_is_not_waited_for(tmp_path: Path):
    """What is no regular file is left out of a folder, and refused where it is named."""
    os.mkfifo(tmp_path / "pipe.pd")

    assert [] == list(files_in([tmp_path]))
    with pytest.raises(MissingFileError, match="no regular file"):
        [scan(each, Policy()) for each in files_in([tmp_path / "pipe.pd"])]


def test_a_configured_secret_is_found(tmp_path: Path):
    """What a variable of the environment holds is found, though nothing else says that it is a secret."""
    assert [(2, "KEY")] == found(tmp_path, "a.txt", "\nxx-value-yy", Policy(given=(("KEY", "xx-value"),)))


def test_a_broken_bundle_is_looked_through(tmp_path: Path):
    """A bundle that nobody can read is read as text."""
    text = f'version: 1\n# {{"k":"bundle","format":1}}\n- {{"request": broken, "token":"{TOKEN}"}}\n# {{"k":'

    assert [(3, "token")] == found(tmp_path, "a.pd", text)


def test_what_is_packed_is_looked_into(tmp_path: Path):
    """A file in a zip or in gzip is looked into as if it were there itself, and so is text in UTF-16 or Latin-1."""
    text = '["\xe9",\n{"password": "Sup3rS3cret!"}]'
    with ZipFile(tmp_path / "a.zip", "w", ZIP_DEFLATED) as packed:
        packed.writestr("a.json", text)
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "c.json").write_bytes(text.encode("utf-16"))
    (tmp_path / "d.json").write_bytes(text.encode("latin-1"))

    for name in ("a.zip", "b.json.gz", "c.json", "d.json"):
        assert [(2, "password")] == [(hit.line, hit.label) for hit in scan(tmp_path / name, Policy())]


def test_files_of_folders(tmp_path: Path):
    """Of a folder, what looks like a recording is taken, in a fixed order; hidden folders and links are left out."""
    for name in ("b.pd", "a.yaml", "c.txt", ".git/x.pd", "deep/d.har"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)

    assert ["a.yaml", "b.pd", "deep/d.har", "c.txt"] == [
        str(each.relative_to(tmp_path)) for each in files_in([tmp_path, tmp_path / "c.txt"])
    ]
    with pytest.raises(MissingFileError):
        list(files_in([tmp_path / "none"]))


def test_tickets_in_a_folder_are_looked_into(tmp_path: Path):
    """A text with a bundle in it, as it is or packed, is taken for a recording; any other text is not."""
    for name, text in (("a.md", f"> {GOLDEN.decode()}"), ("b.txt", lined(GOLDEN)), ("c.md", "none"), ("d.txt", "")):
        (tmp_path / name).write_text(text.replace("\n", "\n> "))

    assert ["a.md", "b.txt"] == [each.name for each in files_in([tmp_path])]


def test_what_can_not_be_looked_into(tmp_path: Path):
    """A bomb and a broken archive are errors, not a clean bill."""
    (tmp_path / "bomb.pd.gz").write_bytes(gzip.compress(bytes(80 * 1024 * 1024)))
    (tmp_path / "broken.pd.gz").write_bytes(b"\x1f\x8b\x08nothing")
    (tmp_path / "utf-16.json").write_bytes('{"password": "x"}'.encode("utf-16-le"))
    (tmp_path / "half.json").write_bytes(codecs.BOM_UTF16_LE + b"{")
    (tmp_path / "packed.bz2").write_bytes(bz2.compress(b'{"password":"Sup3rS3cret!"}'))
    with ZipFile(tmp_path / "two.zip", "w") as packed:
        packed.writestr("a.json", '{"password": "x"}')
        packed.writestr("b.json", "{}")
    for name in ("bomb.pd.gz", "broken.pd.gz", "utf-16.json", "half.json", "packed.bz2", "two.zip"):
        with pytest.raises(CorruptBundleError):
            scan(tmp_path / name, Policy())


# --- what is sent to others ---------------------------------------------------------------------

GOLDEN = (Path(__file__).parent / "bundles" / "format-1.pd").read_bytes()


def leaking(secret: str = TOKEN) -> bytes:
    """Return a bundle into which somebody put a secret by hand."""
    return GOLDEN.replace(b'"Accept":', b'"Authorization":["Bearer %s"],"Accept":' % secret.encode(), 1)


def test_the_packed_bundle_in_a_ticket_is_looked_into(tmp_path: Path):
    """What stands packed in a text is told with the line where that begins."""
    text = f"one\ntwo\n{lined(leaking())}\n"

    assert leaking() != GOLDEN
    assert [(3, "authorization")] == found(tmp_path, "ISSUE.md", text)
    assert [] == found(tmp_path, "ISSUE.md", f"one\ntwo\n{lined(GOLDEN)}\n")


def test_a_bundle_with_a_secret_is_not_to_be_sent():
    """The error names the place, the label and the length, and not the secret; what is kept on purpose is none."""
    with pytest.raises(SecretFoundError, match=r"^bug\.pd holds what may be a secret: line 4: authorization") as raised:
        require_clean(leaking(), "bug.pd", Policy())

    assert TOKEN not in str(raised.value)
    require_clean(GOLDEN, "bug.pd", Policy())


JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
FIRST, REQUEST = '{"k":"bundle",', '"request":{'


@pytest.mark.parametrize(
    ("before", "added", "line", "label"),
    [
        (FIRST, f'"culprit":"{JWT}",', 2, "jwt"),
        (FIRST, '"api_key":"short",', 2, "api_key"),
        (FIRST, '"extra":{"at":[{"password":"hunter2"}]},', 2, "password"),
        (FIRST, '"note":"see http://joe:hunter2@127.0.0.1:4871/",', 2, "password"),
        (FIRST, f'"{JWT}":1,', 2, "jwt"),
        (FIRST, r'"x":"\u0065' + JWT[1:] + '",', 2, "jwt"),
        (REQUEST, f'"note":"{JWT}",', 4, "jwt"),
        ('- {"request":', f'"more":["{JWT}"],"request":', 4, "jwt"),
        ('"replaykit":{', f'"reason":"{JWT}",', 4, "jwt"),
        ('"replaykit":{', f'"request_headers":[["Accept","*/*"],["X-Note","{JWT}"]],', 4, "jwt"),
        ('"replaykit":{', '"request_headers":[["Accept","*/*"]],"x":"ghp_' + 36 * "a" + '",', 4, "github"),
        ('"status":{', f'"x":"{JWT}",', 4, "jwt"),
        ('"headers":{', f'"{JWT}":["x"],', 4, "jwt"),
        ("# {", f'"k":"net","request":{{"uri":"/","body":""}},"message":"to {JWT}"}}\n# {{', 2, "jwt"),
        ("# {", f'"k":"net","request":{{"uri":"/","body":"{JWT}"}}}}\n# {{', 2, "jwt"),
        ("interactions:", f"{JWT}:\ninteractions:", 3, "jwt"),
    ],
)  # fmt: skip
def test_a_secret_is_found_wherever_it_stands(before: str, added: str, line: int, label: str, tmp_path: Path):
    """Records have keys that no writer puts there; they are looked at like any text."""
    kept = added if before in added else f"{before}{added}"

    assert (line, label) in found(tmp_path, "a.pd", GOLDEN.decode().replace(before, kept, 1))
