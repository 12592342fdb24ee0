"""The lifeline: what a supervisor hangs on, so that it ends, and its command with it, when replaykit does.

Python takes longer to begin than a supervisor has to do, so who starts one service after the other has a spare one:
begun ahead, while the service before it runs, and told its command when there is one. It hangs on its lifeline from
the first moment, so it ends like the others.
"""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from replaykit import port
from replaykit.supervisor import FAILED, HEAD


class Lifeline:
    """A supervisor, from its beginning to its end. Raises OSError where it can't be begun."""

    def __init__(
        self,
        words: Sequence[str] = (),
        *,
        folder: Path | None = None,
        output: int = subprocess.DEVNULL,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """Begin it with its command, which prints into `output`; without one, it waits until it is told."""
        self.since = port.now()  # its command began then, or later
        theirs, self._hold = socket.socketpair()
        program = str(Path(__file__).with_name("supervisor.py").absolute())
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", program, str(theirs.fileno()), *words],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                env=variables,
                start_new_session=True,
            )
        except BaseException:
            self._hold.close()
            raise
        finally:
            theirs.close()

    @property
    def pid(self) -> int:
        """The process of the supervisor, from which that of the command descends."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """The exit code of the command, 128 and more for a signal; None while it runs."""
        return self._process.poll()

    def tell(self, words: Sequence[str], *, folder: Path, log: Path, variables: Mapping[str, str]) -> None:
        """Give it its command, which prints at the end of `log`. Raises ConnectionError where it is gone."""
        self.since = port.now()
        facts = [str(log.absolute()), str(folder.absolute()), str(len(words)), *words]
        facts += [f"{name}={value}" for name, value in variables.items()]
        said = b"\0".join(map(os.fsencode, facts))
        self._hold.sendall(len(said).to_bytes(HEAD, "big") + said)

    def say(self, word: bytes) -> bool:
        """Let it do one of its words to the command, and wait until that is done; say whether it could be.

        False where the command has ended, too.
        """
        try:
            self._hold.sendall(word)
            while (answer := self._hold.recv(1)) not in {word, FAILED, b""}:
                pass  # that was to a word whose answer was not waited for
        except ConnectionError:
            return False
        return answer == word

    def wait(self) -> None:
        """Wait until it is over, and all that its command has started."""
        self._process.wait()

    def end(self) -> None:
        """End it, and all that its command has started."""
        self._hold.close()  # a second time too, where the first one was interrupted
        self._process.wait()


class Spare:
    """The next supervisor, begun ahead. Use it as a context manager, in one thread."""

    def __init__(self) -> None:
        self._next: Lifeline | None = None

    def prepare(self) -> None:
        """Begin one, where there is none; where that can't be, it is begun when it is needed."""
        if self._next is None:
            with contextlib.suppress(OSError):
                self._next = Lifeline()

    def begun(self, words: Sequence[str], *, folder: Path, log: Path, variables: Mapping[str, str]) -> Lifeline | None:
        """Give the one that waits, with its command; None where there is none."""
        waiting, self._next = self._next, None
        if waiting is None:
            return None
        try:
            waiting.tell(words, folder=folder, log=log, variables=variables)
        except ConnectionError:  # something has killed it
            waiting.end()
            return None
        except BaseException:
            waiting.end()
            raise
        return waiting

    def __enter__(self) -> Self:
        self.prepare()
        return self

    def __exit__(self, *_: object) -> None:
        waiting, self._next = self._next, None
        if waiting is not None:
            waiting.end()
