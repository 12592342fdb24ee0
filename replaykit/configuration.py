"""The configuration: all that a verdict depends on, beside the code of a point and the bundle, as a digest."""

import hashlib
import json
import platform
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from replaykit import project
from replaykit.value import jsonable
from replaykit.version import __version__

_PACKAGES = {"site-packages", "dist-packages"}


def digest_of(parts: Mapping[str, Any], modules: Iterable[ModuleType] = ()) -> str:
    """Digest all that a verdict depends on, beside the code of the point and the bundle.

    `parts` are commands, settings and limits; `modules` are those of the model and the adapter, whose files count, as
    do those of all modules of the project that are loaded. The versions of Python and replaykit count too.
    """
    own = {module.__name__: module for module in [*_project_modules(), *modules]}
    files = {name: _sum_of_file(module) for name, module in sorted(own.items())}
    versions = [__version__, platform.python_implementation(), platform.python_version()]
    said = {"parts": jsonable(dict(parts)), "modules": files, "versions": versions}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _project_modules() -> list[ModuleType]:
    """List the loaded modules whose files lie in the project, and not in an environment in it."""
    folders = {project.root().resolve(), Path.cwd().resolve()}
    installed = {Path(each).resolve() for name, each in sysconfig.get_paths().items() if name != "data"}
    if sys.prefix != sys.base_prefix:
        installed.add(Path(sys.prefix).resolve())
    found = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or name.partition(".")[0] in {"replaykit", "__main__", "__mp_main__"}:
            continue
        path = Path(file).resolve()
        is_own = any(path.is_relative_to(folder) for folder in folders)
        if is_own and not any(path.is_relative_to(each) for each in installed) and not _PACKAGES & set(path.parts):
            found.append(module)
    return found


def _sum_of_file(module: ModuleType) -> str:
    try:
        return hashlib.sha256(Path(str(module.__file__)).read_bytes()).hexdigest()
    except (OSError, ValueError):
        return ""
