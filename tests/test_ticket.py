"""Tickets: an issue text that a forge draws as it is meant, with a bundle in it that comes back to the byte."""

import hashlib
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from replaykit.archive import unpacked
from replaykit.bundle import Provenance, Shrinking, name_of
from replaykit.errors import TruncatedBundleError, UnexportableError
from replaykit.export import sent
from replaykit.export.ticket import MOST, render
from replaykit.interaction import Interaction, Request, Response, Trouble
from replaykit.lines import Lines, bundled, last_line
from replaykit.parcel import BEGIN
from replaykit.reader import read_bytes
from replaykit.secret import Policy
from replaykit.sequence import Call
from replaykit.trace import Said, Step, Trace
from replaykit.verdict import Failure
from replaykit.visible import visible
from replaykit.writer import save

BUNDLES = sorted([*(ROOT / "failures").rglob("*.pd"), *(ROOT / "tests" / "bundles").glob("*.pd")])
HOSTILE = [
    "`", "``", "```", "````\n", "~~~", "\n```\n# owned\n", "</details>", "\n\n</details>\n\n",
    "<img src=x onerror=a(1)>", "<!--", "-->", "@everyone", "#123", "GH-1", "!7", "a/b#2", "fixes #1", "/close",
    "\n/close\n", "www.example.org", "http://a.example", "[a](javascript:b)", "![a](b)", "|", "*", "_", "$`a`$", "\\",
    "&lt;", "\u202e", "\u200b", "\x1b[31m", "\x00", "\x7f", "\t", " ", "\r\n", "\n", "\u2028", "- [ ] a", "1. a", "> a",
    "# a", "\U0001f600", "é", "---", "===", f"\n{BEGIN}\n", f"> {BEGIN}",
    'version: 1\n# {"k":"bundle","format":1}\n', '\n> version: 1\n> # {"k":"pd"',
]  # fmt: skip
OURS = re.compile(r"[A-Za-z0-9 .,:()\n'-]*")  # what prose is made of: nothing that a forge makes a link or mention of


def step(label: int, said: str, body: bytes = b"{}", **more: Any) -> Step:
    """Make a step with a text in every place where there may be one."""
    request = Request(method="POST", url=f"http://127.0.0.1:1/a?b={said}", headers=(), body=said.encode())
    answered = Interaction(request=request, response=Response(status=201, body=body))
    lost = Interaction(request=request, trouble=Trouble(error="ReadTimeout", message=said))
    event = Said(tag="done", version=1, data=json.dumps({"said": said}).encode())
    call = Call(label=label, tag="do", args={f"name{said}": said})
    return Step(call=call, interactions=(answered, lost), event=event, observing=(answered,), **more)


def written(folder: Path, trace: Trace, **more: Any) -> bytes:
    """Write a bundle of a run; return its bytes."""
    facts: dict[str, Any] = {
        "model": "shop:Shop", "adapter": "shop:Api", "model_digest": "0" * 16, "campaign_seed": 1, "run": 0,
        "seed": 2, "commands": 50, "url": "http://127.0.0.1:1",
    }  # fmt: skip
    save(folder / "bug.pd", Provenance(**{**facts, **more}), trace, policy=Policy())
    return (folder / "bug.pd").read_bytes()


def failed(said: str = "no", steps: tuple[Step, ...] = (), expected: Any = None, name: str = "rule") -> Trace:
    """Make the trace of a run that failed at its last step, or at the end if it has none."""
    label, tag = (steps[-1].call.label, steps[-1].call.tag) if steps else (None, None)
    failure = Failure(
        kind="check", name=name, step=label, command=tag, message=said, expected=expected, actual={said: expected}
    )
    return Trace(steps=steps, ending="failed", failure=failure)


def ticket_of(content: bytes) -> str:
    """Write the ticket of a bundle."""
    return render(read_bytes(content), content)


def parsed(ticket: str) -> list[Token]:
    """Read a ticket as a forge does: tables and strikethrough beside the common Markdown, HTML let through."""
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(ticket)


def shape(ticket: str) -> tuple[list[str], list[str], list[str]]:
    """Return the headings below the first, the HTML, and the texts in prose of a ticket; other things are wrong."""
    tokens = parsed(ticket)
    inside = [each for token in tokens for each in token.children or []]
    blocks = {token.type.removesuffix("_open").removesuffix("_close") for token in tokens}
    spans = {each.type.removesuffix("_open").removesuffix("_close") for each in inside}

    assert blocks <= {
        "heading",
        "paragraph",
        "inline",
        "fence",
        "bullet_list",
        "ordered_list",
        "list_item",
        "html_block",
    }
    assert spans <= {"text", "code_inline", "softbreak", "strong"}
    titles = [tokens[number + 1].content for number, token in enumerate(tokens) if token.type == "heading_open"]
    html = [token.content for token in tokens if token.type == "html_block"]
    return titles[1:], html, [each.content for each in inside if each.type == "text"]


def holds_together(content: bytes, ticket: str) -> bool:
    """Say whether a ticket is as it is meant: its headings, one folded block, nothing that broke out."""
    titles, html, prose = shape(ticket)
    failure = read_bytes(content).failure
    folded = parsed(ticket)[-2]
    known = ["Expected", "Seen", "Steps", "Replay", "Where it was seen"]
    return (
        titles == [each for each in known if each in titles]
        and known[2:] == titles[-3:]
        and html
        == [f"<details><summary>The bundle: {name_of(failure)}, {len(content)} bytes</summary>\n", "</details>\n"]
        and folded.type == "fence"
        and (folded.content == content.decode() or folded.content.startswith(BEGIN))
        and all(OURS.fullmatch(each) for each in prose)
    )


@pytest.mark.parametrize("path", BUNDLES, ids=[each.name for each in BUNDLES])
def test_every_bundle_of_the_corpus_fits_and_comes_back(path: Path):
    """The ticket of each bundle in failures/ is short enough, drawn as it is meant, and gives back the same bytes."""
    content = path.read_bytes()
    ticket = ticket_of(content)

    assert len(ticket) < 60_000
    assert content == unpacked(ticket.encode(), "ISSUE.md")
    assert holds_together(content, ticket)


@settings(max_examples=60, deadline=None)
@given(
    said=st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=5)), max_size=12).map("".join),
    ends_in_step=st.booleans(),
)
def test_nothing_that_a_bundle_says_breaks_out(
    said: str, *, ends_in_step: bool, tmp_path_factory: pytest.TempPathFactory
):
    """Whatever a service or a stranger wrote into a bundle, its ticket has the same shape, and gives it back."""
    folder = tmp_path_factory.getbasetemp()
    steps = (step(1, said), step(2, said, said.encode())) if ends_in_step else ()
    trace = failed(said, steps, expected=said, name=f"rule{said}")
    content = written(folder, trace, model=f"shop:{said}", revision=said, python=said, recorded=said, tool=said)
    lines = list(Lines(content))
    for line in lines[1:]:
        line.data.update({key: f"{said}{line.data[key]}" for key in ("tag", "command") if key in line.data})
    content = bundled(lines)
    ticket = ticket_of(content)
    quoted = "".join(f"> {line}\r\n" for line in ticket.split("\n"))

    assert holds_together(content, ticket)
    assert [content] * 2 == [unpacked(each.encode(), "ISSUE.md") for each in (ticket, f"so:\r\n{quoted}\r\nyes")]
    assert visible(ticket) == ticket


@pytest.mark.parametrize("path", BUNDLES[:3], ids=[each.name for each in BUNDLES[:3]])
def test_a_ticket_says_what_a_reader_wants_to_know(path: Path):
    """The first line is the failure; the steps are a numbered list, with what was asked and what came."""
    content = path.read_bytes()
    bundle = read_bytes(content)
    tokens = parsed(ticket_of(content))
    items = sum(token.type == "list_item_open" and token.level == 1 and token.info.isdigit() for token in tokens)
    commands = [token.content for token in tokens if token.type == "fence" and token.info == "sh"]

    assert bundle.failure.name in tokens[1].content
    assert len(bundle.trace.steps) == items
    assert "replaykit replay ISSUE.md --offline\nreplaykit replay ISSUE.md --url URL\n" == commands[0]
    assert f"replaykit import ISSUE.md --output {name_of(bundle.failure)}\n" == commands[1]
    assert "--health, --reset-url" in ticket_of(content)


def test_a_ticket_tells_the_rate_the_revision_and_the_culprit(tmp_path: Path):
    """How often it fails, on what, and which commit is to blame, stand in it where the bundle knows them."""
    shrinking = Shrinking(
        calls_before=9, executions=5, requests=10, seconds=0.5, confirmed=False, runs=10, failed=3, stopped=None
    )
    content = written(tmp_path, failed(steps=(step(4, ""),)), shrinking=shrinking, revision="abc123", dirty=True)
    lines = list(Lines(content))
    lines[0].data["culprit"] = "def456"
    ticket = ticket_of(bundled(lines))

    assert "- rate: it failed in 3 of 10 runs\n" in ticket
    assert "- revision of the service: `abc123`, with changes\n" in ticket
    assert "- culprit: `def456`\n" in ticket
    assert "1. `[4] do(name='')` gives `done(said='')`: **it fails**\n" in ticket


def test_a_culprit_is_told_only_where_it_is_known(tmp_path: Path):
    """Without one in the bundle, the ticket does not speak of it."""
    assert "culprit" not in ticket_of(written(tmp_path, failed()))


def test_a_bundle_that_is_too_long_as_it_is_is_packed(tmp_path: Path):
    """Text that packs well is packed where it would be too long, and comes back."""
    content = written(tmp_path, failed(steps=(step(1, "a", b"b" * 100_000),)))
    ticket = ticket_of(content)

    assert len(content) > MOST > len(ticket.encode())
    assert BEGIN in ticket
    assert holds_together(content, ticket)
    assert content == unpacked(ticket.encode(), "ISSUE.md")


def test_the_length_of_a_ticket_is_counted_in_characters_as_forges_count(tmp_path: Path):
    """A text of many bytes, but not too many characters, is not packed."""
    ticket = ticket_of(written(tmp_path, failed("\u4e2d" * 3000, steps=(step(1, "a", b"b" * 7_000),))))

    assert len(ticket) < MOST < len(ticket.encode())
    assert BEGIN not in ticket


@pytest.mark.parametrize(("there", "lost"), [(b"}\n", b"} \n"), (b"}\n", b"}\t\n"), (b'"step":', b'"step":\t')])
def test_a_bundle_with_what_texts_lose_is_packed(there: bytes, lost: bytes, tmp_path: Path):
    """Where a line ends in a blank, or has a tab, which is allowed, the bundle is not put into a text as it is."""
    above = written(tmp_path, failed(steps=(step(1, ""),))).rpartition(b"# {")[0].replace(there, lost)
    content = above + last_line("failed", "", above.count(b"\n"), hashlib.sha256(above).hexdigest())
    ticket = ticket_of(content)

    assert BEGIN in ticket
    assert content == unpacked(ticket.encode(), "ISSUE.md")


def test_a_bundle_for_which_there_is_no_room_is_refused(tmp_path: Path):
    """What can't be packed small enough is refused, with what to do instead."""
    noise = random.Random(1).randbytes(60_000)
    content = written(tmp_path, failed(steps=(step(1, "a", noise),)))
    with pytest.raises(UnexportableError, match="has room for 60000 characters") as raised:
        ticket_of(content)

    assert "--format zip" in raised.value.todo


def test_many_steps_are_cut_in_their_middle(tmp_path: Path):
    """Of a long run, the first and the last steps are told, and how many are left out."""
    content = written(tmp_path, failed(steps=tuple(step(label, "x" * 50) for label in range(300))))
    ticket = ticket_of(content)
    [left_out] = re.findall(r"\nand (\d+) more steps, which the bundle has\n", ticket)
    told = re.findall(r"(?m)^(\d+)\. `\[(\d+)\]", ticket)

    assert holds_together(content, ticket)
    assert 300 == int(left_out) + len(told)
    assert [("1", "0"), ("300", "299")] == [told[0], told[-1]]
    assert "[299] " in ticket.partition(": **it fails**")[0].rpartition("\n")[2]


def test_a_run_that_passed_has_no_ticket(tmp_path: Path):
    """Without a failure, there is nothing to tell."""
    with pytest.raises(UnexportableError, match="ended as passed, and no failure"):
        ticket_of(written(tmp_path, Trace(ending="passed")))


@pytest.mark.parametrize("form", ["ticket", "gz", "zip"])
def test_a_bundle_without_its_end_is_not_sent(form: str, tmp_path: Path):
    """Nobody could tell whether it came back whole, so it is to be closed first."""
    content = written(tmp_path, failed())[:-1]
    with pytest.raises(TruncatedBundleError, match="has no end"):
        sent(read_bytes(content), content, form, Path("bug.pd"))
