"""The injector: does the faults of a run to the way between client and service, and takes them back.

Only what is sent `through` it goes through faults. The proxy in the way, the tampering client and the service's process
are each only there for the kinds of faults that a model has.
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from replaykit.client import Client, host_and_port, without_credentials
from replaykit.command import Command
from replaykit.errors import DefinitionError, UsageError
from replaykit.fault import Down, Fault, HttpFault, Kill, NetworkFault, Pause, ProcessFault, Restart, StreamFault
from replaykit.service import Proxying, Running, Started
from replaykit.tampering import Tampering
from replaykit.toxic import Toxic
from replaykit.toxiproxy import Interposed, interposed

MOST_ON = 8  # faults at once; a bundle from a stranger may ask for more
PATIENCE = 1.0  # seconds that an answer is waited for while a fault is on; less where the adapter waits less
SEED = 1  # whom a fault hits that is for a share follows from its step, so that each run of a sequence is the same


class Injector:
    """Does faults, and takes them back. Close it at the end."""

    def __init__(self, faults: Iterable[type[Fault]], client: Client, running: Running | None) -> None:
        """Know what kinds of faults there may be; nothing is put in the way before a command is sent."""
        self._kinds = tuple(faults)
        self._client = client
        self._running = running
        self._on: dict[int, Fault] = {}  # by the label of the call that began it
        self._count = 0  # of commands that the fault of HTTP which is on was there for
        self._stack = contextlib.ExitStack()
        self._is_open = False
        self._proxy: Interposed | None = None

    def open(self) -> None:
        """Put a proxy in the way, where there is none yet, and one of the kinds of faults needs it.

        Raises UsageError where one of them can't be done here, and as `toxiproxy.interposed`.
        """
        if self._is_open:
            return
        running = self._running
        process = next((each for each in self._kinds if issubclass(each, ProcessFault)), None)
        if process is not None and (running is None or running.started is None):
            raise UsageError(
                f"{process.__name__} needs a service that is started here.",
                "Name its command with --start, or leave this fault out of the model's commands.",
            )
        if any(issubclass(each, NetworkFault) for each in self._kinds):
            proxying = Proxying() if running is None else running.proxying
            way = interposed(
                host_and_port(self._client.origin), toxiproxy=proxying.toxiproxy, port=proxying.port, seed=SEED
            )
            self._proxy = self._stack.enter_context(way)
        self._is_open = True

    def begin(self, label: int, fault: Fault) -> None:
        """Begin a fault, where the way is open. Raises UsageError for one that can't be."""
        for family, what in ((HttpFault, "HTTP"), (ProcessFault, "the process")):
            if isinstance(fault, family) and any(isinstance(each, family) for each in self._on.values()):
                raise UsageError(f"Two faults of {what} can't be on at once.", "Let one be over before the next one.")
        if len(self._on) >= MOST_ON:
            raise UsageError(f"More than {MOST_ON} faults can't be on at once.", "Let one be over before the next one.")
        if isinstance(fault, HttpFault):
            self._count = 0
            self._tampering(label, fault)  # which refuses what can't be
        elif isinstance(fault, Down):
            self._between.down()
        elif isinstance(fault, StreamFault):
            self._between.add(
                Toxic(
                    name=_named(label),
                    type=fault.toxic,
                    stream=fault.stream,
                    toxicity=fault.share,
                    attributes=fault.attributes(),
                )
            )
        elif isinstance(fault, Kill):
            self._client.let_go()  # before the service does, so that nobody takes it for one that died
            self._started.kill()
        elif isinstance(fault, Pause):
            self._started.pause()
        elif isinstance(fault, Restart):
            self._begin_again()
        self._on[label] = fault

    def lift(self, label: int) -> None:
        """Take a fault back. Raises UnreachableError where the service does not come back."""
        fault = self._on.pop(label, None)
        if isinstance(fault, Down):
            if not any(isinstance(each, Down) for each in self._on.values()):
                self._between.up()
        elif isinstance(fault, StreamFault):
            self._between.remove(_named(label))
        elif isinstance(fault, Kill):
            self._begin_again()
        elif isinstance(fault, Pause):
            self._started.resume()

    @contextlib.contextmanager
    def through(self, command: Command) -> Iterator[None]:
        """Let what is sent inside, for a command, go through the faults that are on."""
        self.open()
        client, timeout = self._client, self._client.timeout
        try:
            if self._proxy is not None:
                client.detour(self._proxy.address)
            if self._on:
                client.timeout = min(PATIENCE, timeout.read or PATIENCE)
            http = [(label, each) for label, each in self._on.items() if isinstance(each, HttpFault)]
            client.tamper(self._tampering(*http[0], repeatable=command.idempotent is True) if http else None)
            yield
        finally:
            client.tamper(None)
            client.detour(None)  # also so that each command has connections of its own: a toxic hits new ones
            client.timeout = timeout

    def require_applied(self, command: Command, urls: list[str]) -> None:
        """Raise DefinitionError where an answer came past the fault of the network, or of HTTP, that is on."""
        own = host_and_port(self._client.origin)
        if not urls and any(isinstance(each, NetworkFault | HttpFault) for each in self._on.values()):
            raise DefinitionError(
                f"A fault was on, and {type(command).__name__} was answered without a request through self.http.",
                "Only what is sent with self.http goes through faults: send with it, or leave the faults out.",
            )
        if not any(isinstance(each, NetworkFault) for each in self._on.values()):
            return
        for url in urls:
            if host_and_port(url) != own:
                raise DefinitionError(
                    f"A fault was on, and a request went past it, to {without_credentials(url)}.",
                    "Only requests to the service go through faults: leave out the faults, or speak to the service.",
                )

    def close(self) -> None:
        """End all faults that are on, and take the proxy away."""
        for label in list(self._on):
            with contextlib.suppress(Exception):
                self.lift(label)
        self._stack.close()

    def _tampering(self, label: int, fault: HttpFault, *, repeatable: bool = False) -> Tampering:
        """Say to the client what a fault does; the next request of the same fault may be spared."""
        self._count += 1
        own = ("status", "reached", "keep")
        more: dict[str, Any] = {name: getattr(fault, name) for name in own if hasattr(fault, name)}
        return Tampering(
            kind=fault.kind, share=fault.share, seed=(label << 32) + self._count, repeatable=repeatable, **more
        )

    @property
    def _between(self) -> Interposed:
        assert self._proxy is not None  # noqa: S101  there is one where there are faults of the network
        return self._proxy

    @property
    def _started(self) -> Started:
        assert self._running is not None  # noqa: S101  the constructor has seen to it
        assert self._running.started is not None  # noqa: S101
        return self._running.started

    def _begin_again(self) -> None:
        assert self._running is not None  # noqa: S101
        self._running.begin_again(self._client)


def _named(label: int) -> str:
    return f"step-{label}"
