"""Backlog: what a run has said and nobody has heard yet; it is told while the service thinks about an answer.

To cover secrets in an interaction, and to write it, takes a tenth of the time that a request takes. The service needs
time for each answer too, and there a client has nothing to do: that is when the listener is told what came before.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from replaykit.interaction import Interaction
from replaykit.run import Listener
from replaykit.sequence import Call
from replaykit.trace import Ending, Said
from replaykit.value import JsonText
from replaykit.verdict import Failure

MAX_WAITING = 16  # things said; where the service is faster than the listener, the run waits for the listener
MAX_SIZE = 16_384  # bytes of a body: what takes longer to write must not delay the answer that is being timed


class Backlog:
    """Listens to a run, and lets another listener hear the same, in the same order, a little later.

    All of it is heard when the run is over. A process that is killed loses what was said since its last request.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._waiting: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._lock = threading.RLock()  # an adapter may send from several threads

    def tell_one(self) -> bool:
        """Let the listener hear one thing; say whether there was one."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            if not self._waiting:
                return False
            tell, what = self._waiting.popleft()
            tell(*what)
        finally:
            self._lock.release()
        return True

    def tell_all(self) -> None:
        """Let the listener hear all that was said."""
        with self._lock:
            while self.tell_one():
                pass

    def _later(self, tell: Callable[..., None], *what: object) -> None:
        self._waiting.append((tell, what))
        if len(self._waiting) > MAX_WAITING:
            self.tell_all()

    def interaction(self, part: str, step: int | None, interaction: Interaction) -> None:
        """Hear of a request and its answer; what is large is told at once."""
        self._later(self._listener.interaction, part, step, interaction)
        answer = interaction.response
        if len(interaction.request.body) + (0 if answer is None else len(answer.body)) > MAX_SIZE:
            self.tell_all()

    def call(self, call: Call, at: float | None, faults: tuple[int, ...] = ()) -> None:
        """Hear of a call that is about to be sent."""
        self._later(self._listener.call, call, at, faults)

    def nonce(self, nonce: str) -> None:
        """Hear what makes minted values unique to this run."""
        self._later(self._listener.nonce, nonce)

    def event(self, step: int, said: Said) -> None:
        """Hear of the answer to a call."""
        self._later(self._listener.event, step, said)

    def moment(self, step: int, called: float, returned: float | None) -> None:
        """Hear when a call of a branch was sent and answered."""
        self._later(self._listener.moment, step, called, returned)

    def observation(self, step: int | None, said: Said) -> None:
        """Hear of what was read in order to check it."""
        self._later(self._listener.observation, step, said)

    def state(self, step: int, state: JsonText) -> None:
        """Hear of the projection after a step."""
        self._later(self._listener.state, step, state)

    def end(self, ending: Ending, reason: str, failure: Failure | None) -> None:
        """Hear how the run ended, after all else."""
        self.tell_all()
        self._listener.end(ending, reason, failure)
