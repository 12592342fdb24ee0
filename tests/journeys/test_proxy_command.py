"""replaykit proxy: a Toxiproxy of its own, in the foreground."""

import signal
import socket
import subprocess
import sys

import pytest
from conftest import environment, replaykit

from replaykit.toxiproxy import Toxiproxy


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_runs_until_it_is_stopped(number: int, code: int):
    """It says where its API is, can be steered there, and ends with the code of the signal."""
    words = [sys.executable, "-m", "replaykit", "proxy", "--port", "0"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stdout is not None
        api = Toxiproxy(process.stdout.readline().strip())
        _, port = api.create("a", ("127.0.0.1", 9))
        socket.create_connection(("127.0.0.1", port)).close()
        process.send_signal(number)
        out, _ = process.communicate(timeout=10)

    assert code == process.returncode
    assert f"VERDICT interrupted: stopped on request (exit {code})" == out.strip()


def test_a_port_that_is_taken_is_told():
    """Where something else listens, it exits with 129 and says so."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = replaykit("proxy", "--port", port)

    assert 129 == ran.code
    assert f"The proxy can't listen at 127.0.0.1:{port}: Address already in use." in ran.err
