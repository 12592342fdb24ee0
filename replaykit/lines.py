"""Lines: a bundle as the data of its lines, each checked for its form and none for its meaning; see `bundle`.

Whoever rewrites a bundle works on these, so that records and keys that this version does not know stay as they
are, in their places.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from replaykit.bundle import MAX_DATA, MAX_FILE, MAX_LINE, MAX_LINES, MAX_VALUES
from replaykit.errors import BundleError, CorruptBundleError, NewerBundleError, TruncatedBundleError
from replaykit.notation import decode, encode, mark_binary, unmark_binary
from replaykit.trace import Ending
from replaykit.value import InvalidValueError, JsonData
from replaykit.verdict import Failure
from replaykit.version import BUNDLE_FORMAT, __version__

DRAFT = 0  # the number of the format that came before format 1, whose first record is of kind `pd`
FIRST = b"version: 1\n"
OPEN = b"interactions:\n"
EMPTY = b"interactions: []\n"
_BUNDLE = b'# {"k":"bundle",'
_LONG = 1 << 20  # bytes of a line whose values are counted
_KEPT = ("command", "failure")


class Line(NamedTuple):
    """What one line says: an interaction of the cassette, or a record in a comment."""

    number: int  # from 1
    data: dict[str, Any]
    is_item: bool = False

    @property
    def kind(self) -> JsonData:
        """The kind of a record; None for an interaction."""
        return None if self.is_item else self.data.get("k")


class Lines:
    """The lines of a bundle, read one after the other; the first is the record that says where it comes from.

    Iterating raises a BundleError with the number of the line. `whole` is true once the end was seen, and its digest
    fits; then the last line that was given is that end.
    """

    def __init__(self, content: bytes, name: str = "The bundle") -> None:
        self.content = content
        self.name = name
        self.number = 0  # of the line that is being read, from 1
        self.whole = False
        self.format = BUNDLE_FORMAT
        self.complete = 0  # bytes of the lines that have their end

    def __iter__(self) -> Iterator[Line]:
        began, kept = False, 0
        for start, line in self._split():
            if self.whole:
                raise self.corrupt("there is something after the end")
            if line.startswith(b"- "):
                read = Line(self.number, self._json(unmark_binary(line[2:])), is_item=True)
            elif line.startswith(b"# {"):
                read = Line(self.number, self._json(line[2:]))
            elif line in (FIRST, OPEN, EMPTY):
                continue
            else:
                raise self.corrupt("this is no line of a bundle")
            if self.number == 2:  # noqa: PLR2004
                self.format = self._format(read)
                began = True
            elif not read.is_item and read.data.get("k") == "end":
                self._check_end(line, start, read.data)
                self.whole = True
            if self.format == DRAFT or (not read.is_item and read.data.get("k") in _KEPT):
                kept += len(line)
                if kept > MAX_DATA:
                    raise self.corrupt(f"there are commands of more than {MAX_DATA} bytes")
            yield read
        if not began:
            raise self.no_bundle()

    def _split(self) -> Iterator[tuple[int, bytes]]:
        if not self.content:
            raise TruncatedBundleError(f"{self.name} is empty: whoever wrote it was stopped before its first line.")
        if not self.content.startswith(FIRST):
            raise self.no_bundle()
        start, end = 0, len(self.content)
        while start < end:
            stop = self.content.find(b"\n", start) + 1
            self.number += 1
            if self.number > MAX_LINES:
                raise self.corrupt(f"there are more than {MAX_LINES} lines")
            if (stop or end) - start > MAX_LINE:
                raise self.corrupt(f"the line has more than {MAX_LINE} bytes")
            if not stop:
                if self.content.rfind(b'\n# {"k":"end"', 0, start) >= 0:
                    raise self.corrupt("there is something after the end")
                return  # a line without its end: the writer was stopped here
            self.complete = stop
            yield start, self.content[start:stop]
            start = stop

    def _json(self, line: bytes) -> dict[str, Any]:
        if len(line) > _LONG and line.count(b"[") + line.count(b"{") > MAX_VALUES:
            raise self.corrupt(f"there are more than {MAX_VALUES} lists and objects in it")
        try:
            return decode(line)
        except ValueError as error:
            raise self.corrupt(str(error)) from None

    def _format(self, line: Line) -> int:
        data = line.data
        if line.kind == "pd":
            if data.get("pd") != 1:
                raise self.corrupt(f"pd is {data.get('pd')!r}")
            return DRAFT
        if line.kind != "bundle":
            raise self.no_bundle()
        version = data.get("format")
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            raise self.corrupt(f"the format is {version!r:.40}")
        if version > BUNDLE_FORMAT:
            raise NewerBundleError(
                f"{self.name} has the format {version}, and replaykit {__version__} reads up to {BUNDLE_FORMAT}.",
                f"It was written by {str(data.get('tool', 'a newer replaykit'))[:80]!r}: install that or a newer one.",
            )
        return version

    def _check_end(self, line: bytes, start: int, data: dict[str, Any]) -> None:
        digest = hashlib.sha256(self.content[:start]).hexdigest()
        if self.format == DRAFT:
            fits = line == draft_end(data, self.number - 1, digest)
        else:
            ending, reason = data.get("ending"), data.get("reason")
            fits = isinstance(reason, str) and line == last_line(ending, reason, self.number - 1, digest)
        if not fits:
            raise self.corrupt("the digest does not fit what stands above it")

    def no_bundle(self) -> BundleError:
        """Return the error for a file that does not begin as a bundle, or that ends where one begins."""
        begun = self.content[len(FIRST) :]
        if FIRST.startswith(self.content) or (
            self.content.startswith(FIRST) and b"\n" not in begun and begun[: len(_BUNDLE)] == _BUNDLE[: len(begun)]
        ):
            return TruncatedBundleError(f"{self.name} ends where a bundle begins: whoever wrote it was stopped.")
        todo = "A bundle begins with `version: 1` and a comment."
        if self.content.startswith(b"version: 1\r\n"):
            todo = (
                "Its lines end with CR LF: git changed them. Write `*.pd text eol=lf` into .gitattributes, get it anew."
            )
        elif self.content[:64].lstrip().startswith((b"{", b"interactions:")):
            todo = "What another tool has recorded becomes one with replaykit import."
        elif self.content.startswith(b"\xef\xbb\xbf"):
            todo = "It begins with a byte order mark: an editor wrote it anew. Get it anew."
        return CorruptBundleError(
            f"{self.name}, line {max(1, min(self.number, 2))}: this is no bundle, it does not begin as one.", todo
        )

    def corrupt(self, why: str, number: int | None = None) -> CorruptBundleError:
        """Return the error for the line that is being read, or for another one."""
        return CorruptBundleError(
            f"{self.name}, line {number or self.number}: {why}.",
            "The file was changed after it was written; get it anew.",
        )


def last_line(ending: Ending | JsonData, reason: str, records: int, digest: str) -> bytes:
    """Return the last line: how the run ended, how many lines stand above, the SHA-256 of all their bytes."""
    data: dict[str, JsonData] = {"k": "end", "ending": ending, "reason": reason, "records": records, "sha256": digest}
    try:
        return b"# %s\n" % encode(data)
    except InvalidValueError:  # half a character, in a file from a stranger
        return b""


def draft_end(data: dict[str, JsonData], records: int, digest: str) -> bytes:
    """Return the last line as the draft of the format has it, for what that line says itself."""
    verdict, check, command = data.get("verdict"), data.get("check"), data.get("command")
    if verdict not in ("pass", "fail"):
        return b""
    end: dict[str, JsonData] = {"k": "end", "verdict": verdict}
    if verdict == "fail":
        if not isinstance(check, str) or not isinstance(command, str | None):
            return b""
        failure = Failure(kind="check", name=check, step=None, command=command, message="")
        end |= {"check": check, "command": command, "fingerprint": failure.fingerprint}
    try:
        return b"# %s\n" % encode({**end, "records": records, "sha256": digest})
    except InvalidValueError:
        return b""


def written(line: Line) -> bytes:
    """Write a line as it stands in a bundle. Raises InvalidValueError for what JSON can't say."""
    return mark_binary(b"- %s\n" % encode(line.data)) if line.is_item else b"# %s\n" % encode(line.data)


def bundled(lines: Iterable[Line], name: str = "The bundle") -> bytes:
    """Write the lines of a bundle of the present format, with a digest that fits them; the last of them is its end."""
    parts = [FIRST]
    is_open = False
    for line in lines:
        if line.kind == "end":
            break
        if line.is_item and not is_open:
            parts.append(OPEN)
            is_open = True
        try:
            parts.append(written(line))
        except InvalidValueError:
            raise CorruptBundleError(
                f"{name}, line {line.number}: a text has half a character in it.", "Get the file anew."
            ) from None
    else:
        raise TruncatedBundleError(f"{name} has no end.", "Close it first, with replaykit repair.")
    if not is_open:
        parts.append(EMPTY)
    above = b"".join(parts)
    if len(above) > MAX_FILE:
        raise CorruptBundleError(f"{name}, line {len(parts)}: it is too long to be written anew.", "Keep it as it is.")
    digest = hashlib.sha256(above).hexdigest()
    return above + last_line(line.data.get("ending"), str(line.data.get("reason", "")), len(parts), digest)
