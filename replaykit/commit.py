"""Commits of a repository as data: who wrote them, what they change, and how git tells of a bisect.

It reads what git prints; what prints it is asked in `repository`. All text in it comes from whoever wrote the commit,
and is made visible before it is given to anybody.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from replaykit.errors import MachineError
from replaykit.value import Record
from replaykit.visible import visible

SHORT = 10  # letters of a hash, where it is told in short
HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")  # in full
LINE = "%H%x00%T%x00%P%x00%s"  # what `commits` reads, for --format
FACTS = "%aN%x00%aI%x00%s%x00%P%x00%b"  # what `facts` reads

_PULL_REQUESTS = (
    re.compile(r"\(#(\d{1,9})\)\s*$"),
    re.compile(r"^Merge pull request #(\d{1,9})\b"),
    re.compile(r"^Merged in .{1,300} \(pull request #(\d{1,9})\)"),
    re.compile(r"^Merged PR (\d{1,9}):"),
)
_MERGE_REQUEST = re.compile(r"^See merge request \S{0,300}!(\d{1,9})\s*$", re.MULTILINE)
_MERGED = (
    re.compile(r"^Merge (?:remote-tracking )?branch '([^']{1,200})'"),
    re.compile(r"^Merge pull request #\d{1,9} from (\S{1,200})"),
    re.compile(r"^Merge tag '([^']{1,200})'"),
)


class Commit(Record):
    """A commit as its place in the history needs it."""

    hash: str
    tree: str
    parents: list[str]
    subject: str


class Change(Record):
    """What a commit is, and what it did."""

    author: str
    date: str  # ISO 8601, with the author's time zone
    subject: str
    files: list[tuple[str, str]] = []  # noqa: RUF012  (status letter, path), against the first parent
    merges: list[str] = []  # noqa: RUF012  names of the other parents of a merge
    pull_request: str | None = None  # its number, where the subject has one


def readable(raw: bytes) -> str:
    """Read what a commit holds as text, whatever it is."""
    return visible(raw.decode("utf-8", "replace"))


def commits(printed: bytes) -> list[Commit]:
    """Read commits as git prints them with `LINE` and -z. Raises MachineError where that is no such text."""
    fields = printed.split(b"\0")
    if len(fields) % 4 != 1 or fields[-1]:
        raise MachineError("What git says of the commits can't be read.", "Does `git fsck` find the repository well?")
    return [
        Commit(
            hash=fields[place].decode("ascii"),
            tree=fields[place + 1].decode("ascii"),
            parents=fields[place + 2].decode("ascii").split(),
            subject=readable(fields[place + 3]),
        )
        for place in range(0, len(fields) - 1, 4)
    ]


def facts(printed: bytes, files: bytes) -> tuple[Change, list[str]]:
    """Read what a commit is, as git prints it with `FACTS`, and its files; return its other parents too."""
    author, date, subject, parents, body = (readable(each) for each in printed.split(b"\0")[:5])
    others = parents.split()[1:]
    names = [name for pattern in _MERGED if (found := pattern.search(subject)) and (name := found[1])]
    return Change(
        author=author,
        date=date,
        subject=subject,
        files=list(_files(files)),
        merges=names[:1] if len(others) == 1 else [],
        pull_request=pull_request(subject, body),
    ), others


def _files(printed: bytes) -> Iterator[tuple[str, str]]:
    """Read what `git diff-tree -z --name-status --no-renames` prints."""
    fields = printed.split(b"\0")
    for place in range(0, len(fields) - 1, 2):
        yield readable(fields[place])[:1], readable(fields[place + 1])


def pull_request(subject: str, body: str) -> str | None:
    """Return the number of the pull request or merge request that brought a commit, where its message has one."""
    for pattern in _PULL_REQUESTS:
        if found := pattern.search(subject):
            return found[1]
    found = _MERGE_REQUEST.search(body)
    return found[1] if found else None


Said = Literal["bad", "good", "skipped"]


def log_of_bisect(
    far: str, near: str, tested: Iterable[tuple[str, Said, str]], *, first_parent: bool, fix: bool = False
) -> str:
    """Tell a bisect as a log that `git bisect replay` accepts.

    `far` and `near` are hashes; of each tested commit, from old to new, stand its hash, whether it was bad (the bug
    showed), good or skipped, and its subject. With `fix`, the commit that mended the bug was searched for.
    """
    words: dict[Said, str] = {"bad": "bad", "good": "good", "skipped": "skip"}
    options = ["--first-parent"] if first_parent else []
    if fix:
        words = {"bad": "broken", "good": "fixed", "skipped": "skip"}
        options += ["--term-old", "broken", "--term-new", "fixed"]
    new: Said = "good" if fix else "bad"
    ends: list[tuple[str, Said, str]] = [(far, "bad" if fix else "good", ""), (near, new, "")]
    rest = [each for each in tested if each[0] not in {near, far}]
    newer = [each for each in rest if each[1] == new]
    others = [each for each in rest if each[1] != new]
    lines = ["git bisect start " + _quoted([*options, near, far])]
    for name, said, subject in [*ends, *others, *reversed(newer)]:  # git goes by the last one of the newer side
        lines += [f"# {words[said]}: {_named(name, subject)}", f"git bisect {words[said]} {name}"]
    return "\n".join(lines) + "\n"


def first_in_log(name: str, subject: str, *, fix: bool = False) -> str:
    """Tell in the log of a bisect, as its last line, the commit that was found."""
    return f"# first {'fixed' if fix else 'bad'} commit: {_named(name, subject)}\n"


def _named(name: str, subject: str) -> str:
    return f"[{name}] {' '.join(visible(subject).split())}".rstrip()


def _quoted(words: Sequence[str]) -> str:
    return " ".join(f"'{word}'" for word in words)
