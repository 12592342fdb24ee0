"""Tickets and packed bundles through the command line: exit code first; and the guide about them."""

import hashlib
import io
import re
import sys
from pathlib import Path

import pytest
from conftest import ROOT, Ran, replaykit
from terminal import Terminal

from replaykit.cli.app import run
from replaykit.lines import last_line
from replaykit.reader import read

GUIDE = (ROOT / "docs" / "guides" / "tickets.md").read_text(encoding="utf-8")
GOLDEN = ROOT / "tests" / "bundles" / "format-1.pd"
PACKED = ["ticket", "gz", "zip"]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Give what runs a command line in this process, in an empty folder, and what comes from a pipe."""
    monkeypatch.chdir(tmp_path)

    def called(*words: object, piped: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(piped)))
        code = run([str(word) for word in words])
        return Ran(code, *capsys.readouterr())

    return called


@pytest.mark.parametrize("form", PACKED)
def test_what_is_exported_to_be_sent_is_imported_to_the_byte(form: str, call, duplicate_names: Path):
    """Out of a ticket, a gzip and a zip, import gets the bundle back, and says so."""
    made = call("export", duplicate_names, "--format", form, "--output", f"sent/bug.{form}")
    back = call("import", f"sent/bug.{form}", "--output", "back.pd")

    assert 0 == made.code, made
    assert ("", "") == (made.out, made.err)
    assert 0 == back.code, back
    assert f"the bundle in sent/bug.{form} written to back.pd: " in back.out
    assert duplicate_names.read_bytes() == Path("back.pd").read_bytes()


def test_a_ticket_is_imported_from_a_pipe_with_0(call, duplicate_names: Path):
    """A ticket that comes from another program, quoted and with other line ends, is read from standard input."""
    ticket = call("export", duplicate_names, "--format", "ticket").out
    quoted = "Somebody wrote:\r\n" + "".join(f"> {line}\r\n" for line in ticket.split("\n"))
    back = call("import", "-", "--output", "back.pd", piped=quoted.encode())

    assert 0 == back.code, back
    assert "the bundle in standard input written to back.pd" in back.out
    assert duplicate_names.read_bytes() == Path("back.pd").read_bytes()


def test_a_ticket_is_replayed_as_it_is_with_1(call, duplicate_names: Path, tmp_path: Path):
    """The command in the ticket replays the bundle out of its text, and the bug is there."""
    path = tmp_path / "ISSUE.md"
    made = call("export", duplicate_names, "--format", "ticket", "--output", path)
    [command] = re.findall(r"(?m)^replaykit (replay ISSUE\.md --offline)$", path.read_text(encoding="utf-8"))
    ran = replaykit(*command.replace("ISSUE.md", str(path)).split())

    assert 0 == made.code, made
    assert 1 == ran.code, ran
    assert ran.verdict.startswith("VERDICT reproduced")


@pytest.mark.parametrize("form", PACKED)
def test_a_bundle_with_a_secret_is_129_and_not_written(form: str, call, tmp_path: Path):
    """Where something looks like a secret, its place is told, and nothing is written."""
    secret = b'"Authorization":["Bearer s3cret-0123456789-abc"],"Accept":'
    Path("bug.pd").write_bytes(resealed(GOLDEN.read_bytes().replace(b'"Accept":', secret, 1)))
    ran = call("export", "bug.pd", "--format", form, "--output", "sent/bug")

    assert 129 == ran.code, ran
    assert "error[secret-found]: bug.pd holds what may be a secret: line 4: authorization (21 characters)" in ran.err
    assert "s3cret" not in ran.out + ran.err
    assert [tmp_path / "bug.pd"] == list(tmp_path.iterdir())


def resealed(content: bytes) -> bytes:
    """Give a bundle that was changed a digest that fits again."""
    above = content.rpartition(b"# {")[0]
    return above + last_line("failed", "", above.count(b"\n"), hashlib.sha256(above).hexdigest())


TICKET = b"So:\n\n```\n" + GOLDEN.read_bytes() + b"```\n"


@pytest.mark.parametrize(
    ("content", "code", "slug"),
    [
        (TICKET.replace(b"Accept", b"accept"), 128, "bundle-corrupt"),
        (TICKET.rpartition(b"# {")[0] + b"```\n", 128, "bundle-truncated"),
        (TICKET[:-900], 128, "bundle-truncated"),
        (TICKET + TICKET, 128, "bundle-corrupt"),
        (b"-----BEGIN REPLAYKIT BUNDLE-----\n????\n-----END REPLAYKIT BUNDLE-----\n", 128, "bundle-corrupt"),
        (b"-----BEGIN REPLAYKIT BUNDLE-----\nH4sI\n", 128, "bundle-truncated"),
        (TICKET.replace(b'"format":1', b'"format":99'), 128, "bundle-newer"),
        (b"Nothing is in this text.\n", 128, "foreign-file"),
        (b"", 128, "foreign-file"),
    ],
    ids=["edited", "no end", "cut", "two bundles", "no base64", "cut and packed", "newer", "no bundle", "empty"],
)  # fmt: skip
@pytest.mark.parametrize("is_piped", [False, True], ids=["file", "pipe"])
def test_a_ticket_that_is_broken_is_128_and_nothing_is_written(
    content: bytes, code: int, slug: str, call, tmp_path: Path, *, is_piped: bool
):
    """What does not come back whole is not written, and what was there stays."""
    (tmp_path / "ISSUE.md").write_bytes(content)
    (tmp_path / "bug.pd").write_bytes(b"there before")
    ran = call("import", "-" if is_piped else "ISSUE.md", "--output", "bug.pd", piped=content)

    assert code == ran.code, ran
    assert f"error[{slug}]" in ran.err
    assert b"there before" == (tmp_path / "bug.pd").read_bytes()
    assert ["ISSUE.md", "bug.pd"] == sorted(each.name for each in tmp_path.iterdir())


def test_a_ticket_is_not_overwritten_by_its_own_bundle_129(call, tmp_path: Path):
    """The text that is read can't be the file that is written."""
    (tmp_path / "ISSUE.md").write_bytes(TICKET)
    ran = call("import", "ISSUE.md", "--output", "ISSUE.md")

    assert 129 == ran.code, ran
    assert TICKET == (tmp_path / "ISSUE.md").read_bytes()


def test_a_terminal_is_shown_nothing_that_is_packed_129():
    """What is packed goes to a file or to a pipe, not to who looks at a terminal."""
    with Terminal("export", GOLDEN, "--format", "zip", columns=200) as terminal:
        code = terminal.end()

    assert 129 == code
    assert b"A terminal can't show what is packed" in terminal.written
    assert b"PK" not in terminal.written


def test_a_zip_is_piped_to_the_byte_with_0(call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Standard output gets what the file gets."""
    call("export", GOLDEN, "--format", "zip", "--output", "bug.pd.zip")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO()))
    code = run(["export", str(GOLDEN), "--format", "zip"])

    assert 0 == code
    assert (tmp_path / "bug.pd.zip").read_bytes() == sys.stdout.buffer.getvalue()


def test_the_commands_of_the_guide_do_what_it_says(call, duplicate_names: Path, tmp_path: Path):
    """Each command of the guide's first block ends with 0, and what is in each file is the bundle."""
    [block] = re.findall(r"(?ms)^<!-- run -->\n+```sh\n(.*?)^```$", GUIDE)
    (tmp_path / "bug.pd").write_bytes(duplicate_names.read_bytes())
    commands = [line.split() for line in block.splitlines()]
    codes = [call(*words[1:]).code for words in commands]
    written = [Path(words[words.index("--output") + 1]) for words in commands if "--output" in words]

    assert [0] * len(commands) == codes
    assert len(written) >= 4
    assert [read(Path("bug.pd"))] * len(written) == [read(each) for each in written]


def test_the_guide_shows_the_ticket_as_it_is(call):
    """The ticket that the guide shows is that of the bundle that it names, up to where the bundle is folded away."""
    [(name, shown)] = re.findall(r"(?ms)^<!-- ticket of (\S+) -->\n+~~~~markdown\n(.*?)^~~~~$", GUIDE)
    made = call("export", ROOT / name, "--format", "ticket").out
    tops = [re.sub(r"written by `.*?`", "", each.partition("version: 1\n")[0]) for each in (made, shown)]

    assert tops[0] == tops[1]
    assert shown.endswith("</details>\n")


# --- what is there already ----------------------------------------------------------------------


def test_an_export_does_not_take_the_place_of_a_bundle_129(call, tmp_path: Path):
    """A bundle at --output stays, also one that is broken; anything else is replaced."""
    (tmp_path / "other.pd").write_bytes(GOLDEN.read_bytes()[:-20])
    (tmp_path / "ISSUE.md").write_bytes(TICKET)
    codes = [call("export", GOLDEN, "--format", "ticket", "--output", name).code for name in ("other.pd", "ISSUE.md")]

    assert [129, 0] == codes
    assert GOLDEN.read_bytes()[:-20] == (tmp_path / "other.pd").read_bytes()


@pytest.mark.parametrize("source", ["ISSUE.md", "a.yaml"])
def test_an_import_takes_the_place_of_nothing_unasked_129(source: str, call, tmp_path: Path):
    """Another file at --output is replaced with --force; the same bundle may be written again."""
    call("export", GOLDEN, "--format", "vcr", "--output", "a.yaml")
    (tmp_path / "ISSUE.md").write_bytes(TICKET)
    (tmp_path / "bug.pd").write_bytes(b"there before")
    refused = call("import", source, "--output", "bug.pd")
    kept = (tmp_path / "bug.pd").read_bytes()
    forced = call("import", source, "--output", "bug.pd", "--force")
    again = call("import", source, "--output", "bug.pd")

    assert (129, 0, 0) == (refused.code, forced.code, again.code), refused
    assert "bug.pd is there already, and is another one" in refused.err
    assert b"there before" == kept
    assert ["ISSUE.md", "a.yaml", "bug.pd"] == sorted(each.name for each in tmp_path.iterdir())


def test_a_cut_ticket_is_told_with_its_line(call, tmp_path: Path):
    """Where the bundle of a text begins is said, and nothing is guessed about who stopped."""
    cut = TICKET[: TICKET.index(b'# {"k":"failure"')]
    (tmp_path / "cut.md").write_bytes(cut)
    ran = call("import", "cut.md", "--output", "bug.pd")

    line = cut[: cut.index(b"version: 1")].count(b"\n") + 1
    assert 128 == ran.code, ran
    assert f"cut.md, line {line}: the bundle that begins there has no end." in ran.err


@pytest.mark.parametrize("content", [b"", b"It fails.\n", b"# A bug\n\n- it fails\n"])
def test_a_text_without_a_bundle_is_told_as_such_128(content: bytes, call):
    """Who pipes an issue without a bundle is told so, and what can be read."""
    ran = call("import", "-", "--output", "bug.pd", piped=content)

    assert 128 == ran.code, ran
    assert "and there is no bundle in it" in ran.err
    assert "a bundle in the text of a ticket, in gzip or in a zip" in ran.err
