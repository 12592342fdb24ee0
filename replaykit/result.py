"""Result: what a campaign came to."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from replaykit.adapter import Adapter
from replaykit.coverage import Coverage
from replaykit.finding import Discovery, Finding
from replaykit.model import Model
from replaykit.terms import Terms
from replaykit.trace import Trace
from replaykit.verdict import FOUND, NOT_JUDGED, OK, Failure


class Unrecovered(NamedTuple):
    """A command whose answer was lost to a fault, and nobody could find out what became of it."""

    command: str  # its tag
    name: str  # of its class
    runs: int  # that ended so

    @property
    def advice(self) -> str:
        """Say what to write."""
        return (
            f"write `@recovers def ...(self, cmd: {self.name})` in the adapter, which looks what became of it (None: "
            f"nothing was done), or say `class {self.name}(Command, idempotent=True)` where it may be sent again"
        )


@dataclass(slots=True)
class Result:
    """What a campaign came to."""

    model: type[Model]
    adapter: type[Adapter[Any]]
    names: tuple[str, str]  # of model and adapter, as bundles say them
    seed: int
    max_runs: int | None  # None where something else ends it
    total_runs: int = 0
    passed: int = 0
    failed: int = 0  # runs with a finding
    not_judged: int = 0  # runs that say nothing of the service: lost answers, faults of the test code
    steps: int = 0
    requests: int = 0
    duration: float = 0.0  # seconds
    failures: list[Finding] = field(default_factory=list)
    known: list[Finding] = field(default_factory=list)  # bugs seen again whose bundles were there before
    faults: dict[str, Failure] = field(default_factory=dict)  # of the test code, by fingerprint
    trouble: str = ""  # why the first run that was not judged was not
    unjudged: Trace | None = None  # that run
    forgiven: int = 0  # slow answers in sequences that were not slow in the majority of their executions
    budgets: tuple[str, ...] = ()  # handlers and endpoints that have one, by name
    died: str = ""  # why the campaign was ended, where the service was not there any more
    coverage: Coverage = field(init=False)
    required: dict[str, float] = field(default_factory=dict)  # percent that must be covered, by kind
    interrupted: KeyboardInterrupt | None = None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    stopped: str = ""  # why it ended before its last run, in words; empty where it did not
    log: str = ""  # the last lines of the service, where it died
    restarts: int = 0  # how often the service was started again after it died
    workers: int = 1
    terms: Terms = field(default_factory=Terms)  # what else ends it
    resumed_after: int = 0  # runs that were there already, where it is a hunt that goes on
    resumed_bugs: int = 0  # new bugs that were found in them
    resumed_seconds: float = 0.0  # that they took; `duration` holds them too
    notes: list[str] = field(default_factory=list)  # what is to be said at its beginning

    def __post_init__(self) -> None:
        self.coverage = Coverage.of(self.model, self.adapter, self.budgets)

    @property
    def success(self) -> bool:
        """Whether every run was judged, and nothing was found."""
        return self.exit_code == OK

    @property
    def exit_code(self) -> int:
        """The exit code of the campaign: 1 something was found, 125 something could not be judged, else 0."""
        if self.failures or self.known:
            return FOUND
        unjudged = self.not_judged or self.died or not self.total_runs or self.coverage.lacking(self.required)
        return NOT_JUDGED if unjudged else OK

    @property
    def discoveries(self) -> list[Discovery]:
        """The discovery curve: each new bug in the order of their finding, with the run and the seconds until then."""
        return [Discovery(each.first_seen_run, each.found_after, each.fingerprint) for each in self.failures]

    def unrecovered(self) -> list[Unrecovered]:
        """List the commands whose outcome nobody found out after a fault, so that their runs said nothing."""
        names = {command.tag: command.__name__ for command in self.model.commands}
        counted = sorted(self.coverage.unrecovered.items(), key=lambda each: (-each[1], each[0]))
        return [Unrecovered(tag, names.get(tag, tag), runs) for tag, runs in counted]

    def never_exercised(self) -> list[str]:
        """List the commands, checks and outcomes that no run exercised: what they hold was not looked at."""
        return self.coverage.never()
