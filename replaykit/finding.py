"""Findings: what a campaign found."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from replaykit.shrink import Shrunk
from replaykit.trace import Trace
from replaykit.verdict import Failure


@dataclass(slots=True)
class Finding:
    """One bug: all failures of a campaign with the same fingerprint."""

    failure: Failure
    trace: Trace  # the simplest run that shows it, as far as it is known
    seed: int  # of the run that it was first seen in
    first_seen_run: int  # from 1
    found_after: float = 0.0  # seconds since the campaign began
    run_seconds: float = 0.0  # what the run took that it was first seen in
    occurrences: int = 1  # runs of the campaign in which it was seen
    replaced: bool = False  # is its bundle in the place of one that was there before?
    beside: bool = False  # is it beside one with the same fingerprint, which stays?
    same: bool = False  # is its bundle one that was there before, with the same calls?
    calls_before: int = 0  # shrinking
    path: Path | None = None  # of its bundle
    covered: tuple[str, ...] = ()  # placeholders in what its bundle says of the failure
    timed: str | None = None  # why its bundle has its times, where it was to have none
    shrunk: Shrunk | None = None
    sightings: int = 1  # of those that were shrunk
    other: Trace | None = None  # another run that shows it, where the first does so too seldom
    gone_after: int = 0  # runs at the end of the campaign in which it did not show any more; 0 where it did

    @property
    def fingerprint(self) -> str:
        """The fingerprint of its failure."""
        return self.failure.fingerprint


class Discovery(NamedTuple):
    """One point of the discovery curve: when a bug was first seen."""

    run: int  # from 1
    seconds: float  # since the campaign began
    fingerprint: str
