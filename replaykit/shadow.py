"""The shadow: a copy of the code under test that is installed, and may be served in the place of the checkout.

An environment that a project is developed in has the project itself installed, often as a link to the user's own
checkout. A service that imports its package from there is the same one at every commit.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

PATIENCE = 10.0  # seconds that Python may take to say where it finds things
MOST_NAMES = 200
MOST_FOLDERS = 40  # between a folder and the top of its repository
_NEVER_SERVED = {"setup", "conftest", "noxfile", "tasks", "test", "tests", "doc", "docs", "build", "dist", "examples"}

_ASK = """
import importlib.util, json, os, sys, sysconfig
if sys.path and sys.path[0] == "":
    del sys.path[0]
standard = [os.path.realpath(sysconfig.get_paths()[each]) for each in ("stdlib", "platstdlib")]
found = {}
for name in json.loads(sys.argv[1]):
    try:
        spec = importlib.util.find_spec(name)
    except Exception:
        continue
    if spec is None or spec.origin in ("built-in", "frozen"):
        continue
    place = spec.origin if spec.has_location else next(iter(spec.submodule_search_locations or []), None)
    if place is None:
        continue
    place = os.path.realpath(place)
    is_installed = "site-packages" in place or "dist-packages" in place
    if is_installed or not any(place.startswith(each + os.sep) for each in standard):
        found[name] = place
print(json.dumps(found))
"""


def shadow_of(folder: Path, variables: Mapping[str, str]) -> str | None:
    """Say of the code in a folder that a copy of it is found elsewhere by the Python of an environment.

    None where there is no such copy, or no Python. It costs one start of Python.
    """
    python = next(
        filter(None, (shutil.which(each, path=variables.get("PATH")) for each in ("python", "python3"))), None
    )
    folders = list(_folders(folder))
    names = sorted({name for each in folders for name in _names(each)} - _NEVER_SERVED)[:MOST_NAMES]
    if python is None or not names:
        return None
    try:
        done = subprocess.run(
            [python, "-c", _ASK, json.dumps(names)],
            cwd=folder,
            env={**variables, "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
        )
        found = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return None
    top = folders[-1].resolve()
    if not isinstance(found, dict):
        return None
    for name, place in found.items():
        if isinstance(place, str) and not Path(place).is_relative_to(top):
            return (
                f"{name} is found at {place} too: a service that imports it from there is the same at every commit; "
                "let the checkout be found first (PYTHONPATH), or let --setup make an environment with nothing but the "
                "dependencies in it"
            )
    return None


def _folders(folder: Path) -> Iterator[Path]:
    """List a folder, and those above it up to the top of its repository; the folder alone where that is in none."""
    above = [folder, *folder.parents][:MOST_FOLDERS]
    tops = [place for place, each in enumerate(above) if (each / ".git").exists()]
    yield from above[: tops[0] + 1] if tops else [folder]


def _names(folder: Path) -> Iterator[str]:
    """List the modules and packages that lie in a folder, and in src below it."""
    for place in (folder, folder / "src"):
        try:
            entries = list(place.iterdir())
        except OSError:
            continue
        for entry in entries:
            is_module = entry.suffix == ".py" and entry.is_file()
            if entry.stem.isidentifier() and (is_module or (entry / "__init__.py").is_file()):
                yield entry.stem
