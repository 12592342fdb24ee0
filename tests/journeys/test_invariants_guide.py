"""The guide to invariants: each model finds the bug that it is shown with, and nothing on a service without bugs."""

import contextlib
import functools
import re
import subprocess
import sys
import types
from typing import Any

import pytest
from conftest import ROOT, environment

from examples.leaderboard import LeaderboardApi
from examples.toybank import BankApi
from examples.travelbooking import TravelApi
from replaykit import Budget, Model, integration, service
from replaykit.result import Result

GUIDE = (ROOT / "docs" / "guides" / "invariants.md").read_text(encoding="utf-8")
ADAPTERS = {"leaderboard": LeaderboardApi, "toybank": BankApi, "travelbooking": TravelApi}
SNIPPETS = re.findall(r"(?ms)^<!-- (finds|blind|alarm): (.*?) -->\n```python\n(.*?)^```$", GUIDE)
ALONE = ("pays-twice", "ghost-player")  # bugs that models of others would find too
COMMANDS = re.findall(r"(?ms)^<!-- exit: (\d+) -->\n```sh\n(.*?)^```$", GUIDE)


@functools.cache
def models() -> list[tuple[str, list[str], type[Model]]]:
    """Run the programs of the guide, in their order; of each, what it shows, on what, and its last model."""
    module = types.ModuleType("invariants_guide")
    sys.modules[module.__name__] = module  # annotations are looked up there
    found: list[tuple[str, list[str], type[Model]]] = []
    for shows, what, text in SNIPPETS:
        exec(compile(text, "invariants.md", "exec"), module.__dict__)  # noqa: S102  our own page
        name = re.findall(r"(?m)^class (\w+)\(", text)[-1]
        found.append((shows, what.split(), module.__dict__[name]))
    return found


class Street:
    """The services of the guide, each started when it is asked for."""

    def __init__(self, stack: contextlib.ExitStack, name: str, options: str) -> None:
        self.stack, self.name, self.options = stack, name, options
        self.urls: dict[str, str] = {}

    def url(self, bug: str = "") -> str:
        """Give the URL of the service with a bug, and maybe others that do not hide it; or without any."""
        together = [more[0] for _, [place, *more], _ in models() if place == self.name and more]
        bugs = {bug} if bug in ALONE else set(together) - set(ALONE) if bug else set()
        known = " ".join(f"--bug {each}" for each in sorted(bugs))
        if known not in self.urls:
            start = f"python -m examples.{self.name} --port {{port}} {known} "
            start += self.options.format(schema=f"s{len(self.urls)}")
            reached = service.reached(url=None, start=start, health=None, patience=60)
            self.urls[known] = self.stack.enter_context(reached)
        return self.urls[known]


def campaign(model: type[Model], name: str, url: str, runs: int) -> Result:
    """Run a campaign with the same seed each time."""
    options: dict[str, Any] = {"seed": 1, "max_commands": 30, "stop_on_fail": True, "budget": Budget(executions=0)}
    return integration.run(model=model, adapter=ADAPTERS[name], base_url=url, max_runs=runs, **options)


def held(name: str, options: str = "") -> int:
    """Hold the models that are about a service against it; return how many there are."""
    count = 0
    with contextlib.ExitStack() as stack:
        street = Street(stack, name, options)
        for shows, [place, *more], model in models():
            if place != name:
                continue
            count += 1
            sound = campaign(model, name, street.url(), 4)
            if shows == "alarm":
                assert sound.failures, model
                continue
            assert sound.success, (model, sound.failures, sound.trouble)
            broken = campaign(model, name, street.url(more[0]), 60 if shows == "finds" else 10)
            if shows == "finds":
                assert [more[1]] == [each.failure.name for each in broken.failures], (model, broken.trouble)
            else:
                assert broken.success, (model, broken.failures, broken.trouble)
    return count


def test_models_of_the_leaderboard():
    """Each finds its bug; the one that can't fail does not; the one that depends on an order gives a false alarm."""
    assert 5 == held("leaderboard")


def test_models_of_toybank(database: str):
    """Each finds its bug; the one that compares the model with itself does not."""
    assert 6 == held("toybank", f" --database-url {database} --schema {{schema}}")


def test_models_of_travelbooking():
    """Each finds its bug."""
    assert 2 == held("travelbooking")


def test_every_program_of_the_guide_is_one_of_these():
    """No program stands in the guide without a mark, so that all of them are held above."""
    assert len(SNIPPETS) == GUIDE.count("```python\n") == 5 + 6 + 2
    assert len(COMMANDS) == GUIDE.count("```sh\n")


@pytest.mark.parametrize(("code", "command"), COMMANDS, ids=lambda each: each[:40])
def test_commands_of_the_guide(code: str, command: str, database: str):
    """Each command exits with the code that the guide tells."""
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=environment(DATABASE_URL=database), text=True, timeout=120, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip

    assert int(code) == done.returncode, done.stdout


def test_numbers_of_judging_methods_are_those_of_the_examples():
    """The guide counts the methods of the examples' models that judge something as they are."""
    from examples.leaderboard import Leaderboard
    from examples.toybank import Bank
    from examples.travelbooking import Travel

    counts = sorted(
        len(set(model.rules.expects.values())) + len(model.rules.invariants) + len(model.rules.checks)
        for model in (Leaderboard, Bank, Travel)
    )
    told = re.search(r"examples have (\d+), (\d+) and (\d+) methods that judge", GUIDE)

    assert told
    assert counts == [int(each) for each in told.groups()]
