"""Several processes: whoever makes the runs, the same is found; and nothing of them is left."""

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, ClassVar

import pytest
from conftest import ROOT, Counting, leaderboard, processes

from examples.leaderboard import Leaderboard, LeaderboardApi
from replaykit import Adapter, Command, Event, Model, expects, handles, integration
from replaykit.adapter import Mock
from replaykit.coverage import Coverage
from replaykit.errors import ReplaykitError, Terminated, UnreachableError, UsageError
from replaykit.finding import Finding
from replaykit.hand import Answer, Home, Job, in_a_hurry, work
from replaykit.latency import budgets_of
from replaykit.pool import Pool
from replaykit.result import Result
from replaykit.runner import Plan, Ran
from replaykit.shrink import Budget, Shrunk
from replaykit.trace import Trace
from replaykit.verdict import Failure
from replaykit.watcher import Watcher
from replaykit.worker import Process

BUGS = ("duplicate-names", "tie-order")


def said(result: Result, folder: Path | None = None) -> dict[str, Any]:
    """Say what a campaign came to, but for times."""
    return {
        "runs": [result.total_runs, result.passed, result.failed, result.not_judged, result.steps, result.requests],
        "found": [
            (each.fingerprint, each.first_seen_run, each.occurrences, each.seed, each.trace.sequence)
            for each in result.failures
        ],
        "covered": [result.coverage.commands, result.coverage.checks, result.coverage.outcomes, result.coverage.labels],
        "bundles": {} if folder is None else {each.name: _text(each) for each in folder.glob("*.pd")},
    }


def _text(bundle: Path) -> list[str]:
    """Read a bundle without its first line and its last, which speak of the revision."""
    return bundle.read_text().splitlines()[2:-1]


def found(folder: Path, **options: Any) -> dict[str, Any]:
    """Run a campaign that has several bugs to find, and say what it comes to."""
    result = integration.run(
        model=Leaderboard, adapter=LeaderboardApi, start=leaderboard(*BUGS), max_runs=15, max_commands=15, seed=3,
        health_check="{url}/api/health", save_failures=folder, **options,
    )  # fmt: skip
    return said(result, folder)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Say what one process finds."""
    one = found(tmp_path_factory.mktemp("alone"))
    assert len(one["found"]) > 1
    return one


def test_what_is_found_does_not_depend_on_the_number_of_workers(alone: dict[str, Any], tmp_path: Path):
    """Counts, fingerprints, first runs, shrunk sequences, coverage and bundles are those of one process."""
    assert alone == found(tmp_path, jobs=3)


class Killer(Watcher):
    """Kills a worker in the middle of a campaign."""

    def __init__(self, *pids: int) -> None:
        self.pids = pids
        self.killed = 0

    def ran(self, number: int, trace: Trace, seconds: float) -> None:
        del trace, seconds
        if number == 5:
            pid = next(iter(self.pids or [each.pid for each in multiprocessing.active_children()]))
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            self.killed += 1


def test_runs_of_a_worker_that_is_killed_are_done_again(alone: dict[str, Any], tmp_path: Path):
    """With one of two workers killed in the middle, the campaign comes to the same."""
    killer = Killer()
    after = found(tmp_path, jobs=2, watcher=killer)

    assert 1 == killer.killed
    assert alone == after


# --- what goes wrong ----------------------------------------------------------------------------


class Ask(Command):
    number: int


class Answered(Event):
    status: int


class Asked(Model):
    commands: ClassVar = (Ask,)

    @expects
    def answer(self, cmd: Ask) -> Answered:
        return Answered(status=200)


class Deadly(Adapter[Asked]):
    @handles
    def ask(self, cmd: Ask) -> Answered:
        if cmd.number >= 40:
            os._exit(7)
        return Answered(status=self.http.get("/").status_code)


class Raising(Deadly):
    @handles
    def ask(self, cmd: Ask) -> Answered:
        raise ReplaykitError("It is Tuesday.", "Come again.")


@pytest.fixture
def urls() -> Iterator[list[str]]:
    """Give the URLs of two services."""
    with Counting() as one, Counting() as two:
        yield [one.url, two.url]


def test_run_that_kills_each_of_its_workers_is_told_and_not_judged(urls: list[str]):
    """A run that takes three processes with it is counted as not judged, and the others are made."""
    result = integration.run(model=Asked, adapter=Deadly, base_url=urls, max_runs=8, max_commands=5, seed=11)

    assert (8, 1, 7) == (result.total_runs, result.not_judged, result.passed), result.trouble
    assert "could not be made: each process that it was given to died" in result.trouble
    assert 2 == result.workers


def test_several_urls_are_shared_out(urls: list[str]):
    """Each of several URLs is used, by one process each, and a report can name them."""
    watcher = Where()
    result = integration.run(
        model=Asked, adapter=Gentle, base_url=urls, jobs=2, max_runs=30, max_commands=5, seed=1, watcher=watcher
    )

    assert (30, 2) == (result.passed, result.workers)
    assert set(urls) == watcher.seen


class Gentle(Adapter[Asked]):
    @handles
    def ask(self, cmd: Ask) -> Answered:
        time.sleep(0.002)
        return Answered(status=self.http.get("/").status_code)


class Where(Watcher):
    """Collects which services were asked."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def ran(self, number: int, trace: Trace, seconds: float) -> None:
        del number, seconds
        self.seen |= {each.request.url.removesuffix("/") for each in trace.interactions()}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"jobs": 2, "base_url": "http://127.0.0.1:9"}, r"2 jobs can't share 1 service: "),
        ({"jobs": 3, "base_url": ["http://127.0.0.1:8", "http://127.0.0.1:9"]}, r"3 jobs can't share 2 services: "),
        ({"jobs": 1, "base_url": ["http://127.0.0.1:8", "http://127.0.0.1:9"]}, r"1 job has 2 services"),
        ({"jobs": 0, "start": "true {port}"}, r"can't have 0 jobs"),
        ({"jobs": 65, "start": "true {port}"}, r"can't have 65 jobs"),
        ({"base_url": ["http://127.0.0.1:9"] * 2}, r"named twice"),
        ({"jobs": 2}, r"No service is named"),
    ],
)
def test_jobs_that_would_disturb_each_other_are_refused(options: dict[str, Any], message: str):
    """Each job has a service of its own; what is told otherwise is a usage error, before anything is started."""
    with pytest.raises(UsageError, match=message):
        integration.run(model=Asked, adapter=Deadly, **options)


def test_class_that_other_processes_can_not_find_is_refused():
    """A model inside of a function has no name that another process could load it by."""

    class Hidden(Asked):
        pass

    with pytest.raises(UsageError, match="not to be found by other processes"):
        integration.run(model=Hidden, adapter=Mock, jobs=2)


def test_what_only_the_campaign_has_to_know_does_not_go_to_the_workers(tmp_path: Path):
    """Reports, which no worker writes, may be asked for by what no other process could be given."""
    report = tmp_path / "a.json"
    result = integration.run(
        model=Leaderboard, adapter=Mock, max_runs=2, max_commands=2, seed=1, jobs=2,
        report=(each for each in [f"json={report}"]),
    )  # fmt: skip

    assert 2 == result.passed
    assert report.exists()


def test_model_alone_runs_in_several_processes():
    """Without a service, several processes come to what one comes to."""
    one, two = (integration.run(model=Asked, adapter=Mock, jobs=jobs, max_runs=30, seed=1) for jobs in (1, 2))

    assert said(one) == said(two)


def test_service_that_dies_in_a_worker_ends_the_campaign(tmp_path: Path):
    """It is told as in one process: why, and with the last lines of the service."""
    program = (ROOT / "tests" / "finite.py").as_posix()
    result = integration.run(
        model=Asked, adapter=Gentle, start=f"{sys.executable} {program} {{port}} 12", health_check="/", jobs=2, seed=1,
        max_runs=100,
    )  # fmt: skip

    assert 125 == result.exit_code
    assert result.died
    assert "no more of this" in result.log
    assert not result.failures


def test_error_of_a_worker_is_told_with_its_two_sentences():
    """What a worker raises arrives as the same class, with what happened and what to do."""
    for error in (UnreachableError("It is gone.", "Start it."), UsageError("No."), Terminated(15)):
        again = pickle.loads(pickle.dumps(error))  # noqa: S301

        assert (type(error), str(error)) == (type(again), str(again))
        assert getattr(error, "todo", 15) == getattr(again, "todo", again.__dict__.get("signal_number"))


def test_service_that_does_not_start_is_one_error(capfd: pytest.CaptureFixture[str]):
    """Where the services of all workers do not start, it is said once, with what one of them printed."""
    with pytest.raises(UnreachableError, match="no more of this") as caught:
        integration.run(
            model=Asked, adapter=Gentle, start=f"{sys.executable} {ROOT}/tests/finite.py {{port}} 0", jobs=3
        )

    assert 1 == str(caught.value).count("no more of this")
    assert "Traceback" not in capfd.readouterr().err


class OddError(Exception):
    """An exception that can be sent, and not be read."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


class Odd:
    def __reduce__(self) -> tuple[Any, tuple[()]]:
        return _raise_odd, ()


def _raise_odd() -> None:
    raise OddError("a", "b")


def test_exception_that_can_not_be_read_elsewhere_is_told_in_words():
    """What another process could not make again arrives as an error of ours, with its traceback."""
    with pytest.raises(ReplaykitError, match="OddError: ab") as caught:
        work(pickle.dumps(Odd()), "run")

    assert "_raise_odd" in caught.value.todo


def test_home_of_a_class_finds_it_again():
    """A class is loaded by the name of its module, or by its file where no module has that name."""
    home = Home.of(Asked)
    elsewhere = Home("replaykit_file_0", "Board", str(ROOT / "examples" / "nothing.py"))

    assert home.load(Model) is Asked
    with pytest.raises(ReplaykitError, match="no Python file"):
        elsewhere.load(Model)


def test_nothing_is_left_of_a_campaign():
    """When a campaign with several processes is over, no service, no process and no thread of it is there."""
    before = threading.active_count()
    mark = "--mark-of-the-pool"
    integration.run(
        model=Asked, adapter=Gentle, start=f"{sys.executable} {ROOT}/tests/finite.py {{port}} 1000 {mark}",
        health_check="/", jobs=2, max_runs=3, seed=1,
    )  # fmt: skip

    assert [] == processes(mark)
    assert [] == multiprocessing.active_children()
    assert before == threading.active_count()


# --- hands without a service --------------------------------------------------------------------


class Fake:
    """A worker in this process, of whose hand is said what it answers."""

    def __init__(self, name: str, answer: Any) -> None:
        self.name = name
        self.answer = answer
        self.asked = 0
        self.waits: list[Future[Any]] = []

    def submit(self, what: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Answer at once; what is to be shrunk waits until it is hurried."""
        del what
        self.asked += 1
        future: Future[Any] = Future()
        if arguments[1] == "shrink" and not isinstance(self.answer, Exception):
            self.waits.append(future)
        elif isinstance(self.answer, Exception):
            future.set_exception(self.answer)
        else:
            future.set_result(self.answer)
        return future

    def is_lost(self, error: BaseException) -> bool:
        """Say no."""
        del error
        return False

    is_final = is_lost

    def renew(self) -> None:
        """Stay."""

    def hurry(self) -> bool:
        """Say how far the search came."""
        for each in self.waits:
            each.set_result(Answer((Shrunk((), None, 7, 7, 0.1, 0, 0, stopped="interrupted"), []), None))
        return True

    leave = close = renew


def pool_of(*answers: Any) -> tuple[Pool, list[Fake]]:
    """Return a pool of such workers."""
    workers = [Fake(str(number), answer) for number, answer in enumerate(answers)]
    plan = Plan(1, 5, budgets_of(Asked, Mock, {}), Budget())
    job = Job("key", Home.of(Asked), None, plan, {})
    return Pool(workers, [job] * len(workers), Coverage.of(Asked, Mock, ())), workers


def finding() -> Finding:
    """Return something to be shrunk."""
    failure = Failure(kind="check", name="a", step=None, command=None, message="wrong")
    return Finding(failure, Trace(steps=(), ending="failed", failure=failure), 1, 1)


def test_hand_whose_service_is_gone_leaves_its_work_to_the_others():
    """What a hand without a service was to do, another one does, and it gets nothing more."""
    made = Ran(0, 1, Coverage.of(Asked, Mock, ()))
    pool, workers = pool_of(UnreachableError("It does not start.", log="no more licences"), Answer(made, None))
    runs = [pool.run(number, ()).result(5) for number in range(4)]

    assert [made] * 4 == runs
    assert [1, 4] == [each.asked for each in workers]


def test_campaign_without_any_service_is_told_so():
    """When the last hand has no service any more, runs say that it is gone, and nothing is raised."""
    gone = UnreachableError("It does not start.", log="no more licences")
    pool, _ = pool_of(gone, gone)
    runs = [pool.run(number, ()).result(5) for number in range(2)]
    shrunk = pool.shrink(finding(), Watcher(), lambda _: None)

    assert [("It does not start.", "no more licences", "unreachable")] * 2 == [
        (each.died, each.log, each.trace.ending) for each in runs
    ]
    assert isinstance(shrunk.error, UnreachableError)
    assert 0 == pool.look_again(finding())


def test_hand_whose_service_died_in_a_run_is_not_asked_to_shrink():
    """A run that its service did not outlive is told, and what comes next is for the others."""
    died = Ran(0, 1, Coverage.of(Asked, Mock, ()), died="It died.", log="out of memory")
    pool, [worker] = pool_of(Answer(died, None))
    first, second = (pool.run(number, ()).result(5) for number in range(2))

    assert (died, "It died.", "out of memory") == (first, second.died, second.log)
    assert 1 == worker.asked


def test_search_that_is_interrupted_elsewhere_gives_the_best_so_far():
    """Ctrl-C while another process shrinks has it say how far it came."""
    pool, _ = pool_of(Answer(None, None))

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        shrunk = pool.shrink(finding(), Watcher(), lambda _: None)
    finally:
        signal.signal(signal.SIGALRM, before)

    assert (7, "interrupted") == (shrunk.executions, shrunk.stopped)
    assert isinstance(shrunk.error, KeyboardInterrupt)


def is_hurried(seconds: float) -> bool:
    """Say in another process whether it has heard of the interrupt."""
    return in_a_hurry.wait(seconds)


def test_search_ends_in_a_process_that_hears_of_the_interrupt():
    """What is said over the lifeline ends a search there, before the process ends."""
    worker = Process("0")
    try:
        before = worker.submit(is_hurried, 0.0).result(20)
        worker.hurry()
        after = worker.submit(is_hurried, 5.0).result(20)
    finally:
        worker.close()

    assert (False, True) == (before, after)
