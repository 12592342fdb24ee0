"""The pages: they build without a warning, and what they take from the program is up to date."""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conftest import ROOT, environment
from shown import DOCS, PAGES

sys.path.insert(0, str(DOCS))
import architecture
import renew

import replaykit

LINK = r"(?<=\]\()[a-z][a-z0-9+.-]*:[^()\s]+(?=\))"


def built(folder: Path) -> Path:
    """Build the pages, as the contributing page says; any warning is an error."""
    site = folder / "html"
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-n", "-W", "--keep-going", "-q", "-d", folder / "trees", DOCS, site],
        cwd=ROOT, env=environment(PYTHONPATH=str(ROOT)), capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert (0, "") == (done.returncode, done.stderr), done
    return site


def unlisted(site: Path) -> set[str]:
    """Name the pages that are not built, or to which the side bar of the first one does not lead."""
    first = (site / "index.html").read_text(encoding="utf-8")
    pages = {page.relative_to(DOCS).with_suffix(".html").as_posix() for page in PAGES if page.is_relative_to(DOCS)}
    listed = set(re.findall(r'class="toctree-l1"><a class="reference internal" href="([^"#]+)"', first))
    return ((pages - {"index.html"}) ^ listed) | {page for page in pages if not (site / page).is_file()}


def without_anchor(site: Path) -> set[str]:
    """Name the slugs of errors that can't be linked to."""
    page = (site / "reference" / "errors.html").read_text(encoding="utf-8")
    slugs = set(re.findall(r"(?m)^## `(.*)`$", (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")))
    assert slugs
    return {slug for slug in slugs if f'id="{slug}"' not in page}


def unexplained(site: Path) -> set[str]:
    """Name what of the public names, and of what three modules hold, has no entry in the reference of Python."""
    page = (site / "reference" / "api.html").read_text(encoding="utf-8")
    entries = set(re.findall(r'<dt class="sig sig-object py" id="[\w.]+\.(\w+)"', page))
    modules = {"gen", "fault", "integration"}
    return {*replaykit.__all__, "pool", "Latency", "run", "hunt_bugs"} - modules - {"__version__"} - entries


def fetched(site: Path) -> set[str]:
    """List the scripts, styles, fonts and pictures of the site that come from elsewhere."""
    source = r'<(?:script|img|link|iframe)[^>]+(?:src|href)="((?:\w+:)?//[^"]*)"'
    return {each for page in site.rglob("*.html") for each in re.findall(source, page.read_text(encoding="utf-8"))}


@pytest.mark.timeout(600)
def test_site_is_built_without_a_warning_and_is_whole(tmp_path: Path):
    """Every page is built and listed, slugs have anchors, public names and examples are there; nothing is fetched."""
    site = built(tmp_path)

    assert set() == unlisted(site)
    assert set() == without_anchor(site)
    assert set() == unexplained(site)
    assert set() == fetched(site)
    assert " at 0x" not in re.sub(r"<[^>]*>", "", (site / "reference" / "api.html").read_text(encoding="utf-8"))
    assert "duplicate-names" in (site / "examples" / "leaderboard.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", renew.RENEWED)
def test_what_pages_take_from_the_program_is_up_to_date(name: str):
    """The public names and the picture of the imports are what `python docs/renew.py` writes."""
    assert renew.renewed(name) == (DOCS / name).read_text(encoding="utf-8"), "run: python docs/renew.py"


def test_every_public_name_is_in_a_group():
    """The reference lists each public name once, under the comment that stands above it in `__init__`."""
    listed = [name for names in renew.groups().values() for name in names]

    assert sorted({*replaykit.__all__} - {"__version__"}) == sorted(listed)


def test_the_picture_has_every_module_and_no_arrow_up():
    """Each module stands in the picture, and layers import only from lower ones."""
    order = architecture.layers()
    between, _ = architecture.arrows(order)
    places = list(order)
    picture = (DOCS / "explanation" / "architecture.svg").read_text(encoding="utf-8")

    assert set(places) == set(architecture.SAID)
    assert [] == [
        name for names in order.values() for name in names if not re.search(rf">{re.escape(name)} ?<", picture)
    ]
    assert [] == [pair for pair in between if places.index(pair[0]) <= places.index(pair[1])]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_elsewhere_are_well_formed(page: Path):
    """An address of another site is https, has a host, and no blank or stray bracket in it."""
    text = re.sub(r"(?ms)^```.*?^```$", "", page.read_text(encoding="utf-8"))
    wrong = [
        link
        for link in re.findall(LINK, text)
        if not (parts := urlsplit(link)).netloc.count(".") or parts.scheme != "https"
    ]

    assert [] == wrong


def test_glossary_links_every_word_to_where_it_is_explained():
    """Each row of the glossary has a word, what it means, and a link; the words are sorted and stand once."""
    text = (DOCS / "reference" / "glossary.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| \*\*(.+?)\*\* \| (.+) \|$", text)
    words = [word for word, _ in rows]

    assert 30 < len(words) == len(set(words)) == text.count("\n| **")
    assert words == sorted(words)
    assert all(re.search(r": \[[^\]]+\]\([^)]+\.md[^)]*\)$", meaning) for _, meaning in rows)
