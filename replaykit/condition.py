"""Condition: what became of a bundle's file since it was written, and how one is put right again."""

import hashlib
import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from replaykit.bundle import Bundle
from replaykit.canonical import canonical
from replaykit.errors import BundleError, CorruptBundleError, NewerBundleError, TruncatedBundleError
from replaykit.lines import DRAFT, EMPTY, FIRST, OPEN, Line, Lines, bundled, last_line
from replaykit.reader import read_bytes
from replaykit.upgrade import present
from replaykit.version import BUNDLE_FORMAT

Word: TypeAlias = Literal["whole", "truncated", "edited", "rewritten", "newer", "no bundle"]

CLOSED = "the end of the file was missing, and was put there by replaykit repair"

_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_YAML_CASSETTE = re.compile(rb"(?m)^(?:interactions:|\xef\xbb\xbfinteractions:)[ ]?")
_JSON_CASSETTE = re.compile(rb'^\s*\{\s*"(?:version|interactions)"\s*:')
_BLOCK = re.compile(rb"(?m)^(?:- |  )(?:request|response|replaykit):[ \t]*\r?$")
_OURS = re.compile(rb'(?m)^[ \t]*# ?\{[ ]?"k":[ ]?"(?:bundle|pd)"')
_HEAD = 1 << 20  # bytes in which the signs of another tool are looked for


@dataclass(frozen=True, slots=True)
class Condition:
    """What became of a bundle's file: a word, and why that word."""

    word: Word
    reason: str
    bundle: Bundle | None = None  # where it could be read

    @property
    def is_whole(self) -> bool:
        """Whether the file is as it was written, from the first byte to the last."""
        return self.word == "whole"


def condition_of(content: bytes, name: str = "The bundle") -> Condition:
    """Say what became of the bytes of a bundle since they were written."""
    try:
        bundle = read_bytes(content, name)
    except NewerBundleError as error:
        return Condition("newer", error.happened)
    except TruncatedBundleError as error:
        return Condition("truncated", error.happened)
    except BundleError as error:
        return _broken(content, error)
    if not bundle.whole:
        lines = content.count(b"\n")
        if _lacks_line_end(content, name):
            return Condition("truncated", "its last line has no line end; replaykit repair puts it there", bundle)
        return Condition("truncated", f"it has no end after line {lines}; replaykit repair closes it", bundle)
    scanned = Lines(content, name)
    next(iter(scanned))
    frame = (b"\n" + OPEN, b"\n" + EMPTY)
    records = content.count(b"\n") - 1 - sum(map(content.count, frame))  # all lines but those of the cassette
    failure = bundle.trace.failure
    said = bundle.trace.ending if failure is None else failure.title
    older = f"; replaykit migrate turns it into format {BUNDLE_FORMAT}" if scanned.format < BUNDLE_FORMAT else ""
    return Condition("whole", f"format {scanned.format}, {records} records and items, {said}{older}", bundle)


def _broken(content: bytes, error: BundleError) -> Condition:
    """Say who changed a file that can't be read: somebody by hand, another tool, or is it none of ours?"""
    head = content[:_HEAD]
    ours = _OURS.search(head) is not None
    if ours and (content.startswith(_MARKS) or b"\r\n" in head[:4096]):
        return Condition(
            "rewritten", f"its line ends or its encoding were changed, by git or an editor: {error.happened}"
        )
    if ours and (_BLOCK.search(head) or not content.startswith(FIRST)):
        return Condition("rewritten", f"another tool wrote it anew: {error.happened}")
    if ours:
        return Condition("edited", error.happened)
    if _YAML_CASSETTE.search(head) and b"version: 1" in content[:64] + content[-64:]:
        return Condition("rewritten", "another tool, such as vcrpy, wrote it anew: a cassette without the records")
    if _JSON_CASSETTE.search(head) and b'"interactions"' in head:
        return Condition("rewritten", "another tool, such as vcrpy, wrote it anew: a cassette without the records")
    return Condition("no bundle", error.happened)


def repaired(content: bytes, name: str = "The bundle") -> bytes:
    """Return a truncated bundle with an end; every complete line stays as it is. A whole one is returned as it is.

    Raises BundleError for one that is broken in another way.
    """
    if read_bytes(content, name).whole:
        return content
    if _lacks_line_end(content, name):
        return content + b"\n"
    scanned = Lines(content, name)
    items = sum(line.is_item for line in scanned)
    if scanned.format == DRAFT:
        end = Line(scanned.number, {"k": "end", "ending": "unknown", "reason": CLOSED})
        return bundled([*present(content, name), end], name)
    above = content[: scanned.complete]
    if not items:  # a list that was opened for an item that never came is no list
        above = above.replace(b"\n" + OPEN, b"\n").replace(b"\n" + EMPTY, b"\n") + EMPTY
    digest = hashlib.sha256(above).hexdigest()
    return above + last_line("unknown", CLOSED, above.count(b"\n"), digest)


def _lacks_line_end(content: bytes, name: str) -> bool:
    """Say whether a bundle without an end has one, but for its last byte."""
    last = content[content.rfind(b"\n") + 1 :]
    try:
        return last.startswith(b'# {"k":"end"') and read_bytes(content + b"\n", name).whole
    except BundleError:
        return False


def migrated(content: bytes, name: str = "The bundle", *, settled: bool = False) -> bytes:
    """Return a whole bundle in the present format, and in the canonical form if it is to be settled.

    Records and keys that are not known stay as they are, in their places. Raises BundleError.
    """
    if not read_bytes(content, name).whole:
        raise TruncatedBundleError(f"{name} has no end: whoever wrote it was stopped.", "Close it: replaykit repair.")
    if settled:
        return canonical(content, name)
    scanned = Lines(content, name)
    next(iter(scanned))
    if scanned.format == BUNDLE_FORMAT:
        return content
    made = bundled(present(content, name), name)
    if not read_bytes(made, name).whole:  # an upgrade that makes no bundle is a mistake here, and destroys nothing
        raise CorruptBundleError(f"{name}, line 1: it can't be said in format {BUNDLE_FORMAT}.", "Keep it as it is.")
    return made
