"""The pytest plugin: what it plays, what it records where, and when a test fails by it. Real sessions of pytest."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import ROOT, Counting, environment

from replaykit.pytest_plugin import file_name
from replaykit.reader import read

# Those of vcrpy's plugins that are installed have to live with ours.
PLUGINS = [
    each
    for each in ("xdist", "anyio.pytest_plugin", "pytest_asyncio.plugin", "pytest_recording.plugin", "pytest_vcr")
    if find_spec(each.partition(".")[0])
]

CONFTEST = """
import os

import pytest


@pytest.fixture
def replaykit_options():
    return {"base_url": os.environ["SERVICE"], "follow_redirects": True}
"""

SYNC = """
import pytest


def test_counts(replaykit_client):
    assert replaykit_client.get("/count").json()["count"] == 1
    assert replaykit_client.get("/count").json()["count"] == 2
"""


@pytest.fixture
def service() -> Iterator[Counting]:
    """Give a service that counts what it is asked."""
    with Counting() as counting:
        yield counting


class Project:
    """A folder with tests, in which pytest is run."""

    def __init__(self, folder: Path, service: Counting) -> None:
        self.folder = folder
        self.service = service
        (folder / "conftest.py").write_text(CONFTEST)
        scope = "asyncio_default_fixture_loop_scope = function\n" if find_spec("pytest_asyncio") else ""
        (folder / "pytest.ini").write_text(f"[pytest]\n{scope}")

    def run(self, test: str, *options: str, expected: int, others: list[str] = PLUGINS) -> str:
        """Run pytest on a test file, hold its exit code, and return what it printed."""
        (self.folder / "test_shop.py").write_text(test)
        plugins = [word for plugin in ("replaykit.pytest_plugin", *others) for word in ("-p", plugin)]
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "pytest", *plugins, "-q", "-p", "no:cacheprovider", *options],
            cwd=self.folder,
            env=environment(SERVICE=self.service.url, PYTHONPATH=str(ROOT), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        told = done.stdout + done.stderr
        assert done.returncode == expected, told
        return told

    def bundles(self) -> list[str]:
        """List the files below `bundles`."""
        return sorted(
            str(path.relative_to(self.folder)) for path in self.folder.rglob("bundles/**/*") if path.is_file()
        )


@pytest.fixture
def project(tmp_path: Path, service: Counting) -> Project:
    """Give a folder with tests of the service."""
    return Project(tmp_path, service)


def test_what_was_recorded_once_is_played_without_the_service(project: Project):
    """In the mode once, the first run asks the service, the second doesn't; the mode none, the default, never does."""
    project.run(SYNC, "--replaykit-record=once", expected=0)
    asked = project.service.count
    project.run(SYNC, "--replaykit-record=once", expected=0)
    project.run(SYNC, expected=0)

    assert 2 == asked == project.service.count
    assert ["bundles/test_shop/test_counts.pd"] == project.bundles()


def test_a_missing_bundle_says_how_to_record_it(project: Project):
    """In the mode none, a test without a bundle fails in its setup, and nothing is sent."""
    told = project.run(SYNC, expected=1)

    assert "test_counts.pd to play." in told
    assert "During handling" not in told
    assert "--replaykit-record=once" in told
    assert 0 == project.service.count


def test_all_replaces_the_bundle_only_when_the_test_passes(project: Project):
    """In the mode all, a failing test leaves the old bundle, and puts the new one beside it."""
    project.run(SYNC, "--replaykit-record=once", expected=0)
    path = project.folder / "bundles/test_shop/test_counts.pd"
    before = path.read_bytes()
    project.run(SYNC, "--replaykit-record=all", expected=1)  # the service has counted on

    assert before == path.read_bytes()
    assert ["bundles/test_shop/test_counts.failed.pd", "bundles/test_shop/test_counts.pd"] == project.bundles()
    failed = read(path.with_suffix(".failed.pd"))
    assert ("recorded", "the block ended with AssertionError") == (failed.trace.ending, failed.trace.reason)

    project.service.count = 0
    project.run(SYNC, "--replaykit-record=all", expected=0)
    assert before != path.read_bytes()
    assert ["bundles/test_shop/test_counts.pd"] == project.bundles()


def test_rewrite_removes_the_bundle_first(project: Project):
    """In the mode rewrite, a failing test leaves no bundle to play."""
    project.run(SYNC, "--replaykit-record=once", expected=0)
    project.run(SYNC, "--replaykit-record=rewrite", expected=1)

    assert ["bundles/test_shop/test_counts.failed.pd"] == project.bundles()

    project.service.count = 0
    project.run(SYNC, "--replaykit-record=rewrite", expected=0)
    assert ["bundles/test_shop/test_counts.pd"] == project.bundles()


def test_verify_asks_the_service_and_reports_drift(project: Project):
    """In the mode verify, a test passes while the service answers as recorded, and fails with the places else."""
    test = SYNC.replace('.json()["count"] == 1', "").replace('.json()["count"] == 2', "")
    project.run(test, "--replaykit-record=once", expected=0)
    project.service.count = 0
    project.run(test, "--replaykit-record=verify", expected=0)
    told = project.run(test, "--replaykit-record=verify", expected=1)

    assert 4 == project.service.count
    assert "1 failed" in told
    assert "number 1, GET /count: the body differs at $.count: 1 -> 3" in told
    assert "number 2, GET /count: the body differs at $.count: 2 -> 4" in told


def test_noise_is_named_in_the_marker(project: Project):
    """What `ignore` names is no drift; what is otherwise is told."""
    test = """
import pytest

@pytest.mark.replaykit(ignore=["$.count"])
def test_noise(replaykit_client):
    replaykit_client.get("/count")
"""
    project.run(test, "--replaykit-record=once", expected=0)
    project.run(test, "--replaykit-record=verify", expected=0)

    assert 2 == project.service.count


def test_verify_fails_where_something_is_not_asked_any_more(project: Project):
    """A recorded request that the test no longer sends is told when the test is over."""
    project.run(SYNC, "--replaykit-record=once", expected=0)
    project.service.count = 0
    told = project.run(
        'def test_counts(replaykit_client):\n    replaykit_client.get("/count")\n',
        "--replaykit-record=verify", expected=1,
    )  # fmt: skip

    assert "number 2, GET /count: was recorded and is not asked" in told


def test_a_swallowed_miss_fails_the_test(project: Project):
    """A test whose code swallows the miss fails all the same, and not only in its teardown."""
    project.run(SYNC, "--replaykit-record=once", expected=0)
    told = project.run(
        """
def test_counts(replaykit_client):
    for path in ("/count", "/count", "/more"):
        try:
            replaykit_client.get(path)
        except Exception:
            pass
""",
        expected=1,
    )

    assert "1 failed" in told
    assert "the cassette is at its end, and GET /more was asked" in told
    assert 2 == project.service.count


def test_what_was_not_asked_for_is_an_error(project: Project):
    """Playing strictly, a test that passes without asking for everything ends in an error; not with order any."""
    project.run(SYNC, "--replaykit-record=once", expected=0)
    less = 'import pytest\n\n{}\ndef test_counts(replaykit_client):\n    replaykit_client.get("/count")\n'
    told = project.run(less.format(""), expected=1)
    project.run(less.format('@pytest.mark.replaykit(order="any")'), expected=0)

    assert "1 passed, 1 error" in told
    assert "1 recorded requests were never asked for, the first of them GET /count" in told


def test_the_marker_says_where_the_bundle_lies_and_what_is_done(project: Project):
    """Nearer markers go before farther ones, the command line before all; paths are those of the test file."""
    test = """
import pytest

pytestmark = pytest.mark.replaykit(record="once", path="kept/module.pd")

@pytest.mark.replaykit("kept/one.pd")
def test_one(replaykit_client):
    replaykit_client.get("/count")
"""
    project.run(test, expected=0)
    project.run(test, "--replaykit-record=none", expected=0)

    assert ["kept/one.pd"] == [str(path.relative_to(project.folder)) for path in project.folder.rglob("*.pd")]
    assert 1 == project.service.count


@pytest.mark.parametrize("marker", ["speed=1", 'record="sometimes"', '"a", "b"', 'record="once", order="random"'])
def test_a_marker_that_is_wrong_is_told(project: Project, marker: str):
    """An unknown key or mode is an error that lists the known ones."""
    told = project.run(
        f"import pytest\n@pytest.mark.replaykit({marker})\ndef test_one(replaykit_client): pass\n", expected=1
    )

    assert re.search(r"takes path, record, order|choose one of none, once|There is no order 'random'", told)
    assert "During handling" not in told


def test_a_bundle_that_can_not_be_written_is_told_as_such(project: Project):
    """In the mode once, the error is that of the folder, and says nothing of playing."""
    (project.folder / "bundles").write_text("in the way")
    told = project.run(SYNC, "--replaykit-record=once", expected=1)

    assert "can't be made" in told
    assert "to play" not in told
    assert "During handling" not in told


@pytest.mark.parametrize("way", ["@pytest.mark.xfail(strict=True)", "", "@pytest.mark.xfail(raises=KeyError)"])
def test_what_is_expected_to_fail_is_recorded_and_played(project: Project, way: str):
    """The bundle of a test that is known to fail shows its bug; one that fails in another way is none of them."""
    last = "assert answer == 2" if way else 'pytest.xfail("known")'
    test = f"""
import pytest

{way}
def test_wrong(replaykit_client):
    answer = replaykit_client.get("/count").json()["count"]
    assert answer == 1
    print("asked")
    {last}
"""
    is_expected = "KeyError" not in way
    project.run(test, "--replaykit-record=once", expected=0 if is_expected else 1)

    assert [f"bundles/test_shop/test_wrong{'' if is_expected else '.failed'}.pd"] == project.bundles()
    if is_expected:
        assert "asked" in project.run(test, "-rx", "--show-capture=all", "-s", expected=0)
        assert 1 == project.service.count


def test_what_is_skipped_in_its_middle_is_recorded_and_played(project: Project):
    """A test that skips itself after it has asked leaves what it asked, and is skipped again when it is played."""
    test = """
import pytest

def test_half(replaykit_client):
    replaykit_client.get("/count")
    pytest.skip("the rest is for another day")
"""
    project.run(test, "--replaykit-record=once", expected=0)

    assert ["bundles/test_shop/test_half.pd"] == project.bundles()
    assert "1 skipped" in project.run(test, expected=0)
    assert 1 == project.service.count


def test_each_test_has_a_bundle_of_its_own(project: Project):
    """Parameters and classes are part of the name; names that no file can have get a digest."""
    test = """
import pytest

class TestShop:
    @pytest.mark.parametrize("text", ["a", "A", "a/b", "a:b", "x" * 300])
    def test_one(self, replaykit_client, text):
        replaykit_client.get("/count")
"""
    project.run(test, "--replaykit-record=once", expected=0)
    project.run(test, expected=0)

    assert 5 == project.service.count == len({name.lower() for name in project.bundles()})
    assert "bundles/test_shop/TestShop.test_one[a].pd" in project.bundles()


def test_file_names_fit_any_file_system():
    """A name keeps to a few characters and a length, and differs from others by more than the case of its letters."""
    tests = ["test_a", "test_a[1-x]", "test_a[X]", "test_a[x]", "test_a[x/y]", "test_a[x:y]", "test_a[" + "x" * 500]
    names = [file_name(each) for each in tests]

    assert ["test_a", "test_a[1-x]"] == names[:2]
    assert len(tests) == len({name.lower() for name in names})
    assert all(re.fullmatch(r"[A-Za-z0-9_.\[\]-]{1,109}", name) for name in names)


ASYNC = """
import asyncio
import pytest

{fixtures}
{marker}
async def test_at_once(replaykit_async_client):
    answers = await asyncio.gather(*(replaykit_async_client.get("/count") for _ in range(5)))
    assert sorted(each.json()["count"] for each in answers) == [1, 2, 3, 4, 5]
"""

ANYIO = ASYNC.format(
    fixtures='@pytest.fixture\ndef anyio_backend():\n    return "asyncio"\n',
    marker='@pytest.mark.anyio\n@pytest.mark.replaykit(order="fifo")',
)


def test_async_tests_with_anyio(project: Project):
    """An async test is recorded and played, and leaves no connection to an event loop that is gone."""
    project.run(ANYIO, "--replaykit-record=once", expected=0)
    project.run(ANYIO, expected=0)

    assert 5 == project.service.count


def test_async_tests_with_pytest_asyncio(project: Project):
    """The same with pytest-asyncio."""
    pytest.importorskip("pytest_asyncio")
    test = ASYNC.format(fixtures="", marker='@pytest.mark.asyncio\n@pytest.mark.replaykit(order="fifo")')
    project.run(test, "--replaykit-record=once", expected=0)
    project.run(test, expected=0)

    assert 5 == project.service.count


def test_tests_at_the_same_time_keep_apart(project: Project):
    """With pytest-xdist, each test has its own traffic in its own bundle."""
    test = """
import pytest

@pytest.mark.parametrize("number", range(8))
def test_own(replaykit_client, number):
    for _ in range(5):
        assert replaykit_client.get(f"/own/{number}").json()["path"] == f"/own/{number}"
"""
    project.run(test, "--replaykit-record=once", "-n", "3", expected=0)
    project.run(test, "-n", "3", expected=0)

    assert 40 == project.service.count
    for number in range(8):
        interactions = read(project.folder / f"bundles/test_shop/test_own[{number}].pd").trace.interactions()
        assert [f"/own/{number}"] * 5 == [each.request.url.removeprefix(project.service.url) for each in interactions]


def test_fixtures_may_use_the_client_after_the_test(project: Project):
    """What a fixture sends to clean up is recorded and played too."""
    test = """
import pytest

@pytest.fixture
def thing(replaykit_client):
    yield replaykit_client.post("/thing").json()
    replaykit_client.delete("/thing")

def test_thing(thing):
    assert thing["count"] == 1
"""
    project.run(test, "--replaykit-record=once", expected=0)
    project.run(test, expected=0)

    recorded = read(project.folder / "bundles/test_shop/test_thing.pd").trace.interactions()
    assert ["POST", "DELETE"] == [each.request.method for each in recorded]


def test_clients_of_the_tested_code_go_past_the_same_bundle(project: Project):
    """A transport of the recording serves a client that the tested code makes by itself."""
    test = """
import httpx, os

def test_own_client(replaykit_recording, replaykit_client):
    with httpx.Client(transport=replaykit_recording.transport(), base_url=os.environ["SERVICE"]) as own:
        assert own.get("/count").json()["count"] == 1
    assert replaykit_client.get("/count").json()["count"] == 2
"""
    project.run(test, "--replaykit-record=once", expected=0)
    project.run(test, expected=0)

    assert 2 == project.service.count


def test_the_plugin_is_cheap_where_it_is_not_used(project: Project):
    """A session without its fixtures imports neither httpx nor the rest of replaykit."""
    test = """
import sys

def test_nothing():
    assert "replaykit.pytest_plugin" in sys.modules
    assert not {"httpx", "pydantic", "vcr", "replaykit.recording", "replaykit.errors"} & set(sys.modules)
    assert "replaykit.pytest_bundle" not in sys.modules
"""
    (project.folder / "bug.pd").write_text("version: 1\n")
    project.run(test, expected=0, others=[])


def test_pytest_finds_the_plugin_by_itself():
    """The plugin is named in the entry points of the package, where pytest looks for it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert {"replaykit": "replaykit.pytest_plugin"} == project["entry-points"]["pytest11"]
