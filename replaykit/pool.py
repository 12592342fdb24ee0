"""The pool: a crew of several hands, each in a process of its own, on this machine or on others.

Theory of operation. The campaign asks for runs ahead. What is asked for waits in one queue, and each hand has one
piece of work at a time. Runs wait at the end of the queue; what the campaign cannot go on without (shrinking, another
look) goes to its front, and is done while the other hands make the runs behind it. The piece that a process had when
it died is done again, by whoever is free; one that is lost over and over is given up, and the campaign is told so. A
hand whose service is gone for good gets no more work; what it has not done, the others do, as long as there are any.
"""

import pickle
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from secrets import token_hex
from typing import Any

from replaykit import hand
from replaykit.adapter import Adapter, Mock
from replaykit.coverage import Coverage
from replaykit.errors import UnreachableError, UsageError
from replaykit.finding import Finding
from replaykit.hand import Answer, Home, Job
from replaykit.model import Model
from replaykit.runner import Plan, Ran
from replaykit.shrink import INTERRUPTED, UNREACHABLE, Shrunk
from replaykit.source import derive
from replaykit.trace import Ending, Trace
from replaykit.watcher import Watcher
from replaykit.worker import Process, Worker

MOST = 64  # jobs
AHEAD = 32  # runs for each hand that are made before they can be committed, as while something is shrunk
MOST_LOST = 3  # processes that one piece of work may take with it
LAST_WORD = 2.0  # seconds in which a search that is interrupted may say how far it came


class LostError(Exception):
    """A piece of work has killed whatever process it was given to."""


@dataclass(slots=True)
class _Task:
    what: str
    arguments: tuple[Any, ...]
    future: "Future[Any]" = field(default_factory=Future)
    lost: int = 0  # processes


class Pool:
    """Several hands."""

    def __init__(self, workers: Sequence[Worker], jobs: Sequence[Job], coverage: Coverage) -> None:
        self.ahead = AHEAD * len(workers)
        self.urls: list[str] = []  # of all services that something was done with
        self._jobs = {worker.name: pickle.dumps(job) for worker, job in zip(workers, jobs, strict=True)}
        self._seed = jobs[0].plan.seed
        self._coverage = coverage  # of a run in which nothing happened
        self._workers = workers
        self.hands = len(workers)
        self._idle = deque(workers)
        self._present = len(workers)  # hands that have a service
        self._gone = UnreachableError("")  # what became of the last service
        self._waiting: deque[_Task] = deque()
        self._lock = threading.RLock()
        self._is_closed = False

    # --- its hands

    def greet(self) -> None:
        """Wait until all hands are there, each with its service. Raises UnreachableError, LoadError and others."""
        greetings = [self._ask("greet") for _ in self._workers]
        for each in greetings:
            try:
                each.result()
            except LostError:
                raise UnreachableError(
                    "A worker process ended before it could begin.",
                    'What it printed may say why. A script makes a campaign below: if __name__ == "__main__".',
                ) from None

    # --- as a crew

    def run(self, index: int, known: Collection[str]) -> "Future[Ran]":
        """Ask for a run."""
        return self._ask("run", index, known)

    def examine(self, ran: Ran) -> Ran:
        """See whether a race is one; a run that nobody survives to look at again is taken as it was."""
        with suppress(LostError, UnreachableError):
            looked_at: Ran = self._ask("examine", ran, first=True).result()
            return looked_at
        return ran

    def shrink(self, finding: Finding, watcher: Watcher, meet: Callable[[Trace], None]) -> Shrunk:
        """Have a finding shrunk while others make runs; then tell of the failures on the way, in their order."""
        seen = finding.other or finding.trace
        asked = self._ask("shrink", finding, first=True)
        watcher.tried(finding, 0, len(seen.steps))
        nothing, shrunk, met = Shrunk(seen.sequence, None, 0, 0, 0.0, 0, 0), None, []
        try:
            shrunk, met = asked.result()
        except LostError as lost:
            return replace(nothing, stopped=str(lost))
        except UnreachableError as gone:
            return replace(nothing, stopped=UNREACHABLE, error=gone)
        except KeyboardInterrupt as interrupt:
            with suppress(Exception, KeyboardInterrupt):  # whatever hinders it, what was found is saved already
                if all(worker.hurry() for worker in self._workers):
                    shrunk, met = asked.result(LAST_WORD)
            shrunk = replace(shrunk or replace(nothing, stopped=INTERRUPTED), error=interrupt)
        for trace in met:
            meet(trace)
        watcher.tried(finding, shrunk.executions, len(shrunk.sequence))
        return shrunk

    def look_again(self, finding: Finding) -> int:
        """Look whether a finding is gone; 0 where nobody survives to say so."""
        with suppress(LostError, UnreachableError):
            return int(self._ask("look_again", finding, first=True).result())
        return 0

    def close(self) -> None:
        """Let all hands go, with their services, and wait until they are gone; what they have to do is dropped."""
        with self._lock:
            self._is_closed = True
            self._waiting.clear()
        for worker in self._workers:
            worker.leave()
        for worker in self._workers:
            worker.close()

    # --- the queue

    def _ask(self, what: str, *arguments: Any, first: bool = False) -> "Future[Any]":
        task = _Task(what, arguments)
        with self._lock:
            (self._waiting.appendleft if first else self._waiting.append)(task)
            self._hand_out()
        return task.future

    def _hand_out(self) -> None:
        """Give what waits to those who have nothing to do."""
        while self._waiting and self._idle and not self._is_closed:
            worker, task = self._idle.popleft(), self._waiting.popleft()
            try:
                asked = worker.submit(hand.work, self._jobs[worker.name], task.what, *task.arguments)
            except Exception as error:  # noqa: BLE001  it is told to whoever waits for the task
                asked = Future()
                asked.set_exception(error)
            asked.add_done_callback(partial(self._came_back, worker, task))
        while self._waiting and not self._present:
            task = self._waiting.popleft()
            if task.what == "run":
                task.future.set_result(self._given_up(task, self._gone.happened, self._gone))
            else:
                task.future.set_exception(self._gone)

    def _came_back(self, worker: Worker, task: _Task, asked: "Future[Answer]") -> None:
        """Take what a hand has done, and give it the next piece. Runs in whichever thread has it first."""
        try:
            error = asked.exception()
        except CancelledError:
            error = UnreachableError(f"{worker.name} is not reachable any more, nor is its cluster.", "Is it running?")
        is_over, stays = True, True
        with self._lock:
            if self._is_closed:
                return
            if error is not None and worker.is_lost(error):
                task.lost += 1
                is_over = task.lost >= MOST_LOST or worker.is_final(error)
                worker.renew()
                error = LostError("each process that it was given to died, one after the other")
                if not is_over:
                    self._waiting.appendleft(task)
            elif isinstance(error, UnreachableError) and task.what != "greet":
                is_over, stays, self._gone = False, False, error
                self._waiting.appendleft(task)
            elif error is None:
                stays = self._hear(asked.result())
            if stays:
                self._idle.append(worker)
            self._present -= not stays
            self._hand_out()
        if not is_over:
            return
        if error is None:
            task.future.set_result(asked.result().value)
        elif isinstance(error, LostError) and task.what == "run":
            task.future.set_result(self._given_up(task, str(error)))
        else:
            task.future.set_exception(error)

    def _hear(self, answer: Answer) -> bool:
        """Learn where the service of a hand is, and whether it still is."""
        if answer.url is not None and answer.url not in self.urls:
            self.urls.append(answer.url)
        if isinstance(answer.value, Ran) and answer.value.died:
            self._gone = UnreachableError(answer.value.died, log=answer.value.log)
            return False
        return True

    def _given_up(self, task: _Task, why: str, gone: UnreachableError | None = None) -> Ran:
        """Say that a run could not be judged, or that nothing more can be run."""
        index = task.arguments[0]
        ending: Ending = "unknown" if gone is None else "unreachable"
        ran = Ran(index, derive(self._seed, index), self._coverage.blank())
        ran.trace = Trace(ending=ending, reason=f"run {index + 1} could not be made: {why}")
        if gone is not None:
            ran.died, ran.log = gone.happened, gone.log
        return ran


# --- whom to ask --------------------------------------------------------------------------------


def hands_of(options: Mapping[str, Any], *, is_mock: bool) -> tuple[int | None, list[str]]:
    """Say how many processes make the runs (None: as many as a cluster has), and at which URLs. Raises UsageError."""
    given, jobs, dask = options.get("base_url"), options.get("jobs"), options.get("dask")
    urls = [] if given is None else [given] if isinstance(given, str) else list(given)
    if jobs is not None and not 1 <= jobs <= MOST:
        raise UsageError(f"A campaign can't have {jobs} jobs.", f"Use a number from 1 to {MOST}.")
    repeated = [url for url in urls if urls.count(url) > 1]
    if repeated:
        raise UsageError(f"{repeated[0]} is named twice.", "Name a service of its own for each job.")
    if is_mock:
        return (jobs if dask else jobs or 1), []
    if dask is None:
        jobs = jobs or max(1, len(urls))
    elif urls:
        jobs = jobs or len(urls)
    if urls and len(urls) != jobs:
        share = "has" if jobs == 1 else "can't share"
        services = f"{jobs} job{'s' * (jobs != 1)} {share} {len(urls)} service{'s' * (len(urls) != 1)}"
        raise UsageError(
            f"{services}: runs at one service would disturb each other, and each job uses one.",
            "Give each job a service of its own: with --start, or with as many --url as there are jobs.",
        )
    if not urls and options.get("start") is None:
        raise UsageError("No service is named.", "Say where it runs with --url, or how to start it with --start.")
    return jobs, urls


@contextmanager
def mustered(
    model: type[Model],
    adapter: type[Adapter[Any]],
    plan: Plan,
    options: Mapping[str, Any],
    hands: int | None,
    urls: Sequence[str],
    coverage: Coverage,
) -> Iterator[Pool]:
    """Give a pool whose hands are all there, each with its service. Raises as `integration.run`."""
    asked = {name: options[name] for name in hand.OPTIONS if name in options}
    kinds = [model] if adapter is Mock else [model, adapter]
    with ExitStack() as stack:
        workers: Sequence[Worker]
        if options.get("dask"):
            from replaykit import cluster

            opened = stack.enter_context(cluster.opened(options["dask"]))
            homes, workers = opened.homes(*kinds), opened.workers(hands)
            if urls and len(workers) < len(urls):
                urls = urls[: len(workers)]
        else:
            homes, workers = [Home.of(kind) for kind in kinds], [Process(str(number)) for number in range(hands or 1)]
        key = token_hex(8)
        jobs = [
            Job(
                f"{key}-{number}" if urls else key,
                homes[0],
                homes[1] if len(homes) > 1 else None,
                plan,
                {**asked, "base_url": urls[number] if urls else None},
            )
            for number in range(len(workers))
        ]
        pool = Pool(workers, jobs, coverage)
        stack.callback(pool.close)
        pool.greet()
        yield pool
