"""Candidates: what a shell may complete a value to: saved bugs, profiles, classes. Nothing is imported or opened.

Who types is not to be told of a broken pyproject.toml in the middle of a line: then there are no candidates.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from replaykit.errors import ReplaykitError
from replaykit.visible import visible

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

C = TypeVar("C", bound=Callable[..., Any])

MOST = 500  # that are looked at
ENDINGS = (".pd", ".pd.gz", ".pd.zip")

_PARTING = re.compile(r"[\t\n]")  # which `visible` leaves as they are


def bundles(context: click.Context, parameter: click.Parameter, incomplete: str) -> "list[CompletionItem[str]]":
    """List bundles: those of the project's failures/ first, then those of the folder that is typed; else any file."""
    del parameter
    from click.shell_completion import CompletionItem

    from replaykit.project import root

    taken = {str(each) for value in context.params.values() if isinstance(value, tuple) for each in value}
    kept = _below(os.path.relpath(root() / "failures"))
    here = _inside(os.path.dirname(incomplete))  # noqa: PTH120  as it was typed, with its ./
    found = dict.fromkeys(each for each in _fitting((*kept, *here), incomplete) if each not in taken)
    return [CompletionItem(each) for each in found] or [CompletionItem(incomplete, type="file")]


def several(name: str, metavar: str) -> Callable[[C], C]:
    """Make the argument that takes one file or more, bundles above all."""
    return click.argument(
        name,
        metavar=metavar,
        nargs=-1,
        required=True,
        type=click.Path(path_type=Path),
        shell_complete=bundles,
    )


def texts(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """List what the bundles of the project's failures/ are called: a fingerprint is a part of that."""
    del context, parameter
    from replaykit.project import root

    names = [Path(each).name.partition(".pd")[0] for each in _below(str(root() / "failures"))]
    said = (part for name in names for part in (name, name.rpartition("-")[2]))
    return list(dict.fromkeys(_fitting(said, incomplete)))


def profiles(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """List the profiles of the project."""
    del context, parameter
    from replaykit import project

    with contextlib.suppress(ReplaykitError):
        return _fitting(project.profiles(), incomplete)
    return []


def classes(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """List the models, or the adapters, that the project's profiles and its short names name."""
    del context
    from replaykit import project

    with contextlib.suppress(ReplaykitError):
        return _fitting(project.classes(parameter.name or ""), incomplete)
    return []


def _fitting(names: Iterable[str], incomplete: str) -> list[str]:
    """List the names that begin as is typed; without those that a shell would break into lines, or obey."""
    fitting = [each for each in names if each.startswith(incomplete)]
    return [each for each in fitting if visible(each) == each and not _PARTING.search(each)]


def _below(folder: str) -> list[str]:
    """List the bundles below a folder, in the order of their names."""
    return sorted(islice(_walk(folder), MOST))


def _walk(folder: str) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        folders[:] = [each for each in folders if not each.startswith(".")]
        yield from (os.path.join(place, each) for each in files if each.endswith(ENDINGS))  # noqa: PTH118


def _inside(folder: str) -> list[str]:
    """List the bundles in a folder."""
    with contextlib.suppress(OSError, ValueError), os.scandir(folder or ".") as entries:
        names = [each.name for each in islice(entries, MOST) if each.name.endswith(ENDINGS)]
        return sorted(os.path.join(folder, each) for each in names)  # noqa: PTH118
    return []
