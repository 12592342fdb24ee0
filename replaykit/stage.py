"""The stage: where a bundle is replayed, and how the service there is spoken to.

A folder may hold bundles of several services. Each is replayed where the command line says; else, on the stage of the
first profile that has its model and its adapter.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from replaykit import client, project, service
from replaykit.bundle import Provenance
from replaykit.reset import Resets
from replaykit.service import Running
from replaykit.transport import Way


@dataclass(frozen=True, slots=True)
class Stage:
    """A service, started here or running somewhere, and how it is spoken to; by default, the recorded one."""

    profile: str | None = None  # whose it is
    url: str | None = None
    start: str | None = None  # command
    health: str | None = None
    patience: float | None = None  # seconds until it is healthy
    resets: Resets = field(default_factory=Resets)
    settings: Mapping[str, str] = field(default_factory=dict)
    latency: Mapping[str, float] = field(default_factory=dict)  # seconds by endpoint
    transport: Way = "lean"

    @contextlib.contextmanager
    def opened(self, recorded: Provenance) -> Iterator[Running]:
        """Give the service; where none is named, the one that was recorded, if that is allowed.

        Raises as `service.opened`, and ForeignHostError.
        """
        url = self.url
        if url is None and self.start is None:
            client.require_loopback(recorded.url or "", project.allowed_hosts())
            recorded.require_port()
            url = recorded.url
        with service.opened(
            url=url, start=self.start, health=self.health, patience=self.patience, resets=self.resets
        ) as running:
            yield running


def stage_of(name: str, said: Mapping[str, Any]) -> Stage:
    """Return the stage of a profile. Raises UsageError, ProfileError."""
    return Stage(
        profile=name,
        url=said.get("url"),
        start=said.get("start"),
        health=said.get("health"),
        patience=said.get("health_timeout"),
        resets=Resets(said.get("reset_url"), said.get("reset_command"), said.get("reset_restart", False)),
        settings=said.get("settings", {}),
        latency=said.get("latency", {}),
        transport=said.get("transport", "lean"),
    )
