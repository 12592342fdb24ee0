"""The user's project: its folder, the profiles in its pyproject.toml, its models and adapters.

What a bundle names is imported only where it lies inside the project; what the user names on the command
line or in a profile is imported from wherever Python finds it.
"""

import ast
import builtins
import importlib
import importlib.util
import os
import re
import sys
import tomllib
import traceback
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from replaykit.errors import LoadError, ProfileError, RedactionError, ReplaykitError, UsageError, is_fault
from replaykit.hint import hint, meant

if TYPE_CHECKING:  # `replaykit --help` does not pay for pydantic
    from replaykit.secret import Policy

K = TypeVar("K")

MOST_MOVES = 8  # modules that take a class from one another


def root() -> Path:
    """Return the nearest folder, from here upwards, with a pyproject.toml; else the current folder."""
    here = Path.cwd()
    return next((each for each in (here, *here.parents) if (each / "pyproject.toml").is_file()), here)


def profile(name: str) -> dict[str, Any]:
    """Return `[tool.replaykit.profiles.NAME]` of the project's pyproject.toml; raise ProfileError."""
    file, found = root() / "pyproject.toml", profiles()
    if not file.is_file():
        raise ProfileError(f"There is no pyproject.toml here or above to find the profile {name!r} in.")
    if name not in found:
        raise ProfileError(
            f"There is no profile {name!r} in {file}.",
            hint(
                name,
                found,
                f"The profiles there: {', '.join(sorted(found)) or 'none'}. Add [tool.replaykit.profiles.{name}].",
            ),
        )
    chosen = found[name]
    if not isinstance(chosen, dict):
        raise ProfileError(f"The profile {name!r} in {file} is not a table.", "Write options as key = value.")
    return chosen


def profiles() -> dict[str, Any]:
    """Return `[tool.replaykit.profiles]` of the project's pyproject.toml, in its order. Raises ProfileError."""
    found = settings_here("profiles")
    return found if isinstance(found, dict) else {}


def classes(role: str) -> list[str]:
    """List what the project's profiles and its short names call a model, or an adapter. Raises ProfileError."""
    said = [each.get(role) for each in profiles().values() if isinstance(each, dict)]
    names = settings_here("names")
    return sorted({each for each in (*said, *(names if isinstance(names, dict) else ())) if isinstance(each, str)})


SETTINGS = ("profile", "profiles", "names", "redact", "allow_hosts", "noise")  # what [tool.replaykit] may say


def unknown_settings() -> list[str]:
    """Say of keys of `[tool.replaykit]` that nobody reads them, and which one is meant perhaps. Raises ProfileError."""
    found, there = _settings(), f"It may have: {', '.join(SETTINGS)}."
    return [
        f"{key} in [tool.replaykit] means nothing. {hint(key, SETTINGS, there)}"
        for key in (found if isinstance(found, dict) else ())
        if key not in SETTINGS
    ]


def settings_here(name: str) -> Any:
    """Return `[tool.replaykit]` NAME of the project's pyproject.toml; None where it is not there."""
    found = _settings()
    return found.get(name) if isinstance(found, dict) else None


def _settings() -> Any:
    file = root() / "pyproject.toml"
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ProfileError(f"{file} can't be read: {error.strerror}.", "Mend the file.") from None
    if b"replaykit" not in content:
        return None
    try:
        found: Any = tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ProfileError(f"{file} can't be read: {error}.", "Mend the file.") from None
    for key in ("tool", "replaykit"):
        found = found.get(key) if isinstance(found, dict) else None
    return found


def policy_here() -> "Policy":
    """Return what the project says of its secrets, `[tool.replaykit.redact]`. Raises RedactionError, ProfileError."""
    from replaykit.secret import policy_of

    settings = settings_here("redact")
    place = str(root() / "pyproject.toml")
    if settings is not None and not isinstance(settings, dict):
        raise RedactionError(f"redact in {place} is no table.", "Write [tool.replaykit.redact].")
    return policy_of(settings or {}, os.environ, place)


def allowed_hosts() -> list[str]:
    """Return the hosts that bundles may be replayed against without naming them: `allow_hosts`. Raises ProfileError."""
    hosts = settings_here("allow_hosts")
    if hosts is None:
        return []
    if not isinstance(hosts, list) or not all(isinstance(each, str) and _HOST.fullmatch(each) for each in hosts):
        raise ProfileError(
            f"allow_hosts in {root() / 'pyproject.toml'} is no list of hosts.",
            'Write it as allow_hosts = ["staging.example.org", "10.0.0.5:8080"].',
        )
    return hosts


_HOST = re.compile(r"[A-Za-z0-9._-]+(:\d{1,5})?|[0-9A-Fa-f:]+|\[[0-9A-Fa-f:]+\](:\d{1,5})?")


def spelled(spec: str) -> str:
    """Return what a user calls a class, as `module:Class`.

    That may be a short name of `[tool.replaykit.names]`, or `package.module.Class`: without a colon, the last part
    is the class. What is none of these is returned as it is. Raises ProfileError.
    """
    if ":" in spec:
        return spec
    names = settings_here("names")
    if names is not None and not (isinstance(names, dict) and all(isinstance(each, str) for each in names.values())):
        raise ProfileError(
            f"names in {root() / 'pyproject.toml'} is no table of classes.",
            'Write [tool.replaykit.names], and lines like "Shop.Model" = "shop.model:Shop" below it.',
        )
    if names and spec in names:
        return str(names[spec])
    return f"{spec.rpartition('.')[0]}:{spec.rpartition('.')[2]}" if _DOTTED.fullmatch(spec) else spec


_DOTTED = re.compile(r"(?!.*\.py$)[^\W\d]\w*(\.[^\W\d]\w*)+")  # file.py is a file, whose class is not named


def load(spec: str, kind: type[K], *, trusted: bool = True) -> type[K]:
    """Import the subclass of `kind` that `package.module:Name` or `path/to/file.py:Name` names.

    A user may also name it in the ways of `spelled`. What is not trusted is imported only if it lies inside the
    project. Raises LoadError, UsageError, and DefinitionError where the class itself is not well made.
    """
    said, spec = spec, spelled(spec) if trusted else spec
    place, colon, name = spec.partition(":")
    if not (place and colon and name):
        if not trusted:
            raise LoadError(f"The bundle names {spec!r}, which is no class.", "Name one with --model and --adapter.")
        raise UsageError(
            f"{said!r} does not name a class.",
            hint(said, _named_here(), "Write package.module:Class, package.module.Class, or path/to/file.py:Class."),
        )
    _look_here()
    checked = (spec, root(), Path.cwd())
    if not trusted and not _is_still_there(_checked.get(checked)):
        _require_inside(spec)
    try:
        module = _import_file(_file_of(place)) if place.endswith(".py") else importlib.import_module(place)
    except ReplaykitError:
        raise
    except BaseException as error:
        if not is_fault(error):
            raise
        raise LoadError(
            f"{spec} can't be imported: {type(error).__name__}: {error}{_where(error)}.",
            hint(
                spec,
                _named_here(),
                "It is looked for here and beside pyproject.toml. Start replaykit in the folder that it lies in, or "
                "put that folder on PYTHONPATH.",
            )
            if isinstance(error, ModuleNotFoundError) and place.startswith(str(error.name))
            else "Mend what the module does while it is imported.",
        ) from error
    if not trusted:
        _checked[checked] = module
    found = getattr(module, name, None)
    if not (isinstance(found, type) and issubclass(found, kind)):
        what = "nothing of that name" if found is None else repr(found)
        there = [each for each, value in vars(module).items() if isinstance(value, type) and issubclass(value, kind)]
        near = meant(name, [each for each in there if each != kind.__name__])
        raise LoadError(
            f"{spec} names {what}, and no {kind.__name__}.",
            f"{f'Did you mean {place}:{near}? ' if near else ''}Name a subclass of {kind.__name__}.",
        )
    return found


def _named_here() -> list[str]:
    """List what the project calls its classes; nothing where its configuration is broken, which is told elsewhere."""
    try:
        return [*classes("model"), *classes("adapter")]
    except ProfileError:
        return []


_checked: dict[tuple[str, Path, Path], Any] = {}  # modules that lie inside the project, by where they were asked for


def _is_still_there(module: Any) -> bool:
    """Say whether a module is imported, so that asking for it again runs nothing."""
    return module is not None and sys.modules.get(module.__name__) is module


def _look_here() -> None:
    """Let Python find modules in the current folder, as it does for a script there, and in the project's."""
    for folder in (str(root()), str(Path.cwd())):  # the current one goes first
        if folder not in sys.path:
            sys.path.insert(0, folder)


def _file_of(place: str) -> Path:
    """Return the file of a class, which is said from the current folder, or from the project's."""
    path = Path(place)
    return path if path.is_file() or not (root() / path).is_file() else root() / path


def _where(error: BaseException) -> str:
    """Say where an exception was raised, if it was in a file of the user's."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    frames = [frame for frame in frames if frame.filename != __file__]
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""


def portable(spec: str) -> str:
    """Return the name of a class as it stands in a bundle: no absolute path of this machine's."""
    spec = spelled(spec)
    place, colon, name = spec.partition(":")
    path = Path(place)
    if not (place.endswith(".py") and path.is_absolute()):
        return spec
    inside = path.is_relative_to(root())
    return f"{path.relative_to(root()) if inside else path.name}{colon}{name}"


def _import_file(path: Path) -> Any:
    file = path.resolve()
    other = f"replaykit_file_{abs(hash(str(file))):x}"  # where another module has the name of the file
    for known in (sys.modules.get(file.stem), sys.modules.get(other)):
        if known is not None and getattr(known, "__file__", None) == str(file):
            return known
    name = other if file.stem in sys.modules else file.stem
    spec = importlib.util.spec_from_file_location(name, file)
    if not file.is_file() or spec is None or spec.loader is None:
        raise LoadError(f"There is no Python file {path}.", "Check the path before the colon.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if str(file.parent) not in sys.path:
        sys.path.insert(0, str(file.parent))
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)  # as importlib does: half a module is none
        raise
    return module


def is_inside(spec: str) -> bool:
    """Say whether what `package.module:Name` names lies inside the project; nothing is imported to find that out."""
    _look_here()
    place = spelled(spec).partition(":")[0]
    found = _file_of(place) if place.endswith(".py") else _find(place)
    if found is None or "site-packages" in found.parts:
        return False
    return found.resolve().is_relative_to(root().resolve())


def _require_inside(spec: str) -> None:
    """Raise LoadError unless a class of that name is to be found inside the project; nothing is run to see that.

    Importing a module runs it, and a folder may hold scripts that are not meant to be run because a file says so.
    """
    place, _, name = spec.partition(":")
    if not is_inside(spec):
        raise LoadError(
            f"The bundle names {spec}, which is not to be found inside this project ({root()}).",
            "Start replaykit in the project that the bundle comes from; or, if you trust it, name it yourself with "
            "--model and --adapter. `replaykit show` and `replaykit export --format curl` need none.",
        )
    if not _has_class(place, name):
        raise LoadError(
            f"The bundle names {spec}, and {place} has no class of that name that could be a model or "
            "an adapter; it was not imported.",
            "If it is made in another way, and you trust the bundle, name it yourself with --model and --adapter.",
        )


def _has_class(place: str, name: str, depth: int = 0, *, unseen: bool = False) -> bool:
    """Say whether the source of a module inside the project has a class that may be a model or an adapter.

    It may also take it from another module there. `unseen` is what is said where the source does not have the name.
    """
    file = _file_of(place) if place.endswith(".py") else _find(place)
    if file is None or depth > MOST_MOVES or not is_inside(f"{place}:{name}"):
        return False
    try:
        body = ast.parse(file.read_bytes()).body
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    package = place if file.name == "__init__.py" else place.rpartition(".")[0]
    for node in body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            unseen = False
            if any(_may_lead(base, body, package, depth + 1) for base in node.bases):
                return True
        elif not place.endswith(".py"):
            for source, taken in _taken(node, name, package):
                if _may_give(source, taken, depth + 1) if unseen else _has_class(source, taken, depth + 1):
                    return True
    return unseen


def _may_give(source: str, name: str, depth: int) -> bool:
    """Say whether what a module gives under a name may be a model or an adapter, or the base of one."""
    top = source.partition(".")[0]
    if top == "replaykit" or not is_inside(source):
        return top not in sys.stdlib_module_names
    return _has_class(source, name, depth, unseen=True)


def _may_lead(base: ast.expr, body: list[ast.stmt], package: str, depth: int) -> bool:
    """Say whether a base of a class may be a model or an adapter: it is neither Python's own nor one without bases."""
    while isinstance(base, ast.Attribute | ast.Subscript | ast.Call | ast.Starred):
        base = base.func if isinstance(base, ast.Call) else base.value
    if not isinstance(base, ast.Name):
        return True
    is_known = hasattr(builtins, base.id)
    for node in body:
        if isinstance(node, ast.ClassDef) and node.name == base.id:
            is_known = True
            if depth <= MOST_MOVES and any(_may_lead(each, body, package, depth + 1) for each in node.bases):
                return True
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if base.id == (alias.asname or alias.name.partition(".")[0]):
                    is_known = True
                    if alias.name.partition(".")[0] not in sys.stdlib_module_names:
                        return True
        for source, taken in _taken(node, base.id, package):
            is_known = True
            if _may_give(source, taken, depth + 1):
                return True
    return not is_known


def _taken(node: ast.stmt, name: str, package: str) -> Iterator[tuple[str, str]]:
    """List the modules that a statement takes a name from, each with the name that it has there."""
    if isinstance(node, ast.ImportFrom):
        above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        source = ".".join([*above, *([node.module] if node.module else [])])
        for alias in node.names:
            if alias.name == "*" or (alias.asname or alias.name) == name:
                yield source, name if alias.name == "*" else alias.name


def _find(module: str) -> Path | None:
    path: list[str] | None = None
    spec: ModuleSpec | None = None
    name = ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        spec = PathFinder.find_spec(name, path)
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or [])
    if spec is None:
        return None
    if spec.origin is not None:
        return Path(spec.origin)
    return Path(path[0]) if path else None
