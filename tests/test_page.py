"""The page: what templates may hold, what is printed, what the policy allows."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import DictLoader, UndefinedError

from replaykit.report import page

TEMPLATES = Path(page.__file__).parent / "templates"


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the text of its scripts and style sheets."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inline: dict[str, list[str]] = {"script": [], "style": []}
        self._within = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self._within = tag if tag in self.inline else ""
        if self._within:
            self.inline[tag].append("")

    def handle_data(self, data):
        if self._within:
            self.inline[self._within][-1] += data

    def handle_endtag(self, tag):
        self._within = ""


def written(body: str, **view: object) -> str:
    """Write a page whose main part is made by this text of a template."""
    environment = page._environment.__wrapped__()
    extending = '{% extends "page.html" %}{% block title %}A page{% endblock %}{% block main %}' + body
    environment.loader = DictLoader(
        {"own.html": extending + "{% endblock %}", "page.html": (TEMPLATES / "page.html").read_text(encoding="utf-8")}
    )
    return environment.get_template("own.html").render(view)


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_no_template_lets_anything_through(path):
    """A template marks nothing as safe, and holds no style attribute, handler or address."""
    text = path.read_text(encoding="utf-8")
    forbidden = {
        r"\|\s*safe\b": "safe",
        r"\bautoescape\b": "autoescape",
        r"\|\s*(?:xmlattr|urlize|striptags)\b": "a filter that makes markup",
        r"<[^>]*\sstyle\s*=": "a style attribute",
        r"<[^>]*\son\w+\s*=": "a handler",
        r"https?://": "an address",
        r"javascript:": "a script in an address",
        r"<(?:iframe|object|embed|base|link)\b": "an element that fetches",
        r"(?:src|action|formaction)\s*=": "an address",
        r"href\s*=(?!\"#|\"data:[^\"]*\" download=)": "an address other than an anchor, or what is saved",
    }

    assert [] == [what for pattern, what in forbidden.items() if re.search(pattern, text, re.IGNORECASE)]


def test_script_writes_text_only():
    """The script makes no HTML or code out of text, and fetches nothing."""
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    forbidden = (
        "innerHTML outerHTML insertAdjacentHTML document.write eval( Function( fetch( XMLHttp import( .src setAttribute"
    )

    assert [] == [each for each in forbidden.split() if each in script]


def test_style_fetches_nothing():
    """The style sheet imports nothing and names no address."""
    style = (TEMPLATES / "page.css").read_text(encoding="utf-8")

    assert [] == [each for each in ("@import", "url(", "</") if each in style]


def test_policy_stands_first_and_allows_just_what_is_inlined():
    """The policy is the first element of the head, and its digests are those of the one script and the one sheet."""
    elements = Elements(written("<h1>x</h1>"))
    names = [tag for tag, _ in elements.found]
    policy = elements.found[names.index("head") + 1][1]

    assert "Content-Security-Policy" == policy["http-equiv"]
    assert (
        f"default-src 'none'; script-src '{page.digest(elements.inline['script'][0])}'; "
        f"style-src '{page.digest(elements.inline['style'][0])}'; img-src data:; base-uri 'none'; form-action 'none'"
    ) == policy["content"]
    assert (1, 1) == (len(elements.inline["script"]), len(elements.inline["style"]))


def test_what_is_printed_is_escaped_and_hides_nothing():
    """Markup in a value is text, in elements and attributes; what would hide is shown as an escape."""
    hostile = "</script><img src=x onerror='y'>\"\u202e\x00\ud800\u2028"
    text = written('<p title="{{ said }}">{{ said }}</p>', said=hostile)
    elements = Elements(text)
    shown = "</script><img src=x onerror='y'>\"\\u202e\\x00\\ud800\\u2028"

    assert "img" not in [tag for tag, _ in elements.found]
    assert shown in [attributes.get("title") for _, attributes in elements.found]
    assert "\\ud800" in text.encode("utf-8").decode("utf-8")


def test_a_text_stays_hostile_through_a_macro():
    """What goes through a macro is escaped once, and shown once."""
    text = written("{% macro said(it) %}<b>{{ it }}</b>{% endmacro %}{{ said(it) }}", it="<i>\u202e&")

    assert "<b>&lt;i&gt;\\u202e&amp;</b>" in text


def test_a_name_that_the_view_lacks_is_an_error():
    """A template that asks for what is not there fails, rather than leave it out."""
    with pytest.raises(UndefinedError):
        written("{{ nowhere }}")


def test_data_for_a_script_can_not_end_its_element():
    """JSON in an inert element holds no character that means something in HTML."""
    text = written('<script type="application/json" id="data">{{ it | tojson }}</script>', it="</script><!--\u2028&")

    assert r'"\u003c/script\u003e\u003c!--\u2028\u0026"' in text


def test_who_wants_no_page_waits_for_no_templates():
    """jinja2 is imported when the first page is made, not before."""
    look = "import sys; import replaykit.report.page, replaykit.cli.app; print('jinja2' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)

    assert "False" == found.stdout.strip()
