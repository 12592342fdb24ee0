"""How classes are named, and what names a project gives them."""

import sys
from pathlib import Path

import pytest
from conftest import ROOT, replaykit

from replaykit import project
from replaykit.errors import LoadError, ProfileError, UsageError
from replaykit.model import Model

NAMES = """
[tool.replaykit.names]
"Short.Model" = "examples.leaderboard:Leaderboard"
"examples.leaderboard.Leaderboard" = "examples.toybank:Bank"
"""


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a project that has names of its own, and work in it."""
    (tmp_path / "pyproject.toml").write_text(NAMES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT))
    return tmp_path


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("shop.model:Shop", "shop.model:Shop"),
        ("shop.model.Shop", "shop.model:Shop"),
        ("Shop.Model", "Shop:Model"),
        ("tests/shop.py:Shop", "tests/shop.py:Shop"),
        ("shop.py", "shop.py"),
        ("tests/shop.py", "tests/shop.py"),
        ("Shop", "Shop"),
        ("shop..Shop", "shop..Shop"),
        ("shop.2.Shop", "shop.2.Shop"),
        (".Shop", ".Shop"),
        ("", ""),
    ],
)
def test_last_part_of_a_dotted_name_is_the_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, meant: str
):
    """Without a colon, what stands behind the last dot is the class; a file, or what is no name, is left alone."""
    monkeypatch.chdir(tmp_path)

    assert meant == project.spelled(said)


def test_dotted_name_is_the_same_class():
    """`module.Class` and `module:Class` name the same class."""
    dotted = project.load("examples.toybank.Bank", Model)

    assert project.load("examples.toybank:Bank", Model) is dotted


def test_name_of_the_project_goes_first(named: Path):
    """What the project's table says of a name counts, also where the name could be a module and a class."""
    assert "Leaderboard" == project.load("Short.Model", Model).__name__
    assert "Bank" == project.load("examples.leaderboard.Leaderboard", Model).__name__
    assert "Leaderboard" == project.load("examples.leaderboard:Leaderboard", Model).__name__


def test_bundles_say_the_class_and_not_the_short_name(named: Path):
    """What stands in a bundle does not depend on the table of names, which another project does not have."""
    assert "examples.leaderboard:Leaderboard" == project.portable("Short.Model")


def test_bundle_cannot_use_the_names_of_the_project(named: Path):
    """A bundle names classes with a colon only; anything else is refused, and nothing is imported."""
    for said in ("Short.Model", "examples.leaderboard.Leaderboard"):
        with pytest.raises(LoadError, match="which is no class"):
            project.load(said, Model, trusted=False)


@pytest.mark.parametrize("said", ["Shop", "shop.py", "shop:", ":Shop", ""])
def test_what_names_no_class_is_wrong_usage(said: str):
    """A name without a class, or without a module, is refused with the ways to write one."""
    with pytest.raises(UsageError, match=r"does not name a class\.\nWrite package\.module:Class"):
        project.load(said, Model)


@pytest.mark.parametrize("wrong", ["names = 3", "names = ['a']", "[tool.replaykit.names]\nShop = 1"])
def test_table_of_names_that_is_none_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str):
    """A table of names that is not one ends in an error of the configuration."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text(wrong if wrong.startswith("[") else f"[tool.replaykit]\n{wrong}\n")

    with pytest.raises(ProfileError, match="is no table of classes"):
        project.load("Shop.Model", Model)


def test_command_line_takes_dotted_names():
    """A campaign with dotted names is that with colons; a class that is not there ends with 128."""
    ran = replaykit("integration", "--model", "examples.leaderboard.Leaderboard", "--mock", "--runs", "2", "--quiet")
    wrong = replaykit("integration", "--model", "examples.leaderboard.Nobody", "--mock", "--runs", "2", "--quiet")

    assert (0, 128) == (ran.code, wrong.code), (ran, wrong)
    assert "examples.leaderboard:Nobody names nothing of that name" in wrong.err


@pytest.mark.parametrize("said", ["inproject_{}:Shop", "inproject_{}.py:Shop"])
@pytest.mark.parametrize("is_trusted", [True, False])
def test_model_beside_pyproject_is_found_from_a_subfolder(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_trusted: bool
):
    """What a profile or a bundle names is looked for in the current folder, then where pyproject.toml lies."""
    name = f"{'py' if '.py' in said else 'module'}_{is_trusted}".lower()
    source = "from replaykit import Model\n\nclass Shop(Model):\n    pass\n"
    below = tmp_path / "src" / "below"
    below.mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / f"inproject_{name}.py").write_text(source)
    (tmp_path / f"inproject_both_{name}.py").write_text(source)
    (below / f"inproject_both_{name}.py").write_text(source)
    monkeypatch.chdir(below)
    monkeypatch.setattr(sys, "path", [*sys.path])

    found = [project.load(said.format(each), Model, trusted=is_trusted) for each in (name, f"both_{name}")]

    assert [tmp_path, below] == [Path(sys.modules[each.__module__].__file__ or "").parent for each in found]


def test_file_whose_name_another_module_has_is_imported_once(tmp_path: Path):
    """Model and adapter of one file are of one module, also where its name is taken."""
    (tmp_path / "email.py").write_text("from replaykit import Model\nclass Here(Model):\n    pass\n")
    spec = f"{tmp_path}/email.py:Here"

    assert project.load(spec, Model) is project.load(spec, Model)


@pytest.mark.parametrize("error", ["SystemExit(0)", "asyncio.CancelledError()", "GeneratorExit()"])
def test_file_that_wants_to_end_all_while_it_is_imported_is_told_each_time(error: str, tmp_path: Path):
    """What can't be imported is not half there when it is asked for again."""
    (tmp_path / "ending.py").write_text(f"import asyncio\nraise {error}\n")
    for _ in range(2):
        with pytest.raises(LoadError, match=error.partition("(")[0].rpartition(".")[2]):
            project.load(f"{tmp_path}/ending.py:Ending", Model)


def test_an_import_that_is_interrupted_is_no_fault(tmp_path: Path):
    """Ctrl-C goes through."""
    (tmp_path / "ended.py").write_text("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        project.load(f"{tmp_path}/ended.py:Ended", Model)
