"""The hand: makes the runs of a campaign in a process of its own, against a service of its own.

A job says all that a hand has to know. It goes along with each piece of work, so that any process can do it: the
first piece makes the hand, which is kept for the others. Work is a function of the job and of its number, so a piece
that got lost is simply done again by whoever is there.
"""

import pickle
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from replaykit import project, service
from replaykit.adapter import Adapter, Adapters, Mock
from replaykit.client import check_url
from replaykit.coverage import Coverage
from replaykit.errors import LoadError, ReplaykitError, UsageError
from replaykit.finding import Finding
from replaykit.model import Model
from replaykit.reset import Resets
from replaykit.runner import Plan, Runner
from replaykit.service import Proxying, Running
from replaykit.shrink import Shrunk
from replaykit.trace import Trace
from replaykit.watcher import Watcher

K = TypeVar("K")

OPTIONS = (  # of a campaign, that a hand has to know; `base_url` is another one for each
    "start",
    "health_check",
    "health_timeout",
    "reset_url",
    "reset_command",
    "reset_restart",
    "restart",
    "settings",
    "transport",
    "toxiproxy",
    "proxy_port",
)
MET = 5  # traces of one other failure that shrinking tells of: a campaign looks at no more of them


@dataclass(frozen=True, slots=True)
class Home:
    """Where a class is to be found by a process that does not have it yet."""

    module: str
    name: str
    file: str | None  # of the module

    @classmethod
    def of(cls, kind: type) -> "Home":
        """Say where a class is. Raises UsageError for one that no other process can find."""
        module = sys.modules.get(kind.__module__)
        found: Any = module
        for part in kind.__qualname__.split("."):
            found = getattr(found, part, None)
        if found is not kind:
            raise UsageError(
                f"{kind.__qualname__} is not to be found by other processes: it is not on the top of a module.",
                "Define it there, or make the campaign in one process.",
            )
        file = getattr(module, "__file__", None)
        return cls(kind.__module__, kind.__qualname__, None if file is None else str(Path(file).resolve()))

    def load(self, kind: type[K]) -> type[K]:
        """Import the class. Raises LoadError."""
        known = sys.modules.get(self.module)
        is_script = self.module == "__main__" and self.file and getattr(known, "__file__", None) != self.file
        if self.file and (is_script or self.module.startswith("replaykit_file_")):
            return project.load(f"{self.file}:{self.name}", kind)
        try:
            return project.load(f"{self.module}:{self.name}", kind)
        except LoadError:
            if not (self.file and Path(self.file).is_file() and "." not in self.module):
                raise
            return project.load(f"{self.file}:{self.name}", kind)


@dataclass(frozen=True, slots=True)
class Job:
    """What a hand has to know to make the runs of a campaign."""

    key: str  # of its own
    model: Home
    adapter: Home | None  # None: the model runs against itself
    plan: Plan
    options: Mapping[str, Any]  # of the campaign, as far as they speak of the service and the adapter


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a piece of work."""

    value: Any
    url: str | None  # of the service that it was done with


class Hand:
    """Makes runs, shrinks and looks again, as a job says."""

    def __init__(self, job: Job) -> None:
        """Load the model and the adapter, and start or reach the service. Raises as `integration.run`."""
        model = job.model.load(Model)
        adapter: type[Adapter[Any]] = Mock if job.adapter is None else job.adapter.load(Adapter)
        settings, transport = dict(job.options.get("settings") or {}), job.options.get("transport", "lean")
        with ExitStack() as stack:
            self.running = None if adapter is Mock else stack.enter_context(service_of(job.options))
            self.url = None if self.running is None else self.running.url
            adapters = stack.enter_context(
                closing(Adapters(model, adapter, self.url, settings, transport, self.running))
            )
            self._coverage = Coverage.of(model, adapter, job.plan.budgets.names).blank()
            self._runner = Runner(job.plan, adapters, self._coverage)
            self._kept = stack.pop_all()
        self.run = self._runner.run
        self.look_again = self._runner.look_again
        self.examine = self._runner.examine

    def greet(self) -> None:
        """Do nothing: the hand is there."""

    def shrink(self, finding: Finding) -> tuple[Shrunk, list[Trace]]:
        """Shrink a finding; say which other failures were met, in their order."""
        met: list[Trace] = []
        seen: Counter[str] = Counter()

        def meet(trace: Trace) -> None:
            if trace.failure is not None:
                seen[trace.failure.fingerprint] += 1
                if seen[trace.failure.fingerprint] <= MET:
                    met.append(trace)

        return self._runner.shrink(finding, _Hurried(), meet), met

    def close(self) -> None:
        """Stop the service, where it was started here."""
        self._kept.close()


class _Hurried(Watcher):
    """Interrupts a search when the campaign is."""

    def tried(self, finding: Finding, executions: int, length: int) -> None:
        del finding, executions, length
        if in_a_hurry.is_set():
            raise KeyboardInterrupt


def resets_of(options: Mapping[str, Any]) -> Resets:
    """Say how the service comes to a clean state before each execution."""
    return Resets(options.get("reset_url"), options.get("reset_command"), options.get("reset_restart", False))


@contextmanager
def service_of(options: Mapping[str, Any]) -> Iterator[Running]:
    """Give the service, waited for where it is started here, or where its health check is named."""
    url, start, health = options.get("base_url"), options.get("start"), options.get("health_check")
    resets, revives = resets_of(options), options.get("restart", False)
    proxying = Proxying(options.get("toxiproxy"), options.get("proxy_port"))
    if start is None and health is None and url is not None and not (revives or resets.restart):
        yield Running(check_url(url), "none", resets=resets, proxying=proxying)
        return
    patience = options.get("health_timeout")
    with service.opened(
        url=url, start=start, health=health, patience=patience, resets=resets, revives=revives, proxying=proxying
    ) as running:
        yield running


# --- in the process of a hand --------------------------------------------------------------------

_hands: dict[str, "Kept"] = {}  # by the key of their job
in_a_hurry = threading.Event()  # is the campaign interrupted? then a search ends with the best that it has
_busy = threading.RLock()  # one piece of work at a time, though somebody gave the process several threads


class Kept(Protocol):
    """What a process keeps until it is dismissed."""

    def close(self) -> None:
        """Let go of what it has."""


C = TypeVar("C", bound=Kept)


def kept(key: str, make: Callable[[], C]) -> C:
    """Return what this process has under a key, which is made where there is none yet."""
    with _busy:
        if key not in _hands:
            _hands[key] = make()
        return cast("C", _hands[key])


def work(job: bytes, what: str, *arguments: Any) -> Answer:
    """Do a piece of work: call a method of the job's hand, which is made where there is none yet."""
    with _busy:
        try:
            asked: Job = pickle.loads(job)  # noqa: S301  it comes from the campaign
            hand = kept(asked.key, lambda: Hand(asked))
            return Answer(getattr(hand, what)(*arguments), hand.url)
        except Exception as error:  # noqa: BLE001  whatever it is, it is told to the campaign
            raise _told(error) from None


def dismiss() -> None:
    """Let all hands of this process go, and their services with them; also while one of them is at work."""
    while _hands:
        _hands.popitem()[1].close()


def _told(error: Exception) -> Exception:
    """Return an error that another process can read."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  it is our own
    except Exception:  # noqa: BLE001  whatever a stranger's exception does
        return ReplaykitError(f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error)))
    return error
