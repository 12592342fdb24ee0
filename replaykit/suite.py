"""The suite: the bundles of a folder, each replayed and held against what is known of its bug.

Live, the question is whether the service does what the status says. Offline, it is whether today's model still sees
the bug that was recorded, whatever became of the service since.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias, get_args

from replaykit.errors import MissingFileError
from replaykit.reader import near
from replaykit.status import FILE, Status, Word, statuses
from replaykit.verdict import FOUND, NOT_JUDGED, OK, Verdict

Outcome: TypeAlias = Literal[
    "expected",  # the verdict is the one that the status asks for
    "regression",  # it is fixed, and is there again; or a run that passed fails now
    "gone",  # it is open, and does not show any more
    "unseen",  # offline: the model does not see any more what was recorded
    "not judged",
    "broken",  # the bundle, its model or the configuration is: the same at every commit
]

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
ENDINGS = (".pd", ".pd.gz", ".pd.zip")  # of bundles in a folder
_PATCH = b"#N "  # how a file of Pure Data begins


class Expected(NamedTuple):
    """What a verdict means for a bug of some status, and the exit code for it."""

    outcome: Outcome
    code: int


def expected(word: Word, verdict: Verdict, *, offline: bool = False, lenient: bool = False) -> Expected:
    """Hold a verdict against the status of a bug; `lenient` lets pass that an open bug is gone."""
    if verdict is Verdict.PASSED:
        return Expected("expected", OK)
    if verdict is Verdict.FAILED:
        return Expected("regression", FOUND)
    if verdict not in {Verdict.FIXED, Verdict.REPRODUCED}:
        return Expected("not judged", NOT_JUDGED)
    if offline:
        return Expected("expected", OK) if verdict is Verdict.REPRODUCED else Expected("unseen", FOUND)
    if word == "fixed":
        return Expected("expected", OK) if verdict is Verdict.FIXED else Expected("regression", FOUND)
    if verdict is Verdict.REPRODUCED:
        return Expected("expected", OK)
    return Expected("gone", OK if lenient or word == "wontfix" else FOUND)


class Saved(NamedTuple):
    """A bundle of the suite, and what is known of its bug."""

    path: Path
    status: Status


class Found(NamedTuple):
    """The bundles of a suite, and what its status files name that is not there."""

    saved: list[Saved]
    lacking: list[str]  # "failures/status.toml: bug.pd"


def found(paths: Iterable[Path]) -> Found:
    """Find the bundles in folders, and in those below them, by name; a bundle that is named itself is one.

    Folders and files that begin with a dot are left out. Raises MissingFileError, StatusError.
    """
    known: dict[Path, dict[str, Status]] = {}
    taken: dict[tuple[str, str], Saved] = {}
    lacking: list[str] = []
    for path in paths:
        if path.is_dir():
            for folder, names in _walked(path):
                known.setdefault(folder, statuses(folder))
                lacking += [f"{folder / FILE}: {name}" for name in known[folder] if name not in names]
                for name in names:
                    if name.lower().endswith(ENDINGS) and not is_patch(folder / name):
                        _take(folder / name, known, taken)
        elif path.exists():
            _take(path, known, taken)
        else:
            todo = near(path, "Name the folder that the bundles lie in, or a bundle.")
            raise MissingFileError(f"There is no file or folder {path}.", todo)
    return Found(list(taken.values()), list(dict.fromkeys(lacking)))


def is_patch(path: Path) -> bool:
    """Say whether a file is a patch of Pure Data: their names end in .pd too."""
    with contextlib.suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                return file.read(len(_PATCH)) == _PATCH
    return False


def _take(path: Path, known: dict[Path, dict[str, Status]], taken: dict[tuple[str, str], Saved]) -> None:
    """Take a bundle, once, with its status; a link to another one is a bundle with a status of its own."""
    folder = path.parent
    known.setdefault(folder, statuses(folder))
    taken.setdefault((os.path.realpath(folder), path.name), Saved(path, known[folder].get(path.name, Status())))


def _walked(top: Path) -> Iterator[tuple[Path, list[str]]]:
    """List a folder and those below it, each with the names of its files, in the order of the names."""

    def refuse(error: OSError) -> None:
        raise MissingFileError(f"{error.filename} can't be read: {error.strerror}.", "Check its permissions.")

    for folder, folders, names in os.walk(top, onerror=refuse):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        yield Path(folder), sorted(each for each in names if not each.startswith("."))
