"""Spare worktrees: places of our own in which one commit after the other is laid out.

A tree is a locked worktree of the user's repository, or a clone that shares its objects, in a folder of ours. git is
told each time which tree is meant, so that whatever a build does to `.git`, no other one is cleaned. Of the user's
repository only `.git/worktrees/OURS` is written; HEAD, index, refs, configuration and files are never.

Beside each tree lies its claim, so that `sweep` finds what to remove whenever we are killed.
"""

import contextlib
import fcntl
import os
import posixpath
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeVar

from replaykit.axis import Point, Site
from replaykit.claim import SUFFIX, claims, erase, held, inherited, is_over, open_up, reason
from replaykit.commit import HASH
from replaykit.errors import MachineError, UnbuildableError, UsageError
from replaykit.repository import Answer, Repository, git, scrubbed

Isolation = Literal["auto", "worktree", "clone"]
T = TypeVar("T")

PATIENCE = 600.0  # seconds that a checkout may take
PAUSES = (0.2, 1.0)  # seconds before what failed by the machine's fault is tried again
MOST_SUBMODULES = 4  # inside of each other

CLONE = ("clone", "--quiet", "--shared", "--no-checkout", "--template=")
PLAIN = (
    "core.sparseCheckout=false",
    "index.sparse=false",
    "submodule.recurse=false",
    "core.ignoreStat=false",
    "core.checkStat=default",
    "core.trustctime=true",
    "core.untrackedCache=false",
    "worktree.useRelativePaths=false",
)
_TROUBLE = re.compile(
    r": (?:No space left on device|Disk quota exceeded|Cannot allocate memory|Input/output error|Read-only file system"
    r"|Too many open files.*|Resource temporarily unavailable|Stale file handle)$"
    r"|^fatal: (?:Out of memory|cannot fork|unable to write new index|unable to create .*\.lock': File exists)",
    re.MULTILINE,
)
_MISSING = re.compile(
    r"^(?:error|fatal): (?:could not (?:read|parse)|unable to (?:read|parse)|failed to unpack|invalid object"
    r"|reference is not a tree|bad (?:tree )?object|missing)",
    re.MULTILINE | re.IGNORECASE,
)


class Trees:
    """The spare worktrees of one bisect."""

    def __init__(
        self, repository: Repository, folder: Path, isolation: Isolation = "auto", keep: Sequence[str] = ()
    ) -> None:
        """Let trees be made below `folder`; `keep` names what is not cleaned in them, as seen from the user's folder.

        Raises UsageError for a folder to keep that is outside of the repository.
        """
        self.repository = repository
        self.isolation = isolation
        self._folder = folder.absolute()
        self._keep = [_inside(repository, each) for each in keep]

    @contextlib.contextmanager
    def lane(self, number: int) -> Iterator[Site]:
        """Give a tree of its own, and remove it afterwards. Raises MachineError, UsageError for an old git."""
        base = re.sub(r"[^A-Za-z0-9_-]+", "-", self.repository.top.name).strip("-")[:40] or "tree"
        place = self._folder / f"{base}-{number}-{secrets.token_hex(4)}"
        with held(place, self.repository.common):
            try:
                yield _patiently(lambda: self._made(place))
            finally:
                _remove(self.repository.common, place)

    def _made(self, place: Path) -> "Tree":
        if self.isolation == "clone" or (self.isolation == "auto" and not _is_writable(self.repository.common)):
            return self._cloned(place)
        answer = _added(self.repository, place)
        if answer.code == 0:
            return Tree(self.repository, place, self.repository.common / "worktrees" / place.name, self._keep)
        _remove(self.repository.common, place)
        if "unknown option" in answer.err:
            raise UsageError("This git is too old: it knows no worktree add --reason.", "Install git 2.35 or newer.")
        if self.isolation == "auto" and not _TROUBLE.search(answer.err):
            return self._cloned(place)
        raise MachineError(f"No worktree can be made: {answer.err}", "Try --isolation clone.")

    def _cloned(self, place: Path) -> "Tree":
        own = _own_of_clone(place)
        words = [*CLONE, f"--separate-git-dir={own}", "--end-of-options", str(self.repository.common), str(place)]
        answer = git(words, self._folder, variables={"GIT_ALLOW_PROTOCOL": "file"}, patience=PATIENCE)
        if answer.code != 0:
            _remove(self.repository.common, place)
            raise MachineError(f"The repository can't be cloned: {answer.err}", "Is there room on the disk?")
        return Tree(self.repository, place, own, self._keep)


def _own_of_clone(place: Path) -> Path:
    """Say where git's folder of a clone is: outside of its tree, where no build takes another for it."""
    return place.with_name(f"{place.name}.git")


class Tree:
    """A spare worktree in which commits are laid out; a `Site`."""

    def __init__(self, repository: Repository, top: Path, own: Path, keep: Sequence[str]) -> None:
        self.top = top
        self.folder = top / repository.prefix
        self._repository = repository
        self._own = own  # git's folder of this tree
        self._keep = keep
        self._is_used = False
        self._index: tuple[int, ...] | None = None  # as we left it

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment in which commands are run; no path in it leads Python to the user's own checkout."""
        variables = {**scrubbed(), "PWD": str(self.folder)}
        # byte code lies beside its source, where it is cleaned, not where that of the commit before lies
        variables.pop("PYTHONPYCACHEPREFIX", None)
        variables.pop("OLDPWD", None)
        if "PYTHONPATH" in variables:
            variables["PYTHONPATH"] = os.pathsep.join(map(self._moved, variables["PYTHONPATH"].split(os.pathsep)))
        return variables

    def _moved(self, path: str) -> str:
        """Say where a folder of the user's checkout is in this one."""
        if Path(path).is_absolute():
            for place in (Path(os.path.normpath(path)), Path(path).resolve()):
                if place.is_relative_to(self._repository.top):
                    return str(self.top / place.relative_to(self._repository.top))
        return path

    def lay(self, point: Point) -> None:
        """Lay a commit out, with nothing left of the one before but what is kept.

        Raises UnbuildableError where it can't be had, MachineError where it is not the commit that is to blame.
        """
        if not HASH.fullmatch(point.id):
            raise UsageError(f"{point.id!r} is no hash of a commit.", "Name it in full.")
        _patiently(lambda: self._lay(point))

    def _lay(self, point: Point) -> None:
        self._mend()
        answer = self._checkout(point.id)
        if answer.code != 0 or self._is_used:
            self._clean()
        if answer.code != 0 and not _MISSING.search(answer.err):
            (self._own / "index").unlink(missing_ok=True)  # whatever is in the way, with no index all is
            self._clean()
            answer = self._checkout(point.id)
        self._is_used = True
        if answer.code != 0:
            raise _failed(point.name, answer, self._remedy())
        self._index = self._index_state()
        self._fill(self.top, [self._repository.common, self._repository.own], self._repository.top, point.name)
        self._require_folder(point.name)

    def _remedy(self) -> str:
        """Say what to do where a commit is not whole."""
        promised = git(["config", "--get-regexp", r"^remote\..*\.promisor$"], self._repository.top)
        if promised.code == 0:
            return "This is a partial clone, and nothing is fetched now. Get all of it: git fetch --refetch --no-filter"
        return "Is all of it in this repository?"

    def _index_state(self) -> tuple[int, ...]:
        try:
            found = (self._own / "index").stat()
        except OSError:
            return ()
        return found.st_ino, found.st_size, found.st_mtime_ns

    def _mend(self) -> None:
        """Bring back what ties the tree to its repository, whatever a build has done to it."""
        if not (self._own / "HEAD").is_file():
            raise MachineError(f"What git knows of the tree {self.top} is gone.", "Did something remove it?")
        if self.top.is_symlink():
            self.top.unlink()
        self.top.mkdir(exist_ok=True)
        for name in ("index.lock", "HEAD.lock"):  # whoever held it is dead: nobody else works here
            (self._own / name).unlink(missing_ok=True)
        if self._index not in {None, self._index_state()} and re.search(
            rb"^(?:[a-z]|S) ", self._git("ls-files", "-v").out, re.MULTILINE
        ):
            (self._own / "index").unlink(missing_ok=True)  # some files were to be taken for unchanged, or left out
        link = self.top / ".git"
        content = _link_to(self._own)
        with contextlib.suppress(OSError):
            if not link.is_symlink() and link.read_bytes() == content:
                return
        erase(link)
        link.write_bytes(content)

    def _git(self, *words: str) -> Answer:
        return _in(self._own, self.top, *words)

    def _checkout(self, commit: str) -> Answer:
        answer = self._git("checkout", "--quiet", "--force", "--no-recurse-submodules", "--detach", commit, "--")
        if answer.code == 0 and _MISSING.search(answer.err):  # as where the tree itself is missing: all files go
            return answer._replace(code=1)
        return answer

    def _clean(self) -> None:
        """Remove all that is not of the commit and not kept. Raises MachineError where something can't be removed."""
        words = ["clean", "-ffdxq", *[word for each in self._keep for word in ("-e", f"/{_literal(each)}")]]
        if self._git(*words).code != 0:
            open_up(self.top)
            answer = self._git(*words)
            if answer.code != 0:
                raise MachineError(
                    f"What lies in {self.top} can't be removed: {answer.err}",
                    "Do builds run as somebody else, in a container for example? Let them write elsewhere.",
                )

    def _require_folder(self, name: str) -> None:
        """Raise UnbuildableError where the commit has no folder where the user is, or one that leads outside."""
        if not self.folder.is_dir():
            prefix = self._repository.prefix
            raise UnbuildableError(f"{name} has no folder {prefix}.", "Start in a folder that all commits have.")
        if not self.folder.resolve().is_relative_to(self.top.resolve()):
            raise UnbuildableError(f"The folder {self._repository.prefix} of {name} leads outside.", "It is a symlink.")

    # --- submodules -------------------------------------------------------------------------------

    def _fill(self, folder: Path, modules: Sequence[Path], users: Path, name: str, depth: int = 0) -> None:
        """Lay out the submodules of a commit, from what the user's repository has of them, and no network."""
        listing = folder / ".gitmodules"
        if listing.is_symlink() or not listing.is_file():
            return
        if depth == MOST_SUBMODULES:
            raise UnbuildableError(f"The submodules of {name} lie too deep inside of each other.", "")
        paths = self._submodules(folder, listing)
        for path, commit in self._links(folder, depth).items():
            known = paths.get(path)
            places = [each / "modules" / known for each in modules if known] + [users / path / ".git"]
            source = next((each for each in places if (each / "HEAD").is_file()), None)
            if source is None:
                raise UnbuildableError(
                    f"The submodule {path} of {name} is not in this repository.", "Get it: git submodule update --init"
                )
            place = folder / path
            self._lay_submodule(source, place, commit, f"the submodule {path} of {name}")
            self._fill(place, [source], users / path, name, depth + 1)

    def _submodules(self, folder: Path, listing: Path) -> dict[str, str]:
        """Say which name each path of a submodule has; hostile ones are left out."""
        words = ["config", "-z", "--file", str(listing), "--get-regexp", r"^submodule\..*\.path$"]
        found = {}
        for each in git(words, folder).out.split(b"\0"):
            key, _, path = os.fsdecode(each).partition("\n")
            name = key.removeprefix("submodule.").removesuffix(".path")
            if path and not Path(name).is_absolute() and not {"..", ".", ""} & set(name.split("/")):
                found[posixpath.normpath(path)] = name
        return found

    def _links(self, folder: Path, depth: int) -> dict[str, str]:
        """Say which commit each submodule of a commit stands at."""
        words = ("ls-files", "-z", "--stage")
        answer = self._git(*words) if depth == 0 else _in(folder / ".git", folder, *words)
        entries = [each.partition(b"\t") for each in answer.out.split(b"\0") if each.startswith(b"160000 ")]
        return {os.fsdecode(path): head.split()[1].decode("ascii") for head, _, path in entries}

    def _lay_submodule(self, source: Path, place: Path, commit: str, name: str) -> None:
        erase(place)
        words = [*CLONE, "--end-of-options", str(source), str(place)]
        answer = git(words, self.top, variables={"GIT_ALLOW_PROTOCOL": "file"}, patience=PATIENCE)
        if answer.code == 0:
            answer = _in(place / ".git", place, "checkout", "--quiet", "--force", "--detach", commit, "--")
        if answer.code != 0:
            raise _failed(name, answer, "Get all of it: git submodule foreach git fetch")


def _link_to(own: Path) -> bytes:
    """Write what ties a tree to git's folder of it."""
    return b"gitdir: %b\n" % os.fsencode(own)


def _failed(name: str, answer: Answer, todo: str) -> MachineError | UnbuildableError:
    """Say why something can't be checked out, and whose fault that is."""
    said = answer.err or f"exit code {answer.code}"
    if _TROUBLE.search(said):
        return MachineError(f"{name} can't be checked out: {said}", "Is there room on the disk?")
    lines = said.splitlines()
    worst = next((line for line in lines if line.startswith(("fatal: ", "error: "))), lines[0])
    return UnbuildableError(f"{name} can't be checked out: {worst.rstrip('.')}.", todo, said)


def _in(own: Path, top: Path, *words: str) -> Answer:
    """Run git in a tree of ours; `own` is git's folder of it."""
    place = {"GIT_DIR": str(own), "GIT_WORK_TREE": str(top)}
    return git(words, top, settings=PLAIN, variables=place, patience=PATIENCE)


def _inside(repository: Repository, path: str) -> str:
    """Say where a folder that is kept is below the top. Raises UsageError where it is not."""
    found = posixpath.normpath(posixpath.join(repository.prefix.as_posix(), path))
    if not path or Path(path).is_absolute() or found.split("/")[0] in {"..", ".", ".git"} or not found.isprintable():
        raise UsageError(f"{path!r} is no folder in the checkout that could be kept.", "Name one below it.")
    return found


def _literal(path: str) -> str:
    """Write a path as a pattern of .gitignore that means it alone."""
    return re.sub(r"([\\*?\[\]!# ])", r"\\\1", path)


def _is_writable(common: Path) -> bool:
    """Say whether worktrees can be added to a repository."""
    place = common / "worktrees"
    return os.access(place if place.exists() else common, os.W_OK | os.X_OK)


def _added(repository: Repository, place: Path) -> Answer:
    words = ["worktree", "add", "--quiet", "--detach", "--no-checkout", "--lock", "--reason", reason()]
    with _alone(repository.common):
        return git([*words, "--end-of-options", str(place), "HEAD"], repository.top, settings=PLAIN)


def _patiently(make: Callable[[], T]) -> T:
    """Try again what the machine was in trouble with. Raises MachineError where that does not help."""
    for pause in PAUSES:
        with contextlib.suppress(MachineError):
            return make()
        time.sleep(pause)
    return make()


# --- what is left -------------------------------------------------------------------------------


def sweep(repository: Repository, home: Path) -> list[Path]:
    """Remove what bisects of ours that are dead have left of their trees, below `home` and in the repository.

    Nothing else is: no tree of the user's, of a bisect that lives, or of another machine. Returns what was removed.
    """
    removed = []
    for claim in claims(home):
        with inherited(claim, repository.common) as place:
            if place is not None:
                _remove(repository.common, place)
                removed += [] if place.exists() else [place]
    for locked in sorted((repository.common / "worktrees").glob("*/locked")):
        with contextlib.suppress(OSError, UnicodeDecodeError):  # what can't be read is not ours
            entry = locked.parent
            link = Path(os.fsdecode((entry / "gitdir").read_bytes().removesuffix(b"\n")))
            claim = link.parent.with_name(f"{link.parent.name}{SUFFIX}")
            if is_over(locked.read_text(encoding="utf-8")) and not claim.exists():
                if link.is_file() and link.read_bytes() == _link_to(entry):
                    erase(link.parent)
                _forget(entry)
                removed.append(link.parent)
    return removed


def _remove(common: Path, place: Path) -> None:
    """Remove a tree of ours and what the repository knows of it, as far as that can be done."""
    erase(_own_of_clone(place))
    erase(place)
    if not place.exists():
        _forget(common / "worktrees" / place.name)


def _forget(entry: Path) -> None:
    """Remove what a repository knows of a worktree of ours."""
    with contextlib.suppress(OSError), _alone(entry.parent.parent):
        erase(entry)
        entry.parent.rmdir()  # as git does with the last one


@contextlib.contextmanager
def _alone(common: Path) -> Iterator[None]:
    """Be the only one of ours that adds or removes worktrees of a repository; nothing is written for that."""
    place = os.open(common, os.O_RDONLY)
    try:
        fcntl.flock(place, fcntl.LOCK_EX)
        yield
    finally:
        os.close(place)
