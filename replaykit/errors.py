"""What can go wrong that is not the service's fault.

ReplaykitError
├── UsageError               an option, an argument or the configuration is wrong
│   ├── MissingFileError
│   ├── UnwritableError
│   ├── ProfileError
│   ├── StatusError
│   ├── RedactionError
│   ├── NoiseError
│   ├── ForeignHostError
│   ├── DescriptionError
│   ├── UnexportableError
│   └── SecretFoundError
├── DefinitionError          the model or the adapter is not well made
├── LoadError                the model or the adapter can't be imported
├── BundleError              the bundle can't be trusted
│   ├── CorruptBundleError
│   ├── TruncatedBundleError
│   └── NewerBundleError
├── JournalError             what a hunt or a bisect has written down is broken
├── ForeignFileError         what another tool has recorded can't be read
├── StaleError               the sequence no longer fits the model, the adapter or the cassette
│   ├── MissError            a request that the bundle being played has no answer for
│   ├── UnusedError          the bundle being played holds what was never asked for
│   ├── OfflineError         the network was to be reached while a bundle was played
│   └── DriftError           the service answers otherwise than the bundle says
├── UnreachableError         the service did not start, is not healthy, died, or could not be reset
├── UnbuildableError         the code of a commit or a version can't be had, or can't be built
└── MachineError             the machine is in trouble, whatever is tried on it: no room, no git, no processes

Terminated is what TERM raises; it is a KeyboardInterrupt, so that nobody takes it for a fault.

Each class has a slug, under which docs/reference/errors.md explains it. Each message has two
sentences: what happened, and what to do. What the service did wrong is a value (`Failure`), not
an exception. Exit codes stand in one table, in `verdict.py`.
"""

from typing import ClassVar


class ReplaykitError(Exception):
    """Something that replaykit can't go on from, told in two sentences."""

    slug: ClassVar[str] = "internal"

    def __init__(self, happened: str, todo: str = "") -> None:
        super().__init__(happened if not todo else f"{happened}\n{todo}")
        self.happened = happened
        self.todo = todo

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        """Say how another process makes the same error."""
        return type(self), (self.happened, self.todo)


class UsageError(ReplaykitError):
    """An option, an argument or the configuration is wrong."""

    slug = "usage"


class MissingFileError(UsageError):
    """A file that was named is not there, or can't be read."""

    slug = "missing-file"


class UnwritableError(UsageError):
    """A file or a folder can't be written: no room, no permission, no such folder."""

    slug = "unwritable"


class ProfileError(UsageError):
    """A profile in pyproject.toml is not well made, or is not there."""

    slug = "profile"


class StatusError(UsageError):
    """The file with the status of saved bugs is not well made."""

    slug = "status"


class RedactionError(UsageError):
    """What the configuration says of secrets is not well made."""

    slug = "redaction"


class NoiseError(UsageError):
    """A noise rule is not well made, too broad, or covers what the model predicts."""

    slug = "noise"


class ForeignHostError(UsageError):
    """A bundle asks for traffic to a host that the user did not name."""

    slug = "foreign-host"


class DescriptionError(UsageError):
    """An OpenAPI description is broken, of a version that is not known, or leads to other documents."""

    slug = "description"


class UnexportableError(UsageError):
    """A bundle holds what the format that was asked for can't say."""

    slug = "not-exportable"


class SecretFoundError(UsageError):
    """What is to be sent to others holds what may be a secret."""

    slug = "secret-found"


class DefinitionError(ReplaykitError):
    """A model or an adapter is not well made; raised while its class is made."""

    slug = "definition"


class LoadError(ReplaykitError):
    """A model or an adapter can't be imported."""

    slug = "load"


class BundleError(ReplaykitError):
    """A bundle can't be trusted."""

    slug = "bundle"


class CorruptBundleError(BundleError):
    """A bundle holds something that no bundle may hold, or was changed after it was written."""

    slug = "bundle-corrupt"


class TruncatedBundleError(BundleError):
    """A bundle has no end: whoever wrote it was stopped."""

    slug = "bundle-truncated"


class NewerBundleError(BundleError):
    """A bundle was written in a format that this version does not know."""

    slug = "bundle-newer"


class JournalError(ReplaykitError):
    """The journal of a hunt or a bisect holds something that no journal may hold, or was changed."""

    slug = "journal"


class ForeignFileError(ReplaykitError):
    """What another tool has recorded is broken, or of a kind that is not known."""

    slug = "foreign-file"


class StaleError(ReplaykitError):
    """A sequence no longer fits the model, the adapter or the cassette."""

    slug = "stale"


class MissError(StaleError):
    """A request was made that the bundle being played has no answer for."""

    slug = "miss"


class UnusedError(StaleError):
    """The bundle being played holds requests that were never made."""

    slug = "unused"


class OfflineError(StaleError):
    """The network was to be reached while a bundle was played."""

    slug = "offline"


class DriftError(StaleError):
    """The service answers otherwise than was recorded."""

    slug = "drift"


class UnreachableError(ReplaykitError):
    """The service did not start, is not healthy, died, or could not be reset."""

    slug = "unreachable"

    def __init__(self, happened: str, todo: str = "", log: str = "") -> None:
        super().__init__(happened, todo)
        self.log = log  # the last lines of the service


class UnbuildableError(ReplaykitError):
    """The code of a commit or a version can't be checked out, installed or built."""

    slug = "unbuildable"

    def __init__(self, happened: str, todo: str = "", log: str = "") -> None:
        super().__init__(happened, todo)
        self.log = log  # the last lines of what was run


class MachineError(ReplaykitError):
    """The machine is in trouble, whatever is tried on it: no room, no git, no more processes."""

    slug = "machine"


def is_fault(error: BaseException) -> bool:
    """Say whether what the user's code raised is its fault; an end that was asked for, as by Ctrl-C, is none.

    Code that wants to exit, or was cancelled inside of itself, does not end what others do.
    """
    return isinstance(error, Exception | SystemExit | GeneratorExit) or is_cancelled(error)


def is_cancelled(error: BaseException) -> bool:
    """Say whether asyncio, or trio, has cancelled what was at work; known by the name, so that neither is imported."""
    return type(error).__name__ in {"CancelledError", "Cancelled"}


class Terminated(KeyboardInterrupt):
    """The process was asked to stop by a signal other than Ctrl-C's."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by signal {signal_number}")
        self.signal_number = signal_number

    def __reduce__(self) -> tuple[type, tuple[int]]:
        """Say how another process makes the same."""
        return type(self), (self.signal_number,)
