"""The stage: where a bundle is replayed, and how the service there is spoken to.

A folder may hold bundles of several services. Each is replayed where the command line says; else, on the stage of the
first profile that has its model and its adapter; else at the recorded URL, if that is allowed.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from replaykit import client, profile, project, service
from replaykit.adapter import Adapter
from replaykit.bundle import Provenance
from replaykit.errors import ProfileError
from replaykit.lifeline import Spare
from replaykit.model import Model
from replaykit.reset import Resets
from replaykit.service import Proxying, Running
from replaykit.transport import Way

_PLACES = ("url", "start")
_WITH_START = ("reset_restart",)  # it needs a service that is started here


@dataclass(frozen=True, slots=True)
class Stage:
    """A service, started here or running somewhere, and how it is spoken to; by default, the recorded one."""

    profile: str | None = None  # whose it is
    model: str | None = None  # as the user names it; None: as the bundle does
    adapter: str | None = None
    url: str | None = None
    more: tuple[str, ...] = ()  # URLs of more services that are alike
    start: str | None = None  # command
    health: str | None = None
    patience: float | None = None  # seconds until it is healthy
    resets: Resets = field(default_factory=Resets)
    settings: Mapping[str, str] = field(default_factory=dict)
    latency: Mapping[str, float] = field(default_factory=dict)  # seconds by endpoint
    transport: Way = "lean"
    proxying: Proxying = field(default_factory=Proxying)

    @property
    def has_free_port(self) -> bool:
        """Whether the service is started on a port that is another one each time."""
        return self.url is None and "{port}" in (self.start or "")

    @contextlib.contextmanager
    def opened(
        self,
        recorded: Provenance,
        *,
        folder: Path | None = None,
        variables: Mapping[str, str] | None = None,
        log: Path | None = None,
        spare: Spare | None = None,
    ) -> Iterator[Running]:
        """Give the service; where none is named, the one that was recorded, if that is allowed.

        Commands are run in `folder`, with these variables, what it prints goes into `log`, and its supervisor may be
        the `spare` one, as in `service.Started`.

        Raises as `service.opened`, and ForeignHostError.
        """
        url = self.url
        if url is None and self.start is None:
            client.require_loopback(recorded.url or "", project.allowed_hosts())
            recorded.require_port()
            url = recorded.url
        with service.opened(
            url=url,
            start=self.start,
            health=self.health,
            patience=self.patience,
            resets=self.resets,
            folder=folder,
            variables=variables,
            log=log,
            proxying=self.proxying,
            spare=spare,
        ) as running:
            yield running

    def loaded(self, recorded: Provenance) -> tuple[type[Model], type[Adapter[Any]]]:
        """Import the model and the adapter that a bundle is judged with: those of the user, else the recorded ones.

        Raises as `project.load`.
        """
        model = project.load(self.model or recorded.model, Model, trusted=self.model is not None)
        return model, project.load(self.adapter or recorded.adapter, Adapter, trusted=self.adapter is not None)


def stage_for(recorded: Provenance, said: Mapping[str, Any] | None = None, named: str | None = None) -> Stage:
    """Return the stage of a bundle.

    `said` is what the command line and the environment say, with the keys of a profile. Where that is where the
    service is, no profile says so; what else the profile `named` has counts, if it is one of this model and adapter.
    Otherwise, the first of the project's profiles that has both counts, `named` going before them.
    Raises ProfileError, UsageError.
    """
    said = dict(said or {})
    is_placed = any(said.get(key) for key in _PLACES)
    wanted = [said.get(key) or getattr(recorded, key) for key in ("model", "adapter")]
    names = [] if named is None else [named]
    if not is_placed:
        names += project.profiles()
    for name in names:
        found = profile.read(name)
        if _fits(found, wanted, least=0 if name == named else 2):
            break
    else:
        name, found = None, {}
    if is_placed:
        left_out = _PLACES if said.get("start") else (*_PLACES, *_WITH_START)
        found = {key: value for key, value in found.items() if key not in left_out}
    both = {key: {**found.get(key, {}), **said.get(key, {})} for key in ("settings", "latency")}
    return stage_of(name, {**found, **said, **both})


def _fits(said: Mapping[str, Any], wanted: Iterable[str], least: int) -> bool:
    """Say whether a profile is one of this model and adapter; at least so many of them it has to name."""
    named = [(said[key], want) for key, want in zip(("model", "adapter"), wanted, strict=True) if key in said]
    return len(named) >= least and all(project.portable(one) == project.portable(other) for one, other in named)


def stage_of(name: str | None, said: Mapping[str, Any]) -> Stage:
    """Return the stage of a profile. Raises UsageError, ProfileError."""
    url = said.get("url")
    urls = tuple(url) if isinstance(url, list | tuple) else () if url is None else (url,)
    if not all(isinstance(each, str) for each in urls):
        raise ProfileError(f"The profile {name!r} has url = {url!r}, which is of the wrong type.")
    transport, patience = said.get("transport", "lean"), said.get("health_timeout")
    if transport not in get_args(Way):
        raise ProfileError(
            f"The profile {name!r} has transport = {transport!r}.", f"Write one of {', '.join(get_args(Way))}."
        )
    if patience is not None and not patience > 0:
        raise ProfileError(f"The profile {name!r} has health_timeout = {patience!r}.", "Write seconds, more than 0.")
    return Stage(
        profile=name,
        model=said.get("model"),
        adapter=said.get("adapter"),
        url=urls[0] if urls else None,
        more=urls[1:],
        start=said.get("start"),
        health=said.get("health"),
        patience=patience,
        resets=Resets(_none(said.get("reset_url")), _none(said.get("reset_command")), said.get("reset_restart", False)),
        settings=said.get("settings", {}),
        latency=said.get("latency", {}),
        transport=transport,
        proxying=Proxying(said.get("toxiproxy"), said.get("proxy_port")),
    )


def _none(text: str | None) -> str | None:
    """Read how the service is reset: `none` is no way."""
    return None if text == "none" else text
