"""Scaffold: the files of a first model, made of a description, and what is new in them when it is made again."""

from dataclasses import dataclass
from pathlib import Path

from replaykit.value import JsonData


@dataclass(frozen=True, slots=True)
class Scaffold:
    """The files of a package, by name, and what is to be said of them."""

    name: str  # of the package
    files: dict[str, str]  # written anew each time
    once: dict[str, str]  # written where they are not there yet
    notes: tuple[str, ...]  # what the description says and the model can't, one sentence each


def scaffold(document: JsonData, *, name: str | None = None, url: str | None = None, origin: str = "") -> Scaffold:
    """Make a model and an adapter of an OpenAPI document, 3.0 or 3.1, as plain data; nothing is written.

    `name` is that of the package, `url` where the service is, `origin` what the document was read from: it stands in
    the text. A document with `x-replaykit-observed: true` was made of traffic: what it does not name may be there.
    Raises DescriptionError for what is no such document.
    """
    raise NotImplementedError


def put(made: Scaffold, folder: Path, *, force: bool = False) -> tuple[str, ...]:
    """Write a scaffold into a folder; return what is new, changed or gone, one line each.

    Raises UsageError where a generated file was changed by hand, and `force` is not given; UnwritableError.
    """
    raise NotImplementedError
