"""The shelf: the folders in which bisects are kept, outside of any repository; which can go on, and which are old."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
from pathlib import Path

from replaykit.blame import Outcome
from replaykit.errors import UsageError
from replaykit.ledger import Ledger, last_in, locked
from replaykit.minutes import ADVICE, Asked, read

NAME = "journal.jsonl"
KEPT_FOR = 90 * 24 * 3600.0  # seconds, of a bisect that came to its end

_GOES_ON: set[Outcome] = {"interrupted", "trouble", "undecided"}  # ends after which a bisect can go on
_FOLDER = re.compile(r"\d{8}-\d{6}-\d{6}-[0-9a-f]{8}")


def home() -> Path:
    """Return the folder that bisects are kept in: $XDG_STATE_HOME/replaykit/bisect. Raises UsageError."""
    said = Path(os.environ.get("XDG_STATE_HOME") or "")
    if not said.is_absolute():  # the specification says that others are to be ignored
        try:
            said = Path.home() / ".local" / "state"
        except RuntimeError:
            raise UsageError("There is no home directory to keep a bisect in.", "Set XDG_STATE_HOME.") from None
    return said / "replaykit" / "bisect"


def place(repository: str) -> Path:
    """Return the folder that the bisects of a repository, or of a package, are kept in."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", repository).lstrip(".")[:100]
    if name != repository or not name:
        name = f"{name}-{hashlib.sha256(repository.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"
    return home() / name


def unfinished(folder: Path) -> Path | None:
    """Return the newest bisect in the folder of a repository that can go on; None where there is none.

    One in which nothing was tried is the choice after these, and one that goes on now the last. Nothing is checked;
    `Kept.resume` does that.
    """
    found = [each for each in sorted(bisects_in(folder), reverse=True) if _goes_on(each / NAME)]
    return min(found, key=lambda each: (_is_taken(each), not _is_tried(each / NAME)), default=None)


def asked_in(folder: Path) -> Asked:
    """Return what the bisect in a folder was asked. Raises JournalError, UsageError."""
    return read(Ledger(folder / NAME, ADVICE))[0]


def forget_old(now: float | None = None) -> None:
    """Remove the folders of bisects that came to their end long ago; those with checkouts in them stay."""
    before = (time.time() if now is None else now) - KEPT_FOR
    with contextlib.suppress(OSError):
        for repository in home().iterdir():
            for each in bisects_in(repository):
                _forget(each, before)
            with contextlib.suppress(OSError):
                repository.rmdir()  # if there is nothing left in it


def _forget(folder: Path, before: float) -> None:
    journal = folder / NAME
    with contextlib.suppress(OSError, UsageError):
        written = (journal if journal.exists() else folder).stat().st_mtime
        if written >= before or _goes_on(journal):
            return
        lock = taken(folder)
        try:
            remove(folder)
        finally:
            os.close(lock)


def remove(folder: Path) -> None:
    """Remove the folder of a bisect that was taken, if there is no checkout in it."""
    trees = folder / "trees"
    with contextlib.suppress(OSError):
        if not (trees.is_dir() and any(trees.iterdir())):
            shutil.rmtree(folder)


def bisects_in(folder: Path) -> list[Path]:
    """List the folders of bisects of a repository, or of a package."""
    with contextlib.suppress(OSError):
        if not folder.is_symlink():
            return [each for each in folder.iterdir() if _FOLDER.fullmatch(each.name) and not each.is_symlink()]
    return []


def _goes_on(journal: Path) -> bool:
    """Say whether a bisect was asked for, and has not come to an end that is one for ever."""
    last = last_in(journal)
    if not last.startswith(b'{"k":"end"'):
        return bool(last)
    try:
        return json.loads(last).get("outcome") in _GOES_ON
    except ValueError:
        return True


def taken(folder: Path) -> int:
    """Take the folder of a bisect; return the file that holds it. Raises UsageError where another one has it."""
    return locked(folder, f"Another bisect is going on in {folder}.", "Wait for its end, or begin another one.")


def _is_tried(journal: Path) -> bool:
    """Say whether anything was tried in a bisect."""
    with contextlib.suppress(OSError), journal.open("rb") as lines:
        return any(line.startswith(b'{"k":"tried"') for line in lines)
    return False


def _is_taken(folder: Path) -> bool:
    try:
        os.close(taken(folder))
    except UsageError:
        return True
    return False
