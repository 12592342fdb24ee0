"""Saved bugs as items of pytest: one for each bundle that the ini option `replaykit_bundles` means.

The setup of an item replays it, and its call says what that means for a bug of its status, as in a suite. So what can't
be judged is an error, and no failure; and an open bug is an xfail of this very failure.

`pytest_plugin` imports this module when a file is met that may be a bundle, and not before.
"""

import contextlib
import fcntl
import os
import re
import shlex
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from replaykit.archive import unpacked
from replaykit.cli.app import asked
from replaykit.cli.console import printable
from replaykit.docket import Entry
from replaykit.errors import ReplaykitError, UsageError
from replaykit.notation import decode
from replaykit.reader import content_of, read, read_bytes
from replaykit.report.steps import one_line
from replaykit.sitting import Brief, Sitting
from replaykit.stage import stage_for
from replaykit.status import Status, statuses
from replaykit.suite import Saved, is_patch
from replaykit.verdict import NOT_JUDGED, OK, Verdict
from replaykit.visible import visible

_FAILURE = b'\n# {"k":"failure",'
_ORIGIN = b'\n# {"k":"bundle",'
_WORDS = {"gone": "unexpectedly fixed", "regression": "regression", "unseen": "unseen"}


def collected(path: Path, parent: pytest.Collector) -> "BundleFile | None":
    """Return what collects a bundle; None for a patch of Pure Data.

    All else that has the name of a bundle is taken for one, and is an error where it is none: one that is broken must
    not be passed over.
    """
    if is_patch(path):
        return None
    found: BundleFile = BundleFile.from_parent(parent, path=path)
    return found


class ReproducedError(Exception):
    """An open bug showed, as it is expected to."""


# --- what is collected --------------------------------------------------------------------------


class BundleFile(pytest.File):
    """The file of a bundle."""

    def collect(self) -> Iterator["BundleItem"]:
        """Give the one item that a bundle is. No model is imported, and what is broken is told when it runs."""
        glance = _glance(self.path)
        yield BundleItem.from_parent(self, name=glance.name, glance=glance)


class BundleItem(pytest.Item):
    """A saved bug that is replayed."""

    def __init__(self, *, glance: "Glance", **given: Any) -> None:
        super().__init__(**given)
        self._glance = glance
        self._bench = _bench_of(self.config)
        self._entry: Entry | None = None
        status = Status()
        with contextlib.suppress(ReplaykitError):  # told when it runs
            status = self._bench.status_of(self.path)
        self.extra_keyword_matches.update(each for each in (status.word, status.ticket) if each)
        self.add_marker("replaykit")
        self._is_expected = glance.is_bug and status.word != "fixed" and not self._bench.brief.offline
        if self._is_expected:
            is_strict = status.word == "open" and not self._bench.brief.lenient
            reason = one_line(printable(f"{status.word}, {status.ticket}" if status.ticket else status.word))
            self.add_marker(pytest.mark.xfail(reason=reason, raises=ReproducedError, strict=is_strict))

    def setup(self) -> None:
        """Replay it. What can't be judged ends here, as an error."""
        if self.config.getoption("setuponly", False):
            return
        try:
            entry = self._entry = self._bench.judge(self.path, self._glance)
        except ReplaykitError as error:
            told = printable(f"{error.slug}: {error}")
        else:
            told = ""
        if told:  # here, or pytest would tell the error twice
            pytest.fail(told, pytrace=False)
        self.user_properties += _properties(entry)
        if entry.log and entry.log not in entry.reason:
            self.add_report_section("setup", "of the service", printable(entry.log))
        if entry.exit_code == NOT_JUDGED and self.config.getini("replaykit_unjudged") == "skip":
            pytest.skip(self._text(entry))
        if entry.exit_code >= NOT_JUDGED:
            pytest.fail(self._text(entry), pytrace=False)

    def runtest(self) -> None:
        """Say what the verdict means for a bug of its status."""
        entry = self._entry
        if entry is None:
            return
        if entry.exit_code != OK:
            pytest.fail(self._text(entry), pytrace=False)
        if self._is_expected and entry.verdict == Verdict.REPRODUCED.value:
            raise ReproducedError(self._text(entry))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show what a replay has to say, and nothing of how pytest came to it."""
        return (
            str(excinfo.value) if isinstance(excinfo.value, ReproducedError) else super().repr_failure(excinfo, style)
        )

    def reportinfo(self) -> tuple[Path, None, str]:
        """Say where it is: a bundle has no lines to speak of."""
        return self.path, None, f"{self.name} in {self.path.name}"

    def _text(self, entry: Entry) -> str:
        """Say what became of the bundle, so far as `--tb` wants to hear it."""
        word = _WORDS.get(entry.outcome, entry.verdict)
        often = f" (in {entry.failed or 'each'} of {entry.attempts} attempts)" if entry.attempts > 1 else ""
        lines = [
            f"{f'{word}: ' if word else ''}{entry.reason}{often}",
            *(f"  {one_line(each)}" for each in entry.notes),
        ]
        style = self.config.getoption("tbstyle", "auto")
        if style != "short":
            lines += entry.steps
        known = [entry.status, *(each for each in (entry.ticket, entry.note) if each)]
        lines.append(f"  status: {one_line(', '.join(known))}")
        if entry.outcome == "gone":
            lines.append(f"  if it was mended: replaykit close {shlex.quote(self._bench.place_of(entry))}")
        if entry.verdict is not None:
            lines.append(f"  replay it: {self._bench.command(entry)}")
        return printable(lines[0].partition("\n")[0] if style == "line" else "\n".join(lines))


def _properties(entry: Entry) -> list[tuple[str, object]]:
    """List what a report says of a bundle beside its outcome."""
    known = {
        "status": entry.status,
        "ticket": entry.ticket,
        "fingerprint": entry.fingerprint,
        "verdict": entry.verdict,
        "attempts": entry.attempts or None,
        "rate": entry.rate,
    }
    return [(name, visible(str(value))) for name, value in known.items() if value is not None]


class Glance(NamedTuple):
    """What is known of a bundle before it is replayed."""

    name: str  # of what failed, as it can stand in a node id
    is_bug: bool = False
    origin: tuple[str, ...] = ()  # alike for those that may be replayed by the same service


def _glance(path: Path) -> Glance:
    """Read of a bundle what stands in two of its lines: there may be many, and each is read again to be replayed."""
    try:
        content = unpacked(content_of(path), str(path))
        failure, origin = _line(content, _FAILURE), _line(content, _ORIGIN)
        if isinstance(name := failure.get("name"), str):
            return Glance(_identifier(name), True, tuple(str(origin.get(key)) for key in ("model", "adapter", "url")))
        judged = read_bytes(content, str(path)).judged  # an older format; or its run passed
    except ReplaykitError:
        named = re.match(r"(.+)-[0-9a-f]{8}\.", path.name)  # as bundles are named when they are saved
        return Glance(_identifier(named[1]) if named else "bundle")
    return Glance("passed") if judged is None else Glance(_identifier(judged.name), True)


def _line(content: bytes, start: bytes) -> dict[str, Any]:
    """Return the data of the last line that begins so; nothing where there is none that can be read."""
    place = content.rfind(start)
    if place >= 0:
        with contextlib.suppress(ValueError):
            return decode(content[place + len(b"\n# ") : content.find(b"\n", place + 1)])
    return {}


def _identifier(name: str) -> str:
    """Return a name as it can stand in a node id: the same as in the name of the bundle's file."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:60] or "_"


# --- what judges it -----------------------------------------------------------------------------


class _Bench:
    """Judges the bundles of a session, or of a worker of pytest-xdist; each service is started once for all of them."""

    def __init__(self, config: pytest.Config) -> None:
        worker = getattr(config, "workerinput", None) or {"workerid": "gw0", "workercount": 1}
        self._root, self._here = config.rootpath, config.invocation_params.dir
        self._workers = int(worker["workercount"])
        self._sittings: dict[tuple[str, ...], Sitting] = {}
        self._statuses: dict[Path, dict[str, Status]] = {}
        self._trouble: ReplaykitError | None = None
        self._command: Callable[[Entry], str] = str
        self.brief = Brief()
        try:
            with contextlib.chdir(self._root):
                self.brief, self._command = asked(_words(config))
        except ReplaykitError as error:  # told by each item
            self._trouble = error
        said = self.brief.said
        if config.getini("replaykit_mode") == "offline" and not (said.get("url") or said.get("start")):
            self.brief = replace(self.brief, offline=True)
        self.brief = replace(
            self.brief,
            lenient=self.brief.lenient or config.getini("replaykit_lenient"),
            number=int(worker["workerid"].removeprefix("gw")),
            verbose=config.get_verbosity() > 0 or config.getoption("tbstyle", "auto") == "long",
        )

    def status_of(self, path: Path) -> Status:
        """Return what is known of a bug. Raises StatusError, MissingFileError."""
        folder = path.parent
        if folder not in self._statuses:
            self._statuses[folder] = statuses(folder)
        return self._statuses[folder].get(path.name, Status())

    def judge(self, path: Path, glance: Glance) -> Entry:
        """Replay a bundle, and hold the verdict against its status, as `replaykit suite` does in pytest's root folder.

        Raises UsageError, and what `Sitting` and `statuses` raise; what else goes wrong is told by the entry.
        """
        if self._trouble is not None:
            raise self._trouble
        saved = Saved(_from(self._root, path), self.status_of(path))
        with contextlib.chdir(self._root):
            if glance.origin not in self._sittings:
                self._sittings[glance.origin] = Sitting(self.brief)
            with _alone(self._root) if self._is_shared(path) else contextlib.nullcontext():
                return self._sittings[glance.origin].judge(saved)

    def _is_shared(self, path: Path) -> bool:
        """Say whether another worker may ask the same service at the same time: one that was not started here."""
        if self._workers == 1 or self.brief.offline:
            return False
        try:
            stage = stage_for(read(path).provenance, self.brief.said, self.brief.profile)
        except ReplaykitError:  # whoever judges it tells
            return False
        urls = [each for each in (stage.url, *stage.more) if each is not None]
        return stage.start is None and len(urls) < self._workers

    def place_of(self, entry: Entry) -> str:
        """Return the path of a bundle, from where pytest was called."""
        return str(_from(self._here, self._root / entry.bundle))

    def command(self, entry: Entry) -> str:
        """Write the command that replays a bundle as it was replayed here, from where pytest was called."""
        with contextlib.chdir(self._root):
            return f"replaykit {self._command(entry.replace(bundle=self.place_of(entry)))}"

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Let what is said in one line name the bundle, and not the line of this module that says it."""
        report = yield
        crash = getattr(report.longrepr, "reprcrash", None)
        if isinstance(item, BundleItem) and crash is not None:
            crash.path, crash.lineno = str(item.path), 1
            crash.message = crash.message.removeprefix("Failed: ")
        return report

    def close(self) -> None:
        """Stop the services that were started here."""
        with contextlib.ExitStack() as stack:
            for each in self._sittings.values():
                stack.callback(each.close)
        self._sittings.clear()


def _words(config: pytest.Config) -> list[str]:
    """Write the options of pytest as the command line of a suite."""
    words = ["--offline"] if config.getoption("replaykit_offline") else []
    for name in ("url", "start", "times", "order"):
        said = config.getoption(f"replaykit_{name}")
        for value in said if isinstance(said, list) else [] if said is None else [said]:
            words += [f"--{name}", str(value)]
    return words


def _from(folder: Path, path: Path) -> Path:
    """Return a path as it is said in a folder: from there, if it lies inside."""
    return path.relative_to(folder) if path.is_relative_to(folder) else path


_bench = pytest.StashKey[_Bench]()


def _bench_of(config: pytest.Config) -> _Bench:
    """Return the bench of this session; its services end with it, however it ends."""
    bench = config.stash.get(_bench, None)
    if bench is None:
        bench = config.stash[_bench] = _Bench(config)
        config.add_cleanup(bench.close)
        config.pluginmanager.register(bench)
    return bench


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let no other worker of the same project be in here at the same time (flock(2))."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            raise UsageError(
                f"{folder} can't be locked, and workers must not ask one service at the same time: {error.strerror}.",
                "Let each worker start its own, with --replaykit-start, or do without workers.",
            ) from None
        yield
    finally:
        os.close(descriptor)
