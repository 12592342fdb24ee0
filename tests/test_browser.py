"""The browser that looks at pages: it sees what must not be."""

from contextlib import suppress

import pytest
from browser import HOSTILE, inaccessible, too_wide, visit
from playwright.sync_api import Error

from replaykit.report import page

GOOD = "<!doctype html><html lang=en><head><meta charset=utf-8><title>x</title></head><body><main><h1>x</h1>"
POLICY = "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'\">"


@pytest.mark.parametrize(
    ("wrong", "seen"),
    [
        ("<script>window.hacked = 1</script>", "a script of the service's ran"),
        ("<script>console.error('no')</script>", "error: no"),
        ("<script>throw new Error('thrown')</script>", "error: thrown"),
        ("<script>alert(1)</script>", "error: dialog 1"),
        ("<img src='http://127.0.0.1:9/leak'>", "left: http://127.0.0.1:9/leak"),
        ("<img src=x onerror='window.hacked = 1'>", "img has onerror"),
        ("<p style='color: red'>x</p>", "p has style"),
        ("<a href='http://127.0.0.1:9/'>x</a>", "a leads to http://127.0.0.1:9/"),
        ("<a href='javascript:1'>x</a>", "a leads to javascript:1"),
        ("<form action='#'></form>", "<form>"),
        ("<iframe srcdoc=x></iframe>", "<iframe>"),
    ],
)
def test_it_sees_what_must_not_be(chromium, tmp_path, wrong, seen):
    """Scripts, requests, handlers, styles and links in a page are problems, each by its name."""
    path = tmp_path / "wrong.html"
    path.write_text(GOOD + wrong, encoding="utf-8")
    with visit(chromium, path) as looking:
        found = looking.problems()

    assert seen in found


def test_it_sees_what_the_policy_stops(chromium, tmp_path):
    """What a policy refuses is a complaint, though it did nothing."""
    path = tmp_path / "refused.html"
    path.write_text(f"{POLICY}{GOOD}<script>window.hacked = 1</script>", encoding="utf-8")
    with visit(chromium, path) as looking:
        [complaint] = looking.complaints

    assert "Content Security Policy" in complaint


def test_it_sees_what_some_can_not_read(chromium, tmp_path):
    """Faint text, a field without a label and a page without a heading are told; so is a page that is too wide."""
    path = tmp_path / "faint.html"
    text = "<main><p id=p>faint</p><input><pre>" + "x" * 500 + "</pre>"
    path.write_text(GOOD.replace("<main><h1>x</h1>", text) + "<style>p{color:#999}</style>", encoding="utf-8")
    with visit(chromium, path) as looking:
        rules = {each.partition(":")[0] for each in inaccessible(looking)}

        assert rules >= {"color-contrast", "label", "page-has-heading-one"}
        assert too_wide(looking.page) > 0


def test_it_shows_a_page_as_jenkins_does(chromium, tmp_path):
    """Without styles no script runs and no style applies."""
    path = tmp_path / "plain.html"
    path.write_text(GOOD + "<style>h1{color:red}</style><script>window.hacked = 1</script>", encoding="utf-8")
    with visit(chromium, path, styles=False) as looking:
        color = looking.page.evaluate("getComputedStyle(document.querySelector('h1')).color")

        assert "rgb(0, 0, 0)" == color
        assert looking.page.evaluate("window.hacked === undefined")


def test_hostile_texts_would_do_harm(chromium, tmp_path):
    """The corpus is hostile: written into a page as it is, most of it is a problem, or ends the page."""
    harmless = set()
    for name, text in HOSTILE.items():
        path = tmp_path / f"{name}.html"
        path.write_text(f"{GOOD}<pre>{text}</pre>", encoding="utf-8", errors="replace")
        with visit(chromium, path) as looking:
            with suppress(Error):  # it led elsewhere, meanwhile
                if not looking.problems() and looking.page.locator("h1").count() == 1:
                    harmless.add(name)

    assert {
        "jinja",
        "entities",
        "bidi",
        "control",
        "surrogate",
        "junk",
        "quotes",
        "comment",
        "address",
        "long",
    } >= harmless


def test_the_script_is_the_one_that_is_inlined():
    """What counts as ours is the script that the pages hold."""
    assert page._asset("page.js") == page._assets()["script"]
