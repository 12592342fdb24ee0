"""Bodies of a page, commands that send a request again, the timeline, what was expected beside what was seen."""

import base64
import gzip
import json
import subprocess
from http.server import BaseHTTPRequestHandler
from typing import ClassVar

import pytest
from browser import HOSTILE
from conftest import Loopback

from replaykit.export import curl
from replaykit.interaction import Request
from replaykit.report import bodies
from replaykit.report.bodies import Bodies, laid_out, pieces_of, ranges_of
from replaykit.report.timeline import LEFT, MOST, WIDTH, timeline
from replaykit.report.why import marked, why
from replaykit.sequence import Call
from replaykit.trace import Step, Trace
from replaykit.verdict import Failure

TEXTS = ["", "}}}", "a" * 2500, "{}" * 30, "x\n" * 5000, '{"a":1},\n' * 900, "<b>" * 3000, *HOSTILE.values()]


def rebuilt(kept: Bodies, recipe: int) -> str:
    """Put a body together out of the packs, as a page does."""
    kept.held  # noqa: B018  packs what is not packed
    pieces = {}
    for pack in kept.packs:
        pieces |= dict(enumerate(json.loads(gzip.decompress(base64.b64decode(pack.content))), pack.first))
    spans = [list(map(int, span.split("-"))) for span in pieces[recipe].split(",")]
    return "".join(pieces[number] for span in spans for number in range(span[0], span[-1] + 1))


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_pieces_make_the_text(text):
    """Whatever a text is cut into, it is that text."""
    assert text == "".join(pieces_of(text))


def test_ranges_are_short():
    """Numbers in a row are one range."""
    assert "0-2,7,9-10,3" == ranges_of([0, 1, 2, 7, 9, 10, 3])


def test_bodies_that_are_nearly_alike_are_kept_once(monkeypatch):
    """A hundred listings that differ in a row cost little more than one, and each comes out as it was, over packs."""
    monkeypatch.setattr(bodies, "PACK", 20_000)
    kept = Bodies()
    rows = [{"id": number, "name": f"player {number * 7919}"} for number in range(900)]
    shown = []
    for number in range(100):
        rows[number]["id"] = -number
        text = json.dumps(rows)
        shown.append((text, kept.shown((), text.encode(), f"b{number}", cut=None)))

    assert all(text == rebuilt(kept, body.recipe) for text, body in shown[::20])
    assert 1 < len(kept.packs)
    assert sum(len(pack.content) for pack in kept.packs) < 2 * len(shown[0][0])


def test_bodies_without_room_are_not_kept(monkeypatch):
    """Where the packs are full, a body has a recipe that they do not hold, or none."""
    monkeypatch.setattr(bodies, "MOST_STORED", 1000)
    kept = Bodies()
    texts = ["".join(f"{(number * 7919 + each) ** 5}\n" for number in range(500)) for each in range(300)]
    shown = [kept.shown((), text.encode(), f"b{each}", cut=None) for each, text in enumerate(texts)]

    assert 0 == kept.held
    assert shown[-1].recipe is None
    assert [] == kept.packs


def test_same_body_is_shown_once():
    """A body of some length that was shown before is a link to that place; a short one is shown each time."""
    kept = Bodies()
    first, again = (kept.shown((), b"x" * 500, place, cut=None) for place in ("here", "there"))
    short = [kept.shown((), b"{}", place, cut=None) for place in ("a", "b")]

    assert ("x" * 500, "") == (first.text, first.same)
    assert ("", "here") == (again.text, again.same)
    assert ["{}", "{}"] == [each.text for each in short]


@pytest.mark.parametrize(
    "text",
    ['{"a": 1.10, "a": 1e400, "b": [[], {}, [1, "x]{,:\\" y"]]}', '[["j", 1], ["a", 0]]', '"text"', "12", "[]", " {} "],
)
def test_layout_changes_nothing_but_space(text):
    """Numbers, doubled keys and texts stay as they were sent."""
    for width in (1, 20, 200):
        broken = laid_out(text, width)

        assert "".join(text.split()) == "".join(broken.split())
        assert json.loads(text) == json.loads(broken)


@pytest.mark.parametrize("text", ["{", "[1,]", "[" * 5000, "[" * 50 + "]" * 50, "NaN}"])
def test_what_is_no_json_stays_as_it_is(text):
    """Broken and very deep JSON is not touched."""
    assert text == laid_out(text)


@pytest.mark.parametrize("evil", HOSTILE.values(), ids=HOSTILE)
def test_command_of_a_request_is_what_was_sent_and_nothing_else(evil, tmp_path):
    """In a shell, all that was recorded is one argument, to the byte, or there is no command."""
    body = evil.encode("utf-8", "surrogatepass") + b"$(touch hacked) `touch hacked` ${HOME} ' \" \\ \n"
    evil_header = "".join(each for each in body.decode("latin-1") if each not in "\r\n\0")
    request = Request(
        method="PUT",
        url="http://127.0.0.1:80/$(touch%20hacked)'?a=`b`&c=;d",
        headers=(("x-a", evil_header),),
        body=body,
    )
    command = curl.command(request)
    if command is None:
        assert len(body) > curl.MAX_WORD
        return
    script = 'curl() { [ "${0#*hacked}" = "$0" ] && cat; printf "\\n--\\n%s" "$@" >&2; }\n' + command
    done = subprocess.run(
        ["sh", "-c", script, "sh"], cwd=tmp_path, capture_output=True, check=True, stdin=subprocess.DEVNULL
    )
    arguments = done.stderr.split(b"\n--\n")[1:]

    assert body == done.stdout
    assert [] == list(tmp_path.iterdir())
    assert "http://127.0.0.1:80/$(touch%20hacked)'?a=`b`&c=;d" == arguments[-1].decode()
    assert f"x-a: {evil_header}".encode("latin-1") == arguments[arguments.index(b"-H") + 1]


class Keeping(BaseHTTPRequestHandler):
    """Keeps what it is sent, and says that there is nothing."""

    protocol_version = "HTTP/1.1"
    kept: ClassVar[list[tuple[str, str | None, str | None, bytes]]] = []

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline()
        if self.raw_requestline and self.parse_request():
            sent = self.headers.get("Content-Length")
            body = self.rfile.read(int(sent or 0))
            self.kept.append((self.command, self.headers.get("x-empty"), sent, body))
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else b"hello")
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [("HEAD", b"", None), ("GET", b"", None), ("GET", b"{}", "2"), ("POST", b"", "0"), ("POST", b"{}", "2"),
     ("DELETE", b"", None), ("M-SEARCH", b"", None)],
)  # fmt: skip
def test_command_of_a_request_sends_it_as_it_was_sent(method, body, length):
    """The method, an empty header and the length of no body arrive as they were, by the curl that is there."""
    Keeping.kept.clear()
    with Loopback(Keeping) as service:
        request = Request(method=method, url=f"{service.url}/a", headers=(("x-empty", ""),), body=body)
        subprocess.run(["sh", "-c", f"{curl.command(request)} --max-time 5"], capture_output=True, check=True)

    assert [(method, "", length, body)] == Keeping.kept


@pytest.mark.parametrize(
    "url", ["http://shop.example/a", "http://127.0.0.1:65535/a", "http://localhost@evil.example/a"]
)
def test_command_sends_nothing_to_strangers(url):
    """A host that is not this machine, or a port that was not kept, has to be named by who sends."""
    command = curl.command(Request(method="GET", url=url))

    assert "\"${URL:?}\"'/a'" in command


@pytest.mark.parametrize("url", ["http://127.0.0.1/a b", "file:///etc/passwd", "javascript:1", "http://\n"])
def test_odd_requests_have_no_command(url):
    """What nobody could send has no command."""
    assert curl.command(Request(method="GET", url=url)) is None


def run(count: int, **failure) -> Trace:
    """Return a run of so many steps, the last of which fails."""
    steps = tuple(Step(call=Call(label=label, tag="buy")) for label in range(count))
    broken = Failure(kind="check", name="a", step=count - 1, command="buy", message="m", **failure)
    return Trace(steps=steps, ending="failed", failure=broken)


@pytest.mark.parametrize("count", [2, 60, 2000])
def test_timeline_stays_in_its_frame(count):
    """However many steps there are, the picture has a limited number of bars, and the one that failed is seen."""
    drawn = timeline(run(count))

    assert len(drawn.bars) <= MOST + 2
    assert all(LEFT <= bar.x and bar.x + bar.width <= WIDTH for bar in drawn.bars)
    assert [f"s{count - 1}"] == [bar.target for bar in drawn.bars if bar.kind == "failed"]


def test_one_step_needs_no_timeline():
    """A picture of one bar says nothing."""
    assert timeline(run(1)) is None


def test_differing_words_are_marked():
    """What two texts share is not marked; where they share nearly nothing, all is."""
    expected, seen = marked("Repeated(payment=4)", "Repeated(payment=11)")

    assert [("Repeated(payment=", False), ("4", True), (")", False)] == list(expected)
    assert "11" == next(part.text for part in seen if part.differs)
    assert (("abc", True),) == marked("abc", "xyz")[0]


def test_places_are_listed_and_counted():
    """Documents that differ are told place by place, up to a limit."""
    told = why(run(2, expected=[[each] for each in range(30)], actual=[[each + 1] for each in range(30)]).failure)

    assert ("[0][0]", "0", "1") == (told.places[0].path, told.places[0].before, told.places[0].after)
    assert (20, 10) == (len(told.places), told.places_left_out)
