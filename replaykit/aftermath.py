"""The aftermath: what became of the service after an execution. What a service says that dies is no finding.

A process that crashes may still answer, with a 5xx or with what is wrong in another way, and be gone a moment later.
What such a run says of the service is that it died, and not how it answers.
"""

import time

from replaykit.adapter import Adapters
from replaykit.interaction import FIRST_SERVER_ERROR
from replaykit.trace import Trace

BREATH = 0.3  # seconds that a service has to die, that answered with a 5xx as it never did, or not at all
PAUSE = 0.01  # seconds between two looks at it
SHORT_BREATH = 0.02  # the same, before a shorter sequence is taken for the bug that is known


def is_doubtful(trace: Trace) -> bool:
    """Say whether the last step speaks of a service in trouble, rather than of one with a bug."""
    if not trace.steps:
        return True
    last = [*trace.steps[-1].interactions, *trace.steps[-1].observing, *trace.closing]
    return any(
        each.trouble is not None or each.response is None or each.response.status >= FIRST_SERVER_ERROR for each in last
    )


def trouble(adapters: Adapters, trace: Trace, *, urgent: bool = True, breath: float = 0.0) -> str | None:
    """Say what is wrong with the service after an execution; None where nothing is, or where nobody watches it.

    Where its last answers are doubtful, it has `breath` seconds to die of them.
    """
    running, client = adapters.running, adapters.client
    if running is None or client is None:
        return None
    if breath and is_doubtful(trace):
        deadline = time.monotonic() + breath
        while running.lives() and time.monotonic() < deadline:
            time.sleep(min(PAUSE, breath))
    return running.trouble(client, urgent=urgent)


def death(adapters: Adapters) -> str | None:
    """Say that the service ended, where it was started here and did; it has a moment to."""
    running = adapters.running
    if running is None or running.started is None:
        return None
    deadline = time.monotonic() + BREATH
    while running.lives() and time.monotonic() < deadline:
        time.sleep(PAUSE)
    return running.ended


def revived(adapters: Adapters) -> bool:
    """Start the service again after it died, where that was asked for; say whether it was.

    Raises UnreachableError where it does not start.
    """
    running, client = adapters.running, adapters.client
    return running is not None and client is not None and running.revive(client)


def log_of(adapters: Adapters) -> str:
    """Return the last lines that the service printed."""
    return "" if adapters.running is None else adapters.running.log()
