"""The README's picture of the terminal: it shows what is printed today, and fetches nothing."""

import re
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from lxml import etree

sys.path.insert(0, str(ROOT / "docs"))
import picture

PICTURE = (ROOT / "docs" / "_static" / "demo.svg").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Run the commands of the picture, and draw it anew."""
    return picture.drawn(picture.printed(tmp_path_factory.mktemp("picture") / "shop"))


def test_the_picture_shows_what_is_printed(drawn: str):
    """Read from the picture, word for word, is what its commands print now, whatever the numbers are."""
    assert picture.without_numbers(drawn) == picture.without_numbers(PICTURE)


def test_the_picture_has_its_commands_and_their_exit_codes():
    """Each command stands in the picture, and they exit with 1, 0 and 1."""
    shown = picture.shown(PICTURE)

    assert [f"$ {command}" for command in picture.COMMANDS] == [line for line in shown if line.startswith("$ ")]
    assert ["1", "0", "1"] == re.findall(r"\(exit (\d+)\)", " ".join(shown))


def test_the_picture_is_drawn_anew_only_where_words_change(tmp_path: Path):
    """Other numbers are the same picture, other words are another one."""
    before = picture.drawn("POST /players  201  2.1 ms")

    assert picture.without_numbers(before) == picture.without_numbers(picture.drawn("POST /players  201  14 ms"))
    assert picture.without_numbers(before) != picture.without_numbers(picture.drawn("POST /player  201  2.1 ms"))


def test_the_picture_fetches_nothing_and_runs_nothing():
    """It is well-formed, has no address but that of its own kind, no script, no font from elsewhere."""
    root = etree.fromstring(PICTURE.encode())
    names = {etree.QName(each).localname for each in root.iter(etree.Element)}

    assert ["http://www.w3.org/2000/svg"] == [
        each for each in re.findall(r"\w+://[^\"' )<]+", PICTURE) if "127" not in each
    ]
    assert {"svg", "title", "style", "defs", "clipPath", "rect", "g", "circle", "text"} == names
    assert "@" not in PICTURE
    assert [] == [each for each in root.iter(etree.Element) if any(name.startswith("on") for name in each.attrib)]
