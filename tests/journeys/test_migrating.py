"""The guides for those who come from other tools: what they show is typed in, and prints what stands below it."""

import pytest
from test_docs import Story, holds

FAILED, REPRODUCED, PASSED = 1, 1, 0
STORIES = {
    "guides/migrating-from-rackcheck.md": (FAILED, REPRODUCED, PASSED),
    "guides/migrating-from-propertydamage.md": (FAILED, REPRODUCED),
    "guides/migrating-from-hypothesis.md": (PASSED, FAILED, REPRODUCED),
}


@pytest.fixture(scope="module", params=STORIES)
def story(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Story]:
    """Do what a guide does."""
    return request.param, Story(tmp_path_factory.mktemp("from") / "here", page=request.param)


def test_each_command_ends_as_the_guide_tells(story: tuple[str, Story]):
    """What is to be found is found, reproduced, and not there where it can't be."""
    name, told = story

    assert STORIES[name] == tuple(each.code for each in told.commands), [each.output for each in told.commands]


def test_each_command_prints_what_the_guide_shows(story: tuple[str, Story]):
    """Whatever the numbers are, and whatever `...` stands for."""
    for command in story[1].commands:
        holds(command)
