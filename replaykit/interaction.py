"""Interaction: one HTTP request with its response, or with the error that came instead.

Values are what was on the wire: header pairs in their order and case, bodies undecoded (a gzip body
stays gzip). Header bytes are read as Latin-1, which loses nothing (RFC 9110, section 5.5).
"""

from collections.abc import Iterable
from typing import TypeAlias, TypeVar

from replaykit.value import Record

STATUSES = range(100, 1000)  # RFC 9110, section 15: three digits, and what begins with 0 is none
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # methods that change nothing (RFC 9110, section 9.2.1)
FIRST_SERVER_ERROR = 500  # of the statuses that say that the service is at fault (RFC 9110, section 15.6)

T = TypeVar("T")

Headers: TypeAlias = tuple[tuple[str, str], ...]


class Cut(Record):
    """What is known of a body of which only the beginning is kept."""

    size: int  # bytes of the whole body
    sha256: str  # of the whole body, in hexadecimal; empty where something in it was covered


class Request(Record):
    """What was sent."""

    method: str
    url: str  # absolute
    headers: Headers = ()
    body: bytes = b""
    cut: Cut | None = None


class Response(Record):
    """What came back; `complete` is false where the body was cut short or not read to its end."""

    status: int
    reason: str = ""
    version: str = "HTTP/1.1"
    headers: Headers = ()
    body: bytes = b""
    complete: bool = True
    cut: Cut | None = None


class Trouble(Record):
    """What the network did instead of answering, by the name of the httpx exception."""

    error: str
    message: str = ""

    @property
    def before_sending(self) -> bool:
        """Whether the request certainly never reached the service."""
        return self.error in {"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol"}


LOSING = frozenset({"status", "truncated", "corrupted"})  # ways to tamper after which nobody knows what was answered


class Interaction(Record):
    """One request with its response, its trouble, or both (a body that broke off)."""

    request: Request
    response: Response | None = None
    trouble: Trouble | None = None
    elapsed: float = 0.0  # seconds from sending to the last byte
    before: int = 0  # how many that were sent later were over sooner, and so stand above it
    tampered: str = ""  # what a fault did to it on purpose: status, truncated, corrupted, duplicated


def as_sent(interactions: Iterable[Interaction]) -> list[Interaction]:
    """Order interactions, which stand as they were over, as they were sent."""
    return in_order((each, each.before) for each in interactions)


def in_order(pairs: Iterable[tuple[T, int]]) -> list[T]:
    """Order things as they were sent, each given with its `before`."""
    ordered: list[T] = []
    for each, before in pairs:
        ordered.insert(max(0, len(ordered) - before), each)
    return ordered


def as_over(interactions: Iterable[Interaction]) -> list[Interaction]:
    """Order interactions, which stand as they were sent, as they were over."""
    return in_order((each, each.before) for each in reversed(list(interactions)))[::-1]


def header(headers: Headers, name: str) -> str | None:
    """Return the first value of a header, whatever its case, or None."""
    wanted = name.lower()
    return next((value for key, value in headers if key.lower() == wanted), None)
