"""replaykit: finds bugs in live HTTP services against a model, and turns each into one file to replay.

This page is the table of contents of the public names; everything else may change. Names are imported
when they are first used, so that `replaykit --help` does not pay for an HTTP client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from replaykit.version import __version__

if TYPE_CHECKING:
    from replaykit import fault, gen, integration
    from replaykit.adapter import Adapter, Mock, handles, observes, recovers, within
    from replaykit.attempts import Replayed
    from replaykit.bundle import Bundle
    from replaykit.command import Command, Entity, Event, Observation, Ref, Wait, Waited
    from replaykit.difference import same
    from replaykit.errors import ReplaykitError
    from replaykit.model import Like, Model, check, eventually, expects, fail, invariant, like, on, requires
    from replaykit.reader import read
    from replaykit.rechecking import Rechecked, recheck
    from replaykit.recording import play, record
    from replaykit.replaying import load_failure, replay
    from replaykit.serving import serve
    from replaykit.shrink import Budget
    from replaykit.trace import Trace
    from replaykit.verdict import Failure, Verdict

_HOMES = {
    # writing a model: what is said and heard
    "Command": "command",
    "Event": "command",
    "Observation": "command",
    "Entity": "command",
    "Ref": "command",
    "Wait": "command",
    "Waited": "command",
    # writing a model: what must hold
    "Model": "model",
    "on": "model",
    "requires": "model",
    "expects": "model",
    "invariant": "model",
    "check": "model",
    "eventually": "model",
    "fail": "model",
    "same": "difference",
    "like": "model",
    "Like": "model",
    # writing a model: values
    "gen": "",
    # writing a model: what goes wrong on purpose
    "fault": "",
    # writing an adapter
    "Adapter": "adapter",
    "handles": "adapter",
    "observes": "adapter",
    "recovers": "adapter",
    "within": "adapter",
    "Mock": "adapter",
    # running
    "integration": "",
    "Budget": "shrink",
    # replaying
    "read": "reader",
    "Bundle": "bundle",
    "Trace": "trace",
    "Failure": "verdict",
    "Verdict": "verdict",
    "load_failure": "replaying",
    "replay": "replaying",
    "Replayed": "attempts",
    "recheck": "rechecking",
    "Rechecked": "rechecking",
    # without a model
    "record": "recording",
    "play": "recording",
    "serve": "serving",
    # going wrong
    "ReplaykitError": "errors",
}

__all__ = [
    "Adapter",
    "Budget",
    "Bundle",
    "Command",
    "Entity",
    "Event",
    "Failure",
    "Like",
    "Mock",
    "Model",
    "Observation",
    "Rechecked",
    "Ref",
    "Replayed",
    "ReplaykitError",
    "Trace",
    "Verdict",
    "Wait",
    "Waited",
    "__version__",
    "check",
    "eventually",
    "expects",
    "fail",
    "fault",
    "gen",
    "handles",
    "integration",
    "invariant",
    "like",
    "load_failure",
    "observes",
    "on",
    "play",
    "read",
    "recheck",
    "record",
    "recovers",
    "replay",
    "requires",
    "same",
    "serve",
    "within",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'replaykit' has no attribute {name!r}")
    found = import_module(f"replaykit.{home or name}")
    value = getattr(found, name) if home else found
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
