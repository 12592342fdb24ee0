"""Answers: what a command that keeps, looks for or exchanges something came to, as records that can be written down.

`--json` prints one of them. It is a surface that other programs read: a key that stands here stays, and means the
same, until VERSION changes. What a command can't go on from is a `Refusal`, whichever command it is.
"""

from typing import Literal, TypeAlias, get_args

from replaykit.document import json_text
from replaykit.surface import definitions_of, published
from replaykit.value import JsonData, Record

VERSION = 1


class Unread(Record):
    """Why a file can't be read, or looked into."""

    slug: str  # missing-file, explained in errors.md
    happened: str
    todo: str
    exit_code: int


class Refusal(Record):
    """What keeps a command from its answer; it is printed instead of any other document."""

    version: int = VERSION
    error: Unread


class _Head(Record):
    """What the document of each command begins with."""

    version: int = VERSION
    command: str
    exit_code: int = 0


class Verified(Record):
    """A file, and what became of it since it was written."""

    file: str
    word: Literal["whole", "truncated", "edited", "rewritten", "newer", "no bundle"] | None  # null: it can't be read
    reason: str | None
    unread: Unread | None


class Verify(_Head):
    """What `replaykit verify` came to."""

    command: Literal["verify"] = "verify"
    exit_code: int
    files: tuple[Verified, ...]


class Repair(_Head):
    """What `replaykit repair` came to."""

    command: Literal["repair"] = "repair"
    file: str
    output: str | None  # what was written; null where nothing had to be
    lines: int
    requests: int
    lost: int  # bytes of a line without its end, which were left out


class Migrated(Record):
    """A bundle that is in the present format now."""

    file: str
    output: str | None  # what was written; null where nothing had to be
    before: int  # the format that it had
    after: int
    size_before: int  # bytes
    size: int


class Migrate(_Head):
    """What `replaykit migrate` came to."""

    command: Literal["migrate"] = "migrate"
    files: tuple[Migrated, ...]


class Suspect(Record):
    """A value that may be a secret; the value itself is not told."""

    file: str
    line: int  # from 1
    label: str
    size: int  # characters


class Unscanned(Record):
    """A file that can't be looked into."""

    file: str
    unread: Unread


class Scan(_Head):
    """What `replaykit scan` came to."""

    command: Literal["scan"] = "scan"
    exit_code: int
    files: int  # that were looked into
    found: tuple[Suspect, ...]
    unread: tuple[Unscanned, ...]


class Export(_Head):
    """What `replaykit export` came to."""

    command: Literal["export"] = "export"
    bundle: str
    whole: bool  # false: the end of the bundle is missing
    format: str
    output: str
    size: int  # bytes
    left_out: str | None  # what the format has no room for, in a sentence


class Import(_Head):
    """What `replaykit import` came to."""

    command: Literal["import"] = "import"
    recording: str  # - is standard input
    output: str
    contained: bool  # a bundle was in it, and is written to the byte; else it was recorded by another tool
    requests: int
    size: int  # bytes


class Known(Record):
    """What is known of a saved bug, and what was."""

    bundle: str
    status: Literal["open", "fixed", "wontfix"]
    ticket: str | None
    note: str | None
    was: Literal["open", "fixed", "wontfix"]
    changed: bool


class Statuses(_Head):
    """What `replaykit close` and `replaykit reopen` came to."""

    command: Literal["close", "reopen"]
    bundles: tuple[Known, ...]


class Init(_Head):
    """What `replaykit init` came to."""

    command: Literal["init"] = "init"
    folder: str
    model: str  # as --model names it
    adapter: str
    commands: dict[str, str]  # endpoint -> command
    differences: tuple[str, ...]  # what is new, changed or gone since the last time
    notes: tuple[str, ...]  # what the description says, or the traffic shows, and the model can't
    settings: tuple[str, ...]  # that say who the client is, for --set
    url: str | None  # where the service is, as far as that is known
    health: str  # for --health


class GitSetup(_Head):
    """What `replaykit git-setup` came to."""

    command: Literal["git-setup"] = "git-setup"
    exit_code: int
    missing: tuple[str, ...]  # before
    written: bool


class Refused(Record):
    """A place that differs between runs, and why no rule may cover it."""

    place: str
    why: str


class Noise(_Head):
    """What `replaykit noise` came to."""

    command: Literal["noise"] = "noise"
    exit_code: int
    bundle: str
    runs: int  # that ended alike, and were compared
    rules: tuple[JsonData, ...]  # each with the keys of [[tool.replaykit.noise]]
    refused: tuple[Refused, ...]
    toml: str  # the same, as it can stand in pyproject.toml


class Met(Record):
    """Another failure that was met on the way."""

    fingerprint: str
    kind: str
    name: str
    message: str
    bundle: str | None  # null where it was not saved


class Reshrink(_Head):
    """What `replaykit reshrink` came to."""

    command: Literal["reshrink"] = "reshrink"
    exit_code: int
    bundle: str
    outcome: Literal["simpler", "unchanged", "less reliable", "not reproduced", "interrupted"]
    reason: str
    output: str | None  # what was written; null where the bundle is left as it is
    commands_before: int
    commands: int  # of the simplest sequence that was found
    executions: int | None  # null where nothing was tried
    requests: int | None
    runs: int  # in which the simplest sequence was run again
    failed: int  # of these
    others: tuple[Met, ...]


Answer: TypeAlias = (
    Verify | Repair | Migrate | Scan | Export | Import | Statuses | Init | GitSetup | Noise | Reshrink | Refusal
)

KINDS: tuple[type[Record], ...] = get_args(Answer)


def render(answer: Answer) -> str:
    """Write an answer as JSON, in ASCII."""
    return json_text(answer.model_dump()) + "\n"


def refusal(slug: str, happened: str, todo: str, code: int) -> str:
    """Write as JSON what keeps a command from its answer."""
    return render(Refusal(error=Unread(slug=slug, happened=happened, todo=todo, exit_code=code)))


def schema() -> str:
    """Return the JSON Schema of all answers, as it is published: a document is one of them, by its `command`."""
    return published(
        f"What --json of the commands for files prints, version {VERSION}; and any command's error",
        "Keys that are not named here may be added in the same version: ignore them.",
        {
            "oneOf": [{"$ref": f"#/$defs/{kind.__name__}"} for kind in KINDS],
            "$defs": dict(sorted(definitions_of(KINDS).items())),
        },
    )
