"""Run a PostgreSQL for one service, and see to it that nothing of it is left when the service is gone.

    python launcher.py DIRECTORY BINARIES

The launcher makes DIRECTORY, has `initdb` and then `postgres` of the folder BINARIES work in it, and writes
"ready", or else what went wrong, to its standard output. Its standard input is a lifeline: a pipe whose other
end the service holds and never writes to. When that end closes, whether the service stopped, crashed or was
killed, PostgreSQL is stopped and DIRECTORY is removed. Of signals only KILL ends the launcher sooner: then the
Linux kernel stops PostgreSQL (PR_SET_PDEATHSIG, prctl(2)), and the service removes DIRECTORY.

PostgreSQL refuses to run as root. Root's runs in a user namespace (user_namespaces(7)), in which root goes by
another name; that takes no rights, and gives none to anybody. Where namespaces are forbidden, as in many
containers, it runs as an unprivileged user, who becomes the owner of DIRECTORY. No user is made, and nothing
outside of DIRECTORY changes its owner or its mode.

It is a program of its own, with the standard library only, because it has to outlive the process that it watches.
"""

import contextlib
import ctypes
import functools
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PORT = 5432  # a part of the socket's name, no more
PATIENCE = 30.0  # seconds that the start may take
GRACE = 6.0  # seconds between two ways to stop; after SIGQUIT, PostgreSQL gives its own children 5
POLL = 0.01  # seconds
ROOMY = 100  # megabytes; a new database takes about 40
TAIL = 12  # lines of the log that tell what went wrong
UNPRIVILEGED = ("postgres", "nobody")

_INITDB = ("-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
_HASTY = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")  # nothing is kept anyhow
_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000

Disguise = dict[str, Any]  # what makes subprocess.Popen run a program as somebody who is not root


class StartError(Exception):
    """PostgreSQL did not start; the text says why."""


def main() -> int:
    """Run PostgreSQL until the lifeline closes; return 1 if it did not start."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # unlike SIG_IGN, this is not passed on to PostgreSQL
    directory, binaries = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        directory.mkdir(mode=0o700)
        _serve(directory, binaries)
    except (StartError, OSError) as error:
        print(error)
        return 1
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return 0


def _serve(directory: Path, binaries: Path) -> None:
    data, deadline = directory / "data", time.monotonic() + PATIENCE
    run = functools.partial(_running, directory=directory, disguise=_disguise(directory, binaries))
    with run([binaries / "initdb", "-D", data, *_INITDB]) as initdb:
        _await(lambda: initdb.poll() == 0, initdb, directory, deadline)
    # It listens only on a socket in a directory that nobody else may enter. That makes "trust" safe on a machine
    # with other users, and there is no port that another program could take first.
    place = ("-D", data, "-k", directory, "-p", str(PORT), "-c", "listen_addresses=")
    with run([binaries / "postgres", *place, *_HASTY]) as postgres:
        _await(lambda: _is_ready(data), postgres, directory, deadline)
        print("ready", flush=True)
        sys.stdin.read()


@contextlib.contextmanager
def _running(command: list[str | Path], directory: Path, disguise: Disguise) -> Iterator["subprocess.Popen[Any]"]:
    """Run a program that writes to the log, and stop it in the end."""
    environ = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=directory, env=environ, **disguise
        )
    try:
        yield process
    finally:
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):  # PostgreSQL's fast and immediate shutdown
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
                break


def _await(done: Callable[[], bool], process: "subprocess.Popen[Any]", directory: Path, deadline: float) -> None:
    """Return once it is done; raise if the process ended without, if time is up, or if the service is gone."""
    while True:
        code = process.poll()
        if done():
            return
        if code is not None:
            raise StartError(f"It ended with exit code {code}. {_last_words(directory)}")
        if time.monotonic() > deadline:
            raise StartError(f"It took more than {PATIENCE:.0f} seconds. {_last_words(directory)}")
        if select.select([sys.stdin], [], [], POLL)[0]:
            sys.exit()


def _is_ready(data: Path) -> bool:
    """Tell whether PostgreSQL says so, where pg_ctl looks too: in line 8 of its lock file."""
    with contextlib.suppress(FileNotFoundError, IndexError):
        return (data / "postmaster.pid").read_text().splitlines()[7].strip() == "ready"
    return False


def _last_words(directory: Path) -> str:
    """Quote the end of the log; a full disk leaves none, so look at the disk too."""
    lines = (directory / "log").read_text(errors="replace").splitlines()[-TAIL:] or ["(nothing)"]
    free = shutil.disk_usage(directory).free // 2**20
    full = [f"The disk of {directory.parent} has only {free} MB left."] if free < ROOMY else []
    return "\n".join(["The log ends with:", *(f"  {line}" for line in lines), *full])


def _disguise(directory: Path, binaries: Path) -> Disguise:
    """Find a way to run the binaries as somebody who is not root, and give that user the directory."""
    failures = []
    for way, disguise in _disguises():
        command = [str(binaries / "postgres"), "--version"]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, **disguise)
        except OSError as error:
            failures.append(f"  {way}: {error}")
        except subprocess.SubprocessError:
            failures.append(f"  {way}: refused")
        else:
            if ran.returncode == 0:
                os.chown(directory, disguise.get("user", -1), disguise.get("group", -1))
                return disguise
            failures.append(f"  {way}: {ran.stderr.strip()}")
    raise StartError("\n".join(["Its program could not be run", *failures]))


def _disguises() -> Iterator[tuple[str, Disguise]]:
    tied = {"preexec_fn": functools.partial(_prepare, os.getpid(), None)}
    if os.geteuid() != 0:
        yield "directly", tied
        return
    known = {user.pw_name: user for user in pwd.getpwall()}
    users = [known[name] for name in UNPRIVILEGED if name in known]
    if sys.platform == "linux" and users:  # not just any number: initdb wants to know its user's name
        yield "in a user namespace", {"preexec_fn": functools.partial(_prepare, os.getpid(), users[0])}
    for user in users:
        yield f"as the user {user.pw_name}", {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], **tied}


def _prepare(launcher: int, shown: pwd.struct_passwd | None) -> None:
    """Ready a new process for its program: hide root behind another user, and let it end with the launcher."""
    if shown:
        _enter_namespace(shown)
    if sys.platform == "linux":  # last, because a change of user would undo it
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
        if os.getppid() != launcher:  # it was gone before
            os._exit(1)


def _enter_namespace(shown: pwd.struct_passwd) -> None:
    uid, gid = os.geteuid(), os.getegid()
    if _LIBC.unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{shown.pw_uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{shown.pw_gid} {gid} 1")


if __name__ == "__main__":
    sys.exit(main())
