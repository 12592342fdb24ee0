"""A link: one direction of a connection, from the socket that is read, past the toxics, to the one that is written.

    client --> End --> Link upstream   (Stage, Stage, ...) --> End --> service
    client <-- End <-- Link downstream (Stage, Stage, ...) <-- End <-- service

As in Toxiproxy, what is read goes on in pieces, past one stage for each toxic of that direction; the end of what is
read is the last piece. Where it arrives, the socket is closed in both directions, and so the end comes back by the
other link. Without toxics, a piece is written right after it was read.
"""

import socket
import struct
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from random import Random
from time import monotonic

from replaykit.loop import READ, WRITE, Loop, Timer
from replaykit.toxic import Ending, Memory, Step, Toxic, treated

PIECE = 32 * 1024  # bytes that are read at once
MOST_UNSENT = 256 * 1024  # bytes that wait to be written; with more, nothing is read
MOST_LATE = 1024  # pieces that a latency may hold back; other toxics hold one
_RESETS = struct.pack("ii", 1, 0)  # to close is to reset, and to forget what is not sent yet


class End:
    """One socket of a connection."""

    def __init__(self, loop: Loop, sock: socket.socket, closed: Callable[[], None], failed: Callable[[], None]) -> None:
        self.sock = sock
        self.failed = failed  # gives up the whole connection
        self.is_closed = False
        self.unsent = bytearray()
        self.outgoing: Link  # what is read here goes into it
        self.incoming: Link  # what comes out of it is written here
        self._loop = loop
        self._closed = closed
        self._is_doomed = self._is_ending = self._is_held = self._is_read = False
        self._events = 0

    def begin(self) -> None:
        """Read from now on."""
        self._watch()

    def _watch(self) -> None:
        reads = 0 if self._is_held or self._is_read else READ
        events = reads | (WRITE if self.unsent else 0)
        if events != self._events and not self.is_closed:
            self._events = events
            self._loop.watch(self.sock, events, self._ready, self.failed)

    def _ready(self, events: int) -> None:
        if events & WRITE and not self.is_closed:
            self._send_rest()
        if events & READ and not (self.is_closed or self._is_held):
            self._read()

    def _read(self) -> None:
        try:
            data = self.sock.recv(PIECE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if data:
            self.outgoing.take(data)
            return
        self._is_read = True
        self._watch()
        self.outgoing.take(None)

    def hold(self, is_held: bool) -> None:
        """Read nothing for now, or go on."""
        if is_held != self._is_held:
            self._is_held = is_held
            self._watch()

    def write(self, data: bytes) -> None:
        """Send data, now or as soon as there is room."""
        if self.is_closed or self._is_ending:
            return
        if not self.unsent:
            try:
                sent = self.sock.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                self.close()
                return
            if sent == len(data):
                return
            data = data[sent:]
        self.unsent += data
        self._watch()

    def _send_rest(self) -> None:
        try:
            sent = self.sock.send(self.unsent)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.close()
            return
        del self.unsent[:sent]
        if not self.unsent and self._is_ending:
            self.close()
            return
        self._watch()
        self.incoming.balance()

    def finish(self) -> None:
        """Close it as soon as all is sent."""
        self._is_ending = True
        if not self.unsent or self._is_doomed:
            self.close()

    def doom(self) -> None:
        """Reset it when it is closed."""
        if not self.is_closed:
            self._is_doomed = True
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESETS)

    def close(self) -> None:
        """Close it now; what reads from it has come to its end."""
        if self.is_closed:
            return
        self.is_closed = True
        self._loop.forget(self.sock)
        self.sock.close()
        self.outgoing.take(None)
        self._closed()


class Link:
    """One direction of a connection."""

    def __init__(
        self, loop: Loop, random: Random, source: End, dest: End, toxics: Iterable[Toxic], lots: Mapping[str, float]
    ) -> None:
        """Link two ends; `lots` are those that were drawn for the connection, from 0 to 1, by the name of the toxic."""
        self.loop, self.random, self.source, self.dest = loop, random, source, dest
        self.has_ended = False
        self._passing: deque[tuple[Stage | None, bytes | None, float]] = deque()  # to which stage, or to the dest
        self._is_passing = False
        source.outgoing, dest.incoming = self, self
        self.stages = [Stage(self, toxic, lots.get(toxic.name)) for toxic in toxics]

    def take(self, data: bytes | None) -> None:
        """Take a piece that was read, or the end."""
        if self.has_ended:
            return
        self.has_ended = data is None
        if self.stages:
            self.stages[0].put(data, monotonic())
        else:
            self.deliver(data)
        self.balance()

    def later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Call back after some seconds; where that goes wrong, the connection is given up."""
        return self.loop.later(seconds, call, self.source.failed)

    def pass_on(self, stage: "Stage", data: bytes | None, since: float) -> None:
        """Give what has passed a stage to the next one; one after the other, however many there are."""
        following = self.stages.index(stage) + 1
        self._passing.append((self.stages[following] if following < len(self.stages) else None, data, since))
        if self._is_passing:
            return
        self._is_passing = True
        try:
            while self._passing:
                target, data, since = self._passing.popleft()
                if target is None:
                    self.deliver(data)
                else:
                    target.put(data, since)
        finally:
            self._is_passing = False

    def deliver(self, data: bytes | None) -> None:
        """Write what has passed all stages."""
        if data is None:
            self.dest.finish()
        else:
            self.dest.write(data)

    def balance(self) -> None:
        """Read no more than what can be held."""
        held = 0
        most = 1
        for stage in self.stages:
            held += stage.held
            most = MOST_LATE if stage.is_late else most
        self.source.hold(held >= most or len(self.dest.unsent) > MOST_UNSENT)

    def end_at(self, stage: "Stage", how: Ending) -> None:
        """End the stream at a stage: what is before it is lost, what has passed it still arrives."""
        self.has_ended = True
        for each in self.stages[: self.stages.index(stage) + 1]:
            each.give_up()
        if how is Ending.RESET:
            self.source.doom()
            self.dest.doom()
        self.pass_on(stage, None, monotonic())

    def add(self, toxic: Toxic) -> None:
        """Let a toxic act on what is read from now on."""
        self.stages.append(Stage(self, toxic))

    def change(self, toxic: Toxic) -> None:
        """Let a toxic act otherwise; what it has at hand is passed on at once."""
        for stage in [each for each in self.stages if each.toxic.name == toxic.name]:
            stage.change(toxic)
        self.balance()

    def remove(self, name: str) -> None:
        """Let a toxic act no more; what it holds back is passed on at once."""
        for stage in [each for each in self.stages if each.toxic.name == name]:
            stage.release()
            self.stages.remove(stage)
        self.balance()

    def give_up(self) -> None:
        """Forget all that is held back."""
        for stage in self.stages:
            stage.give_up()


class Stage:
    """One toxic on one link."""

    def __init__(self, link: Link, toxic: Toxic, lot: float | None = None) -> None:
        self._link = link
        self._queue: deque[tuple[bytes | None, float]] = deque()
        self._memory = Memory()
        self._steps: Generator[Step, float, None] | None = None
        self._data: bytes | None = b""  # what is at hand; of data, what was not passed on yet
        self._since = self._slept = 0.0
        self._timer: Timer | None = None
        self._silence: Timer | None = None
        self._is_closed = False
        self._begin(toxic, lot)

    def _begin(self, toxic: Toxic, lot: float | None = None) -> None:
        self.toxic = toxic
        self.bites = (self._link.random.random() if lot is None else lot) < toxic.toxicity
        self._listen()

    def _listen(self) -> None:
        """Wait for silence, where that ends the connection."""
        if self._silence is not None:
            self._silence.cancel()
        limit = self.toxic.silence if self.bites and not self._is_closed else None
        self._silence = None if limit is None else self._link.later(limit, self._close)

    def _close(self) -> None:
        self._link.end_at(self, Ending.CLOSE)

    @property
    def held(self) -> int:
        """How many pieces it holds."""
        return len(self._queue) + (self._steps is not None)

    @property
    def is_late(self) -> bool:
        """Whether it may hold many."""
        return self.toxic.type == "latency"

    def put(self, data: bytes | None, since: float) -> None:
        """Take a piece, or the end; it has been with us since then."""
        if not self._is_closed:
            self._queue.append((data, since))
            self._run()

    def _run(self) -> None:
        while self._queue and self._steps is None and not self._is_closed:
            self._data, self._since = self._queue.popleft()
            if not self.bites:
                self._link.pass_on(self, self._data, self._since)
                continue
            age = monotonic() - self._since
            self._steps = treated(self.toxic, self._data, age, self._memory, self._link.random)
            self._go_on(None)

    def _go_on(self, waited: float | None) -> None:
        """Go on with the piece at hand until it has to wait, or nothing is left to do."""
        steps = self._steps
        while steps is not None and not self._is_closed:
            try:
                step = next(steps) if waited is None else steps.send(waited)
            except StopIteration:
                self._steps = None
                self._listen()
                return
            waited = 0.0
            if isinstance(step, Ending):
                self._link.end_at(self, step)
            elif isinstance(step, bytes):
                self._emit(step)
            elif step > 0:
                self._slept = monotonic()
                self._timer = self._link.later(step, self._wake)
                return

    def _emit(self, piece: bytes) -> None:
        if self._data is not None:
            self._data = self._data[len(piece) :]
        if piece:
            self._link.pass_on(self, piece, monotonic() if self.is_late else self._since)

    def _wake(self) -> None:
        self._timer = None
        self._go_on(monotonic() - self._slept)
        self._run()
        self._link.balance()

    def change(self, toxic: Toxic) -> None:
        """Become another toxic."""
        if self._is_closed:
            self.toxic = toxic
            return
        if self.bites and self._steps is not None and self._data is None and self.toxic.type == "slow_close":
            self._stop()
            self._queue.appendleft((None, self._since))
        else:
            self._flush()
        if toxic.type != "limit_data":
            self._memory = Memory()
        self._begin(toxic)
        self._run()

    def release(self) -> None:
        """Pass on all that it holds back; a time-out ends, since what it swallowed is lost."""
        if self.bites and self.toxic.type == "timeout" and not self._is_closed:
            self._close()
        self._flush()
        self.bites = False
        self._run()
        self.give_up()

    def _flush(self) -> None:
        """Do at once what it waits for with the piece at hand."""
        if self._steps is None or self._is_closed:
            return
        self._stop()
        if self.toxic.type == "reset_peer":
            self._link.end_at(self, Ending.RESET)
        elif self._data is None:
            self._link.end_at(self, Ending.CLOSE)
        elif self._data:
            self._link.pass_on(self, self._data, monotonic())

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._steps = None, None

    def give_up(self) -> None:
        """Forget all that it holds, and take nothing more."""
        self._is_closed = True
        self._queue.clear()
        self._stop()
        if self._silence is not None:
            self._silence.cancel()
