"""Claims: who uses a folder of ours, and whether they live.

A claim is a file beside the folder, on which whoever made it holds a lock as long as it lives. It is there before the
folder is begun and until nothing of it is left, so whenever its holder is killed, others find what to remove.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from replaykit.errors import MachineError

REASON = "replaykit bisect"
SUFFIX = ".claim"  # what the name of a claim ends in
PARTIAL = ".partial"
YOUNG = 10.0  # seconds in which a claim that is being written is left alone
DEEPEST = 4  # folders below one of ours in which a claim may lie


def reason() -> str:
    """Say who we are, so that others can tell whether we live: process, machine and start of the process."""
    return f"{REASON} {os.getpid()} {host()} {start_of(os.getpid())}"


@contextlib.contextmanager
def held(place: Path, owner: Path) -> Iterator[None]:
    """Hold the claim of a place that belongs to a repository; it stays where the place is not removed.

    Raises MachineError where it can't be written.
    """
    claim = place.with_name(f"{place.name}{SUFFIX}")
    fresh = claim.with_name(f"{claim.name}{PARTIAL}")
    with contextlib.ExitStack() as open_files:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            file = open_files.enter_context(fresh.open("w", encoding="utf-8"))
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(json.dumps({"owner": str(owner), "reason": reason()}))
            file.flush()
            os.fsync(file.fileno())
            fresh.replace(claim)
        except OSError as error:
            raise MachineError(f"{place.parent} can't be written: {error.strerror}.", "Is there room?") from error
        try:
            yield
        finally:
            if not place.exists():
                claim.unlink(missing_ok=True)


@contextlib.contextmanager
def inherited(claim: Path, owner: Path) -> Iterator[Path | None]:
    """Take over the claim of somebody dead, and give the place; None where it is not for us to take."""
    with contextlib.ExitStack() as open_files:
        place = None
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            file = open_files.enter_context(claim.open("r+", encoding="utf-8"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = json.load(file)
            is_ours = Path(found["owner"]) == owner or not Path(found["owner"]).exists()
            if is_ours and is_over(found["reason"]):
                place = claim.with_name(claim.name.removesuffix(SUFFIX))
        yield place
        if place is not None and not place.exists():
            claim.unlink(missing_ok=True)


def claims(home: Path, depth: int = 0) -> Iterator[Path]:
    """Find claims below a folder, without looking into the places that are claimed; half written ones are removed."""
    try:
        entries = sorted(os.scandir(home), key=lambda entry: entry.name)
    except OSError:
        return
    found = {entry.name for entry in entries if entry.name.endswith(SUFFIX) and entry.is_file(follow_symlinks=False)}
    yield from (home / name for name in sorted(found))
    for entry in entries:
        if entry.name.endswith(f"{SUFFIX}{PARTIAL}"):
            with contextlib.suppress(OSError):
                if time.time() > entry.stat(follow_symlinks=False).st_mtime + YOUNG:
                    Path(entry.path).unlink()  # whoever wrote it was killed before there was anything to claim
        if depth < DEEPEST and entry.is_dir(follow_symlinks=False) and f"{entry.name}{SUFFIX}" not in found:
            yield from claims(Path(entry.path), depth + 1)


def is_over(said: str) -> bool:
    """Say whether who gave a reason was a process of this machine that has ended, though its number be used again."""
    words = said.split()
    if len(words) != 5 or " ".join(words[:2]) != REASON or not words[2].isdigit():  # noqa: PLR2004
        return False
    return words[3] == host() and start_of(int(words[2])) != words[4]


def host() -> str:
    """Say which machine this is, in a word."""
    return re.sub(r"\s+", "-", os.uname().nodename) or "localhost"


def start_of(pid: int) -> str:
    """Say when a process was started, in a word of the system's own; nothing where it is no more."""
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        except OSError:
            return ""
        return "" if fields[0] in {b"Z", b"X"} else f"{fields[19].decode('ascii')}-{boot[:8]}"
    words = ["ps", "-o", "lstart=", "-p", str(pid)]
    said = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}).stdout
    return "-".join(said.split())


def erase(place: Path) -> bool:
    """Remove a file or a folder with all that is in it, also what can only be read; symlinks are not followed.

    Say whether nothing of it is left.
    """
    try:
        if not stat.S_ISDIR(place.lstat().st_mode):
            place.unlink()
            return True
    except FileNotFoundError:
        return True
    except OSError:
        return False
    shutil.rmtree(place, ignore_errors=True)
    if place.exists():
        open_up(place)
        shutil.rmtree(place, ignore_errors=True)
    return not place.exists()


def open_up(place: Path) -> None:
    """Let folders be written that can only be read."""
    with contextlib.suppress(OSError):
        place.chmod(0o700)
    for folder, names, _ in os.walk(place):
        for name in names:
            path = Path(folder, name)
            if not path.is_symlink():
                with contextlib.suppress(OSError):
                    path.chmod(0o700)
