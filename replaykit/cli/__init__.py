"""The command line: parsing, calling a journey, printing, exit code.

Everything is caught here, click's own exits and failing imports included: click alone exits with 1 and 2,
and both would make git bisect blame an innocent commit.
"""

import gc
import os
import signal
import sys
import threading
import time
from types import FrameType, ModuleType
from typing import cast

from replaykit.errors import Terminated  # before any signal is heard: what is half imported can't be raised

GARBAGE = 50_000  # objects after which it is looked for what nobody needs any more
ECHO = 0.5  # seconds in which a second signal is taken for the first
SOON = 0.02  # seconds after which one that was lost is sent again

_asked: list[float] = []  # when it was asked for the end, on the monotonic clock


def entry() -> None:
    """Run the program `replaykit`."""
    gc.set_threshold(GARBAGE)  # what is imported stays: to look through it again and again takes a sixth of the time
    sys.modules.setdefault("httpx._main", cast("ModuleType", None))  # its own command line, with rich and pygments
    sys.modules.setdefault("pydantic.plugin._loader", _no_plugins())
    code = main(sys.argv[1:])
    if threading.active_count() > 1:  # threads of an adapter, which would hold the exit for ever
        os._exit(code)
    sys.exit(code)


def _no_plugins() -> ModuleType:
    """Stand in for pydantic's search for plugins, which reads what each installed package says of itself."""
    module = ModuleType("pydantic.plugin._loader")
    module.get_plugins = tuple  # type: ignore[attr-defined]
    return module


def main(arguments: list[str]) -> int:
    """Run a command line; return its exit code."""
    try:
        _occupy_standard_streams()
        _listen()
        from replaykit.cli.app import run

        code = run(arguments)
    except KeyboardInterrupt as interrupt:
        code = 128 + getattr(interrupt, "signal_number", signal.SIGINT)
    except BaseException as error:  # noqa: BLE001  whatever it is, it must not look like a verdict
        code = _crashed(error)
    return _flushed(code)


def _occupy_standard_streams() -> None:
    """Open what the caller closed (`>&-`): else the next file or pipe would be taken for standard output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one


def _listen() -> None:
    """Let Ctrl-C and TERM end the work in good order; where the caller has Ctrl-C ignored, it stays so."""
    _asked.clear()
    sys.unraisablehook = _ask_again
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(number: int, _: FrameType | None) -> None:
    """End the work in good order when it is asked for, and at once when it is asked for again.

    What comes again at once was sent once: the terminal sends it to all, and a wrapper passes on what it got.
    """
    now = time.monotonic()
    if _asked and now - _asked[0] < ECHO:
        return
    if _asked:
        if os.isatty(2):
            os.write(2, b"\x1b[?25h\n")  # the cursor is seen again
        os._exit(128 + number)
    _asked.append(now)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise Terminated(number)


def _ask_again(lost: "sys.UnraisableHookArgs") -> None:
    """Ask for the end anew where that was lost: what is raised in a finalizer, Python prints and drops."""
    if not isinstance(lost.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(lost)
        return
    _asked.clear()
    number = getattr(lost.exc_value, "signal_number", signal.SIGINT)
    threading.Timer(SOON, os.kill, (os.getpid(), number)).start()  # not now: this is still the finalizer


def _crashed(error: BaseException) -> int:
    import traceback

    try:
        traceback.print_exception(error)
        sys.stderr.write("error[internal]: This is a mistake in replaykit (exit 128).\n")
    except (OSError, ValueError):
        return 128
    return 128


def _flushed(code: int) -> int:
    """Flush what was printed; a reader that is gone does not change the verdict."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:  # by the user's code
                stream.flush()
        except (OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
    return code
