"""A git repository: which revision the user stands at; the door to GitPython.

Whoever writes a bundle down says from which revision. Where there is no repository, or no git, there is
no revision, and that is no error.
"""

import os
import re
import shutil
from pathlib import Path

from replaykit.errors import UnwritableError, UsageError
from replaykit.value import Record


class Revision(Record):
    """A commit, and whether the files around it were changed."""

    commit: str
    dirty: bool


def revision(folder: Path) -> Revision | None:
    """Return the revision that `folder` stands at, or None outside a repository or without git."""
    try:
        from git import Repo
        from git.exc import GitError
    except ImportError:  # GitPython raises it where there is no git program
        return None
    try:
        with Repo(folder, expand_vars=False, search_parent_directories=True) as repository:
            return Revision(commit=repository.head.commit.hexsha, dirty=repository.is_dirty())
    except (GitError, ValueError, OSError):  # ValueError: a repository without a commit
        return None


ATTRIBUTES = "*.pd text eol=lf diff=replaykit"
_SECTION, _OPTION = 'diff "replaykit"', "textconv"


def set_up(folder: Path, command: str, *, write: bool) -> list[str]:
    """Let git keep bundles as they are, and compare them as a command shows them; return what was missing.

    Raises UsageError outside of a repository, and UnwritableError.
    """
    try:
        from git import Repo
        from git.exc import GitError
    except ImportError:
        raise UsageError("There is no git program here.", "Install git.") from None
    try:
        with Repo(folder, expand_vars=False, search_parent_directories=True) as repository:
            if repository.working_tree_dir is None:
                raise UsageError("This repository has no files, only commits.", "Do it in a clone with files.")
            attributes = Path(repository.working_tree_dir) / ".gitattributes"
            missing = _attributes_missing(attributes, write=write)
            with repository.config_reader("repository") as known:
                textconv = known.get_value(_SECTION, _OPTION, default="")
            if textconv != command and not _is_ours(str(textconv)):
                missing.append(f"diff.replaykit.textconv = `{command}` in the configuration of the repository")
                if write:
                    with repository.config_writer("repository") as config:
                        config.set_value(_SECTION, _OPTION, command)
    except GitError:
        raise UsageError(f"{folder} is in no git repository.", "Start in one, or make one: git init.") from None
    except OSError as error:
        where = error.filename or folder
        raise UnwritableError(f"{where} can't be written: {error.strerror}.", "Is it yours to write?") from None
    return missing


def _is_ours(textconv: str) -> bool:
    """Say whether a command is replaykit's, however it is called, and can be found."""
    found = re.fullmatch(r"(?:(\S+) -m |(\S*/)?)replaykit show --plain", textconv)
    return found is not None and shutil.which(found[1] or f"{found[2] or ''}replaykit") is not None


def _attributes_missing(file: Path, *, write: bool) -> list[str]:
    """Say what .gitattributes lacks, and put it there: at the end, since the last line that fits counts."""
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        text = b""
    lines = [b" ".join(line.split()) for line in text.splitlines()]
    ours = ATTRIBUTES.encode()
    others = [number for number, line in enumerate(lines) if line.startswith(b"*.pd ") and line != ours]
    if ours in lines and not any(number > lines.index(ours) for number in others):
        return []
    if write:
        apart = b"" if not text or text.endswith(b"\n") else b"\n"
        beside = file.with_name(f".{file.name}.{os.getpid()}.partial")
        try:
            beside.write_bytes(text + apart + ours + b"\n")
            beside.replace(file)
        finally:
            beside.unlink(missing_ok=True)
    return [f"`{ATTRIBUTES}` in .gitattributes"]
