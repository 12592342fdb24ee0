"""Words: names of a description as names of Python, and never anything that Python or replaykit keeps for itself."""

import builtins
import keyword
import re

from replaykit.adapter import Adapter
from replaykit.command import Command, Event
from replaykit.model import Model

MOST = 40  # characters of a name

_PARTS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_UNSAID = {"on", "expects", "handles", "observes", "requires", "check", "invariant", "eventually", "like", "gen"}
_WRITTEN = {"str", "int", "float", "bool", "list", "dict", "frozenset", "values", "os"}  # in the bodies of classes
_GUARDED = ("model_dump", "model_validate")  # no field of pydantic may begin so
_ID = re.compile(r"_(id|ids|uuid|guid|key|ref|number|no)\Z")


def parts_of(text: str) -> list[str]:
    """Split a name into its words, in lower case: `getPetById`, `get-pet-by-id` and `get_pet_by_id` are the same."""
    return [part.lower() for part in _PARTS.findall(text)]


def snake(text: str, default: str = "value") -> str:
    """Write a name as one of a field or a method: petId becomes pet_id."""
    name = "_".join(parts_of(text))[:MOST].rstrip("_") or default
    return f"n_{name}" if name[:1].isdigit() else name


def pascal(text: str, default: str = "Thing") -> str:
    """Write a name as one of a class: pet-owner becomes PetOwner."""
    name = "".join(part.capitalize() for part in parts_of(text))[:MOST] or default
    return f"N{name}" if name[:1].isdigit() else name


def singular(text: str) -> str:
    """Return the word for one of several: companies becomes company, boxes box, news stays."""
    for ending, instead, least in (
        ("ies", "y", 5), ("sses", "ss", 5), ("shes", "sh", 5), ("ches", "ch", 5), ("xes", "x", 4), ("zes", "ze", 5),
        ("ses", "se", 5),
    ):  # fmt: skip
        if text.endswith(ending) and len(text) >= least:
            return text.removesuffix(ending) + instead
    if text.endswith("s") and not text.endswith(("ss", "us", "is", "news", "series")) and len(text) > 2:  # noqa: PLR2004
        return text[:-1]
    return text


def without_id(text: str) -> str:
    """Return what a name speaks of the id of: customerId and customer_uuid are about a customer."""
    return _ID.sub("", snake(text))


def is_kept(name: str, kind: type) -> bool:
    """Say whether a name can't be that of a member of a class of this kind."""
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        return True
    return hasattr(kind, name) or name in _UNSAID or name in _WRITTEN


def free(name: str, taken: set[str], kind: type | None = None) -> str:
    """Return a name that nobody has yet, and take it; it differs from the wished one by what is put behind it."""
    if kind is not None and name.startswith(_GUARDED):
        name = f"the_{name}"
    wished = f"{name}_" if kind is not None and (is_kept(name, kind) or name in Model.model_fields) else name
    if kind is None and (keyword.iskeyword(name) or hasattr(builtins, name)):
        wished = f"{name}Of"
    found, count = wished, 1
    while found in taken:
        count += 1
        found = f"{wished}_{count}" if kind is not None else f"{wished}{count}"
    taken.add(found)
    return found


COMMAND, EVENT, MODEL, ADAPTER = Command, Event, Model, Adapter
