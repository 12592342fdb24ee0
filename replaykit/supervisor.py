"""Run one command, and see to it that nothing of it is left when replaykit is gone.

    python supervisor.py LIFELINE [COMMAND...]

LIFELINE is the number of a pipe or a socket whose other end replaykit holds. When that end closes, whether replaykit
stopped, crashed or was killed, the command and all that it started are ended: TERM, then KILL after
GRACE seconds. Where it is a socket, words come over it too: KILL, HALT and RESUME are done to the command's process
group, and answered with the same word, or with FAILED. The supervisor exits with the command's own exit code, as soon
as the command has ended.

What the command prints goes into the file that is the supervisor's own output. Where that is opened for appending,
it is kept short: beyond MOST_LOG bytes, only the last KEPT_LOG stay.

On Linux it also adopts what the command left behind (PR_SET_CHILD_SUBREAPER, prctl(2)), so that a
daemon that left the process group does not get away. It is a program of its own, with the standard
library only, because it has to outlive the process that it watches.

Without COMMAND, it was begun ahead, and is told over the lifeline what to run: where, with which environment, and
into which file it prints.

It stands between a user and each start of a service, so it imports little, and nothing that imports much: subprocess,
pathlib and contextlib would double the time that it takes.
"""

# signal itself imports enum, which takes as long as all else here
import _signal as signal  # type: ignore[import-not-found]
import ctypes
import fcntl
import os
import select
import sys
import time

GRACE = 5.0  # seconds between TERM and KILL
POLL = 0.05  # seconds
MOST_LOG = 4 * 1024 * 1024  # bytes
KEPT_LOG = 256 * 1024  # bytes

KILL, HALT, RESUME, FAILED = b"k", b"h", b"r", b"!"
SOON = 2.0  # seconds in which what was told to stop has stopped
HEAD = 8  # bytes that say how long it is what is told
NOT_STARTED = 127  # the exit code of what can't be started, as in a shell
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SIGNALS = {KILL: signal.SIGKILL, HALT: signal.SIGSTOP, RESUME: signal.SIGCONT}
_LEFT = (signal.SIGPIPE, signal.SIGXFSZ)  # Python ignores them, and so would what it starts

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def main() -> int:
    """Run the command of the command line; return its exit code."""
    lifeline = int(sys.argv[1])
    os.set_inheritable(lifeline, False)
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if libc is not None:
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in _STOPS:
        signal.signal(number, signal.SIG_IGN)
    woken = _told_of_ends()
    command, variables = sys.argv[2:], dict(os.environ)
    if not command:
        command, variables = told(lifeline)
    process = Process(command, libc, variables)
    while process.poll() is None:
        readable, _, _ = select.select([lifeline, woken], [], [], POLL)
        if lifeline in readable and not obeyed(lifeline, process):
            break
        if woken in readable:
            os.read(woken, 1024)
        keep_short(sys.stdout.fileno())
    end(process)
    return process.code if process.code is not None else NOT_STARTED


class Process:
    """The command, in a session of its own."""

    def __init__(self, command: list[str], libc: "ctypes.CDLL | None", variables: dict[str, str]) -> None:
        self.code: int | None = None  # its exit code, 128 and more for a signal
        self.is_halted = False  # was it seen to be stopped, and not told to go on?
        begun, begins = os.pipe()  # closed by the exec
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setsid()
                for number in (*_STOPS, *_LEFT):
                    signal.signal(number, signal.SIG_DFL)
                if libc is not None:  # should the supervisor itself be killed, the command goes with it
                    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
                os.execvpe(command[0], command, variables)  # noqa: S606  it has a shell where the user wants one
            except OSError as error:
                os.write(2, f"{command[0]}: {error.strerror}\n".encode())
            finally:
                os._exit(NOT_STARTED)
        os.close(begins)
        os.read(begun, 1)  # before that, there may be no group to tell to end, and nobody who hears it
        os.close(begun)

    def poll(self) -> int | None:
        """Return its exit code; None while it runs."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._learn(status)
        return self.code

    def has_halted(self) -> bool:
        """Say whether it was stopped since it was told to go on, and has not ended."""
        if self.code is None and not self.is_halted:
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
            if pid and os.WIFSTOPPED(status):
                self.is_halted = True
            elif pid:
                self._learn(status)
        return self.code is None and self.is_halted

    def wait(self) -> None:
        """Wait for its end."""
        if self.code is None:
            self._learn(os.waitpid(self.pid, 0)[1])

    def _learn(self, status: int) -> None:
        code = os.waitstatus_to_exitcode(status)
        self.code = code if code >= 0 else 128 - code


def _told_of_ends() -> int:
    """Return a pipe that can be read when a child has ended, so that nobody has to wait for POLL to be over."""
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    return woken


def told(lifeline: int) -> tuple[list[str], dict[str, str]]:
    """Wait for the command, and go where it is run; return it with its environment. Ends this when nobody tells it."""
    said = _read(lifeline, int.from_bytes(_read(lifeline, HEAD), "big"))
    log, folder, count, *rest = (os.fsdecode(each) for each in said.split(b"\0"))
    try:
        output = os.open(log, os.O_RDWR | os.O_APPEND)
        for number in (1, 2):
            os.dup2(output, number)
        os.close(output)
        os.chdir(folder)
    except OSError as error:
        os.write(2, f"{error.filename}: {error.strerror}\n".encode())
        os._exit(NOT_STARTED)
    return rest[: int(count)], dict(each.split("=", 1) for each in rest[int(count) :])


def _read(lifeline: int, size: int) -> bytes:
    """Read so many bytes, and no more: words may follow."""
    said = b""
    while len(said) < size:
        part = os.read(lifeline, size - len(said))
        if not part:
            os._exit(NOT_STARTED)
        said += part
    return said


def obeyed(lifeline: int, process: Process) -> bool:
    """Do what is said over the lifeline; return false where it is not held any more."""
    try:
        word = os.read(lifeline, 1)
        if not word:
            return False
        number = _SIGNALS.get(word)
        process.is_halted = process.is_halted and word == HALT
        done = number is not None and _tell(process.pid, number) and _is_done(word, process)
        os.write(lifeline, word if done else FAILED)
    except OSError:  # who held it went while it was answered
        return False
    return True


def _is_done(word: bytes, process: Process) -> bool:
    """Wait until a word has had its effect; say whether it soon had."""
    deadline = time.monotonic() + SOON
    while time.monotonic() < deadline:
        if word == RESUME or (word == KILL and process.poll() is not None) or (word == HALT and process.has_halted()):
            return True
        if process.code is not None:
            return False
        time.sleep(0.001)
    return False


def keep_short(log: int) -> None:
    """Cut the beginning of a file that has grown too long; what is appended meanwhile may be lost."""
    size = os.fstat(log).st_size
    if size <= MOST_LOG or not fcntl.fcntl(log, fcntl.F_GETFL) & os.O_APPEND:
        return
    last = os.pread(log, KEPT_LOG, size - KEPT_LOG)
    os.ftruncate(log, 0)
    os.write(log, last[last.find(b"\n") + 1 :])


def end(process: Process) -> None:
    """End the command's process group, and whatever else of it is left."""
    _tell(process.pid, signal.SIGTERM)
    _tell(process.pid, signal.SIGCONT)  # what is paused hears nothing else but KILL
    deadline, pause = time.monotonic() + GRACE, 0.002
    while time.monotonic() < deadline and (process.poll() is None or _alive(process.pid)):
        _reap(process.pid)
        time.sleep(pause)
        pause = min(pause * 1.5, POLL)
    _tell(process.pid, signal.SIGKILL)
    process.wait()
    for _ in range(100):
        orphans = _children()
        if not orphans:
            return
        for pid in orphans:
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
        _reap(process.pid)
        time.sleep(POLL)


def _tell(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _reap(command: int) -> None:
    """Take leave of adopted children that have ended; the command itself is left to `Process`."""
    for pid in _children():
        if pid == command:
            continue
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            pass


def _children() -> list[int]:
    """List the processes whose parent is this one (Linux)."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:  # noqa: PTH123
            text = file.read()
    except OSError:
        return []
    return [int(pid) for pid in text.split()]


if __name__ == "__main__":
    os._exit(main())  # there is nothing to be put away, and somebody waits
