"""The keeper: saves what a campaign finds, each bug in a file of its own, before it is shrunk and after."""

import os
import platform
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from replaykit import client, repository
from replaykit.bundle import Provenance, Shrinking, name_of
from replaykit.corpus import MOST, kept_bundle
from replaykit.culprit import culprit_in, marked
from replaykit.errors import ReplaykitError, UnwritableError
from replaykit.finding import Finding
from replaykit.model import Model, digest_of
from replaykit.sequence import identity
from replaykit.settling import Settling
from replaykit.shrink import Shrunk
from replaykit.status import statuses
from replaykit.trace import Trace
from replaykit.verdict import Failure
from replaykit.writer import Form, Writer, save


@dataclass(slots=True)
class Keeper:
    """Keeps findings in a folder."""

    folder: Path
    names: tuple[str, str]  # of model and adapter, as bundles say them
    url: str | None
    seed: int  # of the campaign
    max_commands: int
    facts: Mapping[str, Any]
    settling: Settling
    urls: list[str] = field(default_factory=list)  # of the services, where each process has its own

    def writer(self) -> Writer:
        """Open the file in which a run is written down while it happens."""
        return Writer(self.folder / f".run-{os.getpid()}-{os.urandom(4).hex()}.partial")

    def keep(self, finding: Finding, index: int, seed: int, writer: Writer | None = None) -> None:
        """Save a new finding, seen in run `index` with `seed`; `writer` has written that run already."""
        self._turn_to(finding.trace)
        finding.path = place_for(finding.failure, self.folder)
        finding.replaced = finding.path.exists()
        finding.beside = finding.path.name != name_of(finding.failure)
        if writer is not None and not writer.is_late:
            finding.covered = writer.covered
            writer.save(finding.path, self.settling)
        else:
            finding.covered = save(finding.path, self.origin(index, seed), finding.trace, self.settling)
        finding.timed = self.settling.kept

    def improve(self, finding: Finding, index: int, seed: int) -> None:
        """Save a finding again, now that it is shrunk."""
        if finding.path is not None:
            if finding.beside and (before := self._with_its_calls(finding)) is not None:
                finding.path.unlink(missing_ok=True)
                finding.path, finding.beside, finding.same = before, False, True
                return
            self._turn_to(finding.trace)
            form = self._form(finding.path, finding.failure)
            finding.covered = save(finding.path, self.origin(index, seed, finding), finding.trace, form)
            finding.timed = self.settling.kept
            self.settling.raise_late()

    def _form(self, path: Path, failure: Failure) -> Form:
        """Return the form in which a bug is saved again: what its file says of who brought it stays."""
        culprit = culprit_in(path, failure)
        if culprit is None:
            return self.settling
        return lambda content: marked(self.settling(content), culprit)

    def _with_its_calls(self, finding: Finding) -> Path | None:
        """Return the bundle that was there before and holds the same calls as a result; None where there is none."""
        own = identity(finding.trace.sequence)
        for path in places(finding.failure, self.folder):
            if not path.exists():
                return None
            kept = None if path == finding.path else kept_bundle(path)
            if kept is not None and identity(kept.trace.sequence) == own:
                return path
        return None

    def record(self, trace: Trace, index: int, seed: int) -> Path:
        """Save a run that passed, named by its number."""
        self._turn_to(trace)
        path = self.folder / f"run-{index + 1:06}.pd"
        save(path, self.origin(index, seed), trace, self.settling)
        self.settling.raise_late()
        return path

    def _turn_to(self, trace: Trace) -> None:
        """Speak of the service that a run was made with, where there are several."""
        first = next(iter(trace.interactions()), None) if self.urls else None
        for url in self.urls:
            if first is not None and first.request.url.startswith(f"{url}/"):
                self.url = url
                self.settling.turn_to(url)

    def origin(self, index: int, seed: int, finding: Finding | None = None) -> Provenance:
        """Say where a bundle comes from."""
        shrunk = None if finding is None else finding.shrunk
        return Provenance(
            model=self.names[0],
            adapter=self.names[1],
            campaign_seed=self.seed,
            run=index,
            seed=seed,
            commands=self.max_commands,
            url=None if self.url is None else client.without_credentials(self.url),
            recorded=datetime.now(UTC).isoformat(timespec="seconds"),
            shrinking=None if finding is None or shrunk is None else _shrinking(finding.calls_before, shrunk),
            **self.facts,
        )


def _shrinking(calls_before: int, shrunk: Shrunk) -> Shrinking:
    return Shrinking(
        calls_before=calls_before,
        executions=shrunk.executions,
        requests=shrunk.requests,
        seconds=round(shrunk.seconds, 3),
        confirmed=shrunk.confirmed,
        runs=shrunk.runs,
        failed=shrunk.failed,
        stopped=shrunk.stopped,
    )


def place_for(failure: Failure, folder: Path) -> Path:
    """Return where the bundle of a failure goes: nobody's result is lost, and nothing that somebody knows of.

    In the place of one with the same fingerprint that was never shrunk to the end; beside one that was, that says who
    brought its bug, or that the status file names.
    """
    known: Collection[str] | None
    try:
        known = statuses(folder)
    except ReplaykitError:
        known = None  # somebody knows something of some of them
    for path in places(failure, folder):
        if not path.exists():
            return path
        is_known = known is None or path.name in known or culprit_in(path, failure) is not None
        if not is_known and kept_bundle(path) is None:
            return path
    raise UnwritableError(f"There are {MOST} bundles with this fingerprint in {folder}.", "Choose another folder.")


def places(failure: Failure, folder: Path) -> Iterator[Path]:
    """List where bundles with one fingerprint lie: check-12345678.pd, check-2-12345678.pd, ..."""
    check, _, fingerprint = name_of(failure).rpartition("-")
    yield folder / f"{check}-{fingerprint}"
    for number in range(2, MOST + 1):
        yield folder / f"{check}-{number}-{fingerprint}"


def made(folder: Path) -> Path:
    """Make a folder for bundles, where there is none. Raises UnwritableError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnwritableError(f"{folder} can't be made: {error.strerror}.", "Choose another folder.") from None
    return folder


def recordings_in(folder: Path) -> int:
    """Say how many runs that passed are saved in a folder already."""
    return sum(1 for _ in folder.glob("run-*.pd"))


def facts_of(model: type[Model]) -> dict[str, Any]:
    """Say what is the same for all runs of a campaign: what it is run with, and from which revision."""
    facts: dict[str, Any] = {"python": platform.python_version(), "httpx": client.HTTPX_VERSION}
    facts["model_digest"] = digest_of(model)
    revision = repository.revision(Path.cwd())
    if revision is not None:
        facts["revision"], facts["dirty"] = revision.commit, revision.dirty
    return facts
