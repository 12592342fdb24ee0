"""The bundle: one `.pd` file with a trace and where it comes from; `writer` writes it, `reader` reads it.

Theory of operation. A bundle is one ASCII text file with LF lines that is a YAML document at the same time:
a version 1 cassette of vcrpy. Interactions are its list items, one line of JSON each; all that a cassette
has no room for stands in comments, one line of JSON each. So vcrpy plays it as it is, git diffs it, a person
reads it, and it can be written line by line while a run happens.

    version: 1
    # {"k":"bundle","format":1,...}
    interactions:
    # {"k":"command","step":0,...}
    - {"request":{...},"response":{...},"replaykit":{"step":0,...}}
    # {"k":"event","step":0,...}
    # {"k":"state","step":0,...}
    # {"k":"failure",...}
    # {"k":"end","ending":"failed","records":41,"sha256":"..."}

How JSON has to be written so that YAML reads the same is the business of `notation`.

The format is described for other readers in docs/reference/bundle-format.md.
"""

import re
from pathlib import Path

from replaykit.errors import BundleError, TruncatedBundleError, UsageError
from replaykit.trace import Trace
from replaykit.value import Record
from replaykit.verdict import Failure
from replaykit.version import __version__

MAX_FILE = 64 * 1024 * 1024  # bytes
MAX_LINE = 16 * 1024 * 1024  # bytes
MAX_LINES = 200_000
MAX_DATA = 16 * 1024 * 1024  # bytes of the lines whose data stays in memory: commands, failures, all of a draft
MAX_VALUES = 1_000_000  # lists and objects in a line
MAX_SECONDS = 1e9  # that an interaction can have taken
MAX_RUNS = 1_000_000  # of the result of shrinking
MAX_BODY = 2 * 1024 * 1024  # bytes that are kept of one body
NONCE = re.compile(r"[0-9a-f]{1,64}")
LAST_PORT = 65535  # stands in a canonical bundle for the first free port; its neighbours below for others
MAX_NAME = 1000  # characters of a header name that YAML takes for a key
LARGE = 10 * 1024 * 1024  # bytes of a bundle that is said to be large: mail and forges take some 25 MB


class Shrinking(Record):
    """What shrinking did to the sequence of a bundle."""

    calls_before: int
    executions: int
    requests: int
    seconds: float
    confirmed: bool  # did the result fail each time that it was run again?
    runs: int | None = None  # how often it was run again
    failed: int | None = None  # in how many of these runs it failed in the same way
    stopped: str | None = None  # the budget that ended it, if any


class Origin(Record):
    """Where a bundle comes from: who recorded it, when, against what, from which revision."""

    tool: str = f"replaykit {__version__}"
    url: str | None = None
    revision: str | None = None
    dirty: bool | None = None
    recorded: str | None = None  # ISO 8601, UTC
    python: str | None = None
    httpx: str | None = None
    canonical: bool | None = None  # were times, dates and request ids left out?
    culprit: str | None = None  # the commit, or the version, that brought the bug, as a person reads it

    @property
    def recording(self) -> str:
        """When and by what it was recorded, as a person reads it."""
        when = self.recorded or ("without times (canonical)" if self.canonical else "at an unknown time")
        versions = [f"Python {self.python}", f"httpx {self.httpx}"] if self.python else []
        return f"{when} by {', '.join([self.tool, *versions])}"

    def require_port(self) -> None:
        """Raise UsageError where nobody is to be expected at the recorded URL: its port was free, and is not kept."""
        if self.canonical and self.url is not None and self.url.endswith(f":{LAST_PORT}"):
            raise UsageError(
                "The service that the bundle was recorded with had a free port, which is not kept.",
                "Start it with --start, name it with --url, or write a profile that has its model and its adapter.",
            )


class Provenance(Origin):
    """Where a run comes from: its model and adapter, its seed, its place in a campaign, and its origin."""

    model: str  # module:Class
    adapter: str  # module:Class
    model_digest: str
    campaign_seed: int
    run: int  # from 0
    seed: int  # of this run
    commands: int  # the most that a run may have
    shrinking: Shrinking | None = None


class Bundle(Record):
    """A bundle as it was read."""

    origin: Origin
    trace: Trace
    whole: bool = True  # false: the end of the file is missing

    @property
    def provenance(self) -> Provenance:
        """Where its run comes from. Raises BundleError where there was no run: it was recorded without a model."""
        if not isinstance(self.origin, Provenance):
            raise BundleError(
                "The bundle was recorded without a model, so there is no sequence of commands in it.",
                "It can be played and shown; only bundles of runs can be replayed.",
            )
        return self.origin

    @property
    def failure(self) -> Failure:
        """The failure that it holds. Raises BundleError where there is none."""
        if self.trace.failure is None:
            raise BundleError(
                f"The bundle holds a run that ended as {self.trace.ending}, and no failure.",
                "Only a failure can be shrunk, and only a failure or a run that passed can be replayed.",
            )
        return self.trace.failure

    @property
    def judged(self) -> Failure | None:
        """The failure that it holds; None where its run passed. Raises BundleError where that is not known."""
        return None if self.trace.ending == "passed" and self.trace.failure is None else self.failure


def name_of(failure: Failure) -> str:
    """Return the file name of a failure's bundle: the same bug always has the same."""
    check = re.sub(r"[^A-Za-z0-9_.-]", "_", failure.name)[:60]
    return f"{check}-{failure.fingerprint}.pd"


def warning(path: Path) -> str | None:
    """Say that a bundle is large, if it is; None where it is not, or not there."""
    try:
        size = path.stat().st_size
    except OSError:
        return None
    if size <= LARGE:
        return None
    return (
        f"{path} has {size / 1024 / 1024:.0f} MB. Mail and tickets take some 25 MB, and git keeps each version of it "
        "for ever: use fewer commands in a run, or smaller bodies."
    )


def require_whole(bundle: Bundle, name: str) -> None:
    """Raise TruncatedBundleError unless the bundle has its end."""
    if not bundle.whole:
        raise TruncatedBundleError(
            f"{name} has no end: whoever wrote it was stopped.", "It can be looked at (replaykit show), not judged."
        )
