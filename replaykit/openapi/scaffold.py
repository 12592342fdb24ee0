"""Scaffold: the files of a first model, made of a description, and what is new in them when it is made again."""

import hashlib
import json
import keyword
import re
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from replaykit.document import Document
from replaykit.errors import DescriptionError, MissingFileError, ReplaykitError, UsageError
from replaykit.openapi.description import Description, accept, read, sealed
from replaykit.openapi.draft import Draft
from replaykit.openapi.link import links_of
from replaykit.openapi.operation import Operation, operations_of
from replaykit.openapi.sketch import Sketcher
from replaykit.openapi.word import pascal, snake
from replaykit.value import JsonData

GENERATED, DESCRIPTION, OWN = "generated.py", "openapi.json", "model.py"

_HEALTH = re.compile(r"^(/[\w.-]+)*/_?(health|healthz|livez|readyz|ping|heartbeat|ready|alive)/?\Z", re.IGNORECASE)
_MODEL = re.compile(r"^class (\w+)\(Contract\):", re.MULTILINE)
_DIGEST = re.compile(r"^# The digest of all else is ([0-9a-f]{64}).\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Scaffold:
    """The files of a package, by name, and what is to be said of them."""

    name: str  # of the package
    model: str  # of the class
    url: str | None  # where the service is, as far as the description says
    health: str  # a path that says whether it is there, or none
    settings: tuple[str, ...]  # that say who the client is
    files: dict[str, str]  # written anew each time
    once: dict[str, str]  # written where they are not there yet
    notes: tuple[str, ...]  # what the description says and the model can't, one sentence each
    commands: dict[str, str]  # endpoint -> command


def scaffold(
    document: JsonData,
    *,
    name: str | None = None,
    url: str | None = None,
    origin: str = "",
    seals: bool = True,
) -> Scaffold:
    """Make a model and an adapter of an OpenAPI document, 3.0 or 3.1, as plain data; nothing is written.

    `name` is that of the package, `url` where the service is, `origin` what the document was read from: it stands in
    the text. A document with `x-replaykit-observed: true` was made of traffic: what it does not name may be there.
    Where it `seals`, the description that is written can be told from one that was changed by hand since.
    Raises DescriptionError for what is no such document, UsageError for a name that no package can have.
    """
    description = accept(document)
    package = _package(name, description)
    operations = list(operations_of(description))
    model = pascal(package).removesuffix("Api") or "Service"  # the adapter is called so, with Api behind it
    sketcher = Sketcher(description, operations, links_of(description, operations), model)
    sketches = sketcher.all()
    if not sketches.asked:
        raise DescriptionError("The description has no operation that can be asked.", "; ".join(sketches.notes)[:500])
    draft = Draft(description, sketcher, sketches, model, origin)
    text = draft.generated()
    kept = sealed(description.document) if seals else description.document
    return Scaffold(
        name=package,
        model=model,
        url=url or description.local,
        health=next((each.path for each in operations if _tells_health(each)), "none"),
        settings=tuple(draft.settings),
        files={
            DESCRIPTION: json.dumps(kept, indent=1, ensure_ascii=True) + "\n",
            GENERATED: _sealed(text),
        },
        once={"__init__.py": f'"""Tests of {model} with replaykit."""\n', OWN: draft.model()},
        notes=tuple(dict.fromkeys(sketches.notes)),
        commands={each.operation.endpoint: each.command for each in sketches.asked},
    )


def _package(name: str | None, description: Description) -> str:
    chosen = name if name is not None else snake(description.title, "service")
    if name is None and chosen in {*sys.stdlib_module_names, "test"}:
        chosen = f"{chosen}_service"  # a package of that name would not be imported, or be in the way
    if not chosen.isidentifier() or keyword.iskeyword(chosen) or not chosen.isascii() or pascal(chosen, "") == "":
        raise UsageError(f"{chosen!r} can't be the name of a package.", "Name it with --name, in lower-case letters.")
    if chosen == "replaykit":
        raise UsageError("replaykit can't be the name of the package: it is this one's.", "Choose another --name.")
    return chosen


def _tells_health(operation: Operation) -> bool:
    """Say whether an operation is there to be asked by anybody whether the service is well."""
    asks = operation.method == "GET" and "{" not in operation.path and not operation.security
    return asks and not any(each.is_required for each in operation.parameters) and bool(_HEALTH.search(operation.path))


# --- what is written ----------------------------------------------------------------------------


def _sealed(text: str) -> str:
    """Put the digest of a text into its second line."""
    head, _, rest = text.partition("\n")
    return f"{head}\n# The digest of all else is {_digest(text)}.\n{rest}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def is_untouched(text: str) -> bool:
    """Say whether a generated file is as it was written."""
    found = _DIGEST.search(text)
    return found is not None and _digest(_DIGEST.sub("", text, count=1)) == found[1]


def require_importable(made: Scaffold) -> None:
    """Raise DescriptionError where the written code can't be imported; it is tried in a folder that goes away."""
    name = f"_replaykit_tries_{made.name}"
    with tempfile.TemporaryDirectory() as folder:
        for each, text in [*made.files.items(), *made.once.items()]:
            (Path(folder) / each).write_text(text, encoding="utf-8")
        try:
            for each, inner in (("__init__.py", name), (GENERATED, f"{name}.generated"), (OWN, f"{name}.model")):
                places = [folder] if inner == name else None
                spec = spec_from_file_location(inner, Path(folder) / each, submodule_search_locations=places)
                assert spec is not None  # noqa: S101  for a file with this ending
                assert spec.loader is not None  # noqa: S101
                module = sys.modules[inner] = module_from_spec(spec)
                spec.loader.exec_module(module)
        except ReplaykitError:
            raise
        except Exception as error:
            said = " ".join(str(error).split())[:200]
            raise DescriptionError(
                f"What was made of the description can't be imported: {type(error).__name__}: {said}.",
                "Rename in the description what this speaks of; it is a mistake in replaykit.",
            ) from error
        finally:
            for each in [each for each in sys.modules if each.partition(".")[0] == name]:
                del sys.modules[each]


def put(made: Scaffold, folder: Path, *, force: bool = False) -> tuple[str, ...]:
    """Write a scaffold into a folder; return what is new, changed or gone, one line each.

    Raises DescriptionError for what can't be imported; UsageError where model.py would be broken, a link leads
    nowhere, or a generated file was changed by hand, and `force` is not given; UnwritableError.
    """
    before = _before(folder / DESCRIPTION)
    old = _text(folder / GENERATED)
    if old is not None and not force and not is_untouched(old):
        raise UsageError(
            f"{folder / GENERATED} was changed by hand, and would be lost.",
            f"Move the change to {OWN}, where it stays; or give --force.",
        )
    own = _text(folder / OWN) or ""
    lost = [each for each in _MODEL.findall(old or "") if each != made.model and f"generated.{each}" in own]
    if lost and not force:
        raise UsageError(
            f"{folder / OWN} is made of generated.{lost[0]}, and {GENERATED} would have {made.model} instead.",
            "Give the --name that it had the first time; or another --output; or --force, and change it.",
        )
    if folder.is_dir() and old is None and any(folder.iterdir()) and not force and not _is_ours(folder):
        raise UsageError(
            f"{folder} is there already, with other files in it.", "Name another --output, or give --force."
        )
    require_importable(made)
    for each in [*made.files, *made.once]:
        if (folder / each).is_symlink() and not (folder / each).exists():
            raise UsageError(f"{folder / each} is a link that leads nowhere.", "Take it away, or put its file there.")
    written = {name: Document(str(folder / name)) for name in [*made.files, *made.once]}
    for name, text in [*made.once.items(), *made.files.items()]:
        if name in made.once and (folder / name).exists():
            continue
        written[name].write(text)
        trouble = written[name].trouble
        if trouble is not None:
            raise trouble
    return tuple(_differences(before, made, own)) if before is not None else ()


def _is_ours(folder: Path) -> bool:
    """Say whether a folder holds nothing but what a scaffold is made from."""
    return {each.name for each in folder.iterdir()} <= {"__init__.py", DESCRIPTION, OWN, "__pycache__"}


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise MissingFileError(f"{path} can't be read: {error}.", "Look what it is.") from None


def _before(path: Path) -> Description | None:
    if not path.is_file():
        return None
    try:
        return accept(read(path))
    except DescriptionError:
        return None


def _differences(before: Description, made: Scaffold, own: str) -> list[str]:
    after = accept(json.loads(made.files[DESCRIPTION]))
    old = {each.endpoint: each for each in operations_of(before)}
    new = {each.endpoint: each for each in operations_of(after)}
    lines = [f"new: {endpoint}{_as_command(made, endpoint)}" for endpoint in new if endpoint not in old]
    lines += [
        f"changed: {endpoint}{_as_command(made, endpoint)}"
        for endpoint in new
        if endpoint in old and _spelled_out(before, old[endpoint]) != _spelled_out(after, new[endpoint])
    ]
    gone = [endpoint for endpoint in old if endpoint not in new]
    if gone:
        names = scaffold(before.document, name=made.name).commands
        for endpoint in gone:
            command = names.get(endpoint, "")
            used = bool(command) and re.search(rf"\b{command}\b", own) is not None
            known = f" ({command}{f', and {OWN} speaks of it' if used else ''})" if command else ""
            lines.append(f"gone: {endpoint}{known}")
    return lines


def _as_command(made: Scaffold, endpoint: str) -> str:
    return f" ({made.commands[endpoint]})" if endpoint in made.commands else ""


def _spelled_out(description: Description, operation: Operation) -> set[str]:
    """Return an operation with all that it refers to, as a set of texts that can be compared."""
    above = operation.pointer.rpartition("/")[0]
    waiting = (
        [operation.pointer, f"{above}/parameters"] if "parameters" in description.at(above) else [operation.pointer]
    )
    told: set[str] = set()
    known: set[str] = set()
    while waiting:
        place = waiting.pop()
        if place in known:
            continue
        known.add(place)
        said = json.dumps(description.at(place), sort_keys=True)
        told.add(said)
        waiting += re.findall(r'"\$ref": "#([^"\\]+)"', said)
    document = description.document
    told.add(json.dumps(document.get("security"), sort_keys=True))
    return told
