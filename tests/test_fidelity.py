"""Fidelity: what is played from a bundle is, byte for byte and error for error, what was on the wire."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from replaykit.bundle import Origin
from replaykit.cassette import Player
from replaykit.interaction import Interaction, Request
from replaykit.reader import read
from replaykit.trace import Trace
from replaykit.transport import AsyncTap, Network, Tap
from replaykit.writer import save
from tests.odd import CASES, ERRORS, Case, error_in, hear, hear_async, odd_service


class Recording:
    """The tape that keeps what goes past."""

    plays = False

    def __init__(self) -> None:
        self.kept: list[Interaction] = []

    def answer(self, request: Request) -> None:
        del request

    def keep(self, interaction: Interaction) -> None:
        self.kept.append(interaction)


class Playing:
    """The tape that plays, to the end."""

    plays = True

    def __init__(self, interactions: Sequence[Interaction]) -> None:
        self.player = Player(interactions)
        self.answer, self.run_out = self.player.answer, self.player.run_out

    def keep(self, interaction: Interaction) -> None:
        del interaction


class Nowhere(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """The network while a bundle is played: nobody may ask it."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"the network was asked for {request.url}")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"the network was asked for {request.url}")


def kept(interactions: Sequence[Interaction], folder: Path) -> list[Interaction]:
    """Write interactions into a bundle, and read them again."""
    path = folder / "fidelity.pd"
    save(path, Origin(), Trace(recorded=tuple(interactions), ending="recorded"))
    return read(path).trace.interactions()


def heard(case: Case, url: str, transport: httpx.BaseTransport) -> Any:
    """Return what a client hears."""
    with httpx.Client(transport=transport) as client:
        return hear(client, case, url)


def heard_async(case: Case, url: str, transport: httpx.AsyncBaseTransport) -> Any:
    """Return what an async client hears."""

    async def ask() -> Any:
        async with httpx.AsyncClient(transport=transport) as client:
            return await hear_async(client, case, url)

    return asyncio.run(ask())


def limits(case: Case) -> httpx.Limits:
    return httpx.Limits(max_connections=case.connections, max_keepalive_connections=20, keepalive_expiry=5.0)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("wire", ["lean", "httpx", "async"])
def test_what_is_played_is_what_was_on_the_wire(wire: str, name: str, tmp_path: Path):
    """An odd answer is heard through a tap as it is heard without one, and again from its bundle."""
    case, tape = CASES[name], Recording()
    with odd_service(case) as url:
        if wire == "async":
            expected = heard_async(case, url, httpx.AsyncHTTPTransport(limits=limits(case)))
            recorded = heard_async(case, url, AsyncTap(httpx.AsyncHTTPTransport(limits=limits(case)), tape))
        else:
            expected = heard(case, url, httpx.HTTPTransport(limits=limits(case)))
            network = Network(lean=wire == "lean", connections=case.connections)
            recorded = heard(case, url, Tap(network, tape))
    tape = Playing(kept(tape.kept, tmp_path))
    hearing: Any = heard_async if wire == "async" else heard
    played = hearing(case, url, (AsyncTap if wire == "async" else Tap)(Nowhere(), tape))

    assert ERRORS.get(name) is error_in(expected)
    assert expected == recorded
    assert expected == played
    assert tape.player.unused() is None


def test_there_are_more_than_twenty():
    """The odd answers are not fewer than the documentation says."""
    assert 46 == len(CASES)
