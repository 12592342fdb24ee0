"""Tapes: what one recording, or one playback, does with each request.

A tape belongs to one block of code and to nothing else: nothing is patched, nothing is global, so any number
of them can be at work at once, in threads and in asyncio.
"""

import itertools
import os
import platform
import threading
import time
from bisect import bisect_right
from datetime import UTC, datetime
from pathlib import Path

from replaykit.bundle import Bundle, Origin, require_whole
from replaykit.cassette import CassetteMissError, Order, finder, hosts, is_elsewhere
from replaykit.client import HTTPX_VERSION
from replaykit.errors import MissError, ReplaykitError, UnusedError, UnwritableError, UsageError
from replaykit.gist import target
from replaykit.interaction import Interaction, Request
from replaykit.project import policy_here
from replaykit.reader import read
from replaykit.redact import Redactor
from replaykit.trace import Trace
from replaykit.writer import Writer

_numbers = itertools.count(1)


class Recorder:
    """The tape that writes every interaction down as soon as it is over, and makes a bundle of them at the end."""

    plays = False

    def __init__(self, path: Path, url: str | None) -> None:
        self.path = path
        self.url = url
        self._kept: list[Interaction] = []
        self._began: list[float] = []  # when each was sent, in the order in which they stand in the bundle
        self._lock = threading.Lock()
        self._over = False
        self._unwritable: UnwritableError | None = None
        if path.is_dir():
            raise UsageError(f"{path} is a folder.", "Name the file that the bundle is to become.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UnwritableError(f"{path.parent} can't be made: {error.strerror}.", "Choose another folder.") from None
        self._writer = Writer(self._hidden())
        self._origin = Origin(
            url=url,
            recorded=datetime.now(UTC).isoformat(timespec="seconds"),
            python=platform.python_version(),
            httpx=HTTPX_VERSION,
        )
        self._writer.begin(self._origin)

    def _hidden(self) -> Path:
        return self.path.with_name(f".{self.path.name}.{os.getpid()}-{next(_numbers)}.partial")

    def answer(self, request: Request) -> None:
        """Let the request go to the network. Raises UsageError when the recording is over."""
        if self._over:
            raise _over(self.path, request)

    def keep(self, interaction: Interaction) -> None:
        """Write an interaction; what a thread tells when the recording is over comes too late for it."""
        began = time.perf_counter() - interaction.elapsed
        with self._lock:
            if self._over:
                return
            place = bisect_right(self._began, began)
            before = len(self._began) - place
            self._began.insert(place, began)
            try:
                self._kept.append(interaction.replace(before=before))
                self._writer.interaction("recorded", None, self._kept[-1])
            except UnwritableError as error:
                self._unwritable = error
                raise

    def check(self) -> None:
        """Raise the UnwritableError that the block swallowed."""
        if self._unwritable is not None:
            raise self._unwritable

    def drop(self) -> None:
        """Leave no file: the block did not begin."""
        with self._writer:
            self._over = True

    def finish(self, error: BaseException | None, path: Path | None = None) -> None:
        """Save the bundle, at another path if need be; what the block raised is written into it.

        Raises UnwritableError, also the one that the block swallowed.
        """
        with self._lock:
            self._over = True
            try:
                self.check()
                self._save(path or self.path, "" if error is None else f"the block ended with {type(error).__name__}")
            except BaseException as found:
                self._writer.leave()
                if error is None or not isinstance(found, UnwritableError):
                    raise
                tell(error, found)

    def _save(self, path: Path, reason: str) -> None:
        if self._writer.is_late:  # a secret was found that may stand uncovered above
            covered = Writer(self._hidden())
            try:
                covered.begin(self._origin)
                covered.write(Trace(recorded=tuple(self._kept), ending="recorded", reason=reason))
            except BaseException:
                with covered:
                    raise
            with self._writer:
                self._writer = covered
        else:
            self._writer.end("recorded", reason, None)
        try:
            self._writer.save(path)
        except UnwritableError as error:
            raise UnwritableError(
                error.happened, f"{error.todo} What was recorded is in {self._writer.path}."
            ) from None
        with self._writer:  # which opened its file anew
            pass


class Playback:
    """The tape that answers from a bundle, and never from the network."""

    plays = True

    def __init__(self, path: Path, order: Order) -> None:
        self.path = path
        bundle = whole(path)
        self.url = bundle.origin.url
        interactions = bundle.trace.interactions()
        self._finder = finder(order)(interactions)
        self._hosts = hosts(interactions)
        self._lock = threading.Lock()
        self._miss: MissError | None = None
        self._over = False

    def answer(self, request: Request) -> Interaction:
        """Return what was recorded. Raises MissError where nothing was for this request."""
        with self._lock:
            if self._over:
                raise _over(self.path, request)
            try:
                recorded = self._finder.answer(request)
            except CassetteMissError as miss:
                raise self._missed(str(miss), request) from None
            if is_elsewhere(recorded.request, request, self._hosts):
                raise self._missed(f"{recorded.request.url} was recorded, and {request.url} is asked", request)
            return recorded

    def _missed(self, why: str, request: Request) -> MissError:
        found = MissError(
            f"{self.path} has no answer: {hushed(why, Interaction(request=request))}.",
            "Mend what asks, record the bundle anew, or play it in another order (fifo, any).",
        )
        self._miss = self._miss or found
        return found

    def run_out(self, request: Request, size: int) -> None:
        """Know that more was read of an answer than was recorded. Raises MissError."""
        why = f"the first {size} bytes of the answer to {target(request)} were recorded, and more is read"
        with self._lock:
            raise self._missed(why, request)

    def keep(self, interaction: Interaction) -> None:
        """Forget the interaction."""

    def check(self) -> None:
        """Raise the MissError that the block swallowed."""
        if self._miss is not None:
            raise self._miss

    def drop(self) -> None:
        """Answer nothing more."""
        self._over = True

    def finish(self, error: BaseException | None, path: Path | None = None) -> None:
        """Raise the MissError that the block swallowed, or UnusedError where it did not ask for everything."""
        del path
        with self._lock:
            self._over = True
        if self._miss is not None:
            tell(error, self._miss)
        elif error is None and (unused := self._finder.unused()):
            raise UnusedError(
                f"{self.path} was not used up: {unused}.",
                "Ask for everything, record the bundle anew, or play it with the order any.",
            )


def tell(error: BaseException | None, found: ReplaykitError) -> None:
    """Raise what was found; where the block has raised something else already, note it there."""
    if error is None:
        raise found
    if error is not found and str(found) not in getattr(error, "__notes__", ()) and str(error) != str(found):
        error.add_note(str(found))


def hushed(text: str, *interactions: Interaction) -> str:
    """Cover in a message what is secret, by its place in some interactions or by its look."""
    try:
        redactor = Redactor(policy_here())
    except UsageError:
        redactor = Redactor()
    redactor.reserve(text)
    redactor.look_at(interactions)
    return redactor.shown(text)


def whole(path: Path) -> Bundle:
    """Read a bundle that has its end. Raises MissingFileError and BundleError."""
    bundle = read(path)
    require_whole(bundle, str(path))
    return bundle


def _over(path: Path, request: Request) -> UsageError:
    return UsageError(
        f"{target(request)} was asked when the block with {path} was over.", "Make the client anew for each block."
    )
