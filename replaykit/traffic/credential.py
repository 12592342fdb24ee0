"""Credentials: how a client says who it is, as OpenAPI's security schemes; never with what."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from replaykit.placeholder import is_covered
from replaykit.secret import Policy
from replaykit.traffic.sample import Sample

_STRONG = {"secret", "token"}
_OF_HTTP = {"basic", "bearer", "digest", "negotiate"}  # RFC 9110, section 11; the IANA registry of schemes


def credentials(sample: Sample, policy: Policy) -> dict[str, dict[str, Any]]:
    """Return the security schemes that a request uses, by a name for each."""
    return dict(_found(sample, policy))


def _found(sample: Sample, policy: Policy) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, value in sample.headers:
        low = name.lower()
        if low == "authorization":
            word = value.partition(" ")[0].lower() if " " in value.strip() else ""
            if word in _OF_HTTP:
                yield f"{word}Auth", {"type": "http", "scheme": word}
            else:
                yield "authorization", {"type": "apiKey", "in": "header", "name": "Authorization"}
        elif low == "cookie":
            cookies = [pair.strip().partition("=")[0] for pair in value.split(";")]
            telling = [each for each in cookies if policy.weight(each) in _STRONG]
            for cookie in telling or [each for each in cookies if each and each[0] != "_"]:  # `_ga` is somebody else's
                yield _named(cookie, "Cookie"), {"type": "apiKey", "in": "cookie", "name": cookie}
        elif is_credential(low, value, policy):
            yield _named(low, "Header"), {"type": "apiKey", "in": "header", "name": name}
    for name, value in sample.query:
        if is_credential(name, value, policy):
            yield _named(name, "Query"), {"type": "apiKey", "in": "query", "name": name}


def is_credential(name: str, value: str, policy: Policy) -> bool:
    """Say whether something that a request says is there to be let in: by its name, or since it was covered."""
    return policy.weight(name) in _STRONG or (bool(value) and is_covered(value))


def demanded(uses: Iterable[frozenset[str]]) -> list[dict[str, list[str]]]:
    """Return what an operation asks for: all ways in which it was used, the shortest first."""
    ways = sorted(set(uses), key=lambda way: (len(way), sorted(way)))
    return [{name: [] for name in sorted(way)} for way in ways] if any(ways) else []


def _named(name: str, place: str) -> str:
    words: list[str] = re.findall(r"[A-Za-z0-9]+", name) or ["key"]
    return "".join([words[0].lower(), *[word.capitalize() for word in words[1:]], place])
