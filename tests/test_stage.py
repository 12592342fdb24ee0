"""The stage: where a bundle is replayed."""

from pathlib import Path

import pytest

from replaykit.bundle import Provenance
from replaykit.errors import ForeignHostError, ProfileError
from replaykit.reset import Resets
from replaykit.stage import Stage, stage_for

PROJECT = """
[tool.replaykit.names]
"Shop.Model" = "shop.model:Shop"

[tool.replaykit.profiles.lonely]
model = "shop.model:Shop"
start = "python -m lonely {port}"

[tool.replaykit.profiles.shop]
model = "Shop.Model"
adapter = "shop.adapter.Api"
start = "python -m shop {port}"
reset-restart = true
settings = { token = 7, name = "a" }

[tool.replaykit.profiles.again]
model = "shop.model:Shop"
adapter = "shop.adapter:Api"
url = ["http://127.0.0.1:1", "http://127.0.0.1:2"]

[tool.replaykit.profiles.till]
model = "shop.model:Till"
adapter = "shop.adapter:Api"
url = "http://127.0.0.1:3"
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a project with several profiles."""
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def recorded(model: str = "shop.model:Shop", **more: object) -> Provenance:
    """Return where a bundle of a model comes from."""
    return Provenance(
        model=model, adapter="shop.adapter:Api", model_digest="0", campaign_seed=0, run=0, seed=0, commands=1, **more
    )


@pytest.mark.usefixtures("here")
def test_first_profile_with_the_model_and_the_adapter_counts():
    """Names are compared by what they mean; a profile that names only one of the two is of no use."""
    stage = stage_for(recorded())

    assert ("shop", "python -m shop {port}", {"token": "7", "name": "a"}) == (
        stage.profile, stage.start, stage.settings,
    )  # fmt: skip
    assert stage_for(recorded("shop.model:Till")) == Stage(
        "till", "shop.model:Till", "shop.adapter:Api", "http://127.0.0.1:3"
    )


@pytest.mark.usefixtures("here")
def test_profile_that_is_named_goes_before_the_others_where_it_fits():
    """One of another model does not count."""
    again = stage_for(recorded(), named="again")

    assert ("again", "http://127.0.0.1:1", ("http://127.0.0.1:2",)) == (again.profile, again.url, again.more)
    assert stage_for(recorded(), named="till").profile == "shop"
    assert stage_for(recorded(), named="lonely").profile == "lonely"


@pytest.mark.usefixtures("here")
def test_what_is_said_of_the_place_counts_for_all():
    """The profile that is named adds what is not said, but for what needs a service that it starts."""
    said = {"url": "http://127.0.0.1:9", "settings": {"name": "b"}}

    assert Stage(url="http://127.0.0.1:9", settings={"name": "b"}) == stage_for(recorded(), said)
    stage = stage_for(recorded(), said, "shop")
    assert ("shop", "http://127.0.0.1:9", None) == (stage.profile, stage.url, stage.start)
    assert ({"token": "7", "name": "b"}, Resets()) == (stage.settings, stage.resets)
    assert stage_for(recorded(), {"start": "other {port}"}, "shop").resets.restart


@pytest.mark.usefixtures("here")
def test_what_is_said_of_the_rest_goes_before_the_profile():
    """A setting on the command line changes the one of the profile that was found."""
    stage = stage_for(recorded(), {"settings": {"name": "b"}, "reset_restart": False})

    assert ("shop", {"token": "7", "name": "b"}, Resets()) == (stage.profile, stage.settings, stage.resets)


@pytest.mark.usefixtures("here")
def test_without_a_profile_the_recorded_url_counts_if_it_is_allowed():
    """A host that nobody has named is not asked."""
    foreign = recorded("shop.model:Other", url="http://shop.example.org")
    stage = stage_for(foreign)

    assert Stage() == stage
    with pytest.raises(ForeignHostError), stage.opened(foreign):
        pass


@pytest.mark.parametrize(
    "line", ['transport = "pigeon"', "health_timeout = 0", "url = [1]", "flavour = 1", 'latency = { "GET /" = 0 }']
)
def test_profile_that_is_not_well_made_is_an_error(here: Path, line: str):
    """What is wrong in a profile is told, whichever bundle asks for it."""
    (here / "pyproject.toml").write_text(
        f'[tool.replaykit.profiles.shop]\nmodel = "shop.model:Shop"\nadapter = "shop.adapter:Api"\n{line}'
    )

    with pytest.raises(ProfileError):
        stage_for(recorded())
