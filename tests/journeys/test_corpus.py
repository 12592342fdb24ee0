"""The corpus: a bundle of every planted bug, replayed against its own cassette and against the services, for ever."""

import contextlib
import itertools
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import httpx
import pytest
from benchmarks.scorecard import SERVICES
from conftest import ROOT, replaykit

from examples.serving import Bug
from replaykit import service
from replaykit.reader import read
from replaykit.replaying import replay
from replaykit.status import statuses
from replaykit.verdict import Verdict

FAILURES = ROOT / "failures"
PLANTED = [(name, bug) for name, its in SERVICES.items() for bug in its.ordinary]
CHANCES = 30  # of a bug that does not show each time, and on a busy machine perhaps less often than when it was found
Switch: TypeAlias = Callable[..., str]  # of a service and the bugs that are to be on; gives its URL

named = pytest.mark.parametrize(("name", "bug"), PLANTED, ids=lambda each: getattr(each, "name", each))


@pytest.fixture(scope="module")
def switched(database: str) -> Iterator[Switch]:
    """Give what switches bugs of the services, each of which is started when it is first asked for."""
    running: dict[str, str] = {}
    with contextlib.ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", database)

        def switch(name: str, *bugs: str) -> str:
            if name not in running:
                start = f"{sys.executable} -m tests.switched {name} --port {{port}}"
                running[name] = stack.enter_context(
                    service.reached(url=None, start=start, health="{url}/api/health", patience=None)
                )
            httpx.put(f"{running[name]}/bugs", json=bugs).raise_for_status()
            return running[name]

        yield switch


def bundle_of(name: str, bug: Bug) -> Path:
    """Give the bundle of a bug."""
    return FAILURES / name / f"{bug.name}.pd"


@named
def test_saved_bug_reproduces_from_its_own_cassette(name: str, bug: Bug):
    """Offline, today's model still sees each bug, in as few commands as it can be shown with."""
    bundle = read(bundle_of(name, bug))
    replayed = replay(bundle, offline=True)

    assert Verdict.REPRODUCED is replayed.verdict, replayed.reason
    assert bug.shortest == len(bundle.trace.sequence)
    assert bundle.provenance.canonical


@named
def test_saved_bug_reproduces_where_it_is_and_is_fixed_where_it_is_not(name: str, bug: Bug, switched: Switch):
    """Live, each bug reproduces with its switch on, and is fixed with it off."""
    bundle = read(bundle_of(name, bug))
    times = CHANCES if bug.kind in {"race", "flaky"} else None
    on = replay(bundle, url=switched(name, bug.name), times=times)
    off = replay(bundle, url=switched(name))

    assert (Verdict.REPRODUCED, Verdict.FIXED) == (on.verdict, off.verdict), (on.reason, off.reason)


@named
def test_saved_bug_has_a_status(name: str, bug: Bug):
    """The status of each bug stands beside its bundle, and names its switch; by default, it is off."""
    bundle = bundle_of(name, bug)
    status = statuses(bundle.parent)[bundle.name]

    assert "fixed" == status.word
    assert f"{bug.wrong} (python -m {SERVICES[name].module} --bug {bug.name})" == status.note


def test_corpus_holds_nothing_else():
    """There is one bundle for each planted bug, and none without one."""
    assert sorted(bundle_of(name, bug) for name, bug in PLANTED) == sorted(FAILURES.rglob("*.pd"))


def test_page_of_the_corpus_holds():
    """Each command of the page ends with the exit code that stands above it, and all bugs are counted."""
    page = (ROOT / "docs" / "explanation" / "corpus.md").read_text(encoding="utf-8")
    blocks = re.findall(r"<!-- exit: (\d) -->\n```sh\nreplaykit (.*)\n```", page)
    codes = []
    for _, line in blocks:
        words = [[str(path) for path in ROOT.glob(word)] if "*" in word else [word] for word in shlex.split(line)]
        codes.append(replaykit(*itertools.chain(*words)).code)

    assert ["1", "1", "0"] == [said for said, _ in blocks]
    assert [1, 1, 0] == codes
    assert f", {len(PLANTED)} of them, two races included" in page
