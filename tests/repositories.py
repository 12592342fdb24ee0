"""Small repositories for tests: made, changed, and looked at byte by byte."""

import hashlib
import subprocess
from pathlib import Path

from conftest import environment

WHO = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.com",
}


def git(folder: Path, *words: str, **more: str) -> str:
    """Run git in a folder, and return what it printed."""
    done = subprocess.run(
        ["git", "-C", str(folder), *words], env={**environment(), **WHO, **more}, capture_output=True, check=False,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.decode("utf-8", "replace").strip()


def made(folder: Path) -> Path:
    """Make a repository."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    return folder


def commit(folder: Path, subject: str, files: dict[str, str] | None = None, *options: str) -> str:
    """Write files and commit all that there is; return the hash."""
    for name, text in (files or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", subject, *options)
    return git(folder, "rev-parse", "HEAD")


def blob(folder: Path, name: str) -> Path:
    """Return the file in which git keeps an object."""
    found = git(folder, "rev-parse", name)
    return folder / ".git" / "objects" / found[:2] / found[2:]


def state(folder: Path) -> dict[str, str]:
    """Return a digest of each file of a repository, in git's folder and outside, with the time it was changed."""
    return {
        str(path.relative_to(folder)): f"{path.lstat().st_mtime_ns} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }
