"""The profile: a table of options in the project's pyproject.toml, read and checked.

[tool.replaykit.profiles.shop]
model = "shop.model:Shop"
adapter = "shop.adapter:ShopApi"
start = "python -m shop --port {port}"
"""

import json
from collections.abc import Mapping
from typing import Any

from replaykit import project
from replaykit.errors import ProfileError, UsageError
from replaykit.hint import hint

KEYS: dict[str, type | tuple[type, ...]] = {  # what a profile may say
    "model": str,
    "adapter": str,
    "url": (str, list),
    "start": str,
    "health": str,
    "health_timeout": (int, float),
    "reset_url": str,
    "reset_command": str,
    "reset_restart": bool,
    "build": str,
    "build_timeout": (int, float),
    "setup": str,
    "setup_file": (str, list),
    "keep": (str, list),
    "replay_timeout": (int, float),
    "good": str,
    "bad": str,
    "all_parents": bool,
    "confidence": (int, float),
    "max_replays": int,
    "max_time": (str, int, float),
    "restart": bool,
    "transport": str,
    "toxiproxy": str,
    "proxy_port": int,
    "runs": int,
    "commands": int,
    "seed": int,
    "hunt": int,
    "time": (str, int, float),
    "plateau": int,
    "known": (list, str),
    "save_failures": str,
    "record": str,
    "with_times": bool,
    "stop_on_fail": bool,
    "jobs": int,
    "dask": str,
    "parallel": str,
    "repeat": int,
    "stutter": (int, float),
    "swarm": bool,
    "shrink_executions": int,
    "shrink_time": (int, float),
    "no_shrink": bool,
    "quiet": bool,
    "coverage": str,
    "require_coverage": (list, str, int, float),
    "report": (list, str),
    "report_path": str,
    "settings": dict,
    "latency": dict,
}


def read(name: str) -> dict[str, Any]:
    """Return what a profile says, by the names of options; settings of the adapter are texts. Raises ProfileError."""
    said: dict[str, Any] = {}
    for key, value in project.profile(name).items():
        option = key.replace("-", "_")
        kind = KEYS.get(option)
        if kind is None:
            known = hint(option, KEYS, f"Known keys: {', '.join(KEYS)}.")
            raise ProfileError(f"The profile {name!r} has an unknown key {key!r}.", known)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ProfileError(f"The profile {name!r} has {key} = {value!r}, which is of the wrong type.")
        said[option] = value
    try:
        check_endpoints(said.get("latency", {}))
    except UsageError as error:
        raise ProfileError(f"The profile {name!r}: {error.happened}", error.todo) from None
    if "settings" in said:
        said["settings"] = {key: _as_text(value) for key, value in said["settings"].items()}
    return said


def check_endpoints(latency: Mapping[str, Any]) -> None:
    """Raise UsageError where something is no endpoint, or can't take so long."""
    if latency:
        from replaykit.latency import read_endpoints

        read_endpoints(latency)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
