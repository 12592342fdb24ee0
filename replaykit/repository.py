"""A git repository: which revision the user stands at; the door to GitPython.

Whoever writes a bundle down says from which revision. Where there is no repository, or no git, there is
no revision, and that is no error.
"""

from pathlib import Path

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
