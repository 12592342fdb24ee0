"""A toxic: what a Toxiproxy does to the bytes that go one way, as checked data and as steps.

Names, defaults and units are those of Toxiproxy's API (https://github.com/Shopify/toxiproxy), and so is what each type
does, read from its source. What is told here does no input or output: `treated` says of each piece of data what is
passed on and after what time, and `link` does that.
"""

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from random import Random
from typing import Any

from replaykit.errors import UsageError

STREAMS = ("upstream", "downstream")  # from the client to the service, and back
ATTRIBUTES: dict[str, dict[str, int]] = {  # with their defaults
    "latency": {"latency": 0, "jitter": 0},  # milliseconds
    "bandwidth": {"rate": 0},  # thousands of bytes a second; with 0 nothing goes through
    "slow_close": {"delay": 0},  # milliseconds
    "timeout": {"timeout": 0},  # milliseconds of silence until the connection is closed; with 0 it never is
    "reset_peer": {"timeout": 0},  # milliseconds
    "slicer": {"average_size": 0, "size_variation": 0, "delay": 0},  # bytes, bytes, microseconds
    "limit_data": {"bytes": 0},
}
BURST = 0.1  # seconds between two pieces of what is larger than a bandwidth allows in that time
_WHOLE = 2**63  # numbers of Toxiproxy are below that
_DAY = 24 * 3600 * 1000  # milliseconds
_TIMES = {"latency", "jitter", "timeout", "delay"}


class RefusedError(UsageError):
    """What Toxiproxy's API answers with an error, and the status that it does it with."""

    def __init__(self, happened: str, todo: str = "", status: int = 400) -> None:
        super().__init__(happened, todo)
        self.status = status


class Ending(Enum):
    """How a toxic ends a connection."""

    CLOSE = "close"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Toxic:
    """One disturbance of one direction. Raises RefusedError for what Toxiproxy refuses."""

    name: str  # TYPE_STREAM where it is empty
    type: str
    stream: str = "downstream"
    toxicity: float = 1.0  # the share of connections that it hits
    attributes: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.stream not in STREAMS:
            raise RefusedError("stream was invalid, can be either upstream or downstream")
        if self.type not in ATTRIBUTES:
            raise RefusedError("invalid toxic type", f"Choose one of {', '.join(ATTRIBUTES)}.")
        known = {name: _whole(self.attributes, name, usual) for name, usual in ATTRIBUTES[self.type].items()}
        for name, value in known.items():
            self._require_sane(name, value)
        object.__setattr__(self, "attributes", known)
        object.__setattr__(self, "name", self.name or f"{self.type}_{self.stream}")

    def _require_sane(self, name: str, value: int) -> None:
        """Raise RefusedError for what nobody can wait for or count: Toxiproxy takes it, and behaves in odd ways."""
        if value < 0:
            raise RefusedError(f"{name} of a {self.type} is below 0: {value}", "Say 0 or more.")
        most, unit = (_DAY * 1000, "microseconds") if self.type == "slicer" else (_DAY, "milliseconds")
        if name in _TIMES and value > most:
            raise RefusedError(f"{name} of a {self.type} is longer than a day: {value} {unit}", f"Say {most} or less.")

    @classmethod
    def read(cls, data: object) -> "Toxic":
        """Read what was sent to the API. Raises RefusedError."""
        said = lowered(data)
        return cls(
            name=text(said, "name"),
            type=text(said, "type"),
            stream=text(said, "stream", "downstream"),
            toxicity=_share(said, 1.0),
            attributes=lowered(said.get("attributes")),
        )

    def changed(self, data: object) -> "Toxic":
        """Return it with what was sent to the API in order to change it: attributes and toxicity. Raises RefusedError.

        Attributes that are not named stay.
        """
        said = lowered(data)
        attributes = {**self.attributes, **lowered(said.get("attributes"))}
        return replace(self, toxicity=_share(said, self.toxicity), attributes=attributes)

    def as_json(self) -> dict[str, Any]:
        """Return it as Toxiproxy's API shows it."""
        share = int(self.toxicity) if self.toxicity == int(self.toxicity) else self.toxicity
        return {
            "attributes": dict(self.attributes),
            "name": self.name,
            "type": self.type,
            "stream": self.stream,
            "toxicity": share,
        }

    @property
    def silence(self) -> float | None:
        """The seconds without data after which it closes the connection; None where it does no such thing."""
        limit = self.attributes["timeout"] if self.type == "timeout" else 0
        return limit / 1000 if limit > 0 else None


# --- what was sent to the API -------------------------------------------------------------------


def lowered(data: object) -> dict[str, Any]:
    """Return an object of JSON with its keys in lower case, since Go takes them in any. Raises RefusedError."""
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        raise RefusedError("bad request body: this is no JSON object")
    return {str(key).lower(): value for key, value in data.items() if value is not None}


def text(said: Mapping[str, Any], key: str, usual: str = "") -> str:
    """Return a text of what was sent. Raises RefusedError."""
    value = said.get(key, usual)
    if not isinstance(value, str):
        raise RefusedError(f"bad request body: {key} is no text")
    return value


def _whole(said: Mapping[str, Any], key: str, usual: int) -> int:
    value = said.get(key, usual)
    if not isinstance(value, int) or isinstance(value, bool) or not -_WHOLE <= value < _WHOLE:
        raise RefusedError(f"bad request body: {key} is no whole number")
    return value


def _share(said: Mapping[str, Any], usual: float) -> float:
    value = said.get("toxicity", usual)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _WHOLE:
        raise RefusedError("bad request body: toxicity is no number")
    return value


# --- what it does -------------------------------------------------------------------------------


class Memory:
    """What a toxic knows of one connection."""

    __slots__ = ("debt", "passed")

    def __init__(self) -> None:
        self.debt = 0.0  # seconds that a bandwidth is behind
        self.passed = 0  # bytes that a limit has let through


Step = float | bytes | Ending  # seconds to wait, data to pass on, or the end


def treated(
    toxic: Toxic, data: bytes | None, age: float, memory: Memory, random: Random
) -> Generator[Step, float, None]:
    """Say step by step what becomes of a piece of data, or of the end of the stream (None).

    `age` is for how many seconds the piece has been with us; what is sent into the generator after a wait is how long
    it really was, in seconds. Where a wait is cut short, what was not passed on yet is to be passed on at once.
    """
    said = toxic.attributes
    if toxic.type == "reset_peer":
        yield said["timeout"] / 1000
        yield Ending.RESET
    elif data is None:
        yield said["delay"] / 1000 if toxic.type == "slow_close" else 0.0
        yield Ending.CLOSE
    elif toxic.type == "latency":
        yield (said["latency"] + random.uniform(-said["jitter"], said["jitter"])) / 1000 - age
        yield data
    elif toxic.type == "bandwidth":
        yield from _paced(data, said["rate"], memory)
    elif toxic.type == "slicer":
        for piece in sliced(data, said["average_size"], said["size_variation"], random):
            yield piece
            yield said["delay"] / 1_000_000
    elif toxic.type == "limit_data":
        piece = data[: max(0, said["bytes"] - memory.passed)]
        memory.passed += len(piece)
        yield piece
        if memory.passed >= said["bytes"]:
            yield Ending.CLOSE
    elif toxic.type == "slow_close":
        yield data


def _paced(data: bytes, rate: int, memory: Memory) -> Generator[Step, float, None]:
    if rate == 0:
        yield math.inf
        return
    most = int(rate * 1000 * BURST)
    memory.debt += len(data) / (rate * 1000)
    while len(data) > most:
        memory.debt -= yield BURST
        yield data[:most]
        data = data[most:]
    memory.debt -= yield max(0.0, memory.debt)
    yield data


def sliced(data: bytes, average: int, variation: int, random: Random) -> list[bytes]:
    """Cut data into pieces of an average size, by halves, each cut a little off the middle."""
    average = max(1, average)
    pieces, left = [], [(0, len(data))]
    while left:
        start, end = left.pop()
        if end - start <= max(1, average + variation):
            pieces.append(data[start:end])
            continue
        off = random.randrange(-variation, variation) if variation else 0
        middle = min(end - 1, max(start + 1, start + (end - start) // 2 + off))
        left += [(middle, end), (start, middle)]
    return pieces
