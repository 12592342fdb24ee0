"""The ledger: lines with sums, of which at most the last is lost."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from conftest import environment

from replaykit import ledger as ledger_module
from replaykit.errors import JournalError, UnwritableError, UsageError
from replaykit.ledger import Advice, Ledger, last_in, locked

ADVICE = Advice(broken="Begin anew.", unread="Begin anew.", unwritten="Make room.")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a file with three lines."""
    written = Ledger(tmp_path / "lines.jsonl", ADVICE)
    written.begin()
    for number in range(3):
        written.write("number", {"number": number, "said": "\u00e9\n\u2028"})
    written.close()
    return written.path


def numbers(path: Path) -> list[int]:
    """Read the numbers that the lines of a file say."""
    return [data["number"] for _, _, data in Ledger(path, ADVICE).read()]


def test_what_was_written_is_read(path: Path):
    """Lines come back with their numbers and kinds, and without their sums."""
    assert [(1, "number", {"number": 0, "said": "\u00e9\n\u2028"})] == list(Ledger(path, ADVICE).read())[:1]
    assert [0, 1, 2] == numbers(path)
    assert path.read_bytes().isascii()


def test_a_file_that_is_cut_anywhere_goes_on_after_its_last_whole_line(path: Path):
    """Whatever byte was the last, the lines before are read, and the next line comes after them."""
    content = path.read_bytes()
    ends = [place + 1 for place, byte in enumerate(content) if byte == ord("\n")]
    for cut in range(len(content)):
        path.write_bytes(content[:cut])
        whole = sum(end <= cut for end in ends)
        again = Ledger(path, ADVICE)
        kept = [data["number"] for _, _, data in again.read()]
        again.go_on()
        again.write("number", {"number": 9})
        again.close()

        assert list(range(whole)) == kept, cut
        assert [*range(whole), 9] == numbers(path), cut


@pytest.mark.parametrize("place", [5, 60, 150])
def test_a_line_that_was_changed_is_told_with_its_number(path: Path, place: int):
    """A byte that is another one is noticed, unless it is in the last line, which counts as not written."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    number = bytes(content[:place]).count(b"\n") + 1

    if number < 3:
        with pytest.raises(JournalError, match=f"lines.jsonl, line {number}: it was changed, or broken"):
            numbers(path)
    else:
        assert [0, 1] == numbers(path)


def test_lines_that_change_places_are_told(path: Path):
    """Each sum takes in the line before, so no line can be left out or moved."""
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], lines[2], lines[1]]))

    with pytest.raises(JournalError, match="line 2: it was changed"):
        numbers(path)


def test_no_file_and_no_regular_file_are_told(tmp_path: Path):
    """A folder, and a pipe that would never end, are no ledgers."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "nothing"):
        with pytest.raises(JournalError, match="line 1: it is no regular file"):
            numbers(path)


def test_a_line_that_can_not_be_written_leaves_no_part_of_it(path: Path, monkeypatch: pytest.MonkeyPatch):
    """A full disk, or Ctrl-C in the middle of a line, leaves what was there, and what comes later fits."""
    again = Ledger(path, ADVICE)
    assert 3 == len(list(again.read()))
    again.go_on()
    real = os.write
    for error, told in ((OSError(28, "No space left on device"), UnwritableError), (KeyboardInterrupt(), None)):

        def full(file: int, content: bytes, error: BaseException = error) -> int:
            real(file, content[:10])
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(ledger_module.os, "write", full)
            with pytest.raises(told or KeyboardInterrupt):
                again.write("number", {"number": 7})
    again.write("number", {"number": 8})
    again.close()

    assert [0, 1, 2, 8] == numbers(path)


def test_each_line_is_seen_onto_the_disk_before_anybody_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """When a line is written, the disk has it: all bytes of it were there when fsync(2) was asked for."""
    seen: list[int] = []
    real = os.fsync

    def watched(file: int) -> None:
        seen.append(os.fstat(file).st_size)
        real(file)

    ledger = Ledger(tmp_path / "lines.jsonl", ADVICE)
    ledger.begin()
    monkeypatch.setattr(ledger_module.os, "fsync", watched)
    sizes = []
    for number in range(3):
        ledger.write("number", {"number": number})
        sizes.append(ledger.path.stat().st_size)
    ledger.close()

    assert sizes == seen


def test_one_process_at_a_time_has_a_folder(tmp_path: Path):
    """A folder that is taken is refused, and is free again when it is left."""
    lock = locked(tmp_path, "Somebody has it.", "Wait.")
    with pytest.raises(UsageError, match=r"Somebody has it\.\nWait\."):
        locked(tmp_path, "Somebody has it.", "Wait.")
    os.close(lock)
    again = locked(tmp_path, "Somebody has it.", "Wait.")
    os.close(again)

    assert again >= 0


def test_the_last_line_that_has_its_end_is_found(path: Path):
    """A part of a line does not count, and where there is no file there is no line."""
    with path.open("ab") as file:
        file.write(b'{"k":"numb')

    assert path.read_bytes().splitlines(keepends=True)[2] == last_in(path)
    assert b"" == last_in(path.with_name("nothing"))


def test_a_process_that_is_killed_loses_no_line_that_it_has_told_of(tmp_path: Path):
    """After SIGKILL at any moment, each line that was said to be written is read."""
    code = """
        import itertools, sys
        from pathlib import Path
        from replaykit.ledger import Advice, Ledger
        ledger = Ledger(Path(sys.argv[1]), Advice("", "", ""))
        ledger.begin()
        for number in itertools.count():
            ledger.write("number", {"number": number, "filling": "x" * 5000})
            print(number, flush=True)
    """
    for lines in (1, 7, 23):
        path = tmp_path / f"{lines}.jsonl"
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), str(path)], stdout=subprocess.PIPE, env=environment()
        ) as process:
            assert process.stdout is not None
            told = [int(process.stdout.readline()) for _ in range(lines)]
            process.send_signal(signal.SIGKILL)
            told += [int(line) for line in process.stdout]

        assert told == numbers(path)[: len(told)]
        assert len(told) <= len(numbers(path)) <= len(told) + 1
