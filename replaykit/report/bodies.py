"""Bodies on a page: each once, what is small in full, of what is large the beginning, and the rest packed.

Theory of operation. A page of a long run would hold the same listing thousands of times, each a little different, and
gzip sees no further back than 32 KB. So a large body is cut into *pieces* where its things end, at a brace or at the
end of a line; each piece is kept once, however many bodies it stands in; and a body is a list of ranges of pieces,
`0-411,900,413-800`. This *recipe* is a piece too, the last one of its body: two listings that are alike have recipes
that are. Pieces are packed in gzip, some hundred thousand characters together, and unpacked by the page when somebody
asks for a body. A body that finds no room in the page says so; the bundle has it.
"""

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from typing import Literal

from replaykit.coding import unpacked
from replaykit.interaction import Cut, Headers
from replaykit.report.steps import count
from replaykit.value import Record
from replaykit.visible import visible

INLINE = 2_000  # characters of a body that is shown in full
START = 400  # characters that are shown of a larger one
AGAIN = 300  # characters of a body that is shown each time; a larger one once
MOST_INLINE = 1_500_000  # characters that all bodies may show; then they show less
MOST_STORED = 4_000_000  # characters of all packs
PACK = 512 * 1024  # characters of the pieces of a pack, before they are packed
WIDTH = 88  # characters of a line of JSON
_DEEPEST = 12  # levels of JSON that are laid out
_OPEN, _SHUT = frozenset("[{"), frozenset("]}")
_SIGN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')
_THINGS = re.compile(r"[^}]{0,1000}(?:\}|\Z)|[^}]{1000}")
_LINES = re.compile(r"[^\n>]{0,1000}(?:[\n>]|\Z)|[^\n>]{1000}")


class Body(Record):
    """A body as a page shows it."""

    kind: Literal["json", "text", "binary"]
    size: str  # 40,960 bytes
    notes: tuple[str, ...] = ()  # what is to be known of it: packed in gzip, cut short
    text: str = ""  # what is shown at once
    whole: bool = True  # is that all of it?
    recipe: int | None = None  # the piece that says of which ones it is made; None where it is nowhere in the page
    same: str = ""  # where on the page the same body stands, which is not repeated


class Pack(Record):
    """Pieces of bodies: a JSON list of texts in gzip, in base64."""

    first: int  # number of its first piece
    content: str


class Bodies:
    """All bodies of a page. What is asked for first gets room first."""

    def __init__(self) -> None:
        self.packs: list[Pack] = []
        self.room = MOST_INLINE
        self._places: dict[str, str] = {}  # of bodies that were shown, by digest
        self._numbers: dict[str, int] = {}  # of pieces
        self._open: list[str] = []  # pieces that are not packed yet
        self._size = self._stored = 0
        self._next = 0
        self.is_full = False

    @property
    def held(self) -> int:
        """How many pieces there are in the packs; a body with a later recipe is not in the page."""
        self._close()
        return self._next - len(self._open)

    def takes(self, text: str, most: int) -> bool:
        """Take room for a text that is shown beside bodies; false where there is none, or it is longer than `most`."""
        fits = len(text) <= min(most, self.room)
        self.room -= len(text) if fits else 0
        return fits

    def shown(
        self, headers: Headers, body: bytes, place: str, *, complete: bool = True, cut: Cut | None
    ) -> Body | None:
        """Return what is shown of a body at a place of the page; None where there was none."""
        if not body:
            return None
        content = unpacked(headers, body)
        notes = [f"compressed: {count(len(body), 'byte')} as sent"] if content is not body else []
        notes += ["it broke off"] if not complete else []
        notes += [f"only its beginning was kept, of {cut.size:,} bytes"] if cut is not None else []
        size = f"{len(content):,} byte{'' if len(content) == 1 else 's'}"
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            shown = base64.b16encode(content[: START // 8]).decode("ascii").lower()
            said = " ".join(shown[at : at + 2] for at in range(0, len(shown), 2))
            is_whole = len(content) <= START // 8
            return Body(kind="binary", size=size, notes=tuple(notes), text=said, whole=is_whole)
        return self._text(text, size, notes, place)

    def _text(self, text: str, size: str, notes: list[str], place: str) -> Body:
        digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
        is_json = text.lstrip()[:1] in {"{", "["}
        kind: Literal["json", "text"] = "json" if is_json else "text"
        known = self._places.setdefault(digest, place)
        if known != place and len(text) > AGAIN:
            return Body(kind=kind, size=size, notes=tuple(notes), whole=False, same=known)
        if len(text) <= min(INLINE, self.room):
            shown = visible(laid_out(text) if is_json and len(text) > WIDTH else text)
            self.room -= len(shown)
            return Body(kind=kind, size=size, notes=tuple(notes), text=shown)
        start = visible(text[: min(START, max(0, self.room))])
        self.room -= len(start)
        recipe = self._kept(visible(text))
        return Body(kind=kind, size=size, notes=tuple(notes), text=start, whole=False, recipe=recipe)

    def _kept(self, text: str) -> int | None:
        """Keep the pieces of a text and its recipe, and return the number of that; None where there is no room."""
        if self.is_full:
            return None
        numbers = []
        for piece in pieces_of(text):
            if piece not in self._numbers:
                self._numbers[piece] = self._add(piece)
            numbers.append(self._numbers[piece])
        return self._add(ranges_of(numbers))

    def _add(self, piece: str) -> int:
        self._open.append(piece)
        self._next += 1
        self._size += len(piece)
        if self._size >= PACK:
            self._close()
        return self._next - 1

    def _close(self) -> None:
        """Pack the pieces that are not packed yet, if there is room for them."""
        if not self._open or self.is_full:
            return
        packed = gzip.compress(json.dumps(self._open).encode("ascii"), 6, mtime=0)
        content = base64.b64encode(packed).decode("ascii")
        if self._stored + len(content) > MOST_STORED:
            self.is_full = True
            return
        self._stored += len(content)
        self.packs.append(Pack(first=self._next - len(self._open), content=content))
        self._open, self._size = [], 0


def pieces_of(text: str) -> list[str]:
    """Cut a text where things end: at braces, else at the ends of lines and of tags."""
    pattern = _THINGS if text.count("}") * 1000 > len(text) else _LINES
    return [piece for piece in pattern.findall(text) if piece]


def ranges_of(numbers: Iterable[int]) -> str:
    """Write numbers as ranges: `0-3,7`."""
    ranges: list[list[int]] = []
    for each in numbers:
        if ranges and each == ranges[-1][1] + 1:
            ranges[-1][1] = each
        else:
            ranges.append([each, each])
    return ",".join(f"{first}-{last}" if last > first else f"{first}" for first, last in ranges)


def laid_out(text: str, width: int = WIDTH) -> str:
    """Break JSON into lines, and change nothing else: numbers and doubled keys stay as they were sent.

    What fits into a line of this width stays in one. What is no JSON, or is nested deeply, stays as it is.
    """
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    signs = _SIGN.findall(text)
    deepest = depth = 0
    for sign in signs:
        depth += (sign in _OPEN) - (sign in _SHUT)
        deepest = max(deepest, depth)
    rest = iter(signs)
    return text if deepest > _DEEPEST else "\n".join(_lines(rest, next(rest), width))


def _lines(signs: Iterator[str], first: str, width: int) -> list[str]:
    """Lay out one value, whose first sign is given; the rest is taken from the signs."""
    if first not in _OPEN:
        return [first]
    items: list[list[str]] = []
    key, shut = "", ""
    for sign in signs:
        if sign in _SHUT:
            shut = sign
            break
        if sign == ",":
            continue
        if sign == ":":
            key = f"{items.pop()[0]}: "
            continue
        lines = _lines(signs, sign, width - 2)
        items.append([f"{key}{lines[0]}", *lines[1:]])
        key = ""
    return _joined(first, items, shut, width)


def _joined(first: str, items: list[list[str]], shut: str, width: int) -> list[str]:
    line = f"{first}{', '.join(item[0] for item in items)}{shut}"
    if len(line) <= width and all(len(item) == 1 for item in items):
        return [line]
    listed = [first]
    for number, item in enumerate(items):
        comma = "," if number < len(items) - 1 else ""
        listed += [f"  {line}" for line in item[:-1]]
        listed.append(f"  {item[-1]}{comma}")
    return [*listed, shut]
