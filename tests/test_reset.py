"""Resets: what is done before each execution, and what it means where it fails."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Counting, environment

from replaykit import reset
from replaykit.client import Client
from replaykit.errors import UnreachableError, UsageError
from replaykit.reset import Resets, place_of

PYTHON = sys.executable


@pytest.fixture
def counting() -> Iterator[Counting]:
    """Give a service that counts requests."""
    with Counting() as service:
        yield service


def test_nothing_is_done_where_nothing_was_asked_for():
    """Resets that ask for nothing are false, all others true."""
    asked = [Resets(url="/reset"), Resets(command="true"), Resets(restart=True)]

    assert [False, True, True, True] == [bool(each) for each in [Resets(), *asked]]


def test_a_path_and_a_url_with_a_placeholder_lie_at_the_service():
    """Where a reset is asked for: a path, a URL with {url} in it, or a URL elsewhere."""
    url = "http://127.0.0.1:1/api"
    places = [place_of(url, each) for each in ("/reset", "reset", "{url}/reset", "http://127.0.0.1:2/all/")]

    assert [f"{url}/reset", f"{url}/reset", f"{url}/reset", "http://127.0.0.1:2/all"] == places


@pytest.mark.parametrize(
    "asked", [{"command": ""}, {"command": "echo 'unclosed"}, {"url": "ftp://x/reset"}, {"url": "http://x:99999"}]
)
def test_what_can_not_be_a_reset_is_a_usage_error(asked: dict[str, str]):
    """An empty command, one with open quotes and a URL of another kind are told before anything is run."""
    with pytest.raises(UsageError):
        Resets(**asked)


def test_a_reset_is_asked_for_with_post_and_goes_past_the_tape(counting: Counting):
    """The service hears of a reset, what listens to the requests of a run does not."""
    heard = []

    class Tape:
        plays = False

        def answer(self, request):
            heard.append(request.url)

        def keep(self, interaction):
            heard.append(interaction)

    with Client(counting.url) as client:
        client.headers["Authorization"] = "Bearer secret"
        with client.through(Tape()):
            Resets(url="/reset").ask(client, counting.url)

    assert ([], 1) == (heard, counting.count)


def test_a_reset_that_is_not_answered_with_a_2xx_is_unreachable(counting: Counting):
    """Where nobody listens, the reset says so, and what to do."""
    with Client(counting.url) as client, pytest.raises(UnreachableError, match=r"(?s)POST .*/reset.*2xx"):
        Resets(url="http://127.0.0.1:9/reset").ask(client, counting.url)


def test_a_command_gets_the_url_and_the_port_and_no_shell(tmp_path: Path):
    """{url} and {port} are filled in, PORT is set, and what a shell would read stays as it is."""
    seen = tmp_path / "seen"
    code = "import os, sys; open(sys.argv[1], 'w').write(repr([sys.argv[2:], os.environ['PORT']]))"
    Resets(command=f'{PYTHON} -c "{code}" {seen} {{url}}/x {{port}} $HOME ; >').call(
        "http://127.0.0.1:4711", environment()
    )

    assert repr([["http://127.0.0.1:4711/x", "4711", "$HOME", ";", ">"], "4711"]) == seen.read_text()


def test_a_command_that_fails_is_unreachable_with_its_output():
    """An exit code that is not 0 is told, with the last lines that the command printed."""
    command = f"{PYTHON} -c \"print('no database'); raise SystemExit(3)\""
    with pytest.raises(UnreachableError, match=r"(?s)exited with 3.*no database"):
        Resets(command=command).call("http://127.0.0.1:1", environment())


def test_a_program_that_is_not_there_is_a_usage_error_and_a_missing_script_is_not():
    """What is not on PATH is the same at every commit; a script of the checkout may come and go."""
    with pytest.raises(UsageError, match="no-such-program-here"):
        Resets(command="no-such-program-here").call("http://127.0.0.1:1", environment())
    with pytest.raises(UnreachableError, match="exited with 127"):
        Resets(command="./no-such-script").call("http://127.0.0.1:1", environment())


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        (f"{PYTHON} -c 'raise SystemExit(2)' > /dev/null", "write sh -c '...' around it"),
        (f"{PYTHON} -c 'raise SystemExit(2)' 2>/dev/null", "write sh -c '...' around it"),
        ("false && true", "write sh -c '...' around it"),
        ("false; true", "There is no program false; to reset the service with.\nNo shell reads"),
        ("false x; true", "write sh -c '...' around it"),
        ("DB=/tmp/x true", "write env DB=/tmp/x ..."),
        ("false a=b --where a>b", ""),
    ],
)
def test_what_only_a_shell_reads_is_told_where_the_command_fails(command: str, hint: str):
    """A redirection, a pipe or a variable in a command that fails comes with what to write instead."""
    with pytest.raises((UnreachableError, UsageError)) as raised:
        Resets(command=command).call("http://127.0.0.1:1", environment())

    assert hint in str(raised.value)
    assert bool(hint) or "No shell" not in str(raised.value)


def test_a_command_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Beyond its time, a command is killed, and the reset has failed."""
    monkeypatch.setattr(reset, "COMMAND_PATIENCE", 0.3)
    mark = tmp_path / "pid"
    command = f"{PYTHON} -S -c \"import os, time; open('{mark}', 'w').write(str(os.getpid())); time.sleep(60)\""
    began = time.monotonic()
    with pytest.raises(UnreachableError, match=r"took more than 0\.3 seconds"):
        Resets(command=command).call("http://127.0.0.1:1", environment())

    assert time.monotonic() - began < 10
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)
