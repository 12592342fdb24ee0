"""A Dask cluster makes the runs: real worker processes, one of them killed, none of them in the project's folder."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, environment, replaykit
from distributed import Client, LocalCluster
from test_pool import Killer, found

from replaykit import integration
from replaykit.cluster import _packed
from replaykit.errors import UnreachableError, UsageError

SHOP = """
from typing import ClassVar
from parts.words import Said
from replaykit import Adapter, Command, Model, expects, handles

class Ask(Command):
    number: int

class Shop(Model):
    commands: ClassVar = (Ask,)

    @expects
    def ask(self, cmd: Ask) -> Said:
        return Said(status=200)

class ShopApi(Adapter[Shop]):
    @handles
    def ask(self, cmd: Ask) -> Said:
        return Said(status=self.http.get("/").status_code)
"""
WORDS = "from replaykit import Event\n\nclass Said(Event):\n    status: int\n"


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Give a cluster of two worker processes."""
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster:
        yield cluster


def test_cluster_finds_the_same_with_a_worker_killed_in_the_middle(cluster: LocalCluster, tmp_path: Path):
    """Two worker processes, one of them killed, come to what one process of this machine comes to."""
    with Client(cluster.scheduler_address, set_as_default=False) as client:
        pids = client.run(os.getpid)
    killer = Killer(next(iter(pids.values())))
    alone = found(tmp_path / "alone")

    assert alone == found(tmp_path / "cluster", dask=cluster.scheduler_address, watcher=killer)
    assert 1 == killer.killed


def test_project_reaches_workers_in_another_folder(cluster: LocalCluster, tmp_path: Path):
    """A model in a file, with a module of the project's, runs on workers that do not have them; a service too."""
    (tmp_path / "pyproject.toml").write_text("[tool.replaykit.profiles.shop]\n")
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "words.py").write_text(WORDS)
    (tmp_path / "finite.py").write_text((ROOT / "tests" / "finite.py").read_text())
    line = [
        "integration", "--model", "shop.py:Shop", "--adapter", "shop.py:ShopApi", "--dask", cluster.scheduler_address,
        "--start", "python finite.py {port} 10000", "--health", "/", "--runs", "5", "--commands", "5", "--seed", "1",
    ]  # fmt: skip
    good = replaykit(*line, cwd=tmp_path, PYTHONPATH=str(ROOT))
    (tmp_path / "shop.py").write_text(SHOP.replace("status=200", "status=201"))
    changed = replaykit(*line, cwd=tmp_path, PYTHONPATH=str(ROOT))

    assert (0, 1) == (good.code, changed.code), good.err + changed.err
    assert "5 runs, nothing found" in good.verdict


def test_no_cluster_and_no_dask_are_told(tmp_path: Path):
    """Where no scheduler answers it is 125; what is no address, and where Dask is missing, is 129."""
    words = ["integration", "--profile", "leaderboard", "--dask"]
    missing = "import sys; sys.modules['distributed'] = None; from replaykit.cli import entry; entry()"
    without = subprocess.run(
        [sys.executable, "-c", missing, *words, "tcp://127.0.0.1:9"],
        cwd=ROOT, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    wrong = replaykit(*words, "nowhere://127.0.0.1")

    assert (129, 129) == (without.returncode, wrong.code), without.stderr + wrong.err
    assert 'pip install "replaykit-http[dask]"' in without.stderr
    assert "is no address of a Dask scheduler" in wrong.err


def test_nobody_there_is_unreachable(monkeypatch: pytest.MonkeyPatch):
    """A scheduler that does not answer is told as unreachable."""
    from replaykit import cluster

    monkeypatch.setattr(cluster, "PATIENCE", 0.3)
    with pytest.raises(UnreachableError, match=re.escape("No Dask scheduler answers at tcp://127.0.0.1:9")):
        with cluster.opened("tcp://127.0.0.1:9"):
            pass


def test_worker_with_several_threads_is_refused():
    """Runs need a process of their own, so a worker with several threads is told, with what to do."""
    with LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0") as cluster:
        with pytest.raises(UsageError, match="has 2 threads") as caught:
            campaign(cluster.scheduler_address)

    assert "--nthreads 1" in caught.value.todo


def campaign(address: str) -> Any:
    """Run a campaign there."""
    from examples.leaderboard import Leaderboard, LeaderboardApi

    return integration.run(
        model=Leaderboard, adapter=LeaderboardApi, start="python -m examples.leaderboard --port {port}", dask=address
    )


def test_packed_project_leaves_out_what_is_hidden_or_made(tmp_path: Path):
    """Hidden files, caches and virtual environments stay at home; the same files are the same bytes."""
    for name in ("shop.py", ".env", ".git/config", "env/pyvenv.cfg", "env/lib.py", "a/__pycache__/x.pyc", "a/b.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    packed = _packed(tmp_path)

    assert b"shop.py" in packed
    assert b"a/b.txt" in packed
    assert not any(name in packed for name in (b".env", b".git", b"lib.py", b"x.pyc"))
    assert packed == _packed(tmp_path)


def test_project_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What is too large to be sent is told before anything is."""
    from replaykit import cluster

    monkeypatch.setattr(cluster, "LARGEST", 10)
    (tmp_path / "large.txt").write_text("x" * 11)

    with pytest.raises(UsageError, match="too large to be sent"):
        _packed(tmp_path)
