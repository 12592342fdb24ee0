"""Locks: who has something, as long as it lives."""

import fcntl
import threading
import time
from pathlib import Path

import pytest

from replaykit.lock import Lock, locked


def test_one_holder_has_it_alone(tmp_path: Path):
    """What is taken is not to be had, until it is let go of."""
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")

    assert [True, False] == [first.take(), second.take()]
    first.release()

    assert second.take()
    second.release()


def test_those_who_share_it_keep_out_who_wants_it_alone(tmp_path: Path):
    """Several may share it, and then nobody has it alone."""
    first, second, third = (Lock(tmp_path / "lock") for _ in range(3))

    assert [True, True, False] == [first.take(shared=True), second.take(shared=True), third.take()]
    first.release()
    second.release()


def test_a_file_that_was_removed_locks_nothing(tmp_path: Path):
    """Who holds it may remove the file; who comes then has it, and nobody beside."""
    first, second, third = (Lock(tmp_path / "lock") for _ in range(3))
    assert first.take()
    first.release(removed=True)

    assert not (tmp_path / "lock").exists()
    assert [True, False] == [second.take(), third.take()]
    second.release()


def test_a_file_that_is_removed_while_it_is_taken_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Who had it before removes it just then: what is held in the end is the file that others see."""
    real, count = fcntl.flock, []

    def flock(file: int, how: int) -> None:
        if not count:
            (tmp_path / "lock").unlink()
        count.append(file)
        real(file, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    lock = Lock(tmp_path / "lock")

    assert lock.take()
    assert 2 == len(count)
    assert not Lock(tmp_path / "lock").take()
    lock.release()


def test_who_waits_has_it_after_the_other(tmp_path: Path):
    """Of several threads one is inside at a time, also where each removes the file."""
    inside, most = [0], [0]

    def enter() -> None:
        for _ in range(20):
            lock = Lock(tmp_path / "lock")
            lock.wait()
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.001)  # in which somebody else would come in
            inside[0] -= 1
            lock.release(removed=True)

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with locked(tmp_path / "lock"):
        assert not Lock(tmp_path / "lock").take()

    assert ([0], [1]) == (inside, most)
