"""Faults: disturbances that are commands of a model like any other: drawn, recorded, shrunk, replayed.

    class ChaosBank(Bank):
        commands: ClassVar = (*Bank.commands, fault.Timeout, fault.Slicer)

A fault begins with its step, after the steady state was checked, and lasts while `steps` further commands are sent.
Only what commands send goes through it: what checks read goes straight to the service. Another range, direction or
weight is a subclass:

    class SlowAnswers(fault.Latency, weight=2):
        milliseconds: Annotated[int, gen.integers(200, 400)]

Faults of the network are the toxics of Toxiproxy (github.com/Shopify/toxiproxy), by whose names they go; faults of HTTP
are done in the client; faults of the process need a service that replaykit has started.
"""

from typing import Annotated, Any, ClassVar, Literal

from replaykit import gen
from replaykit.command import Command, Event, snake_case
from replaykit.errors import DefinitionError

PREFIX = "fault_"  # of the tags of faults, by which those know them who have only a bundle
LIMIT = 10_000_000  # of any number of a fault; a bundle from a stranger may ask for more
MOST_STEPS = 4
RARE = 0.5  # the weight of a fault: there are many kinds of them
OFTEN = 3.0  # of the one that costs answers and nothing else

Steps = Annotated[int, gen.integers(1, MOST_STEPS)]
Stream = Literal["downstream", "upstream"]  # from the service to the client, from the client to the service
Share = Annotated[float, gen.const(1.0)]
Tampers = Literal["status", "truncated", "corrupted", "duplicated"]


_SHARES = {"share", "keep"}


class Injected(Event):
    """A fault has begun."""

    fault: str  # its tag
    steps: int


class Lost(Event):
    """The answer to a command was lost to a fault, and what it asked for was not done, or changes nothing."""

    command: str  # its tag
    sent: bool  # False: it never reached the service


class Fault(Command):
    """A disturbance put in on purpose; what all kinds of it have in common. No adapter handles it.

    Where no tag is given, it is the class name with `fault_` before it.
    """

    blinds: ClassVar[bool] = False  # does nobody answer while it lasts, not even those who only look?

    steps: Steps  # for so many commands after it

    def __init_subclass__(cls, *, tag: str | None = None, **config: Any) -> None:
        if tag is not None and not tag.startswith(PREFIX):
            raise DefinitionError(
                f"The fault {cls.__name__} has the tag {tag!r}.", f"Reports know faults by their tags: {PREFIX}{tag}."
            )
        super().__init_subclass__(tag=tag or f"{PREFIX}{snake_case(cls.__name__)}", **config)

    @property
    def trouble(self) -> str | None:
        """Why there can't be such a fault; None if there can."""
        if self.steps < 1:
            return f"no fault lasts {self.steps} commands (1 at least)"
        for name in type(self).model_fields:
            value, most = getattr(self, name), 1 if name in _SHARES else LIMIT
            if isinstance(value, int | float) and not 0 <= value <= most:
                return f"no fault has the {name} {value:g} (from 0 to {most:,})"
        return None


# --- the network --------------------------------------------------------------------------------


class NetworkFault(Fault):
    """What is done to the bytes of connections."""

    toxic: ClassVar[str] = ""  # the name that Toxiproxy has for it

    def attributes(self) -> dict[str, Any]:
        """Return what Toxiproxy has to know of it."""
        return {}


class StreamFault(NetworkFault):
    """What is done to one direction of a share of the connections."""

    stream: Stream
    share: Share  # of the connections, from 0 to 1


class Latency(StreamFault, weight=RARE):
    """Bytes come later."""

    toxic: ClassVar[str] = "latency"

    milliseconds: Annotated[int, gen.integers(10, 100)]
    jitter: Annotated[int, gen.integers(0, 10)]  # milliseconds more or less

    def attributes(self) -> dict[str, Any]:
        return {"latency": self.milliseconds, "jitter": self.jitter}


class Bandwidth(StreamFault, weight=RARE):
    """Bytes come slowly."""

    toxic: ClassVar[str] = "bandwidth"

    kilobytes: Annotated[int, gen.integers(1, 100)]  # a second

    def attributes(self) -> dict[str, Any]:
        return {"rate": self.kilobytes}


class SlowClose(StreamFault, weight=RARE):
    """That a connection is closed is told later."""

    toxic: ClassVar[str] = "slow_close"

    milliseconds: Annotated[int, gen.integers(10, 100)]

    def attributes(self) -> dict[str, Any]:
        return {"delay": self.milliseconds}


class Timeout(StreamFault, weight=OFTEN):
    """Nothing gets through, and after a time the connection is closed."""

    toxic: ClassVar[str] = "timeout"

    stream: Annotated[Stream, gen.frequency((3, gen.const("downstream")), (1, gen.const("upstream")))]

    milliseconds: Annotated[int, gen.integers(10, 50)]

    def attributes(self) -> dict[str, Any]:
        return {"timeout": self.milliseconds}


class ResetPeer(StreamFault, weight=RARE):
    """The connection is reset (TCP RST), a time after bytes came."""

    toxic: ClassVar[str] = "reset_peer"

    milliseconds: Annotated[int, gen.integers(0, 50)]

    def attributes(self) -> dict[str, Any]:
        return {"timeout": self.milliseconds}


class LimitData(StreamFault, weight=RARE):
    """The connection is closed after so many bytes."""

    toxic: ClassVar[str] = "limit_data"

    size: Annotated[int, gen.integers(0, 400)]  # bytes

    def attributes(self) -> dict[str, Any]:
        return {"bytes": self.size}


class Slicer(StreamFault, weight=RARE):
    """Bytes come in small pieces."""

    toxic: ClassVar[str] = "slicer"

    average: Annotated[int, gen.integers(16, 128)]  # bytes of a piece
    variation: Annotated[int, gen.integers(0, 8)]  # bytes more or less
    delay: Annotated[int, gen.integers(4000, 8000)]  # microseconds between pieces; less, and a busy reader gets two

    def attributes(self) -> dict[str, Any]:
        return {"average_size": self.average, "size_variation": self.variation, "delay": self.delay}


class Down(NetworkFault, weight=RARE):
    """Nobody listens, and all connections are closed."""


# --- the process --------------------------------------------------------------------------------


class ProcessFault(Fault):
    """What is done to the service's process."""


class Kill(ProcessFault, weight=RARE):
    """The service is killed (SIGKILL), and started again when the fault is over."""

    blinds: ClassVar[bool] = True


class Pause(ProcessFault, weight=RARE):
    """The service is stopped (SIGSTOP), and goes on (SIGCONT) when the fault is over."""

    blinds: ClassVar[bool] = True


class Restart(ProcessFault, weight=RARE):
    """The service is ended, and started again at once."""


# --- HTTP ---------------------------------------------------------------------------------------


class HttpFault(Fault):
    """What is done to requests and answers."""

    kind: ClassVar[Tampers]

    share: Share  # of the requests, from 0 to 1


class ErrorStatus(HttpFault, weight=RARE):
    """The answer is an error of something in between."""

    kind: ClassVar[Tampers] = "status"

    status: Literal[503, 502, 504, 500, 429]
    reached: bool  # was the service asked, and its answer replaced?


class Truncated(HttpFault, weight=RARE):
    """The answer breaks off."""

    kind: ClassVar[Tampers] = "truncated"

    keep: Annotated[float, gen.real(0.0, 0.9)]  # of the body


class Corrupted(HttpFault, weight=RARE):
    """Some bytes of the answer's body are others."""

    kind: ClassVar[Tampers] = "corrupted"


class Duplicated(HttpFault, weight=RARE):
    """What may be sent again (RFC 9110, section 9.2.2, or idempotent=True) is sent twice at the same time."""

    kind: ClassVar[Tampers] = "duplicated"


_KINDS = (
    Latency, Bandwidth, SlowClose, Timeout, ResetPeer, LimitData, Slicer, Down, Kill, Pause, Restart, ErrorStatus,
    Truncated, Corrupted, Duplicated,
)  # fmt: skip


def check_kind(kind: type[Fault]) -> None:
    """Raise DefinitionError for a class that is no kind of fault, or has fields that nobody would heed."""
    base = next((each for each in _KINDS if issubclass(kind, each)), None)
    if base is None:
        names = ", ".join(each.__name__ for each in _KINDS)
        raise DefinitionError(f"{kind.__name__} is no kind of fault.", f"Name one of them, or a subclass: {names}.")
    unknown = sorted(kind.model_fields.keys() - base.model_fields.keys())
    if unknown:
        raise DefinitionError(
            f"The fault {kind.__name__} has a field {unknown[0]}, which {base.__name__} does not know.",
            f"Its fields: {', '.join(base.model_fields)}.",
        )
