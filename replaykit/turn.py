"""Turns: which of the requests that are on their way past one tape was sent sooner, whatever client sends them.

Interactions are kept as they are over, and played in the order in which they were sent. What overlaps in one thread,
as a stream and what is sent while it is read, or the tasks of asyncio, is put in order by how many overtook it.
"""

import itertools
import threading
import weakref

_lock = threading.Lock()
_numbers = itertools.count(1)
_open: "weakref.WeakSet[Turn]" = weakref.WeakSet()  # one that nobody ends goes with its request


class Turn:
    """The turn of a request, from the moment in which it is made until it ends."""

    __slots__ = ("__weakref__", "before", "number", "tape", "thread")

    def __init__(self, tape: object) -> None:
        self.tape, self.thread, self.before = tape, threading.get_ident(), 0
        with _lock:
            self.number = next(_numbers)  # by the order of sending
            _open.add(self)

    def leave(self) -> None:
        """End it without an interaction to keep."""
        with _lock:
            _open.discard(self)

    def end(self) -> int:
        """End it, and return how many of the same tape and thread were sent later, and ended sooner."""
        with _lock:
            _open.discard(self)
            for other in _open:
                if other.number < self.number and other.thread == self.thread and other.tape is self.tape:
                    other.before += 1
        return self.before
