"""A sitting: what is told of bundles that are judged one after the other."""

import asyncio
import secrets
import shutil
from pathlib import Path

import pytest
from matrix import Till, written
from mortal import Add, Added, TallyApi

from replaykit import Event, court, handles
from replaykit.errors import Terminated
from replaykit.verdict import NOT_JUDGED

TOKENS: list[str] = []
RAISED: list[BaseException] = []


class Greeted(Event):
    """Something else than a total."""

    text: str


class Telling(TallyApi):
    """Has a session, and tells its token where it should not."""

    @handles
    def add(self, cmd: Add) -> Greeted | Added:
        """Log in, and add."""
        TOKENS.append(secrets.token_hex(8))
        answer = self.http.post("/add", json={"number": cmd.number}, headers={"Authorization": f"Bearer {TOKENS[-1]}"})
        return Greeted(text=f"{answer.status_code} for {TOKENS[-1]}")


class Leaving(TallyApi):
    """Gives up, once, before a service is asked."""

    def reset(self) -> None:
        """Do what no adapter should."""
        if RAISED:
            raise RAISED.pop()
        super().reset()


def test_secrets_of_a_session_are_told_by_nobody(tmp_path: Path):
    """Of what only the run knows as secret, nothing stands in the docket: not in the reason, not in the steps."""
    written(tmp_path / "a.pd")
    with Till("buggy") as till:
        said = {"url": till.url, "health": "/", "model": "mortal:Tally", "adapter": "test_sitting:Telling"}
        docket = court.run([tmp_path], said=said, times=1)
    text = docket.model_dump_json()

    assert "not judged" == docket.outcome, docket
    assert "REDACTED." in docket.entries[0].reason
    assert "REDACTED." in "\n".join(docket.entries[0].steps)
    assert [] == [each for each in TOKENS if each in text]


@pytest.mark.parametrize("error", [SystemExit(0), asyncio.CancelledError(), GeneratorExit(), RuntimeError("no")])
def test_an_adapter_that_gives_up_does_not_hide_the_others(error: BaseException, tmp_path: Path):
    """It is told of the bundle that it happened to, and the next one is judged."""
    written(tmp_path / "a.pd")
    shutil.copy(tmp_path / "a.pd", tmp_path / "b.pd")
    RAISED[:] = [error]
    docket = court.run([tmp_path], offline=True, said={"model": "mortal:Tally", "adapter": "test_sitting:Leaving"})
    first, second = docket.entries

    assert ("expected", 0) == (second.outcome, second.exit_code), second
    assert first.exit_code >= NOT_JUDGED
    assert type(error).__name__ in first.reason


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Terminated(15)])
def test_who_is_told_to_stop_stops(error: KeyboardInterrupt, tmp_path: Path):
    """A signal ends the suite, whoever is at work when it comes."""
    written(tmp_path / "a.pd")
    RAISED[:] = [error]
    docket = court.run([tmp_path], offline=True, said={"model": "mortal:Tally", "adapter": "test_sitting:Leaving"})

    assert ("interrupted", ()) == (docket.outcome, docket.entries)
    assert docket.exit_code in {130, 143}
