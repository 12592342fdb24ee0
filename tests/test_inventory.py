"""The inventory: which bundles a folder has, what is known of each, and what can't be read."""

import json
import shutil
from pathlib import Path

import jsonschema
import pytest
from conftest import ROOT

from replaykit.inventory import inventory, render, schema, table
from replaykit.reader import read
from replaykit.writer import save

SCHEMA = ROOT / "docs" / "reference" / "list.schema.json"
ORDER = ROOT / "tests" / "bundles" / "format-0.pd"
DUPLICATE = ROOT / "tests" / "bundles" / "format-1.pd"
STATUSES = """
["b.pd"]
status = "fixed"
ticket = "SHOP-12"
note = "two\\nlines"

["gone.pd"]
status = "wontfix"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a bundle in two names, one that is cut, one that is none, and what is known of them."""
    for name in ("b.pd", "a.pd"):
        shutil.copy(DUPLICATE, tmp_path / name)
    (tmp_path / "cut.pd").write_bytes(DUPLICATE.read_bytes()[:-40])
    (tmp_path / "none.pd").write_text("hello")
    (tmp_path / "status.toml").write_text(STATUSES)
    return tmp_path


def test_the_published_schema_is_that_of_the_code():
    """The file in the docs is what the code gives."""
    assert schema() == SCHEMA.read_text(encoding="utf-8")


def test_each_bundle_is_listed_in_the_order_of_the_names(folder: Path):
    """Of each it is said what is known of its bug, and what is in it."""
    told = inventory([folder])
    [a, b, cut, none] = told.bundles

    assert ["a.pd", "b.pd", "cut.pd", "none.pd"] == [Path(each.bundle).name for each in told.bundles]
    assert ("open", None, None) == (a.status, a.ticket, a.note)
    assert ("fixed", "SHOP-12", "two\nlines") == (b.status, b.ticket, b.note)
    assert ("expectation", "create", "037acf80", 13) == (b.kind, b.check, b.fingerprint, b.step)
    assert (2, True, DUPLICATE.stat().st_size) == (b.steps, b.whole, b.size)
    assert "examples.leaderboard:Leaderboard" == b.model
    assert (False, None) == (cut.whole, cut.unread)
    assert none.unread is not None
    assert ("bundle-corrupt", 128) == (none.unread.error, none.unread.exit_code)
    assert 128 == told.exit_code
    assert (f"{folder / 'status.toml'}: gone.pd",) == told.lacking


def test_a_status_chooses(folder: Path):
    """Only bundles of the statuses that were asked for are listed; what is not listed counts for nothing."""
    told = inventory([folder], ["fixed", "wontfix"])

    assert ["b.pd"] == [Path(each.bundle).name for each in told.bundles]
    assert 0 == told.exit_code


def test_a_line_is_said_of_each(folder: Path):
    """The columns are as wide as they have to be, and what can't be read is said with its code."""
    broken = "can't be read (bundle-corrupt, exit 128): line 1: this is no bundle, it does not begin as one."

    assert [
        "STATUS  BUNDLE  FAILURE                     STEPS  SHOWED  REVISION  SIZE",
        "open    a.pd    expectation create              2       -  4bd5af5   4 KB",
        "fixed   b.pd    expectation create              2       -  4bd5af5   4 KB  SHOP-12, two\\nlines",
        "open    cut.pd  expectation create, no end      2       -  4bd5af5   4 KB",
        f"-  none.pd  {broken}",
        "4 bundles: 2 open, 1 fixed, 1 that can't be read; model examples.leaderboard:Leaderboard",
        f"{folder / 'status.toml'}: gone.pd: there is no such bundle.",
    ] == table(inventory([folder]))


def test_bundles_with_the_names_that_they_are_saved_with_fit_a_terminal(tmp_path: Path):
    """Below the name of their folder, lines are short enough; what failed is said whole."""
    for name in ("one", "another"):
        (tmp_path / name).mkdir()
        shutil.copy(DUPLICATE, tmp_path / name / "create-037acf80.pd")
        shutil.copy(ORDER, tmp_path / name / "board_matches-6f075236.pd")
    lines = table(inventory([tmp_path]))

    assert f"{tmp_path / 'another'}; model examples.leaderboard:Leaderboard" == lines[1]
    assert lines[3].startswith("open    create-037acf80.pd         expectation create  ")
    assert "4 bundles: 4 open" == lines[-1]
    assert max(map(len, (lines[0], *lines[2:4]))) <= 90


def test_a_run_that_passed_is_no_open_bug(tmp_path: Path):
    """It has no status of a bug, unless somebody wrote one, and is counted as what it is."""
    bundle = read(DUPLICATE)
    save(tmp_path / "run.pd", bundle.origin, bundle.trace.replace(ending="passed", failure=None))
    [_, line, last] = table(inventory([tmp_path]))

    assert line.startswith("-       run.pd  passed ")
    assert last.startswith("1 bundle: 1 passed; ")


def test_an_empty_folder_is_said_to_be_empty(tmp_path: Path):
    """Nothing is listed, and that is said."""
    told = inventory([tmp_path])

    assert (0, ["There is no bundle."]) == (told.exit_code, table(told))


def test_the_document_is_as_its_schema_says(folder: Path):
    """All keys are there, of what can be read and of what can't, and each is needed."""
    data = json.loads(render(inventory([folder])))
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    validator.validate(data)

    for key in data:
        assert not validator.is_valid({name: value for name, value in data.items() if name != key}), key
    first = data["bundles"][0]
    for key in first:
        lacking = {**data, "bundles": [{name: value for name, value in first.items() if name != key}]}
        assert not validator.is_valid(lacking), key
