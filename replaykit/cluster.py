"""The cluster: hands on the machines of a Dask cluster; the door to distributed.

The project goes along, as Dask's own plugin UploadFile sends it, so that workers need no more than replaykit and what
the project itself asks for. A worker unpacks it, and has it as its current folder and on its path while it works.
"""

import hashlib
import io
import os
import shutil
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import chdir, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from replaykit import hand, project
from replaykit.errors import ReplaykitError, UnreachableError, UsageError
from replaykit.hand import Answer, Home
from replaykit.version import __version__

Client: TypeAlias = Any  # distributed's, which has hardly any types

PATIENCE = 10.0  # seconds for the scheduler to answer, and for a worker to be there
LARGEST = 100 << 20  # bytes of a project that is sent
LEFT_OUT = {"__pycache__", "node_modules"}  # and all that is hidden, and virtual environments
IDLE = 120.0  # seconds without work, after which a service is stopped: whoever asked for it may be gone


class Cluster:
    """A Dask cluster, with the project on it."""

    def __init__(self, client: Client, addresses: list[str]) -> None:
        self._client = client
        self.addresses = addresses  # of its workers
        self.archive = ""

    def homes(self, *kinds: type) -> list[Home]:
        """Say where classes are on the workers."""
        return [_moved(Home.of(kind)) for kind in kinds]

    def workers(self, most: int | None) -> "list[Remote]":
        """Give a worker for each that there is, or for the first ones."""
        return [Remote(self._client, each, self.archive) for each in self.addresses[:most]]


class Remote:
    """One worker of a cluster, as far as it is there; else any other one does its work."""

    def __init__(self, client: Client, address: str, archive: str) -> None:
        self.name = address
        self._archive = archive
        self._executor = client.get_executor(workers=[address], allow_other_workers=True, pure=False)

    def submit(self, what: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Ask for a piece of work."""
        asked: Future[Any] = self._executor.submit(_there, self._archive, _paths(), what, *arguments)
        return asked

    def is_lost(self, error: BaseException) -> bool:
        """Say whether the scheduler has given a piece of work up; it has tried it on several workers then."""
        return type(error).__name__ == "KilledWorker"

    def is_final(self, error: BaseException) -> bool:
        """Say that nobody has to try it again."""
        return self.is_lost(error)

    def renew(self) -> None:
        """Leave that to the cluster."""

    def hurry(self) -> bool:
        """Say no: a piece of work on a cluster is not talked to."""
        return False

    def leave(self) -> None:
        """Ask for nothing any more."""
        self._executor.shutdown(wait=False)

    def close(self) -> None:
        """Leave the worker to its cluster."""


@contextmanager
def opened(address: str) -> Iterator[Cluster]:
    """Reach a cluster, and send the project there. Raises UsageError, UnreachableError."""
    try:
        import distributed
        from distributed.diagnostics.plugin import UploadFile
    except ImportError:
        raise UsageError("Dask is not installed.", 'Install it: pip install "replaykit-http[dask]".') from None
    try:
        client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
    except OSError:
        raise UnreachableError(
            f"No Dask scheduler answers at {address}.", "Is it running there? It is started with: dask scheduler."
        ) from None
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"{address!r} is no address of a Dask scheduler: {error}.", "It is like tcp://10.0.0.5:8786."
        ) from None
    cluster = Cluster(client, [])
    try:
        cluster.addresses = _checked(client, address)
        with tempfile.TemporaryDirectory() as folder:
            packed = _packed(project.root())
            cluster.archive = f"replaykit-{hashlib.sha256(packed).hexdigest()[:16]}.zip"
            file = Path(folder) / cluster.archive
            file.write_bytes(packed)
            client.register_plugin(UploadFile(str(file), load=False), name=cluster.archive)
        yield cluster
    finally:
        with suppress(Exception):  # it may be gone
            client.run(_leave)
        with suppress(Exception):
            client.unregister_worker_plugin(cluster.archive)
        client.close()


def _checked(client: Client, address: str) -> list[str]:
    """List the workers. Raises UnreachableError, UsageError."""
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        raise UnreachableError(
            f"The Dask scheduler at {address} has no workers.", f"Start some: dask worker {address} --nthreads 1."
        ) from None
    threads: dict[str, int] = client.nthreads()
    several = sorted(each for each, number in threads.items() if number > 1)
    if several:
        raise UsageError(
            f"The worker {several[0]} has {threads[several[0]]} threads; each run needs a process of its own.",
            f"Start workers with one thread each: dask worker {address} --nworkers {threads[several[0]]} --nthreads 1.",
        )
    try:
        versions = client.run(_version)
    except Exception as error:  # noqa: BLE001  whatever hinders it
        raise UsageError(
            f"The Dask workers can't import replaykit: {error}.", f"Install replaykit-http {__version__} there."
        ) from None
    other = sorted(f"{each} has {version}" for each, version in versions.items() if version != __version__)
    if other:
        raise UsageError(
            f"This is replaykit {__version__}, and {other[0]}.", "Install the same version on all workers."
        )
    return sorted(threads)


# --- the project --------------------------------------------------------------------------------


def _packed(root: Path) -> bytes:
    """Pack the files of a project, the same ones into the same bytes. Raises UsageError if it is too large."""
    total, content = 0, io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for file in _files(root):
            total += file.stat().st_size
            if total > LARGEST:
                raise UsageError(
                    f"The project {root} is too large to be sent to workers: more than {LARGEST >> 20} MB.",
                    "Start replaykit in a smaller folder that has a pyproject.toml; what is hidden is left out.",
                )
            packed.writestr(zipfile.ZipInfo(file.relative_to(root).as_posix()), file.read_bytes(), zipfile.ZIP_DEFLATED)
    return content.getvalue()


def _files(root: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(root):
        folders[:] = sorted(
            each
            for each in folders
            if not each.startswith(".") and each not in LEFT_OUT and not (Path(place) / each / "pyvenv.cfg").exists()
        )
        yield from (Path(place) / each for each in sorted(files) if not each.startswith(".") and _is_plain(place, each))


def _is_plain(place: str, name: str) -> bool:
    file = Path(place) / name
    return file.is_file() and not file.is_symlink() and os.access(file, os.R_OK)


def _moved(home: Home) -> Home:
    """Say where a class is in the unpacked project; what lies outside of it has to be installed on the workers."""
    root = project.root().resolve()
    inside = home.file is not None and Path(home.file).is_relative_to(root)
    return replace(home, file=str(Path(home.file).relative_to(root)) if inside and home.file else None)


def _paths() -> tuple[str, ...]:
    """List the folders of the project that Python looks for modules in."""
    root = project.root().resolve()
    inside = [Path(each).resolve() for each in sys.path if each]
    return tuple(
        str(each.relative_to(root))
        for each in inside
        if each.is_relative_to(root) and "site-packages" not in each.parts
    )


# --- on a worker --------------------------------------------------------------------------------

_unpacked: dict[str, Path] = {}  # the archive that is there, and where
_rest: list[threading.Timer] = []


def _version() -> str:
    return __version__


def _there(archive: str, paths: tuple[str, ...], what: Callable[..., Answer], *arguments: Any) -> Answer:
    """Do a piece of work in the project."""
    while _rest:
        _rest.pop().cancel()
    try:
        with chdir(_project(archive, paths)):
            return what(*arguments)
    finally:
        timer = threading.Timer(IDLE, hand.dismiss)
        timer.daemon = True
        timer.start()
        _rest.append(timer)


def _project(archive: str, paths: tuple[str, ...]) -> Path:
    """Return the folder of the unpacked project, which is on the path."""
    from distributed import get_worker

    if archive not in _unpacked:
        _forget()
        file = Path(get_worker().local_directory) / archive
        folder = Path(tempfile.mkdtemp(prefix="replaykit-"))
        try:
            with zipfile.ZipFile(file) as packed:
                packed.extractall(folder)
        except (OSError, zipfile.BadZipFile) as error:
            raise ReplaykitError(f"The project did not reach a worker: {error}.", "Try again.") from None
        _unpacked[archive] = folder
        sys.path[:0] = [str(folder / each) for each in dict.fromkeys((".", *paths))]
    return _unpacked[archive]


def _forget() -> None:
    """Leave nothing of a project: the next one may have other modules of the same names."""
    while _unpacked:
        folder = _unpacked.popitem()[1]
        sys.path[:] = [each for each in sys.path if not Path(each).is_relative_to(folder)]
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(f"{folder}{os.sep}"):
                del sys.modules[name]
        shutil.rmtree(folder, ignore_errors=True)


def _leave() -> None:
    """Stop the service, and leave nothing behind."""
    while _rest:
        _rest.pop().cancel()
    hand.dismiss()
    _forget()
