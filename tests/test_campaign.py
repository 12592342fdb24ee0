"""The campaign: runs are committed in order, whoever makes them, and what it is told is checked."""

from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future
from pathlib import Path

import pytest

from examples.leaderboard import Leaderboard
from replaykit import Mock, integration
from replaykit.adapter import Adapters
from replaykit.campaign import Campaign
from replaykit.coverage import MAX_ENDPOINTS, Coverage
from replaykit.crew import Alone
from replaykit.errors import UnreachableError
from replaykit.finding import Finding
from replaykit.latency import budgets_of
from replaykit.result import Result
from replaykit.runner import Plan, Ran, Runner, slow_again
from replaykit.shrink import UNREACHABLE, Budget, Shrunk
from replaykit.trace import Trace
from replaykit.verdict import Failure
from replaykit.watcher import Several, Watcher


def result_of(seed: int, runs: int) -> Result:
    """Return the result of a campaign that has not begun."""
    return Result(Leaderboard, Mock, ("leaderboard", "mock"), seed, runs)


class Backwards(Alone):
    """A crew that has the later of two runs done first."""

    ahead = 4

    def __init__(self, runner: Runner) -> None:
        super().__init__(runner)
        self.asked: list[tuple[int, Future[Ran]]] = []
        self.made: list[int] = []

    def run(self, index: int, known: Collection[str]) -> Future[Ran]:
        del known
        future: Future[Ran] = Future()
        self.asked.append((index, future))
        if len(self.asked) == self.ahead:
            for number, waiting in reversed(self.asked):
                self.made.append(number)
                waiting.set_result(self._runner.run(number))
            self.asked = []
        return future


class Heard(Watcher):
    """Writes down which runs were over, in which order."""

    def __init__(self) -> None:
        self.runs: list[tuple[int, int]] = []

    def ran(self, number: int, trace: Trace, seconds: float) -> None:
        del seconds
        self.runs.append((number, len(trace.steps)))


def heard_with(kind: type[Alone]) -> tuple[list[tuple[int, int]], Result, Alone]:
    """Run a campaign of eight runs with a crew; return what its watcher heard."""
    result, heard = result_of(3, 8), Heard()
    adapters = Adapters(Leaderboard, Mock, None, {})
    plan = Plan(3, 6, budgets_of(Leaderboard, Mock, {}), Budget())
    crew = kind(Runner(plan, adapters, result.coverage))
    assert [] == list(Campaign(result, crew, Several(heard, Watcher())).go())
    return heard.runs, result, crew


def test_runs_are_committed_in_their_order():
    """A crew that makes runs in another order changes nothing of what is told and counted."""
    runs, result, _ = heard_with(Alone)
    others, same, crew = heard_with(Backwards)

    assert isinstance(crew, Backwards)
    assert [3, 2, 1, 0, 7, 6, 5, 4] == crew.made
    assert [1, 2, 3, 4, 5, 6, 7, 8] == [number for number, _ in runs]
    assert runs == others
    assert (result.total_runs, result.passed, result.steps) == (same.total_runs, same.passed, same.steps)
    assert result.coverage == same.coverage
    assert sum(result.coverage.commands.values()) == result.steps > 0


class Mortal(Alone):
    """A crew whose service dies in some of the runs, and is started again."""

    def run(self, index: int, known: Collection[str]) -> Future[Ran]:
        future = super().run(index, known)
        future.result().restarts = int("11101111"[index])
        return future


def test_service_is_given_up_where_it_dies_in_one_run_after_the_other():
    """Deaths in a row are those of the runs in their order, whoever made them; after a run without one, it is anew."""
    runs, result, _ = heard_with(Mortal)

    assert "The service died after each of 3 restarts in a row." == result.died
    assert 8 == len(runs) == result.total_runs
    assert 6 == result.restarts


class Gone(Alone):
    """A crew whose service is gone when something is to be shrunk."""

    asked = 0

    def __init__(self, runner: Runner) -> None:
        super().__init__(runner)
        self.shrink = self.fail

    def fail(self, finding: Finding, watcher: Watcher, meet: Callable[[Trace], None]) -> Shrunk:
        """Say so."""
        del watcher, meet
        self.asked += 1
        gone = UnreachableError("It is gone.")
        return Shrunk(finding.trace.sequence, None, 0, 0, 0.0, 0, 0, stopped=UNREACHABLE, error=gone)


def test_nothing_is_shrunk_when_the_service_is_gone():
    """What waits to be shrunk when the service is gone is left as it is, for the hunt that goes on."""
    result, plan = result_of(3, 8), Plan(3, 6, budgets_of(Leaderboard, Mock, {}), Budget())
    runner = Runner(plan, Adapters(Leaderboard, Mock, None, {}), result.coverage)
    crew, trace = Gone(runner), runner.run(0).trace
    waiting = [Finding(failed(name), trace, 1, 1) for name in "ab"]
    list(Campaign(result, crew, Watcher(), waiting=deque(waiting)).go())

    assert ("It is gone.", 0, 1) == (result.died, result.total_runs, crew.asked)
    assert [True, False] == [each.shrunk is not None for each in waiting]


def failed(name: str) -> Failure:
    """Return a failure of a check."""
    return Failure(kind="check", name=name, step=None, command=None, message="wrong")


def test_bug_that_can_not_be_run_is_not_looked_for_again():
    """A secret whose value is not known can't be sent, so nothing is said of whether the bug is gone."""
    result, plan = result_of(3, 8), Plan(3, 6, budgets_of(Leaderboard, Mock, {}), Budget())
    runner = Runner(plan, Adapters(Leaderboard, Mock, None, {}), result.coverage)
    trace = runner.run(0).trace
    first, *rest = trace.steps
    covered = trace.replace(steps=(first.replace(call=first.call.replace(args={"name": "REDACTED.name.1"})), *rest))
    looks = []
    for each in (trace, covered):
        finding = Finding(failed("a"), each, 1, 1)
        finding.shrunk = Shrunk(trace.sequence, each, 1, 1, 0.0, 5, 5)
        looks.append(runner.look_again(finding))

    assert looks[0] > 0
    assert 0 == looks[1]


def test_run_that_forgave_what_is_known_to_be_slow_is_made_again():
    """A run that was asked for before a slow answer was found, and forgave the same one, is made again."""
    blank = result_of(3, 8).coverage
    forgiving = Ran(1, 1, blank, Trace(steps=(), ending="passed"), slow=frozenset({"12345678"}))

    assert slow_again(forgiving, frozenset({"12345678"}))
    assert not slow_again(forgiving, frozenset({"87654321"}))
    assert not slow_again(Ran(1, 1, blank), frozenset({"12345678"}))


def test_known_bug_whose_bundle_has_gone_is_a_new_one(tmp_path: Path):
    """A bundle that somebody takes away during the campaign does not end it."""
    result, plan = result_of(3, 8), Plan(3, 6, budgets_of(Leaderboard, Mock, {}), Budget(executions=0))
    runner = Runner(plan, Adapters(Leaderboard, Mock, None, {}), result.coverage)
    crew, failure = Failing(runner), failed("a")
    corpus = {failure.fingerprint: tmp_path / "gone.pd"}
    found = list(Campaign(result, crew, Watcher(), corpus=corpus, shrinks=False).go())

    assert [failure.fingerprint] == [each.fingerprint for each in found]
    assert [] == result.known


class Failing(Alone):
    """A crew each of whose runs fails in the same way."""

    def run(self, index: int, known: Collection[str]) -> Future[Ran]:
        future = super().run(index, known)
        ran = future.result()
        ran.trace = ran.trace.replace(ending="failed", failure=failed("a"))
        return future


def test_unknown_option_is_no_option(tmp_path: Path):
    """A misspelled option is told, as Python tells of a wrong keyword, and is not taken for nothing."""
    with pytest.raises(TypeError, match="has no option 'max_comands'; it has base_url, start, "):
        integration.run(model=Leaderboard, adapter=Mock, max_comands=3)  # type: ignore[call-arg]

    assert [] == list(tmp_path.iterdir())


def test_merged_coverage_has_no_more_places_than_one():
    """What has no room any more in the table of endpoints is counted as left out, and the rest is added up."""
    one, other = Coverage(), Coverage()
    one.endpoints.update({("GET", f"/{number}", "200"): 1 for number in range(MAX_ENDPOINTS - 1)})
    other.endpoints.update({("GET", "/0", "200"): 2, ("GET", "/new", "200"): 3, ("GET", "/newer", "200"): 4})
    other.endpoints_left_out = 5
    one.merge(other)

    assert MAX_ENDPOINTS == len(one.endpoints)
    assert (3, 3) == (one.endpoints["GET", "/0", "200"], one.endpoints["GET", "/new", "200"])
    assert 9 == one.endpoints_left_out
