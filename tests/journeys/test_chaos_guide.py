"""The guide to chaos: its till is built, broken by faults and mended, and each command prints what it shows."""

import inspect
import re

import pytest
from conftest import ROOT
from test_docs import Story, holds

from replaykit import fault
from replaykit.command import generators_of

GUIDE = (ROOT / "docs" / "guides" / "chaos.md").read_text(encoding="utf-8")
FOUND, FIXED, OFFLINE, PASSED = 1, 0, 1, 0


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Do what the guide does, with short runs."""
    folder = tmp_path_factory.mktemp("guide") / "till"
    return Story(folder, page="guides/chaos.md", REPLAYKIT_RUNS="10", REPLAYKIT_COMMANDS="15")


def test_the_till_is_broken_by_faults_alone_and_mended(story: Story):
    """The ordinary model finds nothing, the one with faults a bug, which is fixed; a restart is not survived."""
    codes = [each.code for each in story.commands]

    assert [PASSED, FOUND, FIXED, OFFLINE, PASSED, FOUND] == codes, [each.output for each in story.commands]


def test_the_guide_shows_what_is_printed(story: Story):
    """Each command prints what stands below it, whatever the numbers are and whatever `...` stands for."""
    for command in story.commands:
        holds(command)


def test_every_kind_of_fault_is_in_the_guide():
    """The tables of the guide have a row for each fault that there is, and for none that there is not."""
    kinds = {
        name
        for name, kind in inspect.getmembers(fault, inspect.isclass)
        if issubclass(kind, fault.Fault) and "tag" in kind.__dict__ and kind.tag.startswith("fault_")
    }
    section = GUIDE.split("\n## The faults\n")[1].split("\n## ")[0]

    assert {each for each in kinds if not each.endswith("Fault")} == set(re.findall(r"(?m)^\| `(\w+)` \|", section))


def test_every_field_of_a_fault_is_in_the_guide():
    """The row of each fault names its own fields, and what many of them have is named beside the tables."""
    section = GUIDE.split("\n## The faults\n")[1].split("\n## ")[0]
    rows = dict(re.findall(r"(?m)^\| `(\w+)` \|(.*)$", section))
    prose = re.sub(r"(?m)^\|.*$", "", section)
    common = {"steps", "stream", "share"}
    missing = {
        f"{name}.{each}"
        for name, row in rows.items()
        for each in getattr(fault, name).model_fields
        if f"`{each}`" not in (prose if each in common else row)
    }

    assert rows
    assert set() == missing


def test_the_ranges_in_the_guide_are_those_that_are_drawn_from():
    """Each number of a fault is told with the bounds of its generator."""
    rows = re.findall(r"(?m)^\| `(\w+)` \| [^|]* \| ([^|]*) \|", GUIDE)
    told = {
        (kind, field): (low, high)
        for kind, fields in rows
        for field, low, high in re.findall(r"`(\w+)`[^;:]*: (?:how much[^,]*, )?([\d.,]+) to ([\d.,]+)", fields)
    }
    drawn = {
        (kind, field): (f"{generator.low:,g}", f"{generator.high:,g}")
        for kind in {kind for kind, _ in rows if hasattr(fault, kind)}
        for field, generator in generators_of(getattr(fault, kind)).items()
        if hasattr(generator, "low") and field != "steps"
    }

    assert drawn == told
