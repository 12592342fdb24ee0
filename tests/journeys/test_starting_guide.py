"""The guide to starting from an OpenAPI file: it is done, and each command prints what the page shows."""

import pytest
from test_docs import Story, holds

DONE, FOUND, PASSED = 0, 1, 0


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Do what the guide does, with short runs."""
    folder = tmp_path_factory.mktemp("guide") / "notes"
    return Story(folder, page="guides/starting.md", REPLAYKIT_COMMANDS="30")


def test_the_written_model_finds_the_bugs_and_then_none(story: Story):
    """The model finds bugs as it was written, none when they are mended, and runs against itself when extended."""
    codes = [each.code for each in story.commands]

    assert [DONE, DONE, FOUND, PASSED, PASSED, DONE, DONE] == codes, [each.output for each in story.commands]


def test_the_guide_shows_what_is_printed(story: Story):
    """Each command prints what stands below it, whatever the numbers are and whatever `...` stands for."""
    for command in story.commands:
        holds(command)
