"""A real browser that looks at pages: Debian's Chromium, driven by playwright, in which nothing but the page may load.

`python tests/browser.py PAGE.html FOLDER` takes pictures of a page: light, dark, narrow, printed.
"""

import importlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from replaykit.report import page as shell

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 30_000  # milliseconds
# what Jenkins says of a page that it shows, by default: no script, no inline style
STRICT = "sandbox allow-same-origin; default-src 'none'; img-src 'self'; style-src 'self'"

HOSTILE = {
    "script": "</script><script>window.hacked = 1</script>",
    "image": "\"'><img src=x onerror=\"window.hacked = 1\"><img src='http://127.0.0.1:9/leak'>",
    "svg": "<svg onload=window.hacked=1><use href=http://127.0.0.1:9/x></svg></svg>",
    "style": "</style><style>body{display:none}</style><link rel=stylesheet href=http://127.0.0.1:9/a.css>",
    "template": "</template></textarea></title></noscript></pre></details></main><h1>owned</h1>",
    "comment": "<!-- --!> --> ]]> <![CDATA[ <!--<script>",
    "frame": "<iframe srcdoc='<script>parent.hacked=1</script>'></iframe><object data=http://127.0.0.1:9/></object>",
    "form": "<form action=http://127.0.0.1:9/><input name=a autofocus onfocus=window.hacked=1></form>",
    "meta": "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'><base href=http://127.0.0.1:9/>",
    "address": "javascript:window.hacked=1 data:text/html,<script>parent.hacked=1</script> http://127.0.0.1:9/",
    "jinja": "{{ 7 * 7 }} {% raw %} {# #} ${7*7} {{ ''.__class__ }}",
    "entities": "&lt;script&gt; &#60;b&#62; &nbsp; &amp;lt; &",
    "bidi": "\u202eevil\u2066\u2069 \u200b\ufeff\u2028\u2029 a\u0301 \U000e0041",
    "control": "\x00\x01\x1b[31mred\x1b]8;;http://127.0.0.1:9/\x07\r\n\t\x7f\x85",
    "surrogate": "\ud800 \udfff \udc80 \ufffe\uffff",
    "junk": bytes(range(256)).decode("latin-1"),
    "long": "A" * 20_000 + " " + "<b>" * 2_000,
    "quotes": '\' " ` \\ \\" \\u003c %3Cscript%3E',
}  # texts that a service may say, by what they try


def executable() -> str | None:
    """Find a Chromium; None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@pytest.fixture(scope="module")
def chromium() -> Iterator["Browser"]:
    """Give a browser to the tests of a module; not to the session, whose other tests have event loops of their own."""
    path = executable()
    if path is None:
        said = "there is no Chromium here: apt-get install chromium"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(said)
    from playwright.sync_api import sync_playwright

    # at a root's, as in a container, Chromium has no sandbox; /dev/shm is small there
    flags = ["--no-sandbox", "--disable-dev-shm-usage"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


class Visit:
    """A look at one page, and all that went wrong meanwhile."""

    def __init__(self, page: "Page", address: str) -> None:
        self.page = page
        self.address = address
        self.complaints: list[str] = []  # of the console, of scripts, of the policy
        self.left: list[str] = []  # requests for anything but the page
        page.on("console", lambda said: self._complain(said.type, said.text))
        page.on("pageerror", lambda error: self._complain("error", str(error)))
        page.on("dialog", lambda dialog: (self._complain("error", f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("request", self._leaves)

    def _complain(self, kind: str, text: str) -> None:
        if kind in {"error", "warning", "assert"}:
            self.complaints.append(f"{kind}: {text}")

    def _leaves(self, request: "Request") -> None:
        if request.url.partition("#")[0] != self.address and not request.url.startswith("data:"):
            self.left.append(request.url)

    def problems(self) -> list[str]:
        """List what must not be: complaints, requests that leave, what was injected."""
        return [*self.complaints, *(f"left: {each}" for each in self.left), *injected(self.page)]

    def text(self) -> str:
        """Return what one reads."""
        return self.page.locator("body").inner_text()

    def open_all(self) -> None:
        """Open all that can be opened."""
        self.page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")


@contextmanager
def visit(
    browser: "Browser",
    path: Path,
    *,
    scripts: bool = True,
    styles: bool = True,
    scheme: str = "light",
    width: int = 1200,
    height: int = 900,
    fragment: str = "",
    **more: Any,
) -> Iterator[Visit]:
    """Open a file in a fresh profile without a network. Without `styles`, it is as Jenkins shows it: no scripts either.

    `scheme` is light or dark; `width` and `height` are CSS pixels; `more` goes to playwright's `new_context`.
    """
    context = browser.new_context(
        color_scheme=scheme,
        viewport={"width": width, "height": height},
        java_script_enabled=scripts,
        offline=True,
        **more,
    )  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE)
    address = path.resolve().as_uri()
    if styles:
        context.route(
            "**/*", lambda route: route.continue_() if route.request.url.startswith("file:") else route.abort()
        )
    else:
        address = f"http://pages.test/{path.name}"
        body, headers = path.read_text(encoding="utf-8"), {"Content-Security-Policy": STRICT}
        context.route(
            "**/*",
            lambda route: (
                route.fulfill(body=body, headers=headers, content_type="text/html; charset=utf-8")
                if route.request.url.partition("#")[0] == address
                else route.abort()
            ),
        )
    page = context.new_page()
    looking = Visit(page, address)
    try:
        page.goto(address + fragment)
        yield looking
    finally:
        context.close()


def injected(page: "Page") -> list[str]:
    """List what stands in the page, and neither we nor a browser put there."""
    script = shell._asset("page.js")
    return page.evaluate(_INJECTED, script)


_INJECTED = """
(ours) => {
  const found = [];
  const inert = new Set(["application/json", "application/octet-stream", "application/yaml"]);
  if (window.hacked !== undefined) found.push("a script of the service's ran");
  for (const each of document.querySelectorAll("*")) {
    const name = each.localName;
    if (name === "script" && !inert.has(each.type) && each.textContent !== ours) found.push("another script");
    if (name === "script" && each.src) found.push("a script from elsewhere");
    if (["iframe", "frame", "object", "embed", "base", "link", "applet", "portal", "use", "image"].includes(name))
      found.push("<" + name + ">");
    if (name === "form" && each.getAttribute("method") !== "dialog") found.push("<form>");
    if (name === "meta" && /refresh/i.test(each.httpEquiv)) found.push("<meta refresh>");
    if (name === "img" && !/^data:image\\/(png|jpeg|gif|webp);base64,/.test(each.src)) found.push("<img>");
    for (const { name: attribute, value } of each.attributes) {
      if (/^on/i.test(attribute)) found.push(name + " has " + attribute);
      if (attribute === "style" && value !== "") found.push(name + " has style");
      if (/^(xlink:)?href$|^(form)?action$|^src(set|doc)?$|^poster$|^background$/i.test(attribute) && name !== "img"
          && !value.startsWith("#") && !(name === "a" && value.startsWith("data:") && each.hasAttribute("download")))
        found.push(name + " leads to " + value.slice(0, 80));
    }
  }
  if (document.querySelectorAll("style").length > 1) found.push("a style sheet that is not ours");
  return found;
}
"""


def inaccessible(looking: Visit) -> list[str]:
    """List what axe-core objects to, contrast included, with all that can be opened open.

    axe leaves out what is not seen, so each colour scheme is looked at by itself.
    """
    looking.open_all()
    axe = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    looking.page.evaluate(axe)
    found = looking.page.evaluate("axe.run({ resultTypes: ['violations'] })")
    return [
        f"{rule['id']}: {rule['help']}: {node['html'][:160]} {_why(node)}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def _why(node: dict[str, Any]) -> str:
    checks = [each for kind in ("any", "all", "none") for each in node[kind]]
    return "; ".join(str(each["message"]) for each in checks)[:300]


def too_wide(page: "Page") -> int:
    """Say by how many pixels the page is wider than the window: what is wide scrolls in its own place."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def pictures(browser: "Browser", path: Path, folder: Path) -> list[Path]:
    """Take pictures of a page: light, dark, narrow, as Jenkins shows it, and print it."""
    folder.mkdir(parents=True, exist_ok=True)
    views: dict[str, dict[str, Any]] = {
        "light": {},
        "dark": {"scheme": "dark"},
        "narrow": {"width": 375, "height": 800},
        "plain": {"styles": False},
    }
    taken = []
    for name, how in views.items():
        with visit(browser, path, **how) as looking:
            taken.append(folder / f"{name}.png")
            looking.page.screenshot(path=taken[-1], full_page=True)
    with visit(browser, path) as looking:
        taken.append(folder / "print.pdf")
        looking.page.pdf(path=taken[-1], format="A4")
    return taken


if __name__ == "__main__":
    for each in chromium.__wrapped__():  # type: ignore[attr-defined]
        print(json.dumps([str(taken) for taken in pictures(each, Path(sys.argv[1]), Path(sys.argv[2]))], indent=2))
