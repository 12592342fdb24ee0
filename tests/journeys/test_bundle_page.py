"""Pages of bundles in a real browser: what is seen, with what, and that nothing in them is obeyed."""

import base64
import gzip
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from browser import HOSTILE, chromium, inaccessible, injected, too_wide, visit
from conftest import ROOT, environment, replaykit
from test_docs import shown_as

from replaykit.bundle import Bundle, Origin, Provenance
from replaykit.interaction import Interaction, Request, Response, Trouble
from replaykit.reader import read
from replaykit.report import bundle_html, teller
from replaykit.secret import Policy
from replaykit.sequence import Call
from replaykit.trace import Said, Step, Trace
from replaykit.value import text_of_data
from replaykit.verdict import Failure
from tests.benchmarks import pages

BUNDLES = sorted([*(ROOT / "failures").glob("*/*.pd"), *(ROOT / "tests" / "bundles").glob("*.pd")])
GUIDE = (ROOT / "docs" / "guides" / "html.md").read_text(encoding="utf-8")
PROVENANCE = Provenance(
    model="a:Shop", adapter="a:ShopApi", model_digest="0" * 16, campaign_seed=1, run=0, seed=1, commands=9
)  # fmt: skip

__all__ = ["chromium"]


def page(folder: Path, bundle: Bundle, content: bytes = b"version: 1\n", **more) -> Path:
    """Write the page of a bundle."""
    written = folder / "page.html"
    written.write_text(bundle_html.render(bundle, content, "a.pd", Policy(), **more), encoding="utf-8")
    return written


def page_of(folder: Path, path: Path) -> Path:
    """Write the page of a bundle's file."""
    return page(folder, read(path), path.read_bytes())


def sent(body: bytes = b"", sends: bytes = b"", headers: tuple = (), **more) -> Interaction:
    """Return a request with its answer."""
    request = Request(method="POST", url="http://127.0.0.1:1/things?a=1", headers=headers, body=sends)
    return Interaction(request=request, response=Response(status=200, headers=headers, body=body, **more))


def failed(*steps: Step, **more) -> Bundle:
    """Return a bundle whose last step failed."""
    last = steps[-1].call
    failure = Failure(kind="check", name="fits", step=last.label, command=last.tag, message="it does not fit", **more)
    return Bundle(origin=PROVENANCE, trace=Trace(steps=steps, ending="failed", failure=failure))


@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: path.stem)
def test_each_saved_bundle_can_be_read(chromium, tmp_path, path):
    """Of each bundle the page says what failed first, its failing step is open, and nothing complains or leaves."""
    failure = read(path).failure
    with visit(chromium, page_of(tmp_path, path)) as seen:
        title = seen.page.locator("h1").inner_text()
        opened = seen.page.locator("[data-failing]").evaluate_all("all => all.map(each => each.open)")

        assert title.startswith("✗ FAILED")
        assert failure.name in title.replace("server error", "server_error")
        assert [True] == opened
        assert "Why it failed" in seen.text()
        assert [] == seen.problems()
        assert 0 == too_wide(seen.page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["toybank/over-capture", "travelbooking/overbooking", "leaderboard/lost-increase"])
def test_pages_are_accessible(chromium, tmp_path, name, scheme):
    """In both colour schemes, contrast and names are as axe-core wants them, with all open."""
    with visit(chromium, page_of(tmp_path, ROOT / "failures" / f"{name}.pd"), scheme=scheme) as seen:
        assert [] == inaccessible(seen)


def test_page_fits_a_narrow_screen(chromium, tmp_path):
    """On a telephone nothing sticks out, also with all open."""
    with visit(chromium, page_of(tmp_path, ROOT / "failures" / "toybank" / "over-capture.pd"), width=375) as seen:
        seen.open_all()

        assert 0 == too_wide(seen.page)


def test_page_reads_right_without_scripts_and_styles(chromium, tmp_path):
    """With both blocked, all stands there in its order, and no button that does nothing."""
    with visit(chromium, page_of(tmp_path, ROOT / "failures" / "toybank" / "over-capture.pd"), styles=False) as seen:
        text = seen.text()
        parts = ["FAILED", "Why it failed", "expected", "seen", "minimal sequence", "[38]", "State", "Requests"]
        parts += ["Timeline", "What shrinking removed", "How to reproduce it", "Where it comes from", "The bundle"]
        places = [0]
        for part in parts:
            places.append(text.find(part, places[-1]))

        assert -1 not in places, parts[places.index(-1) - 1]
        assert 0 == seen.page.locator("button:visible, input:visible").count()
        assert [] == injected(seen.page)


def test_bundle_comes_out_of_its_page_to_the_byte(chromium, tmp_path):
    """The link saves the bundle, from a file, under the policy, without a script, by its name."""
    path = ROOT / "failures" / "toybank" / "over-capture.pd"
    written = tmp_path / "page.html"
    assert 0 == replaykit("show", path, "--html", written).code
    with visit(chromium, written, scripts=False, accept_downloads=True) as seen:
        with seen.page.expect_download() as waiting:
            seen.page.get_by_role("link", name="Save").click()

        assert "over-capture.pd" == waiting.value.suggested_filename
        assert path.read_bytes() == Path(waiting.value.path()).read_bytes()


def test_a_folder_that_was_made_is_named(tmp_path):
    """Where the folder of a page is not there, as by a slip, it is made, and the note says so; later it does not."""
    path, written = ROOT / "failures" / "toybank" / "over-capture.pd", tmp_path / "new" / "page.html"
    first, again = (replaykit("show", path, "--html", written) for _ in range(2))

    assert f"page written: {written} (the folder {written.parent} is new)" in first.err.splitlines()
    assert f"page written: {written}" in again.err.splitlines()


def test_large_bundle_is_saved_packed(chromium, tmp_path):
    """A bundle of some size is inside in gzip, and what is saved can be read as it is."""
    path = tmp_path / "long.pd"
    pages.written(path, pages.long_run(100, 10_000))
    with visit(chromium, page_of(tmp_path, path), accept_downloads=True) as seen:
        with seen.page.expect_download() as waiting:
            seen.page.get_by_role("link", name="Save").click()
        saved = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(saved)

        assert "a.pd.gz" == saved.name
        assert read(path) == read(saved)


def test_bundle_that_is_too_large_is_not_inside(chromium, tmp_path, monkeypatch):
    """Where there is no room for the bundle, the page says so where one would look for it."""
    monkeypatch.setattr(bundle_html, "MOST_ENCLOSED", 1000)
    with visit(chromium, page_of(tmp_path, ROOT / "failures" / "toybank" / "over-capture.pd")) as seen:
        assert "The bundle has 10,970 bytes, which is too much for a page" in seen.text()
        assert 0 == seen.page.get_by_role("link", name="Save").count()


def test_bundle_with_a_secret_is_not_inside(tmp_path):
    """A bundle that holds what looks like a secret is not enclosed, and the secret is covered in the page."""
    token = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    content = (ROOT / "failures" / "toybank" / "over-capture.pd").read_bytes()
    step = Step(call=Call(label=0, tag="buy"), interactions=(sent(f'{{"value": "{token}"}}'.encode()),))
    leaky = content + f"# {token}\n".encode()
    written = page(tmp_path, failed(step, actual=[token], expected=[]), leaky).read_text(encoding="utf-8")

    assert token not in written
    assert "The bundle is not in this page" in written
    assert base64.b64encode(leaky).decode() not in written


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_that_was_recorded_is_obeyed(chromium, tmp_path, name):
    """Whatever a service says, and wherever, it is text."""
    evil = HOSTILE[name]
    clean = evil.encode("utf-8", "replace").decode("utf-8")
    wire = evil.encode("utf-8", "surrogatepass")
    headers = (("x-evil", wire.decode("latin-1")), ("content-type", "text/html"))
    asked = Interaction(
        request=Request(method=evil[:50], url=f"http://127.0.0.1/{evil}", headers=headers, body=wire),
        response=Response(status=200, reason=evil, headers=headers, body=wire + b"<b>" * 9000),
        trouble=Trouble(error="ReadError", message=evil),
        tampered=evil,
    )
    data = text_of_data({"a": clean, clean: [clean]})
    steps = [
        Step(
            call=Call(label=label, tag=clean, args={clean: clean}),
            interactions=(asked,),
            observing=(asked,),
            event=Said(tag=evil, version=1, data=data),
            observations=(Said(tag=evil, version=1, data=data),),
            state=text_of_data({"a": clean, "n": label}),
        )
        for label in range(12)
    ]
    bundle = failed(*steps, expected={"a": clean}, actual={"a": [clean]}, traceback=evil)
    origin = PROVENANCE.replace(model=evil, adapter=evil, url=evil, revision=evil, culprit=evil, recorded=evil)
    bundle = bundle.replace(origin=origin)
    with visit(chromium, page(tmp_path, bundle)) as seen:
        seen.open_all()
        for button in seen.page.locator("[data-inflates]").all()[:2]:
            button.click()
        seen.page.keyboard.press("j")
        seen.page.keyboard.press("f")

        assert [] == seen.problems()
        assert 1 == seen.page.locator("h1").count()
        assert not re.search("[\u202a-\u202e\u2066-\u2069]", seen.text())


def test_all_kinds_of_bodies_can_be_looked_at(chromium, tmp_path):
    """Text, JSON, HTML, bytes, gzip and broken gzip, none and cut ones are shown as what they are."""
    packed = gzip.compress(b'{"in": "gzip"}')
    bodies = {
        "plain": sent(b"some text"),
        "json": sent(json.dumps({"list": list(range(60))}).encode()),
        "html": sent(b"<h1>not a heading</h1>"),
        "bytes": sent(bytes(range(256))),
        "gzip": sent(packed, headers=(("content-encoding", "gzip"),)),
        "broken": sent(packed[:-12] + b"x" * 9, headers=(("content-encoding", "gzip"),)),
        "none": sent(),
        "short": sent(b"half of", complete=False),
    }
    steps = [Step(call=Call(label=n, tag=tag), interactions=(each,)) for n, (tag, each) in enumerate(bodies.items())]
    with visit(chromium, page(tmp_path, failed(*steps))) as seen:
        seen.open_all()
        text = seen.text()

        for said in ("some text", "<h1>not a heading</h1>", '{"in": "gzip"}', "as sent", "half of", "it broke off"):
            assert said in text
        assert "256 bytes, not text" in text
        assert "00 01 02" in text
        assert [] == seen.problems()


def test_big_body_is_shown_whole_when_asked_for(chromium, tmp_path):
    """The beginning of a large body is seen at once, and all of it, as it was sent, after a click."""
    trace = pages.long_run(30, 30_000)
    body = gzip.decompress(trace.steps[-2].observing[0].response.body).decode()
    with visit(chromium, page(tmp_path, Bundle(origin=PROVENANCE, trace=trace))) as seen:
        seen.open_all()
        shown = seen.page.locator("#s28r-0b")

        assert len(shown.inner_text()) < 500
        seen.page.locator("[data-into=s28r-0b]").click()
        seen.page.wait_for_function("document.getElementById('s28r-0b').textContent.length > 500")
        assert body == shown.evaluate("each => each.textContent")
        assert [] == seen.problems()


def test_keys_walk_the_steps(chromium, tmp_path):
    """The key f goes to the failing step, k to the one before it, e opens it, and the address follows."""
    with visit(chromium, page_of(tmp_path, ROOT / "failures" / "toybank" / "over-capture.pd")) as seen:
        seen.page.keyboard.press("f")
        assert seen.page.url.endswith("#s38")
        seen.page.keyboard.press("k")
        assert seen.page.url.endswith("#s36")
        seen.page.keyboard.press("e")
        assert seen.page.locator("#s36").evaluate("each => each.open && each.querySelector('details').open")


def test_an_address_opens_what_it_names(chromium, tmp_path):
    """A link to a request of a step opens the step, and the request in it."""
    path = page_of(tmp_path, ROOT / "failures" / "toybank" / "over-capture.pd")
    with visit(chromium, path, fragment="#s21-0") as seen:
        assert seen.page.locator("#s21-0 pre").first.is_visible()


def test_branches_have_lanes(chromium, tmp_path):
    """Of a race, each branch has a lane, and is told apart in the list."""
    with visit(chromium, page_of(tmp_path, ROOT / "failures" / "travelbooking" / "overbooking.pd")) as seen:
        lanes = seen.page.locator("svg.timeline > text").all_text_contents()

        assert ["before", "branch 1", "branch 2"] == [lane.strip() for lane in lanes]
        assert 2 == seen.page.locator("li.branch").count()


def test_faults_have_lanes(chromium, tmp_path):
    """A fault has a lane for as long as it lasted, and what was sent under it says so."""
    steps = [
        Step(
            call=Call(label=0, tag="fault_timeout", args={"steps": 1, "milliseconds": 10}),
            event=Said(tag="injected", version=1, data=b'{"fault":"fault_timeout"}'),
        ),
        Step(call=Call(label=1, tag="buy"), interactions=(sent(b"{}"),), faults=(0,)),
        Step(call=Call(label=2, tag="look"), interactions=(sent(b"{}"),)),
    ]
    with visit(chromium, page(tmp_path, failed(*steps))) as seen:
        assert "timeout" in seen.page.locator("svg.timeline").text_content()
        assert "under [0] timeout" in seen.text()
        assert "[0] timeout is over" in seen.text()
        assert [] == seen.problems()


@pytest.mark.parametrize("ending", ["passed", "recorded", "unknown", "failed"])
def test_bundles_without_a_failure_have_a_page_too(chromium, tmp_path, ending):
    """Runs that passed or could not be judged, recordings without a model and truncated files say what they are."""
    step = Step(call=Call(label=0, tag="buy"), interactions=(sent(b"{}"),))
    trace = Trace(steps=(step,), ending=ending, reason="the answer was lost" if ending == "unknown" else "")
    bundle = Bundle(origin=PROVENANCE, trace=trace, whole=ending != "failed")
    if ending == "recorded":
        bundle = Bundle(origin=Origin(), trace=Trace(recorded=(sent(b"{}"), sent(b"{}")), ending=ending))
    word = "TRUNCATED" if ending == "failed" else ending.upper()
    with visit(chromium, page(tmp_path, bundle)) as seen:
        assert word in seen.page.locator("h1").inner_text()
        assert [] == seen.problems()


def test_replay_is_held_against_what_was_recorded(chromium, tmp_path):
    """The verdict of a replay stands on top; per step, the recorded status stands before the one of today."""
    written = tmp_path / "page.html"
    ran = replaykit(
        "replay", ROOT / "failures" / "leaderboard" / "duplicate-names.pd", "--profile", "leaderboard",
        "--html", written,
    )  # fmt: skip
    with visit(chromium, written) as seen:
        assert (0, "fixed") == (ran.code, ran.verdict.split()[1].rstrip(":"))
        assert seen.page.locator("h1").inner_text().startswith("✓ FIXED")
        assert "201 → 400 otherwise" in " ".join(seen.page.locator("#replayed").inner_text().split())
        assert "holds: expectation create" in seen.text()
        assert [] == seen.problems()


def test_offline_replay_has_a_page(chromium, tmp_path):
    """A replay from the cassette says REPRODUCED, and that all came out as recorded."""
    written = tmp_path / "page.html"
    ran = replaykit("replay", ROOT / "failures" / "toybank" / "over-capture.pd", "--offline", "--html", written)
    with visit(chromium, written) as seen:
        assert 1 == ran.code
        assert seen.page.locator("h1").inner_text().startswith("✗ REPRODUCED")
        assert "All steps came out as recorded." in seen.text()
        assert ran.out.splitlines()[-1].startswith("VERDICT")


def test_unreachable_service_has_a_page_too(tmp_path):
    """Where nothing could be replayed, the page says why."""
    written = tmp_path / "page.html"
    bundle = ROOT / "failures" / "leaderboard" / "duplicate-names.pd"
    ran = replaykit("replay", bundle, "--url", "http://127.0.0.1:9", "--health-timeout", "0.2", "--html", written)

    assert 125 == ran.code
    assert "UNREACHABLE" in written.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "{bundle}", "--html", "{bundle}"), "is the bundle that is read"),
        (("show", "{bundle}", "--html", "{other}"), "would be lost"),
        (("show", "{bundle}", "--html", "-"), "A page is a file"),
        (("show", "{bundle}", "--html", ""), "--html needs the name of a file"),
        (("show", "{bundle}", "--html", "x.html", "--json"), "--html says all there is"),
        (("replay", "{bundle}", "{other}", "--offline", "--html", "x.html"), "--html is for one bundle"),
        (("show", "{bundle}", "--html", "{bundle}/x.html"), "is a file, and no folder"),
    ],
)  # fmt: skip
def test_what_can_not_be_written_is_told_before(tmp_path, arguments, said):
    """No bundle is lost to a page, and what makes no sense is a usage error."""
    content = (ROOT / "failures" / "toybank" / "over-capture.pd").read_bytes()
    bundle, other = tmp_path / "one.pd", tmp_path / "two.pd"
    bundle.write_bytes(content)
    other.write_bytes(content)
    ran = replaykit(*(each.format(bundle=bundle, other=other) for each in arguments))

    assert 129 == ran.code
    assert said in ran.err
    assert content == bundle.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("block", re.findall(r"(?ms)^```console\n(.*?)^```$", GUIDE))
def test_guide_shows_what_is_printed(tmp_path, block):
    """Each command of the guide prints what stands below it, and writes its page."""
    (tmp_path / "failures").mkdir()
    shutil.copy(ROOT / "tests" / "bundles" / "format-1.pd", tmp_path / "failures" / "bug.pd")
    command, _, below = block.removeprefix("$ ").partition("\n")
    command = command.replace("failures/", f"{tmp_path}/failures/").replace("bug.html", f"{tmp_path}/bug.html")
    done = subprocess.run(
        [sys.executable, "-m", *command.split()], cwd=ROOT, env=environment(PYTHONPATH=str(ROOT)), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip

    assert shown_as(below.splitlines()).fullmatch(done.stdout.replace(f"{tmp_path}/", "").rstrip())
    assert (tmp_path / "bug.html").is_file()


def test_long_runs_are_cut_and_say_so(tmp_path, monkeypatch):
    """Of a run for which there is no room, what is near to the failure is told, and how much is missing."""
    monkeypatch.setattr(teller, "MOST_STEPS", 5)
    steps = [Step(call=Call(label=n, tag="buy"), interactions=(sent(b"{}"),)) for n in range(12)]
    text = page(tmp_path, failed(*steps)).read_text(encoding="utf-8")

    assert "This page has no room for 7 steps" in text
    assert 'id="s11"' in text
    assert 'id="s6"' not in text


def test_same_bundle_gives_the_same_page(tmp_path):
    """A page says nothing of when and where it was made."""
    path = ROOT / "failures" / "toybank" / "over-capture.pd"
    first = page_of(tmp_path, path).read_bytes()

    assert first == page_of(tmp_path, path).read_bytes()
    assert str(ROOT).encode() not in first


def test_long_run_stays_small(chromium, tmp_path):
    """Bodies that are nearly alike cost little, and a run of hundreds of steps opens at once."""
    trace = pages.long_run(300, 40_000)
    written = page(tmp_path, Bundle(origin=PROVENANCE, trace=trace))

    assert written.stat().st_size < 2_000_000
    with visit(chromium, written) as seen:
        assert 300 == seen.page.locator(".step").count()
        assert [] == seen.problems()


def test_commands_name_the_bundle_with_its_folder():
    """Below the folder where one is, the path that was named is said; else the name, and nobody's folders."""
    named = {
        name: next(iter(bundle_html._commands(Trace(ending="failed"), bundle_html._place(name, "a.pd"), is_run=True)))
        for name in ("failures/a.pd", "/home/me/a.pd", "../a.pd", "a.pd.gz")
    }

    assert "replaykit replay failures/a.pd --offline" == named.pop("failures/a.pd").text
    assert {"replaykit replay a.pd --offline"} == {each.text for each in named.values()}


def test_a_closed_step_shows_what_was_asked_and_answered(tmp_path):
    """Beside the call stand method, path and status of its first request; a server error is called so once."""
    step = Step(call=Call(label=0, tag="ask"), interactions=(sent(), sent()))
    failure = Failure(kind="server_error", name="server_error", step=0, command="ask", message="500")
    bundle = failed(step).replace(trace=Trace(steps=(step,), ending="failed", failure=failure))
    text = page(tmp_path, bundle).read_text(encoding="utf-8")
    summary = text.partition('<details class="step"')[2].partition("</summary>")[0]

    assert re.search(r"\(\w+ /\S* → \d+", summary)
    assert "server error server_error" not in text
    assert "server_error <b>server_error</b>" not in text
