"""A git repository: which revision the user stands at, and its commits; the door to GitPython.

Whoever writes a bundle down says from which revision. Where there is no repository, or no git, there is
no revision, and that is no error.

Whoever searches the history asks a `Repository`. It runs git itself, since GitPython hands the variables of the
process on: in a hook, GIT_DIR and GIT_INDEX_FILE would lead each call into the index of the user. What it runs reads
only; what writes is in `worktree`, and never writes where the user's HEAD, index, refs and files are.
"""

import contextlib
import difflib
import functools
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from replaykit import commit
from replaykit.commit import HASH, SHORT, Change, Commit, readable
from replaykit.errors import MachineError, UnwritableError, UsageError
from replaykit.value import Record

PATIENCE = 120.0  # seconds that git may take to look something up
GRACE = 5.0  # seconds between TERM and KILL
MOST_SAID = 8000  # bytes of what git complains of that are read: it may do so of each file
MOST_NAMES = 20_000  # branches and tags that are looked at for one that is near a misspelt one


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


# --- the history --------------------------------------------------------------------------------

QUIET = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
)
VARIABLES = {
    "LC_ALL": "C",
    "LANGUAGE": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",  # what is not here is not fetched, whatever git's version
}


class Answer(NamedTuple):
    """What git came to."""

    code: int
    out: bytes
    err: str


def scrubbed() -> dict[str, str]:
    """Return the variables of this process without those that tell git where to look and what to do."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def git(
    words: Sequence[str],
    folder: Path,
    *,
    settings: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
    patience: float = PATIENCE,
) -> Answer:
    """Run git with a list of arguments, and with nothing around it that could lead it elsewhere.

    It ends with this process, also with one that is killed, as far as the system can see to that. Raises UsageError
    where there is no git, MachineError where git can't be run or takes longer than `patience` seconds.
    """
    options = [word for setting in (*QUIET, *settings) for word in ("-c", setting)]
    try:
        process = subprocess.Popen(
            [*_leash(), "git", *options, *words],
            cwd=folder,
            env={**scrubbed(), **VARIABLES, **(variables or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us to hear first
        )
    except FileNotFoundError:
        if not folder.is_dir():
            raise MachineError(f"The folder {folder} is gone.", "Did something remove it?") from None
        raise UsageError("There is no git program here.", "Install git.") from None
    except ValueError as error:  # a NUL
        raise UsageError(f"That is nothing to ask git for: {error}.", "Check the names of commits.") from None
    except OSError as error:
        raise MachineError(f"git can't be run: {error.strerror}.", "Is there room for another process?") from None
    with process:
        try:
            out, err = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            _end(process)
            raise MachineError(
                f"git {words[0]} took longer than {patience:g} seconds.", "Is the disk slow, or locked?"
            ) from None
        except BaseException:
            _end(process)
            raise
    if process.returncode == 127 and not shutil.which("git"):  # noqa: PLR2004  said by what leads git
        raise UsageError("There is no git program here.", "Install git.")
    return Answer(process.returncode, out, readable(err[:MOST_SAID]).strip())


@functools.cache
def _leash() -> tuple[str, ...]:
    """Return the words before a command that let it end with the thread that started it; of util-linux."""
    found = shutil.which("setpriv") if sys.platform == "linux" else None
    works = found and subprocess.run([found, "--pdeathsig", "KILL", "true"], capture_output=True, check=False)
    return (found, "--pdeathsig", "KILL") if found and works and works.returncode == 0 else ()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End git and what it started, so that it takes its locks with it."""
    for number, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=patience)
            return


class Repository:
    """The repository of a folder with files, and its history. Nothing of it is changed from here."""

    def __init__(self, top: Path, common: Path, own: Path, folder: Path) -> None:
        self.top = top  # of the user's files
        self.common = common  # git's folder, that all worktrees share
        self.own = own  # git's folder of this worktree
        self.prefix = folder.relative_to(top)  # where the user is below the top

    @classmethod
    def here(cls, folder: Path | None = None) -> Self:
        """Find the repository that a folder is in. Raises UsageError where there is none, or none with files."""
        folder = (folder or Path.cwd()).resolve()
        found = git(["rev-parse", "--is-bare-repository", "--is-inside-work-tree"], folder)
        if found.code != 0:
            if "dubious ownership" in found.err:
                raise UsageError(
                    f"The repository of {folder} belongs to somebody else.",
                    f"If you trust it: git config --global --add safe.directory '{folder}'",
                )
            if "not a git repository" in found.err:
                raise UsageError(f"{folder} is in no git repository.", "Start in one, or make one: git init.")
            raise UsageError(f"The repository of {folder} can't be read: {found.err}", "Does `git status` work there?")
        if found.out.split() != [b"false", b"true"]:
            raise UsageError("This repository has no files, only commits.", "Do it in a clone with files.")
        places = []
        for option in ("--show-toplevel", "--git-common-dir", "--git-dir"):
            answer = git(["rev-parse", option], folder)
            if answer.code != 0:
                raise UsageError(f"The repository of {folder} can't be read: {answer.err}", "Does `git status` work?")
            places.append((folder / os.fsdecode(answer.out.removesuffix(b"\n"))).resolve())
        top, common, own = places
        if not folder.is_relative_to(top):
            raise UsageError(f"The files of this repository are elsewhere, at {top}.", "Start there.")
        return cls(top, common, own, folder)

    def identity(self) -> str:
        """Return a name of the repository for a folder of ours; that of all its worktrees is the same."""
        base = self.common.parent.name if self.common.name == ".git" else self.common.name.removesuffix(".git")
        digest = hashlib.sha256(os.fsencode(self.common)).hexdigest()[:12]
        return f"{re.sub(r'[^A-Za-z0-9_-]+', '-', base).strip('-')[:40] or 'repository'}-{digest}"

    def _ask(self, *words: str, accepts: tuple[int, ...] = (0,)) -> Answer:
        """Ask git. Raises MachineError where it comes to something else than is accepted."""
        answer = git(words, self.top)
        if answer.code not in accepts:
            said = answer.err or f"exit code {answer.code}"
            raise MachineError(f"git {words[0]} failed: {said}", "Does `git fsck` find the repository well?")
        return answer

    def resolve(self, ref: str) -> str:
        """Return the full hash of the commit that a name means. Raises UsageError where it means none."""
        answer = None
        if ref.strip() and "\0" not in ref:
            answer = git(["rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}"], self.top)
            found = answer.out.decode("ascii", "replace").strip()
            if answer.code == 0 and HASH.fullmatch(found):
                return found
        todo = "Name a commit, a tag or a branch."
        if answer is not None and "is ambiguous" in answer.err:
            todo = "Several begin like that: write more of the hash."
        elif near := self._near(ref):
            todo = f"Did you mean {' or '.join(near)}?"
        if self._is_shallow():
            todo += f" This clone is shallow, so it may lack it; {_MORE}"
        raise UsageError(f"There is no commit {ref!r} in this repository.", todo)

    def _near(self, ref: str) -> list[str]:
        """List names that a misspelt one may mean; those on other machines first."""
        printed = self._ask("for-each-ref", "--format=%(refname:short)", f"--count={MOST_NAMES}").out
        names = [name for name in readable(printed).splitlines() if not name.endswith("/HEAD")]
        elsewhere = [name for name in names if name.endswith(f"/{ref}")]
        return list(dict.fromkeys([*elsewhere, *difflib.get_close_matches(ref, names, n=3)]))[:3]

    def _is_shallow(self) -> bool:
        return self._ask("rev-parse", "--is-shallow-repository").out.strip() == b"true"

    def require_whole(self) -> None:
        """Raise UsageError for a clone that holds only the newest commits."""
        if self._is_shallow():
            raise UsageError(
                "This clone is shallow: it holds only the newest commits, and the culprit may be older.",
                f"{_MORE[0].upper()}{_MORE[1:]}",
            )

    def is_ancestor(self, old: str, new: str) -> bool:
        """Say whether `new` comes from `old`, or is the same commit."""
        return self._ask("merge-base", "--is-ancestor", "--end-of-options", old, new, accepts=(0, 1)).code == 0

    def merge_base(self, one: str, other: str) -> str | None:
        """Return the newest commit that both come from; None where they have nothing in common."""
        answer = self._ask("merge-base", "--end-of-options", one, other, accepts=(0, 1))
        return answer.out.decode("ascii").split()[0] if answer.out.strip() else None

    def commit(self, name: str) -> Commit:
        """Return the commit with a hash."""
        return commit.commits(self._log(commit.LINE, "--no-walk", name))[0]

    def line(self, far: str | None, near: str) -> list[Commit]:
        """List the commits after `far` up to `near` along first parents, the oldest first, with `far` at the front.

        Without `far`, down to the first commit of all. A `far` that was merged, so that it is not on the line
        itself, stands at the front all the same: it comes before all that is listed.
        """
        listed = self._listed(far, near, "--first-parent")
        return listed if far is None else [self.commit(far), *listed]

    def graph(self, far: str | None, near: str) -> list[Commit]:
        """List all commits that `near` comes from and `far` does not, each after its parents; `far` is not listed."""
        return self._listed(far, near, "--topo-order")

    def _listed(self, far: str | None, near: str, order: str) -> list[Commit]:
        return commit.commits(self._log(commit.LINE, order, "--reverse", near, *([f"^{far}"] if far else [])))

    def _log(self, form: str, *words: str) -> bytes:
        options = ("--no-show-signature", "--no-notes", "--no-color", "--no-patch", "--encoding=UTF-8")
        ends = [word for word in words if not word.startswith("--")]
        if not all(HASH.fullmatch(end.removeprefix("^")) for end in ends):
            raise UsageError(f"These are no hashes of commits: {' '.join(ends)}.", "Name them in full.")
        return self._ask("log", *words, *options, "-z", f"--format=tformat:{form}", "--").out

    def change(self, name: str) -> Change:
        """Return what a commit is, and what it did."""
        printed = self._log(commit.FACTS, "--no-walk", name)
        tree = ("diff-tree", "-r", "-z", "--root", "--no-commit-id", "--name-status", "--no-renames")
        parents = printed.split(b"\0")[3].decode("ascii").split()
        files = git([*tree, "--end-of-options", *([parents[0], name] if parents else [name]), "--"], self.top)
        found, others = commit.facts(printed, files.out if files.code == 0 else b"")
        if found.merges or not others:
            return found
        return found.replace(merges=[(self.names(other) or [other[:SHORT]])[0] for other in others])

    def names(self, name: str) -> list[str]:
        """List the tags and branches that stand at a commit; tags first."""
        places = ("refs/tags", "refs/heads", "refs/remotes")
        listed = [
            readable(self._ask("for-each-ref", f"--points-at={name}", "--format=%(refname:short)", place).out)
            for place in places
        ]
        return [each for printed in listed for each in printed.splitlines() if not each.endswith("/HEAD")]


_MORE = "get the rest: git fetch --unshallow (in GitHub Actions: actions/checkout with fetch-depth: 0)."
