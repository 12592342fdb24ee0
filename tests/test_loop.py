"""The loop: what waits for sockets and for time, and bears what goes wrong in one call."""

import socket
from collections.abc import Callable

import pytest

from replaykit.loop import READ, Loop


def watched(loop: Loop, call: Callable[[int], None], failed: Callable[[], None]) -> None:
    """Let a call be made for a socket that can be read, once."""
    one, other = socket.socketpair()
    other.close()

    def given_up() -> None:
        loop.forget(one)
        one.close()
        failed()

    loop.watch(one, READ, call, given_up)


@pytest.mark.parametrize("begin", [lambda loop, *calls: loop.later(0.0, *calls), watched])
def test_what_a_call_that_fails_was_for_is_given_up(begin: Callable[..., object], capfd: pytest.CaptureFixture[str]):
    """The error is told, `failed` is called, and whether that fails too or not, the loop goes on."""
    loop, given_up = Loop(), []

    def breaks(*_: int) -> None:
        raise ValueError("broken")

    def gives_up() -> None:
        given_up.append(1)
        raise ValueError("broken as well")

    begin(loop, breaks, gives_up)
    loop.later(0.02, loop.stop)
    loop.run()
    told = capfd.readouterr().err

    assert [1] == given_up
    assert "ValueError: broken\n" in told
    assert "ValueError: broken as well\n" in told
