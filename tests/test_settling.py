"""Settling: what is saved in the canonical form shows the bug offline, or is saved as it was."""

from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import ClassVar

import pytest
from conftest import Counting

from replaykit import Adapter, Command, Event, Model, expects, handles, integration, replay, reshrinking
from replaykit.reader import read
from replaykit.report import terminal
from replaykit.result import Result
from replaykit.verdict import Verdict


class Ask(Command):
    pass


class Asked(Event):
    late: bool


class Clock(Model):
    commands: ClassVar = (Ask,)

    @expects
    def ask(self, _: Ask) -> Asked:
        return Asked(late=False)


class ClockApi(Adapter[Clock]):
    """Fails in this century, by the date of the answer, or whatever that says."""

    by_date: bool = True
    resets: ClassVar[Iterator[int]] = iter(())  # ends where Ctrl-C comes

    def reset(self) -> None:
        if next(self.resets, 1) == 0:
            raise KeyboardInterrupt

    @handles
    def ask(self, _: Ask) -> Asked:
        answer = self.http.get("/clock")
        return Asked(late=not self.by_date or parsedate_to_datetime(answer.headers["Date"]).year > 2000)


def found(folder: Path, *, by_date: bool) -> Result:
    with Counting() as service:
        return integration.run(
            model=Clock, adapter=ClockApi, base_url=service.url, save_failures=folder, health_check="none", max_runs=1,
            max_commands=2, seed=1, settings={"by_date": str(by_date).lower()}, free_port=True,
        )  # fmt: skip


@pytest.mark.parametrize("by_date", [True, False])
def test_times_that_are_judged_stay(by_date: bool, tmp_path: Path):
    """A bug that does not show offline without the dates is saved with them, and that is said; another without."""
    result = found(tmp_path, by_date=by_date)
    [finding] = result.failures
    assert finding.path is not None
    bundle = read(finding.path)
    settings = {"by_date": str(by_date).lower()}
    replayed = replay(bundle, model=Clock, adapter=ClockApi, offline=True, settings=settings)

    assert Verdict.REPRODUCED == replayed.verdict
    assert (None if by_date else True) == bundle.origin.canonical
    said = "with its times and ids: without them, an offline replay is fixed, with them reproduced"
    assert by_date == (said in terminal.render(result))


def test_reshrinking_keeps_times_that_are_judged(tmp_path: Path):
    """What is shrunk again is saved with its dates too, where they are needed."""
    with Counting() as service:
        run = integration.run(
            model=Clock, adapter=ClockApi, base_url=service.url, save_failures=tmp_path, health_check="none",
            max_runs=1, seed=1, budget=integration.Budget(executions=0), free_port=True,
        )  # fmt: skip
        [path] = [finding.path for finding in run.failures]
        assert path is not None
        known = read(path)
        [step] = known.trace.steps
        long = known.replace(trace=known.trace.replace(steps=(step, step.replace(call=step.call.replace(label=1)))))
        reshrunk = reshrinking.reshrink(long, path, model=Clock, adapter=ClockApi, url=service.url,
                                        output=tmp_path / "small.pd")  # fmt: skip

    assert "simpler" == reshrunk.outcome
    assert read(tmp_path / "small.pd").origin.canonical is None
    assert "an offline replay is fixed" in (reshrunk.finding.timed or "")


def test_what_was_found_is_saved_before_an_interrupt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Ctrl-C while a bug is looked at offline ends the campaign after it was saved, as it was."""
    monkeypatch.setattr(ClockApi, "resets", iter([1, 0]))
    result = found(tmp_path, by_date=False)
    [finding] = result.failures

    assert isinstance(result.interrupted, KeyboardInterrupt)
    assert finding.path is not None
    assert read(finding.path).origin.canonical is None
    assert "interrupted" in (finding.timed or "")
