"""The aftermath: what a service says that dies is no finding, and a campaign says that it died."""

import sys
from pathlib import Path

import pytest
from mortal import Tally, TallyApi, Untouched

from replaykit import integration
from replaykit.corpus import known_in
from replaykit.reader import read
from replaykit.replaying import replay
from replaykit.report import terminal
from replaykit.reset import Resets
from replaykit.result import Result
from replaykit.service import opened
from replaykit.verdict import NOT_JUDGED, Verdict

SERVICE = f"{sys.executable} -S {Path(__file__).with_name('dying.py')} {{port}}"


def campaign(how: str, **options: object) -> Result:
    """Run a campaign against a service that dies in a chosen way."""
    options = {"seed": 2, "max_runs": 8, "max_commands": 5, "health_check": "/", **options}
    return integration.run(model=Tally, adapter=TallyApi, start=f"{SERVICE} {how}", **options)


@pytest.mark.parametrize(("how", "last"), [("in", "  | out of memory"), ("after", "")])
def test_a_service_that_dies_in_a_run_is_no_bug(how: str, last: str, tmp_path: Path):
    """Dying in a request, or just after a 5xx: nothing is found or saved, and the last lines are there."""
    result = campaign(how, save_failures=tmp_path)

    assert ([], [], NOT_JUDGED) == (result.failures, list(tmp_path.glob("*.pd")), result.exit_code)
    assert ("the service ended (exit code 3)", last) == (result.died, result.log)
    assert 1 == result.not_judged == result.total_runs
    assert result.died in terminal.verdict(result)
    assert last.removeprefix("  | ") in terminal.verdict(result)


def test_a_service_that_gets_sick_ends_the_campaign():
    """A service that answers its health check with an error is not tested any longer."""
    result = campaign("sick", max_runs=1000)

    assert NOT_JUDGED == result.exit_code
    assert "it answers 503" in result.died
    assert result.total_runs < 1000


def test_a_candidate_that_kills_the_service_ends_shrinking_and_what_was_found_is_kept(tmp_path: Path):
    """A service that dies while a bug is shrunk leaves the bug found, saved and not confirmed."""
    result = campaign("wrong", save_failures=tmp_path)
    [finding] = result.failures
    [path] = tmp_path.glob("*.pd")
    shrinking = read(path).provenance.shrinking

    assert ("the service ended (exit code 3)", "  | out of memory", 1) == (result.died, result.log, result.exit_code)
    assert finding.shrunk is not None
    assert shrinking is not None
    assert not shrinking.confirmed
    assert "then the service was gone" in terminal.verdict(result)
    assert {} == known_in([tmp_path], ("mortal:Tally", "mortal:TallyApi"))  # another hunt goes on with it


def test_with_restart_shrinking_goes_on_past_a_candidate_that_kills(tmp_path: Path):
    """A service that died of a candidate is started again, and the bug is shrunk to its end."""
    result = campaign("wrong", save_failures=tmp_path, restart=True, max_runs=1)
    [finding] = result.failures

    assert [{"number": 8}] == [call.args for call in finding.trace.sequence]
    assert finding.shrunk is not None
    assert finding.shrunk.confirmed
    assert ("", 1) == (result.died, result.restarts)


@pytest.mark.parametrize("health", ["/", "none"])
def test_with_restart_a_campaign_goes_on_and_the_run_is_not_judged(health: str, tmp_path: Path):
    """The run in which the service died says nothing; the others are judged, and the restart is told."""
    result = campaign(f"once {tmp_path / 'mark'}", restart=True, health_check=health)

    assert (8, 7, 1, 1, "") == (result.total_runs, result.passed, result.not_judged, result.restarts, result.died)
    assert NOT_JUDGED == result.exit_code
    assert "1 restart of the service" in terminal.summary(result)


def test_a_service_that_dies_in_each_run_is_given_up(tmp_path: Path):
    """It is started again a few times in a row, and then the campaign ends."""
    result = campaign("in", restart=True, max_runs=100, max_commands=50)

    assert "each of 3 restarts in a row" in result.died
    assert ([], 4, 3) == (result.failures, result.total_runs, result.restarts)


def test_a_reset_that_fails_ends_the_campaign_and_is_no_bug():
    """A reset that is answered with 404 is told as such; no run is made after it."""
    result = campaign("well", reset_url="/no-such-reset")

    assert (NOT_JUDGED, 1, 0) == (result.exit_code, result.total_runs, result.requests)
    assert "The reset failed: POST" in terminal.verdict(result)
    assert "it answers 404" in terminal.verdict(result)


def test_each_execution_is_reset(tmp_path: Path):
    """An adapter without a reset of its own tests a service that is reset by a URL, as one that has one."""
    options = {"model": Tally, "adapter": Untouched, "start": f"{SERVICE} well", "health_check": "/", "seed": 1}
    without = integration.run(**options, max_runs=3)
    with_reset = integration.run(**options, max_runs=3, reset_url="{url}/reset")

    assert (1, 0) == (without.exit_code, with_reset.exit_code)


def test_a_bug_near_the_start_is_found_shrunk_and_replayed_with_reset_restart(tmp_path: Path):
    """What shows only just after a start shows in each run that has a start of its own, and in no other."""
    options = {"seed": 11, "max_commands": 3, "max_runs": 6}
    without = campaign("early", **options)
    found = campaign("early", **options, reset_restart=True, stop_on_fail=True, save_failures=tmp_path)
    [finding] = found.failures
    [path] = tmp_path.glob("*.pd")
    saved = read(path)

    def replayed(resets: Resets) -> list[Verdict]:
        with opened(url=None, start=f"{SERVICE} early", health="/", patience=None, resets=resets) as running:
            return [
                replay(saved, model=Tally, adapter=TallyApi, url=running.url, running=running, times=times).verdict
                for times in (3, 4)  # the first begins where the service does
            ]

    assert [] == without.failures
    assert finding.first_seen_run > 1
    assert finding.shrunk is not None
    assert finding.shrunk.confirmed
    assert [{"number": 8}] == [call.args for call in saved.trace.sequence]
    assert [Verdict.REPRODUCED, Verdict.REPRODUCED] == replayed(Resets(restart=True))
    assert [Verdict.REPRODUCED, Verdict.FIXED] == replayed(Resets())


def test_recordings_of_an_earlier_campaign_are_told(tmp_path: Path):
    """Who records into a folder with recordings hears how many are there, and what becomes of them."""
    first = campaign("well", record=tmp_path, max_runs=2, max_commands=1)
    second = campaign("well", record=tmp_path, max_runs=1, max_commands=1, seed=4)

    assert [] == first.notes
    assert [
        f"{tmp_path} holds 2 recorded runs already: those with the numbers of new ones are replaced, the others stay."
    ] == second.notes


def test_runs_that_pass_are_recorded_and_replayed(tmp_path: Path):
    """Each run that passes has a bundle of its own, whose replay passes offline, and fails where there is a bug."""
    campaign("well", record=tmp_path, max_runs=2)
    first, second = sorted(tmp_path.iterdir())
    offline = replay(read(first), model=Tally, adapter=TallyApi, offline=True)
    with opened(url=None, start=f"{SERVICE} wrong", health="/", patience=None) as running:
        live = replay(read(first), model=Tally, adapter=TallyApi, url=running.url)

    assert ["run-000001.pd", "run-000002.pd"] == [first.name, second.name]
    assert (Verdict.PASSED, Verdict.FAILED) == (offline.verdict, live.verdict)


def test_a_replay_says_that_the_service_died_that_it_started(tmp_path: Path):
    """The reason is not only that an answer was lost: the process was ours, and ended."""
    campaign("wrong", save_failures=tmp_path, stop_on_fail=True)
    [path] = tmp_path.glob("*.pd")
    with opened(url=None, start=f"{SERVICE} in", health="/", patience=None) as running:
        replayed = replay(read(path), model=Tally, adapter=TallyApi, url=running.url, running=running)

    assert Verdict.UNREACHABLE is replayed.verdict
    assert replayed.reason.endswith("; the service ended (exit code 3)")
