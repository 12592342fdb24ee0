"""The installer: which versions pip lists, what it installs, and whose fault it is when it does not."""

import subprocess
import sys
from pathlib import Path

import pytest
from parrots import BROKEN, NOT_FINAL, WHEELS, Index

from replaykit import installer
from replaykit.errors import MachineError, UnbuildableError, UsageError
from replaykit.installer import Installer


@pytest.fixture
def pip() -> Installer:
    """Give an installer for this Python."""
    return Installer()


@pytest.fixture
def unfound():
    """Let pip be looked for anew."""
    installer._pip.cache_clear()
    yield
    installer._pip.cache_clear()


FINAL = {*WHEELS, BROKEN} - {*NOT_FINAL}


@pytest.mark.usefixtures("parrots")
def test_versions_are_those_that_this_python_can_have(pip: Installer):
    """Final versions are listed, the others on demand, and none that needs another Python."""
    assert sorted(FINAL) == sorted(pip.listed("parrot", pre=False))
    assert sorted({*FINAL, *NOT_FINAL}) == sorted(pip.listed("parrot", pre=True))


@pytest.mark.usefixtures("unfound")
def test_the_pip_that_python_brings_is_good_enough(monkeypatch: pytest.MonkeyPatch):
    """Where no other pip is there, the one in the wheel that ensurepip has is used."""
    real = installer._run
    monkeypatch.setattr(installer.shutil, "which", lambda _: None)
    monkeypatch.setattr(
        installer,
        "_run",
        lambda words, seconds: (1, "") if tuple(words[1:4]) == ("-I", "-m", "pip") else real(words, seconds),
    )
    isolated, wheel = Installer()._words("python")[1:3]

    assert ("-I", ".whl/pip") == (isolated, wheel[-8:])


def test_a_pip_that_prints_no_json_is_understood():
    """Before 25.1, versions are listed in text."""
    printed = "WARNING: pip index is experimental\nparrot (2.0)\nAvailable versions: 2.0, 1.10, 1.2\n  LATEST:    2.0\n"

    assert ["2.0", "1.10", "1.2"] == installer._names(printed)
    assert [] == installer._names('{"versions": 3}\n{"versions\n')


@pytest.mark.usefixtures("unfound")
def test_without_any_pip_it_is_said_how_to_get_one(monkeypatch: pytest.MonkeyPatch):
    """Where there is no pip at all, or too old a one, the error names the commands that bring one."""
    monkeypatch.setattr(installer, "_run", lambda *_: (0, "pip 21.0.1 from somewhere"))

    with pytest.raises(UsageError, match=r"no pip .*, 22\.3 or newer(.|\n)*pipx inject"):
        Installer().listed("parrot", pre=False)


@pytest.mark.usefixtures("parrots")
def test_a_package_that_is_not_there_is_a_mistake_of_the_user(pip: Installer):
    """A package that the index does not have is the user's mistake, and told as pip tells it."""
    with pytest.raises(UsageError, match="pip finds no versions of penguin: No matching distribution"):
        pip.listed("penguin", pre=False)


def test_an_index_that_fails_is_asked_again(parrots: Index, pip: Installer, monkeypatch: pytest.MonkeyPatch):
    """After three times, it is the machine's trouble, neither the package's nor the user's, whatever pip retries."""
    parrots.answers = False
    monkeypatch.setenv("PIP_RETRIES", "0")

    with pytest.raises(MachineError, match="asked 3 times for which versions of parrot there are"):
        pip.listed("parrot", pre=False)
    assert 3 == parrots.asked.count("/simple/parrot/")


@pytest.mark.usefixtures("parrots")
def test_what_is_installed_is_what_was_asked_for(pip: Installer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The environment has the version and what is beside it, whatever the user's settings say of other places."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "mine"))
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "mine"))
    configuration = tmp_path / "pip.conf"
    configuration.write_text("[install]\nuser = true\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(configuration))
    pip.install(tmp_path / "made", ["parrot==1.1", "cage"])
    look = "import parrot, cage; print(parrot.VERSION, cage.BARS)"
    python = str(tmp_path / "made" / "bin" / "python")

    assert "1.1 12\n" == subprocess.run([python, "-I", "-c", look], capture_output=True, text=True, check=True).stdout
    assert not (tmp_path / "mine").exists()


@pytest.mark.usefixtures("parrots")
def test_a_version_that_cannot_be_built_says_why(pip: Installer, tmp_path: Path):
    """What pip printed last goes with the error."""
    said = f"parrot=={BROKEN} can't be installed: (Failed to build|.*did not run successfully)"  # the latter: old pips
    with pytest.raises(UnbuildableError, match=said) as broken:
        pip.install(tmp_path / "made", [f"parrot=={BROKEN}"])

    assert "RuntimeError: the parrot is no more" in broken.value.log


@pytest.mark.usefixtures("parrots")
def test_a_build_that_never_ends_is_ended(pip: Installer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A version that takes longer than it may is one that can't be built."""
    monkeypatch.setattr(installer, "INSTALLED", 0.1)

    with pytest.raises(UnbuildableError, match=r"parrot==1\.1 took more than 0\.1 seconds"):
        pip.install(tmp_path / "made", ["parrot==1.1"])


@pytest.mark.parametrize(
    ("printed", "wrong"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "no room"),
        ("error: [Errno 12] Cannot allocate memory", "no memory"),
        ("ERROR: HTTP error 502 while getting http://127.0.0.1/a.whl", "does not answer"),
        ("pip._vendor.urllib3.exceptions.ReadTimeoutError: read timed out.", "does not answer"),
        ("  Could not fetch URL http://127.0.0.1/simple/parrot/: 503 Server Error - skipping", "does not answer"),
        ("  Could not fetch URL http://127.0.0.1/simple/parrot/: connection error: refused", "does not answer"),
        ("  Could not fetch URL http://127.0.0.1/simple/penguin/: 404 Client Error - skipping", None),
        ("ERROR: Failed to build 'parrot' when getting requirements to build wheel", None),
        ("ERROR: ResolutionImpossible: for help visit", None),
    ],
)
def test_the_machine_is_told_from_the_package(printed: str, wrong: str | None):
    """No room, no memory and no network are no fault of a version; what it can't resolve or build is."""
    found = installer._trouble(1, printed)

    assert (wrong is None) == (found is None)
    assert found is None or str(wrong) in found


def test_a_python_that_is_not_there_is_told():
    """An interpreter has to be one: a program that is there, and that says what it is."""
    with pytest.raises(UsageError, match="There is no Python python9"):
        Installer("python9")
    with pytest.raises(UsageError, match="is no Python that can be run"):
        _ = Installer("false").identity


def test_other_settings_of_pip_are_another_environment(monkeypatch: pytest.MonkeyPatch):
    """What pip is told by variables, constraints for example, belongs to what an environment is."""
    monkeypatch.delenv("PIP_CONSTRAINT", raising=False)
    before = Installer().identity
    monkeypatch.setenv("PIP_CONSTRAINT", "old.txt")

    assert before == Installer(sys.executable).identity.replace("\nPIP_CONSTRAINT=old.txt", "")
    assert before != Installer().identity
