"""The culprit: the commit, or the version, that brought a bug, as the bundle of the bug says it.

It stands in the record that says where the bundle comes from. All else in the file stays as it is, to the byte, but
for the digest in its last line.
"""

import hashlib
import re
from pathlib import Path

from replaykit.archive import unpacked
from replaykit.axis import Point
from replaykit.bundle import MAX_FILE
from replaykit.errors import ReplaykitError, TruncatedBundleError, UnwritableError, UsageError
from replaykit.lines import FIRST, Line, Lines, last_line, written
from replaykit.project import policy_here
from replaykit.reader import content_of, read, read_bytes
from replaykit.redact import Redactor
from replaykit.secret import Policy
from replaykit.verdict import Failure
from replaykit.version import BUNDLE_FORMAT
from replaykit.visible import visible
from replaykit.writer import put

MOST = 300  # characters
_ROOM = 1000  # bytes that a last line may have; its reason is never longer than that of the one before
_IN_BRACKETS = re.compile(r"\s*<[^<>]*@[^<>]*>")
_ADDRESS = re.compile(r"[^\s<>(),;:\"'@]+@[^\s<>(),;:\"'@]+")


def blamed(path: Path, culprit: str, since: bytes | None = None, policy: Policy | None = None) -> bool:
    """Write into a bundle's file who brought its bug; say whether that was not there yet.

    The file is replaced whole or not at all, and who may read it stays the same. `since` are the bytes that the
    bundle had when it was read: one that holds something else by now is left alone. `culprit` is covered as `told`
    says. Raises UsageError for what is packed or a text, BundleError, MissingFileError, UnwritableError.
    """
    before = content_of(path)
    if unpacked(before, str(path)) != before:
        raise UsageError(
            f"{path} is packed, or a text with a bundle in it: the culprit can't be written there.",
            "Unpack it first, with replaykit import.",
        )
    if since is not None and sum_of(before) != sum_of(since):
        raise UnwritableError(f"{path} was changed meanwhile, and is left as it is.", "Look at what it holds now.")
    read_bytes(before, str(path))  # what can't be read is not written anew
    after = marked(before, told(culprit, policy), str(path))
    if after != before:
        put(path.resolve(), after, path)
    return after != before


def marked(content: bytes, culprit: str | None, name: str = "The bundle") -> bytes:
    """Return the bytes of a whole bundle that names this culprit, or none. Raises BundleError."""
    scanned = Lines(content, name)
    lines = iter(scanned)
    last = first = next(lines)
    for line in lines:
        last = line
    if not scanned.whole:
        raise TruncatedBundleError(f"{name} has no end: whoever wrote it was stopped.", "Close it: replaykit repair.")
    if scanned.format != BUNDLE_FORMAT:
        raise UsageError(f"{name} has the format {scanned.format}.", "Say it in the present one: replaykit migrate.")
    if first.data.get("culprit") == culprit:
        return content
    body, end = content.index(b"\n", len(FIRST)) + 1, content.rindex(b"\n", 0, -1) + 1
    above = FIRST + written(_with(first, culprit)) + content[body:end]
    if len(above) > MAX_FILE - _ROOM:
        raise UsageError(
            f"{name} has no room for a culprit: a bundle has at most {MAX_FILE} bytes.", "Keep it as it is."
        )
    digest = hashlib.sha256(above).hexdigest()
    return above + last_line(last.data["ending"], last.data["reason"], last.data["records"], digest)


def _with(first: Line, culprit: str | None) -> Line:
    """Put the culprit into the place that the writer has for it, or take it out."""
    data = {key: value for key, value in first.data.items() if key != "culprit"}
    if culprit is None:
        return first._replace(data=data)
    keys = list(data)
    before = [keys.index(key) for key in _BEFORE if key in data]
    place = max(before, default=0) + 1
    return first._replace(data={key: data.get(key, culprit) for key in (*keys[:place], "culprit", *keys[place:])})


_BEFORE = ("k", "format", "tool", "url", "revision", "dirty", "recorded", "python", "httpx", "canonical")


def told(culprit: str, policy: Policy | None = None) -> str:
    """Return a culprit as it is written down: in one line, without mail addresses and secrets."""
    text = visible(_ADDRESS.sub("...", _IN_BRACKETS.sub("", " ".join(culprit.split()))))
    text = Redactor(policy_here() if policy is None else policy).message(text)
    return text if len(text) <= MOST else f"{text[: MOST - 3]}..."


def saying(point: Point, author: str = "", date: str = "") -> str:
    """Say a point as a culprit: a commit with its hash, date, author and subject; a version as its name."""
    words = [word for word in (point.name, date[:10], author) if word]
    return f"{' '.join(words)}: {point.subject}" if point.subject else " ".join(words)


def sum_of(content: bytes) -> str:
    """Return the SHA-256 of a bundle, whatever culprit it names; of what is no whole bundle, of its bytes."""
    try:
        if b'"culprit":' in content:
            content = marked(content, None)
    except (ReplaykitError, ValueError):
        pass
    return hashlib.sha256(content).hexdigest()


def culprit_in(path: Path, failure: Failure) -> str | None:
    """Return the culprit that a file names for a bug; None where it names none, or holds another bug, or is broken."""
    try:
        bundle = read(path) if path.is_file() else None
        is_same = bundle is not None and bundle.whole and bundle.failure.fingerprint == failure.fingerprint
    except ReplaykitError:
        return None
    return bundle.origin.culprit if bundle is not None and is_same else None
