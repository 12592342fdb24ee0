"""Doubts: what speaks against a culprit, seen from what it changed."""

import fnmatch
from collections.abc import Sequence
from pathlib import PurePosixPath

from replaykit.blame import Blame
from replaykit.commit import Change

FEW = 3  # files that are named

_DOCUMENTED = ("*.md", "*.rst", "*.adoc", "license*", "licence*", "readme*", "changelog*", "changes*", "authors*")
_TESTS = ("test_*.py", "*_test.py", "conftest.py", "*_test.go", "*.test.[jt]s", "*.spec.[jt]s", "*_spec.rb")
_PINS = ("*.lock", "*-lock.json", "*-lock.yaml", "go.sum", "requirements*.txt", "constraints*.txt", "pylock*.toml")
_VERSIONS = ("pyproject.toml", "setup.py", "setup.cfg", "package.json", "cargo.toml", "go.mod", "gemfile", "pom.xml",
             "version", "version.*", "_version.*", "__version__.*")  # fmt: skip


def doubts(blame: Blame) -> list[str]:
    """Say what makes a culprit doubtful, in sentences: what it changed can't bring a bug, or its parent was not tried.

    Nothing where none was found. That a commit touches only comments can't be known.
    """
    if blame.culprit is None:
        return []
    found = [*_of_its_code(blame), *([] if blame.change is None else _of_its_files(blame, blame.change))]
    parent = blame.parent
    tried = blame.tested_at(parent)
    if parent is not None and (tried is None or tried.state == "skipped"):
        how = "was not tried" if tried is None else "could not be tried"
        found.append(f"The {blame.noun} before it, {parent.name}, {how}: an earlier one may be to blame.")
    return found


def _of_its_code(blame: Blame) -> list[str]:
    culprit, parent = blame.culprit, blame.parent
    is_same = culprit is not None and parent is not None and culprit.code == parent.code != ""
    if not is_same:
        return []
    return ["It holds the same files as its parent: what changed is something else, or the bug shows by chance."]


def _of_its_files(blame: Blame, change: Change) -> list[str]:
    did = "mended" if blame.fix else "brought"
    paths = [path for _, path in change.files]
    found = []
    if change.merges:
        found.append(f"It is a merge: no commit by itself, but how its sides were put together may have {did} it.")
    if change.subject.startswith('Revert "'):
        before = (
            "another may have mended it before" if blame.fix else "the bug may be older, and was mended by that one"
        )
        found.append(f"It takes back an earlier commit: {before}.")
    if not paths:
        return found
    idle = [each for each in paths if _is_text(each) or _is_test(each)]
    rest = [each for each in paths if each not in idle]
    if not rest:
        kinds = {"tests" if _is_test(each) else "documentation" for each in idle}
        found.append(
            f"It touches only {' and '.join(sorted(kinds))} ({_named(paths)}), which the service does not run."
        )
    elif all(_is_any(each, (*_PINS, *_VERSIONS)) for each in rest):
        found.append(
            f"It touches only versions and what is installed ({_named(rest)}): a dependency may have {did} it; "
            "--versions PACKAGE==OLD..NEW finds out which version of it."
        )
    return found


def _named(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - FEW} more" if len(paths) > FEW else ""
    return f"{', '.join(paths[:FEW])}{more}"


def _is_text(path: str) -> bool:
    folders = {each.lower() for each in PurePosixPath(path).parts[:-1]}
    return bool(folders & {"docs", "doc"}) or _is_any(path, _DOCUMENTED)


def _is_test(path: str) -> bool:
    folders = {each.lower() for each in PurePosixPath(path).parts[:-1]}
    return bool(folders & {"tests", "test", "spec", "__tests__"}) or _is_any(path, _TESTS)


def _is_any(path: str, patterns: Sequence[str]) -> bool:
    name = PurePosixPath(path).name.lower()
    return any(fnmatch.fnmatchcase(name, each) for each in patterns)
